//go:build ignore

// entc generates the ent client from ent/schema; run it through `go generate`.
package main

import (
	"log"

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
}
