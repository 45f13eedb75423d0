package billing

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/gateway"
)

// fact is something that the gateway says of an invoice, through whatever
// door.
type fact func() error

// The facts of an invoice that is paid by card with 3-D Secure, in any order
// and twice: finalizing, paying (by hand or by itself), the events about both,
// and a poll. What is paid by itself has counted as one try.
func TestPaidInvoiceInAnyOrder(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		for n, order := range orders(4) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			var paymentID, callID string
			tries := n / 2 % 2
			if tries == 1 {
				begun := s.beginCharge(t, id)
				paymentID, callID = begun.PaymentID, begun.ID
			} else {
				begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
				if err != nil {
					t.Fatal(err)
				}
				paymentID, callID = begun.PaymentID, begun.ID
			}
			open, paid := s.invoiceAt(t, id, "open"), s.invoiceAt(t, id, "paid")
			action := open
			action.Outcome = ended(gateway.StatusActionNeeded)
			action.Payment = gateway.PaymentState{Status: gateway.StatusActionNeeded, GatewayPaymentID: paid.Payment.GatewayPaymentID}
			action.NextAction = gateway.NextAction{RedirectURL: open.HostedURL}
			facts := []fact{
				func() error { return s.ApplyInvoice(s.ctx, id, open) },
				func() error { return s.FinishInvoicePayment(s.ctx, callID, action) },
				func() error { return s.ApplyInvoice(s.ctx, id, paid) },
				func() error { return s.ApplyInvoice(s.ctx, id, paid) },
			}
			if n%2 == 1 { // the reply to the charge itself says that it is paid
				facts[1] = func() error { return s.FinishInvoicePayment(s.ctx, callID, paid) }
			}
			for _, at := range order {
				if err := facts[at](); err != nil {
					t.Fatalf("order %v, fact %d: %v", order, at, err)
				}
			}
			s.wantPaid(t, fmt.Sprintf("order %v", order), id, paymentID, paid)
			if attempts := s.invoiced(t, id).Attempts; attempts != tries {
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
		t.Run("due something else", func(t *testing.T) {
			for _, state := range []gateway.InvoiceState{"open", "paid"} {
				id := s.accepted(t, s.openQuoteOf(t, item(t, "A", "10", "USD", 1)))
				r := s.invoiceAt(t, id, state)
				r.AmountDue = usd(t, "10.30")
				if err := s.ApplyInvoice(s.ctx, id, r); !errors.Is(err, errMismatch) {
					t.Errorf("%s: %v", state, err)
				}
				if inv := s.invoiced(t, id); inv.Status != invoice.StatusDRAFT || inv.Number != nil {
					t.Errorf("%s: invoice %+v", state, inv)
				}
			}
		})
		t.Run("an attempt that came to nothing", func(t *testing.T) {
			id := s.invoiceOf(t, item(t, "A", "10", "USD", 1))
			for _, state := range []gateway.InvoiceState{"draft", "void"} {
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
		if err != nil || check.GatewayInvoiceID != orEmpty(s.invoiced(t, id).GatewayInvoiceID) {
			t.Fatalf("%+v, %v", check, err)
		}
		claimed, err := s.ClaimInvoice(s.ctx, id)
		if err != nil || claimed == nil || claimed.GatewayInvoiceID != check.GatewayInvoiceID {
			t.Fatalf("%+v, %v", claimed, err)
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
		// A late event whose object cannot be read does not bring it back.
		if err := s.ApplyInvoice(s.ctx, id, gateway.InvoiceResult{Outcome: ended(gateway.StatusUnavailable)}); err != nil {
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
