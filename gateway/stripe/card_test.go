package stripe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"purser/gateway"
)

func setupJSON(state, more string) string {
	return fmt.Sprintf(`{"id":"seti_1","object":"setup_intent","status":%q,"client_secret":"seti_1_secret_x","customer":"cus_1","created":%d,
		"payment_method":{"id":"pm_9","object":"payment_method","customer":"cus_1","card":{"brand":"visa","last4":"4242","exp_month":4,"exp_year":2030}},
		"metadata":{"purser_call":"call_1","purser_subject":"pay_1","purser_step":"setup"}%s}`, state, time.Now().Unix(), more)
}

func sessionJSON(mode, state, more string) string {
	return fmt.Sprintf(`{"id":"cs_1","object":"checkout.session","mode":%q,"status":%q,"url":"https://pay.example/c/1","expires_at":1900000000,"customer":"cus_1",
		"created":%d,"metadata":{"purser_call":"call_1","purser_subject":"pay_1","purser_step":"page"}%s}`, mode, state, time.Now().Unix(), more)
}

func TestAttachCard(t *testing.T) {
	t.Parallel()
	const setups, customer, look = "POST /v1/setup_intents", "POST /v1/customers/cus_1", "GET /v1/setup_intents/seti_1"
	saved := answer{body: setupJSON("succeeded", "")}
	old := answer{body: setupJSON("requires_action", ""), replayed: true}
	broken := answer{status: 500, body: "oops"}
	tests := []struct {
		name string
		def  bool
		set  func(*fake)
		want gateway.Status
		code string
		next gateway.NextAction
	}{
		{name: "saved", set: func(f *fake) { f.on(setups, saved) }, want: gateway.StatusSucceeded},
		{name: "saved as default", def: true, set: func(f *fake) { f.on(setups, saved).on(customer, answer{body: `{"id":"cus_1"}`}) }, want: gateway.StatusSucceeded},
		{name: "saved, default busy", def: true, set: func(f *fake) { f.on(setups, saved).on(customer, answer{status: 429, body: "x"}) }, want: gateway.StatusUnknown, code: "rate_limit"},
		{name: "3-D Secure page", set: func(f *fake) {
			f.on(setups, answer{body: setupJSON("requires_action", `,"next_action":{"type":"redirect_to_url","redirect_to_url":{"url":"https://3ds.example"}}`)})
		}, want: gateway.StatusActionNeeded, next: gateway.NextAction{RedirectURL: "https://3ds.example"}},
		{
			name: "3-D Secure in the form", set: func(f *fake) { f.on(setups, answer{body: setupJSON("requires_action", "")}) },
			want: gateway.StatusActionNeeded, next: gateway.NextAction{ClientSecret: "seti_1_secret_x"},
		},
		{name: "declined", set: func(f *fake) {
			f.on(setups, answer{status: 402, body: stripeError("card_error", "card_declined", "Declined.", `,"setup_intent":`+setupJSON("requires_payment_method", ""))})
		}, want: gateway.StatusDeclined, code: "card_declined"},
		{name: "another's card", set: func(f *fake) {
			f.on(setups, answer{status: 400, body: stripeError("invalid_request_error", "", "The card belongs to another customer.", "")})
		}, want: gateway.StatusRejected, code: "invalid_request_error"},
		{name: "asked again, done since", set: func(f *fake) { f.on(setups, old).on(look, saved) }, want: gateway.StatusSucceeded},
		{name: "asked again, unreadable", set: func(f *fake) { f.on(setups, old).on(look, broken) }, want: gateway.StatusUnknown, code: "gateway_error"},
		{name: "lost, found", set: func(f *fake) {
			f.on(setups, broken).on("GET /v1/setup_intents", list(setupJSON("succeeded", ""))).on(look, saved)
		}, want: gateway.StatusSucceeded},
		{name: "lost", set: func(f *fake) { f.on(setups, broken).on("GET /v1/setup_intents", list()) }, want: gateway.StatusUnknown, code: "gateway_error"},
	}
	for _, tt := range tests {
		f := newFake(t)
		tt.set(f)
		a, _ := f.adapter()
		res := a.AttachCard(t.Context(), testAccount(), testCall(), gateway.CardRequest{Customer: gateway.Customer{ID: "cus_1"}, Token: "pm_card_visa", MakeDefault: tt.def})
		code := ""
		if res.Failure != nil {
			code = res.Failure.Code
		}
		if res.Status != tt.want || code != tt.code || res.NextAction != tt.next {
			t.Errorf("%s: %s %q %+v, want %s %q %+v", tt.name, res.Status, code, res.NextAction, tt.want, tt.code, tt.next)
		}
		if tt.want == gateway.StatusSucceeded && (res.PaymentMethodID != "pm_9" || res.Card.Last4 != "4242" || res.ReferenceID != "seti_1") {
			t.Errorf("%s: %+v", tt.name, res)
		}
		if tt.def {
			if got := f.last(customer).form.Get("invoice_settings[default_payment_method]"); got != "pm_9" {
				t.Errorf("%s: default = %q", tt.name, got)
			}
		}
	}

	// What may be a card number neither leaves nor is repeated.
	f := newFake(t)
	a, log := f.adapter()
	res := a.AttachCard(t.Context(), testAccount(), testCall(), gateway.CardRequest{Token: "4242424242424242"})
	if res.Status != gateway.StatusRejected || strings.Contains(res.Failure.Message+log.String(), "4242") || len(f.requests()) != 0 {
		t.Errorf("a card number: %+v %s %v", res.Failure, log, f.requests())
	}

	// Tokens of the older kind become cards first.
	f = newFake(t).on("POST /v1/payment_methods", answer{body: `{"id":"pm_9"}`}).on(setups, saved)
	a, _ = f.adapter()
	if res := a.AttachCard(t.Context(), testAccount(), testCall(), gateway.CardRequest{Customer: gateway.Customer{ID: "cus_1"}, Token: "tok_visa"}); res.Status != gateway.StatusSucceeded {
		t.Errorf("token: %+v", res)
	}
	if f.last("POST /v1/payment_methods").form.Get("card[token]") != "tok_visa" || f.last(setups).form.Get("payment_method") != "pm_9" {
		t.Error("the token did not become the card")
	}
}

func TestSetupCard(t *testing.T) {
	t.Parallel()
	f := newFake(t).on("POST /v1/setup_intents", answer{body: setupJSON("requires_payment_method", "")})
	a, _ := f.adapter()
	form := gateway.CardRequest{Customer: gateway.Customer{ID: "cus_1"}}
	if res := a.SetupCard(t.Context(), testAccount(), testCall(), form); res.Status != gateway.StatusActionNeeded || res.NextAction.ClientSecret != "seti_1_secret_x" || res.ReferenceID != "seti_1" {
		t.Errorf("form: %+v", res)
	}
	f = newFake(t).on("POST /v1/checkout/sessions", answer{body: sessionJSON("setup", "open", "")},
		answer{body: sessionJSON("setup", "open", ""), replayed: true}).
		on("GET /v1/checkout/sessions/cs_1", answer{body: sessionJSON("setup", "complete", `,"setup_intent":`+setupJSON("succeeded", ""))})
	a, _ = f.adapter()
	form.ReturnURL, form.CancelURL = "https://shop.example/ok", "https://shop.example/no"
	if res := a.SetupCard(t.Context(), testAccount(), testCall(), form); res.Status != gateway.StatusActionNeeded || res.NextAction.RedirectURL != "https://pay.example/c/1" || res.ReferenceID != "cs_1" {
		t.Errorf("page: %+v", res)
	}
	sent := f.last("POST /v1/checkout/sessions").form
	if sent.Get("mode") != "setup" || sent.Get("success_url") != form.ReturnURL || sent.Get("cancel_url") != form.CancelURL || sent.Get("setup_intent_data[metadata][purser_call]") != "call_1" {
		t.Errorf("page request = %v", sent)
	}
	if res := a.SetupCard(t.Context(), testAccount(), testCall(), form); res.Status != gateway.StatusSucceeded || res.PaymentMethodID != "pm_9" || res.NextAction != (gateway.NextAction{}) {
		t.Errorf("page, asked again: %+v", res)
	}
}

func TestFetchSetup(t *testing.T) {
	t.Parallel()
	failed := `,"last_setup_error":{"type":"card_error","code":"card_declined","message":"No."}`
	tests := []struct {
		name, ref, body string
		want            gateway.Status
		code            string
		card            string
	}{
		{"saved", "seti_1", setupJSON("succeeded", ""), gateway.StatusSucceeded, "", "pm_9"},
		{"waiting", "seti_1", setupJSON("requires_payment_method", ""), gateway.StatusActionNeeded, "", "pm_9"},
		{"declined", "seti_1", setupJSON("requires_payment_method", failed), gateway.StatusDeclined, "card_declined", "pm_9"},
		{"canceled", "seti_1", setupJSON("canceled", ""), gateway.StatusDeclined, codeCanceled, "pm_9"},
		{"under way", "seti_1", setupJSON("processing", ""), gateway.StatusProcessing, "", "pm_9"},
		{"from the future", "seti_1", setupJSON("levitating", ""), gateway.StatusUnknown, codeUnreadable, "pm_9"},
		{"page open", "cs_1", sessionJSON("setup", "open", ""), gateway.StatusActionNeeded, "", ""},
		{"page open, one card declined", "cs_1", sessionJSON("setup", "open", `,"setup_intent":`+setupJSON("requires_payment_method", failed)), gateway.StatusActionNeeded, "", "pm_9"},
		{"page done", "cs_1", sessionJSON("setup", "complete", `,"setup_intent":`+setupJSON("succeeded", "")), gateway.StatusSucceeded, "", "pm_9"},
		{"page done, nothing to see yet", "cs_1", sessionJSON("setup", "complete", `,"setup_intent":"seti_1"`), gateway.StatusProcessing, "", ""},
		{"page closed", "cs_1", sessionJSON("setup", "expired", ""), gateway.StatusDeclined, codeExpired, ""},
	}
	for _, tt := range tests {
		path := "GET /v1/setup_intents/"
		if strings.HasPrefix(tt.ref, "cs_") {
			path = "GET /v1/checkout/sessions/"
		}
		f := newFake(t).on(path+tt.ref, answer{body: tt.body})
		a, _ := f.adapter()
		res := a.FetchSetup(t.Context(), testAccount(), tt.ref)
		code := ""
		if res.Failure != nil {
			code = res.Failure.Code
		}
		if res.Status != tt.want || code != tt.code || res.PaymentMethodID != tt.card || res.ReferenceID != tt.ref {
			t.Errorf("%s: %+v %q, want %s %q %q", tt.name, res, code, tt.want, tt.code, tt.card)
		}
	}
}

func TestDefaultAndDetach(t *testing.T) {
	t.Parallel()
	f := newFake(t).on("POST /v1/customers/cus_1", answer{body: `{"id":"cus_1","invoice_settings":{"default_payment_method":{"id":"pm_1","card":{"brand":"visa","last4":"4242"}}}}`})
	a, _ := f.adapter()
	if res := a.SetDefaultCard(t.Context(), testAccount(), testCall(), "cus_1", "pm_1"); res.Status != gateway.StatusSucceeded || res.Card.Last4 != "4242" {
		t.Errorf("default = %+v", res)
	}
	refused := answer{status: 400, body: stripeError("invalid_request_error", "", "Not attached.", "")}
	gone := answer{status: 404, body: stripeError("invalid_request_error", "resource_missing", "No such card.", "")}
	loose, held := answer{body: `{"id":"pm_1","customer":null}`}, answer{body: `{"id":"pm_1","customer":"cus_1"}`}
	tests := []struct {
		name  string
		first answer
		look  *answer
		want  gateway.Status
	}{
		{"detach", loose, nil, gateway.StatusSucceeded},
		{"detached", refused, &loose, gateway.StatusSucceeded},
		{"unknown to Stripe", gone, nil, gateway.StatusSucceeded},
		{"refused", refused, &held, gateway.StatusRejected},
		{"lost, detached", answer{status: 500, body: "x"}, &loose, gateway.StatusSucceeded},
		{"lost, attached", answer{status: 500, body: "x"}, &held, gateway.StatusUnknown},
		{"refused, cannot look", refused, &answer{status: 500, body: "x"}, gateway.StatusUnknown},
	}
	for _, tt := range tests {
		f := newFake(t).on("POST /v1/payment_methods/pm_1/detach", tt.first)
		if tt.look != nil {
			f.on("GET /v1/payment_methods/pm_1", *tt.look)
		}
		a, _ := f.adapter()
		if res := a.DetachCard(t.Context(), testAccount(), testCall(), "cus_1", "pm_1"); res.Status != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, res.Status, tt.want)
		}
	}
}
