package stripe

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// Codes of failures that this adapter finds itself.
const (
	codeBadRequest    = "bad_request"       // the caller's request cannot be put to Stripe
	codeBadKeys       = "bad_keys"          // CheckKeys refused
	codeNoAddress     = "no_address"        // the environment has no address
	codeTotalMismatch = "total_mismatch"    // Stripe's total is another than ours
	codeUnreadable    = "unreadable_answer" // an answer that is no answer
	codeCanceled      = "canceled"          // given up: no money will come
	codeExpired       = "expired"           // the page closed, or the call grew old, before a payment
)

// Codes of Stripe's that decide what an answer means.
const (
	codeKeyInUse       = "idempotency_key_in_use"
	codeAuthentication = "authentication_required"
	codeMissing        = "resource_missing"
	codeCardDeclined   = "card_declined"
)

// errNoObject stands for a successful answer without an object in it.
var errNoObject = errors.New("the answer names no object")

// problem is a step that did not end with an object.
type problem struct {
	gateway.Outcome
	err      *sdk.Error // what Stripe said, where it said something readable
	stored   bool       // the answer is, or may be, stored under the key: a replay will not tell more
	replayed bool       // the answer is stored, and came from the store
	server   bool       // a server error: it does not say what happened
	undone   bool       // the first run is over, and the list shows that it made nothing
	busy     bool       // Stripe asks to slow down: nothing has begun
	absent   bool       // Stripe knows no such object
}

// worthLooking reports whether the object itself can tell more than the
// answer: a refusal may mean that it already is as it was asked to be, and a
// stored answer hides what happened.
func (p *problem) worthLooking() bool {
	return p.stored || p.Status == gateway.StatusRejected && !p.absent
}

// unsettled is the problem as one whose end is not known: asking again helps.
func (p *problem) unsettled() *problem {
	q := *p
	q.Status = gateway.StatusUnknown
	return &q
}

// afterLooking is what remains of a problem (nil: of an old answer) when
// looking at the object failed as well.
func (p *problem) afterLooking(look *problem) *problem {
	if p == nil {
		p = look
	}
	if look.Status == gateway.StatusRejected {
		return p
	}
	return p.unsettled()
}

// refusal is a refusal of our own.
func refusal(code, message string) *problem {
	return &problem{Outcome: gateway.Outcome{
		Status:  gateway.StatusRejected,
		Failure: &gateway.Failure{Code: code, Message: message, Credentials: code == codeBadKeys || code == codeNoAddress},
	}}
}

// lockedOut is a refusal of ours that no request of the account would escape.
func lockedOut(code, message string) *problem {
	p := refusal(code, message)
	p.Failure.Credentials = true
	return p
}

// unreadable is an answer whose amounts or states make no sense here: what it
// reports must not be booked, and must not be called failed.
func unreadable(requestID string, err error) *problem {
	return &problem{Outcome: gateway.Outcome{
		Status:    gateway.StatusUnknown,
		RequestID: requestID,
		Failure:   &gateway.Failure{Code: codeUnreadable, Message: err.Error()},
	}}
}

// tooBusy is a request that did not begin because there were too many.
func tooBusy(requestID string) *problem {
	return &problem{busy: true, Outcome: gateway.Outcome{
		Status: gateway.StatusUnavailable, RequestID: requestID,
		Failure: &gateway.Failure{Code: "rate_limit", Message: "the payment gateway asks to slow down"},
	}}
}

// classify turns an error of the SDK into what it means for the caller.
func classify(err error, ex *exchange) *problem {
	p := &problem{Outcome: gateway.Outcome{Status: gateway.StatusUnknown, RequestID: ex.id()}}
	var se *sdk.Error
	if !errors.As(err, &se) || se.HTTPStatusCode < 400 {
		return classifyPlain(p, err, ex)
	}
	p.err = se
	if p.RequestID == "" {
		p.RequestID = se.RequestID
	}
	p.Failure = failureOf(se)
	switch status := se.HTTPStatusCode; {
	case status == http.StatusTooManyRequests:
		p.Status, p.busy = gateway.StatusUnavailable, true
	case status >= 500:
		p.stored, p.server = true, true
	case status == http.StatusConflict, status == http.StatusFailedDependency, status == http.StatusRequestTimeout:
		// Another request with the key is under way, or Stripe waits for
		// somebody else: what becomes of it is told later.
	case se.Type == sdk.ErrorTypeIdempotency:
		// An earlier request with this key said something else, and it may have
		// happened.
		p.stored = true
	case needsAction(se):
		p.Status = gateway.StatusActionNeeded
	case status == http.StatusPaymentRequired, se.Type == sdk.ErrorTypeCard:
		p.Status = gateway.StatusDeclined
	default:
		p.Status = gateway.StatusRejected
		p.Failure.Credentials = status == http.StatusUnauthorized || status == http.StatusForbidden
		p.absent = status == http.StatusNotFound || string(se.Code) == codeMissing && se.Param == "id"
	}
	return p
}

// classifyPlain handles what is no error object of Stripe's: no connection, a
// reset, a time-out, a body that cannot be read, a proxy's page.
func classifyPlain(p *problem, err error, ex *exchange) *problem {
	switch status := ex.status.Load(); {
	case ex.unsent():
		p.Status = gateway.StatusUnavailable
		p.Failure = &gateway.Failure{Code: "no_connection", Message: "no connection to the payment gateway"}
	case status == http.StatusTooManyRequests:
		p = tooBusy(p.RequestID)
	case status >= 500:
		p.stored, p.server = true, true
		p.Failure = &gateway.Failure{Code: "gateway_error", Message: "the payment gateway had an error"}
	case status != 0:
		p.stored = status < 300
		p.Failure = &gateway.Failure{Code: codeUnreadable, Message: "the payment gateway's answer cannot be read"}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		p.Failure = &gateway.Failure{Code: "timeout", Message: "the payment gateway did not answer in time"}
	default:
		p.Failure = &gateway.Failure{Code: "connection_lost", Message: "the connection to the payment gateway was lost"}
	}
	return p
}

// needsAction reports whether the payer can still make it succeed by
// authenticating.
func needsAction(e *sdk.Error) bool {
	switch string(e.Code) {
	case codeAuthentication, "invoice_payment_intent_requires_action", "subscription_payment_intent_requires_action":
		return true
	}
	return string(e.Code) == codeCardDeclined && string(e.DeclineCode) == codeAuthentication
}

// hiddenReasons are the issuer's reasons that the payer must not learn, since
// the payer may be the thief.
func hiddenReason(code string) bool {
	switch code {
	case "fraudulent", "lost_card", "stolen_card", "pickup_card", "restricted_card", "merchant_blacklist", "security_violation":
		return true
	}
	return false
}

// finalReason are the issuer's reasons that no further try with the same card
// changes. A bank that gives a reason to be hidden will not change its mind
// either.
func finalReason(code string) bool {
	switch code {
	case "expired_card", "incorrect_number", "invalid_number", "invalid_account", "incorrect_cvc", "invalid_cvc",
		"invalid_expiry_month", "invalid_expiry_year", "card_not_supported", "currency_not_supported", "pin_try_exceeded",
		"revocation_of_authorization", "revocation_of_all_authorizations", "stop_payment_order", "transaction_not_allowed",
		"testmode_decline", "live_mode_test_card":
		return true
	}
	return hiddenReason(code)
}

// failureOf is what may be shown of an error of Stripe's.
func failureOf(e *sdk.Error) *gateway.Failure {
	f := &gateway.Failure{
		Code:        string(e.Code),
		DeclineCode: string(e.DeclineCode),
		Message:     redact(e.Msg),
	}
	if f.Code == "" {
		f.Code = string(e.Type)
	}
	f.Final = finalReason(f.DeclineCode) || finalReason(f.Code)
	if hiddenReason(f.DeclineCode) || hiddenReason(f.Code) {
		f.DeclineCode = ""
		f.Code = codeCardDeclined
		f.Message = "The card was declined."
	}
	if f.Message == "" {
		f.Message = "The payment gateway gave no reason."
	}
	if advice := accountAdvice(e); advice != "" {
		f.Message += " " + advice
	}
	return f
}

// secretPattern matches keys, signing secrets and client secrets.
var secretPattern = regexp.MustCompile(`\b(?:(?:sk|rk|pk)_(?:test|live)|whsec)_[0-9A-Za-z*_]+|\b[a-z]+_[0-9A-Za-z]+_secret_[0-9A-Za-z]+`)

// messageLengthMax bounds a gateway's sentence, in bytes.
const messageLengthMax = 500

// redact takes secrets and line ends out of a gateway's sentence.
func redact(message string) string {
	message = secretPattern.ReplaceAllString(message, "***")
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > messageLengthMax {
		message = strings.ToValidUTF8(message[:messageLengthMax], "") + "…"
	}
	return message
}
