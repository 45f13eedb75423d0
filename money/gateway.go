package money

// GatewayScale is how one gateway counts one currency on the wire. It differs
// from ISO 4217 in places: Stripe takes 500 for five krónur, which ISO does
// not divide.
type GatewayScale struct {
	// Exponent is the number of digits after the point that the wire has,
	// 0 to 6.
	Exponent int
	// Step is what every amount must be a multiple of, in the gateway's own
	// minor units; at least 1.
	Step int64
}

// gatewayExponentMax keeps every gateway's minor unit a whole number of ledger
// units, also for currencies without digits.
const gatewayExponentMax = unitDigits

// The currencies that Stripe counts in another way than by two digits. ISK and
// UGX lost their cents but kept the old form on the wire, so the last two
// digits are zeros; of three digits the last is a zero. MGA has two digits by
// ISO, none at Stripe.
const (
	stripeNoDigits    = " BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF "
	stripeThreeDigits = " BHD JOD KWD OMR TND "
	stripeTwoZeros    = " ISK UGX "
)

// StripeScale returns how Stripe counts the currency. CodeCurrency stands for
// a currency that Stripe has no scale for: virtual ones, and those with three
// digits that it does not take. Whether the account may charge the currency
// is Stripe's answer, not known here.
func StripeScale(currency string) (GatewayScale, error) {
	switch {
	case isoContains(stripeNoDigits, currency):
		return GatewayScale{Exponent: 0, Step: 1}, nil
	case isoContains(stripeThreeDigits, currency):
		return GatewayScale{Exponent: 3, Step: 10}, nil
	case isoContains(stripeTwoZeros, currency):
		return GatewayScale{Exponent: 2, Step: 100}, nil
	case isoContains(isoTwoDigits, currency):
		return GatewayScale{Exponent: 2, Step: 1}, nil
	}
	if err := ValidCode(currency); err != nil {
		return GatewayScale{}, err
	}
	return GatewayScale{}, errorf(CodeCurrency, "Stripe does not charge %s", currency)
}

// The currencies that Worldpay counts in whole ones: some that ISO divides into
// cents, which nobody uses, and not all of those that ISO does not divide.
const worldpayNoDigits = " GNF HUF IDR JPY KMF KRW MGA PYG RWF VND XAF XOF XPF "

// WorldpayScale returns how Worldpay counts the currency. CodeCurrency stands
// for virtual ones. Whether the account may charge the currency is Worldpay's
// answer, not known here.
func WorldpayScale(currency string) (GatewayScale, error) {
	switch {
	case isoContains(worldpayNoDigits, currency):
		return GatewayScale{Exponent: 0, Step: 1}, nil
	case isoContains(isoThreeDigits, currency):
		return GatewayScale{Exponent: 3, Step: 1}, nil
	case isoContains(isoNoDigits, currency):
		return GatewayScale{Exponent: 2, Step: 100}, nil
	case isoContains(isoTwoDigits, currency):
		return GatewayScale{Exponent: 2, Step: 1}, nil
	}
	if err := ValidCode(currency); err != nil {
		return GatewayScale{}, err
	}
	return GatewayScale{}, errorf(CodeCurrency, "Worldpay does not charge %s", currency)
}

// Units returns, in ledger units, the smallest step that is both whole minor
// units and chargeable: what CeilTo takes to turn a shortfall into a charge.
// Errors are CodeCurrency, CodeStep (a scale that makes no sense) and
// CodeOverflow.
func (s GatewayScale) Units(currency string) (Units, error) {
	unit, err := s.unit(currency)
	if err != nil {
		return 0, err
	}
	step, err := Amount{unit, currency}.Mul(s.Step)
	if err != nil {
		return 0, err
	}
	// The least common multiple with the minor unit.
	a, b := step.Units, UnitsPerMinor
	for b != 0 {
		a, b = b, a%b
	}
	common, err := step.Mul(int64(UnitsPerMinor / a))
	if err != nil {
		return 0, err
	}
	return common.Units, nil
}

// ToGateway returns the amount in the gateway's minor units. It is exact: what
// is no multiple of the gateway's step is CodeStep. Other errors are
// CodeCurrency and CodeOverflow.
func (a Amount) ToGateway(s GatewayScale) (int64, error) {
	unit, err := s.unit(a.Currency)
	if err != nil {
		return 0, err
	}
	if !a.Units.inRange() {
		return 0, overflow("the amount")
	}
	n := int64(a.Units / unit)
	if a.Units%unit != 0 || n%s.Step != 0 {
		step, err := Amount{unit, a.Currency}.Mul(s.Step)
		if err != nil {
			return 0, err
		}
		return 0, errorf(CodeStep, "%s cannot be charged: amounts must be multiples of %s", a, step)
	}
	return n, nil
}

// FromGateway returns n of the gateway's minor units as an amount. It does not
// ask for the step: what a gateway reports (a fee, a converted sum) is a fact.
// Errors are CodeCurrency, CodeStep (a scale that makes no sense) and
// CodeOverflow.
func FromGateway(n int64, currency string, s GatewayScale) (Amount, error) {
	unit, err := s.unit(currency)
	if err != nil {
		return Amount{}, err
	}
	return Amount{unit, currency}.Mul(n)
}

// unit returns the ledger units in one of the gateway's minor units.
func (s GatewayScale) unit(currency string) (Units, error) {
	if err := ValidCode(currency); err != nil {
		return 0, err
	}
	if s.Exponent < 0 || s.Exponent > gatewayExponentMax || s.Step < 1 {
		return 0, errorf(CodeStep, "a gateway cannot count %s with %d digits in steps of %d", currency, s.Exponent, s.Step)
	}
	unit := Units(1)
	for range Exponent(currency) + unitDigits - s.Exponent {
		unit *= 10
	}
	return unit, nil
}
