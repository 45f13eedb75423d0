package graph

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"purser/graph/transport"
)

// TestLimitsDocument holds docs/limits.md to the limits in force.
// PURSER_TEST_UPDATE=1 writes it.
func TestLimitsDocument(t *testing.T) {
	const path = "../docs/limits.md"
	l := transport.DefaultLimits()
	var b strings.Builder
	b.WriteString(`# Limits

This file is made of the program; a test keeps it in step
(PURSER_TEST_UPDATE=1 go test ./graph -run TestLimitsDocument writes it).

What passes a limit is refused before it is run, with the code
COMPLEXITY_LIMIT_EXCEEDED, BAD_USER_INPUT or RATE_LIMITED and a text that names
the limit and the value.

## One request

| what | at most |
|---|---|
`)
	row := func(what string, value any) { fmt.Fprintf(&b, "| %s | %v |\n", what, value) }
	row("bytes of a body or of a WebSocket message", l.BodyBytes)
	row("bytes of a document", l.QueryBytes)
	row("tokens of a document", l.QueryTokens)
	row("nesting of fields, values and variables", l.Depth)
	row("fields, fragments expanded", l.Fields)
	row("fields at the root", l.RootFields)
	row("fields at the root of a mutation", l.Mutations)
	row("aliases in one selection set", l.Aliases)
	row("operations, fragments, variables, directives of a document", fmt.Sprint(l.Operations, ", ", l.Fragments, ", ", l.Variables, ", ", l.Directives))
	row("objects on a page (`first`, `last`; the default)", fmt.Sprint(l.PageSize, " (", l.PageDefault, ")"))
	row("nodes: objects that all lists together can return", l.Nodes)
	row("values: fields of those objects, each as often as its object", l.Values)
	row("items of a list in arguments", l.List)
	for _, of := range slices.Sorted(maps.Keys(l.Lists)) {
		row("items of `"+of+"`", l.Lists[of])
	}
	row("bytes of variables, each as often as it is used", l.VariableBytes)
	row("seconds of a query, of a mutation", fmt.Sprint(l.QueryTimeout.Seconds(), ", ", l.MutationTimeout.Seconds()))
	row("errors shown in one answer", l.Errors)
	b.WriteString(`
Lists that are shown whole count as nodes by a length by which they are taken:
`)
	for _, of := range slices.Sorted(maps.Keys(l.Shows)) {
		fmt.Fprintf(&b, "`%s` %d, ", of, l.Shows[of])
	}
	fmt.Fprintf(&b, "others %d.\n", l.Shown)
	fmt.Fprintf(&b, `
## One token or session

Each has a bucket of %d points, which fills by %d a second. A query costs a
point, one more for every ten fields and one for every hundred nodes; a mutation
10 points, one for each field and one for every hundred nodes. Each answer tells
its price and what is left in `+"`extensions.cost`"+`; RATE_LIMITED comes with
`+"`extensions.retryAfterSeconds`"+` and the header Retry-After.

| what | at most |
|---|---|
`, l.BucketPoints, l.RestorePerSecond)
	row("requests at a time", l.InFlight)
	row("WebSockets and event streams open", l.Streams)
	row("operations open on one WebSocket", l.SocketOperations)
	row("seconds until a WebSocket has presented credentials", l.SocketInit.Seconds())
	if os.Getenv("PURSER_TEST_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("%s is out of step: run PURSER_TEST_UPDATE=1 go test ./graph -run TestLimitsDocument", path)
	}
}
