package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is the path that all our packages begin with.
const module = "purser"

// directions says which of our packages each of our packages may import. Paths
// are relative to the module. "ent" stands for the generated packages together;
// a path that ends in /* stands for all packages below it.
//
// A new package gets a line here, with the reason that will be shown to whoever
// runs into it.
var directions = []struct {
	path    string
	imports []string
	tests   []string // what its tests may import beside that and the helpers of testHelpers
	why     string
}{
	{
		path:    "",
		imports: []string{"*"},
		why:     "command_serve.go wires everything",
	},

	// The three front doors.
	{
		path:    "graph",
		imports: []string{"auth", "billing", "crash", "ent", "ent/schema", "gateway", "graph/generated", "graph/model", "graph/transport", "money", "schema"},
		tests:   []string{"database", "migrations"},
		why:     "resolvers translate between the public schema and billing; the front doors never import each other, and only command_serve.go knows an adapter",
	},
	{
		path:    "webhook",
		imports: []string{"auth", "billing", "crash", "gateway", "language"},
		tests:   []string{"database", "document", "ent", "ent/schema", "migrations", "money"},
		why:     "the gateways' front door hands events to billing; the front doors never import each other",
	},
	{
		path:    "export",
		imports: []string{"auth", "billing", "ent"},
		tests:   []string{"database", "migrations", "money"},
		why:     "the spreadsheets' front door writes down what billing reads; the front doors never import each other",
	},
	{
		path:    "jobs",
		imports: []string{"auth", "billing", "crash", "gateway", "mail"},
		tests:   []string{"database", "ent", "migrations", "money"},
		why:     "the clock's front door hands due work to billing; the front doors never import each other",
	},
	{
		path:    "graph/generated",
		imports: []string{"auth", "ent", "ent/schema", "graph/model", "graph/transport", "money"},
		why:     "gqlgen's output knows the types that the schema binds to, and no rules",
	},
	{
		path:    "graph/model",
		imports: []string{"auth", "ent", "ent/schema", "graph/transport", "money"},
		why:     "the types of the public schema know the types they bind to, and no rules",
	},
	{
		path:    "graph/transport",
		imports: []string{"auth", "money"},
		why:     "GraphQL over HTTP serves any schema, so it knows none of ours",
	},

	// The domain.
	{
		path:    "billing",
		imports: []string{"auth", "crash", "database", "document", "ent", "ent/schema", "gateway", "language", "mail", "money"},
		tests:   []string{"migrations"},
		why:     "the rules know gateways by their interfaces and nobody who calls them",
	},
	{
		path:    "demo",
		imports: []string{"auth", "billing", "ent", "gateway", "money"},
		tests:   []string{"database", "ent", "migrations"},
		why:     "demo data is made through billing, as a client would",
	},

	{
		path:    "document",
		imports: []string{"language", "money"},
		why:     "a document is drawn from what it says, without a database and without rules",
	},

	// Gateways.
	{
		path:    "gateway",
		imports: []string{"money"},
		why:     "gateways are described without a database and without rules",
	},
	{
		path:    "gateway/stripe",
		imports: []string{"gateway", "money"},
		tests:   []string{"sandbox", "sandbox/stripe"},
		why:     "an adapter translates one gateway's protocol and knows nothing of what is stored",
	},
	{
		path:    "gateway/worldpay",
		imports: []string{"gateway", "money"},
		tests:   []string{"sandbox", "sandbox/worldpay"},
		why:     "an adapter translates one gateway's protocol and knows nothing of what is stored",
	},
	{
		path:    "gateway/gatewaytest",
		imports: []string{"gateway", "money"},
		why:     "the suite that every adapter passes knows none of them",
	},
	{
		path: "outbound",
		why:  "which addresses are dialled is decided without knowing who is there",
	},
	{
		path:    "sandbox",
		imports: []string{"money"},
		why:     "a stand-in that shared code with the product would share its errors; it speaks HTTP",
	},
	{
		path:    "sandbox/*",
		imports: []string{"money", "sandbox"},
		why:     "a stand-in that shared code with the product would share its errors; it speaks HTTP",
	},

	// What is stored.
	{
		path:    "ent",
		imports: []string{"auth", "ent", "ent/schema", "money"},
		why:     "generated from ent/schema",
	},
	{
		path:    "ent/schema",
		imports: []string{"auth", "ent", "money"},
		why:     "the tables know values, the viewer, and what ent generates for their hooks",
	},
	{
		path:    "migrations",
		imports: []string{"ent"},
		tests:   []string{"auth", "database"},
		why:     "migrations are made from ent's tables and applied by database",
	},
	{
		path: "database",
		why:  "opening a database needs nothing of ours; the files to apply are handed in",
	},

	// Leaves.
	{path: "auth", why: "everything else stands on it"},
	{path: "crash", why: "the moments to crash at are passed everywhere and know nobody"},
	{path: "money", why: "everything else stands on it"},
	{path: "config", why: "settings are values; command_serve.go hands them on"},
	{path: "crash", why: "named moments know nothing of what happens at them"},
	{path: "metrics", imports: []string{"gateway"}, why: "counters know what is said to gateways, and nothing of what is done with the answers"},
	{path: "language", imports: []string{"money"}, why: "the words that payers read know values, and nobody who shows them"},
	{path: "mail", imports: []string{"language"}, why: "mails are rendered and sent from what they are given, without a database and without rules"},
	{path: "schema", why: "the public contract is text; it knows nobody who keeps it"},
	{path: "web", why: "embedded files know nothing of the server"},

	// Helpers of tests.
	{
		path:    "testdb",
		imports: []string{"auth", "database", "migrations"},
		why:     "databases for tests know tables, not rules",
	},
	{path: "testdb/serve", imports: []string{"testdb"}, why: "it serves testdb's server to several test processes"},
	{path: "graph/transport/transporttest", why: "a small schema to test the transport with"},
}

// testHelpers are the packages that any test, and nothing else, may import.
var testHelpers = []string{"testdb", "gateway/gatewaytest", "graph/transport/transporttest", "ent/enttest"}

// goPackage is what `go list` tells of a package.
type goPackage struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestImportDirections(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	output, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		t.Fatalf("list packages: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p goPackage
		if err := decoder.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("read the list of packages: %v", err)
		}
		packages = append(packages, p)
	}
	if len(packages) < 10 {
		t.Fatalf("%d packages were listed: this is not the whole program", len(packages))
	}
	for _, violation := range violations(packages) {
		t.Error(violation)
	}
}

// violations returns a sentence for each import that directions does not allow,
// and for each package that it does not know.
func violations(packages []goPackage) []string {
	var found []string
	for _, p := range packages {
		path := relative(p.ImportPath)
		rule, why, tests, ok := directionsOf(path)
		if !ok {
			found = append(found, fmt.Sprintf("package %s is not in the table of arch_test.go: add a line that says what it may import, and why", p.ImportPath))
			continue
		}
		for _, imported := range p.Imports {
			if to := relative(imported); isOurs(imported) && (isTestHelper(to) || !allows(rule, to)) && !servesTests(path) {
				found = append(found, fmt.Sprintf("%s imports %s, which is forbidden: %s", p.ImportPath, imported, reason(to, why)))
			}
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			to := relative(imported)
			if isOurs(imported) && to != path && !isTestHelper(to) && !allows(rule, to) && !allows(tests, to) {
				found = append(found, fmt.Sprintf("the tests of %s import %s, which is forbidden: %s", p.ImportPath, imported, why))
			}
		}
	}
	return found
}

func isOurs(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func relative(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
}

// directionsOf returns the line that speaks of a package: its own, or the one
// that speaks of its kind.
func directionsOf(path string) (imports []string, why string, tests []string, ok bool) {
	for _, name := range []string{path, kind(path)} {
		for _, line := range directions {
			if line.path == name {
				return line.imports, line.why, line.tests, true
			}
		}
	}
	return nil, "", nil, false
}

// kind returns the name under which a package stands in directions when it has
// no line of its own.
func kind(path string) string {
	if strings.HasPrefix(path, "ent/") && path != "ent/schema" {
		return "ent"
	}
	if i := strings.LastIndex(path, "/"); i >= 0 {
		return path[:i] + "/*"
	}
	return path
}

func allows(list []string, path string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, path) || slices.Contains(list, kind(path))
}

func isTestHelper(path string) bool { return slices.Contains(testHelpers, path) }

// servesTests reports whether a package is itself there for tests only.
func servesTests(path string) bool { return isTestHelper(path) || strings.HasPrefix(path, "testdb/") }

func reason(imported, why string) string {
	if isTestHelper(imported) {
		return "it is for tests only"
	}
	return why
}

func TestViolationsAreFound(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		p    goPackage
		want string // empty: allowed
	}{
		{"a resolver calls billing", goPackage{ImportPath: "purser/graph", Imports: []string{"purser/billing", "fmt"}}, ""},
		{"a resolver reads a generated package", goPackage{ImportPath: "purser/graph", Imports: []string{"purser/ent/quote"}}, ""},
		{"the main package wires an adapter", goPackage{ImportPath: "purser", Imports: []string{"purser/gateway/stripe"}}, ""},
		{"a test uses a database", goPackage{ImportPath: "purser/money", XTestImports: []string{"purser/money", "purser/testdb"}}, ""},
		{"front doors meet", goPackage{ImportPath: "purser/graph", Imports: []string{"purser/jobs"}}, "purser/graph imports purser/jobs"},
		{"a resolver knows an adapter", goPackage{ImportPath: "purser/graph", Imports: []string{"purser/gateway/stripe"}}, "only command_serve.go knows an adapter"},
		{"a webhook writes tables", goPackage{ImportPath: "purser/webhook", Imports: []string{"purser/ent/payment"}}, "purser/webhook imports purser/ent/payment"},
		{"a gateway knows the rules", goPackage{ImportPath: "purser/gateway", Imports: []string{"purser/billing"}}, "without rules"},
		{"an adapter reads tables", goPackage{ImportPath: "purser/gateway/stripe", Imports: []string{"purser/ent"}}, "purser/gateway/stripe imports purser/ent"},
		{"the sandbox shares code", goPackage{ImportPath: "purser/sandbox/stripe", Imports: []string{"purser/gateway"}}, "would share its errors"},
		{"money knows somebody", goPackage{ImportPath: "purser/money", Imports: []string{"purser/auth"}}, "purser/money imports purser/auth"},
		{"the program uses a test helper", goPackage{ImportPath: "purser", Imports: []string{"purser/testdb"}}, "for tests only"},
		{"a test crosses the directions", goPackage{ImportPath: "purser/money", TestImports: []string{"purser/billing"}}, "the tests of purser/money import purser/billing"},
		{"nobody knows the package", goPackage{ImportPath: "purser/util"}, "not in the table"},
		{"nobody knows the package below", goPackage{ImportPath: "purser/billing/util"}, "not in the table"},
	} {
		got := strings.Join(violations([]goPackage{test.p}), "\n")
		if test.want == "" && got != "" {
			t.Errorf("%s: refused: %s", test.name, got)
		}
		if test.want != "" && !strings.Contains(got, test.want) {
			t.Errorf("%s: violations = %q, want one with %q", test.name, got, test.want)
		}
	}
}
