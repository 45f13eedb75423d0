package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/billing"
	"purser/database"
	"purser/ent/gatewaycall"
	"purser/sandbox"
)

// errandsEach is how many errands each customer of TestTwoServers does.
const errandsEach = 12

// TestTwoServers runs two servers on one PostgreSQL database, one with its
// clock a lease ahead, so that it takes over what the other is still at. Both
// do due work, both are told of every event, and every mutation is sent to
// both at once under the same key, while the gateway's replies get lost:
// nothing is doubled.
func TestTwoServers(t *testing.T) {
	a := newArena(t, dialect.Postgres)
	second := freeAddress(t)
	a.within(t, func(s *billing.Service, _ context.Context, _ *database.DB) { a.register(t, s, second) })
	servers := []*testServer{a.launch(t, ""), a.launchAt(t, second, "", 50*time.Second)}
	for _, s := range servers {
		if !a.ready(s) {
			t.Fatalf("the server ended: %v\n%s", s.err, s.Output())
		}
	}
	seed := rand.Uint64()
	customers := a.customers(t, customersMax, seed)
	t.Logf("seed %d", seed)
	var working sync.WaitGroup
	failures := make(chan error, len(customers))
	tokens := a.tokens(t, len(customers))
	for i, c := range customers {
		// Each has a token, because each has a rate limit.
		one := &apiClient{endpoint: a.endpoint, http: a.http, token: tokens[i]}
		two := &apiClient{endpoint: "http://" + second + "/graphql", http: a.http, token: tokens[i]}
		c.apiClient, c.pause = one, 300*time.Millisecond
		c.send = func(ctx context.Context, name, selection string, input map[string]any) (result, error) {
			return sendToBoth(ctx, one, two, name, selection, input)
		}
		working.Go(func() {
			for range errandsEach {
				if c.rand.IntN(2) == 0 {
					// A reply that is lost, or comes so late that the other server asks
					// as well.
					fault := sandbox.RequestFault{Method: http.MethodPost, Path: "/v1/", When: sandbox.WhenAfter, Skip: c.rand.IntN(4), Action: sandbox.ActionReset}
					if c.rand.IntN(2) == 0 {
						fault.Action, fault.DelayMilliseconds = sandbox.ActionDelay, 1500
					}
					if _, err := a.sandbox.Faults().AddRequest(fault); err != nil {
						failures <- err
						return
					}
				}
				if err := c.wander(t.Context()); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	working.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	a.sandbox.Faults().Remove("", "")
	if t.Failed() {
		t.FailNow()
	}
	// Both go on until nothing is left to do, and every event has reached both.
	a.within(t, func(s *billing.Service, ctx context.Context, _ *database.DB) {
		var left unfinished
		if !holdsWithin(2*time.Minute, func() bool {
			left = a.unfinished(t, s, ctx)
			return left == unfinished{}
		}) {
			t.Errorf("work was left over: %+v", left)
		}
		again, err := s.Client().GatewayCall.Query().Where(gatewaycall.AttemptsGT(1)).Count(ctx)
		if err != nil || again == 0 {
			t.Errorf("%d calls were taken over (%v): the servers did not compete for due work", again, err)
		}
	})
	for _, s := range servers {
		s.Stop()
	}
	a.compare(t, customers)
}

// tokens makes access tokens with all rights.
func (a *arena) tokens(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	a.within(t, func(s *billing.Service, _ context.Context, _ *database.DB) {
		ctx := auth.NewContext(t.Context(), &auth.Viewer{
			OrganizationID: a.organizationID, OrganizationSlug: "arena", TokenID: "tok_maker",
			Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: auth.PermissionReadWrite,
		})
		for i := range n {
			_, token, err := s.CreateToken(ctx, billing.TokenDraft{
				Name: fmt.Sprintf("Customer %d", i), Permission: auth.PermissionReadWrite,
				Scopes: []auth.Scope{auth.ScopeBilling, auth.ScopeAccount, auth.ScopeAdmin},
			})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, token.Reveal())
		}
	})
	return all
}

// sendToBoth sends the same mutation to two servers at once and returns one of
// the answers. Two definite answers name the same objects.
func sendToBoth(ctx context.Context, one, two *apiClient, name, selection string, input map[string]any) (result, error) {
	type reply struct {
		got result
		err error
	}
	replies := make(chan reply, 1)
	go func() {
		got, err := two.mutate(ctx, name, selection, input)
		replies <- reply{got, err}
	}()
	got, err := one.mutate(ctx, name, selection, input)
	second := <-replies
	var refused *refusal
	switch {
	case isUnclear(err):
		return second.got, second.err
	case err == nil && second.err == nil:
		for _, path := range []string{"payment.id", "invoice.id", "quote.id", "entry.id", "paymentMethod.id"} {
			if a, b := got.text(path), second.got.text(path); a != b && a != "" && b != "" {
				return got, fmt.Errorf("%s under one key made %s and %s", name, a, b)
			}
		}
	case errors.As(err, &refused) && second.err == nil && strings.HasPrefix(name, "quote"):
		// The other was quicker, and what was asked for is done.
		return second.got, nil
	}
	return got, err
}
