// Package migrations owns the shape of the database: the rewriting of ent's
// tables to composite keys (Composite), and the versioned SQL files, one
// directory per dialect, that bring a database to that shape (Dir). It does not
// apply them; package database does. Tests hold that schema, rewriting and
// files agree; README.md says how to change them.
package migrations

import (
	"embed"
	"fmt"
	"io/fs"

	"entgo.io/ent/dialect"
)

//go:embed postgres sqlite
var files embed.FS

// Dir returns the migration files for a dialect, dialect.Postgres or
// dialect.SQLite, together with their atlas.sum.
func Dir(dialectName string) (fs.FS, error) {
	switch dialectName {
	case dialect.Postgres:
		return fs.Sub(files, "postgres")
	case dialect.SQLite:
		return fs.Sub(files, "sqlite")
	}
	return nil, fmt.Errorf("there are no migrations for the dialect %q", dialectName)
}
