package money_test

import (
	"testing"

	"purser/money"
)

func TestExponent(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]int{
		"USD": 2, "EUR": 2, "MGA": 2, "HUF": 2, "TWD": 2, "ZWG": 2,
		"JPY": 0, "ISK": 0, "UGX": 0, "CLP": 0, "XPF": 0,
		"KWD": 3, "BHD": 3, "IQD": 3, "LYD": 3, "JOD": 3, "OMR": 3, "TND": 3,
	} {
		if got := money.Exponent(currency); got != want {
			t.Errorf("Exponent(%s) = %d, want %d", currency, got, want)
		}
		if !money.IsISO(currency) {
			t.Errorf("%s is not taken for a currency of ISO 4217", currency)
		}
	}
	// Codes that lie across two entries of a list must not be found in it.
	for _, currency := range []string{"POINTS", "CLF", "UYW", "XAU", "XTS", "usd", "", "US", "D A", " US", "SDU", "USDX"} {
		if money.IsISO(currency) {
			t.Errorf("%q is taken for a currency of ISO 4217", currency)
		}
		if got := money.Exponent(currency); got != 0 {
			t.Errorf("Exponent(%q) = %d, want 0", currency, got)
		}
	}
}

func TestValidCode(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"USD", "ABC", "POINTS", "V2X", "A12", "ABCDEFGHIJKL"} {
		if err := money.ValidCode(currency); err != nil {
			t.Errorf("%s is refused: %v", currency, err)
		}
	}
	for _, currency := range []string{"", "US", "ABCDEFGHIJKLM", "usd", "1AB", "US-D", "ÄBC", "USD\n", "CLF", "UYW"} {
		wantCode(t, money.ValidCode(currency), money.CodeCurrency)
	}
}
