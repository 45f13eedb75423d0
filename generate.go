package main

// ent first: gqlgen binds the public schema to the types that ent makes.
// Whatever flags the tests are built with, the generators look for no races of
// their own: it would make them three times slower.
//go:generate go run -race=false ./ent/entc.go
//go:generate go run -race=false github.com/99designs/gqlgen generate
