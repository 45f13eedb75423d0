package main

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"testing"

	"entgo.io/ent/dialect/sql"

	"purser/ent/gatewayevent"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/gateway"
	"purser/sandbox"
)

// sums are the amounts of the steps as the gateways write them.
var sums = regexp.MustCompile(`\b(3000|1000|500)\b`)

// names are what a step's latest payment or refund is called, and the invoice
// that it pays, where it pays one.
type names struct{ own, order, page, payment, invoice, bill string }

func (tr *trial) names(t *testing.T, m move, c *cast) names {
	t.Helper()
	p, err := tr.billing.Client().Payment.Query().Where(payment.PayerID(c.payer)).Order(payment.ByID(sql.OrderDesc())).First(tr.ctx)
	must(t, err)
	n := names{own: p.ID, order: p.OrderCode}
	if p.ReferenceID != nil {
		n.page = *p.ReferenceID
	}
	if p.GatewayPaymentID != nil {
		n.payment = *p.GatewayPaymentID
	}
	if p.InvoiceID != nil {
		i, err := tr.billing.Client().Invoice.Get(tr.ctx, *p.InvoiceID)
		must(t, err)
		if n.invoice = i.ID; i.GatewayInvoiceID != nil {
			n.bill = *i.GatewayInvoiceID
		}
	}
	if m.class == classRefund {
		r, err := tr.billing.Client().Refund.Query().Where(refund.PaymentID(c.payment)).Order(refund.ByID(sql.OrderDesc())).First(tr.ctx)
		must(t, err)
		n.own = r.ID
	}
	return n
}

// parked counts the events that a person has to look at.
func (tr *trial) parked(t *testing.T) int {
	t.Helper()
	n, err := tr.billing.Client().GatewayEvent.Query().Where(gatewayevent.StatusEQ(gatewayevent.StatusMISMATCHED)).Count(tr.ctx)
	must(t, err)
	return n
}

// waits begins a step of which nothing has happened at the gateway yet.
func (tr *trial) waits(t *testing.T, m move, c *cast, key string) (goOn func()) {
	t.Helper()
	if m.start != nil {
		page := tr.begun(t, m, c, key)
		return func() { tr.payOn(t, page, m.number) }
	}
	if m.lead != nil {
		m.lead(t, tr.stack)
	}
	heal := tr.broken(t, m, sandbox.WhenBefore)
	_, _ = m.ask(t.Context(), tr.stack, c, key) // nobody knows
	tr.mustStand(t, m, c, "PROCESSING")
	return heal
}

// lie delivers what no gateway has sent, and nothing must come of it.
func (tr *trial) lie(t *testing.T, of gateway.Kind, body string) {
	t.Helper()
	n := notice{of, "", []byte(body)}
	tr.remember(t, n)
	before := tr.books(t, tr.ctx)
	tr.mustHand(t, n)
	if after := tr.books(t, tr.ctx); after != before {
		t.Errorf("a lie left %s, before there were %s: %s", after, before, body)
	}
}

// remember notes the id of an event that was made up.
func (tr *trial) remember(t *testing.T, n notice) {
	t.Helper()
	if n.gateway == gateway.KindWorldpay {
		e, err := tr.worldpay.adapter.ParseNotification(n.body)
		must(t, err)
		tr.lies[e.ID] = true
		return
	}
	tr.lies[string(stripeID.FindSubmatch(n.body)[1])] = true
}

var stripeID = regexp.MustCompile(`"id": ?"(evt_[^"]*)"`)

// toldOfSuccess delivers, well signed, that it has happened, before it has.
func toldOfSuccess(t *testing.T, tr *trial, m move) int {
	c, key := tr.cast(t, m), tr.key(m)
	goOn := tr.waits(t, m, c, key)
	n := tr.names(t, m, c)
	event := func(kind, object string) string {
		tr.keys++
		return fmt.Sprintf(`{"id":"evt_lie%d","object":"event","type":%q,"livemode":false,"created":1,"data":{"object":%s}}`, tr.keys, kind, object)
	}
	switch {
	case m.gateway == gateway.KindWorldpay:
		order := n.order
		if n.page != "" {
			order = n.page
		}
		for _, what := range []string{"AUTHORISED", "CAPTURED", "SENT_FOR_REFUND", "REFUNDED"} {
			tr.lie(t, m.gateway, fmt.Sprintf(`<paymentService version="1.4" merchantCode="PURSERTEST"><notify><orderStatusEvent orderCode=%q><payment><paymentMethod>VISA-SSL</paymentMethod>`+
				`<amount value="3000" currencyCode="USD" exponent="2"/><lastEvent>%s</lastEvent></payment><journal journalType=%q><bookingDate><date dayOfMonth="10" month="3" year="2026"/></bookingDate></journal></orderStatusEvent></notify></paymentService>`,
				order, what, what))
		}
	case m.class == classRefund:
		tr.lie(t, m.gateway, event("refund.updated", fmt.Sprintf(`{"id":"re_lie","object":"refund","payment_intent":%q,"status":"succeeded","amount":500,"currency":"usd","metadata":{"purser_subject":%q}}`, n.payment, n.own)))
		tr.lie(t, m.gateway, event("charge.refunded", fmt.Sprintf(`{"id":"ch_lie","object":"charge","payment_intent":%q,"status":"succeeded","amount":3000,"amount_refunded":500,"refunded":true,"currency":"usd"}`, n.payment)))
	default:
		if n.page != "" {
			tr.lie(t, m.gateway, event("checkout.session.completed", fmt.Sprintf(`{"id":%q,"object":"checkout.session","mode":"payment","status":"complete","payment_status":"paid","amount_total":3000,"currency":"usd","metadata":{"purser_subject":%q}}`, n.page, n.own)))
		}
		if n.bill != "" {
			tr.lie(t, m.gateway, event("invoice.paid", fmt.Sprintf(`{"id":%q,"object":"invoice","status":"paid","paid":true,"total":3000,"amount_due":3000,"amount_paid":3000,"currency":"usd","metadata":{"purser_subject":%q}}`, n.bill, n.invoice)))
		}
		tr.lie(t, m.gateway, event("payment_intent.succeeded", fmt.Sprintf(`{"id":"pi_lie","object":"payment_intent","status":"succeeded","amount":3000,"amount_received":3000,"currency":"usd","metadata":{"purser_subject":%q}}`, n.own)))
	}
	tr.mustStand(t, m, c, "PROCESSING", "REQUIRES_ACTION")
	goOn()
	tr.ends(t, m, c, key)
	return 1
}

// toldOfAnother delivers what has happened to one as if it had happened to
// another, in notices and, where there is one, in a signed return.
func toldOfAnother(t *testing.T, tr *trial, m move) int {
	first, firstKey := tr.cast(t, m), tr.key(m)
	back := tr.happens(t, m, first, firstKey)
	all := tr.mustTell(t, m)
	tr.ends(t, m, first, firstKey)
	one := tr.names(t, m, first)

	c, key := tr.cast(t, m), tr.key(m)
	goOn := tr.waits(t, m, c, key)
	two := tr.names(t, m, c)
	changed := 0
	for i, n := range all {
		body := replace(n.body, one.own, two.own)
		if one.invoice != "" {
			body = replace(body, one.invoice, two.invoice)
		}
		if m.gateway == gateway.KindWorldpay {
			order := two.order
			if two.page != "" {
				order = two.page
			}
			body = replace(body, `"`+one.payment+`"`, `"`+order+`"`)
		} else {
			body = stripeID.ReplaceAll(body, fmt.Appendf(nil, `"id":"evt_other%d_%d"`, tr.keys, i))
		}
		if !bytes.Equal(body, n.body) {
			changed++
		}
		tr.lie(t, m.gateway, string(body))
	}
	if changed == 0 {
		t.Error("no notice was changed")
	}
	tr.mustStand(t, m, c, "PROCESSING", "REQUIRES_ACTION")
	plays := 2
	if back != nil && m.gateway == gateway.KindWorldpay {
		foreign := back.Query()
		plays += returns(func(q url.Values) {
			for name, value := range foreign {
				q[name] = value
			}
		})(t, tr, m)
	}
	goOn()
	tr.ends(t, m, c, key)
	return plays
}
