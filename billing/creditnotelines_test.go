package billing

import (
	"fmt"
	"testing"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/invoiceline"
	"purser/money"
)

// TestNoteByLines: which line, how many or how much of it, with the tax that the
// line has.
func TestNoteByLines(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(190_000) })
		books := item(t, "Books", "10", "USD", 1)
		books.TaxRate = ptr(money.Rate(70_000))
		id := s.ownInvoiceOf(t, item(t, "Seats", "5", "USD", 2), books)
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(200_000) }) // too late for what is issued
		lines, err := s.Client().InvoiceLine.Query().Where(invoiceline.InvoiceID(id)).Order(ent.Asc(invoiceline.FieldPosition)).All(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		credit := func(lines ...CreditNoteLineDraft) (*BegunCreditNote, error) {
			return s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Lines: lines, Reason: "x", Key: ptr(s.newID("key"))})
		}
		begun, err := credit(
			CreditNoteLineDraft{LineID: lines[0].ID, Quantity: ptr(1)},
			CreditNoteLineDraft{LineID: lines[1].ID, Amount: ptr(usd(t, "2.5"))},
		)
		if err != nil {
			t.Fatal(err)
		}
		n := s.note(t, begun.CreditNoteID)
		if got := fmt.Sprint(n.Subtotal(), n.Tax(), n.Total()); got != "7.50 USD 1.13 USD 8.63 USD" {
			t.Errorf("the note comes to %s", got)
		}
		for i, want := range []string{"19 5.00 USD 0.95 USD", "7 2.50 USD 0.18 USD"} {
			if got := n.ShownTaxes()[i]; fmt.Sprint(got.Rate, " ", got.Taxable, " ", got.Amount) != want {
				t.Errorf("tax %+v, want %s", got, want)
			}
		}
		if l := n.ShownLines(); len(l) != 2 || *l[0].Quantity != 1 || l[0].Amount != usd(t, "5") || l[1].Quantity != nil || l[1].Description != "Books" {
			t.Errorf("lines %+v", l)
		}
		one := CreditNoteLineDraft{LineID: lines[0].ID}
		for field, bad := range map[string][]CreditNoteLineDraft{
			"lineItems.0.quantity":        {{LineID: lines[0].ID, Quantity: ptr(2)}},
			"lineItems.0.amount":          {{LineID: lines[1].ID, Amount: ptr(usd(t, "7.51"))}},
			"lineItems.0.amount.currency": {{LineID: lines[1].ID, Amount: ptr(in(t, "1", "EUR"))}},
			"lineItems.1.lineItemId":      {one, one},
			"lineItems.1.amount":          {one, {LineID: lines[1].ID, Quantity: ptr(1), Amount: ptr(usd(t, "1"))}},
			"lineItems":                   {{LineID: lines[1].ID, Amount: ptr(usd(t, "0.001"))}},
		} {
			_, err := credit(bad...)
			code := CodeInvalid
			if field == "lineItems.0.amount.currency" {
				code = CodeCurrencyMismatch
			}
			wantCode(t, err, code, field)
		}
		_, err = credit(CreditNoteLineDraft{LineID: "ili_other"})
		wantCode(t, err, CodeNotFound, "lineItems.0.lineItemId")
		_, err = s.BeginCreditNote(s.ctx, CreditNoteDraft{InvoiceID: id, Amount: ptr(usd(t, "1")), Lines: []CreditNoteLineDraft{one}, Reason: "x", Key: ptr("both")})
		wantCode(t, err, CodeInvalid, "lineItems")
		if _, err := credit(one); err != nil {
			t.Fatal(err)
		}
		_, err = credit(one)
		wantCode(t, err, CodeInvalid, "lineItems.0")
		s.noteTo(t, id, "3", "")
		s.noteTo(t, id, "", "")
		if inv := s.invoiced(t, id); inv.Credited() != usd(t, "22.60") || inv.AmountDueUnits != 0 {
			t.Errorf("%s credited, %s due", inv.Credited(), inv.AmountDue())
		}
		s.mustVerify(t)
	})
}

// TestUsageInvoiceIsCredited: what is credited is not owed any more, and takes
// nothing of the credit limit; of a paid one it makes the running debt less.
func TestUsageInvoiceIsCredited(t *testing.T) {
	postpaidSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(200_000) })
		if _, err := s.SetCreditLimit(s.ctx, CreditLimitChange{PayerID: s.payer.ID, Amount: ptr(usd(t, "100"))}); err != nil {
			t.Fatal(err)
		}
		s.use(t, s.payer.ID, usd(t, "12.5043"))
		id := s.usageInvoiced(t)
		if a := s.available(t); a != usd(t, "87.50") {
			t.Fatalf("%s are available", a)
		}
		n := s.note(t, s.noteTo(t, id, "2.50", "").CreditNoteID)
		if got := fmt.Sprint(n.Subtotal(), n.Tax(), n.ShownLines()[0].Amount); got != "2.08 USD 0.42 USD 2.50 USD" {
			t.Errorf("the note takes %s", got)
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Available() != usd(t, "90") || !b.Remaining().IsZero() || b.UnpaidUnits != usd(t, "10").Units {
			t.Errorf("%s available, %s remain, %d unpaid", b.Available(), b.Remaining(), b.UnpaidUnits)
		}
		s.mustVerify(t)
		if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, OutOfBand: true, Key: ptr("bank")}); err != nil {
			t.Fatal(err)
		}
		s.noteTo(t, id, "3", creditnote.SettlementBALANCE)
		s.use(t, s.payer.ID, usd(t, "8"))
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Remaining() != usd(t, "-5") || b.Available() != usd(t, "95") {
			t.Errorf("%s available, %s remain", b.Available(), b.Remaining())
		}
		s.noteTo(t, id, "", creditnote.SettlementOUT_OF_BAND)
		next := s.invoiced(t, s.usageInvoiced(t))
		if next.Total() != usd(t, "5") {
			t.Errorf("the next invoice is over %s", next.Total())
		}
		s.mustVerify(t)
	})
}
