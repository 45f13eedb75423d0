package model

import (
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
)

// gqlgen's own readers of scalars are generous: a text may stand for a number,
// a number for a text, and no text at all for the year 1. Here one value has
// one form, in a document as in variables.

// MarshalString writes a text.
func MarshalString(s string) graphql.Marshaler { return graphql.MarshalString(s) }

// UnmarshalString reads a text, and nothing else as one.
func UnmarshalString(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case nil:
		return "", nil
	}
	return "", errors.New("the value must be a text")
}

// MarshalID writes an id.
func MarshalID(id string) graphql.Marshaler { return graphql.MarshalID(id) }

// UnmarshalID reads an id: a text, or as GraphQL has it a whole number.
func UnmarshalID(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	n, err := wholeNumber(v)
	if err != nil {
		return "", errors.New("an id must be a text")
	}
	return strconv.FormatInt(n, 10), nil
}

// MarshalInt writes a number.
func MarshalInt(i int) graphql.Marshaler { return graphql.MarshalInt(i) }

// UnmarshalInt reads a whole number of 32 bits, which is what GraphQL calls
// an Int.
func UnmarshalInt(v any) (int, error) {
	if v == nil {
		return 0, nil
	}
	n, err := wholeNumber(v)
	if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
		return 0, errors.New("an Int must be a whole number from -2147483648 to 2147483647")
	}
	return int(n), nil
}

var errWholeNumber = errors.New("not a whole number")

// wholeNumber reads a number as documents, variables and defaults give it.
func wholeNumber(v any) (int64, error) {
	switch v := v.(type) {
	case int:
		return int64(v), nil
	case int64:
		return v, nil
	case json.Number:
		n, err := strconv.ParseInt(string(v), 10, 64)
		if err != nil {
			return 0, errWholeNumber
		}
		return n, nil
	}
	return 0, errWholeNumber
}

// MarshalDateTime writes a time in UTC; a zero one is none.
func MarshalDateTime(t time.Time) graphql.Marshaler { return graphql.MarshalTime(t.UTC()) }

// dateTimeForm is RFC 3339's form. Package time is more generous: it takes a
// comma for the point, and an hour of one digit.
var dateTimeForm = regexp.MustCompile(`^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$`)

// UnmarshalDateTime reads a time of RFC 3339, such as 2026-03-01T12:00:00Z.
func UnmarshalDateTime(v any) (time.Time, error) {
	text, ok := v.(string)
	if ok && dateTimeForm.MatchString(text) {
		// Both letters may be small; package time wants large ones.
		if t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(text)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("a DateTime must be written as in 2026-03-01T12:00:00Z (RFC 3339)")
}
