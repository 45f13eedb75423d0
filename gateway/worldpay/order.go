package worldpay

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"purser/gateway"
	"purser/money"
)

// orderCode names a call at Worldpay: the call's id in base32, of [A-Z2-7] and
// at most 32 characters. An id that is not one of ours is digested.
func orderCode(callID string) string {
	_, body, _ := strings.Cut(callID, "_")
	b, err := hex.DecodeString(body)
	if err != nil || len(b) == 0 || len(b) > 20 {
		sum := sha256.Sum256([]byte(callID))
		b = sum[:20]
	}
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b)
}

// checkOrderCode refuses what is no order code of ours.
func checkOrderCode(code string) error {
	if code == "" || len(code) > 32 {
		return errors.New("an order code has 1 to 32 characters")
	}
	for _, r := range code {
		if (r < 'A' || r > 'Z') && (r < '2' || r > '7') {
			return errors.New("an order code consists of A to Z and 2 to 7")
		}
	}
	return nil
}

// inquire asks how an order stands. An order without a payment and one that
// does not exist are the same error at Worldpay: absent.
func (o *operation) inquire(code string) (status *node, p *problem) {
	if err := checkOrderCode(code); err != nil {
		return nil, refusal(codeNoPayment, "Worldpay has no such order: "+err.Error())
	}
	reply, p := o.ask(el("inquiry", el("orderInquiry").with("orderCode", code)))
	if p == nil {
		status, p = order(reply, code)
	}
	if p != nil && p.absent() {
		p.Failure = &gateway.Failure{Code: codeNoPayment, Message: "Worldpay knows of no payment for the order " + code + "."}
	}
	return status, p
}

// absent reports whether Worldpay, asked for an order, knows of no payment for
// it.
func (p *problem) absent() bool { return p.number == numberInvalid }

// numberInvalid is Worldpay's number for what it does not want to hear: an
// order code used before, and a question about an order without a payment.
const numberInvalid = "5"

// paymentOf reads the payment of an order's status. Each try of the payer at
// the page may have left one: the one that was paid counts, else one that is
// under way, else the last.
func paymentOf(status *node, code string) (gateway.PaymentState, error) {
	payments := status.all("payment")
	if len(payments) == 0 {
		return gateway.PaymentState{}, errors.New("the answer holds no payment")
	}
	var best gateway.PaymentState
	for _, n := range payments {
		state, err := paymentState(n, code)
		if err != nil {
			return gateway.PaymentState{}, err
		}
		if best.Status == gateway.StatusSucceeded && state.Status == gateway.StatusSucceeded {
			return gateway.PaymentState{}, errors.New("the order was paid twice")
		}
		if rank(state.Status) >= rank(best.Status) {
			best = state
		}
	}
	if saved, err := savedCard(status, nil); err != nil {
		return gateway.PaymentState{}, err
	} else if saved != nil {
		best.PaymentMethodID = saved.PaymentMethodID
		if best.Card == nil || best.Card.ExpYear == 0 {
			best.Card = &saved.Card
		}
	}
	return best, nil
}

// rank orders the states of several payments of one order.
func rank(s gateway.Status) int {
	switch s {
	case gateway.StatusSucceeded:
		return 3
	case gateway.StatusProcessing:
		return 2
	case gateway.StatusDeclined:
		return 1
	default:
		return 0
	}
}

// paymentState translates one payment. The error stands for an amount or a
// state that is not understood: such a payment is neither paid nor failed.
func paymentState(n *node, code string) (gateway.PaymentState, error) {
	state := gateway.PaymentState{GatewayPaymentID: code}
	event, err := n.textAt("lastEvent")
	if err != nil {
		return state, err
	}
	known := false
	if state.Status, state.Canceled, known = stateOf(event); !known {
		return state, fmt.Errorf("the payment is in the unknown state %q", clip(event, 40))
	}
	if state.Amount, err = amountIn(n); err != nil {
		return state, err
	}
	if state.Status == gateway.StatusDeclined && !state.Canceled {
		if state.Failure, err = failureIn(n, event); err != nil {
			return state, err
		}
	}
	if event == "CAPTURE_FAILED" {
		state.Failure = &gateway.Failure{Code: gateway.CodeCaptureFailed, Message: "Worldpay could not take the money of a payment that was authorised."}
	}
	if state.SchemeReference, err = n.textAt("schemeResponse", "transactionIdentifier"); err != nil {
		return state, err
	}
	state.Card, err = cardIn(n)
	return state, err
}

// stateOf says what an event of Worldpay's means for the payment, in which a
// refund or a chargeback is a fact of its own that comes later. Where it is the
// first that is heard of the payment, the money has come and gone, and how much
// of it is not told: nobody is credited until somebody has looked. Likewise
// after a capture that has failed.
func stateOf(event string) (status gateway.Status, canceled, known bool) {
	switch event {
	case "AUTHORISED", "CAPTURED", "SETTLED", "SETTLED_BY_MERCHANT", "REFUND_FAILED", "CHARGEBACK_REVERSED", "INFORMATION_REQUESTED":
		return gateway.StatusSucceeded, false, true
	case "SENT_FOR_AUTHORISATION", "SHOPPER_REDIRECTED", "CAPTURE_FAILED",
		"SENT_FOR_REFUND", "REFUND_WEBFORM_ISSUED", "REFUNDED", "REFUNDED_BY_MERCHANT", "CHARGED_BACK":
		return gateway.StatusProcessing, false, true
	case "REFUSED", "REFUSED_BY_BANK", "EXPIRED", "ERROR":
		return gateway.StatusDeclined, false, true
	case "CANCELLED", "SHOPPER_CANCELLED":
		return gateway.StatusDeclined, true, true
	}
	return "", false, false
}

// amountIn is the one amount of a payment.
func amountIn(n *node) (money.Amount, error) {
	a, err := n.find("amount")
	if err != nil {
		return money.Amount{}, err
	}
	if a == nil {
		return money.Amount{}, errors.New("the payment has no amount")
	}
	return amountOf(a)
}

// failureIn says why a payment was refused.
func failureIn(n *node, event string) (*gateway.Failure, error) {
	iso, err := n.find("ISO8583ReturnCode")
	switch {
	case err != nil:
		return nil, err
	case iso != nil:
		return declineOf(iso.attrs["code"], iso.attrs["description"]), nil
	case event == "EXPIRED":
		return &gateway.Failure{Code: codeExpired, Message: "The payment was not completed in time."}, nil
	}
	return declineOf("", ""), nil
}

// outcomeOf is a payment's state as an outcome. A payment given up is
// Declined: no money will come.
func outcomeOf(state gateway.PaymentState) gateway.Outcome {
	out := gateway.Outcome{Status: state.Status, Failure: state.Failure}
	if state.Canceled && out.Failure == nil {
		out.Failure = &gateway.Failure{Code: codeCanceled, Message: "The payment was canceled."}
	}
	return out
}

// settled reports an order's status as a payment's result.
func settled(res gateway.PaymentResult, status *node, code string) gateway.PaymentResult {
	state, err := paymentOf(status, code)
	if err != nil {
		res.Outcome = unreadable(err).Outcome
		res.Payment = gateway.PaymentState{GatewayPaymentID: code}
		return res
	}
	res.Payment = state
	res.Outcome = outcomeOf(state)
	return res
}
