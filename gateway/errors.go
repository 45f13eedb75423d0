package gateway

import "errors"

// Errors of VerifyEvent, ParseNotification and VerifyReturn.
var (
	// ErrSignature: the delivery was not signed by the gateway for us, or not
	// now.
	ErrSignature = errors.New("the signature does not fit the body, the secret or the time")
	// ErrNoSecret: the provider has no webhook signing secret yet.
	ErrNoSecret = errors.New("the provider has no webhook signing secret")
	// ErrMalformed: the body is not an event, the query no return.
	ErrMalformed = errors.New("the body is not an event")
	// ErrUnsigned: a return carries no signature that could be checked.
	ErrUnsigned = errors.New("the return is not signed, or the provider has no secret to check it with")
)

// Silent reports whether reading a payment told nothing of what an event may
// have been about: the gateway has not answered, or knows of no payment and says
// no more than that the payer has still to act.
func (r PaymentResult) Silent() bool {
	return !r.Known() || r.Status == StatusActionNeeded && r.NextAction == (NextAction{})
}

// Known reports whether the gateway has answered: an unknown outcome, an
// unreachable gateway and a refused question say nothing about the object
// that was asked for.
func (o Outcome) Known() bool {
	switch o.Status {
	case StatusSucceeded, StatusActionNeeded, StatusProcessing, StatusDeclined:
		return true
	default:
		return false
	}
}
