package stripesandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// object is one API object as JSON has it. Keys that begin with an underscore
// are the sandbox's own notes: they are stored with the object and never shown.
type object map[string]any

func (o object) id() string   { return o.str("id") }
func (o object) kind() string { return o.str("object") }

// str returns a text field, "" when it is null or absent.
func (o object) str(key string) string {
	s, _ := o[key].(string)
	return s
}

// num returns a whole number, 0 when it is null or absent.
func (o object) num(key string) int64 {
	switch v := o[key].(type) {
	case int64:
		return v
	case int:
		return int64(v)
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return 0
		}
		return n
	}
	return 0
}

// flag returns a boolean field, false when it is null or absent.
func (o object) flag(key string) bool {
	b, _ := o[key].(bool)
	return b
}

// sub returns an object inside this one; nil when it is null or absent.
// Reading from a nil object gives zero values.
func (o object) sub(key string) object {
	switch v := o[key].(type) {
	case object:
		return v
	case map[string]any:
		return v
	}
	return nil
}

// items returns the elements of a list object or an array of objects.
func (o object) items(key string) []object {
	v := o[key]
	if list := o.sub(key); list != nil {
		v = list["data"]
	}
	switch v := v.(type) {
	case []object:
		return v
	case []any:
		out := make([]object, 0, len(v))
		for _, e := range v {
			if m, ok := e.(map[string]any); ok {
				out = append(out, m)
			}
		}
		return out
	}
	return nil
}

// clone copies the object deeply, through its stored form.
func (o object) clone() (object, error) {
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", o.id(), err)
	}
	return decodeObject(raw)
}

// decodeObject reads an object without losing digits of numbers.
func decodeObject(raw []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, fmt.Errorf("decode a stored object: %w", err)
	}
	return o, nil
}

// orNull is the JSON value of an optional text: Stripe sends null, never "".
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// timeOrNull is the JSON value of an optional time: null instead of 0.
func timeOrNull(unix int64) any {
	if unix == 0 {
		return nil
	}
	return unix
}

// listOf makes a list object as it is embedded in other objects.
func listOf(url string, data []object) object {
	if data == nil {
		data = []object{}
	}
	return object{"object": "list", "data": data, "has_more": false, "url": url}
}

// includable are the fields that an object shows only when they are expanded.
var includable = map[string][]string{
	"quote":            {"line_items"},
	"checkout.session": {"line_items"},
	"charge":           {"refunds"},
}

// embeddedMax is how many elements of a list stand inside another object; the
// rest is fetched from the list's own address.
const embeddedMax = 10

// present returns the object as the API shows it without expansion: own notes
// and includable fields left out, embedded lists cut to their first page.
//
// A list that is itself the answer is a page already and is shown whole.
func present(o object) object {
	if kind := o.kind(); kind == "list" || kind == "search_result" {
		page := object{}
		maps.Copy(page, o)
		data := []any{}
		for _, element := range o.items("data") {
			data = append(data, map[string]any(present(element)))
		}
		page["data"] = data
		return page
	}
	out := presentValue(map[string]any(o)).(map[string]any)
	for _, field := range includable[o.kind()] {
		delete(out, field)
	}
	return out
}

func presentValue(v any) any {
	switch v := v.(type) {
	case object:
		return presentValue(map[string]any(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, e := range v {
			if !strings.HasPrefix(key, "_") {
				out[key] = presentValue(e)
			}
		}
		if data, ok := out["data"].([]any); ok && out["object"] == "list" && len(data) > embeddedMax {
			out["data"], out["has_more"] = data[:embeddedMax], true
		}
		return out
	case []object:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = presentValue(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = presentValue(e)
		}
		return out
	}
	return v
}

// changes returns the former values of the top-level fields that differ, as
// events of the kind *.updated carry them.
func changes(before, after object) object {
	out := object{}
	old, now := present(before), present(after)
	for key := range maps.Keys(now) {
		if !sameJSON(old[key], now[key]) {
			out[key] = old[key]
		}
	}
	return out
}

func sameJSON(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}
