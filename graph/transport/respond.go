package transport

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

const (
	mediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
	mediaEvents  = "text/event-stream"

	// gzipBytesMin is the size from which compressing saves more than it costs.
	gzipBytesMin = 1024
)

// answer is the JSON of a response. Unlike gqlgen's it leaves `data` out where
// nothing was executed, as GraphQL over HTTP wants it.
type answer struct {
	Errors     gqlerror.List   `json:"errors,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any  `json:"extensions,omitempty"`
}

// encode writes a response as JSON.
func (s *server) encode(ctx context.Context, resp *graphql.Response) []byte {
	b, err := json.Marshal(answer{Errors: resp.Errors, Data: resp.Data, Extensions: resp.Extensions})
	if err != nil {
		// A resolver registered an extension, or wrote data, that is not JSON.
		s.logger.ErrorContext(ctx, "graphql answer cannot be encoded",
			slog.String("request_id", RequestID(ctx)), slog.Any("error", err))
		return []byte(`{"errors":[{"message":"internal error","extensions":{"code":"` + CodeInternal + `"}}]}`)
	}
	return b
}

// choice is how a caller wants its answer.
type choice struct {
	// mediaType is that of an answer in one piece.
	mediaType string
	// events: it takes server-sent events, as a subscription needs them.
	events bool
	// eventsFirst: it prefers them, also for an answer in one piece.
	eventsFirst bool
}

// negotiate reads the header Accept. Of the two kinds of JSON it takes the one
// with the higher quality, and application/json where the caller has no
// preference, or none that can be met. Events must be named, and be wanted
// more than JSON, before a query is answered with them: clients that can do
// everything list everything, and would lose ETag, compression and status.
func negotiate(r *http.Request) choice {
	best := choice{mediaType: mediaJSON}
	bestQuality, eventQuality := 0.0, 0.0
	for mediaType, quality := range accepted(r.Header.Values("Accept")) {
		switch mediaType {
		case mediaGraphQL:
		case mediaJSON, "application/*", "*/*":
			mediaType = mediaJSON
		case mediaEvents:
			eventQuality = quality
			continue
		default:
			continue
		}
		if quality > bestQuality || (quality == bestQuality && quality > 0 && mediaType == mediaGraphQL) {
			best.mediaType, bestQuality = mediaType, quality
		}
	}
	best.events = eventQuality > 0
	best.eventsFirst = eventQuality > bestQuality
	return best
}

// accepted reads a header of the form of Accept: lower-case names with their
// quality.
func accepted(values []string) map[string]float64 {
	out := map[string]float64{}
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			name, parameters, _ := strings.Cut(part, ";")
			quality := 1.0
			for parameter := range strings.SplitSeq(parameters, ";") {
				key, text, _ := strings.Cut(strings.TrimSpace(parameter), "=")
				if strings.EqualFold(key, "q") {
					q, err := strconv.ParseFloat(text, 64)
					if err != nil || q < 0 || q > 1 {
						q = 0
					}
					quality = q
				}
			}
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				out[name] = max(out[name], quality)
			}
		}
	}
	return out
}

// fail answers with one error and no operation.
func (s *server) fail(w http.ResponseWriter, r *http.Request, e *Error) {
	list := gqlerror.List{e.gql()}
	mediaType := negotiate(r).mediaType
	shown := s.present(r.Context(), list[0])
	s.metrics.Operation("", "", e.Code, 0)
	s.write(w, r, statusOf(list, mediaType), mediaType, &graphql.Response{Errors: gqlerror.List{shown}})
}

// write sends a response.
func (s *server) write(w http.ResponseWriter, r *http.Request, status int, mediaType string, resp *graphql.Response) {
	body := s.encode(r.Context(), resp)
	h := w.Header()
	h.Add("Vary", "Accept")
	h.Add("Vary", "Accept-Encoding")
	h.Add("Vary", "Authorization")
	h.Set("Content-Type", mediaType+"; charset=utf-8")

	if r.Method == http.MethodGet && status == http.StatusOK && len(resp.Errors) == 0 {
		tag := etag(mediaType, resp)
		h.Set("ETag", tag)
		h.Set("Cache-Control", "private, no-cache")
		if matches(r.Header.Values("If-None-Match"), tag) {
			h.Del("Content-Type")
			w.WriteHeader(http.StatusNotModified)
			return
		}
	} else {
		h.Set("Cache-Control", "no-store")
	}

	if len(body) >= gzipBytesMin && accepted(r.Header.Values("Accept-Encoding"))["gzip"] > 0 {
		body = compress(body)
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// etag names what a query answered. It is weak and leaves the extensions out,
// because the points that are left differ every time.
func etag(mediaType string, resp *graphql.Response) string {
	h := sha256.New()
	writeText(h, mediaType)
	h.Write(resp.Data)
	return `W/"` + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18]) + `"`
}

// matches compares If-None-Match weakly.
func matches(values []string, tag string) bool {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			part = strings.TrimSpace(part)
			if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

// gzipWriters saves the 800 KiB that a new compressor allocates.
var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // only an unknown level is an error
	return w
}}

func compress(body []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(body) / 4)
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&out)
	_, _ = w.Write(body) // a bytes.Buffer takes everything
	_ = w.Close()
	return out.Bytes()
}
