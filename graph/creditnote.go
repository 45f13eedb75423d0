package graph

import (
	"context"

	"purser/billing"
	"purser/ent"
	"purser/ent/creditnote"
	"purser/graph/model"
)

// beginCreditNote takes over the input of creditNoteCreate.
func (r *Resolver) beginCreditNote(ctx context.Context, in model.CreditNoteCreateInput) (*billing.BegunCreditNote, error) {
	d := billing.CreditNoteDraft{InvoiceID: in.InvoiceID, Reason: in.Reason, Key: key(ctx, in.IdempotencyKey)}
	if in.Settlement != nil {
		d.Settlement = *in.Settlement
	}
	if in.Amount != nil {
		amount, err := minorAmount(in.Amount, "amount")
		if err != nil {
			return nil, err
		}
		d.Amount = &amount
	}
	return r.Billing.BeginCreditNote(ctx, d)
}

// creditNote shows a credit note after a mutation.
func (r *Resolver) creditNote(ctx context.Context, id string) (*ent.CreditNote, error) {
	return show(ctx, r.client().CreditNote.Query().Where(creditnote.ID(id)), "creditNote", "CreditNote")
}
