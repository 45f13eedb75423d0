package billing

import (
	"context"

	"purser/ent"
	"purser/ent/payment"
	"purser/gateway"
)

// settleDirect books a payment that was charged for an invoice which is only
// ours. Money for an invoice that needs none any more is the payer's: it goes
// to the balance.
func (tx *Tx) settleDirect(ctx context.Context, p *ent.Payment, r gateway.PaymentResult) error {
	inv, err := tx.lockInvoice(ctx, orEmpty(p.InvoiceID))
	if err != nil || inv.GatewayInvoiceID != nil {
		return err
	}
	if !unpaidStatus(inv.Status) || inv.AmountDue() != p.Amount() {
		_, err := tx.creditTopUp(ctx, p, r.Payment.GatewayPaymentID)
		return err
	}
	if err := tx.takeBackWriteOff(ctx, inv); err != nil {
		return err
	}
	if err := tx.cancelPayments(ctx, inv.ID, p.ID, payment.StatusREQUIRES_ACTION); err != nil {
		return err
	}
	if err := tx.creditInvoicePayment(ctx, inv, p, r.Payment.GatewayPaymentID); err != nil {
		return err
	}
	return tx.markPaid(ctx, inv, r.Payment.ReceiptURL)
}
