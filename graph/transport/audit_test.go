package transport

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// auditsWanted is how many audits graphql-http 1.23.1 has.
const auditsWanted = 61

// TestGraphQLOverHTTPAudits runs the audits of the npm package graphql-http,
// the reference of the specification GraphQL over HTTP, and demands all.
func TestGraphQLOverHTTPAudits(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join("audit", "node_modules", "graphql-http", "package.json")); err != nil {
		install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts")
		install.Dir = "audit"
		if out, err := install.CombinedOutput(); err != nil {
			t.Fatalf("install the audits (node and npm are needed): %v\n%s", err, out)
		}
	}
	b := setup(t, nil, nil)
	audit := exec.CommandContext(t.Context(), "node", "audit.mjs")
	audit.Dir = "audit"
	audit.Env = append(os.Environ(), "AUDIT_URL="+b.url, "AUDIT_TOKEN="+tokenA)
	out, err := audit.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("run the audits: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("run the audits (node is needed): %v", err)
	}
	var results []struct{ ID, Name, Status, Reason string }
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("read the results: %v\n%s", err, out)
	}
	passed := 0
	for _, r := range results {
		if r.Status == "ok" {
			passed++
		} else {
			t.Errorf("audit %s %s: %s: %s", r.ID, r.Status, r.Name, r.Reason)
		}
	}
	if passed != auditsWanted || len(results) != auditsWanted {
		t.Errorf("passed %d of %d audits, want %d of %d", passed, len(results), auditsWanted, auditsWanted)
	}
}
