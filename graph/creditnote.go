package graph

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/ent"
	"purser/ent/creditnote"
	"purser/gateway"
	"purser/graph/model"
	"purser/money"
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
	for i, l := range in.LineItems {
		line := billing.CreditNoteLineDraft{LineID: l.LineItemID, Quantity: l.Quantity}
		if l.Amount != nil {
			amount, err := money.ParseLine(l.Amount.Amount, l.Amount.Currency)
			if err != nil {
				return nil, amountRefused(err, fmt.Sprintf("lineItems.%d.amount", i))
			}
			line.Amount = &amount
		}
		d.Lines = append(d.Lines, line)
	}
	return r.Billing.BeginCreditNote(ctx, d)
}

// credit asks the gateway for what a credit note needs of it: that it gives the
// amount back, or asks for less.
func (r *Resolver) credit(ctx context.Context, begun *billing.BegunCreditNote) error {
	switch {
	case begun.Refund != nil:
		return r.refund(ctx, begun.Refund)
	case begun.Call == nil:
		return nil
	}
	ctx, cancel := r.calling(ctx)
	defer cancel()
	result := gateway.CreditNoteResult{Outcome: gateway.Unsupported(begun.Kind, "take credit notes")}
	if notes, ok := gateway.Capability[gateway.CreditNotes](r.Gateways, begun.Kind); ok {
		result = notes.CreditInvoice(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return r.Billing.FinishCreditNote(ctx, begun.ID, result)
}

// newCreditNote shows the credit note that was asked for, or nil while the
// gateway has not answered.
func (r *Resolver) newCreditNote(ctx context.Context, id string) (*ent.CreditNote, error) {
	made, err := r.client().CreditNote.Query().Where(creditnote.ID(id)).Exist(ctx)
	if err != nil || !made {
		return nil, err
	}
	return r.creditNote(ctx, id)
}

// creditNote shows a credit note after a mutation.
func (r *Resolver) creditNote(ctx context.Context, id string) (*ent.CreditNote, error) {
	return show(ctx, r.client().CreditNote.Query().Where(creditnote.ID(id)), "creditNote", "CreditNote")
}
