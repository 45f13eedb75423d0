package mail

import (
	"errors"
	"fmt"
	"html"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/osteele/liquid/expressions"
	"github.com/osteele/liquid/parser"
	"github.com/osteele/liquid/render"
)

// The engine is the Liquid library's parser and expressions under a grammar of
// our own: its standard tags read files and loop without end, so none of them
// is there. Everything that a template can do is counted.

// Bounds of one rendering.
const (
	stepsMax = 10_000
	timeMax  = 250 * time.Millisecond
)

var (
	errSteps  = errors.New("the template takes too many steps")
	errTime   = errors.New("the template takes too long")
	errOutput = errors.New("the template makes too much text")
)

// rendering is one run of one template.
type rendering struct {
	html     bool
	steps    int
	deadline time.Time // none where it is zero
	out      strings.Builder
}

// renderSource runs a template that was checked.
func renderSource(pieces []piece, values map[string]any, asHTML, ours bool) (text string, bad *Problem) {
	r := &rendering{html: asHTML}
	if !ours {
		r.deadline = time.Now().Add(timeMax)
	}
	defer func() {
		// The library panics where a writer fails, and where it is at fault.
		if p := recover(); p != nil {
			cause, ok := p.(error)
			if !ok {
				cause = fmt.Errorf("%v", p)
			}
			text, bad = "", r.problem(cause)
		}
	}()
	var source strings.Builder
	for _, p := range pieces {
		p.written(&source)
	}
	grammar := r.grammar()
	root, err := grammar.Compile(source.String(), parser.SourceLoc{LineNo: 1})
	if err != nil {
		return "", r.problem(err)
	}
	if err := r.step(len(pieces)); err != nil {
		return "", r.problem(err)
	}
	if err := render.Render(root, r, values, grammar); err != nil {
		return "", r.problem(err)
	}
	return r.out.String(), nil
}

// problem says what went wrong in words of ours.
func (r *rendering) problem(err error) *Problem {
	p := &Problem{Message: "the template cannot be rendered"}
	var located render.Error
	if errors.As(err, &located) {
		p.Line = located.LineNumber()
	}
	for e := err; e != nil; {
		for _, bound := range []error{errSteps, errTime, errOutput} {
			if errors.Is(e, bound) {
				p.Message = bound.Error()
			}
		}
		c, ok := e.(interface{ Cause() error })
		if !ok {
			break
		}
		e = c.Cause()
	}
	return p
}

// Write implements io.Writer for what the engine puts out.
func (r *rendering) Write(b []byte) (int, error) {
	if r.out.Len()+len(b) > outputMax {
		return 0, errOutput
	}
	return r.out.Write(b)
}

// step counts what is about to be done.
func (r *rendering) step(n int) error {
	if r.steps += n; r.steps > stepsMax {
		return errSteps
	}
	if !r.deadline.IsZero() && time.Now().After(r.deadline) {
		return errTime
	}
	return nil
}

func (r *rendering) grammar() render.Config {
	c := render.NewConfig()
	c.AddTag("assign", assign)
	c.AddBlock("comment")
	c.AddBlock("if").Clause("elsif").Clause("else").Compiler(r.branches(true))
	c.AddBlock("unless").Clause("else").Compiler(r.branches(false))
	c.AddBlock("for").Clause("else").Compiler(r.loop)
	for name, f := range filters() {
		c.AddFilter(name, r.counted(f))
	}
	c.AddFilter(filterOut, func(v any) string {
		if r.html {
			return html.EscapeString(textOf(v))
		}
		return textOf(v)
	})
	return c
}

func assign(args string) (func(io.Writer, render.Context) error, error) {
	name, value, _ := strings.Cut(args, "=")
	expr, err := expressions.Parse(value)
	if err != nil {
		return nil, err
	}
	return func(_ io.Writer, ctx render.Context) error {
		v, err := ctx.Evaluate(expr)
		if err == nil {
			ctx.Set(strings.TrimSpace(name), v)
		}
		return err
	}, nil
}

// branch is a part of {% if %} or {% unless %}; without a condition its else.
type branch struct {
	when expressions.Expression
	then *render.BlockNode
}

// branches renders the first branch whose condition is what the block asks
// for.
func (r *rendering) branches(want bool) render.BlockCompiler {
	return func(n render.BlockNode) (func(io.Writer, render.Context) error, error) {
		var all []branch
		for _, part := range append([]*render.BlockNode{&n}, n.Clauses...) {
			b := branch{then: part}
			if part.Name != "else" {
				var err error
				if b.when, err = expressions.Parse(part.Args); err != nil {
					return nil, err
				}
			}
			all = append(all, b)
		}
		return func(w io.Writer, ctx render.Context) error {
			for i, b := range all {
				if err := r.step(1); err != nil {
					return err
				}
				if b.when != nil {
					v, err := ctx.Evaluate(b.when)
					if err != nil {
						return err
					}
					// The first is what the block is named for, the others are elsif.
					if holds := v != nil && v != false; holds != (want || i > 0) {
						continue
					}
				}
				if err := r.step(len(b.then.Body)); err != nil {
					return err
				}
				return ctx.RenderBlock(w, b.then)
			}
			return nil
		}, nil
	}
}

// loop goes through a list of the mail's own: the check has let no other
// through.
func (r *rendering) loop(n render.BlockNode) (func(io.Writer, render.Context) error, error) {
	name, list, _ := strings.Cut(n.Args, " in ")
	expr, err := expressions.Parse(list)
	if err != nil {
		return nil, err
	}
	return func(w io.Writer, ctx render.Context) error {
		v, err := ctx.Evaluate(expr)
		if err != nil {
			return err
		}
		items, _ := v.([]any)
		if len(items) == 0 && len(n.Clauses) > 0 {
			otherwise := n.Clauses[0] // there is one else at most
			if err := r.step(len(otherwise.Body)); err != nil {
				return err
			}
			return ctx.RenderBlock(w, otherwise)
		}
		defer func(item, loop any) {
			ctx.Set(name, item)
			ctx.Set("forloop", loop)
		}(ctx.Get(name), ctx.Get("forloop"))
		for i, item := range items {
			if err := r.step(1 + len(n.Body)); err != nil {
				return err
			}
			ctx.Set(name, item)
			ctx.Set("forloop", map[string]any{"first": i == 0, "last": i == len(items)-1, "index": i + 1, "index0": i, "length": len(items)})
			if err := ctx.RenderChildren(w); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// filterOut is the filter that everything put into a mail goes through. No
// template can name it.
const filterOut = "purser_out"

// filter makes a text of a text, and of what stands after its colon.
type filter struct {
	parameters int
	apply      func(s string, args []string) string
}

func filters() map[string]filter {
	return map[string]filter{
		"upcase":   {0, func(s string, _ []string) string { return strings.ToUpper(s) }},
		"downcase": {0, func(s string, _ []string) string { return strings.ToLower(s) }},
		"capitalize": {0, func(s string, _ []string) string {
			first, size := utf8.DecodeRuneInString(s)
			return strings.ToUpper(string(first)) + s[size:]
		}},
		"strip":   {0, func(s string, _ []string) string { return strings.TrimSpace(s) }},
		"append":  {1, func(s string, args []string) string { return s + args[0] }},
		"prepend": {1, func(s string, args []string) string { return args[0] + s }},
		"default": {1, func(s string, args []string) string {
			if s == "" {
				return args[0]
			}
			return s
		}},
		"truncate": {1, func(s string, args []string) string {
			n, err := strconv.Atoi(args[0])
			if runes := []rune(s); err == nil && n >= 0 && n < len(runes) {
				return string(runes[:max(0, n-1)]) + "…"
			}
			return s
		}},
		// What is put into HTML is escaped by itself; once is enough.
		"escape": {0, func(s string, _ []string) string { return s }},
	}
}

func filterNames() []string { return slices.Sorted(maps.Keys(filters())) }

// counted is a filter as the library calls it.
func (r *rendering) counted(f filter) any {
	apply := func(v any, args ...any) (string, error) {
		if err := r.step(1); err != nil {
			return "", err
		}
		texts := make([]string, len(args))
		for i, a := range args {
			texts[i] = textOf(a)
		}
		s := f.apply(textOf(v), texts)
		if len(s) > outputMax {
			return "", errOutput
		}
		return s, nil
	}
	if f.parameters == 0 {
		return func(v any) (string, error) { return apply(v) }
	}
	return func(v, arg any) (string, error) { return apply(v, arg) }
}

// textOf is a value as it is put into a mail. Lists and groups of values have
// no text.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int, float64, bool:
		return fmt.Sprint(v)
	}
	return ""
}
