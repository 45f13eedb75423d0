package worldpay_test

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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"purser/gateway"
	"purser/gateway/gatewaytest"
	"purser/gateway/worldpay"
	"purser/money"
	worldpaysandbox "purser/sandbox/worldpay"
)

// TestConformance runs the suite of all adapters against the sandbox.
func TestConformance(t *testing.T) {
	t.Parallel()
	gatewaytest.Run(t, startSandbox(t).fixture)
}

// testSandbox is one sandbox for all fixtures; each has a merchant of its own.
type testSandbox struct {
	*worldpaysandbox.Server
	address string
	adapter *worldpay.Adapter
	lost    *worldpay.Adapter // where nobody listens
	client  *http.Client
	calls   atomic.Int64
}

func startSandbox(t *testing.T) *testSandbox {
	t.Helper()
	server, err := worldpaysandbox.Open(t.Context(), worldpaysandbox.Config{
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
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	at := func(address string) *worldpay.Adapter {
		return worldpay.New(worldpay.Config{
			BaseURL:    func(gateway.Environment) (string, error) { return address, nil },
			HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second},
		})
	}
	s := &testSandbox{Server: server, address: web.URL, client: web.Client(), adapter: at(web.URL), lost: at(closed)}
	// Forms are followed by hand, where they lead to nobody.
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// merchant is one merchant account at the sandbox.
type merchant struct {
	*testSandbox
	account  gateway.Account
	settings worldpaysandbox.Merchant
	saves    atomic.Int64
}

// newMerchant opens an account that nothing else uses.
func (s *testSandbox) newMerchant(t *testing.T) *merchant {
	t.Helper()
	n := s.calls.Add(1)
	m := &merchant{testSandbox: s, settings: worldpaysandbox.Merchant{
		Code: fmt.Sprintf("CONFORM%06d", n), AdminCode: "PURSERADM", Password: "conformance-password",
		InstallationID: "1234567", MACSecret: "purser-demo-secret-0123",
	}}
	m.account = gateway.Account{
		OrganizationID: "org_1", ProviderID: fmt.Sprintf("prv_%d", n), Kind: gateway.KindWorldpay,
		Environment: gateway.EnvironmentSandbox, CredentialVersion: 1, SecretKey: m.settings.Code + ":" + m.settings.Password,
		MerchantCode: m.settings.Code, InstallationID: m.settings.InstallationID, MACSecret: m.settings.MACSecret,
	}
	if err := s.SetMerchant(t.Context(), m.settings); err != nil {
		t.Fatal(err)
	}
	return m
}

// tokens are what the suite calls the cards, with the outcome of later charges.
func tokens() map[string]string { return map[string]string{"good": "AUTHORISED", "failing": "REFUSED"} }

// fixture is a merchant for the suite.
func (s *testSandbox) fixture(t *testing.T) gatewaytest.Fixture {
	m := s.newMerchant(t)
	bad := m.account
	bad.SecretKey += "x"
	bad.ProviderID += "_bad"
	return gatewaytest.Fixture{
		Adapter: s.adapter, Account: m.account, Unreachable: s.lost, BadAccount: bad,
		Cards: gatewaytest.Cards{Good: "good", Failing: "failing"},
		Lacks: gatewaytest.Lacks{Receipts: true, PagesAgain: true, PageCards: true},
		Fail: func(t *testing.T, f gatewaytest.Fault, skip int) func() bool {
			m.fault(t, f, skip)
			return func() bool {
				var on struct{ Requests []json.RawMessage }
				m.control(t, http.MethodGet, "/_sandbox/faults", nil, &on)
				return len(on.Requests) == 0
			}
		},
		Heal: func(t *testing.T) { m.control(t, http.MethodDelete, "/_sandbox/faults", nil, nil) },
		Slow: func(t *testing.T, d time.Duration) {
			m.control(t, http.MethodPost, "/_sandbox/faults/requests", map[string]any{"action": "delay", "delay_milliseconds": d.Milliseconds()}, nil)
		},
		Charged:  m.charged,
		Refunded: m.refunded,
		PayPage:  func(t *testing.T, page, _ string) { m.pay(t, page, "Ada Lovelace") },
		SaveCard: m.saveCard,
		Deliveries: func(t *testing.T, receiver http.Handler) string {
			hook := httptest.NewServer(receiver)
			t.Cleanup(hook.Close)
			changed := m.settings
			changed.NotificationURL = hook.URL
			if err := s.SetMerchant(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			return hook.URL
		},
	}
}

func (m *merchant) fault(t *testing.T, f gatewaytest.Fault, skip int) {
	t.Helper()
	fault := map[string]any{"skip": skip}
	switch f {
	case gatewaytest.LostRequest:
		fault["action"] = "reset"
	case gatewaytest.LostAnswer:
		fault["action"], fault["when"] = "reset", "after"
	case gatewaytest.Busy:
		fault["action"], fault["status"] = "status", http.StatusTooManyRequests
	case gatewaytest.Broken, gatewaytest.BrokenForGood: // nothing is remembered here
		fault["action"], fault["status"] = "status", http.StatusServiceUnavailable
	case gatewaytest.HiddenSuccess:
		fault["action"], fault["status"], fault["when"] = "status", http.StatusInternalServerError, "after"
	default:
		t.Fatalf("the sandbox cannot do %q", f)
	}
	m.control(t, http.MethodPost, "/_sandbox/faults/requests", fault, nil)
}

// control calls one endpoint of the sandbox with the merchant's login.
func (m *merchant) control(t *testing.T, method, path string, in, out any) {
	t.Helper()
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, m.address+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(m.settings.Code, m.settings.Password)
	res, err := m.client.Do(req)
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

// sum is so many of the sandbox's minor units.
func sum(t *testing.T, value int64, currency string) money.Amount {
	t.Helper()
	scale, err := money.WorldpayScale(currency)
	if err != nil {
		t.Fatal(err)
	}
	a, err := money.FromGateway(value, currency, scale)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// charged is what was taken, without the payments by which cards were saved.
func (m *merchant) charged(t *testing.T) []money.Amount {
	t.Helper()
	state, err := m.Inspect(t.Context(), m.settings.Code)
	if err != nil {
		t.Fatal(err)
	}
	var out []money.Amount
	for _, o := range state.Orders {
		if o.Payment != nil && o.Payment.Authorised > 0 && o.Description != savingPayment {
			out = append(out, sum(t, o.Amount.Value, o.Amount.Currency))
		}
	}
	return out
}

func (m *merchant) refunded(t *testing.T) []money.Amount {
	t.Helper()
	state, err := m.Inspect(t.Context(), m.settings.Code)
	if err != nil {
		t.Fatal(err)
	}
	var out []money.Amount
	for _, o := range state.Orders {
		if o.Payment == nil {
			continue
		}
		for _, r := range o.Payment.Refunds {
			out = append(out, sum(t, r.Amount, o.Amount.Currency))
		}
	}
	return out
}

// post sends a form of a hosted page; a redirect means that it was accepted.
func (m *merchant) post(t *testing.T, page string, form url.Values) (location *url.URL) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, page, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := m.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s: %d %s %v", page, res.StatusCode, body, err)
	}
	location, err = url.Parse(res.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	return location
}

// pay pays a hosted page; the name decides on the outcome.
func (m *merchant) pay(t *testing.T, page, name string) (back *url.URL) {
	t.Helper()
	return m.post(t, page, url.Values{"number": {"4444333322221111"}, "expiry": {"12/34"}, "cvc": {"123"}, "name": {name}})
}

// savingPayment is the description of a payment by which a card is saved.
const savingPayment = "Save a card"

// start makes a page.
func (m *merchant) start(t *testing.T, call string, change func(*gateway.HostedPaymentRequest)) gateway.PaymentResult {
	t.Helper()
	r := gateway.HostedPaymentRequest{
		Customer: gateway.Customer{PayerID: "dev_1", Name: "Ada Lovelace", Email: "ada@example.com"},
		Amount:   sum(t, 1250, "USD"), Description: "Top-up", SuccessURL: "http://127.0.0.1/success", CancelURL: "http://127.0.0.1/cancel",
		PendingURL: "http://127.0.0.1/pending", FailureURL: "http://127.0.0.1/failure", ErrorURL: "http://127.0.0.1/error",
	}
	if change != nil {
		change(&r)
	}
	res := m.adapter.StartHostedPayment(t.Context(), m.account, gateway.Call{ID: call, StartedAt: time.Now()}, r)
	if res.Status != gateway.StatusActionNeeded {
		t.Fatalf("page = %+v %+v", res, res.Failure)
	}
	return res
}

// saveCard saves a card as payers do: with a payment.
func (m *merchant) saveCard(t *testing.T, token string) (customerID, cardID string) {
	t.Helper()
	n := m.saves.Add(1)
	payer := fmt.Sprintf("dev_%d", n)
	page := m.start(t, fmt.Sprintf("save_%s_%d", m.settings.Code, n), func(r *gateway.HostedPaymentRequest) {
		r.Customer.PayerID, r.Description, r.SaveCard = payer, savingPayment, true
	})
	m.pay(t, page.NextAction.RedirectURL, "Ada Lovelace")
	state, err := m.Inspect(t.Context(), m.settings.Code)
	if err != nil {
		t.Fatal(err)
	}
	for _, saved := range state.Tokens {
		if saved.Shopper != payer {
			continue
		}
		outcome, known := tokens()[token]
		if !known {
			t.Fatalf("there is no card %q", token)
		}
		m.control(t, http.MethodPost, "/_sandbox/tokens/"+saved.ID, map[string]any{"outcome": outcome}, nil)
		return payer, saved.ID
	}
	t.Fatalf("no token was made: %+v", state)
	return "", ""
}

// TestReturnsFromTheSandbox: who comes back from the page carries what the
// gateway has signed, for every end.
func TestReturnsFromTheSandbox(t *testing.T) {
	t.Parallel()
	m := startSandbox(t).newMerchant(t)
	for n, c := range []struct {
		name, outcome string
		status        gateway.Status
		asked         gateway.Status
	}{
		{"AUTHORISED", gateway.ReturnSuccess, gateway.StatusSucceeded, gateway.StatusSucceeded},
		{"Ada Lovelace", gateway.ReturnSuccess, gateway.StatusSucceeded, gateway.StatusSucceeded},
		{"REFUSED", gateway.ReturnFailure, gateway.StatusDeclined, gateway.StatusDeclined},
		{"REFUSED51", gateway.ReturnFailure, gateway.StatusDeclined, gateway.StatusDeclined},
	} {
		page := m.start(t, fmt.Sprintf("return_%d", n), nil)
		back := m.pay(t, page.NextAction.RedirectURL, c.name)
		if back.Path != "/"+c.outcome {
			t.Errorf("%s leads to %s", c.name, back)
		}
		r, err := m.adapter.VerifyReturn(m.account, c.outcome, back.Query())
		if err != nil || r.OrderCode != page.ReferenceID || r.Status != c.status || r.Amount != sum(t, 1250, "USD") {
			t.Errorf("%s: %+v %v", c.name, r, err)
		}
		if asked := m.adapter.FetchHostedPayment(t.Context(), m.account, page.ReferenceID); asked.Status != c.asked {
			t.Errorf("%s: asked %+v", c.name, asked)
		}
	}
	page := m.start(t, "return_left", nil)
	back := m.post(t, page.NextAction.RedirectURL, url.Values{"cancel": {"cancel"}})
	r, err := m.adapter.VerifyReturn(m.account, gateway.ReturnCancel, back.Query())
	if back.Path != "/cancel" || err != nil || !r.Canceled || r.OrderCode != page.ReferenceID {
		t.Errorf("left: %s %+v %v", back, r, err)
	}
	if asked := m.adapter.FetchHostedPayment(t.Context(), m.account, page.ReferenceID); asked.Status != gateway.StatusActionNeeded {
		t.Errorf("left: asked %+v", asked)
	}
}

// TestCurrenciesAtTheSandbox: both sides count each currency alike, on the way
// there, in answers and in returns.
func TestCurrenciesAtTheSandbox(t *testing.T) {
	t.Parallel()
	m := startSandbox(t).newMerchant(t)
	for n, currency := range []string{"USD", "JPY", "KWD", "HUF", "IDR", "MGA", "ISK", "CLP", "UGX", "GNF", "XPF", "TND"} {
		a, err := money.Parse("12000", currency)
		if err != nil {
			t.Fatal(err)
		}
		page := m.start(t, fmt.Sprintf("currency_%d", n), func(r *gateway.HostedPaymentRequest) { r.Amount = a })
		back := m.pay(t, page.NextAction.RedirectURL, "Ada")
		if r, err := m.adapter.VerifyReturn(m.account, gateway.ReturnSuccess, back.Query()); err != nil || r.Amount != a {
			t.Errorf("%s comes back as %s, %v", a, r.Amount, err)
		}
		if asked := m.adapter.FetchHostedPayment(t.Context(), m.account, page.ReferenceID); asked.Payment.Amount != a {
			t.Errorf("%s is answered as %s", a, asked.Payment.Amount)
		}
	}
}
