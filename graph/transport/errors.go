package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"runtime/debug"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// The codes in `errors[].extensions.code`. They are the whole list: nothing
// else leaves the endpoint.
const (
	// CodeParseFailed: the document is not GraphQL.
	CodeParseFailed = "GRAPHQL_PARSE_FAILED"
	// CodeValidationFailed: the document or its variables do not fit the schema.
	CodeValidationFailed = "GRAPHQL_VALIDATION_FAILED"
	// CodeBadUserInput: a value is out of its range or the request is malformed.
	CodeBadUserInput = "BAD_USER_INPUT"
	// CodeUnauthenticated: no, unknown, expired or revoked credentials.
	CodeUnauthenticated = "UNAUTHENTICATED"
	// CodeForbidden: the credentials do not reach this.
	CodeForbidden = "FORBIDDEN"
	// CodeRateLimited: too much at once; `retryAfterSeconds` says when again.
	CodeRateLimited = "RATE_LIMITED"
	// CodeComplexity: the document is larger than a limit allows.
	CodeComplexity = "COMPLEXITY_LIMIT_EXCEEDED"
	// CodePersistedQueryNotFound: send the text along with its hash.
	CodePersistedQueryNotFound = "PERSISTED_QUERY_NOT_FOUND"
	// CodeUnavailable: something needed does not answer now; try again.
	CodeUnavailable = "UNAVAILABLE"
	// CodeInternal: our fault; the log knows `requestId`.
	CodeInternal = "INTERNAL"
)

// messageBytesMax bounds one error's text: messages quote what the caller
// sent, and a document may hold a string of 64 KiB.
const messageBytesMax = 2 << 10

// Error is an error whose code and text are meant for the caller.
type Error struct {
	// Code is one of the constants above.
	Code string
	// Message is shown as it is.
	Message string
	// Extensions are shown beside the code.
	Extensions map[string]any

	// status is the HTTP status where it differs from the usual one.
	status int
}

// Errorf returns an error with a code and a text for the caller.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Error returns the text.
func (e *Error) Error() string { return e.Message }

// limitError says which limit was passed, by what, and the limit itself.
func limitError(what string, actual, limit int64) *Error {
	return Errorf(CodeComplexity, "%s: %d; the limit is %d", what, actual, limit)
}

// gql wraps the error as gqlgen's hooks want it.
func (e *Error) gql() *gqlerror.Error {
	return &gqlerror.Error{Err: e, Message: e.Message, Extensions: e.extensions()}
}

func (e *Error) extensions() map[string]any {
	ext := make(map[string]any, len(e.Extensions)+1)
	maps.Copy(ext, e.Extensions)
	ext["code"] = e.Code
	return ext
}

// present is the endpoint's error presenter: it decides what of an error
// reaches the caller.
func (s *server) present(ctx context.Context, err error) *gqlerror.Error {
	var shown *gqlerror.Error
	if !errors.As(err, &shown) {
		shown = gqlerror.WrapPath(graphql.GetPath(ctx), err)
	}

	var own *Error
	switch {
	case errors.As(err, &own):
		shown = &gqlerror.Error{
			Err: own, Message: own.Message, Extensions: own.extensions(),
			Path: shown.Path, Locations: shown.Locations,
		}
	case shown.Err == nil && isDocumentError(shown):
		// The parser's and the validator's errors speak about the caller's own
		// document, and nobody else sets these codes without wrapping.
		plain := *shown
		plain.Message = documentText(plain.Message)
		shown = &plain
	default:
		shown = s.presentUnknown(ctx, err, shown)
	}

	// A copy, because a presenter may answer with an error it keeps.
	out := *shown
	switch code(shown) {
	case CodeInternal, CodeUnavailable:
		out.Extensions = maps.Clone(shown.Extensions)
		out.Extensions["requestId"] = RequestID(ctx)
	}
	out.Message = cut(shown.Message, messageBytesMax)
	return &out
}

// presentUnknown asks the given presenter about an error that this package
// did not make, and logs it where nobody knows it.
func (s *server) presentUnknown(ctx context.Context, err error, raw *gqlerror.Error) *gqlerror.Error {
	path := raw.Path
	if path == nil {
		path = graphql.GetPath(ctx)
	}
	show := func(code, message string) *gqlerror.Error {
		return &gqlerror.Error{Message: message, Path: path, Extensions: map[string]any{"code": code}}
	}
	if s.presentError != nil {
		if shown := s.presentError(ctx, err); shown != nil && code(shown) != "" && code(shown) != CodeInternal {
			return shown
		}
	}
	if isUnreadArgument(ctx) {
		if goText.MatchString(raw.Message) {
			return show(CodeBadUserInput, "the value of an argument cannot be read")
		}
		return show(CodeBadUserInput, raw.Message)
	}
	// A cancelled statement reports itself in the database's words, so the
	// context tells better than the error what happened.
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return show(CodeUnavailable, "the operation took too long and was stopped")
	case errors.Is(ctx.Err(), context.Canceled):
		return show(CodeUnavailable, "the request was canceled")
	}
	s.logger.ErrorContext(ctx, "internal error in a graphql operation",
		slog.String("request_id", RequestID(ctx)),
		slog.String("path", path.String()),
		slog.Any("error", err))
	return show(CodeInternal, "internal error")
}

// isUnreadArgument reports whether the error is about reading the arguments of
// a field, before its resolver: generated code sets Args once all are read. A
// custom scalar's refusal comes this way and wraps nothing that would tell.
func isUnreadArgument(ctx context.Context) bool {
	fc := graphql.GetFieldContext(ctx)
	return fc != nil && fc.Field.Field != nil && len(fc.Field.Arguments) > 0 && fc.Args == nil
}

// goText finds the names of Go types and packages that gqlgen's own readers
// put into their errors ("json.Number is not a string").
var goText = regexp.MustCompile(`map\[|interface \{|\[\]|\*|\b(strconv|json|reflect|runtime)\b|\b[a-z]+\.[A-Z]\w*`)

// documentTexts are the few texts about documents and variables in which
// gqlparser and gqlgen use Go's words, and what is said instead.
var documentTexts = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`^cannot use (?:value )?\S+ as (\w+)(?:: .*)?$`), "the value is not of the type $1"},
	{regexp.MustCompile(`^must be a (\w+), not a \w+$`), "the value is not of the type $1"},
	{regexp.MustCompile(`^enums must be ints or strings$`), "the value is not the name of an enum value"},
	{regexp.MustCompile(`^must an input type$`), "the variable is not of an input type"},
	{regexp.MustCompile(`^operation  not found$`), "operationName must name one of the document's operations"},
}

func documentText(text string) string {
	for _, t := range documentTexts {
		if t.pattern.MatchString(text) {
			return t.pattern.ReplaceAllString(text, t.text)
		}
	}
	return text
}

// recovered is the executor's recover function: the panic goes to the log,
// the caller learns the request id.
func (s *server) recovered(ctx context.Context, value any) error {
	s.logger.ErrorContext(ctx, "panic in a graphql operation",
		slog.String("request_id", RequestID(ctx)),
		slog.Any("panic", value),
		slog.String("stack", string(debug.Stack())))
	return Errorf(CodeInternal, "internal error")
}

func isDocumentError(e *gqlerror.Error) bool {
	c := code(e)
	return c == CodeParseFailed || c == CodeValidationFailed
}

// code returns the code of a presented error, empty where it has none.
func code(e *gqlerror.Error) string {
	if e == nil {
		return ""
	}
	c, _ := e.Extensions["code"].(string)
	return c
}

func firstCode(list gqlerror.List) string {
	if len(list) == 0 {
		return ""
	}
	return code(list[0])
}

// statusOf returns the HTTP status of a request error. Over application/json
// a well-formed request is answered 200 whatever its document says; over
// application/graphql-response+json the same errors are 400.
func statusOf(list gqlerror.List, mediaType string) int {
	for _, e := range list {
		var own *Error
		if errors.As(e, &own) && own.status != 0 {
			return own.status
		}
		switch code(e) {
		case CodeRateLimited:
			return http.StatusTooManyRequests
		case CodeUnavailable:
			return http.StatusServiceUnavailable
		case CodeInternal:
			return http.StatusInternalServerError
		}
	}
	if mediaType == mediaGraphQL {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// limitErrors keeps the first errors of an answer and says how many it left
// out: fifteen kilobytes of a document can make a megabyte and a half of them.
func limitErrors(list gqlerror.List, limits *Limits) gqlerror.List {
	kept, size := 0, 0
	for kept < len(list) && kept < limits.Errors {
		b, err := json.Marshal(list[kept])
		if err != nil {
			// Extensions that cannot be written must not cost the answer.
			list[kept] = &gqlerror.Error{
				Message:    list[kept].Message,
				Path:       list[kept].Path,
				Extensions: map[string]any{"code": code(list[kept])},
			}
			b, _ = json.Marshal(list[kept])
		}
		if size += len(b); size > limits.ErrorBytes && kept > 0 {
			break
		}
		kept++
	}
	omitted := len(list) - kept
	if omitted == 0 {
		return list
	}
	last := *list[kept-1]
	last.Extensions = maps.Clone(last.Extensions)
	if last.Extensions == nil {
		last.Extensions = map[string]any{}
	}
	last.Extensions["errorsOmitted"] = omitted
	return append(append(make(gqlerror.List, 0, kept), list[:kept-1]...), &last)
}

// cut shortens a text to at most n bytes without cutting a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
