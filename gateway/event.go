package gateway

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"purser/money"
)

// Event is a notification whose signature was verified, or one that the
// gateway does not sign. It is only a hint: its object is read again before
// anything is applied.
type Event struct {
	ID     string
	Type   string
	Live   bool
	Object Object
	// Saved is a card that was saved with the payment, where the gateway tells
	// of it by events alone. It is kept once the payment is confirmed.
	Saved *SavedCard
	// Told is what the notification says of money that went back, where the
	// gateway tells one such fact from another in notifications alone. It
	// counts once the gateway has confirmed it: see Confirmations.
	Told *Told
}

// Told is what a notification says of money that went back, or did not come.
type Told struct {
	Type      string // in the gateway's word
	Reference string // the refund's; empty for what is none of a merchant's
	Amount    money.Amount
	Date      string // the day on which the gateway has booked it, YYYY-MM-DD
	// Ours says that the reference and the amount are those of a refund that
	// was asked for here. No notification can say so itself.
	Ours bool `json:"-"`
}

// SavedCard is a card saved with a payment.
type SavedCard struct {
	CustomerID      string
	PaymentMethodID string
	SchemeReference string
	Card            Card
}

// ObjectKind says what an event is about, in the words of the capabilities.
type ObjectKind string

// What an event may be about.
const (
	ObjectQuote   ObjectKind = "quote"
	ObjectInvoice ObjectKind = "invoice"
	ObjectPayment ObjectKind = "payment" // FetchPayment
	ObjectHosted  ObjectKind = "hosted"  // FetchHostedPayment
	ObjectSetup   ObjectKind = "setup"   // FetchSetup
	ObjectRefund  ObjectKind = "refund"  // FetchRefund
	ObjectRefunds ObjectKind = "refunds" // FetchRefunds, of the payment
	ObjectDispute ObjectKind = "dispute" // FetchDispute
	ObjectCard    ObjectKind = "card"    // FetchCard
	// ObjectCustomer is one that is said to be deleted: FetchCustomer. Of
	// anything else that is told of customers nothing is taken over.
	ObjectCustomer ObjectKind = "customer"
	ObjectOther    ObjectKind = "other"
)

// Object names the gateway object an event is about, with the metadata we
// put on it (CallID and Subject are empty on foreign objects).
type Object struct {
	Kind           ObjectKind
	ID             string
	CallID         string
	Subject        string
	ProviderID     string
	OrganizationID string
	// PaymentID is the gateway's payment that a refund or a dispute is of.
	PaymentID string
}

// Events is offered by gateways that notify us.
type Events interface {
	// VerifyEvent checks a delivery's raw body and headers against the
	// secrets (current first, previous after). No secret is a refusal. It
	// returns ErrSignature for a forged, stale or future one and
	// ErrMalformed for a body that is no event.
	VerifyEvent(raw []byte, h http.Header, secrets []string, now time.Time) (Event, error)
	// RegisterEndpoint sees to it that the gateway sends events to an address,
	// by one registration. It looks at what the account has first: what is
	// registered there with the secret that is stored stays; what nobody knows
	// the secret of is replaced.
	RegisterEndpoint(ctx context.Context, a Account, c Call, r EndpointRequest) EndpointResult
}

// Notifications is offered by gateways whose events are not signed. The
// address they are sent to is secret, and what they say is believed only when
// the gateway repeats it on being asked.
type Notifications interface {
	// ParseNotification reads a delivery; ErrMalformed for a body that is none.
	// The same event delivered again has the same id.
	ParseNotification(raw []byte) (Event, error)
	// Acknowledgement is the body of the answer by which the gateway knows that
	// it was heard.
	Acknowledgement() string
}

// Confirmations is offered by gateways whose notifications are the only ones
// to tell refunds and disputes of one payment apart. Each is asked whether the
// payment stands as it does when what was told is true; where it does not, the
// outcome is Unknown.
type Confirmations interface {
	ConfirmRefund(ctx context.Context, a Account, gatewayPaymentID string, told Told) RefundResult
	ConfirmDispute(ctx context.Context, a Account, gatewayPaymentID string, told Told) DisputeResult
}

// Returns is offered by gateways that sign the address to which a browser
// comes back from their page.
type Returns interface {
	// VerifyReturn checks the query of such an address with the account's
	// secret. outcome is the end that the address stands for (ReturnSuccess and
	// so on). It returns ErrUnsigned where there is no secret or no signature,
	// ErrSignature for a forged one, and ErrMalformed for a query that is none
	// of the gateway's or does not fit the outcome.
	VerifyReturn(a Account, outcome string, query url.Values) (Return, error)
}

// The ends that a page's return addresses stand for.
const (
	ReturnSuccess = "success"
	ReturnPending = "pending"
	ReturnFailure = "failure"
	ReturnCancel  = "cancel"
	ReturnError   = "error"
)

// Return is what the gateway has signed about a payment. It is compared with
// what is stored and never decides who gets what.
type Return struct {
	OrderCode string
	Amount    money.Amount
	Status    Status // SUCCEEDED, PROCESSING or DECLINED
	Canceled  bool   // the payer has left the page, and may come back to it
}

// EndpointRequest asks for events to be sent to an address.
type EndpointRequest struct {
	URL string `json:"url"`
	// EndpointID is the registration that the stored signing secret is of;
	// empty where none is stored, or a person has entered it.
	EndpointID string `json:"endpointId,omitempty"`
	// SecretStored says whether a signing secret is stored.
	SecretStored bool `json:"secretStored,omitempty"`
}

// EndpointResult is a registered webhook endpoint.
type EndpointResult struct {
	Outcome
	EndpointID string
	// Secret is a new one; empty where the stored one stays good.
	Secret string
}
