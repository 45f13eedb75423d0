package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"purser/config"
	"purser/graph/transport"
)

// newLogger returns the program's log: text for people, one JSON object a
// line for programs. Every line says which request it belongs to.
func newLogger(w io.Writer, format config.LogFormat, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == config.LogJSON {
		return slog.New(requestHandler{slog.NewJSONHandler(w, options)})
	}
	return slog.New(requestHandler{slog.NewTextHandler(w, options)})
}

// requestHandler adds the request's id to lines that were written while a
// request was served and do not name it themselves.
type requestHandler struct{ slog.Handler }

const requestIDAttr = "request_id"

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := transport.RequestID(ctx); id != "" {
		named := false
		r.Attrs(func(a slog.Attr) bool {
			named = a.Key == requestIDAttr
			return !named
		})
		if !named {
			r.AddAttrs(slog.String(requestIDAttr, id))
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}

// withRequestIDs gives every request an id, the caller's where it has one, and
// writes one log line per request. The line names the route and not the
// address: addresses of webhooks, returns and documents are credentials, and
// query strings hold what a gateway says about people. The API's own line is
// written where its operations are known.
func withRequestIDs(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = transport.TakeRequestID(w, r)
		counting := &statusWriter{ResponseWriter: w}
		start := time.Now()
		defer func() {
			log.Log(r.Context(), accessLevel(r), "request",
				slog.String("method", r.Method),
				slog.String("route", r.Pattern),
				slog.Int("status", counting.answered()),
				slog.Int64("bytes", counting.bytes),
				slog.Duration("duration", time.Since(start)))
		}()
		next.ServeHTTP(counting, r)
	})
}

// accessLevel keeps what is asked again and again, and what has a line of its
// own, out of the way.
func accessLevel(r *http.Request) slog.Level {
	switch route := r.Pattern; {
	case strings.HasSuffix(route, pathGraphQL), strings.HasSuffix(route, pathHealth), strings.HasSuffix(route, pathReady),
		strings.HasSuffix(route, pathMetrics), strings.Contains(route, pathSandbox), strings.Contains(route, pathWorldpay):
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// statusWriter remembers what was answered.
type statusWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 || w.status < http.StatusOK {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController, and through it streams and sockets,
// the writer underneath.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *statusWriter) answered() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}
