package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
)

// printVersion says what this program is.
func printVersion(_ context.Context, c invocation) error {
	if _, _, err := c.settings(c.newFlags()); err != nil {
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "purser %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return fmt.Errorf("write version: %w", err)
	}
	return nil
}

// revisionLength is how much of a commit's name is shown.
const revisionLength = 12

// version is the module's version where the program was built from a released
// one, else the commit that it was built from, else "devel".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= revisionLength:
			revision = "-" + s.Value[:revisionLength]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-modified"
		}
	}
	return "devel" + revision + modified
}
