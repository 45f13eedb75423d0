package billing

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/ent/price"
	"purser/ent/provider"
	"purser/ent/quote"
	"purser/ent/quoteline"
	"purser/gateway"
	"purser/money"
)

func TestQuoteIsWrittenMadeBindingAndAccepted(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id, err := s.CreateQuote(s.ctx, QuoteDraft{})
		if err != nil {
			t.Fatal(err)
		}
		if q := s.quoted(t, id); q.Status != quote.StatusDRAFT || q.Total() != nil || q.Number != nil || q.PublicToken == "" {
			t.Fatalf("an empty draft is %+v", q)
		}
		_, err = s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
		wantCode(t, err, CodeRequired, "payerId")
		if err := s.UpdateQuote(s.ctx, QuoteChange{ID: id, PayerID: &s.payer.ID, Description: ptr("  for March ")}); err != nil {
			t.Fatal(err)
		}
		_, err = s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
		wantCode(t, err, CodeRequired, "lineItems")
		lines := []LineDraft{
			{PriceID: s.price(t, ProductDraft{Name: "API plan"}, usd(t, "100.00"), ""), Quantity: 2},
			item(t, "Setup", "49.50", "USD", 1),
		}
		if err := s.UpdateQuote(s.ctx, QuoteChange{ID: id, Lines: &lines}); err != nil {
			t.Fatal(err)
		}
		if q := s.quoted(t, id); *q.Total() != usd(t, "249.50") || orEmpty(q.Description) != "for March" {
			t.Fatalf("total %s, description %v", q.Total(), q.Description)
		}

		begun, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if begun.Call == nil || begun.Kind != gateway.KindStripe || len(begun.Request.Lines) != 2 || begun.Request.Lines[0].Description != "API plan" {
			t.Fatalf("asked of the gateway: %+v", begun.Request)
		}
		if begun.Request.Customer.PayerID != s.payer.ID || begun.Request.Customer.ID != "" {
			t.Fatalf("customer %+v", begun.Request.Customer)
		}
		if q := s.quoted(t, id); q.Status != quote.StatusDRAFT || q.ProviderID != nil || q.ExpiresAt != nil {
			t.Fatalf("while the gateway is asked the draft stays as it was, got %+v", q)
		}
		r := s.quoteAt(t, id, "open")
		for range 2 { // the reply, and the resume job's
			if err := s.FinishQuoteFinalization(s.ctx, begun.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		q := s.quoted(t, id)
		if q.Status != quote.StatusOPEN || orEmpty(q.Number) != "Q-2026-0000001" || orEmpty(q.GatewayQuoteID) != r.QuoteID || orEmpty(q.ProviderID) != s.provider {
			t.Fatalf("open quote %+v", q)
		}
		if q.ExpiresAt == nil || !q.ExpiresAt.Equal(fixtureStart.Add(quoteLife)) {
			t.Errorf("expires at %v", q.ExpiresAt)
		}

		key := "accept-once"
		acceptance, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if acceptance.Call == nil || acceptance.GatewayQuoteID != r.QuoteID {
			t.Fatalf("acceptance %+v", acceptance)
		}
		_, err = s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr("another")})
		wantCode(t, err, CodeInvalidState, "id")
		_, err = s.BeginQuoteCancellation(s.ctx, id)
		wantCode(t, err, CodeInvalidState, "id")
		wantCode(t, s.UpdateQuote(s.ctx, QuoteChange{ID: id, Description: ptr("x")}), CodeInvalidState, "id")
		done := s.quoteAt(t, id, "accepted")
		for range 2 {
			if err := s.FinishQuoteAcceptance(s.ctx, acceptance.ID, done); err != nil {
				t.Fatal(err)
			}
		}
		q = s.quoted(t, id)
		inv := s.invoiced(t, orEmpty(q.InvoiceID))
		if q.Status != quote.StatusACCEPTED || q.AcceptedAt == nil || inv.Status != invoice.StatusDRAFT || inv.Total() != usd(t, "249.50") ||
			orEmpty(inv.QuoteID) != id || orEmpty(inv.GatewayInvoiceID) != done.InvoiceID || orEmpty(inv.ProviderID) != s.provider || inv.PayerID != s.payer.ID {
			t.Fatalf("quote %+v\ninvoice %+v", q, inv)
		}
		// The same key finds the same acceptance, another key the invoice.
		again, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: &key})
		if err != nil || again.Call != nil || again.QuoteID != id {
			t.Fatalf("again: %+v, %v", again, err)
		}
		_, err = s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr("another")})
		if e := wantCode(t, err, CodeInvalidState, "id"); !strings.Contains(e.Message, inv.ID) {
			t.Errorf("the refusal does not name the invoice: %s", e.Message)
		}
		if n := s.calls(t, id); n != 2 {
			t.Errorf("%d calls about the quote", n)
		}
	})
}

func TestQuoteThatNoGatewayMirrors(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		worldpay := s.newKind(t, provider.KindWORLDPAY)
		monthly := s.price(t, ProductDraft{Name: "Seat"}, usd(t, "9.00"), price.RecurrenceIntervalMONTH)
		for _, c := range []struct {
			name     string
			provider string
			taxed    bool
			lines    []LineDraft
			total    money.Amount
		}{
			{"another gateway", worldpay, false, []LineDraft{item(t, "A", "10", "USD", 1)}, usd(t, "10")},
			{"tax of ours", "", true, []LineDraft{item(t, "A", "10", "USD", 1)}, usd(t, "10")},
			{"fractions of a cent", "", false, []LineDraft{item(t, "A", "0.0025", "USD", 400)}, usd(t, "1")},
			{"a step of the gateway's", "", false, []LineDraft{item(t, "A", "0.005", "KWD", 10)}, in(t, "0.050", "KWD")},
			{"a currency of ours", "", false, []LineDraft{item(t, "A", "100", "POINTS", 1)}, in(t, "100", "POINTS")},
			{"nothing to pay", "", false, []LineDraft{item(t, "A", "0", "USD", 3)}, usd(t, "0")},
			{"less than the gateway charges", "", false, []LineDraft{item(t, "A", "0.07", "USD", 7)}, usd(t, "0.49")},
			{"recurring", "", false, []LineDraft{{PriceID: monthly, Quantity: 1}}, usd(t, "9")},
		} {
			t.Run(c.name, func(t *testing.T) {
				s.setPayer(t, func(u *ent.PayerUpdate) {
					if u.ClearTaxRatePpm(); c.taxed {
						u.Mutation().ResetTaxRatePpm()
						u.SetTaxRatePpm(money.Rate(200_000))
					}
				})
				id, err := s.CreateQuote(s.ctx, QuoteDraft{PayerID: s.payer.ID, ProviderID: c.provider, Lines: c.lines})
				if err != nil {
					t.Fatal(err)
				}
				begun, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
				if err != nil {
					t.Fatal(err)
				}
				q := s.quoted(t, id)
				if begun.Call != nil || q.Status != quote.StatusOPEN || q.GatewayQuoteID != nil || *q.Total() != c.total {
					t.Fatalf("call %v, quote %+v", begun.Call, q)
				}
				inv := s.invoiced(t, s.accepted(t, id))
				if (inv.SubscriptionID != nil) != (c.name == "recurring") {
					t.Errorf("subscription %v", inv.SubscriptionID)
				}
				if inv.GatewayInvoiceID != nil || inv.Subtotal() != c.total {
					t.Errorf("invoice %+v", inv)
				}
			})
		}
	})
}

func TestQuoteProvider(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		other, third := s.newKind(t, provider.KindSTRIPE), s.newKind(t, provider.KindSTRIPE)
		ofOther := s.price(t, ProductDraft{Name: "A", ProviderID: &other}, usd(t, "1"), "")
		ofThird := s.price(t, ProductDraft{Name: "B", ProviderID: &third}, usd(t, "1"), "")
		ofNone := s.price(t, ProductDraft{Name: "C"}, usd(t, "1"), "")
		for _, c := range []struct {
			name, asked string
			prices      []string
			want        string
		}{
			{"the one asked for", third, []string{ofOther}, third},
			{"its products'", "", []string{ofOther, ofOther}, other},
			{"not all products'", "", []string{ofOther, ofNone}, s.provider},
			{"products that differ", "", []string{ofOther, ofThird}, s.provider},
			{"the default", "", []string{ofNone}, s.provider},
		} {
			t.Run(c.name, func(t *testing.T) {
				d := QuoteDraft{PayerID: s.payer.ID, ProviderID: c.asked}
				for _, p := range c.prices {
					d.Lines = append(d.Lines, LineDraft{PriceID: p, Quantity: 1})
				}
				id, err := s.CreateQuote(s.ctx, d)
				if err != nil {
					t.Fatal(err)
				}
				begun, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
				if err != nil {
					t.Fatal(err)
				}
				if err := s.FinishQuoteFinalization(s.ctx, begun.ID, s.quoteAt(t, id, "open")); err != nil {
					t.Fatal(err)
				}
				if q := s.quoted(t, id); orEmpty(q.ProviderID) != c.want {
					t.Errorf("provider %v, want %s", q.ProviderID, c.want)
				}
				// An invoice without a quote goes the same way.
				if id, err = s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, ProviderID: c.asked, Lines: d.Lines, Collection: invoice.CollectionSEND}); err != nil {
					t.Fatal(err)
				}
				if i := s.invoiced(t, id); orEmpty(i.ProviderID) != c.want {
					t.Errorf("provider of an invoice %v, want %s", i.ProviderID, c.want)
				}
			})
		}
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.ClearDefaultProviderID() })
		if q := s.quoted(t, s.openQuoteOf(t, item(t, "A", "1", "USD", 1))); q.ProviderID != nil {
			t.Errorf("a provider from nowhere: %v", q.ProviderID)
		}
	})
}

func TestBadQuotes(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		archived := s.price(t, ProductDraft{Name: "Old"}, usd(t, "1"), "")
		s.setPriceInactive(t, archived)
		_, foreign := s.newOrganization(t, "other", "UTC")
		foreignProduct, err := s.CreateProduct(foreign, ProductDraft{Name: "Foreign"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		foreignPrice, err := s.CreatePrice(foreign, PriceDraft{ProductID: foreignProduct, UnitAmount: usd(t, "1")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		good := item(t, "Good", "1", "USD", 1)
		for _, c := range []struct {
			name  string
			draft QuoteDraft
			code  Code
			field string
		}{
			{"unknown payer", QuoteDraft{PayerID: "dev_nobody"}, CodeNotFound, "payerId"},
			{"unknown provider", QuoteDraft{ProviderID: "prv_none"}, CodeNotFound, "providerId"},
			{"unknown price", QuoteDraft{Lines: []LineDraft{{PriceID: "prc_none", Quantity: 1}}}, CodeNotFound, "lineItems.0.priceId"},
			{"foreign price", QuoteDraft{Lines: []LineDraft{{PriceID: foreignPrice, Quantity: 1}}}, CodeNotFound, "lineItems.0.priceId"},
			{"archived price", QuoteDraft{Lines: []LineDraft{{PriceID: archived, Quantity: 1}}}, CodeInvalidState, "lineItems.0.priceId"},
			{"no amount", QuoteDraft{Lines: []LineDraft{{Description: "A", Quantity: 1}}}, CodeRequired, "lineItems.0.unitAmount"},
			{"no description", QuoteDraft{Lines: []LineDraft{item(t, "", "1", "USD", 1)}}, CodeRequired, "lineItems.0.description"},
			{"price and amount", QuoteDraft{Lines: []LineDraft{{PriceID: archived, UnitAmount: ptr(usd(t, "1")), Quantity: 1}}}, CodeInvalid, "lineItems.0.unitAmount"},
			{"negative amount", QuoteDraft{Lines: []LineDraft{good, item(t, "A", "-1", "USD", 1)}}, CodeInvalid, "lineItems.1.unitAmount.amount"},
			{"no quantity", QuoteDraft{Lines: []LineDraft{item(t, "A", "1", "USD", 0)}}, CodeInvalid, "lineItems.0.quantity"},
			{"negative quantity", QuoteDraft{Lines: []LineDraft{item(t, "A", "1", "USD", -1)}}, CodeInvalid, "lineItems.0.quantity"},
			{"too many", QuoteDraft{Lines: []LineDraft{item(t, "A", "1", "USD", quantityMax+1)}}, CodeInvalid, "lineItems.0.quantity"},
			{"huge amount", QuoteDraft{Lines: []LineDraft{item(t, "A", "9999999999", "USD", quantityMax)}}, CodeInvalid, "lineItems.0.quantity"},
			{"huge total", QuoteDraft{Lines: []LineDraft{item(t, "A", "6000000000", "USD", 1), item(t, "B", "6000000000", "USD", 1)}}, CodeInvalid, "lineItems.1"},
			{"two currencies", QuoteDraft{Lines: []LineDraft{good, item(t, "A", "1", "JPY", 1)}}, CodeCurrencyMismatch, "lineItems.1"},
			{"unsold currency", QuoteDraft{Lines: []LineDraft{item(t, "A", "1", "CHF", 1)}}, CodeCurrencyMismatch, "lineItems.0"},
			{"too many positions", QuoteDraft{Lines: slicesOf(good, linesMax+1)}, CodeLimitExceeded, "lineItems"},
			{"card number", QuoteDraft{Description: ptr("card 4242 4242 4242 4242")}, CodeInvalid, "description"},
			{"card number in a position", QuoteDraft{Lines: []LineDraft{item(t, "4242424242424242", "1", "USD", 1)}}, CodeInvalid, "lineItems.0.description"},
			{"control character", QuoteDraft{Description: ptr("a\x00b")}, CodeInvalid, "description"},
			{"long text", QuoteDraft{Description: ptr(strings.Repeat("ä", descriptionMax+1))}, CodeInvalid, "description"},
			{"expired already", QuoteDraft{ExpiresAt: ptr(fixtureStart)}, CodeInvalid, "expiresAt"},
			{"long key", QuoteDraft{Key: ptr(strings.Repeat("k", keyLengthMax+1))}, CodeInvalid, "idempotencyKey"},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, err := s.CreateQuote(s.ctx, c.draft)
				wantCode(t, err, c.code, c.field)
			})
		}
		if n, err := s.Client().Quote.Query().Count(s.ctx); err != nil || n != 0 {
			t.Errorf("refused quotes have left %d rows behind, %v", n, err)
		}
		if n, err := s.Client().QuoteLine.Query().Count(s.ctx); err != nil || n != 0 {
			t.Errorf("refused quotes have left %d positions behind, %v", n, err)
		}

		t.Run("fractions of a cent", func(t *testing.T) {
			id := s.quoteOf(t, item(t, "A", "0.0025", "USD", 1))
			_, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
			wantCode(t, err, CodeInvalid, "lineItems")
		})
		t.Run("foreign quote", func(t *testing.T) {
			id := s.quoteOf(t, good)
			_, err := s.BeginQuoteFinalization(foreign, QuoteFinalizeDraft{ID: id})
			there := wantCode(t, err, CodeNotFound, "id")
			_, err = s.BeginQuoteFinalization(foreign, QuoteFinalizeDraft{ID: strings.Repeat("q", len(id))})
			nowhere := wantCode(t, err, CodeNotFound, "id")
			if strings.ReplaceAll(there.Message, id, "") != strings.ReplaceAll(nowhere.Message, strings.Repeat("q", len(id)), "") {
				t.Errorf("a foreign quote can be told from none: %q, %q", there.Message, nowhere.Message)
			}
			wantCode(t, s.UpdateQuote(foreign, QuoteChange{ID: id, Lines: &[]LineDraft{}}), CodeNotFound, "id")
			_, err = s.BeginQuoteAcceptance(foreign, QuoteAcceptDraft{ID: id, Key: ptr("k")})
			wantCode(t, err, CodeNotFound, "id")
			_, err = s.BeginQuoteCancellation(foreign, id)
			wantCode(t, err, CodeNotFound, "id")
			if q := s.quoted(t, id); *q.Total() != usd(t, "1") {
				t.Errorf("a stranger changed it: %s", q.Total())
			}
		})
		t.Run("no key", func(t *testing.T) {
			_, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: s.openQuoteOf(t, good)})
			wantCode(t, err, CodeRequired, "idempotencyKey")
		})
	})
}

func (s *sale) setPriceInactive(t testing.TB, id string) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Price.Update().Where(price.ID(id)).SetActive(false).Exec(ctx)
	})
}

// slicesOf is n times the same.
func slicesOf[T any](v T, n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = v
	}
	return all
}

func TestQuoteLinesAreReplacedAsAWhole(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.quoteOf(t, item(t, "A", "1", "USD", 1), item(t, "B", "2", "USD", 1))
		for _, c := range []struct {
			lines []LineDraft
			total *money.Amount
		}{
			{[]LineDraft{item(t, "C", "300", "JPY", 2)}, ptr(in(t, "600", "JPY"))},
			{nil, nil},
			{slicesOf(item(t, "D", "0.0001", "USD", 10_000), linesMax), ptr(usd(t, "250"))},
		} {
			if err := s.UpdateQuote(s.ctx, QuoteChange{ID: id, Lines: &c.lines}); err != nil {
				t.Fatal(err)
			}
			q := s.quoted(t, id)
			n, err := s.Client().QuoteLine.Query().Where(quoteline.QuoteID(id)).Count(s.ctx)
			if err != nil || n != len(c.lines) {
				t.Fatalf("%d positions, want %d, %v", n, len(c.lines), err)
			}
			if got, want := q.Total(), c.total; (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("total %v, want %v", got, want)
			}
		}
		// What is refused changes nothing.
		bad := []LineDraft{item(t, "E", "1", "USD", 1), item(t, "F", "1", "JPY", 1)}
		wantCode(t, s.UpdateQuote(s.ctx, QuoteChange{ID: id, Description: ptr("new"), Lines: &bad}), CodeCurrencyMismatch, "lineItems.1")
		if q := s.quoted(t, id); *q.Total() != usd(t, "250") || q.Description != nil {
			t.Errorf("half a change was written: %+v", q)
		}
		if err := s.UpdateQuote(s.ctx, QuoteChange{ID: id, Description: ptr("new")}); err != nil {
			t.Fatal(err)
		}
		if err := s.UpdateQuote(s.ctx, QuoteChange{ID: id, Description: ptr("")}); err != nil {
			t.Fatal(err)
		}
		if q := s.quoted(t, id); q.Description != nil {
			t.Errorf("an empty text does not clear: %q", *q.Description)
		}
	})
}

// Each state of a quote meets each operation.
func TestQuoteStatesAndOperations(t *testing.T) {
	operations := []struct {
		name string
		run  func(s *sale, id string) error
	}{
		{"update", func(s *sale, id string) error { return s.UpdateQuote(s.ctx, QuoteChange{ID: id}) }},
		{"finalize", func(s *sale, id string) error {
			_, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id})
			return err
		}},
		{"accept", func(s *sale, id string) error {
			_, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr(s.newID("key"))})
			return err
		}},
		{"cancel", func(s *sale, id string) error {
			_, err := s.BeginQuoteCancellation(s.ctx, id)
			return err
		}},
	}
	const ok, no, old = Code(""), CodeInvalidState, CodeExpired
	states := []struct {
		name  string
		make  func(t *testing.T, s *sale) string
		codes []Code // by operation
		ends  []quote.Status
	}{
		{
			"draft", func(t *testing.T, s *sale) string { return s.quoteOf(t, item(t, "A", "0", "USD", 1)) },
			[]Code{ok, ok, no, ok},
			[]quote.Status{"DRAFT", "OPEN", "DRAFT", "CANCELED"},
		},
		{
			"open", func(t *testing.T, s *sale) string { return s.openQuoteOf(t, item(t, "A", "0", "USD", 1)) },
			[]Code{no, no, ok, ok},
			[]quote.Status{"OPEN", "OPEN", "ACCEPTED", "CANCELED"},
		},
		{"of a suspended payer", func(t *testing.T, s *sale) string {
			own := s.payer
			defer func() { s.payer = own }()
			s.payer = s.newPayer(t, payer.BillingModePREPAID)
			id := s.openQuoteOf(t, item(t, "A", "0", "USD", 1))
			s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusSUSPENDED) })
			return id
		}, []Code{no, no, no, ok}, []quote.Status{"OPEN", "OPEN", "OPEN", "CANCELED"}},
		{"accepted", func(t *testing.T, s *sale) string {
			id := s.openQuoteOf(t, item(t, "A", "0", "USD", 1))
			s.accepted(t, id)
			return id
		}, []Code{no, no, no, no}, []quote.Status{"ACCEPTED", "ACCEPTED", "ACCEPTED", "ACCEPTED"}},
		{"canceled", func(t *testing.T, s *sale) string {
			id := s.openQuoteOf(t, item(t, "A", "0", "USD", 1))
			if _, err := s.BeginQuoteCancellation(s.ctx, id); err != nil {
				t.Fatal(err)
			}
			return id
		}, []Code{no, no, no, ok}, []quote.Status{"CANCELED", "CANCELED", "CANCELED", "CANCELED"}},
		{"expired", func(t *testing.T, s *sale) string {
			id := s.openQuoteOf(t, item(t, "A", "0", "USD", 1))
			s.clock.Advance(quoteLife)
			if ids := s.expireQuotes(t); !slices.Contains(ids, id) {
				t.Fatalf("expired %v", ids)
			}
			return id
		}, []Code{old, old, old, old}, []quote.Status{"EXPIRED", "EXPIRED", "EXPIRED", "EXPIRED"}},
		{"asked of the gateway", func(t *testing.T, s *sale) string {
			id := s.quoteOf(t, item(t, "A", "1", "USD", 1))
			if _, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id}); err != nil {
				t.Fatal(err)
			}
			return id
		}, []Code{no, no, no, no}, []quote.Status{"DRAFT", "DRAFT", "DRAFT", "DRAFT"}},
	}
	eachSale(t, func(t *testing.T, s *sale) {
		for _, state := range states {
			for i, op := range operations {
				t.Run(state.name+" "+op.name, func(t *testing.T) {
					id := state.make(t, s)
					err := op.run(s, id)
					if want := state.codes[i]; want == ok {
						if err != nil {
							t.Fatal(err)
						}
					} else {
						wantCode(t, err, want, "id")
					}
					if q := s.quoted(t, id); q.Status != state.ends[i] {
						t.Errorf("it is %s, want %s", q.Status, state.ends[i])
					}
				})
			}
		}
	})
}

func TestQuoteExpires(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
		begun, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: s.openQuoteOf(t, item(t, "B", "10", "USD", 1)), Key: ptr("b")})
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(quoteLife)
		_, err = s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr("late")})
		wantCode(t, err, CodeExpired, "id")
		// One whose acceptance is under way waits for its outcome.
		if ids := s.expireQuotes(t); len(ids) != 1 {
			t.Fatalf("expired %v", ids)
		}
		if q := s.quoted(t, id); q.Status != quote.StatusEXPIRED {
			t.Errorf("the quote is %s", q.Status)
		}
		if err := s.FinishQuoteAcceptance(s.ctx, begun.ID, s.quoteAt(t, begun.QuoteID, "accepted")); err != nil {
			t.Fatal(err)
		}
		if q := s.quoted(t, begun.QuoteID); q.Status != quote.StatusACCEPTED {
			t.Errorf("accepted in time, the quote is %s", q.Status)
		}
		// A draft whose day has passed meanwhile is told so.
		draft, err := s.CreateQuote(s.ctx, QuoteDraft{PayerID: s.payer.ID, Lines: []LineDraft{item(t, "A", "1", "USD", 1)}, ExpiresAt: ptr(s.clock.Now().Add(time.Hour))})
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(time.Hour)
		_, err = s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: draft})
		wantCode(t, err, CodeExpired, "expiresAt")
	})
}

// expireQuotes does what jobs do with quotes that have passed their day.
func (s *sale) expireQuotes(t *testing.T) []string {
	t.Helper()
	ids, err := s.QuotesToExpire(s.ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if err := s.ExpireQuote(s.ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	return ids
}
