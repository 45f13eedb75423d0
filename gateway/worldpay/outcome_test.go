package worldpay

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"purser/gateway"
)

// TestOutcomes holds the table of what an answer to an order means: to a
// charge, and with the same meaning to a page. What follows the first answer is
// the inquiry after an order that was refused.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	invalid := func(text string) answer { return answer{body: refusedWith("5", text)} }
	paid := answer{body: statusOf(paymentIn("AUTHORISED", ""))}
	absent := invalid(noPayment)
	soon, later := 20*time.Second, 6*time.Minute
	for _, c := range []struct {
		name    string
		age     time.Duration
		answers []answer
		asked   string // the requests, where it is not one order
		want    gateway.Status
		never   bool
		code    string
		keys    bool
	}{
		{name: "internal error", answers: []answer{{body: refusedWith("1", "Internal error")}}, want: gateway.StatusUnknown, code: "error_1"},
		{name: "parse error", answers: []answer{{body: replyOf(`<error code="2"><![CDATA[Invalid XML]]></error>`)}}, want: gateway.StatusRejected, code: "error_2"},
		{name: "amount", answers: []answer{{body: refusedWith("3", "Invalid amount")}}, want: gateway.StatusRejected, code: "error_3"},
		{name: "security", answers: []answer{{body: replyOf(`<error code="4">Security violation</error>`)}}, want: gateway.StatusRejected, code: codeSecurity, keys: true},
		{name: "security within the order", answers: []answer{{body: refusedWith("4", "Security violation")}}, want: gateway.StatusRejected, code: codeSecurity, keys: true},
		{name: "another merchant's error 4", answers: []answer{{body: strings.ReplaceAll(replyOf(`<error code="4">Security violation</error>`), testMerchant, "OTHER")}}, want: gateway.StatusRejected, code: codeSecurity, keys: true},
		{name: "not available", answers: []answer{{body: replyOf(`<error code="8">Try later</error>`)}}, want: gateway.StatusUnknown, code: "error_8"},
		{name: "idempotency", answers: []answer{{body: replyOf(`<error code="9">In progress</error>`)}}, want: gateway.StatusUnknown, code: "error_9"},
		{name: "an error from the future", answers: []answer{{body: replyOf(`<error code="14">?</error>`)}}, want: gateway.StatusUnknown, code: "error_14"},
		{name: "an error without a number", answers: []answer{{body: replyOf(`<error>?</error>`)}}, want: gateway.StatusUnknown},

		{name: "invalid", answers: []answer{invalid("Token does not exist"), absent}, asked: "order orderInquiry", want: gateway.StatusRejected, code: "error_5"},
		{name: "invalid, a moment later", age: soon, answers: []answer{invalid("Token does not exist"), absent}, asked: "order orderInquiry", want: gateway.StatusUnknown, code: codeNoPayment},
		{name: "invalid, much later", age: later, answers: []answer{invalid("Token does not exist"), absent}, asked: "order orderInquiry", want: gateway.StatusRejected, code: "error_5"},
		{name: "invalid, and the clock is wrong", age: -time.Hour, answers: []answer{invalid("Token does not exist"), absent}, asked: "order orderInquiry", want: gateway.StatusUnknown, code: codeNoPayment},
		{name: "duplicate, paid", answers: []answer{invalid("Duplicate Order"), paid}, asked: "order orderInquiry", want: gateway.StatusSucceeded},
		{name: "duplicate by other words, paid", answers: []answer{invalid("The order exists"), paid}, asked: "order orderInquiry", want: gateway.StatusSucceeded},
		{name: "duplicate, refused", answers: []answer{invalid("Duplicate Order"), {body: statusOf(paymentIn("REFUSED", ""))}}, asked: "order orderInquiry", want: gateway.StatusDeclined, code: codeDeclined},
		{name: "duplicate, not paid yet", answers: []answer{invalid("Duplicate Order"), absent}, asked: "order orderInquiry", want: gateway.StatusUnknown, code: codeNoPayment},
		{name: "duplicate, not paid much later", age: later, answers: []answer{invalid("duplicate order"), absent}, asked: "order orderInquiry", want: gateway.StatusUnavailable, never: true},
		{name: "duplicate, inquiry fails", age: later, answers: []answer{invalid("Duplicate Order"), {status: 503}}, asked: "order orderInquiry", want: gateway.StatusUnknown},
		{name: "duplicate, inquiry is lost", age: later, answers: []answer{invalid("Duplicate Order"), {do: hangUp}}, asked: "order orderInquiry", want: gateway.StatusUnknown},
		{name: "duplicate, inquiry refused", age: later, answers: []answer{invalid("Duplicate Order"), {status: 401}}, asked: "order orderInquiry", want: gateway.StatusUnknown},

		{name: "too old, paid", age: 25 * time.Hour, answers: []answer{paid}, asked: "orderInquiry", want: gateway.StatusSucceeded},
		{name: "too old, absent", age: 25 * time.Hour, answers: []answer{absent}, asked: "orderInquiry", want: gateway.StatusUnavailable, never: true, code: codeExpired},
		{name: "too old, inquiry fails", age: 25 * time.Hour, answers: []answer{{status: 500}}, asked: "orderInquiry", want: gateway.StatusUnknown},

		{name: "wrong password", answers: []answer{{status: 401, body: "<html>401</html>"}}, want: gateway.StatusRejected, code: codeUnauthorized, keys: true},
		{name: "forbidden", answers: []answer{{status: 403}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "elsewhere", answers: []answer{{do: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "busy", answers: []answer{{status: 429}}, want: gateway.StatusUnknown},
		{name: "500", answers: []answer{{status: 500, body: refusedWith("3", "no")}}, want: gateway.StatusUnknown, code: "gateway_error"},
		{name: "502 of a proxy", answers: []answer{{status: 502, body: "<html>"}}, want: gateway.StatusUnknown, code: "gateway_error"},
		{name: "nothing", answers: []answer{{}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "a page", answers: []answer{{body: "<html>maintenance</html>"}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "half a reply", answers: []answer{{body: statusOf(paymentIn("AUTHORISED", ""))[:400]}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "half a reply, promised whole", answers: []answer{{do: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5000")
			_, _ = fmt.Fprint(w, statusOf(paymentIn("AUTHORISED", ""))[:400])
			hangUp(w, r)
		}}}, want: gateway.StatusUnknown, code: "connection_lost"},
		{name: "connection lost", answers: []answer{{do: hangUp}}, want: gateway.StatusUnknown, code: "connection_lost"},
		{name: "too much", answers: []answer{{body: statusOf(paymentIn("AUTHORISED", "")) + strings.Repeat(" ", messageBytesMax)}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "another order", answers: []answer{{body: strings.ReplaceAll(statusOf(paymentIn("AUTHORISED", "")), testCode, "OTHER")}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "another merchant", answers: []answer{{body: strings.ReplaceAll(statusOf(paymentIn("AUTHORISED", "")), testMerchant, "OTHER")}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "no order", answers: []answer{{body: replyOf(`<ok><cancelReceived orderCode="X"/></ok>`)}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "two orders", answers: []answer{{body: replyOf(strings.Repeat(`<orderStatus orderCode="`+testCode+`">`+paymentIn("AUTHORISED", "")+`</orderStatus>`, 2))}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "no payment", answers: []answer{{body: statusOf("")}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "two amounts", answers: []answer{{body: strings.Replace(statusOf(paymentIn("AUTHORISED", "")), `<lastEvent>`, `<amount value="1" currencyCode="USD" exponent="2"/><lastEvent>`, 1)}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "a debit", answers: []answer{{body: strings.Replace(statusOf(paymentIn("AUTHORISED", "")), `"credit"`, `"debit"`, 1)}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "another exponent", answers: []answer{{body: strings.Replace(statusOf(paymentIn("AUTHORISED", "")), `exponent="2"`, `exponent="4"`, 1)}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "no such currency", answers: []answer{{body: strings.Replace(statusOf(paymentIn("AUTHORISED", "")), `"USD"`, `"POINTS"`, 1)}}, want: gateway.StatusUnknown, code: codeUnreadable},
		{name: "a sum with a sign", answers: []answer{{body: strings.Replace(statusOf(paymentIn("AUTHORISED", "")), `"1000"`, `"-1000"`, 1)}}, want: gateway.StatusUnknown, code: codeUnreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, operation := range []struct {
				name string
				ask  func(*Adapter) gateway.PaymentResult
			}{
				{"charge", func(a *Adapter) gateway.PaymentResult {
					return a.ChargeCard(t.Context(), testAccount(), before(c.age), charge(t))
				}},
				{"page", func(a *Adapter) gateway.PaymentResult {
					return a.StartHostedPayment(t.Context(), testAccount(), before(c.age), page(t))
				}},
			} {
				f := newFake(t, c.answers...)
				a, log := f.adapter()
				res := operation.ask(a)
				if operation.name == "page" && c.asked == "" && c.want == gateway.StatusSucceeded {
					continue // such an answer has no page
				}
				if res.Status != c.want || res.Never != c.never {
					t.Errorf("%s: %s (never %v) %+v, want %s", operation.name, res.Status, res.Never, res.Failure, c.want)
				}
				if c.code != "" && (res.Failure == nil || res.Failure.Code != c.code && res.Failure.Code != codePageLost) {
					t.Errorf("%s: failure %+v, want %s", operation.name, res.Failure, c.code)
				}
				if res.Failure != nil && (res.Failure.Credentials != c.keys || res.Failure.Message == "") {
					t.Errorf("%s: failure %+v", operation.name, res.Failure)
				}
				want := c.asked
				if want == "" {
					want = "order"
				}
				if got := strings.Join(f.asked(), " "); got != want {
					t.Errorf("%s: asked %q, want %q", operation.name, got, want)
				}
				said := log.String() + fmt.Sprintf("%+v %+v", res, res.Failure)
				for _, secret := range []string{testPassword, base64.StdEncoding.EncodeToString([]byte(testAccount().SecretKey)), testMAC} {
					if strings.Contains(said, secret) {
						t.Errorf("%s: a secret is shown: %s", operation.name, said)
					}
				}
				if !strings.Contains(log.String(), `"status":"`+string(c.want)+`"`) {
					t.Errorf("%s: logged %s", operation.name, log)
				}
			}
		})
	}
}

// TestCardDetails: what is wrong with a card is the payer's to change.
func TestCardDetails(t *testing.T) {
	t.Parallel()
	a, _ := newFake(t, answer{body: refusedWith("7", "Card expired")}).adapter()
	if res := a.ChargeCard(t.Context(), testAccount(), testCall(), charge(t)); res.Status != gateway.StatusDeclined || !res.Failure.Final || res.Failure.Code != "payment_details" {
		t.Errorf("charge = %+v %+v", res, res.Failure)
	}
	if res := a.StartHostedPayment(t.Context(), testAccount(), testCall(), page(t)); res.Status != gateway.StatusRejected {
		t.Errorf("page = %+v", res)
	}
}

// TestTimeout: no answer in time is unknown, with a deadline of our own too.
func TestTimeout(t *testing.T) {
	t.Parallel()
	var left time.Duration
	a := New(Config{BaseURL: sandboxAt("http://127.0.0.1:1"), HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if at, ok := r.Context().Deadline(); ok {
			left = time.Until(at)
		}
		return nil, fmt.Errorf("read: %w", r.Context().Err())
	})}})
	a.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
		if at, ok := r.Context().Deadline(); ok {
			left = time.Until(at)
		}
		return nil, http.ErrHandlerTimeout
	})
	if res := a.FetchPayment(t.Context(), testAccount(), testCode); res.Status != gateway.StatusUnknown {
		t.Errorf("result = %+v", res)
	}
	if left <= 0 || left > callTimeout {
		t.Errorf("deadline in %v, want at most %v", left, callTimeout)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestHosts: without an address LIVE and TEST go to Worldpay, and SANDBOX goes
// nowhere.
func TestHosts(t *testing.T) {
	t.Parallel()
	var hosts []string
	a := New(Config{HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		hosts = append(hosts, r.URL.String())
		return nil, fmt.Errorf("no network in this test")
	})}})
	acc := testAccount()
	for _, env := range []gateway.Environment{gateway.EnvironmentTest, gateway.EnvironmentLive} {
		acc.Environment = env
		a.TestAccount(t.Context(), acc)
	}
	if res := a.TestAccount(t.Context(), testAccount()); res.Status != gateway.StatusRejected || res.Failure.Code != codeNoAddress {
		t.Errorf("sandbox without an address: %+v", res)
	}
	want := "[https://secure-test.worldpay.com/jsp/merchant/xml/paymentService.jsp https://secure.worldpay.com/jsp/merchant/xml/paymentService.jsp]"
	if got := fmt.Sprint(hosts); got != want {
		t.Errorf("hosts = %v, want %v", got, want)
	}
}

// TestTestAccount holds what each answer says about the credentials (A71), and
// that it is said what to change (A38).
func TestTestAccount(t *testing.T) {
	t.Parallel()
	code := func(s string) string { return strings.ReplaceAll(s, testCode, testOrder) }
	for _, c := range []struct {
		name    string
		answer  answer
		want    gateway.Status
		message []string
	}{
		{"good", answer{body: code(refusedWith("5", noPayment))}, gateway.StatusSucceeded, nil},
		{"good, at the top", answer{body: replyOf(`<error code="5">` + noPayment + `</error>`)}, gateway.StatusSucceeded, nil},
		{"wrong password", answer{status: 401}, gateway.StatusRejected, []string{"user name", "XML password"}},
		{"security", answer{body: replyOf(`<error code="4">Security violation</error>`)}, gateway.StatusRejected, []string{"Security violation", "merchant code", "IP address", "registered", "active"}},
		{"broken", answer{status: 503}, gateway.StatusUnknown, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, c.answer)
			a, _ := f.adapter()
			res := a.TestAccount(t.Context(), testAccount())
			if res.Status != c.want || c.want == gateway.StatusSucceeded && (res.AccountID != testMerchant || !res.ChargesEnabled) {
				t.Errorf("account = %+v %+v", res, res.Failure)
			}
			for _, part := range c.message {
				if res.Failure == nil || !strings.Contains(res.Failure.Message, part) {
					t.Errorf("%q is not in %+v", part, res.Failure)
				}
			}
			if got := fmt.Sprint(f.asked()); got != "[orderInquiry]" {
				t.Errorf("asked %s", got)
			}
		})
	}
}

// TestCheckAccount: a slip is noticed before anything is stored.
func TestCheckAccount(t *testing.T) {
	t.Parallel()
	a := New(Config{})
	for secret, ok := range map[string]bool{
		testMerchant + ":" + testPassword: true, "user:p:w": true,
		"": false, "user": false, ":password": false, "user:": false, "user:****": false, "user:pass word": false, "user:pass\n": false, "user:abc…": false,
		"user:" + strings.Repeat("x", 300): false,
	} {
		err := a.CheckKeys(gateway.EnvironmentTest, secret, "")
		if (err == nil) != ok {
			t.Errorf("%q: %v", secret, err)
		}
		if _, password, _ := strings.Cut(secret, ":"); err != nil && len(password) > 4 && strings.Contains(err.Error(), password) {
			t.Errorf("the password is repeated: %v", err)
		}
	}
	if err := a.CheckKeys("MOON", "user:password", ""); err == nil {
		t.Error("an unknown environment is taken")
	}
	for name, c := range map[string]struct {
		change func(*gateway.Account)
		ok     bool
	}{
		"as it is":           {func(*gateway.Account) {}, true},
		"no MAC":             {func(a *gateway.Account) { a.MACSecret = "" }, true},
		"no page":            {func(a *gateway.Account) { a.InstallationID = "" }, true},
		"old MAC, no secret": {func(a *gateway.Account) { a.MACSecret, a.LegacyMAC = "", true }, false},
		"short MAC":          {func(a *gateway.Account) { a.MACSecret = "short" }, false},
		"long MAC":           {func(a *gateway.Account) { a.MACSecret = strings.Repeat("x", 31) }, false},
		"blank in MAC":       {func(a *gateway.Account) { a.MACSecret = "purser demo secret 0123" }, false},
		"lower-case code":    {func(a *gateway.Account) { a.MerchantCode = "pursertest" }, false},
		"no code":            {func(a *gateway.Account) { a.MerchantCode = "" }, false},
		"installation":       {func(a *gateway.Account) { a.InstallationID = "12x" }, false},
	} {
		acc := testAccount()
		c.change(&acc)
		if err := a.CheckAccount(acc); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a.CheckWebhookSecret("whsec_12345678") == nil {
		t.Error("a signing secret is taken")
	}
}

// TestDetach: already gone is success, all else is what it is.
func TestDetach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer answer
		want   gateway.Status
	}{
		{"deleted", answer{body: replyOf(`<ok><deleteTokenReceived paymentTokenID="1"/></ok>`)}, gateway.StatusSucceeded},
		{"gone", answer{body: replyOf(`<error code="5">Token does not exist</error>`)}, gateway.StatusSucceeded},
		{"something else", answer{body: replyOf(`<ok><cancelReceived orderCode="X"/></ok>`)}, gateway.StatusUnknown},
		{"security", answer{body: replyOf(`<error code="4">Security violation</error>`)}, gateway.StatusRejected},
		{"broken", answer{status: 500}, gateway.StatusUnknown},
	} {
		a, _ := newFake(t, c.answer).adapter()
		if res := a.DetachCard(t.Context(), testAccount(), testCall(), "dev_1", "1"); res.Status != c.want {
			t.Errorf("%s: %+v %+v", c.name, res, res.Failure)
		}
	}
	a, _ := newFake(t).adapter()
	if res := a.DetachCard(t.Context(), testAccount(), testCall(), "", "1"); res.Status != gateway.StatusRejected {
		t.Errorf("without a shopper: %+v", res)
	}
}

// TestRefund: sent once, at once; afterwards only looked for.
func TestRefund(t *testing.T) {
	t.Parallel()
	state := func(event string) answer { return answer{body: statusOf(paymentIn(event, ""))} }
	received := func(name string) answer {
		return answer{body: replyOf(`<ok><` + name + ` orderCode="` + testCode + `"><amount value="1000" currencyCode="USD" exponent="2"/></` + name + `></ok>`)}
	}
	for _, c := range []struct {
		name    string
		age     time.Duration
		part    bool
		answers []answer
		asked   string
		want    gateway.Status
		state   gateway.RefundState
		never   bool
	}{
		{name: "captured", answers: []answer{state("CAPTURED"), received("refundReceived")}, asked: "orderInquiry refund", want: gateway.StatusSucceeded, state: gateway.RefundPending},
		{name: "a part", part: true, answers: []answer{state("SETTLED"), received("refundReceived")}, asked: "orderInquiry refund", want: gateway.StatusSucceeded, state: gateway.RefundPending},
		{name: "a second part", part: true, answers: []answer{state("SENT_FOR_REFUND"), received("refundReceived")}, asked: "orderInquiry refund", want: gateway.StatusSucceeded, state: gateway.RefundPending},
		{name: "not captured", answers: []answer{state("AUTHORISED"), received("cancelReceived")}, asked: "orderInquiry cancel", want: gateway.StatusSucceeded, state: gateway.RefundPending},
		{name: "a part, not captured", part: true, answers: []answer{state("AUTHORISED")}, asked: "orderInquiry", want: gateway.StatusRejected},
		{name: "not paid", answers: []answer{state("REFUSED")}, asked: "orderInquiry", want: gateway.StatusRejected},
		{name: "no such order", answers: []answer{{body: refusedWith("5", noPayment)}}, asked: "orderInquiry", want: gateway.StatusRejected},
		{name: "refused", answers: []answer{state("CAPTURED"), {body: refusedWith("5", "Refund amount too high")}}, asked: "orderInquiry refund", want: gateway.StatusRejected},
		{name: "reply lost", answers: []answer{state("CAPTURED"), {do: hangUp}}, asked: "orderInquiry refund", want: gateway.StatusUnknown},
		{name: "received something else", answers: []answer{state("CAPTURED"), received("captureReceived")}, asked: "orderInquiry refund", want: gateway.StatusUnknown},
		{name: "asked again, sent", age: time.Minute, answers: []answer{state("SENT_FOR_REFUND")}, asked: "orderInquiry", want: gateway.StatusSucceeded, state: gateway.RefundPending},
		{name: "asked again, done", age: time.Minute, answers: []answer{state("REFUNDED")}, asked: "orderInquiry", want: gateway.StatusSucceeded, state: gateway.RefundSucceeded},
		{name: "asked again, canceled", age: time.Minute, answers: []answer{state("CANCELLED")}, asked: "orderInquiry", want: gateway.StatusSucceeded, state: gateway.RefundSucceeded},
		{name: "asked again, failed", age: time.Minute, answers: []answer{state("REFUND_FAILED")}, asked: "orderInquiry", want: gateway.StatusSucceeded, state: gateway.RefundFailed},
		{name: "asked again, nothing yet", age: time.Minute, answers: []answer{state("CAPTURED")}, asked: "orderInquiry", want: gateway.StatusUnknown},
		{name: "asked again, nothing", age: 6 * time.Minute, answers: []answer{state("CAPTURED")}, asked: "orderInquiry", want: gateway.StatusUnavailable, never: true},
		{name: "asked again for a part", age: 6 * time.Minute, part: true, answers: []answer{state("SENT_FOR_REFUND")}, asked: "orderInquiry", want: gateway.StatusUnknown},
		{name: "asked before its time", age: -time.Minute, answers: []answer{state("CAPTURED")}, asked: "orderInquiry", want: gateway.StatusUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, c.answers...)
			a, _ := f.adapter()
			r := gateway.RefundRequest{GatewayPaymentID: testCode, Amount: amount(t, "10.00", "USD")}
			if c.part {
				r.Amount = amount(t, "4.00", "USD")
			}
			res := a.RefundPayment(t.Context(), testAccount(), before(c.age), r)
			if res.Status != c.want || res.State != c.state || res.Never != c.never || res.RefundID != testCode || res.Amount != r.Amount {
				t.Errorf("refund = %+v %+v", res, res.Failure)
			}
			if got := strings.Join(f.asked(), " "); got != c.asked {
				t.Errorf("asked %q, want %q", got, c.asked)
			}
		})
	}
}

// TestFetchRefund: a refund of a part is told apart from its sisters by its
// reference, where the order shows one.
func TestFetchRefund(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		event, sum, reference string
		want                  gateway.RefundState
	}{
		{"REFUNDED", "10.00", "", gateway.RefundSucceeded},
		{"REFUNDED", "4.00", "", gateway.RefundPending},
		{"REFUNDED", "4.00", "RF", gateway.RefundSucceeded},
		{"REFUNDED", "4.00", "OTHER", gateway.RefundPending},
		{"REFUND_FAILED", "10.00", "", gateway.RefundFailed},
		{"REFUND_FAILED", "4.00", "", gateway.RefundPending},
		{"REFUND_FAILED", "4.00", "RF", gateway.RefundFailed},
		{"SENT_FOR_REFUND", "10.00", "", gateway.RefundPending},
		{"CAPTURED", "10.00", "", ""},
	} {
		a, _ := newFake(t, answer{body: statusOf(paymentIn(c.event, referenceIn(c.reference)))}).adapter()
		r := gateway.RefundRequest{GatewayPaymentID: testCode, Amount: amount(t, c.sum, "USD")}
		if res := a.FetchRefund(t.Context(), testAccount(), r, "RF"); res.Status != gateway.StatusSucceeded || res.State != c.want {
			t.Errorf("%s %s: %+v", c.event, c.sum, res)
		}
	}
}
