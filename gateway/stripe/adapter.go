// Package stripe is the adapter for Stripe and for everything that speaks its
// protocol, the built-in sandbox first of all. It puts the requests of package
// gateway to Stripe's API of 2023-10-16 and says what became of them.
//
// It owns no state but a bounded cache of clients with the pace of each, and
// no retries but of what Stripe was too busy to begin: a request leaves once,
// with a key derived from the call's, and asking again is the caller's, with
// the same call. What it keeps:
//
//   - every POST and DELETE carries an explicit Idempotency-Key: one a step
//     where something is made or charged, so that it is made once; one an
//     attempt where an object only changes its state, which cannot happen twice;
//   - every object carries our metadata and can be found by it;
//   - an answer that Stripe replays from its store is old, so the object is
//     read again and reported as it is now;
//   - a stored server error tells nothing, so the object is looked for by its
//     metadata, and only what is found is reported;
//   - a key that Stripe may have forgotten never charges a card;
//   - no secret appears in a log, an error or a failure.
package stripe

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/balancetransaction"
	"github.com/stripe/stripe-go/v76/checkout/session"
	"github.com/stripe/stripe-go/v76/creditnote"
	"github.com/stripe/stripe-go/v76/customer"
	"github.com/stripe/stripe-go/v76/dispute"
	"github.com/stripe/stripe-go/v76/invoice"
	"github.com/stripe/stripe-go/v76/invoiceitem"
	"github.com/stripe/stripe-go/v76/paymentintent"
	"github.com/stripe/stripe-go/v76/paymentmethod"
	"github.com/stripe/stripe-go/v76/product"
	"github.com/stripe/stripe-go/v76/quote"
	"github.com/stripe/stripe-go/v76/refund"
	"github.com/stripe/stripe-go/v76/setupintent"
	"github.com/stripe/stripe-go/v76/webhookendpoint"

	"purser/gateway"
)

const (
	// callTimeout bounds an operation whose context has no deadline.
	callTimeout = 20 * time.Second
	// clientsMax bounds the cached clients. They share connections, so making
	// one anew costs next to nothing.
	clientsMax = 256
	// keyLifetime is how long a key is trusted to be remembered. Stripe says
	// 24 hours; the rest is for a request under way and for the clocks.
	keyLifetime = 23 * time.Hour
)

// Config is what an Adapter is made of.
type Config struct {
	// BaseURL names the address of an environment, without a trailing path of
	// the API. An empty address stands for Stripe's own, which SANDBOX never
	// has. It is asked at every call. Default: Stripe's own for TEST and LIVE,
	// none for SANDBOX.
	BaseURL func(gateway.Environment) (api string, err error)
	// HTTPClient makes the requests; a copy of it is used. Redirects are
	// refused whatever it says. Default: no proxy, 20 s for a whole exchange.
	HTTPClient *http.Client
	// Logger gets one line per operation. Default: none.
	Logger *slog.Logger
	// Now tells the time. Default: time.Now.
	Now func() time.Time
	// BusyPause is the pause before a request that Stripe was too busy for
	// leaves again, where Stripe does not say how long. Default: 500 ms.
	BusyPause time.Duration
	// Observe is told of every finished operation. Default: nobody.
	Observe func(operation string, status gateway.Status, d time.Duration)
}

// Adapter speaks with Stripe for any number of merchant accounts. It may be
// used from many goroutines.
type Adapter struct {
	baseURL func(gateway.Environment) (api string, err error)
	http    *http.Client
	logger  *slog.Logger
	now     func() time.Time
	observe func(string, gateway.Status, time.Duration)
	// busyPause is Config.BusyPause.
	busyPause time.Duration

	attempts atomic.Uint64

	mu      sync.Mutex
	clients map[clientKey]*client
}

type clientKey struct {
	provider string
	version  int
}

// client is what one merchant account's requests go through.
type client struct {
	key, api string
	used     time.Time
	pace     *pace

	backend   sdk.Backend
	customers customer.Client
	products  product.Client
	quotes    quote.Client
	invoices  invoice.Client
	items     invoiceitem.Client
	notes     creditnote.Client
	payments  paymentintent.Client
	refunds   refund.Client
	disputes  dispute.Client
	setups    setupintent.Client
	cards     paymentmethod.Client
	sessions  session.Client
	endpoints webhookendpoint.Client
	movements balancetransaction.Client
}

// New makes an adapter. Nothing is sent before the first operation.
func New(c Config) *Adapter {
	a := &Adapter{
		baseURL: c.BaseURL,
		logger:  c.Logger,
		now:     c.Now,
		observe: c.Observe,

		busyPause: c.BusyPause,

		clients: make(map[clientKey]*client),
	}
	if a.busyPause <= 0 {
		a.busyPause = busyPause
	}
	if a.baseURL == nil {
		a.baseURL = func(gateway.Environment) (string, error) { return "", nil }
	}
	if a.logger == nil {
		a.logger = slog.New(slog.DiscardHandler)
	}
	if a.now == nil {
		a.now = time.Now
	}
	if a.observe == nil {
		a.observe = func(string, gateway.Status, time.Duration) {}
	}
	h := c.HTTPClient
	if h == nil {
		h = &http.Client{Timeout: callTimeout, Transport: &http.Transport{
			ForceAttemptHTTP2:     true,
			MaxIdleConns:          100,
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
		}}
	}
	a.http = recording(h)
	return a
}

// Kind is gateway.KindStripe.
func (a *Adapter) Kind() gateway.Kind { return gateway.KindStripe }

// client returns the account's client after checking that key, environment
// and address belong together.
func (a *Adapter) client(acc gateway.Account) (*client, *problem) {
	if err := CheckKeys(acc.Environment, acc.SecretKey, acc.PublishableKey); err != nil {
		return nil, lockedOut(codeBadKeys, err.Error())
	}
	api, err := a.baseURL(acc.Environment)
	if err != nil {
		return nil, lockedOut(codeNoAddress, "the environment "+string(acc.Environment)+" has no gateway address: "+err.Error())
	}
	if acc.Environment == gateway.EnvironmentSandbox && api == "" {
		// Never let a sandbox's requests go to Stripe.
		return nil, lockedOut(codeNoAddress, "the environment SANDBOX has no gateway address")
	}
	if api == "" {
		api = sdk.APIURL
	}
	// As the SDK does with its own.
	api = strings.TrimSuffix(strings.TrimSuffix(api, "/"), "/v1")
	key := clientKey{acc.OrganizationID + "/" + acc.ProviderID, acc.CredentialVersion}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.clients[key]; c != nil && c.key == acc.SecretKey && c.api == api {
		c.used = a.now()
		return c, nil
	}
	c := a.connect(acc.SecretKey, api)
	c.used, c.pace = a.now(), newPace(requestsPerSecond(acc.Environment))
	if len(a.clients) >= clientsMax {
		a.evict()
	}
	a.clients[key] = c
	return c, nil
}

// evict forgets the client used longest ago. The caller holds the lock.
func (a *Adapter) evict() {
	var oldest clientKey
	var at time.Time
	for key, c := range a.clients {
		if at.IsZero() || c.used.Before(at) {
			oldest, at = key, c.used
		}
	}
	delete(a.clients, oldest)
}

// connect makes a client.
func (a *Adapter) connect(key, api string) *client {
	b := sdk.GetBackendWithConfig(sdk.APIBackend, &sdk.BackendConfig{
		EnableTelemetry: sdk.Bool(false),
		HTTPClient:      a.http,
		// The SDK logs whole bodies, client secrets among them; one line per
		// operation is written here instead.
		LeveledLogger: &sdk.LeveledLogger{Level: sdk.LevelNull},
		// Its pauses between retries ignore the deadline.
		MaxNetworkRetries: sdk.Int64(0),
		URL:               sdk.String(api),
	})
	return &client{
		key: key, api: api, backend: b,
		customers: customer.Client{B: b, Key: key},
		products:  product.Client{B: b, Key: key},
		quotes:    quote.Client{B: b, Key: key},
		invoices:  invoice.Client{B: b, Key: key},
		items:     invoiceitem.Client{B: b, Key: key},
		notes:     creditnote.Client{B: b, Key: key},
		payments:  paymentintent.Client{B: b, Key: key},
		refunds:   refund.Client{B: b, Key: key},
		disputes:  dispute.Client{B: b, Key: key},
		setups:    setupintent.Client{B: b, Key: key},
		cards:     paymentmethod.Client{B: b, Key: key},
		sessions:  session.Client{B: b, Key: key},
		endpoints: webhookendpoint.Client{B: b, Key: key},
		movements: balancetransaction.Client{B: b, Key: key},
	}
}

// TestAccount reads the account behind the secret key. A restricted key
// without that right is Rejected with Stripe's own explanation.
func (a *Adapter) TestAccount(ctx context.Context, acc gateway.Account) (res gateway.AccountResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "account_test")
	defer o.end(&res.Outcome)
	account, p := read(o, func(p sdk.Params) (*sdk.Account, error) {
		// The SDK's own method sends no parameters, and with them no context.
		account := new(sdk.Account)
		return account, o.c.backend.Call(http.MethodGet, "/v1/account", o.c.key, &sdk.AccountParams{Params: p}, account)
	})
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	res.Outcome = o.succeeded()
	res.AccountID = account.ID
	res.Country = account.Country
	res.ChargesEnabled = account.ChargesEnabled
	return res
}

// What the adapter offers.
var (
	_ gateway.Adapter        = (*Adapter)(nil)
	_ gateway.Quotes         = (*Adapter)(nil)
	_ gateway.Invoices       = (*Adapter)(nil)
	_ gateway.HostedPayments = (*Adapter)(nil)
	_ gateway.Charges        = (*Adapter)(nil)
	_ gateway.Cancels        = (*Adapter)(nil)
	_ gateway.Cards          = (*Adapter)(nil)
	_ gateway.Refunds        = (*Adapter)(nil)
	_ gateway.RefundLists    = (*Adapter)(nil)
	_ gateway.Disputes       = (*Adapter)(nil)
	_ gateway.Events         = (*Adapter)(nil)
)
