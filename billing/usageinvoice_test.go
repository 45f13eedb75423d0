package billing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// postpaidSale is a sale to a payer who pays afterwards, in New York, through a
// gateway that keeps no invoices.
func postpaidSale(t *testing.T, run func(t *testing.T, s *sale)) {
	t.Helper()
	eachSale(t, func(t *testing.T, s *sale) {
		s.provider = s.newKind(t, provider.KindWORLDPAY)
		s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider).SetTimeZone("America/New_York") })
		s.payer = s.newPayer(t, payer.BillingModePOSTPAID)
		run(t, s)
	})
}

// monthEnds invoices what is due, as jobs on two servers do.
func (s *sale) monthEnds(t testing.TB) {
	t.Helper()
	due, err := s.DueUsage(s.ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	s.twice(t, due, s.InvoiceUsage)
	drafts, err := s.DueFinalizations(s.ctx, 10)
	if err != nil {
		t.Fatal(err)
	}
	s.twice(t, drafts, func(ctx context.Context, id string) error {
		begun, err := s.BeginDueFinalization(ctx, id)
		if err == nil && begun != nil && begun.Call != nil {
			err = s.FinishInvoiceFinalization(ctx, begun.ID, s.invoiceAt(t, id, "open"))
		}
		return err
	})
}

// twice does each piece on two servers at once, and once more.
func (s *sale) twice(t testing.TB, ids []string, do func(context.Context, string) error) {
	t.Helper()
	var both sync.WaitGroup
	for _, id := range ids {
		for range 2 {
			both.Go(func() {
				if err := do(s.ctx, id); err != nil {
					t.Errorf("%s: %v", id, err)
				}
			})
		}
	}
	both.Wait()
	for _, id := range ids {
		if err := do(s.ctx, id); err != nil {
			t.Errorf("%s once more: %v", id, err)
		}
	}
}

// usageInvoices are the payer's invoices of usage, oldest first.
func (s *sale) usageInvoices(t testing.TB) []*ent.Invoice {
	t.Helper()
	rows, err := s.Client().Invoice.Query().Where(invoice.PayerID(s.payer.ID), invoice.DebtUnitsNotNil()).
		Order(ent.Asc(invoice.FieldID)).WithLines(func(q *ent.InvoiceLineQuery) { q.Order(ent.Asc("position")) }).All(s.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// usageInvoiced invoices what the payer owes now.
func (s *sale) usageInvoiced(t testing.TB) string {
	t.Helper()
	begun, err := s.BeginUsageInvoice(s.ctx, UsageInvoiceDraft{PayerID: s.payer.ID, Currency: "USD", Key: ptr(s.newID("key"))})
	if err == nil && begun.Call != nil {
		err = s.FinishInvoiceFinalization(s.ctx, begun.ID, s.invoiceAt(t, begun.InvoiceID, "open"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return begun.InvoiceID
}

// wantLines compares an invoice's positions.
func wantLines(t testing.TB, i *ent.Invoice, want ...string) {
	t.Helper()
	var got []string
	for _, l := range i.Edges.Lines {
		got = append(got, fmt.Sprintf("%s %s", l.Description, l.Amount()))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("positions %q, want %q", got, want)
	}
}

func (s *sale) available(t testing.TB) money.Amount {
	t.Helper()
	return s.balanceOf(t, s.payer.ID, "USD").Available()
}

func TestMonthEndInvoicesUsage(t *testing.T) {
	postpaidSale(t, func(t *testing.T, s *sale) {
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(money.Rate(200_000)) })
		if _, err := s.SetCreditLimit(s.ctx, CreditLimitChange{PayerID: s.payer.ID, Amount: ptr(usd(t, "100"))}); err != nil {
			t.Fatal(err)
		}
		s.use(t, s.payer.ID, usd(t, "12.5043"))
		must(s.credit(s.payer.ID, usd(t, "0.5")))(t)

		// Midnight in New York: nothing before a minute has passed, which is
		// usage of April.
		midnight := time.Date(2026, time.April, 1, 4, 0, 0, 0, time.UTC)
		s.clock.Set(midnight.Add(usageRests - time.Microsecond))
		if s.monthEnds(t); len(s.usageInvoices(t)) != 0 {
			t.Fatal("invoiced too early")
		}
		s.use(t, s.payer.ID, usd(t, "1"))
		before := s.available(t)
		s.clock.Set(midnight.Add(usageRests))
		s.monthEnds(t)
		all := s.usageInvoices(t)
		if len(all) != 1 {
			t.Fatalf("there are %d invoices of March", len(all))
		}
		march := all[0]
		// 2.0007 of 12.0043 are tax: 2.00.
		if march.Status != invoice.StatusOPEN || orEmpty(march.UsageMonth) != "2026-03" || *march.Debt() != usd(t, "12.0043") ||
			march.Subtotal() != usd(t, "10.0043") || march.Tax() != usd(t, "2") || march.Total() != usd(t, "12") || march.AmountDue() != usd(t, "12") ||
			!march.DueAt.Equal(s.clock.Now().AddDate(0, 0, 2)) || orEmpty(march.ProviderID) != s.provider {
			t.Errorf("invoice of March %+v", march)
		}
		wantLines(t, march, "Usage in March 2026 12.5043 USD", "Credits and adjustments -0.50 USD")
		b := s.balanceOf(t, s.payer.ID, "USD")
		wantBooked(t, s.booked(t, march.ID), "receivable→"+b.Account()+" INVOICE 12.00 USD", "revenue→tax TAX 2.00 USD", "rounding→"+b.Account()+" ROUNDING 0.0043 USD")
		if b.Remaining() != usd(t, "-1") || b.Unpaid() != usd(t, "12") || b.Available() != usd(t, "87") || before != usd(t, "86.9957") {
			t.Errorf("balance %+v; before %s were available", b, before)
		}
		// The statements: March ends with the debt, in April it has moved.
		statements, err := s.Statements(s.ctx, []string{s.payer.ID}, "USD", Month{2026, time.April})
		if err != nil {
			t.Fatal(err)
		}
		st := statements[s.payer.ID]
		if st.Previous != usd(t, "-12.0043") || st.Credits != usd(t, "12.0043") || st.Usage != usd(t, "1") || st.Balance != usd(t, "-1") {
			t.Errorf("statement of April %+v", st)
		}

		// What is taken back is owed again, and invoiced with the next month.
		if _, err := s.BeginInvoiceVoid(s.ctx, march.ID); err != nil {
			t.Fatal(err)
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Remaining() != usd(t, "-13.0043") || b.UnpaidUnits != 0 {
			t.Errorf("voided, the balance is %+v", b)
		}
		s.mustVerify(t)
		s.clock.Set(time.Date(2026, time.May, 9, 0, 0, 0, 0, time.UTC)) // a late server
		s.use(t, s.payer.ID, usd(t, "2"))
		s.monthEnds(t)
		all = s.usageInvoices(t)
		if len(all) != 2 || *all[1].Debt() != usd(t, "13.0043") || orEmpty(all[1].UsageMonth) != "2026-04" {
			t.Fatalf("invoices %v", all)
		}
		wantLines(t, all[1], "Usage in April 2026 1.00 USD", "Brought forward from earlier months 12.0043 USD")

		// Given up, it counts against the limit as before; a payment ends that.
		if err := s.MarkInvoiceUncollectible(s.ctx, all[1].ID); err != nil {
			t.Fatal(err)
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Available() != usd(t, "85") {
			t.Errorf("given up, %s are available", b.Available())
		}
		s.mustVerify(t)
		if _, err := s.BeginInvoicePayment(s.ctx, InvoicePayDraft{InvoiceID: all[1].ID, OutOfBand: true, Key: ptr("paid")}); err != nil {
			t.Fatal(err)
		}
		if a := s.available(t); a != usd(t, "98") {
			t.Errorf("paid, %s are available", a)
		}
	})
}

// TestUsageInvoiceByHand: what is owed now, and nothing twice.
func TestUsageInvoiceByHand(t *testing.T) {
	postpaidSale(t, func(t *testing.T, s *sale) {
		ask := func(key string) (*InvoiceFinalization, error) {
			return s.BeginUsageInvoice(s.ctx, UsageInvoiceDraft{PayerID: s.payer.ID, Currency: "USD", Key: ptr(key)})
		}
		_, err := ask("none")
		wantCode(t, err, CodeNotFound, "currency")
		s.useRecorded(t, s.payer.ID, usd(t, "0.0049"))
		_, err = ask("less than half a cent")
		wantCode(t, err, CodeInvalidState, "payerId")
		s.useRecorded(t, s.payer.ID, usd(t, "8"))
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if _, err := ask("once"); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		_, err = ask("again")
		wantCode(t, err, CodeInvalidState, "payerId")
		s.useRecorded(t, s.payer.ID, usd(t, "3"))
		s.clock.Set(time.Date(2026, time.April, 20, 0, 0, 0, 0, time.UTC))
		s.useRecorded(t, s.payer.ID, usd(t, "5"))
		// Nobody has closed March: what is owed by now comes at once, and there
		// is nothing left of March.
		if _, err := ask("before the end of March was seen"); err != nil {
			t.Fatal(err)
		}
		s.monthEnds(t)
		all := s.usageInvoices(t)
		if len(all) != 2 {
			t.Fatalf("there are %d invoices", len(all))
		}
		wantLines(t, all[0], "Usage in March 2026 8.0049 USD")
		wantLines(t, all[1], "Usage in April 2026 5.00 USD", "Brought forward from earlier months 3.00 USD")

		prepaid := s.newPayer(t, payer.BillingModePREPAID)
		_, err = s.BeginUsageInvoice(s.ctx, UsageInvoiceDraft{PayerID: prepaid.ID, Currency: "USD", Key: ptr("p")})
		wantCode(t, err, CodeInvalidState, "payerId")
	})
}

// TestUsageIsInvoicedOnce does all that moves a postpaid balance, at random and
// over months, and holds what was used against what is invoiced or still owed.
func TestUsageIsInvoicedOnce(t *testing.T) {
	postpaidSale(t, func(t *testing.T, s *sale) {
		random := rand.New(rand.NewPCG(3, 2))
		var owed money.Units // by all that was booked
		book := func(u money.Units) { owed += u }
		for n := range 90 {
			a := money.Amount{Units: money.Units(1 + random.Int64N(40_000_000_000)), Currency: "USD"}
			switch random.IntN(9) {
			case 0, 1, 2:
				s.useRecorded(t, s.payer.ID, a)
				book(a.Units)
			case 3:
				must(s.credit(s.payer.ID, a))(t)
				book(-a.Units)
			case 4:
				paid, err := a.RoundToMinor()
				if err != nil || paid.IsZero() {
					continue
				}
				s.reload(t, s.payer.ID, paid)
				book(-paid.Units)
			case 5:
				s.clock.Advance(time.Duration(random.IntN(50*24)) * time.Hour)
			case 6:
				s.monthEnds(t)
			case 7:
				_, err := s.BeginUsageInvoice(s.ctx, UsageInvoiceDraft{PayerID: s.payer.ID, Currency: "USD", Key: ptr(fmt.Sprint(n))})
				if err != nil && !isRefusal(err) {
					t.Fatal(err)
				}
			case 8:
				for _, i := range s.usageInvoices(t) {
					if i.Status == invoice.StatusOPEN && random.IntN(3) == 0 {
						if _, err := s.BeginInvoiceVoid(s.ctx, i.ID); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			b := s.balanceOf(t, s.payer.ID, "USD")
			if b == nil {
				continue
			}
			left := -b.Remaining().Units
			for _, i := range s.usageInvoices(t) {
				if i.Status == invoice.StatusOPEN {
					left += *i.DebtUnits
				}
			}
			if left != owed {
				t.Fatalf("after %d steps %d are owed, %d are invoiced or on the balance", n, owed, left)
			}
		}
		s.clock.Advance(62 * 24 * time.Hour)
		s.monthEnds(t)
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Remaining().Units < -money.UnitsPerMinor/2 {
			t.Errorf("in the end %s are not invoiced", b.Remaining())
		}
	})
}

// TestUsageInvoiceAtTheGateway: the gateway is asked for one position and the
// tax, what it refuses is tried again, and the debt moves with its answer.
func TestUsageInvoiceAtTheGateway(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.payer = s.newPayer(t, payer.BillingModePOSTPAID)
		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(money.Rate(200_000)) })
		s.useRecorded(t, s.payer.ID, usd(t, "24.004"))
		s.clock.Set(time.Date(2026, time.April, 1, 0, 1, 0, 0, time.UTC))
		due, err := s.DueUsage(s.ctx, 10)
		if err != nil || len(due) != 1 {
			t.Fatalf("due are %v, %v", due, err)
		}
		if err := s.InvoiceUsage(s.ctx, due[0]); err != nil {
			t.Fatal(err)
		}
		id := s.usageInvoices(t)[0].ID
		begun, err := s.BeginDueFinalization(s.ctx, id)
		if err != nil || begun.Call == nil {
			t.Fatalf("begun %v, %v", begun, err)
		}
		if r := begun.Request; len(r.Lines) != 1 || r.Lines[0].Total != usd(t, "20.004") || r.Tax != usd(t, "4") || r.Total != usd(t, "24") {
			t.Errorf("asked of the gateway: %+v", r)
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); b.Remaining() != usd(t, "-24.004") || b.UnpaidUnits != 0 {
			t.Errorf("meanwhile the balance is %+v", b)
		}
		s.mustVerify(t)
		wantCode(t, s.FinishInvoiceFinalization(s.ctx, begun.ID, gateway.InvoiceResult{Outcome: ended(gateway.StatusRejected)}), CodeProviderRefused, "id")
		if ids, err := s.DueFinalizations(s.ctx, 10); err != nil || len(ids) != 0 {
			t.Errorf("tried again at once: %v, %v", ids, err)
		}
		s.clock.Advance(finalizeAgainIn)
		s.monthEnds(t)
		if i := s.usageInvoices(t)[0]; i.Status != invoice.StatusOPEN || i.HostedURL == nil {
			t.Errorf("invoice %+v", i)
		}
		if b := s.balanceOf(t, s.payer.ID, "USD"); !b.Remaining().IsZero() || b.Unpaid() != usd(t, "24") {
			t.Errorf("at last the balance is %+v", b)
		}

		// What the gateway cannot charge is owed all the same.
		s.useRecorded(t, s.payer.ID, in(t, "1.234", "KWD"))
		begun, err = s.BeginUsageInvoice(s.ctx, UsageInvoiceDraft{PayerID: s.payer.ID, Currency: "KWD", Key: ptr("kwd")})
		if err != nil || begun.Call != nil {
			t.Fatalf("begun %+v, %v", begun, err)
		}
		if i := s.invoiced(t, begun.InvoiceID); i.Status != invoice.StatusOPEN || i.GatewayInvoiceID != nil || i.Total() != in(t, "1.234", "KWD") {
			t.Errorf("invoice %+v", i)
		}
	})
}

// TestDraftedDebtIsNotOwedTwice: what a draft is about to move off the balance is
// in no other invoice.
func TestDraftedDebtIsNotOwedTwice(t *testing.T) {
	postpaidSale(t, func(t *testing.T, s *sale) {
		s.useRecorded(t, s.payer.ID, usd(t, "8"))
		s.clock.Set(time.Date(2026, time.April, 2, 0, 0, 0, 0, time.UTC))
		due, err := s.DueUsage(s.ctx, 10)
		if err != nil || len(due) != 1 {
			t.Fatalf("due %v, %v", due, err)
		}
		if err := s.InvoiceUsage(s.ctx, due[0]); err != nil {
			t.Fatal(err)
		}
		s.useRecorded(t, s.payer.ID, usd(t, "3"))
		s.usageInvoiced(t) // before the draft of March finalizes itself
		s.monthEnds(t)
		all := s.usageInvoices(t)
		if len(all) != 2 || all[0].Total() != usd(t, "8") || all[1].Total() != usd(t, "3") || !s.remaining(t, "USD").IsZero() {
			t.Errorf("%+v; %s remain", all, s.remaining(t, "USD"))
		}
	})
}
