package stripe

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/gateway"
	"purser/money"
)

// The secrets that must never be seen in logs and failures.
const (
	testSecretKey    = "sk_test_51AbCdEfGhIjKlMnOp"
	testClientSecret = "pi_1_secret_zzTOPzz"
)

// request is what the fake was asked.
type request struct {
	method, path, key, version string
	header                     http.Header
	form                       url.Values
}

// fake answers with hand-made answers, one per method and path, in order; the
// last one repeats.
type fake struct {
	t      *testing.T
	server *httptest.Server
	mu     sync.Mutex
	routes map[string][]answer
	seen   []request
}

// answer is one hand-made answer.
type answer struct {
	status   int
	body     string
	replayed bool
	header   http.Header
	do       func(http.ResponseWriter, *http.Request) // instead of all else
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, routes: make(map[string][]answer)}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	return f
}

// on adds answers for "METHOD /path".
func (f *fake) on(route string, answers ...answer) *fake {
	f.routes[route] = append(f.routes[route], answers...)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		f.t.Errorf("%s %s: the body is no form: %v", r.Method, r.URL.Path, err)
	}
	for name, values := range r.URL.Query() {
		form[name] = values
	}
	f.mu.Lock()
	f.seen = append(f.seen, request{r.Method, r.URL.Path, r.Header.Get("Idempotency-Key"), r.Header.Get("Stripe-Version"), r.Header, form})
	route := r.Method + " " + r.URL.Path
	answers := f.routes[route]
	if len(answers) > 1 {
		f.routes[route] = answers[1:]
	}
	f.mu.Unlock()
	if len(answers) == 0 {
		f.t.Errorf("unexpected request %s %s", route, form.Encode())
		w.WriteHeader(http.StatusTeapot)
		return
	}
	a := answers[0]
	if a.do != nil {
		a.do(w, r)
		return
	}
	w.Header().Set("Request-Id", "req_test")
	w.Header().Set("Content-Type", "application/json")
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// requests returns what was asked so far, as "METHOD /path".
func (f *fake) requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]string, len(f.seen))
	for i, r := range f.seen {
		out[i] = r.method + " " + r.path
	}
	return out
}

// last returns the newest request of the route.
func (f *fake) last(route string) request {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.seen) - 1; i >= 0; i-- {
		if f.seen[i].method+" "+f.seen[i].path == route {
			return f.seen[i]
		}
	}
	f.t.Fatalf("%s was not requested", route)
	return request{}
}

// adapter returns an adapter whose sandbox is the fake, and its log.
func (f *fake) adapter() (*Adapter, *strings.Builder) {
	log := new(strings.Builder)
	return New(Config{
		BaseURL: sandboxAt(f.server.URL), BusyPause: time.Millisecond,
		Logger: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}), log
}

func sandboxAt(address string) func(gateway.Environment) (string, error) {
	return func(env gateway.Environment) (string, error) {
		if env != gateway.EnvironmentSandbox {
			return "", fmt.Errorf("no %s in this test", env)
		}
		return address, nil
	}
}

func testAccount() gateway.Account {
	return gateway.Account{
		OrganizationID: "org_1", ProviderID: "prv_1", Kind: gateway.KindStripe,
		Environment: gateway.EnvironmentSandbox, CredentialVersion: 1, SecretKey: testSecretKey,
	}
}

func testCall() gateway.Call {
	return gateway.Call{ID: "call_1", Key: "purser:call_1", Subject: "pay_1"}
}

func amount(t *testing.T, d, currency string) money.Amount {
	t.Helper()
	a, err := money.Parse(money.Decimal(d), currency)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func charge(t *testing.T) gateway.ChargeRequest {
	return gateway.ChargeRequest{
		CustomerID: "cus_1", PaymentMethodID: "pm_1", Amount: amount(t, "12.50", "USD"),
		Description: "Top-up", OrderCode: "ORDER1", OffSession: true,
	}
}

// payment is a PaymentIntent's JSON.
func payment(status, more string) string {
	return fmt.Sprintf(`{"id":"pi_1","object":"payment_intent","amount":1250,"amount_received":1250,"currency":"usd","status":%q,
		"client_secret":%q,"customer":"cus_1","payment_method":"pm_1","created":%d,
		"metadata":{"purser_call":"call_1","purser_subject":"pay_1","purser_step":"charge"}%s}`,
		status, testClientSecret, time.Now().Unix(), more)
}

const paidCharge = `,"latest_charge":{"id":"ch_1","receipt_url":"https://pay.example/r/1",
	"payment_method_details":{"type":"card","card":{"brand":"visa","last4":"4242","exp_month":4,"exp_year":2030}}}`

// stripeError is an error's JSON; more is added to its fields.
func stripeError(kind, code, message, more string) string {
	return fmt.Sprintf(`{"error":{"type":%q,"code":%q,"message":%q%s}}`, kind, code, message, more)
}

func list(objects ...string) answer {
	return answer{body: `{"object":"list","url":"/v1/list","has_more":false,"data":[` + strings.Join(objects, ",") + `]}`}
}

// reset closes the connection after the request was read.
func reset(w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = c.Close() // the client sees a lost connection
	}
}
