package money

import "math/bits"

// Rate is a share in parts per million: 20 % is 200_000. It is between
// nothing and the whole.
type Rate int64

// rateWhole is 100 %.
const rateWhole = 1_000_000

// ParseRate reads a percentage as people write it, "20" or "8.875": at most
// four digits after the point, 0 to 100. Errors are CodeFormat, CodeDigits
// and CodeOverflow.
func ParseRate(d Decimal) (Rate, error) {
	n, err := d.scaled(4, 4, "a percentage")
	if err != nil {
		return 0, err
	}
	if n < 0 || n > rateWhole {
		return 0, errorf(CodeOverflow, "a percentage is between 0 and 100")
	}
	return Rate(n), nil
}

// Decimal returns the percentage without trailing zeros: "20", "8.875".
func (r Rate) Decimal() Decimal {
	// A virtual currency has six digits; two more make parts per million of
	// one out of parts per million of a hundred.
	return Amount{Units: Units(r) * 100}.Decimal()
}

// RateToMinor returns the share of the amount in whole minor units, halves
// away from zero: the tax on a net amount. It rounds once, from the exact
// product; rounding to ledger units in between can cost a cent. The error is
// CodeOverflow, also for a rate outside 0 to 100 %.
func (a Amount) RateToMinor(rate Rate) (Amount, error) {
	if rate < 0 || rate > rateWhole {
		return Amount{}, errorf(CodeOverflow, "a percentage is between 0 and 100")
	}
	if !a.Units.inRange() {
		return Amount{}, overflow("the amount")
	}
	hi, lo := bits.Mul64(a.Units.magnitude(), uint64(rate))
	minor := roundHalfUp(hi, lo, rateWhole*uint64(UnitsPerMinor))
	hi, lo = bits.Mul64(minor, uint64(UnitsPerMinor))
	return a.product(hi, lo, a.Units < 0)
}

// IncludedToMinor returns the share of a gross amount that is tax, in whole
// minor units, halves away from zero: of 120 at 20 % it is 20. The error is
// CodeOverflow, also for a rate outside 0 to 100 %.
func (a Amount) IncludedToMinor(rate Rate) (Amount, error) {
	if rate < 0 || rate > rateWhole {
		return Amount{}, errorf(CodeOverflow, "a percentage is between 0 and 100")
	}
	if !a.Units.inRange() {
		return Amount{}, overflow("the amount")
	}
	hi, lo := bits.Mul64(a.Units.magnitude(), uint64(rate))
	minor := roundHalfUp(hi, lo, (rateWhole+uint64(rate))*uint64(UnitsPerMinor))
	hi, lo = bits.Mul64(minor, uint64(UnitsPerMinor))
	return a.product(hi, lo, a.Units < 0)
}

// ShareToMinor returns so much of the amount as part is of whole, in whole minor
// units, halves away from zero. The error is CodeOverflow, also for a part
// outside nothing to the whole.
func (a Amount) ShareToMinor(part, whole Units) (Amount, error) {
	if part < 0 || part > whole || whole == 0 || !a.Units.inRange() || !whole.inRange() {
		return Amount{}, overflow("the share")
	}
	hi, lo := bits.Mul64(a.Units.magnitude(), part.magnitude())
	// What the first division leaves is less than a unit, and the half of a minor
	// unit is whole units: rounding sees the same without it.
	quotient, _ := bits.Div64(hi, lo, whole.magnitude())
	minor := roundHalfUp(0, quotient, uint64(UnitsPerMinor))
	hi, lo = bits.Mul64(minor, uint64(UnitsPerMinor))
	return a.product(hi, lo, a.Units < 0)
}

// RoundToMinor returns the amount in whole minor units, halves away from
// zero. The error is CodeOverflow.
func (a Amount) RoundToMinor() (Amount, error) {
	minor := roundHalfUp(0, a.Units.magnitude(), uint64(UnitsPerMinor))
	hi, lo := bits.Mul64(minor, uint64(UnitsPerMinor))
	return a.product(hi, lo, a.Units < 0)
}

// roundHalfUp is the one rounding rule: the quotient of a 128-bit magnitude,
// halves going up. The caller puts the sign back, so halves go away from
// zero. The divisor must be greater than hi.
func roundHalfUp(hi, lo, divisor uint64) uint64 {
	quotient, remainder := bits.Div64(hi, lo, divisor)
	// remainder*2 would do as well here, but not for every divisor.
	if remainder >= divisor-remainder {
		quotient++
	}
	return quotient
}

// CeilTo returns the least multiple of step that is not below the amount: a
// shortfall becomes something that can be charged. A step below one is
// CodeStep, a result out of range CodeOverflow.
func (a Amount) CeilTo(step Units) (Amount, error) {
	if step < 1 {
		return Amount{}, errorf(CodeStep, "a step is at least one ledger unit")
	}
	remainder := a.Units % step
	down := Amount{a.Units - remainder, a.Currency}
	if remainder <= 0 {
		// Division goes toward zero, which is up for negative amounts.
		return down.product(0, down.Units.magnitude(), a.Units < 0)
	}
	return down.Add(Amount{step, a.Currency})
}
