package billing

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"purser/ent"
	"purser/ent/schema"
	"purser/money"
)

// What a credit note takes back, to the last digit. Every note takes back parts
// of lines, also one of which only the amount was named, and the tax at each
// rate as the lines have it that it credits. So all notes to an invoice together
// never take back more than it was: of no line, of no rate, and in all. One that
// takes all that is left takes exactly that, with its rounding.

// creditedInvoice is an invoice with what its notes have taken back so far.
type creditedInvoice struct {
	currency string
	included bool // its lines include tax: it is of usage
	lines    []creditedLine
	rates    []creditedRate
	// left is what the notes have left of its total; exact is what they have
	// credited of subtotal and tax, of which credited is the sum in whole minor
	// units.
	left, exact, credited money.Units
}

// creditedLine is a line with what is left of it.
type creditedLine struct {
	id, description string
	rate            int // its place among the rates
	unit            money.Amount
	left            money.Units
}

// creditedRate is what the lines at one rate come to and the tax on it, with
// what is left of both. The rate is zero where there is no tax.
type creditedRate struct {
	rate              money.Rate
	base, tax         money.Units
	baseLeft, taxLeft money.Units
}

// noteShare is what one note takes back.
type noteShare struct {
	Lines                []schema.CreditedLine
	Taxes                []schema.TaxShare `json:",omitempty"`
	Subtotal, Tax, Total money.Units
}

// creditedSoFar takes the notes to an invoice off what it was.
func creditedSoFar(inv *ent.Invoice, lines []*ent.InvoiceLine, notes []*ent.CreditNote) (*creditedInvoice, error) {
	c := &creditedInvoice{currency: inv.Currency, included: inv.DebtUnits != nil, left: inv.TotalUnits}
	rates := ratesOfLines(inv, lines)
	at := map[money.Rate]int{}
	for i, l := range lines {
		n, ok := at[rates[i]]
		if !ok {
			n = len(c.rates)
			at[rates[i]] = n
			c.rates = append(c.rates, creditedRate{rate: rates[i]})
		}
		c.rates[n].base += l.AmountUnits
		c.lines = append(c.lines, creditedLine{
			id: l.ID, description: l.Description, rate: n, unit: l.UnitAmount(), left: l.AmountUnits,
		})
	}
	for _, t := range inv.Taxes {
		n, ok := at[t.RatePpm]
		if !ok {
			return nil, fmt.Errorf("invoice %s has tax at %s %% and no line at that rate", inv.ID, t.RatePpm.Decimal())
		}
		c.rates[n].tax = t.TaxUnits
	}
	for n := range c.rates {
		c.rates[n].baseLeft, c.rates[n].taxLeft = c.rates[n].base, c.rates[n].tax
	}
	for _, note := range notes {
		if err := c.take(note, at); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// take takes one note off what is left.
func (c *creditedInvoice) take(note *ent.CreditNote, at map[money.Rate]int) error {
	for _, l := range note.Lines {
		n := slices.IndexFunc(c.lines, func(of creditedLine) bool { return of.id == l.LineID })
		if n < 0 {
			return fmt.Errorf("credit note %s is of line %s, which is not its invoice's", note.ID, l.LineID)
		}
		c.lines[n].left -= l.AmountUnits
		c.rates[c.lines[n].rate].baseLeft -= l.AmountUnits
	}
	for _, t := range note.Taxes {
		n, ok := at[t.RatePpm]
		if !ok {
			return fmt.Errorf("credit note %s has tax at %s %%, its invoice has none", note.ID, t.RatePpm.Decimal())
		}
		c.rates[n].taxLeft -= t.TaxUnits
	}
	c.exact += note.SubtotalUnits + note.TaxUnits
	c.credited += note.TotalUnits
	c.left -= note.TotalUnits
	return nil
}

// ratesOfLines are the rates at which an issued invoice's lines were taxed.
// Those that have none of their own had the payer's, which may have changed
// since: it is the one of which the invoice has more than the others come to.
func ratesOfLines(inv *ent.Invoice, lines []*ent.InvoiceLine) []money.Rate {
	rest := map[money.Rate]money.Units{}
	for _, t := range inv.Taxes {
		rest[t.RatePpm] = t.TaxableUnits
		if inv.DebtUnits != nil {
			rest[t.RatePpm] += t.TaxUnits
		}
	}
	out := make([]money.Rate, len(lines))
	for i, l := range lines {
		if l.TaxRatePpm == nil {
			continue
		}
		if _, taxed := rest[*l.TaxRatePpm]; taxed {
			out[i] = *l.TaxRatePpm
			rest[out[i]] -= l.AmountUnits
		}
	}
	var payers money.Rate
	for rate, units := range rest {
		if units != 0 {
			payers = rate
		}
	}
	for i, l := range lines {
		if l.TaxRatePpm == nil {
			out[i] = payers
		}
	}
	return out
}

// all takes back what is left.
func (c *creditedInvoice) all() noteShare {
	taken, taxes := make([]money.Units, len(c.lines)), make([]money.Units, len(c.rates))
	for i, l := range c.lines {
		taken[i] = l.left
	}
	for n, r := range c.rates {
		taxes[n] = r.taxLeft
	}
	out := c.share(taken, taxes)
	out.Total = c.left
	return out
}

// byAmount takes back an amount of whole minor units, tax included, less than
// what is left: of every line and rate its share. The lines' part and the tax
// are exactly the amount; what was rounded off the total is left to the note
// that takes the rest.
func (c *creditedInvoice) byAmount(amount money.Units) (noteShare, error) {
	taxes, bases := make([]money.Units, len(c.rates)), make([]money.Units, len(c.rates))
	var tax, taxLeft, left money.Units
	for n, r := range c.rates {
		share, err := money.Amount{Units: r.taxLeft, Currency: c.currency}.ShareToMinor(amount, c.left)
		if err != nil {
			return noteShare{}, fmt.Errorf("share the tax at %s %%: %w", r.rate.Decimal(), err)
		}
		taxes[n], bases[n] = share.Units, r.baseLeft
		tax, taxLeft, left = tax+share.Units, taxLeft+r.taxLeft, left+r.baseLeft
	}
	// Rounding may have left to the lines a bit more than they have, or less than
	// nothing: then the tax gives way by a minor unit here and there.
	least, most := money.Units(0), min(taxLeft, amount)
	if short := amount - left; short > 0 && !c.included {
		least = (short + money.UnitsPerMinor - 1) / money.UnitsPerMinor * money.UnitsPerMinor
	}
	for n, r := range c.rates {
		for tax < least && taxes[n] < max(0, r.taxLeft) {
			taxes[n], tax = taxes[n]+money.UnitsPerMinor, tax+money.UnitsPerMinor
		}
		for tax > most && taxes[n] > min(0, r.taxLeft) {
			taxes[n], tax = taxes[n]-money.UnitsPerMinor, tax-money.UnitsPerMinor
		}
	}
	ofLines := amount
	if !c.included {
		ofLines -= tax
	}
	if ofLines < 0 || ofLines > left || tax < 0 || tax > taxLeft {
		return noteShare{}, fmt.Errorf("%d units cannot be shared over what is left of an invoice", amount)
	}
	taken := make([]money.Units, len(c.lines))
	for n, part := range spread(ofLines, bases) {
		var at []int
		var lefts []money.Units
		for i, l := range c.lines {
			if l.rate == n {
				at, lefts = append(at, i), append(lefts, l.left)
			}
		}
		for k, units := range spread(part, lefts) {
			taken[at[k]] = units
		}
	}
	out := c.share(taken, taxes)
	out.Total = amount
	return out, nil
}

// byLines takes back parts of lines, by their place, with the tax on them. The
// total is brought to whole minor units over all notes so far, so that no note
// adds a rounding of its own.
func (c *creditedInvoice) byLines(taken []money.Units) (noteShare, error) {
	taxes, bases := make([]money.Units, len(c.rates)), make([]money.Units, len(c.rates))
	for i, l := range c.lines {
		bases[l.rate] += taken[i]
	}
	for n, r := range c.rates {
		if !within(bases[n], r.baseLeft) {
			return noteShare{}, refuse(CodeInvalid, "lineItems", "the lines at %s %% tax come to %s, and %s are left of the invoice at that rate: credit its deductions with them",
				r.rate.Decimal(), money.Amount{Units: bases[n], Currency: c.currency}, money.Amount{Units: r.baseLeft, Currency: c.currency})
		}
		so, err := shareOf(money.Amount{Units: r.base - r.baseLeft + bases[n], Currency: c.currency}, r.rate, c.included)
		if err != nil {
			return noteShare{}, refusedAmount(err, "lineItems")
		}
		taxes[n] = min(max(so.TaxUnits-(r.tax-r.taxLeft), min(0, r.taxLeft)), max(0, r.taxLeft))
		if bases[n] == r.baseLeft {
			taxes[n] = r.taxLeft
		}
	}
	out := c.share(taken, taxes)
	total, err := money.Amount{Units: c.exact + out.Subtotal + out.Tax, Currency: c.currency}.RoundToMinor()
	if err != nil {
		return noteShare{}, refusedAmount(err, "lineItems")
	}
	out.Total = total.Units - c.credited
	switch {
	case out.Total <= 0:
		return out, refuse(CodeInvalid, "lineItems", "what is credited must come to more than zero, in whole minor units")
	case out.Total > c.left:
		return out, refuse(CodeInvalid, "lineItems", "%s are left of the invoice", money.Amount{Units: c.left, Currency: c.currency})
	case out.Tax < 0 || out.Subtotal < 0:
		return out, refuse(CodeInvalid, "lineItems", "these lines or their tax come to less than nothing: credit them together with others")
	}
	subtotal, tax := -out.Subtotal, -out.Tax
	for _, r := range c.rates {
		subtotal, tax = subtotal+r.baseLeft, tax+r.taxLeft
		if c.included {
			subtotal -= r.taxLeft
		}
	}
	if subtotal < 0 || tax < 0 {
		return out, refuse(CodeInvalid, "lineItems", "the rest of the invoice or its tax would come to less than nothing: credit its deductions with these lines")
	}
	return out, nil
}

// byDrafts is byLines of what was asked for.
func (c *creditedInvoice) byDrafts(drafts []CreditNoteLineDraft) (noteShare, error) {
	if len(drafts) > linesMax {
		return noteShare{}, refuse(CodeLimitExceeded, "lineItems", "a credit note has at most %d lines", linesMax)
	}
	taken, counts := make([]money.Units, len(c.lines)), map[string]*int{}
	for i, d := range drafts {
		field := fmt.Sprintf("lineItems.%d", i)
		n := slices.IndexFunc(c.lines, func(of creditedLine) bool { return of.id == d.LineID })
		if n < 0 {
			return noteShare{}, refuse(CodeNotFound, field+".lineItemId", "the invoice has no line %.40q", d.LineID)
		}
		if _, twice := counts[d.LineID]; twice {
			return noteShare{}, refuse(CodeInvalid, field+".lineItemId", "the line is named twice")
		}
		part, err := c.lines[n].part(d, field)
		if err != nil {
			return noteShare{}, err
		}
		taken[n], counts[d.LineID] = part.Units, d.Quantity
	}
	out, err := c.byLines(taken)
	for i, l := range out.Lines {
		out.Lines[i].Quantity = counts[l.LineID]
	}
	return out, err
}

// part is what a draft takes of its line.
func (l *creditedLine) part(d CreditNoteLineDraft, field string) (money.Amount, error) {
	left := money.Amount{Units: l.left, Currency: l.unit.Currency}
	part := left
	switch {
	case d.Quantity != nil && d.Amount != nil:
		return part, refuse(CodeInvalid, field+".amount", "a line is credited by quantity or by amount: leave one of the two out")
	case d.Quantity != nil:
		if *d.Quantity < 1 || *d.Quantity > quantityMax {
			return part, refuse(CodeInvalid, field+".quantity", "the quantity must be 1 to %d", quantityMax)
		}
		var err error
		if part, err = l.unit.Mul(int64(*d.Quantity)); err != nil {
			return part, refusedAmount(err, field+".quantity")
		}
		field += ".quantity"
	case d.Amount != nil && d.Amount.Currency != left.Currency:
		return part, refuse(CodeCurrencyMismatch, field+".amount.currency", "the invoice is in %s", left.Currency)
	case d.Amount != nil:
		part, field = *d.Amount, field+".amount"
	}
	switch {
	case left.IsZero():
		return part, refuse(CodeInvalid, field, "there is nothing left of the line to be credited")
	case part.IsZero() || !within(part.Units, left.Units):
		return part, refuse(CodeInvalid, field, "%s are left of the line", left)
	}
	return part, nil
}

// share puts a note together of what it takes of each line and of the tax at
// each rate. Its total is left to the caller.
func (c *creditedInvoice) share(taken, taxes []money.Units) noteShare {
	out := noteShare{Lines: []schema.CreditedLine{}}
	bases := make([]money.Units, len(c.rates))
	for i, l := range c.lines {
		if taken[i] == 0 {
			continue
		}
		out.Lines = append(out.Lines, schema.CreditedLine{LineID: l.id, Description: l.description, AmountUnits: taken[i]})
		out.Subtotal += taken[i]
		bases[l.rate] += taken[i]
	}
	for n, r := range c.rates {
		if r.rate == 0 || bases[n] == 0 && taxes[n] == 0 {
			continue
		}
		out.Tax += taxes[n]
		t := schema.TaxShare{RatePpm: r.rate, TaxableUnits: bases[n], TaxUnits: taxes[n]}
		if c.included {
			t.TaxableUnits -= taxes[n]
		}
		out.Taxes = append(out.Taxes, t)
	}
	if c.included {
		out.Subtotal -= out.Tax
	}
	slices.SortFunc(out.Taxes, func(a, b schema.TaxShare) int { return cmp.Compare(b.RatePpm, a.RatePpm) })
	return out
}

// within reports whether a part lies between nothing and a whole, which may be
// below zero.
func within(part, whole money.Units) bool { return part >= min(0, whole) && part <= max(0, whole) }

// spread shares a part of a sum over what it is the sum of, each between
// nothing and what it is, and exactly. It counts in whole minor units, or in
// the digits of a line, where everything is of such.
func spread(part money.Units, of []money.Units) []money.Units {
	out := make([]money.Units, len(of))
	var sum money.Units
	for _, u := range of {
		sum += u
	}
	if sum == 0 {
		return out
	}
	step := money.Units(1)
	for _, coarse := range []money.Units{money.UnitsPerMinor, money.UnitsPerMinor / 10_000} {
		if part%coarse == 0 && !slices.ContainsFunc(of, func(u money.Units) bool { return u%coarse != 0 }) {
			step = coarse
			break
		}
	}
	rest := part
	for i, u := range of {
		out[i] = portion(u/step, part, sum) * step
		rest -= out[i]
	}
	// What the divisions have left goes where there is room for it.
	for i, u := range of {
		switch {
		case rest > 0:
			more := min(rest, max(0, u)-out[i])
			out[i], rest = out[i]+more, rest-more
		case rest < 0:
			less := max(rest, min(0, u)-out[i])
			out[i], rest = out[i]+less, rest-less
		}
	}
	return out
}

// portion is units × part ÷ whole, towards nothing. part lies between nothing
// and whole.
func portion(units, part, whole money.Units) money.Units {
	magnitude := func(u money.Units) uint64 { return uint64(max(u, -u)) }
	hi, lo := bits.Mul64(magnitude(units), magnitude(part))
	quotient, _ := bits.Div64(hi, lo, magnitude(whole))
	if units < 0 {
		return -money.Units(quotient)
	}
	return money.Units(quotient)
}
