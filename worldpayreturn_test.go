package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"purser/sandbox"
	worldpaysandbox "purser/sandbox/worldpay"
)

// TestSignedReturns: while Worldpay answers no question and sends nothing, a
// payment counts when the browser brings what Worldpay has signed about it, and
// by nothing else that a browser may bring. Once is once.
func TestSignedReturns(t *testing.T) {
	t.Parallel()
	s := newStage(t, migrated("sqlite3")(t))
	if _, err := s.fill("{{worldpay}} {{ada}}"); err != nil {
		t.Fatal(err)
	}
	merchant := worldpaysandbox.DemoMerchant().Code
	silence := func() {
		_, err := s.worldpay.Faults().AddRequest(sandbox.RequestFault{Account: merchant, Path: "/inquiry", Action: sandbox.ActionStatus, Status: http.StatusServiceUnavailable, Count: -1})
		must(t, err)
		_, err = s.worldpay.Faults().AddDelivery(sandbox.DeliveryFault{Account: merchant, Action: sandbox.ActionDrop, Count: -1})
		must(t, err)
	}
	silence()
	start := func(amount, key string) (id, page string) {
		document, err := s.fill(`mutation { paymentStart(input: {payerId: "{{ada}}", providerId: "{{worldpay}}", amount: {amount: "` + amount + `", currency: "USD"}, idempotencyKey: "` + key + `"}) {
			payment { id nextAction { ... on RedirectAction { url } } } userErrors { code message } } }`)
		must(t, err)
		_, raw, err := s.ask(s.token, document, nil, nil)
		must(t, err)
		var answer struct {
			Data struct {
				PaymentStart struct {
					Payment struct {
						ID         string `json:"id"`
						NextAction struct {
							URL string `json:"url"`
						} `json:"nextAction"`
					} `json:"payment"`
				} `json:"paymentStart"`
			} `json:"data"`
		}
		must(t, json.Unmarshal(raw, &answer))
		if answer.Data.PaymentStart.Payment.NextAction.URL == "" {
			t.Fatalf("no page: %s", raw)
		}
		return answer.Data.PaymentStart.Payment.ID, answer.Data.PaymentStart.Payment.NextAction.URL
	}
	client := &http.Client{Transport: s.client.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	follow := func(method, address string, form url.Values) *url.URL {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		must(t, err)
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		answer, err := client.Do(r)
		must(t, err)
		must(t, answer.Body.Close())
		if answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s %s: %s", method, address, answer.Status)
		}
		to, err := url.Parse(answer.Header.Get("Location"))
		must(t, err)
		return to
	}
	pay := func(page string) *url.URL {
		t.Helper()
		return follow(http.MethodPost, page, url.Values{"number": {"4444333322221111"}, "expiry": {"12/44"}, "cvc": {"123"}, "name": {"Ada"}})
	}
	status := func(id string) string {
		t.Helper()
		return s.make(s.token, "node.status", `{ node(id: "`+id+`") { ... on Payment { status } } }`)
	}
	problem := func() string {
		t.Helper()
		document, err := s.fill(`{ node(id: "{{worldpay}}") { ... on Provider { returnProblem { code message seenAt } } } }`)
		must(t, err)
		_, raw, err := s.ask(s.token, document, nil, nil)
		must(t, err)
		var answer struct {
			Data struct {
				Node struct {
					ReturnProblem *struct{ Code, Message, SeenAt string }
				}
			}
		}
		must(t, json.Unmarshal(raw, &answer))
		p := answer.Data.Node.ReturnProblem
		if p == nil {
			return ""
		}
		if p.Message == "" || p.SeenAt == "" {
			t.Errorf("the problem is not told: %s", raw)
		}
		return p.Code
	}
	shown := func(address string) string {
		t.Helper()
		answer, err := client.Get(address)
		must(t, err)
		text, err := io.ReadAll(answer.Body)
		must(t, errors.Join(err, answer.Body.Close()))
		return string(text)
	}
	first, firstPage := start("50.00", "r-1")
	second, secondPage := start("7.00", "r-2")
	back, other := pay(firstPage), pay(secondPage)
	if !strings.HasSuffix(back.Path, "/success") || back.Query().Get("mac2") == "" {
		t.Fatalf("it leads back to %s", back)
	}

	changed := func(name, value string) url.Values {
		q := back.Query()
		q.Set(name, value)
		if value == "" {
			q.Del(name)
		}
		return q
	}
	if p := problem(); p != "" {
		t.Errorf("before anybody has come back there is the problem %s", p)
	}
	// A39: an installation that sends no parameters is told of, also on the page.
	bare := *back
	bare.RawQuery = ""
	thanks := follow(http.MethodGet, bare.String(), nil)
	if p := problem(); p != "NO_PARAMETERS" {
		t.Errorf("without parameters the problem is %q", p)
	}
	if page := shown(s.url + thanks.String()); !strings.Contains(page, "Send URL") || !strings.Contains(page, "TEST") {
		t.Errorf("the page says nothing of it: %s", page)
	}
	for name, want := range map[string]string{"mac2": "BAD_SIGNATURE", "paymentCurrency": "BAD_SIGNATURE"} {
		forged := *back
		forged.RawQuery = changed(name, strings.Repeat("0", 64)).Encode()
		follow(http.MethodGet, forged.String(), nil)
		if p := problem(); p != want {
			t.Errorf("with another %s the problem is %q", name, p)
		}
	}

	for name, q := range map[string]url.Values{
		"another sum":       changed("paymentAmount", "500000"),
		"another order":     changed("orderKey", other.Query().Get("orderKey")),
		"another signature": changed("mac2", other.Query().Get("mac2")),
		"no signature":      changed("mac2", ""),
		"another payment's": other.Query(),
		"two sums":          {"orderKey": back.Query()["orderKey"], "paymentAmount": {"5000", "500000"}, "paymentCurrency": {"USD"}, "paymentStatus": {"AUTHORISED"}, "mac2": back.Query()["mac2"]},
		"another status":    changed("paymentStatus", "CAPTURED"),
	} {
		forged := *back
		forged.RawQuery = q.Encode()
		follow(http.MethodGet, forged.String(), nil)
		if now := status(first); now != "REQUIRES_ACTION" {
			t.Errorf("%s: the payment is %s", name, now)
		}
	}
	elsewhere := *back
	elsewhere.Path = strings.TrimSuffix(back.Path, "success") + "failure"
	follow(http.MethodGet, elsewhere.String(), nil)
	if now := status(first); now != "REQUIRES_ACTION" {
		t.Errorf("at another address the payment is %s", now)
	}

	for range 3 {
		follow(http.MethodGet, back.String(), nil)
		if now := status(first); now != "SUCCEEDED" {
			t.Fatalf("come back with a signature, the payment is %s", now)
		}
	}
	balance := func() string {
		document, err := s.fill(`{ payer(by: {id: "{{ada}}"}) { balance(currency: "USD") { remaining { amount } } } }`)
		must(t, err)
		return s.make(s.token, "payer.balance.remaining.amount", document)
	}
	if p := problem(); p != "" {
		t.Errorf("after a good return there is still the problem %s", p)
	}
	if got := balance(); got != "50.00" {
		t.Errorf("the balance is %s", got)
	}

	// Asked again, Worldpay says the same, and what it was silent about.
	s.worldpay.Faults().Remove(merchant, "")
	follow(http.MethodGet, back.String(), nil)
	follow(http.MethodGet, other.String(), nil)
	if now := status(second); now != "SUCCEEDED" {
		t.Errorf("asked, the other payment is %s", now)
	}
	if got := balance(); got != "57.00" {
		t.Errorf("the balance is %s", got)
	}
	must(t, s.prove())
}
