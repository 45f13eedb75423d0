package stripe

import (
	"fmt"
	"testing"
	"time"

	"purser/gateway"
	"purser/money"
)

func lineJSON(id, kind string, amount, fee int64, source string) string {
	return fmt.Sprintf(`{"id":%q,"object":"balance_transaction","type":%q,"amount":%d,"fee":%d,"currency":"usd","created":1773144000,"source":%s}`, id, kind, amount, fee, source)
}

func TestListMovements(t *testing.T) {
	t.Parallel()
	usd := func(minor int64) money.Amount {
		return money.Amount{Units: money.Units(minor) * money.UnitsPerMinor, Currency: "USD"}
	}
	at := time.Unix(1773144000, 0).UTC()
	const charge = `{"id":"ch_1","object":"charge","amount":2500,"amount_captured":2500,"currency":"usd","payment_intent":"pi_1"}`
	const refund = `{"id":"re_1","object":"refund","amount":500,"currency":"usd","payment_intent":"pi_1"}`
	const dispute = `{"id":"dp_1","object":"dispute","amount":2500,"currency":"usd","payment_intent":"pi_1"}`
	f := newFake(t).on("GET /v1/balance_transactions", list(
		lineJSON("txn_7", "reserve_transaction", -100, 0, "null"),
		lineJSON("txn_6", "payout", -2000, 0, `{"id":"po_1","object":"payout","amount":2000,"currency":"usd"}`),
		lineJSON("txn_5", "adjustment", 2500, 0, dispute),
		lineJSON("txn_4", "adjustment", -2500, 1500, dispute),
		lineJSON("txn_3", "refund_failure", 500, 0, refund),
		lineJSON("txn_2", "refund", -500, 0, refund),
		lineJSON("txn_1", "charge", 2500, 103, charge),
		lineJSON("txn_0", "stripe_fee", -200, 0, "null"),
	))
	a, _ := f.adapter()
	res := a.ListMovements(t.Context(), testAccount(), at.Add(-time.Hour), at.Add(time.Hour))
	want := []gateway.Movement{
		{Kind: gateway.MovementOther, ID: "txn_7", Amount: usd(100), Note: "reserve_transaction"},
		{Kind: gateway.MovementPayout, ID: "po_1", Amount: usd(2000), Note: "payout"},
		{Kind: gateway.MovementDispute, ID: "dp_1", PaymentID: "pi_1", Amount: usd(2500), Reversed: true, Note: "adjustment"},
		{Kind: gateway.MovementDispute, ID: "dp_1", PaymentID: "pi_1", Amount: usd(2500), Note: "adjustment"},
		{Kind: gateway.MovementFee, ID: "txn_4", PaymentID: "pi_1", Amount: usd(1500), Note: "adjustment"},
		{Kind: gateway.MovementRefund, ID: "re_1", PaymentID: "pi_1", Amount: usd(500), Reversed: true, Note: "refund_failure"},
		{Kind: gateway.MovementRefund, ID: "re_1", PaymentID: "pi_1", Amount: usd(500), Note: "refund"},
		{Kind: gateway.MovementPayment, ID: "pi_1", Amount: usd(2500), Note: "charge"},
		{Kind: gateway.MovementFee, ID: "txn_1", PaymentID: "pi_1", Amount: usd(103), Note: "charge"},
		{Kind: gateway.MovementFee, ID: "txn_0", Amount: usd(200), Note: "stripe_fee"},
	}
	if res.Status != gateway.StatusSucceeded || !res.Complete || len(res.Movements) != len(want) {
		t.Fatalf("%+v", res)
	}
	for i, m := range res.Movements {
		want[i].At = at
		if m != want[i] {
			t.Errorf("movement %d is %+v, want %+v", i, m, want[i])
		}
	}
	sent := f.last("GET /v1/balance_transactions")
	if q := sent.form; q.Get("created[gte]") != fmt.Sprint(at.Add(-time.Hour).Unix()) || q.Get("created[lt]") != fmt.Sprint(at.Add(time.Hour).Unix()) || q.Get("expand[0]") != "data.source" {
		t.Errorf("asked %v", q)
	}
	f = newFake(t).on("GET /v1/balance_transactions", answer{status: 500, body: "x"})
	a, _ = f.adapter()
	if res := a.ListMovements(t.Context(), testAccount(), at, at); res.Status != gateway.StatusUnknown || res.Movements != nil {
		t.Errorf("%+v", res)
	}
}

func TestFetchCard(t *testing.T) {
	t.Parallel()
	const card = `{"id":"pm_1","object":"payment_method","customer":%s,"card":{"brand":"visa","last4":"1111","exp_month":4,"exp_year":2034}}`
	for _, c := range []struct {
		name     string
		answer   answer
		status   gateway.Status
		customer string
	}{
		{"saved", answer{body: fmt.Sprintf(card, `"cus_1"`)}, gateway.StatusSucceeded, "cus_1"},
		{"nobody's", answer{body: fmt.Sprintf(card, "null")}, gateway.StatusSucceeded, ""},
		{"gone", answer{status: 404, body: stripeError("invalid_request_error", "resource_missing", "No such card.", "")}, gateway.StatusSucceeded, ""},
		{"unread", answer{status: 500, body: "x"}, gateway.StatusUnknown, ""},
	} {
		f := newFake(t).on("GET /v1/payment_methods/pm_1", c.answer)
		a, _ := f.adapter()
		res := a.FetchCard(t.Context(), testAccount(), "pm_1")
		if res.Status != c.status || res.CustomerID != c.customer || res.PaymentMethodID != "pm_1" || c.customer != "" && res.Card.ExpYear != 2034 {
			t.Errorf("%s: %+v", c.name, res)
		}
	}
}
