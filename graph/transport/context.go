package transport

import (
	"context"
	"crypto/rand"
	"net/http"
	"regexp"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
)

type contextKey int

const (
	requestIDKey contextKey = iota
	callKey
)

// RequestID returns the id of the request, which stands in the log, in the
// header X-Request-Id and beside INTERNAL errors; empty outside a request.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey).(string)
	return id
}

// IdempotencyKey returns the value of the header Idempotency-Key, empty
// without one. It is only present where the operation has exactly one field
// to apply it to.
func IdempotencyKey(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.idempotencyKey
	}
	return ""
}

// LastEventID returns what a reconnecting event stream says it has seen last
// (the header Last-Event-ID, which repeats an event's `id:`), empty otherwise.
func LastEventID(ctx context.Context) string {
	if c := callFrom(ctx); c != nil {
		return c.lastEventID
	}
	return ""
}

// via is the way an operation came in.
type via int

const (
	viaPost via = iota
	viaGet
	viaSocket
)

// call is what the endpoint knows about one operation. The transport makes
// it, the extensions fill it while the operation is prepared, and from
// execution on it is only read, apart from digests.
type call struct {
	via            via
	events         bool // over POST and GET: the caller takes server-sent events
	principal      string
	organization   string
	idempotencyKey string
	lastEventID    string
	cursors        *cursorSigner

	kind       ast.Operation
	name       string
	fields     int
	nodes      int64
	price      int
	remaining  int
	retryAfter int // seconds, where the bucket was empty

	mu      sync.Mutex
	digests map[*ast.Field][]byte
}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey, c)
}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey).(*call)
	return c
}

// requestIDHeader carries the id of a request in and out.
const requestIDHeader = "X-Request-Id"

// requestIDPattern is what is taken over from a caller: enough for every
// usual id, and nothing that could forge a log line.
var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// TakeRequestID gives a request its id and tells the caller: the one that it
// has already, else the caller's own, else a new one. The id stands in the
// context of the request that is returned.
func TakeRequestID(w http.ResponseWriter, r *http.Request) *http.Request {
	id := RequestID(r.Context())
	if id == "" {
		if id = r.Header.Get(requestIDHeader); !requestIDPattern.MatchString(id) {
			id = rand.Text()
		}
		r = r.WithContext(context.WithValue(r.Context(), requestIDKey, id))
	}
	w.Header().Set(requestIDHeader, id)
	return r
}

// idempotencyKeyBytesMax bounds the header Idempotency-Key, as the domain
// bounds the keys of inputs.
const idempotencyKeyBytesMax = 200

func idempotencyKeyOf(r *http.Request) (string, *Error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", Errorf(CodeBadUserInput, "the header Idempotency-Key is given %d times; once is allowed", len(values))
	}
	key := values[0]
	if len(key) == 0 || len(key) > idempotencyKeyBytesMax {
		return "", Errorf(CodeBadUserInput, "the header Idempotency-Key has %d characters; 1 to %d are allowed", len(key), idempotencyKeyBytesMax)
	}
	for i := range len(key) {
		if key[i] < 0x21 || key[i] > 0x7e {
			return "", Errorf(CodeBadUserInput, "the header Idempotency-Key may hold printable ASCII without blanks only")
		}
	}
	return key, nil
}
