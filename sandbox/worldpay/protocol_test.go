package worldpaysandbox_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	worldpaysandbox "purser/sandbox/worldpay"
)

// TestHostedOrderToRefund walks the way of a top-up: order, page, return,
// notifications, inquiry, refund.
func TestHostedOrderToRefund(t *testing.T) {
	t.Parallel()
	b := setup(t)
	d := b.say(sample(t, "1_order_hpp.xml"))
	equal(t, "merchant", d.Merchant, "PURSERTEST")
	equal(t, "order", d.Order.Code, sampleCode)
	address := d.Order.Reference.URL
	if !regexp.MustCompile(`^\d{10}$`).MatchString(d.Order.Reference.ID) || !strings.HasPrefix(address, b.http.URL+"/base/pages/hpp?OrderKey=PURSERTEST%5ETU-01HX7M4Q9Z&Ticket=") {
		t.Errorf("the reference is %+v", d.Order.Reference)
	}
	b.inquire(sampleCode).refusedWith(t, "5", "Could not find payment for order")

	p := browse(t, address+returnAddresses, card("AUTHORISED"))
	equal(t, "status of the form", p.status, http.StatusSeeOther)
	equal(t, "way back", p.location, "https://shop.example/success?n=1&orderKey=PURSERADM%5EPURSERTEST%5ETU-01HX7M4Q9Z&paymentAmount=1000&paymentCurrency=USD&paymentStatus=AUTHORISED"+
		"&mac2=8209fc728231e6ada1ac9977e8232a3e378e0cf5b6e268b3270aa671a8bc4628")

	all := b.hook.wait(t, 3)
	equal(t, "events", types(all), "SENT_FOR_AUTHORISATION AUTHORISED CAPTURED")
	event := all[1].Event
	equal(t, "order of the event", event.Code, sampleCode)
	equal(t, "amount", event.Payment.Amount, sum{1000, "USD", "2", "credit"})
	equal(t, "last event", event.Payment.LastEvent, "AUTHORISED")
	equal(t, "method", event.Payment.Method, "VISA_CREDIT-SSL")
	equal(t, "card", event.Payment.Card, "4444********1111")
	equal(t, "account", event.Journal.Accounts[0].Type, "IN_PROCESS_AUTHORISED")
	equal(t, "amount of the account", event.Journal.Accounts[0].Amount, sum{1000, "USD", "2", "credit"})
	equal(t, "token event", event.Token.Details.Event, "NEW")
	equal(t, "shopper", event.Token.Shopper, "dev-8f2c1a")
	equal(t, "token event's reference", event.Token.Reference, "TU_01HX7M4Q9Z")
	equal(t, "token's reason", event.Token.Details.Reason, "Automatic reload")
	equal(t, "token", event.Token.Details.ID, b.order(sampleCode).Payment.Token)
	if all[0].Event.Token != nil || all[2].Event.Token != nil || len(event.Payment.Scheme) != 33 {
		t.Errorf("token and scheme: %s", all[1].raw)
	}

	d = b.inquire(sampleCode)
	equal(t, "last event", d.Order.Payment.LastEvent, "CAPTURED")
	equal(t, "amount", d.Order.Payment.Amount, sum{1000, "USD", "2", "credit"})
	equal(t, "scheme's id", d.Order.Payment.Scheme, event.Payment.Scheme)
	if d.Order.Token != nil {
		t.Error("an inquiry tells the token, which only notifications do")
	}

	d = b.say(sample(t, "9_refund.xml"))
	equal(t, "receipt", d.OK.Inner, `<refundReceived orderCode="TU-01HX7M4Q9Z"><amount value="400" currencyCode="USD" exponent="2" debitCreditIndicator="credit"/></refundReceived>`)
	all = b.hook.wait(t, 5)[3:]
	equal(t, "events", types(all), "SENT_FOR_REFUND REFUNDED")
	for _, d := range all {
		equal(t, "reference in the journal", d.Event.Journal.Reference.Text, "RF-77")
		equal(t, "kind of reference", d.Event.Journal.Reference.Type, "capture")
		equal(t, "reference in the payment", d.Event.Payment.Reference, "RF-77")
		equal(t, "amount in the journal", d.Event.Journal.Accounts[0].Amount.Value, 400)
		equal(t, "amount of the payment", d.Event.Payment.Amount.Value, 1000)
	}
	equal(t, "last event", b.inquire(sampleCode).Order.Payment.LastEvent, "REFUNDED")
	b.say(sample(t, "9_refund.xml", `value="400"`, `value="601"`)).refusedWith(t, "5", "more than can be refunded")
	b.say(sample(t, "8_cancel.xml")).refusedWith(t, "5", "cannot be cancelled")
	equal(t, "refunded", b.order(sampleCode).Payment.Refunded, 400)
}

func TestWrongLogins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	right := b.merchant
	for _, c := range []struct{ username, password string }{{right.Username, "wrong"}, {"NOBODY", right.Password}, {"", ""}} {
		b.merchant.Username, b.merchant.Password = c.username, c.password
		response, raw, err := b.post(sample(t, "6_inquiry.xml"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status", response.StatusCode, http.StatusUnauthorized)
		if !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Basic ") || strings.Contains(string(raw), "paymentService") {
			t.Errorf("the answer is %v %s", response.Header, raw)
		}
	}
	b.merchant = right
	b.say(sample(t, "6_inquiry.xml", "PURSERTEST", "ANOTHER")).refusedAtTop(t, "4", "Security violation")
	b.inquire("NONE").refusedWith(t, "5", "Could not find payment for order")
}

// TestRefusedDocuments holds what is no document, or not in the order of the
// DTD, with the code and the place of the error.
func TestRefusedDocuments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	order := func(replacements ...string) string { return sample(t, "1_order_hpp.xml", replacements...) }
	for _, c := range []struct {
		name, body, code, text string
	}{
		{"empty", "", "2", "Invalid XML"},
		{"no XML", "hello", "2", "Invalid XML"},
		{"half", order()[:400], "2", "Invalid XML"},
		{"no DOCTYPE", order("<!DOCTYPE", "<!-- ", `v1.dtd">`, `v1.dtd" -->`), "2", "no DOCTYPE"},
		{"an entity of its own", order(`v1.dtd">`, `v1.dtd" [<!ENTITY x "y">]>`), "2", "DOCTYPE"},
		{"second root", order() + "<paymentService/>", "2", "second root"},
		{"attribute twice", order(`value="1000"`, `value="1000" value="1"`), "2", "given twice"},
		{"foreign namespace", order("<description>", `<x:evil xmlns:x="urn:x"/><description>`), "2", "namespace"},
		{"crossed elements", order("</orderContent>", "</order>"), "2", "Invalid XML"},
		{"order of elements", order("<description>Prepaid balance top-up</description>", "", `exponent="2"/>`, `exponent="2"/><description>x</description>`), "2", "the content of order must be (description amount"},
		{"shopper before the mask", order("<paymentMethodMask>", "<shopper/><paymentMethodMask>"), "2", "the content of order"},
		{"token before the address", order("<billingAddress>", "<createToken/><billingAddress>"), "2", "the content of order"},
		{"order inside of an address", order("<postalCode>58158</postalCode>\n          <city>Pleasanton</city>", "<city>Pleasanton</city><postalCode>58158</postalCode>"), "2", "the content of address"},
		{"stored credentials behind the mask's include", order(`<storedCredentials usage="FIRST"/>`, "", `<include code="ALL"/>`, `<include code="ALL"/><storedCredentials usage="FIRST"/>`), "2", "paymentMethodMask"},
		{"unknown element", order("<shopper>", "<customer/><shopper>"), "2", "the content of order"},
		{"unknown attribute", order("installationId", "installation"), "2", "no attribute installation"},
		{"value of an attribute", order(`usage="FIRST"`, `usage="SECOND"`), "2", "must be one of (NA|FIRST|USED)"},
		{"exponent of the DTD", order(`exponent="2"`, `exponent="4"`), "2", "must be one of (0|2|3)"},
		{"attribute missing", order(` currencyCode="USD"`, ""), "2", "currencyCode of amount is required"},
		{"text among elements", order("<shopper>", "<shopper>hello"), "2", "holds no text"},
		{"a merchant does not notify", `<!DOCTYPE paymentService SYSTEM "x"><paymentService version="1.4" merchantCode="PURSERTEST"><reply/></paymentService>`, "5", "does not emulate"},
		{"not emulated", order("<orderContent>", `<risk/><orderContent>`, "</billingAddress>", "</billingAddress><echoData>x</echoData>"), "5", "does not emulate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b.say(c.body).refusedAtTop(t, c.code, c.text)
		})
	}
}

// TestRefusedOrders holds what a well-formed order is refused for, inside of
// its status.
func TestRefusedOrders(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct {
		name, from, to, code, text string
	}{
		{"exponent of the currency", `currencyCode="USD" exponent="2"`, `currencyCode="JPY" exponent="2"`, "3", "the exponent of JPY is 0"},
		{"currency", `currencyCode="USD"`, `currencyCode="XXY"`, "3", "currency"},
		{"nothing", `value="1000"`, `value="0"`, "3", "positive"},
		{"fraction", `value="1000"`, `value="10.00"`, "3", "whole number"},
		{"installation", `installationId="1234567"`, `installationId="7654321"`, "5", "installationId"},
		{"no installation", ` installationId="1234567"`, ``, "5", "installationId"},
		{"capture delay", `installationId=`, `captureDelay="soon" installationId=`, "5", "captureDelay"},
		{"token of nobody", `<authenticatedShopperID>dev-8f2c1a</authenticatedShopperID>`, ``, "5", "authenticatedShopperID"},
		{"shopper with a blank", `>dev-8f2c1a<`, `>dev 8f2c1a<`, "5", "authenticatedShopperID"},
		{"shopper with an underscore", `>dev-8f2c1a<`, `>_dev<`, "5", "authenticatedShopperID"},
		{"reference of the token", `TU_01HX7M4Q9Z`, `TU-1`, "5", "tokenEventReference"},
		{"no method", `<include code="ALL"/>`, `<include code="PAYPAL-EXPRESS"/>`, "5", "payment methods"},
		{"opt-in", `tokenScope="shopper"`, `tokenScope="shopper" tokenOptIn="ask"`, "5", "does not emulate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := b.say(sample(t, "1_order_hpp.xml", c.from, c.to))
			d.refusedWith(t, c.code, c.text)
		})
	}
	for _, code := range []string{"with space", "a&quot;b", "a&lt;b", "a|b", strings.Repeat("x", 65), ""} {
		b.say(sample(t, "1_order_hpp.xml", `orderCode="`+sampleCode, `orderCode="`+code)).refusedAtTop(t, "5", "Invalid order code")
	}
	if n := len(must(b.server.Inspect(t.Context(), b.merchant.Code))(t).Orders); n != 0 {
		t.Errorf("%d refused orders were kept", n)
	}
}

func TestAmountsWithOtherExponents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for code, amount := range map[string]string{"YEN": `value="1500" currencyCode="JPY" exponent="0"`, "DINAR": `value="1500" currencyCode="KWD" exponent="3"`} {
		address := b.hosted(code, `value="1000" currencyCode="USD" exponent="2"`, amount)
		shown := map[string]string{"YEN": "1500 JPY", "DINAR": "1.500 KWD"}[code]
		browse(t, address, nil).contains(t, shown)
		browse(t, address, card(""))
		if d := b.inquire(code); !strings.Contains(d.raw, "<amount "+amount) {
			t.Errorf("the reply is %s", d.raw)
		}
	}
}

func TestDuplicateOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.hosted("ONCE")
	b.say(sample(t, "1_order_hpp.xml", sampleCode, "ONCE")).refusedWith(t, "5", "Duplicate Order")
	token := b.paid("TWICE", "")
	mit := sample(t, "10_mit_token.xml", sampleToken, token, sampleMITID, b.order("TWICE").Payment.SchemeID)
	equal(t, "last event", b.say(mit).Order.Payment.LastEvent, "CAPTURED")
	b.say(mit).refusedWith(t, "5", "Duplicate Order")
	equal(t, "orders", len(must(b.server.Inspect(t.Context(), b.merchant.Code))(t).Orders), 3)
}

func TestCaptureAndCancel(t *testing.T) {
	t.Parallel()
	b := setup(t, func(m *worldpaysandbox.Merchant) { m.CaptureDelay = "OFF" })
	b.say(sample(t, "7_capture.xml")).refusedWith(t, "5", "Could not find payment for order")
	b.paid(sampleCode, "")
	equal(t, "last event", b.inquire(sampleCode).Order.Payment.LastEvent, "AUTHORISED")
	b.say(sample(t, "9_refund.xml")).refusedWith(t, "5", "cannot be refunded")
	b.say(sample(t, "7_capture.xml", `value="1000"`, `value="1001"`)).refusedWith(t, "5", "within what was authorised")
	d := b.say(sample(t, "7_capture.xml", "<capture>", `<capture reference="CP-1">`, `value="1000"`, `value="700"`))
	equal(t, "receipt", d.OK.Inner, `<captureReceived orderCode="TU-01HX7M4Q9Z"><amount value="700" currencyCode="USD" exponent="2" debitCreditIndicator="credit"/></captureReceived>`)
	all := b.hook.wait(t, 3)
	equal(t, "events", types(all), "SENT_FOR_AUTHORISATION AUTHORISED CAPTURED")
	equal(t, "reference", all[2].Event.Journal.Reference.Text, "CP-1")
	b.say(sample(t, "7_capture.xml")).refusedWith(t, "5", "cannot be captured")
	equal(t, "captured", b.order(sampleCode).Payment.Captured, 700)

	b.paid("CX", "")
	d = b.say(sample(t, "8_cancel.xml", sampleCode, "CX"))
	equal(t, "receipt", d.OK.Inner, `<cancelReceived orderCode="CX"/>`)
	equal(t, "last event", b.inquire("CX").Order.Payment.LastEvent, "CANCELLED")
	b.say(sample(t, "7_capture.xml", sampleCode, "CX")).refusedWith(t, "5", "cannot be captured")

	either := func(code string) string {
		return sample(t, "8_cancel.xml", sampleCode, code, "<cancel/>", "<cancelOrRefund/>")
	}
	b.paid("EITHER", "")
	equal(t, "receipt", b.say(either("EITHER")).OK.Inner, `<voidReceived orderCode="EITHER"/>`)
	equal(t, "last event", b.inquire("EITHER").Order.Payment.LastEvent, "CANCELLED")
	equal(t, "receipt", b.say(either(sampleCode)).OK.Inner, `<voidReceived orderCode="TU-01HX7M4Q9Z"/>`)
	equal(t, "refunded", b.order(sampleCode).Payment.Refunded, 700)
	b.say(either(sampleCode)).refusedWith(t, "5", "cannot be refunded")
}

// TestModificationTwice holds that the service has no idempotency: who repeats
// a refund refunds again.
func TestModificationTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.paid(sampleCode, "")
	b.say(sample(t, "9_refund.xml"))
	b.say(sample(t, "9_refund.xml"))
	equal(t, "refunded", b.order(sampleCode).Payment.Refunded, 800)
}

func TestTokenCharges(t *testing.T) {
	t.Parallel()
	b := setup(t)
	token := b.paid("FIRST", "LATER REFUSED51")
	scheme := b.order("FIRST").Payment.SchemeID
	charge := func(code string, replacements ...string) document {
		return b.say(sample(t, "10_mit_token.xml", append([]string{sampleMIT, code, sampleToken, token, sampleMITID, scheme}, replacements...)...))
	}
	d := charge("REFUSED")
	equal(t, "last event", d.Order.Payment.LastEvent, "REFUSED")
	equal(t, "return code", d.Order.Payment.Return.Code, "51")
	equal(t, "description", d.Order.Payment.Return.Description, "LIMIT EXCEEDED")
	equal(t, "status of the switch", b.control("POST", "tokens/"+token, `{"outcome":"AUTHORISED"}`, nil), 200)
	d = charge("PAID")
	equal(t, "last event", d.Order.Payment.LastEvent, "CAPTURED")
	equal(t, "token event", d.Order.Token.Details.Event, "USE")
	equal(t, "scheme's id", d.Order.Payment.Scheme, scheme)
	charge("MONTHLY", "UNSCHEDULED", "RECURRING")
	for code, reason := range map[string]string{"PAID": "UNSCHEDULED", "MONTHLY": "RECURRING"} {
		equal(t, "reason", b.order(code).Reason, reason)
	}

	charge("SCHEME", scheme, sampleMITID).refusedWith(t, "7", "schemeTransactionIdentifier")
	charge("OTHER", "dev-8f2c1a", "dev-other").refusedWith(t, "7", "Token does not exist")
	charge("UNKNOWN", token, "9900000000000000").refusedWith(t, "7", "Token does not exist")
	charge("REASON", ` merchantInitiatedReason="UNSCHEDULED"`, "").refusedWith(t, "7", "merchantInitiatedReason")
	charge("SCOPE", `tokenScope="shopper"`, `tokenScope="merchant"`).refusedWith(t, "7", "Token does not exist")

	// The same shopper with the same card has the same token, with another not.
	equal(t, "token of the second order", b.paid("SECOND", ""), token)
	equal(t, "token event", b.order("SECOND").Payment.TokenEvent, "MATCH")
	other := card("")
	other.Set("number", "5555555555554444")
	browse(t, b.hosted("THIRD"), other)
	if got := b.order("THIRD").Payment; got.Token == token || got.TokenEvent != "NEW" {
		t.Errorf("another card has the token event %s", got.TokenEvent)
	}

	b.say(sample(t, "12_token_delete.xml", sampleToken, token, "dev-8f2c1a", "dev-other")).refusedAtTop(t, "5", "Token does not exist")
	d = b.say(sample(t, "12_token_delete.xml", sampleToken, token))
	equal(t, "receipt", d.OK.Inner, `<deleteTokenReceived paymentTokenID="`+token+`"/>`)
	b.say(sample(t, "12_token_delete.xml", sampleToken, token)).refusedAtTop(t, "5", "Token does not exist")
	charge("GONE").refusedWith(t, "7", "Token does not exist")
	equal(t, "status for a token that is gone", b.control("POST", "tokens/"+token, `{"outcome":"REFUSED"}`, nil), 400)
}

func TestMerchantWithoutDirectOrders(t *testing.T) {
	t.Parallel()
	b := setup(t, func(m *worldpaysandbox.Merchant) { m.OmitDirect = true })
	token := b.paid("FIRST", "")
	b.say(sample(t, "10_mit_token.xml", sampleToken, token)).refusedWith(t, "4", "Security violation")
}

// TestDirectCards pays with the data of a card, as nobody should who is not
// certified for it; the sandbox takes test cards only.
func TestDirectCards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pay := func(code, number, name, method string) document {
		return b.say(cardOrder(t, code, number, name, method))
	}
	equal(t, "last event", pay("A", "4444333322221111", "Ada", "VISA-SSL").Order.Payment.LastEvent, "CAPTURED")
	equal(t, "return code", pay("B", "343434343434343", "REFUSED41", "CARD-SSL").Order.Payment.Return.Code, "41")
	equal(t, "last event", pay("C", "6759649826438453", "ERROR", "MAESTRO-SSL").Order.Payment.LastEvent, "ERROR")
	pay("D", "5555555555554444", "Ada", "VISA-SSL").refusedWith(t, "7", "does not fit")
	pay("E", "4111111111111111", "Ada", "VISA-SSL").refusedWith(t, "7", "test cards only")
	pay("F", "4444333322221111", "3D", "VISA-SSL").refusedWith(t, "5", "does not emulate")
}
