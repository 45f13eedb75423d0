package main

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"entgo.io/ent/dialect"

	"purser/migrations"
	"purser/testdb"
)

// lostReplies is how many positions of one flow are tried where not all are.
const lostReplies = 9

// TestLostReplies loses what PostgreSQL answers, message by message, while
// money moves: the connection breaks, and nobody knows whether the statement,
// or the COMMIT, was carried out. The caller tries again under the same key,
// and everything has happened once.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	dir, err := migrations.Dir(dialect.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	proxy := testdb.NewProxy(t, testdb.MigratedURL(t, dialect.Postgres, dir))
	s := newStack(t, testdb.Open(t, proxy.URL()))
	home := &cast{payer: s.newPayer(t, "Ada")}
	home.card = s.newCard(t, home.payer, "pm_card_visa")
	for i, m := range append(moves(), bookings()...) {
		lost := &loss{stack: s, proxy: proxy, home: home, move: m}
		replies, commits := lost.undisturbed(t)
		step := 1
		if !full() {
			step = max(1, replies/lostReplies)
		}
		before := lost.taken(t)
		for n := 1 + i%step; n <= replies; n += step { // each move meets others of what all share
			lost.at(t, fmt.Sprintf("reply %d of %d", n, replies), func(m testdb.Message) bool { return m.Number == n })
		}
		for n := 1; n <= commits; n++ {
			passed := 0
			lost.at(t, fmt.Sprintf("COMMIT %d of %d", n, commits), func(m testdb.Message) bool {
				if isCommit(m) {
					passed++
				}
				return isCommit(m) && passed == n
			})
		}
		want := 0
		if m.takes {
			want = lost.n
		}
		if took := lost.taken(t) - before; took != want {
			t.Fatalf("%s was done %d times and the gateway took money %d times, want %d", m.name, lost.n, took, want)
		}
		t.Logf("%s: %d replies, %d of them to a COMMIT", m.name, replies, commits)
	}
	s.deliverAll(t)
	s.settle(t)
	compareWithGateway(t, s.billing, s.ctx, s.sandbox)
	s.mustVerify(t)
}

func isCommit(m testdb.Message) bool {
	return m.Kind == 'C' && bytes.HasPrefix(m.Body, []byte("COMMIT"))
}

// loss is one mutation whose replies are lost one by one.
type loss struct {
	*stack
	proxy *testdb.Proxy
	home  *cast
	move  move
	n     int
}

// undisturbed plays the mutation and counts the replies.
func (l *loss) undisturbed(t *testing.T) (replies, commits int) {
	t.Helper()
	c := *l.home
	if l.move.prepare != nil {
		l.move.prepare(t, l.stack, &c)
	}
	l.proxy.CutWhen(func(m testdb.Message) bool {
		if isCommit(m) {
			commits++
		}
		return false
	})
	if err := l.insist(t, l.move, &c, "undisturbed "+l.move.name); err != nil {
		t.Fatalf("%s: %v", l.move.name, err)
	}
	replies = l.proxy.Messages()
	l.proxy.CutWhen(nil)
	if commits == 0 {
		t.Fatalf("%s commits nothing", l.move.name)
	}
	return replies, commits
}

// at plays the mutation with the reply lost that matches.
func (l *loss) at(t *testing.T, what string, match func(testdb.Message) bool) {
	t.Helper()
	l.n++
	c := *l.home
	if l.move.prepare != nil {
		l.move.prepare(t, l.stack, &c)
	}
	l.proxy.CutWhen(match)
	err := l.insist(t, l.move, &c, fmt.Sprintf("%s %d", l.move.name, l.n))
	l.proxy.CutWhen(nil)
	if err != nil {
		t.Fatalf("%s without %s: %v", l.move.name, what, err)
	}
}

// taken is how often the gateway has taken money.
func (l *loss) taken(t *testing.T) int {
	t.Helper()
	return len(takenByGateway(t, t.Context(), l.sandbox))
}

// bookings are mutations that move money and ask nothing of a gateway.
func bookings() []move {
	return []move{
		{
			name: "balanceReload", want: "12.00 ",
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "balanceReload", "entry { amount { amount } }", map[string]any{
					"payerId": c.payer, "amount": usDollars("12.00"), "idempotencyKey": key,
				}, "entry.amount.amount")
				return text, err
			},
		},
		{
			name: "usageRecord", want: "once ",
			ask: func(ctx context.Context, s *stack, c *cast, key string) (string, error) {
				text, _, err := once(ctx, s, "usageRecord", "entry { id }", map[string]any{
					"payerId": c.payer, "amount": usDollars("0.50"), "idempotencyKey": key,
				}, "entry.id")
				if text != "" && err == nil {
					text = "once "
				}
				return text, err
			},
		},
	}
}
