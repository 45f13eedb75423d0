package transport

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// cursorSigner binds cursors to the list they were made for: the organization,
// the field, and every argument that decides which rows the list has and in
// which order. entgql's cursors are a row's id and sort value in the open; one
// from another ordering compares values of different columns, and a malformed
// one below the root panics.
type cursorSigner struct {
	key    []byte
	schema *ast.Schema
}

// cursorTagBytes is the length of the tag after a cursor's own bytes.
const cursorTagBytes = 16

// cursorEncoding is entgql's, so that its decoder, which stops after the
// cursor's own bytes, can read a signed cursor as it is.
var cursorEncoding = base64.RawStdEncoding.Strict()

// errForeignCursor is all that a caller learns about a cursor that is not
// accepted.
func errForeignCursor() *Error {
	return Errorf(CodeBadUserInput, "cursor is not from this list")
}

// SignCursor appends the tag to a cursor in its own text form (unpadded
// standard base64 of any bytes) and returns the text form of both. It is
// called while a field of the list is resolved or marshaled, which is how it
// finds the list: the nearest enclosing field with an argument `after` or
// `before`, or the root field of a subscription. Outside an operation of this
// package's handler it returns an error.
func SignCursor(ctx context.Context, raw string) (string, error) {
	c := callFrom(ctx)
	if c == nil || !graphql.HasOperationContext(ctx) {
		return "", errors.New("sign cursor: no operation in the context")
	}
	payload, err := cursorEncoding.DecodeString(raw)
	if err != nil {
		return "", fmt.Errorf("sign cursor: %w", err)
	}
	op := graphql.GetOperationContext(ctx)
	field := listField(ctx, op)
	if field == nil {
		return "", errors.New("sign cursor: no enclosing field has an argument after or before")
	}
	tag, err := c.cursors.tag(c, field, op.Variables, payload)
	if err != nil {
		return "", fmt.Errorf("sign cursor: %w", err)
	}
	return cursorEncoding.EncodeToString(append(payload, tag...)), nil
}

// CursorPayload returns the bytes that SignCursor was given, in their text
// form. The handler has already checked the tag of every cursor in the
// operation, so a resolver may trust the result.
func CursorPayload(signed string) (string, error) {
	b, err := cursorEncoding.DecodeString(signed)
	if err != nil || len(b) <= cursorTagBytes {
		return "", errForeignCursor()
	}
	return cursorEncoding.EncodeToString(b[:len(b)-cursorTagBytes]), nil
}

// listField finds the list that the field being resolved belongs to.
func listField(ctx context.Context, op *graphql.OperationContext) *ast.Field {
	for fc := graphql.GetFieldContext(ctx); fc != nil; fc = fc.Parent {
		if fc.Field.Field != nil && hasCursors(fc.Field.Field) {
			return fc.Field.Field
		}
	}
	// An event's extensions are made outside any field.
	if op.Operation != nil && op.Operation.Operation == ast.Subscription {
		for _, f := range graphql.CollectFields(op, op.Operation.SelectionSet, nil) {
			if hasCursors(f.Field) {
				return f.Field
			}
		}
	}
	return nil
}

func hasCursors(field *ast.Field) bool {
	return field.Definition != nil &&
		(field.Definition.Arguments.ForName(argumentAfter) != nil ||
			field.Definition.Arguments.ForName(argumentBefore) != nil)
}

// check verifies the cursors among a field's arguments.
func (c *cursorSigner) check(s *survey, field *ast.Field) *Error {
	if !hasCursors(field) {
		return nil
	}
	for _, name := range []string{argumentAfter, argumentBefore} {
		argument := field.Arguments.ForName(name)
		if argument == nil {
			continue
		}
		var value any
		switch argument.Value.Kind {
		case ast.Variable:
			value = s.variables[argument.Value.Raw]
		case ast.NullValue:
		default:
			value = argument.Value.Raw
		}
		if value == nil {
			continue
		}
		text, ok := value.(string)
		if !ok {
			return errForeignCursor()
		}
		b, err := cursorEncoding.DecodeString(text)
		if err != nil || len(b) <= cursorTagBytes {
			return errForeignCursor()
		}
		payload, tag := b[:len(b)-cursorTagBytes], b[len(b)-cursorTagBytes:]
		want, err := c.tag(s.call, field, s.variables, payload)
		if err != nil || !hmac.Equal(tag, want) {
			return errForeignCursor()
		}
	}
	return nil
}

// tag authenticates a cursor's bytes for one list.
func (c *cursorSigner) tag(in *call, field *ast.Field, variables map[string]any, payload []byte) ([]byte, error) {
	digest, err := c.listDigest(in, field, variables)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, c.key)
	mac.Write(digest)
	mac.Write(payload)
	return mac.Sum(nil)[:cursorTagBytes], nil
}

// listDigest names the list. It is computed once per field and request: a page
// of a hundred rows signs a hundred cursors and more.
func (c *cursorSigner) listDigest(in *call, field *ast.Field, variables map[string]any) ([]byte, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if digest, known := in.digests[field]; known {
		return digest, nil
	}
	h := sha256.New()
	writeText(h, in.organization)
	writeText(h, c.owner(field))
	writeText(h, field.Name)

	arguments := field.ArgumentMap(variables)
	names := make([]string, 0, len(arguments))
	for name, value := range arguments {
		switch name {
		case argumentFirst, argumentLast, argumentAfter, argumentBefore:
		default:
			// An argument that is null asks for the same list as none.
			if value != nil {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		text, err := json.Marshal(withoutNulls(arguments[name]))
		if err != nil {
			return nil, fmt.Errorf("argument %s: %w", name, err)
		}
		writeText(h, name)
		writeText(h, string(text))
	}
	digest := h.Sum(nil)
	if in.digests == nil {
		in.digests = map[*ast.Field][]byte{}
	}
	in.digests[field] = digest
	return digest, nil
}

// owner names the type a list belongs to. A field that an interface declares
// is the same list whether it is asked for on the interface or on the object.
func (c *cursorSigner) owner(field *ast.Field) string {
	object := field.ObjectDefinition
	if object == nil {
		return ""
	}
	owner := ""
	for _, name := range object.Interfaces {
		if i := c.schema.Types[name]; i != nil && i.Fields.ForName(field.Name) != nil {
			if owner == "" || strings.Compare(name, owner) < 0 {
				owner = name
			}
		}
	}
	if owner == "" {
		owner = object.Name
	}
	return owner
}

// withoutNulls leaves out the null fields of input objects. Keys come out
// sorted because encoding/json sorts the keys of maps.
func withoutNulls(value any) any {
	switch value := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(value))
		for k, v := range value {
			if v != nil {
				out[k] = withoutNulls(v)
			}
		}
		return out
	case []any:
		out := make([]any, len(value))
		for i, v := range value {
			out[i] = withoutNulls(v)
		}
		return out
	default:
		return value
	}
}

// writeText writes a text with its length, so that no two sequences of texts
// are the same bytes.
func writeText(h hash.Hash, text string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(text)))
	h.Write(n[:])
	_, _ = io.WriteString(h, text)
}
