package main

import (
	"bytes"
	"fmt"
	"testing"

	"purser/testdb"
)

// lostRepliesMax is how many positions of one flow are tried where not all are.
const lostRepliesMax = 3

func isCommit(m testdb.Message) bool {
	return m.Kind == 'C' && bytes.HasPrefix(m.Body, []byte("COMMIT"))
}

// lostReplies loses what the database answers, message by message, or a sample
// of them.
func lostReplies(t *testing.T, tr *trial, m move) int {
	usual, plays := tr.usual(t, m)
	step := 1
	if !full() {
		step = max(1, usual.messages/lostRepliesMax)
	}
	tr.keys++
	for n := 1 + tr.keys%step; n <= usual.messages; n += step { // each step meets others of what all share
		plays++
		tr.without(t, m, fmt.Sprintf("message %d of %d", n, usual.messages), func(m testdb.Message) bool { return m.Number == n })
	}
	return plays
}

// lostCommits loses each reply to a COMMIT once.
func lostCommits(t *testing.T, tr *trial, m move) int {
	usual, plays := tr.usual(t, m)
	cuts := 0
	for n := 1; n <= usual.commits; n++ {
		passed := 0
		plays++
		cuts += tr.without(t, m, fmt.Sprintf("COMMIT %d of %d", n, usual.commits), func(m testdb.Message) bool {
			if isCommit(m) {
				passed++
			}
			return isCommit(m) && passed == n
		})
	}
	if cuts == 0 {
		t.Error("no reply was lost")
	}
	return plays
}

// without plays a step with the reply lost that matches, and returns how many
// were: none where this play waits for fewer of them.
func (tr *trial) without(t *testing.T, m move, what string, match func(testdb.Message) bool) (cuts int) {
	t.Helper()
	c := tr.cast(t, m)
	tr.proxy.CutWhen(match)
	err := tr.insist(t, m, c, "lost "+tr.newName())
	cuts = tr.proxy.Cuts()
	tr.proxy.CutWhen(nil)
	if err != nil {
		t.Fatalf("%s without %s: %v", m.name, what, err)
	}
	return cuts
}
