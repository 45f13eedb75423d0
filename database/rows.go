package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"reflect"
)

// rows passes a result on and, at its end, gives the connection and the cached
// statement free.
type rows struct {
	driver.Rows

	ctx   context.Context // of the query; its error explains a cancellation
	conn  *conn
	query string
	sent  int64
	entry *stmtEntry // nil when the statement is not cached
}

var (
	_ driver.RowsNextResultSet              = (*rows)(nil)
	_ driver.RowsColumnTypeScanType         = (*rows)(nil)
	_ driver.RowsColumnTypeDatabaseTypeName = (*rows)(nil)
	_ driver.RowsColumnTypeLength           = (*rows)(nil)
	_ driver.RowsColumnTypeNullable         = (*rows)(nil)
	_ driver.RowsColumnTypePrecisionScale   = (*rows)(nil)
)

func (c *conn) newRows(ctx context.Context, query string, sent int64, base driver.Rows, entry *stmtEntry) *rows {
	c.rowsOpen = c.wire != nil
	return &rows{Rows: base, ctx: ctx, conn: c, query: query, sent: sent, entry: entry}
}

// Next implements driver.Rows.
func (r *rows) Next(dest []driver.Value) error { return r.judge(r.Rows.Next(dest)) }

// Close implements driver.Rows.
func (r *rows) Close() error {
	err := r.Rows.Close()
	r.conn.rowsOpen = false
	if r.entry != nil {
		r.conn.cache.release(r.entry)
		r.entry = nil
	}
	return r.judge(err)
}

// judge is the connection's judgement of a statement whose answer has begun.
// database/sql cannot repeat it any more, so its own "bad connection" becomes
// an error that says what may be concluded.
func (r *rows) judge(err error) error {
	if err == nil || err == io.EOF { //nolint:errorlint // the driver's contract is the bare io.EOF
		return err
	}
	judged := r.conn.judge(r.ctx, r.query, r.sent, err)
	if errors.Is(judged, driver.ErrBadConn) {
		return lost(err)
	}
	return judged
}

// HasNextResultSet implements driver.RowsNextResultSet.
func (r *rows) HasNextResultSet() bool {
	next, ok := r.Rows.(driver.RowsNextResultSet)
	return ok && next.HasNextResultSet()
}

// NextResultSet implements driver.RowsNextResultSet.
func (r *rows) NextResultSet() error {
	next, ok := r.Rows.(driver.RowsNextResultSet)
	if !ok {
		return io.EOF
	}
	return r.judge(next.NextResultSet())
}

// ColumnTypeScanType implements driver.RowsColumnTypeScanType.
func (r *rows) ColumnTypeScanType(index int) reflect.Type {
	if typed, ok := r.Rows.(driver.RowsColumnTypeScanType); ok {
		return typed.ColumnTypeScanType(index)
	}
	return reflect.TypeFor[any]()
}

// ColumnTypeDatabaseTypeName implements driver.RowsColumnTypeDatabaseTypeName.
func (r *rows) ColumnTypeDatabaseTypeName(index int) string {
	if typed, ok := r.Rows.(driver.RowsColumnTypeDatabaseTypeName); ok {
		return typed.ColumnTypeDatabaseTypeName(index)
	}
	return ""
}

// ColumnTypeLength implements driver.RowsColumnTypeLength.
func (r *rows) ColumnTypeLength(index int) (length int64, ok bool) {
	if typed, ok := r.Rows.(driver.RowsColumnTypeLength); ok {
		return typed.ColumnTypeLength(index)
	}
	return 0, false
}

// ColumnTypeNullable implements driver.RowsColumnTypeNullable.
func (r *rows) ColumnTypeNullable(index int) (nullable, ok bool) {
	if typed, ok := r.Rows.(driver.RowsColumnTypeNullable); ok {
		return typed.ColumnTypeNullable(index)
	}
	return false, false
}

// ColumnTypePrecisionScale implements driver.RowsColumnTypePrecisionScale.
func (r *rows) ColumnTypePrecisionScale(index int) (precision, scale int64, ok bool) {
	if typed, ok := r.Rows.(driver.RowsColumnTypePrecisionScale); ok {
		return typed.ColumnTypePrecisionScale(index)
	}
	return 0, 0, false
}
