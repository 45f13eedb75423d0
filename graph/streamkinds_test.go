package graph

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/ent/schema"
	"purser/gateway"
	"purser/money"
)

// wantStates reads events in order and returns the cursor of the last.
func wantStates(t testing.TB, sub subscriber, states ...string) (cursor string) {
	t.Helper()
	for _, state := range states {
		cursor = want(t, sub, state)
	}
	return cursor
}

// TestStreamOfInvoices follows invoices through the front door: what somebody
// sees who listens, who listens for one payer, whose session it is, and who
// comes back.
func TestStreamOfInvoices(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		for by := range transports {
			t.Run(by, func(t *testing.T) {
				s := newStage(t, w)
				here := w.tenant(t, "here-"+by)
				ada, linus := s.developer(here, "ada@a.example"), s.developer(here, "linus@a.example")
				create := func(payer string) string {
					var out struct {
						InvoiceCreate struct{ Invoice struct{ ID string } }
					}
					s.do(here, `mutation { invoiceCreate(input: {payerId: "`+payer+`", lineItems: [{description: "x", unitAmount: {amount: "1.00", currency: "USD"}}]}) { invoice { id } } }`, &out)
					return out.InvoiceCreate.Invoice.ID
				}
				issue := func(id string) {
					s.do(here, `mutation { invoiceFinalize(input: {id: "`+id+`"}) { invoice { id } } }`, nil)
				}
				pay := func(id string) {
					s.do(here, `mutation { invoicePay(input: {id: "`+id+`", outOfBand: true, idempotencyKey: "`+id+`"}) { invoice { id } } }`, nil)
				}
				const shown = `{ payer { name } status }`
				state := func(name, status string) string {
					return fmt.Sprintf(`{"payer":{"name":"%s@a.example"},"status":"%s"}`, name, status)
				}

				all := s.subscribe(by, here.token, `subscription { invoiceChanged `+shown+` }`)
				linuses := s.subscribe(by, here.token, `subscription { invoiceChanged(payerId: "`+linus+`") `+shown+` }`)
				session := w.session(t, here, ada)
				adas := s.subscribe(by, session, `subscription { invoiceChanged `+shown+` }`)

				first, second := create(ada), ""
				drafted := want(t, all, state("ada", "DRAFT"))
				second = create(linus)
				want(t, all, state("linus", "DRAFT"))
				want(t, linuses, state("linus", "DRAFT"))
				issue(first)
				opened := want(t, all, state("ada", "OPEN"))
				seen := want(t, adas, state("ada", "OPEN")) // a draft is not hers to see
				adas.close()
				all.close()

				// While nobody listens, hers is paid and his is issued.
				pay(first)
				issue(second)
				adas = s.subscribe(by, session, `subscription { invoiceChanged(after: "`+seen+`") `+shown+` }`)
				want(t, adas, state("ada", "PAID"))
				all = s.subscribe(by, here.token, `subscription { invoiceChanged(after: "`+opened+`") `+shown+` }`)
				wantStates(t, all, state("ada", "PAID"), state("linus", "OPEN"))
				all.close()
				// Who stopped earlier gets each as it stands, once.
				all = s.subscribe(by, here.token, `subscription { invoiceChanged(after: "`+drafted+`") `+shown+` }`)
				wantStates(t, all, state("ada", "PAID"), state("linus", "OPEN"))

				// Nothing is left over: the next thing to come is the next change.
				pay(second)
				want(t, all, state("linus", "PAID"))
				wantStates(t, linuses, state("linus", "OPEN"), state("linus", "PAID"))
				third := create(ada)
				issue(third)
				want(t, adas, state("ada", "OPEN"))
			})
		}
		w.recorder.Check(t)
	})
}

// do runs a mutation as the tenant, at a time of its own.
func (s *stage) do(of *tenant, document string, out any) {
	s.t.Helper()
	s.clock.Advance(time.Millisecond)
	s.must(s.t, of.token, document, nil, out)
}

// TestStreamOfPayments follows top-ups from their page to their end, as the
// gateway tells it.
func TestStreamOfPayments(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		for by := range transports {
			t.Run(by, func(t *testing.T) {
				s := newStage(t, w)
				here := w.tenant(t, "here-"+by)
				_, err := w.billing.CreateProvider(here.ctx, billing.ProviderDraft{Name: "card", Credentials: billing.Credentials{
					Kind: gateway.KindStripe, SecretKey: "sk_test_x", PublishableKey: "pk_test_x", WebhookSecret: "whsec_x",
				}}, fakeStripe{})
				if err != nil {
					t.Fatal(err)
				}
				ada, linus := s.developer(here, "ada@a.example"), s.developer(here, "linus@a.example")
				amount := money.Amount{Units: usd(700).Units, Currency: "USD"}
				start := func(payer string) *billing.HostedPayment {
					s.clock.Advance(time.Millisecond)
					key := fmt.Sprint("start ", s.clock.Now())
					p, err := w.billing.BeginHostedPayment(here.ctx, billing.HostedPaymentDraft{
						PayerID: payer, Amount: amount, Key: &key,
						ReturnURLs: schema.ReturnURLs{Success: "http://127.0.0.1/s", Cancel: "http://127.0.0.1/c"},
					})
					if err != nil {
						t.Fatal(err)
					}
					return p
				}
				page := func(p *billing.HostedPayment) {
					s.clock.Advance(time.Millisecond)
					err := w.billing.FinishPayment(here.ctx, p.ID, gateway.PaymentResult{
						Outcome: gateway.Outcome{Status: gateway.StatusActionNeeded}, ReferenceID: "cs_" + p.PaymentID,
						NextAction: gateway.NextAction{RedirectURL: "https://gateway.example/" + p.PaymentID},
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				settle := func(p *billing.HostedPayment) {
					s.clock.Advance(time.Millisecond)
					err := w.billing.ApplyPayment(here.ctx, p.PaymentID, gateway.PaymentResult{
						Outcome: gateway.Outcome{Status: gateway.StatusSucceeded},
						Payment: gateway.PaymentState{Status: gateway.StatusSucceeded, GatewayPaymentID: "pi_" + p.PaymentID, Amount: amount},
					})
					if err != nil {
						t.Fatal(err)
					}
				}
				const shown = `{ payer { name } status }`
				state := func(name, status string) string {
					return fmt.Sprintf(`{"payer":{"name":"%s@a.example"},"status":"%s"}`, name, status)
				}

				all := s.subscribe(by, here.token, `subscription { paymentChanged `+shown+` }`)
				linuses := s.subscribe(by, here.token, `subscription { paymentChanged(payerId: "`+linus+`") `+shown+` }`)
				adas := s.subscribe(by, w.session(t, here, ada), `subscription { paymentChanged `+shown+` }`)
				first := start(ada)
				begun := want(t, all, state("ada", "PROCESSING"))
				want(t, adas, state("ada", "PROCESSING"))
				second := start(linus)
				want(t, all, state("linus", "PROCESSING"))
				one := s.subscribe(by, here.token, `subscription { paymentChanged(id: "`+second.PaymentID+`") `+shown+` }`)
				page(first)
				paged := want(t, all, state("ada", "REQUIRES_ACTION"))
				want(t, adas, state("ada", "REQUIRES_ACTION"))
				all.close()

				// While nobody listens, both go on. An event that comes again
				// changes nothing.
				page(second)
				settle(first)
				settle(first)
				for _, cursor := range []string{paged, begun} {
					all = s.subscribe(by, here.token, `subscription { paymentChanged(after: "`+cursor+`") `+shown+` }`)
					wantStates(t, all, state("linus", "REQUIRES_ACTION"), state("ada", "SUCCEEDED"))
					if cursor == paged {
						all.close()
					}
				}
				settle(second)
				want(t, all, state("linus", "SUCCEEDED"))
				wantStates(t, one, state("linus", "REQUIRES_ACTION"), state("linus", "SUCCEEDED"))
				wantStates(t, linuses, state("linus", "PROCESSING"), state("linus", "REQUIRES_ACTION"), state("linus", "SUCCEEDED"))
				// Linus's are none of hers: the next is her next.
				want(t, adas, state("ada", "SUCCEEDED"))
				start(ada)
				want(t, adas, state("ada", "PROCESSING"))
			})
		}
		w.recorder.Check(t)
	})
}

// TestSessionsEndWithTheirToken: a stream of a payer's session ends within the
// interval in which credentials are checked again, once the token that made
// the session is revoked.
func TestSessionsEndWithTheirToken(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		s := newStage(t, w)
		here := w.tenant(t, "here")
		ada := s.developer(here, "ada@a.example")
		maker := w.credential(t, here, auth.PermissionReadWrite, auth.ScopeBilling)
		var made struct {
			PayerSessionCreate struct{ Token string }
		}
		w.must(t, maker, `mutation { payerSessionCreate(input: {payerId: "`+ada+`"}) { token } }`, nil, &made)
		session := made.PayerSessionCreate.Token
		stream := s.subscribe("events", session, `subscription { balanceChanged `+balances+` }`)
		s.reload(here, ada, "1.00")
		want(t, stream, balanceEvent("ada@a.example", "1.00"))

		id, err := auth.ParseToken(maker)
		if err != nil {
			t.Fatal(err)
		}
		w.must(t, here.token, `mutation { accessTokenRevoke(input: {id: "`+id.TokenID()+`"}) { accessToken { id } } }`, nil, nil)
		if a := w.ask(t, session, `{ viewer { payer { id } } }`, nil); a.code() != "UNAUTHENTICATED" {
			t.Errorf("the session answers %d %s", a.Status, a.Body)
		}
		if e := stream.next(); e == nil || len(e.Errors) != 1 || e.Errors[0].Extensions["code"] != "UNAUTHENTICATED" {
			t.Errorf("the stream sends %+v", e)
		}
		if e := stream.next(); e != nil {
			t.Errorf("then %+v", e)
		}
		w.recorder.Check(t)
	})
}

// TestStreamsOfStrangers holds that no stream tells a stranger of a payer's
// objects, whichever of its arguments names them.
func TestStreamsOfStrangers(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		a, b := w.fill(t, "alpha"), w.fill(t, "beta")
		r := &Resolver{Billing: w.billing}
		for name, c := range map[string]struct {
			viewer *auth.Viewer
			sees   bool
		}{
			"the organization":        {auth.FromContext(a.ctx), true},
			"the payer":               {&auth.Viewer{OrganizationID: a.id, OrganizationSlug: a.slug, SessionID: "ses_1", PayerID: a.payer}, true},
			"another payer":           {&auth.Viewer{OrganizationID: a.id, OrganizationSlug: a.slug, SessionID: "ses_2", PayerID: a.other}, false},
			"another organization":    {auth.FromContext(b.ctx), false},
			"another one's payer":     {&auth.Viewer{OrganizationID: b.id, OrganizationSlug: b.slug, SessionID: "ses_3", PayerID: b.payer}, false},
			"a payer of no such name": {&auth.Viewer{OrganizationID: b.id, OrganizationSlug: b.slug, SessionID: "ses_4", PayerID: a.payer}, false},
		} {
			ctx, _ := followingAs(t, c.viewer)
			for _, payerID := range []*string{nil, &a.payer} {
				wantSeen(t, ctx, name, r.balanceFeed(ctx, payerID), a.ids["Balance"], c.sees)
				wantSeen(t, ctx, name, r.paymentFeed(ctx, nil, payerID), a.ids["Payment"], c.sees)
				wantSeen(t, ctx, name, r.paymentFeed(ctx, ptr(a.ids["Payment"]), payerID), a.ids["Payment"], c.sees)
				wantSeen(t, ctx, name, r.invoiceFeed(ctx, payerID), a.ids["Invoice"], c.sees)
				wantSeen(t, ctx, name, r.quoteFeed(ctx, payerID), a.ids["Quote"], c.sees)
				wantSeen(t, ctx, name, r.subscriptionFeed(ctx, payerID), a.ids["Subscription"], c.sees)
			}
			// And nobody's are those of another payer than the one asked for.
			wantSeen(t, ctx, name, r.balanceFeed(ctx, &a.other), a.ids["Balance"], false)
			wantSeen(t, ctx, name, r.paymentFeed(ctx, nil, &a.other), a.ids["Payment"], false)
			wantSeen(t, ctx, name, r.invoiceFeed(ctx, &a.other), a.ids["Invoice"], false)
			wantSeen(t, ctx, name, r.quoteFeed(ctx, &a.other), a.ids["Quote"], false)
			wantSeen(t, ctx, name, r.subscriptionFeed(ctx, &a.other), a.ids["Subscription"], false)
		}
		w.recorder.Check(t)
	})
}

// wantSeen asks a feed whether an object is among those that changed, and for
// the object.
func wantSeen[T any](t *testing.T, ctx context.Context, who string, f feed[T], id string, want bool) {
	t.Helper()
	listed, err := f.changed(ctx, position{at: start.Add(-time.Hour)}, positionsAtOnce)
	if err != nil {
		t.Fatal(err)
	}
	found := slices.ContainsFunc(listed, func(p position) bool { return p.id == id })
	got, _, err := f.read(ctx, id)
	if err != nil || found != want || (got != nil) != want {
		t.Errorf("%s of %s: listed %v, read %v, want %v, %v", f.kind, who, found, got != nil, want, err)
	}
}

// TestStreamOfSubscriptions follows subscriptions through the front door: what
// somebody sees who listens, who listens for one payer, whose session it is, and
// who comes back.
func TestStreamOfSubscriptions(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		s := newStage(t, w)
		here := w.tenant(t, "here")
		ada, linus := s.developer(here, "ada@a.example"), s.developer(here, "linus@a.example")
		var made struct {
			ProductCreate      struct{ Product struct{ ID string } }
			PriceCreate        struct{ Price struct{ ID string } }
			SubscriptionCreate struct{ Subscription struct{ ID string } }
		}
		s.do(here, `mutation { productCreate(input: {name: "API"}) { product { id } } }`, &made)
		s.do(here, `mutation { priceCreate(input: {productId: "`+made.ProductCreate.Product.ID+`", unitAmount: {amount: "9.00", currency: "USD"}, recurrence: {interval: MONTH}}) { price { id } } }`, &made)
		create := func(payer string) string {
			s.do(here, `mutation { subscriptionCreate(input: {payerId: "`+payer+`", items: [{priceId: "`+made.PriceCreate.Price.ID+`"}], collection: SEND, trialDays: 5, idempotencyKey: "`+payer+`"}) { subscription { id } } }`, &made)
			return made.SubscriptionCreate.Subscription.ID
		}
		cancel := func(id string, atPeriodEnd bool) {
			s.do(here, fmt.Sprintf(`mutation { subscriptionCancel(input: {id: %q, atPeriodEnd: %t}) { subscription { id } } }`, id, atPeriodEnd), nil)
		}
		const shown = `{ payer { name } status cancelAtPeriodEnd }`
		state := func(name, status string, ends bool) string {
			return fmt.Sprintf(`{"payer":{"name":"%s@a.example"},"status":"%s","cancelAtPeriodEnd":%t}`, name, status, ends)
		}

		all := s.subscribe("events", here.token, `subscription { subscriptionChanged `+shown+` }`)
		linuses := s.subscribe("socket", here.token, `subscription { subscriptionChanged(payerId: "`+linus+`") `+shown+` }`)
		adas := s.subscribe("events", w.session(t, here, ada), `subscription { subscriptionChanged `+shown+` }`)
		first := create(ada)
		begun := want(t, all, state("ada", "TRIALING", false))
		want(t, adas, state("ada", "TRIALING", false))
		second := create(linus)
		want(t, all, state("linus", "TRIALING", false))
		all.close()

		// While nobody listens, one is to end and the other ends.
		cancel(first, true)
		cancel(second, false)
		all = s.subscribe("socket", here.token, `subscription { subscriptionChanged(after: "`+begun+`") `+shown+` }`)
		wantStates(t, all, state("ada", "TRIALING", true), state("linus", "CANCELED", false))
		wantStates(t, linuses, state("linus", "TRIALING", false), state("linus", "CANCELED", false))
		// Linus's are none of hers: the next is her next.
		want(t, adas, state("ada", "TRIALING", true))
		cancel(first, false)
		want(t, adas, state("ada", "CANCELED", true))
		want(t, all, state("ada", "CANCELED", true))
		w.recorder.Check(t)
	})
}
