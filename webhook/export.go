package webhook

import (
	"mime"
	"net/http"
	"time"
)

// exportedAtOnce bounds how many exports are written at the same time: each
// reads everything that is kept about a payer.
const exportedAtOnce = 2

// exportPageTime is how long one page of an export may take, to be read and to
// be taken by whoever fetches it.
const exportPageTime = 30 * time.Second

// export serves everything that is kept about a payer to whoever has a link
// that is not too old. A document that could not be finished breaks off, so
// that nobody takes it for whole.
func (h *Handler) export(w http.ResponseWriter, r *http.Request) {
	ctx, err := h.Billing.Inside(r.Context(), "export", r.PathValue("organization"))
	if err != nil {
		h.missing(r.Context(), w, "export", err)
		return
	}
	select {
	case h.exporting <- struct{}{}:
		defer func() { <-h.exporting }()
	case <-ctx.Done():
		return
	}
	x, err := h.Billing.OpenPayerExport(ctx, r.PathValue("token"))
	if err != nil {
		h.missing(ctx, w, "export", err)
		return
	}
	head := w.Header()
	head.Set("Content-Type", "application/json; charset=utf-8")
	head.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": x.PayerID + ".json"}))
	private(head)
	control := http.NewResponseController(w)
	err = x.Write(ctx, w, func() {
		// A writer that knows no deadlines has none to extend.
		_ = control.SetWriteDeadline(time.Now().Add(exportPageTime))
	})
	if err != nil {
		h.Logger.WarnContext(ctx, "export broken off", "payer_id", x.PayerID, "error", err)
		panic(http.ErrAbortHandler)
	}
}
