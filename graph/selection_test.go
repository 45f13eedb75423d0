package graph

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/vektah/gqlparser/v2/ast"
)

// selection is one field of a generated document.
type selection struct {
	on       string // the type condition, empty for none
	key      string // the response name
	name     string
	args     string
	fragment string // the named fragment it is spread by, empty for none
	children []*selection
}

// writer makes documents of what may be selected.
type writer struct {
	*rand.Rand
	schema    *ast.Schema
	fragments map[string]string // text by name
	made      map[string][]*selection
}

// concrete are the types under which a payer may be selected from.
var concrete = []string{"Developer", "Company"}

// args are the arguments of a field: variant tells apart what has one name
// under two types.
func (w *writer) args(f *ast.FieldDefinition, variant string) string {
	var out []string
	for _, a := range f.Arguments {
		switch {
		case a.Name == "first":
			out = append(out, map[string]string{"": "first: 3", "a": "first: 2", "Developer": "first: 1", "Company": "first: 2"}[variant])
		case a.Name == "where" && variant != "":
			where := w.schema.Types[a.Type.Name()].Fields[0]
			if e := w.schema.Types[where.Type.Name()]; e.Kind == ast.Enum {
				n := map[string]int{"a": 1, "Developer": 0, "Company": 2}[variant]
				out = append(out, fmt.Sprintf("where: {%s: %s}", where.Name, e.EnumValues[n%len(e.EnumValues)].Name))
			}
		case a.Name == "currency" && a.Type.NonNull:
			out = append(out, `currency: "USD"`)
		case a.Name == "month":
			out = append(out, map[string]string{"": "month: 3", "a": "month: 2", "Developer": "month: 1", "Company": "month: 12"}[variant])
		case a.Name == "year":
			out = append(out, "year: 2026")
		case a.Name == "at":
			out = append(out, map[string]string{"": `at: "2026-03-10T12:00:00Z"`, "a": `at: "2026-01-01T00:00:00Z"`}[variant])
		case a.Name == "amount":
			out = append(out, map[string]string{
				"": `amount: {amount: "1", currency: "USD"}`, "a": `amount: {amount: "70", currency: "USD"}`,
				"Developer": `amount: {amount: "2", currency: "USD"}`, "Company": `amount: {amount: "99", currency: "USD"}`,
			}[variant])
		}
	}
	if out == nil {
		return ""
	}
	return "(" + strings.Join(out, ", ") + ")"
}

// skipped are fields whose value is another one with each request.
var skipped = []string{"cursor", "startCursor", "endCursor", "lastUsedAt"}

// operators are fields that an organization cannot select.
var operators = []string{
	"GlobalProvider.secretHint", "GlobalProvider.webhookUrl",
	"GlobalProvider.merchantCode", "GlobalProvider.installationId", "GlobalProvider.endpoint",
}

// set makes a selection set of a type.
func (w *writer) set(typ string, depth int) []*selection {
	var out []*selection
	if typ == "Payer" {
		for _, on := range concrete {
			if w.IntN(3) > 0 {
				for _, s := range w.fields(on, depth, on) {
					s.on = on
					out = append(out, s)
				}
			}
		}
		for _, s := range w.fields("Payer", depth, "a") {
			if strings.HasPrefix(s.key, "a_") {
				s.key = "p" + s.key
			}
			out = append(out, s)
		}
		w.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out
	}
	if made := w.made[typ]; len(made) > 0 && w.IntN(3) == 0 {
		// The same fragment at another place.
		out = append(out, made...)
	}
	return append(out, w.fields(typ, depth, "a")...)
}

// fields makes selections of a type's fields; those with another name have the
// arguments of the variant.
func (w *writer) fields(typ string, depth int, variant string) []*selection {
	d := w.schema.Types[typ]
	var leaves, branches []*ast.FieldDefinition
	for _, f := range d.Fields {
		switch t := w.schema.Types[f.Type.Name()]; {
		case strings.HasPrefix(f.Name, "__") || slices.Contains(skipped, f.Name) || t.Kind == ast.Union:
		case slices.Contains(operators, typ+"."+f.Name):
		case !t.IsCompositeType():
			leaves = append(leaves, f)
		case depth > 0:
			branches = append(branches, f)
		}
	}
	var out []*selection
	add := func(f *ast.FieldDefinition, depth int) {
		s := &selection{key: f.Name, name: f.Name, args: w.args(f, "")}
		if w.IntN(3) == 0 {
			s.key, s.args = "a_"+f.Name, w.args(f, variant)
		}
		if t := w.schema.Types[f.Type.Name()]; t.IsCompositeType() {
			if s.children = w.set(t.Name, depth); len(s.children) == 0 {
				return
			}
		}
		out = append(out, s)
	}
	for range 1 + w.IntN(2) {
		if len(leaves) > 0 {
			add(leaves[w.IntN(len(leaves))], 0)
		}
	}
	for range 1 + w.IntN(2) {
		if len(branches) > 0 {
			below := depth - 1
			f := branches[w.IntN(len(branches))]
			if n := f.Type.Name(); strings.HasSuffix(n, "Connection") || strings.HasSuffix(n, "Edge") {
				below = depth // its parts are no step
			}
			add(f, below)
		}
	}
	if typ != "Payer" && !strings.HasSuffix(typ, "Connection") && !strings.HasSuffix(typ, "Edge") && w.IntN(4) == 0 && len(out) > 0 {
		name := fmt.Sprintf("F%d", len(w.fragments))
		w.fragments[name] = fmt.Sprintf("fragment %s on %s { %s }", name, typ, w.text(out, typ))
		for _, s := range out {
			s.fragment = name
		}
		w.made[typ] = out
	}
	return out
}

// text writes a selection set.
func (w *writer) text(set []*selection, typ string) string {
	out := []string{"__typename"}
	spread := map[string]bool{}
	for _, s := range set {
		if s.fragment != "" {
			if !spread[s.fragment] {
				spread[s.fragment] = true
				text := "..." + s.fragment
				if s.on != "" {
					text = "... on " + s.on + " { " + text + " }"
				}
				out = append(out, text)
			}
			continue
		}
		out = append(out, s.inline(func(children []*selection) string { return w.text(children, "") }))
	}
	return strings.Join(out, " ")
}

func (s *selection) inline(children func([]*selection) string) string {
	text := s.key + ": " + s.name + s.args
	if len(s.children) > 0 {
		text += " { " + children(s.children) + " }"
	}
	if s.on != "" {
		text = "... on " + s.on + " { " + text + " }"
	}
	return text
}

// paths lists the ways from the root to each leaf.
func paths(set []*selection) [][]*selection {
	var out [][]*selection
	for _, s := range set {
		if len(s.children) == 0 {
			out = append(out, []*selection{s})
		}
		for _, p := range paths(s.children) {
			out = append(out, append([]*selection{s}, p...))
		}
	}
	return out
}

// alone writes the document that asks for one leaf only.
func alone(path []*selection) string {
	if len(path) == 1 {
		return "__typename " + path[0].inline(nil)
	}
	s := *path[0]
	s.children = path[1:2]
	return "__typename " + s.inline(func([]*selection) string { return alone(path[1:]) })
}

// along takes from an answer what lies on a path.
func along(value any, path []*selection) any {
	switch value := value.(type) {
	case []any:
		out := make([]any, len(value))
		for i, v := range value {
			out[i] = along(v, path)
		}
		return out
	case map[string]any:
		if len(path) == 0 {
			return value
		}
		out := map[string]any{"__typename": value["__typename"]}
		if on := path[0].on; on == "" || on == value["__typename"] {
			out[path[0].key] = along(value[path[0].key], path[1:])
		}
		return out
	default:
		return value
	}
}

// TestSelectionsDoNotMix writes documents that ask for many things at once, by
// aliases, by fragments and under several types, and asks for each thing alone
// as well: the answers must be the same. What rows and columns are read
// together is the generated code's guess from the document; here it is held
// to account.
func TestSelectionsDoNotMix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, dialect.SQLite)
	f := w.fill(t, "alpha")
	for n := range 2 {
		w.more(t, f, n)
	}
	ask := func(document string) (any, bool) {
		a := w.ask(t, f.token, document, nil)
		if len(a.Errors) > 0 {
			t.Errorf("%s\nanswered %.600s", document, a.Body)
			return nil, false
		}
		var out struct{ Data any }
		if err := json.Unmarshal([]byte(a.Body), &out); err != nil {
			t.Fatal(err)
		}
		return out.Data, true
	}
	known := map[string]any{}
	leaves := 0
	for seed := range uint64(documentsWritten) {
		g := &writer{Rand: rand.New(rand.NewPCG(seed, 1)), schema: theSchema(), fragments: map[string]string{}, made: map[string][]*selection{}}
		var root *selection
		switch seed % 4 {
		case 0:
			root = &selection{key: "root", name: "payer", args: fmt.Sprintf("(by: {id: %q})", []string{f.payer, f.ids["Company"]}[seed/4%2]), children: g.set("Payer", 3)}
		default:
			lists := []string{"invoices", "balances", "payments", "quotes", "companies", "developers", "products"}
			field := g.schema.Query.Fields.ForName(lists[int(seed)%len(lists)])
			root = &selection{key: "root", name: field.Name, args: "(first: 4)", children: g.set(field.Type.Name(), 3)}
		}
		document := "query { " + g.text([]*selection{root}, "Query") + " }"
		// A fragment is made after those inside it, so that the last is written first.
		for n := len(g.fragments) - 1; n >= 0; n-- {
			name := fmt.Sprintf("F%d", n)
			if strings.Contains(document, "..."+name+" ") {
				document += "\n" + g.fragments[name]
			}
		}
		whole, ok := ask(document)
		if !ok {
			continue
		}
		for _, path := range paths([]*selection{root}) {
			single := "query { " + alone(path) + " }"
			want, ok := known[single]
			if !ok {
				if want, ok = ask(single); !ok {
					continue
				}
				known[single] = want
			}
			leaves++
			if got := along(whole, path); !reflect.DeepEqual(got, want) {
				t.Errorf("asked for with others:\n%s\nasked for alone:\n%s\nin\n%s\nas\n%s", asJSON(got), asJSON(want), document, single)
				return
			}
		}
	}
	if leaves < 10*documentsWritten {
		t.Errorf("only %d leaves were compared", leaves)
	}
}

// documentsWritten is enough to find each of the mixtures that were seen.
const documentsWritten = 120

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
