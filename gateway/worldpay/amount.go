package worldpay

import (
	"errors"
	"fmt"
	"strconv"

	"purser/money"
)

// amountElement writes an amount in the minor units in which Worldpay counts
// the currency, exact.
func amountElement(a money.Amount) (*element, error) {
	if a.Sign() <= 0 {
		return nil, errors.New("the amount must be more than zero")
	}
	scale, err := money.WorldpayScale(a.Currency)
	if err != nil {
		return nil, err
	}
	n, err := a.ToGateway(scale)
	if err != nil {
		return nil, err
	}
	return el("amount").with("value", strconv.FormatInt(n, 10)).
		with("currencyCode", a.Currency).with("exponent", strconv.Itoa(scale.Exponent)), nil
}

// amountOf reads an amount. It goes by the exponent that stands beside it,
// which is part of what Worldpay says.
func amountOf(n *node) (money.Amount, error) {
	if n.attrs["debitCreditIndicator"] == "debit" {
		return money.Amount{}, errors.New("an amount is a debit")
	}
	return movedIn(n)
}

// movedIn is amountOf for an amount that an account is credited or debited
// with.
func movedIn(n *node) (money.Amount, error) {
	exponent := n.attrs["exponent"]
	switch exponent {
	case "0", "2", "3":
	default:
		return money.Amount{}, fmt.Errorf("an amount has the exponent %q", clip(exponent, 10))
	}
	return counted(n.attrs["value"], n.attrs["currencyCode"], int(exponent[0]-'0'))
}

// counted is so many of a currency's minor units.
func counted(value, currency string, exponent int) (money.Amount, error) {
	minor, err := strconv.ParseInt(value, 10, 64)
	if err != nil || minor < 0 || strconv.FormatInt(minor, 10) != value {
		return money.Amount{}, fmt.Errorf("an amount has the value %q", clip(value, 20))
	}
	if !money.IsISO(currency) {
		return money.Amount{}, fmt.Errorf("an amount has the currency %q", clip(currency, 10))
	}
	return money.FromGateway(minor, currency, money.GatewayScale{Exponent: exponent, Step: 1})
}
