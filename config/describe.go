package config

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
)

// notSet stands for a setting without a value.
const notSet = "(not set)"

// String returns the effective settings, one NAME=value a line, with secrets
// masked.
func (c Config) String() string {
	var b strings.Builder
	for _, s := range settings() {
		fmt.Fprintf(&b, "%s=%s\n", s.env, c.shown(s))
	}
	return b.String()
}

// Format writes what String returns, whatever the verb, so that no verb shows
// a secret.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue returns the effective settings as a group, with secrets masked.
func (c Config) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, s := range settings() {
		attrs = append(attrs, slog.String(strings.ReplaceAll(s.flag(), "-", "_"), c.shown(s)))
	}
	return slog.GroupValue(attrs...)
}

// MarshalJSON returns the effective settings by their variables, with secrets
// masked.
func (c Config) MarshalJSON() ([]byte, error) {
	values := map[string]string{}
	for _, s := range settings() {
		values[s.env] = c.shown(s)
	}
	return json.Marshal(values)
}

func (c Config) shown(s setting) string {
	if value := s.show(c); value != "" {
		return value
	}
	return notSet
}

// Usage writes the settings as the help text lists them.
func Usage(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range settings() {
		fmt.Fprintf(table, "  --%s\t%s\t%s (default: %s)\n", s.flag(), s.env, s.summary, strings.ReplaceAll(s.initial, "`", ""))
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write usage: %w", err)
	}
	return nil
}

// Markdown returns the reference of all settings, docs/config.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Settings

<!-- Made from the table in config/settings.go. After a change there: PURSER_TEST_UPDATE=1 go test ./config -->

Every setting is an environment variable and a flag of the same name: ` + "`PURSER_PUBLIC_URL`" + ` is ` + "`--public-url`" + `. A flag wins over a variable. An empty value stands for the default. There is no file to write before the first start.

Variables that begin with ` + "`PURSER_`" + ` and are not listed here are refused, so that a misspelt one does not go unnoticed; only ` + "`PURSER_TEST_…`" + `, which tests use, is left alone.

Other users of a machine can see the flags of a program, but not its environment: give keys, tokens and passwords as variables. In production the log begins with the settings, all of these masked.

| variable | flag | default |
|---|---|---|
`)
	for _, s := range settings() {
		fmt.Fprintf(&b, "| [`%s`](#%s) | `--%s` | %s |\n", s.env, strings.ToLower(s.env), s.flag(), s.initial)
	}
	for _, s := range settings() {
		fmt.Fprintf(&b, "\n## %s\n\n%s. %s\n\n- Values: %s\n- Default: %s\n",
			s.env, strings.ToUpper(s.summary[:1])+s.summary[1:], s.details, s.values, s.initial)
	}
	return b.String()
}
