package billing

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/outbox"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/gateway"
)

// atNextAttempt lets time pass until the invoice is charged next, and reads it.
func (s *sale) atNextAttempt(t testing.TB, id string) *ent.Invoice {
	t.Helper()
	i := s.invoiced(t, id)
	if i.NextAttemptAt == nil {
		t.Fatalf("invoice %s is not charged any more: %+v", id, i)
	}
	if i.NextAttemptAt.After(s.clock.Now()) {
		s.clock.Set(*i.NextAttemptAt)
	}
	return i
}

// beginCharge begins what is due for the invoice.
func (s *sale) beginCharge(t testing.TB, id string) *InvoiceCharge {
	t.Helper()
	s.atNextAttempt(t, id)
	if due, err := s.DueCharges(s.ctx, 10); err != nil || !slices.Contains(due, id) {
		t.Fatalf("%v are due (%v), not %s", due, err, id)
	}
	begun, err := s.BeginDueCharge(s.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

// charged charges what is due for the invoice, with this end, and reads it.
func (s *sale) charged(t testing.TB, id string, status gateway.Status) *ent.Invoice {
	t.Helper()
	begun := s.beginCharge(t, id)
	if begun == nil || !begun.Request.OffSession {
		t.Fatalf("nothing was begun for %s: %+v", id, begun)
	}
	r := s.invoiceAt(t, id, "open")
	if r.Outcome = ended(status); status == gateway.StatusSucceeded {
		r = s.invoiceAt(t, id, "paid")
	}
	if status == gateway.StatusActionNeeded {
		r.NextAction.RedirectURL = r.HostedURL
	}
	if err := s.FinishInvoicePayment(s.ctx, begun.ID, r); err != nil && !isRefusal(err) {
		t.Fatal(err)
	}
	return s.invoiced(t, id)
}

// toldOf are the notices of a kind, oldest first.
func (s *sale) toldOf(t testing.TB, kind string) []invoiceNotice {
	t.Helper()
	rows, err := s.Client().Outbox.Query().Where(outbox.Kind(kind)).Order(ent.Asc(outbox.FieldID)).All(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]invoiceNotice, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row.Payload, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// wantTries fails the test unless the invoice stands so.
func wantTries(t testing.TB, i *ent.Invoice, attempts int, state invoice.Dunning, next time.Duration, now time.Time) {
	t.Helper()
	var in time.Duration
	if i.NextAttemptAt != nil {
		in = i.NextAttemptAt.Sub(now)
	}
	if i.Attempts != attempts || i.Dunning != state || in != next {
		t.Fatalf("%d tries, %s, next in %s; want %d, %s, %s", i.Attempts, i.Dunning, in, attempts, state, next)
	}
}

// days is how long a day is.
const days = 24 * time.Hour

// The first try on the day it is due, then every three days, three in all; then
// the policy acts. What is charged by hand neither counts nor changes anything
// where it fails.
func TestDunningToTheEnd(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		for _, final := range []organization.DunningFinal{organization.DunningFinalLEAVE, organization.DunningFinalMARK_UNCOLLECTIBLE, organization.DunningFinalCANCEL_SUBSCRIPTION} {
			t.Run(string(final), func(t *testing.T) {
				s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDunningFinal(final) })
				failed, givenUp := len(s.toldOf(t, noticeChargeFailed)), len(s.toldOf(t, noticeChargeGivenUp))
				id := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
				sub := s.newSubscription(t, id)
				s.finalized(t, id)
				if i := s.atNextAttempt(t, id); !i.NextAttemptAt.Equal(i.DueAt.Add(subscriptionGrace)) {
					t.Errorf("an invoice of a subscription is charged at %s, due at %s", i.NextAttemptAt, i.DueAt)
				}
				wantTries(t, s.charged(t, id, gateway.StatusDeclined), 1, invoice.DunningRUNNING, 3*days, s.clock.Now())
				wantTries(t, s.charged(t, id, gateway.StatusDeclined), 2, invoice.DunningRUNNING, 3*days, s.clock.Now())
				// By hand, in between.
				byHand, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: ptr(s.newID("key"))})
				if err != nil {
					t.Fatal(err)
				}
				r := s.invoiceAt(t, id, "open")
				r.Outcome = ended(gateway.StatusDeclined)
				if err := s.FinishInvoicePayment(s.ctx, byHand.ID, r); err != nil {
					t.Fatal(err)
				}
				wantTries(t, s.invoiced(t, id), 2, invoice.DunningRUNNING, 3*days, s.clock.Now())
				last := s.charged(t, id, gateway.StatusDeclined)
				wantTries(t, last, 3, invoice.DunningEXHAUSTED, 0, s.clock.Now())
				want := invoice.StatusOPEN
				if final == organization.DunningFinalMARK_UNCOLLECTIBLE {
					want = invoice.StatusUNCOLLECTIBLE
				}
				canceled := s.subscriptionOf(t, sub).Status == subscription.StatusCANCELED
				if last.Status != want || canceled != (final == organization.DunningFinalCANCEL_SUBSCRIPTION) {
					t.Errorf("the invoice is %s, the subscription canceled: %t", last.Status, canceled)
				}
				s.clock.Advance(30 * days)
				if due, err := s.DueCharges(s.ctx, 10); err != nil || len(due) != 0 {
					t.Errorf("%v are due, %v", due, err)
				}
				payments := s.paymentsOf(t, id)
				for n, p := range payments {
					if p.Status != payment.StatusFAILED || p.FailureCode != "card_declined" || p.Recurring != (n != 2) {
						t.Errorf("try %d: %+v", n, p)
					}
				}
				if f, g := s.toldOf(t, noticeChargeFailed)[failed:], s.toldOf(t, noticeChargeGivenUp)[givenUp:]; len(payments) != 4 || len(f) != 2 || len(g) != 1 ||
					f[0].Reason != "card_declined" || f[1].NextAttemptAt == nil || g[0].NextAttemptAt != nil || g[0].PayURL != *last.HostedURL {
					t.Errorf("%d payments; told of %+v and %+v", len(payments), f, g)
				}
				// It can be paid all the same.
				if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "paid")); err != nil {
					t.Fatal(err)
				}
				wantTries(t, s.invoiced(t, id), 3, invoice.DunningNONE, 0, s.clock.Now())
			})
		}
	})
}

// How many tries there are, how far apart, and when an invoice is due is the
// organization's to say, of each sort of invoice.
func TestTriesAreTheOrganizations(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		err := s.UpdateOrganization(s.ctx, OrganizationChange{
			Dunning: &Dunning{RetryDays: 5, AttemptsMax: 2, Final: organization.DunningFinalLEAVE}, DueDays: &DueDays{Automatic: 4, Send: 30, Usage: 9},
		})
		if err != nil {
			t.Fatal(err)
		}
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		if i := s.invoiced(t, id); !i.DueAt.Equal(s.clock.Now().AddDate(0, 0, 4)) || !i.NextAttemptAt.Equal(*i.DueAt) {
			t.Errorf("due %s, charged %s", i.DueAt, i.NextAttemptAt)
		}
		wantTries(t, s.charged(t, id, gateway.StatusDeclined), 1, invoice.DunningRUNNING, 5*days, s.clock.Now())
		wantTries(t, s.charged(t, id, gateway.StatusDeclined), 2, invoice.DunningEXHAUSTED, 0, s.clock.Now())
		sent, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Lines: []LineDraft{item(t, "A", "10", "USD", 1)}, Collection: invoice.CollectionSEND})
		if err != nil {
			t.Fatal(err)
		}
		s.finalized(t, sent)
		if i := s.invoiced(t, sent); !i.DueAt.Equal(s.clock.Now().AddDate(0, 0, 30)) {
			t.Errorf("an invoice that was sent is due %s", i.DueAt)
		}
	})
}

// A subscription's own card is charged before the payer's default one, as long
// as it can be.
func TestSubscriptionCardIsCharged(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		own := s.card(t)
		byDefault := s.card(t) // the default from now on
		id := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
		sub := s.newSubscription(t, id)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Subscription.Update().Where(subscription.ID(sub)).SetPaymentMethodID(own).Exec(ctx)
		})
		s.finalized(t, id)
		s.charged(t, id, gateway.StatusDeclined)
		if _, err := s.BeginCardDetach(s.ctx, own); err != nil {
			t.Fatal(err)
		}
		s.charged(t, id, gateway.StatusSucceeded)
		p := s.paymentsOf(t, id)
		if len(p) != 2 || *p[0].PaymentMethodID != own || *p[1].PaymentMethodID != byDefault {
			t.Errorf("charged %+v", p)
		}
	})
}

// newSubscription makes a subscription and gives it the draft of an invoice.
func (s *sale) newSubscription(t testing.TB, invoiceID string) string {
	t.Helper()
	id := s.newID("sub")
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		err := tx.Subscription.Create().SetID(id).SetPayerID(s.payer.ID).SetCurrency("USD").SetStatus(subscription.StatusACTIVE).
			SetPeriod(0).SetRecurrenceInterval("MONTH").SetRecurrenceCount(1).SetTimeZone("UTC").SetPendingLines([]schema.PendingLine{}).SetAnchorAt(tx.Now).SetStartsAt(tx.Now).
			SetCurrentPeriodStart(tx.Now).SetCurrentPeriodEnd(tx.Now.AddDate(0, 1, 0)).SetDueAt(tx.Now.AddDate(0, 1, 0)).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return err
		}
		return tx.Invoice.Update().Where(invoice.ID(invoiceID)).SetSubscriptionID(id).SetPeriodStart(tx.Now).SetPeriodEnd(tx.Now.AddDate(0, 1, 0)).Exec(ctx)
	})
	return id
}

func (s *sale) subscriptionOf(t testing.TB, id string) *ent.Subscription {
	t.Helper()
	sub, err := s.Client().Subscription.Query().Where(subscription.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// What counts as a try, and what does not.
func TestWhatCountsAsATry(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		if i := s.invoiced(t, id); !i.NextAttemptAt.Equal(s.clock.Now().Add(chargeGrace)) {
			t.Errorf("who finalizes by hand has until %s", i.NextAttemptAt)
		}
		// A missing card is one.
		if begun := s.beginCharge(t, id); begun != nil {
			t.Fatalf("something is charged without a card: %+v", begun)
		}
		wantTries(t, s.invoiced(t, id), 1, invoice.DunningRUNNING, 3*days, s.clock.Now())
		p := s.paymentsOf(t, id)[0]
		a, err := s.Client().PaymentAttempt.Query().Where(paymentattempt.PaymentID(p.ID)).Only(s.ctx)
		if err != nil || p.FailureCode != failureNoCard || a.FailureCode != failureNoCard || a.FinishedAt == nil || a.Status != paymentattempt.StatusFAILED {
			t.Errorf("%+v, %+v, %v", p, a, err)
		}
		// A new card is charged at once; being too busy is no try.
		s.card(t)
		wantTries(t, s.invoiced(t, id), 1, invoice.DunningRUNNING, 0, s.clock.Now())
		wantTries(t, s.charged(t, id, gateway.StatusUnavailable), 1, invoice.DunningRUNNING, chargeUnreached, s.clock.Now())
		// Neither is an outcome that nobody knows; it is asked for by its call.
		unknown := s.beginCharge(t, id)
		r := s.invoiceAt(t, id, "open")
		r.Outcome = ended(gateway.StatusUnknown)
		if err := s.FinishInvoicePayment(s.ctx, unknown.ID, r); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(3 * days)
		if due, err := s.DueCharges(s.ctx, 10); err != nil || len(due) != 0 || s.invoiced(t, id).Attempts != 1 {
			t.Errorf("%v are due while an outcome is unknown, %v", due, err)
		}
		s.resumed(t, unknown.ID)
		// The bank wants to see the payer: no decline, and the payer is told where
		// to go on.
		r.Outcome, r.NextAction.RedirectURL = ended(gateway.StatusActionNeeded), r.HostedURL
		if err := s.FinishInvoicePayment(s.ctx, unknown.ID, r); err != nil {
			t.Fatal(err)
		}
		i := s.invoiced(t, id)
		wantTries(t, i, 2, invoice.DunningRUNNING, 3*days, s.clock.Now())
		told := s.toldOf(t, noticeAuthentication)
		if p := s.paid(t, unknown.PaymentID); p.Status != payment.StatusREQUIRES_ACTION || len(told) != 1 || told[0].PayURL != *i.HostedURL || told[0].PaymentID != p.ID {
			t.Errorf("%+v, told %+v", p, told)
		}
		// The same card is not charged once more while it waits: that is a
		// reminder, which with the last try is the end.
		if begun := s.beginCharge(t, id); begun != nil {
			t.Errorf("charged again: %+v", begun)
		}
		wantTries(t, s.invoiced(t, id), 3, invoice.DunningEXHAUSTED, 0, s.clock.Now())
		if n, err := s.Client().PaymentAttempt.Query().Where(paymentattempt.PaymentID(unknown.PaymentID), paymentattempt.FailureCode(failureWaiting)).Count(s.ctx); err != nil || n != 1 {
			t.Errorf("%d reminders are written, %v", n, err)
		}
		// On session the same payment succeeds.
		if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "paid")); err != nil {
			t.Fatal(err)
		}
		if p := s.paid(t, unknown.PaymentID); p.Status != payment.StatusSUCCEEDED || len(s.toldOf(t, noticeInvoicePaid)) != 1 {
			t.Errorf("%+v; told %+v", p, s.toldOf(t, noticeInvoicePaid))
		}
	})
}

// What the gateway may answer to a charge without the payer, and what is next.
func TestAnswersToACharge(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		keys := ended(gateway.StatusRejected)
		keys.Failure.Credentials = true
		for _, c := range []struct {
			outcome  gateway.Outcome
			payment  payment.Status
			attempts int
			dunning  invoice.Dunning
			next     time.Duration // zero: none, or as it was
		}{
			{succeeded(), payment.StatusSUCCEEDED, 1, invoice.DunningNONE, 0},
			{ended(gateway.StatusActionNeeded), payment.StatusREQUIRES_ACTION, 1, invoice.DunningRUNNING, 3 * days},
			{ended(gateway.StatusProcessing), payment.StatusPROCESSING, 0, invoice.DunningNONE, 0},
			{ended(gateway.StatusDeclined), payment.StatusFAILED, 1, invoice.DunningRUNNING, 3 * days},
			{ended(gateway.StatusRejected), payment.StatusFAILED, 1, invoice.DunningRUNNING, 3 * days},
			{keys, payment.StatusFAILED, 0, invoice.DunningNONE, chargeUnreached},
			{ended(gateway.StatusUnavailable), payment.StatusFAILED, 0, invoice.DunningNONE, chargeUnreached},
			{ended(gateway.StatusUnknown), payment.StatusPROCESSING, 0, invoice.DunningNONE, 0},
		} {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			begun := s.beginCharge(t, id)
			r := s.invoiceAt(t, id, "open")
			if c.outcome.Status == gateway.StatusSucceeded {
				r = s.invoiceAt(t, id, "paid")
			}
			for range 2 {
				r.Outcome = c.outcome
				if err := s.FinishInvoicePayment(s.ctx, begun.ID, r); err != nil && !isRefusal(err) {
					t.Fatal(err)
				}
			}
			p := s.paid(t, begun.PaymentID)
			if wantTries(t, s.invoiced(t, id), c.attempts, c.dunning, c.next, s.clock.Now()); p.Status != c.payment {
				t.Errorf("%s: the payment is %s", c.outcome.Status, p.Status)
			}
			s.clock.Advance(callLease)
		}
	})
}

// A try that the gateway has begun and that fails days later counts when it
// fails, also when it is the last one.
func TestLateDeclineIsATry(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) {
			u.SetDunningAttemptsMax(1).SetDunningFinal(organization.DunningFinalMARK_UNCOLLECTIBLE)
		})
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		if i := s.charged(t, id, gateway.StatusProcessing); i.Attempts != 0 || i.Dunning != invoice.DunningNONE {
			t.Errorf("%+v", i)
		}
		if begun := s.beginCharge(t, id); begun != nil {
			t.Errorf("charged twice: %+v", begun)
		}
		r := s.invoiceAt(t, id, "open")
		r.Payment = gateway.PaymentState{Status: gateway.StatusDeclined, GatewayPaymentID: "pi_1", Failure: ended(gateway.StatusDeclined).Failure}
		if err := s.ApplyInvoice(s.ctx, id, r); err != nil {
			t.Fatal(err)
		}
		i := s.invoiced(t, id)
		if wantTries(t, i, 1, invoice.DunningEXHAUSTED, 0, s.clock.Now()); i.Status != invoice.StatusUNCOLLECTIBLE || i.NextCheckAt == nil {
			t.Errorf("%+v", i)
		}
	})
}

// Nothing is charged of what needs nothing any more, or while a switch is off.
func TestChargesStop(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		open := func() string { return s.openInvoiceOf(t, item(t, "A", "10", "USD", 1)) }
		none := func(when string) {
			t.Helper()
			if due, err := s.DueCharges(s.ctx, 10); err != nil || len(due) != 0 {
				t.Errorf("%s: %v are due, %v", when, due, err)
			}
		}
		paid, voided := open(), open()
		if err := s.ApplyInvoice(s.ctx, paid, s.invoiceAt(t, paid, "paid")); err != nil {
			t.Fatal(err)
		}
		if err := s.ApplyInvoice(s.ctx, voided, s.invoiceAt(t, voided, "void")); err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(2 * chargeGrace)
		none("paid and void")
		id := open()
		s.clock.Advance(2 * chargeGrace)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetChargingEnabled(false) })
		none("charging off")
		if begun, err := s.BeginDueCharge(s.ctx, id); begun != nil || err != nil || s.invoiced(t, id).Attempts != 0 {
			t.Errorf("charged with charging off: %+v, %v", begun, err)
		}
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetChargingEnabled(true) })
		if err := s.UpdateDeveloper(s.ctx, PayerChange{ID: s.payer.ID, ChargingEnabled: ptr(false)}); err != nil {
			t.Fatal(err)
		}
		if begun := s.beginCharge(t, id); begun != nil || s.invoiced(t, id).Attempts != 0 {
			t.Errorf("a payer is charged that is not to be: %+v", begun)
		}
		if err := s.UpdateDeveloper(s.ctx, PayerChange{ID: s.payer.ID, ChargingEnabled: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		if i := s.charged(t, id, gateway.StatusSucceeded); i.Status != invoice.StatusPAID || i.Attempts != 1 {
			t.Errorf("%+v", i)
		}
		// Somebody who has just tried by hand may try again.
		tried := open()
		s.clock.Advance(chargeGrace - time.Minute)
		byHand, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: tried, PaymentMethodID: card, Key: &tried})
		if err != nil {
			t.Fatal(err)
		}
		r := s.invoiceAt(t, tried, "open")
		r.Outcome = ended(gateway.StatusDeclined)
		if err := s.FinishInvoicePayment(s.ctx, byHand.ID, r); err != nil {
			t.Fatal(err)
		}
		if begun := s.beginCharge(t, tried); begun != nil {
			t.Errorf("charged a minute after it was declined by hand: %+v", begun)
		}
		wantTries(t, s.invoiced(t, tried), 0, invoice.DunningNONE, chargeGrace-time.Minute, s.clock.Now())
		if i := s.charged(t, tried, gateway.StatusSucceeded); i.Status != invoice.StatusPAID {
			t.Errorf("%+v", i)
		}
		// What is sent is paid by its payer.
		sent, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Lines: []LineDraft{item(t, "A", "10", "USD", 1)}, Collection: invoice.CollectionSEND})
		if err != nil {
			t.Fatal(err)
		}
		s.finalized(t, sent)
		if i := s.invoiced(t, sent); i.NextAttemptAt != nil || !i.DueAt.Equal(s.clock.Now().AddDate(0, 0, 14)) {
			t.Errorf("%+v", i)
		}
		// One that is due later is announced.
		if err := s.UpdateOrganization(s.ctx, OrganizationChange{DueDays: &DueDays{Automatic: 2, Send: 30}}); err != nil {
			t.Fatal(err)
		}
		later := s.invoiced(t, open())
		if told := s.toldOf(t, noticeUpcomingCharge); !later.NextAttemptAt.Equal(*later.DueAt) || len(told) != 1 || !told[0].NextAttemptAt.Equal(s.clock.Now().AddDate(0, 0, 2)) {
			t.Errorf("%+v, told %+v", later, told)
		}
		s.card(t) // brings forward what has failed, not what is still to come
		if now := s.invoiced(t, later.ID); !now.NextAttemptAt.Equal(*later.DueAt) {
			t.Errorf("a new card is charged at %s, before the invoice is due at %s", now.NextAttemptAt, later.DueAt)
		}
	})
}

// Two servers at one due invoice, and at two of one payer, charge it once, and
// the payer for one invoice at a time.
func TestOneChargeAtATime(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		ids := []string{s.openInvoiceOf(t, item(t, "A", "10", "USD", 1)), s.openInvoiceOf(t, item(t, "B", "20", "USD", 1))}
		s.clock.Advance(chargeGrace)
		for range ids {
			var mu sync.Mutex
			var begun []*InvoiceCharge
			var racing sync.WaitGroup
			for _, id := range []string{ids[0], ids[1], ids[0], ids[1], ids[0], ids[1]} {
				racing.Go(func() {
					c, err := s.BeginDueCharge(s.ctx, id)
					if err != nil {
						t.Error(err)
					}
					if c != nil {
						mu.Lock()
						begun = append(begun, c)
						mu.Unlock()
					}
				})
			}
			racing.Wait()
			if len(begun) != 1 {
				t.Fatalf("%d charges were begun at once", len(begun))
			}
			if err := s.FinishInvoicePayment(s.ctx, begun[0].ID, s.invoiceAt(t, begun[0].InvoiceID, "paid")); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range ids {
			if i := s.invoiced(t, id); i.Status != invoice.StatusPAID || i.Attempts != 1 || len(s.paymentsOf(t, id)) != 1 {
				t.Errorf("%+v", i)
			}
		}
		// A server that died at a charge holds the payer's other invoices up no
		// longer than its call is held.
		left, other := s.openInvoiceOf(t, item(t, "C", "30", "USD", 1)), s.openInvoiceOf(t, item(t, "D", "40", "USD", 1))
		s.beginCharge(t, left)
		if begun := s.beginCharge(t, other); begun != nil {
			t.Errorf("two at a time: %+v", begun)
		}
		s.clock.Advance(callLease)
		if begun := s.beginCharge(t, other); begun == nil {
			t.Error("the others wait for ever")
		}
	})
}

// An invoice that no gateway keeps is charged by itself; money for one that was
// settled meanwhile is left to a person.
func TestInvoiceChargedDirectly(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.throughWorldpay(t)
		finish := func(c *InvoiceCharge, status gateway.Status) {
			t.Helper()
			if c == nil || c.Direct == nil || !c.Direct.OffSession || c.Direct.Recurring {
				t.Fatalf("begun %+v", c)
			}
			r := paymentAt(status, c.Direct.OrderCode, c.Direct.Amount)
			if status == gateway.StatusDeclined {
				r.Outcome = ended(status)
			}
			if err := s.FinishPayment(s.ctx, c.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		finish(s.beginCharge(t, id), gateway.StatusDeclined)
		wantTries(t, s.invoiced(t, id), 1, invoice.DunningRUNNING, 3*days, s.clock.Now())
		// One that is under way keeps everybody else away, and is looked at again.
		moving := s.beginCharge(t, id)
		finish(moving, gateway.StatusProcessing)
		_, err := s.BeginInvoiceVoid(s.ctx, id)
		wantCode(t, err, CodeInvalidState, "id")
		if begun := s.beginCharge(t, id); begun != nil {
			t.Errorf("charged twice: %+v", begun)
		}
		if due, err := s.PaymentToCheck(s.ctx, moving.PaymentID); err != nil || due == nil || due.GatewayPaymentID != moving.Direct.OrderCode {
			t.Errorf("asked for %+v, %v", due, err)
		}
		if err := s.ApplyPayment(s.ctx, moving.PaymentID, paymentAt(gateway.StatusSucceeded, moving.Direct.OrderCode, usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		if i := s.invoiced(t, id); i.Status != invoice.StatusPAID || i.Attempts != 2 {
			t.Errorf("%+v", i)
		}
		// Voided by somebody who thought that it had failed.
		late := s.openInvoiceOf(t, item(t, "B", "5", "USD", 1))
		begun := s.beginCharge(t, late)
		finish(begun, gateway.StatusDeclined)
		if _, err := s.BeginInvoiceVoid(s.ctx, late); err != nil {
			t.Fatal(err)
		}
		err = s.ApplyPayment(s.ctx, begun.PaymentID, paymentAt(gateway.StatusSucceeded, begun.Direct.OrderCode, usd(t, "5")))
		if err != nil {
			t.Fatal(err)
		}
		// The money is the payer's.
		if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusSUCCEEDED || s.balanceOf(t, s.payer.ID, "USD").Remaining() != usd(t, "5") {
			t.Errorf("%+v, %s on the balance", p, s.balanceOf(t, s.payer.ID, "USD").Remaining())
		}
	})
}

// A payer who has been closed owes nothing, and nothing is charged.
func TestPayerThatIsSuspendedIsCharged(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusSUSPENDED) })
		if i := s.charged(t, id, gateway.StatusSucceeded); i.Status != invoice.StatusPAID {
			t.Errorf("what a payer had before it was suspended is not charged: %+v", i)
		}
	})
}

// A payer who fails at the bank is told where to go on; the payment waits, and
// a try without the payer follows as planned.
func TestFailedAuthenticationIsTold(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
		if err != nil {
			t.Fatal(err)
		}
		r := s.invoiceAt(t, id, "open")
		r.Outcome, r.NextAction.RedirectURL = ended(gateway.StatusActionNeeded), "https://bank.example/3ds"
		if err := s.FinishInvoicePayment(s.ctx, begun.ID, r); err != nil {
			t.Fatal(err)
		}
		failed := s.invoiceAt(t, id, "open")
		failed.Payment = gateway.PaymentState{Status: gateway.StatusDeclined, GatewayPaymentID: "pi_1", Failure: &gateway.Failure{Code: "payment_intent_authentication_failure", Message: "No."}}
		for range 2 { // the event, and a poll
			if err := s.ApplyInvoice(s.ctx, id, failed); err != nil {
				t.Fatal(err)
			}
		}
		told := s.toldOf(t, noticeChargeFailed)
		if p := s.paid(t, begun.PaymentID); len(told) != 1 || told[0].PayURL != r.HostedURL || told[0].Reason == "" || p.Status != payment.StatusREQUIRES_ACTION {
			t.Errorf("told %+v; %+v", told, p)
		}
		if i := s.invoiced(t, id); i.Attempts != 0 || i.NextAttemptAt == nil {
			t.Errorf("%+v", i)
		}
	})
}

// A charge that the gateway gives up counts as any other that comes to nothing:
// the card is not asked for it every hour for ever.
func TestCanceledChargeIsATry(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.throughWorldpay(t)
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		c := s.beginCharge(t, id)
		r := paymentAt(gateway.StatusDeclined, c.Direct.OrderCode, c.Direct.Amount)
		r.Payment.Canceled = true
		for range 2 {
			if err := s.FinishPayment(s.ctx, c.ID, r); err != nil {
				t.Fatal(err)
			}
		}
		wantTries(t, s.invoiced(t, id), 1, invoice.DunningRUNNING, 3*days, s.clock.Now())
		if p := s.paid(t, c.PaymentID); p.Status != payment.StatusCANCELED || len(s.toldOf(t, noticeChargeFailed)) != 1 {
			t.Errorf("%+v, told %+v", p, s.toldOf(t, noticeChargeFailed))
		}
	})
}

// What only a person can put right is looked at once a day, until it is.
func TestChargesThatSomebodyStopped(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		if err := s.UpdateDeveloper(s.ctx, PayerChange{ID: s.payer.ID, ChargingEnabled: ptr(false)}); err != nil {
			t.Fatal(err)
		}
		if begun := s.beginCharge(t, id); begun != nil {
			t.Fatalf("charged: %+v", begun)
		}
		wantTries(t, s.invoiced(t, id), 0, invoice.DunningNONE, days, s.clock.Now())
		if err := s.UpdateDeveloper(s.ctx, PayerChange{ID: s.payer.ID, ChargingEnabled: ptr(true)}); err != nil {
			t.Fatal(err)
		}
		wantTries(t, s.invoiced(t, id), 0, invoice.DunningNONE, 0, s.clock.Now())
		s.archiveProvider(t)
		if begun := s.beginCharge(t, id); begun != nil {
			t.Fatalf("charged: %+v", begun)
		}
		wantTries(t, s.invoiced(t, id), 0, invoice.DunningNONE, days, s.clock.Now())
	})
}
