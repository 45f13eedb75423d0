package billing

import (
	"context"
	"encoding/json"
	"fmt"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/gatewaycall"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// Credit notes to an unpaid invoice that a gateway keeps. Its page asks for all
// of the invoice until the gateway has a credit note of its own, so that one is
// made first: the note is decided and stored with the intent, and the invoice
// belongs to the call until the gateway has answered. Only then is the note
// made, with its number: what the gateway refuses leaves no gap. A payer who is
// quicker has paid all of it, and then the gateway refuses the note.
//
// The gateway's own view of the invoice may tell of its note before the answer
// does. That settles it as well (adoptNote), so that what is paid after it fits.

// keptNote is what is stored of a note with the call by which it is made.
type keptNote struct {
	gateway.CreditNoteRequest
	Note *noteDraft
}

// request asks the gateway for the note.
func (n *noteDraft) request(inv *ent.Invoice) gateway.CreditNoteRequest {
	return gateway.CreditNoteRequest{InvoiceID: orEmpty(inv.GatewayInvoiceID), Amount: n.amount(inv), Reason: n.Reason}
}

// beginKeptNote stores that the gateway is to make less due. What is left has to
// be something that it charges, or nothing.
func (tx *Tx) beginKeptNote(ctx context.Context, inv *ent.Invoice, note *noteDraft, callID string) error {
	p, err := tx.Provider.Query().Where(provider.ID(orEmpty(inv.ProviderID))).Only(ctx)
	if err != nil {
		return fmt.Errorf("read provider of invoice %s: %w", inv.ID, err)
	}
	if err := chargeable(note.amount(inv), p.Kind, "amount.amount"); err != nil {
		return err
	}
	rest := money.Amount{Units: inv.AmountDueUnits - note.Total, Currency: inv.Currency}
	if least, known := gatewayMinimum(inv.Currency, p.Kind); known && rest.Sign() > 0 && rest.Units < least.Units {
		return refuse(CodeBelowMinimum, "amount", "%s would be left to pay, and the gateway takes no less than %s: credit all of it, or less", rest, least)
	}
	if err := tx.openCall(ctx, callID, p.ID, gatewaycall.OperationCREDIT_NOTE, inv.ID, keptNote{note.request(inv), note}); err != nil {
		return err
	}
	return tx.reserveInvoice(ctx, inv, callID)
}

// FinishCreditNote makes the note that the gateway has taken. It may be called
// any number of times; the returned refusal says that the gateway took nothing.
func (s *Service) FinishCreditNote(ctx context.Context, callID string, r gateway.CreditNoteResult) error {
	var refusal error
	id := ""
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		kept, err := keptNoteOf(c)
		if err != nil {
			return err
		}
		refusal, id = nil, kept.Note.ID
		switch v {
		case verdictKnown:
			refusal = refusalOf("invoiceId", c)
			return nil
		case verdictAgain:
			return nil
		case verdictDone, verdictFreed:
		}
		if err := tx.freeInvoice(ctx, c, v); err != nil {
			return err
		}
		if v == verdictFreed || r.Status == gateway.StatusDeclined {
			refusal = callRefusal("invoiceId", r.Outcome)
			made, err := tx.CreditNote.Query().Where(creditnote.ID(id)).Exist(ctx)
			if made || err != nil {
				return err // the gateway's invoice has told of it
			}
			return tx.forgetKey(ctx, callID)
		}
		if r.Amount != kept.Amount {
			return fmt.Errorf("credit note %s is over %s, the gateway confirms %s under %q: %w", id, kept.Amount, r.Amount, r.CreditNoteID, errMismatch)
		}
		return tx.takeKeptNote(ctx, c.Subject, kept, r.CreditNoteID)
	})
	switch {
	case err != nil:
		return s.finishFailed(ctx, callID, err)
	case refusal != nil:
		return s.unlessMade(ctx, id, refusal)
	}
	return nil
}

func keptNoteOf(c *ent.GatewayCall) (*keptNote, error) {
	var kept keptNote
	if err := json.Unmarshal(c.Request, &kept); err != nil {
		return nil, fmt.Errorf("read the credit note of call %s: %w", c.ID, err)
	}
	if kept.Note == nil {
		return nil, fmt.Errorf("call %s has no credit note: %w", c.ID, errMismatch)
	}
	return &kept, nil
}

// takeKeptNote makes a note that the gateway has made, once. gatewayID is empty
// where the gateway has not named it.
func (tx *Tx) takeKeptNote(ctx context.Context, invoiceID string, kept *keptNote, gatewayID string) error {
	inv, err := tx.lockInvoice(ctx, invoiceID)
	if err != nil {
		return err
	}
	made, err := tx.CreditNote.Query().Where(creditnote.ID(kept.Note.ID)).Exist(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read credit note %s: %w", kept.Note.ID, err)
	case made && gatewayID != "":
		_, err := tx.CreditNote.Update().Where(creditnote.ID(kept.Note.ID)).SetGatewayCreditNoteID(gatewayID).Save(ctx)
		return wrapped(err, "name credit note "+kept.Note.ID)
	case made:
		return nil
	case !unpaidStatus(inv.Status):
		return fmt.Errorf("invoice %s is %s, and the gateway has made credit note %s to it: %w", inv.ID, inv.Status, kept.Note.ID, errMismatch)
	}
	_, err = tx.makeNote(ctx, inv, kept.Note, gatewayID)
	return err
}

// adoptNote makes the note of an open call where the gateway's invoice tells of
// it. One that was made at the gateway by somebody else does not fit our books:
// a person has to look at it. A report that is older than our notes tells less,
// and is none of this.
func (tx *Tx) adoptNote(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) (*ent.Invoice, error) {
	more := r.Credited.Units - inv.WaivedUnits
	if !unpaidStatus(inv.Status) || more <= 0 {
		return inv, nil
	}
	foreign := fmt.Errorf("invoice %s has credit notes of %s, the gateway's %s of %s: %w",
		inv.ID, money.Amount{Units: inv.WaivedUnits, Currency: inv.Currency}, r.InvoiceID, r.Credited, errMismatch)
	if inv.PendingCallID == nil {
		return nil, foreign
	}
	c, err := tx.GatewayCall.Query().Where(gatewaycall.ID(*inv.PendingCallID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read call %s: %w", *inv.PendingCallID, err)
	}
	if c.Operation != gatewaycall.OperationCREDIT_NOTE {
		return nil, foreign
	}
	kept, err := keptNoteOf(c)
	if err != nil {
		return nil, err
	}
	if kept.Note.Total != more {
		return nil, foreign
	}
	if err := tx.takeKeptNote(ctx, inv.ID, kept, ""); err != nil {
		return nil, err
	}
	return tx.lockInvoice(ctx, inv.ID)
}
