package testdb

import (
	"bytes"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"purser/migrations"
)

const organizationColumn = "organization_id"

// CheckStatement returns what a statement of the program does that it may not
// do where the tables are spread over machines by organization:
//
//   - every tenant table that the statement names, in subqueries too, needs
//     its own organization_id = parameter, never beside OR and never by way of
//     another table; all of them, and all rows of an INSERT, name one
//     organization;
//   - organization_id is never set to anything but itself;
//   - MERGE, TRUNCATE, writing in WITH, advisory locks, LISTEN, and in writing
//     statements functions whose value the database chooses anew for each row
//     are refused.
//
// Statements that neither read nor write rows, such as PRAGMA or CREATE TABLE,
// pass. The rules and the reading are the same for SQLite and PostgreSQL.
func CheckStatement(query string, args []driver.NamedValue) error {
	tenants, err := migrations.TenantTables()
	if err != nil {
		return err
	}
	return checkStatement(query, args, tenants, false)
}

// checkStatement is CheckStatement where the tenant tables are known; with
// allTenants it leaves out what concerns the organization.
func checkStatement(query string, args []driver.NamedValue, tenants []string, allTenants bool) error {
	tokens, err := tokenize(query)
	if err != nil {
		return err
	}
	c := checker{args: args, allTenants: allTenants, tenants: tenants}
	for _, statement := range split(tokens, func(t token) bool { return t.symbol(";") }) {
		c.statement(statement)
	}
	if !allTenants {
		c.oneOrganization()
	}
	return errors.Join(c.problems...)
}

// checker gathers the problems of one statement.
type checker struct {
	args       []driver.NamedValue
	allTenants bool
	tenants    []string

	organizations []driver.Value // the arguments that organization_id was compared with
	problems      []error
}

func (c *checker) refuse(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

// refuseTenant is refuse for a rule that the allow-listed statements over all
// organizations are free of.
func (c *checker) refuseTenant(format string, args ...any) {
	if !c.allTenants {
		c.refuse(format, args...)
	}
}

// volatile names functions that give each row another value, which machines
// that hold copies of the row would not agree on.
var volatile = []string{"clock_timestamp", "random", "randomblob", "gen_random_uuid", "uuid_generate_v4", "nextval"}

func (c *checker) statement(tokens []token) {
	if len(tokens) == 0 {
		return
	}
	switch {
	case tokens[0].is("merge", "truncate", "listen"):
		c.refuse("%s is not for distributed tables", strings.ToUpper(tokens[0].text))
	case tokens[0].is("select", "insert", "update", "delete", "with", "values", "replace"), tokens[0].kind == tokenGroup:
		c.functions(tokens, writes(tokens))
		c.body(tokens)
	}
}

// writes reports whether a statement, without what stands before it in WITH,
// changes rows.
func writes(tokens []token) bool {
	verbs := []string{"select", "insert", "update", "delete", "replace", "values"}
	at := slices.IndexFunc(tokens, func(t token) bool { return t.is(verbs...) })
	return at >= 0 && !tokens[at].is("select", "values")
}

// functions refuses calls by name, at any depth.
func (c *checker) functions(tokens []token, writing bool) {
	for i, t := range tokens {
		if t.kind != tokenGroup {
			continue
		}
		c.functions(t.inner, writing)
		if i == 0 || tokens[i-1].kind != tokenWord {
			continue
		}
		switch name := tokens[i-1].text; {
		case strings.HasPrefix(name, "pg_advisory_"), strings.HasPrefix(name, "pg_try_advisory_"):
			c.refuse("%s locks on one machine only", name)
		case writing && slices.Contains(volatile, name):
			c.refuse("%s in a writing statement: the program gives time, ids and chance", name)
		}
	}
}

// body checks one query or writing statement with everything nested in it.
func (c *checker) body(tokens []token) {
	if len(tokens) == 0 {
		return
	}
	if tokens[0].is("with") {
		tokens = c.with(tokens[1:])
	}
	for _, part := range split(tokens, func(t token) bool { return t.is("union", "intersect", "except") }) {
		if len(part) > 0 && part[0].is("all", "distinct") {
			part = part[1:]
		}
		c.part(part)
	}
}

// with checks the named queries before a statement and returns the statement.
func (c *checker) with(tokens []token) []token {
	for i, t := range tokens {
		if t.is("select", "insert", "update", "delete", "values") {
			return tokens[i:]
		}
		if t.kind != tokenGroup || i == 0 || !tokens[i-1].is("as", "materialized") {
			continue
		}
		if len(t.inner) > 0 && t.inner[0].is("insert", "update", "delete") {
			c.refuse("%s in WITH: make it a statement of its own", strings.ToUpper(t.inner[0].text))
		}
		c.body(t.inner)
	}
	return nil
}

// part checks what stands between set operators.
func (c *checker) part(tokens []token) {
	if len(tokens) == 0 {
		return
	}
	switch {
	case tokens[0].is("insert", "replace"):
		c.insert(tokens)
	case tokens[0].is("update"):
		c.filtered(tokens, "update")
		c.assignments(tokens)
	case tokens[0].is("delete"):
		c.filtered(tokens, "from", "using")
	case tokens[0].kind == tokenGroup && len(tokens) == 1:
		c.body(tokens[0].inner)
	default:
		c.filtered(tokens, "from")
	}
	c.nested(tokens)
}

// nested checks the subqueries of a statement.
func (c *checker) nested(tokens []token) {
	for _, t := range tokens {
		if t.kind != tokenGroup || len(t.inner) == 0 {
			continue
		}
		if t.inner[0].is("select", "with", "values") {
			c.body(t.inner)
		} else {
			c.nested(t.inner)
		}
	}
}

// clauseEnds are the words that end a list of tables or a condition.
var clauseEnds = []string{"where", "group", "having", "order", "limit", "offset", "fetch", "for", "window", "returning", "set", "from", "using", "values", "select"}

// clause returns the tokens after the word up to the next clause, and whether
// the word was found.
func clause(tokens []token, word string) ([]token, bool) {
	for i, t := range tokens {
		if !t.is(word) || word == "from" && i > 0 && tokens[i-1].is("distinct") {
			continue // "IS DISTINCT FROM" is an operator
		}
		rest := tokens[i+1:]
		for j, end := range rest {
			// JOIN … USING (columns) belongs to the tables.
			columns := end.is("using") && j+1 < len(rest) && rest[j+1].kind == tokenGroup
			operator := end.is("from") && j > 0 && rest[j-1].is("distinct")
			if end.is(clauseEnds...) && !columns && !operator {
				return rest[:j], true
			}
		}
		return rest, true
	}
	return nil, false
}

// filtered checks that each tenant table of a query, an UPDATE or a DELETE has
// its organization. words name the clauses that hold tables.
func (c *checker) filtered(tokens []token, words ...string) {
	var scope scope
	if words[0] == "update" {
		words = append(words, "from")
	}
	for _, word := range words {
		if list, ok := clause(tokens, word); ok {
			scope.read(list)
		}
	}
	if condition, ok := clause(tokens, "where"); ok {
		scope.conditions = append(scope.conditions, condition)
	}
	var tables []table
	for _, t := range scope.tables {
		if slices.Contains(c.tenants, t.name) {
			tables = append(tables, t)
		}
	}
	var scoped []string
	for _, condition := range scope.conditions {
		scoped = append(scoped, c.conjuncts(condition)...)
	}
	for _, t := range tables {
		// An unqualified column can only mean a table that stands alone.
		if slices.Contains(scoped, t.alias) || len(tables) == 1 && slices.Contains(scoped, "") {
			continue
		}
		c.refuseTenant("table %s is not held to one organization by organization_id = a parameter", t.name)
	}
}

// conjuncts returns the qualifiers of all organization_id = parameter that
// must hold for the condition to hold.
func (c *checker) conjuncts(condition []token) []string {
	if slices.ContainsFunc(condition, func(t token) bool { return t.is("or") }) {
		if mentions(condition) {
			c.refuseTenant("organization_id stands beside OR")
		}
		return nil
	}
	var found []string
	for _, part := range split(condition, func(t token) bool { return t.is("and") }) {
		if len(part) == 1 && part[0].kind == tokenGroup {
			found = append(found, c.conjuncts(part[0].inner)...)
			continue
		}
		if qualifier, param, ok := equality(part); ok {
			found = append(found, qualifier)
			c.organization(param)
		}
	}
	return found
}

// mentions reports whether organization_id stands in the tokens, outside
// subqueries, which have conditions of their own.
func mentions(tokens []token) bool {
	return slices.ContainsFunc(tokens, func(t token) bool {
		if t.kind == tokenGroup {
			return len(t.inner) > 0 && !t.inner[0].is("select", "with") && mentions(t.inner)
		}
		return t.name() && t.text == organizationColumn
	})
}

// equality recognizes "alias.organization_id = parameter" in either direction.
func equality(tokens []token) (qualifier string, param token, ok bool) {
	if len(tokens) < 3 {
		return "", token{}, false
	}
	if tokens[0].kind == tokenParam && tokens[1].symbol("=") {
		tokens = append(slices.Clone(tokens[2:]), tokens[1], tokens[0])
	}
	tokens = withoutCast(tokens)
	if len(tokens) == 5 && tokens[0].name() && tokens[1].symbol(".") {
		qualifier, tokens = tokens[0].text, tokens[2:]
	}
	ok = len(tokens) == 3 && tokens[0].name() && tokens[0].text == organizationColumn &&
		tokens[1].symbol("=") && tokens[2].kind == tokenParam
	if !ok {
		return "", token{}, false
	}
	return qualifier, tokens[2], true
}

// withoutCast leaves out "::type" at the end.
func withoutCast(tokens []token) []token {
	if n := len(tokens); n > 2 && tokens[n-2].symbol("::") {
		return tokens[:n-2]
	}
	return tokens
}

// assignments checks the SET clause of a statement.
func (c *checker) assignments(tokens []token) {
	list, ok := clause(tokens, "set")
	if !ok {
		return
	}
	for _, assignment := range split(list, func(t token) bool { return t.symbol(",") }) {
		at := slices.IndexFunc(assignment, func(t token) bool { return t.symbol("=") })
		if at < 1 || !mentions(assignment[:at]) {
			continue
		}
		value := assignment[at+1:]
		if len(value) == 3 && value[1].symbol(".") && !value[0].is("excluded") {
			value = value[2:]
		}
		if len(value) != 1 || !value[0].name() || value[0].text != organizationColumn {
			c.refuse("organization_id is set to something else than itself")
		}
	}
}

// insert checks that all new rows of a tenant table belong to one organization.
func (c *checker) insert(tokens []token) {
	at := slices.IndexFunc(tokens, func(t token) bool { return t.is("into") })
	if at < 0 || at+1 >= len(tokens) {
		return
	}
	target, rest := readName(tokens[at+1:])
	if conflict := slices.IndexFunc(rest, func(t token) bool { return t.is("conflict") }); conflict >= 0 {
		c.assignments(rest[conflict:])
	}
	if query := slices.IndexFunc(rest, func(t token) bool { return t.is("select", "with") }); query >= 0 {
		source := rest[query:]
		for i, t := range source {
			if t.is("on") && i+1 < len(source) && source[i+1].is("conflict") {
				source = source[:i]
				break
			}
		}
		c.body(source)
	}
	if !slices.Contains(c.tenants, target) {
		return
	}
	column := -1
	if len(rest) > 0 && rest[0].kind == tokenGroup {
		names := split(rest[0].inner, func(t token) bool { return t.symbol(",") })
		column = slices.IndexFunc(names, func(name []token) bool {
			return len(name) == 1 && name[0].name() && name[0].text == organizationColumn
		})
	}
	if column < 0 {
		c.refuse("INSERT INTO %s does not name organization_id", target)
		return
	}
	values, ok := clause(rest, "values")
	if !ok {
		return
	}
	for _, row := range values {
		if row.kind != tokenGroup {
			if row.symbol(",") {
				continue
			}
			break // ON CONFLICT
		}
		value := split(row.inner, func(t token) bool { return t.symbol(",") })
		if column >= len(value) {
			c.refuse("INSERT INTO %s has a row of %d values that does not reach organization_id", target, len(value))
			continue
		}
		given := withoutCast(value[column])
		if len(given) != 1 || given[0].kind != tokenParam {
			c.refuseTenant("INSERT INTO %s gives organization_id otherwise than by a parameter", target)
			continue
		}
		c.organization(given[0])
	}
}

// organization notes which organization a parameter names.
func (c *checker) organization(param token) {
	if param.param > len(c.args) {
		c.refuse("the statement names argument %d of %d", param.param, len(c.args))
		return
	}
	c.organizations = append(c.organizations, c.args[param.param-1].Value)
}

// oneOrganization refuses a statement that names several.
func (c *checker) oneOrganization() {
	for _, o := range c.organizations {
		switch {
		case o == nil:
			c.refuse("organization_id is compared with NULL")
		case !sameValue(o, c.organizations[0]):
			c.refuse("the statement names the organizations %v and %v", c.organizations[0], o)
		default:
			continue
		}
		return
	}
}

func sameValue(a, b driver.Value) bool {
	first, ok1 := a.([]byte)
	second, ok2 := b.([]byte)
	if ok1 && ok2 {
		return bytes.Equal(first, second)
	}
	return !ok1 && !ok2 && a == b
}

// split cuts tokens at those that match, which are left out.
func split(tokens []token, at func(token) bool) [][]token {
	var parts [][]token
	start := 0
	for i, t := range tokens {
		if at(t) {
			parts = append(parts, tokens[start:i])
			start = i + 1
		}
	}
	return append(parts, tokens[start:])
}
