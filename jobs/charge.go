package jobs

import (
	"context"

	"purser/billing"
	"purser/gateway"
)

// chargeInvoice charges the saved card of an invoice's payer. What becomes of a
// request without an answer is asked for as of any other.
func (r *Runner) chargeInvoice(ctx context.Context, id string) error {
	begun, err := r.Billing.BeginDueCharge(ctx, id)
	if err != nil || begun == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	if begun.Direct != nil {
		result := gateway.PaymentResult{Outcome: gateway.Unsupported(begun.Kind, "charge a saved card")}
		if charges, ok := gateway.Capability[gateway.Charges](r.Gateways, begun.Kind); ok {
			result = charges.ChargeCard(ctx, begun.Account, begun.Call.Call, *begun.Direct)
		}
		return r.Billing.FinishPayment(ctx, begun.ID, result)
	}
	result := gateway.InvoiceResult{Outcome: gateway.Unsupported(begun.Kind, "keep invoices")}
	if invoices, ok := gateway.Capability[gateway.Invoices](r.Gateways, begun.Kind); ok {
		result = invoices.PayInvoice(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishInvoicePayment(ctx, begun.ID, result)
}
