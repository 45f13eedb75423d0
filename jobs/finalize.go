package jobs

import (
	"context"

	"purser/billing"
	"purser/gateway"
)

// finalizeInvoice finalizes a draft whose time has come.
func (r *Runner) finalizeInvoice(ctx context.Context, id string) error {
	begun, err := r.Billing.BeginDueFinalization(ctx, id)
	if err != nil || begun == nil || begun.Call == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := gateway.InvoiceResult{Outcome: gateway.Unsupported(begun.Kind, "keep invoices")}
	if invoices, ok := gateway.Capability[gateway.Invoices](r.Gateways, begun.Kind); ok {
		result = invoices.FinalizeInvoice(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishInvoiceFinalization(ctx, begun.ID, result)
}
