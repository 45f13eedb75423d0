package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"entgo.io/ent/dialect"

	"purser/testdb"
)

// readmeBlock is a fenced block of the README. Each has a name in a comment
// above it, by which a test finds it:
//
//	<!-- test: start -->
type readmeBlock struct {
	language string
	text     string
	line     int // of its last line
}

var (
	namedFence = regexp.MustCompile("(?ms)^( *)<!-- test: ([^\n]+) -->\n *```(\\w+)\n(.*?)\n *```$")
	anyFence   = regexp.MustCompile("(?m)^ *```\\w+$")
)

// readme returns the README's blocks by name.
func readme(t *testing.T) map[string]readmeBlock {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[string]readmeBlock{}
	for _, m := range namedFence.FindAllSubmatchIndex(text, -1) {
		part := func(i int) string { return string(text[m[2*i]:m[2*i+1]]) }
		body := strings.ReplaceAll("\n"+part(4), "\n"+part(1), "\n")[1:]
		if _, twice := blocks[part(2)]; twice {
			t.Errorf("README.md has two blocks named %q", part(2))
		}
		blocks[part(2)] = readmeBlock{language: part(3), text: body, line: bytes.Count(text[:m[1]], []byte("\n")) + 1}
	}
	if all := len(anyFence.FindAll(text, -1)); all != len(blocks) {
		t.Errorf("README.md has %d fenced blocks, %d of them with a name: what is not named is not tried", all, len(blocks))
	}
	return blocks
}

// script returns the commands of a block: the lines after "$ " with those that
// continue them.
func (b readmeBlock) script(t *testing.T, replacements ...string) string {
	t.Helper()
	if b.language != "console" {
		t.Fatalf("the block is %q, not console", b.language)
	}
	var lines []string
	for line := range strings.SplitSeq(b.text, "\n") {
		command, isCommand := strings.CutPrefix(line, "$ ")
		continues := len(lines) > 0 && strings.HasSuffix(lines[len(lines)-1], `\`)
		if isCommand || continues {
			lines = append(lines, command)
		}
	}
	return replaced(t, strings.Join(lines, "\n"), replacements...)
}

// operation returns the operation of a block.
func (b readmeBlock) operation(t *testing.T, replacements ...string) string {
	t.Helper()
	if b.language != "graphql" {
		t.Fatalf("the block is %q, not graphql", b.language)
	}
	return replaced(t, b.text, replacements...)
}

// replaced puts real values for what a reader is to fill in.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("%q does not stand in:\n%s", pair[0], text)
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}

// TestReadme does what the README says, in an empty folder with nothing but
// the files that are kept, and without asking the network for a module.
func TestReadme(t *testing.T) {
	t.Parallel()
	blocks := readme(t)
	names := []string{
		"first", "first answer", "operate", "organization", "postgres", "production", "provider",
		"sandbox", "sandbox payment", "start", "suite", "webhook secret",
	}
	for name := range blocks {
		if !slices.Contains(names, name) {
			t.Errorf("nobody tries the block %q", name)
		}
	}
	for _, name := range names {
		if _, ok := blocks[name]; !ok {
			t.Fatalf("README.md has no block %q", name)
		}
	}
	if line := blocks["first"].line; line > 40 {
		t.Errorf("the first mutation ends on line %d of the README, below the first screen", line)
	}
	suite := blocks["suite"].script(t)
	if info, err := os.Stat(suite); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("%s is no program: %v", suite, err)
	}

	folder := t.TempDir()
	copyKeptFiles(t, folder)
	addr := freeAddr(t)
	server := startScript(t, folder, blocks["start"].script(t), "PURSER_ADDR="+addr)
	server.await(readyLine)
	token := server.await(printedToken)

	t.Run("first mutation", func(t *testing.T) {
		out := runScript(t, folder, blocks["first"].script(t, "127.0.0.1:8080", addr))
		var want, got any
		if err := json.Unmarshal([]byte(blocks["first answer"].text), &want); err != nil {
			t.Fatalf("the README's answer: %v", err)
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if different := compareShape("answer", want, got); different != "" {
			t.Errorf("%s\nthe README says: %s\nit is: %s", different, blocks["first answer"].text, out)
		}
	})
	t.Run("operate", func(t *testing.T) {
		out := string(runScript(t, folder, blocks["operate"].script(t), "PURSER_ADDR="+addr))
		for _, want := range []string{"1 organization fits", "purser-backup.db", "pur_demo_", "token create"} {
			if !strings.Contains(out, want) {
				t.Errorf("%q is missing in:\n%s", want, out)
			}
		}
		if info, err := os.Stat(filepath.Join(folder, "purser-backup.db")); err != nil || info.Size() == 0 {
			t.Errorf("no backup was written: %v", err)
		}
	})
	t.Run("provider", func(t *testing.T) {
		var made struct {
			ProviderCreate struct {
				Provider   struct{ ID, WebhookURL, SecretHint string }
				UserErrors []any
			}
		}
		ask(t, addr, token, blocks["provider"].operation(t, "sk_test_…", "sk_test_readme0readme0", "pk_test_…", "pk_test_readme0readme0"), &made)
		p := made.ProviderCreate
		if len(p.UserErrors) > 0 || !strings.Contains(p.Provider.WebhookURL, "/webhooks/demo/") || p.Provider.SecretHint == "" {
			t.Fatalf("%+v", made)
		}
		var changed struct {
			ProviderUpdate struct {
				Provider   struct{ ID, Status string }
				UserErrors []any
			}
		}
		ask(t, addr, token, blocks["webhook secret"].operation(t, "prv_…", p.Provider.ID, "whsec_…", "whsec_readme0readme0readme0readme0"), &changed)
		if u := changed.ProviderUpdate; len(u.UserErrors) > 0 || u.Provider.Status != "ACTIVE" {
			t.Errorf("%+v", changed)
		}
	})
	t.Run("production", func(t *testing.T) {
		addr, token := freeAddr(t), "pur_system_ops_"+strings.Repeat("0123456789abcdef", 3)
		production := startScript(t, folder, blocks["production"].script(t, "pur_system_ops_$(cat operator.key)", token, "/var/lib/purser", t.TempDir()),
			"PURSER_ADDR="+addr)
		if public := production.await(readyLine); public != "https://billing.example.com" {
			t.Errorf("it says that it is at %s", public)
		}
		var made struct {
			OrganizationCreate struct {
				Organization struct{ ID, Slug, Environment string }
				Token        string
				UserErrors   []any
			}
		}
		ask(t, addr, token, blocks["organization"].operation(t), &made)
		o := made.OrganizationCreate
		if len(o.UserErrors) > 0 || o.Organization.Slug != "acme" || !strings.HasPrefix(o.Token, "pur_acme_") {
			t.Fatalf("%+v", made)
		}
		var seen struct{ Organization struct{ ID string } }
		ask(t, addr, o.Token, "{ organization { id } }", &seen)
		if seen.Organization.ID != o.Organization.ID {
			t.Errorf("the token of %s shows %s", o.Organization.ID, seen.Organization.ID)
		}
		if said := production.said(); strings.Contains(said, o.Token) || strings.Contains(said, token) {
			t.Errorf("a token was printed:\n%s", said)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		addr, url := freeAddr(t), testdb.PostgresURL(t)
		server := startScript(t, folder, blocks["postgres"].script(t, "postgres://purser:secret@localhost:5432/purser", url),
			"PURSER_ADDR="+addr, "PURSER_DATA="+t.TempDir())
		server.await(readyLine)
		var seen struct{ Organization struct{ Slug string } }
		ask(t, addr, server.await(printedToken), "{ organization { slug } }", &seen)
		if seen.Organization.Slug != "demo" {
			t.Errorf("%+v", seen)
		}
		server.stop()
		db := testdb.Open(t, url)
		if db.Dialect != dialect.Postgres || testdb.Count(t, db.Read, "SELECT count(*) FROM ledger_entries") == 0 {
			t.Error("the ledger is not in PostgreSQL")
		}
	})
	t.Run("sandbox", func(t *testing.T) {
		// Beside the server, in the same folder.
		addr := freeAddr(t)
		startScript(t, folder, blocks["sandbox"].script(t, "127.0.0.1:4242", addr)).
			await(regexp.MustCompile(`(?m)^The Stripe sandbox is ready at (\S+)$`))
		var intent struct{ Status string }
		out := runScript(t, folder, blocks["sandbox payment"].script(t, "127.0.0.1:4242", addr))
		if err := json.Unmarshal(out, &intent); err != nil || intent.Status != "succeeded" {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// copyKeptFiles copies the files that git keeps into an empty folder.
func copyKeptFiles(t *testing.T, folder string) {
	t.Helper()
	// The files may belong to somebody else than who runs the tests.
	list, err := exec.CommandContext(t.Context(), "git", "-c", "safe.directory=*", "ls-files", "-z").Output()
	if err != nil {
		t.Fatalf("list the files that git keeps: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatalf("a file that git keeps is not there: %v", err)
		}
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, content, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
}

// freeAddr returns an address at which nobody listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// scriptEnv is the environment of the README's commands: the one of the tests
// without settings of ours, and without a network for Go.
func scriptEnv(env []string) []string {
	var out []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PURSER_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			out = append(out, v)
		}
	}
	flags := os.Getenv("GOFLAGS")
	if builtWithRace() {
		// The flavour whose dependencies are compiled already.
		flags += " -race"
	}
	return append(append(out, "GOPROXY=off", "GOFLAGS="+strings.TrimSpace(flags)), env...)
}

func builtWithRace() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

// runScript runs commands to their end and returns what they print.
func runScript(t *testing.T, folder, script string, env ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = folder, scriptEnv(env)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v\n%s%s", script, err, out, problems.Bytes())
	}
	return out
}

// runningScript is a script that does not end by itself.
type runningScript struct {
	t      *testing.T
	script string
	output *output
	hold   io.Closer
	ended  chan struct{}
}

// scriptStartMax is how long a script may take until its server is ready:
// everything is compiled first, on a shared machine.
const scriptStartMax = 12 * time.Minute

// startScript starts commands of which the last one serves. They are ended
// when the test ends, or the process that runs it.
func startScript(t *testing.T, folder, script string, env ...string) *runningScript {
	t.Helper()
	held, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	// Whatever becomes of the test, the other end of the pipe is closed then,
	// and the group of processes is told to end. Who waits for that holds none
	// of the script's outputs, so that the script's own end is noticed.
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", "{ cat <&3; kill -TERM 0; } >/dev/null 2>&1 &\nexec 3<&-\n"+script)
	cmd.Dir, cmd.Env, cmd.ExtraFiles = folder, scriptEnv(env), []*os.File{held}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := &runningScript{t: t, script: script, output: newOutput(), hold: hold, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = s.output, s.output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // ended by a signal
	}()
	t.Cleanup(s.stop)
	return s
}

// said is all that the script has printed so far.
func (s *runningScript) said() string {
	text, _ := s.output.read()
	return text
}

// await waits for a line and returns its first group.
func (s *runningScript) await(line *regexp.Regexp) string {
	s.t.Helper()
	deadline := time.NewTimer(scriptStartMax)
	defer deadline.Stop()
	for {
		text, changed := s.output.read()
		if found := line.FindStringSubmatch(text); found != nil {
			return found[1]
		}
		select {
		case <-changed:
		case <-s.ended:
			s.t.Fatalf("%s\nhas ended:\n%s", s.script, s.said())
		case <-deadline.C:
			s.t.Fatalf("%s\nhas not said %s after %s:\n%s", s.script, line, scriptStartMax, s.said())
		}
	}
}

func (s *runningScript) stop() {
	_ = s.hold.Close()
	select {
	case <-s.ended:
	case <-time.After(endMax):
		s.t.Errorf("%s\nhas not ended after %s:\n%s", s.script, endMax, s.said())
	}
}

// ask sends an operation and reads the answer's data.
func ask(t *testing.T, addr, token, query string, into any) {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer graphQLAnswer
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Errors) > 0 {
		t.Fatalf("%s\n%s %v %+v", query, response.Status, err, answer.Errors)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		t.Fatalf("%s\n%v: %s", query, err, answer.Data)
	}
}

var printedToken = regexp.MustCompile(`(?m)^  Token +(\S+)$`)

var idForm = regexp.MustCompile(`^([a-z]{3}_)[0-9a-f]{32}$`)

// compareShape says where got differs from want, or "". Ids are only compared
// by their prefixes, numbers not at all: amounts are text.
func compareShape(path string, want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok || len(object) != len(want) {
			return fmt.Sprintf("%s is %v", path, got)
		}
		for name, value := range want {
			other, ok := object[name]
			if !ok {
				return fmt.Sprintf("%s has no %s", path, name)
			}
			if different := compareShape(path+"."+name, value, other); different != "" {
				return different
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf("%s is %v", path, got)
		}
		for i := range want {
			if different := compareShape(fmt.Sprintf("%s.%d", path, i), want[i], list[i]); different != "" {
				return different
			}
		}
	case float64:
		if _, ok := got.(float64); !ok {
			return fmt.Sprintf("%s is %v", path, got)
		}
	case string:
		text, _ := got.(string)
		if id := idForm.FindStringSubmatch(want); id != nil && idForm.MatchString(text) && strings.HasPrefix(text, id[1]) {
			return ""
		}
		if text != want {
			return fmt.Sprintf("%s is %v", path, got)
		}
	default:
		if got != want {
			return fmt.Sprintf("%s is %v", path, got)
		}
	}
	return ""
}

func TestCompareShape(t *testing.T) {
	t.Parallel()
	const id, other = "quo_01a20078a9a875ada2e1afb4ac3b7490", "quo_01a200799e9b758f8dfb6e9d7f3902c3"
	for _, test := range []struct {
		want, got string
		same      bool
	}{
		{`{"a": ["` + id + `", 1, null, true]}`, `{"a": ["` + other + `", 2, null, true]}`, true},
		{`{"a": "` + id + `"}`, `{"a": "inv` + id[3:] + `"}`, false},
		{`{"a": "` + id + `"}`, `{"a": null}`, false},
		{`{"a": 1}`, `{"a": 1, "b": 1}`, false},
		{`{"a": 1}`, `{"b": 1}`, false},
		{`{"a": 1}`, `{"a": "1"}`, false},
		{`{"a": []}`, `{"a": [1]}`, false},
		{`{"a": []}`, `{"a": {}}`, false},
		{`{"a": "300.00"}`, `{"a": "300.01"}`, false},
		{`{"a": null}`, `{"a": true}`, false},
		{`{"a": {}}`, `{"a": []}`, false},
	} {
		var want, got any
		if err := json.Unmarshal([]byte(test.want), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(test.got), &got); err != nil {
			t.Fatal(err)
		}
		if different := compareShape("answer", want, got); (different == "") != test.same {
			t.Errorf("%s and %s: %q", test.want, test.got, different)
		}
	}
}
