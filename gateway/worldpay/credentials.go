package worldpay

import (
	"context"
	"errors"
	"strings"

	"purser/gateway"
)

// CheckKeys implements gateway.Credentials: the secret is the user name of the
// XML service and the XML password, with a colon between them. Nothing in them
// tells the environment.
func (a *Adapter) CheckKeys(env gateway.Environment, secret, _ string) error {
	switch env {
	case gateway.EnvironmentSandbox, gateway.EnvironmentTest, gateway.EnvironmentLive:
	default:
		return errors.New("unknown environment")
	}
	user, password, ok := strings.Cut(secret, ":")
	switch {
	case !ok:
		return errors.New("give either the XML password or the credential, which is user name and XML password with a colon between them, in base64")
	case user == "":
		return errors.New("the user name of the XML service is missing")
	case password == "":
		return errors.New("the XML password is missing")
	case strings.ContainsAny(password, "…•") || strings.Trim(password, "*") == "":
		return errors.New("the XML password is masked: copy the password, not its hidden form")
	case len(secret) > 200 || strings.ContainsFunc(secret, unprintable):
		return errors.New("the user name or the XML password has characters that none has (a blank or a line end copied along?)")
	}
	return nil
}

// unprintable reports what no credential has.
func unprintable(r rune) bool { return r <= ' ' || r > '~' }

// CheckWebhookSecret implements gateway.Credentials.
func (a *Adapter) CheckWebhookSecret(string) error {
	return errors.New("Worldpay does not sign its notifications: they have no signing secret") //nolint:staticcheck // a name
}

// Lengths that Worldpay wants of a MAC secret.
const (
	macSecretMin = 20
	macSecretMax = 30
)

// CheckAccount implements gateway.AccountCheck.
func (a *Adapter) CheckAccount(acc gateway.Account) error {
	if err := checkMerchantCode(acc.MerchantCode); err != nil {
		return err
	}
	if acc.Endpoint != "" {
		if _, err := a.given(acc); err != nil {
			return err
		}
	}
	for _, r := range acc.InstallationID {
		if r < '0' || r > '9' {
			return errors.New("the installation id consists of digits, such as 1234567")
		}
	}
	switch n := len(acc.MACSecret); {
	case n == 0 && acc.LegacyMAC:
		return errors.New("there is no MAC secret to check signatures of old with")
	case n == 0:
		return nil
	case n < macSecretMin || n > macSecretMax:
		return errors.New("the MAC secret has 20 to 30 characters, the same here and at Worldpay")
	case strings.ContainsFunc(acc.MACSecret, unprintable):
		return errors.New("the MAC secret has characters that none has (a blank or a line end copied along?)")
	}
	return nil
}

func checkMerchantCode(code string) error {
	if code == "" || len(code) > 40 {
		return errors.New("the merchant code is missing, or too long to be one")
	}
	for _, r := range code {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return errors.New("the merchant code consists of capital letters and digits, such as MYSHOPUSD")
		}
	}
	return nil
}

// testOrder is an order that nobody has: it is too short to be one of ours.
const testOrder = "PURSERTEST"

// TestAccount asks for an order that is not there. That Worldpay does not find
// it shows that it takes user name, password and merchant code.
func (a *Adapter) TestAccount(ctx context.Context, acc gateway.Account) (res gateway.AccountResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "account_test")
	defer o.end(&res.Outcome)
	_, p := o.inquire(testOrder)
	if p != nil && !p.absent() {
		res.Outcome = p.Outcome
		return res
	}
	res.Status = gateway.StatusSucceeded
	res.AccountID, res.ChargesEnabled = acc.MerchantCode, true
	return res
}
