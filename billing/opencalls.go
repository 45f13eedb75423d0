package billing

import (
	"context"
	"fmt"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycall"
)

// The statements of this file span organizations: they are made for whoever
// watches the server.

// OpenCalls counts the gateway calls of all organizations whose outcome is not
// known yet.
func (s *Service) OpenCalls(ctx context.Context) (int, error) {
	return s.countCalls(ctx, gatewaycall.StateOPEN)
}

// ReviewCalls counts the gateway calls of all organizations that nobody asks
// for any more, and that a person has to look at.
func (s *Service) ReviewCalls(ctx context.Context) (int, error) {
	return s.countCalls(ctx, gatewaycall.StateREVIEW)
}

func (s *Service) countCalls(ctx context.Context, state gatewaycall.State) (int, error) {
	n, err := s.read.GatewayCall.Query().Where(gatewaycall.StateEQ(state)).Count(auth.AllTenants(ctx, "metrics"))
	if err != nil {
		return 0, fmt.Errorf("count calls in %s: %w", state, err)
	}
	return n, nil
}

// ReviewCall is a gateway call that a person has to look at.
type ReviewCall struct {
	OrganizationID string
	ID             string
	Operation      Operation
	Subject        string // the object it is about
	Reason         string
}

// CallsToReview lists the gateway calls of all organizations that a person has
// to look at, at most so many, the oldest first.
func (s *Service) CallsToReview(ctx context.Context, limit int) ([]ReviewCall, error) {
	rows, err := s.read.GatewayCall.Query().Where(gatewaycall.StateEQ(gatewaycall.StateREVIEW)).
		Order(ent.Asc(gatewaycall.FieldCreatedAt, gatewaycall.FieldID)).Limit(limit).All(auth.AllTenants(ctx, "verify"))
	if err != nil {
		return nil, fmt.Errorf("list calls to review: %w", err)
	}
	calls := make([]ReviewCall, len(rows))
	for i, c := range rows {
		calls[i] = ReviewCall{OrganizationID: c.OrganizationID, ID: c.ID, Operation: c.Operation, Subject: c.Subject, Reason: c.FailureMessage}
		if c.FailureMessage == "" {
			calls[i].Reason = fmt.Sprintf("its outcome stayed unknown over %d questions", c.Attempts)
		}
	}
	return calls, nil
}
