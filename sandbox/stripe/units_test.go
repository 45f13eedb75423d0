package stripesandbox

import (
	"errors"
	"math/big"
	"net/url"
	"testing"
	"testing/quick"
	"time"
)

func FuzzParams(f *testing.F) {
	for _, seed := range []string{
		"", "a=1", "a[b]=1&a[c]=2", "a[0][b]=1&a[1][b]=2", "a[]=1&a[]=2", "a=1&a[b]=2", "[x]=1", "a[=1", "a]=1", "a[b]c=1",
		"line_items[0][price]=p&line_items[0][quantity]=3", "metadata=&metadata[a]=", "a[9999999999999999999]=1", "a[-1]=1", "created[gt]=x",
		"a[b][c][d][e][f][g][h][i]=1", "%ff=%ff", "amount=1e9", "unit_amount_decimal=0.000000000001",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		in, err := parseParams(form, func(string) string { return "" })
		if err != nil {
			if refusal := (*apiError)(nil); !errors.As(err, &refusal) {
				t.Fatalf("%q is refused with %v, which is no answer", query, err)
			}
			return
		}
		// Whatever was sent can be read as anything without a panic.
		for name := range in.values {
			in.str(name)
			in.num(name, 0, 10)
			in.flag(name, false)
			in.decimal(name)
			in.url(name)
			in.currency(name)
			in.texts(name)
			for _, element := range in.list(name) {
				element.filled("b")
				element.part("c").need("d")
			}
		}
		in.metadata(object{"former": "value"})
		if err := in.err(); err != nil {
			if refusal := (*apiError)(nil); !errors.As(err, &refusal) {
				t.Fatalf("%q is refused with %v, which is no answer", query, err)
			}
		}
	})
}

// TestMultiplyIsHalfUp compares with a definition in another form: the result
// is the largest whole number that is not above the product plus one half.
func TestMultiplyIsHalfUp(t *testing.T) {
	t.Parallel()
	half := big.NewRat(1, 2)
	property := func(units uint32, places uint32, quantity uint16) bool {
		unit := new(big.Rat).SetFrac64(int64(units%10_000)*1_000_000+int64(places%1_000_000), 1_000_000)
		price := object{"currency": "eur", "unit_amount_decimal": unit.FloatString(6)}
		got, ok := multiply(price, int64(quantity))
		bound := new(big.Rat).Add(new(big.Rat).Mul(unit, new(big.Rat).SetInt64(int64(quantity))), half)
		if !ok {
			return bound.Cmp(new(big.Rat).SetInt64(amountMax)) > 0
		}
		low, high := new(big.Rat).SetInt64(got), new(big.Rat).SetInt64(got+1)
		return low.Cmp(bound) <= 0 && high.Cmp(bound) > 0
	}
	if err := quick.Check(property, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
	if n, ok := multiply(object{"currency": "kwd", "unit_amount_decimal": "33.5"}, 1); !ok || n != 30 {
		t.Errorf("33.5 thousandths of a dinar are %d, want 30: the last digit is always 0", n)
	}
}

func TestDisplay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount   int64
		currency string
		want     string
	}{
		{0, "eur", "0.00 EUR"},
		{5, "eur", "0.05 EUR"},
		{1200, "usd", "12.00 USD"},
		{-7, "usd", "-0.07 USD"},
		{500, "jpy", "500 JPY"},
		{0, "jpy", "0 JPY"},
		{5120, "kwd", "5.120 KWD"},
		{500, "isk", "5.00 ISK"},
	} {
		if got := display(c.amount, c.currency); got != c.want {
			t.Errorf("%d %s is shown as %s, want %s", c.amount, c.currency, got, c.want)
		}
	}
}

func TestPeriodEndKeepsTheDay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from     string
		interval string
		count, n int64
		want     string
	}{
		{"2026-01-31", "month", 1, 1, "2026-02-28"},
		{"2026-01-31", "month", 1, 2, "2026-03-31"},
		{"2028-01-31", "month", 1, 1, "2028-02-29"},
		{"2028-02-29", "year", 1, 1, "2029-02-28"},
		{"2028-02-29", "year", 1, 4, "2032-02-29"},
		{"2026-11-30", "month", 3, 1, "2027-02-28"},
		{"2026-12-30", "week", 2, 1, "2027-01-13"},
		{"2026-12-31", "day", 1, 1, "2027-01-01"},
	} {
		from, err := time.Parse(time.DateOnly, c.from)
		if err != nil {
			t.Fatal(err)
		}
		end := periodEnd(from.Unix(), object{"interval": c.interval, "interval_count": c.count}, c.n)
		if got := time.Unix(end, 0).UTC().Format(time.DateOnly); got != c.want {
			t.Errorf("period %d of %d %s from %s ends on %s, want %s", c.n, c.count, c.interval, c.from, got, c.want)
		}
	}
}

func TestCardTableIsConsistent(t *testing.T) {
	t.Parallel()
	keys, numbers, tokens := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, c := range testCards {
		if keys[c.key] || numbers[c.number] {
			t.Errorf("card %s (%s) is there twice", c.key, c.number)
		}
		keys[c.key], numbers[c.number] = true, true
		for _, token := range c.tokens {
			if tokens[token] {
				t.Errorf("token %s is there twice", token)
			}
			tokens[token] = true
		}
		if sum := luhn(c.number); (sum%10 == 0) == (c.invalid != nil) {
			t.Errorf("card %s has the check sum %d", c.number, sum)
		}
	}
}

func luhn(number string) int {
	sum := 0
	for i := range number {
		d := int(number[len(number)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum
}

func TestFutureExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC).Unix()
	for text, want := range map[string]bool{
		"11/26": true, "10/26": false, "12/2026": true, "1226": true, "122026": true, "12 / 26": true, "12-26": true,
		"00/30": false, "13/30": false, "1/30": false, "": false, "ab/cd": false, "12/203": false, "١٢/٣٠": false,
	} {
		if month, year, got := futureExpiry(text, now); got != want || got && (month < 11 || year < 2026) {
			t.Errorf("%q is %d of %d, in the future: %t, want %t", text, month, year, got, want)
		}
	}
}
