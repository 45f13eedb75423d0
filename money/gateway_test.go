package money_test

import (
	"math"
	"testing"

	"purser/money"
)

func TestStripe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       money.Decimal
		currency string
		wire     int64
	}{
		{"335.50", "USD", 33550},
		{"0.01", "EUR", 1},
		{"500", "JPY", 500},
		{"5", "ISK", 500},
		{"5", "UGX", 500},
		{"5.120", "KWD", 5120},
		{"5.130", "BHD", 5130},
		{"7.00", "MGA", 7},
		{"100.50", "HUF", 10050},
		{"-1.00", "USD", -100},
	} {
		scale, err := money.StripeScale(tt.currency)
		if err != nil {
			t.Fatalf("scale of %s: %v", tt.currency, err)
		}
		a := parse(t, tt.in, tt.currency)
		if got, err := a.ToGateway(scale); err != nil || got != tt.wire {
			t.Errorf("%s goes to Stripe as %d, %v, want %d", a, got, err, tt.wire)
		}
		if back, err := money.FromGateway(tt.wire, tt.currency, scale); err != nil || back != a {
			t.Errorf("%d comes from Stripe as %s, %v, want %s", tt.wire, back, err, a)
		}
	}
}

func TestWorldpay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       money.Decimal
		currency string
		wire     int64
	}{
		{"335.50", "USD", 33550},
		{"500", "JPY", 500},
		{"5", "ISK", 500},
		{"5", "CLP", 500},
		{"5", "XOF", 5},
		{"5.125", "KWD", 5125},
		{"100.00", "HUF", 100},
		{"20000.00", "IDR", 20000},
	} {
		scale, err := money.WorldpayScale(tt.currency)
		if err != nil {
			t.Fatalf("scale of %s: %v", tt.currency, err)
		}
		a := parse(t, tt.in, tt.currency)
		if got, err := a.ToGateway(scale); err != nil || got != tt.wire {
			t.Errorf("%s goes to Worldpay as %d, %v, want %d", a, got, err, tt.wire)
		}
		if back, err := money.FromGateway(tt.wire, tt.currency, scale); err != nil || back != a {
			t.Errorf("%d comes from Worldpay as %s, %v, want %s", tt.wire, back, err, a)
		}
	}
	scale, err := money.WorldpayScale("HUF")
	if err != nil {
		t.Fatal(err)
	}
	_, err = parse(t, "100.50", "HUF").ToGateway(scale)
	wantCode(t, err, money.CodeStep)
	for _, currency := range []string{"POINTS", "usd", "", "CLF"} {
		_, err := money.WorldpayScale(currency)
		wantCode(t, err, money.CodeCurrency)
	}
}

func TestStripeRefusesWhatIsNoMultipleOfTheStep(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in       money.Decimal
		currency string
		message  string
	}{
		{"2.1572", "USD", "2.1572 USD cannot be charged: amounts must be multiples of 0.01 USD"},
		{"5.124", "KWD", "5.124 KWD cannot be charged: amounts must be multiples of 0.010 KWD"},
		{"5.5", "ISK", "5.5 ISK cannot be charged: amounts must be multiples of 1 ISK"},
		{"5.01", "MGA", "5.01 MGA cannot be charged: amounts must be multiples of 1.00 MGA"},
		{"0.000001", "JPY", "0.000001 JPY cannot be charged: amounts must be multiples of 1 JPY"},
	} {
		scale, err := money.StripeScale(tt.currency)
		if err != nil {
			t.Fatalf("scale of %s: %v", tt.currency, err)
		}
		a := parse(t, tt.in, tt.currency)
		_, err = a.ToGateway(scale)
		wantCode(t, err, money.CodeStep)
		if err.Error() != tt.message {
			t.Errorf("message %q, want %q", err, tt.message)
		}

		step, err := scale.Units(tt.currency)
		if err != nil {
			t.Fatalf("step of %s: %v", tt.currency, err)
		}
		up, err := a.CeilTo(step)
		if err != nil {
			t.Fatalf("raise %s: %v", a, err)
		}
		if _, err := up.ToGateway(scale); err != nil {
			t.Errorf("%s raised to %s is still refused: %v", a, up, err)
		}
		if _, err := up.Minor(); err != nil {
			t.Errorf("%s raised to %s is not whole minor units: %v", a, up, err)
		}
	}
}

func TestStripeHasNoScaleForEveryCurrency(t *testing.T) {
	t.Parallel()
	for _, currency := range []string{"POINTS", "IQD", "LYD", "usd", "", "CLF"} {
		_, err := money.StripeScale(currency)
		wantCode(t, err, money.CodeCurrency)
	}
}

func TestScaleLimits(t *testing.T) {
	t.Parallel()
	usd := parse(t, "1", "USD")
	for _, scale := range []money.GatewayScale{{}, {Exponent: 2}, {Exponent: 2, Step: -1}, {Exponent: -1, Step: 1}, {Exponent: 7, Step: 1}} {
		_, err := usd.ToGateway(scale)
		wantCode(t, err, money.CodeStep)
		_, err = money.FromGateway(1, "USD", scale)
		wantCode(t, err, money.CodeStep)
		_, err = scale.Units("USD")
		wantCode(t, err, money.CodeStep)
	}
	cents := money.GatewayScale{Exponent: 2, Step: 1}
	_, err := money.FromGateway(math.MaxInt64, "USD", cents)
	wantCode(t, err, money.CodeOverflow)
	_, err = money.FromGateway(math.MinInt64, "USD", cents)
	wantCode(t, err, money.CodeOverflow)
	_, err = money.FromGateway(1, "usd", cents)
	wantCode(t, err, money.CodeCurrency)
	_, err = money.GatewayScale{Exponent: 2, Step: math.MaxInt64}.Units("USD")
	wantCode(t, err, money.CodeOverflow)

	// The least common multiple of 1.5 cents and a cent is 3 cents.
	step, err := money.GatewayScale{Exponent: 3, Step: 15}.Units("USD")
	if err != nil || step != 3*money.UnitsPerMinor {
		t.Errorf("step is %d units, %v, want three cents", step, err)
	}
	// A gateway that counts finer than the currency still charges whole minor units.
	step, err = money.GatewayScale{Exponent: 4, Step: 1}.Units("USD")
	if err != nil || step != money.UnitsPerMinor {
		t.Errorf("step is %d units, %v, want a cent", step, err)
	}
}

func TestStripeMinimum(t *testing.T) {
	t.Parallel()
	for currency, want := range map[string]money.Decimal{"USD": "0.50", "GBP": "0.30", "JPY": "50", "HUF": "175.00"} {
		if got, ok := money.StripeMinimum(currency); !ok || got != parse(t, want, currency) {
			t.Errorf("the smallest charge in %s is %s, %v, want %s", currency, got, ok, want)
		}
	}
	for _, currency := range []string{"KWD", "POINTS", "", "0.50"} {
		if got, ok := money.StripeMinimum(currency); ok {
			t.Errorf("the smallest charge in %q is %s, want none known", currency, got)
		}
	}
}
