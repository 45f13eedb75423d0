package worldpay

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"purser/gateway"
	"purser/money"
)

// What Worldpay answers to a change is that it was received; what became of it
// is told by notifications and by the order's next event.

// CapturePayment takes the money of a payment that was authorised. Orders made
// here are captured by Worldpay itself; this is for those that were not.
// Unknown is asked for with FetchPayment, not by asking again.
func (a *Adapter) CapturePayment(ctx context.Context, acc gateway.Account, c gateway.Call, gatewayPaymentID string, amount money.Amount) (out gateway.Outcome) {
	o := a.begin(ctx, acc, c, "payment_capture")
	defer o.end(&out)
	sum, err := amountElement(amount)
	if err != nil {
		return refusal(codeBadRequest, err.Error()).Outcome
	}
	day := o.start.UTC()
	date := el("date").with("dayOfMonth", strconv.Itoa(day.Day())).with("month", strconv.Itoa(int(day.Month()))).with("year", strconv.Itoa(day.Year()))
	return o.modify(gatewayPaymentID, el("capture", date, sum), "captureReceived")
}

// CancelPayment gives up a payment that was authorised and not captured.
// Unknown is asked for with FetchPayment.
func (a *Adapter) CancelPayment(ctx context.Context, acc gateway.Account, c gateway.Call, gatewayPaymentID string) (out gateway.Outcome) {
	o := a.begin(ctx, acc, c, "payment_cancel")
	defer o.end(&out)
	return o.modify(gatewayPaymentID, el("cancel"), "cancelReceived")
}

// modify asks for one change of an order; received is what the answer is
// called. Succeeded means that it was received.
func (o *operation) modify(code string, change *element, received string) gateway.Outcome {
	if err := checkOrderCode(code); err != nil {
		return refusal(codeBadRequest, err.Error()).Outcome
	}
	reply, p := o.ask(el("modify", el("orderModification", change).with("orderCode", code)))
	if p != nil {
		return p.Outcome
	}
	done, err := reply.find("ok", received)
	switch {
	case err != nil:
		return unreadable(err).Outcome
	case done != nil && done.attrs["orderCode"] == code:
		return gateway.Outcome{Status: gateway.StatusSucceeded}
	}
	// An error about an order has its place in the order's status.
	if _, p := order(reply, code); p != nil {
		return p.Outcome
	}
	return unreadable(errors.New("it does not say that the change was received")).Outcome
}

// RefundPayment gives money back: a payment that is only authorised is
// canceled, which gives all of it back; a captured one is refunded under the
// call's name. Worldpay would refund the same reference twice, so it is sent by
// the first try only; later ones look what has become of it. A part of a
// payment that is not captured yet is Rejected: it must wait.
func (a *Adapter) RefundPayment(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.RefundRequest) (res gateway.RefundResult) {
	o := a.begin(ctx, acc, c, "refund")
	defer o.end(&res.Outcome)
	res.RefundID, res.Amount = orderCode(c.ID), r.Amount
	sum, err := amountElement(r.Amount)
	if err != nil || c.ID == "" {
		res.Outcome = refusal(codeBadRequest, "the refund needs a call and an amount that Worldpay can count").Outcome
		return res
	}
	now, p := o.stands(r.GatewayPaymentID)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	if !o.claim() {
		return o.refundSoFar(res, now)
	}
	switch event := now.event; event {
	case "AUTHORISED":
		if now.paid != r.Amount {
			res.Outcome = refusal("not_captured", "Worldpay has not captured the payment yet, and gives back only all of it until then: try again tomorrow").Outcome
			return res
		}
		res.Outcome = o.modify(r.GatewayPaymentID, el("cancel"), "cancelReceived")
	case "CAPTURED", "SETTLED", "SETTLED_BY_MERCHANT", "SENT_FOR_REFUND", "REFUNDED", "REFUNDED_BY_MERCHANT", "REFUND_FAILED",
		"CHARGEBACK_REVERSED", "INFORMATION_REQUESTED":
		res.Outcome = o.modify(r.GatewayPaymentID, el("refund", sum.with("debitCreditIndicator", "credit")).with("reference", res.RefundID), "refundReceived")
	default:
		res.Outcome = refusal("not_paid", fmt.Sprintf("the payment is %s at Worldpay, where nothing can be given back of it", clip(event, 40))).Outcome
		return res
	}
	if res.Status == gateway.StatusSucceeded {
		res.State = gateway.RefundPending
	}
	return res
}

// FetchRefund asks how a refund stands, as far as the order's last event tells.
func (a *Adapter) FetchRefund(ctx context.Context, acc gateway.Account, r gateway.RefundRequest, refundID string) (res gateway.RefundResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "refund_fetch")
	defer o.end(&res.Outcome)
	res.RefundID, res.Amount = refundID, r.Amount
	now, p := o.stands(r.GatewayPaymentID)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	res.Status = gateway.StatusSucceeded
	res.State = now.refund(res)
	return res
}

// refundSoFar reports a refund that an earlier try may have sent. The order's
// last event may be of another one: then it stays unknown until a notification
// tells.
func (o *operation) refundSoFar(res gateway.RefundResult, now standing) gateway.RefundResult {
	res.State = now.refund(res)
	switch {
	case res.State != "" && now.of(res):
		res.Status = gateway.StatusSucceeded
	case res.State == "" && o.provesAbsence():
		res.Outcome = never(codeExpired, "the refund was never made")
	default:
		res.State = ""
		res.Outcome = unknown(codeNoPayment, "whether the refund was made is not known yet").Outcome
	}
	return res
}

// standing is how an order stands: what was paid, what has happened last, and
// the reference of the latest change, where Worldpay tells it.
type standing struct {
	paid             money.Amount
	event, reference string
}

// stands inquires how an order stands.
func (o *operation) stands(code string) (standing, *problem) {
	var now standing
	status, p := o.inquire(code)
	if p != nil {
		return now, p
	}
	state, err := paymentOf(status, code)
	if err != nil {
		return now, unreadable(err)
	}
	now.paid = state.Amount
	for _, n := range status.all("payment") {
		last, err := n.textAt("lastEvent")
		if err != nil {
			return now, unreadable(err)
		}
		if s, _, _ := stateOf(last); now.event != "" && s != gateway.StatusSucceeded {
			continue
		}
		now.event = last
		if now.reference, err = n.textAt("reference"); err != nil {
			return now, unreadable(err)
		}
	}
	return now, nil
}

// of reports whether the last event is surely of the refund: it is of the whole
// payment, of which there is only one, or bears its reference.
func (s standing) of(r gateway.RefundResult) bool {
	return s.paid == r.Amount || s.reference != "" && s.reference == r.RefundID
}

// refund is how a refund stands by the order's last event; empty where it tells
// of none. One that the event may not be of is pending until a notification
// names it.
func (s standing) refund(r gateway.RefundResult) gateway.RefundState {
	state := refundStates[s.event]
	if s.event == "CANCELLED" {
		state = gateway.RefundSucceeded // given back before it was captured
	}
	if state != "" && !s.of(r) {
		return gateway.RefundPending
	}
	return state
}

// refundStates are the events of refunds.
var refundStates = map[string]gateway.RefundState{
	"SENT_FOR_REFUND":       gateway.RefundPending,
	"REFUND_WEBFORM_ISSUED": gateway.RefundPending,
	"REFUNDED":              gateway.RefundSucceeded,
	"REFUNDED_BY_MERCHANT":  gateway.RefundSucceeded,
	"REFUND_FAILED":         gateway.RefundFailed,
}
