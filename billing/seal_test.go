package billing

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/ledgerseal"
	"purser/money"
)

// loose books n entries that touch no balance.
func (f *fixture) loose(t testing.TB, n int) {
	t.Helper()
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		for range n {
			if _, err := tx.post(ctx, posting{
				kind: ledgerentry.KindPAYOUT, debit: accountBank, credit: clearingAccount(f.provider),
				amount: money.Amount{Units: 1, Currency: "USD"}, providerID: f.provider,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// seal seals and returns how many.
func (f *fixture) seal(t testing.TB) int {
	t.Helper()
	n, err := f.SealEntries(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSealsChainEntriesInOrder(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		if n := f.seal(t); n != 0 {
			t.Errorf("sealed %d of nothing", n)
		}
		f.loose(t, 3)
		f.clock.Advance(sealAfter - time.Microsecond)
		if n := f.seal(t); n != 0 {
			t.Errorf("sealed %d that have not rested", n)
		}
		f.clock.Advance(time.Microsecond)
		if n := f.seal(t); n != 3 {
			t.Errorf("sealed %d, want 3", n)
		}
		if n := f.seal(t); n != 0 {
			t.Errorf("sealed %d again", n)
		}
		f.loose(t, sealPage+2)
		f.clock.Advance(sealAfter)
		if n := f.seal(t); n != sealPage+2 {
			t.Errorf("sealed %d, want %d", n, sealPage+2)
		}
		seals, err := f.Client().LedgerSeal.Query().Order(ent.Asc(ledgerseal.FieldSeq)).All(f.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i := 1; i < len(seals); i++ {
			if seals[i].Seq != int64(i+1) || seals[i].EntryID <= seals[i-1].EntryID || bytes.Equal(seals[i].Hash, seals[i-1].Hash) {
				t.Fatalf("seal %d is of %s with number %d, after %s", i+1, seals[i].EntryID, seals[i].Seq, seals[i-1].EntryID)
			}
		}
		r, err := f.Verify(f.ctx, VerifyOptions{PageRows: 100})
		if err != nil || r.Seals != sealPage+5 || r.Unsealed != 0 {
			t.Errorf("verified %+v, %v", r, err)
		}
	})
}

func TestSealersAtOnceSealOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		const n = 2*sealPage + 10
		f.loose(t, n)
		f.clock.Advance(sealAfter)
		var mu sync.Mutex
		total := 0
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				sealed, err := f.SealEntries(f.ctx)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total += sealed
			})
		}
		wg.Wait()
		if total != n {
			t.Errorf("sealed %d, want %d", total, n)
		}
	})
}

// An entry whose transaction was slow comes with an older id than those that
// are sealed already; it is sealed after them.
func TestLateEntryIsSealed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.loose(t, 1)
		f.clock.Advance(sealAfter)
		f.seal(t)
		seal, err := f.Client().LedgerSeal.Query().Only(f.ctx)
		if err != nil {
			t.Fatal(err)
		}
		late, err := idBefore(seal.EntryID, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			row := tx.newEntry(ctx, posting{
				kind: ledgerentry.KindPAYOUT, debit: accountBank, credit: clearingAccount(f.provider),
				amount: money.Amount{Units: 1, Currency: "USD"},
			})
			row.id = late + "7000800000000000000f"
			row.hash = row.digest(nil)
			_, err := tx.insertEntry(ctx, row)
			return err
		})
		f.clock.Advance(sealAfter)
		if n := f.seal(t); n != 1 {
			t.Errorf("sealed %d, want the late one", n)
		}
	})
}

func TestUnsealedEntriesAreFound(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.loose(t, 1)
		f.clock.Advance(time.Hour)
		if r, err := f.Verify(f.ctx, VerifyOptions{}); err != nil || r.Unsealed != 1 {
			t.Errorf("verified %+v, %v", r, err)
		}
		wantFault(t, f, VerifyOptions{SealAge: 10 * time.Minute}, ledgerentry.Table, "")
		if _, err := f.Verify(f.ctx, VerifyOptions{SealAge: 2 * time.Hour}); err != nil {
			t.Error(err)
		}
		f.seal(t)
		if r, err := f.Verify(f.ctx, VerifyOptions{SealAge: 10 * time.Minute}); err != nil || r.Unsealed != 0 {
			t.Errorf("verified %+v, %v", r, err)
		}
	})
}

func TestIDBefore(t *testing.T) {
	const id = "ent_0193e3a6f0007abc8def0123456789ab"
	for _, c := range []struct {
		d    time.Duration
		want string
	}{
		{0, "ent_0193e3a6f000"},
		{time.Millisecond, "ent_0193e3a6efff"},
		{100 * 365 * 24 * time.Hour, "ent_000000000000"},
	} {
		got, err := idBefore(id, c.d)
		if err != nil || got != c.want || got >= id {
			t.Errorf("%s before: got %s, %v; want %s", c.d, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "ent_", "ent_xyz", "ent_0193e3a6f0007abc8def0123456789a", "0193e3a6f0007abc8def0123456789ab"} {
		if got, err := idBefore(bad, 0); err == nil {
			t.Errorf("%q: got %s", bad, got)
		}
	}
	s := &Service{}
	first, second := s.newID(prefixEntry), s.newID(prefixEntry)
	if bound, err := idBefore(second, time.Hour); err != nil || bound >= first {
		t.Errorf("%s is not below %s (%v)", bound, first, err)
	}
}
