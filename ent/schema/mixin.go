// Package schema declares the tables. One file holds one aggregate; this one
// holds what all of them share. It imports nothing generated, so that the
// generated code can always be made anew from nothing.
package schema

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/privacy"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"entgo.io/ent/schema/mixin"

	"purser/auth"
	"purser/money"
)

// Class says how a table is spread when the database is more than one
// machine; the linter test in migrations refuses a table without one.
type Class string

// The classes of tables.
const (
	// Tenant tables begin with organization_id in every key.
	Tenant Class = "tenant"
	// Reference tables are small, rarely written, and complete everywhere.
	Reference Class = "reference"
	// Directory tables find an organization by something else.
	Directory Class = "directory"
)

// Name implements schema.Annotation.
func (Class) Name() string { return "Class" }

// tenantMixin makes an entity the property of one organization: the column,
// the rule that nobody without an organization sees anything, the filter on
// every statement, and the refusal of the operations whose SQL ent cannot
// scope.
type tenantMixin struct{ mixin.Schema }

func (tenantMixin) Annotations() []schema.Annotation { return []schema.Annotation{Tenant} }

func (tenantMixin) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().NotEmpty().Annotations(entgql.OrderField("CREATED_AT")),
		field.String("organization_id").Immutable().NotEmpty().Annotations(entgql.Skip(entgql.SkipAll)),
	}
}

func (tenantMixin) Policy() ent.Policy { return tenantRule{column: "organization_id"} }

func (tenantMixin) Interceptors() []ent.Interceptor {
	return []ent.Interceptor{scope("organization_id")}
}

func (tenantMixin) Hooks() []ent.Hook { return []ent.Hook{scopeMutation} }

// ErrNoViewer is returned when a statement is made on behalf of nobody.
var ErrNoViewer = errors.New("no viewer in the context: nobody may read or write tenant data")

// whereP is what the generated query and mutation builders offer (see
// ent/entc.go).
type whereP interface {
	WhereP(...func(*sql.Selector))
}

func scope(column string) ent.Interceptor {
	return ent.TraverseFunc(func(ctx context.Context, q ent.Query) error {
		v := auth.FromContext(ctx)
		if v == nil {
			return ErrNoViewer
		}
		if v.AllTenants {
			return nil
		}
		w, ok := q.(whereP)
		if !ok {
			return fmt.Errorf("query %T cannot be scoped to an organization", q)
		}
		w.WhereP(sql.FieldEQ(column, v.OrganizationID))
		return nil
	})
}

func scopeMutation(next ent.Mutator) ent.Mutator {
	return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
		v := auth.FromContext(ctx)
		if v == nil {
			return nil, ErrNoViewer
		}
		switch op := m.Op(); {
		case op.Is(ent.OpCreate):
			given, ok := m.Field("organization_id")
			switch {
			case !ok && v.OrganizationID != "":
				if err := m.SetField("organization_id", v.OrganizationID); err != nil {
					return nil, err
				}
			case !ok:
				return nil, fmt.Errorf("create %s without an organization", m.Type())
			case !v.AllTenants && given != v.OrganizationID:
				return nil, privacy.Denyf("create %s in another organization", m.Type())
			}
		case op.Is(ent.OpUpdateOne):
			// ent re-reads the row by its id alone afterwards, unscoped.
			return nil, fmt.Errorf("update %s by UpdateOne: use Update().Where(…) and look at the count", m.Type())
		default:
			if edge := foreignEdge(m); edge != "" {
				return nil, fmt.Errorf("update %s through its edge %s: set the foreign key's field", m.Type(), edge)
			}
			if v.AllTenants {
				break
			}
			w, ok := m.(whereP)
			if !ok {
				return nil, fmt.Errorf("mutation %T cannot be scoped to an organization", m)
			}
			w.WhereP(sql.FieldEQ("organization_id", v.OrganizationID))
		}
		return next.Mutate(ctx, m)
	})
}

// foreignEdge names an edge whose change would write another table's rows, by
// their ids alone; empty for none. An edge that stands in a column of the row
// itself, <edge>_id, is such a column's value and no more.
func foreignEdge(m ent.Mutation) string {
	if removed := m.RemovedEdges(); len(removed) > 0 {
		return removed[0]
	}
	for _, edge := range m.AddedEdges() {
		if _, ok := m.Field(edge + "_id"); !ok {
			return edge
		}
	}
	for _, edge := range m.ClearedEdges() {
		if !m.FieldCleared(edge + "_id") {
			return edge
		}
	}
	return ""
}

// tenantRule denies everything to nobody; what somebody sees is the
// interceptor's business.
type tenantRule struct{ column string }

func (tenantRule) EvalQuery(ctx context.Context, _ ent.Query) error {
	return allowViewer(ctx)
}

func (tenantRule) EvalMutation(ctx context.Context, _ ent.Mutation) error {
	return allowViewer(ctx)
}

func allowViewer(ctx context.Context) error {
	if auth.FromContext(ctx) == nil {
		return privacy.Denyf("%v", ErrNoViewer)
	}
	return privacy.Allow
}

// createdMixin carries the time a row was made, which is set from the
// transaction's clock and never changed.
type createdMixin struct{ mixin.Schema }

func (createdMixin) Fields() []ent.Field {
	return []ent.Field{field.Time("created_at").Immutable()}
}

// changedMixin carries the time of the last change, by which a live
// subscription resumes.
type changedMixin struct{ mixin.Schema }

func (changedMixin) Fields() []ent.Field {
	return []ent.Field{
		field.Time("created_at").Immutable(),
		field.Time("updated_at"),
	}
}

// internal hides an entity from the public schema.
func internal() schema.Annotation { return entgql.Skip(entgql.SkipAll) }

// hidden keeps a column out of the public types: it is shown through a method
// or not at all, and field collection must read the whole row for it.
func hidden() schema.Annotation { return entgql.Skip(entgql.SkipAll) }

// listed makes an entity a Relay connection without a filter.
func listed() []schema.Annotation {
	return []schema.Annotation{entgql.RelayConnection(), entgql.Skip(entgql.SkipWhereInput)}
}

// filtered makes an entity a Relay connection with a filter.
func filtered() []schema.Annotation { return []schema.Annotation{entgql.RelayConnection()} }

// units is a column of ledger units (money.Units).
func units(name string) ent.Field {
	return field.Int64(name).GoType(money.Units(0)).Default(0).Annotations(hidden())
}

// fixedUnits is a column of ledger units that never changes.
func fixedUnits(name string) ent.Field {
	return field.Int64(name).GoType(money.Units(0)).Immutable().Annotations(hidden())
}

// optionalUnits is a column of ledger units that may be absent.
func optionalUnits(name string) ent.Field {
	return field.Int64(name).GoType(money.Units(0)).Optional().Nillable().Annotations(hidden())
}

// where makes an index partial. Statements are found to fit it by both
// databases where they compare a column that must not be NULL; any other
// condition has to stand in them as it stands here, not as a parameter.
func where(condition string) schema.Annotation { return entsql.IndexWhere(condition) }

// due is the index for a column that tells when work is due and is NULL while
// there is none. Workers look through all organizations every second, so rows
// that are settled must not be in it.
func due(column string) ent.Index {
	return index.Fields("organization_id", column).Annotations(where(column + " IS NOT NULL"))
}

// text is a column that is never NULL, so that lists may be ordered by it.
func text(name string) ent.Field { return field.String(name).Default("") }

// hiddenText is a text column that no public type shows.
func hiddenText(name string) ent.Field {
	return field.String(name).Default("").Annotations(hidden())
}

// optionalText is a text column that is shown as it is, null included.
func optionalText(name string) ent.Field { return field.String(name).Optional().Nillable() }

// fixedText is a hiddenText column that never changes.
func fixedText(name string) ent.Field {
	return field.String(name).Default("").Immutable().Annotations(hidden())
}

// ref is a column that names a row of another tenant table; the foreign key is
// added by migrations.Composite.
func ref(name string) ent.Field {
	return field.String(name).Optional().Nillable().Annotations(hidden())
}

// fixedRef is a ref that is always there and never changes.
func fixedRef(name string) ent.Field {
	return field.String(name).Immutable().NotEmpty().Annotations(hidden())
}
