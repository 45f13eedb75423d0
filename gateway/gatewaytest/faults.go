package gatewaytest

import (
	"fmt"
	"testing"
	"time"

	"purser/gateway"
)

// requestsMax bounds how many requests an operation may take.
const requestsMax = 30

// trial is an operation under a fault.
type trial struct {
	name string
	// ready prepares what the operation needs and returns how to ask for it,
	// always with the same call, and how to check what it left behind.
	ready func(t *testing.T, s *suite) (ask func() gateway.Outcome, check func(t *testing.T, e end))
	// offered reports whether the adapter can do it.
	offered func(*suite) bool
}

// testFaults makes each request of each operation go wrong, one after the
// other. Whatever happens: no failure is reported where something may have
// happened, asking again settles, and everything is there once.
func testFaults(t *testing.T, s *suite, fault Fault) {
	for _, tr := range trials() {
		if !tr.offered(s) {
			continue
		}
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			struckOnce := false
			for skip := range requestsMax {
				fresh := &suite{Fixture: s.start(t), start: s.start}
				if !tr.strike(t, fresh, fault, skip) {
					if !struckOnce {
						t.Fatal("the fault never struck")
					}
					return
				}
				struckOnce = true
			}
			t.Fatalf("more than %d requests", requestsMax)
		})
	}
}

// strike makes one request of the operation go wrong, and reports whether the
// operation came to it.
func (tr trial) strike(t *testing.T, s *suite, fault Fault, skip int) bool {
	t.Helper()
	what := fmt.Sprintf("%s, %s at request %d", tr.name, fault, skip+1)
	ask, check := tr.ready(t, s)
	struck := s.Fail(t, fault, skip)
	out := ask()
	if !struck() {
		s.Heal(t)
		wantStatus(t, what+" (not reached)", out, gateway.StatusSucceeded)
		check(t, settled)
		return false
	}
	wantStatus(t, what, out, gateway.StatusSucceeded, gateway.StatusUnknown, gateway.StatusUnavailable)
	if out.Status == gateway.StatusUnavailable {
		if fault != Busy {
			t.Fatalf("%s: UNAVAILABLE, but it may have happened", what)
		}
		check(t, nothing)
	}
	deadline := time.Now().Add(15 * time.Second)
	for tries := 0; out.Status != gateway.StatusSucceeded; tries++ {
		if fault == BrokenForGood && tries == 2 {
			// The gateway will not tell, and nothing is found: it stays so.
			check(t, unsettled)
			return true
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: stays %s %+v", what, out.Status, out.Failure)
		}
		out = ask()
		wantStatus(t, what+", asked again", out, gateway.StatusSucceeded, gateway.StatusUnknown, gateway.StatusUnavailable)
	}
	check(t, settled)
	// And once more: a settled call stays what it is.
	wantStatus(t, what+", asked when settled", ask(), gateway.StatusSucceeded)
	check(t, settled)
	return true
}

func offers[T any](s *suite) bool {
	_, ok := s.Adapter.(T)
	return ok
}

// both reports whether the adapter offers two capabilities.
func both[T, U any](s *suite) bool { return offers[T](s) && offers[U](s) }

// charges reports whether there are saved cards to charge.
func charges(s *suite) bool {
	return offers[gateway.Charges](s) && (s.SaveCard != nil || offers[gateway.Cards](s))
}

// trials lists the operations that change something.
func trials() []trial {
	return []trial{
		{"charge", readyCharge, charges},
		{"attach a card", readyAttach, offers[gateway.Cards]},
		{"start a hosted payment", readyPage, offers[gateway.HostedPayments]},
		{"finalize a quote", readyQuote, offers[gateway.Quotes]},
		{"accept a quote", readyAcceptance, both[gateway.Quotes, gateway.Invoices]},
		{"cancel a quote", readyQuoteCancel, offers[gateway.Quotes]},
		{"finalize an invoice", readyInvoice, offers[gateway.Invoices]},
		{"pay an invoice", readyInvoicePayment, both[gateway.Invoices, gateway.Cards]},
		{"settle an invoice", readyInvoiceSettlement, offers[gateway.Invoices]},
		{"void an invoice", readyInvoiceVoid, offers[gateway.Invoices]},
		{"credit an invoice", readyInvoiceCredit, both[gateway.Invoices, gateway.CreditNotes]},
	}
}

func readyCharge(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	customer, card := s.card(t, s.Cards.Good)
	call, request := s.call(), chargeOf(t, customer, card)
	ask := func() gateway.Outcome {
		return s.Adapter.(gateway.Charges).ChargeCard(t.Context(), s.Account, call, request).Outcome
	}
	return ask, s.charged("12.50")
}

func readyAttach(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	call := s.call()
	var saved string
	ask := func() gateway.Outcome {
		res := s.Adapter.(gateway.Cards).AttachCard(t.Context(), s.Account, call, gateway.CardRequest{Customer: payer(), Token: s.Cards.Good, MakeDefault: true})
		if res.Status == gateway.StatusSucceeded {
			if saved != "" && saved != res.PaymentMethodID {
				t.Errorf("one call saved %s and %s", saved, res.PaymentMethodID)
			}
			saved = res.PaymentMethodID
		}
		return res.Outcome
	}
	return ask, s.charged()
}

func readyPage(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	call, request := s.call(), pageOf(t)
	var page string
	asked := false
	ask := func() gateway.Outcome {
		if asked && s.Lacks.PagesAgain {
			// Later the gateway is sure that nobody has paid.
			call.StartedAt = call.StartedAt.Add(-10 * time.Minute)
			request.ExpiresAt = request.ExpiresAt.Add(-10 * time.Minute)
		}
		asked = true
		res := s.Adapter.(gateway.HostedPayments).StartHostedPayment(t.Context(), s.Account, call, request)
		if res.Status == gateway.StatusActionNeeded {
			if page != "" && page != res.ReferenceID {
				t.Errorf("one call made %s and %s", page, res.ReferenceID)
			}
			page = res.ReferenceID
			res.Status = gateway.StatusSucceeded // the page is there, as it was asked for
		}
		if res.Never && s.Lacks.PagesAgain {
			res.Status = gateway.StatusSucceeded // nobody knows the page, so nothing was ever done
		}
		return res.Outcome
	}
	return ask, s.charged()
}

func readyQuote(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	call, request := s.call(), quoteOf(t)
	ask := func() gateway.Outcome {
		res := s.Adapter.(gateway.Quotes).FinalizeQuote(t.Context(), s.Account, call, request)
		if res.Status == gateway.StatusSucceeded && res.State != "open" {
			t.Errorf("finalized, the quote is %s", res.State)
		}
		return res.Outcome
	}
	return ask, s.once(gateway.ObjectQuote)
}

func readyAcceptance(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	quote, call := s.quote(t), s.call()
	ask := func() gateway.Outcome {
		res := s.Adapter.(gateway.Quotes).AcceptQuote(t.Context(), s.Account, call, quote)
		if res.Status == gateway.StatusSucceeded && (res.State != "accepted" || res.InvoiceID == "") {
			t.Errorf("accepted, the quote is %+v", res)
		}
		return res.Outcome
	}
	return ask, s.once(gateway.ObjectInvoice)
}

func readyQuoteCancel(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	quote, call := s.quote(t), s.call()
	ask := func() gateway.Outcome {
		return s.Adapter.(gateway.Quotes).CancelQuote(t.Context(), s.Account, call, quote).Outcome
	}
	return ask, s.gone(gateway.ObjectQuote)
}

func readyInvoice(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	call, request := s.call(), invoiceOf(t)
	ask := func() gateway.Outcome {
		res := s.Adapter.(gateway.Invoices).FinalizeInvoice(t.Context(), s.Account, call, request)
		if res.Status == gateway.StatusSucceeded && (res.State != "open" || res.Total != request.Total) {
			t.Errorf("finalized, the invoice is %+v", res)
		}
		return res.Outcome
	}
	return ask, s.once(gateway.ObjectInvoice)
}

func readyInvoicePayment(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	customer, card := s.card(t, s.Cards.Good)
	invoice, call := s.invoice(t, customer), s.call()
	ask := func() gateway.Outcome {
		res := s.Adapter.(gateway.Invoices).PayInvoice(t.Context(), s.Account, call, gateway.InvoicePayRequest{InvoiceID: invoice, PaymentMethodID: card, OffSession: true})
		if res.Status == gateway.StatusSucceeded && (res.State != "paid" || res.Payment.GatewayPaymentID == "" || res.AmountPaid != usd(t, "11.90")) {
			t.Errorf("paid, the invoice is %+v", res)
		}
		return res.Outcome
	}
	return ask, s.charged("11.90")
}

func readyInvoiceSettlement(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	invoice, call := s.invoice(t, ""), s.call()
	ask := func() gateway.Outcome {
		res := s.Adapter.(gateway.Invoices).SettleInvoice(t.Context(), s.Account, call, invoice)
		if res.Status == gateway.StatusSucceeded && (res.State != "paid" || !res.PaidOutside) {
			t.Errorf("settled, the invoice is %+v", res)
		}
		return res.Outcome
	}
	return ask, s.charged()
}

func readyInvoiceVoid(t *testing.T, s *suite) (func() gateway.Outcome, func(*testing.T, end)) {
	invoice, call := s.invoice(t, ""), s.call()
	ask := func() gateway.Outcome {
		return s.Adapter.(gateway.Invoices).VoidInvoice(t.Context(), s.Account, call, invoice).Outcome
	}
	return ask, s.gone(gateway.ObjectInvoice)
}
