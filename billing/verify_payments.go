package billing

import (
	"context"
	"database/sql"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/money"
)

// payments checks every payment: that it is in the ledger when it succeeded
// (that nothing else is was checked with the entries), that it fits its
// invoice, and that somebody looks at it again when it has not ended. Payments
// made to test a provider's settings are for nobody and not booked.
func (v *verifier) payments(ctx context.Context) error {
	paid := sums{}
	last, rows := "", 0
	for {
		page, err := v.Payment.Query().Where(payment.IDGT(last)).Order(ent.Asc(payment.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read payments: %w", err)
		}
		named, err := v.namedByPayments(ctx, page)
		if err != nil {
			return err
		}
		back, err := v.moneyBack(ctx, page)
		if err != nil {
			return err
		}
		for _, p := range page {
			if err := v.payment(p, named); err != nil {
				return err
			}
			gone, err := v.wentBack(p, back)
			if err != nil {
				return err
			}
			if p.Status == payment.StatusSUCCEEDED && p.Purpose != payment.PurposeTEST {
				if p.RefusedAt != nil {
					gone += p.AmountUnits
				}
				paid.add(clearingAccount(p.ProviderID), p.Currency, p.AmountUnits)
				paid.add(clearingAccount(p.ProviderID), p.Currency, -gone)
				v.report.Payments++
			}
		}
		rows += len(page)
		v.progress(payment.Table, rows)
		if len(page) < v.options.PageRows {
			break
		}
		last = page[len(page)-1].ID
	}
	if a, want, found, differ := paid.differs(v.clearing); differ {
		return v.fault(ledgerentry.Table, a.name, "payments in "+a.currency+", less what went back, that were booked", want, found)
	}
	return nil
}

// namedByPayments is what belongs to a page of payments.
type namedByPayments struct {
	entries  map[string]*ent.LedgerEntry // by cause
	reversed map[string]*ent.LedgerEntry // by the entry that they take back
	invoices map[string]*ent.Invoice
	balances map[string]*ent.Balance
	refunded map[string]money.Units        // by payment
	asked    map[string]bool               // payments and invoices with a call that has not ended
	calls    map[string][]*ent.GatewayCall // by payment, what was asked for
}

func (v *verifier) namedByPayments(ctx context.Context, page []*ent.Payment) (namedByPayments, error) {
	out := namedByPayments{
		entries: map[string]*ent.LedgerEntry{}, reversed: map[string]*ent.LedgerEntry{}, invoices: map[string]*ent.Invoice{}, balances: map[string]*ent.Balance{},
		refunded: map[string]money.Units{}, asked: map[string]bool{}, calls: map[string][]*ent.GatewayCall{},
	}
	var ids, causes, invoices, balances []string
	for _, p := range page {
		ids = append(ids, p.ID)
		causes = append(causes, paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID)))
		invoices = append(invoices, orEmpty(p.InvoiceID))
		balances = append(balances, orEmpty(p.BalanceID))
	}
	entries, err := v.LedgerEntry.Query().Where(ledgerentry.CauseKeyIn(causes...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read entries of payments: %w", err)
	}
	var reversals []string
	for _, e := range entries {
		out.entries[orEmpty(e.CauseKey)] = e
		reversals = append(reversals, reversalPart(e.ID, 1))
	}
	again, err := v.LedgerEntry.Query().Where(ledgerentry.CauseKeyIn(reversals...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read reversals of payments: %w", err)
	}
	for _, e := range again {
		out.reversed[orEmpty(e.ReversesID)] = e
	}
	invoices = named(invoices)
	rows, err := v.Invoice.Query().Where(invoice.IDIn(invoices...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read invoices of payments: %w", err)
	}
	for _, i := range rows {
		out.invoices[i.ID] = i
	}
	credited, err := v.Balance.Query().Where(balance.IDIn(named(balances)...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read balances of payments: %w", err)
	}
	for _, b := range credited {
		out.balances[b.ID] = b
	}
	if out.refunded, err = v.refunds(ctx, ids); err != nil {
		return out, err
	}
	calls, err := v.GatewayCall.Query().Where(gatewaycall.SubjectIn(slices.Concat(ids, invoices)...), gatewaycall.Or(
		gatewaycall.StateNEQ(gatewaycall.StateDONE),
		gatewaycall.OperationIn(gatewaycall.OperationHOSTED_PAYMENT, gatewaycall.OperationCHARGE),
	)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read calls of payments: %w", err)
	}
	for _, c := range calls {
		if c.State != gatewaycall.StateDONE {
			out.asked[c.Subject] = true
		}
		if c.Operation == gatewaycall.OperationHOSTED_PAYMENT || c.Operation == gatewaycall.OperationCHARGE {
			out.calls[c.Subject] = append(out.calls[c.Subject], c)
		}
	}
	return out, nil
}

// refunds sums the refunds of some payments.
func (v *verifier) refunds(ctx context.Context, paymentIDs []string) (map[string]money.Units, error) {
	out := map[string]money.Units{}
	var rows []struct {
		PaymentID string `json:"payment_id"`
		Sum       sql.NullInt64
	}
	err := v.Refund.Query().Where(refund.PaymentIDIn(paymentIDs...), refund.StatusEQ(refund.StatusSUCCEEDED)).
		GroupBy(refund.FieldPaymentID).Aggregate(ent.As(ent.Sum(refund.FieldAmountUnits), "sum")).Scan(ctx, &rows)
	if err != nil {
		return nil, fmt.Errorf("sum refunds: %w", err)
	}
	for _, r := range rows {
		out[r.PaymentID] = money.Units(r.Sum.Int64)
	}
	return out, nil
}

// orderedID is the id, without its prefix, that an order code was made of; the
// other way round than orderCode, because what stands in a row may be anything.
func orderedID(code string) string {
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(code)
	if err != nil {
		return err.Error()
	}
	return hex.EncodeToString(b)
}

// payment checks one payment.
func (v *verifier) payment(p *ent.Payment, named namedByPayments) error {
	succeeded := p.Status == payment.StatusSUCCEEDED
	switch _, body, _ := strings.Cut(p.ID, "_"); {
	case orderedID(p.OrderCode) != body:
		return v.fault(payment.Table, p.ID, "the id in order_code", body, orderedID(p.OrderCode))
	case p.RefundedUnits != named.refunded[p.ID]:
		return v.fault(payment.Table, p.ID, "refunded_units against its refunds", named.refunded[p.ID], p.RefundedUnits)
	case succeeded != (p.SettledAt != nil):
		return v.fault(payment.Table, p.ID, fmt.Sprintf("settled_at, being %s", p.Status), presence(succeeded), presence(p.SettledAt != nil))
	}
	if succeeded && p.Purpose != payment.PurposeTEST {
		cause := paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID))
		e := named.entries[cause]
		switch {
		case e == nil || orEmpty(e.PaymentID) != p.ID:
			return v.fault(payment.Table, p.ID, "a payment that succeeded is in the ledger", "an entry for "+cause, "none")
		case !e.EffectiveAt.Equal(*p.SettledAt):
			return v.fault(payment.Table, p.ID, "settled_at against its entry "+e.ID, e.EffectiveAt, p.SettledAt.Format(time.RFC3339Nano))
		}
		if err := v.refused(p, named.reversed[e.ID]); err != nil {
			return err
		}
	} else if p.RefusedAt != nil && !succeeded {
		return v.fault(payment.Table, p.ID, fmt.Sprintf("refused_at, being %s", p.Status), presence(false), presence(true))
	}
	if err := v.paymentInvoice(p, named); err != nil {
		return err
	}
	if err := v.paymentBalance(p, named); err != nil {
		return err
	}
	return v.paymentWatched(p, named)
}

// refused checks that what a payment booked is taken back exactly if the
// gateway has refused it after all.
func (v *verifier) refused(p *ent.Payment, reversal *ent.LedgerEntry) error {
	switch {
	case (p.RefusedAt != nil) != (reversal != nil):
		return v.fault(payment.Table, p.ID, "refused_at against a reversal of its entry", presence(reversal != nil), presence(p.RefusedAt != nil))
	case reversal != nil && !reversal.EffectiveAt.Equal(*p.RefusedAt):
		return v.fault(payment.Table, p.ID, "refused_at against the reversal "+reversal.ID, reversal.EffectiveAt, p.RefusedAt.Format(time.RFC3339Nano))
	}
	return nil
}

// paymentBalance checks a payment against the balance that it is for, and
// against what the gateway was asked for.
func (v *verifier) paymentBalance(p *ent.Payment, named namedByPayments) error {
	type facts struct{ payer, amount string }
	if p.BalanceID != nil {
		topUp := p.Purpose == payment.PurposeTOP_UP || p.Purpose == payment.PurposeAUTO_RELOAD
		b := named.balances[*p.BalanceID]
		if b == nil || !topUp || b.PayerID != orEmpty(p.PayerID) || b.Currency != p.Currency {
			return v.fault(payment.Table, p.ID, "balance_id", "a balance of its payer in its currency, for a top-up", *p.BalanceID)
		}
		if p.Purpose == payment.PurposeAUTO_RELOAD && !isEnd(p.Status) && orEmpty(b.AutoReloadPaymentID) != p.ID {
			return v.fault(payment.Table, p.ID, fmt.Sprintf("auto_reload_payment_id of its balance, being %s", p.Status), p.ID, orEmpty(b.AutoReloadPaymentID))
		}
	}
	for _, c := range named.calls[p.ID] {
		want, found := facts{c.ProviderID, askedAmount(c, "Amount")}, facts{p.ProviderID, p.Amount().String()}
		if want != found {
			return v.fault(payment.Table, p.ID, "provider and amount of its call "+c.ID, want, found)
		}
	}
	return nil
}

// paymentInvoice checks that a payment for an invoice has the invoice's payer
// and provider, and pays the whole of it.
func (v *verifier) paymentInvoice(p *ent.Payment, named namedByPayments) error {
	type facts struct{ payer, provider, amount string }
	switch {
	case (p.Purpose == payment.PurposeINVOICE) != (p.InvoiceID != nil):
		return v.fault(payment.Table, p.ID, "invoice_id of a payment for "+string(p.Purpose), presence(p.InvoiceID == nil), presence(p.InvoiceID != nil))
	case p.InvoiceID == nil:
		return nil
	}
	i := named.invoices[*p.InvoiceID]
	if i == nil {
		return v.fault(payment.Table, p.ID, "invoice_id", "an invoice that exists", *p.InvoiceID)
	}
	amount := i.Total()
	amount.Units -= i.WaivedUnits // before it was paid
	want := facts{i.PayerID, orEmpty(i.ProviderID), amount.String()}
	e := named.entries[paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID))]
	paidIt := p.Status == payment.StatusSUCCEEDED && e != nil && e.Kind != ledgerentry.KindTOP_UP
	if !paidIt && i.WaivedUnits != 0 {
		want.amount = p.Amount().String() // one that waited while less came to be due
	}
	if found := (facts{orEmpty(p.PayerID), p.ProviderID, p.Amount().String()}); want != found {
		return v.fault(payment.Table, p.ID, "payer, provider and amount of its invoice "+i.ID, want, found)
	}
	return nil
}

// paymentWatched checks that a payment that has not ended is looked at again:
// at a time of its own, with its invoice, or by a call that has not ended.
func (v *verifier) paymentWatched(p *ent.Payment, named namedByPayments) error {
	waits := p.Status == payment.StatusPROCESSING || p.Status == payment.StatusREQUIRES_ACTION
	watched := p.NextCheckAt != nil
	if p.InvoiceID != nil {
		watched = watched || named.invoices[*p.InvoiceID].NextCheckAt != nil || named.asked[*p.InvoiceID]
	}
	switch {
	case !waits && p.NextCheckAt != nil:
		return v.fault(payment.Table, p.ID, fmt.Sprintf("next_check_at, being %s", p.Status), "none", p.NextCheckAt)
	case waits && !watched && !named.asked[p.ID]:
		return v.fault(payment.Table, p.ID, fmt.Sprintf("a call or a time at which somebody looks at it again, being %s", p.Status), "one", "none")
	}
	return nil
}
