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
		d := billing.LineDraft{PriceID: text(in.PriceID), Description: text(in.Description), Quantity: in.Quantity}
		if in.UnitAmount != nil {
			a, err := money.ParseLine(in.UnitAmount.Amount, in.UnitAmount.Currency)
			if err != nil {
				return nil, amountRefused(err, fmt.Sprintf("lineItems.%d.unitAmount", i))
			}
			d.UnitAmount = &a
		}
		drafts[i] = d
	}
	return drafts, nil
}
