package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// customer is a caller who runs errands one after the other and tries each
// again, under the same key, until the answer is definite.
type customer struct {
	*apiClient
	name  string
	rand  *rand.Rand
	payer string
	// card pays, poor is declined.
	card, poor string
	// resolute says that the payer leaves no payment page without paying.
	resolute bool
	// pause is the time between two tries; zero means errandWait.
	pause time.Duration
	// again is closed when a lost server is back.
	again func() <-chan struct{}
	// send sends a mutation once; nil: to the one server.
	send func(ctx context.Context, name, selection string, input map[string]any) (result, error)
	n    int

	mu   sync.Mutex
	done []errand
}

// errand is something that was done, with what the server has acknowledged.
type errand struct {
	kind string
	key  string
	// cents went to the payer's balance, out of it where negative.
	cents int64
	// id is the payment, the entry, or the invoice that the answer named.
	id string
	// status is how the payment or the invoice stood in the last answer.
	status string
	// paid says that the gateway took the payer's money on a page.
	paid bool
}

// Patience of one errand: it covers many lives of a server.
const (
	errandTime = 4 * time.Minute
	errandWait = 15 * time.Millisecond
)

var errGaveUp = errors.New("no definite answer")

// The kinds of errands.
const (
	errandTopUp    = "top-up"
	errandDeclined = "declined top-up"
	errandHosted   = "hosted top-up"
	errandSale     = "sale"
	errandCard     = "card"
	errandReload   = "reload"
	errandUsage    = "usage"
	errandRefund   = "refund"
	errandAuto     = "automatic reload"
)

// wander does one errand of a random kind.
func (c *customer) wander(ctx context.Context) error {
	kinds := []string{
		errandTopUp, errandTopUp, errandTopUp, errandDeclined, errandHosted, errandHosted, errandSale, errandSale, errandReload, errandUsage, errandRefund,
	}
	return c.run(ctx, kinds[c.rand.IntN(len(kinds))])
}

// run does one errand. It returns when the answer is definite, or with an
// error that says what is wrong.
func (c *customer) run(ctx context.Context, kind string) error {
	c.n++
	e := errand{kind: kind, key: fmt.Sprintf("%s-%d", c.name, c.n)}
	var err error
	switch kind {
	case errandTopUp:
		err = c.topUp(ctx, &e, c.card)
	case errandDeclined:
		err = c.topUp(ctx, &e, c.poor)
	case errandHosted:
		err = c.hostedTopUp(ctx, &e)
	case errandSale:
		err = c.sale(ctx, &e)
	case errandCard:
		err = c.saveCard(ctx, &e)
	case errandReload:
		err = c.reload(ctx, &e)
	case errandRefund:
		err = c.refund(ctx, &e)
	case errandAuto:
		err = c.autoReload(ctx, &e)
	default:
		err = c.usage(ctx, &e)
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", e.kind, e.key, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = append(c.done, e)
	return nil
}

// until sends a mutation again and again until the answer is definite.
func (c *customer) until(ctx context.Context, name, selection string, input map[string]any, definite func(result) bool) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, errandTime)
	defer cancel()
	send := c.send
	if send == nil {
		send = c.mutate
	}
	for {
		back := c.again()
		got, err := send(ctx, name, selection, input)
		var refused *refusal
		wait := max(c.pause, errandWait)
		if u := (*unclear)(nil); errors.As(err, &u) {
			wait = max(wait, u.wait)
		}
		switch {
		case err == nil && definite(got):
			return got, nil
		case errors.As(err, &refused) && refused.Code == "PROVIDER_UNAVAILABLE":
			// Nothing happened: the same key may be used again.
		case err != nil && !isUnclear(err):
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, fmt.Errorf("%s: %w within %s: last answer %v, %w", name, errGaveUp, errandTime, got, err)
		case <-back:
		case <-time.After(wait):
		}
	}
}

func settled(path string, states ...string) func(result) bool {
	return func(r result) bool {
		for _, s := range states {
			if r.text(path) == s {
				return true
			}
		}
		return false
	}
}

func anyAnswer(result) bool { return true }

// amount is a random one of 1.00 to 99.99.
func (c *customer) amount() (int64, map[string]any) {
	cents := 100 + c.rand.Int64N(9900)
	return cents, usDollars(fmt.Sprintf("%d.%02d", cents/100, cents%100))
}

func (c *customer) topUp(ctx context.Context, e *errand, card string) error {
	cents, amount := c.amount()
	got, err := c.until(ctx, "balanceTopUp", "payment { id status } balance { id }", map[string]any{
		"payerId": c.payer, "amount": amount, "paymentMethodId": card, "idempotencyKey": e.key,
	}, settled("payment.status", "SUCCEEDED", "FAILED"))
	if err != nil {
		return err
	}
	e.id, e.status = got.text("payment.id"), got.text("payment.status")
	want := "SUCCEEDED"
	if card == c.poor {
		want = "FAILED"
	}
	if e.status != want {
		return fmt.Errorf("the payment is %s, want %s", e.status, want)
	}
	if e.status == "SUCCEEDED" {
		e.cents = cents
	}
	return nil
}

// hostedTopUp starts a payment on the gateway's page and pays there; what
// becomes of it is learned from events.
func (c *customer) hostedTopUp(ctx context.Context, e *errand) error {
	cents, amount := c.amount()
	got, err := c.until(ctx, "paymentStart", "payment { id status nextAction { ... on RedirectAction { url } } }", map[string]any{
		"payerId": c.payer, "amount": amount, "idempotencyKey": e.key,
	}, func(r result) bool { return r.text("payment.nextAction.url") != "" })
	if err != nil {
		return err
	}
	e.id = got.text("payment.id")
	if !c.resolute && c.rand.IntN(5) == 0 {
		return nil // the payer thinks better of it
	}
	status, err := submitForm(ctx, c.http, got.text("payment.nextAction.url"), cardForm("4242424242424242"))
	if err != nil {
		return err
	}
	if status != http.StatusSeeOther {
		return fmt.Errorf("the gateway's page answers %d", status)
	}
	e.paid, e.cents = true, cents
	if c.rand.IntN(2) == 0 {
		return nil
	}
	got, err = c.until(ctx, "paymentSync", "payment { id status }", map[string]any{"id": e.id}, settled("payment.status", "SUCCEEDED"))
	e.status = got.text("payment.status")
	return err
}

// sale is the way from a quote to a paid invoice.
func (c *customer) sale(ctx context.Context, e *errand) error {
	_, amount := c.amount()
	lines := []any{map[string]any{"description": "Consulting", "quantity": 1, "unitAmount": amount}}
	got, err := c.until(ctx, "quoteCreate", "quote { id }", map[string]any{
		"payerId": c.payer, "lineItems": lines, "idempotencyKey": e.key,
	}, anyAnswer)
	if err != nil {
		return err
	}
	quote := got.text("quote.id")
	_, err = c.until(ctx, "quoteFinalize", "quote { id status }", map[string]any{"id": quote, "idempotencyKey": e.key + "-finalize"},
		settled("quote.status", "OPEN"))
	if err != nil {
		return err
	}
	got, err = c.until(ctx, "quoteAccept", "quote { status } invoice { id status }", map[string]any{"id": quote, "idempotencyKey": e.key + "-accept"},
		func(r result) bool { return r.text("quote.status") == "ACCEPTED" && r.text("invoice.id") != "" })
	if err != nil {
		return err
	}
	e.id = got.text("invoice.id")
	_, err = c.until(ctx, "invoiceFinalize", "invoice { id status }", map[string]any{"id": e.id, "idempotencyKey": e.key + "-open"},
		settled("invoice.status", "OPEN"))
	if err != nil {
		return err
	}
	got, err = c.until(ctx, "invoicePay", "invoice { id status } payment { id status }", map[string]any{
		"id": e.id, "paymentMethodId": c.card, "idempotencyKey": e.key + "-pay",
	}, settled("invoice.status", "PAID"))
	e.status = got.text("invoice.status")
	return err
}

// saveCard saves one more card.
func (c *customer) saveCard(ctx context.Context, e *errand) error {
	got, err := c.until(ctx, "paymentMethodAttach", "paymentMethod { id status }", map[string]any{
		"payerId": c.payer, "gatewayToken": "pm_card_mastercard", "idempotencyKey": e.key,
	}, settled("paymentMethod.status", "ACTIVE"))
	e.id = got.text("paymentMethod.id")
	return err
}

func (c *customer) reload(ctx context.Context, e *errand) error {
	cents, amount := c.amount()
	got, err := c.until(ctx, "balanceReload", "entry { id }", map[string]any{
		"payerId": c.payer, "amount": amount, "idempotencyKey": e.key,
	}, anyAnswer)
	e.id, e.cents = got.text("entry.id"), cents
	return err
}

// refund tops up and gives a part of it back.
func (c *customer) refund(ctx context.Context, e *errand) error {
	if err := c.topUp(ctx, e, c.card); err != nil {
		return err
	}
	back := 1 + c.rand.Int64N(e.cents)
	_, err := c.until(ctx, "paymentRefund", "refund { id status } payment { id }", map[string]any{
		"id": e.id, "amount": usDollars(fmt.Sprintf("%d.%02d", back/100, back%100)), "idempotencyKey": e.key + "-back",
	}, settled("refund.status", "SUCCEEDED"))
	e.cents -= back
	return err
}

// autoReload has a balance of somebody new reload itself, and waits until it
// has: the charge is the server's own doing.
func (c *customer) autoReload(ctx context.Context, e *errand) error {
	got, err := c.until(ctx, "developerCreate", "developer { id }", map[string]any{
		"name": e.key, "email": e.key + "@example.com", "billingMode": "PREPAID", "idempotencyKey": e.key,
	}, anyAnswer)
	if err != nil {
		return err
	}
	e.id = got.text("developer.id")
	_, err = c.until(ctx, "paymentMethodAttach", "paymentMethod { id status }", map[string]any{
		"payerId": e.id, "gatewayToken": "pm_card_visa", "makeDefault": true, "idempotencyKey": e.key + "-card",
	}, settled("paymentMethod.status", "ACTIVE"))
	if err != nil {
		return err
	}
	_, err = c.until(ctx, "autoReloadSet", "balance { id }", map[string]any{
		"payerId": e.id, "currency": "USD", "enabled": true, "threshold": usDollars("5.00"), "amount": usDollars("10.00"),
	}, anyAnswer)
	if err != nil {
		return err
	}
	got, err = c.until(ctx, "developerUpdate", `developer { balance(currency: "USD") { remaining { amount } } }`, map[string]any{"id": e.id},
		settled("developer.balance.remaining.amount", "10.00"))
	e.status = got.text("developer.balance.remaining.amount")
	return err
}

func (c *customer) usage(ctx context.Context, e *errand) error {
	cents, amount := c.amount()
	got, err := c.until(ctx, "usageRecord", "entry { id }", map[string]any{
		"payerId": c.payer, "amount": amount, "idempotencyKey": e.key,
	}, anyAnswer)
	var refused *refusal
	if errors.As(err, &refused) && refused.Code == "INSUFFICIENT_FUNDS" {
		e.status = "REFUSED"
		return nil
	}
	e.id, e.cents = got.text("entry.id"), -cents
	return err
}
