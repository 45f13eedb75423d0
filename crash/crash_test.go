package crash_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"purser/crash"
)

// armVariable tells a copy of the test program where to end.
const armVariable = "PURSER_TEST_CRASH"

func TestMain(m *testing.M) {
	moment, child := os.LookupEnv(armVariable)
	if !child {
		os.Exit(m.Run())
	}
	if err := crash.Arm(moment); err != nil {
		os.Exit(2)
	}
	crash.Point(crash.Committing) // another moment
	crash.Point(crash.FinishStarted)
	crash.Point(crash.FinishStarted)
	os.Exit(0)
}

func TestPointEndsTheProcess(t *testing.T) {
	t.Parallel()
	for moment, want := range map[string]int{
		"":                            0,
		crash.FinishStarted:           crash.ExitCode,
		crash.FinishStarted + ":2":    crash.ExitCode,
		crash.FinishStarted + ":3":    0,
		crash.BeginCommitted:          0,
		"finish.started:0":            2,
		"finish.started:":             2,
		"nowhere.known":               2,
		crash.FinishStarted + ":1 ":   2,
		crash.FinishStarted + ":1:1":  2,
		crash.FinishStarted + ":-1":   2,
		crash.FinishStarted + ":1000": 0,
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), armVariable+"="+moment)
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("armed with %q the program ends with %d, want %d", moment, got, want)
		}
	}
}

// TestOnlyTestsArm keeps it impossible to make a built server crash by a
// setting.
func TestOnlyTestsArm(t *testing.T) {
	t.Parallel()
	files, points := 0, map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "crash" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(content, []byte("crash.Arm")) {
			t.Errorf("%s arms a crash: only tests may", path)
		}
		for _, at := range bytes.SplitAfter(content, []byte("crash.Point(crash."))[1:] {
			name, _, _ := bytes.Cut(at, []byte(")"))
			points[string(name)] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 100 {
		t.Fatalf("%d files were read: this is not the whole program", files)
	}
	if len(points) != len(crash.Points()) {
		t.Errorf("the program passes %d of %d moments: %v", len(points), len(crash.Points()), points)
	}
}

func BenchmarkPoint(b *testing.B) {
	for b.Loop() {
		crash.Point(crash.Committing)
	}
}
