package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"purser/config"
	"purser/crash"
)

// TestKeysRotate changes the master key: the rotation is killed when it has
// begun, run again, and the server then opens everything with the new key
// alone.
func TestKeysRotate(t *testing.T) {
	eachServer(t, func(t *testing.T, o serverOptions) {
		first := startServer(t, o)
		first.Stop()
		old, err := os.ReadFile(filepath.Join(first.Data, config.MasterKeyName))
		if err != nil {
			t.Fatal(err)
		}
		o.Data = first.Data
		fresh := strings.Repeat("fedcba9876543210", 4)
		both := "PURSER_MASTER_KEY=" + fresh + "," + strings.TrimSpace(string(old))

		// With the new key alone nothing can be sealed anew.
		env := []string{"PURSER_DATA=" + o.Data, "DATABASE_URL=" + o.DatabaseURL}
		if _, _, err := program(t, append(env, "PURSER_MASTER_KEY="+fresh), "keys", "rotate"); err == nil || !strings.Contains(err.Error(), "does not contain") {
			t.Errorf("without the old key: %v", err)
		}

		killed := o
		killed.Args, killed.Env, killed.Process, killed.Crash = []string{"keys", "rotate"}, []string{both}, true, crash.KeysRotated
		dead := launchServer(t, killed)
		if err := dead.Wait(); err == nil || dead.cmd.ProcessState.ExitCode() != crash.ExitCode {
			t.Fatalf("the rotation ended with %v\n%s", err, dead.Output())
		}
		// Half of it is done: the server still works with both.
		half := o
		half.Env = []string{both}
		startServer(t, half).Stop()

		stdout, _, err := program(t, append(env, both), "keys", "rotate")
		if err != nil {
			t.Fatalf("%v\n%s", err, stdout)
		}
		if stdout, _, err = program(t, append(env, both), "keys", "rotate"); err != nil || !strings.HasSuffix(stdout, " 0 sealed anew\n") {
			t.Errorf("again: %q, %v", stdout, err)
		}
		alone := o
		alone.Env = []string{"PURSER_MASTER_KEY=" + fresh}
		s := startServer(t, alone)
		var test struct {
			Providers []struct{ ID string }
		}
		s.Query(`{ providers { id } }`, nil, &test)
		for _, p := range test.Providers {
			var answer struct {
				ProviderTest struct{ Ok bool }
			}
			s.Query(`mutation($id: ID!) { providerTest(input: {id: $id}) { ok } }`, map[string]any{"id": p.ID}, &answer)
			if !answer.ProviderTest.Ok {
				t.Errorf("the provider %s does not work with the new key", p.ID)
			}
		}
		if len(test.Providers) == 0 {
			t.Error("there is no provider")
		}
	})
}
