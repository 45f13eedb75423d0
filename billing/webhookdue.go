package billing

import (
	"context"
	"fmt"
	"slices"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/predicate"
	"purser/ent/webhookdelivery"
)

// Deliveries are kept for deliveryLife, and removed in small bites.
const (
	deliveryLife  = 30 * 24 * time.Hour
	deliveriesBit = 500
)

func deliveryDue(now time.Time) predicate.WebhookDelivery {
	return webhookdelivery.And(webhookdelivery.StatusEQ(webhookdelivery.StatusPENDING), webhookdelivery.NextAttemptAtLTE(now))
}

// DueEndpoint is an endpoint for which something is due.
type DueEndpoint struct {
	OrganizationID string `sql:"organization_id"`
	EndpointID     string `sql:"endpoint_id"`
}

// EndpointsWithDueDeliveries lists the endpoints to which something is to be
// sent, of all organizations but those whose clocks stand: there it is sent
// before the clock moves on. It is one of the few statements that span
// organizations.
func (s *Service) EndpointsWithDueDeliveries(ctx context.Context) ([]DueEndpoint, error) {
	set, advancing, err := s.readClocks(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.dueEndpoints(ctx, s.machine())
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(e DueEndpoint) bool { return slices.Contains(set, e.OrganizationID) })
	for _, id := range set {
		if slices.Contains(advancing, id) {
			continue
		}
		more, err := s.DueEndpoints(auth.Internal(ctx, "jobs", id))
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	return found, nil
}

// DueEndpoints lists the endpoints of the viewer's organization to which
// something is to be sent.
func (s *Service) DueEndpoints(ctx context.Context) ([]DueEndpoint, error) {
	return s.dueEndpoints(ctx, s.now(ctx))
}

func (s *Service) dueEndpoints(ctx context.Context, now time.Time) ([]DueEndpoint, error) {
	var found []DueEndpoint
	err := s.read.WebhookDelivery.Query().Where(deliveryDue(now), everyone).Unique(true).
		Select(webhookdelivery.FieldOrganizationID, webhookdelivery.FieldEndpointID).Scan(ctx, &found)
	if err != nil {
		return nil, fmt.Errorf("scan for due deliveries: %w", err)
	}
	return found, nil
}

// ClockStands reports whether the clock of the viewer's organization is being
// advanced.
func (s *Service) ClockStands(ctx context.Context) bool { return s.clock(ctx).at != nil }

// DueDeliveries lists what is to be sent to an endpoint of the viewer's
// organization, the longest waiting first.
func (s *Service) DueDeliveries(ctx context.Context, endpointID string, limit int) ([]string, error) {
	ids, err := s.read.WebhookDelivery.Query().Where(webhookdelivery.EndpointID(endpointID), deliveryDue(s.now(ctx))).
		Order(ent.Asc(webhookdelivery.FieldNextAttemptAt)).Limit(limit).IDs(ctx)
	return ids, wrapped(err, "list due deliveries")
}

// RemoveOldDeliveries forgets ended deliveries of the viewer's organization that
// are older than deliveryLife, at most deliveriesBit of them, and returns how
// many. It may be called at any time.
func (s *Service) RemoveOldDeliveries(ctx context.Context) (int, error) {
	ids, err := s.read.WebhookDelivery.Query().
		Where(webhookdelivery.CreatedAtLT(s.now(ctx).Add(-deliveryLife)), webhookdelivery.StatusNEQ(webhookdelivery.StatusPENDING)).
		Order(ent.Asc(webhookdelivery.FieldCreatedAt)).Limit(deliveriesBit).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, wrapped(err, "list old deliveries")
	}
	removed := 0
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
		removed, err = tx.WebhookDelivery.Delete().Where(webhookdelivery.IDIn(ids...)).Exec(ctx)
		return err
	})
	return removed, wrapped(err, "remove old deliveries")
}
