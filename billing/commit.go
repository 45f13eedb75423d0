package billing

import (
	"context"
	"errors"
	"hash/fnv"
	"sync"
	"time"

	"purser/auth"
)

// Usage is booked by committers. A committer gathers the events that arrive
// while it is busy and books them together: the balances they touch are read
// and written once, the entries inserted at once, and one COMMIT makes all of
// them durable. An event that finds the committer idle is booked at once; no
// event waits for others to come.
//
// An organization always meets the same committer, so that events of one
// balance never wait for each other's locks, and duplicates in flight meet in
// the queue. Between servers the database decides, as it does between a
// committer and every other transaction (inTx).

// ErrBusy says that so much usage is waiting to be booked that more would only
// wait longer. Nothing was done.
var ErrBusy = errors.New("too much usage is waiting to be booked")

// Bounds of a committer.
const (
	// batchMax is how many events one transaction books.
	batchMax = 128
	// queueMax is how many events may wait for their answers at one committer,
	// about as many as are booked within a second.
	queueMax = 4096
	// commitLimit is how long a batch may take, all tries included.
	commitLimit = 10 * time.Second
	// committersMax is how many batches PostgreSQL is given at once. SQLite
	// has one writer.
	committersMax = 2
)

// usageEvent is one event of usage on its way through a committer.
type usageEvent struct {
	Usage
	op     operation
	viewer *auth.Viewer
	index  int // in its call
	// replies has room for all events of a call: answering never waits.
	replies chan<- *usageEvent

	// What became of it. alone: it is to be booked by itself (recordAlone).
	booking Booking
	err     error
	alone   bool

	// Guarded by the committer's mu: events with the same key that came while
	// this one had no answer. Those with the same input share its answer, the
	// others are decided once it is known whether the key was used.
	same, others []*usageEvent
}

// eventKey is the idempotency key of an event among all organizations.
type eventKey struct{ organizationID, key string }

func (e *usageEvent) id() eventKey { return eventKey{e.viewer.OrganizationID, e.op.key} }

func (e *usageEvent) answer(booking Booking, err error) { e.booking, e.err = booking, err }

// committers are all committers of a process.
type committers []*committer

func newCommitters(s *Service, oneOrganization bool) committers {
	all := make(committers, committersMax)
	if s.embedded() {
		all = all[:1]
	}
	texts := newStatements(s.db.Dialect, oneOrganization)
	for i := range all {
		all[i] = &committer{s: s, statements: texts, queueMax: queueMax, flying: map[eventKey]*usageEvent{}, zones: map[string]*time.Location{}}
	}
	return all
}

// submit hands events of one call to the committer of their organization. Each
// is answered on its channel of replies. All or none are taken.
func (c committers) submit(events []*usageEvent) error {
	h := fnv.New32a()
	_, _ = h.Write([]byte(events[0].viewer.OrganizationID)) // a hash never fails
	return c[h.Sum32()%uint32(len(c))].submit(events)
}

// waiting is how many events have no answer yet.
func (c committers) waiting() int {
	n := 0
	for _, one := range c {
		one.mu.Lock()
		n += one.pending
		one.mu.Unlock()
	}
	return n
}

// committer books the usage of its organizations, one batch after the other.
type committer struct {
	s          *Service
	statements *statements
	queueMax   int

	mu      sync.Mutex
	queue   []*usageEvent            // not taken yet
	flying  map[eventKey]*usageEvent // not answered yet, by key
	pending int                      // events not answered yet
	stopped chan struct{}            // closed when the queue is empty; nil while nothing runs

	// Of the running goroutine alone.
	zones map[string]*time.Location
	// wary is for how many more batches stored keys are looked up before
	// anything is decided: duplicates come in swarms.
	wary int
}

func (c *committer) submit(events []*usageEvent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending+len(events) > c.queueMax {
		return ErrBusy
	}
	c.pending += len(events)
	for _, e := range events {
		c.enqueue(e)
	}
	if c.stopped == nil {
		c.stopped = make(chan struct{})
		go c.run()
	}
	return nil
}

// enqueue is called with mu held.
func (c *committer) enqueue(e *usageEvent) {
	first, ok := c.flying[e.id()]
	switch {
	case !ok:
		c.flying[e.id()] = e
		c.queue = append(c.queue, e)
	case first.op.sameUsage(e.op.fingerprint) == nil:
		first.same = append(first.same, e)
	default:
		first.others = append(first.others, e)
	}
}

// run books batches until the queue is empty.
func (c *committer) run() {
	for batch := c.take(); batch != nil; batch = c.take() {
		c.commit(batch)
	}
}

// take returns the next batch, or nil at the end.
func (c *committer) take() []*usageEvent {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.queue = nil
		close(c.stopped)
		c.stopped = nil
		return nil
	}
	var batch, rest []*usageEvent
	for i, e := range c.queue {
		if len(batch) == batchMax {
			rest = append(rest, c.queue[i:]...)
			break
		}
		if c.statements.oneOrganization && e.viewer.OrganizationID != c.queue[0].viewer.OrganizationID {
			rest = append(rest, e)
			continue
		}
		batch = append(batch, e)
	}
	c.queue = rest
	return batch
}

// finish answers a batch: what was decided about its events stands.
func (c *committer) finish(batch []*usageEvent) {
	c.mu.Lock()
	for _, e := range batch {
		delete(c.flying, e.id())
		c.pending -= 1 + len(e.same)
	}
	for _, e := range batch {
		for _, other := range e.others {
			c.enqueue(other)
		}
		e.others = nil
	}
	c.mu.Unlock()
	for _, e := range batch {
		for _, same := range e.same {
			same.booking, same.err, same.alone = e.booking, e.err, e.alone
			same.replies <- same
		}
		e.replies <- e
	}
}

// UsageWaiting is how many events of usage have no answer yet.
func (s *Service) UsageWaiting() int { return s.committers.waiting() }

// FinishUsage waits until all usage that was taken is booked or refused, as
// long as ctx allows. Whoever calls it takes no more.
func (s *Service) FinishUsage(ctx context.Context) error {
	for _, c := range s.committers {
		c.mu.Lock()
		stopped := c.stopped
		c.mu.Unlock()
		if stopped == nil {
			continue
		}
		select {
		case <-stopped:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
