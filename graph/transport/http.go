package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"purser/auth"
)

// Endpoint is the GraphQL endpoint.
type Endpoint interface {
	http.Handler
	// Guard holds another handler, which only answers what it is asked, to the
	// endpoint's rules: origins, credentials, the caller's bucket and how much
	// it may have running. next finds the viewer in the context.
	Guard(next http.Handler) http.Handler
}

// server is the handler that New returns.
type server struct {
	authenticate func(ctx context.Context, bearer string) (context.Context, error)
	closing      <-chan struct{}
	cursors      *cursorSigner
	exec         *executor.Executor
	limits       *Limits
	logger       *slog.Logger
	metrics      Metrics
	now          func() time.Time
	origins      *origins
	presentError graphql.ErrorPresenterFunc
	principal    func(ctx context.Context) string

	buckets       *buckets
	requests      *gauge
	streams       *gauge
	subscriptions *gauge // on WebSockets
	revalidator   *revalidator
}

// cursorKeyBytesMin is the shortest key that signs cursors.
const cursorKeyBytesMin = 16

// New returns the handler of the GraphQL endpoint. The error says which origin
// is malformed: a person has set it. It panics where a required option is
// missing, which is a mistake in the program.
func New(o Options) (Endpoint, error) {
	switch {
	case o.Schema == nil:
		panic("transport: Options.Schema is required")
	case o.Authenticate == nil:
		panic("transport: Options.Authenticate is required")
	case len(o.CursorKey) < cursorKeyBytesMin:
		panic("transport: Options.CursorKey needs at least 16 bytes")
	}
	sources, err := newOrigins(o.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	if o.Limits == nil {
		o.Limits = DefaultLimits()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Principal == nil {
		o.Principal = viewerPrincipal
	}
	if o.Revalidate <= 0 {
		o.Revalidate = time.Second
	}

	s := &server{
		authenticate:  o.Authenticate,
		closing:       o.Closing,
		cursors:       &cursorSigner{key: o.CursorKey, schema: o.Schema.Schema()},
		exec:          executor.New(o.Schema),
		limits:        o.Limits,
		logger:        o.Logger,
		metrics:       o.Metrics,
		now:           o.Now,
		origins:       sources,
		presentError:  o.PresentError,
		principal:     o.Principal,
		buckets:       newBuckets(o.Limits, o.Now),
		requests:      newGauge(o.Limits.InFlight),
		streams:       newGauge(o.Limits.Streams),
		subscriptions: newGauge(o.Limits.Subscriptions),
		revalidator:   newRevalidator(o.Authenticate, o.Revalidate),
	}
	p := &pages{limits: o.Limits}
	documents := newDocumentCache(o.Limits, p)
	s.exec.SetErrorPresenter(s.present)
	s.exec.SetRecoverFunc(s.recovered)
	s.exec.SetQueryCache(documents)
	if o.Production {
		s.exec.SetDisableSuggestion(true)
		s.exec.SetDefaultRulesFn(rulesWithoutSuggestions)
	}
	s.exec.Use(&gate{limits: o.Limits, documents: documents, persisted: newPersistedQueries(o.Limits)})
	s.exec.Use(&admission{limits: o.Limits, pages: p, buckets: s.buckets, schema: o.Schema.Schema()})
	for _, extension := range o.Extensions {
		s.exec.Use(extension)
	}
	return s, nil
}

// rulesWithoutSuggestions are the validator's rules without "did you mean".
// The executor's switch exchanges two of the five that suggest.
func rulesWithoutSuggestions() *rules.Rules {
	r := rules.NewDefaultRules()
	for name, silent := range map[string]core.Rule{
		rules.KnownArgumentNamesRule.Name:  rules.KnownArgumentNamesRuleWithoutSuggestions,
		rules.KnownTypeNamesRule.Name:      rules.KnownTypeNamesRuleWithoutSuggestions,
		rules.ValuesOfCorrectTypeRule.Name: rules.ValuesOfCorrectTypeRuleWithoutSuggestions,
	} {
		r.RemoveRule(name)
		r.AddRule(silent.Name, silent.RuleFunc)
	}
	return r
}

// ServeHTTP answers one request or carries one stream.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = TakeRequestID(w, r)
	secure(w.Header())
	s.origins.cors(w, r)
	defer s.recoverRequest(w, r)

	if isUpgrade(r) {
		s.serveSocket(w, r)
		return
	}
	switch r.Method {
	case http.MethodOptions:
		w.Header().Set("Allow", allowedMethods)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet, http.MethodPost:
		s.serve(w, r)
	default:
		w.Header().Set("Allow", allowedMethods)
		e := Errorf(CodeBadUserInput, "the method %s is not accepted; use POST, or GET for queries", cut(r.Method, 16))
		e.status = http.StatusMethodNotAllowed
		s.fail(w, r, e)
	}
}

// recoverRequest answers INTERNAL after a panic in this package. The
// executor's panics never come this far.
func (s *server) recoverRequest(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(p)
	}
	s.logger.ErrorContext(r.Context(), "panic in the graphql endpoint",
		slog.String("request_id", RequestID(r.Context())),
		slog.Any("panic", p),
		slog.String("stack", string(debug.Stack())))
	s.fail(w, r, Errorf(CodeInternal, "internal error"))
}

// serve carries an operation over POST or GET, answered once or as events.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	if err := s.origins.protection.Check(r); err != nil {
		e := Errorf(CodeForbidden, "requests from this origin are not accepted")
		e.status = http.StatusForbidden
		s.fail(w, r, e)
		return
	}

	bearer, ctx, bad := s.credentials(r)
	if bad != nil {
		if bad.Code == CodeUnauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="purser"`)
		}
		s.fail(w, r, bad)
		return
	}
	c := s.newCall(ctx)
	if r.Method == http.MethodGet {
		c.via = viaGet
	}
	wanted := negotiate(r)
	c.events = wanted.events
	ctx = withCall(ctx, c)
	r = r.WithContext(ctx)

	if _, wait, ok := s.buckets.take(c.principal, 1); !ok {
		s.failLater(w, r, rateLimited(wait), wait)
		return
	}
	if !s.requests.enter(c.principal) {
		s.failLater(w, r, tooManyAtOnce("requests are running", s.limits.InFlight), 1)
		return
	}
	leave := sync.OnceFunc(func() { s.requests.leave(c.principal) })
	defer leave()

	params, bad := s.read(w, r, c)
	if bad != nil {
		s.fail(w, r, bad)
		return
	}
	op, refused := s.prepare(ctx, params)
	switch {
	case refused != nil && wanted.eventsFirst:
		s.refusedEvents(w, r, refused)
	case refused != nil:
		s.refused(w, r, wanted.mediaType, refused)
	case op.Operation.Operation == ast.Subscription:
		if !s.streams.enter(c.principal) {
			s.failLater(w, r, tooManyAtOnce("streams are open", s.limits.Streams), 1)
			return
		}
		defer s.streams.leave(c.principal)
		leave()
		s.serveEvents(w, r, bearer, op)
	case wanted.eventsFirst:
		s.serveEvents(w, r, bearer, op)
	default:
		s.write(w, r, http.StatusOK, wanted.mediaType, s.execute(ctx, op))
	}
}

// read reads what a request brings: key, last event and parameters.
func (s *server) read(w http.ResponseWriter, r *http.Request, c *call) (*graphql.RawParams, *Error) {
	var bad *Error
	if c.idempotencyKey, bad = idempotencyKeyOf(r); bad != nil {
		bad.status = http.StatusBadRequest
		return nil, bad
	}
	c.lastEventID = r.Header.Get("Last-Event-ID")
	var params *graphql.RawParams
	if r.Method == http.MethodGet {
		params, bad = s.readURL(r)
	} else {
		params, bad = s.readBody(w, r)
	}
	if bad != nil {
		return nil, bad
	}
	params.Headers = r.Header
	return params, nil
}

// refused answers a request whose document, variables or price was refused.
func (s *server) refused(w http.ResponseWriter, r *http.Request, mediaType string, refused *refusal) {
	ctx := r.Context()
	if wait := callFrom(ctx).retryAfter; wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(wait))
	}
	status := statusOf(refused.list, mediaType)
	if status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", http.MethodPost)
	}
	s.finished(ctx, firstCode(refused.response.Errors), 0)
	s.write(w, r, status, mediaType, refused.response)
}

// failLater answers an error that will pass.
func (s *server) failLater(w http.ResponseWriter, r *http.Request, e *Error, seconds int) {
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	s.fail(w, r, e)
}

func tooManyAtOnce(what string, limit int) *Error {
	e := Errorf(CodeRateLimited, "%d %s already, which is the limit; wait for one to end", limit, what)
	e.Extensions = map[string]any{"retryAfterSeconds": 1}
	return e
}

// credentials reads and checks the bearer token of a request.
func (s *server) credentials(r *http.Request) (bearer string, _ context.Context, _ *Error) {
	bearer = bearerOf(r.Header.Get("Authorization"))
	if bearer == "" {
		return "", nil, unauthenticated("credentials are required: Authorization: Bearer …")
	}
	ctx, bad := s.check(r.Context(), bearer)
	return bearer, ctx, bad
}

// check calls the given Authenticate.
func (s *server) check(ctx context.Context, bearer string) (context.Context, *Error) {
	out, err := s.authenticate(ctx, bearer)
	switch {
	case err == nil:
		return out, nil
	case errors.Is(err, auth.ErrUnauthenticated):
		return nil, unauthenticated("the credentials are unknown, expired or revoked")
	default:
		if ctx.Err() == nil {
			s.logger.ErrorContext(ctx, "credentials cannot be checked",
				slog.String("request_id", RequestID(ctx)), slog.Any("error", err))
		}
		return nil, Errorf(CodeUnavailable, "credentials cannot be checked now; try again")
	}
}

func unauthenticated(message string) *Error {
	e := Errorf(CodeUnauthenticated, "%s", message)
	e.status = http.StatusUnauthorized
	return e
}

// bearerOf returns the token of an Authorization value, empty where it holds
// none.
func bearerOf(header string) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(header), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (s *server) newCall(ctx context.Context) *call {
	c := &call{principal: s.principal(ctx), cursors: s.cursors}
	if v := auth.FromContext(ctx); v != nil {
		c.organization = v.OrganizationID
	}
	return c
}
