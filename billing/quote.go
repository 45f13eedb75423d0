package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/quote"
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
	StartsAt    *time.Time `json:",omitempty"` // of the subscription that it sells
	Key         *string    `json:"-"`
}

// storedTime is an instant as it is stored and compared: in UTC, to the
// microsecond, however the caller wrote it.
func storedTime(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	utc := at.UTC().Truncate(time.Microsecond)
	return &utc
}

// CreateQuote writes a draft and returns its id. Called again with the same
// key it returns the same quote.
//
// Codes: INVALID, REQUIRED, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// LIMIT_EXCEEDED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateQuote(ctx context.Context, d QuoteDraft) (string, error) {
	d.ExpiresAt, d.StartsAt = storedTime(d.ExpiresAt), storedTime(d.StartsAt)
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
			Description: d.Description, ExpiresAt: d.ExpiresAt, StartsAt: d.StartsAt,
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
	StartsAt    *time.Time
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
		if err := tx.quoteIs(ctx, q, quote.StatusDRAFT); err != nil {
			return err
		}
		return tx.fillQuote(ctx, c.ID, c)
	})
}

// fillQuote writes what is given to a draft that the transaction holds.
func (tx *Tx) fillQuote(ctx context.Context, id string, c QuoteChange) error {
	u := tx.Quote.Update().Where(quote.ID(id), quote.StatusEQ(quote.StatusDRAFT), quote.PendingCallIDIsNil()).SetUpdatedAt(tx.Now)
	if c.PayerID != nil && *c.PayerID != "" {
		if _, err := tx.payerToSell(ctx, *c.PayerID, "payerId"); err != nil {
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
		// A column is either set or cleared: PostgreSQL refuses both at once.
		if d != nil {
			u.SetDescription(*d)
		} else {
			u.ClearDescription()
		}
	}
	if c.ExpiresAt != nil {
		if !c.ExpiresAt.After(tx.Now) {
			return refuse(CodeInvalid, "expiresAt", "the quote would have expired already")
		}
		u.SetExpiresAt(*storedTime(c.ExpiresAt))
	}
	if c.StartsAt != nil {
		if c.StartsAt.After(tx.Now.Add(startsMax)) {
			return refuse(CodeInvalid, "startsAt", "a subscription begins within three years")
		}
		u.SetStartsAt(*storedTime(c.StartsAt))
	}
	if c.Lines != nil {
		lines, total, err := tx.lines(ctx, *c.Lines, "lineItems")
		if err != nil {
			return err
		}
		if err := tx.writeQuoteLines(ctx, id, lines); err != nil {
			return err
		}
		if u.SetTotalUnits(total.Units); len(lines) > 0 {
			u.SetCurrency(total.Currency)
		} else {
			u.ClearCurrency()
		}
	}
	n, err := u.Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("write quote %s: %w", id, err)
	}
	return tx.quoteChanged(ctx, id)
}

// quoteChanged tells the live feed about a quote that was just written.
func (tx *Tx) quoteChanged(ctx context.Context, id string) error {
	q, err := tx.Quote.Query().Where(quote.ID(id)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read quote %s: %w", id, err)
	}
	tx.changed(ctx, ChangeQuote, id, orEmpty(q.PayerID))
	return nil
}

// lockQuote reads a quote for a change.
func (tx *Tx) lockQuote(ctx context.Context, id string) (*ent.Quote, error) {
	q, err := tx.Quote.Query().Where(quote.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "id", "quote", id)
	}
	return q, nil
}

// quoteIs refuses a quote that is in none of the states, or that a gateway
// call is changing.
func (tx *Tx) quoteIs(ctx context.Context, q *ent.Quote, states ...quote.Status) error {
	for _, s := range states {
		if q.Status != s {
			continue
		}
		if q.PendingCallID != nil {
			return tx.underWay(ctx, "quote", *q.PendingCallID)
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
