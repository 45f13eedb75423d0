package database

import (
	"context"
	"database/sql/driver"
)

// BeginTx implements driver.ConnBeginTx. Losing the reply of BEGIN is harmless:
// an empty transaction ends with its connection.
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.rowsOpen {
		return nil, errRowsOpen
	}
	base, err := c.base.BeginTx(ctx, opts)
	if err != nil {
		if c.isBroken(err) {
			return nil, c.lostHarmlessly(err)
		}
		return nil, explainCancel(ctx, err)
	}
	c.inTx, c.aborted = true, false
	return &tx{conn: c, base: base}, nil
}

// tx is a transaction on its connection.
type tx struct {
	conn *conn
	base driver.Tx
}

// Commit implements driver.Tx. A COMMIT that was sent and not answered ends
// with ErrOutcomeUnknown.
func (t *tx) Commit() error {
	c := t.conn
	if c.aborted {
		if err := t.Rollback(); err != nil {
			return err
		}
		return ErrTxAborted
	}
	sent := c.sent()
	err := t.base.Commit()
	if c.isBroken(err) {
		c.broken = true
		if c.sent() == sent {
			err = lost(err)
		} else {
			err = unknown(err)
		}
	}
	c.inTx = false
	return err
}

// Rollback implements driver.Tx. A lost connection has rolled back already.
func (t *tx) Rollback() error {
	c := t.conn
	err := t.base.Rollback()
	if c.isBroken(err) {
		c.broken = true
		err = nil
	}
	c.inTx, c.aborted = false, false
	return err
}

// stmt is a statement that its caller prepared and closes.
type stmt struct {
	conn  *conn
	base  fullStmt
	query string
}

var _ fullStmt = (*stmt)(nil)

// ExecContext implements driver.StmtExecContext.
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.conn.admit(ctx, s.query, args); err != nil {
		return nil, err
	}
	sent := s.conn.sent()
	res, err := s.base.ExecContext(ctx, args)
	return res, s.conn.judge(ctx, s.query, sent, err)
}

// QueryContext implements driver.StmtQueryContext.
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.conn.admit(ctx, s.query, args); err != nil {
		return nil, err
	}
	sent := s.conn.sent()
	r, err := s.base.QueryContext(ctx, args)
	if err != nil {
		return nil, s.conn.judge(ctx, s.query, sent, err)
	}
	return s.conn.newRows(ctx, s.query, sent, r, nil), nil
}

// Exec implements driver.Stmt; database/sql calls ExecContext instead.
func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

// Query implements driver.Stmt; database/sql calls QueryContext instead.
func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

// NumInput implements driver.Stmt.
func (s *stmt) NumInput() int { return s.base.NumInput() }

// Close implements driver.Stmt.
func (s *stmt) Close() error { return s.base.Close() }

func named(args []driver.Value) []driver.NamedValue {
	list := make([]driver.NamedValue, len(args))
	for i, v := range args {
		list[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return list
}
