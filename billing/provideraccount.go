package billing

import (
	"context"
	"strings"

	"purser/auth"
	"purser/ent"
	"purser/gateway"
)

// On puts the credentials into an account, as a gateway call needs them.
func (c Credentials) On(a gateway.Account) gateway.Account {
	a.SecretKey, a.PublishableKey = c.SecretKey.Reveal(), c.PublishableKey
	a.MerchantCode, a.InstallationID, a.LegacyMAC = c.MerchantCode, c.InstallationID, c.LegacyMAC
	if c.MACSecret != "" {
		a.MACSecret = c.MACSecret.Reveal()
	}
	return a
}

// sealAccount puts the parts of an account beside its keys into a provider's
// row. Of what is both name and password only the name is hinted at: passwords
// are too short to show an end of.
func (s *Service) sealAccount(ctx context.Context, m *ent.ProviderMutation, id string, c Credentials) error {
	if c.MerchantCode == "" {
		return nil
	}
	user, _, _ := strings.Cut(c.SecretKey.Reveal(), ":")
	m.SetSecretHint(user + ":…")
	m.SetMerchantCode(c.MerchantCode)
	m.SetAuthType(c.InstallationID)
	m.SetLegacyMAC(c.LegacyMAC)
	if c.MACSecret == "" {
		return nil
	}
	sealed, err := s.seal(ctx, id, columnMACSecret, c.MACSecret)
	if err != nil {
		return err
	}
	m.SetMACSecretSealed(sealed)
	return nil
}

// openParts is sealAccount the other way round.
func (s *Service) openParts(p *ent.Provider, a gateway.Account) (gateway.Account, error) {
	a.MerchantCode, a.InstallationID, a.LegacyMAC = orEmpty(p.MerchantCode), p.AuthType, p.LegacyMAC
	if len(p.MACSecretSealed) == 0 {
		return a, nil
	}
	var secret auth.Secret
	var err error
	if secret, err = s.open(p, columnMACSecret, p.MACSecretSealed); err != nil {
		return gateway.Account{}, err
	}
	a.MACSecret = secret.Reveal()
	return a, nil
}
