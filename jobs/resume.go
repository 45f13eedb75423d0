package jobs

import (
	"context"
	"encoding/json"
	"fmt"

	"purser/billing"
	"purser/crash"
	"purser/gateway"
)

// resumeCall asks again for a call that nobody has finished in time: the same
// request under the same key is the question, and the answer goes through the
// same Finish.
func (r *Runner) resumeCall(ctx context.Context, id string) error {
	d, err := r.Billing.ClaimCall(ctx, id)
	if err != nil || d == nil {
		return err
	}
	crash.Point(crash.ResumeClaimed)
	err = r.resume(ctx, *d)
	crash.Point(crash.ResumeAsked)
	if err != nil {
		return fmt.Errorf("%s: %w", d.Operation, err)
	}
	return nil
}

func (r *Runner) resume(ctx context.Context, d billing.DueCall) error {
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	switch d.Operation {
	case billing.OperationQuoteFinalize, billing.OperationQuoteAccept, billing.OperationQuoteCancel:
		return r.resumeQuote(ctx, d)
	case billing.OperationInvoiceFinalize, billing.OperationInvoicePay, billing.OperationInvoiceSettle,
		billing.OperationInvoiceVoid, billing.OperationInvoiceDiscard:
		return r.resumeInvoice(ctx, d)
	case billing.OperationHostedPayment, billing.OperationCharge:
		return r.resumePayment(ctx, d)
	case billing.OperationPaymentCancel:
		request, err := requestOf[gateway.CancelRequest](d)
		if err != nil {
			return err
		}
		return r.cancelReload(ctx, d.Call, request)
	case billing.OperationCreditNote:
		return r.resumeCreditNote(ctx, d)
	case billing.OperationRefund:
		return r.resumeRefund(ctx, d)
	case billing.OperationCardAttach, billing.OperationCardSetup, billing.OperationCardDefault, billing.OperationCardDetach:
		return r.resumeCard(ctx, d)
	case billing.OperationEndpointRegister:
		return r.resumeEndpoint(ctx, d)
	default:
		return fmt.Errorf("no way to ask for %s again", d.Operation)
	}
}

func (r *Runner) resumeQuote(ctx context.Context, d billing.DueCall) error {
	quotes, ok := gateway.Capability[gateway.Quotes](r.Gateways, d.Kind)
	if !ok {
		return fmt.Errorf("%s keeps no quotes", d.Kind)
	}
	if d.Operation == billing.OperationQuoteFinalize {
		request, err := requestOf[gateway.QuoteRequest](d)
		if err != nil {
			return err
		}
		return r.Billing.FinishQuoteFinalization(ctx, d.ID, quotes.FinalizeQuote(ctx, d.Account, d.Call.Call, request))
	}
	quoteID, err := requestOf[string](d)
	if err != nil {
		return err
	}
	if d.Operation == billing.OperationQuoteAccept {
		return r.Billing.FinishQuoteAcceptance(ctx, d.ID, quotes.AcceptQuote(ctx, d.Account, d.Call.Call, quoteID))
	}
	return r.Billing.FinishQuoteCancellation(ctx, d.ID, quotes.CancelQuote(ctx, d.Account, d.Call.Call, quoteID))
}

func (r *Runner) resumeInvoice(ctx context.Context, d billing.DueCall) error {
	invoices, ok := gateway.Capability[gateway.Invoices](r.Gateways, d.Kind)
	if !ok {
		return fmt.Errorf("%s keeps no invoices", d.Kind)
	}
	switch d.Operation {
	case billing.OperationInvoiceFinalize:
		request, err := requestOf[gateway.InvoiceRequest](d)
		if err != nil {
			return err
		}
		return r.Billing.FinishInvoiceFinalization(ctx, d.ID, invoices.FinalizeInvoice(ctx, d.Account, d.Call.Call, request))
	case billing.OperationInvoicePay, billing.OperationInvoiceSettle:
		request, err := requestOf[gateway.InvoicePayRequest](d)
		if err != nil {
			return err
		}
		if d.Operation == billing.OperationInvoiceSettle {
			return r.Billing.FinishInvoicePayment(ctx, d.ID, invoices.SettleInvoice(ctx, d.Account, d.Call.Call, request.InvoiceID))
		}
		return r.Billing.FinishInvoicePayment(ctx, d.ID, invoices.PayInvoice(ctx, d.Account, d.Call.Call, request))
	default: // the invoice's id is all there is to say
	}
	invoiceID, err := requestOf[string](d)
	if err != nil {
		return err
	}
	if d.Operation == billing.OperationInvoiceVoid {
		return r.Billing.FinishInvoiceVoid(ctx, d.ID, invoices.VoidInvoice(ctx, d.Account, d.Call.Call, invoiceID))
	}
	return r.Billing.FinishInvoiceVoid(ctx, d.ID, invoices.DeleteDraftInvoice(ctx, d.Account, d.Call.Call, invoiceID))
}

func (r *Runner) resumeCreditNote(ctx context.Context, d billing.DueCall) error {
	notes, ok := gateway.Capability[gateway.CreditNotes](r.Gateways, d.Kind)
	if !ok {
		return fmt.Errorf("%s takes no credit notes", d.Kind)
	}
	request, err := requestOf[gateway.CreditNoteRequest](d)
	if err != nil {
		return err
	}
	return r.Billing.FinishCreditNote(ctx, d.ID, notes.CreditInvoice(ctx, d.Account, d.Call.Call, request))
}

func (r *Runner) resumePayment(ctx context.Context, d billing.DueCall) error {
	if d.Operation == billing.OperationHostedPayment {
		pages, ok := gateway.Capability[gateway.HostedPayments](r.Gateways, d.Kind)
		if !ok {
			return fmt.Errorf("%s has no payment page", d.Kind)
		}
		request, err := requestOf[gateway.HostedPaymentRequest](d)
		if err != nil {
			return err
		}
		return r.Billing.FinishPayment(ctx, d.ID, pages.StartHostedPayment(ctx, d.Account, d.Call.Call, request))
	}
	charges, ok := gateway.Capability[gateway.Charges](r.Gateways, d.Kind)
	if !ok {
		return fmt.Errorf("%s charges no cards", d.Kind)
	}
	request, err := requestOf[gateway.ChargeRequest](d)
	if err != nil {
		return err
	}
	return r.Billing.FinishPayment(ctx, d.ID, charges.ChargeCard(ctx, d.Account, d.Call.Call, request))
}

func (r *Runner) resumeCard(ctx context.Context, d billing.DueCall) error {
	request, err := requestOf[gateway.CardRequest](d)
	if err != nil {
		return err
	}
	if d.Operation == billing.OperationCardDetach {
		saved, ok := gateway.Capability[gateway.SavedCards](r.Gateways, d.Kind)
		if !ok {
			return fmt.Errorf("%s keeps no cards", d.Kind)
		}
		return r.Billing.FinishCardChange(ctx, d.ID, saved.DetachCard(ctx, d.Account, d.Call.Call, request.Customer.ID, request.Token))
	}
	cards, ok := gateway.Capability[gateway.Cards](r.Gateways, d.Kind)
	if !ok {
		return fmt.Errorf("%s saves no cards", d.Kind)
	}
	switch d.Operation {
	case billing.OperationCardAttach:
		return r.Billing.FinishCard(ctx, d.ID, cards.AttachCard(ctx, d.Account, d.Call.Call, request))
	case billing.OperationCardSetup:
		return r.Billing.FinishCard(ctx, d.ID, cards.SetupCard(ctx, d.Account, d.Call.Call, request))
	default:
		return r.Billing.FinishCardChange(ctx, d.ID, cards.SetDefaultCard(ctx, d.Account, d.Call.Call, request.Customer.ID, request.Token))
	}
}

func (r *Runner) resumeEndpoint(ctx context.Context, d billing.DueCall) error {
	events, ok := gateway.Capability[gateway.Events](r.Gateways, d.Kind)
	if !ok {
		return fmt.Errorf("%s registers no webhook addresses", d.Kind)
	}
	request, err := requestOf[gateway.EndpointRequest](d)
	if err != nil {
		return err
	}
	return r.Billing.FinishEndpointRegistration(ctx, d.ID, events.RegisterEndpoint(ctx, d.Account, d.Call.Call, request))
}

// requestOf reads what was asked, as it was stored.
func requestOf[R any](d billing.DueCall) (R, error) {
	var request R
	if err := json.Unmarshal(d.Request, &request); err != nil {
		return request, fmt.Errorf("read the stored request: %w", err)
	}
	return request, nil
}
