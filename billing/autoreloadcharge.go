package billing

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/gatewaycall"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

const (
	// reloadCooldown is how long after a reload that succeeded the next one may
	// begin.
	reloadCooldown = time.Minute
	// reloadLater is when a reload is looked at again that something stands in
	// the way of which has nothing to do with its card.
	reloadLater = time.Hour
	// reloadUnreached is when a gateway that could not be reached is tried again.
	reloadUnreached = 5 * time.Minute
)

// Why automatic reload of a balance is suspended: it is not tried again before
// somebody has done something about it.
const (
	SuspendedNoCard         = "PAYMENT_METHOD_REQUIRED" // there is no card to charge
	SuspendedDeclined       = "CARD_DECLINED"           // for good, or too often
	SuspendedAuthentication = "AUTHENTICATION_REQUIRED" // the bank wants to see the payer
	SuspendedProvider       = "PROVIDER_ARCHIVED"       // it must be moved to another provider
	SuspendedRefused        = "PROVIDER_REFUSED"        // the gateway does not take the request
	SuspendedDispute        = "PAYMENT_DISPUTED"        // the bank has taken money back
)

// reloadAgainIn is when a card that was declined, but not for good, is tried
// again after so many declines; false when it is given up.
func reloadAgainIn(failures int) (time.Duration, bool) {
	schedule := []time.Duration{time.Hour, 6 * time.Hour, 24 * time.Hour}
	if failures > len(schedule) {
		return 0, false
	}
	return schedule[failures-1], true
}

// DueReloads lists balances of the viewer's organization that are to be
// reloaded, the longest waiting first.
func (s *Service) DueReloads(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Balance.Query().Where(reloadIsDue(s.now(ctx))).
		Order(ent.Asc(balance.FieldAutoReloadDueAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due reloads: %w", err)
	}
	return ids, nil
}

// BegunReload is what is to be asked of the gateway for a reload: a page on
// which the payer pays it, that a payment which waits for the payer be given
// up, or else a charge.
type BegunReload struct {
	PaymentID string
	*Call
	Request gateway.ChargeRequest
	Page    *gateway.HostedPaymentRequest
	Cancel  *gateway.CancelRequest
}

// BeginAutoReload stores what is next for the reload of a balance which is due:
// the charge of its card, or where that needs the payer, a page. nil when
// there is nothing to ask: it is not due any more, somebody else has begun, or
// something stands in the way, for which a later time or a suspension is noted
// instead. A charge and a page are finished by FinishPayment, the giving up of
// a payment by FinishReloadCancel.
func (s *Service) BeginAutoReload(ctx context.Context, balanceID string) (*BegunReload, error) {
	id, callID := s.newID(prefixPayment), s.newID(prefixCall)
	var out *BegunReload
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		b, err := tx.Balance.Query().Where(balance.ID(balanceID)).Only(ctx)
		if err != nil {
			return fmt.Errorf("read balance %s: %w", balanceID, err)
		}
		// A run before this one whose COMMIT was not answered has begun it.
		if done, err := tx.GatewayCall.Query().Where(gatewaycall.ID(callID)).Exist(ctx); err != nil || done {
			return wrapped(err, "look for an earlier run")
		}
		out = nil
		// Who closes a payer holds it before its balances: so does this.
		p, err := tx.payer(ctx, b.PayerID, "")
		if err != nil {
			return err
		}
		if err := tx.keepStatus(ctx, p); err != nil {
			return err
		}
		if b, err = tx.lockBalance(ctx, balanceID); err != nil {
			return err
		}
		if b.AutoReloadDueAt == nil || b.AutoReloadDueAt.After(tx.Now) {
			return nil
		}
		if b.AutoReloadPaymentID != nil {
			out, err = tx.beginReloadCancel(ctx, callID, b)
			return err
		}
		plan, err := tx.planReload(ctx, b, p)
		if err != nil {
			return err
		}
		if plan.card == nil && !plan.page {
			return tx.putOff(ctx, b, plan)
		}
		out, err = tx.beginReload(ctx, id, callID, b, p, plan)
		return err
	})
	if err != nil || out == nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, callID, callID)
	return out, err
}

// reloadPlan is what is to become of a reload that is due: a charge of the
// card, a page for the payer, a later look, a suspension, or with nothing set
// nothing at all.
type reloadPlan struct {
	provider *ent.Provider
	card     *ent.PaymentMethod
	page     bool
	amount   money.Amount
	later    time.Time
	suspend  string
}

func (tx *Tx) planReload(ctx context.Context, b *ent.Balance, p *ent.Payer) (reloadPlan, error) {
	r := b.AutoReload()
	if reloadDue(b, "", tx.Now) == nil || r == nil || b.AutoReloadPaymentID != nil || p.Status == payer.StatusCLOSED {
		return reloadPlan{}, nil
	}
	if needsPayer(b) && b.Remaining().Units >= r.Threshold.Units {
		return reloadPlan{}, nil // somebody has topped it up meanwhile
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return reloadPlan{}, err
	}
	c, err := tx.usableCurrency(ctx, b.Currency, "")
	var refusal *Error
	if err != nil && !errors.As(err, &refusal) {
		return reloadPlan{}, err
	}
	if refusal != nil || p.Status != payer.StatusACTIVE || o.Status != organization.StatusACTIVE {
		return reloadPlan{later: tx.Now.Add(reloadLater)}, nil
	}
	account, err := tx.Provider.Query().Where(provider.ID(r.ProviderID)).Only(ctx)
	if err != nil {
		return reloadPlan{}, fmt.Errorf("read provider %s: %w", r.ProviderID, err)
	}
	if account.Status != provider.StatusACTIVE {
		return reloadPlan{suspend: SuspendedProvider}, nil
	}
	plan := reloadPlan{provider: account, suspend: b.AutoReloadSuspendedReason}
	if plan.suspend == "" {
		if plan.card, err = tx.reloadCard(ctx, b); err != nil {
			return reloadPlan{}, err
		}
	}
	if plan.card == nil {
		// Without a card, or with one that the bank does not let through by
		// itself, the payer pays on a page.
		plan.page = true
		if plan.suspend == "" {
			plan.suspend = SuspendedNoCard
		}
	}
	least := c.MinimumTopUpUnits
	if m, known := gatewayMinimum(b.Currency, account.Kind); known && (least == nil || *least < m.Units) {
		least = &m.Units
	}
	units := reloadUnits(r, b.Remaining().Units, least)
	past, err := tx.pastReloads(ctx, b, o.TimeZone)
	if err != nil {
		return reloadPlan{}, err
	}
	units, later := past.room(r, units, least, tx.Now)
	if units == 0 {
		return reloadPlan{later: later}, nil
	}
	plan.amount = money.Amount{Units: units, Currency: b.Currency}
	return plan, nil
}

// reloadUnits is the smallest multiple of the reload's amount that lifts what
// remains to the threshold or above and that can be charged. Each of the terms
// is within ±10¹⁸, so that none of the sums overflows.
func reloadUnits(r *ent.AutoReload, remaining money.Units, least *money.Units) money.Units {
	gap := r.Threshold.Units - remaining
	if least != nil {
		gap = max(gap, *least)
	}
	return r.Amount.Units * timesIn(gap, r.Amount.Units)
}

// timesIn is how many times one is needed to reach all, once at least.
func timesIn(all, one money.Units) money.Units { return max(1, (all+one-1)/one) }

// pastReloads is what a balance was reloaded with before.
type pastReloads struct {
	today, thisMonth    money.Units
	tomorrow, nextMonth time.Time
	rested              time.Time // when the next one may begin
}

// room is how much of the units may be charged now, in multiples of the
// reload's amount; or, where nothing may, when it may be.
func (p pastReloads) room(r *ent.AutoReload, units money.Units, least *money.Units, now time.Time) (money.Units, time.Time) {
	if p.rested.After(now) {
		return 0, p.rested
	}
	one := r.Amount.Units
	smallest := one
	if least != nil {
		smallest = one * timesIn(*least, one)
	}
	day, month := r.DailyCap.Units-p.today, r.MonthlyCap.Units-p.thisMonth
	switch {
	case month < smallest:
		return 0, p.nextMonth
	case day < smallest:
		return 0, p.tomorrow
	}
	return min(units, min(day, month)/one*one), time.Time{}
}

// reloadsOnly keeps the payments that reloaded a balance, by a condition that
// stands in the statement as it stands in the index.
func reloadsOnly(s *entsql.Selector) { s.Where(entsql.ExprP("purpose = 'AUTO_RELOAD'")) }

// pastReloads sums what the balance was reloaded with, or may still be, in the
// running day and month of the organization's time zone.
func (tx *Tx) pastReloads(ctx context.Context, b *ent.Balance, zone string) (pastReloads, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return pastReloads{}, fmt.Errorf("time zone %q: %w", zone, err)
	}
	y, m, d := tx.Now.In(loc).Date()
	day, month := time.Date(y, m, d, 0, 0, 0, 0, loc), time.Date(y, m, 1, 0, 0, 0, 0, loc)
	out := pastReloads{
		tomorrow:  time.Date(y, m, d+1, 0, 0, 0, 0, loc).UTC(),
		nextMonth: time.Date(y, m+1, 1, 0, 0, 0, 0, loc).UTC(),
	}
	for _, s := range []struct {
		since time.Time
		sum   *money.Units
	}{{day, &out.today}, {month, &out.thisMonth}} {
		var sums []struct{ Sum sql.NullInt64 }
		err := tx.Payment.Query().
			Where(payment.BalanceID(b.ID), payment.CreatedAtGTE(s.since.UTC()), reloadsOnly,
				payment.StatusNotIn(payment.StatusFAILED, payment.StatusCANCELED)).
			Aggregate(ent.As(ent.Sum(payment.FieldAmountUnits), "sum")).Scan(ctx, &sums)
		if err != nil {
			return out, fmt.Errorf("sum reloads of balance %s: %w", b.ID, err)
		}
		if len(sums) > 0 {
			*s.sum = money.Units(sums[0].Sum.Int64)
		}
	}
	last, err := tx.Payment.Query().
		Where(payment.BalanceID(b.ID), payment.CreatedAtGTE(tx.Now.Add(-reloadCooldown)), reloadsOnly, payment.StatusEQ(payment.StatusSUCCEEDED)).
		Order(ent.Desc(payment.FieldCreatedAt)).First(ctx)
	switch {
	case err == nil:
		out.rested = last.CreatedAt.Add(reloadCooldown)
	case !ent.IsNotFound(err):
		return out, fmt.Errorf("read last reload of balance %s: %w", b.ID, err)
	}
	return out, nil
}

// putOff writes of a reload that is due, and that nothing is charged for, when
// it is looked at again, or why it is not.
func (tx *Tx) putOff(ctx context.Context, b *ent.Balance, plan reloadPlan) error {
	after := *b
	after.AutoReloadDueAt = nil
	switch {
	case plan.suspend != "":
		after.AutoReloadSuspendedReason = plan.suspend
		if err := tx.tellSuspended(ctx, b, plan.suspend, nil, ""); err != nil {
			return err
		}
	case !plan.later.IsZero():
		after.AutoReloadDueAt = &plan.later
	case needsPayer(b):
		after.AutoReloadSuspendedReason = "" // the next turn asks anew
	}
	return tx.writeBalance(ctx, b, &after, "")
}

func (tx *Tx) beginReload(ctx context.Context, id, callID string, b *ent.Balance, p *ent.Payer, plan reloadPlan) (*BegunReload, error) {
	row, err := tx.createPayment(ctx, paymentStart{
		id: id, callID: callID, purpose: payment.PurposeAUTO_RELOAD, status: payment.StatusPROCESSING,
		payer: p, provider: plan.provider, balance: b, card: plan.card,
		draft: ent.Payment{Currency: plan.amount.Currency, AmountUnits: plan.amount.Units, Recurring: !plan.page, SaveCard: plan.page},
	})
	if err != nil {
		return nil, err
	}
	after := *b
	after.AutoReloadPaymentID, after.AutoReloadSuspendedReason, after.AutoReloadDueAt = &id, plan.suspend, nil
	if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
		return nil, err
	}
	if plan.page {
		return tx.beginReloadPage(ctx, callID, p, row)
	}
	out := &BegunReload{PaymentID: id, Request: gateway.ChargeRequest{
		CustomerID: orEmpty(plan.card.GatewayCustomerID), PaymentMethodID: orEmpty(plan.card.GatewayID),
		SchemeReference: plan.card.SchemeReference,
		Amount:          plan.amount, OrderCode: row.OrderCode, Description: "Automatic reload " + plan.amount.String(),
		OffSession: true,
	}}
	return out, tx.openCall(ctx, callID, plan.provider.ID, gatewaycall.OperationCHARGE, id, out.Request)
}

// settleReload notes on its balance how a reload has ended, or that it waits
// for the payer, in the transaction that moves the payment on and before its
// money is booked: whether the next one is due is decided by what it leaves.
func (tx *Tx) settleReload(ctx context.Context, p *ent.Payment, to payment.Status, r gateway.PaymentResult) error {
	b, err := tx.lockBalance(ctx, orEmpty(p.BalanceID))
	if err != nil {
		return err
	}
	if orEmpty(b.AutoReloadPaymentID) != p.ID {
		return nil // given up before; its money is booked all the same
	}
	if to == payment.StatusREQUIRES_ACTION {
		return tx.reloadNeedsPayer(ctx, b, p, r)
	}
	after := *b
	after.AutoReloadPaymentID = nil
	switch {
	case to == payment.StatusSUCCEEDED:
		after.AutoReloadFailures = 0
		if needsPayer(b) {
			after.AutoReloadSuspendedReason = ""
		}
	case to == payment.StatusCANCELED && b.AutoReloadEnabled && (b.AutoReloadSuspendedReason == "" || p.ActionURL == "" && needsPayer(b)):
		// Given up for what follows: another card, or a page. A page that was
		// closed is followed by nothing.
		after.AutoReloadDueAt = &tx.Now
	case !b.AutoReloadEnabled || b.AutoReloadSuspendedReason != "":
	case r.Status == gateway.StatusUnavailable:
		again := tx.Now.Add(reloadUnreached) // nobody has said no
		after.AutoReloadDueAt = &again
	default:
		if err := tx.reloadFailed(ctx, &after, p, r); err != nil {
			return err
		}
	}
	return tx.writeBalance(ctx, b, &after, "")
}

// reloadFailed decides whether a reload that failed is tried again, and puts
// that into the balance.
func (tx *Tx) reloadFailed(ctx context.Context, b *ent.Balance, p *ent.Payment, r gateway.PaymentResult) error {
	b.AutoReloadFailures++
	again, more := reloadAgainIn(b.AutoReloadFailures)
	reason := SuspendedDeclined
	if r.Status == gateway.StatusRejected {
		reason = SuspendedRefused
		// The keys are the organization's to put right; anything else stays
		// refused however often it is asked.
		more = more && r.Failure != nil && r.Failure.Credentials
	}
	if more && (r.Failure == nil || !r.Failure.Final) {
		next := tx.Now.Add(again)
		b.AutoReloadDueAt = &next
		return tx.tellReloadFailed(ctx, b, p, r, next)
	}
	b.AutoReloadSuspendedReason = reason
	return tx.tellSuspended(ctx, b, reason, p, failureMessage(r.Failure))
}

// suspendReload suspends the automatic reload of a balance, if it has one.
func (tx *Tx) suspendReload(ctx context.Context, balanceID, reason string) error {
	b, err := tx.lockBalance(ctx, balanceID)
	if err != nil || !b.AutoReloadEnabled || b.AutoReloadSuspendedReason != "" {
		return err
	}
	if err := tx.tellSuspended(ctx, b, reason, nil, ""); err != nil {
		return err
	}
	after := *b
	after.AutoReloadSuspendedReason, after.AutoReloadDueAt = reason, nil
	return tx.writeBalance(ctx, b, &after, "")
}

// reloadSuspended is what is told of an automatic reload that stopped.
type reloadSuspended struct {
	BalanceID string `json:"balanceId"`
	PayerID   string `json:"payerId"`
	Reason    string `json:"reason"`
	PaymentID string `json:"paymentId,omitempty"`
	// PayURL is where the payer sees the payment and can go on with it.
	PayURL string `json:"payUrl,omitempty"`
}

// noticeReloadSuspended is the kind of the notice.
const noticeReloadSuspended = "auto_reload.suspended"

// tellSuspended puts the notice of a suspension into the outbox, and a mail to
// the payer. p is the payment that led to it, nil where none did; why is what
// the bank said.
func (tx *Tx) tellSuspended(ctx context.Context, b *ent.Balance, reason string, p *ent.Payment, why string) error {
	n := reloadSuspended{BalanceID: b.ID, PayerID: b.PayerID, Reason: reason}
	if p != nil {
		o, err := tx.tenant(ctx)
		if err != nil {
			return err
		}
		n.PaymentID, n.PayURL = p.ID, tx.s.publicLink("thanks", o.Slug, p.PublicToken)
	}
	if err := tx.notice(ctx, noticeReloadSuspended, b.ID, n); err != nil {
		return err
	}
	return tx.tellReloadStopped(ctx, n, p, why)
}
