package migrations_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
	"entgo.io/ent/schema/field"

	"purser/migrations"
)

// nameMax is PostgreSQL's limit; it cuts longer names silently.
const nameMax = 63

// dueColumns are what workers look for; a scan of the whole table would be a
// scan of everybody's.
var dueColumns = []string{"next_check_at", "next_attempt_at", "finalizes_at", "renews_at", "available_at"}

// linter holds the tables to the rules that let them be spread over machines.
type linter struct {
	classes map[string]string // by table
	tables  []*schema.Table

	references    []migrations.Reference
	notReferences map[string]string

	problems []string
}

func (l *linter) report(format string, args ...any) {
	l.problems = append(l.problems, fmt.Sprintf(format, args...))
}

func (l *linter) run() []string {
	indexes := make(map[string]string)
	for _, t := range l.tables {
		l.name("table", t.Name+"_p0")
		switch class := l.classes[t.Name]; class {
		case "tenant":
			l.tenant(t)
		case "reference", "directory":
			l.shared(t, class)
		default:
			l.report("table %s is %q: declare it tenant, reference or directory", t.Name, class)
		}
		l.columns(t)
		l.constraints(t)
		for _, index := range t.Indexes {
			l.name("index", index.Name)
			if on, ok := indexes[index.Name]; ok {
				l.report("tables %s and %s both have an index %s", on, t.Name, index.Name)
			}
			indexes[index.Name] = t.Name
		}
	}
	l.links()
	return l.problems
}

// tenant checks the keys of a table that is spread by organization.
func (l *linter) tenant(t *schema.Table) {
	first := t.Columns[0]
	if first.Name != "organization_id" || first.Type != field.TypeString || first.Nullable {
		l.report("table %s: the first column is not organization_id, text, NOT NULL", t.Name)
		return
	}
	if got := columnNames(t.PrimaryKey); got != "organization_id, id" {
		l.report("table %s: the primary key is (%s)", t.Name, got)
	}
	for _, index := range t.Indexes {
		if index.Unique && index.Columns[0] != first {
			l.report("table %s: the unique index %s does not begin with organization_id", t.Name, index.Name)
		}
	}
	for _, c := range t.Columns {
		if c.Unique {
			l.report("table %s: column %s is unique over all organizations", t.Name, c.Name)
		}
		if slices.Contains(dueColumns, c.Name) && !slices.ContainsFunc(t.Indexes, func(i *schema.Index) bool {
			return slices.Contains(i.Columns, c) && i.Annotation != nil && i.Annotation.Where != ""
		}) {
			l.report("table %s: workers look for %s without an index of the rows that have work left", t.Name, c.Name)
		}
	}
	if !slices.ContainsFunc(t.ForeignKeys, func(fk *schema.ForeignKey) bool {
		return fk.RefTable.Name == "organizations" && columnNames(fk.Columns) == "organization_id"
	}) {
		l.report("table %s: rows need not belong to an organization that exists", t.Name)
	}
	for _, fk := range t.ForeignKeys {
		if l.classes[fk.RefTable.Name] != "tenant" {
			continue
		}
		if len(fk.Columns) != 2 || fk.Columns[0] != first || columnNames(fk.RefColumns) != "organization_id, id" {
			l.report("table %s: the foreign key %s may lead into another organization", t.Name, fk.Symbol)
		}
	}
}

// shared checks a table that is complete everywhere or finds organizations.
func (l *linter) shared(t *schema.Table, class string) {
	if class == "reference" && t.HasColumn("organization_id") {
		l.report("table %s is a reference table with organization_id", t.Name)
	}
	for _, fk := range t.ForeignKeys {
		if l.classes[fk.RefTable.Name] == "tenant" {
			l.report("table %s: a %s table cannot refer to the tenant table %s", t.Name, class, fk.RefTable.Name)
		}
	}
}

func (l *linter) columns(t *schema.Table) {
	for _, c := range t.Columns {
		l.name("column", c.Name)
		if c.Increment {
			l.report("table %s: column %s is counted by the database", t.Name, c.Name)
		}
		var check string
		switch {
		case c.Type == field.TypeEnum:
			check = t.Name + "_" + c.Name + "_known"
		case strings.HasSuffix(c.Name, "_units"):
			check = t.Name + "_" + c.Name + "_range"
		default:
			continue
		}
		if t.Annotation == nil || t.Annotation.Checks[check] == "" {
			l.report("table %s: column %s has no CHECK %s", t.Name, c.Name, check)
		}
	}
}

func (l *linter) constraints(t *schema.Table) {
	names := make(map[string]bool)
	add := func(name string) {
		l.name("constraint", name)
		if names[name] {
			l.report("table %s has two constraints %s", t.Name, name)
		}
		names[name] = true
	}
	for _, fk := range t.ForeignKeys {
		add(fk.Symbol)
		if fk.OnDelete != schema.NoAction || fk.OnUpdate != schema.NoAction {
			l.report("table %s: the foreign key %s acts by itself", t.Name, fk.Symbol)
		}
	}
	if t.Annotation != nil {
		for name := range t.Annotation.Checks {
			add(name)
		}
	}
}

// links checks that every column that looks like a link is one, or is known not
// to be.
func (l *linter) links() {
	exempt := make(map[string]bool)
	for _, t := range l.tables {
		linked := make(map[string]int)
		for _, fk := range t.ForeignKeys {
			linked[fk.Columns[len(fk.Columns)-1].Name]++
		}
		for _, c := range t.Columns {
			column := t.Name + "." + c.Name
			exempt[column] = l.notReferences[column] != ""
			switch n := linked[c.Name]; {
			case n > 1:
				l.report("column %s has %d foreign keys", column, n)
			case n == 1 && exempt[column]:
				l.report("column %s has a foreign key and a reason to have none", column)
			case n == 0 && strings.HasSuffix(c.Name, "_id") && !exempt[column]:
				l.report("column %s has no foreign key: add it to References or NotReferences", column)
			}
		}
	}
	for column := range l.notReferences {
		if _, ok := exempt[column]; !ok {
			l.report("NotReferences names %s, which does not exist", column)
		}
	}
	for _, r := range l.references {
		if _, ok := exempt[r.Table+"."+r.Column]; !ok {
			l.report("References names %s.%s, which does not exist", r.Table, r.Column)
		}
		if l.classes[r.RefTable] == "" {
			l.report("References names the table %s, which does not exist", r.RefTable)
		}
	}
}

func (l *linter) name(kind, name string) {
	if len(name) > nameMax {
		l.report("the name of %s %s has %d bytes, and %d are kept", kind, name, len(name), nameMax)
	}
}

func columnNames(columns []*schema.Column) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

// graph checks what only the schema itself tells: classes, edges and Go types.
func (l *linter) graph(nodes []*gen.Type) {
	l.classes = make(map[string]string)
	for _, n := range nodes {
		if class, ok := n.Annotations["Class"].(string); ok {
			l.classes[n.Table()] = class
		}
		for _, f := range n.Fields {
			if f.Name == "organization_id" && !f.Immutable {
				l.report("table %s: organization_id can change", n.Table())
			}
			if f.Type.Ident == "money.Units" && !strings.HasSuffix(f.Name, "_units") {
				l.report("table %s: column %s holds ledger units and is not called so", n.Table(), f.Name)
			}
		}
		for _, e := range n.Edges {
			switch {
			case e.M2M():
				l.report("table %s: edge %s is many-to-many, whose statements cannot be held to an organization", n.Table(), e.Name)
			case e.O2M():
				l.list(n, e)
			}
		}
	}
}

// list checks that what an edge lists can be found without reading all of an
// organization's rows, and a page of it without reading all of its rows.
func (l *linter) list(n *gen.Type, e *gen.Edge) {
	at := slices.IndexFunc(l.tables, func(t *schema.Table) bool { return t.Name == e.Rel.Table })
	if at < 0 {
		l.report("table %s: edge %s leads to the table %s, which does not exist", n.Table(), e.Name, e.Rel.Table)
		return
	}
	want := "organization_id, " + e.Rel.Column()
	switch {
	case e.Rel.Table == "ledger_entries":
		want += ", seq" // see ent/order.go
	case isConnection(e):
		want += ", id"
	}
	if !slices.ContainsFunc(l.tables[at].Indexes, func(i *schema.Index) bool {
		return strings.HasPrefix(columnNames(i.Columns)+",", want+",")
	}) {
		l.report("table %s: %s.%s is listed without an index (%s)", e.Rel.Table, n.Table(), e.Name, want)
	}
}

// isConnection reports whether the public schema shows an edge in pages.
func isConnection(e *gen.Edge) bool {
	content, err := json.Marshal(e.Annotations["EntGQL"])
	if err != nil {
		return false
	}
	var annotation struct{ RelayConnection bool }
	return json.Unmarshal(content, &annotation) == nil && annotation.RelayConnection
}

func newLinter(t *testing.T) *linter {
	t.Helper()
	tables, err := migrations.Tables()
	if err != nil {
		t.Fatal(err)
	}
	return &linter{tables: tables, references: migrations.References(), notReferences: migrations.NotReferences()}
}

// TestSchemaLint holds the whole schema to the rules.
func TestSchemaLint(t *testing.T) {
	t.Parallel()
	graph, err := entc.LoadGraph("../ent/schema", &gen.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLinter(t)
	l.graph(graph.Nodes)
	if len(l.classes) < 30 {
		t.Errorf("found the classes of %d tables only", len(l.classes))
	}
	for _, problem := range l.run() {
		t.Error(problem)
	}

	// The same schema with what the linter must see in it.
	connections := 0
	for _, n := range graph.Nodes {
		for _, e := range n.Edges {
			if isConnection(e) {
				connections++
			}
		}
	}
	if connections < 5 {
		t.Errorf("found %d edges that are shown in pages", connections)
	}
	bare := newLinter(t)
	for _, table := range bare.tables {
		table.Indexes = nil
	}
	graph.Nodes[0].Annotations = nil
	bare.graph(graph.Nodes)
	bare.run()
	for _, want := range []string{
		"table ledger_entries: balances.entries is listed without an index (organization_id, balance_id)",
		"table quotes: payers.quotes is listed without an index (organization_id, payer_id, id)",
		"table access_tokens is \"\": declare it",
		"table payments: workers look for next_check_at without an index of the rows that have work left",
	} {
		if !slices.ContainsFunc(bare.problems, func(p string) bool { return strings.HasPrefix(p, strings.TrimSuffix(want, ")")) }) {
			t.Errorf("the linter did not see: %s\nbut %q", want, bare.problems)
		}
	}
}

// TestLinterSees holds the linter itself, with one fault at a time.
func TestLinterSees(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault func(l *linter, balances, organizations *schema.Table)
		want  string
	}{
		"column order":    {func(_ *linter, b, _ *schema.Table) { slices.Reverse(b.Columns) }, "the first column is not organization_id"},
		"nullable":        {func(_ *linter, b, _ *schema.Table) { b.Columns[0].Nullable = true }, "the first column is not organization_id"},
		"primary key":     {func(_ *linter, b, _ *schema.Table) { b.PrimaryKey = b.PrimaryKey[1:] }, "the primary key is (id)"},
		"unique index":    {func(_ *linter, b, _ *schema.Table) { b.Indexes[0].Columns = b.Indexes[0].Columns[1:] }, "does not begin with organization_id"},
		"unique column":   {func(_ *linter, b, _ *schema.Table) { b.Columns[1].Unique = true }, "column id is unique over all organizations"},
		"no organization": {func(_ *linter, b, _ *schema.Table) { b.ForeignKeys = nil }, "need not belong to an organization"},
		"simple key":      {func(_ *linter, b, _ *schema.Table) { b.ForeignKeys[0].Columns = b.ForeignKeys[0].Columns[1:] }, "may lead into another organization"},
		"cascade":         {func(_ *linter, b, _ *schema.Table) { b.ForeignKeys[0].OnDelete = schema.Cascade }, "acts by itself"},
		"sequence":        {func(_ *linter, b, _ *schema.Table) { b.Columns[1].Increment = true }, "counted by the database"},
		"checks":          {func(_ *linter, b, _ *schema.Table) { b.Annotation = nil }, "column amount_units has no CHECK"},
		"two of a name":   {func(_ *linter, b, _ *schema.Table) { b.ForeignKeys[1].Symbol = b.ForeignKeys[0].Symbol }, "has two constraints"},
		"two indexes":     {func(_ *linter, b, o *schema.Table) { o.Indexes = append(o.Indexes, b.Indexes[0]) }, "both have an index"},
		"long name":       {func(_ *linter, b, _ *schema.Table) { b.Indexes[0].Name = strings.Repeat("x", 64) }, "has 64 bytes"},
		"upward link": {func(_ *linter, b, o *schema.Table) {
			o.ForeignKeys = append(o.ForeignKeys, &schema.ForeignKey{
				Symbol: "x", RefTable: b, Columns: o.PrimaryKey, OnDelete: schema.NoAction, OnUpdate: schema.NoAction,
			})
		}, "a reference table cannot refer to the tenant table balances"},
		"tenant reference": {func(l *linter, _, _ *schema.Table) { l.classes["balances"] = "reference" }, "reference table with organization_id"},
		"unlinked":         {func(_ *linter, b, _ *schema.Table) { b.Columns[2].Name = "thing_id" }, "column balances.thing_id has no foreign key"},
		"linked twice":     {func(_ *linter, b, _ *schema.Table) { b.ForeignKeys = append(b.ForeignKeys, b.ForeignKeys[0]) }, "has 2 foreign keys"},
		"linked, exempt":   {func(l *linter, _, _ *schema.Table) { l.notReferences["balances.payer_id"] = "x" }, "a reason to have none"},
		"exempt, gone":     {func(l *linter, _, _ *schema.Table) { l.notReferences["balances.gone_id"] = "x" }, "NotReferences names balances.gone_id"},
		"reference, gone": {func(l *linter, _, _ *schema.Table) {
			l.references = append(l.references, migrations.Reference{Table: "balances", Column: "gone_id", RefTable: "gone"})
		}, "References names the table gone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLinter(t)
			l.classes = make(map[string]string)
			byName := make(map[string]*schema.Table)
			for _, table := range l.tables {
				l.classes[table.Name] = "tenant"
				byName[table.Name] = table
			}
			l.classes["organizations"], l.classes["global_providers"] = "reference", "reference"
			l.classes["gateway_objects"] = "directory"
			if problems := l.run(); len(problems) > 0 {
				t.Fatalf("without a fault: %q", problems)
			}
			c.fault(l, byName["balances"], byName["organizations"])
			if problems := l.run(); !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, c.want) }) {
				t.Errorf("got %q, want %q", problems, c.want)
			}
		})
	}
}
