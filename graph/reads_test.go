package graph

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"purser/billing"
	"purser/ent/payer"
)

// TestViewer tells each kind of caller who it is.
func TestViewer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		const q = `{ viewer { serverVersion organization { slug } accessToken { name scopes permission } payer { id name } } }`
		for name, c := range map[string]struct{ credential, want string }{
			"token":    {f.token, `{"serverVersion":"test","organization":{"slug":"alpha"},"accessToken":{"name":"First token","scopes":["BILLING","ACCOUNT","ADMIN"],"permission":"READ_WRITE"},"payer":null}`},
			"operator": {w.operator, `{"serverVersion":"test","organization":null,"accessToken":null,"payer":null}`},
		} {
			a := w.ask(t, c.credential, q, nil)
			if got := string(a.Data["viewer"]); got != c.want {
				t.Errorf("%s: %s\nwant %s", name, a.Body, c.want)
			}
		}
		a := w.ask(t, w.session(t, f.tenant, f.payer), `{ viewer { organization { slug } payer { id balances { amount { amount } } } } }`, nil)
		want := `{"organization":{"slug":"alpha"},"payer":{"id":"` + f.payer + `","balances":[{"amount":{"amount":"50.00"}}]}}`
		if got := string(a.Data["viewer"]); got != want {
			t.Errorf("session: %s\nwant %s", a.Body, want)
		}
		if a := w.ask(t, "", q, nil); a.Status != http.StatusUnauthorized || a.code() != "UNAUTHENTICATED" {
			t.Errorf("nobody: %d %s", a.Status, a.Body)
		}
	})
}

// TestNodes resolves every kind of object, in the order asked for, with null
// for what there is not.
func TestNodes(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		for kind, id := range f.ids {
			var one struct {
				Node struct {
					Typename string `json:"__typename"`
					ID       string
				}
			}
			w.must(t, f.token, `query($id: ID!) { node(id: $id) { __typename id } }`, map[string]any{"id": id}, &one)
			if one.Node.Typename != kind || one.Node.ID != id {
				t.Errorf("node(%s) = %+v, want a %s", id, one.Node, kind)
			}
		}
		ids := []string{"dev_nobody", f.ids["Quote"], f.payer, "nonsense", f.ids["Company"], f.payer, "xyz_1", "inv_x"}
		a := w.ask(t, f.token, `query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Payer { name } ... on Developer { email } } }`, map[string]any{"ids": ids})
		if len(a.Errors) > 0 {
			t.Fatal(a.Body)
		}
		dev := `{"id":"` + f.payer + `","name":"mark-alpha ada","email":"ada@alpha.example"}`
		want := `[null,{"id":"` + f.ids["Quote"] + `"},` + dev + `,null,{"id":"` + f.ids["Company"] + `","name":"mark-alpha company"},` + dev + `,null,null]`
		if got := string(a.Data["nodes"]); got != want {
			t.Errorf("nodes = %s\nwant %s", got, want)
		}
		if a := w.ask(t, f.token, `{ node(id: "dev_nobody") { id } }`, nil); len(a.Errors) > 0 || string(a.Data["node"]) != "null" {
			t.Errorf("an unknown node: %s", a.Body)
		}
	})
}

// TestPaging walks a list from both ends: newest first, every row once.
func TestPaging(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.tenant(t, "alpha")
		var made []string
		for n := range 7 {
			id, err := w.billing.CreateDeveloper(f.ctx, billing.PayerDraft{Email: fmt.Sprintf("d%d@x.example", n), Name: "D", BillingMode: payer.BillingModePREPAID}, nil)
			if err != nil {
				t.Fatal(err)
			}
			made = append([]string{id}, made...)
		}
		type page struct {
			Developers struct {
				TotalCount int
				PageInfo   struct {
					HasNextPage, HasPreviousPage bool
					StartCursor, EndCursor       string
				}
				Edges []struct{ Node struct{ ID string } }
			}
		}
		walk := func(args func(p *page) string, more func(p *page) bool, prepend bool) []string {
			var ids []string
			p := &page{}
			for range 10 {
				q := `{ developers(` + args(p) + `) { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { node { id } } } }`
				p = &page{}
				w.must(t, f.token, q, nil, p)
				if p.Developers.TotalCount != len(made) {
					t.Errorf("totalCount = %d, want %d", p.Developers.TotalCount, len(made))
				}
				var these []string
				for _, e := range p.Developers.Edges {
					these = append(these, e.Node.ID)
				}
				if prepend {
					ids = append(these, ids...)
				} else {
					ids = append(ids, these...)
				}
				if !more(p) {
					return ids
				}
			}
			t.Fatal("the list does not end")
			return nil
		}
		forward := walk(func(p *page) string {
			if c := p.Developers.PageInfo.EndCursor; c != "" {
				return `first: 3, after: "` + c + `"`
			}
			return `first: 3`
		}, func(p *page) bool { return p.Developers.PageInfo.HasNextPage }, false)
		backward := walk(func(p *page) string {
			if c := p.Developers.PageInfo.StartCursor; c != "" {
				return `last: 3, before: "` + c + `"`
			}
			return `last: 3`
		}, func(p *page) bool { return p.Developers.PageInfo.HasPreviousPage }, true)
		if want := strings.Join(made, " "); strings.Join(forward, " ") != want || strings.Join(backward, " ") != want {
			t.Errorf("forward  %v\nbackward %v\nwant     %v", forward, backward, made)
		}
	})
}

// TestPagesAreNotCounted turns pages without a count of the list, of which
// totalCount alone is in need.
func TestPagesAreNotCounted(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	for q, counts := range map[string]int{
		`{ developers(first: 1) { pageInfo { hasNextPage endCursor } edges { node { balances { entries(first: 1) { pageInfo { hasNextPage } edges { node { kind } } } } } } } }`: 0,
		`{ developers(first: 1) { pageInfo { hasNextPage endCursor } } }`:                   0,
		`{ developers(first: 1) { totalCount edges { node { id } } } }`:                     1,
		`{ developers(first: 1) { edges { node { invoices(first: 1) { totalCount } } } } }`: 1,
	} {
		w.recorder.Reset()
		a := w.ask(t, f.token, q, nil)
		n := 0
		for _, s := range w.recorder.Statements() {
			n += strings.Count(s.Query, "COUNT(")
		}
		if n != counts || len(a.Errors) > 0 {
			t.Errorf("%d counts, want %d: %s\n%s", n, counts, q, a.Body)
		}
		if strings.Contains(q, "hasNextPage endCursor") && !strings.Contains(string(a.Body), `"pageInfo":{"hasNextPage":true,"endCursor":"`) {
			t.Errorf("%s: %s", q, a.Body)
		}
	}
}

// TestRenamedParts finds the parts of a connection whatever the document calls
// them.
func TestRenamedParts(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	a := w.ask(t, f.token, `query { d: developers(first: 1) { n: totalCount e: edges { x: node { balances { entries(first: 1) { k: totalCount l: edges { m: node { kind } } } } } } } }`, nil)
	want := `{"n":2,"e":[{"x":{"balances":[{"entries":{"k":1,"l":[{"m":{"kind":"RELOAD"}}]}}]}}]}`
	if got := string(a.Data["d"]); got != want {
		t.Errorf("got %s\nwant %s", a.Body, want)
	}
	a = w.ask(t, f.token, `query { developers(first: 1) { ...C } } fragment C on DeveloperConnection { totalCount edges { node { ...D } } } fragment D on Developer { email ... on Payer { balances { currency { code } } } }`, nil)
	want = `{"totalCount":2,"edges":[{"node":{"email":"ada@alpha.example","balances":[{"currency":{"code":"USD"}}]}}]}`
	if got := string(a.Data["developers"]); got != want {
		t.Errorf("got %s\nwant %s", a.Body, want)
	}
}

// TestPayerLookup finds a payer by each of its names.
func TestPayerLookup(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	for by, want := range map[string]string{
		`id: "` + f.payer + `"`:               f.payer,
		`externalId: "mark-alphaada"`:         f.payer,
		`developerEmail: "ada@alpha.example"`: f.payer,
		`companySlug: "alpha-co"`:             f.ids["Company"],
	} {
		var out struct{ Payer struct{ ID string } }
		w.must(t, f.token, `{ payer(by: {`+by+`}) { id } }`, nil, &out)
		if out.Payer.ID != want {
			t.Errorf("payer(by: {%s}) = %s, want %s", by, out.Payer.ID, want)
		}
	}
	if a := w.ask(t, f.token, `{ payer(by: {companySlug: "nobody"}) { id } }`, nil); string(a.Data["payer"]) != "null" || len(a.Errors) > 0 {
		t.Errorf("nobody: %s", a.Body)
	}
}

// TestStatements counts what nested queries cost: the number of statements
// must not grow with the number of rows, and each must be good for tables that
// are spread by organization.
func TestStatements(t *testing.T) {
	queries := map[string]string{
		"payers": `{ developers(first: 50) { totalCount edges { node { name
			balances { amount { amount } currency { code displayName } entries(first: 2) { totalCount edges { node { kind amount { amount } } } } }
			balance(currency: "USD") { remaining { amount } currency { code } entries(first: 1) { edges { node { kind } } } }
			canSpend(amount: {amount: "1", currency: "USD"}) { allowed } dear: canSpend(amount: {amount: "1000", currency: "USD"}) { reason }
			defaultPaymentMethod { card { last4 } provider { name environment } }
			a: paymentMethods(first: 2) { totalCount edges { node { provider { environment } } } }
			memberships(first: 2) { edges { node { company { name balance(currency: "USD") { remaining { amount } } } } } }
			invoices(first: 2, where: {status: VOID}) { totalCount edges { node { number lineItems { price { product { name } } } payer { name } } } }
		} } } }`,
		"balances":    `{ balances(first: 50) { edges { node { currency { code } payer { name ... on Developer { email defaultPaymentMethod { card { last4 } } } } } } } }`,
		"time travel": `{ balances(first: 50) { edges { node { asOf(at: "2026-03-10T12:00:00Z") { remaining { amount } lastEntry { kind payment { id } balance { currency { code } payer { name } } } } } } } }`,
		"statements": `{ developers(first: 50) { edges { node { statement(month: 3, year: 2026, currency: "USD") { currentBalance { amount } currency { code } }
			none: statement(month: 3, year: 2026, currency: "JPY") { usage { amount } } balances { now: asOf(at: "2030-01-01T00:00:00Z") { amount { amount } lastEntry { id } } } } } } }`,
		"payments": `{ payments(first: 50) { edges { node { payer { name } provider { name environment capabilities } invoice { number } balance { currency { code } }
			paymentMethod { card { brand } } refunds { amount { amount } } disputes { status } attempts(first: 2) { totalCount edges { node { status } } } nextAction { __typename } } } } }`,
		"quotes":    `{ quotes(first: 50) { edges { node { payer { name } provider { environment } invoice { number } lineItems { price { product { name } } } allowedActions pdfUrl } } } }`,
		"products":  `{ products(first: 50) { edges { node { provider { name environment } prices { unitAmount { amount } product { name } } } } } }`,
		"companies": `{ companies(first: 50) { edges { node { members(first: 5) { edges { node { developer { name balances { remaining { amount } } } } } } } } } }`,
	}
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		count := func() map[string]int {
			out := map[string]int{}
			for name, q := range queries {
				w.recorder.Reset()
				w.must(t, f.token, q, nil, nil)
				out[name] = len(w.recorder.Statements())
				w.recorder.Check(t)
			}
			return out
		}
		count() // the first request of a minute writes when the token was used
		before := count()
		for n := range 4 {
			w.more(t, f, n)
		}
		for name, n := range count() {
			if n != before[name] {
				t.Errorf("%s: %d statements with few rows, %d with many", name, before[name], n)
			}
			t.Logf("%s: %d statements", name, n)
		}
	})
}

// TestMemoKeepsSelectionsApart asks for the default card and a balance at two
// places that share a fragment, with more at one of them.
func TestMemoKeepsSelectionsApart(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	const document = `query { invoices(first: 1, where: {status: VOID}) { edges { node {
		quote { payer { ...F } }
		payer { ...F ... on Developer { balance(currency: "USD") { amount { amount } } defaultPaymentMethod { card { last4 } } } }
	} } } }
	fragment F on Developer { balance(currency: "USD") { id } defaultPaymentMethod { id } }`
	for range 20 { // which place is first is chance
		a := w.ask(t, f.token, document, nil)
		if !strings.Contains(a.Body, `"amount":{"amount":"50.00"}`) || !strings.Contains(a.Body, `"last4":"4242"`) {
			t.Fatal(a.Body)
		}
	}
}

// TestPayloadByTwoNames shows the object of a payload under two names, with
// different columns.
func TestPayloadByTwoNames(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	a := w.ask(t, f.token, `mutation { developerUpdate(input: {id: "`+f.payer+`", name: "N"}) { a: developer { email } b: developer { name balances { amount { amount } } } } }`, nil)
	want := `{"a":{"email":"ada@alpha.example"},"b":{"name":"N","balances":[{"amount":{"amount":"50.00"}}]}}`
	if got := string(a.Data["developerUpdate"]); got != want {
		t.Errorf("got %s\nwant %s", a.Body, want)
	}
}
