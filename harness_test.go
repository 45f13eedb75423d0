package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"purser/crash"
)

// envServer makes the test binary be the program instead of its tests, so that
// tests can kill it. envCrash names the moment at which it is to end then,
// envAhead is how far its clock is ahead of the machine's.
const (
	envServer = "PURSER_TEST_SERVER"
	envCrash  = "PURSER_TEST_CRASH"
	envAhead  = "PURSER_TEST_AHEAD"
)

// armedLine is what a server says when it has heard of a moment.
const armedLine = "armed for %s\n"

func TestMain(m *testing.M) {
	tuneMemory() // as the program does
	if os.Getenv(envServer) == "" {
		os.Exit(m.Run())
	}
	if err := crash.Arm(os.Getenv(envCrash)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	// The test holds the other end of this pipe: however it ends, no server
	// is left behind. What it writes is another moment to end at.
	go func() {
		for moments := bufio.NewScanner(os.Stdin); moments.Scan(); {
			if err := crash.Arm(moments.Text()); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(2)
			}
			fmt.Printf(armedLine, moments.Text())
		}
		os.Exit(crash.ExitCode)
	}()
	ahead, err := time.ParseDuration(os.Getenv(envAhead))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(start(func() time.Time { return time.Now().Add(ahead) }))
}

// serverOptions say how a test's server is started. The zero value is the dev
// profile over SQLite in a new folder, on any free port, in this process.
type serverOptions struct {
	// DatabaseURL names a PostgreSQL database.
	DatabaseURL string
	// Data is the data folder; a new one where it is empty. A second server
	// with the first one's folder is a restart.
	Data string
	// Addr is where to listen; any free port of 127.0.0.1 where it is empty.
	Addr string
	// Env are further variables, NAME=value.
	Env []string
	// Args are the command and its flags; none is `serve`.
	Args []string
	// Process starts the program as a process of its own, which can be killed.
	Process bool
	// Crash names a moment of package crash at which the process ends.
	Crash string
	// Ahead is how far the process's clock is ahead: a restart later is a
	// restart at once.
	Ahead time.Duration
}

// testServer is a running server.
type testServer struct {
	t testing.TB
	// URL is its address without a slash at the end, Token the demo's token,
	// empty where there is no demo, Data its data folder.
	URL, Token, Data string

	environ []string
	output  *output
	cancel  context.CancelFunc // of run, in this process
	cmd     *exec.Cmd          // of a process of its own
	stdin   io.WriteCloser
	ended   chan struct{}
	err     error // how it ended; to be read after ended is closed
}

// How long a server may take to start and to stop: a shared machine is slow.
const (
	startMax = 90 * time.Second
	endMax   = 60 * time.Second
)

// startServer starts the program and returns when it is ready. It is stopped
// when the test ends, unless the test has stopped or killed it.
func startServer(t testing.TB, o serverOptions) *testServer {
	t.Helper()
	s := launchServer(t, o)
	s.awaitReady()
	return s
}

// launchServer starts the program and does not wait for it: for tests in which
// it ends while it starts.
func launchServer(t testing.TB, o serverOptions) *testServer {
	t.Helper()
	if o.Data == "" {
		o.Data = t.TempDir()
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	environ := append([]string{"PURSER_DATA=" + o.Data, "PURSER_ADDR=" + o.Addr, "DATABASE_URL=" + o.DatabaseURL}, o.Env...)
	s := &testServer{t: t, Data: o.Data, environ: environ, output: newOutput(), ended: make(chan struct{})}
	if o.Process {
		s.startProcess(o, environ)
	} else {
		ctx, cancel := context.WithCancel(context.Background())
		s.cancel = cancel
		go func() {
			defer close(s.ended)
			s.err = run(ctx, o.Args, environ, s.output, s.output)
		}()
	}
	t.Cleanup(s.cleanup)
	return s
}

func (s *testServer) startProcess(o serverOptions, environ []string) {
	s.t.Helper()
	program, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(program, o.Args...)
	s.cmd.Env = append(environ, envServer+"=1", envCrash+"="+o.Crash, envAhead+"="+o.Ahead.String(), "PATH="+os.Getenv("PATH"), "TMPDIR="+os.TempDir())
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.stdin = stdin
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("start the server: %v", err)
	}
	go func() {
		defer close(s.ended)
		s.err = s.cmd.Wait()
	}()
}

var readyLine = regexp.MustCompile(`(?m)^Purser \S+ is ready at (\S+)\n`)

// awaitReady waits until the server has said where it is.
func (s *testServer) awaitReady() {
	s.t.Helper()
	deadline := time.NewTimer(startMax)
	defer deadline.Stop()
	for {
		text, changed := s.output.read()
		if found := readyLine.FindStringSubmatch(text); found != nil {
			s.URL, s.Token = found[1], s.demoToken()
			return
		}
		select {
		case <-changed:
		case <-s.ended:
			s.t.Fatalf("the server has ended instead of being ready: %v\n%s", s.err, s.Output())
		case <-deadline.C:
			s.t.Fatalf("the server was not ready after %s:\n%s", startMax, s.Output())
		}
	}
}

// demoToken is the demo's token: the one that was set, else the one that the
// server keeps.
func (s *testServer) demoToken() string {
	s.t.Helper()
	for _, entry := range s.environ {
		if token, ok := strings.CutPrefix(entry, "PURSER_BOOTSTRAP_TOKEN="); ok {
			return token
		}
	}
	kept, err := os.ReadFile(filepath.Join(s.Data, tokenFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(kept))
}

// Output is all that the server has written so far.
func (s *testServer) Output() string {
	text, _ := s.output.read()
	return text
}

// Stop stops the server as Ctrl-C does, and fails the test where it does not
// end well.
func (s *testServer) Stop() {
	s.t.Helper()
	if err := s.stop(); err != nil {
		s.t.Errorf("the server did not stop well: %v\n%s", err, s.Output())
	}
}

func (s *testServer) stop() error {
	if s.cancel != nil {
		s.cancel()
	} else if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return s.Wait()
}

// Wait waits until the server has ended by itself, and returns how.
func (s *testServer) Wait() error {
	select {
	case <-s.ended:
		return s.err
	case <-time.After(endMax):
		return fmt.Errorf("it was still running after %s", endMax)
	}
}

// Arm makes a running process end at a moment of package crash.
func (s *testServer) Arm(moment string) {
	s.t.Helper()
	if _, err := io.WriteString(s.stdin, moment+"\n"); err != nil {
		s.t.Fatalf("arm the server: %v", err)
	}
	for {
		text, changed := s.output.read()
		if strings.Contains(text, fmt.Sprintf(armedLine, moment)) {
			return
		}
		select {
		case <-changed:
		case <-s.ended:
			return // at that moment already
		case <-time.After(startMax):
			s.t.Fatalf("the server was not armed for %s after %s:\n%s", moment, startMax, s.Output())
		}
	}
}

// Kill ends the process at once, as SIGKILL does, and waits until it is gone.
func (s *testServer) Kill() {
	s.t.Helper()
	if s.cmd == nil {
		s.t.Fatal("only a process of its own can be killed: serverOptions.Process")
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatalf("kill the server: %v", err)
	}
	<-s.ended
}

func (s *testServer) cleanup() {
	select {
	case <-s.ended:
	default:
		if err := s.stop(); err != nil {
			s.t.Errorf("the server did not stop well: %v\n%s", err, s.Output())
		}
	}
	if s.stdin != nil {
		_ = s.stdin.Close()
	}
	if s.t.Failed() {
		s.t.Logf("the server has written:\n%s", s.Output())
	}
}

// graphQLAnswer is an answer of the API.
type graphQLAnswer struct {
	Data       json.RawMessage `json:"data"`
	Errors     []graphQLError  `json:"errors"`
	Extensions map[string]any  `json:"extensions"`
}

type graphQLError struct {
	Message    string         `json:"message"`
	Path       []any          `json:"path"`
	Extensions map[string]any `json:"extensions"`
}

// Do sends an operation with the demo's token. The error is one of the
// connection: the server may be gone.
func (s *testServer) Do(ctx context.Context, query string, variables map[string]any) (*graphQLAnswer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if s.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.Token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer := &graphQLAnswer{}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return nil, fmt.Errorf("status %s: %w", response.Status, err)
	}
	return answer, nil
}

// Query sends an operation with the demo's token, fails the test on any error,
// and reads the answer's data into the pointer.
func (s *testServer) Query(query string, variables map[string]any, into any) {
	s.t.Helper()
	answer, err := s.Do(s.t.Context(), query, variables)
	if err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
	if len(answer.Errors) > 0 {
		s.t.Fatalf("%s: %+v", query, answer.Errors)
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		s.t.Fatalf("read the answer %s: %v", answer.Data, err)
	}
}

// output keeps what a server writes, and tells who waits for it.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.text.Write(b)
	close(o.changed)
	o.changed = make(chan struct{})
	return n, err
}

// read returns what was written, and a channel that is closed when there is
// more.
func (o *output) read() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String(), o.changed
}

// program runs a command of the program to its end and returns what it wrote.
func program(t testing.TB, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, problems bytes.Buffer
	err = run(t.Context(), args, env, &out, &problems)
	return out.String(), problems.String(), err
}
