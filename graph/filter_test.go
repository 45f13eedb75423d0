package graph

import (
	"encoding/json"
	"fmt"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/vektah/gqlparser/v2/ast"
)

// TestEveryFilter asks every list that has a filter, wherever it hangs, for
// each value of each of the filter's fields: every row is found under exactly
// one value, and shows it.
func TestEveryFilter(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	w.more(t, f, 0)
	schema := theSchema()
	found := map[string]int{}
	for _, d := range shownTypes(schema) {
		if d.Kind != ast.Object {
			continue
		}
		for _, field := range d.Fields {
			where := field.Arguments.ForName("where")
			if where == nil {
				continue
			}
			ask := func(argument string, node string) (int, []json.RawMessage) {
				t.Helper()
				q := fmt.Sprintf(`%s(first: 100, where: %s) { totalCount edges { node { %s } } }`, field.Name, argument, node)
				at := "list"
				if d == schema.Query {
					q = `{ list: ` + q + ` }`
				} else {
					q, at = fmt.Sprintf(`{ node(id: %q) { ... on %s { list: %s } } }`, f.ids[d.Name], d.Name, q), "node"
				}
				type list struct {
					TotalCount int
					Edges      []struct{ Node map[string]json.RawMessage }
				}
				var l list
				a := w.ask(t, f.token, q, nil)
				if len(a.Errors) > 0 {
					t.Fatalf("%s: %s", q, a.Body)
				}
				if err := json.Unmarshal(a.Data[at], &l); at == "list" && err != nil {
					t.Fatal(err)
				}
				if at == "node" {
					var n struct{ List list }
					if err := json.Unmarshal(a.Data[at], &n); err != nil {
						t.Fatal(err)
					}
					l = n.List
				}
				var values []json.RawMessage
				for _, e := range l.Edges {
					values = append(values, e.Node[node])
				}
				if len(values) != l.TotalCount {
					t.Errorf("%s.%s(where: %s) has %d rows and a totalCount of %d", d.Name, field.Name, argument, len(values), l.TotalCount)
				}
				return l.TotalCount, values
			}
			all, _ := ask("{}", "id")
			found[d.Name+"."+field.Name] = all
			for _, by := range schema.Types[where.Type.Name()].Fields {
				column := by.Name
				if by.Type.Elem != nil {
					continue // asked below, as the list of one
				}
				values := []string{"true", "false"}
				if e := schema.Types[by.Type.Name()]; e.Kind == ast.Enum {
					values = values[:0]
					for _, v := range e.EnumValues {
						values = append(values, v.Name)
					}
				}
				sum := 0
				for _, v := range values {
					n, shown := ask(fmt.Sprintf("{%s: %s}", by.Name, v), column)
					sum += n
					for _, s := range shown {
						if want := v; string(s) != want && string(s) != `"`+want+`"` {
							t.Errorf("%s.%s(where: {%s: %s}) shows one with %s", d.Name, field.Name, by.Name, v, s)
						}
					}
					if schema.Types[where.Type.Name()].Fields.ForName(by.Name+"In") == nil {
						continue
					}
					for _, list := range []string{"[%s]", "%s"} {
						if in, _ := ask(fmt.Sprintf("{%sIn: "+list+"}", by.Name, v), "id"); in != n {
							t.Errorf("%s.%s: %d with %s = %s, %d with it in a list of one", d.Name, field.Name, n, by.Name, v, in)
						}
					}
				}
				if sum != all {
					t.Errorf("%s.%s has %d rows, and by each %s together %d", d.Name, field.Name, all, by.Name, sum)
				}
			}
		}
	}
	for _, name := range []string{"Developer.quotes", "Developer.invoices", "Developer.payments", "Developer.paymentMethods", "Invoice.payments", "Balance.entries", "Organization.developers", "Query.invoices"} {
		if found[name] == 0 {
			t.Errorf("%s was asked for without having rows", name)
		}
	}
	if f.ids["Developer"] == "" {
		t.Error("nothing was filled in")
	}
}

// TestFilterByVariable filters a nested list by a variable, below a page of
// payers.
func TestFilterByVariable(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	var out struct {
		Payer struct {
			Invoices struct {
				Edges []struct{ Node struct{ Status string } }
			}
		}
	}
	w.must(t, f.token, `query($id: ID!, $w: InvoiceFilter) { payer(by: {id: $id}) { invoices(where: $w) { edges { node { status } } } } }`,
		map[string]any{"id": f.payer, "w": map[string]any{"statusIn": []string{"VOID", "PAID"}}}, &out)
	if e := out.Payer.Invoices.Edges; len(e) != 1 || e[0].Node.Status != "VOID" {
		t.Errorf("invoices = %+v, want the void one", e)
	}
}
