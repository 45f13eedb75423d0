package money

import "fmt"

// ErrorCode tells apart what can be wrong with an amount.
type ErrorCode string

// The codes of this package's errors.
const (
	// CodeCurrency: the currency code is malformed, or not offered.
	CodeCurrency ErrorCode = "CURRENCY"
	// CodeFormat: the text is not a decimal number in the accepted form.
	CodeFormat ErrorCode = "FORMAT"
	// CodeDigits: more digits after the point than the purpose has room for.
	CodeDigits ErrorCode = "DIGITS"
	// CodeOverflow: the value, or the result, is beyond ±MaxUnits.
	CodeOverflow ErrorCode = "OVERFLOW"
	// CodeMismatch: two amounts of different currencies met.
	CodeMismatch ErrorCode = "MISMATCH"
	// CodeStep: the amount is no multiple of what can be charged.
	CodeStep ErrorCode = "STEP"
)

// Error is the only error type of this package. Its message is written for
// the person who sent the amount and holds nothing internal.
type Error struct {
	Code    ErrorCode
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

func errorf(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}
