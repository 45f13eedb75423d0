package stripe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"purser/gateway"
	"purser/gateway/gatewaytest"
	"purser/gateway/stripe"
	"purser/money"
	stripesandbox "purser/sandbox/stripe"
)

// TestConformance runs the suite of all adapters against the sandbox.
func TestConformance(t *testing.T) {
	t.Parallel()
	sandbox := startSandbox(t)
	gatewaytest.Run(t, sandbox.fixture)
}

// testSandbox is one sandbox for all fixtures; each has an account of its own.
type testSandbox struct {
	address string
	closed  string // an address where nobody listens
	adapter *stripe.Adapter
	lost    *stripe.Adapter
	client  *http.Client
	calls   atomic.Int64
}

func startSandbox(t *testing.T) *testSandbox {
	t.Helper()
	server, err := stripesandbox.Open(t.Context(), stripesandbox.Config{
		Path:      filepath.Join(t.TempDir(), "sandbox.db"),
		RetryBase: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(server.Handler())
	server.SetPublicURL(web.URL)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			t.Errorf("run the sandbox: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		web.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &testSandbox{address: web.URL, closed: "http://" + l.Addr().String(), client: web.Client()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// Forms are followed by hand, where they lead to nobody.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	at := func(address string) *stripe.Adapter {
		return stripe.New(stripe.Config{
			BaseURL: func(gateway.Environment) (string, error) { return address, nil },
			HTTPClient: &http.Client{
				// On a connection used before, the transport sends a lost request
				// with a key again by itself: nothing would ever be lost here.
				Transport: &http.Transport{DisableKeepAlives: true},
				Timeout:   20 * time.Second,
			},
		})
	}
	s.adapter, s.lost = at(s.address), at(s.closed)
	return s
}

// cardNumbers are what a payer types on a page for the card behind a token.
func cardNumbers() map[string]string {
	return map[string]string{
		"pm_card_visa":                   "4242424242424242",
		"pm_card_chargeCustomerFail":     "4000000000000341",
		"pm_card_authenticationRequired": "4000002760003184",
	}
}

// fixture opens an account that nothing else uses.
func (s *testSandbox) fixture(t *testing.T) gatewaytest.Fixture {
	n := s.calls.Add(1)
	key := fmt.Sprintf("sk_test_conformance%06d", n)
	account := gateway.Account{
		OrganizationID: "org_1", ProviderID: fmt.Sprintf("prv_%d", n), Kind: gateway.KindStripe,
		Environment: gateway.EnvironmentSandbox, CredentialVersion: 1, SecretKey: key,
	}
	bad := account
	bad.SecretKey = "sk_live_conformance000000"
	bad.ProviderID += "_bad"
	return gatewaytest.Fixture{
		Adapter: s.adapter, Account: account, Unreachable: s.lost, BadAccount: bad,
		Cards: gatewaytest.Cards{
			Good: "pm_card_visa", Failing: "pm_card_chargeCustomerFail",
			Refused: "pm_card_visa_chargeDeclined", Authentication: "pm_card_authenticationRequired",
		},
		Fail: func(t *testing.T, f gatewaytest.Fault, skip int) func() bool {
			s.fault(t, key, f, skip)
			return func() bool {
				var on struct{ Requests []json.RawMessage }
				s.control(t, key, http.MethodGet, "/_sandbox/faults", nil, &on)
				return len(on.Requests) == 0
			}
		},
		Heal: func(t *testing.T) { s.control(t, key, http.MethodDelete, "/_sandbox/faults", nil, nil) },
		Slow: func(t *testing.T, d time.Duration) {
			s.control(t, key, http.MethodPost, "/_sandbox/faults/requests", map[string]any{"path": "/v1/", "action": "delay", "delay_milliseconds": d.Milliseconds()}, nil)
		},
		Charged:      func(t *testing.T) []money.Amount { return s.charged(t, key) },
		Count:        func(t *testing.T, kind gateway.ObjectKind) int { return s.count(t, key, kind) },
		Authenticate: s.authenticate,
		PayPage:      s.payPage,
		Refunded:     func(t *testing.T) []money.Amount { return s.refunded(t, key) },
		Deliveries: func(t *testing.T, receiver http.Handler) string {
			hook := httptest.NewServer(receiver)
			t.Cleanup(hook.Close)
			return hook.URL
		},
	}
}

func (s *testSandbox) fault(t *testing.T, key string, f gatewaytest.Fault, skip int) {
	t.Helper()
	fault := map[string]any{"path": "/v1/", "skip": skip}
	switch f {
	case gatewaytest.LostRequest:
		fault["action"] = "reset"
	case gatewaytest.LostAnswer:
		fault["action"], fault["when"] = "reset", "after"
	case gatewaytest.Busy:
		fault["action"], fault["status"] = "status", http.StatusTooManyRequests
	case gatewaytest.Broken:
		fault["action"], fault["status"] = "status", http.StatusServiceUnavailable
	case gatewaytest.BrokenForGood:
		fault["action"], fault["status"], fault["store"] = "status", http.StatusInternalServerError, true
	case gatewaytest.HiddenSuccess:
		fault["action"], fault["status"], fault["store"], fault["when"] = "status", http.StatusInternalServerError, true, "after"
	default:
		t.Fatalf("the sandbox cannot do %q", f)
	}
	s.control(t, key, http.MethodPost, "/_sandbox/faults/requests", fault, nil)
}

// control calls one endpoint of the sandbox with the account's key.
func (s *testSandbox) control(t *testing.T, key, method, path string, in, out any) {
	t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s %v", method, path, res.StatusCode, raw, err)
	}
	if out != nil {
		if err := json.Unmarshal(raw, out); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *testSandbox) charged(t *testing.T, key string) []money.Amount {
	t.Helper()
	var state struct {
		Charges []struct {
			Amount   int64
			Currency string
			Paid     bool
		}
	}
	s.control(t, key, http.MethodGet, "/_sandbox/state", nil, &state)
	var out []money.Amount
	for _, c := range state.Charges {
		if !c.Paid {
			continue
		}
		out = append(out, money.Amount{Units: money.Units(c.Amount) * money.UnitsPerMinor, Currency: strings.ToUpper(c.Currency)})
	}
	return out
}

// refunded lists what has gone back, the oldest first.
func (s *testSandbox) refunded(t *testing.T, key string) []money.Amount {
	t.Helper()
	var list struct {
		Data []struct {
			Amount   int64
			Currency string
		}
	}
	s.control(t, key, http.MethodGet, "/v1/refunds?limit=100", nil, &list)
	var out []money.Amount
	for _, r := range slices.Backward(list.Data) {
		out = append(out, money.Amount{Units: money.Units(r.Amount) * money.UnitsPerMinor, Currency: strings.ToUpper(r.Currency)})
	}
	return out
}

func (s *testSandbox) count(t *testing.T, key string, kind gateway.ObjectKind) int {
	t.Helper()
	path, gone := "/v1/quotes", "canceled"
	if kind == gateway.ObjectInvoice {
		path, gone = "/v1/invoices", "void"
	}
	var list struct {
		HasMore bool `json:"has_more"`
		Data    []struct{ Status string }
	}
	s.control(t, key, http.MethodGet, path+"?limit=100", nil, &list)
	if list.HasMore {
		t.Fatal("there are more than can be counted")
	}
	n := 0
	for _, object := range list.Data {
		if object.Status != gone {
			n++
		}
	}
	return n
}

// post sends a form of a hosted page; a redirect means that it was accepted.
func (s *testSandbox) post(t *testing.T, page string, form url.Values) (location string) {
	t.Helper()
	res, err := s.client.PostForm(page, form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %d %s %v", page, res.StatusCode, body, err)
	}
	return res.Header.Get("Location")
}

func (s *testSandbox) authenticate(t *testing.T, page string, complete bool) {
	button := "fail"
	if complete {
		button = "complete"
	}
	s.post(t, page, url.Values{button: {button}})
}

func (s *testSandbox) payPage(t *testing.T, page, token string) {
	s.post(t, page, url.Values{"number": {cardNumbers()[token]}, "expiry": {"12/34"}, "cvc": {"123"}, "name": {"Ada Lovelace"}})
}
