package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"purser/auth"
	"purser/billing"
	"purser/gateway"
)

// The demo's account at the Worldpay sandbox.
const (
	worldpayName     = "WorldPay"
	worldpaySlug     = "worldpay"
	worldpayMerchant = "PURSERDEMO"
	worldpayPages    = "1234567" // the installation id
)

// sharedSecretLength is that of the passwords and MAC secrets made here, within
// what Worldpay wants.
const sharedSecretLength = 24

// worldpay makes the demo's second provider, where this server has a sandbox
// for it.
func (s *seeder) worldpay(ctx context.Context) error {
	if s.WorldpayURL == "" {
		return nil
	}
	p, err := providerWith(ctx, s.Billing, worldpaySlug)
	if err != nil {
		return err
	}
	if p == nil {
		password, err := auth.NewSecret(s.Random)
		if err != nil {
			return err
		}
		mac, err := auth.NewSecret(s.Random)
		if err != nil {
			return err
		}
		keys, ok := gateway.Capability[gateway.Credentials](s.Gateways, gateway.KindWorldpay)
		if !ok {
			return errors.New("the Worldpay adapter checks no keys")
		}
		description := "A merchant account at the Worldpay sandbox: no money moves"
		_, err = s.Billing.CreateProvider(ctx, billing.ProviderDraft{
			Name: worldpayName, Description: &description,
			Credentials: billing.Credentials{
				Kind: gateway.KindWorldpay, MerchantCode: worldpayMerchant, InstallationID: worldpayPages,
				SecretKey: auth.Secret(worldpayMerchant + ":" + password.Reveal()[:sharedSecretLength]),
				MACSecret: auth.Secret(mac.Reveal()[:sharedSecretLength]),
			},
		}, keys)
		if err != nil {
			return err
		}
	}
	return s.connectWorldpay(ctx)
}

// connectWorldpay tells the sandbox of the demo's merchant and where its
// notifications go, at every start: the server may be reached under another
// address, and the sandbox's file may be new.
func (c Config) connectWorldpay(ctx context.Context) error {
	if c.WorldpayURL == "" {
		return nil
	}
	p, err := providerWith(ctx, c.Billing, worldpaySlug)
	if err != nil || p == nil || p.Status != "ACTIVE" {
		return err
	}
	a, err := c.Billing.OpenAccount(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("open the demo's Worldpay provider: %w", err)
	}
	user, password, _ := strings.Cut(a.SecretKey, ":")
	body, err := json.Marshal(map[string]any{
		"username": user, "password": password, "installation_id": a.InstallationID, "mac_secret": a.MACSecret,
		"notification_url": c.Billing.WebhookURL(Slug, p),
	})
	if err != nil {
		return err
	}
	address := c.WorldpayURL + "/_sandbox/merchants/" + url.PathEscape(a.MerchantCode)
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.SetBasicAuth(user, password)
	response, err := c.HTTP.Do(request)
	if err != nil {
		return fmt.Errorf("tell the Worldpay sandbox of the demo's merchant: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("tell the Worldpay sandbox of the demo's merchant: it answered %s", response.Status)
	}
	return nil
}
