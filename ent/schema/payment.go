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

// ReturnURLs are where the payer's browser goes after a hosted page.
type ReturnURLs struct {
	Success string `json:"success,omitempty"`
	Failure string `json:"failure,omitempty"`
	Pending string `json:"pending,omitempty"`
	Cancel  string `json:"cancel,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Payment is one movement of money at a gateway. Who is credited, with how
// much, is stored when it is made and never taken from what confirms it.
type Payment struct{ ent.Schema }

// Annotations of Payment.
func (Payment) Annotations() []schema.Annotation {
	return append(filtered(), entsql.Checks(map[string]string{
		"payments_amount":  "amount_units > 0 AND refunded_units >= 0 AND refunded_units <= amount_units",
		"payments_refused": "refused_at IS NULL OR status = 'SUCCEEDED'",
		"payments_settled": "status <> 'SUCCEEDED' OR (settled_at IS NOT NULL AND gateway_payment_id IS NOT NULL)",
	}))
}

// Mixin of Payment.
func (Payment) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, ofPayer("payer_id"), changedMixin{}}
}

// Fields of Payment.
func (Payment) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("status").Values("REQUIRES_ACTION", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELED").Default("PROCESSING"),
		field.Enum("purpose").Values("TOP_UP", "AUTO_RELOAD", "INVOICE", "TEST").Immutable(),
		field.String("currency").Immutable().NotEmpty().Annotations(hidden()),
		fixedUnits("amount_units"),
		units("refunded_units"),
		field.String("payer_id").Optional().Nillable().Immutable().Annotations(hidden()),
		fixedRef("provider_id"),
		field.String("invoice_id").Optional().Nillable().Immutable().Annotations(hidden()),
		field.String("balance_id").Optional().Nillable().Immutable().Annotations(hidden()),
		ref("payment_method_id"),
		field.String("order_code").Immutable(),
		field.String("reference_id").Optional().Nillable(),
		field.String("gateway_payment_id").Optional().Nillable().Annotations(hidden()),
		field.Bool("recurring").Default(false).Immutable(),
		field.Bool("save_card").Default(false).Immutable().Annotations(hidden()),
		hiddenText("action_url"),
		field.Time("action_expires_at").Optional().Nillable().Annotations(hidden()),
		field.Bytes("action_secret_sealed").Optional().Sensitive(),
		hiddenText("failure_code"),
		hiddenText("failure_decline_code"),
		hiddenText("failure_message"),
		optionalText("receipt_url"),
		field.JSON("return_urls", &ReturnURLs{}).Optional().Immutable().Annotations(hidden()),
		field.String("public_token").Immutable().Sensitive(),
		field.Time("settled_at").Optional().Nillable(),
		// When the gateway refused it although it had succeeded: no money came.
		field.Time("refused_at").Optional().Nillable(),
		field.Time("next_check_at").Optional().Nillable().Annotations(hidden()),
		field.Int("checks").Default(0).Annotations(hidden()),
	}
}

// Edges of Payment.
func (Payment) Edges() []ent.Edge {
	noFilter := entgql.Skip(entgql.SkipWhereInput)
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("payments").Field("payer_id").Unique().Immutable().Annotations(noFilter),
		edge.To("provider", Provider.Type).Field("provider_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.From("invoice", Invoice.Type).Ref("payments").Field("invoice_id").Unique().Immutable().Annotations(noFilter),
		edge.To("balance", Balance.Type).Field("balance_id").Unique().Immutable().Annotations(noFilter),
		edge.To("payment_method", PaymentMethod.Type).Field("payment_method_id").Unique().Annotations(noFilter),
		edge.To("attempts", PaymentAttempt.Type).Annotations(entgql.RelayConnection(), noFilter),
		edge.To("refunds", Refund.Type).Annotations(noFilter),
		edge.To("disputes", Dispute.Type).Annotations(noFilter),
	}
}

// Indexes of Payment.
func (Payment) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "order_code").Unique(),
		index.Fields("organization_id", "provider_id", "gateway_payment_id").Unique(),
		index.Fields("organization_id", "provider_id", "reference_id").Unique(),
		index.Fields("organization_id", "public_token").Unique(),
		index.Fields("organization_id", "payer_id", "id"),
		index.Fields("organization_id", "invoice_id", "id"),
		index.Fields("organization_id", "status", "id"),
		index.Fields("organization_id", "purpose", "id"),
		// What a balance was reloaded with in the running month.
		index.Fields("organization_id", "balance_id", "created_at").Annotations(where("purpose = 'AUTO_RELOAD'")),
		due("next_check_at"),
		index.Fields("organization_id", "updated_at"),
	}
}

// PaymentAttempt is one try at a payment, with its reason where it failed.
type PaymentAttempt struct{ ent.Schema }

// Annotations of PaymentAttempt.
func (PaymentAttempt) Annotations() []schema.Annotation { return listed() }

// Mixin of PaymentAttempt.
func (PaymentAttempt) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, through("payment_id", "payments"), createdMixin{}}
}

// Fields of PaymentAttempt.
func (PaymentAttempt) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payment_id"),
		field.Int("number").Immutable(),
		field.Enum("status").Values("REQUIRES_ACTION", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELED").Default("PROCESSING"),
		field.String("call_id").Immutable().Annotations(hidden()),
		hiddenText("gateway_request_id"),
		hiddenText("failure_code"),
		hiddenText("failure_decline_code"),
		hiddenText("failure_message"),
		field.Time("finished_at").Optional().Nillable(),
	}
}

// Edges of PaymentAttempt.
func (PaymentAttempt) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("payment", Payment.Type).Ref("attempts").Field("payment_id").Unique().Required().Immutable(),
	}
}

// Indexes of PaymentAttempt.
func (PaymentAttempt) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "call_id"),
		index.Fields("organization_id", "payment_id", "number").Unique(),
		index.Fields("organization_id", "payment_id", "id"),
	}
}

// PaymentMethod is a card saved at a gateway; never its number.
type PaymentMethod struct{ ent.Schema }

// Annotations of PaymentMethod.
func (PaymentMethod) Annotations() []schema.Annotation { return filtered() }

// Mixin of PaymentMethod.
func (PaymentMethod) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, ofPayer("payer_id"), changedMixin{}}
}

// Fields of PaymentMethod.
func (PaymentMethod) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payer_id"),
		fixedRef("provider_id"),
		field.Enum("status").Values("PENDING", "ACTIVE", "FAILED", "DETACHED").Default("PENDING"),
		field.String("gateway_customer_id").Optional().Nillable().Annotations(hidden()),
		field.String("gateway_id").Optional().Nillable().Annotations(hidden()),
		field.String("setup_reference").Optional().Nillable().Annotations(hidden()),
		// The card scheme's id of the payment with which the card was saved.
		hiddenText("scheme_reference"),
		hiddenText("brand"),
		hiddenText("last4"),
		field.Int("exp_month").Default(0).Annotations(hidden()),
		field.Int("exp_year").Default(0).Annotations(hidden()),
		// When its payer is told that it ends; NULL once that is done.
		field.Time("expiry_notice_at").Optional().Nillable().Annotations(hidden()),
		field.Bool("is_default").Default(false),
		field.Bool("make_default").Default(false).Immutable().Annotations(hidden()),
		hiddenText("action_url"),
		field.Bytes("action_secret_sealed").Optional().Sensitive(),
		hiddenText("failure_message"),
		field.Time("next_check_at").Optional().Nillable().Annotations(hidden()),
		field.Int("checks").Default(0).Annotations(hidden()),
		// That the payer lets it be charged without being there: since when, and
		// who has said so.
		field.Time("consented_at").Optional().Nillable(),
		optionalText("consented_by"),
	}
}

// Edges of PaymentMethod.
func (PaymentMethod) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("payment_methods").Field("payer_id").Unique().Required().Immutable(),
		edge.To("provider", Provider.Type).Field("provider_id").Unique().Required().Immutable(),
	}
}

// Indexes of PaymentMethod.
func (PaymentMethod) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "provider_id", "gateway_id").Unique(),
		index.Fields("organization_id", "provider_id", "setup_reference").Unique(),
		index.Fields("organization_id", "payer_id", "id"),
		index.Fields("organization_id", "payer_id").Unique().Annotations(where("is_default")),
		due("next_check_at"),
		due("expiry_notice_at"),
	}
}

// Refund is money that went back.
type Refund struct{ ent.Schema }

// Annotations of Refund.
func (Refund) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.Skip(entgql.SkipWhereInput), entsql.Checks(map[string]string{"refunds_amount": "amount_units > 0"})}
}

// Mixin of Refund.
func (Refund) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, through("payment_id", "payments"), changedMixin{}}
}

// Fields of Refund.
func (Refund) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payment_id"),
		field.String("currency").Immutable().Annotations(hidden()),
		fixedUnits("amount_units"),
		field.Enum("status").Values("PROCESSING", "SUCCEEDED", "FAILED").Default("PROCESSING"),
		optionalText("reason"),
		optionalText("failure_message"),
		field.String("gateway_refund_id").Optional().Nillable().Annotations(hidden()),
		ref("hold_id"),
		field.String("credit_note_id").Optional().Nillable().Immutable().Annotations(hidden()),
		field.Time("next_check_at").Optional().Nillable().Annotations(hidden()),
		field.Int("checks").Default(0).Annotations(hidden()),
	}
}

// Edges of Refund.
func (Refund) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("credit_note", CreditNote.Type).Ref("refunds").Field("credit_note_id").Unique().Immutable(),
		edge.From("payment", Payment.Type).Ref("refunds").Field("payment_id").Unique().Required().Immutable(),
	}
}

// Indexes of Refund.
func (Refund) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "payment_id", "gateway_refund_id").Unique(),
		index.Fields("organization_id", "credit_note_id"),
		due("next_check_at"),
	}
}

// Dispute is a payment that the payer's bank contests.
type Dispute struct{ ent.Schema }

// Annotations of Dispute.
func (Dispute) Annotations() []schema.Annotation {
	return []schema.Annotation{entgql.Skip(entgql.SkipWhereInput), entsql.Checks(map[string]string{"disputes_amount": "amount_units > 0"})}
}

// Mixin of Dispute.
func (Dispute) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, through("payment_id", "payments"), changedMixin{}}
}

// Fields of Dispute.
func (Dispute) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payment_id"),
		field.String("currency").Immutable().Annotations(hidden()),
		fixedUnits("amount_units"),
		field.Enum("status").Values("WARNING", "NEEDS_RESPONSE", "UNDER_REVIEW", "WON", "LOST"),
		optionalText("reason"),
		field.Time("evidence_due_at").Optional().Nillable(),
		field.String("gateway_dispute_id").Immutable().Annotations(hidden()),
		field.Time("next_check_at").Optional().Nillable().Annotations(hidden()),
		field.Int("checks").Default(0).Annotations(hidden()),
	}
}

// Edges of Dispute.
func (Dispute) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("payment", Payment.Type).Ref("disputes").Field("payment_id").Unique().Required().Immutable(),
	}
}

// Indexes of Dispute.
func (Dispute) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "payment_id", "gateway_dispute_id").Unique(),
		due("next_check_at"),
	}
}
