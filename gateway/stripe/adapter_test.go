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

// TestStripesOwnHosts: without addresses LIVE and TEST go to Stripe, each host
// to its own, and SANDBOX goes nowhere.
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
	if _, err := a.QuotePDF(t.Context(), acc, "qt_1"); err == nil {
		t.Error("a document without an answer")
	}
	if res := a.TestAccount(t.Context(), testAccount()); res.Status != gateway.StatusRejected || res.Failure.Code != codeNoAddress {
		t.Errorf("sandbox without an address: %+v", res)
	}
	if want := "[https://api.stripe.com https://api.stripe.com https://files.stripe.com]"; fmt.Sprint(hosts) != want {
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

// TestBackends: the SDK neither retries nor logs by itself, and writes into no
// configuration that another backend reads.
func TestBackends(t *testing.T) {
	t.Parallel()
	a := New(Config{BaseURL: func(gateway.Environment) (string, string, error) {
		return "http://127.0.0.1:1/api", "http://127.0.0.1:1/files", nil
	}})
	c, p := a.client(testAccount())
	if p != nil {
		t.Fatal(p.Failure)
	}
	for url, backend := range map[string]sdk.Backend{"http://127.0.0.1:1/api": c.backend, "http://127.0.0.1:1/files": c.quotes.BUploads} {
		b, ok := backend.(*sdk.BackendImplementation)
		if !ok {
			t.Fatalf("backend is a %T", backend)
		}
		logger, ok := b.LeveledLogger.(*sdk.LeveledLogger)
		if b.URL != url || b.MaxNetworkRetries != 0 || !ok || logger.Level != sdk.LevelNull || b.HTTPClient != a.http {
			t.Errorf("backend = %+v", b)
		}
	}
}

func TestQuotePDF(t *testing.T) {
	t.Parallel()
	const route = "GET /v1/quotes/qt_1/pdf"
	tests := []struct {
		name   string
		answer answer
		want   string // part of the error; empty: the document
	}{
		{"document", answer{body: "%PDF-1.4 hello"}, ""},
		{"not finalized", answer{status: 400, body: stripeError("invalid_request_error", "", "This quote is a draft.", "")}, "This quote is a draft."},
		{"no JSON", answer{status: 502, body: "<html>"}, "had an error"},
		{"no document", answer{body: "<html>"}, "no PDF"},
		{"too large", answer{do: func(w http.ResponseWriter, _ *http.Request) {
			chunk := []byte("%PDF-" + strings.Repeat("x", 1<<20))
			for range 9 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}}, "larger than 8 MiB"},
		{"connection lost", answer{do: reset}, "was lost"},
		{"broken off", answer{do: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("%PDF-")) // the rest never comes
		}}, "cannot be read"},
		{"redirect", answer{status: 302, header: http.Header{"Location": {"http://127.0.0.1:1/"}}}, "cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t).on(route, tt.answer)
			a, log := f.adapter()
			document, err := a.QuotePDF(t.Context(), testAccount(), "qt_1")
			if tt.want == "" {
				if err != nil || string(document) != tt.answer.body {
					t.Fatalf("document = %q, %v", document, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || document != nil {
				t.Fatalf("error = %v, want %q in it", err, tt.want)
			}
			if strings.Contains(log.String(), testSecretKey) {
				t.Error("the log shows the key")
			}
		})
	}
	// Nobody answers, and nobody has the time to.
	a := New(Config{BaseURL: sandboxAt("http://127.0.0.1:1")})
	if _, err := a.QuotePDF(t.Context(), testAccount(), "qt_1"); err == nil {
		t.Error("a document out of nowhere")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.QuotePDF(gone, testAccount(), "qt_1"); err == nil {
		t.Error("a document without time")
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
