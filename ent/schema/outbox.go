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

// WebhookEndpoint is an address of the organization's own to which events go.
type WebhookEndpoint struct{ ent.Schema }

// Annotations of WebhookEndpoint.
func (WebhookEndpoint) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of WebhookEndpoint.
func (WebhookEndpoint) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of WebhookEndpoint.
func (WebhookEndpoint) Fields() []ent.Field {
	return []ent.Field{
		field.String("url"),
		field.Enum("status").Values("ACTIVE", "DISABLED").Default("ACTIVE"),
		field.JSON("event_types", []string{}),
		field.Bytes("secret_sealed").Sensitive(),
		field.Bytes("secret_previous_sealed").Optional().Sensitive(),
	}
}

// WebhookDelivery is one try at telling an endpoint about an event.
type WebhookDelivery struct{ ent.Schema }

// Annotations of WebhookDelivery.
func (WebhookDelivery) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of WebhookDelivery.
func (WebhookDelivery) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of WebhookDelivery.
func (WebhookDelivery) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("endpoint_id"),
		fixedRef("outbox_id"),
		field.Int("attempt").Immutable(),
		field.Enum("status").Values("PENDING", "DELIVERED", "FAILED").Default("PENDING"),
		field.Int("http_status").Default(0),
		text("error"),
		field.Time("next_attempt_at").Optional().Nillable(),
	}
}

// Indexes of WebhookDelivery.
func (WebhookDelivery) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "endpoint_id", "outbox_id", "attempt").Unique(),
		due("next_attempt_at"),
	}
}
