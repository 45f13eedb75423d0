package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/gateway"
)

// InvoiceVoid is a begun voiding; without a Call there is nothing to ask.
// Draft says that the gateway deletes its draft instead of voiding it.
type InvoiceVoid struct {
	InvoiceID string
	*Call
	GatewayInvoiceID string
	Draft            bool
}

// BeginInvoiceVoid takes an invoice back for ever, here at once when no
// gateway keeps it.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) BeginInvoiceVoid(ctx context.Context, id string) (*InvoiceVoid, error) {
	op, err := s.newOperation("invoiceVoid", nil, keyOptional, id)
	if err != nil {
		return nil, err
	}
	callID := s.newID(prefixCall)
	out := InvoiceVoid{InvoiceID: id}
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			found = earlier.CallID
			return nil
		}
		inv, err := tx.lockInvoice(ctx, id)
		if err != nil {
			return err
		}
		found = ""
		if inv.Status == invoice.StatusVOID {
			return nil
		}
		if err := tx.invoiceIs(ctx, inv, invoice.StatusDRAFT, invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE); err != nil {
			return err
		}
		if inv.CreditedUnits > 0 {
			return refuse(CodeInvalidState, "id", "a part of the invoice is credited: credit the rest with creditNoteCreate")
		}
		if err := tx.noPaymentUnderWay(ctx, inv); err != nil {
			return err
		}
		if inv.GatewayInvoiceID == nil {
			if err := tx.voidInvoice(ctx, inv); err != nil {
				return err
			}
			return tx.remember(ctx, op, id, "", "")
		}
		found, out.GatewayInvoiceID, out.Draft = callID, *inv.GatewayInvoiceID, inv.Status == invoice.StatusDRAFT
		kind := gatewaycall.OperationINVOICE_VOID
		if out.Draft {
			kind = gatewaycall.OperationINVOICE_DISCARD
		}
		if err := tx.openCall(ctx, callID, *inv.ProviderID, kind, id, out.GatewayInvoiceID); err != nil {
			return err
		}
		if err := tx.reserveInvoice(ctx, inv, callID); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// FinishInvoiceVoid applies the outcome of a voiding. It may be called any
// number of times.
func (s *Service) FinishInvoiceVoid(ctx context.Context, callID string, r gateway.InvoiceResult) error {
	return s.finishInvoice(ctx, callID, r, func(ctx context.Context, tx *Tx, id string) error {
		inv, err := tx.lockInvoice(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case r.State != "" && r.State != gateway.InvoiceVoid:
			return tx.applyInvoice(ctx, id, r) // the payer was quicker
		case inv.Status == invoice.StatusVOID:
			return nil
		}
		return tx.voidInvoice(ctx, inv)
	})
}

// voidInvoice moves an invoice to VOID, takes back what finalizing it booked,
// and gives up the payments that have not succeeded: none can any more.
func (tx *Tx) voidInvoice(ctx context.Context, inv *ent.Invoice) error {
	if inv.Status == invoice.StatusPAID {
		return fmt.Errorf("void invoice %s: it is paid: %w", inv.ID, errMismatch)
	}
	if err := tx.takeBackWriteOff(ctx, inv); err != nil {
		return err
	}
	if inv.Status != invoice.StatusDRAFT {
		if err := tx.reverseInvoice(ctx, inv); err != nil {
			return err
		}
	}
	n, err := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).
		SetStatus(invoice.StatusVOID).SetVoidedAt(tx.Now).SetAmountDueUnits(0).
		ClearPendingCallID().ClearNextCheckAt().ClearNextAttemptAt().ClearFinalizesAt().ClearHostedURL().SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("void invoice %s: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	if err := tx.cancelPayments(ctx, inv.ID, payment.StatusREQUIRES_ACTION, payment.StatusPROCESSING); err != nil {
		return err
	}
	return tx.subscriptionInvoiceChanged(ctx, inv.ID)
}
