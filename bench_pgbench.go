package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"purser/config"
)

// pgbench is PostgreSQL's own tool for measuring, to compare with: it records
// an event by one statement, on the same tables with the same indexes. What
// that statement leaves out is every decision: it looks at no status and no
// limit, and what it calls a hash proves nothing.
type pgbench struct {
	path, url string
}

// pgbenchOff leaves the comparison out.
const pgbenchOff = "off"

// newPgbench finds the tool; nil where there is nothing to compare with.
func newPgbench(cfg config.Config, path string) (*pgbench, error) {
	if path == pgbenchOff || cfg.DatabaseURL == "" || strings.HasPrefix(cfg.DatabaseURL, "sqlite:") {
		return nil, nil
	}
	if path != "" {
		return &pgbench{path, cfg.DatabaseURL}, nil
	}
	if found, err := exec.LookPath("pgbench"); err == nil {
		return &pgbench{found, cfg.DatabaseURL}, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	if err != nil || len(found) == 0 {
		return nil, errors.New("pgbench is not found: it comes with PostgreSQL; --pgbench PATH says where it is")
	}
	return &pgbench{found[len(found)-1], cfg.DatabaseURL}, nil
}

// The script of one event as one statement, and that of one event as the
// server books it when it comes alone. The balances are those of the bench, by
// number.
const (
	pgbenchHead = `\set n random(1, :balances)
\set k random(1, 1000000000000000)
`
	pgbenchColumns = `ledger_entries(organization_id, id, transaction_id, balance_id, seq, currency, debit_account, credit_account, kind,
 amount_units, amount_after_units, usage_after_units, actor, effective_at, booked_at, operation, idempotency_key, fingerprint, hash)`
	pgbenchIDs  = `'ent_' || to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || lpad(:k::text, 16, '0'), 'txn_' || to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS') || lpad(:k::text, 16, '0')`
	pgbenchHash = `decode(md5(:k::text) || md5(:k::text), 'hex')`

	pgbenchOne = pgbenchHead + `WITH moved AS (
 UPDATE balances SET usage_units = usage_units + 1, last_seq = last_seq + 1, version = version + 1, updated_at = now(), last_hash = ` + pgbenchHash + `
 WHERE organization_id = ':organization' AND id = (SELECT id FROM bench_balances WHERE n = :n)
 RETURNING organization_id, id, last_seq, amount_units, usage_units, last_hash)
INSERT INTO ` + pgbenchColumns + `
SELECT organization_id, ` + pgbenchIDs + `, id, last_seq, 'USD', 'balance:' || id, 'revenue', 'USAGE',
 1, amount_units, usage_units, 'tok_bench', now(), now(), 'usage', 'pgbench:' || :k, last_hash, last_hash FROM moved;
`
	pgbenchSame = pgbenchHead + `BEGIN;
SELECT b.*, o.time_zone, s.version AS seen FROM balances b JOIN balances s ON s.organization_id = b.organization_id AND s.id = b.id
 JOIN payers p ON p.organization_id = b.organization_id AND p.id = b.payer_id JOIN currencies c ON c.organization_id = b.organization_id AND c.code = b.currency
 JOIN organizations o ON o.id = b.organization_id
 WHERE b.organization_id = ':organization' AND b.id = (SELECT id FROM bench_balances WHERE n = :n) AND p.status = 'ACTIVE' AND c.status = 'ACTIVE' AND o.status = 'ACTIVE'
 FOR NO KEY UPDATE OF b \gset
INSERT INTO ` + pgbenchColumns + `
VALUES (':organization', ` + pgbenchIDs + `, :id, :last_seq::bigint + 1, 'USD', 'balance:' || :id, 'revenue', 'USAGE',
 1, :amount_units, :usage_units::bigint + 1, 'tok_bench', now(), now(), 'usage', 'pgbench:' || :k, ` + pgbenchHash + `, ` + pgbenchHash + `)
 ON CONFLICT (organization_id, operation, idempotency_key) DO NOTHING;
UPDATE balances SET version = version + 1, updated_at = now(), amount_units = :amount_units, usage_units = :usage_units::bigint + 1, last_seq = :last_seq::bigint + 1, last_hash = ` + pgbenchHash + `
 WHERE organization_id = ':organization' AND id = :id AND version = :version;
COMMIT;
`
)

var pgbenchTPS = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// run returns how many events a second pgbench records.
func (p *pgbench) run(ctx context.Context, b *benchmark, c benchCase) (float64, error) {
	// A table that numbers the balances, which no product's query looks at.
	_, err := b.db.Write.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS bench_balances AS SELECT row_number() OVER (ORDER BY id) AS n, id FROM balances")
	if err == nil {
		_, err = b.db.Write.ExecContext(ctx, "CREATE UNIQUE INDEX IF NOT EXISTS bench_balances_n ON bench_balances (n)")
	}
	if err != nil {
		return 0, fmt.Errorf("number the balances: %w", err)
	}
	text := pgbenchOne
	if c.same {
		text = pgbenchSame
	}
	args := []string{
		"--no-vacuum", "--protocol=prepared", "--file=-", "--client=" + strconv.Itoa(c.clients), "--jobs=" + strconv.Itoa(min(2, c.clients)),
		"--time=" + strconv.Itoa(max(1, int(b.length.Seconds()/2))), "--define=balances=" + strconv.Itoa(c.payers),
	}
	cmd := exec.CommandContext(ctx, p.path, slices.Concat(args, []string{p.url})...)
	cmd.Stdin = strings.NewReader(strings.ReplaceAll(text, ":organization", b.organization))
	told, err := cmd.CombinedOutput()
	found := pgbenchTPS.FindSubmatch(told)
	if err != nil || found == nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, told)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}
