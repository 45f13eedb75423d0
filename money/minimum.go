package money

import "strings"

// stripeMinimums are the smallest charges that Stripe takes, where it names
// one, as it publishes them by currency.
const stripeMinimums = `AED 2.00 AUD 0.50 BGN 1.00 BRL 0.50 CAD 0.50 CHF 0.50 CZK 15.00 DKK 2.50 EUR 0.50
	GBP 0.30 HKD 4.00 HUF 175.00 INR 0.50 JPY 50 MXN 10.00 MYR 2.00 NOK 3.00 NZD 0.50
	PLN 2.00 RON 2.00 SEK 3.00 SGD 0.50 THB 10.00 USD 0.50`

// StripeMinimum returns the smallest amount that Stripe charges in the
// currency; false where it depends on what the account is paid out in, which
// only Stripe knows.
func StripeMinimum(currency string) (Amount, bool) {
	words := strings.Fields(stripeMinimums)
	for i := 0; i < len(words); i += 2 {
		if words[i] == currency {
			least, err := Parse(Decimal(words[i+1]), currency)
			return least, err == nil
		}
	}
	return Amount{}, false
}
