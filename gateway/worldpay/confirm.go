package worldpay

import (
	"context"
	"strconv"
	"strings"

	"purser/gateway"
	"purser/money"
)

// An inquiry tells what has happened to an order last; which refund it was, and
// how much a bank has taken back, stands in notifications alone. They are not
// signed, so each counts only while the order stands as it does when it is
// true. What would give the payer money is taken more strictly than what takes
// some: a false refund that failed would be paid twice.

// ConfirmRefund asks whether the order stands as it does when the refund is as
// it was told.
func (a *Adapter) ConfirmRefund(ctx context.Context, acc gateway.Account, gatewayPaymentID string, told gateway.Told) (res gateway.RefundResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "refund_confirm")
	defer o.end(&res.Outcome)
	res.RefundID, res.Amount = refundName(told), told.Amount
	now, p := o.stands(gatewayPaymentID)
	switch {
	case p != nil:
		res.Outcome = p.Outcome
	case !now.confirmsRefund(told):
		res.Outcome = unconfirmed(told, now)
	default:
		res.Status, res.State = gateway.StatusSucceeded, refundStates[told.Type]
	}
	return res
}

// refundName is what a refund is called. One that was made in the merchant
// interface has no reference: it is known by the day on which it was carried
// out and its amount, and has no name before, nor when it has failed.
func refundName(told gateway.Told) string {
	if told.Reference == "" && refundStates[told.Type] == gateway.RefundSucceeded {
		return told.Date + ":" + strconv.FormatInt(int64(told.Amount.Units), 10)
	}
	return told.Reference
}

// confirmsRefund reports whether what was told of a refund may be true.
func (s standing) confirmsRefund(told gateway.Told) bool {
	was, is := refundStates[told.Type], refundStates[s.event]
	sure := s.reference == told.Reference // both may be empty
	switch {
	case was == "" || told.Amount.Currency != s.paid.Currency || told.Amount.Units > s.paid.Units:
		return false
	case told.Reference == "": // nothing but its kind tells it from others
		return sure && told.Type == s.event
	case was == is && (sure || s.reference == ""):
		return true
	case was == gateway.RefundFailed:
		return false
	case was == gateway.RefundPending:
		return is != "" && (sure || told.Ours)
	default: // another refund, or a bank, may have come after it
		return told.Ours && (is != gateway.RefundPending || !sure) && (is != "" || disputeStates[s.event] != "")
	}
}

// ConfirmDispute asks whether the order stands as it does when a bank has done
// what was told.
func (a *Adapter) ConfirmDispute(ctx context.Context, acc gateway.Account, gatewayPaymentID string, told gateway.Told) (res gateway.DisputeResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "dispute_confirm")
	defer o.end(&res.Outcome)
	res.DisputeID, res.GatewayPaymentID, res.Amount, res.Reason = disputeName(gatewayPaymentID, told), gatewayPaymentID, told.Amount, reasonOf(told.Type)
	now, p := o.stands(gatewayPaymentID)
	switch {
	case p != nil:
		res.Outcome = p.Outcome
	case !now.confirmsDispute(told):
		res.Outcome = unconfirmed(told, now)
	default:
		res.Status, res.State = gateway.StatusSucceeded, disputeStates[told.Type]
	}
	return res
}

// disputeStates are the events of banks that contest a payment.
var disputeStates = map[string]gateway.DisputeState{
	"INFORMATION_REQUESTED": gateway.DisputeWarning,
	"CHARGED_BACK":          gateway.DisputeNeedsResponse,
	"CHARGEBACK_REVERSED":   gateway.DisputeWon,
}

// reasonOf is an event in the form in which reasons are shown.
func reasonOf(event string) string { return strings.ToLower(event) }

// disputeName is what a dispute is called: Worldpay has no names for them, so
// one is known by its order, day and amount. The end of one does not tell which.
func disputeName(code string, told gateway.Told) string {
	kind := "chargeback"
	switch told.Type {
	case "CHARGEBACK_REVERSED":
		return ""
	case "INFORMATION_REQUESTED":
		kind = "inquiry"
	}
	return code + ":" + kind + ":" + told.Date + ":" + strconv.FormatInt(int64(told.Amount.Units), 10)
}

// confirmsDispute reports whether what was told of a bank may be true. After a
// chargeback only its reversal, another one or a refund can come; what follows
// on a reversal is asked for when it comes.
func (s standing) confirmsDispute(told gateway.Told) bool {
	switch {
	case told.Amount.Currency != s.paid.Currency || told.Amount.Units > s.paid.Units:
		return false
	case told.Type == s.event:
		return true
	case told.Type == "CHARGED_BACK":
		return s.event == "CHARGEBACK_REVERSED"
	case told.Type == "INFORMATION_REQUESTED":
		return disputeStates[s.event] != "" || refundStates[s.event] != ""
	}
	return false
}

// FetchDispute asks how a dispute stands, as far as the order's last event
// tells: that a chargeback was taken back, or that an inquiry has come to more
// than one or to nothing.
func (a *Adapter) FetchDispute(ctx context.Context, acc gateway.Account, disputeID string) (res gateway.DisputeResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "dispute_fetch")
	defer o.end(&res.Outcome)
	code, kind, amount, ok := disputeOf(disputeID)
	if !ok {
		res.Outcome = refusal(codeBadRequest, "the dispute's name is none that was made here").Outcome
		return res
	}
	now, p := o.stands(code)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	amount.Currency = now.paid.Currency
	res.DisputeID, res.GatewayPaymentID, res.Amount = disputeID, code, amount
	switch {
	case kind == "inquiry" && now.event == "INFORMATION_REQUESTED":
		res.State = gateway.DisputeWarning
	case kind == "inquiry":
		res.State = gateway.DisputeWarningClosed
	case now.event == "CHARGEBACK_REVERSED":
		res.State = gateway.DisputeWon
	default:
		res.State = gateway.DisputeNeedsResponse
	}
	res.Status = gateway.StatusSucceeded
	return res
}

// disputeOf takes apart what disputeName has made.
func disputeOf(name string) (code, kind string, amount money.Amount, ok bool) {
	parts := strings.Split(name, ":")
	if len(parts) != 4 {
		return "", "", amount, false
	}
	units, err := strconv.ParseInt(parts[3], 10, 64)
	amount.Units = money.Units(units)
	return parts[0], parts[1], amount, err == nil
}

// unconfirmed is the outcome of asking for what the order does not show, or not
// yet.
func unconfirmed(told gateway.Told, now standing) gateway.Outcome {
	return unknown(gateway.CodeUnconfirmed, "Worldpay has told of "+clip(told.Type, 40)+" and says on being asked that the order is "+clip(now.event, 40)).Outcome
}
