//go:build tools

package main

// The code generators' modules, named here so that `go mod tidy` keeps their
// pinned versions; nothing at run time imports them.
import (
	_ "entgo.io/contrib/entgql"
	_ "entgo.io/ent/entc"
	_ "entgo.io/ent/entc/gen"
	_ "github.com/99designs/gqlgen"
)
