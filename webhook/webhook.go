// Package webhook is the front door for what comes from outside of GraphQL:
// the gateways' events and the browsers that return from hosted pages.
//
// Both only say that something happened. An event is verified, stored and
// answered; then its object is read again at the gateway, and what the
// gateway says is applied. A returning browser starts the same reading of the
// payment it belongs to; nothing in its address is believed.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"purser/auth"
	"purser/billing"
	"purser/crash"
	"purser/gateway"
	"purser/language"
)

// Config is what the front door needs.
type Config struct {
	Billing  *billing.Service
	Gateways gateway.Directory
	Logger   *slog.Logger
}

// Bounds of one delivery.
const (
	bodyMax       = 1 << 20
	verifyTimeout = 5 * time.Second
	// callTimeout is how long the gateway may take to say how an object stands.
	callTimeout = 30 * time.Second
)

// Handler serves POST /webhooks/{organization}/{path},
// POST /webhooks/global/{path}, GET /personal-data/{organization}/{token},
// GET /return/{organization}/{payment}/{outcome},
// GET /thanks/{organization}/{payment},
// GET and POST /invoices/{organization}/{token},
// GET and POST /quotes/{organization}/{token} and
// GET /documents/{organization}/{kind}/{file}.
type Handler struct {
	Config
	mux      *http.ServeMux
	applying lanes
	// drawing has a place for each document that is being drawn.
	drawing chan struct{}
	// exporting has a place for each export that is being written.
	exporting chan struct{}
}

// New returns the front door.
func New(c Config) *Handler {
	h := &Handler{Config: c, mux: http.NewServeMux(), drawing: make(chan struct{}, drawnAtOnce), exporting: make(chan struct{}, exportedAtOnce)}
	h.mux.HandleFunc("POST /webhooks/{organization}/{path}", h.event)
	h.mux.HandleFunc("POST /webhooks/global/{path}", h.globalEvent)
	for pattern, show := range map[string]http.HandlerFunc{
		"GET /personal-data/{organization}/{token}":      h.export,
		"GET /return/{organization}/{payment}/{outcome}": h.returned,
		"GET /thanks/{organization}/{payment}":           h.thanks,
		"GET /invoices/{organization}/{token}":           h.invoice,
		"POST /invoices/{organization}/{token}":          h.payInvoice,
		"GET /quotes/{organization}/{token}":             h.quote,
		"POST /quotes/{organization}/{token}":            h.acceptQuote,
		"GET /documents/{organization}/{kind}/{file}":    h.document,
		"GET /thanks/": h.nothing, "GET /invoices/": h.nothing, "GET /quotes/": h.nothing, "GET /documents/": h.nothing, "GET /return/": h.nothing, "GET /personal-data/": h.nothing,
	} {
		h.mux.HandleFunc(pattern, reading(show))
	}
	return h
}

// reading tells a page of who reads it: of the languages that the browser asks
// for.
func reading(show http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		show(w, r.WithContext(language.Accepting(r.Context(), r.Header.Get("Accept-Language"))))
	}
}

// ServeHTTP implements http.Handler. An address that no database could hold is
// nobody's, and would be a database's trouble where it was looked for.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !utf8.ValidString(r.URL.Path) || strings.IndexByte(r.URL.Path, 0) >= 0 {
		reading(h.nothing)(w, r)
		return
	}
	h.mux.ServeHTTP(w, r)
}

// event takes a delivery: 200 once it is stored, 400 for a forged or broken
// one, 404 for an unknown address, 413 for one too large, 422 while the
// provider has no signing secret, 500 when it could not be stored, so that it
// comes again.
func (h *Handler) event(w http.ResponseWriter, r *http.Request) {
	ctx, err := h.Billing.Inside(r.Context(), "webhook", r.PathValue("organization"))
	var target *billing.WebhookTarget
	if err == nil {
		target, err = h.Billing.WebhookTarget(ctx, r.PathValue("path"))
	}
	h.take(ctx, w, r, target, err)
}

// globalEvent takes a delivery for an account of the operator's. What no
// organization has made there is answered with 200 and not kept.
func (h *Handler) globalEvent(w http.ResponseWriter, r *http.Request) {
	target, err := h.Billing.GlobalWebhookTarget(r.Context(), r.PathValue("path"))
	h.take(r.Context(), w, r, target, err)
}

// take answers a delivery to an address whose target was looked up.
func (h *Handler) take(ctx context.Context, w http.ResponseWriter, r *http.Request, target *billing.WebhookTarget, err error) {
	switch {
	case isNotFound(err):
		h.refuse(w, r, http.StatusNotFound, "there is no such webhook address", err)
		return
	case err != nil:
		h.refuse(w, r, http.StatusInternalServerError, "try again", err)
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			h.refuse(w, r, http.StatusRequestEntityTooLarge, "the event is larger than 1 MiB", err)
			return
		}
		h.refuse(w, r, http.StatusBadRequest, "the event could not be read", err)
		return
	}
	ctx, id, status, text, err := h.store(ctx, target, raw, r.Header)
	if err != nil {
		h.refuse(w, r, status, text, err)
		return
	}
	heard := h.acknowledgement(target.Kind)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(heard)))
	// Who delivers must not wait with the next event, on the same connection,
	// until this one is applied.
	w.Header().Set("Connection", "close")
	if _, err := io.WriteString(w, heard); err != nil {
		h.Logger.DebugContext(ctx, "webhook answer", "error", err)
	}
	// The answer leaves now: what follows is ours to repeat, not the
	// gateway's.
	if err := http.NewResponseController(w).Flush(); err != nil {
		h.Logger.DebugContext(ctx, "webhook answer", "error", err)
	}
	if id == "" {
		return
	}
	crash.Point(crash.EventStored)
	lane := target.ProviderID + target.GlobalProviderID
	if !h.applying.enter(lane) {
		return // jobs take it from the table
	}
	defer h.applying.leave(lane)
	if err := h.Apply(context.WithoutCancel(ctx), id); err != nil {
		h.Logger.WarnContext(ctx, "event not applied yet", "event_id", id, "error", err)
	}
}

// isNotFound: an unknown organization and an unknown path get one answer.
func isNotFound(err error) bool {
	var refusal *billing.Error
	return errors.Is(err, auth.ErrNotFound) || (errors.As(err, &refusal) && refusal.Code == billing.CodeNotFound)
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, text string, err error) {
	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	h.Logger.Log(r.Context(), level, "webhook refused", "status", status, "error", err)
	http.Error(w, text, status)
}

// store verifies a delivery and keeps it. id is empty when it was settled
// before, or is nobody's; inside is a context in the organization whose it is.
func (h *Handler) store(outer context.Context, t *billing.WebhookTarget, raw []byte, header http.Header) (inside context.Context, id string, status int, text string, err error) {
	ctx, cancel := context.WithTimeout(outer, verifyTimeout)
	defer cancel()
	if notifications, ok := gateway.Capability[gateway.Notifications](h.Gateways, t.Kind); ok {
		return h.storeUnsigned(ctx, outer, t, notifications, raw)
	}
	events, ok := gateway.Capability[gateway.Events](h.Gateways, t.Kind)
	if !ok {
		return outer, "", http.StatusNotFound, "this provider sends no events", errors.New("no events")
	}
	e, err := events.VerifyEvent(raw, header, t.Secrets, h.Billing.Now())
	switch {
	case errors.Is(err, gateway.ErrNoSecret):
		return outer, "", http.StatusUnprocessableEntity, "the provider has no webhook signing secret yet: set it with providerUpdate", err
	case errors.Is(err, gateway.ErrSignature):
		return outer, "", http.StatusBadRequest, "the signature does not fit: check the provider's webhook signing secret and the clock", err
	case err != nil:
		return outer, "", http.StatusBadRequest, "the body is not an event", err
	}
	if e.Live != t.Live {
		return outer, "", http.StatusBadRequest, "the event is of another environment than the provider's", errors.New("environment differs")
	}
	return h.keep(ctx, outer, t, e)
}

// keep stores a verified event with the organization whose it is.
func (h *Handler) keep(ctx, outer context.Context, t *billing.WebhookTarget, e gateway.Event) (inside context.Context, id string, status int, text string, err error) {
	inside, providerID := outer, t.ProviderID
	if t.GlobalProviderID != "" {
		if inside, providerID, err = h.Billing.EventOwner(outer, "webhook", t.GlobalProviderID, e.Object); err != nil {
			return outer, "", http.StatusInternalServerError, "try again", err
		}
		if providerID == "" {
			return outer, "", http.StatusOK, "", nil
		}
	}
	ctx = auth.NewContext(ctx, auth.FromContext(inside)) // with its own limit
	if id, err = h.Billing.StoreEvent(ctx, providerID, e); err != nil {
		return outer, "", http.StatusInternalServerError, "try again", err
	}
	return inside, id, http.StatusOK, "", nil
}

// storeUnsigned keeps a delivery that nobody has signed: its address is secret,
// and what it says counts only when the gateway repeats it. One about an object
// that is none of ours is heard as well, since others would wait behind it.
func (h *Handler) storeUnsigned(ctx, outer context.Context, t *billing.WebhookTarget, n gateway.Notifications, raw []byte) (inside context.Context, id string, status int, text string, err error) {
	e, err := n.ParseNotification(raw)
	if err != nil {
		return outer, "", http.StatusBadRequest, "the body is not a notification", err
	}
	return h.keep(ctx, outer, t, e)
}

// acknowledgement is what a gateway wants to hear of a delivery.
func (h *Handler) acknowledgement(kind gateway.Kind) string {
	if n, ok := gateway.Capability[gateway.Notifications](h.Gateways, kind); ok {
		return n.Acknowledgement()
	}
	return "ok\n"
}

// Apply reads the object of a stored event again and applies what the gateway
// says of it. It may be called any number of times and by anybody; it is also
// the function that jobs use.
func (h *Handler) Apply(ctx context.Context, eventID string) error {
	e, err := h.Billing.ClaimEvent(ctx, eventID)
	if err != nil || e == nil {
		return err
	}
	crash.Point(crash.EventClaimed)
	cause := e.Unclaimed()
	if cause == nil {
		cause = h.applyCaught(ctx, e)
	}
	crash.Point(crash.EventApplied)
	if err := h.Billing.FinishEvent(ctx, e.EventID, cause); err != nil {
		return err
	}
	if errors.Is(cause, billing.ErrForeign) || billing.IsWaiting(cause) {
		return nil
	}
	return cause
}

// applyCaught is apply with a time of its own, in which a panic is an error:
// it counts as a try, so that the event is not taken up for ever.
func (h *Handler) applyCaught(ctx context.Context, e *billing.EventToApply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			h.Logger.ErrorContext(ctx, "applying an event panicked", "event_id", e.EventID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	return h.apply(ctx, e)
}

func (h *Handler) apply(ctx context.Context, e *billing.EventToApply) error {
	switch e.Object.Kind {
	case gateway.ObjectPayment:
		// A card refused on a page that is still open is not the payment's
		// end: the page knows, where there is one.
		due, err := h.Billing.PaymentToCheck(ctx, e.Subject)
		if err != nil {
			return err
		}
		page := ""
		if due != nil {
			page = due.ReferenceID
		}
		r := h.Gateways.FetchPayment(ctx, e.Account, page, e.Object.ID)
		if r.Silent() {
			return errUnread
		}
		if e.Settled {
			if err := h.Billing.ApplyRefusal(ctx, e.Subject, r); err != nil {
				return err
			}
		}
		if err := h.Billing.ApplyPayment(ctx, e.Subject, r); err != nil || e.Saved == nil {
			return err
		}
		return h.Billing.KeepSavedCard(ctx, e.Subject, *e.Saved)
	case gateway.ObjectHosted:
		r := h.Gateways.FetchPayment(ctx, e.Account, e.Object.ID, "")
		return applied(r.Outcome, h.Billing.ApplyPayment(ctx, e.Subject, r))
	case gateway.ObjectInvoice:
		r := h.Gateways.FetchInvoice(ctx, e.Account, e.Object.ID)
		return applied(r.Outcome, h.Billing.ApplyInvoice(ctx, e.Subject, r))
	case gateway.ObjectSetup:
		r := h.Gateways.FetchSetup(ctx, e.Account, e.Object.ID)
		return applied(r.Outcome, h.Billing.ApplyCard(ctx, e.Subject, r))
	case gateway.ObjectCard:
		r := h.Gateways.FetchCard(ctx, e.Account, e.Object.ID)
		return applied(r.Outcome, h.Billing.ApplyCardUpdate(ctx, e.Subject, r))
	case gateway.ObjectCustomer:
		r := h.Gateways.FetchCustomer(ctx, e.Account, e.Object.ID)
		return applied(r.Outcome, h.Billing.ApplyCustomer(ctx, e.Account.ProviderID, e.Subject, r))
	case gateway.ObjectRefund:
		var r gateway.RefundResult
		if e.Told != nil {
			r = h.Gateways.ConfirmRefund(ctx, e.Account, e.Object.PaymentID, *e.Told)
		} else {
			r = h.Gateways.FetchRefund(ctx, e.Account, gateway.RefundRequest{GatewayPaymentID: e.Object.PaymentID}, e.Object.ID)
		}
		return applied(r.Outcome, h.Billing.ApplyRefund(ctx, e.Subject, e.Object.Subject, r))
	case gateway.ObjectRefunds:
		all := h.Gateways.FetchRefunds(ctx, e.Account, e.Object.PaymentID)
		for _, r := range all.Refunds {
			if err := h.Billing.ApplyRefund(ctx, e.Subject, r.Subject, r.RefundResult); err != nil {
				return err
			}
		}
		return applied(all.Outcome, nil)
	case gateway.ObjectDispute:
		var r gateway.DisputeResult
		if e.Told != nil {
			r = h.Gateways.ConfirmDispute(ctx, e.Account, e.Object.PaymentID, *e.Told)
		} else {
			r = h.Gateways.FetchDispute(ctx, e.Account, e.Object.ID)
		}
		return applied(r.Outcome, h.Billing.ApplyDispute(ctx, e.Subject, r))
	case gateway.ObjectQuote:
		r := h.Gateways.FetchQuote(ctx, e.Account, e.Object.ID)
		return applied(r.Outcome, h.Billing.ApplyQuote(ctx, e.Subject, r))
	default:
		return billing.ErrForeign
	}
}

// errUnread says that an event's object could not be read again. The event
// may be the only one that ever tells of its object: a payment that failed
// here is not asked for any more, so it must not count as applied.
var errUnread = errors.New("the gateway did not say how the object stands")

// applied is the error of applying what was read, or errUnread.
func applied(read gateway.Outcome, err error) error {
	switch {
	case err != nil || read.Known():
		return err
	case read.Failure != nil && read.Failure.Code == gateway.CodeUnconfirmed:
		return fmt.Errorf("%w: %s", billing.ErrUnconfirmed, read.Failure.Message)
	}
	return errUnread
}
