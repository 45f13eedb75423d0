package stripesandbox

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"purser/sandbox"
)

const bodyMax = 1 << 20

// reply is an answer of the API.
type reply struct {
	status  int
	body    []byte
	header  http.Header
	kind    string // content type; JSON when empty
	request string // id of the request
}

// operation serves one route inside a transaction.
type operation func(t *tx, in *params) (object, error)

// api makes the handler of one route of the API.
func (s *Server) api(route route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := s.random.Text(14)
		if err != nil {
			s.config.Logger.Error("serving a request", "error", err)
			http.Error(w, "", http.StatusInternalServerError)
			return
		}
		requestID := "req_" + id
		account, err := s.authenticate(r)
		if err != nil {
			s.send(w, s.errorReply(requestID, err))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
		if err != nil {
			refused := invalid("", "", "The request body could not be read, or has more than %d bytes.", bodyMax)
			s.send(w, s.errorReply(requestID, refused))
			return
		}
		// A client that hangs up does not stop an operation, just as it cannot
		// at the gateway.
		ctx := context.WithoutCancel(r.Context())
		call := call{route: route, account: account, requestID: requestID, w: w, r: r, body: body, key: r.Header.Get("Idempotency-Key")}
		if r.Method != http.MethodPost {
			call.key = ""
		}
		answer, abort := s.serve(ctx, call)
		if abort {
			reset(w)
			return
		}
		s.send(w, answer)
	}
}

// call is one request to the API.
type call struct {
	route     route
	account   string
	requestID string
	w         http.ResponseWriter // for its deadline alone
	r         *http.Request
	body      []byte
	key       string
}

// serve answers a call; abort asks for the connection to be cut instead.
func (s *Server) serve(ctx context.Context, c call) (answer reply, abort bool) {
	release, err := s.claimKey(c.account, c.key)
	if err != nil {
		return s.errorReply(c.requestID, err), false
	}
	defer release()

	fault, struck := s.faults.StrikeRequest(c.account, c.r.Method, c.r.URL.Path)
	var stored *apiError
	if struck && fault.Action == sandbox.ActionStatus {
		stored = faultError(fault)
	}
	if struck && fault.When == sandbox.WhenBefore {
		switch {
		case fault.Action == sandbox.ActionReset:
			return reply{}, true
		case fault.Action == sandbox.ActionDelay:
			c.pause(fault.Delay())
		case !fault.Store:
			return s.errorReply(c.requestID, stored), false
		default:
			answer, err := s.storeFault(ctx, c, stored)
			if err != nil {
				return s.errorReply(c.requestID, err), false
			}
			return answer, false
		}
	}
	var storeAs *apiError
	if struck && fault.When == sandbox.WhenAfter && fault.Store {
		storeAs = stored
	}
	answer, err = s.execute(ctx, c, storeAs)
	if err != nil {
		answer = s.errorReply(c.requestID, err)
	}
	if struck && fault.When == sandbox.WhenAfter {
		// The work is committed: a repetition meets the stored reply, not a
		// request still running.
		release()
		switch fault.Action {
		case sandbox.ActionReset:
			return reply{}, true
		case sandbox.ActionDelay:
			c.pause(fault.Delay())
		case sandbox.ActionStatus:
			return s.errorReply(c.requestID, stored), false
		case sandbox.ActionTruncate:
			answer.body = answer.body[:len(answer.body)/2]
		}
	}
	return answer, false
}

// faultError is the answer of a status fault, worded as the gateway does.
func faultError(f sandbox.RequestFault) *apiError {
	body := object{"type": typeAPI, "message": "An error happened because a fault switch of the sandbox is on."}
	code := f.Code
	switch {
	case f.Status == http.StatusTooManyRequests:
		body["type"] = typeInvalid
		if code == "" {
			code = "rate_limit"
		}
	case f.Status == http.StatusPaymentRequired:
		body["type"] = typeCard
		if code == "" {
			code = "card_declined"
		}
	case f.Status == http.StatusConflict:
		body["type"] = typeIdempotency
		if code == "" {
			code = "idempotency_key_in_use"
		}
	case f.Status < 500:
		body["type"] = typeInvalid
	}
	if code != "" {
		body["code"] = code
	}
	return &apiError{status: f.Status, body: body}
}

// pause waits unless the client leaves or the server stops first.
func (c call) pause(d time.Duration) {
	// The server's own limit on answers would make a reset of a long delay.
	// Where there is none that can be moved there is nothing to do.
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(d + time.Minute))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.r.Context().Done():
	case <-timer.C:
	}
}

// reset cuts the connection so that the client sees no answer at all.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		// Not a connection of our own (HTTP/2, a recorder): the server's way
		// to break an answer off.
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// Without lingering the close is a reset, not an orderly end.
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// authenticate returns the account of the request's secret key, given as a
// bearer token or as the user name of basic authentication.
func (s *Server) authenticate(r *http.Request) (string, error) {
	key, _, basic := r.BasicAuth()
	if !basic {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if strings.EqualFold(scheme, "bearer") {
			key = strings.TrimSpace(token)
		}
	}
	message := ""
	switch {
	case key == "":
		message = "You did not provide an API key. Send your secret test key as a bearer token."
	case strings.HasPrefix(key, "pk_"):
		message = "This API call cannot be made with a publishable API key. Please use a secret API key."
	case strings.HasPrefix(key, "sk_live_") || strings.HasPrefix(key, "rk_live_"):
		message = "Live keys are refused: this is a sandbox, where no real money moves. Use a key that begins with sk_test_."
	case !secretKeyForm.MatchString(key):
		message = "Invalid API Key provided: a key of this sandbox is sk_test_ and at least 8 letters or digits."
	default:
		return s.account(context.WithoutCancel(r.Context()), key, "")
	}
	e := invalid("", "", "%s", message)
	e.status = http.StatusUnauthorized
	return "", e
}

// errorReply is the answer for an error. What is no answer of the API is an
// internal fault: logged, and shown without its text.
func (s *Server) errorReply(requestID string, err error) reply {
	var e *apiError
	if !errors.As(err, &e) {
		s.config.Logger.Error("serving a request", "request_id", requestID, "error", err)
		e = &apiError{status: http.StatusInternalServerError, body: object{
			"type": typeAPI, "message": "Sorry, the sandbox met an internal error. Its log has request " + requestID + ".",
		}}
	}
	return reply{status: e.status, body: encodeError(e), request: requestID}
}

func encodeError(e *apiError) []byte {
	// An error's body holds only what presentValue made or texts: it encodes.
	raw, err := json.MarshalIndent(map[string]any{"error": presentValue(e.body)}, "", "  ")
	if err != nil {
		return []byte(`{"error":{"type":"api_error","message":"the error could not be encoded"}}`)
	}
	return raw
}

func (s *Server) send(w http.ResponseWriter, r reply) {
	h := w.Header()
	for name, values := range r.header {
		h[name] = values
	}
	h.Set("Content-Type", "application/json")
	if r.kind != "" {
		h.Set("Content-Type", r.kind)
	}
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Request-Id", r.request)
	h.Set("Stripe-Version", APIVersion)
	h.Set("X-Content-Type-Options", "nosniff")
	if r.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="Sandbox"`)
	}
	w.WriteHeader(r.status)
	if _, err := w.Write(r.body); err != nil {
		s.config.Logger.Info("a client left before its reply", "request_id", r.request)
	}
}
