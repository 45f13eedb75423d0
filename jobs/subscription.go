package jobs

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/gateway"
)

// renewSubscription does what is due about a subscription. One whose first
// payment has taken too long ends with its invoice.
func (r *Runner) renewSubscription(ctx context.Context, id string) error {
	invoiceID, err := r.Billing.RenewSubscription(ctx, id)
	if err != nil || invoiceID == "" {
		return err
	}
	begun, err := r.Billing.BeginInvoiceVoid(ctx, invoiceID)
	if err != nil || begun.Call == nil {
		return err
	}
	invoices, ok := gateway.Capability[gateway.Invoices](r.Gateways, begun.Kind)
	if !ok {
		return fmt.Errorf("%s keeps no invoices", begun.Kind)
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	if begun.Draft {
		return r.Billing.FinishInvoiceVoid(ctx, begun.ID, invoices.DeleteDraftInvoice(ctx, begun.Account, begun.Call.Call, begun.GatewayInvoiceID))
	}
	return r.Billing.FinishInvoiceVoid(ctx, begun.ID, invoices.VoidInvoice(ctx, begun.Account, begun.Call.Call, begun.GatewayInvoiceID))
}
