package graph

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// constants reads the typed or named string constants of a Go file: those
// whose names begin with Code, with their comments.
func constants(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range file.Decls {
		group, ok := d.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		for _, s := range group.Specs {
			v := s.(*ast.ValueSpec)
			if !strings.HasPrefix(v.Names[0].Name, "Code") || len(v.Values) == 0 {
				continue
			}
			value, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			_, comment, _ := strings.Cut(strings.Join(strings.Fields(v.Doc.Text()), " "), ": ")
			out[value] = comment
		}
	}
	return out
}

// TestCodes holds that the domain's codes are the schema's.
func TestCodes(t *testing.T) {
	domain := constants(t, filepath.Join("..", "billing", "errors.go"))
	enum := theSchema().Types["UserErrorCode"]
	for _, v := range enum.EnumValues {
		if _, ok := domain[v.Name]; !ok {
			t.Errorf("the schema has %s, the domain has not", v.Name)
		}
		if v.Description == "" {
			t.Errorf("%s is not described", v.Name)
		}
		delete(domain, v.Name)
	}
	for code := range domain {
		t.Errorf("the domain has %s, the schema has not", code)
	}
}

// TestErrorsDocument holds docs/errors.md to the codes of the schema and of
// the transport. PURSER_TEST_UPDATE=1 writes it.
func TestErrorsDocument(t *testing.T) {
	const path = "../docs/errors.md"
	var b strings.Builder
	b.WriteString(`# Errors

This file is made of the schema and of the program; a test keeps it in step
(PURSER_TEST_UPDATE=1 go test ./graph -run TestErrorsDocument writes it).

An answer tells two kinds of errors apart.

## Refusals

A business rule that refuses a mutation is data: ` + "`userErrors`" + ` in the payload,
each with a code, a message for a person, the path of the input that caused it,
and for lack of funds what it is made of. Nothing was written. More codes may be
added: treat an unknown one by its message.

| code | meaning |
|---|---|
`)
	for _, v := range theSchema().Types["UserErrorCode"].EnumValues {
		fmt.Fprintf(&b, "| `%s` | %s |\n", v.Name, v.Description)
	}
	b.WriteString(`
## Errors of the request

Everything else stands in ` + "`errors`" + `, with its code in ` + "`extensions.code`" + `. INTERNAL
and UNAVAILABLE carry ` + "`extensions.requestId`" + `, by which the server's log knows what
happened; RATE_LIMITED carries ` + "`extensions.retryAfterSeconds`" + `.

| code | meaning |
|---|---|
`)
	codes := constants(t, filepath.Join("transport", "errors.go"))
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		meaning := strings.TrimSuffix(codes[code], ".")
		if meaning == "" {
			t.Errorf("%s is not described", code)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s. |\n", code, strings.ToUpper(meaning[:1])+meaning[1:])
	}
	b.WriteString(`
A declined card is neither: it is a Payment with ` + "`status: FAILED`" + ` and its
` + "`failure`" + `.
`)
	if os.Getenv("PURSER_TEST_UPDATE") == "1" {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != b.String() {
		t.Errorf("%s is out of step: run PURSER_TEST_UPDATE=1 go test ./graph -run TestErrorsDocument", path)
	}
}

// TestNoInnerText sends what cannot be used and holds every answer to a code
// that a person can act on, with nothing of the program in it.
func TestNoInnerText(t *testing.T) {
	w := newWorld(t, "sqlite3")
	f := w.fill(t, "alpha")
	inner := regexp.MustCompile(`(?i)sql|ent:|pq:|panic|goroutine|purser/|\*ent\.|constraint|strconv|runtime error|nil pointer|\.go:`)
	for _, c := range []struct{ document, want string }{
		{`{ payer(by: {id: "x", companySlug: "y"}) { id } }`, "GRAPHQL_VALIDATION_FAILED"},
		{`{ payer(by: {}) { id } }`, "GRAPHQL_VALIDATION_FAILED"},
		{`{ viewer { nothing } }`, "GRAPHQL_VALIDATION_FAILED"},
		{`{ developers(first: 0) { totalCount } }`, "BAD_USER_INPUT"},
		{`{ developers(after: "AAAA") { totalCount } }`, "BAD_USER_INPUT"},
		{`{ viewer { payer { canSpend(amount: {amount: "1e3", currency: "USD"}) { allowed } } } }`, ""},
		{`{ payer(by: {id: "` + f.payer + `"}) { canSpend(amount: {amount: "1e3", currency: "USD"}) { allowed } } }`, "BAD_USER_INPUT"},
		{`{ payer(by: {id: "` + f.payer + `"}) { canSpend(amount: {amount: "1.000000001", currency: "USD"}) { allowed } } }`, "BAD_USER_INPUT"},
		{`mutation { accessTokenCreate(input: {name: "x", scopes: [ADMIN], permission: READ, expiresAt: "tomorrow"}) { value } }`, "BAD_USER_INPUT"},
		{`mutation { developerCreate(input: {email: "a@b.example", name: "x", metadata: {n: 1}}) { developer { id } } }`, "BAD_USER_INPUT"},
		{`mutation { developerCreate(input: {email: "a@b.example", name: "x", taxRate: "x"}) { developer { id } } }`, "BAD_USER_INPUT"},
		{`mutation { developerCreate(input: {email: "a@b.example", name: "x", taxRate: 19}) { developer { id } } }`, "BAD_USER_INPUT"},
		{`mutation { companyCreate(input: {slug: "xx", name: "x", billingMode: FREE}) { company { id } } }`, "GRAPHQL_VALIDATION_FAILED"},
		{`mutation { providerCreate(input: {name: "x", credentials: {}}) { provider { id } } }`, "GRAPHQL_VALIDATION_FAILED"},
	} {
		document, want := c.document, c.want
		got := w.ask(t, f.token, document, nil)
		if got.code() != want {
			t.Errorf("%s\nanswered %s, want code %q", document, got.Body, want)
		}
		if found := inner.FindString(got.Body); found != "" {
			t.Errorf("%s\nshows %q of the program: %s", document, found, got.Body)
		}
	}
	for document, want := range map[string]string{
		`mutation { developerCreate(input: {email: "a@b.example", name: "x", taxRate: "101"}) { userErrors { code field } } }`:                                        `{"userErrors":[{"code":"INVALID","field":["input","taxRate"]}]}`,
		`mutation { developerCreate(input: {email: "ada@alpha.example", name: "x"}) { userErrors { code field } } }`:                                                  `{"userErrors":[{"code":"TAKEN","field":["input","email"]}]}`,
		`mutation { currencySet(input: {code: "EUR", minimumTopUp: {amount: "1.001", currency: "EUR"}}) { userErrors { code field } } }`:                              `{"userErrors":[{"code":"INVALID","field":["input","minimumTopUp","amount"]}]}`,
		`mutation { organizationUpdate(input: {billingModes: []}) { userErrors { code field } } }`:                                                                    `{"userErrors":[{"code":"INVALID","field":["input","billingModes"]}]}`,
		`mutation { providerCreate(input: {name: "x", credentials: {stripe: {secretKey: "pk_test_1", publishableKey: "sk_test_1"}}}) { userErrors { code field } } }`: `{"userErrors":[{"code":"INVALID","field":["input","credentials","stripe"]}]}`,
	} {
		got := w.ask(t, f.token, document, nil)
		for _, data := range got.Data {
			if string(data) != want {
				t.Errorf("%s\nanswered %s, want %s", document, got.Body, want)
			}
		}
		if len(got.Data) != 1 {
			t.Errorf("%s\nanswered %s", document, got.Body)
		}
	}
}

// TestOneOfByVariable holds a variable to @oneOf as it holds a literal.
func TestOneOfByVariable(t *testing.T) {
	w := newWorld(t, "sqlite3")
	f := w.fill(t, "alpha")
	for _, by := range []map[string]any{
		{"id": f.payer, "externalId": "y"}, {"id": nil}, {}, {"id": f.payer, "externalId": nil},
	} {
		a := w.ask(t, f.token, `query($by: PayerLookup!) { payer(by: $by) { id } }`, map[string]any{"by": by})
		if a.code() != "GRAPHQL_VALIDATION_FAILED" {
			t.Errorf("payer(by: %v): %s", by, a.Body)
		}
	}
	a := w.ask(t, f.token, `query($by: PayerLookup!) { payer(by: $by) { id } }`, map[string]any{"by": map[string]any{"id": f.payer}})
	if len(a.Errors) > 0 || !strings.Contains(a.Body, f.payer) {
		t.Errorf("by one name: %s", a.Body)
	}
}
