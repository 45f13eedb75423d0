package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/globalprovider"
	"purser/ent/provider"
)

// ClosedProviders lists the active providers whose secrets were sealed with a
// master key that this program was not given: nothing can be paid through
// them. sealed is how many have secrets at all.
//
// It is asked once, at the start, and spans organizations.
func (s *Service) ClosedProviders(ctx context.Context) (closed []string, sealed int, err error) {
	look := func(id string, secrets ...[]byte) {
		known := true
		there := false
		for _, secret := range secrets {
			if len(secret) > 0 {
				there = true
				known = known && s.sealer.Knows(secret)
			}
		}
		if there {
			sealed++
		}
		if !known {
			closed = append(closed, id)
		}
	}
	own, err := s.read.Provider.Query().Where(provider.StatusEQ(provider.StatusACTIVE)).Order(ent.Asc(provider.FieldID)).
		Select(provider.FieldID, provider.FieldSecretSealed, provider.FieldWebhookSecretSealed).All(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("look at the providers' secrets: %w", err)
	}
	for _, p := range own {
		look(p.ID, p.SecretSealed, p.WebhookSecretSealed)
	}
	global, err := s.read.GlobalProvider.Query().Where(globalprovider.StatusEQ(globalprovider.StatusACTIVE)).Order(ent.Asc(globalprovider.FieldID)).
		Select(globalprovider.FieldID, globalprovider.FieldSecretSealed, globalprovider.FieldWebhookSecretSealed).All(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("look at the global providers' secrets: %w", err)
	}
	for _, p := range global {
		look(p.ID, p.SecretSealed, p.WebhookSecretSealed)
	}
	return closed, sealed, nil
}
