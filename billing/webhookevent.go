package billing

import (
	"context"
	"encoding/json"
	"fmt"

	"purser/ent"
)

// eventOf is what endpoints are told when an object of a kind has changed. Of
// balances they are told what is noticed about them, not each movement.
func eventOf(k ChangeKind) string {
	switch k {
	case ChangePayment:
		return EventPaymentChanged
	case ChangeInvoice:
		return EventInvoiceChanged
	case ChangeQuote:
		return EventQuoteChanged
	case ChangeSubscription:
		return EventSubscriptionChanged
	case ChangeRefund:
		return EventRefundChanged
	case ChangeDispute:
		return EventDisputeChanged
	case ChangeCreditNote:
		return EventCreditNoteIssued
	default:
		return ""
	}
}

// announce tells the organization's endpoints of what the transaction has
// changed, each object once, as it is at the end. It is the transaction's last
// step.
func (tx *Tx) announce(ctx context.Context) error {
	var objects []Change
	told := map[string]bool{}
	for _, c := range tx.pending {
		if eventOf(c.Kind) == "" || told[c.ID] || c.OrganizationID == "" || c.OrganizationID != tx.organizationID(ctx) {
			continue
		}
		told[c.ID] = true
		objects = append(objects, c)
	}
	if len(objects) == 0 {
		return nil
	}
	endpoints, err := tx.activeEndpoints(ctx)
	if err != nil || len(endpoints) == 0 {
		return err
	}
	for _, c := range objects {
		if err := tx.announceOne(ctx, c, endpoints); err != nil {
			return fmt.Errorf("tell webhooks of %s: %w", c.ID, err)
		}
	}
	return nil
}

func (tx *Tx) announceOne(ctx context.Context, c Change, endpoints []*ent.WebhookEndpoint) error {
	kind := eventOf(c.Kind)
	if !wanted(endpoints, kind) {
		return nil
	}
	state, err := tx.stateOf(ctx, c)
	if err != nil || state == nil {
		return err
	}
	body, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	id, err := tx.storeEvent(ctx, kind, c.ID, body)
	if err != nil {
		return err
	}
	return tx.deliver(ctx, id, kind, endpoints)
}

// wanted says whether any of the endpoints is to be told of a kind of event.
func wanted(endpoints []*ent.WebhookEndpoint, kind string) bool {
	for _, e := range endpoints {
		for _, t := range e.EventTypes {
			if t == kind {
				return true
			}
		}
	}
	return false
}
