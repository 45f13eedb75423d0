package stripesandbox

import (
	"net/http"
	"time"
)

func paymentMethodRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/payment_methods", params: "type card billing_details metadata", run: createPaymentMethod},
		{method: http.MethodPost, path: "/v1/payment_methods/{id}", params: "billing_details card metadata", run: updatePaymentMethod},
		{method: http.MethodPost, path: "/v1/payment_methods/{id}/attach", params: "customer", run: attachPaymentMethod},
		{method: http.MethodPost, path: "/v1/payment_methods/{id}/detach", run: detachPaymentMethod},
		retrieve("/v1/payment_methods", "payment_method"),
		index("/v1/payment_methods", "payment_method", listField{param: "customer", field: "customer"}, listField{param: "type", field: "type"}),
	}
}

func createPaymentMethod(t *tx, in *params) (object, error) {
	in.need("type")
	if err := in.err(); err != nil {
		return nil, err
	}
	return t.paymentMethodFrom(in)
}

// paymentMethodFrom makes a payment method from type, card and
// billing_details, as a request of its own or as payment_method_data.
func (t *tx) paymentMethodFrom(in *params) (object, error) {
	in.oneOf("type", "card", "card")
	data := in.part("card")
	var card testCard
	var known bool
	month, year := int64(12), int64(0)
	switch {
	case data.filled("token"):
		if card, known = cardByToken(data.str("token")); !known {
			return nil, missing("token", data.str("token"), data.full("token"))
		}
	case data.filled("number"):
		data.need("exp_month", "exp_year")
		month, year = data.num("exp_month", 1, 12), data.num("exp_year", 0, 9999)
		if card, known = cardByNumber(data.str("number")); !known {
			return nil, unknownCard(data.full("number"))
		}
		if year < 100 {
			year += 2000
		}
		if expired(month, year, t.now) {
			return nil, cardError(declineExpired)
		}
	default:
		return nil, invalid("parameter_missing", data.full("number"), "Missing required param: %s.", data.full("number"))
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	if card.invalid != nil {
		return nil, cardError(card.invalid)
	}
	pm := t.newPaymentMethod(card, month, year)
	pm["metadata"] = in.metadata(nil)
	if in.has("billing_details") {
		pm["billing_details"] = billingDetails(in.part("billing_details"))
	}
	t.insert(pm)
	return pm, nil
}

// unknownCard refuses a number that is none of the test cards, without
// repeating it: it may be somebody's real card.
func unknownCard(param string) *apiError {
	e := cardError(&decline{"card_declined", "test_mode_live_card", "Your card was declined. Your request was in test mode, but used a number that is not a known test card."})
	e.body["param"] = param
	return e
}

func expired(month, year, now int64) bool {
	n := time.Unix(now, 0).UTC()
	return year < int64(n.Year()) || (year == int64(n.Year()) && month < int64(n.Month()))
}

// chargeDecline is the reason for which an issuer does not let a card be
// charged; nil where it does. Any card is refused once its last month is over.
func (t *tx) chargeDecline(pm object, card testCard) *decline {
	if saved := pm.sub("card"); card.charge == nil && expired(saved.num("exp_month"), saved.num("exp_year"), t.now) {
		return declineExpired
	}
	return card.charge
}

// newPaymentMethod makes a card that is attached to nobody; year 0 means a few
// years ahead.
func (t *tx) newPaymentMethod(card testCard, month, year int64) object {
	if year == 0 {
		year = int64(time.Unix(t.now, 0).UTC().Year()) + 5
	}
	return object{
		"id": t.newID("pm_"), "object": "payment_method", "billing_details": billingDetails(&params{fail: new(error)}),
		"card": object{
			"brand": card.brandName(), "checks": object{"address_line1_check": nil, "address_postal_code_check": nil, "cvc_check": "pass"},
			"country": "US", "display_brand": card.brandName(), "exp_month": month, "exp_year": year, "fingerprint": "sandbox_" + card.key,
			"funding": card.fundingName(), "generated_from": nil, "last4": card.last4(),
			"networks":             object{"available": []string{card.brandName()}, "preferred": nil},
			"three_d_secure_usage": object{"supported": true}, "wallet": nil,
		},
		"created": t.now, "customer": nil, "livemode": false, "metadata": object{}, "type": "card", "_card": card.key,
	}
}

func billingDetails(in *params) object {
	return object{"address": addressOrEmpty(in.part("address")), "email": orNull(in.str("email")), "name": orNull(in.str("name")), "phone": orNull(in.str("phone"))}
}

func addressOrEmpty(in *params) object {
	out := object{}
	for _, name := range []string{"city", "country", "line1", "line2", "postal_code", "state"} {
		out[name] = orNull(in.str(name))
	}
	return out
}

func updatePaymentMethod(t *tx, in *params) (object, error) {
	pm, err := t.get("payment_method", in.path("id"))
	if err != nil {
		return nil, err
	}
	if pm.str("customer") == "" {
		return nil, conflict("", "You must save this PaymentMethod to a customer before you can update it.")
	}
	card := in.part("card")
	err = t.change(pm, "payment_method.updated", func() {
		if card.filled("exp_month") {
			pm.sub("card")["exp_month"] = card.num("exp_month", 1, 12)
		}
		if card.filled("exp_year") {
			pm.sub("card")["exp_year"] = card.num("exp_year", 2000, 9999)
		}
		if in.has("billing_details") {
			pm["billing_details"] = billingDetails(in.part("billing_details"))
		}
		pm["metadata"] = in.metadata(pm.sub("metadata"))
	})
	if err != nil {
		return nil, err
	}
	return pm, in.err()
}

func attachPaymentMethod(t *tx, in *params) (object, error) {
	in.need("customer")
	if err := in.err(); err != nil {
		return nil, err
	}
	customer, err := t.live("customer", in.str("customer"), "customer")
	if err != nil {
		return nil, err
	}
	pm, err := t.usablePaymentMethod(in.path("id"), customer.id(), "payment_method")
	if err != nil {
		return nil, err
	}
	if err := t.attachPaymentMethod(pm, customer.id()); err != nil {
		return nil, err
	}
	return pm, nil
}

// attachPaymentMethod saves a card for a customer. Cards that refuse to be
// saved give a card error.
func (t *tx) attachPaymentMethod(pm object, customer string) error {
	if pm.str("customer") == customer {
		return nil
	}
	if card, known := cardByKey(pm.str("_card")); known && card.attach != nil {
		e := cardError(card.attach)
		e.body["payment_method"] = present(pm)
		return e
	}
	pm["customer"] = customer
	t.save(pm)
	t.emit("payment_method.attached", pm)
	return nil
}

func detachPaymentMethod(t *tx, in *params) (object, error) {
	pm, err := t.get("payment_method", in.path("id"))
	if err != nil {
		return nil, err
	}
	if pm.str("customer") == "" {
		return nil, conflict("", "The payment method you provided is not attached to a customer so detachment is impossible.")
	}
	return pm, t.detachPaymentMethod(pm)
}

// detachPaymentMethod takes a card from its customer, also as the default.
func (t *tx) detachPaymentMethod(pm object) error {
	customer, err := t.find(pm.str("customer"))
	if err != nil {
		return err
	}
	before, err := pm.clone()
	if err != nil {
		return err
	}
	pm["customer"], pm["_detached"] = nil, true
	t.save(pm)
	t.emitChange("payment_method.detached", pm, changes(before, pm))
	if settings := customer.sub("invoice_settings"); settings.str("default_payment_method") == pm.id() {
		return t.change(customer, "customer.updated", func() { settings["default_payment_method"] = nil })
	}
	return nil
}

// usablePaymentMethod returns the payment method of an id, or a new one for a
// test token, that a customer (or nobody, when it is empty) may pay with.
func (t *tx) usablePaymentMethod(id, customer, param string) (object, error) {
	if card, ok := cardByToken(id); ok {
		pm := t.newPaymentMethod(card, 12, 0)
		t.insert(pm)
		return pm, nil
	}
	pm, err := t.named("payment_method", id, param)
	if err != nil {
		return nil, err
	}
	switch owner := pm.str("customer"); {
	case pm.flag("_detached"):
		return nil, invalid("", param, "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment or was detached from a Customer, and may not be used again.")
	case owner != "" && owner != customer && customer == "":
		return nil, invalid("", param, "The provided PaymentMethod cannot be used here because it belongs to the Customer %s. Please include the Customer.", owner)
	case owner != "" && owner != customer:
		return nil, invalid("", param, "The provided PaymentMethod belongs to another Customer and cannot be used here.")
	}
	return pm, nil
}

// attachedPaymentMethod returns a payment method that is saved for a customer.
func (t *tx) attachedPaymentMethod(id, customer, param string) (object, error) {
	pm, err := t.named("payment_method", id, param)
	if err != nil {
		return nil, err
	}
	if pm.str("customer") != customer {
		return nil, invalid("", param, "The customer does not have a payment method with the ID %s. The payment method must be attached to the customer.", id)
	}
	return pm, nil
}
