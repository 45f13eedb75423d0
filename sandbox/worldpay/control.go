package worldpaysandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"purser/sandbox"
)

// State is everything about money of one merchant, oldest first: what tests
// compare with the books of the product.
type State struct {
	Merchant string  `json:"merchant"`
	Orders   []Order `json:"orders"`
	Tokens   []Token `json:"tokens"`
}

// Inspect returns the state of a merchant, from one moment.
func (s *Server) Inspect(ctx context.Context, merchant string) (State, error) {
	state := State{Merchant: merchant}
	err := s.inTx(ctx, merchant, func(t *tx) error {
		var err error
		if state.Orders, err = list[Order](t, "orders"); err != nil {
			return err
		}
		state.Tokens, err = list[Token](t, "tokens")
		return err
	})
	return state, err
}

// Deliveries returns the newest deliveries of a merchant, oldest first, at
// most limit.
func (s *Server) Deliveries(ctx context.Context, merchant string, limit int) ([]sandbox.Delivery, error) {
	return s.queue.List(ctx, merchant, limit)
}

const deliveriesShown = 1000

// control serves one control endpoint of a merchant: JSON in, JSON out.
type control func(r *http.Request, merchant string, body []byte) (any, error)

// controlRoutes adds the switches and views for tests. They take the login of
// the merchant like the service does, and reach no other merchant.
func (s *Server) controlRoutes(mux *http.ServeMux) {
	mux.HandleFunc("PUT /_sandbox/merchants/{code}", s.putMerchant)
	for pattern, serve := range map[string]control{
		"GET /_sandbox/state": func(r *http.Request, merchant string, _ []byte) (any, error) {
			return s.Inspect(r.Context(), merchant)
		},
		"GET /_sandbox/deliveries": func(r *http.Request, merchant string, _ []byte) (any, error) {
			all, err := s.Deliveries(r.Context(), merchant, deliveriesShown)
			return map[string]any{"deliveries": all}, err
		},
		"GET /_sandbox/faults": func(_ *http.Request, merchant string, _ []byte) (any, error) {
			requests, deliveries := s.faults.List(merchant)
			return map[string]any{"requests": requests, "deliveries": deliveries}, nil
		},
		"POST /_sandbox/faults/requests":   s.addRequestFault,
		"POST /_sandbox/faults/deliveries": s.addDeliveryFault,
		"DELETE /_sandbox/faults":          s.removeFaults,
		"DELETE /_sandbox/faults/{id}":     s.removeFaults,
		"POST /_sandbox/notifications/{id}/resend": func(r *http.Request, merchant string, _ []byte) (any, error) {
			return map[string]any{"resent": r.PathValue("id")}, s.ResendNotification(r.Context(), merchant, r.PathValue("id"))
		},
		"POST /_sandbox/orders/{code}/events": func(r *http.Request, merchant string, body []byte) (any, error) {
			var h Happening
			if err := decode(body, &h); err != nil {
				return nil, err
			}
			return map[string]any{"happened": h.Type}, s.Happen(r.Context(), merchant, r.PathValue("code"), h)
		},
		"POST /_sandbox/tokens/{id}": func(r *http.Request, merchant string, body []byte) (any, error) {
			var in struct {
				Outcome string `json:"outcome"`
			}
			if err := decode(body, &in); err != nil {
				return nil, err
			}
			return map[string]any{"outcome": in.Outcome}, s.SetTokenOutcome(r.Context(), merchant, r.PathValue("id"), in.Outcome)
		},
		"GET /_sandbox/clock":  s.clockView,
		"POST /_sandbox/clock": s.advanceClock,
	} {
		mux.HandleFunc(pattern, s.controlled(serve))
	}
}

func (s *Server) controlled(serve control) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		m, err := s.login(r)
		switch {
		case err != nil:
			s.config.Logger.Error("serving a control endpoint", "error", err)
			sendJSON(w, http.StatusInternalServerError, problemJSON("internal error"))
			return
		case m == nil:
			unauthorized(w)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formMax))
		if err != nil {
			sendJSON(w, http.StatusBadRequest, problemJSON("the request body could not be read"))
			return
		}
		result, err := serve(r.WithContext(context.WithoutCancel(r.Context())), m.Code, body)
		if err != nil {
			sendJSON(w, http.StatusBadRequest, problemJSON(err.Error()))
			return
		}
		sendJSON(w, http.StatusOK, result)
	}
}

// putMerchant makes a merchant, or replaces the settings of the one whose
// login it carries.
func (s *Server) putMerchant(w http.ResponseWriter, r *http.Request) {
	ctx := context.WithoutCancel(r.Context())
	former, err := s.merchantWhere(ctx, "code", r.PathValue("code"))
	if err != nil {
		s.config.Logger.Error("serving a control endpoint", "error", err)
		sendJSON(w, http.StatusInternalServerError, problemJSON("internal error"))
		return
	}
	if former != nil {
		m, err := s.login(r)
		if err != nil || m == nil || m.Code != former.Code {
			unauthorized(w)
			return
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formMax))
	var m Merchant
	if err == nil {
		err = decode(body, &m)
	}
	if err == nil && m.Code != "" && m.Code != r.PathValue("code") {
		err = errors.New("the code in the address is another")
	}
	if err == nil {
		m.Code = r.PathValue("code")
		err = s.SetMerchant(ctx, m)
	}
	if err != nil {
		sendJSON(w, http.StatusBadRequest, problemJSON(err.Error()))
		return
	}
	sendJSON(w, http.StatusOK, map[string]any{"code": m.Code})
}

func (s *Server) addRequestFault(_ *http.Request, merchant string, body []byte) (any, error) {
	var f sandbox.RequestFault
	if err := decode(body, &f); err != nil {
		return nil, err
	}
	switch {
	case f.Store:
		return nil, errors.New("store goes with idempotency keys, which this service does not have")
	case f.Code != "" && !slices.Contains(errorCodes, f.Code):
		return nil, errors.New("code is none of the service's error codes, 1 to 13")
	case f.Code != "" && f.Status == 0:
		// An error of the service goes with 200; the switch wants some status.
		f.Status = http.StatusInternalServerError
	}
	f.Account = merchant
	id, err := s.faults.AddRequest(f)
	return map[string]any{"id": id}, err
}

var errorCodes = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13"}

func (s *Server) addDeliveryFault(_ *http.Request, merchant string, body []byte) (any, error) {
	var f sandbox.DeliveryFault
	if err := decode(body, &f); err != nil {
		return nil, err
	}
	f.Account = merchant
	id, err := s.faults.AddDelivery(f)
	return map[string]any{"id": id}, err
}

// removeFaults turns off the fault of the id in the address, or all without
// one, and sends what was held back.
func (s *Server) removeFaults(r *http.Request, merchant string, _ []byte) (any, error) {
	n := s.faults.Remove(merchant, r.PathValue("id"))
	return map[string]any{"removed": n}, s.queue.Release(r.Context(), merchant)
}

func (s *Server) clockView(r *http.Request, merchant string, _ []byte) (any, error) {
	now, err := s.Clock(r.Context(), merchant)
	return map[string]any{"now": now.Unix()}, err
}

func (s *Server) advanceClock(r *http.Request, merchant string, body []byte) (any, error) {
	var in struct {
		AdvanceSeconds int64 `json:"advance_seconds"`
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if in.AdvanceSeconds > int64(advanceMax/time.Second) {
		in.AdvanceSeconds = -1 // refused below, before it overflows
	}
	if err := s.AdvanceClock(r.Context(), merchant, time.Duration(in.AdvanceSeconds)*time.Second); err != nil {
		return nil, err
	}
	return s.clockView(r, merchant, nil)
}

// decode reads a JSON body; an unknown field is refused, because a misspelled
// switch would otherwise be a test that tests nothing.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return errors.New("the body is not the JSON that is expected: " + err.Error())
	}
	return nil
}

func problemJSON(text string) any { return map[string]any{"error": text} }

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="Payment service"`)
	sendJSON(w, http.StatusUnauthorized, problemJSON("the login is that of no merchant, or of another"))
}

func sendJSON(w http.ResponseWriter, status int, what any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	// A client that has left cannot be told.
	_ = e.Encode(what)
}
