package transport

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const limitsDocument = "../../docs/limits.md"

// TestLimitsDocument holds docs/limits.md, and the values in the comments of
// Limits, to DefaultLimits. PURSER_TEST_UPDATE=1 writes the document.
func TestLimitsDocument(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`# Limits

This file is made of the program; a test keeps it in step
(PURSER_TEST_UPDATE=1 go test ./graph/transport -run TestLimitsDocument writes it).

What one request to ` + "`/graphql`" + ` and one credential may do. Credentials are counted
apart: two access tokens of an organization, or two sessions of a payer, take
nothing from each other. Every limit is inclusive. What is refused names the
limit: a document that is too large is COMPLEXITY_LIMIT_EXCEEDED, a value or a
list BAD_USER_INPUT, and too much at once RATE_LIMITED with
` + "`extensions.retryAfterSeconds`" + ` and the header ` + "`Retry-After`" + `.

| limit | value | |
|---|---|---|
`)
	defaults := reflect.ValueOf(*DefaultLimits())
	for _, field := range limitFields(t) {
		text := strings.Join(strings.Fields(field.Doc.Text()), " ")
		var values []string
		for _, name := range field.Names {
			value := defaults.FieldByName(name.Name)
			if value.Kind() == reflect.Map {
				continue // its values are told in words
			}
			values = append(values, limitText(value))
		}
		// The comment of a group ends with its values.
		about, told := strings.CutSuffix(text, " "+strings.Join(values, ", ")+".")
		if !told {
			// What a map holds comes after the rest.
			about, _, told = strings.Cut(text, " "+strings.Join(values, ", ")+";")
		}
		if !told {
			t.Errorf("the comment of %s does not tell its values %v: %s", field.Names[0], values, text)
		}
		for i, name := range field.Names {
			value := defaults.FieldByName(name.Name)
			if i > 0 {
				about = "as above"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", limitName(name.Name), limitText(value), sentence(about))
		}
	}
	l := DefaultLimits()
	fmt.Fprintf(&b, `
## The price of an operation

Each credential has a bucket of %s points, refilled with %d a second. An operation
takes its price before it runs, and the answer to a query or a mutation says in
`+"`extensions.cost`"+` what it was and what is left.

- A query or a subscription costs 1 point, 1 more for every 10 fields after fragments are expanded, and 1 more for every 100 nodes that its pages can hold.
- A mutation costs 10 points, 1 more for every field, and the same for nodes.
- No operation costs more than a full bucket.
- Every event of a subscription after the first costs what the subscription did, out of a second bucket of the same size.

## Streams

An event stream and a WebSocket end after %s, and within a second after their
credential has expired or was revoked; a payer session ends with the access token
that made it. Whoever reconnects resumes with the last `+"`extensions.cursor`"+` as
`+"`after`"+`, or the header `+"`Last-Event-ID`"+`: nothing is lost and nothing comes twice.
A reader that leaves 256 changed objects unread is told so with UNAVAILABLE.

Queries and mutations are answered as an event stream where `+"`Accept`"+` prefers
`+"`text/event-stream`"+` to JSON, subscriptions where it is accepted at all.
`, thousands(int64(l.BucketPoints)), l.RestorePerSecond, durationText(l.StreamLife))

	if os.Getenv("PURSER_TEST_UPDATE") == "1" {
		if err := os.WriteFile(limitsDocument, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(limitsDocument)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Error("docs/limits.md is out of step: run PURSER_TEST_UPDATE=1 go test ./graph/transport -run TestLimitsDocument")
	}
}

// limitFields are the fields of Limits, those that share a comment together.
func limitFields(t *testing.T) []*ast.Field {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "options.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var fields []*ast.Field
	for _, declaration := range file.Decls {
		d, ok := declaration.(*ast.GenDecl)
		if !ok || d.Tok != token.TYPE || d.Specs[0].(*ast.TypeSpec).Name.Name != "Limits" {
			continue
		}
		for _, field := range d.Specs[0].(*ast.TypeSpec).Type.(*ast.StructType).Fields.List {
			if field.Doc == nil && len(fields) > 0 {
				last := fields[len(fields)-1]
				last.Names = append(last.Names, field.Names...)
				continue
			}
			fields = append(fields, field)
		}
	}
	names := 0
	for _, field := range fields {
		names += len(field.Names)
	}
	if names != reflect.TypeFor[Limits]().NumField() {
		t.Fatalf("%d of the fields of Limits were found", names)
	}
	return fields
}

// limitText is a value as a person writes it, the same in comments.
func limitText(value reflect.Value) string {
	switch v := value.Interface().(type) {
	case time.Duration:
		return durationText(v)
	case map[string]int:
		var list []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			list = append(list, fmt.Sprintf("`%s` %s", name, thousands(int64(v[name]))))
		}
		return strings.Join(list, ", ")
	}
	n := value.Int()
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<13 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return thousands(n)
}

func durationText(d time.Duration) string {
	if d >= time.Hour {
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}

func thousands(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

var capital = regexp.MustCompile(`[A-Z]`)

// limitName is a field's name in words.
func limitName(name string) string {
	return strings.TrimSpace(capital.ReplaceAllStringFunc(name, func(c string) string { return " " + strings.ToLower(c) }))
}

// fieldName finds names such as PageDefault; WebSocket is one as it stands.
var fieldName = regexp.MustCompile(`\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b`)

// sentence is a comment with the names of fields in words.
func sentence(text string) string {
	text = strings.TrimSuffix(strings.ReplaceAll(fieldName.ReplaceAllStringFunc(text, func(name string) string {
		if name == "WebSocket" || name == "WebSockets" {
			return name
		}
		return limitName(name)
	}), "|", "\\|"), ".")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
