package transport

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"purser/graph/transport/transporttest"
)

// edges counts the edges of a connection in an answer.
func edges(t *testing.T, connection any) int {
	t.Helper()
	object, ok := connection.(map[string]any)
	if !ok {
		t.Fatalf("no connection: %v", connection)
	}
	list, _ := object["edges"].([]any)
	return len(list)
}

func TestPageSizes(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, c := range []struct {
		name, query string
		variables   map[string]any
		want        int
		message     string // part of the refusal
	}{
		{"none given", "{ developers { edges { node { id } } } }", nil, 20, ""},
		{"first", "{ developers(first: 3) { edges { node { id } } } }", nil, 3, ""},
		{"last", "{ developers(last: 4) { edges { node { id } } } }", nil, 4, ""},
		{"the largest page", "{ developers(first: 100) { edges { node { id } } } }", nil, 100, ""},
		{"first is null", "{ developers(first: null) { edges { node { id } } } }", nil, 20, ""},
		{"both are null", "{ developers(first: null, last: null) { edges { node { id } } } }", nil, 20, ""},
		{"first is null, last is given", "{ developers(first: null, last: 5) { edges { node { id } } } }", nil, 5, ""},
		{"a variable", "query($n: Int) { developers(first: $n) { edges { node { id } } } }", map[string]any{"n": 6}, 6, ""},
		{"a variable that is absent", "query($n: Int) { developers(first: $n) { edges { node { id } } } }", nil, 20, ""},
		{"a variable that is null", "query($n: Int) { developers(first: $n) { edges { node { id } } } }", map[string]any{"n": nil}, 20, ""},
		{"a variable's default", "query($n: Int = 7) { developers(first: $n) { edges { node { id } } } }", nil, 7, ""},
		{"two variables, first", "query($f: Int, $l: Int) { developers(first: $f, last: $l) { edges { node { id } } } }", map[string]any{"f": 8}, 8, ""},
		{"two variables, last", "query($f: Int, $l: Int) { developers(first: $f, last: $l) { edges { node { id } } } }", map[string]any{"l": 9}, 9, ""},
		{"two variables, none", "query($f: Int, $l: Int) { developers(first: $f, last: $l) { edges { node { id } } } }", nil, 20, ""},
		{"only last, absent", "query($l: Int) { developers(last: $l) { edges { node { id } } } }", nil, 20, ""},
		{"a fragment", "{ ...f } fragment f on Query { developers { edges { node { id } } } }", nil, 20, ""},
		{"a fragment with a variable", "query($n: Int) { ...f } fragment f on Query { developers(first: $n) { edges { node { id } } } }", map[string]any{"n": 2}, 2, ""},

		{"zero", "{ developers(first: 0) { totalCount } }", nil, 0, "developers: first is 0; 1 to 100 are allowed"},
		{"negative", "{ developers(last: -1) { totalCount } }", nil, 0, "developers: last is -1; 1 to 100 are allowed"},
		{"too many", "{ all: developers(first: 101) { totalCount } }", nil, 0, "all: first is 101; 1 to 100 are allowed"},
		{"too many in a variable", "query($n: Int) { developers(first: $n) { totalCount } }", map[string]any{"n": 100000}, 0, "first is 100000"},
		{"both", "{ developers(first: 1, last: 1) { totalCount } }", nil, 0, "first and last must not be given together"},
		{"both as variables", "query($f: Int, $l: Int) { developers(first: $f, last: $l) { totalCount } }", map[string]any{"f": 1, "l": 1}, 0, "together"},
		{"below", "{ developers { edges { node { invoices(first: 1000) { totalCount } } } } }", nil, 0, "invoices: first is 1000"},
		{"in a fragment", "{ payer { ...f } } fragment f on Payer { invoices(first: 1000) { totalCount } }", nil, 0, "invoices: first is 1000"},
		{"left out by a directive", "{ hello developers(first: 1000) @skip(if: true) { totalCount } }", nil, 0, "developers: first is 1000"},
	} {
		resp := b.post(c.query, c.variables)
		if c.message != "" {
			if resp.code() != CodeBadUserInput || !strings.Contains(resp.message(), c.message) || resp.Data != nil {
				t.Errorf("%s: %s, want %s with %q", c.name, resp.raw, CodeBadUserInput, c.message)
			}
			continue
		}
		if got := edges(t, resp.Data["developers"]); got != c.want {
			t.Errorf("%s: %d edges, want %d", c.name, got, c.want)
		}
	}
}

// TestPageSizeOfNestedConnections reads the arguments the way entgql does,
// from the document below the root.
func TestPageSizeOfNestedConnections(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	query := `query($n: Int) { developers(first: 2) { edges { node {
		plain: invoices { edges { node { id } } }
		asked: invoices(first: $n) { edges { node { id } } }
		other: invoices(last: 3) { edges { node { id } } } } } } }`
	for _, want := range []map[string]int{
		{"plain": 20, "asked": 20, "other": 3},
		{"plain": 20, "asked": 5, "other": 3},
		{"plain": 20, "asked": 20, "other": 3},
	} {
		variables := map[string]any{}
		if want["asked"] != 20 {
			variables["n"] = want["asked"]
		}
		resp := b.post(query, variables)
		list := resp.Data["developers"].(map[string]any)["edges"].([]any)
		if len(list) != 2 {
			t.Fatalf("%d developers, want 2", len(list))
		}
		node := list[1].(map[string]any)["node"].(map[string]any)
		for alias, n := range want {
			if got := edges(t, node[alias]); got != n {
				t.Errorf("variables %v: %s has %d edges, want %d", variables, alias, got, n)
			}
		}
	}
}

// TestPageDefaultLeavesOtherUsesOfAVariableAlone: the same variable may stand
// for something else in another argument.
func TestPageDefaultLeavesOtherUsesOfAVariableAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	resp := b.post(`query($n: Int) { developers(first: $n) { edges { node { id } } } echo(number: $n) }`, map[string]any{"n": nil})
	if got := edges(t, resp.Data["developers"]); got != 20 {
		t.Errorf("%d edges, want 20", got)
	}
	if got := resp.Data["echo"]; got != `{"number":null}` {
		t.Errorf("echo %v, want a null number", got)
	}
}

// TestPagesConcurrently shares one cached document between requests with
// different variables; the race detector watches.
func TestPagesConcurrently(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.BucketPoints = 1_000_000
	})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				n := (i+j)%5 + 1
				variables := map[string]any{"n": n}
				if n == 5 {
					variables, n = nil, 20
				}
				resp := b.post("query($n: Int) { developers(first: $n) { edges { node { id } } } }", variables)
				list, _ := resp.Data["developers"].(map[string]any)["edges"].([]any)
				if len(list) != n {
					t.Errorf("%d edges, want %d", len(list), n)
				}
			}
		})
	}
	wg.Wait()
}

func TestNodesAreBounded(t *testing.T) {
	t.Parallel()
	called := false
	b := setup(t, map[string]transporttest.Resolver{
		"Query.developers": func(context.Context, any, map[string]any) (any, error) {
			called = true
			return nil, fmt.Errorf("must not run")
		},
	}, nil)
	for _, c := range []struct{ query, message string }{
		{
			"{ developers(first: 100) { edges { node { invoices(first: 100) { edges { node { id } } } friend { invoices(first: 100) { totalCount } invoices2: invoices(first: 100) { totalCount } i3: invoices(first: 100) { totalCount } i4: invoices(first: 100) { totalCount } } } } } }",
			"at least 50100; the limit is 50000",
		},
		{
			"{ nodes(ids: [" + strings.Repeat(`"d1" `, 100) + "]) { ... on Developer { a: invoices(first: 100) { totalCount } b: invoices(first: 100) { totalCount } c: invoices(first: 100) { totalCount } d: invoices(first: 100) { totalCount } e: invoices(first: 100) { totalCount } } } }",
			"at least 50100; the limit is 50000",
		},
	} {
		resp := b.post(c.query, nil)
		if resp.code() != CodeComplexity || !strings.Contains(resp.message(), c.message) {
			t.Errorf("%s, want %s with %q", resp.raw, CodeComplexity, c.message)
		}
	}
	if called {
		t.Error("a resolver ran for a refused operation")
	}
}

func TestListLengths(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, func(o *Options) {
		o.Limits = DefaultLimits()
		o.Limits.QueryTokens = 20000
	})
	strs := func(n int) []any {
		list := make([]any, n)
		for i := range list {
			list[i] = "x"
		}
		return list
	}
	events := func(n int, event map[string]any) map[string]any {
		list := make([]any, n)
		for i := range list {
			list[i] = event
		}
		return map[string]any{"input": map[string]any{"events": list}}
	}
	const (
		echo  = "query($where: InvoiceFilter) { echo(where: $where) }"
		nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"
		usage = "mutation($input: UsageRecordBatchInput!) { usageRecordBatch(input: $input) { recorded } }"
	)
	for _, c := range []struct {
		name, query string
		variables   map[string]any
		message     string
	}{
		{"as long as allowed", echo, map[string]any{"where": map[string]any{"numberIn": strs(250)}}, ""},
		{"too long", echo, map[string]any{"where": map[string]any{"numberIn": strs(251)}}, "InvoiceFilter.numberIn has 251 items; the limit is 250"},
		{"too long in a literal", `{ echo(where: {numberIn: [` + strings.Repeat(`"x" `, 251) + `]}) }`, nil, "InvoiceFilter.numberIn has 251 items"},
		{"too long below", echo, map[string]any{"where": map[string]any{"and": []any{map[string]any{"numberIn": strs(251)}}}}, "InvoiceFilter.numberIn has 251 items"},
		{"ids", nodes, map[string]any{"ids": strs(100)}, ""},
		{"too many ids", nodes, map[string]any{"ids": strs(101)}, "Query.nodes(ids:) has 101 items; the limit is 100"},
		{"too many ids in a literal", `{ nodes(ids: [` + strings.Repeat(`"x" `, 101) + `]) { id } }`, nil, "Query.nodes(ids:) has 101 items"},
		{"a batch of usage", usage, events(1000, map[string]any{"name": "x"}), ""},
		{"too large a batch", usage, events(1001, map[string]any{"name": "x"}), "the body has a list of more than 1000 items, which is the limit"},
		{"too many tags in a batch", usage, events(1, map[string]any{"tags": strs(251)}), "UsageEvent.tags has 251 items; the limit is 250"},
		{"a list in a custom scalar", usage, events(1, map[string]any{"metadata": map[string]any{"a": strs(251)}}), "251 items; the limit is 250"},
		{"lists of lists", "query($l: [[Int]]) { echo(list: $l) }", map[string]any{"l": []any{make([]any, 1000)}}, ""},
	} {
		resp := b.post(c.query, c.variables)
		if c.message == "" {
			if len(resp.Errors) > 0 {
				t.Errorf("%s: refused: %s", c.name, resp.raw)
			}
			continue
		}
		if resp.code() != CodeBadUserInput || !strings.Contains(resp.message(), c.message) {
			t.Errorf("%s: %s, want %s with %q", c.name, cut(resp.raw, 300), CodeBadUserInput, c.message)
		}
	}
}

// TestVariablesCountAsOftenAsTheyAreUsed: each use is decoded on its own.
func TestVariablesCountAsOftenAsTheyAreUsed(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	query := "query($m: Metadata) { " + repeat(20, func(i int) string { return fmt.Sprintf("a%d: echo(metadata: {m: $m}) ", i) }) + "}"
	if resp := b.post(query, map[string]any{"m": strings.Repeat("x", 100<<10)}); len(resp.Errors) > 0 {
		t.Errorf("two megabytes were refused: %s", cut(resp.raw, 300))
	}
	resp := b.post(query, map[string]any{"m": strings.Repeat("x", 300<<10)})
	if resp.code() != CodeComplexity || !strings.Contains(resp.message(), "the limit is 4194304") {
		t.Errorf("six megabytes: %s", cut(resp.raw, 300))
	}
}

// TestDocumentCacheIsBounded in entries and in bytes of text.
func TestDocumentCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := newTextCache(3, 100, func(key string, _ int) int { return len(key) })
	c.add(strings.Repeat("x", 101), 0)
	if _, known := c.get(strings.Repeat("x", 101)); known {
		t.Error("a text larger than the cache was kept")
	}
	for i := range 4 {
		c.add(fmt.Sprint(i), i)
	}
	if _, known := c.get("0"); known {
		t.Error("four of three entries were kept")
	}
	c.add("3", 33)
	if v, _ := c.get("3"); v != 33 || c.bytes != 3 {
		t.Errorf("value %d, %d bytes; want 33 and 3", v, c.bytes)
	}
	c.add(strings.Repeat("y", 99), 0)
	if _, known := c.get("3"); !known || c.bytes != 100 {
		t.Errorf("%d bytes, want the newest two of 100", c.bytes)
	}
	if _, known := c.get("1"); known {
		t.Error("more than 100 bytes were kept")
	}
}
