package billing

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/webhookdelivery"
	"purser/ent/webhookendpoint"
)

// webhookEndpointsMax bounds the endpoints of an organization: each event may
// go to all of them.
const webhookEndpointsMax = 20

// webhookOverlap is how long deliveries are signed with the secret before the
// current one as well.
const webhookOverlap = 24 * time.Hour

// What endpoints can be told of, as it stands in deliveries.
const (
	EventPaymentChanged      = "payment.changed"
	EventInvoiceChanged      = "invoice.changed"
	EventQuoteChanged        = "quote.changed"
	EventSubscriptionChanged = "subscription.changed"
	EventUpcomingRenewal     = noticeUpcomingRenewal
	EventTrialEnded          = noticeTrialEnded
	EventRefundChanged       = "refund.changed"
	EventDisputeChanged      = "dispute.changed"
	EventCreditNoteIssued    = "credit_note.issued"
	EventBalanceLow          = noticeLowBalance
	EventAutoReloadSuspended = noticeReloadSuspended
	EventUpcomingCharge      = noticeUpcomingCharge
	EventChargeFailed        = noticeChargeFailed
	EventChargeGivenUp       = noticeChargeGivenUp
	EventAuthentication      = noticeAuthentication
	EventInvoicePaid         = noticeInvoicePaid
	EventCardExpires         = noticeCardExpires
)

// WebhookEventTypes are all of them.
func WebhookEventTypes() []string {
	return []string{
		EventPaymentChanged, EventInvoiceChanged, EventQuoteChanged,
		EventSubscriptionChanged, EventUpcomingRenewal, EventTrialEnded,
		EventRefundChanged, EventDisputeChanged, EventCreditNoteIssued,
		EventBalanceLow, EventAutoReloadSuspended,
		EventUpcomingCharge, EventChargeFailed, EventChargeGivenUp, EventAuthentication, EventInvoicePaid, EventCardExpires,
	}
}

// WebhookEndpointDraft is a new endpoint.
type WebhookEndpointDraft struct {
	URL         string
	Description *string
	EventTypes  []string
}

// WebhookEndpointChange changes an endpoint. What is nil stays.
type WebhookEndpointChange struct {
	ID          string
	URL         *string
	Description *string // empty clears
	EventTypes  []string
	Enabled     *bool
}

// CreateWebhookEndpoint has events sent to an address, and returns its id and
// the secret that they are signed with, which nobody is shown again. Refusals:
// REQUIRED, INVALID, LIMIT_EXCEEDED.
func (s *Service) CreateWebhookEndpoint(ctx context.Context, d WebhookEndpointDraft) (string, auth.Secret, error) {
	if err := s.checkWebhookURL(d.URL); err != nil {
		return "", "", err
	}
	types, err := eventTypes(d.EventTypes)
	if err != nil {
		return "", "", err
	}
	description, err := optionalNote(d.Description, "description", "the description")
	if err != nil {
		return "", "", err
	}
	id, secret := s.newID(prefixWebhookEndpoint), s.newWebhookSecret()
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		// A run before this one whose COMMIT was not answered has made it.
		if done, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.ID(id)).Exist(ctx); err != nil || done {
			return err
		}
		n, err := tx.WebhookEndpoint.Query().Where(webhookendpoint.StatusNEQ(webhookendpoint.StatusDELETED)).Count(ctx)
		if err != nil {
			return fmt.Errorf("count webhook endpoints: %w", err)
		}
		if n >= webhookEndpointsMax {
			return refuse(CodeLimitExceeded, "", "an organization has at most %d webhook endpoints: delete one first", webhookEndpointsMax)
		}
		sealed, err := s.seal(ctx, id, columnSecret, secret)
		if err != nil {
			return err
		}
		err = tx.WebhookEndpoint.Create().
			SetID(id).SetURL(d.URL).SetNillableDescription(description).SetEventTypes(types).SetSecretSealed(sealed).
			SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("store webhook endpoint: %w", err)
		}
		return tx.audit(ctx, "webhookEndpoint.create", id, map[string]string{"eventTypes": strings.Join(types, " ")})
	})
	if err != nil {
		return "", "", err
	}
	return id, secret, nil
}

// UpdateWebhookEndpoint changes an endpoint. One that is switched off gives up
// what waits for it. Refusals: NOT_FOUND, REQUIRED, INVALID, INVALID_STATE.
func (s *Service) UpdateWebhookEndpoint(ctx context.Context, c WebhookEndpointChange) error {
	if c.URL != nil {
		if err := s.checkWebhookURL(*c.URL); err != nil {
			return err
		}
	}
	var types []string
	if c.EventTypes != nil {
		var err error
		if types, err = eventTypes(c.EventTypes); err != nil {
			return err
		}
	}
	description, err := optionalNote(c.Description, "description", "the description")
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		e, err := tx.liveEndpoint(ctx, c.ID)
		if err != nil {
			return err
		}
		u := tx.WebhookEndpoint.Update().Where(webhookendpoint.ID(e.ID), webhookendpoint.StatusEQ(e.Status)).SetUpdatedAt(tx.Now)
		changes := map[string]string{}
		if c.URL != nil {
			u.SetURL(*c.URL)
			changes["url"] = "changed"
		}
		if c.Description != nil {
			setOrClear(description, u.SetDescription, u.ClearDescription)
			changes["description"] = "changed"
		}
		if types != nil {
			u.SetEventTypes(types)
			changes["eventTypes"] = strings.Join(types, " ")
		}
		if c.Enabled != nil {
			status := webhookendpoint.StatusDISABLED
			if *c.Enabled {
				status = webhookendpoint.StatusACTIVE
			} else if err := tx.giveUpDeliveries(ctx, e.ID, "the endpoint was disabled"); err != nil {
				return err
			}
			u.SetStatus(status)
			changes["status"] = string(status)
		}
		if len(changes) == 0 {
			return nil
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("change webhook endpoint %s: %w", e.ID, err)
		}
		return tx.audit(ctx, "webhookEndpoint.update", e.ID, changes)
	})
}

// DeleteWebhookEndpoint ends an endpoint and gives up what waits for it. Its
// secret is forgotten, its log kept. Refusals: NOT_FOUND.
func (s *Service) DeleteWebhookEndpoint(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		e, err := tx.liveEndpoint(ctx, id)
		if err != nil {
			return err
		}
		if err := tx.giveUpDeliveries(ctx, e.ID, "the endpoint was deleted"); err != nil {
			return err
		}
		err = cas(tx.WebhookEndpoint.Update().Where(webhookendpoint.ID(e.ID), webhookendpoint.StatusEQ(e.Status)).
			SetStatus(webhookendpoint.StatusDELETED).ClearSecretSealed().ClearSecretPreviousSealed().ClearSecretPreviousUntil().
			SetUpdatedAt(tx.Now).Save(ctx))
		if err != nil {
			return fmt.Errorf("delete webhook endpoint %s: %w", e.ID, err)
		}
		return tx.audit(ctx, "webhookEndpoint.delete", e.ID, nil)
	})
}

// RotateWebhookEndpointSecret gives an endpoint a new signing secret, which
// nobody is shown again. For a day deliveries are signed with the one before it
// as well. Refusals: NOT_FOUND.
func (s *Service) RotateWebhookEndpointSecret(ctx context.Context, id string) (auth.Secret, error) {
	secret := s.newWebhookSecret()
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		e, err := tx.liveEndpoint(ctx, id)
		if err != nil {
			return err
		}
		current, err := s.openEndpointSecret(e, e.SecretSealed)
		if err != nil || current == secret { // a run before this one has done it
			return err
		}
		sealed, err := s.seal(ctx, e.ID, columnSecret, secret)
		if err != nil {
			return err
		}
		err = cas(tx.WebhookEndpoint.Update().
			Where(webhookendpoint.ID(e.ID), webhookendpoint.StatusEQ(e.Status), webhookendpoint.SecretSealed(e.SecretSealed)).
			SetSecretSealed(sealed).SetSecretPreviousSealed(e.SecretSealed).SetSecretPreviousUntil(tx.s.machine().Add(webhookOverlap)).
			SetUpdatedAt(tx.Now).Save(ctx))
		if err != nil {
			return fmt.Errorf("change secret of webhook endpoint %s: %w", e.ID, err)
		}
		return tx.audit(ctx, "webhookEndpoint.rotateSecret", e.ID, nil)
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// liveEndpoint reads an endpoint that is not deleted.
func (tx *Tx) liveEndpoint(ctx context.Context, id string) (*ent.WebhookEndpoint, error) {
	e, err := tx.WebhookEndpoint.Query().
		Where(webhookendpoint.ID(id), webhookendpoint.StatusNEQ(webhookendpoint.StatusDELETED)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "id", "webhook endpoint", id)
	}
	return e, nil
}

// giveUpDeliveries ends what waits for an endpoint that is told nothing more.
func (tx *Tx) giveUpDeliveries(ctx context.Context, endpointID, reason string) error {
	_, err := tx.WebhookDelivery.Update().
		Where(webhookdelivery.EndpointID(endpointID), webhookdelivery.StatusEQ(webhookdelivery.StatusPENDING)).
		SetStatus(webhookdelivery.StatusFAILED).SetError(reason).SetFinishedAt(tx.Now).ClearNextAttemptAt().Save(ctx)
	return wrapped(err, "give up deliveries to "+endpointID)
}

func (s *Service) openEndpointSecret(e *ent.WebhookEndpoint, sealed []byte) (auth.Secret, error) {
	return s.sealer.Open(sealed, auth.Place{OrganizationID: e.OrganizationID, EntityID: e.ID, Column: columnSecret})
}

// endpointSecrets are the secrets that a delivery is signed with, the current
// one first. As with all credentials, the day in which the one before counts is
// by the machine's clock.
func (s *Service) endpointSecrets(e *ent.WebhookEndpoint) ([]auth.Secret, error) {
	sealed := [][]byte{e.SecretSealed}
	if until := e.SecretPreviousUntil; until != nil && s.machine().Before(*until) {
		sealed = append(sealed, e.SecretPreviousSealed)
	}
	secrets := make([]auth.Secret, 0, len(sealed))
	for _, one := range sealed {
		secret, err := s.openEndpointSecret(e, one)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

// eventTypes checks a list of what an endpoint is told of; doubles go.
func eventTypes(list []string) ([]string, error) {
	var out []string
	for i, name := range list {
		if !slices.Contains(WebhookEventTypes(), name) {
			return nil, refuse(CodeInvalid, fmt.Sprintf("eventTypes.%d", i), "there are no events %.64q", name)
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, refuse(CodeRequired, "eventTypes", "say what the endpoint is to be told of")
	}
	return out, nil
}

// checkWebhookURL refuses addresses that nothing can be sent to: those of the
// internet are https on its own port. What they lead to is looked at by whoever
// dials. Addresses that the operator lists may be any.
func (s *Service) checkWebhookURL(address string) error {
	u, err := url.Parse(address)
	if err == nil && u.User == nil && u.Host != "" && slices.Contains(s.webhookAddresses, strings.ToLower(u.Scheme+"://"+u.Host)) && u.Fragment == "" {
		return nil
	}
	origin, err := returnOrigin(address, false)
	if err != nil {
		return refuse(CodeInvalid, "url", "%s", strings.Replace(err.Error(), " (http:// is good only for this machine, in SANDBOX)", "", 1))
	}
	if u.Port() != "" && u.Port() != "443" {
		return refuse(CodeInvalid, "url", "%s has a port of its own: events are sent to https:// on its usual port", origin)
	}
	if u.Fragment != "" {
		return refuse(CodeInvalid, "url", "the address must not have a fragment (#…)")
	}
	return nil
}
