package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// file is one answer, plain and compressed, with the headers that go with it.
type file struct {
	contentType  string
	cacheControl string
	etag         string // without quotes; the compressed form adds a suffix
	plain        []byte
	gzipped      func() []byte // compresses at the first call, then remembers
}

func newFile(name, cacheControl string, body []byte) *file {
	sum := sha256.Sum256(body)
	return &file{
		contentType:  contentType(name),
		cacheControl: cacheControl,
		etag:         hex.EncodeToString(sum[:12]),
		plain:        body,
		gzipped:      sync.OnceValue(func() []byte { return compress(body) }),
	}
}

// staticFile reads an embedded file. That it is there was checked when the
// program was compiled.
func staticFile(name, cacheControl string) *file {
	body, err := static.ReadFile("static/" + name)
	if err != nil {
		panic(fmt.Sprintf("read an embedded file: %v", err))
	}
	return newFile(name, cacheControl, body)
}

// assetNames are the files under static/assets.
func assetNames() []string {
	entries, err := static.ReadDir("static/assets")
	if err != nil {
		panic(fmt.Sprintf("list the embedded files: %v", err))
	}
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// ServeHTTP answers GET and HEAD, 304 where the client has the content.
func (f *file) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", f.cacheControl)
	h.Set("Vary", "Accept-Encoding")
	body, etag := f.plain, f.etag
	if acceptsGzip(r.Header.Values("Accept-Encoding")) {
		body, etag = f.gzipped(), f.etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", strconv.Quote(etag))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// acceptsGzip tells whether one of the headers names gzip and does not refuse
// it by a weight of zero.
func acceptsGzip(headers []string) bool {
	for _, header := range headers {
		for coding := range strings.SplitSeq(header, ",") {
			name, params, _ := strings.Cut(coding, ";")
			if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
				continue
			}
			weight, isWeight := strings.CutPrefix(strings.TrimSpace(params), "q=")
			if !isWeight {
				return true
			}
			q, err := strconv.ParseFloat(weight, 64)
			return err == nil && q > 0
		}
	}
	return false
}

// compress cannot fail: a buffer takes every write.
func compress(body []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		panic(fmt.Sprintf("compress into memory: %v", err))
	}
	if err := w.Close(); err != nil {
		panic(fmt.Sprintf("compress into memory: %v", err))
	}
	return out.Bytes()
}

// contentType names the types of the files the page consists of, not asking
// the operating system's tables: with nosniff, a script or style sheet of
// another type is refused by the browser.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".json":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	default:
		return "application/octet-stream"
	}
}
