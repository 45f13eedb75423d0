package money_test

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"purser/money"
)

// The model of every operation is a fraction of math/big: unbounded and exact.
// An operation must give the model's value, or CodeOverflow exactly when that
// value does not fit.

var currencies = []string{"USD", "EUR", "JPY", "KWD", "ISK", "UGX", "MGA", "POINTS"}

func amounts(currency string) *rapid.Generator[money.Amount] {
	return rapid.Custom(func(t *rapid.T) money.Amount {
		most := int64(money.MaxUnits)
		units := rapid.OneOf(
			rapid.Int64Range(-most, most),
			rapid.Int64Range(-3_000_000, 3_000_000),
			rapid.SampledFrom([]int64{0, 1, -1, most, most - 1, -most, 500_000, 499_999, -500_000}),
		).Draw(t, "units")
		return money.Amount{Units: money.Units(units), Currency: currency}
	})
}

func whole(a money.Amount) *big.Int { return big.NewInt(int64(a.Units)) }

// halfUp divides, halves away from zero.
func halfUp(n, d *big.Int) *big.Int {
	twice := new(big.Int).Mul(new(big.Int).Abs(n), big.NewInt(2))
	twice.Add(twice, d)
	quotient := twice.Quo(twice, new(big.Int).Mul(d, big.NewInt(2)))
	if n.Sign() < 0 {
		quotient.Neg(quotient)
	}
	return quotient
}

func fits(n *big.Int) bool {
	return new(big.Int).Abs(n).Cmp(big.NewInt(int64(money.MaxUnits))) <= 0
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func agree(t failer, operation string, got money.Amount, err error, want *big.Int) {
	t.Helper()
	if !fits(want) {
		var coded *money.Error
		if !errors.As(err, &coded) || coded.Code != money.CodeOverflow {
			t.Fatalf("%s = %s, %v, but the model is out of range: %s units", operation, got, err, want)
		}
		return
	}
	if err != nil || whole(got).Cmp(want) != 0 {
		t.Fatalf("%s = %d units, %v, want %s", operation, got.Units, err, want)
	}
}

func TestArithmeticAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom(currencies).Draw(t, "currency")
		a, b := amounts(currency).Draw(t, "a"), amounts(currency).Draw(t, "b")
		quantity := rapid.Int64().Draw(t, "quantity")
		small := rapid.Int64Range(-1000, 1000).Draw(t, "small quantity")
		rate := rapid.Int64Range(0, 1_000_000).Draw(t, "rate")
		step := rapid.Int64Range(1, math.MaxInt64).Draw(t, "step")
		minor := big.NewInt(int64(money.UnitsPerMinor))

		got, err := a.Add(b)
		agree(t, "a + b", got, err, new(big.Int).Add(whole(a), whole(b)))
		got, err = a.Sub(b)
		agree(t, "a - b", got, err, new(big.Int).Sub(whole(a), whole(b)))
		for _, q := range []int64{quantity, small} {
			got, err = a.Mul(q)
			agree(t, "a * quantity", got, err, new(big.Int).Mul(whole(a), big.NewInt(q)))
		}

		exact := new(big.Rat).SetFrac(new(big.Int).Mul(whole(a), big.NewInt(rate)), new(big.Int).Mul(big.NewInt(1_000_000), minor))
		got, err = a.RateToMinor(money.Rate(rate))
		agree(t, "rate of a", got, err, new(big.Int).Mul(halfUp(exact.Num(), exact.Denom()), minor))

		share := new(big.Rat).SetFrac(new(big.Int).Mul(whole(a), big.NewInt(rate)), new(big.Int).Mul(big.NewInt(1_000_000+rate), minor))
		got, err = a.IncludedToMinor(money.Rate(rate))
		agree(t, "tax in a", got, err, new(big.Int).Mul(halfUp(share.Num(), share.Denom()), minor))

		got, err = a.RoundToMinor()
		agree(t, "a rounded", got, err, new(big.Int).Mul(halfUp(whole(a), minor), minor))

		// Euclid's quotient of -a rounds down, so its negative rounds a up.
		ceil := new(big.Int).Neg(whole(a))
		ceil.Div(ceil, big.NewInt(step)).Neg(ceil).Mul(ceil, big.NewInt(step))
		got, err = a.CeilTo(money.Units(step))
		agree(t, "a raised", got, err, ceil)

		if cmp, err := a.Cmp(b); err != nil || cmp != whole(a).Cmp(whole(b)) {
			t.Fatalf("a compared with b = %d, %v", cmp, err)
		}
		if a.Sign() != whole(a).Sign() {
			t.Fatalf("sign of a = %d", a.Sign())
		}
	})
}

// ratio is what the text says: the model of Parse.
func ratio(t failer, d money.Decimal, currency string) *big.Rat {
	t.Helper()
	value, ok := new(big.Rat).SetString(string(d))
	if !ok {
		t.Fatalf("the model cannot read %q", string(d))
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(money.Exponent(currency)+6)), nil)
	return value.Mul(value, new(big.Rat).SetInt(scale))
}

func TestTextAgreesWithTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		currency := rapid.SampledFrom(currencies).Draw(t, "currency")
		a := amounts(currency).Draw(t, "a")
		text := a.Decimal()
		if want := new(big.Rat).SetInt(whole(a)); ratio(t, text, currency).Cmp(want) != 0 {
			t.Fatalf("%d units of %s are written as %s", a.Units, currency, text)
		}
		back, err := money.Parse(text, currency)
		if err != nil || back != a {
			t.Fatalf("%s %s reads back as %v, %v", text, currency, back, err)
		}

		written := money.Decimal(rapid.StringMatching(`-?(0|[1-9][0-9]{0,13})(\.[0-9]{1,10})?`).Draw(t, "text"))
		parsed, err := money.Parse(written, currency)
		var coded *money.Error
		model := ratio(t, written, currency)
		switch {
		case err == nil:
			if !model.IsInt() || model.Num().Cmp(whole(parsed)) != 0 {
				t.Fatalf("%s %s reads as %d units, want %s", written, currency, parsed.Units, model)
			}
		case !errors.As(err, &coded):
			t.Fatalf("%s %s: %v", written, currency, err)
		case coded.Code == money.CodeOverflow && fits(new(big.Int).Quo(model.Num(), model.Denom())):
			t.Fatalf("%s %s fits but is refused: %v", written, currency, err)
		case coded.Code == money.CodeFormat && !(written[0] == '-' && model.Sign() == 0):
			t.Fatalf("%s is well written but refused: %v", written, err)
		}
	})
}
