package webhook

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"

	"purser/billing"
	"purser/gateway"
)

//go:embed invoice.html
var invoiceHTML string

//go:embed invoice.css
var invoiceCSS string

var invoiceTemplate = template.Must(template.New("invoice").Parse(invoiceHTML))

// invoicePolicy admits the page's one style sheet and its form, which leads to
// the gateway's page, wherever that is.
var invoicePolicy = func() string {
	hash := sha256.Sum256([]byte(thanksCSS + invoiceCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'self' https: http:; frame-ancestors 'none'"
}()

// invoiceView is what the page shows.
type invoiceView struct {
	*billing.PublicInvoice
	Problem, Visit string
	Style          template.CSS
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
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	visit := r.PostFormValue("visit")
	if visit == "" || len(visit) > 64 {
		h.showInvoice(ctx, w, http.StatusBadRequest, i, "Press the button once more.")
		return
	}
	to, err := h.payOnPage(ctx, i.InvoiceID, visit)
	var refusal *billing.Error
	switch {
	case errors.As(err, &refusal):
		h.Logger.InfoContext(ctx, "invoice page", "invoice_id", i.InvoiceID, "refused", refusal.Code)
		h.showInvoice(ctx, w, http.StatusConflict, i, "It cannot be paid here at the moment: a payment may be under way. Look again in a few minutes, or ask the seller.")
	case err != nil:
		h.Logger.ErrorContext(ctx, "invoice page", "invoice_id", i.InvoiceID, "error", err)
		h.showInvoice(ctx, w, http.StatusServiceUnavailable, i, "The payment page cannot be reached now. Nothing was charged: try again in a moment.")
	case to == "":
		h.showInvoice(ctx, w, http.StatusAccepted, i, "The payment page is not there yet. Try again in a moment.")
	default:
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Referrer-Policy", "no-referrer")
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}

// payOnPage begins a payment on the gateway's page and returns its address.
func (h *Handler) payOnPage(ctx context.Context, invoiceID, visit string) (string, error) {
	begun, err := h.Billing.BeginPageVisit(ctx, invoiceID, visit)
	if err != nil {
		return "", err
	}
	if begun.Page != nil {
		ctx, cancel := billing.Detached(ctx, callTimeout)
		defer cancel()
		result := gateway.PaymentResult{Outcome: gateway.Unsupported(begun.Kind, "show a payment page")}
		if pages, ok := gateway.Capability[gateway.HostedPayments](h.Gateways, begun.Kind); ok {
			result = pages.StartHostedPayment(ctx, begun.Account, begun.Call.Call, *begun.Page)
		}
		if err := h.Billing.FinishPayment(ctx, begun.ID, result); err != nil {
			return "", err
		}
	}
	return h.Billing.PageOfPayment(ctx, begun.PaymentID)
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
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Robots-Tag", "noindex")
	head.Set("Content-Security-Policy", invoicePolicy)
	w.WriteHeader(status)
	view := invoiceView{PublicInvoice: i, Problem: problem, Visit: h.Billing.NewVisit(), Style: template.CSS(thanksCSS + invoiceCSS)} // embedded in this program
	if err := invoiceTemplate.Execute(w, view); err != nil {
		h.Logger.WarnContext(ctx, "invoice page", "error", err)
	}
}
