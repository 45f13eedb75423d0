package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/quote"
	"purser/gateway"
)

// A binding quote never changes. Another offer is another quote: a draft of
// the same content, which names the one that it replaces. That one is taken
// back first, so that never both can be accepted.

// QuoteReviseDraft replaces a quote.
type QuoteReviseDraft struct {
	ID  string
	Key *string `json:"-"`
}

// QuoteRevision is a begun revision. QuoteID is the draft; with a Call the
// quote that it replaces is to be taken back at the gateway first.
type QuoteRevision struct {
	QuoteID string
	*Call
	GatewayQuoteID string
}

// BeginQuoteRevision writes a draft with the content of a quote that was
// finalized once and not accepted, and takes that one back where it is open,
// here at once when no gateway mirrors it. The draft cannot be finalized before
// the other is taken back.
//
// Codes: NOT_FOUND, INVALID_STATE, IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginQuoteRevision(ctx context.Context, d QuoteReviseDraft) (*QuoteRevision, error) {
	op, err := s.newOperation("quoteRevise", d.Key, keyOptional, d)
	if err != nil {
		return nil, err
	}
	callID, draftID := s.newID(prefixCall), s.newID(prefixQuote)
	var out QuoteRevision
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		out, found = QuoteRevision{QuoteID: draftID}, ""
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.QuoteID, found = earlier.Subject, earlier.CallID
			return nil
		}
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		q, err := tx.revisableQuote(ctx, d.ID)
		if err != nil {
			return err
		}
		if err := tx.copyQuote(ctx, q, draftID); err != nil {
			return err
		}
		switch {
		case q.Status != quote.StatusOPEN:
		case q.GatewayQuoteID == nil:
			if err := tx.cancelQuote(ctx, q, quote.StatusCANCELED); err != nil {
				return err
			}
		default:
			found, out.GatewayQuoteID = callID, *q.GatewayQuoteID
			if err := tx.openCall(ctx, callID, *q.ProviderID, gatewaycall.OperationQUOTE_CANCEL, q.ID, out.GatewayQuoteID); err != nil {
				return err
			}
			if err := tx.reserveQuote(ctx, q, callID); err != nil {
				return err
			}
		}
		return tx.remember(ctx, op, draftID, "", found)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// revisableQuote reads a quote that may be replaced. A draft is changed
// instead, and what was accepted is sold.
func (tx *Tx) revisableQuote(ctx context.Context, id string) (*ent.Quote, error) {
	q, err := tx.lockQuote(ctx, id)
	if err != nil {
		return nil, err
	}
	switch {
	case q.Status == quote.StatusDRAFT:
		return nil, refuse(CodeInvalidState, "id", "the quote is a draft: change it with quoteUpdate")
	case q.FinalizedAt == nil:
		return nil, refuse(CodeInvalidState, "id", "the quote was taken back as a draft: write a new one")
	case q.Status == quote.StatusEXPIRED, q.Status == quote.StatusCANCELED:
		return q, nil
	default:
		return q, tx.quoteIs(ctx, q, quote.StatusOPEN)
	}
}

// copyQuote writes a draft with the content of a quote. A day that has passed
// is not taken over.
func (tx *Tx) copyQuote(ctx context.Context, q *ent.Quote, id string) error {
	c := tx.Quote.Create().SetID(id).SetRevisionOfID(q.ID).SetPublicToken(tx.s.newSecret(24)).
		SetNillablePayerID(q.PayerID).SetNillableProviderID(q.ProviderID).SetNillableCurrency(q.Currency).SetTotalUnits(q.TotalUnits).
		SetNillableDescription(q.Description).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
	if q.ExpiresAt != nil && q.ExpiresAt.After(tx.Now) {
		c.SetExpiresAt(*q.ExpiresAt)
	}
	if q.StartsAt != nil && q.StartsAt.After(tx.Now) {
		c.SetStartsAt(*q.StartsAt)
	}
	if err := c.Exec(ctx); err != nil {
		return fmt.Errorf("store revision of quote %s: %w", q.ID, err)
	}
	lines, err := tx.quoteLines(ctx, q.ID)
	if err != nil {
		return err
	}
	if err := tx.writeQuoteLines(ctx, id, lines); err != nil {
		return err
	}
	return tx.quoteChanged(ctx, id)
}

// FinishQuoteRevision applies the outcome of taking the replaced quote back. It
// may be called any number of times. Where that one was accepted first, or the
// gateway keeps it, the draft is dropped.
//
// Codes: INVALID_STATE, and those that tell what a gateway has refused.
func (s *Service) FinishQuoteRevision(ctx context.Context, callID, draftID string, r gateway.QuoteResult) error {
	if err := s.FinishQuoteCancellation(ctx, callID, r); err != nil {
		return err
	}
	dropped, err := s.read.Quote.Query().Where(quote.ID(draftID), quote.StatusEQ(quote.StatusCANCELED)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("read quote %s: %w", draftID, err)
	}
	if dropped {
		return refuse(CodeInvalidState, "id", "the payer has accepted the quote meanwhile")
	}
	return nil
}

// dropRevisions takes back the drafts that were to replace a quote which stays.
func (tx *Tx) dropRevisions(ctx context.Context, id string) error {
	_, err := tx.Quote.Update().Where(quote.RevisionOfID(id), quote.StatusEQ(quote.StatusDRAFT), quote.PendingCallIDIsNil()).
		SetStatus(quote.StatusCANCELED).SetUpdatedAt(tx.Now).Save(ctx)
	return wrapped(err, "take back the revisions of quote "+id)
}

// mayReplace refuses to finalize a draft while the quote that it replaces can
// be accepted, or was.
func (tx *Tx) mayReplace(ctx context.Context, q *ent.Quote) error {
	if q.RevisionOfID == nil {
		return nil
	}
	before, err := tx.lockQuote(ctx, *q.RevisionOfID)
	if err != nil {
		return err
	}
	switch before.Status {
	case quote.StatusOPEN:
		return refuse(CodeInvalidState, "id", "the quote %s, which it replaces, is not taken back yet: look again in a moment", orEmpty(before.Number))
	case quote.StatusACCEPTED:
		return refuse(CodeInvalidState, "id", "the quote %s, which it replaces, was accepted: write a new one", orEmpty(before.Number))
	default:
		return nil
	}
}
