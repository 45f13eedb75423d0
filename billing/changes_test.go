package billing

import (
	"context"
	"fmt"
	"slices"
	"testing"
)

func anyChange(Change) bool { return true }

// read takes what waits, without waiting for more.
func read(w *Watch) (ids []string, ended bool) {
	for {
		c, more, ended := w.take()
		if !more {
			return ids, ended
		}
		ids = append(ids, c.ID)
	}
}

func TestWatchHearsWhatItWants(t *testing.T) {
	t.Parallel()
	c := newChanges()
	w := c.Watch(t.Context(), "org_1", ChangeBalance, func(c Change) bool { return c.PayerID == "dev_1" })
	for _, change := range []Change{
		{Kind: ChangeBalance, OrganizationID: "org_1", ID: "own", PayerID: "dev_1"},
		{Kind: ChangeBalance, OrganizationID: "org_1", ID: "another's", PayerID: "dev_2"},
		{Kind: ChangeQuote, OrganizationID: "org_1", ID: "another kind", PayerID: "dev_1"},
		{Kind: ChangeBalance, OrganizationID: "org_2", ID: "foreign", PayerID: "dev_1"},
		{Kind: ChangeBalance, OrganizationID: "org_1", ID: "second", PayerID: "dev_1"},
		{Kind: ChangeBalance, OrganizationID: "org_1", ID: "own", PayerID: "dev_1"},
	} {
		c.publish([]Change{change})
	}
	if ids, ended := read(w); !slices.Equal(ids, []string{"own", "second"}) || ended {
		t.Errorf("heard %v, ended %v", ids, ended)
	}
	// What was read waits again when it changes again.
	c.publish([]Change{{Kind: ChangeBalance, OrganizationID: "org_1", ID: "own", PayerID: "dev_1"}})
	if got, more := w.Next(); !more || got.ID != "own" {
		t.Errorf("then %v, %v", got, more)
	}
}

// TestWatchEndsForItsOwnLag: a reader who does not read loses its feed once
// too many objects that it asked for have changed, and for no other reason.
func TestWatchEndsForItsOwnLag(t *testing.T) {
	t.Parallel()
	c := newChanges()
	one := c.Watch(t.Context(), "org_1", ChangeBalance, func(c Change) bool { return c.PayerID == "dev_0" })
	all := c.Watch(t.Context(), "org_1", ChangeBalance, anyChange)
	publish := func(i int) {
		c.publish([]Change{{Kind: ChangeBalance, OrganizationID: "org_1", ID: fmt.Sprint(i), PayerID: fmt.Sprint("dev_", i)}})
	}
	for range 3 {
		for i := range changedObjectsMax {
			publish(i)
		}
	}
	publish(changedObjectsMax) // one object too many for who wants all
	if got, more := all.Next(); more {
		t.Errorf("who lags reads %v", got)
	}
	if ids, ended := read(one); len(ids) != 1 || ended {
		t.Errorf("who wants one object hears %v, ended %v", ids, ended)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := newChanges()
	ctx, cancel := context.WithCancel(t.Context())
	w := c.Watch(ctx, "org_1", ChangeBalance, anyChange)
	ended := make(chan bool)
	go func() {
		_, more := w.Next()
		ended <- !more
	}()
	cancel()
	if !<-ended {
		t.Error("a change after the end")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.watches) != 0 {
		t.Errorf("%d watches are left", len(c.watches))
	}
}
