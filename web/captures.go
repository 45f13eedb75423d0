package web

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Capture is a value that a tab hands to later ones: a header comment
//
//	# capture: quoteId = data.quoteCreate.quote.id
//
// keeps the string at that path of the answer under that name. The page reads
// the same language (playground/src/captures.js); testdata/captures.json
// holds both to the same answers.
type Capture struct {
	Name string
	// Path names fields, positions in a list ("0"), the first element of a
	// list that leads to a value ("*"), or the first one among those whose
	// field has a value ("[recurrence=null]").
	Path []string
}

var (
	captureLine = regexp.MustCompile(`^#\s*capture:\s*(.*)$`)
	captureRule = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9]*)\s*=\s*(\S+)$`)
	listFilter  = regexp.MustCompile(`^\[([A-Za-z_][A-Za-z0-9_]*)=(.*)\]$`)
	placeholder = regexp.MustCompile(`\{\{([A-Za-z][A-Za-z0-9]*)\}\}`)
	// What is a number where it stands alone.
	number = regexp.MustCompile(`^\{\{(month|year)\}\}$`)
)

// Captures reads the tab's capture comments, which stand before the first
// line of the operation. It fails on a malformed one.
func (t Tab) Captures() ([]Capture, error) {
	var captures []Capture
	for line := range strings.Lines(t.Query) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			break
		}
		match := captureLine.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		text := strings.TrimSpace(match[1])
		rule := captureRule.FindStringSubmatch(text)
		if rule == nil {
			return nil, fmt.Errorf("capture %q: want \"name = path.in.the.answer\"", text)
		}
		path := strings.Split(rule[2], ".")
		for _, step := range path {
			if step == "" {
				return nil, fmt.Errorf("capture %q: want \"name = path.in.the.answer\"", text)
			}
		}
		captures = append(captures, Capture{Name: rule[1], Path: path})
	}
	return captures, nil
}

// Find returns the string that the capture names in a GraphQL answer, and
// false where there is none (also where it is empty or no string).
func (c Capture) Find(answer json.RawMessage) (string, bool) {
	var value any
	if err := json.Unmarshal(answer, &value); err != nil {
		return "", false
	}
	return find(value, c.Path)
}

func find(value any, path []string) (string, bool) {
	if len(path) == 0 {
		text, ok := value.(string)
		return text, ok && text != ""
	}
	step, rest := path[0], path[1:]
	switch value := value.(type) {
	case map[string]any:
		child, ok := value[step]
		if !ok {
			return "", false
		}
		return find(child, rest)
	case []any:
		return findInList(value, step, rest)
	default:
		return "", false
	}
}

func findInList(list []any, step string, rest []string) (string, bool) {
	if index, err := strconv.ParseUint(step, 10, 31); err == nil {
		if int(index) >= len(list) {
			return "", false
		}
		return find(list[index], rest)
	}
	filter := listFilter.FindStringSubmatch(step)
	if step != "*" && filter == nil {
		return "", false
	}
	for _, element := range list {
		if filter != nil && !hasField(element, filter[1], filter[2]) {
			continue
		}
		if found, ok := find(element, rest); ok {
			return found, true
		}
	}
	return "", false
}

// hasField tells whether the element is an object whose field, a string as it
// is and anything else as JSON, reads as text.
func hasField(element any, field, text string) bool {
	object, ok := element.(map[string]any)
	if !ok {
		return false
	}
	value, ok := object[field]
	if !ok {
		return false
	}
	if s, isString := value.(string); isString {
		return s == text
	}
	encoded, err := json.Marshal(value)
	return err == nil && string(encoded) == text
}

// Expand returns the tab's variables with every placeholder {{name}} in a
// string replaced by lookup(name). The page knows the captured names, "uuid"
// (a fresh one at each place), "origin" (the page's own), and "month" and
// "year" (the running ones, by UTC), which become numbers where they are the
// whole string. It fails when lookup does, or when the variables are no JSON
// object.
func (t Tab) Expand(lookup func(name string) (string, error)) (map[string]any, error) {
	variables := map[string]any{}
	if strings.TrimSpace(t.Variables) == "" {
		return variables, nil
	}
	if err := json.Unmarshal([]byte(t.Variables), &variables); err != nil {
		return nil, fmt.Errorf("read variables of tab %q: %w", t.Name, err)
	}
	for key, value := range variables {
		expanded, err := expand(value, lookup)
		if err != nil {
			return nil, fmt.Errorf("fill in variable %s of tab %q: %w", key, t.Name, err)
		}
		variables[key] = expanded
	}
	return variables, nil
}

func expand(value any, lookup func(string) (string, error)) (any, error) {
	var err error
	switch value := value.(type) {
	case string:
		text := placeholder.ReplaceAllStringFunc(value, func(match string) string {
			replacement, lookupErr := lookup(strings.Trim(match, "{}"))
			if lookupErr != nil && err == nil {
				err = lookupErr
			}
			return replacement
		})
		if err == nil && number.MatchString(value) {
			return strconv.ParseFloat(text, 64)
		}
		return text, err
	case []any:
		for i := range value {
			if value[i], err = expand(value[i], lookup); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range value {
			if value[key], err = expand(value[key], lookup); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}
