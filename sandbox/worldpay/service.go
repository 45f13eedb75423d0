package worldpaysandbox

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"purser/sandbox"
)

const documentMax = 1 << 20

// answer is what a request comes to: a status and a body, a document unless
// plain.
type answer struct {
	status int
	body   []byte
	plain  bool
}

// serve takes one document. Everything but a wrong login is answered with 200
// and, where it was refused, an error in the document.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	m, err := s.login(r)
	switch {
	case err != nil:
		s.config.Logger.Error("serving a document", "error", err)
		send(w, broken(http.StatusInternalServerError))
		return
	case m == nil:
		w.Header().Set("WWW-Authenticate", `Basic realm="Payment service"`)
		send(w, broken(http.StatusUnauthorized))
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, documentMax))
	if err != nil {
		send(w, broken(http.StatusRequestEntityTooLarge))
		return
	}
	document, refused := s.readDocument(m, raw)
	// A client that hangs up does not stop an operation, just as it cannot at
	// the real service.
	ctx := context.WithoutCancel(r.Context())
	execute := func() answer {
		if refused != nil {
			return s.refusal(m.Code, refused)
		}
		return s.execute(ctx, m.Code, document)
	}

	fault, struck := s.faults.StrikeRequest(m.Code, r.Method, operation(document))
	if struck && fault.When == sandbox.WhenBefore {
		switch fault.Action {
		case sandbox.ActionReset:
			reset(w)
			return
		case sandbox.ActionStatus:
			send(w, faultAnswer(m.Code, fault))
			return
		case sandbox.ActionDelay:
			pause(w, r, fault.Delay())
		}
	}
	a := execute()
	if struck && fault.When == sandbox.WhenAfter {
		switch fault.Action {
		case sandbox.ActionReset:
			reset(w)
			return
		case sandbox.ActionStatus:
			a = faultAnswer(m.Code, fault)
		case sandbox.ActionDelay:
			pause(w, r, fault.Delay())
		case sandbox.ActionTruncate:
			a.body = a.body[:len(a.body)/2]
		}
	}
	send(w, a)
}

// readDocument parses a request and checks that it comes from the merchant
// that has logged in.
func (s *Server) readDocument(m *Merchant, raw []byte) (*element, error) {
	document, err := parse(raw)
	if err != nil {
		return nil, refuse(codeParse, "Invalid XML: %s.", err)
	}
	if document.name != root {
		return nil, refuse(codeParse, "Invalid XML: the root must be paymentService.")
	}
	if document.attr("merchantCode") != m.Code {
		return nil, refuse(codeSecurity, "Security violation")
	}
	return document, validate(document)
}

// operation is what the fault switches know a request by, in the place of a
// path: /submit/order, /modify/refund, /inquiry/orderInquiry and so on; empty
// for what is no such document.
func operation(document *element) string {
	kind := document.first()
	what := kind.first()
	if what != nil && what.name == "orderModification" {
		what = what.first()
	}
	if what == nil {
		return ""
	}
	return "/" + kind.name + "/" + what.name
}

// execute carries a document out in one transaction.
func (s *Server) execute(ctx context.Context, merchant string, document *element) answer {
	var said *element
	err := s.inTx(ctx, merchant, func(t *tx) error {
		request := document.children[0]
		var err error
		switch request.name {
		case "submit":
			said, err = t.submit(request.children[0])
		case "modify":
			said, err = t.modify(request.children[0])
		case "inquiry":
			said, err = t.inquire(request.children[0])
		default:
			err = refuse(codeParse, "Invalid XML: a merchant sends submit, modify or inquiry.")
		}
		return err
	})
	if err != nil {
		return s.refusal(merchant, err)
	}
	return answer{status: http.StatusOK, body: render(merchant, el("reply", said))}
}

// refusal is the answer for an error. What is no refusal of the service is an
// internal fault: logged, and shown without its text.
func (s *Server) refusal(merchant string, err error) answer {
	var refused *serviceError
	if !errors.As(err, &refused) {
		s.config.Logger.Error("serving a document", "merchant", merchant, "error", err)
		refused = &serviceError{code: "1", text: "Internal error"}
	}
	return answer{status: http.StatusOK, body: render(merchant, el("reply", errorEl(refused)))}
}

func errorEl(e *serviceError) *element {
	at := el("error").with("code", e.code)
	at.text, at.cdata = e.text, true
	if e.order == "" {
		return at
	}
	return el("orderStatus", at).with("orderCode", e.order)
}

// faultAnswer is the answer of a status fault: that status without a document,
// or, where the fault names one of the service's own error codes, that error
// in a document.
func faultAnswer(merchant string, f sandbox.RequestFault) answer {
	if f.Code == "" {
		return broken(f.Status)
	}
	e := &serviceError{code: f.Code, text: "A fault switch of the sandbox is on"}
	return answer{status: http.StatusOK, body: render(merchant, el("reply", errorEl(e)))}
}

// broken is an answer of a web server instead of the service.
func broken(status int) answer {
	return answer{status: status, plain: true, body: []byte("<html><body><h1>" + http.StatusText(status) + "</h1></body></html>\n")}
}

func send(w http.ResponseWriter, a answer) {
	h := w.Header()
	h.Set("Content-Type", "text/xml; charset=utf-8")
	if a.plain {
		h.Set("Content-Type", "text/html; charset=utf-8")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(a.status)
	// A client that has left cannot be told.
	_, _ = w.Write(a.body)
}

// pause waits unless the client leaves first.
func pause(w http.ResponseWriter, r *http.Request, d time.Duration) {
	// The server's own limit on answers would make a reset of a long delay.
	// Where there is none that can be moved there is nothing to do.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + time.Minute))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-r.Context().Done():
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
