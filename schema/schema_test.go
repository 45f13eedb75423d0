package schema

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/formatter"
)

func load(t *testing.T) *ast.Schema {
	t.Helper()
	s, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own lists the schema's own types, by name.
func own(s *ast.Schema) []*ast.Definition {
	var out []*ast.Definition
	for _, name := range slices.Sorted(maps.Keys(s.Types)) {
		if !s.Types[name].BuiltIn {
			out = append(out, s.Types[name])
		}
	}
	return out
}

// TestEverythingIsDescribed fails for an element of which nobody says what it
// is: a sentence of its own, not its name again.
func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	n := 0
	check := func(element, name, description string) {
		n++
		plain := strings.ToLower(strings.Trim(description, ". "))
		if plain == "" || plain == strings.ToLower(name) || plain == "the "+strings.ToLower(name) {
			t.Errorf("%s is not described", element)
		}
		if !strings.ContainsAny(description[max(len(description)-1, 0):], ".?") {
			t.Errorf("%s is not described by a sentence: %q", element, description)
		}
	}
	for _, d := range own(load(t)) {
		check(d.Name, d.Name, d.Description)
		for _, v := range d.EnumValues {
			check(d.Name+"."+v.Name, v.Name, v.Description)
		}
		for _, f := range d.Fields {
			if strings.HasPrefix(f.Name, "__") {
				continue
			}
			check(d.Name+"."+f.Name, f.Name, f.Description)
			for _, a := range f.Arguments {
				check(d.Name+"."+f.Name+"("+a.Name+":)", a.Name, a.Description)
			}
		}
	}
	if n < 1000 {
		t.Errorf("only %d elements were looked at", n)
	}
}

const printed = "../docs/schema.graphql"

// TestPrinted holds the schema to the one that was published: nothing that a
// client may rely on goes away. PURSER_TEST_UPDATE=1 writes what was added; it
// refuses as well what breaks.
func TestPrinted(t *testing.T) {
	t.Parallel()
	now := load(t)
	var b bytes.Buffer
	b.WriteString("# Written by PURSER_TEST_UPDATE=1 go test ./schema; breaking changes are refused.\n\n")
	formatter.NewFormatter(&b, formatter.WithIndent("  ")).FormatSchema(now)
	text, err := os.ReadFile(printed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err == nil {
		then, err := gqlparser.LoadSchema(&ast.Source{Name: printed, Input: string(text)})
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range breaks(then, now) {
			t.Errorf("a breaking change: %s", what)
		}
	}
	if os.Getenv("PURSER_TEST_UPDATE") == "1" && !t.Failed() {
		if err := os.WriteFile(printed, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, b.Bytes()) {
		t.Errorf("%s is out of step: run PURSER_TEST_UPDATE=1 go test ./schema", printed)
	}
}

// breaks lists what a document or a client that was good for one schema would
// miss in another.
func breaks(then, now *ast.Schema) []string {
	var out []string
	for _, old := range own(then) {
		d := now.Types[old.Name]
		if d == nil || d.Kind != old.Kind {
			out = append(out, old.Name+" is gone or something else")
			continue
		}
		for _, i := range old.Interfaces {
			if !slices.Contains(d.Interfaces, i) {
				out = append(out, d.Name+" is no "+i+" any more")
			}
		}
		for _, m := range old.Types {
			if !slices.Contains(d.Types, m) {
				out = append(out, d.Name+" has no "+m+" any more")
			}
		}
		for _, v := range old.EnumValues {
			if d.EnumValues.ForName(v.Name) == nil {
				out = append(out, d.Name+"."+v.Name+" is gone")
			}
		}
		if old.Kind == ast.InputObject {
			out = append(out, breaksOfInputs(d.Name+".", old.Fields, d.Fields)...)
			continue
		}
		for _, f := range old.Fields {
			g := d.Fields.ForName(f.Name)
			if g == nil {
				out = append(out, d.Name+"."+f.Name+" is gone")
				continue
			}
			if !fits(g.Type, f.Type) {
				out = append(out, d.Name+"."+f.Name+" was "+f.Type.String()+" and is "+g.Type.String())
			}
			out = append(out, breaksOfInputs(d.Name+"."+f.Name+":", fields(f.Arguments), fields(g.Arguments))...)
		}
	}
	return out
}

// breaksOfInputs compares what may be given: arguments, or fields of an input.
func breaksOfInputs(of string, then, now ast.FieldList) []string {
	var out []string
	for _, f := range then {
		g := now.ForName(f.Name)
		switch {
		case g == nil:
			out = append(out, of+f.Name+" is gone")
		case !fits(f.Type, g.Type) && !(g.DefaultValue != nil && fits(f.Type, nullable(g.Type))):
			out = append(out, of+f.Name+" was "+f.Type.String()+" and is "+g.Type.String())
		case f.DefaultValue != nil && (g.DefaultValue == nil || g.DefaultValue.String() != f.DefaultValue.String()):
			out = append(out, of+f.Name+" has another default")
		}
	}
	for _, g := range now {
		if then.ForName(g.Name) == nil && g.Type.NonNull && g.DefaultValue == nil {
			out = append(out, of+g.Name+" is new and required")
		}
	}
	return out
}

func fields(arguments ast.ArgumentDefinitionList) ast.FieldList {
	out := make(ast.FieldList, len(arguments))
	for i, a := range arguments {
		out[i] = &ast.FieldDefinition{Name: a.Name, Type: a.Type, DefaultValue: a.DefaultValue}
	}
	return out
}

func nullable(t *ast.Type) *ast.Type {
	copied := *t
	copied.NonNull = false
	return &copied
}

// fits reports whether a value of one type is good where another is expected:
// the same, or never null where the other may be.
func fits(is, want *ast.Type) bool {
	if want.NonNull && !is.NonNull || is.NamedType != want.NamedType || (is.Elem == nil) != (want.Elem == nil) {
		return false
	}
	return is.Elem == nil || fits(is.Elem, want.Elem)
}

// TestBreaks names each kind of breaking change, and none for additions.
func TestBreaks(t *testing.T) {
	t.Parallel()
	const base = `type Query { a(x: Int, y: [Int!]! = [1]): String! b: N c: U }
interface N { id: ID! } type A implements N { id: ID! } type B { b: Int } union U = A | B enum E { P Q } input I { i: Int e: E }`
	parse := func(text string) *ast.Schema {
		s, err := gqlparser.LoadSchema(&ast.Source{Input: text})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct{ old, new, want string }{
		{"b: N", "b: N d: Int", ""},
		{"P Q", "P Q R", ""},
		{"i: Int", "i: Int j: Int k: Int! = 1", ""},
		{"b: N", "b: N!", ""},
		{"y: [Int!]!", "y: [Int!]", ""},
		{"b: N", "", "Query.b is gone"},
		{"String!", "String", "Query.a was String! and is String"},
		{"String!", "Int!", "Query.a was String! and is Int!"},
		{"x: Int", "z: Int", "Query.a:x is gone"},
		{"x: Int,", "x: Int!,", "Query.a:x was Int and is Int!"},
		{"x: Int", "x: Int, z: Int!", "Query.a:z is new and required"},
		{"[1]", "[2]", "Query.a:y has another default"},
		{"P Q", "P", "E.Q is gone"},
		{"A | B", "A", "U has no B any more"},
		{"A implements N", "A", "A is no N any more"},
		{"i: Int", "i: Int!", "I.i was Int and is Int!"},
		{"i: Int", "", "I.i is gone"},
		{"enum E { P Q } input I { i: Int e: E }", "input I { i: Int }", "E is gone or something else; I.e is gone"},
	} {
		changed := strings.Replace(base, c.old, c.new, 1)
		if got := strings.Join(breaks(parse(base), parse(changed)), "; "); got != c.want {
			t.Errorf("%q → %q: %q, want %q", c.old, c.new, got, c.want)
		}
	}
}
