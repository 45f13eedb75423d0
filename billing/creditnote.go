package billing

import (
	"context"
	"errors"
	"fmt"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/dispute"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/gateway"
	"purser/money"
)

// A finalized invoice changes by credit notes only. A note takes back a part of
// its revenue and of its tax, for good: it has a number and a document of its
// own. While the invoice is OPEN less is due on it from then on; what was paid
// of a PAID one goes back at the gateway, to the payer's balance, or elsewhere.
//
// No gateway is told: what a gateway keeps of an invoice stays as it was
// issued, and on its page the payer is asked for all of it. So an OPEN invoice
// that a gateway keeps is not credited but voided.

// CreditNoteDraft asks for a credit note.
type CreditNoteDraft struct {
	InvoiceID  string
	Amount     *money.Amount // tax included; nil: all that is left of the invoice
	Reason     string
	Settlement creditnote.Settlement // empty: DUE, for an OPEN invoice
	Key        *string               `json:"-"`
}

// BegunCreditNote is a credit note, with the refund that gives it back where a
// gateway has to be asked.
type BegunCreditNote struct {
	CreditNoteID string
	Refund       *BegunRefund
}

// creditReasonMax bounds the reason of a credit note.
const creditReasonMax = 500

// BeginCreditNote makes a credit note. Called again with the same key it
// returns the same one. A refund that the gateway then refuses has FAILED; the
// note stands.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginCreditNote(ctx context.Context, d CreditNoteDraft) (*BegunCreditNote, error) {
	var err error
	if d.Reason, err = label(d.Reason, "reason", "the reason", creditReasonMax); err != nil {
		return nil, err
	}
	op, err := s.newOperation("creditNoteCreate", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	id, refundID, callID := s.newID(prefixCreditNote), s.newID(prefixRefund), s.newID(prefixCall)
	var out BegunCreditNote
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		out, found = BegunCreditNote{CreditNoteID: id}, ""
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.CreditNoteID, found = earlier.Subject, earlier.CallID
			return nil
		}
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		inv, err := tx.lockInvoice(ctx, d.InvoiceID)
		if err != nil {
			return inField(err, "invoiceId")
		}
		d := d
		left, err := tx.creditable(ctx, inv, &d)
		if err != nil {
			return err
		}
		amount := left
		if d.Amount != nil {
			if amount, err = amountWithin(*d.Amount, left); err != nil {
				return err
			}
		}
		var p *ent.Payment
		if d.Settlement == creditnote.SettlementREFUND {
			if p, err = tx.paymentToGiveBack(ctx, inv, amount, "settlement"); err != nil {
				return err
			}
		}
		note, err := tx.createNote(ctx, id, inv, d, amount)
		if err != nil {
			return err
		}
		if err := tx.settleNote(ctx, inv, note); err != nil {
			return err
		}
		if p != nil {
			if out.Refund, err = tx.beginNoteRefund(ctx, note, p, refundID, callID); err != nil {
				return err
			}
			found = callID
		}
		return tx.remember(ctx, op, id, inv.ID, found)
	})
	if err != nil {
		return nil, err
	}
	return &out, s.begunNote(ctx, &out, found, callID)
}

// begunNote opens the call of a note's refund, or waits for whoever makes it.
func (s *Service) begunNote(ctx context.Context, out *BegunCreditNote, found, callID string) (err error) {
	switch found {
	case "":
		return nil
	case callID:
		out.Refund.Call, err = s.begun(ctx, found, callID)
		return err
	}
	return s.awaitCall(ctx, found) // however it ended, the note stands
}

// creditable says how much of an invoice can be credited, and settles where it
// goes.
func (tx *Tx) creditable(ctx context.Context, inv *ent.Invoice, d *CreditNoteDraft) (money.Amount, error) {
	none := money.Amount{}
	if inv.DebtUnits != nil {
		return none, refuse(CodeInvalidState, "invoiceId", "the invoice is of usage, which was booked when it happened: take it back with usageReverse, or credit the balance with balanceCredit")
	}
	if inv.PendingCallID != nil {
		return none, inField(tx.underWay(ctx, "invoice", *inv.PendingCallID), "invoiceId")
	}
	switch inv.Status {
	case invoice.StatusOPEN:
		switch {
		case d.Settlement != "" && d.Settlement != creditnote.SettlementDUE:
			return none, refuse(CodeInvalid, "settlement", "nothing was paid of the invoice yet: a credit note takes from what is due on it")
		case inv.GatewayInvoiceID != nil:
			return none, refuse(CodeInvalidState, "invoiceId", "the gateway asks the payer for all of the invoice: void it with invoiceVoid and issue another one")
		}
		d.Settlement = creditnote.SettlementDUE
		return inv.AmountDue(), inField(tx.noPaymentUnderWay(ctx, inv), "invoiceId")
	case invoice.StatusPAID:
		if d.Settlement == "" || d.Settlement == creditnote.SettlementDUE {
			return none, refuse(CodeRequired, "settlement", "the invoice is paid: say where the amount goes, REFUND, BALANCE or OUT_OF_BAND")
		}
		left := money.Amount{Units: inv.TotalUnits - inv.CreditedUnits, Currency: inv.Currency}
		if left.Units <= 0 {
			return none, refuse(CodeInvalidState, "invoiceId", "there is nothing left of the invoice to be credited")
		}
		return left, nil
	default:
		return none, refuse(CodeInvalidState, "invoiceId", "the invoice is %s: only one that is OPEN or PAID can be credited", inv.Status)
	}
}

// amountWithin checks an amount of a note against what is left of its invoice.
func amountWithin(amount, left money.Amount) (money.Amount, error) {
	switch {
	case amount.Currency != left.Currency:
		return left, refuse(CodeCurrencyMismatch, "amount.currency", "the invoice is in %s", left.Currency)
	case amount.Sign() <= 0:
		return left, refuse(CodeInvalid, "amount.amount", "the amount must be more than zero")
	case amount.Units > left.Units:
		return left, refuse(CodeInvalid, "amount.amount", "%s are left of the invoice", left)
	}
	if _, err := amount.Minor(); err != nil {
		return left, refuse(CodeInvalid, "amount.amount", "the amount must be whole minor units of %s", amount.Currency)
	}
	return amount, nil
}

// createNote stores a note with its shares. The shares of all notes to an
// invoice are taken of what they come to together, so that those of an invoice
// that is credited as a whole are the invoice's to the last digit.
func (tx *Tx) createNote(ctx context.Context, id string, inv *ent.Invoice, d CreditNoteDraft, amount money.Amount) (*ent.CreditNote, error) {
	earlier, err := tx.CreditNote.Query().Where(creditnote.InvoiceID(inv.ID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read credit notes of invoice %s: %w", inv.ID, err)
	}
	credited := amount.Units
	var subtotalBefore, taxBefore money.Units
	for _, n := range earlier {
		credited += n.TotalUnits
		subtotalBefore += n.SubtotalUnits
		taxBefore += n.TaxUnits
	}
	tax, err := inv.Tax().ShareToMinor(credited, inv.TotalUnits)
	if err != nil {
		return nil, fmt.Errorf("share the tax of invoice %s: %w", inv.ID, err)
	}
	subtotal := credited - tax.Units
	if credited == inv.TotalUnits {
		subtotal = inv.SubtotalUnits
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return nil, err
	}
	number, err := tx.creditNoteNumber(ctx, o)
	if err != nil {
		return nil, err
	}
	note, err := tx.CreditNote.Create().SetID(id).SetInvoiceID(inv.ID).SetNumber(number).SetCurrency(inv.Currency).
		SetTotalUnits(amount.Units).SetTaxUnits(tax.Units - taxBefore).SetSubtotalUnits(subtotal - subtotalBefore).
		SetSettlement(d.Settlement).SetReason(d.Reason).SetPublicToken(tx.s.newSecret(24)).SetCreatedAt(tx.Now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("store credit note: %w", err)
	}
	tx.changed(ctx, ChangeCreditNote, id, inv.PayerID)
	return note, nil
}

// settleNote books a note and brings its invoice up to date.
func (tx *Tx) settleNote(ctx context.Context, inv *ent.Invoice, note *ent.CreditNote) error {
	if err := tx.bookNote(ctx, inv, note); err != nil {
		return err
	}
	u := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status), invoice.CreditedUnits(inv.CreditedUnits), invoice.PendingCallIDIsNil()).
		SetCreditedUnits(inv.CreditedUnits + note.TotalUnits).SetUpdatedAt(tx.Now)
	if note.Settlement == creditnote.SettlementDUE {
		inv.WaivedUnits += note.TotalUnits
		inv.AmountDueUnits -= note.TotalUnits
		u.SetWaivedUnits(inv.WaivedUnits).SetAmountDueUnits(inv.AmountDueUnits)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("credit invoice %s: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	if note.Settlement != creditnote.SettlementDUE {
		return nil
	}
	if err := tx.countUnpaid(ctx, inv, inv.AmountDueUnits); err != nil {
		return err
	}
	if inv.AmountDueUnits == 0 {
		return tx.settledByNotes(ctx, inv)
	}
	if inv.Collection != invoice.CollectionBALANCE {
		return nil
	}
	b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
	if err != nil || postpaid(b) {
		return err
	}
	_, err = tx.payFromBalance(ctx, inv, b.ID) // which may cover it now
	return err
}

// settledByNotes ends an invoice on which nothing is due any more, and the
// payments that waited for it.
func (tx *Tx) settledByNotes(ctx context.Context, inv *ent.Invoice) error {
	if err := tx.cancelPayments(ctx, inv.ID, "", payment.StatusREQUIRES_ACTION); err != nil {
		return err
	}
	return tx.markPaid(ctx, inv, "")
}

// paymentToGiveBack is the gateway's payment of a PAID invoice, of which the
// amount can still be given back.
func (tx *Tx) paymentToGiveBack(ctx context.Context, inv *ent.Invoice, amount money.Amount, field string) (*ent.Payment, error) {
	p, err := tx.Payment.Query().Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusSUCCEEDED), payment.RefusedAtIsNil()).
		Order(ent.Desc(payment.FieldID)).Unique(false).Modify(tx.forUpdate).First(ctx)
	if ent.IsNotFound(err) {
		return nil, refuse(CodeInvalid, field, "the invoice was not paid through a gateway: choose BALANCE or OUT_OF_BAND")
	}
	if err != nil {
		return nil, fmt.Errorf("read the payment of invoice %s: %w", inv.ID, err)
	}
	contested, err := tx.Dispute.Query().Where(dispute.PaymentID(p.ID), dispute.StatusIn(tookMoney()...)).Exist(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for disputes of payment %s: %w", p.ID, err)
	}
	if contested {
		return nil, refuse(CodeInvalidState, field, "the payer's bank has taken the payment back: it cannot be given back as well")
	}
	going, err := tx.refunds(ctx, p.ID, refund.StatusIn(refund.StatusPROCESSING, refund.StatusSUCCEEDED))
	if err != nil {
		return nil, err
	}
	if left := (money.Amount{Units: p.AmountUnits - going, Currency: p.Currency}); amount.Units > left.Units {
		return nil, refuse(CodeInvalidState, field, "%s are left of the payment", left)
	}
	return p, nil
}

// beginNoteRefund stores that a note is to be given back at the gateway.
func (tx *Tx) beginNoteRefund(ctx context.Context, note *ent.CreditNote, p *ent.Payment, id, callID string) (*BegunRefund, error) {
	err := tx.Refund.Create().SetID(id).SetPaymentID(p.ID).SetCurrency(note.Currency).SetAmountUnits(note.TotalUnits).
		SetReason(cut(note.Reason, refundReasonMax)).SetCreditNoteID(note.ID).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
	if err != nil {
		return nil, fmt.Errorf("store refund: %w", err)
	}
	out := &BegunRefund{RefundID: id, Request: gateway.RefundRequest{
		GatewayPaymentID: orEmpty(p.GatewayPaymentID), OrderCode: p.OrderCode, Amount: note.Total(), Reason: cut(note.Reason, refundReasonMax),
	}}
	tx.changed(ctx, ChangePayment, p.ID, orEmpty(p.PayerID))
	tx.changed(ctx, ChangeRefund, id, orEmpty(p.PayerID))
	return out, tx.openCall(ctx, callID, p.ProviderID, gatewaycall.OperationREFUND, id, out.Request)
}

// CreditNoteRefundDraft asks once more for a note to be given back.
type CreditNoteRefundDraft struct {
	ID  string
	Key *string `json:"-"`
}

// BeginCreditNoteRefund tries once more to give a note back whose refund has
// failed. Called again with the same key it does nothing again.
//
// Codes: REQUIRED, NOT_FOUND, INVALID_STATE, IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginCreditNoteRefund(ctx context.Context, d CreditNoteRefundDraft) (*BegunCreditNote, error) {
	op, err := s.newOperation("creditNoteRefund", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	refundID, callID := s.newID(prefixRefund), s.newID(prefixCall)
	out := BegunCreditNote{CreditNoteID: d.ID}
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		found = ""
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			found = earlier.CallID
			return nil
		}
		note, err := tx.CreditNote.Query().Where(creditnote.ID(d.ID)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "credit note", d.ID)
		}
		inv, err := tx.lockInvoice(ctx, note.InvoiceID)
		if err != nil {
			return err
		}
		going, err := tx.Refund.Query().Where(refund.CreditNoteID(note.ID), refund.StatusNEQ(refund.StatusFAILED)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("read refunds of credit note %s: %w", note.ID, err)
		}
		if note.Settlement != creditnote.SettlementREFUND || going {
			return refuse(CodeInvalidState, "id", "only a credit note whose refund has FAILED is given back once more")
		}
		p, err := tx.paymentToGiveBack(ctx, inv, note.Total(), "id")
		if err != nil {
			return err
		}
		if out.Refund, err = tx.beginNoteRefund(ctx, note, p, refundID, callID); err != nil {
			return err
		}
		found = callID
		return tx.remember(ctx, op, note.ID, inv.ID, callID)
	})
	if err != nil {
		return nil, err
	}
	return &out, s.begunNote(ctx, &out, found, callID)
}

// inField is a refusal with another field than where it was found.
func inField(err error, field string) error {
	var refusal *Error
	if !errors.As(err, &refusal) {
		return err
	}
	moved := *refusal
	moved.Field = splitPath(field)
	return &moved
}
