package mail

import (
	"slices"
	"strings"
)

// check holds the pieces of a template to what the language has and the mail
// offers: tags, filters and variables, each by its name and line. What passes
// cannot meet anything unknown when it is rendered, in none of its branches.
func check(pieces []piece, offered Values) *Problem {
	c := &checker{offered: offered, assigned: map[string]any{}}
	for _, p := range pieces {
		c.line, c.tokens = p.line, p.tokens
		var bad *Problem
		switch p.kind {
		case pieceText:
			continue
		case pieceObject:
			bad = c.object()
		case pieceTag:
			bad = c.tag()
		}
		if bad == nil && len(c.tokens) > 0 {
			bad = problem(c.line, "%.40q has no meaning here", c.tokens[0].text)
		}
		if bad != nil {
			return bad
		}
	}
	if n := len(c.open); n > 0 {
		return problem(c.open[n-1].line, "{%% %s %%} is not ended by {%% end%s %%}", c.open[n-1].tag, c.open[n-1].tag)
	}
	return nil
}

// checker reads one expression after the other.
type checker struct {
	line   int
	tokens []token // what is left of the expression
	open   []block
	// offered are the mail's variables, assigned the template's own, scopes the
	// items of the loops that are open, the innermost last.
	offered  Values
	assigned map[string]any
	scopes   []map[string]any
}

type block struct {
	tag  string
	line int
	// ended says that its else was there.
	ended bool
}

// next takes the next token.
func (c *checker) next() (token, bool) {
	if len(c.tokens) == 0 {
		return token{}, false
	}
	t := c.tokens[0]
	c.tokens = c.tokens[1:]
	return t, true
}

// accept takes the next token if it is this sign or word.
func (c *checker) accept(text string) bool {
	if len(c.tokens) == 0 || c.tokens[0].text != text || c.tokens[0].kind != tokenSign && c.tokens[0].kind != tokenName {
		return false
	}
	c.tokens = c.tokens[1:]
	return true
}

// object is a value that is put into the mail.
func (c *checker) object() *Problem {
	first := c.tokens[0].text
	value, bad := c.value()
	if bad != nil {
		return bad
	}
	switch value.(type) {
	case Values, []Values:
		return problem(c.line, "%.80s is no text: name one of its parts", first)
	}
	return nil
}

func (c *checker) tag() *Problem {
	t, _ := c.next()
	switch t.text {
	case "if", "unless", "for", "comment":
		if len(c.open) == depthMax {
			return problem(c.line, "more than %d blocks are within each other", depthMax)
		}
		c.open = append(c.open, block{tag: t.text, line: c.line})
		c.scopes = append(c.scopes, map[string]any{})
		switch t.text {
		case "for":
			return c.loop()
		case "comment":
			return nil
		}
		return c.condition()
	case "elsif", "else":
		return c.otherwise(t.text)
	case "endif", "endunless", "endfor", "endcomment":
		n := len(c.open)
		if n == 0 || "end"+c.open[n-1].tag != t.text {
			return problem(c.line, "{%% %s %%} ends nothing that is open here", t.text)
		}
		c.open, c.scopes = c.open[:n-1], c.scopes[:len(c.scopes)-1]
		return nil
	case "assign":
		name, ok := c.newName()
		if !ok || !c.accept("=") {
			return problem(c.line, "an assignment is written {%% assign name = value %%}")
		}
		value, bad := c.value()
		if bad != nil {
			return bad
		}
		c.assigned[name] = value // known from here on, in and out of its block
		return nil
	}
	return problem(c.line, "there is no tag %.40q; there are assign, comment, for, if and unless", t.text)
}

// otherwise is another branch of the block that is open.
func (c *checker) otherwise(tag string) *Problem {
	n := len(c.open)
	if n == 0 || c.open[n-1].ended || c.open[n-1].tag == "comment" || tag == "elsif" && c.open[n-1].tag != "if" {
		return problem(c.line, "{%% %s %%} has no place here", tag)
	}
	if tag == "elsif" {
		return c.condition()
	}
	c.open[n-1].ended = true
	if c.open[n-1].tag == "for" {
		c.scopes[len(c.scopes)-1] = map[string]any{} // there is no item
	}
	return nil
}

// loop is the head of {% for item in list %}.
func (c *checker) loop() *Problem {
	name, ok := c.newName()
	if !ok || !c.accept("in") {
		return problem(c.line, "a loop is written {%% for item in list %%}")
	}
	t, ok := c.next()
	if !ok || t.kind != tokenName {
		return problem(c.line, "a loop goes through a list of the mail's own")
	}
	value, bad := c.lookUp(t.text)
	if bad != nil {
		return bad
	}
	list, ok := value.([]Values)
	if !ok {
		return problem(c.line, "%.80s is not a list", t.text)
	}
	scope := c.scopes[len(c.scopes)-1]
	scope[name] = list[0]
	scope["forloop"] = Values{"first": "", "last": "", "index": 1, "index0": 1, "length": 1}
	return nil
}

// newName takes a name for something of the template's own.
func (c *checker) newName() (string, bool) {
	t, ok := c.next()
	return t.text, ok && t.kind == tokenName && !strings.Contains(t.text, ".") && !isWord(t.text) && c.offered[t.text] == nil && t.text != "forloop"
}

// condition is one comparison or more, tied by and and or.
func (c *checker) condition() *Problem {
	for {
		if _, bad := c.operand(); bad != nil {
			return bad
		}
		if len(c.tokens) > 0 && isComparison(c.tokens[0].text) {
			c.tokens = c.tokens[1:]
			if _, bad := c.operand(); bad != nil {
				return bad
			}
		}
		if !c.accept("and") && !c.accept("or") {
			return nil
		}
	}
}

// value is an operand with its filters.
func (c *checker) value() (any, *Problem) {
	value, bad := c.operand()
	if bad != nil {
		return nil, bad
	}
	for c.accept("|") {
		value = "" // a filter makes a text
		t, _ := c.next()
		f, ok := filters()[t.text]
		if t.kind != tokenName || !ok {
			return nil, problem(c.line, "there is no filter %.40q; there are %s", t.text, strings.Join(filterNames(), ", "))
		}
		given := 0
		if c.accept(":") {
			for {
				if _, bad := c.operand(); bad != nil {
					return nil, bad
				}
				if given++; !c.accept(",") {
					break
				}
			}
		}
		if given != f.parameters {
			return nil, problem(c.line, "the filter %s takes %d values after its colon, not %d", t.text, f.parameters, given)
		}
	}
	return value, nil
}

func (c *checker) operand() (any, *Problem) {
	t, ok := c.next()
	switch {
	case !ok:
		return nil, problem(c.line, "a value is missing at the end")
	case t.kind == tokenText:
		return "", nil
	case t.kind == tokenNumber:
		return 0, nil
	case t.kind == tokenSign:
		return nil, problem(c.line, "a value is missing before %s", t.text)
	case slices.Contains([]string{"true", "false", "nil"}, t.text):
		return "", nil
	}
	return c.lookUp(t.text)
}

// lookUp finds what a variable is.
func (c *checker) lookUp(path string) (any, *Problem) {
	parts := strings.Split(path, ".")
	for _, scope := range slices.Backward(slices.Concat([]map[string]any{c.offered, c.assigned}, c.scopes)) {
		value, known := scope[parts[0]]
		if !known {
			continue
		}
		for _, part := range parts[1:] {
			below, ok := value.(Values)
			if value = below[part]; !ok || value == nil {
				return nil, c.unknown(path)
			}
		}
		return value, nil
	}
	return nil, c.unknown(path)
}

func (c *checker) unknown(path string) *Problem {
	return problem(c.line, "there is no variable %.80q in this mail", path)
}

func isComparison(s string) bool {
	return slices.Contains([]string{"==", "!=", "<", ">", "<=", ">=", "contains"}, s)
}

func isWord(s string) bool {
	return slices.Contains([]string{"and", "or", "in", "contains", "true", "false", "nil"}, s)
}
