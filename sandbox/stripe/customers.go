package stripesandbox

import (
	"net/http"
	"strings"
)

const customerParams = "address balance description email invoice_prefix invoice_settings metadata name next_invoice_sequence payment_method phone preferred_locales shipping tax_exempt"

func customerRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/customers", params: customerParams, run: createCustomer},
		{method: http.MethodPost, path: "/v1/customers/{id}", params: customerParams, run: updateCustomer},
		{method: http.MethodDelete, path: "/v1/customers/{id}", run: deleteCustomer},
		{method: http.MethodGet, path: "/v1/customers/{id}/payment_methods", params: listParams + " type", run: listCustomerPaymentMethods},
		{method: http.MethodGet, path: "/v1/customers/{id}/payment_methods/{method}", run: getCustomerPaymentMethod},
		retrieve("/v1/customers", "customer"),
		index("/v1/customers", "customer", listField{param: "email", field: "email"}),
	}
}

func createCustomer(t *tx, in *params) (object, error) {
	c := t.newCustomer()
	method, err := t.fillCustomer(c, in)
	if err != nil {
		return nil, err
	}
	t.insert(c)
	if method != "" {
		pm, err := t.usablePaymentMethod(method, "", "payment_method")
		if err != nil {
			return nil, err
		}
		if err := t.attachPaymentMethod(pm, c.id()); err != nil {
			return nil, err
		}
	}
	t.emit("customer.created", c)
	return c, nil
}

// newCustomer makes a customer about whom nothing is known.
func (t *tx) newCustomer() object {
	prefix := strings.ToUpper(t.newID(""))
	return object{
		"id": t.newID("cus_"), "object": "customer", "address": nil, "balance": 0, "created": t.now, "currency": nil,
		"default_source": nil, "delinquent": false, "description": nil, "discount": nil, "email": nil,
		"invoice_prefix":   prefix[:min(8, len(prefix))],
		"invoice_settings": object{"custom_fields": nil, "default_payment_method": nil, "footer": nil, "rendering_options": nil},
		"livemode":         false, "metadata": object{}, "name": nil, "next_invoice_sequence": 1, "phone": nil,
		"preferred_locales": []any{}, "shipping": nil, "tax_exempt": "none", "test_clock": nil, "_next_quote": 1,
	}
}

// fillCustomer applies the parameters and returns the payment method to
// attach, if one was named. It checks before it changes anything.
func (t *tx) fillCustomer(c object, in *params) (string, error) {
	for _, name := range []string{"description", "email", "name", "phone"} {
		if in.has(name) {
			c[name] = orNull(in.str(name))
		}
	}
	if in.filled("email") && !strings.Contains(in.str("email"), "@") {
		in.refuse(invalid("email_invalid", "email", "Invalid email address: %s", in.str("email")))
	}
	if in.has("address") {
		c["address"] = address(in.part("address"))
	}
	if in.has("shipping") {
		shipping := in.part("shipping")
		c["shipping"] = object{"name": orNull(shipping.str("name")), "phone": orNull(shipping.str("phone")), "address": address(shipping.part("address"))}
	}
	if in.filled("preferred_locales") {
		c["preferred_locales"] = in.texts("preferred_locales")
	}
	if in.filled("tax_exempt") {
		c["tax_exempt"] = in.oneOf("tax_exempt", "none", "none", "exempt", "reverse")
	}
	if in.filled("balance") {
		c["balance"] = in.num("balance", -amountMax, amountMax)
	}
	if in.filled("next_invoice_sequence") {
		c["next_invoice_sequence"] = in.num("next_invoice_sequence", 1, 1_000_000_000)
	}
	if prefix := in.str("invoice_prefix"); prefix != "" {
		if len(prefix) < 3 || len(prefix) > 12 || strings.Trim(prefix, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			in.refuse(invalid("", "invoice_prefix", "The invoice prefix must be 3 to 12 upper-case letters or digits."))
		}
		c["invoice_prefix"] = prefix
	}
	c["metadata"] = in.metadata(c.sub("metadata"))
	settings := in.part("invoice_settings")
	if settings.has("footer") {
		c.sub("invoice_settings")["footer"] = orNull(settings.str("footer"))
	}
	if settings.has("default_payment_method") {
		id := settings.str("default_payment_method")
		if id != "" {
			if _, err := t.attachedPaymentMethod(id, c.id(), settings.full("default_payment_method")); err != nil {
				return "", err
			}
		}
		c.sub("invoice_settings")["default_payment_method"] = orNull(id)
	}
	return in.str("payment_method"), in.err()
}

func address(in *params) any {
	if len(in.values) == 0 {
		return nil
	}
	out := object{}
	for _, name := range []string{"city", "country", "line1", "line2", "postal_code", "state"} {
		out[name] = orNull(in.str(name))
	}
	return out
}

func updateCustomer(t *tx, in *params) (object, error) {
	c, err := t.live("customer", in.path("id"), "id")
	if err != nil {
		return nil, err
	}
	before, err := c.clone()
	if err != nil {
		return nil, err
	}
	if in.has("payment_method") {
		in.refuse(invalid("parameter_unknown", "payment_method", "Received unknown parameter: payment_method"))
	}
	if _, err := t.fillCustomer(c, in); err != nil {
		return nil, err
	}
	t.save(c)
	if err := t.tellDrafts(c); err != nil {
		return nil, err
	}
	t.emitChange("customer.updated", c, changes(before, c))
	return c, nil
}

// tellDrafts shows the customer's balance on the drafts that it will be applied
// to.
func (t *tx) tellDrafts(c object) error {
	drafts, _, err := t.list(listing{kind: "invoice", filters: []filter{{"customer", "=", c.id()}, {"status", "=", "draft"}}})
	if err != nil {
		return err
	}
	for _, inv := range drafts {
		inv["starting_balance"] = c["balance"]
		t.save(inv)
	}
	return nil
}

func deleteCustomer(t *tx, in *params) (object, error) {
	c, err := t.live("customer", in.path("id"), "id")
	if err != nil {
		return nil, err
	}
	methods, _, err := t.list(listing{kind: "payment_method", filters: []filter{{"customer", "=", c.id()}}})
	if err != nil {
		return nil, err
	}
	for _, pm := range methods {
		if err := t.detachPaymentMethod(pm); err != nil {
			return nil, err
		}
	}
	subscriptions, _, err := t.list(listing{kind: "subscription", filters: []filter{{"customer", "=", c.id()}}})
	if err != nil {
		return nil, err
	}
	for _, sub := range subscriptions {
		if !subscriptionEnded(sub) {
			if err := t.endSubscription(sub, "canceled"); err != nil {
				return nil, err
			}
		}
	}
	t.emit("customer.deleted", c)
	return t.bury(c), nil
}

func listCustomerPaymentMethods(t *tx, in *params) (object, error) {
	c, err := t.live("customer", in.path("id"), "id")
	if err != nil {
		return nil, err
	}
	l := readPage(in)
	l.kind = "payment_method"
	l.filters = append(l.filters, filter{"customer", "=", c.id()})
	if kind := in.str("type"); kind != "" {
		l.filters = append(l.filters, filter{"type", "=", kind})
	}
	return t.page(in, "/v1/customers/"+c.id()+"/payment_methods", l)
}

func getCustomerPaymentMethod(t *tx, in *params) (object, error) {
	return t.attachedPaymentMethod(in.path("method"), in.path("id"), "payment_method")
}
