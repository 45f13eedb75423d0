//go:build ignore

// entc generates the ent client from ent/schema; run it through `go generate`.
package main

import (
	"fmt"
	"log"
	"os"
	"strings"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

// whereP gives every query builder the method by which the tenant mixin adds
// its filter without importing generated code.
var whereP = gen.MustParse(gen.NewTemplate("wherep").Parse(`{{ define "dialect/sql/query/additional/wherep" }}{{ $b := pascal $.Scope.Builder }}{{ $r := $.Scope.Receiver }}
// WhereP adds predicates given as plain selector functions.
func ({{ $r }} *{{ $b }}) WhereP(ps ...func(*sql.Selector)) {
	for _, p := range ps {
		{{ $r }}.predicates = append({{ $r }}.predicates, predicate.{{ $.Name }}(p))
	}
}
{{ end }}`))

func main() {
	ex, err := entgql.NewExtension(
		entgql.WithWhereInputs(true),
		entgql.WithRelaySpec(true),
		entgql.WithNodeDescriptor(false),
	)
	if err != nil {
		log.Fatalf("entgql: %v", err)
	}
	err = entc.Generate("./ent/schema", &gen.Config{
		Target:    "./ent",
		Package:   "purser/ent",
		Templates: []*gen.Template{whereP},
		Features: []gen.Feature{
			gen.FeaturePrivacy, gen.FeatureIntercept, gen.FeatureUpsert, gen.FeatureLock,
			gen.FeatureModifier, gen.FeatureExecQuery, gen.FeatureVersionedMigration, gen.FeatureNamedEdges,
		},
	}, entc.Extensions(ex))
	if err != nil {
		log.Fatalf("ent: %v", err)
	}
	if err := fixAliases("./ent/gql_pagination.go"); err != nil {
		log.Fatalf("ent: %v", err)
	}
	for path, count := range map[string]func(name string) string{
		"./ent/gql_pagination.go": func(name string) string { return "hasCollectedField(ctx, " + name + "Field)" },
		"./ent/gql_collection.go": func(name string) string { return "hasCollectedField(ctx, append(path, " + name + "Field)...)" },
	} {
		if err := countForTotal(path, count); err != nil {
			log.Fatalf("ent: %v", err)
		}
	}
}

// countForTotal has the generated code count a list for totalCount alone. It
// counts for pageInfo too, on every page of whoever turns pages, although the
// page itself tells whether there is another.
func countForTotal(path string, has func(field string) string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(b)
	edges, total, info := has("edges"), has("totalCount"), has("pageInfo")
	for wrong, right := range map[string]string{
		"if " + total + " || " + info + " {": "if " + total + " {",
		// Without its edges a page is still read for what pageInfo says.
		"ignoredEdges := !" + edges + "\n": "ignoredEdges := !" + edges + " && !" + info + "\n",
	} {
		if n := strings.Count(text, wrong); n == 0 || n != strings.Count(text, "ignoredEdges := ") {
			return fmt.Errorf("%s: %d places look like %q", path, n, wrong)
		}
		text = strings.ReplaceAll(text, wrong, right)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// fixAliases repairs how the generated code looks for the parts of a
// connection. It compares the response name, so that a document which renames
// them (all: edges, count: totalCount) would be answered with an empty page and
// a count of zero.
func fixAliases(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const wrong = "if f.Alias == name {"
	const right = `if f.Alias == name || f.Name == name && (name == edgesField || name == nodeField || name == pageInfoField || name == totalCountField) {`
	if n := strings.Count(string(b), wrong); n != 1 {
		return fmt.Errorf("%s: %d places look like the comparison of aliases, want 1", path, n)
	}
	return os.WriteFile(path, []byte(strings.Replace(string(b), wrong, right, 1)), 0o644)
}
