package stripe

import (
	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// ensureCustomer returns the payer's id at Stripe and makes it first where
// there is none. A name or address changed since the first try is another
// request to Stripe, so the key carries a digest of them.
func (o *operation) ensureCustomer(c gateway.Customer) (string, *problem) {
	if o.refused != nil {
		return "", o.refused
	}
	if c.ID != "" {
		return c.ID, nil
	}
	step := "customer-" + digest(c.PayerID, c.Name, c.Email)
	made, p := remake(o, step, func() (*sdk.Customer, *problem) {
		return newest[sdk.Customer](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.customers.List(&sdk.CustomerListParams{ListParams: l}).Iter
		})
	}, func(p sdk.Params) (*sdk.Customer, error) {
		metadata := o.metadata(step)
		metadata[metaPayer] = c.PayerID
		return o.c.customers.New(&sdk.CustomerParams{
			Params:   p,
			Name:     optional(clip(c.Name, 256)),
			Email:    optional(c.Email),
			Metadata: metadata,
		})
	})
	if p != nil {
		return "", p
	}
	// A customer made long ago is the same customer.
	o.replayed = false
	return made.ID, nil
}
