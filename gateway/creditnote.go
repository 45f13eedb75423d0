package gateway

import (
	"context"

	"purser/money"
)

// CreditNotes is offered by gateways that keep invoices and take credit notes
// to those that are unpaid.
type CreditNotes interface {
	// CreditInvoice makes less due on an unpaid invoice, once per call; one on
	// which nothing is due any more is settled. Rejected for one that is paid.
	CreditInvoice(ctx context.Context, a Account, c Call, r CreditNoteRequest) CreditNoteResult
}

// CreditNoteRequest takes back a part of an invoice.
type CreditNoteRequest struct {
	InvoiceID string
	Amount    money.Amount
	Reason    string
}

// CreditNoteResult is a credit note as the gateway has it.
type CreditNoteResult struct {
	Outcome
	CreditNoteID string
	Amount       money.Amount
}
