package stripesandbox

import (
	"fmt"
	"net/http"
)

func creditNoteRoutes() []route {
	return []route{
		{
			method: http.MethodPost, path: "/v1/credit_notes", run: createCreditNote,
			params: "amount credit_amount invoice lines memo metadata out_of_band_amount reason refund refund_amount",
		},
		retrieve("/v1/credit_notes", "credit_note"),
		index("/v1/credit_notes", "credit_note", listField{param: "invoice", field: "invoice"}, listField{param: "customer", field: "customer"}),
	}
}

// createCreditNote makes less due on an unpaid invoice, which is paid once
// nothing is due any more.
func createCreditNote(t *tx, in *params) (object, error) {
	in.need("invoice")
	for _, name := range []string{"lines", "refund", "refund_amount", "credit_amount", "out_of_band_amount"} {
		if in.filled(name) {
			in.refuse(notEmulated(name, "A credit note of lines, or to a paid invoice,"))
		}
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	inv, err := t.named("invoice", in.str("invoice"), "invoice")
	if err != nil {
		return nil, err
	}
	currency := inv.str("currency")
	amount := in.amount("amount", currency, 1)
	reason := in.oneOf("reason", "", "duplicate", "fraudulent", "order_change", "product_unsatisfactory")
	metadata := in.metadata(nil)
	if err := in.err(); err != nil {
		return nil, err
	}
	pi, err := t.find(inv.str("payment_intent"))
	if err != nil {
		return nil, err
	}
	switch s := inv.str("status"); {
	case s == "paid":
		return nil, conflict("", "The sum of credit_amount, refund_amount and out_of_band_amount (%s) must equal the credit note amount (%s).", display(0, currency), display(amount, currency))
	case s != "open" && s != "uncollectible":
		return nil, conflict("", "You can only create a credit note for a finalized invoice that is not void. This invoice is %s.", s)
	case amount > inv.num("amount_remaining"):
		return nil, conflict("", "The credit note amount (%s) is greater than what remains to be paid of the invoice (%s).", display(amount, currency), display(inv.num("amount_remaining"), currency))
	case pi.str("status") == "processing":
		return nil, conflict("", "You cannot create a credit note while a payment of the invoice is processing.")
	}
	earlier, _, err := t.list(listing{kind: "credit_note", filters: []filter{{"invoice", "=", inv.id()}}})
	if err != nil {
		return nil, err
	}
	id := t.newID("cn_")
	note := object{
		"id": id, "object": "credit_note", "amount": amount, "amount_shipping": 0, "created": t.now, "currency": currency, "customer": inv["customer"],
		"customer_balance_transaction": nil, "discount_amount": 0, "discount_amounts": []any{}, "effective_at": t.now, "invoice": inv.id(),
		"lines": listOf("/v1/credit_notes/"+id+"/lines", nil), "livemode": false, "memo": orNull(in.str("memo")), "metadata": metadata,
		"number": fmt.Sprintf("%s-CN-%02d", inv.str("number"), len(earlier)+1), "out_of_band_amount": nil, "pdf": inv["invoice_pdf"], "reason": orNull(reason),
		"refund": nil, "shipping_cost": nil, "status": "issued", "subtotal": amount, "subtotal_excluding_tax": amount, "tax_amounts": []any{},
		"total": amount, "total_excluding_tax": amount, "type": "pre_payment", "voided_at": nil,
	}
	t.insert(note)
	if err := t.change(inv, "invoice.updated", func() {
		inv["pre_payment_credit_notes_amount"] = inv.num("pre_payment_credit_notes_amount") + amount
		inv["amount_due"], inv["amount_remaining"] = inv.num("amount_due")-amount, inv.num("amount_remaining")-amount
	}); err != nil {
		return nil, err
	}
	t.emit("credit_note.created", note)
	if inv.num("amount_due") == 0 {
		if err := t.cancelInvoiceIntent(inv, ""); err != nil {
			return nil, err
		}
		return note, t.markPaid(inv)
	}
	if pi == nil {
		return note, nil
	}
	// What was asked of the bank was another amount.
	pi["amount"] = inv["amount_due"]
	if pi.str("status") == "requires_action" {
		pi["status"], pi["next_action"] = "requires_payment_method", nil
	}
	t.save(pi)
	return note, nil
}
