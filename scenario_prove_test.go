package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/migrations"
	"purser/money"
	worldpaysandbox "purser/sandbox/worldpay"
)

// proveMax is how long the books may lag behind the gateway when a story is
// over: its last events are still on their way.
const proveMax = 10 * time.Second

// prove compares the books with themselves and with the gateway's: every
// charge that succeeded there is one payment here, and the clearing accounts
// hold their sum.
func (s *stage) prove() error {
	deadline := time.Now().Add(proveMax)
	for pause := untilPause; ; pause = min(2*pause, untilPauseMax) {
		err := s.agrees()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			return err
		}
		s.jobs.Wake()
		select {
		case <-s.t.Context().Done():
			return context.Cause(s.t.Context())
		case <-time.After(pause):
		}
	}
	_, err := s.domain.VerifyAll(auth.AllTenants(s.t.Context(), "verify"), billing.VerifyOptions{})
	if err != nil {
		return fmt.Errorf("the books do not agree with themselves: %w", err)
	}
	return nil
}

// agrees compares the gateway's charges with our payments and entries.
func (s *stage) agrees() error {
	state, err := s.gateway.state(s.t.Context())
	if err != nil {
		return err
	}
	ctx := auth.Internal(s.t.Context(), "verify", s.organizationID())
	sums := map[string]money.Units{}
	var charged []string
	for _, c := range state.Charges {
		if c.Status != "succeeded" {
			continue
		}
		sums[strings.ToUpper(c.Currency)] += money.Units(c.Amount-c.AmountRefunded) * money.UnitsPerMinor
		charged = append(charged, c.PaymentIntent)
	}
	other, err := s.worldpay.Inspect(s.t.Context(), worldpaysandbox.DemoMerchant().Code)
	if err != nil {
		return err
	}
	for _, o := range other.Orders {
		left, paid := left(o)
		if !paid {
			continue
		}
		sums[o.Amount.Currency] += money.Units(left) * money.UnitsPerMinor
		charged = append(charged, o.Code)
	}
	for _, d := range state.Disputes {
		switch d.Status {
		case "needs_response", "under_review", "lost":
			sums[strings.ToUpper(d.Currency)] -= money.Units(d.Amount) * money.UnitsPerMinor
		}
	}
	slices.Sort(charged)
	if twice := slices.Compact(slices.Clone(charged)); len(twice) != len(charged) {
		return fmt.Errorf("the gateway has charged a payment twice: %v", charged)
	}
	payments, err := s.domain.Client().Payment.Query().
		Where(payment.StatusEQ(payment.StatusSUCCEEDED), payment.GatewayPaymentIDNotNil()).All(ctx)
	if err != nil {
		return err
	}
	var paid []string
	for _, p := range payments {
		paid = append(paid, *p.GatewayPaymentID)
		if p.Purpose == payment.PurposeTEST { // for nobody, and not booked
			sums[p.Currency] -= p.AmountUnits - p.RefundedUnits
		}
	}
	slices.Sort(paid)
	if !slices.Equal(charged, paid) {
		return fmt.Errorf("the gateway has charged %v, we know of %v", charged, paid)
	}
	entries, err := s.domain.Client().LedgerEntry.Query().Where(ledgerentry.KindNotIn(ledgerentry.KindFEE, ledgerentry.KindPAYOUT), ledgerentry.Or(
		ledgerentry.DebitAccountHasPrefix("clearing:"), ledgerentry.CreditAccountHasPrefix("clearing:"))).All(ctx)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.DebitAccount, "clearing:") {
			sums[e.Currency] -= e.AmountUnits
		} else {
			sums[e.Currency] += e.AmountUnits
		}
	}
	var problems []error
	for currency, difference := range sums {
		if difference != 0 {
			problems = append(problems, fmt.Errorf("the gateway's charges and our clearing entries differ by %d units of %s", difference, currency))
		}
	}
	return errors.Join(problems...)
}

// left is what Worldpay still has of a payment that it vouched for: nothing of
// one that was refused or canceled after all.
func left(o worldpaysandbox.Order) (minor int64, paid bool) {
	for _, e := range o.Journal {
		paid = paid || e.Type == "AUTHORISED"
	}
	if !paid || o.Payment.Authorised == 0 || o.Payment.LastEvent == "CANCELLED" {
		return 0, paid
	}
	minor = o.Amount.Value - o.Payment.ChargedBack
	for _, r := range o.Payment.Refunds {
		if r.State == "REFUNDED" || r.State == "REFUNDED_BY_MERCHANT" {
			minor -= r.Amount
		}
	}
	return minor, true
}

func (s *stage) organizationID() string {
	ctx, err := s.domain.Inside(s.t.Context(), "verify", s.known["organization"])
	if err != nil {
		s.t.Fatal(err)
	}
	return auth.FromContext(ctx).OrganizationID
}

// rows counts the rows of all tenant tables, for questions after which there
// must be no more; what jobs and gateways write meanwhile does not count.
func (s *stage) rows(a asked) (string, error) {
	if !a.writesNothing {
		return "", nil
	}
	tables, err := migrations.TenantTables()
	if err != nil {
		return "", err
	}
	slices.Sort(tables)
	var out []string
	for _, table := range tables {
		switch table {
		case "gateway_events", "ledger_seals", "access_tokens":
			continue
		}
		var n int
		if err := s.db.Read.QueryRowContext(auth.AllTenants(s.t.Context(), "verify"), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			return "", fmt.Errorf("count %s: %w", table, err)
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%s %d", table, n))
		}
	}
	return strings.Join(out, ", "), nil
}
