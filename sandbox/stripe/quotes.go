package stripesandbox

import (
	"fmt"
	"net/http"

	"purser/sandbox"
)

const quoteParams = "collection_method customer description expires_at footer header invoice_settings line_items metadata subscription_data"

func quoteRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/quotes", params: quoteParams + " from_quote", run: createQuote},
		{method: http.MethodPost, path: "/v1/quotes/{id}", params: quoteParams, run: updateQuote},
		{method: http.MethodPost, path: "/v1/quotes/{id}/finalize", params: "expires_at", run: finalizeQuote},
		{method: http.MethodPost, path: "/v1/quotes/{id}/accept", run: acceptQuote},
		{method: http.MethodPost, path: "/v1/quotes/{id}/cancel", run: cancelQuote},
		{method: http.MethodGet, path: "/v1/quotes/{id}/line_items", params: listParams, run: quoteLineItems("line_items")},
		{method: http.MethodGet, path: "/v1/quotes/{id}/computed_upfront_line_items", params: listParams, run: quoteLineItems("_upfront_lines")},
		{method: http.MethodGet, path: "/v1/quotes/{id}/pdf", raw: quotePDF},
		retrieve("/v1/quotes", "quote"),
		index("/v1/quotes", "quote", listField{param: "customer", field: "customer"}, listField{param: "status", field: "status"}),
	}
}

// quoteSeconds is how long a quote is open unless it says otherwise.
const quoteSeconds = 30 * 24 * 3600

func createQuote(t *tx, in *params) (object, error) {
	id := t.newID("qt_")
	q := object{
		"id": id, "object": "quote", "amount_subtotal": 0, "amount_total": 0, "application": nil, "application_fee_amount": nil,
		"application_fee_percent": nil, "automatic_tax": object{"enabled": false, "liability": nil, "status": nil},
		"collection_method": "charge_automatically", "computed": nil, "created": t.now, "currency": nil, "customer": nil,
		"default_tax_rates": []any{}, "description": nil, "discounts": []any{}, "expires_at": t.now + quoteSeconds, "footer": nil, "from_quote": nil,
		"header": nil, "invoice": nil, "invoice_settings": object{"days_until_due": nil, "issuer": object{"type": "self"}},
		"line_items": listOf("/v1/quotes/"+id+"/line_items", nil), "livemode": false, "metadata": object{}, "number": nil, "on_behalf_of": nil,
		"status": "draft", "status_transitions": object{"accepted_at": nil, "canceled_at": nil, "finalized_at": nil}, "subscription": nil,
		"subscription_data":     object{"description": nil, "effective_date": nil, "metadata": object{}, "trial_period_days": nil},
		"subscription_schedule": nil, "test_clock": nil, "total_details": object{"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
		"transfer_data": nil, "_revision": 1,
	}
	if in.filled("from_quote") {
		if err := t.reviseQuote(q, in); err != nil {
			return nil, err
		}
	} else if err := t.fillQuote(q, in); err != nil {
		return nil, err
	}
	if err := computeQuote(q); err != nil {
		return nil, err
	}
	t.insert(q)
	t.emit("quote.created", q)
	return q, nil
}

// reviseQuote copies another quote; only the expiry may be given as well.
func (t *tx) reviseQuote(q object, in *params) error {
	for name := range in.values {
		if name != "from_quote" && name != "expires_at" && name != "expand" {
			return invalid("", name, "You may only specify expires_at when you create a quote from another one.")
		}
	}
	part := in.part("from_quote")
	part.need("quote")
	revision := part.flag("is_revision", false)
	if err := in.err(); err != nil {
		return err
	}
	from, err := t.named("quote", part.str("quote"), "from_quote[quote]")
	if err != nil {
		return err
	}
	if revision && from.str("status") == "draft" {
		return conflict("", "A quote that is a draft can be edited and cannot be revised.")
	}
	for _, name := range []string{"collection_method", "currency", "customer", "description", "footer", "header", "invoice_settings", "metadata", "subscription_data"} {
		q[name] = from[name]
	}
	lines := from.items("line_items")
	for _, line := range lines {
		line["id"] = t.newID("li_")
	}
	q["line_items"] = listOf("/v1/quotes/"+q.id()+"/line_items", lines)
	q["from_quote"] = object{"is_revision": revision, "quote": from.id()}
	if revision {
		q["_revision"], q["_sequence"] = from.num("_revision")+1, from["_sequence"]
	}
	if in.filled("expires_at") {
		q["expires_at"] = t.readExpiry(in)
	}
	return in.err()
}

func (t *tx) readExpiry(in *params) int64 {
	at := in.num("expires_at", 0, 1<<40)
	if at <= t.now {
		in.refuse(invalid("", "expires_at", "The expires_at of a quote must be in the future."))
	}
	return at
}

func (t *tx) fillQuote(q object, in *params) error {
	if in.filled("customer") {
		customer, err := t.live("customer", in.str("customer"), "customer")
		if err != nil {
			return err
		}
		if former := q.str("customer"); former != "" && former != customer.id() {
			return invalid("", "customer", "The customer of a quote cannot be changed once it is set.")
		}
		q["customer"] = customer.id()
	}
	for _, name := range []string{"description", "footer", "header"} {
		if in.has(name) {
			q[name] = orNull(in.str(name))
		}
	}
	if in.filled("expires_at") {
		q["expires_at"] = t.readExpiry(in)
	}
	if in.filled("collection_method") {
		q["collection_method"] = in.oneOf("collection_method", "", "charge_automatically", "send_invoice")
	}
	if in.has("invoice_settings") {
		if settings := in.part("invoice_settings"); settings.has("days_until_due") {
			q.sub("invoice_settings")["days_until_due"] = timeOrNull(settings.num("days_until_due", 0, 3650))
		}
	}
	if in.has("subscription_data") {
		data := in.part("subscription_data")
		if data.filled("effective_date") {
			in.refuse(notEmulated(data.full("effective_date"), "A subscription schedule"))
		}
		stored := q.sub("subscription_data")
		if data.has("description") {
			stored["description"] = orNull(data.str("description"))
		}
		if data.has("trial_period_days") {
			stored["trial_period_days"] = timeOrNull(data.num("trial_period_days", 0, 730))
		}
		stored["metadata"] = data.metadata(stored.sub("metadata"))
	}
	q["metadata"] = in.metadata(q.sub("metadata"))
	if in.has("line_items") {
		lines, err := t.readLines(in, "line_items")
		if err != nil {
			return err
		}
		items, err := t.lineItems(lines)
		if err != nil {
			return err
		}
		q["line_items"] = listOf("/v1/quotes/"+q.id()+"/line_items", items)
	}
	return in.err()
}

// computeQuote sums the lines up: what is due at once, and what every period.
// It refuses more than can be charged.
func computeQuote(q object) error {
	lines := q.items("line_items")
	var recurring []object
	for _, line := range lines {
		if line.sub("price").sub("recurring") != nil {
			recurring = append(recurring, line)
		}
	}
	total := sum(lines, "amount_total")
	if err := checkMaximum(total, "line_items"); err != nil {
		return err
	}
	q["amount_subtotal"], q["amount_total"] = total, total
	if len(lines) > 0 {
		q["currency"] = lines[0]["currency"]
	}
	details := object{"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
	computed := object{"recurring": nil, "upfront": object{"amount_subtotal": total, "amount_total": total, "total_details": details}}
	if len(recurring) > 0 {
		period := recurring[0].sub("price").sub("recurring")
		every := sum(recurring, "amount_total")
		computed["recurring"] = object{"amount_subtotal": every, "amount_total": every, "interval": period["interval"], "interval_count": period["interval_count"], "total_details": details}
	}
	q["computed"] = computed
	q["_upfront_lines"] = listOf("/v1/quotes/"+q.id()+"/computed_upfront_line_items", lines)
	return nil
}

func updateQuote(t *tx, in *params) (object, error) {
	q, err := t.get("quote", in.path("id"))
	if err != nil {
		return nil, err
	}
	switch q.str("status") {
	case "draft":
		if err := t.fillQuote(q, in); err != nil {
			return nil, err
		}
		if err := computeQuote(q); err != nil {
			return nil, err
		}
	case "open":
		for name := range in.values {
			if name != "expires_at" && name != "expand" {
				return nil, conflict("", "This quote is open: only its expires_at can be updated, not %s.", name)
			}
		}
		if in.filled("expires_at") {
			q["expires_at"] = t.readExpiry(in)
		}
	default:
		return nil, quoteState(q, "updated")
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	t.save(q)
	return q, nil
}

func quoteState(q object, verb string) *apiError {
	return conflict("", "This quote cannot be %s because its status is %s.", verb, q.str("status"))
}

func finalizeQuote(t *tx, in *params) (object, error) {
	q, err := t.get("quote", in.path("id"))
	if err != nil {
		return nil, err
	}
	if q.str("status") != "draft" {
		return nil, quoteState(q, "finalized")
	}
	if in.filled("expires_at") {
		q["expires_at"] = t.readExpiry(in)
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	lines := q.items("line_items")
	switch {
	case q.str("customer") == "":
		return nil, conflict("", "This quote cannot be finalized because it has no customer.")
	case len(lines) == 0:
		return nil, conflict("", "This quote cannot be finalized because it has no line items.")
	case q.str("collection_method") == "send_invoice" && q.sub("invoice_settings")["days_until_due"] == nil:
		return nil, conflict("", "This quote cannot be finalized because invoice_settings[days_until_due] is required when collection_method is send_invoice.")
	case q.num("expires_at") <= t.now:
		return nil, conflict("", "This quote cannot be finalized because it has expired.")
	}
	if err := sameInterval(lines); err != nil {
		return nil, err
	}
	customer, err := t.live("customer", q.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	if q.num("_sequence") == 0 {
		q["_sequence"] = customer.num("_next_quote")
		customer["_next_quote"] = customer.num("_next_quote") + 1
		t.save(customer)
	}
	q["number"] = fmt.Sprintf("QT-%s-%04d-%d", customer.str("invoice_prefix"), q.num("_sequence"), q.num("_revision"))
	q["status"] = "open"
	q.sub("status_transitions")["finalized_at"] = t.now
	t.save(q)
	t.emit("quote.finalized", q)
	return q, nil
}

// sameInterval refuses lines that recur at different rhythms: they cannot be
// in one subscription.
func sameInterval(lines []object) error {
	var first object
	for _, line := range lines {
		period := line.sub("price").sub("recurring")
		if period == nil {
			continue
		}
		if first == nil {
			first = period
		}
		if period.str("interval") != first.str("interval") || period.num("interval_count") != first.num("interval_count") {
			return conflict("", "All recurring prices must have the same interval and interval_count.")
		}
	}
	return nil
}

func acceptQuote(t *tx, in *params) (object, error) {
	q, err := t.get("quote", in.path("id"))
	if err != nil {
		return nil, err
	}
	if q.str("status") != "open" {
		return nil, quoteState(q, "accepted")
	}
	if q.num("expires_at") <= t.now {
		// The clock has not come round to it yet.
		return nil, conflict("", "This quote cannot be accepted because it has expired.")
	}
	if from := q.sub("from_quote"); from.flag("is_revision") {
		former, err := t.find(from.str("quote"))
		if err != nil {
			return nil, err
		}
		if former.str("status") == "accepted" {
			return nil, conflict("", "The quote that this one revises has been accepted already.")
		}
	}
	q["status"] = "accepted"
	q.sub("status_transitions")["accepted_at"] = t.now
	recurring := q.sub("computed").sub("recurring") != nil
	if recurring {
		sub, err := t.subscribeQuote(q)
		if err != nil {
			return nil, err
		}
		q["subscription"] = sub.id()
	} else {
		inv, err := t.invoiceQuote(q)
		if err != nil {
			return nil, err
		}
		q["invoice"] = inv.id()
	}
	t.save(q)
	t.emit("quote.accepted", q)
	return q, nil
}

// invoiceQuote makes the draft invoice of a quote without recurring lines.
func (t *tx) invoiceQuote(q object) (object, error) {
	customer, err := t.live("customer", q.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	inv := t.newInvoice(customer, q.str("currency"))
	inv["quote"], inv["billing_reason"], inv["description"], inv["footer"] = q.id(), "manual", q["description"], q["footer"]
	t.copyCollection(inv, q)
	// Nobody has said otherwise, so it is issued and collected by itself.
	inv["auto_advance"] = q.str("collection_method") == "charge_automatically"
	t.insert(inv)
	for _, line := range q.items("line_items") {
		item := t.newInvoiceItem(customer.id(), inv.id(), line.str("currency"))
		item["amount"], item["description"], item["price"], item["quantity"] = line["amount_total"], line["description"], line["price"], line["quantity"]
		item["unit_amount"], item["unit_amount_decimal"] = line.sub("price")["unit_amount"], line.sub("price")["unit_amount_decimal"]
		t.insert(item)
		t.emit("invoiceitem.created", item)
		t.addItemLine(inv, item)
	}
	t.save(inv)
	t.emit("invoice.created", inv)
	return inv, nil
}

// copyCollection lets an invoice be collected the way its quote says.
func (t *tx) copyCollection(inv, q object) {
	inv["collection_method"] = q["collection_method"]
	if q.str("collection_method") == "send_invoice" {
		days := q.sub("invoice_settings").num("days_until_due")
		inv["_days_until_due"], inv["due_date"] = days, t.now+days*86400
	}
}

func cancelQuote(t *tx, in *params) (object, error) {
	q, err := t.get("quote", in.path("id"))
	if err != nil {
		return nil, err
	}
	if s := q.str("status"); s != "draft" && s != "open" {
		return nil, quoteState(q, "canceled")
	}
	t.cancelQuote(q)
	return q, nil
}

// cancelQuote ends a quote, by request or because it expired.
func (t *tx) cancelQuote(q object) {
	q["status"] = "canceled"
	q.sub("status_transitions")["canceled_at"] = t.now
	t.save(q)
	t.emit("quote.canceled", q)
}

func quoteLineItems(field string) operation {
	return func(t *tx, in *params) (object, error) {
		q, err := t.get("quote", in.path("id"))
		if err != nil {
			return nil, err
		}
		return pageOf(in, "line_item", q.sub(field).str("url"), q.items(field))
	}
}

func quotePDF(t *tx, in *params) (string, []byte, error) {
	q, err := t.get("quote", in.path("id"))
	if err != nil {
		return "", nil, err
	}
	if q.str("number") == "" {
		return "", nil, conflict("", "The PDF of a quote exists once it is finalized.")
	}
	customer, err := t.find(q.str("customer"))
	if err != nil {
		return "", nil, err
	}
	lines := []sandbox.PDFLine{
		{Left: "QUOTE " + q.str("number"), Right: "TEST", Bold: true},
		{},
		{Left: "For", Right: customerName(customer)},
		{Left: "Valid until", Right: day(q.num("expires_at"))},
		{},
	}
	lines = append(lines, pdfLines(q.items("line_items"), "amount_total", q.str("currency"))...)
	lines = append(lines, sandbox.PDFLine{}, sandbox.PDFLine{Left: "Total", Right: display(q.num("amount_total"), q.str("currency")), Bold: true})
	if period := q.sub("computed").sub("recurring"); period != nil {
		lines = append(lines, sandbox.PDFLine{
			Left:  fmt.Sprintf("then every %d %s", period.num("interval_count"), period.str("interval")),
			Right: display(period.num("amount_total"), q.str("currency")),
		})
	}
	for _, text := range []string{q.str("description"), q.str("footer")} {
		if text != "" {
			lines = append(lines, sandbox.PDFLine{}, sandbox.PDFLine{Left: text})
		}
	}
	return "application/pdf", sandbox.PDF("Quote "+q.str("number"), lines), nil
}

// pdfLines lists items with their quantities and amounts.
func pdfLines(items []object, amountField, currency string) []sandbox.PDFLine {
	out := []sandbox.PDFLine{{Left: "Item", Right: "Amount", Bold: true}}
	for _, item := range items {
		text := item.str("description")
		if n := item.num("quantity"); n != 1 {
			text = fmt.Sprintf("%d x %s", n, text)
		}
		out = append(out, sandbox.PDFLine{Left: text, Right: display(item.num(amountField), currency)})
	}
	return out
}

func customerName(c object) string {
	for _, field := range []string{"name", "email", "id"} {
		if text := c.str(field); text != "" {
			return text
		}
	}
	return ""
}
