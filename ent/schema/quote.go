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

// Quote is an offer to a payer.
type Quote struct{ ent.Schema }

// Annotations of Quote.
func (Quote) Annotations() []schema.Annotation {
	return append(filtered(), entsql.Checks(map[string]string{
		"quotes_total":    "total_units >= 0",
		"quotes_complete": "status IN ('DRAFT', 'CANCELED') OR (payer_id IS NOT NULL AND currency IS NOT NULL AND number IS NOT NULL AND finalized_at IS NOT NULL)",
	}))
}

// Mixin of Quote.
func (Quote) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, payerMixin{column: "payer_id", issued: true}, changedMixin{}}
}

// Fields of Quote.
func (Quote) Fields() []ent.Field {
	return []ent.Field{
		field.String("number").Optional().Nillable(),
		field.Enum("status").Values("DRAFT", "OPEN", "ACCEPTED", "CANCELED", "EXPIRED").Default("DRAFT"),
		ref("payer_id"),
		ref("provider_id"),
		field.String("currency").Optional().Nillable().Annotations(hidden()),
		units("total_units"),
		optionalText("description"),
		field.Time("expires_at").Optional().Nillable(),
		field.Time("starts_at").Optional().Nillable(),
		field.Time("finalized_at").Optional().Nillable().Annotations(hidden()),
		field.Time("accepted_at").Optional().Nillable().Annotations(hidden()),
		field.String("gateway_quote_id").Optional().Nillable().Annotations(hidden()),
		ref("invoice_id"),
		ref("subscription_id"),
		ref("revision_of_id"),
		field.String("public_token").Immutable().Sensitive(),
		field.String("accept_token").Optional().Nillable().Sensitive().
			Comment("names the page on which it is accepted; whoever sees the document must not be able to guess it"),
		field.String("pending_call_id").Optional().Nillable().Annotations(hidden()).
			Comment("the gateway call that is changing it; nobody else may"),
	}
}

// Edges of Quote.
func (Quote) Edges() []ent.Edge {
	noFilter := entgql.Skip(entgql.SkipWhereInput)
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("quotes").Field("payer_id").Unique().Annotations(noFilter),
		edge.To("provider", Provider.Type).Field("provider_id").Unique().Annotations(noFilter),
		edge.To("invoice", Invoice.Type).Field("invoice_id").Unique().Annotations(noFilter),
		edge.To("subscription", Subscription.Type).Field("subscription_id").Unique().Annotations(noFilter),
		edge.To("lines", QuoteLine.Type).Annotations(noFilter, entgql.MapsTo("lineItems")),
	}
}

// Indexes of Quote.
func (Quote) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "number").Unique(),
		index.Fields("organization_id", "provider_id", "gateway_quote_id").Unique(),
		index.Fields("organization_id", "public_token").Unique(),
		index.Fields("organization_id", "accept_token").Unique(),
		index.Fields("organization_id", "revision_of_id").Annotations(where("revision_of_id IS NOT NULL")),
		index.Fields("organization_id", "payer_id", "id"),
		index.Fields("organization_id", "status", "id"),
		index.Fields("organization_id", "expires_at").Annotations(where("status = 'OPEN'")),
		index.Fields("organization_id", "updated_at"),
	}
}

// lineFields are the columns that lines of quotes and invoices share.
func lineFields() []ent.Field {
	return []ent.Field{
		field.Int("position").Immutable().Annotations(hidden()),
		field.String("description").Immutable(),
		field.String("price_id").Optional().Nillable().Immutable().Annotations(hidden()),
		field.Int("quantity").Immutable(),
		field.String("currency").Immutable().Annotations(hidden()),
		fixedUnits("unit_amount_units"),
		fixedUnits("amount_units"),
	}
}

// QuoteLine is one position of a quote.
type QuoteLine struct{ ent.Schema }

// Annotations of QuoteLine.
func (QuoteLine) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entgql.Skip(entgql.SkipWhereInput), entgql.Implements("LineItem"),
		entsql.Checks(map[string]string{"quote_lines_quantity": "quantity >= 1"}),
	}
}

// Mixin of QuoteLine.
func (QuoteLine) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}} }

// Fields of QuoteLine.
func (QuoteLine) Fields() []ent.Field {
	return append(lineFields(),
		fixedRef("quote_id"),
		field.Enum("recurrence_interval").Values("DAY", "WEEK", "MONTH", "YEAR").Optional().Nillable().Immutable().Annotations(hidden()),
		field.Int("recurrence_count").Default(1).Immutable().Annotations(hidden()),
	)
}

// Edges of QuoteLine.
func (QuoteLine) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("quote", Quote.Type).Ref("lines").Field("quote_id").Unique().Required().Immutable(),
		edge.To("price", Price.Type).Field("price_id").Unique().Immutable(),
	}
}

// Indexes of QuoteLine.
func (QuoteLine) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "quote_id", "position").Unique()}
}
