package money_test

import (
	"encoding/json"
	"strings"
	"testing"

	"purser/money"
)

func TestDecimalReadsStringsOnly(t *testing.T) {
	t.Parallel()
	for _, in := range []any{
		335.5, float32(1), 5, int32(5), int64(5), uint64(5), json.Number("5"), true, nil,
		[]byte("5"),
		[]any{"5"},
		map[string]any{"amount": "5"},
		money.Decimal("5"),
	} {
		d := money.Decimal("1")
		wantCode(t, d.UnmarshalGQL(in), money.CodeFormat)
		if d != "1" {
			t.Errorf("a refused %T changed the number to %q", in, d)
		}
	}
	var d money.Decimal
	if err := d.UnmarshalGQL("-335.50"); err != nil || d != "-335.50" {
		t.Errorf("read %q, %v", d, err)
	}
}

func TestDecimalWritesAString(t *testing.T) {
	t.Parallel()
	for in, want := range map[money.Decimal]string{
		"335.50": `"335.50"`,
		"-1":     `"-1"`,
		`5"x\`:   `"5\"x\\"`, // not a number, but still no way out of the string
	} {
		var b strings.Builder
		in.MarshalGQL(&b)
		if b.String() != want {
			t.Errorf("%q is written as %s, want %s", string(in), b.String(), want)
		}
	}
}

func TestMessagesQuoteNothingRaw(t *testing.T) {
	t.Parallel()
	_, err := money.Parse("1\x1b[31m\u202e", "USD")
	wantCode(t, err, money.CodeFormat)
	for _, r := range err.Error() {
		if r < ' ' || r > '~' {
			t.Errorf("the message carries the character %q: %s", r, err)
		}
	}
}
