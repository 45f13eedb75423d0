package web

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed tabs/*.graphql tabs/*.json
var tabFiles embed.FS

// Tab is one example operation of the playground.
type Tab struct {
	// Name is the tab's title, the first comment line of Query.
	Name string
	// Query is the document, with a header of comments that explains it and
	// says what later tabs take from its answer (see Captures).
	Query string
	// Variables is a JSON object whose strings may hold placeholders (see
	// Expand), or empty.
	Variables string
}

// Tabs are the example operations in the order in which they are meant to be
// run: from a quote to a paid invoice, then balances, then the life of a
// subscription. It fails only when an embedded file is malformed.
func Tabs() ([]Tab, error) {
	// ReadDir sorts by name, and the names begin with two digits.
	names, err := fs.Glob(tabFiles, "tabs/*.graphql")
	if err != nil {
		return nil, fmt.Errorf("list the example tabs: %w", err)
	}
	tabs := make([]Tab, 0, len(names))
	for _, name := range names {
		query, err := fs.ReadFile(tabFiles, name)
		if err != nil {
			return nil, fmt.Errorf("read example tab: %w", err)
		}
		variables, err := fs.ReadFile(tabFiles, strings.TrimSuffix(name, ".graphql")+".json")
		if err != nil {
			return nil, fmt.Errorf("read example tab's variables: %w", err)
		}
		title, _, _ := strings.Cut(string(query), "\n")
		title, isComment := strings.CutPrefix(title, "# ")
		if !isComment || title == "" {
			return nil, fmt.Errorf("example tab %s: the first line must be a comment with its name", name)
		}
		tabs = append(tabs, Tab{
			Name:      title,
			Query:     string(query),
			Variables: strings.TrimSpace(string(variables)),
		})
	}
	return tabs, nil
}
