package stripe

import (
	"context"
	"fmt"
	"strconv"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// FinalizeInvoice finalizes the invoice that a quote has left behind, or makes
// one of the lines first: one position a line with its total, the tax as a
// position of its own. It is finalized only when Stripe's total is ours and
// what Stripe will ask for; one made here where that differs, or that Stripe
// refuses, is deleted and Rejected, and one that became due something else
// while it was finalized is voided. It never advances by itself.
func (a *Adapter) FinalizeInvoice(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.InvoiceRequest) (res gateway.InvoiceResult) {
	o := a.begin(ctx, acc, c, "invoice_finalize")
	defer o.end(&res.Outcome)
	res.InvoiceID, res.CustomerID = r.InvoiceID, r.Customer.ID
	total, err := toWire(r.Total)
	if err != nil {
		res.Outcome = refusal(codeBadRequest, err.Error()).Outcome
		return res
	}
	ours := r.InvoiceID == ""
	if ours {
		var p *problem
		if res.InvoiceID, res.CustomerID, p = o.makeInvoice(r); p != nil {
			if p.Status == gateway.StatusRejected && res.InvoiceID != "" {
				return o.dropInvoice(res, p)
			}
			res.Outcome = p.Outcome
			return res
		}
	}
	inv, p := o.getInvoice(res.InvoiceID)
	if p != nil {
		if ours {
			p = p.unsettled()
		}
		res.Outcome = p.Outcome
		return res
	}
	if inv.Total != total || inv.Currency != sdk.Currency(*wireCurrency(r.Total.Currency)) {
		why := refusal(codeTotalMismatch, fmt.Sprintf("the gateway's total is %d %s in its minor units, ours %d %s",
			inv.Total, inv.Currency, total, *wireCurrency(r.Total.Currency)))
		if ours && inv.Status == sdk.InvoiceStatusDraft {
			return o.dropInvoice(res, why)
		}
		res.Outcome, res.State = why.Outcome, gateway.InvoiceState(inv.Status)
		return res
	}
	if inv.Status != sdk.InvoiceStatusDraft || dueDiffers(inv) {
		o.saveCard(inv, r)
		return o.dueAsTotal(inv, ours)
	}
	if r.Number != "" && !ours && inv.Number != r.Number {
		_, p = change(o, "number", func(p sdk.Params) (*sdk.Invoice, error) {
			return o.c.invoices.Update(res.InvoiceID, &sdk.InvoiceParams{Params: p, Number: sdk.String(r.Number)})
		})
		if p != nil && p.Status != gateway.StatusRejected { // else Stripe's own number stays
			res.Outcome = p.Outcome
			return res
		}
	}
	o.replayed = false
	inv, p = change(o, "finalize", func(p sdk.Params) (*sdk.Invoice, error) {
		params := &sdk.InvoiceFinalizeInvoiceParams{Params: p, AutoAdvance: sdk.Bool(false)}
		params.AddExpand("payment_intent.latest_charge")
		return o.c.invoices.FinalizeInvoice(res.InvoiceID, params)
	})
	inv, p = o.settleInvoice(res.InvoiceID, inv, p, sdk.InvoiceStatusOpen, sdk.InvoiceStatusPaid)
	switch {
	case p != nil && p.Status == gateway.StatusRejected && ours:
		return o.dropInvoice(res, p)
	case p != nil:
		res.Outcome = p.Outcome
		return res
	}
	o.saveCard(inv, r)
	return o.dueAsTotal(inv, ours)
}

// saveCard has the card saved with which an open invoice will be paid: its
// payment tells the bank of it, and Stripe keeps the card. Where Stripe does
// not take that, the invoice is paid all the same, and the payer saves a card
// in another way.
func (o *operation) saveCard(inv *sdk.Invoice, r gateway.InvoiceRequest) {
	if !r.SaveCard || inv.Status != sdk.InvoiceStatusOpen || inv.PaymentIntent == nil {
		return
	}
	_, _ = write(o, "save-card", func(p sdk.Params) (*sdk.PaymentIntent, error) {
		return o.c.payments.Update(inv.PaymentIntent.ID, &sdk.PaymentIntentParams{
			Params: p, SetupFutureUsage: sdk.String(string(sdk.PaymentIntentSetupFutureUsageOffSession)),
		})
	})
}

// dueDiffers reports whether Stripe asks for another amount than the total:
// the customer owes or owns something there, or the total is too small to be
// charged. A draft tells the customer's balance as it would be applied. What
// credit notes have taken back is no difference.
func dueDiffers(inv *sdk.Invoice) bool {
	return inv.AmountDue+inv.PrePaymentCreditNotesAmount != inv.Total || inv.StartingBalance != 0
}

// dueAsTotal reports an invoice that asks for its total. Another one must not
// stand, since what is paid on it would never fit our books: a draft made here
// is deleted, an open invoice voided. One that took no money because Stripe
// has put its total on the customer's balance cannot be taken back; one that
// took money is reported as it is.
func (o *operation) dueAsTotal(inv *sdk.Invoice, ours bool) gateway.InvoiceResult {
	res := o.invoiceResult(inv)
	if res.Status != gateway.StatusSucceeded || !dueDiffers(inv) || inv.PaidOutOfBand {
		return res
	}
	why := refusal(codeTotalMismatch, fmt.Sprintf("the gateway would not charge %s for this invoice, because the customer has a balance there: "+
		"set the balance of customer %s to zero at the gateway and try again", res.Total, res.CustomerID))
	switch {
	case inv.Status == sdk.InvoiceStatusDraft && ours:
		return o.dropInvoice(gateway.InvoiceResult{InvoiceID: res.InvoiceID, CustomerID: res.CustomerID}, why)
	case inv.Status == sdk.InvoiceStatusOpen:
		void, p := change(o, "drop", func(p sdk.Params) (*sdk.Invoice, error) {
			return o.c.invoices.VoidInvoice(inv.ID, &sdk.InvoiceVoidInvoiceParams{Params: p})
		})
		if _, p = o.settleInvoice(inv.ID, void, p, sdk.InvoiceStatusVoid); p != nil {
			why = why.unsettled() // it may still stand: asking again drops it
		}
	case inv.Status == sdk.InvoiceStatusDraft, inv.Status == sdk.InvoiceStatusPaid && inv.AmountPaid == 0:
	default:
		return res
	}
	return gateway.InvoiceResult{Outcome: why.Outcome, InvoiceID: res.InvoiceID, CustomerID: res.CustomerID}
}

// makeInvoice makes the draft with its positions.
func (o *operation) makeInvoice(r gateway.InvoiceRequest) (invoiceID, customerID string, p *problem) {
	items, err := invoiceItems(r)
	if err != nil {
		return "", r.Customer.ID, refusal(codeBadRequest, err.Error())
	}
	customerID, p = o.ensureCustomer(r.Customer)
	if p != nil {
		return "", customerID, p
	}
	inv, p := o.newInvoice("invoice", customerID, r)
	if p != nil && p.Status == gateway.StatusRejected && p.err != nil && p.err.Param == "number" {
		// Somebody else uses the account and the number: Stripe takes one of
		// its own.
		r.Number = ""
		inv, p = o.newInvoice("invoice-unnumbered", customerID, r)
	}
	if p != nil {
		return "", customerID, p
	}
	o.acted = true
	if o.replayed {
		// Positions cannot be added any more once it is finalized.
		now, p := o.getInvoice(inv.ID)
		if p != nil && p.absent {
			return "", customerID, refusal(codeCanceled, "the invoice was deleted at the gateway")
		}
		if p != nil {
			return inv.ID, customerID, p.unsettled()
		}
		if now.Status != sdk.InvoiceStatusDraft {
			return inv.ID, customerID, nil
		}
	}
	for i, it := range items {
		if p := o.addItem(inv.ID, customerID, r.Currency, i, it); p != nil {
			return inv.ID, customerID, p
		}
	}
	return inv.ID, customerID, nil
}

// newInvoice makes the empty draft.
func (o *operation) newInvoice(step, customerID string, r gateway.InvoiceRequest) (*sdk.Invoice, *problem) {
	return remake(o, step, func() (*sdk.Invoice, *problem) {
		return newest[sdk.Invoice](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.invoices.List(&sdk.InvoiceListParams{ListParams: l, Customer: sdk.String(customerID)}).Iter
		})
	}, func(p sdk.Params) (*sdk.Invoice, error) {
		return o.c.invoices.New(&sdk.InvoiceParams{
			Params:                      p,
			Customer:                    sdk.String(customerID),
			Currency:                    wireCurrency(r.Currency),
			AutoAdvance:                 sdk.Bool(false),
			CollectionMethod:            sdk.String(string(sdk.InvoiceCollectionMethodChargeAutomatically)),
			PendingInvoiceItemsBehavior: sdk.String("exclude"),
			Number:                      optional(r.Number),
			Description:                 optional(clip(r.Description, descriptionMax)),
			Metadata:                    o.metadata(step),
		})
	})
}

// addItem adds one position to a draft.
func (o *operation) addItem(invoiceID, customerID, currency string, n int, it item) *problem {
	step := "item-" + strconv.Itoa(n)
	_, p := remake(o, step, func() (*sdk.InvoiceItem, *problem) {
		return newest[sdk.InvoiceItem](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.items.List(&sdk.InvoiceItemListParams{ListParams: l, Invoice: sdk.String(invoiceID)}).Iter
		})
	}, func(p sdk.Params) (*sdk.InvoiceItem, error) {
		return o.c.items.New(&sdk.InvoiceItemParams{
			Params:      p,
			Customer:    sdk.String(customerID),
			Invoice:     sdk.String(invoiceID),
			Amount:      sdk.Int64(it.amount),
			Currency:    wireCurrency(currency),
			Description: optional(it.description),
			Metadata:    o.metadata(step),
		})
	})
	return p
}

// dropInvoice deletes a draft made here that must not stand, and reports why.
func (o *operation) dropInvoice(res gateway.InvoiceResult, why *problem) gateway.InvoiceResult {
	p := o.deleteDraft(res.InvoiceID, "drop")
	res.Outcome = why.Outcome
	if p != nil {
		// It may still stand: asking again drops it.
		res.Outcome = why.unsettled().Outcome
		return res
	}
	res.InvoiceID = ""
	return res
}

// deleteDraft deletes a draft; one that is gone is a success.
func (o *operation) deleteDraft(id, step string) *problem {
	_, p := change(o, step, func(p sdk.Params) (*sdk.Invoice, error) {
		return o.c.invoices.Del(id, &sdk.InvoiceParams{Params: p})
	})
	if p == nil || p.absent {
		return nil
	}
	if p.stored {
		if _, rp := o.getInvoice(id); rp != nil && rp.absent {
			return nil
		}
	}
	return p
}

// PayInvoice charges the card. Where the payer must authenticate, the outcome
// is ActionNeeded with the page of 3-D Secure, which leads back to ReturnURL,
// or else with the invoice's own page, on which it can be paid as well.
//
// A call whose key Stripe may have forgotten charges nothing: it reports what
// became of the first one.
func (a *Adapter) PayInvoice(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.InvoicePayRequest) (res gateway.InvoiceResult) {
	o := a.begin(ctx, acc, c, "invoice_pay")
	defer o.end(&res.Outcome)
	if o.refused == nil && o.stale() {
		return o.lateInvoicePayment(r.InvoiceID)
	}
	inv, p := write(o, "pay", func(p sdk.Params) (*sdk.Invoice, error) {
		params := &sdk.InvoicePayParams{
			Params:        p,
			PaymentMethod: optional(r.PaymentMethodID),
			OffSession:    sdk.Bool(r.OffSession),
		}
		params.AddExpand("payment_intent.latest_charge")
		return o.c.invoices.Pay(r.InvoiceID, params)
	})
	if p == nil && !o.replayed {
		return o.invoicePaid(inv)
	}
	if p != nil && p.Status != gateway.StatusDeclined && p.Status != gateway.StatusActionNeeded && !p.worthLooking() {
		res.Outcome, res.InvoiceID = p.Outcome, r.InvoiceID
		return res
	}
	now, rp := o.getInvoice(r.InvoiceID)
	if rp != nil {
		return o.unpaidUnseen(r.InvoiceID, p, rp)
	}
	if p == nil || now.Status == sdk.InvoiceStatusPaid {
		return o.invoicePaid(now)
	}
	if p.server && p.replayed {
		return o.firstPayment(now)
	}
	res = o.invoiceResult(now)
	if res.Status == gateway.StatusSucceeded { // it could be read
		res.Outcome = p.Outcome
		o.refusePayment(&res, p)
	}
	if res.Status == gateway.StatusActionNeeded && r.ReturnURL != "" {
		return o.authenticateInvoice(res, now, r)
	}
	return res
}

// authenticateInvoice asks for a page of 3-D Secure that leads back to where
// the caller wants it. Paying an invoice takes no such address, confirming the
// payment behind it once more does. Whatever stands against that, the payer
// still has the invoice's own page.
func (o *operation) authenticateInvoice(res gateway.InvoiceResult, inv *sdk.Invoice, r gateway.InvoicePayRequest) gateway.InvoiceResult {
	if inv.PaymentIntent == nil || inv.PaymentIntent.Status != sdk.PaymentIntentStatusRequiresAction || redirectOf(inv.PaymentIntent) != "" {
		return res
	}
	pi, p := write(o, "pay-confirm", func(p sdk.Params) (*sdk.PaymentIntent, error) {
		return o.c.payments.Confirm(inv.PaymentIntent.ID, &sdk.PaymentIntentConfirmParams{
			Params:        p,
			PaymentMethod: optional(r.PaymentMethodID),
			ReturnURL:     sdk.String(r.ReturnURL),
		})
	})
	switch {
	case p != nil:
		return res
	case pi.Status == sdk.PaymentIntentStatusRequiresAction:
		if page := redirectOf(pi); page != "" {
			res.NextAction = gateway.NextAction{RedirectURL: page}
		}
		return res
	}
	// The bank did not ask again.
	if now, rp := o.getInvoice(inv.ID); rp == nil {
		return o.invoicePaid(now)
	}
	return res
}

// invoicePaid reports an invoice whose payment was taken: paid, or still
// under way with methods that take days.
func (o *operation) invoicePaid(inv *sdk.Invoice) gateway.InvoiceResult {
	res := o.invoiceResult(inv)
	if res.Status != gateway.StatusSucceeded || inv.Status == sdk.InvoiceStatusPaid {
		return res
	}
	switch res.Payment.Status {
	case gateway.StatusProcessing, gateway.StatusActionNeeded, gateway.StatusDeclined:
		res.Status = res.Payment.Status
		res.Failure = res.Payment.Failure
	default:
		res.Status = gateway.StatusProcessing
	}
	if res.Status == gateway.StatusActionNeeded {
		res.NextAction = pageOf(inv)
	}
	return res
}

// refusePayment adds to a read invoice what the attempt's refusal says.
func (o *operation) refusePayment(res *gateway.InvoiceResult, p *problem) {
	if p.Status == gateway.StatusActionNeeded {
		res.Payment.Status = gateway.StatusActionNeeded
		if res.NextAction.RedirectURL == "" {
			res.NextAction = gateway.NextAction{RedirectURL: res.HostedURL}
		}
		if res.NextAction.RedirectURL == "" && p.err.PaymentIntent != nil {
			res.NextAction.ClientSecret = p.err.PaymentIntent.ClientSecret
		}
	}
	if p.Status == gateway.StatusDeclined {
		res.Payment.Status = gateway.StatusDeclined
		res.Payment.Failure = p.Failure
	}
	if res.Payment.GatewayPaymentID == "" && p.err != nil && p.err.PaymentIntent != nil {
		res.Payment.GatewayPaymentID = p.err.PaymentIntent.ID
	}
}

// unpaidUnseen reports a payment whose invoice could not be read afterwards.
func (o *operation) unpaidUnseen(id string, p, look *problem) gateway.InvoiceResult {
	res := gateway.InvoiceResult{InvoiceID: id}
	if p != nil && p.Status == gateway.StatusDeclined && !o.replayed {
		// A fresh no needs no second look.
		res.Outcome = p.Outcome
		o.refusePayment(&res, p)
		return res
	}
	res.Outcome = p.afterLooking(look).Outcome
	if p != nil && p.Status == gateway.StatusActionNeeded {
		// Without the page there is no way on; asking again finds it.
		res.Status = gateway.StatusUnknown
	}
	return res
}

// lateInvoicePayment reports what became of an attempt made so long ago that
// it cannot be asked for by its key.
func (o *operation) lateInvoicePayment(id string) gateway.InvoiceResult {
	inv, p := o.getInvoice(id)
	if p != nil {
		return gateway.InvoiceResult{InvoiceID: id, Outcome: p.unsettled().Outcome}
	}
	return o.firstPayment(inv)
}

// firstPayment reports what became of a call's first request to pay, which is
// over, from the invoice alone.
func (o *operation) firstPayment(inv *sdk.Invoice) gateway.InvoiceResult {
	res := o.invoiceResult(inv)
	if res.Status != gateway.StatusSucceeded || inv.Status == sdk.InvoiceStatusPaid {
		return res
	}
	if res.Payment.Status != "" {
		return o.invoicePaid(inv)
	}
	// It is open and nothing was tried: the request never arrived, or did
	// nothing.
	res.Outcome = o.never("the payment was never made")
	return res
}

// SettleInvoice marks it paid without moving money at Stripe.
func (a *Adapter) SettleInvoice(ctx context.Context, acc gateway.Account, c gateway.Call, invoiceID string) (res gateway.InvoiceResult) {
	o := a.begin(ctx, acc, c, "invoice_settle")
	defer o.end(&res.Outcome)
	inv, p := change(o, "settle", func(p sdk.Params) (*sdk.Invoice, error) {
		params := &sdk.InvoicePayParams{Params: p, PaidOutOfBand: sdk.Bool(true)}
		params.AddExpand("payment_intent.latest_charge")
		return o.c.invoices.Pay(invoiceID, params)
	})
	return o.settled(invoiceID, inv, p, sdk.InvoiceStatusPaid)
}

// VoidInvoice voids it, and with it the payment that was to pay it.
func (a *Adapter) VoidInvoice(ctx context.Context, acc gateway.Account, c gateway.Call, invoiceID string) (res gateway.InvoiceResult) {
	o := a.begin(ctx, acc, c, "invoice_void")
	defer o.end(&res.Outcome)
	inv, p := change(o, "void", func(p sdk.Params) (*sdk.Invoice, error) {
		params := &sdk.InvoiceVoidInvoiceParams{Params: p}
		params.AddExpand("payment_intent.latest_charge")
		return o.c.invoices.VoidInvoice(invoiceID, params)
	})
	return o.settled(invoiceID, inv, p, sdk.InvoiceStatusVoid)
}

func (o *operation) settled(id string, inv *sdk.Invoice, p *problem, wanted sdk.InvoiceStatus) gateway.InvoiceResult {
	if inv, p = o.settleInvoice(id, inv, p, wanted); p != nil {
		return gateway.InvoiceResult{Outcome: p.Outcome, InvoiceID: id}
	}
	return o.invoiceResult(inv)
}

// DeleteDraftInvoice deletes it. One that is gone is a success.
func (a *Adapter) DeleteDraftInvoice(ctx context.Context, acc gateway.Account, c gateway.Call, invoiceID string) (res gateway.InvoiceResult) {
	o := a.begin(ctx, acc, c, "invoice_delete")
	defer o.end(&res.Outcome)
	res.InvoiceID = invoiceID
	if p := o.deleteDraft(invoiceID, "delete"); p != nil {
		res.Outcome = p.Outcome
		return res
	}
	res.Outcome = o.succeeded()
	return res
}

// FetchInvoice reads it with the payment behind it.
func (a *Adapter) FetchInvoice(ctx context.Context, acc gateway.Account, invoiceID string) (res gateway.InvoiceResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "invoice_fetch")
	defer o.end(&res.Outcome)
	inv, p := o.getInvoice(invoiceID)
	if p != nil {
		res.Outcome, res.InvoiceID = p.Outcome, invoiceID
		return res
	}
	return o.invoiceResult(inv)
}

func (o *operation) getInvoice(id string) (*sdk.Invoice, *problem) {
	inv, p := read(o, func(p sdk.Params) (*sdk.Invoice, error) {
		params := &sdk.InvoiceParams{Params: p}
		params.AddExpand("payment_intent.latest_charge")
		return o.c.invoices.Get(id, params)
	})
	if p == nil && inv.Deleted {
		p = refusal(codeMissing, "the invoice was deleted at the gateway")
		p.absent = true
		return nil, p
	}
	return inv, p
}

// settleInvoice looks again where the answer to a change is old, lost for
// good or a refusal: the invoice may already be as it was asked to be.
func (o *operation) settleInvoice(id string, inv *sdk.Invoice, p *problem, wanted ...sdk.InvoiceStatus) (*sdk.Invoice, *problem) {
	if p == nil && !o.replayed {
		return inv, nil
	}
	if p != nil && !p.worthLooking() {
		return nil, p
	}
	now, rp := o.getInvoice(id)
	if rp != nil {
		return nil, p.afterLooking(rp)
	}
	for _, status := range wanted {
		if now.Status == status {
			return now, nil
		}
	}
	if p == nil {
		return now, nil // the change was made, others followed
	}
	return nil, p
}

// invoiceResult reports the invoice as Stripe has it.
func (o *operation) invoiceResult(inv *sdk.Invoice) gateway.InvoiceResult {
	state := gateway.InvoiceState(inv.Status)
	switch state {
	case gateway.InvoiceDraft, gateway.InvoiceOpen, gateway.InvoicePaid, gateway.InvoiceUncollectible, gateway.InvoiceVoid:
	default:
		return gateway.InvoiceResult{InvoiceID: inv.ID, Outcome: unreadable(o.requestID, fmt.Errorf("invoice %s is in the unknown state %q", inv.ID, inv.Status)).Outcome}
	}
	res := gateway.InvoiceResult{
		Outcome:     o.succeeded(),
		InvoiceID:   inv.ID,
		State:       state,
		PaidOutside: inv.PaidOutOfBand,
		HostedURL:   inv.HostedInvoiceURL,
		PDFURL:      inv.InvoicePDF,
	}
	if inv.Customer != nil {
		res.CustomerID = inv.Customer.ID
	}
	var err error
	if res.Total, err = fromWire(inv.Total, inv.Currency); err == nil {
		res.AmountDue, err = fromWire(inv.AmountDue, inv.Currency)
	}
	if err == nil {
		res.AmountPaid, err = fromWire(inv.AmountPaid, inv.Currency)
	}
	if err == nil {
		res.Credited, err = fromWire(inv.PrePaymentCreditNotesAmount, inv.Currency)
	}
	if err == nil && inv.PaymentIntent != nil && inv.PaymentIntent.Status != "" {
		res.Payment, err = paymentState(inv.PaymentIntent)
	} else if err == nil && inv.PaymentIntent != nil {
		res.Payment.GatewayPaymentID = inv.PaymentIntent.ID
	}
	if err != nil {
		res.Outcome = unreadable(o.requestID, err).Outcome
		return res
	}
	res.ClientSecret = formSecret(inv)
	if res.Payment.Status == gateway.StatusActionNeeded && neverTried(inv.PaymentIntent) {
		// Every finalized invoice has a payment waiting; nobody has tried it.
		res.Payment.Status = ""
	}
	if res.PaidOutside {
		res.Payment = gateway.PaymentState{}
	}
	if res.Payment.Status == gateway.StatusActionNeeded {
		res.NextAction = pageOf(inv)
	}
	return res
}

// formSecret is the secret with which the library in the payer's browser pays an
// open invoice: that of the payment which waits behind it.
func formSecret(inv *sdk.Invoice) string {
	if inv.Status != sdk.InvoiceStatusOpen || inv.PaymentIntent == nil {
		return ""
	}
	switch inv.PaymentIntent.Status {
	case sdk.PaymentIntentStatusRequiresPaymentMethod, sdk.PaymentIntentStatusRequiresConfirmation, sdk.PaymentIntentStatusRequiresAction:
		return inv.PaymentIntent.ClientSecret
	default:
		return ""
	}
}

// pageOf is where the payer goes on: at the bank where it waits for the payer,
// else on the invoice's own page.
func pageOf(inv *sdk.Invoice) gateway.NextAction {
	if inv.PaymentIntent != nil {
		if page := redirectOf(inv.PaymentIntent); page != "" {
			return gateway.NextAction{RedirectURL: page}
		}
	}
	if inv.HostedInvoiceURL != "" || inv.PaymentIntent == nil {
		return gateway.NextAction{RedirectURL: inv.HostedInvoiceURL}
	}
	return gateway.NextAction{ClientSecret: inv.PaymentIntent.ClientSecret}
}
