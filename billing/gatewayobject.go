package billing

import (
	"context"
	"fmt"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewayobject"
	"purser/ent/globalprovider"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
)

// A gateway reports what happens at an account of the operator's to one
// address, whoever's it is. Whose it is is told by our metadata on the object,
// where it carries any, else by the directory of such objects. Neither decides
// about money: what is found is held against what that organization has
// stored.

// keepOwner writes into the directory whose an object at a global provider's
// account is; what has no name yet is left out. It may be called again.
func (tx *Tx) keepOwner(ctx context.Context, p *ent.Provider, objectID string) error {
	if p.GlobalProviderID == nil || objectID == "" {
		return nil
	}
	known, err := tx.GatewayObject.Query().Where(gatewayobject.ID(objectID)).Exist(ctx)
	if err == nil && !known {
		err = tx.GatewayObject.Create().SetID(objectID).SetOrganization(tx.organizationID(ctx)).SetCreatedAt(tx.Now).Exec(ctx)
	}
	if err != nil {
		return fmt.Errorf("keep whose %s is: %w", objectID, err)
	}
	return nil
}

// keepOwnerAt is keepOwner for a provider that was not read.
func (tx *Tx) keepOwnerAt(ctx context.Context, providerID, objectID string) error {
	if objectID == "" {
		return nil
	}
	p, err := tx.Provider.Query().Where(provider.ID(providerID), provider.GlobalProviderIDNotNil()).Only(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read provider %s: %w", providerID, err)
	}
	return tx.keepOwner(ctx, p, objectID)
}

// GlobalWebhookTarget finds the global provider that a webhook's address
// names.
//
// Codes: NOT_FOUND.
func (s *Service) GlobalWebhookTarget(ctx context.Context, token string) (*WebhookTarget, error) {
	g, err := s.read.GlobalProvider.Query().Where(globalprovider.WebhookToken(token)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "", "provider", "")
	}
	secrets, err := s.globalWebhookSecrets(g)
	if err != nil {
		return nil, err
	}
	return &WebhookTarget{
		GlobalProviderID: g.ID, Kind: gateway.Kind(g.Kind), Live: g.Environment == globalprovider.EnvironmentLIVE, Secrets: secrets,
	}, nil
}

func (s *Service) globalWebhookSecrets(g *ent.GlobalProvider) ([]string, error) {
	stored := [][]byte{g.WebhookSecretSealed}
	if until := g.WebhookSecretPreviousUntil; until != nil && s.machine().Before(*until) {
		stored = append(stored, g.WebhookSecretPreviousSealed)
	}
	var secrets []string
	for _, sealed := range stored {
		if len(sealed) == 0 {
			continue
		}
		secret, err := s.sealer.Open(sealed, globalPlace(g, columnWebhookSecret))
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret.Reveal())
	}
	return secrets, nil
}

// EventOwner finds whose an event at a global provider's account is: a context
// inside the organization and its provider. The provider is empty for an event
// about nothing that any organization has made through the account.
func (s *Service) EventOwner(ctx context.Context, part, globalProviderID string, o gateway.Object) (inside context.Context, providerID string, err error) {
	id := o.OrganizationID
	if id == "" {
		// A refund or a dispute is whose its payment is.
		row, err := s.read.GatewayObject.Query().Where(gatewayobject.IDIn(named([]string{o.ID, o.PaymentID})...)).
			Order(ent.Asc(gatewayobject.FieldID)).First(ctx)
		if ent.IsNotFound(err) {
			return ctx, "", nil
		}
		if err != nil {
			return ctx, "", fmt.Errorf("look up whose %s is: %w", o.ID, err)
		}
		id = row.Organization
	}
	owner, err := s.read.Organization.Query().Where(organization.ID(id)).Only(auth.AllTenants(ctx, part))
	if ent.IsNotFound(err) {
		return ctx, "", nil
	}
	if err != nil {
		return ctx, "", fmt.Errorf("look up organization %s: %w", id, err)
	}
	inside = auth.NewContext(ctx, &auth.Viewer{
		Internal: part, OrganizationID: id, OrganizationSlug: owner.Slug, Permission: auth.PermissionReadWrite,
	})
	q := s.read.Provider.Query().Where(provider.GlobalProviderID(globalProviderID))
	if o.ProviderID != "" {
		q.Where(provider.ID(o.ProviderID))
	}
	// Where an organization uses the account twice and the object does not say
	// through which, its payment does.
	ids, err := q.Order(ent.Asc(provider.FieldID)).IDs(inside)
	if err != nil {
		return ctx, "", fmt.Errorf("look up the provider of %s: %w", o.ID, err)
	}
	switch len(ids) {
	case 0:
		return ctx, "", nil
	case 1:
		return inside, ids[0], nil
	}
	providerID, err = s.providerOfObject(inside, ids, named([]string{o.ID, o.PaymentID}))
	if providerID == "" && err == nil {
		providerID = ids[0]
	}
	return inside, providerID, err
}

// providerOfObject is through which of the providers a payment was made, by
// one of its names; empty where there is none.
func (s *Service) providerOfObject(ctx context.Context, providerIDs, names []string) (string, error) {
	p, err := s.read.Payment.Query().
		Where(payment.ProviderIDIn(providerIDs...), payment.Or(payment.OrderCodeIn(names...), payment.GatewayPaymentIDIn(names...))).First(ctx)
	if err == nil {
		return p.ProviderID, nil
	}
	if !ent.IsNotFound(err) {
		return "", fmt.Errorf("look up payment %s: %w", names, err)
	}
	for _, providerID := range providerIDs { // by the code of one of its tries
		for _, name := range names {
			if id, err := s.paymentOfOrder(ctx, providerID, name); err != nil || id != "" {
				return providerID, err
			}
		}
	}
	return "", nil
}
