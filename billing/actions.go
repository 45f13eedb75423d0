package billing

import (
	"context"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/quote"
)

// What may be done with a document now, for whoever shows buttons. The rules
// are those of completeQuote, acceptableQuote, payableInvoice and their
// neighbours as far as the row alone tells; a caller can still be refused.

// QuoteAction is something that may be done with a quote.
type QuoteAction string

// The actions of quotes, in the words of the API.
const (
	QuoteActionUpdate   QuoteAction = "UPDATE"
	QuoteActionFinalize QuoteAction = "FINALIZE"
	QuoteActionAccept   QuoteAction = "ACCEPT"
	QuoteActionSend     QuoteAction = "SEND"
	QuoteActionRevise   QuoteAction = "REVISE"
	QuoteActionCancel   QuoteAction = "CANCEL"
)

// QuoteActions says what may be done with a quote now. Nothing while a gateway
// is changing it.
func (s *Service) QuoteActions(ctx context.Context, q *ent.Quote) []QuoteAction {
	switch {
	case q.PendingCallID != nil:
	case q.Status == quote.StatusDRAFT && q.PayerID != nil && q.Currency != nil:
		return []QuoteAction{QuoteActionUpdate, QuoteActionFinalize, QuoteActionCancel}
	case q.Status == quote.StatusDRAFT:
		return []QuoteAction{QuoteActionUpdate, QuoteActionCancel}
	case q.Status == quote.StatusOPEN && !expiredQuote(q, s.now(ctx)):
		return []QuoteAction{QuoteActionAccept, QuoteActionSend, QuoteActionRevise, QuoteActionCancel}
	case q.FinalizedAt != nil && q.Status != quote.StatusACCEPTED:
		return []QuoteAction{QuoteActionRevise}
	}
	return nil
}

// InvoiceAction is something that may be done with an invoice.
type InvoiceAction string

// The actions of invoices, in the words of the API.
const (
	InvoiceActionUpdate            InvoiceAction = "UPDATE"
	InvoiceActionFinalize          InvoiceAction = "FINALIZE"
	InvoiceActionPay               InvoiceAction = "PAY"
	InvoiceActionSend              InvoiceAction = "SEND"
	InvoiceActionMarkUncollectible InvoiceAction = "MARK_UNCOLLECTIBLE"
	InvoiceActionVoid              InvoiceAction = "VOID"
	InvoiceActionCredit            InvoiceAction = "CREDIT"
)

// InvoiceActions says what may be done with an invoice now; one that was
// written off can still be paid or credited, and one of which a part is credited
// is not voided. Nothing while a gateway is changing it.
func InvoiceActions(i *ent.Invoice) []InvoiceAction {
	var actions []InvoiceAction
	switch {
	case i.PendingCallID != nil:
	case i.Status == invoice.StatusDRAFT && editable(i):
		return []InvoiceAction{InvoiceActionUpdate, InvoiceActionFinalize, InvoiceActionVoid}
	case i.Status == invoice.StatusDRAFT:
		return []InvoiceAction{InvoiceActionFinalize, InvoiceActionVoid}
	case i.Status == invoice.StatusOPEN:
		actions = []InvoiceAction{InvoiceActionPay, InvoiceActionSend, InvoiceActionMarkUncollectible}
	case i.Status == invoice.StatusUNCOLLECTIBLE:
		actions = []InvoiceAction{InvoiceActionPay, InvoiceActionSend}
	case i.Status == invoice.StatusPAID && i.CreditedUnits < i.TotalUnits:
		return []InvoiceAction{InvoiceActionCredit}
	}
	if actions == nil {
		return nil
	}
	if i.CreditedUnits == 0 {
		actions = append(actions, InvoiceActionVoid)
	}
	return append(actions, InvoiceActionCredit)
}
