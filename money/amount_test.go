package money_test

import (
	"errors"
	"math"
	"testing"

	"purser/money"
)

func parse(t *testing.T, d money.Decimal, currency string) money.Amount {
	t.Helper()
	a, err := money.Parse(d, currency)
	if err != nil {
		t.Fatalf("parse %s %s: %v", d, currency, err)
	}
	return a
}

// wantCode fails unless err is a *money.Error with the code and a message.
func wantCode(t *testing.T, err error, code money.ErrorCode) {
	t.Helper()
	var coded *money.Error
	if !errors.As(err, &coded) {
		t.Fatalf("error is %v, want code %s", err, code)
	}
	if coded.Code != code {
		t.Fatalf("error %q has code %s, want %s", coded, coded.Code, code)
	}
	if coded.Error() == "" {
		t.Fatal("the error has no message")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in       money.Decimal
		currency string
		units    money.Units
		out      money.Decimal
	}{
		{"335.50", "USD", 33_550_000_000, "335.50"},
		{"335.5", "USD", 33_550_000_000, "335.50"},
		{"34", "USD", 3_400_000_000, "34.00"},
		{"2.1572", "USD", 215_720_000, "2.1572"},
		{"-2.1572", "USD", -215_720_000, "-2.1572"},
		{"0", "USD", 0, "0.00"},
		{"0.00000001", "USD", 1, "0.00000001"},
		{"-0.00000001", "USD", -1, "-0.00000001"},
		{"0.10000000", "USD", 10_000_000, "0.10"},
		{"10000000000", "USD", money.MaxUnits, "10000000000.00"},
		{"-10000000000.00000000", "USD", -money.MaxUnits, "-10000000000.00"},
		{"500", "JPY", 500_000_000, "500"},
		{"0.000001", "JPY", 1, "0.000001"},
		{"1000000000000", "JPY", money.MaxUnits, "1000000000000"},
		{"5.124", "KWD", 5_124_000_000, "5.124"},
		{"5.1", "KWD", 5_100_000_000, "5.100"},
		{"0.000000001", "KWD", 1, "0.000000001"},
		{"1000000000", "KWD", money.MaxUnits, "1000000000.000"},
		{"5", "ISK", 5_000_000, "5"},
		{"5", "UGX", 5_000_000, "5"},
		{"5.5", "MGA", 550_000_000, "5.50"},
		{"12.5", "POINTS", 12_500_000, "12.5"},
		{"7", "V2X", 7_000_000, "7"},
	}
	for _, tt := range tests {
		a, err := money.Parse(tt.in, tt.currency)
		if err != nil {
			t.Errorf("parse %s %s: %v", tt.in, tt.currency, err)
			continue
		}
		if want := (money.Amount{Units: tt.units, Currency: tt.currency}); a != want {
			t.Errorf("parse %s %s = %d units, want %d", tt.in, tt.currency, a.Units, want.Units)
		}
		if got := a.Decimal(); got != tt.out {
			t.Errorf("%s %s is written as %s, want %s", tt.in, tt.currency, got, tt.out)
		}
		if got, want := a.String(), string(tt.out)+" "+tt.currency; got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	formats := []money.Decimal{
		"", "-", ".", "-.", ".5", "5.", "-.5", "+5", "--5", "-0", "-0.0", "-0.00", "00", "007", "-01", "00.5",
		"1e3", "1E3", "0x10", "1_000", "1,000", "1.000,00", "1.2.3", " 1", "1 ", "1\n", "\t1", "1\x00",
		"NaN", "Infinity", "-Inf", "ten", "\u0661\u0662", "\uff11\uff12", "\u22125", "5-", "$5", "5 USD",
		"000000000000000000000000000000001", "1.000000000000000000000000000000000",
	}
	for _, in := range formats {
		t.Run(string(in), func(t *testing.T) {
			_, err := money.Parse(in, "USD")
			wantCode(t, err, money.CodeFormat)
			var d money.Decimal
			wantCode(t, d.UnmarshalGQL(string(in)), money.CodeFormat)
		})
	}

	type parser func(money.Decimal, string) (money.Amount, error)
	for _, tt := range []struct {
		name     string
		parse    parser
		in       money.Decimal
		currency string
		code     money.ErrorCode
	}{
		{"ledger: ninth digit of dollars", money.Parse, "1.000000001", "USD", money.CodeDigits},
		{"ledger: seventh digit of yen", money.Parse, "1.0000001", "JPY", money.CodeDigits},
		{"ledger: tenth digit of dinars", money.Parse, "1.0000000001", "KWD", money.CodeDigits},
		{"ledger: excess zeros are digits too", money.Parse, "1.000000000", "USD", money.CodeDigits},
		{"line: seventh digit of dollars", money.ParseLine, "1.0000001", "USD", money.CodeDigits},
		{"line: fifth digit of yen", money.ParseLine, "1.00001", "JPY", money.CodeDigits},
		{"minor: third digit of dollars", money.ParseMinor, "1.001", "USD", money.CodeDigits},
		{"minor: a digit of yen", money.ParseMinor, "10.00", "JPY", money.CodeDigits},
		{"minor: a digit of points", money.ParseMinor, "1.5", "POINTS", money.CodeDigits},
		{"beyond the largest amount", money.Parse, "10000000000.00000001", "USD", money.CodeOverflow},
		{"beyond the least amount", money.Parse, "-10000000000.01", "USD", money.CodeOverflow},
		{"beyond 64 bits", money.Parse, "99999999999999999999999999", "USD", money.CodeOverflow},
		{"wraps around 64 bits to a small number", money.Parse, "184467440737.09551617", "USD", money.CodeOverflow},
		{"no currency", money.Parse, "1", "", money.CodeCurrency},
		{"small letters", money.Parse, "1", "usd", money.CodeCurrency},
		{"too short", money.Parse, "1", "US", money.CodeCurrency},
		{"too long", money.Parse, "1", "ABCDEFGHIJKLM", money.CodeCurrency},
		{"digit first", money.Parse, "1", "1UP", money.CodeCurrency},
		{"blank inside", money.Parse, "1", "U D", money.CodeCurrency},
		{"four digits by ISO", money.Parse, "1", "CLF", money.CodeCurrency},
		{"four digits by ISO", money.Parse, "1", "UYW", money.CodeCurrency},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := tt.parse(tt.in, tt.currency)
			wantCode(t, err, tt.code)
			if a != (money.Amount{}) {
				t.Errorf("an amount came back with the error: %v", a)
			}
		})
	}
}

func TestParsersTakeWhatTheirPurposeAllows(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"USD", "JPY", "KWD", "POINTS"} {
		digits := money.Exponent(currency)
		for extra := 0; extra <= 7; extra++ {
			text := money.Decimal("1")
			if digits+extra > 0 {
				text += "." + money.Decimal("000000000000"[:digits+extra-1]) + "1"
			}
			_, minor := money.ParseMinor(text, currency)
			_, line := money.ParseLine(text, currency)
			_, ledger := money.Parse(text, currency)
			if got, want := minor == nil, extra == 0; got != want {
				t.Errorf("ParseMinor(%s %s): accepted %t, want %t", text, currency, got, want)
			}
			if got, want := line == nil, extra <= 4; got != want {
				t.Errorf("ParseLine(%s %s): accepted %t, want %t", text, currency, got, want)
			}
			if got, want := ledger == nil, extra <= 6; got != want {
				t.Errorf("Parse(%s %s): accepted %t, want %t", text, currency, got, want)
			}
		}
	}
}

func TestSubtract(t *testing.T) {
	t.Parallel()
	tests := []struct {
		a, b, want money.Decimal
		currency   string
	}{
		{"335.50", "34", "301.50", "USD"},
		{"2005", "2.1572", "2002.8428", "USD"},
		{"1", "1.00000001", "-0.00000001", "USD"},
		{"500", "500", "0", "JPY"},
		{"5.124", "0.004", "5.120", "KWD"},
	}
	for _, tt := range tests {
		a, b := parse(t, tt.a, tt.currency), parse(t, tt.b, tt.currency)
		got, err := a.Sub(b)
		if err != nil {
			t.Fatalf("%s - %s: %v", a, b, err)
		}
		if got.Decimal() != tt.want {
			t.Errorf("%s - %s = %s, want %s", a, b, got, tt.want)
		}
		back, err := got.Add(b)
		if err != nil || back != a {
			t.Errorf("%s + %s = %s, %v, want %s", got, b, back, err, a)
		}
	}
}

func TestCurrenciesDoNotMix(t *testing.T) {
	t.Parallel()
	usd, eur := parse(t, "1", "USD"), parse(t, "1", "EUR")
	for name, pair := range map[string][2]money.Amount{
		"two currencies":  {usd, eur},
		"one is missing":  {usd, {Units: 1}},
		"both are absent": {{Units: 1}, {Units: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := pair[0].Add(pair[1])
			wantCode(t, err, money.CodeMismatch)
			_, err = pair[0].Sub(pair[1])
			wantCode(t, err, money.CodeMismatch)
			_, err = pair[0].Cmp(pair[1])
			wantCode(t, err, money.CodeMismatch)
		})
	}
}

func TestOverflowIsAnError(t *testing.T) {
	t.Parallel()
	most := money.Amount{Units: money.MaxUnits, Currency: "USD"}
	least := money.Amount{Units: -money.MaxUnits, Currency: "USD"}
	one := money.Amount{Units: 1, Currency: "USD"}
	// Amounts this large come from nowhere but a damaged row.
	broken := money.Amount{Units: math.MinInt64, Currency: "USD"}

	operations := map[string]func() (money.Amount, error){
		"most + 1":         func() (money.Amount, error) { return most.Add(one) },
		"least - 1":        func() (money.Amount, error) { return least.Sub(one) },
		"most + most":      func() (money.Amount, error) { return most.Add(most) },
		"least - most":     func() (money.Amount, error) { return least.Sub(most) },
		"broken + broken":  func() (money.Amount, error) { return broken.Add(broken) },
		"broken - broken":  func() (money.Amount, error) { return broken.Sub(broken) },
		"most * 2":         func() (money.Amount, error) { return most.Mul(2) },
		"least * 2":        func() (money.Amount, error) { return least.Mul(2) },
		"most * least int": func() (money.Amount, error) { return most.Mul(math.MinInt64) },
		"broken * -1":      func() (money.Amount, error) { return broken.Mul(-1) },
		"broken rounded":   func() (money.Amount, error) { return broken.RoundToMinor() },
		"broken rate":      func() (money.Amount, error) { return broken.RateToMinor(1) },
		"rate below 0":     func() (money.Amount, error) { return one.RateToMinor(-1) },
		"rate above whole": func() (money.Amount, error) { return one.RateToMinor(1_000_001) },
		"most + 1 raised":  func() (money.Amount, error) { return most.CeilTo(7) },
	}
	for name, operate := range operations {
		t.Run(name, func(t *testing.T) {
			a, err := operate()
			wantCode(t, err, money.CodeOverflow)
			if a != (money.Amount{}) {
				t.Errorf("an amount came back with the error: %v", a)
			}
		})
	}
	for name, got := range map[string]func() (money.Amount, error){
		"most + 0":  func() (money.Amount, error) { return most.Add(money.Amount{Currency: "USD"}) },
		"most * 1":  func() (money.Amount, error) { return most.Mul(1) },
		"least * 1": func() (money.Amount, error) { return least.Mul(-1) },
		"rounded":   func() (money.Amount, error) { return most.RoundToMinor() },
		"whole":     func() (money.Amount, error) { return most.RateToMinor(1_000_000) },
	} {
		if a, err := got(); err != nil || a != most {
			t.Errorf("%s = %v, %v, want the largest amount", name, a, err)
		}
	}
}

func TestMinor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		minor    int64
		currency string
		text     string
	}{
		{33550, "USD", "335.50 USD"},
		{-1, "USD", "-0.01 USD"},
		{0, "EUR", "0.00 EUR"},
		{500, "JPY", "500 JPY"},
		{5124, "KWD", "5.124 KWD"},
		{12, "POINTS", "12 POINTS"},
		{1_000_000_000_000, "USD", "10000000000.00 USD"},
	} {
		a := money.Amount{Units: money.Units(tt.minor) * money.UnitsPerMinor, Currency: tt.currency}
		if a.String() != tt.text {
			t.Errorf("%d minor units of %s are written as %s, want %s", tt.minor, tt.currency, a, tt.text)
		}
		if back, err := a.Minor(); err != nil || back != tt.minor {
			t.Errorf("%s.Minor() = %d, %v, want %d", a, back, err, tt.minor)
		}
	}
	_, err := parse(t, "0.001", "USD").Minor()
	wantCode(t, err, money.CodeDigits)
}

func TestCompare(t *testing.T) {
	t.Parallel()
	low, high := parse(t, "-1", "USD"), parse(t, "0.5", "USD")
	zero := money.Amount{Currency: "USD"}
	for _, tt := range []struct {
		a, b money.Amount
		want int
	}{{low, high, -1}, {high, low, 1}, {low, low, 0}, {zero, low, 1}, {zero, high, -1}} {
		if got, err := tt.a.Cmp(tt.b); err != nil || got != tt.want {
			t.Errorf("%s compared with %s = %d, %v, want %d", tt.a, tt.b, got, err, tt.want)
		}
	}
	if low.Sign() != -1 || zero.Sign() != 0 || high.Sign() != 1 {
		t.Errorf("signs are %d, %d, %d", low.Sign(), zero.Sign(), high.Sign())
	}
	if low.IsZero() || high.IsZero() || !zero.IsZero() {
		t.Error("IsZero is wrong")
	}
}
