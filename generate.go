package main

// ent first: gqlgen binds the public schema to the types that ent makes.
//go:generate go run ./ent/entc.go
//go:generate go run github.com/99designs/gqlgen generate
