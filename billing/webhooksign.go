package billing

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"purser/auth"
)

// Deliveries are signed as the public convention "Standard Webhooks" has it,
// so that a receiver finds a library for it in most languages.
const (
	webhookSecretPrefix = "whsec_"
	webhookSecretBytes  = 32
	headerWebhookID     = "Webhook-Id"
	headerWebhookTime   = "Webhook-Timestamp"
	headerWebhookSigned = "Webhook-Signature"
)

// newWebhookSecret makes the secret that deliveries to an endpoint are signed
// with.
func (s *Service) newWebhookSecret() auth.Secret {
	b := make([]byte, webhookSecretBytes)
	if _, err := io.ReadFull(s.source(), b); err != nil {
		panic("read random bytes: " + err.Error())
	}
	return auth.Secret(webhookSecretPrefix + base64.StdEncoding.EncodeToString(b))
}

// webhookHeaders are the headers of a delivery: the event's id, the time of
// this try, and a signature by each of the secrets.
func webhookHeaders(eventID string, now time.Time, body []byte, secrets []auth.Secret) (http.Header, error) {
	at := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), webhookSecretPrefix))
		if err != nil {
			return nil, fmt.Errorf("read signing secret: %w", err)
		}
		h := hmac.New(sha256.New, key)
		h.Write([]byte(eventID + "." + at + "."))
		h.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	head := http.Header{}
	head.Set("Content-Type", "application/json")
	head.Set("User-Agent", "Purser-Webhooks/1")
	head.Set(headerWebhookID, eventID)
	head.Set(headerWebhookTime, at)
	head.Set(headerWebhookSigned, strings.Join(signatures, " "))
	return head, nil
}
