// Package schema owns the public contract: the files of the GraphQL schema,
// one per aggregate. What they say again and again of the parts of lists and of
// mutations' answers stands here once; nothing else is added to them.
package schema

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed *.graphql
var files embed.FS

// Text is the schema as one document: what is said in several files, in the
// order of their names.
func Text() (string, error) {
	sources, err := sources()
	if err != nil {
		return "", err
	}
	parts := make([]string, len(sources))
	for i, s := range sources {
		parts[i] = strings.TrimSpace(s.Input) + "\n"
	}
	return strings.Join(parts, "\n"), nil
}

// Load parses the schema and describes the parts that all lists and all
// mutations have in common. Each call returns a schema of its own.
func Load() (*ast.Schema, error) {
	sources, err := sources()
	if err != nil {
		return nil, err
	}
	s, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		return nil, fmt.Errorf("parse the schema: %w", err)
	}
	describe(s)
	return s, nil
}

func sources() ([]*ast.Source, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("list the schema: %w", err)
	}
	out := make([]*ast.Source, len(entries))
	for i, e := range entries {
		text, err := fs.ReadFile(files, e.Name())
		if err != nil {
			return nil, fmt.Errorf("read the schema: %w", err)
		}
		out[i] = &ast.Source{Name: e.Name(), Input: string(text)}
	}
	return out, nil
}

// What the parts of lists and answers are, where the files do not say it.
var (
	arguments = map[string]string{
		"after":   "Only what comes after this cursor: pageInfo.endCursor of the page before.",
		"before":  "Only what comes before this cursor: pageInfo.startCursor of the page after.",
		"first":   "How many from the beginning, 1 to 100; 20 where neither first nor last is given.",
		"last":    "How many from the end, 1 to 100. Not together with first.",
		"orderBy": "In which order; the newest first where it is left out.",
		"where":   "Which of them; all where it is left out.",
		"input":   "What to do, and with what.",
	}
	parts = map[string]string{
		"edges":      "The page's objects, each with its place in the list.",
		"pageInfo":   "Whether there is more, and from where to read on.",
		"totalCount": "How many there are on all pages. It is counted only where it is asked for.",
		"cursor":     "The object's place in the list, for after and before.",
		"node":       "The object.",
		"userErrors": "Why it was refused; empty when it was done.",
	}
)

func describe(s *ast.Schema) {
	for _, d := range s.Types {
		of := ""
		for _, kind := range []struct{ suffix, text string }{
			{"Connection", "A page of a list, as the Relay specification has it."},
			{"Edge", "An object with its place in a list."},
			{"Payload", "What the mutation answers: what it did, or why it refused."},
		} {
			if strings.HasSuffix(d.Name, kind.suffix) && !d.BuiltIn {
				of = kind.suffix
				say(&d.Description, kind.text)
			}
		}
		for _, f := range d.Fields {
			if of != "" {
				say(&f.Description, parts[f.Name])
			}
			if of == "Payload" {
				say(&f.Description, "The object as it is now; null when the mutation was refused.")
			}
			for _, a := range f.Arguments {
				say(&a.Description, arguments[a.Name])
			}
		}
	}
}

func say(description *string, text string) {
	if *description == "" {
		*description = text
	}
}
