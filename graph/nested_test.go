package graph

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/vektah/gqlparser/v2/ast"

	"purser/testdb"
)

// nestedList is a list that hangs on every row of another one.
type nestedList struct {
	outer string // the list of the query
	row   string // the type of its rows
	field *ast.FieldDefinition
}

// nestedLists finds all of them in the schema.
func nestedLists() []nestedList {
	schema := theSchema()
	var out []nestedList
	for _, outer := range schema.Query.Fields {
		connection := schema.Types[outer.Type.Name()]
		if outer.Arguments.ForName("first") == nil || outer.Name == "organizations" {
			continue // the operator's list shows rows of many organizations
		}
		edge := schema.Types[connection.Fields.ForName("edges").Type.Name()]
		row := schema.Types[edge.Fields.ForName("node").Type.Name()]
		for _, field := range row.Fields {
			if field.Arguments.ForName("first") != nil {
				out = append(out, nestedList{outer: outer.Name, row: row.Name, field: field})
			}
		}
	}
	return out
}

// ask asks for the nested list of all rows in one document, and of each row by
// itself, and returns both by the row's id.
func (l nestedList) ask(t *testing.T, w *world, f *filled, arguments string) (together, alone map[string]string) {
	t.Helper()
	if l.field.Arguments.ForName("where") != nil {
		arguments += ", where: {}"
	}
	list := fmt.Sprintf(`list: %s(%s) { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } edges { cursor node { id } } }`, l.field.Name, arguments)
	var out struct {
		Outer struct {
			Edges []struct {
				Node struct {
					ID   string
					List json.RawMessage
				}
			}
		}
	}
	w.must(t, f.token, fmt.Sprintf(`{ outer: %s(first: 100) { edges { node { id %s } } } }`, l.outer, list), nil, &out)
	together, alone = map[string]string{}, map[string]string{}
	statements := w.recorder.Statements()
	for _, e := range out.Outer.Edges {
		together[e.Node.ID] = string(e.Node.List)
		var one struct {
			Node struct{ List json.RawMessage }
		}
		w.must(t, f.token, fmt.Sprintf(`{ node(id: %q) { ... on %s { %s } } }`, e.Node.ID, l.row, list), nil, &one)
		alone[e.Node.ID] = string(one.Node.List)
	}
	l.check(t, w, statements)
	return together, alone
}

// check holds that the pages of all rows were read by one statement, and on
// SQLite that it reads them by an index in the order of the list: it is the
// smaller of the two planners, and the tables have the same indexes on both.
func (l nestedList) check(t *testing.T, w *world, statements []testdb.Statement) {
	t.Helper()
	n := 0
	for _, s := range statements {
		if strings.Contains(strings.ToUpper(s.Query), "ROW_NUMBER") {
			t.Errorf("%s.%s numbers rows: %s", l.row, l.field.Name, s.Query)
		}
		if !strings.Contains(s.Query, "parents.parent") {
			continue
		}
		if n++; w.db.Dialect != dialect.SQLite {
			continue
		}
		sorts := 0
		for _, step := range testdb.Plan(t, w.db, s) {
			if strings.HasPrefix(step, "SCAN ") && !strings.HasPrefix(step, "SCAN json_each") {
				t.Errorf("%s.%s: %s: %s", l.row, l.field.Name, step, s.Query)
			}
			if strings.Contains(step, "TEMP B-TREE") {
				sorts++
			}
		}
		if sorts > 1 { // the pages that were found
			t.Errorf("%s.%s sorts what it cuts: %s", l.row, l.field.Name, s.Query)
		}
	}
	if n != 1 {
		t.Errorf("%d statements read %s.%s", n, l.row, l.field.Name)
	}
}

// TestNestedPages asks for every list below every other one: what the rows get
// together is what each gets alone, in both orders, from both ends and from a
// cursor on.
func TestNestedPages(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world) {
		f := w.fill(t, "alpha")
		for n := range 2 {
			w.more(t, f, n)
		}
		w.fill(t, "beta") // somebody else's
		longest := 0
		for _, l := range nestedLists() {
			order := theSchema().Types[l.field.Arguments.ForName("orderBy").Type.Name()].Fields.ForName("field").Type.Name()
			oldest := fmt.Sprintf("orderBy: {direction: ASC, field: %s}", theSchema().Types[order].EnumValues[0].Name)
			cursor := ""
			for _, arguments := range []string{"first: 1", "last: 1", "first: 2, " + oldest, "last: 1, " + oldest, "first: 1, after: "} {
				if strings.HasSuffix(arguments, "after: ") {
					if cursor == "" {
						continue // the list has no row anywhere
					}
					arguments += fmt.Sprintf("%q", cursor)
				}
				w.recorder.Reset()
				together, alone := l.ask(t, w, f, arguments)
				w.recorder.Check(t)
				if len(together) < 2 {
					t.Fatalf("%s.%s was asked for of %d rows", l.row, l.field.Name, len(together))
				}
				for id, got := range together {
					if got != alone[id] {
						t.Errorf("%s.%s(%s) of %s = %s, want %s", l.row, l.field.Name, arguments, id, got, alone[id])
					}
					var page struct {
						TotalCount int
						PageInfo   struct{ EndCursor string }
					}
					if err := json.Unmarshal([]byte(got), &page); err != nil {
						t.Fatal(err)
					}
					longest = max(longest, page.TotalCount)
					if arguments == "first: 1" && page.TotalCount > 1 {
						cursor = page.PageInfo.EndCursor
					}
				}
			}
		}
		if longest < 3 {
			t.Errorf("the longest list has %d rows", longest)
		}
	})
}
