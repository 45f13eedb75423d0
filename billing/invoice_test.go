package billing

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/price"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

func TestInvoiceIsWrittenAndIssued(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(money.Rate(190_000)) })
		id := s.invoiceOf(t, item(t, "Calls", "0.0025", "USD", 401), item(t, "Setup", "10.10", "USD", 1))
		inv := s.invoiced(t, id)
		// 1.0025 + 10.10 = 11.1025; 19 % of it is 2.109475, so 2.11; 13.2125 is 13.21.
		if inv.Status != invoice.StatusDRAFT || inv.Number != nil || inv.Subtotal() != usd(t, "11.1025") || inv.Tax() != usd(t, "2.11") || inv.Total() != usd(t, "13.21") {
			t.Fatalf("draft %+v", inv)
		}
		// The rate is the one of the day of issue.
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(money.Rate(70_000)) })
		begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		if begun.Call == nil || begun.Request.Total != usd(t, "11.88") || begun.Request.Tax != usd(t, "0.78") || len(begun.Request.Lines) != 2 ||
			begun.Request.Lines[0].Total != usd(t, "1.0025") || begun.Request.InvoiceID != "" {
			t.Fatalf("asked of the gateway: %+v", begun.Request)
		}
		if inv = s.invoiced(t, id); inv.Status != invoice.StatusDRAFT || inv.Number != nil || orEmpty(inv.PendingCallID) != begun.ID {
			t.Fatalf("while the gateway is asked: %+v", inv)
		}
		_, err = s.BeginInvoiceVoid(s.ctx, id)
		wantCode(t, err, CodeInvalidState, "id")
		r := s.invoiceAt(t, id, "open")
		for range 2 {
			if err := s.FinishInvoiceFinalization(s.ctx, begun.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		inv = s.invoiced(t, id)
		if inv.Status != invoice.StatusOPEN || orEmpty(inv.Number) != "2026-03-00000001" || orEmpty(inv.HostedURL) != r.HostedURL ||
			orEmpty(inv.GatewayInvoiceID) != r.InvoiceID || inv.DueAt == nil || !inv.DueAt.Equal(fixtureStart) || inv.FinalizedAt == nil || inv.NextCheckAt == nil {
			t.Fatalf("open %+v", inv)
		}
		wantBooked(t, s.booked(t, id),
			"receivable→revenue INVOICE 11.1025 USD", "receivable→tax TAX 0.78 USD", "rounding→receivable ROUNDING 0.0025 USD")
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.UnpaidUnits != inv.TotalUnits {
			t.Errorf("unpaid %d", b.UnpaidUnits)
		}
		_, err = s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
		wantCode(t, err, CodeInvalidState, "id")
	})
}

func TestInvoiceThatStaysHere(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		worldpay := s.newKind(t, provider.KindWORLDPAY)
		for _, c := range []struct {
			name     string
			provider string
			line     LineDraft
			want     invoice.Status
		}{
			{"another gateway", worldpay, item(t, "A", "10", "USD", 1), invoice.StatusOPEN},
			{"a currency of ours", "", item(t, "A", "10", "POINTS", 1), invoice.StatusOPEN},
			{"nothing to pay", "", item(t, "A", "0", "USD", 1), invoice.StatusPAID},
			{"less than a cent", "", item(t, "A", "0.0049", "USD", 1), invoice.StatusPAID},
		} {
			t.Run(c.name, func(t *testing.T) {
				id, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, ProviderID: c.provider, Lines: []LineDraft{c.line}, Collection: invoice.CollectionSEND})
				if err != nil {
					t.Fatal(err)
				}
				begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
				if err != nil {
					t.Fatal(err)
				}
				inv := s.invoiced(t, id)
				if begun.Call != nil || inv.Status != c.want || inv.Number == nil || inv.HostedURL != nil || inv.NextCheckAt != nil {
					t.Fatalf("call %v, invoice %+v", begun.Call, inv)
				}
				if !inv.DueAt.Equal(fixtureStart.AddDate(0, 0, 14)) {
					t.Errorf("due at %v", inv.DueAt)
				}
				if inv.Status == invoice.StatusPAID {
					if inv.PaidAt == nil || inv.AmountDueUnits != 0 {
						t.Errorf("paid %+v", inv)
					}
					return
				}
				_, err = s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: ptr(id)})
				wantCode(t, err, CodeProviderUnsupported, "id")
				for range 2 {
					paid, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, OutOfBand: true, Key: ptr(id + "-cash")})
					if err != nil || paid.Call != nil || paid.PaymentID != "" {
						t.Fatalf("%+v, %v", paid, err)
					}
				}
				if inv = s.invoiced(t, id); inv.Status != invoice.StatusPAID {
					t.Errorf("the invoice is %s", inv.Status)
				}
			})
		}
	})
}

func TestBadInvoices(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		_, foreign := s.newOrganization(t, "other", "UTC")
		monthly := s.price(t, ProductDraft{Name: "Seat"}, usd(t, "9"), price.RecurrenceIntervalMONTH)
		good := []LineDraft{item(t, "Good", "1", "USD", 1)}
		for _, c := range []struct {
			name  string
			draft InvoiceDraft
			code  Code
			field string
		}{
			{"no payer", InvoiceDraft{Lines: good}, CodeNotFound, "payerId"},
			{"no positions", InvoiceDraft{PayerID: s.payer.ID}, CodeRequired, "lineItems"},
			{"unknown provider", InvoiceDraft{PayerID: s.payer.ID, ProviderID: "prv_none", Lines: good}, CodeNotFound, "providerId"},
			{"negative", InvoiceDraft{PayerID: s.payer.ID, Lines: []LineDraft{item(t, "A", "-1", "USD", 1)}}, CodeInvalid, "lineItems.0.unitAmount.amount"},
			{"two currencies", InvoiceDraft{PayerID: s.payer.ID, Lines: append(good, item(t, "A", "1", "JPY", 1))}, CodeCurrencyMismatch, "lineItems.1"},
			{"recurring", InvoiceDraft{PayerID: s.payer.ID, Lines: []LineDraft{{PriceID: monthly, Quantity: 1}}}, CodeInvalid, "lineItems.0.priceId"},
			{"from the balance", InvoiceDraft{PayerID: s.payer.ID, Lines: good, Collection: invoice.CollectionBALANCE}, CodeInvalid, "collection"},
			{"card number", InvoiceDraft{PayerID: s.payer.ID, Lines: good, Description: ptr("4242 4242 4242 4242")}, CodeInvalid, "description"},
		} {
			t.Run(c.name, func(t *testing.T) {
				if c.draft.Collection == "" {
					c.draft.Collection = invoice.CollectionAUTOMATIC
				}
				_, err := s.CreateInvoice(s.ctx, c.draft)
				wantCode(t, err, c.code, c.field)
			})
		}
		if n, err := s.Client().Invoice.Query().Count(s.ctx); err != nil || n != 0 {
			t.Errorf("refused invoices have left %d rows behind, %v", n, err)
		}
		t.Run("an amount the gateway cannot take", func(t *testing.T) {
			id := s.invoiceOf(t, item(t, "A", "1.235", "KWD", 1))
			_, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
			wantCode(t, err, CodeInvalid, "id")
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusDRAFT || inv.PendingCallID != nil {
				t.Errorf("half finalized: %+v", inv)
			}
		})
		t.Run("foreign", func(t *testing.T) {
			id := s.openInvoiceOf(t, good...)
			_, err := s.BeginInvoiceFinalization(foreign, InvoiceFinalizeDraft{ID: id})
			wantCode(t, err, CodeNotFound, "id")
			_, err = s.BeginInvoicePayment(foreign, InvoicePayDraft{InvoiceID: id, OutOfBand: true, Key: ptr("k")})
			wantCode(t, err, CodeNotFound, "id")
			_, err = s.BeginInvoiceVoid(foreign, id)
			wantCode(t, err, CodeNotFound, "id")
			_, err = s.CreateInvoice(foreign, InvoiceDraft{PayerID: s.payer.ID, Lines: good, Collection: invoice.CollectionAUTOMATIC})
			wantCode(t, err, CodeNotFound, "payerId")
		})
		t.Run("an archived provider", func(t *testing.T) {
			s.archiveProvider(t)
			_, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Lines: good, Collection: invoice.CollectionAUTOMATIC})
			wantCode(t, err, CodeInvalidState, "providerId")
		})
	})
}

func TestInvoiceNumbersHaveNoGap(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		var ids []string
		for n := range 12 {
			ids = append(ids, s.invoiceOf(t, item(t, "A", fmt.Sprint(n%2), "USD", 1)))
		}
		results := make([]gateway.InvoiceResult, len(ids))
		for n, id := range ids {
			results[n] = s.invoiceAt(t, id, "open")
		}
		var wg sync.WaitGroup
		for n, id := range ids {
			wg.Go(func() {
				begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
				if err == nil && begun.Call != nil {
					if n == 5 { // refused by the gateway: no number is lost on it
						results[n] = gateway.InvoiceResult{Outcome: ended(gateway.StatusRejected)}
					}
					err = s.FinishInvoiceFinalization(s.ctx, begun.ID, results[n])
				}
				if n == 5 {
					wantCodeIn(t, err, CodeProviderRefused)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for _, id := range ids {
			seen[orEmpty(s.invoiced(t, id).Number)] = true
		}
		for n := 1; n < len(ids); n++ {
			if number := fmt.Sprintf("2026-03-%08d", n); !seen[number] {
				t.Errorf("%s is missing", number)
			}
		}
		s.clock.Set(time.Date(2026, time.March, 31, 23, 30, 0, 0, time.UTC))
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetTimeZone("Europe/Berlin") })
		if inv := s.invoiced(t, s.openInvoiceOf(t, item(t, "A", "1", "USD", 1))); orEmpty(inv.Number) != "2026-04-00000001" {
			t.Errorf("number %v", inv.Number)
		}
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetNumberPeriod(organization.NumberPeriodYEARLY) })
		if inv := s.invoiced(t, s.openInvoiceOf(t, item(t, "A", "1", "USD", 1))); orEmpty(inv.Number) != "2026-00000001" {
			t.Errorf("number %v", inv.Number)
		}
	})
}

// What the gateway may answer to finalizing and voiding.
func TestInvoiceOutcomes(t *testing.T) {
	type step struct {
		name   string
		begin  func(t *testing.T, s *sale) (string, *Call)
		finish func(s *sale, callID string, r gateway.InvoiceResult) error
		state  string
		before invoice.Status
		after  invoice.Status
	}
	steps := []step{
		{"finalize", func(t *testing.T, s *sale) (string, *Call) {
			id := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			return id, begun.Call
		}, func(s *sale, id string, r gateway.InvoiceResult) error {
			return s.FinishInvoiceFinalization(s.ctx, id, r)
		}, "open", invoice.StatusDRAFT, invoice.StatusOPEN},
		{"void", func(t *testing.T, s *sale) (string, *Call) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoiceVoid(s.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if begun.Draft {
				t.Fatal("an open invoice is voided, not deleted")
			}
			return id, begun.Call
		}, func(s *sale, id string, r gateway.InvoiceResult) error { return s.FinishInvoiceVoid(s.ctx, id, r) },
			"void", invoice.StatusOPEN, invoice.StatusVOID},
		{"discard", func(t *testing.T, s *sale) (string, *Call) {
			id := s.accepted(t, s.openQuoteOf(t, item(t, "A", "10", "USD", 1)))
			begun, err := s.BeginInvoiceVoid(s.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if !begun.Draft {
				t.Fatal("a draft at the gateway is deleted")
			}
			return id, begun.Call
		}, func(s *sale, id string, r gateway.InvoiceResult) error { return s.FinishInvoiceVoid(s.ctx, id, r) },
			"", invoice.StatusDRAFT, invoice.StatusVOID},
	}
	eachSale(t, func(t *testing.T, s *sale) {
		for _, st := range steps {
			for status, code := range map[gateway.Status]Code{
				gateway.StatusRejected: CodeProviderRefused, gateway.StatusDeclined: CodeProviderRefused, gateway.StatusUnavailable: CodeProviderUnavailable,
			} {
				t.Run(st.name+" "+string(status), func(t *testing.T) {
					id, call := st.begin(t, s)
					for range 2 {
						wantCode(t, st.finish(s, call.ID, gateway.InvoiceResult{Outcome: ended(status)}), code, "id")
					}
					if inv := s.invoiced(t, id); inv.Status != st.before || inv.PendingCallID != nil {
						t.Fatalf("nothing has happened, yet the invoice is %+v", inv)
					}
				})
			}
			t.Run(st.name+" unknown, then known", func(t *testing.T) {
				id, call := st.begin(t, s)
				if err := st.finish(s, call.ID, gateway.InvoiceResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
					t.Fatal(err)
				}
				if inv := s.invoiced(t, id); inv.Status != st.before || orEmpty(inv.PendingCallID) != call.ID {
					t.Fatalf("the outcome is not known, the invoice is %+v", inv)
				}
				_, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, OutOfBand: true, Key: ptr(s.newID("key"))})
				wantCode(t, err, CodeInvalidState, "id")
				s.resumed(t, call.ID)
				if err := st.finish(s, call.ID, s.invoiceAt(t, id, st.state)); err != nil {
					t.Fatal(err)
				}
				if inv := s.invoiced(t, id); inv.Status != st.after || inv.PendingCallID != nil {
					t.Errorf("settled, the invoice is %+v", inv)
				}
			})
			t.Run(st.name+" paid meanwhile", func(t *testing.T) {
				id, call := st.begin(t, s)
				if err := st.finish(s, call.ID, s.invoiceAt(t, id, "paid")); err != nil {
					t.Fatal(err)
				}
				if inv := s.invoiced(t, id); inv.Status != invoice.StatusPAID || inv.Number == nil || inv.PendingCallID != nil {
					t.Errorf("the payer was quicker, the invoice is %+v", inv)
				}
			})
		}
		t.Run("another total", func(t *testing.T) {
			id, call := steps[0].begin(t, s)
			r := s.invoiceAt(t, id, "open")
			r.Total = usd(t, "10.01")
			if err := s.FinishInvoiceFinalization(s.ctx, call.ID, r); err != nil {
				t.Fatal(err)
			}
			inv, c := s.invoiced(t, id), s.called(t, call.ID)
			if inv.Status != invoice.StatusDRAFT || orEmpty(inv.PendingCallID) != call.ID || c.State != gatewaycall.StateREVIEW {
				t.Errorf("a person has to look: call %s, invoice %+v", c.State, inv)
			}
		})
	})
}

// fact is something that the gateway says of an invoice, through whatever
// door.
type fact func() error

// The facts of an invoice that is paid by card with 3-D Secure, in any order
// and twice: finalizing, paying, the events about both, and a poll.
func TestPaidInvoiceInAnyOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		for n, order := range orders(4) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			open, paid := s.invoiceAt(t, id, "open"), s.invoiceAt(t, id, "paid")
			action := open
			action.Outcome = ended(gateway.StatusActionNeeded)
			action.Payment = gateway.PaymentState{Status: gateway.StatusActionNeeded, GatewayPaymentID: paid.Payment.GatewayPaymentID}
			action.NextAction = gateway.NextAction{RedirectURL: open.HostedURL}
			facts := []fact{
				func() error { return s.ApplyInvoice(s.ctx, id, open) },
				func() error { return s.FinishInvoicePayment(s.ctx, begun.ID, action) },
				func() error { return s.ApplyInvoice(s.ctx, id, paid) },
				func() error { return s.ApplyInvoice(s.ctx, id, paid) },
			}
			if n%2 == 1 { // the reply to the charge itself says that it is paid
				facts[1] = func() error { return s.FinishInvoicePayment(s.ctx, begun.ID, paid) }
			}
			for _, at := range order {
				if err := facts[at](); err != nil {
					t.Fatalf("order %v, fact %d: %v", order, at, err)
				}
			}
			s.wantPaid(t, fmt.Sprintf("order %v", order), id, begun.PaymentID, paid)
			if attempts := s.invoiced(t, id).Attempts; attempts != 1 {
				t.Errorf("order %v: %d tries", order, attempts)
			}
		}
	})
}

// wantPaid checks that an invoice was paid exactly once, by the payment.
func (s *sale) wantPaid(t *testing.T, when, id, paymentID string, paid gateway.InvoiceResult) {
	t.Helper()
	inv, all := s.invoiced(t, id), s.paymentsOf(t, id)
	if inv.Status != invoice.StatusPAID || inv.AmountPaid() != inv.Total() || inv.AmountDueUnits != 0 || inv.PendingCallID != nil ||
		inv.NextCheckAt != nil || orEmpty(inv.ReceiptURL) != paid.Payment.ReceiptURL {
		t.Fatalf("%s: invoice %+v", when, inv)
	}
	done := 0
	for _, p := range all {
		switch {
		case p.Status == payment.StatusSUCCEEDED && (paymentID == "" || p.ID == paymentID):
			done++
			if orEmpty(p.GatewayPaymentID) != paid.Payment.GatewayPaymentID || p.SettledAt == nil || p.Amount() != inv.Total() {
				t.Errorf("%s: payment %+v", when, p)
			}
		case p.Status != payment.StatusCANCELED && p.Status != payment.StatusFAILED:
			t.Errorf("%s: payment %s is %s", when, p.ID, p.Status)
		}
	}
	booked, err := s.Client().LedgerEntry.Query().Where(ledgerentry.InvoiceID(id), ledgerentry.KindEQ(ledgerentry.KindINVOICE_PAYMENT)).Count(s.ctx)
	if err != nil || done != 1 || booked != 1 {
		t.Errorf("%s: %d payments succeeded, %d were booked, %v", when, done, booked, err)
	}
}

// A card is declined, the payer goes to the hosted page, is declined there and
// succeeds at last.
func TestFailedThenPaidInAnyOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		for _, order := range orders(4) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			open, paid := s.invoiceAt(t, id, "open"), s.invoiceAt(t, id, "paid")
			failed := open
			failed.Outcome = ended(gateway.StatusDeclined)
			failed.Payment = gateway.PaymentState{Status: gateway.StatusDeclined, GatewayPaymentID: paid.Payment.GatewayPaymentID, Failure: failed.Failure}
			facts := []fact{
				func() error { return s.FinishInvoicePayment(s.ctx, begun.ID, failed) },
				func() error { return s.ApplyInvoice(s.ctx, id, open) },
				func() error { return s.ApplyInvoice(s.ctx, id, paid) },
				func() error { return s.ApplyInvoice(s.ctx, id, paid) },
			}
			for _, at := range order {
				if err := facts[at](); err != nil {
					t.Fatalf("order %v, fact %d: %v", order, at, err)
				}
			}
			s.wantPaid(t, fmt.Sprintf("order %v", order), id, "", paid)
		}
	})
}

func TestVoidedInvoiceInAnyOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, order := range orders(4) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			waiting, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			if p := s.paid(t, waiting.PaymentID); waiting.Call != nil || p.Status != payment.StatusREQUIRES_ACTION || p.ActionURL != orEmpty(s.invoiced(t, id).HostedURL) {
				t.Fatalf("payment on the hosted page: %+v", p)
			}
			begun, err := s.BeginInvoiceVoid(s.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			open, void := s.invoiceAt(t, id, "open"), s.invoiceAt(t, id, "void")
			facts := []fact{
				func() error { return s.ApplyInvoice(s.ctx, id, open) },
				func() error { return s.FinishInvoiceVoid(s.ctx, begun.ID, void) },
				func() error { return s.ApplyInvoice(s.ctx, id, void) },
				func() error { return s.ApplyInvoice(s.ctx, id, void) },
			}
			for _, at := range order {
				if err := facts[at](); err != nil {
					t.Fatalf("order %v, fact %d: %v", order, at, err)
				}
			}
			inv := s.invoiced(t, id)
			if inv.Status != invoice.StatusVOID || inv.VoidedAt == nil || inv.Number == nil || inv.AmountDueUnits != 0 || inv.PendingCallID != nil || inv.NextCheckAt != nil {
				t.Fatalf("order %v: %+v", order, inv)
			}
			if p := s.paid(t, waiting.PaymentID); p.Status != payment.StatusCANCELED || p.ActionURL != "" {
				t.Errorf("order %v: the payment is %s", order, p.Status)
			}
			reversed, err := s.Client().LedgerEntry.Query().Where(ledgerentry.InvoiceID(id), ledgerentry.KindEQ(ledgerentry.KindREVERSAL)).Count(s.ctx)
			if err != nil || reversed != 1 {
				t.Errorf("order %v: %d reversals, %v", order, reversed, err)
			}
			// What is void stays void; the alarm is raised by the mismatch.
			for _, late := range []gateway.InvoiceResult{s.invoiceAt(t, id, "paid"), s.paidOutside(t, id)} {
				if err := s.ApplyInvoice(s.ctx, id, late); err == nil {
					t.Errorf("order %v: a void invoice was paid and nobody hears of it", order)
				}
			}
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusVOID {
				t.Errorf("order %v: the invoice is %s", order, inv.Status)
			}
		}
	})
}

func (s *sale) paidOutside(t testing.TB, id string) gateway.InvoiceResult {
	t.Helper()
	r := s.invoiceAt(t, id, "paid")
	r.PaidOutside, r.Payment, r.AmountPaid = true, gateway.PaymentState{}, r.Total
	return r
}

func TestUncollectibleInvoice(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, c := range []struct {
			name string
			end  func(t *testing.T, id string) error
			want invoice.Status
		}{
			{"stays", func(*testing.T, string) error { return nil }, invoice.StatusUNCOLLECTIBLE},
			{"paid after all", func(t *testing.T, id string) error { return s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "paid")) }, invoice.StatusPAID},
			{"paid elsewhere", func(t *testing.T, id string) error { return s.ApplyInvoice(s.ctx, id, s.paidOutside(t, id)) }, invoice.StatusPAID},
			{"voided", func(t *testing.T, id string) error { return s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "void")) }, invoice.StatusVOID},
		} {
			t.Run(c.name, func(t *testing.T) {
				id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
				for range 2 {
					if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "uncollectible")); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					if err := c.end(t, id); err != nil {
						t.Fatal(err)
					}
				}
				if inv := s.invoiced(t, id); inv.Status != c.want {
					t.Errorf("the invoice is %s", inv.Status)
				}
				left := 0
				entries, err := s.Client().LedgerEntry.Query().Where(ledgerentry.InvoiceID(id)).All(s.ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range entries {
					switch accountWriteOff {
					case e.DebitAccount:
						left++
					case e.CreditAccount:
						left--
					}
				}
				if want := map[bool]int{true: 1}[c.want == invoice.StatusUNCOLLECTIBLE]; left != want {
					t.Errorf("%d write-offs stand, want %d", left, want)
				}
				s.mustVerify(t)
			})
		}
	})
}

// Events may tell of a finalization before its reply does, and of an invoice
// that was finalized at the gateway by hand.
func TestInvoiceIsAdoptedFromEvents(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, order := range orders(3) {
			id := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
			if err != nil {
				t.Fatal(err)
			}
			open := s.invoiceAt(t, id, "open")
			draft := open
			draft.State = "draft"
			facts := []fact{
				func() error { return s.ApplyInvoice(s.ctx, id, draft) },
				func() error { return s.ApplyInvoice(s.ctx, id, open) },
				func() error { return s.FinishInvoiceFinalization(s.ctx, begun.ID, open) },
			}
			for _, at := range order {
				if err := facts[at](); err != nil {
					t.Fatalf("order %v, fact %d: %v", order, at, err)
				}
			}
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusOPEN || inv.PendingCallID != nil || orEmpty(inv.GatewayInvoiceID) != open.InvoiceID {
				t.Errorf("order %v: %+v", order, inv)
			}
		}
		t.Run("finalized by hand", func(t *testing.T) {
			id := s.accepted(t, s.openQuoteOf(t, item(t, "A", "10", "USD", 1)))
			if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "open")); err != nil {
				t.Fatal(err)
			}
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusOPEN || inv.Number == nil || inv.HostedURL == nil {
				t.Errorf("invoice %+v", inv)
			}
		})
		t.Run("another invoice's report", func(t *testing.T) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			r := s.invoiceAt(t, id, "paid")
			r.InvoiceID = "in_other"
			if err := s.ApplyInvoice(s.ctx, id, r); err == nil {
				t.Error("applied")
			}
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusOPEN {
				t.Errorf("the invoice is %s", inv.Status)
			}
		})
		t.Run("an attempt that came to nothing", func(t *testing.T) {
			id := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
			for _, state := range []string{"draft", "void"} {
				if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, state)); err != nil {
					t.Fatal(err)
				}
			}
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusDRAFT || inv.NextCheckAt != nil {
				t.Errorf("invoice %+v", inv)
			}
		})
		t.Run("paid while the organization is closed and the provider archived", func(t *testing.T) {
			id := s.accepted(t, s.openQuoteOf(t, item(t, "A", "10", "USD", 1)))
			s.archiveProvider(t)
			s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetStatus(organization.StatusINACTIVE) })
			r := s.invoiceAt(t, id, "paid")
			if err := s.ApplyInvoice(s.ctx, id, r); err != nil {
				t.Fatal(err)
			}
			s.wantPaid(t, "closed", id, "", r)
		})
	})
}

func TestInvoicesAreLookedAtAgain(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		due := func() string {
			ids, err := s.DueInvoices(s.ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(ids, ",")
		}
		if got := due(); got != "" {
			t.Fatalf("due at once: %s", got)
		}
		s.clock.Advance(checkIn(0))
		if got := due(); got != id {
			t.Fatalf("due: %q", got)
		}
		check, err := s.InvoiceToCheck(s.ctx, id)
		if err != nil || check.GatewayInvoiceID != orEmpty(s.invoiced(t, id).GatewayInvoiceID) || check.Kind != gateway.KindStripe {
			t.Fatalf("%+v, %v", check, err)
		}
		if err := s.ApplyInvoice(s.ctx, id, gateway.InvoiceResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		if got := due(); got != "" {
			t.Errorf("asked again without a pause: %s", got)
		}
		s.clock.Advance(time.Hour)
		if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "paid")); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(24 * time.Hour)
		if got := due(); got != "" {
			t.Errorf("a paid invoice is looked at: %s", got)
		}
		if check, err := s.InvoiceToCheck(s.ctx, id); err != nil || check != nil {
			t.Errorf("%+v, %v", check, err)
		}
	})
}
