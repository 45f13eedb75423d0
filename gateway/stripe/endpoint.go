package stripe

import (
	"context"
	"slices"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// eventCustomerDeleted tells that somebody has deleted a customer.
const eventCustomerDeleted = "customer.deleted"

// endpointEvents are the events that an endpoint is registered for. Charges
// themselves are left out: they race their payment_intent. So is
// customer.updated: names, addresses and the default card are kept here and
// only told to Stripe, each telling of ours would come back as such an event,
// and a default card chosen at Stripe's own pages was not chosen by the payer.
func endpointEvents() []string {
	return []string{
		"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.requires_action",
		"payment_intent.canceled", "payment_intent.processing",
		"invoice.finalized", "invoice.updated", "invoice.sent", "invoice.paid", "invoice.payment_failed",
		"invoice.payment_action_required", "invoice.finalization_failed", "invoice.voided", "invoice.marked_uncollectible",
		"credit_note.created", "credit_note.voided",
		"quote.finalized", "quote.accepted", "quote.canceled",
		"setup_intent.succeeded", "setup_intent.setup_failed",
		"payment_method.attached", "payment_method.detached", "payment_method.updated", "payment_method.automatically_updated",
		"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
		"customer.subscription.paused", "customer.subscription.resumed", "customer.subscription.trial_will_end",
		"checkout.session.completed", "checkout.session.async_payment_succeeded",
		"checkout.session.async_payment_failed", "checkout.session.expired",
		"charge.refunded", "charge.refund.updated", "refund.created", "refund.updated",
		"charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed",
		"charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
		eventCustomerDeleted,
	}
}

// endpointStep is the step that makes an endpoint.
const endpointStep = "endpoint"

// RegisterEndpoint asks for events in the version that this adapter reads. A
// signing secret is told once, in the answer to the request that makes the
// endpoint: where that answer is lost for good the endpoint is made anew.
func (a *Adapter) RegisterEndpoint(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.EndpointRequest) (res gateway.EndpointResult) {
	o := a.begin(ctx, acc, c, "endpoint_register")
	defer o.end(&res.Outcome)
	there, p := o.endpointsAt(r.URL)
	var kept *sdk.WebhookEndpoint
	if p == nil {
		kept = standing(there, r)
		p = o.dropEndpoints(there, func(e *sdk.WebhookEndpoint) bool {
			// The secret of what an earlier try of this call has made may still
			// be told.
			return e == kept || kept == nil && e.Metadata[metaCall] == c.ID
		})
	}
	switch {
	case p != nil:
	case kept != nil:
		res.EndpointID = kept.ID
		p = o.completeEndpoint(kept)
	default:
		var made *sdk.WebhookEndpoint
		if made, p = o.makeEndpoint(r.URL); p == nil {
			res.EndpointID, res.Secret = made.ID, made.Secret
		}
	}
	if p != nil {
		return gateway.EndpointResult{Outcome: p.Outcome}
	}
	res.Outcome = o.succeeded()
	return res
}

// standing is the endpoint whose signing secret is stored: the one that it was
// told with, or, where a person has entered it, the only one that there is.
func standing(there []*sdk.WebhookEndpoint, r gateway.EndpointRequest) *sdk.WebhookEndpoint {
	if !r.SecretStored {
		return nil
	}
	if r.EndpointID == "" && len(there) == 1 {
		return there[0]
	}
	for _, e := range there {
		if e.ID == r.EndpointID {
			return e
		}
	}
	return nil
}

// endpointsAt reads the account's endpoints of one address.
func (o *operation) endpointsAt(url string) ([]*sdk.WebhookEndpoint, *problem) {
	if o.refused != nil {
		return nil, o.refused
	}
	if !o.c.pace.wait(o.ctx) {
		return nil, tooBusy(o.requestID)
	}
	ctx, ex := withExchange(o.ctx)
	it := o.c.endpoints.List(&sdk.WebhookEndpointListParams{ListParams: sdk.ListParams{Context: ctx, Limit: sdk.Int64(100)}})
	var there []*sdk.WebhookEndpoint
	for n := 0; it.Next(); n++ {
		if n == lookMax {
			return nil, &problem{Outcome: gateway.Outcome{Status: gateway.StatusUnknown, RequestID: ex.id()}}
		}
		if e := it.WebhookEndpoint(); e.URL == url {
			there = append(there, e)
		}
	}
	if err := it.Err(); err != nil {
		return nil, o.problem(err, ex)
	}
	return there, nil
}

// dropEndpoints removes all of them that are not to be kept.
func (o *operation) dropEndpoints(list []*sdk.WebhookEndpoint, keep func(*sdk.WebhookEndpoint) bool) *problem {
	for _, e := range list {
		if keep(e) {
			continue
		}
		_, p := change(o, "drop-"+e.ID, func(p sdk.Params) (*sdk.WebhookEndpoint, error) {
			return o.c.endpoints.Del(e.ID, &sdk.WebhookEndpointParams{Params: p})
		})
		if p != nil && !p.absent {
			return p
		}
		o.acted = true
	}
	return nil
}

// completeEndpoint has an endpoint told of everything that this adapter reads,
// and switched on.
func (o *operation) completeEndpoint(e *sdk.WebhookEndpoint) *problem {
	events := e.EnabledEvents
	if !slices.Contains(events, "*") {
		for _, name := range endpointEvents() {
			if !slices.Contains(events, name) {
				events = append(events, name)
			}
		}
	}
	if len(events) == len(e.EnabledEvents) && e.Status == "enabled" {
		return nil
	}
	_, p := change(o, "complete", func(p sdk.Params) (*sdk.WebhookEndpoint, error) {
		return o.c.endpoints.Update(e.ID, &sdk.WebhookEndpointParams{
			Params: p, EnabledEvents: sdk.StringSlice(events), Disabled: sdk.Bool(false),
		})
	})
	return p
}

// makeEndpoint makes an endpoint with a secret that is known.
func (o *operation) makeEndpoint(url string) (*sdk.WebhookEndpoint, *problem) {
	send := func(p sdk.Params) (*sdk.WebhookEndpoint, error) {
		return o.c.endpoints.New(&sdk.WebhookEndpointParams{
			Params:        p,
			URL:           sdk.String(url),
			APIVersion:    sdk.String(sdk.APIVersion),
			EnabledEvents: sdk.StringSlice(endpointEvents()),
			Description:   sdk.String("Purser"),
			Metadata:      o.metadata(endpointStep),
		})
	}
	if !o.stale() {
		// Sent again, Stripe tells the stored answer, with the secret.
		made, p := write(o, endpointStep, send)
		if p != nil && !p.stored || p == nil && !o.replayed {
			return made, p
		}
		there, lost := o.endpointsAt(url)
		switch {
		case lost != nil:
			return nil, lost.unsettled()
		case p == nil && slices.ContainsFunc(there, func(e *sdk.WebhookEndpoint) bool { return e.ID == made.ID }):
			return made, nil
		case len(there) == 0 && p != nil && p.server && !p.replayed:
			return nil, p // it may still be made
		}
	}
	there, p := o.endpointsAt(url)
	if p == nil {
		p = o.dropEndpoints(there, func(*sdk.WebhookEndpoint) bool { return false })
	}
	if p != nil {
		return nil, p
	}
	return change(o, endpointStep, send)
}
