package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/ent/gatewayevent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/sandbox"
)

// badLuck is what happens to the deliveries of one telling besides their order.
type badLuck int

const (
	luckNone      badLuck = iota
	luckDuplicate         // each event is delivered twice, once at the end
	luckDrop              // one event never comes
	luckLate              // nothing is delivered before the last act
	luckMax
)

// TestEventsInAnyOrder tells every story with its events in every order, each
// with one kind of bad luck in turn: the end is the same. Unless everything is
// to be tried, stories are told in a sample of their orders.
func TestEventsInAnyOrder(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		card := s.newCard(t, payer, "pm_card_authenticationRequiredSetupForOffSession")
		for _, story := range stories() {
			orders := permutations(len(story.events))
			// Mixed, so that each kind of luck meets orders of every kind.
			rand.New(rand.NewPCG(1, 1)).Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
			if !full() {
				// The order matters to the same code on both; each kind of luck
				// is met on both.
				sample := int(luckMax)
				if s.db.Dialect == dialect.SQLite {
					sample *= 2
					if len(story.events) >= 5 {
						sample += int(luckMax)
					}
				}
				orders = orders[:min(len(orders), sample)]
			}
			for i := range orders {
				luck := badLuck(i % int(luckMax))
				s.tell(t, story, &cast{payer: payer, card: card}, orders[i], luck, i/int(luckMax))
				if t.Failed() {
					t.Fatalf("%s: the events came in the order %v with luck %d", story.name, orders[i], luck)
				}
			}
		}
	})
}

// tell plays a story and compares its end.
func (s *stack) tell(t *testing.T, story story, c *cast, order []int, luck badLuck, n int) {
	t.Helper()
	s.newEvents(t) // what came before is none of this story's
	story.begin(t, s, c)
	var there, others []stripeEvent // of the kinds in question; the rest
	gather := func() {
		for _, e := range s.newEvents(t) {
			known := slices.ContainsFunc(there, func(o stripeEvent) bool { return o.kind == e.kind })
			if slices.Contains(story.events, e.kind) && !known {
				there = append(there, e)
			} else {
				others = append(others, e)
			}
		}
	}
	gather()
	left := slices.Clone(order)
	var delivered []stripeEvent
	advance := func() { // delivers what is next as far as it has happened
		for len(left) > 0 {
			i := slices.IndexFunc(there, func(e stripeEvent) bool { return e.kind == story.events[left[0]] })
			if i < 0 {
				return
			}
			if !(luck == luckDrop && left[0] == n%len(story.events)) {
				s.mustDeliver(t, there[i])
				delivered = append(delivered, there[i])
			}
			left = left[1:]
		}
	}
	for i, act := range story.acts {
		if luck != luckLate || i == len(story.acts) {
			advance()
		}
		act(t, s, c)
		gather()
	}
	advance()
	if len(left) > 0 {
		t.Fatalf("the gateway never told about %s", story.events[left[0]])
	}
	if luck == luckDuplicate {
		for _, e := range delivered {
			s.mustDeliver(t, e)
		}
	}
	if luck != luckDrop {
		if got := s.ending(t, c); got != story.want {
			t.Errorf("after its events the story stands at\n%s, want\n%s", got, story.want)
		}
	}
	for _, e := range others {
		s.mustDeliver(t, e)
	}
	s.settle(t)
	if got := s.ending(t, c); got != story.want {
		t.Errorf("after all the story stands at\n%s, want\n%s", got, story.want)
	}
}

func (s *stack) mustDeliver(t *testing.T, e stripeEvent) {
	t.Helper()
	if status := s.deliver(t, e); status != http.StatusOK {
		t.Fatalf("event %s %s is answered with %d", e.id, e.kind, status)
	}
}

// permutations returns all orders of n things.
func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for _, shorter := range permutations(n - 1) {
		for at := range n {
			all = append(all, slices.Insert(slices.Clone(shorter), at, n-1))
		}
	}
	return all
}

// TestEventsThatNobodySent delivers what only looks like an event: nothing
// changes.
func TestEventsThatNobodySent(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		c := &cast{payer: payer}
		beginInvoice(t, s, c)
		finalized := s.newEvents(t)
		event := finalized[slices.IndexFunc(finalized, func(e stripeEvent) bool { return e.kind == "invoice.finalized" })]
		s.mustDeliver(t, event)
		s.submit(t, c.page, cardForm("4242424242424242"))
		events := s.newEvents(t)
		paid := events[slices.IndexFunc(events, func(e stripeEvent) bool { return e.kind == "invoice.paid" })]
		now := s.clock.Now()
		before := s.rows(t)
		for name, forged := range map[string]delivery{
			"no signature":               {paid.body, ""},
			"another secret":             {paid.body, eventSignature(now, paid.body, "whsec_other00000000000000000000")},
			"an empty secret":            {paid.body, eventSignature(now, paid.body, "")},
			"another body":               {bytes.Replace(paid.body, []byte("2500"), []byte("2501"), 1), eventSignature(now, paid.body, stackWebhookSecret)},
			"six minutes old":            {paid.body, eventSignature(now.Add(-6*time.Minute), paid.body, stackWebhookSecret)},
			"six minutes ahead":          {paid.body, eventSignature(now.Add(6*time.Minute), paid.body, stackWebhookSecret)},
			"two times":                  {paid.body, eventSignature(now, paid.body, stackWebhookSecret) + fmt.Sprintf(",t=%d", now.Unix())},
			"no event":                   {[]byte("{}"), eventSignature(now, []byte("{}"), stackWebhookSecret)},
			"no JSON":                    {[]byte("<paid/>"), eventSignature(now, []byte("<paid/>"), stackWebhookSecret)},
			"an event of real money":     live(paid.body, now),
			"a body longer than allowed": tooLong(paid.body, now),
		} {
			if status := s.deliverSigned(t, forged.body, forged.signature); status < 400 || status >= 500 {
				t.Errorf("%s: answered with %d", name, status)
			}
		}
		if after := s.rows(t); after != before {
			t.Errorf("forged events left %s, before there was %s", after, before)
		}
		// A replayed event has its place already.
		s.mustDeliver(t, event)
		if after := s.rows(t); after != before {
			t.Errorf("a replayed event left %s, before there was %s", after, before)
		}
		s.mustDeliver(t, paid)
		want := stories()[0].want
		if got := s.ending(t, c); got != want {
			t.Fatalf("after invoice.paid: %s, want %s", got, want)
		}
		settled := s.rows(t)
		for range 3 {
			s.mustDeliver(t, paid)
		}
		if after := s.rows(t); after != settled {
			t.Errorf("a replayed payment left %s, before there was %s", after, settled)
		}
	})
}

// TestEventIsOnlyAHint delivers well-signed events that tell of what did not
// happen: the gateway is asked, and nothing is believed.
func TestEventIsOnlyAHint(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		c := &cast{payer: s.newPayer(t, "Ada")}
		beginInvoice(t, s, c)
		events := s.newEvents(t)
		finalized := events[slices.IndexFunc(events, func(e stripeEvent) bool { return e.kind == "invoice.finalized" })]
		lie := stripeEvent{id: "evt_lie", kind: "invoice.paid", body: finalized.body}
		for from, to := range map[string]string{
			finalized.id: lie.id, "invoice.finalized": "invoice.paid", `"status": "open"`: `"status": "paid"`, `"amount_paid": 0`: `"amount_paid": 2500`,
		} {
			lie.body = bytes.ReplaceAll(lie.body, []byte(from), []byte(to))
		}
		if bytes.Equal(lie.body, finalized.body) {
			t.Fatal("the event was not changed")
		}
		before := s.ending(t, c)
		s.mustDeliver(t, lie)
		if got := s.ending(t, c); got != before {
			t.Errorf("a lie was believed: %s, before %s", got, before)
		}
		stored, err := s.billing.Client().GatewayEvent.Query().Where(gatewayevent.GatewayEventID(lie.id)).Only(s.ctx)
		if err != nil || stored.Status != gatewayevent.StatusAPPLIED {
			t.Errorf("the event is %v, %v; want it applied as what the gateway says", stored, err)
		}
		// An event of an object that is none of ours is noted and ignored.
		foreign := stripeEvent{id: "evt_foreign", body: []byte(`{"id":"evt_foreign","object":"event","type":"invoice.paid","livemode":false,"created":1,"data":{"object":{"id":"in_foreign","object":"invoice"}}}`)}
		s.mustDeliver(t, foreign)
		stored, err = s.billing.Client().GatewayEvent.Query().Where(gatewayevent.GatewayEventID(foreign.id)).Only(s.ctx)
		if err != nil || stored.Status != gatewayevent.StatusIGNORED {
			t.Errorf("a foreign event is %v, %v; want it ignored", stored, err)
		}
	})
}

// delivery is a body with its signature.
type delivery struct {
	body      []byte
	signature string
}

func live(body []byte, at time.Time) (forged delivery) {
	forged.body = bytes.ReplaceAll(bytes.ReplaceAll(body, []byte(`"livemode": false`), []byte(`"livemode": true`)), []byte(`"livemode":false`), []byte(`"livemode":true`))
	forged.signature = eventSignature(at, forged.body, stackWebhookSecret)
	return forged
}

func tooLong(body []byte, at time.Time) (forged delivery) {
	forged.body = append(bytes.Clone(body), bytes.Repeat([]byte(" "), 1<<20)...)
	forged.signature = eventSignature(at, forged.body, stackWebhookSecret)
	return forged
}

// rows counts what an event could leave behind.
func (s *stack) rows(t *testing.T) string {
	t.Helper()
	c := s.billing.Client()
	count := func(n int, err error) int {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return fmt.Sprintf("%d events, %d entries, %d payments, %d succeeded, %d paid invoices",
		count(c.GatewayEvent.Query().Count(s.ctx)), count(c.LedgerEntry.Query().Count(s.ctx)), count(c.Payment.Query().Count(s.ctx)),
		count(c.Payment.Query().Where(payment.StatusEQ(payment.StatusSUCCEEDED)).Count(s.ctx)),
		count(c.Invoice.Query().Where(invoice.StatusEQ(invoice.StatusPAID)).Count(s.ctx)))
}

// TestEventWhoseObjectCannotBeRead has the gateway fail when it is asked about
// the one event that tells of money: a payment that had failed here, so that
// nothing else would ever ask for it again.
func TestEventWhoseObjectCannotBeRead(t *testing.T) {
	eachStack(t, func(t *testing.T, s *stack) {
		payer := s.newPayer(t, "Ada")
		c := &cast{payer: payer, card: s.newCard(t, payer, "pm_card_authenticationRequiredSetupForOffSession")}
		beginSecureTopUp(false)(t, s, c)
		s.submit(t, c.page, url.Values{"fail": {"fail"}})
		s.deliverAll(t)
		if got, want := s.ending(t, c), "payment FAILED; entries "; got != want {
			t.Fatalf("after 3-D Secure failed: %s, want %s", got, want)
		}
		row, err := s.billing.Client().Payment.Get(s.ctx, c.payment)
		if err != nil {
			t.Fatal(err)
		}
		s.confirmAtGateway(t, *row.GatewayPaymentID)
		fault := sandbox.RequestFault{Method: http.MethodGet, Path: "/v1/payment_intents", Action: sandbox.ActionStatus, Status: 500, Count: -1}
		id, err := s.sandbox.Faults().AddRequest(fault)
		if err != nil {
			t.Fatal(err)
		}
		s.deliverAll(t)
		if got, want := s.ending(t, c), "payment FAILED; entries "; got != want {
			t.Fatalf("while the gateway does not answer: %s, want %s", got, want)
		}
		s.sandbox.Faults().Remove("", id)
		s.settle(t)
		if got, want := s.ending(t, c), "payment SUCCEEDED; entries TOP_UP 30.00"; got != want {
			t.Errorf("after the gateway answers again: %s, want %s", got, want)
		}
	})
}

// confirmAtGateway pays a payment intent as the gateway's own page would.
func (s *stack) confirmAtGateway(t *testing.T, intent string) {
	t.Helper()
	form := url.Values{"payment_method": {"pm_card_visa"}, "return_url": {"http://127.0.0.1/"}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.control.address+"/v1/payment_intents/"+intent+"/confirm", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.control.key)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := s.control.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("confirm %s: %d, %v", intent, response.StatusCode, err)
	}
}
