package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/ent/balance"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/money"
	"purser/testdb"
)

// What TestKillDatabase does by default.
const (
	databaseKills = 9
	spendersMax   = 12
	// spendersBetween is how many definite answers come between two kills.
	spendersBetween = 40
	// spendersOpen is how many requests a caller leaves open at most, and
	// spendersPause the time between two tries of one.
	spendersOpen  = 10
	spendersPause = 100 * time.Millisecond
	// spendersFunds is what each payer begins with, in cents: it runs out now
	// and then.
	spendersFunds = 20_00
)

// TestKillDatabase kills PostgreSQL, every process of it at once, under the
// usage, batches and holds of many callers at two servers: at random moments,
// while a transaction is open, when a COMMIT has its answer that nobody hears,
// and while it recovers from the kill before. Everything that was acknowledged
// is there once; what was not is there at most once, and a repetition with its
// key settles it; nobody has spent what was not there.
func TestKillDatabase(t *testing.T) {
	t.Parallel()
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the schedule of kills repeats with -kill.seed=%d", seed)
	schedule := rand.New(rand.NewPCG(seed, 0))
	postgres := testdb.StartServer(t)
	proxy := testdb.NewProxy(t, postgres.URL(t))
	a := newArenaOn(t, dialect.Postgres, proxy.URL())
	second := freeAddress(t)
	servers := []*testServer{a.launch(t, ""), a.launchAt(t, second, "", 0)}
	for _, s := range servers {
		if !a.ready(s) {
			t.Fatalf("the server ended: %v\n%s", s.err, s.Output())
		}
	}
	crowd := a.spenders(t, []string{a.endpoint, "http://" + second + "/graphql"}, seed)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	leave := make(chan struct{}) // closed when nothing new is to begin
	failures := make(chan error, spendersMax)
	var working sync.WaitGroup
	for _, s := range crowd.all {
		working.Go(func() {
			for {
				select {
				case <-leave:
					return
				default:
				}
				if err := s.work(ctx, s.something(), false); err != nil {
					failures <- fmt.Errorf("%s: %w", s.name, err)
					stop()
					return
				}
			}
		})
	}
	n := databaseKills
	if full() {
		n *= 10
	}
	started := time.Now()
	for i := range n {
		before := crowd.answered.Load()
		if !holdsWithin(time.Minute, func() bool { return ctx.Err() != nil || crowd.answered.Load() >= before+spendersBetween }) {
			t.Errorf("the servers do not come back: %d answers since kill %d", crowd.answered.Load()-before, i)
		}
		if ctx.Err() != nil || t.Failed() {
			break
		}
		switch i % 3 {
		case 0:
			time.Sleep(time.Duration(schedule.Int64N(int64(200 * time.Millisecond)))) // the moment is the random thing
			postgres.Kill(t)
		case 1:
			killAt(t, postgres, proxy, schedule.IntN(20), func(m testdb.Message) bool {
				return m.Kind == 'C' && bytes.HasPrefix(m.Body, []byte("INSERT"))
			})
		default:
			killAt(t, postgres, proxy, schedule.IntN(20), isCommit)
		}
		if schedule.IntN(3) == 0 {
			postgres.Launch(t)
			time.Sleep(time.Duration(schedule.Int64N(int64(150 * time.Millisecond)))) // as above
			postgres.Kill(t)
		}
		postgres.Start(t)
	}
	took := time.Since(started)
	close(leave)
	working.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	if t.Failed() {
		t.Fatalf("%s\n%s", servers[0].Output(), servers[1].Output())
	}
	crowd.settle(t, a)
	for _, s := range servers {
		s.Stop()
	}
	crowd.compare(t, a)
	t.Logf("%d kills in %s: %d definite answers, %d that were none, %d events left open, %d refused for want of funds",
		n, took.Round(time.Second), crowd.answered.Load(), crowd.unclear.Load(), crowd.left, crowd.refused.Load())
	if crowd.unclear.Load() < int64(n) || crowd.left == 0 || crowd.refused.Load() == 0 {
		t.Error("the test hardly met the servers at work")
	}
}

// killAt kills the database when it has said something, which nobody hears.
func killAt(t *testing.T, postgres *testdb.Server, proxy *testdb.Proxy, skip int, match func(testdb.Message) bool) {
	t.Helper()
	reached, dead := make(chan struct{}), make(chan struct{})
	defer close(dead)
	proxy.CutWhen(func(m testdb.Message) bool {
		if !match(m) {
			return false
		}
		if skip--; skip >= 0 {
			return false
		}
		close(reached)
		<-dead // and nothing else that was said is heard before
		return true
	})
	select {
	case <-reached:
	case <-time.After(time.Minute):
		t.Fatal("the moment never came")
	}
	postgres.Kill(t)
}

// spenders are the callers of TestKillDatabase and the payers whose balances
// they share.
type spenders struct {
	all    []*spender
	payers []string
	// answered counts definite answers, unclear those that were none, refused
	// the events for which there were no funds.
	answered, unclear, refused atomic.Int64
	// left is how many requests had no definite answer in the end.
	left int
}

// spender sends each request to one of the servers. Where no definite answer
// comes, it asks again under the same key, or leaves it open.
type spender struct {
	*spenders
	name    string
	rand    *rand.Rand
	clients []*apiClient
	n       int
	// booked are the entries that were acknowledged, with what they are worth.
	booked map[string]worth
	holds  []string // acknowledged
	open   []*request
}

// worth is what an event adds to a payer's balance, in cents.
type worth struct {
	payer string
	cents int64
}

// request is one mutation with the events in it.
type request struct {
	name, selection string
	input           map[string]any
	keys            []string
	events          []worth
	// next is what follows once it is known what has happened; nil: nothing.
	next func(result) *request
}

func (a *arena) spenders(t *testing.T, endpoints []string, seed uint64) *spenders {
	t.Helper()
	crowd := &spenders{}
	for i, token := range a.tokens(t, spendersMax) {
		s := &spender{spenders: crowd, name: fmt.Sprintf("spender%d", i), rand: rand.New(rand.NewPCG(seed, uint64(i)+1)), booked: map[string]worth{}}
		for _, endpoint := range endpoints {
			s.clients = append(s.clients, &apiClient{endpoint: endpoint, http: a.http, token: token})
		}
		crowd.all = append(crowd.all, s)
	}
	for i := range 2 {
		name := fmt.Sprintf("payer%d", i)
		got, err := crowd.all[0].clients[0].mutate(t.Context(), "developerCreate", "developer { id }", map[string]any{
			"name": name, "email": name + "@example.com", "billingMode": "PREPAID",
		})
		if err != nil {
			t.Fatal(err)
		}
		crowd.payers = append(crowd.payers, got.text("developer.id"))
		if err := crowd.all[0].work(t.Context(), crowd.all[0].reload(crowd.payers[i], spendersFunds), true); err != nil {
			t.Fatal(err)
		}
	}
	return crowd
}

// something is a random request.
func (s *spender) something() *request {
	payer := s.payers[s.rand.IntN(len(s.payers))]
	switch n := s.rand.IntN(20); {
	case n < 9:
		event, input := s.usage(payer)
		return &request{name: "usageRecord", selection: "entry { id }", input: input, keys: []string{input["idempotencyKey"].(string)}, events: []worth{event}}
	case n < 14:
		r := &request{name: "usageRecordBatch", selection: "results { entry { id } userErrors { code } }"}
		var inputs []any
		for range 1 + s.rand.IntN(12) {
			event, input := s.usage(s.payers[s.rand.IntN(len(s.payers))])
			inputs, r.events, r.keys = append(inputs, input), append(r.events, event), append(r.keys, input["idempotencyKey"].(string))
		}
		r.input = map[string]any{"events": inputs}
		return r
	case n < 18:
		return s.hold(payer)
	}
	return s.reload(payer, 1+s.rand.Int64N(8_00))
}

func (s *spender) key() string {
	s.n++
	return fmt.Sprintf("%s-%d", s.name, s.n)
}

func inCents(cents int64) map[string]any {
	return usDollars(fmt.Sprintf("%d.%02d", cents/100, cents%100))
}

func (s *spender) usage(payer string) (worth, map[string]any) {
	cents := 1 + s.rand.Int64N(50)
	return worth{payer, -cents}, map[string]any{"payerId": payer, "amount": inCents(cents), "idempotencyKey": s.key()}
}

func (s *spender) reload(payer string, cents int64) *request {
	key := s.key()
	return &request{
		name: "balanceReload", selection: "entry { id }", keys: []string{key}, events: []worth{{payer, cents}},
		input: map[string]any{"payerId": payer, "amount": inCents(cents), "idempotencyKey": key},
	}
}

// hold sets something aside, and then charges a part of it or gives it back.
func (s *spender) hold(payer string) *request {
	cents := 2 + s.rand.Int64N(2_00)
	used := s.rand.Int64N(cents + 1)
	capture := s.key()
	return &request{
		name: "holdCreate", selection: "hold { id }",
		input: map[string]any{"payerId": payer, "amount": inCents(cents), "idempotencyKey": s.key()},
		next: func(got result) *request {
			id := got.text("hold.id")
			s.holds = append(s.holds, id)
			if used == 0 {
				return &request{name: "holdRelease", selection: "hold { id }", input: map[string]any{"id": id}}
			}
			return &request{
				name: "holdCapture", selection: "entry { id }", keys: []string{capture}, events: []worth{{payer, -used}},
				input: map[string]any{"id": id, "amount": inCents(used), "idempotencyKey": capture},
			}
		},
	}
}

// work sends a request and what follows from it. Whoever is not patient leaves
// it open now and then when the answer is none.
func (s *spender) work(ctx context.Context, r *request, patient bool) error {
	for r != nil {
		got, err := s.send(ctx, r, patient)
		var refused *refusal
		switch {
		case errors.Is(err, errGaveUp):
			s.open = append(s.open, r)
			return nil
		case errors.As(err, &refused) && noFunds(refused.Code):
			s.answered.Add(1)
			s.refused.Add(1)
			return nil
		case err != nil:
			return err
		}
		s.answered.Add(1)
		if err := s.hear(r, got); err != nil {
			return err
		}
		if r.next == nil {
			return nil
		}
		r = r.next(got)
	}
	return nil
}

func noFunds(code string) bool { return code == "INSUFFICIENT_FUNDS" || code == "FUNDS_RESERVED" }

func (s *spender) send(ctx context.Context, r *request, patient bool) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, errandTime)
	defer cancel()
	for {
		got, err := s.clients[s.rand.IntN(len(s.clients))].mutate(ctx, r.name, r.selection, r.input)
		var u *unclear
		if !errors.As(err, &u) {
			return got, err
		}
		s.unclear.Add(1)
		if !patient && len(s.open) < spendersOpen && s.rand.IntN(3) == 0 {
			return nil, errGaveUp
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: no definite answer within %s: %w", r.name, errandTime, err)
		case <-time.After(max(u.wait, spendersPause)):
		}
	}
}

// hear notes what was acknowledged.
func (s *spender) hear(r *request, got result) error {
	for i, event := range r.events {
		one := got
		if len(r.events) > 1 || r.name == "usageRecordBatch" {
			all, _ := got.at("results").([]any)
			if len(all) != len(r.events) {
				return fmt.Errorf("%d of %d events have an outcome", len(all), len(r.events))
			}
			one = result(all[i].(map[string]any))
		}
		if id := one.text("entry.id"); id != "" {
			if before, ok := s.booked[id]; ok {
				return fmt.Errorf("entry %s stands for %v and for %v", id, before, event)
			}
			s.booked[id] = event
			continue
		}
		refused, _ := one.at("userErrors").([]any)
		if len(refused) == 0 || !noFunds(result(refused[0].(map[string]any)).text("code")) {
			return fmt.Errorf("%s %s: %v", r.name, r.keys[i], one)
		}
		s.refused.Add(1)
	}
	return nil
}

// settle looks at what was left open, of which nothing may have happened
// twice, and asks for it once more.
func (c *spenders) settle(t *testing.T, a *arena) {
	t.Helper()
	a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
		for _, spender := range c.all {
			for _, r := range spender.open {
				n, err := s.Client().LedgerEntry.Query().Where(ledgerentry.IdempotencyKeyIn(r.keys...)).Count(ctx)
				if err != nil || n > len(r.keys) {
					t.Errorf("%s %v without an answer: %d entries, %v", r.name, r.keys, n, err)
				}
			}
		}
	})
	for _, s := range c.all {
		open := s.open
		s.open = nil
		c.left += len(open)
		for _, r := range open {
			if err := s.work(t.Context(), r, true); err != nil {
				t.Errorf("asked again: %v", err)
			}
		}
	}
}

// compare holds what was acknowledged against what is stored.
func (c *spenders) compare(t *testing.T, a *arena) {
	t.Helper()
	want, holds := map[string]worth{}, []string{}
	for _, s := range c.all {
		for id, w := range s.booked {
			if before, ok := want[id]; ok {
				t.Errorf("entry %s stands for %v and for %v", id, before, w)
			}
			want[id] = w
		}
		holds = append(holds, s.holds...)
	}
	a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
		for _, payer := range c.payers {
			b, err := s.Client().Balance.Query().Where(balance.PayerID(payer)).Only(ctx)
			if err != nil {
				t.Fatal(err)
			}
			entries, err := s.Client().LedgerEntry.Query().Where(ledgerentry.BalanceID(b.ID)).All(ctx)
			if err != nil {
				t.Fatal(err)
			}
			var cents int64
			for _, e := range entries {
				w, ok := want[e.ID]
				delete(want, e.ID)
				units := e.AmountUnits
				if e.Kind == ledgerentry.KindUSAGE {
					units = -units
				}
				if !ok || w.payer != payer || units != money.Units(w.cents)*money.UnitsPerMinor {
					t.Errorf("entry %s of %d units on %s was acknowledged as %v (%t)", e.ID, units, payer, w, ok)
				}
				if e.AmountAfterUnits == nil || e.UsageAfterUnits == nil || *e.AmountAfterUnits < *e.UsageAfterUnits {
					t.Errorf("entry %s has spent what was not there", e.ID)
				}
				cents += w.cents
			}
			if left := b.AmountUnits - b.UsageUnits; left != money.Units(cents)*money.UnitsPerMinor || left < 0 || b.HeldUnits != 0 {
				t.Errorf("%s has %d units left, %d on hold, want %d cents", payer, left, b.HeldUnits, cents)
			}
		}
		for id, w := range want {
			t.Errorf("entry %s of %v was acknowledged and is not there", id, w)
		}
		slices.Sort(holds)
		stored, err := s.Client().Hold.Query().Where(hold.StatusNEQ(hold.StatusOPEN)).IDs(ctx)
		slices.Sort(stored)
		if err != nil || !slices.Equal(stored, holds) {
			t.Errorf("the holds that have ended are %v, acknowledged were %v, %v", stored, holds, err)
		}
		if _, err := s.VerifyAll(auth.AllTenants(t.Context(), "verify"), billing.VerifyOptions{}); err != nil {
			t.Errorf("verify: %v", err)
		}
	})
}
