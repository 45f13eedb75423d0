package jobs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"purser/auth"
	"purser/billing"
)

// What organizations are told at addresses of their own is sent apart from all
// other work, endpoint by endpoint: nobody can make a charge, or another
// organization, wait by an address that is slow to answer. An endpoint that does
// not answer is asked a few times a minute at most, whatever waits for it.

const (
	// webhookTimeout is how long an endpoint may take to take an event. Whoever
	// has more to do with it does it afterwards.
	webhookTimeout = 5 * time.Second
	// webhookAnswerMax is how much of its answer is read, so that the connection
	// can be used again. Nothing of it is kept.
	webhookAnswerMax = 16 << 10
	// lanesMax is how many endpoints are told something at the same time, and
	// lanesOfEndpoint how much one of them is that answers.
	lanesMax        = 64
	lanesOfEndpoint = 4
	// deliveriesMax is how many deliveries a visit lists.
	deliveriesMax = 200
	// restsMax bounds how many endpoints are remembered not to answer.
	restsMax = 10_000
	// An endpoint that does not answer is left alone for restFirst, then twice
	// as long each time, and never longer than restMax.
	restFirst = 10 * time.Second
	restMax   = time.Minute
)

// startDeliveries begins a visit to each endpoint for which something is due
// and that nobody is visiting already, as long as there are lanes; the others
// are found again by the next look.
func (r *Runner) startDeliveries(ctx context.Context) ([]*visit, error) {
	if r.Webhooks == nil {
		return nil, nil
	}
	due, err := r.Billing.EndpointsWithDueDeliveries(auth.AllTenants(ctx, "jobs"))
	if err != nil {
		return nil, err
	}
	r.forgetUndelivered(due)
	// In no order, so that none is always the last.
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	var visits []*visit
	for _, e := range due {
		if !r.enter(e.EndpointID) {
			continue
		}
		select {
		case r.lanes <- struct{}{}:
		default:
			r.leave(e.EndpointID)
			return visits, nil
		}
		v := &visit{done: make(chan struct{})}
		visits = append(visits, v)
		r.open.Go(func() {
			defer func() {
				<-r.lanes
				r.leave(e.EndpointID)
				close(v.done)
			}()
			ctx := auth.Internal(ctx, "jobs", e.OrganizationID)
			_, err := r.deliverTo(ctx, e)
			v.err = errors.Join(err, r.removeTold(ctx, e.OrganizationID))
		})
	}
	return visits, nil
}

func (r *Runner) forgetUndelivered(due []billing.DueEndpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	listed := map[string]bool{}
	for _, e := range due {
		listed[e.EndpointID] = true
	}
	for id := range r.undelivered {
		if !listed[id] {
			delete(r.undelivered, id)
		}
	}
}

// deliverHere sends what is due in one organization and returns when it is
// sent: its clock stands, and is to move on afterwards.
func (r *Runner) deliverHere(ctx context.Context) (int, error) {
	if r.Webhooks == nil {
		return 0, nil
	}
	due, err := r.Billing.DueEndpoints(ctx)
	if err != nil {
		return 0, err
	}
	found, problems := make([]int, len(due)), make([]error, len(due))
	var all sync.WaitGroup
	for i, e := range due {
		if !r.enter(e.EndpointID) {
			continue
		}
		all.Go(func() {
			defer r.leave(e.EndpointID)
			found[i], problems[i] = r.deliverTo(ctx, e)
		})
	}
	all.Wait()
	var sum int
	for _, n := range found {
		sum += n
	}
	return sum, errors.Join(problems...)
}

// deliverTo sends what is due to one endpoint, as much as the budget has time
// for, and returns how much there was. One that answers gets several events at
// the same time.
func (r *Runner) deliverTo(ctx context.Context, e billing.DueEndpoint) (int, error) {
	ids, err := r.Billing.DueDeliveries(ctx, e.EndpointID, deliveriesMax)
	r.tell(ctx, e.OrganizationID, "list deliveries", e.EndpointID, err)
	r.mu.Lock()
	r.undelivered[e.EndpointID] = len(ids)
	r.mu.Unlock()
	deliver := kind{name: "deliver webhook", do: func(ctx context.Context, id string) error {
		return r.deliverWebhook(ctx, e.EndpointID, id)
	}}
	problems := []error{err}
	width, end := 1, time.Now().Add(r.Budget)
	for left := ids; len(left) > 0 && ctx.Err() == nil && time.Now().Before(end); {
		n := min(width, len(left))
		failed := make([]error, n)
		var together sync.WaitGroup
		for i, id := range left[:n] {
			together.Go(func() { failed[i] = r.piece(ctx, e.OrganizationID, deliver, id) })
		}
		together.Wait()
		problems = append(problems, failed...)
		left = left[n:]
		if width = 1; !r.resting(e.EndpointID) {
			width = lanesOfEndpoint
		}
	}
	return len(ids), errors.Join(problems...)
}

// deliverWebhook tells an endpoint about an event.
func (r *Runner) deliverWebhook(ctx context.Context, endpointID, id string) error {
	send, err := r.Billing.ClaimDelivery(ctx, id)
	if err != nil || send == nil {
		return err
	}
	if r.resting(endpointID) {
		return r.Billing.FinishDelivery(ctx, id, billing.WebhookAnswer{Error: "not tried: the endpoint did not answer just before"})
	}
	ctx, cancel := billing.Detached(ctx, webhookTimeout)
	defer cancel()
	answer := r.post(ctx, send)
	r.note(endpointID, answer)
	return r.Billing.FinishDelivery(ctx, id, answer)
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
	if answer.StatusCode >= http.StatusOK {
		// What it says is of no interest; that all of it came is not either.
		// After a switch of protocols, which is no answer either, the
		// connection would be read for as long as the endpoint keeps it open:
		// no deadline of a request holds there.
		_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, webhookAnswerMax))
	}
	return billing.WebhookAnswer{Status: answer.StatusCode}
}

// rest is the time for which an endpoint is left alone.
type rest struct {
	until time.Time
	pause time.Duration
}

// note remembers whether an endpoint answers. One that says that it has too
// much to do rests as well. Of several that fail together the first counts.
func (r *Runner) note(endpointID string, a billing.WebhookAnswer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Status != 0 && a.Status != http.StatusTooManyRequests && a.Status != http.StatusServiceUnavailable {
		delete(r.rests, endpointID)
		return
	}
	now, last := time.Now(), r.rests[endpointID]
	if now.Before(last.until) {
		return
	}
	if len(r.rests) == restsMax {
		clear(r.rests)
	}
	pause := min(max(restFirst, 2*last.pause), restMax)
	r.rests[endpointID] = rest{until: now.Add(pause), pause: pause}
}

// resting reports whether an endpoint is left alone.
func (r *Runner) resting(endpointID string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return time.Now().Before(r.rests[endpointID].until)
}

// removeTold forgets old deliveries and events of an organization. It is no
// reason of its own to visit one.
func (r *Runner) removeTold(ctx context.Context, organizationID string) error {
	return errors.Join(
		r.piece(ctx, organizationID, kind{name: "remove old deliveries", do: func(ctx context.Context, _ string) error {
			_, err := r.Billing.RemoveOldDeliveries(ctx)
			return err
		}}, ""),
		r.piece(ctx, organizationID, kind{name: "remove old events", do: func(ctx context.Context, _ string) error {
			_, err := r.Billing.RemoveOldEvents(ctx)
			return err
		}}, ""))
}
