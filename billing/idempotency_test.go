package billing

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/ent/price"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/gateway"
	"purser/money"
)

// What keys were used with is compared with what was stored by an earlier
// version of the program, too: none of these texts may ever change.
func TestFingerprintsArePinned(t *testing.T) {
	t.Parallel()
	f := newFixture(t, newSQLite(t))
	amount := money.Amount{Units: 1_500_000, Currency: "USD"}
	at := time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	lines := []LineDraft{{PriceID: "p", Description: "d", UnitAmount: &amount, Quantity: 2}}
	address := &schema.Address{Line1: "1", Line2: "2", City: "c", Region: "r", PostalCode: "z", Country: "GB", IsPrimary: true}
	for _, c := range []struct {
		operation string
		input     any
		canonical string
	}{
		{
			"productCreate",
			ProductDraft{Name: "n", Description: ptr("d"), ProviderID: ptr("p")},
			`{"Name":"n","Description":"d","ProviderID":"p"}`,
		},
		{
			"priceCreate",
			PriceDraft{ProductID: "p", UnitAmount: amount, Recurrence: &Recurrence{Interval: price.RecurrenceIntervalMONTH, Count: 2}, Nickname: ptr("n")},
			`{"ProductID":"p","UnitAmount":{"Units":1500000,"Currency":"USD"},"Recurrence":{"Interval":"MONTH","Count":2},"Nickname":"n"}`,
		},
		{"developerCreate", PayerDraft{
			Email: "e", Slug: "s", TaxID: ptr("t"), Name: "n", ExternalID: ptr("x"), BillingMode: payer.BillingModePREPAID, BillingEmail: ptr("b"),
			TaxRate: ptr(money.Decimal("20")), ReverseCharge: true, Address: address, Locale: ptr("uk"), Metadata: map[string]string{"b": "2", "a": "1"},
		}, `{"Email":"e","Slug":"s","TaxID":"t","Name":"n","ExternalID":"x","BillingMode":"PREPAID","BillingEmail":"b","TaxRate":"20","ReverseCharge":true,"Address":{"line1":"1","line2":"2","city":"c","region":"r","postalCode":"z","country":"GB","isPrimary":true},"Locale":"uk","Metadata":{"a":"1","b":"2"}}`},
		{
			"paymentMethodAttach",
			CardDraft{PayerID: "p", ProviderID: "v", GatewayToken: "t", ReturnURL: "r", MakeDefault: true},
			`{"PayerID":"p","ProviderID":"v","GatewayToken":"t","ReturnURL":"r","MakeDefault":true}`,
		},
		{
			"quoteCreate",
			QuoteDraft{PayerID: "p", ProviderID: "v", Lines: lines, Description: ptr("d"), ExpiresAt: &at, StartsAt: &at},
			`{"PayerID":"p","ProviderID":"v","Lines":[{"PriceID":"p","Description":"d","UnitAmount":{"Units":1500000,"Currency":"USD"},"Quantity":2}],"Description":"d","ExpiresAt":"2026-03-10T12:00:00Z","StartsAt":"2026-03-10T12:00:00Z"}`,
		},
		{
			"subscriptionCreate",
			SubscriptionDraft{PayerID: "p", ProviderID: "v", PaymentMethodID: "m", Items: lines, Collection: subscription.CollectionSEND, TrialDays: 7, StartsAt: &at},
			`{"PayerID":"p","ProviderID":"v","PaymentMethodID":"m","Items":[{"PriceID":"p","Description":"d","UnitAmount":{"Units":1500000,"Currency":"USD"},"Quantity":2}],"Collection":"SEND","TrialDays":7,"StartsAt":"2026-03-10T12:00:00Z"}`,
		},
		{
			"subscriptionUpdate",
			SubscriptionChange{ID: "i", Items: lines, Proration: ProrationInvoiceNow},
			`{"ID":"i","Items":[{"PriceID":"p","Description":"d","UnitAmount":{"Units":1500000,"Currency":"USD"},"Quantity":2}],"Proration":"INVOICE_NOW"}`,
		},
		{"quoteFinalize", QuoteFinalizeDraft{ID: "i"}, `{"ID":"i"}`},
		{"quoteAccept", QuoteAcceptDraft{ID: "i"}, `{"ID":"i"}`},
		{
			"invoiceCreate",
			InvoiceDraft{PayerID: "p", ProviderID: "v", Lines: lines, Description: ptr("d"), Collection: invoice.CollectionSEND},
			`{"PayerID":"p","ProviderID":"v","Lines":[{"PriceID":"p","Description":"d","UnitAmount":{"Units":1500000,"Currency":"USD"},"Quantity":2}],"Description":"d","Collection":"SEND"}`,
		},
		{"invoiceFinalize", InvoiceFinalizeDraft{ID: "i"}, `{"ID":"i"}`},
		{
			"invoicePay",
			InvoicePayDraft{InvoiceID: "i", PaymentMethodID: "m", ReturnURL: "r", OutOfBand: true, FromBalance: true, Embedded: true},
			`{"InvoiceID":"i","PaymentMethodID":"m","ReturnURL":"r","OutOfBand":true,"FromBalance":true,"Embedded":true}`,
		},
		{"paymentStart", HostedPaymentDraft{
			PayerID: "p", Amount: amount, ProviderID: "v", SaveCard: true,
			ReturnURLs: schema.ReturnURLs{Success: "1", Failure: "2", Pending: "3", Cancel: "4", Error: "5"},
		}, `{"PayerID":"p","Amount":{"Units":1500000,"Currency":"USD"},"ProviderID":"v","ReturnURLs":{"success":"1","failure":"2","pending":"3","cancel":"4","error":"5"},"SaveCard":true}`},
		{
			"balanceTopUp",
			ChargeDraft{PayerID: "p", Amount: amount, PaymentMethodID: "m", ReturnURL: "r"},
			`{"PayerID":"p","Amount":{"Units":1500000,"Currency":"USD"},"PaymentMethodID":"m","ReturnURL":"r"}`,
		},
		{
			"balanceReload",
			Reload{PayerID: "p", Amount: amount, Reference: ptr("r"), ProviderTxID: ptr("x"), TxReference: ptr("y"), GatewayTxReference: ptr("z"), PriceID: "c"},
			`{"PayerID":"p","Amount":{"Units":1500000,"Currency":"USD"},"Reference":"r","ProviderTxID":"x","TxReference":"y","GatewayTxReference":"z","PriceID":"c"}`,
		},
		{"usageInvoice", UsageInvoiceDraft{PayerID: "p", Currency: "USD"}, `{"PayerID":"p","Currency":"USD"}`},
		{
			"invoiceLineAdd",
			InvoiceLineDraft{InvoiceID: "i", Line: LineDraft{PriceID: "p", Description: "d", UnitAmount: &amount, Quantity: 2, TaxRate: ptr(money.Rate(70_000))}},
			`{"InvoiceID":"i","Line":{"PriceID":"p","Description":"d","UnitAmount":{"Units":1500000,"Currency":"USD"},"Quantity":2,"TaxRate":70000}}`,
		},
		{
			"balanceCredit",
			Credit{PayerID: "p", Amount: amount, Reason: "r", Month: ptr(3), Year: ptr(2026)},
			`{"PayerID":"p","Amount":{"Units":1500000,"Currency":"USD"},"Reason":"r","Month":3,"Year":2026}`,
		},
		{
			"balanceAdjust",
			Adjustment{PayerID: "p", Amount: amount, Reason: "r"},
			`{"PayerID":"p","Amount":{"Units":1500000,"Currency":"USD"},"Reason":"r"}`,
		},
		{
			"holdCreate",
			HoldDraft{PayerID: "p", Amount: amount, ExpiresIn: time.Minute, Description: ptr("d")},
			`{"PayerID":"p","Amount":{"Units":1500000,"Currency":"USD"},"ExpiresIn":60000000000,"Description":"d"}`,
		},
		{
			"holdCapture",
			HoldCapture{HoldID: "h", Amount: &amount, OnInsufficient: OnInsufficientRecord, Description: ptr("d")},
			`{"HoldID":"h","Amount":{"Units":1500000,"Currency":"USD"},"OnInsufficient":"RECORD","Description":"d"}`,
		},
		{"usageRecord", Usage{
			PayerID: "p", Amount: amount, Description: ptr("d"), Metadata: map[string]string{"b": "2", "a": "1"}, OccurredAt: &at, OnInsufficient: OnInsufficientRecord,
		}, `{"PayerID":"p","Amount":{"Units":1500000,"Currency":"USD"},"Description":"d","Metadata":{"a":"1","b":"2"},"OccurredAt":"2026-03-10T12:00:00Z","OnInsufficient":"RECORD"}`},
	} {
		wantFilled(t, c.operation, reflect.ValueOf(c.input))
		op, err := f.newOperation(c.operation, ptr("k"), keyOptional, c.input)
		if err != nil {
			t.Fatal(err)
		}
		if want := sha256.Sum256([]byte(c.operation + "\n" + c.canonical)); !bytes.Equal(op.fingerprint, want[:]) {
			got, err := json.Marshal(c.input)
			t.Errorf("%s is compared by %s, %v, and was by %s", c.operation, got, err, c.canonical)
		}
	}
}

// wantFilled wants every field that takes part to have a value, so that one
// that is added later comes into the test.
func wantFilled(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]() {
		return
	}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		switch {
		case field.Tag.Get("json") == "-":
		case v.Field(i).IsZero():
			t.Errorf("%s: %s has no value in this test", name, field.Name)
		default:
			wantFilled(t, name, v.Field(i))
		}
	}
}

// The same instant is the same input, whatever zone it was written in.
func TestKeyKnowsAnInstantInAnyZone(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		utc := s.clock.Now().Add(time.Hour)
		first, err := s.CreateQuote(s.ctx, QuoteDraft{ExpiresAt: &utc, Key: ptr("k")})
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := utc.In(time.FixedZone("", 2*60*60))
		again, err := s.CreateQuote(s.ctx, QuoteDraft{ExpiresAt: &elsewhere, Key: ptr("k")})
		if err != nil || again != first {
			t.Errorf("got %s, %v, want %s", again, err, first)
		}
		later := utc.Add(time.Second)
		_, err = s.CreateQuote(s.ctx, QuoteDraft{ExpiresAt: &later, Key: ptr("k")})
		wantCode(t, err, CodeIdempotencyKeyReused, "idempotencyKey")
	})
}

func TestOldKeysAreRemoved(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		for range 3 {
			s.invoiceOf(t, item(t, "API", "3", "USD", 1))
		}
		charge := ChargeDraft{PayerID: s.payer.ID, Amount: usd(t, "5"), PaymentMethodID: card, Key: ptr("charge")}
		begun, err := s.BeginCharge(s.ctx, charge)
		if err != nil {
			t.Fatal(err)
		}
		left := func() int {
			t.Helper()
			n, err := s.Client().IdempotencyRecord.Query().Count(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		remove := func(want int) {
			t.Helper()
			if n, err := s.RemoveOldKeys(s.ctx); err != nil || n != want {
				t.Errorf("removed %d, %v, want %d", n, err, want)
			}
		}
		all := left()
		s.clock.Advance(keyLife)
		remove(0)
		s.invoiceOf(t, item(t, "API", "3", "USD", 1))
		s.clock.Advance(time.Second)
		remove(all - 1) // the charge's outcome is not known
		if n := left(); n != 2 {
			t.Errorf("%d keys are left", n)
		}
		if again, err := s.BeginCharge(s.ctx, charge); err != nil || again.PaymentID != begun.PaymentID {
			t.Errorf("the same charge is %+v, %v", again, err)
		}
		if err := s.FinishPayment(s.ctx, begun.ID, gateway.PaymentResult{Outcome: ended(gateway.StatusDeclined)}); err != nil {
			t.Fatal(err)
		}
		remove(1)
		remove(0)
	})
}
