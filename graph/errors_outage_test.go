package graph

import (
	"testing"

	"entgo.io/ent/dialect"
)

// TestOutageIsUnavailable answers UNAVAILABLE, not INTERNAL, when the database
// does not get to what it is asked.
func TestOutageIsUnavailable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dialect.Postgres)
	f := w.fill(t, "alpha")
	tx, err := w.db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.Exec("LOCK TABLE payers IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	a := w.ask(t, f.token, `{ developers(first: 1) { edges { node { id } } } }`, nil)
	if a.code() != "UNAVAILABLE" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}
