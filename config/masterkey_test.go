package config_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"purser/config"
)

func TestMasterKeyFile(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "new", "data")
	made, err := config.MasterKeyFile(folder, rand.Reader)
	if err != nil || len(made) != 32 {
		t.Fatalf("%d bytes, %v", len(made), err)
	}
	again, err := config.MasterKeyFile(folder, strings.NewReader(""))
	if err != nil || !bytes.Equal(made, again) {
		t.Errorf("the second start has another key, %v", err)
	}
	path := filepath.Join(folder, config.MasterKeyName)
	for name, want := range map[string]fs.FileMode{folder: 0o700, path: 0o600} {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", name, info.Mode().Perm(), err, want)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}

	other, err := config.MasterKeyFile(t.TempDir(), rand.Reader)
	if err != nil || bytes.Equal(made, other) {
		t.Errorf("two folders have the same key, %v", err)
	}
}

func TestMasterKeyFileRefuses(t *testing.T) {
	t.Parallel()
	damaged := t.TempDir()
	path := filepath.Join(damaged, config.MasterKeyName)
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// A damaged key is never replaced: secrets are sealed with what it was.
	key, err := config.MasterKeyFile(damaged, rand.Reader)
	if err == nil || key != nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("damaged: %d bytes, %v", len(key), err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "hunter2\n" {
		t.Errorf("the damaged file is now %q, %v", text, err)
	}

	empty := t.TempDir()
	if key, err := config.MasterKeyFile(empty, strings.NewReader("short")); err == nil || key != nil {
		t.Errorf("without randomness: %d bytes", len(key))
	}
	if _, err := os.Stat(filepath.Join(empty, config.MasterKeyName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without randomness a file was made: %v", err)
	}
	if key, err := config.MasterKeyFile(path, rand.Reader); err == nil || key != nil {
		t.Errorf("a file for a folder: %d bytes", len(key))
	}
}

func TestServersThatStartTogetherShareTheKey(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	keys := make([][]byte, 16)
	var group sync.WaitGroup
	for i := range keys {
		group.Go(func() {
			key, err := config.MasterKeyFile(folder, rand.Reader)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	group.Wait()
	for _, key := range keys {
		if len(key) != 32 || !bytes.Equal(key, keys[0]) {
			t.Fatal("two servers have different keys")
		}
	}
}
