package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Outbox holds mail and events that a transaction decided on, until they are
// sent.
type Outbox struct{ ent.Schema }

// Annotations of Outbox.
func (Outbox) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of Outbox.
func (Outbox) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of Outbox.
func (Outbox) Fields() []ent.Field {
	return []ent.Field{
		field.String("kind").Immutable(),
		field.String("subject").Immutable(),
		field.JSON("payload", json.RawMessage{}).Immutable(),
		field.Time("available_at"),
		field.Int("attempts").Default(0),
		field.Time("sent_at").Optional().Nillable(),
		text("error"),
	}
}

// Indexes of Outbox.
func (Outbox) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "available_at").Annotations(where("sent_at IS NULL"))}
}

// NumberCounter gives gap-free numbers, one row per organization and series.
type NumberCounter struct{ ent.Schema }

// Annotations of NumberCounter.
func (NumberCounter) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of NumberCounter.
func (NumberCounter) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}} }

// Fields of NumberCounter.
func (NumberCounter) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").Immutable(),
		field.Int64("value"),
	}
}

// Indexes of NumberCounter.
func (NumberCounter) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "name").Unique()}
}

// EmailTemplate is an organization's own wording of a mail.
type EmailTemplate struct{ ent.Schema }

// Annotations of EmailTemplate.
func (EmailTemplate) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of EmailTemplate.
func (EmailTemplate) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, changedMixin{}} }

// Fields of EmailTemplate.
func (EmailTemplate) Fields() []ent.Field {
	return []ent.Field{
		field.String("kind").Immutable(),
		field.String("locale").Immutable(),
		field.String("subject"),
		field.Text("body"),
		field.Text("html").Default("").Comment("empty: made of the body"),
	}
}

// Indexes of EmailTemplate.
func (EmailTemplate) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "kind", "locale").Unique()}
}
