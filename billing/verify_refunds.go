package billing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/dispute"
	"purser/ent/gatewaycall"
	"purser/ent/hold"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/ent/refund"
	"purser/money"
)

// moneyBack is what went back, or was taken back, of a page of payments, and
// what was booked for it.
type moneyBack struct {
	refunds  map[string][]*ent.Refund  // by payment
	disputes map[string][]*ent.Dispute // by payment
	holds    map[string]*ent.Hold
	asked    map[string]bool             // refunds with a call that has not ended
	entries  map[string]*ent.LedgerEntry // by cause
	reversed map[string]bool             // entries
}

func (v *verifier) moneyBack(ctx context.Context, page []*ent.Payment) (moneyBack, error) {
	out := moneyBack{
		refunds: map[string][]*ent.Refund{}, disputes: map[string][]*ent.Dispute{}, holds: map[string]*ent.Hold{},
		asked: map[string]bool{}, entries: map[string]*ent.LedgerEntry{}, reversed: map[string]bool{},
	}
	providers, paid := map[string]string{}, map[string]string{} // the latter by its cause
	var ids []string
	for _, p := range page {
		ids = append(ids, p.ID)
		providers[p.ID], paid[p.ID] = p.ProviderID, paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID))
	}
	backs, err := v.Refund.Query().Where(refund.PaymentIDIn(ids...)).Order(ent.Asc(refund.FieldID)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read refunds: %w", err)
	}
	contested, err := v.Dispute.Query().Where(dispute.PaymentIDIn(ids...)).Order(ent.Asc(dispute.FieldID)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read disputes: %w", err)
	}
	var causes, holds, refunds []string
	for _, r := range backs {
		out.refunds[r.PaymentID] = append(out.refunds[r.PaymentID], r)
		causes = append(causes, refundCause(providers[r.PaymentID], orEmpty(r.GatewayRefundID)), paid[r.PaymentID])
		holds, refunds = append(holds, orEmpty(r.HoldID)), append(refunds, r.ID)
	}
	for _, d := range contested {
		out.disputes[d.PaymentID] = append(out.disputes[d.PaymentID], d)
		causes = append(causes, disputeCause(providers[d.PaymentID], d.GatewayDisputeID))
	}
	if len(causes) == 0 {
		return out, nil
	}
	rows, err := v.LedgerEntry.Query().Where(ledgerentry.CauseKeyIn(causes...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read entries of refunds and disputes: %w", err)
	}
	var reversals []string
	for _, e := range rows {
		out.entries[orEmpty(e.CauseKey)] = e
		reversals = append(reversals, reversalPart(e.ID, 1))
	}
	again, err := v.LedgerEntry.Query().Where(ledgerentry.CauseKeyIn(reversals...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read reversals of refunds and disputes: %w", err)
	}
	for _, e := range again {
		out.reversed[orEmpty(e.ReversesID)] = true
	}
	aside, err := v.Hold.Query().Where(hold.IDIn(named(holds)...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read holds of refunds: %w", err)
	}
	for _, h := range aside {
		out.holds[h.ID] = h
	}
	calls, err := v.GatewayCall.Query().Where(gatewaycall.SubjectIn(refunds...), gatewaycall.StateNEQ(gatewaycall.StateDONE)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read calls of refunds: %w", err)
	}
	for _, c := range calls {
		out.asked[c.Subject] = true
	}
	return out, nil
}

// wentBack checks the refunds and disputes of a payment and returns how much of
// it is not in the clearing account any more.
func (v *verifier) wentBack(p *ent.Payment, back moneyBack) (money.Units, error) {
	var gone money.Units
	for _, r := range back.refunds[p.ID] {
		succeeded := r.Status == refund.StatusSUCCEEDED
		if err := v.refund(p, r, back); err != nil {
			return 0, err
		}
		e := back.entries[refundCause(p.ProviderID, orEmpty(r.GatewayRefundID))]
		if err := v.bookedBack(refund.Table, r.ID, string(r.Status), p, e, succeeded, back, backFacts{
			kind: string(ledgerentry.KindREFUND), amount: r.Amount().String(), payment: p.ID, subject: r.ID,
		}); err != nil {
			return 0, err
		}
		if succeeded {
			gone += r.AmountUnits
		}
	}
	for _, d := range back.disputes[p.ID] {
		taken := hasMoney(d.Status)
		waits := taken && d.Status != dispute.StatusLOST || d.Status == dispute.StatusWARNING
		if waits != (d.NextCheckAt != nil) {
			return 0, v.fault(dispute.Table, d.ID, fmt.Sprintf("next_check_at, being %s", d.Status), presence(waits), presence(!waits))
		}
		e := back.entries[disputeCause(p.ProviderID, d.GatewayDisputeID)]
		if err := v.bookedBack(dispute.Table, d.ID, string(d.Status), p, e, taken, back, backFacts{
			kind: string(ledgerentry.KindDISPUTE), amount: d.Amount().String(), payment: p.ID, subject: d.ID,
		}); err != nil {
			return 0, err
		}
		if taken {
			gone += d.AmountUnits
		}
	}
	return gone, nil
}

// backFacts are what an entry says about a refund or a dispute.
type backFacts struct{ kind, amount, payment, subject string }

// bookedBack checks that money which is gone is booked, and that money which
// is not, is not, or has been booked back.
func (v *verifier) bookedBack(table, id, status string, p *ent.Payment, e *ent.LedgerEntry, gone bool, back moneyBack, want backFacts) error {
	booked := e != nil && !back.reversed[e.ID]
	if p.Purpose == payment.PurposeTEST {
		gone = false
	}
	switch {
	case booked != gone:
		return v.fault(table, id, "an entry that stands, being "+status, presence(gone), presence(booked))
	case e == nil:
		return nil
	}
	found := backFacts{
		kind: string(e.Kind), amount: money.Amount{Units: e.AmountUnits, Currency: e.Currency}.String(),
		payment: orEmpty(e.PaymentID), subject: orEmpty(e.RefundID) + orEmpty(e.DisputeID),
	}
	if want != found {
		return v.fault(table, id, "its entry "+e.ID, fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", found))
	}
	return nil
}

// refund checks that what a refund takes is set aside while it is under way,
// and that somebody looks at it again.
func (v *verifier) refund(p *ent.Payment, r *ent.Refund, back moneyBack) error {
	waits := r.Status == refund.StatusPROCESSING
	// What was paid for an invoice that needed nothing any more is on the balance.
	paid := back.entries[paymentCause(p.ProviderID, orEmpty(p.GatewayPaymentID))]
	ofNote := p.Purpose == payment.PurposeINVOICE && (paid == nil || paid.Kind != ledgerentry.KindTOP_UP)
	switch {
	case waits && r.NextCheckAt == nil && !back.asked[r.ID]:
		return v.fault(refund.Table, r.ID, "a call or a time at which somebody looks at it again, being PROCESSING", "one", "none")
	case !waits && r.NextCheckAt != nil:
		return v.fault(refund.Table, r.ID, fmt.Sprintf("next_check_at, being %s", r.Status), "none", r.NextCheckAt)
	case r.Currency != p.Currency:
		return v.fault(refund.Table, r.ID, "currency of its payment", p.Currency, r.Currency)
	case (r.CreditNoteID != nil) != ofNote:
		return v.fault(refund.Table, r.ID, "credit_note_id, of a payment for "+string(p.Purpose), presence(ofNote), presence(r.CreditNoteID != nil))
	case r.HoldID == nil:
		return nil
	}
	h := back.holds[*r.HoldID]
	if h == nil || h.AmountUnits != r.AmountUnits || h.PayerID != orEmpty(p.PayerID) || (h.Status == hold.StatusOPEN) != waits {
		return v.fault(refund.Table, r.ID, fmt.Sprintf("hold_id, being %s", r.Status), "a hold of its amount, OPEN while it is under way", *r.HoldID)
	}
	return nil
}

// backCause is the payment of a refund or a dispute, and what the gateway calls
// it.
type backCause struct{ payment, cause string }

// backCauses reads what the refunds and disputes are called that entries name.
func (v *verifier) backCauses(ctx context.Context, page []*ent.LedgerEntry) (map[string]backCause, error) {
	out := map[string]backCause{}
	providers := map[string]string{}
	for _, e := range page {
		if id := orEmpty(e.RefundID) + orEmpty(e.DisputeID); id != "" {
			providers[id] = orEmpty(e.ProviderID)
		}
	}
	if len(providers) == 0 {
		return out, nil
	}
	ids := slices.Collect(maps.Keys(providers))
	backs, err := v.Refund.Query().Where(refund.IDIn(ids...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read refunds of entries: %w", err)
	}
	for _, r := range backs {
		out[r.ID] = backCause{r.PaymentID, refundCause(providers[r.ID], orEmpty(r.GatewayRefundID))}
	}
	contested, err := v.Dispute.Query().Where(dispute.IDIn(ids...)).All(ctx)
	if err != nil {
		return out, fmt.Errorf("read disputes of entries: %w", err)
	}
	for _, d := range contested {
		out[d.ID] = backCause{d.PaymentID, disputeCause(providers[d.ID], d.GatewayDisputeID)}
	}
	return out, nil
}

// namesBack checks that an entry for a refund or a dispute names one that is of
// its payment and has its cause.
func (v *verifier) namesBack(e *ent.LedgerEntry, causes map[string]backCause) error {
	if e.Kind != ledgerentry.KindREFUND && e.Kind != ledgerentry.KindDISPUTE {
		return nil
	}
	want := causes[orEmpty(e.RefundID)+orEmpty(e.DisputeID)]
	if found := (backCause{orEmpty(e.PaymentID), orEmpty(e.CauseKey)}); want != found {
		return v.fault(ledgerentry.Table, e.ID, "the "+string(e.Kind)+" that it names", want, found)
	}
	return nil
}

// clearingMoved is by how much an entry for a refund or a dispute, or for a
// payment that was refused late, changes a clearing account, and which; zero for
// any other.
func clearingMoved(e *ent.LedgerEntry) (name string, by money.Units) {
	kind := string(e.Kind)
	if e.Kind == ledgerentry.KindREVERSAL {
		kind = orEmpty(e.ReversedKind)
	}
	switch ledgerentry.Kind(kind) {
	case ledgerentry.KindREFUND, ledgerentry.KindDISPUTE:
	case ledgerentry.KindTOP_UP, ledgerentry.KindINVOICE_PAYMENT:
		if e.Kind != ledgerentry.KindREVERSAL {
			return "", 0 // booksPayment counts it
		}
	default:
		return "", 0
	}
	switch clearing := clearingAccount(""); {
	case strings.HasPrefix(e.CreditAccount, clearing):
		return e.CreditAccount, -e.AmountUnits
	case strings.HasPrefix(e.DebitAccount, clearing):
		return e.DebitAccount, e.AmountUnits
	}
	return "", 0
}

// reloads checks that the payment which is in flight for a balance is a reload
// of it that has not ended.
func (v *verifier) reloads(ctx context.Context, page []*ent.Balance) error {
	var ids []string
	for _, b := range page {
		ids = append(ids, orEmpty(b.AutoReloadPaymentID))
	}
	if ids = named(ids); len(ids) == 0 {
		return nil
	}
	rows, err := v.Payment.Query().Where(payment.IDIn(ids...)).All(ctx)
	if err != nil {
		return fmt.Errorf("read reloads in flight: %w", err)
	}
	payments := map[string]*ent.Payment{}
	for _, p := range rows {
		payments[p.ID] = p
	}
	for _, b := range page {
		if b.AutoReloadPaymentID == nil {
			continue
		}
		p := payments[*b.AutoReloadPaymentID]
		if p == nil || p.Purpose != payment.PurposeAUTO_RELOAD || orEmpty(p.BalanceID) != b.ID || isEnd(p.Status) {
			return v.fault(balance.Table, b.ID, "auto_reload_payment_id", "a reload of it that has not ended", *b.AutoReloadPaymentID)
		}
	}
	return nil
}
