package worldpaysandbox

import (
	"strings"
	"testing"
)

// The first vector is the service's own, the others are published with the
// product.
func TestMACVectors(t *testing.T) {
	t.Parallel()
	const secret, key = "purser-demo-secret-0123", "PURSERADM^PURSERTEST^TU-01HX7M4Q9Z"
	for _, c := range []struct {
		name, got, want string
	}{
		{"the service's own", mac2("@p-p1epie", "MYADMINCODE^MYMERCHANT^T0211010", "1400", "GBP", "AUTHORISED"), "856ff737b2987f21513b91992818d983ce9fed97847b15756c56493a23090415"},
		{"payment", mac2(secret, key, "1000", "USD", "AUTHORISED"), "8209fc728231e6ada1ac9977e8232a3e378e0cf5b6e268b3270aa671a8bc4628"},
		{"cancel", mac2(secret, key, "1000", "USD"), "c7562cf71e9c58fe369d4510bb152be6a3775e7d683a54b9bf7502f12eda97b5"},
		{"legacy payment", legacyMAC(secret, key, "1000", "USD", "AUTHORISED"), "f72b78caaccd65235f3ceba04b41dd16"},
		{"legacy cancel", legacyMAC(secret, key, "1000", "USD"), "db59da245a33c9d391d64291a5a62d6b"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestExponents(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]int{"USD": 2, "EUR": 2, "JPY": 0, "HUF": 0, "IDR": 0, "KRW": 0, "XOF": 0, "BHD": 3, "KWD": 3, "TND": 3} {
		if got := exponentOf(currency); got != want {
			t.Errorf("the exponent of %s is %d, want %d", currency, got, want)
		}
	}
	for want, a := range map[string]Amount{
		"10.00 USD": {1000, "USD", 2}, "0.05 USD": {5, "USD", 2}, "1500 JPY": {1500, "JPY", 0}, "0.007 KWD": {7, "KWD", 3},
	} {
		if got := a.String(); got != want {
			t.Errorf("%+v is shown as %s, want %s", a, got, want)
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][2]outcome{
		"": {"AUTHORISED", "AUTHORISED"}, "Ada Lovelace": {"AUTHORISED", "AUTHORISED"}, "authorised": {"AUTHORISED", "AUTHORISED"},
		" REFUSED ": {"REFUSED", "REFUSED"}, "REFUSED51": {"REFUSED51", "REFUSED51"}, "REFUSED5x": {"AUTHORISED", "AUTHORISED"},
		"ERROR": {"ERROR", "ERROR"}, "3D": {"3D", "AUTHORISED"}, "PENDING": {"PENDING", "AUTHORISED"}, "LATER REFUSED54": {"AUTHORISED", "REFUSED54"},
		"LATER": {"AUTHORISED", "AUTHORISED"}, "LATER Ada": {"AUTHORISED", "AUTHORISED"},
	} {
		if now, later := outcomeByName(name); now != want[0] || later != want[1] {
			t.Errorf("%q is %s now and %s later, want %v", name, now, later, want)
		}
	}
}

// TestSequences holds the order check of requests against hand-made cases.
func TestSequences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sequence, children string
		want               bool
	}{
		{"a b? c", "a c", true},
		{"a b? c", "a b c", true},
		{"a b? c", "a c b", false},
		{"a b? c", "a b b c", false},
		{"a|b c*", "b c c", true},
		{"a|b c*", "a b", false},
		{"a|b c*", "c", false},
		{"a b|c*", "a b c b", true},
		{"a? b|c?", "", true},
		{"a?|b?", "b", true},
		{"a b+", "a", false},
		{"", "", true},
		{"", "a", false},
	} {
		var children []*element
		for _, name := range strings.Fields(c.children) {
			children = append(children, el(name))
		}
		if got := follows(c.sequence, children); got != c.want {
			t.Errorf("(%s) follows (%s): %v, want %v", c.children, c.sequence, got, c.want)
		}
	}
}
