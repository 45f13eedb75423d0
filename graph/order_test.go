package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2/ast"

	"purser/billing"
	"purser/ent/payer"
)

// listed is a page of a list as these tests ask for it.
type listed struct {
	PageInfo struct {
		HasNextPage, HasPreviousPage bool
		StartCursor, EndCursor       string
	}
	Edges []struct{ Node struct{ ID, Name string } }
}

func (l listed) ids() []string {
	var ids []string
	for _, e := range l.Edges {
		ids = append(ids, e.Node.ID)
	}
	return ids
}

// TestEveryOrder asks every list, wherever it hangs, for each of its orders,
// whole and page by page from both ends.
func TestEveryOrder(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		for n := range 3 {
			w.more(t, f, n)
		}
		for n := range 3 {
			if _, err := w.billing.ReloadBalance(f.ctx, billing.Reload{PayerID: f.payer, Amount: usd(100), Key: ptr(fmt.Sprint("reload", n))}); err != nil {
				t.Fatal(err)
			}
		}
		// Equal in the order that is asked for: the id decides.
		for n := range 4 {
			email := fmt.Sprintf("twin%d@x.example", n)
			if _, err := w.billing.CreateDeveloper(f.ctx, billing.PayerDraft{Email: email, Name: "twin", BillingMode: payer.BillingModePREPAID}, nil); err != nil {
				t.Fatal(err)
			}
		}
		rows := map[string]int{}
		for _, d := range shownTypes(theSchema()) {
			if d.Kind != ast.Object {
				continue
			}
			for _, field := range d.Fields {
				if field.Arguments.ForName("orderBy") == nil || d.Name == "Query" && field.Name == "organizations" {
					continue // the operator's list has an order by creation only, as the others have
				}
				rows[d.Name+"."+field.Name] = w.everyOrder(t, f, d, field)
			}
		}
		for _, name := range []string{"Query.developers", "Query.products", "Query.balances", "Balance.entries", "Developer.invoices", "Organization.companies", "Company.members"} {
			if rows[name] < 2 {
				t.Errorf("%s was asked for with %d rows", name, rows[name])
			}
		}
	})
}

// everyOrder asks one list for each of its orders and returns how many rows it
// has.
func (w *world) everyOrder(t *testing.T, f *filled, d *ast.Definition, field *ast.FieldDefinition) int {
	t.Helper()
	schema := theSchema()
	where := ""
	if field.Arguments.ForName("where") != nil {
		where = ", where: {}"
	}
	by := schema.Types[field.Arguments.ForName("orderBy").Type.Name()].Fields.ForName("field").Type.Name()
	page := func(arguments, node string) listed {
		t.Helper()
		q := fmt.Sprintf(`%s(%s%s) { pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { node { %s } } }`, field.Name, arguments, where, node)
		if d.Name == "Query" {
			q = `{ list: ` + q + ` }`
		} else {
			q = fmt.Sprintf(`{ node(id: %q) { ... on %s { list: %s } } }`, f.ids[d.Name], d.Name, q)
		}
		a := w.ask(t, f.token, q, nil)
		if len(a.Errors) > 0 {
			t.Fatalf("%s: %s", q, a.Body)
		}
		var out struct {
			List listed
			Node struct{ List listed }
		}
		data, err := json.Marshal(a.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &out); err != nil {
			t.Fatal(err)
		}
		if d.Name == "Query" {
			return out.List
		}
		return out.Node.List
	}
	newest := page("first: 100", "id").ids()
	for _, v := range schema.Types[by].EnumValues {
		order := func(direction string) string {
			return fmt.Sprintf("orderBy: {direction: %s, field: %s}", direction, v.Name)
		}
		node := "id"
		if v.Name == "NAME" {
			node = "id name"
		}
		for _, direction := range []string{"ASC", "DESC"} {
			whole := page("first: 100, "+order(direction), node)
			ids := whole.ids()
			for i := 1; i < len(ids) && v.Name == "NAME"; i++ {
				a, b := whole.Edges[i-1].Node, whole.Edges[i].Node
				if direction == "DESC" {
					a, b = b, a
				}
				if a.Name > b.Name || a.Name == b.Name && a.ID >= b.ID {
					t.Errorf("%s.%s(%s): %q %s before %q %s", d.Name, field.Name, order(direction), a.Name, a.ID, b.Name, b.ID)
				}
			}
			want := slices.Clone(newest)
			if direction == "ASC" {
				slices.Reverse(want)
			}
			if v.Name != "NAME" && !slices.Equal(ids, want) {
				t.Errorf("%s.%s(%s) = %v, want %v", d.Name, field.Name, order(direction), ids, want)
			}
			if len(ids) != len(newest) {
				t.Errorf("%s.%s(%s) has %d rows, want %d", d.Name, field.Name, order(direction), len(ids), len(newest))
			}

			var forward, backward []string
			for at := "first: 2"; at != ""; {
				p := page(at+", "+order(direction), "id")
				forward, at = append(forward, p.ids()...), ""
				if p.PageInfo.HasNextPage {
					at = fmt.Sprintf("first: 2, after: %q", p.PageInfo.EndCursor)
				}
			}
			for at := "last: 2"; at != ""; {
				p := page(at+", "+order(direction), "id")
				backward, at = append(p.ids(), backward...), ""
				if p.PageInfo.HasPreviousPage {
					at = fmt.Sprintf("last: 2, before: %q", p.PageInfo.StartCursor)
				}
			}
			if !slices.Equal(forward, ids) || !slices.Equal(backward, ids) {
				t.Errorf("%s.%s(%s), page by page:\nforward  %v\nbackward %v\nwhole    %v", d.Name, field.Name, order(direction), forward, backward, ids)
			}
		}
	}
	return len(newest)
}

// TestOrderOfNestedLists orders a list below a page of payers, by a variable:
// every payer's own rows, cut after the order.
func TestOrderOfNestedLists(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		w.more(t, f, 0)
		var out struct {
			Payer struct{ All, Old, New listed }
		}
		w.must(t, f.token, `query($id: ID!, $old: InvoiceOrder) { payer(by: {id: $id}) {
			all: invoices(first: 100) { edges { node { id } } }
			old: invoices(first: 1, orderBy: $old) { edges { node { id } } }
			new: invoices(first: 1) { edges { node { id } } } } }`,
			map[string]any{"id": f.payer, "old": map[string]any{"direction": "ASC", "field": "CREATED_AT"}}, &out)
		var nested struct {
			Developers struct {
				Edges []struct {
					Node struct {
						ID       string
						Old, New listed
					}
				}
			}
		}
		w.must(t, f.token, `query($old: InvoiceOrder) { developers { edges { node { id
			old: invoices(first: 1, orderBy: $old) { edges { node { id } } }
			new: invoices(first: 1) { edges { node { id } } } } } } }`,
			map[string]any{"old": map[string]any{"direction": "ASC", "field": "CREATED_AT"}}, &nested)
		all := out.Payer.All.ids()
		if len(all) < 2 {
			t.Fatalf("the payer has %d invoices", len(all))
		}
		first, last := all[len(all)-1:], all[:1]
		if !slices.Equal(out.Payer.Old.ids(), first) || !slices.Equal(out.Payer.New.ids(), last) {
			t.Errorf("oldest %v and newest %v of %v", out.Payer.Old.ids(), out.Payer.New.ids(), all)
		}
		seen := false
		for _, e := range nested.Developers.Edges {
			if e.Node.ID != f.payer {
				continue
			}
			seen = true
			if !slices.Equal(e.Node.Old.ids(), first) || !slices.Equal(e.Node.New.ids(), last) {
				t.Errorf("in a page of developers: oldest %v and newest %v of %v", e.Node.Old.ids(), e.Node.New.ids(), all)
			}
		}
		if !seen {
			t.Errorf("developer %s is not on the page", f.payer)
		}
	})
}

// TestCursorOfAnotherOrder refuses a cursor in the list's other order.
func TestCursorOfAnotherOrder(t *testing.T) {
	w := newWorld(t, "sqlite3")
	f := w.fill(t, "alpha")
	var out struct{ Developers listed }
	w.must(t, f.token, `{ developers(first: 1, orderBy: {direction: ASC, field: NAME}) { pageInfo { endCursor } edges { node { id } } } }`, nil, &out)
	for _, order := range []string{"", `, orderBy: {direction: DESC, field: NAME}`, `, orderBy: {direction: ASC, field: CREATED_AT}`} {
		a := w.ask(t, f.token, fmt.Sprintf(`{ developers(first: 1, after: %q%s) { edges { node { id } } } }`, out.Developers.PageInfo.EndCursor, order), nil)
		if !strings.Contains(string(a.Body), "cursor is not from this list") {
			t.Errorf("%q: %s", order, a.Body)
		}
	}
}
