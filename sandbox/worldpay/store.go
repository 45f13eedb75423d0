package worldpaysandbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// tx is one operation of one merchant: a database transaction, a fixed time
// and the events that happened. Writes remember their first error instead of
// returning it; nothing is committed while there is one. It lives no longer
// than its operation, which is why it may hold the operation's context.
type tx struct {
	ctx      context.Context
	sql      *sql.Tx
	srv      *Server
	merchant *Merchant
	now      moment
	emitted  []emission
	fail     error
}

// emission is a notification waiting for the end of the operation.
type emission struct {
	order, event string
	body         []byte
}

// inTx runs f as one operation of a merchant and commits it, unless f or a
// write in it failed.
func (s *Server) inTx(ctx context.Context, merchant string, f func(t *tx) error) error {
	var sent bool
	err := s.db.InTx(ctx, func(sqlTx *sql.Tx) error {
		t := &tx{ctx: ctx, sql: sqlTx, srv: s, merchant: &Merchant{}}
		var body string
		var offset int64
		if err := sqlTx.QueryRowContext(ctx, `SELECT body, clock_offset FROM merchants WHERE code = ?`, merchant).Scan(&body, &offset); err != nil {
			return fmt.Errorf("read merchant %s: %w", merchant, err)
		}
		if err := json.Unmarshal([]byte(body), t.merchant); err != nil {
			return fmt.Errorf("decode merchant %s: %w", merchant, err)
		}
		t.now = moment(s.config.Now().Unix() + offset)
		if err := f(t); err != nil {
			return err
		}
		sent = len(t.emitted) > 0
		return t.finish()
	})
	if err == nil && sent {
		s.queue.Wake()
	}
	return err
}

// finish stores the notifications and hands them over to the delivery queue.
func (t *tx) finish() error {
	if t.fail != nil {
		return t.fail
	}
	for _, e := range t.emitted {
		var id int64
		err := t.sql.QueryRowContext(t.ctx, `INSERT INTO notifications (merchant, order_code, type, body) VALUES (?, ?, ?, ?) RETURNING id`,
			t.merchant.Code, e.order, e.event, string(e.body)).Scan(&id)
		if err != nil {
			return fmt.Errorf("store the notification of %s: %w", e.order, err)
		}
		if err := t.srv.queue.Enqueue(t.ctx, t.sql, t.merchant.Code, t.merchant.Code, strconv.FormatInt(id, 10), e.event); err != nil {
			return err
		}
	}
	return t.fail
}

func (t *tx) failed(err error) {
	if t.fail == nil && err != nil {
		t.fail = err
	}
}

// random returns a text of n letters and digits.
func (t *tx) random(n int) string {
	text, err := t.srv.random.Text(n)
	t.failed(err)
	return text
}

// digits returns a random number of n digits, none of them a leading zero.
func (t *tx) digits(n int) string {
	var out strings.Builder
	for _, c := range []byte(t.random(n)) {
		digit := c % 10
		if out.Len() == 0 && digit == 0 {
			digit = 9
		}
		out.WriteByte('0' + digit)
	}
	return out.String()
}

// order reads an order; nil when there is none.
func (t *tx) order(code string) (*Order, error) {
	o := &Order{}
	found, err := t.read(o, `SELECT body FROM orders WHERE merchant = ? AND code = ?`, t.merchant.Code, code)
	if err != nil || !found {
		return nil, err
	}
	return o, nil
}

// token reads a token, also one that was deleted; nil when there is none.
func (t *tx) token(id string) (*Token, error) {
	token := &Token{}
	found, err := t.read(token, `SELECT body FROM tokens WHERE merchant = ? AND id = ?`, t.merchant.Code, id)
	if err != nil || !found {
		return nil, err
	}
	return token, nil
}

// shopperToken reads the living token of a shopper for a card; nil when there
// is none.
func (t *tx) shopperToken(scope, shopper, card string) (*Token, error) {
	token := &Token{}
	found, err := t.read(token, `SELECT body FROM tokens WHERE merchant = ? AND body ->> 'scope' = ? AND COALESCE(body ->> 'shopper', '') = ?
		AND body ->> 'card' = ? AND COALESCE(body ->> 'deleted', 0) = 0 ORDER BY seq DESC LIMIT 1`, t.merchant.Code, scope, shopper, card)
	if err != nil || !found {
		return nil, err
	}
	return token, nil
}

func (t *tx) read(into any, query string, args ...any) (found bool, err error) {
	var body string
	err = t.sql.QueryRowContext(t.ctx, query, args...).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read an order or token: %w", err)
	}
	if err := json.Unmarshal([]byte(body), into); err != nil {
		return false, fmt.Errorf("decode an order or token: %w", err)
	}
	return true, nil
}

// insert stores a new order, and the ticket of its hosted page if it has one.
func (t *tx) insert(o *Order, ticket string) {
	var until any
	if ticket != "" {
		until = int64(t.now) + t.merchant.TicketSeconds
	}
	t.write(`INSERT INTO orders (body, due_at, merchant, code, ticket, ticket_until) VALUES (?, ?, ?, ?, ?, ?)`,
		o, dueAt(o), t.merchant.Code, o.Code, orNull(ticket), until)
}

// save stores a changed order.
func (t *tx) save(o *Order) {
	t.write(`UPDATE orders SET body = ?, due_at = ? WHERE merchant = ? AND code = ?`, o, dueAt(o), t.merchant.Code, o.Code)
}

// keep stores a token, new or changed.
func (t *tx) keep(token *Token) {
	t.write(`INSERT INTO tokens (body, merchant, id) VALUES (?, ?, ?) ON CONFLICT (merchant, id) DO UPDATE SET body = excluded.body`,
		token, t.merchant.Code, token.ID)
}

func (t *tx) write(statement string, what any, args ...any) {
	body, err := json.Marshal(what)
	if err == nil {
		_, err = t.sql.ExecContext(t.ctx, statement, append([]any{string(body)}, args...)...)
	}
	if err != nil {
		t.failed(fmt.Errorf("store an order or token: %w", err))
	}
}

// list reads all orders or tokens of the merchant, oldest first.
func list[T any](t *tx, table string) ([]T, error) {
	rows, err := t.sql.QueryContext(t.ctx, `SELECT body FROM `+table+` WHERE merchant = ? ORDER BY seq`, t.merchant.Code)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", table, err)
	}
	defer rows.Close()
	all := []T{}
	for rows.Next() {
		var body string
		var one T
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("scan %s: %w", table, err)
		}
		if err := json.Unmarshal([]byte(body), &one); err != nil {
			return nil, fmt.Errorf("decode %s: %w", table, err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	return all, nil
}

func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// dueAt is when the next thing happens to an order by itself; nil for never.
func dueAt(o *Order) any {
	var next any
	for _, d := range o.Due {
		if soonest, ok := next.(int64); !ok || int64(d.At) < soonest {
			next = int64(d.At)
		}
	}
	return next
}
