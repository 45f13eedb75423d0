package graph

import (
	"strings"
	"testing"
)

// FuzzNode looks objects up by ids that nobody made. On PostgreSQL, which
// refuses texts that SQLite takes, an id is either one that was made, or
// answered like any other unknown one, or refused in words; it never ends in
// an error of ours, and node and nodes agree.
func FuzzNode(f *testing.F) {
	w := newWorld(f, "postgres")
	own, other := w.fill(f, "alpha"), w.fill(f, "beta")
	for _, id := range own.ids {
		f.Add(id)
		f.Add(strings.ToUpper(id))
		f.Add(id + "\x00")
	}
	for _, id := range other.ids {
		f.Add(id)
	}
	for _, id := range []string{"", "_", "dev_", "dev", "\x00", "dev_\x00", "dev_'; DROP TABLE payers; --", "\u202edev_x", "dev_\xff", "zzz_1", strings.Repeat("dev_", 10_000)} {
		f.Add(id)
	}
	known := map[string]bool{}
	for _, id := range own.ids {
		known[id] = true
	}
	f.Fuzz(func(t *testing.T, id string) {
		one := w.ask(t, own.token, `query($id: ID!) { node(id: $id) { id } }`, map[string]any{"id": id})
		many := w.ask(t, own.token, `query($id: ID!) { nodes(ids: [$id]) { id } }`, map[string]any{"id": id})
		for _, got := range []*answer{one, many} {
			switch got.code() {
			case "", "BAD_USER_INPUT", "FORBIDDEN", "COMPLEXITY_LIMIT_EXCEEDED":
			default:
				t.Fatalf("%q: %s", id, got.Body)
			}
		}
		if one.code() != many.code() {
			t.Fatalf("%q: node answers %s, nodes %s", id, one.Body, many.Body)
		}
		if strings.Contains(one.Body, other.mark) {
			t.Fatalf("%q shows what is another organization's: %s", id, one.Body)
		}
		if found := one.code() == "" && string(one.Data["node"]) != "null"; found != known[id] {
			t.Fatalf("%q: found %t, want %t: %s", id, found, known[id], one.Body)
		}
	})
}
