package billing

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/ledgerentry"
	entschema "purser/ent/schema"
	"purser/money"
)

// OnInsufficient says what to do with usage that the balance does not cover.
type OnInsufficient string

// REFUSE books nothing; RECORD books work that is already done, into debt if
// need be. Nothing said means REFUSE.
const (
	OnInsufficientRefuse OnInsufficient = "REFUSE"
	OnInsufficientRecord OnInsufficient = "RECORD"
)

// Usage is something that a payer has used.
type Usage struct {
	PayerID        string
	Amount         money.Amount // the ledger's full precision
	Description    *string
	Metadata       map[string]string
	OccurredAt     *time.Time // the time of booking when nil
	OnInsufficient OnInsufficient
	Key            *string `json:"-"`
}

// Booking is one entry on a balance.
type Booking struct {
	EntryID   string
	BalanceID string
}

// usageOperation is the kind of operation that the keys of usage belong to;
// they live on the entries themselves.
const usageOperation = "usage"

// Bounds of the time at which usage may have occurred: clocks of others may
// be a little ahead of ours.
const usageAheadMax = time.Minute

var usageEarliest = time.Unix(0, 0).UTC()

// RecordUsage charges a payer's balance for usage: one entry from the balance
// to revenue. The balance is made when there is none yet. Called again with
// the same key and input it returns the same entry, whatever has become of the
// payer since; a refusal is not remembered, so the same usage may be tried
// again after a top-up. In a currency that is INACTIVE nothing is booked, with
// REFUSE and RECORD alike: RECORD is about funds, and work that was done for a
// currency that is not sold any more is booked when the currency is ACTIVE
// again.
//
// A caller who leaves does not take the usage back. ErrBusy says that nothing
// was done because too much is waiting already.
//
// Codes: REQUIRED (key), INVALID, NOT_FOUND, INVALID_STATE (payer, currency or
// organization not active), CURRENCY_MISMATCH, IDEMPOTENCY_KEY_REUSED, LIMIT_EXCEEDED, and
// with details FUNDS_RESERVED, CREDIT_LIMIT_EXCEEDED, INSUFFICIENT_FUNDS.
func (s *Service) RecordUsage(ctx context.Context, u Usage) (Booking, error) {
	all, err := s.recordEach(ctx, []Usage{u})
	if err != nil {
		return Booking{}, err
	}
	return all[0].Booking, all[0].Err
}

// UsageBatchMax is how many events one batch of usage may have.
const UsageBatchMax = 1000

// UsageOutcome is what became of one event of a batch.
type UsageOutcome struct {
	Booking
	Err error // a refusal as RecordUsage returns it
}

// RecordUsageBatch is RecordUsage for many events: each is decided in the
// order given and has an outcome of its own, and one that is refused leaves
// the others alone. An error that is no refusal says that some may be booked
// and some not: the same batch may be sent again, what is booked answers as it
// did.
//
// Codes: INVALID (events); those of RecordUsage stand in the outcomes.
func (s *Service) RecordUsageBatch(ctx context.Context, events []Usage) ([]UsageOutcome, error) {
	if len(events) == 0 || len(events) > UsageBatchMax {
		return nil, refuse(CodeInvalid, "events", "a batch has 1 to %d events, not %d", UsageBatchMax, len(events))
	}
	return s.recordEach(ctx, events)
}

// recordEach brings events to their organization's committer and waits for
// their outcomes.
func (s *Service) recordEach(ctx context.Context, all []Usage) ([]UsageOutcome, error) {
	viewer := auth.FromContext(ctx)
	if viewer == nil || viewer.OrganizationID == "" {
		return nil, fmt.Errorf("record usage: %w", entschema.ErrNoViewer)
	}
	outcomes := make([]UsageOutcome, len(all))
	events := make([]*usageEvent, 0, len(all))
	replies := make(chan *usageEvent, len(all))
	now := s.now(ctx)
	for i, u := range all {
		// The draft is a copy: its form is changed here.
		if outcomes[i].Err = u.check(now); outcomes[i].Err != nil {
			continue
		}
		op, err := s.newOperation("usageRecord", u.Key, keyRequired, u)
		var refusal *Error
		switch {
		case errors.As(err, &refusal):
			outcomes[i].Err = refusal
		case err != nil:
			return nil, err
		default:
			events = append(events, &usageEvent{Usage: u, op: op, viewer: viewer, index: i, replies: replies})
		}
	}
	if len(events) == 0 {
		return outcomes, nil
	}
	var alone, together []*usageEvent
	if together = events; s.clock(ctx) != (orgClock{}) {
		// A batch has one time, which is the machine's.
		alone, together = events, nil
	} else if err := s.committers.submit(events); err != nil {
		return nil, err
	}
	for range together {
		select {
		case e := <-replies:
			var refusal *Error
			switch {
			case e.alone:
				alone = append(alone, e)
			case e.err != nil && !errors.As(e.err, &refusal):
				return nil, e.err
			default:
				outcomes[e.index] = UsageOutcome{Booking: e.booking, Err: e.err}
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("record usage: %w", context.Cause(ctx))
		}
	}
	slices.SortFunc(alone, func(a, b *usageEvent) int { return cmp.Compare(a.index, b.index) })
	for _, e := range alone {
		booking, err := s.recordAlone(ctx, e.Usage, e.op)
		var refusal *Error
		if err != nil && !errors.As(err, &refusal) {
			return nil, err
		}
		outcomes[e.index] = UsageOutcome{Booking: booking, Err: err}
	}
	return outcomes, nil
}

// recordAlone books one event in a transaction of its own: where the balance
// has to be made, and where there is something to refuse that has nothing to
// do with funds.
func (s *Service) recordAlone(ctx context.Context, u Usage, op operation) (Booking, error) {
	var e *ent.LedgerEntry
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
		if e, err = tx.recordedUsage(ctx, op); e != nil || err != nil {
			return err
		}
		e, err = tx.recordUsage(ctx, u, op)
		return err
	})
	if err != nil {
		return Booking{}, err
	}
	return Booking{EntryID: e.ID, BalanceID: orEmpty(e.BalanceID)}, nil
}

// check holds the draft to its bounds and brings it into the form by which
// it is compared with later runs.
func (u *Usage) check(now time.Time) error {
	if u.Amount.Sign() <= 0 {
		return refuse(CodeInvalid, "amount.amount", "usage must be more than zero; to give something back, post a credit")
	}
	if !storable(u.PayerID) {
		return notFound("payerId", "payer", u.PayerID)
	}
	var err error
	if u.Description, err = optionalNote(u.Description, "description", "the description"); err != nil {
		return err
	}
	if err := checkMetadata(u.Metadata, "metadata"); err != nil {
		return err
	}
	switch u.OnInsufficient {
	case "":
		u.OnInsufficient = OnInsufficientRefuse
	case OnInsufficientRefuse, OnInsufficientRecord:
	default:
		return refuse(CodeInvalid, "onInsufficient", "%.20q is neither REFUSE nor RECORD", u.OnInsufficient)
	}
	if u.OccurredAt == nil {
		return nil
	}
	at := storedTime(u.OccurredAt)
	switch {
	case at.After(now.Add(usageAheadMax)):
		return refuse(CodeInvalid, "occurredAt", "usage cannot have occurred in the future: it is %s now", now.Format(time.RFC3339))
	case at.Before(usageEarliest):
		return refuse(CodeInvalid, "occurredAt", "usage cannot have occurred before 1970")
	}
	u.OccurredAt = at
	return nil
}

// recordedUsage returns the entry of an earlier run, or nil.
func (tx *Tx) recordedUsage(ctx context.Context, op operation) (*ent.LedgerEntry, error) {
	e, err := tx.LedgerEntry.Query().
		Where(ledgerentry.Operation(usageOperation), ledgerentry.IdempotencyKey(op.key)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look up idempotency key: %w", err)
	}
	return e, op.sameUsage(e.Fingerprint)
}

// sameUsage refuses a key that was used for other usage.
func (op operation) sameUsage(fingerprint []byte) error {
	if subtle.ConstantTimeCompare(fingerprint, op.fingerprint) != 1 {
		return refuse(CodeIdempotencyKeyReused, "idempotencyKey", "this idempotency key was used before for other usage: use a new key for a new event")
	}
	return nil
}

// balanceToUse is the payer's balance in the currency of the usage, made when
// there is none yet.
func (tx *Tx) balanceToUse(ctx context.Context, u Usage) (*ent.Balance, error) {
	if _, err := tx.usableCurrency(ctx, u.Amount.Currency, "amount.currency"); err != nil {
		return nil, err
	}
	b, err := tx.balanceOf(ctx, u.PayerID, u.Amount.Currency)
	if b != nil || err != nil {
		return b, err
	}
	p, err := tx.activePayer(ctx, u.PayerID, "payerId")
	if err != nil {
		return nil, err
	}
	return tx.ensureBalance(ctx, p, u.Amount.Currency, "amount.currency")
}

func (tx *Tx) recordUsage(ctx context.Context, u Usage, op operation) (*ent.LedgerEntry, error) {
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	b, err := tx.balanceToUse(ctx, u)
	if err != nil {
		return nil, err
	}
	if b, err = tx.lockBalance(ctx, b.ID); err != nil {
		return nil, err
	}
	// Who closes the payer holds its balances: looked at before, it could have
	// been closed while the lock was waited for.
	if _, err := tx.activePayer(ctx, u.PayerID, "payerId"); err != nil {
		return nil, err
	}
	if short := u.short(b); short != nil {
		// The lock may have been waited for while a run with the same key
		// took the funds: then that run's entry is the answer.
		e, err := tx.recordedUsage(ctx, op)
		if e == nil && err == nil {
			err = short.refusal("payerId")
		}
		return e, err
	}
	return tx.postTo(ctx, b, tx.newEntry(ctx, u.posting(b, op)))
}

// short is why the usage is refused on the balance, or nil.
func (u *Usage) short(b *ent.Balance) *shortage {
	if u.OnInsufficient == OnInsufficientRecord {
		return nil
	}
	return shortOf(b, u.Amount)
}

// posting is the usage as a transfer from the balance.
func (u *Usage) posting(b *ent.Balance, op operation) posting {
	p := posting{
		kind:  ledgerentry.KindUSAGE,
		debit: b.Account(), credit: accountRevenue, balanceID: b.ID,
		amount:      u.Amount,
		description: u.Description, metadata: u.Metadata,
		operation: usageOperation, key: op.key, fingerprint: op.fingerprint,
	}
	if u.OccurredAt != nil {
		p.effectiveAt = *u.OccurredAt
	}
	return p
}
