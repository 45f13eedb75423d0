package testdb

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds the start of a server on a busy machine.
const startTimeout = 60 * time.Second

// Server is a PostgreSQL server that belongs to this process. Its methods are
// not safe for concurrent use.
type Server struct {
	bin     string // folder of the programs
	dir     string // holds the data, the socket and the log
	process *syscall.SysProcAttr

	stdin io.WriteCloser // the watchdog stops the server when this closes; nil when stopped
	pid   int            // of the server's first process
	wait  func() error
}

// shared is the server of all tests of this process. It has to be a variable
// of the package: tests that know nothing of each other meet in it.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// adminURL returns the URL of a database on which databases can be created.
func adminURL(t testing.TB) string {
	t.Helper()
	if given := os.Getenv("PURSER_TEST_POSTGRES"); given != "" {
		return given
	}
	shared.once.Do(func() { shared.server, shared.err = newServer() })
	if shared.err != nil {
		t.Fatalf("start PostgreSQL for tests: %v", shared.err)
	}
	return shared.server.adminURL()
}

// StartServer starts a server for one test that wants to stop and start it, and
// removes it when the test ends.
func StartServer(t testing.TB) *Server {
	t.Helper()
	s, err := newServer()
	if err != nil {
		t.Fatalf("start PostgreSQL for a test: %v", err)
	}
	t.Cleanup(func() {
		if s.stdin != nil {
			s.Stop(t, true)
		}
		if err := os.RemoveAll(s.dir); err != nil {
			t.Errorf("remove PostgreSQL's folder: %v", err)
		}
	})
	return s
}

// URL returns the URL of a new, empty database on the server.
func (s *Server) URL(t testing.TB) string {
	t.Helper()
	return createDatabase(t, s.adminURL(), "")
}

// Start starts a stopped server again, on the same data and the same address,
// and returns when it accepts connections.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
}

// Stop stops the server and returns when it has ended. Immediately means
// without telling anybody or writing anything, as a power cut would; otherwise
// sessions are ended in an orderly way.
func (s *Server) Stop(t testing.TB, immediately bool) {
	t.Helper()
	mode := "fast"
	if immediately {
		mode = "immediate"
	}
	if err := s.program("pg_ctl", "stop", "--pgdata", s.data(), "--mode", mode, "--wait").Run(); err != nil {
		t.Fatalf("stop PostgreSQL: %v\n%s", err, s.log())
	}
	s.ended()
}

// ended lets the watchdog of a server go that was stopped or killed, and
// returns when the last of it is gone. Its folder stays, for the next start.
func (s *Server) ended() {
	_, _ = io.WriteString(s.stdin, saidEnded) // a watchdog that is gone leaves the folder as well
	s.release()
}

// release ends the watchdog, and with it the server and its folder unless the
// watchdog was told otherwise.
func (s *Server) release() {
	_ = s.stdin.Close()
	_ = s.wait() // the exit code of a killed server says nothing
	s.stdin = nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) log() string {
	content, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(content)
}

func (s *Server) adminURL() string {
	query := url.Values{"host": {s.dir}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres", RawQuery: query.Encode()}).String()
}

// newServer makes a server's folder and data and starts it.
func newServer() (*Server, error) {
	bin, err := findPrograms()
	if err != nil {
		return nil, err
	}
	process, err := processAttributes()
	if err != nil {
		return nil, err
	}
	// Not t.TempDir: the path of a unix socket may not be longer than about a
	// hundred bytes, and another user has to reach it.
	dir, err := os.MkdirTemp(serverRoot(), "purser-pg-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir, process: process}
	if err := s.prepare(); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

// serverRoot is where the folders of servers are: in memory where the system
// offers enough of it. A test's database is hundreds of files that are there
// for a second, and on a disk their names alone take half of PostgreSQL's time.
func serverRoot() string {
	const memory, enough = "/dev/shm", 4 << 30
	var is syscall.Statfs_t
	if err := syscall.Statfs(memory, &is); err == nil && uint64(is.Bavail)*uint64(is.Bsize) >= enough {
		return memory
	}
	return "/tmp"
}

func (s *Server) prepare() error {
	if account := s.process.Credential; account != nil {
		if err := os.Chown(s.dir, int(account.Uid), int(account.Gid)); err != nil {
			return err
		}
	}
	// Who reaches the socket may do everything, and the folder lets in its
	// owner only.
	output, err := s.program("initdb", "--pgdata", s.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	return s.start()
}

// watchdog runs the server, says its process id, and waits until standard
// input ends, which happens when the test process is gone, even if it was
// killed; then it stops the server and removes its folder. It hears of a server
// that was stopped or killed by its test, which is left as it is, to be started
// again: that it is still there for a moment after it has said that it stops
// does not mean that it was forgotten.
// PostgreSQL's log keeps away from the process's own output, on whose end
// `go test` waits.
//
// Nothing is synced to the disk: what a process has written outlives it in the
// memory of the machine, and no test cuts the machine's power.
const watchdog = `
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=200 -c temp_file_limit=1GB -c max_wal_size=1GB -c checkpoint_timeout=1h -c wal_level=minimal -c max_wal_senders=0 -c fsync=off >>"$2/log" 2>&1 &
server=$!
echo "$server"
cat >"$2/said"
if [ "$(cat "$2/said")" != ` + saidEnded + ` ] && kill -QUIT "$server" 2>/dev/null; then
	wait "$server"
	rm -rf "$2"
fi
wait "$server"
`

const saidEnded = "ended"

func (s *Server) launch() error {
	cmd := s.command("/bin/sh", "-c", watchdog, "watchdog", s.bin, s.dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.stdin, s.wait = stdin, sync.OnceValue(cmd.Wait)
	if _, err := fmt.Fscanln(output, &s.pid); err != nil {
		s.release()
		return fmt.Errorf("read the process id of PostgreSQL: %w", err)
	}
	return nil
}

func (s *Server) start() error {
	err := s.launch()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		// Exit code 0 means that connections are accepted.
		if err = s.program("pg_isready", "--host", s.dir, "--quiet", "--timeout", "5").Run(); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			s.release()
			return fmt.Errorf("PostgreSQL does not answer after %s: %w\n%s", startTimeout, err, s.log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// program prepares one of PostgreSQL's programs.
func (s *Server) program(name string, args ...string) *exec.Cmd {
	return s.command(filepath.Join(s.bin, name), args...)
}

// command prepares a program that runs as the server's account, with no more
// of this process's environment than it needs.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = s.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC", "HOME=" + s.dir}
	cmd.SysProcAttr = s.process
	return cmd
}

// findPrograms returns the folder of PostgreSQL's programs: from PATH, or the
// newest where Debian and its relatives install them.
func findPrograms() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL server is installed: install the package postgresql (apt-get install postgresql, dnf install postgresql-server, brew install postgresql), or name a server by its URL in PURSER_TEST_POSTGRES")
	}
	major := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4]) // 0 for what is not a number
		return n
	}
	sort.Slice(found, func(i, j int) bool { return major(found[i]) > major(found[j]) })
	return filepath.Dir(found[0]), nil
}

// Serve starts a server, writes the URL for PURSER_TEST_POSTGRES and a newline
// to out, and stops the server when in ends. It lets the test processes of
// several packages share one server.
func Serve(in io.Reader, out io.Writer) error {
	s, err := newServer()
	if err != nil {
		return err
	}
	defer s.release() // the watchdog stops the server and removes its folder
	if _, err := fmt.Fprintln(out, s.adminURL()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}
