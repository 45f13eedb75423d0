package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/outbox"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
)

// The caps bound what is charged by the organization's own days and months,
// whatever is used; none of them is ever without a bound.
func TestReloadCaps(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetTimeZone("America/New_York") })
		s.card(t)
		s.reloading(t, nil)
		if r := s.row(t).AutoReload(); r.DailyCap != usd(t, "100") || r.MonthlyCap != usd(t, "500") {
			t.Fatalf("caps by default %+v", r)
		}
		s.reloading(t, func(d *AutoReloadDraft) { d.DailyCap, d.MonthlyCap = ptr(usd(t, "40")), ptr(usd(t, "60")) })
		s.spend(t, "100")
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "40") {
			t.Fatalf("charged %s", p.Amount())
		}
		s.clock.Advance(reloadCooldown)
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("above the day's cap: %+v, %v", begun, err)
		}
		midnight := time.Date(2026, time.March, 11, 4, 0, 0, 0, time.UTC) // in New York
		if b := s.row(t); !b.AutoReloadDueAt.Equal(midnight) {
			t.Fatalf("due at %s", b.AutoReloadDueAt)
		}
		s.clock.Set(midnight)
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "20") {
			t.Fatalf("charged %s, 20 are left of the month", p.Amount())
		}
		s.clock.Advance(reloadCooldown)
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("above the month's cap: %+v, %v", begun, err)
		}
		april := time.Date(2026, time.April, 1, 4, 0, 0, 0, time.UTC)
		if b := s.row(t); !b.AutoReloadDueAt.Equal(april) {
			t.Fatalf("due at %s", b.AutoReloadDueAt)
		}
		s.clock.Set(april)
		if p := s.reloaded(t, gateway.StatusDeclined, nil); p.Amount() != usd(t, "40") {
			t.Fatalf("charged %s", p.Amount())
		}
		s.clock.Advance(time.Hour)
		// What was declined has used nothing up.
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "40") {
			t.Fatalf("charged %s", p.Amount())
		}
	})
}

// After a reload the next one waits.
func TestReloadCooldown(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		s.reloaded(t, gateway.StatusSucceeded, nil)
		at := s.clock.Now()
		s.clock.Advance(time.Second)
		s.spend(t, "10")
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("at once: %+v, %v", begun, err)
		}
		if due := s.row(t).AutoReloadDueAt; !due.Equal(at.Add(reloadCooldown)) {
			t.Fatalf("due at %s", due)
		}
		s.clock.Set(at.Add(reloadCooldown))
		s.reloaded(t, gateway.StatusSucceeded, nil)
	})
}

// A card that is declined is tried again after 1 h, 6 h and 24 h, and then no
// more; a new default card is tried at once.
func TestSoftDeclines(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		for n, wait := range []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour} {
			if p := s.reloaded(t, gateway.StatusDeclined, nil); p.Status != payment.StatusFAILED {
				t.Fatalf("payment %+v", p)
			}
			if b := s.row(t); b.AutoReloadFailures != n+1 || !b.AutoReloadDueAt.Equal(s.clock.Now().Add(wait)) || b.AutoReloadPaymentID != nil {
				t.Fatalf("after %d declines: %+v", n+1, b)
			}
			s.spend(t, "0.01") // does not bring it forward
			s.notDue(t)
			s.clock.Advance(wait)
		}
		p := s.reloaded(t, gateway.StatusDeclined, nil)
		s.suspendedFor(t, SuspendedDeclined)
		s.spend(t, "1")
		s.notDue(t)
		n := s.told(t, 1)
		if n.Reason != SuspendedDeclined || n.PaymentID != p.ID || n.PayURL != "http://purser.test/thanks/demo/"+p.PublicToken {
			t.Errorf("told %+v", n)
		}
		s.card(t)
		s.suspendedFor(t, "")
		s.reloaded(t, gateway.StatusSucceeded, nil)
		if b := s.row(t); b.AutoReloadFailures != 0 {
			t.Errorf("%d failures are remembered", b.AutoReloadFailures)
		}
	})
}

// told is the newest of so many notices.
func (s *sale) told(t testing.TB, count int) reloadSuspended {
	t.Helper()
	rows, err := s.Client().Outbox.Query().Where(outbox.Kind(noticeReloadSuspended)).Order(ent.Asc(outbox.FieldID)).All(s.ctx)
	if err != nil || len(rows) != count {
		t.Fatalf("%d notices, want %d, %v", len(rows), count, err)
	}
	var n reloadSuspended
	if err := json.Unmarshal(rows[count-1].Payload, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// What stands in the way of a reload for good, or until somebody does
// something, suspends it with the reason; the same charge is not tried again.
func TestSuspensions(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		other := s.newKind(t, provider.KindSTRIPE)
		for name, c := range map[string]struct {
			status gateway.Status
			change func(*gateway.PaymentResult)
			before func() // the reload begins
			reason string
		}{
			"a final decline": {status: gateway.StatusDeclined, reason: SuspendedDeclined, change: func(r *gateway.PaymentResult) { r.Failure.Final = true }},
			"a refusal":       {status: gateway.StatusRejected, reason: SuspendedRefused},
			"archived": {reason: SuspendedProvider, before: func() {
				s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
					return tx.Provider.Update().Where(provider.ID(s.provider)).SetStatus(provider.StatusARCHIVED).Exec(ctx)
				})
			}},
		} {
			t.Run(name, func(t *testing.T) {
				s.payer = s.newPayer(t, payer.BillingModePREPAID)
				s.provider, other = other, s.provider
				s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
				s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
					return tx.Provider.Update().SetStatus(provider.StatusACTIVE).Where(provider.StatusEQ(provider.StatusARCHIVED)).Exec(ctx)
				})
				s.card(t)
				s.reloading(t, nil)
				s.spend(t, "1")
				if c.before != nil {
					c.before()
					if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
						t.Fatalf("begun %+v, %v", begun, err)
					}
				} else {
					s.reloaded(t, c.status, c.change)
				}
				s.suspendedFor(t, c.reason)
				s.spend(t, "1")
				s.clock.Advance(48 * time.Hour)
				s.notDue(t)
			})
		}
	})
}

// A gateway that cannot be reached, and keys that it does not take, are nobody's
// decline.
func TestReloadWaitsForTheGateway(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		s.reloaded(t, gateway.StatusUnavailable, nil)
		if b := s.row(t); b.AutoReloadFailures != 0 || !b.AutoReloadDueAt.Equal(s.clock.Now().Add(reloadUnreached)) {
			t.Fatalf("unreached: %+v", b)
		}
		s.clock.Advance(reloadUnreached)
		s.reloaded(t, gateway.StatusRejected, func(r *gateway.PaymentResult) { r.Failure.Credentials = true })
		if b := s.row(t); b.AutoReloadSuspendedReason != "" || !b.AutoReloadDueAt.Equal(s.clock.Now().Add(time.Hour)) {
			t.Fatalf("wrong keys: %+v", b)
		}
		s.clock.Advance(time.Hour)
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusSUSPENDED) })
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("of a suspended payer: %+v, %v", begun, err)
		}
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusACTIVE) })
		s.clock.Advance(reloadLater)
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetStatus(currency.StatusINACTIVE).Exec(ctx)
		})
		if begun, err := s.BeginAutoReload(s.ctx, s.row(t).ID); err != nil || begun != nil {
			t.Fatalf("in a currency that is not sold: %+v, %v", begun, err)
		}
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetStatus(currency.StatusACTIVE).Exec(ctx)
		})
		s.clock.Advance(reloadLater)
		s.reloaded(t, gateway.StatusSucceeded, nil)
	})
}

// An outcome that nobody knows stays in flight, whatever is used meanwhile,
// until the gateway is asked; then its money is there once.
func TestUnknownReloadStaysInFlight(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		begun := s.begin(t)
		if err := s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusUnknown)}); err != nil {
			t.Fatal(err)
		}
		s.spend(t, "30")
		s.reloading(t, nil) // nor does setting it up again
		s.notDue(t)
		if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusPROCESSING || orEmpty(s.row(t).AutoReloadPaymentID) != p.ID {
			t.Fatalf("payment %+v", p)
		}
		due := s.resumed(t, begun.ID)
		for range 2 {
			if err := s.FinishPayment(s.ctx, due.ID, paymentAt(gateway.StatusSucceeded, "pi_1", usd(t, "10"))); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.remaining(t, "USD"); got != usd(t, "-21") {
			t.Fatalf("remaining %s", got)
		}
		s.clock.Advance(reloadCooldown)
		if p := s.reloaded(t, gateway.StatusSucceeded, nil); p.Amount() != usd(t, "30") {
			t.Errorf("the next one is of %s", p.Amount())
		}
	})
}

// A payment that was given up and succeeds after all is credited, and leaves
// the one that has taken its place alone.
func TestLateSuccessOfAReload(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reloading(t, nil)
		s.spend(t, "1")
		first := s.reloaded(t, gateway.StatusDeclined, nil)
		s.clock.Advance(time.Hour)
		second := s.begin(t)
		if err := s.ApplyPayment(s.ctx, first.ID, paymentAt(gateway.StatusSucceeded, orEmpty(first.GatewayPaymentID), usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		if b := s.row(t); orEmpty(b.AutoReloadPaymentID) != second.PaymentID || b.Remaining() != usd(t, "9") {
			t.Errorf("balance %+v", b)
		}
		if err := s.FinishPayment(s.ctx, second.ID, paymentAt(gateway.StatusSucceeded, "pi_second", usd(t, "10"))); err != nil {
			t.Fatal(err)
		}
		if got := s.remaining(t, "USD"); got != usd(t, "19") {
			t.Errorf("remaining %s", got)
		}
	})
}

// Two servers find the same balance due, many times over, while it is used:
// each reload is begun by one of them, and the balance is what the entries say.
func TestReloadsByTwoServers(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		s.reload(t, s.payer.ID, usd(t, "30"))
		s.reloading(t, func(d *AutoReloadDraft) { d.DailyCap, d.MonthlyCap = ptr(usd(t, "1000")), ptr(usd(t, "1000")) })
		id := s.row(t).ID
		other := New(Config{DB: s.db, Sealer: s.sealer, Logger: s.log, Now: s.clock.Now, PublicURL: "http://purser.test"})
		for round := range 8 {
			s.spend(t, fmt.Sprintf("%d", 20+round))
			var mu sync.Mutex
			var begun []*BegunReload
			var wg sync.WaitGroup
			for n := range 8 {
				server := []*Service{s.Service, other}[n%2]
				wg.Go(func() {
					c, err := server.BeginAutoReload(s.ctx, id)
					if err != nil {
						t.Error(err)
					}
					if c != nil {
						mu.Lock()
						begun = append(begun, c)
						mu.Unlock()
					}
				})
				wg.Go(func() {
					_, err := server.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: usd(t, "0.01"), OnInsufficient: OnInsufficientRecord, Key: ptr(s.newID("key"))})
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(begun) > 1 {
				t.Fatalf("round %d: %d charges at once", round, len(begun))
			}
			if len(begun) == 0 {
				continue // the cooldown, or the one before sufficed
			}
			for n := range 4 { // reply, event, return and resumption
				server := []*Service{s.Service, other}[n%2]
				wg.Go(func() {
					err := server.FinishPayment(s.ctx, begun[0].ID, paymentAt(gateway.StatusSucceeded, fmt.Sprint("pi_", round), begun[0].Request.Amount))
					if err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			s.clock.Advance(reloadCooldown)
		}
		n, err := s.Client().Payment.Query().Where(payment.PurposeEQ(payment.PurposeAUTO_RELOAD)).Count(s.ctx)
		if b := s.row(t); err != nil || n < 7 || b.Remaining().Units < usd(t, "-30").Units || b.AutoReloadPaymentID != nil {
			t.Errorf("%d reloads, balance %+v, %v", n, b, err)
		}
	})
}
