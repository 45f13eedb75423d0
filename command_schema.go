package main

import (
	"context"
	"fmt"

	"purser/schema"
)

// schemaPrint prints the public schema. What is said in several files stands
// in one document, in the order of their names.
func schemaPrint(_ context.Context, c invocation) error {
	if _, _, err := c.settings(c.newFlags()); err != nil {
		return err
	}
	text, err := schema.Text()
	if err != nil {
		return fmt.Errorf("print schema: %w", err)
	}
	if _, err := fmt.Fprint(c.stdout, text); err != nil {
		return fmt.Errorf("write schema: %w", err)
	}
	return nil
}
