package billing

import (
	"context"
	"fmt"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/ledgerentry"
	"purser/ent/quote"
	"purser/money"
)

// unpaidStatus: the states in which something is due on an invoice.
func unpaidStatus(s invoice.Status) bool {
	return s == invoice.StatusOPEN || s == invoice.StatusUNCOLLECTIBLE
}

// invoices checks every invoice against its lines, against the entries that
// name it, against its quote, and against the call that is changing it.
func (v *verifier) invoices(ctx context.Context) error {
	entries := &entryStream{v: v, again: true, load: func(ctx context.Context, after *ent.LedgerEntry, limit int) ([]*ent.LedgerEntry, error) {
		q := v.LedgerEntry.Query().Where(ledgerentry.InvoiceIDNotNil())
		if after != nil {
			q.Where(func(s *entsql.Selector) {
				s.Where(entsql.CompositeGT([]string{s.C(ledgerentry.FieldInvoiceID), s.C(ledgerentry.FieldID)}, orEmpty(after.InvoiceID), after.ID))
			})
		}
		return q.Order(ent.Asc(ledgerentry.FieldInvoiceID, ledgerentry.FieldID)).Limit(limit).All(ctx)
	}}
	last := ""
	for {
		page, err := v.Invoice.Query().Where(invoice.IDGT(last)).Order(ent.Asc(invoice.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read invoices: %w", err)
		}
		named, err := v.namedByInvoices(ctx, page)
		if err != nil {
			return err
		}
		for _, i := range page {
			booked, err := v.bookedOn(ctx, i, entries)
			if err != nil {
				return err
			}
			if err := v.invoice(i, named, booked); err != nil {
				return err
			}
		}
		v.report.Invoices += len(page)
		v.progress(invoice.Table, v.report.Invoices)
		if len(page) < v.options.PageRows {
			break
		}
		last = page[len(page)-1].ID
	}
	orphan, err := entries.peek(ctx)
	if orphan != nil {
		return v.fault(ledgerentry.Table, orphan.ID, "invoice_id", "an invoice that exists", orEmpty(orphan.InvoiceID))
	}
	return err
}

// namedByInvoices is what belongs to a page of invoices.
type namedByInvoices struct {
	lines  map[string]money.Units // their sum, by invoice
	quotes map[string]*ent.Quote
	calls  map[string]*ent.GatewayCall
	notes  creditNotes
}

func (v *verifier) namedByInvoices(ctx context.Context, page []*ent.Invoice) (namedByInvoices, error) {
	out := namedByInvoices{lines: map[string]money.Units{}, quotes: map[string]*ent.Quote{}}
	for chunk := range slices.Chunk(page, linesChunk) {
		if err := v.invoiceLines(ctx, chunk, out.lines); err != nil {
			return out, err
		}
	}
	var quoteIDs, callIDs []string
	for _, i := range page {
		quoteIDs = append(quoteIDs, orEmpty(i.QuoteID))
		callIDs = append(callIDs, orEmpty(i.PendingCallID))
	}
	quotes, err := v.Quote.Query().Where(quote.IDIn(named(quoteIDs)...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read quotes of invoices: %w", err)
	}
	for _, q := range quotes {
		out.quotes[q.ID] = q
	}
	if out.notes, err = v.creditNotes(ctx, page); err != nil {
		return out, err
	}
	out.calls, err = v.callsByID(ctx, callIDs)
	return out, err
}

// named leaves out what names nothing.
func named(ids []string) []string {
	return slices.DeleteFunc(ids, func(id string) bool { return id == "" })
}

// invoiceLines sums the lines of some invoices and checks each.
func (v *verifier) invoiceLines(ctx context.Context, of []*ent.Invoice, sum map[string]money.Units) error {
	ids := make([]string, len(of))
	currency := make(map[string]string, len(of))
	for n, i := range of {
		ids[n], currency[i.ID] = i.ID, i.Currency
	}
	lines, err := v.InvoiceLine.Query().Where(invoiceline.InvoiceIDIn(ids...)).Order(ent.Asc(invoiceline.FieldID)).All(ctx)
	if err != nil {
		return fmt.Errorf("read invoice lines: %w", err)
	}
	for _, l := range lines {
		want, err := l.UnitAmount().Mul(int64(l.Quantity))
		if err != nil || want != l.Amount() {
			return v.fault(invoiceline.Table, l.ID, "amount_units as quantity × unit amount", want, l.Amount())
		}
		if l.Currency != currency[l.InvoiceID] {
			return v.fault(invoice.Table, l.InvoiceID, "currency of its line "+l.ID, l.Currency, currency[l.InvoiceID])
		}
		sum[l.InvoiceID] += l.AmountUnits
	}
	return nil
}

// bookedInvoice is what the entries of one invoice leave on the receivable
// account: what was issued adds to it, payments and write-offs take from it.
type bookedInvoice struct {
	// gross is by kind what was booked, net the same less what was reversed.
	gross, net map[ledgerentry.Kind]money.Units
	// latest is when the last entry of a kind was booked.
	latest map[ledgerentry.Kind]time.Time
}

// bookedOn reads the entries of an invoice from the stream, which stands at
// its first one.
func (v *verifier) bookedOn(ctx context.Context, i *ent.Invoice, entries *entryStream) (bookedInvoice, error) {
	out := bookedInvoice{
		gross: map[ledgerentry.Kind]money.Units{}, net: map[ledgerentry.Kind]money.Units{}, latest: map[ledgerentry.Kind]time.Time{},
	}
	for {
		e, err := entries.peek(ctx)
		if err != nil {
			return out, err
		}
		if e != nil && *e.InvoiceID < i.ID {
			return out, v.fault(ledgerentry.Table, e.ID, "invoice_id", "an invoice that exists", *e.InvoiceID)
		}
		if e == nil || *e.InvoiceID != i.ID {
			return out, nil
		}
		if e.Currency != i.Currency {
			return out, v.fault(invoice.Table, i.ID, "currency of its entry "+e.ID, e.Currency, i.Currency)
		}
		owed := owedBy(e)
		out.latest[e.Kind] = e.EffectiveAt
		if e.Kind == ledgerentry.KindREVERSAL {
			out.net[ledgerentry.Kind(orEmpty(e.ReversedKind))] += owed
		} else {
			out.gross[e.Kind] += owed
			out.net[e.Kind] += owed
		}
		entries.next()
	}
}

// owedBy is what an entry of an invoice adds to what its payer owes, by the
// invoice or on its balance, or takes from it. The tax that usage includes is
// owed by nobody, and counted as it is booked.
func owedBy(e *ent.LedgerEntry) money.Units {
	onBalance := e.BalanceID != nil && e.CreditAccount == ent.BalanceAccount(*e.BalanceID) && e.DebitAccount != accountReceivable
	if e.CreditAccount == accountReceivable || e.DebitAccount == accountTax || onBalance {
		return -e.AmountUnits
	}
	return e.AmountUnits
}

// invoiceTaxes checks the tax of an issued invoice by its rates.
func (v *verifier) invoiceTaxes(i *ent.Invoice) error {
	if i.FinalizedAt == nil {
		return nil
	}
	var sum money.Units
	for _, t := range i.Taxes {
		of := money.Amount{Units: t.TaxableUnits, Currency: i.Currency}
		if i.DebtUnits != nil {
			of.Units += t.TaxUnits
		}
		want, err := shareOf(of, t.RatePpm, i.DebtUnits != nil)
		if err != nil || want != t {
			return v.fault(invoice.Table, i.ID, "taxes at "+string(t.RatePpm.Decimal())+" %", want, t)
		}
		sum += t.TaxUnits
	}
	if sum != i.TaxUnits {
		return v.fault(invoice.Table, i.ID, "tax_units against its taxes", sum, i.TaxUnits)
	}
	return nil
}

// invoice checks one invoice.
func (v *verifier) invoice(i *ent.Invoice, named namedByInvoices, booked bookedInvoice) error {
	for _, check := range []func() error{
		func() error { return v.invoiceSums(i, named.lines[i.ID]) },
		func() error { return v.invoiceBooked(i, booked) },
		func() error { return v.invoiceTimes(i, booked, named.notes.of[i.ID]) },
		func() error { return v.credited(i, named.notes) },
		func() error { return v.invoiceQuote(i, named.quotes) },
		func() error { return v.pendingCall(invoice.Table, i.ID, i.PendingCallID, named.calls) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return v.number(invoice.Table, i.ID, "invoice", i.Number)
}

// invoiceSums checks the amounts of an invoice against its lines and each
// other.
func (v *verifier) invoiceSums(i *ent.Invoice, lines money.Units) error {
	if i.DebtUnits != nil {
		if *i.DebtUnits != lines {
			return v.fault(invoice.Table, i.ID, "debt_units against its lines", lines, *i.DebtUnits)
		}
		lines -= i.TaxUnits // they include it
	}
	if i.SubtotalUnits != lines {
		return v.fault(invoice.Table, i.ID, "subtotal_units against its lines", lines, i.SubtotalUnits)
	}
	if _, err := i.Tax().Minor(); err != nil {
		return v.fault(invoice.Table, i.ID, "tax_units", "whole minor units", i.Tax())
	}
	exact := money.Amount{Units: i.SubtotalUnits + i.TaxUnits, Currency: i.Currency}
	total, err := exact.RoundToMinor()
	if err != nil || total != i.Total() {
		return v.fault(invoice.Table, i.ID, "total_units as subtotal and tax in whole minor units", total, i.Total())
	}
	if err := v.invoiceTaxes(i); err != nil {
		return err
	}
	paid, due := money.Units(0), dueOf(i.Total())
	switch i.Status {
	case invoice.StatusDRAFT:
	case invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE:
		paid, due = i.AmountPaidUnits, i.TotalUnits-i.AmountPaidUnits-i.WaivedUnits
	case invoice.StatusPAID:
		paid, due = dueOf(i.Total())-i.WaivedUnits, 0
	case invoice.StatusVOID:
		due = 0
	}
	switch {
	case i.AmountDueUnits != due:
		return v.fault(invoice.Table, i.ID, fmt.Sprintf("amount_due_units, being %s", i.Status), due, i.AmountDueUnits)
	case i.AmountPaidUnits != paid:
		return v.fault(invoice.Table, i.ID, fmt.Sprintf("amount_paid_units, being %s", i.Status), paid, i.AmountPaidUnits)
	}
	return nil
}

// invoiceBooked checks an invoice's amounts and state against its entries.
func (v *verifier) invoiceBooked(i *ent.Invoice, booked bookedInvoice) error {
	// What is owed by its subtotal, of usage by the debt; the tax that usage
	// includes is owed by nobody.
	var subtotal, tax, rounding, writtenOff, credited money.Units
	switch {
	case i.FinalizedAt == nil:
	case i.DebtUnits != nil:
		subtotal, tax, rounding = min(*i.DebtUnits, i.TotalUnits), i.TaxUnits, i.TotalUnits-*i.DebtUnits
	default:
		subtotal, tax, rounding = i.SubtotalUnits, i.TaxUnits, i.TotalUnits-i.SubtotalUnits-i.TaxUnits
	}
	if i.TotalUnits < 0 {
		subtotal, credited = 0, subtotal
	}
	if i.Status == invoice.StatusUNCOLLECTIBLE {
		writtenOff = i.AmountDueUnits
	}
	stands := money.Units(1)
	if i.Status == invoice.StatusVOID {
		stands = 0
	}
	for _, c := range []struct {
		what        string
		want, found money.Units
	}{
		{"what was booked of its subtotal", subtotal, booked.gross[ledgerentry.KindINVOICE]},
		{"what was booked of its tax", tax, booked.gross[ledgerentry.KindTAX]},
		{"what was booked of its rounding", rounding, booked.gross[ledgerentry.KindROUNDING]},
		{"what stands of its subtotal", stands * subtotal, booked.net[ledgerentry.KindINVOICE]},
		{"what stands of its tax", stands * tax, booked.net[ledgerentry.KindTAX]},
		{"what stands of its rounding", stands * rounding, booked.net[ledgerentry.KindROUNDING]},
		{"what was credited", credited, booked.net[ledgerentry.KindCREDIT]},
		{"its booked payments", i.AmountPaidUnits, -booked.net[ledgerentry.KindINVOICE_PAYMENT]},
		{"what was written off", writtenOff, -booked.net[ledgerentry.KindWRITE_OFF]},
	} {
		if c.want != c.found {
			return v.fault(invoice.Table, i.ID, fmt.Sprintf("%s, being %s", c.what, i.Status), c.want, c.found)
		}
	}
	return nil
}

// invoiceTimes checks that an invoice has the times that its state has, and
// that they are those at which it was booked.
func (v *verifier) invoiceTimes(i *ent.Invoice, booked bookedInvoice, notes []*ent.CreditNote) error {
	issued := i.Status != invoice.StatusDRAFT && (i.Status != invoice.StatusVOID || i.FinalizedAt != nil)
	issuedAt := booked.latest[ledgerentry.KindINVOICE]
	for _, kind := range []ledgerentry.Kind{ledgerentry.KindTAX, ledgerentry.KindCREDIT} {
		if issuedAt.IsZero() {
			issuedAt = booked.latest[kind]
		}
	}
	paidAt := booked.latest[ledgerentry.KindINVOICE_PAYMENT]
	if i.TotalUnits <= 0 && i.FinalizedAt != nil {
		paidAt = *i.FinalizedAt // nothing was to be paid
	}
	for _, n := range notes {
		if n.Settlement == creditnote.SettlementDUE && i.WaivedUnits == i.TotalUnits {
			paidAt = n.CreatedAt // the last one has left nothing to be paid
		}
	}
	for _, c := range []struct {
		column string
		has    bool
		at     *time.Time
		booked time.Time // zero where nothing was booked
	}{
		{invoice.FieldFinalizedAt, issued, i.FinalizedAt, issuedAt},
		{invoice.FieldPaidAt, i.Status == invoice.StatusPAID, i.PaidAt, paidAt},
		{invoice.FieldVoidedAt, i.Status == invoice.StatusVOID, i.VoidedAt, booked.latest[ledgerentry.KindREVERSAL]},
	} {
		switch {
		case c.has != (c.at != nil):
			return v.fault(invoice.Table, i.ID, fmt.Sprintf("%s, being %s", c.column, i.Status), presence(c.has), presence(c.at != nil))
		case c.has && !c.booked.IsZero() && !c.at.Equal(c.booked):
			return v.fault(invoice.Table, i.ID, c.column+" against its entries", c.booked, *c.at)
		}
	}
	// A draft may have its number: it is taken when issuing is first tried.
	if issued && i.Number == nil {
		return v.fault(invoice.Table, i.ID, fmt.Sprintf("number, being %s", i.Status), presence(true), presence(false))
	}
	return nil
}

func presence(has bool) string {
	if has {
		return "a value"
	}
	return "none"
}

// invoiceQuote checks an invoice that was made of a quote against it. The first
// one of a subscription may have been edited since.
func (v *verifier) invoiceQuote(i *ent.Invoice, quotes map[string]*ent.Quote) error {
	if i.QuoteID == nil {
		return nil
	}
	type facts struct{ invoice, payer, provider, sum string }
	want := facts{invoice: i.ID, payer: i.PayerID, provider: orEmpty(i.ProviderID), sum: i.Subtotal().String()}
	found := facts{}
	if q := quotes[*i.QuoteID]; q != nil && q.Total() != nil {
		found = facts{invoice: orEmpty(q.InvoiceID), payer: orEmpty(q.PayerID), provider: orEmpty(q.ProviderID), sum: q.Total().String()}
	}
	if i.SubscriptionID != nil {
		found.provider, found.sum = want.provider, want.sum
	}
	if want != found {
		return v.fault(invoice.Table, i.ID, "quote "+*i.QuoteID, fmt.Sprintf("%+v", found), fmt.Sprintf("%+v", want))
	}
	return nil
}
