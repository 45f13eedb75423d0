package worldpaysandbox

import (
	"regexp"
	"slices"
	"strings"
)

// testCard is one of the published test cards.
type testCard struct {
	key, number      string
	method           string // the payment method that the shopper chooses
	notified         string // the payment method in notifications and replies
	brand, subBrand  string
	obfuscated, name string
}

// testCards is the table of all cards. Nothing else in the sandbox knows a
// card number.
var testCards = []testCard{
	{key: "visa", number: "4444333322221111", method: "VISA-SSL", notified: "VISA_CREDIT-SSL", brand: "VISA", subBrand: "VISA_CREDIT", obfuscated: "4444********1111", name: "Visa"},
	{key: "mastercard", number: "5555555555554444", method: "ECMC-SSL", notified: "ECMC_CREDIT-SSL", brand: "ECMC", subBrand: "ECMC_CREDIT", obfuscated: "5555********4444", name: "Mastercard"},
	{key: "amex", number: "343434343434343", method: "AMEX-SSL", notified: "AMEX-SSL", brand: "AMEX", subBrand: "AMEX", obfuscated: "3434*******4343", name: "American Express"},
	{key: "maestro", number: "6759649826438453", method: "MAESTRO-SSL", notified: "MAESTRO-SSL", brand: "MAESTRO", subBrand: "MAESTRO", obfuscated: "6759********8453", name: "Maestro"},
}

// cardByNumber finds a test card by what was typed, spaces and dashes aside.
func cardByNumber(typed string) (testCard, bool) {
	number := strings.NewReplacer(" ", "", "-", "").Replace(typed)
	return cardWhere(func(c testCard) bool { return c.number == number })
}

func cardByKey(key string) testCard {
	card, _ := cardWhere(func(c testCard) bool { return c.key == key })
	return card
}

func cardWhere(match func(testCard) bool) (testCard, bool) {
	i := slices.IndexFunc(testCards, match)
	if i < 0 {
		return testCard{}, false
	}
	return testCards[i], true
}

// outcome is what a cardholder name of the test environment decides: one of
// the constants, or REFUSED and the ISO code of the refusal. What of a name
// is no outcome is not kept.
type outcome string

const (
	outcomeAuthorised outcome = "AUTHORISED"
	outcomeRefused    outcome = "REFUSED"
	outcomeError      outcome = "ERROR"
	// outcomeChallenge asks for 3-D Secure and is authorised after it.
	outcomeChallenge outcome = "3D"
	// outcomePending stays with the acquirer until somebody decides.
	outcomePending outcome = "PENDING"
)

// laterPrefix begins names that are authorised now, and whose saved card comes
// to something else later. It and PENDING are this sandbox's own.
const laterPrefix = "LATER "

var refusedWithCode = regexp.MustCompile(`^REFUSED([0-9]{1,3})?$`)

// outcomeByName reads what a cardholder name asks for, now and when the saved
// card is charged later. Every other name authorises.
func outcomeByName(name string) (now, later outcome) {
	name = strings.ToUpper(strings.TrimSpace(name))
	if deferred, ok := strings.CutPrefix(name, laterPrefix); ok {
		if o, ok := parseOutcome(strings.TrimSpace(deferred)); ok {
			return outcomeAuthorised, o
		}
	}
	o, ok := parseOutcome(name)
	if !ok {
		o = outcomeAuthorised
	}
	later = o
	if o != outcomeError && !o.refused() {
		later = outcomeAuthorised
	}
	return o, later
}

func parseOutcome(text string) (outcome, bool) {
	switch o := outcome(text); o {
	case outcomeAuthorised, outcomeError, outcomeChallenge, outcomePending:
		return o, true
	default:
		return o, refusedWithCode.MatchString(text)
	}
}

func (o outcome) refused() bool { return strings.HasPrefix(string(o), string(outcomeRefused)) }

// returnCode is the ISO 8583 code of a refusal.
func (o outcome) returnCode() string {
	if code := strings.TrimPrefix(string(o), string(outcomeRefused)); code != "" {
		return code
	}
	return "5"
}

// returnCodes describe refusals.
var returnCodes = map[string]string{
	"4": "HOLD CARD", "5": "REFUSED", "7": "PICK UP CARD", "12": "INVALID TRANSACTION", "13": "INVALID AMOUNT", "14": "INVALID ACCOUNT",
	"15": "INVALID CARD ISSUER", "34": "FRAUD SUSPICION", "41": "LOST CARD", "43": "STOLEN CARD", "46": "CLOSED ACCOUNT", "51": "LIMIT EXCEEDED",
	"54": "CARD EXPIRED", "57": "TRANSACTION NOT PERMITTED", "59": "FRAUD SUSPICION", "61": "WITHDRAWAL AMOUNT EXCEEDED", "62": "INVALID CARD",
	"65": "WITHDRAWAL FREQUENCY EXCEEDED", "76": "CARD BLOCKED", "91": "ISSUER TEMPORARILY UNAVAILABLE", "835": "CVV FAILURE",
	"972": "STOP PAYMENT ORDER", "973": "REVOCATION OF AUTHORISATION ORDER", "975": "REVOCATION OF ALL AUTHORISATIONS ORDER",
}

func describeReturnCode(code string) string {
	if text, known := returnCodes[code]; known {
		return text
	}
	return "REFUSED"
}
