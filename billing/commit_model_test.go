package billing

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// heard is what a client sent under a key and what it heard.
type heard struct {
	usage      Usage
	ctx        context.Context
	start, end time.Duration
	booking    Booking
	err        error
}

// crowd is clients at work on services over one database.
type crowd struct {
	*fixture
	services []*Service
	began    time.Time

	mu  sync.Mutex
	log []heard
}

// again returns something that was sent before.
func (c *crowd) again(r *rand.Rand) (heard, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.log) == 0 {
		return heard{}, false
	}
	return c.log[r.IntN(len(c.log))], true
}

// send records usage through a service and notes what was said.
func (c *crowd) send(s *Service, ctx context.Context, events ...Usage) []UsageOutcome {
	start := time.Since(c.began)
	var all []UsageOutcome
	var err error
	if len(events) == 1 {
		all = make([]UsageOutcome, 1)
		all[0].Booking, all[0].Err = s.RecordUsage(ctx, events[0])
	} else if all, err = s.RecordUsageBatch(ctx, events); err != nil {
		all = slices.Repeat([]UsageOutcome{{Err: err}}, len(events))
	}
	end := time.Since(c.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, u := range events {
		c.log = append(c.log, heard{usage: u, ctx: ctx, start: start, end: end, booking: all[i].Booking, err: all[i].Err})
	}
	return all
}

// Thirty-two clients on two servers book, repeat, refuse, reload and send
// nonsense, alone and in batches: what they heard fits one order of events on
// each balance, nothing is spent that was not there, nothing is lost, nothing
// is booked twice.
func TestUsageOfACrowdAgreesWithTheModel(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		const clients = 32
		turns := 30
		if testing.Short() {
			turns = 10
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		c := &crowd{fixture: f, began: time.Now(), services: []*Service{f.Service, f.another(t)}}
		hot := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, hot.ID, usd(t, "3"))
		_, otherCtx := f.newOrganization(t, "other", "Asia/Tokyo")
		other := &fixture{Service: f.Service, db: f.db, clock: f.clock, ctx: otherCtx}
		type home struct {
			ctx   context.Context
			payer string
		}
		var homes []home
		for i := range 12 {
			g := f
			if i%3 == 0 {
				g = other
			}
			p := g.newPayer(t, payer.BillingModePREPAID)
			if i%4 > 0 { // the others get their balance from their first usage
				g.reload(t, p.ID, usd(t, "1"))
			}
			homes = append(homes, home{g.ctx, p.ID})
		}
		var wg sync.WaitGroup
		for client := range clients {
			r := rand.New(rand.NewPCG(seed, uint64(client)))
			fresh := func(payerID string, policy OnInsufficient) Usage {
				return Usage{
					PayerID: payerID, OnInsufficient: policy, Key: ptr(fmt.Sprint("key ", r.Uint64())),
					Amount: money.Amount{Units: money.Units(1+r.IntN(3)) * money.UnitsPerMinor, Currency: "USD"},
				}
			}
			wg.Go(func() {
				for range turns {
					s := c.services[r.IntN(len(c.services))]
					at := homes[r.IntN(len(homes))]
					policy := []OnInsufficient{OnInsufficientRefuse, OnInsufficientRecord}[r.IntN(2)]
					switch n := r.IntN(100); {
					case n < 45:
						c.send(s, f.ctx, fresh(hot.ID, OnInsufficientRefuse))
					case n < 65:
						c.send(s, at.ctx, fresh(at.payer, policy))
					case n < 73: // a key that was sent before
						if before, ok := c.again(r); ok {
							c.send(s, before.ctx, before.usage)
						}
					case n < 78: // a key that was sent before, for something else
						if before, ok := c.again(r); ok {
							before.usage.Amount.Units++
							c.send(s, before.ctx, before.usage)
						}
					case n < 83: // one key through both doors at once
						u := fresh(hot.ID, OnInsufficientRefuse)
						var both sync.WaitGroup
						for _, s := range c.services {
							both.Go(func() { c.send(s, f.ctx, u) })
						}
						both.Wait()
					case n < 93:
						events := []Usage{fresh(hot.ID, OnInsufficientRefuse), fresh("dev_nobody", policy), fresh("dev_\x00", policy)}
						for range r.IntN(12) {
							events = append(events, fresh(homes[1].payer, policy), fresh(hot.ID, OnInsufficientRefuse))
						}
						events = append(events, events[0])
						events[1].Amount.Units *= money.Units(r.IntN(2))
						r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
						c.send(s, f.ctx, events...)
					default:
						if _, err := s.ReloadBalance(f.ctx, Reload{PayerID: hot.ID, Amount: usd(t, "0.05"), Key: ptr(fmt.Sprint("reload ", r.Uint64()))}); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		wg.Wait()
		for _, s := range c.services {
			if n := s.UsageWaiting(); n != 0 {
				t.Errorf("%d events still wait", n)
			}
		}
		c.check(t, hot)
	})
}

// another is a second server on the same database.
func (f *fixture) another(t testing.TB) *Service {
	t.Helper()
	return New(Config{DB: f.db, Sealer: f.sealer, Logger: f.log, Now: f.clock.Now, PublicURL: f.publicURL})
}

// keyed is all that was said under one key.
type keyed struct {
	start, end time.Duration // of the run that booked it
	entry      *ent.LedgerEntry
}

// check holds what was said against what is stored.
func (c *crowd) check(t *testing.T, hot *ent.Payer) {
	t.Helper()
	type name struct{ organization, key string }
	stored := map[name]*keyed{}
	for _, e := range c.allUsage(t) {
		stored[name{e.OrganizationID, orEmpty(e.IdempotencyKey)}] = &keyed{entry: e, end: time.Hour, start: time.Hour}
	}
	booked, codes := 0, map[Code]int{}
	for _, s := range c.log {
		k := stored[name{auth.FromContext(s.ctx).OrganizationID, "client:" + *s.usage.Key}]
		var refusal *Error
		switch {
		case s.err == nil:
			booked++
			if k == nil {
				t.Errorf("%s was acknowledged and is not there", *s.usage.Key)
				continue
			}
			if k.entry.ID != s.booking.EntryID || orEmpty(k.entry.BalanceID) != s.booking.BalanceID {
				t.Errorf("%s is booked as %s on %s, answered %+v", *s.usage.Key, k.entry.ID, orEmpty(k.entry.BalanceID), s.booking)
			}
			if want := (money.Amount{Units: k.entry.AmountUnits, Currency: k.entry.Currency}); want != s.usage.Amount {
				t.Errorf("%s is booked with %s, sent %s", *s.usage.Key, want, s.usage.Amount)
			}
			k.start, k.end = min(k.start, s.start), min(k.end, s.end)
		case !errors.As(s.err, &refusal):
			t.Errorf("%s: %v", *s.usage.Key, s.err)
		default:
			codes[refusal.Code]++
			if refusal.Code == CodeIdempotencyKeyReused && k == nil {
				t.Errorf("%s is said to be used and is not", *s.usage.Key)
			}
		}
	}
	t.Logf("%d booked of %d sent, refused %v", booked, len(c.log), codes)
	if booked == 0 || codes[CodeInsufficientFunds] == 0 || codes[CodeIdempotencyKeyReused] == 0 || codes[CodeNotFound] == 0 {
		t.Errorf("not everything was tried: %d booked, refused %v", booked, codes)
	}
	for k, v := range stored {
		if v.start == time.Hour {
			t.Errorf("%s is booked and nobody was told", k.key)
		}
	}
	b := c.balanceOf(t, hot.ID, "USD")
	rows, err := c.Client().LedgerEntry.Query().Where(ledgerentry.BalanceID(b.ID)).Order(ent.Asc(ledgerentry.FieldSeq)).All(c.ctx)
	if err != nil {
		t.Fatal(err)
	}
	// The chain is the order. Who was answered before another one began comes
	// before it.
	var latest time.Duration
	remaining := make([]money.Units, len(rows)+1) // after each entry
	for i, e := range rows {
		remaining[i+1] = e.RemainingAfter().Units
		if remaining[i+1] < 0 {
			t.Errorf("entry %d spends what is not there: %s remain", i+1, e.RemainingAfter())
		}
		k := stored[name{e.OrganizationID, orEmpty(e.IdempotencyKey)}]
		if e.Kind != ledgerentry.KindUSAGE || k == nil {
			continue
		}
		if k.end < latest {
			t.Errorf("entry %d was answered before one began that comes before it", i+1)
		}
		latest = max(latest, k.start)
	}
	// Who was refused could have been refused at some moment.
	for _, s := range c.log {
		var refusal *Error
		if s.usage.PayerID != hot.ID || !errors.As(s.err, &refusal) || refusal.Code != CodeInsufficientFunds {
			continue
		}
		first, last := 0, 0
		for i, e := range rows {
			k := stored[name{e.OrganizationID, orEmpty(e.IdempotencyKey)}]
			if k != nil && k.end < s.start {
				first = i + 1
			}
			if k == nil || k.start < s.end {
				last = i + 1
			}
		}
		if !slices.ContainsFunc(remaining[first:last+1], func(u money.Units) bool { return u < s.usage.Amount.Units }) {
			t.Errorf("%s of %s was refused when %d to %d remained", *s.usage.Key, s.usage.Amount, slices.Min(remaining[first:last+1]), slices.Max(remaining[first:last+1]))
		}
	}
}

// allUsage reads the usage of all organizations.
func (c *crowd) allUsage(t testing.TB) []*ent.LedgerEntry {
	t.Helper()
	all, err := c.Client().LedgerEntry.Query().Where(ledgerentry.KindEQ(ledgerentry.KindUSAGE)).All(auth.AllTenants(t.Context(), "verify"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
