package billing

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/gateway"
	"purser/money"
)

// What the gateway may answer to each of the three questions, and what the
// quote is then.
func TestQuoteOutcomes(t *testing.T) {
	type step struct {
		name   string
		begin  func(t *testing.T, s *sale) (quoteID string, call *Call)
		finish func(s *sale, callID string, r gateway.QuoteResult) error
		state  gateway.QuoteState
		before quote.Status
		after  quote.Status
	}
	steps := []step{
		{
			"finalize", func(t *testing.T, s *sale) (string, *Call) {
				id := s.quoteOf(t, item(t, "A", "10", "USD", 1))
				begun, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id, Key: &id})
				if err != nil {
					t.Fatal(err)
				}
				return id, begun.Call
			}, func(s *sale, id string, r gateway.QuoteResult) error { return s.FinishQuoteFinalization(s.ctx, id, r) },
			"open", quote.StatusDRAFT, quote.StatusOPEN,
		},
		{
			"accept", func(t *testing.T, s *sale) (string, *Call) {
				id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
				begun, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: &id})
				if err != nil {
					t.Fatal(err)
				}
				return id, begun.Call
			}, func(s *sale, id string, r gateway.QuoteResult) error { return s.FinishQuoteAcceptance(s.ctx, id, r) },
			"accepted", quote.StatusOPEN, quote.StatusACCEPTED,
		},
		{
			"cancel", func(t *testing.T, s *sale) (string, *Call) {
				id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
				begun, err := s.BeginQuoteCancellation(s.ctx, id)
				if err != nil {
					t.Fatal(err)
				}
				return id, begun.Call
			}, func(s *sale, id string, r gateway.QuoteResult) error { return s.FinishQuoteCancellation(s.ctx, id, r) },
			"canceled", quote.StatusOPEN, quote.StatusCANCELED,
		},
	}
	eachSale(t, func(t *testing.T, s *sale) {
		for _, st := range steps {
			for status, code := range map[gateway.Status]Code{
				gateway.StatusRejected: CodeProviderRefused, gateway.StatusDeclined: CodeProviderRefused, gateway.StatusUnavailable: CodeProviderUnavailable,
			} {
				t.Run(st.name+" "+string(status), func(t *testing.T) {
					id, call := st.begin(t, s)
					before := s.quoted(t, id)
					for range 2 { // also when the reply to the COMMIT was lost
						wantCode(t, st.finish(s, call.ID, gateway.QuoteResult{Outcome: ended(status)}), code, "id")
					}
					q := s.quoted(t, id)
					if q.Status != st.before || q.PendingCallID != nil || orEmpty(q.ProviderID) != orEmpty(before.ProviderID) {
						t.Fatalf("nothing has happened, yet the quote is %+v", q)
					}
					// The same key may be used again.
					if id2, again := id, call.ID; st.name == "finalize" {
						begun, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id2, Key: &id2})
						if err != nil || begun.Call == nil || begun.ID == again {
							t.Errorf("again: %+v, %v", begun, err)
						}
					}
				})
			}
			t.Run(st.name+" unknown, then known", func(t *testing.T) {
				id, call := st.begin(t, s)
				if err := st.finish(s, call.ID, gateway.QuoteResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
					t.Fatal(err)
				}
				if q := s.quoted(t, id); q.Status != st.before || orEmpty(q.PendingCallID) != call.ID {
					t.Fatalf("the outcome is not known, the quote is %+v", q)
				}
				if due := s.resumed(t, call.ID); due.Call.Key != call.Key {
					t.Fatalf("asked again under another key: %s", due.Call.Key)
				}
				// A second try that does not get through proves nothing.
				if err := st.finish(s, call.ID, gateway.QuoteResult{Outcome: ended(gateway.StatusUnavailable)}); err != nil {
					t.Fatal(err)
				}
				if q := s.quoted(t, id); orEmpty(q.PendingCallID) != call.ID {
					t.Fatalf("given free although nothing is known: %+v", q)
				}
				if err := st.finish(s, call.ID, s.quoteAt(t, id, st.state)); err != nil {
					t.Fatal(err)
				}
				if q := s.quoted(t, id); q.Status != st.after || q.PendingCallID != nil {
					t.Errorf("settled, the quote is %+v", q)
				}
			})
			t.Run(st.name+" another total", func(t *testing.T) {
				for _, wrong := range []money.Amount{usd(t, "9.99"), {Units: usd(t, "10").Units, Currency: "EUR"}} {
					id, call := st.begin(t, s)
					r := s.quoteAt(t, id, st.state)
					r.Total = wrong
					err := st.finish(s, call.ID, r)
					q, c := s.quoted(t, id), s.called(t, call.ID)
					if st.name == "cancel" {
						if err != nil || q.Status != quote.StatusCANCELED {
							t.Errorf("%s: the quote is %s, %v", wrong, q.Status, err)
						}
						continue
					}
					wantCode(t, err, CodeProviderRefused, "")
					if q.Status != st.before || orEmpty(q.PendingCallID) != call.ID || c.State != gatewaycall.StateREVIEW || q.InvoiceID != nil {
						t.Errorf("%s: a person has to look: call %s, quote %+v", wrong, c.State, q)
					}
				}
			})
		}
	})
}

func TestConcurrentAcceptances(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, c := range []struct{ name, amount string }{{"ours", "0"}, {"mirrored", "10"}} {
			t.Run(c.name, func(t *testing.T) {
				id := s.openQuoteOf(t, item(t, "A", c.amount, "USD", 1))
				result := s.quoteAt(t, id, "accepted")
				var wg sync.WaitGroup
				var mu sync.Mutex
				won, refused := 0, 0
				for n := range 8 {
					wg.Go(func() {
						begun, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr(fmt.Sprint(c.name, n))})
						if err == nil && begun.Call != nil {
							err = s.FinishQuoteAcceptance(s.ctx, begun.ID, result)
						}
						mu.Lock()
						defer mu.Unlock()
						if err == nil {
							won++
						} else if e := wantCodeIn(t, err, CodeInvalidState); e != nil {
							refused++
						}
					})
				}
				wg.Wait()
				n, err := s.Client().Invoice.Query().Where(invoice.QuoteID(id)).Count(s.ctx)
				if err != nil || n != 1 || won != 1 || refused != 7 {
					t.Errorf("%d invoices, %d accepted, %d refused, %v", n, won, refused, err)
				}
			})
		}
		// The same key, at once: all get the one acceptance.
		id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
		result := s.quoteAt(t, id, "accepted")
		var wg sync.WaitGroup
		var mu sync.Mutex
		owners := 0
		for range 8 {
			wg.Go(func() {
				begun, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr("same")})
				if err != nil {
					t.Error(err)
					return
				}
				if begun.Call != nil {
					mu.Lock()
					owners++
					mu.Unlock()
					if err := s.FinishQuoteAcceptance(s.ctx, begun.ID, result); err != nil {
						t.Error(err)
					}
					return
				}
				if q := s.quoted(t, id); q.Status != quote.StatusACCEPTED {
					t.Errorf("a duplicate did not wait: the quote is %s", q.Status)
				}
			})
		}
		wg.Wait()
		if owners != 1 {
			t.Errorf("%d made the call", owners)
		}
	})
}

// A cancellation and an acceptance of the same quote at once: one of them.
func TestCancellationAgainstAcceptance(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for n := range 6 {
			id := s.openQuoteOf(t, item(t, "A", "0", "USD", 1))
			var wg sync.WaitGroup
			var accepted, canceled error
			wg.Go(func() {
				_, accepted = s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr(fmt.Sprint("race", n))})
			})
			wg.Go(func() { _, canceled = s.BeginQuoteCancellation(s.ctx, id) })
			wg.Wait()
			q := s.quoted(t, id)
			if (accepted == nil) == (canceled == nil) || (accepted == nil) != (q.Status == quote.StatusACCEPTED) || (q.InvoiceID != nil) != (accepted == nil) {
				t.Errorf("accept: %v, cancel: %v, the quote is %s with invoice %v", accepted, canceled, q.Status, q.InvoiceID)
			}
		}
	})
}

// The gateway's facts about a quote come from the reply, the resume job and
// events, in any order and more than once.
func TestQuoteFactsInAnyOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for _, order := range orders(4) {
			id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
			open, accepted := s.quoteAt(t, id, "open"), s.quoteAt(t, id, "accepted")
			begun, err := s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			facts := []func() error{
				func() error { return s.ApplyQuote(s.ctx, id, open) }, // read before it was accepted
				func() error { return s.ApplyQuote(s.ctx, id, accepted) },
				func() error { return s.FinishQuoteAcceptance(s.ctx, begun.ID, accepted) },
				func() error { return s.FinishQuoteAcceptance(s.ctx, begun.ID, accepted) },
			}
			for _, n := range order {
				if err := facts[n](); err != nil {
					t.Fatalf("order %v, fact %d: %v", order, n, err)
				}
			}
			q := s.quoted(t, id)
			invoices, err := s.Client().Invoice.Query().Where(invoice.QuoteID(id)).All(s.ctx)
			if err != nil || q.Status != quote.StatusACCEPTED || q.PendingCallID != nil || len(invoices) != 1 || orEmpty(invoices[0].GatewayInvoiceID) != accepted.InvoiceID {
				t.Fatalf("order %v: quote %+v, invoices %v, %v", order, q, invoices, err)
			}
		}
		t.Run("canceled by hand", func(t *testing.T) {
			id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
			for range 2 {
				if err := s.ApplyQuote(s.ctx, id, s.quoteAt(t, id, "canceled")); err != nil {
					t.Fatal(err)
				}
			}
			if q := s.quoted(t, id); q.Status != quote.StatusCANCELED {
				t.Errorf("the quote is %s", q.Status)
			}
			if err := s.ApplyQuote(s.ctx, id, s.quoteAt(t, id, "accepted")); err == nil {
				t.Error("a canceled quote was accepted at the gateway and nobody hears of it")
			}
		})
		t.Run("expired at the gateway", func(t *testing.T) {
			id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
			s.clock.Advance(quoteLife)
			if err := s.ApplyQuote(s.ctx, id, s.quoteAt(t, id, "canceled")); err != nil {
				t.Fatal(err)
			}
			if q := s.quoted(t, id); q.Status != quote.StatusEXPIRED {
				t.Errorf("the quote is %s", q.Status)
			}
		})
		t.Run("accepted while a cancellation is asked for", func(t *testing.T) {
			id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginQuoteCancellation(s.ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.FinishQuoteCancellation(s.ctx, begun.ID, s.quoteAt(t, id, "accepted")); err != nil {
				t.Fatal(err)
			}
			if q := s.quoted(t, id); q.Status != quote.StatusACCEPTED || q.InvoiceID == nil {
				t.Errorf("the quote is %+v", q)
			}
		})
		t.Run("another quote's report", func(t *testing.T) {
			id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
			r := s.quoteAt(t, id, "accepted")
			r.QuoteID = "qt_other"
			if err := s.ApplyQuote(s.ctx, id, r); err == nil {
				t.Error("applied")
			}
			if q := s.quoted(t, id); q.Status != quote.StatusOPEN {
				t.Errorf("the quote is %s", q.Status)
			}
		})
	})
}

func TestQuoteNumbersHaveNoGap(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		var ids []string
		for range 12 {
			ids = append(ids, s.quoteOf(t, item(t, "A", "0", "USD", 1)))
		}
		var wg sync.WaitGroup
		for _, id := range ids {
			wg.Go(func() {
				if _, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		seen := map[string]bool{}
		for _, id := range ids {
			seen[orEmpty(s.quoted(t, id).Number)] = true
		}
		for n := 1; n <= len(ids); n++ {
			if number := fmt.Sprintf("Q-2026-%07d", n); !seen[number] {
				t.Errorf("%s is missing", number)
			}
		}
		// The year is the organization's own.
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetTimeZone("Pacific/Auckland") })
		s.clock.Set(time.Date(2026, time.December, 31, 12, 0, 0, 0, time.UTC))
		if q := s.quoted(t, s.openQuoteOf(t, item(t, "A", "0", "USD", 1))); orEmpty(q.Number) != "Q-2027-0000001" {
			t.Errorf("number %v", q.Number)
		}
	})
}

func TestQuoteKeys(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		d := QuoteDraft{PayerID: s.payer.ID, Lines: []LineDraft{item(t, "A", "1", "USD", 1)}, Key: ptr("k")}
		var wg sync.WaitGroup
		var ids [6]string
		for n := range ids {
			wg.Go(func() {
				var err error
				if ids[n], err = s.CreateQuote(s.ctx, d); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, id := range ids {
			if id != ids[0] {
				t.Errorf("one key made two quotes: %v", ids)
			}
		}
		other := d
		other.Lines = []LineDraft{item(t, "A", "1", "USD", 2)}
		_, err := s.CreateQuote(s.ctx, other)
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
		_, err = s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: ids[0], Key: d.Key})
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
		// Nor for another operation that takes the very same input.
		id := s.quoteOf(t, item(t, "A", "0", "USD", 1))
		if _, err := s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: id, Key: ptr("twice")}); err != nil {
			t.Fatal(err)
		}
		_, err = s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: id, Key: ptr("twice")})
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
		if q := s.quoted(t, id); q.Status != quote.StatusOPEN {
			t.Errorf("the quote is %s", q.Status)
		}
	})
}

func TestPayerAcceptsItsOwnQuotesOnly(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
		stranger := s.session(t, s.newPayer(t, "PREPAID").ID)
		_, err := s.BeginQuoteAcceptance(stranger, QuoteAcceptDraft{ID: id, Key: ptr("k")})
		wantCode(t, err, CodeNotFound, "id")
		_, err = s.BeginQuoteCancellation(stranger, id)
		wantCode(t, err, CodeNotFound, "id")

		own := s.session(t, s.payer.ID)
		begun, err := s.BeginQuoteAcceptance(own, QuoteAcceptDraft{ID: id, Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishQuoteAcceptance(own, begun.ID, s.quoteAt(t, id, "accepted")); err != nil {
			t.Fatal(err)
		}
		if q := s.quoted(t, id); q.Status != quote.StatusACCEPTED {
			t.Errorf("the quote is %s", q.Status)
		}
		// Keys of a session are its own: nobody else's are taken or betrayed.
		if _, err := s.CreateQuote(s.ctx, QuoteDraft{Key: ptr("k")}); err != nil {
			t.Errorf("a payer has taken the organization's key: %v", err)
		}
	})
}

// Whatever an operation forgets: a payer's session changes no row of another
// payer, by itself.
func TestSessionChangesItsOwnRowsOnly(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		stranger := s.newPayer(t, payer.BillingModePREPAID)
		s.card(t)
		s.reload(t, s.payer.ID, usd(t, "1"))
		s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: &id}); err != nil {
			t.Fatal(err)
		}
		s.charge(t, "1")
		for _, c := range []struct {
			payerID string
			changes bool
		}{{stranger.ID, false}, {s.payer.ID, true}} {
			for name, change := range map[string]func(ctx context.Context, tx *Tx) (int, error){
				"payer": func(ctx context.Context, tx *Tx) (int, error) {
					return tx.Payer.Update().Where(payer.ID(s.payer.ID)).SetName("Eve").Save(ctx)
				},
				"balance": func(ctx context.Context, tx *Tx) (int, error) {
					return tx.Balance.Update().Where(balance.PayerID(s.payer.ID)).SetUpdatedAt(tx.Now).Save(ctx)
				},
				"quote": func(ctx context.Context, tx *Tx) (int, error) {
					return tx.Quote.Update().Where(quote.PayerID(s.payer.ID)).SetDescription("Eve").Save(ctx)
				},
				"invoice": func(ctx context.Context, tx *Tx) (int, error) {
					return tx.Invoice.Update().Where(invoice.PayerID(s.payer.ID)).SetDescription("Eve").Save(ctx)
				},
				"payment": func(ctx context.Context, tx *Tx) (int, error) {
					return tx.Payment.Update().Where(payment.PayerID(s.payer.ID)).SetUpdatedAt(tx.Now).Save(ctx)
				},
				"attempt": func(ctx context.Context, tx *Tx) (int, error) {
					return tx.PaymentAttempt.Update().Where(paymentattempt.FailureCode("")).SetGatewayRequestID("req_eve").Save(ctx)
				},
				"card": func(ctx context.Context, tx *Tx) (int, error) {
					return tx.PaymentMethod.Update().Where(paymentmethod.PayerID(s.payer.ID)).SetBrand("eve").Save(ctx)
				},
			} {
				var n int
				s.must(t, s.session(t, c.payerID), func(ctx context.Context, tx *Tx) (err error) {
					n, err = change(ctx, tx)
					return err
				})
				if (n > 0) != c.changes {
					t.Errorf("the session of the owner: %v: %d rows of its %s change", c.changes, n, name)
				}
			}
		}
	})
}

// charge begins a charge of the payer's card, whose outcome is still to come.
func (s *sale) charge(t *testing.T, amount string) {
	t.Helper()
	if _, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, amount), Key: ptr(s.newID("key"))}); err != nil {
		t.Fatal(err)
	}
}

// Who owes the tax itself is told so on the invoice of a mirrored quote as well.
func TestMirroredQuoteOfReverseCharge(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetReverseCharge(true) })
		id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
		inv := s.invoiced(t, s.accepted(t, id))
		s.finalized(t, inv.ID)
		d, err := s.invoiceDocument(s.ctx, inv.PublicToken)
		if err != nil || inv.GatewayInvoiceID == nil || !s.invoiced(t, inv.ID).ReverseCharge || len(d.Notes) != 1 {
			t.Errorf("invoice %+v, notes %q, %v", s.invoiced(t, inv.ID), d.Notes, err)
		}
	})
}

// A rate that came after the copy was made changes neither quote nor invoice.
func TestMirroredQuoteStaysWithoutTax(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openQuoteOf(t, item(t, "A", "10", "USD", 1))
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(money.Rate(200_000)) })
		inv := s.invoiced(t, s.accepted(t, id))
		if inv.Total() != usd(t, "10") || inv.TaxUnits != 0 {
			t.Fatalf("total %s, tax %s", inv.Total(), inv.Tax())
		}
		s.finalized(t, inv.ID)
		if inv = s.invoiced(t, inv.ID); inv.Status != invoice.StatusOPEN || inv.Total() != usd(t, "10") {
			t.Errorf("%s, total %s", inv.Status, inv.Total())
		}
	})
}
