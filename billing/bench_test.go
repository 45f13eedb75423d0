package billing

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/auth"
	"purser/migrations"
	"purser/money"
	"purser/testdb"
)

// What recording usage costs. Each benchmark reports events per second and,
// on PostgreSQL, bytes of write-ahead log per event:
//
//	go test ./billing -run '^$' -bench Usage -benchtime 3s
//
// Figures and how they are to be read: docs/performance.md.

// stand is a database with payers and their balances.
type stand struct {
	*fixture
	payers []string
	keys   atomic.Int64
}

// newStand makes payers with balances nobody uses up, in several organizations.
func newStand(b *testing.B, dialectName string, organizations, payersEach int) []*stand {
	b.Helper()
	dir, err := migrations.Dir(dialectName)
	if err != nil {
		b.Fatal(err)
	}
	f := newFixture(b, testdb.Migrated(b, dialectName, dir))
	f.machineClock = time.Now
	var all []*stand
	for n := range organizations {
		s := &stand{fixture: f}
		if n > 0 {
			_, ctx := f.newOrganization(b, fmt.Sprint("org", n), "UTC")
			s.fixture = &fixture{Service: f.Service, db: f.db, clock: f.clock, ctx: ctx, org: auth.FromContext(ctx).OrganizationID}
		}
		s.fillPayers(b, payersEach)
		all = append(all, s)
	}
	f.analyze(b)
	return all
}

// fillPayers makes payers with balances of a million dollars.
func (s *stand) fillPayers(b *testing.B, n int) {
	b.Helper()
	s.must(b, s.ctx, func(ctx context.Context, tx *Tx) error {
		for i := range n {
			id := tx.s.newID(prefixDeveloper)
			if err := tx.Payer.Create().SetID(id).SetKind("DEVELOPER").SetEmail(fmt.Sprint("p", i, "@example.com")).SetName("Ada").
				SetMetadata(map[string]string{}).SetCreatedAt(tx.Now).Exec(ctx); err != nil {
				return err
			}
			p, err := tx.payer(ctx, id, "")
			if err != nil {
				return err
			}
			if _, err := tx.createBalance(ctx, p, "USD", nil); err != nil {
				return err
			}
			s.payers = append(s.payers, id)
		}
		return nil
	})
}

// usage is a small event of one of the payers.
func (s *stand) usage() Usage {
	n := s.keys.Add(1)
	key := "event-" + strconv.FormatInt(n, 10)
	return Usage{
		PayerID: s.payers[int(n*7919)%len(s.payers)], Amount: money.Amount{Units: 1, Currency: "USD"},
		OnInsufficient: OnInsufficientRecord, Key: &key,
	}
}

func BenchmarkUsage(b *testing.B) {
	for _, dialectName := range []string{dialect.Postgres, dialect.SQLite} {
		for _, c := range []struct {
			name                  string
			organizations, payers int
		}{{"hot", 1, 1}, {"random", 1, 1000}, {"organizations", 100, 10}} {
			b.Run(dialectName+"/"+c.name, func(b *testing.B) {
				stands := newStand(b, dialectName, c.organizations, c.payers)
				for _, callers := range []int{1, 64, 256} {
					b.Run(fmt.Sprint(callers, "callers"), func(b *testing.B) {
						measure(b, stands, callers, 1, func(s *stand) error {
							_, err := s.RecordUsage(s.ctx, s.usage())
							return err
						})
					})
				}
				b.Run("batches", func(b *testing.B) {
					const size = 100
					measure(b, stands, 16, size, func(s *stand) error {
						events := make([]Usage, size)
						for i := range events {
							events[i] = s.usage()
						}
						_, err := s.RecordUsageBatch(s.ctx, events)
						return err
					})
				})
			})
		}
	}
}

// measure runs b.N events by callers at once.
func measure(b *testing.B, stands []*stand, callers, eventsEach int, do func(*stand) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	before := stands[0].walBytes(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := caller; left.Add(-int64(eventsEach)) > -int64(eventsEach); i++ {
				if err := do(stands[i%len(stands)]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	if after := stands[0].walBytes(b); after > before {
		b.ReportMetric(float64(after-before)/float64(b.N), "WAL-B/event")
	}
}

// walBytes is where PostgreSQL's write-ahead log stands.
func (s *stand) walBytes(b *testing.B) int {
	if s.db.Dialect != dialect.Postgres {
		return 0
	}
	return testdb.Count(b, s.db.Read, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
}
