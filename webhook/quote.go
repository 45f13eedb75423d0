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

//go:embed quote.html
var quoteHTML string

var quoteTemplate = template.Must(template.New("quote").Parse(quoteHTML))

// quotePolicy admits the page's one style sheet and its form, which stays here.
var quotePolicy = func() string {
	hash := sha256.Sum256([]byte(thanksCSS + invoiceCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}()

// quoteView is what the page shows.
type quoteView struct {
	*billing.PublicQuote
	Problem string
	Style   template.CSS
}

// quote is the page on which a payer reads a quote, all of it, and accepts it.
// Opening it changes nothing: programs that look through mails open links.
func (h *Handler) quote(w http.ResponseWriter, r *http.Request) {
	ctx, q, err := h.publicQuote(r)
	if err != nil {
		h.missing(ctx, w, "quote", err)
		return
	}
	h.showQuote(ctx, w, http.StatusOK, q, "")
}

// acceptQuote accepts a quote for whoever presses the button on its page, and
// shows the page again, so that a reload accepts nothing. However often it is
// pressed, the quote is accepted once.
func (h *Handler) acceptQuote(w http.ResponseWriter, r *http.Request) {
	ctx, q, err := h.publicQuote(r)
	if err != nil {
		h.missing(ctx, w, "quote", err)
		return
	}
	if err := new(http.CrossOriginProtection).Check(r); err != nil {
		h.Logger.WarnContext(ctx, "quote page", "quote_id", q.QuoteID, "error", err)
		h.showQuote(ctx, w, http.StatusForbidden, q, "Another page has sent you here, and nothing was accepted. Read the quote, and press the button yourself.")
		return
	}
	err = h.acceptOnPage(ctx, q.QuoteID)
	var refusal *billing.Error
	switch {
	case errors.As(err, &refusal):
		h.Logger.InfoContext(ctx, "quote page", "quote_id", q.QuoteID, "refused", refusal.Code)
		// It may have been accepted, taken back or run out since it was read.
		if now, err := h.Billing.PublicQuote(ctx, r.PathValue("organization"), r.PathValue("token")); err == nil {
			q = now
		}
		problem := ""
		if q.Acceptable {
			problem = "It cannot be accepted here at the moment. Ask the seller."
		}
		h.showQuote(ctx, w, http.StatusConflict, q, problem)
	case err != nil:
		h.Logger.ErrorContext(ctx, "quote page", "quote_id", q.QuoteID, "error", err)
		h.showQuote(ctx, w, http.StatusServiceUnavailable, q, "It is not known yet whether that has worked. Open this page again in a moment.")
	default:
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, q.PageURL, http.StatusSeeOther)
	}
}

// acceptOnPage accepts a quote as the mutation does.
func (h *Handler) acceptOnPage(ctx context.Context, quoteID string) error {
	begun, err := h.Billing.BeginPageAcceptance(ctx, quoteID)
	if err != nil || begun.Call == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := gateway.QuoteResult{Outcome: gateway.Unsupported(begun.Kind, "keep quotes")}
	if quotes, ok := gateway.Capability[gateway.Quotes](h.Gateways, begun.Kind); ok {
		result = quotes.AcceptQuote(ctx, begun.Account, begun.Call.Call, begun.GatewayQuoteID)
	}
	return h.Billing.FinishQuoteAcceptance(ctx, begun.ID, result)
}

func (h *Handler) publicQuote(r *http.Request) (context.Context, *billing.PublicQuote, error) {
	slug := r.PathValue("organization")
	ctx, err := h.Billing.Inside(r.Context(), "quote page", slug)
	if err != nil {
		return r.Context(), nil, err
	}
	q, err := h.Billing.PublicQuote(ctx, slug, r.PathValue("token"))
	return ctx, q, err
}

func (h *Handler) showQuote(ctx context.Context, w http.ResponseWriter, status int, q *billing.PublicQuote, problem string) {
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	// No other site learns the address. Ours does, or browsers would not say
	// where the form was sent from.
	head.Set("Referrer-Policy", "same-origin")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Robots-Tag", "noindex")
	head.Set("Content-Security-Policy", quotePolicy)
	w.WriteHeader(status)
	view := quoteView{PublicQuote: q, Problem: problem, Style: template.CSS(thanksCSS + invoiceCSS)} // embedded in this program
	if err := quoteTemplate.Execute(w, view); err != nil {
		h.Logger.WarnContext(ctx, "quote page", "error", err)
	}
}
