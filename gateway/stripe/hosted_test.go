package stripe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"purser/gateway"
)

func TestHostedPayment(t *testing.T) {
	t.Parallel()
	const start, get, expire = "POST /v1/checkout/sessions", "GET /v1/checkout/sessions/cs_1", "POST /v1/checkout/sessions/cs_1/expire"
	open := answer{body: sessionJSON("payment", "open", "")}
	paid := answer{body: sessionJSON("payment", "complete", `,"payment_status":"paid","payment_intent":`+payment("succeeded", paidCharge))}
	closed := answer{body: sessionJSON("payment", "expired", "")}
	again := open
	again.replayed = true
	begun := time.Unix(1700000000, 0)
	request := gateway.HostedPaymentRequest{
		Customer: gateway.Customer{ID: "cus_1"}, Amount: amount(t, "12.50", "USD"), Description: "Top-up", OrderCode: "ORDER1", SaveCard: true,
		SuccessURL: "https://shop.example/ok?o=1", CancelURL: "https://shop.example/no", ExpiresAt: begun.Add(time.Minute),
	}
	call := testCall()
	call.StartedAt = begun
	at := func(f *fake, now time.Time) *Adapter {
		return New(Config{BaseURL: sandboxAt(f.server.URL), Now: func() time.Time { return now }})
	}

	f := newFake(t).on(start, open, again).on(get, paid)
	res := at(f, begun).StartHostedPayment(t.Context(), testAccount(), call, request)
	if res.Status != gateway.StatusActionNeeded || res.Payment.Status != gateway.StatusActionNeeded || res.ReferenceID != "cs_1" || res.NextAction.RedirectURL != "https://pay.example/c/1" || res.NextAction.ExpiresAt.Unix() != 1900000000 {
		t.Errorf("start = %+v", res)
	}
	form := f.last(start).form
	for name := range form {
		// How the payer may pay is for the account's own settings to say.
		if strings.Contains(name, "payment_method_types") {
			t.Errorf("the page is narrowed by %s", name)
		}
	}
	for name, value := range map[string]string{
		"mode": "payment", "success_url": "https://shop.example/ok?o=1", "cancel_url": "https://shop.example/no", "client_reference_id": "ORDER1",
		"payment_intent_data[setup_future_usage]": "off_session", "payment_intent_data[metadata][purser_call]": "call_1", "payment_intent_data[metadata][purser_order]": "ORDER1",
		"line_items[0][price_data][unit_amount]": "1250", "line_items[0][quantity]": "1", "metadata[purser_subject]": "pay_1",
		"expires_at": fmt.Sprint(begun.Add(pageMin).Unix()),
	} {
		if form.Get(name) != value {
			t.Errorf("%s = %q, want %q", name, form.Get(name), value)
		}
	}
	// Asked again later: the same request, and what became of it.
	res = at(f, begun.Add(time.Hour)).StartHostedPayment(t.Context(), testAccount(), call, request)
	if res.Status != gateway.StatusSucceeded || res.Payment.GatewayPaymentID != "pi_1" || res.Payment.ReceiptURL == "" || res.NextAction != (gateway.NextAction{}) {
		t.Errorf("asked again = %+v", res)
	}
	if f.seen[0].form.Encode() != f.seen[1].form.Encode() || f.seen[0].key != f.seen[1].key {
		t.Errorf("asked otherwise: %v, then %v", f.seen[0].form, f.seen[1].form)
	}
	// Asked so late that the key may be forgotten: looked for.
	for want, found := range map[gateway.Status]answer{gateway.StatusSucceeded: list(sessionJSON("payment", "complete", "")), gateway.StatusUnavailable: list(), gateway.StatusUnknown: {status: 500, body: "x"}} {
		f := newFake(t).on("GET /v1/checkout/sessions", found).on(get, paid)
		if res := at(f, begun.Add(25*time.Hour)).StartHostedPayment(t.Context(), testAccount(), call, request); res.Status != want {
			t.Errorf("asked late = %s, want %s", res.Status, want)
		}
	}

	states := []struct {
		name    string
		session string
		want    gateway.Status
		payment gateway.Status
		cancel  bool
		code    string
	}{
		{"open", open.body, gateway.StatusActionNeeded, gateway.StatusActionNeeded, false, ""},
		{
			"open, one card declined", sessionJSON("payment", "open", `,"payment_intent":`+payment("requires_payment_method", `,"last_payment_error":{"type":"card_error","code":"card_declined","message":"No."}`)),
			gateway.StatusActionNeeded, gateway.StatusActionNeeded, false, "card_declined",
		},
		{"paid, page not told yet", sessionJSON("payment", "open", `,"payment_intent":`+payment("succeeded", "")), gateway.StatusSucceeded, gateway.StatusSucceeded, false, ""},
		{"paid", paid.body, gateway.StatusSucceeded, gateway.StatusSucceeded, false, ""},
		{"under way", sessionJSON("payment", "complete", `,"payment_intent":`+payment("processing", "")), gateway.StatusProcessing, gateway.StatusProcessing, false, ""},
		{"complete, payment unseen", sessionJSON("payment", "complete", `,"payment_intent":"pi_1"`), gateway.StatusProcessing, gateway.StatusProcessing, false, ""},
		{
			"failed in the end", sessionJSON("payment", "complete", `,"payment_intent":`+payment("requires_payment_method", `,"last_payment_error":{"type":"card_error","code":"card_declined","message":"No."}`)),
			gateway.StatusDeclined, gateway.StatusDeclined, false, "card_declined",
		},
		{"closed", closed.body, gateway.StatusDeclined, "", true, codeExpired},
		{"closed with its payment", sessionJSON("payment", "expired", `,"payment_intent":`+payment("canceled", "")), gateway.StatusDeclined, "", true, codeExpired},
		{"closed, yet paid", sessionJSON("payment", "expired", `,"payment_intent":`+payment("succeeded", "")), gateway.StatusSucceeded, gateway.StatusSucceeded, false, ""},
	}
	for _, tt := range states {
		f := newFake(t).on(get, answer{body: tt.session})
		a, _ := f.adapter()
		res := a.FetchHostedPayment(t.Context(), testAccount(), "cs_1")
		code := ""
		if res.Failure != nil {
			code = res.Failure.Code
		}
		if res.Status != tt.want || res.Payment.Status != tt.payment || res.Payment.Canceled != tt.cancel || code != tt.code {
			t.Errorf("%s: %+v %q", tt.name, res, code)
		}
	}
}
