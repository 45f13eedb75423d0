package jobs

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
	"purser/billing"
	"purser/ent/paymentmethod"
	_ "purser/ent/runtime" // policies and hooks
	"purser/gateway"
	"purser/migrations"
	"purser/money"
	"purser/testdb"
)

// office is the domain with due work of which a test decides how it goes: the
// applying of events.
type office struct {
	*billing.Service
	*Runner
	// apply is what becomes of an event that was claimed.
	apply func(ctx context.Context, eventID string) error

	mu    sync.Mutex
	ahead time.Duration
	// stands is where the clock stands still; one that is not set runs.
	stands time.Time
	log    bytes.Buffer
}

func newOffice(t *testing.T) *office {
	t.Helper()
	return newOfficeOn(t, dialect.SQLite)
}

func newOfficeOn(t *testing.T, name string) *office {
	t.Helper()
	dir, err := migrations.Dir(name)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := auth.NewSealer([]byte(strings.Repeat("k", auth.MasterKeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	o := &office{}
	o.Service = billing.New(billing.Config{
		DB: testdb.Migrated(t, name, dir), Sealer: sealer, Logger: slog.New(slog.DiscardHandler),
		Now: o.now, PublicURL: "https://billing.example",
	})
	o.Runner = New(Config{
		Billing: o.Service, Logger: slog.New(slog.NewTextHandler(o, nil)),
		ApplyEvent: func(ctx context.Context, id string) error {
			e, err := o.ClaimEvent(ctx, id)
			if err != nil || e == nil {
				return err
			}
			return o.apply(ctx, id)
		},
	})
	return o
}

func (o *office) now() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.stands.IsZero() {
		return o.stands.Add(o.ahead)
	}
	return time.Now().Add(o.ahead)
}

func (o *office) later(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ahead += d
}

// Write implements io.Writer for the log.
func (o *office) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(b)
}

// logged returns what was logged since it was called last.
func (o *office) logged() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.log.Reset()
	return o.log.String()
}

// organization makes an organization with as many events that are due, of a
// provider that it needs for them; it returns the context of its insides and
// the events.
func (o *office) organization(t *testing.T, slug string, events int) (context.Context, []string) {
	t.Helper()
	_, _, err := o.CreateOrganization(auth.AllTenants(t.Context(), "test"), billing.OrganizationDraft{
		Slug: slug, Name: slug, Environment: "SANDBOX", DefaultCurrency: "USD",
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := o.Inside(t.Context(), "test", slug)
	if err != nil {
		t.Fatal(err)
	}
	if events == 0 {
		return ctx, nil
	}
	provider, err := o.CreateProvider(ctx, billing.ProviderDraft{
		Name: "Stripe", Credentials: billing.Credentials{Kind: gateway.KindStripe, SecretKey: "sk_test_office", PublishableKey: "pk_test_office"},
	}, anyKeys{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for n := range events {
		id, err := o.StoreEvent(ctx, provider, gateway.Event{ID: fmt.Sprint("evt_", n), Type: "test"})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	return ctx, ids
}

// anyKeys takes every key.
type anyKeys struct{}

func (anyKeys) CheckKeys(gateway.Environment, string, string) error { return nil }
func (anyKeys) CheckWebhookSecret(string) error                     { return nil }
func (anyKeys) CheckAccount(gateway.Account) error                  { return nil }

// done notes what was done, and finishes it.
type done struct {
	mu  sync.Mutex
	ids []string
}

func (d *done) apply(o *office) func(context.Context, string) error {
	return func(ctx context.Context, id string) error {
		d.mu.Lock()
		d.ids = append(d.ids, id)
		d.mu.Unlock()
		return o.FinishEvent(ctx, id, nil)
	}
}

func TestRoundDoesWhatIsDue(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var did done
	o.apply = did.apply(o)
	var want []string
	for _, slug := range []string{"one", "two", "three"} {
		_, events := o.organization(t, slug, 2)
		want = append(want, events...)
	}
	if err := o.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(did.ids)
	slices.Sort(want)
	if !slices.Equal(did.ids, want) || o.Due() != int64(len(want)) {
		t.Errorf("did %v and found %d, want %v", did.ids, o.Due(), want)
	}
	if err := o.Round(t.Context()); err != nil || len(did.ids) != len(want) || o.Due() != 0 {
		t.Errorf("once more: did %v and found %d, %v", did.ids, o.Due(), err)
	}
}

func TestPanicEndsOnePiece(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, events := o.organization(t, "one", 3)
	var did done
	apply := did.apply(o)
	o.apply = func(ctx context.Context, id string) error {
		if id == events[1] {
			panic("poison")
		}
		return apply(ctx, id)
	}
	err := o.Round(t.Context())
	if err == nil || !strings.Contains(err.Error(), "poison") {
		t.Errorf("the round tells %v", err)
	}
	if log := o.logged(); !strings.Contains(log, "poison") || !strings.Contains(log, "goroutine") || !strings.Contains(log, events[1]) {
		t.Errorf("the log does not tell where it happened: %s", log)
	}
	slices.Sort(did.ids)
	if !slices.Equal(did.ids, []string{events[0], events[2]}) {
		t.Errorf("did %v of %v", did.ids, events)
	}
	// It is not tried again at once.
	if err := o.Round(t.Context()); err != nil {
		t.Error(err)
	}
	o.later(time.Minute)
	if err := o.Round(t.Context()); err == nil {
		t.Error("it is never tried again")
	}
}

// One organization's gateway that hangs holds up nobody else, and nobody else
// is sent to wait for it.
func TestSlowOrganizationHoldsUpNobody(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Interval = time.Millisecond
	_, slow := o.organization(t, "slow", 2)
	hanging, release := make(chan string, 2), make(chan struct{})
	quick := make(chan string)
	o.apply = func(ctx context.Context, id string) error {
		if slices.Contains(slow, id) {
			hanging <- id
			<-release
		} else {
			quick <- id
		}
		return o.FinishEvent(ctx, id, nil)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.Run(ctx)
	}()
	<-hanging
	for _, slug := range []string{"one", "two"} {
		_, events := o.organization(t, slug, 1)
		if got := <-quick; got != events[0] {
			t.Errorf("did %s, want %s", got, events[0])
		}
	}
	if n := len(hanging); n != 0 {
		t.Errorf("%d more wait for the gateway that hangs", n)
	}
	// A stopped runner finishes the piece it is at, and begins no other.
	stop()
	close(release)
	<-ended
	if n := len(hanging); n != 0 {
		t.Errorf("%d pieces were begun after the end", n)
	}
}

func TestBudgetEndsAKindOfWork(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Budget = time.Nanosecond
	var did done
	o.apply = did.apply(o)
	_, events := o.organization(t, "one", 3)
	for n := range events {
		if err := o.Round(t.Context()); err != nil || len(did.ids) != n+1 {
			t.Errorf("after %d visits %d pieces are done, %v", n+1, len(did.ids), err)
		}
	}
}

func TestTroubleIsToldWhenItChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	_, events := o.organization(t, "one", 1)
	var trouble error
	o.apply = func(context.Context, string) error { return trouble }
	for _, c := range []struct {
		trouble error
		told    bool
	}{
		{errors.New("down"), true},
		{errors.New("down"), false},
		{errors.New("broken"), true},
		{nil, false},
		{errors.New("broken"), true},
	} {
		trouble = c.trouble
		if err := o.Round(t.Context()); (err != nil) != (c.trouble != nil) {
			t.Errorf("the round tells %v of %v", err, c.trouble)
		}
		log := o.logged()
		if (log != "") != c.told {
			t.Errorf("of %v is logged: %q", c.trouble, log)
		}
		if c.told && (!strings.Contains(log, c.trouble.Error()) || !strings.Contains(log, events[0])) {
			t.Errorf("of %v is logged: %q", c.trouble, log)
		}
		o.later(time.Minute) // the claim's lease
	}
}

// setups is a gateway that knows how the saving of each card has ended.
type setups struct {
	gateway.Adapter
	gateway.Cards
	asked []string
}

func (*setups) Kind() gateway.Kind { return gateway.KindStripe }

func (g *setups) FetchSetup(_ context.Context, _ gateway.Account, reference string) gateway.CardResult {
	g.asked = append(g.asked, reference)
	return gateway.CardResult{
		Outcome:    gateway.Outcome{Status: gateway.StatusSucceeded},
		CustomerID: "cus_1", PaymentMethodID: "pm_1",
		Card: gateway.Card{Brand: "visa", Last4: "4242", ExpMonth: 12, ExpYear: 2040},
	}
}

// A card whose saving was begun, and of whose end no event tells, is asked
// after.
func TestCardsAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	stripe := &setups{}
	o.Gateways = gateway.NewDirectory(stripe)
	ctx, _ := o.organization(t, "one", 0)
	_, err := o.CreateProvider(ctx, billing.ProviderDraft{
		Name: "Stripe", Credentials: billing.Credentials{Kind: gateway.KindStripe, SecretKey: "sk_test_office", PublishableKey: "pk_test_office"},
	}, anyKeys{})
	if err != nil {
		t.Fatal(err)
	}
	payer, err := o.CreateDeveloper(ctx, billing.PayerDraft{Email: "ada@example.com", Name: "Ada", BillingMode: "PREPAID"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	begun, err := o.BeginCardSetup(ctx, billing.CardDraft{PayerID: payer})
	if err != nil {
		t.Fatal(err)
	}
	err = o.FinishCard(ctx, begun.ID, gateway.CardResult{
		Outcome:     gateway.Outcome{Status: gateway.StatusActionNeeded},
		ReferenceID: "seti_1", NextAction: gateway.NextAction{ClientSecret: "seti_secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Round(t.Context()); err != nil || len(stripe.asked) != 0 {
		t.Errorf("at once: asked for %v, %v", stripe.asked, err)
	}
	for range 2 {
		o.later(time.Hour)
		if err := o.Round(t.Context()); err != nil || !slices.Equal(stripe.asked, []string{"seti_1"}) {
			t.Errorf("asked for %v, %v", stripe.asked, err)
		}
	}
	card, err := o.Client().PaymentMethod.Query().Only(ctx)
	if err != nil || card.ID != begun.PaymentMethodID || card.Status != paymentmethod.StatusACTIVE || card.Last4 != "4242" {
		t.Errorf("%+v, %v", card, err)
	}
}

// The entries of an organization in which nothing else is due are sealed,
// those that an earlier server left over as well.
func TestEntriesAreSealed(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	ctx, _ := o.organization(t, "one", 0)
	issue := func() {
		t.Helper()
		payer, err := o.CreateDeveloper(ctx, billing.PayerDraft{Email: fmt.Sprint("ada", o.now().UnixNano(), "@example.com"), Name: "Ada", BillingMode: "PREPAID"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		amount, err := money.Parse("10", "USD")
		if err != nil {
			t.Fatal(err)
		}
		id, err := o.CreateInvoice(ctx, billing.InvoiceDraft{
			PayerID: payer, Collection: "SEND", Lines: []billing.LineDraft{{Description: "Setup", UnitAmount: &amount, Quantity: 1}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.BeginInvoiceFinalization(ctx, billing.InvoiceFinalizeDraft{ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	for _, what := range []string{"left over", "new", "newer"} {
		issue()
		if what == "left over" {
			o.later(30 * 24 * time.Hour)
		} else {
			o.later(time.Minute)
		}
		if err := o.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		report, err := o.Verify(ctx, billing.VerifyOptions{SealAge: time.Second})
		if err != nil || report.Seals == 0 || report.Unsealed != 0 {
			t.Errorf("%s: %d sealed, %d not, %v", what, report.Seals, report.Unsealed, err)
		}
	}
}
