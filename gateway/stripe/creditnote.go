package stripe

import (
	"context"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// CreditInvoice makes a credit note to an unpaid invoice, once per call: Stripe
// then asks for less on its page, and counts the invoice as paid once nothing
// is due. Of a paid one it would want to know where the money goes, so it
// refuses this note and makes none. A call whose key Stripe may have forgotten
// makes none either: the note is looked for by our metadata, and Unavailable
// when there surely is none.
func (a *Adapter) CreditInvoice(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.CreditNoteRequest) (res gateway.CreditNoteResult) {
	o := a.begin(ctx, acc, c, "credit_note_create")
	defer o.end(&res.Outcome)
	amount, err := toWire(r.Amount)
	if err != nil {
		res.Outcome = refusal(codeBadRequest, err.Error()).Outcome
		return res
	}
	const step = "credit-note"
	find := func() (*sdk.CreditNote, *problem) {
		return newest[sdk.CreditNote](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.notes.List(&sdk.CreditNoteListParams{ListParams: l, Invoice: sdk.String(r.InvoiceID)}).Iter
		})
	}
	if o.refused == nil && o.stale() {
		note, p := find()
		switch {
		case p != nil:
			res.Outcome = p.unsettled().Outcome
		case note == nil:
			res.Outcome = o.never("the credit note was never made")
		default:
			return o.noteAgain(note.ID)
		}
		return res
	}
	note, p := create(o, step, find, func(p sdk.Params) (*sdk.CreditNote, error) {
		return o.c.notes.New(&sdk.CreditNoteParams{
			Params: p, Invoice: sdk.String(r.InvoiceID), Amount: sdk.Int64(amount),
			Memo: optional(clip(r.Reason, descriptionMax)), Metadata: o.metadata(step),
		})
	})
	switch {
	case p != nil && p.undone:
		res.Outcome = o.never("the credit note was never made")
		return res
	case p != nil:
		res.Outcome = p.Outcome
		return res
	case o.replayed:
		return o.noteAgain(note.ID)
	}
	return o.noteResult(note)
}

// noteAgain reads a credit note whose known state is old. It was made, so a
// failure to read it leaves the operation unknown.
func (o *operation) noteAgain(id string) gateway.CreditNoteResult {
	note, p := read(o, func(p sdk.Params) (*sdk.CreditNote, error) {
		return o.c.notes.Get(id, &sdk.CreditNoteParams{Params: p})
	})
	if p != nil {
		return gateway.CreditNoteResult{Outcome: p.unsettled().Outcome, CreditNoteID: id}
	}
	return o.noteResult(note)
}

// noteResult reports a credit note. One that was voided at Stripe credits
// nothing.
func (o *operation) noteResult(note *sdk.CreditNote) gateway.CreditNoteResult {
	res := gateway.CreditNoteResult{CreditNoteID: note.ID}
	if note.Status == sdk.CreditNoteStatusVoid {
		res.Outcome = refusal(codeCanceled, "the credit note was voided at the gateway").Outcome
		return res
	}
	amount, err := fromWire(note.Amount, note.Currency)
	if err != nil {
		res.Outcome = unreadable(o.requestID, err).Outcome
		return res
	}
	res.Amount, res.Outcome = amount, o.succeeded()
	return res
}
