package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"testing"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/gatewaycall"
	"purser/ent/gatewayevent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/money"
	stripesandbox "purser/sandbox/stripe"
	worldpaysandbox "purser/sandbox/worldpay"
)

// compare holds three books against each other: what the callers were told,
// what the server has stored, and what the gateway took.
func (a *arena) compare(t *testing.T, customers []*customer) {
	t.Helper()
	a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
		compareWithGateway(t, s, ctx, a.sandbox)
		for _, c := range customers {
			compareWithCustomer(t, s, ctx, c)
		}
		if _, err := s.VerifyAll(auth.AllTenants(t.Context(), "verify"), billing.VerifyOptions{}); err != nil {
			t.Errorf("verify: %v", err)
		}
	})
	env := []string{"PURSER_DATA=" + a.data, "DATABASE_URL=" + a.databaseURL, "PURSER_MASTER_KEY=" + base64.StdEncoding.EncodeToString(arenaKey)}
	if _, problems, err := program(t, env, "verify"); err != nil {
		t.Errorf("purser verify: %v\n%s", err, problems)
	}
}

// taken is one payment that succeeded at the gateway.
type taken struct {
	id      string // of the payment intent
	cents   int64
	back    int64  // what was given back
	subject string // our object in its metadata
	invoice string // the gateway's invoice, if it paid one
}

// takenByGateway lists the payments that succeeded, from the charges, which
// are where money moves.
func takenByGateway(t *testing.T, ctx context.Context, s *stripesandbox.Server) []taken {
	t.Helper()
	state, err := s.Inspect(ctx, stackSecretKey)
	if err != nil {
		t.Fatal(err)
	}
	subjects := map[string]string{}
	for _, intent := range state.PaymentIntents {
		subjects[result(intent).text("id")] = result(intent).text("metadata.purser_subject")
	}
	var all []taken
	for _, raw := range state.Charges {
		charge := result(raw)
		if charge.text("status") != "succeeded" {
			continue
		}
		id := charge.text("payment_intent")
		all = append(all, taken{id: id, cents: cents(t, charge.at("amount")), back: cents(t, charge.at("amount_refunded")), subject: subjects[id], invoice: charge.text("invoice")})
	}
	return all
}

func cents(t *testing.T, v any) int64 {
	t.Helper()
	var n int64
	if _, err := fmt.Sscan(fmt.Sprint(v), &n); err != nil {
		t.Fatalf("%v is no amount: %v", v, err)
	}
	return n
}

// compareWithGateway matches the gateway's charges with our payments and with
// the ledger's clearing entries, one by one, both ways.
func compareWithGateway(t *testing.T, s *billing.Service, ctx context.Context, sandbox *stripesandbox.Server) {
	t.Helper()
	compareWithTaken(t, s, ctx, takenByGateway(t, ctx, sandbox))
	nothingOpen(t, s, ctx, nil)
}

// takenByWorldpay lists the payments that succeeded there. Its orders do not
// say for whom they are.
func takenByWorldpay(t *testing.T, ctx context.Context, s *worldpaysandbox.Server) []taken {
	t.Helper()
	state, err := s.Inspect(ctx, worldpaysandbox.DemoMerchant().Code)
	if err != nil {
		t.Fatal(err)
	}
	var all []taken
	for _, o := range state.Orders {
		if o.Payment != nil && o.Payment.Authorised > 0 {
			all = append(all, taken{id: o.Code, cents: o.Amount.Value, back: o.Payment.Refunded})
			if o.Payment.ChargedBack != 0 {
				t.Errorf("order %s was charged back, which nobody here has asked for", o.Code)
			}
		}
	}
	return all
}

// compareWithTaken is compareWithGateway for what gateways took.
func compareWithTaken(t *testing.T, s *billing.Service, ctx context.Context, all []taken) {
	t.Helper()
	client := s.Client()
	payments, err := client.Payment.Query().Where(payment.StatusEQ(payment.StatusSUCCEEDED)).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]*ent.Payment{}
	for _, p := range payments {
		if p.GatewayPaymentID == nil {
			t.Errorf("payment %s succeeded under no name of the gateway's", p.ID)
			continue
		}
		if other := stored[*p.GatewayPaymentID]; other != nil {
			t.Errorf("payments %s and %s are both %s at the gateway", other.ID, p.ID, *p.GatewayPaymentID)
		}
		stored[*p.GatewayPaymentID] = p
	}
	rows, err := client.LedgerEntry.Query().
		Where(ledgerentry.DebitAccountHasPrefix("clearing:")).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	booked := map[string]*ent.LedgerEntry{}
	for _, e := range rows {
		if e.PaymentID == nil {
			t.Errorf("entry %s books no payment", e.ID)
			continue
		}
		if other := booked[*e.PaymentID]; other != nil {
			t.Errorf("entries %s and %s book the same payment %s", other.ID, e.ID, *e.PaymentID)
		}
		booked[*e.PaymentID] = e
	}
	bySubject := map[string]string{}
	for _, charge := range all {
		p := stored[charge.id]
		if p == nil {
			t.Errorf("the gateway took %d cents as %s for %s, and no payment of ours knows", charge.cents, charge.id, charge.subject)
			continue
		}
		delete(stored, charge.id)
		if charge.invoice == "" && charge.subject != "" {
			if charge.subject != p.ID {
				t.Errorf("%s was taken for %s and is payment %s here", charge.id, charge.subject, p.ID)
			}
			if other := bySubject[charge.subject]; other != "" {
				t.Errorf("the gateway took money twice for %s: %s and %s", charge.subject, other, charge.id)
			}
			bySubject[charge.subject] = charge.id
		}
		minor, err := p.Amount().Minor()
		if err != nil || minor != charge.cents {
			t.Errorf("the gateway took %d cents as %s, payment %s is %s", charge.cents, charge.id, p.ID, p.Amount())
		}
		if minor, err := p.Refunded().Minor(); err != nil || minor != charge.back {
			t.Errorf("the gateway gave %d cents of %s back, payment %s says %s", charge.back, charge.id, p.ID, p.Refunded())
		}
		e := booked[p.ID]
		if e == nil {
			t.Errorf("payment %s of %s stands in no entry", p.ID, p.Amount())
			continue
		}
		delete(booked, p.ID)
		if e.Amount() != p.Amount() {
			t.Errorf("payment %s of %s is booked with %s", p.ID, p.Amount(), e.Amount())
		}
	}
	for id, p := range stored {
		t.Errorf("payment %s succeeded as %s, of which the gateway knows nothing", p.ID, id)
	}
	for id, e := range booked {
		t.Errorf("entry %s books payment %s, for which the gateway took nothing", e.ID, id)
	}
	if len(all) == 0 {
		t.Error("the gateway took no money at all: nothing was compared")
	}
}

// nothingOpen fails where a call or an event was left to nobody, or to a
// person. Lies are events that the test has made up, by their ids.
func nothingOpen(t *testing.T, s *billing.Service, ctx context.Context, lies map[string]bool) {
	t.Helper()
	calls, err := s.Client().GatewayCall.Query().Where(gatewaycall.StateNEQ(gatewaycall.StateDONE)).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range calls {
		t.Errorf("call %s (%s of %s) is %s: %s %s", c.ID, c.Operation, c.Subject, c.State, c.FailureCode, c.FailureMessage)
	}
	events, err := s.Client().GatewayEvent.Query().
		Where(gatewayevent.StatusNotIn(gatewayevent.StatusAPPLIED, gatewayevent.StatusIGNORED)).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if lies[e.GatewayEventID] {
			continue
		}
		t.Errorf("event %s (%s of %s) is %s after %d tries: %v", e.GatewayEventID, e.Type, e.ObjectID, e.Status, e.Attempts, e.Error)
	}
}

// compareWithCustomer looks for everything that a caller was told, and for
// anything more than that.
func compareWithCustomer(t *testing.T, s *billing.Service, ctx context.Context, c *customer) {
	t.Helper()
	client := s.Client()
	var wantCents int64
	want := map[payment.Purpose]map[payment.Status]int{payment.PurposeTOP_UP: {}, payment.PurposeINVOICE: {}}
	invoices, entries, cards := 0, 0, 2 // each begins with two cards
	for _, e := range c.done {
		switch e.kind {
		case errandTopUp, errandDeclined, errandHosted, errandRefund:
			status := payment.Status(e.status)
			if e.kind == errandHosted {
				if status = payment.StatusREQUIRES_ACTION; e.paid {
					status = payment.StatusSUCCEEDED
				}
			}
			p, err := client.Payment.Get(ctx, e.id)
			if err != nil || p.Status != status {
				t.Errorf("%s %s was acknowledged as payment %s, which should be %s: %v, %v", e.kind, e.key, e.id, status, p, err)
			}
			want[payment.PurposeTOP_UP][status]++
		case errandSale:
			i, err := client.Invoice.Get(ctx, e.id)
			if err != nil || i.Status != invoice.StatusPAID {
				t.Errorf("%s %s was acknowledged as invoice %s PAID: %v, %v", e.kind, e.key, e.id, i, err)
			}
			want[payment.PurposeINVOICE][payment.StatusSUCCEEDED]++
			invoices++
		case errandAuto:
			n, err := client.Payment.Query().Where(payment.PayerID(e.id), payment.PurposeEQ(payment.PurposeAUTO_RELOAD)).Count(ctx)
			if err != nil || n != 1 || e.status != "10.00" {
				t.Errorf("%s %s: %s has %d reloads and %s, %v", e.kind, e.key, e.id, n, e.status, err)
			}
		case errandCard:
			m, err := client.PaymentMethod.Get(ctx, e.id)
			if err != nil || m.Status != paymentmethod.StatusACTIVE {
				t.Errorf("%s %s was acknowledged as %s: %v, %v", e.kind, e.key, e.id, m, err)
			}
			cards++
		default:
			if e.status == "REFUSED" {
				continue
			}
			if _, err := client.LedgerEntry.Get(ctx, e.id); err != nil {
				t.Errorf("%s %s was acknowledged as entry %s: %v", e.kind, e.key, e.id, err)
			}
			entries++
		}
		wantCents += e.cents
	}
	found := map[payment.Purpose]map[payment.Status]int{payment.PurposeTOP_UP: {}, payment.PurposeINVOICE: {}}
	payments, err := client.Payment.Query().Where(payment.PayerID(c.payer)).All(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range payments {
		found[p.Purpose][p.Status]++
	}
	if fmt.Sprint(found) != fmt.Sprint(want) {
		t.Errorf("%s has the payments %v, was told of %v", c.name, found, want)
	}
	if n, err := client.Invoice.Query().Where(invoice.PayerID(c.payer)).Count(ctx); err != nil || n != invoices {
		t.Errorf("%s has %d invoices, was told of %d: %v", c.name, n, invoices, err)
	}
	if n, err := client.PaymentMethod.Query().Where(paymentmethod.PayerID(c.payer)).Count(ctx); err != nil || n != cards {
		t.Errorf("%s has %d cards, was told of %d: %v", c.name, n, cards, err)
	}
	b, err := client.Balance.Query().Where(balance.PayerID(c.payer), balance.Currency("USD")).Only(ctx)
	if ent.IsNotFound(err) {
		if wantCents != 0 {
			t.Errorf("%s has no balance, was told of %d cents", c.name, wantCents)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	ofBalance, err := client.LedgerEntry.Query().
		Where(ledgerentry.BalanceID(b.ID), ledgerentry.KindIn(ledgerentry.KindRELOAD, ledgerentry.KindUSAGE)).Count(ctx)
	if err != nil || ofBalance != entries {
		t.Errorf("%s has %d entries of reloads and usage, was told of %d: %v", c.name, ofBalance, entries, err)
	}
	remaining := money.Amount{Units: b.AmountUnits - b.UsageUnits, Currency: b.Currency}
	if minor, err := remaining.Minor(); err != nil || minor != wantCents {
		t.Errorf("%s has %s left, was told of %d cents: %v", c.name, remaining, wantCents, err)
	}
}
