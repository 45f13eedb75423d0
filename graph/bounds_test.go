package graph

import (
	"fmt"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"purser/billing"
	"purser/ent"
	"purser/graph/transport"
)

// TestEveryListHasABound fails for a list of objects whose length nobody has
// thought about: each is a page, as long as a list of arguments, or has a
// length by which it is counted.
func TestEveryListHasABound(t *testing.T) {
	schema, limits := theSchema(), transport.DefaultLimits()
	used := map[string]bool{}
	for _, d := range shownTypes(schema) {
		if strings.HasSuffix(d.Name, "Connection") {
			continue
		}
	fields:
		for _, f := range d.Fields {
			if f.Type.Elem == nil || strings.HasPrefix(f.Name, "__") || !schema.Types[f.Type.Name()].IsCompositeType() {
				continue
			}
			for _, a := range f.Arguments {
				if a.Type.Elem != nil {
					continue fields
				}
			}
			if _, ok := limits.Shows[f.Name]; !ok {
				t.Errorf("%s.%s is a list of objects without a bound: make it a connection, or say in transport.Limits.Shows how long it is taken to be", d.Name, f.Name)
			}
			used[f.Name] = true
		}
	}
	for name := range limits.Shows {
		if !used[name] {
			t.Errorf("the bound of %s is about nothing", name)
		}
	}
}

// TestCyclesAreCounted refuses documents that go round in lists which are
// shown whole, before they are run.
func TestCyclesAreCounted(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	round := func(open string, n int) string {
		return strings.Repeat(open, n) + "id" + strings.Repeat(" }", strings.Count(open, "{")*n)
	}
	var aliases string
	for n := range 90 {
		aliases += fmt.Sprintf(" n%d: name", n)
	}
	session := w.session(t, f.tenant, f.payer)
	for _, c := range []struct{ credential, document, want string }{
		{f.token, `{ products(first: 1) { edges { node { ` + round("prices { product { ", 2) + ` } } } }`, ""},
		{f.token, `{ products(first: 1) { edges { node { ` + round("prices { product { ", 5) + ` } } } }`, "COMPLEXITY_LIMIT_EXCEEDED"},
		{f.token, `{ products(first: 100) { edges { node { ` + round("prices { product { ", 3) + ` } } } }`, "COMPLEXITY_LIMIT_EXCEEDED"},
		{session, `{ viewer { payer { ` + round("balances { payer { ", 3) + ` } } }`, ""},
		{session, `{ viewer { payer { ` + strings.Replace(round("balances { payer { ", 6), "id", aliases+" id", 1) + ` } } }`, "COMPLEXITY_LIMIT_EXCEEDED"},
	} {
		if a := w.ask(t, c.credential, c.document, nil); a.code() != c.want {
			t.Errorf("%s: %.300s, want %q", c.document, a.Body, c.want)
		}
	}
}

// TestLongListsEnd stops an answer whose lists are longer than they are taken
// to be.
func TestLongListsEnd(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.tenant(t, "alpha")
	product, err := w.billing.CreateProduct(f.ctx, billing.ProductDraft{Name: "P"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	const prices = 60
	rows := make([]*ent.PriceCreate, prices)
	for n := range rows {
		rows[n] = w.raw.Price.Create().SetID(fmt.Sprintf("prc_%d", n)).SetProductID(product).SetCurrency("USD").
			SetUnitAmountUnits(usd(1).Units).SetCreatedAt(w.billing.Now())
	}
	if err := w.raw.Price.CreateBulk(rows...).Exec(f.ctx); err != nil {
		t.Fatal(err)
	}
	for rounds, want := range map[int]string{2: "", 3: "COMPLEXITY_LIMIT_EXCEEDED"} {
		document := `{ products(first: 1) { edges { node { ` + strings.Repeat("prices { product { ", rounds) + "id" + strings.Repeat(" } }", rounds) + ` } } } }`
		a := w.ask(t, f.token, document, nil)
		if a.code() != want || len(a.Errors) > transport.DefaultLimits().Errors {
			t.Errorf("%d rounds: %.300s, want %q", rounds, a.Body, want)
		}
	}
}
