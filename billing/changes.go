package billing

import (
	"context"
	"sync"
	"time"
)

// ChangeKind says what kind of object changed.
type ChangeKind string

// What can be watched.
const (
	ChangeBalance ChangeKind = "balance"
	ChangePayment ChangeKind = "payment"
	ChangeInvoice ChangeKind = "invoice"
	ChangeQuote   ChangeKind = "quote"

	ChangeSubscription ChangeKind = "subscription"
	ChangeRefund       ChangeKind = "refund"
	ChangeDispute      ChangeKind = "dispute"
	ChangeCreditNote   ChangeKind = "credit note"
)

// Change says that an object has changed and was committed.
type Change struct {
	Kind           ChangeKind
	OrganizationID string
	ID             string
	PayerID        string // empty where there is none yet
	At             time.Time
}

// changedObjectsMax is how many changed objects a slow reader may leave
// waiting before its feed ends; it then resumes from its cursor.
const changedObjectsMax = 256

// Changes is the live feed of this process: each committed change reaches
// every watch that wants it, in commit order of this process.
type Changes struct {
	mu      sync.Mutex
	watches map[*Watch]struct{}
}

func newChanges() *Changes { return &Changes{watches: map[*Watch]struct{}{}} }

// Watch is one reader's view of the feed. An object that changes again while
// it waits keeps its place and waits once: whoever reads it then sees the last
// state. So a reader is held up by the objects that it asked for and nobody
// else's, however often they change.
type Watch struct {
	changes        *Changes
	organizationID string
	kind           ChangeKind
	wants          func(Change) bool

	// Guarded by changes.mu.
	waiting []Change
	known   map[string]struct{} // the ids of those waiting
	ended   bool
	wake    chan struct{} // holds a token when there is something new
}

// Watch begins to note the changes of one kind in one organization that are
// wanted, until ctx ends. wants is called while others wait: it only compares.
func (c *Changes) Watch(ctx context.Context, organizationID string, kind ChangeKind, wants func(Change) bool) *Watch {
	w := &Watch{
		changes: c, organizationID: organizationID, kind: kind, wants: wants,
		known: map[string]struct{}{}, wake: make(chan struct{}, 1),
	}
	c.mu.Lock()
	c.watches[w] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.end(w)
	})
	return w
}

// Next waits for a change; false at the end of the context of Watch, and where
// the reader lagged too far behind.
func (w *Watch) Next() (Change, bool) {
	for {
		if change, more, ended := w.take(); more || ended {
			return change, more
		}
		<-w.wake
	}
}

func (w *Watch) take() (change Change, more, ended bool) {
	w.changes.mu.Lock()
	defer w.changes.mu.Unlock()
	if w.ended || len(w.waiting) == 0 {
		return Change{}, false, w.ended
	}
	change = w.waiting[0]
	w.waiting = w.waiting[1:]
	delete(w.known, change.ID)
	return change, true, false
}

// note is called with mu held.
func (w *Watch) note(change Change) {
	if _, waits := w.known[change.ID]; waits {
		return
	}
	if len(w.waiting) == changedObjectsMax {
		w.changes.end(w)
		return
	}
	w.known[change.ID] = struct{}{}
	w.waiting = append(w.waiting, change)
	w.signal()
}

func (w *Watch) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // it is to wake up already
	}
}

// end is called with mu held.
func (c *Changes) end(w *Watch) {
	delete(c.watches, w)
	w.ended, w.waiting = true, nil
	w.signal()
}

func (c *Changes) publish(changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, change := range changes {
		for w := range c.watches {
			if w.organizationID == change.OrganizationID && w.kind == change.Kind && w.wants(change) {
				w.note(change)
			}
		}
	}
}

// changed tells the live feed about an object once the transaction is
// committed.
func (tx *Tx) changed(ctx context.Context, kind ChangeKind, id, payerID string) {
	tx.pending = append(tx.pending, Change{Kind: kind, OrganizationID: tx.organizationID(ctx), ID: id, PayerID: payerID, At: tx.Now})
}
