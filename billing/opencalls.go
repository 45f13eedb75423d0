package billing

import (
	"context"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/gatewayevent"
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

// eventMismatched finds the events that contradict what is known here, by words
// that stand in the statement as they stand in the index.
func eventMismatched(s *entsql.Selector) { s.Where(entsql.ExprP("status = 'MISMATCHED'")) }

// MismatchedEvents counts the events of all organizations that contradict what
// is known here, such as a payment that was authorised and whose money the
// gateway could not take. A person has to look at each.
func (s *Service) MismatchedEvents(ctx context.Context) (int, error) {
	n, err := s.read.GatewayEvent.Query().Where(eventMismatched).Count(auth.AllTenants(ctx, "metrics"))
	return n, wrapped(err, "count events that contradict")
}

// ReviewEvent is an event that a person has to look at.
type ReviewEvent struct {
	OrganizationID string
	ID             string
	Type           string
	Reason         string
}

// EventsToReview lists the events that MismatchedEvents counts, at most so many,
// the oldest first.
func (s *Service) EventsToReview(ctx context.Context, limit int) ([]ReviewEvent, error) {
	rows, err := s.read.GatewayEvent.Query().Where(eventMismatched).
		Order(ent.Asc(gatewayevent.FieldReceivedAt, gatewayevent.FieldID)).Limit(limit).All(auth.AllTenants(ctx, "verify"))
	if err != nil {
		return nil, fmt.Errorf("list events to review: %w", err)
	}
	events := make([]ReviewEvent, len(rows))
	for i, e := range rows {
		events[i] = ReviewEvent{OrganizationID: e.OrganizationID, ID: e.ID, Type: e.Type, Reason: orEmpty(e.Error)}
	}
	return events, nil
}
