// Package transporttest is a small executable schema for tests of the
// transport: written by hand, answered from functions, no generated code.
package transporttest

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed schema.graphql
var sdl string

// Resolver answers one field. The parent is what the resolver of the enclosing
// field returned, nil at a root. An object is a map[string]any or anything the
// resolvers of its fields understand; a list is a slice; a subscription's root
// field returns a <-chan any.
type Resolver func(ctx context.Context, parent any, arguments map[string]any) (any, error)

// Schema is an executable schema whose fields are answered by functions.
type Schema struct {
	schema *ast.Schema
	// Resolvers by "Type.field". A field without one is looked up in its
	// parent, a map.
	Resolvers map[string]Resolver
	// ReadArguments may refuse the arguments of a field, by "Type.field", as
	// a custom scalar does in generated code.
	ReadArguments map[string]func(raw map[string]any) error
}

var _ graphql.ExecutableSchema = (*Schema)(nil)

// New returns a schema with the given resolvers.
func New(resolvers map[string]Resolver) *Schema {
	return &Schema{
		schema:    gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: sdl}),
		Resolvers: resolvers,
	}
}

// Schema returns the loaded SDL.
func (s *Schema) Schema() *ast.Schema { return s.schema }

// Complexity leaves the cost of fields to the caller.
func (s *Schema) Complexity(context.Context, string, string, int, map[string]any) (int, bool) {
	return 0, false
}

// Exec runs the operation in the context, as generated code does: lazily, on
// the first call of the returned handler, and for a subscription once per
// event.
func (s *Schema) Exec(ctx context.Context) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	switch op.Operation.Operation {
	case ast.Mutation:
		return s.once(s.schema.Mutation)
	case ast.Subscription:
		return s.stream(ctx, op)
	default:
		return s.once(s.schema.Query)
	}
}

func (s *Schema) once(root *ast.Definition) graphql.ResponseHandler {
	done := false
	return func(ctx context.Context) *graphql.Response {
		if done {
			return nil
		}
		done = true
		return &graphql.Response{Data: s.root(ctx, root, nil)}
	}
}

func (s *Schema) stream(ctx context.Context, op *graphql.OperationContext) graphql.ResponseHandler {
	fields := graphql.CollectFields(op, op.Operation.SelectionSet, []string{s.schema.Subscription.Name})
	field := fields[0]
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{
		Object: s.schema.Subscription.Name, Field: field, Args: field.ArgumentMap(op.Variables),
	})
	value, err := s.resolve(ctx, nil)
	if err != nil {
		graphql.AddError(ctx, err)
		return nil
	}
	events, ok := value.(<-chan any)
	if !ok {
		graphql.AddError(ctx, fmt.Errorf("%s answered %T instead of a channel", field.Name, value))
		return nil
	}
	return func(ctx context.Context) *graphql.Response {
		select {
		case <-ctx.Done():
			return nil
		case event, more := <-events:
			if !more {
				return nil
			}
			return &graphql.Response{Data: s.root(ctx, s.schema.Subscription, map[string]any{field.Name: event})}
		}
	}
}

// errNull says that a non-null field had no value; the error it stands for has
// been added already.
var errNull = errors.New("null where the schema has none")

func (s *Schema) root(ctx context.Context, definition *ast.Definition, parent any) json.RawMessage {
	op := graphql.GetOperationContext(ctx)
	ctx = graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: definition.Name})
	var out bytes.Buffer
	if s.object(ctx, &out, definition, op.Operation.SelectionSet, parent) != nil {
		return json.RawMessage("null")
	}
	return out.Bytes()
}

func (s *Schema) object(ctx context.Context, out *bytes.Buffer, definition *ast.Definition, set ast.SelectionSet, parent any) error {
	op := graphql.GetOperationContext(ctx)
	satisfies := append([]string{definition.Name}, definition.Interfaces...)
	out.WriteByte('{')
	for i, field := range graphql.CollectFields(op, set, satisfies) {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(out, "%q:", field.Alias)
		fc := &graphql.FieldContext{Object: definition.Name, Field: field}
		fctx := graphql.WithFieldContext(ctx, fc)
		arguments := field.ArgumentMap(op.Variables)
		if read := s.ReadArguments[definition.Name+"."+field.Name]; read != nil {
			if err := read(arguments); err != nil {
				graphql.AddError(fctx, err)
				if field.Definition.Type.NonNull {
					return errNull
				}
				out.WriteString("null")
				continue
			}
		}
		fc.Args = arguments
		if err := s.field(fctx, out, definition, field, parent); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

func (s *Schema) field(ctx context.Context, out *bytes.Buffer, definition *ast.Definition, field graphql.CollectedField, parent any) error {
	if field.Name == "__typename" {
		fmt.Fprintf(out, "%q", definition.Name)
		return nil
	}
	value, err := s.resolve(ctx, parent)
	if err != nil {
		graphql.AddError(ctx, err)
		value = nil
	}
	return s.value(ctx, out, field.Definition.Type, field.Selections, value)
}

// value writes a value of a type; a missing non-null one below a nullable
// place makes that place null.
func (s *Schema) value(ctx context.Context, out *bytes.Buffer, typ *ast.Type, set ast.SelectionSet, value any) error {
	start := out.Len()
	err := s.complete(ctx, out, typ, set, value)
	if err == nil || typ.NonNull {
		return err
	}
	out.Truncate(start)
	out.WriteString("null")
	return nil
}

func (s *Schema) complete(ctx context.Context, out *bytes.Buffer, typ *ast.Type, set ast.SelectionSet, value any) error {
	if value == nil {
		if typ.NonNull {
			return errNull
		}
		out.WriteString("null")
		return nil
	}
	if typ.Elem != nil {
		items := reflect.ValueOf(value)
		out.WriteByte('[')
		for i := range items.Len() {
			if i > 0 {
				out.WriteByte(',')
			}
			ictx := graphql.WithFieldContext(ctx, &graphql.FieldContext{Index: &i})
			if err := s.value(ictx, out, typ.Elem, set, items.Index(i).Interface()); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	}
	definition := s.schema.Types[typ.Name()]
	switch definition.Kind {
	case ast.Interface, ast.Union:
		name, _ := value.(map[string]any)["__typename"].(string)
		definition = s.schema.Types[name]
		fallthrough
	case ast.Object:
		return s.object(ctx, out, definition, set, value)
	}
	b, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("marshal %s: %w", typ.Name(), err)
	}
	out.Write(b)
	return nil
}

func (s *Schema) resolve(ctx context.Context, parent any) (value any, err error) {
	fc := graphql.GetFieldContext(ctx)
	if fc.Field.Name == "__schema" || fc.Field.Name == "__type" {
		return s.introspect(ctx, fc)
	}
	defer func() {
		if p := recover(); p != nil {
			value, err = nil, graphql.GetOperationContext(ctx).Recover(ctx, p)
		}
	}()
	if r := s.Resolvers[fc.Object+"."+fc.Field.Name]; r != nil {
		if object, ok := parent.(map[string]any); !ok || object[fc.Field.Name] == nil {
			return r(ctx, parent, fc.Args)
		}
	}
	object, ok := parent.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s.%s has no resolver", fc.Object, fc.Field.Name)
	}
	return object[fc.Field.Name], nil
}

// introspect answers names only: enough to see whether introspection is on.
func (s *Schema) introspect(ctx context.Context, fc *graphql.FieldContext) (any, error) {
	if graphql.GetOperationContext(ctx).DisableIntrospection {
		return nil, errors.New("introspection disabled")
	}
	if fc.Field.Name == "__schema" {
		return map[string]any{"queryType": map[string]any{"name": s.schema.Query.Name}}, nil
	}
	name, _ := fc.Args["name"].(string)
	if s.schema.Types[name] == nil {
		return nil, nil
	}
	return map[string]any{"name": name}, nil
}
