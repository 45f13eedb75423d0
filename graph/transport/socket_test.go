package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"purser/auth"
	"purser/graph/transport/transporttest"
)

// peer is the client's end of a WebSocket.
type peer struct {
	t    *testing.T
	conn *websocket.Conn
}

// dial opens a WebSocket.
func (b *bundle) dial(headers ...string) *peer {
	b.t.Helper()
	p, _, err := b.tryDial(headers...)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

func (b *bundle) tryDial(headers ...string) (*peer, *http.Response, error) {
	o := &websocket.DialOptions{HTTPClient: b.client, HTTPHeader: http.Header{}, Subprotocols: []string{socketProtocol}}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Sec-WebSocket-Protocol" {
			o.Subprotocols = strings.Fields(headers[i+1])
			continue
		}
		o.HTTPHeader.Set(headers[i], headers[i+1])
	}
	conn, resp, err := websocket.Dial(b.t.Context(), b.url, o)
	if err != nil {
		return nil, resp, err
	}
	conn.SetReadLimit(1 << 20)
	b.t.Cleanup(func() { _ = conn.CloseNow() })
	return &peer{t: b.t, conn: conn}, resp, nil
}

// hello opens a WebSocket and presents a token.
func (b *bundle) hello(token string) *peer {
	b.t.Helper()
	p := b.dial()
	p.send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + token + `"}}`)
	p.want(`{"type":"connection_ack"}`)
	return p
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatalf("write %s: %v", text, err)
	}
}

// subscribe sends a document.
func (p *peer) subscribe(id, query string) {
	p.t.Helper()
	b, err := json.Marshal(map[string]any{"id": id, "type": "subscribe", "payload": map[string]any{"query": query}})
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(string(b))
}

func (p *peer) read() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return string(data)
}

// want reads one message and compares it.
func (p *peer) want(text string) {
	p.t.Helper()
	if got := p.read(); got != text {
		p.t.Fatalf("read %s, want %s", got, text)
	}
}

// wantPart reads one message and looks for parts of it.
func (p *peer) wantPart(parts ...string) {
	p.t.Helper()
	got := p.read()
	for _, part := range parts {
		if !strings.Contains(got, part) {
			p.t.Fatalf("read %s, want %s in it", got, part)
		}
	}
}

// wantClose reads to the end and compares the code.
func (p *peer) wantClose(code websocket.StatusCode) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	for {
		_, data, err := p.conn.Read(ctx)
		if err == nil {
			p.t.Logf("before the close: %s", data)
			continue
		}
		if got := websocket.CloseStatus(err); got != code {
			p.t.Errorf("closed with %d (%v), want %d", got, err, code)
		}
		return
	}
}

func TestSocketCarriesOperations(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 10)
	b := setup(t, ticking(ended), nil)
	p := b.hello(tokenA)
	p.send(`{"type":"ping","payload":{"a":1}}`)
	p.want(`{"type":"pong","payload":{"a":1}}`)
	p.send(`{"type":"pong"}`)

	p.subscribe("1", "subscription { tick { id } }")
	p.want(`{"id":"1","type":"next","payload":{"data":{"tick":{"id":"d1"}}}}`)
	p.want(`{"id":"1","type":"complete"}`)

	p.subscribe("1", "{ hello }")
	p.wantPart(`"id":"1","type":"next"`, `"data":{"hello":"world"}`, `"cost"`)
	p.want(`{"id":"1","type":"complete"}`)

	p.subscribe("2", "subscription { tick(count: 1) { id } }")
	p.wantPart(`"id":"2","type":"next"`)
	p.send(`{"id":"2","type":"complete"}`)
	<-ended
	// The id is free again, and no complete of the ended operation comes.
	p.subscribe("2", "subscription { tick { id } }")
	p.wantPart(`"id":"2","type":"next"`)
	p.want(`{"id":"2","type":"complete"}`)

	for query, parts := range map[string][]string{
		"mutation { hello }": {`"type":"error"`, CodeBadUserInput, "mutations are not accepted over WebSocket"},
		"{ gone }":           {`"type":"error"`, CodeValidationFailed},
		doubling(40):         {`"type":"error"`, CodeComplexity},
		"subscription { tick(after: \"AAAA\") { id } }": {`"type":"error"`, CodeBadUserInput, "cursor is not from this list"},
		`{ fail(with: "secret") }`:                      {`"type":"next"`, CodeInternal},
	} {
		p.subscribe("3", query)
		p.wantPart(append(parts, `"id":"3"`)...)
		if parts[0] == `"type":"next"` {
			p.want(`{"id":"3","type":"complete"}`)
		}
	}
	_ = p.conn.Close(websocket.StatusNormalClosure, "")
	eventually(t, "the socket is counted as closed", func() bool { return b.counts.open() == 0 })
}

func TestSocketHandshake(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, c := range []struct {
		name    string
		headers []string
		status  int
	}{
		{"a listed origin", []string{"Origin", "https://app.example.com"}, http.StatusSwitchingProtocols},
		{"its own origin", []string{"Origin", b.url}, http.StatusSwitchingProtocols},
		{"another origin", []string{"Origin", "https://evil.example.com"}, http.StatusForbidden},
		{"a null origin", []string{"Origin", "null"}, http.StatusForbidden},
		{"the old protocol", []string{"Sec-WebSocket-Protocol", "graphql-ws"}, http.StatusBadRequest},
		{"both protocols", []string{"Sec-WebSocket-Protocol", "graphql-ws graphql-transport-ws"}, http.StatusSwitchingProtocols},
		{"no protocol", []string{"Sec-WebSocket-Protocol", ""}, http.StatusBadRequest},
	} {
		p, resp, err := b.tryDial(c.headers...)
		if resp == nil || resp.StatusCode != c.status {
			t.Errorf("%s: %v %v, want %d", c.name, resp, err, c.status)
		}
		if p != nil && p.conn.Subprotocol() != socketProtocol {
			t.Errorf("%s: speaks %q", c.name, p.conn.Subprotocol())
		}
	}
}

func TestSocketCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.SocketInit = time.Minute
	})
	for _, c := range []struct {
		name, message string
		code          websocket.StatusCode
	}{
		{"none", `{"type":"connection_init"}`, closeUnauthorized},
		{"null", `{"type":"connection_init","payload":null}`, closeUnauthorized},
		{"another scheme", `{"type":"connection_init","payload":{"Authorization":"Basic x"}}`, closeUnauthorized},
		{"unknown", `{"type":"connection_init","payload":{"Authorization":"Bearer x"}}`, closeForbidden},
		{"more than credentials take", `{"type":"ping","payload":{"a":"` + strings.Repeat("x", 8<<10) + `"}}`, websocket.StatusMessageTooBig},
		{"an operation first", `{"id":"1","type":"subscribe","payload":{"query":"{ hello }"}}`, closeUnauthorized},
	} {
		p := b.dial()
		p.send(c.message)
		t.Log(c.name)
		p.wantClose(c.code)
	}
	p := b.dial("Authorization", "Bearer "+tokenA)
	p.send(`{"type":"connection_init"}`)
	p.want(`{"type":"connection_ack"}`)
	p = b.dial()
	p.send(`{"type":"connection_init","payload":{"authorization":"bearer ` + tokenA + `"}}`)
	p.want(`{"type":"connection_ack"}`)

	b.tokens.breakWith(errors.New("the database is away"))
	p = b.dial()
	p.send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + tokenA + `"}}`)
	p.wantClose(websocket.StatusTryAgainLater)
}

// TestSocketWithoutInitIsClosed runs in a bubble, whose clock moves when
// everything in it waits: the real one would need an init that is quick enough.
func TestSocketWithoutInitIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setupInMemory(t, nil, nil)
		start := time.Now()
		p := b.dial()
		p.wantClose(closeInitTimeout)
		if waited, want := time.Since(start), DefaultLimits().SocketInit; waited != want {
			t.Errorf("closed after %v, want %v", waited, want)
		}
		// And with it, it stays open beyond that time.
		p = b.hello(tokenA)
		time.Sleep(2 * DefaultLimits().SocketInit)
		p.send(`{"type":"ping"}`)
		p.want(`{"type":"pong"}`)
		_ = p.conn.Close(websocket.StatusNormalClosure, "")
	})
}

func TestSocketProtocolErrors(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 10)
	b := setup(t, ticking(ended), nil)
	for _, c := range []struct {
		name, message string
		code          websocket.StatusCode
	}{
		{"no JSON", `{`, closeBadMessage},
		{"a list", `[]`, closeBadMessage},
		{"a key twice", `{"type":"ping","type":"pong"}`, closeBadMessage},
		{"an unknown type", `{"type":"start"}`, closeBadMessage},
		{"no type", `{}`, closeBadMessage},
		{"a type that is a number", `{"type":1}`, closeBadMessage},
		{"no id", `{"type":"subscribe","payload":{"query":"{ hello }"}}`, closeBadMessage},
		{"a long id", `{"id":"` + strings.Repeat("x", 129) + `","type":"subscribe","payload":{"query":"{ hello }"}}`, closeBadMessage},
		{"no payload", `{"id":"1","type":"subscribe"}`, closeBadMessage},
		{"a payload that is a list", `{"id":"1","type":"subscribe","payload":[]}`, closeBadMessage},
		{"a second init", `{"type":"connection_init","payload":{"Authorization":"Bearer ` + tokenA + `"}}`, closeTooManyInits},
		{"too large", `{"type":"ping","payload":{"a":"` + strings.Repeat("x", 1<<20) + `"}}`, websocket.StatusMessageTooBig},
	} {
		p := b.hello(tokenA)
		p.send(c.message)
		t.Log(c.name)
		p.wantClose(c.code)
	}

	p := b.hello(tokenA)
	if err := p.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	p.wantClose(closeBadMessage)

	p = b.hello(tokenA)
	p.subscribe("1", "subscription { tick(count: 1) { id } }")
	p.wantPart(`"type":"next"`)
	p.subscribe("1", "{ hello }")
	p.wantClose(closeDuplicateID)
	<-ended // the socket's end ends its operations

	p = b.hello(tokenA)
	p.send(`{"id":"1","type":"subscribe","payload":{"query":1}}`)
	p.wantPart(`"id":"1","type":"error"`, "query must be a string")
}

func TestSocketEndsWithItsCredentials(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 10)
	b := setup(t, ticking(ended), nil)

	p := b.hello(tokenA)
	p.subscribe("1", "subscription { tick(count: 1) { id } }")
	p.wantPart(`"type":"next"`)
	b.tokens.set(tokenA, nil)
	p.wantClose(closeForbidden)
	<-ended

	expires := b.clock.now().Add(time.Hour)
	b.tokens.set("expiring", &auth.Viewer{OrganizationID: "org_a", TokenID: "tok_e", ExpiresAt: expires})
	p = b.hello("expiring")
	b.clock.advance(time.Hour)
	b.tokens.set("expiring", nil) // what the store says from now on
	p.wantClose(closeUnauthorized)
}

func TestSocketEndsWithTheServer(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	b := setup(t, nil, func(o *Options) { o.Closing = closing })
	p := b.hello(tokenA)
	close(closing)
	p.wantClose(websocket.StatusGoingAway)
}

func TestSocketLimits(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 100)
	b := setup(t, ticking(ended), func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.SocketOperations = 2
		o.Limits.Streams = 1
		o.Limits.BucketPoints = 4
	})
	p := b.hello(tokenA)
	for _, id := range []string{"1", "2"} {
		p.subscribe(id, "subscription { tick(count: 1) { id } }")
		p.wantPart(fmt.Sprintf(`"id":%q,"type":"next"`, id))
	}
	p.subscribe("3", "{ hello }")
	p.wantPart(`"id":"3","type":"error"`, CodeRateLimited, "2 operations are open on this WebSocket")
	p.send(`{"id":"1","type":"complete"}`)
	<-ended
	for range 2 {
		p.subscribe("3", "{ __typename }")
		p.wantPart(`"id":"3","type":"next"`)
		p.want(`{"id":"3","type":"complete"}`)
	}
	p.subscribe("3", "{ __typename }")
	p.wantPart(`"id":"3","type":"error"`, CodeRateLimited, `"retryAfterSeconds":1`)

	second := b.dial()
	second.send(`{"type":"connection_init","payload":{"Authorization":"Bearer ` + tokenA + `"}}`)
	second.wantClose(websocket.StatusTryAgainLater)
	_ = p.conn.Close(websocket.StatusNormalClosure, "")
	eventually(t, "the place is free again", func() bool { return b.counts.open() == 0 })
	b.hello(tokenA)
}

// TestPanicsEndOneOperation and not the process: nothing above an operation's
// goroutine recovers.
func TestPanicsEndOneOperation(t *testing.T) {
	t.Parallel()
	b := setup(t, map[string]transporttest.Resolver{
		"Stream.tick": func(context.Context, any, map[string]any) (any, error) {
			events := make(chan any, 1)
			events <- map[string]any{"__typename": "Developer", "id": panicking{}}
			close(events)
			return (<-chan any)(events), nil
		},
	}, nil)
	p := b.hello(tokenA)
	p.subscribe("1", "subscription { tick { id } }")
	p.wantPart(`"id":"1","type":"next"`, CodeInternal)
	p.want(`{"id":"1","type":"complete"}`)
	p.subscribe("2", "{ hello }")
	p.wantPart(`"data":{"hello":"world"}`)
	if !strings.Contains(b.log.String(), "a panic while an answer is written") {
		t.Error("the panic is not in the log")
	}
}

// panicking panics when it is written as JSON.
type panicking struct{}

func (panicking) MarshalJSON() ([]byte, error) { panic("a panic while an answer is written") }
