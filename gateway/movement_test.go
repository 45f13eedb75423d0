package gateway

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"purser/money"
)

// asks is a gateway without a list, which answers some of what it is asked.
type asks struct {
	Adapter
	Charges
	answer func(ctx context.Context, id string) PaymentResult
}

func (asks) Kind() Kind { return "ASKS" }

func (a asks) FetchPayment(ctx context.Context, _ Account, id string) PaymentResult {
	return a.answer(ctx, id)
}

// Where a gateway has no list it is asked for each movement, several at a time;
// one without an answer is told apart from one that the gateway does not have.
func TestMovementsAreAskedFor(t *testing.T) {
	t.Parallel()
	amount := money.Amount{Units: money.UnitsPerMinor, Currency: "USD"}
	var known []Movement
	for n := range 40 {
		known = append(known, Movement{Kind: MovementPayment, ID: fmt.Sprint(n), Amount: amount})
	}
	list := func(answer func(ctx context.Context, id string) PaymentResult) MovementsResult {
		d := NewDirectory(asks{answer: answer})
		return d.ListMovements(t.Context(), Account{Kind: "ASKS"}, time.Time{}, time.Time{}, known)
	}
	has := PaymentResult{Outcome: Outcome{Status: StatusSucceeded}, Payment: PaymentState{Status: StatusSucceeded, Amount: amount}}
	res := list(func(_ context.Context, id string) PaymentResult {
		switch id {
		case "3":
			return PaymentResult{Outcome: Outcome{Status: StatusUnknown}}
		case "7":
			return PaymentResult{Outcome: Outcome{Status: StatusRejected, Failure: &Failure{Code: "unknown_order"}}}
		}
		return has
	})
	if res.Status != StatusSucceeded || !res.Asked || res.Complete || len(res.Movements) != 38 || len(res.Unasked) != 1 || res.Unasked[0].ID != "3" {
		t.Errorf("%+v", res)
	}
	for i, m := range res.Movements[:3] {
		if m.ID != fmt.Sprint(i) || m.Amount != amount {
			t.Errorf("movement %d is %+v", i, m)
		}
	}
	if res := list(func(context.Context, string) PaymentResult {
		return PaymentResult{Outcome: Outcome{Status: StatusUnavailable}}
	}); res.Status != StatusUnavailable || res.Asked {
		t.Errorf("it does not answer: %+v", res)
	}
	func() {
		defer func() {
			if p := recover(); p != "out of range" {
				t.Errorf("an adapter's panic comes as %v", p)
			}
		}()
		list(func(context.Context, string) PaymentResult { panic("out of range") })
	}()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		res := list(func(context.Context, string) PaymentResult {
			time.Sleep(time.Second)
			return has
		})
		if !res.Complete || len(res.Movements) != len(known) {
			t.Errorf("%+v", res)
		}
		if took := time.Since(begin); took != time.Duration(len(known)/askedAtOnce)*time.Second {
			t.Errorf("with a second for each it takes %s", took)
		}
	})
}
