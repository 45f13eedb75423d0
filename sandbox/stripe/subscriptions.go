package stripesandbox

import (
	"errors"
	"net/http"
)

const subscriptionParams = "cancel_at_period_end collection_method days_until_due default_payment_method description items metadata off_session payment_behavior payment_settings proration_behavior trial_end"

func subscriptionRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/subscriptions", params: subscriptionParams + " currency customer trial_period_days", run: createSubscription},
		{method: http.MethodPost, path: "/v1/subscriptions/{id}", params: subscriptionParams + " cancellation_details", run: updateSubscription},
		{method: http.MethodDelete, path: "/v1/subscriptions/{id}", params: "cancellation_details invoice_now prorate", run: cancelSubscription},
		retrieve("/v1/subscriptions", "subscription"),
		{method: http.MethodGet, path: "/v1/subscriptions", params: listParams + " customer price status collection_method", run: listSubscriptions},
	}
}

// incompleteSeconds is how long the first payment may take.
const incompleteSeconds = 23 * 3600

func listSubscriptions(t *tx, in *params) (object, error) {
	l := readPage(in)
	l.kind = "subscription"
	if in.filled("price") {
		in.refuse(notEmulated("price", "Listing subscriptions by price"))
	}
	for _, name := range []string{"customer", "collection_method"} {
		if in.filled(name) {
			l.filters = append(l.filters, filter{name, "=", in.str(name)})
		}
	}
	switch status := in.str("status"); status {
	case "all":
	case "":
		l.filters = append(l.filters, filter{"status", "<>", "canceled"})
	case "ended":
		l.filters = append(l.filters, filter{"ended_at", ">", 0})
	default:
		l.filters = append(l.filters, filter{"status", "=", status})
	}
	return t.page(in, "/v1/subscriptions", l)
}

func createSubscription(t *tx, in *params) (object, error) {
	in.need("customer", "items")
	behavior := in.oneOf("payment_behavior", "allow_incomplete", "allow_incomplete", "default_incomplete", "error_if_incomplete")
	if err := in.err(); err != nil {
		return nil, err
	}
	customer, err := t.live("customer", in.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	lines, err := t.readLines(in, "items")
	if err != nil {
		return nil, err
	}
	for _, line := range lines {
		if line.price.sub("recurring") == nil {
			return nil, invalid("", "items", "The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.")
		}
	}
	sub := t.newSubscription(customer.id(), lines)
	if err := sameInterval(sub.items("items")); err != nil {
		return nil, err
	}
	if err := t.fillSubscription(sub, in); err != nil {
		return nil, err
	}
	if days := in.num("trial_period_days", 0, 730); days > 0 {
		sub["trial_end"] = t.now + days*86400
	}
	t.startPeriod(sub)
	if err := in.err(); err != nil {
		return nil, err
	}
	t.insert(sub)
	inv, err := t.periodInvoice(sub, "subscription_create", nil)
	if err != nil {
		return nil, err
	}
	t.emit("customer.subscription.created", sub)
	// The first payment is made here or by the payer, never by a later attempt.
	inv["auto_advance"] = false
	if err := t.finalizeInvoice(inv); err != nil {
		return nil, err
	}
	if err := t.collectFirst(sub, inv, behavior, in.flag("off_session", false)); err != nil {
		return nil, err
	}
	return t.get("subscription", sub.id())
}

// collectFirst pays the first invoice of a subscription as its payment
// behavior says.
func (t *tx) collectFirst(sub, inv object, behavior string, offSession bool) error {
	if inv.str("status") != "open" || sub.str("collection_method") == "send_invoice" || behavior == "default_incomplete" {
		return nil
	}
	method, err := t.invoiceMethod(inv, "")
	var refused *apiError
	if errors.As(err, &refused) {
		return conflict("resource_missing", "This customer has no attached payment source or default payment method. Please consider adding a default payment method.")
	}
	if err != nil {
		return err
	}
	_, err = t.collect(inv, method, offSession)
	if errors.As(err, &refused) {
		if behavior == "error_if_incomplete" {
			refused.keep = false // neither subscription nor invoice remains
			return refused
		}
		return nil
	}
	return err
}

// newSubscription makes a subscription of a customer; its period is not set yet.
func (t *tx) newSubscription(customer string, lines []pricedLine) object {
	id := t.newID("sub_")
	items := []object{}
	for _, line := range lines {
		items = append(items, t.subscriptionItem(id, line))
	}
	list := listOf("/v1/subscription_items?subscription="+id, items)
	list["total_count"] = len(items)
	return object{
		"id": id, "object": "subscription", "application": nil, "application_fee_percent": nil, "automatic_tax": object{"enabled": false, "liability": nil},
		"billing_cycle_anchor": t.now, "billing_cycle_anchor_config": nil, "billing_thresholds": nil, "cancel_at": nil, "cancel_at_period_end": false,
		"canceled_at": nil, "cancellation_details": object{"comment": nil, "feedback": nil, "reason": nil}, "collection_method": "charge_automatically",
		"created": t.now, "currency": lines[0].price["currency"], "current_period_end": t.now, "current_period_start": t.now, "customer": customer,
		"days_until_due": nil, "default_payment_method": nil, "default_source": nil, "default_tax_rates": []any{}, "description": nil, "discount": nil,
		"ended_at": nil, "items": list, "latest_invoice": nil, "livemode": false, "metadata": object{}, "next_pending_invoice_item_invoice": nil,
		"on_behalf_of": nil, "pause_collection": nil,
		"payment_settings":              object{"payment_method_options": nil, "payment_method_types": nil, "save_default_payment_method": "off"},
		"pending_invoice_item_interval": nil, "pending_setup_intent": nil, "pending_update": nil, "schedule": nil, "start_date": t.now, "status": "incomplete",
		"test_clock": nil, "transfer_data": nil, "trial_end": nil, "trial_settings": object{"end_behavior": object{"missing_payment_method": "create_invoice"}},
		"trial_start": nil, "_periods": 0,
	}
}

func (t *tx) subscriptionItem(subscription string, line pricedLine) object {
	return object{
		"id": t.newID("si_"), "object": "subscription_item", "billing_thresholds": nil, "created": t.now, "metadata": object{}, "price": line.price,
		"quantity": line.quantity, "subscription": subscription, "tax_rates": []any{},
	}
}

func (t *tx) fillSubscription(sub object, in *params) error {
	in.oneOf("proration_behavior", "create_prorations", "create_prorations", "always_invoice", "none")
	if in.filled("cancel_at_period_end") {
		on := in.flag("cancel_at_period_end", false)
		sub["cancel_at_period_end"], sub["cancel_at"], sub["canceled_at"] = on, nil, nil
		if on {
			sub["cancel_at"], sub["canceled_at"] = sub["current_period_end"], t.now
		}
	}
	if in.filled("collection_method") {
		sub["collection_method"] = in.oneOf("collection_method", "", "charge_automatically", "send_invoice")
	}
	if in.has("days_until_due") {
		sub["days_until_due"] = timeOrNull(in.num("days_until_due", 0, 3650))
	}
	if sub.str("collection_method") == "send_invoice" && sub["days_until_due"] == nil {
		in.refuse(invalid("parameter_missing", "days_until_due", "Missing required param: days_until_due."))
	}
	if in.has("description") {
		sub["description"] = orNull(in.str("description"))
	}
	if in.has("default_payment_method") {
		id := in.str("default_payment_method")
		if id != "" {
			if _, err := t.attachedPaymentMethod(id, sub.str("customer"), "default_payment_method"); err != nil {
				return err
			}
		}
		sub["default_payment_method"] = orNull(id)
	}
	if in.has("payment_settings") {
		settings := in.part("payment_settings")
		readMethodTypes(settings)
		sub.sub("payment_settings")["save_default_payment_method"] = settings.oneOf("save_default_payment_method", "off", "off", "on_subscription")
	}
	switch end := in.str("trial_end"); end {
	case "":
	case "now":
		if sub.str("status") == "trialing" {
			sub["trial_end"] = t.now
		}
	default:
		at := in.num("trial_end", 0, 1<<40)
		if at <= t.now {
			in.refuse(invalid("", "trial_end", "The trial_end must be in the future."))
		}
		sub["trial_end"] = at
	}
	sub["metadata"] = in.metadata(sub.sub("metadata"))
	return in.err()
}

// subscribeQuote makes the subscription of an accepted quote. Its first
// invoice stays a draft for an hour, as the quote's one-time lines ride on it.
func (t *tx) subscribeQuote(q object) (object, error) {
	var lines []pricedLine
	var once []object
	for _, item := range q.items("line_items") {
		if item.sub("price").sub("recurring") == nil {
			once = append(once, item)
			continue
		}
		lines = append(lines, pricedLine{price: item.sub("price"), quantity: item.num("quantity"), amount: item.num("amount_total")})
	}
	sub := t.newSubscription(q.str("customer"), lines)
	data := q.sub("subscription_data")
	sub["metadata"], sub["description"] = data["metadata"], data["description"]
	sub["collection_method"], sub["days_until_due"] = q["collection_method"], q.sub("invoice_settings")["days_until_due"]
	if days := data.num("trial_period_days"); days > 0 {
		sub["trial_end"] = t.now + days*86400
	}
	t.startPeriod(sub)
	t.insert(sub)
	inv, err := t.periodInvoice(sub, "subscription_create", once)
	if err != nil {
		return nil, err
	}
	inv["quote"] = q.id()
	t.save(inv)
	t.emit("customer.subscription.created", sub)
	return sub, nil
}

func subscriptionEnded(sub object) bool {
	return sub.str("status") == "canceled" || sub.str("status") == "incomplete_expired"
}

func updateSubscription(t *tx, in *params) (object, error) {
	sub, err := t.get("subscription", in.path("id"))
	if err != nil {
		return nil, err
	}
	if subscriptionEnded(sub) {
		return nil, conflict("", "A canceled subscription can only update its cancellation_details.")
	}
	before, err := sub.clone()
	if err != nil {
		return nil, err
	}
	if err := t.fillSubscription(sub, in); err != nil {
		return nil, err
	}
	if sub.str("status") == "trialing" && sub.num("trial_end") != before.num("trial_end") {
		sub["current_period_end"] = sub["trial_end"]
	}
	if in.has("items") {
		if err := t.changeItems(sub, in); err != nil {
			return nil, err
		}
	}
	t.save(sub)
	t.emitChange("customer.subscription.updated", sub, changes(before, sub))
	return sub, nil
}

// changeItems replaces prices and quantities from the next period on.
// Prorations for the current one are not emulated.
func (t *tx) changeItems(sub object, in *params) error {
	if in.str("proration_behavior") != "none" {
		return notEmulated("proration_behavior", "Prorating a change of items (send proration_behavior=none)")
	}
	items := sub.items("items")
	for _, change := range in.list("items") {
		at := indexOf(items, change.str("id"))
		if change.filled("id") && at < 0 {
			return unknown("subscription_item", change.str("id"), change.full("id"))
		}
		if at >= 0 && !change.filled("price") && !change.filled("price_data") {
			items[at]["quantity"] = change.num("quantity", 0, quantityMax)
			continue
		}
		line, err := t.readLine(change)
		if err != nil {
			return err
		}
		if line.price.str("currency") != sub.str("currency") || line.price.sub("recurring") == nil {
			return invalid("", change.full("price"), "The price must be recurring and in the currency of the subscription.")
		}
		item := t.subscriptionItem(sub.id(), line)
		if at >= 0 {
			item["id"] = items[at].id()
			items[at] = item
		} else {
			items = append(items, item)
		}
	}
	if err := sameInterval(items); err != nil {
		return err
	}
	list := sub.sub("items")
	list["data"], list["total_count"] = items, len(items)
	return in.err()
}

func cancelSubscription(t *tx, in *params) (object, error) {
	sub, err := t.get("subscription", in.path("id"))
	if err != nil {
		return nil, err
	}
	if subscriptionEnded(sub) {
		return nil, missing("subscription", sub.id(), "id")
	}
	if in.flag("invoice_now", false) || in.flag("prorate", false) {
		in.refuse(notEmulated("prorate", "A final invoice with prorations"))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	return sub, t.endSubscription(sub, "canceled")
}
