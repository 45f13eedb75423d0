package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"purser/auth"
	worldpaysandbox "purser/sandbox/worldpay"
	"purser/testdb"
)

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}} {
		stdout, stderr, err := program(t, nil, args...)
		if err != nil || stderr != "" {
			t.Errorf("%v: %v, %s", args, err, stderr)
		}
		for _, c := range commands() {
			if !strings.Contains(stdout, "  "+c.name+" ") {
				t.Errorf("%v does not list %s", args, c.name)
			}
		}
		if !strings.Contains(stdout, "PURSER_ADDR") {
			t.Errorf("%v does not list the settings", args)
		}
	}
	for _, c := range commands() {
		words := strings.Fields(c.name)
		for _, args := range [][]string{append(words, "--help"), append([]string{"help"}, words...)} {
			stdout, _, err := program(t, nil, args...)
			if err != nil || !strings.HasPrefix(stdout, "Usage: purser "+c.name) || !strings.Contains(stdout, c.details) {
				t.Errorf("%v: %v\n%s", args, err, stdout)
			}
		}
	}
}

func TestWhatIsMistyped(t *testing.T) {
	t.Parallel()
	data := "PURSER_DATA=" + t.TempDir()
	for _, tt := range []struct{ args, want string }{
		{"srve", `did you mean "serve"`},
		{"verfy", `did you mean "verify"`},
		{"frobnicate", "`purser --help` lists them"},
		{"token", `did you mean "token create"`},
		{"token list", `did you mean "token create"`},
		{"--adr :1", "did you mean --addr"},
		{"serve --publicurl=x", "did you mean --public-url"},
		{"serve --colour=red", "`purser serve --help` lists them"},
		{"serve now", `unexpected argument "now"`},
		{"backup", "PATH is missing"},
		{"backup a b", `unexpected argument "b"`},
		{"token create --nam x", "did you mean --name"},
		{"token create --organization demo", "--name is missing"},
		{"token create --organization demo --name x", "--scopes is missing"},
		{"token create --organization demo --name x --scopes BILING", `"BILING" is none of`},
		{"token create --organization demo --name x --scopes BILLING --permission ALL", `"ALL" is neither`},
		{"token create --organization demo --name x --scopes BILLING --expires soon", `"soon" is neither`},
		{"token create --name x --scopes BILLING", "--organization is missing"},
		{"token create --organization demo --name x --scopes BILLING", "there is no database at"},
		{"verify", "there is no database at"},
		{"backup x", "there is no database at"},
		{"serve --addr=nowhere", "PURSER_ADDR"},
	} {
		_, _, err := program(t, []string{data}, strings.Fields(tt.args)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("purser %s: %v, want %q", tt.args, err, tt.want)
		}
	}
	if entries, err := os.ReadDir(strings.TrimPrefix(data, "PURSER_DATA=")); err != nil || len(entries) > 0 {
		t.Errorf("mistakes have left %v, %v", entries, err)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	stdout, _, err := program(t, nil, "version")
	if err != nil || !regexp.MustCompile(`^purser \S+ \(go\S+, \S+/\S+\)\n$`).MatchString(stdout) {
		t.Errorf("%q, %v", stdout, err)
	}
}

func TestSchemaPrint(t *testing.T) {
	t.Parallel()
	stdout, _, err := program(t, nil, "schema", "print")
	if err != nil {
		t.Fatal(err)
	}
	schema, invalid := gqlparser.LoadSchema(&ast.Source{Input: stdout})
	if invalid != nil {
		t.Fatalf("what is printed is no schema: %v", invalid)
	}
	for _, name := range []string{"Quote", "Invoice", "Balance", "Stream"} {
		if schema.Types[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestParseEnd(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90d":                       now.AddDate(0, 0, 90),
		"2027-01-31":                time.Date(2027, time.January, 31, 0, 0, 0, 0, time.UTC),
		"2027-01-31T12:00:00+02:00": time.Date(2027, time.January, 31, 10, 0, 0, 0, time.UTC),
	} {
		if got, err := parseEnd(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%s is %s, %v", text, got, err)
		}
	}
	for _, text := range []string{"0d", "-1d", "d", "1.5d", "9999999d", "31.01.2027", "2027-02-30"} {
		if got, err := parseEnd(text, now); err == nil {
			t.Errorf("%s is %s", text, got)
		}
	}
}

// TestCommandsBesideTheServer runs the commands that a running server allows.
func TestCommandsBesideTheServer(t *testing.T) {
	eachServer(t, func(t *testing.T, o serverOptions) {
		s := startServer(t, o)
		env := []string{"PURSER_DATA=" + s.Data, "DATABASE_URL=" + o.DatabaseURL}

		stdout, _, err := program(t, env, "token", "create", "--organization", "demo", "--name", "Report", "--scopes", "billing", "--expires", "1d")
		if err != nil {
			t.Fatal(err)
		}
		token, err := auth.ParseToken(strings.TrimSpace(stdout))
		if err != nil {
			t.Fatalf("%q: %v", stdout, err)
		}
		reader := *s
		reader.Token = token.Reveal()
		var viewer struct {
			Viewer struct {
				AccessToken struct {
					Name, Permission string
					Scopes           []string
					ExpiresAt        *time.Time
				}
			}
		}
		reader.Query(`{ viewer { accessToken { name permission scopes expiresAt } } }`, nil, &viewer)
		if got := viewer.Viewer.AccessToken; got.Name != "Report" || got.Permission != "READ" || strings.Join(got.Scopes, " ") != "BILLING" || got.ExpiresAt == nil {
			t.Errorf("the token is %+v", got)
		}
		if _, _, err := program(t, env, "token", "create", "--organization", "nobody", "--name", "x", "--scopes", "billing"); err == nil || !strings.Contains(err.Error(), `no organization "nobody"`) {
			t.Errorf("a token of nobody: %v", err)
		}

		if stdout, _, err := program(t, env, "migrate"); err != nil || stdout != "up to date\n" {
			t.Errorf("migrate: %q, %v", stdout, err)
		}

		path := filepath.Join(t.TempDir(), "copy", databaseFile)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		_, _, err = program(t, env, "backup", path)
		if o.DatabaseURL != "" {
			if err == nil || !strings.Contains(err.Error(), "pg_dump") {
				t.Errorf("backup of PostgreSQL: %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if stdout, _, err := program(t, []string{"PURSER_DATA=" + filepath.Dir(path)}, "verify"); err != nil || !strings.Contains(stdout, "1 organization fits") {
			t.Errorf("verify of the copy: %q, %v", stdout, err)
		}
		if _, _, err := program(t, env, "backup", path); err == nil {
			t.Error("a backup replaces a file")
		}
	})
}

func TestVerifyNamesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	s.Stop()
	db := testdb.Open(t, "sqlite:"+filepath.Join(s.Data, databaseFile))
	if _, err := db.Write.ExecContext(t.Context(), "UPDATE balances SET amount_units = amount_units + 1 WHERE currency = 'PTS'"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write.ExecContext(t.Context(), "UPDATE gateway_calls SET state = 'REVIEW' WHERE id = (SELECT min(id) FROM gateway_calls)"); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Write.ExecContext(t.Context(), "UPDATE gateway_events SET status = 'MISMATCHED', error = 'not captured' WHERE id = (SELECT min(id) FROM gateway_events)"); err != nil {
		t.Fatal(err)
	}
	stdout, _, err := program(t, []string{"PURSER_DATA=" + s.Data}, "verify")
	if !strings.Contains(stdout, " needs review: ") {
		t.Errorf("a call that needs review is not named: %s", stdout)
	}
	if !strings.Contains(stdout, " contradicts what is known here: not captured\n") {
		t.Errorf("an event that contradicts is not named: %s", stdout)
	}
	if err == nil || !strings.Contains(err.Error(), "balances bal_") {
		t.Errorf("a wrong balance is verified as %v", err)
	}
}

var sandboxReady = regexp.MustCompile(`(?m)^The Stripe sandbox is ready at (\S+)$`)

// TestSandboxAlone starts the sandbox by itself, and a server that uses it.
func TestSandboxAlone(t *testing.T) {
	t.Parallel()
	alone := launchServer(t, serverOptions{Args: []string{"sandbox"}})
	ctx, cancel := context.WithTimeout(t.Context(), startMax)
	defer cancel()
	var address string
	for address == "" {
		text, changed := alone.output.read()
		if found := sandboxReady.FindStringSubmatch(text); found != nil {
			address = found[1]
			break
		}
		select {
		case <-changed:
		case <-alone.ended:
			t.Fatalf("the sandbox has ended: %v", alone.err)
		case <-ctx.Done():
			t.Fatalf("the sandbox is not ready: %s", text)
		}
	}
	s := startServer(t, serverOptions{Env: []string{"PURSER_SANDBOX_URL=" + address}})
	var data struct {
		Invoices struct {
			Edges []struct {
				Node struct{ Status, HostedURL string }
			}
		}
	}
	s.Query(`{ invoices { edges { node { status hostedUrl } } } }`, nil, &data)
	statuses := map[string]bool{}
	for _, e := range data.Invoices.Edges {
		statuses[e.Node.Status] = true
		if e.Node.Status == "OPEN" && !strings.HasPrefix(e.Node.HostedURL, address+"/") {
			t.Errorf("the page of an invoice is at %s, not at the sandbox", e.Node.HostedURL)
		}
	}
	if !statuses["OPEN"] || !statuses["PAID"] {
		t.Errorf("the invoices are %+v", data.Invoices.Edges)
	}
	if status, _ := s.get("/sandbox/stripe/v1/account"); status != http.StatusNotFound {
		t.Errorf("the server serves a sandbox of its own: %d", status)
	}
	if page := askWorldpay(t, address+pathWorldpay); !strings.HasPrefix(page, address+pathWorldpay+"/pages/hpp?") {
		t.Errorf("the page of a Worldpay order is at %s", page)
	}
	if status := worldpayStatus(t, s, http.MethodPost, worldpaysandbox.ServicePath); status != http.StatusNotFound {
		t.Errorf("the server serves a Worldpay sandbox of its own: %d", status)
	}
	s.Stop()
	alone.Stop()
}

// In production only serving needs the master key: the jobs that back up and
// verify are not to have it.
func TestOnlyServingNeedsTheMasterKey(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	s.Stop()
	env := []string{"PURSER_DATA=" + s.Data, "PURSER_PROFILE=production"}
	for _, args := range [][]string{
		{"version"},
		{"schema", "print"},
		{"migrate"},
		{"verify"},
		{"backup", t.TempDir() + "/copy.db"},
		{"token", "create", "--organization", "demo", "--name", "x", "--scopes", "BILLING"},
	} {
		if _, _, err := program(t, env, args...); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	if _, _, err := program(t, env, "serve"); err == nil || !strings.Contains(err.Error(), "PURSER_MASTER_KEY is required in production") {
		t.Errorf("serve: %v", err)
	}
}
