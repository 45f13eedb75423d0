package billing

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"purser/ent"
	"purser/money"
)

// billed is a random invoice with lines of several rates, digits below the minor
// unit and deductions; false for one that could not be issued.
func billed(random *rand.Rand) (*ent.Invoice, []*ent.InvoiceLine, bool) {
	p := &ent.Payer{ReverseCharge: random.IntN(10) == 0}
	if random.IntN(4) > 0 {
		p.TaxRatePpm = ptr(money.Rate(190_000))
	}
	included := random.IntN(4) == 0
	digits := []money.Units{money.UnitsPerMinor, money.UnitsPerMinor / 10_000, 1}[random.IntN(3)]
	var lines []line
	var rows []*ent.InvoiceLine
	for n := range 1 + random.IntN(5) {
		amount := money.Amount{Units: money.Units(1+random.Int64N(2_000_000_000)) / digits * digits, Currency: "USD"}
		if n > 0 && random.IntN(4) == 0 {
			amount.Units = -amount.Units / 7 / digits * digits
		}
		var rate *money.Rate
		if !included && random.IntN(3) == 0 {
			rate = ptr([]money.Rate{0, 70_000, 190_000, 255_000}[random.IntN(4)])
		}
		lines = append(lines, line{amount: amount, taxRate: rate})
		rows = append(rows, &ent.InvoiceLine{ID: fmt.Sprint("ili_", n), Currency: "USD", Quantity: 1, UnitAmountUnits: amount.Units, AmountUnits: amount.Units, TaxRatePpm: rate})
	}
	t, err := taxLines(lines, p, included)
	if err != nil || t.subtotal.Sign() < 0 || t.tax.Sign() < 0 || t.total.Sign() <= 0 {
		return nil, nil, false
	}
	inv := &ent.Invoice{Currency: "USD", SubtotalUnits: t.subtotal.Units, TaxUnits: t.tax.Units, TotalUnits: t.total.Units, Taxes: t.shares}
	if included {
		inv.DebtUnits = ptr(t.subtotal.Units + t.tax.Units)
	}
	return inv, rows, true
}

// someLines takes random parts of random lines.
func someLines(random *rand.Rand, c *creditedInvoice) []money.Units {
	out := make([]money.Units, len(c.lines))
	for i, l := range c.lines {
		switch random.IntN(3) {
		case 0:
			out[i] = l.left
		case 1:
			out[i] = portion(l.left, money.Units(random.IntN(1000)), 1000)
		}
	}
	return out
}

// TestNoteSharesNeverExceed: whatever is credited in whatever order, by amount
// or by lines, no line, no rate and no total is credited beyond what it was, each
// note is whole minor units, and the last one leaves nothing; notes by lines may
// leave less than a minor unit of lines that have digits below it.
func TestNoteSharesNeverExceed(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(28, 31))
	made := map[string]int{}
	for range 4000 {
		inv, lines, ok := billed(random)
		if !ok {
			continue
		}
		var notes []*ent.CreditNote
		last := ""
		for tries := 0; ; tries++ {
			c, err := creditedSoFar(inv, lines, notes)
			if err != nil {
				t.Fatal(err)
			}
			checkLeft(t, inv, lines, c)
			if c.left == 0 {
				break
			}
			n := &ent.CreditNote{ID: fmt.Sprint("crn_", tries)}
			var share noteShare
			way := "all"
			switch minors := int64(c.left / money.UnitsPerMinor); {
			case tries == 8 || minors == 1 || random.IntN(8) == 0:
				share = c.all()
			case random.IntN(2) == 0:
				way = "amount"
				if share, err = c.byAmount(money.Units(1+random.Int64N(minors-1)) * money.UnitsPerMinor); err != nil {
					t.Fatalf("%+v of %+v: %v", notes, inv, err)
				}
			default:
				way = "lines"
				if share, err = c.byLines(someLines(random, c)); err != nil {
					if !isRefusal(err) {
						t.Fatal(err)
					}
					way = "refused"
				}
			}
			made[way]++
			if way == "refused" {
				continue
			}
			n.Lines, n.Taxes, n.SubtotalUnits, n.TaxUnits, n.TotalUnits = share.Lines, share.Taxes, share.Subtotal, share.Tax, share.Total
			if n.TotalUnits <= 0 || n.TotalUnits%money.UnitsPerMinor != 0 || n.TaxUnits%money.UnitsPerMinor != 0 || n.TaxUnits < 0 {
				t.Fatalf("a note by %s takes %d and tax %d", way, n.TotalUnits, n.TaxUnits)
			}
			notes, last = append(notes, n), way
		}
		var subtotal, tax, total money.Units
		for _, n := range notes {
			subtotal, tax, total = subtotal+n.SubtotalUnits, tax+n.TaxUnits, total+n.TotalUnits
		}
		dust := len(notes) > 0 && last != "all"
		if total != inv.TotalUnits || !dust && (subtotal != inv.SubtotalUnits || tax != inv.TaxUnits) {
			t.Fatalf("the notes come to %d + %d = %d, the invoice to %d + %d = %d", subtotal, tax, total, inv.SubtotalUnits, inv.TaxUnits, inv.TotalUnits)
		}
	}
	for _, way := range []string{"all", "amount", "lines", "refused"} {
		if made[way] < 500 {
			t.Errorf("only %d notes by %s", made[way], way)
		}
	}
}

func checkLeft(t *testing.T, inv *ent.Invoice, lines []*ent.InvoiceLine, c *creditedInvoice) {
	t.Helper()
	for i, l := range c.lines {
		if !within(l.left, lines[i].AmountUnits) {
			t.Fatalf("%d of %d are left of a line of %+v", l.left, lines[i].AmountUnits, inv)
		}
	}
	for _, r := range c.rates {
		if !within(r.baseLeft, r.base) || !within(r.taxLeft, r.tax) {
			t.Fatalf("%d of %d and tax %d of %d are left at %s %% of %+v", r.baseLeft, r.base, r.taxLeft, r.tax, r.rate.Decimal(), inv)
		}
	}
	exact := inv.SubtotalUnits + inv.TaxUnits - c.exact
	if c.left < 0 || c.left > inv.TotalUnits || c.left == 0 && max(exact, -exact) >= money.UnitsPerMinor {
		t.Fatalf("%d are left of %+v", c.left, inv)
	}
	if total, err := (money.Amount{Units: c.exact, Currency: "USD"}).RoundToMinor(); err != nil || total.Units != c.credited {
		t.Fatalf("the notes come to %d and take back %d of %+v", c.exact, c.credited, inv)
	}
}
