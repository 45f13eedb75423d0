package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"purser/database"
)

// The paths of the server.
const (
	pathGraphQL  = "/graphql"
	pathHealth   = "/healthz"
	pathReady    = "/readyz"
	pathMetrics  = "/metrics"
	pathSandbox  = "/sandbox/stripe"
	pathWorldpay = "/sandbox/worldpay"
	pathWebhooks = "/webhooks/"
	pathReturn   = "/return/"
	pathThanks   = "/thanks/"
	pathInvoices = "/invoices/"
	pathQuotes   = "/quotes/"
	pathDocument = "/documents/"
	pathExport   = "/export/"
	pathPersonal = "/personal-data/"
)

// doors are the handlers that the server's paths lead to.
type doors struct {
	graphql   http.Handler
	webhook   http.Handler
	export    http.Handler
	sandbox   http.Handler // nil where there is none of ours
	worldpay  http.Handler // likewise
	web       http.Handler
	metrics   http.Handler
	readiness *readiness
}

// routes leads every path to its handler, and logs.
func routes(d doors, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(pathGraphQL, d.graphql)
	mux.Handle(pathWebhooks, d.webhook)
	mux.Handle(pathReturn, d.webhook)
	mux.Handle(pathThanks, d.webhook)
	mux.Handle(pathInvoices, d.webhook)
	mux.Handle(pathQuotes, d.webhook)
	mux.Handle(pathDocument, d.webhook)
	mux.Handle(pathExport, d.export)
	mux.Handle(pathPersonal, d.webhook)
	if d.sandbox != nil {
		mux.Handle(pathSandbox+"/", http.StripPrefix(pathSandbox, d.sandbox))
	}
	if d.worldpay != nil {
		mux.Handle(pathWorldpay+"/", http.StripPrefix(pathWorldpay, d.worldpay))
	}
	mux.HandleFunc("GET "+pathHealth, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, "ok")
	})
	mux.Handle("GET "+pathReady, d.readiness)
	mux.Handle("GET "+pathMetrics, d.metrics)
	mux.Handle("/", d.web)
	return withRequestIDs(log, mux)
}

// readyTimeout bounds the questions to the database.
const readyTimeout = 2 * time.Second

// readiness answers whether requests should be sent here: while the database
// answers and has the tables that this program needs, and neither before the
// start is finished nor once the stop has begun.
type readiness struct {
	db      *storage
	serving atomic.Bool
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	ctx, cancel := context.WithTimeout(req.Context(), readyTimeout)
	defer cancel()
	if err := r.check(ctx); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ready")
}

// check says why requests should not be sent here; nil when they should. What
// a database says about itself is for the log, not for whoever asks.
func (r *readiness) check(ctx context.Context) error {
	if !r.serving.Load() {
		return errors.New("starting or stopping")
	}
	if err := r.db.Ping(ctx); err != nil {
		return errors.New("the database does not answer")
	}
	pending, err := database.Pending(ctx, r.db.Read, r.db.Dialect, r.db.files)
	switch {
	case errors.Is(err, database.ErrSchemaNewer):
		return errors.New("the database was migrated by a newer version of this program")
	case err != nil:
		return errors.New("the state of the migrations cannot be read")
	case len(pending) > 0:
		return errors.New("migrations are pending")
	}
	return nil
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// Whoever asked may have left.
	_, _ = io.WriteString(w, text+"\n")
}
