package stripe

import (
	"context"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// endpointEvents are the events that an endpoint is registered for. Charges
// themselves are left out: they race their payment_intent.
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
		"customer.updated", "customer.deleted",
	}
}

// RegisterEndpoint asks for events in the version that this adapter reads.
// The signing secret is told once, in the answer: where that is lost for good
// the endpoint is removed again, and a new call is needed.
func (a *Adapter) RegisterEndpoint(ctx context.Context, acc gateway.Account, c gateway.Call, url string) (res gateway.EndpointResult) {
	o := a.begin(ctx, acc, c, "endpoint_register")
	defer o.end(&res.Outcome)
	const step = "endpoint"
	made, p := create(o, step, func() (*sdk.WebhookEndpoint, *problem) {
		return newest[sdk.WebhookEndpoint](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.endpoints.List(&sdk.WebhookEndpointListParams{ListParams: l}).Iter
		})
	}, func(p sdk.Params) (*sdk.WebhookEndpoint, error) {
		return o.c.endpoints.New(&sdk.WebhookEndpointParams{
			Params:        p,
			URL:           sdk.String(url),
			APIVersion:    sdk.String(sdk.APIVersion),
			EnabledEvents: sdk.StringSlice(endpointEvents()),
			Description:   sdk.String("Purser"),
			Metadata:      o.metadata(step),
		})
	})
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	if made.Secret == "" {
		return o.dropEndpoint(made.ID)
	}
	res.Outcome = o.succeeded()
	res.EndpointID, res.Secret = made.ID, made.Secret
	return res
}

// dropEndpoint removes an endpoint whose secret nobody knows.
func (o *operation) dropEndpoint(id string) (res gateway.EndpointResult) {
	_, p := change(o, "drop", func(p sdk.Params) (*sdk.WebhookEndpoint, error) {
		return o.c.endpoints.Del(id, &sdk.WebhookEndpointParams{Params: p})
	})
	if p != nil && !p.absent {
		res.Outcome, res.EndpointID = p.unsettled().Outcome, id
		return res
	}
	res.Outcome = gateway.Outcome{
		Status: gateway.StatusUnavailable, RequestID: o.requestID,
		Failure: &gateway.Failure{Code: "secret_lost", Message: "the endpoint's signing secret was lost on the way; register it again"},
	}
	return res
}
