package transport

import (
	"math"
	"strings"

	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
)

// survey walks the operation that is about to run, fragments expanded, with
// its variables, and checks what the schema gives a meaning: page sizes,
// nodes, lists, cursors. The gate has bounded the walk to a constant number
// of selections.
type survey struct {
	limits    *Limits
	pages     *pages
	schema    *ast.Schema
	document  *ast.QueryDocument
	operation *ast.OperationDefinition
	variables map[string]any
	call      *call

	fields        int
	roots         int
	nodes         int64
	values        int64
	variableBytes int64
	sizes         map[string]int64    // of each variable
	uses          map[*ast.Field]uses // what a field's arguments refer to
}

// uses is what the first visit of a field found out about its arguments.
type uses struct {
	variableBytes int64
}

// run checks the whole operation.
func (s *survey) run() *Error {
	s.uses = map[*ast.Field]uses{}
	s.sizes = make(map[string]int64, len(s.operation.VariableDefinitions))
	for _, v := range s.operation.VariableDefinitions {
		value := s.variables[v.Variable]
		s.sizes[v.Variable] = sizeOf(value)
		if bad := s.variableLists("$"+v.Variable, v.Type, value); bad != nil {
			return bad
		}
	}
	return s.set(s.operation.SelectionSet, 1, true)
}

// set visits a selection set whose parent object exists up to times times.
func (s *survey) set(set ast.SelectionSet, times int64, root bool) *Error {
	for _, selection := range set {
		var bad *Error
		switch selection := selection.(type) {
		case *ast.Field:
			if root {
				s.roots++
			}
			bad = s.field(selection, times)
		case *ast.InlineFragment:
			bad = s.set(selection.SelectionSet, times, root)
		case *ast.FragmentSpread:
			if f := s.document.Fragments.ForName(selection.Name); f != nil {
				bad = s.set(f.SelectionSet, times, root)
			}
		}
		if bad != nil {
			return bad
		}
	}
	return nil
}

func (s *survey) field(field *ast.Field, times int64) *Error {
	s.fields++
	if field.Definition == nil {
		return nil
	}
	if s.values = add(s.values, times); s.values > int64(s.limits.Leaves) {
		return Errorf(CodeComplexity, "values that the answer can hold: at least %d; the limit is %d", s.values, s.limits.Leaves)
	}

	if isConnection(field) {
		n, bad := s.pages.check(field, s.variables)
		if bad != nil {
			return bad
		}
		times = multiply(times, int64(n))
		s.nodes = add(s.nodes, times)
	}
	listed, bad := s.arguments(field)
	if bad != nil {
		return bad
	}
	if field.Definition.Type.Elem != nil {
		n := listed // nodes(ids: [...]): as many objects as there are ids
		if n == 0 {
			n = s.shown(field)
		}
		times = multiply(times, int64(n))
		if n > 1 {
			s.nodes = add(s.nodes, times)
		}
	}
	if s.nodes > int64(s.limits.Nodes) {
		return Errorf(CodeComplexity, "nodes that the lists can hold: at least %d; the limit is %d", s.nodes, s.limits.Nodes)
	}
	return s.set(field.SelectionSet, times, false)
}

// shown is how long a list of objects is taken to be that is shown whole. The
// edges of a connection are counted with it, and a list of plain values is one
// value.
func (s *survey) shown(field *ast.Field) int {
	of := s.schema.Types[field.Definition.Type.Name()]
	if of == nil || !of.IsCompositeType() || strings.HasPrefix(of.Name, "__") || field.ObjectDefinition == nil ||
		strings.HasSuffix(field.ObjectDefinition.Name, "Connection") {
		return 1
	}
	return s.limits.shown(field.Name)
}

// arguments checks the arguments of one visit and returns the length of the
// longest list among them.
func (s *survey) arguments(field *ast.Field) (int, *Error) {
	if len(field.Arguments) == 0 {
		return 0, nil
	}
	used, visited := s.uses[field]
	listed := 0
	for _, argument := range field.Arguments {
		definition := field.Definition.Arguments.ForName(argument.Name)
		if definition == nil {
			continue
		}
		coordinate := field.ObjectDefinition.Name + "." + field.Name + "(" + argument.Name + ":)"
		if definition.Type.Elem != nil {
			n := 0
			switch argument.Value.Kind {
			case ast.Variable:
				list, _ := s.variables[argument.Value.Raw].([]any)
				n = len(list)
			case ast.ListValue:
				n = len(argument.Value.Children)
			}
			if bad := s.length(coordinate, n); bad != nil {
				return 0, bad
			}
			listed = max(listed, n)
		}
		if visited {
			continue
		}
		if bad := s.literalLists(coordinate, definition.Type, argument.Value, &used); bad != nil {
			return 0, bad
		}
	}
	if !visited {
		s.uses[field] = used
	}

	s.variableBytes = add(s.variableBytes, used.variableBytes)
	if s.variableBytes > int64(s.limits.VariableBytes) {
		return 0, Errorf(CodeComplexity,
			"bytes of variables, counted as often as they are used: at least %d; the limit is %d",
			s.variableBytes, s.limits.VariableBytes)
	}
	return listed, s.call.cursors.check(s, field)
}

// length refuses a list that is too long.
func (s *survey) length(coordinate string, n int) *Error {
	if limit := s.limits.list(coordinate); n > limit {
		return Errorf(CodeBadUserInput, "%s has %d items; the limit is %d", coordinate, n, limit)
	}
	return nil
}

// literalLists checks the lists written in the document, and adds up the
// variables the value refers to.
func (s *survey) literalLists(coordinate string, typ *ast.Type, value *ast.Value, used *uses) *Error {
	switch value.Kind {
	case ast.Variable:
		name := value.Raw
		used.variableBytes = add(used.variableBytes, s.sizes[name])
	case ast.ListValue:
		if bad := s.length(coordinate, len(value.Children)); bad != nil {
			return bad
		}
		for _, child := range value.Children {
			if bad := s.literalLists(coordinate, elem(typ), child.Value, used); bad != nil {
				return bad
			}
		}
	case ast.ObjectValue:
		for _, child := range value.Children {
			at, childType := s.inputField(coordinate, typ, child.Name)
			if bad := s.literalLists(at, childType, child.Value, used); bad != nil {
				return bad
			}
		}
	}
	return nil
}

// variableLists checks the lists inside one variable. A variable that is
// itself a list is held to the longest limit here and to the limit of its
// argument where it is used.
func (s *survey) variableLists(coordinate string, typ *ast.Type, value any) *Error {
	switch value := value.(type) {
	case []any:
		limit := s.limits.list(coordinate)
		if coordinate[0] == '$' {
			limit = s.limits.listMax()
		}
		if n := len(value); n > limit {
			return Errorf(CodeBadUserInput, "%s has %d items; the limit is %d", coordinate, n, limit)
		}
		for _, item := range value {
			if bad := s.variableLists(coordinate, elem(typ), item); bad != nil {
				return bad
			}
		}
	case map[string]any:
		if bad := s.oneOf(typ, value); bad != nil {
			return bad
		}
		for name, item := range value {
			at, itemType := s.inputField(coordinate, typ, name)
			if bad := s.variableLists(at, itemType, item); bad != nil {
				return bad
			}
		}
	}
	return nil
}

// oneOf holds the value of a variable to @oneOf, as the validator holds what
// the document says itself.
func (s *survey) oneOf(typ *ast.Type, value map[string]any) *Error {
	if typ == nil {
		return nil
	}
	d := s.schema.Types[typ.Name()]
	if d == nil || d.Directives.ForName("oneOf") == nil {
		return nil
	}
	given := 0
	for _, item := range value {
		if item != nil {
			given++
		}
	}
	if given != 1 || len(value) != 1 {
		return Errorf(errcode.ValidationFailed, "%s takes exactly one of its fields, and that not null", d.Name)
	}
	return nil
}

// inputField returns coordinate and type of a field of an input object. Inside
// a custom scalar there is no type; its lists have the general limit.
func (s *survey) inputField(coordinate string, typ *ast.Type, name string) (string, *ast.Type) {
	if typ != nil {
		if d := s.schema.Types[typ.Name()]; d != nil && d.Kind == ast.InputObject {
			if f := d.Fields.ForName(name); f != nil {
				return d.Name + "." + name, f.Type
			}
		}
	}
	if coordinate[0] == '$' {
		coordinate = coordinate[1:]
	}
	return coordinate, nil
}

// elem returns the type of a list's items; a single value may stand for a
// list of one.
func elem(typ *ast.Type) *ast.Type {
	if typ != nil && typ.Elem != nil {
		return typ.Elem
	}
	return typ
}

// sizeOf estimates the bytes of a variable.
func sizeOf(value any) int64 {
	switch value := value.(type) {
	case string:
		return int64(len(value)) + 8
	case []any:
		n := int64(8)
		for _, item := range value {
			n += sizeOf(item)
		}
		return n
	case map[string]any:
		n := int64(8)
		for key, item := range value {
			n += int64(len(key)) + sizeOf(item)
		}
		return n
	default:
		return 8
	}
}

func multiply(a, b int64) int64 {
	if b != 0 && a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}
