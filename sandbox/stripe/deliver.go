package stripesandbox

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"purser/sandbox"
)

// prepareDelivery builds one attempt to tell an endpoint about an event. Time
// and signature are fresh with every attempt, and the time is the real one:
// receivers compare it with their own clock, whatever the account's says.
func (s *Server) prepareDelivery(ctx context.Context, d sandbox.Delivery) (*http.Request, error) {
	var endpoint, event object
	err := s.inTx(ctx, d.Account, requestInfo{}, func(t *tx) error {
		var err error
		if endpoint, err = t.find(d.Target); err != nil {
			return err
		}
		event, err = t.find(d.Reference)
		return err
	})
	if err != nil {
		return nil, err
	}
	if endpoint == nil || event == nil || endpoint.str("status") != "enabled" {
		return nil, nil
	}
	body, err := json.MarshalIndent(present(event), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", event.id(), err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint.str("url"), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("address event %s: %w", event.id(), err)
	}
	now := s.config.Now().Unix()
	secrets := []string{endpoint.str("_secret")}
	if endpoint.num("_former_until") > now {
		secrets = append(secrets, endpoint.str("_former_secret"))
	}
	request.Header.Set("Content-Type", "application/json; charset=utf-8")
	request.Header.Set("User-Agent", "Stripe/1.0 (sandbox)")
	request.Header.Set("Stripe-Signature", signature(now, body, secrets...))
	return request, nil
}

// signature is the value of the Stripe-Signature header: one v1 per secret.
func signature(now int64, body []byte, secrets ...string) string {
	out := fmt.Sprintf("t=%d", now)
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%d.", now)
		mac.Write(body)
		out += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return out
}

// delivered counts an event's endpoints that are still to be told.
func (s *Server) delivered(ctx context.Context, sqlTx *sql.Tx, d sandbox.Delivery) error {
	_, err := sqlTx.ExecContext(ctx, `UPDATE objects SET body = json_set(body, '$.pending_webhooks', MAX(0, json_extract(body, '$.pending_webhooks') - 1))
		WHERE account = ? AND id = ?`, d.Account, d.Reference)
	if err != nil {
		return fmt.Errorf("count the delivery of event %s: %w", d.Reference, err)
	}
	return nil
}

// ResendEvent delivers an event of the account once more, to every endpoint
// that wants it now. It fails when there is no such event.
func (s *Server) ResendEvent(ctx context.Context, secretKey, event string) error {
	account, err := s.account(ctx, secretKey, "")
	if err != nil {
		return err
	}
	return s.resend(ctx, account, event)
}

func (s *Server) resend(ctx context.Context, account, id string) error {
	return s.inTx(ctx, account, requestInfo{}, func(t *tx) error {
		event, err := t.get("event", id)
		if err != nil {
			return err
		}
		t.emitted = append(t.emitted, emission{id: event.id(), kind: event.str("type")})
		return nil
	})
}

// RollWebhookSecret gives an endpoint a new secret, which it returns. For
// overlapSeconds deliveries are signed with the former one as well.
func (s *Server) RollWebhookSecret(ctx context.Context, secretKey, endpoint string, overlapSeconds int64) (string, error) {
	account, err := s.account(ctx, secretKey, "")
	if err != nil {
		return "", err
	}
	return s.rollSecret(ctx, account, endpoint, overlapSeconds)
}

func (s *Server) rollSecret(ctx context.Context, account, id string, overlapSeconds int64) (string, error) {
	var secret string
	err := s.inTx(ctx, account, requestInfo{}, func(t *tx) error {
		endpoint, err := t.get("webhook_endpoint", id)
		if err != nil {
			return err
		}
		secret = t.newID("whsec_")
		endpoint["_former_secret"] = endpoint["_secret"]
		endpoint["_former_until"] = s.config.Now().Unix() + overlapSeconds
		endpoint["_secret"] = secret
		t.save(endpoint)
		return nil
	})
	return secret, err
}
