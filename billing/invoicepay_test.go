package billing

import (
	"fmt"
	"sync"
	"testing"

	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// Each state of an invoice meets each way of paying it, and voiding.
func TestInvoiceStatesAndOperations(t *testing.T) {
	const ok, no = Code(""), CodeInvalidState
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		pay := func(d InvoicePayDraft) func(id string) error {
			return func(id string) error {
				d.InvoiceID, d.Key = id, ptr(s.newID("key"))
				_, err := s.BeginInvoicePayment(s.ctx, d)
				return err
			}
		}
		operations := []struct {
			name string
			run  func(id string) error
		}{
			{"finalize", func(id string) error {
				_, err := s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: id})
				return err
			}},
			{"pay by card", pay(InvoicePayDraft{PaymentMethodID: card})},
			{"pay on the page", pay(InvoicePayDraft{})},
			{"paid elsewhere", pay(InvoicePayDraft{OutOfBand: true})},
			{"void", func(id string) error {
				_, err := s.BeginInvoiceVoid(s.ctx, id)
				return err
			}},
		}
		applied := func(state gateway.InvoiceState) func(t *testing.T) string {
			return func(t *testing.T) string {
				id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
				if err := s.ApplyInvoice(s.ctx, id, s.invoiceAt(t, id, state)); err != nil {
					t.Fatal(err)
				}
				return id
			}
		}
		for _, state := range []struct {
			name  string
			make  func(t *testing.T) string
			codes []Code
		}{
			{"draft", func(t *testing.T) string { return s.invoiceOf(t, item(t, "A", "10", "USD", 1)) }, []Code{ok, no, no, no, ok}},
			{"open", applied("open"), []Code{no, ok, ok, ok, ok}},
			{"uncollectible", applied("uncollectible"), []Code{no, ok, ok, ok, ok}},
			{"paid", applied("paid"), []Code{no, no, no, no, no}},
			{"void", applied("void"), []Code{no, no, no, no, ok}},
			{"being charged", func(t *testing.T) string {
				id := applied("open")(t)
				if err := operations[1].run(id); err != nil {
					t.Fatal(err)
				}
				return id
			}, []Code{no, no, no, no, no}},
			{"charged, the outcome still to come", func(t *testing.T) string {
				id := applied("open")(t)
				begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
				if err != nil {
					t.Fatal(err)
				}
				r := s.invoiceAt(t, id, "open")
				r.Outcome = ended(gateway.StatusProcessing)
				if err := s.FinishInvoicePayment(s.ctx, begun.ID, r); err != nil {
					t.Fatal(err)
				}
				return id
			}, []Code{no, no, no, no, no}},
			{"on the page", func(t *testing.T) string {
				id := applied("open")(t)
				if err := operations[2].run(id); err != nil {
					t.Fatal(err)
				}
				return id
			}, []Code{no, ok, ok, ok, ok}},
			{"being voided", func(t *testing.T) string {
				id := applied("open")(t)
				if err := operations[4].run(id); err != nil {
					t.Fatal(err)
				}
				return id
			}, []Code{no, no, no, no, no}},
		} {
			for i, op := range operations {
				t.Run(state.name+" "+op.name, func(t *testing.T) {
					id := state.make(t)
					before := s.invoiced(t, id)
					err := op.run(id)
					if state.codes[i] == ok {
						if err != nil {
							t.Fatal(err)
						}
						return
					}
					wantCode(t, err, state.codes[i], "id")
					if after := s.invoiced(t, id); after.Status != before.Status || orEmpty(after.PendingCallID) != orEmpty(before.PendingCallID) {
						t.Errorf("refused, yet changed: %+v", after)
					}
				})
			}
		}
	})
}

func TestBadInvoicePayments(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		card := s.card(t)
		own := s.payer
		s.payer = s.newPayer(t, payer.BillingModePREPAID)
		others := s.card(t)
		s.payer = own
		here := s.provider
		s.provider = s.newKind(t, provider.KindSTRIPE)
		elsewhere, err := s.BeginCardAttach(s.ctx, CardDraft{PayerID: s.payer.ID, ProviderID: s.provider, GatewayToken: "pm_card_visa"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishCard(s.ctx, elsewhere.ID, s.cardAt("pm_elsewhere")); err != nil {
			t.Fatal(err)
		}
		s.provider = here
		for _, c := range []struct {
			name  string
			draft InvoicePayDraft
			code  Code
			field string
		}{
			{"no key", InvoicePayDraft{InvoiceID: id, PaymentMethodID: card}, CodeRequired, "idempotencyKey"},
			{"unknown invoice", InvoicePayDraft{InvoiceID: "inv_none", Key: ptr("1")}, CodeNotFound, "id"},
			{"unknown card", InvoicePayDraft{InvoiceID: id, PaymentMethodID: "pmd_none", Key: ptr("2")}, CodeNotFound, "paymentMethodId"},
			{"another payer's card", InvoicePayDraft{InvoiceID: id, PaymentMethodID: others, Key: ptr("3")}, CodeNotFound, "paymentMethodId"},
			{"a card at another provider", InvoicePayDraft{InvoiceID: id, PaymentMethodID: elsewhere.PaymentMethodID, Key: ptr("4")}, CodeInvalid, "paymentMethodId"},
			{"card and out of band", InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, OutOfBand: true, Key: ptr("5")}, CodeInvalid, "outOfBand"},
			{"a strange return address", InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, ReturnURL: "https://evil.example/", Key: ptr("6")}, CodeInvalid, "returnUrl"},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, err := s.BeginInvoicePayment(s.ctx, c.draft)
				wantCode(t, err, c.code, c.field)
			})
		}
		if n := len(s.paymentsOf(t, id)); n != 0 {
			t.Errorf("%d payments were left behind", n)
		}
		if inv := s.invoiced(t, id); inv.PendingCallID != nil {
			t.Errorf("half begun: %+v", inv)
		}
	})
}

// What the gateway may answer to a charge by hand, and what invoice, payment and
// attempt are then. It is no try of the invoice's own.
func TestInvoiceChargeOutcomes(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		for _, c := range []struct {
			status  gateway.Status
			refusal Code
			payment payment.Status
			attempt paymentattempt.Status
			held    bool
		}{
			{gateway.StatusSucceeded, "", payment.StatusSUCCEEDED, paymentattempt.StatusSUCCEEDED, false},
			{gateway.StatusActionNeeded, "", payment.StatusREQUIRES_ACTION, paymentattempt.StatusREQUIRES_ACTION, false},
			{gateway.StatusProcessing, "", payment.StatusPROCESSING, paymentattempt.StatusPROCESSING, false},
			{gateway.StatusDeclined, "", payment.StatusFAILED, paymentattempt.StatusFAILED, false},
			{gateway.StatusRejected, CodeProviderRefused, payment.StatusFAILED, paymentattempt.StatusFAILED, false},
			{gateway.StatusUnavailable, CodeProviderUnavailable, payment.StatusFAILED, paymentattempt.StatusFAILED, false},
			{gateway.StatusUnknown, "", payment.StatusPROCESSING, paymentattempt.StatusPROCESSING, true},
		} {
			t.Run(string(c.status), func(t *testing.T) {
				id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
				d := InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id}
				begun, err := s.BeginInvoicePayment(s.ctx, d)
				if err != nil {
					t.Fatal(err)
				}
				r := s.invoiceAt(t, id, map[bool]gateway.InvoiceState{true: "paid", false: "open"}[c.status == gateway.StatusSucceeded])
				if c.status != gateway.StatusSucceeded {
					r.Outcome = ended(c.status)
				}
				for range 2 {
					if c.status == gateway.StatusUnknown {
						err = s.FinishInvoicePayment(s.ctx, begun.ID, gateway.InvoiceResult{Outcome: r.Outcome})
					} else {
						err = s.FinishInvoicePayment(s.ctx, begun.ID, r)
					}
					if c.refusal != "" {
						wantCode(t, err, c.refusal, "")
					} else if err != nil {
						t.Fatal(err)
					}
				}
				inv, p := s.invoiced(t, id), s.paid(t, begun.PaymentID)
				if p.Status != c.payment || inv.Attempts != 0 || (inv.PendingCallID != nil) != c.held {
					t.Fatalf("payment %s, %d tries, held %v", p.Status, inv.Attempts, inv.PendingCallID)
				}
				if (inv.Status == invoice.StatusPAID) != (c.payment == payment.StatusSUCCEEDED) {
					t.Errorf("the invoice is %s", inv.Status)
				}
				if p.Status == payment.StatusFAILED && (p.FailureCode == "" || p.FailureMessage == "") && c.status != gateway.StatusUnavailable {
					t.Errorf("no reason is given: %+v", p)
				}
				if c.status == gateway.StatusDeclined && p.FailureDeclineCode != "generic_decline" {
					t.Errorf("decline code %q", p.FailureDeclineCode)
				}
				a, err := s.Client().PaymentAttempt.Query().Where(paymentattempt.PaymentID(p.ID)).Only(s.ctx)
				if err != nil || a.Status != c.attempt {
					t.Errorf("attempt %+v, %v", a, err)
				}
				// The same key: the same payment, unless nothing has happened.
				again, err := s.BeginInvoicePayment(s.ctx, d)
				switch {
				case c.refusal != "":
					if err != nil || again.Call == nil || again.PaymentID == begun.PaymentID {
						t.Errorf("trying again: %+v, %v", again, err)
					}
				case err != nil || again.Call != nil || again.PaymentID != begun.PaymentID:
					t.Errorf("the same key: %+v, %v", again, err)
				}
			})
		}
		t.Run("under way, and declined days later", func(t *testing.T) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			late := s.invoiceAt(t, id, "open")
			late.Payment = gateway.PaymentState{Status: gateway.StatusDeclined, GatewayPaymentID: "pi_1", Failure: &gateway.Failure{Code: "no_funds", Message: "No funds."}}
			// While its own call is open nothing else ends it.
			if err := s.ApplyInvoice(s.ctx, id, late); err != nil || s.paid(t, begun.PaymentID).Status != payment.StatusPROCESSING {
				t.Fatalf("during the call: %v, %s", err, s.paid(t, begun.PaymentID).Status)
			}
			r := s.invoiceAt(t, id, "open")
			r.Outcome = ended(gateway.StatusProcessing)
			if err := s.FinishInvoicePayment(s.ctx, begun.ID, r); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := s.ApplyInvoice(s.ctx, id, late); err != nil {
					t.Fatal(err)
				}
			}
			if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusFAILED || p.FailureCode != "no_funds" {
				t.Errorf("payment %s %q", p.Status, p.FailureCode)
			}
			if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: ptr(id + " again")}); err != nil {
				t.Error(err)
			}
		})
		t.Run("unknown, found out later", func(t *testing.T) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range []gateway.Status{gateway.StatusUnknown, gateway.StatusUnavailable} {
				if err := s.FinishInvoicePayment(s.ctx, begun.ID, gateway.InvoiceResult{Outcome: ended(status)}); err != nil {
					t.Fatal(err)
				}
				if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusPROCESSING {
					t.Fatalf("not known, yet %s", p.Status)
				}
				s.clock.Advance(askAgainIn(2))
				s.resumed(t, begun.ID)
			}
			paid := s.invoiceAt(t, id, "paid")
			if err := s.FinishInvoicePayment(s.ctx, begun.ID, paid); err != nil {
				t.Fatal(err)
			}
			s.wantPaid(t, "later", id, begun.PaymentID, paid)
		})
		t.Run("another amount", func(t *testing.T) {
			for _, wrong := range []money.Amount{usd(t, "9"), {Units: usd(t, "10").Units, Currency: "EUR"}} {
				id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
				begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
				if err != nil {
					t.Fatal(err)
				}
				r := s.invoiceAt(t, id, "paid")
				r.AmountPaid = wrong
				wantCode(t, s.FinishInvoicePayment(s.ctx, begun.ID, r), CodeProviderRefused, "")
				if inv, c := s.invoiced(t, id), s.called(t, begun.ID); inv.Status != invoice.StatusOPEN || c.State != gatewaycall.StateREVIEW {
					t.Errorf("%s: invoice %s, call %s", wrong, inv.Status, c.State)
				}
				if p := s.paid(t, begun.PaymentID); p.Status != payment.StatusPROCESSING {
					t.Errorf("%s: the payment is %s", wrong, p.Status)
				}
			}
		})
		t.Run("paid elsewhere while it was asked", func(t *testing.T) {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: &id})
			if err != nil {
				t.Fatal(err)
			}
			outside := s.paidOutside(t, id)
			if err := s.ApplyInvoice(s.ctx, id, outside); err != nil {
				t.Fatal(err)
			}
			if err := s.FinishInvoicePayment(s.ctx, begun.ID, outside); err != nil {
				t.Fatal(err)
			}
			if inv, p := s.invoiced(t, id), s.paid(t, begun.PaymentID); inv.Status != invoice.StatusPAID || inv.PendingCallID != nil || p.Status != payment.StatusCANCELED {
				t.Errorf("invoice %s, payment %s", inv.Status, p.Status)
			}
		})
	})
}

func TestInvoiceIsSettledElsewhere(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
		waiting, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: ptr("page")})
		if err != nil {
			t.Fatal(err)
		}
		same, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: ptr("page again")})
		if err != nil || same.PaymentID != waiting.PaymentID {
			t.Errorf("two payments wait on one page: %+v, %v", same, err)
		}
		begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, OutOfBand: true, Key: ptr("cash")})
		if err != nil {
			t.Fatal(err)
		}
		if begun.Call == nil || begun.PaymentID != "" || begun.Request.InvoiceID != orEmpty(s.invoiced(t, id).GatewayInvoiceID) {
			t.Fatalf("%+v", begun)
		}
		for range 2 {
			if err := s.FinishInvoicePayment(s.ctx, begun.ID, s.paidOutside(t, id)); err != nil {
				t.Fatal(err)
			}
		}
		inv := s.invoiced(t, id)
		if inv.Status != invoice.StatusPAID || inv.Attempts != 0 || inv.PendingCallID != nil {
			t.Errorf("invoice %+v", inv)
		}
		if p := s.paid(t, waiting.PaymentID); p.Status != payment.StatusCANCELED {
			t.Errorf("the page's payment is %s", p.Status)
		}
		wantBooked(t, s.booked(t, id), "receivable→revenue INVOICE 10.00 USD", "bank→receivable INVOICE_PAYMENT 10.00 USD")
	})
}

// Payments and a voiding of one invoice at once: one of them gets hold of it.
func TestPaymentsAndVoidingRace(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		card := s.card(t)
		for round := range 4 {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			paid, void := s.invoiceAt(t, id, "paid"), s.invoiceAt(t, id, "void")
			var wg sync.WaitGroup
			var mu sync.Mutex
			won := map[string]int{}
			count := func(what string, err error) {
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won[what]++
				} else {
					wantCodeIn(t, err, CodeInvalidState)
				}
			}
			for n := range 4 {
				wg.Go(func() {
					begun, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: ptr(fmt.Sprint(round, n))})
					if err == nil {
						err = s.FinishInvoicePayment(s.ctx, begun.ID, paid)
					}
					count("paid", err)
				})
			}
			wg.Go(func() {
				begun, err := s.BeginInvoiceVoid(s.ctx, id)
				if err == nil {
					err = s.FinishInvoiceVoid(s.ctx, begun.ID, void)
				}
				count("void", err)
			})
			wg.Wait()
			inv := s.invoiced(t, id)
			if won["paid"]+won["void"] != 1 || (won["paid"] == 1) != (inv.Status == invoice.StatusPAID) || (won["void"] == 1) != (inv.Status == invoice.StatusVOID) {
				t.Errorf("%v, the invoice is %s", won, inv.Status)
			}
			if n := len(s.paymentsOf(t, id)); n != won["paid"] {
				t.Errorf("%d payments, %v", n, won)
			}
		}
	})
}

// A page's payment that is made at the moment of voiding must not be left
// waiting on a void invoice.
func TestHostedPaymentAndVoidingRace(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for round := range 6 {
			id := s.openInvoiceOf(t, item(t, "A", "10", "USD", 1))
			void := s.invoiceAt(t, id, "void")
			var wg sync.WaitGroup
			wg.Go(func() {
				if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: id, Key: ptr(fmt.Sprint(round))}); err != nil {
					wantCodeIn(t, err, CodeInvalidState)
				}
			})
			wg.Go(func() {
				if err := s.ApplyInvoice(s.ctx, id, void); err != nil {
					t.Error(err)
				}
			})
			wg.Wait()
			for _, p := range s.paymentsOf(t, id) {
				if p.Status != payment.StatusCANCELED {
					t.Errorf("round %d: payment %s of a void invoice is %s", round, p.ID, p.Status)
				}
			}
		}
	})
}
