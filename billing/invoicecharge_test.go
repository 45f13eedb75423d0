package billing

import (
	"context"
	"testing"

	"purser/ent"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/ent/subscription"
)

// tokenCard is the payer's default card, saved with a payment.
func (s *sale) tokenCard(t testing.TB) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.PaymentMethod.Create().SetID(s.newID(prefixPaymentMethod)).SetPayerID(s.payer.ID).SetProviderID(s.provider).
			SetStatus(paymentmethod.StatusACTIVE).SetGatewayID("token_1").SetGatewayCustomerID(s.payer.ID).SetIsDefault(true).
			SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
	})
}

// A card is charged for a subscription as one is that was agreed on; Worldpay
// tells the bank so.
func TestSubscriptionIsChargedAsRecurring(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.provider = s.newKind(t, provider.KindWORLDPAY)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
		s.tokenCard(t)
		id, invoiceID, err := s.CreateSubscription(s.ctx, SubscriptionDraft{
			PayerID: s.payer.ID, Items: []LineDraft{{PriceID: s.monthly(t, "9"), Quantity: 1}}, Collection: subscription.CollectionAUTOMATIC, Key: ptr("s"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.BeginDraftFinalization(s.ctx, invoiceID); err != nil {
			t.Fatal(err)
		}
		if c := s.beginCharge(t, invoiceID); c == nil || c.Direct == nil || !c.Direct.OffSession || !c.Direct.Recurring {
			t.Errorf("the charge of %s: %+v", id, c)
		}
	})
}
