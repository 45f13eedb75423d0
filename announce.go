package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"entgo.io/ent/dialect"

	"purser/config"
)

// announce says where the server is and how to begin. Production says the
// first line only.
func announce(w io.Writer, cfg config.Config, address string, db *storage, sandbox *builtInSandbox, sample *sampleData) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Purser %s is ready at %s\n", version(), address)
	if !cfg.Production() {
		announceDev(&b, cfg, address, db, sandbox, sample)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func announceDev(b *strings.Builder, cfg config.Config, address string, db *storage, sandbox *builtInSandbox, sample *sampleData) {
	line := func(label, text string) { fmt.Fprintf(b, "  %-11s %s\n", label, text) }
	b.WriteString("\n")
	line("Playground", address+"/")
	line("API", address+pathGraphQL)
	if sample.shown {
		line("Token", sample.tokenText())
	}
	if db.Dialect == dialect.SQLite {
		line("Database", "SQLite, "+filepath.Join(cfg.Data, databaseFile))
	} else {
		line("Database", "PostgreSQL")
	}
	line("Data folder", cfg.Data)
	switch {
	case sandbox != nil:
		line("Sandbox", address+pathSandbox+" speaks Stripe's API; no money moves")
		line("", address+pathWorldpay+" speaks Worldpay's XML")
	case cfg.SandboxURL != "":
		line("Sandbox", cfg.SandboxURL)
	default:
		line("Sandbox", "off: organizations in SANDBOX cannot pay")
	}
	b.WriteString("\n")
	if sample.sandboxLost {
		fresh := "remove the whole data folder"
		if db.Dialect != dialect.SQLite {
			fresh += " and empty the database"
		}
		fmt.Fprintf(b, "%s was lost while the database remained: the sandbox knows nothing\nof earlier customers, cards, quotes and payments, and refuses what builds on them.\nFor a fresh start %s.\n\n",
			filepath.Join(cfg.Data, sandboxFile), fresh)
	}
	if sample.shown {
		fmt.Fprintf(b, "Open the playground and run its tabs in order, or begin here:\n\n"+
			"  curl %s%s -H 'Authorization: Bearer %s' \\\n"+
			"    -H 'Content-Type: application/json' \\\n"+
			"    -d '{\"query\":\"{ payer(by: {developerEmail: \\\"ada@example.com\\\"}) { name balance(currency: \\\"USD\\\") { amount { amount } usage { amount } remaining { amount currency } } } }\"}'\n\n",
			address, pathGraphQL, sample.tokenText())
	} else {
		b.WriteString("There is no demo organization here. `purser token create` makes a token of another one.\n\n")
	}
}
