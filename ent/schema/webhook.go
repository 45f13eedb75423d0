package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// WebhookEndpoint is an address of the organization's own to which events go.
type WebhookEndpoint struct{ ent.Schema }

// Annotations of WebhookEndpoint.
func (WebhookEndpoint) Annotations() []schema.Annotation { return listed() }

// Mixin of WebhookEndpoint.
func (WebhookEndpoint) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, changedMixin{}} }

// Fields of WebhookEndpoint.
func (WebhookEndpoint) Fields() []ent.Field {
	return []ent.Field{
		field.String("url"),
		optionalText("description"),
		// DELETED is kept for its log.
		field.Enum("status").Values("ACTIVE", "DISABLED", "DELETED").Default("ACTIVE"),
		field.JSON("event_types", []string{}).Annotations(hidden()),
		field.Bytes("secret_sealed").Optional().Sensitive(),
		field.Bytes("secret_previous_sealed").Optional().Sensitive(),
		field.Time("secret_previous_until").Optional().Nillable().Annotations(hidden()),
	}
}

// Edges of WebhookEndpoint.
func (WebhookEndpoint) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("deliveries", WebhookDelivery.Type).Annotations(entgql.RelayConnection(), entgql.Skip(entgql.SkipWhereInput)),
	}
}

// Indexes of WebhookEndpoint.
func (WebhookEndpoint) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "status")}
}

// WebhookDelivery is one try at telling an endpoint about an event. The next
// one is a row of its own.
type WebhookDelivery struct{ ent.Schema }

// Annotations of WebhookDelivery.
func (WebhookDelivery) Annotations() []schema.Annotation { return listed() }

// Mixin of WebhookDelivery.
func (WebhookDelivery) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of WebhookDelivery.
func (WebhookDelivery) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("endpoint_id"),
		fixedRef("outbox_id"),
		field.String("event_type").Immutable().Annotations(hidden()),
		field.Int("attempt").Immutable(),
		field.Enum("status").Values("PENDING", "DELIVERED", "FAILED").Default("PENDING"),
		field.Int("http_status").Default(0).Annotations(hidden()),
		hiddenText("error"),
		field.Time("next_attempt_at").Optional().Nillable(),
		field.Time("finished_at").Optional().Nillable(),
	}
}

// Edges of WebhookDelivery.
func (WebhookDelivery) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("endpoint", WebhookEndpoint.Type).Ref("deliveries").Field("endpoint_id").Unique().Required().Immutable(),
	}
}

// Indexes of WebhookDelivery.
func (WebhookDelivery) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "endpoint_id", "outbox_id", "attempt").Unique(),
		index.Fields("organization_id", "endpoint_id", "id"),
		index.Fields("organization_id", "created_at"),
		// Events go when no delivery names them any more.
		index.Fields("organization_id", "outbox_id"),
		// What is due is looked for endpoint by endpoint.
		index.Fields("organization_id", "endpoint_id", "next_attempt_at").Annotations(where("next_attempt_at IS NOT NULL")),
	}
}
