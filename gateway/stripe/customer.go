package stripe

import (
	"context"
	"time"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

const (
	// customerTriesMax is how often the same customer is asked for while another
	// operation of the payer is making it.
	customerTriesMax = 10
	// customerPause is the pause between them.
	customerPause = 150 * time.Millisecond
	// deletedMax bounds how many customers of a payer may have been deleted at
	// Stripe within a day.
	deletedMax = 5
)

// ensureCustomer returns the payer's id at Stripe and makes it first where
// there is none. The key is the payer's, not the call's: two first operations
// of a payer, at once or one of them asked again later, make one customer, and
// so a card saved by the one can pay the invoice made by the other. Nothing of
// the call stands on the customer, since that would be another request.
func (o *operation) ensureCustomer(c gateway.Customer) (string, *problem) {
	if o.refused != nil {
		return "", o.refused
	}
	if c.ID != "" {
		o.customer = c.ID
		return c.ID, nil
	}
	if o.call.Key == "" {
		return "", refusal(codeBadRequest, "the call has no idempotency key")
	}
	// A customer made long ago is the same customer.
	defer func(before bool) { o.replayed = before }(o.replayed)
	if o.stale() {
		if made, p := o.findCustomer(c.PayerID); p != nil || made != nil {
			return customerID(made), p
		}
	}
	key := "purser:" + o.account.OrganizationID + ":" + o.account.ProviderID + ":customer:" + c.PayerID
	for range deletedMax {
		o.replayed = false
		made, p := o.makeCustomer(key, c)
		if p != nil {
			return "", p
		}
		if !o.replayed {
			return made.ID, nil
		}
		now, p := o.getCustomer(made.ID)
		if p == nil && !now.Deleted || p != nil && !p.absent {
			return made.ID, nil
		}
		key += ":" + made.ID // one after the one that was deleted
	}
	return "", refusal(codeCanceled, "the payer's customers are deleted at the gateway again and again")
}

// FetchCustomer reads a customer. Stripe tells of a deleted one for good that it
// was deleted; one that it does not know is another account's.
func (a *Adapter) FetchCustomer(ctx context.Context, acc gateway.Account, customerID string) (res gateway.CustomerResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "customer_fetch")
	defer o.end(&res.Outcome)
	res.CustomerID = customerID
	c, p := o.getCustomer(customerID)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	res.Outcome, res.Deleted = o.succeeded(), c.Deleted
	return res
}

func (o *operation) getCustomer(id string) (*sdk.Customer, *problem) {
	return read(o, func(p sdk.Params) (*sdk.Customer, error) {
		return o.c.customers.Get(id, &sdk.CustomerParams{Params: p})
	})
}

// blameCustomer says of a request that Stripe refused because it knows no such
// object whether that is the customer, because it was deleted. The refusal
// alone does not say so: with another account's keys it would be the same.
func (o *operation) blameCustomer(out *gateway.Outcome) {
	if o.customer == "" || out.Status != gateway.StatusRejected || out.Failure == nil || out.Failure.Code != codeMissing {
		return
	}
	if c, p := o.getCustomer(o.customer); p == nil && c.Deleted {
		failure := *out.Failure
		failure.GoneCustomer = o.customer
		failure.Message = "The payer's customer was deleted at Stripe: try again, with a new card in place of a saved one."
		out.Failure = &failure
	}
}

// makeCustomer makes the customer of a key, or finds it where the key's answer
// tells nothing: a stored server error, or a payer who was called otherwise
// when the key was used first.
func (o *operation) makeCustomer(key string, c gateway.Customer) (*sdk.Customer, *problem) {
	send := func(p sdk.Params) (*sdk.Customer, error) {
		return o.c.customers.New(&sdk.CustomerParams{
			Params: p,
			Name:   optional(clip(c.Name, 256)),
			Email:  optional(c.Email),
			Metadata: map[string]string{
				metaOrganization: o.account.OrganizationID, metaProvider: o.account.ProviderID, metaPayer: c.PayerID,
			},
		})
	}
	made, p := ask(o, key, send)
	for range customerTriesMax {
		if p == nil || p.err == nil || string(p.err.Code) != codeKeyInUse || !pause(o.ctx, customerPause) {
			break
		}
		made, p = ask(o, key, send)
	}
	if p == nil || !p.stored {
		return made, p
	}
	found, fp := o.findCustomer(c.PayerID)
	switch {
	case fp != nil:
		return nil, p
	case found != nil:
		return found, nil
	}
	o.replayed = false
	switch {
	case p.err != nil && p.err.Type == sdk.ErrorTypeIdempotency:
		return ask(o, key+":"+digest(c.Name, c.Email), send)
	case p.server && p.replayed:
		return ask(o, key+":"+o.a.attempt(o.start), send)
	}
	return nil, p
}

// findCustomer finds the payer's customer that was made within Stripe's memory
// of keys, or since the call began.
func (o *operation) findCustomer(payerID string) (*sdk.Customer, *problem) {
	since := o.start.Add(-25 * time.Hour)
	if at := o.call.StartedAt; !at.IsZero() && at.Before(since) {
		since = at
	}
	return newestOf[sdk.Customer](o, since, func(metadata map[string]string) bool {
		return metadata[metaPayer] == payerID && metadata[metaProvider] == o.account.ProviderID
	}, func(l sdk.ListParams) *sdk.Iter {
		return o.c.customers.List(&sdk.CustomerListParams{ListParams: l}).Iter
	})
}

func customerID(c *sdk.Customer) string {
	if c == nil {
		return ""
	}
	return c.ID
}
