package main

import (
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/gateway"
	"purser/graph"
	"purser/sandbox"
)

// TestSilentGateway has the gateway do the last thing that each mutation asks
// of it, and not answer while the mutation waits. The caller is told that it
// is under way, never that something broke; the outcome is noted as unknown,
// and due work brings it to its end.
func TestSilentGateway(t *testing.T) {
	const limit = 2 * time.Second // long enough for all other calls of a slow machine
	eachStack(t, func(t *testing.T, s *stack) {
		home := &cast{payer: s.newPayer(t, "Ada")}
		home.card = s.newCard(t, home.payer, "pm_card_visa")
		s.addWorldpay(t, home.payer)
		// The gateway's silence is the same to both databases: each move is
		// seen by one.
		share := map[string]int{dialect.SQLite: 0, dialect.Postgres: 1}[s.db.Dialect]
		moves := append(sales(), hostedStep("", "4242424242424242"))
		for _, of := range []gateway.Kind{gateway.KindStripe, gateway.KindWorldpay} {
			moves = append(moves, chargeStep(of, ""), payStep(of, ""), refundStep(of, ""), noteStep(of, ""))
		}
		for n, m := range moves {
			if full() || n%2 == share {
				s.silence(t, m, home, limit)
			}
		}
		s.deliverAll(t)
		s.settle(t)
		compareWithTaken(t, s.billing, s.ctx, append(takenByGateway(t, s.ctx, s.sandbox), takenByWorldpay(t, s.ctx, s.worldpay.Server)...))
		nothingOpen(t, s.billing, s.ctx, nil)
	}, func(c *graph.HandlerConfig) { c.CallLimit = limit })
}

// silence plays a mutation whose last request is done and not answered.
func (s *stack) silence(t *testing.T, m move, home *cast, limit time.Duration) {
	t.Helper()
	prepared := func() *cast {
		c := *home
		if m.prepare != nil {
			m.prepare(t, s, &c)
		}
		return &c
	}
	_, asked := s.requestsOf(t, m, prepared())
	c := prepared()
	last := asked - 1
	if m.class == classHosted {
		last = 0 // what follows is asked by the browser and by paymentSync
	}
	faults, path := s.sandbox.Faults(), "/v1/"
	if m.gateway == gateway.KindWorldpay {
		faults, path = s.worldpay.Faults(), ""
	}
	_, err := faults.AddRequest(sandbox.RequestFault{
		Path: path, Skip: last, Action: sandbox.ActionDelay, When: sandbox.WhenAfter,
		DelayMilliseconds: int((10 * limit).Milliseconds()),
	})
	if err != nil {
		t.Fatal(err)
	}
	told, err := m.ask(t.Context(), s, c, "silence "+m.name)
	if err != nil {
		t.Errorf("%s: a gateway that does not answer gives %v", m.name, err)
	}
	if m.takes && m.class != classHosted && (told == m.want || strings.Contains(told, "FAILED")) {
		t.Errorf("%s is %q although nobody knows", m.name, told)
	}
	call, err := s.billing.Client().GatewayCall.Query().Order(ent.Desc(gatewaycall.FieldID)).First(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if call.State != gatewaycall.StateOPEN || call.Outcome != string(gateway.StatusUnknown) {
		t.Errorf("%s: the call is %s with the outcome %q, want it OPEN and UNKNOWN", m.name, call.State, call.Outcome)
	}
	if err := s.insist(t, m, c, "silence "+m.name); err != nil {
		t.Errorf("%s, after the gateway has found its voice: %v", m.name, err)
	}
}
