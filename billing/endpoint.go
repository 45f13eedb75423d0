package billing

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"purser/auth"
	"purser/ent"
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
	Request    gateway.EndpointRequest
}

// BeginEndpointRegistration stores the intent to register a provider's
// webhook address at its gateway. One is under way at a time: two that look at
// what the account has would both find nothing, and both register. Refusals:
// NOT_FOUND, INVALID_STATE.
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
		out.Request = gateway.EndpointRequest{
			URL: s.WebhookURL(o.Slug, p), EndpointID: p.WebhookEndpointID, SecretStored: len(p.WebhookSecretSealed) > 0,
		}
		if done {
			return nil
		}
		if err := tx.claimRegistration(ctx, p, callID); err != nil {
			return err
		}
		return tx.openCall(ctx, callID, p.ID, OperationEndpointRegister, p.ID, out.Request)
	})
	if err != nil {
		return nil, err
	}
	out.Call, _, err = s.call(ctx, callID)
	return &out, err
}

// claimRegistration makes a call the only one that registers the webhook
// address of a provider. One that nobody asks for any more is no hindrance:
// the next one looks at what it has left.
func (tx *Tx) claimRegistration(ctx context.Context, p *ent.Provider, callID string) error {
	u := tx.Provider.Update().Where(provider.ID(p.ID), provider.PendingCallIDIsNil())
	if p.PendingCallID != nil {
		open, err := tx.GatewayCall.Query().Where(gatewaycall.ID(*p.PendingCallID), gatewaycall.StateEQ(gatewaycall.StateOPEN)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("read call %s: %w", *p.PendingCallID, err)
		}
		if open {
			return refuse(CodeInvalidState, "registerWebhook", "the webhook address is being registered, and the gateway has not answered yet: it is asked again by itself")
		}
		u = tx.Provider.Update().Where(provider.ID(p.ID), provider.PendingCallID(*p.PendingCallID))
	}
	return wrapped(cas(u.SetPendingCallID(callID).Save(ctx)), "claim the registration of provider "+p.ID)
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
		if v != verdictFreed && v != verdictDone {
			return nil
		}
		p, err := tx.Provider.Query().Where(provider.ID(c.Subject)).Unique(false).Modify(tx.forUpdate).Only(ctx)
		if err != nil {
			return fmt.Errorf("read provider %s: %w", c.Subject, err)
		}
		if orEmpty(p.PendingCallID) != callID {
			return nil // another one has taken over
		}
		u := tx.Provider.Update().Where(provider.ID(p.ID), provider.PendingCallID(callID)).ClearPendingCallID()
		if v == verdictFreed || r.Status != gateway.StatusSucceeded {
			refusal = registerYourself(callRefusal("registerWebhook", r.Outcome))
			return wrapped(cas(u.Save(ctx)), "end the registration of provider "+p.ID)
		}
		u.SetWebhookEndpointID(r.EndpointID)
		if r.Secret != "" { // else the one that is stored
			if _, err := tx.rotateWebhookSecret(ctx, u, p, auth.Secret(r.Secret)); err != nil {
				return err
			}
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
