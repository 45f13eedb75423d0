package billing

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect"
)

// query is an SQL query with its arguments, for what ent cannot say.
type query struct {
	strings.Builder
	dialect string
	args    []any
}

func (q *query) text(s string) *query {
	q.WriteString(s)
	return q
}

// comma separates the items of a list.
func (q *query) comma(n int) *query {
	if n > 0 {
		q.WriteString(", ")
	}
	return q
}

// value adds an argument.
func (q *query) value(v any) *query {
	q.args = append(q.args, v)
	if q.dialect == dialect.Postgres {
		return q.text("$" + strconv.Itoa(len(q.args)))
	}
	return q.text("?")
}

// integer and time add arguments whose type the query does not tell.
func (q *query) integer(n int64) *query { return q.value(n).typed("bigint") }

func (q *query) time(at time.Time) *query { return q.value(at.UTC()).typed("timestamptz") }

func (q *query) typed(name string) *query {
	if q.dialect == dialect.Postgres {
		q.WriteString("::" + name)
	}
	return q
}

// queryer is a connection, or a transaction.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// rows runs the query and hands out its rows.
func (q *query) rows(ctx context.Context, db queryer, each func(*sql.Rows) error) (err error) {
	rows, err := db.QueryContext(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
