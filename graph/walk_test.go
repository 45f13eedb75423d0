package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/vektah/gqlparser/v2/ast"

	"purser/auth"
	"purser/graph/generated"
)

// theSchema is the public schema.
func theSchema() *ast.Schema {
	return generated.NewExecutableSchema(generated.Config{}).Schema()
}

// shownTypes are the types whose fields may be selected.
func shownTypes(schema *ast.Schema) []*ast.Definition {
	var out []*ast.Definition
	for _, d := range schema.Types {
		if !d.BuiltIn && (d.Kind == ast.Object || d.Kind == ast.Interface) {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *ast.Definition) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// TestEveryFieldHasARule fails for a field that nobody has decided about, and
// for a rule about nothing.
func TestEveryFieldHasARule(t *testing.T) {
	schema, r := theSchema(), newRules()
	known := map[string]bool{}
	for _, d := range shownTypes(schema) {
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			known[d.Name+"."+f.Name] = true
			a, ok := r.of(schema, d, f.Name)
			if !ok {
				t.Errorf("%s.%s has no rule", d.Name, f.Name)
			}
			if d == schema.Mutation && (!a.write || len(a.areas) == 0) {
				t.Errorf("%s.%s changes something and must ask for the right to write", d.Name, f.Name)
			}
			acts := d.Name+"."+f.Name == "Quote.acceptUrl" // whoever reads it can accept
			if d != schema.Mutation && a.write != acts {
				t.Errorf("%s.%s reads: whether it asks for the right to write is %t", d.Name, f.Name, a.write)
			}
		}
	}
	for name := range r.fields {
		if !known[name] {
			t.Errorf("the rule of %s is about nothing", name)
		}
	}
	for name := range r.types {
		if d := schema.Types[name]; d == nil {
			t.Errorf("the rule of %s is about nothing", name)
		}
	}
}

// TestNodeTypes holds that every type with an id can be looked up by it, and
// nothing else.
func TestNodeTypes(t *testing.T) {
	schema := theSchema()
	have := map[string]bool{}
	for prefix, n := range nodeTypes() {
		have[n.name] = true
		if d := schema.Types[n.name]; d == nil || !slices.Contains(d.Interfaces, "Node") {
			t.Errorf("%s_ leads to %s, which is no node", prefix, n.name)
		}
	}
	for _, d := range shownTypes(schema) {
		if d.Kind == ast.Object && slices.Contains(d.Interfaces, "Node") && !have[d.Name] {
			t.Errorf("%s is a node and has no prefix", d.Name)
		}
	}
}

// TestDecision16 spells out who may do what, against the table in rules.go.
func TestDecision16(t *testing.T) {
	const read, write = auth.PermissionRead, auth.PermissionReadWrite
	token := func(p auth.Permission, s ...auth.Scope) *auth.Viewer {
		return &auth.Viewer{OrganizationID: "org", TokenID: "tok", Scopes: s, Permission: p}
	}
	viewers := map[string]*auth.Viewer{
		"nobody":    nil,
		"operator":  {TokenID: "tok", Scopes: []auth.Scope{auth.ScopeSystem}, Permission: write},
		"billing r": token(read, auth.ScopeBilling), "billing w": token(write, auth.ScopeBilling),
		"account r": token(read, auth.ScopeAccount), "account w": token(write, auth.ScopeAccount),
		"admin r": token(read, auth.ScopeAdmin), "admin w": token(write, auth.ScopeAdmin),
		"session": {OrganizationID: "org", SessionID: "ses", PayerID: "dev"},
	}
	schema, r := theSchema(), newRules()
	for field, who := range map[string]string{
		"Query.viewer":                     "operator, billing r, billing w, account r, account w, admin r, admin w, session",
		"Query.organizations":              "operator",
		"Query.accessTokens":               "account r, account w, admin r, admin w",
		"Query.providers":                  "account r, account w, admin r, admin w",
		"Query.balances":                   "billing r, billing w, admin r, admin w, session",
		"Query.developers":                 "billing r, billing w, admin r, admin w",
		"Query.gatewayEvents":              "billing r, billing w, admin r, admin w",
		"Query.emails":                     "billing r, billing w, admin r, admin w",
		"Query.emailTemplates":             "account r, account w, admin r, admin w",
		"Mutation.emailTemplateOverride":   "account w, admin w",
		"Mutation.emailTemplateReset":      "account w, admin w",
		"Mutation.emailResend":             "billing w, admin w",
		"Provider.secretHint":              "account r, account w, admin r, admin w",
		"Provider.webhookUrl":              "account r, account w, admin r, admin w",
		"Provider.name":                    "billing r, billing w, account r, account w, admin r, admin w, session",
		"Developer.metadata":               "billing r, billing w, admin r, admin w",
		"Developer.memberships":            "billing r, billing w, admin r, admin w",
		"Organization.thankYouUrl":         "operator, account r, account w, admin r, admin w",
		"Mutation.organizationCreate":      "operator",
		"Mutation.organizationUpdate":      "account w, admin w",
		"Mutation.organizationStatusSet":   "operator",
		"Mutation.globalProviderCreate":    "operator",
		"Mutation.globalProviderUpdate":    "operator",
		"Mutation.globalProviderDelete":    "operator",
		"Query.globalProviders":            "operator, account r, account w, admin r, admin w",
		"GlobalProvider.secretHint":        "operator",
		"Mutation.payerExport":             "billing w, admin w",
		"Mutation.payerErase":              "billing w, admin w",
		"Mutation.reconcile":               "billing w, admin w",
		"Mutation.providerCreate":          "account w, admin w",
		"Mutation.currencySet":             "account w, admin w",
		"Mutation.accessTokenCreate":       "admin w",
		"Mutation.accessTokenRevoke":       "admin w",
		"Mutation.payerSessionCreate":      "billing w, admin w",
		"Mutation.developerCreate":         "billing w, admin w",
		"Mutation.usageRecord":             "billing w, admin w",
		"Mutation.usageRecordBatch":        "billing w, admin w",
		"Mutation.usageReverse":            "billing w, admin w",
		"Mutation.balanceReload":           "billing w, admin w",
		"Mutation.balanceCredit":           "billing w, admin w",
		"Mutation.balanceAdjust":           "billing w, admin w",
		"Mutation.creditLimitSet":          "billing w, admin w",
		"Mutation.lowBalanceNoticeSet":     "billing w, admin w",
		"Mutation.holdCreate":              "billing w, admin w",
		"Mutation.holdCapture":             "billing w, admin w",
		"Mutation.holdRelease":             "billing w, admin w",
		"Mutation.quoteFinalize":           "billing w, admin w",
		"Mutation.quoteAccept":             "billing w, admin w, session",
		"Mutation.quoteCancel":             "billing w, admin w, session",
		"Mutation.quoteSend":               "billing w, admin w",
		"Mutation.quoteRevise":             "billing w, admin w",
		"Quote.acceptUrl":                  "billing w, admin w, session",
		"Mutation.subscriptionCreate":      "billing w, admin w",
		"Mutation.subscriptionUpdate":      "billing w, admin w",
		"Mutation.subscriptionCancel":      "billing w, admin w, session",
		"Mutation.subscriptionResume":      "billing w, admin w",
		"Mutation.clockAdvance":            "account w, admin w",
		"Query.subscriptions":              "billing r, billing w, admin r, admin w, session",
		"Mutation.invoicePay":              "billing w, admin w, session",
		"Mutation.invoiceVoid":             "billing w, admin w",
		"Mutation.paymentStart":            "billing w, admin w, session",
		"Mutation.paymentMethodDetach":     "billing w, admin w, session",
		"Mutation.balanceTopUp":            "billing w, admin w, session",
		"Mutation.companyMemberAdd":        "billing w, admin w",
		"DeveloperCreatePayload.developer": "operator, billing r, billing w, account r, account w, admin r, admin w, session",
	} {
		owner, name, _ := strings.Cut(field, ".")
		a, ok := r.of(schema, schema.Types[owner], name)
		if !ok {
			t.Errorf("%s has no rule", field)
			continue
		}
		for caller, v := range viewers {
			want := slices.Contains(strings.Split(who, ", "), caller)
			if got := a.allows(v); got != want {
				t.Errorf("%s by %s: allowed %t, want %t", field, caller, got, want)
			}
		}
	}
}

// caller is one kind of caller of the walk.
type caller struct {
	name       string
	credential string
	viewer     *auth.Viewer // as the rules see it
	mine       *filled      // whose rows it may see; nil for the operator
}

// callers are all kinds of callers, of two organizations.
func (w *world) callers(t testing.TB, a, b *filled) []caller {
	t.Helper()
	out := []caller{{
		name: "operator", credential: w.operator,
		viewer: &auth.Viewer{TokenID: "op", Scopes: []auth.Scope{auth.ScopeSystem}, Permission: auth.PermissionReadWrite},
	}}
	for _, scope := range []auth.Scope{auth.ScopeBilling, auth.ScopeAccount, auth.ScopeAdmin} {
		for _, permission := range []auth.Permission{auth.PermissionRead, auth.PermissionReadWrite} {
			out = append(out, caller{
				name: fmt.Sprintf("%s %s", scope, permission), credential: w.credential(t, a.tenant, permission, scope), mine: a,
				viewer: &auth.Viewer{OrganizationID: a.id, TokenID: "t", Scopes: []auth.Scope{scope}, Permission: permission},
			})
		}
	}
	out = append(out, caller{
		name: "session", credential: w.session(t, a.tenant, a.payer), mine: a,
		viewer: &auth.Viewer{OrganizationID: a.id, SessionID: "s", PayerID: a.payer},
	})
	return append(out, caller{
		name: "the other organization", credential: b.token, mine: b,
		viewer: &auth.Viewer{OrganizationID: b.id, TokenID: "t", Scopes: []auth.Scope{auth.ScopeBilling, auth.ScopeAccount, auth.ScopeAdmin}, Permission: auth.PermissionReadWrite},
	})
}

// probe is a document that reaches one field, and the fields on the way.
type probe struct {
	field    string
	document string
	needs    []string // "Type.field" of everything selected
	node     string   // the type looked up by id, or empty
}

// prober makes documents by walking the schema.
type prober struct {
	schema *ast.Schema
	ids    map[string]string // an id for each node type
}

// probes returns a document for every field of every type that a query can
// reach: types with an id through node, all others through the shortest way
// from those or from the root.
func (p *prober) probes(t testing.TB) []probe {
	t.Helper()
	type way struct {
		open, shut string
		needs      []string
		node       string
	}
	ways := map[string]way{"Query": {}}
	queue := []string{"Query"}
	for _, d := range shownTypes(p.schema) {
		id, ok := p.ids[d.Name]
		if d.Kind == ast.Object && ok {
			ways[d.Name] = way{`node(id: "` + id + `") { ... on ` + d.Name + ` { `, ` } }`, []string{"Query.node"}, d.Name}
			queue = append(queue, d.Name)
		}
	}
	var out []probe
	for len(queue) > 0 {
		d := p.schema.Types[queue[0]]
		queue = queue[1:]
		at := ways[d.Name]
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			call := f.Name + p.arguments(f)
			needs := append(slices.Clone(at.needs), d.Name+"."+f.Name)
			leaf := p.schema.Types[f.Type.Name()]
			selection := ""
			if leaf.IsCompositeType() {
				selection = " { __typename }"
				for _, next := range p.schema.GetPossibleTypes(leaf) {
					if _, seen := ways[next.Name]; !seen {
						open := at.open + call + " { "
						shut := " }" + at.shut
						if next.Name != leaf.Name {
							open, shut = open+"... on "+next.Name+" { ", " }"+shut
						}
						ways[next.Name] = way{open, shut, needs, at.node}
						queue = append(queue, next.Name)
					}
				}
			}
			out = append(out, probe{d.Name + "." + f.Name, "{ " + at.open + call + selection + at.shut + " }", needs, at.node})
		}
	}
	for _, d := range shownTypes(p.schema) {
		if _, reached := ways[d.Name]; !reached && d.Kind == ast.Object && d != p.schema.Mutation && d != p.schema.Subscription &&
			!strings.HasSuffix(d.Name, "Payload") && !strings.HasPrefix(d.Name, "SubscriptionPreview") &&
			!slices.Contains([]string{"UserError", "UsageRecordResult", "LeftBehind", "ReconcileReport", "ReconcileException"}, d.Name) {
			t.Errorf("no query reaches %s", d.Name)
		}
	}
	return out
}

// arguments fills the required arguments of a query's field.
func (p *prober) arguments(f *ast.FieldDefinition) string {
	var args []string
	for _, a := range f.Arguments {
		if !a.Type.NonNull {
			continue
		}
		value := map[string]string{
			"id": `"` + p.ids["Developer"] + `"`, "ids": `["` + p.ids["Developer"] + `", "` + p.ids["Product"] + `"]`,
			"by": `{id: "` + p.ids["Developer"] + `"}`, "month": "3", "year": "2026", "at": `"2026-03-10T12:00:00Z"`, "currency": `"USD"`, "locale": `"en"`, "amount": `{amount: "1.00", currency: "USD"}`,
		}[a.Name]
		args = append(args, a.Name+": "+value)
	}
	if len(args) == 0 {
		return ""
	}
	return "(" + strings.Join(args, ", ") + ")"
}

// expected reports whether the rules let a caller run a probe.
func expected(schema *ast.Schema, r *rules, c caller, p probe) bool {
	for _, name := range p.needs {
		owner, field, _ := strings.Cut(name, ".")
		a, ok := r.of(schema, schema.Types[owner], field)
		if !ok || !a.allows(c.viewer) {
			return false
		}
	}
	for _, n := range nodeTypes() {
		if n.name == p.node && !readsAny(c.viewer, n.areas) {
			return false
		}
	}
	return true
}

// TestWalk asks for every field as every kind of caller: the table alone
// decides what is refused, nothing fails otherwise, and no answer shows
// anything of the other organization.
func TestWalk(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	a, b := w.fill(t, "alpha"), w.fill(t, "beta")
	schema, r := theSchema(), newRules()
	for _, c := range w.callers(t, a, b) {
		t.Run(c.name, func(t *testing.T) {
			ids := a.ids
			if c.mine != nil {
				ids = c.mine.ids
			}
			for _, p := range (&prober{schema, ids}).probes(t) {
				got := w.ask(t, c.credential, p.document, nil)
				if p.field == "Query.nodes" && c.viewer.IsSession() {
					// A payer is its own, a product is nobody's it may ask for.
					if got.code() != transportForbidden || !strings.Contains(string(got.Data["nodes"]), "Developer") {
						t.Errorf("%s: %s", p.document, got.Body)
					}
					continue
				}
				if p.node == "" && strings.HasPrefix(p.document, "{ node(") || p.field == "Query.nodes" && !readsAny(c.viewer, []auth.Area{auth.AreaBilling}) {
					continue // who may look up which id is asked for below
				}
				want := ""
				if !expected(schema, r, c, p) {
					want = transportForbidden
				}
				if got.code() != want {
					t.Errorf("%s\nanswered %s, want code %q", p.document, got.Body, want)
				}
				w.nothingForeign(t, c, a, b, p.document, got)
			}
		})
	}
}

const transportForbidden = "FORBIDDEN"

// nothingForeign fails the test where an answer has a mark of an organization
// that is not the caller's. What was sent, a document or an id, may come back.
func (w *world) nothingForeign(t testing.TB, c caller, a, b *filled, document string, got *answer) {
	t.Helper()
	for _, f := range []*filled{a, b} {
		if c.mine == f {
			continue
		}
		if c.mine == nil && strings.Contains(document, "rganization") {
			continue // the operator sees organizations
		}
		for _, mark := range []string{f.mark, f.slug, f.id} {
			if strings.Contains(strings.ReplaceAll(got.Body, document, ""), mark) {
				t.Errorf("%s by %s shows %q of another organization: %s", document, c.name, mark, got.Body)
			}
		}
	}
}

// TestForeignIDs looks up every object of another organization, and of
// another payer of the own one, and compares with an id that never existed.
func TestForeignIDs(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	a, b := w.fill(t, "alpha"), w.fill(t, "beta")
	for _, c := range w.strangers(t, a, b) {
		for kind, id := range c.foreign {
			for _, document := range []string{
				`{ node(id: "ID") { id __typename } }`,
				`{ nodes(ids: ["ID"]) { id __typename } }`,
				`{ nodes(ids: ["ID", "` + a.payer + `"]) { id __typename } }`,
				`{ payer(by: {id: "ID"}) { id } }`,
			} {
				foreign := w.ask(t, c.credential, strings.ReplaceAll(document, "ID", id), nil)
				unknown := w.ask(t, c.credential, strings.ReplaceAll(document, "ID", absent(id)), nil)
				if strings.ReplaceAll(foreign.Body, id, "ID") != strings.ReplaceAll(unknown.Body, absent(id), "ID") {
					t.Errorf("%s of %s by %s:\nforeign %s\nunknown %s", document, kind, c.name, foreign.Body, unknown.Body)
				}
			}
		}
		for by, value := range map[string]string{
			"externalId": c.of.mark + "ada", "developerEmail": "ada@" + c.of.slug + ".example", "companySlug": c.of.slug + "-co",
		} {
			document := `{ payer(by: {` + by + `: "VALUE"}) { id } }`
			foreign := w.ask(t, c.credential, strings.ReplaceAll(document, "VALUE", value), nil)
			unknown := w.ask(t, c.credential, strings.ReplaceAll(document, "VALUE", value+"x"), nil)
			if foreign.Body != unknown.Body || foreign.code() == "" && string(foreign.Data["payer"]) != "null" {
				t.Errorf("a foreign payer's %s by %s:\nforeign %s\nunknown %s", by, c.name, foreign.Body, unknown.Body)
			}
		}
	}
}

// stranger is a caller and what is none of its business.
type stranger struct {
	caller
	of      *filled           // whose the foreign objects are
	foreign map[string]string // by type
	own     func(args []string) map[string]string
}

// strangers are the callers of one organization before another organization's
// objects, and a payer before those of another payer of its own.
func (w *world) strangers(t testing.TB, a, b *filled) []stranger {
	t.Helper()
	var out []stranger
	theirs := maps.Clone(b.ids)
	delete(theirs, "GlobalProvider") // it is everybody's
	for _, c := range w.callers(t, a, b) {
		if c.mine == a {
			out = append(out, stranger{c, b, theirs, func(args []string) map[string]string { return ownIDs(a, args) }})
		}
	}
	foreign := maps.Clone(a.ids)
	for _, shared := range []string{"Organization", "Provider", "GlobalProvider"} {
		delete(foreign, shared)
	}
	return append(out, stranger{
		caller{
			name: "another payer's session", credential: w.session(t, a.tenant, a.other), mine: a,
			viewer: &auth.Viewer{OrganizationID: a.id, SessionID: "s", PayerID: a.other},
		},
		a, foreign,
		func(args []string) map[string]string {
			ids := ownIDs(a, args)
			for arg := range ids {
				if arg == "id" || arg == "payerId" {
					ids[arg] = a.other
				} else if arg == "paymentMethodId" {
					delete(ids, arg) // it has none
				}
			}
			return ids
		},
	})
}

// absent is an id of the same kind that does not exist.
func absent(id string) string {
	return id[:len(id)-1] + map[bool]string{true: "y", false: "z"}[strings.HasSuffix(id, "z")]
}
