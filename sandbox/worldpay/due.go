package worldpaysandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// advanceMax is how far a clock advances at once.
const advanceMax = 10 * 366 * 24 * time.Hour

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

// happenAll lets happen what is due for all merchants, each order at its time.
func (s *Server) happenAll(ctx context.Context) error {
	for ctx.Err() == nil {
		var merchant, code string
		err := s.db.QueryRowContext(ctx, `SELECT o.merchant, o.code FROM orders o JOIN merchants m ON m.code = o.merchant
			WHERE o.due_at <= ? + m.clock_offset ORDER BY o.due_at, o.seq LIMIT 1`, s.config.Now().Unix()).Scan(&merchant, &code)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find what is due: %w", err)
		}
		err = s.inTx(ctx, merchant, func(t *tx) error {
			o, err := t.order(code)
			if err != nil {
				return err
			}
			var rest []Due
			due := o.Due
			o.Due = nil
			for _, d := range due {
				if d.At <= t.now {
					t.happen(o, d)
				} else {
					rest = append(rest, d)
				}
			}
			o.Due = append(o.Due, rest...)
			t.save(o)
			return nil
		})
		if err != nil {
			return fmt.Errorf("do what is due for order %s: %w", code, err)
		}
	}
	return ctx.Err()
}

// AdvanceClock moves a merchant's clock forward. All that is due by then has
// happened when it returns.
func (s *Server) AdvanceClock(ctx context.Context, merchant string, by time.Duration) error {
	if by < 0 || by > advanceMax {
		return fmt.Errorf("a clock advances by 0 to %d seconds", int64(advanceMax/time.Second))
	}
	changed, err := s.db.ExecContext(ctx, `UPDATE merchants SET clock_offset = clock_offset + ? WHERE code = ?`, int64(by/time.Second), merchant)
	if err != nil {
		return fmt.Errorf("advance the clock of merchant %s: %w", merchant, err)
	}
	if n, err := changed.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errUnknownMerchant, err)
	}
	return s.happenAll(ctx)
}

// Clock is the time of a merchant's clock.
func (s *Server) Clock(ctx context.Context, merchant string) (time.Time, error) {
	var now moment
	err := s.inTx(ctx, merchant, func(t *tx) error {
		now = t.now
		return nil
	})
	return now.utc(), err
}

var errUnknownMerchant = errors.New("there is no such merchant")
