package graph

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/99designs/gqlgen/graphql"
	"github.com/coder/websocket"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/graph/transport"
	"purser/money"
)

// event is one answer of a subscription.
type event struct {
	Data       map[string]json.RawMessage `json:"data"`
	Extensions struct {
		Cursor string `json:"cursor"`
	} `json:"extensions"`
	Errors []struct {
		Message    string         `json:"message"`
		Extensions map[string]any `json:"extensions"`
	} `json:"errors"`
}

// subscriber reads a subscription over one of the two transports.
type subscriber interface {
	// next returns the next answer, nil at the end.
	next() *event
	close()
}

// streamWait is how long a test waits for what must come.
const streamWait = 20 * time.Second

// stage is a world behind a real listener.
type stage struct {
	*world
	t   testing.TB
	url string
}

func newStage(t testing.TB, w *world) *stage {
	t.Helper()
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return &stage{world: w, t: t, url: server.URL}
}

// transports are the ways to subscribe.
var transports = map[string]func(s *stage, token, document string, headers ...string) subscriber{
	"events": (*stage).events,
	"socket": (*stage).socket,
}

// subscribe subscribes and returns when the stream listens.
func (s *stage) subscribe(by, token, document string) subscriber {
	s.t.Helper()
	s.clock.Advance(time.Millisecond) // what has changed so far was before
	s.recorder.Reset()
	sub := transports[by](s, token, document)
	s.t.Cleanup(sub.close)
	deadline := time.Now().Add(streamWait)
	// It listens before it looks for what has changed.
	for !s.looked() {
		if time.Now().After(deadline) {
			s.t.Fatal("the stream does not look for changes")
		}
		time.Sleep(time.Millisecond)
	}
	return sub
}

func (s *stage) looked() bool {
	for _, statement := range s.recorder.Statements() {
		if strings.Contains(statement.Query, "updated_at") && strings.Contains(statement.Query, "ORDER BY") {
			return true
		}
	}
	return false
}

type eventStream struct {
	t    testing.TB
	body *bufio.Reader
	stop context.CancelFunc
}

func (s *stage) events(token, document string, headers ...string) subscriber {
	s.t.Helper()
	ctx, stop := context.WithTimeout(s.t.Context(), streamWait)
	body, err := json.Marshal(map[string]any{"query": document})
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return &eventStream{t: s.t, body: bufio.NewReader(response.Body), stop: stop}
}

func (e *eventStream) next() *event {
	e.t.Helper()
	var name, id string
	for {
		line, err := e.body.ReadString('\n')
		if err != nil {
			e.t.Fatalf("the stream broke: %v", err)
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			var v event
			if err := json.Unmarshal([]byte(value), &v); err != nil {
				e.t.Fatalf("%s: %v", value, err)
			}
			if id != v.Extensions.Cursor {
				e.t.Errorf("the event's id is %q, its cursor %q", id, v.Extensions.Cursor)
			}
			return &v
		case "data:":
			if name == "complete" {
				return nil
			}
		}
	}
}

func (e *eventStream) close() { e.stop() }

type socketStream struct {
	t    testing.TB
	conn *websocket.Conn
}

func (s *stage) socket(token, document string, _ ...string) subscriber {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), s.url, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	if err != nil {
		s.t.Fatal(err)
	}
	p := &socketStream{t: s.t, conn: conn}
	p.send(map[string]any{"type": "connection_init", "payload": map[string]any{"Authorization": "Bearer " + token}})
	if m := p.read(); m.Type != "connection_ack" {
		s.t.Fatalf("the socket answers %+v", m)
	}
	p.send(map[string]any{"type": "subscribe", "id": "1", "payload": map[string]any{"query": document}})
	return p
}

type socketMessage struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

func (p *socketStream) send(v any) {
	p.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *socketStream) read() socketMessage {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), streamWait)
	defer cancel()
	_, b, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatalf("the socket broke: %v", err)
	}
	var m socketMessage
	if err := json.Unmarshal(b, &m); err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p *socketStream) next() *event {
	p.t.Helper()
	m := p.read()
	if m.Type == "complete" {
		return nil
	}
	var v event
	if m.Type != "next" || json.Unmarshal(m.Payload, &v) != nil {
		p.t.Fatalf("the socket sends %s %s", m.Type, m.Payload)
	}
	return &v
}

func (p *socketStream) close() { _ = p.conn.Close(websocket.StatusNormalClosure, "") }

// want reads one event and compares its data; it returns its cursor.
func want(t testing.TB, sub subscriber, data string) string {
	t.Helper()
	e := sub.next()
	if e == nil {
		t.Fatalf("the stream has ended, want %s", data)
	}
	for _, value := range e.Data {
		if string(value) != data {
			t.Fatalf("sent %s, want %s", value, data)
		}
	}
	if len(e.Errors) > 0 || len(e.Data) != 1 || e.Extensions.Cursor == "" {
		t.Fatalf("sent %+v", e)
	}
	return e.Extensions.Cursor
}

// developer makes a developer and returns its id.
func (s *stage) developer(of *tenant, email string) string {
	s.t.Helper()
	id, err := s.billing.CreateDeveloper(of.ctx, billing.PayerDraft{Email: email, Name: email, BillingMode: "PREPAID"}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// reload books dollars, at a time of its own.
func (s *stage) reload(of *tenant, payerID, amount string) {
	s.t.Helper()
	s.clock.Advance(time.Millisecond)
	a, err := money.ParseMinor(money.Decimal(amount), "USD")
	if err != nil {
		s.t.Fatal(err)
	}
	key := fmt.Sprint("reload ", s.clock.Now())
	if _, err := s.billing.ReloadBalance(of.ctx, billing.Reload{PayerID: payerID, Amount: a, Key: &key}); err != nil {
		s.t.Fatal(err)
	}
}

const balances = `{ payer { name } amount { amount } }`

func balanceEvent(name, amount string) string {
	return fmt.Sprintf(`{"payer":{"name":"%s"},"amount":{"amount":"%s"}}`, name, amount)
}

func TestStreamSendsWhatChanges(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		for by := range transports {
			t.Run(by, func(t *testing.T) {
				s := newStage(t, w)
				here, elsewhere := w.tenant(t, "here-"+by), w.tenant(t, "elsewhere-"+by)
				ada, linus, eve := s.developer(here, "ada@a.example"), s.developer(here, "linus@a.example"), s.developer(elsewhere, "eve@a.example")
				s.reload(here, ada, "1.00") // before: not sent

				everybodys := s.subscribe(by, here.token, `subscription { balanceChanged `+balances+` }`)
				linuses := s.subscribe(by, here.token, `subscription { balanceChanged(payerId: "`+linus+`") `+balances+` }`)
				adas := s.subscribe(by, w.session(t, here, ada), `subscription { balanceChanged `+balances+` }`)
				s.reload(elsewhere, eve, "7.00")
				s.reload(here, ada, "1.00")
				s.reload(here, linus, "5.00")
				want(t, everybodys, balanceEvent("ada@a.example", "2.00"))
				want(t, everybodys, balanceEvent("linus@a.example", "5.00"))
				s.reload(here, ada, "1.00")
				want(t, everybodys, balanceEvent("ada@a.example", "3.00"))

				want(t, linuses, balanceEvent("linus@a.example", "5.00"))
				// An event is the object as it stands when it is read: the two
				// changes may have become one.
				for shown := ""; shown != balanceEvent("ada@a.example", "3.00"); {
					e := adas.next()
					if e == nil || !strings.Contains(string(e.Data["balanceChanged"]), "ada@a.example") {
						t.Fatalf("the stream of Ada's session sends %+v", e)
					}
					shown = string(e.Data["balanceChanged"])
				}
			})
		}
		w.recorder.Check(t)
	})
}

func TestStreamResumes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		for by := range transports {
			t.Run(by, func(t *testing.T) {
				s := newStage(t, w)
				here := w.tenant(t, "here-"+by)
				a, b, c := s.developer(here, "a@a.example"), s.developer(here, "b@a.example"), s.developer(here, "c@a.example")
				sub := s.subscribe(by, here.token, `subscription { balanceChanged `+balances+` }`)
				s.reload(here, a, "1.00")
				cursor := want(t, sub, balanceEvent("a@a.example", "1.00"))
				sub.close()

				// While nobody reads, one changes twice and one once.
				s.reload(here, b, "1.00")
				s.reload(here, c, "1.00")
				s.reload(here, b, "1.00")
				again := s.subscribe(by, here.token, `subscription { balanceChanged(after: "`+cursor+`") `+balances+` }`)
				want(t, again, balanceEvent("c@a.example", "1.00"))
				last := want(t, again, balanceEvent("b@a.example", "2.00"))
				s.reload(here, c, "1.00")
				want(t, again, balanceEvent("c@a.example", "2.00"))
				again.close()

				// Who has not seen the last one gets it, and no other.
				again = s.subscribe(by, here.token, `subscription { balanceChanged(after: "`+last+`") `+balances+` }`)
				want(t, again, balanceEvent("c@a.example", "2.00"))
				s.reload(here, a, "1.00")
				want(t, again, balanceEvent("a@a.example", "2.00"))
			})
		}
		w.recorder.Check(t)
	})
}

func TestStreamRefusesForeignCursors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dialect.SQLite)
	s := newStage(t, w)
	here, elsewhere := w.tenant(t, "here"), w.tenant(t, "elsewhere")
	a, b := s.developer(here, "a@a.example"), s.developer(here, "b@a.example")
	sub := s.subscribe("events", here.token, `subscription { balanceChanged `+balances+` }`)
	s.reload(here, a, "1.00")
	cursor := want(t, sub, balanceEvent("a@a.example", "1.00"))
	s.reload(here, b, "1.00")
	want(t, sub, balanceEvent("b@a.example", "1.00"))

	// Browsers resume with a header.
	resumed := s.events(here.token, `subscription { balanceChanged `+balances+` }`, "Last-Event-ID", cursor)
	want(t, resumed, balanceEvent("b@a.example", "1.00"))
	resumed.close()

	for name, refused := range map[string]subscriber{
		"another organization's": s.events(elsewhere.token, `subscription { balanceChanged(after: "`+cursor+`") { id } }`),
		"another stream's":       s.events(here.token, `subscription { quoteChanged(after: "`+cursor+`") { id } }`),
		"another payer's":        s.events(here.token, `subscription { balanceChanged(payerId: "`+a+`", after: "`+cursor+`") { id } }`),
		"a forged header":        s.events(here.token, `subscription { balanceChanged { id } }`, "Last-Event-ID", "A"+cursor),
		"a foreign header":       s.events(elsewhere.token, `subscription { balanceChanged { id } }`, "Last-Event-ID", cursor),
	} {
		e := refused.next()
		if e == nil || len(e.Errors) != 1 || e.Errors[0].Extensions["code"] != transport.CodeBadUserInput {
			t.Errorf("%s cursor: %+v", name, e)
		}
		refused.close()
	}
}

// followingAs returns a context in which a stream can be followed without a
// document, and the stream's state.
func followingAs(t testing.TB, v *auth.Viewer) (context.Context, *streamState) {
	t.Helper()
	state := &streamState{}
	ctx, cancel := context.WithCancel(context.WithValue(auth.NewContext(t.Context(), v), streamKey{}, state))
	t.Cleanup(cancel)
	return ctx, state
}

// sent reads the ids of a stream until one comes.
func sent[T any](t testing.TB, out <-chan *T, id func(*T) string, until string) []string {
	t.Helper()
	var ids []string
	for {
		select {
		case object := <-out:
			ids = append(ids, id(object))
			if id(object) == until {
				return ids
			}
		case <-time.After(streamWait):
			t.Fatalf("%s was not sent, but %v", until, ids)
		}
	}
}

func TestStreamOfEachKind(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		r := &Resolver{Billing: w.billing}
		long := &ent.Cursor{ID: newProgress(start.Add(-time.Hour)).String()}
		own := &auth.Viewer{OrganizationID: f.id, OrganizationSlug: "alpha", SessionID: "ses_1", PayerID: f.payer}
		others := &auth.Viewer{OrganizationID: f.id, OrganizationSlug: "alpha", SessionID: "ses_2", PayerID: f.other}
		for _, v := range []*auth.Viewer{auth.FromContext(f.ctx), own} {
			ctx, _ := followingAs(t, v)
			b, err := follow(ctx, r, long, r.balanceFeed(ctx, &f.payer))
			if err != nil {
				t.Fatal(err)
			}
			sent(t, b, func(b *ent.Balance) string { return b.ID }, f.ids["Balance"])
			p, err := follow(ctx, r, long, r.paymentFeed(ctx, ptr(f.ids["Payment"]), &f.payer))
			if err != nil {
				t.Fatal(err)
			}
			if ids := sent(t, p, func(p *ent.Payment) string { return p.ID }, f.ids["Payment"]); len(ids) != 1 {
				t.Errorf("the stream of one payment sends %v", ids)
			}
			i, err := follow(ctx, r, long, r.invoiceFeed(ctx, &f.payer))
			if err != nil {
				t.Fatal(err)
			}
			sent(t, i, func(i *ent.Invoice) string { return i.ID }, f.ids["Invoice"])
			q, err := follow(ctx, r, long, r.quoteFeed(ctx, &f.payer))
			if err != nil {
				t.Fatal(err)
			}
			sent(t, q, func(q *ent.Quote) string { return q.ID }, f.ids["Quote"])
		}

		// What is another payer's is not sent, asked for or not.
		ctx, _ := followingAs(t, others)
		for _, payerID := range []*string{nil, &f.payer} {
			feed := r.invoiceFeed(ctx, payerID)
			listed, err := feed.changed(ctx, position{at: start.Add(-time.Hour)}, positionsAtOnce)
			if err != nil || len(listed) != 0 {
				t.Errorf("another payer's session lists %v, %v", listed, err)
			}
			if got, _, err := feed.read(ctx, f.ids["Invoice"]); got != nil || err != nil {
				t.Errorf("another payer's session reads %v, %v", got, err)
			}
			if feed.wants(billing.Change{ID: f.ids["Invoice"], PayerID: f.payer}) {
				t.Error("another payer's session wants the change")
			}
		}
		w.recorder.Check(t)
	})
}

// TestStreamThatLags holds that a reader who is too slow is told so, with all
// that was sent before.
func TestStreamThatLags(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dialect.SQLite)
	s := newStage(t, w)
	here := w.tenant(t, "here")
	var developers []string
	for i := range 260 {
		developers = append(developers, s.developer(here, fmt.Sprintf("d%d@a.example", i)))
	}
	r := &Resolver{Billing: w.billing}
	ctx, state := followingAs(t, auth.FromContext(here.ctx))
	out, err := follow(ctx, r, nil, r.balanceFeed(ctx, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range developers {
		s.reload(here, id, "1.00")
	}
	deadline := time.After(streamWait)
	for open := true; open; {
		select {
		case _, open = <-out:
		case <-deadline:
			t.Fatal("the stream goes on")
		}
	}
	var coded *transport.Error
	if err := state.takeFailure(); !errors.As(err, &coded) || coded.Code != transport.CodeUnavailable {
		t.Fatalf("the stream ended with %v", err)
	}

	// The answer says so once, and then the stream is over.
	state.fail(errLagging())
	ended := func(context.Context) *graphql.Response { return nil }
	answering := graphql.WithResponseContext(ctx, func(_ context.Context, err error) *gqlerror.Error { return gqlerror.Wrap(err) }, graphql.DefaultRecover)
	if answer := (streams{}).InterceptResponse(answering, ended); answer == nil || len(answer.Errors) != 1 || !errors.As(answer.Errors[0], &coded) {
		t.Errorf("the last answer is %+v", answer)
	}
	if answer := (streams{}).InterceptResponse(answering, ended); answer != nil {
		t.Errorf("after the last answer comes %+v", answer)
	}
}
