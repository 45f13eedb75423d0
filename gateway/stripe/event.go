package stripe

import (
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	sdk "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"purser/gateway"
)

const (
	// signatureHeader carries the time and the signatures of a delivery.
	signatureHeader = "Stripe-Signature"
	// signatureTolerance is how far its time may be from ours, both ways.
	signatureTolerance = 300 * time.Second
	// signaturesMax bounds the work that a header can cause: a rolled secret
	// makes two.
	signaturesMax = 10
)

// VerifyEvent checks a delivery against each secret that is not empty: an
// empty one would accept what anybody can sign. The version of the event's
// object is not asked for, because the object is read again anyway.
func (a *Adapter) VerifyEvent(raw []byte, h http.Header, secrets []string, now time.Time) (gateway.Event, error) {
	usable := 0
	for _, secret := range secrets {
		if strings.TrimSpace(secret) != "" {
			usable++
		}
	}
	if usable == 0 {
		return gateway.Event{}, gateway.ErrNoSecret
	}
	at, signatures, ok := parseSignature(h.Values(signatureHeader))
	if !ok {
		return gateway.Event{}, gateway.ErrSignature
	}
	if d := now.Sub(at); d > signatureTolerance || d < -signatureTolerance {
		return gateway.Event{}, gateway.ErrSignature
	}
	if !signedByAny(at, raw, signatures, secrets) {
		return gateway.Event{}, gateway.ErrSignature
	}
	return parseEvent(raw)
}

// signedByAny compares each signature with each secret's.
func signedByAny(at time.Time, raw []byte, signatures [][]byte, secrets []string) bool {
	found := false
	for _, secret := range secrets {
		if strings.TrimSpace(secret) == "" {
			continue
		}
		want := webhook.ComputeSignature(at, raw, secret)
		for _, signature := range signatures {
			if hmac.Equal(signature, want) {
				found = true
			}
		}
	}
	return found
}

// parseSignature reads t=<seconds>,v1=<hex>[,v1=<hex>]. Two times would leave
// open which one was signed, so they are refused.
func parseSignature(values []string) (at time.Time, signatures [][]byte, ok bool) {
	if len(values) != 1 || len(values[0]) > 4096 {
		return time.Time{}, nil, false
	}
	times := 0
	for _, part := range strings.Split(values[0], ",") {
		name, value, found := strings.Cut(part, "=")
		if !found {
			return time.Time{}, nil, false
		}
		switch name {
		case "t":
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil || seconds < 0 || seconds > 1<<40 || strconv.FormatInt(seconds, 10) != value {
				return time.Time{}, nil, false
			}
			at = time.Unix(seconds, 0)
			times++
		case "v1":
			if signature, err := hex.DecodeString(value); err == nil && len(signatures) < signaturesMax {
				signatures = append(signatures, signature)
			}
		}
	}
	return at, signatures, times == 1 && len(signatures) > 0
}

// delivery is what is read of an event: its object in a few fields, because
// the rest may be of another version of the API.
type delivery struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Type     string `json:"type"`
	Livemode bool   `json:"livemode"`
	Data     struct {
		Object json.RawMessage `json:"object"`
	} `json:"data"`
}

type deliveredObject struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Mode     string            `json:"mode"`
	Invoice  reference         `json:"invoice"`
	Payment  reference         `json:"payment_intent"`
	Refunded int64             `json:"amount_refunded"`
	Metadata map[string]string `json:"metadata"`
}

// reference is the id of an object that may be expanded.
type reference string

// UnmarshalJSON takes an id, an object with one, or null.
func (r *reference) UnmarshalJSON(b []byte) error {
	var id string
	if err := json.Unmarshal(b, &id); err == nil {
		*r = reference(id)
		return nil
	}
	var object struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(b, &object); err != nil {
		return err
	}
	*r = reference(object.ID)
	return nil
}

func parseEvent(raw []byte) (gateway.Event, error) {
	var d delivery
	if err := json.Unmarshal(raw, &d); err != nil || d.ID == "" || d.Type == "" || (d.Object != "" && d.Object != "event") {
		return gateway.Event{}, gateway.ErrMalformed
	}
	var object deliveredObject
	if err := json.Unmarshal(d.Data.Object, &object); err != nil {
		return gateway.Event{}, gateway.ErrMalformed
	}
	return gateway.Event{
		ID:     d.ID,
		Type:   d.Type,
		Live:   d.Livemode,
		Object: objectOf(d.Type, object),
	}, nil
}

// objectOf says in the capabilities' words what to read again. The payment of
// an invoice leads to its invoice: our metadata stands there.
func objectOf(event string, d deliveredObject) gateway.Object {
	o := gateway.Object{
		Kind:           gateway.ObjectOther,
		ID:             d.ID,
		CallID:         d.Metadata[metaCall],
		Subject:        d.Metadata[metaSubject],
		ProviderID:     d.Metadata[metaProvider],
		OrganizationID: d.Metadata[metaOrganization],
	}
	if d.ID == "" {
		return o
	}
	switch d.Object {
	case "quote":
		o.Kind = gateway.ObjectQuote
	case "invoice":
		o.Kind = gateway.ObjectInvoice
	case "credit_note":
		if d.Invoice != "" { // which says what its notes come to
			o.Kind, o.ID = gateway.ObjectInvoice, string(d.Invoice)
		}
	case "payment_intent":
		o.Kind = gateway.ObjectPayment
		if d.Invoice != "" {
			o.Kind, o.ID = gateway.ObjectInvoice, string(d.Invoice)
		}
	case "checkout.session":
		switch d.Mode {
		case string(sdk.CheckoutSessionModePayment):
			o.Kind = gateway.ObjectHosted
		case string(sdk.CheckoutSessionModeSetup):
			o.Kind = gateway.ObjectSetup
		}
	case "charge":
		if d.Refunded > 0 && d.Payment != "" {
			o.Kind, o.PaymentID = gateway.ObjectRefunds, string(d.Payment)
		}
	case "refund":
		o.Kind, o.PaymentID = gateway.ObjectRefund, string(d.Payment)
	case "dispute":
		o.Kind, o.PaymentID = gateway.ObjectDispute, string(d.Payment)
	case "setup_intent":
		o.Kind = gateway.ObjectSetup
	case "payment_method":
		o.Kind = gateway.ObjectCard
	case "customer":
		if event == eventCustomerDeleted { // see endpointEvents
			o.Kind, o.Subject = gateway.ObjectCustomer, d.Metadata[metaPayer]
		}
	}
	return o
}
