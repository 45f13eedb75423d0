package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

// jsonDepthMax bounds the nesting of a request's JSON; the gate then holds
// variables to Limits.Depth.
const jsonDepthMax = 128

// decodeObject reads one JSON object strictly: UTF-8, nothing after it, no
// key twice at any level (the standard library lets the last one win, so two
// readers of one body could see two requests), keys as they are written (the
// standard library would take QUERY for query), and numbers unrounded. It
// stops at the first value too many: a megabyte of `{},` would else be a
// hundred megabytes of maps before anybody could count them.
func decodeObject(data []byte, what string, limits *Limits) (map[string]any, *Error) {
	bad := func(format string, args ...any) *Error {
		e := Errorf(CodeBadUserInput, what+" "+format, args...)
		e.status = http.StatusBadRequest
		return e
	}
	if !utf8.Valid(data) {
		return nil, bad("is not UTF-8")
	}
	d := &decoder{Decoder: json.NewDecoder(bytes.NewReader(data)), limits: limits, listMax: limits.listMax()}
	d.UseNumber()
	first, err := d.Token()
	if err != nil {
		return nil, bad("is not JSON")
	}
	if first != json.Delim('{') {
		return nil, bad("must be a JSON object")
	}
	value, err := d.value(first, 1)
	if err != nil {
		var own *Error
		if errors.As(err, &own) {
			return nil, bad("%s", own.Message)
		}
		return nil, bad("is not JSON: something is wrong near byte %d", d.InputOffset())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, bad("has data after its end")
	}
	return value.(map[string]any), nil
}

// decoder builds the values of one JSON text and counts them meanwhile.
type decoder struct {
	*json.Decoder
	limits  *Limits
	listMax int
	values  int
}

// value reads the value that begins with the given token.
func (d *decoder) value(token json.Token, depth int) (any, error) {
	if d.values++; d.values > d.limits.Values {
		return nil, Errorf(CodeBadUserInput, "has more than %d values, which is the limit", d.limits.Values)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth > jsonDepthMax {
		return nil, Errorf(CodeBadUserInput, "is nested more than %d levels deep", jsonDepthMax)
	}
	if delim == '[' {
		return d.list(depth)
	}
	return d.object(depth)
}

// list reads to the end of a list that has begun.
func (d *decoder) list(depth int) (any, error) {
	list := []any{}
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		if token == json.Delim(']') {
			return list, nil
		}
		if len(list) == d.listMax {
			return nil, Errorf(CodeBadUserInput, "has a list of more than %d items, which is the limit", d.listMax)
		}
		value, err := d.value(token, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
}

// object reads to the end of an object that has begun.
func (d *decoder) object(depth int) (any, error) {
	object := map[string]any{}
	for {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		if token == json.Delim('}') {
			return object, nil
		}
		// The decoder has checked that a key is a string.
		key, _ := token.(string)
		if _, twice := object[key]; twice {
			return nil, Errorf(CodeBadUserInput, "has the key %q twice", cut(key, 64))
		}
		if token, err = d.Token(); err != nil {
			return nil, err
		}
		value, err := d.value(token, depth+1)
		if err != nil {
			return nil, err
		}
		object[key] = value
	}
}

// paramsOf reads query, operationName, variables and extensions. Other keys
// are ignored, as GraphQL over HTTP reserves them for later use.
func paramsOf(object map[string]any) (*graphql.RawParams, *Error) {
	params := &graphql.RawParams{}
	bad := func(key, want string) *Error {
		e := Errorf(CodeBadUserInput, "%s must be %s", key, want)
		e.status = http.StatusBadRequest
		return e
	}
	var ok bool
	if v := object["query"]; v != nil {
		if params.Query, ok = v.(string); !ok {
			return nil, bad("query", "a string")
		}
	}
	if v := object["operationName"]; v != nil {
		if params.OperationName, ok = v.(string); !ok {
			return nil, bad("operationName", "a string or null")
		}
	}
	if v := object["variables"]; v != nil {
		if params.Variables, ok = v.(map[string]any); !ok {
			return nil, bad("variables", "an object or null")
		}
	}
	if v := object["extensions"]; v != nil {
		if params.Extensions, ok = v.(map[string]any); !ok {
			return nil, bad("extensions", "an object or null")
		}
	}
	if params.Query == "" && params.Extensions["persistedQuery"] == nil {
		return nil, bad("query", "given")
	}
	return params, nil
}

// readBody reads the parameters of a POST.
func (s *server) readBody(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *Error) {
	mediaType, charset, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != mediaJSON {
		return nil, unsupported("the body must be of Content-Type application/json")
	}
	if cs := charset["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return nil, unsupported("the body must be in UTF-8")
	}
	if enc := r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return nil, unsupported("the body must not be compressed")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.BodyBytes))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			e := Errorf(CodeBadUserInput, "the body is larger than the limit of %d bytes", large.Limit)
			if r.ContentLength > 0 {
				e = Errorf(CodeBadUserInput, "the body has %d bytes; the limit is %d", r.ContentLength, large.Limit)
			}
			e.status = http.StatusRequestEntityTooLarge
			return nil, e
		}
		e := Errorf(CodeBadUserInput, "the body could not be read to its end")
		e.status = http.StatusBadRequest
		return nil, e
	}
	object, bad := decodeObject(body, "the body", s.limits)
	if bad != nil {
		return nil, bad
	}
	return paramsOf(object)
}

func unsupported(message string) *Error {
	e := Errorf(CodeBadUserInput, "%s", message)
	e.status = http.StatusUnsupportedMediaType
	return e
}

// readURL reads the parameters of a GET.
func (s *server) readURL(r *http.Request) (*graphql.RawParams, *Error) {
	bad := func(format string, args ...any) *Error {
		e := Errorf(CodeBadUserInput, format, args...)
		e.status = http.StatusBadRequest
		return e
	}
	if n := int64(len(r.URL.RawQuery)); n > s.limits.BodyBytes {
		return nil, bad("the URL's query has %d bytes; the limit is %d", n, s.limits.BodyBytes)
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("the URL's query is malformed")
	}
	object := map[string]any{}
	for _, key := range []string{"query", "operationName", "variables", "extensions"} {
		given := values[key]
		if len(given) > 1 {
			return nil, bad("the parameter %s is given %d times; once is allowed", key, len(given))
		}
		if len(given) == 0 || given[0] == "" {
			continue
		}
		if !utf8.ValidString(given[0]) {
			return nil, bad("the parameter %s is not UTF-8", key)
		}
		switch key {
		case "variables", "extensions":
			if given[0] == "null" {
				continue
			}
			value, e := decodeObject([]byte(given[0]), "the parameter "+key, s.limits)
			if e != nil {
				return nil, e
			}
			object[key] = value
		default:
			object[key] = given[0]
		}
	}
	return paramsOf(object)
}
