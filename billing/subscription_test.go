package billing

import (
	"context"
	"testing"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/price"
	"purser/ent/subscription"
)

// subscribe begins a monthly subscription of a new payer that is sent its
// invoices, which no gateway keeps, and returns it with the first one.
func (f *fixture) subscribe(t testing.TB) (id, invoiceID string) {
	t.Helper()
	return f.subscribeTo(t, f.monthly(t, "9"))
}

func (f *fixture) subscribeTo(t testing.TB, priceID string) (id, invoiceID string) {
	t.Helper()
	p := f.newPayer(t, payer.BillingModePREPAID)
	id, invoiceID, err := f.CreateSubscription(f.ctx, SubscriptionDraft{
		PayerID: p.ID, Items: []LineDraft{{PriceID: priceID, Quantity: 1}}, Collection: subscription.CollectionSEND, Key: ptr(f.newID("key")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.BeginDraftFinalization(f.ctx, invoiceID); err != nil {
		t.Fatal(err)
	}
	return id, invoiceID
}

func (f *fixture) subscription(t testing.TB, id string) *ent.Subscription {
	t.Helper()
	sub, err := f.Client().Subscription.Query().Where(subscription.ID(id)).Only(f.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// bear changes an invoice as dunning does, and tells its subscription.
func (f *fixture) bear(t testing.TB, invoiceID string, change func(*ent.InvoiceUpdate)) {
	t.Helper()
	f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
		u := tx.Invoice.Update().Where(invoice.ID(invoiceID))
		change(u)
		if _, err := u.Save(ctx); err != nil {
			return err
		}
		return tx.subscriptionInvoiceChanged(ctx, invoiceID)
	})
}

func (f *fixture) payOutside(t testing.TB, invoiceID string) {
	t.Helper()
	if _, err := f.BeginInvoicePayment(f.ctx, InvoicePayDraft{InvoiceID: invoiceID, OutOfBand: true, Key: ptr(f.newID("key"))}); err != nil {
		t.Fatal(err)
	}
}

// What becomes of a subscription when its invoice is charged in vain, by the
// organization's policy.
func TestSubscriptionOfAnInvoiceThatIsNotPaid(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		for policy, want := range map[organization.DunningFinal]subscription.Status{
			organization.DunningFinalLEAVE:               subscription.StatusPAST_DUE,
			organization.DunningFinalMARK_UNCOLLECTIBLE:  subscription.StatusUNPAID,
			organization.DunningFinalCANCEL_SUBSCRIPTION: subscription.StatusCANCELED,
		} {
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				return tx.Organization.Update().Where(organization.ID(f.org)).SetDunningFinal(policy).Exec(ctx)
			})
			id, invoiceID := f.subscribe(t)
			f.bear(t, invoiceID, func(u *ent.InvoiceUpdate) { u.SetAttempts(1).SetDunning(invoice.DunningRUNNING) })
			if got := f.subscription(t, id).Status; got != subscription.StatusPAST_DUE {
				t.Errorf("%s: after one try it is %s", policy, got)
			}
			f.bear(t, invoiceID, func(u *ent.InvoiceUpdate) { u.SetDunning(invoice.DunningEXHAUSTED) })
			if policy == organization.DunningFinalMARK_UNCOLLECTIBLE {
				f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
					inv, err := tx.lockInvoice(ctx, invoiceID)
					if err != nil {
						return err
					}
					if err := tx.writeOff(ctx, inv); err != nil {
						return err
					}
					_, err = tx.Invoice.Update().Where(invoice.ID(invoiceID)).SetStatus(invoice.StatusUNCOLLECTIBLE).Save(ctx)
					if err != nil {
						return err
					}
					return tx.subscriptionInvoiceChanged(ctx, invoiceID)
				})
			}
			if got := f.subscription(t, id).Status; got != want {
				t.Errorf("%s: after the last try it is %s, want %s", policy, got, want)
			}
			if want == subscription.StatusCANCELED {
				continue
			}
			// What is billed meanwhile is collected only where it is not given up.
			f.clock.Set(f.subscription(t, id).CurrentPeriodEnd)
			if _, err := f.RenewSubscription(f.ctx, id); err != nil {
				t.Fatal(err)
			}
			sub := f.subscription(t, id)
			next, err := f.Client().Invoice.Query().Where(invoice.ID(*sub.LatestInvoiceID)).Only(f.ctx)
			if err != nil || sub.Period != 1 || next.Status != invoice.StatusDRAFT || (next.FinalizesAt == nil) != (want == subscription.StatusUNPAID) {
				t.Errorf("%s: period %d is billed by %+v, %v", policy, sub.Period, next, err)
			}
			f.payOutside(t, invoiceID)
			due, err := f.DueFinalizations(f.ctx, 10)
			if got := f.subscription(t, id).Status; got != subscription.StatusACTIVE || err != nil || len(due) != 1 || due[0] != next.ID {
				t.Errorf("%s: paid after all it is %s, and %v are to be finalized, %v", policy, got, due, err)
			}
			if _, err := f.CancelSubscription(f.ctx, id, false); err != nil {
				t.Fatal(err)
			}
			if voided, err := f.Client().Invoice.Query().Where(invoice.ID(next.ID)).Only(f.ctx); err != nil || voided.Status != invoice.StatusVOID {
				t.Errorf("%s: the draft of one that has ended: %+v, %v", policy, voided, err)
			}
		}
	})
}

// An invoice that was sent is late after its fourteen days, although a weekly
// subscription is billed again twice before.
func TestSentInvoiceIsLate(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, _ := f.subscribeTo(t, f.every(t, price.RecurrenceIntervalWEEK, "9"))
		for week, want := range []subscription.Status{subscription.StatusACTIVE, subscription.StatusPAST_DUE} {
			f.clock.Set(f.subscription(t, id).CurrentPeriodEnd)
			if _, err := f.RenewSubscription(f.ctx, id); err != nil {
				t.Fatal(err)
			}
			if got := f.subscription(t, id).Status; got != want {
				t.Errorf("after %d weeks it is %s, want %s", week+1, got, want)
			}
		}
	})
}

// A period that was billed by somebody else a moment ago is not billed again,
// nor one of an organization that does no business now.
func TestRenewalIsOnce(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, _ := f.subscribe(t)
		renew := func(want int) {
			t.Helper()
			if _, err := f.RenewSubscription(f.ctx, id); err != nil {
				t.Fatal(err)
			}
			n, err := f.Client().Invoice.Query().Where(invoice.SubscriptionID(id)).Count(f.ctx)
			if err != nil || n != want {
				t.Errorf("%d invoices, want %d, %v", n, want, err)
			}
		}
		renew(1)
		f.clock.Set(f.subscription(t, id).CurrentPeriodEnd.Add(-time.Microsecond))
		renew(1)
		f.clock.Advance(time.Microsecond)
		status := func(s organization.Status) {
			f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
				return tx.Organization.Update().Where(organization.ID(f.org)).SetStatus(s).Exec(ctx)
			})
		}
		status(organization.StatusINACTIVE)
		renew(1)
		status(organization.StatusACTIVE)
		f.clock.Advance(dueLater)
		renew(2)
		renew(2)
		// The database itself holds it to once.
		err := f.inTx(f.ctx, func(ctx context.Context, tx *Tx) error {
			sub, err := tx.lockSubscription(ctx, id)
			if err != nil {
				return err
			}
			return tx.bill(ctx, sub, sub.Period, tx.draftAskedFor(f.newID(prefixInvoice)))
		})
		if err == nil {
			t.Error("the same period was billed again")
		}
	})
}

// What waits for the next invoice is billed, or given back, when there is no
// next one.
func TestWhatWaitsIsSettledAtTheEnd(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		for _, c := range []struct {
			name        string
			now         bool // at once, not with the period
			before, ask int
			total       string // of the last invoice; empty for none
		}{
			{"more, with the period", false, 1, 3, "9"},
			{"less, with the period", false, 3, 1, "-9"},
			{"less, at once", true, 3, 1, "-9"},
			{"more, at once", true, 1, 3, "9"},
			{"nothing", false, 1, 1, ""},
		} {
			t.Run(c.name, func(t *testing.T) {
				priceID := f.monthly(t, "9")
				id, invoiceID := f.subscribeTo(t, priceID)
				sub := f.subscription(t, id)
				if c.before != 1 {
					f.update(t, id, priceID, c.before, ProrationNone)
				}
				half := sub.CurrentPeriodStart.Add(sub.CurrentPeriodEnd.Sub(sub.CurrentPeriodStart) / 2)
				f.clock.Set(half)
				if c.total != "" {
					f.update(t, id, priceID, c.ask, ProrationNextInvoice)
				}
				if _, err := f.CancelSubscription(f.ctx, id, !c.now); err != nil {
					t.Fatal(err)
				}
				if !c.now {
					f.clock.Set(sub.CurrentPeriodEnd)
					if _, err := f.RenewSubscription(f.ctx, id); err != nil {
						t.Fatal(err)
					}
				}
				sub = f.subscription(t, id)
				last, err := f.Client().Invoice.Query().Where(invoice.SubscriptionID(id), invoice.IDNEQ(invoiceID)).All(f.ctx)
				if err != nil || sub.Status != subscription.StatusCANCELED || len(sub.PendingLines) != 0 {
					t.Fatalf("%+v, %v", sub, err)
				}
				if c.total == "" {
					if len(last) != 0 {
						t.Errorf("billed at the end: %+v", last)
					}
					return
				}
				if len(last) != 1 || last[0].Total() != usd(t, c.total) || last[0].FinalizesAt == nil {
					t.Fatalf("billed at the end: %+v", last)
				}
				if _, err := f.BeginDueFinalization(f.ctx, last[0].ID); err != nil {
					t.Fatal(err)
				}
				b := f.balanceOf(t, sub.PayerID, "USD")
				if c.total == "-9" && b.Remaining() != usd(t, "9") || c.total == "9" && b.Unpaid() != usd(t, "18") {
					t.Errorf("%s on the balance, %s unpaid", b.Remaining(), b.Unpaid())
				}
			})
		}
	})
}

// update changes the quantity of a subscription of one price.
func (f *fixture) update(t testing.TB, id, priceID string, quantity int, p Proration) {
	t.Helper()
	_, err := f.UpdateSubscription(f.ctx, SubscriptionChange{
		ID: id, Items: []LineDraft{{PriceID: priceID, Quantity: quantity}}, Proration: p, Key: ptr(f.newID("key")),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A subscription that never ran is taken back with its invoice, whatever the
// policy says of those that do.
func TestFirstInvoiceIsGivenUp(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setOrganization(t, func(u *ent.OrganizationUpdate) {
			u.SetDunningAttemptsMax(1).SetDunningFinal(organization.DunningFinalCANCEL_SUBSCRIPTION)
		})
		id, invoiceID, err := s.CreateSubscription(s.ctx, SubscriptionDraft{
			PayerID: s.payer.ID, Items: []LineDraft{{PriceID: s.monthly(t, "9"), Quantity: 1}}, Collection: subscription.CollectionAUTOMATIC, Key: ptr("k"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.finalized(t, invoiceID)
		if begun := s.beginCharge(t, invoiceID); begun != nil {
			t.Fatalf("charged without a card: %+v", begun)
		}
		if i, sub := s.invoiced(t, invoiceID), s.subscription(t, id); i.Dunning != invoice.DunningEXHAUSTED || sub.Status != subscription.StatusINCOMPLETE {
			t.Errorf("the invoice is %s, the subscription %s", i.Dunning, sub.Status)
		}
		s.clock.Advance(firstPaymentLife)
		voidID, err := s.RenewSubscription(s.ctx, id)
		if err != nil || voidID != invoiceID {
			t.Errorf("to be voided: %q, %v", voidID, err)
		}
	})
}

// A draft, and a preview, show the tax that will be issued: none to whoever
// owes it itself.
func TestReverseChargeIsPreviewed(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		p := f.newPayer(t, payer.BillingModePREPAID)
		f.must(t, f.ctx, func(ctx context.Context, tx *Tx) error {
			return tx.Payer.Update().Where(payer.ID(p.ID)).SetTaxRatePpm(200_000).SetReverseCharge(true).Exec(ctx)
		})
		id, invoiceID, err := f.CreateSubscription(f.ctx, SubscriptionDraft{
			PayerID: p.ID, Items: []LineDraft{{PriceID: f.monthly(t, "9"), Quantity: 1}}, Collection: subscription.CollectionSEND, Key: ptr("k"),
		})
		if err != nil {
			t.Fatal(err)
		}
		draft, err := f.Client().Invoice.Query().Where(invoice.ID(invoiceID)).Only(f.ctx)
		if err != nil || draft.Total() != usd(t, "9") {
			t.Errorf("the draft comes to %s, %v", draft.Total(), err)
		}
		if _, err := f.BeginDraftFinalization(f.ctx, invoiceID); err != nil {
			t.Fatal(err)
		}
		preview, err := f.PreviewSubscription(f.ctx, SubscriptionChange{ID: id})
		if err != nil || preview.Total != usd(t, "9") || !preview.Tax.IsZero() {
			t.Errorf("preview %+v, %v", preview, err)
		}
	})
}

// What is too little to be charged is not billed at once: it waits for the next
// invoice. Proration goes by the time that is left.
func TestChangeThatCannotBeCharged(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.card(t)
		priceID := s.monthly(t, "9")
		id, invoiceID, err := s.CreateSubscription(s.ctx, SubscriptionDraft{
			PayerID: s.payer.ID, Items: []LineDraft{{PriceID: priceID, Quantity: 1}}, Collection: subscription.CollectionAUTOMATIC, Key: ptr("k"),
		})
		if err != nil {
			t.Fatal(err)
		}
		s.finalized(t, invoiceID)
		if err := s.ApplyInvoice(s.ctx, invoiceID, s.invoiceAt(t, invoiceID, "paid")); err != nil {
			t.Fatal(err)
		}
		sub := s.subscription(t, id)
		// 31 days from 10 March; a day of 9.00 is 0.29, three are 0.87.
		for _, c := range []struct {
			left, quantity int
			now, wait      string
		}{{3, 2, "0.87", "0"}, {1, 3, "", "0.29"}} {
			s.clock.Set(sub.CurrentPeriodEnd.AddDate(0, 0, -c.left))
			made, err := s.UpdateSubscription(s.ctx, SubscriptionChange{
				ID: id, Items: []LineDraft{{PriceID: priceID, Quantity: c.quantity}}, Proration: ProrationInvoiceNow, Key: ptr(s.newID("key")),
			})
			if err != nil {
				t.Fatal(err)
			}
			waits := usd(t, "0")
			for _, l := range s.subscription(t, id).PendingLines {
				waits.Units += l.AmountUnits
			}
			if (made != "") != (c.now != "") || made != "" && s.invoiced(t, made).Total() != usd(t, c.now) || waits != usd(t, c.wait) {
				t.Errorf("%d days before the end: billed %q, %s wait", c.left, made, waits)
			}
		}
	})
}

// What a change gives back beyond the next invoice waits for the one after, to
// the last cent.
func TestCreditIsCarriedForward(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		priceID := f.monthly(t, "9")
		id, _ := f.subscribeTo(t, priceID)
		f.update(t, id, priceID, 4, ProrationNone)
		f.update(t, id, priceID, 1, ProrationNextInvoice) // 27.00 are given back, three periods
		for period, want := range []string{"0", "0", "0", "9"} {
			f.clock.Set(f.subscription(t, id).CurrentPeriodEnd)
			if _, err := f.RenewSubscription(f.ctx, id); err != nil {
				t.Fatal(err)
			}
			i, err := f.Client().Invoice.Query().Where(invoice.ID(*f.subscription(t, id).LatestInvoiceID)).Only(f.ctx)
			if err != nil || i.Total() != usd(t, want) {
				t.Errorf("period %d comes to %s, %v; want %s", period+1, i.Total(), err, want)
			}
		}
	})
}

// A subscription of which two invoices are late is late until both are paid; one
// that begins with a trial runs from its end on.
func TestSubscriptionIsLateUntilAllIsPaid(t *testing.T) {
	eachDatabase(t, func(t *testing.T, f *fixture) {
		id, first := f.subscribe(t)
		f.clock.Set(f.subscription(t, id).CurrentPeriodEnd)
		if _, err := f.RenewSubscription(f.ctx, id); err != nil {
			t.Fatal(err)
		}
		second := *f.subscription(t, id).LatestInvoiceID
		if _, err := f.BeginDraftFinalization(f.ctx, second); err != nil {
			t.Fatal(err)
		}
		f.bear(t, second, func(u *ent.InvoiceUpdate) { u.SetAttempts(1).SetDunning(invoice.DunningRUNNING) })
		for _, step := range []struct {
			pay  string
			want subscription.Status
		}{{first, subscription.StatusPAST_DUE}, {second, subscription.StatusACTIVE}} {
			f.payOutside(t, step.pay)
			if got := f.subscription(t, id).Status; got != step.want {
				t.Errorf("it is %s, want %s", got, step.want)
			}
		}
		trial, _, err := f.CreateSubscription(f.ctx, SubscriptionDraft{
			PayerID: f.newPayer(t, payer.BillingModePREPAID).ID, Items: []LineDraft{{PriceID: f.monthly(t, "9"), Quantity: 1}},
			Collection: subscription.CollectionBALANCE, TrialDays: 7, Key: ptr("trial"),
		})
		if err != nil {
			t.Fatal(err)
		}
		f.clock.Set(f.subscription(t, trial).CurrentPeriodEnd)
		if _, err := f.RenewSubscription(f.ctx, trial); err != nil {
			t.Fatal(err)
		}
		sub := f.subscription(t, trial)
		if sub.Status != subscription.StatusACTIVE || sub.Period != 0 {
			t.Errorf("after the trial it is %s in period %d", sub.Status, sub.Period)
		}
		// The balance has nothing, and whoever asks is told what is missing.
		if _, err := f.BeginDraftFinalization(f.ctx, *sub.LatestInvoiceID); err != nil {
			t.Fatal(err)
		}
		wantCode(t, f.FirstInvoiceShortage(f.ctx, *sub.LatestInvoiceID), CodeInsufficientFunds, "collection")
	})
}
