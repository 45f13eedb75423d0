package stripesandbox

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	idempotencyKeyMax     = 255
	idempotencyKeySeconds = 24 * 3600
)

// claimKey refuses a key whose first request is still running; release ends
// the claim and may be called more than once.
func (s *Server) claimKey(account, key string) (release func(), err error) {
	if key == "" {
		return func() {}, nil
	}
	if len(key) > idempotencyKeyMax {
		return nil, invalid("", "", "Idempotency-Key must be at most %d characters.", idempotencyKeyMax)
	}
	claim := account + "\x00" + key
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight[claim] {
		return nil, &apiError{status: http.StatusConflict, body: object{
			"type": typeIdempotency, "code": "idempotency_key_in_use",
			"message": "There is currently another in-progress request using this Idempotency-Key.",
		}}
	}
	s.inFlight[claim] = true
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.inFlight, claim)
	}), nil
}

// fingerprint is what must be equal when a key is used again. Names are
// sorted, so the order in which a client writes them does not count. Security
// codes do not count, nor do numbers that are no test card's: a digest of so
// few digits tells them to whoever tries all.
func fingerprint(method, path string, form url.Values) string {
	form = maps.Clone(form)
	for name, values := range form {
		_, known := cardByNumber(strings.Join(values, ""))
		if strings.HasSuffix(name, "[cvc]") || strings.HasSuffix(name, "[number]") && !known {
			form[name] = []string{"not kept"}
		}
	}
	sum := sha256.Sum256([]byte(method + "\n" + path + "\n" + form.Encode()))
	return hex.EncodeToString(sum[:])
}

// execute runs the call's operation, or replays the stored reply of its key.
// The operation, its reply and its events are one transaction. storeAs, where
// given, is stored instead of the real reply.
func (s *Server) execute(ctx context.Context, c call, storeAs *apiError) (reply, error) {
	form, err := formOf(c.r, c.body)
	if err != nil {
		return reply{}, err
	}
	var answer reply
	err = s.inTx(ctx, c.account, requestInfo{id: c.requestID, key: c.key}, func(t *tx) error {
		mark := fingerprint(c.r.Method, c.r.URL.Path, form)
		replayed, err := t.replay(c, mark)
		if err != nil || replayed != nil {
			if replayed != nil {
				answer = *replayed
			}
			return err
		}
		answer, err = t.run(c, form, mark, storeAs)
		return err
	})
	return answer, err
}

// run executes a call for the first time.
func (t *tx) run(c call, form url.Values, mark string, storeAs *apiError) (reply, error) {
	answer := reply{status: http.StatusOK, request: c.requestID}
	err := t.attempt(func() error {
		in, err := parseParams(form, c.r.PathValue)
		if err != nil {
			return err
		}
		if err := in.only(c.route.params); err != nil {
			return err
		}
		if c.route.raw != nil {
			answer.kind, answer.body, err = c.route.raw(t, in)
			return err
		}
		result, err := c.route.run(t, in)
		if err != nil {
			return err
		}
		shown, err := t.expand(result, in.texts("expand"))
		if err != nil {
			return err
		}
		if err := in.err(); err != nil {
			return err
		}
		answer.body, err = json.MarshalIndent(shown, "", "  ")
		return err
	})
	var refused *apiError
	if errors.As(err, &refused) {
		answer = t.srv.errorReply(c.requestID, refused)
		err = nil
	}
	if err != nil {
		return reply{}, err
	}
	if c.key == "" || (refused != nil && !refused.executed) {
		return answer, nil
	}
	answer.header = http.Header{"Idempotency-Key": {c.key}}
	kept := answer
	if storeAs != nil {
		kept = t.srv.errorReply(c.requestID, storeAs)
	}
	t.storeReply(c.key, mark, kept)
	return answer, nil
}

// replay returns the stored reply of a key; nil when there is none.
func (t *tx) replay(c call, mark string) (*reply, error) {
	if c.key == "" {
		return nil, nil
	}
	var stored struct {
		mark, request, body string
		status              int
		created             int64
	}
	err := t.sql.QueryRowContext(t.ctx, `SELECT fingerprint, request_id, status, body, created_at FROM idempotency_keys WHERE account = ? AND key = ?`,
		t.account, c.key).Scan(&stored.mark, &stored.request, &stored.status, &stored.body, &stored.created)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up an idempotency key: %w", err)
	}
	if t.now-stored.created >= idempotencyKeySeconds {
		return nil, nil
	}
	if stored.mark != mark {
		return nil, &apiError{status: http.StatusBadRequest, body: object{
			"type": typeIdempotency,
			"message": "Keys for idempotent requests can only be used with the same parameters they were first used with. " +
				"Try using a key other than '" + c.key + "' if you meant to execute a different request.",
		}}
	}
	return &reply{status: stored.status, body: []byte(stored.body), request: c.requestID, header: http.Header{
		"Idempotency-Key": {c.key}, "Idempotent-Replayed": {"true"}, "Original-Request": {stored.request},
	}}, nil
}

func (t *tx) storeReply(key, mark string, r reply) {
	_, err := t.sql.ExecContext(t.ctx, `INSERT INTO idempotency_keys (account, key, fingerprint, request_id, status, body, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, key) DO UPDATE SET fingerprint = excluded.fingerprint,
		request_id = excluded.request_id, status = excluded.status, body = excluded.body, created_at = excluded.created_at`,
		t.account, key, mark, r.request, r.status, string(r.body), t.now)
	if err != nil {
		t.failed(fmt.Errorf("store the reply of an idempotency key: %w", err))
	}
}

// storeFault keeps a made-up error under the call's key with nothing executed.
func (s *Server) storeFault(ctx context.Context, c call, e *apiError) (reply, error) {
	form, err := formOf(c.r, c.body)
	if err != nil {
		return reply{}, err
	}
	answer := s.errorReply(c.requestID, e)
	if c.key == "" {
		return answer, nil
	}
	err = s.inTx(ctx, c.account, requestInfo{}, func(t *tx) error {
		mark := fingerprint(c.r.Method, c.r.URL.Path, form)
		replayed, err := t.replay(c, mark)
		if err != nil {
			return err
		}
		if replayed != nil {
			answer = *replayed
			return nil
		}
		t.storeReply(c.key, mark, answer)
		return nil
	})
	return answer, err
}
