package billing

import (
	"context"
	"encoding/json"
	"fmt"
)

// notice puts what somebody is to be told into the outbox, in the transaction
// that decides on it.
func (tx *Tx) notice(ctx context.Context, kind, subject string, payload any) error {
	body, err := json.Marshal(payload)
	if err != nil {
		return fmt.Errorf("encode notice %s: %w", kind, err)
	}
	err = tx.Outbox.Create().
		SetID(tx.s.newID(prefixOutbox)).SetKind(kind).SetSubject(subject).SetPayload(body).
		SetAvailableAt(tx.Now).SetCreatedAt(tx.Now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("store notice %s: %w", kind, err)
	}
	return nil
}
