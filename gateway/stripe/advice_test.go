package stripe

import (
	"net/http"
	"strings"
	"testing"

	sdk "github.com/stripe/stripe-go/v76"
)

// TestAccountAdvice: what Stripe refuses of an account (L9) is passed on with
// its code and its words, and with what the merchant can do.
func TestAccountAdvice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status         int
		code           sdk.ErrorCode
		words, advice  string
		wantCode       string
		hidden, nobody bool
	}{
		{http.StatusBadRequest, sdk.ErrorCodeTestmodeChargesOnly, "Your account has not been activated.", "confirm the phone number", "testmode_charges_only", false, false},
		{http.StatusBadRequest, sdk.ErrorCodeCountryUnsupported, "XX is not supported.", "every country", "country_unsupported", false, false},
		{http.StatusBadRequest, sdk.ErrorCodeAccountInvalid, "The account is invalid.", "dashboard says why", "account_invalid", false, false},
		{http.StatusUnauthorized, "", "Invalid API Key provided: sk_test_51AbCdEf", "Copy the secret key", "invalid_request_error", true, false},
		{http.StatusUnauthorized, sdk.ErrorCodeAPIKeyExpired, "Expired API key.", "was rolled", "api_key_expired", false, false},
		{http.StatusForbidden, "", "The key lacks rak_charge_write.", "restricted key", "invalid_request_error", false, false},
		{http.StatusBadRequest, "", "You need the Invoicing Plus plan to finalize this quote.", "", "invalid_request_error", false, true},
	} {
		f := failureOf(&sdk.Error{HTTPStatusCode: c.status, Code: c.code, Type: sdk.ErrorTypeInvalidRequest, Msg: c.words})
		words := c.words
		if c.hidden {
			words = "Invalid API Key provided: ***"
		}
		if f.Code != c.wantCode || !strings.HasPrefix(f.Message, words) || !strings.Contains(f.Message, c.advice) || c.nobody && f.Message != words {
			t.Errorf("%d %s: %+v", c.status, c.code, f)
		}
	}
}
