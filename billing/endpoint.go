package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"purser/auth"
	"purser/ent/gatewaycall"
	"purser/ent/provider"
	"purser/gateway"
)

// OperationEndpointRegister asks a gateway to send its events to us.
const OperationEndpointRegister = gatewaycall.OperationENDPOINT_REGISTER

// EndpointRegistration is a webhook address to be registered at a gateway.
type EndpointRegistration struct {
	*Call
	ProviderID string
	URL        string
}

// BeginEndpointRegistration stores the intent to register a provider's
// webhook address at its gateway. Refusals: NOT_FOUND, INVALID_STATE.
func (s *Service) BeginEndpointRegistration(ctx context.Context, providerID string) (*EndpointRegistration, error) {
	callID := s.newID(prefixCall)
	out := EndpointRegistration{ProviderID: providerID}
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		done, err := tx.GatewayCall.Query().Where(gatewaycall.ID(callID)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("read call: %w", err)
		}
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		p, err := tx.Provider.Query().Where(provider.ID(providerID)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "provider", providerID)
		}
		if p.Status != provider.StatusACTIVE {
			return refuse(CodeInvalidState, "id", "the provider %s is archived", p.Name)
		}
		if p.GlobalProviderID != nil {
			return refuse(CodeInvalidState, "registerWebhook", "the provider uses an account of the operator, whose events come to the operator's address")
		}
		out.URL = s.WebhookURL(o.Slug, p)
		if done {
			return nil
		}
		return tx.openCall(ctx, callID, p.ID, OperationEndpointRegister, p.ID, out.URL)
	})
	if err != nil {
		return nil, err
	}
	out.Call, _, err = s.call(ctx, callID)
	return &out, err
}

// FinishEndpointRegistration keeps the signing secret of the registered
// address. It may be called twice. What the gateway refuses is a refusal; the
// provider stays as it is.
func (s *Service) FinishEndpointRegistration(ctx context.Context, callID string, r gateway.EndpointResult) error {
	var refusal error
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		refusal = nil
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		switch v {
		case verdictFreed:
			refusal = registerYourself(callRefusal("registerWebhook", r.Outcome))
			return nil
		case verdictDone:
		default:
			return nil
		}
		if r.Status != gateway.StatusSucceeded || r.Secret == "" {
			refusal = registerYourself(callRefusal("registerWebhook", r.Outcome))
			return nil
		}
		p, err := tx.Provider.Query().Where(provider.ID(c.Subject)).Only(ctx)
		if err != nil {
			return fmt.Errorf("read provider %s: %w", c.Subject, err)
		}
		u := tx.Provider.Update().Where(provider.ID(p.ID)).SetWebhookEndpointID(r.EndpointID)
		if _, err := tx.rotateWebhookSecret(ctx, u, p, auth.Secret(r.Secret)); err != nil {
			return err
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("keep webhook secret of %s: %w", p.ID, err)
		}
		return tx.audit(ctx, "provider.webhook", p.ID, map[string]string{"endpoint": r.EndpointID})
	})
	if err != nil {
		return fmt.Errorf("finish call %s: %w", callID, err)
	}
	return refusal
}

// registerYourself adds to a refusal what the organization can do where the
// gateway, or the key, does not let us register the address.
func registerYourself(err error) error {
	var e *Error
	if !errors.As(err, &e) || e.Code == CodeProviderUnavailable {
		return err
	}
	more := *e
	more.Message = strings.TrimSuffix(e.Message, ".") + ". Enter the provider's webhookUrl at the gateway yourself, for all events"
	if e.Code == CodeProviderRefused {
		more.Message += ", and give the provider the signing secret that you are shown (providerUpdate, webhookSecret)"
	}
	return &more
}
