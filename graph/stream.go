package graph

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/graph/transport"
)

// position is where an object stands in the order in which objects changed.
type position struct {
	at time.Time
	id string
}

// positionsAtOnce is how many changed objects are looked up in one statement.
const positionsAtOnce = 100

// feed is a kind of object as a stream sends it, in the shape that the
// document asks for and as far as the caller may see it.
type feed[T any] struct {
	kind billing.ChangeKind
	// wants says whether a change may be one that the stream is about.
	wants func(billing.Change) bool
	// changed lists the positions after one, in order.
	changed func(ctx context.Context, after position, limit int) ([]position, error)
	// read reads an object and its position; nil where the stream is not
	// about it.
	read func(ctx context.Context, id string) (*T, position, error)
}

// follow sends the objects of a feed: with a cursor first what changed since,
// then what changes, each state once.
func follow[T any](ctx context.Context, r *Resolver, after *ent.Cursor, f feed[T]) (<-chan *T, error) {
	state := streamFrom(ctx)
	if state == nil {
		return nil, fmt.Errorf("stream of %s: no operation in the context", f.kind)
	}
	since, err := resumed(ctx, after)
	if err != nil {
		return nil, err
	}
	s := &following[T]{feed: f, state: state, progress: since, out: make(chan *T)}
	if since == nil {
		s.begin = r.Billing.TimeIn(ctx)
		s.progress = newProgress(s.begin)
	}
	// Listening comes before reading, so that nothing falls in between.
	changes := r.Billing.Changes().Watch(ctx, organizationID(ctx), f.kind, f.wants)
	go func() {
		defer close(s.out)
		if err := s.run(ctx, changes); err != nil && ctx.Err() == nil {
			state.fail(err)
		}
	}()
	return s.out, nil
}

// following is one stream under way.
type following[T any] struct {
	feed[T]
	// begin is when a stream that resumes nothing has begun.
	begin    time.Time
	state    *streamState
	progress *progress
	out      chan *T
}

func (s *following[T]) run(ctx context.Context, changes *billing.Watch) error {
	err := s.each(ctx, func(p position) error {
		if p.at.Before(s.begin) {
			// It changed a moment ago, which is not what was asked for.
			s.progress.add(p.id, p.at)
			return nil
		}
		return s.send(ctx, p)
	})
	if err != nil {
		return err
	}
	for {
		c, more := changes.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case !more:
			return errLagging()
		}
		if err := s.send(ctx, position{c.At, c.ID}); err != nil {
			return err
		}
	}
}

// errLagging tells a reader that is too slow for what changes.
func errLagging() error {
	return transport.Errorf(transport.CodeUnavailable, "the stream was read too slowly and has ended: subscribe again, with the last extensions.cursor as after")
}

// each calls f for all positions since the progress began, page by page.
func (s *following[T]) each(ctx context.Context, f func(position) error) error {
	for at := (position{at: s.progress.from}); ; {
		page, err := s.changed(ctx, at, positionsAtOnce)
		if err != nil {
			return fmt.Errorf("list changes of %s: %w", s.kind, err)
		}
		for _, p := range page {
			if err := f(p); err != nil {
				return err
			}
		}
		if len(page) < positionsAtOnce {
			return nil
		}
		at = page[len(page)-1]
	}
}

// eventTimeout bounds the reading of one event's object and of all that its
// document asks for beside it, as a query is bounded.
const eventTimeout = 10 * time.Second

func (s *following[T]) readInTime(ctx context.Context, id string) (*T, position, error) {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	object, p, err := s.read(ctx, id)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, position{}, transport.Errorf(transport.CodeUnavailable, "an event took too long to read, and the stream has ended: subscribe again, with the last extensions.cursor as after")
	case err != nil:
		return nil, position{}, fmt.Errorf("read %s %s: %w", s.kind, id, err)
	}
	return object, p, nil
}

// send sends an object that has changed as it stands, unless it was sent as it
// stands.
func (s *following[T]) send(ctx context.Context, changed position) error {
	object, p, err := s.readInTime(ctx, changed.id)
	if err != nil {
		return err
	}
	s.progress.reach(changed.at)
	if object == nil || !s.progress.add(p.id, p.at) {
		return nil
	}
	// The cursor is there before the object whose answer takes it.
	s.state.push(s.progress.String())
	select {
	case s.out <- object:
		return nil
	case <-ctx.Done():
		return nil
	}
}

// resumed is the progress that a reader resumes from, told by the argument or
// by the header with which browsers resume an event stream; nil for none.
func resumed(ctx context.Context, after *ent.Cursor) (*progress, error) {
	if after == nil {
		var err error
		if after, err = lastEvent(ctx); after == nil || err != nil {
			return nil, err
		}
	}
	p, err := parseProgress(after.ID)
	if err != nil {
		return nil, errNoCursor()
	}
	return p, nil
}

func errNoCursor() error { return badInputf("cursor is not from this stream") }

// lastEvent is the cursor of the header Last-Event-ID; nil without one. The
// transport has checked the arguments, not the header, so it is signed anew.
func lastEvent(ctx context.Context) (*ent.Cursor, error) {
	given := transport.LastEventID(ctx)
	if given == "" {
		return nil, nil
	}
	raw, err := transport.CursorPayload(given)
	if err != nil {
		return nil, errNoCursor()
	}
	signed, err := transport.SignCursor(ctx, raw)
	if err != nil {
		return nil, err
	}
	var c ent.Cursor
	if subtle.ConstantTimeCompare([]byte(signed), []byte(given)) != 1 || c.UnmarshalGQL(raw) != nil {
		return nil, errNoCursor()
	}
	return &c, nil
}

// changeOfPayer says whether a change is of the payer that a stream asks for, and of
// the only one that a session sees.
func changeOfPayer(ctx context.Context, payerID *string) func(billing.Change) bool {
	own := auth.FromContext(ctx).PayerID
	return func(c billing.Change) bool {
		return (payerID == nil || c.PayerID == *payerID) && (own == "" || c.PayerID == own)
	}
}

// streamState is what one subscription hands from its resolver to its answers:
// the cursor of each event, in order, and why it has ended.
type streamState struct {
	mu      sync.Mutex
	cursors []string
	failure error
}

type streamKey struct{}

func streamFrom(ctx context.Context) *streamState {
	s, _ := ctx.Value(streamKey{}).(*streamState)
	return s
}

func (s *streamState) push(cursor string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cursors = append(s.cursors, cursor)
}

func (s *streamState) pop() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.cursors) == 0 {
		return "", false
	}
	cursor := s.cursors[0]
	s.cursors = s.cursors[1:]
	return cursor, true
}

func (s *streamState) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// takeFailure returns why the subscription has ended, once.
func (s *streamState) takeFailure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.failure
	s.failure = nil
	return err
}

// streams gives every event of a subscription its `extensions.cursor`, and a
// subscription that cannot go on an error as its last answer.
type streams struct{}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationInterceptor
	graphql.ResponseInterceptor
} = streams{}

// ExtensionName names the extension in gqlgen's diagnostics.
func (streams) ExtensionName() string { return "Streams" }

// Validate accepts every schema.
func (streams) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation gives a subscription its state.
func (streams) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	if graphql.GetOperationContext(ctx).Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	return next(context.WithValue(ctx, streamKey{}, &streamState{}))
}

// extensionCursor is where an event's cursor stands in its answer.
const extensionCursor = "cursor"

// InterceptResponse completes one answer.
func (streams) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	state := streamFrom(ctx)
	response := next(ctx)
	switch {
	case state == nil:
		return response
	case response == nil:
		err := state.takeFailure()
		if err == nil {
			return nil
		}
		graphql.AddError(ctx, err)
		return &graphql.Response{Errors: graphql.GetErrors(ctx)}
	}
	if cursor, ok := state.pop(); ok {
		signed, err := signedCursor(ctx, cursor)
		if err != nil {
			graphql.AddError(ctx, err)
			return &graphql.Response{Errors: graphql.GetErrors(ctx)}
		}
		if response.Extensions == nil {
			response.Extensions = map[string]any{}
		}
		response.Extensions[extensionCursor] = signed
	}
	return response
}

// signedCursor is a progress as the public cursor that `after` takes.
func signedCursor(ctx context.Context, progress string) (string, error) {
	var raw strings.Builder
	ent.Cursor{ID: progress}.MarshalGQL(&raw)
	return transport.SignCursor(ctx, strings.Trim(raw.String(), `"`))
}
