package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/ent"
	"purser/ent/outbox"
	"purser/ent/webhookdelivery"
)

// notice puts what somebody is to be told into the outbox, in the transaction
// that decides on it.
func (tx *Tx) notice(ctx context.Context, kind, subject string, payload any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode notice %s: %w", kind, err)
	}
	id, err := tx.storeEvent(ctx, kind, subject, body)
	if err != nil {
		return err
	}
	if !slices.Contains(WebhookEventTypes(), kind) {
		return nil
	}
	endpoints, err := tx.activeEndpoints(ctx)
	if err != nil {
		return err
	}
	return tx.deliver(ctx, id, kind, endpoints)
}

// storeEvent makes a row of the outbox and returns its id.
func (tx *Tx) storeEvent(ctx context.Context, kind, subject string, payload json.RawMessage) (string, error) {
	id := tx.s.newID(prefixOutbox)
	err := tx.Outbox.Create().SetID(id).SetKind(kind).SetSubject(subject).SetPayload(payload).SetCreatedAt(tx.Now).Exec(ctx)
	if err != nil {
		return "", fmt.Errorf("store event %s: %w", kind, err)
	}
	return id, nil
}

// Events are kept for eventLife, and removed in small bites. That is longer
// than their deliveries are kept, by the time in which an endpoint is tried: so
// hardly an event is looked at that still has any.
const (
	eventLife = deliveryLife + 5*24*time.Hour
	eventsBit = 500
)

// RemoveOldEvents forgets events of the viewer's organization that are older
// than eventLife and of which there is no delivery any more, at most eventsBit
// of them, and returns how many. One that is still to be delivered stays. It
// may be called at any time: nobody else touches these rows.
func (s *Service) RemoveOldEvents(ctx context.Context) (int, error) {
	ids, err := s.read.Outbox.Query().Where(outbox.CreatedAtLT(s.now(ctx).Add(-eventLife)), notTold(auth.FromContext(ctx).OrganizationID)).
		Order(ent.Asc(outbox.FieldCreatedAt)).Limit(eventsBit).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, wrapped(err, "list old events")
	}
	removed := 0
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
		removed, err = tx.Outbox.Delete().Where(outbox.IDIn(ids...)).Exec(ctx)
		return err
	})
	return removed, wrapped(err, "remove old events")
}

// notTold keeps the events of an organization of which there is no delivery.
func notTold(organizationID string) func(*entsql.Selector) {
	return func(s *entsql.Selector) {
		d := entsql.Dialect(s.Dialect())
		tries := d.Table(webhookdelivery.Table)
		s.Where(entsql.NotExists(d.Select(tries.C(webhookdelivery.FieldID)).From(tries).Where(entsql.And(
			entsql.EQ(tries.C(webhookdelivery.FieldOrganizationID), organizationID),
			entsql.ColumnsEQ(tries.C(webhookdelivery.FieldOutboxID), s.C(outbox.FieldID)),
		))))
	}
}
