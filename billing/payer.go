package billing

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"purser/ent"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/predicate"
	"purser/ent/schema"
	"purser/money"
)

// PayerDraft is a new developer or company.
type PayerDraft struct {
	Email        string `json:",omitempty"` // developers only
	Slug         string `json:",omitempty"` // companies only
	TaxID        *string
	Name         string
	ExternalID   *string
	BillingMode  payer.BillingMode
	BillingEmail *string
	TaxRate      *money.Decimal // percent
	// ReverseCharge: the payer owes the tax itself.
	ReverseCharge bool `json:",omitempty"`
	Address       *schema.Address
	Locale        *string `json:",omitempty"`
	Metadata      map[string]string
}

// PayerChange changes a developer or a company. What is nil stays; an empty
// text clears.
type PayerChange struct {
	ID            string
	Email         *string // developers only
	TaxID         *string // companies only
	Name          *string
	ExternalID    *string
	BillingEmail  *string
	TaxRate       *money.Decimal // percent
	ReverseCharge *bool
	Address       *schema.Address
	Locale        *string
	Metadata      map[string]string
	Status        *payer.Status
	BillingMode   *payer.BillingMode
	// ChargingEnabled is whether its saved card is charged for invoices.
	ChargingEnabled *bool
}

// payerTexts is what a draft or a change holds once it is checked.
type payerTexts struct {
	email, taxID, externalID, billingEmail *string
	rate                                   *money.Rate
	address                                *schema.Address
}

func checkPayer(email, taxID, externalID, billingEmail *string, rate *money.Decimal, address *schema.Address, metadata map[string]string) (t payerTexts, err error) {
	if email != nil {
		e, err := checkEmail(*email, "email")
		if err != nil {
			return t, err
		}
		e = SameEmail(e)
		t.email = &e
	}
	if t.taxID, err = optionalLabel(taxID, "taxId", "the tax number", taxIDMax); err != nil {
		return t, err
	}
	if t.externalID, err = optionalLabel(externalID, "externalId", "the external id", externalIDMax); err != nil {
		return t, err
	}
	if t.billingEmail, err = optionalEmail(billingEmail, "billingEmail"); err != nil {
		return t, err
	}
	if rate != nil {
		r, err := money.ParseRate(*rate)
		if err != nil {
			return t, refusedAmount(err, "taxRate")
		}
		t.rate = &r
	}
	if t.address, err = checkAddress(address, "address"); err != nil {
		return t, err
	}
	return t, checkMetadata(metadata, "metadata")
}

// CreateDeveloper adds a developer and returns its id. The key is optional.
// Refusals: REQUIRED, INVALID, TAKEN, IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateDeveloper(ctx context.Context, d PayerDraft, key *string) (string, error) {
	if d.Slug != "" || d.TaxID != nil {
		return "", fmt.Errorf("a developer has neither slug nor tax number")
	}
	op, err := s.newOperation("developerCreate", key, keyOptional, d)
	if err != nil {
		return "", err
	}
	return s.createPayer(ctx, op, prefixDeveloper, payer.KindDEVELOPER, d)
}

var companySlug = regexp.MustCompile(`^[a-z0-9_-]{2,64}$`)

// CreateCompany adds a company and returns its id. The key is optional.
// Refusals: REQUIRED, INVALID, TAKEN, IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateCompany(ctx context.Context, d PayerDraft, key *string) (string, error) {
	if d.Email != "" {
		return "", fmt.Errorf("a company has no e-mail address of its own")
	}
	if !companySlug.MatchString(d.Slug) {
		return "", refuse(CodeInvalid, "slug", "a short name has 2 to 64 of a–z, 0–9, - and _")
	}
	op, err := s.newOperation("companyCreate", key, keyOptional, d)
	if err != nil {
		return "", err
	}
	return s.createPayer(ctx, op, prefixCompany, payer.KindCOMPANY, d)
}

func (s *Service) createPayer(ctx context.Context, op operation, prefix string, kind payer.Kind, d PayerDraft) (string, error) {
	name, err := label(d.Name, "name", "the name", nameMax)
	if err != nil {
		return "", err
	}
	var email *string
	if kind == payer.KindDEVELOPER {
		email = &d.Email
	}
	t, err := checkPayer(email, d.TaxID, d.ExternalID, d.BillingEmail, d.TaxRate, d.Address, d.Metadata)
	if err != nil {
		return "", err
	}
	locale, err := optionalLocale(d.Locale, "locale")
	if err != nil {
		return "", err
	}
	if d.Metadata == nil {
		d.Metadata = map[string]string{}
	}
	fresh := s.newID(prefix)
	var id string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		id = fresh
		r, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if r != nil {
			id = r.Subject
			return nil
		}
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		if o.BillingType != organization.BillingTypeBOTH && string(o.BillingType) != string(d.BillingMode) {
			return refuse(CodeInvalid, "billingMode", "the organization's payers are %s", o.BillingType)
		}
		if err := tx.namesAreFree(ctx, "", t.email, nonEmpty(d.Slug), t.externalID); err != nil {
			return err
		}
		c := tx.Payer.Create().
			SetID(fresh).SetKind(kind).SetName(name).
			SetNillableEmail(t.email).SetNillableSlug(nonEmpty(d.Slug)).
			SetNillableTaxID(t.taxID).SetNillableExternalID(t.externalID).
			SetBillingMode(d.BillingMode).SetNillableBillingEmail(t.billingEmail).
			SetNillableTaxRatePpm(t.rate).SetReverseCharge(d.ReverseCharge).SetMetadata(d.Metadata).
			SetCreatedAt(tx.Now)
		c.SetNillableLocale(locale)
		if t.address != nil {
			c.SetAddress(t.address)
		}
		if err := c.Exec(ctx); err != nil {
			return fmt.Errorf("store payer: %w", err)
		}
		return tx.remember(ctx, op, fresh, "", "")
	})
	return id, err
}

// namesAreFree refuses names that another payer has; self is the id of the
// payer that gets them, or empty.
func (tx *Tx) namesAreFree(ctx context.Context, self string, email, slug, externalID *string) error {
	for _, n := range []struct {
		value *string
		field string
		what  string
		where func(string) predicate.Payer
	}{
		{email, "email", "the e-mail address", payer.Email},
		{slug, "slug", "the short name", payer.Slug},
		{externalID, "externalId", "the external id", payer.ExternalID},
	} {
		if n.value == nil {
			continue
		}
		taken, err := tx.Payer.Query().Where(n.where(*n.value), payer.IDNEQ(self)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("look for payer: %w", err)
		}
		if taken {
			return refuse(CodeTaken, n.field, "another payer has %s %.80q already", n.what, *n.value)
		}
	}
	return nil
}

// UpdateDeveloper changes a developer. Refusals: NOT_FOUND, INVALID, TAKEN,
// INVALID_STATE.
func (s *Service) UpdateDeveloper(ctx context.Context, c PayerChange) error {
	return s.updatePayer(ctx, payer.KindDEVELOPER, "developer", c)
}

// UpdateCompany changes a company. Refusals: NOT_FOUND, INVALID, TAKEN,
// INVALID_STATE.
func (s *Service) UpdateCompany(ctx context.Context, c PayerChange) error {
	return s.updatePayer(ctx, payer.KindCOMPANY, "company", c)
}

func (s *Service) updatePayer(ctx context.Context, kind payer.Kind, what string, c PayerChange) error {
	t, err := checkPayer(c.Email, c.TaxID, c.ExternalID, c.BillingEmail, nonBlank(c.TaxRate), c.Address, c.Metadata)
	if err != nil {
		return err
	}
	if c.Status != nil && *c.Status == payer.StatusCLOSED {
		return refuse(CodeInvalid, "status", "use %sClose to close it", what)
	}
	locale, err := optionalLocale(c.Locale, "locale")
	if err != nil {
		return err
	}
	var name string
	if c.Name != nil {
		if name, err = label(*c.Name, "name", "the name", nameMax); err != nil {
			return err
		}
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.payerOf(ctx, kind, what, c.ID, "id")
		if err != nil {
			return err
		}
		if p.Status == payer.StatusCLOSED {
			return refuse(CodeInvalidState, "id", "the %s is closed and cannot be changed", what)
		}
		if err := tx.namesAreFree(ctx, p.ID, t.email, nil, t.externalID); err != nil {
			return err
		}
		if c.BillingMode != nil && *c.BillingMode != p.BillingMode {
			if err := tx.changeBillingMode(ctx, p, *c.BillingMode); err != nil {
				return err
			}
		}
		u := tx.Payer.Update().Where(payer.ID(p.ID), payer.StatusEQ(p.Status))
		if c.Name != nil {
			u.SetName(name)
		}
		u.SetNillableEmail(t.email).SetNillableStatus(c.Status).
			SetNillableChargingEnabled(c.ChargingEnabled).SetNillableReverseCharge(c.ReverseCharge)
		if c.ExternalID != nil {
			setOrClear(t.externalID, u.SetExternalID, u.ClearExternalID)
		}
		if c.BillingEmail != nil {
			setOrClear(t.billingEmail, u.SetBillingEmail, u.ClearBillingEmail)
		}
		if c.TaxID != nil {
			setOrClear(t.taxID, u.SetTaxID, u.ClearTaxID)
		}
		if c.TaxRate != nil {
			setOrClear(t.rate, u.SetTaxRatePpm, u.ClearTaxRatePpm)
		}
		if c.Address != nil {
			if t.address != nil {
				u.SetAddress(t.address)
			} else {
				u.ClearAddress()
			}
		}
		if c.Locale != nil {
			setOrClear(locale, u.SetLocale, u.ClearLocale)
		}
		if c.Metadata != nil {
			u.SetMetadata(c.Metadata)
		}
		if len(u.Mutation().Fields())+len(u.Mutation().ClearedFields()) == 0 {
			return nil
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("change payer %s: %w", p.ID, err)
		}
		if c.ChargingEnabled != nil && *c.ChargingEnabled && !p.ChargingEnabled {
			return tx.chargeOn(ctx, p.ID)
		}
		return nil
	})
}

// nonBlank is nil for a decimal that clears.
func nonBlank(d *money.Decimal) *money.Decimal {
	if d == nil || strings.TrimSpace(string(*d)) == "" {
		return nil
	}
	return d
}

// payerOf reads a payer that must be of one kind.
func (tx *Tx) payerOf(ctx context.Context, kind payer.Kind, what, id, field string) (*ent.Payer, error) {
	p, err := tx.Payer.Query().Where(payer.ID(id), payer.KindEQ(kind)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, field, what, id)
	}
	return p, nil
}
