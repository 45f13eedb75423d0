package stripesandbox

import (
	"errors"
	"net/http"
)

// retrySeconds are the pauses between the automatic attempts to collect an
// invoice after the first one failed.
var retrySeconds = []int64{5 * 86400, 4 * 86400, 3 * 86400}

func payInvoiceRoute(t *tx, in *params) (object, error) {
	inv, err := t.get("invoice", in.path("id"))
	if err != nil {
		return nil, err
	}
	outOfBand := in.flag("paid_out_of_band", false)
	offSession := in.flag("off_session", true)
	if in.flag("forgive", false) {
		in.refuse(notEmulated("forgive", "Forgiving a difference"))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	switch inv.str("status") {
	case "open", "uncollectible":
	case "paid":
		return nil, conflict("", "Invoice is already paid")
	default:
		return nil, invoiceState(inv, "paid")
	}
	if outOfBand {
		if in.filled("payment_method") {
			return nil, invalid("parameters_exclusive", "payment_method", "You may only specify one of these parameters: paid_out_of_band, payment_method.")
		}
		inv["paid_out_of_band"] = true
		if err := t.cancelInvoiceIntent(inv, ""); err != nil {
			return nil, err
		}
		return inv, t.markPaid(inv)
	}
	method, err := t.invoiceMethod(inv, in.str("payment_method"))
	if err != nil {
		return nil, err
	}
	if inv.num("attempt_count") == 0 {
		inv["attempt_count"] = 1
	}
	return t.collect(inv, method, offSession)
}

// invoiceMethod returns the payment method to charge: the given one, or the
// default of the invoice, its subscription or its customer.
func (t *tx) invoiceMethod(inv object, given string) (string, error) {
	if given != "" {
		return given, nil
	}
	if id := inv.str("default_payment_method"); id != "" {
		return id, nil
	}
	sub, err := t.find(inv.str("subscription"))
	if err != nil {
		return "", err
	}
	if id := sub.str("default_payment_method"); id != "" {
		return id, nil
	}
	customer, err := t.find(inv.str("customer"))
	if err != nil {
		return "", err
	}
	if id := customer.sub("invoice_settings").str("default_payment_method"); id != "" {
		return id, nil
	}
	return "", conflict("", "There is no `default_payment_method` set on this Customer or Invoice. Please set an appropriate default payment method or give one.")
}

// collect charges an invoice through its payment intent and returns the
// invoice as it is afterwards. A card that wants 3-D Secure gives a 402, and
// the intent keeps waiting for the payer.
func (t *tx) collect(inv object, method string, offSession bool) (object, error) {
	pi, err := t.get("payment_intent", inv.str("payment_intent"))
	if err != nil {
		return nil, err
	}
	inv["attempted"] = true
	t.save(inv)
	// off_session would make the intent fail where authentication is asked
	// for; an invoice's intent waits instead, since its payer has the hosted
	// page. Cards that were set up for it pass without asking.
	pm, err := t.usablePaymentMethod(method, pi.str("customer"), "payment_method")
	if err != nil {
		return nil, err
	}
	card, _ := cardByKey(pm.str("_card"))
	absent := offSession && !needsAuthentication(card, pm, true)
	if err := t.confirmPaymentIntent(pi, confirmation{method: pm.id(), offSession: absent}); err != nil {
		return nil, err
	}
	after, err := t.get("invoice", inv.id())
	if err != nil {
		return nil, err
	}
	if pi.str("status") == "requires_action" {
		e := &apiError{status: http.StatusPaymentRequired, executed: true, keep: true, body: object{
			"type": typeCard, "code": "invoice_payment_intent_requires_action",
			"message":        "Payment for this invoice requires additional user action before it can be completed successfully. Payment can be completed using the PaymentIntent associated with the invoice.",
			"payment_intent": present(pi), "payment_method": present(pm),
			"doc_url": "https://stripe.com/docs/error-codes/invoice-payment-intent-requires-action",
		}}
		return nil, e
	}
	return after, nil
}

// payInvoiceBy marks an invoice paid by its succeeded payment intent.
func (t *tx) payInvoiceBy(inv, pi object) error {
	inv["charge"], inv["attempted"] = pi["latest_charge"], true
	return t.markPaid(inv)
}

// markPaid ends an invoice as paid. One that is paid already stays as it is.
func (t *tx) markPaid(inv object) error {
	if inv.str("status") == "paid" {
		return nil
	}
	before, err := inv.clone()
	if err != nil {
		return err
	}
	inv["status"], inv["paid"], inv["auto_advance"], inv["next_payment_attempt"] = "paid", true, false, nil
	inv["amount_paid"], inv["amount_remaining"] = inv["amount_due"], 0
	inv.sub("status_transitions")["paid_at"] = t.now
	t.save(inv)
	t.emitChange("invoice.updated", inv, changes(before, inv))
	t.emit("invoice.paid", inv)
	t.emit("invoice.payment_succeeded", inv)
	return t.subscriptionPaid(inv)
}

// invoiceAttemptFailed notes that a payment did not come; action says that
// the payer can still authenticate it.
func (t *tx) invoiceAttemptFailed(inv, pi object, action bool) error {
	inv["attempted"], inv["charge"] = true, pi["latest_charge"]
	t.save(inv)
	if action {
		t.emit("invoice.payment_action_required", inv)
	}
	t.emit("invoice.payment_failed", inv)
	return t.subscriptionUnpaid(inv)
}

// collectAutomatically is the attempt that an open invoice had planned. When
// it fails the next one is planned, until none is left.
func (t *tx) collectAutomatically(inv object) error {
	attempts := inv.num("_automatic_attempts")
	inv["_automatic_attempts"], inv["attempt_count"], inv["next_payment_attempt"] = attempts+1, inv.num("attempt_count")+1, nil
	if attempts < int64(len(retrySeconds)) {
		inv["next_payment_attempt"] = t.now + retrySeconds[attempts]
	}
	t.save(inv)
	method, err := t.invoiceMethod(inv, "")
	var refused *apiError
	if errors.As(err, &refused) {
		// Nothing to charge: the attempt failed without reaching a card.
		pi, err := t.get("payment_intent", inv.str("payment_intent"))
		if err != nil {
			return err
		}
		return t.invoiceAttemptFailed(inv, pi, false)
	}
	if err != nil {
		return err
	}
	if _, err = t.collect(inv, method, true); errors.As(err, &refused) {
		return nil
	}
	return err
}
