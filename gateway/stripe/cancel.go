package stripe

import (
	"context"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// CancelPayment gives up a payment that waits for its payer: it closes the page
// where there is one, else it cancels the payment itself. Its outcome is the
// payment's state, which may be that it was paid meanwhile.
func (a *Adapter) CancelPayment(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.CancelRequest) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, c, "payment_cancel")
	defer o.end(&res.Outcome)
	const step = "cancel"
	var p *problem
	if r.ReferenceID != "" {
		_, p = change(o, step, func(p sdk.Params) (*sdk.CheckoutSession, error) {
			return o.c.sessions.Expire(r.ReferenceID, &sdk.CheckoutSessionExpireParams{Params: p})
		})
	} else {
		_, p = change(o, step, func(p sdk.Params) (*sdk.PaymentIntent, error) {
			return o.c.payments.Cancel(r.GatewayPaymentID, &sdk.PaymentIntentCancelParams{Params: p})
		})
	}
	if p != nil && !p.worthLooking() {
		res.Outcome = p.Outcome
		return res
	}
	// Canceled, refused because it has ended, or not known: it tells itself.
	if r.ReferenceID != "" {
		res = o.hostedAgain(res, r.ReferenceID)
	} else {
		res = o.paymentAgain(res, r.GatewayPaymentID)
	}
	if p != nil && res.Status == gateway.StatusActionNeeded {
		res.Outcome = p.Outcome // it still waits: nothing was done
	}
	return res
}
