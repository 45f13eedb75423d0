package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/schema"
	"purser/gateway"
)

// InvoicePayDraft pays an invoice: with a saved card, on the hosted page (no
// card, not out of band), or by noting that it was paid elsewhere.
type InvoicePayDraft struct {
	InvoiceID       string
	PaymentMethodID string
	ReturnURL       string
	OutOfBand       bool
	Key             *string `json:"-"`
}

// InvoicePayment is a begun payment of an invoice. PaymentID is empty when it
// is paid out of band; without a Call there is nothing to ask.
type InvoicePayment struct {
	InvoiceID string
	PaymentID string
	OutOfBand bool
	*Call
	Request gateway.InvoicePayRequest
}

// BeginInvoicePayment stores the payment of an open invoice. Called again with
// the same key it returns the same payment.
//
// Codes: REQUIRED, NOT_FOUND, INVALID, INVALID_STATE, PROVIDER_UNSUPPORTED,
// IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginInvoicePayment(ctx context.Context, d InvoicePayDraft) (*InvoicePayment, error) {
	op, err := s.newOperation("invoicePay", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	if d.OutOfBand && d.PaymentMethodID != "" {
		return nil, refuse(CodeInvalid, "outOfBand", "an invoice is either paid with a card or was paid elsewhere: leave one of paymentMethodId and outOfBand out")
	}
	id, callID := s.newID(prefixPayment), s.newID(prefixCall)
	out := InvoicePayment{InvoiceID: d.InvoiceID, OutOfBand: d.OutOfBand}
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
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
		case d.OutOfBand:
			found, err = tx.beginOutOfBand(ctx, inv, callID)
		case d.PaymentMethodID == "":
			out.PaymentID, err = tx.beginHostedInvoice(ctx, inv, id, d.ReturnURL)
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
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// payableInvoice reads an invoice that may be paid now: open, and not being
// changed at the gateway by somebody else.
func (tx *Tx) payableInvoice(ctx context.Context, id string) (*ent.Invoice, error) {
	inv, err := tx.Invoice.Query().Where(invoice.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "id", "invoice", id)
	}
	switch inv.Status {
	case invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE:
	case invoice.StatusDRAFT:
		return nil, refuse(CodeInvalidState, "id", "the invoice is a draft: finalize it first with invoiceFinalize")
	default:
		return nil, refuse(CodeInvalidState, "id", "the invoice is %s", inv.Status)
	}
	if inv.PendingCallID != nil {
		return nil, refuse(CodeInvalidState, "id", "another change of this invoice is under way at the gateway: look at its payments and try again")
	}
	return inv, nil
}

// beginOutOfBand notes a payment made elsewhere: at once when the invoice is
// only ours, else after the gateway has been told. It returns the call to
// make, if any.
func (tx *Tx) beginOutOfBand(ctx context.Context, inv *ent.Invoice, callID string) (string, error) {
	if inv.GatewayInvoiceID == nil {
		if err := tx.bookInvoiceOutOfBand(ctx, inv); err != nil {
			return "", err
		}
		return "", tx.markPaid(ctx, inv, "")
	}
	request := gateway.InvoicePayRequest{InvoiceID: *inv.GatewayInvoiceID}
	if err := tx.openCall(ctx, callID, orEmpty(inv.ProviderID), gatewaycall.OperationINVOICE_SETTLE, inv.ID, request); err != nil {
		return "", err
	}
	return callID, tx.lockInvoice(ctx, inv, callID)
}

// beginHostedInvoice makes, or finds, the payment that waits for the payer on
// the invoice's own page at the gateway.
func (tx *Tx) beginHostedInvoice(ctx context.Context, inv *ent.Invoice, id, returnURL string) (string, error) {
	if orEmpty(inv.HostedURL) == "" || inv.ProviderID == nil {
		return "", refuse(CodeProviderUnsupported, "id", "the invoice has no hosted page: name a saved card, or note a payment made elsewhere with outOfBand")
	}
	waiting, err := tx.Payment.Query().
		Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusREQUIRES_ACTION)).
		Order(ent.Desc(payment.FieldID)).First(ctx)
	if err == nil {
		return waiting.ID, nil
	}
	if !ent.IsNotFound(err) {
		return "", fmt.Errorf("look for a waiting payment: %w", err)
	}
	start, err := tx.invoicePaymentStart(ctx, inv, id, returnURL)
	if err != nil {
		return "", err
	}
	start.status, start.actionURL = payment.StatusREQUIRES_ACTION, *inv.HostedURL
	if _, err := tx.createPayment(ctx, start); err != nil {
		return "", err
	}
	return id, tx.watchInvoice(ctx, inv.ID)
}

// beginInvoiceCharge stores the charge of a saved card for the invoice and
// keeps everybody else from changing the invoice meanwhile.
func (tx *Tx) beginInvoiceCharge(ctx context.Context, inv *ent.Invoice, d InvoicePayDraft, id, callID string) (gateway.InvoicePayRequest, error) {
	var request gateway.InvoicePayRequest
	if inv.GatewayInvoiceID == nil || inv.ProviderID == nil {
		return request, refuse(CodeProviderUnsupported, "id", "the invoice has no provider that could charge a card: note a payment made elsewhere with outOfBand")
	}
	card, err := tx.chargeableCard(ctx, inv.PayerID, d.PaymentMethodID, "paymentMethodId")
	if err != nil {
		return request, err
	}
	if card.ProviderID != *inv.ProviderID {
		return request, refuse(CodeInvalid, "paymentMethodId", "the card is saved at another provider than the invoice's")
	}
	start, err := tx.invoicePaymentStart(ctx, inv, id, d.ReturnURL)
	if err != nil {
		return request, err
	}
	start.card, start.callID = card, callID
	p, err := tx.createPayment(ctx, start)
	if err != nil {
		return request, err
	}
	o, err := tx.organization(ctx)
	if err != nil {
		return request, err
	}
	request = gateway.InvoicePayRequest{
		InvoiceID: *inv.GatewayInvoiceID, PaymentMethodID: orEmpty(card.GatewayID),
		ReturnURL: tx.s.publicLink("return", o.Slug, p.PublicToken, "success"),
	}
	if err := tx.openCall(ctx, callID, *inv.ProviderID, gatewaycall.OperationINVOICE_PAY, inv.ID, request); err != nil {
		return request, err
	}
	return request, tx.lockInvoice(ctx, inv, callID)
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
	urls := schema.ReturnURLs{Success: returnURL}
	if err := tx.checkReturnURLs(ctx, urls); err != nil {
		return start, err
	}
	start.draft.Currency, start.draft.AmountUnits, start.draft.ReturnUrls = inv.Currency, inv.AmountDueUnits, &urls
	return start, nil
}

// lockInvoice gives an invoice to a gateway call until it is finished.
func (tx *Tx) lockInvoice(ctx context.Context, inv *ent.Invoice, callID string) error {
	n, err := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status), invoice.PendingCallIDIsNil()).
		SetPendingCallID(callID).SetUpdatedAt(tx.Now).Save(ctx)
	return cas(n, err)
}

// watchInvoice has the gateway asked soon how the invoice stands.
func (tx *Tx) watchInvoice(ctx context.Context, id string) error {
	_, err := tx.Invoice.Update().Where(invoice.ID(id)).
		SetNextCheckAt(tx.Now.Add(checkIn(0))).SetChecks(1).Save(ctx)
	return err
}

// FinishInvoicePayment applies the outcome of paying or settling an invoice.
// It may be called any number of times; the returned refusal says that the
// gateway took nothing.
func (s *Service) FinishInvoicePayment(ctx context.Context, callID string, r gateway.InvoiceResult) error {
	var refusal error
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		refusal = nil
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil || v == verdictKnown {
			return err
		}
		if v == verdictFreed {
			refusal = callRefusal("", r.Outcome)
			if err := tx.forgetKey(ctx, callID); err != nil {
				return err
			}
		}
		if v != verdictAgain {
			if _, err := tx.Invoice.Update().Where(invoice.ID(c.Subject), invoice.PendingCallID(callID)).
				ClearPendingCallID().AddAttempts(1).SetUpdatedAt(tx.Now).Save(ctx); err != nil {
				return fmt.Errorf("free invoice: %w", err)
			}
		}
		if r.State == paidAtGateway {
			if err := tx.applyInvoice(ctx, c.Subject, r); err != nil {
				return err
			}
		}
		r := r
		if v == verdictAgain {
			r.Status = gateway.StatusUnknown // whatever this try says, an earlier one may have arrived
		}
		return tx.finishInvoiceTry(ctx, callID, r)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// paidAtGateway is how an InvoiceResult says that an invoice is paid.
const paidAtGateway = "paid"

// finishInvoiceTry brings the payment that a call belongs to, if it has one,
// to the call's outcome. A success was settled with the invoice before.
func (tx *Tx) finishInvoiceTry(ctx context.Context, callID string, r gateway.InvoiceResult) error {
	paymentID, err := tx.paymentOfCall(ctx, callID)
	if err != nil || paymentID == "" {
		return err
	}
	result := gateway.PaymentResult{Outcome: r.Outcome, CustomerID: r.CustomerID, Payment: r.Payment, NextAction: r.NextAction}
	if r.Status == gateway.StatusSucceeded && r.State != paidAtGateway {
		result.Status = gateway.StatusProcessing
	}
	if err := tx.finishAttempt(ctx, callID, paymentStatus(result), r.Outcome); err != nil {
		return err
	}
	if r.State == paidAtGateway {
		return nil
	}
	if paymentStatus(result) == payment.StatusREQUIRES_ACTION {
		if id, err := tx.invoiceOfPayment(ctx, paymentID); err != nil {
			return err
		} else if err := tx.watchInvoice(ctx, id); err != nil {
			return err
		}
	}
	return tx.applyPayment(ctx, paymentID, result)
}

func (tx *Tx) invoiceOfPayment(ctx context.Context, paymentID string) (string, error) {
	p, err := tx.Payment.Query().Where(payment.ID(paymentID)).Only(ctx)
	if err != nil {
		return "", err
	}
	return orEmpty(p.InvoiceID), nil
}

// settleInvoice books that an invoice was paid at the gateway, once, whoever
// reports it, and brings its payments to the end: the one that was waiting
// succeeded, or one is made when the payer came by the hosted page alone.
func (tx *Tx) settleInvoice(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) error {
	if inv.Status == invoice.StatusPAID {
		return nil
	}
	if r.PaidOutside {
		if err := tx.bookInvoiceOutOfBand(ctx, inv); err != nil {
			return err
		}
		if err := tx.cancelWaiting(ctx, inv.ID, ""); err != nil {
			return err
		}
		return tx.markPaid(ctx, inv, "")
	}
	if r.Payment.GatewayPaymentID == "" || r.AmountPaid != inv.AmountDue() {
		return fmt.Errorf("invoice %s is due %s, the gateway confirms %s under %q: %w",
			inv.ID, inv.AmountDue(), r.AmountPaid, r.Payment.GatewayPaymentID, errMismatch)
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
	if err := tx.cancelWaiting(ctx, inv.ID, p.ID); err != nil {
		return err
	}
	if err := tx.creditInvoicePayment(ctx, inv, p, r.Payment.GatewayPaymentID); err != nil {
		return err
	}
	return tx.markPaid(ctx, inv, state.ReceiptURL)
}

// payingPayment finds the payment by which the invoice was paid: one under
// way, else the last that failed (the payer tried again on the page), else a
// new one.
func (tx *Tx) payingPayment(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) (*ent.Payment, error) {
	for _, states := range [][]payment.Status{
		{payment.StatusPROCESSING}, {payment.StatusREQUIRES_ACTION}, {payment.StatusFAILED, payment.StatusCANCELED},
	} {
		p, err := tx.Payment.Query().
			Where(payment.InvoiceID(inv.ID), payment.StatusIn(states...)).
			Order(ent.Desc(payment.FieldID)).First(ctx)
		if err == nil || !ent.IsNotFound(err) {
			return p, err
		}
	}
	start, err := tx.invoicePaymentStart(ctx, inv, tx.s.newID(prefixPayment), "")
	if err != nil {
		return nil, err
	}
	return tx.createPayment(ctx, start)
}

// cancelWaiting gives up the invoice's payments that wait for their payer;
// except names the one that is not given up.
func (tx *Tx) cancelWaiting(ctx context.Context, invoiceID, except string) error {
	waiting, err := tx.Payment.Query().
		Where(payment.InvoiceID(invoiceID), payment.StatusEQ(payment.StatusREQUIRES_ACTION), payment.IDNEQ(except)).All(ctx)
	if err != nil {
		return fmt.Errorf("list waiting payments: %w", err)
	}
	for _, p := range waiting {
		err := tx.applyPayment(ctx, p.ID, gateway.PaymentResult{
			Outcome: gateway.Outcome{Status: gateway.StatusDeclined}, Payment: gateway.PaymentState{Canceled: true},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// markPaid moves an invoice to PAID; the ledger has been written before.
func (tx *Tx) markPaid(ctx context.Context, inv *ent.Invoice, receiptURL string) error {
	u := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).
		SetStatus(invoice.StatusPAID).SetPaidAt(tx.Now).
		SetAmountPaidUnits(inv.TotalUnits).SetAmountDueUnits(0).
		SetDunning(invoice.DunningNONE).ClearNextAttemptAt().ClearNextCheckAt().
		SetUpdatedAt(tx.Now)
	if receiptURL != "" {
		u.SetReceiptURL(receiptURL)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("mark invoice %s paid: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	return nil
}

// invoiceCheckIn is when an open invoice is looked at again although no event
// came: as payments, then every six hours.
func invoiceCheckIn(checks int) time.Duration {
	if checks > 8 {
		return 6 * time.Hour
	}
	return checkIn(checks)
}
