package transport

import (
	"context"
	"log/slog"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"purser/auth"
)

// Options are the dependencies and settings of New. Schema, Authenticate and
// CursorKey are required.
type Options struct {
	// AllowedOrigins are the origins (`https://app.example.com`) whose pages
	// may call the endpoint from a browser. The endpoint's own origin always
	// may. Defaults to none.
	AllowedOrigins []string
	// Authenticate turns the value after "Bearer " into a context that carries
	// the viewer. auth.ErrUnauthenticated answers 401 UNAUTHENTICATED; any
	// other error means that the credentials could not be checked and answers
	// 503 UNAVAILABLE. It is called again every Revalidate while a stream is
	// open.
	Authenticate func(ctx context.Context, bearer string) (context.Context, error)
	// Closing ends all open streams when it is closed, so that a server can
	// shut down. Defaults to never.
	Closing <-chan struct{}
	// CursorKey signs pagination cursors: at least 16 bytes, the same on every
	// instance, kept secret.
	CursorKey []byte
	// Extensions are used in the executor after the transport's own, for
	// whatever the resolvers need around operations, fields or answers (an
	// interceptor of responses can give an event its `extensions.cursor`).
	// Defaults to none.
	Extensions []graphql.HandlerExtension
	// Limits bound what one request and one caller may do. Defaults to
	// DefaultLimits().
	Limits *Limits
	// Logger gets one line per operation and one per internal error. Defaults
	// to discarding.
	Logger *slog.Logger
	// Metrics counts operations and streams. Defaults to counting nothing.
	Metrics Metrics
	// Now is the clock of rate limits and token expiry. Defaults to time.Now.
	Now func() time.Time
	// PresentError turns a resolver's error into the one the caller sees. It
	// answers nil, or CodeInternal, for an error it does not know; that is
	// logged and shown as CodeInternal with the request id and no text. An
	// error of this package's type Error never reaches it, and an argument
	// that cannot be read is CodeBadUserInput unless it says otherwise.
	// Defaults to knowing none.
	PresentError graphql.ErrorPresenterFunc
	// Principal names whom limits are counted for. Defaults to the viewer's
	// organization and token or session.
	Principal func(ctx context.Context) string
	// Production leaves suggestions ("did you mean") out of validation errors.
	Production bool
	// Revalidate is the interval at which the credentials of an open stream
	// are checked again. Defaults to 1 s.
	Revalidate time.Duration
	// Schema executes the operations.
	Schema graphql.ExecutableSchema
}

// Metrics observes the endpoint. Implementations must be safe for concurrent
// use and must bound the number of names they keep: the caller chooses them.
type Metrics interface {
	// Operation is called once per query, mutation or finished subscription,
	// and once per refused request. Kind and name are empty when the request
	// was refused before they were known. Code is empty for success, otherwise
	// the code of the first error.
	Operation(kind ast.Operation, name, code string, duration time.Duration)
	// Stream is called with +1 when a WebSocket or an event stream opens and
	// with −1 when it ends.
	Stream(delta int)
}

// Limits bound one request and one caller. Every limit is inclusive.
type Limits struct {
	// BodyBytes bounds an HTTP body and a WebSocket message. 1 MiB.
	BodyBytes int64
	// InitBytes bounds the messages of a WebSocket that has not presented
	// credentials yet. 8 KiB.
	InitBytes int64
	// Values bounds the values in the JSON of a request: numbers, texts, lists,
	// objects and so on, nested ones too. A list in it has at most as many items
	// as the longest that List and Lists allow. 20,000.
	Values int
	// QueryBytes and QueryTokens bound the text of a document. 64 KiB, 4,000.
	QueryBytes  int
	QueryTokens int
	// Depth bounds the nesting of fields after fragment expansion, of values,
	// of types, and of variables. 15.
	Depth int
	// Fields bounds the fields of a document after fragment expansion. 1,000.
	Fields int
	// Selections bounds fields, fragment spreads and inline fragments after
	// expansion. 4,000.
	Selections int
	// SameField bounds how often one response name may be selected at one
	// place, whose cost in the validator is quadratic. 50.
	SameField int
	// RootFields bounds the fields of an operation's root. 20.
	RootFields int
	// Mutations bounds the fields of a mutation's root. 10.
	Mutations int
	// Operations and Fragments bound the definitions of a document. 20, 100.
	Operations int
	Fragments  int
	// Variables bounds the variables an operation declares. 100.
	Variables int
	// Aliases bounds the aliased fields of one selection set. 100.
	Aliases int
	// Directives bounds the directives of a document, DirectivesPerField those
	// at one place. 50, 5.
	Directives         int
	DirectivesPerField int
	// PageSize bounds `first` and `last`; PageDefault is filled in where
	// neither is given. 100, 20.
	PageSize    int
	PageDefault int
	// Nodes bounds the objects that all lists of an operation can return, page
	// sizes and the lengths of lists shown whole multiplied through the nesting.
	// 50,000.
	Nodes int
	// Leaves bounds the fields of those objects, each counted as often as its
	// object can be returned. 1,000,000.
	Leaves int
	// List bounds the length of a list in arguments, Lists that of single
	// ones, named by schema coordinate: "Type.field(argument:)" or
	// "InputType.field". 250; 100 ids for Query.nodes, 1,000 events for a
	// batch of usage.
	List  int
	Lists map[string]int
	// Shown is how many objects a list that is shown whole is taken to have
	// where nodes are counted, Shows that of single ones, named by their field.
	// 10; see DefaultLimits.
	Shown int
	Shows map[string]int
	// VariableBytes bounds the size of all variables, each counted as often as
	// fields use it. 4 MiB.
	VariableBytes int
	// QueryTimeout and MutationTimeout bound the execution. 10 s, 25 s.
	QueryTimeout    time.Duration
	MutationTimeout time.Duration
	// InFlight bounds the requests that one principal has running, Streams the
	// WebSockets and event streams it has open. 20, 100.
	InFlight int
	Streams  int
	// StreamLife is how long a WebSocket or an event stream lasts, as long as
	// a payer session at most; whoever wants more connects again and resumes.
	// 24 h.
	StreamLife time.Duration
	// SocketOperations bounds the operations open on one WebSocket, and
	// SocketInit the time until it has presented credentials. 20, 5 s.
	SocketOperations int
	SocketInit       time.Duration
	// Subscriptions bounds the subscriptions that one principal has open on
	// all its WebSockets, and SubscriptionBytes the variables of one, which are
	// kept as long as it lasts. 200, 64 KiB.
	Subscriptions     int
	SubscriptionBytes int
	// Errors and ErrorBytes bound the errors of one answer. 20, 64 KiB.
	Errors     int
	ErrorBytes int
	// BucketPoints is what a principal may spend at once, RestorePerSecond
	// what it gets back. Events of subscriptions have a bucket of their own, of
	// the same size: a busy stream does not use up what requests need, and
	// slows down where it has spent everything. 1,000, 50.
	BucketPoints     int
	RestorePerSecond int
	// Principals bounds the callers whose buckets are remembered. 10,000.
	Principals int
	// CachedQueries and CachedQueryBytes bound the documents kept parsed, and
	// apart from them the persisted ones, by number and by their text.
	// 1,000, 4 MiB.
	CachedQueries    int
	CachedQueryBytes int
}

// AtRate changes how much each principal may do to so many points a second:
// its bucket holds twenty seconds' worth, and in proportion more or fewer
// requests of it may run at the same time, within 20 and 1,000.
func (l *Limits) AtRate(perSecond int) *Limits {
	const seconds, least, most = 20, 20, 1000
	l.InFlight = min(max(l.InFlight*perSecond/l.RestorePerSecond, least), most)
	l.RestorePerSecond, l.BucketPoints = perSecond, seconds*perSecond
	return l
}

// DefaultLimits returns the limits that docs publish.
func DefaultLimits() *Limits {
	return &Limits{
		BodyBytes:          1 << 20,
		InitBytes:          8 << 10,
		Values:             20000,
		QueryBytes:         64 << 10,
		QueryTokens:        4000,
		Depth:              15,
		Fields:             1000,
		Selections:         4000,
		SameField:          50,
		RootFields:         20,
		Mutations:          10,
		Operations:         20,
		Fragments:          100,
		Variables:          100,
		Aliases:            100,
		Directives:         50,
		DirectivesPerField: 5,
		PageSize:           100,
		PageDefault:        20,
		Nodes:              50000,
		Leaves:             1_000_000,
		List:               250,
		Lists: map[string]int{
			"Query.nodes(ids:)":            100,
			"UsageRecordBatchInput.events": 1000,
		},
		Shown: 10,
		Shows: map[string]int{
			"addresses":       3,
			"balances":        5,
			"currencies":      10,
			"disputes":        2,
			"emailTemplates":  12,
			"exceptions":      50,
			"globalProviders": 5,
			"items":           5,
			"lineItems":       10,
			"prices":          10,
			"providers":       5,
			"refunds":         2,
			"creditNotes":     2,
			"results":         1000,
			"taxes":           3,
			"userErrors":      1,

			"webhookEndpoints": 5,
		},
		VariableBytes:     4 << 20,
		QueryTimeout:      10 * time.Second,
		MutationTimeout:   25 * time.Second,
		InFlight:          20,
		Streams:           100,
		StreamLife:        24 * time.Hour,
		SocketOperations:  20,
		SocketInit:        5 * time.Second,
		Subscriptions:     200,
		SubscriptionBytes: 64 << 10,
		Errors:            20,
		ErrorBytes:        64 << 10,
		BucketPoints:      1000,
		RestorePerSecond:  50,
		Principals:        10000,
		CachedQueries:     1000,
		CachedQueryBytes:  4 << 20,
	}
}

// list returns the bound for the list at a schema coordinate.
func (l *Limits) list(coordinate string) int {
	if n, ok := l.Lists[coordinate]; ok {
		return n
	}
	return l.List
}

// shown returns how long the list that a field shows whole is taken to be.
func (l *Limits) shown(field string) int {
	if n, ok := l.Shows[field]; ok {
		return n
	}
	return l.Shown
}

// listMax returns the largest bound of any list.
func (l *Limits) listMax() int {
	longest := l.List
	for _, n := range l.Lists {
		longest = max(longest, n)
	}
	return longest
}

// viewerPrincipal counts limits per organization and credential.
func viewerPrincipal(ctx context.Context) string {
	v := auth.FromContext(ctx)
	if v == nil {
		return ""
	}
	return v.OrganizationID + "/" + v.Actor()
}

type noMetrics struct{}

func (noMetrics) Operation(ast.Operation, string, string, time.Duration) {}
func (noMetrics) Stream(int)                                             {}
