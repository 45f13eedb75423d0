package worldpaysandbox

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// The addresses to return to, by the parameters that the merchant appends to
// that of the hosted page.
const (
	toSuccess = "successURL"
	toPending = "pendingURL"
	toFailure = "failureURL"
	toCancel  = "cancelURL"
	toError   = "errorURL"
)

const returnURLMax = 1024

// returns reads the addresses to return to. What is no address of the web, or
// is too long, is refused with the name of its parameter.
func returns(r *http.Request) (addresses map[string]string, refused string) {
	addresses = map[string]string{}
	for _, name := range []string{toSuccess, toPending, toFailure, toCancel, toError} {
		address := r.URL.Query().Get(name)
		if address == "" {
			continue
		}
		to, err := url.Parse(address)
		if err != nil || to.Host == "" || (to.Scheme != "http" && to.Scheme != "https") || len(address) > returnURLMax {
			return nil, name
		}
		addresses[name] = address
	}
	return addresses, ""
}

// parameter is one of what a returning browser carries; their order is that of
// the MAC.
type parameter struct{ name, value string }

// wayBack is where the browser goes after an order's payment, with what the
// merchant is told there; empty where the merchant has named no address.
func (m *Merchant) wayBack(o *Order, addresses map[string]string) string {
	p := o.Payment
	if p.Outcome == outcomeError {
		// The one return that says nothing of the order and is not signed.
		return m.withParameters(addresses[toError], []parameter{{"errorRefNumber", o.ReferenceID}, {"errors", "The payment could not be processed."}})
	}
	// Redirects tell of the authorisation alone; what came later is notified.
	status, to := authorised, toSuccess
	switch {
	case p.Outcome.refused():
		status, to = refused, toFailure
	case p.Outcome == outcomePending:
		status, to = sentForAuthorisation, toPending
	}
	return m.withParameters(addresses[to], m.signed([]parameter{
		{"orderKey", m.orderKey(o.Code)}, {"paymentAmount", strconv.FormatInt(o.Amount.Value, 10)}, {"paymentCurrency", o.Amount.Currency}, {"paymentStatus", status},
	}))
}

// wayOut is where the browser goes when the shopper does not want to pay: with
// the order's amount, and without a status.
func (m *Merchant) wayOut(o *Order, addresses map[string]string) string {
	return m.withParameters(addresses[toCancel], m.signed([]parameter{
		{"orderKey", m.orderKey(o.Code)}, {"orderAmount", strconv.FormatInt(o.Amount.Value, 10)}, {"orderCurrency", o.Amount.Currency},
	}))
}

// signed adds the MACs over the parameters, as the merchant has them.
func (m *Merchant) signed(all []parameter) []parameter {
	if m.MACSecret == "" {
		return all
	}
	var values []string
	for _, p := range all {
		values = append(values, p.value)
	}
	if m.MAC != MACHMAC {
		all = append(all, parameter{"mac", legacyMAC(m.MACSecret, values...)})
	}
	if m.MAC != MACLegacy {
		all = append(all, parameter{"mac2", mac2(m.MACSecret, values...)})
	}
	return all
}

// mac2 is the current MAC: the secret is the key, and no part of the text.
func mac2(secret string, values ...string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(strings.Join(values, ":")))
	return hex.EncodeToString(mac.Sum(nil))
}

// legacyMAC is the former MAC: the secret is the end of the text.
func legacyMAC(secret string, values ...string) string {
	sum := md5.Sum([]byte(strings.Join(values, "") + secret))
	return hex.EncodeToString(sum[:])
}

// withParameters adds parameters behind those that an address has.
func (m *Merchant) withParameters(address string, all []parameter) string {
	if address == "" || m.OmitURLParameters {
		return address
	}
	var query []string
	for _, p := range all {
		query = append(query, p.name+"="+escaped(p.value))
	}
	address, fragment, _ := strings.Cut(address, "#")
	switch {
	case !strings.Contains(address, "?"):
		address += "?"
	case !strings.HasSuffix(address, "?") && !strings.HasSuffix(address, "&"):
		address += "&"
	}
	address += strings.Join(query, "&")
	if fragment != "" {
		address += "#" + fragment
	}
	return address
}

func escaped(text string) string { return url.QueryEscape(text) }
