package ent

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// parents are the rows whose list is read along with them, such as the
// balances of which a document shows the newest entries, and what of its list
// each of them gets. Every nested connection has them; other queries have nil.
//
// Numbering the rows of each parent, as entgql does, reads the lists whole
// before it cuts them. Here the database walks an index for each parent and
// stops where its page ends, in one statement whose text is the same for any
// number of parents.
type parents struct {
	limit int
	order sql.Querier

	ids  []driver.Value
	each bool // the statement has the parents as rows, one after the other
}

// are holds a query to the rows of parents; the generated loader asks for it.
func (p *parents) are(column string, ids []driver.Value) *sql.Predicate {
	if p == nil {
		return sql.InValues(column, ids...)
	}
	p.ids = ids
	return sql.P(func(b *sql.Builder) {
		if p.each {
			b.Ident(column).WriteString(" = parents.parent")
			return
		}
		b.Join(sql.InValues(column, ids...))
	})
}

// limitEach cuts the list of each parent. It is the last to change a query, so
// that organization, filter and cursor hold where the rows are counted.
func (p *parents) limitEach(s *sql.Selector) {
	switch len(p.ids) {
	case 0:
		s.AddError(errors.New("a list of several parents is read without their ids"))
		return
	case 1:
		s.OrderExpr(p.order).Limit(p.limit)
		return
	}
	text, err := json.Marshal(p.ids)
	if err != nil {
		s.AddError(fmt.Errorf("write the ids of parents: %w", err))
		return
	}
	p.each = true
	if s.Dialect() == dialect.Postgres {
		p.lateral(s, string(text))
	} else {
		p.correlated(s, string(text))
	}
	// The pages are read in the order of the parents; each has to be in its own.
	s.OrderExpr(p.order)
}

// lateral reads the page of each parent by itself.
func (p *parents) lateral(s *sql.Selector, ids string) {
	table, page := s.TableName(), s.Clone().OrderExpr(p.order).Limit(p.limit)
	*s = *sql.Dialect(s.Dialect()).Select(s.SelectedColumns()...).FromExpr(sql.ExprFunc(func(b *sql.Builder) {
		b.WriteString("json_array_elements_text(").Arg(ids).WriteString("::text::json) AS parents(parent) CROSS JOIN LATERAL ")
		b.Wrap(func(b *sql.Builder) { b.Join(page) }).WriteString(" AS ").Ident(table)
	}))
}

// correlated finds the row ids of each parent's page, and the rows by them:
// SQLite's joins cannot look at what stands to their left. NOT INDEXED leaves
// the row id as the only way to a row; by another index SQLite might read the
// whole list and look for each of its rows in the page.
func (p *parents) correlated(s *sql.Selector, ids string) {
	table, rowID := s.TableName(), s.C("rowid")
	page := s.Clone().Select(rowID).OrderExpr(p.order).Limit(p.limit)
	s.FromExpr(sql.ExprFunc(func(b *sql.Builder) {
		b.WriteString("(SELECT value AS parent FROM json_each(").Arg(ids).WriteString(")) AS parents CROSS JOIN ")
		b.Ident(table).WriteString(" AS ").Ident(table).WriteString(" NOT INDEXED")
	})).Where(sql.In(rowID, page))
}
