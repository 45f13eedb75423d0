package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// Invoices whose collection is AUTOMATIC are charged to the payer's default
// card without the payer being there (spec.md decision 8): jobs find them by
// the time of their next try. What becomes of a try is written by settleCharge,
// whoever reports it; what follows from it is in dunning.go.

const (
	// chargeGrace is how long an invoice that is due at once waits for whoever
	// has finalized it to pay it by hand, or to have it paid on its page.
	chargeGrace = time.Hour
	// subscriptionGrace is the same for an invoice of a subscription: it had its
	// hour as a draft, or whoever has sold it charges it at this moment.
	subscriptionGrace = time.Minute
	// chargeUnreached is when a gateway is asked anew that could not be reached,
	// or had too much to do.
	chargeUnreached = 30 * time.Minute
	// chargeLater is when an invoice is looked at again where a payment of it is
	// under way.
	chargeLater = time.Hour
	// chargeStopped is the same where somebody has stopped its charges, and may
	// never have them go on.
	chargeStopped = 24 * time.Hour
)

// The reasons of tries that no gateway was asked for.
const (
	failureNoCard  = "payment_method_required"
	failureWaiting = "authentication_required"
)

// scheduleCharge sets when an invoice that was opened is charged for the first
// time, and tells the payer of a charge that is still to come.
func (tx *Tx) scheduleCharge(ctx context.Context, inv *ent.Invoice, o *ent.Organization) error {
	if ok, err := chargedByItself(ctx, tx.Client, inv); err != nil || !ok {
		return err
	}
	first := tx.Now
	if inv.DueAt != nil {
		first = *inv.DueAt
	}
	upcoming := first.After(tx.Now)
	switch {
	case upcoming:
	case inv.SubscriptionID != nil:
		first = tx.Now.Add(subscriptionGrace)
	default:
		first = tx.Now.Add(chargeGrace)
	}
	n, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusOPEN)).SetNextAttemptAt(first).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("schedule the charge of invoice %s: %w", inv.ID, err)
	}
	if !upcoming || !o.ChargingEnabled {
		return nil
	}
	if told, err := tx.toldBefore(ctx, inv, o); err != nil || told {
		return err
	}
	return tx.tellUpcoming(ctx, inv, first)
}

// chargedByItself says whether there is anything that could be charged for an
// invoice without its payer. One that is kept here alone, at a gateway that
// keeps invoices, is too small to be charged there.
func chargedByItself(ctx context.Context, c *ent.Client, inv *ent.Invoice) (bool, error) {
	if inv.Collection != invoice.CollectionAUTOMATIC || inv.ProviderID == nil || inv.AmountDueUnits <= 0 || !money.IsISO(inv.Currency) {
		return false, nil
	}
	if inv.GatewayInvoiceID != nil {
		return true, nil
	}
	account, err := c.Provider.Query().Where(provider.ID(*inv.ProviderID)).Only(ctx)
	if err != nil {
		return false, fmt.Errorf("read provider %s: %w", *inv.ProviderID, err)
	}
	return !gateway.Kind(account.Kind).Terms().Invoices && !tooSmall(inv.AmountDue(), account.Kind) && chargeable(inv.AmountDue(), account.Kind, "") == nil, nil
}

// InvoiceCharge is what is to be asked of the gateway for an invoice that is
// due: that it charges the card for its own invoice, or for one that is only
// ours (Direct).
type InvoiceCharge struct {
	InvoiceID string
	PaymentID string
	*Call
	Request gateway.InvoicePayRequest
	Direct  *gateway.ChargeRequest
}

// DueCharges lists invoices of the viewer's organization that are to be
// charged, the longest waiting first.
func (s *Service) DueCharges(ctx context.Context, limit int) ([]string, error) {
	o, err := s.read.Organization.Query().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	if !charges(o) {
		return nil, nil
	}
	ids, err := s.read.Invoice.Query().Where(chargeDue(s.now(ctx))).
		Order(ent.Asc(invoice.FieldNextAttemptAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due charges: %w", err)
	}
	return ids, nil
}

// charges says whether an organization has cards charged by themselves.
func charges(o *ent.Organization) bool {
	return o.ChargingEnabled && o.Status == organization.StatusACTIVE
}

// BeginDueCharge stores the next try to charge an invoice that is due. nil when
// there is nothing to ask: it is not due any more, somebody else has begun, or
// something stands in the way, for which another time or a failed try is
// written instead. The charge of a gateway's invoice is finished by
// FinishInvoicePayment, that of one which is only ours by FinishPayment.
func (s *Service) BeginDueCharge(ctx context.Context, invoiceID string) (*InvoiceCharge, error) {
	id, callID := s.newID(prefixPayment), s.newID(prefixCall)
	var out *InvoiceCharge
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		// A run before this one whose COMMIT was not answered has begun it.
		if done, err := tx.GatewayCall.Query().Where(gatewaycall.ID(callID)).Exist(ctx); err != nil || done {
			return wrapped(err, "look for an earlier run")
		}
		out = nil
		inv, err := tx.lockInvoice(ctx, invoiceID)
		if err != nil {
			return err
		}
		plan, err := tx.planCharge(ctx, inv)
		if err != nil {
			return err
		}
		switch {
		case plan.stop:
			return tx.putChargeOff(ctx, inv, nil)
		case !plan.later.IsZero():
			return tx.putChargeOff(ctx, inv, &plan.later)
		case plan.waiting != nil:
			return tx.remindOfPayment(ctx, inv, plan.waiting)
		case plan.provider == nil:
			return nil
		case plan.card == nil:
			return tx.chargeWithoutCard(ctx, inv, plan, id)
		}
		out, err = tx.beginDueCharge(ctx, inv, plan, id, callID)
		return err
	})
	if err != nil || out == nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, callID, callID)
	return out, err
}

// chargePlan is what is to become of an invoice that is due: a charge of the
// card, a try that fails for want of one, a reminder of the payment that waits
// for the payer, a later look, no look any more, or with nothing set nothing at
// all.
type chargePlan struct {
	payer    *ent.Payer
	provider *ent.Provider
	card     *ent.PaymentMethod
	waiting  *ent.Payment
	later    time.Time
	stop     bool
}

func (tx *Tx) planCharge(ctx context.Context, inv *ent.Invoice) (chargePlan, error) {
	var plan chargePlan
	o, err := tx.tenant(ctx)
	if err != nil {
		return plan, err
	}
	if inv.NextAttemptAt == nil || inv.NextAttemptAt.After(tx.Now) || inv.PendingCallID != nil || !charges(o) {
		return plan, nil
	}
	if ok, err := chargedByItself(ctx, tx.Client, inv); err != nil || !ok || inv.Status != invoice.StatusOPEN {
		plan.stop = true
		return plan, err
	}
	p, err := tx.payer(ctx, inv.PayerID, "")
	if err != nil {
		return plan, err
	}
	account, err := tx.Provider.Query().Where(provider.ID(*inv.ProviderID)).Only(ctx)
	if err != nil {
		return plan, fmt.Errorf("read provider %s: %w", *inv.ProviderID, err)
	}
	moving, err := tx.Payment.Query().Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusPROCESSING)).Exist(ctx)
	if err != nil {
		return plan, fmt.Errorf("look for payments under way: %w", err)
	}
	switch {
	case !p.ChargingEnabled, p.Status == payer.StatusCLOSED, account.Status != provider.StatusACTIVE:
		plan.later = tx.Now.Add(chargeStopped)
		return plan, nil
	case moving:
		plan.later = tx.Now.Add(chargeLater)
		return plan, nil
	}
	if plan.later, err = tx.tryByHand(ctx, inv); err != nil || !plan.later.IsZero() {
		return plan, err
	}
	if busy, err := tx.payerIsCharged(ctx, p); err != nil || busy {
		return plan, err
	}
	if plan.card, err = cardOfInvoice(ctx, tx.Client, inv); err != nil {
		return plan, err
	}
	if plan.waiting, err = tx.paymentThatWaits(ctx, inv, plan.card); err != nil {
		return plan, err
	}
	plan.payer, plan.provider = p, account
	return plan, nil
}

// tryByHand is until when an invoice is left to somebody who has just tried to
// pay it and may try again; zero where nobody has. The same card charged a
// moment later would be declined once more.
func (tx *Tx) tryByHand(ctx context.Context, inv *ent.Invoice) (time.Time, error) {
	p, err := tx.Payment.Query().Where(payment.InvoiceID(inv.ID), payment.Recurring(false), payment.CreatedAtGT(tx.Now.Add(-chargeGrace))).
		Order(ent.Desc(payment.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("look for tries of invoice %s by hand: %w", inv.ID, err)
	}
	return p.CreatedAt.Add(chargeGrace), nil
}

// paymentThatWaits is the payment of an invoice that its payer has still to
// let through at the bank, where charging the card once more would ask the bank
// the same: or, of an invoice that is only ours, could take the money twice. A
// page that was left long ago is no reason to wait: who pays there all the same
// has the money on the balance.
func (tx *Tx) paymentThatWaits(ctx context.Context, inv *ent.Invoice, card *ent.PaymentMethod) (*ent.Payment, error) {
	q := tx.Payment.Query().Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusREQUIRES_ACTION))
	if inv.GatewayInvoiceID != nil {
		if card == nil {
			return nil, nil
		}
		q.Where(payment.PaymentMethodID(card.ID))
	} else {
		q.Where(payment.Or(payment.PaymentMethodIDNotNil(), payment.CreatedAtGT(tx.Now.Add(-hostedPageLife))))
	}
	p, err := q.Order(ent.Desc(payment.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return p, wrapped(err, "look for a payment of invoice "+inv.ID+" that waits")
}

// payerIsCharged reports whether another invoice of the payer is being charged
// at this moment: there is one run at a time. One that a server has left behind
// stands in the way no longer than its call is held.
func (tx *Tx) payerIsCharged(ctx context.Context, p *ent.Payer) (bool, error) {
	if p.ChargingPaymentID == nil {
		return false, nil
	}
	moving, err := tx.Payment.Query().Where(payment.ID(*p.ChargingPaymentID), payment.StatusEQ(payment.StatusPROCESSING),
		payment.CreatedAtGT(tx.Now.Add(-callLease))).Exist(ctx)
	return moving, wrapped(err, "read the payment under way of payer "+p.ID)
}

// claimPayer makes a payment the one by which the payer is charged. Of two that
// begin at once the second one runs again, and finds the first.
func (tx *Tx) claimPayer(ctx context.Context, p *ent.Payer, paymentID string) error {
	u := tx.Payer.Update().Where(payer.ID(p.ID), payer.StatusEQ(p.Status))
	if p.ChargingPaymentID == nil {
		u.Where(payer.ChargingPaymentIDIsNil())
	} else {
		u.Where(payer.ChargingPaymentID(*p.ChargingPaymentID))
	}
	if err := cas(u.SetChargingPaymentID(paymentID).Save(ctx)); err != nil {
		return fmt.Errorf("begin to charge payer %s: %w", p.ID, err)
	}
	return nil
}

// putChargeOff writes when an invoice is looked at again; nil: no more.
func (tx *Tx) putChargeOff(ctx context.Context, inv *ent.Invoice, until *time.Time) error {
	u := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status), invoice.NextAttemptAt(*inv.NextAttemptAt))
	setOrClear(until, u.SetNextAttemptAt, u.ClearNextAttemptAt)
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("put the charge of invoice %s off: %w", inv.ID, err)
	}
	return nil
}

// dueCharge stores the payment of a try.
func (tx *Tx) dueCharge(ctx context.Context, inv *ent.Invoice, plan chargePlan, id, callID string) (*ent.Payment, error) {
	return tx.createPayment(ctx, paymentStart{
		id: id, callID: callID, purpose: payment.PurposeINVOICE, status: payment.StatusPROCESSING,
		payer: plan.payer, provider: plan.provider, invoice: inv, card: plan.card,
		draft: ent.Payment{Currency: inv.Currency, AmountUnits: inv.AmountDueUnits, Recurring: true},
	})
}

func (tx *Tx) beginDueCharge(ctx context.Context, inv *ent.Invoice, plan chargePlan, id, callID string) (*InvoiceCharge, error) {
	p, err := tx.dueCharge(ctx, inv, plan, id, callID)
	if err != nil {
		return nil, err
	}
	if err := tx.claimPayer(ctx, plan.payer, id); err != nil {
		return nil, err
	}
	out := &InvoiceCharge{InvoiceID: inv.ID, PaymentID: id}
	if inv.GatewayInvoiceID != nil {
		out.Request = gateway.InvoicePayRequest{InvoiceID: *inv.GatewayInvoiceID, PaymentMethodID: orEmpty(plan.card.GatewayID), OffSession: true}
		if err := tx.openCall(ctx, callID, plan.provider.ID, gatewaycall.OperationINVOICE_PAY, inv.ID, out.Request); err != nil {
			return nil, err
		}
		return out, tx.reserveInvoice(ctx, inv, callID)
	}
	out.Direct = directCharge(inv, p, plan.card)
	out.Direct.OffSession, out.Direct.Recurring = true, inv.SubscriptionID != nil
	if err := tx.openCall(ctx, callID, plan.provider.ID, gatewaycall.OperationCHARGE, id, out.Direct); err != nil {
		return nil, err
	}
	// The payment, while it is PROCESSING, keeps everybody else away.
	later := tx.Now.Add(chargeLater)
	return out, tx.putChargeOff(ctx, inv, &later)
}

// chargeWithoutCard writes a try that fails because there is no card.
func (tx *Tx) chargeWithoutCard(ctx context.Context, inv *ent.Invoice, plan chargePlan, id string) error {
	p, err := tx.dueCharge(ctx, inv, plan, id, "")
	if err != nil {
		return err
	}
	if err := tx.createAttempt(ctx, p.ID, ""); err != nil {
		return err
	}
	return tx.applyPayment(ctx, p.ID, gateway.PaymentResult{Outcome: gateway.Outcome{Status: gateway.StatusDeclined, Failure: &gateway.Failure{
		Code: failureNoCard, Message: "There is no saved card that could be charged.",
	}}})
}

// remindOfPayment counts a try of an invoice whose payment still waits for the
// payer, who is told once more where to go on.
func (tx *Tx) remindOfPayment(ctx context.Context, inv *ent.Invoice, p *ent.Payment) error {
	if err := tx.createAttempt(ctx, p.ID, ""); err != nil {
		return err
	}
	u := tx.PaymentAttempt.Update().Where(paymentattempt.PaymentID(p.ID), paymentattempt.CallID(""), paymentattempt.FinishedAtIsNil())
	tx.setAttempt(u, payment.StatusFAILED, gateway.Outcome{Failure: &gateway.Failure{
		Code: failureWaiting, Message: "The payment still waits for the payer at the bank.",
	}})
	if _, err := u.Save(ctx); err != nil {
		return fmt.Errorf("write the try of payment %s: %w", p.ID, err)
	}
	cost := p.Amount()
	if err := tx.tellActionRequired(ctx, p, mailFacts{InvoiceID: inv.ID, PaymentID: p.ID, Cost: &cost}); err != nil {
		return err
	}
	return tx.countTry(ctx, inv, p, payment.StatusREQUIRES_ACTION, nil)
}

// settleCharge writes to its invoice how a try without the payer has gone, in
// the transaction that moves its payment on. A gateway that was not reached, or
// does not take our keys, was no try.
func (tx *Tx) settleCharge(ctx context.Context, p *ent.Payment, to payment.Status, r gateway.PaymentResult) error {
	if !p.Recurring || p.Purpose != payment.PurposeINVOICE || p.Status != payment.StatusPROCESSING {
		return nil
	}
	inv, err := tx.lockInvoice(ctx, orEmpty(p.InvoiceID))
	if err != nil || inv.Status != invoice.StatusOPEN {
		return err
	}
	p.ActionURL = r.NextAction.RedirectURL
	ours := r.Status == gateway.StatusUnavailable || r.Status == gateway.StatusRejected && r.Failure != nil && r.Failure.Credentials
	switch {
	case to == payment.StatusPROCESSING:
		return nil
	case to == payment.StatusSUCCEEDED:
		_, err := tx.Invoice.Update().Where(invoice.ID(inv.ID)).AddAttempts(1).Save(ctx)
		return wrapped(err, "count the try of invoice "+inv.ID)
	case ours:
		_, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).SetNextAttemptAt(tx.Now.Add(chargeUnreached)).Save(ctx)
		return wrapped(err, "try invoice "+inv.ID+" later")
	}
	return tx.countTry(ctx, inv, p, to, r.Failure)
}
