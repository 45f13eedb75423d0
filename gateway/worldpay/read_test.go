package worldpay

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"purser/gateway"
)

const tokenPart = `<token><authenticatedShopperID>dev_8f2c1a</authenticatedShopperID><tokenEventReference>X</tokenEventReference>` +
	`<tokenReason>Later payments</tokenReason><tokenDetails tokenEvent="NEW"><paymentTokenID>9902000000000001</paymentTokenID>` +
	`<paymentTokenExpiry><date dayOfMonth="1" month="1" year="2030"/></paymentTokenExpiry><tokenReason>Later payments</tokenReason></tokenDetails>` +
	`<paymentInstrument><cardDetails><expiryDate><date month="12" year="2029"/></expiryDate><cardHolderName>Ada</cardHolderName>` +
	`<derived><cardBrand>VISA</cardBrand><cardSubBrand>VISA_CREDIT</cardSubBrand><issuerCountryCode>US</issuerCountryCode>` +
	`<obfuscatedPAN>4444********1111</obfuscatedPAN></derived></cardDetails></paymentInstrument></token>`

// notification is an order notification of 10.00 USD.
func notification(kind, more string) string {
	return declaration + doctype + `<paymentService version="1.4" merchantCode="` + testMerchant + `"><notify><orderStatusEvent orderCode="` + testCode + `">` +
		paymentIn(kind, `<schemeResponse><transactionIdentifier>0123</transactionIdentifier></schemeResponse>`) + more +
		`<journal journalType="` + kind + `"><bookingDate><date dayOfMonth="21" month="11" year="2026"/></bookingDate>` +
		`<accountTx accountType="IN_PROCESS_AUTHORISED" batchId="7"><amount value="1000" currencyCode="USD" exponent="2" debitCreditIndicator="credit"/></accountTx>` +
		`<journalReference type="capture" reference="RF-77"/></journal></orderStatusEvent></notify></paymentService>`
}

// TestNotification: what a notification tells, the saved card among it.
func TestNotification(t *testing.T) {
	t.Parallel()
	a := New(Config{})
	e, err := a.ParseNotification([]byte(notification("AUTHORISED", tokenPart)))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.ID, testCode+":AUTHORISED:") || e.Type != "AUTHORISED" || e.Live || e.Object != (gateway.Object{Kind: gateway.ObjectPayment, ID: testCode}) {
		t.Errorf("event = %+v", e)
	}
	want := gateway.SavedCard{
		CustomerID: "dev_8f2c1a", PaymentMethodID: "9902000000000001", SchemeReference: "0123",
		Card: gateway.Card{Brand: "visa", Last4: "1111", ExpMonth: 12, ExpYear: 2029},
	}
	if e.Saved == nil || *e.Saved != want {
		t.Errorf("saved card = %+v", e.Saved)
	}
	plain, err := a.ParseNotification([]byte(notification("CAPTURED", "")))
	if err != nil || plain.Saved != nil || plain.ID == e.ID {
		t.Errorf("event = %+v %v", plain, err)
	}
	// The same event once more has the same name; one that says less has another.
	if again, err := a.ParseNotification([]byte(notification("AUTHORISED", tokenPart))); err != nil || again.ID != e.ID {
		t.Errorf("the same event = %+v %v", again, err)
	}
	if other, err := a.ParseNotification([]byte(notification("AUTHORISED", ""))); err != nil || other.ID == e.ID {
		t.Errorf("another event = %+v %v", other, err)
	}
	if a.Acknowledgement() != "[OK]" {
		t.Error("Worldpay hears something else")
	}
	// In the old encoding, with an umlaut in a name.
	latin := strings.NewReplacer("UTF-8", "ISO-8859-1", "<cardHolderName>Ada", "<cardHolderName>J\xfcrgen").Replace(notification("AUTHORISED", tokenPart))
	if e, err := a.ParseNotification([]byte(latin)); err != nil || e.Object.ID != testCode || e.Saved == nil {
		t.Errorf("ISO-8859-1: %+v %v", e, err)
	}
}

// TestStrict: nothing may be said twice, hidden, or by another vocabulary.
func TestStrict(t *testing.T) {
	t.Parallel()
	good := notification("AUTHORISED", tokenPart)
	change := func(old, put string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("there is no %s", old)
		}
		return strings.Replace(good, old, put, 1)
	}
	order := `<orderStatusEvent orderCode="` + testCode + `"`
	for name, raw := range map[string]string{
		"nothing":                   "",
		"no XML":                    `{"id":"evt_1"}`,
		"two order codes":           change(order, order+` orderCode="OTHER"`),
		"an order code in disguise": change(order, order+` e:orderCode="OTHER" xmlns:e="urn:e"`),
		"a prefixed attribute":      change(order, order+` e:orderCode="OTHER"`),
		"a namespace":               change(`<notify>`, `<notify xmlns="urn:e">`),
		"a prefixed element":        strings.ReplaceAll(good, "orderStatusEvent", "e:orderStatusEvent"),
		"a second event":            change(`</notify>`, order+`/></notify>`),
		"a second journal":          change(`</orderStatusEvent>`, `<journal journalType="REFUSED"/></orderStatusEvent>`),
		"a second payment":          change(`<journal `, paymentIn("REFUSED", "")+`<journal `),
		"a second amount":           change(`<lastEvent>`, `<amount value="1" currencyCode="USD" exponent="2"/><lastEvent>`),
		"a second token":            change(`<journal `, tokenPart+`<journal `),
		"a second root":             good + `<paymentService/>`,
		"text behind":               good + "x",
		"text before":               "x" + good,
		"an instruction":            change(`<notify>`, `<?php echo 1 ?><notify>`),
		"a second declaration":      change(`<notify>`, `<?xml version="1.0"?><notify>`),
		"a second document type":    change(doctype, doctype+doctype),
		"an internal subset":        change(doctype, `<!DOCTYPE paymentService [<!ENTITY x "y">]>`),
		"an internal subset beside": change(`paymentService_v1.dtd">`, `paymentService_v1.dtd" [<!ATTLIST order x CDATA "y">]>`),
		"another document type":     change(`DOCTYPE paymentService`, `DOCTYPE html`),
		"an entity":                 change(`<cardHolderName>Ada`, `<cardHolderName>&x;`),
		"a text cut by a comment":   change(`9902000000000001`, `9902<!-- -->000000000001`),
		"text beside elements":      change(`<journal `, `stray<journal `),
		"another root":              strings.ReplaceAll(good, "paymentService version", "service version"),
		"a reply":                   statusOf(paymentIn("AUTHORISED", "")),
		"a report":                  change(`<orderStatusEvent`, `<report/><orderStatusEvent`)[:0] + strings.ReplaceAll(good, "orderStatusEvent", "report"),
		"no order code":             change(order, `<orderStatusEvent`),
		"a long order code":         change(testCode, strings.Repeat("A", 65)),
		"no journal type":           change(`journalType="AUTHORISED"`, `journalType=""`),
		"an amount of nobody":       change(`value="1000"`, `value="1e3"`),
		"cut off":                   good[:len(good)-20],
		"crossed elements":          change(`</notify></paymentService>`, `</paymentService></notify>`),
		"control characters":        change(`<cardHolderName>Ada`, "<cardHolderName>A\x01da"),
		"broken UTF-8":              change(`<cardHolderName>Ada`, "<cardHolderName>A\xffda"),
		"another encoding":          change(`UTF-8`, `UTF-16`),
		"too much":                  good + strings.Repeat(" ", messageBytesMax),
		"too many elements":         change(`<journal `, strings.Repeat(`<x/>`, elementsMax)+`<journal `),
		"too many attributes":       change(order, order+manyAttributes()),
		"too deep":                  change(`<journal `, strings.Repeat(`<x>`, depthMax)+strings.Repeat(`</x>`, depthMax)+`<journal `),
	} {
		if e, err := New(Config{}).ParseNotification([]byte(raw)); !errors.Is(err, gateway.ErrMalformed) || e.ID != "" {
			t.Errorf("%s: %+v %v", name, e, err)
		}
	}
	for name, raw := range map[string]string{
		"as it is":                  good,
		"a mark of UTF-8":           "\xef\xbb\xbf" + good,
		"without a head":            good[len(declaration)+len(doctype):],
		"comments beside":           change(`<notify>`, `<!-- one --><notify>`),
		"a character by its number": change(`<cardHolderName>Ada`, `<cardHolderName>&#65;da`),
		"the newer type":            change(`-//WorldPay//DTD WorldPay`, `-//Worldpay//DTD Worldpay`),
		"blanks":                    strings.ReplaceAll(good, "><", ">\n  <"),
	} {
		if e, err := New(Config{}).ParseNotification([]byte(raw)); err != nil || e.Object.ID != testCode {
			t.Errorf("%s: %+v %v", name, e, err)
		}
	}
}

func manyAttributes() string {
	var b strings.Builder
	for i := range attributesMax + 1 {
		fmt.Fprintf(&b, ` a%d=""`, i)
	}
	return b.String()
}

// FuzzRead: whatever comes, a notification is refused or names an order, an
// event and an amount, all of which stand in the text.
func FuzzRead(f *testing.F) {
	f.Add([]byte(notification("AUTHORISED", tokenPart)))
	f.Add([]byte(notification("REFUSED", "")))
	f.Add([]byte(statusOf(paymentIn("CAPTURED", ""))))
	f.Add([]byte(refusedWith("5", "Duplicate Order")))
	f.Add([]byte(`<!DOCTYPE paymentService [<!ENTITY x "y">]><paymentService>&x;</paymentService>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := New(Config{}).ParseNotification(raw)
		if err != nil {
			if e.ID != "" || !errors.Is(err, gateway.ErrMalformed) {
				t.Errorf("refused with %+v, %v", e, err)
			}
			return
		}
		if e.Object.ID == "" || !strings.HasPrefix(e.ID, e.Object.ID+":"+e.Type+":") {
			t.Errorf("event %+v", e)
		}
	})
}
