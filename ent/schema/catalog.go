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

// Product is something an organization sells.
type Product struct{ ent.Schema }

// Annotations of Product.
func (Product) Annotations() []schema.Annotation { return filtered() }

// Mixin of Product.
func (Product) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of Product.
func (Product) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").NotEmpty().Annotations(entgql.OrderField("NAME")),
		optionalText("description"),
		field.Bool("active").Default(true),
		ref("provider_id"),
	}
}

// Edges of Product.
func (Product) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("prices", Price.Type).Annotations(entgql.Skip(entgql.SkipWhereInput)),
		edge.To("provider", Provider.Type).Field("provider_id").Unique().Annotations(entgql.Skip(entgql.SkipWhereInput)),
	}
}

// Indexes of Product.
func (Product) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "name", "id")}
}

// Price is what a product costs, once or every so often. Amounts never
// change: a new price is made and the old one archived.
type Price struct{ ent.Schema }

// Annotations of Price.
func (Price) Annotations() []schema.Annotation {
	return append(listed(), entsql.Checks(map[string]string{
		"prices_unit_amount": "unit_amount_units >= 0",
		"prices_recurrence":  "recurrence_count >= 1",
	}))
}

// Mixin of Price.
func (Price) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of Price.
func (Price) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("product_id"),
		field.String("currency").Immutable().NotEmpty().Annotations(hidden()),
		fixedUnits("unit_amount_units"),
		field.Enum("recurrence_interval").Values("DAY", "WEEK", "MONTH", "YEAR").Optional().Nillable().Immutable().Annotations(hidden()),
		field.Int("recurrence_count").Default(1).Immutable().Annotations(hidden()),
		optionalText("nickname"),
		field.Bool("active").Default(true),
	}
}

// Edges of Price.
func (Price) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("product", Product.Type).Ref("prices").Field("product_id").Unique().Required().Immutable(),
	}
}

// Indexes of Price.
func (Price) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "product_id", "id")}
}
