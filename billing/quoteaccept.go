package billing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/quote"
	"purser/gateway"
)

// QuoteAcceptance is a begun acceptance; without a Call there is nothing to
// ask.
type QuoteAcceptance struct {
	QuoteID string
	*Call
	GatewayQuoteID string
}

// QuoteAcceptDraft accepts a quote for its payer.
type QuoteAcceptDraft struct {
	ID  string
	Key *string `json:"-"`
}

// BeginQuoteAcceptance stores the intent to accept an open quote. One that no
// gateway mirrors is ACCEPTED afterwards, with an invoice in DRAFT.
//
// Codes: REQUIRED, NOT_FOUND, INVALID_STATE, EXPIRED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginQuoteAcceptance(ctx context.Context, d QuoteAcceptDraft) (*QuoteAcceptance, error) {
	op, err := s.newOperation("quoteAccept", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	callID, invoiceID := s.newID(prefixCall), s.newID(prefixInvoice)
	out := QuoteAcceptance{QuoteID: d.ID}
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			found = earlier.CallID
			return nil
		}
		q, err := tx.acceptableQuote(ctx, d.ID)
		if err != nil {
			return err
		}
		if found = ""; q.GatewayQuoteID == nil {
			if err := tx.acceptQuote(ctx, q, invoiceID, ""); err != nil {
				return err
			}
			return tx.remember(ctx, op, q.ID, "", "")
		}
		found, out.GatewayQuoteID = callID, *q.GatewayQuoteID
		if err := tx.openCall(ctx, callID, *q.ProviderID, gatewaycall.OperationQUOTE_ACCEPT, q.ID, out.GatewayQuoteID); err != nil {
			return err
		}
		if err := tx.reserveQuote(ctx, q, callID); err != nil {
			return err
		}
		return tx.remember(ctx, op, q.ID, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// acceptableQuote reads a quote that may be accepted now. One in a currency
// that has become INACTIVE may: it was binding before.
func (tx *Tx) acceptableQuote(ctx context.Context, id string) (*ent.Quote, error) {
	q, err := tx.lockQuote(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := tx.quoteIs(ctx, q, quote.StatusOPEN); err != nil {
		return nil, err
	}
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	if q.ExpiresAt != nil && !q.ExpiresAt.After(tx.Now) {
		return nil, refuse(CodeExpired, "id", "the quote expired on %s: write a new one", q.ExpiresAt.Format(time.DateOnly))
	}
	if _, err := tx.payerToSell(ctx, orEmpty(q.PayerID), "id"); err != nil {
		return nil, err
	}
	return q, nil
}

// reserveQuote gives a quote to a gateway call until it is finished.
func (tx *Tx) reserveQuote(ctx context.Context, q *ent.Quote, callID string) error {
	n, err := tx.Quote.Update().
		Where(quote.ID(q.ID), quote.StatusEQ(q.Status), quote.PendingCallIDIsNil()).
		SetPendingCallID(callID).SetUpdatedAt(tx.Now).Save(ctx)
	return cas(n, err)
}

// acceptQuote makes the invoice, in DRAFT, and moves the quote to ACCEPTED. Of
// recurring positions it makes a subscription.
func (tx *Tx) acceptQuote(ctx context.Context, q *ent.Quote, invoiceID, gatewayInvoiceID string) error {
	if err := tx.dropRevisions(ctx, q.ID); err != nil {
		return err
	}
	lines, err := tx.quoteLines(ctx, q.ID)
	if err != nil {
		return err
	}
	if gatewayInvoiceID == "" && slices.ContainsFunc(lines, func(l line) bool { return l.interval != nil }) {
		return tx.sellSubscription(ctx, q, lines, invoiceID)
	}
	if err := tx.invoiceOfQuote(ctx, q, invoiceID, gatewayInvoiceID); err != nil {
		return err
	}
	n, err := tx.Quote.Update().
		Where(quote.ID(q.ID), quote.StatusEQ(q.Status), quoteReservedBy(q.PendingCallID)).
		SetStatus(quote.StatusACCEPTED).SetInvoiceID(invoiceID).SetAcceptedAt(tx.Now).SetUpdatedAt(tx.Now).
		ClearPendingCallID().Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("accept quote %s: %w", q.ID, err)
	}
	return tx.quoteChanged(ctx, q.ID)
}

// sellSubscription moves a quote to ACCEPTED and makes its subscription.
func (tx *Tx) sellSubscription(ctx context.Context, q *ent.Quote, lines []line, invoiceID string) error {
	n, err := tx.Quote.Update().
		Where(quote.ID(q.ID), quote.StatusEQ(q.Status), quoteReservedBy(q.PendingCallID)).
		SetStatus(quote.StatusACCEPTED).SetAcceptedAt(tx.Now).SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("accept quote %s: %w", q.ID, err)
	}
	id := tx.s.newID(prefixSubscription)
	if err := tx.subscriptionOfQuote(ctx, q, lines, id, invoiceID); err != nil {
		return err
	}
	if _, err := tx.Quote.Update().Where(quote.ID(q.ID)).SetSubscriptionID(id).Save(ctx); err != nil {
		return fmt.Errorf("name the subscription of quote %s: %w", q.ID, err)
	}
	return tx.quoteChanged(ctx, q.ID)
}

// FinishQuoteAcceptance applies the outcome of an acceptance: the invoice that
// the gateway made of the quote is adopted. It may be called any number of
// times.
func (s *Service) FinishQuoteAcceptance(ctx context.Context, callID string, r gateway.QuoteResult) error {
	invoiceID := s.newID(prefixInvoice)
	return s.finishQuote(ctx, callID, r, func(ctx context.Context, tx *Tx, _ *ent.GatewayCall, q *ent.Quote) error {
		return tx.adoptQuote(ctx, q, invoiceID, r)
	})
}

// adoptQuote makes the invoice of a quote that was accepted at the gateway,
// once, whoever accepted it there. One that has expired here meanwhile was
// accepted in time: the gateway has the same day.
func (tx *Tx) adoptQuote(ctx context.Context, q *ent.Quote, invoiceID string, r gateway.QuoteResult) error {
	switch {
	case q.Status == quote.StatusACCEPTED:
		return nil
	case q.Status != quote.StatusOPEN && q.Status != quote.StatusEXPIRED:
		return fmt.Errorf("quote %s is %s, at the gateway it was accepted: %w", q.ID, q.Status, errMismatch)
	case r.InvoiceID == "" || r.Total != *q.Total():
		return fmt.Errorf("quote %s comes to %s, the gateway's invoice %q to %s: %w", q.ID, q.Total(), r.InvoiceID, r.Total, errMismatch)
	}
	return tx.acceptQuote(ctx, q, invoiceID, r.InvoiceID)
}

// adoptForeign adopts a quote that was accepted at the gateway by somebody
// else. The call that it stores takes the new invoice in hand there: one that
// the gateway advanced by itself would be charged beside us.
func (tx *Tx) adoptForeign(ctx context.Context, q *ent.Quote, invoiceID, callID string, r gateway.QuoteResult) error {
	if q.Status == quote.StatusACCEPTED {
		return nil
	}
	ours, err := tx.beingAccepted(ctx, q)
	if err != nil {
		return err
	}
	if err := tx.adoptQuote(ctx, q, invoiceID, r); err != nil || ours {
		return err
	}
	return tx.openCall(ctx, callID, *q.ProviderID, gatewaycall.OperationQUOTE_ACCEPT, q.ID, *q.GatewayQuoteID)
}

// beingAccepted says whether a call of ours is accepting the quote: it takes
// the invoice in hand as well.
func (tx *Tx) beingAccepted(ctx context.Context, q *ent.Quote) (bool, error) {
	if q.PendingCallID == nil {
		return false, nil
	}
	found, err := tx.GatewayCall.Query().
		Where(gatewaycall.ID(*q.PendingCallID), gatewaycall.OperationEQ(gatewaycall.OperationQUOTE_ACCEPT)).Exist(ctx)
	if err != nil {
		return false, fmt.Errorf("read the call of quote %s: %w", q.ID, err)
	}
	return found, nil
}

// BeginQuoteCancellation takes a quote back, here at once when no gateway
// mirrors it.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) BeginQuoteCancellation(ctx context.Context, id string) (*QuoteAcceptance, error) {
	op, err := s.newOperation("quoteCancel", nil, keyOptional, id)
	if err != nil {
		return nil, err
	}
	callID := s.newID(prefixCall)
	out := QuoteAcceptance{QuoteID: id}
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			found = earlier.CallID
			return nil
		}
		q, err := tx.lockQuote(ctx, id)
		if err != nil {
			return err
		}
		if found = ""; q.Status == quote.StatusCANCELED {
			return nil
		}
		if err := tx.quoteIs(ctx, q, quote.StatusDRAFT, quote.StatusOPEN); err != nil {
			return err
		}
		if q.GatewayQuoteID == nil {
			if err := tx.cancelQuote(ctx, q, quote.StatusCANCELED); err != nil {
				return err
			}
			return tx.remember(ctx, op, q.ID, "", "")
		}
		found, out.GatewayQuoteID = callID, *q.GatewayQuoteID
		if err := tx.openCall(ctx, callID, *q.ProviderID, gatewaycall.OperationQUOTE_CANCEL, q.ID, out.GatewayQuoteID); err != nil {
			return err
		}
		if err := tx.reserveQuote(ctx, q, callID); err != nil {
			return err
		}
		return tx.remember(ctx, op, q.ID, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// cancelQuote ends a draft or an open quote. One that the gateway has canceled
// because its day has passed is EXPIRED.
func (tx *Tx) cancelQuote(ctx context.Context, q *ent.Quote, to quote.Status) error {
	n, err := tx.Quote.Update().
		Where(quote.ID(q.ID), quote.StatusEQ(q.Status), quoteReservedBy(q.PendingCallID)).
		SetStatus(to).SetUpdatedAt(tx.Now).ClearPendingCallID().Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("cancel quote %s: %w", q.ID, err)
	}
	return tx.quoteChanged(ctx, q.ID)
}

// FinishQuoteCancellation applies the outcome of a cancellation. It may be
// called any number of times.
func (s *Service) FinishQuoteCancellation(ctx context.Context, callID string, r gateway.QuoteResult) error {
	invoiceID, adoption := s.newID(prefixInvoice), s.newID(prefixCall)
	return s.finishQuote(ctx, callID, r, func(ctx context.Context, tx *Tx, _ *ent.GatewayCall, q *ent.Quote) error {
		switch {
		case r.State == gateway.QuoteAccepted:
			return tx.adoptForeign(ctx, q, invoiceID, adoption, r) // the payer was quicker
		case q.Status != quote.StatusOPEN:
			return nil
		}
		return tx.cancelQuote(ctx, q, quote.StatusCANCELED)
	})
}

// ApplyQuote brings a quote to what the gateway says of it: accepted or
// canceled there by somebody else. It may be called any number of times.
func (s *Service) ApplyQuote(ctx context.Context, id string, r gateway.QuoteResult) error {
	if !r.Known() {
		return fmt.Errorf("read quote %s at the gateway: %s", id, r.Status)
	}
	invoiceID, adoption := s.newID(prefixInvoice), s.newID(prefixCall)
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		q, err := tx.lockQuote(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case q.Status == quote.StatusDRAFT, q.Status == quote.StatusACCEPTED, q.Status != quote.StatusOPEN && r.State != gateway.QuoteAccepted:
			return nil // a draft waits for its own call; an end is an end
		case orEmpty(q.GatewayQuoteID) != r.QuoteID || r.Total != *q.Total():
			return fmt.Errorf("quote %s comes to %s, at the gateway %s to %s: %w", id, q.Total(), r.QuoteID, r.Total, errMismatch)
		case r.State == gateway.QuoteAccepted && r.InvoiceID != "":
			return tx.adoptForeign(ctx, q, invoiceID, adoption, r)
		case r.State == gateway.QuoteCanceled && q.PendingCallID == nil && q.ExpiresAt != nil && !q.ExpiresAt.After(tx.Now):
			return tx.cancelQuote(ctx, q, quote.StatusEXPIRED)
		case r.State == gateway.QuoteCanceled:
			return tx.cancelQuote(ctx, q, quote.StatusCANCELED)
		}
		return nil
	})
}

// QuotesToExpire lists open quotes of the viewer's organization that have
// passed their day.
func (s *Service) QuotesToExpire(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Quote.Query().Where(quoteDue(s.now(ctx))).Order(ent.Asc(quote.FieldExpiresAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list expired quotes: %w", err)
	}
	return ids, nil
}

// ExpireQuote marks an open quote that has passed its day.
func (s *Service) ExpireQuote(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.Quote.Update().Where(quote.ID(id), quoteDue(tx.Now)).
			SetStatus(quote.StatusEXPIRED).SetUpdatedAt(tx.Now).Save(ctx)
		if err != nil || n == 0 {
			return err
		}
		return tx.quoteChanged(ctx, id)
	})
}
