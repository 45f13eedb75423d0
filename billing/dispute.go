package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/dispute"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/gateway"
	"purser/money"
)

// A dispute is opened by the payer's bank, which takes the money back until it
// is decided. The gateway alone decides; a balance may fall below zero by it,
// and new spending is then refused. The balance is not reloaded by itself from
// then on; invoices are charged as before.

// accountDisputes holds what banks have taken back of invoices' payments.
const accountDisputes = "disputes"

// tookMoney are the states in which the money of a dispute is gone.
func tookMoney() []dispute.Status {
	return []dispute.Status{dispute.StatusNEEDS_RESPONSE, dispute.StatusUNDER_REVIEW, dispute.StatusLOST}
}

func hasMoney(s dispute.Status) bool {
	return s == dispute.StatusNEEDS_RESPONSE || s == dispute.StatusUNDER_REVIEW || s == dispute.StatusLOST
}

// disputeCause names a dispute by what the gateway calls it.
func disputeCause(providerID, gatewayDisputeID string) string {
	return "dispute:" + providerID + ":" + gatewayDisputeID
}

// disputeStatus is the gateway's word for a dispute in ours; false for a word
// that says nothing.
func disputeStatus(s gateway.DisputeState) (dispute.Status, bool) {
	switch s {
	case gateway.DisputeWarning:
		return dispute.StatusWARNING, true
	case gateway.DisputeNeedsResponse:
		return dispute.StatusNEEDS_RESPONSE, true
	case gateway.DisputeUnderReview:
		return dispute.StatusUNDER_REVIEW, true
	case gateway.DisputeWon, gateway.DisputeWarningClosed:
		return dispute.StatusWON, true
	case gateway.DisputeLost:
		return dispute.StatusLOST, true
	}
	return "", false
}

// disputeMayBecome is the dispute's state machine. What two readings tell may
// arrive in the wrong order: a decision stands, and no money comes back but by
// one.
func disputeMayBecome(from, to dispute.Status) bool {
	switch from {
	case dispute.StatusWON:
		return false
	case dispute.StatusLOST:
		return to == dispute.StatusWON
	case dispute.StatusWARNING:
		return to != from
	default:
		return to != from && to != dispute.StatusWARNING
	}
}

// disputeCheckEach is how often a dispute that is not decided is asked for.
const disputeCheckEach = 24 * time.Hour

// ApplyDispute brings a dispute of the payment to what the gateway said when
// asked, and books what that means. It may be called any number of times; a
// gateway that said nothing changes nothing.
func (s *Service) ApplyDispute(ctx context.Context, paymentID string, r gateway.DisputeResult) error {
	if !r.Known() {
		return nil
	}
	id := s.newID(prefixDispute)
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.lockPayment(ctx, paymentID)
		if err != nil {
			return fmt.Errorf("read payment %s: %w", paymentID, err)
		}
		return tx.applyDispute(ctx, id, p, r)
	})
}

func (tx *Tx) applyDispute(ctx context.Context, newID string, p *ent.Payment, r gateway.DisputeResult) error {
	to, ok := disputeStatus(r.State)
	var err error
	switch {
	case !ok:
		return nil
	case p.Status != payment.StatusSUCCEEDED:
		return errWaiting // what is contested is not here yet
	case p.RefusedAt != nil:
		return fmt.Errorf("payment %s is contested, which the gateway had refused: %w", p.ID, errMismatch)
	case r.DisputeID == "" && to == dispute.StatusWON:
		if r.DisputeID, err = tx.latestTaken(ctx, p, r.Amount); err != nil {
			return err
		}
	}
	switch {
	case r.GatewayPaymentID != orEmpty(p.GatewayPaymentID) || r.DisputeID == "" || r.Amount.Currency != p.Currency || r.Amount.Units <= 0:
		return fmt.Errorf("dispute %q of %s of %q does not fit payment %s of %s: %w", r.DisputeID, r.Amount, r.GatewayPaymentID, p.ID, p.Amount(), errMismatch)
	}
	row, err := tx.Dispute.Query().Where(dispute.PaymentID(p.ID), dispute.GatewayDisputeID(r.DisputeID)).
		Unique(false).Modify(tx.forUpdate).Only(ctx)
	var before dispute.Status
	switch {
	case ent.IsNotFound(err):
		c := tx.Dispute.Create().SetID(newID).SetPaymentID(p.ID).SetCurrency(p.Currency).SetAmountUnits(r.Amount.Units).
			SetStatus(to).SetNillableReason(nonEmpty(cut(r.Reason, 100))).SetGatewayDisputeID(r.DisputeID).
			SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
		if !r.EvidenceDueAt.IsZero() {
			c.SetEvidenceDueAt(r.EvidenceDueAt.UTC())
		}
		if to != dispute.StatusWON && to != dispute.StatusLOST {
			c.SetNextCheckAt(tx.Now.Add(disputeCheckEach))
		}
		if row, err = c.Save(ctx); err != nil {
			return fmt.Errorf("store dispute: %w", err)
		}
	case err != nil:
		return fmt.Errorf("read dispute %s: %w", r.DisputeID, err)
	case r.Amount != row.Amount():
		return fmt.Errorf("dispute %s is of %s, the gateway says %s: %w", row.ID, row.Amount(), r.Amount, errMismatch)
	case !disputeMayBecome(row.Status, to):
		return nil
	default:
		before = row.Status
		u := tx.Dispute.Update().Where(dispute.ID(row.ID), dispute.StatusEQ(before)).SetStatus(to).SetUpdatedAt(tx.Now)
		if to == dispute.StatusWON || to == dispute.StatusLOST {
			u.ClearNextCheckAt()
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("move dispute %s: %w", row.ID, err)
		}
	}
	tx.changed(ctx, ChangePayment, p.ID, orEmpty(p.PayerID))
	tx.changed(ctx, ChangeDispute, row.ID, orEmpty(p.PayerID))
	if p.Purpose == payment.PurposeTEST {
		return nil
	}
	return tx.bookDispute(ctx, p, row, before, to)
}

// latestTaken names the latest dispute that took the amount of a payment, for a
// gateway that does not say which one has ended. It may be told before the one
// that it ends.
func (tx *Tx) latestTaken(ctx context.Context, p *ent.Payment, amount money.Amount) (string, error) {
	row, err := tx.Dispute.Query().Where(dispute.PaymentID(p.ID), dispute.AmountUnits(amount.Units), dispute.StatusIn(tookMoney()...)).
		Order(ent.Desc(dispute.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return "", errEarly
	}
	if err != nil {
		return "", fmt.Errorf("find the dispute of payment %s that has ended: %w", p.ID, err)
	}
	return row.GatewayDisputeID, nil
}

// bookDispute books what a dispute's new state means: the money leaves with
// the first state in which it is gone, and comes back when the dispute is won.
func (tx *Tx) bookDispute(ctx context.Context, p *ent.Payment, row *ent.Dispute, before, to dispute.Status) error {
	cause := disputeCause(p.ProviderID, row.GatewayDisputeID)
	out := posting{
		kind: ledgerentry.KindDISPUTE, credit: clearingAccount(p.ProviderID), amount: row.Amount(),
		description: row.Reason,
		paymentID:   p.ID, disputeID: row.ID, providerID: p.ProviderID, causeKey: cause,
	}
	credited, err := tx.wentToBalance(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case hasMoney(to) && !hasMoney(before):
		if !credited {
			out.debit = accountDisputes
		} else {
			id, err := tx.creditedBalance(ctx, p)
			if err != nil {
				return err
			}
			out.debit, out.balanceID = ent.BalanceAccount(id), id
			if err := tx.suspendReload(ctx, id, SuspendedDispute); err != nil {
				return err
			}
		}
		if _, err := tx.postOnce(ctx, out); err != nil {
			return fmt.Errorf("book dispute %s: %w", row.ID, err)
		}
	case to == dispute.StatusWON && hasMoney(before):
		for _, key := range []string{cause + ":lost", cause} {
			e, err := tx.LedgerEntry.Query().Where(ledgerentry.CauseKey(key)).Only(ctx)
			if ent.IsNotFound(err) {
				continue // it was never lost
			}
			if err == nil {
				_, err = tx.reverse(ctx, e, "")
			}
			if err != nil {
				return fmt.Errorf("book won dispute %s: %w", row.ID, err)
			}
		}
	}
	if to != dispute.StatusLOST || credited {
		return nil
	}
	_, err = tx.postOnce(ctx, posting{
		kind: ledgerentry.KindWRITE_OFF, debit: accountWriteOff, credit: accountDisputes,
		amount:    money.Amount{Units: row.AmountUnits, Currency: row.Currency},
		paymentID: p.ID, disputeID: row.ID, providerID: p.ProviderID, causeKey: cause + ":lost",
	})
	return wrapped(err, "write off dispute "+row.ID)
}

// DueDispute is a dispute that is not decided yet.
type DueDispute struct {
	PaymentID        string
	GatewayDisputeID string
	Account          gateway.Account
}

// DueDisputes lists disputes of the viewer's organization that are not decided
// and were not asked for in a day, the longest waiting first.
func (s *Service) DueDisputes(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Dispute.Query().Where(disputeDue(s.now(ctx))).
		Order(ent.Asc(dispute.FieldNextCheckAt)).Limit(limit).IDs(ctx)
	return ids, wrapped(err, "list due disputes")
}

// ClaimDispute takes a dispute that is due and returns what must be asked of
// its gateway; nil when it is not due any more.
func (s *Service) ClaimDispute(ctx context.Context, id string) (*DueDispute, error) {
	var row *ent.Dispute
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		row = nil
		d, err := tx.Dispute.Query().Where(dispute.ID(id), disputeDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read dispute %s: %w", id, err)
		}
		n, err := tx.Dispute.Update().Where(dispute.ID(id), disputeDue(tx.Now)).
			SetNextCheckAt(tx.Now.Add(disputeCheckEach)).AddChecks(1).Save(ctx)
		if n == 1 {
			row = d
		}
		return err
	})
	if err != nil || row == nil {
		return nil, err
	}
	p, err := s.read.Payment.Query().Where(payment.ID(row.PaymentID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payment %s: %w", row.PaymentID, err)
	}
	account, err := s.OpenAccount(ctx, p.ProviderID)
	if err != nil {
		return nil, err
	}
	return &DueDispute{PaymentID: p.ID, GatewayDisputeID: row.GatewayDisputeID, Account: account}, nil
}
