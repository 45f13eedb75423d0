package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"purser/billing"
	"purser/gateway"
)

// invoicePage has a form, which leads to the gateway's page, wherever that is.
var invoicePage = newPageKind("invoice", "'self' https:")

// invoiceView is what the page shows.
type invoiceView struct {
	page
	Invoice             *billing.PublicInvoice
	Problem, Visit, Pay string
}

// invoice is the page on which a payer sees an invoice, all of it, before
// anything is paid.
func (h *Handler) invoice(w http.ResponseWriter, r *http.Request) {
	ctx, i, err := h.publicInvoice(r)
	if err != nil {
		h.missing(ctx, w, "invoice", err)
		return
	}
	h.showInvoice(ctx, w, http.StatusOK, i, "")
}

// payInvoice leads the payer to the gateway's page. What cannot be paid now is
// said on the invoice's page.
func (h *Handler) payInvoice(w http.ResponseWriter, r *http.Request) {
	ctx, i, err := h.publicInvoice(r)
	if err != nil {
		h.missing(ctx, w, "invoice", err)
		return
	}
	if !i.Unpaid { // sent once more, by going back or in another window
		private(w.Header())
		http.Redirect(w, r, r.URL.EscapedPath(), http.StatusSeeOther)
		return
	}
	words := i.Language.Words
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	visit := r.PostFormValue("visit")
	if visit == "" || len(visit) > 64 {
		h.showInvoice(ctx, w, http.StatusBadRequest, i, words.PressAgain)
		return
	}
	to, problem, err := h.payOnPage(ctx, i, visit)
	var refusal *billing.Error
	switch {
	case errors.As(err, &refusal):
		h.Logger.InfoContext(ctx, "invoice page", "invoice_id", i.InvoiceID, "refused", refusal.Code)
		h.showInvoice(ctx, w, http.StatusConflict, i, words.NotNow)
	case err != nil:
		h.Logger.ErrorContext(ctx, "invoice page", "invoice_id", i.InvoiceID, "error", err)
		h.showInvoice(ctx, w, http.StatusServiceUnavailable, i, words.NoGateway)
	case problem != "":
		h.showInvoice(ctx, w, http.StatusConflict, i, problem)
	default:
		private(w.Header())
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// payOnPage begins a payment on the gateway's page and returns its address, or
// what is to be said where there is none.
func (h *Handler) payOnPage(ctx context.Context, i *billing.PublicInvoice, visit string) (to, problem string, err error) {
	begun, err := h.Billing.BeginPageVisit(ctx, i.InvoiceID, visit)
	if err != nil {
		return "", "", err
	}
	if begun.Page != nil {
		ctx, cancel := billing.Detached(ctx, callTimeout)
		defer cancel()
		result := gateway.PaymentResult{Outcome: gateway.Unsupported(begun.Kind, "show a payment page")}
		if pages, ok := gateway.Capability[gateway.HostedPayments](h.Gateways, begun.Kind); ok {
			result = pages.StartHostedPayment(ctx, begun.Account, begun.Call.Call, *begun.Page)
		}
		if err := h.Billing.FinishPayment(ctx, begun.ID, result); err != nil {
			return "", "", err
		}
	}
	to, over, err := h.Billing.PageOfPayment(ctx, begun.PaymentID)
	words := i.Language.Words
	switch {
	case to != "" || err != nil:
		return to, "", err
	case !over:
		return "", words.NotReady, nil
	case begun.Page != nil: // the gateway would not have it
		return "", words.NotNow, nil
	}
	return "", words.PressAgain, nil // the page of a visit that is over
}

func (h *Handler) publicInvoice(r *http.Request) (context.Context, *billing.PublicInvoice, error) {
	slug := r.PathValue("organization")
	ctx, err := h.Billing.Inside(r.Context(), "invoice page", slug)
	if err != nil {
		return r.Context(), nil, err
	}
	i, err := h.Billing.PublicInvoice(ctx, slug, r.PathValue("token"))
	return ctx, i, err
}

func (h *Handler) showInvoice(ctx context.Context, w http.ResponseWriter, status int, i *billing.PublicInvoice, problem string) {
	h.show(ctx, w, status, invoiceViewOf(i, problem, h.Billing.NewVisit()))
}

func invoiceViewOf(i *billing.PublicInvoice, problem, visit string) *invoiceView {
	return &invoiceView{
		page:    page{pageKind: invoicePage, Language: i.Language, Title: i.Title(), Seller: i.Seller.Name, Test: i.Test},
		Invoice: i, Problem: problem, Visit: visit,
		Pay: fmt.Sprintf(i.Language.Words.Pay, i.Language.Amount(i.Due)),
	}
}
