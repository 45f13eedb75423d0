package mail

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of a template and of what becomes of it.
const (
	sourceMax  = 16 << 10
	subjectMax = 500
	outputMax  = 64 << 10
	piecesMax  = 2000 // objects and tags of a template
	tokensMax  = 100  // of one of them
	depthMax   = 20   // of blocks within blocks
)

// Problem is what is wrong with a template.
type Problem struct {
	// Part is "subject", "body" or "htmlBody".
	Part string
	// Line counts from one; 0 where it is not one line.
	Line int
	// Message is a sentence for a person.
	Message string
}

func (p *Problem) Error() string {
	if p.Line == 0 {
		return p.Message
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Message)
}

func problem(line int, format string, args ...any) *Problem {
	return &Problem{Line: line, Message: fmt.Sprintf(format, args...)}
}

// pieceKind tells what a piece of a template is.
type pieceKind int

const (
	pieceText   pieceKind = iota
	pieceObject           // {{ … }}
	pieceTag              // {% … %}
)

// piece is a part of a template. The template is cut up here and not by the
// engine, so that what is checked is what runs: the engine is given the pieces
// written anew.
type piece struct {
	kind pieceKind
	line int
	// text of a text; of a tag or object what stands between its marks.
	text string
	// trimLeft and trimRight take away the blanks around it.
	trimLeft, trimRight bool
	// alone is a tag that has its line to itself: the line is not put out.
	alone  bool
	tokens []token
}

// scan cuts a template up. Every object and tag ends on the line it begins on.
func scan(source string) ([]piece, *Problem) {
	if !utf8.ValidString(source) {
		return nil, problem(0, "the template is not valid UTF-8")
	}
	var out []piece
	line, marks := 1, 0
	for rest := source; rest != ""; {
		at := nextMark(rest)
		if at < 0 {
			out = append(out, piece{kind: pieceText, line: line, text: rest})
			break
		}
		if at > 0 {
			out = append(out, piece{kind: pieceText, line: line, text: rest[:at]})
			line += strings.Count(rest[:at], "\n")
			rest = rest[at:]
		}
		if marks++; marks > piecesMax {
			return nil, problem(line, "the template has more than %d places where something is put in or decided", piecesMax)
		}
		p := piece{kind: pieceObject, line: line}
		begin, end := rest[:2], "}}"
		if begin == "{%" {
			p.kind, end = pieceTag, "%}"
		}
		inside, after, closed := strings.Cut(rest[2:], end)
		if !closed || strings.Contains(inside, "\n") {
			return nil, problem(line, "%s is not closed by %s on its line", begin, end)
		}
		p.text, rest = inside, after
		p.text, p.trimLeft = strings.CutPrefix(p.text, "-")
		p.text, p.trimRight = strings.CutSuffix(p.text, "-")
		p.text = strings.TrimSpace(p.text)
		var bad *Problem
		if p.tokens, bad = tokenize(p.text, line); bad != nil {
			return nil, bad
		}
		if len(p.tokens) == 0 {
			return nil, problem(line, "there is nothing between %s and %s", begin, end)
		}
		out = append(out, p)
	}
	for i := range out {
		begins := i == 0 || out[i-1].kind == pieceText && strings.HasSuffix(out[i-1].text, "\n") || out[i-1].alone && out[i-1].line < out[i].line
		if out[i].kind == pieceTag && begins && i+1 < len(out) {
			out[i+1].text, out[i].alone = strings.CutPrefix(out[i+1].text, "\n")
		}
	}
	return out, nil
}

// nextMark finds where the next object or tag begins.
func nextMark(s string) int {
	object, tag := strings.Index(s, "{{"), strings.Index(s, "{%")
	if object < 0 || tag >= 0 && tag < object {
		return tag
	}
	return object
}

// tokenKind tells what a token of an expression is.
type tokenKind int

const (
	tokenName   tokenKind = iota // a word, or a path such as account.name
	tokenText                    // with its quotes
	tokenNumber                  //
	tokenSign                    // == != <> <= >= < > = | : ,
)

type token struct {
	kind tokenKind
	text string
}

// tokenize cuts an expression up. What is none of these tokens is refused:
// brackets, ranges, escapes.
func tokenize(s string, line int) ([]token, *Problem) {
	var out []token
	for i := 0; i < len(s); {
		if len(out) == tokensMax {
			return nil, problem(line, "the expression is too long")
		}
		c, begin := s[i], i
		switch {
		case c == ' ' || c == '\t':
			i++
			continue
		case isLetter(c):
			for i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '.' && i+1 < len(s) && isLetter(s[i+1])) {
				i++
			}
			if i < len(s) && s[i] == '?' && strings.Contains(s[begin:i], ".") {
				i++ // account.credit_card_stored?
			}
			out = append(out, token{tokenName, s[begin:i]})
		case isDigit(c) || c == '-' && i+1 < len(s) && isDigit(s[i+1]):
			i++
			for i < len(s) && (isDigit(s[i]) || s[i] == '.' && i+1 < len(s) && isDigit(s[i+1])) {
				i++
			}
			if i-begin > 9 || strings.Count(s[begin:i], ".") > 1 {
				return nil, problem(line, "%.20q is not a number of up to nine digits", s[begin:i])
			}
			out = append(out, token{tokenNumber, s[begin:i]})
		case c == '"' || c == '\'':
			length := strings.IndexByte(s[i+1:], c)
			if length < 0 {
				return nil, problem(line, "the text %.40s is not closed", s[i:])
			}
			i += length + 2
			if strings.ContainsAny(s[begin:i], "{}%") {
				return nil, problem(line, "a text within an expression has no {, } and %%")
			}
			out = append(out, token{tokenText, s[begin:i]})
		default:
			sign := signAt(s[i:])
			if sign == "" {
				r, _ := utf8.DecodeRuneInString(s[i:])
				return nil, problem(line, "%q has no meaning here", r)
			}
			i += len(sign)
			out = append(out, token{tokenSign, sign})
		}
	}
	return out, nil
}

func signAt(s string) string {
	for _, sign := range []string{"==", "!=", "<=", ">=", "<", ">", "=", "|", ":", ","} {
		if strings.HasPrefix(s, sign) {
			return sign
		}
	}
	return ""
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// written is the piece as the engine gets it; an object's value goes through
// the last filter, which decides how it is put in.
func (p piece) written(out *strings.Builder) {
	if p.kind == pieceText {
		out.WriteString(p.text)
		return
	}
	begin, end := "{{", "}}"
	if p.kind == pieceTag {
		begin, end = "{%", "%}"
	}
	out.WriteString(begin)
	if p.trimLeft {
		out.WriteByte('-')
	}
	for _, t := range p.tokens {
		if t.text != ":" { // it belongs to the word before it
			out.WriteByte(' ')
		}
		out.WriteString(t.text)
	}
	if p.kind == pieceObject {
		out.WriteString(" | " + filterOut)
	}
	out.WriteByte(' ')
	if p.alone {
		out.WriteByte('\n') // so that the engine counts the line
	}
	if p.trimRight {
		out.WriteByte('-')
	}
	out.WriteString(end)
}
