package graph

import (
	"context"
	"fmt"
	"strings"
	"time"

	"purser/billing"
	"purser/ent"
	"purser/ent/webhookdelivery"
	"purser/ent/webhookendpoint"
	"purser/graph/model"
)

// An event's type has two forms: payment.changed in what is sent,
// PAYMENT_CHANGED here.

func shownEventType(wire string) model.WebhookEventType {
	return model.WebhookEventType(strings.ToUpper(strings.ReplaceAll(wire, ".", "_")))
}

func wireEventType(t model.WebhookEventType) string {
	for _, wire := range billing.WebhookEventTypes() {
		if shownEventType(wire) == t {
			return wire
		}
	}
	return string(t) // which the domain refuses
}

func wireEventTypes(list []model.WebhookEventType) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = wireEventType(t)
	}
	return out
}

func shownEventTypes(e *ent.WebhookEndpoint) []model.WebhookEventType {
	out := make([]model.WebhookEventType, len(e.EventTypes))
	for i, t := range e.EventTypes {
		out[i] = shownEventType(t)
	}
	return out
}

// overlapUntil is until when deliveries are signed with two secrets, or nil.
func overlapUntil(e *ent.WebhookEndpoint, now time.Time) *time.Time {
	if e.SecretPreviousUntil == nil || !now.Before(*e.SecretPreviousUntil) {
		return nil
	}
	return e.SecretPreviousUntil
}

// webhookEndpointList is what the organization has, oldest first.
func (r *Resolver) webhookEndpointList(ctx context.Context) ([]*ent.WebhookEndpoint, error) {
	q, err := r.client().WebhookEndpoint.Query().CollectFields(ctx, "WebhookEndpoint", "Node")
	if err != nil {
		return nil, err
	}
	rows, err := q.Where(webhookendpoint.StatusNEQ(webhookendpoint.StatusDELETED)).Order(ent.Asc(webhookendpoint.FieldID)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read webhook endpoints: %w", err)
	}
	return rows, nil
}

// endpointPayload is what a mutation answers about an endpoint.
func (r *Resolver) endpointPayload(ctx context.Context, id string, err error) (*ent.WebhookEndpoint, []*model.UserError, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return nil, u, err
	}
	e, err := show(ctx, r.client().WebhookEndpoint.Query().Where(webhookendpoint.ID(id)), "endpoint", "WebhookEndpoint")
	return e, u, err
}

// deliveryEndpoint is where a delivery goes.
func (r *Resolver) deliveryEndpoint(ctx context.Context, d *ent.WebhookDelivery) (*ent.WebhookEndpoint, error) {
	if e, err := d.Edges.EndpointOrErr(); err == nil {
		return e, nil
	}
	e, err := r.client().WebhookEndpoint.Query().Where(webhookendpoint.ID(d.EndpointID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read endpoint of %s: %w", d.ID, err)
	}
	return e, nil
}

// redelivered is what webhookRedeliver answers.
func (r *Resolver) redelivered(ctx context.Context, id string, err error) (*model.WebhookRedeliverPayload, error) {
	u, err := refused(err)
	if err != nil || len(u) > 0 {
		return &model.WebhookRedeliverPayload{UserErrors: u}, err
	}
	d, err := show(ctx, r.client().WebhookDelivery.Query().Where(webhookdelivery.ID(id)), "delivery", "WebhookDelivery")
	return &model.WebhookRedeliverPayload{Delivery: d, UserErrors: u}, err
}
