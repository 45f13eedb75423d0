package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// object is a JSON object that keeps its order, so that answers are shown and
// written as the server gave them.
type object struct {
	keys   []string
	values map[string]any
}

func newObject() *object { return &object{values: map[string]any{}} }

func (o *object) set(key string, value any) {
	if _, there := o.values[key]; !there {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

func (o *object) remove(key string) {
	if _, there := o.values[key]; !there {
		return
	}
	delete(o.values, key)
	kept := o.keys[:0]
	for _, k := range o.keys {
		if k != key {
			kept = append(kept, k)
		}
	}
	o.keys = kept
}

// decodeJSON reads one JSON value: *object, []any, string, json.Number, bool
// or nil.
func decodeJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the first JSON value")
	}
	return v, nil
}

func decodeValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := newObject()
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			name, ok := key.(string)
			if _, twice := o.values[name]; !ok || twice {
				return nil, fmt.Errorf("the key %v stands twice in an object", key)
			}
			o.set(name, value)
		}
		_, err := d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			value, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err := d.Token()
		return list, err
	default:
		return t, nil
	}
}

// jsonWidth is up to where a value stays on one line.
const jsonWidth = 140

// encodeJSON writes a value for people: on one line what fits there.
func encodeJSON(v any) string {
	var b strings.Builder
	writeJSON(&b, v, 0)
	return b.String()
}

func writeJSON(b *strings.Builder, v any, depth int) {
	flat := show(v)
	if len(flat)+2*depth <= jsonWidth && depth > 0 {
		b.WriteString(flat)
		return
	}
	indent := strings.Repeat("  ", depth+1)
	switch v := v.(type) {
	case *object:
		if len(v.keys) == 0 {
			b.WriteString("{}")
			return
		}
		b.WriteString("{\n")
		for i, k := range v.keys {
			b.WriteString(indent + show(k) + ": ")
			writeJSON(b, v.values[k], depth+1)
			b.WriteString(comma(i, len(v.keys)))
		}
		b.WriteString(indent[2:] + "}")
	case []any:
		if len(v) == 0 {
			b.WriteString("[]")
			return
		}
		b.WriteString("[\n")
		for i, e := range v {
			b.WriteString(indent)
			writeJSON(b, e, depth+1)
			b.WriteString(comma(i, len(v)))
		}
		b.WriteString(indent[2:] + "]")
	default:
		b.WriteString(flat)
	}
}

func comma(i, n int) string {
	if i == n-1 {
		return "\n"
	}
	return ",\n"
}

// show writes a value on one line.
func show(v any) string {
	switch v := v.(type) {
	case *object:
		parts := make([]string, len(v.keys))
		for i, k := range v.keys {
			parts[i] = show(k) + ": " + show(v.values[k])
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = show(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return fmt.Sprintf("%q", v)
		}
		return strings.TrimSuffix(b.String(), "\n")
	case nil:
		return "null"
	default:
		return fmt.Sprint(v)
	}
}
