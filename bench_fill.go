package main

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
)

// fillStep is how many entries one statement writes.
const fillStep = 100_000

// fill writes entries below those that are recorded: a tenth of them on the
// first payer's balance, which is busy no more, and what came later on the
// second's. They are made in the database and have no chain, so nothing in it
// can be proved afterwards.
func (b *benchmark) fill(ctx context.Context, entries int) error {
	if b.db.Dialect != dialect.Postgres {
		return errors.New("--entries fills PostgreSQL only: name a database by DATABASE_URL")
	}
	written := 0
	for i, n := range []int{entries / 10, entries - entries/10} {
		var balance string
		var last int64
		err := b.db.Read.QueryRowContext(ctx, "SELECT id, last_seq FROM balances WHERE organization_id = $1 AND payer_id = $2", b.organization, b.payers[i]).Scan(&balance, &last)
		if err != nil {
			return fmt.Errorf("read a balance: %w", err)
		}
		for from := 1; from <= n; from += fillStep {
			to := min(from+fillStep-1, n)
			_, err := b.db.Write.ExecContext(ctx, `
				INSERT INTO ledger_entries (organization_id, id, transaction_id, balance_id, seq, currency, debit_account, credit_account, kind,
					amount_units, amount_after_units, usage_after_units, actor, effective_at, booked_at, operation, idempotency_key, fingerprint, hash)
				SELECT $1, 'ent_' || $2 || lpad(n::text, 31, '0'), 'txn_' || $2 || lpad(n::text, 31, '0'), $3::text, $4 + n, 'USD', 'balance:' || $3, 'revenue', 'USAGE',
					1, 0, n, 'tok_bench', now(), now(), 'usage', 'fill:' || $2 || n, decode(md5(n::text) || md5(n::text), 'hex'), decode(md5(n::text) || md5(n::text), 'hex')
				FROM generate_series($5::bigint, $6::bigint) AS n`,
				b.organization, fmt.Sprint(i), balance, last, from, to)
			if err != nil {
				return fmt.Errorf("fill the ledger: %w", err)
			}
			written += to - from + 1
			if _, err := fmt.Fprintf(b.progress, "\rfilled %d of %d", written, entries); err != nil {
				return fmt.Errorf("write: %w", err)
			}
		}
		if _, err := b.db.Write.ExecContext(ctx, "UPDATE balances SET last_seq = last_seq + $3 WHERE organization_id = $1 AND id = $2", b.organization, balance, n); err != nil {
			return fmt.Errorf("move a balance: %w", err)
		}
	}
	if _, err := fmt.Fprintln(b.progress); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	// What the database would do by itself within minutes.
	for _, statement := range []string{"VACUUM ANALYZE ledger_entries", "CHECKPOINT"} {
		if _, err := b.db.Write.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

// growth measures each case on the ledger as it is, fills it, and measures
// again: the ratio is what many entries leave of the speed.
func (b *benchmark) growth(ctx context.Context, entries int) error {
	cases := []benchCase{{name: "random, 256 in flight", payers: len(b.payers), callers: 256, batch: 1}, {name: "hot, 64 in flight", payers: 1, callers: 64, batch: 1}}
	var small []float64
	for _, c := range cases {
		m, err := b.measure(ctx, c)
		if err != nil {
			return err
		}
		small = append(small, m.eventsPerSecond())
	}
	if err := b.fill(ctx, entries); err != nil {
		return err
	}
	for i, c := range cases {
		m, err := b.measure(ctx, c)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(b.out, "F2 %-25s %10.0f with few entries, %10.0f with %d more: ratio %.2f\n", c.name, small[i], m.eventsPerSecond(), entries, m.eventsPerSecond()/small[i]); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}
