package main

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/crash"
)

// crashed is one errand during which the server dies at named moments, once
// in each of its lives.
type crashed struct {
	errand string
	lives  []string
}

// crashes are all moments of all flows. A sale has four gateway calls, a
// refund and an automatic reload have two, the others one.
func crashes() []crashed {
	var all []crashed
	for _, flow := range []struct {
		errand              string
		calls, transactions int
		events              bool
	}{
		{errandTopUp, 1, 2, true},
		{errandHosted, 1, 2, true},
		{errandCard, 1, 2, false},
		{errandSale, 4, 9, true},
		{errandRefund, 2, 4, true},
		{errandAuto, 2, 6, true},
	} {
		add := func(lives ...string) { all = append(all, crashed{flow.errand, lives}) }
		for n := 1; n <= flow.calls; n++ {
			add(fmt.Sprintf("%s:%d", crash.BeginCommitted, n))
			add(fmt.Sprintf("%s:%d", crash.FinishStarted, n))
			// The one that takes over dies as well.
			add(fmt.Sprintf("%s:%d", crash.BeginCommitted, n), crash.ResumeClaimed)
			add(fmt.Sprintf("%s:%d", crash.FinishStarted, n), crash.ResumeAsked)
			add(fmt.Sprintf("%s:%d", crash.FinishStarted, n), crash.ResumeClaimed, crash.FinishStarted)
		}
		for n := 1; n <= flow.transactions; n++ {
			add(fmt.Sprintf("%s:%d", crash.Committing, n))
			add(fmt.Sprintf("%s:%d", crash.Committed, n))
		}
		if flow.events {
			add(crash.EventStored)
			add(crash.EventClaimed)
			add(crash.EventApplied)
			add(crash.EventClaimed, crash.EventClaimed)
			add(crash.EventApplied, crash.EventApplied)
		}
	}
	return all
}

// TestCrashPoints lets the server die at every named moment of every flow,
// and of its recovery: the errand ends well, once.
func TestCrashPoints(t *testing.T) {
	eachArena(t, func(t *testing.T, a *arena) {
		server := a.launch(t, "")
		if !a.ready(server) {
			t.Fatalf("the server ended: %v\n%s", server.err, server.Output())
		}
		customers := a.customers(t, 1, 1)
		customers[0].resolute = true // or the gateway has nothing to tell
		a.survivor = server
		cases := crashes()
		first, step := 0, 1
		if !full() {
			// The moments are the same for both: each case is seen by one, and
			// each kind of moment by both, since they are well mixed.
			rand.New(rand.NewPCG(1, 1)).Shuffle(len(cases), func(i, j int) { cases[i], cases[j] = cases[j], cases[i] })
			first, step = map[string]int{dialect.SQLite: 0, dialect.Postgres: 1}[a.dialect], 2
		}
		for i := first; i < len(cases); i += step {
			if err := a.crashAt(t, customers[0], cases[i]); err != nil {
				t.Fatalf("%s, crashed at %v: %v", cases[i].errand, cases[i].lives, err)
			}
		}
		a.survivor.Kill()
		a.settle(t)
		a.compare(t, customers)
	})
}

// crashAt runs an errand through lives that end at the named moments and one
// that lasts.
func (a *arena) crashAt(t *testing.T, c *customer, at crashed) error {
	t.Helper()
	done := make(chan error, 1)
	var server *testServer
	started, finished := false, false
	for _, moment := range at.lives {
		if a.survivor != nil {
			server, a.survivor = a.survivor, nil
			server.Arm(moment)
		} else {
			a.later(50 * time.Second)
			server = a.launch(t, moment)
			a.ready(server) // or dead already: work that is due begins at once
		}
		if !started {
			started = true
			go func() { done <- c.run(t.Context(), at.errand) }()
		}
		select {
		case <-server.ended:
		case err := <-done:
			finished = true
			if err != nil {
				return err
			}
			// What is left is what the gateway tells.
			select {
			case <-server.ended:
			case <-time.After(20 * time.Second):
				return fmt.Errorf("the server never came to %s", moment)
			}
		case <-time.After(errandTime):
			return fmt.Errorf("the server never came to %s", moment)
		}
		if code := server.cmd.ProcessState.ExitCode(); code != crash.ExitCode {
			return fmt.Errorf("the server ended with %d\n%s", code, server.Output())
		}
	}
	a.later(50 * time.Second)
	server = a.launch(t, "")
	if !a.ready(server) {
		return fmt.Errorf("the server ended: %w\n%s", server.err, server.Output())
	}
	a.survivor = server // of the next case's moment
	if finished {
		return nil
	}
	return <-done
}
