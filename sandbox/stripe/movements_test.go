package stripesandbox_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stripe/stripe-go/v76"
)

// TestBalanceTransactions moves money in every way: each leaves a line, with
// what the sandbox keeps of it and the object that it is about.
func TestBalanceTransactions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pay := func(amount int64, card string) *stripe.PaymentIntent {
		t.Helper()
		return must(b.PaymentIntents.New(&stripe.PaymentIntentParams{
			Amount: stripe.Int64(amount), Currency: stripe.String("usd"), Confirm: stripe.Bool(true),
			PaymentMethod: stripe.String(card), PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		}))(t)
	}
	paid := pay(2500, "pm_card_visa")
	_ = must(b.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(paid.ID), Amount: stripe.Int64(500)}))(t)
	pay(1000, "pm_card_createDispute")
	_ = must(b.Payouts.New(&stripe.PayoutParams{Amount: stripe.Int64(2000), Currency: stripe.String("usd")}))(t)
	params := &stripe.BalanceTransactionListParams{}
	params.AddExpand("data.source")
	var got []string
	for it := b.BalanceTransactions.List(params); it.Next(); {
		line := it.BalanceTransaction()
		got = append(got, fmt.Sprintf("%s %d fee %d of %s", line.Type, line.Amount, line.Fee, line.Source.Type))
		if line.Source.Charge != nil && line.Source.Charge.BalanceTransaction.ID != line.ID || line.Net != line.Amount-line.Fee {
			t.Errorf("%+v", line)
		}
	}
	want := []string{
		"payout -2000 fee 0 of payout", "adjustment -1000 fee 0 of dispute", "charge 1000 fee 59 of charge", "refund -500 fee 0 of refund", "charge 2500 fee 103 of charge",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the lines are %q, want %q", got, want)
	}
}
