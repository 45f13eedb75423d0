package gateway

import (
	"context"
	"time"

	"purser/money"
)

// Refunds is offered by gateways that give money back.
type Refunds interface {
	// RefundPayment gives back a part of a payment, or all of it, once per call.
	RefundPayment(ctx context.Context, a Account, c Call, r RefundRequest) RefundResult
	// FetchRefund asks how it stands; refundID is RefundResult.RefundID.
	FetchRefund(ctx context.Context, a Account, r RefundRequest, refundID string) RefundResult
}

// RefundRequest gives money back.
type RefundRequest struct {
	GatewayPaymentID string
	OrderCode        string
	Amount           money.Amount
	Reason           string
}

// RefundResult is a refund as the gateway has it.
type RefundResult struct {
	Outcome
	// RefundID is empty where the gateway does not name a refund that was made
	// there: one that has failed is the latest of its amount.
	RefundID string
	State    RefundState
	Amount   money.Amount
}

// RefundState is how a refund stands at the gateway; empty where it could not
// be read.
type RefundState string

// How a refund may stand.
const (
	RefundPending   RefundState = "pending"
	RefundSucceeded RefundState = "succeeded"
	RefundFailed    RefundState = "failed"
	RefundCanceled  RefundState = "canceled"
)

// RefundLists is offered by gateways that tell of refunds by the payment they
// are of.
type RefundLists interface {
	// FetchRefunds reads all refunds of a payment.
	FetchRefunds(ctx context.Context, a Account, gatewayPaymentID string) RefundsResult
}

// RefundsResult is what went back of a payment.
type RefundsResult struct {
	Outcome
	Refunds []ListedRefund
}

// ListedRefund is a refund with our own id for it, empty where it was made at
// the gateway.
type ListedRefund struct {
	RefundResult
	Subject string
}

// Disputes is offered by gateways that tell when a payer's bank contests a
// payment.
type Disputes interface {
	// FetchDispute reads a dispute again.
	FetchDispute(ctx context.Context, a Account, disputeID string) DisputeResult
}

// DisputeResult is a dispute as the gateway has it.
type DisputeResult struct {
	Outcome
	// DisputeID is empty where the gateway does not name the dispute that it
	// tells the end of: it is the latest that took the amount.
	DisputeID        string
	GatewayPaymentID string // of the payment that is contested
	State            DisputeState
	Amount           money.Amount
	Reason           string // in the gateway's word
	EvidenceDueAt    time.Time
}

// DisputeState is how a dispute stands at the gateway; empty where it could
// not be read.
type DisputeState string

// How a dispute may stand.
const (
	DisputeWarning       DisputeState = "warning"        // an inquiry: no money has moved
	DisputeWarningClosed DisputeState = "warning_closed" // an inquiry that came to nothing
	DisputeNeedsResponse DisputeState = "needs_response" // the money is taken back
	DisputeUnderReview   DisputeState = "under_review"
	DisputeWon           DisputeState = "won" // the money is returned
	DisputeLost          DisputeState = "lost"
)
