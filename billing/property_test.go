package billing

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"purser/ent"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/ent/outbox"
	"purser/ent/payer"
	"purser/money"
)

// modelBalance is what a balance ought to be, without a ledger, a database or
// a chain.
type modelBalance struct {
	amount, usage, held money.Units
	entries             int
	// limit is the credit limit of a postpaid payer, nil of a prepaid one.
	limit *money.Units
	// level is from when on it is low, noticed whether it is known to be,
	// notices how often that was told.
	level   *money.Units
	noticed bool
	notices int
}

func (m *modelBalance) available() money.Units {
	if m.limit != nil {
		return m.amount - m.usage - m.held + *m.limit
	}
	return m.amount - m.usage - m.held
}

// short answers the code with which spending is refused, or "". held is what
// holds have set aside that stand in the way.
func (m *modelBalance) short(u, held money.Units) Code {
	switch {
	case u <= m.available():
		return ""
	case u <= m.available()+held:
		return CodeFundsReserved
	case m.limit != nil:
		return CodeCreditLimitExceeded
	}
	return CodeInsufficientFunds
}

// watch is called after every change.
func (m *modelBalance) watch() {
	low := m.level != nil && m.available()+m.held <= *m.level
	if low && !m.noticed {
		m.notices++
	}
	m.noticed = low
}

func (m *modelBalance) nextMonth() { m.amount, m.usage = m.amount-m.usage, 0 }

// modelHold is a hold as it ought to be.
type modelHold struct {
	id       string
	amount   money.Units
	captured money.Units
	status   hold.Status
	expires  time.Time
}

// modelEntry is an entry that may be reversed: what it has added to the amount
// and to the usage.
type modelEntry struct {
	id            string
	amount, usage money.Units
}

// book is a model and the balance that has to agree with it.
type book struct {
	*fixture
	t         *testing.T
	payer     *ent.Payer
	m         modelBalance
	holds     []*modelHold
	entries   []modelEntry
	lastWrite time.Time
	// By key, what was asked and what was answered. more asks for another
	// amount under the same key.
	calls   map[string]func(more money.Units) (any, error)
	answers map[string]any
}

func (k *book) usd(u money.Units) money.Amount { return money.Amount{Units: u, Currency: "USD"} }

func (k *book) now() time.Time { return k.clock.Now() }

// do does something to the balance and to the model. change returns the code
// with which it is refused, or "". call gets a new key and how much more is
// asked for.
func (k *book) do(rt *rapid.T, change func(m *modelBalance) Code, call func(key string, more money.Units) (any, error)) any {
	key, before := k.newID("key"), k.m
	// A write of a new month rolls the balance over.
	if k.now().Format("2006-01") != k.lastWrite.Format("2006-01") {
		k.m.nextMonth()
	}
	want := change(&k.m)
	got, err := call(key, 0)
	var e *Error
	switch {
	case want == "" && err != nil:
		rt.Fatalf("refused: %v", err)
	case want != "" && (!errors.As(err, &e) || e.Code != want):
		rt.Fatalf("got %v, want %s", err, want)
	case want != "":
		k.m = before // nothing is written, not even the new month
		return nil
	}
	k.m.watch()
	k.lastWrite = k.now()
	k.answers[key] = got
	k.calls[key] = func(more money.Units) (any, error) { return call(key, more) }
	return got
}

// unkeyed is do for what has no key.
func (k *book) unkeyed(rt *rapid.T, change func(m *modelBalance) Code, call func() error) {
	k.do(rt, change, func(string, money.Units) (any, error) { return nil, call() })
	maps.DeleteFunc(k.calls, func(key string, _ func(money.Units) (any, error)) bool { return k.answers[key] == nil })
}

func (k *book) use(rt *rapid.T, policy OnInsufficient, u money.Units) {
	got := k.do(rt, func(m *modelBalance) Code {
		if code := m.short(u, m.held); code != "" && policy == OnInsufficientRefuse {
			return code
		}
		m.usage, m.entries = m.usage+u, m.entries+1
		return ""
	}, func(key string, more money.Units) (any, error) {
		return k.RecordUsage(k.ctx, Usage{PayerID: k.payer.ID, Amount: k.usd(u + more), OnInsufficient: policy, Key: &key})
	})
	if b, ok := got.(Booking); ok {
		k.entries = append(k.entries, modelEntry{id: b.EntryID, usage: u})
	}
}

func (k *book) reload(rt *rapid.T, u money.Units) {
	got := k.do(rt, func(m *modelBalance) Code {
		m.amount, m.entries = m.amount+u, m.entries+1
		return ""
	}, func(key string, more money.Units) (any, error) {
		return k.ReloadBalance(k.ctx, Reload{PayerID: k.payer.ID, Amount: k.usd(u + more*money.UnitsPerMinor), Key: &key})
	})
	k.entries = append(k.entries, modelEntry{id: got.(Booking).EntryID, amount: u})
}

// byHand books a credit or an adjustment.
func (k *book) byHand(rt *rapid.T, u money.Units, call func(a money.Amount, key string) (Booking, error)) {
	got := k.do(rt, func(m *modelBalance) Code {
		if code := m.short(-u, m.held); u < 0 && code != "" {
			return code
		}
		m.usage, m.entries = m.usage-u, m.entries+1
		return ""
	}, func(key string, more money.Units) (any, error) {
		if u < 0 {
			more = -more
		}
		return call(k.usd(u+more), key)
	})
	if b, ok := got.(Booking); ok {
		k.entries = append(k.entries, modelEntry{id: b.EntryID, usage: -u})
	}
}

func (k *book) setAside(rt *rapid.T, u money.Units, life time.Duration) {
	got := k.do(rt, func(m *modelBalance) Code {
		if code := m.short(u, m.held); code != "" {
			return code
		}
		m.held += u
		return ""
	}, func(key string, more money.Units) (any, error) {
		return k.CreateHold(k.ctx, HoldDraft{PayerID: k.payer.ID, Amount: k.usd(u + more), ExpiresIn: life, Key: &key})
	})
	if h, ok := got.(HoldChange); ok {
		k.holds = append(k.holds, &modelHold{id: h.HoldID, amount: u, status: hold.StatusOPEN, expires: k.now().Add(life)})
	}
}

// over is the code with which a hold that is over is refused, or "".
func (k *book) over(h *modelHold) Code {
	switch {
	case h.status == hold.StatusEXPIRED, h.status == hold.StatusOPEN && !h.expires.After(k.now()):
		return CodeExpired
	case h.status != hold.StatusOPEN:
		return CodeInvalidState
	}
	return ""
}

// capture captures a hold; all of it when u is nil.
func (k *book) capture(rt *rapid.T, h *modelHold, u *money.Units, policy OnInsufficient) {
	charged := h.amount
	if u != nil {
		charged = *u
	}
	got := k.do(rt, func(m *modelBalance) Code {
		if code := k.over(h); code != "" {
			return code
		}
		above := charged - h.amount
		if code := m.short(above, m.held-h.amount); above > 0 && code != "" && policy == OnInsufficientRefuse {
			return code
		}
		m.held, m.usage, m.entries = m.held-h.amount, m.usage+charged, m.entries+1
		return ""
	}, func(key string, more money.Units) (any, error) {
		c := HoldCapture{HoldID: h.id, OnInsufficient: policy, Key: &key}
		if u != nil || more > 0 {
			c.Amount = &money.Amount{Units: charged + more, Currency: "USD"}
		}
		return k.CaptureHold(k.ctx, c)
	})
	if c, ok := got.(HoldChange); ok {
		h.status, h.captured = hold.StatusCAPTURED, charged
		k.entries = append(k.entries, modelEntry{id: c.EntryID, usage: charged})
	}
}

func (k *book) release(rt *rapid.T, h *modelHold) {
	if h.status == hold.StatusRELEASED {
		if _, err := k.ReleaseHold(k.ctx, h.id); err != nil {
			rt.Fatalf("released again: %v", err)
		}
		return // and nothing was written
	}
	over := k.over(h)
	k.unkeyed(rt, func(m *modelBalance) Code {
		if over == "" {
			m.held -= h.amount
		}
		return over
	}, func() error {
		_, err := k.ReleaseHold(k.ctx, h.id)
		return err
	})
	if over == "" {
		h.status = hold.StatusRELEASED
	}
}

// expireDue does what the clock's front door does.
func (k *book) expireDue(rt *rapid.T) {
	var due []*modelHold
	for _, h := range k.holds {
		if h.status == hold.StatusOPEN && !h.expires.After(k.now()) {
			due = append(due, h)
		}
	}
	if len(due) == 0 {
		return
	}
	k.unkeyed(rt, func(m *modelBalance) Code {
		for _, h := range due {
			m.held -= h.amount
			h.status = hold.StatusEXPIRED
		}
		return ""
	}, func() error { return k.ExpireHolds(k.ctx, k.balanceOf(k.t, k.payer.ID, "USD").ID) })
}

// reverse books the mirror of an entry, into debt if need be.
func (k *book) reverse(rt *rapid.T, i int) {
	e := k.entries[i]
	k.entries = slices.Delete(k.entries, i, i+1)
	k.unkeyed(rt, func(m *modelBalance) Code {
		m.amount, m.usage, m.entries = m.amount-e.amount, m.usage-e.usage, m.entries+1
		return ""
	}, func() error {
		return k.inTx(k.ctx, func(ctx context.Context, tx *Tx) error {
			row, err := tx.LedgerEntry.Query().Where(ledgerentry.ID(e.id)).Only(ctx)
			if err != nil {
				return err
			}
			_, err = tx.reverse(ctx, row, "")
			return err
		})
	})
}

// agree compares the balance with the model.
func (k *book) agree(rt *rapid.T) {
	b := k.balanceOf(k.t, k.payer.ID, "USD")
	if b == nil {
		if k.m.entries != 0 {
			rt.Fatal("no balance")
		}
		return
	}
	m := k.m
	if k.now().Format("2006-01") != k.lastWrite.Format("2006-01") {
		m.nextMonth() // a reading shows what the next write will store
	}
	if b.AmountUnits != m.amount || b.UsageUnits != m.usage || b.HeldUnits != m.held || int(b.LastSeq) != m.entries || b.Available().Units != m.available() {
		rt.Fatalf("balance has amount %d, usage %d, held %d, available %d after %d entries; model %+v", b.AmountUnits, b.UsageUnits, b.HeldUnits, b.Available().Units, b.LastSeq, m)
	}
	notices, err := k.Client().Outbox.Query().Where(outbox.Subject(b.ID)).Count(k.ctx)
	if err != nil || notices != m.notices || (b.LowBalanceNoticedAt != nil) != m.noticed {
		rt.Fatalf("%d notices, noticed at %v, %v; model %+v", notices, b.LowBalanceNoticedAt, err, m)
	}
	for _, h := range k.holds {
		if got := k.holdRow(k.t, h.id); got.Status != h.status || got.CapturedUnits != h.captured {
			rt.Fatalf("hold is %s with %d captured; model %+v", got.Status, got.CapturedUnits, h)
		}
	}
}

// Whatever is done to a balance in whatever order, it is what the model says,
// and the ledger proves it.
func TestRandomOperationsAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	f := newFixture(t, newSQLite(t))
	rapid.Check(t, func(rt *rapid.T) {
		mode := rapid.SampledFrom([]payer.BillingMode{payer.BillingModePREPAID, payer.BillingModePOSTPAID}).Draw(rt, "mode")
		k := &book{
			fixture: f, t: t, payer: f.newPayer(t, mode), lastWrite: f.clock.Now(),
			calls: map[string]func(money.Units) (any, error){}, answers: map[string]any{},
		}
		if mode == payer.BillingModePOSTPAID {
			k.m.limit = new(money.Units)
		}
		cents := rapid.Map(rapid.Int64Range(1, 5_000), func(n int64) money.Units { return money.Units(n) * money.UnitsPerMinor })
		units := rapid.Map(rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(1, 40_00_000_000)), func(n int64) money.Units { return money.Units(n) })
		signed := rapid.Custom(func(rt *rapid.T) money.Units {
			if rapid.Bool().Draw(rt, "minus") {
				return -units.Draw(rt, "units")
			}
			return units.Draw(rt, "units")
		})
		// edges are amounts that just fit, or just do not.
		edges := rapid.Custom(func(rt *rapid.T) money.Units {
			u := rapid.SampledFrom([]money.Units{k.m.available(), k.m.available() + k.m.held}).Draw(rt, "edge") + rapid.SampledFrom([]money.Units{0, 1}).Draw(rt, "more")
			return max(u, 1)
		})
		spent := rapid.OneOf(units, edges)
		policy := rapid.SampledFrom([]OnInsufficient{OnInsufficientRefuse, OnInsufficientRecord})
		aHold := func(rt *rapid.T) *modelHold {
			if len(k.holds) == 0 {
				rt.Skip("no holds")
			}
			var open []*modelHold
			for _, h := range k.holds {
				if k.over(h) == "" {
					open = append(open, h)
				}
			}
			if len(open) > 0 && rapid.IntRange(0, 3).Draw(rt, "open") > 0 {
				return rapid.SampledFrom(open).Draw(rt, "hold")
			}
			return rapid.SampledFrom(k.holds).Draw(rt, "hold")
		}
		aKey := func(rt *rapid.T) string {
			if len(k.calls) == 0 {
				rt.Skip("nothing was asked")
			}
			return rapid.SampledFrom(slices.Sorted(maps.Keys(k.calls))).Draw(rt, "key")
		}
		rt.Repeat(map[string]func(*rapid.T){
			"use":    func(rt *rapid.T) { k.use(rt, OnInsufficientRefuse, spent.Draw(rt, "units")) },
			"record": func(rt *rapid.T) { k.use(rt, OnInsufficientRecord, units.Draw(rt, "units")) },
			"reload": func(rt *rapid.T) { k.reload(rt, cents.Draw(rt, "cents")) },
			"topUp": func(rt *rapid.T) {
				u := cents.Draw(rt, "cents")
				k.unkeyed(rt, func(m *modelBalance) Code {
					m.amount, m.entries = m.amount+u, m.entries+1
					return ""
				}, func() error {
					f.topUp(t, k.payer, k.usd(u), f.newID("pi"))
					return nil
				})
			},
			"credit": func(rt *rapid.T) {
				k.byHand(rt, signed.Draw(rt, "signed"), func(a money.Amount, key string) (Booking, error) {
					return f.CreditBalance(f.ctx, Credit{PayerID: k.payer.ID, Amount: a, Reason: "r", Key: &key})
				})
			},
			"adjust": func(rt *rapid.T) {
				k.byHand(rt, signed.Draw(rt, "signed"), func(a money.Amount, key string) (Booking, error) {
					return f.AdjustBalance(f.ctx, Adjustment{PayerID: k.payer.ID, Amount: a, Reason: "r", Key: &key})
				})
			},
			"hold": func(rt *rapid.T) {
				k.setAside(rt, spent.Draw(rt, "units"), time.Duration(rapid.IntRange(1, 24*31).Draw(rt, "hours"))*time.Hour)
			},
			"capture": func(rt *rapid.T) {
				h := aHold(rt)
				u := rapid.OneOf(units, rapid.Just(h.amount), rapid.Map(edges, func(u money.Units) money.Units { return h.amount + u })).Draw(rt, "units")
				k.capture(rt, h, &u, policy.Draw(rt, "policy"))
			},
			"captureAll": func(rt *rapid.T) { k.capture(rt, aHold(rt), nil, OnInsufficientRefuse) },
			"release":    func(rt *rapid.T) { k.release(rt, aHold(rt)) },
			"expire":     k.expireDue,
			"limit": func(rt *rapid.T) {
				if mode == payer.BillingModePREPAID {
					rt.Skip("prepaid")
				}
				u := units.Draw(rt, "units")
				if u == *k.m.limit {
					rt.Skip("nothing changes")
				}
				k.unkeyed(rt, func(m *modelBalance) Code { m.limit = &u; return "" }, func() error {
					_, err := f.SetCreditLimit(f.ctx, CreditLimitChange{PayerID: k.payer.ID, Amount: ptr(k.usd(u))})
					return err
				})
			},
			"level": func(rt *rapid.T) {
				u := units.Draw(rt, "units")
				if k.m.level != nil && *k.m.level == u {
					rt.Skip("nothing changes")
				}
				k.unkeyed(rt, func(m *modelBalance) Code { m.level, m.noticed = &u, false; return "" }, func() error {
					_, err := f.SetLowBalanceNotice(f.ctx, LowBalanceChange{PayerID: k.payer.ID, Currency: "USD", Level: ptr(k.usd(u))})
					return err
				})
			},
			"reverse": func(rt *rapid.T) {
				if len(k.entries) == 0 {
					rt.Skip("nothing to reverse")
				}
				k.reverse(rt, rapid.IntRange(0, len(k.entries)-1).Draw(rt, "entry"))
			},
			"replay": func(rt *rapid.T) {
				key := aKey(rt)
				if got, err := k.calls[key](0); err != nil || got != k.answers[key] {
					rt.Fatalf("%s: got %v, %v; first %v", key, got, err, k.answers[key])
				}
			},
			"reuse": func(rt *rapid.T) {
				key := aKey(rt)
				_, err := k.calls[key](1)
				var e *Error
				if !errors.As(err, &e) || e.Code != CodeIdempotencyKeyReused {
					rt.Fatalf("used %s for another amount: %v", key, err)
				}
			},
			"later": func(rt *rapid.T) {
				hours := rapid.OneOf(rapid.IntRange(1, 24), rapid.IntRange(1, 40*24))
				f.clock.Advance(time.Duration(hours.Draw(rt, "hours")) * time.Hour)
			},
			"": k.agree,
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
