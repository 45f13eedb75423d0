package stripesandbox

import (
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// params are the parameters of one request or of one nested part of it. The
// readers remember the first thing wrong; whoever reads asks err before acting.
type params struct {
	prefix string // name of this part, "" at the top
	values map[string]any
	path   func(name string) string // wildcards of the route
	fail   *error                   // shared by all parts of one request
}

const (
	paramDepthMax = 8
	paramCountMax = 5000
)

// parseParams reads names such as a[b][0][c] into nested parts. Numbered names
// and names ending in [] are arrays, in the order of their numbers.
func parseParams(form url.Values, path func(string) string) (*params, error) {
	if len(form) > paramCountMax {
		return nil, invalid("", "", "The request has more than %d parameters.", paramCountMax)
	}
	root := map[string]any{}
	for name, values := range form {
		keys, err := splitName(name)
		if err != nil {
			return nil, err
		}
		for i, value := range values {
			if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
				return nil, invalid("parameter_invalid_string_blank", name, "Invalid string: the value of %s is not valid UTF-8 text.", name)
			}
			resolved := slices.Clone(keys)
			for j, key := range resolved {
				if key == "" {
					resolved[j] = strconv.Itoa(i)
				}
			}
			if !place(root, resolved, value) {
				return nil, invalid("", name, "Invalid parameter: %s is given both as a value and as a hash.", name)
			}
		}
	}
	return &params{values: root, path: path, fail: new(error)}, nil
}

func splitName(name string) ([]string, error) {
	head, rest, nested := strings.Cut(name, "[")
	keys := []string{head}
	for nested {
		key, after, closed := strings.Cut(rest, "]")
		if !closed || (after != "" && after[0] != '[') {
			return nil, invalid("parameter_unknown", name, "Received unknown parameter: %s", name)
		}
		keys = append(keys, key)
		if after == "" {
			break
		}
		rest = after[1:]
	}
	if head == "" || len(keys) > paramDepthMax {
		return nil, invalid("parameter_unknown", name, "Received unknown parameter: %s", name)
	}
	return keys, nil
}

func place(into map[string]any, keys []string, value string) bool {
	for _, key := range keys[:len(keys)-1] {
		next, ok := into[key].(map[string]any)
		if !ok {
			if _, taken := into[key]; taken {
				return false
			}
			next = map[string]any{}
			into[key] = next
		}
		into = next
	}
	last := keys[len(keys)-1]
	if _, nested := into[last].(map[string]any); nested {
		return false
	}
	into[last] = value
	return true
}

// err is the first thing found wrong so far.
func (p *params) err() error { return *p.fail }

func (p *params) refuse(err error) {
	if *p.fail == nil {
		*p.fail = err
	}
}

func (p *params) full(name string) string {
	if p.prefix == "" {
		return name
	}
	return p.prefix + "[" + name + "]"
}

// has says whether a parameter was sent, be it empty.
func (p *params) has(name string) bool {
	_, ok := p.values[name]
	return ok
}

// filled says whether a parameter was sent with something in it.
func (p *params) filled(name string) bool {
	switch v := p.values[name].(type) {
	case string:
		return v != ""
	case map[string]any:
		return len(v) > 0
	}
	return false
}

// need refuses the request when one of the parameters is missing or empty.
func (p *params) need(names ...string) {
	for _, name := range names {
		if !p.filled(name) {
			p.refuse(invalid("parameter_missing", p.full(name), "Missing required param: %s.", p.full(name)))
		}
	}
}

const textMax = 5000

// str returns a text; "" when it was not sent or is unset.
func (p *params) str(name string) string {
	switch v := p.values[name].(type) {
	case string:
		if utf8.RuneCountInString(v) > textMax {
			p.refuse(invalid("", p.full(name), "Invalid string: %s must be at most %d characters.", p.full(name), textMax))
		}
		return v
	case map[string]any:
		p.refuse(invalid("", p.full(name), "Invalid string: %s must be a string.", p.full(name)))
	}
	return ""
}

// oneOf returns a text that must be among the choices; fallback when not sent.
func (p *params) oneOf(name, fallback string, choices ...string) string {
	v := p.str(name)
	if v == "" {
		return fallback
	}
	if !slices.Contains(choices, v) {
		p.refuse(invalid("", p.full(name), "Invalid %s: must be one of %s", p.full(name), strings.Join(choices, ", ")))
	}
	return v
}

// num returns a whole number between low and high; 0 when not sent.
func (p *params) num(name string, low, high int64) int64 {
	v := p.str(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		p.refuse(invalid("parameter_invalid_integer", p.full(name), "Invalid integer: %s", v))
		return 0
	}
	if n < low || n > high {
		p.refuse(invalid("parameter_invalid_integer", p.full(name), "Invalid value for %s: must be between %d and %d.", p.full(name), low, high))
	}
	return n
}

// flag returns a boolean; fallback when not sent.
func (p *params) flag(name string, fallback bool) bool {
	switch v := p.str(name); v {
	case "":
		return fallback
	case "true":
		return true
	case "false":
		return false
	default:
		p.refuse(invalid("", p.full(name), "Invalid boolean: %s", v))
		return fallback
	}
}

// decimal returns a decimal number of at most 12 places and 15 digits as
// text, "" when not sent.
func (p *params) decimal(name string) string {
	v := p.str(name)
	if v == "" {
		return ""
	}
	whole, places, _ := strings.Cut(v, ".")
	digits := whole + places
	if whole == "" || len(places) > 12 || len(digits) > 27 || strings.Trim(digits, "0123456789") != "" {
		p.refuse(invalid("", p.full(name), "Invalid decimal: %s", v))
		return ""
	}
	return v
}

// wholeDecimal returns the integer value of a decimal text, if it is whole.
func wholeDecimal(text string) (int64, bool) {
	r, ok := new(big.Rat).SetString(text)
	if !ok || !r.IsInt() || !r.Num().IsInt64() {
		return 0, false
	}
	return r.Num().Int64(), true
}

// part returns a nested part; an empty one when it was not sent.
func (p *params) part(name string) *params {
	values, _ := p.values[name].(map[string]any)
	if v, ok := p.values[name].(string); ok && v != "" {
		p.refuse(invalid("", p.full(name), "Invalid hash: %s must be a hash.", p.full(name)))
	}
	return &params{prefix: p.full(name), values: values, path: p.path, fail: p.fail}
}

// list returns the elements of an array of hashes, in order.
func (p *params) list(name string) []*params {
	part := p.part(name)
	var out []*params
	for _, key := range p.order(part) {
		out = append(out, part.part(key))
	}
	return out
}

// texts returns the elements of an array of texts, in order.
func (p *params) texts(name string) []string {
	part := p.part(name)
	var out []string
	for _, key := range p.order(part) {
		out = append(out, part.str(key))
	}
	return out
}

func (p *params) order(part *params) []string {
	keys := slices.Collect(maps.Keys(part.values))
	number := func(key string) int {
		n, err := strconv.Atoi(key)
		if err != nil || n < 0 {
			p.refuse(invalid("", part.prefix, "Invalid array: %s has no numbered elements.", part.prefix))
		}
		return n
	}
	slices.SortFunc(keys, func(a, b string) int { return number(a) - number(b) })
	if len(keys) == 1 {
		number(keys[0])
	}
	return keys
}

const (
	metadataKeysMax  = 50
	metadataKeyMax   = 40
	metadataValueMax = 500
)

// metadata merges what was sent into the former metadata: an empty value
// removes its key, an empty metadata parameter removes all.
func (p *params) metadata(former object) object {
	out := object{}
	maps.Copy(out, former)
	if v, ok := p.values["metadata"].(string); ok && v == "" {
		return object{}
	}
	part := p.part("metadata")
	for key := range part.values {
		value := part.str(key)
		if utf8.RuneCountInString(key) > metadataKeyMax || utf8.RuneCountInString(value) > metadataValueMax {
			p.refuse(invalid("", part.full(key), "Metadata keys are at most %d and values at most %d characters.", metadataKeyMax, metadataValueMax))
		}
		if value == "" {
			delete(out, key)
			continue
		}
		out[key] = value
	}
	if len(out) > metadataKeysMax {
		p.refuse(invalid("", p.full("metadata"), "Metadata has at most %d keys.", metadataKeysMax))
	}
	return out
}

// currency returns a known currency code in lower case; "" when not sent.
func (p *params) currency(name string) string {
	code := strings.ToLower(p.str(name))
	if code == "" {
		return ""
	}
	if _, ok := exponents[code]; !ok {
		p.refuse(invalid("", p.full(name), "Invalid currency: %s.", code))
	}
	return code
}

const amountMax = 99_999_999

// amount returns a number of minor units; three-decimal currencies must end in 0.
func (p *params) amount(name, currency string, low int64) int64 {
	n := p.num(name, low, amountMax)
	if exponents[currency] == 3 && n%10 != 0 {
		p.refuse(invalid("", p.full(name), "Invalid amount: amounts in %s must end in 0.", currency))
	}
	return n
}

// url returns an absolute http or https address; "" when not sent.
func (p *params) url(name string) string {
	v := p.str(name)
	if v == "" {
		return ""
	}
	u, err := url.Parse(v)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		p.refuse(invalid("url_invalid", p.full(name), "Not a valid URL"))
	}
	return v
}

// only refuses parameters that are not in the space-separated list of names;
// expand is always allowed.
func (p *params) only(names string) error {
	known := strings.Fields(names)
	unknown := slices.DeleteFunc(slices.Sorted(maps.Keys(p.values)), func(name string) bool {
		return name == "expand" || slices.Contains(known, name)
	})
	if len(unknown) > 0 {
		return invalid("parameter_unknown", unknown[0], "Received unknown parameter: %s", unknown[0])
	}
	return nil
}

// formOf reads the parameters of a request: the query, and the body of a POST.
func formOf(r *http.Request, body []byte) (url.Values, error) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("", "", "The query is not well-formed.")
	}
	if r.Method != http.MethodPost || len(body) == 0 {
		return form, nil
	}
	posted, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalid("", "", "The body is not well-formed application/x-www-form-urlencoded.")
	}
	for name, values := range posted {
		form[name] = append(form[name], values...)
	}
	return form, nil
}
