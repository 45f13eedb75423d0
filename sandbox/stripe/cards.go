package stripesandbox

import (
	"slices"
	"strings"
)

// decline is a reason for which an issuer refuses.
type decline struct {
	code, reason, message string // reason is the decline_code
}

// authentication is when a card asks for 3-D Secure.
type authentication int

const (
	authenticateNever       authentication = iota
	authenticateAlways                     // on every payment and setup
	authenticateUnlessSetUp                // until it was set up once; then never
	authenticateOnSession                  // set up already: off session it passes
)

// testCard is one of the published test cards and what it does.
type testCard struct {
	key        string // how the sandbox notes which card it was
	number     string
	tokens     []string // pm_card_ names without the prefix
	brand      string
	funding    string
	auth       authentication
	authFails  bool     // authentication breaks off even when completed
	attach     *decline // refused when saved
	charge     *decline // refused when charged
	invalid    *decline // refused as a number, before anything else
	dispute    string   // reason of the dispute that follows a charge
	inquiry    bool     // the dispute is only an inquiry
	refundLate string   // what a pending refund becomes: succeeded or failed
}

// Declines by the names the API has for them.
var (
	declineGeneric      = &decline{"card_declined", "generic_decline", "Your card was declined."}
	declineFunds        = &decline{"card_declined", "insufficient_funds", "Your card has insufficient funds."}
	declineLost         = &decline{"card_declined", "lost_card", "Your card was declined."}
	declineStolen       = &decline{"card_declined", "stolen_card", "Your card was declined."}
	declineFraud        = &decline{"card_declined", "fraudulent", "Your card was declined."}
	declineExpired      = &decline{"expired_card", "expired_card", "Your card has expired."}
	declineCVC          = &decline{"incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."}
	declineProcessing   = &decline{"processing_error", "processing_error", "An error occurred while processing your card. Try again in a little bit."}
	declineNumber       = &decline{"incorrect_number", "", "Your card number is incorrect."}
	declineUnauthorized = &decline{"authentication_required", "authentication_required", "Your card was declined. This transaction requires authentication."}
)

// testCards is the table of all cards. Nothing else in the sandbox knows a
// card number.
var testCards = []testCard{
	{key: "visa", number: "4242424242424242", tokens: []string{"visa"}, brand: "visa", funding: "credit"},
	{key: "visa_debit", number: "4000056655665556", tokens: []string{"visa_debit"}, brand: "visa", funding: "debit"},
	{key: "mastercard", number: "5555555555554444", tokens: []string{"mastercard"}, brand: "mastercard", funding: "credit"},
	{key: "amex", number: "378282246310005", tokens: []string{"amex"}, brand: "amex", funding: "credit"},
	{key: "discover", number: "6011111111111117", tokens: []string{"discover"}, brand: "discover", funding: "credit"},

	{key: "declined", number: "4000000000000002", tokens: []string{"visa_chargeDeclined", "chargeDeclined"}, attach: declineGeneric, charge: declineGeneric},
	{key: "insufficient_funds", number: "4000000000009995", tokens: []string{"visa_chargeDeclinedInsufficientFunds", "chargeDeclinedInsufficientFunds"}, charge: declineFunds},
	{key: "lost", number: "4000000000009987", tokens: []string{"visa_chargeDeclinedLostCard", "chargeDeclinedLostCard"}, attach: declineLost, charge: declineLost},
	{key: "stolen", number: "4000000000009979", tokens: []string{"visa_chargeDeclinedStolenCard", "chargeDeclinedStolenCard"}, attach: declineStolen, charge: declineStolen},
	{key: "expired", number: "4000000000000069", tokens: []string{"chargeDeclinedExpiredCard"}, attach: declineExpired, charge: declineExpired},
	{key: "incorrect_cvc", number: "4000000000000127", tokens: []string{"chargeDeclinedIncorrectCvc"}, attach: declineCVC, charge: declineCVC},
	{key: "processing_error", number: "4000000000000119", tokens: []string{"chargeDeclinedProcessingError"}, attach: declineProcessing, charge: declineProcessing},
	{key: "customer_fail", number: "4000000000000341", tokens: []string{"chargeCustomerFail"}, charge: declineGeneric},
	{key: "incorrect_number", number: "4242424242424241", invalid: declineNumber},
	{key: "blocked", number: "4100000000000019", tokens: []string{"radarBlock"}, charge: declineFraud},

	{key: "3ds_unless_set_up", number: "4000002500003155", tokens: []string{"authenticationRequiredOnSetup"}, auth: authenticateUnlessSetUp},
	{key: "3ds_always", number: "4000002760003184", tokens: []string{"authenticationRequired"}, auth: authenticateAlways},
	{key: "3ds_on_session", number: "4000003800000446", tokens: []string{"authenticationRequiredSetupForOffSession"}, auth: authenticateOnSession},
	{key: "3ds_insufficient_funds", number: "4000008260003178", tokens: []string{"authenticationRequiredChargeDeclinedInsufficientFunds"}, auth: authenticateAlways, charge: declineFunds},
	{key: "3ds_required", number: "4000000000003220", tokens: []string{"threeDSecure2Required", "threeDSecureRequired"}, auth: authenticateAlways},
	{key: "3ds_optional", number: "4000000000003055", tokens: []string{"threeDSecureOptional"}},
	{key: "3ds_declined", number: "4000008400001629", tokens: []string{"threeDSecureRequiredChargeDeclined"}, auth: authenticateAlways, charge: declineGeneric},
	{key: "3ds_error", number: "4000008400001280", tokens: []string{"threeDSecureRequiredProcessingError"}, auth: authenticateAlways, authFails: true},
	{key: "off_session_declined", number: "4000000000003063", tokens: []string{"threeDSecure2OffSessionDeclined"}, auth: authenticateAlways},

	{key: "dispute", number: "4000000000000259", tokens: []string{"createDispute"}, dispute: "fraudulent"},
	{key: "dispute_product", number: "4000000000002685", tokens: []string{"createDisputeProductNotReceived"}, dispute: "product_not_received"},
	{key: "dispute_inquiry", number: "4000000000001976", tokens: []string{"createDisputeInquiry"}, dispute: "fraudulent", inquiry: true},
	{key: "refund_pending", number: "4000000000007726", tokens: []string{"pendingRefund"}, refundLate: "succeeded"},
	{key: "refund_fails", number: "4000000000005126", tokens: []string{"refundFail"}, refundLate: "failed"},
}

// offSessionDecline is what an off-session charge that would need
// authentication is refused with.
func (c testCard) offSessionDecline() *decline {
	if c.key == "off_session_declined" {
		return declineGeneric
	}
	return declineUnauthorized
}

func (c testCard) last4() string { return c.number[len(c.number)-4:] }

// display fields with their defaults: most test cards are Visa credit cards.
func (c testCard) brandName() string {
	if c.brand == "" {
		return "visa"
	}
	return c.brand
}

func (c testCard) fundingName() string {
	if c.funding == "" {
		return "credit"
	}
	return c.funding
}

// cardByNumber finds a test card by what was typed, spaces and dashes aside.
func cardByNumber(typed string) (testCard, bool) {
	number := strings.NewReplacer(" ", "", "-", "").Replace(typed)
	return cardWhere(func(c testCard) bool { return c.number == number })
}

// cardByToken finds a test card by a name such as pm_card_visa or tok_visa.
func cardByToken(token string) (testCard, bool) {
	name, ok := strings.CutPrefix(token, "pm_card_")
	if !ok {
		if name, ok = strings.CutPrefix(token, "tok_"); !ok {
			return testCard{}, false
		}
	}
	return cardWhere(func(c testCard) bool { return slices.Contains(c.tokens, name) })
}

func cardByKey(key string) (testCard, bool) {
	return cardWhere(func(c testCard) bool { return c.key == key })
}

func cardWhere(match func(testCard) bool) (testCard, bool) {
	i := slices.IndexFunc(testCards, match)
	if i < 0 {
		return testCard{}, false
	}
	return testCards[i], true
}

// cardError is the 402 for a decline. More about it (charge, intent) is added
// by whoever knows.
func cardError(d *decline) *apiError {
	body := object{
		"type": typeCard, "code": d.code, "message": d.message,
		"doc_url": "https://stripe.com/docs/error-codes/" + dashed(d.code),
	}
	if d.reason != "" {
		body["decline_code"] = d.reason
	}
	switch d.code {
	case "incorrect_number":
		body["param"] = "number"
	case "incorrect_cvc":
		body["param"] = "cvc"
	case "expired_card":
		body["param"] = "exp_month"
	}
	return &apiError{status: 402, body: body, executed: true, keep: true}
}
