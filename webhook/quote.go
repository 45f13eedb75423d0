package webhook

import (
	"context"
	"errors"
	"net/http"

	"purser/billing"
	"purser/gateway"
)

// quotePage has a form, which stays here.
var quotePage = newPageKind("quote", "'self'")

// quoteView is what the page shows.
type quoteView struct {
	page
	Quote   *billing.PublicQuote
	Problem string
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
		h.showQuote(ctx, w, http.StatusForbidden, q, q.Language.Words.FromElsewhere)
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
			problem = q.Language.Words.NotAcceptable
		}
		h.showQuote(ctx, w, http.StatusConflict, q, problem)
	case err != nil:
		h.Logger.ErrorContext(ctx, "quote page", "quote_id", q.QuoteID, "error", err)
		h.showQuote(ctx, w, http.StatusServiceUnavailable, q, q.Language.Words.AcceptanceUnknown)
	default:
		private(w.Header())
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
	h.show(ctx, w, status, quoteViewOf(q, problem))
}

func quoteViewOf(q *billing.PublicQuote, problem string) *quoteView {
	return &quoteView{
		page:  page{pageKind: quotePage, Language: q.Language, Title: q.Title(), Seller: q.Seller.Name, Test: q.Test},
		Quote: q, Problem: problem,
	}
}
