package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// admission is the last check before an operation may run: what the way it
// came in allows, what the survey of its pages and lists finds, and its price.
type admission struct {
	limits  *Limits
	pages   *pages
	buckets *buckets
	schema  *ast.Schema
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationContextMutator
	graphql.ResponseInterceptor
} = (*admission)(nil)

// ExtensionName names the extension in gqlgen's diagnostics.
func (a *admission) ExtensionName() string { return "Admission" }

// Validate accepts every schema.
func (a *admission) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationContext admits or refuses a validated operation.
func (a *admission) MutateOperationContext(ctx context.Context, op *graphql.OperationContext) *gqlerror.Error {
	c := callFrom(ctx)
	c.kind, c.name = op.Operation.Operation, op.Operation.Name
	// Whoever came this far has credentials.
	op.DisableIntrospection = false

	if bad := allowed(c); bad != nil {
		return bad.gql()
	}
	s := &survey{
		limits: a.limits, pages: a.pages, schema: a.schema,
		document: op.Doc, operation: op.Operation, variables: op.Variables, call: c,
	}
	if bad := s.run(); bad != nil {
		return bad.gql()
	}
	if n := sizeOf(op.Variables); c.kind == ast.Subscription && n > int64(a.limits.SubscriptionBytes) {
		return limitError("bytes of a subscription's variables", n, int64(a.limits.SubscriptionBytes)).gql()
	}
	c.fields, c.nodes = s.fields, s.nodes
	mutation := c.kind == ast.Mutation
	if c.idempotencyKey != "" {
		if mutation && s.roots > 1 {
			return Errorf(CodeBadUserInput,
				"the header Idempotency-Key belongs to one mutation; the operation has %d: set idempotencyKey in their inputs", s.roots).gql()
		}
		if !mutation {
			c.idempotencyKey = ""
		}
	}

	// One point was taken before the document was read.
	c.price = price(mutation, s.fields, s.nodes, a.limits)
	remaining, wait, ok := a.buckets.take(c.principal, c.price-1)
	c.remaining = remaining
	if !ok {
		c.retryAfter = wait
		return rateLimited(wait).gql()
	}
	return nil
}

// allowed holds each way in to the operations it may carry.
func allowed(c *call) *Error {
	switch {
	case c.kind == ast.Mutation && c.via == viaGet:
		e := Errorf(CodeBadUserInput, "mutations are accepted over POST only")
		e.status = http.StatusMethodNotAllowed
		return e
	case c.kind == ast.Mutation && c.via == viaSocket:
		return Errorf(CodeBadUserInput, "mutations are not accepted over WebSocket: send them over POST")
	case c.kind == ast.Subscription && c.via != viaSocket && !c.events:
		return Errorf(CodeBadUserInput, "subscriptions need WebSocket or an event stream (Accept: text/event-stream)")
	}
	return nil
}

func rateLimited(seconds int) *Error {
	e := Errorf(CodeRateLimited, "too many points spent; try again in %d s", seconds)
	e.Extensions = map[string]any{"retryAfterSeconds": seconds}
	return e
}

// InterceptResponse cuts the errors to size and tells what the operation cost.
func (a *admission) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	resp := next(ctx)
	if resp == nil {
		return nil
	}
	resp.Errors = limitErrors(resp.Errors, a.limits)
	c := callFrom(ctx)
	if c.price > 0 && c.kind != ast.Subscription {
		if resp.Extensions == nil {
			resp.Extensions = map[string]any{}
		}
		resp.Extensions["cost"] = cost{
			Requested: c.price, Remaining: c.remaining,
			Limit: a.limits.BucketPoints, RestoreRate: a.limits.RestorePerSecond,
		}
	}
	return resp
}

// cost is `extensions.cost`, in points and points per second.
type cost struct {
	Requested   int `json:"requested"`
	Remaining   int `json:"remaining"`
	Limit       int `json:"limit"`
	RestoreRate int `json:"restoreRate"`
}

// prepare turns parameters into an operation that may run, or into the answer
// that refuses it.
func (s *server) prepare(ctx context.Context, params *graphql.RawParams) (op *graphql.OperationContext, refused *refusal) {
	ctx = graphql.StartOperationTrace(ctx)
	defer func() {
		if p := recover(); p != nil {
			op, refused = nil, s.refuse(ctx, gqlerror.List{gqlerror.Wrap(s.recovered(ctx, p))})
		}
	}()
	now := graphql.Now()
	params.ReadTime = graphql.TraceTiming{Start: now, End: now}
	op, list := s.exec.CreateOperationContext(ctx, params)
	if len(list) > 0 {
		if op != nil {
			ctx = graphql.WithOperationContext(ctx, op)
		}
		return nil, s.refuse(ctx, list)
	}
	return op, nil
}

// refusal is a presented request error with the list it came from, which
// still knows the HTTP status.
type refusal struct {
	response *graphql.Response
	list     gqlerror.List
}

func (s *server) refuse(ctx context.Context, list gqlerror.List) *refusal {
	return &refusal{response: s.failure(ctx, list), list: list}
}

// failure presents errors as an answer. An extension may swallow what the
// executor makes of them; the caller gets an answer all the same.
func (s *server) failure(ctx context.Context, list gqlerror.List) *graphql.Response {
	if resp := s.exec.DispatchError(ctx, list); resp != nil {
		return resp
	}
	return &graphql.Response{Errors: gqlerror.List{s.present(ctx, list[0])}}
}

// execute runs a query or a mutation to its one answer.
func (s *server) execute(ctx context.Context, op *graphql.OperationContext) *graphql.Response {
	ctx, cancel := s.deadline(ctx, op.Operation.Operation)
	defer cancel()
	start := time.Now()
	responses, inner := s.dispatch(ctx, op)
	resp, _ := s.next(inner, responses)
	if resp == nil {
		// The executor answers nothing once the context has ended.
		err := context.Cause(ctx)
		if err == nil {
			err = errors.New("the executor gave no answer")
		}
		resp = s.failure(inner, gqlerror.List{gqlerror.Wrap(err)})
	}
	s.finished(ctx, firstCode(resp.Errors), time.Since(start))
	return resp
}

// deadline bounds an operation by its kind. Subscriptions end with their
// stream.
func (s *server) deadline(ctx context.Context, kind ast.Operation) (context.Context, context.CancelFunc) {
	switch kind {
	case ast.Mutation:
		return context.WithTimeout(ctx, s.limits.MutationTimeout)
	case ast.Subscription:
		return context.WithCancel(ctx)
	default:
		return context.WithTimeout(ctx, s.limits.QueryTimeout)
	}
}

// dispatch starts the operation; a panic on the way becomes its one answer.
func (s *server) dispatch(ctx context.Context, op *graphql.OperationContext) (responses graphql.ResponseHandler, out context.Context) {
	defer func() {
		if p := recover(); p != nil {
			out = graphql.WithOperationContext(ctx, op)
			responses = graphql.OneShot(s.failure(out, gqlerror.List{gqlerror.Wrap(s.recovered(ctx, p))}))
		}
	}()
	return s.exec.DispatchOperation(ctx, op)
}

// next takes one answer of an operation; more is false when it was the last,
// because the operation has panicked. Nothing above it recovers in a stream's
// own goroutine, and a panic there would end the process.
func (s *server) next(ctx context.Context, responses graphql.ResponseHandler) (resp *graphql.Response, more bool) {
	defer func() {
		if p := recover(); p != nil {
			resp = s.failure(ctx, gqlerror.List{gqlerror.Wrap(s.recovered(ctx, p))})
			more = false
		}
	}()
	return responses(ctx), true
}

// finished counts and logs an operation, once.
func (s *server) finished(ctx context.Context, code string, duration time.Duration) {
	c := callFrom(ctx)
	s.metrics.Operation(c.kind, c.name, code, duration)
	s.logger.InfoContext(ctx, "graphql operation",
		slog.String("request_id", RequestID(ctx)),
		slog.String("principal", c.principal),
		slog.String("kind", string(c.kind)),
		slog.String("name", cut(c.name, 64)),
		slog.String("code", code),
		slog.Int("fields", c.fields),
		slog.Int("points", c.price),
		slog.Duration("duration", duration))
}
