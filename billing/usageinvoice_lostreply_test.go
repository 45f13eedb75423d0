package billing

import (
	"fmt"
	"testing"
	"time"

	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/testdb"
)

// The database's answers are lost one after the other, that of COMMIT among
// them: each debt is invoiced once and leaves the balance once.
func TestEveryLostReplyInvoicesUsageOnce(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, newPostgresURL(t))
	f := newFixture(t, testdb.Open(t, proxy.URL()))
	march, april := fixtureStart, time.Date(2026, time.April, 1, 0, 1, 0, 0, time.UTC)
	invoiceOf := func(payerID string) string {
		ids, err := f.Client().Invoice.Query().Where(invoice.PayerID(payerID)).IDs(f.ctx)
		if err != nil || len(ids) != 1 {
			t.Fatalf("invoices %v, %v", ids, err)
		}
		return ids[0]
	}
	for _, c := range []struct {
		name   string
		do     func(try int, payerID, balanceID string) error
		status invoice.Status
		booked int
	}{
		{"the end of a month", func(_ int, _, balanceID string) error { return f.InvoiceUsage(f.ctx, balanceID) }, invoice.StatusDRAFT, 0},
		{"by hand", func(try int, payerID, _ string) error {
			_, err := f.BeginUsageInvoice(f.ctx, UsageInvoiceDraft{PayerID: payerID, Currency: "USD", Key: ptr(fmt.Sprint("hand ", try))})
			return err
		}, invoice.StatusOPEN, 1},
		{"to paying ahead", func(_ int, payerID, _ string) error { return f.setMode(payerID, payer.BillingModePREPAID) }, invoice.StatusOPEN, 1},
	} {
		lost := 0
		for try := 1; ; try++ {
			f.clock.Set(march)
			payerID := f.newPayer(t, payer.BillingModePOSTPAID).ID
			f.useRecorded(t, payerID, usd(t, "7.5"))
			f.clock.Set(april)
			balanceID := f.balanceOf(t, payerID, "USD").ID
			entries := f.entriesOf(t, ledgerentry.KindINVOICE)
			cut, err := withoutReply(proxy, try, func() error { return c.do(try, payerID, balanceID) })
			if err != nil {
				t.Errorf("%s, reply %d lost: %v", c.name, try, err)
			}
			i, err := f.Client().Invoice.Query().Where(invoice.ID(invoiceOf(payerID))).Only(f.ctx)
			if err != nil || i.Status != c.status || i.Total() != usd(t, "7.5") {
				t.Errorf("%s, reply %d lost: %v, invoice %+v", c.name, try, err, i)
			}
			if n := f.entriesOf(t, ledgerentry.KindINVOICE) - entries; n != c.booked {
				t.Errorf("%s, reply %d lost: booked %d times, want %d", c.name, try, n, c.booked)
			}
			if !cut {
				break
			}
			lost++
		}
		if lost < 8 {
			t.Errorf("%s: only %d replies were lost", c.name, lost)
		}
	}
	f.mustVerify(t)
}
