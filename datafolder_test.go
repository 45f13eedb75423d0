package main

import (
	"strings"
	"testing"
)

func TestOneServerADataFolder(t *testing.T) {
	t.Parallel()
	first := startServer(t, serverOptions{})

	second := launchServer(t, serverOptions{Data: first.Data})
	err := second.Wait()
	if err == nil || !strings.Contains(err.Error(), "in use by another purser") || !strings.Contains(err.Error(), first.URL) || !strings.Contains(err.Error(), "PURSER_DATA") {
		t.Errorf("a second server in the folder: %v", err)
	}
	if strings.Contains(second.Output(), "ready") {
		t.Errorf("it was ready meanwhile:\n%s", second.Output())
	}

	// What only reads, or writes a row, works beside it.
	env := []string{"PURSER_DATA=" + first.Data}
	for _, args := range [][]string{
		{"verify"},
		{"backup", t.TempDir() + "/copy.db"},
		{"token", "create", "--organization", "demo", "--name", "beside", "--scopes", "BILLING"},
	} {
		if _, _, err := program(t, env, args...); err != nil {
			t.Errorf("%v beside a server: %v", args, err)
		}
	}

	first.Stop()
	startServer(t, serverOptions{Data: first.Data})
}
