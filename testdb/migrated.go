package testdb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"purser/database"
)

// Migrated returns an open database of the given kind, dialect.SQLite or
// dialect.Postgres, with the migrations in dir applied and no rows. It is
// closed and removed when the test ends.
func Migrated(t testing.TB, dialectName string, dir fs.FS, opts ...database.Option) *database.DB {
	t.Helper()
	return Open(t, MigratedURL(t, dialectName, dir), opts...)
}

// MigratedURL returns the URL of a database with the migrations in dir applied
// and no rows, which is removed when the test ends.
//
// It is a copy of a template. On PostgreSQL that one is made once per server
// and state of the migrations, and stays there: copying takes half the time of
// migrating. On SQLite it is made once per process.
func MigratedURL(t testing.TB, dialectName string, dir fs.FS) string {
	t.Helper()
	if dialectName == dialect.Postgres {
		admin := adminURL(t)
		template, err := templates.get(t.Context(), admin, dir)
		if err != nil {
			t.Fatalf("make the template of test databases: %v", err)
		}
		return createDatabase(t, admin, template)
	}
	content, err := files.get(t, dir)
	if err != nil {
		t.Fatalf("make a test database: %v", err)
	}
	path := filepath.Join(t.TempDir(), "test.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatalf("make a test database: %v", err)
	}
	return "sqlite:" + path
}

// files remembers what a SQLite file with the tables is made of, by the state
// of the migrations; see templates.
var files fileSet

type fileSet struct {
	mu   sync.Mutex
	seen map[string][]byte
}

// get returns the content of a migrated file.
func (s *fileSet) get(t testing.TB, dir fs.FS) ([]byte, error) {
	t.Helper()
	name, err := templateName(dir)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if content, there := s.seen[name]; there {
		return content, nil
	}
	path := filepath.Join(t.TempDir(), "template.db")
	// Closed, the file is all that there is: its log is folded into it.
	if err := migrateURL(t.Context(), "sqlite:"+path, dialect.SQLite, dir); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if s.seen == nil {
		s.seen = map[string][]byte{}
	}
	s.seen[name] = content
	return content, nil
}

func migrateURL(ctx context.Context, url, dialectName string, dir fs.FS) error {
	db, err := database.Open(ctx, url, "")
	if err != nil {
		return err
	}
	_, err = database.Migrate(ctx, db.Write, dialectName, dir)
	return errors.Join(err, db.Close())
}

// templates remembers which templates this process has seen. Like the shared
// server it has to be a variable of the package.
var templates templateSet

type templateSet struct {
	mu   sync.Mutex
	seen map[string]bool
}

// get returns the name of the template for dir, made if need be.
func (s *templateSet) get(ctx context.Context, admin string, dir fs.FS) (string, error) {
	name, err := templateName(dir)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[admin+name] {
		return name, nil
	}
	if err := makeTemplate(ctx, admin, name, dir); err != nil {
		return "", err
	}
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	s.seen[admin+name] = true
	return name, nil
}

// templateName names a state of the migrations.
func templateName(dir fs.FS) (string, error) {
	hash := sha256.New()
	err := fs.WalkDir(dir, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(dir, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(hash, "%s\x00%d\x00%s", path, len(content), content)
		return err
	})
	if err != nil {
		return "", err
	}
	return "purser_template_" + hex.EncodeToString(hash.Sum(nil)[:8]), nil
}

// makeTemplate makes the template unless it is there. Test processes of several
// packages do so at once: each migrates a database of its own, and the first to
// give it the template's name wins.
func makeTemplate(ctx context.Context, admin, name string, dir fs.FS) (err error) {
	db, err := database.Open(ctx, admin, "", database.WithConnsMax(1))
	if err != nil {
		return err
	}
	defer db.Close()
	var exists bool
	if err := db.Read.QueryRowContext(ctx, `SELECT count(*) > 0 FROM pg_database WHERE datname = $1`, name).Scan(&exists); err != nil || exists {
		return err
	}
	own := "purser_test_" + strings.ToLower(rand.Text()[:16])
	if _, err := db.Write.ExecContext(ctx, "CREATE DATABASE "+own); err != nil {
		return err
	}
	drop := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, err := db.Write.ExecContext(ctx, "DROP DATABASE "+own+" WITH (FORCE)")
		return err
	}
	url, err := withDatabase(admin, own)
	if err != nil {
		return errors.Join(err, drop())
	}
	if err := migrateURL(ctx, url, dialect.Postgres, dir); err != nil {
		return errors.Join(err, drop())
	}
	_, err = db.Write.ExecContext(ctx, "ALTER DATABASE "+own+" RENAME TO "+name)
	if pq.As(err, pqerror.DuplicateDatabase, pqerror.UniqueViolation) != nil {
		return drop()
	}
	if err != nil {
		return errors.Join(err, drop())
	}
	return nil
}
