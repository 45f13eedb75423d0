package billing

import (
	"context"
	"errors"
	"sync"
	"testing"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
)

func (s *sale) setCurrency(t testing.TB, code string, status currency.Status) {
	t.Helper()
	s.must(t, s.ctx, func(ctx context.Context, tx *Tx) error {
		return tx.Currency.Update().Where(currency.Code(code)).SetStatus(status).Exec(ctx)
	})
}

// In a currency that is not sold in any more nothing new begins, also where
// there is a balance, a quote or an invoice from before.
func TestInactiveCurrencyIsNotUsable(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.reload(t, s.payer.ID, in(t, "5", "KWD"))
		draft, inv := s.quoteOf(t, item(t, "API", "3", "KWD", 1)), s.invoiceOf(t, item(t, "API", "3", "KWD", 1))
		open := s.openQuoteOf(t, item(t, "API", "3", "KWD", 1))
		s.setCurrency(t, "KWD", currency.StatusINACTIVE)

		for _, on := range []OnInsufficient{OnInsufficientRefuse, OnInsufficientRecord} {
			_, err := s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: in(t, "1", "KWD"), OnInsufficient: on, Key: ptr("k")})
			wantCode(t, err, CodeInvalidState, "amount.currency")
		}
		_, err := s.CanSpend(s.ctx, s.payer.ID, in(t, "1", "KWD"))
		wantCode(t, err, CodeInvalidState, "amount.currency")
		_, err = s.BeginQuoteFinalization(s.ctx, QuoteFinalizeDraft{ID: draft})
		wantCode(t, err, CodeInvalidState, "lineItems")
		_, err = s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: inv})
		wantCode(t, err, CodeInvalidState, "id")
		// What was binding before may be accepted.
		if adopted := s.invoiced(t, s.accepted(t, open)); adopted.Status != invoice.StatusDRAFT {
			t.Errorf("accepted as %s", adopted.Status)
		}

		s.setCurrency(t, "KWD", currency.StatusACTIVE)
		if _, err := s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: in(t, "1", "KWD"), Key: ptr("k")}); err != nil {
			t.Errorf("active again: %v", err)
		}
		s.finalized(t, inv)
	})
}

func TestInactiveOrganizationMovesNoMoney(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		open := s.openQuoteOf(t, item(t, "API", "3", "USD", 1))
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetStatus(organization.StatusINACTIVE) })
		_, err := s.ReloadBalance(s.ctx, Reload{PayerID: s.payer.ID, Amount: usd(t, "1"), Key: ptr("r")})
		wantCode(t, err, CodeInvalidState, "")
		_, err = s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: usd(t, "1"), Key: ptr("u"), OnInsufficient: OnInsufficientRecord})
		wantCode(t, err, CodeInvalidState, "")
		_, err = s.BeginQuoteAcceptance(s.ctx, QuoteAcceptDraft{ID: open, Key: ptr("a")})
		wantCode(t, err, CodeInvalidState, "")
	})
}

// A payer is not closed while a draft or an offer could still make it owe
// something, and a closed one is not billed.
func TestClosedPayerIsNotBilled(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		draft, offer := s.invoiceOf(t, item(t, "API", "3", "USD", 1)), s.openQuoteOf(t, item(t, "API", "3", "USD", 1))
		wantCode(t, s.CloseDeveloper(s.ctx, s.payer.ID, RestBalanceRefuse), CodeInvalidState, "id")
		if _, err := s.BeginInvoiceVoid(s.ctx, draft); err != nil {
			t.Fatal(err)
		}
		wantCode(t, s.CloseDeveloper(s.ctx, s.payer.ID, RestBalanceRefuse), CodeInvalidState, "id")
		canceled, err := s.BeginQuoteCancellation(s.ctx, offer)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.FinishQuoteCancellation(s.ctx, canceled.ID, s.quoteAt(t, offer, "canceled")); err != nil {
			t.Fatal(err)
		}
		late := s.invoiceOf(t, item(t, "API", "3", "USD", 1))
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusCLOSED) })
		_, err = s.BeginInvoiceFinalization(s.ctx, InvoiceFinalizeDraft{ID: late})
		wantCode(t, err, CodeInvalidState, "id")
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetStatus(payer.StatusSUSPENDED) })
		s.finalized(t, late)
	})
}

// Closing and buying at the same moment: one of them is refused.
func TestClosingRacesWithBuying(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		for range 12 {
			s.payer = s.newPayer(t, payer.BillingModePREPAID)
			s.reload(t, s.payer.ID, usd(t, "1"))
			s.use(t, s.payer.ID, usd(t, "1"))
			buys := []func() error{
				func() error { return s.CloseDeveloper(s.ctx, s.payer.ID, RestBalanceRefuse) },
				func() error {
					_, err := s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: usd(t, "1"), OnInsufficient: OnInsufficientRecord, Key: ptr(s.newID("key"))})
					return err
				},
				func() error {
					_, err := s.RecordUsage(s.ctx, Usage{PayerID: s.payer.ID, Amount: in(t, "1", "KWD"), OnInsufficient: OnInsufficientRecord, Key: ptr(s.newID("key"))})
					return err
				},
				func() error {
					_, err := s.ReloadBalance(s.ctx, Reload{PayerID: s.payer.ID, Amount: usd(t, "1"), Key: ptr(s.newID("key"))})
					return err
				},
				func() error {
					_, err := s.CreateInvoice(s.ctx, InvoiceDraft{PayerID: s.payer.ID, Lines: []LineDraft{item(t, "API", "3", "USD", 1)}, Collection: invoice.CollectionAUTOMATIC})
					return err
				},
				func() error {
					_, err := s.BeginHostedPayment(s.ctx, HostedPaymentDraft{PayerID: s.payer.ID, Amount: usd(t, "5"), Key: ptr(s.newID("key"))})
					return err
				},
			}
			var done sync.WaitGroup
			for _, buy := range buys {
				done.Go(func() {
					var refused *Error
					if err := buy(); err != nil && !errors.As(err, &refused) {
						t.Error(err)
					}
				})
			}
			done.Wait()
			p, err := s.Client().Payer.Query().Where(payer.ID(s.payer.ID)).Only(s.ctx)
			if err != nil {
				t.Fatal(err)
			}
			if p.Status != payer.StatusCLOSED {
				continue
			}
			for _, code := range []string{"USD", "KWD"} {
				if b := s.balanceOf(t, p.ID, code); b != nil && !b.Remaining().IsZero() {
					t.Errorf("closed with %s", b.Remaining())
				}
			}
			drafts, err := s.Client().Invoice.Query().Where(invoice.PayerID(p.ID)).Count(s.ctx)
			payments, paymentsErr := s.Client().Payment.Query().Where(payment.PayerID(p.ID)).Count(s.ctx)
			if err != nil || paymentsErr != nil || drafts+payments > 0 {
				t.Errorf("closed with %d drafts and %d payments, %v, %v", drafts, payments, err, paymentsErr)
			}
		}
	})
}
