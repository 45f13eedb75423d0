package main

import (
	"context"
	"fmt"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/billing"
	"purser/ent/ledgerentry"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/gateway"
	"purser/migrations"
	"purser/testdb"
)

// TestMishaps is the table of everything that money goes through and
// everything that can go wrong on the way: each step with each mishap, or the
// reason why the two cannot meet. Whatever happens, the step ends as it should,
// or is refused and can be done anew; no money is taken twice or unbooked, and
// nothing is called failed that may have succeeded.
//
// What the gateways do is the same to both databases: unless everything is to
// be tried, each cell is seen by one of them, and each step and each mishap by
// both.
func TestMishaps(t *testing.T) {
	t.Parallel()
	for share, name := range []string{dialect.SQLite, dialect.Postgres} {
		for half := range 2 { // at once: else this test is what the others wait for
			t.Run(fmt.Sprintf("%s/%d", name, half), func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, name)
				played, plays := 0, 0
				for row, m := range steps() {
					if row/2%2 != half { // a step at one gateway and its like at the other
						continue
					}
					p, n := tr.row(t, m, row+share)
					played, plays = played+p, plays+n
				}
				tr.end(t)
				t.Logf("%d cells, in which something was done %d times", played, plays)
			})
		}
	}
}

// row plays a step with every mishap, or with every other one, from an even or
// an odd one on. It returns how many cells were played, and how often the step
// was done in them.
func (tr *trial) row(t *testing.T, m move, from int) (played, plays int) {
	t.Helper()
	// The gateways are looked at once a step: it takes longer than a cell.
	before := tr.taken(t)
	tr.charging(t, m.byItself())
	for column, h := range mishaps() {
		run, _ := h.cell(m)
		switch mine := (from+column)%2 == 0 || full(); {
		case run == nil, h.postgres && tr.postgres == nil:
			continue
		case !mine && !h.postgres:
			continue
		}
		n := run(t, tr, m)
		if t.Failed() || n == 0 {
			t.Fatalf("%s, %s, after it was done %d times", m.name, h.name, n)
		}
		played, plays = played+1, plays+n
	}
	tr.finish(t, m)
	want := 0
	if m.takes {
		want = plays
	}
	if took := tr.taken(t) - before; took != want {
		t.Fatalf("%s was done %d times and the gateways took money %d times, want %d", m.name, plays, took, want)
	}
	return played, plays
}

// TestMishapsAreComplete holds that no cell of the table is empty, and that
// the table has everything that it is there for.
func TestMishapsAreComplete(t *testing.T) {
	t.Parallel()
	type place struct {
		class   class
		gateway gateway.Kind
	}
	wanted := map[place]bool{
		{classHosted, gateway.KindStripe}: false, {classHosted, gateway.KindWorldpay}: false,
		{classCharge, gateway.KindStripe}: false, {classCharge, gateway.KindWorldpay}: false,
		{classAuto, gateway.KindStripe}: false, {classAuto, gateway.KindWorldpay}: false,
		{classRefund, gateway.KindStripe}: false, {classRefund, gateway.KindWorldpay}: false,
		{classRenewal, gateway.KindStripe}: false, {classRenewal, gateway.KindWorldpay}: false,
		{classRetry, gateway.KindStripe}: false, {classRetry, gateway.KindWorldpay}: false,
		{classHold, ""}: false,
	}
	count := map[string]int{}
	for _, m := range steps() {
		wanted[place{m.class, m.gateway}] = true
		for _, h := range mishaps() {
			run, reason := h.cell(m)
			if (run == nil) == (reason == "") {
				t.Errorf("%s, %s: it is either tried or has a reason why it cannot be", m.name, h.name)
			}
			if run != nil {
				count[h.name]++
			}
		}
	}
	for at, there := range wanted {
		if !there {
			t.Errorf("no step is a %s at %q", at.class, at.gateway)
		}
	}
	for _, h := range mishaps() {
		if count[h.name] == 0 {
			t.Errorf("%s happens to no step", h.name)
		}
	}
}

// trial is the table on one database.
type trial struct {
	*stack
	home *cast
	// postgres is the trial's own server, behind the proxy; nil on SQLite.
	postgres *testdb.Server
	proxy    *testdb.Proxy
	// known is how the steps go when all goes well, by their names.
	known map[string]course
	// lies are the ids of events that the gateways have not sent.
	lies map[string]bool
	// neighbour is another organization with accounts of its own.
	neighbour *neighbour
	// crooked is a trial whose gateways confirm other amounts than they were
	// asked for.
	crooked *trial
	// crookedBefore is what the crooked gateways had taken at first.
	crookedBefore int
	keys          int
}

func newTrial(t *testing.T, dialectName string) *trial {
	t.Helper()
	tr := &trial{known: map[string]course{}, lies: map[string]bool{}}
	if dialectName == dialect.Postgres {
		tr.postgres = testdb.StartServer(t)
		tr.proxy = testdb.NewProxy(t, tr.postgres.URL(t))
		db := testdb.Open(t, tr.proxy.URL())
		dir, err := migrations.Dir(dialectName)
		must(t, err)
		testdb.Migrate(t, db, dir)
		tr.stack = newStack(t, db)
	} else {
		tr.stack = newStack(t, stackDatabase(t, dialectName))
	}
	tr.home = &cast{payer: tr.newPayer(t, "Ada")}
	tr.home.card = tr.newCard(t, tr.home.payer, "pm_card_visa")
	tr.addWorldpay(t, tr.home.payer)
	for _, kind := range []gateway.Kind{gateway.KindStripe, gateway.KindWorldpay} {
		tr.reloading(t, kind)
	}
	tr.do(t, "balanceReload", "entry { id }", map[string]any{"payerId": tr.home.payer, "amount": usDollars("10000.00"), "idempotencyKey": "cash"})
	return tr
}

// charging says whether the organization has invoices charged by themselves.
func (tr *trial) charging(t *testing.T, on bool) {
	t.Helper()
	must(t, tr.billing.UpdateOrganization(tr.ctx, billing.OrganizationChange{ChargingEnabled: &on}))
}

// finish ends what the plays of a step have left running.
func (tr *trial) finish(t *testing.T, m move) {
	t.Helper()
	if m.finish != nil {
		m.finish(t, tr.stack)
	}
}

// cast is who takes part in the next play of a step.
func (tr *trial) cast(t *testing.T, m move) *cast {
	t.Helper()
	c := *tr.home
	if m.prepare != nil {
		m.prepare(t, tr.stack, &c)
	}
	return &c
}

// key is a new one.
func (tr *trial) key(m move) string {
	tr.keys++
	return fmt.Sprintf("%s %d", m.name, tr.keys)
}

// taken is how often the gateways have taken money.
func (tr *trial) taken(t *testing.T) int {
	t.Helper()
	n := len(takenByGateway(t, t.Context(), tr.sandbox)) + len(takenByWorldpay(t, t.Context(), tr.worldpay.Server))
	if tr.crooked != nil {
		n += tr.crooked.taken(t) - tr.crookedBefore
	}
	return n
}

// course is how a step goes when all goes well: the requests that it makes of
// its gateway, how many of them when it is asked first, and how many messages
// and COMMITs of the database it waits for, where there is a proxy.
type course struct {
	requests          []string
	atOnce            int
	messages, commits int
}

// usual is the course of a step. The first time it is played for that, and says
// so.
func (tr *trial) usual(t *testing.T, m move) (usual course, plays int) {
	t.Helper()
	if usual, there := tr.known[m.name]; there {
		return usual, 0
	}
	c := tr.cast(t, m)
	if tr.proxy != nil {
		tr.proxy.CutWhen(func(m testdb.Message) bool {
			if isCommit(m) {
				usual.commits++
			}
			return false
		})
	}
	usual.requests, usual.atOnce = tr.requestsOf(t, m, c)
	if tr.proxy != nil {
		usual.messages = tr.proxy.Messages()
		tr.proxy.CutWhen(nil)
		if usual.commits == 0 {
			t.Fatalf("%s commits nothing", m.name)
		}
	}
	tr.known[m.name] = usual
	return usual, 1
}

// ends is a step under its key, which must come to its end by itself.
func (tr *trial) ends(t *testing.T, m move, c *cast, key string) {
	t.Helper()
	if err := tr.insist(t, m, c, key); err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	if m.gateway != "" && m.class != classSale {
		tr.mustStand(t, m, c, "SUCCEEDED")
	}
}

// standing is how our books say that the step's latest payment or refund
// stands.
func (tr *trial) standing(t *testing.T, m move, c *cast) string {
	t.Helper()
	if m.class == classRefund {
		r, err := tr.billing.Client().Refund.Query().Where(refund.PaymentID(c.payment)).Order(refund.ByID(sql.OrderDesc())).First(tr.ctx)
		must(t, err)
		return string(r.Status)
	}
	p, err := tr.billing.Client().Payment.Query().Where(payment.PayerID(c.payer)).Order(payment.ByID(sql.OrderDesc())).First(tr.ctx)
	must(t, err)
	return string(p.Status)
}

func (tr *trial) mustStand(t *testing.T, m move, c *cast, states ...string) {
	t.Helper()
	got := tr.standing(t, m, c)
	for _, want := range states {
		if got == want {
			return
		}
	}
	t.Errorf("it is %s, want %v", got, states)
}

// books sums up what stands in the ledger, and how many payments and refunds
// have ended. A credit note's own entry is none of a gateway's business.
func (tr *trial) books(t *testing.T, ctx context.Context) string {
	t.Helper()
	client := tr.billing.Client()
	entries, err := client.LedgerEntry.Query().Where(ledgerentry.KindNEQ(ledgerentry.KindCREDIT_NOTE)).Order(ledgerentry.ByID()).IDs(ctx)
	must(t, err)
	payments, err := client.Payment.Query().Where(payment.StatusIn(payment.StatusSUCCEEDED, payment.StatusFAILED, payment.StatusCANCELED)).Count(ctx)
	must(t, err)
	refunds, err := client.Refund.Query().Where(refund.StatusNEQ(refund.StatusPROCESSING)).Count(ctx)
	must(t, err)
	last := ""
	if len(entries) > 0 {
		last = entries[len(entries)-1]
	}
	return fmt.Sprintf("%d entries to %s, %d payments and %d refunds that have ended", len(entries), last, payments, refunds)
}

// settle is the stack's, among lies that cannot be applied.
func (tr *trial) settle(t *testing.T) {
	t.Helper()
	for _, pause := range settlePauses() {
		tr.clock.Advance(pause)
		if err := tr.jobs.Round(t.Context()); err != nil {
			t.Logf("due work: %v", err)
		}
	}
}

// end has everything told and done that is left, and compares all books.
func (tr *trial) end(t *testing.T) {
	t.Helper()
	for _, kind := range []gateway.Kind{gateway.KindStripe, gateway.KindWorldpay} {
		for _, n := range tr.news(t, kind) {
			tr.mustHand(t, n)
		}
	}
	tr.settle(t)
	compareWithTaken(t, tr.billing, tr.ctx, append(takenByGateway(t, t.Context(), tr.sandbox), takenByWorldpay(t, t.Context(), tr.worldpay.Server)...))
	nothingOpen(t, tr.billing, tr.ctx, tr.lies)
	tr.mustVerify(t)
	if tr.crooked != nil {
		tr.crooked.mustVerify(t)
	}
}

// neighbour is another organization, whose accounts at the gateways are told of
// what is none of its business.
type neighbour struct {
	ctx   context.Context
	hooks map[gateway.Kind]string
}

const neighbourSecret = "whsec_neighbour00000000000000000"

func (tr *trial) nextDoor(t *testing.T) *neighbour {
	t.Helper()
	if tr.neighbour != nil {
		return tr.neighbour
	}
	id, _, err := tr.billing.CreateOrganization(auth.AllTenants(t.Context(), "test"), billing.OrganizationDraft{
		Slug: "neighbour", Name: "Neighbour", Environment: organization.EnvironmentSANDBOX, DefaultCurrency: "USD",
	})
	must(t, err)
	n := &neighbour{ctx: auth.Internal(t.Context(), "test", id), hooks: map[gateway.Kind]string{}}
	provider, err := tr.billing.CreateProvider(n.ctx, billing.ProviderDraft{Name: "Stripe", Credentials: billing.Credentials{
		Kind: gateway.KindStripe, SecretKey: stackSecretKey, PublishableKey: "pk_test_stack0000000000000000", WebhookSecret: neighbourSecret,
	}}, tr.adapter)
	must(t, err)
	row, err := tr.billing.Client().Provider.Get(n.ctx, provider)
	must(t, err)
	n.hooks[gateway.KindStripe] = "/webhooks/neighbour/" + row.WebhookToken
	_, n.hooks[gateway.KindWorldpay] = tr.newWorldpay(t, n.ctx, "neighbour")
	tr.neighbour = n
	return n
}
