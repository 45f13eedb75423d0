package jobs

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"purser/billing"
)

// kind is one kind of due work.
type kind struct {
	name string
	// list names the pieces that are due, at most as many.
	list func(ctx context.Context, limit int) ([]string, error)
	// do claims a piece and does it; it does nothing when somebody else has.
	do func(ctx context.Context, id string) error
}

func (r *Runner) kinds() []kind {
	kinds := []kind{
		{"resume call", r.Billing.DueCalls, r.resumeCall},
		{"apply event", r.Billing.DueEvents, r.ApplyEvent},
		{"check payment", r.Billing.DuePayments, r.checkPayment},
		{"check invoice", r.Billing.DueInvoices, r.checkInvoice},
		{"check card", r.Billing.DueCards, r.checkCard},
		{"renew subscription", r.Billing.DueSubscriptions, r.renewSubscription},
		{"tell of an upcoming renewal", r.Billing.UpcomingRenewals, r.Billing.TellUpcomingRenewal},
		{"invoice usage", r.Billing.DueUsage, r.Billing.InvoiceUsage},
		{"finalize invoice", r.Billing.DueFinalizations, r.finalizeInvoice},
		{"expire quote", r.Billing.QuotesToExpire, r.Billing.ExpireQuote},
		{"expire holds", r.Billing.BalancesWithOldHolds, r.Billing.ExpireHolds},
		{"check refund", r.Billing.DueRefunds, r.checkRefund},
		{"check dispute", r.Billing.DueDisputes, r.checkDispute},
		{"reload balance", r.Billing.DueReloads, r.reloadBalance},
		{"charge invoice", r.Billing.DueCharges, r.chargeInvoice},
		{"tell that a card expires", r.Billing.CardsThatExpire, r.Billing.TellCardExpires},
	}
	if r.Mail != nil {
		kinds = append(kinds, kind{"send mail", r.Billing.DueMails, r.sendMail})
	}
	return kinds
}

// organization does what is due in one organization. Where its clock is being
// advanced, what falls due on the way is done as well, one stop after the
// other.
func (r *Runner) organization(ctx context.Context, id string) error {
	found, err := r.dueNow(ctx, id)
	problems := []error{err}
	for end := time.Now().Add(r.Budget); ctx.Err() == nil && time.Now().Before(end); {
		moved, err := r.Billing.StepClock(ctx)
		r.tell(ctx, id, "advance clock", "", err)
		problems = append(problems, err)
		if err != nil || !moved {
			break
		}
		more, err := r.standStill(ctx, id)
		found += more
		problems = append(problems, err)
	}
	problems = append(problems,
		r.piece(ctx, id, kind{name: "seal entries", do: r.seal}, ""),
		r.piece(ctx, id, kind{name: "remove old keys", do: r.removeKeys}, ""),
		r.removeTold(ctx, id))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found[id] = found
	return errors.Join(problems...)
}

// roundsMax bounds how often an organization is looked through while its clock
// stands still: a piece that is due again at once must not stop it for ever.
const roundsMax = 20

// standStill does what is due where a clock stands that is being advanced,
// until nothing is any more: one piece may make another one due.
func (r *Runner) standStill(ctx context.Context, id string) (int, error) {
	var found int
	var problems []error
	for range roundsMax {
		n, err := r.dueNow(ctx, id)
		problems = append(problems, err)
		if found += n; n == 0 || ctx.Err() != nil {
			break
		}
	}
	return found, errors.Join(problems...)
}

// dueNow goes through all kinds of work once, and returns how many pieces it
// has found.
func (r *Runner) dueNow(ctx context.Context, id string) (int, error) {
	var found int
	var problems []error
	for _, k := range r.kinds() {
		if ctx.Err() != nil {
			break
		}
		n, err := r.work(ctx, id, k)
		found += n
		problems = append(problems, err)
	}
	if r.Billing.ClockStands(ctx) {
		n, err := r.deliverHere(ctx)
		found += n
		problems = append(problems, err)
	}
	return found, errors.Join(problems...)
}

// work does the pieces of one kind, as many as the budget has time for and at
// least one, and returns how many there are.
func (r *Runner) work(ctx context.Context, organizationID string, k kind) (int, error) {
	ids, err := k.list(ctx, batch)
	r.tell(ctx, organizationID, "list to "+k.name, "", err)
	problems := []error{err}
	end := time.Now().Add(r.Budget)
	for i, id := range ids {
		if ctx.Err() != nil || i > 0 && time.Now().After(end) {
			break
		}
		problems = append(problems, r.piece(ctx, organizationID, k, id))
	}
	return len(ids), errors.Join(problems...)
}

// piece does one piece of work. It ends alone, also by a panic.
func (r *Runner) piece(ctx context.Context, organizationID string, k kind, id string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.Logger.ErrorContext(ctx, "due work panicked", "work", k.name, "id", id, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
		r.tell(ctx, organizationID, k.name, id, err)
		if err != nil {
			err = fmt.Errorf("%s %s: %w", k.name, id, err)
		}
	}()
	if err = k.do(ctx, id); isRefusal(err) {
		return nil
	}
	return err
}

// isRefusal: nobody waits any more for the words of a refusal; it has been
// written where it belongs.
func isRefusal(err error) bool {
	var refusal *billing.Error
	return errors.As(err, &refusal)
}

// toldMax bounds how many troubles are remembered as told.
const toldMax = 1000

// tell logs a trouble once, until it changes or has ended.
func (r *Runner) tell(ctx context.Context, organizationID, work, id string, err error) {
	if ctx.Err() != nil {
		return // what fails now fails because the server stops
	}
	key, text := organizationID+" "+work+" "+id, ""
	if err != nil {
		text = err.Error()
	}
	r.mu.Lock()
	was := r.told[key]
	if delete(r.told, key); err != nil {
		if len(r.told) == toldMax {
			clear(r.told)
		}
		r.told[key] = text
	}
	r.mu.Unlock()
	if text != was && err != nil {
		r.Logger.ErrorContext(ctx, "due work", "organization_id", organizationID, "work", work, "id", id, "error", err)
	}
}

func (r *Runner) checkPayment(ctx context.Context, id string) error {
	due, err := r.Billing.ClaimPayment(ctx, id)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := r.Gateways.FetchPayment(ctx, due.Account, due.ReferenceID, due.GatewayPaymentID)
	return r.Billing.ApplyPayment(ctx, id, result)
}

func (r *Runner) checkInvoice(ctx context.Context, id string) error {
	due, err := r.Billing.ClaimInvoice(ctx, id)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := r.Gateways.FetchInvoice(ctx, due.Account, due.GatewayInvoiceID)
	return r.Billing.ApplyInvoice(ctx, id, result)
}

func (r *Runner) checkCard(ctx context.Context, id string) error {
	due, err := r.Billing.ClaimCard(ctx, id)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := r.Gateways.FetchSetup(ctx, due.Account, due.Reference)
	return r.Billing.ApplyCard(ctx, id, result)
}

func (r *Runner) seal(ctx context.Context, _ string) error {
	_, err := r.Billing.SealEntries(ctx)
	return err
}

// removeKeys is no reason of its own to visit an organization: there is time.
func (r *Runner) removeKeys(ctx context.Context, _ string) error {
	_, err := r.Billing.RemoveOldKeys(ctx)
	return err
}
