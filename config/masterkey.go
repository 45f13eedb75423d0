package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MasterKeyName is the file in the data folder that holds the master key which
// a development server made for itself.
const MasterKeyName = "master.key"

// MasterKeyFile returns the master key that is kept in the folder, and makes
// one from 32 bytes of random where there is none. Folder and file are for the
// owner alone. Two servers that start at once get the same key.
func MasterKeyFile(folder string, random io.Reader) ([]byte, error) {
	path := filepath.Join(folder, MasterKeyName)
	key, err := readMasterKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	raw := make([]byte, masterKeyBytes)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fmt.Errorf("read randomness for a master key: %w", err)
	}
	if err := writeMasterKey(path, raw); err != nil {
		return nil, fmt.Errorf("keep master key: %w", err)
	}
	// What counts is what stands in the file, whoever wrote it first.
	return readMasterKey(path)
}

func readMasterKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read master key: %w", err)
	}
	key, err := parseMasterKey(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("read master key from %s: %w", path, err)
	}
	return key, nil
}

// writeMasterKey makes the file appear whole and durable, or not at all, and
// never replaces one: secrets may be sealed with it already.
func writeMasterKey(path string, key []byte) (err error) {
	// CreateTemp makes files that only their owner can read.
	temp, err := os.CreateTemp(filepath.Dir(path), MasterKeyName+".*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	_, err = temp.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, fails where the name is taken.
	if err = os.Link(temp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// The name is durable with the folder. Where a system cannot sync folders
	// there is nothing better to do.
	if folder, err := os.Open(filepath.Dir(path)); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
	return nil
}
