package billing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"slices"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/money"
)

// Accounts of the provider's side. They are names in ledger entries, not
// rows: a movement locks no more than the one balance it touches. Per
// provider there is a clearing account, clearing:<provider id>.
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
	case ledgerentry.KindTOP_UP, ledgerentry.KindRELOAD, ledgerentry.KindREFUND, ledgerentry.KindDISPUTE, ledgerentry.KindINVOICE:
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
	row := entryRow{
		posting:        p,
		id:             tx.s.newID(prefixEntry),
		organizationID: tx.organizationID(ctx),
		actor:          auth.FromContext(ctx).Actor(),
		bookedAt:       tx.Now,
	}
	if row.transactionID == "" {
		row.transactionID = tx.s.newID(prefixTransaction)
	}
	if row.effectiveAt.IsZero() {
		row.effectiveAt = tx.Now
	}
	if p.balanceID == "" {
		row.hash = row.digest(nil)
		return tx.insertEntry(ctx, row)
	}
	b, err := tx.lockBalance(ctx, p.balanceID)
	if err != nil {
		return nil, err
	}
	if b.Currency != p.amount.Currency {
		return nil, fmt.Errorf("post %s of %s to a balance in %s", p.kind, p.amount, b.Currency)
	}
	amount, usage, err := row.move(b)
	if err != nil {
		return nil, err
	}
	row.seq, row.amountAfter, row.usageAfter = b.LastSeq+1, amount, usage
	row.hash = row.digest(b.LastHash)
	n, err := tx.Balance.Update().
		Where(balance.ID(b.ID), balance.Version(b.Version)).
		SetAmountUnits(amount).SetUsageUnits(usage).SetPeriod(b.Period).
		SetLastSeq(row.seq).SetLastHash(row.hash).
		SetVersion(b.Version + 1).SetUpdatedAt(tx.Now).
		Save(ctx)
	if err := cas(n, err); err != nil {
		return nil, fmt.Errorf("move balance %s: %w", b.ID, err)
	}
	tx.changed(ctx, ChangeBalance, b.ID, b.PayerID)
	return tx.insertEntry(ctx, row)
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
		return 0, 0, refuse(CodeLimitExceeded, "amount", "the balance would leave the range that can be counted exactly")
	}
	return amount, usage, nil
}

// lockBalance reads a balance for a change, rolled over into the running
// billing period: the first write of a new period carries amount := remaining
// and usage := 0.
func (tx *Tx) lockBalance(ctx context.Context, id string) (*ent.Balance, error) {
	b, err := tx.Balance.Query().Where(balance.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read balance %s: %w", id, err)
	}
	period, err := tx.period(ctx)
	if err != nil {
		return nil, err
	}
	if b.Period < period {
		b.AmountUnits -= b.UsageUnits
		b.UsageUnits = 0
		b.Period = period
	}
	return b, nil
}

// period is the running billing period of the organization, YYYY-MM in its
// time zone.
func (tx *Tx) period(ctx context.Context) (string, error) {
	o, err := tx.Organization.Query().Only(ctx)
	if err != nil {
		return "", fmt.Errorf("read organization: %w", err)
	}
	return periodAt(tx.Now, o.TimeZone)
}

func periodAt(at time.Time, zone string) (string, error) {
	loc, err := time.LoadLocation(zone)
	if err != nil {
		return "", fmt.Errorf("time zone %q: %w", zone, err)
	}
	return at.In(loc).Format("2006-01"), nil
}

// ensureBalance returns the payer's balance in the currency, made when there
// is none yet. The currency must be one the organization sells in.
func (tx *Tx) ensureBalance(ctx context.Context, p *ent.Payer, currency, field string) (*ent.Balance, error) {
	b, err := tx.Balance.Query().Where(balance.PayerID(p.ID), balance.Currency(currency)).Only(ctx)
	if err == nil || !ent.IsNotFound(err) {
		return b, err
	}
	c, err := tx.usableCurrency(ctx, currency, field)
	if err != nil {
		return nil, err
	}
	period, err := tx.period(ctx)
	if err != nil {
		return nil, err
	}
	create := tx.Balance.Create().
		SetID(tx.s.newID(prefixBalance)).SetPayerID(p.ID).SetCurrency(currency).
		SetBillingMode(balance.BillingMode(p.BillingMode)).
		SetPeriod(period).SetLastHash([]byte{}).
		SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
	if p.BillingMode == payer.BillingModePOSTPAID {
		create.SetNillableCreditLimitUnits(c.CreditLimitUnits)
	}
	b, err = create.Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("make balance: %w", err)
	}
	tx.changed(ctx, ChangeBalance, b.ID, p.ID)
	return b, nil
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

// digest chains the row to the one before it. Every column takes part, each
// with its length, so that no two different rows read the same.
func (r *entryRow) digest(previous []byte) []byte {
	h := sha256.New()
	writeField(h, previous)
	for _, s := range []string{
		"purser ledger entry 1", r.organizationID, r.id, r.transactionID, r.balanceID,
		string(r.kind), string(r.reversedKind), r.amount.Currency, r.debit, r.credit,
		r.paymentID, r.invoiceID, r.holdID, r.refundID, r.disputeID, r.creditNoteID, r.providerID, r.reversesID,
		r.actor, r.causeKey, r.operation, r.key,
	} {
		writeField(h, []byte(s))
	}
	writeOptional(h, r.description)
	for _, n := range []int64{
		r.seq, int64(r.amount.Units), int64(r.amountAfter), int64(r.usageAfter),
		r.effectiveAt.UnixMicro(), r.bookedAt.UnixMicro(), int64(len(r.metadata)),
	} {
		_ = binary.Write(h, binary.BigEndian, n) // a hash never fails
	}
	keys := make([]string, 0, len(r.metadata))
	for k := range r.metadata {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		writeField(h, []byte(k))
		writeField(h, []byte(r.metadata[k]))
	}
	writeField(h, r.fingerprint)
	return h.Sum(nil)
}

func writeField(h hash.Hash, b []byte) {
	_ = binary.Write(h, binary.BigEndian, int64(len(b))) // a hash never fails
	h.Write(b)
}

func writeOptional(h hash.Hash, s *string) {
	if s == nil {
		_ = binary.Write(h, binary.BigEndian, int64(-1)) // a hash never fails
		return
	}
	writeField(h, []byte(*s))
}

// storedRow is the row as the database has it, for checking its digest.
func storedRow(e *ent.LedgerEntry) entryRow {
	r := entryRow{
		posting: posting{
			transactionID: e.TransactionID, kind: e.Kind, reversedKind: ledgerentry.Kind(orEmpty(e.ReversedKind)),
			debit: e.DebitAccount, credit: e.CreditAccount, balanceID: orEmpty(e.BalanceID),
			amount:      money.Amount{Units: e.AmountUnits, Currency: e.Currency},
			effectiveAt: e.EffectiveAt, description: e.Description, metadata: e.Metadata,
			paymentID: orEmpty(e.PaymentID), invoiceID: orEmpty(e.InvoiceID), holdID: orEmpty(e.HoldID),
			refundID: orEmpty(e.RefundID), disputeID: orEmpty(e.DisputeID), creditNoteID: orEmpty(e.CreditNoteID),
			providerID: orEmpty(e.ProviderID), reversesID: orEmpty(e.ReversesID),
			causeKey: orEmpty(e.CauseKey), operation: orEmpty(e.Operation), key: orEmpty(e.IdempotencyKey),
			fingerprint: e.Fingerprint,
		},
		id: e.ID, organizationID: e.OrganizationID, actor: e.Actor, bookedAt: e.BookedAt, hash: e.Hash,
	}
	if e.Seq != nil {
		r.seq = *e.Seq
	}
	if e.AmountAfterUnits != nil {
		r.amountAfter = money.Units(*e.AmountAfterUnits)
	}
	if e.UsageAfterUnits != nil {
		r.usageAfter = money.Units(*e.UsageAfterUnits)
	}
	return r
}
