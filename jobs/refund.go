package jobs

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/gateway"
)

func (r *Runner) resumeRefund(ctx context.Context, d billing.DueCall) error {
	refunds, ok := gateway.Capability[gateway.Refunds](r.Gateways, d.Kind)
	if !ok {
		return fmt.Errorf("%s gives no money back", d.Kind)
	}
	request, err := requestOf[gateway.RefundRequest](d)
	if err != nil {
		return err
	}
	return r.Billing.FinishRefund(ctx, d.ID, refunds.RefundPayment(ctx, d.Account, d.Call.Call, request))
}

func (r *Runner) checkRefund(ctx context.Context, id string) error {
	due, err := r.Billing.ClaimRefund(ctx, id)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := r.Gateways.FetchRefund(ctx, due.Account, due.Request, due.GatewayRefundID)
	return r.Billing.ApplyRefund(ctx, due.PaymentID, due.RefundID, result)
}

func (r *Runner) checkDispute(ctx context.Context, id string) error {
	due, err := r.Billing.ClaimDispute(ctx, id)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	return r.Billing.ApplyDispute(ctx, due.PaymentID, r.Gateways.FetchDispute(ctx, due.Account, due.GatewayDisputeID))
}
