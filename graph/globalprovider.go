package graph

import (
	"context"
	"fmt"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/ent/globalprovider"
	"purser/gateway"
	"purser/graph/model"
)

// globalProviders are the operator's accounts, of which there are few, read
// once per operation.
func (r *Resolver) globalProviders(ctx context.Context) (map[string]*ent.GlobalProvider, error) {
	return memoFrom(ctx).globalProviders.get(func() (map[string]*ent.GlobalProvider, error) {
		rows, err := r.client().GlobalProvider.Query().All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read global providers: %w", err)
		}
		out := make(map[string]*ent.GlobalProvider, len(rows))
		for _, g := range rows {
			out[g.ID] = g
		}
		return out, nil
	})
}

// globalProvider is the operator's account that a provider uses, or nil.
func (r *Resolver) globalProvider(ctx context.Context, p *ent.Provider) (*ent.GlobalProvider, error) {
	if p.GlobalProviderID == nil {
		return nil, nil
	}
	all, err := r.globalProviders(ctx)
	if err != nil {
		return nil, err
	}
	if g := all[*p.GlobalProviderID]; g != nil {
		return g, nil
	}
	return nil, fmt.Errorf("read global provider %s: it is gone", *p.GlobalProviderID)
}

// publishableKey is a provider's own, or that of the operator's account that
// it uses.
func (r *Resolver) publishableKey(ctx context.Context, p *ent.Provider) (*string, error) {
	g, err := r.globalProvider(ctx, p)
	if err != nil || g == nil {
		return p.PublishableKey, err
	}
	return g.PublishableKey, nil
}

// webhookURL is where the gateway behind a provider sends its events.
func (r *Resolver) webhookURL(ctx context.Context, p *ent.Provider) (string, error) {
	g, err := r.globalProvider(ctx, p)
	if err != nil || g == nil {
		return r.Billing.WebhookURL(auth.FromContext(ctx).OrganizationSlug, p), err
	}
	return r.Billing.GlobalWebhookURL(g), nil
}

// webhookConfigured says whether the events of a provider can be verified.
func (r *Resolver) webhookConfigured(ctx context.Context, p *ent.Provider) (bool, error) {
	g, err := r.globalProvider(ctx, p)
	if err != nil {
		return false, err
	}
	if g != nil {
		return r.globalWebhookConfigured(g), nil
	}
	return len(p.WebhookSecretSealed) > 0 || r.unsigned(gateway.Kind(p.Kind)), nil
}

func (r *Resolver) globalWebhookConfigured(g *ent.GlobalProvider) bool {
	return len(g.WebhookSecretSealed) > 0 || r.unsigned(gateway.Kind(g.Kind))
}

// unsigned says whether a gateway signs no events: they need no secret, since
// they are never believed.
func (r *Resolver) unsigned(kind gateway.Kind) bool {
	return offers[gateway.Notifications](r.Gateways[kind])
}

// globalProviderList is what the operator has, oldest first; an organization
// sees what it can use.
func (r *Resolver) globalProviderList(ctx context.Context) ([]*ent.GlobalProvider, error) {
	q := r.client().GlobalProvider.Query().Order(ent.Asc(globalprovider.FieldID))
	o, err := r.organization(ctx)
	if err != nil {
		return nil, err
	}
	if o != nil {
		q.Where(globalprovider.EnvironmentEQ(globalprovider.Environment(o.Environment)), globalprovider.StatusEQ(globalprovider.StatusACTIVE))
	}
	rows, err := q.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read global providers: %w", err)
	}
	return rows, nil
}

// globalProviderPayload is what a mutation answers about a global provider.
func (r *Resolver) globalProviderPayload(ctx context.Context, id string, err error) (*ent.GlobalProvider, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	g, err := show(ctx, r.client().GlobalProvider.Query().Where(globalprovider.ID(id)), "globalProvider", "GlobalProvider")
	return g, u, err
}

// providerDraft takes over the input of providerCreate: keys, or the
// operator's account to use.
func (r *Resolver) providerDraft(in model.ProviderCreateInput) (billing.ProviderDraft, gateway.Credentials, error) {
	d := billing.ProviderDraft{Name: in.Name, Description: in.Description, MakeDefault: in.MakeDefault}
	credentials, keys := r.credentials(in.Credentials)
	switch {
	case in.GlobalProviderID != nil && in.Credentials != nil:
		return d, nil, badInputf("give either credentials or globalProviderId, not both")
	case in.GlobalProviderID != nil:
		d.GlobalProviderID = *in.GlobalProviderID
	case credentials == nil:
		return d, nil, badInputf("credentials: name the keys of one kind of gateway, or give globalProviderId")
	default:
		d.Credentials = *credentials
	}
	return d, keys, nil
}

// globalProviderChange takes over the input of globalProviderUpdate, and asks
// the gateway whose new keys are.
func (r *Resolver) globalProviderChange(ctx context.Context, in model.GlobalProviderUpdateInput) (billing.GlobalProviderChange, gateway.Credentials, error) {
	credentials, _ := r.credentials(in.Credentials)
	c := billing.GlobalProviderChange{
		ID: in.ID, Name: in.Name, Description: in.Description, Credentials: credentials, WebhookSecret: auth.Secret(text(in.WebhookSecret)),
	}
	account, err := r.Billing.OpenGlobalAccount(ctx, in.ID)
	if err != nil {
		_, err = refused(err) // there is no such provider: the domain says so
		return c, nil, err
	}
	keys, _ := gateway.Capability[gateway.Credentials](r.Gateways, account.Kind)
	if credentials == nil || credentials.Kind != account.Kind || keys == nil || keys.CheckKeys(account.Environment, credentials.SecretKey.Reveal(), credentials.PublishableKey) != nil {
		return c, keys, nil
	}
	if err := r.keepGlobalAccount(ctx, in.ID); err != nil {
		return c, nil, err
	}
	account = credentials.On(account)
	account.CredentialVersion++
	c.AccountID = r.ask(ctx, account).AccountID
	return c, keys, nil
}

// keepGlobalAccount has remembered whose a global provider's keys are, where
// the gateway says.
func (r *Resolver) keepGlobalAccount(ctx context.Context, id string) error {
	account, err := r.Billing.OpenGlobalAccount(ctx, id)
	if err != nil {
		return err
	}
	res := r.ask(ctx, account)
	if res.Status != gateway.StatusSucceeded {
		return nil
	}
	return r.Billing.KeepGlobalAccount(ctx, id, account.CredentialVersion, res.AccountID)
}

// testGlobalProvider is testProvider for an account of the operator's.
func (r *Resolver) testGlobalProvider(ctx context.Context, id string) (accountAnswer, error) {
	account, err := r.Billing.OpenGlobalAccount(ctx, id)
	if err != nil {
		return accountAnswer{}, err
	}
	adapter, found := r.Gateways[account.Kind]
	if !found {
		return accountAnswer{message: fmt.Sprintf("accounts at %s are not offered", account.Kind)}, nil
	}
	res := adapter.TestAccount(ctx, account)
	if res.Status == gateway.StatusSucceeded {
		err = r.Billing.KeepGlobalAccount(ctx, id, account.CredentialVersion, res.AccountID)
	}
	return answerOf(res), err
}

// returnProblem is what was wrong when a browser came back last from the
// provider's pages, or nil.
func returnProblem(p *ent.Provider) *model.ReturnProblem {
	if p.ReturnProblem == "" || p.ReturnProblemAt == nil {
		return nil
	}
	return &model.ReturnProblem{
		Code: model.ReturnProblemCode(p.ReturnProblem), Message: billing.ReturnProblem(p.ReturnProblem).Message(), SeenAt: *p.ReturnProblemAt,
	}
}

// ask asks a gateway whose an account's keys are; an adapter that is not there
// says nothing.
func (r *Resolver) ask(ctx context.Context, account gateway.Account) gateway.AccountResult {
	adapter, found := r.Gateways[account.Kind]
	if !found {
		return gateway.AccountResult{}
	}
	ctx, cancel := billing.Detached(ctx, accountDeadline)
	defer cancel()
	return adapter.TestAccount(ctx, account)
}
