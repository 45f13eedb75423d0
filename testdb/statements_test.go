package testdb_test

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"

	"purser/auth"
	"purser/testdb"
)

func named(values ...driver.Value) []driver.NamedValue {
	args := make([]driver.NamedValue, len(values))
	for i, v := range values {
		args[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return args
}

func TestCheckStatementAccepts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query string
		args  []driver.NamedValue
	}{
		"one table":            {`SELECT * FROM "balances" WHERE "balances"."id" = $1 AND "balances"."organization_id" = $2`, named("b", "o")},
		"unqualified":          {"SELECT * FROM `balances` WHERE `organization_id` = ? AND `id` IN (?, ?)", named("o", "a", "b")},
		"parenthesized":        {`SELECT * FROM "balances" WHERE ("organization_id" = $1 AND ("id" = $2 OR "id" = $3)) AND "currency" = $4`, named("o", "a", "b", "EUR")},
		"turned round":         {`SELECT 1 FROM balances AS b WHERE $1 = b.organization_id`, named("o")},
		"cast":                 {`SELECT 1 FROM balances WHERE organization_id = $1::text`, named("o")},
		"other table":          {`SELECT count(*) FROM organizations WHERE slug = $1`, named("demo")},
		"join":                 {`SELECT * FROM payers p JOIN balances b ON b.payer_id = p.id AND b.organization_id = $1 WHERE p.organization_id = $1`, named("o")},
		"join with reference":  {`SELECT * FROM payers p LEFT JOIN organizations o ON o.id = p.organization_id WHERE p.organization_id = $1`, named("o")},
		"subquery":             {`SELECT * FROM payers WHERE organization_id = $1 AND EXISTS (SELECT 1 FROM balances WHERE organization_id = $2 AND balances.payer_id = payers.id)`, named("o", "o")},
		"window in WITH":       {`WITH "src" AS (SELECT * FROM "invoices" WHERE "organization_id" = $1), "l" AS (SELECT *, (ROW_NUMBER() OVER (PARTITION BY "payer_id" ORDER BY "id")) AS "n" FROM "src") SELECT * FROM "l" WHERE "n" <= $2`, named("o", 3)},
		"union":                {`SELECT id FROM quotes WHERE organization_id = $1 UNION ALL SELECT id FROM invoices WHERE organization_id = $1`, named("o")},
		"distinct from":        {`SELECT id FROM quotes WHERE organization_id = $1 AND number IS DISTINCT FROM $2 ORDER BY id`, named("o", "n")},
		"update":               {"UPDATE `balances` SET `amount_units` = COALESCE(`balances`.`amount_units`, 0) + ? WHERE `id` = ? AND `organization_id` = ?", named(5, "b", "o")},
		"update from values":   {`UPDATE balances SET usage_units = v.column3 FROM (VALUES ($1, $2, $3)) AS v WHERE balances.id = v.column2 AND balances.organization_id = $1`, named("o", "b", 1)},
		"delete":               {`DELETE FROM idempotency_records WHERE organization_id = $1 AND created_at < $2`, named("o", "t")},
		"insert":               {`INSERT INTO "payers" ("name", "organization_id", "id") VALUES ($1, $2, $3), ($4, $2, $5) RETURNING "id"`, named("a", "o", "1", "b", "2")},
		"insert or do nothing": {"INSERT INTO `payers` (`organization_id`, `id`) VALUES (?, ?), (?, ?) ON CONFLICT (`organization_id`, `id`) DO NOTHING", named("o", "1", "o", "2")},
		"insert or update":     {`INSERT INTO number_counters (organization_id, id, name, value) VALUES ($1, $2, $3, 1) ON CONFLICT (organization_id, name) DO UPDATE SET organization_id = number_counters.organization_id, value = number_counters.value + 1 RETURNING value`, named("o", "1", "n")},
		"insert a query":       {`INSERT INTO ledger_seals (organization_id, id) SELECT organization_id, id FROM ledger_entries WHERE organization_id = $1 ON CONFLICT DO NOTHING`, named("o")},
		"lock":                 {`SELECT * FROM balances WHERE organization_id = $1 AND id = $2 FOR UPDATE SKIP LOCKED`, named("o", "b")},
		"OR elsewhere":         {`SELECT * FROM holds WHERE organization_id = $1 AND (status = 'OPEN' OR expires_at < $2)`, named("o", "t")},
		"no rows":              {`CREATE TABLE balances (id text)`, nil},
		"names in text":        {`SELECT 'FROM balances -- ' || name /* FROM holds */ FROM organizations -- FROM refunds`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := testdb.CheckStatement(c.query, c.args); err != nil {
				t.Errorf("%s: %v", c.query, err)
			}
		})
	}
}

func TestCheckStatementRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query string
		args  []driver.NamedValue
		want  string
	}{
		"no organization":            {`SELECT * FROM "balances" WHERE "id" = $1`, named("b"), "table balances is not held"},
		"all rows":                   {`SELECT count(*) FROM payers`, nil, "table payers is not held"},
		"join on id":                 {`SELECT * FROM payers p JOIN balances b ON b.payer_id = p.id WHERE p.organization_id = $1`, named("o"), "table balances is not held"},
		"unqualified in a join":      {`SELECT * FROM payers p JOIN balances b ON b.payer_id = p.id WHERE organization_id = $1`, named("o"), "table balances is not held"},
		"by way of another table":    {`SELECT * FROM payers p JOIN balances b ON b.organization_id = p.organization_id WHERE p.organization_id = $1`, named("o"), "table balances is not held"},
		"EXISTS":                     {`SELECT * FROM payers WHERE organization_id = $1 AND EXISTS (SELECT 1 FROM balances WHERE balances.payer_id = payers.id)`, named("o"), "table balances is not held"},
		"lazy many-to-one":           {"SELECT `payers`.* FROM `payers` JOIN (SELECT `payer_id` FROM `balances` WHERE `id` = ?) AS `t1` ON `payers`.`id` = `t1`.`payer_id` WHERE `payers`.`organization_id` = ?", named("b", "o"), "table balances is not held"},
		"subquery in the list":       {`SELECT (SELECT count(*) FROM holds), 1 FROM payers WHERE organization_id = $1`, named("o"), "table holds is not held"},
		"second half of a union":     {`SELECT id FROM quotes WHERE organization_id = $1 UNION SELECT id FROM invoices`, named("o"), "table invoices is not held"},
		"WITH":                       {`WITH q AS (SELECT * FROM quotes) SELECT * FROM q`, nil, "table quotes is not held"},
		"OR":                         {`SELECT * FROM quotes WHERE organization_id = $1 OR public_token = $2`, named("o", "t"), "stands beside OR"},
		"OR inside":                  {`SELECT * FROM quotes WHERE id = $2 AND (organization_id = $1 OR organization_id IS NULL)`, named("o", "t"), "stands beside OR"},
		"NOT":                        {`SELECT * FROM quotes WHERE NOT (organization_id = $1)`, named("o"), "table quotes is not held"},
		"IN":                         {`SELECT * FROM quotes WHERE organization_id IN ($1, $2)`, named("o", "p"), "table quotes is not held"},
		"function":                   {`SELECT * FROM quotes WHERE lower(organization_id) = $1`, named("o"), "table quotes is not held"},
		"literal":                    {`SELECT * FROM quotes WHERE organization_id = 'o'`, nil, "table quotes is not held"},
		"two organizations":          {`SELECT id FROM quotes WHERE organization_id = $1 UNION SELECT id FROM invoices WHERE organization_id = $2`, named("o", "p"), "organizations o and p"},
		"NULL":                       {`SELECT id FROM quotes WHERE organization_id = $1`, named(nil), "compared with NULL"},
		"missing argument":           {`SELECT id FROM quotes WHERE organization_id = $2`, named("o"), "argument 2 of 1"},
		"update":                     {`UPDATE balances SET version = version + 1 WHERE id = $1`, named("b"), "table balances is not held"},
		"update from":                {`UPDATE balances SET version = 1 FROM payers WHERE balances.organization_id = $1 AND payers.id = balances.payer_id`, named("o"), "table payers is not held"},
		"move":                       {`UPDATE balances SET organization_id = $1 WHERE organization_id = $2`, named("p", "o"), "set to something else"},
		"delete":                     {`DELETE FROM holds WHERE id = $1`, named("h"), "table holds is not held"},
		"delete using":               {`DELETE FROM holds USING balances WHERE holds.organization_id = $1`, named("o"), "table balances is not held"},
		"insert for two":             {"INSERT INTO `payers` (`id`, `organization_id`) VALUES (?, ?), (?, ?)", named("1", "o", "2", "p"), "organizations o and p"},
		"insert without":             {`INSERT INTO payers (id) VALUES ($1)`, named("1"), "does not name organization_id"},
		"insert by position":         {`INSERT INTO payers VALUES ($1, $2)`, named("o", "1"), "does not name organization_id"},
		"insert a literal":           {`INSERT INTO payers (id, organization_id) VALUES ($1, 'o')`, named("1"), "otherwise than by a parameter"},
		"insert too few":             {`INSERT INTO payers (id, organization_id) VALUES ($1)`, named("1"), "does not reach organization_id"},
		"insert a query":             {`INSERT INTO ledger_seals (organization_id, id) SELECT organization_id, id FROM ledger_entries`, nil, "table ledger_entries is not held"},
		"insert or move":             {`INSERT INTO payers (organization_id, id) VALUES ($1, $2) ON CONFLICT (organization_id, id) DO UPDATE SET organization_id = excluded.organization_id`, named("o", "1"), "set to something else"},
		"merge":                      {`MERGE INTO payers USING x ON true WHEN MATCHED THEN DELETE`, nil, "MERGE is not for"},
		"truncate":                   {`TRUNCATE payers`, nil, "TRUNCATE is not for"},
		"listen":                     {`LISTEN wake`, nil, "LISTEN is not for"},
		"writing in WITH":            {`WITH d AS (DELETE FROM holds WHERE organization_id = $1 RETURNING id) SELECT * FROM d`, named("o"), "DELETE in WITH"},
		"advisory lock":              {`SELECT pg_advisory_xact_lock($1)`, named(1), "locks on one machine"},
		"clock":                      {`UPDATE holds SET expires_at = clock_timestamp() WHERE organization_id = $1`, named("o"), "clock_timestamp in a writing"},
		"chance, nested":             {`INSERT INTO payers (organization_id, id) VALUES ($1, lower(gen_random_uuid()))`, named("o"), "gen_random_uuid in a writing"},
		"second of two statements":   {`SELECT 1; SELECT * FROM holds`, nil, "table holds is not held"},
		"comments hide no condition": {`SELECT * FROM holds -- WHERE organization_id = $1`, named("o"), "table holds is not held"},
		"open parenthesis":           {`SELECT (1`, nil, "not closed"},
		"open quote":                 {`SELECT 'a''b`, nil, "not closed"},
		"closing too much":           {`SELECT 1)`, nil, "was not opened"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := testdb.CheckStatement(c.query, c.args)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want an error with %q", c.query, err, c.want)
			}
		})
	}
}

func TestRecorder(t *testing.T) {
	t.Parallel()
	recorder := testdb.NewRecorder(t, "due work")
	db := testdb.SQLite(t, recorder.Option()).Write
	if _, err := db.Exec("CREATE TABLE holds (organization_id text, id text)"); err != nil {
		t.Fatal(err)
	}
	count := func(part, query string, args ...any) {
		t.Helper()
		var n int
		if err := db.QueryRowContext(auth.AllTenants(t.Context(), part), query, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	recorder.Reset()
	count("due work", "SELECT count(*) FROM holds")
	count("due work", "SELECT count(*) FROM holds WHERE organization_id = ? OR id = ?", "o", "h")
	count("anybody", "SELECT count(*) FROM holds WHERE organization_id = ?", "o")
	statements := recorder.Statements()
	if len(statements) != 3 || !statements[0].AllTenants || statements[2].AllTenants || statements[2].Args[0].Value != "o" {
		t.Errorf("recorded %v", statements)
	}
	recorder.Check(t)

	count("anybody", "SELECT count(*) FROM holds")
	count("anybody", "SELECT count(*) FROM holds")
	fake := &failures{TB: t}
	recorder.Check(fake)
	if len(fake.messages) != 1 || !strings.Contains(fake.messages[0], "table holds is not held") {
		t.Errorf("a statement over all organizations by a part that may not make one: %q", fake.messages)
	}
}

// failures is a test that keeps its failures to itself.
type failures struct {
	testing.TB
	messages []string
}

func (f *failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.messages = append(f.messages, fmt.Sprintf(format, args...))
}
