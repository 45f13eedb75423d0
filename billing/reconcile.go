package billing

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"purser/ent"
	"purser/ent/dispute"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/ent/refund"
	"purser/gateway"
	"purser/money"
)

// Reconciliation compares a day of a merchant account, as its gateway tells it,
// with what is written here (spec.md row B10). The front door asks the gateway
// between BeginReconcile and FinishReconcile.

const (
	// exceptionsMax bounds what a report lists.
	exceptionsMax = 500
	// reconcileSlack is how much more than the day both sides are read: what
	// happened at the gateway shortly before midnight is written here after it.
	reconcileSlack = 24 * time.Hour
)

// ReconcileDay is what a gateway is asked about.
type ReconcileDay struct {
	ProviderID string
	Date       string
	// From and To are the day itself; the gateway is asked from AskFrom to AskTo.
	From, To, AskFrom, AskTo time.Time
	Account                  gateway.Account
	// Known is what is written here of the day, for a gateway without a list.
	Known []gateway.Movement
	Book  bool
}

// ReconcileProblem is what is wrong with a movement.
type ReconcileProblem string

// What may be wrong.
const (
	ProblemMissingHere      ReconcileProblem = "MISSING_HERE"
	ProblemMissingAtGateway ReconcileProblem = "MISSING_AT_GATEWAY"
	ProblemDifferent        ReconcileProblem = "DIFFERENT"
)

// ReconcileException is a movement that is not the same on both sides.
type ReconcileException struct {
	Kind         gateway.MovementKind
	Problem      ReconcileProblem
	GatewayID    string
	PaymentID    string
	Ours, Theirs *money.Amount
	Message      string
}

// ReconcileReport is what a comparison has found.
type ReconcileReport struct {
	ReconcileDay
	Asked      bool
	Agreed     int
	Booked     int
	Exceptions []ReconcileException
	Complete   bool
}

// BeginReconcile reads what is written here of a day of a merchant account. A
// day that has not begun is refused.
//
// Codes: NOT_FOUND, INVALID.
func (s *Service) BeginReconcile(ctx context.Context, providerID, date string, book bool) (*ReconcileDay, error) {
	p, err := s.read.Provider.Query().Where(provider.ID(providerID)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "providerId", "provider", providerID)
	}
	o, err := s.read.Organization.Query().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", o.TimeZone, err)
	}
	day, err := time.ParseInLocation(time.DateOnly, date, zone)
	if err != nil {
		return nil, refuse(CodeInvalid, "date", "give a day such as 2026-03-10")
	}
	d := &ReconcileDay{ProviderID: p.ID, Date: date, From: day.UTC(), To: day.AddDate(0, 0, 1).UTC(), Book: book}
	if d.From.After(s.now(ctx)) {
		return nil, refuse(CodeInvalid, "date", "the day has not begun yet")
	}
	d.AskFrom, d.AskTo = d.From.Add(-reconcileSlack), d.To.Add(reconcileSlack)
	if d.Account, err = s.OpenAccount(ctx, p.ID); err != nil {
		return nil, err
	}
	ours, err := s.movementsOfDay(ctx, d)
	if err != nil {
		return nil, err
	}
	for _, m := range ours {
		if m.Kind == gateway.MovementPayment || m.Kind == gateway.MovementRefund {
			d.Known = append(d.Known, m.Movement)
		}
	}
	return d, nil
}

// ownMovement is a movement as it is written here.
type ownMovement struct {
	gateway.Movement
	paymentID string
}

// movementsOfDay reads what is written here of the day.
func (s *Service) movementsOfDay(ctx context.Context, d *ReconcileDay) ([]ownMovement, error) {
	var all []ownMovement
	paid, err := s.read.Payment.Query().Where(payment.ProviderID(d.ProviderID), payment.StatusEQ(payment.StatusSUCCEEDED), payment.RefusedAtIsNil(),
		payment.SettledAtGTE(d.From), payment.SettledAtLT(d.To)).Order(ent.Asc(payment.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payments of the day: %w", err)
	}
	for _, p := range paid {
		all = append(all, ownMovement{gateway.Movement{Kind: gateway.MovementPayment, ID: orEmpty(p.GatewayPaymentID), Amount: p.Amount(), At: *p.SettledAt}, p.ID})
	}
	back, err := s.read.Refund.Query().Where(refund.CreatedAtGTE(d.From), refund.CreatedAtLT(d.To), refund.GatewayRefundIDNotNil(),
		refund.StatusNEQ(refund.StatusFAILED)).Order(ent.Asc(refund.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read refunds of the day: %w", err)
	}
	contested, err := s.read.Dispute.Query().Where(dispute.CreatedAtGTE(d.From), dispute.CreatedAtLT(d.To),
		dispute.StatusNEQ(dispute.StatusWARNING)).Order(ent.Asc(dispute.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read disputes of the day: %w", err)
	}
	of := map[string]*ent.Payment{}
	var ids []string
	for _, r := range back {
		ids = append(ids, r.PaymentID)
	}
	for _, x := range contested {
		ids = append(ids, x.PaymentID)
	}
	rows, err := s.read.Payment.Query().Where(payment.IDIn(ids...), payment.ProviderID(d.ProviderID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the payments of refunds and disputes: %w", err)
	}
	for _, p := range rows {
		of[p.ID] = p
	}
	for _, r := range back {
		if p := of[r.PaymentID]; p != nil {
			all = append(all, ownMovement{gateway.Movement{
				Kind: gateway.MovementRefund, ID: orEmpty(r.GatewayRefundID), PaymentID: orEmpty(p.GatewayPaymentID), Amount: r.Amount(), At: r.CreatedAt,
			}, p.ID})
		}
	}
	taken, err := s.takenOn(ctx, d, contested)
	if err != nil {
		return nil, err
	}
	for _, x := range contested {
		if p := of[x.PaymentID]; p != nil && taken[x.ID] {
			all = append(all, ownMovement{gateway.Movement{
				Kind: gateway.MovementDispute, ID: x.GatewayDisputeID, PaymentID: orEmpty(p.GatewayPaymentID), Amount: x.Amount(), At: x.CreatedAt,
			}, p.ID})
		}
	}
	kept, err := s.keptOn(ctx, d)
	return append(all, kept...), err
}

// keptOn reads the fees and payouts that earlier comparisons have booked of the
// day. They stand under the gateway's own time.
func (s *Service) keptOn(ctx context.Context, d *ReconcileDay) ([]ownMovement, error) {
	rows, err := s.read.LedgerEntry.Query().
		Where(ledgerentry.ProviderID(d.ProviderID), ledgerentry.KindIn(ledgerentry.KindFEE, ledgerentry.KindPAYOUT),
			ledgerentry.EffectiveAtGTE(d.From), ledgerentry.EffectiveAtLT(d.To)).
		Order(ent.Asc(ledgerentry.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read fees and payouts of the day: %w", err)
	}
	all := make([]ownMovement, 0, len(rows))
	for _, e := range rows {
		m := gateway.Movement{Kind: gateway.MovementFee, Amount: e.Amount(), At: e.EffectiveAt}
		if e.Kind == ledgerentry.KindPAYOUT {
			m.Kind = gateway.MovementPayout
		}
		m.ID, m.Reversed = strings.CutSuffix(strings.TrimPrefix(orEmpty(e.CauseKey), movementCause(d.ProviderID, gateway.Movement{Kind: m.Kind})), causeReversed)
		all = append(all, ownMovement{Movement: m})
	}
	return all, nil
}

// takenOn says of which disputes the money was booked on the day: a warning may
// come to nothing, or to more on another day.
func (s *Service) takenOn(ctx context.Context, d *ReconcileDay, contested []*ent.Dispute) (map[string]bool, error) {
	causes := make([]string, len(contested))
	for i, x := range contested {
		causes[i] = disputeCause(d.ProviderID, x.GatewayDisputeID)
	}
	booked, err := s.read.LedgerEntry.Query().
		Where(ledgerentry.CauseKeyIn(causes...), ledgerentry.BookedAtGTE(d.From), ledgerentry.BookedAtLT(d.To)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what disputes have taken: %w", err)
	}
	taken := map[string]bool{}
	for _, e := range booked {
		taken[orEmpty(e.DisputeID)] = true
	}
	return taken, nil
}

// FinishReconcile compares what the gateway has said with what is written here,
// and with Book writes the fees and payouts that are missing. The refusal says
// that the gateway could not be asked.
//
// Codes: PROVIDER_UNAVAILABLE, PROVIDER_REFUSED, PROVIDER_UNSUPPORTED.
func (s *Service) FinishReconcile(ctx context.Context, d *ReconcileDay, r gateway.MovementsResult) (*ReconcileReport, error) {
	switch {
	case r.Status == gateway.StatusUnknown || r.Status == gateway.StatusUnavailable:
		return nil, refuse(CodeProviderUnavailable, "providerId", "the gateway cannot be asked now: try again later")
	case r.Status != gateway.StatusSucceeded:
		return nil, callRefusal("providerId", r.Outcome)
	}
	report := &ReconcileReport{ReconcileDay: *d, Asked: r.Asked, Complete: r.Complete}
	for _, m := range r.Movements {
		if m.At.Before(d.From) || !m.At.Before(d.To) {
			continue
		}
		if err := s.compareTheirs(ctx, report, m); err != nil {
			return nil, err
		}
	}
	ours, err := s.movementsOfDay(ctx, d)
	if err != nil {
		return nil, err
	}
	type name struct {
		kind     gateway.MovementKind
		id       string
		reversed bool
	}
	nameOf := func(m gateway.Movement) name {
		// A fee or a payout that came back is booked by itself; a refund and a
		// dispute are one row here, whatever became of them.
		return name{m.Kind, m.ID, m.Reversed && (m.Kind == gateway.MovementFee || m.Kind == gateway.MovementPayout)}
	}
	theirs := make(map[name]bool, len(r.Movements))
	for _, m := range r.Movements {
		theirs[nameOf(m)] = true
	}
	for _, m := range r.Unasked {
		theirs[nameOf(m)] = true // perhaps
	}
	for _, m := range ours {
		// What was not read, or nobody could be asked for, is not missing.
		askedFor := m.Kind == gateway.MovementPayment || m.Kind == gateway.MovementRefund
		if theirs[nameOf(m.Movement)] || !r.Asked && !r.Complete || r.Asked && !askedFor {
			continue
		}
		amount := m.Amount
		report.add(ReconcileException{
			Kind: m.Kind, Problem: ProblemMissingAtGateway, GatewayID: m.ID, PaymentID: m.paymentID, Ours: &amount,
			Message: fmt.Sprintf("%s is written here; the gateway does not know of it, or has not taken it", m.ID),
		})
	}
	slices.SortStableFunc(report.Exceptions, func(a, b ReconcileException) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.GatewayID, b.GatewayID))
	})
	return report, nil
}

func (r *ReconcileReport) add(e ReconcileException) {
	if len(r.Exceptions) == exceptionsMax {
		r.Complete = false
		return
	}
	r.Exceptions = append(r.Exceptions, e)
}

// compareTheirs compares one movement of the gateway's with what is written
// here, whenever that was.
func (s *Service) compareTheirs(ctx context.Context, report *ReconcileReport, m gateway.Movement) error {
	own, err := s.ownOf(ctx, report.ProviderID, m)
	if err != nil {
		return err
	}
	theirs := m.Amount
	e := ReconcileException{Kind: m.Kind, GatewayID: m.ID, Theirs: &theirs}
	switch {
	case own == nil && report.Book && (m.Kind == gateway.MovementFee || m.Kind == gateway.MovementPayout):
		if err := s.bookMovement(ctx, report.ProviderID, m); err != nil {
			return err
		}
		report.Booked++
		return nil
	case own == nil:
		e.Problem, e.Message = ProblemMissingHere, fmt.Sprintf("the gateway has %s of %s, which is not written here", m.ID, m.Amount)
		if m.Kind == gateway.MovementOther {
			e.Message = fmt.Sprintf("the gateway has moved %s (%s), which nothing here explains", m.Amount, m.Note)
		}
	case own.Amount != m.Amount:
		e.Problem, e.PaymentID, e.Ours = ProblemDifferent, own.paymentID, &own.Amount
		e.Message = fmt.Sprintf("here %s is %s, at the gateway %s", m.ID, own.Amount, m.Amount)
	case own.Reversed != m.Reversed && m.Reversed:
		e.Problem, e.PaymentID, e.Ours = ProblemDifferent, own.paymentID, &own.Amount
		e.Message = fmt.Sprintf("the money of %s has come back at the gateway, here it has not", m.ID)
	default:
		report.Agreed++
		return nil
	}
	report.add(e)
	return nil
}

// ownOf finds what is written here of a gateway's movement; nil for nothing.
func (s *Service) ownOf(ctx context.Context, providerID string, m gateway.Movement) (*ownMovement, error) {
	own := &ownMovement{Movement: gateway.Movement{Kind: m.Kind, ID: m.ID}}
	var err error
	switch m.Kind {
	case gateway.MovementPayment:
		var p *ent.Payment
		p, err = s.read.Payment.Query().Where(payment.ProviderID(providerID), payment.GatewayPaymentID(m.ID), payment.StatusEQ(payment.StatusSUCCEEDED)).Only(ctx)
		if err == nil {
			own.paymentID, own.Amount = p.ID, p.Amount()
		}
	case gateway.MovementRefund, gateway.MovementDispute:
		var p *ent.Payment
		if p, err = s.read.Payment.Query().Where(payment.ProviderID(providerID), payment.GatewayPaymentID(m.PaymentID)).Only(ctx); err != nil {
			break
		}
		own.paymentID = p.ID
		if m.Kind == gateway.MovementRefund {
			var r *ent.Refund
			if r, err = s.read.Refund.Query().Where(refund.PaymentID(p.ID), refund.GatewayRefundID(m.ID)).Only(ctx); err == nil {
				own.Amount, own.Reversed = r.Amount(), r.Status == refund.StatusFAILED
			}
			break
		}
		var x *ent.Dispute
		if x, err = s.read.Dispute.Query().Where(dispute.PaymentID(p.ID), dispute.GatewayDisputeID(m.ID)).Only(ctx); err == nil {
			own.Amount, own.Reversed = x.Amount(), x.Status == dispute.StatusWON
		}
	case gateway.MovementFee, gateway.MovementPayout:
		var e *ent.LedgerEntry
		if e, err = s.read.LedgerEntry.Query().Where(ledgerentry.CauseKey(movementCause(providerID, m))).Only(ctx); err == nil {
			own.Amount, own.Reversed = money.Amount{Units: e.AmountUnits, Currency: e.Currency}, m.Reversed
		}
	default:
		return nil, nil
	}
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return own, wrapped(err, "look for "+m.ID)
}

// causeReversed ends the name of a fee or a payout that came back.
const causeReversed = ":reversed"

// movementCause names a fee or a payout by what the gateway calls it.
func movementCause(providerID string, m gateway.Movement) string {
	kind := "fee:"
	if m.Kind == gateway.MovementPayout {
		kind = "payout:"
	}
	cause := kind + providerID + ":" + m.ID
	if m.Reversed {
		cause += causeReversed
	}
	return cause
}

// bookMovement writes a fee or a payout, or that it came back, once.
func (s *Service) bookMovement(ctx context.Context, providerID string, m gateway.Movement) error {
	if m.Amount.IsZero() {
		return nil
	}
	p := posting{
		kind: ledgerentry.KindFEE, debit: feesAccount(providerID), credit: clearingAccount(providerID), amount: m.Amount,
		providerID: providerID, causeKey: movementCause(providerID, m), effectiveAt: m.At,
	}
	if m.Kind == gateway.MovementPayout {
		p.kind, p.debit = ledgerentry.KindPAYOUT, accountBank
	}
	if m.Reversed {
		p.debit, p.credit = p.credit, p.debit
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.postOnce(ctx, p)
		return wrapped(err, "book "+m.ID)
	})
}
