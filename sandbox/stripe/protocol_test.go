package stripesandbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"purser/sandbox"
)

// raw sends a request as any HTTP client would and returns status, body and headers.
func (b *bundle) raw(method, path, body string, header map[string]string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.http.URL+"/base"+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	out, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, string(out), response.Header
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	for _, c := range []struct {
		name, method, path, body, key string
		status                        int
		want                          []string
	}{
		{"no key", "GET", "/v1/customers", "", "", 401, []string{`"type": "invalid_request_error"`, "did not provide an API key"}},
		{"live key", "GET", "/v1/customers", "", "sk_live_0123456789abcdef", 401, []string{"Live keys are refused"}},
		{"publishable key", "GET", "/v1/customers", "", "pk_test_0123456789abcdef", 401, []string{"publishable API key"}},
		{"short key", "GET", "/v1/customers", "", "sk_test_1", 401, []string{"Invalid API Key"}},
		{"unknown address", "GET", "/v1/topups", "", testKey, 404, []string{"Unrecognized request URL (GET: /v1/topups)"}},
		{"unknown object", "GET", "/v1/customers/cus_nobody", "", testKey, 404, []string{`"code": "resource_missing"`, "No such customer: 'cus_nobody'", `"param": "id"`}},
		{"object of another kind", "GET", "/v1/invoices/" + customer.ID, "", testKey, 404, []string{`"resource_missing"`}},
		{"unknown object as a parameter", "POST", "/v1/invoices", "customer=cus_nobody", testKey, 400, []string{`"resource_missing"`, `"param": "customer"`}},
		{"unknown parameter", "POST", "/v1/customers", "nickname=x", testKey, 400, []string{`"code": "parameter_unknown"`, `"param": "nickname"`}},
		{"unknown nested parameter", "POST", "/v1/quotes", "line_items[0][cost]=1", testKey, 400, []string{`"parameter_unknown"`, `"param": "line_items[0][cost]"`}},
		{"missing parameter", "POST", "/v1/prices", "unit_amount=5&product=p", testKey, 400, []string{`"code": "parameter_missing"`, `"param": "currency"`}},
		{"not a number", "POST", "/v1/payment_intents", "amount=12.5&currency=eur", testKey, 400, []string{`"code": "parameter_invalid_integer"`}},
		{"negative", "POST", "/v1/payment_intents", "amount=-5&currency=eur", testKey, 400, []string{`"param": "amount"`}},
		{"huge", "POST", "/v1/payment_intents", "amount=100000000&currency=eur", testKey, 400, []string{`"param": "amount"`}},
		{"beyond int64", "POST", "/v1/payment_intents", "amount=99999999999999999999&currency=eur", testKey, 400, []string{`"parameter_invalid_integer"`}},
		{"too small", "POST", "/v1/payment_intents", "amount=49&currency=usd", testKey, 400, []string{`"code": "amount_too_small"`}},
		{"three decimals not ending in 0", "POST", "/v1/payment_intents", "amount=5124&currency=kwd", testKey, 400, []string{"must end in 0"}},
		{"unknown currency", "POST", "/v1/payment_intents", "amount=500&currency=xxx", testKey, 400, []string{"Invalid currency: xxx"}},
		{"not a boolean", "POST", "/v1/payment_intents", "amount=500&currency=eur&confirm=yes", testKey, 400, []string{"Invalid boolean: yes"}},
		{"off session without confirm", "POST", "/v1/payment_intents", "amount=500&currency=eur&off_session=true", testKey, 400, []string{`"param": "off_session"`}},
		{"list limit", "GET", "/v1/customers?limit=101", "", testKey, 400, []string{`"param": "limit"`}},
		{"list cursor", "GET", "/v1/customers?starting_after=cus_nobody", "", testKey, 404, []string{`"param": "starting_after"`}},
		{"expand of a text", "GET", "/v1/customers/" + customer.ID + "?expand[0]=email", "", testKey, 400, []string{"cannot be expanded (email)"}},
		{"expand of nothing", "GET", "/v1/customers/" + customer.ID + "?expand[0]=mother", "", testKey, 400, []string{"cannot be expanded (mother)"}},
		{"expand too deep", "GET", "/v1/customers/" + customer.ID + "?expand[0]=a.b.c.d.e", "", testKey, 400, []string{"more than 4 levels"}},
		{"value and hash", "POST", "/v1/customers", "metadata=x&metadata[a]=b", testKey, 400, []string{"both as a value and as a hash"}},
		{"broken name", "POST", "/v1/customers", "metadata[a=b", testKey, 400, []string{`"parameter_unknown"`}},
		{"broken body", "POST", "/v1/customers", "name=%zz", testKey, 400, []string{"not well-formed"}},
		{"not UTF-8", "POST", "/v1/customers", "name=%ff", testKey, 400, []string{"UTF-8"}},
		{"body too large", "POST", "/v1/customers", "name=" + strings.Repeat("x", 1<<20), testKey, 400, []string{"more than 1048576 bytes"}},
		{"metadata value too long", "POST", "/v1/customers", "metadata[a]=" + strings.Repeat("x", 501), testKey, 400, []string{"at most 40 and values at most 500"}},
		{"two amounts", "POST", "/v1/prices", "currency=eur&unit_amount=5&unit_amount_decimal=5.5&product=p", testKey, 400, []string{`"parameters_exclusive"`}},
		{"not emulated", "POST", "/v1/checkout/sessions", "mode=subscription&success_url=https://example.com", testKey, 400, []string{"not emulated by this sandbox"}},
		{"search of nonsense", "GET", "/v1/payment_intents/search?query=metadata['a\"b']:'c'", "", testKey, 400, []string{"unable to parse"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, body, header := b.raw(c.method, strings.ReplaceAll(c.path, "\"", "%22"), c.body, map[string]string{"Authorization": "Bearer " + c.key})
			equal(t, "status", status, c.status)
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("the answer lacks %s:\n%s", want, body)
				}
			}
			if !strings.HasPrefix(header.Get("Request-Id"), "req_") || header.Get("Content-Type") != "application/json" {
				t.Errorf("headers are %v", header)
			}
			for _, secret := range []string{"sqlite", "SELECT", ".go:", "stripesandbox", "map[string]"} {
				if strings.Contains(body, secret) {
					t.Errorf("the answer shows %q:\n%s", secret, body)
				}
			}
		})
	}
}

func TestBasicAuthenticationAndAccountsApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, b.http.URL+"/base/v1/customers/"+customer.ID, nil))(t)
	r.SetBasicAuth(testKey, "")
	response := must(http.DefaultClient.Do(r))(t)
	response.Body.Close()
	equal(t, "status with basic authentication", response.StatusCode, 200)

	other := b.client("sk_test_another0account")
	_, err := other.Customers.Get(customer.ID, nil)
	refused(t, err, 404)
	for range other.Customers.List(&stripe.CustomerListParams{}).CustomerList().Data {
		t.Error("an account lists the customers of another one")
	}
	mine, theirs := must(b.Accounts.Get())(t), must(other.Accounts.Get())(t)
	if mine.ID == theirs.ID || !mine.ChargesEnabled || mine.Country != "US" {
		t.Errorf("accounts are %+v and %+v", mine.ID, theirs.ID)
	}
	if err := b.server.EnsureAccount(t.Context(), "sk_live_0123456789abcdef", ""); err == nil {
		t.Error("a live key got an account")
	}
	if err := b.server.EnsureAccount(t.Context(), testKey, "pk_live_0123456789abcdef"); err == nil {
		t.Error("a live publishable key was taken")
	}
	if err := b.server.EnsureAccount(t.Context(), testKey, "pk_test_0123456789abcdef"); err != nil {
		t.Error(err)
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	b := setup(t)
	key := map[string]string{"Idempotency-Key": "purser:1"}
	const body = "amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa&metadata[a]=1"
	status, first, header := b.raw("POST", "/v1/payment_intents", body, key)
	equal(t, "status", status, 200)
	equal(t, "replayed", header.Get("Idempotent-Replayed"), "")

	b.restart()
	status, second, header := b.raw("POST", "/v1/payment_intents", "metadata[a]=1&confirm=true&payment_method=pm_card_visa&currency=usd&amount=2000", key)
	equal(t, "status of the replay", status, 200)
	equal(t, "body of the replay", second, first)
	equal(t, "replayed", header.Get("Idempotent-Replayed"), "true")
	if header.Get("Original-Request") == "" || header.Get("Original-Request") == header.Get("Request-Id") {
		t.Errorf("the replay's headers are %v", header)
	}
	equal(t, "number of charges", len(must(b.server.Inspect(t.Context(), testKey))(t).Charges), 1)

	for _, other := range []struct{ path, body string }{
		{"/v1/payment_intents", strings.Replace(body, "2000", "2001", 1)},
		{"/v1/customers", ""},
	} {
		status, answer, _ := b.raw("POST", other.path, other.body, key)
		equal(t, "status with another request", status, 400)
		if !strings.Contains(answer, `"type": "idempotency_error"`) {
			t.Errorf("the answer is %s", answer)
		}
	}

	// A decline is kept; a refused parameter is not.
	declined := map[string]string{"Idempotency-Key": "purser:declined"}
	const failing = "amount=2000&currency=usd&confirm=true&payment_method=pm_card_chargeDeclined"
	status, first, _ = b.raw("POST", "/v1/payment_intents", failing, declined)
	equal(t, "status of a decline", status, 402)
	status, second, header = b.raw("POST", "/v1/payment_intents", failing, declined)
	equal(t, "status of a decline's replay", status, 402)
	equal(t, "body of a decline's replay", second, first)
	equal(t, "replayed", header.Get("Idempotent-Replayed"), "true")

	refusedKey := map[string]string{"Idempotency-Key": "purser:refused"}
	status, _, _ = b.raw("POST", "/v1/customers", "nickname=x", refusedKey)
	equal(t, "status of a refused parameter", status, 400)
	status, _, _ = b.raw("POST", "/v1/customers", "name=x", refusedKey)
	equal(t, "status after correcting it", status, 200)

	// A state conflict executed, so it is kept.
	inv := b.invoice(b.customer("").ID)
	conflict := map[string]string{"Idempotency-Key": "purser:conflict"}
	status, _, _ = b.raw("POST", "/v1/invoices/"+inv.ID+"/finalize", "", conflict)
	equal(t, "status of a conflict", status, 400)
	_, _, header = b.raw("POST", "/v1/invoices/"+inv.ID+"/finalize", "", conflict)
	equal(t, "conflict replayed", header.Get("Idempotent-Replayed"), "true")

	status, _, _ = b.raw("POST", "/v1/customers", "", map[string]string{"Idempotency-Key": strings.Repeat("k", 256)})
	equal(t, "status with a key of 256 characters", status, 400)

	// Keys belong to their account and last a day.
	status, _, header = b.raw("POST", "/v1/customers", "", map[string]string{"Idempotency-Key": "purser:1", "Authorization": "Bearer sk_test_another0account"})
	equal(t, "status in another account", status, 200)
	equal(t, "replayed in another account", header.Get("Idempotent-Replayed"), "")
	if err := b.server.AdvanceClock(t.Context(), testKey, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	status, _, header = b.raw("POST", "/v1/customers", "", key)
	equal(t, "status a day later", status, 200)
	equal(t, "replayed a day later", header.Get("Idempotent-Replayed"), "")
}

func TestConcurrentRequestsWithOneKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.server.Faults().AddRequest(sandbox.RequestFault{Path: "/v1/payment_intents", Action: sandbox.ActionDelay, DelayMilliseconds: 300}); err != nil {
		t.Fatal(err)
	}
	const n = 8
	statuses := make([]int, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			statuses[i], _, _ = b.raw("POST", "/v1/payment_intents", "amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa", map[string]string{"Idempotency-Key": "one"})
		})
	}
	all.Wait()
	if !slices.Contains(statuses, 200) {
		t.Errorf("statuses are %v, want one 200 at least", statuses)
	}
	for _, s := range statuses {
		if s != 200 && s != 409 {
			t.Errorf("statuses are %v, want 200 and 409 only", statuses)
		}
	}
	equal(t, "number of charges", len(must(b.server.Inspect(t.Context(), testKey))(t).Charges), 1)
}

func TestListsAndExpansion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	var made []string
	for i := range 25 {
		pi := must(b.PaymentIntents.New(&stripe.PaymentIntentParams{
			Amount: stripe.Int64(int64(100 + i)), Currency: stripe.String("eur"), Customer: stripe.String(customer.ID),
			Metadata: map[string]string{"purser_payment": fmt.Sprint(i)},
		}))(t)
		made = append(made, pi.ID)
	}
	must(b.PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(100), Currency: stripe.String("eur")}))(t)
	slices.Reverse(made) // lists are newest first

	var got []string
	params := &stripe.PaymentIntentListParams{Customer: stripe.String(customer.ID)}
	params.Limit = stripe.Int64(7)
	params.AddExpand("data.customer")
	it := b.PaymentIntents.List(params)
	for it.Next() {
		got = append(got, it.PaymentIntent().ID)
		equal(t, "expanded customer", it.PaymentIntent().Customer.Email, "ada@example.com")
	}
	if it.Err() != nil {
		t.Fatal(it.Err())
	}
	if !slices.Equal(got, made) {
		t.Errorf("the list has %v, want %v", got, made)
	}

	back := &stripe.PaymentIntentListParams{Customer: stripe.String(customer.ID)}
	back.EndingBefore = stripe.String(made[10])
	back.Limit = stripe.Int64(3)
	back.Single = true
	list := b.PaymentIntents.List(back).PaymentIntentList()
	equal(t, "size of the page before", len(list.Data), 3)
	equal(t, "has_more of the page before", list.HasMore, true)
	equal(t, "first of the page before", list.Data[0].ID, made[7])

	future := &stripe.PaymentIntentListParams{CreatedRange: &stripe.RangeQueryParams{GreaterThan: time.Now().Unix() + 60}}
	equal(t, "intents made in the future", len(b.PaymentIntents.List(future).PaymentIntentList().Data), 0)

	found := b.PaymentIntents.Search(&stripe.PaymentIntentSearchParams{SearchParams: stripe.SearchParams{Query: "metadata['purser_payment']:'7' AND customer:'" + customer.ID + "'"}})
	equal(t, "found by metadata", found.Next(), true)
	equal(t, "amount found", found.PaymentIntent().Amount, 107)
	equal(t, "found more", found.Next(), false)

	// Lists inside objects hold the first page only.
	inv := must(b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(customer.ID), Currency: stripe.String("eur")}))(t)
	for i := range 12 {
		must(b.InvoiceItems.New(&stripe.InvoiceItemParams{Customer: stripe.String(customer.ID), Invoice: stripe.String(inv.ID), Amount: stripe.Int64(int64(i + 1)), Currency: stripe.String("eur")}))(t)
	}
	inv = must(b.Invoices.Get(inv.ID, nil))(t)
	equal(t, "lines inside", len(inv.Lines.Data), 10)
	equal(t, "more lines", inv.Lines.HasMore, true)
	equal(t, "total", inv.Total, 78)
	lines := &stripe.InvoiceListLinesParams{Invoice: stripe.String(inv.ID)}
	lines.Limit = stripe.Int64(5)
	var sum, n int64
	for it := b.Invoices.ListLines(lines); it.Next(); n++ {
		sum += it.InvoiceLineItem().Amount
	}
	equal(t, "number of all lines", n, 12)
	equal(t, "sum of all lines", sum, 78)

	get := &stripe.InvoiceParams{}
	get.AddExpand("customer")
	inv = must(b.Invoices.FinalizeInvoice(inv.ID, nil))(t)
	get.AddExpand("payment_intent.customer")
	inv = must(b.Invoices.Get(inv.ID, get))(t)
	equal(t, "expanded", inv.Customer.Name, "Ada")
	equal(t, "expanded below", inv.PaymentIntent.Customer.Name, "Ada")
}

func TestMetadataMerges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := must(b.Customers.New(&stripe.CustomerParams{Metadata: map[string]string{"a": "1", "b": "2"}}))(t)
	c = must(b.Customers.Update(c.ID, &stripe.CustomerParams{Metadata: map[string]string{"b": "", "c": "3"}}))(t)
	equal(t, "metadata", fmt.Sprint(c.Metadata), "map[a:1 c:3]")
	_, body, _ := b.raw("POST", "/v1/customers/"+c.ID, "metadata=", nil)
	if !strings.Contains(body, `"metadata": {}`) {
		t.Errorf("an empty metadata parameter left %s", body)
	}
}

func TestDeletedObjects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.customer("pm_card_visa")
	method := c.InvoiceSettings.DefaultPaymentMethod.ID
	equal(t, "deleted", must(b.Customers.Del(c.ID, nil))(t).Deleted, true)
	equal(t, "deleted when read again", must(b.Customers.Get(c.ID, nil))(t).Deleted, true)
	equal(t, "listed", len(b.Customers.List(&stripe.CustomerListParams{}).CustomerList().Data), 0)
	_, err := b.Invoices.New(&stripe.InvoiceParams{Customer: stripe.String(c.ID)})
	refused(t, err, 400)
	_, err = b.intent(method, "", nil)
	equal(t, "why a detached card is refused", strings.Contains(refused(t, err, 400).Msg, "may not be used again"), true)
	p := must(b.Products.New(&stripe.ProductParams{Name: stripe.String("x")}))(t)
	equal(t, "product deleted", must(b.Products.Del(p.ID, nil))(t).Deleted, true)
	_, err = b.Products.Get(p.ID, nil)
	refused(t, err, 404)
}

func TestRequestFaults(t *testing.T) {
	t.Parallel()
	const body = "amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa"
	type result struct {
		status  int // 0: the connection was cut
		charges int
	}
	for _, c := range []struct {
		name   string
		fault  string
		first  result
		second result // the same request with the same key once more
	}{
		{"500 before", `{"action":"status","status":500}`, result{500, 0}, result{200, 1}},
		{"500 before, stored", `{"action":"status","status":500,"store":true}`, result{500, 0}, result{500, 0}},
		{"500 after", `{"action":"status","status":500,"when":"after"}`, result{500, 1}, result{200, 1}},
		{"500 after, stored", `{"action":"status","status":500,"when":"after","store":true}`, result{500, 1}, result{500, 1}},
		{"429", `{"action":"status","status":429}`, result{429, 0}, result{200, 1}},
		{"reset before", `{"action":"reset"}`, result{0, 0}, result{200, 1}},
		{"reset after", `{"action":"reset","when":"after"}`, result{0, 1}, result{200, 1}},
		{"delay before", `{"action":"delay","delay_milliseconds":30}`, result{200, 1}, result{200, 1}},
		{"delay after", `{"action":"delay","delay_milliseconds":30,"when":"after"}`, result{200, 1}, result{200, 1}},
		{"truncated", `{"action":"truncate"}`, result{200, 1}, result{200, 1}},
		{"other method", `{"action":"status","status":500,"method":"get"}`, result{200, 1}, result{200, 1}},
		{"other path", `{"action":"status","status":500,"path":"/v1/invoices"}`, result{200, 1}, result{200, 1}},
		{"second request", `{"action":"status","status":503,"skip":1,"path":"/v1/payment_intents"}`, result{200, 1}, result{503, 1}},
		{"until removed", `{"action":"status","status":503,"count":-1}`, result{503, 0}, result{503, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var added struct{ ID string }
			equal(t, "status of the switch", b.control("POST", "faults/requests", c.fault, &added), 200)
			send := func() result {
				r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, b.http.URL+"/base/v1/payment_intents", strings.NewReader(body)))(t)
				r.Header.Set("Authorization", "Bearer "+testKey)
				r.Header.Set("Idempotency-Key", "k")
				got := result{}
				// A transport of its own: no silent second try on a kept connection.
				transport := &http.Transport{DisableKeepAlives: true}
				if response, err := (&http.Client{Transport: transport}).Do(r); err == nil {
					got.status = response.StatusCode
					response.Body.Close()
				}
				got.charges = len(must(b.server.Inspect(t.Context(), testKey))(t).Charges)
				return got
			}
			equal(t, "first", send(), c.first)
			equal(t, "second", send(), c.second)
			var removed struct{ Removed int }
			equal(t, "status of removing", b.control("DELETE", "faults", "", &removed), 200)
		})
	}
}

func TestRequestFaultsOfAnotherAccountAndBadOnes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "faults/requests", `{"action":"status","status":500,"count":-1}`, nil)
	if _, err := b.client("sk_test_another0account").Customers.New(&stripe.CustomerParams{}); err != nil {
		t.Errorf("a fault of one account struck another: %v", err)
	}
	_, err := b.Customers.New(&stripe.CustomerParams{})
	e := refused(t, err, 500)
	equal(t, "type", e.Type, stripe.ErrorTypeAPI)
	var list struct{ Requests []sandbox.RequestFault }
	b.control("GET", "faults", "", &list)
	equal(t, "faults on", len(list.Requests), 1)
	var removed struct{ Removed int }
	b.control("DELETE", "faults/"+list.Requests[0].ID, "", &removed)
	equal(t, "removed", removed.Removed, 1)
	if _, err := b.Customers.New(&stripe.CustomerParams{}); err != nil {
		t.Error(err)
	}
	for _, body := range []string{
		`{"action":"explode"}`, `{"action":"status"}`, `{"action":"delay"}`, `{"action":"reset","store":true}`,
		`{"action":"reset","when":"later"}`, `{"action":"truncate","when":"before"}`, `{"action":"reset","whem":"after"}`, `{`, `{"action":"delay","delay_milliseconds":600001}`,
	} {
		equal(t, "status of the switch "+body, b.control("POST", "faults/requests", body, nil), 400)
	}
	for _, body := range []string{`{"action":"explode"}`, `{"action":"delay"}`, `{"action":"reorder","count":1}`, `{"action":"drop","skip":-1}`} {
		equal(t, "status of the switch "+body, b.control("POST", "faults/deliveries", body, nil), 400)
	}
	b.control("POST", "faults/requests", `{"action":"truncate"}`, nil)
	var answer *stripe.Error
	if _, err := b.Customers.New(&stripe.CustomerParams{}); err == nil || errors.As(err, &answer) {
		t.Errorf("half a reply gave %v, want an error that is no answer", err)
	}
	b.control("POST", "faults/requests", `{"action":"status","status":429}`, nil)
	_, err = b.Customers.New(&stripe.CustomerParams{})
	equal(t, "code", refused(t, err, 429).Code, stripe.ErrorCodeRateLimit)
}

func TestClientThatLeavesDoesNotStopTheOperation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "faults/requests", `{"action":"delay","delay_milliseconds":400}`, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	r := must(http.NewRequestWithContext(ctx, http.MethodPost, b.http.URL+"/base/v1/payment_intents",
		strings.NewReader("amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa")))(t)
	r.Header.Set("Authorization", "Bearer "+testKey)
	if response, err := http.DefaultClient.Do(r); err == nil {
		response.Body.Close()
		t.Fatal("the reply was not delayed")
	}
	eventually(t, "the charge is there", func() bool {
		return len(must(b.server.Inspect(t.Context(), testKey))(t).Charges) == 1
	})
}

// A delay outlasts the server's own limit on answers.
func TestALongDelayIsNoReset(t *testing.T) {
	t.Parallel()
	b := setup(t)
	server := httptest.NewUnstartedServer(b.server.Handler())
	server.Config.WriteTimeout = 100 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	b.control("POST", "faults/requests", `{"action":"delay","delay_milliseconds":300}`, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/account", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	equal(t, "status", response.StatusCode, 200)
}
