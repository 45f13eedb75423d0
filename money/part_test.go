package money

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// TestShareToMinor compares with exact fractions.
func TestShareToMinor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.Int64Range(-int64(MaxUnits), int64(MaxUnits)).Draw(t, "units")
		whole := rapid.Int64Range(1, 3*366*86400).Draw(t, "whole")
		part := rapid.Int64Range(0, whole).Draw(t, "part")
		got, err := Amount{Units: Units(units), Currency: "USD"}.ShareToMinor(Units(part), Units(whole))
		if err != nil {
			t.Fatal(err)
		}
		exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(units), big.NewInt(part)), big.NewInt(whole))
		off := exact.Sub(exact, new(big.Rat).SetInt64(int64(got.Units)))
		if off.Abs(off).Cmp(big.NewRat(int64(UnitsPerMinor), 2)) > 0 || got.Units%UnitsPerMinor != 0 {
			t.Fatalf("%d × %d/%d = %d", units, part, whole, got.Units)
		}
	})
	for _, c := range [][2]int64{{-1, 1}, {2, 1}, {0, 0}} {
		if _, err := (Amount{Units: 1, Currency: "USD"}).ShareToMinor(Units(c[0]), Units(c[1])); err == nil {
			t.Errorf("part %d of %d was taken", c[0], c[1])
		}
	}
	half := Amount{Units: 3 * UnitsPerMinor, Currency: "USD"}
	if got, err := half.ShareToMinor(1, 2); err != nil || got.Units != 2*UnitsPerMinor {
		t.Errorf("half of 0.03 is %s, %v", got, err)
	}
}
