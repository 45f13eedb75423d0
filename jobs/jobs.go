// Package jobs is the clock's front door: it finds work that is due and does
// it. The work is the domain's own state (calls without an answer, payments
// that wait, events not applied, subscriptions to renew, drafts, quotes and
// holds past their day, entries not sealed), so nothing has to be kept in step
// with a queue. Several servers may run it at once.
//
// Invariants: a piece of work is claimed before it is worked at, so that it
// is not due again at once whatever comes of it; a piece that fails or panics
// ends alone; an organization whose gateway is slow keeps no other one
// waiting, and what is sent to organizations' own systems no other work.
package jobs

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
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
	// the function, and command_serve.go hands it over.
	ApplyEvent func(ctx context.Context, eventID string) error
	// Mail sends what is due; nil leaves mails where they are.
	Mail Mailer
	// Webhooks sends what organizations are told at addresses of their own; it
	// must not be able to reach what stands beside this server.
	Webhooks *http.Client
	Logger   *slog.Logger
	// Interval is the time between two looks for due work. Default 1 s.
	Interval time.Duration
	// Budget is how long a visit to an organization spends on one kind of
	// work before it goes on to the next; what is left is for the next visit.
	// Default 5 s.
	Budget time.Duration
}

const (
	// batch is how many pieces of one kind a visit lists.
	batch = 50
	// callTimeout is how long one gateway call may take. Nobody waits for it,
	// and it ends before the lease of the call does.
	callTimeout = 30 * time.Second
	// visitsMax is how many organizations are visited at the same time. Most
	// of a visit is waiting for a gateway.
	visitsMax = 16
)

// Runner does due work until it is told to stop.
type Runner struct {
	Config
	wake  chan struct{}
	slots chan struct{}
	// Those of the looks for what is to be told.
	wakeLanes chan struct{}
	lanes     chan struct{}
	// open counts the visits that have not ended.
	open sync.WaitGroup

	mu sync.Mutex
	// visited are the organizations that somebody is visiting now, and the
	// endpoints.
	visited map[string]bool
	// found is how many pieces of work the last visit to an organization
	// found that still has any.
	found map[string]int
	// undelivered is how many deliveries the last visit to an endpoint found
	// that still has any.
	undelivered map[string]int
	// rests are the endpoints that are left alone for a while.
	rests map[string]rest
	// told are the troubles that were logged and have not ended.
	told map[string]string
	// sealed is when the entries were looked for last that are to be sealed.
	sealed time.Time
}

// New returns a runner.
func New(c Config) *Runner {
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	if c.Budget == 0 {
		c.Budget = 5 * time.Second
	}
	return &Runner{
		Config: c, wake: make(chan struct{}, 1), slots: make(chan struct{}, visitsMax),
		wakeLanes: make(chan struct{}, 1), lanes: make(chan struct{}, lanesMax),
		visited: map[string]bool{}, found: map[string]int{}, undelivered: map[string]int{}, rests: map[string]rest{}, told: map[string]string{},
	}
}

// Due is how many pieces of work the last visits found.
func (r *Runner) Due() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	var n int64
	for _, found := range r.found {
		n += int64(found)
	}
	for _, found := range r.undelivered {
		n += int64(found)
	}
	return n
}

// Wake starts the next look at once.
func (r *Runner) Wake() {
	for _, wake := range []chan struct{}{r.wake, r.wakeLanes} {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// Run works until ctx ends, and finishes the pieces it is at.
func (r *Runner) Run(ctx context.Context) {
	defer r.open.Wait()
	var looks sync.WaitGroup
	defer looks.Wait()
	// Apart from each other: a look waits for a slot where gateways are slow.
	looks.Go(func() { r.look(ctx, r.wakeLanes, "look for due deliveries", r.startDeliveries) })
	r.look(ctx, r.wake, "look for due work", r.start)
}

// look starts what is due, again and again.
func (r *Runner) look(ctx context.Context, wake <-chan struct{}, what string, start func(context.Context) ([]*visit, error)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
		_, err := start(ctx)
		r.tell(ctx, "", what, "", err)
		timer.Reset(r.Interval)
	}
}

// Round does what is due now, in every organization, and returns when it is
// done: one look of Run, for who wants to see the end of it.
func (r *Runner) Round(ctx context.Context) error {
	visits, err := r.start(ctx)
	deliveries, lost := r.startDeliveries(ctx)
	problems := []error{err, lost}
	for _, v := range append(visits, deliveries...) {
		<-v.done
		problems = append(problems, v.err)
	}
	return errors.Join(problems...)
}

// visit is one visit to an organization, or to one of its endpoints.
type visit struct {
	done chan struct{}
	err  error // once it is done
}

// start begins a visit to each organization in which something is due and
// that nobody is visiting already.
func (r *Runner) start(ctx context.Context) ([]*visit, error) {
	due, err := r.due(ctx)
	var visits []*visit
	for _, id := range due {
		if !r.enter(id) {
			continue
		}
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			r.leave(id)
			return visits, context.Cause(ctx)
		}
		v := &visit{done: make(chan struct{})}
		visits = append(visits, v)
		r.open.Go(func() {
			defer func() {
				<-r.slots
				r.leave(id)
				close(v.done)
			}()
			v.err = r.organization(auth.Internal(ctx, "jobs", id), id)
		})
	}
	return visits, err
}

// due lists the organizations in which something is due. What it could list
// is good although it could not list the rest.
func (r *Runner) due(ctx context.Context) ([]string, error) {
	all := auth.AllTenants(ctx, "jobs")
	organizations, err := r.Billing.OrganizationsWithDueWork(all)
	r.mu.Lock()
	since := r.sealed
	r.mu.Unlock()
	now := time.Now() // by the clock that ids are made by
	toSeal, sealErr := r.Billing.OrganizationsToSeal(all, since)
	r.mu.Lock()
	defer r.mu.Unlock()
	if sealErr == nil {
		r.sealed = now
	}
	listed := map[string]bool{}
	for _, id := range append(organizations, toSeal...) {
		listed[id] = true
	}
	for id := range r.found {
		if !listed[id] {
			delete(r.found, id)
		}
	}
	out := make([]string, 0, len(listed))
	for id := range listed { // in no order, so that none is always the first
		out = append(out, id)
	}
	return out, errors.Join(err, sealErr)
}

// enter notes that an organization is being visited, unless it is already.
func (r *Runner) enter(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.visited[id] {
		return false
	}
	r.visited[id] = true
	return true
}

func (r *Runner) leave(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.visited, id)
}
