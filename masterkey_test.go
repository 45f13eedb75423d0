package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"purser/config"
)

// A master key that opens nothing is noticed before it costs a payment.
func TestAnotherMasterKeyIsRefused(t *testing.T) {
	eachServer(t, func(t *testing.T, o serverOptions) {
		first := startServer(t, o)
		first.Stop()
		right, err := os.ReadFile(filepath.Join(first.Data, config.MasterKeyName))
		if err != nil {
			t.Fatal(err)
		}
		refused := func(what, advice string, o serverOptions) {
			t.Helper()
			s := launchServer(t, o)
			if err := s.Wait(); err == nil || !strings.Contains(err.Error(), "another") || !strings.Contains(err.Error(), advice) {
				t.Errorf("%s: %v", what, err)
			}
			if strings.Contains(s.Output(), "ready") {
				t.Errorf("%s: it was ready meanwhile:\n%s", what, s.Output())
			}
		}
		o.Data = first.Data
		other := strings.Repeat("0123456789abcdef", 4)
		o.Env = []string{"PURSER_MASTER_KEY=" + other}
		refused("another key", "PURSER_MASTER_KEY must contain that one", o)
		o.Env = append(o.Env, "PURSER_PROFILE=production")
		refused("another key in production", "PURSER_MASTER_KEY must contain that one", o)

		o.Env = []string{"PURSER_MASTER_KEY=" + other + "," + strings.TrimSpace(string(right))}
		startServer(t, o).Stop()

		if o.DatabaseURL == "" {
			return
		}
		o.Env, o.Data = nil, t.TempDir()
		refused("another data folder", "copy that folder's master.key to "+filepath.Join(o.Data, "master.key"), o)
		if err := os.WriteFile(filepath.Join(o.Data, config.MasterKeyName), right, 0o600); err != nil {
			t.Fatal(err)
		}
		startServer(t, o)
	})
}
