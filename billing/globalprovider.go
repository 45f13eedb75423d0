package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/globalprovider"
	"purser/ent/organization"
	"purser/ent/provider"
	"purser/gateway"
)

// GlobalProviderDraft is a new merchant account of the operator.
type GlobalProviderDraft struct {
	Name        string
	Description *string
	Environment organization.Environment
	Credentials Credentials
}

// GlobalProviderChange changes a global provider. What is nil stays.
type GlobalProviderChange struct {
	ID          string
	Name        *string
	Description *string // empty clears
	Credentials *Credentials
	// AccountID is whose the new Credentials are, as the gateway says; empty
	// where it did not say.
	AccountID string
	// WebhookSecret replaces the signing secret alone. The old one stays good
	// beside it for a day.
	WebhookSecret auth.Secret
}

// errOperatorOnly says that a front door let through what only the operator
// may do.
var errOperatorOnly = errors.New("global providers are the operator's")

// operatorPart is what the operator's statements over all organizations are
// made as.
const operatorPart = "operator"

// allProviders returns a context in which the providers of all organizations
// are seen: whether an account of the operator is in use is told by nothing
// else.
func allProviders(ctx context.Context) context.Context { return auth.AllTenants(ctx, operatorPart) }

// CreateGlobalProvider adds a merchant account that the organizations of one
// environment may use, and returns its id. Only the operator may. Refusals:
// REQUIRED, INVALID, TAKEN, PROVIDER_UNSUPPORTED.
func (s *Service) CreateGlobalProvider(ctx context.Context, d GlobalProviderDraft, keys gateway.Credentials) (string, error) {
	if !auth.CanWrite(auth.FromContext(ctx), auth.AreaSystem) {
		return "", errOperatorOnly
	}
	name, err := label(d.Name, "name", "the name", nameMax)
	if err != nil {
		return "", err
	}
	slug, err := providerSlug(name)
	if err != nil {
		return "", err
	}
	description, err := optionalNote(d.Description, "description", "the description")
	if err != nil {
		return "", err
	}
	if err := checkCredentials(keys, &ent.Organization{Environment: d.Environment}, d.Credentials, "credentials"); err != nil {
		return "", err
	}
	id, token := s.newID(prefixGlobalProvider), s.newSecret(webhookTokenBytes)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		// A run before this one whose COMMIT was not answered has made it.
		if done, err := tx.GlobalProvider.Query().Where(globalprovider.ID(id)).Exist(ctx); err != nil || done {
			return err
		}
		if err := tx.globalSlugIsFree(ctx, slug); err != nil {
			return err
		}
		g := &ent.GlobalProvider{ID: id}
		c := tx.GlobalProvider.Create().
			SetID(id).SetSlug(slug).SetName(name).SetNillableDescription(description).
			SetKind(globalprovider.Kind(d.Credentials.Kind)).SetEnvironment(globalprovider.Environment(d.Environment)).
			SetWebhookToken(token).SetCreatedAt(tx.Now)
		sealed, err := s.sealGlobal(g, columnSecret, d.Credentials.SecretKey)
		if err != nil {
			return err
		}
		c.SetSecretSealed(sealed).SetSecretHint(auth.Hint(d.Credentials.SecretKey.Reveal())).
			SetNillablePublishableKey(nonEmpty(d.Credentials.PublishableKey))
		if d.Credentials.WebhookSecret != "" {
			if sealed, err = s.sealGlobal(g, columnWebhookSecret, d.Credentials.WebhookSecret); err != nil {
				return err
			}
			c.SetWebhookSecretSealed(sealed)
		}
		if err := s.sealAccount(c.Mutation(), globalPlace(g, ""), d.Credentials); err != nil {
			return err
		}
		if err := c.Exec(ctx); err != nil {
			return fmt.Errorf("store global provider: %w", err)
		}
		tx.auditGlobal(ctx, "globalProvider.create", id)
		return nil
	})
	return id, err
}

// globalSlugIsFree refuses a slug that any provider has, also one of an
// organization's own: no organization may come to mean another account by it.
func (tx *Tx) globalSlugIsFree(ctx context.Context, slug string) error {
	taken, err := tx.GlobalProvider.Query().Where(globalprovider.Slug(slug)).Exist(ctx)
	if err == nil && !taken {
		taken, err = tx.Provider.Query().Where(provider.Slug(slug)).Exist(allProviders(ctx))
	}
	if err != nil {
		return fmt.Errorf("look for provider %s: %w", slug, err)
	}
	if taken {
		return refuse(CodeTaken, "name", "there is a provider %q already: choose another name", slug)
	}
	return nil
}

// auditGlobal records a change of what belongs to no organization, and so
// stands in no organization's audit: in the log.
func (tx *Tx) auditGlobal(ctx context.Context, action, id string) {
	actor := auth.FromContext(ctx).Actor()
	tx.committed(func() {
		tx.s.log.InfoContext(ctx, "operator's change", slog.String("action", action), slog.String("subject", id), slog.String("actor", actor))
	})
}

func (s *Service) sealGlobal(g *ent.GlobalProvider, column string, secret auth.Secret) ([]byte, error) {
	sealed, err := s.sealer.Seal(secret, globalPlace(g, column))
	if err != nil {
		return nil, fmt.Errorf("seal %s of %s: %w", column, g.ID, err)
	}
	return sealed, nil
}

// UpdateGlobalProvider changes a global provider, for all who use it. New keys
// must be of the same account, and the gateway must say so: what many
// organizations have begun there would otherwise be asked for in vain. Only the
// operator may. Refusals: NOT_FOUND, INVALID, INVALID_STATE,
// PROVIDER_UNSUPPORTED.
func (s *Service) UpdateGlobalProvider(ctx context.Context, c GlobalProviderChange, keys gateway.Credentials) error {
	if !auth.CanWrite(auth.FromContext(ctx), auth.AreaSystem) {
		return errOperatorOnly
	}
	var name string
	if c.Name != nil {
		var err error
		if name, err = label(*c.Name, "name", "the name", nameMax); err != nil {
			return err
		}
	}
	description, err := optionalNote(c.Description, "description", "the description")
	if err != nil {
		return err
	}
	if c.Credentials != nil && c.WebhookSecret != "" && c.Credentials.WebhookSecret != "" {
		return refuse(CodeInvalid, "webhookSecret", "the webhook signing secret is given twice: with the credentials and alone")
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		g, err := tx.GlobalProvider.Query().Where(globalprovider.ID(c.ID)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "global provider", c.ID)
		}
		if g.Status != globalprovider.StatusACTIVE {
			return refuse(CodeInvalidState, "id", "the global provider %s is archived and cannot be changed", g.Name)
		}
		u := tx.GlobalProvider.Update().Where(globalprovider.ID(g.ID), globalprovider.StatusEQ(g.Status), globalprovider.CredentialVersion(g.CredentialVersion))
		if c.Name != nil {
			u.SetName(name)
		}
		if c.Description != nil {
			setOrClear(description, u.SetDescription, u.ClearDescription)
		}
		hook := c.WebhookSecret
		if c.Credentials != nil {
			if err := tx.changeGlobalKeys(u, g, c, keys); err != nil {
				return err
			}
			if c.Credentials.WebhookSecret != "" {
				hook = c.Credentials.WebhookSecret
			}
		}
		if hook != "" {
			if err := tx.changeGlobalWebhookSecret(u, g, hook, keys); err != nil {
				return err
			}
		}
		if len(u.Mutation().Fields())+len(u.Mutation().ClearedFields()) == 0 {
			return nil
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("change global provider %s: %w", g.ID, err)
		}
		tx.auditGlobal(ctx, "globalProvider.update", g.ID)
		return nil
	})
}

func (tx *Tx) changeGlobalKeys(u *ent.GlobalProviderUpdate, g *ent.GlobalProvider, c GlobalProviderChange, keys gateway.Credentials) error {
	cr := c.Credentials
	if string(cr.Kind) != string(g.Kind) {
		return refuse(CodeInvalid, "credentials", "the provider is a %s account: its kind never changes, make another provider", g.Kind)
	}
	if err := checkCredentials(keys, &ent.Organization{Environment: organization.Environment(g.Environment)}, *cr, "credentials"); err != nil {
		return err
	}
	if code := orEmpty(g.MerchantCode); code != cr.MerchantCode {
		return refuse(CodeInvalid, "credentials", "the provider is the merchant %s: make another provider for another one", code)
	}
	switch {
	case c.AccountID == "":
		return refuse(CodeInvalidState, "credentials", "the gateway did not say whose the keys are: they must be good, and allowed to read their account. Try again later")
	case g.GatewayAccountID == "":
		u.SetAccountUnprovenAt(tx.Now)
	case g.GatewayAccountID != c.AccountID:
		return refuse(CodeInvalid, "credentials", "the keys are of the account %s, the provider's are of %s: make another provider for another account", c.AccountID, g.GatewayAccountID)
	}
	sealed, err := tx.s.sealGlobal(g, columnSecret, cr.SecretKey)
	if err != nil {
		return err
	}
	u.SetGatewayAccountID(c.AccountID).SetSecretSealed(sealed).SetSecretHint(auth.Hint(cr.SecretKey.Reveal())).
		SetNillablePublishableKey(nonEmpty(cr.PublishableKey)).AddCredentialVersion(1)
	return tx.s.sealAccount(u.Mutation(), globalPlace(g, ""), *cr)
}

// changeGlobalWebhookSecret is rotateWebhookSecret for a global provider.
func (tx *Tx) changeGlobalWebhookSecret(u *ent.GlobalProviderUpdate, g *ent.GlobalProvider, secret auth.Secret, keys gateway.Credentials) error {
	if keys == nil {
		return unsupportedKind(provider.Kind(g.Kind), "webhookSecret")
	}
	if err := keys.CheckWebhookSecret(secret.Reveal()); err != nil {
		return refuse(CodeInvalid, "webhookSecret", "%v", err)
	}
	if len(g.WebhookSecretSealed) > 0 {
		current, err := tx.s.sealer.Open(g.WebhookSecretSealed, globalPlace(g, columnWebhookSecret))
		if err != nil {
			return err
		}
		if current == secret {
			return nil
		}
		u.SetWebhookSecretPreviousSealed(g.WebhookSecretSealed).SetWebhookSecretPreviousUntil(tx.Now.Add(webhookSecretGrace))
	}
	sealed, err := tx.s.sealGlobal(g, columnWebhookSecret, secret)
	if err != nil {
		return err
	}
	u.SetWebhookSecretSealed(sealed)
	return nil
}

// DeleteGlobalProvider removes a global provider that no organization uses and
// archives one in use, which it reports. Only the operator may. Refusals:
// NOT_FOUND.
func (s *Service) DeleteGlobalProvider(ctx context.Context, id string) (archived bool, err error) {
	if !auth.CanWrite(auth.FromContext(ctx), auth.AreaSystem) {
		return false, errOperatorOnly
	}
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		archived = false
		g, err := tx.GlobalProvider.Query().Where(globalprovider.ID(id)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "global provider", id)
		}
		used, err := tx.Provider.Query().Where(provider.GlobalProviderID(id)).Exist(allProviders(ctx))
		if err != nil {
			return fmt.Errorf("look whether global provider %s is in use: %w", id, err)
		}
		if !used {
			if err := cas(tx.GlobalProvider.Delete().Where(globalprovider.ID(id)).Exec(ctx)); err != nil {
				if database.IsForeignKeyViolation(err) {
					return errRetry // somebody began to use it meanwhile
				}
				return fmt.Errorf("delete global provider %s: %w", id, err)
			}
			tx.auditGlobal(ctx, "globalProvider.delete", id)
			return nil
		}
		archived = true
		if g.Status == globalprovider.StatusARCHIVED {
			return nil
		}
		err = cas(tx.GlobalProvider.Update().Where(globalprovider.ID(id), globalprovider.StatusEQ(g.Status)).SetStatus(globalprovider.StatusARCHIVED).Save(ctx))
		if err != nil {
			return fmt.Errorf("archive global provider %s: %w", id, err)
		}
		tx.auditGlobal(ctx, "globalProvider.archive", id)
		return nil
	})
	return archived, err
}

// usableGlobalProvider reads a global provider that an organization may begin
// something with: an active one of its environment.
func (tx *Tx) usableGlobalProvider(ctx context.Context, id, field string, o *ent.Organization) (*ent.GlobalProvider, error) {
	g, err := tx.GlobalProvider.Query().Where(globalprovider.ID(id)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, field, "global provider", id)
	}
	switch {
	case string(g.Environment) != string(o.Environment):
		return nil, refuse(CodeInvalid, field, "the global provider %s is of %s, the organization of %s", g.Name, g.Environment, o.Environment)
	case g.Status != globalprovider.StatusACTIVE:
		return nil, refuse(CodeInvalidState, field, "the global provider %s is archived", g.Name)
	}
	return g, nil
}

// OpenGlobalAccount opens a global provider's secrets for one question to its
// gateway. The result must not be kept, stored or logged.
func (s *Service) OpenGlobalAccount(ctx context.Context, id string) (gateway.Account, error) {
	g, err := s.read.GlobalProvider.Query().Where(globalprovider.ID(id)).Only(ctx)
	if err != nil {
		return gateway.Account{}, orNotFound(err, "id", "global provider", id)
	}
	return s.globalAccount(g)
}

func (s *Service) globalAccount(g *ent.GlobalProvider) (gateway.Account, error) {
	secret, err := s.sealer.Open(g.SecretSealed, globalPlace(g, columnSecret))
	if err != nil {
		return gateway.Account{}, err
	}
	return s.openGlobalParts(g, gateway.Account{
		ProviderID: g.ID, Kind: gateway.Kind(g.Kind), Environment: gateway.Environment(g.Environment),
		CredentialVersion: g.CredentialVersion, SecretKey: secret.Reveal(), PublishableKey: orEmpty(g.PublishableKey),
	})
}

// KeepGlobalAccount remembers whose a global provider's keys are, as the
// gateway says; the first answer stays. It may be called any number of times.
func (s *Service) KeepGlobalAccount(ctx context.Context, id string, version int, accountID string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.GlobalProvider.Update().
			Where(globalprovider.ID(id), globalprovider.CredentialVersion(version), globalprovider.GatewayAccountID("")).
			SetGatewayAccountID(accountID).Save(ctx)
		if err != nil {
			return fmt.Errorf("keep account of global provider %s: %w", id, err)
		}
		return nil
	})
}

// GlobalWebhookURL is where a global provider's gateway must send its events.
func (s *Service) GlobalWebhookURL(g *ent.GlobalProvider) string {
	return s.publicLink("webhooks", "global", g.WebhookToken)
}
