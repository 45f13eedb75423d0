package stripe

import (
	"errors"
	"fmt"
	"strings"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
	"purser/money"
)

// wireCurrency is the code as Stripe writes it.
func wireCurrency(currency string) *string { return sdk.String(strings.ToLower(currency)) }

// toWire returns the amount in Stripe's minor units, exact.
func toWire(a money.Amount) (int64, error) {
	scale, err := money.StripeScale(a.Currency)
	if err != nil {
		return 0, err
	}
	return a.ToGateway(scale)
}

// fromWire returns what Stripe counts as an amount.
func fromWire(n int64, currency sdk.Currency) (money.Amount, error) {
	code := strings.ToUpper(string(currency))
	scale, err := money.StripeScale(code)
	if err != nil {
		return money.Amount{}, err
	}
	return money.FromGateway(n, code, scale)
}

// item is one position as an invoice of Stripe's shows it.
type item struct {
	description string
	amount      int64
}

// itemsMax bounds the positions of an invoice made here, each of which is a
// request. What is beyond it stands together in the last one; our own
// document shows every line.
const itemsMax = 50

// invoiceItems turns lines, whose totals may have digits below the minor unit,
// into positions that add up to the total: each is the difference of two
// rounded running sums, so no cent appears or is lost.
func invoiceItems(r gateway.InvoiceRequest) ([]item, error) {
	for _, a := range []money.Amount{r.Total, r.Tax} {
		if a.Currency != r.Currency && (a.Currency != "" || !a.IsZero()) {
			return nil, fmt.Errorf("an amount in %s does not fit an invoice in %s", a.Currency, r.Currency)
		}
	}
	total, err := toWire(money.Amount{Units: r.Total.Units, Currency: r.Currency})
	if err != nil {
		return nil, err
	}
	tax, err := toWire(money.Amount{Units: r.Tax.Units, Currency: r.Currency})
	if err != nil {
		return nil, err
	}
	if len(r.Lines) == 0 {
		return nil, errors.New("an invoice needs a line")
	}
	sum := money.Amount{Currency: r.Currency}
	items := make([]item, 0, min(len(r.Lines), itemsMax)+1)
	var before int64
	for i, line := range r.Lines {
		if sum, err = sum.Add(line.Total); err != nil {
			return nil, err
		}
		text := lineText(line)
		if len(r.Lines) > itemsMax && i >= itemsMax-1 {
			if i < len(r.Lines)-1 {
				continue
			}
			text = fmt.Sprintf("%d further positions", len(r.Lines)-itemsMax+1)
		}
		running, err := roundToWire(sum)
		if err != nil {
			return nil, err
		}
		items = append(items, item{text, running - before})
		before = running
	}
	if before+tax != total {
		return nil, fmt.Errorf("the lines and the tax do not add up to the total %s", r.Total)
	}
	if tax != 0 {
		items = append(items, item{"Tax", tax})
	}
	return items, nil
}

// roundToWire rounds to what the currency can be charged in.
func roundToWire(a money.Amount) (int64, error) {
	scale, err := money.StripeScale(a.Currency)
	if err != nil {
		return 0, err
	}
	rounded, err := a.RoundToMinor()
	if err != nil {
		return 0, err
	}
	if n, err := rounded.ToGateway(scale); err == nil {
		return n, nil
	}
	// The charge step is wider than the minor unit (1.234 KWD).
	step, err := scale.Units(a.Currency)
	if err != nil {
		return 0, err
	}
	if rounded, err = rounded.CeilTo(step); err != nil {
		return 0, err
	}
	return rounded.ToGateway(scale)
}

// lineText names the quantity too, because positions carry the total only:
// Stripe rounds a unit amount before it multiplies.
func lineText(l gateway.Line) string {
	text := l.Description
	if l.Quantity > 1 {
		text = fmt.Sprintf("%s (%d × %s)", text, l.Quantity, l.UnitAmount)
	}
	return clip(text, descriptionMax)
}

// descriptionMax is the longest description that all objects take, in
// characters.
const descriptionMax = 500

// clip cuts a text after n characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// optional is nil for an empty text: an empty value would clear the field.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return sdk.String(s)
}
