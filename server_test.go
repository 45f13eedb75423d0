package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"purser/config"
	worldpaysandbox "purser/sandbox/worldpay"
	"purser/testdb"
	"purser/web"
)

// eachServer runs a test over SQLite and over PostgreSQL.
func eachServer(t *testing.T, test func(t *testing.T, o serverOptions)) {
	t.Helper()
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, serverOptions{})
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, serverOptions{DatabaseURL: testdb.PostgresURL(t)})
	})
}

// get reads a page of the server.
func (s *testServer) get(path string) (status int, body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestFirstStartShowsTheDemo(t *testing.T) {
	eachServer(t, func(t *testing.T, o serverOptions) {
		s := startServer(t, o)

		tabs, err := web.Tabs()
		if err != nil {
			t.Fatal(err)
		}
		first := tabs[0]
		var data json.RawMessage
		s.Query(first.Query, nil, &data)
		captures, err := first.Captures()
		if err != nil || len(captures) == 0 {
			t.Fatalf("captures of the first tab: %v, %v", captures, err)
		}
		answer, err := json.Marshal(map[string]json.RawMessage{"data": data})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range captures {
			if _, ok := c.Find(answer); !ok {
				t.Errorf("the first query does not show %s: %s", c.Name, data)
			}
		}
		var ada struct {
			Payer struct {
				Name     string
				Balances []struct {
					Remaining struct{ Amount, Currency string }
				}
			}
		}
		s.Query(`{ payer(by: {developerEmail: "ada@example.com"}) { name balances { remaining { amount currency } } } }`, nil, &ada)
		remaining := map[string]string{}
		for _, b := range ada.Payer.Balances {
			remaining[b.Remaining.Currency] = b.Remaining.Amount
		}
		if ada.Payer.Name != "Ada Lovelace" || remaining["USD"] != "301.50" {
			t.Errorf("Ada is %+v, want 301.50 USD remaining", ada.Payer)
		}

		for path, want := range map[string]string{
			"/healthz": "ok", "/readyz": "ready", "/": "<html", "/metrics": "purser_gateway_calls_open 0",
		} {
			if status, body := s.get(path); status != http.StatusOK || !strings.Contains(strings.ToLower(body), want) {
				t.Errorf("GET %s answers %d, without %q: %.300s", path, status, want, body)
			}
		}

		env := []string{"PURSER_DATA=" + s.Data, "DATABASE_URL=" + o.DatabaseURL}
		stdout, _, err := program(t, env, "verify")
		if err != nil || !strings.Contains(stdout, "1 organization fits") {
			t.Errorf("verify beside the server: %v\n%s", err, stdout)
		}
		s.Stop()
		if status := s.refused(); status != nil {
			t.Errorf("the server still answers after it has stopped: %v", status)
		}

		// A restart shows the same demo under the same token, and makes
		// nothing twice.
		again := startServer(t, serverOptions{DatabaseURL: o.DatabaseURL, Data: s.Data})
		if again.Token != s.Token {
			t.Error("the restart has another token")
		}
		if strings.Contains(again.Output(), "preparing demo data") {
			t.Error("the restart makes the demo again")
		}
		var counts struct {
			Developers, Companies, Products, Quotes, Invoices, Payments struct{ TotalCount int }
		}
		again.Query(`{ developers { totalCount } companies { totalCount } products { totalCount } quotes { totalCount } invoices { totalCount } payments { totalCount } }`, nil, &counts)
		if counts.Developers.TotalCount != 2 || counts.Companies.TotalCount != 1 || counts.Products.TotalCount != 4 ||
			counts.Quotes.TotalCount != 3 || counts.Invoices.TotalCount != 3 || counts.Payments.TotalCount != 1 {
			t.Errorf("after the restart there are %+v", counts)
		}
	})
}

// refused returns nil when nobody listens at the server's address any more.
func (s *testServer) refused() *http.Response {
	response, err := http.Get(s.URL + "/healthz")
	if err != nil {
		return nil
	}
	response.Body.Close()
	return response
}

const testBootstrap = "pur_demo_boot_0123456789abcdef0123456789abcdef"

func TestBootstrapTokenIsTaken(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{Env: []string{"PURSER_BOOTSTRAP_TOKEN=" + testBootstrap}})
	var viewer struct {
		Viewer struct {
			AccessToken struct {
				Scopes     []string
				Permission string
			}
		}
	}
	s.Query(`{ viewer { accessToken { scopes permission } } }`, nil, &viewer)
	if got := viewer.Viewer.AccessToken; strings.Join(got.Scopes, " ") != "BILLING ACCOUNT ADMIN" || got.Permission != "READ_WRITE" {
		t.Errorf("the token has %+v", got)
	}
	if _, err := os.Stat(filepath.Join(s.Data, tokenFile)); !os.IsNotExist(err) {
		t.Errorf("a token that was set is kept in a file: %v", err)
	}
	s.Stop()

	// Another value is another token beside it.
	other := "pur_demo_second_abcdef0123456789abcdef0123456789"
	again := startServer(t, serverOptions{Data: s.Data, Env: []string{"PURSER_BOOTSTRAP_TOKEN=" + other}})
	again.Query(`{ viewer { accessToken { scopes permission } } }`, nil, &viewer)
}

func TestTheKeptTokenIsPrivate(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	for _, name := range []string{tokenFile, databaseFile, sandboxFile, worldpayFile, "master.key"} {
		info, err := os.Stat(filepath.Join(s.Data, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %s", name, info.Mode())
		}
	}
}

func TestProductionSaysNothingSecret(t *testing.T) {
	t.Parallel()
	env := []string{
		"PURSER_PROFILE=production", "PURSER_MASTER_KEY=" + strings.Repeat("0123456789abcdef", 4),
		"PURSER_SYSTEM_TOKEN=pur_system_op_0123456789abcdef0123456789abcdef",
	}
	s := startServer(t, serverOptions{Env: env})
	s.Token = "pur_system_op_0123456789abcdef0123456789abcdef"
	var data struct {
		Organizations struct{ TotalCount int }
	}
	s.Query(`{ organizations { totalCount } }`, nil, &data)
	if data.Organizations.TotalCount != 0 {
		t.Errorf("production has made %d organizations", data.Organizations.TotalCount)
	}
	if _, body := s.get("/playground/config.json"); strings.Contains(body, "pur_") {
		t.Errorf("the playground shows a token: %s", body)
	}
	if status, _ := s.get("/sandbox/stripe/v1/account"); status != http.StatusNotFound {
		t.Errorf("production serves a sandbox: %d", status)
	}
	s.Stop()
	if !strings.Contains(s.Output(), `"msg":"settings"`) || !strings.Contains(s.Output(), `"profile":"production"`) {
		t.Errorf("the log does not begin with the settings:\n%s", s.Output())
	}
	for _, secret := range []string{"0123456789abcdef", "Token", "pur_"} {
		if strings.Contains(s.Output(), secret) {
			t.Errorf("production writes %q:\n%s", secret, s.Output())
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(s.Output()), "\n") {
		if !strings.HasPrefix(line, "Purser ") && !json.Valid([]byte(line)) {
			t.Errorf("a log line is not JSON: %s", line)
		}
	}
}

// The addresses of webhooks, returns and documents are credentials.
func TestTheLogNamesRoutesAndNotAddresses(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	s.get("/return/demo/secretpath/success?paymentAmount=secretquery")
	s.get("/thanks/demo/secretpath")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/webhooks/demo/secretpath", bytes.NewReader([]byte(`{"secretbody":1}`)))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Request-Id", "request-of-the-test")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("X-Request-Id"); got != "request-of-the-test" {
		t.Errorf("the request's id is answered as %q", got)
	}
	s.Stop()
	written := s.Output()
	for _, secret := range []string{"secretpath", "secretquery", "secretbody"} {
		if strings.Contains(written, secret) {
			t.Errorf("the log has %s:\n%s", secret, written)
		}
	}
	if !strings.Contains(written, `route="GET /return/{organization}/{payment}/{outcome}"`) || !strings.Contains(written, "request_id=request-of-the-test") {
		t.Errorf("the log does not name route and request:\n%s", written)
	}
}

// In production the built-in sandbox is for the adapter, which reaches it on
// an address of its own, and for payers.
func TestProductionShowsTheSandboxsPagesOnly(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{Env: []string{
		"PURSER_PROFILE=production", "PURSER_SANDBOX=true", "PURSER_MASTER_KEY=" + strings.Repeat("0123456789abcdef", 4),
		"PURSER_SYSTEM_TOKEN=pur_system_op_0123456789abcdef0123456789abcdef",
	}})
	for _, path := range []string{"/v1/webhook_endpoints", "/_sandbox/deliveries", "/_sandbox/clock", "/pages/../v1/account", "/"} {
		if status, body := s.get("/sandbox/stripe" + path); status != http.StatusNotFound || strings.Contains(body, "acct_") {
			t.Errorf("%s answers %d %s", path, status, body)
		}
	}
	for _, path := range []string{worldpaysandbox.ServicePath, "/_sandbox/state", "/_sandbox/merchants/MINE", "/"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
			if status := worldpayStatus(t, s, method, path); status != http.StatusNotFound {
				t.Errorf("%s %s of the Worldpay sandbox answers %d", method, path, status)
			}
		}
	}
	for _, path := range []string{"/sandbox/stripe/pages/invoices/none", pathWorldpay + "/pages/hpp?Ticket=none"} {
		if _, body := s.get(path); !strings.Contains(body, "There is no such page") {
			t.Errorf("the hosted pages are not there: %s", body)
		}
	}
}

func TestTheSandboxSendsEventsHomeOnly(t *testing.T) {
	t.Parallel()
	dev := config.Default()
	production := dev
	production.Profile = config.ProfileProduction
	for _, tt := range []struct {
		address             string
		inDev, inProduction bool
	}{
		{"https://billing.example.com/webhooks/demo/x", true, true},
		{"https://BILLING.example.com/webhooks/demo/x", true, true},
		{"http://billing.example.com/webhooks/demo/x", false, false},
		{"https://billing.example.com:8443/x", false, false},
		{"https://billing.example.com.evil.example/x", false, false},
		{"https://billing.example.com@10.0.0.1/x", false, false},
		{"http://127.0.0.1:9000/x", true, false},
		{"http://[::1]:9000/x", true, false},
		{"http://localhost:9000/x", true, false},
		{"http://169.254.169.254/latest/meta-data", false, false},
		{"http://10.0.0.1/x", false, false},
	} {
		to, err := url.Parse(tt.address)
		if err != nil {
			t.Fatal(err)
		}
		if err := ownTarget(dev, "https://billing.example.com")(to); (err == nil) != tt.inDev {
			t.Errorf("%s in dev: %v", tt.address, err)
		}
		if err := ownTarget(production, "https://billing.example.com")(to); (err == nil) != tt.inProduction {
			t.Errorf("%s in production: %v", tt.address, err)
		}
	}
}
