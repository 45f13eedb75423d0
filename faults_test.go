package main

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"purser/gateway"
	"purser/sandbox"
)

// move is something that somebody does, with what must be there before it and
// how it ends when all goes well.
type move struct {
	name string
	// class is what kind of step it is, which decides on what can go wrong.
	class class
	// gateway is who is asked; "" where nobody is.
	gateway gateway.Kind
	// writes begins the paths of the requests by which the gateway does it.
	writes  string
	prepare func(t *testing.T, s *stack, c *cast)
	// lead does what of ask comes before the gateway is asked for money.
	lead func(t *testing.T, s *stack)
	// finish ends what plays of the step have left running.
	finish func(t *testing.T, s *stack)
	// ask sends the mutation once. The text says how things stand after it.
	ask func(ctx context.Context, s *stack, c *cast, key string) (string, error)
	// start is ask for what a payer has to do on a page, which it returns.
	start  func(ctx context.Context, s *stack, c *cast, key string) (page, text string, err error)
	number string // of the card to be typed there
	want   string
	// takes says that the gateway takes money then.
	takes bool
}

// once sends a mutation and reads the states at the paths.
func once(ctx context.Context, s *stack, name, selection string, input map[string]any, paths ...string) (string, result, error) {
	got, err := s.mutate(ctx, name, selection, input)
	text := ""
	for _, path := range paths {
		text += got.text(path) + " "
	}
	return text, got, err
}

// sales are the mutations with a call of Stripe that move no money there.
func sales() []move {
	ofInvoice := func(name string, more map[string]any) func(context.Context, *stack, *cast, string) (string, error) {
		return func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
			input := map[string]any{"id": c.invoice}
			for k, v := range more {
				input[k] = v
			}
			if name != "invoiceVoid" {
				input["idempotencyKey"] = key
			}
			text, _, err := once(ctx, s, name, "invoice { status }", input, "invoice.status")
			return text, err
		}
	}
	draft := func(t *testing.T, s *stack, c *cast) {
		c.invoice = s.do(t, "invoiceCreate", "invoice { id }", map[string]any{
			"payerId": c.payer, "lineItems": []any{map[string]any{"description": "Consulting", "unitAmount": usDollars("25.00")}},
		}).text("invoice.id")
	}
	open := func(t *testing.T, s *stack, c *cast) {
		c.invoice = s.newInvoice(t, c.payer).text("invoice.id")
	}
	quoted := func(t *testing.T, s *stack, c *cast) {
		c.quote = s.do(t, "quoteCreate", "quote { id }", map[string]any{
			"payerId": c.payer, "lineItems": []any{map[string]any{"description": "Consulting", "unitAmount": usDollars("25.00")}},
		}).text("quote.id")
	}
	offered := func(t *testing.T, s *stack, c *cast) {
		quoted(t, s, c)
		s.do(t, "quoteFinalize", "quote { id }", map[string]any{"id": c.quote})
	}
	carded := func(t *testing.T, s *stack, c *cast) {
		c.payer = s.newPayer(t, s.newName())
		s.newCard(t, c.payer, "pm_card_visa")
		c.card = s.newCard(t, c.payer, "pm_card_mastercard")
	}
	all := []move{
		{
			name: "paymentMethodAttach", want: "ACTIVE ",
			prepare: func(t *testing.T, s *stack, c *cast) {
				c.payer = s.newPayer(t, s.newName())
			},
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "paymentMethodAttach", "paymentMethod { status }", map[string]any{
					"payerId": c.payer, "gatewayToken": "pm_card_visa", "makeDefault": true, "idempotencyKey": key,
				}, "paymentMethod.status")
				return text, err
			},
		},
		{
			name: "paymentMethodSetDefault", want: "ACTIVE ", prepare: carded,
			ask: func(ctx context.Context, s *stack, c *cast, _ string) (string, error) {
				text, _, err := once(ctx, s, "paymentMethodSetDefault", "paymentMethod { status }", map[string]any{"id": c.card}, "paymentMethod.status")
				return text, err
			},
		},
		{
			name: "paymentMethodDetach", want: "DETACHED ", prepare: carded,
			ask: func(ctx context.Context, s *stack, c *cast, _ string) (string, error) {
				text, _, err := once(ctx, s, "paymentMethodDetach", "paymentMethod { status }", map[string]any{"id": c.card}, "paymentMethod.status")
				var refused *refusal
				if errors.As(err, &refused) && refused.Code == "INVALID_STATE" {
					return "DETACHED ", nil // by the try before, whose answer was lost
				}
				return text, err
			},
		},
		{
			name: "quoteAccept", want: "ACCEPTED DRAFT ", prepare: offered,
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "quoteAccept", "quote { status } invoice { status }", map[string]any{"id": c.quote, "idempotencyKey": key},
					"quote.status", "invoice.status")
				return text, err
			},
		},
		{
			name: "quoteCancel", want: "CANCELED ", prepare: offered,
			ask: func(ctx context.Context, s *stack, c *cast, _ string) (string, error) {
				text, _, err := once(ctx, s, "quoteCancel", "quote { status }", map[string]any{"id": c.quote}, "quote.status")
				return text, err
			},
		},
		{name: "invoicePay out of band", want: "PAID ", prepare: open, ask: ofInvoice("invoicePay", map[string]any{"outOfBand": true})},
		{name: "invoiceVoid", want: "VOID ", prepare: open, ask: ofInvoice("invoiceVoid", nil)},
		{
			name: "creditNoteCreate of an open invoice", want: "OPEN 4.00 ", prepare: open,
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "creditNoteCreate", "creditNote { invoice { status credited { amount } } }", map[string]any{
					"invoiceId": c.invoice, "amount": usDollars("4.00"), "reason": "down for a day", "idempotencyKey": key,
				}, "creditNote.invoice.status", "creditNote.invoice.credited.amount")
				return text, err
			},
		},
		// These leave something open that is looked at ever again.
		{
			name: "quoteFinalize", want: "OPEN ", prepare: quoted,
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "quoteFinalize", "quote { status }", map[string]any{"id": c.quote, "idempotencyKey": key}, "quote.status")
				return text, err
			},
		},
		{
			name: "paymentMethodSetup", want: "PENDING ClientSecretAction ",
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "paymentMethodSetup", "paymentMethod { status } nextAction { __typename }", map[string]any{
					"payerId": c.payer, "idempotencyKey": key,
				}, "paymentMethod.status", "nextAction.__typename")
				return text, err
			},
		},
		{name: "invoiceFinalize", want: "OPEN ", prepare: draft, ask: ofInvoice("invoiceFinalize", nil)},
	}
	for i := range all {
		all[i].class, all[i].gateway = classSale, gateway.KindStripe
	}
	return all
}

// insist asks until the mutation has ended as it should, letting time pass and
// due work be done in between. A refusal is returned.
func (s *stack) insist(t *testing.T, m move, c *cast, key string) error {
	t.Helper()
	var last string
	var err error
	for _, pause := range []time.Duration{
		0, 50 * time.Second, 2 * time.Minute, 6 * time.Minute, 31 * time.Minute, 2 * time.Hour, 2 * time.Hour, 22 * time.Hour, 25 * time.Hour, 25 * time.Hour,
	} {
		if pause > 0 {
			s.clock.Advance(pause)
			if err := s.jobs.Round(t.Context()); err != nil {
				t.Logf("due work: %v", err)
			}
		}
		last, err = m.ask(t.Context(), s, c, key)
		var refused *refusal
		switch {
		case err == nil && last == m.want:
			return nil
		case err == nil && (last == "FAILED " || last == "CANCELED "):
			return &refusal{Code: "FAILED", Message: last}
		case errors.As(err, &refused) && refused.Code != "INVALID_STATE" && refused.Code != "PROVIDER_UNAVAILABLE":
			return err
		case err != nil && refused == nil && !isUnclear(err):
			t.Fatalf("%s: %v", m.name, err)
		}
	}
	t.Fatalf("%s never came to %q: the last answer is %q, %v", m.name, m.want, last, err)
	return nil
}

// spoiler is one way in which a gateway's request goes wrong.
type spoiler struct {
	name  string
	fault sandbox.RequestFault
	// all says that each request of a step is spoiled so, and not a sample.
	all bool
	// gone says that the caller hangs up meanwhile.
	gone bool
	// away says that this request and all after it are spoiled, for an hour.
	away bool
}

func spoilers() []spoiler {
	status := func(status int, when string, store bool) sandbox.RequestFault {
		return sandbox.RequestFault{Action: sandbox.ActionStatus, Status: status, When: when, Store: store}
	}
	return []spoiler{
		{name: "reset before", all: true, fault: sandbox.RequestFault{Action: sandbox.ActionReset, When: sandbox.WhenBefore}},
		{name: "reset after", all: true, fault: sandbox.RequestFault{Action: sandbox.ActionReset, When: sandbox.WhenAfter}},
		{name: "500 before", fault: status(500, sandbox.WhenBefore, false)},
		{name: "500 before, kept under the key", fault: status(500, sandbox.WhenBefore, true)},
		{name: "500 after", fault: status(500, sandbox.WhenAfter, false)},
		{name: "500 after, kept under the key", fault: status(500, sandbox.WhenAfter, true)},
		{name: "429", fault: status(429, sandbox.WhenBefore, false)},
		{name: "half a reply", fault: sandbox.RequestFault{Action: sandbox.ActionTruncate}},
		{name: "slow, and the caller hangs up", gone: true, fault: sandbox.RequestFault{Action: sandbox.ActionDelay, When: sandbox.WhenAfter, DelayMilliseconds: 60}},
		{name: "500 after, for an hour", away: true, fault: status(500, sandbox.WhenAfter, false)},
		{name: "reset before, for an hour", away: true, fault: sandbox.RequestFault{Action: sandbox.ActionReset, When: sandbox.WhenBefore}},
		{name: "429, for an hour", away: true, fault: status(429, sandbox.WhenBefore, false)},
	}
}

// requestsOf plays a prepared mutation undisturbed and returns the requests
// that it made of its gateway, and how many of them when it was asked first.
func (s *stack) requestsOf(t *testing.T, m move, c *cast) (requests []string, atOnce int) {
	t.Helper()
	first := m
	first.ask = func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
		text, err := m.ask(ctx, s, c, key)
		if atOnce == 0 {
			atOnce = s.gateway.count(m.gateway)
		}
		return text, err
	}
	s.gateway.take()
	if err := s.insist(t, first, c, "undisturbed "+s.newName()); err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	requests = s.gateway.take()[m.gateway]
	if atOnce == 0 && m.gateway != "" {
		t.Fatalf("%s asks nothing of the gateway", m.name)
	}
	return requests, atOnce
}

// spoil plays a mutation with one of its requests spoiled, and reports whether
// it was refused and had to be done anew.
func (s *stack) spoil(t *testing.T, m move, home *cast, at int, spoiled spoiler, key string) bool {
	t.Helper()
	c := *home
	if m.prepare != nil {
		m.prepare(t, s, &c)
	}
	fault := spoiled.fault
	fault.Skip = at
	if spoiled.away {
		fault.Count = -1
	}
	faults := s.sandbox.Faults()
	if m.gateway == gateway.KindWorldpay {
		faults = s.worldpay.Faults()
	} else {
		fault.Path = "/v1/"
	}
	id, err := faults.AddRequest(fault)
	if err != nil {
		t.Fatal(err)
	}
	if spoiled.gone {
		// The caller hangs up while the gateway has the request and keeps its
		// answer back.
		ctx, cancel := context.WithCancel(t.Context())
		arrived, asked := s.gateway.arrival(m.gateway, at), make(chan struct{})
		go func() {
			select {
			case <-arrived:
			case <-asked:
			}
			cancel()
		}()
		_, _ = m.ask(ctx, s, &c, key) // nobody hears the answer
		close(asked)
	}
	if spoiled.away {
		s.whileAway(t, m, &c, key)
		if faults.Remove("", id) == 0 {
			t.Errorf("the fault is gone before its time")
		}
	}
	err = s.insist(t, m, &c, key)
	// A request that nobody waits for may still be on its way.
	if !holdsWithin(5*time.Second, func() bool {
		left, _ := faults.List("")
		return !slices.ContainsFunc(left, func(f sandbox.RequestFault) bool { return f.ID == id })
	}) {
		t.Errorf("the request was never made")
		faults.Remove("", id)
	}
	if err == nil {
		return false
	}
	if again := s.insist(t, m, &c, key+" anew"); again != nil {
		t.Errorf("after %v, done anew: %v", err, again)
	}
	return true
}

// whileAway asks now and again over an hour, and expects nothing of it.
func (s *stack) whileAway(t *testing.T, m move, c *cast, key string) {
	t.Helper()
	for range 3 {
		_, err := m.ask(t.Context(), s, c, key)
		var refused *refusal
		if err != nil && !errors.As(err, &refused) && !isUnclear(err) {
			t.Fatalf("%s: %v", m.name, err)
		}
		s.clock.Advance(20 * time.Minute)
		if err := s.jobs.Round(t.Context()); err != nil {
			t.Logf("due work: %v", err)
		}
	}
}

// deliverAll delivers everything that the gateway has told so far.
func (s *stack) deliverAll(t *testing.T) {
	t.Helper()
	for {
		events := s.newEvents(t)
		if len(events) == 0 {
			return
		}
		for _, e := range events {
			s.mustDeliver(t, e)
		}
	}
}
