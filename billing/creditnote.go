package billing

import (
	"context"
	"errors"
	"fmt"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/gateway"
	"purser/money"
)

// A finalized invoice changes by credit notes only. A note takes back a part of
// its revenue and of its tax, for good: it has a number and a document of its
// own, and says what it takes of which line and of the tax at which rate
// (creditnoteshare.go). While the invoice is unpaid less is due on it from then
// on; what was paid of a PAID one goes back at the gateway, to the payer's
// balance, or elsewhere.
//
// A gateway that keeps an unpaid invoice is asked first to ask for less
// (creditnotekept.go). Of a PAID one no gateway is told more than what it has to
// give back: what it keeps of it stays as it was paid.
//
// A usage invoice is credited like any other. Its debt has left the balance for
// good when it was issued, so a note does not bring it back there: what is
// credited is not owed any more. While the invoice is unpaid, less of the credit
// limit is taken by it; of a paid one BALANCE makes the running debt less, which
// the next usage invoice shows among the credits. Revenue and tax are taken back
// as they stand after the invoice has moved the tax out of the usage's revenue.
//
// An UNCOLLECTIBLE invoice is credited like an OPEN one, and as much of its
// write-off is taken back: what is not owed is no bad debt.

// CreditNoteDraft asks for a credit note.
type CreditNoteDraft struct {
	InvoiceID  string
	Amount     *money.Amount         // tax included; nil, without Lines as well: all that is left of the invoice
	Lines      []CreditNoteLineDraft `json:",omitempty"` // in place of Amount
	Reason     string
	Settlement creditnote.Settlement // empty: DUE, for an unpaid invoice
	Key        *string               `json:"-"`
}

// CreditNoteLineDraft names a line to be taken back: so many of it, so much of
// its amount, or with neither all that is left of it.
type CreditNoteLineDraft struct {
	LineID   string
	Quantity *int
	Amount   *money.Amount
}

// BegunCreditNote is a credit note, with the refund that gives it back where a
// gateway has to be asked for that, or the call by which a gateway is asked to
// take the note; that one is made when the call is finished.
type BegunCreditNote struct {
	CreditNoteID string
	Refund       *BegunRefund
	*Call
	Request gateway.CreditNoteRequest
}

// creditReasonMax bounds the reason of a credit note.
const creditReasonMax = 500

// BeginCreditNote makes a credit note, or stores the intent to have the gateway
// take it that keeps the unpaid invoice. Called again with the same key it
// returns the same one. A refund that the gateway then refuses has FAILED; the
// note stands.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// BELOW_MINIMUM, IDEMPOTENCY_KEY_REUSED.
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
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			// A run before this one whose COMMIT was not answered has its request.
			out.CreditNoteID, found = earlier.Subject, earlier.CallID
			return nil
		}
		out, found = BegunCreditNote{CreditNoteID: id}, ""
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		inv, err := tx.lockInvoice(ctx, d.InvoiceID)
		if err != nil {
			return inField(err, "invoiceId")
		}
		note, err := tx.draftNote(ctx, id, inv, d)
		if err != nil {
			return err
		}
		if inv.GatewayInvoiceID != nil && unpaidStatus(inv.Status) {
			if found, out.Request, err = callID, note.request(inv), tx.beginKeptNote(ctx, inv, note, callID); err != nil {
				return err
			}
			return tx.remember(ctx, op, id, inv.ID, found)
		}
		var p *ent.Payment
		if note.Settlement == creditnote.SettlementREFUND {
			if p, err = tx.paymentToGiveBack(ctx, inv, note.amount(inv), "settlement"); err != nil {
				return err
			}
		}
		if note.Settlement == creditnote.SettlementBALANCE {
			if err := tx.paidStill(ctx, inv, "settlement"); err != nil {
				return err
			}
		}
		row, err := tx.makeNote(ctx, inv, note, "")
		if err != nil {
			return err
		}
		if p != nil {
			if out.Refund, err = tx.beginNoteRefund(ctx, row, p, refundID, callID); err != nil {
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

// begunNote opens the call of a note or of its refund, or waits for whoever
// makes it. A note whose refund was refused stands.
func (s *Service) begunNote(ctx context.Context, out *BegunCreditNote, found, callID string) error {
	call, err := s.begun(ctx, found, callID)
	switch {
	case call == nil:
		if isRefusal(err) {
			return s.unlessMade(ctx, out.CreditNoteID, err)
		}
		return err
	case out.Refund != nil:
		out.Refund.Call = call
	default:
		out.Call = call
	}
	return err
}

// unlessMade is the refusal that the call of a note has ended with, where there
// is no note.
func (s *Service) unlessMade(ctx context.Context, id string, refusal error) error {
	made, err := s.read.CreditNote.Query().Where(creditnote.ID(id)).Exist(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read credit note %s: %w", id, err)
	case made:
		return nil
	}
	return refusal
}

// noteDraft is a note that is decided and not made yet: what is stored of it
// while a gateway is asked.
type noteDraft struct {
	ID         string
	Settlement creditnote.Settlement
	Reason     string
	noteShare
}

func (n *noteDraft) amount(inv *ent.Invoice) money.Amount {
	return money.Amount{Units: n.Total, Currency: inv.Currency}
}

// draftNote decides what a note takes back, and where that goes.
func (tx *Tx) draftNote(ctx context.Context, id string, inv *ent.Invoice, d CreditNoteDraft) (*noteDraft, error) {
	note := &noteDraft{ID: id, Settlement: d.Settlement, Reason: d.Reason}
	if err := tx.creditable(ctx, inv, note); err != nil {
		return nil, err
	}
	left, err := tx.leftOf(ctx, inv)
	if err != nil {
		return nil, err
	}
	switch {
	case len(d.Lines) > 0 && d.Amount != nil:
		return nil, refuse(CodeInvalid, "lineItems", "a credit note is of an amount or of lines: leave one of amount and lineItems out")
	case len(d.Lines) > 0:
		note.noteShare, err = left.byDrafts(d.Lines)
		return note, err
	case d.Amount == nil:
		note.noteShare = left.all()
		return note, nil
	}
	rest := money.Amount{Units: left.left, Currency: inv.Currency}
	amount, err := amountWithin(*d.Amount, rest)
	if err != nil {
		return nil, err
	}
	if amount == rest {
		note.noteShare = left.all()
		return note, nil
	}
	note.noteShare, err = left.byAmount(amount.Units)
	return note, err
}

// leftOf is an invoice with what earlier notes have left of it.
func (tx *Tx) leftOf(ctx context.Context, inv *ent.Invoice) (*creditedInvoice, error) {
	lines, err := tx.InvoiceLine.Query().Where(invoiceline.InvoiceID(inv.ID)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read lines of invoice %s: %w", inv.ID, err)
	}
	notes, err := tx.CreditNote.Query().Where(creditnote.InvoiceID(inv.ID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read credit notes of invoice %s: %w", inv.ID, err)
	}
	return creditedSoFar(inv, lines, notes)
}

// creditable refuses an invoice that cannot be credited now, and settles where
// the amount of a note to it goes.
func (tx *Tx) creditable(ctx context.Context, inv *ent.Invoice, note *noteDraft) error {
	if inv.PendingCallID != nil {
		return inField(tx.underWay(ctx, "invoice", *inv.PendingCallID), "invoiceId")
	}
	switch inv.Status {
	case invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE:
		if note.Settlement != "" && note.Settlement != creditnote.SettlementDUE {
			return refuse(CodeInvalid, "settlement", "nothing was paid of the invoice yet: a credit note takes from what is due on it")
		}
		note.Settlement = creditnote.SettlementDUE
		return inField(tx.noPaymentUnderWay(ctx, inv), "invoiceId")
	case invoice.StatusPAID:
		switch {
		case inv.TotalUnits <= inv.CreditedUnits:
			return refuse(CodeInvalidState, "invoiceId", "there is nothing left of the invoice to be credited")
		case note.Settlement == "" || note.Settlement == creditnote.SettlementDUE:
			return refuse(CodeRequired, "settlement", "the invoice is paid: say where the amount goes, REFUND, BALANCE or OUT_OF_BAND")
		}
		return nil
	default:
		return refuse(CodeInvalidState, "invoiceId", "the invoice is %s: only one that is OPEN, UNCOLLECTIBLE or PAID can be credited", inv.Status)
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

// makeNote stores a note with its number and books it. gatewayID is what a
// gateway calls it that has taken it.
func (tx *Tx) makeNote(ctx context.Context, inv *ent.Invoice, d *noteDraft, gatewayID string) (*ent.CreditNote, error) {
	o, err := tx.tenant(ctx)
	if err != nil {
		return nil, err
	}
	number, err := tx.creditNoteNumber(ctx, o)
	if err != nil {
		return nil, err
	}
	c := tx.CreditNote.Create().SetID(d.ID).SetInvoiceID(inv.ID).SetNumber(number).SetCurrency(inv.Currency).
		SetTotalUnits(d.Total).SetTaxUnits(d.Tax).SetSubtotalUnits(d.Subtotal).SetLines(d.Lines).
		SetSettlement(d.Settlement).SetReason(d.Reason).SetPublicToken(tx.s.newSecret(24)).SetCreatedAt(tx.Now)
	if len(d.Taxes) > 0 {
		c.SetTaxes(d.Taxes)
	}
	if gatewayID != "" {
		c.SetGatewayCreditNoteID(gatewayID)
	}
	note, err := c.Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("store credit note: %w", err)
	}
	tx.changed(ctx, ChangeCreditNote, note.ID, inv.PayerID)
	return note, tx.settleNote(ctx, inv, note)
}

// settleNote books a note and brings its invoice up to date.
func (tx *Tx) settleNote(ctx context.Context, inv *ent.Invoice, note *ent.CreditNote) error {
	if err := tx.bookNote(ctx, inv, note); err != nil {
		return err
	}
	u := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status), invoice.CreditedUnits(inv.CreditedUnits)).
		SetCreditedUnits(inv.CreditedUnits + note.TotalUnits).SetUpdatedAt(tx.Now)
	if note.Settlement == creditnote.SettlementDUE {
		inv.WaivedUnits += note.TotalUnits
		inv.AmountDueUnits -= note.TotalUnits
		u.SetWaivedUnits(inv.WaivedUnits).SetAmountDueUnits(inv.AmountDueUnits)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("credit invoice %s: %w", inv.ID, err)
	}
	inv.CreditedUnits += note.TotalUnits
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	if note.Settlement != creditnote.SettlementDUE {
		return nil
	}
	if err := tx.countUnpaid(ctx, inv, inv.AmountDueUnits); err != nil {
		return err
	}
	if inv.AmountDueUnits == 0 {
		return tx.markPaid(ctx, inv, "")
	}
	if inv.GatewayInvoiceID != nil {
		// Who waits on the gateway's page is asked for less there, and makes
		// another payment than the one that was begun.
		return tx.cancelPayments(ctx, inv.ID, payment.StatusREQUIRES_ACTION)
	}
	if inv.Collection != invoice.CollectionBALANCE || inv.Status != invoice.StatusOPEN {
		return nil
	}
	b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
	if err != nil || postpaid(b) {
		return err
	}
	_, err = tx.payFromBalance(ctx, inv, b.ID) // which may cover it now
	return err
}

// paymentToGiveBack is the gateway's payment that has paid an invoice, of which
// the amount can still be given back.
func (tx *Tx) paymentToGiveBack(ctx context.Context, inv *ent.Invoice, amount money.Amount, field string) (*ent.Payment, error) {
	p, err := tx.paidThrough(ctx, inv)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, refuse(CodeInvalid, field, "the invoice was not paid through a gateway: choose BALANCE or OUT_OF_BAND")
	}
	if err := tx.notTakenBack(ctx, p, field); err != nil {
		return nil, err
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
