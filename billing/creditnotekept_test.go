package billing

import (
	"errors"
	"testing"

	"purser/ent/creditnote"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/gateway"
)

// keptNoteTo begins a note to an open invoice that the gateway keeps.
func (s *sale) keptNoteTo(t testing.TB, inv, amount string) *BegunCreditNote {
	t.Helper()
	begun := s.noteTo(t, inv, amount, "")
	i := s.invoiced(t, inv)
	if begun.Call == nil || begun.Refund != nil || begun.Request.InvoiceID != orEmpty(i.GatewayInvoiceID) || i.PendingCallID == nil {
		t.Fatalf("begun %+v of %+v", begun, i)
	}
	return begun
}

func (s *sale) noteAt(t testing.TB, amount string) gateway.CreditNoteResult {
	t.Helper()
	return gateway.CreditNoteResult{Outcome: succeeded(), CreditNoteID: s.named("cn"), Amount: usd(t, amount)}
}

// creditedAt is the invoice as the gateway reports it with credit notes.
func (s *sale) creditedAt(t testing.TB, id string, state gateway.InvoiceState, credited string) gateway.InvoiceResult {
	t.Helper()
	r := s.invoiceAt(t, id, state)
	r.Credited = usd(t, credited)
	r.AmountDue.Units -= r.Credited.Units
	if state == gateway.InvoicePaid {
		r.AmountPaid, r.Payment.Amount = r.AmountDue, r.AmountDue
		if r.AmountPaid.IsZero() {
			r.Payment = gateway.PaymentState{}
		}
	}
	return r
}

// TestNoteOfAnInvoiceThatAGatewayKeeps: made once the gateway has taken it, not
// before and not twice, and what is paid then fits.
func TestNoteOfAnInvoiceThatAGatewayKeeps(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openInvoiceOf(t, item(t, "API", "10", "USD", 1))
		waiting, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: ptr("page")})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Amount: ptr(usd(t, "9.60")), Reason: "x", Key: ptr("little")})
		wantCode(t, err, CodeBelowMinimum, "amount")
		begun := s.keptNoteTo(t, id, "4")
		_, err = s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Amount: ptr(usd(t, "1")), Reason: "x", Key: ptr("more")})
		wantCode(t, err, CodeInvalidState, "invoiceId")
		if actions := InvoiceActions(s.invoiced(t, id)); actions != nil {
			t.Errorf("meanwhile %v are allowed", actions)
		}
		s.mustVerify(t)
		taken := s.noteAt(t, "4")
		for _, r := range []gateway.CreditNoteResult{{Outcome: ended(gateway.StatusUnknown)}, taken, taken} {
			if err := s.FinishCreditNote(s.ctx, begun.ID, r); err != nil {
				t.Fatal(err)
			}
			s.mustVerify(t)
		}
		if n := s.note(t, begun.CreditNoteID); n.Total() != usd(t, "4") || orEmpty(n.GatewayCreditNoteID) != taken.CreditNoteID {
			t.Errorf("the note %+v", n)
		}
		// A report from before the note changes nothing.
		for _, r := range []gateway.InvoiceResult{s.creditedAt(t, id, "open", "0"), s.creditedAt(t, id, "open", "4"), s.creditedAt(t, id, "paid", "4")} {
			if err := s.ApplyInvoice(s.ctx, id, r); err != nil {
				t.Fatal(err)
			}
		}
		if inv := s.invoiced(t, id); inv.Status != invoice.StatusPAID || inv.AmountPaid() != usd(t, "6") || inv.Credited() != usd(t, "4") {
			t.Errorf("%s, %s paid, %s credited", inv.Status, inv.AmountPaid(), inv.Credited())
		}
		if p := s.paid(t, waiting.PaymentID); p.Status != payment.StatusCANCELED {
			t.Errorf("the payment over all of it is %s", p.Status)
		}
		wantBooked(t, s.booked(t, id),
			"receivable→revenue INVOICE 10.00 USD",
			"revenue→receivable CREDIT_NOTE 4.00 USD",
			"clearing:"+s.provider+"→receivable INVOICE_PAYMENT 6.00 USD")
		s.mustVerify(t)
	})
}

// TestNoteAndTheGatewaysReport: the gateway's own view of its invoice may be
// quicker than its answer, and so may the payer.
func TestNoteAndTheGatewaysReport(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		line := item(t, "API", "10", "USD", 1)
		for _, c := range []struct{ amount, paid string }{{"4", "6"}, {"10", "0"}} {
			id := s.openInvoiceOf(t, line)
			begun := s.keptNoteTo(t, id, c.amount)
			if err := s.ApplyInvoice(s.ctx, id, s.creditedAt(t, id, "paid", c.amount)); err != nil {
				t.Fatal(err)
			}
			if err := s.FinishCreditNote(s.ctx, begun.ID, s.noteAt(t, c.amount)); err != nil {
				t.Fatal(err)
			}
			inv := s.invoiced(t, id)
			if inv.Status != invoice.StatusPAID || inv.AmountPaid() != usd(t, c.paid) || inv.PendingCallID != nil || s.note(t, begun.CreditNoteID).GatewayCreditNoteID == nil {
				t.Errorf("%s credited: %s, %s paid", c.amount, inv.Status, inv.AmountPaid())
			}
			if err := s.ApplyInvoice(s.ctx, id, s.creditedAt(t, id, "void", c.amount)); c.paid == "0" && err != nil {
				t.Errorf("void as well: %v", err)
			}
		}
		// The payer was quicker: the gateway refuses the note, and there is none.
		paid := s.openInvoiceOf(t, line)
		begun := s.keptNoteTo(t, paid, "4")
		if err := s.ApplyInvoice(s.ctx, paid, s.invoiceAt(t, paid, "paid")); err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.FinishCreditNote(s.ctx, begun.ID, gateway.CreditNoteResult{Outcome: ended(gateway.StatusRejected)}), CodeProviderRefused, "invoiceId")
		if made, err := s.Client().CreditNote.Query().Where(creditnote.InvoiceID(paid)).Exist(s.ctx); made || err != nil {
			t.Errorf("there is a note: %t, %v", made, err)
		}
		// Refused, it takes no number, and its key may be used anew.
		refused := s.openInvoiceOf(t, line)
		d := CreditNoteDraft{InvoiceID: refused, Amount: ptr(usd(t, "4")), Reason: "x", Key: ptr("anew")}
		for _, r := range []gateway.CreditNoteResult{{Outcome: ended(gateway.StatusRejected)}, s.noteAt(t, "4")} {
			begun, err := s.BeginCreditNote(s.ctx, d)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.FinishCreditNote(s.ctx, begun.ID, r); (err != nil) != (r.Status == gateway.StatusRejected) {
				t.Errorf("%s: %v", r.Status, err)
			}
		}
		// A note that somebody else has made there fits nothing here.
		foreign := s.openInvoiceOf(t, line)
		if err := s.ApplyInvoice(s.ctx, foreign, s.creditedAt(t, foreign, "open", "3")); !errors.Is(err, errMismatch) {
			t.Errorf("a note made elsewhere: %v", err)
		}
		if err := s.ApplyInvoice(s.ctx, refused, s.creditedAt(t, refused, "void", "4")); !errors.Is(err, errMismatch) {
			t.Errorf("void although credited: %v", err)
		}
		s.mustVerify(t)
	})
}

// TestNoteOfAnUncollectibleInvoice: as much of the write-off is taken back, and
// what is left can still be paid or credited.
func TestNoteOfAnUncollectibleInvoice(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		paid, credited := s.ownInvoiceOf(t, item(t, "API", "10", "USD", 1)), s.ownInvoiceOf(t, item(t, "API", "10", "USD", 1))
		for _, id := range []string{paid, credited} {
			if err := s.MarkInvoiceUncollectible(s.ctx, id); err != nil {
				t.Fatal(err)
			}
			s.noteTo(t, id, "4", "")
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusUNCOLLECTIBLE || inv.AmountDue() != usd(t, "6") {
				t.Errorf("%s, %s due", inv.Status, inv.AmountDue())
			}
			s.mustVerify(t)
		}
		if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: paid, OutOfBand: true, Key: ptr("bank")}); err != nil {
			t.Fatal(err)
		}
		s.noteTo(t, credited, "", "")
		for id, last := range map[string]string{paid: "bank→receivable INVOICE_PAYMENT 6.00 USD", credited: "revenue→receivable CREDIT_NOTE 6.00 USD"} {
			want := []string{
				"receivable→revenue INVOICE 10.00 USD",
				"write-off→receivable WRITE_OFF 10.00 USD",
				"revenue→receivable CREDIT_NOTE 4.00 USD",
				"receivable→write-off REVERSAL 4.00 USD",
				"receivable→write-off REVERSAL 6.00 USD",
				last,
			}
			if id == credited {
				want[4], want[5] = want[5], want[4]
			}
			wantBooked(t, s.booked(t, id), want...)
			if inv := s.invoiced(t, id); inv.Status != invoice.StatusPAID {
				t.Errorf("the rest: %s", inv.Status)
			}
		}
		s.mustVerify(t)
	})
}
