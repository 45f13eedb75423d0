package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/provider"
	"purser/ent/quote"
	"purser/ent/quoteline"
	"purser/gateway"
	"purser/money"
)

// quoteLife is how long a quote stands when nothing else is said.
const quoteLife = 30 * 24 * time.Hour

// QuoteDraft is a quote to be written; everything may be filled in later.
type QuoteDraft struct {
	PayerID     string
	ProviderID  string
	Lines       []LineDraft
	Description *string
	ExpiresAt   *time.Time
	Key         *string `json:"-"`
}

// CreateQuote writes a draft and returns its id. Called again with the same
// key it returns the same quote.
//
// Codes: INVALID, REQUIRED, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// LIMIT_EXCEEDED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateQuote(ctx context.Context, d QuoteDraft) (string, error) {
	op, err := s.newOperation("quoteCreate", d.Key, keyOptional, d)
	if err != nil {
		return "", err
	}
	id := s.newID(prefixQuote)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			id = earlier.Subject
			return nil
		}
		err = tx.Quote.Create().SetID(id).SetPublicToken(s.newSecret(24)).
			SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("store quote: %w", err)
		}
		if err := tx.fillQuote(ctx, id, QuoteChange{
			ID: id, PayerID: &d.PayerID, ProviderID: &d.ProviderID, Lines: &d.Lines,
			Description: d.Description, ExpiresAt: d.ExpiresAt,
		}); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", "")
	})
	return id, err
}

// QuoteChange changes a draft; what is nil stays.
type QuoteChange struct {
	ID          string
	PayerID     *string
	ProviderID  *string
	Lines       *[]LineDraft // replaced as a whole
	Description *string
	ExpiresAt   *time.Time
}

// UpdateQuote changes a draft. It may be called twice.
//
// Codes: as CreateQuote.
func (s *Service) UpdateQuote(ctx context.Context, c QuoteChange) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		q, err := tx.lockQuote(ctx, c.ID)
		if err != nil {
			return err
		}
		if err := quoteIs(q, quote.StatusDRAFT); err != nil {
			return err
		}
		return tx.fillQuote(ctx, c.ID, c)
	})
}

// fillQuote writes what is given to a draft that the transaction holds.
func (tx *Tx) fillQuote(ctx context.Context, id string, c QuoteChange) error {
	u := tx.Quote.Update().Where(quote.ID(id), quote.StatusEQ(quote.StatusDRAFT), quote.PendingCallIDIsNil()).SetUpdatedAt(tx.Now)
	if c.PayerID != nil && *c.PayerID != "" {
		if _, err := tx.activePayer(ctx, *c.PayerID, "payerId"); err != nil {
			return err
		}
		u.SetPayerID(*c.PayerID)
	}
	if c.ProviderID != nil && *c.ProviderID != "" {
		if _, err := tx.usableProvider(ctx, *c.ProviderID, "providerId"); err != nil {
			return err
		}
		u.SetProviderID(*c.ProviderID)
	}
	if c.Description != nil {
		d, err := optionalNote(c.Description, "description", "the description")
		if err != nil {
			return err
		}
		u.ClearDescription()
		if d != nil {
			u.SetDescription(*d)
		}
	}
	if c.ExpiresAt != nil {
		if !c.ExpiresAt.After(tx.Now) {
			return refuse(CodeInvalid, "expiresAt", "the quote would have expired already")
		}
		u.SetExpiresAt(c.ExpiresAt.UTC().Truncate(time.Microsecond))
	}
	if c.Lines != nil {
		lines, total, err := tx.lines(ctx, *c.Lines, "lineItems")
		if err != nil {
			return err
		}
		if err := tx.writeQuoteLines(ctx, id, lines); err != nil {
			return err
		}
		u.SetTotalUnits(total.Units).ClearCurrency()
		if len(lines) > 0 {
			u.SetCurrency(total.Currency)
		}
		if p := commonProvider(lines); p != "" && (c.ProviderID == nil || *c.ProviderID == "") {
			u.SetProviderID(p)
		}
	}
	n, err := u.Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("write quote %s: %w", id, err)
	}
	return tx.quoteChanged(ctx, id)
}

func (tx *Tx) quoteChanged(ctx context.Context, id string) error {
	q, err := tx.Quote.Query().Where(quote.ID(id)).Only(ctx)
	if err != nil {
		return err
	}
	tx.changed(ctx, ChangeQuote, id, orEmpty(q.PayerID))
	return nil
}

// lockQuote reads a quote for a change. One that has passed its day is
// EXPIRED, whatever its row says.
func (tx *Tx) lockQuote(ctx context.Context, id string) (*ent.Quote, error) {
	q, err := tx.Quote.Query().Where(quote.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "id", "quote", id)
	}
	return q, nil
}

// quoteIs refuses a quote that is in none of the states, or that a gateway
// call is changing.
func quoteIs(q *ent.Quote, states ...quote.Status) error {
	for _, s := range states {
		if q.Status != s {
			continue
		}
		if q.PendingCallID != nil {
			return refuse(CodeInvalidState, "id", "the quote is being changed at the gateway: look again in a moment")
		}
		return nil
	}
	switch q.Status {
	case quote.StatusDRAFT:
		return refuse(CodeInvalidState, "id", "the quote is a draft: finalize it first with quoteFinalize")
	case quote.StatusEXPIRED:
		return refuse(CodeExpired, "id", "the quote has expired: write a new one")
	case quote.StatusACCEPTED:
		return refuse(CodeInvalidState, "id", "the quote was accepted already, its invoice is %s", orEmpty(q.InvoiceID))
	default:
		return refuse(CodeInvalidState, "id", "the quote is %s", q.Status)
	}
}

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
		prov, err := tx.quoteProvider(ctx, q)
		if err != nil {
			return err
		}
		expires := tx.Now.Add(quoteLife)
		if q.ExpiresAt != nil {
			expires = *q.ExpiresAt
		}
		u := tx.Quote.Update().Where(quote.ID(q.ID), quote.StatusEQ(quote.StatusDRAFT), quote.PendingCallIDIsNil()).
			SetExpiresAt(expires).SetUpdatedAt(tx.Now)
		if prov != nil {
			u.SetProviderID(prov.ID)
		}
		found = ""
		if prov != nil && mirrored(prov, p, lines, *q.Total()) {
			found = callID
			if out.Request, err = tx.mirrorRequest(ctx, q, p, prov, lines, expires); err != nil {
				return err
			}
			if err := tx.openCall(ctx, callID, prov.ID, gatewaycall.OperationQUOTE_FINALIZE, q.ID, out.Request); err != nil {
				return err
			}
			u.SetPendingCallID(callID)
		}
		if n, err := u.Save(ctx); err != nil || n == 0 {
			return cas(n, err)
		}
		if found == "" {
			if err := tx.openQuote(ctx, q.ID, ""); err != nil {
				return err
			}
		}
		return tx.remember(ctx, op, q.ID, "", found)
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
	if err := quoteIs(q, quote.StatusDRAFT); err != nil {
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
	if _, err := q.Total().Minor(); err != nil {
		return nil, nil, nil, refuse(CodeInvalid, "lineItems", "the positions come to %s, which is not a whole number of the currency's smallest unit", q.Total())
	}
	if q.ExpiresAt != nil && !q.ExpiresAt.After(tx.Now) {
		return nil, nil, nil, refuse(CodeExpired, "expiresAt", "the day set for the quote's expiry has passed: set a later one with quoteUpdate")
	}
	p, err := tx.activePayer(ctx, *q.PayerID, "payerId")
	return q, p, lines, err
}

// quoteProvider is the provider that the quote names, else the organization's
// default, else none: the quote then stays here.
func (tx *Tx) quoteProvider(ctx context.Context, q *ent.Quote) (*ent.Provider, error) {
	id := orEmpty(q.ProviderID)
	if id == "" {
		o, err := tx.organization(ctx)
		if err != nil || o.DefaultProviderID == nil {
			return nil, err
		}
		id = *o.DefaultProviderID
	}
	return tx.usableProvider(ctx, id, "providerId")
}

// mirrored says whether the provider's gateway keeps a copy of the quote
// (spec.md decision 9): one-off positions with unit amounts that it can take
// exactly, no tax of ours, and something to pay.
func mirrored(prov *ent.Provider, p *ent.Payer, lines []*ent.QuoteLine, total money.Amount) bool {
	if prov.Kind != provider.KindSTRIPE || total.Sign() <= 0 || (p.TaxRatePpm != nil && *p.TaxRatePpm > 0) {
		return false
	}
	if chargeable(total, prov.Kind, "") != nil {
		return false
	}
	for _, l := range lines {
		if l.RecurrenceInterval != nil {
			return false
		}
		if _, err := l.UnitAmount().Minor(); err != nil {
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

// openQuote moves a complete draft to OPEN and gives it its number.
func (tx *Tx) openQuote(ctx context.Context, id, gatewayQuoteID string) error {
	o, err := tx.organization(ctx)
	if err != nil {
		return err
	}
	number, err := tx.quoteNumber(ctx, o)
	if err != nil {
		return err
	}
	u := tx.Quote.Update().Where(quote.ID(id), quote.StatusEQ(quote.StatusDRAFT)).
		SetStatus(quote.StatusOPEN).SetNumber(number).SetFinalizedAt(tx.Now).SetUpdatedAt(tx.Now).ClearPendingCallID()
	if gatewayQuoteID != "" {
		u.SetGatewayQuoteID(gatewayQuoteID)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("open quote %s: %w", id, err)
	}
	return tx.quoteChanged(ctx, id)
}

// finishQuote is the frame of the three Finish functions: it settles the
// call, gives the quote free when nothing happened, and applies the result
// when something did.
func (s *Service) finishQuote(ctx context.Context, callID string, r gateway.QuoteResult, apply func(context.Context, *Tx, *ent.Quote) error) error {
	var refusal error
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		refusal = nil
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil || v == verdictKnown || v == verdictAgain {
			return err
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
			return tx.forgetKey(ctx, callID)
		}
		if err := tx.keepCustomer(ctx, c.ProviderID, orEmpty(q.PayerID), r.CustomerID); err != nil {
			return err
		}
		return apply(ctx, tx, q)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// FinishQuoteFinalization applies the outcome of a finalization. It may be
// called any number of times.
func (s *Service) FinishQuoteFinalization(ctx context.Context, callID string, r gateway.QuoteResult) error {
	return s.finishQuote(ctx, callID, r, func(ctx context.Context, tx *Tx, q *ent.Quote) error {
		if q.Status != quote.StatusDRAFT {
			return nil
		}
		if r.QuoteID == "" || r.Total != *q.Total() {
			return fmt.Errorf("quote %s comes to %s, the gateway's %s to %s: %w", q.ID, q.Total(), r.QuoteID, r.Total, errMismatch)
		}
		return tx.openQuote(ctx, q.ID, r.QuoteID)
	})
}

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
		found = ""
		if q.GatewayQuoteID == nil {
			if err := tx.acceptQuote(ctx, q, invoiceID, ""); err != nil {
				return err
			}
			return tx.remember(ctx, op, q.ID, "", "")
		}
		found, out.GatewayQuoteID = callID, *q.GatewayQuoteID
		if err := tx.openCall(ctx, callID, *q.ProviderID, gatewaycall.OperationQUOTE_ACCEPT, q.ID, out.GatewayQuoteID); err != nil {
			return err
		}
		if err := tx.holdQuote(ctx, q, callID); err != nil {
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

// acceptableQuote reads a quote that may be accepted now.
func (tx *Tx) acceptableQuote(ctx context.Context, id string) (*ent.Quote, error) {
	q, err := tx.lockQuote(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := quoteIs(q, quote.StatusOPEN); err != nil {
		return nil, err
	}
	if q.ExpiresAt != nil && !q.ExpiresAt.After(tx.Now) {
		return nil, refuse(CodeExpired, "id", "the quote expired on %s: write a new one", q.ExpiresAt.Format(time.DateOnly))
	}
	if _, err := tx.activePayer(ctx, orEmpty(q.PayerID), "id"); err != nil {
		return nil, err
	}
	recurring, err := tx.QuoteLine.Query().Where(quoteline.QuoteID(id), quoteline.RecurrenceIntervalNotNil()).Exist(ctx)
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	if recurring {
		return nil, refuse(CodeInvalidState, "id", "the quote has recurring positions: subscriptions cannot be sold yet, only one-off positions")
	}
	return q, nil
}

// holdQuote gives a quote to a gateway call until it is finished.
func (tx *Tx) holdQuote(ctx context.Context, q *ent.Quote, callID string) error {
	n, err := tx.Quote.Update().
		Where(quote.ID(q.ID), quote.StatusEQ(q.Status), quote.PendingCallIDIsNil()).
		SetPendingCallID(callID).SetUpdatedAt(tx.Now).Save(ctx)
	return cas(n, err)
}

// acceptQuote makes the invoice, in DRAFT, and moves the quote to ACCEPTED.
func (tx *Tx) acceptQuote(ctx context.Context, q *ent.Quote, invoiceID, gatewayInvoiceID string) error {
	if err := tx.invoiceOfQuote(ctx, q, invoiceID, gatewayInvoiceID); err != nil {
		return err
	}
	n, err := tx.Quote.Update().
		Where(quote.ID(q.ID), quote.StatusEQ(quote.StatusOPEN)).
		SetStatus(quote.StatusACCEPTED).SetInvoiceID(invoiceID).SetAcceptedAt(tx.Now).SetUpdatedAt(tx.Now).
		ClearPendingCallID().Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("accept quote %s: %w", q.ID, err)
	}
	return tx.quoteChanged(ctx, q.ID)
}

// FinishQuoteAcceptance applies the outcome of an acceptance: the invoice that
// the gateway made of the quote is adopted. It may be called any number of
// times.
func (s *Service) FinishQuoteAcceptance(ctx context.Context, callID string, r gateway.QuoteResult) error {
	invoiceID := s.newID(prefixInvoice)
	return s.finishQuote(ctx, callID, r, func(ctx context.Context, tx *Tx, q *ent.Quote) error {
		if q.Status == quote.StatusACCEPTED {
			return nil
		}
		if r.InvoiceID == "" || r.Total != *q.Total() {
			return fmt.Errorf("quote %s comes to %s, the gateway's invoice %q to %s: %w", q.ID, q.Total(), r.InvoiceID, r.Total, errMismatch)
		}
		return tx.acceptQuote(ctx, q, invoiceID, r.InvoiceID)
	})
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
		if q.Status == quote.StatusCANCELED {
			return nil
		}
		if err := quoteIs(q, quote.StatusDRAFT, quote.StatusOPEN); err != nil {
			return err
		}
		found = ""
		if q.GatewayQuoteID == nil {
			if err := tx.cancelQuote(ctx, q); err != nil {
				return err
			}
			return tx.remember(ctx, op, q.ID, "", "")
		}
		found, out.GatewayQuoteID = callID, *q.GatewayQuoteID
		if err := tx.openCall(ctx, callID, *q.ProviderID, gatewaycall.OperationQUOTE_CANCEL, q.ID, out.GatewayQuoteID); err != nil {
			return err
		}
		if err := tx.holdQuote(ctx, q, callID); err != nil {
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

func (tx *Tx) cancelQuote(ctx context.Context, q *ent.Quote) error {
	n, err := tx.Quote.Update().
		Where(quote.ID(q.ID), quote.StatusIn(quote.StatusDRAFT, quote.StatusOPEN)).
		SetStatus(quote.StatusCANCELED).SetUpdatedAt(tx.Now).ClearPendingCallID().Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("cancel quote %s: %w", q.ID, err)
	}
	return tx.quoteChanged(ctx, q.ID)
}

// FinishQuoteCancellation applies the outcome of a cancellation. It may be
// called any number of times.
func (s *Service) FinishQuoteCancellation(ctx context.Context, callID string, r gateway.QuoteResult) error {
	return s.finishQuote(ctx, callID, r, func(ctx context.Context, tx *Tx, q *ent.Quote) error {
		if q.Status == quote.StatusCANCELED || q.Status == quote.StatusACCEPTED {
			return nil
		}
		return tx.cancelQuote(ctx, q)
	})
}

// ApplyQuote brings a quote to what the gateway says of it: accepted or
// canceled there by somebody else. It may be called any number of times.
func (s *Service) ApplyQuote(ctx context.Context, id string, r gateway.QuoteResult) error {
	if !r.Known() {
		return fmt.Errorf("read quote %s at the gateway: %s", id, r.Status)
	}
	invoiceID := s.newID(prefixInvoice)
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		q, err := tx.lockQuote(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case q.Status != quote.StatusOPEN:
			return nil
		case r.Total != *q.Total():
			return fmt.Errorf("quote %s comes to %s, at the gateway to %s: %w", id, q.Total(), r.Total, errMismatch)
		case r.State == "accepted" && r.InvoiceID != "":
			return tx.acceptQuote(ctx, q, invoiceID, r.InvoiceID)
		case r.State == "canceled":
			return tx.cancelQuote(ctx, q)
		}
		return nil
	})
}

// ExpireQuotes marks open quotes of the viewer's organization that have passed
// their day and returns how many.
func (s *Service) ExpireQuotes(ctx context.Context, limit int) (int, error) {
	ids, err := s.read.Quote.Query().
		Where(quote.StatusEQ(quote.StatusOPEN), quote.ExpiresAtLTE(s.now()), quote.PendingCallIDIsNil()).
		Limit(limit).IDs(ctx)
	if err != nil {
		return 0, fmt.Errorf("list expired quotes: %w", err)
	}
	for _, id := range ids {
		err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
			n, err := tx.Quote.Update().
				Where(quote.ID(id), quote.StatusEQ(quote.StatusOPEN), quote.ExpiresAtLTE(tx.Now), quote.PendingCallIDIsNil()).
				SetStatus(quote.StatusEXPIRED).SetUpdatedAt(tx.Now).Save(ctx)
			if err != nil || n == 0 {
				return err
			}
			return tx.quoteChanged(ctx, id)
		})
		if err != nil {
			return len(ids), fmt.Errorf("expire quote %s: %w", id, err)
		}
	}
	return len(ids), nil
}
