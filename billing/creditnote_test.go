package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/ent/schema"
	"purser/gateway"
	"purser/money"
)

// noteTo makes a credit note; an empty amount takes all that is left.
func (s *sale) noteTo(t testing.TB, inv, amount string, to creditnote.Settlement) *BegunCreditNote {
	t.Helper()
	d := CreditNoteDraft{InvoiceID: inv, Reason: "down for a day", Settlement: to, Key: ptr(s.newID("key"))}
	if amount != "" {
		d.Amount = ptr(usd(t, amount))
	}
	begun, err := s.BeginCreditNote(s.ctx, d)
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

func (s *sale) note(t testing.TB, id string) *ent.CreditNote {
	t.Helper()
	n, err := s.Client().CreditNote.Query().Where(creditnote.ID(id)).Only(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// paidInvoiceOf is an invoice that was paid at the gateway.
func (s *sale) paidInvoiceOf(t testing.TB, lines ...LineDraft) string {
	t.Helper()
	id := s.openInvoiceOf(t, lines...)
	if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, "paid")); err != nil {
		t.Fatal(err)
	}
	return id
}

// ownInvoiceOf is an open invoice that no gateway keeps: it waits for the
// payer's balance.
func (s *sale) ownInvoiceOf(t testing.TB, lines ...LineDraft) string {
	t.Helper()
	id, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Lines: lines, Collection: invoice.CollectionBALANCE})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id}); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestNotesShareTheInvoice: whatever the parts, together they take back what the
// invoice was, tax and rounding included, and each is whole minor units.
func TestNotesShareTheInvoice(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(88_750) })
		for _, parts := range [][]string{{""}, {"0.01", ""}, {"1.23", "4.56", ""}, {"6.55", "0.01"}, {"2", "2", "2", "0.55", "0.01"}} {
			id := s.ownInvoiceOf(t, item(t, "API", "6.028169", "USD", 1))
			inv := s.invoiced(t, id)
			if inv.Total() != usd(t, "6.56") {
				t.Fatalf("the invoice comes to %s", inv.Total())
			}
			var subtotal, tax money.Units
			for _, part := range parts {
				n := s.note(t, s.noteTo(t, id, part, "").CreditNoteID)
				if _, err := n.Tax().Minor(); err != nil || n.TaxUnits < 0 {
					t.Errorf("the tax of a part is %s", n.Tax())
				}
				subtotal, tax = subtotal+n.SubtotalUnits, tax+n.TaxUnits
			}
			if subtotal != inv.SubtotalUnits || tax != inv.TaxUnits {
				t.Errorf("%v take back %d and %d, the invoice has %d and %d", parts, subtotal, tax, inv.SubtotalUnits, inv.TaxUnits)
			}
			if now := s.invoiced(t, id); now.Status != invoice.StatusPAID || now.AmountPaidUnits != 0 || now.Credited() != inv.Total() {
				t.Errorf("credited as a whole it is %s with %s paid", now.Status, now.AmountPaid())
			}
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.UnpaidUnits != 0 || !b.Remaining().IsZero() {
			t.Errorf("unpaid %d, remaining %s", b.UnpaidUnits, b.Remaining())
		}
		s.mustVerify(t)
	})
}

// TestNoteIsRefunded: asked once, booked when it is given back, booked back
// when it fails, and tried once more.
func TestNoteIsRefunded(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.paidInvoiceOf(t, item(t, "API", "10", "USD", 1))
		p, err := s.Client().Payment.Query().Where(payment.InvoiceID(id)).Only(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		begun := s.noteTo(t, id, "4", creditnote.SettlementREFUND)
		if begun.Refund == nil || begun.Refund.Request.Amount != usd(t, "4") || begun.Refund.Request.GatewayPaymentID != orEmpty(p.GatewayPaymentID) {
			t.Fatalf("begun %+v", begun.Refund)
		}
		again := CreditNoteRefundDraft{ID: begun.CreditNoteID, Key: ptr("again")}
		_, err = s.BeginCreditNoteRefund(s.ctx, again)
		wantCode(t, err, CodeInvalidState, "id")
		// What is on its way is not given back by another note as well.
		_, err = s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Amount: ptr(usd(t, "7")), Reason: "x", Settlement: creditnote.SettlementREFUND, Key: ptr("more")})
		wantCode(t, err, CodeInvalid, "amount.amount")
		for _, state := range []gateway.RefundState{gateway.RefundPending, gateway.RefundSucceeded, gateway.RefundSucceeded, gateway.RefundFailed} {
			if err := s.FinishRefund(s.ctx, begun.Refund.ID, refundAt(state, "re_1", usd(t, "4"))); err != nil {
				t.Fatal(err)
			}
			if err := s.ApplyRefund(s.ctx, p.ID, begun.Refund.RefundID, refundAt(state, "re_1", usd(t, "4"))); err != nil {
				t.Fatal(err)
			}
			s.mustVerify(t)
		}
		wantBooked(t, s.booked(t, p.ID),
			"clearing:"+s.provider+"→receivable INVOICE_PAYMENT 10.00 USD",
			"receivable→clearing:"+s.provider+" REFUND 4.00 USD",
			"clearing:"+s.provider+"→receivable REVERSAL 4.00 USD")
		retried, err := s.BeginCreditNoteRefund(s.ctx, again)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishRefund(s.ctx, retried.Refund.ID, refundAt(gateway.RefundSucceeded, "re_2", usd(t, "4"))); err != nil {
			t.Fatal(err)
		}
		if s.paid(t, p.ID).Refunded() != usd(t, "4") {
			t.Errorf("%s went back", s.paid(t, p.ID).Refunded())
		}
		s.mustVerify(t)
	})
}

// TestNoteStandsWhenTheGatewayRefuses: its number is taken, its key says what
// was done, and its refund has failed.
func TestNoteStandsWhenTheGatewayRefuses(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.paidInvoiceOf(t, item(t, "API", "10", "USD", 1))
		d := CreditNoteDraft{InvoiceID: id, Reason: "x", Settlement: creditnote.SettlementREFUND, Key: ptr("k")}
		begun, err := s.BeginCreditNote(s.ctx, d)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.FinishRefund(s.ctx, begun.Refund.ID, gateway.RefundResult{Outcome: ended(gateway.StatusRejected)}); err != nil {
				t.Fatal(err)
			}
		}
		again, err := s.BeginCreditNote(s.ctx, d)
		if err != nil || again.CreditNoteID != begun.CreditNoteID || again.Refund != nil {
			t.Errorf("the same key: %+v, %v", again, err)
		}
		if r := s.back(t, begun.Refund.RefundID); r.Status != refund.StatusFAILED {
			t.Errorf("the refund is %s", r.Status)
		}
		if inv := s.invoiced(t, id); inv.Status != invoice.StatusPAID || inv.Credited() != usd(t, "10") {
			t.Errorf("the invoice is %s, %s credited", inv.Status, inv.Credited())
		}
	})
}

// TestNotesAndTheirInvoice: what a note needs of its invoice, and what an
// invoice that is credited does not do any more.
func TestNotesAndTheirInvoice(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		line := item(t, "API", "10", "USD", 1)
		draft, open, own := s.invoiceOf(t, line), s.openInvoiceOf(t, line), s.ownInvoiceOf(t, line)
		outside := s.ownInvoiceOf(t, line)
		if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: outside, OutOfBand: true, Key: ptr("bank")}); err != nil {
			t.Fatal(err)
		}
		for n, c := range []struct {
			inv   string
			to    creditnote.Settlement
			code  Code
			field string
		}{
			{draft, "", CodeInvalidState, "invoiceId"},
			{open, creditnote.SettlementBALANCE, CodeInvalid, "settlement"},
			{own, creditnote.SettlementREFUND, CodeInvalid, "settlement"},
			{outside, "", CodeRequired, "settlement"},
			{outside, creditnote.SettlementREFUND, CodeInvalid, "settlement"},
			{"inv_none", "", CodeNotFound, "invoiceId"},
		} {
			_, err := s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: c.inv, Reason: "x", Settlement: c.to, Key: ptr(fmt.Sprint(n))})
			wantCode(t, err, c.code, c.field)
		}
		s.noteTo(t, own, "4", "")
		_, err := s.BeginInvoiceVoid(s.ctx, own)
		wantCode(t, err, CodeInvalidState, "id")
		if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: own, OutOfBand: true, Key: ptr("rest")}); err != nil {
			t.Fatal(err)
		}
		if inv := s.invoiced(t, own); inv.Status != invoice.StatusPAID || inv.AmountPaid() != usd(t, "6") {
			t.Errorf("the rest: %s, %s paid", inv.Status, inv.AmountPaid())
		}
		s.noteTo(t, outside, "", creditnote.SettlementBALANCE)
		s.noteTo(t, own, "5", creditnote.SettlementOUT_OF_BAND)
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Remaining() != usd(t, "10") {
			t.Errorf("%s remain", b.Remaining())
		}
		// A payment that is refused late cannot take back what was given back.
		paid := s.paidInvoiceOf(t, line)
		p, err := s.Client().Payment.Query().Where(payment.InvoiceID(paid)).Only(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		s.noteTo(t, paid, "1", creditnote.SettlementBALANCE)
		if err := s.ApplyRefusal(s.ctx, p.ID, refusalOfPayment(p)); !errors.Is(err, errMismatch) {
			t.Errorf("refused late: %v", err)
		}
	})
}

// TestNotesAtOnce: together they take no more than the invoice was.
func TestNotesAtOnce(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.paidInvoiceOf(t, item(t, "API", "10", "USD", 1))
		made := make(chan error)
		for n := range 4 {
			go func() {
				_, err := s.BeginCreditNote(context.WithoutCancel(s.ctx), CreditNoteDraft{
					InvoiceID: id, Amount: ptr(usd(t, "4")), Reason: "x", Settlement: creditnote.SettlementBALANCE, Key: ptr(fmt.Sprint(n)),
				})
				made <- err
			}()
		}
		refused := 0
		for range 4 {
			if err := <-made; err != nil {
				wantCode(t, err, CodeInvalid, "amount.amount")
				refused++
			}
		}
		if inv := s.invoiced(t, id); refused != 2 || inv.Credited() != usd(t, "8") {
			t.Errorf("%d refused, %s credited", refused, inv.Credited())
		}
		s.mustVerify(t)
	})
}

// TestNoteNamesTheSidesOfItsInvoice: a note that is read again later says what it
// said.
func TestNoteNamesTheSidesOfItsInvoice(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetName("Demo Ltd").SetTaxID("DE 999") })
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetName("Ada").SetTaxID("FR 1") })
		id := s.paidInvoiceOf(t, item(t, "API", "10", "USD", 1))
		note := s.note(t, s.noteTo(t, id, "4", creditnote.SettlementOUT_OF_BAND).CreditNoteID)
		read := func() string {
			t.Helper()
			var out string
			for kind, token := range map[string]string{noteDocuments: note.PublicToken, invoiceDocuments: s.invoiced(t, id).PublicToken} {
				d, err := s.noteDocument(s.ctx, token)
				if kind == invoiceDocuments {
					d, err = s.invoiceDocument(s.ctx, token)
				}
				if err != nil {
					t.Fatal(err)
				}
				sides := strings.Join(append(append([]string{d.Seller.Name, d.Payer.Name}, d.Seller.Details...), d.Payer.Details...), " | ")
				if out != "" && sides != out {
					t.Errorf("the note and its invoice name other sides: %q and %q", out, sides)
				}
				out = sides
			}
			return out
		}
		before := read()
		if !strings.Contains(before, "DE 999") || !strings.Contains(before, "FR 1") {
			t.Errorf("the documents name %q", before)
		}
		s.setOrganization(t, func(u *ent.OrganizationUpdate) {
			u.SetName("Other Ltd").SetTaxID("AT 1").SetAddresses([]schema.Address{{Line1: "Elsewhere", IsPrimary: true}})
		})
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetName("Bea").SetTaxID("FR 2") })
		if after := read(); after != before {
			t.Errorf("read again: %q, before %q", after, before)
		}
	})
}
