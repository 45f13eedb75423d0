package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Hold is an amount set aside for work in progress. What is set aside of a
// balance is the sum of its open holds.
type Hold struct{ ent.Schema }

// Annotations of Hold.
func (Hold) Annotations() []schema.Annotation {
	return append(filtered(), entsql.Checks(map[string]string{
		"holds_amount":   "amount_units > 0",
		"holds_captured": "(status = 'CAPTURED' AND captured_units > 0) OR (status <> 'CAPTURED' AND captured_units = 0)",
		"holds_closed":   "(status = 'OPEN') = (closed_at IS NULL)",
	}))
}

// Mixin of Hold.
func (Hold) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, ofPayer("payer_id"), createdMixin{}}
}

// Fields of Hold.
func (Hold) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payer_id"),
		fixedRef("balance_id"),
		field.String("currency").Immutable().Annotations(hidden()),
		fixedUnits("amount_units"),
		units("captured_units"),
		field.Enum("status").Values("OPEN", "CAPTURED", "RELEASED", "EXPIRED").Default("OPEN"),
		field.Time("expires_at").Immutable(),
		field.Time("closed_at").Optional().Nillable(),
		field.String("description").Optional().Nillable(),
		field.String("idempotency_key").Optional().Nillable().Immutable().Annotations(hidden()),
		field.Bytes("fingerprint").Optional().Immutable().Annotations(hidden()),
	}
}

// Edges of Hold.
func (Hold) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("holds").Field("payer_id").Unique().Required().Immutable().Annotations(entgql.Skip(entgql.SkipWhereInput)),
	}
}

// Indexes of Hold. Holds are many and soon closed: those that wait for their
// end are indexed apart.
func (Hold) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "idempotency_key").Unique(),
		index.Fields("organization_id", "payer_id", "id"),
		index.Fields("organization_id", "payer_id", "status", "id"),
		index.Fields("organization_id", "expires_at").Annotations(where("status = 'OPEN'")),
	}
}
