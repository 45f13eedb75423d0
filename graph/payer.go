package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"purser/billing"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/membership"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/ent/schema"
	"purser/graph/model"
	"purser/money"
)

// taxRate shows a payer's tax in percent.
func taxRate(p *ent.Payer) *money.Decimal {
	if p.TaxRatePpm == nil {
		return nil
	}
	d := p.TaxRatePpm.Decimal()
	return &d
}

// balancesOf picks from the balances that the query has brought along; a
// payer has a handful.
func balancesOf(ctx context.Context, p *ent.Payer, currency *string) ([]*ent.Balance, error) {
	all, err := p.Balances(ctx)
	if err != nil {
		return nil, err
	}
	picked := make([]*ent.Balance, 0, len(all))
	for _, b := range all {
		if currency == nil || b.Currency == *currency {
			picked = append(picked, b)
		}
	}
	slices.SortFunc(picked, func(a, b *ent.Balance) int { return strings.Compare(a.Currency, b.Currency) })
	return picked, nil
}

// balanceOf reads one balance of each payer of the operation at once.
func (r *Resolver) balanceOf(ctx context.Context, p *ent.Payer, currency string) (*ent.Balance, error) {
	return forPayer(ctx, p.ID, func(ids []string) (map[string]*ent.Balance, error) {
		q, err := r.client().Balance.Query().Where(balance.PayerIDIn(ids...), balance.Currency(currency)).CollectFields(ctx, "Balance", "Node")
		if err != nil {
			return nil, err
		}
		rows, err := q.WithPayerID().All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read balances: %w", err)
		}
		found := make(map[string]*ent.Balance, len(rows))
		for _, b := range rows {
			found[b.PayerID] = b
		}
		return found, nil
	})
}

// defaultCard reads the default card of each payer of the operation at once.
func (r *Resolver) defaultCard(ctx context.Context, p *ent.Payer) (*ent.PaymentMethod, error) {
	return forPayer(ctx, p.ID, func(ids []string) (map[string]*ent.PaymentMethod, error) {
		q, err := r.client().PaymentMethod.Query().
			Where(paymentmethod.PayerIDIn(ids...), paymentmethod.IsDefault(true), paymentmethod.StatusEQ(paymentmethod.StatusACTIVE)).
			CollectFields(ctx, "PaymentMethod", "Node")
		if err != nil {
			return nil, err
		}
		rows, err := q.WithPayerID().All(ctx)
		if err != nil {
			return nil, fmt.Errorf("read default cards: %w", err)
		}
		found := make(map[string]*ent.PaymentMethod, len(rows))
		for _, m := range rows {
			found[m.PayerID] = m
		}
		return found, nil
	})
}

// canSpend asks the domain whether an amount could be spent, for each payer of
// the operation at once.
func (r *Resolver) canSpend(ctx context.Context, p *ent.Payer, in model.MoneyInput) (*model.SpendCheck, error) {
	amount, err := money.Parse(in.Amount, in.Currency)
	if err != nil {
		return nil, badInput(err)
	}
	c, err := forPayer(ctx, p.ID, func(ids []string) (map[string]billing.SpendAnswer, error) {
		return r.Billing.CanSpendEach(ctx, ids, amount)
	})
	if err == nil {
		err = c.Err
	}
	if err != nil {
		return nil, err
	}
	out := &model.SpendCheck{Allowed: c.Allowed}
	if c.Reason != "" {
		code := model.UserErrorCode(c.Reason)
		out.Reason = &code
	}
	if c.Details != nil {
		out.Details = fundsDetails(c.Details)
	}
	return out, nil
}

// payerBy finds a payer by one of its names; nil where there is none.
func (r *Resolver) payerBy(ctx context.Context, by model.PayerLookup) (model.Payer, error) {
	q := r.client().Payer.Query()
	switch {
	case by.ID != nil:
		q.Where(payer.ID(*by.ID))
	case by.ExternalID != nil:
		q.Where(payer.ExternalID(*by.ExternalID))
	case by.DeveloperEmail != nil:
		q.Where(payer.Email(billing.SameEmail(*by.DeveloperEmail)))
	case by.CompanySlug != nil:
		q.Where(payer.Slug(*by.CompanySlug))
	default:
		return nil, badInputf("name the payer by one of its names")
	}
	q, err := q.CollectFields(ctx, payerTypes...)
	if err != nil {
		return nil, err
	}
	p, err := q.Only(ctx)
	if err != nil {
		if ent.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("look up payer: %w", err)
	}
	return model.NewPayer(p), nil
}

// developers is a page of developers, companies one of companies. Both are
// rows of one table.
func (r *Resolver) developers(ctx context.Context, after *ent.Cursor, first *int, before *ent.Cursor, last *int, orderBy *ent.PayerOrder, where *ent.PayerWhereInput) (*model.DeveloperConnection, error) {
	c, err := r.payers(ctx, payer.KindDEVELOPER, after, first, before, last, orderBy, where)
	if err != nil {
		return nil, err
	}
	return model.NewDevelopers(c), nil
}

func (r *Resolver) companies(ctx context.Context, after *ent.Cursor, first *int, before *ent.Cursor, last *int, orderBy *ent.PayerOrder, where *ent.PayerWhereInput) (*model.CompanyConnection, error) {
	c, err := r.payers(ctx, payer.KindCOMPANY, after, first, before, last, orderBy, where)
	if err != nil {
		return nil, err
	}
	return model.NewCompanies(c), nil
}

func (r *Resolver) payers(ctx context.Context, kind payer.Kind, after *ent.Cursor, first *int, before *ent.Cursor, last *int, orderBy *ent.PayerOrder, where *ent.PayerWhereInput) (*ent.PayerConnection, error) {
	return r.client().Payer.Query().Where(payer.KindEQ(kind)).
		Paginate(ctx, after, first, before, last, ent.WithPayerOrder(orderBy), ent.WithPayerFilter(where.Filter))
}

// developer is what a mutation answers about a developer.
func (r *Resolver) developer(ctx context.Context, id string, err error) (*model.Developer, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	p, err := show(ctx, r.client().Payer.Query().Where(payer.ID(id)), "developer", "Developer")
	if err != nil || p == nil {
		return nil, u, err
	}
	return &model.Developer{Payer: p}, u, nil
}

// company is what a mutation answers about a company.
func (r *Resolver) company(ctx context.Context, id string, err error) (*model.Company, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	p, err := show(ctx, r.client().Payer.Query().Where(payer.ID(id)), "company", "Company")
	if err != nil || p == nil {
		return nil, u, err
	}
	return &model.Company{Payer: p}, u, nil
}

// payerPayload is what a mutation answers about a payer of either kind.
func (r *Resolver) payerPayload(ctx context.Context, id string, err error) (model.Payer, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	asked := payload(ctx, "payer")
	if len(asked) == 0 {
		return nil, u, nil
	}
	q := r.client().Payer.Query().Where(payer.ID(id))
	for _, at := range asked {
		if q, err = q.CollectFields(at, payerTypes...); err != nil {
			return nil, nil, fmt.Errorf("shape payer: %w", err)
		}
	}
	p, err := q.Only(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read payer: %w", err)
	}
	return model.NewPayer(p), u, nil
}

// address takes over an address of an input.
func address(in *model.AddressInput) *schema.Address {
	if in == nil {
		return nil
	}
	return &schema.Address{
		Line1: text(in.Line1), Line2: text(in.Line2), City: text(in.City), Region: text(in.Region),
		PostalCode: text(in.PostalCode), Country: text(in.Country), IsPrimary: in.IsPrimary != nil && *in.IsPrimary,
	}
}

func fundsDetails(d *billing.Funds) *model.FundsDetails {
	return &model.FundsDetails{Required: &d.Required, Available: &d.Available, Held: &d.Held, Shortfall: &d.Shortfall}
}

// member is the company or the developer of a membership.
func (r *Resolver) member(ctx context.Context, loaded func() (*ent.Payer, error), id string) (*ent.Payer, error) {
	p, err := loaded()
	if err != nil {
		p, err = r.payerByID(ctx, id)
	}
	if err == nil && p == nil {
		err = fmt.Errorf("read payer %s: it is gone", id)
	}
	return p, err
}

// membership is what a mutation answers about a membership.
func (r *Resolver) membership(ctx context.Context, id string, err error) (*ent.Membership, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	m, err := show(ctx, r.client().Membership.Query().Where(membership.ID(id)), "membership", "Membership")
	return m, u, err
}

// each resolves a field for several objects.
func each[O, T any](objects []O, resolve func(O) (T, error)) ([]T, error) {
	out := make([]T, len(objects))
	for i, o := range objects {
		var err error
		if out[i], err = resolve(o); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// payerEdge shows the payer of an object. loaded and err are what the query
// that read the object has brought along; where it has not, the payer is read
// by its id, never through the object's edge, whose statement would not name
// the organization.
func (r *Resolver) payerEdge(ctx context.Context, loaded *ent.Payer, err error, id string) (model.Payer, error) {
	if err == nil {
		return model.NewPayer(loaded), nil
	}
	if id == "" || ent.IsNotFound(err) {
		return nil, nil
	}
	p, err := r.payerByID(ctx, id)
	if err != nil {
		return nil, err
	}
	return model.NewPayer(p), nil
}

// payerByID reads a payer in the shape that the field being resolved asks
// for; nil where there is none.
func (r *Resolver) payerByID(ctx context.Context, id string) (*ent.Payer, error) {
	q, err := r.client().Payer.Query().Where(payer.ID(id)).CollectFields(ctx, payerTypes...)
	if err != nil {
		return nil, err
	}
	p, err := q.Only(ctx)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("read payer %s: %w", id, err)
	}
	return p, nil
}

// payerTypes are the types under which a document may select from a payer.
var payerTypes = []string{"Payer", "Developer", "Company", "Node"}
