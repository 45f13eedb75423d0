package stripesandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// dueAt is the account time at which something happens to an object by
// itself; 0 for never.
func dueAt(o object) int64 {
	if o.str("_stalled") != "" {
		return 0
	}
	switch status := o.str("status"); o.kind() {
	case "quote":
		if status == "draft" || status == "open" {
			return o.num("expires_at")
		}
	case "invoice":
		if status == "draft" && o.flag("auto_advance") {
			return o.num("created") + draftSeconds
		}
		if status == "open" {
			return o.num("next_payment_attempt")
		}
	case "checkout.session":
		if status == "open" {
			return o.num("expires_at")
		}
	case "subscription":
		switch status {
		case "incomplete":
			return o.num("created") + incompleteSeconds
		case "active", "past_due", "unpaid", "trialing":
			return o.num("current_period_end")
		}
	case "refund":
		return o.num("_settles_at")
	}
	return 0
}

// happen does what is due for an object.
func (t *tx) happen(o object) error {
	switch o.kind() {
	case "quote":
		t.cancelQuote(o)
		return nil
	case "invoice":
		if o.str("status") == "draft" {
			return t.finalizeAutomatically(o)
		}
		return t.collectAutomatically(o)
	case "checkout.session":
		return t.expireSession(o)
	case "subscription":
		if o.str("status") == "incomplete" {
			return t.endSubscription(o, "incomplete_expired")
		}
		return t.renewSubscription(o)
	case "refund":
		return t.settleRefund(o)
	}
	return nil
}

// finalizeAutomatically ends the hour of a draft and tries to collect it.
func (t *tx) finalizeAutomatically(inv object) error {
	err := t.finalizeInvoice(inv)
	var refused *apiError
	if errors.As(err, &refused) {
		inv["auto_advance"] = false
		inv["last_finalization_error"] = refused.body
		t.save(inv)
		t.emit("invoice.finalization_failed", inv)
		return nil
	}
	if err != nil || inv.str("status") != "open" {
		return err
	}
	if inv.str("collection_method") == "send_invoice" {
		t.emit("invoice.sent", inv)
		return nil
	}
	return t.collectAutomatically(inv)
}

// duePause is how often runDue looks at the clock.
const duePause = 500 * time.Millisecond

// runDue lets everything happen that is due, until ctx ends.
func (s *Server) runDue(ctx context.Context) {
	ticker := time.NewTicker(duePause)
	defer ticker.Stop()
	for {
		if err := s.happenAll(ctx); err != nil && ctx.Err() == nil {
			s.config.Logger.Error("doing what is due in the sandbox", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Server) happenAll(ctx context.Context) error {
	for ctx.Err() == nil {
		account, id, _, err := s.nextDue(ctx, `o.due_at <= ? + a.clock_offset`, s.config.Now().Unix())
		if err != nil || id == "" {
			return err
		}
		if err := s.happenOne(ctx, account, id); err != nil {
			return err
		}
	}
	return nil
}

// nextDue returns the object that is due first under a condition; an empty id
// when there is none.
func (s *Server) nextDue(ctx context.Context, condition string, args ...any) (account, id string, at int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT o.account, o.id, o.due_at FROM objects o JOIN accounts a ON a.id = o.account
		WHERE o.due_at IS NOT NULL AND `+condition+` ORDER BY o.due_at, o.seq LIMIT 1`, args...).Scan(&account, &id, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", 0, nil
	}
	if err != nil {
		return "", "", 0, fmt.Errorf("look for due objects: %w", err)
	}
	return account, id, at, nil
}

func (s *Server) happenOne(ctx context.Context, account, id string) error {
	err := s.inTx(ctx, account, requestInfo{}, func(t *tx) error {
		o, err := t.find(id)
		if err != nil {
			return err
		}
		if at := dueAt(o); at == 0 || at > t.now {
			return nil // somebody was faster
		}
		err = t.attempt(func() error { return t.happen(o) })
		var refused *apiError
		if !errors.As(err, &refused) {
			return err
		}
		// It cannot happen now and would not a moment later: the object rests,
		// or it would hold up everything that is due after it.
		s.config.Logger.Error("what is due was refused", "object", id, "error", refused.Error())
		if o, err = t.find(id); err != nil {
			return err
		}
		o["_stalled"] = refused.Error()
		t.save(o)
		return nil
	})
	if err != nil {
		return fmt.Errorf("let %s happen: %w", id, err)
	}
	return nil
}

// advanceMax is how far one call may advance a clock.
const advanceMax = 3 * 366 * 24 * time.Hour

// Clock returns the time of the key's account.
func (s *Server) Clock(ctx context.Context, secretKey string) (time.Time, error) {
	account, err := s.account(ctx, secretKey, "")
	if err != nil {
		return time.Time{}, err
	}
	return s.clock(ctx, account)
}

func (s *Server) clock(ctx context.Context, account string) (time.Time, error) {
	var offset int64
	if err := s.db.QueryRowContext(ctx, `SELECT clock_offset FROM accounts WHERE id = ?`, account).Scan(&offset); err != nil {
		return time.Time{}, fmt.Errorf("read the clock of account %s: %w", account, err)
	}
	return time.Unix(s.config.Now().Unix()+offset, 0).UTC(), nil
}

// AdvanceClock advances the clock of the key's account by at most three years.
// Everything that is due on the way has happened, in order and each at its own
// time, when it returns. A clock never goes back.
func (s *Server) AdvanceClock(ctx context.Context, secretKey string, by time.Duration) error {
	account, err := s.account(ctx, secretKey, "")
	if err != nil {
		return err
	}
	return s.advance(ctx, account, by)
}

func (s *Server) advance(ctx context.Context, account string, by time.Duration) error {
	if by < 0 || by > advanceMax {
		return invalid("", "advance_seconds", "A clock advances by 0 to %d seconds.", int64(advanceMax/time.Second))
	}
	now, err := s.clock(ctx, account)
	if err != nil {
		return err
	}
	target := now.Add(by).Unix()
	for {
		_, id, at, err := s.nextDue(ctx, `o.account = ? AND o.due_at <= ?`, account, target)
		if err != nil {
			return err
		}
		if id == "" {
			return s.setClock(ctx, account, target)
		}
		if err := s.setClock(ctx, account, at); err != nil {
			return err
		}
		if err := s.happenOne(ctx, account, id); err != nil {
			return err
		}
	}
}

// setClock moves an account's clock to a time unless it is there already.
func (s *Server) setClock(ctx context.Context, account string, to int64) error {
	_, err := s.db.ExecContext(ctx, `UPDATE accounts SET clock_offset = MAX(clock_offset, ?) WHERE id = ?`, to-s.config.Now().Unix(), account)
	if err != nil {
		return fmt.Errorf("set the clock of account %s: %w", account, err)
	}
	return nil
}
