package billing

import (
	"context"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/gateway"
	"purser/money"
)

// beginDirectCharge stores the charge of a saved card for an invoice that is
// only ours. The payment, while it is PROCESSING, keeps everybody else away.
func (tx *Tx) beginDirectCharge(ctx context.Context, inv *ent.Invoice, d InvoicePayDraft, id, callID string) (*gateway.ChargeRequest, error) {
	if inv.ProviderID == nil || !money.IsISO(inv.Currency) {
		return nil, refuse(CodeProviderUnsupported, "id", "the invoice has no provider that could charge a card: note a payment made elsewhere with outOfBand")
	}
	card, p, back, err := tx.cardPayment(ctx, inv, d, id, callID)
	if err != nil {
		return nil, err
	}
	request := directCharge(inv, p, card)
	request.ReturnURL = back
	return request, tx.openCall(ctx, callID, p.ProviderID, gatewaycall.OperationCHARGE, id, request)
}

// directCharge is what a gateway is asked for that keeps no invoices.
func directCharge(inv *ent.Invoice, p *ent.Payment, card *ent.PaymentMethod) *gateway.ChargeRequest {
	return &gateway.ChargeRequest{
		CustomerID: orEmpty(card.GatewayCustomerID), PaymentMethodID: orEmpty(card.GatewayID),
		SchemeReference: card.SchemeReference, Amount: p.Amount(), OrderCode: p.OrderCode,
		Description: "Invoice " + orEmpty(inv.Number),
	}
}

// takesPayment refuses what the gateway of an invoice that is only ours could
// not be asked for.
func takesPayment(inv *ent.Invoice, account *ent.Provider) error {
	if err := chargeable(inv.AmountDue(), account.Kind, "id"); err != nil {
		return err
	}
	if least, known := gatewayMinimum(inv.Currency, account.Kind); known && inv.AmountDueUnits < least.Units {
		return refuse(CodeBelowMinimum, "id", "the gateway takes no less than %s: note a payment made elsewhere with outOfBand", least)
	}
	return nil
}

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
	if err := tx.creditInvoicePayment(ctx, inv, p, r.Payment.GatewayPaymentID); err != nil {
		return err
	}
	return tx.markPaid(ctx, inv, r.Payment.ReceiptURL)
}
