package transport

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// pages gives every connection a bounded page. entgql reads the arguments of
// nested connections from the document, past any default that a resolver or
// the schema would add, and without `first` and `last` it returns all rows;
// so the default has to stand in the document itself.
//
// Documents are shared by all requests with the same text. What does not
// depend on variables is written once, when the document is accepted. Where a
// variable decides, the argument is pointed at a variable that no document can
// declare (its name holds a colon), whose value check sets in the request's
// own variables.
type pages struct {
	limits *Limits
}

const (
	argumentFirst  = "first"
	argumentLast   = "last"
	argumentAfter  = "after"
	argumentBefore = "before"

	pageVariable = "first:"
)

// isConnection reports whether the field returns a page of a list.
func isConnection(field *ast.Field) bool {
	return field.Definition != nil &&
		strings.HasSuffix(field.Definition.Type.Name(), "Connection") &&
		field.Definition.Arguments.ForName(argumentFirst) != nil
}

// fill writes the defaults into a validated document that nobody else has
// seen yet.
func (p *pages) fill(document *ast.QueryDocument) {
	n := 0
	var walk func(ast.SelectionSet)
	walk = func(set ast.SelectionSet) {
		for _, selection := range set {
			switch selection := selection.(type) {
			case *ast.Field:
				if isConnection(selection) {
					n++
					p.fillField(selection, n)
				}
				walk(selection.SelectionSet)
			case *ast.InlineFragment:
				walk(selection.SelectionSet)
			}
		}
	}
	for _, op := range document.Operations {
		walk(op.SelectionSet)
	}
	for _, f := range document.Fragments {
		walk(f.SelectionSet)
	}
}

// fillField makes `first` decidable: a literal, or a variable of ours.
func (p *pages) fillField(field *ast.Field, n int) {
	first, last := field.Arguments.ForName(argumentFirst), field.Arguments.ForName(argumentLast)
	if isLiteral(first) {
		return
	}
	variable := first != nil && first.Value.Kind == ast.Variable
	if isLiteral(last) && !variable {
		return
	}
	if first == nil {
		first = &ast.Argument{Name: argumentFirst, Position: field.Position}
		field.Arguments = append(field.Arguments[:len(field.Arguments):len(field.Arguments)], first)
	}
	definition := field.Definition.Arguments.ForName(argumentFirst)
	value := &ast.Value{
		Position:     field.Position,
		ExpectedType: definition.Type,
	}
	if variable || (last != nil && last.Value.Kind == ast.Variable) {
		name := ""
		if variable {
			name = first.Value.Raw
			value.Definition = first.Value.Definition
		}
		value.Kind = ast.Variable
		value.Raw = pageVariable + strconv.Itoa(n) + ":" + name
	} else {
		value.Kind = ast.IntValue
		value.Raw = strconv.Itoa(p.limits.PageDefault)
	}
	first.Value = value
}

// isLiteral reports whether the argument has a value that is neither a
// variable nor null.
func isLiteral(a *ast.Argument) bool {
	return a != nil && a.Value.Kind != ast.Variable && a.Value.Kind != ast.NullValue
}

// check returns the page size of a connection in this request and gives the
// default to one whose variables are null.
func (p *pages) check(field *ast.Field, variables map[string]any) (int, *Error) {
	firstArgument := field.Arguments.ForName(argumentFirst)
	first, bad := p.size(field, firstArgument, variables)
	if bad != nil {
		return 0, bad
	}
	last, bad := p.size(field, field.Arguments.ForName(argumentLast), variables)
	if bad != nil {
		return 0, bad
	}
	if first != 0 && last != 0 {
		return 0, Errorf(CodeBadUserInput, "%s: first and last must not be given together", field.Alias)
	}
	n := first + last
	if n == 0 {
		n, first = p.limits.PageDefault, p.limits.PageDefault
	}
	if name, ours := pageVariableOf(firstArgument); ours {
		variables[name] = nil
		if first != 0 {
			variables[name] = int64(first)
		}
	}
	return n, nil
}

// size returns the value of `first` or `last`, 0 where it is null or absent.
func (p *pages) size(field *ast.Field, argument *ast.Argument, variables map[string]any) (int, *Error) {
	if argument == nil {
		return 0, nil
	}
	var value any = argument.Value.Raw
	switch argument.Value.Kind {
	case ast.NullValue:
		return 0, nil
	case ast.Variable:
		name := argument.Value.Raw
		if ours, ok := pageVariableOf(argument); ok {
			name = ours[strings.LastIndexByte(ours, ':')+1:]
		}
		value = variables[name]
	}
	if value == nil {
		return 0, nil
	}
	n, err := graphql.UnmarshalInt(value)
	if _, text := value.(string); text && argument.Value.Kind == ast.Variable {
		err = errors.New("a text is no number")
	}
	if err != nil || n < 1 || n > p.limits.PageSize {
		return 0, Errorf(CodeBadUserInput, "%s: %s is %s; 1 to %d are allowed",
			field.Alias, argument.Name, cut(fmt.Sprint(value), 32), p.limits.PageSize)
	}
	return n, nil
}

// pageVariableOf returns the name of the variable that fill has put in place
// of an argument.
func pageVariableOf(argument *ast.Argument) (string, bool) {
	if argument == nil || argument.Value.Kind != ast.Variable ||
		!strings.HasPrefix(argument.Value.Raw, pageVariable) {
		return "", false
	}
	return argument.Value.Raw, true
}
