package worldpay

import (
	"context"

	"purser/gateway"
)

// ChargeCard charges a saved card by its token, without the payer: Worldpay
// takes tokens so only, and 3-D Secure with nobody there to answer cannot be
// asked for. It charges once per call, because the order code is the call's.
//
// A call too old to be sent charges nothing: the order is looked for, and
// Unavailable when there surely is no payment.
func (a *Adapter) ChargeCard(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.ChargeRequest) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, c, "card_charge")
	defer o.end(&res.Outcome)
	code := orderCode(c.ID)
	res.CustomerID = r.CustomerID
	message, p := o.directOrder(code, r)
	if p == nil && o.late() {
		return o.tooLate(res, code)
	}
	var reply *node
	if p == nil {
		reply, p = o.ask(el("submit", message))
	}
	var status *node
	if p == nil {
		status, p = order(reply, code)
	}
	if p != nil && p.number == "7" {
		// The card's details are the payer's to change.
		p.Status, p.Failure.Final = gateway.StatusDeclined, true
	}
	if p != nil {
		return o.withCard(o.afterRefusal(res, p, code, codeExpired, "the payment was never made"), r)
	}
	return o.withCard(settled(res, status, code), r)
}

// withCard names the card that was charged.
func (o *operation) withCard(res gateway.PaymentResult, r gateway.ChargeRequest) gateway.PaymentResult {
	if res.Payment.Status != "" {
		res.Payment.PaymentMethodID = r.PaymentMethodID
	}
	return res
}

// directOrder writes the order.
func (o *operation) directOrder(code string, r gateway.ChargeRequest) (*element, *problem) {
	if o.refused != nil {
		return nil, o.refused
	}
	if o.call.ID == "" {
		return nil, refusal(codeBadRequest, "the call has no id")
	}
	if r.CustomerID == "" || r.PaymentMethodID == "" {
		return nil, refusal(codeBadRequest, "a charge needs a shopper and a saved card")
	}
	amount, err := amountElement(r.Amount)
	if err != nil {
		return nil, refusal(codeBadRequest, err.Error())
	}
	message := el("order",
		leaf("description", clip(named(r.Description), descriptionMax)),
		amount,
		el("paymentDetails",
			el("TOKEN-SSL", leaf("paymentTokenID", r.PaymentMethodID)).with("tokenScope", tokenScope),
			el("storedCredentials", optional("schemeTransactionIdentifier", r.SchemeReference)).
				with("usage", "USED").with("merchantInitiatedReason", merchantReason(r)),
		),
		el("shopper", leaf("authenticatedShopperID", r.CustomerID)),
	)
	return message.with("orderCode", code).with("captureDelay", "0"), nil
}

// merchantReason says, in the card schemes' words, why a card is charged without its
// holder.
func merchantReason(r gateway.ChargeRequest) string {
	if r.Recurring {
		return "RECURRING"
	}
	return "UNSCHEDULED"
}

// FetchPayment reads a payment. Its outcome is the payment's state; one that
// Worldpay does not know is Rejected, which says nothing of an order that was
// sent a moment ago.
func (a *Adapter) FetchPayment(ctx context.Context, acc gateway.Account, gatewayPaymentID string) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "payment_fetch")
	defer o.end(&res.Outcome)
	status, p := o.inquire(gatewayPaymentID)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	return settled(res, status, gatewayPaymentID)
}
