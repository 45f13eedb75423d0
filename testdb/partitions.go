package testdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	atlas "ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"

	"purser/database"
	"purser/migrations"
)

// partitions is into how many parts each tenant table is cut.
const partitions = 4

// PartitionedPostgres returns an open PostgreSQL database with the newest
// migrations, in which every tenant table is cut into four partitions by the
// hash of organization_id: what a distributed database spreads over machines.
// The program takes it for an ordinary migrated database. It is closed and
// dropped when the test ends.
func PartitionedPostgres(t testing.TB, opts ...database.Option) *database.DB {
	t.Helper()
	return Open(t, PartitionedPostgresURL(t), opts...)
}

// PartitionedPostgresURL returns the URL of a database as PartitionedPostgres
// opens it.
func PartitionedPostgresURL(t testing.TB) string {
	t.Helper()
	dir, err := migrations.Dir(dialect.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	cut, err := partitioned(dir)
	if err != nil {
		t.Fatalf("partition the migrations: %v", err)
	}
	url := MigratedURL(t, dialect.Postgres, cut)
	db := Open(t, url)
	// The program compares the files that were applied with its own.
	local, err := memDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sums, err := local.Checksum()
	if err != nil {
		t.Fatal(err)
	}
	files, err := local.Files()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		sum, err := sums.SumByName(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Write.ExecContext(t.Context(), "UPDATE purser_revisions SET hash = $1 WHERE version = $2", sum, file.Version()); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return url
}

// createTable finds a table's creation in a migration file, in which its last
// line is its own.
var createTable = regexp.MustCompile(`(?ms)^CREATE TABLE "(\w+)" \(.*?^\);$`)

// setStorage finds a change of how a table is stored.
var setStorage = regexp.MustCompile(`(?m)^ALTER TABLE "(\w+)" SET (\(.*\);)$`)

// partitioned returns migrations for PostgreSQL whose tenant tables are
// partitioned.
func partitioned(dir fs.FS) (fs.FS, error) {
	tenants, err := migrations.TenantTables()
	if err != nil {
		return nil, err
	}
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, err
	}
	cut := make(fstest.MapFS)
	made := 0
	for _, name := range names {
		content, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		content = createTable.ReplaceAllFunc(content, func(create []byte) []byte {
			table := string(createTable.FindSubmatch(create)[1])
			if !slices.Contains(tenants, table) {
				return create
			}
			made++
			var out bytes.Buffer
			fmt.Fprintf(&out, "%s\nPARTITION BY HASH (%q);\n", bytes.TrimSuffix(create, []byte(";")), organizationColumn)
			for i := range partitions {
				fmt.Fprintf(&out, "CREATE TABLE \"%s_p%d\" PARTITION OF %q FOR VALUES WITH (MODULUS %d, REMAINDER %d);\n", table, i, table, partitions, i)
			}
			return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
		})
		// A table in parts stores nothing itself.
		content = setStorage.ReplaceAllFunc(content, func(alter []byte) []byte {
			match := setStorage.FindSubmatch(alter)
			if !slices.Contains(tenants, string(match[1])) {
				return alter
			}
			var out bytes.Buffer
			for i := range partitions {
				fmt.Fprintf(&out, "ALTER TABLE \"%s_p%d\" SET %s\n", match[1], i, match[2])
			}
			return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
		})
		cut[name] = &fstest.MapFile{Data: content}
	}
	if made < len(tenants) {
		return nil, fmt.Errorf("found the creation of %d of %d tenant tables", made, len(tenants))
	}
	local, err := memDir(cut)
	if err != nil {
		return nil, err
	}
	sum, err := local.Checksum()
	if err != nil {
		return nil, err
	}
	text, err := sum.MarshalText()
	if err != nil {
		return nil, err
	}
	cut[atlas.HashFileName] = &fstest.MapFile{Data: text}
	return cut, nil
}

// memDir copies the SQL files of a directory into Atlas's form.
func memDir(dir fs.FS) (*atlas.MemDir, error) {
	names, err := fs.Glob(dir, "*.sql")
	if err != nil {
		return nil, err
	}
	local := new(atlas.MemDir)
	for _, name := range names {
		content, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		if err := local.WriteFile(name, content); err != nil {
			return nil, err
		}
	}
	return local, nil
}

// CheckPartitions asks PostgreSQL for the plan of each recorded statement, with
// its arguments, and fails the test for those that touch more than one
// partition, unless they may span organizations. db is a database from
// PartitionedPostgres that the recorder does not listen to; it is only read.
func (r *Recorder) CheckPartitions(t testing.TB, db *database.DB) {
	t.Helper()
	asked := make(map[string]bool)
	for _, s := range r.Statements() {
		verb, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(s.Query)), " ")
		if s.AllTenants || !slices.Contains([]string{"select", "insert", "update", "delete", "with"}, verb) {
			continue
		}
		values := s.values()
		key := fmt.Sprintf("%s %q", s.Query, values)
		if asked[key] {
			continue
		}
		asked[key] = true
		var plan []byte
		if err := db.Read.QueryRowContext(t.Context(), "EXPLAIN (FORMAT JSON) "+s.Query, values...).Scan(&plan); err != nil {
			t.Errorf("explain %s: %v", s, err)
			continue
		}
		touched, err := partitionsOf(plan)
		if err != nil {
			t.Errorf("explain %s: %v", s, err)
			continue
		}
		if len(touched) > 1 {
			t.Errorf("statement touches the partitions %v instead of one:\n\t%s", touched, s)
		}
	}
	if len(asked) == 0 {
		t.Errorf("no statement was recorded whose partitions could be checked")
	}
}

// partitionsOf returns the numbers of the partitions that a plan reads or
// writes. The tables of one organization have the same number everywhere.
func partitionsOf(plan []byte) ([]string, error) {
	var tree any
	if err := json.Unmarshal(plan, &tree); err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	found := make(map[string]bool)
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case []any:
			for _, child := range node {
				walk(child)
			}
		case map[string]any:
			if name, ok := node["Relation Name"].(string); ok {
				if match := partitionName.FindStringSubmatch(name); match != nil {
					found[match[1]] = true
				}
			}
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
	return slices.Sorted(maps.Keys(found)), nil
}

// partitionName is how partitioned names the parts of a table.
var partitionName = regexp.MustCompile(`_p(\d)$`)
