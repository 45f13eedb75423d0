package worldpaysandbox_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/sandbox"
	worldpaysandbox "purser/sandbox/worldpay"
)

// codes are the orders of notifications as they came.
func codes(all []document) string {
	var out []string
	for _, d := range all {
		out = append(out, d.Event.Code)
	}
	return strings.Join(out, " ")
}

func authorisedOnly(m *worldpaysandbox.Merchant) { m.Events = []string{"AUTHORISED"} }

func TestNotificationFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, fault, want string }{
		{"none", ``, "O0 O1 O2"},
		{"drop one", `{"action":"drop"}`, "O1 O2"},
		{"drop the second", `{"action":"drop","skip":1}`, "O0 O2"},
		{"duplicate", `{"action":"duplicate","count":2}`, "O0 O0 O1 O1 O2"},
		{"reorder", `{"action":"reorder","count":3,"kind":"AUTHORISED"}`, "O2 O1 O0"},
		{"delay", `{"action":"delay","delay_milliseconds":2000}`, "O1 O2 O0"},
		{"another kind", `{"action":"drop","kind":"CAPTURED"}`, "O0 O1 O2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, authorisedOnly)
			if c.fault != "" {
				equal(t, "status of the switch", b.control("POST", "faults/deliveries", c.fault, nil), 200)
			}
			for i := range 3 {
				b.paid(fmt.Sprintf("O%d", i), "")
			}
			equal(t, "orders of the notifications", codes(b.hook.wait(t, len(strings.Fields(c.want)))), c.want)
		})
	}
}

// TestEventsOutOfOrder turns the events of one order around.
func TestEventsOutOfOrder(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.control("POST", "faults/deliveries", `{"action":"reorder","count":3}`, nil)
	b.paid("TURNED", "")
	equal(t, "events", types(b.hook.wait(t, 3)), "CAPTURED AUTHORISED SENT_FOR_AUTHORISATION")
}

// TestNotificationIsRetriedUntilAcknowledged holds that 200 is not enough: the
// body must be [OK].
func TestNotificationIsRetriedUntilAcknowledged(t *testing.T) {
	t.Parallel()
	b := setup(t, authorisedOnly)
	b.hook.refusing(3, "OK")
	b.paid("AGAIN", "")
	equal(t, "orders", codes(b.hook.wait(t, 1)), "AGAIN")
	eventually(t, "the delivery is recorded", func() bool {
		all := must(b.server.Deliveries(t.Context(), b.merchant.Code, 10))(t)
		return len(all) == 1 && all[0].State == "DELIVERED" && all[0].Attempts == 4
	})
	var list struct{ Deliveries []sandbox.Delivery }
	equal(t, "status", b.control("GET", "deliveries", "", &list), 200)
	equal(t, "kind", list.Deliveries[0].Kind, "AUTHORISED")
	equal(t, "status of the switch", b.control("POST", "notifications/"+list.Deliveries[0].Reference+"/resend", "", nil), 200)
	if all := b.hook.wait(t, 2); all[0].raw != all[1].raw {
		t.Errorf("the second notification is another: %s", all[1].raw)
	}
	for _, unknown := range []string{"999", "x"} {
		equal(t, "status of an unknown notification", b.control("POST", "notifications/"+unknown+"/resend", "", nil), 400)
	}
}

// TestEverythingSurvivesARestart stops the sandbox while the merchant does not
// answer.
func TestEverythingSurvivesARestart(t *testing.T) {
	t.Parallel()
	b := setup(t, authorisedOnly)
	b.hook.refusing(1_000_000, "not now")
	token := b.paid("KEPT", "LATER REFUSED41")
	unpaid := b.hosted("UNPAID")
	before := b.order("KEPT")
	eventually(t, "the delivery says why it is tried again", func() bool {
		all := must(b.server.Deliveries(t.Context(), b.merchant.Code, 10))(t)
		return len(all) == 1 && strings.Contains(all[0].LastError, "acknowledges nothing")
	})
	b.stop()
	b.hook.refusing(0, "")
	b.start()
	equal(t, "orders", codes(b.hook.wait(t, 1)), "KEPT")
	equal(t, "payment", fmt.Sprintf("%+v", *b.order("KEPT").Payment), fmt.Sprintf("%+v", *before.Payment))
	d := b.say(sample(t, "10_mit_token.xml", sampleToken, token, sampleMITID, before.Payment.SchemeID))
	equal(t, "return code", d.Order.Payment.Return.Code, "41")
	// The port is another now, as after a restart of the product.
	_, query, _ := strings.Cut(unpaid, "?")
	equal(t, "status of the page", browse(t, b.http.URL+"/base/pages/hpp?"+query, card("")).status, http.StatusSeeOther)
	b.say(sample(t, "1_order_hpp.xml", sampleCode, "KEPT")).refusedWith(t, "5", "Duplicate Order")
}

// TestNotificationGoesWhereTheMerchantWantsItNow changes and removes the
// address while a notification waits.
func TestNotificationGoesWhereTheMerchantWantsItNow(t *testing.T) {
	t.Parallel()
	b := setup(t, authorisedOnly)
	first := b.hook
	first.refusing(1_000_000, "not now")
	b.paid("MOVED", "")
	b.listen()
	b.merchant.NotificationURL = b.hook.URL
	if err := b.server.SetMerchant(t.Context(), b.merchant); err != nil {
		t.Fatal(err)
	}
	equal(t, "orders", codes(b.hook.wait(t, 1)), "MOVED")
	b.merchant.NotificationURL = ""
	if err := b.server.SetMerchant(t.Context(), b.merchant); err != nil {
		t.Fatal(err)
	}
	b.paid("SILENT", "")
	equal(t, "deliveries", len(must(b.server.Deliveries(t.Context(), b.merchant.Code, 10))(t)), 1)
}

// TestRequestFaults holds every fault before and after processing: what the
// client sees, and what has happened.
func TestRequestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fault string
		status      int // 0: no answer; 200 with half a body: truncated
		code        string
		refunded    int64
	}{
		{"status before", `{"path":"/modify/refund","action":"status","status":500}`, 500, "", 0},
		{"status after", `{"path":"/modify/refund","action":"status","status":503,"when":"after"}`, 503, "", 400},
		{"429", `{"path":"/modify","action":"status","status":429}`, 429, "", 0},
		{"error before", `{"path":"/modify/refund","action":"status","code":"8"}`, 200, "8", 0},
		{"error after", `{"path":"/modify/refund","action":"status","code":"1","when":"after"}`, 200, "1", 400},
		{"reset before", `{"path":"/modify/refund","action":"reset"}`, 0, "", 0},
		{"reset after", `{"path":"/modify/refund","action":"reset","when":"after"}`, 0, "", 400},
		{"truncated", `{"path":"/modify/refund","action":"truncate"}`, 200, "half", 400},
		{"delay", `{"path":"/modify/refund","action":"delay","delay_milliseconds":50}`, 200, "", 400},
		{"delay after", `{"path":"/modify/refund","action":"delay","delay_milliseconds":50,"when":"after"}`, 200, "", 400},
		{"another request", `{"path":"/inquiry","action":"reset"}`, 200, "", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.paid(sampleCode, "")
			equal(t, "status of the switch", b.control("POST", "faults/requests", c.fault, nil), 200)
			began := time.Now()
			response, raw, err := b.post(sample(t, "9_refund.xml"))
			switch {
			case c.status == 0:
				if err == nil {
					t.Errorf("the answer is %d %s", response.StatusCode, raw)
				}
			case err != nil:
				t.Fatal(err)
			default:
				equal(t, "status", response.StatusCode, c.status)
			}
			switch {
			case c.code == "half":
				if !strings.HasPrefix(string(raw), "<?xml") || strings.Contains(string(raw), "</paymentService>") {
					t.Errorf("the answer is %s", raw)
				}
			case c.code != "":
				read(t, raw).refusedAtTop(t, c.code, "fault switch")
			case c.status != 200 && strings.Contains(string(raw), "paymentService"):
				t.Errorf("a broken answer is a document: %s", raw)
			}
			if strings.Contains(c.fault, "delay") && time.Since(began) < 50*time.Millisecond {
				t.Error("nothing was delayed")
			}
			equal(t, "refunded", b.order(sampleCode).Payment.Refunded, c.refunded)
		})
	}
}

func TestFaultsAreOfTheirMerchant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := worldpaysandbox.Merchant{Code: "OTHER", Password: "p", InstallationID: "1"}
	if err := b.server.SetMerchant(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	equal(t, "status", b.control("POST", "faults/requests", `{"action":"status","status":500,"count":-1}`, nil), 200)
	var faults struct{ Requests, Deliveries []map[string]any }
	b.controlAs("OTHER", "p", "GET", "faults", "", &faults)
	equal(t, "faults of the other merchant", len(faults.Requests), 0)
	b.controlAs("OTHER", "p", "DELETE", "faults", "", nil)
	equal(t, "status of a request", inquiryStatus(t, b), http.StatusInternalServerError)
	var removed struct{ Removed int }
	b.control("DELETE", "faults", "", &removed)
	equal(t, "faults removed", removed.Removed, 1)
	equal(t, "status of a request", inquiryStatus(t, b), http.StatusOK)
	for _, bad := range []string{
		`{"action":"status","status":500,"store":true}`, `{"action":"status","status":200}`, `{"action":"status","code":"99"}`, `{"acton":"reset"}`, `{`,
	} {
		equal(t, "status of "+bad, b.control("POST", "faults/requests", bad, nil), 400)
	}
	equal(t, "status of a delivery fault", b.control("POST", "faults/deliveries", `{"action":"explode"}`, nil), 400)
	equal(t, "status of a wrong login", b.controlAs("OTHER", "q", "GET", "state", "", nil), 401)

	// Orders are of their merchant, too.
	b.hosted("MINE")
	var state worldpaysandbox.State
	b.controlAs("OTHER", "p", "GET", "state", "", &state)
	equal(t, "orders of the other merchant", len(state.Orders), 0)
	b.control("GET", "state", "", &state)
	equal(t, "orders", len(state.Orders), 1)
	b.merchant = other
	b.merchant.Username = "OTHER"
	b.say(sample(t, "6_inquiry.xml", sampleCode, "MINE", "PURSERTEST", "OTHER")).refusedWith(t, "5", "Could not find payment for order")
}

// inquiryStatus is the HTTP status of an inquiry.
func inquiryStatus(t *testing.T, b *bundle) int {
	t.Helper()
	response, _, err := b.post(sample(t, "6_inquiry.xml"))
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

// TestWhatBanksDo lets things happen to payments from outside, and holds sums
// and events.
func TestWhatBanksDo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.paid("O", "")
	for _, c := range []struct {
		event    string
		status   int
		last     string
		refunded int64
		disputed int64
		account  string
		amount   int64
	}{
		{`{"type":"SETTLED"}`, 200, "SETTLED", 0, 0, "SETTLED_BIBIT_NET", 1000},
		{`{"type":"INFORMATION_REQUESTED"}`, 200, "INFORMATION_REQUESTED", 0, 0, "", 0},
		{`{"type":"CHARGED_BACK","amount":300}`, 200, "CHARGED_BACK", 0, 300, "SETTLED_BIBIT_NET", 300},
		{`{"type":"CHARGEBACK_REVERSED","amount":301}`, 400, "CHARGED_BACK", 0, 300, "", 0},
		{`{"type":"CHARGEBACK_REVERSED"}`, 200, "CHARGEBACK_REVERSED", 0, 0, "SETTLED_BIBIT_NET", 300},
		{`{"type":"REFUNDED_BY_MERCHANT","amount":100,"reference":"MAI"}`, 200, "REFUNDED_BY_MERCHANT", 100, 0, "IN_PROCESS_CAPTURED", 100},
		{`{"type":"REFUND_FAILED","reference":"NONE"}`, 400, "REFUNDED_BY_MERCHANT", 100, 0, "", 0},
		{`{"type":"REFUND_FAILED","reference":"MAI"}`, 200, "REFUND_FAILED", 0, 0, "IN_PROCESS_CAPTURED", 100},
		{`{"type":"REFUND_FAILED"}`, 400, "REFUND_FAILED", 0, 0, "", 0},
		{`{"type":"AUTHORISED"}`, 400, "REFUND_FAILED", 0, 0, "", 0},
		{`{"type":"NONSENSE"}`, 400, "REFUND_FAILED", 0, 0, "", 0},
		{`{"type":"REFUSED_BY_BANK","return_code":"57"}`, 200, "REFUSED_BY_BANK", 0, 0, "", 0},
		{`{"type":"REFUSED"}`, 400, "REFUSED_BY_BANK", 0, 0, "", 0},
		{`{"type":"CHARGED_BACK"}`, 400, "REFUSED_BY_BANK", 0, 0, "", 0},
	} {
		before := len(b.order("O").Journal)
		equal(t, "status of "+c.event, b.control("POST", "orders/O/events", c.event, nil), c.status)
		o := b.order("O")
		equal(t, c.event+": last event", o.Payment.LastEvent, c.last)
		equal(t, c.event+": refunded", o.Payment.Refunded, c.refunded)
		equal(t, c.event+": charged back", o.Payment.ChargedBack, c.disputed)
		if c.status != 200 {
			equal(t, c.event+": entries of the journal", len(o.Journal), before)
			continue
		}
		equal(t, c.event+": inquiry", b.inquire("O").Order.Payment.LastEvent, c.last)
		told := b.hook.wait(t, before+1)[before].Event
		equal(t, c.event+": notified type", told.Journal.Type, c.last)
		if c.account != "" {
			accounts := told.Journal.Accounts
			at := slices.IndexFunc(accounts, func(a accountTx) bool { return a.Type == c.account })
			if at < 0 || accounts[at].Amount.Value != c.amount {
				t.Errorf("%s moves %+v, want %d of %s", c.event, accounts, c.amount, c.account)
			}
		}
	}
	equal(t, "return code", b.inquire("O").Order.Payment.Return.Code, "57")
	equal(t, "status of an unknown order", b.control("POST", "orders/NONE/events", `{"type":"SETTLED"}`, nil), 400)
}

// TestPayingElsewhere lets a shopper choose a method that is none of a card,
// and come back or not.
func TestPayingElsewhere(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for code, last := range map[string]string{"E1": "AUTHORISED", "E2": "SHOPPER_CANCELLED", "E3": "EXPIRED", "E4": "REFUSED"} {
		address := b.hosted(code)
		b.happen(code, worldpaysandbox.Happening{Type: "SHOPPER_REDIRECTED"})
		d := b.inquire(code)
		equal(t, "last event", d.Order.Payment.LastEvent, "SHOPPER_REDIRECTED")
		equal(t, "method", d.Order.Payment.Method, "PAYPAL-EXPRESS")
		if back := browse(t, address, card("")).location; !strings.HasPrefix(back, "https://shop.example/pending?") {
			t.Errorf("the way back is %s", back)
		}
		b.happen(code, worldpaysandbox.Happening{Type: last})
		if last == "AUTHORISED" {
			last = "CAPTURED"
		}
		equal(t, "last event", b.inquire(code).Order.Payment.LastEvent, last)
	}
	b.hook.wait(t, 9)
	equal(t, "status of a second choice", b.control("POST", "orders/E2/events", `{"type":"SHOPPER_REDIRECTED"}`, nil), 400)
	b.paid("CARD", "")
	equal(t, "status for a card", b.control("POST", "orders/CARD/events", `{"type":"SHOPPER_CANCELLED"}`, nil), 400)
}

// TestLag holds what takes its time: captures and refunds.
func TestLag(t *testing.T) {
	t.Parallel()
	b := setup(t, func(m *worldpaysandbox.Merchant) { m.LagSeconds = 600 })
	advance := func(by time.Duration) {
		t.Helper()
		if err := b.server.AdvanceClock(t.Context(), b.merchant.Code, by); err != nil {
			t.Fatal(err)
		}
	}
	b.paid(sampleCode, "")
	equal(t, "last event", b.inquire(sampleCode).Order.Payment.LastEvent, "AUTHORISED")
	b.say(sample(t, "9_refund.xml")).refusedWith(t, "5", "cannot be refunded")
	advance(601 * time.Second)
	equal(t, "last event", b.inquire(sampleCode).Order.Payment.LastEvent, "CAPTURED")
	b.say(sample(t, "9_refund.xml"))
	b.say(sample(t, "9_refund.xml", "RF-77", "RF-78", `value="400"`, `value="200"`))
	equal(t, "last event", b.inquire(sampleCode).Order.Payment.LastEvent, "SENT_FOR_REFUND")
	equal(t, "status of the switch", b.control("POST", "orders/"+sampleCode+"/events", `{"type":"REFUND_FAILED","reference":"RF-77"}`, nil), 200)
	advance(601 * time.Second)
	equal(t, "events", types(b.hook.wait(t, 7)), "SENT_FOR_AUTHORISATION AUTHORISED CAPTURED SENT_FOR_REFUND SENT_FOR_REFUND REFUND_FAILED REFUNDED")
	equal(t, "refunds", fmt.Sprint(b.order(sampleCode).Payment.Refunds), "[{RF-77 400 REFUND_FAILED} {RF-78 200 REFUNDED}]")

	// A capture that is due does not happen to a payment that was cancelled.
	b.paid("CX", "")
	b.say(sample(t, "8_cancel.xml", sampleCode, "CX"))
	advance(601 * time.Second)
	equal(t, "last event", b.inquire("CX").Order.Payment.LastEvent, "CANCELLED")
	for _, bad := range []string{`{"advance_seconds":-1}`, `{"advance_seconds":9223372036854775807}`} {
		equal(t, "status of "+bad, b.control("POST", "clock", bad, nil), 400)
	}

	// Days of capture delay pass on the same clock.
	browse(t, b.hosted("DAYS", "installationId=", `captureDelay="3" installationId=`), card(""))
	advance(3 * 24 * time.Hour)
	equal(t, "last event", b.inquire("DAYS").Order.Payment.LastEvent, "AUTHORISED")
	advance(601 * time.Second)
	equal(t, "last event", b.inquire("DAYS").Order.Payment.LastEvent, "CAPTURED")
}

// TestLagPassesByItself holds that Run lets happen what is due.
func TestLagPassesByItself(t *testing.T) {
	t.Parallel()
	b := setup(t, func(m *worldpaysandbox.Merchant) { m.LagSeconds = 1 })
	b.paid("BYITSELF", "")
	equal(t, "events", types(b.hook.wait(t, 3)), "SENT_FOR_AUTHORISATION AUTHORISED CAPTURED")
}

func TestMerchants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	put := func(username, password, code, body string) int {
		return b.controlAs(username, password, "PUT", "merchants/"+code, body, nil)
	}
	equal(t, "a new merchant", put("", "", "SHOP1", `{"password":"one","installation_id":"7","notification_url":"http://127.0.0.1:9/x","mac_secret":"s"}`), 200)
	equal(t, "a change by a stranger", put("", "", "SHOP1", `{"password":"two"}`), 401)
	equal(t, "a change by another merchant", put(b.merchant.Username, b.merchant.Password, "SHOP1", `{"password":"two"}`), 401)
	equal(t, "a change", put("SHOP1", "one", "SHOP1", `{"username":"LOGIN","password":"two"}`), 200)
	equal(t, "the former login", b.controlAs("SHOP1", "one", "GET", "state", "", nil), 401)
	equal(t, "the new login", b.controlAs("LOGIN", "two", "GET", "state", "", nil), 200)
	for code, body := range map[string]string{
		"lower": `{"password":"x"}`, "NOPASSWORD": `{}`, "MAC": `{"password":"x","mac":"sha1"}`, "EVENT": `{"password":"x","events":["PAID"]}`, "DELAY": `{"password":"x","capture_delay":"99"}`,
		"URL": `{"password":"x","notification_url":"ftp://x"}`, "TAKEN": `{"password":"x","username":"LOGIN"}`, "TYPO": `{"pasword":"x"}`, "OTHER": `{"password":"x","code":"ANOTHER"}`,
		"SECONDS": `{"password":"x","lag_seconds":-1}`,
	} {
		equal(t, code+" is refused", put("", "", code, body), 400)
	}
	equal(t, "an admin code", put("", "", "ADMIN", `{"password":"x","admin_code":"a^b"}`), 400)

	// The demo merchant exists from the start, and a restart keeps its settings.
	fresh := must(worldpaysandbox.Open(t.Context(), worldpaysandbox.Config{Target: func(to *url.URL) error {
		if to.Hostname() != "127.0.0.1" {
			return fmt.Errorf("%s is elsewhere", to.Host)
		}
		return nil
	}}))(t)
	defer fresh.Close()
	must(fresh.Inspect(t.Context(), "PURSERTEST"))(t)
	m := worldpaysandbox.DemoMerchant()
	m.NotificationURL = "http://shop.example/"
	if err := fresh.SetMerchant(t.Context(), m); err == nil || !strings.Contains(err.Error(), "shop.example is elsewhere") {
		t.Errorf("an address elsewhere is refused with %v", err)
	}
	m.NotificationURL = "http://127.0.0.1/"
	if err := fresh.SetMerchant(t.Context(), m); err != nil {
		t.Error(err)
	}
	b.restart()
	if b.merchant.NotificationURL = b.hook.URL; b.control("GET", "clock", "", nil) != 200 {
		t.Error("the demo merchant is gone")
	}
	b.paid("AFTER", "")
	b.hook.wait(t, 3)
}
