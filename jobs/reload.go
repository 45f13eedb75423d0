package jobs

import (
	"context"

	"purser/billing"
	"purser/gateway"
)

// reloadBalance charges the saved card of a balance that has fallen below its
// threshold, or has a page made on which the payer pays. What becomes of a
// request without an answer is asked for as of any other.
func (r *Runner) reloadBalance(ctx context.Context, id string) error {
	begun, err := r.Billing.BeginAutoReload(ctx, id)
	if err != nil || begun == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	if begun.Cancel != nil {
		return r.cancelReload(ctx, begun.Call, *begun.Cancel)
	}
	if begun.Page != nil {
		result := gateway.PaymentResult{Outcome: gateway.Unsupported(begun.Kind, "show a payment page")}
		if pages, ok := gateway.Capability[gateway.HostedPayments](r.Gateways, begun.Kind); ok {
			result = pages.StartHostedPayment(ctx, begun.Account, begun.Call.Call, *begun.Page)
		}
		return r.Billing.FinishPayment(ctx, begun.ID, result)
	}
	result := gateway.PaymentResult{Outcome: gateway.Unsupported(begun.Kind, "charge a saved card")}
	if charges, ok := gateway.Capability[gateway.Charges](r.Gateways, begun.Kind); ok {
		result = charges.ChargeCard(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishPayment(ctx, begun.ID, result)
}

// cancelReload gives up a reload that waits for its payer.
func (r *Runner) cancelReload(ctx context.Context, c *billing.Call, request gateway.CancelRequest) error {
	result := gateway.PaymentResult{Outcome: gateway.Unsupported(c.Kind, "give up a payment")}
	if cancels, ok := gateway.Capability[gateway.Cancels](r.Gateways, c.Kind); ok {
		result = cancels.CancelPayment(ctx, c.Account, c.Call, request)
	}
	return r.Billing.FinishReloadCancel(ctx, c.ID, result)
}
