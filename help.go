package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"purser/config"
)

// writeHelp lists the commands and the settings.
func writeHelp(w io.Writer, all []*command) error {
	var b strings.Builder
	b.WriteString("Purser is a billing server with a GraphQL API.\n\nUsage: purser [COMMAND] [FLAGS]\n\nCommands:\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, c := range all {
		fmt.Fprintf(table, "  %s\t%s\n", c.name, c.summary)
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write help: %w", err)
	}
	b.WriteString("\n`purser COMMAND --help` says more about one. Settings, as flags of every command or\nas variables of the environment:\n")
	if err := config.Usage(&b); err != nil {
		return err
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeHelp says what the command does and takes.
func (c *command) writeHelp(w io.Writer) error {
	usage := strings.TrimSpace("purser " + c.name + " " + c.usage)
	_, err := fmt.Fprintf(w, "Usage: %s [FLAGS]\n\n%s%s.\n\n%s\n\nThe settings that `purser --help` lists are flags of this command, too.\n",
		usage, strings.ToUpper(c.summary[:1]), c.summary[1:], c.details)
	if err != nil {
		return fmt.Errorf("write help: %w", err)
	}
	return nil
}
