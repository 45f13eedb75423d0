package migrations_test

import (
	"context"
	"crypto/rand"
	"os"
	"regexp"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

// TestRights gives a role what README.md grants the server, and holds that the
// role can work and cannot rewrite history.
func TestRights(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("README.md grants nothing")
	}
	db, _ := seeded(t, dialect.Postgres)
	role := "purser_app_" + strings.ToLower(rand.Text()[:12])
	grants := strings.ReplaceAll(string(block[1]), "purser_app", role)
	conn, err := db.Write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Roles belong to the server and would outlive the test's database.
		for _, statement := range []string{"RESET ROLE", "DROP OWNED BY " + role, "DROP ROLE " + role} {
			if _, err := conn.ExecContext(context.Background(), statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	run := func(statement string) error {
		_, err := conn.ExecContext(t.Context(), statement)
		return err
	}
	must := func(statement string) {
		t.Helper()
		if err := run(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	must("CREATE ROLE " + role)
	for _, grant := range strings.Split(strings.TrimSpace(grants), "\n") {
		must(grant)
	}
	must("SET ROLE " + role)
	for statement, refused := range map[string]bool{
		"SELECT count(*) FROM purser_revisions":     false,
		"SELECT count(*) FROM ledger_entries":       false,
		"UPDATE balances SET version = version + 1": false,
		"DELETE FROM idempotency_records":           false,
		"INSERT INTO audit_events (organization_id, id, created_at, actor, action, subject, details) VALUES ('org_acme', 'aud_1', now(), 'a', 'b', 'c', '{}')": false,
		"UPDATE ledger_entries SET actor = 'me'":  true,
		"DELETE FROM ledger_entries":              true,
		"TRUNCATE ledger_entries":                 true,
		"DELETE FROM ledger_seals":                true,
		"UPDATE audit_events SET actor = 'me'":    true,
		"DELETE FROM purser_revisions":            true,
		"ALTER TABLE payers ADD COLUMN mine text": true,
		"CREATE TABLE mine (id text)":             true,
	} {
		err := run(statement)
		if refused != (pq.As(err, pqerror.InsufficientPrivilege) != nil) || !refused && err != nil {
			t.Errorf("%s: got %v, refused: want %t", statement, err, refused)
		}
	}
}
