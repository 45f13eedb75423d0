package stripesandbox

import (
	"fmt"
	"net/http"
)

const invoiceParams = "auto_advance collection_method custom_fields days_until_due default_payment_method description due_date footer metadata number payment_settings statement_descriptor"

func invoiceRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/invoices", params: invoiceParams + " currency customer pending_invoice_items_behavior subscription", run: createInvoice},
		{method: http.MethodGet, path: "/v1/invoices/upcoming", params: "customer subscription", run: upcomingInvoice},
		{method: http.MethodPost, path: "/v1/invoices/{id}", params: invoiceParams, run: updateInvoice},
		{method: http.MethodDelete, path: "/v1/invoices/{id}", run: deleteInvoice},
		{method: http.MethodPost, path: "/v1/invoices/{id}/finalize", params: "auto_advance", run: finalizeInvoiceRoute},
		{method: http.MethodPost, path: "/v1/invoices/{id}/pay", params: "forgive off_session paid_out_of_band payment_method", run: payInvoiceRoute},
		{method: http.MethodPost, path: "/v1/invoices/{id}/send", run: sendInvoice},
		{method: http.MethodPost, path: "/v1/invoices/{id}/void", run: voidInvoiceRoute},
		{method: http.MethodPost, path: "/v1/invoices/{id}/mark_uncollectible", run: markUncollectible},
		{method: http.MethodGet, path: "/v1/invoices/{id}/lines", params: listParams, run: invoiceLines},
		search("/v1/invoices", "invoice"),
		retrieve("/v1/invoices", "invoice"),
		index("/v1/invoices", "invoice", listField{param: "customer", field: "customer"}, listField{param: "status", field: "status"},
			listField{param: "subscription", field: "subscription"}, listField{param: "collection_method", field: "collection_method"}),
	}
}

// draftSeconds is how long a draft with auto_advance waits before it is
// finalized by itself.
const draftSeconds = 3600

func createInvoice(t *tx, in *params) (object, error) {
	var sub object
	if in.filled("subscription") {
		in.refuse(notEmulated("subscription", "Invoicing the pending items of a subscription"))
	}
	in.need("customer")
	currency := in.currency("currency")
	behavior := in.oneOf("pending_invoice_items_behavior", "exclude", "exclude", "include", "include_and_require")
	if err := in.err(); err != nil {
		return nil, err
	}
	customer, err := t.live("customer", in.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	pending := []object{}
	if behavior != "exclude" {
		if pending, err = t.pendingItems(customer.id(), currency); err != nil {
			return nil, err
		}
		if len(pending) > 0 {
			currency = pending[0].str("currency")
		}
	}
	inv := t.newInvoice(customer, currency)
	inv["_open_currency"] = currency == ""
	inv["subscription"] = orNull(sub.str("id"))
	if err := t.fillInvoice(inv, in); err != nil {
		return nil, err
	}
	t.insert(inv)
	for _, item := range pending {
		item["invoice"] = inv.id()
		t.save(item)
		t.addItemLine(inv, item)
	}
	t.save(inv)
	t.emit("invoice.created", inv)
	return inv, nil
}

// newInvoice makes an empty draft for a customer; an empty currency is the
// customer's, or that of the first line.
func (t *tx) newInvoice(customer object, currency string) object {
	if currency == "" {
		currency = customer.str("currency")
	}
	if currency == "" {
		currency = defaultCurrency
	}
	id := t.newID("in_")
	return object{
		"id": id, "object": "invoice", "account_country": "US", "account_name": "Sandbox", "account_tax_ids": nil, "amount_due": 0, "amount_paid": 0,
		"amount_remaining": 0, "amount_shipping": 0, "application": nil, "application_fee_amount": nil, "attempt_count": 0, "attempted": false,
		"auto_advance": false, "automatic_tax": object{"enabled": false, "liability": nil, "status": nil}, "billing_reason": "manual", "charge": nil,
		"collection_method": "charge_automatically", "created": t.now, "currency": currency, "custom_fields": nil, "customer": customer.id(),
		"customer_address": customer["address"], "customer_email": customer["email"], "customer_name": customer["name"], "customer_phone": customer["phone"],
		"customer_shipping": customer["shipping"], "customer_tax_exempt": customer["tax_exempt"], "customer_tax_ids": []any{}, "default_payment_method": nil,
		"default_source": nil, "default_tax_rates": []any{}, "description": nil, "discount": nil, "discounts": []any{}, "due_date": nil, "effective_at": nil,
		"ending_balance": nil, "footer": nil, "from_invoice": nil, "hosted_invoice_url": nil, "invoice_pdf": nil, "issuer": object{"type": "self"},
		"last_finalization_error": nil, "latest_revision": nil, "lines": listOf("/v1/invoices/"+id+"/lines", nil), "livemode": false, "metadata": object{},
		"next_payment_attempt": nil, "number": nil, "on_behalf_of": nil, "paid": false, "paid_out_of_band": false, "payment_intent": nil,
		"payment_settings": object{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil}, "period_end": t.now, "period_start": t.now,
		"post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0, "quote": nil, "receipt_number": nil, "rendering": nil, "rendering_options": nil,
		"shipping_cost": nil, "shipping_details": nil, "starting_balance": customer["balance"], "statement_descriptor": nil, "status": "draft",
		"status_transitions": object{"finalized_at": nil, "marked_uncollectible_at": nil, "paid_at": nil, "voided_at": nil},
		"subscription":       nil, "subscription_details": object{"metadata": nil}, "subtotal": 0, "subtotal_excluding_tax": 0, "tax": nil, "test_clock": nil, "total": 0,
		"total_discount_amounts": []any{}, "total_excluding_tax": 0, "total_tax_amounts": []any{}, "transfer_data": nil, "webhooks_delivered_at": t.now,
	}
}

func (t *tx) fillInvoice(inv object, in *params) error {
	for _, name := range []string{"description", "footer", "statement_descriptor"} {
		if in.has(name) {
			inv[name] = orNull(in.str(name))
		}
	}
	if in.filled("auto_advance") {
		inv["auto_advance"] = in.flag("auto_advance", false)
	}
	if in.filled("collection_method") {
		inv["collection_method"] = in.oneOf("collection_method", "", "charge_automatically", "send_invoice")
	}
	if in.filled("days_until_due") && in.filled("due_date") {
		in.refuse(invalid("parameters_exclusive", "due_date", "You may only specify one of these parameters: days_until_due, due_date."))
	}
	if in.filled("days_until_due") {
		days := in.num("days_until_due", 0, 3650)
		inv["_days_until_due"], inv["due_date"] = days, t.now+days*86400
	}
	if in.filled("due_date") {
		due := in.num("due_date", 0, 1<<40)
		if due <= t.now {
			in.refuse(invalid("", "due_date", "The due_date must be in the future."))
		}
		inv["due_date"] = due
	}
	automatic := inv.str("collection_method") == "charge_automatically"
	switch {
	case automatic && (in.filled("days_until_due") || in.filled("due_date")):
		in.refuse(invalid("", "collection_method", "You can only specify days_until_due or due_date if collection_method is send_invoice."))
	case !automatic && inv["due_date"] == nil:
		in.refuse(invalid("parameter_missing", "days_until_due", "If invoice collection_method is send_invoice, you must specify days_until_due or due_date."))
	}
	if number := in.str("number"); number != "" {
		same, _, err := t.list(listing{kind: "invoice", filters: []filter{{"number", "=", number}}, limit: 2})
		if err != nil {
			return err
		}
		if len(same) > 0 && (len(same) > 1 || same[0].id() != inv.id()) {
			in.refuse(invalid("", "number", "The number %s is used by another invoice.", number))
		}
		inv["number"], inv["_own_number"] = number, true
	}
	if in.has("custom_fields") {
		fields := []object{}
		for _, f := range in.list("custom_fields") {
			f.need("name", "value")
			fields = append(fields, object{"name": f.str("name"), "value": f.str("value")})
		}
		inv["custom_fields"] = fields
	}
	if in.has("payment_settings") {
		readMethodTypes(in.part("payment_settings"))
	}
	if in.has("default_payment_method") {
		id := in.str("default_payment_method")
		if id != "" {
			if _, err := t.attachedPaymentMethod(id, inv.str("customer"), "default_payment_method"); err != nil {
				return err
			}
		}
		inv["default_payment_method"] = orNull(id)
	}
	inv["metadata"] = in.metadata(inv.sub("metadata"))
	return in.err()
}

func updateInvoice(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	if inv.str("status") != "draft" {
		for name := range in.values {
			switch name {
			case "auto_advance", "default_payment_method", "metadata", "due_date", "days_until_due", "payment_settings", "expand":
			default:
				return nil, conflict("invoice_not_editable", "Finalized invoices can't be updated in this way: %s.", name)
			}
		}
	}
	before, err := inv.clone()
	if err != nil {
		return nil, err
	}
	if err := t.fillInvoice(inv, in); err != nil {
		return nil, err
	}
	if inv.str("status") == "open" && in.filled("auto_advance") {
		t.scheduleAttempt(inv)
	}
	t.save(inv)
	t.emitChange("invoice.updated", inv, changes(before, inv))
	return inv, nil
}

func deleteInvoice(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	if inv.str("status") != "draft" || inv.str("subscription") != "" {
		return nil, conflict("invoice_not_editable", "You can only delete draft invoices that do not belong to a subscription.")
	}
	items, _, err := t.list(listing{kind: "invoiceitem", filters: []filter{{"invoice", "=", inv.id()}}})
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		t.remove(item)
	}
	t.remove(inv)
	t.emit("invoice.deleted", inv)
	return object{"id": inv.id(), "object": "invoice", "deleted": true}, nil
}

// invoiceState refuses what an invoice's status does not allow.
func invoiceState(inv object, verb string) *apiError {
	return conflict("invoice_not_editable", "This invoice cannot be %s because its status is %s.", verb, inv.str("status"))
}

func finalizeInvoiceRoute(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	if in.filled("auto_advance") {
		inv["auto_advance"] = in.flag("auto_advance", false)
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	if inv.str("status") != "draft" {
		return nil, conflict("invoice_not_editable", "This invoice is already finalized, you can't re-finalize a non-draft invoice.")
	}
	if err := t.finalizeInvoice(inv); err != nil {
		return nil, err
	}
	return inv, nil
}

// finalizeInvoice opens a draft: it gets its number, pages and payment intent.
// With nothing to pay it is paid at once.
func (t *tx) finalizeInvoice(inv object) error {
	before, err := inv.clone()
	if err != nil {
		return err
	}
	customer, err := t.live("customer", inv.str("customer"), "customer")
	if err != nil {
		return err
	}
	if len(inv.items("lines")) == 0 && inv.str("subscription") == "" {
		return conflict("invoice_no_customer_line_items", "Nothing to invoice: this invoice has no line items.")
	}
	if err := checkMaximum(inv.num("total")+customer.num("balance"), ""); err != nil {
		return err
	}
	if inv["number"] == nil {
		next := customer.num("next_invoice_sequence")
		inv["number"] = fmt.Sprintf("%s-%04d", customer.str("invoice_prefix"), next)
		customer["next_invoice_sequence"] = next + 1
	}
	if customer["currency"] == nil {
		customer["currency"] = inv["currency"]
	}
	page := t.newID("")
	inv["_page"] = page
	inv["hosted_invoice_url"], inv["invoice_pdf"] = t.srv.link("/pages/invoices/"+page), t.srv.link("/pages/invoices/"+page+"/pdf")
	inv["status"], inv["effective_at"] = "open", t.now
	inv.sub("status_transitions")["finalized_at"] = t.now
	if days, ok := inv["_days_until_due"]; ok && days != nil {
		inv["due_date"] = t.now + inv.num("_days_until_due")*86400
	}
	settleBalance(inv, customer)
	t.save(customer)
	if inv.num("amount_due") == 0 {
		inv["auto_advance"] = false
		t.save(inv)
		t.emitChange("invoice.finalized", inv, nil)
		return t.markPaid(inv)
	}
	pi := t.invoiceIntent(inv)
	inv["payment_intent"] = pi.id()
	t.insert(pi)
	t.scheduleAttempt(inv)
	t.save(inv)
	t.emit("payment_intent.created", pi)
	t.emit("invoice.finalized", inv)
	t.emitChange("invoice.updated", inv, changes(before, inv))
	return nil
}

// settleBalance applies the customer's balance. A total too small to be
// charged is added to it instead and comes with the next invoice.
func settleBalance(inv, customer object) {
	total, starting := inv.num("total"), customer.num("balance")
	due := total + starting
	ending := int64(0)
	switch {
	case due <= 0:
		due, ending = 0, due
	case due < minimum(inv.str("currency")):
		due, ending = 0, due
	}
	inv["starting_balance"], inv["ending_balance"] = starting, ending
	inv["amount_due"], inv["amount_remaining"] = due, due
	customer["balance"] = ending
}

// invoiceIntent makes the payment intent that collects an invoice.
func (t *tx) invoiceIntent(inv object) object {
	pi := t.newPaymentIntent()
	pi["amount"], pi["currency"], pi["customer"], pi["invoice"] = inv["amount_due"], inv["currency"], inv["customer"], inv.id()
	pi["description"] = "Invoice " + inv.str("number")
	if inv.str("subscription") != "" {
		pi["setup_future_usage"] = "off_session"
	}
	return pi
}

// scheduleAttempt plans the automatic collection of an open invoice.
func (t *tx) scheduleAttempt(inv object) {
	inv["next_payment_attempt"] = nil
	if inv.flag("auto_advance") && inv.str("collection_method") == "charge_automatically" && inv.num("_automatic_attempts") <= int64(len(retrySeconds)) {
		inv["next_payment_attempt"] = t.now + draftSeconds
	}
}

func sendInvoice(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	if inv.str("status") == "draft" {
		if err := t.finalizeInvoice(inv); err != nil {
			return nil, err
		}
	}
	if inv.str("status") != "open" {
		return nil, invoiceState(inv, "sent")
	}
	t.emit("invoice.sent", inv)
	return inv, nil
}

func voidInvoiceRoute(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	if s := inv.str("status"); s != "open" && s != "uncollectible" {
		return nil, invoiceState(inv, "voided")
	}
	return inv, t.voidInvoice(inv)
}

func (t *tx) voidInvoice(inv object) error {
	inv["status"], inv["auto_advance"], inv["next_payment_attempt"] = "void", false, nil
	inv.sub("status_transitions")["voided_at"] = t.now
	t.save(inv)
	if err := t.cancelInvoiceIntent(inv, "void_invoice"); err != nil {
		return err
	}
	t.emit("invoice.voided", inv)
	return nil
}

// cancelInvoiceIntent ends the payment intent of an invoice that needs it no more.
func (t *tx) cancelInvoiceIntent(inv object, reason string) error {
	if inv.str("payment_intent") == "" {
		return nil
	}
	pi, err := t.get("payment_intent", inv.str("payment_intent"))
	if err != nil {
		return err
	}
	if s := pi.str("status"); s != "succeeded" && s != "canceled" {
		t.cancelIntent(pi, reason)
	}
	return nil
}

func markUncollectible(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	if inv.str("status") != "open" {
		return nil, invoiceState(inv, "marked uncollectible")
	}
	inv["status"], inv["auto_advance"], inv["next_payment_attempt"] = "uncollectible", false, nil
	inv.sub("status_transitions")["marked_uncollectible_at"] = t.now
	t.save(inv)
	t.emit("invoice.marked_uncollectible", inv)
	return inv, nil
}

func invoiceLines(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	return pageOf(in, "line_item", "/v1/invoices/"+inv.id()+"/lines", inv.items("lines"))
}
