package graph

import (
	"fmt"

	"purser/billing"
	"purser/graph/model"
	"purser/money"
)

// lineDrafts reads positions with their amounts.
func lineDrafts(inputs []*model.LineItemInput) ([]billing.LineDraft, error) {
	drafts := make([]billing.LineDraft, len(inputs))
	for i, in := range inputs {
		var err error
		if drafts[i], err = lineDraft(in, fmt.Sprintf("lineItems.%d", i)); err != nil {
			return nil, err
		}
	}
	return drafts, nil
}

// lineDraft reads a position with its amount and rate.
func lineDraft(in *model.LineItemInput, field string) (billing.LineDraft, error) {
	d := billing.LineDraft{PriceID: text(in.PriceID), Description: text(in.Description), Quantity: in.Quantity}
	if in.UnitAmount != nil {
		a, err := money.ParseLine(in.UnitAmount.Amount, in.UnitAmount.Currency)
		if err != nil {
			return d, amountRefused(err, field+".unitAmount")
		}
		d.UnitAmount = &a
	}
	if in.TaxRate != nil {
		r, err := money.ParseRate(*in.TaxRate)
		if err != nil {
			return d, rateRefused(err, field+".taxRate")
		}
		d.TaxRate = &r
	}
	return d, nil
}
