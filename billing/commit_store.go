package billing

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"entgo.io/ent/dialect"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/ledgerentry"
	"purser/ent/organization"
	"purser/ent/payer"
)

// The committers' statements. Each works on many rows at once, given as a list
// of VALUES. Where the database is one machine they span organizations: a
// hundred small ones would otherwise make batches of one event each.

// statements keeps the texts of the committers' statements by what they do and
// how many rows they have.
type statements struct {
	postgres bool
	// oneOrganization has each statement name its one organization as
	// organization_id = a parameter, as a distributed database needs it.
	oneOrganization bool

	mu    sync.Mutex
	texts map[statementKey]string
}

type statementKey struct {
	kind string
	rows int
}

func newStatements(dialectName string, oneOrganization bool) *statements {
	return &statements{postgres: dialectName == dialect.Postgres, oneOrganization: oneOrganization, texts: map[statementKey]string{}}
}

// rounded is the number of rows that a statement has for n of them: a power of
// two, so that there are few texts for the database to prepare. What is too
// many are rows that find nothing.
func rounded(n int) int { return 1 << bits.Len(uint(n-1)) }

// text returns the text of a statement, written by write the first time.
func (s *statements) text(kind string, rows int, write func(w *statementWriter)) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := statementKey{kind, rows}
	text, ok := s.texts[key]
	if !ok {
		w := statementWriter{statements: s, rows: rows}
		write(&w)
		text = w.String()
		s.texts[key] = text
	}
	return text
}

// statementWriter writes one text. Parameters are numbered in the order in
// which they are written.
type statementWriter struct {
	strings.Builder
	*statements
	rows   int
	params int
}

// write writes parts one after the other.
func (w *statementWriter) write(parts ...string) {
	for _, p := range parts {
		w.WriteString(p)
	}
}

// param writes a parameter, for PostgreSQL with its type where one is given.
func (w *statementWriter) param(typ string) {
	w.params++
	if !w.postgres {
		w.WriteByte('?')
		return
	}
	w.write("$", strconv.Itoa(w.params))
	if typ != "" {
		w.write("::", typ)
	}
}

// values writes a list of rows of parameters.
func (w *statementWriter) values(types ...string) {
	w.write("VALUES ")
	for row := range w.rows {
		if row > 0 {
			w.write(", ")
		}
		w.write("(")
		for i, typ := range types {
			if i > 0 {
				w.write(", ")
			}
			w.param(typ)
		}
		w.write(")")
	}
}

// organization writes that a table's rows are of the organization in the first
// column of the values v, or of the one of the batch: then it is one more
// parameter.
func (w *statementWriter) organization(column string) {
	w.write(column, " = ")
	if w.oneOrganization {
		w.param("")
	} else {
		w.write("v.column1")
	}
}

// organizations are the arguments for n calls of statementWriter.organization.
func (b *batch) organizations(n int) []any {
	if !b.c.statements.oneOrganization {
		return nil
	}
	return slices.Repeat([]any{b.events[0].viewer.OrganizationID}, n)
}

// padded fills args up to the given number of rows with rows of NULL, which
// equal nothing.
func padded(args []any, rows, columns int) []any {
	return append(args, make([]any, rows*columns-len(args))...)
}

// load reads the balances that the events name, in one statement with what
// else decides: where payer, currency or organization are not active, it is as
// if there were none. On PostgreSQL it locks the balances, in the order of
// their ids.
func (b *batch) load(ctx context.Context, tx *Tx) error {
	var keys []any
	named := make(map[touchedKey]bool, len(b.events))
	for _, e := range b.events {
		if key := e.balance(); !named[key] {
			named[key] = true
			keys = append(keys, key.organizationID, key.payerID, key.currency)
		}
	}
	const columns = 3
	rows := rounded(len(named))
	text := b.c.statements.text("load", rows, writeLoad)
	args := slices.Concat(b.organizations(loadOrganizations), padded(keys, rows, columns), b.organizations(1))
	stale, err := b.read(ctx, tx, text, args)
	if stale {
		// A lock was waited for: PostgreSQL gives the balance as it is now
		// beside a payer as it was before. Whoever closed it meanwhile has
		// changed the balance. Now that it is locked, both are read as they are.
		_, err = b.read(ctx, tx, text, args)
	}
	return err
}

// loadOrganizations is how often writeLoad names the organization before the
// values.
const loadOrganizations = 3

// writeLoad writes what decides as subqueries, each of one row by its key.
// Joined, all tables would have the organization in common, and PostgreSQL,
// asked before it knows how many rows they have, went through all payers of
// the organization for each event.
func writeLoad(w *statementWriter) {
	w.write("SELECT ")
	for _, c := range ent.BalanceColumns() {
		w.write("b.", c, ", ")
	}
	w.write("(SELECT p.status FROM payers AS p WHERE ")
	w.organization("p.organization_id")
	w.write(" AND p.id = b.payer_id), coalesce((SELECT c.status FROM currencies AS c WHERE ")
	w.organization("c.organization_id")
	// The same row again, as it was when the statement began.
	w.write(" AND c.code = b.currency), ''), (SELECT s.version FROM balances AS s WHERE ")
	w.organization("s.organization_id")
	w.write(" AND s.id = b.id), (SELECT o.status FROM organizations AS o WHERE o.id = v.column1),",
		" (SELECT o.time_zone FROM organizations AS o WHERE o.id = v.column1) FROM (")
	w.values("text", "text", "text")
	w.write(") AS v JOIN balances AS b ON ")
	w.organization("b.organization_id")
	w.write(" AND b.payer_id = v.column2 AND b.currency = v.column3 ORDER BY b.organization_id, b.id")
	if w.postgres {
		w.write(" FOR NO KEY UPDATE OF b")
	}
}

// read runs the statement of load. stale says that a balance has changed while
// its lock was waited for.
func (b *batch) read(ctx context.Context, tx *Tx, text string, args []any) (stale bool, err error) {
	rows, err := tx.sql.QueryContext(ctx, text, args...)
	if err != nil {
		return false, fmt.Errorf("read balances: %w", err)
	}
	defer rows.Close()
	b.accounts = make(map[touchedKey]*touched)
	for rows.Next() {
		var ofPayer payer.Status
		var ofCurrency currency.Status
		var ofOrganization organization.Status
		var zone string
		var seen int64
		found, err := ent.ScanBalance(rows, &ofPayer, &ofCurrency, &seen, &ofOrganization, &zone)
		if err != nil {
			return false, err
		}
		stale = stale || seen != found.Version
		if ofPayer != payer.StatusACTIVE || ofCurrency != currency.StatusACTIVE || ofOrganization != organization.StatusACTIVE {
			continue
		}
		period, err := b.c.period(tx.Now, zone)
		if err != nil {
			return false, err
		}
		rollOver(found, period)
		b.accounts[touchedKey{found.OrganizationID, found.PayerID, found.Currency}] = &touched{Balance: found, before: *found}
	}
	if err := rows.Err(); err != nil {
		return false, fmt.Errorf("read balances: %w", err)
	}
	return stale, nil
}

// period is periodAt with the zones that were met before kept.
func (c *committer) period(at time.Time, zone string) (string, error) {
	known, ok := c.zones[zone]
	if !ok {
		var err error
		if known, err = zoneOf(zone); err != nil {
			return "", err
		}
		c.zones[zone] = known
	}
	return periodIn(at, known), nil
}

// recorded answers those of the events whose keys are stored, each from its
// entry, and returns the others.
func (b *batch) recorded(ctx context.Context, tx *Tx, events []*usageEvent) (open []*usageEvent, err error) {
	if len(events) == 0 {
		return nil, nil
	}
	var keys []any
	for _, e := range events {
		keys = append(keys, e.viewer.OrganizationID, e.op.key)
	}
	const columns = 2
	size := rounded(len(events))
	text := b.c.statements.text("recorded", size, func(w *statementWriter) {
		w.write("SELECT e.organization_id, e.idempotency_key, e.id, e.balance_id, e.fingerprint FROM (")
		w.values("text", "text")
		w.write(") AS v JOIN ledger_entries AS e ON ")
		w.organization("e.organization_id")
		w.write(" AND e.operation = '", usageOperation, "' AND e.idempotency_key = v.column2")
	})
	rows, err := tx.sql.QueryContext(ctx, text, append(padded(keys, size, columns), b.organizations(1)...)...)
	if err != nil {
		return nil, fmt.Errorf("look up idempotency keys: %w", err)
	}
	defer rows.Close()
	type stored struct {
		entryID, balanceID string
		fingerprint        []byte
	}
	found := map[eventKey]stored{}
	for rows.Next() {
		var key eventKey
		var s stored
		if err := rows.Scan(&key.organizationID, &key.key, &s.entryID, &s.balanceID, &s.fingerprint); err != nil {
			return nil, fmt.Errorf("look up idempotency keys: %w", err)
		}
		found[key] = s
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look up idempotency keys: %w", err)
	}
	for _, e := range events {
		s, ok := found[e.id()]
		if !ok {
			open = append(open, e)
			continue
		}
		if err := e.op.sameUsage(s.fingerprint); err != nil {
			e.answer(Booking{}, err)
			continue
		}
		e.answer(Booking{EntryID: s.entryID, BalanceID: s.balanceID}, nil)
	}
	return open, nil
}

// usageColumns are the columns of an entry that usage fills.
var usageColumns = []struct {
	name  string
	value func(r *entryRow) any
}{
	{ledgerentry.FieldOrganizationID, func(r *entryRow) any { return r.organizationID }},
	{ledgerentry.FieldID, func(r *entryRow) any { return r.id }},
	{ledgerentry.FieldTransactionID, func(r *entryRow) any { return r.transactionID }},
	{ledgerentry.FieldBalanceID, func(r *entryRow) any { return r.balanceID }},
	{ledgerentry.FieldSeq, func(r *entryRow) any { return r.seq }},
	{ledgerentry.FieldCurrency, func(r *entryRow) any { return r.amount.Currency }},
	{ledgerentry.FieldDebitAccount, func(r *entryRow) any { return r.debit }},
	{ledgerentry.FieldCreditAccount, func(r *entryRow) any { return r.credit }},
	{ledgerentry.FieldKind, func(r *entryRow) any { return string(r.kind) }},
	{ledgerentry.FieldAmountUnits, func(r *entryRow) any { return int64(r.amount.Units) }},
	{ledgerentry.FieldAmountAfterUnits, func(r *entryRow) any { return int64(r.amountAfter) }},
	{ledgerentry.FieldUsageAfterUnits, func(r *entryRow) any { return int64(r.usageAfter) }},
	{ledgerentry.FieldDescription, func(r *entryRow) any {
		if r.description == nil {
			return nil
		}
		return *r.description
	}},
	{ledgerentry.FieldMetadata, func(r *entryRow) any {
		if r.metadata == nil {
			return nil
		}
		text, err := json.Marshal(r.metadata)
		if err != nil {
			panic("write metadata: " + err.Error()) // texts can always be written
		}
		return text
	}},
	{ledgerentry.FieldActor, func(r *entryRow) any { return r.actor }},
	{ledgerentry.FieldEffectiveAt, func(r *entryRow) any { return r.effectiveAt }},
	{ledgerentry.FieldBookedAt, func(r *entryRow) any { return r.bookedAt }},
	{ledgerentry.FieldOperation, func(r *entryRow) any { return r.operation }},
	{ledgerentry.FieldIdempotencyKey, func(r *entryRow) any { return r.key }},
	{ledgerentry.FieldFingerprint, func(r *entryRow) any { return r.fingerprint }},
	{ledgerentry.FieldHash, func(r *entryRow) any { return r.hash }},
}

// insert stores the entries. One whose key is stored already is left out by
// the database, and the batch is decided again.
func (b *batch) insert(ctx context.Context, tx *Tx) error {
	size := rounded(len(b.rows))
	text := b.c.statements.text("insert", size, writeInsert)
	args := make([]any, 0, size*len(usageColumns))
	for i := range size {
		// The last row again and again is one whose key is stored already.
		row := &b.rows[min(i, len(b.rows)-1)]
		for _, c := range usageColumns {
			args = append(args, c.value(row))
		}
	}
	return allOf(len(b.rows))(tx.sql.ExecContext(ctx, text, args...))
}

func writeInsert(w *statementWriter) {
	w.write("INSERT INTO ledger_entries (")
	types := make([]string, len(usageColumns))
	for i, c := range usageColumns {
		if i > 0 {
			w.write(", ")
		}
		w.write(c.name)
	}
	w.write(") ")
	w.values(types...)
	w.write(" ON CONFLICT (organization_id, operation, idempotency_key) DO NOTHING")
}

// update writes the balances that have moved, unless one of them is not the
// one that was read any more.
func (b *batch) update(ctx context.Context, tx *Tx, moved []*touched) error {
	columns := 3 + len(movedColumns)
	size := rounded(len(moved))
	text := b.c.statements.text("update", size, writeUpdate)
	args := make([]any, 0, 1+size*columns+1)
	args = append(args, tx.Now)
	for _, a := range moved {
		args = append(args, a.OrganizationID, a.ID, a.Version)
		for _, c := range movedColumns {
			args = append(args, c.value(a.Balance))
		}
	}
	args = append(args, make([]any, (size-len(moved))*columns)...) // rows of NULL, which find nothing
	return allOf(len(moved))(tx.sql.ExecContext(ctx, text, append(args, b.organizations(1)...)...))
}

func writeUpdate(w *statementWriter) {
	w.write("UPDATE balances AS b SET version = b.version + 1, updated_at = ")
	w.param("timestamptz")
	types := []string{"text", "text", "bigint"}
	for _, c := range movedColumns {
		types = append(types, c.typ)
		w.write(", ", c.name, " = v.column", strconv.Itoa(len(types)))
	}
	w.write(" FROM (")
	w.values(types...)
	w.write(") AS v WHERE ")
	w.organization("b.organization_id")
	w.write(" AND b.id = v.column2 AND b.version = v.column3")
}

// allOf turns the result of a statement that met fewer than n rows into
// errRetry.
func allOf(n int) func(sql.Result, error) error {
	return func(r sql.Result, err error) error {
		if err != nil {
			return err
		}
		met, err := r.RowsAffected()
		if err != nil {
			return err
		}
		if met != int64(n) {
			return errRetry
		}
		return nil
	}
}
