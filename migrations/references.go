package migrations

// Reference is a link between two tables that ent knows only as a column.
type Reference struct {
	Table    string
	Column   string
	RefTable string // its key is (organization_id, id), or (id) of a table that all organizations share
}

// References lists the links that Composite makes foreign keys beside those of
// ent's edges and beside organization_id. Every column named …_id stands here,
// on an edge, or in NotReferences; a test holds that.
func References() []Reference {
	return []Reference{
		{"balances", "auto_reload_provider_id", "providers"},
		{"balances", "auto_reload_payment_method_id", "payment_methods"},
		{"balances", "auto_reload_payment_id", "payments"},
		{"gateway_calls", "provider_id", "providers"},
		{"gateway_customers", "payer_id", "payers"},
		{"gateway_customers", "provider_id", "providers"},
		{"gateway_events", "provider_id", "providers"},
		{"holds", "balance_id", "balances"},
		{"ledger_entries", "credit_note_id", "credit_notes"},
		{"ledger_entries", "provider_id", "providers"},
		{"ledger_entries", "reverses_id", "ledger_entries"},
		{"ledger_seals", "entry_id", "ledger_entries"},
		{"payer_sessions", "payer_id", "payers"},
		{"payers", "charging_payment_id", "payments"},
		{"providers", "global_provider_id", "global_providers"},
		{"refunds", "hold_id", "holds"},
		{"quotes", "revision_of_id", "quotes"},
		{"webhook_deliveries", "outbox_id", "outboxes"},
	}
}

// Reasons why a column named …_id is no foreign key.
const (
	gatewayNames = "the gateway gave this id, and it names nothing of ours"
	clientNames  = "the client gave this id, and it names nothing of ours"
	callsGo      = "a call is working data that may be cleared away; what it led to stays"
	emptyText    = "empty, not NULL, while nothing is named"
)

// NotReferences lists the columns named …_id that are no links, as
// "table.column", each with the reason.
func NotReferences() map[string]string {
	return map[string]string{
		"credit_notes.gateway_credit_note_id":   gatewayNames,
		"disputes.gateway_dispute_id":           gatewayNames,
		"gateway_calls.gateway_request_id":      gatewayNames,
		"gateway_customers.gateway_customer_id": gatewayNames,
		"gateway_events.call_id":                emptyText,
		"gateway_events.gateway_event_id":       gatewayNames,
		"gateway_events.object_id":              gatewayNames,
		"global_providers.gateway_account_id":   gatewayNames,
		"idempotency_records.call_id":           emptyText,
		"invoices.gateway_invoice_id":           gatewayNames,
		"invoices.pending_call_id":              callsGo,
		"ledger_entries.transaction_id":         "it groups entries; there is no row for the group",
		"organizations.default_provider_id":     "a table that is complete on every machine cannot refer to one that is spread",
		"payers.external_id":                    clientNames,
		"organizations.tax_id":                  "a tax office gave this number",
		"payers.tax_id":                         "a tax office gave this number",
		"payment_attempts.call_id":              callsGo,
		"payment_attempts.gateway_request_id":   gatewayNames,
		"payment_methods.gateway_customer_id":   gatewayNames,
		"payment_methods.gateway_id":            gatewayNames,
		"payments.gateway_payment_id":           gatewayNames,
		"payments.reference_id":                 clientNames,
		"providers.gateway_account_id":          gatewayNames,
		"providers.pending_call_id":             callsGo,
		"providers.webhook_endpoint_id":         gatewayNames,
		"quotes.gateway_quote_id":               gatewayNames,
		"quotes.pending_call_id":                callsGo,
		"refunds.gateway_refund_id":             gatewayNames,
	}
}
