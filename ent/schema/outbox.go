package schema

import (
	"encoding/json"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Outbox holds what a transaction decided to tell the organization's own
// systems. To whom, and whether they have it, stands in WebhookDelivery; once no
// delivery is left of it, an old row goes.
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
	}
}

// Indexes of Outbox.
func (Outbox) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "created_at")}
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
