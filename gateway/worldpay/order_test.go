package worldpay

import (
	"context"
	"flag"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/gateway"
	"purser/money"
)

var update = flag.Bool("update", false, "write the requests into testdata")

// golden compares a request with the file that shows it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".xml")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: the request is\n%s\nwant\n%s", name, got, want)
	}
}

// orders is the order in which Worldpay's document type wants the children of
// the elements that are written here; attributes are not ordered.
func orders() map[string][]string {
	return map[string][]string{
		"paymentService": {"submit", "modify", "inquiry"},
		"order": {
			"description", "amount", "risk", "orderContent", "paymentMethodMask", "paymentDetails", "payAsOrder", "shopper", "shippingAddress",
			"billingAddress", "statementNarrative", "createToken",
		},
		"paymentMethodMask":  {"storedCredentials", "include"},
		"paymentDetails":     {"TOKEN-SSL", "storedCredentials"},
		"TOKEN-SSL":          {"paymentTokenID"},
		"storedCredentials":  {"schemeTransactionIdentifier"},
		"shopper":            {"shopperEmailAddress", "authenticatedShopperID"},
		"address":            {"firstName", "lastName", "address1", "address2", "address3", "postalCode", "city", "state", "countryCode"},
		"createToken":        {"tokenEventReference", "tokenReason"},
		"paymentTokenDelete": {"paymentTokenID", "authenticatedShopperID"},
		"capture":            {"date", "amount"},
		"refund":             {"amount"},
	}
}

// wantOrder checks a request against the document type.
func wantOrder(t *testing.T, raw string) {
	t.Helper()
	root, err := read([]byte(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	var walk func(n *node)
	walk = func(n *node) {
		last := -1
		for _, c := range n.children {
			if known, ok := orders()[n.name]; ok {
				at := slices.Index(known, c.name)
				if at <= last {
					t.Errorf("in %s, %s is at the wrong place:\n%s", n.name, c.name, raw)
				}
				last = at
			}
			walk(c)
		}
	}
	walk(root)
}

// TestRequests shows every request that is made, and holds it to the order
// that Worldpay wants.
func TestRequests(t *testing.T) {
	t.Parallel()
	received := func(name string) string {
		return replyOf(`<ok><` + name + ` orderCode="` + testCode + `"><amount value="400" currencyCode="USD" exponent="2"/></` + name + `></ok>`)
	}
	plain := func(t *testing.T) gateway.HostedPaymentRequest {
		r := page(t)
		r.SaveCard, r.Customer.Address, r.Customer.Email = false, gateway.Address{}, ""
		r.Description = "Ümläut & <tag> \"quoted\"\x00\n" + strings.Repeat("long ", 20)
		r.Amount = amount(t, "1000", "JPY")
		return r
	}
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	call := testCall()
	call.StartedAt = at
	reference := statusOf(`<reference id="3042815493">https://pay.example/hpp?OrderKey=A%5EB&amp;Ticket=T</reference>`)
	for name, c := range map[string]struct {
		answers []string
		ask     func(*testing.T, *Adapter) gateway.Outcome
		want    gateway.Status
	}{
		"hosted_order": {[]string{reference}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.StartHostedPayment(t.Context(), testAccount(), call, page(t)).Outcome
		}, gateway.StatusActionNeeded},
		"hosted_order_plain": {[]string{reference}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.StartHostedPayment(t.Context(), testAccount(), call, plain(t)).Outcome
		}, gateway.StatusActionNeeded},
		"charge": {[]string{statusOf(paymentIn("AUTHORISED", ""))}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.ChargeCard(t.Context(), testAccount(), call, charge(t)).Outcome
		}, gateway.StatusSucceeded},
		"charge_recurring": {[]string{statusOf(paymentIn("AUTHORISED", ""))}, func(t *testing.T, a *Adapter) gateway.Outcome {
			r := charge(t)
			r.Description, r.Recurring = "Invoice 2026-03-00000001", true
			return a.ChargeCard(t.Context(), testAccount(), call, r).Outcome
		}, gateway.StatusSucceeded},
		"inquiry": {[]string{statusOf(paymentIn("AUTHORISED", ""))}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.FetchPayment(t.Context(), testAccount(), testCode).Outcome
		}, gateway.StatusSucceeded},
		"capture": {[]string{received("captureReceived")}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.CapturePayment(t.Context(), testAccount(), call, testCode, amount(t, "4.00", "USD"))
		}, gateway.StatusSucceeded},
		"cancel": {[]string{replyOf(`<ok><cancelReceived orderCode="` + testCode + `"/></ok>`)}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.CancelPayment(t.Context(), testAccount(), call, testCode)
		}, gateway.StatusSucceeded},
		"refund": {[]string{statusOf(paymentIn("CAPTURED", "")), received("refundReceived")}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.RefundPayment(t.Context(), testAccount(), call, gateway.RefundRequest{GatewayPaymentID: testCode, Amount: amount(t, "4.00", "USD")}).Outcome
		}, gateway.StatusSucceeded},
		"token_delete": {[]string{replyOf(`<ok><deleteTokenReceived paymentTokenID="9902000000000001"/></ok>`)}, func(t *testing.T, a *Adapter) gateway.Outcome {
			return a.DetachCard(t.Context(), testAccount(), call, "dev_8f2c1a", "9902000000000001").Outcome
		}, gateway.StatusSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var answers []answer
			for _, body := range c.answers {
				answers = append(answers, answer{body: body})
			}
			f := newFake(t, answers...)
			a := New(Config{BaseURL: sandboxAt(f.server.URL), Now: func() time.Time { return at }})
			if out := c.ask(t, a); out.Status != c.want {
				t.Fatalf("%s %+v, want %s", out.Status, out.Failure, c.want)
			}
			sent := f.seen[len(f.seen)-1]
			golden(t, name, sent)
			wantOrder(t, sent)
			h := f.headers[0]
			user, password, _ := (&http.Request{Header: h}).BasicAuth()
			if user != testMerchant || password != testPassword || !strings.HasPrefix(h.Get("Content-Type"), "text/xml") {
				t.Errorf("sent with %v", h)
			}
		})
	}
}

// TestOrderCode: of the alphabet that Worldpay takes, one for each call.
func TestOrderCode(t *testing.T) {
	t.Parallel()
	if got := orderCode(testCall().ID); got != testCode {
		t.Errorf("order code %s, want %s", got, testCode)
	}
	seen := map[string]string{}
	for _, id := range []string{"cal_0198000000007f808000000000000001", "cal_0198000000007f808000000000000002", "call_1", "call_2", "", "x", "cal_", strings.Repeat("ab", 40)} {
		code := orderCode(id)
		if err := checkOrderCode(code); err != nil {
			t.Errorf("%q: %s: %v", id, code, err)
		}
		if other, twice := seen[code]; twice && other != id && id != "cal_" && other != "" {
			t.Errorf("%q and %q are both %s", id, other, code)
		}
		seen[code] = id
	}
}

// TestPage: the addresses to come back to are added to what Worldpay has said.
func TestPage(t *testing.T) {
	t.Parallel()
	f := newFake(t, answer{body: statusOf(`<reference id="3042815493">https://pay.example/hpp?OrderKey=PURSERTEST%5E` + testCode + `&amp;Ticket=T%201</reference>`)})
	a, _ := f.adapter()
	res := a.StartHostedPayment(t.Context(), testAccount(), testCall(), page(t))
	want := "https://pay.example/hpp?OrderKey=PURSERTEST%5E" + testCode + "&Ticket=T%201" +
		"&successURL=https%3A%2F%2Fbilling.example%2Freturn%2Fdemo%2Fx%2Fsuccess&pendingURL=https%3A%2F%2Fbilling.example%2Freturn%2Fdemo%2Fx%2Fpending" +
		"&failureURL=https%3A%2F%2Fbilling.example%2Freturn%2Fdemo%2Fx%2Ffailure&cancelURL=https%3A%2F%2Fbilling.example%2Freturn%2Fdemo%2Fx%2Fcancel" +
		"&errorURL=https%3A%2F%2Fbilling.example%2Freturn%2Fdemo%2Fx%2Ferror"
	if res.Status != gateway.StatusActionNeeded || res.NextAction.RedirectURL != want || res.ReferenceID != testCode || res.CustomerID != "dev_8f2c1a" {
		t.Errorf("page = %+v\nwant %s", res, want)
	}
	for name, change := range map[string]func(*gateway.Account, *gateway.HostedPaymentRequest){
		"no installation": func(a *gateway.Account, _ *gateway.HostedPaymentRequest) { a.InstallationID = "" },
		"no merchant":     func(a *gateway.Account, _ *gateway.HostedPaymentRequest) { a.MerchantCode = "" },
		"no password":     func(a *gateway.Account, _ *gateway.HostedPaymentRequest) { a.SecretKey = testMerchant + ":" },
		"no amount":       func(_ *gateway.Account, r *gateway.HostedPaymentRequest) { r.Amount.Units = 0 },
		"half a cent":     func(_ *gateway.Account, r *gateway.HostedPaymentRequest) { r.Amount.Units = 500_000 },
		"points": func(_ *gateway.Account, r *gateway.HostedPaymentRequest) {
			r.Amount = money.Amount{Units: 1e6, Currency: "POINTS"}
		},
		"no way back":     func(_ *gateway.Account, r *gateway.HostedPaymentRequest) { r.SuccessURL = "" },
		"a long way back": func(_ *gateway.Account, r *gateway.HostedPaymentRequest) { r.CancelURL += strings.Repeat("x", urlMax) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acc, r := testAccount(), page(t)
			change(&acc, &r)
			if res := a.StartHostedPayment(t.Context(), acc, testCall(), r); res.Status != gateway.StatusRejected || res.Failure == nil {
				t.Errorf("result = %+v", res)
			}
		})
	}
	t.Cleanup(func() {
		if n := len(f.seen); n != 1 {
			t.Errorf("%d requests were sent", n)
		}
	})
}

// TestPageAddresses: what is no page is no page.
func TestPageAddresses(t *testing.T) {
	t.Parallel()
	for _, reference := range []string{"", "javascript:alert(1)", "/hpp?x=1", "https:///hpp", "https://user:pass@pay.example/", "ftp://pay.example/", "http://[::1", "//pay.example/x"} {
		a, _ := newFake(t, answer{body: statusOf(`<reference id="1">` + reference + `</reference>`)}).adapter()
		if res := a.StartHostedPayment(t.Context(), testAccount(), testCall(), page(t)); res.Status != gateway.StatusUnknown || res.NextAction.RedirectURL != "" {
			t.Errorf("%q: %+v", reference, res)
		}
	}
}

// TestPaymentStates holds what each event means.
func TestPaymentStates(t *testing.T) {
	t.Parallel()
	iso := func(code, text string) string {
		return `<ISO8583ReturnCode code="` + code + `" description="` + text + `"/>`
	}
	for _, c := range []struct {
		event, more string
		want        gateway.Status
		canceled    bool
		code        string
		reason      string
		final       bool
	}{
		{event: "AUTHORISED", want: gateway.StatusSucceeded},
		{event: "CAPTURED", want: gateway.StatusSucceeded},
		{event: "SETTLED", want: gateway.StatusSucceeded},
		{event: "SETTLED_BY_MERCHANT", want: gateway.StatusSucceeded},
		{event: "REFUND_FAILED", want: gateway.StatusSucceeded},
		{event: "CHARGEBACK_REVERSED", want: gateway.StatusSucceeded},
		{event: "REFUNDED", want: gateway.StatusProcessing},
		{event: "CHARGED_BACK", want: gateway.StatusProcessing},
		{event: "SENT_FOR_AUTHORISATION", want: gateway.StatusProcessing},
		{event: "SHOPPER_REDIRECTED", want: gateway.StatusProcessing},
		{event: "CAPTURE_FAILED", want: gateway.StatusProcessing, code: gateway.CodeCaptureFailed},
		{event: "CANCELLED", want: gateway.StatusDeclined, canceled: true, code: codeCanceled},
		{event: "SHOPPER_CANCELLED", want: gateway.StatusDeclined, canceled: true, code: codeCanceled},
		{event: "EXPIRED", want: gateway.StatusDeclined, code: codeExpired},
		{event: "ERROR", want: gateway.StatusDeclined, code: codeDeclined},
		{event: "REFUSED", want: gateway.StatusDeclined, code: codeDeclined},
		{event: "REFUSED_BY_BANK", want: gateway.StatusDeclined, code: codeDeclined},
		{event: "REFUSED", more: iso("51", "LIMIT EXCEEDED"), want: gateway.StatusDeclined, code: "insufficient_funds", reason: "51"},
		{event: "REFUSED", more: iso("5", "REFUSED"), want: gateway.StatusDeclined, code: codeDeclined, reason: "5"},
		{event: "REFUSED", more: iso("54", "EXPIRED CARD"), want: gateway.StatusDeclined, code: "expired_card", reason: "54", final: true},
		{event: "REFUSED", more: iso("57", "NOT PERMITTED"), want: gateway.StatusDeclined, code: codeDeclined, reason: "57", final: true},
		{event: "REFUSED", more: iso("973", "REVOKED"), want: gateway.StatusDeclined, code: codeDeclined, reason: "973", final: true},
		{event: "REFUSED", more: iso("43", "STOLEN CARD"), want: gateway.StatusDeclined, code: codeDeclined, final: true},
		{event: "REFUSED", more: iso("34", "FRAUD SUSPICION"), want: gateway.StatusDeclined, code: codeDeclined},
		{event: "REFUSED", more: iso("91", "ISSUER UNAVAILABLE"), want: gateway.StatusDeclined, code: codeDeclined, reason: "91"},
		{event: "REFUSED", more: iso("4711", "NEVER HEARD"), want: gateway.StatusDeclined, code: codeDeclined, reason: "4711"},
		{event: "null", want: gateway.StatusUnknown, code: codeUnreadable},
		{event: "", want: gateway.StatusUnknown, code: codeUnreadable},
		{event: "LEVITATING", want: gateway.StatusUnknown, code: codeUnreadable},
	} {
		t.Run(c.event+c.more, func(t *testing.T) {
			t.Parallel()
			a, _ := newFake(t, answer{body: statusOf(paymentIn(c.event, c.more))}).adapter()
			for _, res := range []gateway.PaymentResult{
				a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)),
				a.FetchPayment(t.Context(), testAccount(), testCode),
				a.FetchHostedPayment(t.Context(), testAccount(), testCode),
			} {
				if res.Status != c.want || res.Payment.Canceled != c.canceled || res.Payment.GatewayPaymentID != testCode {
					t.Errorf("result = %+v %+v", res, res.Failure)
				}
				if f := res.Failure; (f == nil) != (c.code == "") || f != nil && (f.Code != c.code || f.DeclineCode != c.reason || f.Final != c.final || f.Message == "") {
					t.Errorf("failure = %+v", f)
				}
				if c.want != gateway.StatusUnknown && res.Payment.Amount != amount(t, "10.00", "USD") {
					t.Errorf("amount = %s", res.Payment.Amount)
				}
				if res.Failure != nil && strings.Contains(strings.ToLower(res.Failure.Message), "stolen") {
					t.Errorf("the payer learns %+v", res.Failure)
				}
			}
		})
	}
}

// TestSeveralPayments: what was paid counts, then what may still be.
func TestSeveralPayments(t *testing.T) {
	t.Parallel()
	paid, refused, waiting := paymentIn("CAPTURED", ""), paymentIn("REFUSED", ""), paymentIn("SENT_FOR_AUTHORISATION", "")
	for _, c := range []struct {
		payments string
		want     gateway.Status
	}{
		{refused + paid, gateway.StatusSucceeded},
		{paid + refused, gateway.StatusSucceeded},
		{waiting + refused, gateway.StatusProcessing},
		{refused + waiting, gateway.StatusProcessing},
		{refused + refused, gateway.StatusDeclined},
		{paid + paid, gateway.StatusUnknown},
		{"", gateway.StatusUnknown},
	} {
		a, _ := newFake(t, answer{body: statusOf(c.payments)}).adapter()
		if res := a.FetchPayment(t.Context(), testAccount(), testCode); res.Status != c.want {
			t.Errorf("%s: %+v", c.payments, res)
		}
	}
}

// TestCard: what may be known of the card, and the token beside the payment.
func TestCard(t *testing.T) {
	t.Parallel()
	card := `<cardDetails><expiryDate><date month="12" year="2029"/></expiryDate></cardDetails>` +
		`<cardNumber>4444********1111</cardNumber><schemeResponse><transactionIdentifier>0123</transactionIdentifier></schemeResponse>`
	a, _ := newFake(t, answer{body: statusOf(paymentIn("AUTHORISED", card) + tokenPart)}).adapter()
	res := a.FetchPayment(t.Context(), testAccount(), testCode)
	want := gateway.Card{Brand: "visa", Last4: "1111", ExpMonth: 12, ExpYear: 2029}
	if p := res.Payment; p.Card == nil || *p.Card != want || p.PaymentMethodID != "9902000000000001" || p.SchemeReference != "0123" {
		t.Errorf("payment = %+v, card %+v", p, p.Card)
	}
	a, _ = newFake(t, answer{body: statusOf(paymentIn("AUTHORISED", `<cardNumber>4444333322221111</cardNumber>`))}).adapter()
	if res := a.FetchPayment(t.Context(), testAccount(), testCode); res.Status != gateway.StatusSucceeded || res.Payment.Card != nil {
		t.Errorf("a whole number is kept: %+v", res.Payment.Card)
	}
}

// TestNoConnection: what surely never arrived.
func TestNoConnection(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := New(Config{BaseURL: sandboxAt(address)})
	if res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)); res.Status != gateway.StatusUnavailable || res.Never {
		t.Errorf("result = %+v", res)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if res := a.ChargeCard(gone, testAccount(), testCall(), charge(t)); res.Status != gateway.StatusUnavailable {
		t.Errorf("result = %+v", res)
	}
}
