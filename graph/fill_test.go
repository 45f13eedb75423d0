package graph

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/dispute"
	"purser/ent/email"
	"purser/ent/gatewayevent"
	"purser/ent/invoice"
	"purser/ent/membership"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/ent/webhookdelivery"
	"purser/gateway"
	"purser/money"
)

// filled is a tenant with one row or more of everything that is shown.
type filled struct {
	*tenant
	// ids names one object of each kind that the schema shows, by its type.
	ids map[string]string
	// payer is a developer with something of everything, other one with
	// little.
	payer, other string
	mark         string
}

func ptr[T any](v T) *T { return &v }

func usd(cents int64) money.Amount {
	return money.Amount{Units: money.Units(cents) * money.UnitsPerMinor, Currency: "USD"}
}

// fill makes a tenant with marked rows of every kind: the mark stands in
// every text that somebody wrote.
func (w *world) fill(t testing.TB, slug string) *filled {
	t.Helper()
	f := &filled{tenant: w.tenant(t, slug), ids: map[string]string{}, mark: "mark-" + slug}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add := func(kind string, id string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatalf("make %s: %v", kind, err)
		}
		f.ids[kind] = id
		return id
	}
	name := func(what string) string { return f.mark + " " + what }
	b, ctx, raw := w.billing, f.ctx, w.raw
	now := b.Now()

	f.ids["Organization"] = f.id
	must(b.UpdateOrganization(ctx, billing.OrganizationChange{Name: ptr(name("organization")), SupportEmail: ptr(slug + "@mark.example")}))
	stripe := billing.Credentials{Kind: gateway.KindStripe, SecretKey: auth.Secret("sk_test_secret" + f.mark), PublishableKey: "pk_test_" + slug, WebhookSecret: auth.Secret("whsec_" + f.mark)}
	providerID, err := b.CreateProvider(ctx, billing.ProviderDraft{Name: name("provider"), Description: ptr(name("d")), Credentials: stripe}, fakeStripe{})
	add("Provider", providerID, err)

	add("GlobalProvider", w.global(t), nil)

	dev := func(n string) string {
		id, err := b.CreateDeveloper(ctx, billing.PayerDraft{
			Email: n + "@" + slug + ".example", Name: name(n), BillingMode: payer.BillingModePREPAID,
			ExternalID: ptr(f.mark + n), Metadata: map[string]string{"note": f.mark},
		}, nil)
		must(err)
		return id
	}
	f.other = dev("other")
	f.payer = add("Developer", dev("ada"), nil)
	company, err := b.CreateCompany(ctx, billing.PayerDraft{Slug: slug + "-co", Name: name("company"), BillingMode: payer.BillingModePREPAID}, nil)
	add("Company", company, err)
	memberID, err := b.AddMember(ctx, company, f.payer, membership.RoleMEMBER)
	add("Membership", memberID, err)

	product, err := b.CreateProduct(ctx, billing.ProductDraft{Name: name("product"), ProviderID: &providerID}, nil)
	add("Product", product, err)
	priceID, err := b.CreatePrice(ctx, billing.PriceDraft{ProductID: product, UnitAmount: usd(1000), Nickname: ptr(name("price"))}, nil)
	add("Price", priceID, err)

	for _, p := range []string{f.other, company, f.payer} {
		booking, err := b.ReloadBalance(ctx, billing.Reload{PayerID: p, Amount: usd(5000), Reference: ptr(name("reload")), Key: ptr("fill" + p)})
		add("Balance", booking.BalanceID, err)
		add("LedgerEntry", booking.EntryID, nil)
	}

	for _, p := range []string{f.other, f.payer} {
		held, err := b.CreateHold(ctx, billing.HoldDraft{PayerID: p, Amount: usd(100), ExpiresIn: time.Hour, Description: ptr(name("hold")), Key: ptr("fill" + p)})
		add("Hold", held.HoldID, err)
		_, err = b.SetLowBalanceNotice(ctx, billing.LowBalanceChange{PayerID: p, Currency: "USD", Level: ptr(usd(100))})
		must(err)
	}

	id := func(prefix string, n int) string { return fmt.Sprintf("%s_%s%04d", prefix, slug, n) }
	for n, status := range []quote.Status{quote.StatusDRAFT, quote.StatusOPEN} {
		qid := id("quo", n)
		c := raw.Quote.Create().SetID(qid).SetStatus(status).SetPayerID(f.payer).SetProviderID(providerID).
			SetCurrency("USD").SetTotalUnits(usd(1000).Units).SetDescription(name("quote")).SetPublicToken(qid).
			SetCreatedAt(now).SetUpdatedAt(now)
		if status != quote.StatusDRAFT {
			c.SetNumber(f.mark + "-Q1").SetFinalizedAt(now).SetAcceptToken("a" + qid)
		}
		must(c.Exec(ctx))
		add("Quote", qid, nil)
		must(raw.QuoteLine.Create().SetID(id("qli", n)).SetQuoteID(qid).SetPosition(0).SetDescription(name("line")).
			SetPriceID(priceID).SetQuantity(1).SetCurrency("USD").SetUnitAmountUnits(usd(1000).Units).SetAmountUnits(usd(1000).Units).Exec(ctx))
	}
	for n, status := range []invoice.Status{invoice.StatusDRAFT, invoice.StatusVOID} {
		iid := id("inv", n)
		c := raw.Invoice.Create().SetID(iid).SetStatus(status).SetPayerID(f.payer).SetProviderID(providerID).
			SetCurrency("USD").SetTotalUnits(usd(1000).Units).SetSubtotalUnits(usd(1000).Units).
			SetDescription(name("invoice")).SetPublicToken(iid).
			SetCreatedAt(now).SetUpdatedAt(now)
		if status != invoice.StatusDRAFT {
			c.SetNumber(f.mark + "-I1").SetFinalizedAt(now).SetVoidedAt(now).SetQuoteID(f.ids["Quote"])
		}
		must(c.Exec(ctx))
		add("Invoice", iid, nil)
		must(raw.InvoiceLine.Create().SetID(id("ili", n)).SetInvoiceID(iid).SetPosition(0).SetDescription(name("line")).
			SetPriceID(priceID).SetQuantity(1).SetCurrency("USD").SetUnitAmountUnits(usd(1000).Units).SetAmountUnits(usd(1000).Units).Exec(ctx))
	}
	f.subscription(t, raw, id, providerID, priceID, now)
	must(raw.PaymentMethod.Create().SetID(id("pmd", 0)).SetPayerID(f.payer).SetProviderID(providerID).
		SetStatus(paymentmethod.StatusACTIVE).SetGatewayID("pm_" + f.mark).SetBrand(f.mark).SetLast4("4242").
		SetExpMonth(1).SetExpYear(2030).SetIsDefault(true).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	add("PaymentMethod", id("pmd", 0), nil)
	must(raw.Payment.Create().SetID(id("pmt", 0)).SetStatus(payment.StatusREQUIRES_ACTION).SetPurpose(payment.PurposeTOP_UP).
		SetCurrency("USD").SetAmountUnits(usd(700).Units).SetPayerID(f.payer).SetProviderID(providerID).
		SetBalanceID(f.ids["Balance"]).SetPaymentMethodID(id("pmd", 0)).SetInvoiceID(f.ids["Invoice"]).
		SetOrderCode(f.mark).SetActionURL("https://" + slug + ".mark.example/pay").SetPublicToken(id("pmt", 0)).
		SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	add("Payment", id("pmt", 0), nil)
	must(raw.PaymentAttempt.Create().SetID(id("att", 0)).SetPaymentID(id("pmt", 0)).SetNumber(1).
		SetStatus(paymentattempt.StatusFAILED).SetCallID(id("cal", 0)).SetFailureCode("card_declined").SetFailureMessage(name("declined")).
		SetCreatedAt(now).Exec(ctx))
	add("PaymentAttempt", id("att", 0), nil)
	must(raw.Refund.Create().SetID(id("rfd", 0)).SetPaymentID(id("pmt", 0)).SetCurrency("USD").SetAmountUnits(1).
		SetReason(name("refund")).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	add("Refund", id("rfd", 0), nil)
	must(raw.CreditNote.Create().SetID(id("crn", 0)).SetInvoiceID(f.ids["Invoice"]).SetNumber(name("note")).SetCurrency("USD").
		SetTotalUnits(usd(1).Units).SetTaxUnits(0).SetSubtotalUnits(usd(1).Units).SetSettlement(creditnote.SettlementDUE).
		SetLines([]schema.CreditedLine{{LineID: id("ili", 0), Description: name("line"), AmountUnits: usd(1).Units}}).
		SetReason(name("note")).SetPublicToken(id("crn", 0)).SetCreatedAt(now).Exec(ctx))
	add("CreditNote", id("crn", 0), nil)
	must(raw.Dispute.Create().SetID(id("dsp", 0)).SetPaymentID(id("pmt", 0)).SetCurrency("USD").SetAmountUnits(1).
		SetStatus(dispute.StatusNEEDS_RESPONSE).SetReason(name("dispute")).SetGatewayDisputeID(f.mark).
		SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	add("Dispute", id("dsp", 0), nil)
	must(raw.GatewayEvent.Create().SetID(id("evt", 0)).SetProviderID(providerID).SetGatewayEventID("evt_" + f.mark).
		SetType("payment_intent.succeeded").SetStatus(gatewayevent.StatusIGNORED).SetObjectKind("payment").SetObjectID(f.mark).
		SetReceivedAt(now).Exec(ctx))
	add("GatewayEvent", id("evt", 0), nil)
	must(raw.Email.Create().SetID(id("eml", 0)).SetKind(email.KindCHARGE_FAILED).SetPayerID(f.payer).SetFacts(json.RawMessage(`{"reason":"` + f.mark + `"}`)).
		SetStatus(email.StatusFAILED).SetFailure(name("failure")).SetCreatedAt(now).Exec(ctx))
	add("Email", id("eml", 0), nil)
	must(b.OverrideMailTemplate(ctx, billing.MailDraft{Kind: "CHARGE_FAILED", Locale: "en", Subject: ptr(name("subject")), Body: ptr(name("body"))}))
	template, err := b.MailTemplate(ctx, "CHARGE_FAILED", "en")
	must(err)
	add("EmailTemplate", template.ID, nil)
	must(raw.WebhookEndpoint.Create().SetID(id("whk", 0)).SetURL("https://" + slug + ".mark.example/hook").SetDescription(name("endpoint")).
		SetEventTypes([]string{"balance.low"}).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	add("WebhookEndpoint", id("whk", 0), nil)
	must(raw.Outbox.Create().SetID(id("out", 0)).SetKind("balance.low").SetSubject(f.mark).SetPayload([]byte(`{}`)).
		SetCreatedAt(now).Exec(ctx))
	must(raw.WebhookDelivery.Create().SetID(id("whd", 0)).SetEndpointID(id("whk", 0)).SetOutboxID(id("out", 0)).SetEventType("balance.low").
		SetAttempt(1).SetStatus(webhookdelivery.StatusFAILED).SetError(name("delivery")).SetFinishedAt(now).SetCreatedAt(now).Exec(ctx))
	add("WebhookDelivery", id("whd", 0), nil)
	token, err := raw.AccessToken.Query().FirstID(ctx)
	add("AccessToken", token, err)
	w.clock.Advance(time.Second)
	return f
}

// subscription makes a subscription of the tenant's payer, with the invoice.
func (f *filled) subscription(t testing.TB, raw *ent.Client, id func(string, int) string, providerID, priceID string, now time.Time) {
	t.Helper()
	sub := id("sub", 0)
	err := raw.Subscription.Create().SetID(sub).SetPayerID(f.payer).SetProviderID(providerID).SetCurrency("USD").
		SetAmountUnits(usd(1000).Units).SetStatus(subscription.StatusSCHEDULED).
		SetRecurrenceInterval(subscription.RecurrenceIntervalMONTH).SetRecurrenceCount(1).SetTimeZone("UTC").SetAnchorAt(now.AddDate(1, 0, 0)).
		SetStartsAt(now.AddDate(1, 0, 0)).SetCurrentPeriodStart(now.AddDate(1, 0, 0)).SetCurrentPeriodEnd(now.AddDate(1, 1, 0)).SetDueAt(now.AddDate(1, 0, 0)).
		SetPendingLines([]schema.PendingLine{}).SetLatestInvoiceID(f.ids["Invoice"]).SetCreatedAt(now).SetUpdatedAt(now).Exec(f.ctx)
	if err == nil {
		err = raw.SubscriptionItem.Create().SetID(id("sit", 0)).SetSubscriptionID(sub).SetPosition(0).SetDescription(f.mark + " item").
			SetPriceID(priceID).SetQuantity(1).SetCurrency("USD").SetUnitAmountUnits(usd(1000).Units).SetAmountUnits(usd(1000).Units).Exec(f.ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	f.ids["Subscription"] = sub
}

// global is the operator's account, which all organizations may use; it is made
// when it is first asked for.
func (w *world) global(t testing.TB) string {
	t.Helper()
	ctx := auth.AllTenants(t.Context(), "operator")
	id, err := w.raw.GlobalProvider.Query().FirstID(ctx)
	if ent.IsNotFound(err) {
		id, err = w.billing.CreateGlobalProvider(ctx, billing.GlobalProviderDraft{
			Name: "Shared", Environment: organization.EnvironmentSANDBOX,
			Credentials: billing.Credentials{Kind: gateway.KindStripe, SecretKey: "sk_test_shared", PublishableKey: "pk_test_shared", WebhookSecret: "whsec_shared"},
		}, fakeStripe{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// more adds another payer with a little of everything to a filled tenant.
func (w *world) more(t testing.TB, f *filled, n int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b, ctx, raw, now := w.billing, f.ctx, w.raw, w.billing.Now()
	tag := fmt.Sprintf("%s_more%d", f.slug, n)
	p, err := b.CreateDeveloper(ctx, billing.PayerDraft{Email: tag + "@x.example", Name: tag, BillingMode: payer.BillingModePREPAID}, nil)
	must(err)
	company, err := b.CreateCompany(ctx, billing.PayerDraft{Slug: tag, Name: tag, BillingMode: payer.BillingModePREPAID}, nil)
	must(err)
	_, err = b.AddMember(ctx, company, p, membership.RoleADMIN)
	must(err)
	_, err = b.AddMember(ctx, f.ids["Company"], p, membership.RoleADMIN)
	must(err)
	booking, err := b.ReloadBalance(ctx, billing.Reload{PayerID: p, Amount: usd(100), Key: ptr(tag)})
	must(err)
	_, err = b.ReloadBalance(ctx, billing.Reload{PayerID: company, Amount: usd(100), Key: ptr(tag + "c")})
	must(err)
	held, err := b.CreateHold(ctx, billing.HoldDraft{PayerID: p, Amount: usd(10), ExpiresIn: time.Hour, Key: ptr(tag)})
	must(err)
	_, err = b.CaptureHold(ctx, billing.HoldCapture{HoldID: held.HoldID, Key: ptr(tag)})
	must(err)
	product, err := b.CreateProduct(ctx, billing.ProductDraft{Name: tag, ProviderID: ptr(f.ids["Provider"])}, nil)
	must(err)
	priceID, err := b.CreatePrice(ctx, billing.PriceDraft{ProductID: product, UnitAmount: usd(100)}, nil)
	must(err)
	must(raw.Quote.Create().SetID("quo_" + tag).SetStatus(quote.StatusDRAFT).SetPayerID(p).SetProviderID(f.ids["Provider"]).
		SetCurrency("USD").SetPublicToken(tag).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	must(raw.QuoteLine.Create().SetID("qli_" + tag).SetQuoteID("quo_" + tag).SetPosition(0).SetDescription(tag).
		SetPriceID(priceID).SetQuantity(1).SetCurrency("USD").SetUnitAmountUnits(1).SetAmountUnits(1).Exec(ctx))
	must(raw.Subscription.Create().SetID("sub_" + tag).SetPayerID(p).SetProviderID(f.ids["Provider"]).SetCurrency("USD").
		SetStatus(subscription.StatusCANCELED).SetRecurrenceInterval(subscription.RecurrenceIntervalMONTH).SetRecurrenceCount(1).
		SetTimeZone("UTC").SetAnchorAt(now).SetStartsAt(now).SetCurrentPeriodStart(now).SetCurrentPeriodEnd(now.AddDate(0, 1, 0)).SetCanceledAt(now).
		SetPendingLines([]schema.PendingLine{}).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	must(raw.Invoice.Create().SetID("inv_" + tag).SetStatus(invoice.StatusVOID).SetPayerID(p).SetSubscriptionID("sub_" + tag).SetProviderID(f.ids["Provider"]).
		SetNumber(tag).SetFinalizedAt(now).SetVoidedAt(now).SetQuoteID("quo_" + tag).
		SetCurrency("USD").SetPublicToken(tag).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	must(raw.InvoiceLine.Create().SetID("ili_" + tag).SetInvoiceID("inv_" + tag).SetPosition(0).SetDescription(tag).
		SetPriceID(priceID).SetQuantity(1).SetCurrency("USD").SetUnitAmountUnits(1).SetAmountUnits(1).Exec(ctx))
	must(raw.PaymentMethod.Create().SetID("pmd_" + tag).SetPayerID(p).SetProviderID(f.ids["Provider"]).
		SetStatus(paymentmethod.StatusACTIVE).SetGatewayID("pm_" + tag).SetBrand("visa").SetLast4("4242").
		SetExpMonth(1).SetExpYear(2030).SetIsDefault(true).SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	must(raw.Payment.Create().SetID("pmt_" + tag).SetStatus(payment.StatusREQUIRES_ACTION).SetPurpose(payment.PurposeINVOICE).
		SetCurrency("USD").SetAmountUnits(usd(700).Units).SetPayerID(p).SetProviderID(f.ids["Provider"]).
		SetBalanceID(booking.BalanceID).SetPaymentMethodID("pmd_" + tag).SetInvoiceID("inv_" + tag).
		SetOrderCode(tag).SetActionURL("https://x.example/pay").SetPublicToken(tag).
		SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
	must(raw.PaymentAttempt.Create().SetID("att_" + tag).SetPaymentID("pmt_" + tag).SetNumber(1).
		SetStatus(paymentattempt.StatusFAILED).SetCallID(tag).SetCreatedAt(now).Exec(ctx))
	must(raw.Refund.Create().SetID("rfd_" + tag).SetPaymentID("pmt_" + tag).SetCurrency("USD").SetAmountUnits(1).
		SetCreatedAt(now).SetUpdatedAt(now).Exec(ctx))
}
