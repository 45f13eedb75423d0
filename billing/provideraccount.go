package billing

import (
	"context"
	"fmt"
	"strings"

	"purser/auth"
	"purser/ent"
	"purser/gateway"
)

// On puts the credentials into an account, as a gateway call needs them.
func (c Credentials) On(a gateway.Account) gateway.Account {
	a.SecretKey, a.PublishableKey = c.SecretKey.Reveal(), c.PublishableKey
	a.MerchantCode, a.InstallationID, a.LegacyMAC, a.Endpoint = c.MerchantCode, c.InstallationID, c.LegacyMAC, c.Endpoint
	if c.MACSecret != "" {
		a.MACSecret = c.MACSecret.Reveal()
	}
	return a
}

// accountMutation is a change of a row that holds a merchant account: an
// organization's provider or one of the operator's.
type accountMutation interface {
	SetSecretHint(text string)
	SetMerchantCode(code string)
	SetAuthType(installation string)
	SetLegacyMAC(take bool)
	SetEndpoint(address string)
	SetMACSecretSealed(sealed []byte)
}

// sealAccount puts the parts of an account beside its keys into its row. Of
// what is both name and password only the name is hinted at: passwords are too
// short to show an end of.
func (s *Service) sealAccount(m accountMutation, at auth.Place, c Credentials) error {
	if c.MerchantCode == "" {
		return nil
	}
	user, _, _ := strings.Cut(c.SecretKey.Reveal(), ":")
	m.SetSecretHint(user + ":…")
	m.SetMerchantCode(c.MerchantCode)
	m.SetAuthType(c.InstallationID)
	m.SetLegacyMAC(c.LegacyMAC)
	m.SetEndpoint(c.Endpoint)
	if c.MACSecret == "" {
		return nil
	}
	at.Column = columnMACSecret
	sealed, err := s.sealer.Seal(c.MACSecret, at)
	if err != nil {
		return fmt.Errorf("seal %s of %s: %w", at.Column, at.EntityID, err)
	}
	m.SetMACSecretSealed(sealed)
	return nil
}

// providerPlace is where the secrets of a provider of the viewer's
// organization stand.
func providerPlace(ctx context.Context, id string) auth.Place {
	return auth.Place{OrganizationID: auth.FromContext(ctx).OrganizationID, EntityID: id}
}

// openParts is sealAccount the other way round.
func (s *Service) openParts(p *ent.Provider, a gateway.Account) (gateway.Account, error) {
	a.MerchantCode, a.InstallationID, a.LegacyMAC, a.Endpoint = orEmpty(p.MerchantCode), p.AuthType, p.LegacyMAC, p.Endpoint
	return s.openMAC(a, p.MACSecretSealed, auth.Place{OrganizationID: p.OrganizationID, EntityID: p.ID, Column: columnMACSecret})
}

// openGlobalParts is openParts for an account of the operator's.
func (s *Service) openGlobalParts(g *ent.GlobalProvider, a gateway.Account) (gateway.Account, error) {
	a.MerchantCode, a.InstallationID, a.LegacyMAC, a.Endpoint = orEmpty(g.MerchantCode), g.AuthType, g.LegacyMAC, g.Endpoint
	return s.openMAC(a, g.MACSecretSealed, globalPlace(g, columnMACSecret))
}

func (s *Service) openMAC(a gateway.Account, sealed []byte, at auth.Place) (gateway.Account, error) {
	if len(sealed) == 0 {
		return a, nil
	}
	secret, err := s.sealer.Open(sealed, at)
	if err != nil {
		return gateway.Account{}, err
	}
	a.MACSecret = secret.Reveal()
	return a, nil
}
