package money

import (
	"math/bits"
	"strconv"
	"strings"
)

// Units counts ledger units: millionths of a currency's ISO minor unit.
type Units int64

const (
	// UnitsPerMinor is how many ledger units one minor unit (a cent, a yen, a
	// fils) has.
	UnitsPerMinor Units = 1_000_000

	// MaxUnits is the largest amount or balance, either side of zero: ten
	// billion dollars, a trillion yen, a billion dinars.
	MaxUnits Units = 1_000_000_000_000_000_000
)

// unitDigits is the number of digits a ledger unit has below the minor unit,
// lineDigits how many of them a line of a quote or an invoice may use.
const (
	unitDigits = 6
	lineDigits = 4
)

// Plus returns u + v, or CodeOverflow beyond ±MaxUnits.
func (u Units) Plus(v Units) (Units, error) {
	if !u.inRange() || !v.inRange() {
		return 0, overflow("the sum")
	}
	// Two values in range add up to at most 2·10^18, which an int64 holds.
	if sum := u + v; sum.inRange() {
		return sum, nil
	}
	return 0, overflow("the sum")
}

// Minus returns u - v, or CodeOverflow beyond ±MaxUnits.
func (u Units) Minus(v Units) (Units, error) {
	if !u.inRange() || !v.inRange() {
		return 0, overflow("the difference")
	}
	if difference := u - v; difference.inRange() {
		return difference, nil
	}
	return 0, overflow("the difference")
}

func (u Units) inRange() bool { return u >= -MaxUnits && u <= MaxUnits }

// magnitude returns the distance from zero, also for the least int64.
func (u Units) magnitude() uint64 {
	if u < 0 {
		return -uint64(u)
	}
	return uint64(u)
}

// Amount is a sum of money, possibly negative. The zero Amount has no
// currency and mixes with nothing; zero dollars is Amount{Currency: "USD"}.
type Amount struct {
	Units    Units
	Currency string
}

// Parse reads an amount with the ledger's full precision: six digits more
// than the currency has. It is for usage, balances and limits. Errors are
// CodeCurrency, CodeFormat, CodeDigits and CodeOverflow.
func Parse(d Decimal, currency string) (Amount, error) {
	return parse(d, currency, unitDigits)
}

// ParseMinor reads an amount of whole minor units, as payments, invoices and
// quote totals need it. Errors as of Parse.
func ParseMinor(d Decimal, currency string) (Amount, error) {
	return parse(d, currency, 0)
}

// ParseLine reads the unit amount of a price or a line: at most four digits
// below the minor unit. Errors as of Parse.
func ParseLine(d Decimal, currency string) (Amount, error) {
	return parse(d, currency, lineDigits)
}

func parse(d Decimal, currency string, below int) (Amount, error) {
	if err := ValidCode(currency); err != nil {
		return Amount{}, err
	}
	exponent := Exponent(currency)
	n, err := d.scaled(exponent+unitDigits, exponent+below, currency)
	if err != nil {
		return Amount{}, err
	}
	return Amount{Units(n), currency}, nil
}

// Minor returns the amount in minor units, or CodeDigits when it is not a
// whole number of them.
func (a Amount) Minor() (int64, error) {
	if a.Units%UnitsPerMinor != 0 {
		return 0, errorf(CodeDigits, "%s is not a whole number of the smallest unit of %s", a, a.Currency)
	}
	return int64(a.Units / UnitsPerMinor), nil
}

// Decimal returns the exact number, with at least the digits the currency
// has, more only as far as the value has more: "335.50", "2002.8428".
func (a Amount) Decimal() Decimal {
	exponent := Exponent(a.Currency)
	places := exponent + unitDigits
	digits := strconv.FormatUint(a.Units.magnitude(), 10)
	if missing := places + 1 - len(digits); missing > 0 {
		digits = zeros[:missing] + digits
	}
	whole, fraction := digits[:len(digits)-places], digits[len(digits)-places:]
	fraction = fraction[:exponent] + strings.TrimRight(fraction[exponent:], "0")

	var b strings.Builder
	if a.Units < 0 {
		b.WriteByte('-')
	}
	b.WriteString(whole)
	if fraction != "" {
		b.WriteByte('.')
		b.WriteString(fraction)
	}
	return Decimal(b.String())
}

// String returns the amount for people and logs: "335.50 USD".
func (a Amount) String() string { return string(a.Decimal()) + " " + a.Currency }

// Add returns a + b. Errors are CodeMismatch and CodeOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	if err := a.sameCurrency(b); err != nil {
		return Amount{}, err
	}
	units, err := a.Units.Plus(b.Units)
	if err != nil {
		return Amount{}, err
	}
	return Amount{units, a.Currency}, nil
}

// Sub returns a - b. Errors are CodeMismatch and CodeOverflow.
func (a Amount) Sub(b Amount) (Amount, error) {
	if err := a.sameCurrency(b); err != nil {
		return Amount{}, err
	}
	units, err := a.Units.Minus(b.Units)
	if err != nil {
		return Amount{}, err
	}
	return Amount{units, a.Currency}, nil
}

// Mul returns the amount times a quantity, or CodeOverflow.
func (a Amount) Mul(quantity int64) (Amount, error) {
	hi, lo := bits.Mul64(a.Units.magnitude(), Units(quantity).magnitude())
	return a.product(hi, lo, (a.Units < 0) != (quantity < 0))
}

// Cmp returns -1, 0 or +1 as a is less than, equal to or greater than b, or
// CodeMismatch.
func (a Amount) Cmp(b Amount) (int, error) {
	if err := a.sameCurrency(b); err != nil {
		return 0, err
	}
	switch {
	case a.Units < b.Units:
		return -1, nil
	case a.Units > b.Units:
		return 1, nil
	}
	return 0, nil
}

// Sign returns -1, 0 or +1.
func (a Amount) Sign() int {
	switch {
	case a.Units < 0:
		return -1
	case a.Units > 0:
		return 1
	}
	return 0
}

// IsZero reports whether the amount is zero, whatever its currency.
func (a Amount) IsZero() bool { return a.Units == 0 }

func (a Amount) sameCurrency(b Amount) error {
	if a.Currency != b.Currency || a.Currency == "" {
		return errorf(CodeMismatch, "amounts in %s and %s cannot be taken together",
			named(a.Currency), named(b.Currency))
	}
	return nil
}

// product makes an amount of a 128-bit magnitude and a sign.
func (a Amount) product(hi, lo uint64, negative bool) (Amount, error) {
	if hi != 0 || lo > uint64(MaxUnits) {
		return Amount{}, overflow("the result")
	}
	units := Units(lo)
	if negative {
		units = -units
	}
	return Amount{units, a.Currency}, nil
}

func named(currency string) string {
	if currency == "" {
		return "no currency"
	}
	return currency
}

func overflow(what string) error {
	return errorf(CodeOverflow, "%s is larger than an amount can be", what)
}
