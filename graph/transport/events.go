package transport

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"purser/auth"
)

const (
	// keepAlive is how often a silent event stream sends a comment and a
	// WebSocket a ping, so that proxies and dead peers are noticed.
	keepAlive = 15 * time.Second
	// writeTimeout bounds one write to a stream: a reader that stops reading
	// must not hold its subscription forever.
	writeTimeout = 10 * time.Second
)

// refusedEvents answers what was refused as events, to a caller that prefers
// them: a browser's EventSource shows nothing of an HTTP error. An error that
// has a status of its own keeps it.
func (s *server) refusedEvents(w http.ResponseWriter, r *http.Request, refused *refusal) {
	if statusOf(refused.list, mediaJSON) != http.StatusOK {
		s.refused(w, r, mediaJSON, refused)
		return
	}
	s.finished(r.Context(), firstCode(refused.response.Errors), 0)
	stream := newEventStream(w)
	if stream.open() == nil && stream.next(s.encode(r.Context(), refused.response), "") == nil {
		_ = stream.complete()
	}
}

// serveEvents carries an operation as server-sent events: `next` per answer,
// then `complete`.
func (s *server) serveEvents(w http.ResponseWriter, r *http.Request, bearer string, op *graphql.OperationContext) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	stream := newEventStream(w)
	viewer := auth.FromContext(ctx)
	if stream.open() != nil {
		return
	}
	s.metrics.Stream(1)
	defer s.metrics.Stream(-1)

	ended, release := s.revalidator.watch(bearer, viewer)
	defer release()
	answers := s.answers(ctx, op)
	ticker, life := time.NewTicker(keepAlive), time.NewTimer(s.limits.StreamLife)
	defer ticker.Stop()
	defer life.Stop()
	for {
		var err error
		select {
		case resp, more := <-answers:
			if !more {
				_ = stream.complete()
				return
			}
			id, _ := resp.Extensions["cursor"].(string)
			err = stream.next(s.encode(ctx, resp), id)
		case <-ticker.C:
			err = stream.comment("ping")
		case <-ended:
			// The answer is the same as on the next request: 401.
			list := s.present(ctx, unauthenticated("the credentials have expired or were revoked").gql())
			if stream.next(s.encode(ctx, &graphql.Response{Errors: gqlerror.List{list}}), "") == nil {
				_ = stream.complete()
			}
			return
		case <-s.closing:
			// Without `complete`: the client is to connect again.
			return
		case <-life.C:
			return // as above
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// answers runs an operation and sends its answers until it ends or ctx does.
// It logs the operation when it is over.
func (s *server) answers(ctx context.Context, op *graphql.OperationContext) <-chan *graphql.Response {
	out := make(chan *graphql.Response)
	go func() {
		defer close(out)
		send := func(resp *graphql.Response) bool {
			select {
			case out <- resp:
				return true
			case <-ctx.Done():
				return false
			}
		}
		if op.Operation.Operation != ast.Subscription {
			send(s.execute(ctx, op))
			return
		}
		start, failure := time.Now(), ""
		defer func() { s.finished(ctx, failure, time.Since(start)) }()
		responses, ctx := s.dispatch(ctx, op)
		for {
			resp, more := s.next(ctx, responses)
			if resp == nil {
				return
			}
			// The executor writes the next answer into the same bytes, while
			// this one may still be on its way.
			resp.Data = bytes.Clone(resp.Data)
			if failure == "" {
				failure = firstCode(resp.Errors)
			}
			if !send(resp) || !more || !s.payEvent(ctx) {
				return
			}
		}
	}()
	return out
}

// payEvent takes the price of a subscription's next event, once one is sent,
// and waits until there is enough for it; the first was paid for with the
// subscription itself. It returns false when ctx has ended.
func (s *server) payEvent(ctx context.Context) bool {
	c := callFrom(ctx)
	for {
		_, seconds, ok := s.buckets.take("events of "+c.principal, c.price)
		if ok {
			return true
		}
		select {
		case <-time.After(time.Duration(seconds) * time.Second):
		case <-ctx.Done():
			return false
		}
	}
}

// eventStream writes server-sent events.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newEventStream(w http.ResponseWriter) *eventStream {
	return &eventStream{w: w, control: http.NewResponseController(w)}
}

func (e *eventStream) open() error {
	h := e.w.Header()
	h.Set("Content-Type", mediaEvents+"; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	h.Add("Vary", "Accept")
	e.w.WriteHeader(http.StatusOK)
	return e.comment("ready")
}

func (e *eventStream) comment(text string) error {
	return e.send(": " + text + "\n\n")
}

// next sends an answer. JSON holds no line break, and an id with one is left
// out, because it could write a field of its own.
func (e *eventStream) next(body []byte, id string) error {
	text := "event: next\n"
	if id != "" && !strings.ContainsAny(id, "\r\n\x00") {
		text += "id: " + id + "\n"
	}
	return e.send(text + "data: " + string(body) + "\n\n")
}

func (e *eventStream) complete() error {
	// An event without data is not dispatched by browsers.
	return e.send("event: complete\ndata:\n\n")
}

func (e *eventStream) send(text string) error {
	// The server's own write timeout counts from the request and would end
	// every stream; writers that know no deadline are tests'.
	_ = e.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	// Lifted again: over HTTP/2 a deadline that passes between two events
	// resets the stream.
	defer func() { _ = e.control.SetWriteDeadline(time.Time{}) }()
	if _, err := e.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := e.control.Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}
