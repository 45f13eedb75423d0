// Package worldpay is the adapter for Worldpay's corporate gateway, which
// speaks XML, and for everything that speaks its protocol, the built-in sandbox
// first of all. It puts the requests of package gateway to the XML service and
// says what became of them.
//
// It owns no state but the calls whose refunds it has sent a moment ago, and
// makes no retries: a request leaves once, and asking again is the caller's,
// with the same call. What it keeps:
//
//   - the order code is made of the call's id, and Worldpay takes an order code
//     once: the same call never pays twice, however often it is asked;
//   - after an answer that tells nothing, and before an old call is believed to
//     have done nothing, the order is inquired;
//   - Worldpay has one answer for an order that it does not know and for one
//     that nobody has paid, so "no payment" proves something only five minutes
//     after the request;
//   - refunds have no key at Worldpay, so one is sent at most once, at once;
//   - every answer is read strictly, and one about another order, merchant or
//     currency is no answer;
//   - no secret appears in a log, an error or a failure.
package worldpay

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"purser/gateway"
)

const (
	// callTimeout bounds an operation whose context has no deadline.
	callTimeout = 20 * time.Second
	// absenceProof is how long after the request "no payment" proves that there
	// is none: before, the request may still be on its way through Worldpay.
	absenceProof = 5 * time.Minute
	// orderLifetime is how long after its beginning a call is still sent. What
	// has not happened by then will not: it is only looked for.
	orderLifetime = 23 * time.Hour
	// firstTry is how young a call is that surely nobody has tried before: the
	// next try comes no earlier than 15 seconds after the first.
	firstTry = 10 * time.Second
)

// Config is what an Adapter is made of.
type Config struct {
	// BaseURL names the address of an environment, without the path of the XML
	// service. An empty address stands for Worldpay's own, which SANDBOX never
	// has. It is asked at every call. Default: Worldpay's own for TEST and
	// LIVE, none for SANDBOX.
	BaseURL func(gateway.Environment) (address string, err error)
	// CheckEndpoint refuses an address that an account names as its service's,
	// unless it is at the given one, which is Worldpay's own, or at one that
	// the operator allows. Default: every address is refused.
	CheckEndpoint func(endpoint, own string) error
	// HTTPClient makes the requests; a copy of it is used. Redirects are
	// refused and cookies forgotten whatever it says. Default: no proxy, 20 s
	// for a whole exchange.
	HTTPClient *http.Client
	// Logger gets one line per operation. Default: none.
	Logger *slog.Logger
	// Now tells the time. Default: time.Now.
	Now func() time.Time
	// Observe is told of every finished operation. Default: nobody.
	Observe func(operation string, status gateway.Status, d time.Duration)
}

// Adapter speaks with Worldpay for any number of merchant accounts. It may be
// used from many goroutines.
type Adapter struct {
	baseURL func(gateway.Environment) (address string, err error)
	allowed func(endpoint, own string) error
	http    *http.Client
	logger  *slog.Logger
	now     func() time.Time
	observe func(string, gateway.Status, time.Duration)

	mu sync.Mutex
	// refunds are the calls whose refunds were sent within firstTry.
	refunds map[string]time.Time
}

// New makes an adapter. Nothing is sent before the first operation.
func New(c Config) *Adapter {
	a := &Adapter{baseURL: c.BaseURL, allowed: c.CheckEndpoint, logger: c.Logger, now: c.Now, observe: c.Observe, refunds: make(map[string]time.Time)}
	if a.baseURL == nil {
		a.baseURL = func(gateway.Environment) (string, error) { return "", nil }
	}
	if a.allowed == nil {
		a.allowed = func(string, string) error { return errors.New("the address of the XML service cannot be chosen here") }
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
	a.http = careful(h)
	return a
}

// Kind is gateway.KindWorldpay.
func (a *Adapter) Kind() gateway.Kind { return gateway.KindWorldpay }

// What the adapter offers.
var (
	_ gateway.Adapter        = (*Adapter)(nil)
	_ gateway.HostedPayments = (*Adapter)(nil)
	_ gateway.Charges        = (*Adapter)(nil)
	_ gateway.SavedCards     = (*Adapter)(nil)
	_ gateway.Refunds        = (*Adapter)(nil)
	_ gateway.Disputes       = (*Adapter)(nil)
	_ gateway.Notifications  = (*Adapter)(nil)
	_ gateway.Confirmations  = (*Adapter)(nil)
	_ gateway.Returns        = (*Adapter)(nil)
	_ gateway.Credentials    = (*Adapter)(nil)
	_ gateway.AccountCheck   = (*Adapter)(nil)
)

// operation is one operation on one account. It is used by one goroutine.
type operation struct {
	a       *Adapter
	ctx     context.Context
	cancel  context.CancelFunc
	account gateway.Account
	call    gateway.Call
	name    string
	start   time.Time
	address string
	refused *problem // set when the operation cannot begin; every request then returns it
}

// begin prepares an operation. It never fails: what stands against it is what
// the first request returns.
func (a *Adapter) begin(ctx context.Context, acc gateway.Account, call gateway.Call, name string) *operation {
	o := &operation{a: a, account: acc, call: call, name: name, start: a.now(), ctx: ctx, cancel: func() {}}
	if _, ok := ctx.Deadline(); !ok {
		o.ctx, o.cancel = context.WithTimeout(ctx, callTimeout)
	}
	if err := a.CheckKeys(acc.Environment, acc.SecretKey, acc.PublishableKey); err != nil {
		o.refused = lockedOut(codeBadKeys, err.Error())
		return o
	}
	if err := checkMerchantCode(acc.MerchantCode); err != nil {
		o.refused = lockedOut(codeBadKeys, err.Error())
		return o
	}
	var err error
	if o.address, err = a.service(acc); err != nil {
		o.refused = lockedOut(codeNoAddress, err.Error())
	}
	return o
}

// end reports how the operation went. Deferred with the result's outcome.
func (o *operation) end(out *gateway.Outcome) {
	o.cancel()
	d := o.a.now().Sub(o.start)
	level := slog.LevelInfo
	if out.Status == gateway.StatusUnknown {
		level = slog.LevelWarn
	}
	code := ""
	if out.Failure != nil {
		code = out.Failure.Code
	}
	o.a.logger.LogAttrs(context.WithoutCancel(o.ctx), level, "gateway call",
		slog.String("gateway", string(gateway.KindWorldpay)),
		slog.String("operation", o.name),
		slog.String("organization_id", o.account.OrganizationID),
		slog.String("provider_id", o.account.ProviderID),
		slog.String("call_id", o.call.ID),
		slog.String("status", string(out.Status)),
		slog.String("code", code),
		slog.Duration("duration", d),
	)
	o.a.observe(o.name, out.Status, d)
}

// age is how long ago the call began; zero where it begins now.
func (o *operation) age() time.Duration {
	if o.call.StartedAt.IsZero() {
		return 0
	}
	return o.start.Sub(o.call.StartedAt)
}

// late reports whether the call is too old to be sent: it is only looked for.
func (o *operation) late() bool { return o.age() > orderLifetime }

// first reports whether surely nobody has tried the call before. A clock that
// goes wrong makes it false.
func (o *operation) first() bool { return o.age() >= -time.Second && o.age() < firstTry }

// claim reports whether the call may send what must be sent once: the first
// time that it is asked, within the time in which nobody else can have.
func (o *operation) claim() bool {
	if !o.first() {
		return false
	}
	o.a.mu.Lock()
	defer o.a.mu.Unlock()
	for id, at := range o.a.refunds {
		if o.start.Sub(at) > 2*firstTry {
			delete(o.a.refunds, id)
		}
	}
	_, sent := o.a.refunds[o.call.ID]
	if !sent {
		o.a.refunds[o.call.ID] = o.start
	}
	return !sent
}

// provesAbsence reports whether "no payment" proves that there is none.
func (o *operation) provesAbsence() bool { return o.age() >= absenceProof }
