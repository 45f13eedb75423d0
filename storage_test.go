package main

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	atlas "ariga.io/atlas/sql/migrate"
	"entgo.io/ent/dialect"

	"purser/config"
	"purser/migrations"
	"purser/testdb"
)

// nextMigrations are the migrations of a program that is one version newer.
func nextMigrations(dialectName string) (fs.FS, error) {
	now, err := migrations.Dir(dialectName)
	if err != nil {
		return nil, err
	}
	next := fstest.MapFS{}
	var files []atlas.File
	names, err := fs.Glob(now, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(now, name)
		if err != nil {
			return nil, err
		}
		next[name] = &fstest.MapFile{Data: text}
		files = append(files, atlas.NewLocalFile(name, text))
	}
	const name, text = "9999_next.sql", "CREATE TABLE next_versions (id integer PRIMARY KEY);\n"
	next[name] = &fstest.MapFile{Data: []byte(text)}
	sum, err := atlas.NewHashFile(append(files, atlas.NewLocalFile(name, []byte(text))))
	if err != nil {
		return nil, err
	}
	data, err := sum.MarshalText()
	if err != nil {
		return nil, err
	}
	next[atlas.HashFileName] = &fstest.MapFile{Data: data}
	return next, nil
}

func TestOpenStorage(t *testing.T) {
	t.Parallel()
	for _, name := range []string{dialect.SQLite, dialect.Postgres} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config.Default()
			cfg.Data = t.TempDir()
			if name == dialect.Postgres {
				cfg.DatabaseURL = testdb.PostgresURL(t)
			}
			open := func(change schemaChange, dir func(string) (fs.FS, error)) (*storage, error) {
				s, err := openStorageFor(t.Context(), cfg, change, dir)
				if err == nil {
					t.Cleanup(func() { _ = s.Close() })
				}
				return s, err
			}

			if _, err := open(schemaKeep, migrations.Dir); err == nil {
				t.Error("an empty database is taken for one to read")
			}
			s, err := open(schemaPrepare, migrations.Dir)
			if err != nil || !s.empty || len(s.applied) == 0 {
				t.Fatalf("an empty database: %+v, %v", s, err)
			}
			if s, err = open(schemaPrepare, migrations.Dir); err != nil || s.empty || len(s.applied) != 0 {
				t.Fatalf("a database that is up to date: %+v, %v", s, err)
			}

			// The next version serves SQLite at once, and asks for `migrate`
			// before it serves PostgreSQL.
			if _, err := open(schemaKeep, nextMigrations); err == nil || !strings.Contains(err.Error(), "purser migrate") {
				t.Errorf("reading a database that is behind: %v", err)
			}
			s, err = open(schemaPrepare, nextMigrations)
			if name == dialect.Postgres {
				if err == nil || !strings.Contains(err.Error(), "1 migrations behind") || !strings.Contains(err.Error(), "purser migrate") {
					t.Errorf("serving a database that is behind: %v", err)
				}
				s, err = open(schemaMigrate, nextMigrations)
			}
			if err != nil || len(s.applied) != 1 || s.applied[0] != "9999_next.sql" {
				t.Fatalf("migrating: %+v, %v", s, err)
			}

			// This version touches nothing of the next one.
			for _, change := range []schemaChange{schemaKeep, schemaPrepare, schemaMigrate} {
				if _, err := open(change, migrations.Dir); err == nil || !strings.Contains(err.Error(), "start that version of the program") {
					t.Errorf("an older program opens the database: %v", err)
				}
			}
		})
	}
}

func TestOpenStorageHidesTheURL(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.DatabaseURL = "postgres://purser:hunter2@127.0.0.1:1/purser?sslmode=disable"
	if _, err := openStorage(t.Context(), cfg, schemaPrepare); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error is %v", err)
	}
}
