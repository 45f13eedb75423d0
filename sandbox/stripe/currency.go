package stripesandbox

import (
	"fmt"
	"strconv"
	"strings"
)

// exponents are the decimals of the amounts on the wire, which are the
// gateway's and not always those of ISO 4217: ISK and UGX go with two.
var exponents = makeExponents()

func makeExponents() map[string]int {
	out := map[string]int{}
	for _, code := range strings.Fields(`aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl
		bsd bwp byn bzd cad cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd
		hnl htg huf idr ils inr isk jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk
		mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos
		srd std szl thb tjs top try ttd twd tzs uah ugx usd uyu uzs wst xcd yer zar zmw`) {
		out[code] = 2
	}
	for _, code := range strings.Fields("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf") {
		out[code] = 0
	}
	for _, code := range strings.Fields("bhd jod kwd omr tnd") {
		out[code] = 3
	}
	return out
}

// minimums are the smallest amounts that can be charged, where one is known.
var minimums = map[string]int64{
	"aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
	"gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
	"pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}

// minimum is the smallest amount that can be charged in a currency.
func minimum(currency string) int64 {
	return max(1, minimums[currency])
}

// display writes minor units for people: 12.30 EUR.
func display(amount int64, currency string) string {
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	digits := strconv.FormatInt(amount, 10)
	if places := exponents[currency]; places > 0 {
		if missing := places + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		digits = digits[:len(digits)-places] + "." + digits[len(digits)-places:]
	}
	return fmt.Sprintf("%s%s %s", sign, digits, strings.ToUpper(currency))
}
