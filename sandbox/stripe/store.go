package stripesandbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// tx is one operation of one account: a database transaction, a fixed time and
// the events that happened. Writes remember their first error instead of
// returning it; nothing is committed while there is one. It lives no longer than
// its operation, which is why it may hold the operation's context.
type tx struct {
	ctx     context.Context
	sql     *sql.Tx
	srv     *Server
	account string
	now     int64 // the account's time in unix seconds
	request requestInfo
	emitted []emission
	fail    error
}

// requestInfo is what events tell about the request that caused them; empty
// for what happens on a hosted page or by itself.
type requestInfo struct {
	id, key string
}

// emission is an event waiting for the end of the operation, when it is sent
// to the endpoints.
type emission struct {
	id, kind string
}

// inTx runs f as one operation of an account and commits it, unless f or a
// write in it failed.
func (s *Server) inTx(ctx context.Context, account string, request requestInfo, f func(t *tx) error) error {
	var sent bool
	err := s.db.InTx(ctx, func(sqlTx *sql.Tx) error {
		t := &tx{ctx: ctx, sql: sqlTx, srv: s, account: account, request: request}
		if err := t.readClock(); err != nil {
			return err
		}
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

func (t *tx) readClock() error {
	var offset int64
	err := t.sql.QueryRowContext(t.ctx, `SELECT clock_offset FROM accounts WHERE id = ?`, t.account).Scan(&offset)
	if err != nil {
		return fmt.Errorf("read the clock of account %s: %w", t.account, err)
	}
	t.now = t.srv.config.Now().Unix() + offset
	return nil
}

// finish hands the events over to the delivery queue. It comes last, so that a
// step that was taken back leaves no delivery and uses up no delivery fault.
func (t *tx) finish() error {
	if t.fail != nil {
		return t.fail
	}
	for _, e := range t.emitted {
		if err := t.enqueue(e); err != nil {
			return err
		}
	}
	return t.fail
}

// attempt runs f so that its changes and events can be taken back: they stay
// when f succeeds or fails with an answer that keeps them (a declined card).
func (t *tx) attempt(f func() error) error {
	if _, err := t.sql.ExecContext(t.ctx, "SAVEPOINT attempt"); err != nil {
		return fmt.Errorf("set a savepoint: %w", err)
	}
	before := len(t.emitted)
	err := f()
	if t.fail != nil {
		return t.fail
	}
	var answer *apiError
	if err != nil && (!errors.As(err, &answer) || !answer.keep) {
		t.emitted = t.emitted[:before]
		if _, rollbackErr := t.sql.ExecContext(t.ctx, "ROLLBACK TO attempt"); rollbackErr != nil {
			return errors.Join(err, fmt.Errorf("roll back to a savepoint: %w", rollbackErr))
		}
	}
	if _, releaseErr := t.sql.ExecContext(t.ctx, "RELEASE attempt"); releaseErr != nil {
		return errors.Join(err, fmt.Errorf("release a savepoint: %w", releaseErr))
	}
	return err
}

func (t *tx) failed(err error) {
	if t.fail == nil && err != nil {
		t.fail = err
	}
}

// newID makes an id with the given prefix, or a secret.
func (t *tx) newID(prefix string) string {
	text, err := t.srv.random.Text(24)
	t.failed(err)
	return prefix + text
}

// get reads an object; one that does not exist, is of another kind or of
// another account is a 404.
func (t *tx) get(kind, id string) (object, error) {
	return t.named(kind, id, "id")
}

// named reads an object that a parameter names.
func (t *tx) named(kind, id, param string) (object, error) {
	o, err := t.find(id)
	if err != nil {
		return nil, err
	}
	if o == nil || o.kind() != kind {
		return nil, unknown(kind, id, param)
	}
	return o, nil
}

// live is named for objects that can be deleted: a deleted one is missing.
func (t *tx) live(kind, id, param string) (object, error) {
	o, err := t.named(kind, id, param)
	if err == nil && o.flag("deleted") {
		return nil, unknown(kind, id, param)
	}
	return o, err
}

// find reads an object of the account; nil when there is none.
func (t *tx) find(id string) (object, error) {
	if id == "" {
		return nil, nil
	}
	var body string
	err := t.sql.QueryRowContext(t.ctx, `SELECT body FROM objects WHERE account = ? AND id = ?`, t.account, id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", id, err)
	}
	return decodeObject([]byte(body))
}

// insert stores a new object.
func (t *tx) insert(o object) {
	body, err := json.Marshal(o)
	if err != nil {
		t.failed(fmt.Errorf("encode %s: %w", o.id(), err))
		return
	}
	_, err = t.sql.ExecContext(t.ctx, `INSERT INTO objects (account, id, kind, body, due_at, page_token) VALUES (?, ?, ?, ?, ?, ?)`,
		t.account, o.id(), o.kind(), string(body), timeOrNull(dueAt(o)), orNull(o.str("_page")))
	if err != nil {
		t.failed(fmt.Errorf("insert %s: %w", o.id(), err))
	}
}

// save stores a changed object.
func (t *tx) save(o object) {
	body, err := json.Marshal(o)
	if err != nil {
		t.failed(fmt.Errorf("encode %s: %w", o.id(), err))
		return
	}
	deleted := 0
	if o.flag("deleted") {
		deleted = 1
	}
	_, err = t.sql.ExecContext(t.ctx, `UPDATE objects SET body = ?, due_at = ?, page_token = ?, deleted = ? WHERE account = ? AND id = ?`,
		string(body), timeOrNull(dueAt(o)), orNull(o.str("_page")), deleted, t.account, o.id())
	if err != nil {
		t.failed(fmt.Errorf("update %s: %w", o.id(), err))
	}
}

// remove deletes an object without a trace; a later read is a 404.
func (t *tx) remove(o object) {
	if _, err := t.sql.ExecContext(t.ctx, `DELETE FROM objects WHERE account = ? AND id = ?`, t.account, o.id()); err != nil {
		t.failed(fmt.Errorf("delete %s: %w", o.id(), err))
	}
}

// bury replaces an object by its tombstone, which reads can still see.
func (t *tx) bury(o object) object {
	tombstone := object{"id": o.id(), "object": o.kind(), "deleted": true}
	t.save(tombstone)
	return tombstone
}

// change applies f to an object, stores it and emits the event with the former
// values of what differs.
func (t *tx) change(o object, event string, f func()) error {
	before, err := o.clone()
	if err != nil {
		return err
	}
	f()
	t.save(o)
	t.emitChange(event, o, changes(before, o))
	return nil
}

// filter is one condition of a listing on the stored JSON.
type filter struct {
	field string // path below the object, a constant of this package
	op    string // =, >, >=, <, <=
	value any
}

// listing selects objects of one kind.
type listing struct {
	kind    string
	filters []filter
	limit   int    // 0 for all
	after   string // starting_after: older than this one
	before  string // ending_before: newer than this one
}

// list returns objects newest first, and whether there are more in the
// direction of the paging.
func (t *tx) list(l listing) ([]object, bool, error) {
	where := []string{"account = ?", "kind = ?", "deleted = 0"}
	args := []any{t.account, l.kind}
	for _, f := range l.filters {
		where = append(where, fmt.Sprintf("json_extract(body, '$.%s') %s ?", f.field, f.op))
		args = append(args, f.value)
	}
	order := "DESC"
	for _, cursor := range []struct{ id, param, op string }{{l.after, "starting_after", "<"}, {l.before, "ending_before", ">"}} {
		if cursor.id == "" {
			continue
		}
		var seq int64
		err := t.sql.QueryRowContext(t.ctx, `SELECT seq FROM objects WHERE account = ? AND id = ? AND kind = ?`,
			t.account, cursor.id, l.kind).Scan(&seq)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, false, missing(l.kind, cursor.id, cursor.param)
		}
		if err != nil {
			return nil, false, fmt.Errorf("find the cursor %s: %w", cursor.id, err)
		}
		where = append(where, "seq "+cursor.op+" ?")
		args = append(args, seq)
	}
	if l.before != "" {
		order = "ASC"
	}
	query := "SELECT body FROM objects WHERE " + strings.Join(where, " AND ") + " ORDER BY seq " + order
	if l.limit > 0 {
		query += fmt.Sprintf(" LIMIT %d", l.limit+1)
	}
	rows, err := t.sql.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, false, fmt.Errorf("list %s: %w", l.kind, err)
	}
	defer rows.Close()
	out := []object{}
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, false, fmt.Errorf("scan a %s: %w", l.kind, err)
		}
		o, err := decodeObject([]byte(body))
		if err != nil {
			return nil, false, err
		}
		out = append(out, o)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("read the list of %s: %w", l.kind, err)
	}
	more := l.limit > 0 && len(out) > l.limit
	if more {
		out = out[:l.limit]
	}
	if order == "ASC" {
		for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out, more, nil
}
