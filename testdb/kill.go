package testdb

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Launch starts a stopped or killed server again and does not wait until it
// accepts connections.
func (s *Server) Launch(t testing.TB) {
	t.Helper()
	if err := s.launch(); err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
}

// Kill ends every process of the server at once, as SIGKILL does, in the
// middle of whatever each of them is at, and returns when all are gone.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.kill(); err != nil {
		t.Fatalf("kill PostgreSQL: %v", err)
	}
}

func (s *Server) kill() error {
	// First all are stopped where they are, until none is left that could
	// start another one.
	var family []int
	for {
		now, err := descendants(s.pid)
		if err != nil {
			return err
		}
		now = append(now, s.pid)
		slices.Sort(now)
		if slices.Equal(now, family) {
			break
		}
		family = now
		signal(family, syscall.SIGSTOP)
	}
	signal(family, syscall.SIGKILL)
	deadline := time.Now().Add(startTimeout)
	for {
		alive, err := processes()
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(slices.Clone(family), func(pid int) bool { _, there := alive[pid]; return !there })
		// The next server looks whether this one's process id is taken: it is
		// until the watchdog has heard of the end.
		taken := syscall.Kill(s.pid, 0) == nil
		if len(left) == 0 && !taken {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v are still there after %s, the first of them %t", left, startTimeout, taken)
		}
		time.Sleep(time.Millisecond) // between two looks, not instead of one
	}
	s.ended()
	return nil
}

// signal sends a signal to processes of which some may have ended.
func signal(pids []int, what syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, what)
	}
}

// descendants lists the children of a process, their children, and so on.
func descendants(of int) ([]int, error) {
	parents, err := processes()
	if err != nil {
		return nil, err
	}
	var found []int
	for wave := []int{of}; len(wave) > 0; {
		var next []int
		for pid, parent := range parents {
			if slices.Contains(wave, parent) {
				next = append(next, pid)
			}
		}
		found = append(found, next...)
		wave = next
	}
	return found, nil
}

// processes lists the running processes of the machine, each with its parent.
func processes() (map[int]int, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return processesByPS()
	}
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := make(map[int]int, len(paths))
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		// "12 (any (name)) S 1 …": what follows the name are state and parent.
		end := bytes.LastIndexByte(line, ')')
		fields := strings.Fields(string(line[end+1:]))
		if end < 0 || len(fields) < 2 {
			return nil, fmt.Errorf("%s is not understood: %q", path, line)
		}
		if err := note(all, filepath.Base(filepath.Dir(path)), fields[1], fields[0]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// processesByPS is processes for systems without /proc.
func processesByPS() (map[int]int, error) {
	lines, err := exec.Command("ps", "-A", "-o", "pid=,ppid=,stat=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all := map[int]int{}
	for line := range strings.Lines(string(lines)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("list processes: %q is not understood", line)
		}
		if err := note(all, fields[0], fields[1], fields[2]); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// note adds a process, unless only its exit code is left of it.
func note(all map[int]int, pid, parent, state string) error {
	if strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X") {
		return nil
	}
	child, err := strconv.Atoi(pid)
	if err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	if all[child], err = strconv.Atoi(parent); err != nil {
		return fmt.Errorf("list processes: %w", err)
	}
	return nil
}
