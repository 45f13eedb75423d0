package testdb

// table is a table that a statement names, and the name by which its columns
// are qualified.
type table struct {
	name, alias string
}

// scope is the tables of one query and the conditions that all of its rows
// meet.
type scope struct {
	tables     []table
	conditions [][]token
}

// joinWords stand between the tables of a list.
var joinWords = []string{"join", "left", "right", "full", "inner", "outer", "cross", "natural", "lateral", "only"}

// read adds a list of tables: a, b AS x JOIN c ON condition …
func (s *scope) read(tokens []token) {
	for len(tokens) > 0 {
		t := tokens[0]
		switch {
		case t.symbol(","), t.is(joinWords...):
			tokens = tokens[1:]
		case t.is("on"):
			end := 1
			for end < len(tokens) && !tokens[end].symbol(",") && !tokens[end].is(joinWords...) {
				end++
			}
			s.conditions = append(s.conditions, tokens[1:end])
			tokens = tokens[end:]
		case t.is("using"):
			tokens = tokens[1:]
			if len(tokens) > 0 && tokens[0].kind == tokenGroup {
				tokens = tokens[1:]
			}
		case t.kind == tokenGroup:
			if len(t.inner) > 0 && !t.inner[0].is("select", "with", "values") {
				s.read(t.inner) // joined tables in parentheses
			}
			_, tokens = readAlias(tokens[1:], "")
		case t.name():
			var name, alias string
			name, tokens = readName(tokens)
			if len(tokens) > 0 && tokens[0].kind == tokenGroup {
				name, tokens = "", tokens[1:] // a function that returns rows
			}
			alias, tokens = readAlias(tokens, name)
			s.tables = append(s.tables, table{name: name, alias: alias})
		default:
			tokens = tokens[1:]
		}
	}
}

// readName reads a name, leaves its schema out, and returns what follows.
func readName(tokens []token) (string, []token) {
	for len(tokens) > 2 && tokens[1].symbol(".") {
		tokens = tokens[2:]
	}
	return tokens[0].text, tokens[1:]
}

// readAlias reads the name that a table is given, or else returns its own.
func readAlias(tokens []token, name string) (string, []token) {
	if len(tokens) > 1 && tokens[0].is("as") {
		tokens = tokens[1:]
	} else if len(tokens) == 0 || !tokens[0].name() || tokens[0].is(joinWords...) || tokens[0].is("on", "using") {
		return name, tokens
	}
	name, tokens = tokens[0].text, tokens[1:]
	if len(tokens) > 0 && tokens[0].kind == tokenGroup {
		tokens = tokens[1:] // names of the columns
	}
	return name, tokens
}
