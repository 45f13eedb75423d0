package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed schema/*.graphql
var schemaFiles embed.FS

// schemaPrint prints the public schema. What is said in several files stands
// in one document, in the order of their names.
func schemaPrint(_ context.Context, c invocation) error {
	if _, _, err := c.settings(c.newFlags()); err != nil {
		return err
	}
	text, err := schemaText()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(c.stdout, text); err != nil {
		return fmt.Errorf("write schema: %w", err)
	}
	return nil
}

// schemaText is the public schema as one document.
func schemaText() (string, error) {
	const folder = "schema"
	files, err := fs.ReadDir(schemaFiles, folder)
	if err != nil {
		return "", fmt.Errorf("read the schema: %w", err)
	}
	parts := make([]string, 0, len(files))
	for _, file := range files {
		text, err := fs.ReadFile(schemaFiles, path.Join(folder, file.Name()))
		if err != nil {
			return "", fmt.Errorf("read the schema: %w", err)
		}
		parts = append(parts, strings.TrimSpace(string(text))+"\n")
	}
	return strings.Join(parts, "\n"), nil
}
