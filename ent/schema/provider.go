package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Provider is a merchant account at a gateway. Its environment is its
// organization's.
type Provider struct{ ent.Schema }

// Annotations of Provider.
func (Provider) Annotations() []schema.Annotation { return listed() }

// Mixin of Provider.
func (Provider) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of Provider.
func (Provider) Fields() []ent.Field {
	return []ent.Field{
		field.String("slug").Immutable().NotEmpty(),
		field.String("name").NotEmpty(),
		optionalText("description"),
		field.Enum("kind").Values("STRIPE", "WORLDPAY").Immutable(),
		field.Enum("status").Values("ACTIVE", "ARCHIVED").Default("ACTIVE"),
		optionalText("merchant_code"),
		hiddenText("auth_type"),
		optionalText("publishable_key"),
		optionalText("secret_hint"),
		field.Bytes("secret_sealed").Optional().Sensitive(),
		field.Bytes("webhook_secret_sealed").Optional().Sensitive(),
		field.Bytes("webhook_secret_previous_sealed").Optional().Sensitive(),
		field.Time("webhook_secret_previous_until").Optional().Nillable().Annotations(hidden()),
		field.Bytes("mac_secret_sealed").Optional().Sensitive(),
		field.Bool("legacy_mac").Default(false).Annotations(hidden()),
		hiddenText("endpoint"),
		field.Int("credential_version").Default(1).Annotations(hidden()),
		// Whose the keys are, as the gateway says; empty until it was asked.
		hiddenText("gateway_account_id"),
		// When keys were changed without proof that the account stayed the same.
		field.Time("account_unproven_at").Optional().Nillable().Annotations(hidden()),
		field.String("webhook_token").Immutable().Sensitive(),
		hiddenText("webhook_endpoint_id"),
		// The call that is registering its webhook address.
		ref("pending_call_id"),
		// What is wrong with how browsers come back from the account's pages;
		// empty where nothing is known to be.
		hiddenText("return_problem"),
		field.Time("return_problem_at").Optional().Nillable().Annotations(hidden()),
		field.String("global_provider_id").Optional().Nillable().Immutable().Annotations(hidden()),
	}
}

// Indexes of Provider.
func (Provider) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "slug").Unique(),
		index.Fields("organization_id", "webhook_token").Unique(),
	}
}

// GlobalProvider is a merchant account of the operator, which organizations
// use through a provider of their own that points to it.
type GlobalProvider struct{ ent.Schema }

// Annotations of GlobalProvider.
func (GlobalProvider) Annotations() []schema.Annotation {
	return []schema.Annotation{Reference, entgql.Skip(entgql.SkipWhereInput)}
}

// Fields of GlobalProvider.
func (GlobalProvider) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().NotEmpty(),
		field.String("slug").Immutable().Unique(),
		field.String("name").NotEmpty(),
		optionalText("description"),
		field.Enum("kind").Values("STRIPE", "WORLDPAY").Immutable(),
		field.Enum("environment").Values("SANDBOX", "TEST", "LIVE").Immutable().Annotations(hidden()),
		field.Enum("status").Values("ACTIVE", "ARCHIVED").Default("ACTIVE"),
		optionalText("publishable_key"),
		optionalText("merchant_code"),
		hiddenText("auth_type"),
		optionalText("secret_hint"),
		field.Bytes("secret_sealed").Optional().Sensitive(),
		field.Bytes("webhook_secret_sealed").Optional().Sensitive(),
		field.Bytes("webhook_secret_previous_sealed").Optional().Sensitive(),
		field.Time("webhook_secret_previous_until").Optional().Nillable().Annotations(hidden()),
		field.Bytes("mac_secret_sealed").Optional().Sensitive(),
		field.Bool("legacy_mac").Default(false).Annotations(hidden()),
		hiddenText("endpoint"),
		field.Int("credential_version").Default(1).Annotations(hidden()),
		hiddenText("gateway_account_id"),
		field.Time("account_unproven_at").Optional().Nillable().Annotations(hidden()),
		field.String("webhook_token").Immutable().Unique().Sensitive(),
		field.Time("created_at").Immutable(),
	}
}

// GatewayObject says whose an object at a global provider's account is. One
// account serves many organizations there, and what its gateway reports may
// name nothing but the object.
type GatewayObject struct{ ent.Schema }

// Annotations of GatewayObject.
func (GatewayObject) Annotations() []schema.Annotation {
	return []schema.Annotation{internal(), Directory}
}

// Fields of GatewayObject. It is no tenant's row: the organization is what is
// looked for.
func (GatewayObject) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().NotEmpty().Comment("the order code, or the gateway's own id of the object"),
		field.String("organization").Immutable().NotEmpty(),
		field.Time("created_at").Immutable(),
	}
}
