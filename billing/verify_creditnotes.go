package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/refund"
	"purser/money"
)

// creditNotes are the notes to a page of invoices, with what was booked for
// them and given back of them.
type creditNotes struct {
	of      map[string][]*ent.CreditNote // by invoice
	entries map[string][]*ent.LedgerEntry
	refunds map[string][]*ent.Refund
}

func (v *verifier) creditNotes(ctx context.Context, page []*ent.Invoice) (creditNotes, error) {
	out := creditNotes{of: map[string][]*ent.CreditNote{}, entries: map[string][]*ent.LedgerEntry{}, refunds: map[string][]*ent.Refund{}}
	var invoices, notes []string
	for _, i := range page {
		if i.FinalizedAt != nil {
			invoices = append(invoices, i.ID)
		}
	}
	rows, err := v.CreditNote.Query().Where(creditnote.InvoiceIDIn(invoices...)).Order(ent.Asc(creditnote.FieldID)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read credit notes: %w", err)
	}
	for _, n := range rows {
		out.of[n.InvoiceID] = append(out.of[n.InvoiceID], n)
		notes = append(notes, n.ID)
	}
	if len(notes) == 0 {
		return out, nil
	}
	entries, err := v.LedgerEntry.Query().Where(ledgerentry.InvoiceIDIn(invoices...), ledgerentry.KindEQ(ledgerentry.KindCREDIT_NOTE)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read entries of credit notes: %w", err)
	}
	for _, e := range entries {
		out.entries[orEmpty(e.CreditNoteID)] = append(out.entries[orEmpty(e.CreditNoteID)], e)
	}
	backs, err := v.Refund.Query().Where(refund.CreditNoteIDIn(notes...)).Order(ent.Asc(refund.FieldID)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read refunds of credit notes: %w", err)
	}
	for _, r := range backs {
		out.refunds[*r.CreditNoteID] = append(out.refunds[*r.CreditNoteID], r)
	}
	return out, nil
}

// credited checks the notes to an invoice, and that the invoice counts them.
func (v *verifier) credited(i *ent.Invoice, all creditNotes) error {
	var credited, waived money.Units
	for _, n := range all.of[i.ID] {
		if err := v.creditNote(i, n, all); err != nil {
			return err
		}
		credited += n.TotalUnits
		if n.Settlement == creditnote.SettlementDUE {
			waived += n.TotalUnits
		}
	}
	switch {
	case i.CreditedUnits != credited:
		return v.fault(invoice.Table, i.ID, "credited_units against its credit notes", credited, i.CreditedUnits)
	case i.WaivedUnits != waived:
		return v.fault(invoice.Table, i.ID, "waived_units against its credit notes", waived, i.WaivedUnits)
	}
	return nil
}

// creditNote checks one note against its entries and its refunds.
func (v *verifier) creditNote(i *ent.Invoice, n *ent.CreditNote, all creditNotes) error {
	fault := func(what string, expected, found any) error {
		return v.fault(creditnote.Table, n.ID, what, expected, found)
	}
	if n.Currency != i.Currency {
		return fault("currency of its invoice", i.Currency, n.Currency)
	}
	booked, to := map[string]money.Units{}, map[string]bool{}
	for _, e := range all.entries[n.ID] {
		account, other, units := e.DebitAccount, e.CreditAccount, e.AmountUnits
		if account != accountRevenue && account != accountTax && account != accountRounding {
			account, other, units = other, account, -units
		}
		booked[account] += units
		to[other] = true
		if !e.EffectiveAt.Equal(n.CreatedAt) {
			return fault("created_at against its entry "+e.ID, e.EffectiveAt, n.CreatedAt)
		}
	}
	for _, part := range noteParts(n) {
		if booked[part.account] != part.units {
			return fault("what was booked of its "+part.name, part.units, booked[part.account])
		}
	}
	want := accountReceivable
	switch n.Settlement {
	case creditnote.SettlementOUT_OF_BAND:
		want = accountBank
	case creditnote.SettlementBALANCE:
		want = "one balance"
		for account := range to {
			if len(to) == 1 && account != accountReceivable && account != accountBank {
				want = account
			}
		}
	case creditnote.SettlementDUE, creditnote.SettlementREFUND:
	}
	if !to[want] || len(to) != 1 {
		return fault("where its amount went, being "+string(n.Settlement), want, fmt.Sprint(to))
	}
	if err := v.noteRefunds(n, all.refunds[n.ID]); err != nil {
		return err
	}
	return v.number(creditnote.Table, n.ID, "creditNote", &n.Number)
}

// noteRefunds checks that a note is given back as a whole, once at most, and
// only if that was asked for.
func (v *verifier) noteRefunds(n *ent.CreditNote, refunds []*ent.Refund) error {
	asked := n.Settlement == creditnote.SettlementREFUND
	if asked != (len(refunds) > 0) {
		return v.fault(creditnote.Table, n.ID, "a refund, being "+string(n.Settlement), presence(asked), presence(!asked))
	}
	standing := 0
	for _, r := range refunds {
		if r.Amount() != n.Total() {
			return v.fault(refund.Table, r.ID, "the amount of its credit note", n.Total(), r.Amount())
		}
		if r.Status != refund.StatusFAILED {
			standing++
		}
	}
	if standing > 1 {
		return v.fault(creditnote.Table, n.ID, "refunds that have not failed", "one at most", standing)
	}
	return nil
}
