package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/numbercounter"
	"purser/ent/organization"
)

// nextNumber takes the next number of a series of the organization. It is
// taken in the transaction that uses it, so that a series has no gap: when
// the transaction fails, so has the taking.
func (tx *Tx) nextNumber(ctx context.Context, series string) (int64, error) {
	row, err := tx.NumberCounter.Query().Where(numbercounter.Name(series)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if ent.IsNotFound(err) {
		err := tx.NumberCounter.Create().SetID(tx.s.newID(prefixCounter)).SetName(series).SetValue(1).Exec(ctx)
		if err != nil {
			return 0, fmt.Errorf("begin number series %s: %w", series, err)
		}
		return 1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read number series %s: %w", series, err)
	}
	n, err := tx.NumberCounter.Update().
		Where(numbercounter.Name(series), numbercounter.Value(row.Value)).SetValue(row.Value + 1).Save(ctx)
	if err := cas(n, err); err != nil {
		return 0, fmt.Errorf("take number of series %s: %w", series, err)
	}
	return row.Value + 1, nil
}

// invoiceNumber is the next number by the organization's pattern:
// YYYY-MM-######## or YYYY-########, by its own calendar.
func (tx *Tx) invoiceNumber(ctx context.Context, o *ent.Organization) (string, error) {
	return tx.datedNumber(ctx, o, "invoice")
}

// quoteNumber is the next number of a quote: Q-YYYY-#######.
func (tx *Tx) quoteNumber(ctx context.Context, o *ent.Organization) (string, error) {
	return tx.datedNumber(ctx, o, "quote")
}

// creditNoteNumber is the next number of a credit note: CN-YYYY-#######.
func (tx *Tx) creditNoteNumber(ctx context.Context, o *ent.Organization) (string, error) {
	return tx.datedNumber(ctx, o, "creditNote")
}

func (tx *Tx) datedNumber(ctx context.Context, o *ent.Organization, kind string) (string, error) {
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return "", fmt.Errorf("time zone %q: %w", o.TimeZone, err)
	}
	layout := "2006"
	if kind == "invoice" && o.NumberPeriod == organization.NumberPeriodMONTHLY {
		layout = "2006-01"
	}
	period := tx.Now.In(zone).Format(layout)
	n, err := tx.nextNumber(ctx, kind+":"+period)
	if err != nil {
		return "", err
	}
	return formatNumber(kind, period, n), nil
}

// How the numbers of a kind of document begin, and their least digits.
var (
	numberPrefix = map[string]string{"invoice": "", "quote": "Q-", "creditNote": "CN-"}
	numberDigits = map[string]int{"invoice": 8, "quote": 7, "creditNote": 7}
)

func formatNumber(kind, period string, n int64) string {
	return fmt.Sprintf("%s%s-%0*d", numberPrefix[kind], period, numberDigits[kind], n)
}
