package jobs

import (
	"context"
	"errors"

	"purser/billing"
	"purser/mail"
)

// Mailer sends a mail. Its error is a *mail.Failure.
type Mailer interface {
	Send(ctx context.Context, m mail.Message) error
}

// sendMail sends a mail that is due, once it has been claimed: whoever dies
// between sending it and noting that leaves it to be sent again.
func (r *Runner) sendMail(ctx context.Context, id string) error {
	m, err := r.Billing.ClaimMail(ctx, id)
	if err != nil || m == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	failure := r.Mail.Send(ctx, *m)
	return errors.Join(failure, r.Billing.FinishMail(ctx, id, failure))
}
