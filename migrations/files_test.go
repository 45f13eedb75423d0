package migrations_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"entgo.io/ent/dialect"

	"purser/migrations"
)

// forbidden are pieces of SQL that a distributed database refuses, or that
// would make rows act by themselves.
var forbidden = map[string]*regexp.Regexp{
	"a trigger, rule, procedure or function": regexp.MustCompile(`(?i)\bCREATE\s+(OR\s+REPLACE\s+)?(TRIGGER|RULE|PROCEDURE|FUNCTION)\b`),
	"a number that the database counts":      regexp.MustCompile(`(?i)\b(CREATE\s+SEQUENCE|SMALLSERIAL|SERIAL|BIGSERIAL|AUTOINCREMENT|GENERATED\s+(ALWAYS|BY\s+DEFAULT)\s+AS\s+IDENTITY)\b`),
	"a foreign key that acts by itself":      regexp.MustCompile(`(?i)\bON\s+(DELETE|UPDATE)\s+(CASCADE|SET\s+NULL|SET\s+DEFAULT)\b`),
	"a change of organization_id":            regexp.MustCompile("(?i)\\b(ALTER|DROP|RENAME)\\s+COLUMN\\s+[\"`]?organization_id\\b"),
}

var (
	alterTable    = regexp.MustCompile(`(?i)\bALTER\s+TABLE\b[^;]*`)
	addConstraint = regexp.MustCompile(`(?i)\bADD\s+CONSTRAINT\b`)
	subcommand    = regexp.MustCompile(`(?i)\b(ADD|DROP|ALTER|RENAME|SET|VALIDATE)\s+(CONSTRAINT|COLUMN)\b`)
	addColumn     = regexp.MustCompile(`(?i)\bADD\s+COLUMN\s+[^;]*?(,\s*ADD\b|$)`)
	comment       = regexp.MustCompile(`(?m)^\s*--.*$`)
)

// lintFile returns what a migration file must not do. The first file makes the
// tables before there are rows or several machines, and is free of what
// concerns changes.
func lintFile(text string, first bool) []string {
	text = comment.ReplaceAllString(text, "")
	var problems []string
	for what, pattern := range forbidden {
		if found := pattern.FindString(text); found != "" {
			problems = append(problems, fmt.Sprintf("%s: %s", what, found))
		}
	}
	if first {
		return problems
	}
	for _, alter := range alterTable.FindAllString(text, -1) {
		if addConstraint.MatchString(alter) && len(subcommand.FindAllString(alter, -1)) > 1 {
			problems = append(problems, "a constraint beside something else: "+alter)
		}
		for _, column := range addColumn.FindAllString(alter, -1) {
			upper := strings.ToUpper(column)
			if strings.Contains(upper, "NOT NULL") && !strings.Contains(upper, "DEFAULT") {
				problems = append(problems, "a required column that old rows have no value for: "+column)
			}
		}
	}
	return problems
}

// TestFiles holds the migration files to what can be applied while the tables
// have rows and lie on several machines.
func TestFiles(t *testing.T) {
	t.Parallel()
	for _, dialectName := range []string{dialect.SQLite, dialect.Postgres} {
		dir, err := migrations.Dir(dialectName)
		if err != nil {
			t.Fatal(err)
		}
		names, err := fs.Glob(dir, "*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			content, err := fs.ReadFile(dir, name)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range lintFile(string(content), i == 0) {
				t.Errorf("%s/%s: %s", folders[dialectName], name, problem)
			}
		}
	}
}

// TestFileLint holds lintFile itself.
func TestFileLint(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`ALTER TABLE "a" ADD COLUMN "x" bigint NULL, ADD COLUMN "y" bigint NOT NULL DEFAULT 0;`:               "",
		`ALTER TABLE "a" ADD CONSTRAINT "c" CHECK (x > 0); ALTER TABLE "a" ADD CONSTRAINT "d" CHECK (y > 0);`: "",
		"-- CREATE TRIGGER in words only\nALTER TABLE \"a\" DROP CONSTRAINT \"c\", DROP CONSTRAINT \"d\";":    "",
		`ALTER TABLE "a" ADD CONSTRAINT "c" CHECK (x > 0), ADD CONSTRAINT "d" CHECK (y > 0);`:                 "a constraint beside",
		`ALTER TABLE "a" ADD COLUMN "x" text NULL, ADD CONSTRAINT "c" CHECK (x > 0);`:                         "a constraint beside",
		`ALTER TABLE "a" ADD COLUMN "x" bigint NOT NULL, ADD COLUMN "y" bigint NOT NULL DEFAULT 0;`:           "a required column",
		"ALTER TABLE `a` ADD COLUMN `x` text NOT NULL;":                                                       "a required column",
		`ALTER TABLE "a" ALTER COLUMN "organization_id" TYPE uuid;`:                                           "a change of organization_id",
		`ALTER TABLE "a" ADD CONSTRAINT "f" FOREIGN KEY ("x") REFERENCES "b" ("id") ON DELETE SET NULL;`:      "acts by itself",
		`CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';`:                              "a trigger, rule",
		`CREATE TABLE "a" ("id" bigserial);`:                                                                  "the database counts",
		"CREATE TABLE `a` (`id` integer PRIMARY KEY AUTOINCREMENT);":                                          "the database counts",
	} {
		problems := lintFile(text, false)
		if want == "" && len(problems) > 0 || want != "" && !slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("%s: got %q, want %q", text, problems, want)
		}
	}
}
