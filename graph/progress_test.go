package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestProgressLosesAndRepeatsNothing plays a table whose changes appear out of
// the order of their times, and a reader who lags, is cut off and resumes at
// random moments. However it goes, the reader gets the last state of every
// object, and no state twice.
func TestProgressLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := start
		rows := map[string]time.Time{}
		got := map[string]int{} // how often each state was sent
		cursor := newProgress(now).String()
		var p *progress     // of the reader; nil while it is cut off
		var told []position // what the reader has been told and not dealt with
		send := func(c position) {
			p.reach(c.at)
			if at := rows[c.id]; p.add(c.id, at) {
				got[c.id+at.String()]++
				cursor = p.String()
			}
		}
		// resume lists what changed since the cursor and may be cut off again
		// in the middle; meanwhile objects change that were listed.
		resume := func(most int) {
			var err error
			if p, err = parseProgress(cursor); err != nil {
				t.Fatalf("cursor %q: %v", cursor, err)
			}
			told = nil
			var listed []position
			for id, at := range rows {
				if !at.Before(p.from) {
					listed = append(listed, position{at, id})
				}
			}
			slices.SortFunc(listed, func(a, b position) int {
				return cmp.Or(a.at.Compare(b.at), strings.Compare(a.id, b.id))
			})
			for i, c := range listed {
				if i == most {
					p = nil
					return
				}
				send(c)
			}
		}
		resume(-1)
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"change", "change", "change", "read", "cut off", "resume", "resume in part"}).Draw(t, "step") {
			case "change":
				// A pause of up to a minute: the window moves on.
				now = now.Add(time.Duration(rapid.IntRange(1, 60_000).Draw(t, "pause ms")) * time.Millisecond)
				id := fmt.Sprintf("bal_%d", rapid.IntRange(0, 5).Draw(t, "object"))
				// A transaction that began up to five seconds ago.
				at := now.Add(-time.Duration(rapid.IntRange(0, 5_000_000).Draw(t, "age µs")) * time.Microsecond)
				if got[id+at.String()] > 0 {
					continue
				}
				rows[id] = at
				if p != nil {
					told = append(told, position{at, id})
				}
			case "read":
				if len(told) > 0 {
					send(told[0])
					told = told[1:]
				}
			case "cut off":
				p, told = nil, nil
			case "resume":
				resume(-1)
			case "resume in part":
				resume(rapid.IntRange(0, 3).Draw(t, "sent"))
			}
		}
		resume(-1)
		for id, at := range rows {
			if got[id+at.String()] == 0 {
				t.Errorf("%s was never sent as it stands since %s", id, at)
			}
		}
		for state, n := range got {
			if n > 1 {
				t.Errorf("%s was sent %d times", state, n)
			}
		}
	})
}

// TestProgressStaysSmall holds that a cursor has a bound, and that what makes
// way in it is never a change that was not sent.
func TestProgressStaysSmall(t *testing.T) {
	t.Parallel()
	p := newProgress(start)
	for i := range 5000 {
		at := start.Add(time.Duration(i) * time.Millisecond)
		p.reach(at)
		if !p.add(fmt.Sprint("inv_", i), at) {
			t.Fatalf("change %d counts as sent before", i)
		}
	}
	text := p.String()
	if len(text) > 1400 {
		t.Errorf("a cursor has %d characters", len(text))
	}
	resumed, err := parseProgress(text)
	if err != nil {
		t.Fatal(err)
	}
	last := start.Add(4999 * time.Millisecond)
	if resumed.from.After(last) || resumed.add("inv_4999", last) || !resumed.add("inv_new", last) {
		t.Errorf("resumed from %s, with %d sent", resumed.from, len(resumed.sent))
	}
}

func TestForgedProgressIsRefused(t *testing.T) {
	t.Parallel()
	whole := newProgress(start)
	for i := range progressMax + 10 {
		whole.add(fmt.Sprint(i), start)
	}
	for _, text := range []string{"", "!", "gA", "AAA", whole.String() + "AAAAAAAAAAAA", whole.String()[:len(whole.String())-3]} {
		if p, err := parseProgress(text); err == nil {
			t.Errorf("%q is read as %+v", text, p)
		}
	}
}

func FuzzProgress(f *testing.F) {
	p := newProgress(start)
	f.Add(p.String())
	p.add("bal_1", start)
	f.Add(p.String())
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseProgress(text)
		if err != nil {
			return
		}
		if again, err := parseProgress(p.String()); err != nil || !again.from.Equal(p.from) || len(again.sent) != len(p.sent) {
			t.Errorf("%q: %+v is read again as %+v, %v", text, p, again, err)
		}
	})
}
