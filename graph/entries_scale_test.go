package graph

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"purser/billing"
	"purser/ent/payer"
	"purser/testdb"
)

// skewed is a ledger in which one balance was busy before all others: its
// entries are old, and what other balances got since lies on top of them.
type skewed struct {
	*world
	*tenant
	payer   string
	entries int // of the payer's balance
}

// fillSkewed books entries on the old balance and then as many as newer on
// another one. They are made in the database, without a chain: nobody proves
// them.
func (w *world) fillSkewed(t testing.TB, entries, newer int) *skewed {
	t.Helper()
	s := &skewed{world: w, tenant: w.tenant(t, "alpha"), entries: entries}
	balances := make([]string, 2)
	for i := range balances {
		id, err := w.billing.CreateDeveloper(s.ctx, billing.PayerDraft{Email: fmt.Sprintf("d%d@x.example", i), Name: "D", BillingMode: payer.BillingModePREPAID}, nil)
		if err != nil {
			t.Fatal(err)
		}
		made, err := w.billing.ReloadBalance(s.ctx, billing.Reload{PayerID: id, Amount: usd(100), Key: &id})
		if err != nil {
			t.Fatal(err)
		}
		if balances[i] = made.BalanceID; i == 0 {
			s.payer = id
		}
	}
	for i, n := range []int{entries - 1, newer} {
		// In bites, so that no statement is long.
		for from := 2; from < n+2; from += 100_000 {
			_, err := w.db.Write.ExecContext(t.Context(), `
				INSERT INTO ledger_entries (organization_id, id, transaction_id, seq, currency, debit_account, credit_account, kind, amount_units, amount_after_units, usage_after_units,
					description, actor, effective_at, booked_at, operation, idempotency_key, fingerprint, hash, balance_id)
				SELECT $1, 'ent_' || $3 || lpad(n::text, 31, '0'), 'txn_' || $3 || lpad(n::text, 31, '0'), n, 'USD', 'balance:' || $2, 'revenue', 'USAGE', 1, 0, n,
					'10,000 calls', 'tok_x', $4::timestamptz + n * interval '1 microsecond', $4::timestamptz + n * interval '1 microsecond', 'usage', 'client:' || $3 || n, '\x00', '\x00', $2
				FROM generate_series($5::bigint, $6::bigint) AS n`,
				s.id, balances[i], strconv.Itoa(i), start, from, min(from+100_000, n+2)-1)
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.db.Write.ExecContext(t.Context(), "UPDATE balances SET last_seq = $3 WHERE organization_id = $1 AND id = $2", s.id, balances[i], n+1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.db.Write.ExecContext(t.Context(), "VACUUM ANALYZE ledger_entries"); err != nil {
		t.Fatal(err)
	}
	return s
}

// page asks for a page of the old balance's entries, and returns the cursor at
// its end.
func (s *skewed) page(t testing.TB, after string) (cursor string, rows int) {
	t.Helper()
	if after != "" {
		after = `, after: "` + after + `"`
	}
	var out struct {
		Payer struct {
			Balance struct {
				Entries struct {
					PageInfo struct{ EndCursor string }
					Edges    []struct{ Node struct{ Kind string } }
				}
			}
		}
	}
	s.must(t, s.token, `{ payer(by: {id: "`+s.payer+`"}) { balance(currency: "USD") { entries(first: 100`+after+`) { pageInfo { endCursor hasNextPage } edges { node { kind amount { amount } remainingAfter { amount } bookedAt } } } } } }`, nil, &out)
	return out.Payer.Balance.Entries.PageInfo.EndCursor, len(out.Payer.Balance.Entries.Edges)
}

// buffers is how many pages of the database the statement reads that was sent
// last for entries.
func (s *skewed) buffers(t testing.TB) int {
	t.Helper()
	for _, st := range s.recorder.Statements() {
		if strings.Contains(st.Query, `"ledger_entries"`) {
			n := testdb.Buffers(t, s.db, st)
			s.recorder.Reset()
			return n
		}
	}
	t.Fatal("no statement reads entries")
	return 0
}

// TestEntryPagesAreFlat holds that a page far down the list costs what the
// first one does, also where what others got since lies on top.
func TestEntryPagesAreFlat(t *testing.T) {
	t.Parallel()
	s := newWorld(t, dialect.Postgres).fillSkewed(t, 5_000, 60_000)
	s.recorder.Reset()
	cursor, rows := s.page(t, "")
	first := s.buffers(t)
	// A hundred entries stand in a handful of pages, with the way down an index.
	if t.Logf("the first page reads %d pages of the database", first); first > 25 {
		t.Errorf("the first page reads %d pages of the database", first)
	}
	// The newest of several balances at once: the rest of either is not read.
	s.must(t, s.token, `{ developers(first: 10) { edges { node { balances { entries(first: 20) { pageInfo { endCursor hasNextPage } edges { node { kind amount { amount } } } } } } } } }`, nil, nil)
	nested := s.buffers(t)
	if t.Logf("the first pages of both balances read %d pages of the database", nested); nested > 25 {
		t.Errorf("the first pages of both balances read %d pages of the database", nested)
	}
	seen := rows
	for rows == 100 && seen < s.entries {
		cursor, rows = s.page(t, cursor)
		seen += rows
		if n := s.buffers(t); 10*n > 13*first {
			t.Fatalf("the page after %d entries reads %d pages of the database, the first one %d", seen-rows, n, first)
		}
	}
	if seen != s.entries {
		t.Errorf("%d entries were listed, want %d", seen, s.entries)
	}
}

// BenchmarkEntryPages reads the first page of the entries of an old balance and
// the last one, in a ledger of ten million; PURSER_BENCH_ENTRIES changes that.
func BenchmarkEntryPages(b *testing.B) {
	entries := 10_000_000
	if text := os.Getenv("PURSER_BENCH_ENTRIES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		entries = n
	}
	s := newWorld(b, dialect.Postgres).fillSkewed(b, entries/10, entries-entries/10)
	s.recorder.Reset()
	first, _ := s.page(b, "")
	top := s.buffers(b)
	// The cursor of a page near the end: the newest of the oldest 200 entries.
	last := first
	for seen := 100; seen < min(s.entries-200, 20_000); seen += 100 {
		last, _ = s.page(b, last)
		s.recorder.Reset()
	}
	_, _ = s.page(b, last)
	b.Logf("of %d entries, the first page reads %d pages of the database, a late one %d", entries, top, s.buffers(b))
	for name, at := range map[string]string{"first": "", "late": last} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.page(b, at)
			}
			s.recorder.Reset()
		})
	}
}
