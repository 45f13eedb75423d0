package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/refund"
	"purser/gateway"
	"purser/graph/model"
)

// beginRefund takes over the input of paymentRefund.
func (r *Resolver) beginRefund(ctx context.Context, in model.PaymentRefundInput) (*billing.BegunRefund, error) {
	d := billing.RefundDraft{PaymentID: in.ID, Reason: in.Reason, Key: key(ctx, in.IdempotencyKey)}
	if in.Amount != nil {
		amount, err := minorAmount(in.Amount, "amount")
		if err != nil {
			return nil, err
		}
		d.Amount = &amount
	}
	return r.Billing.BeginRefund(ctx, d)
}

// refund asks the gateway for a refund that was begun, where there is anything
// to ask.
func (r *Resolver) refund(ctx context.Context, begun *billing.BegunRefund) error {
	if begun.Call == nil {
		return nil
	}
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.RefundResult{Outcome: gateway.Unsupported(begun.Kind, "give money back")}
	if refunds, ok := gateway.Capability[gateway.Refunds](r.Gateways, begun.Kind); ok {
		result = refunds.RefundPayment(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishRefund(ctx, begun.ID, result)
}

// refundAndPayment shows a refund with the payment that it was taken from.
func (r *Resolver) refundAndPayment(ctx context.Context, refundID, paymentID string) (*ent.Refund, *ent.Payment, error) {
	back, err := show(ctx, r.client().Refund.Query().Where(refund.ID(refundID)), "refund", "Refund")
	if err != nil {
		return nil, nil, err
	}
	p, err := r.payment(ctx, paymentID)
	return back, p, err
}
