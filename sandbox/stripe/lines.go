package stripesandbox

import (
	"math/big"
)

// pricedLine is a price and how many of it.
type pricedLine struct {
	price    object
	quantity int64
	amount   int64 // minor units
}

const quantityMax = 1_000_000_000

// readLines reads an array of line items: price or price_data, and quantity.
// All lines must be in one currency.
func (t *tx) readLines(in *params, name string) ([]pricedLine, error) {
	var out []pricedLine
	for _, item := range in.list(name) {
		line, err := t.readLine(item)
		if err != nil {
			return nil, err
		}
		if len(out) > 0 && out[0].price.str("currency") != line.price.str("currency") {
			return nil, invalid("", item.full("price"), "All prices must have the same currency.")
		}
		out = append(out, line)
	}
	return out, in.err()
}

func (t *tx) readLine(in *params) (pricedLine, error) {
	line := pricedLine{quantity: 1}
	if in.filled("quantity") {
		line.quantity = in.num("quantity", 0, quantityMax)
	}
	for name := range in.values {
		switch name {
		case "price", "price_data", "quantity", "id", "metadata", "adjustable_quantity":
		default:
			in.refuse(invalid("parameter_unknown", in.full(name), "Received unknown parameter: %s", in.full(name)))
		}
	}
	if err := in.err(); err != nil {
		return line, err
	}
	var err error
	switch {
	case in.filled("price") && in.filled("price_data"):
		return line, invalid("parameters_exclusive", in.full("price"), "You may only specify one of these parameters: price, price_data.")
	case in.filled("price"):
		line.price, err = t.named("price", in.str("price"), in.full("price"))
		if err == nil && !line.price.flag("active") {
			err = invalid("", in.full("price"), "The price specified is inactive. This field only accepts active prices.")
		}
	case in.filled("price_data"):
		line.price, err = t.newPrice(in.part("price_data"), "")
	default:
		err = invalid("parameter_missing", in.full("price"), "Missing required param: %s.", in.full("price"))
	}
	if err != nil {
		return line, err
	}
	amount, ok := multiply(line.price, line.quantity)
	if !ok {
		return line, invalid("amount_too_large", in.full("quantity"), "The amount of this line is too large.")
	}
	line.amount = amount
	return line, nil
}

// multiply returns unit amount × quantity in whole minor units, half up, and
// whether it is an amount that can be charged.
func multiply(price object, quantity int64) (int64, bool) {
	text := price.str("unit_amount_decimal")
	unit, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, false
	}
	// floor(x + 1/2) with whole numbers: (2·numerator + denominator) / (2·denominator).
	total := unit.Mul(unit, new(big.Rat).SetInt64(quantity))
	top := new(big.Int).Add(new(big.Int).Lsh(total.Num(), 1), total.Denom())
	rounded := top.Div(top, new(big.Int).Lsh(total.Denom(), 1))
	if exponents[price.str("currency")] == 3 {
		// The last digit of these has to be 0.
		rounded.Add(rounded, big.NewInt(5))
		rounded.Div(rounded, big.NewInt(10))
		rounded.Mul(rounded, big.NewInt(10))
	}
	if !rounded.IsInt64() || rounded.Int64() > amountMax {
		return 0, false
	}
	return rounded.Int64(), true
}

// describePrice is the text of a line: the product's name.
func (t *tx) describePrice(price object) (string, error) {
	product, err := t.find(price.str("product"))
	if err != nil {
		return "", err
	}
	if name := price.str("nickname"); product.str("name") == "" {
		return name, nil
	}
	return product.str("name"), nil
}

// lineItem makes the line of a quote or a checkout session.
func (t *tx) lineItem(line pricedLine) (object, error) {
	text, err := t.describePrice(line.price)
	if err != nil {
		return nil, err
	}
	price, err := line.price.clone()
	if err != nil {
		return nil, err
	}
	return object{
		"id": t.newID("li_"), "object": "item", "amount_discount": 0, "amount_subtotal": line.amount, "amount_tax": 0, "amount_total": line.amount,
		"currency": line.price["currency"], "description": text, "price": price, "quantity": line.quantity,
	}, nil
}

// lineItems makes the lines of a quote or a checkout session.
func (t *tx) lineItems(lines []pricedLine) ([]object, error) {
	var out []object
	for _, line := range lines {
		item, err := t.lineItem(line)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	return out, nil
}

// sum adds the amounts in a field of objects.
func sum(list []object, field string) int64 {
	var total int64
	for _, o := range list {
		total += o.num(field)
	}
	return total
}
