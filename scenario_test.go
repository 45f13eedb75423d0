package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"purser/database"
	"purser/migrations"
	"purser/testdb"
)

// updateScenarios writes the answers into the files instead of comparing
// them. What is written is to be read like any other change.
var updateScenarios = flag.Bool("update", false, "write the answers of the scenarios into their files")

// scenarioFolder has the stories; its README says how to read and write them.
const scenarioFolder = "graph/testdata"

// Asynchronous effects are awaited up to untilMax. They are asked for after
// untilPause, and then ever less often, down to every untilPauseMax.
const (
	untilMax      = 45 * time.Second
	untilPause    = 10 * time.Millisecond
	untilPauseMax = 200 * time.Millisecond
)

// TestScenarios plays every story on both databases, holding every statement
// to the rules for distributed tables. On PostgreSQL, unless everything is to
// be tried, every other story is played on tables that are spread as on a
// distributed database, and the others on whole ones.
func TestScenarios(t *testing.T) {
	t.Parallel()
	stories := loadScenarios(t)
	// Whoever names a story wants it where it was named.
	all := full() || strings.Count(flag.Lookup("test.run").Value.String(), "/") > 1
	for _, on := range []struct {
		name string
		open func(testing.TB, ...database.Option) *database.DB
		// every other story is played, from first on.
		every, first int
	}{
		{"sqlite", migrated("sqlite3"), 1, 0},
		{"postgres", migrated("postgres"), 2, 0},
		{"partitioned", testdb.PartitionedPostgres, 2, 1},
	} {
		if *updateScenarios && on.name != "sqlite" {
			continue
		}
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			for n, story := range stories {
				if !all && n%on.every != on.first {
					continue
				}
				t.Run(story.name, func(t *testing.T) {
					t.Parallel()
					// Verification reads all organizations; the parts named here do so by design.
					recorder := testdb.NewRecorder(t, "auth", "commit", "export", "jobs", "metrics", "operator", "return", "verify", "webhook")
					db := on.open(t, recorder.Option())
					play(t, story, newStage(t, db))
					recorder.Check(t)
				})
			}
		})
	}
}

// migrated opens a fresh database of the dialect with all tables.
func migrated(dialect string) func(testing.TB, ...database.Option) *database.DB {
	return func(t testing.TB, options ...database.Option) *database.DB {
		t.Helper()
		dir, err := migrations.Dir(dialect)
		must(t, err)
		return testdb.Migrated(t, dialect, dir, options...)
	}
}

func loadScenarios(t *testing.T) []*scenario {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(scenarioFolder, "*.txtar"))
	must(t, err)
	if len(paths) == 0 {
		t.Fatalf("there is no story in %s", scenarioFolder)
	}
	var stories []*scenario
	for _, path := range paths {
		data, err := os.ReadFile(path)
		must(t, err)
		s, err := parseScenario(strings.TrimSuffix(filepath.Base(path), ".txtar"), path, data, *updateScenarios)
		if err != nil {
			t.Fatal(err)
		}
		stories = append(stories, s)
	}
	return stories
}

// play does what a story tells, one step after the other, and proves the
// books at its end.
func play(t *testing.T, story *scenario, s *stage) {
	t.Helper()
	if *updateScenarios {
		defer func() { must(t, os.WriteFile(story.path, txtar.Format(story.archive), 0o644)) }()
	}
	for _, step := range story.steps {
		if err := s.do(step, story); err != nil {
			t.Fatalf("%s\nstep %q: %v", story.path, step.name, err)
		}
	}
	if err := s.prove(); err != nil {
		t.Errorf("%s\nafter the last step: %v", story.path, err)
	}
	for _, line := range s.failures.all() {
		t.Errorf("%s\nthe server logged an error: %s", story.path, line)
	}
}

// do plays one step.
func (s *stage) do(st *step, story *scenario) error {
	switch st.kind {
	case kindGraphQL:
		return s.question(st, story)
	case kindUntil:
		return s.until(st, story)
	case kindTogether:
		return s.together(st, story)
	case kindHTTP:
		return s.rawRequest(st)
	}
	for _, line := range lines(st.text) {
		filled, err := s.fill(line)
		if err != nil {
			return err
		}
		switch st.kind {
		case kindBrowser:
			err = s.page.do(filled)
		case kindGateway:
			var learned map[string]string
			learned, err = s.gateway.do(s.t.Context(), filled)
			for name, value := range learned {
				s.known[name] = value
			}
		case kindClock:
			err = s.advance(filled)
		case kindMail:
			err = s.mails.do(filled, s.known)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

// advance lets time pass: "advance 31d".
func (s *stage) advance(line string) error {
	text, ok := strings.CutPrefix(line, "advance ")
	if !ok {
		return fmt.Errorf("a clock cannot %q", line)
	}
	d, err := days(text)
	if err != nil {
		return err
	}
	s.clock.Advance(d)
	s.jobs.Wake()
	return nil
}

// asked is a document that is ready to be sent.
type asked struct {
	credential, document string
	variables            json.RawMessage
	header               http.Header
	// writesNothing: the answer is a refusal after which no row is new.
	writesNothing bool
}

func (s *stage) prepare(document, variables string) (asked, error) {
	var a asked
	var err error
	who, _ := remark(document, "as")
	if a.credential, err = s.credential(who); err != nil {
		return a, err
	}
	// Templates of mails are written with the same braces.
	if fill, ok := remark(document, "fill"); !ok {
		a.document, err = s.fill(document)
	} else if a.document = document; fill != "nothing" {
		err = fmt.Errorf("fill: %q is not known, only \"nothing\" is", fill)
	}
	if err != nil {
		return a, err
	}
	if header, ok := remark(a.document, "header"); ok {
		name, value, _ := strings.Cut(header, ":")
		a.header = http.Header{http.CanonicalHeaderKey(name): {strings.TrimSpace(value)}}
	}
	if rows, ok := remark(document, "writes"); ok {
		if rows != "nothing" {
			return a, fmt.Errorf("writes: %q is not checked, only \"nothing\" is", rows)
		}
		a.writesNothing = true
	}
	if variables != "" {
		filled, err := s.fill(variables)
		if err != nil {
			return a, err
		}
		a.variables = json.RawMessage(filled)
	}
	return a, nil
}

// credential is the bearer token of whoever asks: nobody, the operator, a
// token with some rights, a payer's session, or a token that the story has
// met. Left out, it is the organization's first token.
func (s *stage) credential(who string) (string, error) {
	words := strings.Fields(who)
	switch {
	case who == "":
		return s.token, nil
	case who == "nobody":
		return "", nil
	case who == "operator":
		return storyOperator, nil
	case len(words) == 3 && words[0] == "session" && words[1] == "of":
		payer, err := s.fill(words[2])
		if err != nil {
			return "", err
		}
		return s.once(who, "payerSessionCreate.token", `mutation { payerSessionCreate(input: {payerId: "`+payer+`"}) { token userErrors { code message } } }`)
	case len(words) == 3 && words[0] == "token" && words[1] == "to":
		return "", fmt.Errorf("say READ or READ_WRITE and the scopes: %q", who)
	case len(words) >= 2 && (words[0] == "READ" || words[0] == "READ_WRITE"):
		return s.once(who, "accessTokenCreate.value", `mutation { accessTokenCreate(input: {
			name: "`+who+`", permission: `+words[0]+`, scopes: [`+strings.Join(words[1:], ", ")+`]
		}) { value userErrors { code message } } }`)
	case len(words) == 1:
		return s.fill(who)
	}
	return "", fmt.Errorf("nobody is called %q", who)
}

// once makes a credential when it is first needed.
func (s *stage) once(who, path, document string) (string, error) {
	if value, there := s.known["credential of "+who]; there {
		return value, nil
	}
	value, err := s.ask1(s.token, path, document)
	s.known["credential of "+who] = value
	return value, err
}

// send asks and reads the answer. What clients may ignore (places in the
// document, costs, request ids) is left out of it.
func (s *stage) send(a asked) (*object, error) {
	status, raw, err := s.ask(a.credential, a.document, a.variables, a.header)
	if err != nil {
		return nil, err
	}
	if leak := innerText(raw); leak != "" {
		return nil, fmt.Errorf("the answer shows %q, which is nobody's business: %s", leak, raw)
	}
	v, err := decodeJSON(raw)
	answer, ok := v.(*object)
	if err != nil || !ok {
		return nil, fmt.Errorf("the answer %d is not a JSON object (%w): %.500s", status, err, raw)
	}
	answer.remove("extensions")
	list, _ := answer.values["errors"].([]any)
	for _, e := range list {
		if e, ok := e.(*object); ok {
			e.remove("locations")
			if ext, ok := e.values["extensions"].(*object); ok {
				ext.remove("requestId")
			}
		}
	}
	return answer, nil
}

// innerWords are what no answer may show: SQL, Go, stacks, the databases' and
// the libraries' own words. They are in lower case; a bar is the edge of a word.
// An expression of them all took a twentieth of the time of the stories.
var innerWords = []string{
	"|pq: ", "|sqlite", "|sql|", "|sqlstate", "insert into", "unique constraint", "duplicate key", "violates",
	"|ent: ", "|ent.", "|billing.", "strconv.", "json: cannot", "json: unknown", "json: invalid", "|eof|",
	"goroutine ", "panic", "nil pointer", "runtime error", ".go:", "interface {", "interface{", "map[string",
	"no such host", "connection refused", "context deadline", "sk_test_story",
}

// innerText finds one of the words in an answer; empty where there is none.
func innerText(answer []byte) string {
	text := string(bytes.ToLower(answer))
	for _, word := range innerWords {
		plain := strings.Trim(word, "|")
		for from := 0; ; {
			at := strings.Index(text[from:], plain)
			if at < 0 {
				break
			}
			begin := from + at
			end := begin + len(plain)
			if !(strings.HasPrefix(word, "|") && begin > 0 && inWord(text[begin-1])) &&
				!(strings.HasSuffix(word, "|") && end < len(text) && inWord(text[end])) {
				return plain
			}
			from = begin + 1
		}
	}
	return ""
}

func inWord(c byte) bool { return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' }

// question asks once and compares.
func (s *stage) question(st *step, story *scenario) error {
	a, err := s.prepare(st.text, st.vars)
	if err != nil {
		return err
	}
	before, err := s.rows(a)
	if err != nil {
		return err
	}
	answer, err := s.send(a)
	if err != nil {
		return err
	}
	after, err := s.rows(a)
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("it was to write nothing:\n  rows before %s\n  rows after  %s\n%s", before, after, encodeJSON(answer))
	}
	return s.compare(st, story, answer)
}

func (s *stage) compare(st *step, story *scenario, answer any) error {
	var want any
	if st.wantAt >= 0 {
		var err error
		if want, err = decodeJSON([]byte(st.want)); err != nil {
			return fmt.Errorf("read what is wanted: %w", err)
		}
	}
	if *updateScenarios {
		s.write(st, story, s.expect(want, answer))
		return nil
	}
	return report(s.match("", want, answer), answer)
}

// write puts an expectation into the story's file.
func (s *stage) write(st *step, story *scenario, want any) {
	text := []byte(encodeJSON(want) + "\n")
	if st.wantAt >= 0 {
		story.archive.Files[st.wantAt].Data = text
		return
	}
	at := st.textAt + 1
	if st.vars != "" {
		at++
	}
	files := append(story.archive.Files[:at:at], txtar.File{Name: st.name + "." + partWant, Data: text})
	story.archive.Files = append(files, story.archive.Files[at:]...)
	for _, other := range story.steps {
		if other.textAt >= at {
			other.textAt++
		}
		if other.wantAt >= at {
			other.wantAt++
		}
	}
	st.wantAt = at
}

func report(differences []difference, answer any) error {
	if len(differences) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("the answer is not the one that is wanted:\n")
	for _, d := range differences {
		path := d.path
		if path == "" {
			path = "the whole answer"
		}
		fmt.Fprintf(&b, "  %s\n    want %s\n    got  %s\n", path, d.want, d.got)
	}
	b.WriteString("the whole answer is\n" + encodeJSON(answer))
	return errors.New(b.String())
}

// until asks again and again, for as long as asynchronous things may take,
// until the answer is the one that is wanted.
func (s *stage) until(st *step, story *scenario) error {
	deadline := time.Now().Add(untilMax)
	for pause := untilPause; ; pause = min(2*pause, untilPauseMax) {
		a, err := s.prepare(st.text, st.vars)
		if err != nil {
			return err
		}
		answer, err := s.send(a)
		if err != nil {
			return err
		}
		if st.wantAt < 0 {
			return errors.New("what is waited for cannot be written by -update: say it yourself")
		}
		want, err := decodeJSON([]byte(st.want))
		if err != nil {
			return fmt.Errorf("read what is wanted: %w", err)
		}
		differences := s.match("", want, answer)
		if len(differences) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s: %w", untilMax, report(differences, answer))
		}
		s.jobs.Wake() // what is waited for may be due
		select {
		case <-s.t.Context().Done():
			return context.Cause(s.t.Context())
		case <-time.After(pause):
		}
	}
}

// together asks several documents, separated by lines of ---, at once, or one
// document as often as "# times:" says. The answers may come in any order.
func (s *stage) together(st *step, story *scenario) error {
	var documents []string
	var document strings.Builder
	for l := range strings.Lines(st.text) {
		if strings.TrimSpace(l) == "---" {
			documents = append(documents, document.String())
			document.Reset()
			continue
		}
		document.WriteString(l)
	}
	documents = append(documents, document.String())
	if times, ok := remark(st.text, "times"); ok {
		n, err := strconv.Atoi(times)
		if err != nil || len(documents) != 1 {
			return fmt.Errorf("times: %q needs a number and one document", times)
		}
		for range n - 1 {
			documents = append(documents, documents[0])
		}
	}
	prepared := make([]asked, len(documents))
	for i, d := range documents {
		s.known["copy"] = strconv.Itoa(i + 1)
		var err error
		if prepared[i], err = s.prepare(d, st.vars); err != nil {
			return err
		}
	}
	answers := make([]any, len(prepared))
	problems := make([]error, len(prepared))
	var all sync.WaitGroup
	for i, a := range prepared {
		all.Go(func() {
			answer, err := s.send(a)
			answers[i], problems[i] = answer, err
		})
	}
	all.Wait()
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if *updateScenarios {
		var want any
		if st.wantAt >= 0 {
			want, _ = decodeJSON([]byte(st.want))
		}
		s.write(st, story, s.expect(want, answers))
		return nil
	}
	want, err := decodeJSON([]byte(st.want))
	if err != nil {
		return fmt.Errorf("read what is wanted: %w", err)
	}
	wants, ok := want.([]any)
	if !ok {
		return errors.New("what is wanted of several is a list of answers")
	}
	return s.matchAnyOrder(wants, answers)
}

// matchAnyOrder takes for each wanted answer the first that fits.
func (s *stage) matchAnyOrder(wants, answers []any) error {
	if len(wants) != len(answers) {
		return fmt.Errorf("%d answers came, %d are wanted", len(answers), len(wants))
	}
	left := append([]any(nil), answers...)
	for i, want := range wants {
		found := false
		for j, answer := range left {
			if len(s.match("", want, answer)) == 0 {
				left, found = append(left[:j], left[j+1:]...), true
				break
			}
		}
		if !found {
			return fmt.Errorf("no answer is like wanted answer %d:\n%s\nleft are\n%s", i, encodeJSON(want), encodeJSON(left))
		}
	}
	return nil
}
