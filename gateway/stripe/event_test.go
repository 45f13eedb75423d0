package stripe

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"purser/gateway"
)

const (
	signingSecret = "whsec_current0123456789"
	formerSecret  = "whsec_former0123456789"
)

func eventBody(kind, object string) []byte {
	return fmt.Appendf(nil, `{"id":"evt_1","object":"event","api_version":"2019-01-01","type":%q,"created":1700000000,"livemode":false,
		"request":{"id":null},"data":{"object":%s}}`, kind, object)
}

func signed(at time.Time, body []byte, secrets ...string) http.Header {
	value := fmt.Sprintf("t=%d", at.Unix())
	for _, secret := range secrets {
		value += fmt.Sprintf(",v1=%x", webhook.ComputeSignature(at, body, secret))
	}
	return http.Header{"Stripe-Signature": {value}}
}

func TestVerifyEventSignature(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	body := eventBody("invoice.paid", `{"id":"in_1","object":"invoice"}`)
	both := []string{signingSecret, formerSecret}
	good := signed(now, body, signingSecret)
	tests := []struct {
		name    string
		body    []byte
		header  http.Header
		secrets []string
		want    error
	}{
		{"current secret", body, good, both, nil},
		{"former secret", body, signed(now, body, formerSecret), both, nil},
		{"two signatures while a secret is rolled", body, signed(now, body, "whsec_other", signingSecret), []string{signingSecret}, nil},
		{"an empty secret beside a good one", body, good, []string{"", signingSecret}, nil},
		{"299 s old", body, signed(now.Add(-299*time.Second), body, signingSecret), both, nil},
		{"299 s ahead", body, signed(now.Add(299*time.Second), body, signingSecret), both, nil},
		{"more signatures, unknown schemes", body, http.Header{"Stripe-Signature": {good.Get("Stripe-Signature") + ",v0=00,v1=zz"}}, both, nil},

		{"no secret", body, good, nil, gateway.ErrNoSecret},
		{"empty secrets only", body, signed(now, body, ""), []string{"", " "}, gateway.ErrNoSecret},
		{"signed with nothing", body, signed(now, body, ""), []string{"", signingSecret}, gateway.ErrSignature},
		{"signed with a blank", body, signed(now, body, " "), []string{" ", signingSecret}, gateway.ErrSignature},
		{"another secret", body, signed(now, body, "whsec_other"), both, gateway.ErrSignature},
		{"another body", bytes.Replace(body, []byte("in_1"), []byte("in_2"), 1), good, both, gateway.ErrSignature},
		{"a space more", append(bytes.Clone(body), ' '), good, both, gateway.ErrSignature},
		{"301 s old", body, signed(now.Add(-301*time.Second), body, signingSecret), both, gateway.ErrSignature},
		{"301 s ahead", body, signed(now.Add(301*time.Second), body, signingSecret), both, gateway.ErrSignature},
		{"no header", body, http.Header{}, both, gateway.ErrSignature},
		{"two headers", body, http.Header{"Stripe-Signature": {good.Get("Stripe-Signature"), good.Get("Stripe-Signature")}}, both, gateway.ErrSignature},
		{"two times", body, http.Header{"Stripe-Signature": {"t=1," + good.Get("Stripe-Signature")}}, both, gateway.ErrSignature},
		{"no time", body, http.Header{"Stripe-Signature": {"v1=00"}}, both, gateway.ErrSignature},
		{"no signature", body, http.Header{"Stripe-Signature": {"t=1700000000"}}, both, gateway.ErrSignature},
		{"a huge time", body, http.Header{"Stripe-Signature": {"t=9223372036854775807,v1=00"}}, both, gateway.ErrSignature},
		{"a time with a sign", body, http.Header{"Stripe-Signature": {strings.Replace(good.Get("Stripe-Signature"), "t=", "t=+", 1)}}, both, gateway.ErrSignature},
		{"nonsense", body, http.Header{"Stripe-Signature": {"hello"}}, both, gateway.ErrSignature},

		{"no JSON", []byte("hello"), signed(now, []byte("hello"), signingSecret), both, gateway.ErrMalformed},
		{"an empty body", nil, signed(now, nil, signingSecret), both, gateway.ErrMalformed},
		{
			"no event", []byte(`{"id":"in_1","object":"invoice","type":"x","data":{"object":{}}}`),
			signed(now, []byte(`{"id":"in_1","object":"invoice","type":"x","data":{"object":{}}}`), signingSecret), both, gateway.ErrMalformed,
		},
		{"no object", []byte(`{"id":"evt_1","type":"x"}`), signed(now, []byte(`{"id":"evt_1","type":"x"}`), signingSecret), both, gateway.ErrMalformed},
	}
	a := New(Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e, err := a.VerifyEvent(tt.body, tt.header, tt.secrets, now)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if err != nil && e.ID != "" {
				t.Errorf("an event beside an error: %+v", e)
			}
			if err == nil && (e.ID != "evt_1") {
				t.Errorf("event = %+v", e)
			}
		})
	}
}

func TestVerifyEventObjects(t *testing.T) {
	t.Parallel()
	const ours = `"metadata":{"purser_call":"call_1","purser_subject":"sub_1","purser_provider":"prv_1"}`
	tests := []struct {
		object string
		want   gateway.Object
	}{
		{`{"id":"qt_1","object":"quote",` + ours + `}`, gateway.Object{Kind: gateway.ObjectQuote, ID: "qt_1", CallID: "call_1", Subject: "sub_1", ProviderID: "prv_1"}},
		{`{"id":"in_1","object":"invoice"}`, gateway.Object{Kind: gateway.ObjectInvoice, ID: "in_1"}},
		{`{"id":"pi_1","object":"payment_intent","invoice":null}`, gateway.Object{Kind: gateway.ObjectPayment, ID: "pi_1"}},
		{`{"id":"pi_1","object":"payment_intent","invoice":"in_1"}`, gateway.Object{Kind: gateway.ObjectInvoice, ID: "in_1"}},
		{`{"id":"pi_1","object":"payment_intent","invoice":{"id":"in_1"}}`, gateway.Object{Kind: gateway.ObjectInvoice, ID: "in_1"}},
		{`{"id":"cs_1","object":"checkout.session","mode":"payment"}`, gateway.Object{Kind: gateway.ObjectHosted, ID: "cs_1"}},
		{`{"id":"cs_1","object":"checkout.session","mode":"setup"}`, gateway.Object{Kind: gateway.ObjectSetup, ID: "cs_1"}},
		{`{"id":"cs_1","object":"checkout.session","mode":"subscription"}`, gateway.Object{Kind: gateway.ObjectOther, ID: "cs_1"}},
		{`{"id":"seti_1","object":"setup_intent"}`, gateway.Object{Kind: gateway.ObjectSetup, ID: "seti_1"}},
		{`{"id":"pm_1","object":"payment_method"}`, gateway.Object{Kind: gateway.ObjectCard, ID: "pm_1"}},
		{`{"id":"re_1","object":"refund","payment_intent":"pi_1",` + ours + `}`, gateway.Object{Kind: gateway.ObjectRefund, ID: "re_1", CallID: "call_1", Subject: "sub_1", ProviderID: "prv_1", PaymentID: "pi_1"}},
		{`{"id":"dp_1","object":"dispute","payment_intent":{"id":"pi_1"}}`, gateway.Object{Kind: gateway.ObjectDispute, ID: "dp_1", PaymentID: "pi_1"}},
		{`{"id":"ch_1","object":"charge","payment_intent":"pi_1","amount_refunded":500}`, gateway.Object{Kind: gateway.ObjectRefunds, ID: "ch_1", PaymentID: "pi_1"}},
		{`{"id":"ch_1","object":"charge","payment_intent":"pi_1","amount_refunded":0}`, gateway.Object{Kind: gateway.ObjectOther, ID: "ch_1"}},
		{`{"id":"ch_1","object":"charge"}`, gateway.Object{Kind: gateway.ObjectOther, ID: "ch_1"}},
		{`{"id":"cus_1","object":"customer","metadata":{"purser_payer":"dev_1"}}`, gateway.Object{Kind: gateway.ObjectOther, ID: "cus_1"}},
		{`{"object":"invoice"}`, gateway.Object{Kind: gateway.ObjectOther}},
	}
	a := New(Config{})
	now := time.Unix(1700000000, 0)
	for _, tt := range tests {
		body := eventBody("some.event", tt.object)
		e, err := a.VerifyEvent(body, signed(now, body, signingSecret), []string{signingSecret}, now)
		if err != nil {
			t.Fatalf("%s: %v", tt.object, err)
		}
		if e.Object != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.object, e.Object, tt.want)
		}
	}
}

// Of customers only the end is taken over.
func TestVerifyEventOfACustomer(t *testing.T) {
	t.Parallel()
	const object = `{"id":"cus_1","object":"customer","metadata":{"purser_organization":"org_1","purser_provider":"prv_1","purser_payer":"dev_1"}}`
	now := time.Unix(1700000000, 0)
	for kind, want := range map[string]gateway.Object{
		"customer.created": {Kind: gateway.ObjectOther, ID: "cus_1", ProviderID: "prv_1", OrganizationID: "org_1"},
		"customer.updated": {Kind: gateway.ObjectOther, ID: "cus_1", ProviderID: "prv_1", OrganizationID: "org_1"},
		"customer.deleted": {Kind: gateway.ObjectCustomer, ID: "cus_1", Subject: "dev_1", ProviderID: "prv_1", OrganizationID: "org_1"},
	} {
		body := eventBody(kind, object)
		e, err := New(Config{}).VerifyEvent(body, signed(now, body, signingSecret), []string{signingSecret}, now)
		if err != nil || e.Object != want {
			t.Errorf("%s: %+v, %v, want %+v", kind, e.Object, err, want)
		}
	}
}

// FuzzVerifyEvent: no header and body make an event unless they carry a true
// signature, and nothing makes it panic.
func FuzzVerifyEvent(f *testing.F) {
	now := time.Unix(1700000000, 0)
	body := eventBody("invoice.paid", `{"id":"in_1","object":"invoice"}`)
	f.Add(body, signed(now, body, signingSecret).Get("Stripe-Signature"), false)
	f.Add(body, signed(now, body, "").Get("Stripe-Signature"), false)
	f.Add([]byte(`{"id":"evt_1","type":"x","data":{"object":{"id":1}}}`), "", true)
	f.Add([]byte(`{"id":"evt_1","type":"x","data":{"object":[]}}`), "", true)
	f.Add([]byte(`null`), "", true)
	f.Add([]byte(`{}`), "t=1,v1=00,t=2", false)
	a := New(Config{})
	f.Fuzz(func(t *testing.T, body []byte, header string, sign bool) {
		h := http.Header{"Stripe-Signature": {header}}
		if sign {
			h = signed(now, body, signingSecret)
		}
		e, err := a.VerifyEvent(body, h, []string{"", signingSecret}, now)
		if err != nil {
			if e.ID != "" {
				t.Fatalf("an event beside an error: %+v", e)
			}
			if sign && !errors.Is(err, gateway.ErrMalformed) {
				t.Fatalf("a true signature was refused: %v", err)
			}
			return
		}
		if e.ID == "" || e.Type == "" {
			t.Fatalf("an event without a name: %+v", e)
		}
		if sign {
			return
		}
		at, signatures, _ := parseSignature([]string{header})
		for _, s := range signatures {
			if bytes.Equal(s, webhook.ComputeSignature(at, body, signingSecret)) {
				return
			}
		}
		t.Fatalf("accepted without a signature: %q", header)
	})
}
