package graph

import (
	"context"
	"fmt"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/ent/accesstoken"
	"purser/ent/currency"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/provider"
	"purser/ent/schema"
	"purser/graph/model"
	"purser/money"
)

// organization is the caller's organization, read once per operation; nil for
// the operator, who has none.
func (r *Resolver) organization(ctx context.Context) (*ent.Organization, error) {
	id := organizationID(ctx)
	if id == "" {
		return nil, nil
	}
	return memoFrom(ctx).organization.get(func() (*ent.Organization, error) {
		o, err := r.client().Organization.Query().Where(organization.ID(id)).Only(ctx)
		if err != nil {
			return nil, fmt.Errorf("read organization: %w", err)
		}
		return o, nil
	})
}

// currencyList is what the organization sells in, the default first, then by
// code.
func (r *Resolver) currencyList(ctx context.Context) ([]*ent.Currency, error) {
	rows, err := r.client().Currency.Query().Order(ent.Asc(currency.FieldCode)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read currencies: %w", err)
	}
	o, err := r.organization(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*ent.Currency, 0, len(rows))
	for _, first := range []bool{true, false} {
		for _, c := range rows {
			if (c.Code == o.DefaultCurrency) == first {
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// currency is one of the organization's currencies. One that was removed
// although something is still counted in it is shown as inactive.
func (r *Resolver) currency(ctx context.Context, code string) (*ent.Currency, error) {
	all, err := memoFrom(ctx).currencies.get(func() (map[string]*ent.Currency, error) {
		rows, err := r.client().Currency.Query().All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read currencies: %w", err)
		}
		out := make(map[string]*ent.Currency, len(rows))
		for _, c := range rows {
			out[c.Code] = c
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	if c := all[code]; c != nil {
		return c, nil
	}
	return &ent.Currency{Code: code, Name: code, DisplayName: code, Status: currency.StatusINACTIVE, Virtual: !money.IsISO(code)}, nil
}

// billingModes are the modes that an organization's payers may have.
func billingModes(o *ent.Organization) []payer.BillingMode {
	switch o.BillingType {
	case organization.BillingTypePREPAID:
		return []payer.BillingMode{payer.BillingModePREPAID}
	case organization.BillingTypePOSTPAID:
		return []payer.BillingMode{payer.BillingModePOSTPAID}
	default:
		return []payer.BillingMode{payer.BillingModePREPAID, payer.BillingModePOSTPAID}
	}
}

// billingType takes over a list of modes; an empty one is a refusal.
func billingType(modes []payer.BillingMode) (*organization.BillingType, error) {
	if modes == nil {
		return nil, nil
	}
	var prepaid, postpaid bool
	for _, m := range modes {
		prepaid = prepaid || m == payer.BillingModePREPAID
		postpaid = postpaid || m == payer.BillingModePOSTPAID
	}
	t := organization.BillingTypeBOTH
	switch {
	case prepaid && !postpaid:
		t = organization.BillingTypePREPAID
	case postpaid && !prepaid:
		t = organization.BillingTypePOSTPAID
	case !prepaid:
		return nil, &billing.Error{Code: billing.CodeInvalid, Field: []string{"billingModes"}, Message: "at least one billing mode is needed"}
	}
	return &t, nil
}

// providerList is the organization's merchant accounts, oldest first.
func (r *Resolver) providerList(ctx context.Context) ([]*ent.Provider, error) {
	q, err := r.client().Provider.Query().CollectFields(ctx, "Provider", "Node")
	if err != nil {
		return nil, err
	}
	rows, err := q.Order(ent.Asc(provider.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read providers: %w", err)
	}
	return rows, nil
}

// defaultProvider is the organization's default merchant account, or nil.
func (r *Resolver) defaultProvider(ctx context.Context, o *ent.Organization) (*ent.Provider, error) {
	if o.DefaultProviderID == nil {
		return nil, nil
	}
	q, err := r.client().Provider.Query().Where(provider.ID(*o.DefaultProviderID)).CollectFields(ctx, "Provider", "Node")
	if err != nil {
		return nil, err
	}
	p, err := q.Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("read default provider: %w", err)
	}
	return p, nil
}

// viewer says who is calling.
func (r *Resolver) viewer(ctx context.Context) (*model.Viewer, error) {
	v := auth.FromContext(ctx)
	o, err := r.organization(ctx)
	if err != nil {
		return nil, err
	}
	out := &model.Viewer{Organization: o, ServerVersion: r.Version}
	switch {
	case v.IsSession():
		p, err := show(ctx, r.client().Payer.Query().Where(payer.ID(v.PayerID)), "payer", "Payer")
		if err != nil {
			return nil, err
		}
		out.Payer = model.NewPayer(p)
	case o != nil && v.TokenID != "":
		t, err := r.client().AccessToken.Query().Where(accesstoken.ID(v.TokenID)).Only(ctx)
		if err != nil {
			return nil, fmt.Errorf("read access token: %w", err)
		}
		out.AccessToken = t
	}
	return out, nil
}

// organizationChange takes over the input of organizationUpdate.
func organizationChange(in model.OrganizationUpdateInput) (billing.OrganizationChange, error) {
	c := billing.OrganizationChange{
		Name: in.Name, DefaultCurrency: in.DefaultCurrency, TimeZone: in.TimeZone, Country: in.Country,
		BillingCycle: in.BillingCycle, TaxModel: in.TaxModel,
		SupportEmail: in.SupportEmail, FinanceSupportEmail: in.FinanceSupportEmail, SenderEmail: in.SenderEmail,
		TaxID: in.TaxID, NumberPeriod: in.NumberPeriod,
		ThankYouURL: in.ThankYouURL, ChargingEnabled: in.ChargingEnabled, PayersMayCancel: in.PayersMayCancel,
		UpcomingChargeDays: in.UpcomingChargeDays, QuotesMailed: in.QuotesMailed,
		DefaultProviderID: in.DefaultProviderID, AllowedReturnOrigins: in.AllowedReturnOrigins,
	}
	if in.Addresses != nil {
		c.Addresses = []schema.Address{}
		for _, a := range in.Addresses {
			c.Addresses = append(c.Addresses, *address(a))
		}
	}
	if d := in.Dunning; d != nil {
		c.Dunning = &billing.Dunning{RetryDays: d.RetryDays, AttemptsMax: d.AttemptsMax, Final: d.FinalAction}
	}
	if d := in.DueDays; d != nil {
		c.DueDays = &billing.DueDays{Automatic: d.Automatic, Send: d.Send, Usage: d.Usage}
	}
	var err error
	c.BillingType, err = billingType(in.BillingModes)
	return c, err
}

// currencyChange takes over the input of currencySet.
func currencyChange(in model.CurrencySetInput) (billing.CurrencyChange, error) {
	c := billing.CurrencyChange{
		Code: in.Code, Name: in.Name, DisplayName: in.DisplayName, Description: in.Description,
		Status: in.Status, Virtual: in.Virtual,
	}
	for _, m := range []struct {
		in    *model.MoneyInput
		out   **money.Amount
		parse func(money.Decimal, string) (money.Amount, error)
		field string
	}{
		// Nobody can pay a fraction of a minor unit, but owe one.
		{in.MinimumTopUp, &c.MinimumTopUp, money.ParseMinor, "minimumTopUp"},
		{in.CreditLimit, &c.CreditLimit, money.Parse, "creditLimit"},
	} {
		if m.in == nil {
			continue
		}
		a, err := m.parse(m.in.Amount, m.in.Currency)
		if err != nil {
			return c, amountRefused(err, m.field)
		}
		*m.out = &a
	}
	return c, nil
}

// leftBehind shows what belongs to a merchant account that is not used for
// anything new.
func leftBehind(l *billing.LeftBehind) *model.LeftBehind {
	if l == nil {
		return nil
	}
	return &model.LeftBehind{
		ProviderID: l.ProviderID, SavedCards: l.SavedCards, AutomaticReloads: l.AutomaticReloads, OpenInvoices: l.OpenInvoices, Message: l.Message(),
	}
}
