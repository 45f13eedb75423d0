package worldpay

import (
	"errors"
	"strings"
	"testing"

	"purser/gateway"
)

// told is a notification about 4.00 of the test's payment of 10.00 USD.
func told(t *testing.T, event, reference string) gateway.Told {
	t.Helper()
	return gateway.Told{Type: event, Reference: reference, Amount: amount(t, "4.00", "USD"), Date: "2026-03-10"}
}

// TestConfirmRefund: what was told counts while the order stands as it does
// when that is true, and what would give the payer money only while it surely
// does.
func TestConfirmRefund(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		told, reference  string
		ours             bool
		event, latest    string
		want             gateway.RefundState // empty: not confirmed
		answer           *answer
		amount, currency string
	}{
		"done":                        {told: "REFUNDED", reference: "RF", event: "REFUNDED", latest: "RF", want: gateway.RefundSucceeded},
		"done, no reference shown":    {told: "REFUNDED", reference: "RF", event: "REFUNDED", want: gateway.RefundSucceeded},
		"done by hand":                {told: "REFUNDED_BY_MERCHANT", event: "REFUNDED_BY_MERCHANT", want: gateway.RefundSucceeded},
		"done, another after it":      {told: "REFUNDED", reference: "RF", ours: true, event: "SENT_FOR_REFUND", latest: "OTHER", want: gateway.RefundSucceeded},
		"done, another done after it": {told: "REFUNDED", reference: "RF", ours: true, event: "REFUNDED", latest: "OTHER", want: gateway.RefundSucceeded},
		"done, then charged back":     {told: "REFUNDED", reference: "RF", ours: true, event: "CHARGED_BACK", want: gateway.RefundSucceeded},
		"done, and it is under way":   {told: "REFUNDED", reference: "RF", ours: true, event: "SENT_FOR_REFUND", latest: "RF"},
		"done, never asked for here":  {told: "REFUNDED", reference: "RF", event: "REFUNDED", latest: "OTHER"},
		"done by hand, but otherwise": {told: "REFUNDED", event: "REFUNDED_BY_MERCHANT"},
		"done by hand, another's":     {told: "REFUNDED", event: "REFUNDED", latest: "OTHER"},
		"done, and nothing is":        {told: "REFUNDED", reference: "RF", ours: true, event: "CAPTURED"},
		"sent":                        {told: "SENT_FOR_REFUND", reference: "RF", event: "SENT_FOR_REFUND", latest: "RF", want: gateway.RefundPending},
		"sent, and done":              {told: "SENT_FOR_REFUND", reference: "RF", event: "REFUNDED", latest: "RF", want: gateway.RefundPending},
		"sent, and nothing was":       {told: "SENT_FOR_REFUND", reference: "RF", ours: true, event: "CAPTURED"},
		"failed":                      {told: "REFUND_FAILED", reference: "RF", event: "REFUND_FAILED", latest: "RF", want: gateway.RefundFailed},
		"failed, and another has":     {told: "REFUND_FAILED", reference: "RF", ours: true, event: "REFUND_FAILED", latest: "OTHER"},
		"failed, and it is under way": {told: "REFUND_FAILED", reference: "RF", ours: true, event: "SENT_FOR_REFUND", latest: "RF"},
		"failed, and another is":      {told: "REFUND_FAILED", reference: "RF", ours: true, event: "SENT_FOR_REFUND", latest: "OTHER"},
		"more than was paid":          {told: "REFUNDED", reference: "RF", ours: true, event: "REFUNDED", latest: "RF", amount: "10.01"},
		"in another currency":         {told: "REFUNDED", reference: "RF", ours: true, event: "REFUNDED", latest: "RF", currency: "EUR"},
		"no such order":               {told: "REFUNDED", reference: "RF", answer: &answer{body: refusedWith("5", noPayment)}},
		"no answer":                   {told: "REFUNDED", reference: "RF", answer: &answer{status: 503}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := answer{body: statusOf(paymentIn(c.event, referenceIn(c.latest)))}
			if c.answer != nil {
				said = *c.answer
			}
			a, _ := newFake(t, said).adapter()
			what := told(t, c.told, c.reference)
			what.Ours = c.ours
			if c.amount != "" {
				what.Amount = amount(t, c.amount, "USD")
			}
			if c.currency != "" {
				what.Amount.Currency = c.currency
			}
			res := a.ConfirmRefund(t.Context(), testAccount(), testCode, what)
			if res.State != c.want || res.Known() != (c.want != "") || res.Amount != what.Amount {
				t.Errorf("confirmed %+v %+v", res, res.Failure)
			}
		})
	}
}

// TestConfirmDispute: a chargeback that came back must stand so.
func TestConfirmDispute(t *testing.T) {
	t.Parallel()
	const name = testCode + ":chargeback:2026-03-10:400000000"
	for _, c := range []struct {
		told, event string
		want        gateway.DisputeState
		name        string
	}{
		{"INFORMATION_REQUESTED", "INFORMATION_REQUESTED", gateway.DisputeWarning, testCode + ":inquiry:2026-03-10:400000000"},
		{"INFORMATION_REQUESTED", "CHARGED_BACK", gateway.DisputeWarning, testCode + ":inquiry:2026-03-10:400000000"},
		{"INFORMATION_REQUESTED", "CAPTURED", "", ""},
		{"CHARGED_BACK", "CHARGED_BACK", gateway.DisputeNeedsResponse, name},
		{"CHARGED_BACK", "CHARGEBACK_REVERSED", gateway.DisputeNeedsResponse, name},
		{"CHARGED_BACK", "SETTLED", "", ""},
		{"CHARGEBACK_REVERSED", "CHARGEBACK_REVERSED", gateway.DisputeWon, ""},
		{"CHARGEBACK_REVERSED", "CHARGED_BACK", "", ""},
		{"CHARGEBACK_REVERSED", "SETTLED", "", ""},
	} {
		a, _ := newFake(t, answer{body: statusOf(paymentIn(c.event, ""))}).adapter()
		res := a.ConfirmDispute(t.Context(), testAccount(), testCode, told(t, c.told, ""))
		if res.State != c.want || res.Known() != (c.want != "") || res.Known() && (res.DisputeID != c.name || res.GatewayPaymentID != testCode || res.Amount != amount(t, "4.00", "USD")) {
			t.Errorf("%s while %s: %+v %+v", c.told, c.event, res, res.Failure)
		}
	}
}

// TestFetchDispute: asked for later, an order tells that its chargeback came
// back.
func TestFetchDispute(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, event string
		want        gateway.DisputeState
	}{
		{"chargeback", "CHARGED_BACK", gateway.DisputeNeedsResponse},
		{"chargeback", "SETTLED", gateway.DisputeNeedsResponse},
		{"chargeback", "CHARGEBACK_REVERSED", gateway.DisputeWon},
		{"inquiry", "INFORMATION_REQUESTED", gateway.DisputeWarning},
		{"inquiry", "CHARGED_BACK", gateway.DisputeWarningClosed},
	} {
		a, _ := newFake(t, answer{body: statusOf(paymentIn(c.event, ""))}).adapter()
		id := testCode + ":" + c.kind + ":2026-03-10:400000000"
		res := a.FetchDispute(t.Context(), testAccount(), id)
		if res.Status != gateway.StatusSucceeded || res.State != c.want || res.DisputeID != id || res.GatewayPaymentID != testCode || res.Amount != amount(t, "4.00", "USD") {
			t.Errorf("%s of %s: %+v %+v", c.kind, c.event, res, res.Failure)
		}
	}
	a, _ := newFake(t).adapter()
	for _, id := range []string{"", testCode, testCode + ":chargeback:2026-03-10:x", "dp_1"} {
		if res := a.FetchDispute(t.Context(), testAccount(), id); res.Status != gateway.StatusRejected {
			t.Errorf("%q: %+v", id, res)
		}
	}
}

// TestNotificationOfMoneyBack: how much, of which refund or dispute, on which
// day.
func TestNotificationOfMoneyBack(t *testing.T) {
	t.Parallel()
	a := New(Config{})
	date := `<bookingDate><date dayOfMonth="10" month="3" year="2026"/></bookingDate>`
	account := func(name, value, currency string) string {
		return `<accountTx accountType="` + name + `" batchId="1"><amount value="` + value + `" currencyCode="` + currency + `" exponent="2" debitCreditIndicator="debit"/></accountTx>`
	}
	reference := `<journalReference type="capture" reference="RF"/>`
	parse := func(event, journal string) (gateway.Event, error) {
		return a.ParseNotification([]byte(`<paymentService version="1.4" merchantCode="` + testMerchant + `"><notify><orderStatusEvent orderCode="` + testCode + `">` +
			paymentIn(event, "") + `<journal journalType="` + event + `">` + journal + `</journal></orderStatusEvent></notify></paymentService>`))
	}
	for _, c := range []struct {
		event, journal string
		kind           gateway.ObjectKind
		id, sum        string
	}{
		{"SENT_FOR_REFUND", date + account("IN_PROCESS_CAPTURED", "400", "USD") + reference, gateway.ObjectRefund, "RF", "4.00"},
		{"SENT_FOR_REFUND", date + account("IN_PROCESS_CAPTURED", "400", "USD"), gateway.ObjectRefund, testCode, "4.00"},
		{"REFUNDED", date + account("SETTLED_BIBIT_NET", "390", "USD") + account("IN_PROCESS_CAPTURED", "400", "USD") + reference, gateway.ObjectRefund, "RF", "4.00"},
		{"REFUNDED_BY_MERCHANT", date + account("SETTLED_BIBIT_NET", "400", "USD"), gateway.ObjectRefund, "2026-03-10:400000000", "4.00"},
		{"REFUND_FAILED", date + reference, gateway.ObjectRefund, "RF", "10.00"},
		{"CHARGED_BACK", date + account("SETTLED_BIBIT_NET", "370", "EUR"), gateway.ObjectDispute, testCode + ":chargeback:2026-03-10:1000000000", "10.00"},
		{"CHARGEBACK_REVERSED", date + account("SETTLED_BIBIT_NET", "400", "USD"), gateway.ObjectDispute, testCode, "4.00"},
		{"INFORMATION_REQUESTED", date, gateway.ObjectDispute, testCode + ":inquiry:2026-03-10:1000000000", "10.00"},
	} {
		e, err := parse(c.event, c.journal)
		if err != nil {
			t.Errorf("%s: %v", c.event, err)
			continue
		}
		if e.Object.Kind != c.kind || e.Object.ID != c.id || e.Object.PaymentID != testCode || e.Told == nil || e.Told.Amount != amount(t, c.sum, "USD") ||
			e.Told.Ours || (e.Told.Reference == "RF") != strings.Contains(c.journal, "RF") || e.Told.Date != "2026-03-10" || e.Told.Type != c.event {
			t.Errorf("%s: %+v %+v", c.event, e, e.Told)
		}
	}
	for _, journal := range []string{
		`<bookingDate><date dayOfMonth="31" month="2" year="2026"/></bookingDate>`,
		date + date,
		date + `<accountTx accountType="CAPTURED"/>`,
		date + account("CAPTURED", "-4", "USD"),
	} {
		if _, err := parse("REFUNDED", journal); !errors.Is(err, gateway.ErrMalformed) {
			t.Errorf("%s: %v", journal, err)
		}
	}
}
