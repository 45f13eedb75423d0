package migrations_test

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect/sql/schema"

	entmigrate "purser/ent/migrate"
	"purser/migrations"
)

// describe writes down everything about tables that Composite touches.
func describe(tables []*schema.Table) string {
	var out strings.Builder
	for _, t := range tables {
		fmt.Fprintf(&out, "%s (%s) key (%s)\n", t.Name, columnNames(t.Columns), columnNames(t.PrimaryKey))
		for _, i := range t.Indexes {
			fmt.Fprintf(&out, "  index %s %t (%s)\n", i.Name, i.Unique, columnNames(i.Columns))
		}
		for _, fk := range t.ForeignKeys {
			fmt.Fprintf(&out, "  %s (%s) → %s (%s) %s %s\n", fk.Symbol, columnNames(fk.Columns), fk.RefTable.Name, columnNames(fk.RefColumns), fk.OnUpdate, fk.OnDelete)
		}
		if t.Annotation != nil {
			for _, name := range slices.Sorted(maps.Keys(t.Annotation.Checks)) {
				fmt.Fprintf(&out, "  %s %s\n", name, t.Annotation.Checks[name])
			}
		}
	}
	return out.String()
}

// TestCompositeOnce holds that applying Composite again, and from several
// goroutines at once, changes nothing.
func TestCompositeOnce(t *testing.T) {
	t.Parallel()
	all := tables(t)
	want := describe(all)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() { migrations.Composite(all) })
	}
	wait.Wait()
	if got := describe(all); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestTablesAreCopies holds that neither Tables nor what is done with its
// result changes ent's own tables.
func TestTablesAreCopies(t *testing.T) {
	t.Parallel()
	before := describe(entmigrate.Tables)
	for _, table := range tables(t) {
		table.Columns[0].Nullable = true
		if table.Annotation != nil {
			table.Annotation.Checks["x"] = "true"
		}
	}
	if after := describe(entmigrate.Tables); after != before {
		t.Errorf("ent's tables changed from\n%s\nto\n%s", before, after)
	}
}

// TestComposite shows the rewriting on three small tables.
func TestComposite(t *testing.T) {
	t.Parallel()
	column := func(name string) *schema.Column { return &schema.Column{Name: name} }
	organizations := &schema.Table{Name: "organizations", Columns: []*schema.Column{column("id"), column("slug")}}
	organizations.PrimaryKey = organizations.Columns[:1]
	organizations.Columns[1].Unique = true
	payers := &schema.Table{Name: "payers", Columns: []*schema.Column{column("id"), column("code"), column("organization_id")}}
	payers.PrimaryKey = payers.Columns[:1]
	payers.Columns[1].Unique = true
	notes := &schema.Table{Name: "notes", Columns: []*schema.Column{column("id"), column("organization_id"), column("payer_id"), column("fee_units")}}
	notes.PrimaryKey = notes.Columns[:1]
	notes.Indexes = []*schema.Index{{Name: "by_payer", Columns: notes.Columns[2:3]}}
	notes.ForeignKeys = []*schema.ForeignKey{{
		Symbol: "notes_payers", Columns: notes.Columns[2:3], RefTable: payers, RefColumns: payers.PrimaryKey, OnDelete: schema.SetNull,
	}}
	all := []*schema.Table{organizations, payers, notes}
	migrations.Composite(all)
	const want = `organizations (id, slug) key (id)
payers (organization_id, id, code) key (organization_id, id)
  index payers_organization_id_code true (organization_id, code)
  payers_organization_id_fk (organization_id) → organizations (id) NO ACTION NO ACTION
notes (organization_id, id, payer_id, fee_units) key (organization_id, id)
  index by_payer false (organization_id, payer_id)
  notes_payers (organization_id, payer_id) → payers (organization_id, id) NO ACTION NO ACTION
  notes_organization_id_fk (organization_id) → organizations (id) NO ACTION NO ACTION
  notes_fee_units_range (fee_units BETWEEN -1000000000000000000 AND 1000000000000000000)
`
	if got := describe(all); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if !organizations.Columns[1].Unique || payers.Columns[2].Unique {
		t.Error("unique columns of tenant tables alone become indexes")
	}
}

// TestDir holds that the built-in files are whole and numbered without gaps.
func TestDir(t *testing.T) {
	t.Parallel()
	for dialectName, folder := range folders {
		dir, err := migrations.Dir(dialectName)
		if err != nil {
			t.Fatal(err)
		}
		names, err := fs.Glob(dir, "*.sql")
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: files %q: %v", folder, names, err)
		}
		for i, name := range names {
			if !strings.HasPrefix(name, fmt.Sprintf("%04d_", i+1)) {
				t.Errorf("%s: file %d is called %s", folder, i+1, name)
			}
		}
		local, err := migrate.NewLocalDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		if err := migrate.Validate(local); err != nil {
			t.Errorf("%s: %v; migrations/README.md says how to sum up files that were edited by hand", folder, err)
		}
	}
	if _, err := migrations.Dir("oracle"); err == nil {
		t.Error("files for an unknown dialect")
	}
}
