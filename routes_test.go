package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"purser/config"
	"purser/migrations"
)

// TestReadiness holds that requests are sent here only between the start and
// the stop, while the database answers and has the tables of this program.
func TestReadiness(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Data = t.TempDir()
	db, err := openStorage(t.Context(), cfg, schemaPrepare)
	if err != nil {
		t.Fatal(err)
	}
	r := &readiness{db: db}
	handler := routes(doors{readiness: r, graphql: http.NotFoundHandler(), webhook: http.NotFoundHandler(), export: http.NotFoundHandler(), web: http.NotFoundHandler(), metrics: http.NotFoundHandler()},
		slog.New(slog.DiscardHandler))
	want := func(when string, path string, status int, text string) {
		t.Helper()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), text) {
			t.Errorf("%s, %s answers %d %s", when, path, w.Code, w.Body)
		}
	}
	want("before the start is finished", "/readyz", http.StatusServiceUnavailable, "starting or stopping")
	want("before the start is finished", "/healthz", http.StatusOK, "ok")
	r.serving.Store(true)
	want("serving", "/readyz", http.StatusOK, "ready")

	if db.files, err = nextMigrations(dialect.SQLite); err != nil {
		t.Fatal(err)
	}
	want("with tables of an older program", "/readyz", http.StatusServiceUnavailable, "migrations are pending")
	if db.files, err = migrations.Dir(dialect.SQLite); err != nil {
		t.Fatal(err)
	}
	r.serving.Store(false)
	want("stopping", "/readyz", http.StatusServiceUnavailable, "starting or stopping")
	r.serving.Store(true)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	want("without a database", "/readyz", http.StatusServiceUnavailable, "the database does not answer")
	want("without a database", "/healthz", http.StatusOK, "ok")
}

// TestStopWhilePreparing stops a server that is making its demo: that is no
// failure, and the next start goes on.
func TestStopWhilePreparing(t *testing.T) {
	t.Parallel()
	s := launchServer(t, serverOptions{})
	for {
		text, changed := s.output.read()
		if strings.Contains(text, "preparing demo data") {
			break
		}
		select {
		case <-changed:
		case <-s.ended:
			t.Fatalf("the server has ended: %v", s.err)
		}
	}
	s.Stop()
	again := startServer(t, serverOptions{Data: s.Data})
	var data struct{ Organization struct{ Name string } }
	again.Query(`{ organization { name } }`, nil, &data)
	if data.Organization.Name != "Demo Weather API" {
		t.Errorf("the demo is %q", data.Organization.Name)
	}
}

// failing is a writer whose reader has gone.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestHelpSaysThatNobodyReads(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--help"}, {"serve", "--help"}, {"version"}, {"schema", "print"}} {
		if err := run(t.Context(), args, nil, failing{}, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
