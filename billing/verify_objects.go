package billing

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"

	"purser/ent"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/ledgerseal"
	"purser/ent/payer"
	"purser/ent/quote"
	"purser/ent/quoteline"
	"purser/ent/subscription"
	"purser/money"
)

// linesChunk is for how many invoices or quotes lines are read at once; each
// may have hundreds.
const linesChunk = 100

// owed is what holds and invoices take from a page of balances, and what their
// payers are.
type owed struct {
	held   map[string]money.Units       // by balance
	unpaid map[account]money.Units      // by payer and currency
	modes  map[string]payer.BillingMode // by payer
}

func (v *verifier) owed(ctx context.Context, page []*ent.Balance) (owed, error) {
	out := owed{held: map[string]money.Units{}, unpaid: map[account]money.Units{}, modes: map[string]payer.BillingMode{}}
	if len(page) == 0 {
		return out, nil
	}
	var payers []string
	for _, b := range page {
		payers = append(payers, b.PayerID)
	}
	var holds []struct {
		BalanceID string `json:"balance_id"`
		Sum       sql.NullInt64
	}
	err := v.Hold.Query().Where(hold.PayerIDIn(payers...), hold.StatusEQ(hold.StatusOPEN)).
		GroupBy(hold.FieldBalanceID).Aggregate(ent.As(ent.Sum(hold.FieldAmountUnits), "sum")).Scan(ctx, &holds)
	if err != nil {
		return out, fmt.Errorf("sum holds: %w", err)
	}
	for _, h := range holds {
		out.held[h.BalanceID] = money.Units(h.Sum.Int64)
	}
	var invoices []struct {
		PayerID  string `json:"payer_id"`
		Currency string
		Sum      sql.NullInt64
	}
	err = v.Invoice.Query().Where(invoice.PayerIDIn(payers...), invoice.StatusIn(invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE)).
		GroupBy(invoice.FieldPayerID, invoice.FieldCurrency).Aggregate(ent.As(ent.Sum(invoice.FieldAmountDueUnits), "sum")).Scan(ctx, &invoices)
	if err != nil {
		return out, fmt.Errorf("sum invoices: %w", err)
	}
	for _, i := range invoices {
		out.unpaid[account{i.PayerID, i.Currency}] = money.Units(i.Sum.Int64)
	}
	rows, err := v.Payer.Query().Where(payer.IDIn(payers...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read payers of balances: %w", err)
	}
	for _, p := range rows {
		out.modes[p.ID] = p.BillingMode
	}
	return out, nil
}

// seals walks the chain of the entries that touch no balance.
func (v *verifier) seals(ctx context.Context) error {
	var seq int64
	var previous []byte
	for {
		page, err := v.LedgerSeal.Query().Where(ledgerseal.SeqGT(seq)).
			Order(ent.Asc(ledgerseal.FieldSeq)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read seals: %w", err)
		}
		ids := make([]string, len(page))
		for i, s := range page {
			ids[i] = s.EntryID
		}
		rows, err := v.LedgerEntry.Query().Where(ledgerentry.IDIn(ids...)).All(ctx)
		if err != nil {
			return fmt.Errorf("read sealed entries: %w", err)
		}
		entries := make(map[string]*ent.LedgerEntry, len(rows))
		for _, e := range rows {
			entries[e.ID] = e
		}
		for _, s := range page {
			e := entries[s.EntryID]
			switch {
			case s.Seq != seq+1:
				return v.fault(ledgerseal.Table, s.ID, "seq: a seal is missing or moved", seq+1, s.Seq)
			case e == nil:
				return v.fault(ledgerseal.Table, s.ID, "entry_id", "an entry that exists", s.EntryID)
			case e.BalanceID != nil:
				return v.fault(ledgerentry.Table, e.ID, "balance_id of a sealed entry", "none", *e.BalanceID)
			}
			digest := sealDigest(previous, s, e.Hash)
			if !bytes.Equal(digest, s.Hash) {
				return v.fault(ledgerseal.Table, s.ID, "hash over the entry and the seal before", hex.EncodeToString(digest), hex.EncodeToString(s.Hash))
			}
			seq, previous = s.Seq, s.Hash
		}
		v.report.Seals += len(page)
		v.progress(ledgerseal.Table, v.report.Seals)
		if len(page) < v.options.PageRows {
			break
		}
	}
	return v.unsealed(ctx)
}

// unsealed counts the entries that wait for their seal.
func (v *verifier) unsealed(ctx context.Context) error {
	loose, err := v.LedgerEntry.Query().Where(ledgerentry.BalanceIDIsNil()).Count(ctx)
	if err != nil {
		return fmt.Errorf("count entries without a balance: %w", err)
	}
	// An entry has one seal at most, and each seal its entry.
	if v.report.Unsealed = loose - v.report.Seals; v.report.Unsealed == 0 || v.options.SealAge <= 0 {
		return nil
	}
	late, err := v.LedgerEntry.Query().
		Where(ledgerentry.BalanceIDIsNil(), ledgerentry.BookedAtLT(v.now.Add(-v.options.SealAge)), unsealed(v.report.OrganizationID)).
		Order(ent.Asc(ledgerentry.FieldID)).First(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("read unsealed entries: %w", err)
	}
	return v.fault(ledgerentry.Table, late.ID, "an entry without a balance is sealed", "a seal within "+v.options.SealAge.String(), "none")
}

// quotes checks every quote against its lines, its invoice, and the call that
// is changing it.
func (v *verifier) quotes(ctx context.Context) error {
	last := ""
	for {
		page, err := v.Quote.Query().Where(quote.IDGT(last)).Order(ent.Asc(quote.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read quotes: %w", err)
		}
		for chunk := range slices.Chunk(page, linesChunk) {
			if err := v.quoteLines(ctx, chunk); err != nil {
				return err
			}
			if err := v.quoteEnds(ctx, chunk); err != nil {
				return err
			}
		}
		v.report.Quotes += len(page)
		v.progress(quote.Table, v.report.Quotes)
		if len(page) < v.options.PageRows {
			return nil
		}
		last = page[len(page)-1].ID
	}
}

func (v *verifier) quoteLines(ctx context.Context, page []*ent.Quote) error {
	ids := make([]string, len(page))
	for i, q := range page {
		ids[i] = q.ID
	}
	lines, err := v.QuoteLine.Query().Where(quoteline.QuoteIDIn(ids...)).Order(ent.Asc(quoteline.FieldID)).All(ctx)
	if err != nil {
		return fmt.Errorf("read quote lines: %w", err)
	}
	sum := map[string]money.Units{}
	for _, l := range lines {
		want, err := l.UnitAmount().Mul(int64(l.Quantity))
		if err != nil || want != l.Amount() {
			return v.fault(quoteline.Table, l.ID, "amount_units as quantity × unit amount", want, l.Amount())
		}
		sum[l.QuoteID] += l.AmountUnits
	}
	for _, q := range page {
		if sum[q.ID] != q.TotalUnits {
			return v.fault(quote.Table, q.ID, "total_units against its lines", sum[q.ID], q.TotalUnits)
		}
	}
	return nil
}

// notBegun finds those subscriptions of quotes without an invoice whose first
// period has not begun.
func (v *verifier) notBegun(ctx context.Context, page []*ent.Quote) (map[string]bool, error) {
	var sold []string
	for _, q := range page {
		if q.InvoiceID == nil {
			sold = append(sold, orEmpty(q.SubscriptionID))
		}
	}
	out := map[string]bool{}
	if sold = named(sold); len(sold) == 0 {
		return out, nil
	}
	ids, err := v.Subscription.Query().Where(subscription.IDIn(sold...), subscription.PeriodLT(0)).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read subscriptions of quotes: %w", err)
	}
	for _, id := range ids {
		out[id] = true
	}
	return out, nil
}

// quoteEnds checks the states of some quotes: an accepted one, and no other,
// has an invoice, which names it, unless its subscription begins later, and
// what is binding has a number.
func (v *verifier) quoteEnds(ctx context.Context, page []*ent.Quote) error {
	var invoices, calls []string
	for _, q := range page {
		invoices = append(invoices, orEmpty(q.InvoiceID))
		calls = append(calls, orEmpty(q.PendingCallID))
	}
	rows, err := v.Invoice.Query().Where(invoice.IDIn(named(invoices)...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read invoices of quotes: %w", err)
	}
	quoteOf := map[string]string{}
	for _, i := range rows {
		quoteOf[i.ID] = orEmpty(i.QuoteID)
	}
	ahead, err := v.notBegun(ctx, page)
	if err != nil {
		return err
	}
	pending, err := v.callsByID(ctx, calls)
	if err != nil {
		return err
	}
	for _, q := range page {
		accepted := q.Status == quote.StatusACCEPTED
		binding := accepted || q.Status == quote.StatusOPEN || q.Status == quote.StatusEXPIRED
		switch {
		case !ahead[orEmpty(q.SubscriptionID)] && accepted != (q.InvoiceID != nil), accepted != (q.AcceptedAt != nil):
			return v.fault(quote.Table, q.ID, fmt.Sprintf("invoice_id and accepted_at, being %s", q.Status), presence(accepted), presence(!accepted))
		case q.InvoiceID != nil && quoteOf[*q.InvoiceID] != q.ID:
			return v.fault(quote.Table, q.ID, "invoice_id", "an invoice of this quote", *q.InvoiceID)
		case q.Status != quote.StatusCANCELED && binding != (q.Number != nil), (q.Number != nil) != (q.FinalizedAt != nil):
			return v.fault(quote.Table, q.ID, fmt.Sprintf("number and finalized_at, being %s", q.Status), presence(binding), presence(!binding))
		}
		if err := v.pendingCall(quote.Table, q.ID, q.PendingCallID, pending); err != nil {
			return err
		}
		if err := v.number(quote.Table, q.ID, "quote", q.Number); err != nil {
			return err
		}
	}
	return nil
}
