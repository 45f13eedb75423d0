package stripesandbox

import (
	"net/http"
	"slices"
)

const invoiceItemParams = "amount description discountable metadata period price price_data quantity unit_amount unit_amount_decimal"

func invoiceItemRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/invoiceitems", params: invoiceItemParams + " currency customer invoice", run: createInvoiceItem},
		{method: http.MethodPost, path: "/v1/invoiceitems/{id}", params: invoiceItemParams, run: updateInvoiceItem},
		{method: http.MethodDelete, path: "/v1/invoiceitems/{id}", run: deleteInvoiceItem},
		retrieve("/v1/invoiceitems", "invoiceitem"),
		index("/v1/invoiceitems", "invoiceitem", listField{param: "customer", field: "customer"}, listField{param: "invoice", field: "invoice"}),
	}
}

// newInvoiceItem makes an item that waits for an invoice, or is on one.
func (t *tx) newInvoiceItem(customer, invoice, currency string) object {
	return object{
		"id": t.newID("ii_"), "object": "invoiceitem", "amount": 0, "currency": currency, "customer": customer, "date": t.now, "created": t.now,
		"description": nil, "discountable": true, "discounts": []any{}, "invoice": orNull(invoice), "livemode": false, "metadata": object{},
		"period": object{"start": t.now, "end": t.now}, "plan": nil, "price": nil, "proration": false, "quantity": 1, "subscription": nil,
		"tax_rates": []any{}, "test_clock": nil, "unit_amount": nil, "unit_amount_decimal": nil,
	}
}

func createInvoiceItem(t *tx, in *params) (object, error) {
	in.need("customer")
	if err := in.err(); err != nil {
		return nil, err
	}
	customer, err := t.live("customer", in.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	item := t.newInvoiceItem(customer.id(), "", in.currency("currency"))
	var inv object
	if in.filled("invoice") {
		if inv, err = t.named("invoice", in.str("invoice"), "invoice"); err != nil {
			return nil, err
		}
		switch {
		case inv.str("customer") != customer.id():
			return nil, invalid("", "invoice", "The invoice %s belongs to another customer.", inv.id())
		case inv.str("status") != "draft":
			return nil, conflict("invoice_not_editable", "You can only add invoice items to draft invoices.")
		}
		item["invoice"] = inv.id()
		if item.str("currency") == "" && !in.filled("price") && !inv.flag("_open_currency") {
			item["currency"] = inv["currency"]
		}
	}
	if err := t.fillInvoiceItem(item, in); err != nil {
		return nil, err
	}
	if inv != nil {
		if inv.flag("_open_currency") && len(inv.items("lines")) == 0 {
			inv["currency"], inv["_open_currency"] = item["currency"], false
		}
		if inv.str("currency") != item.str("currency") {
			return nil, invalid("", "currency", "The currency of the invoice item (%s) must be that of the invoice (%s).", item.str("currency"), inv.str("currency"))
		}
		if sum(inv.items("lines"), "amount")+item.num("amount") > amountMax {
			return nil, invalid("amount_too_large", "amount", "The total of the invoice would be too large.")
		}
	}
	t.insert(item)
	t.emit("invoiceitem.created", item)
	if inv != nil {
		t.addItemLine(inv, item)
		t.save(inv)
	}
	return item, nil
}

// fillInvoiceItem reads an item: either an amount, or a price or unit amount
// times a quantity.
func (t *tx) fillInvoiceItem(item object, in *params) error {
	if in.filled("currency") && item.str("currency") != "" && in.currency("currency") != item.str("currency") {
		in.refuse(invalid("", "currency", "The currency cannot be changed."))
	}
	if in.has("description") {
		item["description"] = orNull(in.str("description"))
	}
	if in.filled("quantity") {
		item["quantity"] = in.num("quantity", 0, quantityMax)
	}
	if in.filled("discountable") {
		item["discountable"] = in.flag("discountable", true)
	}
	if in.has("period") {
		period := in.part("period")
		period.need("start", "end")
		item["period"] = object{"start": period.num("start", 0, 1<<40), "end": period.num("end", 0, 1<<40)}
	}
	item["metadata"] = in.metadata(item.sub("metadata"))
	if err := in.err(); err != nil {
		return err
	}
	return t.priceInvoiceItem(item, in)
}

func (t *tx) priceInvoiceItem(item object, in *params) error {
	given := 0
	for _, names := range [][]string{{"amount"}, {"price", "price_data"}, {"unit_amount", "unit_amount_decimal"}} {
		if slices.ContainsFunc(names, in.filled) {
			given++
		}
	}
	if given > 1 {
		return invalid("parameters_exclusive", "amount", "You may only specify one of these parameters: amount, price, unit_amount.")
	}
	var price object
	switch {
	case in.filled("amount"):
		if item.str("currency") == "" {
			return invalid("parameter_missing", "currency", "Missing required param: currency.")
		}
		item["amount"] = in.amount("amount", item.str("currency"), -amountMax)
		item["unit_amount"], item["unit_amount_decimal"] = nil, nil
		if item.num("quantity") == 1 {
			item["unit_amount"], item["unit_amount_decimal"] = item["amount"], in.str("amount")
		}
		return in.err()
	case in.filled("price"), in.filled("price_data"):
		line, err := t.readLine(&params{prefix: in.prefix, path: in.path, fail: in.fail, values: pick(in.values, "price", "price_data")})
		if err != nil {
			return err
		}
		price = line.price
		if price.sub("recurring") != nil {
			return invalid("", "price", "The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.")
		}
		if currency := item.str("currency"); currency != "" && currency != price.str("currency") {
			return invalid("", "currency", "The currency of the price (%s) is another than that of the invoice item (%s).", price.str("currency"), currency)
		}
		item["currency"], item["price"] = price["currency"], price
		if item["description"] == nil {
			if item["description"], err = t.describePrice(price); err != nil {
				return err
			}
		}
	case in.filled("unit_amount"), in.filled("unit_amount_decimal"):
		if item.str("currency") == "" {
			return invalid("parameter_missing", "currency", "Missing required param: currency.")
		}
		unit, decimal := readUnitAmount(in, item.str("currency"))
		if err := in.err(); err != nil {
			return err
		}
		price = object{"currency": item["currency"], "unit_amount": unit, "unit_amount_decimal": decimal}
	case item["unit_amount_decimal"] != nil:
		price = object{"currency": item["currency"], "unit_amount": item["unit_amount"], "unit_amount_decimal": item["unit_amount_decimal"]}
	case item.num("amount") != 0:
		return in.err() // an amount of its own, which stays
	default:
		return invalid("parameter_missing", "amount", "Missing required param: amount.")
	}
	amount, ok := multiply(price, item.num("quantity"))
	if !ok {
		return invalid("amount_too_large", "quantity", "The amount of this item is too large.")
	}
	item["amount"], item["unit_amount"], item["unit_amount_decimal"] = amount, price["unit_amount"], price["unit_amount_decimal"]
	return in.err()
}

func pick(values map[string]any, names ...string) map[string]any {
	out := map[string]any{}
	for _, name := range names {
		if v, ok := values[name]; ok {
			out[name] = v
		}
	}
	return out
}

// pendingItems returns the items of a customer that are on no invoice yet,
// oldest first, in one currency (any, when it is empty: that of the oldest).
func (t *tx) pendingItems(customer, currency string) ([]object, error) {
	items, _, err := t.list(listing{kind: "invoiceitem", filters: []filter{{"customer", "=", customer}}})
	if err != nil {
		return nil, err
	}
	slices.Reverse(items)
	var out []object
	for _, item := range items {
		if item.str("invoice") != "" || (currency != "" && item.str("currency") != currency) {
			continue
		}
		currency = item.str("currency")
		out = append(out, item)
	}
	return out, nil
}

// addItemLine puts the line of an item on a draft.
func (t *tx) addItemLine(inv, item object) {
	t.addLine(inv, object{
		"amount": item["amount"], "currency": item["currency"], "description": item["description"], "invoice_item": item.id(),
		"metadata": item["metadata"], "period": item["period"], "price": item["price"], "quantity": item["quantity"], "type": "invoiceitem",
		"discountable": item["discountable"], "subscription": nil,
	})
}

// addLine completes a line, puts it on a draft and sums the draft up.
func (t *tx) addLine(inv, line object) {
	full := object{
		"id": t.newID("il_"), "object": "line_item", "amount_excluding_tax": line["amount"], "discount_amounts": []any{}, "discountable": true,
		"discounts": []any{}, "invoice": inv.id(), "livemode": false, "plan": nil, "proration": false, "proration_details": object{"credited_items": nil},
		"tax_amounts": []any{}, "tax_rates": []any{}, "unit_amount_excluding_tax": nil,
	}
	for key, value := range line {
		full[key] = value
	}
	setLines(inv, append(inv.items("lines"), full))
}

// setLines replaces the lines of a draft and sums it up.
func setLines(inv object, lines []object) {
	list := listOf("/v1/invoices/"+inv.id()+"/lines", lines)
	list["total_count"] = len(lines)
	inv["lines"] = list
	total := sum(lines, "amount")
	inv["subtotal"], inv["subtotal_excluding_tax"], inv["total"], inv["total_excluding_tax"] = total, total, total, total
	inv["amount_due"], inv["amount_remaining"] = max(0, total), max(0, total)
}

func updateInvoiceItem(t *tx, in *params) (object, error) {
	item, inv, err := t.editableItem(in.path("id"))
	if err != nil {
		return nil, err
	}
	if err := t.fillInvoiceItem(item, in); err != nil {
		return nil, err
	}
	t.save(item)
	if inv != nil {
		lines := inv.items("lines")
		for _, line := range lines {
			if line.str("invoice_item") == item.id() {
				for _, field := range []string{"amount", "description", "metadata", "period", "price", "quantity"} {
					line[field] = item[field]
				}
				line["amount_excluding_tax"] = item["amount"]
			}
		}
		setLines(inv, lines)
		t.save(inv)
	}
	return item, nil
}

func deleteInvoiceItem(t *tx, in *params) (object, error) {
	item, inv, err := t.editableItem(in.path("id"))
	if err != nil {
		return nil, err
	}
	if inv != nil {
		setLines(inv, slices.DeleteFunc(inv.items("lines"), func(line object) bool { return line.str("invoice_item") == item.id() }))
		t.save(inv)
	}
	t.remove(item)
	t.emit("invoiceitem.deleted", item)
	return object{"id": item.id(), "object": "invoiceitem", "deleted": true}, nil
}

// editableItem returns an item that can still change, and its draft if it is on one.
func (t *tx) editableItem(id string) (item, inv object, err error) {
	if item, err = t.get("invoiceitem", id); err != nil || item.str("invoice") == "" {
		return item, nil, err
	}
	if inv, err = t.get("invoice", item.str("invoice")); err != nil {
		return nil, nil, err
	}
	if inv.str("status") != "draft" {
		return nil, nil, conflict("invoice_not_editable", "This invoice item is on an invoice that is no longer editable.")
	}
	return item, inv, nil
}
