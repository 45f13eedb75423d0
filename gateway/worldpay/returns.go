package worldpay

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // of old accounts, and only where the provider asks for it
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"strings"

	"purser/gateway"
	"purser/money"
)

// The parameters of a return. A payer who has left the page comes back with
// the order's amount and without a status.
const (
	paramOrderKey = "orderKey"
	paramStatus   = "paymentStatus"
	paramAmount   = "paymentAmount"
	paramCurrency = "paymentCurrency"
	paramOrdered  = "orderAmount"
	paramOrdered2 = "orderCurrency"
	paramMAC      = "mac2"
	paramOldMAC   = "mac"
)

// VerifyReturn checks the signature of a return and what it says: that it is
// about an order of this merchant, and that its status belongs to the address
// it came to. mac2 counts where it is there; the MAC of old counts only where
// the provider takes it and there is no other.
func (a *Adapter) VerifyReturn(acc gateway.Account, outcome string, query url.Values) (gateway.Return, error) {
	var r gateway.Return
	for _, values := range query {
		if len(values) != 1 {
			return r, gateway.ErrMalformed // which of two was signed would be a guess
		}
	}
	s := signed{key: query.Get(paramOrderKey), amount: query.Get(paramAmount), currency: query.Get(paramCurrency), status: query.Get(paramStatus)}
	if s.status == "" && s.amount == "" && s.currency == "" {
		s.amount, s.currency = query.Get(paramOrdered), query.Get(paramOrdered2)
	}
	if acc.MACSecret == "" || s.key == "" {
		return r, gateway.ErrUnsigned
	}
	switch mac, old := query.Get(paramMAC), query.Get(paramOldMAC); {
	case mac != "":
		if !s.fits(mac, acc.MACSecret) {
			return r, gateway.ErrSignature
		}
	case old != "" && acc.LegacyMAC:
		if !s.fitsOld(old, acc.MACSecret) {
			return r, gateway.ErrSignature
		}
	default:
		return r, gateway.ErrUnsigned
	}
	return s.read(acc.MerchantCode, outcome)
}

// signed is what a MAC is over.
type signed struct{ key, amount, currency, status string }

// fits compares with the HMAC of the parts with colons between them. None of
// them may hold a colon, so that no two returns have one text.
func (s signed) fits(mac, secret string) bool {
	parts := []string{s.key, s.amount, s.currency}
	if s.status != "" {
		parts = append(parts, s.status)
	}
	for _, part := range parts {
		if part == "" || strings.Contains(part, ":") {
			return false
		}
	}
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(strings.Join(parts, ":")))
	return sameMAC(mac, h.Sum(nil))
}

// fitsOld compares with the MD5 of the parts and the secret, with nothing
// between them. What the parts are is checked beside it, when they are read.
func (s signed) fitsOld(mac, secret string) bool {
	sum := md5.Sum([]byte(s.key + s.amount + s.currency + s.status + secret)) //nolint:gosec // as above
	return sameMAC(mac, sum[:])
}

// sameMAC compares in constant time.
func sameMAC(mac string, want []byte) bool {
	got, err := hex.DecodeString(mac)
	return err == nil && hmac.Equal(got, want)
}

// read says what a return tells whose signature fits.
func (s signed) read(merchantCode, outcome string) (gateway.Return, error) {
	// ADMINCODE^MERCHANTCODE^ORDERCODE, of which the first may be empty.
	parts := strings.Split(s.key, "^")
	n := len(parts)
	if n < 2 || n > 3 || parts[n-2] != merchantCode || checkOrderCode(parts[n-1]) != nil {
		return gateway.Return{}, gateway.ErrMalformed
	}
	scale, err := money.WorldpayScale(s.currency)
	if err != nil {
		return gateway.Return{}, gateway.ErrMalformed
	}
	r := gateway.Return{OrderCode: parts[n-1]}
	if r.Amount, err = counted(s.amount, s.currency, scale.Exponent); err != nil {
		return gateway.Return{}, gateway.ErrMalformed
	}
	if !fitsOutcome(s.status, outcome) {
		return gateway.Return{}, gateway.ErrMalformed
	}
	if s.status == "" {
		r.Status, r.Canceled = gateway.StatusDeclined, true
		return r, nil
	}
	r.Status, r.Canceled, _ = stateOf(s.status)
	return r, nil
}

// fitsOutcome reports whether a status belongs to the address that a browser
// came to: an address for success with another status was not made by Worldpay.
func fitsOutcome(status, outcome string) bool {
	switch outcome {
	case gateway.ReturnSuccess:
		return status == "AUTHORISED"
	case gateway.ReturnFailure:
		return status == "REFUSED" || status == "EXPIRED"
	case gateway.ReturnPending:
		return status == "SENT_FOR_AUTHORISATION" || status == "SHOPPER_REDIRECTED"
	case gateway.ReturnCancel:
		return status == "CANCELLED" || status == ""
	case gateway.ReturnError:
		return status == "ERROR"
	}
	return false
}
