// Package gateway holds what Purser and a payment gateway say to each other:
// the capabilities an adapter may offer, the requests made of them, and the
// outcomes they report. It owns no state and knows neither the database nor
// the domain's rules; the adapters live in gateway/stripe and
// gateway/worldpay.
//
// Invariants every adapter keeps (held by gateway/gatewaytest):
//   - the same request with the same Call.Key never moves money twice;
//   - an outcome is Declined, Rejected or Unavailable only when the gateway
//     said so, or surely nothing happened; everything else is Unknown;
//   - amounts that the gateway confirms are reported as it confirmed them,
//     never as they were asked for.
package gateway

import (
	"context"
	"time"

	"purser/money"
)

// Kind names a gateway.
type Kind string

// The gateways.
const (
	KindStripe   Kind = "STRIPE"
	KindWorldpay Kind = "WORLDPAY"
)

// Environment is where an account's money is: the built-in sandbox, the
// gateway's test system, or real.
type Environment string

// The environments.
const (
	EnvironmentSandbox Environment = "SANDBOX"
	EnvironmentTest    Environment = "TEST"
	EnvironmentLive    Environment = "LIVE"
)

// Account is one merchant account with its secrets opened. It is built for
// one call and never stored or logged.
type Account struct {
	OrganizationID string
	ProviderID     string
	Kind           Kind
	Environment    Environment
	// CredentialVersion changes with the credentials, so that an adapter may
	// keep one client per (ProviderID, CredentialVersion).
	CredentialVersion int
	// SecretKey is the gateway's key; of Worldpay the user name and the XML
	// password, with a colon between them.
	SecretKey      string
	PublishableKey string
	// MerchantCode and InstallationID name the account and its payment pages
	// where the gateway asks for them.
	MerchantCode   string
	InstallationID string
	// MACSecret is the secret with which the gateway signs the addresses that
	// browsers come back to; LegacyMAC also takes the signatures of old.
	MACSecret string
	LegacyMAC bool
	// Endpoint is the address of the gateway's service that was given for the
	// account; empty: the gateway's own of the environment. The adapter checks
	// it at every call.
	Endpoint string
}

// Call identifies one intent stored before the request leaves. Key is the
// idempotency key at the gateway; an operation of several requests derives
// one key a step from it. Metadata with CallID, OrganizationID and ProviderID
// goes on every object the gateway lets carry any.
type Call struct {
	ID      string
	Key     string
	Subject string // id of the quote, invoice, payment or payment method it is about
	// StartedAt is when the intent was stored; zero means just now. Gateways
	// forget keys after a time: past it an adapter finds out what became of the
	// call instead of sending it again, so that no key moves money twice.
	StartedAt time.Time
}

// Status is how a call ended.
type Status string

// The ends of a call.
const (
	StatusSucceeded    Status = "SUCCEEDED"
	StatusActionNeeded Status = "ACTION_NEEDED" // the payer must act (3-D Secure, hosted page)
	StatusProcessing   Status = "PROCESSING"    // accepted, the result comes later
	StatusDeclined     Status = "DECLINED"      // the bank or the gateway's rules said no to the payer
	StatusRejected     Status = "REJECTED"      // the gateway refused the request itself; nothing happened
	StatusUnavailable  Status = "UNAVAILABLE"   // surely nothing happened; may be tried again (no connection)
	StatusUnknown      Status = "UNKNOWN"       // it may have happened: ask again, never call it failed
)

// Outcome is the part of a result that every operation shares. In a
// PaymentResult and a CardResult it is the state of the payment or the setup,
// after acting and after reading alike, so that one function can finish both.
// In the other results it tells how the operation went, and reading an object
// in whatever state is Succeeded.
type Outcome struct {
	Status Status
	// Never is set beside StatusUnavailable when the gateway has shown that no
	// try of the call, not even the first, did anything or ever will.
	Never     bool
	Failure   *Failure
	RequestID string // the gateway's own id of the request, for its support
}

// Failure says why a call was declined or rejected.
type Failure struct {
	Code        string // the gateway's code, lower case: card_declined, expired_card, authentication_required …
	DeclineCode string // the issuer's reason where it may be shown; empty for lost, stolen and fraud reasons
	Message     string // one sentence for a person
	Credentials bool   // true: our credentials were refused, which says nothing about an earlier try of the same call
	Final       bool   // true: a decline that trying again with the same card will not change
	// GoneCustomer is the customer of the request where the gateway, asked for
	// it, says that it was deleted: nothing can be done with it any more.
	GoneCustomer string
}

// Codes of failures that mean the same at every gateway: what a gateway cannot
// do; a payment whose money the gateway could not take, although the card was
// good for it; and what a notification has told and the gateway denies.
const (
	CodeUnsupported   = "unsupported"
	CodeCaptureFailed = "capture_failed"
	CodeUnconfirmed   = "unconfirmed"
)

// NextAction is what the payer must do.
type NextAction struct {
	RedirectURL  string
	ExpiresAt    time.Time
	ClientSecret string
}

// Customer is the payer as the gateway knows it. With an empty ID the
// adapter creates it and reports the new id.
type Customer struct {
	ID      string
	PayerID string
	Name    string
	Email   string
	Address Address
}

// Address is where a payer is billed; Country is its ISO code of two letters,
// empty where there is no address.
type Address struct {
	Line1      string
	Line2      string
	City       string
	State      string
	PostalCode string
	Country    string
}

// Line is one position of a quote or an invoice. Total is quantity × unit
// amount, exact.
type Line struct {
	Description string
	Quantity    int64
	UnitAmount  money.Amount
	Total       money.Amount
}

// Card is what may be known about a saved card.
type Card struct {
	Brand    string
	Last4    string
	ExpMonth int
	ExpYear  int
}

// Adapter is what every gateway offers. The capability interfaces below are
// found by type assertion.
type Adapter interface {
	Kind() Kind
	// TestAccount asks the gateway who the credentials belong to. No money
	// moves; it may be repeated.
	TestAccount(ctx context.Context, a Account) AccountResult
}

// AccountResult describes the merchant account behind the credentials.
type AccountResult struct {
	Outcome
	AccountID      string
	Country        string
	ChargesEnabled bool
}

// Quotes is offered by gateways that keep quotes of their own.
type Quotes interface {
	// FinalizeQuote makes the quote with its customer and lines and finalizes it.
	FinalizeQuote(ctx context.Context, a Account, c Call, r QuoteRequest) QuoteResult
	// AcceptQuote accepts it; the invoice that the gateway makes is set to
	// advance only when we say so. Already accepted is success.
	AcceptQuote(ctx context.Context, a Account, c Call, quoteID string) QuoteResult
	// CancelQuote cancels it. Already canceled is success.
	CancelQuote(ctx context.Context, a Account, c Call, quoteID string) QuoteResult
	// FetchQuote reads it again.
	FetchQuote(ctx context.Context, a Account, quoteID string) QuoteResult
}

// QuoteRequest is a quote to be mirrored.
type QuoteRequest struct {
	Customer    Customer
	Currency    string
	Lines       []Line
	Description string
	ExpiresAt   time.Time
}

// QuoteResult is a quote as the gateway has it.
type QuoteResult struct {
	Outcome
	QuoteID    string
	CustomerID string
	State      QuoteState
	Total      money.Amount
	InvoiceID  string
}

// QuoteState is how a quote stands at the gateway; empty where it could not be
// read.
type QuoteState string

// How a quote may stand.
const (
	QuoteDraft    QuoteState = "draft"
	QuoteOpen     QuoteState = "open"
	QuoteAccepted QuoteState = "accepted"
	QuoteCanceled QuoteState = "canceled"
)

// Invoices is offered by gateways that keep invoices of their own.
type Invoices interface {
	// FinalizeInvoice finalizes the invoice named by r.InvoiceID, or makes
	// one of the request's lines first. Already finalized is success.
	FinalizeInvoice(ctx context.Context, a Account, c Call, r InvoiceRequest) InvoiceResult
	// PayInvoice charges a saved card for a finalized invoice. Already paid
	// is success.
	PayInvoice(ctx context.Context, a Account, c Call, r InvoicePayRequest) InvoiceResult
	// SettleInvoice marks it paid out of band. Already paid is success.
	SettleInvoice(ctx context.Context, a Account, c Call, invoiceID string) InvoiceResult
	// VoidInvoice voids it. Already void is success.
	VoidInvoice(ctx context.Context, a Account, c Call, invoiceID string) InvoiceResult
	// DeleteDraftInvoice removes an invoice that was never finalized.
	DeleteDraftInvoice(ctx context.Context, a Account, c Call, invoiceID string) InvoiceResult
	// FetchInvoice reads it again.
	FetchInvoice(ctx context.Context, a Account, invoiceID string) InvoiceResult
}

// InvoiceRequest is an invoice to be finalized.
type InvoiceRequest struct {
	InvoiceID   string // set when the gateway already has the draft
	Number      string // ours, for the gateway's documents to show; the gateway takes one of its own where it cannot
	Customer    Customer
	Currency    string
	Lines       []Line
	Tax         money.Amount
	Total       money.Amount
	Description string
	SaveCard    bool // the card with which it is paid is to be charged again, without the payer
}

// InvoicePayRequest charges a saved card.
type InvoicePayRequest struct {
	InvoiceID       string
	PaymentMethodID string
	OffSession      bool
	ReturnURL       string
}

// InvoiceResult is an invoice as the gateway has it.
type InvoiceResult struct {
	Outcome
	InvoiceID   string
	CustomerID  string
	State       InvoiceState
	Total       money.Amount
	AmountDue   money.Amount // what the payer is asked for; another than Total where the gateway has the customer owe or own something
	AmountPaid  money.Amount
	Credited    money.Amount // what credit notes have made less due, before it was paid
	PaidOutside bool         // paid out of band, no money moved at the gateway
	HostedURL   string
	PDFURL      string
	// ClientSecret is with what the payer's browser pays it in a form of the
	// seller's own; empty where nothing is to be paid.
	ClientSecret string
	Payment      PaymentState // the payment behind it, where there is one
	NextAction   NextAction
}

// InvoiceState is how an invoice stands at the gateway; empty where it could
// not be read.
type InvoiceState string

// How an invoice may stand.
const (
	InvoiceDraft         InvoiceState = "draft"
	InvoiceOpen          InvoiceState = "open"
	InvoicePaid          InvoiceState = "paid"
	InvoiceUncollectible InvoiceState = "uncollectible"
	InvoiceVoid          InvoiceState = "void"
)

// HostedPayments is offered by gateways with a payment page of their own.
type HostedPayments interface {
	StartHostedPayment(ctx context.Context, a Account, c Call, r HostedPaymentRequest) PaymentResult
	// FetchHostedPayment reads the page's state and the payment behind it.
	FetchHostedPayment(ctx context.Context, a Account, referenceID string) PaymentResult
}

// HostedPaymentRequest asks for a page on which the payer pays Amount.
type HostedPaymentRequest struct {
	Customer    Customer
	Amount      money.Amount
	Description string
	OrderCode   string
	SaveCard    bool
	SuccessURL  string
	CancelURL   string
	// PendingURL, FailureURL and ErrorURL are for gateways that tell more ends
	// apart; empty: SuccessURL, where we ask how the payment stands.
	PendingURL string
	FailureURL string
	ErrorURL   string
	ExpiresAt  time.Time
}

// Charges is offered by gateways that can charge a saved card.
type Charges interface {
	ChargeCard(ctx context.Context, a Account, c Call, r ChargeRequest) PaymentResult
	FetchPayment(ctx context.Context, a Account, gatewayPaymentID string) PaymentResult
}

// Cancels is offered by gateways that can give up a payment which waits for
// its payer.
type Cancels interface {
	// CancelPayment gives it up. The outcome is the payment's state: it may have
	// been paid meanwhile.
	CancelPayment(ctx context.Context, a Account, c Call, r CancelRequest) PaymentResult
}

// CancelRequest names a payment by its page, where it has one, else by the
// gateway's id.
type CancelRequest struct {
	ReferenceID      string
	GatewayPaymentID string
}

// ChargeRequest charges a saved card.
type ChargeRequest struct {
	CustomerID      string
	PaymentMethodID string
	// SchemeReference is the PaymentState.SchemeReference of the payment with
	// which the card was saved, where there was one.
	SchemeReference string
	Amount          money.Amount
	Description     string
	OrderCode       string
	OffSession      bool
	// Recurring says that an OffSession charge is a subscription's, as often as
	// it was agreed; any other comes when something has happened.
	Recurring bool   `json:",omitempty"`
	ReturnURL string // where 3-D Secure ends; empty: the client secret is used instead
}

// PaymentState is the gateway's view of one payment.
type PaymentState struct {
	Status           Status       // SUCCEEDED, ACTION_NEEDED, PROCESSING, DECLINED; empty when there is none yet
	Canceled         bool         // given up or expired: no money will come
	GatewayPaymentID string       // the id a credit is unique by (Stripe: pi_…)
	Amount           money.Amount // as the gateway confirmed it
	ReceiptURL       string
	PaymentMethodID  string
	// SchemeReference is the card scheme's id of the payment, which later
	// charges of the saved card name.
	SchemeReference string
	Card            *Card
	Failure         *Failure
}

// PaymentResult is the outcome of a charge or a hosted payment.
type PaymentResult struct {
	Outcome
	ReferenceID string // the page's id (Stripe: cs_…), empty for direct charges
	CustomerID  string
	Payment     PaymentState
	NextAction  NextAction
}

// Cards is offered by gateways that keep cards for later.
type Cards interface {
	// AttachCard saves a card the browser or app has turned into a token.
	AttachCard(ctx context.Context, a Account, c Call, r CardRequest) CardResult
	// SetupCard prepares saving a card: a hosted page when ReturnURL is
	// given, else a client secret.
	SetupCard(ctx context.Context, a Account, c Call, r CardRequest) CardResult
	// FetchSetup reads a setup again; reference is CardResult.ReferenceID.
	FetchSetup(ctx context.Context, a Account, reference string) CardResult
	// SetDefaultCard makes it the one charged by default.
	SetDefaultCard(ctx context.Context, a Account, c Call, customerID, cardID string) CardResult
	SavedCards
}

// SavedCards is offered by gateways that keep cards for later, also those that
// save them with a payment only.
type SavedCards interface {
	// DetachCard forgets it. Already gone is success.
	DetachCard(ctx context.Context, a Account, c Call, customerID, cardID string) CardResult
}

// CardReads is offered by gateways that tell how a saved card stands.
type CardReads interface {
	// FetchCard reads a saved card. One that belongs to nobody any more, or that
	// is gone, succeeds without a CustomerID.
	FetchCard(ctx context.Context, a Account, cardID string) CardResult
}

// CustomerReads is offered by gateways at whose own pages a customer may be
// deleted.
type CustomerReads interface {
	// FetchCustomer tells whether a customer was deleted. One that the gateway
	// does not know is no deleted one: the account may be another than that of
	// its events.
	FetchCustomer(ctx context.Context, a Account, customerID string) CustomerResult
}

// CustomerResult is a customer as the gateway has it.
type CustomerResult struct {
	Outcome
	CustomerID string
	Deleted    bool
}

// CardRequest saves a card.
type CardRequest struct {
	Customer    Customer
	Token       string
	MakeDefault bool
	ReturnURL   string
	CancelURL   string
}

// CardResult is a saved card, or what is still to be done for it.
type CardResult struct {
	Outcome
	ReferenceID     string // the setup's id (seti_… or cs_…)
	CustomerID      string
	PaymentMethodID string
	Card            Card
	NextAction      NextAction
}
