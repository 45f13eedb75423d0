package billing

import (
	"context"
	"fmt"

	"purser/ent/balance"
	"purser/ent/invoice"
	"purser/ent/paymentmethod"
)

// LeftBehind is what belongs to a merchant account that is not used for
// anything new: a card is good at the account alone at which it was saved.
type LeftBehind struct {
	ProviderID       string
	SavedCards       int
	AutomaticReloads int
	OpenInvoices     int
}

// Message says what to do, in one sentence for a person.
func (l LeftBehind) Message() string {
	if l.SavedCards+l.AutomaticReloads+l.OpenInvoices == 0 {
		return "Nothing: no card is saved there, and nothing waits to be charged."
	}
	return fmt.Sprintf("%d saved cards cannot be charged through another merchant account: ask their payers to save a card anew. "+
		"Move %d automatic reloads with autoReloadSet; %d invoices that are not paid yet stay payable where they are.",
		l.SavedCards, l.AutomaticReloads, l.OpenInvoices)
}

// LeftBehind counts what belongs to a merchant account.
func (s *Service) LeftBehind(ctx context.Context, providerID string) (*LeftBehind, error) {
	l := &LeftBehind{ProviderID: providerID}
	var err error
	if l.SavedCards, err = s.read.PaymentMethod.Query().
		Where(paymentmethod.ProviderID(providerID), paymentmethod.StatusEQ(paymentmethod.StatusACTIVE)).Count(ctx); err != nil {
		return nil, fmt.Errorf("count cards at %s: %w", providerID, err)
	}
	if l.AutomaticReloads, err = s.read.Balance.Query().
		Where(balance.AutoReloadProviderID(providerID), balance.AutoReloadEnabled(true)).Count(ctx); err != nil {
		return nil, fmt.Errorf("count reloads at %s: %w", providerID, err)
	}
	if l.OpenInvoices, err = s.read.Invoice.Query().
		Where(invoice.ProviderID(providerID), invoice.StatusIn(invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE)).Count(ctx); err != nil {
		return nil, fmt.Errorf("count invoices at %s: %w", providerID, err)
	}
	return l, nil
}

// ChangeOrganization is UpdateOrganization, and says what another default
// merchant account leaves behind at the one before; nil where that stays.
func (s *Service) ChangeOrganization(ctx context.Context, c OrganizationChange) (*LeftBehind, error) {
	before, err := s.read.Organization.Query().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	if err := s.UpdateOrganization(ctx, c); err != nil {
		return nil, err
	}
	if c.DefaultProviderID == nil || before.DefaultProviderID == nil || *before.DefaultProviderID == *c.DefaultProviderID {
		return nil, nil
	}
	return s.LeftBehind(ctx, *before.DefaultProviderID)
}
