package stripesandbox

import (
	"net/http"
	"time"
)

// startPeriod begins the first period, which is the trial if there is one.
func (t *tx) startPeriod(sub object) {
	sub["current_period_start"], sub["billing_cycle_anchor"] = t.now, t.now
	if end := sub.num("trial_end"); end > t.now {
		sub["trial_start"], sub["current_period_end"], sub["billing_cycle_anchor"], sub["status"] = t.now, end, end, "trialing"
		return
	}
	sub["trial_end"], sub["_periods"] = nil, 1
	sub["current_period_end"] = periodEnd(sub.num("billing_cycle_anchor"), period(sub), 1)
	if sub.str("collection_method") == "send_invoice" {
		sub["status"] = "active"
	}
}

// period is the rhythm all items of a subscription have.
func period(sub object) object {
	return sub.items("items")[0].sub("price").sub("recurring")
}

// periodEnd is the end of the n-th period after the anchor. It counts from the
// anchor, so that a subscription of the 31st comes back to the 31st after a
// shorter month.
func periodEnd(anchor int64, every object, n int64) int64 {
	at := time.Unix(anchor, 0).UTC()
	steps := int(every.num("interval_count") * n)
	switch every.str("interval") {
	case "day":
		return at.AddDate(0, 0, steps).Unix()
	case "week":
		return at.AddDate(0, 0, 7*steps).Unix()
	case "year":
		steps *= 12
	}
	end := at.AddDate(0, steps, 0)
	if end.Day() != at.Day() {
		end = end.AddDate(0, 0, -end.Day()) // the month is shorter: its last day
	}
	return end.Unix()
}

// periodInvoice makes the draft for the current period: one line per item,
// which costs nothing in a trial, then the extra one-time lines and what is
// pending for the customer.
func (t *tx) periodInvoice(sub object, reason string, extra []object) (object, error) {
	customer, err := t.live("customer", sub.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	inv := t.newInvoice(customer, sub.str("currency"))
	inv["subscription"], inv["billing_reason"], inv["auto_advance"] = sub.id(), reason, true
	inv["subscription_details"] = object{"metadata": sub["metadata"]}
	inv["collection_method"] = sub["collection_method"]
	if sub.str("collection_method") == "send_invoice" {
		inv["_days_until_due"], inv["due_date"] = sub["days_until_due"], t.now+sub.num("days_until_due")*86400
	}
	if err := t.addPeriodLines(inv, sub); err != nil {
		return nil, err
	}
	t.insert(inv)
	for _, line := range extra {
		item := t.newInvoiceItem(customer.id(), inv.id(), line.str("currency"))
		item["amount"], item["description"], item["price"], item["quantity"], item["subscription"] = line["amount_total"], line["description"], line["price"], line["quantity"], sub.id()
		item["unit_amount"], item["unit_amount_decimal"] = line.sub("price")["unit_amount"], line.sub("price")["unit_amount_decimal"]
		t.insert(item)
		t.emit("invoiceitem.created", item)
		t.addItemLine(inv, item)
	}
	pending, err := t.pendingItems(customer.id(), sub.str("currency"))
	if err != nil {
		return nil, err
	}
	for _, item := range pending {
		item["invoice"] = inv.id()
		t.save(item)
		t.addItemLine(inv, item)
	}
	t.save(inv)
	sub["latest_invoice"] = inv.id()
	t.save(sub)
	t.emit("invoice.created", inv)
	return inv, nil
}

func (t *tx) addPeriodLines(inv, sub object) error {
	for _, item := range sub.items("items") {
		price := item.sub("price")
		amount, ok := multiply(price, item.num("quantity"))
		if !ok {
			return conflict("amount_too_large", "The amount of subscription item %s is too large.", item.id())
		}
		text, err := t.describePrice(price)
		if err != nil {
			return err
		}
		if sub.str("status") == "trialing" {
			amount, text = 0, "Trial period for "+text
		}
		t.addLine(inv, object{
			"amount": amount, "currency": sub["currency"], "description": text, "metadata": item["metadata"],
			"period": object{"start": sub["current_period_start"], "end": sub["current_period_end"]}, "price": price, "quantity": item["quantity"],
			"subscription": sub.id(), "subscription_item": item.id(), "type": "subscription",
		})
	}
	return nil
}

// subscriptionPaid lets a subscription go on whose latest invoice was paid. Its
// card is kept for the coming periods where no other default is known.
func (t *tx) subscriptionPaid(inv object) error {
	sub, err := t.find(inv.str("subscription"))
	if err != nil || sub == nil || subscriptionEnded(sub) || sub.str("latest_invoice") != inv.id() {
		return err
	}
	pi, err := t.find(inv.str("payment_intent"))
	if err != nil {
		return err
	}
	method, err := t.find(pi.str("payment_method"))
	if err != nil {
		return err
	}
	_, err = t.invoiceMethod(object{"subscription": sub.id(), "customer": sub["customer"]}, "")
	return t.change(sub, "customer.subscription.updated", func() {
		if sub.str("status") != "trialing" {
			sub["status"] = "active"
		}
		if err != nil && pi.str("status") == "succeeded" && method.str("customer") == sub.str("customer") {
			sub["default_payment_method"] = method.id()
		}
	})
}

// subscriptionUnpaid notes that the latest invoice of a running subscription
// could not be collected.
func (t *tx) subscriptionUnpaid(inv object) error {
	sub, err := t.find(inv.str("subscription"))
	if err != nil || sub == nil || sub.str("latest_invoice") != inv.id() {
		return err
	}
	status := sub.str("status")
	if status == "active" {
		status = "past_due"
	}
	if status == "past_due" && inv.num("_automatic_attempts") > int64(len(retrySeconds)) {
		status = "unpaid"
	}
	if status == sub.str("status") {
		return nil
	}
	return t.change(sub, "customer.subscription.updated", func() { sub["status"] = status })
}

// renewSubscription ends a period: the subscription ends with it, or the next
// period begins with its draft invoice.
func (t *tx) renewSubscription(sub object) error {
	if sub.flag("cancel_at_period_end") {
		return t.endSubscription(sub, "canceled")
	}
	before, err := sub.clone()
	if err != nil {
		return err
	}
	if sub.str("status") == "trialing" {
		sub["status"], sub["billing_cycle_anchor"] = "active", sub["current_period_end"]
	}
	n := sub.num("_periods") + 1
	sub["_periods"], sub["current_period_start"] = n, sub["current_period_end"]
	sub["current_period_end"] = periodEnd(sub.num("billing_cycle_anchor"), period(sub), n)
	if _, err := t.periodInvoice(sub, "subscription_cycle", nil); err != nil {
		return err
	}
	t.emitChange("customer.subscription.updated", sub, changes(before, sub))
	return nil
}

// endSubscription ends a subscription for good; its unpaid invoices are no
// longer collected by themselves, those of one that never began are void.
func (t *tx) endSubscription(sub object, status string) error {
	sub["status"], sub["ended_at"] = status, t.now
	if sub["canceled_at"] == nil {
		sub["canceled_at"] = t.now
	}
	t.save(sub)
	invoices, _, err := t.list(listing{kind: "invoice", filters: []filter{{"subscription", "=", sub.id()}}})
	if err != nil {
		return err
	}
	for _, inv := range invoices {
		switch s := inv.str("status"); {
		case s == "open" && status == "incomplete_expired":
			if err := t.voidInvoice(inv); err != nil {
				return err
			}
		case (s == "open" || s == "draft") && inv.flag("auto_advance"):
			inv["auto_advance"], inv["next_payment_attempt"] = false, nil
			t.save(inv)
			t.emit("invoice.updated", inv)
		}
	}
	t.emit("customer.subscription.deleted", sub)
	return nil
}

// upcomingInvoice shows the invoice that the next period will bring.
func upcomingInvoice(t *tx, in *params) (object, error) {
	var sub object
	var err error
	switch {
	case in.filled("subscription"):
		if sub, err = t.named("subscription", in.str("subscription"), "subscription"); err != nil {
			return nil, err
		}
	case in.filled("customer"):
		subs, _, err := t.list(listing{kind: "subscription", filters: []filter{{"customer", "=", in.str("customer")}}})
		if err != nil {
			return nil, err
		}
		for _, s := range subs {
			if !subscriptionEnded(s) && (sub == nil || s.num("current_period_end") < sub.num("current_period_end")) {
				sub = s
			}
		}
	default:
		return nil, invalid("parameter_missing", "customer", "You must specify a customer or a subscription.")
	}
	if sub == nil || subscriptionEnded(sub) || sub.flag("cancel_at_period_end") {
		e := invalid("invoice_upcoming_none", "", "No upcoming invoices for customer: %s", in.str("customer"))
		e.status = http.StatusNotFound
		return nil, e
	}
	customer, err := t.live("customer", sub.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	inv := t.newInvoice(customer, sub.str("currency"))
	inv["subscription"], inv["billing_reason"], inv["created"] = sub.id(), "upcoming", sub["current_period_end"]
	next := object{}
	for key, value := range sub {
		next[key] = value
	}
	next["status"], next["current_period_start"] = "active", sub["current_period_end"]
	next["current_period_end"] = periodEnd(sub.num("billing_cycle_anchor"), period(sub), sub.num("_periods")+1)
	if err := t.addPeriodLines(inv, next); err != nil {
		return nil, err
	}
	inv["next_payment_attempt"] = sub.num("current_period_end") + draftSeconds
	inv["object"] = "invoice"
	delete(inv, "id") // it does not exist yet
	return inv, nil
}
