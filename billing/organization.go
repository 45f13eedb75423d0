package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"purser/auth"
	"purser/ent"
	"purser/ent/accesstoken"
	"purser/ent/organization"
	"purser/ent/provider"
	"purser/ent/schema"
	"purser/money"
)

// OrganizationDraft is a new organization.
type OrganizationDraft struct {
	Slug            string
	Name            string
	Environment     organization.Environment
	DefaultCurrency string
	TimeZone        string // UTC where it is empty
	// TestTwinOf is the id of the live organization that this one tries
	// things out for, or empty.
	TestTwinOf string
	// Token is the first access token; one is made where it is nil.
	Token *auth.Token
}

// firstTokenName is what the first access token of an organization is called.
const firstTokenName = "First token"

// CreateOrganization makes an organization with its default currency and its
// first access token (BILLING, ACCOUNT, ADMIN, READ_WRITE), whose value is
// returned and shown only once. Only the operator, and the program itself
// over all tenants, may. Refusals: INVALID, REQUIRED, TAKEN, NOT_FOUND.
func (s *Service) CreateOrganization(ctx context.Context, d OrganizationDraft) (id string, token auth.Token, err error) {
	viewer := auth.FromContext(ctx)
	if !auth.CanWrite(viewer, auth.AreaSystem) {
		return "", token, errors.New("an organization is made by the operator")
	}
	if err := auth.ValidSlug(d.Slug); err != nil {
		return "", token, refuse(CodeInvalid, "slug", "%v", err)
	}
	name, err := label(d.Name, "name", "the name", nameMax)
	if err != nil {
		return "", token, err
	}
	if d.TimeZone == "" {
		d.TimeZone = "UTC"
	}
	if err := checkZone(d.TimeZone, "timeZone"); err != nil {
		return "", token, err
	}
	if err := money.ValidCode(d.DefaultCurrency); err != nil {
		return "", token, refusedAmount(err, "defaultCurrency")
	}
	if !money.IsISO(d.DefaultCurrency) {
		return "", token, refuse(CodeInvalid, "defaultCurrency", "the default currency must be a real one, such as USD")
	}
	if d.Token != nil {
		if d.Token.Slug != d.Slug || d.Token.Kind != auth.KindToken {
			return "", token, fmt.Errorf("the first token is for %s, not for %s", d.Token.Slug, d.Slug)
		}
		token = *d.Token
	} else if token, err = auth.NewToken(d.Slug, s.newID(prefixToken), s.source()); err != nil {
		return "", token, err
	}
	id = s.newID(prefixOrganization)
	currencyID := s.newID(prefixCurrency)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		// A run before this one whose COMMIT was not answered has made it.
		if done, err := tx.Organization.Query().Where(organization.ID(id)).Exist(ctx); err != nil || done {
			return err
		}
		if err := tx.checkNewOrganization(ctx, d); err != nil {
			return err
		}
		c := tx.Organization.Create().
			SetID(id).SetSlug(d.Slug).SetName(name).SetEnvironment(d.Environment).
			SetDefaultCurrency(d.DefaultCurrency).SetTimeZone(d.TimeZone).
			SetAddresses([]schema.Address{}).SetAllowedReturnOrigins([]string{}).
			SetNillableTestTwinOf(nonEmpty(d.TestTwinOf)).
			SetCreatedAt(tx.Now)
		if err := c.Exec(ctx); err != nil {
			return fmt.Errorf("store organization: %w", err)
		}
		// What belongs to the organization is written from inside it.
		inside := auth.Internal(ctx, viewer.Actor(), id)
		err := tx.Currency.Create().
			SetID(currencyID).SetCode(d.DefaultCurrency).
			SetName(d.DefaultCurrency).SetDisplayName(d.DefaultCurrency).
			SetCreatedAt(tx.Now).Exec(inside)
		if err != nil {
			return fmt.Errorf("store default currency: %w", err)
		}
		if err := tx.createToken(inside, token, tokenRights{
			name:       firstTokenName,
			scopes:     []auth.Scope{auth.ScopeBilling, auth.ScopeAccount, auth.ScopeAdmin},
			permission: auth.PermissionReadWrite,
		}); err != nil {
			return err
		}
		return tx.audit(inside, "organization.create", id, map[string]string{"slug": d.Slug, "environment": string(d.Environment)})
	})
	if err != nil {
		return "", auth.Token{}, err
	}
	return id, token, nil
}

// checkNewOrganization compares a draft with the organizations there are.
func (tx *Tx) checkNewOrganization(ctx context.Context, d OrganizationDraft) error {
	taken, err := tx.Organization.Query().Where(organization.Slug(d.Slug)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for organization %s: %w", d.Slug, err)
	}
	if taken {
		return refuse(CodeTaken, "slug", "the short id %q is taken", d.Slug)
	}
	if d.TestTwinOf == "" {
		return nil
	}
	twin, err := tx.Organization.Query().Where(organization.ID(d.TestTwinOf)).Only(ctx)
	switch {
	case err != nil:
		return orNotFound(err, "testTwinOf", "organization", d.TestTwinOf)
	case twin.Environment != organization.EnvironmentLIVE:
		return refuse(CodeInvalid, "testTwinOf", "the organization %s is not LIVE", twin.Slug)
	case d.Environment == organization.EnvironmentLIVE:
		return refuse(CodeInvalid, "environment", "a test twin is in SANDBOX or TEST")
	}
	return nil
}

// SetTokenValue gives an organization's token a value that was chosen
// outside, as the start of a demo does; it makes the token, with all rights,
// where there is none. The viewer is internal and inside the organization.
func (s *Service) SetTokenValue(ctx context.Context, t auth.Token) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		stored, err := tx.AccessToken.Query().Where(accesstoken.ID(t.TokenID())).Only(ctx)
		switch {
		case err == nil && auth.Equal(stored.Digest, auth.Digest(t.Secret.Reveal())) && stored.RevokedAt == nil:
			return nil
		case err == nil:
			// A digest never changes: the token makes way for another.
			if err := cas(tx.AccessToken.Delete().Where(accesstoken.ID(stored.ID)).Exec(ctx)); err != nil {
				return fmt.Errorf("replace token %s: %w", stored.ID, err)
			}
		case !ent.IsNotFound(err):
			return fmt.Errorf("read token: %w", err)
		}
		err = tx.createToken(ctx, t, tokenRights{
			name:       firstTokenName,
			scopes:     []auth.Scope{auth.ScopeBilling, auth.ScopeAccount, auth.ScopeAdmin},
			permission: auth.PermissionReadWrite,
		})
		if err != nil {
			return err
		}
		return tx.audit(ctx, "accessToken.set", t.TokenID(), nil)
	})
}

// OrganizationChange changes an organization's settings. What is nil stays;
// an empty text clears.
type OrganizationChange struct {
	Name                 *string
	DefaultCurrency      *string
	TimeZone             *string
	Country              *string
	Addresses            []schema.Address // nil stays, empty clears
	BillingType          *organization.BillingType
	BillingCycle         *organization.BillingCycle
	TaxModel             *organization.TaxModel
	SupportEmail         *string
	FinanceSupportEmail  *string
	SenderEmail          *string
	TaxID                *string
	NumberPeriod         *organization.NumberPeriod
	ThankYouURL          *string
	ChargingEnabled      *bool
	PayersMayCancel      *bool
	UpcomingChargeDays   *int
	QuotesMailed         *bool
	Dunning              *Dunning
	DueDays              *DueDays
	DefaultProviderID    *string
	AllowedReturnOrigins []string // nil stays, empty clears
}

// Dunning says how failed charges are tried again.
type Dunning struct {
	RetryDays   int
	AttemptsMax int
	Final       organization.DunningFinal
}

// DueDays is how long invoices have to be paid, in days.
type DueDays struct{ Automatic, Send, Usage int }

// Bounds of dunning: days between two tries, and tries; and of due dates.
const (
	dueDaysMax      = 90
	upcomingDaysMax = 60
	dunningDaysMax  = 30
	dunningTriesMax = 10
	originsMax      = 50
)

// UpdateOrganization changes the caller's organization. Refusals: INVALID,
// REQUIRED, NOT_FOUND, CURRENCY_MISMATCH, INVALID_STATE, LIMIT_EXCEEDED.
func (s *Service) UpdateOrganization(ctx context.Context, c OrganizationChange) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		u := &organizationUpdate{tx.Organization.Update().Where(organization.ID(o.ID), organization.StatusEQ(o.Status)), map[string]string{}}
		if err := u.identity(c); err != nil {
			return err
		}
		if err := u.addresses(c, o); err != nil {
			return err
		}
		if err := u.billing(c); err != nil {
			return err
		}
		if err := tx.references(ctx, u, c); err != nil {
			return err
		}
		if len(u.changes) == 0 {
			return nil
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("change organization: %w", err)
		}
		return tx.audit(ctx, "organization.update", o.ID, u.changes)
	})
}

// SetOrganizationStatus has an organization do business, or stop. Nothing new is
// sold, charged or booked for one that is INACTIVE; its data can be read, and
// what gateways report of what was begun is still written. Only the operator
// may. Refusals: NOT_FOUND.
func (s *Service) SetOrganizationStatus(ctx context.Context, id string, status organization.Status) error {
	viewer := auth.FromContext(ctx)
	if !auth.CanWrite(viewer, auth.AreaSystem) {
		return errors.New("the operator decides whether an organization does business")
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		o, err := tx.Organization.Query().Where(organization.ID(id)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "organization", id)
		}
		if o.Status == status {
			return nil
		}
		// What belongs to the organization is written from inside it.
		inside := auth.Internal(ctx, viewer.Actor(), id)
		err = cas(tx.Organization.Update().Where(organization.ID(id), organization.StatusEQ(o.Status)).SetStatus(status).Save(inside))
		if err != nil {
			return fmt.Errorf("set organization %s %s: %w", id, status, err)
		}
		return tx.audit(inside, "organization.status", id, map[string]string{"status": string(status)})
	})
}

// organizationUpdate is an update and what the audit says about it.
type organizationUpdate struct {
	*ent.OrganizationUpdate
	changes map[string]string
}

// identity takes over name, zone, country and the e-mail addresses.
func (u *organizationUpdate) identity(c OrganizationChange) error {
	if c.Name != nil {
		name, err := label(*c.Name, "name", "the name", nameMax)
		if err != nil {
			return err
		}
		u.SetName(name)
		u.changes["name"] = name
	}
	if c.TimeZone != nil {
		if err := checkZone(*c.TimeZone, "timeZone"); err != nil {
			return err
		}
		u.SetTimeZone(*c.TimeZone)
		u.changes["timeZone"] = *c.TimeZone
	}
	if c.Country != nil {
		country, err := optionalCountry(c.Country, "country")
		if err != nil {
			return err
		}
		setOrClear(country, u.SetCountry, u.ClearCountry)
		u.changes["country"] = orEmpty(country)
	}
	for _, e := range []struct {
		value *string
		field string
		set   func(string) *ent.OrganizationUpdate
		clear func() *ent.OrganizationUpdate
	}{
		{c.SupportEmail, "supportEmail", u.SetSupportEmail, u.ClearSupportEmail},
		{c.FinanceSupportEmail, "financeSupportEmail", u.SetFinanceSupportEmail, u.ClearFinanceSupportEmail},
		{c.SenderEmail, "senderEmail", u.SetSenderEmail, u.ClearSenderEmail},
	} {
		if e.value == nil {
			continue
		}
		address, err := optionalEmail(e.value, e.field)
		if err != nil {
			return err
		}
		setOrClear(address, e.set, e.clear)
		u.changes[e.field] = "changed"
	}
	return nil
}

// addresses takes over postal addresses and the addresses of browsers.
func (u *organizationUpdate) addresses(c OrganizationChange, o *ent.Organization) error {
	if c.Addresses != nil {
		if len(c.Addresses) > addressesMax {
			return refuse(CodeLimitExceeded, "addresses", "%d addresses are given, at most %d are allowed", len(c.Addresses), addressesMax)
		}
		kept, primaries := []schema.Address{}, 0
		for i := range c.Addresses {
			a, err := checkAddress(&c.Addresses[i], "addresses."+strconv.Itoa(i))
			if err != nil {
				return err
			}
			if a == nil {
				continue
			}
			if a.IsPrimary {
				primaries++
			}
			kept = append(kept, *a)
		}
		switch {
		case primaries > 1:
			return refuse(CodeInvalid, "addresses", "%d addresses are primary, one is allowed", primaries)
		case primaries == 0 && len(kept) > 0:
			kept[0].IsPrimary = true
		}
		u.SetAddresses(kept)
		u.changes["addresses"] = strconv.Itoa(len(kept))
	}
	if c.ThankYouURL != nil {
		if *c.ThankYouURL != "" {
			if err := checkURL(*c.ThankYouURL, "thankYouUrl", o.Environment); err != nil {
				return err
			}
		}
		setOrClear(nonEmpty(*c.ThankYouURL), u.SetThankYouURL, u.ClearThankYouURL)
		u.changes["thankYouUrl"] = *c.ThankYouURL
	}
	if c.AllowedReturnOrigins != nil {
		if len(c.AllowedReturnOrigins) > originsMax {
			return refuse(CodeLimitExceeded, "allowedReturnOrigins", "%d origins are given, at most %d are allowed", len(c.AllowedReturnOrigins), originsMax)
		}
		origins := []string{}
		for i, s := range c.AllowedReturnOrigins {
			origin, err := checkOrigin(s, "allowedReturnOrigins."+strconv.Itoa(i), o.Environment)
			if err != nil {
				return err
			}
			if !slices.Contains(origins, origin) {
				origins = append(origins, origin)
			}
		}
		u.SetAllowedReturnOrigins(origins)
		u.changes["allowedReturnOrigins"] = strconv.Itoa(len(origins))
	}
	return nil
}

// billing takes over how payers are billed.
func (u *organizationUpdate) billing(c OrganizationChange) error {
	if c.BillingType != nil {
		u.SetBillingType(*c.BillingType)
		u.changes["billingModes"] = string(*c.BillingType)
	}
	if c.BillingCycle != nil {
		u.SetBillingCycle(*c.BillingCycle)
		u.changes["billingCycle"] = string(*c.BillingCycle)
	}
	if c.TaxID != nil {
		id, err := optionalLabel(c.TaxID, "taxId", "the tax number", taxIDMax)
		if err != nil {
			return err
		}
		setOrClear(id, u.SetTaxID, u.ClearTaxID)
		u.changes["taxId"] = orEmpty(id)
	}
	if c.NumberPeriod != nil {
		u.SetNumberPeriod(*c.NumberPeriod)
		u.changes["numberPeriod"] = string(*c.NumberPeriod)
	}
	if c.TaxModel != nil {
		u.SetTaxModel(*c.TaxModel)
		u.changes["taxModel"] = string(*c.TaxModel)
	}
	if c.ChargingEnabled != nil {
		u.SetChargingEnabled(*c.ChargingEnabled)
		u.changes["chargingEnabled"] = strconv.FormatBool(*c.ChargingEnabled)
	}
	if c.PayersMayCancel != nil {
		u.SetPayersMayCancel(*c.PayersMayCancel)
		u.changes["payersMayCancel"] = strconv.FormatBool(*c.PayersMayCancel)
	}
	if days := c.UpcomingChargeDays; days != nil {
		if *days < 0 || *days > upcomingDaysMax {
			return refuse(CodeInvalid, "upcomingChargeDays", "payers are told of a charge 0 to %d days before it", upcomingDaysMax)
		}
		u.SetUpcomingChargeDays(*days)
		u.changes["upcomingChargeDays"] = strconv.Itoa(*days)
	}
	if c.QuotesMailed != nil {
		u.SetQuotesMailed(*c.QuotesMailed)
		u.changes["quotesMailed"] = strconv.FormatBool(*c.QuotesMailed)
	}
	if d := c.Dunning; d != nil {
		if d.RetryDays < 1 || d.RetryDays > dunningDaysMax {
			return refuse(CodeInvalid, "dunning.retryDays", "there are 1 to %d days between two tries", dunningDaysMax)
		}
		if d.AttemptsMax < 1 || d.AttemptsMax > dunningTriesMax {
			return refuse(CodeInvalid, "dunning.attemptsMax", "there are 1 to %d tries", dunningTriesMax)
		}
		u.SetDunningRetryDays(d.RetryDays).SetDunningAttemptsMax(d.AttemptsMax).SetDunningFinal(d.Final)
		u.changes["dunning"] = fmt.Sprintf("%d × %d d, %s", d.AttemptsMax, d.RetryDays, d.Final)
	}
	if d := c.DueDays; d != nil {
		for _, days := range []struct {
			field string
			n     int
		}{{"automatic", d.Automatic}, {"send", d.Send}, {"usage", d.Usage}} {
			if days.n < 0 || days.n > dueDaysMax {
				return refuse(CodeInvalid, "dueDays."+days.field, "an invoice is due 0 to %d days after it was finalized", dueDaysMax)
			}
		}
		u.SetAutomaticNetDays(d.Automatic).SetSendNetDays(d.Send).SetUsageNetDays(d.Usage)
		u.changes["dueDays"] = fmt.Sprintf("%d, %d, %d", d.Automatic, d.Send, d.Usage)
	}
	return nil
}

// references takes over what names other rows.
func (tx *Tx) references(ctx context.Context, u *organizationUpdate, c OrganizationChange) error {
	if c.DefaultCurrency != nil {
		cur, err := tx.usableCurrency(ctx, *c.DefaultCurrency, "defaultCurrency")
		if err != nil {
			return err
		}
		if cur.Virtual {
			return refuse(CodeInvalid, "defaultCurrency", "the default currency must be a real one, such as USD")
		}
		u.SetDefaultCurrency(cur.Code)
		u.changes["defaultCurrency"] = cur.Code
	}
	if id := c.DefaultProviderID; id != nil {
		if *id != "" {
			p, err := tx.Provider.Query().Where(provider.ID(*id)).Only(ctx)
			if err != nil {
				return orNotFound(err, "defaultProviderId", "provider", *id)
			}
			if p.Status != provider.StatusACTIVE {
				return refuse(CodeInvalidState, "defaultProviderId", "the provider %s is archived", p.Name)
			}
		}
		setOrClear(nonEmpty(*id), u.SetDefaultProviderID, u.ClearDefaultProviderID)
		u.changes["defaultProviderId"] = *id
	}
	return nil
}
