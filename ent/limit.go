package ent

import (
	"regexp"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/dialect/sql"
)

// limitPerRow limits what a query brings along for each parent, in the given
// order. For several parents the database numbers the rows of each, which
// means reading all of them. For a single one, such as the balance whose
// entries are listed, the limit is that of the whole query, and an index in
// the list's order ends the reading where the page ends.
func limitPerRow(parent string, limit int, order ...sql.Querier) func(*sql.Selector) {
	numbered := entgql.LimitPerRow(parent, limit, order...)
	return func(s *sql.Selector) {
		if !ofOneParent(s, parent) {
			numbered(s)
			return
		}
		for _, o := range order {
			s.OrderExpr(o)
		}
		s.Limit(limit)
	}
}

// ofOneParent reports whether a query asks for the rows of one parent. The ids
// of parents are arguments of an IN, which nothing else compares them with.
func ofOneParent(s *sql.Selector, parent string) bool {
	text, _ := s.Clone().Query()
	return regexp.MustCompile(regexp.QuoteMeta(s.C(parent)) + ` IN \((\?|\$\d+)\)`).MatchString(text)
}
