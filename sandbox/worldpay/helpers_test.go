package worldpaysandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	worldpaysandbox "purser/sandbox/worldpay"
)

// bundle is a running sandbox with the demo merchant and a receiver of its
// notifications.
type bundle struct {
	t        *testing.T
	merchant worldpaysandbox.Merchant
	path     string
	log      *lockedBuffer
	server   *worldpaysandbox.Server
	http     *httptest.Server
	stop     func()
	hook     *receiver
}

// setup starts a sandbox on a file of its own. The merchant captures at once
// and hears of everything.
func setup(t *testing.T, settings ...func(*worldpaysandbox.Merchant)) *bundle {
	t.Helper()
	b := &bundle{t: t, merchant: worldpaysandbox.DemoMerchant(), path: filepath.Join(t.TempDir(), "sandbox.db"), log: &lockedBuffer{}}
	b.listen()
	b.start()
	b.merchant.NotificationURL = b.hook.URL
	b.merchant.CaptureDelay = "0"
	for _, set := range settings {
		set(&b.merchant)
	}
	if err := b.server.SetMerchant(t.Context(), b.merchant); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.stop() })
	return b
}

// start opens the sandbox and serves it below /base, as the product mounts it.
func (b *bundle) start() {
	b.t.Helper()
	server, err := worldpaysandbox.Open(b.t.Context(), worldpaysandbox.Config{
		Path: b.path, RetryBase: 10 * time.Millisecond, Logger: slog.New(slog.NewJSONHandler(b.log, nil)),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = server
	b.http = httptest.NewServer(http.StripPrefix("/base", server.Handler()))
	server.SetPublicURL(b.http.URL + "/base/")
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			b.t.Errorf("run: %v", err)
		}
	})
	b.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		b.http.Close()
		if err := server.Close(); err != nil {
			b.t.Errorf("close: %v", err)
		}
	})
}

// restart stops the sandbox and starts it again on the same file.
func (b *bundle) restart() {
	b.t.Helper()
	b.stop()
	b.start()
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// document is what a reply or notification says, as a merchant reads it.
type document struct {
	Merchant string `xml:"merchantCode,attr"`
	Top      *fault `xml:"reply>error"`
	Order    *struct {
		Code      string   `xml:"orderCode,attr"`
		Error     *fault   `xml:"error"`
		Reference *refer   `xml:"reference"`
		Payment   *payment `xml:"payment"`
		Token     *token   `xml:"token"`
	} `xml:"reply>orderStatus"`
	OK *struct {
		Inner string `xml:",innerxml"`
	} `xml:"reply>ok"`
	Event *struct {
		Code    string   `xml:"orderCode,attr"`
		Payment *payment `xml:"payment"`
		Token   *token   `xml:"token"`
		Journal journal  `xml:"journal"`
	} `xml:"notify>orderStatusEvent"`
	raw string
}

type fault struct {
	Code string `xml:"code,attr"`
	Text string `xml:",chardata"`
}

type refer struct {
	ID  string `xml:"id,attr"`
	URL string `xml:",chardata"`
}

type sum struct {
	Value     int64  `xml:"value,attr"`
	Currency  string `xml:"currencyCode,attr"`
	Exponent  string `xml:"exponent,attr"`
	Indicator string `xml:"debitCreditIndicator,attr"`
}

type payment struct {
	Method    string `xml:"paymentMethod"`
	Amount    sum    `xml:"amount"`
	LastEvent string `xml:"lastEvent"`
	Reference string `xml:"reference"`
	Return    *struct {
		Code        string `xml:"code,attr"`
		Description string `xml:"description,attr"`
	} `xml:"ISO8583ReturnCode"`
	Card   string `xml:"cardNumber"`
	Scheme string `xml:"schemeResponse>transactionIdentifier"`
	Secure *struct {
		Description string `xml:"description,attr"`
	} `xml:"ThreeDSecureResult"`
}

type token struct {
	Shopper   string `xml:"authenticatedShopperID"`
	Reference string `xml:"tokenEventReference"`
	Details   struct {
		Event  string `xml:"tokenEvent,attr"`
		ID     string `xml:"paymentTokenID"`
		Reason string `xml:"tokenReason"`
	} `xml:"tokenDetails"`
	PAN string `xml:"paymentInstrument>cardDetails>derived>obfuscatedPAN"`
}

type accountTx struct {
	Type   string `xml:"accountType,attr"`
	Amount sum    `xml:"amount"`
}

type journal struct {
	Type      string      `xml:"journalType,attr"`
	Accounts  []accountTx `xml:"accountTx"`
	Reference struct {
		Type string `xml:"type,attr"`
		Text string `xml:"reference,attr"`
	} `xml:"journalReference"`
}

// sample reads a payload and replaces texts in it; each must be there.
func sample(t *testing.T, name string, replacements ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return replaced(t, string(raw), replacements...)
}

func replaced(t *testing.T, text string, replacements ...string) string {
	t.Helper()
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(text, replacements[i]) {
			t.Fatalf("the payload does not hold %q", replacements[i])
		}
		text = strings.ReplaceAll(text, replacements[i], replacements[i+1])
	}
	return text
}

// The payloads, for the order of that code.
const (
	sampleCode  = "TU-01HX7M4Q9Z"
	sampleMIT   = "AR-01HX7M4R00"
	sampleToken = "9902000000000001"
	sampleMITID = "000000000000020005060720116005061"
)

// cardOrder is a direct order with the data of a card, as the payload of the
// token has it otherwise.
func cardOrder(t *testing.T, code, number, name, method string) string {
	t.Helper()
	body := sample(t, "10_mit_token.xml", sampleMIT, code)
	before, rest, _ := strings.Cut(body, "<TOKEN-SSL")
	_, after, found := strings.Cut(rest, "</storedCredentials>")
	if !found {
		t.Fatal("the payload does not hold what is to be replaced")
	}
	return before + "<" + method + "><cardNumber>" + number + `</cardNumber><expiryDate><date month="11" year="2047"/></expiryDate><cardHolderName>` + name +
		"</cardHolderName><cvc>7391</cvc></" + method + ">" + after
}

// post sends a document with the merchant's login.
func (b *bundle) post(body string) (*http.Response, []byte, error) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.http.URL+"/base"+worldpaysandbox.ServicePath, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/xml")
	r.SetBasicAuth(b.merchant.Username, b.merchant.Password)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	return response, raw, err
}

// say sends a document and reads the reply, which is a document, too.
func (b *bundle) say(body string) document {
	b.t.Helper()
	response, raw, err := b.post(body)
	if err != nil {
		b.t.Fatal(err)
	}
	equal(b.t, "status", response.StatusCode, http.StatusOK)
	return read(b.t, raw)
}

func read(t *testing.T, raw []byte) document {
	t.Helper()
	if err := worldpaysandbox.Conforms(raw); err != nil {
		t.Errorf("%v: %s", err, raw)
	}
	d := document{raw: string(raw)}
	if err := xml.Unmarshal(raw, &d); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return d
}

// refusedWith checks that a reply is an error of an order.
func (d document) refusedWith(t *testing.T, code, text string) {
	t.Helper()
	if d.Order == nil || d.Order.Error == nil || d.Order.Error.Code != code || !strings.Contains(d.Order.Error.Text, text) {
		t.Errorf("the reply is %s, want error %s about the order: %s", d.raw, code, text)
	}
}

// refusedAtTop checks that a reply is an error of the request.
func (d document) refusedAtTop(t *testing.T, code, text string) {
	t.Helper()
	if d.Top == nil || d.Top.Code != code || !strings.Contains(d.Top.Text, text) {
		t.Errorf("the reply is %s, want error %s at its top: %s", d.raw, code, text)
	}
}

// hosted sends the sample's order under another code and returns the address
// of its page with the addresses to return to.
func (b *bundle) hosted(code string, replacements ...string) string {
	b.t.Helper()
	d := b.say(sample(b.t, "1_order_hpp.xml", append([]string{sampleCode, code}, replacements...)...))
	if d.Order == nil || d.Order.Reference == nil {
		b.t.Fatalf("the order is refused: %s", d.raw)
	}
	return d.Order.Reference.URL + returnAddresses
}

const returnAddresses = "&successURL=https%3A%2F%2Fshop.example%2Fsuccess%3Fn%3D1&pendingURL=https%3A%2F%2Fshop.example%2Fpending" +
	"&failureURL=https%3A%2F%2Fshop.example%2Ffailure&cancelURL=https%3A%2F%2Fshop.example%2Fcancel&errorURL=https%3A%2F%2Fshop.example%2Ferror"

// paid pays a new hosted order and returns the token that was made.
func (b *bundle) paid(code, name string) string {
	b.t.Helper()
	if p := browse(b.t, b.hosted(code), card(name)); p.status != http.StatusSeeOther {
		b.t.Fatalf("the page answers %d: %s", p.status, p.body)
	}
	return b.order(code).Payment.Token
}

// order is how the sandbox has an order.
func (b *bundle) order(code string) worldpaysandbox.Order {
	b.t.Helper()
	state := must(b.server.Inspect(b.t.Context(), b.merchant.Code))(b.t)
	for _, o := range state.Orders {
		if o.Code == code {
			return o
		}
	}
	b.t.Fatalf("there is no order %s", code)
	return worldpaysandbox.Order{}
}

// inquire asks how an order stands.
func (b *bundle) inquire(code string) document {
	b.t.Helper()
	return b.say(sample(b.t, "6_inquiry.xml", sampleCode, code))
}

// happen lets something happen to an order.
func (b *bundle) happen(code string, h worldpaysandbox.Happening) {
	b.t.Helper()
	if err := b.server.Happen(b.t.Context(), b.merchant.Code, code, h); err != nil {
		b.t.Fatal(err)
	}
}

// page is a hosted page as a browser without scripts sees it.
type page struct {
	status   int
	body     string
	location string
	header   http.Header
}

func (p page) contains(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("the page does not show %q:\n%s", text, p.body)
		}
	}
}

// browse opens a page, or sends a form to it when there are values. It follows
// no redirects.
func browse(t *testing.T, address string, form url.Values) page {
	t.Helper()
	client := &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var response *http.Response
	var err error
	if form == nil {
		response, err = client.Get(address)
	} else {
		response, err = client.PostForm(address, form)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	p := page{status: response.StatusCode, body: string(body), header: response.Header}
	if to, err := response.Location(); err == nil {
		p.location = to.String()
	}
	return p
}

// card is the form as a shopper fills it in.
func card(name string) url.Values {
	return url.Values{"number": {"4444 3333 2222 1111"}, "expiry": {"12/44"}, "cvc": {"123"}, "name": {name}}
}

// control calls a control endpoint and decodes its answer.
func (b *bundle) control(method, path, body string, into any) int {
	b.t.Helper()
	return b.controlAs(b.merchant.Username, b.merchant.Password, method, path, body, into)
}

func (b *bundle) controlAs(username, password, method, path, body string, into any) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.http.URL+"/base/_sandbox/"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	if username != "" {
		r.SetBasicAuth(username, password)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(raw, into); err != nil {
			b.t.Fatalf("%s %s: %v in %s", method, path, err, raw)
		}
	}
	return response.StatusCode
}

// must returns the value or ends the test.
func must[T any](value T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came that %s", what)
		}
	}
}
