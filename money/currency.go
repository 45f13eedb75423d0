package money

// Exponent returns how many digits after the point the currency has: 0, 2 or
// 3 by ISO 4217, and 0 for every code that is not ISO's (a virtual currency
// such as POINTS is counted in whole ones).
func Exponent(currency string) int {
	switch {
	case isoContains(isoNoDigits, currency):
		return 0
	case isoContains(isoThreeDigits, currency):
		return 3
	case isoContains(isoTwoDigits, currency):
		return 2
	}
	return 0
}

// IsISO reports whether the code is a currency of ISO 4217 with 0, 2 or 3
// digits. Every other valid code names a virtual currency.
func IsISO(currency string) bool {
	return isoContains(isoTwoDigits, currency) ||
		isoContains(isoNoDigits, currency) ||
		isoContains(isoThreeDigits, currency)
}

// ValidCode checks the form of a currency code: three to twelve capital
// letters and digits, the first a letter. It refuses the two ISO codes with
// four digits, which would otherwise pass for virtual currencies and be
// wrong by a factor of ten thousand. The error has CodeCurrency.
func ValidCode(currency string) error {
	if len(currency) < 3 || len(currency) > 12 {
		return errorf(CodeCurrency, "a currency code has 3 to 12 characters, such as USD or POINTS")
	}
	for i := range len(currency) {
		c := currency[i]
		if c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		return errorf(CodeCurrency, "a currency code consists of capital letters and digits and begins with a letter, such as USD or POINTS")
	}
	if isoContains(isoFourDigits, currency) {
		return errorf(CodeCurrency, "the currency %s is not offered", currency)
	}
	return nil
}

// isoContains looks a code up in one of the lists below, in which every code
// stands between spaces.
func isoContains(list, currency string) bool {
	if len(currency) != 3 {
		return false
	}
	for i := 1; i+3 < len(list); i += 4 {
		if list[i:i+3] == currency {
			return true
		}
	}
	return false
}

// The currencies of ISO 4217 by their digits. Left out are the codes without
// a minor unit (metals, special drawing rights, testing). Withdrawn ones stay
// where gateways still report them (ANG, BGN).
const (
	isoNoDigits = " BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF "

	isoThreeDigits = " BHD IQD JOD KWD LYD OMR TND "

	isoFourDigits = " CLF UYW "

	isoTwoDigits = " AED AFN ALL AMD ANG AOA ARS AUD AWG AZN" +
		" BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD" +
		" CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK" +
		" DKK DOP DZD EGP ERN ETB EUR FJD FKP" +
		" GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF" +
		" IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT" +
		" LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN" +
		" NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR" +
		" RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL" +
		" THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES" +
		" WST XAD XCD XCG YER ZAR ZMW ZWG "
)
