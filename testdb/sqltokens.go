package testdb

import (
	"fmt"
	"strings"
	"sync"
)

// tokenKind tells what a piece of SQL is.
type tokenKind int

const (
	tokenWord   tokenKind = iota // a keyword or an identifier without quotes
	tokenQuoted                  // an identifier in quotes
	tokenText                    // a literal in single quotes
	tokenNumber
	tokenParam  // $1 or ?
	tokenSymbol // one character, or a pair such as <> and ::
	tokenGroup  // what stands in a pair of parentheses
)

// token is one piece of a statement.
type token struct {
	kind  tokenKind
	text  string  // without quotes; words in lower case
	param int     // the number of a tokenParam's argument, from 1
	inner []token // of a tokenGroup
}

// is reports whether the token is one of the words, given in lower case.
func (t token) is(words ...string) bool {
	if t.kind != tokenWord {
		return false
	}
	for _, word := range words {
		if t.text == word {
			return true
		}
	}
	return false
}

// symbol reports whether the token is the symbol.
func (t token) symbol(s string) bool { return t.kind == tokenSymbol && t.text == s }

// name reports whether the token can be an identifier.
func (t token) name() bool { return t.kind == tokenWord || t.kind == tokenQuoted }

// read keeps the tokens of statements that were read: the program makes the
// same ones again and again, and reading them took a tenth of all tests. Those
// with long lists are seldom the same.
var read sync.Map // of []token by query

const readMax = 8 << 10

// tokenize splits a statement of either database into tokens, with parentheses
// as nested groups. Nobody may change them.
func tokenize(query string) ([]token, error) {
	if known, ok := read.Load(query); ok {
		return known.([]token), nil
	}
	z := tokenizer{query: query}
	tokens, err := z.group(0)
	if err != nil {
		return nil, fmt.Errorf("read statement: %w", err)
	}
	if len(query) <= readMax {
		read.Store(query, tokens)
	}
	return tokens, nil
}

type tokenizer struct {
	query  string
	at     int
	params int // the ? seen so far
}

// group reads up to the closing parenthesis, or to the end at depth 0.
func (z *tokenizer) group(depth int) ([]token, error) {
	var tokens []token
	for {
		z.skipBlank()
		if z.at >= len(z.query) {
			if depth > 0 {
				return nil, fmt.Errorf("%d parentheses are not closed", depth)
			}
			return tokens, nil
		}
		switch c := z.query[z.at]; c {
		case '(':
			z.at++
			inner, err := z.group(depth + 1)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{kind: tokenGroup, inner: inner})
		case ')':
			if depth == 0 {
				return nil, fmt.Errorf("a parenthesis closes at %d that was not opened", z.at)
			}
			z.at++
			return tokens, nil
		default:
			t, err := z.next(c)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, t)
		}
	}
}

// skipBlank passes over white space and comments.
func (z *tokenizer) skipBlank() {
	for z.at < len(z.query) {
		rest := z.query[z.at:]
		switch {
		case strings.ContainsRune(" \t\r\n", rune(rest[0])):
			z.at++
		case strings.HasPrefix(rest, "--"):
			z.at += length(rest, "\n")
		case strings.HasPrefix(rest, "/*"):
			z.at += length(rest, "*/")
		default:
			return
		}
	}
}

// length returns how far rest reaches up to and with end.
func length(rest, end string) int {
	if i := strings.Index(rest, end); i >= 0 {
		return i + len(end)
	}
	return len(rest)
}

func (z *tokenizer) next(c byte) (token, error) {
	switch {
	case c == '\'':
		text, err := z.quoted('\'')
		return token{kind: tokenText, text: text}, err
	case c == '"', c == '`':
		text, err := z.quoted(c)
		return token{kind: tokenQuoted, text: text}, err
	case c == '?', c == '$' && z.at+1 < len(z.query) && digit(z.query[z.at+1]):
		z.at++
		number := 0
		for ; z.at < len(z.query) && digit(z.query[z.at]); z.at++ {
			number = number*10 + int(z.query[z.at]-'0')
		}
		if number == 0 {
			z.params++
			number = z.params
		}
		return token{kind: tokenParam, param: number}, nil
	case digit(c):
		start := z.at
		for z.at < len(z.query) && (wordByte(z.query[z.at]) || z.query[z.at] == '.') {
			z.at++
		}
		return token{kind: tokenNumber, text: z.query[start:z.at]}, nil
	case wordByte(c):
		start := z.at
		for z.at < len(z.query) && wordByte(z.query[z.at]) {
			z.at++
		}
		return token{kind: tokenWord, text: strings.ToLower(z.query[start:z.at])}, nil
	}
	for _, pair := range []string{"<>", "<=", ">=", "!=", "::", "||", "->", "@>"} {
		if strings.HasPrefix(z.query[z.at:], pair) {
			z.at += len(pair)
			return token{kind: tokenSymbol, text: pair}, nil
		}
	}
	z.at++
	return token{kind: tokenSymbol, text: string(c)}, nil
}

// quoted reads a literal or an identifier, in which a doubled quote stands for
// one.
func (z *tokenizer) quoted(quote byte) (string, error) {
	var text strings.Builder
	start := z.at
	for z.at++; z.at < len(z.query); z.at++ {
		if z.query[z.at] != quote {
			text.WriteByte(z.query[z.at])
			continue
		}
		if z.at+1 >= len(z.query) || z.query[z.at+1] != quote {
			z.at++
			return text.String(), nil
		}
		z.at++
		text.WriteByte(quote)
	}
	return "", fmt.Errorf("the quote at %d is not closed", start)
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

func wordByte(c byte) bool {
	return c == '_' || digit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
