package web_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"purser/web"
)

func exampleTabs(t *testing.T) []web.Tab {
	t.Helper()
	tabs, err := web.Tabs()
	if err != nil {
		t.Fatal(err)
	}
	return tabs
}

func TestTabsTellTheStoryInOrder(t *testing.T) {
	t.Parallel()
	var names []string
	for _, tab := range exampleTabs(t) {
		names = append(names, tab.Name)
	}
	want := []string{
		"1 Look around", "2 Write a quote", "3 Finalize it (PDF)", "4 Accept it → invoice", "5 Finalize the invoice",
		"6 Pay with a saved card", "7 A card that declines", "8 3-D Secure", "9 Top up on a hosted page",
		"10 Reload by hand", "11 Record usage", "12 Live",
		"13 Set funds aside", "14 Capture the hold", "15 Automatic reload",
		"16 A credit limit refuses", "17 The month's statement",
		"18 Top up at Worldpay", "19 And what came of it",
		"20 A month later", "21 And what was billed", "22 Her card is declined",
		"23 She is mailed", "24 Rescued by 3-D Secure", "25 Refunded",
	}
	if !slices.Equal(names, want) {
		t.Errorf("tabs %q, want %q", names, want)
	}
}

// Each placeholder must have been captured by an earlier tab, each capture be
// used by a later one, and each variable be declared.
func TestTabsHandValuesOn(t *testing.T) {
	t.Parallel()
	schema := loadSchema(t)
	captured := map[string]bool{"uuid": true, "origin": true, "month": true, "year": true}
	used := map[string]bool{}
	var all []string
	for _, tab := range exampleTabs(t) {
		document, errs := gqlparser.LoadQueryWithRules(schema, tab.Query, rules.NewDefaultRules())
		if errs != nil {
			t.Errorf("%s: %v", tab.Name, errs)
			continue
		}
		if len(document.Operations) != 1 {
			t.Errorf("%s: %d operations: pressing play would ask which", tab.Name, len(document.Operations))
		}
		variables, err := tab.Expand(func(name string) (string, error) {
			used[name] = true
			if !captured[name] {
				return "", errors.New("no earlier tab captures " + name)
			}
			return "1", nil
		})
		if err != nil {
			t.Errorf("%s: %v", tab.Name, err)
		}
		var declared []string
		for _, definition := range document.Operations[0].VariableDefinitions {
			declared = append(declared, definition.Variable)
			if _, ok := variables[definition.Variable]; !ok {
				t.Errorf("%s: variable $%s has no value", tab.Name, definition.Variable)
			}
		}
		for name := range variables {
			if !slices.Contains(declared, name) {
				t.Errorf("%s: variable %s is not declared", tab.Name, name)
			}
		}
		captures, err := tab.Captures()
		if err != nil {
			t.Errorf("%s: %v", tab.Name, err)
		}
		for _, capture := range captures {
			captured[capture.Name] = true
			all = append(all, capture.Name)
		}
	}
	for _, name := range all {
		if !used[name] {
			t.Errorf("%s is captured and never used", name)
		}
	}
}

// Whoever moves money must send a key, and a fresh one each time.
func TestMutationsCarryFreshKeys(t *testing.T) {
	t.Parallel()
	for _, tab := range exampleTabs(t) {
		n := 0
		variables, err := tab.Expand(func(name string) (string, error) {
			switch name {
			case "uuid":
				n++
				return strconv.Itoa(n), nil
			case "month":
				return "12", nil
			case "year":
				return "2026", nil
			}
			return name, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Count(tab.Query, "idempotencyKey:"); n != want {
			t.Errorf("%s: %d fresh keys for %d key arguments", tab.Name, n, want)
		}
		seen := map[any]bool{}
		for name, value := range variables {
			if seen[value] {
				t.Errorf("%s: variable %s repeats another's value %v", tab.Name, name, value)
			}
			seen[value] = true
		}
	}
}

// loadSchema reads the public contract.
func loadSchema(t *testing.T) *ast.Schema {
	t.Helper()
	files, err := filepath.Glob("../schema/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	var sources []*ast.Source
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &ast.Source{Name: file, Input: string(text)})
	}
	schema, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestCaptureLanguage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/captures.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Parse []struct {
			Query    string
			Captures []web.Capture
			Error    bool
		}
		Find []struct {
			Path   string
			Answer json.RawMessage
			Found  string
		}
		Expand []struct {
			Variables json.RawMessage
			Values    map[string]string
			Expanded  map[string]any
			Error     bool
		}
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors.Parse) == 0 || len(vectors.Find) == 0 || len(vectors.Expand) == 0 {
		t.Fatal("testdata/captures.json lacks a section")
	}
	for i, v := range vectors.Parse {
		captures, err := web.Tab{Query: v.Query}.Captures()
		if (err != nil) != v.Error {
			t.Errorf("parse %d: error %v, want one: %t", i, err, v.Error)
		}
		if err == nil && !slices.EqualFunc(captures, v.Captures, func(a, b web.Capture) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("parse %d: %v, want %v", i, captures, v.Captures)
		}
	}
	for i, v := range vectors.Find {
		capture := web.Capture{Name: "x", Path: strings.Split(v.Path, ".")}
		found, ok := capture.Find(v.Answer)
		if found != v.Found && ok || ok != (v.Found != "") {
			t.Errorf("find %d, %s: %q %t, want %q", i, v.Path, found, ok, v.Found)
		}
	}
	for i, v := range vectors.Expand {
		expanded, err := web.Tab{Variables: string(v.Variables)}.Expand(func(name string) (string, error) {
			if value, ok := v.Values[name]; ok {
				return value, nil
			}
			return "", errors.New("no " + name)
		})
		if (err != nil) != v.Error {
			t.Errorf("expand %d: error %v, want one: %t", i, err, v.Error)
		}
		if err == nil && !reflect.DeepEqual(expanded, v.Expanded) {
			t.Errorf("expand %d: %v, want %v", i, expanded, v.Expanded)
		}
	}
	if _, ok := (web.Capture{Path: []string{"data"}}).Find(json.RawMessage(`{"data": `)); ok {
		t.Error("something is found in broken JSON")
	}
	if _, err := (web.Tab{Variables: "[]"}).Expand(nil); err == nil {
		t.Error("variables that are no object are accepted")
	}
}
