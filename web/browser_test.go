package web_test

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"purser/web"
)

const fakeToken = "pur_demo_fake_0123456789abcdef0123456789abcdef"

// The page is proved in a real browser against a stand-in for the server
// (browser/fake.mjs), and with it the browser tests themselves. The root
// package runs the same tests against the product.
func TestInBrowser(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("node_modules/playwright-core"); err != nil {
		t.Fatal("the packages of web/package.json are not installed: run ./scripts/test, or npm ci in web/")
	}
	tabs, err := web.Tabs()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	publicURL := "http://" + server.Listener.Addr().String()
	env := append(os.Environ(), "PURSER_URL="+publicURL, "PURSER_TOKEN="+fakeToken)

	fake := httputil.NewSingleHostReverseProxy(startFake(t, env))
	mux := http.NewServeMux()
	mux.Handle("/graphql", fake)
	mux.Handle("/hosted/", fake)
	mux.Handle("/", web.Handler(web.Options{Token: fakeToken, Tabs: tabs, Version: "0.0.0-test"}))
	server.Config.Handler = mux
	server.Start()
	t.Cleanup(server.Close)

	command := exec.CommandContext(t.Context(), "node", "browser/run.mjs")
	command.Env = env
	// Asked to end, it closes its browsers first.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("browser tests: %v\n%s", err, output)
	}
	if !strings.Contains(string(output), "fail 0") || strings.Contains(string(output), "pass 0") {
		t.Fatalf("the browser tests did not run:\n%s", output)
	}
}

// startFake starts the stand-in and returns its address. It ends when its
// standard input is closed, which happens however this process ends.
func startFake(t *testing.T, env []string) *url.URL {
	t.Helper()
	command := exec.CommandContext(t.Context(), "node", "browser/fake.mjs")
	command.Env = env
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("start the stand-in: %v", err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = command.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("read the stand-in's address: %v", err)
	}
	address, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return address
}
