package worldpaysandbox_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// receiver is a merchant's notification endpoint.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	list     []document
	refuse   int    // answers to that many notifications with the reply below
	reply    string // instead of [OK]
	arrivals chan struct{}
}

func (b *bundle) listen() {
	r := &receiver{arrivals: make(chan struct{}, 10_000), reply: "thank you"}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			b.t.Errorf("read a notification: %v", err)
		}
		if kind := req.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/xml") {
			b.t.Errorf("a notification is %q", kind)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.refuse > 0 {
			r.refuse--
			_, _ = io.WriteString(w, r.reply)
			return
		}
		r.list = append(r.list, read(b.t, raw))
		_, _ = io.WriteString(w, "[OK]\n")
		r.arrivals <- struct{}{}
	}))
	b.t.Cleanup(r.Close)
	b.hook = r
}

// wait returns the notifications once there are n of them.
func (r *receiver) wait(t *testing.T, n int) []document {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		all := append([]document(nil), r.list...)
		r.mu.Unlock()
		if len(all) >= n {
			return all
		}
		select {
		case <-r.arrivals:
		case <-deadline:
			t.Fatalf("%d notifications never came; got %s", n, types(all))
		}
	}
}

func (r *receiver) refusing(n int, reply string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse, r.reply = n, reply
}

// types are the orders and journal types of notifications as they came.
func types(all []document) string {
	var out []string
	for _, d := range all {
		out = append(out, d.Event.Journal.Type)
	}
	return strings.Join(out, " ")
}
