package stripesandbox

import "net/http"

const setupIntentParams = "automatic_payment_methods customer description metadata payment_method payment_method_data payment_method_types"

func setupIntentRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/setup_intents", params: setupIntentParams + " confirm return_url usage use_stripe_sdk", run: createSetupIntent},
		{method: http.MethodPost, path: "/v1/setup_intents/{id}", params: setupIntentParams, run: updateSetupIntent},
		{method: http.MethodPost, path: "/v1/setup_intents/{id}/confirm", params: "payment_method payment_method_data return_url use_stripe_sdk", run: confirmSetupIntentRoute},
		{method: http.MethodPost, path: "/v1/setup_intents/{id}/cancel", params: "cancellation_reason", run: cancelSetupIntent},
		retrieve("/v1/setup_intents", "setup_intent"),
		index("/v1/setup_intents", "setup_intent", listField{param: "customer", field: "customer"}, listField{param: "payment_method", field: "payment_method"}),
	}
}

func createSetupIntent(t *tx, in *params) (object, error) {
	si := t.newSetupIntent()
	si["usage"] = in.oneOf("usage", "off_session", "off_session", "on_session")
	if err := t.fillSetupIntent(si, in); err != nil {
		return nil, err
	}
	if in.filled("return_url") && !in.flag("confirm", false) {
		in.refuse(invalid("", "return_url", "The parameter return_url may only be given when confirm is true."))
	}
	returnURL := in.url("return_url")
	if err := in.err(); err != nil {
		return nil, err
	}
	t.insert(si)
	t.emit("setup_intent.created", si)
	if in.flag("confirm", false) {
		return si, t.confirmSetupIntent(si, confirmation{returnURL: returnURL})
	}
	return si, nil
}

func (t *tx) newSetupIntent() object {
	id := t.newID("seti_")
	return object{
		"id": id, "object": "setup_intent", "application": nil, "automatic_payment_methods": nil, "cancellation_reason": nil,
		"client_secret": t.newID(id + "_secret_"), "created": t.now, "customer": nil, "description": nil, "flow_directions": nil,
		"last_setup_error": nil, "latest_attempt": nil, "livemode": false, "mandate": nil, "metadata": object{}, "next_action": nil,
		"on_behalf_of": nil, "payment_method": nil, "payment_method_options": object{"card": object{"mandate_options": nil, "network": nil, "request_three_d_secure": "automatic"}},
		"payment_method_types": []string{"card"}, "single_use_mandate": nil, "status": "requires_payment_method", "usage": "off_session",
		"_page": t.newID(""),
	}
}

func (t *tx) fillSetupIntent(si object, in *params) error {
	readMethodTypes(in)
	if in.filled("customer") {
		customer, err := t.live("customer", in.str("customer"), "customer")
		if err != nil {
			return err
		}
		si["customer"] = customer.id()
	}
	if in.has("description") {
		si["description"] = orNull(in.str("description"))
	}
	si["metadata"] = in.metadata(si.sub("metadata"))
	method, err := t.methodOf(in, si.str("customer"))
	if err != nil {
		return err
	}
	if method != "" {
		si["payment_method"], si["status"] = method, "requires_confirmation"
	}
	return in.err()
}

// methodOf returns the id of the payment method a request names or describes;
// "" when it does neither.
func (t *tx) methodOf(in *params, customer string) (string, error) {
	var pm object
	var err error
	switch {
	case in.filled("payment_method"):
		pm, err = t.usablePaymentMethod(in.str("payment_method"), customer, "payment_method")
	case in.filled("payment_method_data"):
		pm, err = t.paymentMethodFrom(in.part("payment_method_data"))
	default:
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return pm.id(), nil
}

// readMethodTypes refuses other kinds of payment methods than cards.
func readMethodTypes(in *params) {
	if !in.filled("payment_method_types") {
		return
	}
	for _, kind := range in.texts("payment_method_types") {
		if kind != "card" {
			in.refuse(notEmulated("payment_method_types", "The payment method type "+kind))
		}
	}
}

func updateSetupIntent(t *tx, in *params) (object, error) {
	si, err := t.get("setup_intent", in.path("id"))
	if err != nil {
		return nil, err
	}
	if s := si.str("status"); s == "succeeded" || s == "canceled" {
		return nil, setupIntentState(si, "updated")
	}
	if err := t.fillSetupIntent(si, in); err != nil {
		return nil, err
	}
	t.save(si)
	return si, nil
}

func setupIntentState(si object, verb string) *apiError {
	e := conflict("setup_intent_unexpected_state", "This SetupIntent cannot be %s because it has a status of %s.", verb, si.str("status"))
	e.body["setup_intent"] = present(si)
	return e
}

func confirmSetupIntentRoute(t *tx, in *params) (object, error) {
	si, err := t.get("setup_intent", in.path("id"))
	if err != nil {
		return nil, err
	}
	method, err := t.methodOf(in, si.str("customer"))
	if err != nil {
		return nil, err
	}
	returnURL := in.url("return_url")
	if err := in.err(); err != nil {
		return nil, err
	}
	return si, t.confirmSetupIntent(si, confirmation{method: method, returnURL: returnURL})
}

// confirmSetupIntent saves the card, or asks for 3-D Secure first. A card that
// refuses gives a card error, after which the intent wants another card.
func (t *tx) confirmSetupIntent(si object, c confirmation) error {
	switch si.str("status") {
	case "succeeded", "canceled":
		return setupIntentState(si, "confirmed")
	}
	if c.method == "" {
		c.method = si.str("payment_method")
	}
	if c.method == "" {
		return conflict("setup_intent_unexpected_state", "You cannot confirm this SetupIntent because it's missing a payment method.")
	}
	pm, err := t.get("payment_method", c.method)
	if err != nil {
		return err
	}
	si["payment_method"], si["last_setup_error"], si["next_action"] = pm.id(), nil, nil
	card, _ := cardByKey(pm.str("_card"))
	if card.auth == authenticateAlways || card.auth == authenticateUnlessSetUp && !pm.flag("_set_up") {
		si["status"] = "requires_action"
		si["_return_url"] = orNull(c.returnURL)
		si["next_action"] = t.nextAction(si, c.returnURL)
		t.save(si)
		t.emit("setup_intent.requires_action", si)
		return nil
	}
	return t.finishSetup(si, pm, card)
}

// finishSetup saves the card after all checks are behind.
func (t *tx) finishSetup(si, pm object, card testCard) error {
	if card.attach != nil {
		return t.failSetup(si, pm, cardError(card.attach))
	}
	pm["_set_up"] = true
	t.save(pm)
	if customer := si.str("customer"); customer != "" {
		if err := t.attachPaymentMethod(pm, customer); err != nil {
			return err
		}
	}
	si["status"], si["next_action"] = "succeeded", nil
	t.save(si)
	t.emit("setup_intent.succeeded", si)
	return t.setupSettled(si)
}

// failSetup notes why the card was refused and returns the error to send.
func (t *tx) failSetup(si, pm object, e *apiError) error {
	reason := object{}
	for key, value := range e.body {
		reason[key] = value
	}
	reason["payment_method"] = present(pm)
	si["status"], si["next_action"], si["payment_method"], si["last_setup_error"] = "requires_payment_method", nil, nil, reason
	t.save(si)
	t.emit("setup_intent.setup_failed", si)
	e.body["payment_method"] = present(pm)
	e.body["setup_intent"] = present(si)
	e.executed, e.keep = true, true
	return e
}

// authenticateSetup ends 3-D Secure for a setup intent; done says whether the
// payer completed it. An intent that waits for nothing is left alone.
func (t *tx) authenticateSetup(si object, done bool) error {
	if si.str("status") != "requires_action" {
		return nil
	}
	pm, err := t.get("payment_method", si.str("payment_method"))
	if err != nil {
		return err
	}
	card, _ := cardByKey(pm.str("_card"))
	if !done || card.authFails {
		e := conflict("setup_intent_authentication_failure", "We are unable to authenticate your payment method. Please choose a different payment method and try again.")
		return t.failSetup(si, pm, e)
	}
	return t.finishSetup(si, pm, card)
}

func cancelSetupIntent(t *tx, in *params) (object, error) {
	si, err := t.get("setup_intent", in.path("id"))
	if err != nil {
		return nil, err
	}
	reason := in.oneOf("cancellation_reason", "", "abandoned", "requested_by_customer", "duplicate")
	if err := in.err(); err != nil {
		return nil, err
	}
	if s := si.str("status"); s == "succeeded" || s == "canceled" {
		return nil, setupIntentState(si, "canceled")
	}
	si["status"], si["next_action"], si["cancellation_reason"] = "canceled", nil, orNull(reason)
	t.save(si)
	t.emit("setup_intent.canceled", si)
	return si, nil
}
