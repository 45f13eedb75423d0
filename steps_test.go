package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"purser/gateway"
)

// class is a kind of step: what can go wrong with one can with all of it.
type class string

const (
	classHosted class = "top-up by hosted page"
	classCharge class = "charge of a saved card" // for a balance or an invoice
	classAuto   class = "automatic reload"
	classRefund class = "refund"
	// Of an invoice, by due work: see move.byItself.
	classRenewal class = "renewal"
	classRetry   class = "retry of a declined charge"
	classHold    class = "hold"
	classBooked  class = "booking" // asks nobody, like a hold
	classSale    class = "sale"    // of which TestEventsInAnyOrder tells as well
)

// steps are all that money goes through.
func steps() []move {
	all := []move{
		hostedStep("", "4242424242424242"),
		hostedStep(gateway.KindWorldpay, "4444333322221111"),
		chargeStep(gateway.KindStripe, "/v1/payment_intents"),
		chargeStep(gateway.KindWorldpay, "/submit/order"),
		payStep(gateway.KindStripe, "/v1/invoices"),
		payStep(gateway.KindWorldpay, "/submit/order"),
		autoStep(gateway.KindStripe, "/v1/payment_intents"),
		autoStep(gateway.KindWorldpay, "/submit/order"),
		refundStep(gateway.KindStripe, "/v1/refunds"),
		refundStep(gateway.KindWorldpay, "/modify/refund"),
		noteStep(gateway.KindStripe, "/v1/refunds"),
		noteStep(gateway.KindWorldpay, "/modify/refund"),
		renewalStep(gateway.KindStripe, "/v1/invoices"),
		renewalStep(gateway.KindWorldpay, "/submit/order"),
		retryStep(gateway.KindStripe, "/v1/invoices"),
		retryStep(gateway.KindWorldpay, "/submit/order"),
	}
	// The sales come last: they leave invoices open that nobody shall charge.
	return append(append(append(all, holds()...), bookings()...), sales()...)
}

// hostedStep pays on a gateway's page; "" is the default provider's.
func hostedStep(of gateway.Kind, number string) move {
	m := move{
		name: "paymentStart at " + string(of), class: classHosted, gateway: of, number: number, want: "SUCCEEDED ", takes: true,
		start: func(ctx context.Context, s *stack, c *cast, key string) (string, string, error) {
			input := map[string]any{"payerId": c.payer, "amount": usDollars("30.00"), "idempotencyKey": key}
			if of != "" {
				input["providerId"] = s.worldpay.provider
			}
			text, got, err := once(ctx, s, "paymentStart", "payment { id status nextAction { ... on RedirectAction { url } } }", input, "payment.status")
			c.payment = got.text("payment.id")
			return got.text("payment.nextAction.url"), text, err
		},
	}
	m.ask = func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
		page, text, err := m.start(ctx, s, c, key)
		if err != nil || page == "" {
			return text, err
		}
		if _, err := submitForm(ctx, http.DefaultClient, page, cardForm(number)); err != nil {
			return text, err
		}
		text, _, err = once(ctx, s, "paymentSync", "payment { status }", map[string]any{"id": c.payment}, "payment.status")
		return text, err
	}
	if of == "" {
		m.gateway, m.name = gateway.KindStripe, "paymentStart"
	}
	return m
}

// chargeStep charges a saved card.
func chargeStep(of gateway.Kind, writes string) move {
	return move{
		name: "balanceTopUp at " + string(of), class: classCharge, gateway: of, writes: writes, want: "SUCCEEDED ", takes: true,
		prepare: func(_ *testing.T, s *stack, c *cast) {
			if of == gateway.KindWorldpay {
				c.payer, c.card = s.worldpay.home, s.worldpay.card
			}
		},
		ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
			text, _, err := once(ctx, s, "balanceTopUp", "payment { status }", map[string]any{
				"payerId": c.payer, "amount": usDollars("30.00"), "paymentMethodId": c.card, "idempotencyKey": key,
			}, "payment.status")
			return text, err
		},
	}
}

// payStep pays an invoice with a saved card.
func payStep(of gateway.Kind, writes string) move {
	charge := chargeStep(of, "")
	return move{
		name: "invoicePay at " + string(of), class: classCharge, gateway: of, writes: writes, want: "PAID ", takes: true,
		prepare: func(t *testing.T, s *stack, c *cast) {
			charge.prepare(t, s, c)
			c.invoice = s.invoiced(t, of, c.payer)
		},
		ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
			text, _, err := once(ctx, s, "invoicePay", "invoice { status }", map[string]any{
				"id": c.invoice, "paymentMethodId": c.card, "idempotencyKey": key,
			}, "invoice.status")
			return text, err
		},
	}
}

// autoStep uses a balance below its threshold, by a cent, and has it reload
// itself: the charge is the server's own doing.
func autoStep(of gateway.Kind, writes string) move {
	return move{
		name: "automatic reload at " + string(of), class: classAuto, gateway: of, writes: writes, want: "14.99 ", takes: true,
		prepare: func(t *testing.T, s *stack, c *cast) {
			*c = *s.reloading(t, of)
			s.clock.Advance(time.Hour)    // a reload rests after the one before
			_ = s.jobs.Round(t.Context()) // what else is due shall not come between
			left, err := s.remaining(t.Context(), c.payer)
			must(t, err)
			s.do(t, "usageRecord", "entry { id }", map[string]any{
				"payerId": c.payer, "amount": usDollars(minus(t, left, 499)), "idempotencyKey": "use " + s.newName(),
			})
		},
		ask: func(ctx context.Context, s *stack, c *cast, _ string) (string, error) {
			_ = s.jobs.Round(ctx) // the balance says what has come of it
			left, err := s.remaining(ctx, c.payer)
			return left + " ", err
		},
	}
}

// refundStep gives a part of a payment back.
func refundStep(of gateway.Kind, writes string) move {
	charge := chargeStep(of, "")
	return move{
		name: "paymentRefund at " + string(of), class: classRefund, gateway: of, writes: writes, want: "SUCCEEDED 5.00 ", takes: true,
		prepare: func(t *testing.T, s *stack, c *cast) {
			charge.prepare(t, s, c)
			c.payment = s.do(t, "balanceTopUp", "payment { id }", map[string]any{
				"payerId": c.payer, "amount": usDollars("30.00"), "paymentMethodId": c.card, "idempotencyKey": "back " + s.newName(),
			}).text("payment.id")
		},
		ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
			text, _, err := once(ctx, s, "paymentRefund", "refund { status } payment { refunded { amount } }", map[string]any{
				"id": c.payment, "amount": usDollars("5.00"), "idempotencyKey": key,
			}, "refund.status", "payment.refunded.amount")
			return text, err
		},
	}
}

// noteStep credits a part of a paid invoice, through its gateway. A note stands
// although the gateway has refused to give it back, which is asked for anew.
func noteStep(of gateway.Kind, writes string) move {
	pay := payStep(of, "")
	return move{
		name: "creditNoteCreate at " + string(of), class: classRefund, gateway: of, writes: writes, want: "SUCCEEDED ", takes: true,
		prepare: func(t *testing.T, s *stack, c *cast) {
			pay.prepare(t, s, c)
			c.payment = s.do(t, "invoicePay", "payment { id }", map[string]any{
				"id": c.invoice, "paymentMethodId": c.card, "idempotencyKey": "pay " + c.invoice,
			}).text("payment.id")
		},
		ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
			const selection = "creditNote { id refunds { status } }"
			got, err := s.mutate(ctx, "creditNoteCreate", selection, map[string]any{
				"invoiceId": c.invoice, "amount": usDollars("5.00"), "reason": "Not wanted", "settlement": "REFUND", "idempotencyKey": key,
			})
			if err == nil && lastRefund(got) == "FAILED" {
				got, err = s.mutate(ctx, "creditNoteRefund", selection, map[string]any{"id": got.text("creditNote.id"), "idempotencyKey": key + s.newName()})
			}
			return lastRefund(got) + " ", err
		},
	}
}

// reloading is a payer whose balance reloads itself from a card.
func (s *stack) reloading(t *testing.T, of gateway.Kind) *cast {
	t.Helper()
	if c := s.reloaders[of]; c != nil {
		return c
	}
	c := &cast{payer: s.newPayer(t, s.newName())}
	if of == gateway.KindWorldpay {
		c.card = s.newWorldpayCard(t, c.payer)
	} else {
		c.card = s.newCard(t, c.payer, "pm_card_visa")
	}
	s.do(t, "balanceReload", "entry { id }", map[string]any{"payerId": c.payer, "amount": usDollars("100.00"), "idempotencyKey": "cash of " + c.payer})
	s.do(t, "autoReloadSet", "balance { id }", map[string]any{
		"payerId": c.payer, "currency": "USD", "enabled": true, "threshold": usDollars("5.00"), "amount": usDollars("10.00"),
		"paymentMethodId": c.card, "dailyCap": usDollars("100000.00"), "monthlyCap": usDollars("100000.00"),
	})
	s.reloaders[of] = c
	return c
}

// remaining is what is left on a payer's balance in dollars.
func (s *stack) remaining(ctx context.Context, payer string) (string, error) {
	var data map[string]result
	err := s.post(ctx, `query($id: ID!) { payer(by: {id: $id}) { balance(currency: "USD") { remaining { amount } } } }`, map[string]any{"id": payer}, &data)
	return data["payer"].text("balance.remaining.amount"), err
}

// minus subtracts cents from an amount of dollars.
func minus(t *testing.T, dollars string, less int64) string {
	t.Helper()
	whole, part, _ := strings.Cut(dollars, ".")
	left := cents(t, whole+part) - less
	return fmt.Sprintf("%d.%02d", left/100, left%100)
}

// holds are the steps of a hold.
func holds() []move {
	made := func(t *testing.T, s *stack, c *cast) {
		c.hold = s.do(t, "holdCreate", "hold { id }", map[string]any{
			"payerId": c.payer, "amount": usDollars("5.00"), "idempotencyKey": "hold " + s.newName(),
		}).text("hold.id")
	}
	return []move{
		{
			name: "holdCreate", class: classHold, want: "OPEN ",
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "holdCreate", "hold { status }", map[string]any{
					"payerId": c.payer, "amount": usDollars("5.00"), "idempotencyKey": key,
				}, "hold.status")
				return text, err
			},
		},
		{
			name: "holdCapture", class: classHold, want: "CAPTURED 3.00 ", prepare: made,
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "holdCapture", "hold { status captured { amount } }", map[string]any{
					"id": c.hold, "amount": usDollars("3.00"), "idempotencyKey": key,
				}, "hold.status", "hold.captured.amount")
				return text, err
			},
		},
		{
			name: "holdRelease", class: classHold, want: "RELEASED ", prepare: made,
			ask: func(ctx context.Context, s *stack, c *cast, _ string) (string, error) {
				text, _, err := once(ctx, s, "holdRelease", "hold { status }", map[string]any{"id": c.hold}, "hold.status")
				return text, err
			},
		},
	}
}

// bookings are the other steps that move money and ask nobody.
func bookings() []move {
	return []move{
		{
			name: "balanceReload", class: classBooked, want: "12.00 ",
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "balanceReload", "entry { amount { amount } }", map[string]any{
					"payerId": c.payer, "amount": usDollars("12.00"), "idempotencyKey": key,
				}, "entry.amount.amount")
				return text, err
			},
		},
		{
			name: "usageRecord", class: classBooked, want: "once ",
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "usageRecord", "entry { id }", map[string]any{
					"payerId": c.payer, "amount": usDollars("0.50"), "idempotencyKey": key,
				}, "entry.id")
				if text != "" && err == nil {
					text = "once "
				}
				return text, err
			},
		},
	}
}
