package main

import (
	"strings"
	"testing"

	"purser/testdb"
)

// The bench runs each of its cases over HTTP, on a file of its own or on the
// database that it is given, which has to be empty.
func TestBench(t *testing.T) {
	t.Parallel()
	postgres := testdb.PostgresURL(t)
	for name, env := range map[string][]string{"sqlite": nil, "postgres": {"DATABASE_URL=" + postgres}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := append([]string{"PURSER_DATA=" + t.TempDir()}, env...)
			args := []string{"bench", "--length", "20ms", "--payers", "30", "--pgbench", "off"}
			stdout, stderr, err := program(t, env, args...)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, stdout, stderr)
			}
			for _, c := range benchCases(30) {
				if !strings.Contains(stdout, "\n"+c.name+" ") {
					t.Errorf("%s is missing in\n%s", c.name, stdout)
				}
			}
			if name == "sqlite" {
				return
			}
			if _, _, err := program(t, env, args...); err == nil || !strings.Contains(err.Error(), "not empty") {
				t.Errorf("a database that is not empty: %v", err)
			}
			if stdout, _, err := program(t, env, "verify"); err != nil {
				t.Errorf("what was recorded does not fit: %v\n%s", err, stdout)
			}
		})
	}
}
