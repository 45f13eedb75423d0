package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"purser/ent"
	"purser/ent/outbox"
	"purser/ent/webhookdelivery"
	"purser/ent/webhookendpoint"
)

// What endpoints are told is decided in the transaction of the change: a row of
// the outbox, and a delivery for each endpoint that wants it. A delivery is one
// try. It is claimed for a time, sent with no transaction open, and ended by
// whoever comes first; where it fails the next one is made then. So an endpoint
// hears of everything at least once, from any number of servers.

// deliveryLease is how long whoever claims a delivery has it to itself: longer
// than sending may take.
const deliveryLease = time.Minute

// deliveryPauses are the times between the tries; after the last of them the
// event is given up for the endpoint.
func deliveryPauses() []time.Duration {
	return []time.Duration{
		10 * time.Second, time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour,
	}
}

// deliver has an event of the outbox sent to every endpoint that wants it.
func (tx *Tx) deliver(ctx context.Context, eventID, kind string, endpoints []*ent.WebhookEndpoint) error {
	var rows []*ent.WebhookDeliveryCreate
	for _, e := range endpoints {
		if slices.Contains(e.EventTypes, kind) {
			rows = append(rows, tx.newDelivery(e.ID, eventID, kind, 1, tx.Now))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return wrapped(tx.WebhookDelivery.CreateBulk(rows...).Exec(ctx), "store deliveries of "+eventID)
}

func (tx *Tx) newDelivery(endpointID, eventID, kind string, attempt int, at time.Time) *ent.WebhookDeliveryCreate {
	return tx.WebhookDelivery.Create().
		SetID(tx.s.newID(prefixWebhookDelivery)).SetEndpointID(endpointID).SetOutboxID(eventID).SetEventType(kind).
		SetAttempt(attempt).SetNextAttemptAt(at).SetCreatedAt(tx.Now)
}

// activeEndpoints are the organization's endpoints to which events are sent.
func (tx *Tx) activeEndpoints(ctx context.Context) ([]*ent.WebhookEndpoint, error) {
	rows, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.StatusEQ(webhookendpoint.StatusACTIVE)).
		Order(ent.Asc(webhookendpoint.FieldID)).All(ctx)
	return rows, wrapped(err, "read webhook endpoints")
}

// WebhookSend is a delivery ready to be sent: once, by POST.
type WebhookSend struct {
	DeliveryID string
	URL        string
	Header     http.Header
	Body       []byte
}

// webhookBody is what an endpoint gets.
type webhookBody struct {
	ID           string          `json:"id"`
	Type         string          `json:"type"`
	CreatedAt    time.Time       `json:"createdAt"`
	Organization string          `json:"organization"`
	Data         json.RawMessage `json:"data"`
}

// ClaimDelivery takes a delivery that is due; nil when it is not due any more.
// Two servers never take the same one within its lease.
func (s *Service) ClaimDelivery(ctx context.Context, id string) (*WebhookSend, error) {
	claimed := false
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.WebhookDelivery.Update().Where(webhookdelivery.ID(id), deliveryDue(tx.Now)).
			SetNextAttemptAt(tx.Now.Add(deliveryLease)).Save(ctx)
		claimed = n == 1
		return err
	})
	if err != nil || !claimed {
		return nil, wrapped(err, "claim delivery "+id)
	}
	d, err := s.read.WebhookDelivery.Query().Where(webhookdelivery.ID(id)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read delivery %s: %w", id, err)
	}
	e, err := s.read.WebhookEndpoint.Query().Where(webhookendpoint.ID(d.EndpointID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read endpoint of delivery %s: %w", id, err)
	}
	if e.Status != webhookendpoint.StatusACTIVE { // it was decided on while the endpoint was switched off
		return nil, s.FinishDelivery(ctx, id, WebhookAnswer{Error: "the endpoint is not active"})
	}
	event, err := s.read.Outbox.Query().Where(outbox.ID(d.OutboxID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read event of delivery %s: %w", id, err)
	}
	o, err := s.read.Organization.Query().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	body, err := json.Marshal(webhookBody{event.ID, event.Kind, event.CreatedAt.UTC(), o.Slug, event.Payload})
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", event.ID, err)
	}
	secrets, err := s.endpointSecrets(e)
	if err != nil {
		return nil, err
	}
	// By the machine's clock, as receivers have it.
	head, err := webhookHeaders(event.ID, s.machine(), body, secrets)
	if err != nil {
		return nil, err
	}
	return &WebhookSend{DeliveryID: id, URL: e.URL, Header: head, Body: body}, nil
}

// WebhookAnswer is what an endpoint answered: a status, or a sentence that says
// why there is none.
type WebhookAnswer struct {
	Status int
	Error  string
}

func (a WebhookAnswer) delivered() bool { return a.Status >= 200 && a.Status < 300 }

func (a WebhookAnswer) reason() string {
	switch {
	case a.Error != "":
		return a.Error
	case a.Status >= 300 && a.Status < 400:
		return fmt.Sprintf("the endpoint answered %d, which leads elsewhere: redirects are not followed", a.Status)
	}
	return fmt.Sprintf("the endpoint answered %d; 200 to 299 means that it has taken the event", a.Status)
}

// FinishDelivery writes what became of a delivery, and where it failed decides
// on the next try. It may be called twice; only the first answer counts.
func (s *Service) FinishDelivery(ctx context.Context, id string, a WebhookAnswer) error {
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		d, err := tx.WebhookDelivery.Query().Where(webhookdelivery.ID(id)).Only(ctx)
		if err != nil {
			return fmt.Errorf("read delivery %s: %w", id, err)
		}
		if d.Status != webhookdelivery.StatusPENDING {
			return nil
		}
		u := tx.WebhookDelivery.Update().Where(webhookdelivery.ID(id), webhookdelivery.StatusEQ(d.Status)).
			SetHTTPStatus(a.Status).SetFinishedAt(tx.Now).ClearNextAttemptAt()
		if a.delivered() {
			return wrapped(cas(u.SetStatus(webhookdelivery.StatusDELIVERED).Save(ctx)), "finish delivery "+id)
		}
		if err := cas(u.SetStatus(webhookdelivery.StatusFAILED).SetError(cut(a.reason(), 500)).Save(ctx)); err != nil {
			return fmt.Errorf("finish delivery %s: %w", id, err)
		}
		pauses := deliveryPauses()
		if d.Attempt > len(pauses) {
			return nil
		}
		active, err := tx.WebhookEndpoint.Query().
			Where(webhookendpoint.ID(d.EndpointID), webhookendpoint.StatusEQ(webhookendpoint.StatusACTIVE)).Exist(ctx)
		if err != nil || !active {
			return wrapped(err, "read endpoint of delivery "+id)
		}
		next := tx.newDelivery(d.EndpointID, d.OutboxID, d.EventType, d.Attempt+1, tx.Now.Add(pauses[d.Attempt-1]))
		return wrapped(next.Exec(ctx), "store next try of delivery "+id)
	})
}

// Redeliver sends the event of a delivery to its endpoint once more and returns
// the new delivery; one that waits for its time is sent now instead. Refusals:
// NOT_FOUND, INVALID_STATE.
func (s *Service) Redeliver(ctx context.Context, id string) (string, error) {
	fresh, out := s.newID(prefixWebhookDelivery), ""
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		d, err := tx.WebhookDelivery.Query().Where(webhookdelivery.ID(id)).Only(ctx)
		if err != nil {
			return orNotFound(err, "deliveryId", "delivery", id)
		}
		e, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.ID(d.EndpointID)).Only(ctx)
		if err != nil {
			return fmt.Errorf("read endpoint of delivery %s: %w", id, err)
		}
		if e.Status != webhookendpoint.StatusACTIVE {
			return refuse(CodeInvalidState, "deliveryId", "the endpoint is %s", e.Status)
		}
		last, err := tx.WebhookDelivery.Query().
			Where(webhookdelivery.EndpointID(d.EndpointID), webhookdelivery.OutboxID(d.OutboxID)).
			Order(ent.Desc(webhookdelivery.FieldAttempt)).First(ctx)
		if err != nil {
			return fmt.Errorf("read tries of event %s: %w", d.OutboxID, err)
		}
		if last.ID == fresh { // a run before this one has made it
			out = fresh
			return nil
		}
		if last.Status == webhookdelivery.StatusPENDING {
			// One that is on its way just now is not sent beside itself.
			out = last.ID
			_, err := tx.WebhookDelivery.Update().
				Where(webhookdelivery.ID(last.ID), webhookdelivery.StatusEQ(last.Status), webhookdelivery.NextAttemptAtGT(tx.Now.Add(deliveryLease))).
				SetNextAttemptAt(tx.Now).Save(ctx)
			return wrapped(err, "hurry delivery "+last.ID)
		}
		out = fresh
		err = tx.newDelivery(e.ID, d.OutboxID, d.EventType, last.Attempt+1, tx.Now).SetID(fresh).Exec(ctx)
		if err != nil {
			return fmt.Errorf("store delivery: %w", err)
		}
		return tx.audit(ctx, "webhook.redeliver", e.ID, map[string]string{"eventId": d.OutboxID})
	})
	if err != nil {
		return "", err
	}
	return out, nil
}
