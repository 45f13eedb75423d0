// Package crash ends the process at named moments, so that tests can prove
// what a restart makes of them.
//
// The product calls Point where a crash would hurt most: between a commit and
// the call that it announces, between the call and the commit of its outcome.
// Nothing happens there unless Arm was called before. Only the tests' own
// program calls Arm (a test of this package holds that), so no setting of a
// built server can make it crash; otherwise a point costs one atomic load.
package crash

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
)

// The moments. What is between a Begin and its Finish is described in
// package billing.
const (
	// BeginCommitted: the intent is stored, the gateway has not been asked.
	BeginCommitted = "begin.committed"
	// FinishStarted: the gateway has answered, the transaction that applies
	// the outcome is open.
	FinishStarted = "finish.started"
	// Committing: a transaction has written everything, COMMIT is not sent.
	Committing = "transaction.committing"
	// Committed: COMMIT was answered, nobody has been told.
	Committed = "transaction.committed"
	// EventStored: a gateway's event is stored and answered, not applied.
	EventStored = "event.stored"
	// EventClaimed: an event is taken for applying, its object not yet read.
	EventClaimed = "event.claimed"
	// EventApplied: what an event tells is applied, the event still open.
	EventApplied = "event.applied"
	// ResumeClaimed: a call that nobody finished was taken over, the gateway
	// has not been asked again.
	ResumeClaimed = "resume.claimed"
	// ResumeAsked: the gateway has been asked again and its answer applied,
	// the round of due work not finished.
	ResumeAsked = "resume.asked"
	// KeysRotated: some secrets are sealed with the new master key, the others
	// still with the old one.
	KeysRotated = "keys.rotated"
)

// Points returns the names of all moments.
func Points() []string {
	return []string{
		BeginCommitted, FinishStarted, Committing, Committed,
		EventStored, EventClaimed, EventApplied, ResumeClaimed, ResumeAsked, KeysRotated,
	}
}

// ExitCode is what the process ends with, as after SIGKILL.
const ExitCode = 137

// armed is the moment to end at. It has to be a variable of the package: the
// point is to crash wherever the program is, without the program's doing.
var armed atomic.Pointer[target]

type target struct {
	name string
	// left counts down to the pass that ends the process.
	left atomic.Int64
}

var form = regexp.MustCompile(`^([a-z]+\.[a-z]+)(?::([1-9][0-9]{0,5}))?$`)

// Arm makes the process end at a moment: "finish.started", or
// "finish.started:3" when the program passes there for the third time. An
// empty text disarms.
func Arm(moment string) error {
	if moment == "" {
		armed.Store(nil)
		return nil
	}
	parts := form.FindStringSubmatch(moment)
	if parts == nil || !known(parts[1]) {
		return fmt.Errorf("crash at %.40q: want one of %s, with :n for the n-th time", moment, strings.Join(Points(), ", "))
	}
	t := &target{name: parts[1]}
	t.left.Store(1)
	if parts[2] != "" {
		n, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return fmt.Errorf("crash at %.40q: %w", moment, err)
		}
		t.left.Store(n)
	}
	armed.Store(t)
	return nil
}

func known(name string) bool {
	for _, p := range Points() {
		if p == name {
			return true
		}
	}
	return false
}

// Point ends the process at once, with no deferred function run, if it was
// armed for this moment.
func Point(name string) {
	t := armed.Load()
	if t == nil || t.name != name {
		return
	}
	if t.left.Add(-1) == 0 {
		os.Exit(ExitCode)
	}
}
