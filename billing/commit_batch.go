package billing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/ledgerentry"
)

// wariness is for how many batches stored keys are looked up first after one
// had met some.
const wariness = 16

// commit books a batch and answers its events.
func (c *committer) commit(batch []*usageEvent) {
	ctx, cancel := context.WithTimeout(context.Background(), commitLimit)
	defer cancel()
	err := c.bookCaught(auth.AllTenants(ctx, "commit"), batch)
	if err != nil && len(batch) > 1 && ctx.Err() == nil && !database.IsUnavailable(err) {
		// One of them may be what the database does not take. It is found by
		// halves, and the others are booked.
		c.commit(batch[:len(batch)/2])
		c.commit(batch[len(batch)/2:])
		return
	}
	if err != nil {
		for _, e := range batch {
			e.answer(Booking{}, err)
		}
	}
	c.finish(batch)
}

// bookCaught is book with a panic being an error: it would end the server, and
// with it everybody else's requests.
func (c *committer) bookCaught(ctx context.Context, events []*usageEvent) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.s.log.ErrorContext(ctx, "booking usage panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("book usage: panic: %v", p)
		}
	}()
	return c.book(ctx, events)
}

// errNothingBooked ends a transaction that has nothing to write.
var errNothingBooked = errors.New("nothing to book")

// book decides and books a batch in one transaction, in as many tries as it
// takes. Afterwards each event has its outcome; with an error none has.
func (c *committer) book(ctx context.Context, events []*usageEvent) error {
	wait := txWaitFirst
	// doubtful is what a try has changed whose COMMIT was not answered: the
	// next one finds it booked.
	var doubtful []Change
	for try := 1; ; try++ {
		b := batch{c: c, events: events, lookFirst: c.wary > 0}
		_, changed, err := c.s.runTx(ctx, b.run)
		if err == nil || errors.Is(err, errNothingBooked) {
			c.wary = max(0, c.wary-1)
			c.s.changes.publish(append(doubtful, changed...))
			return nil
		}
		doubtful = append(doubtful, changed...)
		again := errors.Is(err, errRetry) || database.IsRetryable(err) || database.IsUniqueViolation(err) || database.IsOutcomeUnknown(err)
		if !again || try == txTriesMax {
			return fmt.Errorf("book usage: %w", err)
		}
		c.s.log.DebugContext(ctx, "batch of usage tried again", "try", try, "events", len(events), "error", err)
		// Keys that are stored already are the likely cause, or what a lost
		// COMMIT has left.
		c.wary = wariness
		select {
		case <-ctx.Done():
			return fmt.Errorf("book usage: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, txWaitMax)
	}
}

// touched is a balance that a batch touches.
type touched struct {
	*ent.Balance
	before ent.Balance // as it was read
	moved  bool
}

// touchedKey names a balance as events do.
type touchedKey struct{ organizationID, payerID, currency string }

func (e *usageEvent) balance() touchedKey {
	return touchedKey{e.viewer.OrganizationID, e.PayerID, e.Amount.Currency}
}

// batch is one try to book events.
type batch struct {
	c         *committer
	events    []*usageEvent
	lookFirst bool

	accounts map[touchedKey]*touched
	rows     []entryRow
}

// run is the transaction.
func (b *batch) run(ctx context.Context, tx *Tx) error {
	for _, e := range b.events {
		e.answer(Booking{}, nil)
		e.alone = false
	}
	if err := b.load(ctx, tx); err != nil {
		return err
	}
	open := b.events
	if b.lookFirst {
		var err error
		if open, err = b.recorded(ctx, tx, open); err != nil {
			return err
		}
	}
	refused := b.decide(tx, open)
	if len(refused) > 0 && !b.lookFirst {
		// Where an earlier run is booked, that is the answer and not what the
		// balance has come to since.
		if _, err := b.recorded(ctx, tx, refused); err != nil {
			return err
		}
	}
	if len(b.rows) == 0 {
		return errNothingBooked
	}
	return b.write(ctx, tx)
}

// decide holds each event against its balance, in the order of arrival, with
// all before it counted in. It returns those that were refused.
func (b *batch) decide(tx *Tx, events []*usageEvent) (refused []*usageEvent) {
	for _, e := range events {
		a := b.accounts[e.balance()]
		if a == nil {
			// There is no balance, or payer, currency or organization are not
			// active: none of it is decided here.
			e.alone = true
			continue
		}
		if short := e.short(a.Balance); short != nil {
			e.answer(Booking{}, short.refusal("payerId"))
			refused = append(refused, e)
			continue
		}
		row := tx.newEntryBy(e.viewer, e.posting(a.Balance, e.op))
		if err := row.place(a.Balance); err != nil {
			e.answer(Booking{}, err)
			refused = append(refused, e)
			continue
		}
		a.moved = true
		b.rows = append(b.rows, row)
		e.answer(Booking{EntryID: row.id, BalanceID: a.ID}, nil)
	}
	return refused
}

// write stores what was decided.
func (b *batch) write(ctx context.Context, tx *Tx) error {
	var moved []*touched
	for _, a := range b.accounts {
		if a.moved {
			moved = append(moved, a)
		}
	}
	slices.SortFunc(moved, func(x, y *touched) int {
		return cmp.Or(cmp.Compare(x.OrganizationID, y.OrganizationID), cmp.Compare(x.ID, y.ID))
	})
	for _, a := range moved {
		if err := tx.moved(auth.Internal(ctx, "commit", a.OrganizationID), &a.before, a.Balance, ledgerentry.KindUSAGE); err != nil {
			return err
		}
	}
	// In the order of their keys, so that two servers with the same events
	// wait for each other and do not lock each other out.
	slices.SortFunc(b.rows, func(x, y entryRow) int {
		return cmp.Or(cmp.Compare(x.organizationID, y.organizationID), cmp.Compare(x.key, y.key))
	})
	if err := b.insert(ctx, tx); err != nil {
		return err
	}
	return b.update(ctx, tx, moved)
}
