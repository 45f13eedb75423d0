package transport

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

func newGate() *gate {
	limits := DefaultLimits()
	return &gate{
		limits:    limits,
		documents: newDocumentCache(limits, &pages{limits: limits}),
		persisted: newPersistedQueries(limits),
	}
}

// repeat joins n formatted pieces.
func repeat(n int, piece func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(piece(i))
	}
	return b.String()
}

// doubling is a document of n fragments, each spread twice by the one before.
func doubling(n int) string {
	return "{ payer { ...f0 } }" + repeat(n, func(i int) string {
		return fmt.Sprintf(" fragment f%d on Payer { ...f%d ...f%d }", i, i+1, i+1)
	}) + fmt.Sprintf(" fragment f%d on Payer { id }", n)
}

// TestGateRefusesAttacks sends documents that are cheap to write and dear to
// validate or to run.
func TestGateRefusesAttacks(t *testing.T) {
	t.Parallel()
	for _, attack := range []struct {
		name, query string
		code        string
		message     string
	}{
		{"a million lists", "{ echo(list: " + strings.Repeat("[", 1_000_000), CodeComplexity, "bytes of query text: 1000013; the limit is 65536"},
		{"lists within the size", "{ echo(list: " + strings.Repeat("[", 3900) + strings.Repeat("]", 3900) + ") }", CodeComplexity, "tokens of query text: 7807; the limit is 4000"},
		{"lists within the tokens", "{ echo(list: " + strings.Repeat("[", 900) + strings.Repeat("]", 900) + ") }", CodeComplexity, "nesting of values: 16; the limit is 15"},
		{"unclosed lists", "{ echo(list: " + strings.Repeat("[", 3900), CodeParseFailed, "exceeded maximum nesting depth"},
		{"objects", "{ echo(where: " + strings.Repeat("{and:", 300) + "1" + strings.Repeat("}", 300) + ") }", CodeComplexity, "nesting of values: 16"},
		{"types", "query($a: " + strings.Repeat("[", 500) + "Int" + strings.Repeat("]", 500) + ") { hello }", CodeComplexity, "nesting of types: 501"},
		{"selections", "{ payer " + strings.Repeat("{ friend ", 800) + "{ id }" + strings.Repeat("}", 800) + "}", CodeComplexity, "nesting of fields: 802"},
		{"selections through fragments", "{ payer { ...f0 } }" + repeat(20, func(i int) string {
			return fmt.Sprintf(" fragment f%d on Developer { friend { ...f%d } }", i, i+1)
		}) + " fragment f20 on Developer { id }", CodeComplexity, "nesting of fields: 22; the limit is 15"},
		{"24 doubling fragments", doubling(24), CodeComplexity, "fields after fragments are expanded: 16777217; the limit is 1000"},
		{"48 doubling fragments", doubling(48), CodeComplexity, "fields after fragments are expanded"},
		{"60 doubling fragments", doubling(60), CodeComplexity, "fields after fragments are expanded: 1152921504606846977"},
		{"80 doubling fragments", doubling(80), CodeComplexity, "fields after fragments are expanded: 9223372036854775807"},
		{"too many fragments", doubling(100), CodeComplexity, "fragments in the document: 101; the limit is 100"},
		{"fragments that hold nothing", "{ payer { ...f0 } }" + repeat(40, func(i int) string {
			return fmt.Sprintf(" fragment f%d on Payer { ...f%d ...f%d }", i, i+1, i+1)
		}) + " fragment f40 on Payer { ...gone }", CodeComplexity, "selections after fragments are expanded"},
		{"doubling that nobody spreads", "{ hello }" + strings.TrimPrefix(doubling(40), "{ payer { ...f0 } }"), CodeComplexity, "fields after fragments are expanded"},
		{"a fragment of itself", "{ payer { ...a } } fragment a on Payer { ...a }", CodeValidationFailed, `the fragment "a" spreads itself`},
		{"a circle of fragments", "{ payer { ...a } } fragment a on Payer { ...b } fragment b on Payer { ...c } fragment c on Payer { id ...a }", CodeValidationFailed, "spreads itself"},
		{"a circle that nobody spreads", "{ hello } fragment a on Payer { ...b } fragment b on Payer { ...a }", CodeValidationFailed, "spreads itself"},
		{"a fragment twice", "{ payer { ...a } } fragment a on Payer { id } fragment a on Payer { " + strings.Repeat("id ", 2000) + "}", CodeValidationFailed, `more than one fragment named "a"`},
		{"one field in 24 KB", "{ " + strings.Repeat("hello ", 3990) + "}", CodeComplexity, "root fields of an operation: 3990; the limit is 20"},
		{"one field below the root", "{ payer { " + strings.Repeat("id ", 900) + "} }", CodeComplexity, "selections of the field id at one place: 900; the limit is 50"},
		{"one field at two levels", "{ payer { " + strings.Repeat("friend { friend { id } } ", 300) + "} }", CodeComplexity, "selections of the field friend at one place: 300"},
		{"one field under many parents", "{ " + strings.Repeat("payer { "+strings.Repeat("id ", 40)+"} ", 20) + "}", CodeComplexity, "selections of the field id at one place: 800"},
		{"aliases", "{ payer { " + repeat(900, func(i int) string { return fmt.Sprintf("a%d: id ", i) }) + "} }", CodeComplexity, "aliases in one selection set: 900; the limit is 100"},
		{"aliases at the root", "{ " + repeat(1000, func(i int) string { return fmt.Sprintf("a%d: hello ", i) }) + "}", CodeComplexity, "aliases in one selection set: 1000"},
		{"root fields", "{ " + repeat(21, func(i int) string { return fmt.Sprintf("a%d: hello ", i) }) + "}", CodeComplexity, "root fields of an operation: 21; the limit is 20"},
		{"root fields in a fragment", "{ ...f } fragment f on Query { " + repeat(21, func(i int) string { return fmt.Sprintf("a%d: hello ", i) }) + "}", CodeComplexity, "root fields of an operation: 21"},
		{"mutations", "mutation { " + repeat(11, func(i int) string { return fmt.Sprintf("a%d: hello ", i) }) + "}", CodeComplexity, "mutations of an operation: 11; the limit is 10"},
		{"directives at one place", "{ hello " + strings.Repeat("@tag ", 6) + "}", CodeComplexity, "directives at one place: 6; the limit is 5"},
		{"directives in all", "{ payer { " + repeat(11, func(i int) string { return fmt.Sprintf("a%d: id %s ", i, strings.Repeat("@tag ", 5)) }) + "} }", CodeComplexity, "directives in the document: 55; the limit is 50"},
		{"operations", repeat(21, func(i int) string { return fmt.Sprintf("query q%d { hello } ", i) }), CodeComplexity, "operations in the document: 21; the limit is 20"},
		{"fields over operations", repeat(20, func(i int) string {
			return fmt.Sprintf("query q%d { payer { %s } } ", i, repeat(60, func(j int) string { return fmt.Sprintf("a%d: id ", j) }))
		}), CodeComplexity, "fields after fragments are expanded: 1220; the limit is 1000"},
		{"variables", "query(" + repeat(101, func(i int) string { return fmt.Sprintf("$a%d: Int ", i) }) + ") { hello }", CodeComplexity, "variables of an operation: 101; the limit is 100"},
		{"deferred", "{ payer { ... @defer { id } } }", CodeBadUserInput, "the directive @defer is not offered"},
		{"comments", strings.Repeat("#\n", 5000) + "{ hello }", CodeComplexity, "tokens of query text: 5003; the limit is 4000"},
		{"not GraphQL", "{ hello", CodeParseFailed, "Expected Name, found <EOF>"},
		{"no character", "{ hello \x00 }", CodeParseFailed, "invalid character"},
	} {
		t.Run(attack.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			m, err := newGate().inspect(attack.query)
			spent := time.Since(start)
			if err == nil {
				t.Fatal("was let through")
			}
			if got := code(err); got != attack.code {
				t.Errorf("code %s, want %s (%s)", got, attack.code, err.Message)
			}
			if !strings.Contains(err.Message, attack.message) {
				t.Errorf("message %q, want %q in it", err.Message, attack.message)
			}
			if bound := workBound(attack.query); m.work > bound {
				t.Errorf("visited %d nodes, at most %d are linear", m.work, bound)
			}
			// A tenth of a second would do; the rest is for a busy machine. An
			// exponential walk takes minutes.
			if spent > 2*time.Second {
				t.Errorf("took %v", spent)
			}
		})
	}
}

// workBound is the most that the gate may visit: every byte a few times, and
// the expanded selections of each root, which the limits bound.
func workBound(query string) int {
	limits := DefaultLimits()
	return 4*len(query) + 2*limits.Selections + 100
}

// TestGateLetsThrough sends what real clients send.
func TestGateLetsThrough(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"short":           "{ hello }",
		"page":            "query Q($after: Cursor) { developers(first: 50, after: $after) { edges { cursor node { id name } } pageInfo { endCursor hasNextPage } } }",
		"fragments":       "{ payer { ...a ...b } } fragment a on Payer { id } fragment b on Payer { id ...a }",
		"shared fragment": "{ " + repeat(20, func(i int) string { return fmt.Sprintf("p%d: payer { ...a } ", i) }) + "} fragment a on Payer { id }",
		"every field":     "{ payer { " + repeat(100, func(i int) string { return fmt.Sprintf("a%d: id ", i) }) + "} }",
		"introspection":   introspection,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := newGate().inspect(query); err != nil {
				t.Errorf("was refused: %v", err)
			}
		})
	}
}

// introspection is as deep as the usual tools ask.
const introspection = `query IntrospectionQuery {
  __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types { ...FullType }
    directives { name description locations args { ...InputValue } }
  }
}
fragment FullType on __Type {
  kind name description specifiedByURL
  fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
  inputFields { ...InputValue } interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef }
}
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
fragment TypeRef on __Type {
  kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
    kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } }
}`

// TestGateMeasuresVariables bounds what needs no schema.
func TestGateMeasuresVariables(t *testing.T) {
	t.Parallel()
	nest := func(n int) any {
		var v any = "x"
		for range n {
			v = map[string]any{"and": v}
		}
		return v
	}
	g := newGate()
	for _, c := range []struct {
		name    string
		value   any
		code    string
		message string
	}{
		{"as deep as allowed", nest(15), "", ""},
		{"too deep", nest(16), CodeComplexity, "nesting of variables: 16; the limit is 15"},
		{"much too deep", nest(3000), CodeComplexity, "nesting of variables: 16; the limit is 15"},
		{"a NUL", []any{"dev_\x00"}, CodeBadUserInput, "U+0000"},
		{"a NUL in a name", map[string]any{"a\x00": "b"}, CodeBadUserInput, "U+0000"},
	} {
		bad := g.inspectVariables(map[string]any{"v": c.value})
		switch {
		case c.code == "" && bad != nil:
			t.Errorf("%s: refused: %v", c.name, bad)
		case c.code != "" && (bad == nil || bad.Code != c.code || !strings.Contains(bad.Message, c.message)):
			t.Errorf("%s: %v, want %s with %q", c.name, bad, c.code, c.message)
		}
	}
}

// TestWithinTheLimitsValidationIsCheap sends the dearest documents the gate
// lets through and bounds what the validator makes of them.
func TestWithinTheLimitsValidationIsCheap(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	limits := DefaultLimits()
	for name, query := range map[string]string{
		"the same field at every level": "{ payer { ... on Developer { " + strings.Repeat("friend { "+strings.Repeat("friend { id } ", 9)+"} ", 5) + "} } }",
		"fragments side by side": "{ payer { " + repeat(limits.SameField, func(i int) string { return fmt.Sprintf("...f%d ", i) }) + "} }" +
			repeat(limits.SameField, func(i int) string {
				return fmt.Sprintf(" fragment f%d on Developer { id name friend { id name } }", i)
			}),
		"a chain of fragments": "{ payer { ...f0 } }" + repeat(limits.SameField, func(i int) string {
			return fmt.Sprintf(" fragment f%d on Developer { id ...f%d friend { id } }", i, i+1)
		}) + fmt.Sprintf(" fragment f%d on Developer { name }", limits.SameField),
		"unknown fields": "{ payer { " + repeat(900, func(i int) string { return fmt.Sprintf("unknown%d ", i) }) + "} }",
		"unused variables": "query(" + repeat(limits.Variables, func(i int) string { return fmt.Sprintf("$v%d: Int ", i) }) + ") { " +
			"payer { " + repeat(600, func(i int) string { return fmt.Sprintf("f%d ", i) }) + "} }",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newGate().inspect(query); err != nil {
				t.Fatalf("the gate refuses it already: %v", err)
			}
			start := time.Now()
			resp := b.post(query, nil)
			if spent := time.Since(start); spent > 2*time.Second {
				t.Errorf("took %v", spent)
			}
			if len(resp.raw) > 96<<10 {
				t.Errorf("answered %d bytes", len(resp.raw))
			}
		})
	}
}

// FuzzGate holds the gate to its promise: it never panics, and its work is
// linear in the text. What it lets through is within the limits by another
// count than its own.
func FuzzGate(f *testing.F) {
	for _, seed := range []string{
		"", "{ hello }", introspection, doubling(3), doubling(30), strings.Repeat("[", 2000),
		"query Q($a: [Int!]! = [1, 2]) @tag { ...f ... on Query { a: hello } } fragment f on Query { hello }",
		"{ a { ...f } } fragment f on A { ...g } fragment g on A { ...f }",
		`{ echo(text: """block""" where: {and: [{status: "x"}]}) }`,
		"mutation { a: hello b: hello } subscription { tick }", "{ hello # comment\n }", "\ufeff{ hello }",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		g := newGate()
		m, err := g.inspect(query)
		if bound := workBound(query); m.work > bound {
			t.Fatalf("visited %d nodes, at most %d are linear", m.work, bound)
		}
		if err != nil {
			if code(err) == "" || err.Message == "" {
				t.Fatalf("an error without code or text: %#v", err)
			}
			return
		}
		document, err2 := parser.ParseQuery(&ast.Source{Input: query})
		if err2 != nil {
			t.Fatalf("let through, but not parsed: %v", err2)
		}
		for _, op := range document.Operations {
			if n := expanded(document, op.SelectionSet); n > g.limits.Fields {
				t.Fatalf("%d fields were let through", n)
			}
		}
	})
}

// expanded counts fields the slow way.
func expanded(document *ast.QueryDocument, set ast.SelectionSet) int {
	n := 0
	for _, selection := range set {
		switch selection := selection.(type) {
		case *ast.Field:
			n += 1 + expanded(document, selection.SelectionSet)
		case *ast.InlineFragment:
			n += expanded(document, selection.SelectionSet)
		case *ast.FragmentSpread:
			if f := document.Fragments.ForName(selection.Name); f != nil {
				n += expanded(document, f.SelectionSet)
			}
		}
	}
	return n
}
