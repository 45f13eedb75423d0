package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/gateway"
)

// endpoint is an address that the sandbox sends events to, as its API shows it.
type endpoint struct {
	ID  string `json:"id"`
	URL string `json:"url"`
}

// Connect sees to it that the sandbox sends the demo provider's events to this
// server: it registers the address where there is none, and moves it where the
// server is reached under another one than at its last start. It does nothing
// where the demo's provider is gone.
func Connect(ctx context.Context, c Config) error {
	inside, err := c.Billing.Inside(ctx, part, Slug)
	if err != nil {
		return fmt.Errorf("enter the demo: %w", err)
	}
	if err := c.connectWorldpay(inside); err != nil {
		return err
	}
	p, err := account(inside, c.Billing)
	if err != nil || p == nil || p.Status != "ACTIVE" {
		return err
	}
	a, err := c.Billing.OpenAccount(inside, p.ID)
	if err != nil {
		return fmt.Errorf("open the demo's provider: %w", err)
	}
	address := c.Billing.WebhookURL(Slug, p)
	known, err := c.endpoints(inside, a, "/webhooks/"+Slug+"/"+p.WebhookToken)
	if err != nil {
		return err
	}
	if len(p.WebhookSecretSealed) > 0 && len(known) > 0 {
		for _, e := range known {
			if e.URL == address {
				continue
			}
			if err := c.ask(inside, a, http.MethodPost, pathEndpoints+"/"+e.ID, url.Values{"url": {address}}, nil); err != nil {
				return fmt.Errorf("move the sandbox's events to %s: %w", address, err)
			}
		}
		return nil
	}
	// One whose secret was never stored sends what nobody can verify.
	for _, e := range known {
		if err := c.ask(inside, a, http.MethodDelete, pathEndpoints+"/"+e.ID, nil, nil); err != nil {
			return fmt.Errorf("remove a forgotten address of the sandbox's events: %w", err)
		}
	}
	return c.register(inside, a, p.ID, address)
}

// register asks for events and keeps the secret they are signed with.
func (c Config) register(ctx context.Context, a gateway.Account, providerID, address string) error {
	events, ok := gateway.Capability[gateway.Events](c.Gateways, a.Kind)
	keys, alsoOK := gateway.Capability[gateway.Credentials](c.Gateways, a.Kind)
	if !ok || !alsoOK {
		return fmt.Errorf("%s sends no events", a.Kind)
	}
	calling, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	id := "demo-endpoint-" + strings.ToLower(rand.Text())
	result := events.RegisterEndpoint(calling, a, gateway.Call{ID: id, Key: "purser:" + id, Subject: providerID}, gateway.EndpointRequest{URL: address})
	if result.Status != gateway.StatusSucceeded {
		return fmt.Errorf("ask the sandbox for events: %s", describe(result.Outcome))
	}
	err := c.Billing.UpdateProvider(calling, billing.ProviderChange{ID: providerID, WebhookSecret: auth.Secret(result.Secret)}, keys)
	if err != nil {
		return fmt.Errorf("keep the secret of the sandbox's events: %w", err)
	}
	return nil
}

// endpoints lists the account's addresses that lead to a path of ours, on
// whatever host.
func (c Config) endpoints(ctx context.Context, a gateway.Account, path string) ([]endpoint, error) {
	var list struct {
		Data []endpoint `json:"data"`
	}
	if err := c.ask(ctx, a, http.MethodGet, pathEndpoints+"?limit=100", nil, &list); err != nil {
		return nil, fmt.Errorf("list where the sandbox sends events: %w", err)
	}
	var ours []endpoint
	for _, e := range list.Data {
		if strings.HasSuffix(e.URL, path) {
			ours = append(ours, e)
		}
	}
	return ours, nil
}

// answerMax bounds what is read of an answer.
const answerMax = 1 << 20

// How long the start waits for events that are still on their way.
const (
	deliveryTimeout = 5 * time.Second
	deliveryEvery   = 20 * time.Millisecond
)

// delivered waits until the sandbox has sent all events, so that what is shown
// first does not change while somebody looks at it. Events that cannot be
// delivered are the sandbox's to repeat, and no reason not to start.
func (c Config) delivered(ctx context.Context) error {
	p, err := account(ctx, c.Billing)
	if err != nil || p == nil {
		return err
	}
	a, err := c.Billing.OpenAccount(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("open the demo's provider: %w", err)
	}
	for deadline := time.Now().Add(deliveryTimeout); time.Now().Before(deadline); {
		var all struct {
			Deliveries []struct {
				State string `json:"state"`
			} `json:"deliveries"`
		}
		if err := c.ask(ctx, a, http.MethodGet, "/_sandbox/deliveries", nil, &all); err != nil {
			return fmt.Errorf("list the sandbox's events: %w", err)
		}
		pending := false
		for _, d := range all.Deliveries {
			pending = pending || d.State == "PENDING"
		}
		if !pending {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(deliveryEvery):
		}
	}
	return nil
}

// pathEndpoints is where Stripe's API has the addresses of events.
const pathEndpoints = "/v1/webhook_endpoints"

// ask makes one request to the sandbox.
func (c Config) ask(ctx context.Context, a gateway.Account, method, path string, form url.Values, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.SandboxURL+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+a.SecretKey)
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, answerMax))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the sandbox answered %s", response.Status)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return errors.New("the sandbox's answer is not JSON")
	}
	return nil
}

// describe says how a call ended.
func describe(o gateway.Outcome) string {
	if o.Failure != nil {
		return string(o.Status) + ": " + o.Failure.Message
	}
	return string(o.Status)
}
