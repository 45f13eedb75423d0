package stripesandbox

import (
	"net/http"
	"strings"
)

func checkoutRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/checkout/sessions", params: "cancel_url client_reference_id currency customer customer_creation customer_email expires_at line_items locale metadata mode payment_intent_data payment_method_types setup_intent_data submit_type success_url ui_mode", run: createSession},
		{method: http.MethodPost, path: "/v1/checkout/sessions/{id}/expire", run: expireSessionRoute},
		{method: http.MethodGet, path: "/v1/checkout/sessions/{id}/line_items", params: listParams, run: sessionLineItems},
		retrieve("/v1/checkout/sessions", "checkout.session"),
		index("/v1/checkout/sessions", "checkout.session", listField{param: "payment_intent", field: "payment_intent"}, listField{param: "customer", field: "customer"},
			listField{param: "status", field: "status"}),
	}
}

// How long a session may be open.
const (
	sessionSecondsMin = 30 * 60
	sessionSecondsMax = 24 * 3600
)

func createSession(t *tx, in *params) (object, error) {
	in.need("mode", "success_url")
	mode := in.oneOf("mode", "", "payment", "setup", "subscription")
	if mode == "subscription" {
		in.refuse(notEmulated("mode", "Mode subscription"))
	}
	in.oneOf("ui_mode", "hosted", "hosted")
	readMethodTypes(in)
	expires := t.now + sessionSecondsMax
	if in.filled("expires_at") {
		expires = in.num("expires_at", t.now+sessionSecondsMin, t.now+sessionSecondsMax)
	}
	id := t.newID("cs_test_" + t.newID(""))
	s := object{
		"id": id, "object": "checkout.session", "after_expiration": nil, "allow_promotion_codes": nil, "amount_subtotal": nil, "amount_total": nil,
		"automatic_tax": object{"enabled": false, "liability": nil, "status": nil}, "billing_address_collection": nil, "cancel_url": orNull(in.url("cancel_url")),
		"client_reference_id": orNull(in.str("client_reference_id")), "client_secret": nil, "consent": nil, "consent_collection": nil, "created": t.now,
		"currency": orNull(in.currency("currency")), "currency_conversion": nil, "custom_fields": []any{}, "custom_text": object{"after_submit": nil, "shipping_address": nil, "submit": nil, "terms_of_service_acceptance": nil},
		"customer": nil, "customer_creation": nil, "customer_details": nil, "customer_email": orNull(in.str("customer_email")), "expires_at": expires,
		"invoice": nil, "invoice_creation": nil, "line_items": listOf("/v1/checkout/sessions/"+id+"/line_items", nil), "livemode": false,
		"locale": orNull(in.str("locale")), "metadata": in.metadata(nil), "mode": mode, "payment_intent": nil, "payment_link": nil,
		"payment_method_collection": "always", "payment_method_configuration_details": nil, "payment_method_options": object{}, "payment_method_types": []string{"card"},
		"payment_status": "unpaid", "phone_number_collection": object{"enabled": false}, "recovered_from": nil, "setup_intent": nil, "shipping_address_collection": nil,
		"shipping_cost": nil, "shipping_details": nil, "shipping_options": []any{}, "status": "open", "submit_type": orNull(in.str("submit_type")), "subscription": nil,
		"success_url": in.url("success_url"), "total_details": nil, "ui_mode": "hosted", "url": t.srv.link("/pages/checkout/" + id), "_page": id,
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	if in.filled("customer") {
		customer, err := t.live("customer", in.str("customer"), "customer")
		if err != nil {
			return nil, err
		}
		if in.filled("customer_email") {
			return nil, invalid("parameters_exclusive", "customer_email", "You may only specify one of these parameters: customer, customer_email.")
		}
		s["customer"] = customer.id()
	}
	var err error
	if mode == "payment" {
		err = t.fillPaymentSession(s, in)
	} else {
		err = t.fillSetupSession(s, in)
	}
	if err != nil {
		return nil, err
	}
	t.insert(s)
	return s, nil
}

func (t *tx) fillPaymentSession(s object, in *params) error {
	in.need("line_items")
	if in.filled("setup_intent_data") {
		in.refuse(invalid("", "setup_intent_data", "You can not pass `setup_intent_data` in `payment` mode."))
	}
	s["customer_creation"] = in.oneOf("customer_creation", "if_required", "always", "if_required")
	if s.str("customer") != "" {
		s["customer_creation"] = nil
	}
	data := in.part("payment_intent_data")
	note := object{
		"metadata": data.metadata(nil), "description": orNull(data.str("description")), "receipt_email": orNull(data.str("receipt_email")),
		"capture_method":       data.oneOf("capture_method", "automatic", "automatic", "automatic_async", "manual"),
		"setup_future_usage":   orNull(data.oneOf("setup_future_usage", "", "off_session", "on_session")),
		"statement_descriptor": orNull(data.str("statement_descriptor")), "transfer_group": orNull(data.str("transfer_group")),
	}
	for name := range data.values {
		if _, known := note[name]; !known {
			in.refuse(notEmulated(data.full(name), data.full(name)))
		}
	}
	if err := in.err(); err != nil {
		return err
	}
	lines, err := t.readLines(in, "line_items")
	if err != nil {
		return err
	}
	for _, line := range lines {
		if line.price.sub("recurring") != nil {
			return invalid("", "line_items", "You must provide at least one recurring price in `subscription` mode; in `payment` mode all prices must be one-time prices.")
		}
	}
	items, err := t.lineItems(lines)
	if err != nil {
		return err
	}
	currency, total := lines[0].price.str("currency"), sum(items, "amount_total")
	if sent := s.str("currency"); sent != "" && sent != currency {
		return invalid("", "currency", "The currency of the session is another than that of its prices.")
	}
	if err := checkMinimum(total, currency, "line_items"); err != nil {
		return err
	}
	if total > amountMax {
		return invalid("amount_too_large", "line_items", "The total amount is too large.")
	}
	s["line_items"] = listOf("/v1/checkout/sessions/"+s.id()+"/line_items", items)
	s["currency"], s["amount_subtotal"], s["amount_total"] = currency, total, total
	s["total_details"] = object{"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0}
	s["_payment_intent_data"] = note
	return nil
}

func (t *tx) fillSetupSession(s object, in *params) error {
	for _, name := range []string{"line_items", "payment_intent_data"} {
		if in.filled(name) {
			in.refuse(invalid("", name, "You can not pass `%s` in `setup` mode.", name))
		}
	}
	if !in.filled("currency") && !in.filled("payment_method_types") {
		in.refuse(invalid("parameter_missing", "currency", "Missing required param: currency. It is needed in `setup` mode when payment_method_types is not set."))
	}
	s["customer_creation"] = orNull(in.oneOf("customer_creation", "", "always", "if_required"))
	data := in.part("setup_intent_data")
	si := t.newSetupIntent()
	si["metadata"], si["description"] = data.metadata(nil), orNull(data.str("description"))
	si["customer"], si["_session"] = s["customer"], s.id()
	if err := in.err(); err != nil {
		return err
	}
	t.insert(si)
	t.emit("setup_intent.created", si)
	s["setup_intent"], s["payment_status"] = si.id(), "no_payment_required"
	return nil
}

// sessionCustomer makes the customer a session has to end with, if any.
func (t *tx) sessionCustomer(s object, wanted bool) {
	if s.str("customer") != "" || (!wanted && s.str("customer_creation") != "always") {
		return
	}
	customer := t.newCustomer()
	customer["email"] = s["customer_email"]
	t.insert(customer)
	t.emit("customer.created", customer)
	s["customer"] = customer.id()
}

// sessionIntent returns the payment intent of a payment session; the first
// attempt to pay makes it.
func (t *tx) sessionIntent(s object) (object, error) {
	if id := s.str("payment_intent"); id != "" {
		return t.get("payment_intent", id)
	}
	note := s.sub("_payment_intent_data")
	t.sessionCustomer(s, note.str("setup_future_usage") != "")
	pi := t.newPaymentIntent()
	pi["amount"], pi["currency"], pi["customer"], pi["_session"] = s["amount_total"], s["currency"], s["customer"], s.id()
	for key, value := range note {
		pi[key] = value
	}
	s["payment_intent"] = pi.id()
	t.insert(pi)
	t.save(s)
	t.emit("payment_intent.created", pi)
	return pi, nil
}

// completeSession ends the session of a payment intent that succeeded.
func (t *tx) completeSession(id string, _ object) error {
	s, err := t.get("checkout.session", id)
	if err != nil {
		return err
	}
	s["payment_status"] = "paid"
	return t.endSession(s)
}

// setupSettled ends the session of a setup intent that succeeded.
func (t *tx) setupSettled(si object) error {
	if si.str("_session") == "" {
		return nil
	}
	s, err := t.get("checkout.session", si.str("_session"))
	if err != nil {
		return err
	}
	return t.endSession(s)
}

func (t *tx) endSession(s object) error {
	if s.str("status") == "complete" {
		return nil
	}
	email := s["customer_email"]
	customer, err := t.find(s.str("customer"))
	if err != nil {
		return err
	}
	if customer != nil {
		email = customer["email"]
	}
	s["customer_details"] = object{"address": nil, "email": email, "name": nil, "phone": nil, "tax_exempt": "none", "tax_ids": []any{}}
	s["status"], s["url"] = "complete", nil
	t.save(s)
	t.emit("checkout.session.completed", s)
	return nil
}

func expireSessionRoute(t *tx, in *params) (object, error) {
	s, err := t.get("checkout.session", in.path("id"))
	if err != nil {
		return nil, err
	}
	if s.str("status") != "open" {
		return nil, conflict("", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of %s.", s.str("status"))
	}
	return s, t.expireSession(s)
}

// expireSession ends an open session unpaid; an intent it had begun ends too.
func (t *tx) expireSession(s object) error {
	s["status"], s["url"] = "expired", nil
	t.save(s)
	if pi, err := t.find(s.str("payment_intent")); err != nil {
		return err
	} else if pi != nil && pi.str("status") != "succeeded" && pi.str("status") != "canceled" {
		t.cancelIntent(pi, "abandoned")
	}
	if si, err := t.find(s.str("setup_intent")); err != nil {
		return err
	} else if si != nil && si.str("status") != "succeeded" && si.str("status") != "canceled" {
		si["status"], si["next_action"], si["cancellation_reason"] = "canceled", nil, "abandoned"
		t.save(si)
		t.emit("setup_intent.canceled", si)
	}
	t.emit("checkout.session.expired", s)
	return nil
}

// successURL is where the payer goes after a completed session.
func successURL(s object) string {
	return strings.ReplaceAll(s.str("success_url"), "{CHECKOUT_SESSION_ID}", s.id())
}

func sessionLineItems(t *tx, in *params) (object, error) {
	s, err := t.get("checkout.session", in.path("id"))
	if err != nil {
		return nil, err
	}
	return pageOf(in, "line_item", "/v1/checkout/sessions/"+s.id()+"/line_items", s.items("line_items"))
}
