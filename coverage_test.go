package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// specificationRows is how many rows each part of the specification has.
var specificationRows = []struct {
	part string
	last int
}{{"A", 75}, {"S", 37}, {"L", 11}, {"Q", 25}, {"B", 15}}

var (
	coverageRow = regexp.MustCompile(`^\| ([A-Z]\d+) \| (.+?) \| (works|partly: .+?|later) \| (.*?) ?\|$`)
	namedTest   = regexp.MustCompile("`(?:([a-z/]+)\\.)?(Test[A-Za-z0-9_]+|Fuzz[A-Za-z0-9_]+)(?:/([a-z0-9_]+))?`")
)

// TestCoverage holds docs/coverage.md to the specification's rows and to the
// tests of this tree.
func TestCoverage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	told := map[string]bool{}
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| row ") {
			continue
		}
		row := coverageRow.FindStringSubmatch(line)
		if row == nil {
			t.Errorf("this line has another form than its neighbours: %s", line)
			continue
		}
		id, state, shownBy := row[1], row[3], row[4]
		rows = append(rows, id)
		tests := namedTest.FindAllStringSubmatch(shownBy, -1)
		if (state == "later") != (len(tests) == 0) || len(tests) != strings.Count(shownBy, "`")/2 {
			t.Errorf("%s is said to be %q, shown by %q", id, state, shownBy)
		}
		for _, test := range tests {
			if err := testExists(test[1], test[2], test[3]); err != nil {
				t.Errorf("%s: %v", id, err)
			}
			if test[3] != "" {
				told[test[3]] = true
			}
		}
	}
	var want []string
	for _, part := range specificationRows {
		for n := 1; n <= part.last; n++ {
			want = append(want, fmt.Sprintf("%s%d", part.part, n))
		}
	}
	if !slices.Equal(rows, want) {
		t.Errorf("the rows are %v, want %v", rows, want)
	}
	if len(told) < 20 {
		t.Errorf("only %d stories are named", len(told))
	}
}

// testExists reports whether a package has a test, and for the scenarios
// whether there is the story.
func testExists(folder, name, story string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		return err
	}
	found := false
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found = found || strings.Contains(string(text), "\nfunc "+name+"(")
	}
	if !found {
		return fmt.Errorf("there is no %s in %q", name, folder)
	}
	switch {
	case story == "":
		return nil
	case name != "TestScenarios":
		return fmt.Errorf("%s has no stories", name)
	}
	if _, err := os.Stat(filepath.Join(scenarioFolder, story+".txtar")); err != nil {
		return fmt.Errorf("there is no story %s: %w", story, err)
	}
	return nil
}

func TestExistingTestsAreTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		folder, name, story string
		exists              bool
	}{
		{"", "TestCoverage", "", true},
		{"money", "TestParse", "", true},
		{"", "TestScenarios", "quote_to_receipt", true},
		{"", "TestScenarios", "quote_to_the_moon", false},
		{"", "TestCoverage", "quote_to_receipt", false},
		{"", "TestCover", "", false},
		{"money", "TestCoverage", "", false},
		{"nowhere", "TestParse", "", false},
	} {
		if err := testExists(test.folder, test.name, test.story); (err == nil) != test.exists {
			t.Errorf("%s.%s/%s: %v", test.folder, test.name, test.story, err)
		}
	}
}

func TestLicence(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("LICENSE lacks %q", want)
		}
	}
}

var (
	markdownLink = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading      = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInAnchor  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	codeSpan     = regexp.MustCompile("`([^`\n]+)`")
	pathInCode   = regexp.MustCompile(`^[\w.-]+(/[\w.-]+)*(/|\.(go|md|graphql|yml|sql|mod))$`)
	fencedBlock  = regexp.MustCompile("(?ms)^ *```.*?^ *```")
)

// TestDocumentsPointToWhatExists follows the links of all documents, and looks
// for the files that ARCHITECTURE.md and the decisions name.
func TestDocumentsPointToWhatExists(t *testing.T) {
	t.Parallel()
	list, err := exec.CommandContext(t.Context(), "git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md").Output()
	if err != nil {
		t.Fatalf("list the documents: %v", err)
	}
	documents := strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00")
	if len(documents) < 15 {
		t.Fatalf("only %d documents were found", len(documents))
	}
	for _, document := range documents {
		for _, problem := range dangling(t, document) {
			t.Errorf("%s: %s", document, problem)
		}
	}
}

// dangling lists what a document points to and is not there.
func dangling(t *testing.T, document string) []string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	prose := fencedBlock.ReplaceAllString(string(text), "")
	var problems []string
	for _, link := range markdownLink.FindAllStringSubmatch(prose, -1) {
		target, anchor, _ := strings.Cut(link[1], "#")
		if strings.Contains(target, "://") {
			continue
		}
		file := document
		if target != "" {
			file = path.Join(path.Dir(document), target)
		}
		if _, err := os.Stat(file); err != nil {
			problems = append(problems, "there is no "+link[1])
		} else if anchor != "" && !hasAnchor(t, file, anchor) {
			problems = append(problems, file+" has no heading #"+anchor)
		}
	}
	if document != "ARCHITECTURE.md" && path.Dir(document) != "docs/adr" {
		return problems
	}
	for _, span := range codeSpan.FindAllStringSubmatch(prose, -1) {
		if !pathInCode.MatchString(span[1]) {
			continue
		}
		if !fileIsNamed(span[1]) {
			problems = append(problems, "there is no file "+span[1])
		}
	}
	return problems
}

// fileIsNamed reports whether there is such a file or folder: from the root,
// or for a bare name in any of the folders that hold code.
func fileIsNamed(name string) bool {
	if _, err := os.Stat(name); err == nil {
		return true
	}
	if strings.Contains(strings.TrimSuffix(name, "/"), "/") {
		return false
	}
	for _, pattern := range []string{"*/" + name, "*/*/" + name} {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}

func hasAnchor(t *testing.T, file, anchor string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range heading.FindAllStringSubmatch(string(text), -1) {
		plain := strings.ToLower(notInAnchor.ReplaceAllString(h[1], ""))
		if strings.ReplaceAll(plain, " ", "-") == anchor {
			return true
		}
	}
	return false
}

func TestDanglingLinksAreFound(t *testing.T) {
	t.Parallel()
	document := filepath.Join(t.TempDir(), "a.md")
	text := "# A *good* heading\n\n[here](#a-good-heading) [gone](gone.md) [nowhere](#nowhere) [out](https://example.com/x#y)\n\n```\n[not a link](nothing.md)\n```\n"
	if err := os.WriteFile(document, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"there is no gone.md", document + " has no heading #nowhere"}
	if got := dangling(t, document); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for name, exists := range map[string]bool{
		"billing/call.go": true, "call.go": true, "schema/": true, "billing/": true, "migrations/README.md": true,
		"billing/calls.go": false, "calls.go": false, "nowhere/": false, "graph/call.go": false,
	} {
		if fileIsNamed(name) != exists {
			t.Errorf("%s is said to exist: %t", name, !exists)
		}
	}
}
