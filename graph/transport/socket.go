package transport

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"purser/auth"
)

// socketProtocol is the only sub-protocol spoken: the one of the npm package
// graphql-ws, not its predecessor of the same name.
const socketProtocol = "graphql-transport-ws"

// The codes a socket is closed with. Those from 4400 on are the protocol's.
const (
	closeBadMessage      = websocket.StatusCode(4400)
	closeUnauthorized    = websocket.StatusCode(4401) // before credentials, or they expired
	closeForbidden       = websocket.StatusCode(4403) // unknown or revoked credentials
	closeInitTimeout     = websocket.StatusCode(4408)
	closeDuplicateID     = websocket.StatusCode(4409)
	closeTooManyInits    = websocket.StatusCode(4429)
	operationIDBytesMax  = 128
	closeUnavailableText = "credentials cannot be checked now"
)

// The messages of the protocol.
const (
	messageInit      = "connection_init"
	messageAck       = "connection_ack"
	messagePing      = "ping"
	messagePong      = "pong"
	messageSubscribe = "subscribe"
	messageNext      = "next"
	messageError     = "error"
	messageComplete  = "complete"
)

// message is a message as it is sent.
type message struct {
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// socket is one WebSocket. Reading happens in the goroutine of the request,
// every operation has its own.
type socket struct {
	server *server
	conn   *websocket.Conn
	header http.Header
	bearer string // from the handshake, where the client could set it

	// viewer is the context with the viewer, set once before any operation.
	viewer    context.Context
	principal string

	mu         sync.Mutex
	operations map[string]*socketOperation
	running    sync.WaitGroup
}

// socketOperation is one subscribe message. A client that has ended an
// operation may use its id again at once, so an operation is known by its
// address and not by its id alone.
type socketOperation struct {
	id     string
	cancel context.CancelFunc
}

func isUpgrade(r *http.Request) bool {
	return r.Header.Get("Upgrade") != ""
}

// serveSocket carries operations over a WebSocket until one side ends it.
func (s *server) serveSocket(w http.ResponseWriter, r *http.Request) {
	if !s.origins.allowed(r) {
		e := Errorf(CodeForbidden, "WebSockets from this origin are not accepted")
		e.status = http.StatusForbidden
		s.fail(w, r, e)
		return
	}
	if !offers(r, socketProtocol) {
		e := Errorf(CodeBadUserInput, "the WebSocket sub-protocol %s is required", socketProtocol)
		e.status = http.StatusBadRequest
		s.fail(w, r, e)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: []string{socketProtocol},
		// Checked above, against whole origins rather than host patterns.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return // answered by Accept
	}
	conn.SetReadLimit(s.limits.InitBytes)
	s.metrics.Stream(1)
	defer s.metrics.Stream(-1)

	ctx, cancel := context.WithCancel(r.Context())
	k := &socket{server: s, conn: conn, header: r.Header, operations: map[string]*socketOperation{}}
	k.bearer = bearerOf(r.Header.Get("Authorization"))
	k.run(ctx)
	cancel()
	_ = conn.CloseNow()
	k.running.Wait()
}

// offers reports whether the handshake names a sub-protocol.
func offers(r *http.Request, protocol string) bool {
	for _, value := range r.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(value, ",") {
			if strings.TrimSpace(name) == protocol {
				return true
			}
		}
	}
	return false
}

// run reads messages until the socket ends.
func (k *socket) run(ctx context.Context) {
	s := k.server
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// The socket is closed from here and not by cancelling the read, which
	// would drop the connection without a code.
	late := time.AfterFunc(s.limits.SocketInit, func() {
		_ = k.conn.Close(closeInitTimeout, "Connection initialisation timeout")
	})
	defer late.Stop()

	for {
		kind, data, err := k.conn.Read(ctx)
		if err != nil {
			return
		}
		m, ok := k.decode(kind, data)
		if !ok {
			k.close(closeBadMessage, "Invalid message received")
			return
		}
		switch m.kind {
		case messageInit:
			if k.viewer != nil {
				k.close(closeTooManyInits, "Too many initialisation requests")
				return
			}
			if !late.Stop() {
				return // the timer is closing already
			}
			if !k.init(ctx, m.payload) {
				return
			}
			k.conn.SetReadLimit(s.limits.BodyBytes)
			release := k.guard(ctx)
			defer release()
			defer s.streams.leave(k.principal)
			if k.send(ctx, message{Type: messageAck}) != nil {
				return
			}
		case messagePing:
			if k.pong(ctx, m.payload) != nil {
				return
			}
		case messagePong:
		case messageSubscribe:
			if k.viewer == nil {
				k.close(closeUnauthorized, "Unauthorized")
				return
			}
			if !k.subscribe(m) {
				return
			}
		case messageComplete:
			k.cancel(m.id)
		default:
			k.close(closeBadMessage, "Invalid message received")
			return
		}
	}
}

// received is a message as it came, read with the reader that requests have.
type received struct {
	kind    string
	id      string
	payload any // nil where there is none
}

// decode reads a message strictly.
func (k *socket) decode(kind websocket.MessageType, data []byte) (m received, ok bool) {
	if kind != websocket.MessageText {
		return m, false
	}
	object, bad := decodeObject(data, "message", k.server.limits)
	if bad != nil {
		return m, false
	}
	if m.kind, ok = object["type"].(string); !ok {
		return m, false
	}
	if id := object["id"]; id != nil {
		if m.id, ok = id.(string); !ok {
			return m, false
		}
	}
	m.payload = object["payload"]
	return m, true
}

// pong answers a ping with what it brought.
func (k *socket) pong(ctx context.Context, payload any) error {
	m := message{Type: messagePong}
	if payload != nil {
		var err error
		if m.Payload, err = json.Marshal(payload); err != nil {
			return err
		}
	}
	return k.send(ctx, m)
}

// init checks the credentials of connection_init: `Authorization` in its
// payload, or the header of the handshake from clients that can set one.
func (k *socket) init(ctx context.Context, payload any) bool {
	bearer := k.bearer
	if payload != nil {
		object, ok := payload.(map[string]any)
		if !ok {
			k.close(closeBadMessage, "Invalid message received")
			return false
		}
		for _, key := range []string{"Authorization", "authorization"} {
			if text, ok := object[key].(string); ok {
				bearer = bearerOf(text)
			}
		}
	}
	if bearer == "" {
		k.close(closeUnauthorized, "Unauthorized")
		return false
	}
	viewer, bad := k.server.check(ctx, bearer)
	switch {
	case bad != nil && bad.Code == CodeUnavailable:
		k.close(websocket.StatusTryAgainLater, closeUnavailableText)
		return false
	case bad != nil:
		k.close(closeForbidden, "Forbidden")
		return false
	}
	principal := k.server.principal(viewer)
	if !k.server.streams.enter(principal) {
		k.close(websocket.StatusTryAgainLater, "Too many connections")
		return false
	}
	k.bearer, k.viewer, k.principal = bearer, viewer, principal
	return true
}

// guard closes the socket when its credentials or its time end, the server
// stops or the peer is gone.
func (k *socket) guard(ctx context.Context) (release func()) {
	s := k.server
	viewer := auth.FromContext(k.viewer)
	ended, release := s.revalidator.watch(k.bearer, viewer)
	k.running.Go(func() {
		ticker, life := time.NewTicker(keepAlive), time.NewTimer(s.limits.StreamLife)
		defer ticker.Stop()
		defer life.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-life.C:
				k.close(websocket.StatusGoingAway, "Connect again")
				return
			case <-ended:
				if viewer != nil && !viewer.ExpiresAt.IsZero() && !s.now().Before(viewer.ExpiresAt) {
					k.close(closeUnauthorized, "Unauthorized")
				} else {
					k.close(closeForbidden, "Forbidden")
				}
				return
			case <-s.closing:
				k.close(websocket.StatusGoingAway, "Going away")
				return
			case <-ticker.C:
				pinging, cancel := context.WithTimeout(ctx, writeTimeout)
				err := k.conn.Ping(pinging)
				cancel()
				if err != nil {
					_ = k.conn.CloseNow()
					return
				}
			}
		}
	})
	return release
}

// subscribe starts an operation. False ends the socket.
func (k *socket) subscribe(m received) bool {
	s := k.server
	object, ok := m.payload.(map[string]any)
	if !ok || m.id == "" || len(m.id) > operationIDBytesMax {
		k.close(closeBadMessage, "Invalid message received")
		return false
	}
	// The viewer's context is the request's with the viewer in it, and ends
	// with the handler.
	ctx, cancel := context.WithCancel(k.viewer)
	op := &socketOperation{id: m.id, cancel: cancel}

	k.mu.Lock()
	_, duplicate := k.operations[m.id]
	full := len(k.operations) >= s.limits.SocketOperations
	if !duplicate && !full {
		k.operations[m.id] = op
	}
	k.mu.Unlock()
	switch {
	case duplicate:
		cancel()
		k.close(closeDuplicateID, "Subscriber for "+m.id+" already exists")
		return false
	case full:
		defer cancel()
		return k.refuse(ctx, m.id, Errorf(CodeRateLimited,
			"%d operations are open on this WebSocket, which is the limit", s.limits.SocketOperations)) == nil
	}
	k.running.Go(func() {
		defer cancel()
		k.operate(ctx, op, object)
	})
	return true
}

// operate runs one operation to its end.
func (k *socket) operate(ctx context.Context, open *socketOperation, object map[string]any) {
	s, id := k.server, open.id
	c := s.newCall(ctx)
	c.via = viaSocket
	ctx = withCall(ctx, c)

	params, bad := paramsOf(object)
	if bad == nil {
		if _, wait, ok := s.buckets.take(c.principal, 1); !ok {
			bad = rateLimited(wait)
		}
	}
	if bad != nil {
		s.metrics.Operation("", "", bad.Code, 0)
		k.drop(open)
		_ = k.refuse(ctx, id, bad)
		return
	}
	params.Headers = k.header
	op, refused := s.prepare(ctx, params)
	if refused != nil {
		s.finished(ctx, firstCode(refused.response.Errors), 0)
		k.drop(open)
		_ = k.fail(ctx, id, refused.response.Errors)
		return
	}
	running, full := s.requests, tooManyAtOnce("requests are running", s.limits.InFlight)
	if op.Operation.Operation == ast.Subscription {
		running, full = s.subscriptions, tooManyAtOnce("subscriptions are open", s.limits.Subscriptions)
	}
	if !running.enter(c.principal) {
		k.drop(open)
		_ = k.refuse(ctx, id, full)
		return
	}
	defer running.leave(c.principal)
	for resp := range s.answers(ctx, op) {
		if ctx.Err() != nil || k.send(ctx, message{ID: id, Type: messageNext, Payload: s.encode(ctx, resp)}) != nil {
			return
		}
	}
	// Dropped first: once the client has read `complete` it may use the id
	// again. An operation that the client has ended itself gets no answer.
	if k.drop(open) && ctx.Err() == nil {
		_ = k.send(ctx, message{ID: id, Type: messageComplete})
	}
}

// drop forgets an operation and reports whether it was still known.
func (k *socket) drop(op *socketOperation) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.operations[op.id] != op {
		return false
	}
	delete(k.operations, op.id)
	return true
}

// cancel ends an operation at the client's wish.
func (k *socket) cancel(id string) {
	k.mu.Lock()
	op := k.operations[id]
	delete(k.operations, id)
	k.mu.Unlock()
	if op != nil {
		op.cancel()
	}
}

// refuse ends an operation with an error of ours.
func (k *socket) refuse(ctx context.Context, id string, e *Error) error {
	return k.fail(ctx, id, gqlerror.List{k.server.present(ctx, e.gql())})
}

// fail ends an operation that never ran.
func (k *socket) fail(ctx context.Context, id string, list gqlerror.List) error {
	payload, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return k.send(ctx, message{ID: id, Type: messageError, Payload: payload})
}

func (k *socket) send(ctx context.Context, m message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	// Not the operation's context: cancelling a write in the middle of a frame
	// drops the connection, and with it the other operations.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	return k.conn.Write(ctx, websocket.MessageText, data)
}

// closeReasonBytesMax is what fits into a close frame beside the code.
const closeReasonBytesMax = 120

func (k *socket) close(code websocket.StatusCode, reason string) {
	_ = k.conn.Close(code, cut(reason, closeReasonBytesMax))
}
