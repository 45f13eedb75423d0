package worldpay

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"purser/gateway"
)

// Codes of failures.
const (
	codeBadRequest   = "bad_request"        // the caller's request cannot be put to Worldpay
	codeBadKeys      = "bad_keys"           // CheckKeys or CheckAccount refused
	codeNoAddress    = "no_address"         // the environment has no address
	codeUnreadable   = "unreadable_answer"  // an answer that is no answer
	codeUnauthorized = "unauthorized"       // user name or password are wrong
	codeSecurity     = "security_violation" // Worldpay's error 4
	codeTimeout      = "timeout"
	codeNoPayment    = "no_payment" // Worldpay knows of no payment for the order
	codePageLost     = "page_lost"  // the page was made, and its address never arrived
	codeExpired      = "expired"    // the call grew old without a payment
	codeCanceled     = "canceled"   // given up: no money will come
	codeDeclined     = "card_declined"
)

// problem is a request that did not end with what was asked for.
type problem struct {
	gateway.Outcome
	// number is Worldpay's own of an error, "" where it was none of its errors.
	number string
	// duplicate says that the order code was used before.
	duplicate bool
}

// refusal is a refusal of our own: nothing was sent.
func refusal(code, message string) *problem {
	return &problem{Outcome: gateway.Outcome{
		Status: gateway.StatusRejected, Failure: &gateway.Failure{Code: code, Message: message},
	}}
}

// lockedOut is a refusal that no request of the account would escape.
func lockedOut(code, message string) *problem {
	p := refusal(code, message)
	p.Failure.Credentials = true
	return p
}

// unknown is an answer that does not say what has happened.
func unknown(code, message string) *problem {
	return &problem{Outcome: gateway.Outcome{
		Status: gateway.StatusUnknown, Failure: &gateway.Failure{Code: code, Message: message},
	}}
}

// unavailable is a request that surely never reached Worldpay.
func unavailable(code, message string) *problem {
	return &problem{Outcome: gateway.Outcome{
		Status: gateway.StatusUnavailable, Failure: &gateway.Failure{Code: code, Message: message},
	}}
}

// unreadable is an answer that makes no sense here: what it reports must not
// be booked, and must not be called failed.
func unreadable(err error) *problem {
	return unknown(codeUnreadable, "the payment gateway's answer cannot be read: "+err.Error())
}

// unanswered is a request without a whole answer.
func unanswered(err error, unsent bool) *problem {
	switch {
	case unsent:
		return unavailable("no_connection", "no connection to the payment gateway")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unknown(codeTimeout, "the payment gateway did not answer in time")
	}
	return unknown("connection_lost", "the connection to the payment gateway was lost")
}

// refusedByStatus is what a status means that is no answer of the service,
// which says everything but a wrong login with 200.
func refusedByStatus(status int) *problem {
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusUnauthorized:
		return lockedOut(codeUnauthorized, "Worldpay refuses the user name or the XML password: copy both from the merchant interface, of the same environment")
	case status >= http.StatusInternalServerError:
		return unknown("gateway_error", "the payment gateway had an error")
	}
	return unknown(codeUnreadable, "the payment gateway's answer cannot be read: it has the status "+http.StatusText(status))
}

// refusedByCode is what one of Worldpay's errors means. Those that tell of
// trouble at its side, and those that are not known here, say nothing about
// what has happened.
func refusedByCode(e *node) *problem {
	number := e.attrs["code"]
	text := tidy(e.text)
	p := refusal("error_"+clip(tidy(number), 3), "Worldpay refuses the request: "+text)
	p.number = number
	switch number {
	case "2", "3", "6", "10", "11", "12", "13":
	case "4":
		p.Failure.Code, p.Failure.Credentials = codeSecurity, true
		p.Failure.Message = "Worldpay reports a security violation (" + text + "): " +
			"check that the merchant code belongs to the user name, that this server's IP address is registered at Worldpay, and that the environment is active there"
	case "5":
		// The one word of Worldpay's that is looked at: it can only keep us from
		// saying too early that nothing has happened.
		p.duplicate = strings.Contains(strings.ToLower(text), "duplicate")
	case "7":
		p.Failure.Code = "payment_details"
		p.Failure.Message = "Worldpay refuses the card's details: " + text
	default:
		p.Status = gateway.StatusUnknown
		p.Failure.Message = "Worldpay could not do it: " + text
	}
	return p
}

// messageLengthMax bounds a sentence of the gateway's, in characters.
const messageLengthMax = 300

// tidy makes a sentence of the gateway's fit to be shown.
func tidy(s string) string {
	s = clip(strings.Join(strings.Fields(s), " "), messageLengthMax)
	if s == "" {
		return "no reason given"
	}
	return s
}

// declineOf is the failure of a payment that was refused. Worldpay passes the
// issuer's ISO 8583 code on; what is not known here may be tried again. Lost,
// stolen and suspected cards are not told apart: the payer may be the thief.
func declineOf(code, description string) *gateway.Failure {
	f := &gateway.Failure{Code: codeDeclined, Message: "The card was declined."}
	hidden := false
	switch code {
	case "4", "7", "41", "43", "62":
		f.Final, hidden = true, true
	case "34", "59":
		hidden = true
	case "12", "14", "15", "46", "57", "835", "972", "973", "975":
		f.Final = true
	case "54":
		f.Code, f.Final = "expired_card", true
	case "51":
		f.Code = "insufficient_funds"
	}
	if code == "" || hidden {
		return f
	}
	f.DeclineCode = clip(tidy(code), 10)
	if description = strings.TrimSpace(description); description != "" {
		f.Message = "The card was declined: " + strings.ToLower(tidy(description)) + "."
	}
	return f
}
