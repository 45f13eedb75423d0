package transport

import (
	"context"
	"errors"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/errcode"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/lexer"
	"github.com/vektah/gqlparser/v2/parser"
)

// gate refuses documents whose validation or execution would cost more than
// their size suggests. It runs before gqlgen parses, needs no schema, and
// takes time linear in the text plus a constant number of expanded fields:
// gqlgen's own complexity limit walks fragments without a memo and is itself
// an exponential attack.
type gate struct {
	limits    *Limits
	documents *documentCache
	persisted *persistedQueries
}

var _ interface {
	graphql.HandlerExtension
	graphql.OperationParameterMutator
} = (*gate)(nil)

// ExtensionName names the extension in gqlgen's diagnostics.
func (g *gate) ExtensionName() string { return "Gate" }

// Validate accepts every schema.
func (g *gate) Validate(graphql.ExecutableSchema) error { return nil }

// MutateOperationParameters resolves a persisted query and measures text and
// variables.
func (g *gate) MutateOperationParameters(ctx context.Context, params *graphql.RawParams) *gqlerror.Error {
	remember, bad := g.persisted.resolve(params)
	if bad != nil {
		return bad.gql()
	}
	// What is in the cache has passed already.
	if _, known := g.documents.Get(ctx, params.Query); !known {
		if _, err := g.inspect(params.Query); err != nil {
			return err
		}
	}
	if bad := g.inspectVariables(params.Variables); bad != nil {
		return bad.gql()
	}
	remember()
	return nil
}

// inspect measures the text of a document. The measure is returned also with
// an error, as far as it came.
func (g *gate) inspect(query string) (*measure, *gqlerror.Error) {
	m := &measure{limits: g.limits}
	if n := len(query); n > g.limits.QueryBytes {
		return m, limitError("bytes of query text", int64(n), int64(g.limits.QueryBytes)).gql()
	}
	// Nobody else's name for the source, so that errors carry no file.
	source := &ast.Source{Input: query}
	if err := m.countTokens(source); err != nil {
		return m, err
	}
	document, err := parser.ParseQuery(source)
	if err != nil {
		return m, parseError(err)
	}
	if bad := m.document(document); bad != nil {
		return m, bad.gql()
	}
	return m, nil
}

// countTokens counts to the end of the text, so that the error can name the
// actual value; a lexer's pass over 64 KiB is cheap.
func (m *measure) countTokens(source *ast.Source) *gqlerror.Error {
	lex := lexer.New(source)
	for {
		token, err := lex.ReadToken()
		if err != nil {
			return parseError(err)
		}
		if token.Kind == lexer.EOF {
			break
		}
		m.tokens++
		m.work++
	}
	if m.tokens > m.limits.QueryTokens {
		return limitError("tokens of query text", int64(m.tokens), int64(m.limits.QueryTokens)).gql()
	}
	return nil
}

func parseError(err error) *gqlerror.Error {
	var shown *gqlerror.Error
	if !errors.As(err, &shown) {
		shown = &gqlerror.Error{Message: err.Error()}
	}
	errcode.Set(shown, errcode.ParseFailed)
	return shown
}

// inspectVariables measures the nesting of the variables, and looks into their
// texts. How many there are the decoder has counted.
func (g *gate) inspectVariables(variables map[string]any) *Error {
	for _, value := range variables {
		if bad := g.inspectVariable(value, 1); bad != nil {
			return bad
		}
	}
	return nil
}

func (g *gate) inspectVariable(value any, depth int) *Error {
	if depth > g.limits.Depth+1 {
		// The reader has stopped at its own bound, so the deepest level is
		// not worth walking to.
		return limitError("nesting of variables", int64(depth-1), int64(g.limits.Depth))
	}
	switch value := value.(type) {
	case []any:
		for _, item := range value {
			if bad := g.inspectVariable(item, depth+1); bad != nil {
				return bad
			}
		}
	case map[string]any:
		for name, item := range value {
			if bad := storable(name); bad != nil {
				return bad
			}
			if bad := g.inspectVariable(item, depth+1); bad != nil {
				return bad
			}
		}
	case string:
		return storable(value)
	}
	return nil
}

// storable refuses the one character that a text of PostgreSQL cannot hold.
// It is refused here for every id, key and text at once: a resolver that let
// one through would answer INTERNAL there, and something else on SQLite.
func storable(text string) *Error {
	if strings.ContainsRune(text, 0) {
		return Errorf(CodeBadUserInput, "a text holds the character U+0000, which no text here can hold")
	}
	return nil
}
