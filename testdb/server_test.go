package testdb

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestMain turns the test binary into a process that starts a server and waits
// to be killed, when a test below asks for it.
func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		victim()
	}
	os.Exit(m.Run())
}

const victimVariable = "PURSER_TEST_VICTIM"

// victim prints its server's folder and never returns.
func victim() {
	s, err := newServer()
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.dir)
	for {
		time.Sleep(time.Hour) // until it is killed; an empty select would end as a deadlock
	}
}

// A killed test process leaves neither a server nor its folder behind.
func TestServerEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), victimVariable+"=1")
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(line)
	if _, err := os.Stat(dir + "/data/postmaster.pid"); err != nil {
		t.Fatalf("the server does not run: %v (%s)", err, line)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	deadline := time.Now().Add(30 * time.Second)
	for {
		// The watchdog removes the folder after the server has ended.
		if _, err := os.Stat(dir); os.IsNotExist(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still there", dir)
		}
		time.Sleep(10 * time.Millisecond) // between two looks, not instead of one
	}
}
