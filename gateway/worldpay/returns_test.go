package worldpay

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the signatures of old
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"testing"

	"purser/gateway"
)

// TestVectors holds the signatures to the example of Worldpay's documentation
// and to those computed for the shape of our own returns.
func TestVectors(t *testing.T) {
	t.Parallel()
	theirs := signed{key: "MYADMINCODE^MYMERCHANT^T0211010", amount: "1400", currency: "GBP", status: "AUTHORISED"}
	if !theirs.fits("856ff737b2987f21513b91992818d983ce9fed97847b15756c56493a23090415", "@p-p1epie") {
		t.Error("Worldpay's own example does not fit")
	}
	paid := signed{key: "PURSERADM^PURSERTEST^TU-01HX7M4Q9Z", amount: "1000", currency: "USD", status: "AUTHORISED"}
	left := paid
	left.status = ""
	for _, c := range []struct {
		name string
		fits func(string, string) bool
		mac  string
	}{
		{"mac2", paid.fits, "8209fc728231e6ada1ac9977e8232a3e378e0cf5b6e268b3270aa671a8bc4628"},
		{"mac2 of a cancel", left.fits, "c7562cf71e9c58fe369d4510bb152be6a3775e7d683a54b9bf7502f12eda97b5"},
		{"legacy", paid.fitsOld, "f72b78caaccd65235f3ceba04b41dd16"},
		{"legacy cancel", left.fitsOld, "db59da245a33c9d391d64291a5a62d6b"},
	} {
		if !c.fits(c.mac, testMAC) || !c.fits(strings.ToUpper(c.mac), testMAC) {
			t.Errorf("%s does not fit", c.name)
		}
		if c.fits(c.mac, testMAC+"x") || c.fits(c.mac[1:], testMAC) || c.fits(c.mac[:len(c.mac)-2]+"00", testMAC) || c.fits("", testMAC) {
			t.Errorf("%s: another one fits", c.name)
		}
	}
}

// returned is a query signed with the test's secret.
func returned(values map[string]string) url.Values {
	q := url.Values{}
	for name, value := range values {
		q.Set(name, value)
	}
	parts := []string{q.Get(paramOrderKey), q.Get(paramAmount) + q.Get(paramOrdered), q.Get(paramCurrency) + q.Get(paramOrdered2)}
	if status := q.Get(paramStatus); status != "" {
		parts = append(parts, status)
	}
	h := hmac.New(sha256.New, []byte(testMAC))
	h.Write([]byte(strings.Join(parts, ":")))
	q.Set(paramMAC, hex.EncodeToString(h.Sum(nil)))
	sum := md5.Sum([]byte(strings.Join(parts, "") + testMAC)) //nolint:gosec // the signatures of old
	q.Set(paramOldMAC, hex.EncodeToString(sum[:]))
	return q
}

const testKey = "PURSERADM^" + testMerchant + "^" + testCode

func paidReturn(status string) url.Values {
	return returned(map[string]string{paramOrderKey: testKey, paramStatus: status, paramAmount: "1000", paramCurrency: "USD"})
}

func leftReturn() url.Values {
	return returned(map[string]string{paramOrderKey: testKey, paramOrdered: "1000", paramOrdered2: "USD"})
}

// TestReturns: what a signed return says, for every end.
func TestReturns(t *testing.T) {
	t.Parallel()
	a := New(Config{})
	for _, c := range []struct {
		outcome  string
		query    url.Values
		want     gateway.Status
		canceled bool
	}{
		{gateway.ReturnSuccess, paidReturn("AUTHORISED"), gateway.StatusSucceeded, false},
		{gateway.ReturnFailure, paidReturn("REFUSED"), gateway.StatusDeclined, false},
		{gateway.ReturnFailure, paidReturn("EXPIRED"), gateway.StatusDeclined, false},
		{gateway.ReturnPending, paidReturn("SENT_FOR_AUTHORISATION"), gateway.StatusProcessing, false},
		{gateway.ReturnPending, paidReturn("SHOPPER_REDIRECTED"), gateway.StatusProcessing, false},
		{gateway.ReturnError, paidReturn("ERROR"), gateway.StatusDeclined, false},
		{gateway.ReturnCancel, paidReturn("CANCELLED"), gateway.StatusDeclined, true},
		{gateway.ReturnCancel, leftReturn(), gateway.StatusDeclined, true},
	} {
		r, err := a.VerifyReturn(testAccount(), c.outcome, c.query)
		if err != nil || r.OrderCode != testCode || r.Amount != amount(t, "10.00", "USD") || r.Status != c.want || r.Canceled != c.canceled {
			t.Errorf("%s %v: %+v %v", c.outcome, c.query, r, err)
		}
		for _, other := range []string{gateway.ReturnSuccess, gateway.ReturnFailure, gateway.ReturnPending, gateway.ReturnCancel, gateway.ReturnError, "elsewhere", ""} {
			if other == c.outcome {
				continue
			}
			if r, err := a.VerifyReturn(testAccount(), other, c.query); !errors.Is(err, gateway.ErrMalformed) || r != (gateway.Return{}) {
				t.Errorf("%v is taken at the address for %q: %+v %v", c.query, other, r, err)
			}
		}
	}
	short := returned(map[string]string{paramOrderKey: testMerchant + "^" + testCode, paramStatus: "AUTHORISED", paramAmount: "1000", paramCurrency: "USD"})
	if _, err := a.VerifyReturn(testAccount(), gateway.ReturnSuccess, short); err != nil {
		t.Errorf("an order key without an administrator: %v", err)
	}
}

// TestReturnsThatAreRefused: every part of a return is signed, and nothing
// counts without a signature.
func TestReturnsThatAreRefused(t *testing.T) {
	t.Parallel()
	a := New(Config{})
	set := func(name, value string) url.Values {
		q := paidReturn("AUTHORISED")
		q.Set(name, value)
		return q
	}
	without := func(names ...string) url.Values {
		q := paidReturn("AUTHORISED")
		for _, name := range names {
			q.Del(name)
		}
		return q
	}
	twice := paidReturn("AUTHORISED")
	twice.Add(paramAmount, "999999")
	again := func(key, sum, currency string) url.Values {
		return returned(map[string]string{paramOrderKey: key, paramStatus: "AUTHORISED", paramAmount: sum, paramCurrency: currency})
	}
	old := without(paramMAC)
	for name, c := range map[string]struct {
		account func(*gateway.Account)
		query   url.Values
		want    error
	}{
		"another sum":             {query: set(paramAmount, "999999"), want: gateway.ErrSignature},
		"another currency":        {query: set(paramCurrency, "JPY"), want: gateway.ErrSignature},
		"another order":           {query: set(paramOrderKey, testKey[:len(testKey)-1]+"A"), want: gateway.ErrSignature},
		"another status":          {query: set(paramStatus, "CAPTURED"), want: gateway.ErrSignature},
		"another signature":       {query: set(paramMAC, strings.Repeat("0", 64)), want: gateway.ErrSignature},
		"no hexadecimal":          {query: set(paramMAC, "zz"), want: gateway.ErrSignature},
		"half a signature":        {query: set(paramMAC, paidReturn("AUTHORISED").Get(paramMAC)[:32]), want: gateway.ErrSignature},
		"no signature":            {query: without(paramMAC, paramOldMAC), want: gateway.ErrUnsigned},
		"nothing":                 {query: url.Values{}, want: gateway.ErrUnsigned},
		"an error of the page":    {query: url.Values{"errorRefNumber": {"123"}, "errors": {"x"}}, want: gateway.ErrUnsigned},
		"no secret":               {account: func(a *gateway.Account) { a.MACSecret = "" }, query: paidReturn("AUTHORISED"), want: gateway.ErrUnsigned},
		"another secret":          {account: func(a *gateway.Account) { a.MACSecret += "x" }, query: paidReturn("AUTHORISED"), want: gateway.ErrSignature},
		"old, not asked for":      {query: old, want: gateway.ErrUnsigned},
		"old, asked for":          {account: func(a *gateway.Account) { a.LegacyMAC = true }, query: old},
		"old, another sum":        {account: func(a *gateway.Account) { a.LegacyMAC = true }, query: func() url.Values { q := set(paramAmount, "999999"); q.Del(paramMAC); return q }(), want: gateway.ErrSignature},
		"old beside a wrong new":  {account: func(a *gateway.Account) { a.LegacyMAC = true }, query: set(paramMAC, strings.Repeat("0", 64)), want: gateway.ErrSignature},
		"a sum given twice":       {query: twice, want: gateway.ErrMalformed},
		"another merchant":        {account: func(a *gateway.Account) { a.MerchantCode = "OTHER" }, query: paidReturn("AUTHORISED"), want: gateway.ErrMalformed},
		"no order key":            {query: without(paramOrderKey), want: gateway.ErrUnsigned},
		"an order of nobody":      {query: again("X^"+testMerchant+"^lower", "1000", "USD"), want: gateway.ErrMalformed},
		"an order key too long":   {query: again("X^Y^"+testMerchant+"^"+testCode, "1000", "USD"), want: gateway.ErrMalformed},
		"an order key too short":  {query: again(testCode, "1000", "USD"), want: gateway.ErrMalformed},
		"a sum of nobody":         {query: again(testKey, "010", "USD"), want: gateway.ErrMalformed},
		"a currency of nobody":    {query: again(testKey, "1000", "POINTS"), want: gateway.ErrMalformed},
		"parts shifted by colons": {query: again(testKey+":1000", "USD", "AUTHORISED"), want: gateway.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acc := testAccount()
			if c.account != nil {
				c.account(&acc)
			}
			r, err := a.VerifyReturn(acc, gateway.ReturnSuccess, c.query)
			if c.want == nil && (err != nil || r.Status != gateway.StatusSucceeded) || c.want != nil && (!errors.Is(err, c.want) || r != (gateway.Return{})) {
				t.Errorf("%+v %v, want %v", r, err, c.want)
			}
		})
	}
}

// FuzzReturn: nothing is taken that was not signed.
func FuzzReturn(f *testing.F) {
	f.Add(paidReturn("AUTHORISED").Encode(), "success")
	f.Add(leftReturn().Encode(), "cancel")
	f.Add("orderKey=a%5Eb%5Ec&mac2=00", "success")
	good := map[string]bool{paidReturn("AUTHORISED").Get(paramMAC): true, leftReturn().Get(paramMAC): true}
	f.Fuzz(func(t *testing.T, raw, outcome string) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		r, err := New(Config{}).VerifyReturn(testAccount(), outcome, query)
		if err == nil && (r.OrderCode != testCode || !good[strings.ToLower(query.Get(paramMAC))]) {
			t.Errorf("%q is taken for %+v", raw, r)
		}
	})
}
