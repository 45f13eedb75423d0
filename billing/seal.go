package billing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/ent/ledgerseal"
)

const (
	// sealAfter is how long an entry rests before it is sealed, so that those
	// of transactions that began together are sealed in order.
	sealAfter = 5 * time.Second
	// sealReach is how much older than the last sealed entry one may be that
	// is still found: the difference between servers' clocks and the length of
	// a transaction are far below it.
	sealReach = time.Hour
	// sealPage is how many entries one transaction seals.
	sealPage = 500
)

// SealEntries chains the entries of the viewer's organization that touch no
// balance and so stand in no balance's chain, and returns how many it has
// sealed. It may be called at any time, also by several servers at once.
func (s *Service) SealEntries(ctx context.Context) (int, error) {
	sealed := 0
	for {
		var n int
		err := s.inTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
			n, err = tx.sealEntries(ctx)
			return err
		})
		if err != nil {
			return sealed, fmt.Errorf("seal entries: %w", err)
		}
		if sealed += n; n < sealPage {
			return sealed, nil
		}
	}
}

// sealEntries seals one page. Two sealers that read the same end of the chain
// want the same next number; the slower one fails on it and runs again.
func (tx *Tx) sealEntries(ctx context.Context) (int, error) {
	var seq int64
	var previous []byte
	rested := tx.LedgerEntry.Query().
		Where(ledgerentry.BalanceIDIsNil(), ledgerentry.BookedAtLTE(tx.Now.Add(-sealAfter)), unsealed(tx.organizationID(ctx)))
	last, err := tx.LedgerSeal.Query().Order(ent.Desc(ledgerseal.FieldSeq)).First(ctx)
	switch {
	case err == nil:
		from, err := idBefore(last.EntryID, sealReach)
		if err != nil {
			return 0, err
		}
		seq, previous = last.Seq, last.Hash
		rested.Where(ledgerentry.IDGT(from))
	case !ent.IsNotFound(err):
		return 0, fmt.Errorf("read last seal: %w", err)
	}
	entries, err := rested.Order(ent.Asc(ledgerentry.FieldID)).Limit(sealPage).All(ctx)
	if err != nil {
		return 0, fmt.Errorf("read unsealed entries: %w", err)
	}
	seals := make([]*ent.LedgerSealCreate, 0, len(entries))
	for _, e := range entries {
		seq++
		seal := ent.LedgerSeal{OrganizationID: e.OrganizationID, ID: tx.s.newID(prefixSeal), CreatedAt: tx.Now, Seq: seq, EntryID: e.ID}
		previous = sealDigest(previous, &seal, e.Hash)
		seals = append(seals, tx.LedgerSeal.Create().
			SetID(seal.ID).SetSeq(seq).SetEntryID(e.ID).SetHash(previous).
			SetCreatedAt(tx.Now))
	}
	if err := tx.LedgerSeal.CreateBulk(seals...).Exec(ctx); err != nil {
		return 0, fmt.Errorf("store seals: %w", err)
	}
	return len(entries), nil
}

// unsealed keeps the entries that no seal names.
func unsealed(organizationID string) func(*entsql.Selector) {
	return func(s *entsql.Selector) {
		seals := entsql.Dialect(s.Dialect()).Table(ledgerseal.Table)
		s.Where(entsql.NotExists(entsql.Dialect(s.Dialect()).Select(seals.C(ledgerseal.FieldID)).From(seals).Where(entsql.And(
			entsql.EQ(seals.C(ledgerseal.FieldOrganizationID), organizationID),
			entsql.ColumnsEQ(seals.C(ledgerseal.FieldEntryID), s.C(ledgerentry.FieldID)),
		))))
	}
}

// sealDigest chains one seal to the one before it. Every column but the hash
// takes part.
func sealDigest(previous []byte, s *ent.LedgerSeal, entryHash []byte) []byte {
	h := sha256.New()
	writeField(h, previous)
	for _, text := range []string{"purser ledger seal 1", s.OrganizationID, s.ID, s.EntryID} {
		writeField(h, []byte(text))
	}
	writeNumber(h, s.Seq)
	writeNumber(h, s.CreatedAt.UnixMicro())
	writeField(h, entryHash)
	return h.Sum(nil)
}

// idBefore returns a bound below all ids that were made in the time d before
// the given one: the first twelve digits of an id count milliseconds.
func idBefore(id string, d time.Duration) (string, error) {
	prefix, body, _ := strings.Cut(id, "_")
	if raw, err := hex.DecodeString(body); err != nil || len(raw) != 16 {
		return "", fmt.Errorf("id %q carries no time", id)
	}
	made, err := strconv.ParseInt(body[:12], 16, 64)
	if err != nil {
		return "", fmt.Errorf("id %q carries no time: %w", id, err)
	}
	return idAt(prefix, time.UnixMilli(made-d.Milliseconds())), nil
}

// idAt is a bound below all ids that were made from this time on.
func idAt(prefix string, at time.Time) string {
	return fmt.Sprintf("%s_%012x", prefix, max(at.UnixMilli(), 0))
}
