package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"purser/graph/transport/transporttest"
)

// TestUnknownErrorsStayInside: what a resolver's error says is for the log.
func TestUnknownErrorsStayInside(t *testing.T) {
	t.Parallel()
	b := setup(t, map[string]transporttest.Resolver{
		"Query.payer": func(context.Context, any, map[string]any) (any, error) { panic("panic with secret words") },
		"Query.node": func(context.Context, any, map[string]any) (any, error) {
			return nil, Errorf(CodeForbidden, "not yours")
		},
		"Query.nodes": func(context.Context, any, map[string]any) (any, error) {
			// An error that borrows a known code around an unknown cause.
			return nil, gqlerror.Wrap(errors.New("wrapped secret"))
		},
	}, nil)
	for _, query := range []string{
		`{ fail(with: "pq: duplicate key value secret") }`,
		`{ payer { id } }`,
		`{ nodes(ids: ["x"]) { id } }`,
	} {
		resp := b.post(query, nil)
		if resp.code() != CodeInternal || resp.message() != "internal error" || strings.Contains(resp.raw, "duplicate") ||
			strings.Contains(resp.raw, "wrapped") || strings.Contains(resp.raw, "words") {
			t.Errorf("%s: %s", query, resp.raw)
		}
		if len(resp.Errors) != 1 || len(resp.Errors[0].Path) != 1 || resp.Errors[0].Extensions["requestId"] == "" {
			t.Errorf("%s: no path or request id: %s", query, resp.raw)
		}
	}
	for _, word := range []string{"duplicate key", "wrapped secret", "secret words", "stack="} {
		if !strings.Contains(b.log.String(), word) {
			t.Errorf("%q is not in the log", word)
		}
	}
	resp := b.post(`{ node(id: "x") { id } }`, nil)
	if resp.code() != CodeForbidden || resp.message() != "not yours" || resp.Errors[0].Path[0] != "node" {
		t.Errorf("an error of ours: %s", resp.raw)
	}
}

// TestGivenPresenter decides about the errors that are not the transport's.
func TestGivenPresenter(t *testing.T) {
	t.Parallel()
	errGone := errors.New("gone")
	kept := &gqlerror.Error{Message: "it is gone", Extensions: map[string]any{"code": CodeUnavailable}}
	b := setup(t, map[string]transporttest.Resolver{
		"Query.payer": func(context.Context, any, map[string]any) (any, error) { return nil, errGone },
	}, func(o *Options) {
		o.PresentError = func(_ context.Context, err error) *gqlerror.Error {
			if errors.Is(err, errGone) {
				return kept
			}
			return nil
		}
	})
	resp := b.post("{ payer { id } }", nil)
	if resp.code() != CodeUnavailable || resp.message() != "it is gone" || resp.Errors[0].Extensions["requestId"] == nil {
		t.Errorf("presented: %s", resp.raw)
	}
	if len(kept.Extensions) != 1 {
		t.Errorf("the presenter's own error was changed: %v", kept.Extensions)
	}
	if resp := b.post(`{ fail(with: "secret") }`, nil); resp.code() != CodeInternal || strings.Contains(resp.raw, "secret") {
		t.Errorf("an error the presenter does not know: %s", resp.raw)
	}
	if resp := b.post(`{`, nil); resp.code() != CodeParseFailed {
		t.Errorf("the transport's own: %s", resp.raw)
	}
}

// TestArgumentsThatCannotBeRead are the caller's business, in words that
// name nothing of Go.
func TestArgumentsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	var refusal error
	b := setup(t, nil, func(o *Options) {
		schema := transporttest.New(basicResolvers())
		schema.ReadArguments = map[string]func(map[string]any) error{
			"Query.echo": func(map[string]any) error { return refusal },
		}
		o.Schema = schema
	})
	for text, want := range map[string]string{
		"the amount has three digits, two are allowed":    "the amount has three digits, two are allowed",
		"json.Number is not a string":                     "the value of an argument cannot be read",
		"map[string]interface {} is not a Decimal":        "the value of an argument cannot be read",
		"strconv.ParseInt: parsing \"x\": invalid syntax": "the value of an argument cannot be read",
		"*model.Thing cannot be null":                     "the value of an argument cannot be read",
	} {
		refusal = errors.New(text)
		resp := b.post(`{ echo(text: "x") }`, nil)
		if resp.code() != CodeBadUserInput || resp.message() != want || len(resp.Errors[0].Path) != 1 {
			t.Errorf("%q: %s", text, resp.raw)
		}
	}
	if strings.Contains(b.log.String(), "internal error") {
		t.Error("a caller's mistake was logged as ours")
	}
}

// TestValuesThatDoNotFit are told in words of GraphQL, whatever reads them.
func TestValuesThatDoNotFit(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, c := range []struct {
		name, query, variables, message string
	}{
		{"an object for an id", "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", `{"ids":[{}]}`, "the value is not of the type ID"},
		{"a list for an id", "query($ids: [ID!]!) { nodes(ids: $ids) { id } }", `{"ids":[[]]}`, "the value is not of the type ID"},
		{"a boolean for a number", "query($n: Int) { developers(first: $n) { totalCount } }", `{"n":true}`, "the value is not of the type Int"},
		{"a fraction", "query($n: Int) { developers(first: $n) { totalCount } }", `{"n":1.5}`, "the value is not of the type Int"},
		{"a number beyond all", "query($n: Int) { developers(first: $n) { totalCount } }", `{"n":1e300}`, "the value is not of the type Int"},
		{"a text for a page size", "query($n: Int) { developers(first: $n) { totalCount } }", `{"n":"7"}`, "first is 7; 1 to 100 are allowed"},
		{"a list for an object", "query($w: InvoiceFilter) { echo(where: $w) }", `{"w":[1]}`, "the value is not of the type InvoiceFilter"},
		{"no operation named", "query A { hello } query B { hello }", "{}", "operationName must name one of the document's operations"},
	} {
		resp := b.send("POST", "", fmt.Sprintf(`{"query":%q,"variables":%s}`, c.query, c.variables))
		if len(resp.Errors) != 1 || !strings.Contains(resp.message(), c.message) {
			t.Errorf("%s: %s, want %q", c.name, resp.raw, c.message)
		}
	}
}

func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, map[string]transporttest.Resolver{
		"Developer.name": func(context.Context, any, map[string]any) (any, error) {
			return nil, Errorf(CodeBadUserInput, "%s", strings.Repeat("ä", 10_000))
		},
		"Developer.friend": func(context.Context, any, map[string]any) (any, error) {
			return nil, errors.New("x")
		},
	}, nil)
	resp := b.post("{ "+repeat(20, func(i int) string { return fmt.Sprintf("a%d: payer { %s } ", i, friends(20)) })+"}", nil)
	if len(resp.Errors) != 20 || resp.Errors[19].Extensions["errorsOmitted"] != 380.0 {
		t.Errorf("%d errors, the last is %v", len(resp.Errors), resp.Errors[len(resp.Errors)-1])
	}
	resp = b.post("{ "+repeat(20, func(i int) string { return fmt.Sprintf("a%d: payer { name } ", i) })+"}", nil)
	if n := len(resp.Errors[0].Message); n > messageBytesMax+4 {
		t.Errorf("a message of %d bytes", n)
	}
	if len(resp.raw) > 80<<10 {
		t.Errorf("an answer of %d bytes", len(resp.raw))
	}
	unknown := b.post("{ payer { "+repeat(900, func(i int) string { return fmt.Sprintf("unknown%d ", i) })+"} }", nil)
	if len(unknown.Errors) != 20 || unknown.code() != CodeValidationFailed {
		t.Errorf("%d validation errors", len(unknown.Errors))
	}

	list := gqlerror.List{
		{Message: strings.Repeat("x", 40<<10)},
		{Message: strings.Repeat("y", 40<<10)},
		{Message: "z", Extensions: map[string]any{"bad": func() {}}},
	}
	short := limitErrors(list, DefaultLimits())
	if len(short) != 1 || short[0].Extensions["errorsOmitted"] != 2 {
		t.Errorf("%d errors of 80 KiB", len(short))
	}
	if list[0].Extensions != nil {
		t.Error("the given error was changed")
	}
	if whole := limitErrors(list[2:], DefaultLimits()); len(whole) != 1 || whole[0].Message != "z" || whole[0].Extensions["bad"] != nil {
		t.Errorf("extensions that are no JSON: %v", whole)
	}
}

func friends(n int) string {
	return repeat(n, func(i int) string { return fmt.Sprintf("f%d: friend { id } ", i) })
}

// costOf returns the extension of an answer.
func costOf(r *response) map[string]any {
	c, _ := r.Extensions["cost"].(map[string]any)
	return c
}

func TestCost(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, c := range []struct {
		name, query string
		want        float64
	}{
		{"a query", "{ hello }", 1},
		{"ten fields", "{ " + repeat(10, func(i int) string { return fmt.Sprintf("a%d: hello ", i) }) + "}", 2},
		{"a mutation", "mutation { hello }", 11},
		{"a mutation through a fragment", "mutation { ...f } fragment f on Mutation { a: hello b: hello }", 12},
		{"a page", "{ developers(first: 100) { totalCount } }", 2},
		{"pages of pages", "{ developers(first: 100) { edges { node { invoices(first: 100) { totalCount } } } } }", 102},
	} {
		resp := b.post(c.query, nil)
		got := costOf(resp)
		if got["requested"] != c.want || got["limit"] != 1000.0 || got["restoreRate"] != 50.0 {
			t.Errorf("%s: %v, want %v requested", c.name, got, c.want)
		}
		b.clock.advance(time.Minute)
	}
	full := b.post("{ hello }", nil)
	if costOf(full)["remaining"] != 999.0 {
		t.Errorf("a full bucket less one: %v", costOf(full))
	}
	if next := b.post("{ hello }", nil); costOf(next)["remaining"] != 998.0 {
		t.Errorf("and one more: %v", costOf(next))
	}
	b.clock.advance(20 * time.Millisecond)
	if next := b.post("{ hello }", nil); costOf(next)["remaining"] != 998.0 {
		t.Errorf("one restored, one spent: %v", costOf(next))
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	ran := 0
	b := setup(t, map[string]transporttest.Resolver{
		"Mutation.hello": func(context.Context, any, map[string]any) (any, error) { ran++; return "world", nil },
	}, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.BucketPoints = 25
	})
	for range 2 {
		if resp := b.post("mutation { hello }", nil); resp.Data["hello"] != "world" {
			t.Fatalf("within the bucket: %s", resp.raw)
		}
	}
	// Three points are left: one is taken at the door, ten are missing eight.
	for _, accept := range []string{mediaJSON, mediaGraphQL} {
		resp := b.post("mutation { hello }", nil, "Accept", accept)
		if resp.status != http.StatusTooManyRequests || resp.code() != CodeRateLimited || resp.header.Get("Retry-After") != "1" ||
			resp.Errors[0].Extensions["retryAfterSeconds"] != 1.0 || resp.Data != nil {
			t.Errorf("beyond the bucket: %d %s %v", resp.status, resp.raw, resp.header)
		}
		if costOf(resp)["requested"] != 11.0 {
			t.Errorf("the refusal does not tell the price: %s", resp.raw)
		}
	}
	b.post("{", nil) // the last point, for a document that is refused
	if resp := b.post("{ hello }", nil); resp.status != http.StatusTooManyRequests {
		t.Errorf("an empty bucket: %d %s", resp.status, resp.raw)
	}
	if resp := b.post("{ hello }", nil, "Authorization", "Bearer "+tokenB); resp.Data["hello"] != "world" {
		t.Errorf("another's bucket: %s", resp.raw)
	}
	if ran != 2 {
		t.Errorf("%d mutations ran, want 2", ran)
	}
	b.clock.advance(time.Second)
	if resp := b.post("mutation { hello }", nil); resp.Data["hello"] != "world" {
		t.Errorf("after a second: %s", resp.raw)
	}
}

// TestBucketsAreBounded: the oldest principal is forgotten, a clock that
// steps back takes nothing away.
func TestBucketsAreBounded(t *testing.T) {
	t.Parallel()
	limits := DefaultLimits()
	limits.Principals, limits.BucketPoints = 2, 10
	c := &clock{at: time.Unix(1000, 0)}
	b := newBuckets(limits, c.now)
	b.take("a", 10)
	if _, wait, ok := b.take("a", 5); ok || wait != 1 {
		t.Errorf("an empty bucket gave points, or says %d s", wait)
	}
	c.advance(-time.Hour)
	if left, _, _ := b.take("a", 0); left != 0 {
		t.Errorf("%d points after the clock stepped back", left)
	}
	b.take("b", 1)
	b.take("c", 1)
	if b.lru.Len() != 2 {
		t.Errorf("%d buckets, want 2", b.lru.Len())
	}
	if left, _, ok := b.take("a", 1); !ok || left != 9 {
		t.Errorf("a forgotten principal has %d points", left)
	}
}

func TestRequestsInFlight(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	started := make(chan struct{}, 10)
	b := setup(t, map[string]transporttest.Resolver{
		"Query.hello": func(ctx context.Context, _ any, _ map[string]any) (any, error) {
			started <- struct{}{}
			select {
			case <-release:
				return "world", nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.InFlight = 2
	})
	answers := make(chan *response, 2)
	for range 2 {
		go func() { answers <- b.post("{ hello }", nil) }()
	}
	<-started
	<-started
	resp := b.post("{ __typename }", nil)
	if resp.status != http.StatusTooManyRequests || resp.code() != CodeRateLimited || resp.header.Get("Retry-After") == "" {
		t.Errorf("a third request: %d %s", resp.status, resp.raw)
	}
	if resp := b.post("{ __typename }", nil, "Authorization", "Bearer "+tokenB); resp.status != http.StatusOK {
		t.Errorf("another's request: %d %s", resp.status, resp.raw)
	}
	close(release)
	for range 2 {
		if a := <-answers; a.Data["hello"] != "world" {
			t.Errorf("the first two: %s", a.raw)
		}
	}
	if resp := b.post("{ __typename }", nil); resp.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", resp.status, resp.raw)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	wait := func(ctx context.Context, _ any, _ map[string]any) (any, error) {
		<-ctx.Done()
		return nil, errors.New("pq: canceling statement due to user request")
	}
	b := setup(t, map[string]transporttest.Resolver{"Query.hello": wait, "Mutation.hello": wait}, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.QueryTimeout = 20 * time.Millisecond
		o.Limits.MutationTimeout = 30 * time.Millisecond
	})
	for _, query := range []string{"{ hello }", "mutation { hello }"} {
		resp := b.post(query, nil)
		if resp.code() != CodeUnavailable || !strings.Contains(resp.message(), "took too long") || strings.Contains(resp.raw, "pq") {
			t.Errorf("%s: %s", query, resp.raw)
		}
	}
	limits := DefaultLimits()
	s := &server{limits: limits}
	for kind, want := range map[string]time.Duration{"query": 10 * time.Second, "mutation": 25 * time.Second, "subscription": 0} {
		ctx, cancel := s.deadline(t.Context(), ast.Operation(kind))
		at, bounded := ctx.Deadline()
		cancel()
		if left := time.Until(at); bounded != (want > 0) || (bounded && (left > want || left < want-time.Second)) {
			t.Errorf("%s: bounded %v, %v left, want %v", kind, bounded, left, want)
		}
	}
}

func TestMetricsAndLog(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	b.post("query Named { hello }", nil)
	b.post("mutation M { hello }", nil)
	b.post(`query F { fail(with: "x") }`, nil)
	b.post("{ gone }", nil)
	b.post("{", nil)
	b.post("{ hello }", nil, "Authorization", "")
	want := "query Named ;mutation M ;query F INTERNAL;  GRAPHQL_VALIDATION_FAILED;  GRAPHQL_PARSE_FAILED;  UNAUTHENTICATED"
	b.counts.mu.Lock()
	got := strings.Join(b.counts.operations, ";")
	b.counts.mu.Unlock()
	if got != want {
		t.Errorf("counted %q, want %q", got, want)
	}
	if log := b.log.String(); strings.Contains(log, tokenA) || !strings.Contains(log, "name=Named") || !strings.Contains(log, "principal=org_a/tok_a") {
		t.Errorf("log: %s", log)
	}
}

func TestAtRate(t *testing.T) {
	for rate, want := range map[int][3]int{50: {50, 1000, 20}, 1: {1, 20, 20}, 500: {500, 10_000, 200}, 1_000_000: {1_000_000, 20_000_000, 1000}} {
		l := DefaultLimits().AtRate(rate)
		if got := [3]int{l.RestorePerSecond, l.BucketPoints, l.InFlight}; got != want {
			t.Errorf("at %d: %v, want %v", rate, got, want)
		}
	}
}
