package stripe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/gateway"
)

// quoteJSON is a quote over 20.00 USD in the state.
func quoteJSON(state, more string) string {
	return fmt.Sprintf(`{"id":"qt_1","object":"quote","status":%q,"number":"QT-1","currency":"usd","amount_total":2000,"customer":"cus_1",
		"expires_at":1900000000,"created":%d,"metadata":{"purser_call":"call_1","purser_step":"quote"}%s}`, state, time.Now().Unix(), more)
}

func newQuote(t *testing.T) gateway.QuoteRequest {
	seat := gateway.Line{Description: "Seat", Quantity: 2, UnitAmount: amount(t, "5", "USD"), Total: amount(t, "10", "USD")}
	return gateway.QuoteRequest{
		Customer: gateway.Customer{PayerID: "dev_1", Name: "Ada"}, Currency: "USD", Description: "Quote 1", ExpiresAt: time.Unix(1900000000, 0),
		Lines: []gateway.Line{
			seat,
			{Description: "Setup", Quantity: 1, UnitAmount: amount(t, "5", "USD"), Total: amount(t, "5", "USD")},
			{Description: "Seat", Quantity: 1, UnitAmount: amount(t, "5", "USD"), Total: amount(t, "5", "USD")},
		},
	}
}

func quoteParts(f *fake) *fake {
	return f.on("POST /v1/customers", answer{body: `{"id":"cus_1"}`}).
		on("POST /v1/products", answer{body: `{"id":"prod_1"}`}, answer{body: `{"id":"prod_2"}`})
}

func TestFinalizeQuoteRequests(t *testing.T) {
	t.Parallel()
	f := quoteParts(newFake(t)).on("POST /v1/quotes", answer{body: quoteJSON("draft", "")}).
		on("POST /v1/quotes/qt_1/finalize", answer{body: quoteJSON("open", "")})
	a, _ := f.adapter()
	res := a.FinalizeQuote(t.Context(), testAccount(), testCall(), newQuote(t))
	if res.Status != gateway.StatusSucceeded || res.QuoteID != "qt_1" || res.CustomerID != "cus_1" || res.State != "open" ||
		res.Total != amount(t, "20", "USD") || res.InvoiceID != "" {
		t.Fatalf("result = %+v %+v", res, res.Failure)
	}
	want := []string{"POST /v1/customers", "POST /v1/products", "POST /v1/products", "POST /v1/quotes", "POST /v1/quotes/qt_1/finalize"}
	if got := f.requests(); !slices.Equal(got, want) {
		t.Errorf("requests = %v", got)
	}
	form := f.last("POST /v1/quotes").form
	for name, value := range map[string]string{
		"customer": "cus_1", "collection_method": "charge_automatically", "expires_at": "1900000000", "description": "Quote 1",
		"line_items[0][price_data][currency]": "usd", "line_items[0][price_data][product]": "prod_1", "line_items[0][price_data][unit_amount]": "500", "line_items[0][quantity]": "2",
		"line_items[1][price_data][product]": "prod_2", "line_items[2][price_data][product]": "prod_1", "line_items[2][quantity]": "1", "metadata[purser_call]": "call_1",
	} {
		if form.Get(name) != value {
			t.Errorf("%s = %q, want %q", name, form.Get(name), value)
		}
	}
	keys := make(map[string]bool)
	for _, r := range f.seen[1:] {
		if !strings.HasPrefix(r.key, "purser:call_1:") || keys[r.key] {
			t.Errorf("%s has the key %q", r.path, r.key)
		}
		keys[r.key] = true
	}
}

func TestFinalizeQuote(t *testing.T) {
	t.Parallel()
	refused := answer{status: 400, body: stripeError("invalid_request_error", "", "Invoicing Plus is needed.", "")}
	broken := answer{status: 500, body: stripeError("api_error", "", "Oops.", "")}
	draft, open, canceled := answer{body: quoteJSON("draft", "")}, answer{body: quoteJSON("open", "")}, answer{body: quoteJSON("canceled", "")}
	other := answer{body: strings.Replace(quoteJSON("draft", ""), "2000", "2001", 1)}
	old := draft
	old.replayed = true
	const create, finalize, cancel, get = "POST /v1/quotes", "POST /v1/quotes/qt_1/finalize", "POST /v1/quotes/qt_1/cancel", "GET /v1/quotes/qt_1"
	tests := []struct {
		name  string
		set   func(*fake)
		want  gateway.Status
		state gateway.QuoteState
		after string
	}{
		{"another total", func(f *fake) { f.on(create, other).on(cancel, canceled) }, gateway.StatusRejected, "canceled", cancel},
		{"another total, cannot be dropped", func(f *fake) { f.on(create, other).on(cancel, answer{do: reset}) }, gateway.StatusUnknown, "", cancel},
		{"refused", func(f *fake) {
			f.on(create, draft).on(finalize, refused).on(get, draft).on(cancel, canceled)
		}, gateway.StatusRejected, "canceled", cancel},
		{"refused, already open", func(f *fake) { f.on(create, draft).on(finalize, refused).on(get, open) }, gateway.StatusSucceeded, "open", get},
		{"creation refused", func(f *fake) { f.on(create, refused) }, gateway.StatusRejected, "", create},
		{"creation lost, found", func(f *fake) {
			f.on(create, broken).on("GET /v1/quotes", list(quoteJSON("draft", ""))).on(get, draft).on(finalize, open)
		}, gateway.StatusSucceeded, "open", finalize},
		{"creation lost, not found", func(f *fake) { f.on(create, broken).on("GET /v1/quotes", list()) }, gateway.StatusUnknown, "", "GET /v1/quotes"},
		{"finalize lost, open", func(f *fake) { f.on(create, draft).on(finalize, broken).on(get, open) }, gateway.StatusSucceeded, "open", get},
		{"finalize lost, draft", func(f *fake) { f.on(create, draft).on(finalize, broken).on(get, draft) }, gateway.StatusUnknown, "", get},
		{"asked again, open", func(f *fake) { f.on(create, old).on(get, open) }, gateway.StatusSucceeded, "open", get},
		{"asked again, dropped", func(f *fake) { f.on(create, old).on(get, canceled) }, gateway.StatusRejected, "canceled", get},
		{"asked again, draft", func(f *fake) { f.on(create, old).on(get, draft).on(finalize, open) }, gateway.StatusSucceeded, "open", finalize},
	}
	for _, tt := range tests {
		f := quoteParts(newFake(t))
		tt.set(f)
		a, _ := f.adapter()
		res := a.FinalizeQuote(t.Context(), testAccount(), testCall(), newQuote(t))
		if res.Status != tt.want || res.State != tt.state {
			t.Errorf("%s: %s %q (%+v), want %s %q", tt.name, res.Status, res.State, res.Failure, tt.want, tt.state)
		}
		if got := f.requests(); got[len(got)-1] != tt.after {
			t.Errorf("%s: requests = %v, want the last to be %s", tt.name, got, tt.after)
		}
	}

	// What cannot be put to Stripe is refused before anything is made.
	f := newFake(t)
	a, _ := f.adapter()
	for name, change := range map[string]func(*gateway.QuoteRequest){
		"no lines": func(r *gateway.QuoteRequest) { r.Lines = nil },
		"a unit in fractions": func(r *gateway.QuoteRequest) {
			r.Lines[0].UnitAmount = amount(t, "0.005", "USD")
			r.Lines[0].Total = amount(t, "0.01", "USD")
		},
		"a wrong line total": func(r *gateway.QuoteRequest) { r.Lines[0].Total = amount(t, "11", "USD") },
		"no quantity":        func(r *gateway.QuoteRequest) { r.Lines[0].Quantity = 0 },
		"another currency":   func(r *gateway.QuoteRequest) { r.Currency = "EUR" },
	} {
		r := newQuote(t)
		change(&r)
		if res := a.FinalizeQuote(t.Context(), testAccount(), testCall(), r); res.Status != gateway.StatusRejected {
			t.Errorf("%s: %s, want REJECTED", name, res.Status)
		}
	}
	if got := f.requests(); len(got) != 0 {
		t.Errorf("requests left: %v", got)
	}
}

func TestAcceptAndCancelQuote(t *testing.T) {
	t.Parallel()
	refused := answer{status: 400, body: stripeError("invalid_request_error", "", "No.", "")}
	broken := answer{status: 500, body: "oops"}
	accepted := answer{body: quoteJSON("accepted", `,"invoice":"in_1"`)}
	again := accepted
	again.replayed = true
	open := answer{body: quoteJSON("open", "")}
	canceled := answer{body: quoteJSON("canceled", "")}
	draft := answer{body: invoiceJSON("draft", `,"auto_advance":true`)}
	const accept, cancel, get, adopt, look = "POST /v1/quotes/qt_1/accept", "POST /v1/quotes/qt_1/cancel", "GET /v1/quotes/qt_1", "POST /v1/invoices/in_1", "GET /v1/invoices/in_1"
	tests := []struct {
		name    string
		cancel  bool
		set     func(*fake)
		want    gateway.Status
		state   gateway.QuoteState
		invoice string
	}{
		{"accept", false, func(f *fake) { f.on(accept, accepted).on(adopt, draft) }, gateway.StatusSucceeded, "accepted", "in_1"},
		{"accept again", false, func(f *fake) { f.on(accept, again).on(get, accepted).on(adopt, draft) }, gateway.StatusSucceeded, "accepted", "in_1"},
		{"accept, accepted by another", false, func(f *fake) { f.on(accept, refused).on(get, accepted).on(adopt, draft) }, gateway.StatusSucceeded, "accepted", "in_1"},
		{"accept, canceled", false, func(f *fake) { f.on(accept, refused).on(get, canceled) }, gateway.StatusRejected, "", ""},
		{"accept lost, accepted", false, func(f *fake) { f.on(accept, broken).on(get, accepted).on(adopt, draft) }, gateway.StatusSucceeded, "accepted", "in_1"},
		{"accept lost, open", false, func(f *fake) { f.on(accept, broken).on(get, open) }, gateway.StatusUnknown, "", ""},
		{"accept, invoice out of hand", false, func(f *fake) { f.on(accept, accepted).on(adopt, refused).on(look, draft) }, gateway.StatusUnknown, "accepted", "in_1"},
		{"accept, busy at the invoice", false, func(f *fake) {
			f.on(accept, accepted).on(adopt, answer{status: 429, body: "busy"}).on(look, answer{status: 429, body: "busy"})
		}, gateway.StatusUnknown, "accepted", "in_1"},
		{"accept, invoice already paid", false, func(f *fake) { f.on(accept, accepted).on(adopt, refused).on(look, answer{body: paidInvoice()}) }, gateway.StatusSucceeded, "accepted", "in_1"},
		{"accept, a subscription", false, func(f *fake) { f.on(accept, answer{body: quoteJSON("accepted", `,"subscription":"sub_1"`)}) }, gateway.StatusSucceeded, "accepted", ""},
		{"cancel", true, func(f *fake) { f.on(cancel, canceled) }, gateway.StatusSucceeded, "canceled", ""},
		{"cancel, canceled", true, func(f *fake) { f.on(cancel, refused).on(get, canceled) }, gateway.StatusSucceeded, "canceled", ""},
		{"cancel, accepted", true, func(f *fake) { f.on(cancel, refused).on(get, accepted) }, gateway.StatusRejected, "", ""},
		{"cancel lost, cannot look", true, func(f *fake) { f.on(cancel, broken).on(get, broken) }, gateway.StatusUnknown, "", ""},
	}
	for _, tt := range tests {
		f := newFake(t)
		tt.set(f)
		a, _ := f.adapter()
		do := a.AcceptQuote
		if tt.cancel {
			do = a.CancelQuote
		}
		res := do(t.Context(), testAccount(), testCall(), "qt_1")
		if res.Status != tt.want || res.State != tt.state || res.InvoiceID != tt.invoice || res.QuoteID != "qt_1" {
			t.Errorf("%s: %+v (%+v), want %s %q %q", tt.name, res, res.Failure, tt.want, tt.state, tt.invoice)
		}
		if tt.invoice != "" {
			if form := f.last(adopt).form; form.Get("auto_advance") != "false" || form.Get("metadata[purser_call]") != "call_1" {
				t.Errorf("%s: the invoice was left as it was: %v", tt.name, form)
			}
		}
	}
	f := newFake(t).on(get, open)
	a, _ := f.adapter()
	if res := a.FetchQuote(t.Context(), testAccount(), "qt_1"); res.Status != gateway.StatusSucceeded || res.State != "open" {
		t.Errorf("fetch = %+v", res)
	}
}
