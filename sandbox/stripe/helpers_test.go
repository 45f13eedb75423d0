package stripesandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"github.com/stripe/stripe-go/v76/webhook"

	stripesandbox "purser/sandbox/stripe"
)

const testKey = "sk_test_0123456789abcdef"

// bundle is a running sandbox with an unmodified stripe-go client, and a
// receiver of its webhooks.
type bundle struct {
	*client.API
	t      *testing.T
	path   string
	log    *lockedBuffer
	server *stripesandbox.Server
	http   *httptest.Server
	stop   func()
	hook   *receiver
}

// setup starts a sandbox on a file of its own.
func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{t: t, path: filepath.Join(t.TempDir(), "sandbox.db"), log: &lockedBuffer{}}
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

// start opens the sandbox and serves it below /base, as the product mounts it.
func (b *bundle) start() {
	b.t.Helper()
	server, err := stripesandbox.Open(b.t.Context(), stripesandbox.Config{
		Path: b.path, RetryBase: 10 * time.Millisecond, Logger: slog.New(slog.NewJSONHandler(b.log, nil)),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = server
	b.http = httptest.NewServer(http.StripPrefix("/base", server.Handler()))
	server.SetPublicURL(b.http.URL + "/base/")
	b.API = b.client(testKey)
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

// client makes a stripe-go client that does not retry, so that a test sees
// every answer there is.
func (b *bundle) client(key string) *client.API {
	config := func() *stripe.BackendConfig {
		return &stripe.BackendConfig{
			URL: stripe.String(b.http.URL + "/base"), MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
			LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
		}
	}
	return client.New(key, &stripe.Backends{
		API:     stripe.GetBackendWithConfig(stripe.APIBackend, config()),
		Connect: stripe.GetBackendWithConfig(stripe.ConnectBackend, config()),
		Uploads: stripe.GetBackendWithConfig(stripe.UploadsBackend, config()),
	})
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

// received is one delivery as it arrived.
type received struct {
	event  stripe.Event
	raw    []byte
	header string
}

// receiver is a merchant's webhook endpoint.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	secret   string
	list     []received
	refuse   int // answers 500 to that many deliveries first
	arrivals chan struct{}
}

// listen registers an endpoint for the events and collects what comes.
func (b *bundle) listen(events ...string) *receiver {
	b.t.Helper()
	r := &receiver{arrivals: make(chan struct{}, 10_000)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			b.t.Errorf("read a delivery: %v", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		header := req.Header.Get("Stripe-Signature")
		event, err := webhook.ConstructEvent(raw, header, r.secret)
		if err != nil {
			b.t.Errorf("a delivery does not verify: %v", err)
		}
		if r.refuse > 0 {
			r.refuse--
			http.Error(w, "not now", http.StatusInternalServerError)
			return
		}
		r.list = append(r.list, received{event: event, raw: raw, header: header})
		r.arrivals <- struct{}{}
	}))
	b.t.Cleanup(r.Close)
	params := &stripe.WebhookEndpointParams{URL: stripe.String(r.URL), APIVersion: stripe.String(stripe.APIVersion)}
	for _, e := range events {
		params.EnabledEvents = append(params.EnabledEvents, stripe.String(e))
	}
	endpoint, err := b.WebhookEndpoints.New(params)
	if err != nil {
		b.t.Fatal(err)
	}
	r.mu.Lock()
	r.secret = endpoint.Secret
	r.mu.Unlock()
	b.hook = r
	return r
}

// wait returns the deliveries once there are n of them.
func (r *receiver) wait(t *testing.T, n int) []received {
	t.Helper()
	return r.waitFor(t, n, func(list []received) []received { return list })
}

// distinct returns the events once there are n of them, each as it came first:
// a delivery that a stop broke off comes again.
func (r *receiver) distinct(t *testing.T, n int) []received {
	t.Helper()
	return r.waitFor(t, n, func(list []received) []received {
		seen := map[string]bool{}
		var out []received
		for _, e := range list {
			if !seen[e.event.ID] {
				out = append(out, e)
			}
			seen[e.event.ID] = true
		}
		return out
	})
}

func (r *receiver) waitFor(t *testing.T, n int, view func([]received) []received) []received {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		list := view(append([]received(nil), r.list...))
		r.mu.Unlock()
		if len(list) >= n {
			return list
		}
		select {
		case <-r.arrivals:
		case <-deadline:
			t.Fatalf("%d deliveries never came; got %v", n, types(list))
		}
	}
}

func types(list []received) []string {
	var out []string
	for _, r := range list {
		out = append(out, string(r.event.Type))
	}
	return out
}

// customer makes a customer, with a saved default card unless token is empty.
func (b *bundle) customer(token string) *stripe.Customer {
	b.t.Helper()
	c := must(b.Customers.New(&stripe.CustomerParams{Name: stripe.String("Ada"), Email: stripe.String("ada@example.com")}))(b.t)
	if token != "" {
		pm := must(b.PaymentMethods.Attach(token, &stripe.PaymentMethodAttachParams{Customer: stripe.String(c.ID)}))(b.t)
		c = must(b.Customers.Update(c.ID, &stripe.CustomerParams{
			InvoiceSettings: &stripe.CustomerInvoiceSettingsParams{DefaultPaymentMethod: stripe.String(pm.ID)},
		}))(b.t)
	}
	return c
}

// invoice makes an open invoice over 12.00 EUR.
func (b *bundle) invoice(customer string) *stripe.Invoice {
	b.t.Helper()
	inv := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer), Currency: stripe.String("eur"), AutoAdvance: stripe.Bool(false)}))(b.t)
	must(b.InvoiceItems.New(&stripe.InvoiceItemParams{
		Customer: stripe.String(customer), Invoice: stripe.String(inv.ID),
		Amount: stripe.Int64(1200), Currency: stripe.String("eur"), Description: stripe.String("Calls"),
	}))(b.t)
	return must(b.Invoices.FinalizeInvoice(inv.ID, &stripe.InvoiceFinalizeInvoiceParams{}))(b.t)
}

// intent makes a payment intent over 20.00 USD that is confirmed at once.
func (b *bundle) intent(token, customer string, more func(*stripe.PaymentIntentParams)) (*stripe.PaymentIntent, error) {
	p := &stripe.PaymentIntentParams{Amount: stripe.Int64(2000), Currency: stripe.String("usd"), PaymentMethod: stripe.String(token), Confirm: stripe.Bool(true)}
	if customer != "" {
		p.Customer = stripe.String(customer)
	}
	if more != nil {
		more(p)
	}
	return b.PaymentIntents.New(p)
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

// refused returns the API error, of the given status.
func refused(t *testing.T, err error, status int) *stripe.Error {
	t.Helper()
	var e *stripe.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want an API error with status %d", err, status)
	}
	if e.HTTPStatusCode != status {
		t.Fatalf("got %d %s %q, want status %d", e.HTTPStatusCode, e.Code, e.Msg, status)
	}
	return e
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// page is a hosted page as a browser without scripts sees it.
type page struct {
	status int
	url    string
	body   string
	header http.Header
}

func (p page) contains(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(p.body, text) {
			t.Errorf("the page %s does not show %q:\n%s", p.url, text, p.body)
		}
	}
}

// browse opens a page, or sends a form to it when there are values, and
// follows redirects like a browser.
func browse(t *testing.T, address string, form url.Values) page {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browseWith(t, &http.Client{Jar: jar, Timeout: 20 * time.Second}, address, form)
}

// browseOnce is browse without following redirects.
func browseOnce(t *testing.T, address string, form url.Values) page {
	t.Helper()
	return browseWith(t, &http.Client{Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, address, form)
}

func browseWith(t *testing.T, c *http.Client, address string, form url.Values) page {
	t.Helper()
	var response *http.Response
	var err error
	if form == nil {
		response, err = c.Get(address)
	} else {
		response, err = c.PostForm(address, form)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{status: response.StatusCode, url: response.Request.URL.String(), body: string(body), header: response.Header}
}

// card is the form of a card as a payer fills it in.
func card(number string) url.Values {
	return url.Values{"number": {number}, "expiry": {"12/44"}, "cvc": {"123"}, "name": {"Ada Lovelace"}}
}

// control calls a control endpoint and decodes its answer.
func (b *bundle) control(method, path, body string, into any) int {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.http.URL+"/base/_sandbox/"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
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

// jsonField returns a text inside a JSON document that stripe-go has no field for.
func jsonField(raw []byte, keys ...string) (string, error) {
	var at any
	if err := json.Unmarshal(raw, &at); err != nil {
		return "", err
	}
	for _, key := range keys {
		m, ok := at.(map[string]any)
		if !ok {
			return "", errors.New("no object at " + key)
		}
		at = m[key]
	}
	text, ok := at.(string)
	if !ok {
		return "", errors.New("no text at the end of " + strings.Join(keys, "."))
	}
	return text, nil
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
