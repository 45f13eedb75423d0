package model

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

func TestDateTime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-03-01T12:00:00Z":           "2026-03-01T12:00:00Z",
		"2026-03-01t12:00:00z":           "2026-03-01T12:00:00Z",
		"2026-03-01T14:00:00.5+02:00":    "2026-03-01T12:00:00.5Z",
		"2024-02-29T23:59:59.999999999Z": "2024-02-29T23:59:59.999999999Z",
	} {
		got, err := UnmarshalDateTime(text)
		if err != nil || got.Location() != time.UTC || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %v, %v; want %s", text, got, err, want)
		}
		var b strings.Builder
		MarshalDateTime(got.In(time.FixedZone("", 3600))).MarshalGQL(&b)
		if b.String() != `"`+want+`"` {
			t.Errorf("%s is written %s", text, b.String())
		}
	}
	for _, v := range []any{
		"", "2026", "2026-03-01", "2026-03-01 12:00:00", "2026-03-01T12:00:00", "2026-03-01T12:00:00,5Z", "2026-3-1T12:00:00Z",
		"2026-02-30T12:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T12:00:00Z ", "2026-03-01T12:00:00+0200", nil, true,
		json.Number("1772366400"), int64(1772366400),
		map[string]any{},
		[]any{"2026-03-01T12:00:00Z"},
	} {
		if got, err := UnmarshalDateTime(v); err == nil || !strings.Contains(err.Error(), "RFC 3339") {
			t.Errorf("%v: %v, %v", v, got, err)
		}
	}
}

func TestInt(t *testing.T) {
	t.Parallel()
	for v, want := range map[any]int{
		int64(7): 7, 7: 7, json.Number("-7"): -7, json.Number("2147483647"): 1<<31 - 1, int64(-1 << 31): -1 << 31, nil: 0,
	} {
		if got, err := UnmarshalInt(v); err != nil || got != want {
			t.Errorf("%v: %d, %v", v, got, err)
		}
	}
	for _, v := range []any{
		"7", "", json.Number("2147483648"), int64(-1<<31 - 1), json.Number("1e3"), json.Number("1.0"), json.Number("18446744134"), 7.0, true, []any{int64(7)},
	} {
		if got, err := UnmarshalInt(v); err == nil {
			t.Errorf("%v of %T was read as %d", v, v, got)
		}
	}
}

func TestTextsAndIDs(t *testing.T) {
	t.Parallel()
	if s, err := UnmarshalString("7"); s != "7" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	for _, v := range []any{int64(7), json.Number("7"), true, 7.0, map[string]any{}, []any{"7"}} {
		if s, err := UnmarshalString(v); err == nil {
			t.Errorf("%v of %T was read as the text %q", v, v, s)
		}
	}
	for v, want := range map[any]string{"dev_1": "dev_1", "": "", int64(7): "7", json.Number("7"): "7"} {
		if got, err := UnmarshalID(v); err != nil || got != want {
			t.Errorf("%v: %q, %v", v, got, err)
		}
	}
	for _, v := range []any{true, json.Number("1.5"), json.Number("1e3"), 7.0, nil, map[string]any{}, []any{"x"}} {
		if got, err := UnmarshalID(v); err == nil {
			t.Errorf("%v of %T was read as the id %q", v, v, got)
		}
	}
	for _, m := range []graphql.Marshaler{MarshalString("a"), MarshalID("a")} {
		var b strings.Builder
		if m.MarshalGQL(&b); b.String() != `"a"` {
			t.Errorf("written %s", b.String())
		}
	}
}
