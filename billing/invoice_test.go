package billing

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/price"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// Each of these is a hair below half a cent of tax: rounded to ledger units
// first, it would be a half and cost a cent.
func TestTaxIsRoundedOnce(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(money.Rate(88_750)) })
		for _, tt := range []struct{ unit, tax, total string }{
			{"0.056338", "0", "0.06"},
			{"6.028169", "0.53", "6.56"},
			{"2.084507", "0.18", "2.26"},
		} {
			id := s.invoiceOf(t, item(t, "Calls", tt.unit, "USD", 1))
			if inv := s.invoiced(t, id); inv.Tax() != usd(t, tt.tax) || inv.Total() != usd(t, tt.total) {
				t.Errorf("8.875 %% on %s are %s, in all %s; want %s and %s", tt.unit, inv.Tax(), inv.Total(), tt.tax, tt.total)
			}
			s.finalized(t, id)
			if inv := s.invoiced(t, id); inv.Tax() != usd(t, tt.tax) || inv.Total() != usd(t, tt.total) {
				t.Errorf("issued: %s of tax, in all %s; want %s and %s", inv.Tax(), inv.Total(), tt.tax, tt.total)
			}
		}
	})
}

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
		if inv = s.invoiced(t, id); inv.Status != invoice.StatusDRAFT || orEmpty(inv.Number) != begun.Request.Number || begun.Request.Number != "2026-03-00000001" || orEmpty(inv.PendingCallID) != begun.ID {
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
			page     Code // why it has none of the gateway's
		}{
			{"another gateway", worldpay, item(t, "A", "10", "USD", 1), invoice.StatusOPEN, ""},
			{"a currency of ours", "", item(t, "A", "10", "POINTS", 1), invoice.StatusOPEN, CodeProviderUnsupported},
			{"nothing to pay", "", item(t, "A", "0", "USD", 1), invoice.StatusPAID, ""},
			{"less than the gateway charges", "", item(t, "A", "0.49", "USD", 1), invoice.StatusOPEN, CodeBelowMinimum},
			{"less than a cent", "", item(t, "A", "0.0049", "USD", 1), invoice.StatusPAID, ""},
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
				paid, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: ptr(id)})
				if c.page != "" {
					wantCode(t, err, c.page, "id")
				} else {
					s.leftPage(t, paid, err)
				}
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
			{"two currencies", InvoiceDraft{PayerID: s.payer.ID, Lines: append(good, item(t, "A", "1", "JPY", 1))}, CodeCurrencyMismatch, "lineItems.1"},
			{"recurring", InvoiceDraft{PayerID: s.payer.ID, Lines: []LineDraft{{PriceID: monthly, Quantity: 1}}}, CodeInvalid, "lineItems.0.priceId"},
			{"from the balance of a postpaid payer", InvoiceDraft{PayerID: s.newPayer(t, payer.BillingModePOSTPAID).ID, Lines: good, Collection: invoice.CollectionBALANCE}, CodeInvalid, "collection"},
			{"tax below zero", InvoiceDraft{PayerID: s.payer.ID, Lines: []LineDraft{good[0], taxedAt(item(t, "Taken back", "-0.50", "USD", 1), 200_000)}}, CodeInvalid, "lineItems"},
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
		// What was refused keeps its number for the next try.
		kept := orEmpty(s.invoiced(t, ids[5]).Number)
		if again, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: ids[5]}); err != nil || kept == "" || again.Request.Number != kept {
			t.Errorf("the next try of %q: %+v, %v", kept, again, err)
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
		state  gateway.InvoiceState
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
		{
			"void", func(t *testing.T, s *sale) (string, *Call) {
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
			"void", invoice.StatusOPEN, invoice.StatusVOID,
		},
		{
			"discard", func(t *testing.T, s *sale) (string, *Call) {
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
			"", invoice.StatusDRAFT, invoice.StatusVOID,
		},
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
			for _, wrong := range []money.Amount{usd(t, "10.01"), {Units: usd(t, "10").Units, Currency: "EUR"}} {
				id, call := steps[0].begin(t, s)
				r := s.invoiceAt(t, id, "open")
				r.Total = wrong
				wantCode(t, s.FinishInvoiceFinalization(s.ctx, call.ID, r), CodeProviderRefused, "")
				inv, c := s.invoiced(t, id), s.called(t, call.ID)
				if inv.Status != invoice.StatusDRAFT || orEmpty(inv.PendingCallID) != call.ID || c.State != gatewaycall.StateREVIEW {
					t.Errorf("%s: a person has to look: call %s, invoice %+v", wrong, c.State, inv)
				}
				// Waiting does not help, and so nobody is told to.
				_, err := s.BeginInvoiceVoid(s.ctx, id)
				if e := wantCode(t, err, CodeInvalidState, "id"); !strings.Contains(e.Message, call.ID) {
					t.Errorf("the call to look at is not named: %s", e.Message)
				}
			}
		})
	})
}

// taxedAt gives a position a rate of its own.
func taxedAt(d LineDraft, rate money.Rate) LineDraft {
	d.TaxRate = &rate
	return d
}

// A draft whose gateway cannot be reached when its time has come is tried again
// soon; one that it refuses, on the next day.
func TestDraftIsFinalizedOnceTheGatewayAnswers(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
		for _, c := range []struct {
			status gateway.Status
			again  time.Duration
		}{{gateway.StatusUnavailable, chargeUnreached}, {gateway.StatusRejected, finalizeAgainIn}} {
			s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
				return tx.Invoice.Update().Where(invoice.ID(id)).SetFinalizesAt(tx.Now).Exec(ctx)
			})
			begun, err := s.BeginDueFinalization(s.ctx, id)
			if err != nil || begun == nil || begun.Call == nil {
				t.Fatalf("begun %+v, %v", begun, err)
			}
			r := gateway.InvoiceResult{Outcome: ended(c.status)}
			for range 2 {
				if err := s.FinishInvoiceFinalization(s.ctx, begun.ID, r); !isRefusal(err) {
					t.Fatal(err)
				}
			}
			if i := s.invoiced(t, id); i.Status != invoice.StatusDRAFT || i.FinalizesAt == nil || i.FinalizesAt.Sub(s.clock.Now()) != c.again {
				t.Errorf("%s: the draft finalizes itself at %v", c.status, i.FinalizesAt)
			}
		}
		// One that somebody finalizes by hand does not finalize itself.
		byHand := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
		begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: byHand})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishInvoiceFinalization(s.ctx, begun.ID, gateway.InvoiceResult{Outcome: ended(gateway.StatusUnavailable)}); !isRefusal(err) {
			t.Fatal(err)
		}
		if i := s.invoiced(t, byHand); i.FinalizesAt != nil {
			t.Errorf("it finalizes itself at %s", i.FinalizesAt)
		}
	})
}

// Who owes the tax itself is charged none, also on positions with a rate of their
// own.
func TestReverseChargeHasNoTax(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(200_000).SetReverseCharge(true) })
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1), taxedAt(item(t, "B", "5", "USD", 1), 70_000))
		if i := s.invoiced(t, id); i.Total() != usd(t, "15") || !i.Tax().IsZero() || len(i.Taxes) != 0 || !i.ReverseCharge {
			t.Errorf("%s of tax, in all %s, %+v", i.Tax(), i.Total(), i.Taxes)
		}
	})
}
