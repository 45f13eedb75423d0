package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
)

// EntryRange is a stretch of a balance's entries by their times of booking.
type EntryRange struct {
	PayerID  string
	Currency string
	From     *time.Time // from here on; nil from the first
	To       *time.Time // but not from here on; nil to the last
}

// entriesPage is how many entries are in memory at once.
const entriesPage = 1000

// Entries are the entries of a range, oldest first, as they were when it was
// asked for, page by page.
type Entries struct {
	s          *Service
	balanceID  string
	last, high int64 // numbers: what was handed out, and where it ends
}

// Entries finds a range of the entries of a payer's balance. The range is
// empty where there is no balance in the currency.
//
// Codes: NOT_FOUND (payer).
func (s *Service) Entries(ctx context.Context, r EntryRange) (*Entries, error) {
	if err := s.payerExists(ctx, r.PayerID); err != nil {
		return nil, err
	}
	b, err := s.read.Balance.Query().Where(balance.PayerID(r.PayerID), balance.Currency(r.Currency)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return &Entries{}, nil
	case err != nil:
		return nil, fmt.Errorf("read balance of %s: %w", r.PayerID, err)
	}
	out := &Entries{s: s, balanceID: b.ID, high: b.LastSeq}
	var times []time.Time
	for _, at := range []*time.Time{r.From, r.To} {
		if at != nil {
			times = append(times, at.UTC().Truncate(time.Microsecond).Add(-time.Microsecond))
		}
	}
	places, err := s.positions(ctx, currenciesOf([]*ent.Balance{b}), times)
	if err != nil {
		return nil, err
	}
	if r.From != nil {
		out.last = places[positionKey{b.ID, 0}].seq
	}
	if r.To != nil {
		out.high = places[positionKey{b.ID, len(times) - 1}].seq
	}
	return out, nil
}

// payerExists refuses a payer that the caller cannot see.
func (s *Service) payerExists(ctx context.Context, id string) error {
	found, err := s.read.Payer.Query().Where(payer.ID(id)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("read payer %s: %w", id, err)
	}
	if !found {
		return notFound("payerId", "payer", id)
	}
	return nil
}

// Next returns the next entries, none at the end.
func (e *Entries) Next(ctx context.Context) ([]*ent.LedgerEntry, error) {
	if e.last >= e.high {
		return nil, nil
	}
	page, err := e.s.read.LedgerEntry.Query().
		Where(ledgerentry.BalanceID(e.balanceID), ledgerentry.SeqGT(e.last), ledgerentry.SeqLTE(e.high)).
		Order(ent.Asc(ledgerentry.FieldSeq)).Limit(entriesPage).All(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read entries of balance %s: %w", e.balanceID, err)
	case len(page) == 0:
		return nil, fmt.Errorf("read entries of balance %s: none after number %d, though there are %d", e.balanceID, e.last, e.high)
	}
	e.last = *page[len(page)-1].Seq
	return page, nil
}
