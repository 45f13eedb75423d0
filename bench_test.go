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
			args := []string{"bench", "--length", "20ms", "--balances", "20", "--pgbench", "off"}
			stdout, stderr, err := program(t, env, args...)
			if err != nil {
				t.Fatalf("%v\n%s%s", err, stdout, stderr)
			}
			for _, c := range benchCases(1) {
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

// Entries that are there before slow down what is recorded; the bench says by
// how much.
func TestBenchOfAFullLedger(t *testing.T) {
	t.Parallel()
	env := []string{"PURSER_DATA=" + t.TempDir(), "DATABASE_URL=" + testdb.PostgresURL(t)}
	stdout, stderr, err := program(t, env, "bench", "--length", "20ms", "--balances", "20", "--entries", "1000")
	if err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	for _, line := range []string{"F2 random, 256 in flight ", "F2 hot, 64 in flight "} {
		if !strings.Contains(stdout, line) {
			t.Errorf("%q is missing in\n%s", line, stdout)
		}
	}
	if !strings.Contains(stderr, "filled 1000 of 1000") {
		t.Errorf("progress: %q", stderr)
	}
}
