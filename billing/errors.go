package billing

import (
	"errors"
	"fmt"

	"purser/ent"
	"purser/money"
)

// Code says what kind of refusal an Error is; the public schema has the same
// codes as UserErrorCode.
type Code string

// The codes of refusals.
const (
	CodeInvalid               Code = "INVALID"
	CodeRequired              Code = "REQUIRED"
	CodeNotFound              Code = "NOT_FOUND"
	CodeTaken                 Code = "TAKEN"
	CodeInvalidState          Code = "INVALID_STATE"
	CodeExpired               Code = "EXPIRED"
	CodeCurrencyMismatch      Code = "CURRENCY_MISMATCH"
	CodeInsufficientFunds     Code = "INSUFFICIENT_FUNDS"
	CodeCreditLimitExceeded   Code = "CREDIT_LIMIT_EXCEEDED"
	CodeFundsReserved         Code = "FUNDS_RESERVED"
	CodeBelowMinimum          Code = "BELOW_MINIMUM"
	CodePaymentMethodRequired Code = "PAYMENT_METHOD_REQUIRED"
	CodeChargingDisabled      Code = "CHARGING_DISABLED"
	CodeProviderUnsupported   Code = "PROVIDER_UNSUPPORTED"
	CodeProviderRefused       Code = "PROVIDER_REFUSED"
	CodeProviderUnavailable   Code = "PROVIDER_UNAVAILABLE"
	CodeInUse                 Code = "IN_USE"
	CodeIdempotencyKeyReused  Code = "IDEMPOTENCY_KEY_REUSED"
	CodeLimitExceeded         Code = "LIMIT_EXCEEDED"
)

// Error is a refusal that the caller can act on. Nothing was written.
type Error struct {
	Code    Code
	Message string   // one sentence for a person: what was wrong and what to do
	Field   []string // where in the input, without the leading "input"
	Details *Funds   // what a refusal for lack of funds is made of
	// GatewayCode is the gateway's own code, where it refused and gave one.
	GatewayCode string
	Err         error // what caused it; for the log only
}

// Funds says what a refusal for lack of funds is made of.
type Funds struct {
	Required  money.Amount
	Available money.Amount
	Held      money.Amount
	Shortfall money.Amount
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// refuse makes an Error; field is a dotted path such as "lineItems.0.priceId"
// or empty.
func refuse(code Code, field, format string, args ...any) *Error {
	e := &Error{Code: code, Message: fmt.Sprintf(format, args...)}
	if field != "" {
		e.Field = splitPath(field)
	}
	return e
}

// Refusal makes an Error for a front door that reads input the domain never
// sees, such as the text of an amount; field is a dotted path.
func Refusal(code Code, field, message string) *Error { return refuse(code, field, "%s", message) }

func splitPath(path string) []string {
	var out []string
	for start, i := 0, 0; i <= len(path); i++ {
		if i == len(path) || path[i] == '.' {
			out = append(out, path[start:i])
			start = i + 1
		}
	}
	return out
}

// notFound is the one answer for an object that does not exist and for one of
// another organization.
func notFound(field, what, id string) *Error {
	return refuse(CodeNotFound, field, "there is no %s %.64q", what, id)
}

// orNotFound turns ent's not-found into a refusal and leaves the rest.
func orNotFound(err error, field, what, id string) error {
	if ent.IsNotFound(err) {
		return notFound(field, what, id)
	}
	return err
}

// isRefusal reports whether an error is for the caller to act on.
func isRefusal(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal)
}

// wrapped says of an error what was attempted; nil stays nil.
func wrapped(err error, attempted string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", attempted, err)
}

// refusedAmount turns an error of package money into a refusal at field.
func refusedAmount(err error, field string) error {
	var m *money.Error
	if !errors.As(err, &m) {
		return err
	}
	code := CodeInvalid
	if m.Code == money.CodeCurrency || m.Code == money.CodeMismatch {
		code = CodeCurrencyMismatch
	}
	e := refuse(code, field, "%s", m.Message)
	e.Err = err
	return e
}

// errRetry makes inTx run its closure again.
var errRetry = errors.New("the row changed under the transaction")

// isRefused reports whether an error is a refusal.
func isRefused(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal)
}
