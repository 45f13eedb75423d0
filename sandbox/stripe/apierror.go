package stripesandbox

import (
	"fmt"
	"net/http"
)

// The error types of the API.
const (
	typeAPI         = "api_error"
	typeCard        = "card_error"
	typeIdempotency = "idempotency_error"
	typeInvalid     = "invalid_request_error"
)

// apiError is an answer that is not a success. It is returned as an error by
// everything that serves a request.
type apiError struct {
	status int // HTTP status
	body   object
	// executed says that the operation had begun: the answer is then stored
	// under the idempotency key. Refused parameters are not.
	executed bool
	// keep says that what was changed stays, as with a declined card, which
	// leaves a failed charge behind. Otherwise the transaction's changes go.
	keep bool
}

// Error implements error.
func (e *apiError) Error() string {
	return fmt.Sprintf("%d %s %s: %s", e.status, e.body.str("type"), e.body.str("code"), e.body.str("message"))
}

// invalid is a refused request: 400, nothing executed.
func invalid(code, param, format string, args ...any) *apiError {
	body := object{"type": typeInvalid, "message": fmt.Sprintf(format, args...)}
	if code != "" {
		body["code"] = code
		body["doc_url"] = "https://stripe.com/docs/error-codes/" + dashed(code)
	}
	if param != "" {
		body["param"] = param
	}
	return &apiError{status: http.StatusBadRequest, body: body}
}

// conflict is a request that does not fit the object's state: 400, executed.
func conflict(code, format string, args ...any) *apiError {
	e := invalid(code, "", format, args...)
	e.executed = true
	return e
}

// missing is an object that does not exist: 404.
func missing(kind, id, param string) *apiError {
	e := invalid("resource_missing", param, "No such %s: '%s'", spokenKind(kind), id)
	e.status = http.StatusNotFound
	return e
}

// unknown is missing for an object that a parameter names: a 400 then, unless it
// is the id in the address, because the address itself does exist.
func unknown(kind, id, param string) *apiError {
	e := missing(kind, id, param)
	if param != "id" {
		e.status = http.StatusBadRequest
	}
	return e
}

func notEmulated(param, what string) *apiError {
	return invalid("", param, "%s is not emulated by this sandbox.", what)
}

// spokenKind is how messages call a kind of object.
func spokenKind(kind string) string {
	switch kind {
	case "payment_intent", "setup_intent", "checkout.session", "webhook_endpoint":
		return kind
	case "payment_method":
		return "PaymentMethod"
	}
	return kind
}

func dashed(code string) string {
	out := []byte(code)
	for i, c := range out {
		if c == '_' {
			out[i] = '-'
		}
	}
	return string(out)
}
