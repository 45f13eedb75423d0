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

// PendingLine is a position that waits for a subscription's next invoice: what
// a change of its items gave back, or has still to be paid for.
type PendingLine struct {
	Description string      `json:"description"`
	PriceID     string      `json:"priceId,omitempty"`
	AmountUnits money.Units `json:"amount"`
}

// Subscription bills a payer every period. Its periods are counted from the
// anchor: the one with the number n begins n recurrences after it.
type Subscription struct{ ent.Schema }

// Annotations of Subscription.
func (Subscription) Annotations() []schema.Annotation {
	return append(filtered(), entsql.Checks(map[string]string{
		"subscriptions_period": "current_period_end > current_period_start AND period >= -1",
		"subscriptions_ended":  "status <> 'CANCELED' OR (canceled_at IS NOT NULL AND due_at IS NULL)",
	}))
}

// Mixin of Subscription.
func (Subscription) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, ofPayer("payer_id"), changedMixin{}}
}

// Fields of Subscription.
func (Subscription) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payer_id"),
		ref("provider_id"),
		ref("payment_method_id"),
		ref("quote_id"),
		ref("latest_invoice_id"),
		field.String("currency").Immutable().Annotations(hidden()),
		units("amount_units"),
		field.Enum("status").Values("SCHEDULED", "INCOMPLETE", "TRIALING", "ACTIVE", "PAST_DUE", "UNPAID", "CANCELED").Default("INCOMPLETE"),
		field.Enum("collection").Values("AUTOMATIC", "SEND", "BALANCE").Default("AUTOMATIC").Annotations(hidden()),
		field.Enum("recurrence_interval").Values("DAY", "WEEK", "MONTH", "YEAR").Immutable().Annotations(hidden()),
		field.Int("recurrence_count").Immutable().Annotations(hidden()),
		field.String("time_zone").Immutable().Annotations(hidden()).Comment("the organization's when it was made: periods do not move with a later change"),
		field.Time("anchor_at").Immutable().Annotations(hidden()).Comment("when the first period that is paid for begins"),
		field.Int("period").Default(-1).Annotations(hidden()).Comment("the number of the running period; -1 before the first"),
		field.Time("starts_at").Immutable(),
		field.Time("current_period_start"),
		field.Time("current_period_end"),
		field.Time("trial_ends_at").Optional().Nillable(),
		field.Time("canceled_at").Optional().Nillable(),
		field.Bool("cancel_at_period_end").Default(false),
		field.Time("due_at").Optional().Nillable().Annotations(hidden()).Comment("when something is to be done about it"),
		field.Time("notice_at").Optional().Nillable().Annotations(hidden()).Comment("when the payer is to be told of the next charge; NULL once that was done"),
		field.JSON("pending_lines", []PendingLine{}).Annotations(hidden()),
		field.Int64("version").Default(0).Annotations(hidden()),
	}
}

// Edges of Subscription.
func (Subscription) Edges() []ent.Edge {
	noFilter := entgql.Skip(entgql.SkipWhereInput)
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("subscriptions").Field("payer_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("provider", Provider.Type).Field("provider_id").Unique().Annotations(noFilter),
		edge.To("payment_method", PaymentMethod.Type).Field("payment_method_id").Unique().Annotations(noFilter),
		edge.To("quote", Quote.Type).Field("quote_id").Unique().Annotations(noFilter),
		edge.To("latest_invoice", Invoice.Type).Field("latest_invoice_id").Unique().Annotations(noFilter),
		edge.To("items", SubscriptionItem.Type).Annotations(noFilter),
		edge.To("invoices", Invoice.Type).Annotations(entgql.RelayConnection(), noFilter),
	}
}

// Indexes of Subscription.
func (Subscription) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "quote_id").Unique(),
		index.Fields("organization_id", "payer_id", "id"),
		index.Fields("organization_id", "status", "id"),
		// Streams resume by it.
		index.Fields("organization_id", "updated_at"),
		due("due_at"),
		due("notice_at"),
	}
}

// SubscriptionItem is one position of a subscription.
type SubscriptionItem struct{ ent.Schema }

// Annotations of SubscriptionItem.
func (SubscriptionItem) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entgql.Skip(entgql.SkipWhereInput), entgql.Implements("LineItem"),
		entsql.Checks(map[string]string{"subscription_items_quantity": "quantity >= 1"}),
	}
}

// Mixin of SubscriptionItem.
func (SubscriptionItem) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, through("subscription_id", "subscriptions")}
}

// Fields of SubscriptionItem.
func (SubscriptionItem) Fields() []ent.Field {
	return append(lineFields(), fixedRef("subscription_id"))
}

// Edges of SubscriptionItem.
func (SubscriptionItem) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("subscription", Subscription.Type).Ref("items").Field("subscription_id").Unique().Required().Immutable(),
		edge.To("price", Price.Type).Field("price_id").Unique().Immutable(),
	}
}

// Indexes of SubscriptionItem.
func (SubscriptionItem) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "subscription_id", "position").Unique()}
}
