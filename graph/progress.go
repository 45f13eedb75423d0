package graph

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"
	"time"
)

// progress is how far a stream has come: which changes its reader was sent.
//
// A point in time does not tell that. A transaction carries the time of its
// beginning and is seen when it commits, so that a change may appear behind one
// that is younger. Progress is therefore a time up to which everything was sent,
// and what was sent of the changes after it; that time stays progressWindow
// behind what was dealt with, much longer than a transaction lives. A reader
// that resumes gets what changed after the time and was not sent: nothing is
// lost and nothing comes twice, also across a restart of the server.
type progress struct {
	// from is the time after which changes may not have been sent; what
	// changed at that very time counts as after.
	from time.Time
	// upTo is the time of the change that was dealt with last. An object is
	// sent as it stands when it is read, and may have changed again by then:
	// then it is ahead of others that are still to come.
	upTo time.Time
	// sent are the changes from then on that were.
	sent map[change]time.Time
}

// change is one state of one object: a digest of its id and of the time of its
// last change.
type change uint64

// Bounds of a progress: how long changes are told apart, and how many of them
// a cursor names. Where more were sent within the window, those at its
// beginning make way: from moves on.
const (
	progressWindow = 10 * time.Second
	progressMax    = 100
)

func changeOf(id string, at time.Time) change {
	h := fnv.New64a()
	var micros [8]byte
	binary.BigEndian.PutUint64(micros[:], uint64(at.UnixMicro()))
	h.Write(micros[:])
	h.Write([]byte(id))
	return change(h.Sum64() >> (64 - 8*changeBytes))
}

// newProgress is that of a reader who wants what changes from now on.
func newProgress(now time.Time) *progress {
	return &progress{from: now.Add(-progressWindow), upTo: now, sent: map[change]time.Time{}}
}

// reach notes that the changes up to one are dealt with: those that were
// listed, or that were told, before it.
func (p *progress) reach(at time.Time) {
	if !at.After(p.upTo) {
		return
	}
	p.upTo = at
	from := at.Add(-progressWindow)
	if !from.After(p.from) {
		return
	}
	p.from = from
	for c, at := range p.sent {
		if at.Before(from) {
			delete(p.sent, c)
		}
	}
}

// add notes a change as sent; false where it was before.
func (p *progress) add(id string, at time.Time) bool {
	c := changeOf(id, at)
	if _, known := p.sent[c]; known {
		return false
	}
	p.sent[c] = at
	return true
}

// changeBytes is the length of a change in a cursor: among a hundred of them
// two are the same by chance once in a hundred billion cursors.
const changeBytes = 6

// String is the progress as a cursor carries it: from in microseconds, then
// for each change sent its distance from there and itself.
func (p *progress) String() string {
	type entry struct {
		at time.Time
		c  change
	}
	entries := make([]entry, 0, len(p.sent))
	for c, at := range p.sent {
		entries = append(entries, entry{at, c})
	}
	slices.SortFunc(entries, func(a, b entry) int { return a.at.Compare(b.at) })
	from := p.from
	if extra := len(entries) - progressMax; extra > 0 {
		// What changed at the same time as the last that makes way comes
		// again, rather than that anything is lost.
		from = entries[extra-1].at
		if from.After(p.upTo) {
			from = p.upTo
		}
		entries = entries[extra:]
	}
	b := binary.AppendVarint(nil, from.UnixMicro())
	for _, e := range entries {
		b = binary.AppendVarint(b, e.at.UnixMicro()-from.UnixMicro())
		b = append(b, binary.BigEndian.AppendUint64(nil, uint64(e.c))[8-changeBytes:]...)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

var errProgress = errors.New("it tells no progress of a stream")

// parseProgress reads what String wrote.
func parseProgress(text string) (*progress, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errProgress
	}
	from, n := binary.Varint(b)
	if n <= 0 {
		return nil, errProgress
	}
	p := &progress{from: time.UnixMicro(from).UTC(), sent: map[change]time.Time{}}
	p.upTo = p.from
	for b = b[n:]; len(b) > 0; {
		after, n := binary.Varint(b)
		if n <= 0 || len(b) < n+changeBytes || len(p.sent) == progressMax {
			return nil, errProgress
		}
		var whole [8]byte
		copy(whole[8-changeBytes:], b[n:n+changeBytes])
		p.sent[change(binary.BigEndian.Uint64(whole[:]))] = time.UnixMicro(from + after).UTC()
		b = b[n+changeBytes:]
	}
	return p, nil
}
