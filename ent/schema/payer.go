package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"purser/money"
)

// Payer is the billing side of a developer or a company; which one is told by
// the id's prefix (dev_, com_).
type Payer struct{ ent.Schema }

// Annotations of Payer.
func (Payer) Annotations() []schema.Annotation {
	return append(filtered(), entgql.Implements("Payer"), entgql.Implements("Developer"), entgql.Implements("Company"),
		entsql.Checks(map[string]string{
			"payers_identity": "(kind = 'DEVELOPER' AND email IS NOT NULL AND slug IS NULL) OR (kind = 'COMPANY' AND email IS NULL AND slug IS NOT NULL)",
			"payers_email":    "email IS NULL OR email = lower(email)",
			"payers_tax_rate": "tax_rate_ppm IS NULL OR tax_rate_ppm BETWEEN 0 AND 1000000",
		}))
}

// Mixin of Payer.
func (Payer) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, ofPayer("id"), createdMixin{}} }

// Fields of Payer.
func (Payer) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("kind").Values("DEVELOPER", "COMPANY").Immutable().Annotations(hidden()),
		field.String("email").Optional().Nillable(),
		field.String("slug").Optional().Nillable(),
		field.String("name").Annotations(entgql.OrderField("NAME")),
		optionalText("billing_email"),
		optionalText("external_id"),
		field.Enum("billing_mode").Values("PREPAID", "POSTPAID").Default("PREPAID"),
		field.Enum("status").Values("ACTIVE", "SUSPENDED", "CLOSED").Default("ACTIVE"),
		field.Int64("tax_rate_ppm").GoType(money.Rate(0)).Optional().Nillable().Annotations(hidden()),
		optionalText("tax_id"),
		field.Bool("reverse_charge").Default(false),
		optionalText("locale"),
		field.JSON("address", &Address{}).Optional().Annotations(hidden()),
		field.JSON("metadata", map[string]string{}).Annotations(hidden()),
		field.Bool("charging_enabled").Default(true),
		// The payment by which an invoice of the payer was charged last: no other
		// is charged while it is under way.
		ref("charging_payment_id"),
		// When its personal data was replaced; only a closed payer's is.
		field.Time("erased_at").Optional().Nillable(),
	}
}

// Edges of Payer.
func (Payer) Edges() []ent.Edge {
	noFilter := entgql.Skip(entgql.SkipWhereInput)
	return []ent.Edge{
		edge.To("balances", Balance.Type).Annotations(noFilter),
		edge.To("payment_methods", PaymentMethod.Type).Annotations(entgql.RelayConnection()),
		edge.To("quotes", Quote.Type).Annotations(entgql.RelayConnection()),
		edge.To("invoices", Invoice.Type).Annotations(entgql.RelayConnection()),
		edge.To("subscriptions", Subscription.Type).Annotations(entgql.RelayConnection()),
		edge.To("payments", Payment.Type).Annotations(entgql.RelayConnection()),
		edge.To("holds", Hold.Type).Annotations(entgql.RelayConnection()),
		edge.To("emails", Email.Type).Annotations(hidden()),
		edge.To("memberships", Membership.Type).Annotations(entgql.RelayConnection(), noFilter),
		edge.To("members", Membership.Type).Annotations(entgql.RelayConnection(), noFilter),
	}
}

// Indexes of Payer.
func (Payer) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "email").Unique(),
		index.Fields("organization_id", "slug").Unique(),
		index.Fields("organization_id", "external_id").Unique(),
		index.Fields("organization_id", "kind", "id"),
		index.Fields("organization_id", "kind", "name", "id"),
		index.Fields("organization_id", "kind", "status", "id"),
		index.Fields("organization_id", "kind", "billing_mode", "id"),
	}
}

// Membership says that a developer belongs to a company, and as what.
type Membership struct{ ent.Schema }

// Annotations of Membership.
func (Membership) Annotations() []schema.Annotation { return listed() }

// Mixin of Membership.
func (Membership) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of Membership.
func (Membership) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("company_id"),
		fixedRef("developer_id"),
		field.Enum("role").Values("ADMIN", "MEMBER").Default("MEMBER"),
	}
}

// Edges of Membership.
func (Membership) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("company", Payer.Type).Ref("members").Field("company_id").Unique().Required().Immutable(),
		edge.From("developer", Payer.Type).Ref("memberships").Field("developer_id").Unique().Required().Immutable(),
	}
}

// Indexes of Membership.
func (Membership) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "company_id", "developer_id").Unique(),
		index.Fields("organization_id", "company_id", "id"),
		index.Fields("organization_id", "developer_id", "id"),
	}
}
