package billing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"purser/ent/payer"
	"purser/money"
	"purser/testdb"
)

// modelBalance is what a prepaid balance ought to be, without a ledger, a
// database or a chain.
type modelBalance struct {
	amount, usage, held money.Units
	entries             int
	answers             map[string]Booking // by key, what was booked
}

func (m *modelBalance) available() money.Units { return m.amount - m.usage - m.held }

func (m *modelBalance) add(u money.Units) { m.amount += u; m.entries++ }

// use answers the code with which usage is refused, or "".
func (m *modelBalance) use(u money.Units, policy OnInsufficient) Code {
	switch {
	case policy == OnInsufficientRecord || u <= m.available():
		m.usage += u
		m.entries++
		return ""
	case u <= m.available()+m.held:
		return CodeFundsReserved
	}
	return CodeInsufficientFunds
}

func (m *modelBalance) nextMonth() { m.amount, m.usage = m.amount-m.usage, 0 }

// Whatever is done to a balance in whatever order, it is what the model says,
// and the ledger proves it.
func TestRandomOperationsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	f := newFixture(t, testdb.SQLite(t))
	rapid.Check(t, func(rt *rapid.T) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		m := &modelBalance{answers: map[string]Booking{}}
		lastWrite := f.clock.Now()
		calls := map[string]func(more money.Units) (Booking, error){} // by key, what was asked
		cents := rapid.Int64Range(1, 5_000)
		units := rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(1, 40_00_000_000))
		usd := func(u money.Units) money.Amount { return money.Amount{Units: u, Currency: "USD"} }
		// do asks for something under a new key and keeps the answer.
		do := func(rt *rapid.T, u money.Units, call func(key string, a money.Amount) (Booking, error), want Code) {
			key := f.newID("key")
			got, err := call(key, usd(u))
			var e *Error
			switch {
			case want == "" && err != nil:
				rt.Fatalf("refused: %v", err)
			case want != "" && (!errors.As(err, &e) || e.Code != want):
				rt.Fatalf("got %v, want %s", err, want)
			case want == "":
				m.answers[key], lastWrite = got, f.clock.Now()
				calls[key] = func(more money.Units) (Booking, error) { return call(key, usd(u+more)) }
			}
		}
		// open rolls the model over where a write of the balance would.
		open := func() {
			if f.clock.Now().Format("2006-01") != lastWrite.Format("2006-01") {
				m.nextMonth()
			}
		}
		use := func(rt *rapid.T, policy OnInsufficient) {
			u := money.Units(units.Draw(rt, "units"))
			before := *m
			open()
			code := m.use(u, policy)
			if code != "" {
				*m = before // nothing is written, not even the new month
			}
			do(rt, u, func(key string, a money.Amount) (Booking, error) {
				return f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: a, OnInsufficient: policy, Key: &key})
			}, code)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"use":    func(rt *rapid.T) { use(rt, OnInsufficientRefuse) },
			"record": func(rt *rapid.T) { use(rt, OnInsufficientRecord) },
			"reload": func(rt *rapid.T) {
				u := money.Units(cents.Draw(rt, "cents")) * money.UnitsPerMinor
				open()
				m.add(u)
				do(rt, u, func(key string, a money.Amount) (Booking, error) {
					return f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: a, Key: &key})
				}, "")
			},
			"topUp": func(rt *rapid.T) {
				u := money.Units(cents.Draw(rt, "cents")) * money.UnitsPerMinor
				open()
				m.add(u)
				f.topUp(t, p, usd(u), f.newID("pi"))
				lastWrite = f.clock.Now()
			},
			"hold": func(rt *rapid.T) {
				b := f.balanceOf(t, p.ID, "USD")
				u := money.Units(units.Draw(rt, "units"))
				if b == nil || u > m.available() {
					rt.Skip("nothing to hold")
				}
				m.held += u
				f.hold(t, b, usd(u))
			},
			"replay": func(rt *rapid.T) {
				if len(calls) == 0 {
					rt.Skip("nothing to replay")
				}
				key := rapid.SampledFrom(slices.Sorted(maps.Keys(calls))).Draw(rt, "key")
				if got, err := calls[key](0); err != nil || got != m.answers[key] {
					rt.Fatalf("%s: got %v, %v; first %v", key, got, err, m.answers[key])
				}
			},
			"reuse": func(rt *rapid.T) {
				if len(calls) == 0 {
					rt.Skip("nothing to reuse")
				}
				key := rapid.SampledFrom(slices.Sorted(maps.Keys(calls))).Draw(rt, "key")
				_, err := calls[key](1)
				var e *Error
				if !errors.As(err, &e) || e.Code != CodeIdempotencyKeyReused {
					rt.Fatalf("used %s for another amount: %v", key, err)
				}
			},
			"later": func(rt *rapid.T) {
				f.clock.Advance(time.Duration(rapid.IntRange(1, 40*24).Draw(rt, "hours")) * time.Hour)
			},
			"": func(rt *rapid.T) {
				b := f.balanceOf(t, p.ID, "USD")
				if b == nil {
					if m.entries != 0 {
						rt.Fatal("no balance")
					}
					return
				}
				m := *m
				if f.clock.Now().Format("2006-01") != lastWrite.Format("2006-01") {
					m.nextMonth() // a reading shows what the next write will store
				}
				if b.AmountUnits != m.amount || b.UsageUnits != m.usage || b.HeldUnits != m.held || int(b.LastSeq) != m.entries {
					rt.Fatalf("balance has amount %d, usage %d, held %d after %d entries; model %+v", b.AmountUnits, b.UsageUnits, b.HeldUnits, b.LastSeq, &m)
				}
				if b.Available().Units != m.available() {
					rt.Fatalf("available %d, model %d", b.Available().Units, m.available())
				}
			},
		})
	})
	f.mustVerify(t)
}

// Many callers on one balance, each event sent twice: nothing is spent that
// is not there, nothing is booked twice, every duplicate hears the same.
func TestHotBalanceIsNeverOverspent(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		const (
			callers = 16
			events  = 128
			funds   = 100
		)
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, fmt.Sprint(funds)))
		type answer struct {
			booking Booking
			refused bool
		}
		var mu sync.Mutex
		answers := map[string][]answer{}
		var wg sync.WaitGroup
		for caller := range callers {
			wg.Go(func() {
				for i := range 2 * events / callers {
					// Every key is sent by two callers, at about the same time.
					key := fmt.Sprintf("event %d", caller/2+i*callers/2)
					b, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: money.Amount{Units: 100 * money.UnitsPerMinor, Currency: "USD"}, Key: &key})
					var e *Error
					if err != nil && (!errors.As(err, &e) || e.Code != CodeInsufficientFunds) {
						t.Errorf("%s: %v", key, err)
						return
					}
					mu.Lock()
					answers[key] = append(answers[key], answer{b, err != nil})
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		booked := 0
		for key, a := range answers {
			if len(a) != 2 || a[0] != a[1] {
				t.Errorf("%s was answered %+v", key, a)
			}
			if !a[0].refused {
				booked++
			}
		}
		b := f.balanceOf(t, p.ID, "USD")
		if len(answers) != events || booked != funds || !b.Remaining().IsZero() || b.LastSeq != funds+1 {
			t.Errorf("%d keys, %d booked, remaining %s after %d entries", len(answers), booked, b.Remaining(), b.LastSeq)
		}
	})
}
