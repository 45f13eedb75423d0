package stripe

import (
	"context"
	"time"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// movementsMax bounds how many of Stripe's lines are read for one answer.
const movementsMax = 5000

// ListMovements reads Stripe's balance transactions. A line with a fee is two
// movements.
func (a *Adapter) ListMovements(ctx context.Context, acc gateway.Account, from, to time.Time) (res gateway.MovementsResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "movements_list")
	defer o.end(&res.Outcome)
	if o.refused != nil {
		res.Outcome = o.refused.Outcome
		return res
	}
	if !o.c.pace.wait(o.ctx) {
		res.Outcome = tooBusy(o.requestID).Outcome
		return res
	}
	ctx, ex := withExchange(o.ctx)
	params := &sdk.BalanceTransactionListParams{
		ListParams:   sdk.ListParams{Context: ctx, Limit: sdk.Int64(100)},
		CreatedRange: &sdk.RangeQueryParams{GreaterThanOrEqual: from.Unix(), LesserThan: to.Unix()},
	}
	params.AddExpand("data.source")
	it := o.c.movements.List(params)
	lines := 0
	for ; lines < movementsMax && it.Next(); lines++ {
		more, err := movementsOf(it.BalanceTransaction())
		if err != nil {
			res.Outcome, res.Movements = unreadable(ex.id(), err).Outcome, nil
			return res
		}
		res.Movements = append(res.Movements, more...)
	}
	if err := it.Err(); err != nil {
		res.Outcome, res.Movements = o.problem(err, ex).Outcome, nil
		return res
	}
	res.Outcome, res.Complete = o.succeeded(), lines < movementsMax
	return res
}

// movementsOf reads one line. What was paid is counted in the currency in which
// it was paid, what Stripe keeps in that of the account.
func movementsOf(t *sdk.BalanceTransaction) (all []gateway.Movement, err error) {
	m := gateway.Movement{Kind: gateway.MovementOther, ID: t.ID, At: time.Unix(t.Created, 0).UTC(), Note: string(t.Type)}
	amount, currency := t.Amount, t.Currency
	var source sdk.BalanceTransactionSource
	if t.Source != nil {
		source = *t.Source
	}
	switch {
	case source.Charge != nil && t.Type != sdk.BalanceTransactionTypeRefund:
		m.Kind, amount, currency = gateway.MovementPayment, source.Charge.AmountCaptured, source.Charge.Currency
		if source.Charge.PaymentIntent != nil {
			m.ID = source.Charge.PaymentIntent.ID
		}
	case source.Refund != nil:
		m.Kind, m.ID, amount, currency = gateway.MovementRefund, source.Refund.ID, source.Refund.Amount, source.Refund.Currency
		m.Reversed = t.Type == sdk.BalanceTransactionTypeRefundFailure
		if source.Refund.PaymentIntent != nil {
			m.PaymentID = source.Refund.PaymentIntent.ID
		}
	case source.Dispute != nil:
		m.Kind, m.ID, amount, currency = gateway.MovementDispute, source.Dispute.ID, source.Dispute.Amount, source.Dispute.Currency
		m.Reversed = t.Amount > 0
		if source.Dispute.PaymentIntent != nil {
			m.PaymentID = source.Dispute.PaymentIntent.ID
		}
	case source.Payout != nil:
		m.Kind, m.ID = gateway.MovementPayout, source.Payout.ID
		m.Reversed = t.Amount > 0 // it failed, or was taken back
	case t.Type == sdk.BalanceTransactionTypeStripeFee:
		m.Kind = gateway.MovementFee
	}
	if m.Amount, err = fromWire(max(amount, -amount), currency); err != nil {
		return nil, err
	}
	all = append(all, m)
	if t.Fee == 0 {
		return all, nil
	}
	fee := gateway.Movement{Kind: gateway.MovementFee, ID: t.ID, PaymentID: m.PaymentID, At: m.At, Reversed: t.Fee < 0, Note: m.Note}
	if m.Kind == gateway.MovementPayment {
		fee.PaymentID = m.ID
	}
	fee.Amount, err = fromWire(max(t.Fee, -t.Fee), t.Currency)
	return append(all, fee), err
}
