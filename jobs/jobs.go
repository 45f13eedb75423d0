// Package jobs is the clock's front door: it finds work that is due and does
// it. The work is the domain's own state (calls without an answer, payments
// that wait, events not applied, quotes past their day), so nothing has to be
// kept in step with a queue. Several servers may run it at once.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/gateway"
)

// Config is what the runner needs.
type Config struct {
	Billing  *billing.Service
	Gateways gateway.Directory
	// ApplyEvent applies a stored gateway event; the webhook front door has
	// the function, and server.go hands it over.
	ApplyEvent func(ctx context.Context, eventID string) error
	Logger     *slog.Logger
	// Interval is the time between two looks for due work. Default 1 s.
	Interval time.Duration
}

// How much one round does for one organization, and how long one gateway call
// may take.
const (
	batch       = 50
	callTimeout = 30 * time.Second
)

// Runner does due work until it is told to stop.
type Runner struct {
	Config
	wake chan struct{}
	// due is how many pieces of work the last round found.
	due atomic.Int64
}

// New returns a runner.
func New(c Config) *Runner {
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	return &Runner{Config: c, wake: make(chan struct{}, 1)}
}

// Due is how many pieces of work the last round found.
func (r *Runner) Due() int64 { return r.due.Load() }

// Wake starts the next round at once.
func (r *Runner) Wake() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run works until ctx ends, and finishes the piece it is at.
func (r *Runner) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
		if err := r.Round(ctx); err != nil && ctx.Err() == nil {
			r.Logger.ErrorContext(ctx, "due work", "error", err)
		}
		timer.Reset(r.Interval)
	}
}

// Round does what is due now, in every organization. One organization's
// trouble does not keep the others from their work.
func (r *Runner) Round(ctx context.Context) error {
	organizations, err := r.Billing.OrganizationsWithDueWork(auth.AllTenants(ctx, "jobs"))
	if err != nil {
		return err
	}
	var found int64
	var problems []error
	for _, id := range organizations {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n, err := r.organization(auth.Internal(ctx, "jobs", id))
		found += n
		problems = append(problems, err)
	}
	r.due.Store(found)
	return errors.Join(problems...)
}

// organization does what is due in one organization and says how much it was.
func (r *Runner) organization(ctx context.Context) (int64, error) {
	var found int64
	var problems []error
	for _, work := range []func(context.Context) (int, error){
		r.resumeCalls, r.applyEvents, r.checkPayments, r.checkInvoices, r.checkCards, r.expireQuotes, r.finalizeInvoices, r.sealEntries,
	} {
		if ctx.Err() != nil {
			break
		}
		n, err := work(ctx)
		found += int64(n)
		problems = append(problems, err)
	}
	return found, errors.Join(problems...)
}

func (r *Runner) applyEvents(ctx context.Context) (int, error) {
	ids, err := r.Billing.DueEvents(ctx, batch)
	for _, id := range ids {
		err = errors.Join(err, r.ApplyEvent(ctx, id))
	}
	return len(ids), err
}

func (r *Runner) checkPayments(ctx context.Context) (int, error) {
	ids, err := r.Billing.DuePayments(ctx, batch)
	for _, id := range ids {
		err = errors.Join(err, r.checkPayment(ctx, id))
	}
	return len(ids), err
}

func (r *Runner) checkPayment(ctx context.Context, id string) error {
	due, err := r.Billing.PaymentToCheck(ctx, id)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := r.Gateways.FetchPayment(ctx, due.Account, due.ReferenceID, due.GatewayPaymentID)
	return r.Billing.ApplyPayment(ctx, id, result)
}

func (r *Runner) checkInvoices(ctx context.Context) (int, error) {
	ids, err := r.Billing.DueInvoices(ctx, batch)
	for _, id := range ids {
		err = errors.Join(err, r.checkInvoice(ctx, id))
	}
	return len(ids), err
}

func (r *Runner) checkInvoice(ctx context.Context, id string) error {
	due, err := r.Billing.InvoiceToCheck(ctx, id)
	if err != nil || due == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := r.Gateways.FetchInvoice(ctx, due.Account, due.GatewayInvoiceID)
	return r.Billing.ApplyInvoice(ctx, id, result)
}

func (r *Runner) checkCards(ctx context.Context) (int, error) {
	cards, err := r.Billing.DueCards(ctx, batch)
	for _, due := range cards {
		asking, cancel := billing.Detached(ctx, callTimeout)
		result := r.Gateways.FetchSetup(asking, due.Account, due.Reference)
		err = errors.Join(err, r.Billing.ApplyCard(asking, due.PaymentMethodID, result))
		cancel()
	}
	return len(cards), err
}

func (r *Runner) expireQuotes(ctx context.Context) (int, error) {
	return r.Billing.ExpireQuotes(ctx, batch)
}

func (r *Runner) sealEntries(ctx context.Context) (int, error) {
	return r.Billing.SealEntries(ctx)
}
