package stripe

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

func TestTestAccount(t *testing.T) {
	t.Parallel()
	f := newFake(t).on("GET /v1/account",
		answer{body: `{"id":"acct_1","object":"account","country":"AT","charges_enabled":true}`},
		answer{status: 401, body: stripeError("invalid_request_error", "", "Invalid API Key provided: "+testSecretKey, "")})
	var observed []string
	a := New(Config{BaseURL: sandboxAt(f.server.URL + "/v1/"), Observe: func(operation string, status gateway.Status, d time.Duration) {
		observed = append(observed, fmt.Sprintf("%s %s %v", operation, status, d >= 0))
	}})
	res := a.TestAccount(t.Context(), testAccount())
	if res.Status != gateway.StatusSucceeded || res.AccountID != "acct_1" || res.Country != "AT" || !res.ChargesEnabled || res.RequestID != "req_test" {
		t.Errorf("account = %+v", res)
	}
	if key := f.last("GET /v1/account").header.Get("Authorization"); key != "Bearer "+testSecretKey {
		t.Errorf("authorization = %q", key)
	}
	res = a.TestAccount(t.Context(), testAccount())
	if res.Status != gateway.StatusRejected || strings.Contains(res.Failure.Message, testSecretKey) {
		t.Errorf("a bad key: %+v %+v", res, res.Failure)
	}
	if want := "[account_test SUCCEEDED true account_test REJECTED true]"; fmt.Sprint(observed) != want {
		t.Errorf("observed %v, want %v", observed, want)
	}
}

// TestStripesOwnHosts: without an address LIVE and TEST go to Stripe, and
// SANDBOX goes nowhere.
func TestStripesOwnHosts(t *testing.T) {
	t.Parallel()
	var hosts []string
	refuse := roundTripper(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.Scheme+"://"+r.URL.Host)
		return nil, fmt.Errorf("no network in this test")
	})
	a := New(Config{HTTPClient: &http.Client{Transport: refuse}})
	acc := testAccount()
	acc.Environment = gateway.EnvironmentTest
	a.TestAccount(t.Context(), acc)
	acc.Environment, acc.SecretKey, acc.ProviderID = gateway.EnvironmentLive, "sk_live_51AbCdEfGhIj", "prv_2"
	a.TestAccount(t.Context(), acc)
	if res := a.TestAccount(t.Context(), testAccount()); res.Status != gateway.StatusRejected || res.Failure.Code != codeNoAddress {
		t.Errorf("sandbox without an address: %+v", res)
	}
	if want := "[https://api.stripe.com https://api.stripe.com]"; fmt.Sprint(hosts) != want {
		t.Errorf("hosts = %v, want %v", hosts, want)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestClientCache: one client per provider and credentials, never an old key,
// never without bound.
func TestClientCache(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	now := time.Unix(1700000000, 0)
	a := New(Config{BaseURL: sandboxAt(f.server.URL), Now: func() time.Time { now = now.Add(time.Second); return now }})
	acc := testAccount()
	first, _ := a.client(acc)
	if again, _ := a.client(acc); again != first {
		t.Error("the client was not kept")
	}
	acc.SecretKey = "sk_test_51Changed000"
	changed, _ := a.client(acc)
	if changed == first || changed.key != acc.SecretKey {
		t.Error("a client with an old key was used")
	}
	acc.CredentialVersion = 2
	if other, _ := a.client(acc); other == changed {
		t.Error("two versions share a client")
	}
	for i := range 2 * clientsMax {
		acc.ProviderID = fmt.Sprintf("prv_%d", i)
		if _, p := a.client(acc); p != nil {
			t.Fatal(p.Failure)
		}
	}
	if len(a.clients) > clientsMax {
		t.Errorf("%d clients are kept", len(a.clients))
	}
	if kept, _ := a.client(acc); kept != a.clients[clientKey{acc.OrganizationID + "/" + acc.ProviderID, 2}] {
		t.Error("the newest client was forgotten")
	}
}

// TestBackend: the SDK neither retries nor logs by itself.
func TestBackend(t *testing.T) {
	t.Parallel()
	a := New(Config{BaseURL: sandboxAt("http://127.0.0.1:1/api")})
	c, p := a.client(testAccount())
	if p != nil {
		t.Fatal(p.Failure)
	}
	b, ok := c.backend.(*sdk.BackendImplementation)
	if !ok {
		t.Fatalf("backend is a %T", c.backend)
	}
	logger, ok := b.LeveledLogger.(*sdk.LeveledLogger)
	if b.URL != "http://127.0.0.1:1/api" || b.MaxNetworkRetries != 0 || !ok || logger.Level != sdk.LevelNull || b.HTTPClient != a.http {
		t.Errorf("backend = %+v", b)
	}
}

// TestOwnDeadline: an operation without a deadline gets one.
func TestOwnDeadline(t *testing.T) {
	t.Parallel()
	var left time.Duration
	a := New(Config{BaseURL: sandboxAt("http://127.0.0.1:1"), HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if at, ok := r.Context().Deadline(); ok {
			left = time.Until(at)
		}
		return nil, context.DeadlineExceeded
	})}})
	if res := a.FetchPayment(context.Background(), testAccount(), "pi_1"); res.Status != gateway.StatusUnknown || res.Failure.Code != "timeout" {
		t.Errorf("result = %+v", res)
	}
	if left <= 0 || left > callTimeout {
		t.Errorf("deadline in %v, want at most %v", left, callTimeout)
	}
}

// TestAnswersAreBounded: an endless answer ends.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	f := newFake(t).on("GET /v1/account", answer{do: func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range 2 * answerBytesMax >> 20 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
		_, _ = w.Write([]byte(`{"id":"acct_1"}`))
	}})
	a, _ := f.adapter()
	if res := a.TestAccount(t.Context(), testAccount()); res.Status != gateway.StatusUnknown {
		t.Errorf("result = %+v, want UNKNOWN", res)
	}
}
