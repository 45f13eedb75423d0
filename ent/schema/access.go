package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// AccessToken lets a program act for an organization. Only the digest of its
// secret is kept.
type AccessToken struct{ ent.Schema }

// Annotations of AccessToken.
func (AccessToken) Annotations() []schema.Annotation { return listed() }

// Mixin of AccessToken.
func (AccessToken) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of AccessToken.
func (AccessToken) Fields() []ent.Field {
	return []ent.Field{
		field.String("name").NotEmpty(),
		field.JSON("scopes", []string{}).Annotations(hidden()),
		field.Enum("permission").Values("READ", "READ_WRITE"),
		field.Bytes("digest").Immutable().Sensitive(),
		field.String("hint"),
		field.Time("expires_at").Optional().Nillable(),
		field.Time("last_used_at").Optional().Nillable(),
		field.Time("revoked_at").Optional().Nillable(),
	}
}

// PayerSession lets a portal or a mobile app act for one payer for a while.
type PayerSession struct{ ent.Schema }

// Annotations of PayerSession.
func (PayerSession) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of PayerSession.
func (PayerSession) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of PayerSession.
func (PayerSession) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payer_id"),
		field.Bytes("digest").Immutable().Sensitive(),
		field.Time("expires_at").Immutable(),
		field.Time("revoked_at").Optional().Nillable(),
		field.String("created_by").Immutable(),
	}
}

// Indexes of PayerSession.
func (PayerSession) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "payer_id", "id")}
}

// AuditEvent records who changed settings, credentials and access. It carries
// no secrets.
type AuditEvent struct{ ent.Schema }

// Annotations of AuditEvent.
func (AuditEvent) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of AuditEvent.
func (AuditEvent) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of AuditEvent.
func (AuditEvent) Fields() []ent.Field {
	return []ent.Field{
		field.String("actor").Immutable(),
		field.String("action").Immutable(),
		field.String("subject").Immutable(),
		field.JSON("details", map[string]string{}).Immutable(),
	}
}

// Indexes of AuditEvent.
func (AuditEvent) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "subject", "id")}
}
