package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/gateway"
)

// mockVersion is the release of stripe-mock whose specification is exactly the
// version of the API that the SDK speaks.
const mockVersion = "v0.183.0"

// installMock returns the path of stripe-mock, built once per machine and
// version.
func installMock(t *testing.T) string {
	t.Helper()
	caches, err := os.UserCacheDir()
	if err != nil {
		caches = os.TempDir()
	}
	dir := filepath.Join(caches, "purser-test", "stripe-mock-"+mockVersion+"-"+runtime.Version())
	path := filepath.Join(dir, "stripe-mock")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// Built aside and moved, so that two runs cannot see each other's half.
	building, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(building) }() // only a leftover of the build
	cmd := exec.CommandContext(t.Context(), "go", "install", "github.com/stripe/stripe-mock@"+mockVersion)
	cmd.Dir = building // outside of any module
	cmd.Env = append(os.Environ(), "GOBIN="+building, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("stripe-mock %s is not built yet, and building it needs the network once: %v\n%s", mockVersion, err, out)
	}
	if err := os.Rename(filepath.Join(building, "stripe-mock"), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// startMock runs stripe-mock and returns its address. The ports are free when
// they are chosen; should another program be quicker, others are tried.
func startMock(t *testing.T) string {
	t.Helper()
	path := installMock(t)
	var log bytes.Buffer
	for range 5 {
		web, tls := freePort(t), freePort(t)
		// Both addresses are given, or it listens on every interface as well.
		cmd := exec.Command(path, "-http-addr", web, "-https-addr", tls, "-strict-version-check")
		log.Reset()
		cmd.Stdout, cmd.Stderr = &log, &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = cmd.Wait() // how it ends is told by its log
			close(ended)
		}()
		if answers(web, ended) {
			t.Cleanup(func() {
				_ = cmd.Process.Kill() // it may have ended by itself
				<-ended
			})
			return "http://" + web
		}
		_ = cmd.Process.Kill()
		<-ended
	}
	t.Fatalf("stripe-mock does not answer:\n%s", &log)
	return ""
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// answers waits until stripe-mock itself answers at the address, and reports
// false when it has ended.
func answers(address string, ended <-chan struct{}) bool {
	patience := time.After(30 * time.Second)
	for {
		if res, err := http.Get("http://" + address + "/"); err == nil {
			_ = res.Body.Close()
			if res.Header.Get("Stripe-Mock-Version") != "" {
				return true
			}
		}
		select {
		case <-ended:
			return false
		case <-patience:
			return false
		case <-time.After(20 * time.Millisecond): // the port is its only sign of life
		}
	}
}

// watched sends everything on and fails the test for what stripe-mock refuses.
// It can lose answers, to make the adapter search.
type watched struct {
	t      *testing.T
	next   http.RoundTripper
	mu     sync.Mutex
	routes map[string]int
	lose   map[string]bool
	replay map[string]bool
	alter  func(route, body string) string
}

// RoundTrip checks one request.
func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	res, err := w.next.RoundTrip(r)
	if err != nil {
		w.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
		return nil, err
	}
	answer, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		w.t.Errorf("%s %s %s %s: %d %s", r.Method, r.URL.Path, r.URL.RawQuery, body, res.StatusCode, answer)
	}
	own := "purser:call_1:"
	if r.URL.Path == "/v1/customers" {
		own = "purser:org_1:prv_1:customer:dev_1"
	}
	if r.Method != http.MethodGet && !strings.HasPrefix(r.Header.Get("Idempotency-Key"), own) {
		w.t.Errorf("%s %s has the key %q", r.Method, r.URL.Path, r.Header.Get("Idempotency-Key"))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	route := r.Method + " " + normalize(strings.Split(r.URL.Path, "/"))
	w.routes[route]++
	if w.replay[route] {
		res.Header.Set("Idempotent-Replayed", "true")
	}
	if w.lose[route] {
		res.StatusCode = http.StatusInternalServerError
		answer = []byte(`{"error":{"type":"api_error","message":"lost"}}`)
	}
	if w.alter != nil {
		answer = []byte(w.alter(route, string(answer)))
	}
	res.Body = io.NopCloser(bytes.NewReader(answer))
	res.ContentLength = int64(len(answer))
	res.Header.Del("Content-Length")
	return res, nil
}

// normalize puts :id where an id stands.
func normalize(parts []string) string {
	for i, part := range parts {
		if i > 2 && strings.ContainsRune(part, '_') {
			parts[i] = ":id"
		}
	}
	return strings.Join(parts, "/")
}

// TestRequestsAreLegal puts every request that the adapter can make to
// stripe-mock, which checks them against Stripe's own description.
func TestRequestsAreLegal(t *testing.T) {
	t.Parallel()
	address := startMock(t)
	w := &watched{t: t, next: http.DefaultTransport, routes: make(map[string]int), lose: make(map[string]bool)}
	a := New(Config{BaseURL: sandboxAt(address), HTTPClient: &http.Client{Transport: w, Timeout: 30 * time.Second}})
	acc, ctx := testAccount(), t.Context()
	acc.SecretKey = "sk_test_123456789"
	call := testCall()
	zero := gateway.Line{Description: "Seat", Quantity: 2, UnitAmount: amount(t, "0", "USD"), Total: amount(t, "0", "USD")}
	payer := gateway.Customer{PayerID: "dev_1", Name: "Ada Lovelace", Email: "ada@example.com"}
	quote := gateway.QuoteRequest{Customer: payer, Currency: "USD", Lines: []gateway.Line{zero}, Description: "Quote", ExpiresAt: time.Now().Add(48 * time.Hour)}
	invoice := newInvoice(t)
	adopted := gateway.InvoiceRequest{InvoiceID: "in_1", Currency: "USD", Total: amount(t, "0", "USD")}
	page := gateway.HostedPaymentRequest{
		Customer: payer, Amount: amount(t, "12.50", "USD"), Description: "Top-up", OrderCode: "ORDER1", SaveCard: true,
		SuccessURL: "https://shop.example/ok", CancelURL: "https://shop.example/no", ExpiresAt: time.Now().Add(time.Hour),
	}
	card := gateway.CardRequest{Customer: payer, Token: "pm_card_visa", MakeDefault: true}
	cardPage := gateway.CardRequest{Customer: payer, ReturnURL: "https://shop.example/ok", CancelURL: "https://shop.example/no"}
	onSession := charge(t)
	onSession.OffSession, onSession.ReturnURL = false, "https://shop.example/3ds"

	// stripe-mock's answers are the same whatever was asked: the totals and
	// states are set to what leads the adapter on.
	w.alter = func(route, body string) string {
		switch {
		case strings.HasPrefix(route, "POST /v1/setup_intents"):
			return setField(body, "status", `"succeeded"`)
		case strings.Contains(route, "/v1/invoices"):
			return setField(setField(setField(setField(body, "status", `"draft"`), "total", "0"), "amount_due", "0"), "starting_balance", "0")
		case strings.HasSuffix(route, "/accept"):
			return setField(body, "invoice", `"in_1"`)
		case strings.Contains(route, "/v1/quotes"):
			return setField(setField(body, "status", `"draft"`), "amount_total", "0")
		}
		return body
	}
	everything := func() {
		a.TestAccount(ctx, acc)
		a.FinalizeQuote(ctx, acc, call, quote)
		a.AcceptQuote(ctx, acc, call, "qt_1")
		a.CancelQuote(ctx, acc, call, "qt_1")
		a.FetchQuote(ctx, acc, "qt_1")
		a.FinalizeInvoice(ctx, acc, call, invoice)
		a.FinalizeInvoice(ctx, acc, call, adopted)
		a.PayInvoice(ctx, acc, call, gateway.InvoicePayRequest{InvoiceID: "in_1", PaymentMethodID: "pm_1", OffSession: true})
		a.SettleInvoice(ctx, acc, call, "in_1")
		a.VoidInvoice(ctx, acc, call, "in_1")
		a.DeleteDraftInvoice(ctx, acc, call, "in_1")
		a.FetchInvoice(ctx, acc, "in_1")
		a.CreditInvoice(ctx, acc, call, gateway.CreditNoteRequest{InvoiceID: "in_1", Amount: charge(t).Amount, Reason: "down for a day"})
		a.StartHostedPayment(ctx, acc, call, page)
		a.FetchHostedPayment(ctx, acc, "cs_1")
		a.ChargeCard(ctx, acc, call, charge(t))
		a.ChargeCard(ctx, acc, call, onSession)
		a.FetchPayment(ctx, acc, "pi_1")
		a.AttachCard(ctx, acc, call, card)
		a.AttachCard(ctx, acc, call, gateway.CardRequest{Customer: payer, Token: "tok_visa"})
		a.SetupCard(ctx, acc, call, gateway.CardRequest{Customer: payer})
		a.SetupCard(ctx, acc, call, cardPage)
		a.FetchSetup(ctx, acc, "seti_1")
		a.FetchSetup(ctx, acc, "cs_1")
		a.SetDefaultCard(ctx, acc, call, "cus_1", "pm_1")
		a.DetachCard(ctx, acc, call, "cus_1", "pm_1")
		// The address is the one of stripe-mock's own endpoint: it is replaced,
		// and then completed.
		a.RegisterEndpoint(ctx, acc, call, gateway.EndpointRequest{URL: "https://example.com/my/webhook/endpoint"})
		a.RegisterEndpoint(ctx, acc, call, gateway.EndpointRequest{URL: "https://example.com/my/webhook/endpoint", SecretStored: true})
	}
	everything()
	// Once more with lost answers, for the searches: the customer is known, so
	// that each operation comes to its own.
	for _, route := range []string{
		"POST /v1/quotes", "POST /v1/invoices", "POST /v1/invoiceitems", "POST /v1/credit_notes", "POST /v1/payment_intents", "POST /v1/setup_intents",
		"POST /v1/checkout/sessions", "POST /v1/webhook_endpoints", "POST /v1/customers", "POST /v1/products", "POST /v1/payment_methods/:id/detach",
	} {
		w.mu.Lock()
		w.lose = map[string]bool{route: true}
		w.mu.Unlock()
		everything()
	}
	w.mu.Lock()
	w.lose, w.replay = nil, map[string]bool{"POST /v1/customers": true, "POST /v1/credit_notes": true}
	w.mu.Unlock()
	everything()

	var got []string
	for route := range w.routes {
		got = append(got, route)
	}
	slices.Sort(got)
	want := []string{
		"DELETE /v1/invoices/:id", "DELETE /v1/webhook_endpoints/:id",
		"GET /v1/account",
		"GET /v1/checkout/sessions", "GET /v1/checkout/sessions/:id",
		"GET /v1/credit_notes", "GET /v1/credit_notes/:id",
		"GET /v1/customers", "GET /v1/customers/:id",
		"GET /v1/invoiceitems",
		"GET /v1/invoices", "GET /v1/invoices/:id",
		"GET /v1/payment_intents", "GET /v1/payment_intents/:id",
		"GET /v1/payment_methods/:id",
		"GET /v1/products",
		"GET /v1/quotes", "GET /v1/quotes/:id",
		"GET /v1/setup_intents", "GET /v1/setup_intents/:id",
		"GET /v1/webhook_endpoints",
		"POST /v1/checkout/sessions",
		"POST /v1/credit_notes",
		"POST /v1/customers", "POST /v1/customers/:id",
		"POST /v1/invoiceitems",
		"POST /v1/invoices", "POST /v1/invoices/:id", "POST /v1/invoices/:id/finalize", "POST /v1/invoices/:id/pay", "POST /v1/invoices/:id/void",
		"POST /v1/payment_intents",
		"POST /v1/payment_methods", "POST /v1/payment_methods/:id/detach",
		"POST /v1/products",
		"POST /v1/quotes", "POST /v1/quotes/:id/accept", "POST /v1/quotes/:id/cancel", "POST /v1/quotes/:id/finalize",
		"POST /v1/setup_intents",
		"POST /v1/webhook_endpoints", "POST /v1/webhook_endpoints/:id",
	}
	for _, route := range want {
		if !slices.Contains(got, route) {
			t.Errorf("%s was never requested", route)
		}
	}
	for _, route := range got {
		if !slices.Contains(want, route) {
			t.Errorf("%s is not on the list of this test", route)
		}
	}
	if t.Failed() {
		t.Log(fmt.Sprint(got))
	}
}

// setField changes a top-level field of a JSON object.
func setField(body, name, value string) string {
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &object); err != nil || object[name] == nil {
		return body
	}
	object[name] = json.RawMessage(value)
	out, err := json.Marshal(object)
	if err != nil {
		return body
	}
	return string(out)
}
