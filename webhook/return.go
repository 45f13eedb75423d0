package webhook

import (
	"context"
	"net/http"
	"net/url"

	"purser/billing"
)

// returned sends a browser on that comes back from a hosted page, after the
// payment was settled if the gateway says so. The outcome in the address is
// only what the gateway's page was left by; where the browser goes is told by
// the payment.
func (h *Handler) returned(w http.ResponseWriter, r *http.Request) {
	ctx, p, err := h.payment(r.Context(), r.PathValue("organization"), r.PathValue("payment"))
	if err != nil {
		http.Error(w, "There is no such payment.", http.StatusNotFound)
		return
	}
	if p, err = h.settle(ctx, p); err != nil {
		// The payer has done what could be done; jobs find out the rest.
		h.Logger.WarnContext(ctx, "payment not settled on return", "payment_id", p.PaymentID, "error", err)
	}
	to := h.destination(ctx, p, r.PathValue("outcome"))
	if to == "" {
		to = "/thanks/" + url.PathEscape(r.PathValue("organization")) + "/" + url.PathEscape(p.Token)
		// Without the gateway's word, who left may have paid in another window.
		if err == nil && r.PathValue("outcome") == outcomeCancel {
			to += "?left=" + outcomeCancel
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// payment finds the payment that an unguessable address names.
func (h *Handler) payment(ctx context.Context, slug, token string) (context.Context, *billing.PublicPayment, error) {
	ctx, err := h.Billing.Inside(ctx, "return", slug)
	if err != nil {
		return ctx, nil, err
	}
	p, err := h.Billing.PublicPayment(ctx, token)
	return ctx, p, err
}

// settle asks the gateway how a payment stands and applies it; the payment is
// returned as it stands afterwards, whatever went wrong.
func (h *Handler) settle(ctx context.Context, p *billing.PublicPayment) (*billing.PublicPayment, error) {
	due, err := h.Billing.PaymentToCheck(ctx, p.PaymentID)
	if err != nil || due == nil {
		return p, err
	}
	ctx, cancel := billing.Detached(ctx, applyTimeout)
	defer cancel()
	if due.GatewayInvoiceID != "" {
		err = h.Billing.ApplyInvoice(ctx, due.InvoiceID, h.Gateways.FetchInvoice(ctx, due.Account, due.GatewayInvoiceID))
	} else {
		err = h.Billing.ApplyPayment(ctx, p.PaymentID, h.Gateways.FetchPayment(ctx, due.Account, due.ReferenceID, due.GatewayPaymentID))
	}
	if err != nil {
		return p, err
	}
	return h.Billing.PublicPayment(ctx, p.Token)
}

// outcomeCancel is the outcome in the address of who left the gateway's page
// without paying.
const outcomeCancel = "cancel"

// destination is where the browser goes: the address stored for what became
// of the payment, else the organization's thank-you page, else "" for ours.
// Only our own name of the payment is added; amounts are not, since nobody may
// believe them.
func (h *Handler) destination(ctx context.Context, p *billing.PublicPayment, outcome string) string {
	u := p.ReturnURLs
	var wanted string
	switch {
	case p.Status == billing.PaymentSucceeded:
		wanted = u.Success
	case p.Status == billing.PaymentFailed:
		wanted = firstOf(u.Failure, u.Success)
	case outcome == outcomeCancel || p.Status == billing.PaymentCanceled:
		wanted = firstOf(u.Cancel, u.Success)
	default:
		wanted = firstOf(u.Pending, u.Success)
	}
	if wanted == "" {
		wanted = h.Billing.ThankYouURL(ctx)
	}
	address, err := url.Parse(wanted) // checked when it was stored
	if wanted == "" || err != nil {
		return ""
	}
	q := address.Query()
	q.Set("paymentId", p.PaymentID)
	q.Set("orderCode", p.OrderCode)
	address.RawQuery = q.Encode()
	return address.String()
}

func firstOf(urls ...string) string {
	for _, u := range urls {
		if u != "" {
			return u
		}
	}
	return ""
}
