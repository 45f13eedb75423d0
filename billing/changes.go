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
)

// Change says that an object has changed and was committed.
type Change struct {
	Kind           ChangeKind
	OrganizationID string
	ID             string
	PayerID        string // empty where there is none yet
	At             time.Time
}

// changesQueueMax is how many changes a slow watcher may lag behind before
// its feed is closed; it then resumes from its cursor.
const changesQueueMax = 256

// Changes is the live feed of this process: each committed change reaches
// every watcher of its organization, in commit order of this process.
type Changes struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

type watcher struct {
	organizationID string
	kind           ChangeKind
	queue          chan Change
}

func newChanges() *Changes { return &Changes{watchers: map[*watcher]struct{}{}} }

// Watch returns the changes of one kind in one organization from now on. The
// channel is closed when ctx ends, and when the reader lags too far behind.
func (c *Changes) Watch(ctx context.Context, organizationID string, kind ChangeKind) <-chan Change {
	w := &watcher{organizationID: organizationID, kind: kind, queue: make(chan Change, changesQueueMax)}
	c.mu.Lock()
	c.watchers[w] = struct{}{}
	c.mu.Unlock()
	context.AfterFunc(ctx, func() { c.drop(w) })
	return w.queue
}

func (c *Changes) drop(w *watcher) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.watchers[w]; ok {
		delete(c.watchers, w)
		close(w.queue)
	}
}

func (c *Changes) publish(changes []Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, change := range changes {
		for w := range c.watchers {
			if w.organizationID != change.OrganizationID || w.kind != change.Kind {
				continue
			}
			select {
			case w.queue <- change:
			default:
				delete(c.watchers, w)
				close(w.queue)
			}
		}
	}
}

// changed tells the live feed about an object once the transaction is
// committed.
func (tx *Tx) changed(ctx context.Context, kind ChangeKind, id, payerID string) {
	tx.pending = append(tx.pending, Change{Kind: kind, OrganizationID: tx.organizationID(ctx), ID: id, PayerID: payerID, At: tx.Now})
}
