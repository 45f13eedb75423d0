package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"

	"purser/auth"
	"purser/graph/transport/transporttest"
)

// ticking answers the subscription: it sends count developers and then waits
// for more until the subscription ends, or ends itself where count is absent.
func ticking(ended chan<- struct{}) map[string]transporttest.Resolver {
	return map[string]transporttest.Resolver{
		"Stream.tick": func(ctx context.Context, _ any, arguments map[string]any) (any, error) {
			count, forever := 1, arguments["count"] != nil
			if forever {
				n, err := graphql.UnmarshalInt(arguments["count"])
				if err != nil {
					return nil, err
				}
				count = n
			}
			events := make(chan any)
			go func() {
				defer close(events)
				for i := range count {
					select {
					case events <- map[string]any{"__typename": "Developer", "id": "d" + string(rune('1'+i)), "name": LastEventID(ctx)}:
					case <-ctx.Done():
						ended <- struct{}{}
						return
					}
				}
				if forever {
					<-ctx.Done()
					ended <- struct{}{}
				}
			}()
			return (<-chan any)(events), nil
		},
	}
}

// eventReader reads server-sent events.
type eventReader struct {
	t    *testing.T
	resp *http.Response
	r    *bufio.Reader
}

func (b *bundle) events(method, path, body string, headers ...string) *eventReader {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+tokenA)
	req.Header.Set("Accept", mediaEvents)
	req.Header.Set("Content-Type", mediaJSON)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.DefaultClient
	if b.client != nil {
		client = b.client
	}
	resp, err := client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { resp.Body.Close() })
	return &eventReader{t: b.t, resp: resp, r: bufio.NewReader(resp.Body)}
}

// next returns the fields of the next event, without comments; nil at the end.
func (e *eventReader) next() map[string]string {
	e.t.Helper()
	event := map[string]string{}
	for {
		line, err := e.r.ReadString('\n')
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			e.t.Fatal(err)
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" && len(event) > 0 {
			return event
		}
		if name, value, ok := strings.Cut(line, ":"); ok && name != "" {
			event[name] = strings.TrimPrefix(value, " ")
		}
	}
}

func TestEventStreams(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 10)
	b := setup(t, ticking(ended), nil)

	e := b.events("POST", "", `{"query":"subscription { tick { id } }"}`)
	if got := e.resp.Header.Get("Content-Type"); got != "text/event-stream; charset=utf-8" || e.resp.Header.Get("Content-Encoding") != "" {
		t.Errorf("headers %v", e.resp.Header)
	}
	if got := e.next(); got["event"] != "next" || got["data"] != `{"data":{"tick":{"id":"d1"}}}` {
		t.Errorf("first event %v", got)
	}
	if got := e.next(); got["event"] != "complete" {
		t.Errorf("second event %v", got)
	}
	if got := e.next(); got != nil {
		t.Errorf("after complete: %v", got)
	}

	e = b.events("GET", get("subscription { tick { id name } }"), "", "Last-Event-ID", "seen-1")
	if got := e.next(); !strings.Contains(got["data"], `"name":"seen-1"`) {
		t.Errorf("the last event's id did not arrive: %v", got)
	}

	e = b.events("POST", "", `{"query":"mutation { hello }"}`)
	if got := e.next(); !strings.Contains(got["data"], `{"data":{"hello":"world"},"extensions":{"cost"`) {
		t.Errorf("a mutation over POST: %v", got)
	}
	if got := e.next(); got["event"] != "complete" {
		t.Errorf("after the mutation: %v", got)
	}

	e = b.events("GET", get("mutation { hello }"), "")
	if body, _ := io.ReadAll(e.resp.Body); e.resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a mutation over GET: %d %s", e.resp.StatusCode, body)
	}

	e = b.events("POST", "", `{"query":"subscription { gone { id } }"}`)
	if got := e.next(); e.resp.StatusCode != http.StatusOK || !strings.Contains(got["data"], CodeValidationFailed) || strings.Contains(got["data"], `"data"`) {
		t.Errorf("an invalid document: %d %v", e.resp.StatusCode, got)
	}
	if got := e.next(); got["event"] != "complete" {
		t.Errorf("after the refusal: %v", got)
	}
	for name, c := range map[string]struct {
		headers []string
		body    string
		status  int
	}{
		"no credentials": {[]string{"Authorization", "x"}, `{"query":"{ hello }"}`, 401},
		"no JSON":        {nil, `{`, 400},
	} {
		if e := b.events("POST", "", c.body, c.headers...); e.resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d", name, e.resp.StatusCode, c.status)
		}
	}
	eventually(t, "all streams are counted as closed", func() bool { return b.counts.open() == 0 })
}

// everything is what a client sends that can read every kind of answer, here
// urql's.
const everything = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"

// TestEventsAreForThoseWhoPreferThem, and for subscriptions.
func TestEventsAreForThoseWhoPreferThem(t *testing.T) {
	t.Parallel()
	b := setup(t, ticking(make(chan struct{}, 10)), nil)
	const (
		query        = "{ hello }"
		invalid      = "{ gone }"
		subscription = "subscription { tick { id } }"
	)
	for _, c := range []struct {
		name, accept, query, mediaType string
		status                         int
	}{
		{"a query among everything", everything, query, mediaGraphQL, 200},
		{"a refusal among everything", everything, invalid, mediaGraphQL, 400},
		{"a subscription among everything", everything, subscription, mediaEvents, 200},
		{"a mutation among everything", everything, "mutation { hello }", mediaGraphQL, 200},
		{"JSON first", "application/json, text/event-stream;q=0.9", query, mediaJSON, 200},
		{"events first", "text/event-stream, application/json;q=0.9", query, mediaEvents, 200},
		{"a refusal, events first", "text/event-stream, application/json;q=0.9", invalid, mediaEvents, 200},
		{"events or anything", "text/event-stream, */*", query, mediaJSON, 200},
		{"events or anything for a subscription", "text/event-stream;q=0.1, */*", subscription, mediaEvents, 200},
		{"events only", mediaEvents, query, mediaEvents, 200},
		{"events refused", "application/json, text/event-stream;q=0", subscription, mediaJSON, 200},
	} {
		e := b.events("POST", "", fmt.Sprintf(`{"query":%q}`, c.query), "Accept", c.accept)
		if got := e.resp.Header.Get("Content-Type"); got != c.mediaType+"; charset=utf-8" || e.resp.StatusCode != c.status {
			t.Errorf("%s: %d %s, want %d %s", c.name, e.resp.StatusCode, got, c.status, c.mediaType)
		}
	}

	first := b.send("GET", get(query), "", "Accept", everything)
	tag := first.header.Get("ETag")
	if tag == "" || first.Data["hello"] != "world" {
		t.Fatalf("a query among everything has no ETag: %v %s", first.header, first.raw)
	}
	if again := b.send("GET", get(query), "", "Accept", everything, "If-None-Match", tag); again.status != http.StatusNotModified {
		t.Errorf("and again: %d", again.status)
	}
	long := b.post("{ developers(first: 100) { edges { node { id name } } } }", nil, "Accept", everything, "Accept-Encoding", "gzip")
	if long.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("a long one is not compressed: %v", long.header)
	}
	eventually(t, "all streams are counted as closed", func() bool { return b.counts.open() == 0 })
}

// TestQueriesAsEventsAreRequests: they count among the requests in flight, and
// subscriptions among the streams.
func TestQueriesAsEventsAreRequests(t *testing.T) {
	t.Parallel()
	started, release := make(chan struct{}, 1), make(chan struct{})
	resolvers := ticking(make(chan struct{}, 1))
	resolvers["Query.hello"] = func(ctx context.Context, _ any, _ map[string]any) (any, error) {
		started <- struct{}{}
		select {
		case <-release:
			return "world", nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	b := setup(t, resolvers, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.InFlight, o.Limits.Streams = 1, 1
	})
	stream := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`)
	if got := stream.next(); got["event"] != "next" {
		t.Fatalf("a subscription: %v", got)
	}
	query := b.events("POST", "", `{"query":"{ hello }"}`)
	<-started
	if second := b.events("POST", "", `{"query":"{ hello }"}`); second.resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second query as events: %d", second.resp.StatusCode)
	}
	close(release)
	if got := query.next(); !strings.Contains(got["data"], `"hello":"world"`) {
		t.Errorf("the first: %v", got)
	}
}

func TestEventStreamEndsWithItsCredentials(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	b := setup(t, ticking(ended), nil)
	e := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`)
	if got := e.next(); got["event"] != "next" {
		t.Fatalf("first event %v", got)
	}
	b.tokens.set(tokenA, nil)
	if got := e.next(); !strings.Contains(got["data"], CodeUnauthenticated) {
		t.Errorf("after revocation: %v", got)
	}
	if got := e.next(); got["event"] != "complete" {
		t.Errorf("then: %v", got)
	}
	<-ended
}

// TestStreamSurvivesAnUnavailableStore: a database that does not answer says
// nothing about the token.
func TestStreamSurvivesAnUnavailableStore(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	checks := make(chan struct{}, 1000)
	b := setup(t, ticking(ended), func(o *Options) {
		check := o.Authenticate
		o.Authenticate = func(ctx context.Context, bearer string) (context.Context, error) {
			checks <- struct{}{}
			return check(ctx, bearer)
		}
	})
	e := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`)
	if got := e.next(); got["event"] != "next" {
		t.Fatalf("first event %v", got)
	}
	b.tokens.breakWith(errors.New("the database is away"))
	for range 5 {
		<-checks
	}
	select {
	case <-ended:
		t.Fatal("the stream ended while the store was away")
	default:
	}
	b.tokens.breakWith(nil)
	b.tokens.set(tokenA, &auth.Viewer{OrganizationID: "org_a", TokenID: "tok_a", Permission: auth.PermissionRead})
	if got := e.next(); !strings.Contains(got["data"], CodeUnauthenticated) {
		t.Errorf("after the token lost a right: %v", got)
	}
	<-ended
}

func TestEventStreamEndsWithTheServer(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	closing := make(chan struct{})
	b := setup(t, ticking(ended), func(o *Options) { o.Closing = closing })
	e := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`)
	if got := e.next(); got["event"] != "next" {
		t.Fatalf("first event %v", got)
	}
	close(closing)
	if got := e.next(); got != nil {
		t.Errorf("the server stops: %v; a complete would keep the client from coming back", got)
	}
	<-ended
}

func TestEventStreamEndsWithItsClient(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 1)
	b := setup(t, ticking(ended), nil)
	e := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`)
	if got := e.next(); got["event"] != "next" {
		t.Fatalf("first event %v", got)
	}
	e.resp.Body.Close()
	<-ended
	eventually(t, "the stream is counted as closed", func() bool { return b.counts.open() == 0 })
}

func TestStreamsPerPrincipal(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{}, 2)
	b := setup(t, ticking(ended), func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.Streams = 1
	})
	first := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`)
	first.next()
	if second := b.events("POST", "", `{"query":"subscription { tick(count: 1) { id } }"}`); second.resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a second stream: %d", second.resp.StatusCode)
	}
	if resp := b.post("{ hello }", nil); resp.status != http.StatusOK {
		t.Errorf("a request beside the stream: %d", resp.status)
	}
	first.resp.Body.Close()
	<-ended
}

// TestStreamCursors: a resumed stream's cursor is signed and checked like a
// page's.
func TestStreamCursors(t *testing.T) {
	t.Parallel()
	cursors := make(chan string, 1)
	b := setup(t, map[string]transporttest.Resolver{
		"Stream.tick": func(ctx context.Context, _ any, arguments map[string]any) (any, error) {
			signed, err := SignCursor(ctx, cursorEncoding.EncodeToString([]byte("42")))
			if err != nil {
				return nil, err
			}
			cursors <- signed
			events := make(chan any, 1)
			events <- map[string]any{"__typename": "Developer"}
			close(events)
			return (<-chan any)(events), nil
		},
	}, func(o *Options) {
		// The cursor of an event travels in its extensions.
		o.Extensions = []graphql.HandlerExtension{hooks{response: func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
			resp := next(ctx)
			if resp == nil || resp.Data == nil {
				return resp
			}
			signed, err := SignCursor(ctx, cursorEncoding.EncodeToString([]byte("43")))
			if err != nil {
				t.Error(err)
			}
			resp.Extensions["cursor"] = signed
			return resp
		}}}
	})
	e := b.events("POST", "", `{"query":"subscription { tick { __typename } }"}`)
	got := e.next()
	if got["id"] == "" || !strings.Contains(got["data"], got["id"]) {
		t.Errorf("the cursor is not the event's id: %v", got)
	}
	for _, cursor := range []string{<-cursors, got["id"]} {
		e := b.events("POST", "", `{"query":"subscription($c: Cursor) { tick(after: $c) { __typename } }","variables":{"c":"`+cursor+`"}}`)
		if got := e.next(); !strings.Contains(got["data"], `{"tick":{"__typename":"Developer"}}`) {
			t.Errorf("resume: %v", got)
		}
		<-cursors
	}
	e = b.events("POST", "", `{"query":"subscription($c: Cursor) { tick(after: $c) { __typename } }","variables":{"c":"AAAA"}}`)
	if got := e.next(); !strings.Contains(got["data"], "cursor is not from this list") {
		t.Errorf("a forged cursor: %v", got)
	}
}
