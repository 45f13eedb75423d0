package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"purser/money"
)

// Movements is offered by gateways that list what has moved money in an
// account.
type Movements interface {
	// ListMovements reads what happened from one time until before another.
	ListMovements(ctx context.Context, a Account, from, to time.Time) MovementsResult
}

// MovementKind says what a movement is.
type MovementKind string

// What a movement may be.
const (
	MovementPayment MovementKind = "PAYMENT"
	MovementRefund  MovementKind = "REFUND"
	MovementDispute MovementKind = "DISPUTE"
	MovementFee     MovementKind = "FEE"
	MovementPayout  MovementKind = "PAYOUT"
	MovementOther   MovementKind = "OTHER"
)

// Movement is money that came into an account, or left it.
type Movement struct {
	Kind MovementKind
	// ID names it: of a payment the id that a credit is unique by, of a refund,
	// a dispute and a payout the object's, of a fee and anything else the
	// gateway's own line.
	ID string
	// PaymentID is the gateway's payment that a refund or a dispute is of.
	PaymentID string
	// Amount is what was paid, went back, was taken or kept, never negative; it
	// is in the currency of the object, not of the account.
	Amount money.Amount
	// Reversed is set on a refund or a dispute whose money came back again.
	Reversed bool
	At       time.Time
	// Note says in the gateway's word what anything else is.
	Note string
}

// MovementsResult is what moved.
type MovementsResult struct {
	Outcome
	Movements []Movement
	// Complete is false where there was more than could be read.
	Complete bool
	// Asked is set where each of the known movements was asked for, because the
	// gateway keeps no list: one that is neither among Movements nor Unasked it
	// does not have, or has not taken.
	Asked bool
	// Unasked are those of which there was no answer in time.
	Unasked []Movement
}

const (
	// askedMax bounds how many movements are asked for one by one.
	askedMax = 300
	// askedAtOnce is how many are asked for at the same time: one after the
	// other a day with many would take longer than anybody waits.
	askedAtOnce = 8
)

// ListMovements reads what happened in an account. Where the gateway has no
// list that could be asked for, it is asked for each of the payments and refunds
// that are known here.
func (d Directory) ListMovements(ctx context.Context, a Account, from, to time.Time, known []Movement) MovementsResult {
	if lists, ok := Capability[Movements](d, a.Kind); ok {
		return lists.ListMovements(ctx, a, from, to)
	}
	ask, rest := known[:min(len(known), askedMax)], known[min(len(known), askedMax):]
	type answer struct {
		found *Movement
		Outcome
		panicked any
	}
	answers := make([]answer, len(ask))
	var asking sync.WaitGroup
	slots := make(chan struct{}, askedAtOnce)
	for i, m := range ask {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() {
				answers[i].panicked = recover()
				<-slots
			}()
			answers[i].found, answers[i].Outcome = d.askFor(ctx, a, m)
		})
	}
	asking.Wait()
	res := MovementsResult{Outcome: Outcome{Status: StatusSucceeded}, Asked: true, Unasked: slices.Clone(rest)}
	for i, m := range ask {
		switch {
		case answers[i].panicked != nil:
			panic(answers[i].panicked) // here, where the caller can recover
		case !answers[i].Known():
			res.Unasked = append(res.Unasked, m)
		case answers[i].found != nil:
			res.Movements = append(res.Movements, *answers[i].found)
		}
	}
	if len(ask) > 0 && len(res.Unasked) == len(known) {
		return MovementsResult{Outcome: answers[0].Outcome} // it does not answer
	}
	res.Complete = len(res.Unasked) == 0
	return res
}

// askFor asks how one movement stands; nil where no money moved.
func (d Directory) askFor(ctx context.Context, a Account, m Movement) (*Movement, Outcome) {
	switch m.Kind {
	case MovementPayment:
		r := d.FetchPayment(ctx, a, "", m.ID)
		if r.Status != StatusSucceeded {
			return nil, asked(r.Outcome)
		}
		m.Amount = r.Payment.Amount
		return &m, r.Outcome
	case MovementRefund:
		r := d.FetchRefund(ctx, a, RefundRequest{GatewayPaymentID: m.PaymentID, Amount: m.Amount}, m.ID)
		if r.Status != StatusSucceeded || r.State != RefundPending && r.State != RefundSucceeded {
			return nil, asked(r.Outcome)
		}
		m.Amount = r.Amount
		return &m, r.Outcome
	default:
		return nil, Outcome{Status: StatusSucceeded}
	}
}

// asked is the outcome of a question: an object that the gateway does not know
// is an answer, unless it does not know us.
func asked(o Outcome) Outcome {
	if o.Status == StatusRejected && (o.Failure == nil || !o.Failure.Credentials) {
		o.Status = StatusSucceeded
	}
	return o
}
