package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// The rows that every operation needs, read inside its transaction, with the
// refusal that a caller can act on where there is none.

// organization reads the caller's organization, which must be active.
func (tx *Tx) organization(ctx context.Context) (*ent.Organization, error) {
	o, err := tx.Organization.Query().Where(organization.ID(tx.organizationID(ctx))).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "", "organization", tx.organizationID(ctx))
	}
	if o.Status != organization.StatusACTIVE {
		return nil, refuse(CodeInvalidState, "", "the organization is not active")
	}
	return o, nil
}

// tenant reads the caller's organization whatever its state: what a gateway
// has done already is written also after the organization was closed.
func (tx *Tx) tenant(ctx context.Context) (*ent.Organization, error) {
	o, err := tx.Organization.Query().Where(organization.ID(tx.organizationID(ctx))).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	return o, nil
}

// payer reads a payer; field is where its id stood in the input.
func (tx *Tx) payer(ctx context.Context, id, field string) (*ent.Payer, error) {
	p, err := tx.Payer.Query().Where(payer.ID(id)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, field, "payer", id)
	}
	return p, nil
}

// activePayer reads a payer that may be sold to.
func (tx *Tx) activePayer(ctx context.Context, id, field string) (*ent.Payer, error) {
	p, err := tx.payer(ctx, id, field)
	if err != nil {
		return nil, err
	}
	if p.Status != payer.StatusACTIVE {
		return nil, refuse(CodeInvalidState, field, "the payer is %s", p.Status)
	}
	return p, nil
}

// payerToSell reads an active payer for whom something is about to be made: a
// balance, a quote, an invoice, a payment. It stays active until the
// transaction ends. Who closes it at the same moment either finds what was
// made, or has this transaction run again and be refused.
func (tx *Tx) payerToSell(ctx context.Context, id, field string) (*ent.Payer, error) {
	p, err := tx.activePayer(ctx, id, field)
	if err != nil {
		return nil, err
	}
	return p, tx.keepStatus(ctx, p)
}

// keepStatus holds a payer in the state and the billing mode in which it was
// read until the transaction ends, by writing it.
func (tx *Tx) keepStatus(ctx context.Context, p *ent.Payer) error {
	n, err := tx.Payer.Update().Where(payer.ID(p.ID), payer.StatusEQ(p.Status), payer.BillingModeEQ(p.BillingMode)).
		SetStatus(p.Status).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("keep payer %s %s: %w", p.ID, p.Status, err)
	}
	return nil
}

// usableCurrency reads a currency that the organization sells in.
func (tx *Tx) usableCurrency(ctx context.Context, code, field string) (*ent.Currency, error) {
	c, err := tx.Currency.Query().Where(currency.Code(code)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, refuse(CodeCurrencyMismatch, field, "the organization does not sell in %.12q: add it with currencySet", code)
	}
	if err != nil {
		return nil, err
	}
	if c.Status != currency.StatusACTIVE {
		return nil, refuse(CodeInvalidState, field, "the currency %s is not active", code)
	}
	return c, nil
}

// usableProvider reads the provider with the id, or the organization's
// default when id is empty. It must be active.
func (tx *Tx) usableProvider(ctx context.Context, id, field string) (*ent.Provider, error) {
	if id == "" {
		o, err := tx.organization(ctx)
		if err != nil {
			return nil, err
		}
		if o.DefaultProviderID == nil {
			return nil, refuse(CodeRequired, field, "name a provider: the organization has no default one")
		}
		id = *o.DefaultProviderID
	}
	p, err := tx.Provider.Query().Where(provider.ID(id)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, field, "provider", id)
	}
	if p.Status != provider.StatusACTIVE {
		return nil, refuse(CodeInvalidState, field, "the provider %s is archived", p.Name)
	}
	if p.GlobalProviderID != nil {
		o, err := tx.organization(ctx)
		if err != nil {
			return nil, err
		}
		if _, err := tx.usableGlobalProvider(ctx, *p.GlobalProviderID, field, o); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// chargeable checks that a gateway can take exactly this amount: positive,
// whole minor units, a real currency, a multiple of the gateway's step.
func chargeable(a money.Amount, kind provider.Kind, field string) error {
	switch {
	case a.Sign() <= 0:
		return refuse(CodeInvalid, field, "the amount must be more than zero")
	case !money.IsISO(a.Currency):
		return refuse(CodeProviderUnsupported, field, "%s exists only here and cannot be paid at a gateway", a.Currency)
	}
	if _, err := a.Minor(); err != nil {
		return refusedAmount(err, field)
	}
	scale, err := gateway.Kind(kind).Terms().Scale(a.Currency)
	if err != nil {
		return refusedAmount(err, field)
	}
	if _, err := a.ToGateway(scale); err != nil {
		return refusedAmount(err, field)
	}
	return nil
}

// gatewayMinimum is the smallest amount that a provider's gateway charges in a
// currency; false where none is known.
func gatewayMinimum(currency string, kind provider.Kind) (money.Amount, bool) {
	return gateway.Kind(kind).Terms().Minimum(currency)
}

// tooSmall says whether a gateway would not charge an amount: it would take an
// invoice over so little into the customer's balance, and add it to the next.
func tooSmall(a money.Amount, kind provider.Kind) bool {
	least, known := gatewayMinimum(a.Currency, kind)
	return known && a.Units < least.Units
}
