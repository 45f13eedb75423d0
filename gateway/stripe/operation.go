package stripe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"reflect"
	"strconv"
	"time"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

const (
	// keyMax is the longest Idempotency-Key that Stripe takes, in characters.
	keyMax = 255
	// stepMax is the longest step added to a call's key.
	stepMax = 70
	// lookMax bounds how many objects a search by metadata reads.
	lookMax = 500
	// clockSlack is how far Stripe's clock and ours may differ.
	clockSlack = 10 * time.Minute
)

// operation is one operation on one account: the requests it takes, in order,
// and what they have done so far. It is used by one goroutine.
type operation struct {
	a       *Adapter
	c       *client
	ctx     context.Context
	cancel  context.CancelFunc
	account gateway.Account
	call    gateway.Call
	name    string
	start   time.Time
	refused *problem // set when the operation cannot begin; every step then returns it

	replayed  bool   // an answer came from Stripe's store, so it may be old
	acted     bool   // a step has changed something that a new call would make again
	requestID string // of the last request
	customer  string // whom the request is for, where Stripe has known it before
}

// begin prepares an operation. It never fails: what stands against it is what
// the first step returns.
func (a *Adapter) begin(ctx context.Context, acc gateway.Account, call gateway.Call, name string) *operation {
	o := &operation{a: a, account: acc, call: call, name: name, start: a.now(), ctx: ctx, cancel: func() {}}
	if len(call.Key) > keyMax-stepMax-1 {
		o.refused = refusal(codeBadRequest, "the idempotency key is too long")
		return o
	}
	if _, ok := ctx.Deadline(); !ok {
		o.ctx, o.cancel = context.WithTimeout(ctx, callTimeout)
	}
	o.c, o.refused = a.client(acc)
	return o
}

// end reports how the operation went. Deferred with the result's outcome.
func (o *operation) end(out *gateway.Outcome) {
	if out.RequestID == "" {
		out.RequestID = o.requestID
	}
	o.blameCustomer(out)
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
		slog.String("gateway", string(gateway.KindStripe)),
		slog.String("operation", o.name),
		slog.String("organization_id", o.account.OrganizationID),
		slog.String("provider_id", o.account.ProviderID),
		slog.String("call_id", o.call.ID),
		slog.String("status", string(out.Status)),
		slog.String("code", code),
		slog.String("request_id", out.RequestID),
		slog.Duration("duration", d),
	)
	o.a.observe(o.name, out.Status, d)
}

// succeeded is the outcome of an operation that did what it was asked.
func (o *operation) succeeded() gateway.Outcome {
	return gateway.Outcome{Status: gateway.StatusSucceeded, RequestID: o.requestID}
}

// never is the outcome of a call that will not be sent again, because its key
// is too old or answers with a stored error, and of which Stripe shows that it
// did nothing.
func (o *operation) never(message string) gateway.Outcome {
	return gateway.Outcome{
		Status: gateway.StatusUnavailable, Never: true,
		Failure:   &gateway.Failure{Code: codeExpired, Message: message},
		RequestID: o.requestID,
	}
}

// stale reports whether Stripe may have forgotten the call's keys.
func (o *operation) stale() bool {
	return !o.call.StartedAt.IsZero() && o.start.Sub(o.call.StartedAt) > keyLifetime
}

// metadata is what every object of this step carries. Stripe takes 50 entries
// of at most 500 characters.
func (o *operation) metadata(step string) map[string]string {
	return map[string]string{
		metaOrganization: o.account.OrganizationID,
		metaProvider:     o.account.ProviderID,
		metaCall:         o.call.ID,
		metaSubject:      o.call.Subject,
		metaStep:         step,
	}
}

// The names of our metadata.
const (
	metaOrganization = "purser_organization"
	metaProvider     = "purser_provider"
	metaCall         = "purser_call"
	metaSubject      = "purser_subject"
	metaStep         = "purser_step"
	metaOrder        = "purser_order"
	metaPayer        = "purser_payer"
)

// read makes one GET.
func read[T any](o *operation, send func(sdk.Params) (*T, error)) (*T, *problem) {
	return ask(o, "", send)
}

// write makes one POST or DELETE with the step's key.
func write[T any](o *operation, step string, send func(sdk.Params) (*T, error)) (*T, *problem) {
	if o.refused == nil && o.call.Key == "" {
		return nil, refusal(codeBadRequest, "the call has no idempotency key")
	}
	return ask(o, o.call.Key+":"+step, send)
}

// change makes one POST or DELETE that cannot happen twice: it moves an object
// into a state, or sets fields to values. Each attempt has a key of its own, so
// that an error stored under a key does not stand in the way of the next; a
// change made before is a refusal then, and the object tells so.
func change[T any](o *operation, step string, send func(sdk.Params) (*T, error)) (*T, *problem) {
	return write(o, step+"-"+o.a.attempt(o.start), send)
}

// attempt returns a text that no other attempt has.
func (a *Adapter) attempt(start time.Time) string {
	return strconv.FormatInt(start.UnixNano(), 36) + "-" + strconv.FormatUint(a.attempts.Add(1), 36)
}

// ask makes one request, and again while Stripe is too busy for it and
// there is time. One with a key that stays too many is not known to be over:
// its caller asks again later with the same call, and nobody is told no.
func ask[T any](o *operation, key string, send func(sdk.Params) (*T, error)) (object *T, p *problem) {
	for range busyTriesMax {
		if object, p = exchangeOnce(o, key, send); p == nil || !p.busy {
			return object, p
		}
	}
	if key != "" {
		p = p.unsettled()
	}
	return nil, p
}

func exchangeOnce[T any](o *operation, key string, send func(sdk.Params) (*T, error)) (*T, *problem) {
	if o.refused != nil {
		return nil, o.refused
	}
	if !o.c.pace.wait(o.ctx) {
		return nil, tooBusy(o.requestID)
	}
	ctx, ex := withExchange(o.ctx)
	p := sdk.Params{Context: ctx}
	if key != "" {
		p.IdempotencyKey = sdk.String(key)
	}
	object, err := send(p)
	if id := ex.id(); id != "" {
		o.requestID = id
	}
	if ex.replayed.Load() {
		o.replayed = true
	}
	if err == nil && fieldsOf(object).id == "" {
		err = errNoObject
	}
	if err != nil {
		// The SDK returns an empty object beside an error.
		p := o.problem(err, ex)
		p.replayed = ex.replayed.Load()
		if p.busy {
			o.c.pace.slow(time.Now(), time.Duration(ex.after.Load())*time.Second, o.a.busyPause)
		}
		return nil, p
	}
	return object, nil
}

// problem classifies an error in the light of what was already done.
func (o *operation) problem(err error, ex *exchange) *problem {
	p := classify(err, ex)
	if p.Status == gateway.StatusUnavailable && o.acted {
		// Trying again with a new key would do the earlier steps twice.
		return p.unsettled()
	}
	return p
}

// finder looks for the object that a step has made.
type finder[T any] func() (*T, *problem)

// create makes one object, or finds the one that an earlier request of the
// same step made, where its answer is lost for good: Stripe replays a stored
// server error for as long as it remembers the key, and may do anything with
// a key it has forgotten.
func create[T any](o *operation, step string, find finder[T], send func(sdk.Params) (*T, error)) (*T, *problem) {
	if o.refused == nil && o.stale() {
		object, p := find()
		if object != nil || p != nil {
			return object, p
		}
	}
	object, p := write(o, step, send)
	if p == nil || !p.stored {
		return object, p
	}
	found, fp := find()
	if fp == nil && found != nil {
		return found, nil
	}
	// A first error may not be remembered, and a key that is refused for other
	// parameters was used for something.
	p.undone = fp == nil && p.server && p.replayed
	return nil, p
}

// remake is create for what moves no money. An error that Stripe replays will
// be its answer to this key for good; where the list proves that nothing was
// made, another attempt makes it, and is found by its metadata from then on.
func remake[T any](o *operation, step string, find finder[T], send func(sdk.Params) (*T, error)) (*T, *problem) {
	object, p := create(o, step, find, send)
	if p == nil || !p.undone {
		return object, p
	}
	return change(o, step, send)
}

// newest searches a list, newest first, for the object with this call's and
// step's metadata. It returns nothing when the list proves that there is
// none, and a problem when it could not be read to that point.
func newest[T any](o *operation, step string, list func(sdk.ListParams) *sdk.Iter) (*T, *problem) {
	return newestOf[T](o, o.call.StartedAt, func(metadata map[string]string) bool {
		return metadata[metaCall] == o.call.ID && metadata[metaStep] == step
	}, list)
}

// newestOf searches a list as newest does, for the object whose metadata fit,
// down to those made before since.
func newestOf[T any](o *operation, since time.Time, fits func(map[string]string) bool, list func(sdk.ListParams) *sdk.Iter) (*T, *problem) {
	if o.refused != nil {
		return nil, o.refused
	}
	if !o.c.pace.wait(o.ctx) {
		return nil, tooBusy(o.requestID)
	}
	ctx, ex := withExchange(o.ctx)
	it := list(sdk.ListParams{Context: ctx, Limit: sdk.Int64(100)})
	for n := 0; it.Next(); n++ {
		object, ok := it.Current().(*T)
		if !ok || n >= lookMax {
			return nil, &problem{Outcome: gateway.Outcome{Status: gateway.StatusUnknown, RequestID: ex.id()}}
		}
		f := fieldsOf(object)
		if fits(f.metadata) {
			// Lists show objects as they are, but not expanded.
			o.replayed = true
			return object, nil
		}
		if !since.IsZero() && f.created != 0 && time.Unix(f.created, 0).Before(since.Add(-clockSlack)) {
			return nil, nil
		}
	}
	if err := it.Err(); err != nil {
		return nil, o.problem(err, ex)
	}
	return nil, nil
}

// common is what Stripe's objects have in common.
type common struct {
	id       string
	created  int64 // seconds since 1970; zero where the object has none
	metadata map[string]string
}

// fieldsOf reads the common fields of an object. The SDK has no interface for
// them, and thirteen hand-written adapters would say the same thing.
func fieldsOf(object any) common {
	v := reflect.ValueOf(object)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return common{}
	}
	v = v.Elem()
	var c common
	if f := v.FieldByName("ID"); f.IsValid() && f.Kind() == reflect.String {
		c.id = f.String()
	}
	if f := v.FieldByName("Created"); f.IsValid() && f.Kind() == reflect.Int64 {
		c.created = f.Int()
	}
	if f := v.FieldByName("Metadata"); f.IsValid() {
		c.metadata, _ = f.Interface().(map[string]string)
	}
	return c
}

// digest shortens parameters to a part of a key: other parameters, other key.
func digest(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
