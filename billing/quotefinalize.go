package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/predicate"
	"purser/ent/price"
	"purser/ent/product"
	"purser/ent/quote"
	"purser/ent/quoteline"
	"purser/gateway"
	"purser/money"
)

// QuoteFinalization is a begun finalization; without a Call there is nothing
// to ask.
type QuoteFinalization struct {
	QuoteID string
	*Call
	Request gateway.QuoteRequest
}

// QuoteFinalizeDraft makes a quote binding.
type QuoteFinalizeDraft struct {
	ID  string
	Key *string `json:"-"`
}

// BeginQuoteFinalization checks that a quote is complete and stores the intent
// to make it binding. A quote that no gateway mirrors is OPEN afterwards.
//
// Codes: NOT_FOUND, INVALID_STATE, REQUIRED, INVALID, EXPIRED.
func (s *Service) BeginQuoteFinalization(ctx context.Context, d QuoteFinalizeDraft) (*QuoteFinalization, error) {
	op, err := s.newOperation("quoteFinalize", d.Key, keyOptional, d)
	if err != nil {
		return nil, err
	}
	callID := s.newID(prefixCall)
	out := QuoteFinalization{QuoteID: d.ID}
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
		q, p, lines, err := tx.completeQuote(ctx, d.ID)
		if err != nil {
			return err
		}
		products, err := tx.providerOfLines(ctx, lines)
		if err != nil {
			return err
		}
		prov, err := tx.providerFor(ctx, orEmpty(q.ProviderID), products)
		if err != nil {
			return err
		}
		open := quoteOpening{expiresAt: tx.Now.Add(quoteLife)}
		if q.ExpiresAt != nil {
			open.expiresAt = *q.ExpiresAt
		}
		if prov != nil {
			open.providerID = prov.ID
		}
		if found = ""; prov == nil || !mirrored(prov, p, lines, *q.Total()) {
			if err := tx.openQuote(ctx, q, open); err != nil {
				return err
			}
			return tx.remember(ctx, op, q.ID, "", "")
		}
		found = callID
		if out.Request, err = tx.mirrorRequest(ctx, q, p, prov, lines, open.expiresAt); err != nil {
			return err
		}
		if err := tx.openCall(ctx, callID, prov.ID, gatewaycall.OperationQUOTE_FINALIZE, q.ID, out.Request); err != nil {
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

// completeQuote reads a draft with all that finalizing needs.
func (tx *Tx) completeQuote(ctx context.Context, id string) (*ent.Quote, *ent.Payer, []*ent.QuoteLine, error) {
	q, err := tx.lockQuote(ctx, id)
	if err != nil {
		return nil, nil, nil, err
	}
	if q.Status == quote.StatusOPEN {
		return nil, nil, nil, refuse(CodeInvalidState, "id", "the quote is open already")
	}
	if err := tx.quoteIs(ctx, q, quote.StatusDRAFT); err != nil {
		return nil, nil, nil, err
	}
	if q.PayerID == nil {
		return nil, nil, nil, refuse(CodeRequired, "payerId", "the quote has no payer: set one with quoteUpdate")
	}
	lines, err := tx.QuoteLine.Query().Where(quoteline.QuoteID(id)).Order(ent.Asc(quoteline.FieldPosition)).All(ctx)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("read positions: %w", err)
	}
	if len(lines) == 0 || q.Currency == nil {
		return nil, nil, nil, refuse(CodeRequired, "lineItems", "the quote has no positions: add some with quoteUpdate")
	}
	if _, err := tx.usableCurrency(ctx, *q.Currency, "lineItems"); err != nil {
		return nil, nil, nil, err
	}
	if _, err := recurrenceOfLines(linesOfQuote(lines), "lineItems"); err != nil {
		return nil, nil, nil, err
	}
	if _, err := q.Total().Minor(); err != nil {
		return nil, nil, nil, refuse(CodeInvalid, "lineItems", "the positions come to %s, which is not a whole number of the currency's smallest unit", q.Total())
	}
	if q.ExpiresAt != nil && !q.ExpiresAt.After(tx.Now) {
		return nil, nil, nil, refuse(CodeExpired, "expiresAt", "the day set for the quote's expiry has passed: set a later one with quoteUpdate")
	}
	if err := tx.mayReplace(ctx, q); err != nil {
		return nil, nil, nil, err
	}
	p, err := tx.payerToSell(ctx, *q.PayerID, "payerId")
	return q, p, lines, err
}

// providerOfLines is the provider that the products of all positions name, or
// "".
func (tx *Tx) providerOfLines(ctx context.Context, lines []*ent.QuoteLine) (string, error) {
	var prices []string
	for _, l := range lines {
		if l.PriceID == nil {
			return "", nil
		}
		prices = append(prices, *l.PriceID)
	}
	sold, err := tx.Price.Query().Where(price.IDIn(prices...)).All(ctx)
	if err != nil {
		return "", fmt.Errorf("read prices: %w", err)
	}
	var ids []string
	for _, p := range sold {
		ids = append(ids, p.ProductID)
	}
	products, err := tx.Product.Query().Where(product.IDIn(ids...)).All(ctx)
	if err != nil {
		return "", fmt.Errorf("read products: %w", err)
	}
	named := make([]*string, len(products))
	for i, p := range products {
		named[i] = p.ProviderID
	}
	return common(named), nil
}

// mirrored says whether the provider's gateway keeps a copy of the quote: one-off
// positions with unit amounts that it can take exactly, no tax of ours, and
// enough to pay that it can be charged.
func mirrored(prov *ent.Provider, p *ent.Payer, lines []*ent.QuoteLine, total money.Amount) bool {
	if !gateway.Kind(prov.Kind).Terms().Quotes || (p.TaxRatePpm != nil && *p.TaxRatePpm > 0) {
		return false
	}
	if chargeable(total, prov.Kind, "") != nil || tooSmall(total, prov.Kind) {
		return false
	}
	for _, l := range lines {
		if l.RecurrenceInterval != nil {
			return false
		}
		if unit := l.UnitAmount(); !unit.IsZero() && chargeable(unit, prov.Kind, "") != nil {
			return false
		}
	}
	return true
}

func (tx *Tx) mirrorRequest(ctx context.Context, q *ent.Quote, p *ent.Payer, prov *ent.Provider, lines []*ent.QuoteLine, expires time.Time) (gateway.QuoteRequest, error) {
	customer, err := tx.customer(ctx, p, prov.ID)
	r := gateway.QuoteRequest{
		Customer: customer, Currency: *q.Currency, Description: orEmpty(q.Description), ExpiresAt: expires.Truncate(time.Second),
	}
	for _, l := range lines {
		r.Lines = append(r.Lines, gatewayLine(l.Description, l.Quantity, l.UnitAmount(), l.Amount()))
	}
	return r, err
}

// quoteOpening is what a draft gets when it becomes binding.
type quoteOpening struct {
	providerID     string
	expiresAt      time.Time
	gatewayQuoteID string
}

// openQuote moves a complete draft to OPEN and gives it its number and its
// page; where the organization wants it so, the payer gets a mail.
func (tx *Tx) openQuote(ctx context.Context, q *ent.Quote, open quoteOpening) error {
	o, err := tx.tenant(ctx)
	if err != nil {
		return err
	}
	number, err := tx.quoteNumber(ctx, o)
	if err != nil {
		return err
	}
	u := tx.Quote.Update().Where(quote.ID(q.ID), quote.StatusEQ(quote.StatusDRAFT), quoteReservedBy(q.PendingCallID)).
		SetStatus(quote.StatusOPEN).SetNumber(number).SetFinalizedAt(tx.Now).SetUpdatedAt(tx.Now).
		SetExpiresAt(open.expiresAt).SetAcceptToken(tx.s.newSecret(24)).ClearPendingCallID()
	if open.providerID != "" {
		u.SetProviderID(open.providerID)
	}
	if open.gatewayQuoteID != "" {
		u.SetGatewayQuoteID(open.gatewayQuoteID)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("open quote %s: %w", q.ID, err)
	}
	if o.QuotesMailed {
		if _, err := tx.sendQuote(ctx, q); err != nil {
			return err
		}
	}
	return tx.quoteChanged(ctx, q.ID)
}

// quoteReservedBy matches quotes that are given to the call, or to none.
func quoteReservedBy(callID *string) predicate.Quote {
	if callID == nil {
		return quote.PendingCallIDIsNil()
	}
	return quote.PendingCallID(*callID)
}

// finishQuote is the frame of the three Finish functions: it settles the
// call, gives the quote free when nothing happened, and applies the result
// when something did. The refusal it returns says that the gateway took
// nothing; it is told to whoever asks later as well.
func (s *Service) finishQuote(ctx context.Context, callID string, r gateway.QuoteResult, apply func(context.Context, *Tx, *ent.GatewayCall, *ent.Quote) error) error {
	var refusal error
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		refusal = nil
		switch v {
		case verdictKnown:
			refusal = refusalOf("id", c)
			return nil
		case verdictAgain:
			return nil
		case verdictDone, verdictFreed:
		}
		q, err := tx.lockQuote(ctx, c.Subject)
		if err != nil {
			return err
		}
		if v == verdictFreed || r.Status == gateway.StatusDeclined {
			refusal = callRefusal("id", r.Outcome)
			if _, err := tx.Quote.Update().Where(quote.ID(q.ID), quote.PendingCallID(callID)).ClearPendingCallID().Save(ctx); err != nil {
				return fmt.Errorf("free quote: %w", err)
			}
			if err := tx.dropRevisions(ctx, q.ID); err != nil {
				return err
			}
			return tx.forgetKey(ctx, callID)
		}
		if err := tx.keepCustomer(ctx, c.ProviderID, orEmpty(q.PayerID), r.CustomerID); err != nil {
			return err
		}
		return apply(ctx, tx, c, q)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// FinishQuoteFinalization applies the outcome of a finalization. It may be
// called any number of times.
func (s *Service) FinishQuoteFinalization(ctx context.Context, callID string, r gateway.QuoteResult) error {
	return s.finishQuote(ctx, callID, r, func(ctx context.Context, tx *Tx, c *ent.GatewayCall, q *ent.Quote) error {
		if q.Status != quote.StatusDRAFT {
			return nil
		}
		if r.QuoteID == "" || r.Total != *q.Total() {
			return fmt.Errorf("quote %s comes to %s, the gateway's %s to %s: %w", q.ID, q.Total(), r.QuoteID, r.Total, errMismatch)
		}
		var asked gateway.QuoteRequest
		if err := json.Unmarshal(c.Request, &asked); err != nil {
			return fmt.Errorf("read what was asked: %w", err)
		}
		return tx.openQuote(ctx, q, quoteOpening{providerID: c.ProviderID, expiresAt: asked.ExpiresAt, gatewayQuoteID: r.QuoteID})
	})
}
