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

// Balance is what a payer has in one currency. Everything that a decision
// about spending needs stands on its row; amount and usage are projections of
// the ledger entries that name it.
type Balance struct{ ent.Schema }

// Annotations of Balance.
func (Balance) Annotations() []schema.Annotation {
	return append(listed(), entsql.Checks(map[string]string{
		"balances_held":         "held_units >= 0",
		"balances_unpaid":       "unpaid_units >= 0",
		"balances_credit_limit": "credit_limit_units IS NULL OR credit_limit_units >= 0",
		"balances_sequence":     "last_seq >= 0",
		"balances_low":          "low_balance_level_units IS NULL OR low_balance_percent IS NULL",
		"balances_percent":      "low_balance_percent IS NULL OR low_balance_percent BETWEEN 1 AND 100",
	}))
}

// Mixin of Balance.
func (Balance) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, ofPayer("payer_id"), changedMixin{}}
}

// Fields of Balance.
func (Balance) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("payer_id"),
		field.String("currency").Immutable().NotEmpty().Annotations(hidden()),
		units("amount_units"),
		units("usage_units"),
		units("held_units"),
		units("unpaid_units"),
		field.Enum("billing_mode").Values("PREPAID", "POSTPAID").Annotations(hidden()),
		optionalUnits("credit_limit_units"),
		field.Bool("credit_limit_own").Default(false).Annotations(hidden()).
			Comment("the limit was agreed with this payer and is not its currency's"),
		field.Bool("auto_reload_enabled").Default(false).Annotations(hidden()),
		optionalUnits("auto_reload_threshold_units"),
		optionalUnits("auto_reload_amount_units"),
		optionalUnits("auto_reload_daily_cap_units"),
		optionalUnits("auto_reload_monthly_cap_units"),
		ref("auto_reload_provider_id"),
		ref("auto_reload_payment_method_id"),
		hiddenText("auto_reload_suspended_reason"),
		ref("auto_reload_payment_id"),
		field.Int("auto_reload_failures").Default(0).Annotations(hidden()),
		// Written only when the balance crosses the threshold: it is indexed.
		field.Time("auto_reload_due_at").Optional().Nillable().Annotations(hidden()),
		optionalUnits("low_balance_level_units"),
		field.Int("low_balance_percent").Optional().Nillable().Annotations(hidden()),
		field.Time("low_balance_noticed_at").Optional().Nillable().Annotations(hidden()),
		// Of postpaid balances alone, and written once a month: it is indexed.
		field.Time("usage_invoice_at").Optional().Nillable().Annotations(hidden()).
			Comment("when what is owed on it becomes an invoice"),
		field.String("period").Comment("the open billing period, YYYY-MM in the organization's time zone").Annotations(hidden()),
		field.Int64("version").Default(0).Annotations(hidden()),
		field.Int64("last_seq").Default(0).Annotations(hidden()),
		field.Bytes("last_hash").Annotations(hidden()),
		field.Time("last_booked_at").Comment("that of the last entry; no entry is booked before it").Annotations(hidden()),
	}
}

// Edges of Balance.
func (Balance) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("balances").Field("payer_id").Unique().Required().Immutable(),
		edge.To("entries", LedgerEntry.Type).Annotations(entgql.RelayConnection()),
	}
}

// Indexes of Balance. None holds a column that usage changes, updated_at
// included: PostgreSQL then rewrites the row in its page and no index (HOT). A
// stream of all balances that resumes reads the organization's for that.
func (Balance) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "payer_id", "currency").Unique(),
		due("auto_reload_due_at"),
		due("usage_invoice_at"),
	}
}

// LedgerEntry is one transfer from one account to another. Rows are never
// changed or deleted.
type LedgerEntry struct{ ent.Schema }

// Annotations of LedgerEntry.
func (LedgerEntry) Annotations() []schema.Annotation {
	return append(filtered(), entsql.Checks(map[string]string{
		"ledger_entries_amount":   "amount_units > 0",
		"ledger_entries_accounts": "debit_account <> credit_account",
		"ledger_entries_chain":    "(balance_id IS NULL) = (seq IS NULL)",
		"ledger_entries_key":      "(operation IS NULL) = (idempotency_key IS NULL)",
	}))
}

// Mixin of LedgerEntry.
func (LedgerEntry) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, through("balance_id", "balances").orUnowned()}
}

// Fields of LedgerEntry.
func (LedgerEntry) Fields() []ent.Field {
	fixed := func(name string) ent.Field {
		return field.String(name).Optional().Nillable().Immutable().Annotations(hidden())
	}
	return []ent.Field{
		field.String("transaction_id").Immutable().Annotations(hidden()),
		fixed("balance_id"),
		field.Int64("seq").Optional().Nillable().Immutable().Annotations(hidden()),
		field.String("currency").Immutable().Annotations(hidden()),
		field.String("debit_account").Immutable(),
		field.String("credit_account").Immutable(),
		field.Enum("kind").Values("TOP_UP", "RELOAD", "USAGE", "CREDIT", "ADJUSTMENT", "REFUND", "DISPUTE", "INVOICE",
			"INVOICE_PAYMENT", "CREDIT_NOTE", "TAX", "FEE", "PAYOUT", "ROUNDING", "WRITE_OFF", "REVERSAL").Immutable(),
		field.String("reversed_kind").Optional().Nillable().Immutable().Annotations(hidden()).
			Comment("for a REVERSAL the kind it reverses, so that a statement needs no second look-up"),
		fixedUnits("amount_units"),
		field.Int64("amount_after_units").Optional().Nillable().Immutable().Annotations(hidden()),
		field.Int64("usage_after_units").Optional().Nillable().Immutable().Annotations(hidden()),
		field.String("description").Optional().Nillable().Immutable(),
		field.JSON("metadata", map[string]string{}).Optional().Immutable().Annotations(hidden()),
		fixed("payment_id"), fixed("invoice_id"), fixed("hold_id"), fixed("refund_id"), fixed("dispute_id"),
		fixed("credit_note_id"), fixed("provider_id"), fixed("reverses_id"),
		field.String("actor").Immutable(),
		field.Time("effective_at").Immutable(),
		field.Time("booked_at").Immutable().Annotations(entgql.OrderField("BOOKED_AT")),
		fixed("cause_key"),
		fixed("operation"),
		fixed("idempotency_key"),
		field.Bytes("fingerprint").Optional().Immutable().Annotations(hidden()),
		field.Bytes("hash").Immutable().Annotations(hidden()),
	}
}

// Edges of LedgerEntry.
func (LedgerEntry) Edges() []ent.Edge {
	noFilter := entgql.Skip(entgql.SkipWhereInput)
	return []ent.Edge{
		edge.From("balance", Balance.Type).Ref("entries").Field("balance_id").Unique().Immutable().Annotations(noFilter),
		edge.To("payment", Payment.Type).Field("payment_id").Unique().Immutable().Annotations(noFilter),
		edge.To("invoice", Invoice.Type).Field("invoice_id").Unique().Immutable().Annotations(noFilter),
		edge.To("hold", Hold.Type).Field("hold_id").Unique().Immutable().Annotations(noFilter),
		edge.To("refund", Refund.Type).Field("refund_id").Unique().Immutable().Annotations(noFilter),
		edge.To("dispute", Dispute.Type).Field("dispute_id").Unique().Immutable().Annotations(noFilter),
	}
}

// Indexes of LedgerEntry. A page of one balance walks (organization_id,
// balance_id, seq) from its end, the seals those that touch none. What usage
// leaves empty is indexed where it is filled: usage is most of the rows. A
// statement sums all other kinds of a month and takes usage as the rest.
func (LedgerEntry) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "balance_id", "seq").Unique(),
		index.Fields("organization_id", "balance_id", "seq").StorageKey("ledgerentry_other_than_usage").Annotations(where("kind <> 'USAGE'")),
		index.Fields("organization_id", "id").Annotations(where("balance_id IS NULL")),
		index.Fields("organization_id", "operation", "idempotency_key").Unique(),
		index.Fields("organization_id", "cause_key").Unique().Annotations(where("cause_key IS NOT NULL")),
		// Usage, by far the most of the rows, is of no invoice and left out.
		index.Fields("organization_id", "invoice_id", "id").Annotations(where("invoice_id IS NOT NULL")),
		index.Fields("organization_id", "hold_id", "id").Annotations(where("hold_id IS NOT NULL")),
		index.Fields("organization_id", "provider_id").Annotations(where("provider_id IS NOT NULL")),
		index.Fields("organization_id", "reverses_id").Annotations(where("reverses_id IS NOT NULL")),
	}
}

// LedgerSeal chains the entries that touch no balance.
type LedgerSeal struct{ ent.Schema }

// Annotations of LedgerSeal.
func (LedgerSeal) Annotations() []schema.Annotation { return []schema.Annotation{internal()} }

// Mixin of LedgerSeal.
func (LedgerSeal) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}, createdMixin{}} }

// Fields of LedgerSeal.
func (LedgerSeal) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("seq").Immutable(),
		fixedRef("entry_id"),
		field.Bytes("hash").Immutable(),
	}
}

// Indexes of LedgerSeal.
func (LedgerSeal) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "seq").Unique(),
		index.Fields("organization_id", "entry_id").Unique(),
	}
}
