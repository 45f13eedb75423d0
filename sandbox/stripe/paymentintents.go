package stripesandbox

import "net/http"

const paymentIntentParams = "amount automatic_payment_methods currency customer description metadata payment_method payment_method_data payment_method_options payment_method_types receipt_email setup_future_usage shipping statement_descriptor statement_descriptor_suffix transfer_group"

func paymentIntentRoutes() []route {
	const confirming = " error_on_requires_action off_session return_url use_stripe_sdk"
	return []route{
		{method: http.MethodPost, path: "/v1/payment_intents", params: paymentIntentParams + " capture_method confirm confirmation_method" + confirming, run: createPaymentIntent},
		{method: http.MethodPost, path: "/v1/payment_intents/{id}", params: paymentIntentParams, run: updatePaymentIntent},
		{method: http.MethodPost, path: "/v1/payment_intents/{id}/confirm", params: "payment_method payment_method_data payment_method_options receipt_email setup_future_usage" + confirming, run: confirmPaymentIntentRoute},
		{method: http.MethodPost, path: "/v1/payment_intents/{id}/cancel", params: "cancellation_reason", run: cancelPaymentIntentRoute},
		{method: http.MethodPost, path: "/v1/payment_intents/{id}/capture", params: "amount_to_capture metadata", run: capturePaymentIntent},
		search("/v1/payment_intents", "payment_intent"),
		retrieve("/v1/payment_intents", "payment_intent"),
		index("/v1/payment_intents", "payment_intent", listField{param: "customer", field: "customer"}),
	}
}

func createPaymentIntent(t *tx, in *params) (object, error) {
	in.need("amount", "currency")
	pi := t.newPaymentIntent()
	pi["capture_method"] = in.oneOf("capture_method", "automatic", "automatic", "automatic_async", "manual")
	pi["confirmation_method"] = in.oneOf("confirmation_method", "automatic", "automatic", "manual")
	if err := t.fillPaymentIntent(pi, in); err != nil {
		return nil, err
	}
	c := readConfirmation(in)
	if !in.flag("confirm", false) {
		for _, name := range []string{"off_session", "error_on_requires_action", "return_url"} {
			if in.filled(name) {
				in.refuse(invalid("", name, "The parameter %s may only be given when confirm is true.", name))
			}
		}
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	t.insert(pi)
	t.emit("payment_intent.created", pi)
	if in.flag("confirm", false) {
		return pi, t.confirmPaymentIntent(pi, c)
	}
	return pi, nil
}

// newPaymentIntent makes an intent for which nothing is set yet.
func (t *tx) newPaymentIntent() object {
	id := t.newID("pi_")
	return object{
		"id": id, "object": "payment_intent", "amount": 0, "amount_capturable": 0, "amount_details": object{"tip": object{}},
		"amount_received": 0, "application": nil, "application_fee_amount": nil, "automatic_payment_methods": nil, "canceled_at": nil,
		"cancellation_reason": nil, "capture_method": "automatic", "client_secret": t.newID(id + "_secret_"), "confirmation_method": "automatic",
		"created": t.now, "currency": nil, "customer": nil, "description": nil, "invoice": nil, "last_payment_error": nil,
		"latest_charge": nil, "livemode": false, "metadata": object{}, "next_action": nil, "on_behalf_of": nil, "payment_method": nil,
		"payment_method_configuration_details": nil,
		"payment_method_options":               object{"card": object{"installments": nil, "mandate_options": nil, "network": nil, "request_three_d_secure": "automatic"}},
		"payment_method_types":                 []string{"card"}, "processing": nil, "receipt_email": nil, "review": nil, "setup_future_usage": nil,
		"shipping": nil, "source": nil, "statement_descriptor": nil, "statement_descriptor_suffix": nil, "status": "requires_payment_method",
		"transfer_data": nil, "transfer_group": nil, "_page": t.newID(""),
	}
}

func (t *tx) fillPaymentIntent(pi object, in *params) error {
	if in.filled("currency") {
		pi["currency"] = in.currency("currency")
	}
	if in.filled("amount") {
		pi["amount"] = in.amount("amount", pi.str("currency"), 1)
	}
	if err := in.err(); err != nil {
		return err
	}
	if err := checkMinimum(pi.num("amount"), pi.str("currency"), "amount"); err != nil {
		return err
	}
	readMethodTypes(in)
	if in.filled("automatic_payment_methods") && in.part("automatic_payment_methods").flag("enabled", false) {
		pi["automatic_payment_methods"] = object{"allow_redirects": in.part("automatic_payment_methods").oneOf("allow_redirects", "always", "always", "never"), "enabled": true}
	}
	if in.filled("customer") {
		customer, err := t.live("customer", in.str("customer"), "customer")
		if err != nil {
			return err
		}
		if former := pi.str("customer"); former != "" && former != customer.id() {
			return invalid("", "customer", "You cannot modify customer on a PaymentIntent once it already has been set.")
		}
		pi["customer"] = customer.id()
	}
	for _, name := range []string{"description", "receipt_email", "statement_descriptor", "statement_descriptor_suffix", "transfer_group"} {
		if in.has(name) {
			pi[name] = orNull(in.str(name))
		}
	}
	if in.has("setup_future_usage") {
		pi["setup_future_usage"] = orNull(in.oneOf("setup_future_usage", "", "off_session", "on_session"))
	}
	if in.has("shipping") {
		shipping := in.part("shipping")
		pi["shipping"] = object{"address": addressOrEmpty(shipping.part("address")), "name": orNull(shipping.str("name")), "phone": orNull(shipping.str("phone"))}
	}
	pi["metadata"] = in.metadata(pi.sub("metadata"))
	method, err := t.methodOf(in, pi.str("customer"))
	if err != nil {
		return err
	}
	if method != "" {
		pi["payment_method"], pi["status"] = method, "requires_confirmation"
	}
	return in.err()
}

// checkMinimum refuses amounts that no card network would take.
func checkMinimum(amount int64, currency, param string) error {
	if least := minimum(currency); amount < least {
		return invalid("amount_too_small", param, "Amount must be at least %s", display(least, currency))
	}
	return nil
}

// checkMaximum refuses amounts that cannot be charged at once.
func checkMaximum(amount int64, param string) error {
	if amount > amountMax {
		return invalid("amount_too_large", param, "Amount must be no more than %d in the smallest unit of its currency.", amountMax)
	}
	return nil
}

func updatePaymentIntent(t *tx, in *params) (object, error) {
	pi, err := t.get("payment_intent", in.path("id"))
	if err != nil {
		return nil, err
	}
	switch pi.str("status") {
	case "requires_payment_method", "requires_confirmation", "requires_action":
	default:
		// Only its notes may change once money moved or never will.
		for _, name := range []string{"amount", "currency", "customer", "payment_method", "payment_method_data"} {
			if in.filled(name) {
				return nil, intentState(pi, "updated")
			}
		}
	}
	if pi.str("invoice") != "" && (in.filled("amount") || in.filled("currency") || in.filled("customer")) {
		return nil, conflict("payment_intent_unexpected_state", "The amount, currency and customer of this PaymentIntent follow its invoice and cannot be changed.")
	}
	status := pi.str("status")
	if err := t.fillPaymentIntent(pi, in); err != nil {
		return nil, err
	}
	if status == "requires_action" {
		pi["next_action"] = nil
		pi["status"] = "requires_confirmation"
	}
	t.save(pi)
	return pi, nil
}

func intentState(pi object, verb string) *apiError {
	e := conflict("payment_intent_unexpected_state", "This PaymentIntent's status is %s and it could not be %s.", pi.str("status"), verb)
	e.body["payment_intent"] = present(pi)
	return e
}

// confirmation is how an intent is confirmed.
type confirmation struct {
	method       string // payment method; the intent's own when empty
	offSession   bool   // the payer is not there to authenticate
	failOnAction bool   // fail instead of asking for authentication
	returnURL    string // where the payer goes after authentication
}

func readConfirmation(in *params) confirmation {
	c := confirmation{failOnAction: in.flag("error_on_requires_action", false), returnURL: in.url("return_url")}
	switch in.str("off_session") {
	case "one_off", "recurring": // older spellings of true
		c.offSession = true
	default:
		c.offSession = in.flag("off_session", false)
	}
	in.flag("use_stripe_sdk", false)
	return c
}

func confirmPaymentIntentRoute(t *tx, in *params) (object, error) {
	pi, err := t.get("payment_intent", in.path("id"))
	if err != nil {
		return nil, err
	}
	c := readConfirmation(in)
	if in.has("receipt_email") {
		pi["receipt_email"] = orNull(in.str("receipt_email"))
	}
	if in.has("setup_future_usage") {
		pi["setup_future_usage"] = orNull(in.oneOf("setup_future_usage", "", "off_session", "on_session"))
	}
	if c.method, err = t.methodOf(in, pi.str("customer")); err != nil {
		return nil, err
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	return pi, t.confirmPaymentIntent(pi, c)
}

// confirmPaymentIntent charges the card, or asks for 3-D Secure first. A card
// that refuses gives a card error, after which the intent wants another card.
func (t *tx) confirmPaymentIntent(pi object, c confirmation) error {
	switch pi.str("status") {
	case "requires_payment_method", "requires_confirmation", "requires_action":
	default:
		return intentState(pi, "confirmed")
	}
	if c.method == "" {
		c.method = pi.str("payment_method")
	}
	if c.method == "" {
		e := conflict("payment_intent_unexpected_state", "You cannot confirm this PaymentIntent because it's missing a payment method.")
		e.body["payment_intent"] = present(pi)
		return e
	}
	pm, err := t.usablePaymentMethod(c.method, pi.str("customer"), "payment_method")
	if err != nil {
		return err
	}
	card, _ := cardByKey(pm.str("_card"))
	pi["payment_method"], pi["last_payment_error"], pi["next_action"] = pm.id(), nil, nil
	if needsAuthentication(card, pm, c.offSession) {
		if c.offSession || c.failOnAction {
			return t.failIntent(pi, pm, card, card.offSessionDecline())
		}
		pi["status"] = "requires_action"
		pi["_return_url"] = orNull(c.returnURL)
		pi["next_action"] = t.nextAction(pi, c.returnURL)
		t.save(pi)
		t.emit("payment_intent.requires_action", pi)
		return t.intentNeedsAction(pi)
	}
	return t.chargeIntent(pi, pm, card)
}

func needsAuthentication(card testCard, pm object, offSession bool) bool {
	switch card.auth {
	case authenticateAlways:
		return true
	case authenticateUnlessSetUp:
		return !pm.flag("_set_up")
	case authenticateOnSession:
		return !offSession
	default:
		return false
	}
}

// nextAction tells the client where 3-D Secure happens: our page, as a
// redirect when there is a way back, else as the client library would open it.
func (t *tx) nextAction(intent object, returnURL string) object {
	page := t.srv.link("/pages/3ds/" + intent.str("_page"))
	if returnURL != "" {
		return object{"type": "redirect_to_url", "redirect_to_url": object{"return_url": returnURL, "url": page}}
	}
	return object{"type": "use_stripe_sdk", "use_stripe_sdk": object{"type": "three_d_secure_redirect", "stripe_js": page, "source": t.newID("src_")}}
}

// chargeIntent moves the money after all checks are behind.
func (t *tx) chargeIntent(pi, pm object, card testCard) error {
	if refusal := t.chargeDecline(pm, card); refusal != nil {
		return t.failIntent(pi, pm, card, refusal)
	}
	charge := t.newCharge(pi, pm, card)
	pi["latest_charge"], pi["next_action"] = charge.id(), nil
	if pi.str("capture_method") == "manual" {
		charge["captured"], charge["amount_captured"] = false, 0
		pi["status"], pi["amount_capturable"] = "requires_capture", pi["amount"]
		t.insert(charge)
		t.save(pi)
		t.emit("payment_intent.amount_capturable_updated", pi)
		t.emit("charge.succeeded", charge)
		return nil
	}
	pi["status"], pi["amount_received"] = "succeeded", pi["amount"]
	t.moveCharge(charge)
	t.insert(charge)
	if pi.str("setup_future_usage") != "" && pi.str("customer") != "" && card.attach == nil {
		pm["_set_up"] = true
		t.save(pm)
		if err := t.attachPaymentMethod(pm, pi.str("customer")); err != nil {
			return err
		}
	}
	t.save(pi)
	t.emit("payment_intent.succeeded", pi)
	t.emit("charge.succeeded", charge)
	if card.dispute != "" {
		t.openDispute(charge, card)
	}
	return t.intentSettled(pi)
}

// failIntent leaves a failed charge behind, lets the intent want another card,
// and returns the error to send.
func (t *tx) failIntent(pi, pm object, card testCard, d *decline) error {
	charge := t.newCharge(pi, pm, card)
	charge["status"], charge["paid"], charge["captured"], charge["amount_captured"] = "failed", false, false, 0
	charge["failure_code"], charge["failure_message"], charge["receipt_url"] = d.code, d.message, nil
	outcome := charge.sub("outcome")
	outcome["network_status"], outcome["reason"], outcome["seller_message"], outcome["type"] = "declined_by_network", orNull(d.reason), "The bank did not approve the payment.", "issuer_declined"
	if d == declineFraud {
		outcome["network_status"], outcome["risk_level"], outcome["reason"], outcome["type"] = "not_sent_to_network", "highest", "highest_risk_level", "blocked"
	}
	t.insert(charge)
	pi["latest_charge"] = charge.id()
	e := cardError(d)
	e.body["charge"] = charge.id()
	t.refuseMethod(pi, pm, e)
	t.emit("charge.failed", charge)
	t.emit("payment_intent.payment_failed", pi)
	if err := t.intentFailed(pi); err != nil {
		return err
	}
	return e
}

// refuseMethod notes the error on the intent and the intent in the error.
func (t *tx) refuseMethod(pi, pm object, e *apiError) {
	reason := object{}
	for key, value := range e.body {
		reason[key] = value
	}
	reason["payment_method"] = present(pm)
	pi["status"], pi["next_action"], pi["payment_method"], pi["last_payment_error"] = "requires_payment_method", nil, nil, reason
	t.save(pi)
	e.body["payment_method"] = present(pm)
	e.body["payment_intent"] = present(pi)
}

// authenticatePayment ends 3-D Secure for a payment intent; done says whether
// the payer completed it. An intent that waits for nothing is left alone, so a
// form sent twice charges once.
func (t *tx) authenticatePayment(pi object, done bool) error {
	if pi.str("status") != "requires_action" {
		return nil
	}
	pm, err := t.get("payment_method", pi.str("payment_method"))
	if err != nil {
		return err
	}
	card, _ := cardByKey(pm.str("_card"))
	if done && !card.authFails {
		return t.chargeIntent(pi, pm, card)
	}
	e := conflict("payment_intent_authentication_failure", "We are unable to authenticate your payment method. Please choose a different payment method and try again.")
	e.keep = true
	t.refuseMethod(pi, pm, e)
	t.emit("payment_intent.payment_failed", pi)
	if err := t.intentFailed(pi); err != nil {
		return err
	}
	return e
}

// intentSettled tells the invoice or checkout session of an intent that it was paid.
func (t *tx) intentSettled(pi object) error {
	if id := pi.str("invoice"); id != "" {
		inv, err := t.get("invoice", id)
		if err != nil {
			return err
		}
		return t.payInvoiceBy(inv, pi)
	}
	if id := pi.str("_session"); id != "" {
		return t.completeSession(id, pi)
	}
	return nil
}

// intentFailed tells the invoice of an intent that an attempt failed.
func (t *tx) intentFailed(pi object) error {
	if pi.str("invoice") == "" {
		return nil
	}
	inv, err := t.get("invoice", pi.str("invoice"))
	if err != nil {
		return err
	}
	return t.invoiceAttemptFailed(inv, pi, false)
}

// intentNeedsAction tells the invoice of an intent that its payer has to act.
func (t *tx) intentNeedsAction(pi object) error {
	if pi.str("invoice") == "" {
		return nil
	}
	inv, err := t.get("invoice", pi.str("invoice"))
	if err != nil {
		return err
	}
	return t.invoiceAttemptFailed(inv, pi, true)
}

func cancelPaymentIntentRoute(t *tx, in *params) (object, error) {
	pi, err := t.get("payment_intent", in.path("id"))
	if err != nil {
		return nil, err
	}
	reason := in.oneOf("cancellation_reason", "", "duplicate", "fraudulent", "requested_by_customer", "abandoned")
	if err := in.err(); err != nil {
		return nil, err
	}
	if pi.str("invoice") != "" {
		return nil, conflict("payment_intent_unexpected_state", "You cannot cancel this PaymentIntent because it belongs to an invoice. Void the invoice instead.")
	}
	switch pi.str("status") {
	case "succeeded", "canceled", "processing":
		return nil, intentState(pi, "canceled")
	}
	if id := pi.str("latest_charge"); id != "" && pi.str("status") == "requires_capture" {
		charge, err := t.get("charge", id)
		if err != nil {
			return nil, err
		}
		charge["refunded"], charge["amount_refunded"] = true, charge["amount"]
		t.save(charge)
		t.emit("charge.refunded", charge)
	}
	t.cancelIntent(pi, reason)
	return pi, nil
}

func (t *tx) cancelIntent(pi object, reason string) {
	pi["status"], pi["canceled_at"], pi["cancellation_reason"] = "canceled", t.now, orNull(reason)
	pi["next_action"], pi["amount_capturable"] = nil, 0
	t.save(pi)
	t.emit("payment_intent.canceled", pi)
}

func capturePaymentIntent(t *tx, in *params) (object, error) {
	pi, err := t.get("payment_intent", in.path("id"))
	if err != nil {
		return nil, err
	}
	if pi.str("status") != "requires_capture" {
		return nil, intentState(pi, "captured")
	}
	amount := pi.num("amount_capturable")
	if in.filled("amount_to_capture") {
		amount = in.amount("amount_to_capture", pi.str("currency"), 1)
	}
	pi["metadata"] = in.metadata(pi.sub("metadata"))
	if amount > pi.num("amount_capturable") {
		in.refuse(invalid("amount_too_large", "amount_to_capture", "The amount to capture is greater than the amount that can be captured."))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	charge, err := t.get("charge", pi.str("latest_charge"))
	if err != nil {
		return nil, err
	}
	charge["captured"], charge["amount_captured"] = true, amount
	// What is not captured goes back, as the API shows it: a refund without an object.
	charge["amount_refunded"] = charge.num("amount") - amount
	t.moveCharge(charge)
	t.save(charge)
	pi["status"], pi["amount_received"], pi["amount_capturable"] = "succeeded", amount, 0
	t.save(pi)
	t.emit("charge.captured", charge)
	t.emit("payment_intent.succeeded", pi)
	return pi, t.intentSettled(pi)
}
