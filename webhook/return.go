package webhook

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"purser/billing"
	"purser/gateway"
)

// returned sends a browser on that comes back from a hosted page, after the
// payment was settled if the gateway says so. The outcome in the address is
// only what the gateway's page was left by; where the browser goes is told by
// the payment.
func (h *Handler) returned(w http.ResponseWriter, r *http.Request) {
	ctx, p, err := h.payment(r.Context(), r.PathValue("organization"), r.PathValue("payment"))
	if err != nil {
		h.missing(ctx, w, "payment", err)
		return
	}
	signed := h.signed(ctx, p, r.PathValue("outcome"), r.URL.Query())
	if p, err = h.settled(ctx, p, signed); err != nil {
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
	private(w.Header())
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// payment finds the payment that an unguessable address names.
func (h *Handler) payment(ctx context.Context, slug, token string) (context.Context, *billing.PublicPayment, error) {
	inside, err := h.Billing.Inside(ctx, "return", slug)
	if err != nil {
		return ctx, nil, err
	}
	p, err := h.Billing.PublicPayment(inside, token)
	return inside, p, err
}

// settled brings a payment to what the gateway says of it and returns it as it
// stands afterwards; with an error as it stood before.
func (h *Handler) settled(ctx context.Context, p *billing.PublicPayment, signed gateway.PaymentResult) (*billing.PublicPayment, error) {
	if err := h.settle(ctx, p.PaymentID, signed); err != nil {
		return p, err
	}
	now, err := h.Billing.PublicPayment(ctx, p.Token)
	if err != nil {
		return p, err
	}
	return now, nil
}

// settle asks the gateway how a payment stands. What it has signed counts where
// it does not say more on being asked.
func (h *Handler) settle(ctx context.Context, paymentID string, signed gateway.PaymentResult) error {
	due, err := h.Billing.PaymentToCheck(ctx, paymentID)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	if due.GatewayInvoiceID != "" {
		return h.Billing.ApplyInvoice(ctx, due.InvoiceID, h.Gateways.FetchInvoice(ctx, due.Account, due.GatewayInvoiceID))
	}
	result := h.Gateways.FetchPayment(ctx, due.Account, due.ReferenceID, due.GatewayPaymentID)
	if result.Silent() && signed.Status == gateway.StatusSucceeded {
		result = signed
	}
	return h.Billing.ApplyPayment(ctx, paymentID, result)
}

// signed is what a gateway says about a payment in the address to which it has
// sent the browser: signed with the account's secret, for the order and the
// amount that were stored; nothing where it does not sign addresses, or where
// this one is not believed. Of what is wrong the organization is told: nobody
// else would notice.
func (h *Handler) signed(ctx context.Context, p *billing.PublicPayment, outcome string, query url.Values) gateway.PaymentResult {
	account, err := h.Billing.OpenAccount(ctx, p.ProviderID)
	if err != nil {
		h.Logger.WarnContext(ctx, "return not looked at", "payment_id", p.PaymentID, "error", err)
		return gateway.PaymentResult{}
	}
	returns, ok := gateway.Capability[gateway.Returns](h.Gateways, account.Kind)
	if !ok {
		return gateway.PaymentResult{}
	}
	r, err := returns.VerifyReturn(account, outcome, query)
	problem := returnProblem(err, account.MACSecret != "")
	var result gateway.PaymentResult
	if err == nil {
		if result, err = h.Billing.ConfirmReturn(ctx, p.PaymentID, r); err != nil {
			problem = billing.ReturnWrongParameters
		}
	}
	if err != nil {
		h.Logger.WarnContext(ctx, "return not believed", "payment_id", p.PaymentID, "provider_id", p.ProviderID, "problem", problem, "error", err)
	}
	// A page that was left, or that broke, may have nothing to sign.
	if err == nil || outcome == gateway.ReturnSuccess || outcome == gateway.ReturnFailure {
		if err := h.Billing.NoteReturn(ctx, p.ProviderID, problem); err != nil {
			h.Logger.WarnContext(ctx, "return not noted", "payment_id", p.PaymentID, "error", err)
		}
	}
	if err != nil {
		return gateway.PaymentResult{}
	}
	return result
}

// returnProblem is what is wrong with a return, in the organization's words;
// empty where nothing is.
func returnProblem(err error, secret bool) billing.ReturnProblem {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, gateway.ErrUnsigned) && !secret:
		return billing.ReturnNoSecret
	case errors.Is(err, gateway.ErrUnsigned):
		return billing.ReturnNoParameters
	case errors.Is(err, gateway.ErrSignature):
		return billing.ReturnBadSignature
	default:
		return billing.ReturnWrongParameters
	}
}

// outcomeCancel is the outcome in the address of who left the gateway's page
// without paying.
const outcomeCancel = gateway.ReturnCancel

// destination is where the browser goes: the address stored for what became
// of the payment, else the organization's thank-you page, else "" for ours;
// never the one for another end, where a shop would thank for nothing. Only
// our own name of the payment is added; amounts are not, since nobody may
// believe them.
func (h *Handler) destination(ctx context.Context, p *billing.PublicPayment, outcome string) string {
	u := p.ReturnURLs
	var wanted string
	switch {
	case p.Status == billing.PaymentSucceeded:
		wanted = u.Success
	case p.Status == billing.PaymentFailed:
		wanted = u.Failure
	case outcome == outcomeCancel || p.Status == billing.PaymentCanceled:
		wanted = u.Cancel
	case outcome == gateway.ReturnError && u.Error != "":
		wanted = u.Error
	default:
		wanted = u.Pending
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
