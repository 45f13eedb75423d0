package billing

import (
	"context"
	"time"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/dispute"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/quote"
	"purser/ent/refund"
	"purser/ent/subscription"
	"purser/money"
)

// sum is an amount as it stands in an event.
type sum struct {
	Amount   money.Decimal `json:"amount"`
	Currency string        `json:"currency"`
}

func sumOf(a money.Amount) sum { return sum{a.Decimal(), a.Currency} }

// What an event says of an object: enough to decide whether to read it, and
// never a person's data, nor a text that somebody has written.

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

type subscriptionState struct {
	ID                 string     `json:"id"`
	Status             string     `json:"status"`
	PayerID            string     `json:"payerId"`
	Amount             sum        `json:"amount"`
	CurrentPeriodStart time.Time  `json:"currentPeriodStart"`
	CurrentPeriodEnd   time.Time  `json:"currentPeriodEnd"`
	CancelAtPeriodEnd  bool       `json:"cancelAtPeriodEnd"`
	CanceledAt         *time.Time `json:"canceledAt"`
	LatestInvoiceID    *string    `json:"latestInvoiceId"`
	UpdatedAt          time.Time  `json:"updatedAt"`
}

type refundState struct {
	ID           string    `json:"id"`
	Status       string    `json:"status"`
	Amount       sum       `json:"amount"`
	PayerID      *string   `json:"payerId"`
	PaymentID    string    `json:"paymentId"`
	CreditNoteID *string   `json:"creditNoteId"`
	UpdatedAt    time.Time `json:"updatedAt"`
}

type disputeState struct {
	ID            string     `json:"id"`
	Status        string     `json:"status"`
	Amount        sum        `json:"amount"`
	PayerID       *string    `json:"payerId"`
	PaymentID     string     `json:"paymentId"`
	Reason        *string    `json:"reason"` // the gateway's code
	EvidenceDueAt *time.Time `json:"evidenceDueAt"`
	UpdatedAt     time.Time  `json:"updatedAt"`
}

type creditNoteState struct {
	ID         string    `json:"id"`
	Number     string    `json:"number"`
	PayerID    *string   `json:"payerId"`
	InvoiceID  string    `json:"invoiceId"`
	Total      sum       `json:"total"`
	Tax        sum       `json:"tax"`
	Settlement string    `json:"settlement"`
	CreatedAt  time.Time `json:"createdAt"`
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
	case ChangeSubscription:
		var s *ent.Subscription
		if s, err = tx.Subscription.Query().Where(subscription.ID(c.ID)).Only(ctx); err == nil {
			return subscriptionState{
				ID: s.ID, Status: string(s.Status), PayerID: s.PayerID, Amount: sumOf(s.Amount()),
				CurrentPeriodStart: s.CurrentPeriodStart, CurrentPeriodEnd: s.CurrentPeriodEnd, CancelAtPeriodEnd: s.CancelAtPeriodEnd,
				CanceledAt: s.CanceledAt, LatestInvoiceID: s.LatestInvoiceID, UpdatedAt: s.UpdatedAt,
			}, nil
		}
	case ChangeRefund:
		var r *ent.Refund
		if r, err = tx.Refund.Query().Where(refund.ID(c.ID)).Only(ctx); err == nil {
			return refundState{
				ID: r.ID, Status: string(r.Status), Amount: sumOf(r.Amount()), PayerID: nonEmpty(c.PayerID),
				PaymentID: r.PaymentID, CreditNoteID: r.CreditNoteID, UpdatedAt: r.UpdatedAt,
			}, nil
		}
	case ChangeDispute:
		var d *ent.Dispute
		if d, err = tx.Dispute.Query().Where(dispute.ID(c.ID)).Only(ctx); err == nil {
			return disputeState{
				ID: d.ID, Status: string(d.Status), Amount: sumOf(d.Amount()), PayerID: nonEmpty(c.PayerID),
				PaymentID: d.PaymentID, Reason: d.Reason, EvidenceDueAt: d.EvidenceDueAt, UpdatedAt: d.UpdatedAt,
			}, nil
		}
	case ChangeCreditNote:
		var n *ent.CreditNote
		if n, err = tx.CreditNote.Query().Where(creditnote.ID(c.ID)).Only(ctx); err == nil {
			return creditNoteState{
				ID: n.ID, Number: n.Number, PayerID: nonEmpty(c.PayerID), InvoiceID: n.InvoiceID,
				Total: sumOf(n.Total()), Tax: sumOf(n.Tax()), Settlement: string(n.Settlement), CreatedAt: n.CreatedAt,
			}, nil
		}
	default:
	}
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return nil, err
}
