package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/gateway"
)

// applyInvoice brings an invoice to what the gateway says of it, whoever
// changed it there. It may be called any number of times, in any order.
// errMismatch is returned, and nothing written, when the totals differ, or
// when an invoice was issued there that asks for another amount.
func (tx *Tx) applyInvoice(ctx context.Context, id string, r gateway.InvoiceResult) error {
	inv, err := tx.lockInvoice(ctx, id)
	if err != nil {
		return err
	}
	issued := r.State == gateway.InvoiceOpen || r.State == gateway.InvoicePaid || r.State == gateway.InvoiceUncollectible
	switch known := orEmpty(inv.GatewayInvoiceID); {
	case known == "" && !issued:
		return nil // an attempt that came to nothing; what stands is adopted when it is issued
	case known != "" && r.InvoiceID != known:
		return fmt.Errorf("invoice %s is the gateway's %s, not %q: %w", id, known, r.InvoiceID, errMismatch)
	case r.State != gateway.InvoiceDraft && r.State != "" && r.Total != inv.Total():
		return fmt.Errorf("invoice %s comes to %s, the gateway's %s to %s: %w", id, inv.Total(), r.InvoiceID, r.Total, errMismatch)
	}
	if inv.ProviderID != nil {
		if err := tx.keepCustomer(ctx, *inv.ProviderID, inv.PayerID, r.CustomerID); err != nil {
			return err
		}
	}
	if inv.Status == invoice.StatusDRAFT && issued {
		if r.AmountDue != inv.Total() && !r.PaidOutside {
			return fmt.Errorf("invoice %s comes to %s, the gateway's %s asks for %s: %w", id, inv.Total(), r.InvoiceID, r.AmountDue, errMismatch)
		}
		if err := tx.openInvoice(ctx, inv, r); err != nil {
			return err
		}
		if inv, err = tx.lockInvoice(ctx, id); err != nil {
			return err
		}
	}
	if inv, err = tx.adoptNote(ctx, inv, r); err != nil {
		return err
	}
	switch {
	case r.State == gateway.InvoicePaid:
		return tx.settleInvoice(ctx, inv, r)
	case r.State == gateway.InvoiceVoid && inv.WaivedUnits > 0 && inv.Status != invoice.StatusVOID:
		if inv.WaivedUnits == inv.TotalUnits {
			return nil // it was credited as a whole: nothing is owed either way
		}
		return fmt.Errorf("invoice %s is void at the gateway, and %s of it are credited: %w", id, inv.Credited(), errMismatch)
	case r.State == gateway.InvoiceVoid && inv.Status != invoice.StatusVOID:
		return tx.voidInvoice(ctx, inv)
	}
	if err := tx.endTry(ctx, inv, r); err != nil {
		return err
	}
	// With its last try the invoice may have been given up.
	if inv, err = tx.lockInvoice(ctx, id); err != nil {
		return err
	}
	switch {
	case r.State == gateway.InvoiceUncollectible && inv.Status == invoice.StatusOPEN:
		if err := tx.writeOff(ctx, inv); err != nil {
			return err
		}
		return tx.keepInvoice(ctx, inv, invoice.StatusUNCOLLECTIBLE, r)
	default:
		if err := tx.leadToInvoice(ctx, inv, r); err != nil {
			return err
		}
		return tx.keepInvoice(ctx, inv, inv.Status, r)
	}
}

// leadToInvoice sends the payer of a payment that waits to the invoice's own
// page once the bank has refused: the page of 3-D Secure is over then, and
// the invoice's takes another card. A form of the seller's takes one itself.
func (tx *Tx) leadToInvoice(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) error {
	if r.Payment.Status != gateway.StatusDeclined || r.HostedURL == "" {
		return nil
	}
	waiting, err := tx.Payment.Query().
		Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusREQUIRES_ACTION), payment.ActionURLNEQ(r.HostedURL),
			payment.ActionSecretSealedIsNil()).All(ctx)
	if err != nil {
		return fmt.Errorf("list waiting payments: %w", err)
	}
	for _, p := range waiting {
		err := tx.applyPayment(ctx, p.ID, gateway.PaymentResult{
			Outcome: gateway.Outcome{Status: gateway.StatusActionNeeded}, NextAction: gateway.NextAction{RedirectURL: r.HostedURL},
		})
		if err != nil {
			return err
		}
		p.ActionURL = r.HostedURL
		if err := tx.tellChargeFailed(ctx, inv, p, r.Payment.Failure); err != nil {
			return err
		}
	}
	return nil
}

// keepInvoice stores the gateway's links and sets the time of the next look.
func (tx *Tx) keepInvoice(ctx context.Context, inv *ent.Invoice, to invoice.Status, r gateway.InvoiceResult) error {
	u := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).SetStatus(to)
	switch to {
	case invoice.StatusDRAFT, invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE:
		setInvoiceLinks(u, r)
		u.SetNextCheckAt(tx.Now.Add(invoiceCheckIn(inv.Checks)))
	default:
		u.ClearNextCheckAt()
	}
	if to != inv.Status {
		u.SetUpdatedAt(tx.Now)
		tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	}
	if err := cas(u.Save(ctx)); err != nil || to == inv.Status {
		return err
	}
	return tx.subscriptionInvoiceChanged(ctx, inv.ID)
}

// ApplyInvoice brings an invoice to what the gateway said when asked. It may
// be called any number of times; a gateway that said nothing changes nothing.
func (s *Service) ApplyInvoice(ctx context.Context, id string, r gateway.InvoiceResult) error {
	if !r.Known() {
		return nil
	}
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.applyInvoice(ctx, id, r)
	})
}

// DueInvoice is an invoice whose gateway is asked how it stands.
type DueInvoice struct {
	InvoiceID        string
	GatewayInvoiceID string
	Account          gateway.Account
}

// InvoiceToCheck returns what must be asked of the gateway to know how an
// invoice stands; nil when it is settled or only ours.
func (s *Service) InvoiceToCheck(ctx context.Context, id string) (*DueInvoice, error) {
	inv, err := s.read.Invoice.Query().Where(invoice.ID(id)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "id", "invoice", id)
	}
	if inv.GatewayInvoiceID == nil || inv.ProviderID == nil || inv.Status == invoice.StatusPAID || inv.Status == invoice.StatusVOID {
		return nil, nil
	}
	account, err := s.OpenAccount(ctx, *inv.ProviderID)
	if err != nil {
		return nil, err
	}
	return &DueInvoice{InvoiceID: id, GatewayInvoiceID: *inv.GatewayInvoiceID, Account: account}, nil
}

// DueInvoices lists invoices of the viewer's organization that nobody has
// told anything about for too long, the longest waiting first.
func (s *Service) DueInvoices(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Invoice.Query().Where(invoiceDue(s.now(ctx))).
		Order(ent.Asc(invoice.FieldNextCheckAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due invoices: %w", err)
	}
	return ids, nil
}

// ClaimInvoice is ClaimPayment for an invoice.
func (s *Service) ClaimInvoice(ctx context.Context, id string) (*DueInvoice, error) {
	claimed := false
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		claimed = false
		inv, err := tx.Invoice.Query().Where(invoice.ID(id), invoiceDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read invoice %s: %w", id, err)
		}
		n, err := tx.Invoice.Update().Where(invoice.ID(id), invoiceDue(tx.Now)).
			SetNextCheckAt(tx.Now.Add(invoiceCheckIn(inv.Checks + 1))).AddChecks(1).Save(ctx)
		claimed = n == 1
		return err
	})
	if err != nil || !claimed {
		return nil, err
	}
	return s.InvoiceToCheck(ctx, id)
}
