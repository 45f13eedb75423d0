package money_test

import (
	"testing"

	"purser/money"
)

func TestRoundToMinor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       money.Decimal
		currency string
		want     money.Decimal
	}{
		{"2.1572", "USD", "2.16"},
		{"0.005", "USD", "0.01"},
		{"0.00499999", "USD", "0.00"},
		{"-0.005", "USD", "-0.01"},
		{"-0.00499999", "USD", "0.00"},
		{"0.015", "USD", "0.02"},
		{"0.025", "USD", "0.03"},
		{"7.00", "USD", "7.00"},
		{"0.5", "JPY", "1"},
		{"0.499999", "JPY", "0"},
		{"1.5", "JPY", "2"},
		{"5.1235", "KWD", "5.124"},
		{"5.1234", "KWD", "5.123"},
		{"1.5", "POINTS", "2"},
	} {
		got, err := parse(t, tt.in, tt.currency).RoundToMinor()
		if err != nil || got.Decimal() != tt.want || got.Currency != tt.currency {
			t.Errorf("%s %s rounds to %s, %v, want %s", tt.in, tt.currency, got, err, tt.want)
		}
	}
}

func TestRateToMinor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       money.Decimal
		percent  money.Decimal
		currency string
		want     money.Decimal
	}{
		{"100.00", "20", "USD", "20.00"},
		{"-120.00", "20", "USD", "-24.00"},
		{"2.1572", "8.875", "USD", "0.19"},
		{"0.05", "10", "USD", "0.01"},
		{"-0.05", "10", "USD", "-0.01"},
		{"0.04999999", "10", "USD", "0.00"},
		// 0.49999975, 53.499999875 and 18.499999625 cents: in ledger units
		// each would have been a half.
		{"0.056338", "8.875", "USD", "0.00"},
		{"6.028169", "8.875", "USD", "0.53"},
		{"2.084507", "8.875", "USD", "0.18"},
		{"-6.028169", "8.875", "USD", "-0.53"},
		{"505", "10", "JPY", "51"},
		{"5.124", "5", "KWD", "0.256"},
		{"10000000000", "100", "USD", "10000000000.00"},
		{"10000000000", "0", "USD", "0.00"},
	} {
		rate, err := money.ParseRate(tt.percent)
		if err != nil {
			t.Fatalf("rate %s: %v", tt.percent, err)
		}
		a := parse(t, tt.in, tt.currency)
		if got, err := a.RateToMinor(rate); err != nil || got.Decimal() != tt.want || got.Currency != tt.currency {
			t.Errorf("%s %% of %s = %s, %v, want %s", tt.percent, a, got, err, tt.want)
		}
	}
}

func TestIncludedToMinor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       money.Decimal
		percent  money.Decimal
		currency string
		want     money.Decimal
	}{
		{"120.00", "20", "USD", "20.00"},
		{"-120.00", "20", "USD", "-20.00"},
		{"2.1572", "20", "USD", "0.36"},
		{"119", "19", "JPY", "19"},
		{"0.03", "20", "USD", "0.01"}, // half a cent
		{"-0.03", "20", "USD", "-0.01"},
		{"0.02999999", "20", "USD", "0.00"},
		{"1.07", "7", "KWD", "0.070"},
		{"100.00", "0", "USD", "0.00"},
		{"10000000000", "100", "USD", "5000000000.00"},
	} {
		rate, err := money.ParseRate(tt.percent)
		if err != nil {
			t.Fatalf("rate %s: %v", tt.percent, err)
		}
		a := parse(t, tt.in, tt.currency)
		if got, err := a.IncludedToMinor(rate); err != nil || got.Decimal() != tt.want || got.Currency != tt.currency {
			t.Errorf("%s %% in %s = %s, %v, want %s", tt.percent, a, got, err, tt.want)
		}
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for in, want := range map[money.Decimal]money.Rate{
		"0": 0, "20": 200_000, "8.875": 88_750, "0.0001": 1, "100": 1_000_000, "99.9999": 999_999, "20.0000": 200_000,
	} {
		got, err := money.ParseRate(in)
		if err != nil || got != want {
			t.Errorf("ParseRate(%s) = %d, %v, want %d", in, got, err, want)
		}
		back, err := money.ParseRate(got.Decimal())
		if err != nil || back != want {
			t.Errorf("the rate %s is written as %s", in, got.Decimal())
		}
	}
	for in, want := range map[money.Decimal]money.ErrorCode{
		"-1": money.CodeOverflow, "100.0001": money.CodeOverflow, "101": money.CodeOverflow,
		"99999999999999999999": money.CodeOverflow,
		"8.87501":              money.CodeDigits, "20.00000": money.CodeDigits,
		"20%": money.CodeFormat, "": money.CodeFormat, "2e1": money.CodeFormat,
	} {
		_, err := money.ParseRate(in)
		wantCode(t, err, want)
	}
	if got := money.Rate(88_750).Decimal(); got != "8.875" {
		t.Errorf("the rate is written as %s", got)
	}
}

func TestCeilTo(t *testing.T) {
	t.Parallel()
	cent := money.UnitsPerMinor
	for _, tt := range []struct {
		in   money.Decimal
		step money.Units
		want money.Decimal
	}{
		{"2.1572", cent, "2.16"},
		{"2.15000001", cent, "2.16"},
		{"2.15", cent, "2.15"},
		{"0", cent, "0.00"},
		{"-2.1572", cent, "-2.15"},
		{"-0.001", cent, "0.00"},
		{"2.1572", 1000 * cent, "10.00"},
		{"2.1572", 1, "2.1572"},
	} {
		got, err := parse(t, tt.in, "USD").CeilTo(tt.step)
		if err != nil || got.Decimal() != tt.want {
			t.Errorf("%s raised to a multiple of %d units = %s, %v, want %s", tt.in, tt.step, got, err, tt.want)
		}
	}
	for _, step := range []money.Units{0, -1, -cent} {
		_, err := parse(t, "1", "USD").CeilTo(step)
		wantCode(t, err, money.CodeStep)
	}
}

// TestShareToMinor: a part of an amount as a part is of a whole, rounded once.
func TestShareToMinor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount      money.Units
		part, whole money.Units
		want        money.Units
	}{
		{190_000_000, 1, 2, 95_000_000},
		{1_000_000, 1, 2, 1_000_000}, // half a cent goes up
		{1_000_000, 49, 100, 0},
		{-1_000_000, 1, 2, -1_000_000},
		{999_999, 1, 2, 0}, // a hair below
		{5_000_000, 0, 7, 0},
		{5_000_000, 7, 7, 5_000_000},
		{money.MaxUnits, money.MaxUnits, money.MaxUnits, money.MaxUnits},
		{money.MaxUnits, 1, money.MaxUnits, 0},
	} {
		got, err := money.Amount{c.amount, "USD"}.ShareToMinor(c.part, c.whole)
		if err != nil || got.Units != c.want {
			t.Errorf("%d × %d / %d = %v, %v; want %d", c.amount, c.part, c.whole, got.Units, err, c.want)
		}
	}
	for _, bad := range [][3]money.Units{{1, -1, 2}, {1, 3, 2}, {1, 0, 0}, {money.MaxUnits + 1, 1, 2}, {1, 1, money.MaxUnits + 1}} {
		if _, err := (money.Amount{bad[0], "USD"}).ShareToMinor(bad[1], bad[2]); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}
