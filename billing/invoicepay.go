package billing

import (
	"context"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
)

// InvoicePayDraft pays an invoice: with a saved card, from the payer's balance,
// in a form of the seller's own (Embedded), on the hosted page (none of the
// others), or by noting that it was paid elsewhere.
type InvoicePayDraft struct {
	InvoiceID       string
	PaymentMethodID string
	ReturnURL       string
	OutOfBand       bool
	FromBalance     bool    `json:",omitempty"`
	Embedded        bool    `json:",omitempty"`
	Key             *string `json:"-"`
}

// InvoicePayment is a begun payment of an invoice. PaymentID is empty when it
// is paid out of band or from the balance; without a Call there is nothing to
// ask.
type InvoicePayment struct {
	InvoiceID string
	PaymentID string
	OutOfBand bool
	*Call
	Request gateway.InvoicePayRequest
	// Page is asked for where the gateway keeps no invoice: the payment is made
	// on a page of its own, or with Direct from a saved card, and finished by
	// FinishPayment.
	Page   *gateway.HostedPaymentRequest
	Direct *gateway.ChargeRequest
	// Form is asked for the secret that a form of the seller's own needs, and
	// finished by OfferInvoiceForm.
	Form *DueInvoice
}

// BeginInvoicePayment stores the payment of an open invoice. Called again with
// the same key it returns the same payment. From a balance it is paid at once;
// what does not cover it is refused, and then the invoice waits for the
// balance: the one thing that a refusal leaves behind.
//
// Codes: REQUIRED, NOT_FOUND, INVALID, INVALID_STATE, PROVIDER_UNSUPPORTED,
// IDEMPOTENCY_KEY_REUSED, and with details FUNDS_RESERVED, INSUFFICIENT_FUNDS.
func (s *Service) BeginInvoicePayment(ctx context.Context, d InvoicePayDraft) (*InvoicePayment, error) {
	op, err := s.newOperation("invoicePay", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	if d.OutOfBand && auth.FromContext(ctx).PayerID != "" {
		return nil, refuse(CodeInvalid, "outOfBand", "only the seller can note that an invoice was paid elsewhere: pay it with a card or on its page")
	}
	if d.OutOfBand && d.PaymentMethodID != "" {
		return nil, refuse(CodeInvalid, "outOfBand", "an invoice is either paid with a card or was paid elsewhere: leave one of paymentMethodId and outOfBand out")
	}
	if d.FromBalance && (d.OutOfBand || d.PaymentMethodID != "") {
		return nil, refuse(CodeInvalid, "fromBalance", "an invoice is paid in one way: leave the others of paymentMethodId, fromBalance and outOfBand out")
	}
	if d.Embedded && (d.OutOfBand || d.PaymentMethodID != "" || d.FromBalance) {
		return nil, refuse(CodeInvalid, "embedded", "an invoice is paid in one way: leave the others of paymentMethodId, fromBalance, embedded and outOfBand out")
	}
	id, callID := s.newID(prefixPayment), s.newID(prefixCall)
	out := InvoicePayment{InvoiceID: d.InvoiceID, OutOfBand: d.OutOfBand}
	var found string
	var short *Error
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		short = nil
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.PaymentID, found = earlier.SecondSubject, earlier.CallID
			return nil
		}
		inv, err := tx.payableInvoice(ctx, d.InvoiceID)
		if err != nil {
			return err
		}
		switch {
		case d.FromBalance:
			if short, err = tx.beginFromBalance(ctx, inv); short != nil {
				return err // a refusal is not remembered
			}
		case d.OutOfBand:
			out.Request, found, err = tx.beginOutOfBand(ctx, inv, callID)
		case d.Embedded && inv.GatewayInvoiceID == nil:
			return refuse(CodeProviderUnsupported, "embedded", "no gateway keeps this invoice, so that none has a form for it: leave embedded out and pay it on its page")
		case d.PaymentMethodID == "" && inv.GatewayInvoiceID == nil:
			out.PaymentID, out.Page, found, err = tx.beginInvoicePage(ctx, inv, id, d.ReturnURL, callID)
		case d.PaymentMethodID == "":
			out.PaymentID, err = tx.beginHostedInvoice(ctx, inv, id, d)
		case inv.GatewayInvoiceID == nil:
			out.PaymentID, found = id, callID
			out.Direct, err = tx.beginDirectCharge(ctx, inv, d, id, callID)
		default:
			found = callID
			out.PaymentID = id
			out.Request, err = tx.beginInvoiceCharge(ctx, inv, d, id, callID)
		}
		if err != nil {
			return err
		}
		return tx.remember(ctx, op, inv.ID, out.PaymentID, found)
	})
	if err != nil {
		return nil, err
	}
	if short != nil {
		return nil, short
	}
	if d.Embedded {
		out.Form, err = s.formWanted(ctx, d.InvoiceID, out.PaymentID)
		return &out, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// payableInvoice reads an invoice that may be paid now: open, and not being
// changed at the gateway by somebody else.
func (tx *Tx) payableInvoice(ctx context.Context, id string) (*ent.Invoice, error) {
	inv, err := tx.lockInvoice(ctx, id)
	if err != nil {
		return nil, err
	}
	switch inv.Status {
	case invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE:
	case invoice.StatusDRAFT:
		return nil, refuse(CodeInvalidState, "id", "the invoice is a draft: finalize it first with invoiceFinalize")
	default:
		return nil, refuse(CodeInvalidState, "id", "the invoice is %s", inv.Status)
	}
	if inv.PendingCallID != nil {
		return nil, tx.underWay(ctx, "invoice", *inv.PendingCallID)
	}
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	return inv, tx.noPaymentUnderWay(ctx, inv)
}

// noPaymentUnderWay refuses to touch an invoice while the outcome of one of
// its payments is not known.
func (tx *Tx) noPaymentUnderWay(ctx context.Context, inv *ent.Invoice) error {
	found, err := tx.Payment.Query().
		Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusPROCESSING)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for payments under way: %w", err)
	}
	if found {
		return refuse(CodeInvalidState, "id", "a payment of the invoice is under way: wait for its outcome")
	}
	return nil
}

// beginOutOfBand notes a payment made elsewhere: at once when the invoice is
// only ours, else after the gateway has been told. It returns the call to
// make, if any, with its request.
func (tx *Tx) beginOutOfBand(ctx context.Context, inv *ent.Invoice, callID string) (request gateway.InvoicePayRequest, call string, err error) {
	if inv.GatewayInvoiceID == nil {
		return request, "", tx.settleOutside(ctx, inv)
	}
	request.InvoiceID = *inv.GatewayInvoiceID
	if err := tx.openCall(ctx, callID, orEmpty(inv.ProviderID), gatewaycall.OperationINVOICE_SETTLE, inv.ID, request); err != nil {
		return request, "", err
	}
	return request, callID, tx.reserveInvoice(ctx, inv, callID)
}

// beginHostedInvoice makes, or finds, the payment that waits for the payer on
// the invoice's own page at the gateway, or in a form of the seller's.
func (tx *Tx) beginHostedInvoice(ctx context.Context, inv *ent.Invoice, id string, d InvoicePayDraft) (string, error) {
	if orEmpty(inv.HostedURL) == "" || inv.ProviderID == nil {
		return "", refuse(CodeProviderUnsupported, "id", "the invoice has no hosted page: name a saved card, or note a payment made elsewhere with outOfBand")
	}
	waiting, err := tx.Payment.Query().
		Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusREQUIRES_ACTION)).
		Order(ent.Desc(payment.FieldID)).First(ctx)
	if err == nil {
		if !d.Embedded && waiting.ActionURL == "" {
			err = tx.leaveForm(ctx, waiting, *inv.HostedURL)
		}
		return waiting.ID, err
	}
	if !ent.IsNotFound(err) {
		return "", fmt.Errorf("look for a waiting payment: %w", err)
	}
	start, err := tx.invoicePaymentStart(ctx, inv, id, d.ReturnURL)
	if err != nil {
		return "", err
	}
	start.status, start.actionURL = payment.StatusREQUIRES_ACTION, *inv.HostedURL
	if _, err := tx.createPayment(ctx, start); err != nil {
		return "", err
	}
	return id, cas(tx.watchInvoice(ctx, inv))
}

// beginInvoiceCharge stores the charge of a saved card for the invoice and
// keeps everybody else from changing the invoice meanwhile.
func (tx *Tx) beginInvoiceCharge(ctx context.Context, inv *ent.Invoice, d InvoicePayDraft, id, callID string) (gateway.InvoicePayRequest, error) {
	var request gateway.InvoicePayRequest
	card, p, back, err := tx.cardPayment(ctx, inv, d, id, callID)
	if err != nil {
		return request, err
	}
	request = gateway.InvoicePayRequest{InvoiceID: *inv.GatewayInvoiceID, PaymentMethodID: orEmpty(card.GatewayID), ReturnURL: back}
	if err := tx.openCall(ctx, callID, p.ProviderID, gatewaycall.OperationINVOICE_PAY, inv.ID, request); err != nil {
		return request, err
	}
	return request, tx.reserveInvoice(ctx, inv, callID)
}

// cardPayment stores the payment of an invoice with a saved card, and says where
// the browser goes after 3-D Secure.
func (tx *Tx) cardPayment(ctx context.Context, inv *ent.Invoice, d InvoicePayDraft, id, callID string) (card *ent.PaymentMethod, p *ent.Payment, back string, err error) {
	if card, err = tx.chargeableCard(ctx, inv.PayerID, d.PaymentMethodID, "paymentMethodId"); err != nil {
		return nil, nil, "", err
	}
	if card.ProviderID != orEmpty(inv.ProviderID) {
		return nil, nil, "", refuse(CodeInvalid, "paymentMethodId", "the card is saved at another provider than the invoice's")
	}
	start, err := tx.invoicePaymentStart(ctx, inv, id, d.ReturnURL)
	if err != nil {
		return nil, nil, "", err
	}
	start.card, start.callID = card, callID
	if p, err = tx.createPayment(ctx, start); err != nil {
		return nil, nil, "", err
	}
	o, err := tx.organization(ctx)
	if err != nil {
		return nil, nil, "", err
	}
	return card, p, tx.s.publicLink("return", o.Slug, p.PublicToken, "success"), nil
}

func (tx *Tx) invoicePaymentStart(ctx context.Context, inv *ent.Invoice, id, returnURL string) (paymentStart, error) {
	start := paymentStart{id: id, purpose: payment.PurposeINVOICE, status: payment.StatusPROCESSING, invoice: inv}
	var err error
	if start.payer, err = tx.payer(ctx, inv.PayerID, "id"); err != nil {
		return start, err
	}
	if start.provider, err = tx.usableProvider(ctx, orEmpty(inv.ProviderID), "id"); err != nil {
		return start, err
	}
	if err := tx.checkReturnURL(ctx, returnURL); err != nil {
		return start, err
	}
	if inv.GatewayInvoiceID == nil {
		if err := takesPayment(inv, start.provider); err != nil {
			return start, err
		}
	}
	start.draft.Currency, start.draft.AmountUnits, start.draft.ReturnUrls = inv.Currency, inv.AmountDueUnits, sameURL(returnURL)
	return start, nil
}

// reserveInvoice gives an invoice to a gateway call until it is finished.
func (tx *Tx) reserveInvoice(ctx context.Context, inv *ent.Invoice, callID string) error {
	n, err := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status), invoice.PendingCallIDIsNil()).
		SetPendingCallID(callID).SetUpdatedAt(tx.Now).Save(ctx)
	return cas(n, err)
}

// watchInvoice has the gateway asked soon how the invoice stands. It finds
// nothing when the invoice has moved on since it was read.
func (tx *Tx) watchInvoice(ctx context.Context, inv *ent.Invoice) (int, error) {
	n, err := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status), invoice.StatusIn(invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE)).
		SetNextCheckAt(tx.Now.Add(checkIn(0))).SetChecks(1).Save(ctx)
	if err != nil {
		return 0, fmt.Errorf("watch invoice %s: %w", inv.ID, err)
	}
	return n, nil
}

// FinishInvoicePayment applies the outcome of paying or settling an invoice.
// It may be called any number of times; the returned refusal says that the
// gateway took nothing.
func (s *Service) FinishInvoicePayment(ctx context.Context, callID string, r gateway.InvoiceResult) error {
	var refusal error
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		refusal = nil
		switch v {
		case verdictKnown:
			refusal = refusalOf("", c)
			return nil
		case verdictFreed:
			refusal = callRefusal("", r.Outcome)
			if err := tx.forgetKey(ctx, callID); err != nil {
				return err
			}
		case verdictAgain, verdictDone:
		}
		if err := tx.freeInvoice(ctx, c, v); err != nil {
			return err
		}
		if r.State == gateway.InvoicePaid {
			if err := tx.applyInvoice(ctx, c.Subject, r); err != nil {
				return err
			}
		}
		r := r
		if v == verdictAgain {
			r.Status = gateway.StatusUnknown // whatever this try says, an earlier one may have arrived
		}
		if err := tx.finishInvoiceTry(ctx, callID, r); err != nil {
			return err
		}
		return tx.subscriptionInvoiceChanged(ctx, c.Subject)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// freeInvoice takes the invoice back from a call that is over.
func (tx *Tx) freeInvoice(ctx context.Context, c *ent.GatewayCall, v verdict) error {
	if v == verdictAgain {
		return nil
	}
	u := tx.Invoice.Update().Where(invoice.ID(c.Subject), invoice.PendingCallID(c.ID)).ClearPendingCallID().SetUpdatedAt(tx.Now)
	if _, err := u.Save(ctx); err != nil {
		return fmt.Errorf("free invoice: %w", err)
	}
	return nil
}

// finishInvoiceTry brings the payment that a call belongs to, if it has one,
// to the call's outcome. A success was settled with the invoice before.
func (tx *Tx) finishInvoiceTry(ctx context.Context, callID string, r gateway.InvoiceResult) error {
	paymentID, err := tx.paymentOfCall(ctx, callID)
	if err != nil || paymentID == "" {
		return err
	}
	result := gateway.PaymentResult{Outcome: r.Outcome, CustomerID: r.CustomerID, Payment: r.Payment, NextAction: r.NextAction}
	switch {
	case r.State == gateway.InvoicePaid:
		return tx.finishPaidTry(ctx, callID, paymentID, r)
	case r.Status == gateway.StatusSucceeded:
		result.Status = gateway.StatusProcessing
	}
	if err := tx.finishAttempt(ctx, callID, paymentStatus(result), r.Outcome); err != nil {
		return err
	}
	if paymentStatus(result) == payment.StatusREQUIRES_ACTION {
		inv, err := tx.invoiceOfPayment(ctx, paymentID)
		if err != nil {
			return err
		}
		if _, err := tx.watchInvoice(ctx, inv); err != nil {
			return err
		}
	}
	return tx.applyPayment(ctx, paymentID, result)
}

// finishPaidTry ends a try whose invoice is paid by now: by this payment, or
// by another one, and then this one has taken nothing.
func (tx *Tx) finishPaidTry(ctx context.Context, callID, paymentID string, r gateway.InvoiceResult) error {
	p, err := tx.Payment.Query().Where(payment.ID(paymentID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read payment %s: %w", paymentID, err)
	}
	if p.Status != payment.StatusSUCCEEDED {
		if err := tx.cancelPayment(ctx, p.ID); err != nil {
			return err
		}
		p.Status = payment.StatusCANCELED
	}
	return tx.finishAttempt(ctx, callID, p.Status, r.Outcome)
}

func (tx *Tx) invoiceOfPayment(ctx context.Context, paymentID string) (*ent.Invoice, error) {
	p, err := tx.Payment.Query().Where(payment.ID(paymentID)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payment %s: %w", paymentID, err)
	}
	return tx.lockInvoice(ctx, orEmpty(p.InvoiceID))
}

// settleInvoice books that an invoice was paid at the gateway, once, whoever
// reports it, and brings its payments to the end: the one that was waiting
// succeeded, or one is made when the payer came by the hosted page alone.
func (tx *Tx) settleInvoice(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) error {
	switch {
	case inv.Status == invoice.StatusPAID:
		return nil
	case !unpaidStatus(inv.Status):
		return fmt.Errorf("invoice %s is %s, at the gateway it is paid: %w", inv.ID, inv.Status, errMismatch)
	case r.PaidOutside:
		return tx.settleOutside(ctx, inv)
	case r.Payment.GatewayPaymentID == "" || r.AmountPaid != inv.AmountDue():
		return fmt.Errorf("invoice %s is due %s, the gateway confirms %s under %q: %w",
			inv.ID, inv.AmountDue(), r.AmountPaid, r.Payment.GatewayPaymentID, errMismatch)
	}
	if err := tx.takeBackWriteOff(ctx, inv); err != nil {
		return err
	}
	p, err := tx.payingPayment(ctx, inv, r)
	if err != nil {
		return err
	}
	state := r.Payment
	state.Status, state.Amount = gateway.StatusSucceeded, r.AmountPaid
	err = tx.applyPayment(ctx, p.ID, gateway.PaymentResult{
		Outcome: gateway.Outcome{Status: gateway.StatusSucceeded, RequestID: r.RequestID}, CustomerID: r.CustomerID, Payment: state,
	})
	if err != nil {
		return err
	}
	if err := tx.creditInvoicePayment(ctx, inv, p, r.Payment.GatewayPaymentID); err != nil {
		return err
	}
	return tx.markPaid(ctx, inv, state.ReceiptURL)
}

// endTry brings the payment of an unpaid invoice to what the gateway says of it
// now: one that was accepted and declined by the bank days later, or that waits
// for the payer. A try whose own call is open is ended by that call.
func (tx *Tx) endTry(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) error {
	state := r.Payment
	if !unpaidStatus(inv.Status) || inv.PendingCallID != nil ||
		state.Status != gateway.StatusDeclined && state.Status != gateway.StatusActionNeeded {
		return nil
	}
	p, err := tx.Payment.Query().
		Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusPROCESSING)).
		Order(ent.Desc(payment.FieldID)).First(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for a payment under way: %w", err)
	}
	return tx.applyPayment(ctx, p.ID, gateway.PaymentResult{
		Outcome:    gateway.Outcome{Status: state.Status, Failure: state.Failure, RequestID: r.RequestID},
		CustomerID: r.CustomerID, Payment: state, NextAction: r.NextAction,
	})
}

// settleOutside books that an invoice was paid elsewhere.
func (tx *Tx) settleOutside(ctx context.Context, inv *ent.Invoice) error {
	if err := tx.takeBackWriteOff(ctx, inv); err != nil {
		return err
	}
	if err := tx.bookInvoiceOutOfBand(ctx, inv); err != nil {
		return err
	}
	return tx.markPaid(ctx, inv, "")
}

// payingPayment finds the payment by which the invoice was paid: one under
// way, else the last that failed (the payer tried again on the page), else a
// new one. One that was begun before a credit note was over another amount.
func (tx *Tx) payingPayment(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) (*ent.Payment, error) {
	for _, states := range [][]payment.Status{
		{payment.StatusPROCESSING}, {payment.StatusREQUIRES_ACTION}, {payment.StatusFAILED, payment.StatusCANCELED},
	} {
		p, err := tx.Payment.Query().
			Where(payment.InvoiceID(inv.ID), payment.StatusIn(states...), payment.AmountUnits(inv.AmountDueUnits)).
			Order(ent.Desc(payment.FieldID)).First(ctx)
		if err == nil || !ent.IsNotFound(err) {
			return p, err
		}
	}
	// The money is there: it is booked whatever became of payer and provider.
	start := paymentStart{id: tx.s.newID(prefixPayment), purpose: payment.PurposeINVOICE, status: payment.StatusPROCESSING, invoice: inv}
	start.draft.Currency, start.draft.AmountUnits = inv.Currency, inv.AmountDueUnits
	var err error
	if start.payer, err = tx.payer(ctx, inv.PayerID, "id"); err != nil {
		return nil, err
	}
	if start.provider, err = tx.Provider.Query().Where(provider.ID(orEmpty(inv.ProviderID))).Only(ctx); err != nil {
		return nil, fmt.Errorf("read provider of invoice %s: %w", inv.ID, err)
	}
	return tx.createPayment(ctx, start)
}

// cancelPayments gives up the invoice's payments in these states.
func (tx *Tx) cancelPayments(ctx context.Context, invoiceID string, states ...payment.Status) error {
	waiting, err := tx.Payment.Query().
		Where(payment.InvoiceID(invoiceID), payment.StatusIn(states...)).All(ctx)
	if err != nil {
		return fmt.Errorf("list unfinished payments: %w", err)
	}
	for _, p := range waiting {
		if err := tx.cancelPayment(ctx, p.ID); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) cancelPayment(ctx context.Context, id string) error {
	return tx.applyPayment(ctx, id, gateway.PaymentResult{
		Outcome: gateway.Outcome{Status: gateway.StatusDeclined}, Payment: gateway.PaymentState{Canceled: true},
	})
}

// markPaid moves an invoice to PAID, and gives up the payments that waited for
// it; the ledger has been written before, and the payment that has paid it.
func (tx *Tx) markPaid(ctx context.Context, inv *ent.Invoice, receiptURL string) error {
	if err := tx.cancelPayments(ctx, inv.ID, payment.StatusREQUIRES_ACTION); err != nil {
		return err
	}
	u := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).
		SetStatus(invoice.StatusPAID).SetPaidAt(tx.Now).
		SetAmountPaidUnits(dueOf(inv.Total()) - inv.WaivedUnits).SetAmountDueUnits(0).
		SetDunning(invoice.DunningNONE).ClearNextAttemptAt().ClearNextCheckAt().
		ClearHostedURL(). // there is nothing left to pay on it
		SetUpdatedAt(tx.Now)
	if receiptURL != "" {
		u.SetReceiptURL(receiptURL)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("mark invoice %s paid: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	if inv.AmountDueUnits > 0 {
		if err := tx.tellInvoicePaid(ctx, inv); err != nil {
			return err
		}
	}
	return tx.subscriptionInvoiceChanged(ctx, inv.ID)
}

// invoiceCheckIn is when an open invoice is looked at again although no event
// came: as payments, then every six hours for two weeks, then daily. Those that
// nobody ever pays become more and more.
func invoiceCheckIn(checks int) time.Duration {
	switch {
	case checks <= 8:
		return checkIn(checks)
	case checks <= 8+14*4:
		return 6 * time.Hour
	default:
		return 24 * time.Hour
	}
}
