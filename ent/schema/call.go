package schema

import (
	"encoding/json"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// GatewayCall is an intent: stored and committed before the request leaves,
// closed by whoever learns the outcome first.
type GatewayCall struct{ ent.Schema }

// Annotations of GatewayCall.
func (GatewayCall) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of GatewayCall.
func (GatewayCall) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of GatewayCall.
func (GatewayCall) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("provider_id"),
		field.Enum("operation").Immutable().Values(
			"QUOTE_FINALIZE", "QUOTE_ACCEPT", "QUOTE_CANCEL",
			"INVOICE_FINALIZE", "INVOICE_PAY", "INVOICE_SETTLE", "INVOICE_VOID", "INVOICE_DISCARD", "CREDIT_NOTE",
			"HOSTED_PAYMENT", "CHARGE", "PAYMENT_CANCEL",
			"CARD_ATTACH", "CARD_SETUP", "CARD_DEFAULT", "CARD_DETACH", "REFUND", "ENDPOINT_REGISTER"),
		field.String("subject").Immutable(),
		field.String("gateway_key").Immutable().Comment("the idempotency key at the gateway"),
		field.JSON("request", json.RawMessage{}).Comment("what is asked, without secrets, so that it can be asked again unchanged; emptied when its payer is erased"),
		field.Enum("state").Values("OPEN", "DONE", "REVIEW").Default("OPEN"),
		text("outcome"),
		text("failure_code"),
		text("failure_message"),
		text("gateway_request_id"),
		field.Int("attempts").Default(0),
		field.Time("next_check_at").Optional().Nillable(),
		field.Time("lease_until").Optional().Nillable(),
		field.Int64("fence").Default(0),
		field.Time("finished_at").Optional().Nillable(),
	}
}

// Indexes of GatewayCall.
func (GatewayCall) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "gateway_key").Unique(),
		index.Fields("organization_id", "provider_id"),
		index.Fields("organization_id", "subject", "id"),
		due("next_check_at"),
	}
}

// GatewayEvent is a verified notification, stored before it is answered.
type GatewayEvent struct{ ent.Schema }

// Annotations of GatewayEvent.
func (GatewayEvent) Annotations() []schema.Annotation { return listed() }

// Mixin of GatewayEvent.
func (GatewayEvent) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}} }

// Fields of GatewayEvent.
func (GatewayEvent) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("provider_id"),
		field.String("gateway_event_id").Immutable(),
		field.String("type").Immutable(),
		field.Enum("status").Values("RECEIVED", "APPLIED", "IGNORED", "WAITING", "MISMATCHED", "FAILED").Default("RECEIVED"),
		field.String("object_kind").Immutable().Annotations(hidden()),
		field.String("object_id").Immutable().Annotations(hidden()),
		fixedText("call_id"),
		fixedText("subject"),
		field.JSON("saved_card", json.RawMessage{}).Optional().Annotations(hidden()).Comment("a card that the gateway tells of nowhere else"),
		field.JSON("told", json.RawMessage{}).Optional().Immutable().Annotations(hidden()).Comment("what it says of money that went back, to be confirmed"),
		fixedText("object_payment"),
		optionalText("error"),
		field.Int("attempts").Default(0).Annotations(hidden()),
		field.Time("next_attempt_at").Optional().Nillable().Annotations(hidden()),
		field.Time("received_at").Immutable().Annotations(entgql.OrderField("RECEIVED_AT")),
		field.Time("applied_at").Optional().Nillable().Annotations(hidden()),
	}
}

// Indexes of GatewayEvent.
func (GatewayEvent) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "provider_id", "gateway_event_id").Unique(),
		due("next_attempt_at"),
		index.Fields("organization_id", "received_at").Annotations(where("status = 'MISMATCHED'")),
	}
}

// GatewayCustomer is a payer as one provider's gateway knows it, or knew it: of
// a customer that was deleted there the row stays, so that nothing which is told
// late brings it back.
type GatewayCustomer struct{ ent.Schema }

// Annotations of GatewayCustomer.
func (GatewayCustomer) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of GatewayCustomer.
func (GatewayCustomer) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of GatewayCustomer.
func (GatewayCustomer) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payer_id"),
		fixedRef("provider_id"),
		field.String("gateway_customer_id").Immutable(),
		field.Time("deleted_at").Optional().Nillable().Comment("at the gateway"),
	}
}

// Indexes of GatewayCustomer.
func (GatewayCustomer) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "provider_id", "payer_id").Unique().Annotations(where("deleted_at IS NULL")),
		index.Fields("organization_id", "provider_id", "gateway_customer_id").Unique(),
	}
}

// IdempotencyRecord remembers what a client's key was used for.
type IdempotencyRecord struct{ ent.Schema }

// Annotations of IdempotencyRecord.
func (IdempotencyRecord) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of IdempotencyRecord.
func (IdempotencyRecord) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of IdempotencyRecord.
func (IdempotencyRecord) Fields() []ent.Field {
	return []ent.Field{
		field.String("scope").Immutable(),
		field.String("key").Immutable(),
		field.Bytes("fingerprint").Immutable(),
		field.String("subject").Immutable(),
		fixedText("second_subject"),
		fixedText("call_id"),
	}
}

// Indexes of IdempotencyRecord.
func (IdempotencyRecord) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "scope", "key").Unique(),
		index.Fields("organization_id", "call_id"),
		index.Fields("organization_id", "created_at"),
	}
}
