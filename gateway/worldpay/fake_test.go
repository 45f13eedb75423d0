package worldpay

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"purser/gateway"
	"purser/money"
)

const (
	testMerchant = "PURSERTEST"
	testPassword = "xml-password-never-seen"
	testMAC      = "purser-demo-secret-0123"
)

// fake answers every request with the next of its answers; the last one
// repeats.
type fake struct {
	server  *httptest.Server
	mu      sync.Mutex
	answers []answer
	seen    []string // bodies
	headers []http.Header
}

// answer is one hand-made answer.
type answer struct {
	status int
	body   string
	do     func(http.ResponseWriter, *http.Request) // instead of all else
}

func newFake(t *testing.T, answers ...answer) *fake {
	t.Helper()
	f := &fake{answers: answers}
	f.server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.server.Close)
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	// What goes elsewhere uses up no answer. It may come from another test: a
	// sandbox that still tells of its events where somebody listened before.
	if r.Method != http.MethodPost || r.URL.Path != servicePath {
		http.NotFound(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.seen, f.headers = append(f.seen, string(body)), append(f.headers, r.Header)
	a := answer{status: http.StatusTeapot}
	if len(f.answers) > 0 {
		a = f.answers[0]
	}
	if len(f.answers) > 1 {
		f.answers = f.answers[1:]
	}
	f.mu.Unlock()
	if a.do != nil {
		a.do(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	if a.status == 0 {
		a.status = http.StatusOK
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body)
}

// asked returns what each request was, by the element that names it.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]string, len(f.seen))
	for i, body := range f.seen {
		for _, kind := range []string{"orderInquiry", "paymentTokenDelete", "capture>", "cancel", "refund", "order "} {
			if strings.Contains(body, "<"+kind) {
				out[i] = strings.Trim(kind, " >")
				break
			}
		}
	}
	return out
}

// adapter returns an adapter whose sandbox is the fake, and its log.
func (f *fake) adapter() (*Adapter, *strings.Builder) {
	log := new(strings.Builder)
	return New(Config{
		BaseURL: sandboxAt(f.server.URL),
		Logger:  slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
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
		OrganizationID: "org_1", ProviderID: "prv_1", Kind: gateway.KindWorldpay, Environment: gateway.EnvironmentSandbox,
		CredentialVersion: 1, SecretKey: testMerchant + ":" + testPassword, MerchantCode: testMerchant,
		InstallationID: "1234567", MACSecret: testMAC,
	}
}

// testCode is the order code of testCall.
const testCode = "AGMAAAAAAB7YBAAAAAAAAAAAAE"

func testCall() gateway.Call {
	return gateway.Call{ID: "cal_0198000000007f8080000000000000" + "01", StartedAt: time.Now()}
}

// before is testCall, begun a while ago.
func before(d time.Duration) gateway.Call {
	c := testCall()
	c.StartedAt = c.StartedAt.Add(-d)
	return c
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
		CustomerID: "dev_8f2c1a", PaymentMethodID: "9902000000000001", SchemeReference: "000000000000020005060720116005061",
		Amount: amount(t, "10.00", "USD"), Description: "Automatic balance reload", OffSession: true,
	}
}

func page(t *testing.T) gateway.HostedPaymentRequest {
	return gateway.HostedPaymentRequest{
		Customer: gateway.Customer{PayerID: "dev_8f2c1a", Name: "Ada Example", Email: "dev@shop.example", Address: gateway.Address{
			Line1: "1 Sample Street", City: "Pleasanton", State: "CA", PostalCode: "58158", Country: "US",
		}},
		Amount: amount(t, "10.00", "USD"), Description: "Top-up 10.00 USD", OrderCode: "OURS", SaveCard: true,
		SuccessURL: "https://billing.example/return/demo/x/success", CancelURL: "https://billing.example/return/demo/x/cancel",
		PendingURL: "https://billing.example/return/demo/x/pending", FailureURL: "https://billing.example/return/demo/x/failure",
		ErrorURL: "https://billing.example/return/demo/x/error",
	}
}

// replyOf is a message of Worldpay's to the test's merchant.
func replyOf(inside string) string {
	return declaration + doctype + `<paymentService version="1.4" merchantCode="` + testMerchant + `"><reply>` + inside + `</reply></paymentService>`
}

// statusOf is the status of the test's order.
func statusOf(inside string) string {
	return replyOf(`<orderStatus orderCode="` + testCode + `">` + inside + `</orderStatus>`)
}

// paymentIn is a payment of 10.00 USD whose last event is given.
func paymentIn(event, more string) string {
	return `<payment><paymentMethod>VISA_CREDIT-SSL</paymentMethod><amount value="1000" currencyCode="USD" exponent="2" debitCreditIndicator="credit"/>` +
		`<lastEvent>` + event + `</lastEvent>` + more + `</payment>`
}

// referenceIn is the reference of a payment's latest change.
func referenceIn(reference string) string {
	if reference == "" {
		return ""
	}
	return "<reference>" + reference + "</reference>"
}

// refusedWith is an error in the order's status.
func refusedWith(code, text string) string {
	return statusOf(`<error code="` + code + `"><![CDATA[` + text + `]]></error>`)
}

const noPayment = "Could not find payment for order"

// hangUp closes the connection after the request was read.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = c.Close() // the client sees a lost connection
	}
}
