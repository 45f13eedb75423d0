package jobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"purser/billing"
)

const (
	// webhookTimeout is how long an endpoint may take to take an event. Whoever
	// has more to do with it does it afterwards.
	webhookTimeout = 5 * time.Second
	// webhookAnswerMax is how much of its answer is read, so that the connection
	// can be used again. Nothing of it is kept.
	webhookAnswerMax = 16 << 10
)

// deliverWebhook tells an endpoint about an event.
func (r *Runner) deliverWebhook(ctx context.Context, id string) error {
	if r.Webhooks == nil {
		return errors.New("there is no client for webhooks")
	}
	send, err := r.Billing.ClaimDelivery(ctx, id)
	if err != nil || send == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, webhookTimeout)
	defer cancel()
	return r.Billing.FinishDelivery(ctx, id, r.post(ctx, send))
}

// post sends a delivery. Why there was no answer is told in one of three
// sentences: which addresses can be reached from here is nobody's business.
func (r *Runner) post(ctx context.Context, send *billing.WebhookSend) billing.WebhookAnswer {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, send.URL, bytes.NewReader(send.Body))
	if err != nil {
		return billing.WebhookAnswer{Error: "the endpoint's address cannot be used"}
	}
	request.Header = send.Header
	answer, err := r.Webhooks.Do(request)
	if errors.Is(err, context.DeadlineExceeded) {
		return billing.WebhookAnswer{Error: "the endpoint did not answer within 5 seconds"}
	}
	if err != nil {
		return billing.WebhookAnswer{Error: "no answer from the endpoint: it must be reachable from the internet, over https with a certificate that is good"}
	}
	defer answer.Body.Close()
	// What it says is of no interest; that all of it came is not either.
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, webhookAnswerMax))
	return billing.WebhookAnswer{Status: answer.StatusCode}
}

// removeDeliveries is no reason of its own to visit an organization.
func (r *Runner) removeDeliveries(ctx context.Context, _ string) error {
	_, err := r.Billing.RemoveOldDeliveries(ctx)
	return err
}
