package billing

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"slices"

	"purser/ent"
	"purser/ent/ledgerentry"
	"purser/money"
)

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
		writeNumber(h, n)
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
	writeNumber(h, int64(len(b)))
	h.Write(b)
}

func writeNumber(h hash.Hash, n int64) {
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(n))) // a hash never fails
}

func writeOptional(h hash.Hash, s *string) {
	if s == nil {
		writeNumber(h, -1)
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
