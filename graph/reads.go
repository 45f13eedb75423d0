package graph

import (
	"context"
	"fmt"
	"time"

	"purser/billing"
	"purser/ent"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/graph/model"
)

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

// quoteDocument is the address of a quote's document, from finalization on.
func quoteDocument(b *billing.Service, slug string, q *ent.Quote) *string {
	if q.FinalizedAt == nil {
		return nil
	}
	u := b.QuoteDocumentURL(slug, q)
	return &u
}

// invoiceDocument is the address of an invoice's document, from finalization
// on.
func invoiceDocument(b *billing.Service, slug string, i *ent.Invoice) *string {
	if i.FinalizedAt == nil {
		return nil
	}
	u := b.InvoiceDocumentURL(slug, i)
	return &u
}

// text is the value of an optional column, empty where it is NULL.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// actions are what the domain allows, as the API's type.
func actions[To, From ~string](allowed []From) []To {
	out := make([]To, len(allowed))
	for i, a := range allowed {
		out[i] = To(a)
	}
	return out
}

// cardExpired reports whether a saved card is past its last month, by UTC.
func cardExpired(m *ent.PaymentMethod, now time.Time) bool {
	if m.Status != paymentmethod.StatusACTIVE && m.Status != paymentmethod.StatusDETACHED || m.ExpYear == 0 {
		return false
	}
	return !now.Before(time.Date(m.ExpYear, time.Month(m.ExpMonth)+1, 1, 0, 0, 0, 0, time.UTC))
}
