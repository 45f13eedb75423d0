package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// notice puts what somebody is to be told into the outbox, in the transaction
// that decides on it.
func (tx *Tx) notice(ctx context.Context, kind, subject string, payload any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode notice %s: %w", kind, err)
	}
	id := tx.s.newID(prefixOutbox)
	err = tx.Outbox.Create().
		SetID(id).SetKind(kind).SetSubject(subject).SetPayload(body).
		SetAvailableAt(tx.Now).SetCreatedAt(tx.Now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("store notice %s: %w", kind, err)
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
