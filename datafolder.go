package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Lock files in the data folder: one for `purser serve`, one for `purser
// sandbox`, which has a file of its own and may run beside it.
const (
	serveLock   = "serve.lock"
	sandboxLock = "sandbox.lock"
)

// errLocked is returned by tryLock where another process holds the lock.
var errLocked = errors.New("locked")

// folderLock keeps other servers off what this process has in a data folder:
// two would deliver each other's events, and make each other's demo their own.
// The system takes it back when the process ends, however it ends.
type folderLock struct{ file *os.File }

// lockFolder takes the lock of that name, which lasts until it is released.
// The error names who has it.
func lockFolder(folder, name string) (*folderLock, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	switch err := tryLock(file); {
	case errors.Is(err, errLocked):
		return nil, errors.Join(lockedBy(folder, file), file.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("lock data folder: %w", err), file.Close())
	}
	l := &folderLock{file: file}
	if err := l.say(""); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// lockedBy says who holds the lock and what to do.
func lockedBy(folder string, file *os.File) error {
	holder := ""
	if text, err := io.ReadAll(io.LimitReader(file, 1000)); err == nil {
		holder = strings.Join(strings.Fields(string(text)), " ")
	}
	if holder != "" {
		holder = " (" + holder + ")"
	}
	return fmt.Errorf("the data folder %s is in use by another purser%s: stop that one, or give this one a folder of its own with PURSER_DATA", folder, holder)
}

// say notes who holds the lock, for those who find it taken.
func (l *folderLock) say(address string) error {
	text := strings.TrimSpace(fmt.Sprintf("process %d %s", os.Getpid(), address)) + "\n"
	err := l.file.Truncate(0)
	if err == nil {
		_, err = l.file.WriteAt([]byte(text), 0)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", l.file.Name(), err)
	}
	return nil
}

// release gives the lock back. The file stays: removing it would let two
// processes hold locks on two files of the same name.
func (l *folderLock) release() error {
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("release data folder: %w", err)
	}
	return nil
}
