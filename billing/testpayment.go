package billing

import (
	"context"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// TestPaymentDraft asks for a payment that tries a provider out.
type TestPaymentDraft struct {
	ProviderID string
	// Amount is nil for the smallest that the gateway takes in the
	// organization's default currency.
	Amount    *money.Amount
	ReturnURL string
	Key       *string `json:"-"`
}

// BeginTestPayment stores a payment on the provider's hosted page that is for
// nobody: it is never booked, and touches no balance. Called again with the
// same key it returns the same payment; FinishPayment ends its call.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// BELOW_MINIMUM, PROVIDER_UNSUPPORTED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginTestPayment(ctx context.Context, d TestPaymentDraft) (*HostedPayment, error) {
	op, err := s.newOperation("providerTestPayment", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	id, callID := s.newID(prefixPayment), s.newID(prefixCall)
	var out HostedPayment
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.PaymentID, found = earlier.Subject, earlier.CallID
			return nil
		}
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		if o.Environment == organization.EnvironmentLIVE {
			return refuse(CodeInvalidState, "id", "in LIVE a test payment would move money: try the provider with providerTest, or in the test twin of the organization")
		}
		if d.ProviderID == "" {
			return notFound("id", "provider", d.ProviderID)
		}
		start := paymentStart{id: id, purpose: payment.PurposeTEST, status: payment.StatusPROCESSING, callID: callID}
		if start.provider, err = tx.usableProvider(ctx, d.ProviderID, "id"); err != nil {
			return err
		}
		amount, err := tx.testAmount(ctx, d.Amount, o, start.provider.Kind)
		if err != nil {
			return err
		}
		if err := tx.checkReturnURL(ctx, d.ReturnURL); err != nil {
			return err
		}
		start.draft.Currency, start.draft.AmountUnits = amount.Currency, amount.Units
		start.draft.ReturnUrls = sameURL(d.ReturnURL)
		p, err := tx.createPayment(ctx, start)
		if err != nil {
			return err
		}
		out.PaymentID, found = p.ID, callID
		// The gateway wants a customer; this one is nobody's payer.
		nobody := gateway.Customer{PayerID: start.provider.ID, Name: "Test payment"}
		out.Request = tx.pageRequest(o, p, nobody, "Test payment "+amount.String())
		if err := tx.openCall(ctx, callID, start.provider.ID, gatewaycall.OperationHOSTED_PAYMENT, p.ID, out.Request); err != nil {
			return err
		}
		return tx.remember(ctx, op, p.ID, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// testAmount is what a test payment is of: what was asked for, else the least
// that the gateway takes in the organization's default currency.
func (tx *Tx) testAmount(ctx context.Context, given *money.Amount, o *ent.Organization, kind provider.Kind) (money.Amount, error) {
	if given == nil {
		least, err := smallestCharge(o.DefaultCurrency, kind)
		if err != nil {
			return least, refuse(CodeRequired, "amount", "the gateway cannot be paid in the default currency %s: give an amount", o.DefaultCurrency)
		}
		return least, nil
	}
	if _, err := tx.usableCurrency(ctx, given.Currency, "amount.currency"); err != nil {
		return *given, err
	}
	if err := chargeable(*given, kind, "amount.amount"); err != nil {
		return *given, err
	}
	if tooSmall(*given, kind) {
		least, _ := gatewayMinimum(given.Currency, kind)
		return *given, refuse(CodeBelowMinimum, "amount.amount", "the gateway takes no less than %s", least)
	}
	return *given, nil
}

// smallestCharge is the least that a provider's gateway takes in a currency:
// its minimum where one is known, else one step of what it counts in.
func smallestCharge(currency string, kind provider.Kind) (money.Amount, error) {
	if least, known := gatewayMinimum(currency, kind); known {
		return least, nil
	}
	scale, err := gateway.Kind(kind).Terms().Scale(currency)
	if err != nil {
		return money.Amount{}, err
	}
	units, err := scale.Units(currency)
	return money.Amount{Units: units, Currency: currency}, err
}
