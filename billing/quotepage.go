package billing

import (
	"context"
	"fmt"
	"time"

	"purser/document"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/quote"
)

// The page on which a payer reads a quote and accepts it. Its address is a
// secret of its own: whoever sees the document, or its link, can read the
// quote; only whoever was given the page's can accept it.

// QuotePage is where a finalized quote is read and accepted, by an unguessable
// link; nil for a draft.
func (s *Service) QuotePage(slug string, q *ent.Quote) *string {
	if q.AcceptToken == nil {
		return nil
	}
	link := s.publicLink("quotes", slug, *q.AcceptToken)
	return &link
}

// PublicQuote is a finalized quote as whoever has its page may see it: all that
// its document says, and what can be done about it.
type PublicQuote struct {
	document.Document
	QuoteID string
	// Status is the quote's, as it is at this moment: one that has passed its
	// day is EXPIRED.
	Status string
	// Acceptable says that it can be accepted now, Waiting that a gateway is
	// changing it.
	Acceptable, Waiting bool
	// Recurring says that accepting it begins a subscription.
	Recurring bool
	PageURL   string
	PDFURL    string
	// InvoiceURL is the page of the invoice that it was accepted to, while that
	// is to be paid.
	InvoiceURL string
}

// PublicQuote reads the finalized quote that an unguessable link of the
// viewer's organization names. The code is NOT_FOUND also for a draft.
func (s *Service) PublicQuote(ctx context.Context, slug, token string) (*PublicQuote, error) {
	q, err := s.read.Quote.Query().Where(quote.AcceptToken(token), quote.FinalizedAtNotNil()).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "token", "quote", "")
	}
	d, err := s.documentOfQuote(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &PublicQuote{Document: d, QuoteID: q.ID, Status: string(q.Status), PageURL: orEmpty(s.QuotePage(slug, q)), PDFURL: s.QuoteDocumentURL(slug, q)}
	if expiredQuote(q, s.now(ctx)) {
		out.Status = string(quote.StatusEXPIRED)
	}
	open := out.Status == string(quote.StatusOPEN)
	out.Acceptable, out.Waiting = open && q.PendingCallID == nil, open && q.PendingCallID != nil
	for _, l := range d.Lines {
		out.Recurring = out.Recurring || l.Every != ""
	}
	if q.InvoiceID == nil {
		return out, nil
	}
	i, err := s.read.Invoice.Query().Where(invoice.ID(*q.InvoiceID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read invoice of quote %s: %w", q.ID, err)
	}
	out.InvoiceURL = orEmpty(s.InvoicePage(slug, i))
	return out, nil
}

// BeginPageAcceptance is BeginQuoteAcceptance for a visitor of the quote's
// page. However often the button is pressed, and in however many windows, it
// is one acceptance.
func (s *Service) BeginPageAcceptance(ctx context.Context, quoteID string) (*QuoteAcceptance, error) {
	key := "page:" + quoteID
	return s.BeginQuoteAcceptance(ctx, QuoteAcceptDraft{ID: quoteID, Key: &key})
}

// expiredQuote reports whether an open quote has passed its day.
func expiredQuote(q *ent.Quote, now time.Time) bool {
	return q.Status == quote.StatusOPEN && q.ExpiresAt != nil && !q.ExpiresAt.After(now)
}
