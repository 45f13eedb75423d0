package transport

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"entgo.io/contrib/entgql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"purser/auth"
	"purser/graph/transport/transporttest"
)

// cursorOf returns the cursor of the last edge.
func cursorOf(t *testing.T, connection any) string {
	t.Helper()
	list, _ := connection.(map[string]any)["edges"].([]any)
	if len(list) == 0 {
		t.Fatalf("no edges: %v", connection)
	}
	c, _ := list[len(list)-1].(map[string]any)["cursor"].(string)
	if c == "" {
		t.Fatalf("no cursor: %v", connection)
	}
	return c
}

func firstName(t *testing.T, connection any) string {
	t.Helper()
	list, _ := connection.(map[string]any)["edges"].([]any)
	if len(list) == 0 {
		t.Fatalf("no edges: %v", connection)
	}
	name, _ := list[0].(map[string]any)["node"].(map[string]any)["id"].(string)
	return name
}

// TestCursorsContinueTheirList walks a list by the cursors it gives out.
func TestCursorsContinueTheirList(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	resp := b.post("{ developers(first: 2) { edges { cursor node { id } } pageInfo { endCursor } } }", nil)
	end := resp.Data["developers"].(map[string]any)["pageInfo"].(map[string]any)["endCursor"]
	edge := cursorOf(t, resp.Data["developers"])
	if end != edge {
		t.Errorf("pageInfo's cursor %v differs from the last edge's %v", end, edge)
	}
	for name, send := range map[string]func() *response{
		"in a variable": func() *response {
			return b.post("query($a: Cursor) { developers(first: 5, after: $a) { edges { node { id } } } }", map[string]any{"a": edge})
		},
		"in the document": func() *response {
			return b.post(`{ developers(last: null, after: "`+edge+`") { edges { node { id } } } }`, nil)
		},
		"under another alias": func() *response {
			return b.post(`{ developers: developers(after: "`+edge+`", before: null) { edges { node { id } } } }`, nil)
		},
		"in a fragment": func() *response {
			return b.post("query($a: Cursor) { ...f } fragment f on Query { developers(after: $a) { edges { node { id } } } }", map[string]any{"a": edge})
		},
		"with an argument that is null": func() *response {
			return b.post("query($a: Cursor, $o: DeveloperOrder) { developers(after: $a, orderBy: $o) { edges { node { id } } } }", map[string]any{"a": edge, "o": nil})
		},
	} {
		resp := send()
		if len(resp.Errors) > 0 {
			t.Errorf("%s: %s", name, resp.raw)
			continue
		}
		if got := firstName(t, resp.Data["developers"]); got != "d3" {
			t.Errorf("%s: the next page begins with %s, want d3", name, got)
		}
	}
}

// TestForeignCursors refuses a cursor of any other list, before a resolver
// sees it.
func TestForeignCursors(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	b.tokens.set("same-tenant", &auth.Viewer{OrganizationID: "org_a", TokenID: "tok_a2"})

	plain := cursorOf(t, b.post("{ developers { edges { cursor node { id } } } }", nil).Data["developers"])
	ordered := cursorOf(t, b.post(`{ developers(orderBy: {field: "NAME"}) { edges { cursor node { id } } } }`, nil).Data["developers"])
	invoices := cursorOf(t, b.post("{ payer { invoices { edges { cursor node { id } } } } }", nil).Data["payer"].(map[string]any)["invoices"])
	filtered := cursorOf(t, b.post(`{ payer { invoices(where: {status: "OPEN"}) { edges { cursor node { id } } } } }`, nil).Data["payer"].(map[string]any)["invoices"])
	flip := func(s string) string { return s[:len(s)-2] + strings.Map(rot, s[len(s)-2:len(s)-1]) + s[len(s)-1:] }

	const (
		developers = "query($c: Cursor) { developers(after: $c) { edges { node { id } } } }"
		ofPayer    = "query($c: Cursor) { payer { invoices(after: $c) { edges { node { id } } } } }"
	)
	for _, c := range []struct {
		name, query, cursor, token string
		good                       bool
	}{
		{"its own list", developers, plain, tokenA, true},
		{"its own nested list", ofPayer, invoices, tokenA, true},
		{"the same list on the object instead of the interface", "query($c: Cursor) { payer { ... on Developer { invoices(after: $c) { totalCount } } } }", invoices, tokenA, true},
		{"another token of the organization", developers, plain, "same-tenant", true},
		{"its own filter, as a variable", `query($c: Cursor, $s: String) { payer { invoices(where: {status: $s, numberIn: null}, after: $c) { totalCount } } }`, filtered, tokenA, true},

		{"another organization", developers, plain, tokenB, false},
		{"another order", developers, ordered, tokenA, false},
		{"another field", developers, invoices, tokenA, false},
		{"another filter", ofPayer, filtered, tokenA, false},
		{"another direction of order", `query($c: Cursor) { developers(after: $c, orderBy: {field: "NAME", direction: "DESC"}) { totalCount } }`, ordered, tokenA, false},
		{"a changed tag", developers, flip(plain), tokenA, false},
		{"a cut tag", developers, plain[:len(plain)-4], tokenA, false},
		{"unsigned", developers, base64.RawStdEncoding.EncodeToString([]byte("5")), tokenA, false},
		{"nothing but a tag", developers, base64.RawStdEncoding.EncodeToString(make([]byte, cursorTagBytes)), tokenA, false},
		{"not base64", developers, "%%%", tokenA, false},
		{"empty", developers, "", tokenA, false},
		{"as before", "query($c: Cursor) { developers(before: $c) { totalCount } }", ordered, tokenA, false},
		{"nested", "query($c: Cursor) { developers { edges { node { invoices(after: $c) { totalCount } } } } }", plain, tokenA, false},
		{"in a fragment", "query($c: Cursor) { payer { ...f } } fragment f on Payer { invoices(after: $c) { totalCount } }", plain, tokenA, false},
	} {
		// A variable that the operation does not declare is ignored.
		resp := b.post(c.query, map[string]any{"c": c.cursor, "s": "OPEN"}, "Authorization", "Bearer "+c.token)
		if c.good {
			if len(resp.Errors) > 0 {
				t.Errorf("%s: refused: %s", c.name, resp.raw)
			}
			continue
		}
		if resp.code() != CodeBadUserInput || resp.message() != "cursor is not from this list" || resp.Data != nil {
			t.Errorf("%s: %s", c.name, resp.raw)
		}
	}
}

func rot(r rune) rune {
	if r == 'A' {
		return 'B'
	}
	return 'A'
}

// TestEntCursorsIgnoreTheTag: entgql reads a signed cursor as its own, because
// its decoder stops behind the cursor.
func TestEntCursorsIgnoreTheTag(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	for _, want := range []entgql.Cursor[string]{
		{ID: "inv_1"},
		{ID: "inv_1", Value: "a name"},
		{ID: "inv_1", Value: int64(1) << 60},
		{ID: "inv_1", Value: at},
		{ID: "inv_1", Value: []any{"x", int8(7)}},
	} {
		var text bytes.Buffer
		want.MarshalGQL(&text)
		raw, err := cursorEncoding.DecodeString(strings.Trim(text.String(), `"`))
		if err != nil {
			t.Fatal(err)
		}
		for fill := range 256 {
			signed := append(bytes.Clone(raw), bytes.Repeat([]byte{byte(fill)}, cursorTagBytes)...)
			var got entgql.Cursor[string]
			if err := got.UnmarshalGQL(cursorEncoding.EncodeToString(signed)); err != nil {
				t.Fatalf("%v with a tag of %x: %v", want, fill, err)
			}
			var again bytes.Buffer
			got.MarshalGQL(&again)
			if again.String() != text.String() {
				t.Fatalf("with a tag of %x: %v, want %v", fill, got, want)
			}
		}
	}
}

// TestSignCursorOutsideAnOperation is an error and not a cursor that nothing
// would accept.
func TestSignCursorOutsideAnOperation(t *testing.T) {
	t.Parallel()
	if c, err := SignCursor(t.Context(), "abcd"); err == nil {
		t.Errorf("signed %q", c)
	}
	if p, err := CursorPayload("abcd"); err == nil {
		t.Errorf("payload %q of a cursor without a tag", p)
	}
}

// FuzzCursor sends anything as a cursor: it is refused, never an internal
// error.
func FuzzCursor(f *testing.F) {
	for _, seed := range []string{"", "5", "AAAAAAAAAAAAAAAAAAAAAAAAAAAA", "gqFpo2QxoXY", strings.Repeat("A", 1000), "\x00", "=="} {
		f.Add(seed)
	}
	signer := &cursorSigner{key: testKey, schema: transporttest.New(nil).Schema()}
	field := connectionField(f)
	f.Fuzz(func(t *testing.T, text string) {
		s := &survey{call: &call{cursors: signer, organization: "org_a"}, variables: map[string]any{"c": text}}
		if bad := signer.check(s, field); bad == nil {
			t.Fatalf("accepted %q", text)
		}
	})
}

// connectionField returns a validated field with `after: $c`.
func connectionField(t testing.TB) *ast.Field {
	t.Helper()
	schema := transporttest.New(nil).Schema()
	document, err := gqlparser.LoadQueryWithRules(schema, "query($c: Cursor) { developers(after: $c) { totalCount } }", rules.NewDefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	return document.Operations[0].SelectionSet[0].(*ast.Field)
}
