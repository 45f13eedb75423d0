package schema

import (
	"encoding/json"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Email is a mail to a payer, written in the transaction of what it tells of
// and sent afterwards. It is kept apart from the outbox because it is an
// object that is shown, has a state of its own, and is erased with its payer.
type Email struct{ ent.Schema }

// Annotations of Email.
func (Email) Annotations() []schema.Annotation { return filtered() }

// Mixin of Email.
func (Email) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, ofPayer("payer_id"), createdMixin{}}
}

// Fields of Email.
func (Email) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("kind").Immutable().Values(
			"CHARGE_FAILED", "CHARGE_FAILED_FINAL", "UPCOMING_CHARGE", "PAYMENT_ACTION_REQUIRED",
			"INVOICE_PAID", "INVOICE_SENT", "QUOTE_SENT", "UPCOMING_RENEWAL", "TRIAL_ENDED", "CARD_EXPIRING",
			"BALANCE_LOW", "AUTO_RELOAD_FAILED", "AUTO_RELOAD_ACTION_REQUIRED", "AUTO_RELOAD_SUSPENDED"),
		fixedRef("payer_id"),
		field.JSON("facts", json.RawMessage{}).Immutable().Annotations(hidden()).
			Comment("what it is about: ids, amounts and times; nothing that names a person"),
		field.Enum("status").Values("QUEUED", "SENT", "FAILED", "CANCELED").Default("QUEUED"),
		field.Int("attempts").Default(0),
		field.Time("next_attempt_at").Optional().Nillable(),
		field.Time("sent_at").Optional().Nillable(),
		optionalText("failure"),
	}
}

// Edges of Email.
func (Email) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("emails").Field("payer_id").Unique().Required().Immutable().Annotations(entgql.Skip(entgql.SkipWhereInput)),
	}
}

// Indexes of Email.
func (Email) Indexes() []ent.Index {
	return []ent.Index{
		due("next_attempt_at"),
		index.Fields("organization_id", "payer_id", "id"),
		index.Fields("organization_id", "status", "id"),
	}
}
