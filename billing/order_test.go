package billing

import (
	"context"
	"errors"
	"strings"
	"testing"

	"purser/auth"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/ent/schema"
	"purser/gateway"
)

// merchantKeys takes any account that has a merchant code in capital letters.
type merchantKeys struct{}

func (merchantKeys) CheckKeys(_ gateway.Environment, secret, _ string) error {
	if !strings.Contains(secret, ":") {
		return errors.New("no password")
	}
	return nil
}

func (merchantKeys) CheckWebhookSecret(string) error { return errors.New("there is none") }

func (merchantKeys) CheckAccount(a gateway.Account) error {
	if a.MerchantCode == "" || a.MerchantCode != strings.ToUpper(a.MerchantCode) {
		return errors.New("no merchant code")
	}
	return nil
}

func merchantOf(password string, mac auth.Secret) Credentials {
	return Credentials{
		Kind: gateway.KindWorldpay, SecretKey: auth.Secret("MERCHANT:" + password), MerchantCode: "MERCHANT",
		InstallationID: "1234567", MACSecret: mac, LegacyMAC: true,
	}
}

// An account of many parts comes back as it was given, and its secrets are
// sealed; a part that is left out of an update stays.
func TestMerchantAccount(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, err := f.CreateProvider(f.ctx, ProviderDraft{Name: "WorldPay", Credentials: merchantOf("password-one", "mac-secret-of-twenty")}, merchantKeys{})
		if err != nil {
			t.Fatal(err)
		}
		p := f.providerRow(t, id)
		if orEmpty(p.SecretHint) != "MERCHANT:…" || orEmpty(p.MerchantCode) != "MERCHANT" || p.PublishableKey != nil {
			t.Errorf("provider %+v", p)
		}
		for name, value := range map[string][]byte{"password": p.SecretSealed, "MAC secret": p.MACSecretSealed} {
			if len(value) == 0 || strings.Contains(string(value), "password") || strings.Contains(string(value), "mac-secret") {
				t.Errorf("the %s is not sealed", name)
			}
		}
		want := gateway.Account{
			OrganizationID: f.org, ProviderID: id, Kind: gateway.KindWorldpay, Environment: gateway.EnvironmentSandbox, CredentialVersion: 1,
			SecretKey: "MERCHANT:password-one", MerchantCode: "MERCHANT", InstallationID: "1234567", MACSecret: "mac-secret-of-twenty", LegacyMAC: true,
		}
		if a, err := f.OpenAccount(f.ctx, id); err != nil || a != want {
			t.Errorf("account %+v, %v", a, err)
		}
		changed := merchantOf("password-two", "")
		changed.LegacyMAC, changed.InstallationID = false, "7654321"
		if err := f.UpdateProvider(f.ctx, ProviderChange{ID: id, Credentials: &changed, AccountID: "MERCHANT"}, merchantKeys{}); err != nil {
			t.Fatal(err)
		}
		want.SecretKey, want.CredentialVersion, want.InstallationID, want.LegacyMAC = "MERCHANT:password-two", 2, "7654321", false
		if a, err := f.OpenAccount(f.ctx, id); err != nil || a != want {
			t.Errorf("account, changed, %+v, %v", a, err)
		}
		other := merchantOf("password-two", "")
		other.MerchantCode = "OTHER"
		wantCode(t, f.UpdateProvider(f.ctx, ProviderChange{ID: id, Credentials: &other}, merchantKeys{}), CodeInvalid, "credentials")
		lower := merchantOf("password", "")
		lower.MerchantCode = "merchant"
		_, err = f.CreateProvider(f.ctx, ProviderDraft{Name: "Second", Credentials: lower}, merchantKeys{})
		wantCode(t, err, CodeInvalid, "credentials.worldpay")
	})
}

// atWorldpay is a top-up of 25 dollars at Worldpay that saves the card.
func (s *sale) atWorldpay(t testing.TB, key string) *HostedPayment {
	t.Helper()
	id := s.newID(prefixProvider)
	if found, err := s.Client().Provider.Query().Where(provider.KindEQ(provider.KindWORLDPAY)).FirstID(s.ctx); err == nil {
		id = found
	} else {
		s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
			sealed, err := tx.s.seal(ctx, id, columnSecret, "MERCHANT:password")
			if err != nil {
				return err
			}
			if err := tx.Payer.Update().Where(payer.ID(s.payer.ID)).SetAddress(&schema.Address{
				Line1: "1 Sample Street", City: "Pleasanton", Region: "CA", PostalCode: "58158", Country: "US",
			}).Exec(ctx); err != nil {
				return err
			}
			return tx.Provider.Create().SetID(id).SetSlug("worldpay").SetName("WorldPay").SetKind(provider.KindWORLDPAY).
				SetMerchantCode("MERCHANT").SetSecretSealed(sealed).SetWebhookToken(id).SetCreatedAt(tx.Now).Exec(ctx)
		})
	}
	begun, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, ProviderID: id, Amount: usd(t, "25"), SaveCard: true, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

// A gateway knows a payment by the order code of the try, also when the reply
// to it was lost: it leads to the payment, and to no other.
func TestOrderOfATry(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		first, second := s.atWorldpay(t, "one"), s.atWorldpay(t, "two")
		p := s.paid(t, first.PaymentID)
		back := "http://purser.test/return/demo/" + p.PublicToken
		r := first.Request
		if r.PendingURL != back+"/pending" || r.FailureURL != back+"/failure" || r.ErrorURL != back+"/error" || r.CancelURL != back+"/cancel" {
			t.Errorf("request %+v", r)
		}
		if want := (gateway.Address{Line1: "1 Sample Street", City: "Pleasanton", State: "CA", PostalCode: "58158", Country: "US"}); r.Customer.Address != want {
			t.Errorf("the payer is billed at %+v", r.Customer.Address)
		}
		code := orderCode(first.ID)
		lost := gateway.PaymentResult{Outcome: ended(gateway.StatusUnknown), ReferenceID: code, CustomerID: s.payer.ID}
		if err := s.FinishPayment(s.ctx, first.ID, lost); err != nil {
			t.Fatal(err)
		}
		for asked, want := range map[string]string{code: first.PaymentID, orderCode(second.ID): second.PaymentID, "": "", "NOT-OURS": "", p.OrderCode: ""} {
			if got, err := s.paymentOfOrder(s.ctx, p.ProviderID, asked); err != nil || got != want {
				t.Errorf("order %q is of %q, %v, want %q", asked, got, err, want)
			}
		}
		if got, err := s.paymentOfOrder(s.ctx, s.provider, code); err != nil || got != "" {
			t.Errorf("at another provider it is of %q, %v", got, err)
		}

		signed := gateway.Return{OrderCode: code, Amount: usd(t, "25"), Status: gateway.StatusSucceeded}
		for name, change := range map[string]func(*gateway.Return){
			"another sum":      func(r *gateway.Return) { r.Amount = usd(t, "26") },
			"another currency": func(r *gateway.Return) { r.Amount = in(t, "25", "JPY") },
			"another order":    func(r *gateway.Return) { r.OrderCode = orderCode(second.ID) },
			"no order":         func(r *gateway.Return) { r.OrderCode = "NOTOURS" },
		} {
			r := signed
			change(&r)
			if result, err := s.ConfirmReturn(s.ctx, first.PaymentID, r); !errors.Is(err, errMismatch) || result.Status != "" {
				t.Errorf("%s: %+v, %v", name, result, err)
			}
		}
		result, err := s.ConfirmReturn(s.ctx, first.PaymentID, signed)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.ApplyPayment(s.ctx, first.PaymentID, result); err != nil {
				t.Fatal(err)
			}
		}
		if p = s.paid(t, first.PaymentID); p.Status != payment.StatusSUCCEEDED || orEmpty(p.GatewayPaymentID) != code || s.remaining(t, "USD") != usd(t, "25") {
			t.Errorf("payment %+v, remaining %s", p, s.remaining(t, "USD"))
		}
	})
}

// A page whose address was told once stays where the payer was sent, whatever
// is heard of nobody having paid.
func TestNobodyHasPaidIsNoNews(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		begun := s.atWorldpay(t, "one")
		silent := gateway.PaymentResult{Outcome: ended(gateway.StatusActionNeeded), ReferenceID: orderCode(begun.ID), Payment: gateway.PaymentState{Status: gateway.StatusActionNeeded}}
		if err := s.ApplyPayment(s.ctx, begun.PaymentID, silent); err != nil {
			t.Fatal(err)
		}
		if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusPROCESSING {
			t.Errorf("without a page the payment is %s", p.Status)
		}
		open := silent
		open.NextAction.RedirectURL = "https://pay.example/page"
		if err := s.FinishPayment(s.ctx, begun.ID, open); err != nil {
			t.Fatal(err)
		}
		before := s.paid(t, begun.PaymentID)
		s.clock.Advance(checkIn(0))
		if err := s.ApplyPayment(s.ctx, begun.PaymentID, silent); err != nil {
			t.Fatal(err)
		}
		if p := s.paid(t, begun.PaymentID); p.ActionURL != open.NextAction.RedirectURL || p.Status != payment.StatusREQUIRES_ACTION || !p.UpdatedAt.Equal(before.UpdatedAt) {
			t.Errorf("payment %+v", p)
		}
		// It is not looked at for ever, and a payment made after all counts.
		s.clock.Advance(pageForgotten)
		if err := s.ApplyPayment(s.ctx, begun.PaymentID, silent); err != nil {
			t.Fatal(err)
		}
		if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusCANCELED || p.NextCheckAt != nil || p.ActionURL != "" {
			t.Errorf("a week later the payment is %+v", p)
		}
		paid := paymentAt(gateway.StatusSucceeded, silent.ReferenceID, usd(t, "25"))
		if err := s.ApplyPayment(s.ctx, begun.PaymentID, paid); err != nil {
			t.Fatal(err)
		}
		if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusSUCCEEDED || s.remaining(t, "USD") != usd(t, "25") {
			t.Errorf("paid after all, the payment is %+v", p)
		}
	})
}

// A card that a notification tells of is kept once its payment has succeeded,
// for the payer who has paid, once.
func TestCardOfANotification(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		begun := s.atWorldpay(t, "one")
		code := orderCode(begun.ID)
		saved := gateway.SavedCard{CustomerID: s.payer.ID, PaymentMethodID: "9902", SchemeReference: "0123", Card: gateway.Card{Brand: "visa", Last4: "1111", ExpMonth: 12, ExpYear: 2031}}
		e := gateway.Event{ID: code + ":AUTHORISED:1", Type: "AUTHORISED", Object: gateway.Object{Kind: gateway.ObjectPayment, ID: code}, Saved: &saved}
		id, err := s.StoreEvent(s.ctx, s.paid(t, begun.PaymentID).ProviderID, e)
		if err != nil {
			t.Fatal(err)
		}
		claimed, err := s.ClaimEvent(s.ctx, id)
		if err != nil || claimed == nil || claimed.Subject != begun.PaymentID || claimed.Saved == nil || *claimed.Saved != saved {
			t.Fatalf("event %+v, %v", claimed, err)
		}
		keep := func(c gateway.SavedCard) int {
			t.Helper()
			if err := s.KeepSavedCard(s.ctx, begun.PaymentID, c); err != nil {
				t.Fatal(err)
			}
			n, err := s.Client().PaymentMethod.Query().Count(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		page := gateway.PaymentResult{
			Outcome: ended(gateway.StatusActionNeeded), ReferenceID: code, CustomerID: s.payer.ID,
			NextAction: gateway.NextAction{RedirectURL: "https://pay.example/page"},
		}
		if err := s.FinishPayment(s.ctx, begun.ID, page); err != nil {
			t.Fatal(err)
		}
		if keep(saved) != 0 {
			t.Error("a card is kept before the payment has succeeded")
		}
		paid := paymentAt(gateway.StatusSucceeded, code, usd(t, "25"))
		paid.ReferenceID, paid.CustomerID = code, s.payer.ID
		if err := s.ApplyPayment(s.ctx, begun.PaymentID, paid); err != nil {
			t.Fatal(err)
		}
		stranger := saved
		stranger.CustomerID, stranger.PaymentMethodID = "dev_somebody", "9903"
		if keep(stranger) != 0 {
			t.Error("another payer's card is kept")
		}
		for range 3 {
			if keep(saved) != 1 {
				t.Error("the card is not kept once")
			}
		}
		card, err := s.Client().PaymentMethod.Query().Where(paymentmethod.PayerID(s.payer.ID)).Only(s.ctx)
		if err != nil || orEmpty(card.GatewayID) != "9902" || card.SchemeReference != "0123" || !card.IsDefault || card.Last4 != "1111" {
			t.Fatalf("card %+v, %v", card, err)
		}
		charge, err := s.BeginCharge(s.ctx, ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "5"), Key: ptr("charge")})
		if err != nil {
			t.Fatal(err)
		}
		if r := charge.Request; r.CustomerID != s.payer.ID || r.PaymentMethodID != "9902" || r.SchemeReference != "0123" {
			t.Errorf("charge %+v", r)
		}
	})
}

// Worldpay counts some currencies in whole ones.
func TestChargeableAtWorldpay(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"100.00": true, "100.50": false} {
		if err := chargeable(in(t, text, "HUF"), provider.KindWORLDPAY, "amount"); (err == nil) != ok {
			t.Errorf("%s HUF: %v", text, err)
		}
	}
	if err := chargeable(in(t, "5.125", "KWD"), provider.KindWORLDPAY, "amount"); err != nil {
		t.Error(err)
	}
	if err := chargeable(in(t, "5.125", "KWD"), provider.KindSTRIPE, "amount"); err == nil {
		t.Error("Stripe takes 5.125 KWD")
	}
}
