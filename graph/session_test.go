package graph

import (
	"strings"
	"testing"
)

// TestSession holds that a payer's session sees its own payer, whole, and
// nothing of another one of the same organization, nor what is still being
// written.
func TestSession(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		mine, theirs := w.session(t, f.tenant, f.payer), w.session(t, f.tenant, f.other)
		w.recorder.Reset()

		const lists = `{
			balances { totalCount edges { node { payer { id } entries(first: 5) { totalCount } } } }
			quotes { totalCount edges { node { status lineItems { description price { unitAmount { amount } product { name } } } } } }
			invoices { totalCount edges { node { status lineItems { description } } } }
			payments { totalCount edges { node { attempts(first: 5) { totalCount } refunds { id } disputes { id } paymentMethod { card { last4 } } } } }
			viewer { payer { id quotes(first: 5) { totalCount } invoices(first: 5) { totalCount } payments(first: 5) { totalCount } paymentMethods(first: 5) { totalCount } } }
		}`
		got := w.ask(t, mine, lists, nil)
		for name, want := range map[string]string{
			"balances": `{"totalCount":1,"edges":[{"node":{"payer":{"id":"` + f.payer + `"},"entries":{"totalCount":1}}}]}`,
			"quotes":   `{"totalCount":1,"edges":[{"node":{"status":"OPEN","lineItems":[{"description":"mark-alpha line","price":{"unitAmount":{"amount":"10.00"},"product":{"name":"mark-alpha product"}}}]}}]}`,
			"invoices": `{"totalCount":1,"edges":[{"node":{"status":"VOID","lineItems":[{"description":"mark-alpha line"}]}}]}`,
			"payments": `{"totalCount":1,"edges":[{"node":{"attempts":{"totalCount":1},"refunds":[{"id":"rfd_alpha0000"}],"disputes":[{"id":"dsp_alpha0000"}],"paymentMethod":{"card":{"last4":"4242"}}}}]}`,
			"viewer":   `{"payer":{"id":"` + f.payer + `","quotes":{"totalCount":1},"invoices":{"totalCount":1},"payments":{"totalCount":1},"paymentMethods":{"totalCount":1}}}`,
		} {
			if string(got.Data[name]) != want {
				t.Errorf("%s of its own payer: %s\nwant %s", name, got.Data[name], want)
			}
		}
		got = w.ask(t, theirs, lists, nil)
		for _, name := range []string{"quotes", "invoices", "payments"} {
			if want := `{"totalCount":0,"edges":[]}`; string(got.Data[name]) != want {
				t.Errorf("%s of a payer without any: %s\nwant %s", name, got.Body, want)
			}
		}

		for kind, id := range f.ids {
			document := `{ node(id: "` + id + `") { __typename } }`
			own, other := w.ask(t, mine, document, nil), w.ask(t, theirs, document, nil)
			switch kind {
			case "Provider", "GlobalProvider", "Company", "Membership", "Product", "Price", "AccessToken", "GatewayEvent", "WebhookEndpoint", "WebhookDelivery", "Email", "EmailTemplate":
				if own.code() == "" && string(own.Data["node"]) != "null" {
					t.Errorf("a session sees a %s: %s", kind, own.Body)
				}
			case "Organization":
			default:
				if string(own.Data["node"]) != `{"__typename":"`+kind+`"}` {
					t.Errorf("a session does not see its own %s: %s", kind, own.Body)
				}
			}
			if kind != "Organization" && strings.Contains(other.Body, kind) && other.code() == "" {
				t.Errorf("a session sees another payer's %s: %s", kind, other.Body)
			}
		}
		for _, id := range []string{"quo_alpha0000", "inv_alpha0000"} {
			if got := w.ask(t, mine, `{ node(id: "`+id+`") { id } }`, nil); string(got.Data["node"]) != "null" {
				t.Errorf("a session sees the draft %s: %s", id, got.Body)
			}
		}
		for _, document := range []string{
			`{ payer(by: {id: "` + f.payer + `"}) { id } }`, `{ payer(by: {developerEmail: "ada@alpha.example"}) { id } }`,
		} {
			if got := w.ask(t, theirs, document, nil); string(got.Data["payer"]) != "null" || got.code() != "" {
				t.Errorf("a session finds another payer: %s", got.Body)
			}
		}

		for name, document := range map[string]string{
			"quoteAccept":             `mutation { quoteAccept(input: {id: "quo_alpha0001", idempotencyKey: "k1"}) { userErrors { code } } }`,
			"quoteCancel":             `mutation { quoteCancel(input: {id: "quo_alpha0001"}) { userErrors { code } } }`,
			"invoicePay":              `mutation { invoicePay(input: {id: "inv_alpha0001", idempotencyKey: "k2"}) { userErrors { code } } }`,
			"paymentSync":             `mutation { paymentSync(input: {id: "pmt_alpha0000"}) { userErrors { code } } }`,
			"paymentStart":            `mutation { paymentStart(input: {payerId: "` + f.payer + `", amount: {amount: "5.00", currency: "USD"}, idempotencyKey: "k3"}) { userErrors { code } } }`,
			"balanceTopUp":            `mutation { balanceTopUp(input: {payerId: "` + f.payer + `", amount: {amount: "5.00", currency: "USD"}, idempotencyKey: "k4"}) { userErrors { code } } }`,
			"subscriptionCancel":      `mutation { subscriptionCancel(input: {id: "sub_alpha0000"}) { userErrors { code } } }`,
			"paymentMethodSetDefault": `mutation { paymentMethodSetDefault(input: {id: "pmd_alpha0000"}) { userErrors { code } } }`,
			"paymentMethodSetup":      `mutation { paymentMethodSetup(input: {payerId: "` + f.payer + `", idempotencyKey: "k5"}) { userErrors { code } } }`,
			"paymentMethodAttach":     `mutation { paymentMethodAttach(input: {payerId: "` + f.payer + `", gatewayToken: "pm_card_visa", idempotencyKey: "k6"}) { userErrors { code } } }`,
			"autoReloadSet":           `mutation { autoReloadSet(input: {payerId: "` + f.payer + `", currency: "USD", enabled: false}) { userErrors { code } } }`,
			"paymentMethodDetach":     `mutation { paymentMethodDetach(input: {id: "pmd_alpha0000"}) { userErrors { code } } }`,
		} {
			if got := w.ask(t, theirs, document, nil); string(got.Data[name]) != `{"userErrors":[{"code":"NOT_FOUND"}]}` {
				t.Errorf("%s of another payer: %s", name, got.Body)
			}
		}
		// Its own, but still a draft, which it cannot know of.
		got = w.ask(t, mine, `mutation { quoteCancel(input: {id: "quo_alpha0000"}) { userErrors { code } } }`, nil)
		if string(got.Data["quoteCancel"]) != `{"userErrors":[{"code":"NOT_FOUND"}]}` {
			t.Errorf("a session cancels a draft: %s", got.Body)
		}
		w.recorder.Check(t)
	})
}
