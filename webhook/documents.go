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
	if !isPDF {
		h.nothing(w, r)
		return
	}
	ctx, err := h.Billing.Inside(r.Context(), "document", r.PathValue("organization"))
	if err != nil {
		h.missing(r.Context(), w, "document", err)
		return
	}
	var name string
	var file []byte
	select {
	case h.drawing <- struct{}{}:
		name, file, err = h.Billing.Document(ctx, r.PathValue("kind"), token)
		<-h.drawing
	case <-ctx.Done():
		return
	}
	if err != nil {
		h.missing(ctx, w, "document", err)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "application/pdf")
	head.Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": name}))
	private(head)
	head.Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
}
