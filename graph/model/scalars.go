package model

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"purser/ent"
	"purser/graph/transport"
)

// MarshalCursor writes a cursor signed for the list it belongs to.
func MarshalCursor(c ent.Cursor) graphql.ContextMarshaler {
	return graphql.ContextWriterFunc(func(ctx context.Context, w io.Writer) error {
		var raw strings.Builder
		c.MarshalGQL(&raw)
		text, err := strconv.Unquote(raw.String())
		if err != nil {
			return fmt.Errorf("encode cursor: %w", err)
		}
		signed, err := transport.SignCursor(ctx, text)
		if err != nil {
			return err
		}
		_, err = io.WriteString(w, strconv.Quote(signed))
		return err
	})
}

// UnmarshalCursor reads a cursor; its signature was checked before any
// resolver ran.
func UnmarshalCursor(_ context.Context, v any) (ent.Cursor, error) {
	var c ent.Cursor
	err := c.UnmarshalGQL(v)
	return c, err
}

// Bounds of metadata.
const (
	metadataKeysMax  = 50
	metadataKeyMax   = 40
	metadataValueMax = 500
)

// MarshalMetadata writes the caller's own keys as an object of texts.
func MarshalMetadata(m map[string]string) graphql.Marshaler {
	return graphql.WriterFunc(func(w io.Writer) {
		if m == nil {
			m = map[string]string{}
		}
		if err := json.NewEncoder(w).Encode(m); err != nil {
			panic(fmt.Sprintf("encode a map of strings: %v", err)) // cannot happen
		}
	})
}

// UnmarshalMetadata reads an object of texts: at most 50 keys of 40
// characters with values of 500.
func UnmarshalMetadata(v any) (map[string]string, error) {
	in, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("metadata must be an object of texts")
	}
	if len(in) > metadataKeysMax {
		return nil, fmt.Errorf("metadata has %d keys, at most %d are allowed", len(in), metadataKeysMax)
	}
	out := make(map[string]string, len(in))
	for k, raw := range in {
		s, ok := raw.(string)
		switch {
		case !ok:
			return nil, fmt.Errorf("metadata %q must be a text", k)
		case k == "" || len(k) > metadataKeyMax:
			return nil, fmt.Errorf("metadata key %.50q must have 1 to %d characters", k, metadataKeyMax)
		case len(s) > metadataValueMax:
			return nil, fmt.Errorf("metadata %q has %d characters, at most %d are allowed", k, len(s), metadataValueMax)
		}
		out[k] = s
	}
	return out, nil
}
