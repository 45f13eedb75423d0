package billing

import (
	"context"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/money"
)

// holds checks every hold against its balance and the entry that has captured
// it. That those which are open come to what is held is checked with the
// balances.
func (v *verifier) holds(ctx context.Context) error {
	entries := &entryStream{v: v, again: true, load: func(ctx context.Context, after *ent.LedgerEntry, limit int) ([]*ent.LedgerEntry, error) {
		q := v.LedgerEntry.Query().Where(ledgerentry.HoldIDNotNil())
		if after != nil {
			q.Where(func(s *entsql.Selector) {
				s.Where(entsql.CompositeGT([]string{s.C(ledgerentry.FieldHoldID), s.C(ledgerentry.FieldID)}, orEmpty(after.HoldID), after.ID))
			})
		}
		return q.Order(ent.Asc(ledgerentry.FieldHoldID, ledgerentry.FieldID)).Limit(limit).All(ctx)
	}}
	last := ""
	for {
		page, err := v.Hold.Query().Where(hold.IDGT(last)).Order(ent.Asc(hold.FieldID)).Limit(v.options.PageRows).All(ctx)
		if err != nil {
			return fmt.Errorf("read holds: %w", err)
		}
		balances, err := v.balancesOfHolds(ctx, page)
		if err != nil {
			return err
		}
		for _, h := range page {
			captured, err := v.capturesOf(ctx, h, entries)
			if err != nil {
				return err
			}
			if err := v.hold(h, balances[h.BalanceID], captured); err != nil {
				return err
			}
		}
		v.report.Holds += len(page)
		v.progress(hold.Table, v.report.Holds)
		if len(page) < v.options.PageRows {
			break
		}
		last = page[len(page)-1].ID
	}
	orphan, err := entries.peek(ctx)
	if orphan != nil {
		return v.fault(ledgerentry.Table, orphan.ID, "hold_id", "a hold that exists", orEmpty(orphan.HoldID))
	}
	return err
}

func (v *verifier) balancesOfHolds(ctx context.Context, page []*ent.Hold) (map[string]*ent.Balance, error) {
	var ids []string
	for _, h := range page {
		ids = append(ids, h.BalanceID)
	}
	rows, err := v.Balance.Query().Where(balance.IDIn(ids...)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balances of holds: %w", err)
	}
	out := make(map[string]*ent.Balance, len(rows))
	for _, b := range rows {
		out[b.ID] = b
	}
	return out, nil
}

// capturesOf reads the entries of a hold from the stream, which stands at its
// first one. What was given back of a capture later is no capture.
func (v *verifier) capturesOf(ctx context.Context, h *ent.Hold, entries *entryStream) ([]*ent.LedgerEntry, error) {
	var out []*ent.LedgerEntry
	for {
		e, err := entries.peek(ctx)
		if err != nil {
			return nil, err
		}
		if e != nil && *e.HoldID < h.ID {
			return nil, v.fault(ledgerentry.Table, e.ID, "hold_id", "a hold that exists", *e.HoldID)
		}
		if e == nil || *e.HoldID != h.ID {
			return out, nil
		}
		if e.Kind != ledgerentry.KindREVERSAL {
			out = append(out, e)
		}
		entries.next()
	}
}

// hold checks one hold.
func (v *verifier) hold(h *ent.Hold, b *ent.Balance, captures []*ent.LedgerEntry) error {
	if b == nil || b.PayerID != h.PayerID || b.Currency != h.Currency {
		found := "none"
		if b != nil {
			found = b.PayerID + " in " + b.Currency
		}
		return v.fault(hold.Table, h.ID, "payer_id and currency of its balance", h.PayerID+" in "+h.Currency, found)
	}
	want := 0
	if h.Status == hold.StatusCAPTURED {
		want = 1
	}
	open := h.Status == hold.StatusOPEN
	switch {
	case len(captures) != want:
		return v.fault(hold.Table, h.ID, fmt.Sprintf("the entries that have captured it, being %s", h.Status), want, len(captures))
	case open != (h.ClosedAt == nil):
		return v.fault(hold.Table, h.ID, fmt.Sprintf("closed_at, being %s", h.Status), presence(!open), presence(open))
	case !open && (h.Status == hold.StatusEXPIRED) == h.ClosedAt.Before(h.ExpiresAt):
		return v.fault(hold.Table, h.ID, fmt.Sprintf("expires_at, being %s at %s", h.Status, h.ClosedAt), "before it or after", h.ExpiresAt)
	}
	captured := money.Units(0)
	for _, e := range captures {
		captured += e.AmountUnits
		switch {
		case e.Kind != ledgerentry.KindUSAGE || orEmpty(e.BalanceID) != h.BalanceID:
			return v.fault(ledgerentry.Table, e.ID, "what has captured hold "+h.ID, "USAGE of "+h.BalanceID, fmt.Sprintf("%s of %s", e.Kind, orEmpty(e.BalanceID)))
		case !e.EffectiveAt.Equal(*h.ClosedAt):
			return v.fault(hold.Table, h.ID, "closed_at against its entry "+e.ID, e.EffectiveAt, h.ClosedAt)
		}
	}
	if h.CapturedUnits != captured {
		return v.fault(hold.Table, h.ID, "captured_units against its entry", captured, h.CapturedUnits)
	}
	return nil
}
