package billing

import (
	"context"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/money"
)

// Accounts of the provider's side. They are names in ledger entries, not
// rows: a movement locks no more than the one balance it touches. Per
// provider there is a clearing account, clearing:<provider id>, and one of fees.
const (
	accountBank        = "bank"
	accountRevenue     = "revenue"
	accountReceivable  = "receivable"
	accountTax         = "tax"
	accountRounding    = "rounding"
	accountPromotions  = "promotions"
	accountAdjustments = "adjustments"
)

// clearingAccount holds what a gateway has taken and not yet paid out.
func clearingAccount(providerID string) string { return "clearing:" + providerID }

// feesAccount holds what a gateway has kept for its work.
func feesAccount(providerID string) string { return "fees:" + providerID }

// posting is one transfer to be booked.
type posting struct {
	transactionID string // binds several rows to one event; made when empty
	kind          ledgerentry.Kind
	reversedKind  ledgerentry.Kind // for kind REVERSAL
	debit, credit string
	balanceID     string // the balance that is one of the two sides, or empty
	amount        money.Amount
	effectiveAt   time.Time // when it happened; the transaction's time when zero
	description   *string
	metadata      map[string]string

	paymentID, invoiceID, holdID, refundID, disputeID, creditNoteID, providerID, reversesID string

	// causeKey makes a fact of the outside (a payment at a gateway) count
	// once, whoever reports it.
	causeKey string
	// operation, key and fingerprint are the client's idempotency key, for
	// the operations that keep it on the entry itself.
	operation   string
	key         string
	fingerprint []byte
}

// columnOf says which column of a balance a kind of entry changes (spec.md
// decision 12); a reversal changes what it reverses.
func columnOf(kind ledgerentry.Kind) string {
	switch kind {
	case ledgerentry.KindTOP_UP, ledgerentry.KindRELOAD, ledgerentry.KindREFUND, ledgerentry.KindDISPUTE,
		ledgerentry.KindINVOICE, ledgerentry.KindROUNDING: // of a balance, the parts of a debt moved to an invoice
		return balance.FieldAmountUnits
	default:
		return balance.FieldUsageUnits
	}
}

// post books one transfer. With a balance it takes the balance's next place
// in its sequence and chain and moves its amount or usage; the caller has
// checked before whether the movement is allowed.
func (tx *Tx) post(ctx context.Context, p posting) (*ent.LedgerEntry, error) {
	if p.amount.Units <= 0 {
		return nil, fmt.Errorf("post %s: amount %s is not positive", p.kind, p.amount)
	}
	row := tx.newEntry(ctx, p)
	if p.balanceID == "" {
		row.hash = row.digest(nil)
		return tx.insertEntry(ctx, row)
	}
	b, err := tx.lockBalance(ctx, p.balanceID)
	if err != nil {
		return nil, err
	}
	return tx.postTo(ctx, b, row)
}

// newEntry is the posting as a row, with its own id and time.
func (tx *Tx) newEntry(ctx context.Context, p posting) entryRow {
	return tx.newEntryBy(auth.FromContext(ctx), p)
}

// newEntryBy is newEntry for somebody else than the transaction's viewer.
func (tx *Tx) newEntryBy(v *auth.Viewer, p posting) entryRow {
	row := entryRow{
		posting:        p,
		id:             tx.s.newID(prefixEntry),
		organizationID: v.OrganizationID,
		actor:          v.Actor(),
		bookedAt:       tx.Now,
	}
	if row.transactionID == "" {
		row.transactionID = tx.s.newID(prefixTransaction)
	}
	if row.effectiveAt.IsZero() {
		row.effectiveAt = tx.Now
	}
	return row
}

// postTo books a row on the balance as lockBalance has returned it.
func (tx *Tx) postTo(ctx context.Context, b *ent.Balance, row entryRow) (*ent.LedgerEntry, error) {
	after := *b
	return tx.postWith(ctx, b, &after, row)
}

// postWith is postTo where more of the balance changes with the row: after is a
// copy of the balance with those changes.
func (tx *Tx) postWith(ctx context.Context, b, after *ent.Balance, row entryRow) (*ent.LedgerEntry, error) {
	if err := row.place(after); err != nil {
		return nil, err
	}
	if err := tx.writeBalance(ctx, b, after, row.kind); err != nil {
		return nil, err
	}
	return tx.insertEntry(ctx, row)
}

// place gives the row its place on a balance: the next number and hash of its
// chain, and the balance's amount and usage after it. The balance moves with
// it, in memory.
func (r *entryRow) place(b *ent.Balance) error {
	if b.Currency != r.amount.Currency || (r.debit != b.Account() && r.credit != b.Account()) {
		return fmt.Errorf("post %s of %s from %s to %s on balance %s in %s", r.kind, r.amount, r.debit, r.credit, b.ID, b.Currency)
	}
	amount, usage, err := r.move(b)
	if err != nil {
		return err
	}
	// Another transaction, or another server's clock, may have been ahead: in
	// the order of their numbers entries never go back in time, so that a
	// balance is one thing at each time, and a month one piece of its entries.
	if r.bookedAt.Before(b.LastBookedAt) {
		r.bookedAt = b.LastBookedAt
	}
	r.seq, r.amountAfter, r.usageAfter = b.LastSeq+1, amount, usage
	r.hash = r.digest(b.LastHash)
	b.AmountUnits, b.UsageUnits, b.LastSeq, b.LastHash, b.LastBookedAt = amount, usage, r.seq, r.hash, r.bookedAt
	return nil
}

// move returns the balance's amount and usage after the entry.
func (r *entryRow) move(b *ent.Balance) (amount, usage money.Units, err error) {
	amount, usage = b.AmountUnits, b.UsageUnits
	delta := r.amount.Units
	if r.debit == b.Account() {
		delta = -delta
	}
	kind := r.kind
	if kind == ledgerentry.KindREVERSAL {
		kind = r.reversedKind
	}
	if columnOf(kind) == balance.FieldAmountUnits {
		amount, err = amount.Plus(delta)
	} else {
		usage, err = usage.Minus(delta)
	}
	if err == nil {
		// remaining must stay in bounds as well.
		_, err = amount.Minus(usage)
	}
	if err != nil {
		return 0, 0, refuse(CodeLimitExceeded, "amount.amount", "the balance would leave the range that can be counted exactly")
	}
	return amount, usage, nil
}

// entryRow is a ledger entry as it is hashed and stored.
type entryRow struct {
	posting
	id             string
	organizationID string
	actor          string
	seq            int64
	amountAfter    money.Units
	usageAfter     money.Units
	bookedAt       time.Time
	hash           []byte
}

func (tx *Tx) insertEntry(ctx context.Context, r entryRow) (*ent.LedgerEntry, error) {
	c := tx.LedgerEntry.Create().
		SetID(r.id).SetTransactionID(r.transactionID).
		SetCurrency(r.amount.Currency).SetAmountUnits(r.amount.Units).
		SetDebitAccount(r.debit).SetCreditAccount(r.credit).
		SetKind(r.kind).SetNillableReversedKind(nonEmpty(string(r.reversedKind))).
		SetNillableDescription(r.description).
		SetNillablePaymentID(nonEmpty(r.paymentID)).SetNillableInvoiceID(nonEmpty(r.invoiceID)).
		SetNillableHoldID(nonEmpty(r.holdID)).SetNillableRefundID(nonEmpty(r.refundID)).
		SetNillableDisputeID(nonEmpty(r.disputeID)).SetNillableCreditNoteID(nonEmpty(r.creditNoteID)).
		SetNillableProviderID(nonEmpty(r.providerID)).SetNillableReversesID(nonEmpty(r.reversesID)).
		SetActor(r.actor).SetEffectiveAt(r.effectiveAt).SetBookedAt(r.bookedAt).
		SetNillableCauseKey(nonEmpty(r.causeKey)).
		SetNillableOperation(nonEmpty(r.operation)).SetNillableIdempotencyKey(nonEmpty(r.key)).
		SetHash(r.hash)
	if r.metadata != nil {
		c.SetMetadata(r.metadata)
	}
	if r.fingerprint != nil {
		c.SetFingerprint(r.fingerprint)
	}
	if r.balanceID != "" {
		c.SetBalanceID(r.balanceID).SetSeq(r.seq).
			SetAmountAfterUnits(int64(r.amountAfter)).SetUsageAfterUnits(int64(r.usageAfter))
	}
	e, err := c.Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("book %s: %w", r.kind, err)
	}
	return e, nil
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
