package schema

import (
	"context"

	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"purser/auth"
)

// Address is a postal address of an organization or a payer.
type Address struct {
	Line1      string `json:"line1,omitempty"`
	Line2      string `json:"line2,omitempty"`
	City       string `json:"city,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postalCode,omitempty"`
	Country    string `json:"country,omitempty"` // ISO 3166-1 alpha-2
	IsPrimary  bool   `json:"isPrimary,omitempty"`
}

// Organization is the tenant: a company that sells APIs.
type Organization struct{ ent.Schema }

// Annotations of Organization.
func (Organization) Annotations() []schema.Annotation {
	return append(listed(), Reference,
		entsql.Checks(map[string]string{"organizations_slug": "length(slug) BETWEEN 2 AND 32 AND slug NOT IN ('system', 'global')"}))
}

// Fields of Organization.
func (Organization) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").Immutable().NotEmpty().Annotations(entgql.OrderField("CREATED_AT")),
		field.String("slug").Immutable().Unique(),
		field.String("name").NotEmpty(),
		field.Enum("status").Values("ACTIVE", "INACTIVE").Default("ACTIVE"),
		field.Enum("environment").Values("SANDBOX", "TEST", "LIVE").Immutable().Annotations(hidden()),
		field.String("default_currency").NotEmpty(),
		field.String("time_zone").Default("UTC"),
		optionalText("country"),
		field.JSON("addresses", []Address{}).Annotations(hidden()),
		field.Enum("billing_type").Values("PREPAID", "POSTPAID", "BOTH").Default("BOTH").Annotations(hidden()),
		field.Enum("billing_cycle").Values("CALENDAR_MONTH", "PRORATED").Default("CALENDAR_MONTH"),
		field.Enum("tax_model").Values("DISCLOSED", "UNDISCLOSED", "HYBRID").Default("UNDISCLOSED"),
		optionalText("support_email"),
		optionalText("finance_support_email"),
		optionalText("sender_email"),
		optionalText("thank_you_url"),
		field.Bool("charging_enabled").Default(true),
		field.Int("dunning_retry_days").Default(3).Annotations(hidden()),
		field.Int("dunning_attempts_max").Default(3).Annotations(hidden()),
		field.Enum("dunning_final").Values("LEAVE", "MARK_UNCOLLECTIBLE", "CANCEL_SUBSCRIPTION").Default("LEAVE").Annotations(hidden()),
		field.Int("send_net_days").Default(14).Annotations(hidden()),
		field.Int("automatic_net_days").Default(0).Annotations(hidden()),
		field.Int("usage_net_days").Default(2).Annotations(hidden()),
		optionalText("tax_id"),
		field.Enum("number_period").Values("MONTHLY", "YEARLY").Default("MONTHLY"),
		field.JSON("allowed_return_origins", []string{}).Annotations(hidden()),
		field.String("default_provider_id").Optional().Nillable().Annotations(hidden()),
		field.String("test_twin_of").Optional().Nillable().Immutable().Annotations(hidden()),
		field.Bool("payers_may_cancel").Default(true),
		field.Int("upcoming_charge_days").Default(7),
		field.Bool("quotes_mailed").Default(false),
		// The clock of a SANDBOX organization (billing/clock.go), in microseconds.
		field.Int64("clock_ahead").Default(0).Annotations(hidden()).Comment("how far it is ahead of the machine's"),
		field.Time("clock_at").Optional().Nillable().Annotations(hidden()).Comment("where it stands while it is advanced"),
		field.Time("clock_until").Optional().Nillable().Comment("up to when it is advanced"),
		field.Time("created_at").Immutable(),
	}
}

// Indexes of Organization.
func (Organization) Indexes() []ent.Index {
	return []ent.Index{index.Fields("clock_ahead").Annotations(where("clock_ahead <> 0"))}
}

// Policy of Organization: an organization is its own tenant.
func (Organization) Policy() ent.Policy { return tenantRule{column: "id"} }

// Interceptors of Organization: everybody but the operator sees only its own.
func (Organization) Interceptors() []ent.Interceptor {
	own := scope("id")
	return []ent.Interceptor{ent.TraverseFunc(func(ctx context.Context, q ent.Query) error {
		if auth.FromContext(ctx).Has(auth.ScopeSystem) {
			return nil
		}
		return own.(ent.Traverser).Traverse(ctx, q)
	})}
}

// Currency is a currency that an organization sells in.
type Currency struct{ ent.Schema }

// Annotations of Currency.
func (Currency) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entgql.Skip(entgql.SkipWhereInput),
		entsql.Checks(map[string]string{"currencies_limits": "(minimum_top_up_units IS NULL OR minimum_top_up_units >= 0) AND (credit_limit_units IS NULL OR credit_limit_units >= 0)"}),
	}
}

// Mixin of Currency.
func (Currency) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of Currency.
func (Currency) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").Immutable().NotEmpty(),
		field.String("name").NotEmpty(),
		field.String("display_name").NotEmpty(),
		optionalText("description"),
		field.Enum("status").Values("ACTIVE", "INACTIVE").Default("ACTIVE"),
		field.Bool("virtual").Immutable().Default(false),
		optionalUnits("minimum_top_up_units"),
		optionalUnits("credit_limit_units"),
	}
}

// Indexes of Currency.
func (Currency) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "code").Unique()}
}
