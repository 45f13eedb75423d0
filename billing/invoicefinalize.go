package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/payer"
	"purser/gateway"
	"purser/money"
)

// InvoiceFinalizeDraft makes an invoice payable.
type InvoiceFinalizeDraft struct {
	ID  string
	Key *string `json:"-"`
}

// InvoiceFinalization is a begun finalization; without a Call there is
// nothing to ask.
type InvoiceFinalization struct {
	InvoiceID string
	*Call
	Request gateway.InvoiceRequest
}

// BeginInvoiceFinalization stores the intent to finalize a draft. One that no
// gateway keeps is OPEN afterwards, or PAID when nothing is due.
//
// Codes: NOT_FOUND, INVALID_STATE, INVALID, IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginInvoiceFinalization(ctx context.Context, d InvoiceFinalizeDraft) (*InvoiceFinalization, error) {
	op, err := s.newOperation("invoiceFinalize", d.Key, keyOptional, d)
	if err != nil {
		return nil, err
	}
	callID := s.newID(prefixCall)
	out := InvoiceFinalization{InvoiceID: d.ID}
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			found = earlier.CallID
			return nil
		}
		inv, err := tx.lockInvoice(ctx, d.ID)
		if err != nil {
			return err
		}
		if err := tx.invoiceIs(ctx, inv, invoice.StatusDRAFT); err != nil {
			return err
		}
		if out.Request, found, err = tx.beginFinalization(ctx, inv, callID); err != nil {
			return err
		}
		return tx.remember(ctx, op, inv.ID, "", found)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// beginFinalization finalizes a draft that no gateway keeps, or stores the
// intent to have its gateway do so: then it returns the call with its request.
func (tx *Tx) beginFinalization(ctx context.Context, inv *ent.Invoice, callID string) (request gateway.InvoiceRequest, call string, err error) {
	if _, err := tx.organization(ctx); err != nil {
		return request, "", err
	}
	if err := tx.mayBeInvoiced(ctx, inv); err != nil {
		return request, "", err
	}
	if err := tx.freezeTax(ctx, inv); err != nil {
		return request, "", err
	}
	kept, err := tx.keptAtGateway(ctx, inv)
	if err != nil {
		return request, "", err
	}
	if !kept {
		return request, "", tx.openInvoice(ctx, inv, gateway.InvoiceResult{})
	}
	if err := tx.reserveNumber(ctx, inv); err != nil {
		return request, "", err
	}
	if request, err = tx.invoiceRequest(ctx, inv); err != nil {
		return request, "", err
	}
	if err := tx.openCall(ctx, callID, *inv.ProviderID, gatewaycall.OperationINVOICE_FINALIZE, inv.ID, request); err != nil {
		return request, "", err
	}
	return request, callID, tx.reserveInvoice(ctx, inv, callID)
}

// finalizeAgainIn is when a draft is tried again that was to finalize itself
// and could not.
const finalizeAgainIn = 24 * time.Hour

// finalizeSoon has a draft that finalizes itself tried again as soon as its
// gateway may answer.
func (tx *Tx) finalizeSoon(ctx context.Context, id string) error {
	_, err := tx.Invoice.Update().
		Where(invoice.ID(id), invoice.StatusEQ(invoice.StatusDRAFT), invoice.FinalizesAtGT(tx.Now.Add(chargeUnreached))).
		SetFinalizesAt(tx.Now.Add(chargeUnreached)).Save(ctx)
	return wrapped(err, "finalize draft "+id+" soon")
}

// DueFinalizations lists drafts of the viewer's organization that finalize
// themselves now, the longest waiting first.
func (s *Service) DueFinalizations(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Invoice.Query().Where(finalizationDue(s.now(ctx))).
		Order(ent.Asc(invoice.FieldFinalizesAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list drafts to finalize: %w", err)
	}
	return ids, nil
}

// BeginDueFinalization is BeginInvoiceFinalization for a draft whose time has
// come; it returns nil when somebody else has taken it. What is refused now is
// tried again later.
func (s *Service) BeginDueFinalization(ctx context.Context, id string) (*InvoiceFinalization, error) {
	callID := s.newID(prefixCall)
	out := InvoiceFinalization{InvoiceID: id}
	var found string
	later := func(ctx context.Context, tx *Tx) (bool, error) {
		n, err := tx.Invoice.Update().Where(invoice.ID(id), finalizationDue(tx.Now)).SetFinalizesAt(tx.Now.Add(finalizeAgainIn)).Save(ctx)
		if err != nil {
			return false, fmt.Errorf("claim draft %s: %w", id, err)
		}
		return n == 1, nil
	}
	taken := false
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		var err error
		if taken, err = later(ctx, tx); !taken || err != nil {
			return err
		}
		inv, err := tx.lockInvoice(ctx, id)
		if err != nil {
			return err
		}
		out.Request, found, err = tx.beginFinalization(ctx, inv, callID)
		return err
	})
	if isRefusal(err) {
		s.log.WarnContext(ctx, "draft cannot be finalized", "invoice_id", id, "reason", err)
		return nil, s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
			_, err := later(ctx, tx)
			return err
		})
	}
	if err != nil || !taken {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// mayBeInvoiced refuses to issue an invoice to a payer that is closed, or in a
// currency that the organization does not sell in any more. A suspended payer
// is billed for what it had before, and what was used is billed in any currency.
func (tx *Tx) mayBeInvoiced(ctx context.Context, inv *ent.Invoice) error {
	p, err := tx.payer(ctx, inv.PayerID, "id")
	if err != nil {
		return err
	}
	if p.Status == payer.StatusCLOSED {
		return refuse(CodeInvalidState, "id", "the payer is %s", p.Status)
	}
	if inv.DebtUnits == nil {
		if _, err := tx.usableCurrency(ctx, inv.Currency, "id"); err != nil {
			return err
		}
	}
	return tx.keepStatus(ctx, p)
}

// lockInvoice reads an invoice for a change.
func (tx *Tx) lockInvoice(ctx context.Context, id string) (*ent.Invoice, error) {
	inv, err := tx.Invoice.Query().Where(invoice.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	return inv, orNotFound(err, "id", "invoice", id)
}

// invoiceIs refuses an invoice that is in none of the states, or that a
// gateway call is changing.
func (tx *Tx) invoiceIs(ctx context.Context, inv *ent.Invoice, states ...invoice.Status) error {
	for _, s := range states {
		if inv.Status != s {
			continue
		}
		if inv.PendingCallID != nil {
			return tx.underWay(ctx, "invoice", *inv.PendingCallID)
		}
		return nil
	}
	return refuse(CodeInvalidState, "id", "the invoice is %s", inv.Status)
}

// keptAtGateway says whether the invoice's provider keeps it as well: its
// gateway has invoices, and there is something it can charge. One over less
// than the gateway charges is only ours.
func (tx *Tx) keptAtGateway(ctx context.Context, inv *ent.Invoice) (bool, error) {
	if inv.GatewayInvoiceID != nil {
		return true, nil
	}
	if inv.ProviderID == nil || inv.TotalUnits <= 0 || inv.Collection == invoice.CollectionBALANCE || !money.IsISO(inv.Currency) {
		return false, nil
	}
	p, err := tx.usableProvider(ctx, *inv.ProviderID, "providerId")
	if err != nil {
		return false, err
	}
	if !gateway.Kind(p.Kind).Terms().Invoices || tooSmall(inv.Total(), p.Kind) {
		return false, nil
	}
	if err := chargeable(inv.Total(), p.Kind, "id"); err != nil {
		if inv.DebtUnits != nil && isRefused(err) {
			return false, nil // nobody has chosen the amount: it was used
		}
		return false, err
	}
	return true, nil
}

// invoiceRequest is what the gateway is asked to finalize: the draft it has,
// or one made of the lines, whose totals may have digits below what the
// gateway counts; the total has none.
func (tx *Tx) invoiceRequest(ctx context.Context, inv *ent.Invoice) (gateway.InvoiceRequest, error) {
	p, err := tx.payer(ctx, inv.PayerID, "id")
	if err != nil {
		return gateway.InvoiceRequest{}, err
	}
	customer, err := tx.customer(ctx, p, *inv.ProviderID)
	if err != nil {
		return gateway.InvoiceRequest{}, err
	}
	r := gateway.InvoiceRequest{
		InvoiceID: orEmpty(inv.GatewayInvoiceID), Number: orEmpty(inv.Number), Customer: customer, Currency: inv.Currency,
		Tax: inv.Tax(), Total: inv.Total(), Description: orEmpty(inv.Description),
		SaveCard: inv.SubscriptionID != nil && inv.Collection == invoice.CollectionAUTOMATIC,
	}
	if r.InvoiceID != "" {
		return r, nil
	}
	if inv.DebtUnits != nil {
		// Its positions include tax, which the gateway shows as one of its own.
		r.Lines = []gateway.Line{gatewayLine("Usage", 1, inv.Subtotal(), inv.Subtotal())}
		return r, nil
	}
	lines, err := tx.InvoiceLine.Query().Where(invoiceline.InvoiceID(inv.ID)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
	if err != nil {
		return r, fmt.Errorf("read positions: %w", err)
	}
	for _, l := range lines {
		r.Lines = append(r.Lines, gatewayLine(l.Description, l.Quantity, l.UnitAmount(), l.Amount()))
	}
	return r, nil
}

// openInvoice moves a draft to OPEN, or to PAID when nothing is due: it gets
// its number, its due date and its place in the ledger. The gateway's part is
// empty for an invoice that is only ours.
func (tx *Tx) openInvoice(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) error {
	o, err := tx.tenant(ctx)
	if err != nil {
		return err
	}
	if err := tx.reserveNumber(ctx, inv); err != nil {
		return err
	}
	p, err := tx.payer(ctx, inv.PayerID, "")
	if err != nil {
		return err
	}
	due := tx.Now
	switch {
	case inv.Collection == invoice.CollectionSEND:
		due = due.AddDate(0, 0, o.SendNetDays)
	case inv.DebtUnits != nil:
		due = due.AddDate(0, 0, o.UsageNetDays)
	case inv.Collection == invoice.CollectionAUTOMATIC:
		due = due.AddDate(0, 0, o.AutomaticNetDays)
	}
	u := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusDRAFT)).
		SetStatus(invoice.StatusOPEN).SetFinalizedAt(tx.Now).SetDueAt(due).
		SetRecipient(recipientOf(p)).SetSeller(sellerOf(o)).
		ClearFinalizesAt().ClearPendingCallID().SetUpdatedAt(tx.Now)
	if r.InvoiceID != "" {
		u.SetGatewayInvoiceID(r.InvoiceID).SetNextCheckAt(tx.Now.Add(checkIn(0)))
		setInvoiceLinks(u, r)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("open invoice %s: %w", inv.ID, err)
	}
	if err := tx.keepOwnerAt(ctx, orEmpty(inv.ProviderID), r.InvoiceID); err != nil {
		return err
	}
	opened, err := tx.lockInvoice(ctx, inv.ID)
	if err != nil {
		return err
	}
	if err := tx.bookInvoice(ctx, opened); err != nil {
		return err
	}
	if opened.AmountDueUnits == 0 {
		return tx.markPaid(ctx, opened, "")
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	if opened.Collection == invoice.CollectionBALANCE {
		b, err := tx.settledBalance(ctx, opened.PayerID, opened.Currency)
		if err != nil {
			return err
		}
		if !postpaid(b) {
			if _, err := tx.payFromBalance(ctx, opened, b.ID); err != nil {
				return err
			}
		}
	} else if err := tx.scheduleCharge(ctx, opened, o); err != nil {
		return err
	}
	if opened.Collection == invoice.CollectionSEND && opened.Recipient != nil && opened.Recipient.Email != "" {
		if err := tx.sendInvoice(ctx, opened); err != nil {
			return err
		}
	}
	return tx.subscriptionInvoiceChanged(ctx, opened.ID)
}

// reserveNumber gives a draft its number when it is first tried to issue it,
// so that the gateway's page and receipt show ours. The draft keeps it for the
// next try, or takes it along when it is voided: there are no gaps.
func (tx *Tx) reserveNumber(ctx context.Context, inv *ent.Invoice) error {
	if inv.Number != nil {
		return nil
	}
	o, err := tx.tenant(ctx)
	if err != nil {
		return err
	}
	number, err := tx.invoiceNumber(ctx, o)
	if err != nil {
		return err
	}
	n, err := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusDRAFT), invoice.NumberIsNil()).SetNumber(number).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("number invoice %s: %w", inv.ID, err)
	}
	inv.Number = &number
	return nil
}

func setInvoiceLinks(u *ent.InvoiceUpdate, r gateway.InvoiceResult) {
	if r.HostedURL != "" {
		u.SetHostedURL(r.HostedURL)
	}
	if r.PDFURL != "" {
		u.SetPdfURL(r.PDFURL)
	}
}

// FinishInvoiceFinalization applies the outcome of a finalization. It may be
// called any number of times.
func (s *Service) FinishInvoiceFinalization(ctx context.Context, callID string, r gateway.InvoiceResult) error {
	return s.finishInvoice(ctx, callID, r, func(ctx context.Context, tx *Tx, id string) error {
		return tx.applyInvoice(ctx, id, r)
	})
}

// finishInvoice is the frame of Finish for finalizing and voiding. The refusal
// it returns says that the gateway took nothing; it is told to whoever asks
// later as well.
func (s *Service) finishInvoice(ctx context.Context, callID string, r gateway.InvoiceResult, apply func(context.Context, *Tx, string) error) error {
	var refusal error
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		refusal = nil
		switch v {
		case verdictKnown:
			refusal = refusalOf("id", c)
			return nil
		case verdictAgain:
			return nil
		case verdictDone, verdictFreed:
		}
		if _, err := tx.Invoice.Update().Where(invoice.ID(c.Subject), invoice.PendingCallID(callID)).ClearPendingCallID().Save(ctx); err != nil {
			return fmt.Errorf("free invoice: %w", err)
		}
		if v == verdictFreed || r.Status == gateway.StatusDeclined {
			refusal = callRefusal("id", r.Outcome)
			if r.Status == gateway.StatusUnavailable {
				if err := tx.finalizeSoon(ctx, c.Subject); err != nil {
					return err
				}
			}
			return tx.forgetKey(ctx, callID)
		}
		return apply(ctx, tx, c.Subject)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}
