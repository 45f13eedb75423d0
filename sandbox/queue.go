package sandbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"
)

// QueueSchema is the table a Queue stands on; a stand-in puts it into the
// schema it gives to OpenDB.
const QueueSchema = `
CREATE TABLE deliveries (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	account TEXT NOT NULL,
	target TEXT NOT NULL,
	reference TEXT NOT NULL,
	kind TEXT NOT NULL,
	state TEXT NOT NULL CHECK (state IN ('PENDING', 'DROPPED', 'DELIVERED', 'ABANDONED')),
	position INTEGER NOT NULL,
	held_by TEXT NOT NULL DEFAULT '',
	attempts INTEGER NOT NULL DEFAULT 0,
	next_attempt_at INTEGER NOT NULL,
	last_status INTEGER NOT NULL DEFAULT 0,
	last_error TEXT NOT NULL DEFAULT '',
	created_at INTEGER NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (state, next_attempt_at, position);
CREATE INDEX deliveries_account ON deliveries (account, id);`

// Delivery is one notification on its way to one address.
type Delivery struct {
	ID        int64  `json:"id"`
	Account   string `json:"account"`
	Target    string `json:"target"`    // the endpoint's id
	Reference string `json:"reference"` // the id of what is notified, such as an event
	Kind      string `json:"kind"`
	// State is PENDING, DROPPED (by a fault), DELIVERED or ABANDONED (given up,
	// or its endpoint is gone).
	State         string `json:"state"`
	Attempts      int    `json:"attempts"`
	NextAttemptAt int64  `json:"next_attempt_at"` // unix milliseconds
	LastStatus    int    `json:"last_status"`     // HTTP status of the last answer, 0 for none
	LastError     string `json:"last_error"`
	CreatedAt     int64  `json:"created_at"` // unix milliseconds
}

// QueueConfig is what a Queue needs.
type QueueConfig struct {
	// Accepted says whether an answer acknowledges the notification. Defaults
	// to any 2xx status.
	Accepted func(status int, body []byte) bool
	// Client sends. Defaults to one with a time-out of 10 s that follows no redirects.
	Client *http.Client
	DB     *DB
	// Delivered is called in the transaction that marks a delivery DELIVERED. Optional.
	Delivered func(ctx context.Context, tx *sql.Tx, d Delivery) error
	Faults    *Faults
	// GiveUpAfter is how long a delivery is tried. Defaults to 72 h.
	GiveUpAfter time.Duration
	Logger      *slog.Logger
	// Now is the wall clock: notifications carry real time even where an
	// account's clock was advanced. Defaults to time.Now.
	Now func() time.Time
	// Prepare builds the request of one attempt, freshly signed. A nil request
	// without an error abandons the delivery: there is nobody to tell any more.
	Prepare func(ctx context.Context, d Delivery) (*http.Request, error)
	// RetryBase is the pause after the first failed attempt; it doubles with
	// each further one up to 5 minutes. Defaults to 1 s.
	RetryBase time.Duration
}

// Queue delivers notifications at least once, in the order they were enqueued
// as far as first attempts go, one at a time per target. What it has to do
// stands in the database, so it goes on after a restart.
type Queue struct {
	QueueConfig
	wake chan struct{}
}

const (
	retryPauseMax       = 5 * time.Minute
	deliveryTimeout     = 10 * time.Second
	deliveryAnswerMax   = 64 << 10
	deliveriesPerTarget = 50
)

// NewQueue fills in the defaults of c.
func NewQueue(c QueueConfig) *Queue {
	if c.Accepted == nil {
		c.Accepted = func(status int, _ []byte) bool { return status >= 200 && status < 300 }
	}
	if c.Client == nil {
		c.Client = &http.Client{
			Timeout:       deliveryTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if c.GiveUpAfter == 0 {
		c.GiveUpAfter = 72 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.RetryBase == 0 {
		c.RetryBase = time.Second
	}
	return &Queue{QueueConfig: c, wake: make(chan struct{}, 1)}
}

// Enqueue adds a notification in the transaction of what it tells about, so
// both are stored or neither. Delivery faults that are on strike here.
func (q *Queue) Enqueue(ctx context.Context, tx *sql.Tx, account, target, reference, kind string) error {
	now := q.Now().UnixMilli()
	state, at, copies, heldBy := "PENDING", now, 1, ""
	strike, struck := q.Faults.strikeDelivery(account, kind)
	if struck {
		switch strike.Action {
		case ActionDrop:
			state = "DROPPED"
		case ActionDuplicate:
			copies = 2
		case ActionDelay:
			at += int64(strike.DelayMilliseconds)
		case ActionReorder:
			// Held back until the group is complete or gathering took too long.
			at += int64(strike.DelayMilliseconds)
			heldBy = strike.ID
		}
	}
	for range copies {
		// A held row gets a negative position, so that its group leaves last to
		// first, and the time of the group's first, so that it leaves as one.
		_, err := tx.ExecContext(ctx, `
			INSERT INTO deliveries (account, target, reference, kind, state, position, held_by, next_attempt_at, created_at)
			SELECT ?1, ?2, ?3, ?4, ?5, (CASE WHEN ?6 = '' THEN 1 ELSE -1 END) * (COALESCE(MAX(id), 0) + 1), ?6,
				COALESCE(MIN(CASE WHEN ?6 <> '' AND held_by = ?6 THEN next_attempt_at END), ?7), ?8 FROM deliveries`,
			account, target, reference, kind, state, heldBy, at, now)
		if err != nil {
			return fmt.Errorf("enqueue the delivery of %s to %s: %w", reference, target, err)
		}
	}
	if heldBy != "" && strike.last {
		if err := release(ctx, tx, heldBy, now); err != nil {
			return err
		}
	}
	return nil
}

func release(ctx context.Context, tx *sql.Tx, fault string, now int64) error {
	_, err := tx.ExecContext(ctx,
		`UPDATE deliveries SET next_attempt_at = ?, held_by = '' WHERE held_by = ? AND state = 'PENDING'`, now, fault)
	if err != nil {
		return fmt.Errorf("release the deliveries held by %s: %w", fault, err)
	}
	return nil
}

// Release sends at once what reordering faults of an account still hold back
// (of all accounts when it is empty); for when such a fault is turned off.
func (q *Queue) Release(ctx context.Context, account string) error {
	err := q.DB.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET next_attempt_at = ?1, held_by = ''
			WHERE held_by <> '' AND state = 'PENDING' AND (?2 = '' OR account = ?2)`, q.Now().UnixMilli(), account)
		return err
	})
	if err != nil {
		return fmt.Errorf("release held deliveries: %w", err)
	}
	q.Wake()
	return nil
}

// Wake makes Run look for work now; call it after the commit of an Enqueue.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default: // already told
	}
}

// Run delivers until ctx ends and then returns nil; deliveries under way are
// broken off and tried again by the next Run.
func (q *Queue) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	var mu sync.Mutex
	busy := map[string]bool{}
	for {
		// Who is busy is asked before what is due: a worker that ends in
		// between would leave a list that still has what it has just sent.
		mu.Lock()
		taken := maps.Clone(busy)
		mu.Unlock()
		due, next, err := q.due(ctx)
		if err != nil && ctx.Err() == nil {
			q.Logger.Error("reading due deliveries", "error", err)
		}
		for target, batch := range due {
			if taken[target] {
				continue
			}
			mu.Lock()
			busy[target] = true
			mu.Unlock()
			workers.Go(func() {
				defer func() {
					mu.Lock()
					delete(busy, target)
					mu.Unlock()
					// Whatever was enqueued for this target meanwhile is due now.
					q.Wake()
				}()
				for _, d := range batch {
					if ctx.Err() != nil {
						return
					}
					if err := q.attempt(ctx, d); err != nil && ctx.Err() == nil {
						q.Logger.Error("recording a delivery", "delivery", d.ID, "error", err)
						return
					}
				}
			})
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-q.wake:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// due returns the deliveries to try now by target, and how long to wait before
// looking again when nobody wakes the queue.
func (q *Queue) due(ctx context.Context) (map[string][]Delivery, time.Duration, error) {
	const idle = time.Second
	now := q.Now().UnixMilli()
	rows, err := q.DB.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM deliveries
		WHERE state = 'PENDING' AND next_attempt_at <= ? ORDER BY position LIMIT 500`, now)
	if err != nil {
		return nil, idle, fmt.Errorf("select due deliveries: %w", err)
	}
	list, err := scanDeliveries(rows)
	if err != nil {
		return nil, idle, err
	}
	due := map[string][]Delivery{}
	for _, d := range list {
		if len(due[d.Target]) < deliveriesPerTarget {
			due[d.Target] = append(due[d.Target], d)
		}
	}
	var soonest sql.NullInt64
	err = q.DB.QueryRowContext(ctx, `SELECT MIN(next_attempt_at) FROM deliveries
		WHERE state = 'PENDING' AND next_attempt_at > ?`, now).Scan(&soonest)
	if err != nil {
		return nil, idle, fmt.Errorf("select the next delivery: %w", err)
	}
	wait := idle
	if until := time.Duration(soonest.Int64-now) * time.Millisecond; soonest.Valid && until < wait {
		wait = until
	}
	return due, wait, nil
}

// attempt sends one delivery once and records what came of it.
func (q *Queue) attempt(ctx context.Context, d Delivery) error {
	request, err := q.Prepare(ctx, d)
	if ctx.Err() != nil {
		return nil // stopping: not an attempt
	}
	if err == nil && request == nil {
		return q.record(ctx, d, "ABANDONED", 0, "the endpoint is gone or disabled")
	}
	status, problem := 0, ""
	if err == nil {
		var body []byte
		status, body, err = q.send(request.WithContext(ctx))
		if err == nil && !q.Accepted(status, body) {
			problem = fmt.Sprintf("answered with status %d, which acknowledges nothing with this body", status)
			if status < 200 || status >= 300 {
				problem = fmt.Sprintf("answered with status %d", status)
			}
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		problem = err.Error()
	}
	switch {
	case problem == "":
		return q.record(ctx, d, "DELIVERED", status, "")
	case q.Now().UnixMilli()-d.CreatedAt >= q.GiveUpAfter.Milliseconds():
		return q.record(ctx, d, "ABANDONED", status, problem)
	}
	return q.record(ctx, d, "PENDING", status, problem)
}

func (q *Queue) send(request *http.Request) (int, []byte, error) {
	response, err := q.Client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, deliveryAnswerMax))
	return response.StatusCode, body, errors.Join(err, response.Body.Close())
}

func (q *Queue) record(ctx context.Context, d Delivery, state string, status int, problem string) error {
	pause := retryPauseMax
	if d.Attempts < 20 {
		pause = min(retryPauseMax, q.RetryBase<<d.Attempts)
	}
	d.State, d.Attempts, d.LastStatus, d.LastError = state, d.Attempts+1, status, problem
	q.Logger.Info("notification attempted", "delivery", d.ID, "kind", d.Kind, "state", state, "status", status, "attempt", d.Attempts)
	err := q.DB.InTx(ctx, func(tx *sql.Tx) error {
		// held_by goes: a group that took too long to gather is no group any more.
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET state = ?, attempts = ?, last_status = ?, last_error = ?,
			next_attempt_at = ?, held_by = '' WHERE id = ?`,
			state, d.Attempts, status, problem, q.Now().Add(pause).UnixMilli(), d.ID)
		if err != nil {
			return err
		}
		if state == "DELIVERED" && q.Delivered != nil {
			return q.Delivered(ctx, tx, d)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record attempt %d of delivery %d: %w", d.Attempts, d.ID, err)
	}
	return nil
}

// List returns the newest deliveries of an account, oldest first, at most limit.
func (q *Queue) List(ctx context.Context, account string, limit int) ([]Delivery, error) {
	rows, err := q.DB.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM (SELECT * FROM deliveries
		WHERE account = ? ORDER BY id DESC LIMIT ?) ORDER BY id`, account, limit)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return scanDeliveries(rows)
}

const deliveryColumns = `id, account, target, reference, kind, state, attempts, next_attempt_at, last_status, last_error, created_at`

func scanDeliveries(rows *sql.Rows) ([]Delivery, error) {
	defer rows.Close()
	list := []Delivery{}
	for rows.Next() {
		var d Delivery
		err := rows.Scan(&d.ID, &d.Account, &d.Target, &d.Reference, &d.Kind, &d.State, &d.Attempts,
			&d.NextAttemptAt, &d.LastStatus, &d.LastError, &d.CreatedAt)
		if err != nil {
			return nil, fmt.Errorf("scan a delivery: %w", err)
		}
		list = append(list, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read deliveries: %w", err)
	}
	return list, nil
}
