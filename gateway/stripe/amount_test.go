package stripe

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"purser/gateway"
	"purser/money"
)

func TestInvoiceItems(t *testing.T) {
	t.Parallel()
	line := func(text string, quantity int64, unit, total, currency string) gateway.Line {
		return gateway.Line{Description: text, Quantity: quantity, UnitAmount: amount(t, unit, currency), Total: amount(t, total, currency)}
	}
	tests := []struct {
		name       string
		currency   string
		total, tax string
		lines      []gateway.Line
		want       []item
		wantErr    string
	}{
		{name: "one", currency: "USD", total: "10", tax: "0", lines: []gateway.Line{line("Seat", 1, "10", "10", "USD")}, want: []item{{"Seat", 1000}}},
		{name: "quantity in words", currency: "USD", total: "30", tax: "0", lines: []gateway.Line{line("Seat", 3, "10", "30", "USD")}, want: []item{{"Seat (3 × 10.00 USD)", 3000}}},
		{name: "tax", currency: "EUR", total: "11.90", tax: "1.90", lines: []gateway.Line{line("Seat", 1, "10", "10", "EUR")}, want: []item{{"Seat", 1000}, {"Tax", 190}}},
		{
			name: "cents below are not lost", currency: "USD", total: "16.33", tax: "0",
			lines: []gateway.Line{line("A", 1, "8.165", "8.165", "USD"), line("B", 1, "8.165", "8.165", "USD")}, want: []item{{"A", 817}, {"B", 816}},
		},
		{name: "yen", currency: "JPY", total: "500", tax: "0", lines: []gateway.Line{line("A", 1, "500", "500", "JPY")}, want: []item{{"A", 500}}},
		{name: "dinar", currency: "KWD", total: "5.120", tax: "0", lines: []gateway.Line{line("A", 1, "2.561", "2.561", "KWD"), line("B", 1, "2.559", "2.559", "KWD")}, want: []item{{"A", 2570}, {"B", 2550}}},
		{name: "króna", currency: "ISK", total: "5", tax: "0", lines: []gateway.Line{line("A", 1, "5", "5", "ISK")}, want: []item{{"A", 500}}},
		{name: "a discount", currency: "USD", total: "8", tax: "0", lines: []gateway.Line{line("A", 1, "10", "10", "USD"), line("Discount", 1, "-2", "-2", "USD")}, want: []item{{"A", 1000}, {"Discount", -200}}},
		{name: "a wrong total", currency: "USD", total: "11", tax: "0", lines: []gateway.Line{line("A", 1, "10", "10", "USD")}, wantErr: "do not add up"},
		{name: "mixed currencies", currency: "USD", total: "10", tax: "0", lines: []gateway.Line{line("A", 1, "10", "10", "EUR")}, wantErr: "EUR"},
		{name: "no lines", currency: "USD", total: "0", tax: "0", wantErr: "needs a line"},
		{name: "a total below the cent", currency: "USD", total: "1.005", tax: "0", lines: []gateway.Line{line("A", 1, "1.005", "1.005", "USD")}, wantErr: "multiples"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := invoiceItems(gateway.InvoiceRequest{Currency: tt.currency, Total: amount(t, tt.total, tt.currency), Tax: amount(t, tt.tax, tt.currency), Lines: tt.lines})
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error = %v, want %q in it", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("items = %v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("item %d = %v, want %v", i, got[i], tt.want[i])
				}
			}
		})
	}
}

// TestInvoiceItemsAddUp: whatever the lines, the positions add up to the
// total, stay bounded in number, and none is off by a whole minor unit.
func TestInvoiceItemsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 120).Draw(rt, "lines")
		r := gateway.InvoiceRequest{Currency: "USD", Tax: money.Amount{Units: money.Units(rapid.Int64Range(0, 999).Draw(rt, "tax")) * money.UnitsPerMinor, Currency: "USD"}}
		sum := money.Amount{Currency: "USD"}
		for range n {
			l := money.Amount{Units: money.Units(rapid.Int64Range(0, 1e12).Draw(rt, "units")), Currency: "USD"}
			r.Lines = append(r.Lines, gateway.Line{Description: "x", Quantity: 1, UnitAmount: l, Total: l})
			sum.Units += l.Units
		}
		net, err := sum.RoundToMinor()
		if err != nil {
			rt.Fatal(err)
		}
		if r.Total, err = net.Add(r.Tax); err != nil {
			rt.Fatal(err)
		}
		items, err := invoiceItems(r)
		if err != nil {
			rt.Fatal(err)
		}
		if len(items) > itemsMax+1 {
			rt.Fatalf("%d items", len(items))
		}
		var total int64
		for i, it := range items {
			total += it.amount
			if i < min(n, itemsMax-1) {
				off := it.amount*int64(money.UnitsPerMinor) - int64(r.Lines[i].Total.Units)
				if off >= int64(money.UnitsPerMinor) || off <= -int64(money.UnitsPerMinor) {
					rt.Fatalf("item %d is off by %d units", i, off)
				}
			}
		}
		if want, _ := toWire(r.Total); total != want {
			rt.Fatalf("items add up to %d, want %d", total, want)
		}
	})
}

func TestClip(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"": "", "abc": "abc", "äöüß": "äöüß", "äöüßx": "äöü…"} {
		if got := clip(in, 4); got != want {
			t.Errorf("clip(%q) = %q, want %q", in, got, want)
		}
	}
}
