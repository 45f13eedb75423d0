package billing

import (
	"testing"

	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/payer"
	"purser/ent/provider"
	"purser/testdb"
)

// The database's answer to COMMIT is lost: a note is begun once all the same,
// and what its gateway is asked for is whole. So it is of an invoice of usage,
// which goes the same way.
func TestLostCommitBeginsANoteOnce(t *testing.T) {
	t.Parallel()
	proxy := testdb.NewProxy(t, newPostgresURL(t))
	s := &sale{fixture: newFixture(t, testdb.Open(t, proxy.URL()))}
	s.provider = s.newKind(t, provider.KindSTRIPE)
	s.setOrganization(t, func(u *ent.OrganizationUpdate) { u.SetDefaultProviderID(s.provider) })
	s.payer = s.newPayer(t, payer.BillingModePOSTPAID)
	line := item(t, "API", "10", "USD", 1)
	for name, begin := range map[string]func() func() (*Call, bool, error){
		"given back": func() func() (*Call, bool, error) {
			d := CreditNoteDraft{InvoiceID: s.paidInvoiceOf(t, line), Reason: "x", Settlement: creditnote.SettlementREFUND, Key: ptr(s.newID("key"))}
			return func() (*Call, bool, error) {
				begun, err := s.BeginCreditNote(s.ctx, d)
				if err != nil || begun.Refund == nil {
					return nil, false, err
				}
				return begun.Refund.Call, begun.Refund.Request.Amount == usd(t, "10"), nil
			}
		},
		"at the gateway": func() func() (*Call, bool, error) {
			d := CreditNoteDraft{InvoiceID: s.openInvoiceOf(t, line), Reason: "x", Key: ptr(s.newID("key"))}
			return func() (*Call, bool, error) {
				begun, err := s.BeginCreditNote(s.ctx, d)
				if err != nil {
					return nil, false, err
				}
				return begun.Call, begun.Request.Amount == usd(t, "10"), nil
			}
		},
		"usage": func() func() (*Call, bool, error) {
			s.useRecorded(t, s.payer.ID, usd(t, "10"))
			d := UsageInvoiceDraft{PayerID: s.payer.ID, Currency: "USD", Key: ptr(s.newID("key"))}
			return func() (*Call, bool, error) {
				begun, err := s.BeginUsageInvoice(s.ctx, d)
				if err != nil {
					return nil, false, err
				}
				if err := s.FinishInvoiceFinalization(s.ctx, begun.ID, s.invoiceAt(t, begun.InvoiceID, "open")); err != nil {
					return nil, false, err
				}
				return begun.Call, begun.Request.Total == usd(t, "10"), nil
			}
		},
	} {
		ask := begin()
		proxy.CutWhen(func(m testdb.Message) bool { return m.Kind == 'C' && string(m.Body) == "COMMIT\x00" })
		call, whole, err := ask()
		if err != nil || call == nil || !whole || proxy.Cuts() != 1 {
			t.Errorf("%s: %+v, whole %t, after %d lost replies, %v", name, call, whole, proxy.Cuts(), err)
		}
	}
	s.mustVerify(t)
}
