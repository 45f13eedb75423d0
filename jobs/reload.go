package jobs

import (
	"context"

	"purser/billing"
	"purser/gateway"
)

// reloadBalance charges the saved card of a balance that has fallen below its
// threshold. What becomes of a charge without an answer is asked for as of any
// other.
func (r *Runner) reloadBalance(ctx context.Context, id string) error {
	begun, err := r.Billing.BeginAutoReload(ctx, id)
	if err != nil || begun == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := gateway.PaymentResult{Outcome: gateway.Unsupported(begun.Kind, "charge a saved card")}
	if charges, ok := gateway.Capability[gateway.Charges](r.Gateways, begun.Kind); ok {
		result = charges.ChargeCard(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishPayment(ctx, begun.ID, result)
}
