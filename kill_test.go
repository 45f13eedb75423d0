package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
)

var (
	killCycles = flag.Int("kill.cycles", 0, "how often TestKill kills the server (PURSER_TEST_KILLS; default 75, 60 on PostgreSQL)")
	killSeed   = flag.Uint64("kill.seed", 0, "seed of TestKill's schedule (default: a new one)")
)

// On a slow machine the default number of kills ends early.
const (
	killsLeast = 20
	killTime   = 15 * time.Second
)

// kills is how often the server is killed, and whether a slow machine may
// leave it at less.
func kills(t *testing.T, dialectName string) (n int, bounded bool) {
	t.Helper()
	if *killCycles > 0 {
		return *killCycles, false
	}
	if given := os.Getenv("PURSER_TEST_KILLS"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 {
			t.Fatalf("PURSER_TEST_KILLS=%q is not a number of kills", given)
		}
		return n, false
	}
	return map[string]int{dialect.SQLite: 75, dialect.Postgres: 60}[dialectName], true
}

// customersMax is how many callers are at work while the server dies.
const customersMax = 7

// TestKill kills the server again and again, at random moments, while
// customers pay, buy and use; afterwards every acknowledged result is there,
// and our books and the gateway's are equal to the cent.
func TestKill(t *testing.T) {
	eachArena(t, func(t *testing.T, a *arena) {
		seed := *killSeed
		if seed == 0 {
			seed = rand.Uint64()
		}
		t.Logf("the schedule of kills repeats with -kill.seed=%d", seed)
		schedule := rand.New(rand.NewPCG(seed, 0))
		launched := time.Now()
		server := a.launch(t, "")
		if !a.ready(server) {
			t.Fatalf("the server ended: %v\n%s", server.err, server.Output())
		}
		// A life is up to 400 ms long, and longer where everything is slow:
		// the server is to be killed at work, not only at its start.
		longest := max(400*time.Millisecond, 3*time.Since(launched))
		customers := a.customers(t, customersMax, seed)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var working sync.WaitGroup
		var once sync.Once
		var failed error
		leave := make(chan struct{}) // closed when no new errand is to begin
		for _, c := range customers {
			working.Go(func() {
				for {
					select {
					case <-leave:
						return
					default:
					}
					if err := c.wander(ctx); err != nil {
						once.Do(func() { failed = err; stop() })
						return
					}
				}
			})
		}
		started := time.Now()
		n, bounded := kills(t, a.dialect)
		starting := 0
		killedTimes := 0
		for ; killedTimes < n && ctx.Err() == nil; killedTimes++ {
			if bounded && killedTimes >= killsLeast && time.Since(started) > killTime {
				break
			}
			if schedule.IntN(8) > 0 {
				if !a.ready(server) {
					t.Fatalf("the server ended by itself: %v\n%s", server.err, server.Output())
				}
			} else {
				starting++ // it dies while it starts
			}
			select {
			case <-ctx.Done():
			case <-time.After(5*time.Millisecond + time.Duration(schedule.Int64N(int64(longest)))):
			}
			server.Kill()
			a.later(50 * time.Second) // longer than the dead server's leases
			server = a.launch(t, "")
		}
		if !a.ready(server) {
			t.Fatalf("the server ended by itself: %v\n%s", server.err, server.Output())
		}
		killed := time.Since(started)
		close(leave)
		working.Wait()
		if failed != nil {
			t.Fatalf("%v\n%s", failed, server.Output())
		}
		server.Stop()
		a.settle(t)
		total := 0
		for _, c := range customers {
			total += len(c.done)
		}
		a.compare(t, customers)
		t.Logf("%d kills (%d while starting) in %s, %d errands, settled %s later", killedTimes, starting, killed.Round(time.Second), total, (time.Since(started) - killed).Round(time.Second))
		if total < 2*customersMax {
			t.Errorf("%d errands were done during %d kills: the test hardly met the program at work", total, killedTimes)
		}
	})
}

// customers makes the callers with their cards.
func (a *arena) customers(t *testing.T, n int, seed uint64) []*customer {
	t.Helper()
	var all []*customer
	for i := range n {
		c := &customer{
			apiClient: a.apiClient, name: fmt.Sprintf("customer%d", i), again: a.next,
			rand: rand.New(rand.NewPCG(seed, uint64(i)+1)),
		}
		ask := func(name, selection, path string, input map[string]any) string {
			t.Helper()
			got, err := c.until(t.Context(), name, selection, input, func(r result) bool { return r.text(path) != "" })
			if err != nil {
				t.Fatal(err)
			}
			return got.text(path)
		}
		c.payer = ask("developerCreate", "developer { id }", "developer.id", map[string]any{
			"name": c.name, "email": c.name + "@example.com", "idempotencyKey": c.name,
		})
		c.card = ask("paymentMethodAttach", "paymentMethod { id status }", "paymentMethod.id", map[string]any{
			"payerId": c.payer, "gatewayToken": "pm_card_visa", "idempotencyKey": c.name + "-card",
		})
		c.poor = ask("paymentMethodAttach", "paymentMethod { id status }", "paymentMethod.id", map[string]any{
			"payerId": c.payer, "gatewayToken": "pm_card_chargeCustomerFail", "idempotencyKey": c.name + "-poor",
		})
		all = append(all, c)
	}
	return all
}
