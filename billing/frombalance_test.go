package billing

import (
	"testing"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
)

// fromBalance writes an invoice that is paid from the balance, and finalizes
// it.
func (s *sale) fromBalance(t testing.TB, amount string) string {
	t.Helper()
	id, err := s.CreateInvoice(s.ctx, InvoiceDraft{
		PayerID: s.payer.ID, Collection: invoice.CollectionBALANCE, Lines: []LineDraft{item(t, "API", amount, "USD", 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	begun, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
	if err != nil || begun.Call != nil {
		t.Fatalf("finalize: %v, %v: the gateway has no part in it", begun, err)
	}
	return id
}

func (s *sale) wantInvoice(t testing.TB, id string, status invoice.Status) *ent.Invoice {
	t.Helper()
	inv := s.invoiced(t, id)
	if inv.Status != status {
		t.Errorf("invoice over %s is %s, want %s", inv.Total(), inv.Status, status)
	}
	return inv
}

func (s *sale) payFromBalance(id, key string) error {
	_, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, FromBalance: true, Key: &key})
	return err
}

func TestInvoiceIsPaidFromTheBalance(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(200_000) })
		s.reload(t, s.payer.ID, usd(t, "100"))
		id := s.fromBalance(t, "50.004") // 60.00 with tax, rounded
		inv := s.wantInvoice(t, id, invoice.StatusPAID)
		if inv.AmountPaid() != usd(t, "60") || inv.PaidAt == nil {
			t.Errorf("paid %s at %v", inv.AmountPaid(), inv.PaidAt)
		}
		s.wantBalance(t, s.payer.ID, "40", "0", "40")
		b := s.balanceOf(t, s.payer.ID, "USD")
		if b.UnpaidUnits != 0 || b.Usage() != usd(t, "60") {
			t.Errorf("unpaid %s, usage %s", b.Unpaid(), b.Usage())
		}
		e := s.entry(t, s.cause(t, invoiceCause(id, partFromBalance)))
		if e.Kind != ledgerentry.KindINVOICE_PAYMENT || e.DebitAccount != b.Account() || e.CreditAccount != accountReceivable || orEmpty(e.InvoiceID) != id {
			t.Errorf("%s from %s to %s", e.Kind, e.DebitAccount, e.CreditAccount)
		}
		err := s.payFromBalance(id, "again")
		wantCode(t, err, CodeInvalidState, "id")
	})
}

// What is missing is told, and whatever brings it pays the invoice.
func TestWhatCoversAnInvoicePaysIt(t *testing.T) {
	for name, bring := range map[string]func(t *testing.T, s *sale, h HoldChange){
		"reload":     func(t *testing.T, s *sale, _ HoldChange) { s.reload(t, s.payer.ID, usd(t, "7")) },
		"top-up":     func(t *testing.T, s *sale, _ HoldChange) { s.topUp(t, s.payer, usd(t, "7"), "pi_7") },
		"credit":     func(t *testing.T, s *sale, _ HoldChange) { must(s.credit(s.payer.ID, usd(t, "7")))(t) },
		"adjustment": func(t *testing.T, s *sale, _ HoldChange) { must(s.adjust(s.payer.ID, usd(t, "7")))(t) },
		"release":    func(t *testing.T, s *sale, h HoldChange) { must(s.ReleaseHold(s.ctx, h.HoldID))(t) },
		"capture":    func(t *testing.T, s *sale, h HoldChange) { must(s.capture(h.HoldID, ptr(usd(t, "1")), ""))(t) },
		"expiry": func(t *testing.T, s *sale, _ HoldChange) {
			s.clock.Advance(2 * holdLifeMax)
			s.expire(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachSale(t, func(t *testing.T, s *sale) {
				s.reload(t, s.payer.ID, usd(t, "12"))
				h := s.setAside(t, s.payer.ID, usd(t, "8"))
				id := s.fromBalance(t, "10")
				s.wantInvoice(t, id, invoice.StatusOPEN)
				e := wantCode(t, s.payFromBalance(id, "k"), CodeFundsReserved, "fromBalance")
				if want := (Funds{Required: usd(t, "10"), Available: usd(t, "4"), Held: usd(t, "8"), Shortfall: usd(t, "6")}); *e.Details != want {
					t.Errorf("details %+v, want %+v", e.Details, want)
				}
				bring(t, s, h)
				s.wantInvoice(t, id, invoice.StatusPAID)
				if b := s.balanceOf(t, s.payer.ID, "USD"); b.UnpaidUnits != 0 || b.Available().Units < 0 {
					t.Errorf("unpaid %s, available %s", b.Unpaid(), b.Available())
				}
			})
		})
	}
}

// must fails the test when a call has failed.
func must[T any](_ T, err error) func(testing.TB) {
	return func(t testing.TB) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The oldest comes first; what does not fit keeps nobody else waiting. An
// invoice that was to be paid otherwise waits once it was tried.
func TestInvoicesThatWaitForTheBalance(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		large, old, young := s.fromBalance(t, "100"), s.fromBalance(t, "6"), s.fromBalance(t, "5")
		// One without a provider, by its own collection paid elsewhere.
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.ClearDefaultProviderID() })
		other, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Collection: invoice.CollectionSEND, Lines: []LineDraft{item(t, "API", "1", "USD", 1)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: other}); err != nil {
			t.Fatal(err)
		}
		s.reload(t, s.payer.ID, usd(t, "10.99"))
		s.wantInvoice(t, large, invoice.StatusOPEN)
		s.wantInvoice(t, old, invoice.StatusPAID)
		s.wantInvoice(t, young, invoice.StatusOPEN) // 4.99 are left
		s.wantInvoice(t, other, invoice.StatusOPEN)
		s.use(t, s.payer.ID, usd(t, "4.5"))
		e := wantCode(t, s.payFromBalance(other, "k"), CodeInsufficientFunds, "fromBalance")
		if e.Details.Shortfall != usd(t, "0.51") {
			t.Errorf("details %+v", e.Details)
		}
		if got := s.invoiced(t, other).Collection; got != invoice.CollectionBALANCE {
			t.Errorf("collection %s", got)
		}
		s.reload(t, s.payer.ID, usd(t, "0.51"))
		s.wantInvoice(t, other, invoice.StatusPAID)
		s.wantBalance(t, s.payer.ID, "0", "0", "0")
		s.reload(t, s.payer.ID, usd(t, "105"))
		s.wantInvoice(t, large, invoice.StatusPAID)
		s.wantInvoice(t, young, invoice.StatusPAID)
		s.wantBalance(t, s.payer.ID, "0", "0", "0")
	})
}

func TestWhatIsNotPaidFromABalance(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.reload(t, s.payer.ID, usd(t, "100"))
		kept := s.openInvoiceOf(t, item(t, "API", "5", "USD", 1)) // by the gateway
		wantCode(t, s.payFromBalance(kept, "kept"), CodeProviderUnsupported, "fromBalance")
		_, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: kept, FromBalance: true, OutOfBand: true, Key: ptr("two")})
		wantCode(t, err, CodeInvalid, "fromBalance")
		_, err = s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: kept, FromBalance: true, PaymentMethodID: "pmd_1", Key: ptr("two")})
		wantCode(t, err, CodeInvalid, "fromBalance")
		postpaid := s.newPayer(t, payer.BillingModePOSTPAID)
		lines := []LineDraft{item(t, "API", "5", "USD", 1)}
		_, err = s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: postpaid.ID, Collection: invoice.CollectionBALANCE, Lines: lines})
		wantCode(t, err, CodeInvalid, "collection")
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.ClearDefaultProviderID() })
		id, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: postpaid.ID, Collection: invoice.CollectionSEND, Lines: lines})
		if err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.payFromBalance(id, "draft"), CodeInvalidState, "id")
		if _, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id}); err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.payFromBalance(id, "postpaid"), CodeInvalidState, "fromBalance")
		// A voided invoice waits for nothing.
		waits := s.fromBalance(t, "200")
		if _, err := s.BeginInvoiceVoid(s.ctx, waits); err != nil {
			t.Fatal(err)
		}
		s.reload(t, s.payer.ID, usd(t, "200"))
		s.wantInvoice(t, waits, invoice.StatusVOID)
		s.wantBalance(t, s.payer.ID, "300", "0", "300")
	})
}
