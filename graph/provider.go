package graph

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
	"purser/graph/model"
)

// provider is one of the organization's merchant accounts, all of which are
// read once per operation.
func (r *Resolver) provider(ctx context.Context, id string) (*ent.Provider, error) {
	all, err := memoFrom(ctx).providers.get(func() (map[string]*ent.Provider, error) {
		rows, err := r.client().Provider.Query().All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read providers: %w", err)
		}
		out := make(map[string]*ent.Provider, len(rows))
		for _, p := range rows {
			out[p.ID] = p
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	if p := all[id]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("read provider %s: it is gone", id)
}

// capabilities says what the gateway behind a provider can do, by what its
// adapter offers.
func (r *Resolver) capabilities(p *ent.Provider) []model.ProviderCapability {
	a := r.Gateways[gateway.Kind(p.Kind)]
	out := []model.ProviderCapability{}
	for _, c := range []struct {
		name    model.ProviderCapability
		offered func(gateway.Adapter) bool
	}{
		{model.ProviderCapabilityQuotes, offers[gateway.Quotes]},
		{model.ProviderCapabilityInvoices, offers[gateway.Invoices]},
		{model.ProviderCapabilityHostedPayments, offers[gateway.HostedPayments]},
		{model.ProviderCapabilitySavedCards, offers[gateway.SavedCards]},
		{model.ProviderCapabilityCharges, offers[gateway.Charges]},
		{model.ProviderCapabilityRefunds, offers[gateway.Refunds]},
		{model.ProviderCapabilityEvents, func(a gateway.Adapter) bool { return offers[gateway.Events](a) || offers[gateway.Notifications](a) }},
	} {
		if c.offered(a) {
			out = append(out, c.name)
		}
	}
	return out
}

func offers[C any](a gateway.Adapter) bool {
	_, ok := a.(C)
	return ok
}

// credentials takes over keys of an input and finds who checks them.
func (r *Resolver) credentials(in *model.ProviderCredentialsInput) (*billing.Credentials, gateway.Credentials) {
	switch {
	case in == nil || in.Stripe == nil && in.Worldpay == nil:
		return nil, nil
	case in.Worldpay != nil:
		keys, _ := gateway.Capability[gateway.Credentials](r.Gateways, gateway.KindWorldpay)
		return worldpayCredentials(in.Worldpay), keys
	}
	keys, _ := gateway.Capability[gateway.Credentials](r.Gateways, gateway.KindStripe)
	return &billing.Credentials{
		Kind:           gateway.KindStripe,
		SecretKey:      auth.Secret(in.Stripe.SecretKey),
		PublishableKey: in.Stripe.PublishableKey,
		WebhookSecret:  auth.Secret(text(in.Stripe.WebhookSecret)),
	}, keys
}

// worldpayCredentials takes over an account at Worldpay: user name and password
// are given in one, as its own documents have them, or the password alone. What
// is no base64 stays as it is, for the adapter to refuse.
func worldpayCredentials(in *model.WorldpayCredentialsInput) *billing.Credentials {
	login := in.MerchantCode + ":" + text(in.XMLPassword)
	if in.Credential != nil {
		login = ""
		if plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(*in.Credential)); err == nil && in.XMLPassword == nil {
			login = string(plain)
		}
	}
	return &billing.Credentials{
		Kind: gateway.KindWorldpay, SecretKey: auth.Secret(login),
		MerchantCode: in.MerchantCode, InstallationID: text(in.InstallationID), MACSecret: auth.Secret(text(in.MacSecret)), LegacyMAC: in.LegacyMac,
		Endpoint: text(in.Endpoint),
	}
}

// keysOf finds who checks the secrets of an existing provider; nil where
// there is no such provider or its gateway has no keys, which the domain
// refuses in its own words.
func (r *Resolver) keysOf(ctx context.Context, id string) (gateway.Credentials, error) {
	p, err := r.client().Provider.Query().Where(provider.ID(id)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read provider: %w", err)
	}
	keys, _ := gateway.Capability[gateway.Credentials](r.Gateways, gateway.Kind(p.Kind))
	return keys, nil
}

// providerPayload is what a mutation answers about a provider.
func (r *Resolver) providerPayload(ctx context.Context, id string, err error) (*ent.Provider, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	p, err := show(ctx, r.client().Provider.Query().Where(provider.ID(id)), "provider", "Provider")
	return p, u, err
}

// testProvider asks the gateway whether the keys are good, and puts the
// answer into words.
func (r *Resolver) testProvider(ctx context.Context, id string) (accountAnswer, error) {
	account, err := r.Billing.OpenAccount(ctx, id)
	if err != nil {
		return accountAnswer{}, err
	}
	adapter, found := r.Gateways[account.Kind]
	if !found {
		return accountAnswer{message: fmt.Sprintf("accounts at %s are not offered", account.Kind)}, nil
	}
	res := adapter.TestAccount(ctx, account)
	if res.Status == gateway.StatusSucceeded {
		if err := r.Billing.KeepAccount(ctx, id, account.CredentialVersion, res.AccountID); err != nil {
			return accountAnswer{}, err
		}
	}
	return answerOf(res), nil
}

// accountAnswer is what a gateway said about an account, in words a person can
// act on; code is the gateway's own where it refused.
type accountAnswer struct {
	ok      bool
	message string
	code    *string
}

func answerOf(res gateway.AccountResult) accountAnswer {
	chargesDisabled := "charges_disabled"
	switch {
	case res.Status == gateway.StatusSucceeded && !res.ChargesEnabled:
		return accountAnswer{
			message: "The keys are good, but the gateway does not let this account take payments yet: finish its activation there.",
			code:    &chargesDisabled,
		}
	case res.Status == gateway.StatusSucceeded && res.Country == "":
		return accountAnswer{ok: true, message: fmt.Sprintf("The keys are good: account %s.", res.AccountID)}
	case res.Status == gateway.StatusSucceeded:
		return accountAnswer{ok: true, message: fmt.Sprintf("The keys are good: account %s, %s.", res.AccountID, res.Country)}
	case res.Failure != nil && res.Failure.Code != "":
		return accountAnswer{message: res.Failure.Message, code: &res.Failure.Code}
	case res.Failure != nil:
		return accountAnswer{message: res.Failure.Message}
	default:
		return accountAnswer{message: "The gateway did not answer: try again."}
	}
}

// registerWebhook has the gateway send its events to a provider's address.
func (r *Resolver) registerWebhook(ctx context.Context, id string) error {
	begun, err := r.Billing.BeginEndpointRegistration(ctx, id)
	if err != nil {
		return err
	}
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.EndpointResult{Outcome: gateway.Unsupported(begun.Kind, "register webhook addresses")}
	if events, ok := gateway.Capability[gateway.Events](r.Gateways, begun.Kind); ok {
		result = events.RegisterEndpoint(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishEndpointRegistration(ctx, begun.ID, result)
}

// accountDeadline bounds the question whose a provider's keys are.
const accountDeadline = 3 * time.Second

// keepAccount asks the gateway whose a new provider's keys are, and has it
// remembered; what it does not say now is asked again before the keys change.
func (r *Resolver) keepAccount(ctx context.Context, id string) error {
	ctx, cancel := billing.Detached(ctx, accountDeadline)
	defer cancel()
	_, err := r.testProvider(ctx, id)
	return err
}

// accountOf asks the gateway whose new keys of a provider are; empty where it
// does not say. Keys of a wrong form are not sent: the domain refuses them.
func (r *Resolver) accountOf(ctx context.Context, id string, c *billing.Credentials, keys gateway.Credentials) (string, error) {
	if c == nil || keys == nil {
		return "", nil
	}
	account, err := r.Billing.OpenAccount(ctx, id)
	if err != nil {
		_, err = refused(err) // there is no such provider: the domain says so
		return "", err
	}
	if err := r.keepAccount(ctx, id); err != nil {
		return "", err
	}
	account = c.On(account)
	account.CredentialVersion++
	if keys.CheckKeys(account.Environment, account.SecretKey, account.PublishableKey) != nil {
		return "", nil
	}
	ctx, cancel := billing.Detached(ctx, accountDeadline)
	defer cancel()
	return r.Gateways[account.Kind].TestAccount(ctx, account).AccountID, nil
}

// testPayment begins a payment that tries a provider out.
func (r *Resolver) testPayment(ctx context.Context, in model.ProviderTestPaymentInput) (*billing.HostedPayment, error) {
	draft := billing.TestPaymentDraft{ProviderID: in.ID, ReturnURL: text(in.ReturnURL), Key: key(ctx, in.IdempotencyKey)}
	if in.Amount != nil {
		amount, err := minorAmount(in.Amount, "amount")
		if err != nil {
			return nil, err
		}
		draft.Amount = &amount
	}
	return r.Billing.BeginTestPayment(ctx, draft)
}

// pageURL is the page on which a payment waits for its payer, or nil.
func (r *Resolver) pageURL(ctx context.Context, paymentID string) (*string, error) {
	p, err := r.client().Payment.Query().Where(payment.ID(paymentID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payment: %w", err)
	}
	if p.Status != payment.StatusREQUIRES_ACTION || p.ActionURL == "" {
		return nil, nil
	}
	return &p.ActionURL, nil
}

// nextAction is what the payer must do for a payment, or nil.
func (r *Resolver) nextAction(ctx context.Context, p *ent.Payment) (model.NextAction, error) {
	if p.Status != payment.StatusREQUIRES_ACTION {
		return nil, nil
	}
	if p.ActionURL != "" {
		return &model.RedirectAction{URL: p.ActionURL, ExpiresAt: p.ActionExpiresAt}, nil
	}
	secret, err := r.Billing.ClientSecret(p)
	if err != nil || secret == "" {
		return nil, err
	}
	account, err := r.provider(ctx, p.ProviderID)
	if err != nil {
		return nil, err
	}
	publishable, err := r.publishableKey(ctx, account)
	if err != nil {
		return nil, err
	}
	return &model.ClientSecretAction{ClientSecret: secret, PublishableKey: text(publishable)}, nil
}
