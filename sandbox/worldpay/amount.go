package worldpaysandbox

import (
	"fmt"
	"strconv"
	"strings"

	"purser/money"
)

// Currencies whose amounts do not go with two decimals at the service. HUF and
// IDR have two by ISO 4217 and none here.
const (
	withoutDecimals = " GNF HUF IDR JPY KMF KRW MGA PYG RWF VND XAF XOF XPF "
	threeDecimals   = " BHD IQD JOD KWD LYD OMR TND "
)

// exponentOf is the number of decimals that the service uses for a currency.
func exponentOf(currency string) int {
	switch word := " " + currency + " "; {
	case strings.Contains(withoutDecimals, word):
		return 0
	case strings.Contains(threeDecimals, word):
		return 3
	}
	return 2
}

const amountDigitsMax = 12

// readAmount reads an amount, which is positive and in its currency's exponent.
func readAmount(e *element) (Amount, error) {
	a := Amount{Currency: e.attr("currencyCode")}
	text := e.attr("value")
	if text == "" || len(text) > amountDigitsMax || strings.Trim(text, "0123456789") != "" {
		return a, refuse(codeAmount, "Invalid amount: the value must be a whole number of minor units.")
	}
	var err error
	if a.Value, err = strconv.ParseInt(text, 10, 64); err != nil || a.Value == 0 {
		return a, refuse(codeAmount, "Invalid amount: the value must be positive.")
	}
	if len(a.Currency) != 3 || !money.IsISO(a.Currency) {
		return a, refuse(codeAmount, "Invalid amount: the currency is not known.")
	}
	if a.Exponent, err = strconv.Atoi(e.attr("exponent")); err != nil || a.Exponent != exponentOf(a.Currency) {
		return a, refuse(codeAmount, "Invalid amount: the exponent of %s is %d.", a.Currency, exponentOf(a.Currency))
	}
	return a, nil
}

// amountEl writes a part of an amount, credit or debit.
func (a Amount) amountEl(value int64, indicator string) *element {
	return el("amount").with("value", strconv.FormatInt(value, 10)).with("currencyCode", a.Currency).
		with("exponent", strconv.Itoa(a.Exponent)).with("debitCreditIndicator", indicator)
}

// String writes an amount for people: 12.30 EUR.
func (a Amount) String() string {
	digits := strconv.FormatInt(a.Value, 10)
	if a.Exponent > 0 {
		if missing := a.Exponent + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		digits = digits[:len(digits)-a.Exponent] + "." + digits[len(digits)-a.Exponent:]
	}
	return fmt.Sprintf("%s %s", digits, a.Currency)
}
