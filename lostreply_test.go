package main

import (
	"bytes"
	"testing"

	"purser/testdb"
)

// lostRepliesMax is how many positions of one flow are tried where not all are.
const lostRepliesMax = 5

func isCommit(m testdb.Message) bool {
	return m.Kind == 'C' && bytes.HasPrefix(m.Body, []byte("COMMIT"))
}

// loss is one mutation whose replies are lost one by one.
type loss struct {
	*stack
	proxy *testdb.Proxy
	home  *cast
	move  move
	n     int
}

// undisturbed plays the mutation and counts the replies.
func (l *loss) undisturbed(t *testing.T) (replies, commits int) {
	t.Helper()
	c := *l.home
	if l.move.prepare != nil {
		l.move.prepare(t, l.stack, &c)
	}
	l.proxy.CutWhen(func(m testdb.Message) bool {
		if isCommit(m) {
			commits++
		}
		return false
	})
	if err := l.insist(t, l.move, &c, "undisturbed "+l.newName()); err != nil {
		t.Fatalf("%s: %v", l.move.name, err)
	}
	replies = l.proxy.Messages()
	l.proxy.CutWhen(nil)
	if commits == 0 {
		t.Fatalf("%s commits nothing", l.move.name)
	}
	return replies, commits
}

// at plays the mutation with the reply lost that matches.
func (l *loss) at(t *testing.T, what string, match func(testdb.Message) bool) {
	t.Helper()
	l.n++
	c := *l.home
	if l.move.prepare != nil {
		l.move.prepare(t, l.stack, &c)
	}
	l.proxy.CutWhen(match)
	err := l.insist(t, l.move, &c, "lost "+l.newName())
	l.proxy.CutWhen(nil)
	if err != nil {
		t.Fatalf("%s without %s: %v", l.move.name, what, err)
	}
}
