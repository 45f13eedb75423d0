package stripe

import (
	"net/http"

	sdk "github.com/stripe/stripe-go/v76"
)

// accountAdvice says what the merchant can do where Stripe refuses the account
// or its key rather than what was asked of it; empty where Stripe's own words
// are all there is, as where the account's plan does not include a thing.
func accountAdvice(e *sdk.Error) string {
	switch string(e.Code) {
	case "testmode_charges_only":
		return "The account is not activated: fill in Stripe's form about the business and confirm the phone number, in Stripe's dashboard."
	case "country_unsupported", "account_country_invalid_address", "country_code_invalid":
		return "Stripe does not open accounts in every country: an account of a country that it serves is needed."
	case "account_invalid", "account_closed":
		return "Stripe has closed or restricted the account: its dashboard says why."
	case "api_key_expired", "platform_api_key_expired":
		return "The key was rolled: give the provider the new one."
	case "livemode_mismatch":
		return "The key and what was asked for are of two modes, test and live."
	}
	switch e.HTTPStatusCode {
	case http.StatusUnauthorized:
		return "Copy the secret key from Stripe's dashboard again, whole, of the same mode."
	case http.StatusForbidden:
		return "The key may not do this: give the restricted key the permission that Stripe names, or take one that has it."
	}
	return ""
}
