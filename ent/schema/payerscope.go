package schema

import (
	"context"
	"fmt"

	"entgo.io/ent"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/privacy"
	"entgo.io/ent/schema/mixin"

	"purser/auth"
)

// payerMixin narrows an entity to one payer where the viewer is a session of
// that payer: a second filter beside the tenant's, on every statement, by
// whatever way the rows are reached. Everybody else sees all of the
// organization's rows.
type payerMixin struct {
	mixin.Schema
	// column names the payer; or, with table, a row of the table that has a
	// payer_id.
	column string
	table  string
	// issued leaves out what was never finalized: a payer sees what it was
	// offered or billed, not what is still being written. With inside, the
	// domain's own transactions see that as well.
	issued bool
	inside bool
	// unowned are rows that name nobody: the organization's own books. Only the
	// domain's own transactions see them, where what a payer does in its session
	// takes back what was booked for it (an invoice that is voided, a write-off).
	unowned bool
}

// ofPayer narrows by the entity's own column.
func ofPayer(column string) payerMixin { return payerMixin{column: column} }

// through narrows by the payer of a row of another table.
func through(column, table string) payerMixin { return payerMixin{column: column, table: table} }

// orUnowned adds the rows without an owner for the domain's own transactions.
func (m payerMixin) orUnowned() payerMixin {
	m.unowned = true
	return m
}

// Interceptors of payerMixin.
func (m payerMixin) Interceptors() []ent.Interceptor {
	return []ent.Interceptor{ent.TraverseFunc(func(ctx context.Context, q ent.Query) error {
		v := auth.FromContext(ctx)
		if !v.IsSession() {
			return nil
		}
		w, ok := q.(whereP)
		if !ok {
			return fmt.Errorf("query %T cannot be narrowed to a payer", q)
		}
		m.narrow(ctx, v, w)
		return nil
	})}
}

// Hooks of payerMixin.
func (m payerMixin) Hooks() []ent.Hook {
	return []ent.Hook{func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, mutation ent.Mutation) (ent.Value, error) {
			v := auth.FromContext(ctx)
			if !v.IsSession() {
				return next.Mutate(ctx, mutation)
			}
			if mutation.Op().Is(ent.OpCreate) {
				if owner, ok := mutation.Field(m.column); ok && m.table == "" && owner != v.PayerID {
					return nil, privacy.Denyf("create %s for another payer", mutation.Type())
				}
				return next.Mutate(ctx, mutation)
			}
			w, ok := mutation.(whereP)
			if !ok {
				return nil, fmt.Errorf("mutation %T cannot be narrowed to a payer", mutation)
			}
			m.narrow(ctx, v, w)
			return next.Mutate(ctx, mutation)
		})
	}}
}

func (m payerMixin) narrow(ctx context.Context, v *auth.Viewer, w whereP) {
	if m.table == "" {
		w.WhereP(sql.FieldEQ(m.column, v.PayerID))
	} else {
		w.WhereP(func(s *sql.Selector) {
			t := sql.Dialect(s.Dialect()).Select("id").From(sql.Table(m.table))
			t.Where(sql.And(sql.EQ(t.C("organization_id"), v.OrganizationID), sql.EQ(t.C("payer_id"), v.PayerID)))
			theirs := sql.In(s.C(m.column), t)
			if m.unowned && withinDomain(ctx) {
				theirs = sql.Or(theirs, sql.IsNull(s.C(m.column)))
			}
			s.Where(theirs)
		})
	}
	if m.issued && !(m.inside && withinDomain(ctx)) {
		w.WhereP(sql.FieldNotNull("finalized_at"))
	}
}

type domainKey struct{}

// WithinDomain returns a context for the domain's own transactions, which
// handle on a payer's behalf also what the payer is not shown yet: accepting a
// quote makes a draft of an invoice.
func WithinDomain(ctx context.Context) context.Context {
	return context.WithValue(ctx, domainKey{}, true)
}

func withinDomain(ctx context.Context) bool { return ctx.Value(domainKey{}) != nil }
