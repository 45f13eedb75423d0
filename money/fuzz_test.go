package money_test

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"purser/money"
)

var grammar = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)

// FuzzParse feeds any text and any currency. What is accepted must be in the
// grammar, mean what the model says, and be written back as the same value;
// what is refused must be refused with a code.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"335.50", "-2.1572", "0", "-0", "007", "1e3", "NaN", "+1", "10000000000", "1.000000001", "184467440737.09551617", "", "."} {
		for _, currency := range []string{"USD", "JPY", "KWD", "POINTS", "usd"} {
			f.Add(text, currency)
		}
	}
	f.Fuzz(func(t *testing.T, text, currency string) {
		a, err := money.Parse(money.Decimal(text), currency)
		if err != nil {
			var coded *money.Error
			if !errors.As(err, &coded) || coded.Code == "" || coded.Message == "" {
				t.Fatalf("parse %q %q: error without code or message: %v", text, currency, err)
			}
			return
		}
		if !grammar.MatchString(text) || strings.HasPrefix(text, "-") && strings.Trim(text, "-0.") == "" {
			t.Fatalf("%q is accepted", text)
		}
		model := ratio(t, money.Decimal(text), currency)
		if !model.IsInt() || model.Num().Cmp(whole(a)) != 0 || !fits(whole(a)) {
			t.Fatalf("%q %s reads as %d units, want %s", text, currency, a.Units, model)
		}
		if back, err := money.Parse(a.Decimal(), currency); err != nil || back != a {
			t.Fatalf("%q %s is written as %s and reads back as %v, %v", text, currency, a.Decimal(), back, err)
		}
	})
}

// FuzzRoundTrip goes the other way: any amount to text, through the wire form,
// and back.
func FuzzRoundTrip(f *testing.F) {
	for _, units := range []int64{0, 1, -1, 33_550_000_000, 215_720_000, int64(money.MaxUnits), -int64(money.MaxUnits)} {
		for i := range currencies {
			f.Add(units, uint8(i))
		}
	}
	f.Fuzz(func(t *testing.T, units int64, index uint8) {
		a := money.Amount{Units: money.Units(units), Currency: currencies[int(index)%len(currencies)]}
		if !fits(whole(a)) {
			return // beyond the range: no amount
		}
		var wire strings.Builder
		a.Decimal().MarshalGQL(&wire)
		var d money.Decimal
		if err := d.UnmarshalGQL(strings.Trim(wire.String(), `"`)); err != nil {
			t.Fatalf("%s does not survive the wire: %v", wire.String(), err)
		}
		if back, err := money.Parse(d, a.Currency); err != nil || back != a {
			t.Fatalf("%v is written as %s and reads back as %v, %v", a.Units, d, back, err)
		}
		_, fraction, _ := strings.Cut(string(d), ".")
		exponent := money.Exponent(a.Currency)
		if len(fraction) < exponent || len(fraction) > exponent && strings.HasSuffix(fraction, "0") {
			t.Fatalf("%s %s has too few digits or needless zeros", d, a.Currency)
		}
		if n, err := a.Minor(); err == nil {
			if back := money.Units(n) * money.UnitsPerMinor; back != a.Units {
				t.Fatalf("%s is %d minor units, which are %d ledger units", a, n, back)
			}
		}
	})
}

// FuzzGateway takes any amount and any scale: what goes to a gateway comes
// back as the same amount, and what is refused really is no multiple.
func FuzzGateway(f *testing.F) {
	f.Add(int64(33_550_000_000), uint8(0), int8(2), int64(1))
	f.Add(int64(5_000_000), uint8(4), int8(2), int64(100))
	f.Add(int64(5_124_000_000), uint8(3), int8(3), int64(10))
	f.Add(int64(1), uint8(2), int8(0), int64(1))
	f.Add(int64(-700_000_000), uint8(6), int8(0), int64(1))
	f.Fuzz(func(t *testing.T, units int64, index uint8, exponent int8, step int64) {
		a := money.Amount{Units: money.Units(units), Currency: currencies[int(index)%len(currencies)]}
		scale := money.GatewayScale{Exponent: int(exponent), Step: step}
		n, err := a.ToGateway(scale)

		var coded *money.Error
		if err != nil && !errors.As(err, &coded) {
			t.Fatalf("error without a code: %v", err)
		}
		if scale.Exponent < 0 || scale.Exponent > 6 || scale.Step < 1 || !fits(whole(a)) {
			if err == nil {
				t.Fatalf("%d units at %+v are accepted", units, scale)
			}
			return
		}

		// The model: units / 10^(digits + 6 - exponent), a whole multiple of step.
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(money.Exponent(a.Currency)+6-scale.Exponent)), nil)
		multiple := new(big.Int).Mul(unit, big.NewInt(step))
		exact := new(big.Int).Rem(whole(a), multiple).Sign() == 0
		if (err == nil) != exact {
			t.Fatalf("%s at %+v: %v, but a multiple of the step: %t", a, scale, err, exact)
		}
		if err != nil {
			return
		}
		if want := new(big.Int).Quo(whole(a), unit); want.Cmp(big.NewInt(n)) != 0 {
			t.Fatalf("%s at %+v goes out as %d, want %s", a, scale, n, want)
		}
		if back, err := money.FromGateway(n, a.Currency, scale); err != nil || back != a {
			t.Fatalf("%s at %+v goes out as %d and comes back as %v, %v", a, scale, n, back, err)
		}
	})
}
