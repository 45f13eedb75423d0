package billing

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/money"
)

// The usage invoice of a postpaid payer: what is owed on a balance at the end
// of a month, by its statement, becomes a draft, which is finalized like any
// other. Finalizing it moves the debt off the balance (bookDebt), so that what
// is available stays the same: less is owed on the balance, more on invoices.
//
// A balance says when its month ends for it (usage_invoice_at). Whoever makes
// the draft moves that on in the same transaction, and the draft names its
// month, of which a payer has one in a currency. What is owed is counted from
// the whole of the balance's entries: what an invoice has moved already, or a
// draft is about to move, is not owed any more, and what came back when one was
// voided is owed again.

// usageRests is how long a month rests before it is invoiced: what was being
// booked when it ended is booked by then.
const usageRests = time.Minute

// usageInvoiceAt is when the running month ends, from which on what is owed on
// a postpaid balance becomes an invoice.
func (tx *Tx) usageInvoiceAt(ctx context.Context) (time.Time, error) {
	zone, err := tx.zone(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return monthOf(tx.Now, zone).next().start(zone), nil
}

func (tx *Tx) zone(ctx context.Context) (*time.Location, error) {
	o, err := tx.tenant(ctx)
	if err != nil {
		return nil, err
	}
	return zoneOf(o.TimeZone)
}

// DueUsage lists balances of the viewer's organization whose month has ended
// and is not invoiced, the longest waiting first.
func (s *Service) DueUsage(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Balance.Query().Where(usageIsDue(s.now(ctx))).
		Order(ent.Asc(balance.FieldUsageInvoiceAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list usage to invoice: %w", err)
	}
	return ids, nil
}

// InvoiceUsage makes the draft of what is owed on a postpaid balance at the
// end of the month before the running one, once, and none where nothing is.
// Where months were missed, their debt comes with it. It may be called by
// anybody at any time.
func (s *Service) InvoiceUsage(ctx context.Context, balanceID string) error {
	id := s.newID(prefixInvoice)
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		b, err := tx.lockBalance(ctx, balanceID)
		if err != nil {
			return err
		}
		if b.UsageInvoiceAt == nil || b.UsageInvoiceAt.After(tx.Now.Add(-usageRests)) {
			return nil // somebody else has
		}
		zone, err := tx.zone(ctx)
		if err != nil {
			return err
		}
		running := monthOf(tx.Now, zone)
		after, next := *b, running.next().start(zone)
		after.UsageInvoiceAt = &next
		if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
			return err
		}
		month := running.before()
		named := month.String()
		// The organization may have moved to another time zone since.
		made, err := tx.Invoice.Query().
			Where(invoice.PayerID(b.PayerID), invoice.Currency(b.Currency), invoice.UsageMonth(named)).Exist(ctx)
		if made || err != nil {
			return err
		}
		bill, err := tx.owed(ctx, b, month, zone)
		if bill == nil || err != nil {
			return err
		}
		bill.usageMonth = &named
		_, err = tx.draftUsageInvoice(ctx, id, b, bill)
		return err
	})
}

// UsageInvoiceDraft asks for an invoice of what a postpaid payer owes now.
type UsageInvoiceDraft struct {
	PayerID  string
	Currency string
	Key      *string `json:"-"`
}

// BeginUsageInvoice invoices what is owed on a balance now, and begins to
// finalize the invoice as BeginInvoiceFinalization does. The end of the month
// invoices what comes after. Called again with the same key it returns the same
// invoice.
//
// Codes: REQUIRED (key), NOT_FOUND, INVALID_STATE, INVALID,
// IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginUsageInvoice(ctx context.Context, d UsageInvoiceDraft) (*InvoiceFinalization, error) {
	op, err := s.newOperation("usageInvoice", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	id, callID := s.newID(prefixInvoice), s.newID(prefixCall)
	var out InvoiceFinalization
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			// A run before this one whose COMMIT was not answered has its request.
			out.InvoiceID, found = earlier.Subject, earlier.CallID
			return nil
		}
		out, found = InvoiceFinalization{InvoiceID: id}, ""
		inv, err := tx.invoiceDebtNow(ctx, id, d)
		if err != nil {
			return err
		}
		if out.Request, found, err = tx.beginFinalization(ctx, inv, callID); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", found)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// invoiceDebtNow makes the draft of what a payer owes now.
func (tx *Tx) invoiceDebtNow(ctx context.Context, id string, d UsageInvoiceDraft) (*ent.Invoice, error) {
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	p, err := tx.payer(ctx, d.PayerID, "payerId")
	if err != nil {
		return nil, err
	}
	if p.BillingMode != payer.BillingModePOSTPAID {
		return nil, refuse(CodeInvalidState, "payerId", "the payer is %s: only postpaid payers are invoiced for what they have used", p.BillingMode)
	}
	b, err := tx.balanceOf(ctx, p.ID, d.Currency)
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, refuse(CodeNotFound, "currency", "the payer has no balance in %.12q", d.Currency)
	}
	inv, err := tx.draftOfDebt(ctx, id, b.ID)
	if err != nil {
		return nil, err
	}
	if inv == nil {
		return nil, refuse(CodeInvalidState, "payerId", "nothing is owed on the balance in %s that is not invoiced already", b.Currency)
	}
	return inv, nil
}

// draftOfDebt makes the draft of what is owed on a balance now, or returns nil
// where nothing is.
func (tx *Tx) draftOfDebt(ctx context.Context, id, balanceID string) (*ent.Invoice, error) {
	b, err := tx.lockBalance(ctx, balanceID)
	if err != nil {
		return nil, err
	}
	zone, err := tx.zone(ctx)
	if err != nil {
		return nil, err
	}
	bill, err := tx.owed(ctx, b, monthOf(tx.Now, zone), zone)
	if bill == nil || err != nil {
		return nil, err
	}
	// Written although nothing changes: two who invoice the same debt, or one
	// who does while it is moved, meet here.
	after := *b
	if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
		return nil, err
	}
	return tx.draftUsageInvoice(ctx, id, b, bill)
}

// usageBill is what an invoice says that is owed on a balance.
type usageBill struct {
	lines      []line
	debt       money.Amount
	start, end time.Time
	usageMonth *string
}

// owed is what is owed on a locked balance by the end of a month, or until now
// in the running one, and is not invoiced yet: usage less what was paid in or
// credited, with what earlier months have left. It is nil where that comes to
// less than half of a minor unit.
func (tx *Tx) owed(ctx context.Context, b *ent.Balance, m Month, zone *time.Location) (*usageBill, error) {
	begin, end := m.start(zone), m.next().start(zone)
	at, err := tx.s.positionsOn(ctx, tx.sql, map[string]string{b.ID: b.Currency},
		[]time.Time{begin.Add(-time.Microsecond), end.Add(-time.Microsecond)})
	if err != nil {
		return nil, err
	}
	from, to := at[positionKey{b.ID, 0}], at[positionKey{b.ID, 1}]
	within, err := tx.movedOn(ctx, b, from.seq, to.seq)
	if err != nil {
		return nil, err
	}
	since, err := tx.movedOn(ctx, b, to.seq, b.LastSeq)
	if err != nil {
		return nil, err
	}
	drafted, err := tx.draftedDebt(ctx, b)
	if err != nil {
		return nil, err
	}
	before, after := from.amount-from.usage, to.amount-to.usage
	usage := before + within.topUps + within.credits + within.invoiced - after
	rest := -before - within.invoiced - since.invoiced - drafted
	bill := &usageBill{start: begin, end: end, debt: money.Amount{Units: usage - within.topUps - within.credits + rest, Currency: b.Currency}}
	if end.After(tx.Now) {
		bill.end = tx.Now
	}
	carried := "Brought forward from earlier months"
	switch {
	case rest < 0 && before > 0:
		carried = "Credit brought forward"
	case rest < 0:
		carried = "Invoiced before"
	}
	for _, l := range []struct {
		text  string
		units money.Units
	}{
		{fmt.Sprintf("Usage in %s %d", m.Month, m.Year), usage},
		{"Credits and adjustments", -within.credits},
		{"Paid in advance", -within.topUps},
		{carried, rest},
	} {
		if l.units != 0 {
			amount := money.Amount{Units: l.units, Currency: b.Currency}
			bill.lines = append(bill.lines, line{description: l.text, quantity: 1, unitAmount: amount, amount: amount})
		}
	}
	total, err := bill.debt.RoundToMinor()
	if err != nil || total.Sign() <= 0 {
		return nil, refusedAmount(err, "")
	}
	return bill, nil
}

// debtMoves is what entries other than usage come to, signed as they change
// what remains.
type debtMoves struct {
	movement
	invoiced money.Units // debt moved to invoices, or back; not among the credits
}

// movedOn sums the entries other than usage of a balance after one number and
// up to another.
func (tx *Tx) movedOn(ctx context.Context, b *ent.Balance, after, to int64) (debtMoves, error) {
	var out debtMoves
	if after >= to {
		return out, nil
	}
	var rows []struct {
		Kind     ledgerentry.Kind
		Reversed sql.NullString `json:"reversed_kind"`
		Debit    string         `json:"debit_account"`
		Sum      sql.NullInt64
	}
	err := tx.LedgerEntry.Query().
		Where(ledgerentry.BalanceID(b.ID), ledgerentry.SeqGT(after), ledgerentry.SeqLTE(to), otherThanUsage).
		GroupBy(ledgerentry.FieldKind, ledgerentry.FieldReversedKind, ledgerentry.FieldDebitAccount).
		Aggregate(ent.As(ent.Sum(ledgerentry.FieldAmountUnits), "sum")).
		Scan(ctx, &rows)
	if err != nil {
		return out, fmt.Errorf("sum entries of balance %s: %w", b.ID, err)
	}
	for _, r := range rows {
		units := money.Units(r.Sum.Int64)
		if r.Debit == b.Account() {
			units = -units
		}
		kind := r.Kind
		if kind == ledgerentry.KindREVERSAL {
			kind = ledgerentry.Kind(r.Reversed.String)
		}
		if movesDebt(kind) {
			out.invoiced += units
			continue
		}
		if out.movement, err = out.with(r.Kind, ledgerentry.Kind(r.Reversed.String), units); err != nil {
			return out, fmt.Errorf("sum entries of balance %s: %w", b.ID, err)
		}
	}
	return out, nil
}

// otherThanUsage stands in the statement as it stands in the index.
func otherThanUsage(s *entsql.Selector) { s.Where(entsql.ExprP("kind <> 'USAGE'")) }

// movesDebt reports whether entries of a kind, on a balance, are parts of a
// debt that was moved to an invoice.
func movesDebt(kind ledgerentry.Kind) bool {
	return kind == ledgerentry.KindINVOICE || kind == ledgerentry.KindROUNDING
}

// draftedDebt is what drafts are about to move off a balance.
func (tx *Tx) draftedDebt(ctx context.Context, b *ent.Balance) (money.Units, error) {
	drafts, err := tx.Invoice.Query().
		Where(invoice.PayerID(b.PayerID), invoice.Currency(b.Currency), invoice.StatusEQ(invoice.StatusDRAFT), invoice.DebtUnitsNotNil()).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("read drafts of usage: %w", err)
	}
	var sum money.Units
	for _, i := range drafts {
		sum += *i.DebtUnits
	}
	return sum, nil
}

// draftUsageInvoice writes the draft of a bill, which is due to be finalized.
func (tx *Tx) draftUsageInvoice(ctx context.Context, id string, b *ent.Balance, bill *usageBill) (*ent.Invoice, error) {
	p, err := tx.payer(ctx, b.PayerID, "payerId")
	if err != nil {
		return nil, err
	}
	t, err := taxLines(bill.lines, p, true)
	if err != nil {
		return nil, err
	}
	provider, err := tx.providerOfUsage(ctx, p)
	if err != nil {
		return nil, err
	}
	c := tx.newInvoice(id, p.ID, t.invoiceSums, nil).
		SetDebtUnits(bill.debt.Units).SetNillableUsageMonth(bill.usageMonth).
		SetPeriodStart(bill.start).SetPeriodEnd(bill.end).
		SetNillableProviderID(provider).SetFinalizesAt(tx.Now)
	if err := tx.saveInvoice(ctx, c, bill.lines); err != nil {
		return nil, err
	}
	return tx.lockInvoice(ctx, id)
}

// providerOfUsage is the merchant account that usage is paid through: that of
// the payer's default card, which it can be charged to, else the
// organization's default; nil where neither can be used.
func (tx *Tx) providerOfUsage(ctx context.Context, p *ent.Payer) (*string, error) {
	card, err := tx.PaymentMethod.Query().
		Where(paymentmethod.PayerID(p.ID), paymentmethod.IsDefault(true), paymentmethod.StatusEQ(paymentmethod.StatusACTIVE)).First(ctx)
	asked := ""
	switch {
	case err == nil:
		asked = card.ProviderID
	case !ent.IsNotFound(err):
		return nil, fmt.Errorf("read default card of %s: %w", p.ID, err)
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range []string{asked, orEmpty(o.DefaultProviderID)} {
		if id == "" {
			continue
		}
		provider, err := tx.usableProvider(ctx, id, "providerId")
		switch {
		case err == nil:
			return &provider.ID, nil
		case !isRefusal(err):
			return nil, err
		}
	}
	return nil, nil
}

// bookDebt books a usage invoice that is finalized: the debt leaves the balance
// and is owed by the invoice, rounded to whole minor units, and the tax that it
// includes leaves revenue.
func (tx *Tx) bookDebt(ctx context.Context, inv *ent.Invoice) error {
	b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
	if err != nil {
		return err
	}
	debt, total := *inv.DebtUnits, inv.TotalUnits
	amount := func(u money.Units) money.Amount { return money.Amount{Units: u, Currency: inv.Currency} }
	rows := []posting{
		{kind: ledgerentry.KindINVOICE, debit: accountReceivable, credit: b.Account(), balanceID: b.ID, amount: amount(min(debt, total)), causeKey: invoiceCause(inv.ID, partDebt)},
		{kind: ledgerentry.KindTAX, debit: accountRevenue, credit: accountTax, amount: inv.Tax(), causeKey: invoiceCause(inv.ID, partTax)},
	}
	rounding := posting{kind: ledgerentry.KindROUNDING, causeKey: invoiceCause(inv.ID, partRounding)}
	if total > debt {
		rounding.debit, rounding.credit, rounding.amount = accountReceivable, accountRounding, amount(total-debt)
	} else {
		rounding.debit, rounding.credit, rounding.balanceID, rounding.amount = accountRounding, b.Account(), b.ID, amount(debt-total)
	}
	transactionID := tx.s.newID(prefixTransaction)
	for _, row := range append(rows, rounding) {
		if row.amount.IsZero() {
			continue
		}
		row.transactionID, row.invoiceID = transactionID, inv.ID
		if _, err := tx.postOnce(ctx, row); err != nil {
			return fmt.Errorf("book usage invoice %s: %w", inv.ID, err)
		}
	}
	return tx.countUnpaid(ctx, inv, total)
}
