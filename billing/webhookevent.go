package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/quote"
	"purser/money"
)

// eventOf is what endpoints are told when an object of a kind has changed. Of
// balances they are told what is noticed about them, not each movement.
func eventOf(k ChangeKind) string {
	switch k {
	case ChangePayment:
		return EventPaymentChanged
	case ChangeInvoice:
		return EventInvoiceChanged
	case ChangeQuote:
		return EventQuoteChanged
	default:
		return ""
	}
}

// announce tells the organization's endpoints of what the transaction has
// changed, each object once, as it is at the end. It is the transaction's last
// step.
func (tx *Tx) announce(ctx context.Context) error {
	var objects []Change
	told := map[string]bool{}
	for _, c := range tx.pending {
		if eventOf(c.Kind) == "" || told[c.ID] || c.OrganizationID == "" || c.OrganizationID != tx.organizationID(ctx) {
			continue
		}
		told[c.ID] = true
		objects = append(objects, c)
	}
	if len(objects) == 0 {
		return nil
	}
	endpoints, err := tx.activeEndpoints(ctx)
	if err != nil || len(endpoints) == 0 {
		return err
	}
	for _, c := range objects {
		if err := tx.announceOne(ctx, c, endpoints); err != nil {
			return fmt.Errorf("tell webhooks of %s: %w", c.ID, err)
		}
	}
	return nil
}

func (tx *Tx) announceOne(ctx context.Context, c Change, endpoints []*ent.WebhookEndpoint) error {
	kind := eventOf(c.Kind)
	if !wanted(endpoints, kind) {
		return nil
	}
	state, err := tx.stateOf(ctx, c)
	if err != nil || state == nil {
		return err
	}
	body, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	id := tx.s.newID(prefixOutbox)
	// Nobody but the endpoints is told of it, so for the outbox it is sent.
	err = tx.Outbox.Create().SetID(id).SetKind(kind).SetSubject(c.ID).SetPayload(body).
		SetAvailableAt(tx.Now).SetSentAt(tx.Now).SetCreatedAt(tx.Now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("store event: %w", err)
	}
	return tx.deliver(ctx, id, kind, endpoints)
}

// wanted says whether any of the endpoints is to be told of a kind of event.
func wanted(endpoints []*ent.WebhookEndpoint, kind string) bool {
	for _, e := range endpoints {
		for _, t := range e.EventTypes {
			if t == kind {
				return true
			}
		}
	}
	return false
}

// sum is an amount as it stands in an event.
type sum struct {
	Amount   money.Decimal `json:"amount"`
	Currency string        `json:"currency"`
}

func sumOf(a money.Amount) sum { return sum{a.Decimal(), a.Currency} }

// paymentState, invoiceState and quoteState are what an event says of an
// object: enough to decide whether to read it, and never a person's data.
type paymentState struct {
	ID          string     `json:"id"`
	Status      string     `json:"status"`
	Purpose     string     `json:"purpose"`
	Amount      sum        `json:"amount"`
	Refunded    sum        `json:"refunded"`
	PayerID     *string    `json:"payerId"`
	ProviderID  string     `json:"providerId"`
	InvoiceID   *string    `json:"invoiceId"`
	BalanceID   *string    `json:"balanceId"`
	OrderCode   string     `json:"orderCode"`
	FailureCode *string    `json:"failureCode"`
	SettledAt   *time.Time `json:"settledAt"`
	UpdatedAt   time.Time  `json:"updatedAt"`
}

type invoiceState struct {
	ID         string    `json:"id"`
	Number     *string   `json:"number"`
	Status     string    `json:"status"`
	PayerID    string    `json:"payerId"`
	Total      sum       `json:"total"`
	AmountDue  sum       `json:"amountDue"`
	AmountPaid sum       `json:"amountPaid"`
	UpdatedAt  time.Time `json:"updatedAt"`
}

type quoteState struct {
	ID        string    `json:"id"`
	Number    *string   `json:"number"`
	Status    string    `json:"status"`
	PayerID   *string   `json:"payerId"`
	Total     *sum      `json:"total"`
	UpdatedAt time.Time `json:"updatedAt"`
}

// stateOf is what is said of a changed object; nil where it is gone again.
func (tx *Tx) stateOf(ctx context.Context, c Change) (state any, err error) {
	switch c.Kind {
	case ChangePayment:
		var p *ent.Payment
		if p, err = tx.Payment.Query().Where(payment.ID(c.ID)).Only(ctx); err == nil {
			return paymentState{
				ID: p.ID, Status: string(p.Status), Purpose: string(p.Purpose), Amount: sumOf(p.Amount()), Refunded: sumOf(p.Refunded()),
				PayerID: p.PayerID, ProviderID: p.ProviderID, InvoiceID: p.InvoiceID, BalanceID: p.BalanceID, OrderCode: p.OrderCode,
				FailureCode: nonEmpty(p.FailureCode), SettledAt: p.SettledAt, UpdatedAt: p.UpdatedAt,
			}, nil
		}
	case ChangeInvoice:
		var i *ent.Invoice
		if i, err = tx.Invoice.Query().Where(invoice.ID(c.ID)).Only(ctx); err == nil {
			return invoiceState{
				ID: i.ID, Number: i.Number, Status: string(i.Status), PayerID: i.PayerID,
				Total: sumOf(i.Total()), AmountDue: sumOf(i.AmountDue()), AmountPaid: sumOf(i.AmountPaid()), UpdatedAt: i.UpdatedAt,
			}, nil
		}
	case ChangeQuote:
		var q *ent.Quote
		if q, err = tx.Quote.Query().Where(quote.ID(c.ID)).Only(ctx); err == nil {
			out := quoteState{ID: q.ID, Number: q.Number, Status: string(q.Status), PayerID: q.PayerID, UpdatedAt: q.UpdatedAt}
			if total := q.Total(); total != nil {
				t := sumOf(*total)
				out.Total = &t
			}
			return out, nil
		}
	default:
	}
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return nil, err
}
