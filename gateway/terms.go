package gateway

import (
	"fmt"

	"purser/money"
)

// Terms are what has to be known of a gateway before it is asked for anything:
// what it keeps beside us, and which amounts it takes. An adapter offers the
// capabilities that its terms name; gatewaytest holds it to that.
type Terms struct {
	// Quotes and Invoices say that it has a copy of ours.
	Quotes, Invoices bool
	// Scale is how it counts a currency.
	Scale func(currency string) (money.GatewayScale, error)
	// Minimum is the smallest amount that it charges in a currency; false where
	// none is known.
	Minimum func(currency string) (money.Amount, bool)
}

// Terms are those of the gateway. One that is not known has nothing and takes
// nothing.
func (k Kind) Terms() Terms {
	switch k {
	case KindStripe:
		return Terms{Quotes: true, Invoices: true, Scale: money.StripeScale, Minimum: money.StripeMinimum}
	case KindWorldpay:
		return Terms{Scale: money.WorldpayScale, Minimum: noMinimum}
	}
	return Terms{
		Scale: func(string) (money.GatewayScale, error) {
			return money.GatewayScale{}, fmt.Errorf("%q is no gateway", k)
		},
		Minimum: noMinimum,
	}
}

func noMinimum(string) (money.Amount, bool) { return money.Amount{}, false }
