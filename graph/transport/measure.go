package transport

import (
	"math"

	"github.com/vektah/gqlparser/v2/ast"
)

// measure is the size of one parsed document. All methods are linear in the
// document, apart from samePlace, which the limits on expanded fields and
// selections bound by a constant.
type measure struct {
	limits *Limits

	tokens     int
	directives int
	work       int // visited nodes, for tests of linearity

	fragments map[string]*fragment
}

// fragment is the memo of one definition: what its spread adds.
type fragment struct {
	definition *ast.FragmentDefinition
	size       size
	visiting   bool
	measured   bool
	reached    bool
}

// size is what a selection set comes to after fragment expansion. Counts
// saturate, because doubling fragments reach 2^60 within two kilobytes.
type size struct {
	fields     int64
	selections int64
	depth      int64
	roots      int64 // fields of the set itself, fragments expanded
}

func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// document checks everything that needs no schema.
func (m *measure) document(doc *ast.QueryDocument) *Error {
	if n := len(doc.Operations); n > m.limits.Operations {
		return limitError("operations in the document", int64(n), int64(m.limits.Operations))
	}
	if n := len(doc.Fragments); n > m.limits.Fragments {
		return limitError("fragments in the document", int64(n), int64(m.limits.Fragments))
	}
	m.fragments = make(map[string]*fragment, len(doc.Fragments))
	for _, f := range doc.Fragments {
		// The validator would refuse it as well, after it has worked through
		// the second definition, which nothing here would have measured.
		if _, twice := m.fragments[f.Name]; twice {
			return Errorf(CodeValidationFailed, "there is more than one fragment named %q", cut(f.Name, 64))
		}
		m.fragments[f.Name] = &fragment{definition: f}
	}

	// A fragment that no operation spreads is validated as well, so it counts
	// like an operation.
	var total size
	var roots []ast.SelectionSet
	for _, op := range doc.Operations {
		s, bad := m.operation(op)
		if bad != nil {
			return bad
		}
		total.fields, total.selections = add(total.fields, s.fields), add(total.selections, s.selections)
		total.depth = max(total.depth, s.depth)
		roots = append(roots, op.SelectionSet)
	}
	for _, definition := range doc.Fragments {
		f := m.fragments[definition.Name]
		if f.reached {
			continue
		}
		s, bad := m.spread(f)
		if bad != nil {
			return bad
		}
		total.fields, total.selections = add(total.fields, s.fields), add(total.selections, s.selections)
		total.depth = max(total.depth, s.depth)
		roots = append(roots, f.definition.SelectionSet)
	}

	limits := m.limits
	switch {
	case total.depth > int64(limits.Depth):
		return limitError("nesting of fields", total.depth, int64(limits.Depth))
	case total.fields > int64(limits.Fields):
		return limitError("fields after fragments are expanded", total.fields, int64(limits.Fields))
	case total.selections > int64(limits.Selections):
		return limitError("selections after fragments are expanded", total.selections, int64(limits.Selections))
	case m.directives > limits.Directives:
		return limitError("directives in the document", int64(m.directives), int64(limits.Directives))
	}
	for _, set := range roots {
		if bad := m.samePlace([]ast.SelectionSet{set}); bad != nil {
			return bad
		}
	}
	return nil
}

func (m *measure) operation(op *ast.OperationDefinition) (size, *Error) {
	if n := len(op.VariableDefinitions); n > m.limits.Variables {
		return size{}, limitError("variables of an operation", int64(n), int64(m.limits.Variables))
	}
	for _, v := range op.VariableDefinitions {
		m.work++
		if bad := m.typ(v.Type); bad != nil {
			return size{}, bad
		}
		if bad := m.value(v.DefaultValue, 1); bad != nil {
			return size{}, bad
		}
		if bad := m.directiveList(v.Directives); bad != nil {
			return size{}, bad
		}
	}
	if bad := m.directiveList(op.Directives); bad != nil {
		return size{}, bad
	}
	s, bad := m.set(op.SelectionSet)
	if bad != nil {
		return size{}, bad
	}
	if s.roots > int64(m.limits.RootFields) {
		return s, limitError("root fields of an operation", s.roots, int64(m.limits.RootFields))
	}
	if op.Operation == ast.Mutation && s.roots > int64(m.limits.Mutations) {
		return s, limitError("mutations of an operation", s.roots, int64(m.limits.Mutations))
	}
	return s, nil
}

// set measures a selection set, each fragment once.
func (m *measure) set(set ast.SelectionSet) (size, *Error) {
	var sum size
	aliases := 0
	for _, selection := range set {
		m.work++
		var one size
		var bad *Error
		switch selection := selection.(type) {
		case *ast.Field:
			if selection.Alias != selection.Name {
				aliases++
			}
			one, bad = m.field(selection)
		case *ast.InlineFragment:
			if bad = m.directiveList(selection.Directives); bad == nil {
				one, bad = m.set(selection.SelectionSet)
			}
		case *ast.FragmentSpread:
			if bad = m.directiveList(selection.Directives); bad == nil {
				// An unknown fragment is the validator's business.
				if f := m.fragments[selection.Name]; f != nil {
					f.reached = true
					one, bad = m.spread(f)
				}
			}
		}
		if bad != nil {
			return sum, bad
		}
		sum.fields = add(sum.fields, one.fields)
		sum.selections = add(sum.selections, add(one.selections, 1))
		sum.roots = add(sum.roots, one.roots)
		sum.depth = max(sum.depth, one.depth)
	}
	if aliases > m.limits.Aliases {
		return sum, limitError("aliases in one selection set", int64(aliases), int64(m.limits.Aliases))
	}
	return sum, nil
}

func (m *measure) field(field *ast.Field) (size, *Error) {
	for _, argument := range field.Arguments {
		m.work++
		if bad := m.value(argument.Value, 1); bad != nil {
			return size{}, bad
		}
	}
	if bad := m.directiveList(field.Directives); bad != nil {
		return size{}, bad
	}
	s, bad := m.set(field.SelectionSet)
	return size{
		fields:     add(s.fields, 1),
		selections: s.selections,
		depth:      s.depth + 1,
		roots:      1,
	}, bad
}

func (m *measure) spread(f *fragment) (size, *Error) {
	if f.measured {
		return f.size, nil
	}
	if f.visiting {
		return size{}, Errorf(CodeValidationFailed, "the fragment %q spreads itself", cut(f.definition.Name, 64))
	}
	f.visiting = true
	if bad := m.directiveList(f.definition.Directives); bad != nil {
		return size{}, bad
	}
	s, bad := m.set(f.definition.SelectionSet)
	if bad != nil {
		return size{}, bad
	}
	f.size, f.visiting, f.measured = s, false, true
	return s, nil
}

func (m *measure) directiveList(directives ast.DirectiveList) *Error {
	m.directives += len(directives)
	if n := len(directives); n > m.limits.DirectivesPerField {
		return limitError("directives at one place", int64(n), int64(m.limits.DirectivesPerField))
	}
	for _, d := range directives {
		m.work++
		switch d.Name {
		case "defer", "stream":
			return Errorf(CodeBadUserInput, "the directive @%s is not offered", d.Name)
		}
		for _, argument := range d.Arguments {
			if bad := m.value(argument.Value, 1); bad != nil {
				return bad
			}
		}
	}
	return nil
}

func (m *measure) value(value *ast.Value, depth int) *Error {
	if value == nil {
		return nil
	}
	m.work++
	if value.Kind == ast.StringValue || value.Kind == ast.BlockValue {
		return storable(value.Raw)
	}
	if len(value.Children) == 0 && value.Kind != ast.ListValue && value.Kind != ast.ObjectValue {
		return nil
	}
	if depth > m.limits.Depth {
		return limitError("nesting of values", int64(depth), int64(m.limits.Depth))
	}
	for _, child := range value.Children {
		if bad := m.value(child.Value, depth+1); bad != nil {
			return bad
		}
	}
	return nil
}

func (m *measure) typ(t *ast.Type) *Error {
	depth := 0
	for ; t != nil; t = t.Elem {
		m.work++
		depth++
	}
	if depth > m.limits.Depth {
		return limitError("nesting of types", int64(depth), int64(m.limits.Depth))
	}
	return nil
}

// samePlace refuses selecting one response name too often at one place of the
// answer. The validator compares every two fields of a place, and for each
// such pair every two of their children: with n fields in all and at most k
// at a place, that is n·k comparisons.
func (m *measure) samePlace(sets []ast.SelectionSet) *Error {
	places := map[string][]*ast.Field{}
	var collect func(ast.SelectionSet)
	collect = func(set ast.SelectionSet) {
		for _, selection := range set {
			m.work++
			switch selection := selection.(type) {
			case *ast.Field:
				places[selection.Alias] = append(places[selection.Alias], selection)
			case *ast.InlineFragment:
				collect(selection.SelectionSet)
			case *ast.FragmentSpread:
				if f := m.fragments[selection.Name]; f != nil {
					collect(f.definition.SelectionSet)
				}
			}
		}
	}
	for _, set := range sets {
		collect(set)
	}
	for name, fields := range places {
		if n := len(fields); n > m.limits.SameField {
			return limitError("selections of the field "+cut(name, 64)+" at one place", int64(n), int64(m.limits.SameField))
		}
		var children []ast.SelectionSet
		for _, field := range fields {
			if len(field.SelectionSet) > 0 {
				children = append(children, field.SelectionSet)
			}
		}
		if len(children) > 0 {
			if bad := m.samePlace(children); bad != nil {
				return bad
			}
		}
	}
	return nil
}
