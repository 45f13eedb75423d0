package worldpaysandbox

import "time"

// moment is a time of a merchant's clock in unix seconds.
type moment int64

func (m moment) utc() time.Time { return time.Unix(int64(m), 0).UTC() }

// Order is an order with the one payment that it may have. It is what is
// stored and what Inspect shows.
type Order struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Amount      Amount `json:"amount"`
	// CaptureDelay is DEFAULT, OFF or a number of days.
	CaptureDelay string `json:"capture_delay"`
	CreatedAt    moment `json:"created_at"`
	// Hosted says that the shopper pays on the hosted page, with one of Methods.
	Hosted      bool     `json:"hosted"`
	Methods     []string `json:"methods,omitempty"`
	ReferenceID string   `json:"reference_id,omitempty"`
	// Save is set where the order asks for a token.
	Save *Save `json:"save,omitempty"`
	// StoredFirst says that the order announced the card to be stored.
	StoredFirst bool `json:"stored_first,omitempty"`
	// Reason is why a stored card is charged without its holder, in the order's
	// words.
	Reason  string `json:"merchant_initiated_reason,omitempty"`
	Shopper string `json:"shopper,omitempty"` // authenticatedShopperID
	// Challenge is a 3-D Secure authentication that has begun.
	Challenge *Challenge `json:"challenge,omitempty"`
	// Payment is nil until the shopper has sent the page's form.
	Payment *Payment `json:"payment,omitempty"`
	Journal []Entry  `json:"journal"`
	// Due is what happens to the order by itself.
	Due []Due `json:"due,omitempty"`
}

// Amount is an amount as it stands in documents: minor units with the
// exponent that the service uses for the currency.
type Amount struct {
	Value    int64  `json:"value"`
	Currency string `json:"currency"`
	Exponent int    `json:"exponent"`
}

// Save is what an order says about the token it wants.
type Save struct {
	Scope     string `json:"scope"`
	Reference string `json:"reference"`
	Reason    string `json:"reason"`
	Until     moment `json:"until"`
}

// Challenge is what the shopper has chosen before the authentication: a test
// card and an outcome, nothing that was typed.
type Challenge struct {
	Card    string  `json:"card"`
	Outcome outcome `json:"outcome"`
}

// Payment is the attempt to pay an order. All sums are in minor units.
type Payment struct {
	Card        string `json:"card"`
	Method      string `json:"method"`
	LastEvent   string `json:"last_event"`
	LastEventAt moment `json:"last_event_at"`
	// ReturnCode is the ISO 8583 code of a refusal.
	ReturnCode string `json:"return_code,omitempty"`
	Secure     string `json:"three_d_secure,omitempty"`
	// SchemeID names the first payment of a stored card to the schemes.
	SchemeID        string `json:"scheme_transaction_identifier,omitempty"`
	AuthorisationID string `json:"authorisation_id,omitempty"`
	Token           string `json:"token,omitempty"`
	TokenEvent      string `json:"token_event,omitempty"`
	// Reference is that of the latest modification.
	Reference   string   `json:"reference,omitempty"`
	Authorised  int64    `json:"authorised"`
	Captured    int64    `json:"captured"`
	Refunded    int64    `json:"refunded"` // sent for refund and not failed
	ChargedBack int64    `json:"charged_back"`
	Refunds     []Refund `json:"refunds"`
	// Outcome is what the shopper's or the token's choice has led to.
	Outcome outcome `json:"outcome"`
}

// Refund is one refund of a payment: SENT_FOR_REFUND, REFUNDED,
// REFUNDED_BY_MERCHANT or REFUND_FAILED.
type Refund struct {
	Reference string `json:"reference"`
	Amount    int64  `json:"amount"`
	State     string `json:"state"`
}

// Entry is one entry of an order's journal.
type Entry struct {
	Type      string `json:"type"`
	Amount    int64  `json:"amount"`
	Reference string `json:"reference,omitempty"`
	At        moment `json:"at"`
}

// Due is something that happens to an order at a time of its merchant's clock.
type Due struct {
	At        moment `json:"at"`
	Event     string `json:"event"` // CAPTURED or REFUNDED
	Amount    int64  `json:"amount"`
	Reference string `json:"reference,omitempty"`
}

// Token stands for a stored card.
type Token struct {
	ID       string `json:"id"`
	Card     string `json:"card"`
	Scope    string `json:"scope"`
	Shopper  string `json:"shopper,omitempty"`
	Reason   string `json:"reason"`
	Until    moment `json:"until"`
	SchemeID string `json:"scheme_transaction_identifier,omitempty"`
	// Outcome is what charges of the token come to.
	Outcome outcome `json:"outcome"`
	Deleted bool    `json:"deleted,omitempty"`
}

// captured reports whether the merchant has got the money of a payment.
func (p *Payment) captured() bool { return p != nil && p.Captured > 0 }

// refundable is what can still be given back.
func (p *Payment) refundable() int64 { return p.Captured - p.Refunded - p.ChargedBack }
