package testdb

import (
	"encoding/json"
	"strings"
	"testing"

	"purser/database"
)

// Buffers runs a statement that reads, on a PostgreSQL database, and returns
// how many pages it has touched. Unlike time that is the same on every machine.
func Buffers(t testing.TB, db *database.DB, s Statement) int {
	t.Helper()
	var text []byte
	if err := db.Read.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+s.Query, s.values()...).Scan(&text); err != nil {
		t.Fatalf("explain %s: %v", s, err)
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
			Temp int `json:"Temp Written Blocks"`
		}
	}
	if err := json.Unmarshal(text, &plans); err != nil || len(plans) != 1 {
		t.Fatalf("explain %s: %d plans, %v", s, len(plans), err)
	}
	return plans[0].Plan.Hit + plans[0].Plan.Read + plans[0].Plan.Temp
}

// Plan returns the steps by which SQLite runs a statement.
func Plan(t testing.TB, db *database.DB, s Statement) []string {
	t.Helper()
	rows, err := db.Read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+s.Query, s.values()...)
	if err != nil {
		t.Fatalf("explain %s: %v", s, err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil || len(steps) == 0 {
		t.Fatalf("explain %s: %d steps, %v", s, len(steps), err)
	}
	return steps
}

// Reads reports whether a statement only reads and can be explained by running
// it once more.
func (s Statement) Reads() bool {
	verb, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s.Query)), " ")
	return (verb == "select" || verb == "with") && !strings.Contains(strings.ToLower(s.Query), " for update")
}

func (s Statement) values() []any {
	values := make([]any, len(s.Args))
	for i, arg := range s.Args {
		values[i] = arg.Value
	}
	return values
}
