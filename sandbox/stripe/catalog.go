package stripesandbox

import (
	"net/http"
	"strconv"
)

const productParams = "active default_price_data description features images metadata name statement_descriptor tax_code unit_label url shippable"

func productRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/products", params: productParams + " id", run: createProduct},
		{method: http.MethodPost, path: "/v1/products/{id}", params: productParams + " default_price", run: updateProduct},
		{method: http.MethodDelete, path: "/v1/products/{id}", run: deleteProduct},
		retrieve("/v1/products", "product"),
		index("/v1/products", "product", listField{param: "active", field: "active", flag: true}),
	}
}

func createProduct(t *tx, in *params) (object, error) {
	in.need("name")
	p := object{
		"id": in.str("id"), "object": "product", "active": in.flag("active", true), "created": t.now, "default_price": nil,
		"description": nil, "features": []any{}, "images": []any{}, "livemode": false, "metadata": object{}, "name": nil,
		"package_dimensions": nil, "shippable": nil, "statement_descriptor": nil, "tax_code": nil, "type": "service",
		"unit_label": nil, "updated": t.now, "url": nil,
	}
	if p.id() == "" {
		p["id"] = t.newID("prod_")
	} else if taken, err := t.find(p.id()); err != nil {
		return nil, err
	} else if taken != nil {
		return nil, invalid("resource_already_exists", "id", "Product already exists.")
	}
	if err := fillProduct(p, in); err != nil {
		return nil, err
	}
	t.insert(p)
	t.emit("product.created", p)
	if in.filled("default_price_data") {
		price, err := t.newPrice(in.part("default_price_data"), p.id())
		if err != nil {
			return nil, err
		}
		p["default_price"] = price.id()
		t.save(p)
	}
	return p, nil
}

func fillProduct(p object, in *params) error {
	if in.has("name") && !in.filled("name") {
		in.refuse(invalid("parameter_invalid_empty", "name", "You passed an empty string for 'name'."))
	}
	for _, name := range []string{"name", "description", "statement_descriptor", "tax_code", "unit_label", "url"} {
		if in.has(name) {
			p[name] = orNull(in.str(name))
		}
	}
	if in.filled("active") {
		p["active"] = in.flag("active", true)
	}
	if in.filled("shippable") {
		p["shippable"] = in.flag("shippable", false)
	}
	if in.has("images") {
		p["images"] = append([]string{}, in.texts("images")...)
	}
	if in.has("features") {
		features := []object{}
		for _, f := range in.list("features") {
			f.need("name")
			features = append(features, object{"name": f.str("name")})
		}
		p["features"] = features
	}
	p["metadata"] = in.metadata(p.sub("metadata"))
	return in.err()
}

func updateProduct(t *tx, in *params) (object, error) {
	p, err := t.get("product", in.path("id"))
	if err != nil {
		return nil, err
	}
	if id := in.str("default_price"); id != "" {
		price, err := t.named("price", id, "default_price")
		if err != nil {
			return nil, err
		}
		if price.str("product") != p.id() {
			return nil, invalid("", "default_price", "The price %s belongs to another product.", id)
		}
	}
	err = t.change(p, "product.updated", func() {
		in.refuse(fillProduct(p, in))
		if in.has("default_price") {
			p["default_price"] = orNull(in.str("default_price"))
		}
		p["updated"] = t.now
	})
	if err != nil {
		return nil, err
	}
	return p, in.err()
}

func deleteProduct(t *tx, in *params) (object, error) {
	p, err := t.get("product", in.path("id"))
	if err != nil {
		return nil, err
	}
	prices, _, err := t.list(listing{kind: "price", filters: []filter{{"product", "=", p.id()}}, limit: 1})
	if err != nil {
		return nil, err
	}
	if len(prices) > 0 {
		return nil, conflict("", "This product cannot be deleted because it has one or more user-created prices.")
	}
	t.remove(p)
	t.emit("product.deleted", p)
	return object{"id": p.id(), "object": "product", "deleted": true}, nil
}

func priceRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/prices", params: "active billing_scheme currency lookup_key metadata nickname product product_data recurring tax_behavior unit_amount unit_amount_decimal", run: createPrice},
		{method: http.MethodPost, path: "/v1/prices/{id}", params: "active lookup_key metadata nickname tax_behavior", run: updatePrice},
		retrieve("/v1/prices", "price"),
		index("/v1/prices", "price", listField{param: "product", field: "product"}, listField{param: "active", field: "active", flag: true},
			listField{param: "type", field: "type"}, listField{param: "currency", field: "currency"}, listField{param: "lookup_key", field: "lookup_key"}),
	}
}

func createPrice(t *tx, in *params) (object, error) {
	return t.newPrice(in, "")
}

// newPrice makes a price from the parameters of a price, or from price_data,
// for the given product or the one they name.
func (t *tx) newPrice(in *params, product string) (object, error) {
	in.need("currency")
	currency := in.currency("currency")
	amount, decimal := readUnitAmount(in, currency)
	if amount == nil && decimal == nil {
		in.refuse(invalid("parameter_missing", in.full("unit_amount"), "Missing required param: %s.", in.full("unit_amount")))
	}
	in.oneOf("billing_scheme", "per_unit", "per_unit")
	recurring := readRecurring(in)
	if err := in.err(); err != nil {
		return nil, err
	}
	if product == "" {
		var err error
		if product, err = t.priceProduct(in); err != nil {
			return nil, err
		}
	}
	p := object{
		"id": t.newID("price_"), "object": "price", "active": in.flag("active", true), "billing_scheme": "per_unit", "created": t.now,
		"currency": currency, "custom_unit_amount": nil, "livemode": false, "lookup_key": orNull(in.str("lookup_key")),
		"metadata": in.metadata(nil), "nickname": orNull(in.str("nickname")), "product": product, "recurring": nil,
		"tax_behavior": in.oneOf("tax_behavior", "unspecified", "unspecified", "inclusive", "exclusive"), "tiers_mode": nil,
		"transform_quantity": nil, "type": "one_time", "unit_amount": amount, "unit_amount_decimal": decimal,
	}
	if recurring != nil {
		p["recurring"], p["type"] = recurring, "recurring"
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	t.insert(p)
	t.emit("price.created", p)
	return p, nil
}

func (t *tx) priceProduct(in *params) (string, error) {
	switch {
	case in.filled("product") && in.filled("product_data"):
		return "", invalid("parameters_exclusive", in.full("product"), "You may only specify one of these parameters: product, product_data.")
	case in.filled("product"):
		product, err := t.named("product", in.str("product"), in.full("product"))
		if err != nil {
			return "", err
		}
		return product.id(), nil
	case in.filled("product_data"):
		product, err := createProduct(t, in.part("product_data"))
		if err != nil {
			return "", err
		}
		return product.id(), nil
	}
	return "", invalid("parameter_missing", in.full("product"), "Missing required param: %s.", in.full("product"))
}

// readUnitAmount reads unit_amount or unit_amount_decimal; both values are nil
// when neither was sent. The amount is null when the decimal is not whole.
func readUnitAmount(in *params, currency string) (amount, decimal any) {
	switch {
	case in.filled("unit_amount") && in.filled("unit_amount_decimal"):
		in.refuse(invalid("parameters_exclusive", in.full("unit_amount"), "You may only specify one of these parameters: unit_amount, unit_amount_decimal."))
	case in.filled("unit_amount"):
		n := in.amount("unit_amount", currency, 0)
		return n, strconv.FormatInt(n, 10)
	case in.filled("unit_amount_decimal"):
		text := in.decimal("unit_amount_decimal")
		if n, ok := wholeDecimal(text); ok {
			if exponents[currency] == 3 && n%10 != 0 {
				in.refuse(invalid("", in.full("unit_amount_decimal"), "Invalid amount: amounts in %s must end in 0.", currency))
			}
			return n, text
		}
		return nil, text
	}
	return nil, nil
}

// readRecurring reads the recurring part of a price; nil without one.
func readRecurring(in *params) object {
	if !in.filled("recurring") {
		return nil
	}
	part := in.part("recurring")
	part.need("interval")
	interval := part.oneOf("interval", "", "day", "week", "month", "year")
	count := int64(1)
	if part.filled("interval_count") {
		// The longest period is three years, in whatever unit.
		longest := map[string]int64{"day": 1095, "week": 156, "month": 36, "year": 3}
		count = part.num("interval_count", 1, longest[interval])
	}
	if usage := part.oneOf("usage_type", "licensed", "licensed", "metered"); usage == "metered" {
		in.refuse(notEmulated(part.full("usage_type"), "Metered billing"))
	}
	return object{"aggregate_usage": nil, "interval": interval, "interval_count": count, "trial_period_days": nil, "usage_type": "licensed"}
}

func updatePrice(t *tx, in *params) (object, error) {
	p, err := t.get("price", in.path("id"))
	if err != nil {
		return nil, err
	}
	err = t.change(p, "price.updated", func() {
		if in.filled("active") {
			p["active"] = in.flag("active", true)
		}
		for _, name := range []string{"lookup_key", "nickname"} {
			if in.has(name) {
				p[name] = orNull(in.str(name))
			}
		}
		if in.filled("tax_behavior") {
			p["tax_behavior"] = in.oneOf("tax_behavior", "", "unspecified", "inclusive", "exclusive")
		}
		p["metadata"] = in.metadata(p.sub("metadata"))
	})
	if err != nil {
		return nil, err
	}
	return p, in.err()
}
