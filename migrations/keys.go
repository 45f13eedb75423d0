package migrations

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"

	"purser/ent/migrate"
)

// organizationColumn is the column by which tenant tables are told apart and
// spread.
const organizationColumn = "organization_id"

// unitsMax bounds every amount of ledger units in the database, in both
// directions. The sum of two such amounts still fits into a 64-bit integer, so
// a statement that adds to a column is refused by the column's check and never
// overflows before.
const unitsMax = "1000000000000000000"

// tablesMu keeps goroutines apart that rewrite ent's tables, which are
// variables of a generated package, at the same time.
var tablesMu sync.Mutex

// Tables returns a copy of ent's tables with Composite applied. The copy is the
// caller's: ent writes into the tables that it migrates, so tests that run at
// once must not share them.
func Tables() ([]*schema.Table, error) {
	tablesMu.Lock()
	defer tablesMu.Unlock()
	tables, err := schema.CopyTables(migrate.Tables)
	if err != nil {
		return nil, fmt.Errorf("copy ent's tables: %w", err)
	}
	rewrite(tables)
	return tables, nil
}

// Composite rewrites ent's tables in place so that they can be spread over
// machines by organization, and so that the database itself refuses what the
// program must never do:
//
//   - organization_id is a tenant table's first column and the first column of
//     its primary key and of each of its indexes;
//   - foreign keys between tenant tables are (organization_id, x_id) →
//     (organization_id, id), so a row cannot point into another organization,
//     and never cascade;
//   - the links of References, which no ent edge carries, are foreign keys too;
//   - every tenant row belongs to an organization that exists;
//   - text is compared byte by byte;
//   - enums hold nothing but their values, and columns named …_units stay
//     between -10^18 and 10^18.
//
// Applying it again changes nothing. It may be called from several goroutines,
// but not while ent migrates the same tables; Tables is free of that limit.
func Composite(tables []*schema.Table) {
	tablesMu.Lock()
	defer tablesMu.Unlock()
	rewrite(tables)
}

func rewrite(tables []*schema.Table) {
	byName := make(map[string]*schema.Table, len(tables))
	for _, t := range tables {
		byName[t.Name] = t
	}
	for _, t := range tables {
		if isTenant(t) {
			organizationFirst(t)
		}
	}
	for _, t := range tables {
		for _, fk := range t.ForeignKeys {
			compositeKey(t, fk)
		}
	}
	for _, r := range References() {
		t, ref := byName[r.Table], byName[r.RefTable]
		if t == nil || ref == nil {
			continue // a subset of the tables; the linter test looks at all of them
		}
		addReference(t, r.Column, ref)
	}
	if organizations := byName["organizations"]; organizations != nil {
		for _, t := range tables {
			if isTenant(t) {
				addReference(t, organizationColumn, organizations)
			}
		}
	}
	for _, t := range tables {
		addChecks(t)
		compareByBytes(t)
	}
}

// compareByBytes has text compared and put in order byte by byte, as the
// program and SQLite do, whatever PostgreSQL's database was made for: in
// Danish "aa" comes after "z", and ids, which are read in order and sought
// behind one another, are full of it. Nor can an update of the operating
// system then change the order under an index. SQLite is told nothing.
func compareByBytes(t *schema.Table) {
	for _, c := range t.Columns {
		if c.Type == field.TypeString || c.Type == field.TypeEnum {
			c.Collation = "C"
		}
	}
}

// isTenant reports whether each row of the table belongs to one organization.
func isTenant(t *schema.Table) bool { return t.HasColumn(organizationColumn) }

// organizationFirst moves organization_id to the front of the columns and of
// every key. A column in the wrong place is not only untidy: SQLite's
// migration would rebuild the table at every start.
func organizationFirst(t *schema.Table) {
	org, _ := t.Column(organizationColumn)
	prepend := func(columns []*schema.Column) []*schema.Column {
		rest := slices.DeleteFunc(slices.Clone(columns), func(c *schema.Column) bool { return c == org })
		return append([]*schema.Column{org}, rest...)
	}
	t.Columns = prepend(t.Columns)
	t.PrimaryKey = prepend(t.PrimaryKey)
	for _, index := range t.Indexes {
		index.Columns = prepend(index.Columns)
	}
	for _, c := range t.Columns {
		if !c.Unique {
			continue
		}
		c.Unique = false
		t.Indexes = append(t.Indexes, &schema.Index{
			Name:    t.Name + "_" + organizationColumn + "_" + c.Name,
			Unique:  true,
			Columns: []*schema.Column{org, c},
		})
	}
}

// compositeKey adds the organization to both sides of a foreign key between
// tenant tables. SET NULL and CASCADE are taken from all foreign keys: nothing
// that moved money is ever deleted, and a distributed database refuses SET NULL.
func compositeKey(t *schema.Table, fk *schema.ForeignKey) {
	fk.OnDelete, fk.OnUpdate = schema.NoAction, schema.NoAction
	if !isTenant(t) || !isTenant(fk.RefTable) || fk.Columns[0].Name == organizationColumn {
		return
	}
	org, _ := t.Column(organizationColumn)
	refOrg, _ := fk.RefTable.Column(organizationColumn)
	fk.Columns = append([]*schema.Column{org}, fk.Columns...)
	fk.RefColumns = append([]*schema.Column{refOrg}, fk.RefColumns...)
}

func addReference(t *schema.Table, column string, ref *schema.Table) {
	symbol := t.Name + "_" + column + "_fk"
	if slices.ContainsFunc(t.ForeignKeys, func(fk *schema.ForeignKey) bool { return fk.Symbol == symbol }) {
		return
	}
	c, ok := t.Column(column)
	id, okRef := ref.Column("id")
	if !ok || !okRef {
		return // told by the linter test, which knows all columns
	}
	fk := &schema.ForeignKey{
		Symbol:     symbol,
		Columns:    []*schema.Column{c},
		RefTable:   ref,
		RefColumns: []*schema.Column{id},
	}
	compositeKey(t, fk)
	t.ForeignKeys = append(t.ForeignKeys, fk)
}

// addChecks makes the database refuse states that no code knows and amounts
// that no code can add.
func addChecks(t *schema.Table) {
	checks := make(map[string]string)
	if t.Annotation != nil {
		maps.Copy(checks, t.Annotation.Checks)
	}
	for _, c := range t.Columns {
		switch {
		case c.Type == field.TypeEnum:
			checks[t.Name+"_"+c.Name+"_known"] = fmt.Sprintf("%s IN ('%s')", c.Name, strings.Join(c.Enums, "', '"))
		case strings.HasSuffix(c.Name, "_units"):
			checks[t.Name+"_"+c.Name+"_range"] = fmt.Sprintf("%s BETWEEN -%s AND %s", c.Name, unitsMax, unitsMax)
		}
	}
	if len(checks) == 0 {
		return
	}
	// A copied table still shares its annotation's map with the original.
	annotation := new(entsql.Annotation)
	if t.Annotation != nil {
		*annotation = *t.Annotation
	}
	for name, expression := range checks {
		checks[name] = parenthesized(expression)
	}
	annotation.Checks = checks
	t.Annotation = annotation
}

// parenthesized puts an expression in parentheses unless one pair encloses all
// of it already. Atlas looks at the first and the last character only, and so
// writes "(a) = (b)" as it stands, which SQLite does not understand.
func parenthesized(expression string) string {
	depth, quoted := 0, false
	for i, c := range expression {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth == 0 && i < len(expression)-1 {
			return "(" + expression + ")"
		}
	}
	return expression
}

// TenantTables returns the names of the tables whose rows belong to one
// organization each.
func TenantTables() ([]string, error) {
	tables, err := Tables()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range tables {
		if isTenant(t) {
			names = append(names, t.Name)
		}
	}
	return names, nil
}
