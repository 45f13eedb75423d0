package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycustomer"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/gateway"
)

// keepCustomer remembers the gateway's name for a payer; the first one stays
// until it is deleted there, and is not kept again afterwards: what was begun
// with it may still be told of.
func (tx *Tx) keepCustomer(ctx context.Context, providerID, payerID, customerID string) error {
	if payerID == "" || customerID == "" {
		return nil
	}
	known, err := tx.GatewayCustomer.Query().Where(gatewaycustomer.ProviderID(providerID), gatewaycustomer.PayerID(payerID),
		gatewaycustomer.Or(gatewaycustomer.DeletedAtIsNil(), gatewaycustomer.GatewayCustomerID(customerID))).Exist(ctx)
	if err != nil || known {
		return wrapped(err, "read gateway customer")
	}
	err = tx.GatewayCustomer.Create().
		SetID(tx.s.newID(prefixCustomer)).SetProviderID(providerID).SetPayerID(payerID).
		SetGatewayCustomerID(customerID).SetCreatedAt(tx.Now).Exec(ctx)
	return wrapped(err, "keep gateway customer")
}

// customerRow locks what is known of a gateway's customer; nil for one that
// is not known. Who saves a card of it and who forgets it wait for each other.
func (tx *Tx) customerRow(ctx context.Context, providerID, customerID string) (*ent.GatewayCustomer, error) {
	c, err := tx.GatewayCustomer.Query().
		Where(gatewaycustomer.ProviderID(providerID), gatewaycustomer.GatewayCustomerID(customerID)).
		Unique(false).Modify(tx.forUpdate).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return c, wrapped(err, "read gateway customer")
}

// savedAs is the state of a card that was saved: one whose customer was deleted
// at the gateway since has gone with it.
func (tx *Tx) savedAs(ctx context.Context, providerID, customerID string) (paymentmethod.Status, error) {
	c, err := tx.customerRow(ctx, providerID, customerID)
	if err == nil && c != nil && c.DeletedAt != nil {
		return paymentmethod.StatusDETACHED, nil
	}
	return paymentmethod.StatusACTIVE, err
}

// payerOfCustomer finds whose a gateway's customer is: by its id, else by the
// payer that it was made for. It is "" for nobody's.
func (s *Service) payerOfCustomer(ctx context.Context, providerID, customerID, madeFor string) (string, error) {
	c, err := s.read.GatewayCustomer.Query().
		Where(gatewaycustomer.ProviderID(providerID), gatewaycustomer.GatewayCustomerID(customerID)).Only(ctx)
	if err == nil {
		return c.PayerID, nil
	}
	if !ent.IsNotFound(err) || madeFor == "" {
		return "", wrapped(ent.MaskNotFound(err), "find whose "+customerID+" is")
	}
	id, err := s.read.Payer.Query().Where(payer.ID(madeFor)).OnlyID(ctx)
	return id, wrapped(ent.MaskNotFound(err), "find whose "+customerID+" is")
}

// ApplyCustomer forgets a payer's customer of which the gateway says that it was
// deleted there, so that the next operation makes another. Money that is under
// way is not touched: the gateway tells of it as before. It may be called any
// number of times.
func (s *Service) ApplyCustomer(ctx context.Context, providerID, payerID string, r gateway.CustomerResult) error {
	if r.Status != gateway.StatusSucceeded || !r.Deleted {
		return nil
	}
	id := s.newID(prefixCustomer)
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, err := tx.customerRow(ctx, providerID, r.CustomerID)
		if err != nil {
			return err
		}
		if c != nil {
			return tx.forgetCustomer(ctx, c)
		}
		// The reply to what has made it comes later, or never did.
		err = tx.GatewayCustomer.Create().SetID(id).SetProviderID(providerID).SetPayerID(payerID).
			SetGatewayCustomerID(r.CustomerID).SetCreatedAt(tx.Now).SetDeletedAt(tx.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("note that customer %s is gone: %w", r.CustomerID, err)
		}
		return tx.detachCards(ctx, providerID, payerID, r.CustomerID)
	})
}

// forgetGoneCustomer forgets the customer of a call that the gateway has refused
// because it was deleted: the event that tells so may not have come.
func (tx *Tx) forgetGoneCustomer(ctx context.Context, providerID string, o gateway.Outcome) error {
	if o.Failure == nil || o.Failure.GoneCustomer == "" {
		return nil
	}
	c, err := tx.customerRow(ctx, providerID, o.Failure.GoneCustomer)
	if err != nil || c == nil {
		return err
	}
	return tx.forgetCustomer(ctx, c)
}

func (tx *Tx) forgetCustomer(ctx context.Context, c *ent.GatewayCustomer) error {
	if c.DeletedAt == nil {
		n, err := tx.GatewayCustomer.Update().Where(gatewaycustomer.ID(c.ID), gatewaycustomer.DeletedAtIsNil()).
			SetDeletedAt(tx.Now).Save(ctx)
		if err := cas(n, err); err != nil {
			return fmt.Errorf("forget customer %s: %w", c.GatewayCustomerID, err)
		}
	}
	return tx.detachCards(ctx, c.ProviderID, c.PayerID, c.GatewayCustomerID)
}

// detachCards detaches the saved cards of a customer that is gone.
func (tx *Tx) detachCards(ctx context.Context, providerID, payerID, customerID string) error {
	_, err := tx.PaymentMethod.Update().
		Where(paymentmethod.PayerID(payerID), paymentmethod.ProviderID(providerID), paymentmethod.GatewayCustomerID(customerID),
			paymentmethod.StatusEQ(paymentmethod.StatusACTIVE)).
		SetStatus(paymentmethod.StatusDETACHED).SetIsDefault(false).ClearExpiryNoticeAt().SetUpdatedAt(tx.Now).Save(ctx)
	return wrapped(err, "detach the cards of customer "+customerID)
}
