package billing

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
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
	lines   map[string][]*ent.InvoiceLine // of the invoices that have notes
}

func (v *verifier) creditNotes(ctx context.Context, page []*ent.Invoice) (creditNotes, error) {
	out := creditNotes{
		of: map[string][]*ent.CreditNote{}, entries: map[string][]*ent.LedgerEntry{}, refunds: map[string][]*ent.Refund{}, lines: map[string][]*ent.InvoiceLine{},
	}
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
	for credited := range slices.Chunk(slices.Sorted(maps.Keys(out.of)), linesChunk) {
		lines, err := v.InvoiceLine.Query().Where(invoiceline.InvoiceIDIn(credited...)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
		if err != nil {
			return out, fmt.Errorf("read lines of credited invoices: %w", err)
		}
		for _, l := range lines {
			out.lines[l.InvoiceID] = append(out.lines[l.InvoiceID], l)
		}
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
	case len(all.of[i.ID]) == 0:
		return nil
	}
	return v.creditedLines(i, all.lines[i.ID], all.of[i.ID])
}

// creditedLines checks that the notes to an invoice take back no more than it
// was: of no line, at no rate, and in all with no more rounding than the sum
// needs.
func (v *verifier) creditedLines(i *ent.Invoice, lines []*ent.InvoiceLine, notes []*ent.CreditNote) error {
	c, err := creditedSoFar(i, lines, notes)
	if err != nil {
		return v.fault(creditnote.Table, notes[0].ID, "what the notes to "+i.ID+" are of", "lines and rates of the invoice", err)
	}
	for n, l := range lines {
		if !within(c.lines[n].left, l.AmountUnits) {
			return v.fault(invoiceline.Table, l.ID, "what credit notes take back of it", l.AmountUnits, l.AmountUnits-c.lines[n].left)
		}
	}
	for _, r := range c.rates {
		if !within(r.baseLeft, r.base) || !within(r.taxLeft, r.tax) {
			return v.fault(invoice.Table, i.ID, "what credit notes take back at "+string(r.rate.Decimal())+" %",
				fmt.Sprintf("%d and tax %d at most", r.base, r.tax), fmt.Sprintf("%d and tax %d", r.base-r.baseLeft, r.tax-r.taxLeft))
		}
	}
	total, err := money.Amount{Units: c.exact, Currency: i.Currency}.RoundToMinor()
	if err != nil || total.Units != c.credited {
		return v.fault(invoice.Table, i.ID, "what its credit notes come to, in whole minor units", total.Units, c.credited)
	}
	rates := ratesOfLines(i, lines)
	for _, note := range notes {
		if err := v.noteShares(i, note, lines, rates); err != nil {
			return err
		}
	}
	return nil
}

// noteShares checks the sums of one note against its lines and its taxes.
func (v *verifier) noteShares(i *ent.Invoice, note *ent.CreditNote, lines []*ent.InvoiceLine, rates []money.Rate) error {
	bases := map[money.Rate]money.Units{}
	var subtotal, tax money.Units
	for _, l := range note.Lines {
		n := slices.IndexFunc(lines, func(of *ent.InvoiceLine) bool { return of.ID == l.LineID })
		if lines[n].Description != l.Description {
			return v.fault(creditnote.Table, note.ID, "description of line "+l.LineID, lines[n].Description, l.Description)
		}
		subtotal += l.AmountUnits
		bases[rates[n]] += l.AmountUnits
	}
	for _, t := range note.Taxes {
		want := bases[t.RatePpm]
		if i.DebtUnits != nil {
			want -= t.TaxUnits
		}
		if t.TaxableUnits != want {
			return v.fault(creditnote.Table, note.ID, "what its tax at "+string(t.RatePpm.Decimal())+" % is on", want, t.TaxableUnits)
		}
		tax += t.TaxUnits
	}
	if i.DebtUnits != nil {
		subtotal -= tax
	}
	switch {
	case note.SubtotalUnits != subtotal:
		return v.fault(creditnote.Table, note.ID, "subtotal_units against its lines", subtotal, note.SubtotalUnits)
	case note.TaxUnits != tax:
		return v.fault(creditnote.Table, note.ID, "tax_units against its taxes", tax, note.TaxUnits)
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
		if want = accountBank; to[accountWriteOff] {
			want = accountWriteOff // the payment was lost in a dispute
		}
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
