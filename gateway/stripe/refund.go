package stripe

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// metaReason is why money was given back, in the words of whoever did it:
// Stripe's own field takes three words only.
const metaReason = "purser_reason"

// RefundPayment gives a payment back, or a part of it, once per call. A call
// whose key Stripe may have forgotten gives nothing back: the refund is looked
// for by our metadata, and Unavailable when there surely is none.
func (a *Adapter) RefundPayment(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.RefundRequest) (res gateway.RefundResult) {
	o := a.begin(ctx, acc, c, "refund_create")
	defer o.end(&res.Outcome)
	amount, err := toWire(r.Amount)
	if err != nil {
		res.Outcome = refusal(codeBadRequest, err.Error()).Outcome
		return res
	}
	if r.GatewayPaymentID == "" {
		res.Outcome = refusal(codeBadRequest, "a refund needs a payment").Outcome
		return res
	}
	const step = "refund"
	find := func() (*sdk.Refund, *problem) {
		return newest[sdk.Refund](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.refunds.List(&sdk.RefundListParams{ListParams: l, PaymentIntent: sdk.String(r.GatewayPaymentID)}).Iter
		})
	}
	if o.refused == nil && o.stale() {
		return o.lateRefund(r, find)
	}
	back, p := create(o, step, find, func(p sdk.Params) (*sdk.Refund, error) {
		metadata := o.metadata(step)
		metadata[metaOrder] = r.OrderCode
		if r.Reason != "" {
			metadata[metaReason] = clip(r.Reason, descriptionMax)
		}
		return o.c.refunds.New(&sdk.RefundParams{
			Params: p, Amount: sdk.Int64(amount), PaymentIntent: sdk.String(r.GatewayPaymentID), Metadata: metadata,
		})
	})
	switch {
	case p != nil && p.undone:
		res.Outcome = o.never("the refund was never made")
		return res
	case p != nil:
		res.Outcome = p.Outcome
		return res
	case o.replayed:
		return o.refundAgain(r, back.ID)
	}
	return o.refundResult(r, back)
}

// lateRefund reports what became of a refund asked for so long ago that its key
// may be forgotten.
func (o *operation) lateRefund(r gateway.RefundRequest, find finder[sdk.Refund]) (res gateway.RefundResult) {
	back, p := find()
	switch {
	case p != nil:
		res.Outcome = p.unsettled().Outcome
		return res
	case back != nil:
		return o.refundAgain(r, back.ID)
	}
	res.Outcome = o.never("the refund was never made")
	return res
}

// refundAgain reads a refund whose known state is old. It was made, so a
// failure to read it leaves the operation unknown.
func (o *operation) refundAgain(r gateway.RefundRequest, id string) gateway.RefundResult {
	back, p := o.getRefund(id)
	if p != nil {
		return gateway.RefundResult{Outcome: p.unsettled().Outcome, RefundID: id}
	}
	return o.refundResult(r, back)
}

// FetchRefund reads a refund. One of another payment than the request's is
// Rejected.
func (a *Adapter) FetchRefund(ctx context.Context, acc gateway.Account, r gateway.RefundRequest, refundID string) (res gateway.RefundResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "refund_fetch")
	defer o.end(&res.Outcome)
	back, p := o.getRefund(refundID)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	return o.refundResult(r, back)
}

// FetchRefunds reads all refunds of a payment.
func (a *Adapter) FetchRefunds(ctx context.Context, acc gateway.Account, gatewayPaymentID string) (res gateway.RefundsResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "refunds_fetch")
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
	it := o.c.refunds.List(&sdk.RefundListParams{
		ListParams: sdk.ListParams{Context: ctx, Limit: sdk.Int64(100)}, PaymentIntent: sdk.String(gatewayPaymentID),
	})
	for it.Next() && len(res.Refunds) < lookMax {
		back := it.Refund()
		res.Refunds = append(res.Refunds, gateway.ListedRefund{
			RefundResult: o.refundResult(gateway.RefundRequest{GatewayPaymentID: gatewayPaymentID}, back), Subject: back.Metadata[metaSubject],
		})
	}
	if err := it.Err(); err != nil {
		res.Outcome, res.Refunds = o.problem(err, ex).Outcome, nil
		return res
	}
	res.Outcome = o.succeeded()
	return res
}

func (o *operation) getRefund(id string) (*sdk.Refund, *problem) {
	return read(o, func(p sdk.Params) (*sdk.Refund, error) {
		return o.c.refunds.Get(id, &sdk.RefundParams{Params: p})
	})
}

// refundResult reports a refund as it stands.
func (o *operation) refundResult(r gateway.RefundRequest, back *sdk.Refund) gateway.RefundResult {
	res := gateway.RefundResult{RefundID: back.ID}
	if of := back.PaymentIntent; of == nil || r.GatewayPaymentID != "" && of.ID != r.GatewayPaymentID {
		res.Outcome = refusal(codeBadRequest, "the refund "+back.ID+" is of another payment").Outcome
		return res
	}
	switch back.Status {
	case sdk.RefundStatusPending, sdk.RefundStatusRequiresAction:
		res.State = gateway.RefundPending
	case sdk.RefundStatusSucceeded:
		res.State = gateway.RefundSucceeded
	case sdk.RefundStatusFailed:
		res.State = gateway.RefundFailed
	case sdk.RefundStatusCanceled:
		res.State = gateway.RefundCanceled
	}
	amount, err := fromWire(back.Amount, back.Currency)
	if res.State == "" {
		err = fmt.Errorf("refund %s is in the unknown state %q", back.ID, back.Status)
	}
	if err != nil {
		res.State, res.Outcome = "", unreadable(o.requestID, err).Outcome
		return res
	}
	res.Amount, res.Outcome = amount, o.succeeded()
	if back.FailureReason != "" {
		res.Failure = &gateway.Failure{Code: string(back.FailureReason), Message: "The payer's bank did not take the refund."}
	}
	return res
}

// FetchDispute reads a dispute.
func (a *Adapter) FetchDispute(ctx context.Context, acc gateway.Account, disputeID string) (res gateway.DisputeResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "dispute_fetch")
	defer o.end(&res.Outcome)
	d, p := read(o, func(p sdk.Params) (*sdk.Dispute, error) {
		return o.c.disputes.Get(disputeID, &sdk.DisputeParams{Params: p})
	})
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	return o.disputeResult(d)
}

// disputeResult reports a dispute as it stands.
func (o *operation) disputeResult(d *sdk.Dispute) gateway.DisputeResult {
	res := gateway.DisputeResult{DisputeID: d.ID, Reason: string(d.Reason)}
	if d.PaymentIntent != nil {
		res.GatewayPaymentID = d.PaymentIntent.ID
	}
	if e := d.EvidenceDetails; e != nil && e.DueBy > 0 {
		res.EvidenceDueAt = time.Unix(e.DueBy, 0).UTC()
	}
	switch d.Status {
	case sdk.DisputeStatusWarningNeedsResponse, sdk.DisputeStatusWarningUnderReview:
		res.State = gateway.DisputeWarning
	case sdk.DisputeStatusWarningClosed:
		res.State = gateway.DisputeWarningClosed
	case sdk.DisputeStatusNeedsResponse:
		res.State = gateway.DisputeNeedsResponse
	case sdk.DisputeStatusUnderReview:
		res.State = gateway.DisputeUnderReview
	case sdk.DisputeStatusWon:
		res.State = gateway.DisputeWon
	case sdk.DisputeStatusLost:
		res.State = gateway.DisputeLost
	}
	amount, err := fromWire(d.Amount, d.Currency)
	if res.State == "" {
		err = fmt.Errorf("dispute %s is in the unknown state %q", d.ID, d.Status)
	}
	if err != nil {
		res.State, res.Outcome = "", unreadable(o.requestID, err).Outcome
		return res
	}
	res.Amount, res.Outcome = amount, o.succeeded()
	return res
}
