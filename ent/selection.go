package ent

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
)

// Field collection reads what a document shows of rows and of what hangs on
// them in as few statements as there are lists. The generated code (see
// template/) asks here which parts of the document belong together.

// payerKinds are the sets of types under which a document may select from a
// payer. Each kind is collected by itself: a selection of one name under
// `... on Developer` and under `... on Company` is two.
var payerKinds = [][]string{
	{"Developer", "Payer", "Node"},
	{"Company", "Payer", "Node"},
}

// selectionKey names a field with all that is selected of it. The executor
// merges selections in the same way, so that it finds what was read for it.
// Arguments need no part in it: they are those of the first selection.
func selectionKey(f graphql.CollectedField) string {
	const hex = 16
	key := strconv.AppendUint(make([]byte, 0, 13*(1+len(f.Selections))), uint64(reflect.ValueOf(f.Field).Pointer()), hex)
	for _, s := range f.Selections {
		key = strconv.AppendUint(append(key, ' '), uint64(reflect.ValueOf(s).Pointer()), hex)
	}
	return string(key)
}

// SelectionKey names the field being resolved with all that is selected of it.
func SelectionKey(ctx context.Context) string {
	return selectionKey(graphql.GetFieldContext(ctx).Field)
}

// collection is what several places of a document have added to one query.
type collection struct {
	keys []string
	some bool // columns were chosen
	all  bool // all columns are needed
}

// first reports whether nothing of this name was added before.
func (c *collection) first(key string) bool {
	if slices.Contains(c.keys, key) {
		return false
	}
	c.keys = append(c.keys, key)
	return true
}

// columns adds to the columns that are read; none stands for all.
func (c *collection) columns(have, more []string, all bool) []string {
	if all || c.all || c.some && len(have) == 0 {
		c.all = true
		return nil
	}
	c.some = true
	for _, column := range more {
		if !slices.Contains(have, column) {
			have = append(have, column)
		}
	}
	return have
}

// selected returns the fields at the end of a path of names below a field,
// whatever the document calls them.
func selected(opCtx *graphql.OperationContext, field graphql.CollectedField, path ...string) []graphql.CollectedField {
	at := []graphql.CollectedField{field}
	for _, name := range path {
		var next []graphql.CollectedField
		for _, f := range at {
			for _, below := range graphql.CollectFields(opCtx, f.Selections, nil) {
				if below.Name == name {
					next = append(next, below)
				}
			}
		}
		at = next
	}
	return at
}

func hasSelected(opCtx *graphql.OperationContext, field graphql.CollectedField, name string) bool {
	return len(selected(opCtx, field, name)) > 0
}

// fieldArgs reads the arguments of a connection. where gets the filter, nil
// where there is none.
func fieldArgs(opCtx *graphql.OperationContext, field graphql.CollectedField, where any) (map[string]any, error) {
	args := field.ArgumentMap(opCtx.Variables)
	for _, name := range []string{firstField, lastField} {
		if args[name] == nil {
			continue
		}
		n, err := graphql.UnmarshalInt(args[name])
		if err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", name, field.Alias, err)
		}
		args[name] = &n
	}
	for _, name := range []string{beforeField, afterField} {
		if args[name] == nil {
			continue
		}
		c := &Cursor{}
		if err := c.UnmarshalGQL(args[name]); err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", name, field.Alias, err)
		}
		args[name] = c
	}
	if args[whereField] != nil && where != nil {
		if err := readFilter(args[whereField], where); err != nil {
			return nil, fmt.Errorf("read %s of %s: %w", whereField, field.Alias, err)
		}
		args[whereField] = where
	}
	return args, nil
}

// readFilter reads a validated filter. The executor has functions for that,
// but hands them to queries and mutations alone: an event of a stream would be
// shown unfiltered.
func readFilter(given, where any) error {
	fields, ok := given.(map[string]any)
	if !ok {
		return fmt.Errorf("%T is no filter", given)
	}
	plain := make(map[string]any, len(fields))
	for name, value := range fields {
		// A single value may stand for a list of one.
		if _, list := value.([]any); strings.HasSuffix(name, "In") && !list && value != nil {
			value = []any{value}
		}
		plain[name] = value
	}
	b, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, where)
}
