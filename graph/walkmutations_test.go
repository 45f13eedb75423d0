package graph

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/vektah/gqlparser/v2/ast"
)

// inputSample fills an input object with values of the right form. Ids are
// taken from ids by the field's name.
func inputSample(schema *ast.Schema, d *ast.Definition, ids map[string]string, salt string) map[string]any {
	out := map[string]any{}
	for _, f := range d.Fields {
		id := f.Type.Name() == "ID"
		if !f.Type.NonNull && !id && f.Name != "idempotencyKey" && d.Directives.ForName("oneOf") == nil {
			continue
		}
		if f.Type.NonNull && f.DefaultValue != nil {
			continue
		}
		if v, ok := ids[f.Name]; id && !ok || v == "" && id {
			continue
		}
		out[f.Name] = sample(schema, f, f.Type, ids, salt)
		if d.Directives.ForName("oneOf") != nil {
			break // the first that there is a sample of
		}
	}
	return out
}

func sample(schema *ast.Schema, f *ast.FieldDefinition, typ *ast.Type, ids map[string]string, salt string) any {
	if typ.Elem != nil {
		return []any{sample(schema, f, typ.Elem, ids, salt)}
	}
	d := schema.Types[typ.Name()]
	switch {
	case d.Kind == ast.InputObject:
		in := inputSample(schema, d, ids, salt)
		if d.Name == "LineItemInput" && in["priceId"] == nil {
			in["description"], in["unitAmount"] = "line", map[string]any{"amount": "1.00", "currency": "USD"}
		}
		return in
	case d.Kind == ast.Enum:
		return d.EnumValues[0].Name
	}
	switch d.Name {
	case "ID":
		return ids[f.Name]
	case "Decimal":
		return "1.00"
	case "CurrencyCode":
		return "USD"
	case "Int":
		return 60
	case "Boolean":
		return false
	case "DateTime":
		return "2030-01-01T00:00:00Z"
	}
	switch f.Name {
	case "email":
		return salt + "@sample.example"
	case "secretKey", "publishableKey":
		return map[string]string{"secretKey": "sk_test_", "publishableKey": "pk_test_"}[f.Name] + "sample"
	case "slug":
		return "s" + salt
	}
	return "sample" + salt
}

// TestMutations runs every mutation as every kind of caller: the table alone
// decides what is FORBIDDEN, what is refused changes nothing, and an id of
// another organization, or of another payer, is answered like one that never
// existed.
func TestMutations(t *testing.T) {
	w := newWorld(t, dialect.SQLite)
	a, b := w.fill(t, "alpha"), w.fill(t, "beta")
	schema, r := theSchema(), newRules()
	n := 0
	run := func(c caller, f *ast.FieldDefinition, ids map[string]string) *answer {
		n++
		input := inputSample(schema, schema.Types[f.Arguments[0].Type.Name()], ids, fmt.Sprint(n))
		return w.ask(t, c.credential, `mutation($input: `+f.Arguments[0].Type.String()+`) { `+f.Name+`(input: $input) { userErrors { code message field } } }`,
			map[string]any{"input": input})
	}
	everything := func(f *filled) string {
		return w.ask(t, f.token, dump, nil).Body
	}
	foreignBefore := everything(b)
	if !strings.Contains(foreignBefore, b.mark) {
		t.Fatalf("the other organization shows nothing: %s", foreignBefore)
	}
	callers, strangers := w.callers(t, a, b), w.strangers(t, a, b)
	for _, f := range schema.Mutation.Fields {
		args := mutationIDs(schema, f)
		rule, _ := r.of(schema, schema.Mutation, f.Name)
		for _, c := range callers {
			if c.mine == b || rule.allows(c.viewer) {
				continue
			}
			before := everything(a)
			// Ids that are its own: had it got through, something would change.
			if got := run(c, f, ownIDs(a, args)); got.code() != transportForbidden || string(got.Data[f.Name]) != "" {
				t.Errorf("%s by %s answered %s, want FORBIDDEN", f.Name, c.name, got.Body)
			}
			if after := everything(a); after != before {
				t.Errorf("%s by %s was refused and changed something", f.Name, c.name)
			}
		}
		for _, c := range strangers {
			if !rule.allows(c.viewer) {
				continue
			}
			before := everything(c.of)
			for _, arg := range args {
				for kind, id := range c.foreign {
					if !strings.HasPrefix(id, prefixOf(arg)) && arg != "id" {
						continue
					}
					ids := c.own(args)
					ids[arg] = id
					foreign := run(c.caller, f, ids)
					ids[arg] = absent(id)
					unknown := run(c.caller, f, ids)
					x := strings.ReplaceAll(foreign.Body, id, "ID")
					y := strings.ReplaceAll(unknown.Body, absent(id), "ID")
					if withoutNumbers(x) != withoutNumbers(y) {
						t.Errorf("%s(%s: a foreign %s) by %s:\nforeign %s\nunknown %s", f.Name, arg, kind, c.name, x, y)
					}
					if foreign.code() == "INTERNAL" {
						t.Errorf("%s(%s: a foreign %s) by %s: %s", f.Name, arg, kind, c.name, foreign.Body)
					}
					w.nothingForeign(t, c.caller, a, b, id, foreign)
				}
			}
			if after := everything(c.of); after != before {
				t.Errorf("%s by %s has changed what is none of its business:\nbefore %s\nafter  %s", f.Name, c.name, before, after)
			}
		}
	}
	if after := everything(b); after != foreignBefore {
		t.Errorf("the other organization was changed:\nbefore %s\nafter  %s", foreignBefore, after)
	}
}

// withoutNumbers leaves out what differs between any two requests.
func withoutNumbers(body string) string {
	var a struct {
		Data   any `json:"data"`
		Errors []struct {
			Message    string `json:"message"`
			Extensions struct {
				Code string `json:"code"`
			} `json:"extensions"`
		} `json:"errors"`
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		return body
	}
	out, err := json.Marshal(a)
	if err != nil {
		return body
	}
	return string(out)
}

// mutationIDs are the names of the ids in a mutation's input.
func mutationIDs(schema *ast.Schema, f *ast.FieldDefinition) []string {
	var out []string
	var walk func(d *ast.Definition)
	walk = func(d *ast.Definition) {
		for _, in := range d.Fields {
			next := schema.Types[in.Type.Name()]
			switch {
			case next.Name == "ID" && !slices.Contains(out, in.Name):
				out = append(out, in.Name)
			case next.Kind == ast.InputObject:
				walk(next)
			}
		}
	}
	walk(schema.Types[f.Arguments[0].Type.Name()])
	return out
}

// prefixOf is the prefix of the ids that an argument names.
func prefixOf(arg string) string {
	return map[string]string{
		"payerId": "dev_", "providerId": "prv_", "defaultProviderId": "prv_", "productId": "prd_", "priceId": "prc_",
		"paymentMethodId": "pmd_", "companyId": "com_", "developerId": "dev_", "testTwinOf": "org_", "globalProviderId": "gpr_",
		"deliveryId": "whd_",
	}[arg]
}

// ownIDs names an own object for each id that a mutation takes.
func ownIDs(f *filled, args []string) map[string]string {
	out := map[string]string{}
	for _, arg := range args {
		switch arg {
		case "id", "testTwinOf":
			continue // there is no id that suits every mutation
		}
		for _, id := range f.ids {
			if strings.HasPrefix(id, prefixOf(arg)) {
				out[arg] = id
			}
		}
	}
	if slices.Contains(args, "id") {
		out["id"] = f.payer
	}
	return out
}

// dump shows most of an organization.
const dump = `{
	organization { name supportEmail defaultCurrency chargingEnabled defaultProvider { id } }
	currencies { code status minimumTopUp { amount } }
	providers { name description status secretHint webhookUrl webhookConfigured }
	accessTokens(first: 100) { totalCount edges { node { id name hint revokedAt } } }
	developers(first: 100) { totalCount edges { node { id name email status metadata
		balances { amount { amount } usage { amount } held { amount } lowBalanceNotice { percent } entries(first: 10) { totalCount } }
		holds(first: 10) { edges { node { id status } } }
		paymentMethods(first: 10) { edges { node { id status isDefault } } }
		memberships(first: 10) { edges { node { id role } } } } } }
	companies(first: 100) { totalCount edges { node { id name status } } }
	products(first: 100) { totalCount edges { node { id name active prices { id active nickname } } } }
	quotes(first: 100) { totalCount edges { node { id status description number updatedAt } } }
	invoices(first: 100) { totalCount edges { node { id status description number updatedAt } } }
	subscriptions(first: 100) { totalCount edges { node { id status cancelAtPeriodEnd updatedAt } } }
	payments(first: 100) { totalCount edges { node { id status updatedAt } } }
	gatewayEvents(first: 100) { totalCount edges { node { id status } } }
}`
