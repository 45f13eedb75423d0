package model

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// TestDateTime reads RFC 3339 alone, and shows UTC.
func TestDateTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2030-01-01T10:00:00Z":           `"2030-01-01T10:00:00Z"`,
		"2030-01-01T10:00:00+02:00":      `"2030-01-01T08:00:00Z"`,
		"2030-01-01T10:00:00.123456789Z": `"2030-01-01T10:00:00.123456789Z"`,
	} {
		at, err := UnmarshalDateTime(text)
		var b bytes.Buffer
		MarshalDateTime(at).MarshalGQL(&b)
		if err != nil || at.Location() != time.UTC || b.String() != want {
			t.Errorf("%s = %s, %v, want %s", text, &b, err, want)
		}
	}
	for _, v := range []any{"", "2030-01-01 10:00:00", "2030-01-01", "2030-01-01T10:00:00", "tomorrow", json.Number("5"), nil, map[string]any{}} {
		if at, err := UnmarshalDateTime(v); err == nil {
			t.Errorf("%v was read as %v", v, at)
		}
	}
}

// TestInt reads whole numbers of 32 bits.
func TestInt(t *testing.T) {
	t.Parallel()
	for _, v := range []any{7, int64(7), json.Number("7")} {
		if n, err := UnmarshalInt(v); err != nil || n != 7 {
			t.Errorf("%T %v = %d, %v", v, v, n, err)
		}
	}
	for _, v := range []any{"7", 7.0, true, nil, json.Number("1.5"), json.Number("1e300"), json.Number("18446744134"), int64(1) << 31, -int64(1)<<31 - 1} {
		if n, err := UnmarshalInt(v); err == nil {
			t.Errorf("%T %v was read as %d", v, v, n)
		}
	}
}
