package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
)

// A scenario is one story: a file of graph/testdata, whose README describes
// the format.
type scenario struct {
	name  string
	path  string
	prose string
	steps []*step
	// archive is the file as it was read, for writing answers back.
	archive *txtar.Archive
}

// The kinds of steps, which are the extensions of their files.
const (
	kindGraphQL  = "graphql"
	kindUntil    = "until.graphql"
	kindTogether = "together.graphql"
	kindBrowser  = "browser"
	kindGateway  = "gateway"
	kindClock    = "clock"
	kindMail     = "mail"
	kindHTTP     = "http"
)

// Files that belong to a step and do nothing by themselves.
const (
	partVars     = "vars.json"
	partWant     = "want.json"
	partWantHTTP = "want.http"
)

// step is one thing that happens in a story, and what is expected then.
type step struct {
	name string // "01 write a quote"
	kind string
	text string
	vars string
	// want is the expected answer, wantAt the place of its file in the
	// archive, -1 where it has none.
	want   string
	wantAt int
	// textAt is the place of the step's own file.
	textAt int
}

// stepFile splits the name of a step's file.
var stepFile = regexp.MustCompile(`^(\d\d[a-z]? [^.]+)\.(graphql|until\.graphql|together\.graphql|browser|gateway|clock|mail|http|vars\.json|want\.json|want\.http)$`)

// parseScenario reads a story. It refuses what the runner would otherwise
// pass over in silence: files of no known kind, steps out of order, answers
// without a question and questions without an answer (unless they are to be
// written).
func parseScenario(name, path string, data []byte, writing bool) (*scenario, error) {
	s := &scenario{name: name, path: path, archive: txtar.Parse(data)}
	s.prose = strings.TrimSpace(string(s.archive.Comment))
	if s.prose == "" {
		return nil, fmt.Errorf("%s: it does not say what the story is", path)
	}
	for i, f := range s.archive.Files {
		m := stepFile.FindStringSubmatch(f.Name)
		if m == nil {
			return nil, fmt.Errorf("%s: %q is no step's file: see the README", path, f.Name)
		}
		title, kind, text := m[1], m[2], string(f.Data)
		var last *step
		if n := len(s.steps); n > 0 {
			last = s.steps[n-1]
		}
		switch kind {
		case partVars, partWant, partWantHTTP:
			if last == nil || last.name != title {
				return nil, fmt.Errorf("%s: %q does not follow the step it belongs to", path, f.Name)
			}
			if kind == partVars {
				last.vars = text
				continue
			}
			if (kind == partWantHTTP) != (last.kind == kindHTTP) {
				return nil, fmt.Errorf("%s: %q does not fit a step of kind %s", path, f.Name, last.kind)
			}
			last.want, last.wantAt = text, i
		default:
			if last != nil && last.name >= title {
				return nil, fmt.Errorf("%s: step %q does not come after %q", path, title, last.name)
			}
			s.steps = append(s.steps, &step{name: title, kind: kind, text: text, textAt: i, wantAt: -1})
		}
	}
	if len(s.steps) == 0 {
		return nil, fmt.Errorf("%s: nothing happens in it", path)
	}
	for _, st := range s.steps {
		if st.answers() && st.wantAt < 0 && (!writing || st.kind == kindHTTP) {
			return nil, fmt.Errorf("%s: step %q does not say what answer it wants", path, st.name)
		}
	}
	return s, nil
}

// answers reports whether a step of this kind has an answer to compare.
func (s *step) answers() bool {
	switch s.kind {
	case kindBrowser, kindGateway, kindClock, kindMail:
		return false
	}
	return true
}

// lines returns a script's lines without blanks, empty ones and remarks.
func lines(text string) []string {
	var out []string
	for l := range strings.Lines(text) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out
}

// remark finds a line such as "# as: nobody" at the head of a document and
// returns what follows the colon.
func remark(document, name string) (string, bool) {
	for l := range strings.Lines(document) {
		l = strings.TrimSpace(l)
		if !strings.HasPrefix(l, "#") {
			return "", false
		}
		if value, ok := strings.CutPrefix(strings.TrimSpace(l[1:]), name+":"); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// days reads a duration that may count days: 31d, 36h, 90s.
func days(text string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		h, err := time.ParseDuration(n + "h")
		return 24 * h, err
	}
	return time.ParseDuration(text)
}
