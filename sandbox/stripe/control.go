package stripesandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"purser/sandbox"
)

// State is everything about money in one account, oldest first, in the form
// the API has for it: what tests compare with the books of the product.
type State struct {
	Account        string           `json:"account"`
	Charges        []map[string]any `json:"charges"`
	Disputes       []map[string]any `json:"disputes"`
	Invoices       []map[string]any `json:"invoices"`
	PaymentIntents []map[string]any `json:"payment_intents"`
	Refunds        []map[string]any `json:"refunds"`
	Sessions       []map[string]any `json:"checkout_sessions"`
}

// Inspect returns the state of the key's account, from one moment.
func (s *Server) Inspect(ctx context.Context, secretKey string) (State, error) {
	account, err := s.account(ctx, secretKey, "")
	if err != nil {
		return State{}, err
	}
	return s.inspect(ctx, account)
}

func (s *Server) inspect(ctx context.Context, account string) (State, error) {
	state := State{Account: account}
	err := s.inTx(ctx, account, requestInfo{}, func(t *tx) error {
		for kind, into := range map[string]*[]map[string]any{
			"charge": &state.Charges, "dispute": &state.Disputes, "invoice": &state.Invoices, "payment_intent": &state.PaymentIntents,
			"refund": &state.Refunds, "checkout.session": &state.Sessions,
		} {
			list, _, err := t.list(listing{kind: kind})
			if err != nil {
				return err
			}
			*into = make([]map[string]any, len(list))
			for i, o := range list {
				(*into)[len(list)-1-i] = present(o)
			}
		}
		return nil
	})
	return state, err
}

// Deliveries returns the newest deliveries of the key's account, oldest first,
// at most limit.
func (s *Server) Deliveries(ctx context.Context, secretKey string, limit int) ([]sandbox.Delivery, error) {
	account, err := s.account(ctx, secretKey, "")
	if err != nil {
		return nil, err
	}
	return s.queue.List(ctx, account, limit)
}

// control serves one control endpoint of an account: JSON in, JSON out.
type control func(ctx context.Context, account string, r *http.Request, body []byte) (any, error)

const deliveriesShown = 1000

// controlRoutes adds the switches and views for tests. They take the secret
// key of the account like the API does, and reach no other account.
func (s *Server) controlRoutes(mux *http.ServeMux) {
	for pattern, serve := range map[string]control{
		"GET /_sandbox/state": func(ctx context.Context, account string, _ *http.Request, _ []byte) (any, error) {
			return s.inspect(ctx, account)
		},
		"GET /_sandbox/deliveries": func(ctx context.Context, account string, _ *http.Request, _ []byte) (any, error) {
			list, err := s.queue.List(ctx, account, deliveriesShown)
			return map[string]any{"deliveries": list}, err
		},
		"GET /_sandbox/faults": func(_ context.Context, account string, _ *http.Request, _ []byte) (any, error) {
			requests, deliveries := s.faults.List(account)
			return map[string]any{"requests": requests, "deliveries": deliveries}, nil
		},
		"POST /_sandbox/faults/requests":   s.addRequestFault,
		"POST /_sandbox/faults/deliveries": s.addDeliveryFault,
		"DELETE /_sandbox/faults": func(ctx context.Context, account string, _ *http.Request, _ []byte) (any, error) {
			n := s.faults.Remove(account, "")
			return map[string]any{"removed": n}, s.queue.Release(ctx, account)
		},
		"DELETE /_sandbox/faults/{id}": func(ctx context.Context, account string, r *http.Request, _ []byte) (any, error) {
			n := s.faults.Remove(account, r.PathValue("id"))
			return map[string]any{"removed": n}, s.queue.Release(ctx, account)
		},
		"POST /_sandbox/events/{id}/resend": func(ctx context.Context, account string, r *http.Request, _ []byte) (any, error) {
			return map[string]any{"resent": r.PathValue("id")}, s.resend(ctx, account, r.PathValue("id"))
		},
		"POST /_sandbox/webhook_endpoints/{id}/roll": s.rollEndpoint,
		"GET /_sandbox/clock": func(ctx context.Context, account string, _ *http.Request, _ []byte) (any, error) {
			return s.clockView(ctx, account)
		},
		"POST /_sandbox/clock": s.advanceClock,
	} {
		mux.HandleFunc(pattern, s.serveControl(serve))
	}
}

func (s *Server) serveControl(serve control) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		const request = "req_control"
		account, err := s.authenticate(r)
		if err != nil {
			s.send(w, s.errorReply(request, err))
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formMax))
		if err != nil {
			s.send(w, s.errorReply(request, invalid("", "", "The request body could not be read.")))
			return
		}
		result, err := serve(context.WithoutCancel(r.Context()), account, r, body)
		if err != nil {
			s.send(w, s.errorReply(request, err))
			return
		}
		raw, err := json.MarshalIndent(result, "", "  ")
		if err != nil {
			s.send(w, s.errorReply(request, fmt.Errorf("encode a view: %w", err)))
			return
		}
		s.send(w, reply{status: http.StatusOK, body: raw, request: request})
	}
}

// decodeControl reads a JSON body; an unknown field is refused, because a
// misspelled switch would otherwise be a test that tests nothing.
func decodeControl(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if errors.Is(err, io.EOF) {
		return nil // no body: all defaults
	}
	if err != nil {
		return invalid("", "", "The body is not the JSON that is expected: %s", err)
	}
	return nil
}

func (s *Server) addRequestFault(_ context.Context, account string, _ *http.Request, body []byte) (any, error) {
	var f sandbox.RequestFault
	if err := decodeControl(body, &f); err != nil {
		return nil, err
	}
	f.Account = account
	id, err := s.faults.AddRequest(f)
	if err != nil {
		return nil, invalid("", "", "%s", err)
	}
	return map[string]any{"id": id}, nil
}

func (s *Server) addDeliveryFault(_ context.Context, account string, _ *http.Request, body []byte) (any, error) {
	var f sandbox.DeliveryFault
	if err := decodeControl(body, &f); err != nil {
		return nil, err
	}
	f.Account = account
	id, err := s.faults.AddDelivery(f)
	if err != nil {
		return nil, invalid("", "", "%s", err)
	}
	return map[string]any{"id": id}, nil
}

func (s *Server) rollEndpoint(ctx context.Context, account string, r *http.Request, body []byte) (any, error) {
	var in struct {
		OverlapSeconds int64 `json:"overlap_seconds"`
	}
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	secret, err := s.rollSecret(ctx, account, r.PathValue("id"), in.OverlapSeconds)
	return map[string]any{"secret": secret}, err
}

func (s *Server) clockView(ctx context.Context, account string) (any, error) {
	now, err := s.clock(ctx, account)
	return map[string]any{"now": now.Unix()}, err
}

func (s *Server) advanceClock(ctx context.Context, account string, _ *http.Request, body []byte) (any, error) {
	var in struct {
		AdvanceSeconds int64 `json:"advance_seconds"`
	}
	if err := decodeControl(body, &in); err != nil {
		return nil, err
	}
	if in.AdvanceSeconds < 0 || in.AdvanceSeconds > int64(advanceMax/time.Second) {
		return nil, invalid("", "advance_seconds", "A clock advances by 0 to %d seconds.", int64(advanceMax/time.Second))
	}
	if err := s.advance(ctx, account, time.Duration(in.AdvanceSeconds)*time.Second); err != nil {
		return nil, err
	}
	return s.clockView(ctx, account)
}
