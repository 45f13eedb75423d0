package billing

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/provider"
	"purser/ent/quoteline"
	"purser/testdb"
)

// withoutReply does something without the n-th thing that the database answers,
// and reports whether there was one: the reply to a statement or, where
// everything is to be tried, each message of a reply. What a reply means that
// arrives in part is held by database.TestLostReplyNeverWritesTwice for all
// statements.
func withoutReply(proxy *testdb.Proxy, n int, do func() error) (lost bool, err error) {
	lose := proxy.CutReply
	if full() {
		lose = proxy.CutMessage
	}
	lose(n)
	defer proxy.CutWhen(nil)
	err = do()
	return proxy.Cuts() > 0, err
}

// The database's answers are lost one after the other, that of COMMIT among
// them: the caller hears of success, and everything is booked once.
func TestEveryLostReplyLeavesOneEntry(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, newPostgresURL(t))
	f := newFixture(t, testdb.Open(t, proxy.URL()))
	p := f.newPayer(t, payer.BillingModePREPAID)
	f.reload(t, p.ID, usd(t, "1000"))
	for _, c := range []struct {
		name string
		kind ledgerentry.Kind
		do   func(try int, fresh *ent.Payer) error
	}{
		{"usage", ledgerentry.KindUSAGE, func(try int, fresh *ent.Payer) error {
			_, err := f.RecordUsage(f.ctx, Usage{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint("usage ", try))})
			return err
		}},
		{"first usage in a currency", ledgerentry.KindUSAGE, func(try int, fresh *ent.Payer) error {
			_, err := f.RecordUsage(f.ctx, Usage{
				PayerID: fresh.ID, Amount: in(t, "1", "JPY"), OnInsufficient: OnInsufficientRecord, Key: ptr(fmt.Sprint("first ", try)),
			})
			return err
		}},
		{"reload", ledgerentry.KindRELOAD, func(try int, fresh *ent.Payer) error {
			_, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint("reload ", try))})
			return err
		}},
		{"top-up", ledgerentry.KindTOP_UP, func(try int, fresh *ent.Payer) error {
			return f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
				paid, err := tx.storePaid(ctx, f, p, usd(t, "1"), nil, fmt.Sprint("pi_", try))
				if err != nil {
					return err
				}
				_, err = tx.creditTopUp(ctx, paid, fmt.Sprint("pi_", try))
				return err
			})
		}},
	} {
		lost := 0
		for try := 1; ; try++ {
			before, fresh := f.entriesOf(t, c.kind), f.newPayer(t, payer.BillingModePREPAID)
			cut, err := withoutReply(proxy, try, func() error { return c.do(try, fresh) })
			if err != nil {
				t.Errorf("%s, reply %d lost: %v", c.name, try, err)
			}
			if n := f.entriesOf(t, c.kind) - before; n != 1 {
				t.Errorf("%s, reply %d lost: booked %d times", c.name, try, n)
			}
			if !cut {
				break
			}
			lost++
		}
		if lost < 6 {
			t.Errorf("%s: only %d replies were lost", c.name, lost)
		}
	}
	f.mustVerify(t)
}

// The reply to a COMMIT is lost that has made something: it is there once, the
// caller has its name, and a credential's value is in the hand of who made it.
func TestLostCommitMakesOneThing(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, newPostgresURL(t))
	s := &sale{fixture: newFixture(t, testdb.Open(t, proxy.URL()))}
	s.provider = s.newKind(t, provider.KindSTRIPE)
	s.payer = s.newPayer(t, payer.BillingModePREPAID)
	a := auth.NewAuthenticator(s.Service, s.clock.Now)
	id := func(id string, err error) (string, error) { return id, err }
	usable := func(token auth.Token, err error) (string, error) {
		if err == nil {
			_, _, err = a.Authenticate(s.ctx, token.Reveal())
		}
		return token.TokenID(), err
	}
	product, err := s.CreateProduct(s.ctx, ProductDraft{Name: "Plan"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	quoteID := s.quoteOf(t, item(t, "A", "1", "USD", 1))
	lines := []LineDraft{item(t, "A", "1", "USD", 1)}
	read := s.Client()
	for _, c := range []struct {
		name  string
		do    func() (string, error)
		count func(context.Context) (int, error)
		made  int
	}{
		{"token", func() (string, error) {
			_, token, err := s.CreateToken(s.ctx, TokenDraft{Name: "CI", Scopes: []auth.Scope{auth.ScopeBilling}, Permission: auth.PermissionRead})
			return usable(token, err)
		}, read.AccessToken.Query().Count, 1},
		{"session", func() (string, error) {
			token, _, err := s.CreatePayerSession(s.ctx, s.payer.ID, time.Minute)
			return usable(token, err)
		}, read.PayerSession.Query().Count, 1},
		{"developer", func() (string, error) {
			return id(s.CreateDeveloper(s.ctx, PayerDraft{Email: "lost@example.com", Name: "Lost", BillingMode: payer.BillingModePREPAID}, ptr("developer")))
		}, read.Payer.Query().Count, 1},
		{"company", func() (string, error) {
			return id(s.CreateCompany(s.ctx, PayerDraft{Slug: "lost", Name: "Lost", BillingMode: payer.BillingModePREPAID}, ptr("company")))
		}, read.Payer.Query().Count, 1},
		{"product", func() (string, error) {
			return id(s.CreateProduct(s.ctx, ProductDraft{Name: "Lost"}, ptr("product")))
		}, read.Product.Query().Count, 1},
		{"price", func() (string, error) {
			return id(s.CreatePrice(s.ctx, PriceDraft{ProductID: product, UnitAmount: usd(t, "1")}, ptr("price")))
		}, read.Price.Query().Count, 1},
		{"quote", func() (string, error) {
			return id(s.CreateQuote(s.ctx, QuoteDraft{PayerID: s.payer.ID, Lines: lines, Key: ptr("quote")}))
		}, read.Quote.Query().Count, 1},
		{"new lines of a quote", func() (string, error) {
			return quoteID, s.UpdateQuote(s.ctx, QuoteChange{ID: quoteID, Lines: &lines})
		}, read.QuoteLine.Query().Where(quoteline.QuoteID(quoteID)).Count, 0},
		{"invoice", func() (string, error) {
			return id(s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Lines: lines, Collection: invoice.CollectionSEND, Key: ptr("invoice")}))
		}, read.Invoice.Query().Count, 1},
	} {
		before, err := c.count(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		lost := false
		proxy.CutWhen(func(m testdb.Message) bool {
			if lost || m.Kind != 'C' || !bytes.HasPrefix(m.Body, []byte("COMMIT")) {
				return false
			}
			lost = true
			return true
		})
		name, err := c.do()
		cuts := proxy.Cuts()
		proxy.CutWhen(nil)
		if err != nil || name == "" || cuts != 1 {
			t.Errorf("%s: %q after %d lost replies, %v", c.name, name, cuts, err)
		}
		if after, err := c.count(s.ctx); err != nil || after-before != c.made {
			t.Errorf("%s: %d were made, want %d, %v", c.name, after-before, c.made, err)
		}
	}
	s.mustVerify(t)
}

// entriesOf counts the entries of a kind.
func (f *fixture) entriesOf(t testing.TB, kind ledgerentry.Kind) int {
	t.Helper()
	n, err := f.Client().LedgerEntry.Query().Where(ledgerentry.KindEQ(kind)).Count(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Whoever watches a balance is told of its change also when the reply to the
// COMMIT was lost, and the run after it found everything done.
func TestChangeWithALostReplyIsTold(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, newPostgresURL(t))
	f := newFixture(t, testdb.Open(t, proxy.URL()))
	p := f.newPayer(t, payer.BillingModePREPAID)
	f.reload(t, p.ID, usd(t, "1000"))
	changes := f.changes.Watch(t.Context(), f.org, ChangeBalance, func(Change) bool { return true })
	for try := 1; ; try++ {
		cut, err := withoutReply(proxy, try, func() error {
			_, err := f.ReloadBalance(f.ctx, Reload{PayerID: p.ID, Amount: usd(t, "1"), Key: ptr(fmt.Sprint("reload ", try))})
			return err
		})
		if err != nil {
			t.Fatalf("reply %d lost: %v", try, err)
		}
		if _, told, _ := changes.take(); !told {
			t.Errorf("reply %d lost: nobody was told", try)
		}
		if !cut {
			break
		}
	}
}
