package testdb

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"purser/auth"
	"purser/database"
	"purser/migrations"
)

// Statement is one statement that a Recorder has seen.
type Statement struct {
	Query string
	Args  []driver.NamedValue

	// AllTenants says that the statement was made by a part of the program
	// that may span organizations.
	AllTenants bool

	// Err is what CheckStatement has against it.
	Err error
}

// Recorder keeps every statement that is sent through the databases opened
// with its Option, and checks it against the rules of CheckStatement. Its
// methods are safe for concurrent use.
type Recorder struct {
	allowed []string
	tenants []string

	mu         sync.Mutex
	statements []Statement
}

// NewRecorder returns a recorder. allowed names the parts of the program, as
// they are given to auth.AllTenants, whose statements may span organizations;
// other parts may not, whatever their viewer says.
func NewRecorder(t testing.TB, allowed ...string) *Recorder {
	t.Helper()
	tenants, err := migrations.TenantTables()
	if err != nil {
		t.Fatal(err)
	}
	return &Recorder{allowed: allowed, tenants: tenants}
}

// Option makes a database tell the recorder of its statements.
func (r *Recorder) Option() database.Option { return database.WithObserver(r.observe) }

func (r *Recorder) observe(ctx context.Context, query string, args []driver.NamedValue) {
	viewer := auth.FromContext(ctx)
	allTenants := viewer != nil && viewer.AllTenants && slices.Contains(r.allowed, viewer.Internal)
	statement := Statement{Query: query, Args: slices.Clone(args), AllTenants: allTenants}
	statement.Err = checkStatement(query, args, r.tenants, allTenants)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = append(r.statements, statement)
}

// Statements returns what was recorded so far, in order.
func (r *Recorder) Statements() []Statement {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.statements)
}

// Reset forgets what was recorded so far.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.statements = nil
}

// Check fails the test for each recorded statement, told once, that breaks the
// rules of CheckStatement.
func (r *Recorder) Check(t testing.TB) {
	t.Helper()
	told := make(map[string]bool)
	for _, s := range r.Statements() {
		if s.Err == nil || told[s.Query] {
			continue
		}
		told[s.Query] = true
		t.Errorf("statement breaks the rules for distributed tables: %v\n\t%s", strings.ReplaceAll(s.Err.Error(), "\n", "; "), s)
	}
}

// String returns the statement and the number of its arguments, whose values
// may be secrets.
func (s Statement) String() string { return fmt.Sprintf("%s [%d arguments]", s.Query, len(s.Args)) }
