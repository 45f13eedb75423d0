package stripe

import (
	"errors"
	"strings"

	"purser/gateway"
)

var _ gateway.Credentials = (*Adapter)(nil)

// CheckKeys implements gateway.Credentials.
func (a *Adapter) CheckKeys(env gateway.Environment, secret, publishable string) error {
	return CheckKeys(env, secret, publishable)
}

// webhookSecretPrefix begins the signing secret of every endpoint.
const webhookSecretPrefix = "whsec_"

// CheckWebhookSecret implements gateway.Credentials.
func (a *Adapter) CheckWebhookSecret(secret string) error {
	body, ok := strings.CutPrefix(secret, webhookSecretPrefix)
	switch {
	case strings.ContainsAny(secret, "*…•"):
		return errors.New("the webhook signing secret is masked: copy it whole, not its hidden form")
	case !ok && keyKind(secret) != "":
		return errors.New("this is " + keyKind(secret) + ", the webhook signing secret begins with " + webhookSecretPrefix)
	case !ok:
		return errors.New("this is not a webhook signing secret of Stripe: it begins with " + webhookSecretPrefix)
	case len(body) < keyLengthMin:
		return errors.New("the webhook signing secret is cut off: copy it whole")
	}
	for _, r := range body {
		if r <= ' ' || r > '~' {
			return errors.New("the webhook signing secret has characters that no secret has (a blank or a line end copied along?)")
		}
	}
	return nil
}
