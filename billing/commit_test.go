package billing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/database"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
	"purser/testdb"
)

// block keeps everybody from writing balances until the function it returns is
// called with what is done first.
func (f *fixture) block(t testing.TB) (release func(do ...string)) {
	t.Helper()
	tx, err := f.db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.db.Dialect == dialect.Postgres {
		if _, err := tx.ExecContext(t.Context(), "SELECT 1 FROM balances WHERE organization_id = $1 FOR UPDATE", f.org); err != nil {
			t.Fatal(err)
		}
	}
	var once sync.Once
	release = func(do ...string) {
		once.Do(func() {
			for _, statement := range do {
				if _, err := tx.ExecContext(context.WithoutCancel(t.Context()), statement, f.org); err != nil {
					t.Error(err)
				}
			}
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { release() })
	return release
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// recording is usage on its way.
type recording struct {
	booking Booking
	err     error
	done    chan struct{}
}

// start records usage in the background, once all before it are waiting.
func (f *fixture) start(t testing.TB, ctx context.Context, u Usage) *recording {
	t.Helper()
	before := f.UsageWaiting()
	r := &recording{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.booking, r.err = f.RecordUsage(ctx, u)
	}()
	waitFor(t, "usage in the queue", func() bool { return f.UsageWaiting() > before })
	return r
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "100"))
		for _, c := range f.committers {
			c.queueMax = 3
		}
		release := f.block(t)
		u := Usage{PayerID: p.ID, Amount: usd(t, "1")}
		var waiting []*recording
		for i := range 3 {
			u.Key = ptr(fmt.Sprint("waits ", i))
			waiting = append(waiting, f.start(t, f.ctx, u))
		}
		u.Key = ptr("one too many")
		if _, err := f.RecordUsage(f.ctx, u); !errors.Is(err, ErrBusy) || !IsUnavailable(err) {
			t.Errorf("got %v", err)
		}
		if _, err := f.RecordUsageBatch(f.ctx, []Usage{u}); !errors.Is(err, ErrBusy) {
			t.Errorf("a batch got %v", err)
		}
		release()
		for i, r := range waiting {
			if <-r.done; r.err != nil {
				t.Errorf("event %d: %v", i, r.err)
			}
		}
		if _, err := f.RecordUsage(f.ctx, u); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if b := f.balanceOf(t, p.ID, "USD"); b.LastSeq != 5 {
			t.Errorf("%d entries", b.LastSeq)
		}
	})
}

// A caller that leaves does not take the event with it, and who stops the
// server waits for what was taken.
func TestUsageOutlivesItsCaller(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "100"))
		release := f.block(t)
		ctx, leave := context.WithCancel(f.ctx)
		r := f.start(t, ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr("left")})
		leave()
		if <-r.done; !errors.Is(r.err, context.Canceled) {
			t.Errorf("the caller heard %v", r.err)
		}
		stopping, giveUp := context.WithCancel(t.Context())
		giveUp()
		if err := f.FinishUsage(stopping); !errors.Is(err, context.Canceled) {
			t.Errorf("finished while it was blocked: %v", err)
		}
		release()
		if err := f.FinishUsage(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b := f.balanceOf(t, p.ID, "USD"); b.Remaining() != usd(t, "99") {
			t.Errorf("%s remain", b.Remaining())
		}
		if err := f.FinishUsage(t.Context()); err != nil {
			t.Errorf("finished again: %v", err)
		}
	})
}

// Whoever waits for a lock that somebody holds who closes the payer sees it
// closed.
func TestUsageWaitsForWhoClosesThePayer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p, q := f.newPayer(t, payer.BillingModePREPAID), f.newPayer(t, payer.BillingModePREPAID)
		for _, p := range []*ent.Payer{p, q} {
			f.reload(t, p.ID, usd(t, "1"))
			f.use(t, p.ID, usd(t, "1"))
		}
		release := f.block(t)
		record := func(p *ent.Payer) *recording {
			return f.start(t, f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), OnInsufficient: OnInsufficientRecord, Key: ptr(p.ID)})
		}
		first, second := record(p), record(q)
		if f.db.Dialect == dialect.Postgres {
			// It waits in the database, beside the old state of the payer.
			waitFor(t, "a lock that is waited for", func() bool {
				return testdb.Count(t, f.db.Read, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") > 0
			})
		}
		release(
			fmt.Sprintf("UPDATE payers SET status = 'CLOSED' WHERE organization_id = $1 AND id = '%s'", p.ID),
			fmt.Sprintf("UPDATE balances SET version = version + 1 WHERE organization_id = $1 AND payer_id = '%s'", p.ID),
		)
		<-first.done
		wantCode(t, first.err, CodeInvalidState, "payerId")
		if <-second.done; second.err != nil {
			t.Errorf("the neighbour: %v", second.err)
		}
	})
}

// While a key has no answer yet, the same usage under it shares its answer,
// and other usage waits until it is known whether the key was used.
func TestKeysMeetInTheQueue(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "3"))
		release := f.block(t)
		send := func(key, amount string) *recording {
			return f.start(t, f.ctx, Usage{PayerID: p.ID, Amount: usd(t, amount), Key: &key})
		}
		booked, same, reused := send("booked", "1"), send("booked", "1"), send("booked", "2")
		refused, decided, again := send("refused", "5"), send("refused", "2"), send("refused", "2")
		release()
		for _, r := range []*recording{booked, same, reused, refused, decided, again} {
			<-r.done
		}
		if booked.err != nil || same.err != nil || booked.booking != same.booking {
			t.Errorf("the same usage twice: %+v and %+v", booked, same)
		}
		wantCode(t, reused.err, CodeIdempotencyKeyReused, "idempotencyKey")
		wantCode(t, refused.err, CodeInsufficientFunds, "payerId")
		if decided.err != nil || again.err != nil || decided.booking != again.booking {
			t.Errorf("a key whose first usage was refused: %+v and %+v", decided, again)
		}
		if b := f.balanceOf(t, p.ID, "USD"); !b.Remaining().IsZero() || b.LastSeq != 3 {
			t.Errorf("%s remain after %d entries", b.Remaining(), b.LastSeq)
		}
	})
}

// What the database itself does not take fails alone.
func TestPoisonFailsAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t, newPostgres(t))
	p := f.newPayer(t, payer.BillingModePREPAID)
	f.reload(t, p.ID, usd(t, "100"))
	release := f.block(t)
	bad := auth.NewContext(f.ctx, &auth.Viewer{OrganizationID: f.org, TokenID: "tok_\x00", Scopes: []auth.Scope{auth.ScopeAdmin}, Permission: auth.PermissionReadWrite})
	f.start(t, f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr("makes the others wait")})
	var all []*recording
	for i := range 9 {
		ctx := f.ctx
		if i == 4 {
			ctx = bad
		}
		all = append(all, f.start(t, ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint(i))}))
	}
	release()
	for i, r := range all {
		if <-r.done; (r.err != nil) != (i == 4) {
			t.Errorf("event %d: %v", i, r.err)
		}
	}
	if b := f.balanceOf(t, p.ID, "USD"); b.Remaining() != usd(t, "91") {
		t.Errorf("%s remain", b.Remaining())
	}
	f.mustVerify(t)
}

// On a database that is spread over machines each statement names one
// organization, and a batch has events of one.
func TestBatchesOfOneOrganization(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB, ...database.Option) *database.DB{
		"sqlite": newSQLite, "postgres": newPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statements := testdb.NewRecorder(t, "verify") // the committers may not
			f := newFixture(t, open(t, statements.Option()))
			f.committers = newCommitters(f.Service, true)
			var wg sync.WaitGroup
			var empty []func() bool
			for i := range 3 {
				_, ctx := f.newOrganization(t, fmt.Sprint("org", i), "UTC")
				g := &fixture{Service: f.Service, db: f.db, clock: f.clock, ctx: ctx}
				p := g.newPayer(t, payer.BillingModePREPAID)
				g.reload(t, p.ID, usd(t, "5"))
				for n := range 10 {
					wg.Go(func() {
						_, err := f.RecordUsage(ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint(n % 7))})
						var refusal *Error
						if err != nil && !errors.As(err, &refusal) {
							t.Error(err)
						}
					})
				}
				empty = append(empty, func() bool { return g.balanceOf(t, p.ID, "USD").Remaining().IsZero() })
			}
			wg.Wait()
			for i, isEmpty := range empty {
				if !isEmpty() {
					t.Errorf("balance %d has something left", i)
				}
			}
			f.mustVerify(t)
			statements.Check(t)
		})
	}
}

// Whichever answer of the database is lost during a batch, that of COMMIT
// among them: each event is booked once and its caller hears of it.
func TestEveryLostReplyOfABatch(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, newPostgresURL(t))
	f := newFixture(t, testdb.Open(t, proxy.URL()))
	p, q := f.newPayer(t, payer.BillingModePREPAID), f.newPayer(t, payer.BillingModePREPAID)
	f.reload(t, p.ID, usd(t, "100000"))
	f.reload(t, q.ID, usd(t, "1"))
	f.use(t, q.ID, usd(t, "1"))
	commits := 0
	for try := 1; ; try++ {
		before := f.entriesOf(t, ledgerentry.KindUSAGE)
		var events []Usage
		for i := range 6 {
			events = append(events, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint(try, " ", i))})
		}
		events[3].PayerID = q.ID // refused
		proxy.CutWhen(func(m testdb.Message) bool {
			if m.Number == try && m.Kind == 'C' && bytes.HasPrefix(m.Body, []byte("COMMIT")) {
				commits++
			}
			return m.Number == try
		})
		all, err := f.RecordUsageBatch(f.ctx, events)
		cut := proxy.Cuts() > 0
		proxy.CutWhen(nil)
		if err != nil {
			t.Fatalf("reply %d lost: %v", try, err)
		}
		for i, o := range all {
			if i == 3 {
				wantCode(t, o.Err, CodeInsufficientFunds, "payerId")
				continue
			}
			if o.Err != nil || orEmpty(f.entry(t, o.EntryID).IdempotencyKey) != "client:"+*events[i].Key {
				t.Errorf("reply %d lost, event %d: %+v", try, i, o)
			}
		}
		if n := f.entriesOf(t, ledgerentry.KindUSAGE) - before; n != 5 {
			t.Errorf("reply %d lost: %d were booked", try, n)
		}
		if !cut {
			break
		}
	}
	if commits != 1 {
		t.Errorf("the reply to COMMIT was lost %d times", commits)
	}
	f.mustVerify(t)
}

// Each event of a batch has its own outcome, in the order given, and sees what
// those before it have used.
func TestBatchOfUsage(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		event := func(payerID, amount string, key *string) Usage {
			return Usage{PayerID: payerID, Amount: usd(t, amount), Key: key}
		}
		fresh := f.newPayer(t, payer.BillingModePREPAID)
		recorded := event(fresh.ID, "2", ptr("fresh"))
		recorded.OnInsufficient = OnInsufficientRecord
		events := []Usage{
			event(p.ID, "6", ptr("a")),
			event(p.ID, "6", ptr("b")),          // too much now
			event(p.ID, "4", ptr("c")),          // fits
			event("dev_nobody", "1", ptr("d")),  // unknown
			event(p.ID, "0", ptr("e")),          // invalid
			event(p.ID, "6", ptr("a")),          // the first one again
			event(p.ID, "5", ptr("a")),          // its key for something else
			event(p.ID, "1", nil),               // no key
			event(p.ID, "0.00000001", ptr("f")), // nothing is left
			recorded,                            // its balance is made
		}
		codes := []Code{"", CodeInsufficientFunds, "", CodeNotFound, CodeInvalid, "", CodeIdempotencyKeyReused, CodeRequired, CodeInsufficientFunds, ""}
		for run := range 2 {
			all, err := f.RecordUsageBatch(f.ctx, events)
			if err != nil {
				t.Fatal(err)
			}
			for i, o := range all {
				var refusal *Error
				errors.As(o.Err, &refusal)
				switch {
				case codes[i] == "" && (o.Err != nil || o.EntryID == ""):
					t.Errorf("run %d, event %d: %+v", run, i, o)
				case codes[i] != "" && (refusal == nil || refusal.Code != codes[i]):
					t.Errorf("run %d, event %d: %v, want %s", run, i, o.Err, codes[i])
				}
			}
			if all[0].Booking != all[5].Booking {
				t.Errorf("the same event twice: %+v and %+v", all[0], all[5])
			}
			if b := f.balanceOf(t, p.ID, "USD"); !b.Remaining().IsZero() || b.LastSeq != 3 {
				t.Errorf("run %d: %s remain after %d entries", run, b.Remaining(), b.LastSeq)
			}
		}
		for _, n := range []int{0, UsageBatchMax + 1} {
			_, err := f.RecordUsageBatch(f.ctx, slices.Repeat([]Usage{events[0]}, n))
			wantCode(t, err, CodeInvalid, "events")
		}
		var large []Usage
		for i := range UsageBatchMax {
			large = append(large, Usage{PayerID: p.ID, Amount: money.Amount{Units: 1, Currency: "USD"}, OnInsufficient: OnInsufficientRecord, Key: ptr(fmt.Sprint("large ", i))})
		}
		all, err := f.RecordUsageBatch(f.ctx, large)
		if err != nil || all[0].EntryID == "" || all[UsageBatchMax-1].EntryID == "" {
			t.Fatalf("the largest batch: %v", err)
		}
		rows, err := f.Client().LedgerEntry.Query().Where(ledgerentry.BalanceID(all[0].BalanceID), ledgerentry.SeqGT(3)).Order(ent.Asc(ledgerentry.FieldSeq)).All(f.ctx)
		if err != nil || len(rows) != UsageBatchMax {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for i, e := range rows {
			if e.ID != all[i].EntryID {
				t.Fatalf("event %d comes as entry %s, answered %s", i, e.ID, all[i].EntryID)
			}
		}
	})
}

// A batch that comes upon stored keys or a changed balance is decided anew.
func TestBatchIsDecidedAnew(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.reload(t, p.ID, usd(t, "10"))
		first := f.use(t, p.ID, usd(t, "1"))
		key := (*f.entry(t, first.EntryID).IdempotencyKey)[len("client:"):]
		events := []Usage{
			{PayerID: p.ID, Amount: usd(t, "9"), Key: ptr("new")},
			{PayerID: p.ID, Amount: usd(t, "1"), Key: &key},
			{PayerID: p.ID, Amount: usd(t, "9"), Key: ptr("too much")},
		}
		all, err := f.RecordUsageBatch(f.ctx, events)
		if err != nil || all[0].Err != nil || all[1].Booking != first {
			t.Errorf("%+v, %v", all, err)
		}
		wantCode(t, all[2].Err, CodeInsufficientFunds, "payerId")
		b := f.balanceOf(t, p.ID, "USD")
		if !b.Remaining().IsZero() || b.LastSeq != 3 {
			t.Errorf("%s remain after %d entries", b.Remaining(), b.LastSeq)
		}
		n, err := f.Client().Balance.Query().Where(balance.Version(b.Version)).Count(f.ctx)
		if err != nil || n != 1 || b.Version != 3 {
			t.Errorf("version %d, %v", b.Version, err)
		}
	})
}

func TestPanicFailsItsBatchOnly(t *testing.T) {
	t.Parallel()
	c := &committer{s: &Service{log: slog.New(slog.DiscardHandler)}} // without a database
	if err := c.bookCaught(t.Context(), []*usageEvent{{}}); err == nil || !strings.Contains(err.Error(), "panic") {
		t.Errorf("a panic ends as %v", err)
	}
}
