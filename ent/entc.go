//go:build ignore

// entc generates the ent client from ent/schema; run it through `go generate`.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
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
	// The templates in ent/template stand in for entgql's own.
	templates := []*gen.Template{
		entgql.EnumTemplate, entgql.NodeTemplate, entgql.PaginationTemplate, entgql.TransactionTemplate,
		gen.MustParse(gen.NewTemplate("purser").Funcs(entgql.TemplateFuncs).ParseGlob("ent/template/*.tmpl")),
	}
	ex, err := entgql.NewExtension(
		entgql.WithTemplates(templates...),
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
			// Nothing that nobody calls: the package is the longest to compile.
			gen.FeaturePrivacy, gen.FeatureIntercept, gen.FeatureModifier, gen.FeatureExecQuery,
			gen.FeatureVersionedMigration, gen.FeatureNamedEdges,
		},
	}, entc.Extensions(ex))
	if err != nil {
		log.Fatalf("ent: %v", err)
	}
	if err := trim("./ent/gql_pagination.go"); err != nil {
		log.Fatalf("ent: %v", err)
	}
	if err := askParents("./ent/*_query.go"); err != nil {
		log.Fatalf("ent: %v", err)
	}
}

// askParents lets ent/limit.go say how the rows of a list are held to those
// whose list it is.
func askParents(pattern string) error {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	held, found := regexp.MustCompile(`sql\.InValues\((s\.C\(\w+\.\w+Column\)), fks\.\.\.\)`), false
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if !held.Match(b) {
			continue
		}
		found = true
		if err := os.WriteFile(path, held.ReplaceAll(b, []byte("query.parents.are($1, fks)")), 0o644); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("%s: no list is held to its parents", pattern)
	}
	return nil
}

// trim takes out of the generated pagination how it finds the parts of a
// connection: by their path of aliases, which ent/selection.go does better. An
// order by id that was asked for is told from the default by its column, so
// that the id is not the second thing to order by as well.
func trim(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(b), "func collectedField(")
	_, after, found2 := strings.Cut(rest, "\nconst (\n\tedgesField")
	if !found || !found2 {
		return fmt.Errorf("%s: there is no collectedField to take out", path)
	}
	pages := before + "const (\n\tedgesField" + after
	compared := regexp.MustCompile(`(p\.order\.Field)( != Default\w+Order\.Field)( \{)`)
	if !compared.MatchString(pages) {
		return fmt.Errorf("%s: no order is compared with the default", path)
	}
	pages = compared.ReplaceAllString(pages, "$1.column$2.column$3")
	return os.WriteFile(path, []byte(pages), 0o644)
}
