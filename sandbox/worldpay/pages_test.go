package worldpaysandbox_test

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	worldpaysandbox "purser/sandbox/worldpay"
)

func TestHostedPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	address := b.hosted("PAGE", "Prepaid balance top-up", "Top-up &lt;b&gt;")
	p := browse(t, address, nil)
	equal(t, "status", p.status, http.StatusOK)
	p.contains(t, "TEST", "10.00 USD", "Top-up &lt;b&gt;", "PAGE", `name="number"`, `name="expiry"`, `name="cvc"`, `name="name"`, "4444 3333 2222 1111", "6759 6498 2643 8453",
		`<button id="cancel" name="cancel"`, `name="viewport"`, `lang="en"`, `<label for="number">`)
	for _, never := range []string{"<script", "4242", "onclick"} {
		if strings.Contains(p.body, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	if policy := p.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'self' http: https:") {
		t.Errorf("the policy is %q", policy)
	}
	// A page opened without addresses to return to has no way out, and tells
	// the outcome itself.
	bare, _, _ := strings.Cut(address, "&successURL")
	if strings.Contains(browse(t, bare, nil).body, `id="cancel"`) {
		t.Error("there is a way out to nowhere")
	}
	browse(t, bare, card("")).contains(t, "The payment is authorised.")
	equal(t, "way back of the second form", strings.HasPrefix(browse(t, address, card("REFUSED")).location, "https://shop.example/success?"), true)
	p = browse(t, address, nil)
	p.contains(t, "The payment is authorised.", `id="continue" href="https://shop.example/success?n=1&amp;orderKey=`)
	b.hook.wait(t, 3)
	equal(t, "events", len(b.order("PAGE").Journal), 3)
}

// TestOutcomesOnThePage holds what each name leads to: the address, its
// parameters, the payment and its events.
func TestOutcomesOnThePage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		code, name, to, status, lastEvent, returnCode string
	}{
		{"A1", "AUTHORISED", "https://shop.example/success?n=1&", "AUTHORISED", "CAPTURED", ""},
		{"A2", "Ada Lovelace", "https://shop.example/success?n=1&", "AUTHORISED", "CAPTURED", ""},
		{"R1", "REFUSED", "https://shop.example/failure?", "REFUSED", "REFUSED", "5"},
		{"R2", "REFUSED54", "https://shop.example/failure?", "REFUSED", "REFUSED", "54"},
		{"P1", "PENDING", "https://shop.example/pending?", "SENT_FOR_AUTHORISATION", "SENT_FOR_AUTHORISATION", ""},
	} {
		p := browse(t, b.hosted(c.code), card(c.name))
		equal(t, c.code+": status", p.status, http.StatusSeeOther)
		if !strings.HasPrefix(p.location, c.to) {
			t.Errorf("%s leads to %s", c.code, p.location)
		}
		query := must(url.Parse(p.location))(t).Query()
		equal(t, c.code+": order", query.Get("orderKey"), "PURSERADM^PURSERTEST^"+c.code)
		equal(t, c.code+": payment status", query.Get("paymentStatus"), c.status)
		equal(t, c.code+": amount", query.Get("paymentAmount"), "1000")
		equal(t, c.code+": currency", query.Get("paymentCurrency"), "USD")
		equal(t, c.code+": MAC", len(query.Get("mac2")), 64)
		equal(t, c.code+": legacy MAC", query.Has("mac"), false)
		paid := b.inquire(c.code).Order.Payment
		equal(t, c.code+": last event", paid.LastEvent, c.lastEvent)
		if c.returnCode != "" {
			equal(t, c.code+": return code", paid.Return.Code, c.returnCode)
		}
	}
	p := browse(t, b.hosted("E1"), card("ERROR"))
	if !strings.HasPrefix(p.location, "https://shop.example/error?errorRefNumber=") || strings.Contains(p.location, "mac") || strings.Contains(p.location, "orderKey") {
		t.Errorf("an error leads to %s", p.location)
	}
	equal(t, "last event", b.inquire("E1").Order.Payment.LastEvent, "ERROR")

	b.happen("P1", worldpaysandbox.Happening{Type: "AUTHORISED"})
	equal(t, "last event", b.inquire("P1").Order.Payment.LastEvent, "CAPTURED")
}

// TestCancelOnThePage holds the way out: the order's amount without a status.
// The order can still be paid, as by a shopper who goes back in the browser.
func TestCancelOnThePage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	address := b.hosted(sampleCode)
	p := browse(t, address, url.Values{"cancel": {"cancel"}})
	equal(t, "way out", p.location, "https://shop.example/cancel?orderKey=PURSERADM%5EPURSERTEST%5ETU-01HX7M4Q9Z&orderAmount=1000&orderCurrency=USD"+
		"&mac2=c7562cf71e9c58fe369d4510bb152be6a3775e7d683a54b9bf7502f12eda97b5")
	b.inquire(sampleCode).refusedWith(t, "5", "Could not find payment for order")
	browse(t, address, card(""))
	equal(t, "last event", b.inquire(sampleCode).Order.Payment.LastEvent, "CAPTURED")
}

func TestMACSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		set          func(*worldpaysandbox.Merchant)
		success, out string
	}{
		{
			"legacy", func(m *worldpaysandbox.Merchant) { m.MAC = worldpaysandbox.MACLegacy },
			"paymentStatus=AUTHORISED&mac=f72b78caaccd65235f3ceba04b41dd16", "orderCurrency=USD&mac=db59da245a33c9d391d64291a5a62d6b",
		},
		{
			"both", func(m *worldpaysandbox.Merchant) { m.MAC = worldpaysandbox.MACBoth },
			"paymentStatus=AUTHORISED&mac=f72b78caaccd65235f3ceba04b41dd16&mac2=8209fc728231e6ada1ac9977e8232a3e378e0cf5b6e268b3270aa671a8bc4628",
			"orderCurrency=USD&mac=db59da245a33c9d391d64291a5a62d6b&mac2=c7562cf71e9c58fe369d4510bb152be6a3775e7d683a54b9bf7502f12eda97b5",
		},
		{"no secret", func(m *worldpaysandbox.Merchant) { m.MACSecret = "" }, "paymentStatus=AUTHORISED", "orderCurrency=USD"},
		{"no parameters", func(m *worldpaysandbox.Merchant) { m.OmitURLParameters = true }, "https://shop.example/success?n=1", "https://shop.example/cancel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, c.set)
			address := b.hosted(sampleCode)
			if p := browse(t, address, url.Values{"cancel": {"cancel"}}); !strings.HasSuffix(p.location, c.out) {
				t.Errorf("the way out is %s, want …%s", p.location, c.out)
			}
			if p := browse(t, address, card("")); !strings.HasSuffix(p.location, c.success) {
				t.Errorf("the way back is %s, want …%s", p.location, c.success)
			}
		})
	}
}

func TestThreeDSecure(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ code, button, to, lastEvent, secure string }{
		{"DONE", "complete", "https://shop.example/success?", "CAPTURED", "Cardholder authenticated"},
		{"LOST", "fail", "https://shop.example/failure?", "REFUSED", "Failed"},
	} {
		address := b.hosted(c.code)
		p := browse(t, address, card("3D"))
		equal(t, "status", p.status, http.StatusSeeOther)
		if !strings.Contains(p.location, "/base/pages/3ds?OrderKey=") {
			t.Fatalf("the form leads to %s", p.location)
		}
		b.inquire(c.code).refusedWith(t, "5", "Could not find payment for order")
		browse(t, p.location, nil).contains(t, "TEST", "10.00 USD", `<button id="complete" name="complete"`, `<button id="fail" name="fail"`)
		equal(t, "status without a choice", browse(t, p.location, url.Values{"x": {"y"}}).status, http.StatusUnprocessableEntity)
		done := browse(t, p.location, url.Values{c.button: {c.button}})
		if !strings.HasPrefix(done.location, c.to) {
			t.Errorf("%s leads to %s", c.button, done.location)
		}
		again := browse(t, p.location, url.Values{"complete": {"complete"}})
		equal(t, "way back of the second choice", again.location, done.location)
		paid := b.inquire(c.code).Order.Payment
		equal(t, "last event", paid.LastEvent, c.lastEvent)
		equal(t, "authentication", paid.Secure.Description, c.secure)
	}
	// The page of a challenge that has not begun leads to the form.
	address := b.hosted("EARLY")
	p := browse(t, strings.Replace(address, "/pages/hpp?", "/pages/3ds?", 1), url.Values{"complete": {"complete"}})
	equal(t, "way of an early choice", p.location, address)
}

func TestTicketExpires(t *testing.T) {
	t.Parallel()
	b := setup(t, func(m *worldpaysandbox.Merchant) { m.TicketSeconds = 900 })
	paid, unpaid := b.hosted("PAID"), b.hosted("UNPAID")
	browse(t, paid, card(""))
	if err := b.server.AdvanceClock(t.Context(), b.merchant.Code, 800*time.Second); err != nil {
		t.Fatal(err)
	}
	equal(t, "status in time", browse(t, unpaid, nil).status, http.StatusOK)
	equal(t, "status of the switch", b.control("POST", "clock", `{"advance_seconds":100}`, nil), 200)
	equal(t, "status of the form", browse(t, unpaid, card("")).status, http.StatusNotFound)
	equal(t, "status of the page", browse(t, unpaid, nil).status, http.StatusNotFound)
	browse(t, paid, nil).contains(t, "The payment is authorised.")
	b.inquire("UNPAID").refusedWith(t, "5", "Could not find payment for order")
}

func TestPagesNeedTheTicketOfTheirOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	one, two := b.hosted("ONE"), b.hosted("TWO")
	ticket := func(address string) string { return must(url.Parse(address))(t).Query().Get("Ticket") }
	for _, address := range []string{
		strings.Replace(one, ticket(one), ticket(two), 1), strings.Replace(one, ticket(one), "", 1), strings.Replace(one, "OrderKey=", "Key=", 1),
		b.http.URL + "/base/pages/hpp", b.http.URL + "/base/pages/3ds",
	} {
		for _, form := range []url.Values{nil, card("")} {
			if p := browse(t, address, form); p.status != http.StatusNotFound || p.location != "" {
				t.Errorf("%s answers %d", address, p.status)
			}
		}
	}
	for _, bad := range []string{"javascript:alert(1)", "/relative", "ftp://shop.example/", "https://shop.example/" + strings.Repeat("x", 1024)} {
		bare, _, _ := strings.Cut(one, "&successURL")
		p := browse(t, bare+"&successURL="+url.QueryEscape(bad), card(""))
		equal(t, "status of a bad address", p.status, http.StatusBadRequest)
		p.contains(t, "successURL")
	}
	equal(t, "orders that were paid", b.order("ONE").Payment == nil && b.order("TWO").Payment == nil, true)
}

// TestFormsSayWhatIsWrong holds that a form that was refused says why beside
// the field, for people who hear the page.
func TestFormsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	address := b.hosted("WRONG", `<include code="ALL"/>`, `<include code="VISA-SSL"/><include code="AMEX-SSL"/><exclude code="AMEX-SSL"/>`)
	shown := browse(t, address, nil).body
	if strings.Contains(shown, "Maestro") || strings.Contains(shown, "American Express") || !strings.Contains(shown, "Visa") {
		t.Errorf("the page offers other cards than the order: %s", shown)
	}
	for _, c := range []struct{ number, expiry, cvc, field string }{
		{"4242424242424242", "12/44", "123", "number"},
		{"5555555555554444", "12/44", "123", "number"},
		{"", "12/44", "123", "number"},
		{"4444333322221111", "12/20", "123", "expiry"},
		{"4444333322221111", "13/44", "123", "expiry"},
		{"4444333322221111", "soon", "123", "expiry"},
		{"4444333322221111", "12/44", "1", "cvc"},
		{"4444333322221111", "12/44", "abc", "cvc"},
	} {
		p := browse(t, address, url.Values{"number": {c.number}, "expiry": {c.expiry}, "cvc": {c.cvc}, "name": {"REFUSED"}})
		equal(t, "status", p.status, http.StatusUnprocessableEntity)
		p.contains(t, "<title>Error: ", `role="alert" id="problem"`)
		for _, field := range []string{"number", "expiry", "cvc"} {
			_, input, _ := strings.Cut(p.body, `<input id="`+field+`"`)
			input, _, _ = strings.Cut(input, ">")
			equal(t, c.field+" wrong, "+field+" is invalid", strings.Contains(input, "aria-invalid"), field == c.field)
		}
	}
	if b.order("WRONG").Payment != nil {
		t.Error("a refused form has paid")
	}
	p := browse(t, address, card(""))
	equal(t, "status of the right one", p.status, http.StatusSeeOther)
	equal(t, "status of a form that is too long", browse(t, address, url.Values{"name": {strings.Repeat("x", 1<<20)}}).status, http.StatusBadRequest)
}

// TestNothingTypedIsKept pays, is refused and authenticates with texts that
// must be found nowhere afterwards.
func TestNothingTypedIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t)
	typed := url.Values{"number": {"4444 3333 2222 1111"}, "expiry": {"11/2047"}, "cvc": {"7391"}, "name": {"Typed Secretly"}, "extra": {"extrasecret"}}
	address := b.hosted("KEPT")
	for _, real := range []string{"4111111111111111", "371449635398431"} {
		wrong := url.Values{"number": {real}, "expiry": typed["expiry"], "cvc": typed["cvc"], "name": typed["name"]}
		p := browse(t, address, wrong)
		if strings.Contains(p.body, real) || strings.Contains(p.body, "Typed Secretly") {
			t.Error("a page shows what was typed")
		}
	}
	browse(t, address, typed)
	challenged := url.Values{"number": {"5555555555554444"}, "expiry": typed["expiry"], "cvc": typed["cvc"], "name": {"3D"}}
	p := browse(t, b.hosted("KEPT-3D"), challenged)
	browse(t, p.location, url.Values{"complete": {"complete"}})
	b.hook.wait(t, 6)
	equal(t, "last event", b.say(cardOrder(t, "DIRECT", "4444333322221111", "Typed Secretly", "VISA-SSL")).Order.Payment.LastEvent, "CAPTURED")
	b.hook.wait(t, 9)
	b.stop()

	var kept bytes.Buffer
	for _, suffix := range []string{"", "-wal"} {
		raw, err := os.ReadFile(b.path + suffix)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		kept.Write(raw)
	}
	kept.WriteString(b.log.String())
	for _, d := range b.hook.wait(t, 9) {
		kept.WriteString(d.raw)
	}
	// Times and random ids are longer numbers, which may hold a shorter one.
	for _, text := range []string{
		`4444333322221111`, `4444 3333`, `5555555555554444`, `4111111111111111`, `371449635398431`, `(?i)typed secretly`, `extrasecret`, `(^|\D)2047(\D|$)`, `(^|\D)7391(\D|$)`,
	} {
		if found := regexp.MustCompile(text).Find(kept.Bytes()); found != nil {
			t.Errorf("%q is kept or logged", found)
		}
	}
	if !bytes.Contains(kept.Bytes(), []byte("KEPT-3D")) || b.log.String() == "" {
		t.Error("there is nothing to look into")
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	b := setup(t)
	browse(t, b.http.URL+"/base/", nil).contains(t, b.http.URL+"/base"+worldpaysandbox.ServicePath)
}
