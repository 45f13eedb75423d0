package migrations_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"purser/migrations"
	"purser/testdb"
)

// uniqueIndexes are the columns of each unique index beside the primary keys,
// in order, with the condition of those that are partial.
var uniqueIndexes = map[string]string{
	dialect.SQLite: `SELECT t.name, i.name, c.name,
			CASE i.partial WHEN 1 THEN (SELECT substr(s.sql, instr(s.sql, ' WHERE ') + 7) FROM sqlite_master s WHERE s.name = i.name) ELSE '' END
		FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
		WHERE t.type = 'table' AND i."unique" AND i.origin <> 'pk' ORDER BY t.name, i.name, c.seqno`,
	dialect.Postgres: `SELECT t.relname, i.relname, a.attname, coalesce(pg_get_expr(x.indpred, x.indrelid), '')
		FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
		CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY k(attnum, ord)
		JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum
		WHERE x.indisunique AND x.indisvalid AND NOT x.indisprimary AND t.relnamespace = current_schema()::regnamespace
		ORDER BY t.relname, i.relname, k.ord`,
}

// businessRules are what the database itself holds to happen once within an
// organization, by table and columns: the last wall where a lock or a look
// before writing fails.
var businessRules = []string{
	"balances payer_id currency",
	"credit_notes number",
	"credit_notes public_token",
	"currencies code",
	"disputes payment_id gateway_dispute_id",
	"email_templates kind locale",
	"gateway_calls gateway_key",
	"gateway_customers provider_id gateway_customer_id",
	"gateway_customers provider_id payer_id where deleted_at is null",
	"gateway_events provider_id gateway_event_id",
	"holds idempotency_key",
	"idempotency_records scope key",
	"invoice_lines invoice_id position",
	"invoices number",
	"invoices payer_id currency usage_month",
	"invoices provider_id gateway_invoice_id",
	"invoices public_token",
	"invoices quote_id",
	"invoices subscription_id period_start",
	"ledger_entries balance_id seq",
	"ledger_entries cause_key",
	"ledger_entries operation idempotency_key",
	"ledger_seals entry_id",
	"ledger_seals seq",
	"memberships company_id developer_id",
	"number_counters name",
	"payers email",
	"payers external_id",
	"payers slug",
	"payment_attempts payment_id number",
	"payment_methods payer_id where is_default",
	"payment_methods provider_id gateway_id",
	"payment_methods provider_id setup_reference",
	"payments order_code",
	"payments provider_id gateway_payment_id",
	"payments provider_id reference_id",
	"payments public_token",
	"providers slug",
	"providers webhook_token",
	"quote_lines quote_id position",
	"quotes accept_token",
	"quotes number",
	"quotes provider_id gateway_quote_id",
	"quotes public_token",
	"refunds payment_id gateway_refund_id",
	"subscription_items subscription_id position",
	"subscriptions quote_id",
	"webhook_deliveries endpoint_id outbox_id attempt",
}

// TestBusinessRulesAreUnique holds that both databases refuse the second row
// of each business rule.
func TestBusinessRulesAreUnique(t *testing.T) {
	t.Parallel()
	for dialectName, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			dir, err := migrations.Dir(dialectName)
			if err != nil {
				t.Fatal(err)
			}
			db := testdb.Migrated(t, dialectName, dir)
			rows, err := db.Read.QueryContext(t.Context(), uniqueIndexes[dialectName])
			if err != nil {
				t.Fatal(err)
			}
			defer rows.Close()
			type index struct {
				columns   []string
				condition string
			}
			found := map[string]index{}
			for rows.Next() {
				var table, name, column, condition string
				if err := rows.Scan(&table, &name, &column, &condition); err != nil {
					t.Fatal(err)
				}
				i := found[table+" "+name]
				found[table+" "+name] = index{append(i.columns, column), condition}
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			unique := map[string]bool{}
			for _, name := range slices.Sorted(maps.Keys(found)) {
				i := found[name]
				table, _, _ := strings.Cut(name, " ")
				at := slices.Index(i.columns, "organization_id")
				last := i.columns[len(i.columns)-1]
				if at < 0 {
					continue // not a tenant's
				}
				rule := table + " " + strings.Join(slices.Delete(i.columns, at, at+1), " ")
				condition := strings.NewReplacer("`", "", `"`, "").Replace(strings.ToLower(strings.Trim(i.condition, "()")))
				if condition != "" && condition != last+" is not null" { // not every row that has a value
					rule += " where " + condition
				}
				unique[rule] = true
			}
			for _, rule := range businessRules {
				if !unique[rule] {
					t.Errorf("nothing keeps %s unique within an organization", rule)
				}
			}
			for rule := range unique {
				if !slices.Contains(businessRules, rule) {
					t.Errorf("%s is unique and stands in no list of the rules", rule)
				}
			}
		})
	}
}
