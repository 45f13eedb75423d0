package schema

import (
	"entgo.io/contrib/entgql"
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"purser/money"
)

// Recipient is whom an invoice was issued to. An issued invoice must not change
// with the payer, nor be emptied when the payer's data is erased.
type Recipient struct {
	Name    string   `json:"name"`
	Email   string   `json:"email,omitempty"`
	Address *Address `json:"address,omitempty"`
	TaxID   string   `json:"taxId,omitempty"`
}

// Seller is who issued an invoice, as it stood then.
type Seller struct {
	Name    string   `json:"name"`
	Email   string   `json:"email,omitempty"`
	Address *Address `json:"address,omitempty"`
	TaxID   string   `json:"taxId,omitempty"`
}

// TaxShare is the tax of an invoice at one rate.
type TaxShare struct {
	RatePpm      money.Rate  `json:"ratePpm"`
	TaxableUnits money.Units `json:"taxableUnits"` // net, exact
	TaxUnits     money.Units `json:"taxUnits"`     // whole minor units
}

// CreditedLine is what a credit note takes back of one line of its invoice, in
// the terms of that line: of usage it includes tax.
type CreditedLine struct {
	LineID      string      `json:"lineId"`
	Description string      `json:"description"`
	Quantity    *int        `json:"quantity,omitempty"` // where it was named by how many
	AmountUnits money.Units `json:"amountUnits"`
}

// Invoice is a bill to a payer. Once finalized it changes only by payments
// and credit notes.
type Invoice struct{ ent.Schema }

// Annotations of Invoice.
func (Invoice) Annotations() []schema.Annotation {
	return append(filtered(), entsql.Checks(map[string]string{
		"invoices_amounts":  "amount_due_units >= 0 AND amount_paid_units >= 0 AND (tax_units >= 0 OR total_units <= 0)",
		"invoices_credited": "waived_units >= 0 AND credited_units >= waived_units AND (credited_units = 0 OR credited_units <= total_units)",
		"invoices_number":   "status IN ('DRAFT', 'VOID') OR (number IS NOT NULL AND finalized_at IS NOT NULL)",
		"invoices_usage":    "usage_month IS NULL OR debt_units IS NOT NULL",
		"invoices_debt":     "debt_units IS NULL OR debt_units > 0",
		"invoices_paid":     "status <> 'PAID' OR (amount_due_units = 0 AND paid_at IS NOT NULL)",
	}))
}

// Mixin of Invoice.
func (Invoice) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, payerMixin{column: "payer_id", issued: true, inside: true}, changedMixin{}}
}

// Fields of Invoice.
func (Invoice) Fields() []ent.Field {
	return []ent.Field{
		field.String("number").Optional().Nillable(),
		field.Enum("status").Values("DRAFT", "OPEN", "PAID", "UNCOLLECTIBLE", "VOID").Default("DRAFT"),
		fixedRef("payer_id"),
		ref("provider_id"),
		field.Enum("collection").Values("AUTOMATIC", "SEND", "BALANCE").Default("AUTOMATIC"),
		field.String("currency").Immutable().NotEmpty().Annotations(hidden()),
		units("subtotal_units"),
		units("tax_units"),
		units("total_units"),
		units("amount_due_units"),
		units("amount_paid_units"),
		units("credited_units"), // by credit notes, all of them
		units("waived_units"),   // by those made before it was paid, which took from what was due
		optionalText("description"),
		// Whom it was issued to, as it stood then; empty while it is a draft.
		field.JSON("recipient", &Recipient{}).Optional().Annotations(hidden()),
		// By whom, from its issue on as well.
		field.JSON("seller", &Seller{}).Optional().Annotations(hidden()),
		field.JSON("taxes", []TaxShare{}).Optional().Annotations(hidden()).Comment("tax_units by rate, from its issue on"),
		field.Bool("reverse_charge").Default(false).Comment("the payer owes the tax itself"),
		// What a postpaid payer owed on its balance, which the invoice moves off
		// it; its lines include tax.
		optionalUnits("debt_units"),
		field.String("usage_month").Optional().Nillable().Comment("YYYY-MM, of the invoice that a month's end made"),
		field.Time("sent_at").Optional().Nillable(),
		field.Time("due_at").Optional().Nillable().Annotations(hidden()),
		field.Time("finalizes_at").Optional().Nillable(),
		field.Time("finalized_at").Optional().Nillable(),
		field.Time("paid_at").Optional().Nillable(),
		field.Time("voided_at").Optional().Nillable().Annotations(hidden()),
		field.String("hosted_url").Optional().Nillable().Annotations(hidden()).Comment("the gateway's page"),
		field.String("pdf_url").Optional().Nillable().Annotations(hidden()).Comment("the gateway's own document"),
		optionalText("receipt_url"),
		ref("quote_id"),
		ref("subscription_id"),
		field.Int("attempts").Default(0),
		field.Time("next_attempt_at").Optional().Nillable(),
		field.Enum("dunning").Values("NONE", "RUNNING", "EXHAUSTED").Default("NONE"),
		field.Time("period_start").Optional().Nillable(),
		field.Time("period_end").Optional().Nillable(),
		field.String("gateway_invoice_id").Optional().Nillable().Annotations(hidden()),
		field.Time("next_check_at").Optional().Nillable().Annotations(hidden()).
			Comment("when the gateway is asked how it stands, should no event ever come"),
		field.Int("checks").Default(0).Annotations(hidden()),
		field.String("public_token").Immutable().Sensitive(),
		field.String("pending_call_id").Optional().Nillable().Annotations(hidden()).
			Comment("the gateway call that is changing it; nobody else may"),
	}
}

// Edges of Invoice.
func (Invoice) Edges() []ent.Edge {
	noFilter := entgql.Skip(entgql.SkipWhereInput)
	return []ent.Edge{
		edge.From("payer", Payer.Type).Ref("invoices").Field("payer_id").Unique().Required().Immutable().Annotations(noFilter),
		edge.To("provider", Provider.Type).Field("provider_id").Unique().Annotations(noFilter),
		edge.To("quote", Quote.Type).Field("quote_id").Unique().Annotations(noFilter),
		edge.From("subscription", Subscription.Type).Ref("invoices").Field("subscription_id").Unique().Annotations(noFilter),
		edge.To("lines", InvoiceLine.Type).Annotations(noFilter, entgql.MapsTo("lineItems")),
		edge.To("payments", Payment.Type).Annotations(entgql.RelayConnection()),
		edge.To("credit_notes", CreditNote.Type).Annotations(noFilter),
	}
}

// Indexes of Invoice.
func (Invoice) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "number").Unique(),
		index.Fields("organization_id", "provider_id", "gateway_invoice_id").Unique(),
		index.Fields("organization_id", "quote_id").Unique(),
		index.Fields("organization_id", "public_token").Unique(),
		// Each period of a subscription is billed once.
		index.Fields("organization_id", "subscription_id", "period_start").Unique(),
		index.Fields("organization_id", "subscription_id", "id").Annotations(where("subscription_id IS NOT NULL")),
		index.Fields("organization_id", "payer_id", "id"),
		index.Fields("organization_id", "payer_id", "currency", "usage_month").Unique(),
		index.Fields("organization_id", "status", "id"),
		due("finalizes_at"),
		due("next_attempt_at"),
		due("next_check_at"),
		index.Fields("organization_id", "updated_at"),
	}
}

// InvoiceLine is one position of an invoice.
type InvoiceLine struct{ ent.Schema }

// Annotations of InvoiceLine.
func (InvoiceLine) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entgql.Skip(entgql.SkipWhereInput), entgql.Implements("LineItem"),
		entsql.Checks(map[string]string{
			"invoice_lines_quantity": "quantity >= 1",
			"invoice_lines_tax_rate": "tax_rate_ppm IS NULL OR tax_rate_ppm BETWEEN 0 AND 1000000",
		}),
	}
}

// Mixin of InvoiceLine.
func (InvoiceLine) Mixin() []ent.Mixin { return []ent.Mixin{tenantMixin{}} }

// Fields of InvoiceLine.
func (InvoiceLine) Fields() []ent.Field {
	return append(lineFields(), fixedRef("invoice_id"),
		field.Int64("tax_rate_ppm").GoType(money.Rate(0)).Optional().Nillable().Immutable().Annotations(hidden()).
			Comment("in place of the payer's"))
}

// Edges of InvoiceLine.
func (InvoiceLine) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("invoice", Invoice.Type).Ref("lines").Field("invoice_id").Unique().Required().Immutable(),
		edge.To("price", Price.Type).Field("price_id").Unique().Immutable(),
	}
}

// Indexes of InvoiceLine.
func (InvoiceLine) Indexes() []ent.Index {
	return []ent.Index{index.Fields("organization_id", "invoice_id", "position").Unique()}
}

// CreditNote takes back part of a finalized invoice.
type CreditNote struct{ ent.Schema }

// Annotations of CreditNote.
func (CreditNote) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entgql.Skip(entgql.SkipWhereInput),
		entsql.Checks(map[string]string{"credit_notes_amount": "total_units > 0 AND tax_units >= 0"}),
	}
}

// Mixin of CreditNote.
func (CreditNote) Mixin() []ent.Mixin {
	return []ent.Mixin{tenantMixin{}, through("invoice_id", "invoices"), createdMixin{}}
}

// Fields of CreditNote.
func (CreditNote) Fields() []ent.Field {
	return []ent.Field{
		fixedRef("invoice_id"),
		field.String("number").Immutable(),
		field.String("currency").Immutable().Annotations(hidden()),
		fixedUnits("total_units"),
		fixedUnits("tax_units"),
		fixedUnits("subtotal_units"),
		field.Enum("settlement").Values("DUE", "REFUND", "BALANCE", "OUT_OF_BAND").Immutable(),
		field.String("reason").Immutable(),
		// What it takes back of which line, and of the tax at which rate.
		field.JSON("lines", []CreditedLine{}).Immutable().Annotations(hidden()),
		field.JSON("taxes", []TaxShare{}).Optional().Immutable().Annotations(hidden()),
		field.String("gateway_credit_note_id").Optional().Nillable().Annotations(hidden()).
			Comment("of one by which a gateway asks for less on the invoice that it keeps"),
		field.String("public_token").Immutable().Sensitive(),
	}
}

// Edges of CreditNote.
func (CreditNote) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("invoice", Invoice.Type).Ref("credit_notes").Field("invoice_id").Unique().Required().Immutable(),
		edge.To("refunds", Refund.Type),
	}
}

// Indexes of CreditNote.
func (CreditNote) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("organization_id", "number").Unique(),
		index.Fields("organization_id", "public_token").Unique(),
		index.Fields("organization_id", "invoice_id", "id"),
	}
}
