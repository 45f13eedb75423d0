package billing

import (
	"context"
	"fmt"

	"purser/auth"
)

// audit records who changed what of the settings, the credentials or the
// access. Details carry names and numbers, never a secret.
func (tx *Tx) audit(ctx context.Context, action, subject string, details map[string]string) error {
	return tx.auditBy(ctx, auth.FromContext(ctx).Actor(), action, subject, details)
}

// auditBy is audit for an actor that is not the viewer: the operator, who has
// no organization in which to write.
func (tx *Tx) auditBy(ctx context.Context, actor, action, subject string, details map[string]string) error {
	if details == nil {
		details = map[string]string{}
	}
	err := tx.AuditEvent.Create().
		SetID(tx.s.newID(prefixAudit)).
		SetActor(actor).SetAction(action).SetSubject(subject).SetDetails(details).
		SetCreatedAt(tx.Now).
		Exec(ctx)
	if err != nil {
		return fmt.Errorf("record %s: %w", action, err)
	}
	return nil
}
