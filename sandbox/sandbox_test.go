package sandbox_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"purser/sandbox"
)

func TestDBRemembersItsSteps(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "odd name#?%.db")
	steps := []string{"CREATE TABLE a (n INTEGER)", "INSERT INTO a VALUES (1)"}
	for _, schema := range [][]string{steps[:1], steps, steps} {
		db, err := sandbox.OpenDB(t.Context(), path, schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sandbox.OpenDB(t.Context(), path, steps)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n); err != nil || n != 1 {
		t.Errorf("the second step ran %d times (%v)", n, err)
	}
	boom := errors.New("boom")
	err = db.InTx(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(t.Context(), "DELETE FROM a"); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("the error is %v", err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = db.InTx(t.Context(), func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(t.Context(), "DELETE FROM a"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM a").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows are left (%v), want 1", n, err)
	}
	var level int
	if err := db.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&level); err != nil || level != 2 {
		t.Errorf("synchronous is %d (%v), want 2, which is FULL", level, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if _, err := sandbox.OpenDB(t.Context(), path, steps[:1]); err == nil {
		t.Error("a file newer than the program was opened")
	}
	if _, err := sandbox.OpenDB(t.Context(), "", []string{"nonsense"}); err == nil {
		t.Error("a step that does not apply was accepted")
	}
}

func TestRandomTextIsEvenAndReproducible(t *testing.T) {
	t.Parallel()
	counts := map[rune]int{}
	text, err := sandbox.NewRandom(nil).Text(62_000)
	if err != nil || len(text) != 62_000 {
		t.Fatalf("%d characters, %v", len(text), err)
	}
	for _, c := range text {
		counts[c]++
	}
	for c, n := range counts {
		if n < 800 || n > 1200 { // 1000 expected, standard deviation 31
			t.Errorf("%c came %d times in 62000", c, n)
		}
	}
	if len(counts) != 62 {
		t.Errorf("%d different characters, want 62", len(counts))
	}
	a, errA := sandbox.NewRandom(strings.NewReader(strings.Repeat("seed", 20))).Text(24)
	b, errB := sandbox.NewRandom(strings.NewReader(strings.Repeat("seed", 20))).Text(24)
	if a != b || errA != nil || errB != nil {
		t.Errorf("one source gave %q and %q (%v, %v)", a, b, errA, errB)
	}
	if _, err := sandbox.NewRandom(strings.NewReader("")).Text(1); err == nil {
		t.Error("an exhausted source gave a text")
	}
}

func TestFaultsAreLimitedAndCounted(t *testing.T) {
	t.Parallel()
	var f sandbox.Faults
	if _, err := f.AddRequest(sandbox.RequestFault{Account: "a", Method: "post", Path: "/v1/x", Skip: 1, Count: 2, Action: sandbox.ActionReset}); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		account, method, path string
		want                  bool
	}{
		{"b", "POST", "/v1/x", false},
		{"a", "GET", "/v1/x", false},
		{"a", "POST", "/v1/y", false},
		{"a", "POST", "/v1/x", false}, // skipped
		{"a", "POST", "/v1/x/1", true},
		{"a", "POST", "/v1/x", true},
		{"a", "POST", "/v1/x", false},
	} {
		if _, struck := f.StrikeRequest(c.account, c.method, c.path); struck != c.want {
			t.Errorf("request %d struck: %t, want %t", i, struck, c.want)
		}
	}
	for range 1000 {
		if _, err := f.AddDelivery(sandbox.DeliveryFault{Action: sandbox.ActionDrop}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.AddRequest(sandbox.RequestFault{Action: sandbox.ActionReset}); err == nil {
		t.Error("there is no limit to the number of faults")
	}
	if n := f.Remove("", ""); n != 1000 {
		t.Errorf("%d faults removed, want 1000", n)
	}
}

// TestPDFIsWellFormed checks the table of offsets, which is what readers need.
func TestPDFIsWellFormed(t *testing.T) {
	t.Parallel()
	var lines []sandbox.PDFLine
	for i := range 100 {
		lines = append(lines, sandbox.PDFLine{Left: fmt.Sprintf("Line %d (é) \\ €", i), Right: "1.00 EUR"})
	}
	pdf := sandbox.PDF("Title", lines)
	at := bytes.LastIndex(pdf, []byte("startxref\n"))
	table, err := strconv.Atoi(strings.Fields(string(pdf[at:]))[1])
	if err != nil || !bytes.HasPrefix(pdf[table:], []byte("xref\n")) {
		t.Fatalf("startxref points to %d (%v)", table, err)
	}
	entries := regexp.MustCompile(`(\d{10}) 00000 n `).FindAllSubmatch(pdf[table:], -1)
	for i, e := range entries {
		offset, err := strconv.Atoi(string(e[1]))
		if err != nil || !bytes.HasPrefix(pdf[offset:], fmt.Appendf(nil, "%d 0 obj\n", i+1)) {
			t.Errorf("object %d is not at %d", i+1, offset)
		}
	}
	pages := bytes.Count(pdf, []byte("/Type /Page /Parent"))
	if want := 3; pages != want || len(entries) != 5+2*want {
		t.Errorf("%d pages and %d objects, want %d and %d", pages, len(entries), want, 5+2*want)
	}
	if !bytes.Contains(pdf, []byte("(Line 7 \\(\xe9\\) \\\\ \x80) Tj")) {
		t.Error("brackets or characters are not encoded")
	}
}

func TestPagesEscapeAndPolicy(t *testing.T) {
	t.Parallel()
	pages, err := sandbox.NewPages(`{{define "x"}}<p>{{.}}</p>{{end}}`, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaves := range []bool{false, true} {
		w := httptest.NewRecorder()
		if err := pages.Write(w, sandbox.Page{Title: "<t>", Template: "x", Data: "<script>", Leaves: leaves, Status: http.StatusTeapot}); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusTeapot || strings.Contains(w.Body.String(), "<script>") || strings.Contains(w.Body.String(), "<t>") {
			t.Errorf("the page is %d %s", w.Code, w.Body)
		}
		policy := w.Header().Get("Content-Security-Policy")
		_, style, _ := strings.Cut(w.Body.String(), "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		hash := sha256.Sum256([]byte(style))
		if !strings.Contains(policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'") {
			t.Errorf("the policy does not allow the page's own style: %s", policy)
		}
		if strings.HasSuffix(policy, "form-action 'self' http: https:") != leaves {
			t.Errorf("the policy of a page that leaves=%t is %s", leaves, policy)
		}
	}
	if err := pages.Write(httptest.NewRecorder(), sandbox.Page{Template: "absent"}); err == nil {
		t.Error("a page without a template was written")
	}
	if _, err := sandbox.NewPages("{{", nil); err == nil {
		t.Error("a broken template was accepted")
	}
}

func TestQueueGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	db, err := sandbox.OpenDB(t.Context(), "", []string{sandbox.QueueSchema})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	asked := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	q := newQueue(db, func(_ context.Context, d sandbox.Delivery) (*http.Request, error) {
		asked <- struct{}{}
		if d.Target == "gone" {
			return nil, nil
		}
		return nil, errors.New("no address")
	})
	err = db.InTx(t.Context(), func(tx *sql.Tx) error {
		return errors.Join(q.Enqueue(t.Context(), tx, "a", "gone", "e1", "k"), q.Enqueue(t.Context(), tx, "a", "broken", "e2", "k"))
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- q.Run(ctx) }()
	<-asked
	<-asked
	deadline := time.Now().Add(20 * time.Second)
	for abandoned := 0; abandoned < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the deliveries were never given up")
		}
		list, err := q.List(t.Context(), "a", 10)
		if err != nil {
			t.Fatal(err)
		}
		abandoned = 0
		for _, d := range list {
			if d.State == "ABANDONED" {
				abandoned++
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func newQueue(db *sandbox.DB, prepare func(context.Context, sandbox.Delivery) (*http.Request, error)) *sandbox.Queue {
	return sandbox.NewQueue(sandbox.QueueConfig{
		DB: db, Faults: &sandbox.Faults{}, GiveUpAfter: time.Nanosecond, Logger: slog.New(slog.DiscardHandler), Prepare: prepare, RetryBase: time.Millisecond,
	})
}
