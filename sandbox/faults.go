package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// What a request fault does.
const (
	ActionStatus = "status" // answers with an error of the given HTTP status
	ActionReset  = "reset"  // closes the connection without an answer
	ActionDelay  = "delay"  // waits, then goes on as usual
	// ActionTruncate processes the request and sends half of the reply's body,
	// with the status of the whole; only after processing.
	ActionTruncate = "truncate"
)

// When a request fault strikes.
const (
	WhenBefore = "before" // nothing was processed
	WhenAfter  = "after"  // everything was processed and stored, the reply is lost
)

// What a delivery fault does.
const (
	ActionDrop      = "drop"      // the delivery is never sent
	ActionDuplicate = "duplicate" // it is sent twice
	ActionReorder   = "reorder"   // Count deliveries are gathered and sent last to first
)

// RequestFault makes matching requests go wrong.
type RequestFault struct {
	ID string `json:"id"`
	// Account limits the fault to one merchant account; empty means all.
	Account string `json:"account,omitempty"`
	// Method is the HTTP method to match; empty means any.
	Method string `json:"method,omitempty"`
	// Path is the prefix of the paths to match; empty means any.
	Path string `json:"path,omitempty"`
	// Skip lets that many matching requests pass first. Defaults to 0.
	Skip int `json:"skip,omitempty"`
	// Count is how many requests it strikes; -1 means until removed. Defaults to 1.
	Count int `json:"count,omitempty"`
	// Action is ActionStatus, ActionReset, ActionDelay or ActionTruncate.
	Action string `json:"action"`
	// When is WhenBefore or WhenAfter. Defaults to WhenBefore, for
	// ActionTruncate to WhenAfter.
	When string `json:"when,omitempty"`
	// Status is the HTTP status of ActionStatus, 400 to 599.
	Status int `json:"status,omitempty"`
	// Code is the error code in the body of ActionStatus. Defaults to what
	// the gateway itself sends with that status.
	Code string `json:"code,omitempty"`
	// Store keeps the answer of ActionStatus under the request's idempotency
	// key, so that a repetition gets the same answer again. Defaults to false.
	Store bool `json:"store,omitempty"`
	// DelayMilliseconds is how long ActionDelay waits, at most ten minutes.
	DelayMilliseconds int `json:"delay_milliseconds,omitempty"`
}

// Delay is DelayMilliseconds as a duration.
func (f RequestFault) Delay() time.Duration {
	return time.Duration(f.DelayMilliseconds) * time.Millisecond
}

// DeliveryFault makes matching notifications go wrong.
type DeliveryFault struct {
	ID string `json:"id"`
	// Account limits the fault to one merchant account; empty means all.
	Account string `json:"account,omitempty"`
	// Kind is the prefix of the notification kinds to match (such as
	// "invoice."); empty means any.
	Kind string `json:"kind,omitempty"`
	// Skip lets that many matching notifications pass first. Defaults to 0.
	Skip int `json:"skip,omitempty"`
	// Count is how many it strikes; -1 means until removed. For ActionReorder
	// it is the size of the group that is turned around (2 to 1000).
	// Defaults to 1, for ActionReorder to 2.
	Count int `json:"count,omitempty"`
	// Action is ActionDrop, ActionDuplicate, ActionDelay or ActionReorder.
	Action string `json:"action"`
	// DelayMilliseconds is how long ActionDelay waits, and after how long
	// ActionReorder gives up gathering (defaults to 30,000). At most ten minutes.
	DelayMilliseconds int `json:"delay_milliseconds,omitempty"`
}

// Delay is DelayMilliseconds as a duration.
func (f DeliveryFault) Delay() time.Duration {
	return time.Duration(f.DelayMilliseconds) * time.Millisecond
}

const (
	delayMillisecondsMax = 600_000
	faultsMax            = 1000
)

// Faults is the set of switches that are on. They live in memory: a restart
// turns all of them off, so that a forgotten switch cannot outlive a test.
// It may be used by many goroutines at once. The zero value is ready.
type Faults struct {
	mu         sync.Mutex
	next       int
	requests   []*RequestFault
	deliveries []*DeliveryFault
}

// AddRequest turns a request fault on and returns its id. It fails when the
// fault is not well-formed or too many are on.
func (f *Faults) AddRequest(r RequestFault) (string, error) {
	if r.Count == 0 {
		r.Count = 1
	}
	if r.When == "" {
		r.When = WhenBefore
		if r.Action == ActionTruncate {
			r.When = WhenAfter
		}
	}
	switch {
	case !slices.Contains([]string{ActionStatus, ActionReset, ActionDelay, ActionTruncate}, r.Action):
		return "", fmt.Errorf("action is %q, want status, reset, delay or truncate", r.Action)
	case r.Action == ActionTruncate && r.When != WhenAfter:
		return "", fmt.Errorf("the action truncate strikes after processing only")
	case r.When != WhenBefore && r.When != WhenAfter:
		return "", fmt.Errorf("when is %q, want before or after", r.When)
	case r.Action == ActionStatus && (r.Status < 400 || r.Status > 599):
		return "", fmt.Errorf("status is %d, want 400 to 599", r.Status)
	case r.Store && r.Action != ActionStatus:
		return "", fmt.Errorf("store goes with the action status only")
	case r.Skip < 0 || r.Count < -1:
		return "", fmt.Errorf("skip is %d and count is %d, want skip ≥ 0 and count ≥ -1", r.Skip, r.Count)
	}
	if err := checkDelay(r.Action, r.DelayMilliseconds); err != nil {
		return "", err
	}
	r.Method = strings.ToUpper(r.Method)
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := f.nextID()
	if err != nil {
		return "", err
	}
	r.ID = id
	f.requests = append(f.requests, &r)
	return id, nil
}

// AddDelivery turns a delivery fault on and returns its id. It fails when the
// fault is not well-formed or too many are on.
func (f *Faults) AddDelivery(d DeliveryFault) (string, error) {
	if d.Action == ActionReorder {
		if d.Count == 0 {
			d.Count = 2
		}
		if d.DelayMilliseconds == 0 {
			d.DelayMilliseconds = 30_000
		}
		if d.Count < 2 || d.Count > 1000 {
			return "", fmt.Errorf("count is %d, want 2 to 1000 deliveries to reorder", d.Count)
		}
	}
	if d.Count == 0 {
		d.Count = 1
	}
	switch {
	case d.Action != ActionDrop && d.Action != ActionDuplicate && d.Action != ActionDelay && d.Action != ActionReorder:
		return "", fmt.Errorf("action is %q, want drop, duplicate, delay or reorder", d.Action)
	case d.Skip < 0 || d.Count < -1:
		return "", fmt.Errorf("skip is %d and count is %d, want skip ≥ 0 and count ≥ -1", d.Skip, d.Count)
	}
	if err := checkDelay(d.Action, d.DelayMilliseconds); err != nil {
		return "", err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id, err := f.nextID()
	if err != nil {
		return "", err
	}
	d.ID = id
	f.deliveries = append(f.deliveries, &d)
	return id, nil
}

func checkDelay(action string, milliseconds int) error {
	if milliseconds < 0 || milliseconds > delayMillisecondsMax {
		return fmt.Errorf("delay_milliseconds is %d, want 0 to %d", milliseconds, delayMillisecondsMax)
	}
	if action == ActionDelay && milliseconds == 0 {
		return fmt.Errorf("delay_milliseconds is missing")
	}
	return nil
}

func (f *Faults) nextID() (string, error) {
	if len(f.requests)+len(f.deliveries) >= faultsMax {
		return "", fmt.Errorf("%d faults are on already", faultsMax)
	}
	f.next++
	return fmt.Sprintf("fault_%d", f.next), nil
}

// List returns the faults that are on for an account (all of them for ""),
// with the counts that are left.
func (f *Faults) List(account string) ([]RequestFault, []DeliveryFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	requests, deliveries := []RequestFault{}, []DeliveryFault{}
	for _, r := range f.requests {
		if account == "" || r.Account == account {
			requests = append(requests, *r)
		}
	}
	for _, d := range f.deliveries {
		if account == "" || d.Account == account {
			deliveries = append(deliveries, *d)
		}
	}
	return requests, deliveries
}

// Remove turns faults off: the one with that id, or all when id is empty;
// those of one account, or of all when account is empty. It returns how many.
func (f *Faults) Remove(account, id string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.requests) + len(f.deliveries)
	f.requests = slices.DeleteFunc(f.requests, func(r *RequestFault) bool {
		return (id == "" || r.ID == id) && (account == "" || r.Account == account)
	})
	f.deliveries = slices.DeleteFunc(f.deliveries, func(d *DeliveryFault) bool {
		return (id == "" || d.ID == id) && (account == "" || d.Account == account)
	})
	return before - len(f.requests) - len(f.deliveries)
}

// StrikeRequest returns the fault that strikes this request, if any, and counts
// it. The oldest matching fault wins.
func (f *Faults) StrikeRequest(account, method, path string) (RequestFault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.requests {
		if (r.Account != "" && r.Account != account) || (r.Method != "" && r.Method != method) || !strings.HasPrefix(path, r.Path) {
			continue
		}
		if r.Skip > 0 {
			r.Skip--
			continue
		}
		struck := *r
		if r.Count > 0 {
			r.Count--
		}
		if r.Count == 0 {
			f.requests = slices.Delete(f.requests, i, i+1)
		}
		return struck, true
	}
	return RequestFault{}, false
}

// deliveryStrike is a delivery fault that strikes, and whether it was its last.
type deliveryStrike struct {
	DeliveryFault
	last bool
}

func (f *Faults) strikeDelivery(account, kind string) (deliveryStrike, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, d := range f.deliveries {
		if (d.Account != "" && d.Account != account) || !strings.HasPrefix(kind, d.Kind) {
			continue
		}
		if d.Skip > 0 {
			d.Skip--
			continue
		}
		struck := deliveryStrike{DeliveryFault: *d}
		if d.Count > 0 {
			d.Count--
		}
		if d.Count == 0 {
			struck.last = true
			f.deliveries = slices.Delete(f.deliveries, i, i+1)
		}
		return struck, true
	}
	return deliveryStrike{}, false
}
