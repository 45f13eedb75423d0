package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Subscription bills a payer every period.
type Subscription struct{ ent.Schema }

// Annotations of Subscription.
func (Subscription) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of Subscription.
func (Subscription) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, changedMixin{}} }

// Fields of Subscription.
func (Subscription) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payer_id"),
		ref("provider_id"),
		ref("payment_method_id"),
		ref("quote_id"),
		ref("latest_invoice_id"),
		field.String("currency").Immutable(),
		field.Enum("status").Values("INCOMPLETE", "TRIALING", "ACTIVE", "PAST_DUE", "UNPAID", "CANCELED").Default("INCOMPLETE"),
		field.Enum("collection").Values("AUTOMATIC", "SEND", "BALANCE").Default("AUTOMATIC"),
		field.Time("current_period_start"),
		field.Time("current_period_end"),
		field.Time("renews_at").Optional().Nillable(),
		field.Time("trial_ends_at").Optional().Nillable(),
		field.Time("canceled_at").Optional().Nillable(),
		field.Bool("cancel_at_period_end").Default(false),
	}
}

// Indexes of Subscription.
func (Subscription) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "quote_id").Unique(),
		index.Fields("organization_id", "payer_id", "id"),
		due("renews_at"),
	}
}

// SubscriptionItem is one position of a subscription.
type SubscriptionItem struct{ ent.Schema }

// Annotations of SubscriptionItem.
func (SubscriptionItem) Annotations() []schema.Annotation {
	return []schema.Annotation{internal(), entsql.Checks(map[string]string{"subscription_items_quantity": "quantity >= 1"})}
}

// Mixin of SubscriptionItem.
func (SubscriptionItem) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}} }

// Fields of SubscriptionItem.
func (SubscriptionItem) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("subscription_id"),
		fixedRef("price_id"),
		field.Int("position"),
		field.Int("quantity"),
	}
}

// Indexes of SubscriptionItem.
func (SubscriptionItem) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "subscription_id", "position").Unique()}
}
