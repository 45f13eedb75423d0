package billing

import (
	"context"
	"database/sql"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/currency"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/predicate"
	"purser/money"
)

// ensureBalance returns the payer's balance in the currency, made when there
// is none yet. The currency must be one the organization sells in now, also
// where there is a balance from before.
func (tx *Tx) ensureBalance(ctx context.Context, p *ent.Payer, code, field string) (*ent.Balance, error) {
	c, err := tx.usableCurrency(ctx, code, field)
	if err != nil {
		return nil, err
	}
	b, err := tx.balanceOf(ctx, p.ID, code)
	if b != nil || err != nil {
		return b, err
	}
	// Who closes the payer at this moment would not find the new balance.
	if err := tx.keepStatus(ctx, p); err != nil {
		return nil, err
	}
	return tx.createBalance(ctx, p, code, c.CreditLimitUnits)
}

// settledBalance is ensureBalance for what has already happened: money that a
// gateway has taken and invoices that are out are booked even where the
// organization has stopped selling in the currency since.
func (tx *Tx) settledBalance(ctx context.Context, payerID, code string) (*ent.Balance, error) {
	b, err := tx.balanceOf(ctx, payerID, code)
	if b != nil || err != nil {
		return b, err
	}
	p, err := tx.payer(ctx, payerID, "")
	if err != nil {
		return nil, err
	}
	// Who changes the payer's billing mode at this moment would not find the
	// new balance.
	if err := tx.keepStatus(ctx, p); err != nil {
		return nil, err
	}
	c, err := tx.Currency.Query().Where(currency.Code(code)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return tx.createBalance(ctx, p, code, nil)
	case err != nil:
		return nil, fmt.Errorf("read currency %s: %w", code, err)
	}
	return tx.createBalance(ctx, p, code, c.CreditLimitUnits)
}

// balanceOf returns the payer's balance in the currency, or nil.
func (tx *Tx) balanceOf(ctx context.Context, payerID, code string) (*ent.Balance, error) {
	b, err := tx.Balance.Query().Where(balance.PayerID(payerID), balance.Currency(code)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read balance of %s in %s: %w", payerID, code, err)
	}
	return b, nil
}

func (tx *Tx) createBalance(ctx context.Context, p *ent.Payer, code string, limit *money.Units) (*ent.Balance, error) {
	period, err := tx.period(ctx)
	if err != nil {
		return nil, err
	}
	due, err := unpaid(ctx, tx.Client, p.ID, code)
	if err != nil {
		return nil, err
	}
	create := tx.Balance.Create().
		SetID(tx.s.newID(prefixBalance)).SetPayerID(p.ID).SetCurrency(code).
		SetBillingMode(balance.BillingMode(p.BillingMode)).
		SetUnpaidUnits(due).
		SetPeriod(period).SetLastHash([]byte{}).SetLastBookedAt(tx.Now).
		SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
	if p.BillingMode == payer.BillingModePOSTPAID {
		at, err := tx.usageInvoiceAt(ctx)
		if err != nil {
			return nil, err
		}
		create.SetNillableCreditLimitUnits(limit).SetUsageInvoiceAt(at)
	}
	b, err := create.Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("make balance of %s in %s: %w", p.ID, code, err)
	}
	tx.changed(ctx, ChangeBalance, b.ID, p.ID)
	return b, nil
}

// countUnpaid brings unpaid of the payer's balance to the amount due of its
// open and uncollectible invoices. due is what is due on inv from now on; its
// row may already say so or not yet.
//
// The balance is made where there is none: were it left out, a transaction
// that makes the balance and one that finalizes an invoice could miss each
// other. Now they meet at the unique key of the balance, and the later one
// runs again and counts both.
func (tx *Tx) countUnpaid(ctx context.Context, inv *ent.Invoice, due money.Units) error {
	b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
	if err == nil {
		b, err = tx.lockBalance(ctx, b.ID)
	}
	if err != nil {
		return fmt.Errorf("read balance of %s in %s: %w", inv.PayerID, inv.Currency, err)
	}
	others, err := unpaid(ctx, tx.Client, inv.PayerID, inv.Currency, invoice.IDNEQ(inv.ID))
	if err != nil {
		return err
	}
	all, err := others.Plus(due)
	if err != nil {
		return refuse(CodeLimitExceeded, "", "the payer's unpaid invoices would leave the range that can be counted exactly")
	}
	// Written also when nothing seems to change: only the comparison of the
	// version shows that nobody else has counted since the balance was read.
	after := *b
	after.UnpaidUnits = all
	return tx.writeBalance(ctx, b, &after, "")
}

// movedColumns are the columns of a balance that every writing of it writes,
// beside its version and the time of its last change: it is the same statement
// whatever has changed, and the committers write many balances by it at once.
var movedColumns = []struct {
	name, typ string // the type is PostgreSQL's
	value     func(*ent.Balance) any
}{
	{balance.FieldAmountUnits, "bigint", func(b *ent.Balance) any { return int64(b.AmountUnits) }},
	{balance.FieldUsageUnits, "bigint", func(b *ent.Balance) any { return int64(b.UsageUnits) }},
	{balance.FieldPeriod, "text", func(b *ent.Balance) any { return b.Period }},
	{balance.FieldLastSeq, "bigint", func(b *ent.Balance) any { return b.LastSeq }},
	// Empty before the first entry, which SQLite reads as nil.
	{balance.FieldLastHash, "bytea", func(b *ent.Balance) any { return append([]byte{}, b.LastHash...) }},
	{balance.FieldLastBookedAt, "timestamptz", func(b *ent.Balance) any { return b.LastBookedAt }},
	{balance.FieldAutoReloadDueAt, "timestamptz", func(b *ent.Balance) any { return orNull(b.AutoReloadDueAt) }},
	{balance.FieldLowBalanceNoticedAt, "timestamptz", func(b *ent.Balance) any { return orNull(b.LowBalanceNoticedAt) }},
}

// orNull is the value of an optional column.
func orNull[T any](v *T) any {
	if v == nil {
		return nil
	}
	return *v
}

// moved does what follows from a change of a balance: it brings after, which is
// about to be written in place of before, to what watch and reloadDue say, and
// tells whom it concerns. Whoever writes balances calls it once for each. kind
// is that of the entry which is booked, if one is; ctx is of the balance's
// organization.
func (tx *Tx) moved(ctx context.Context, before, after *ent.Balance, kind ledgerentry.Kind) error {
	w := watch(before, after, tx.Now)
	after.LowBalanceNoticedAt = w.lowBalanceNoticedAt
	// Who has said by the change when a reload is tried knows more than its
	// balance tells: that a card was declined, or that nobody is left to charge.
	if same(before.AutoReloadDueAt, after.AutoReloadDueAt) {
		after.AutoReloadDueAt = reloadDue(after, kind, tx.Now)
	}
	tx.changed(ctx, ChangeBalance, after.ID, after.PayerID)
	return tx.tell(ctx, w.notices)
}

// writeBalance writes what of a balance a change has made different, with what
// follows from it. before is the balance as lockBalance has returned it, after
// a copy with the change, and kind that of the entry, if one is booked. Every
// change of one balance comes by here, but for usage, which the committers
// write; followLimit alone changes many at once.
func (tx *Tx) writeBalance(ctx context.Context, before, after *ent.Balance, kind ledgerentry.Kind) error {
	if err := tx.moved(ctx, before, after, kind); err != nil {
		return err
	}
	u := tx.Balance.Update().
		Where(balance.ID(before.ID), balance.Version(before.Version)).
		SetVersion(before.Version + 1).SetUpdatedAt(tx.Now).
		Modify(func(u *entsql.UpdateBuilder) {
			for _, c := range movedColumns {
				u.Set(c.name, c.value(after))
			}
		})
	// What seldom changes is left out.
	if after.BillingMode != before.BillingMode {
		u.SetBillingMode(after.BillingMode)
	}
	if after.HeldUnits != before.HeldUnits {
		u.SetHeldUnits(after.HeldUnits)
	}
	if after.UnpaidUnits != before.UnpaidUnits {
		u.SetUnpaidUnits(after.UnpaidUnits)
	}
	setChanged(before.CreditLimitUnits, after.CreditLimitUnits, u.SetCreditLimitUnits, u.ClearCreditLimitUnits)
	if after.CreditLimitOwn != before.CreditLimitOwn {
		u.SetCreditLimitOwn(after.CreditLimitOwn)
	}
	setChanged(before.LowBalanceLevelUnits, after.LowBalanceLevelUnits, u.SetLowBalanceLevelUnits, u.ClearLowBalanceLevelUnits)
	setChanged(before.LowBalancePercent, after.LowBalancePercent, u.SetLowBalancePercent, u.ClearLowBalancePercent)
	setChanged(before.UsageInvoiceAt, after.UsageInvoiceAt, u.SetUsageInvoiceAt, u.ClearUsageInvoiceAt)
	writeReload(u, before, after)
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("write balance %s: %w", before.ID, err)
	}
	return nil
}

// setChanged sets or clears an optional column that a change has made different.
func setChanged[T comparable, U any](before, after *T, set func(T) U, clear func() U) {
	if !same(before, after) {
		setOrClear(after, set, clear)
	}
}

// unpaid sums what is due on those of the payer's open and uncollectible
// invoices that fit.
func unpaid(ctx context.Context, c *ent.Client, payerID, code string, fit ...predicate.Invoice) (money.Units, error) {
	var sums []struct{ Sum sql.NullInt64 }
	err := c.Invoice.Query().
		Where(invoice.PayerID(payerID), invoice.Currency(code), invoice.StatusIn(invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE)).
		Where(fit...).
		Aggregate(ent.As(ent.Sum(invoice.FieldAmountDueUnits), "sum")).
		Scan(ctx, &sums)
	if err != nil {
		return 0, fmt.Errorf("sum unpaid invoices of %s in %s: %w", payerID, code, err)
	}
	if len(sums) == 0 {
		return 0, nil
	}
	return money.Units(sums[0].Sum.Int64), nil
}
