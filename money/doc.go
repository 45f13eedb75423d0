// Package money counts money: amounts with a currency, the text they are
// written in, the one rounding rule, and the scales of payment gateways.
//
// An amount is an int64 of ledger units, millionths of the currency's ISO 4217
// minor unit: 10⁻⁸ dollar, 10⁻⁶ yen, 10⁻⁹ dinar. So a rate such as 0.0001
// cents per call is exact, and a sum never depends on the order of its terms.
//
// What the package keeps true:
//   - No floating point, anywhere. Text in is exact, text out is exact.
//   - No amount it returns is beyond ±MaxUnits; what would be is an error.
//   - Amounts of two currencies are never added, subtracted or compared.
//   - Digits that the purpose has no room for are refused, not rounded.
//     Rounding happens only where the caller asks for it by name, and halves
//     go away from zero.
//
// It does not know which currencies an organization has switched on, nor the
// least amount that a gateway charges.
package money
