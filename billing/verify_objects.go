package billing

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/ledgerentry"
	"purser/ent/ledgerseal"
	"purser/ent/payment"
	"purser/ent/quote"
	"purser/ent/quoteline"
	"purser/money"
)

// linesChunk is for how many invoices or quotes lines are read at once; each
// may have hundreds.
const linesChunk = 100

// owed is what holds and invoices take from a page of balances.
type owed struct {
	held   map[string]money.Units  // by balance
	unpaid map[account]money.Units // by payer and currency
}

func (v *verifier) owed(ctx context.Context, page []*ent.Balance) (owed, error) {
	out := owed{held: map[string]money.Units{}, unpaid: map[account]money.Units{}}
	if len(page) == 0 {
		return out, nil
	}
	var ids, payers []string
	for _, b := range page {
		ids = append(ids, b.ID)
		payers = append(payers, b.PayerID)
	}
	var holds []struct {
		BalanceID string `json:"balance_id"`
		Sum       sql.NullInt64
	}
	err := v.Hold.Query().Where(hold.BalanceIDIn(ids...), hold.StatusEQ(hold.StatusOPEN)).
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
			digest := sealDigest(e.OrganizationID, previous, s.Seq, e.ID, e.Hash)
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

// payments checks that every payment that succeeded is in the ledger; that
// nothing else is was checked with the entries. Payments made to test a
// provider's settings are for nobody and not booked.
func (v *verifier) payments(ctx context.Context) error {
	paid := sums{}
	last := ""
	for {
		page, err := v.Payment.Query().
			Where(payment.IDGT(last), payment.StatusEQ(payment.StatusSUCCEEDED), payment.PurposeNEQ(payment.PurposeTEST)).
			Order(ent.Asc(payment.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read payments: %w", err)
		}
		causes := make([]string, len(page))
		for i, p := range page {
			causes[i] = paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID))
		}
		booked := map[string]bool{}
		entries, err := v.LedgerEntry.Query().Where(ledgerentry.CauseKeyIn(causes...)).All(ctx)
		if err != nil {
			return fmt.Errorf("read entries of payments: %w", err)
		}
		for _, e := range entries {
			booked[orEmpty(e.PaymentID)] = true
		}
		for i, p := range page {
			if !booked[p.ID] {
				return v.fault(payment.Table, p.ID, "a payment that succeeded is in the ledger", "an entry for "+causes[i], "none")
			}
			paid.add(clearingAccount(p.ProviderID), p.Currency, p.AmountUnits)
		}
		v.report.Payments += len(page)
		v.progress(payment.Table, v.report.Payments)
		if len(page) < v.options.PageRows {
			break
		}
		last = page[len(page)-1].ID
	}
	if a, want, found, differ := paid.differs(v.clearing); differ {
		return v.fault(ledgerentry.Table, a.name, "payments in "+a.currency+" that were booked", want, found)
	}
	return nil
}

// invoices checks every invoice against its lines, and what all of them still
// have to receive against the ledger.
func (v *verifier) invoices(ctx context.Context) error {
	due := sums{}
	last := ""
	for {
		page, err := v.Invoice.Query().Where(invoice.IDGT(last)).Order(ent.Asc(invoice.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read invoices: %w", err)
		}
		lines, err := v.invoiceLines(ctx, page)
		if err != nil {
			return err
		}
		for _, i := range page {
			if err := v.invoice(i, lines[i.ID]); err != nil {
				return err
			}
			if unpaidStatus(i.Status) {
				due.add(accountReceivable, i.Currency, i.AmountDueUnits)
			}
		}
		v.report.Invoices += len(page)
		v.progress(invoice.Table, v.report.Invoices)
		if len(page) < v.options.PageRows {
			break
		}
		last = page[len(page)-1].ID
	}
	a, want, found, differ := due.differs(v.receivable)
	if !differ {
		return nil
	}
	if err := v.unbooked(ctx); err != nil {
		return err
	}
	return v.fault(ledgerentry.Table, a.name, "what open invoices in "+a.currency+" have to receive", want, found)
}

func unpaidStatus(s invoice.Status) bool {
	return s == invoice.StatusOPEN || s == invoice.StatusUNCOLLECTIBLE
}

// invoiceLines sums the lines of a page of invoices and checks each.
func (v *verifier) invoiceLines(ctx context.Context, page []*ent.Invoice) (map[string]money.Units, error) {
	sum := map[string]money.Units{}
	for chunk := range slices.Chunk(page, linesChunk) {
		ids := make([]string, len(chunk))
		for i, inv := range chunk {
			ids[i] = inv.ID
		}
		lines, err := v.InvoiceLine.Query().Where(invoiceline.InvoiceIDIn(ids...)).Order(ent.Asc(invoiceline.FieldID)).All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read invoice lines: %w", err)
		}
		for _, l := range lines {
			want, err := l.UnitAmount().Mul(int64(l.Quantity))
			if err != nil || want != l.Amount() {
				return nil, v.fault(invoiceline.Table, l.ID, "amount_units as quantity × unit amount", want, l.Amount())
			}
			sum[l.InvoiceID] += l.AmountUnits
		}
	}
	return sum, nil
}

// invoice checks the sums of one invoice.
func (v *verifier) invoice(i *ent.Invoice, lines money.Units) error {
	if i.SubtotalUnits != lines {
		return v.fault(invoice.Table, i.ID, "subtotal_units against its lines", lines, i.SubtotalUnits)
	}
	exact := money.Amount{Units: i.SubtotalUnits + i.TaxUnits, Currency: i.Currency}
	total, err := exact.RoundToMinor()
	if err != nil || total != i.Total() {
		return v.fault(invoice.Table, i.ID, "total_units as subtotal and tax in whole minor units", total, i.Total())
	}
	switch {
	case unpaidStatus(i.Status) && i.AmountDueUnits != i.TotalUnits-i.AmountPaidUnits:
		return v.fault(invoice.Table, i.ID, "amount_due_units as total less paid", i.TotalUnits-i.AmountPaidUnits, i.AmountDueUnits)
	case i.Status == invoice.StatusPAID && i.AmountDueUnits != 0:
		return v.fault(invoice.Table, i.ID, "amount_due_units of a paid invoice", 0, i.AmountDueUnits)
	case i.Status == invoice.StatusPAID && i.AmountPaidUnits != i.TotalUnits:
		return v.fault(invoice.Table, i.ID, "amount_paid_units of a paid invoice", i.TotalUnits, i.AmountPaidUnits)
	}
	return nil
}

// unbooked names the invoice whose entries do not come to what is due on it.
// It reads the ledger once for every few invoices and is only called when
// their sums are known to differ.
func (v *verifier) unbooked(ctx context.Context) error {
	last := ""
	for {
		page, err := v.Invoice.Query().Where(invoice.IDGT(last)).Order(ent.Asc(invoice.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil || len(page) == 0 {
			return err
		}
		ids := make([]string, len(page))
		for i, inv := range page {
			ids[i] = inv.ID
		}
		entries, err := v.LedgerEntry.Query().
			Where(ledgerentry.InvoiceIDIn(ids...), ledgerentry.KindNEQ(ledgerentry.KindWRITE_OFF),
				ledgerentry.Or(ledgerentry.DebitAccount(accountReceivable), ledgerentry.CreditAccount(accountReceivable))).
			All(ctx)
		if err != nil {
			return fmt.Errorf("read entries of invoices: %w", err)
		}
		booked := map[string]money.Units{}
		for _, e := range entries {
			switch {
			case orEmpty(e.ReversedKind) == string(ledgerentry.KindWRITE_OFF):
			case e.DebitAccount == accountReceivable:
				booked[orEmpty(e.InvoiceID)] += e.AmountUnits
			default:
				booked[orEmpty(e.InvoiceID)] -= e.AmountUnits
			}
		}
		for _, i := range page {
			want := money.Units(0)
			if unpaidStatus(i.Status) {
				want = i.AmountDueUnits
			}
			if booked[i.ID] != want {
				return v.fault(invoice.Table, i.ID, "what its entries leave to receive", want, booked[i.ID])
			}
		}
		last = page[len(page)-1].ID
	}
}

// quotes checks every quote against its lines.
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

// calls checks that every open gateway call has a time at which somebody
// looks at it again.
func (v *verifier) calls(ctx context.Context) error {
	open := gatewaycall.StateEQ(gatewaycall.StateOPEN)
	forgotten, err := v.GatewayCall.Query().Where(open, gatewaycall.NextCheckAtIsNil()).Order(ent.Asc(gatewaycall.FieldID)).First(ctx)
	switch {
	case err == nil:
		return v.fault(gatewaycall.Table, forgotten.ID, "next_check_at of an open call", "a time", "none")
	case !ent.IsNotFound(err):
		return fmt.Errorf("read open calls: %w", err)
	}
	if v.report.OpenCalls, err = v.GatewayCall.Query().Where(open).Count(ctx); err != nil {
		return fmt.Errorf("count open calls: %w", err)
	}
	return nil
}
