package billing

import (
	"context"
	"fmt"

	"purser/auth"
	"purser/ent/gatewaycall"
)

// OpenCalls counts the gateway calls of all organizations whose outcome is not
// known yet. It is one of the few statements that span organizations, and is
// made for whoever watches the server.
func (s *Service) OpenCalls(ctx context.Context) (int, error) {
	n, err := s.read.GatewayCall.Query().
		Where(gatewaycall.StateEQ(gatewaycall.StateOPEN)).
		Count(auth.AllTenants(ctx, "metrics"))
	if err != nil {
		return 0, fmt.Errorf("count open calls: %w", err)
	}
	return n, nil
}
