package stripe

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// TestChargeOutcomes holds the table of what an answer to a charge means. Each
// row is one POST; what follows it is the search for a lost answer.
func TestChargeOutcomes(t *testing.T) {
	t.Parallel()
	declined := payment("requires_payment_method", `,"last_payment_error":{"type":"card_error","code":"card_declined","message":"Your card was declined."}`)
	inError := `,"payment_intent":` + declined
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	none := list()
	tests := []struct {
		name   string
		answer answer
		found  *answer // the list of payments, where one is asked for
		again  *answer // the payment, read again
		want   gateway.Status
		code   string
		reason string
		never  bool
		tries  int            // how often it is sent; zero: once
		paid   gateway.Status // Payment.Status
	}{
		{name: "succeeded", answer: answer{body: payment("succeeded", paidCharge)}, want: gateway.StatusSucceeded, paid: gateway.StatusSucceeded},
		{name: "processing", answer: answer{body: payment("processing", "")}, want: gateway.StatusProcessing, paid: gateway.StatusProcessing},
		{
			name: "3-D Secure", answer: answer{body: payment("requires_action", `,"next_action":{"type":"redirect_to_url","redirect_to_url":{"url":"https://3ds.example"}}`)},
			want: gateway.StatusActionNeeded, paid: gateway.StatusActionNeeded,
		},
		{name: "canceled", answer: answer{body: payment("canceled", "")}, want: gateway.StatusDeclined, code: codeCanceled},
		{name: "a state from the future", answer: answer{body: payment("levitating", "")}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "a currency from the future", answer: answer{body: strings.Replace(payment("succeeded", ""), `"usd"`, `"credits"`, 1)}, want: gateway.StatusUnknown, code: codeUnreadable},

		{
			name: "declined", answer: answer{status: 402, body: stripeError("card_error", "card_declined", "Your card was declined.", `,"decline_code":"insufficient_funds"`+inError)},
			want: gateway.StatusDeclined, code: "card_declined", reason: "insufficient_funds", paid: gateway.StatusDeclined,
		},
		{
			name: "declined without a payment", answer: answer{status: 402, body: stripeError("card_error", "card_declined", "Your card was declined.", "")},
			want: gateway.StatusDeclined, code: "card_declined",
		},
		{
			name: "expired card", answer: answer{status: 402, body: stripeError("card_error", "expired_card", "Your card has expired.", inError)},
			want: gateway.StatusDeclined, code: "expired_card", paid: gateway.StatusDeclined,
		},
		{
			name: "stolen card", answer: answer{status: 402, body: stripeError("card_error", "card_declined", "This card is stolen.", `,"decline_code":"stolen_card"`+inError)},
			want: gateway.StatusDeclined, code: "card_declined", paid: gateway.StatusDeclined,
		},
		{
			name: "lost card", answer: answer{status: 402, body: stripeError("card_error", "card_declined", "This card is lost.", `,"decline_code":"lost_card"`+inError)},
			want: gateway.StatusDeclined, code: "card_declined", paid: gateway.StatusDeclined,
		},
		{
			name: "fraud", answer: answer{status: 402, body: stripeError("card_error", "fraudulent", "Fraud.", `,"decline_code":"fraudulent"`)},
			want: gateway.StatusDeclined, code: "card_declined",
		},
		{
			name: "authentication required", answer: answer{status: 402, body: stripeError("card_error", "authentication_required", "Authenticate.", `,"decline_code":"authentication_required"`+inError)},
			want: gateway.StatusActionNeeded, code: "authentication_required", reason: "authentication_required", paid: gateway.StatusActionNeeded,
		},
		{
			name: "authentication required as a decline", answer: answer{status: 402, body: stripeError("card_error", "card_declined", "Authenticate.", `,"decline_code":"authentication_required"`+inError)},
			want: gateway.StatusActionNeeded, code: "card_declined", reason: "authentication_required", paid: gateway.StatusActionNeeded,
		},
		{
			name: "declined, replayed, paid since", answer: answer{status: 402, replayed: true, body: stripeError("card_error", "authentication_required", "Authenticate.", inError)},
			again: &answer{body: payment("succeeded", paidCharge)}, want: gateway.StatusSucceeded, paid: gateway.StatusSucceeded,
		},
		{
			name: "waiting, replayed, paid since", answer: answer{replayed: true, body: payment("requires_action", "")},
			again: &answer{body: payment("succeeded", paidCharge)}, want: gateway.StatusSucceeded, paid: gateway.StatusSucceeded,
		},
		{
			name: "paid, replayed, unreadable since", answer: answer{replayed: true, body: payment("succeeded", "")},
			again: &answer{status: 401, body: stripeError("invalid_request_error", "api_key_expired", "Expired.", "")}, want: gateway.StatusUnknown, code: "api_key_expired",
		},

		{name: "bad request", answer: answer{status: 400, body: stripeError("invalid_request_error", "parameter_missing", "No amount.", "")}, want: gateway.StatusRejected, code: "parameter_missing"},
		{name: "bad key", answer: answer{status: 401, body: stripeError("invalid_request_error", "", "Invalid API Key provided: "+testSecretKey, "")}, want: gateway.StatusRejected, code: "invalid_request_error"},
		{name: "forbidden", answer: answer{status: 403, body: stripeError("invalid_request_error", "more_permissions_required", "No.", "")}, want: gateway.StatusRejected, code: "more_permissions_required"},
		{name: "no such customer", answer: answer{status: 404, body: stripeError("invalid_request_error", "resource_missing", "No such customer.", "")}, want: gateway.StatusRejected, code: "resource_missing"},

		{name: "rate limit", answer: answer{status: 429, body: stripeError("invalid_request_error", "rate_limit", "Slow down.", "")}, tries: busyTriesMax, want: gateway.StatusUnknown, code: "rate_limit"},
		{name: "lock time-out", answer: answer{status: 429, body: stripeError("invalid_request_error", "lock_timeout", "Locked.", ""), header: http.Header{"Stripe-Should-Retry": {"true"}}}, tries: busyTriesMax, want: gateway.StatusUnknown, code: "lock_timeout"},
		{name: "rate limit by a proxy", answer: answer{status: 429, body: "<html>"}, tries: busyTriesMax, want: gateway.StatusUnknown, code: "rate_limit"},

		{name: "key in use", answer: answer{status: 409, body: stripeError("idempotency_error", "idempotency_key_in_use", "In use.", "")}, want: gateway.StatusUnknown, code: "idempotency_key_in_use"},
		{name: "key with other parameters", answer: answer{status: 400, body: stripeError("idempotency_error", "", "Other parameters.", "")}, found: &none, want: gateway.StatusUnknown, code: "idempotency_error"},
		{name: "dependency failed", answer: answer{status: 424, body: stripeError("api_error", "", "Elsewhere.", "")}, want: gateway.StatusUnknown, code: "api_error"},
		{name: "500, nothing found", answer: answer{status: 500, body: stripeError("api_error", "", "Oops.", "")}, found: &none, want: gateway.StatusUnknown, code: "api_error"},
		{name: "500, stored, nothing found", answer: answer{status: 500, replayed: true, body: stripeError("api_error", "", "Oops.", "")}, found: &none, want: gateway.StatusUnavailable, never: true, code: codeExpired},
		{name: "500, stored, search fails", answer: answer{status: 500, replayed: true, body: stripeError("api_error", "", "Oops.", "")}, found: &answer{status: 503, body: "busy"}, want: gateway.StatusUnknown, code: "api_error"},
		{name: "500, search fails", answer: answer{status: 500, body: stripeError("api_error", "", "Oops.", "")}, found: &answer{status: 503, body: "busy"}, want: gateway.StatusUnknown, code: "api_error"},
		{
			name: "500, found paid", answer: answer{status: 500, body: stripeError("api_error", "", "Oops.", "")}, found: ptr(list(payment("succeeded", ""))),
			again: &answer{body: payment("succeeded", paidCharge)}, want: gateway.StatusSucceeded, paid: gateway.StatusSucceeded,
		},
		{
			name: "500, found declined", answer: answer{status: 500, body: stripeError("api_error", "", "Oops.", "")}, found: ptr(list(declined)),
			again: &answer{body: declined}, want: gateway.StatusDeclined, code: "card_declined", paid: gateway.StatusDeclined,
		},
		{name: "502 of a proxy", answer: answer{status: 502, body: "<html>bad gateway</html>"}, found: &none, want: gateway.StatusUnknown, code: "gateway_error"},
		{name: "503", answer: answer{status: 503, body: stripeError("api_error", "", "Busy.", "")}, found: &none, want: gateway.StatusUnknown, code: "api_error"},
		{name: "400 of a proxy", answer: answer{status: 400, body: `{"message":"no"}`}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "200 with a broken body", answer: answer{body: `{"id":"pi_1","amo`}, found: &none, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "200 with an empty object", answer: answer{body: `{}`}, found: &none, want: gateway.StatusUnknown, code: codeUnreadable},
		{
			name: "200 with a broken body, found paid", answer: answer{body: `<html>`}, found: ptr(list(payment("succeeded", ""))),
			again: &answer{body: payment("succeeded", paidCharge)}, want: gateway.StatusSucceeded, paid: gateway.StatusSucceeded,
		},
		{name: "redirect", answer: answer{status: 307, header: http.Header{"Location": {"http://127.0.0.1:1/"}}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "connection lost", answer: answer{do: reset}, want: gateway.StatusUnknown, code: "connection_lost"},
		{name: "no answer in time", answer: answer{do: hang}, want: gateway.StatusUnknown, code: "timeout"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t).on("POST /v1/payment_intents", tt.answer)
			want := slices.Repeat([]string{"POST /v1/payment_intents"}, max(tt.tries, 1))
			if tt.found != nil {
				f.on("GET /v1/payment_intents", *tt.found)
				want = append(want, "GET /v1/payment_intents")
			}
			if tt.again != nil {
				f.on("GET /v1/payment_intents/pi_1", *tt.again)
				want = append(want, "GET /v1/payment_intents/pi_1")
			}
			if tt.code == codeMissing { // is it the customer, and was it deleted?
				f.on("GET /v1/customers/cus_1", tt.answer)
				want = append(want, "GET /v1/customers/cus_1")
			}
			a, log := f.adapter()
			ctx := t.Context()
			if tt.code == "timeout" {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			res := a.ChargeCard(ctx, testAccount(), testCall(), charge(t))
			if res.Status != tt.want {
				t.Fatalf("status = %s (%+v), want %s", res.Status, res.Failure, tt.want)
			}
			if res.Payment.Status != tt.paid || res.Never != tt.never {
				t.Errorf("payment = %q, never = %v, want %q, %v", res.Payment.Status, res.Never, tt.paid, tt.never)
			}
			var got gateway.Failure
			if res.Failure != nil {
				got = *res.Failure
			}
			if got.Code != tt.code || got.DeclineCode != tt.reason {
				t.Errorf("failure = %+v, want code %q, reason %q", got, tt.code, tt.reason)
			}
			if tt.code != "" && got.Message == "" {
				t.Error("the failure has no message")
			}
			if requests := f.requests(); !slices.Equal(requests, want) {
				t.Errorf("requests = %v, want %v", requests, want)
			}
			post := f.last("POST /v1/payment_intents")
			if post.key != "purser:call_1:charge" || post.version != "2023-10-16" || post.header.Get("X-Stripe-Client-Telemetry") != "" {
				t.Errorf("headers: key %q, version %q, telemetry %q", post.key, post.version, post.header.Get("X-Stripe-Client-Telemetry"))
			}
			for _, secret := range []string{testSecretKey, testClientSecret} {
				if strings.Contains(log.String(), secret) || strings.Contains(got.Message, secret) {
					t.Errorf("a secret is shown: %s %s", log, got.Message)
				}
			}
			if got.Code == "card_declined" && tt.reason == "" && strings.Contains(strings.ToLower(got.Message), "stolen") {
				t.Errorf("the payer learns too much: %s", got.Message)
			}
			if !strings.Contains(log.String(), `"status":"`+string(tt.want)+`"`) {
				t.Errorf("the log does not tell the status: %s", log)
			}
		})
	}
}

// TestChargeReports checks what a paid and a waiting charge say beside the
// status.
func TestChargeReports(t *testing.T) {
	t.Parallel()
	f := newFake(t).on("POST /v1/payment_intents", answer{body: payment("succeeded", paidCharge)})
	a, _ := f.adapter()
	res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t))
	p := res.Payment
	if p.GatewayPaymentID != "pi_1" || p.ReceiptURL != "https://pay.example/r/1" || p.PaymentMethodID != "pm_1" {
		t.Errorf("payment = %+v", p)
	}
	if p.Card == nil || *p.Card != (gateway.Card{Brand: "visa", Last4: "4242", ExpMonth: 4, ExpYear: 2030}) {
		t.Errorf("card = %+v", p.Card)
	}
	if p.Amount != amount(t, "12.50", "USD") || res.RequestID != "req_test" {
		t.Errorf("result = %+v", res)
	}
	form := f.last("POST /v1/payment_intents").form
	for name, want := range map[string]string{
		"amount": "1250", "currency": "usd", "confirm": "true", "off_session": "true", "payment_method_types[0]": "card",
		"metadata[purser_organization]": "org_1", "metadata[purser_provider]": "prv_1", "metadata[purser_call]": "call_1",
		"metadata[purser_subject]": "pay_1", "metadata[purser_order]": "ORDER1", "expand[0]": "latest_charge",
	} {
		if form.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, form.Get(name), want)
		}
	}
	if form.Has("return_url") {
		t.Error("an empty return_url was sent")
	}

	// The amount is what was received, not what was asked for.
	f = newFake(t).on("POST /v1/payment_intents", answer{body: strings.Replace(payment("succeeded", ""), `"amount_received":1250`, `"amount_received":1200`, 1)})
	a, _ = f.adapter()
	if res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)); res.Payment.Amount != amount(t, "12", "USD") {
		t.Errorf("amount = %s, want the 12.00 that arrived", res.Payment.Amount)
	}

	f = newFake(t).on("POST /v1/payment_intents",
		answer{body: payment("requires_action", `,"next_action":{"type":"redirect_to_url","redirect_to_url":{"url":"https://3ds.example"}}`)},
		answer{body: payment("requires_action", `,"next_action":{"type":"use_stripe_sdk","use_stripe_sdk":{}}`)})
	a, _ = f.adapter()
	if res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)); res.NextAction != (gateway.NextAction{RedirectURL: "https://3ds.example"}) {
		t.Errorf("next action = %+v, want the page", res.NextAction)
	}
	if res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)); res.NextAction != (gateway.NextAction{ClientSecret: testClientSecret}) {
		t.Errorf("next action = %+v, want the client secret", res.NextAction)
	}
}

// TestNothingLeft: what surely never left is Unavailable, what is refused here
// is Rejected, and neither makes a request.
func TestNothingLeft(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := New(Config{BaseURL: sandboxAt(closed)})
	if res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)); res.Status != gateway.StatusUnavailable {
		t.Errorf("refused connection: %s, want UNAVAILABLE", res.Status)
	}
	a = New(Config{BaseURL: sandboxAt("http://no-such-host.invalid")})
	if res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)); res.Status != gateway.StatusUnavailable {
		t.Errorf("unknown host: %s, want UNAVAILABLE", res.Status)
	}

	f := newFake(t)
	a, _ = f.adapter()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if res := a.ChargeCard(gone, testAccount(), testCall(), charge(t)); res.Status != gateway.StatusUnavailable {
		t.Errorf("canceled before it began: %s, want UNAVAILABLE", res.Status)
	}
	for name, change := range map[string]func(*gateway.Account, *gateway.Call, *gateway.ChargeRequest){
		"live key in the sandbox": func(a *gateway.Account, _ *gateway.Call, _ *gateway.ChargeRequest) {
			a.SecretKey = "sk_live_51AbCdEfGhIj"
		},
		"no address": func(a *gateway.Account, _ *gateway.Call, _ *gateway.ChargeRequest) {
			a.Environment = gateway.EnvironmentTest
		},
		"no key":   func(_ *gateway.Account, c *gateway.Call, _ *gateway.ChargeRequest) { c.Key = "" },
		"long key": func(_ *gateway.Account, c *gateway.Call, _ *gateway.ChargeRequest) { c.Key = strings.Repeat("k", 240) },
		"no card":  func(_ *gateway.Account, _ *gateway.Call, r *gateway.ChargeRequest) { r.PaymentMethodID = "" },
		"cents below": func(_ *gateway.Account, _ *gateway.Call, r *gateway.ChargeRequest) {
			r.Amount = amount(t, "1.005", "USD")
		},
		"unknown money": func(_ *gateway.Account, _ *gateway.Call, r *gateway.ChargeRequest) { r.Amount.Currency = "CREDITS" },
		"step of a krona": func(_ *gateway.Account, _ *gateway.Call, r *gateway.ChargeRequest) {
			r.Amount = amount(t, "1.005", "KWD")
		},
	} {
		acc, call, r := testAccount(), testCall(), charge(t)
		change(&acc, &call, &r)
		res := a.ChargeCard(t.Context(), acc, call, r)
		if res.Status != gateway.StatusRejected || res.Failure == nil || res.Failure.Message == "" {
			t.Errorf("%s: %s %+v, want REJECTED with a reason", name, res.Status, res.Failure)
		}
	}
	if r := f.requests(); len(r) != 0 {
		t.Errorf("requests left: %v", r)
	}
}

// TestForgottenKeys: a call older than Stripe's memory of keys never charges.
func TestForgottenKeys(t *testing.T) {
	t.Parallel()
	old := testCall()
	old.StartedAt = time.Now().Add(-25 * time.Hour)
	tests := []struct {
		name  string
		found answer
		want  gateway.Status
	}{
		{"found", list(payment("succeeded", "")), gateway.StatusSucceeded},
		{"surely absent", list(), gateway.StatusUnavailable},
		{"absent behind older ones", list(strings.NewReplacer("call_1", "call_0", `"created":`, `"created":1,"x":`).Replace(payment("succeeded", ""))), gateway.StatusUnavailable},
		{"of another step", list(strings.Replace(payment("succeeded", ""), `"charge"`, `"item-0"`, 1)), gateway.StatusUnavailable},
		{"unreadable", answer{status: 500, body: "x"}, gateway.StatusUnknown},
	}
	for _, tt := range tests {
		f := newFake(t).on("GET /v1/payment_intents", tt.found).on("GET /v1/payment_intents/pi_1", answer{body: payment("succeeded", "")})
		a, _ := f.adapter()
		if res := a.ChargeCard(t.Context(), testAccount(), old, charge(t)); res.Status != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, res.Status, tt.want)
		}
		if got := f.last("GET /v1/payment_intents").form.Get("customer"); got != "cus_1" {
			t.Errorf("%s: searched the customer %q", tt.name, got)
		}
	}
}

// TestCredentialsRefused: a refusal of the credentials is told apart, because
// it tells nothing of an earlier try.
func TestCredentialsRefused(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{400: false, 401: true, 403: true, 404: false} {
		f := newFake(t).on("POST /v1/payment_intents", answer{status: status, body: stripeError("invalid_request_error", "some_code", "No.", "")})
		a, _ := f.adapter()
		res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t))
		if res.Status != gateway.StatusRejected || res.Failure.Credentials != want {
			t.Errorf("%d: %s %+v", status, res.Status, res.Failure)
		}
		acc := testAccount()
		acc.SecretKey = "sk_live_51AbCdEfGhIj"
		res = a.ChargeCard(t.Context(), acc, testCall(), charge(t))
		if res.Status != gateway.StatusRejected || !res.Failure.Credentials {
			t.Errorf("a key of another environment: %s %+v", res.Status, res.Failure)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// Which declines no further try with the same card changes.
func TestFinalDeclines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code    sdk.ErrorCode
		decline sdk.DeclineCode
		final   bool
	}{
		{"card_declined", "insufficient_funds", false},
		{"card_declined", "generic_decline", false},
		{"card_declined", "do_not_honor", false},
		{"card_declined", "try_again_later", false},
		{"processing_error", "processing_error", false},
		{"expired_card", "expired_card", true},
		{"incorrect_number", "", true},
		{"card_declined", "stolen_card", true},
		{"card_declined", "lost_card", true},
		{"card_declined", "fraudulent", true},
		{"card_declined", "revocation_of_authorization", true},
	} {
		f := failureOf(&sdk.Error{Code: c.code, DeclineCode: c.decline, Msg: "No."})
		if f.Final != c.final {
			t.Errorf("%s, %s: %+v", c.code, c.decline, f)
		}
	}
}
