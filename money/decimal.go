package money

import (
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"
)

// decimalBytesMax bounds the text of a number. The longest amount that fits
// MaxUnits has 21 bytes ("-10000000000.00000000" and the like).
const decimalBytesMax = 32

// Decimal is a number as it travels: exact text, "335.50" or "-2.1572". There
// is one form: an optional minus, digits without needless leading zeros, and
// a point only between digits. No plus, exponent, blank, separator or "-0".
//
// It is the Go type of the GraphQL scalar of the same name, and reads JSON
// strings only: a JSON number has passed, or may have passed, through a float
// on its way.
type Decimal string

// MarshalGQL writes the number as a JSON string.
func (d Decimal) MarshalGQL(w io.Writer) {
	text, err := json.Marshal(string(d))
	if err != nil {
		text = []byte("null")
	}
	// The writer is a buffer that cannot refuse; the interface has no error.
	_, _ = w.Write(text)
}

// UnmarshalGQL reads the number from a string. What is not a string, or not
// in the accepted form, is an *Error with CodeFormat.
func (d *Decimal) UnmarshalGQL(v any) error {
	s, ok := v.(string)
	if !ok {
		return errorf(CodeFormat, `an amount is written as text, such as "335.50", not as a number`)
	}
	if err := Decimal(s).valid(); err != nil {
		return err
	}
	*d = Decimal(s)
	return nil
}

// valid checks the form. It returns error, not *Error, so that nil stays nil.
func (d Decimal) valid() error {
	s := string(d)
	if len(s) > decimalBytesMax {
		return errorf(CodeFormat, "an amount has at most %d characters", decimalBytesMax)
	}
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	switch {
	case !onlyDigits(whole), point && !onlyDigits(fraction),
		len(whole) > 1 && whole[0] == '0',
		negative && strings.Trim(digits, "0.") == "":
		return errorf(CodeFormat, `%s is not an amount: write it in plain digits, such as "335.50"`, strconv.QuoteToASCII(s))
	}
	return nil
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// scaled reads the number as an integer count of 10^-places, exactly. More
// digits than places is CodeDigits, also when they are zeros: whoever writes
// "10.00 JPY" may mean something else by it.
func (d Decimal) scaled(places, limit int, unit string) (int64, error) {
	if err := d.valid(); err != nil {
		return 0, err
	}
	digits, negative := strings.CutPrefix(string(d), "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if len(fraction) > limit {
		return 0, tooManyDigits(limit, unit)
	}
	var n uint64
	for _, part := range []string{whole, fraction, zeros[:places-len(fraction)]} {
		for i := range len(part) {
			hi, lo := bits.Mul64(n, 10)
			sum, carry := bits.Add64(lo, uint64(part[i]-'0'), 0)
			if hi != 0 || carry != 0 || sum > uint64(MaxUnits) {
				return 0, overflow(fmt.Sprintf("%s %s", d, unit))
			}
			n = sum
		}
	}
	if negative {
		return -int64(n), nil
	}
	return int64(n), nil
}

const zeros = "000000000000"

func tooManyDigits(limit int, unit string) error {
	switch limit {
	case 0:
		return errorf(CodeDigits, "%s has no digits after the point here", unit)
	case 1:
		return errorf(CodeDigits, "%s has at most one digit after the point here", unit)
	}
	return errorf(CodeDigits, "%s has at most %d digits after the point here", unit, limit)
}
