package webhook

import (
	"bytes"
	"mime"
	"net/http"
	"strings"
	"time"
)

// drawnAtOnce bounds how many documents are drawn at the same time, so that
// links which are opened by many leave room for everything else.
const drawnAtOnce = 4

// document serves the PDF of a quote or an invoice to whoever has its
// unguessable link.
func (h *Handler) document(w http.ResponseWriter, r *http.Request) {
	token, isPDF := strings.CutSuffix(r.PathValue("file"), ".pdf")
	ctx, err := h.Billing.Inside(r.Context(), "document", r.PathValue("organization"))
	if !isPDF || isNotFound(err) {
		http.Error(w, "There is no such document.", http.StatusNotFound)
		return
	}
	var name string
	var file []byte
	if err == nil {
		select {
		case h.drawing <- struct{}{}:
			name, file, err = h.Billing.Document(ctx, r.PathValue("kind"), token)
			<-h.drawing
		case <-ctx.Done():
			return
		}
	}
	switch {
	case isNotFound(err):
		http.Error(w, "There is no such document.", http.StatusNotFound)
		return
	case err != nil:
		h.Logger.ErrorContext(ctx, "document not drawn", "error", err)
		http.Error(w, "The document cannot be drawn now. Try again.", http.StatusInternalServerError)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "application/pdf")
	head.Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": name}))
	head.Set("Cache-Control", "private, no-cache")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Robots-Tag", "noindex")
	head.Set("Referrer-Policy", "no-referrer")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
}
