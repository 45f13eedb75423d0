package worldpaysandbox

import "slices"

// noPayment is what the service says of an order that it does not know, and of
// one that nobody has tried to pay.
const noPayment = "Could not find payment for order"

// inquire answers how an order stands.
func (t *tx) inquire(inquiry *element) (*element, error) {
	if inquiry.name != "orderInquiry" || inquiry.first() != nil {
		return nil, notEmulated(inquiry)
	}
	code := inquiry.attr("orderCode")
	if code == "" {
		return nil, refuse(codeInvalid, "Inquiry without an order code.")
	}
	o, err := t.paid(code)
	if err != nil {
		return nil, about(code, err)
	}
	return el("orderStatus", paymentEl(o), dateEl(o.Payment.LastEventAt, true)).with("orderCode", o.Code), nil
}

// paid reads an order that has a payment.
func (t *tx) paid(code string) (*Order, error) {
	o, err := t.order(code)
	if err != nil {
		return nil, err
	}
	if o == nil || o.Payment == nil {
		return nil, refuse(codeInvalid, noPayment)
	}
	return o, nil
}

// modify takes a modification. Its answer says that it was received; what has
// come of it is told by a notification.
func (t *tx) modify(modification *element) (*element, error) {
	switch modification.name {
	case "paymentTokenDelete":
		received, err := t.deleteToken(modification)
		if err != nil {
			return nil, err
		}
		return el("ok", received), nil
	case "orderModification":
	default:
		return nil, notEmulated(modification)
	}
	code := modification.attr("orderCode")
	o, err := t.paid(code)
	if err != nil {
		return nil, about(code, err)
	}
	var received *element
	switch change := modification.first(); change.name {
	case "capture":
		received, err = t.capture(o, change)
	case "cancel":
		received, err = t.cancel(o, "cancelReceived")
	case "refund":
		received, err = t.refund(o, change)
	case "cancelOrRefund":
		if o.Payment.captured() {
			received, err = t.refundRest(o)
		} else {
			received, err = t.cancel(o, "voidReceived")
		}
	default:
		err = notEmulated(change)
	}
	if err != nil {
		return nil, about(code, err)
	}
	t.save(o)
	return el("ok", received.with("orderCode", code)), nil
}

func (t *tx) capture(o *Order, change *element) (*element, error) {
	amount, err := readAmount(change.child("amount"))
	switch {
	case err != nil:
		return nil, err
	case o.Payment.LastEvent != authorised:
		return nil, refuse(codeInvalid, "The payment cannot be captured: its last event is %s.", o.Payment.LastEvent)
	case amount.Currency != o.Amount.Currency || amount.Value > o.Payment.Authorised:
		return nil, refuse(codeInvalid, "The amount is not within what was authorised.")
	}
	reference := change.attr("reference")
	t.later(o, Due{At: t.now, Event: captured, Amount: amount.Value, Reference: reference})
	return el("captureReceived", o.Amount.amountEl(amount.Value, "credit")), nil
}

func (t *tx) cancel(o *Order, receipt string) (*element, error) {
	if o.Payment.captured() || !slices.Contains([]string{authorised, sentForAuthorisation}, o.Payment.LastEvent) {
		return nil, refuse(codeInvalid, "The payment cannot be cancelled: its last event is %s.", o.Payment.LastEvent)
	}
	t.event(o, cancelled, o.Amount.Value, "")
	return el(receipt), nil
}

// refundableEvents are the last events after which money can be given back.
var refundableEvents = []string{
	captured, settled, settledByMerchant, sentForRefund, refunded, refundedByMerchant, refundFailed, informationRequested, chargebackReversed,
}

func (t *tx) refund(o *Order, change *element) (*element, error) {
	amount, err := readAmount(change.child("amount"))
	switch {
	case err != nil:
		return nil, err
	case !slices.Contains(refundableEvents, o.Payment.LastEvent) || !o.Payment.captured():
		return nil, refuse(codeInvalid, "The payment cannot be refunded: its last event is %s.", o.Payment.LastEvent)
	case amount.Currency != o.Amount.Currency || amount.Value > o.Payment.refundable():
		return nil, refuse(codeInvalid, "The amount is more than can be refunded.")
	}
	t.sendRefund(o, amount.Value, change.attr("reference"))
	return el("refundReceived", o.Amount.amountEl(amount.Value, "credit")), nil
}

func (t *tx) refundRest(o *Order) (*element, error) {
	rest := o.Payment.refundable()
	if !slices.Contains(refundableEvents, o.Payment.LastEvent) || rest <= 0 {
		return nil, refuse(codeInvalid, "The payment cannot be refunded: its last event is %s.", o.Payment.LastEvent)
	}
	t.sendRefund(o, rest, "")
	return el("voidReceived"), nil
}

func (t *tx) deleteToken(change *element) (*element, error) {
	token, err := t.token(change.content("paymentTokenID"))
	switch {
	case err != nil:
		return nil, err
	case token == nil || token.Deleted || token.Shopper != change.content("authenticatedShopperID"):
		return nil, refuse(codeInvalid, "Token does not exist")
	}
	token.Deleted = true
	t.keep(token)
	return el("deleteTokenReceived").with("paymentTokenID", token.ID), nil
}
