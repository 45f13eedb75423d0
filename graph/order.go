package graph

import (
	"context"

	"entgo.io/ent"

	entgen "purser/ent"
	"purser/ent/creditnote"
	"purser/ent/dispute"
	"purser/ent/invoiceline"
	"purser/ent/price"
	"purser/ent/quoteline"
	"purser/ent/refund"
)

// intercept gives the queries of operations what the generated code leaves
// out: payers, balances and the cards that those are reloaded from are noted
// for the memo, and the short lists that are shown whole come in an order,
// which their statements do not ask for.
func intercept(c *entgen.Client) {
	c.Payer.Intercept(ent.InterceptFunc(note))
	c.Balance.Intercept(ent.InterceptFunc(note))
	c.QuoteLine.Intercept(ordered(func(q *entgen.QuoteLineQuery) { q.Order(quoteline.ByPosition()) }))
	c.InvoiceLine.Intercept(ordered(func(q *entgen.InvoiceLineQuery) { q.Order(invoiceline.ByPosition()) }))
	c.Price.Intercept(ordered(func(q *entgen.PriceQuery) { q.Order(price.ByID()) }))
	c.Refund.Intercept(ordered(func(q *entgen.RefundQuery) { q.Order(refund.ByID()) }))
	c.CreditNote.Intercept(ordered(func(q *entgen.CreditNoteQuery) { q.Order(creditnote.ByID()) }))
	c.Dispute.Intercept(ordered(func(q *entgen.DisputeQuery) { q.Order(dispute.ByID()) }))
}

// ordered applies an order to queries of one type, inside operations only:
// the domain uses the same client for questions that have no order.
func ordered[Q ent.Query](order func(Q)) ent.Interceptor {
	return ent.TraverseFunc(func(ctx context.Context, q ent.Query) error {
		if typed, ok := q.(Q); ok && ctx.Value(memoKey{}) != nil {
			order(typed)
		}
		return nil
	})
}
