package billing

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/globalprovider"
	"purser/ent/organization"
	"purser/ent/provider"
	"purser/gateway"
)

// ProviderDraft is a new merchant account.
type ProviderDraft struct {
	Name        string
	Description *string
	Credentials Credentials
	// GlobalProviderID is set instead of Credentials for an account of the
	// operator's.
	GlobalProviderID string
	// MakeDefault makes it the organization's default provider.
	MakeDefault bool
}

// Credentials are a merchant account's keys. They are sealed before they are
// stored and never shown again.
type Credentials struct {
	Kind           gateway.Kind
	SecretKey      auth.Secret
	PublishableKey string
	// WebhookSecret may be empty: events are refused until there is one.
	WebhookSecret auth.Secret
	// The parts of an account at Worldpay; SecretKey is user name and password.
	MerchantCode   string
	InstallationID string
	MACSecret      auth.Secret // empty: the one before stays
	LegacyMAC      bool
	Endpoint       string // empty: the gateway's own
}

// ProviderChange changes a provider. What is nil stays.
type ProviderChange struct {
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

// Columns that hold sealed secrets, as they stand in an auth.Place.
const (
	columnSecret        = "secret_sealed"
	columnWebhookSecret = "webhook_secret_sealed"
	columnMACSecret     = "mac_secret_sealed"
	columnActionSecret  = "action_secret"
	// The previous secret keeps the place it was sealed for.
)

// webhookSecretGrace is how long the signing secret before the current one
// stays good, so that no event is lost while a gateway changes over.
const webhookSecretGrace = 24 * time.Hour

// webhookTokenBytes is the randomness in a webhook's address.
const webhookTokenBytes = 24

// CreateProvider adds a merchant account and returns its id. The keys are
// checked against the organization's environment by the gateway's own rules; an
// account of the operator's must be of that environment. Refusals: REQUIRED,
// INVALID, TAKEN, NOT_FOUND, INVALID_STATE, PROVIDER_UNSUPPORTED.
func (s *Service) CreateProvider(ctx context.Context, d ProviderDraft, keys gateway.Credentials) (string, error) {
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
	id, token := s.newID(prefixProvider), s.newSecret(webhookTokenBytes)
	var shared *ent.GlobalProvider
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		if d.GlobalProviderID == "" {
			err = checkCredentials(keys, o, d.Credentials, "credentials")
		} else {
			shared, err = tx.usableGlobalProvider(ctx, d.GlobalProviderID, "globalProviderId", o)
		}
		if err != nil {
			return err
		}
		// A run before this one whose COMMIT was not answered has made it.
		if done, err := tx.Provider.Query().Where(provider.ID(id)).Exist(ctx); err != nil || done {
			return err
		}
		if err := tx.slugIsFree(ctx, slug, d.GlobalProviderID); err != nil {
			return err
		}
		c := tx.Provider.Create().
			SetID(id).SetSlug(slug).SetName(name).SetNillableDescription(description).
			SetWebhookToken(token).SetCreatedAt(tx.Now)
		if shared != nil {
			c.SetKind(provider.Kind(shared.Kind)).SetGlobalProviderID(shared.ID)
		} else if err := tx.claimMerchant(ctx, o, d.Credentials); err != nil {
			return err
		} else if err := s.sealCredentials(ctx, c, id, d.Credentials); err != nil {
			return err
		}
		if err := c.Exec(ctx); err != nil {
			return fmt.Errorf("store provider: %w", err)
		}
		if d.MakeDefault || o.DefaultProviderID == nil {
			if err := tx.setDefaultProvider(ctx, id); err != nil {
				return err
			}
		}
		details := map[string]string{"slug": slug, "kind": string(d.Credentials.Kind)}
		if shared != nil {
			details = map[string]string{"slug": slug, "kind": string(shared.Kind), "globalProviderId": shared.ID}
		}
		return tx.audit(ctx, "provider.create", id, details)
	})
	return id, err
}

// sealCredentials puts the keys of a new provider into its row.
func (s *Service) sealCredentials(ctx context.Context, c *ent.ProviderCreate, id string, keys Credentials) error {
	sealed, err := s.seal(ctx, id, columnSecret, keys.SecretKey)
	if err != nil {
		return err
	}
	c.SetKind(provider.Kind(keys.Kind)).SetSecretSealed(sealed).SetSecretHint(auth.Hint(keys.SecretKey.Reveal())).
		SetNillablePublishableKey(nonEmpty(keys.PublishableKey))
	if keys.WebhookSecret != "" {
		if sealed, err = s.seal(ctx, id, columnWebhookSecret, keys.WebhookSecret); err != nil {
			return err
		}
		c.SetWebhookSecretSealed(sealed)
	}
	return s.sealAccount(c.Mutation(), providerPlace(ctx, id), keys)
}

// UpdateProvider changes a merchant account. New keys count from the next
// gateway call on; they must be of the same account, since cards, customers
// and charges under way are that account's. Refusals: NOT_FOUND, INVALID,
// INVALID_STATE, PROVIDER_UNSUPPORTED.
func (s *Service) UpdateProvider(ctx context.Context, c ProviderChange, keys gateway.Credentials) error {
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
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		p, err := tx.Provider.Query().Where(provider.ID(c.ID)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "provider", c.ID)
		}
		if p.Status != provider.StatusACTIVE {
			return refuse(CodeInvalidState, "id", "the provider %s is archived and cannot be changed", p.Name)
		}
		u := tx.Provider.Update().Where(provider.ID(p.ID), provider.StatusEQ(p.Status), provider.CredentialVersion(p.CredentialVersion))
		changes := map[string]string{}
		if c.Name != nil {
			u.SetName(name)
			changes["name"] = name
		}
		if c.Description != nil {
			setOrClear(description, u.SetDescription, u.ClearDescription)
			changes["description"] = "changed"
		}
		hook := c.WebhookSecret
		if cr := c.Credentials; cr != nil {
			if string(cr.Kind) != string(p.Kind) {
				return refuse(CodeInvalid, "credentials", "the provider is a %s account: its kind never changes, make another provider", p.Kind)
			}
			if p.GlobalProviderID != nil {
				return refuse(CodeInvalidState, "credentials", "the provider uses an account of the operator, who alone changes its keys")
			}
			if err := checkCredentials(keys, o, *cr, "credentials"); err != nil {
				return err
			}
			if code := orEmpty(p.MerchantCode); code != cr.MerchantCode {
				return refuse(CodeInvalid, "credentials", "the provider is the merchant %s: make another provider for another one", code)
			}
			if err := tx.sameAccount(ctx, u, p, c.AccountID); err != nil {
				return err
			}
			sealed, err := s.seal(ctx, p.ID, columnSecret, cr.SecretKey)
			if err != nil {
				return err
			}
			u.SetSecretSealed(sealed).SetSecretHint(auth.Hint(cr.SecretKey.Reveal())).
				SetNillablePublishableKey(nonEmpty(cr.PublishableKey)).AddCredentialVersion(1)
			if err := s.sealAccount(u.Mutation(), providerPlace(ctx, p.ID), *cr); err != nil {
				return err
			}
			changes["credentials"] = "rotated"
			if cr.WebhookSecret != "" {
				hook = cr.WebhookSecret
			}
		}
		if hook != "" {
			if p.GlobalProviderID != nil {
				return refuse(CodeInvalidState, "webhookSecret", "the provider uses an account of the operator, who alone changes its secrets")
			}
			if keys == nil {
				return unsupportedKind(p.Kind, "webhookSecret")
			}
			if err := keys.CheckWebhookSecret(hook.Reveal()); err != nil {
				return refuse(CodeInvalid, "webhookSecret", "%v", err)
			}
			rotated, err := tx.rotateWebhookSecret(ctx, u, p, hook)
			if err != nil {
				return err
			}
			if rotated {
				u.SetWebhookEndpointID("") // of which registration it is, only whoever has entered it knows
				changes["webhookSecret"] = "rotated"
			}
		}
		if len(changes) == 0 {
			return nil
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("change provider %s: %w", p.ID, err)
		}
		return tx.audit(ctx, "provider.update", p.ID, changes)
	})
}

// sameAccount refuses keys of another account than the provider's. Where one of
// the two is not known, it refuses them while the gateway owes answers: asked
// for with the keys of another account it would say that nothing happened.
func (tx *Tx) sameAccount(ctx context.Context, u *ent.ProviderUpdate, p *ent.Provider, accountID string) error {
	known := p.GatewayAccountID
	u.SetGatewayAccountID(accountID)
	switch {
	case accountID != "" && accountID == known:
		return nil
	case accountID != "" && known != "":
		return refuse(CodeInvalid, "credentials", "the keys are of the account %s, the provider's are of %s: make another provider for another account", accountID, known)
	case accountID == "":
		open, err := tx.GatewayCall.Query().Where(gatewaycall.ProviderID(p.ID), gatewaycall.StateNEQ(gatewaycall.StateDONE)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("look for calls under way: %w", err)
		}
		if open {
			return refuse(CodeInvalidState, "credentials", "the gateway did not say whose the keys are, and has not answered all requests of this provider yet: try again later")
		}
	}
	u.SetAccountUnprovenAt(tx.Now)
	return nil
}

// keysUnproven says whether a call was begun with keys that may have been
// another account's: what is refused now says nothing about its first try.
func (tx *Tx) keysUnproven(ctx context.Context, c *ent.GatewayCall) (bool, error) {
	p, err := tx.Provider.Query().Where(provider.ID(c.ProviderID)).Only(ctx)
	if err != nil {
		return false, fmt.Errorf("read provider of call %s: %w", c.ID, err)
	}
	if p.GlobalProviderID == nil {
		return p.AccountUnprovenAt != nil && p.AccountUnprovenAt.After(c.CreatedAt), nil
	}
	unproven, err := tx.GlobalProvider.Query().
		Where(globalprovider.ID(*p.GlobalProviderID), globalprovider.AccountUnprovenAtGT(c.CreatedAt)).Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("read global provider of call %s: %w", c.ID, err)
	}
	return unproven, nil
}

// KeepAccount remembers whose a provider's keys are, as the gateway says; the
// first answer stays. It may be called any number of times.
func (s *Service) KeepAccount(ctx context.Context, providerID string, version int, accountID string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.Provider.Update().
			Where(provider.ID(providerID), provider.CredentialVersion(version), provider.GatewayAccountID(""), provider.GlobalProviderIDIsNil()).
			SetGatewayAccountID(accountID).Save(ctx)
		if err != nil {
			return fmt.Errorf("keep account of provider %s: %w", providerID, err)
		}
		return nil
	})
}

// rotateWebhookSecret makes the secret the current one and keeps the one
// before it. Setting the same secret again changes nothing, so that the
// previous one is not lost to a repetition.
func (tx *Tx) rotateWebhookSecret(ctx context.Context, u *ent.ProviderUpdate, p *ent.Provider, secret auth.Secret) (rotated bool, err error) {
	if len(p.WebhookSecretSealed) > 0 {
		current, err := tx.s.open(p, columnWebhookSecret, p.WebhookSecretSealed)
		if err != nil {
			return false, err
		}
		if current == secret {
			return false, nil
		}
		u.SetWebhookSecretPreviousSealed(p.WebhookSecretSealed).SetWebhookSecretPreviousUntil(tx.Now.Add(webhookSecretGrace))
	}
	sealed, err := tx.s.seal(ctx, p.ID, columnWebhookSecret, secret)
	if err != nil {
		return false, err
	}
	u.SetWebhookSecretSealed(sealed)
	return true, nil
}

// DeleteProvider removes a merchant account that nothing refers to and
// archives one in use, which it reports. Refusals: NOT_FOUND.
func (s *Service) DeleteProvider(ctx context.Context, id string) (archived bool, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		archived = false
		p, err := tx.Provider.Query().Where(provider.ID(id)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "provider", id)
		}
		if err := tx.dropDefaultProvider(ctx, id); err != nil {
			return err
		}
		used, err := tx.providerInUse(ctx, id)
		if err != nil {
			return err
		}
		if !used {
			if err := cas(tx.Provider.Delete().Where(provider.ID(id)).Exec(ctx)); err != nil {
				if database.IsForeignKeyViolation(err) {
					return errRetry // somebody began to use it meanwhile
				}
				return fmt.Errorf("delete provider %s: %w", id, err)
			}
			return tx.audit(ctx, "provider.delete", id, map[string]string{"slug": p.Slug})
		}
		archived = true
		if p.Status == provider.StatusARCHIVED {
			return nil
		}
		err = cas(tx.Provider.Update().Where(provider.ID(id), provider.StatusEQ(p.Status)).SetStatus(provider.StatusARCHIVED).Save(ctx))
		if err != nil {
			return fmt.Errorf("archive provider %s: %w", id, err)
		}
		return tx.audit(ctx, "provider.archive", id, map[string]string{"slug": p.Slug})
	})
	return archived, err
}

func (tx *Tx) setDefaultProvider(ctx context.Context, id string) error {
	u := tx.Organization.Update().Where(organization.ID(tx.organizationID(ctx))).SetDefaultProviderID(id)
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("set default provider: %w", err)
	}
	return nil
}

// dropDefaultProvider leaves the organization without a default where it was
// this provider.
func (tx *Tx) dropDefaultProvider(ctx context.Context, id string) error {
	_, err := tx.Organization.Update().
		Where(organization.ID(tx.organizationID(ctx)), organization.DefaultProviderID(id)).
		ClearDefaultProviderID().Save(ctx)
	if err != nil {
		return fmt.Errorf("drop default provider: %w", err)
	}
	return nil
}

// slugIsFree refuses a slug that another provider has, also a global one other
// than the one that is used: an address or a report that names a provider by it
// must mean one account.
func (tx *Tx) slugIsFree(ctx context.Context, slug, globalProviderID string) error {
	taken, err := tx.Provider.Query().Where(provider.Slug(slug)).Exist(ctx)
	if err == nil && !taken {
		taken, err = tx.GlobalProvider.Query().Where(globalprovider.Slug(slug), globalprovider.IDNEQ(globalProviderID)).Exist(ctx)
	}
	if err != nil {
		return fmt.Errorf("look for provider %s: %w", slug, err)
	}
	if taken {
		return refuse(CodeTaken, "name", "there is a provider %q already: choose another name", slug)
	}
	return nil
}

var notInProviderSlug = regexp.MustCompile(`[^a-z0-9_-]`)

// providerSlug makes the short id of a provider out of its name: lower case,
// blanks become underscores.
func providerSlug(name string) (string, error) {
	slug := strings.Join(strings.Fields(strings.ToLower(name)), "_")
	slug = notInProviderSlug.ReplaceAllString(slug, "")
	if slug = strings.Trim(slug, "_-"); slug == "" {
		return "", refuse(CodeInvalid, "name", "the name needs a letter a to z or a digit: the provider's short id is made of it")
	}
	return slug, nil
}

func checkCredentials(keys gateway.Credentials, o *ent.Organization, c Credentials, field string) error {
	at := field + "." + strings.ToLower(string(c.Kind))
	if keys == nil {
		return unsupportedKind(provider.Kind(c.Kind), field)
	}
	check, more := keys.(gateway.AccountCheck)
	if c.PublishableKey == "" && !more {
		return refuse(CodeRequired, at+".publishableKey", "the publishable key is missing")
	}
	if err := keys.CheckKeys(gateway.Environment(o.Environment), c.SecretKey.Reveal(), c.PublishableKey); err != nil {
		return refuse(CodeInvalid, at, "%v", err)
	}
	if more {
		if err := check.CheckAccount(c.On(gateway.Account{Environment: gateway.Environment(o.Environment)})); err != nil {
			return refuse(CodeInvalid, at, "%v", err)
		}
	}
	if c.WebhookSecret == "" {
		return nil
	}
	if err := keys.CheckWebhookSecret(c.WebhookSecret.Reveal()); err != nil {
		return refuse(CodeInvalid, at+".webhookSecret", "%v", err)
	}
	return nil
}

func unsupportedKind(kind provider.Kind, field string) error {
	return refuse(CodeProviderUnsupported, field, "accounts at %s are not offered", kind)
}

func (s *Service) seal(ctx context.Context, id, column string, secret auth.Secret) ([]byte, error) {
	at := providerPlace(ctx, id)
	at.Column = column
	sealed, err := s.sealer.Seal(secret, at)
	if err != nil {
		return nil, fmt.Errorf("seal %s of %s: %w", column, id, err)
	}
	return sealed, nil
}

func (s *Service) open(p *ent.Provider, column string, sealed []byte) (auth.Secret, error) {
	return s.sealer.Open(sealed, auth.Place{OrganizationID: p.OrganizationID, EntityID: p.ID, Column: column})
}

// OpenAccount opens a provider's secrets for one gateway call. The result
// must not be kept, stored or logged. An archived provider opens as well:
// what was begun there must be finished.
func (s *Service) OpenAccount(ctx context.Context, providerID string) (gateway.Account, error) {
	var a gateway.Account
	p, err := s.read.Provider.Query().Where(provider.ID(providerID)).Only(ctx)
	if err != nil {
		return a, orNotFound(err, "providerId", "provider", providerID)
	}
	o, err := s.read.Organization.Query().Where(organization.ID(p.OrganizationID)).Only(ctx)
	if err != nil {
		return a, fmt.Errorf("read organization of provider %s: %w", providerID, err)
	}
	a = gateway.Account{
		OrganizationID: p.OrganizationID, ProviderID: p.ID,
		Kind: gateway.Kind(p.Kind), Environment: gateway.Environment(o.Environment),
		CredentialVersion: p.CredentialVersion, PublishableKey: orEmpty(p.PublishableKey),
	}
	if p.GlobalProviderID != nil {
		g, err := s.globalProvider(ctx, p)
		if err != nil {
			return gateway.Account{}, err
		}
		shared, err := s.globalAccount(g)
		if err != nil {
			return gateway.Account{}, err
		}
		shared.OrganizationID, shared.ProviderID = p.OrganizationID, p.ID
		return shared, nil
	}
	secret, err := s.open(p, columnSecret, p.SecretSealed)
	if err != nil {
		return gateway.Account{}, err
	}
	a.SecretKey = secret.Reveal()
	return s.openParts(p, a)
}

// WebhookSecrets returns the secrets by which a provider's events may be
// signed, the current one first, for a day after a change also the one before;
// none where it has none yet.
func (s *Service) WebhookSecrets(ctx context.Context, p *ent.Provider) ([]string, error) {
	if p.GlobalProviderID != nil {
		return nil, nil // its gateway reports to the operator's address
	}
	stored := [][]byte{p.WebhookSecretSealed}
	if until := p.WebhookSecretPreviousUntil; until != nil && s.now(ctx).Before(*until) {
		stored = append(stored, p.WebhookSecretPreviousSealed)
	}
	var secrets []string
	for _, sealed := range stored {
		if len(sealed) == 0 {
			continue
		}
		secret, err := s.open(p, columnWebhookSecret, sealed)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret.Reveal())
	}
	return secrets, nil
}

func (s *Service) globalProvider(ctx context.Context, p *ent.Provider) (*ent.GlobalProvider, error) {
	g, err := s.read.GlobalProvider.Query().Where(globalprovider.ID(*p.GlobalProviderID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read global provider of %s: %w", p.ID, err)
	}
	return g, nil
}

// globalPlace is where a secret of the installation stands.
func globalPlace(g *ent.GlobalProvider, column string) auth.Place {
	return auth.Place{EntityID: g.ID, Column: column}
}

// ProviderByWebhookToken finds the provider that a webhook's address names,
// or refuses with NOT_FOUND. The viewer is internal and inside the
// organization.
func (s *Service) ProviderByWebhookToken(ctx context.Context, token string) (*ent.Provider, error) {
	p, err := s.read.Provider.Query().Where(provider.WebhookToken(token)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "", "provider", strconv.Itoa(len(token))+" characters")
	}
	return p, nil
}

// WebhookURL is where a provider's gateway must send its events.
func (s *Service) WebhookURL(slug string, p *ent.Provider) string {
	return s.publicLink("webhooks", slug, p.WebhookToken)
}
