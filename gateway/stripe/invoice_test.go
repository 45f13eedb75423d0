package stripe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/gateway"
)

// invoiceJSON is an invoice over 11.90 USD in the state.
func invoiceJSON(state, more string) string {
	return fmt.Sprintf(`{"id":"in_1","object":"invoice","status":%q,"number":"A-1","currency":"usd","total":1190,"amount_due":1190,"amount_paid":0,"customer":"cus_1",
		"hosted_invoice_url":"https://pay.example/i/1","invoice_pdf":"https://pay.example/i/1.pdf","metadata":{}%s}`, state, more)
}

func unpaidInvoice(more string) string {
	return invoiceJSON("open", `,"payment_intent":`+payment("requires_payment_method", more))
}

func paidInvoice() string {
	return strings.Replace(invoiceJSON("paid", `,"payment_intent":`+payment("succeeded", paidCharge)), `"amount_paid":0`, `"amount_paid":1190`, 1)
}

func newInvoice(t *testing.T) gateway.InvoiceRequest {
	return gateway.InvoiceRequest{
		Customer: gateway.Customer{PayerID: "dev_1", Name: "Ada", Email: "ada@example.com"}, Currency: "USD", Description: "Invoice 1",
		Lines: []gateway.Line{{Description: "Seat", Quantity: 2, UnitAmount: amount(t, "5", "USD"), Total: amount(t, "10", "USD")}},
		Tax:   amount(t, "1.90", "USD"), Total: amount(t, "11.90", "USD"),
	}
}

// TestFinalizeInvoiceMakesIt walks the requests of a new invoice.
func TestFinalizeInvoiceMakesIt(t *testing.T) {
	t.Parallel()
	f := newFake(t).
		on("POST /v1/customers", answer{body: `{"id":"cus_1","object":"customer"}`}).
		on("POST /v1/invoices", answer{body: invoiceJSON("draft", "")}).
		on("POST /v1/invoiceitems", answer{body: `{"id":"ii_1","object":"invoiceitem"}`}).
		on("GET /v1/invoices/in_1", answer{body: invoiceJSON("draft", "")}).
		on("POST /v1/invoices/in_1/finalize", answer{body: unpaidInvoice("")})
	a, _ := f.adapter()
	res := a.FinalizeInvoice(t.Context(), testAccount(), testCall(), newInvoice(t))
	if res.Status != gateway.StatusSucceeded || res.State != "open" || res.CustomerID != "cus_1" || res.InvoiceID != "in_1" ||
		res.HostedURL == "" || res.PDFURL == "" || res.Total != amount(t, "11.90", "USD") {
		t.Fatalf("result = %+v %+v", res, res.Failure)
	}
	if res.Payment.Status != "" || res.Payment.GatewayPaymentID != "pi_1" || res.NextAction != (gateway.NextAction{}) {
		t.Errorf("an untried payment: %+v, %+v", res.Payment, res.NextAction)
	}
	want := []string{"POST /v1/customers", "POST /v1/invoices", "POST /v1/invoiceitems", "POST /v1/invoiceitems", "GET /v1/invoices/in_1", "POST /v1/invoices/in_1/finalize"}
	if got := f.requests(); !slices.Equal(got, want) {
		t.Errorf("requests = %v", got)
	}
	keys := make(map[string]bool)
	for _, r := range f.seen {
		if r.method == "GET" {
			continue
		}
		if r.path == "/v1/customers" {
			if r.key != "purser:org_1:prv_1:customer:dev_1" || r.form.Get("metadata[purser_payer]") != "dev_1" || r.form.Has("metadata[purser_call]") {
				t.Errorf("customer: key %q, %v", r.key, r.form)
			}
			continue
		}
		if !strings.HasPrefix(r.key, "purser:call_1:") || keys[r.key] {
			t.Errorf("%s %s has the key %q", r.method, r.path, r.key)
		}
		keys[r.key] = true
		if !strings.HasSuffix(r.path, "/finalize") && r.form.Get("metadata[purser_call]") != "call_1" {
			t.Errorf("%s %s has no metadata", r.method, r.path)
		}
	}
	form := f.last("POST /v1/invoices").form
	if form.Get("auto_advance") != "false" || form.Get("pending_invoice_items_behavior") != "exclude" || form.Get("collection_method") != "charge_automatically" || form.Get("currency") != "usd" {
		t.Errorf("invoice = %v", form)
	}
	if item := f.seen[2].form; item.Get("amount") != "1000" || item.Get("description") != "Seat (2 × 5.00 USD)" || item.Get("invoice") != "in_1" {
		t.Errorf("item = %v", item)
	}
	if item := f.seen[3].form; item.Get("amount") != "190" || item.Get("description") != "Tax" {
		t.Errorf("tax = %v", item)
	}
	if f.last("POST /v1/invoices/in_1/finalize").form.Get("auto_advance") != "false" {
		t.Error("finalized with auto_advance")
	}
}

// TestInvoicesCarryOurNumber, and Stripe's own where somebody else has used it.
func TestInvoicesCarryOurNumber(t *testing.T) {
	t.Parallel()
	const create, update, finalize = "POST /v1/invoices", "POST /v1/invoices/in_1", "POST /v1/invoices/in_1/finalize"
	taken := answer{status: 400, body: stripeError("invalid_request_error", "", "It is used.", `,"param":"number"`)}
	draft := answer{body: invoiceJSON("draft", "")}
	for _, tt := range []struct {
		name    string
		adopted bool
		answers []answer
		numbers []string // that were asked for, in order
	}{
		{"made", false, []answer{draft}, []string{"2026-11-00000003"}},
		{"made, taken", false, []answer{taken, draft}, []string{"2026-11-00000003", ""}},
		{"adopted", true, []answer{draft}, []string{"2026-11-00000003"}},
		{"adopted, taken", true, []answer{taken}, []string{"2026-11-00000003"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t).on("POST /v1/customers", answer{body: `{"id":"cus_1"}`}).on("POST /v1/invoiceitems", answer{body: `{"id":"ii_1"}`}).
				on("GET /v1/invoices/in_1", draft).on(finalize, answer{body: unpaidInvoice("")})
			r, route := newInvoice(t), create
			r.Number = "2026-11-00000003"
			if tt.adopted {
				r.InvoiceID, route = "in_1", update
			}
			f.on(route, tt.answers...)
			a, _ := f.adapter()
			if res := a.FinalizeInvoice(t.Context(), testAccount(), testCall(), r); res.Status != gateway.StatusSucceeded || res.State != "open" {
				t.Fatalf("%+v", res)
			}
			var asked []string
			for _, r := range f.seen {
				if r.method+" "+r.path == route {
					asked = append(asked, r.form.Get("number"))
				}
			}
			if !slices.Equal(asked, tt.numbers) {
				t.Errorf("asked for the numbers %q, want %q", asked, tt.numbers)
			}
		})
	}
}

// TestFinalizeInvoice: what else may come in the way.
func TestFinalizeInvoice(t *testing.T) {
	t.Parallel()
	draft, open := answer{body: invoiceJSON("draft", "")}, answer{body: unpaidInvoice("")}
	other := answer{body: strings.Replace(invoiceJSON("draft", ""), `"total":1190`, `"total":1189`, 1)}
	owing := strings.NewReplacer(`"amount_due":1190`, `"amount_due":1690`, `"metadata":{}`, `"metadata":{},"starting_balance":500`)
	carried := strings.Replace(invoiceJSON("paid", ""), `"amount_due":1190`, `"amount_due":0`, 1)
	refused := answer{status: 400, body: stripeError("invalid_request_error", "amount_too_small", "Too small.", "")}
	busy := answer{status: 429, body: stripeError("invalid_request_error", "rate_limit", "Slow down.", "")}
	broken := answer{status: 500, body: stripeError("api_error", "", "Oops.", "")}
	gone := answer{status: 404, body: stripeError("invalid_request_error", "resource_missing", "No such invoice.", "")}
	made := func(f *fake) {
		f.on("POST /v1/customers", answer{body: `{"id":"cus_1"}`}).on("POST /v1/invoices", draft).on("POST /v1/invoiceitems", answer{body: `{"id":"ii_1"}`})
	}
	tests := []struct {
		name  string
		set   func(*fake)
		given bool
		want  gateway.Status
		code  string
		state gateway.InvoiceState
		after string // the request that must have been made last
	}{
		{
			"adopted", func(f *fake) { f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", open) }, true,
			gateway.StatusSucceeded, "", "open", "POST /v1/invoices/in_1/finalize",
		},
		{
			"adopted, already finalized", func(f *fake) { f.on("GET /v1/invoices/in_1", open) }, true,
			gateway.StatusSucceeded, "", "open", "GET /v1/invoices/in_1",
		},
		{
			"adopted, another total", func(f *fake) { f.on("GET /v1/invoices/in_1", other) }, true,
			gateway.StatusRejected, codeTotalMismatch, "draft", "GET /v1/invoices/in_1",
		},
		{"adopted, finalized by another", func(f *fake) {
			f.on("GET /v1/invoices/in_1", draft, open).on("POST /v1/invoices/in_1/finalize", refused)
		}, true, gateway.StatusSucceeded, "", "open", "GET /v1/invoices/in_1"},
		{"adopted, busy", func(f *fake) {
			f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", busy)
		}, true, gateway.StatusUnknown, "rate_limit", "", "POST /v1/invoices/in_1/finalize"},
		{"new, another total", func(f *fake) {
			made(f)
			f.on("GET /v1/invoices/in_1", other).on("DELETE /v1/invoices/in_1", answer{body: `{"id":"in_1","deleted":true}`})
		}, false, gateway.StatusRejected, codeTotalMismatch, "", "DELETE /v1/invoices/in_1"},
		{"new, refused", func(f *fake) {
			made(f)
			f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", refused).on("DELETE /v1/invoices/in_1", answer{body: `{"id":"in_1","deleted":true}`})
		}, false, gateway.StatusRejected, "amount_too_small", "", "DELETE /v1/invoices/in_1"},
		{"new, refused, and cannot be deleted", func(f *fake) {
			made(f)
			f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", refused).on("DELETE /v1/invoices/in_1", busy)
		}, false, gateway.StatusUnknown, "amount_too_small", "", "DELETE /v1/invoices/in_1"},
		{"new, busy half-way", func(f *fake) {
			f.on("POST /v1/customers", answer{body: `{"id":"cus_1"}`}).on("POST /v1/invoices", draft).on("POST /v1/invoiceitems", busy)
		}, false, gateway.StatusUnknown, "rate_limit", "", "POST /v1/invoiceitems"},
		{
			"new, busy at first", func(f *fake) { f.on("POST /v1/customers", busy) }, false,
			gateway.StatusUnknown, "rate_limit", "", "POST /v1/customers",
		},
		{"finalize lost, done", func(f *fake) {
			f.on("GET /v1/invoices/in_1", draft, open).on("POST /v1/invoices/in_1/finalize", broken)
		}, true, gateway.StatusSucceeded, "", "open", "GET /v1/invoices/in_1"},
		{"finalize lost, not done", func(f *fake) {
			f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", broken)
		}, true, gateway.StatusUnknown, "api_error", "", "GET /v1/invoices/in_1"},
		{"new, the customer owes", func(f *fake) {
			made(f)
			f.on("GET /v1/invoices/in_1", answer{body: owing.Replace(draft.body)}).on("DELETE /v1/invoices/in_1", answer{body: `{"id":"in_1","deleted":true}`})
		}, false, gateway.StatusRejected, codeTotalMismatch, "", "DELETE /v1/invoices/in_1"},
		{"adopted, the customer owes", func(f *fake) {
			f.on("GET /v1/invoices/in_1", answer{body: owing.Replace(draft.body)})
		}, true, gateway.StatusRejected, codeTotalMismatch, "", "GET /v1/invoices/in_1"},
		{"the customer owes since", func(f *fake) {
			f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", answer{body: owing.Replace(open.body)}).
				on("POST /v1/invoices/in_1/void", answer{body: owing.Replace(invoiceJSON("void", ""))})
		}, true, gateway.StatusRejected, codeTotalMismatch, "", "POST /v1/invoices/in_1/void"},
		{"the customer owes since, and it cannot be voided now", func(f *fake) {
			f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", answer{body: owing.Replace(open.body)}).on("POST /v1/invoices/in_1/void", busy)
		}, true, gateway.StatusUnknown, codeTotalMismatch, "", "POST /v1/invoices/in_1/void"},
		{"asked again, the customer owed", func(f *fake) {
			f.on("GET /v1/invoices/in_1", answer{body: owing.Replace(open.body)}).on("POST /v1/invoices/in_1/void", answer{body: invoiceJSON("void", "")})
		}, true, gateway.StatusRejected, codeTotalMismatch, "", "POST /v1/invoices/in_1/void"},
		{"put on the customer's balance", func(f *fake) {
			f.on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", answer{body: carried})
		}, true, gateway.StatusRejected, codeTotalMismatch, "", "POST /v1/invoices/in_1/finalize"},
		{"asked again, paid since", func(f *fake) {
			f.on("POST /v1/customers", answer{body: `{"id":"cus_1"}`, replayed: true}).on("GET /v1/customers/cus_1", answer{body: `{"id":"cus_1"}`}).
				on("POST /v1/invoices", answer{body: invoiceJSON("draft", ""), replayed: true}).
				on("GET /v1/invoices/in_1", answer{body: paidInvoice()})
		}, false, gateway.StatusSucceeded, "", "paid", "GET /v1/invoices/in_1"},
		{"asked again, dropped since", func(f *fake) {
			f.on("POST /v1/customers", answer{body: `{"id":"cus_1"}`, replayed: true}).on("GET /v1/customers/cus_1", answer{body: `{"id":"cus_1"}`}).
				on("POST /v1/invoices", answer{body: invoiceJSON("draft", ""), replayed: true}).on("GET /v1/invoices/in_1", gone)
		}, false, gateway.StatusRejected, codeCanceled, "", "GET /v1/invoices/in_1"},
		{"create lost, found", func(f *fake) {
			made(f)
			f.routes["POST /v1/invoices"] = []answer{broken}
			f.on("GET /v1/invoices", list(strings.Replace(invoiceJSON("draft", ""), `"metadata":{}`, `"metadata":{"purser_call":"call_1","purser_step":"invoice"}`, 1))).
				on("GET /v1/invoices/in_1", draft).on("POST /v1/invoices/in_1/finalize", open)
		}, false, gateway.StatusSucceeded, "", "open", "POST /v1/invoices/in_1/finalize"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			tt.set(f)
			a, _ := f.adapter()
			r := newInvoice(t)
			if tt.given {
				r.InvoiceID = "in_1"
			}
			res := a.FinalizeInvoice(t.Context(), testAccount(), testCall(), r)
			code := ""
			if res.Failure != nil {
				code = res.Failure.Code
			}
			if res.Status != tt.want || code != tt.code || res.State != tt.state {
				t.Errorf("result = %s %q %q, want %s %q %q", res.Status, code, res.State, tt.want, tt.code, tt.state)
			}
			if got := f.requests(); got[len(got)-1] != tt.after {
				t.Errorf("requests = %v, want the last to be %s", got, tt.after)
			}
		})
	}
}

func TestPayInvoice(t *testing.T) {
	t.Parallel()
	const pay, get = "POST /v1/invoices/in_1/pay", "GET /v1/invoices/in_1"
	declinedNow := unpaidInvoice(`,"last_payment_error":{"type":"card_error","code":"card_declined","message":"Your card was declined."}`)
	decline := answer{status: 402, body: stripeError("card_error", "card_declined", "Your card was declined.", `,"decline_code":"generic_decline"`)}
	action := answer{status: 402, body: stripeError("invalid_request_error", "invoice_payment_intent_requires_action", "Authenticate.", "")}
	waiting := answer{body: invoiceJSON("open", `,"payment_intent":`+payment("requires_action", ""))}
	broken := answer{status: 500, body: stripeError("api_error", "", "Oops.", "")}
	replayed, stored := decline, broken
	replayed.replayed, stored.replayed = true, true
	tests := []struct {
		name    string
		pay     answer
		get     answer
		old     bool
		want    gateway.Status
		payment gateway.Status
		state   gateway.InvoiceState
		page    string
		never   bool
	}{
		{name: "paid", pay: answer{body: paidInvoice()}, want: gateway.StatusSucceeded, payment: gateway.StatusSucceeded, state: "paid"},
		{name: "paid, replayed", pay: answer{body: unpaidInvoice(""), replayed: true}, get: answer{body: paidInvoice()}, want: gateway.StatusSucceeded, payment: gateway.StatusSucceeded, state: "paid"},
		{name: "under way", pay: answer{body: invoiceJSON("open", `,"payment_intent":`+payment("processing", ""))}, want: gateway.StatusProcessing, payment: gateway.StatusProcessing, state: "open"},
		{name: "already paid", pay: answer{status: 400, body: stripeError("invalid_request_error", "", "Invoice is already paid.", "")}, get: answer{body: paidInvoice()}, want: gateway.StatusSucceeded, payment: gateway.StatusSucceeded, state: "paid"},
		{name: "void", pay: answer{status: 400, body: stripeError("invalid_request_error", "", "Void.", "")}, get: answer{body: invoiceJSON("void", "")}, want: gateway.StatusRejected, state: "void"},
		{name: "declined", pay: decline, get: answer{body: declinedNow}, want: gateway.StatusDeclined, payment: gateway.StatusDeclined, state: "open"},
		{name: "declined, replayed, paid since", pay: replayed, get: answer{body: paidInvoice()}, want: gateway.StatusSucceeded, payment: gateway.StatusSucceeded, state: "paid"},
		{name: "declined, unreadable", pay: decline, get: broken, want: gateway.StatusDeclined, payment: gateway.StatusDeclined},
		{name: "declined, replayed, unreadable", pay: replayed, get: broken, want: gateway.StatusUnknown},
		{name: "3-D Secure", pay: action, get: waiting, want: gateway.StatusActionNeeded, payment: gateway.StatusActionNeeded, state: "open", page: "https://pay.example/i/1"},
		{name: "3-D Secure, unreadable", pay: action, get: broken, want: gateway.StatusUnknown},
		{name: "lost, paid", pay: broken, get: answer{body: paidInvoice()}, want: gateway.StatusSucceeded, payment: gateway.StatusSucceeded, state: "paid"},
		{name: "lost for good, paid", pay: stored, get: answer{body: paidInvoice()}, want: gateway.StatusSucceeded, payment: gateway.StatusSucceeded, state: "paid"},
		{name: "lost for good, never tried", pay: stored, get: answer{body: unpaidInvoice("")}, want: gateway.StatusUnavailable, state: "open", never: true},
		{name: "lost for good, declined", pay: stored, get: answer{body: declinedNow}, want: gateway.StatusDeclined, payment: gateway.StatusDeclined, state: "open"},
		{name: "lost, not paid", pay: broken, get: answer{body: unpaidInvoice("")}, want: gateway.StatusUnknown, state: "open"},
		{name: "busy", pay: answer{status: 429, body: stripeError("", "rate_limit", "Slow.", "")}, want: gateway.StatusUnknown},
		{name: "connection lost", pay: answer{do: reset}, want: gateway.StatusUnknown},
		{name: "forgotten, paid", old: true, get: answer{body: paidInvoice()}, want: gateway.StatusSucceeded, payment: gateway.StatusSucceeded, state: "paid"},
		{name: "forgotten, declined", old: true, get: answer{body: declinedNow}, want: gateway.StatusDeclined, payment: gateway.StatusDeclined, state: "open"},
		{name: "forgotten, waiting", old: true, get: waiting, want: gateway.StatusActionNeeded, payment: gateway.StatusActionNeeded, state: "open", page: "https://pay.example/i/1"},
		{name: "forgotten, never made", old: true, get: answer{body: unpaidInvoice("")}, want: gateway.StatusUnavailable, state: "open", never: true},
		{name: "forgotten, unreadable", old: true, get: broken, want: gateway.StatusUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			call := testCall()
			if tt.old {
				call.StartedAt = time.Now().Add(-24 * time.Hour)
			} else {
				f.on(pay, tt.pay)
			}
			if tt.get.status != 0 || tt.get.body != "" {
				f.on(get, tt.get)
			}
			a, _ := f.adapter()
			res := a.PayInvoice(t.Context(), testAccount(), call, gateway.InvoicePayRequest{InvoiceID: "in_1", PaymentMethodID: "pm_1"})
			if res.Status != tt.want || res.Payment.Status != tt.payment || res.State != tt.state || res.NextAction.RedirectURL != tt.page {
				t.Errorf("result = %s %q %q %q (%+v), want %s %q %q %q", res.Status, res.Payment.Status, res.State, res.NextAction.RedirectURL, res.Failure, tt.want, tt.payment, tt.state, tt.page)
			}
			if res.Never != tt.never {
				t.Errorf("never = %v", res.Never)
			}
			if res.InvoiceID != "in_1" {
				t.Errorf("invoice = %q", res.InvoiceID)
			}
			if tt.state != "" && tt.payment != "" && res.Payment.GatewayPaymentID != "pi_1" {
				t.Errorf("payment = %+v", res.Payment)
			}
			if !tt.old {
				if r := f.last(pay); r.key != "purser:call_1:pay" || r.form.Get("off_session") != "false" || r.form.Get("payment_method") != "pm_1" {
					t.Errorf("request = %+v", r)
				}
			}
			if tt.want == gateway.StatusSucceeded && (res.Payment.ReceiptURL == "" || res.AmountPaid != amount(t, "11.90", "USD")) {
				t.Errorf("paid = %+v", res)
			}
		})
	}
}

// TestPayInvoiceLeadsBack: where 3-D Secure is needed, the payment is confirmed
// again with the address to come back to.
func TestPayInvoiceLeadsBack(t *testing.T) {
	t.Parallel()
	const pay, get, confirm = "POST /v1/invoices/in_1/pay", "GET /v1/invoices/in_1", "POST /v1/payment_intents/pi_1/confirm"
	const hosted, bank = "https://pay.example/i/1", "https://bank.example/1"
	const redirect = `,"next_action":{"type":"redirect_to_url","redirect_to_url":{"url":"` + bank + `","return_url":"https://shop.example/back"}}`
	action := answer{status: 402, body: stripeError("invalid_request_error", "invoice_payment_intent_requires_action", "Authenticate.", "")}
	waiting := answer{body: invoiceJSON("open", `,"payment_intent":`+payment("requires_action", ""))}
	tests := []struct {
		name    string
		get     []answer
		confirm *answer
		want    gateway.Status
		page    string
	}{
		{"asked", []answer{waiting}, &answer{body: payment("requires_action", redirect)}, gateway.StatusActionNeeded, bank},
		{"asked before", []answer{{body: invoiceJSON("open", `,"payment_intent":`+payment("requires_action", redirect))}}, nil, gateway.StatusActionNeeded, bank},
		{"no address", []answer{waiting}, &answer{body: payment("requires_action", "")}, gateway.StatusActionNeeded, hosted},
		{"refused", []answer{waiting}, &answer{status: 400, body: stripeError("invalid_request_error", "", "No.", "")}, gateway.StatusActionNeeded, hosted},
		{"lost", []answer{waiting}, &answer{do: reset}, gateway.StatusActionNeeded, hosted},
		{"not needed any more", []answer{waiting, {body: paidInvoice()}}, &answer{body: payment("succeeded", paidCharge)}, gateway.StatusSucceeded, ""},
		{"given up since", []answer{{body: unpaidInvoice("")}}, nil, gateway.StatusActionNeeded, hosted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t).on(pay, action).on(get, tt.get...)
			if tt.confirm != nil {
				f.on(confirm, *tt.confirm)
			}
			a, _ := f.adapter()
			res := a.PayInvoice(t.Context(), testAccount(), testCall(), gateway.InvoicePayRequest{
				InvoiceID: "in_1", PaymentMethodID: "pm_1", ReturnURL: "https://shop.example/back",
			})
			if res.Status != tt.want || res.NextAction.RedirectURL != tt.page {
				t.Errorf("result = %s %+v (%+v), want %s %s", res.Status, res.NextAction, res.Failure, tt.want, tt.page)
			}
			if tt.confirm == nil {
				return
			}
			if r := f.last(confirm); r.key != "purser:call_1:pay-confirm" || r.form.Get("return_url") != "https://shop.example/back" || r.form.Get("payment_method") != "pm_1" {
				t.Errorf("request = %+v", r)
			}
		})
	}
}

// TestChangesOfInvoices: settle, void and delete, made and found made.
func TestChangesOfInvoices(t *testing.T) {
	t.Parallel()
	refused := answer{status: 400, body: stripeError("invalid_request_error", "", "No.", "")}
	broken := answer{status: 500, body: "oops"}
	gone := answer{status: 404, body: stripeError("invalid_request_error", "resource_missing", "No such invoice.", "")}
	outside := answer{body: strings.Replace(paidInvoice(), `"metadata":{}`, `"metadata":{},"paid_out_of_band":true`, 1)}
	void := answer{body: invoiceJSON("void", "")}
	open := answer{body: unpaidInvoice("")}
	settle := func(a *Adapter) gateway.InvoiceResult {
		return a.SettleInvoice(t.Context(), testAccount(), testCall(), "in_1")
	}
	cancel := func(a *Adapter) gateway.InvoiceResult {
		return a.VoidInvoice(t.Context(), testAccount(), testCall(), "in_1")
	}
	remove := func(a *Adapter) gateway.InvoiceResult {
		return a.DeleteDraftInvoice(t.Context(), testAccount(), testCall(), "in_1")
	}
	tests := []struct {
		name  string
		do    func(*Adapter) gateway.InvoiceResult
		route string
		first answer
		look  *answer
		want  gateway.Status
		state gateway.InvoiceState
	}{
		{"settle", settle, "POST /v1/invoices/in_1/pay", outside, nil, gateway.StatusSucceeded, "paid"},
		{"settle, paid", settle, "POST /v1/invoices/in_1/pay", refused, &outside, gateway.StatusSucceeded, "paid"},
		{"settle, void", settle, "POST /v1/invoices/in_1/pay", refused, &void, gateway.StatusRejected, ""},
		{"settle, lost", settle, "POST /v1/invoices/in_1/pay", broken, &open, gateway.StatusUnknown, ""},
		{"void", cancel, "POST /v1/invoices/in_1/void", void, nil, gateway.StatusSucceeded, "void"},
		{"void, void", cancel, "POST /v1/invoices/in_1/void", refused, &void, gateway.StatusSucceeded, "void"},
		{"void, paid", cancel, "POST /v1/invoices/in_1/void", refused, &outside, gateway.StatusRejected, ""},
		{"void, unknown to Stripe", cancel, "POST /v1/invoices/in_1/void", gone, nil, gateway.StatusRejected, ""},
		{"void, cannot look", cancel, "POST /v1/invoices/in_1/void", refused, &broken, gateway.StatusUnknown, ""},
		{"delete", remove, "DELETE /v1/invoices/in_1", answer{body: `{"id":"in_1","deleted":true}`}, nil, gateway.StatusSucceeded, ""},
		{"delete, gone", remove, "DELETE /v1/invoices/in_1", gone, nil, gateway.StatusSucceeded, ""},
		{"delete, finalized", remove, "DELETE /v1/invoices/in_1", refused, nil, gateway.StatusRejected, ""},
		{"delete, lost, gone", remove, "DELETE /v1/invoices/in_1", broken, &gone, gateway.StatusSucceeded, ""},
		{"delete, lost, there", remove, "DELETE /v1/invoices/in_1", broken, &open, gateway.StatusUnknown, ""},
	}
	for _, tt := range tests {
		f := newFake(t).on(tt.route, tt.first)
		if tt.look != nil {
			f.on("GET /v1/invoices/in_1", *tt.look)
		}
		a, _ := f.adapter()
		res := tt.do(a)
		if res.Status != tt.want || res.State != tt.state {
			t.Errorf("%s: %s %q (%+v), want %s %q", tt.name, res.Status, res.State, res.Failure, tt.want, tt.state)
		}
		if key := f.last(tt.route).key; !strings.HasPrefix(key, "purser:call_1:") {
			t.Errorf("%s: key = %q", tt.name, key)
		}
		if tt.state == "paid" && (!res.PaidOutside || res.Payment != (gateway.PaymentState{})) {
			t.Errorf("%s: %+v, want paid outside, without a payment", tt.name, res)
		}
	}
}

// TestStatesFromTheFuture: an object in a state that nobody knows yet is not
// taken for one in another state.
func TestStatesFromTheFuture(t *testing.T) {
	t.Parallel()
	f := newFake(t).
		on("GET /v1/invoices/in_1", answer{body: invoiceJSON("levitating", "")}).
		on("GET /v1/quotes/qt_1", answer{body: quoteJSON("levitating", "")})
	a, _ := f.adapter()
	if res := a.FetchInvoice(t.Context(), testAccount(), "in_1"); res.Known() || res.State != "" || res.Failure.Code != codeUnreadable {
		t.Errorf("invoice = %+v %+v", res, res.Failure)
	}
	if res := a.FetchQuote(t.Context(), testAccount(), "qt_1"); res.Known() || res.State != "" || res.Failure.Code != codeUnreadable {
		t.Errorf("quote = %+v %+v", res, res.Failure)
	}
}
