package billing

import (
	"context"
	"sync"
	"testing"

	"purser/ent"
	"purser/ent/currency"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/schema"
	"purser/money"
)

// storePaid stores a payment that has succeeded at the gateway, with what it
// is for, once, and books nothing.
func (tx *Tx) storePaid(ctx context.Context, f *fixture, p *ent.Payer, a money.Amount, inv *ent.Invoice, gatewayID string) (*ent.Payment, error) {
	found, err := tx.Payment.Query().Where(payment.GatewayPaymentID(gatewayID)).Only(ctx)
	if !ent.IsNotFound(err) {
		return found, err
	}
	id := f.newID(prefixPayment)
	c := tx.Payment.Create().
		SetID(id).SetPurpose(payment.PurposeTOP_UP).SetStatus(payment.StatusSUCCEEDED).
		SetCurrency(a.Currency).SetAmountUnits(a.Units).SetPayerID(p.ID).SetProviderID(f.provider).
		SetOrderCode(orderCode(id)).SetPublicToken(id).SetGatewayPaymentID(gatewayID).SetSettledAt(tx.Now).
		SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
	if inv != nil {
		c.SetPurpose(payment.PurposeINVOICE).SetInvoiceID(inv.ID)
	}
	return c.Save(ctx)
}

// topUp stores a payment that has succeeded and credits it.
func (f *fixture) topUp(t testing.TB, p *ent.Payer, a money.Amount, gatewayID string) *ent.LedgerEntry {
	t.Helper()
	var e *ent.LedgerEntry
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		paid, err := tx.storePaid(ctx, f, p, a, nil, gatewayID)
		if err != nil {
			return err
		}
		e, err = tx.creditTopUp(ctx, paid, gatewayID)
		return err
	})
	return e
}

// newInvoice stores an invoice of one line and finalizes it, OPEN, as its
// flow does: the row first, then the ledger, or the other way round.
func (f *fixture) newInvoice(t testing.TB, p *ent.Payer, net, tax money.Amount, ledgerFirst bool) *ent.Invoice {
	t.Helper()
	id := f.newID(prefixInvoice)
	exact, err := net.Add(tax)
	if err != nil {
		t.Fatal(err)
	}
	total, err := exact.RoundToMinor()
	if err != nil {
		t.Fatal(err)
	}
	taxes := []schema.TaxShare{}
	if !tax.IsZero() {
		taxes = append(taxes, schema.TaxShare{RatePpm: money.Rate(tax.Units / (net.Units / 1_000_000)), TaxableUnits: net.Units, TaxUnits: tax.Units})
	}
	var inv *ent.Invoice
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) (err error) {
		inv, err = tx.Invoice.Create().SetTaxes(taxes).
			SetID(id).SetPayerID(p.ID).SetProviderID(f.provider).SetCurrency(net.Currency).SetPublicToken(id).
			SetSubtotalUnits(net.Units).SetTaxUnits(tax.Units).SetTotalUnits(total.Units).SetAmountDueUnits(total.Units).
			SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Save(ctx)
		if err != nil || net.IsZero() {
			return err
		}
		return tx.InvoiceLine.Create().
			SetID(f.newID(prefixInvoiceLine)).SetInvoiceID(id).SetPosition(0).SetDescription("API").SetQuantity(1).
			SetCurrency(net.Currency).SetUnitAmountUnits(net.Units).SetAmountUnits(net.Units).Exec(ctx)
	})
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		if ledgerFirst {
			if err := tx.bookInvoice(ctx, inv); err != nil {
				return err
			}
		}
		o, err := tx.tenant(ctx)
		if err != nil {
			return err
		}
		number, err := tx.invoiceNumber(ctx, o)
		if err != nil {
			return err
		}
		u := tx.Invoice.Update().Where(invoice.ID(id)).SetNumber(number).SetFinalizedAt(tx.Now)
		if total.IsZero() {
			u.SetStatus(invoice.StatusPAID).SetPaidAt(tx.Now)
		} else {
			u.SetStatus(invoice.StatusOPEN)
		}
		if err := u.Exec(ctx); err != nil || ledgerFirst {
			return err
		}
		return tx.bookInvoice(ctx, inv)
	})
	return inv
}

// paidInvoice turns an invoice PAID in the transaction.
func (tx *Tx) paidInvoice(ctx context.Context, inv *ent.Invoice) error {
	return tx.Invoice.Update().Where(invoice.ID(inv.ID)).SetStatus(invoice.StatusPAID).SetPaidAt(tx.Now).
		SetAmountDueUnits(0).SetAmountPaidUnits(inv.TotalUnits).Exec(ctx)
}

// booked lists the entries of a payment or an invoice as "debit→credit kind
// amount", oldest first.
func (f *fixture) booked(t testing.TB, of ...string) []string {
	t.Helper()
	rows, err := f.Client().LedgerEntry.Query().
		Where(ledgerentry.Or(ledgerentry.PaymentIDIn(of...), ledgerentry.InvoiceIDIn(of...))).
		Order(ent.Asc(ledgerentry.FieldID)).All(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, len(rows))
	for i, e := range rows {
		out[i] = e.DebitAccount + "→" + e.CreditAccount + " " + string(e.Kind) + " " + money.Amount{Units: e.AmountUnits, Currency: e.Currency}.String()
	}
	return out
}

func wantBooked(t testing.TB, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("booked %q, want %q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("booked %q, want %q", got[i], want[i])
		}
	}
}

func TestTopUpIsCreditedOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		// Money that was taken is booked, whatever became of payer and currency.
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			if err := tx.Payer.Update().Where(payer.ID(p.ID)).SetStatus(payer.StatusCLOSED).Exec(ctx); err != nil {
				return err
			}
			return tx.Currency.Update().Where(currency.Code("USD")).SetStatus(currency.StatusINACTIVE).Exec(ctx)
		})
		first := f.topUp(t, p, usd(t, "20"), "pi_1")
		b := f.balanceOf(t, p.ID, "USD")
		wantBooked(t, f.booked(t, orEmpty(first.PaymentID)), "clearing:"+f.provider+"→"+b.Account()+" TOP_UP 20.00 USD")

		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				err := f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
					paid, err := tx.Payment.Query().Where(payment.ID(*first.PaymentID)).Only(ctx)
					if err != nil {
						return err
					}
					again, err := tx.creditTopUp(ctx, paid, "pi_1")
					if err == nil && again.ID != first.ID {
						t.Errorf("credited again as %s", again.ID)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if b := f.balanceOf(t, p.ID, "USD"); b.Remaining() != usd(t, "20") {
			t.Errorf("remaining %s", b.Remaining())
		}
		err := f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
			_, err := tx.creditTopUp(ctx, &ent.Payment{ID: "pmt_x", PayerID: &p.ID, ProviderID: f.provider, Currency: "USD", AmountUnits: 1}, "")
			return err
		})
		if err == nil {
			t.Error("credited a payment that the gateway has no name for")
		}
	})
}

func TestReportsThatRaceCreditOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		// They meet at the balance's key when they all make it, and at the key
		// of the cause when it is there.
		for _, before := range []string{"0", "1"} {
			p, gatewayID := f.newPayer(t, payer.BillingModePREPAID), "pi_race"+before
			if before != "0" {
				f.reload(t, p.ID, usd(t, before))
			}
			want, err := usd(t, before).Add(usd(t, "20"))
			if err != nil {
				t.Fatal(err)
			}
			var paid *ent.Payment
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) (err error) {
				paid, err = tx.storePaid(ctx, f, p, usd(t, "20"), nil, gatewayID)
				return err
			})
			entries := f.entries(t)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if err := f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
						_, err := tx.creditTopUp(ctx, paid, gatewayID)
						return err
					}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if b := f.balanceOf(t, p.ID, "USD"); b.Remaining() != want || f.entries(t)-entries != 1 {
				t.Errorf("remaining %s after %d credits, want %s", b.Remaining(), f.entries(t)-entries, want)
			}
		}
	})
}

func TestInvoiceIsBookedByItsParts(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePOSTPAID)
		for _, c := range []struct {
			net, tax string
			want     []string
		}{
			{"100", "20", []string{"receivable→revenue INVOICE 100.00 USD", "receivable→tax TAX 20.00 USD"}},
			{"100", "0", []string{"receivable→revenue INVOICE 100.00 USD"}},
			{"10.005", "0", []string{"receivable→revenue INVOICE 10.005 USD", "receivable→rounding ROUNDING 0.005 USD"}},
			{"10.001", "2.00", []string{"receivable→revenue INVOICE 10.001 USD", "receivable→tax TAX 2.00 USD", "rounding→receivable ROUNDING 0.001 USD"}},
			{"0", "0", nil},
			{"0.004", "0", []string{"receivable→revenue INVOICE 0.004 USD", "rounding→receivable ROUNDING 0.004 USD"}},
		} {
			for _, ledgerFirst := range []bool{false, true} {
				inv := f.newInvoice(t, p, usd(t, c.net), usd(t, c.tax), ledgerFirst)
				wantBooked(t, f.booked(t, inv.ID), c.want...)
			}
		}
		negative := &ent.Invoice{ID: "inv_x", PayerID: p.ID, Currency: "USD", SubtotalUnits: -1}
		err := f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error { return tx.bookInvoice(ctx, negative) })
		wantCode(t, err, CodeInvalid, "")
	})
}

func TestInvoiceIsSettledByCardOutOfBandOrVoided(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePOSTPAID)
		byCard := f.newInvoice(t, p, usd(t, "100"), usd(t, "20"), false)
		elsewhere := f.newInvoice(t, p, usd(t, "30"), usd(t, "0"), false)
		voided := f.newInvoice(t, p, usd(t, "7"), usd(t, "0.7"), false)
		left := f.newInvoice(t, p, usd(t, "1"), usd(t, "0"), false)
		twice := f.newInvoice(t, p, usd(t, "50"), usd(t, "0"), false)
		unpaid := func(want string) {
			t.Helper()
			if b := f.balanceOf(t, p.ID, "USD"); b.Unpaid() != usd(t, want) {
				t.Errorf("unpaid %s, want %s", b.Unpaid(), want)
			}
			f.mustVerify(t)
		}
		unpaid("208.70")
		for range 2 { // once or twice, in either order with the row: it is the same
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				paid, err := tx.storePaid(ctx, f, p, byCard.Total(), byCard, "pi_inv")
				if err != nil {
					return err
				}
				if err := tx.creditInvoicePayment(ctx, byCard, paid, "pi_inv"); err != nil {
					return err
				}
				return tx.paidInvoice(ctx, byCard)
			})
			unpaid("88.70")
		}
		for range 2 {
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				if err := tx.paidInvoice(ctx, elsewhere); err != nil {
					return err
				}
				return tx.bookInvoiceOutOfBand(ctx, elsewhere)
			})
			unpaid("58.70")
		}
		for range 2 { // what a card has paid is not paid elsewhere once more
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				paid, err := tx.storePaid(ctx, f, p, usd(t, "50"), twice, "pi_twice")
				if err != nil {
					return err
				}
				if err := tx.creditInvoicePayment(ctx, twice, paid, "pi_twice"); err != nil {
					return err
				}
				if err := tx.paidInvoice(ctx, twice); err != nil {
					return err
				}
				return tx.bookInvoiceOutOfBand(ctx, twice)
			})
			unpaid("8.70")
		}
		for range 2 {
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				if err := tx.reverseInvoice(ctx, voided); err != nil {
					return err
				}
				return tx.Invoice.Update().Where(invoice.ID(voided.ID)).SetStatus(invoice.StatusVOID).SetAmountDueUnits(0).SetVoidedAt(tx.Now).Exec(ctx)
			})
			unpaid("1.00")
		}
		wantBooked(t, f.booked(t, byCard.ID),
			"receivable→revenue INVOICE 100.00 USD", "receivable→tax TAX 20.00 USD",
			"clearing:"+f.provider+"→receivable INVOICE_PAYMENT 120.00 USD")
		wantBooked(t, f.booked(t, elsewhere.ID),
			"receivable→revenue INVOICE 30.00 USD", "bank→receivable INVOICE_PAYMENT 30.00 USD")
		wantBooked(t, f.booked(t, twice.ID), "receivable→revenue INVOICE 50.00 USD",
			"clearing:"+f.provider+"→receivable INVOICE_PAYMENT 50.00 USD")
		wantBooked(t, f.booked(t, voided.ID),
			"receivable→revenue INVOICE 7.00 USD", "receivable→tax TAX 0.70 USD",
			"revenue→receivable REVERSAL 7.00 USD", "tax→receivable REVERSAL 0.70 USD")
		wantBooked(t, f.booked(t, left.ID), "receivable→revenue INVOICE 1.00 USD")
		for _, e := range f.reversals(t) {
			if e.BalanceID != nil || e.ReversesID == nil || e.ReversedKind == nil {
				t.Errorf("reversal %s: balance %v, reverses %v of kind %v", e.ID, e.BalanceID, e.ReversesID, e.ReversedKind)
			}
			err := f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
				_, err := tx.reverse(ctx, e, "")
				return err
			})
			if err == nil {
				t.Error("reversed a reversal")
			}
		}
	})
}

func (f *fixture) reversals(t testing.TB) []*ent.LedgerEntry {
	t.Helper()
	rows, err := f.Client().LedgerEntry.Query().Where(ledgerentry.KindEQ(ledgerentry.KindREVERSAL)).All(f.ctx)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%d reversals, %v", len(rows), err)
	}
	return rows
}

func TestReversalGivesBackWhatItReverses(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		reloaded := f.reload(t, p.ID, usd(t, "10"))
		used := f.use(t, p.ID, usd(t, "4"))
		for _, id := range []string{used.EntryID, reloaded.EntryID} {
			for range 2 {
				f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
					_, err := tx.reverse(ctx, f.entry(t, id), "")
					return err
				})
			}
		}
		if b := f.balanceOf(t, p.ID, "USD"); b.Amount() != usd(t, "0") || b.Usage() != usd(t, "0") || b.LastSeq != 4 {
			t.Errorf("amount %s, usage %s after %d entries", b.Amount(), b.Usage(), b.LastSeq)
		}
	})
}

func TestUnpaidCountsAgainstPostpaidPayersOnly(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Currency.Update().Where(currency.Code("USD")).SetCreditLimitUnits(usd(t, "50").Units).Exec(ctx)
		})
		postpaid, prepaid := f.newPayer(t, payer.BillingModePOSTPAID), f.newPayer(t, payer.BillingModePREPAID)
		for _, p := range []*ent.Payer{postpaid, prepaid} {
			f.newInvoice(t, p, usd(t, "30"), usd(t, "0"), false)
			f.newInvoice(t, p, in(t, "500", "JPY"), in(t, "0", "JPY"), false)
		}
		if b := f.balanceOf(t, postpaid.ID, "USD"); b.Unpaid() != usd(t, "30") || b.Available() != usd(t, "20") {
			t.Errorf("postpaid: unpaid %s, available %s", b.Unpaid(), b.Available())
		}
		if b := f.balanceOf(t, prepaid.ID, "USD"); b.Unpaid() != usd(t, "30") || b.Available() != usd(t, "0") {
			t.Errorf("prepaid: unpaid %s, available %s", b.Unpaid(), b.Available())
		}
		// A balance that is made later, by somebody else, counts them too.
		late := f.newPayer(t, payer.BillingModePOSTPAID)
		f.newInvoice(t, late, usd(t, "0.004"), usd(t, "0"), false)
		if f.balanceOf(t, late.ID, "USD") != nil {
			t.Error("an invoice of nothing made a balance")
		}
	})
}

// Whoever comes first, finalizing an invoice or making the balance: it counts.
func TestInvoiceAndFirstUsageRace(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		for range 5 {
			p := f.newPayer(t, payer.BillingModePREPAID)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() { f.newInvoice(t, p, usd(t, "3"), usd(t, "0"), false) })
				u := Usage{PayerID: p.ID, Amount: usd(t, "1"), OnInsufficient: OnInsufficientRecord, Key: ptr(f.newID("key"))}
				wg.Go(func() {
					if _, err := f.RecordUsage(f.ctx, u); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if b := f.balanceOf(t, p.ID, "USD"); b.Unpaid() != usd(t, "9") || b.Remaining() != usd(t, "-3") {
				t.Errorf("unpaid %s, remaining %s", b.Unpaid(), b.Remaining())
			}
		}
	})
}
