package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/ent/quoteline"
	"purser/gateway"
	"purser/money"
)

// InvoiceDraft is an invoice to be written without a quote.
type InvoiceDraft struct {
	PayerID     string
	ProviderID  string
	Lines       []LineDraft
	Description *string
	Collection  invoice.Collection
	Key         *string `json:"-"`
}

// CreateInvoice writes a draft and returns its id. Called again with the same
// key it returns the same invoice.
//
// Codes: INVALID, REQUIRED, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// LIMIT_EXCEEDED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateInvoice(ctx context.Context, d InvoiceDraft) (string, error) {
	op, err := s.newOperation("invoiceCreate", d.Key, keyOptional, d)
	if err != nil {
		return "", err
	}
	id := s.newID(prefixInvoice)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			id = earlier.Subject
			return nil
		}
		if len(d.Lines) == 0 {
			return refuse(CodeRequired, "lineItems", "an invoice needs at least one position")
		}
		p, err := tx.activePayer(ctx, d.PayerID, "payerId")
		if err != nil {
			return err
		}
		lines, subtotal, err := tx.lines(ctx, d.Lines, "lineItems")
		if err != nil {
			return err
		}
		description, err := optionalNote(d.Description, "description", "the description")
		if err != nil {
			return err
		}
		provider, err := tx.invoiceProvider(ctx, d.ProviderID, commonProvider(lines))
		if err != nil {
			return err
		}
		c := tx.newInvoice(id, p.ID, subtotal, description).SetCollection(d.Collection)
		if provider != "" {
			c.SetProviderID(provider)
		}
		if err := tx.saveInvoice(ctx, c, p, subtotal); err != nil {
			return err
		}
		if err := tx.writeInvoiceLines(ctx, id, lines); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", "")
	})
	return id, err
}

// invoiceProvider is the provider asked for, else the products', else the
// organization's default, else "": the invoice then stays here.
func (tx *Tx) invoiceProvider(ctx context.Context, asked, products string) (string, error) {
	for _, id := range []string{asked, products} {
		if id != "" {
			p, err := tx.usableProvider(ctx, id, "providerId")
			if err != nil {
				return "", err
			}
			return p.ID, nil
		}
	}
	o, err := tx.organization(ctx)
	if err != nil {
		return "", err
	}
	return orEmpty(o.DefaultProviderID), nil
}

func (tx *Tx) newInvoice(id, payerID string, subtotal money.Amount, description *string) *ent.InvoiceCreate {
	return tx.Invoice.Create().
		SetID(id).SetPayerID(payerID).SetCurrency(subtotal.Currency).SetNillableDescription(description).
		SetPublicToken(tx.s.newSecret(24)).SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
}

// saveInvoice stores a draft with its sums: tax once on the exact sum of the
// lines, the total in whole minor units.
func (tx *Tx) saveInvoice(ctx context.Context, c *ent.InvoiceCreate, p *ent.Payer, subtotal money.Amount) error {
	tax := money.Amount{Currency: subtotal.Currency}
	var err error
	if p.TaxRatePpm != nil {
		if tax, err = subtotal.Rate(*p.TaxRatePpm); err == nil {
			tax, err = tax.RoundToMinor()
		}
		if err != nil {
			return refusedAmount(err, "lineItems")
		}
	}
	total, err := subtotal.Add(tax)
	if err == nil {
		total, err = total.RoundToMinor()
	}
	if err != nil {
		return refusedAmount(err, "lineItems")
	}
	c.SetSubtotalUnits(subtotal.Units).SetTaxUnits(tax.Units).SetTotalUnits(total.Units).SetAmountDueUnits(total.Units)
	row, err := c.Save(ctx)
	if err != nil {
		return fmt.Errorf("store invoice: %w", err)
	}
	tx.changed(ctx, ChangeInvoice, row.ID, row.PayerID)
	return nil
}

// invoiceOfQuote makes the draft that accepting a quote leaves behind.
func (tx *Tx) invoiceOfQuote(ctx context.Context, q *ent.Quote, id, gatewayInvoiceID string) error {
	p, err := tx.payer(ctx, orEmpty(q.PayerID), "id")
	if err != nil {
		return err
	}
	positions, err := tx.QuoteLine.Query().Where(quoteline.QuoteID(q.ID)).Order(ent.Asc(quoteline.FieldPosition)).All(ctx)
	if err != nil {
		return fmt.Errorf("read positions: %w", err)
	}
	lines := make([]line, len(positions))
	for i, l := range positions {
		lines[i] = line{description: l.Description, priceID: l.PriceID, quantity: l.Quantity, unitAmount: l.UnitAmount(), amount: l.Amount()}
	}
	c := tx.newInvoice(id, p.ID, *q.Total(), q.Description).SetQuoteID(q.ID)
	if q.ProviderID != nil {
		c.SetProviderID(*q.ProviderID)
	}
	if gatewayInvoiceID != "" {
		c.SetGatewayInvoiceID(gatewayInvoiceID).SetNextCheckAt(tx.Now.Add(checkIn(0)))
	}
	if err := tx.saveInvoice(ctx, c, p, *q.Total()); err != nil {
		return err
	}
	return tx.writeInvoiceLines(ctx, id, lines)
}

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
		inv, err := tx.lockInvoiceRow(ctx, d.ID)
		if err != nil {
			return err
		}
		if err := invoiceIs(inv, invoice.StatusDRAFT); err != nil {
			return err
		}
		found = ""
		kept, err := tx.keptAtGateway(ctx, inv)
		if err != nil {
			return err
		}
		if !kept {
			if err := tx.openInvoice(ctx, inv, gateway.InvoiceResult{}); err != nil {
				return err
			}
			return tx.remember(ctx, op, inv.ID, "", "")
		}
		if out.Request, err = tx.invoiceRequest(ctx, inv); err != nil {
			return err
		}
		found = callID
		if err := tx.openCall(ctx, callID, *inv.ProviderID, gatewaycall.OperationINVOICE_FINALIZE, inv.ID, out.Request); err != nil {
			return err
		}
		if err := tx.lockInvoice(ctx, inv, callID); err != nil {
			return err
		}
		return tx.remember(ctx, op, inv.ID, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

func (tx *Tx) lockInvoiceRow(ctx context.Context, id string) (*ent.Invoice, error) {
	inv, err := tx.Invoice.Query().Where(invoice.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	return inv, orNotFound(err, "id", "invoice", id)
}

// invoiceIs refuses an invoice that is in none of the states, or that a
// gateway call is changing.
func invoiceIs(inv *ent.Invoice, states ...invoice.Status) error {
	for _, s := range states {
		if inv.Status != s {
			continue
		}
		if inv.PendingCallID != nil {
			return refuse(CodeInvalidState, "id", "the invoice is being changed at the gateway: look again in a moment")
		}
		return nil
	}
	return refuse(CodeInvalidState, "id", "the invoice is %s", inv.Status)
}

// keptAtGateway says whether the invoice's provider keeps it as well: its
// gateway has invoices, and there is something it can charge.
func (tx *Tx) keptAtGateway(ctx context.Context, inv *ent.Invoice) (bool, error) {
	if inv.GatewayInvoiceID != nil {
		return true, nil
	}
	if inv.ProviderID == nil || inv.TotalUnits == 0 || inv.Collection == invoice.CollectionBALANCE || !money.IsISO(inv.Currency) {
		return false, nil
	}
	p, err := tx.usableProvider(ctx, *inv.ProviderID, "providerId")
	if err != nil {
		return false, err
	}
	if p.Kind != provider.KindSTRIPE {
		return false, nil
	}
	return true, chargeable(inv.Total(), p.Kind, "id")
}

// invoiceRequest is what the gateway is asked to finalize: the draft it has,
// or one made of the lines' totals. What the lines have below the minor unit
// goes into a position of its own, so that both totals agree.
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
		InvoiceID: orEmpty(inv.GatewayInvoiceID), Customer: customer, Currency: inv.Currency,
		Tax: inv.Tax(), Total: inv.Total(), Description: orEmpty(inv.Description),
	}
	if r.InvoiceID != "" {
		return r, nil
	}
	lines, err := tx.InvoiceLine.Query().Where(invoiceline.InvoiceID(inv.ID)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
	if err != nil {
		return r, fmt.Errorf("read positions: %w", err)
	}
	rest := inv.TotalUnits - inv.TaxUnits
	for _, l := range lines {
		whole := l.AmountUnits - l.AmountUnits%money.UnitsPerMinor
		rest -= whole
		if whole != 0 {
			r.Lines = append(r.Lines, gatewayLine(l.Description, l.Quantity, l.UnitAmount(), money.Amount{Units: whole, Currency: inv.Currency}))
		}
	}
	if rest != 0 {
		a := money.Amount{Units: rest, Currency: inv.Currency}
		r.Lines = append(r.Lines, gatewayLine("Fractions of the positions above", 1, a, a))
	}
	return r, nil
}

// openInvoice moves a draft to OPEN, or to PAID when nothing is due: it gets
// its number, its due date and its place in the ledger. The gateway's part is
// empty for an invoice that is only ours.
func (tx *Tx) openInvoice(ctx context.Context, inv *ent.Invoice, r gateway.InvoiceResult) error {
	o, err := tx.organization(ctx)
	if err != nil {
		return err
	}
	number, err := tx.invoiceNumber(ctx, o)
	if err != nil {
		return err
	}
	due := tx.Now
	if inv.Collection == invoice.CollectionSEND {
		due = due.AddDate(0, 0, o.SendNetDays)
	}
	u := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusDRAFT)).
		SetStatus(invoice.StatusOPEN).SetNumber(number).SetFinalizedAt(tx.Now).SetDueAt(due).
		ClearFinalizesAt().ClearPendingCallID().SetUpdatedAt(tx.Now)
	if r.InvoiceID != "" {
		u.SetGatewayInvoiceID(r.InvoiceID).SetNextCheckAt(tx.Now.Add(checkIn(0)))
		setInvoiceLinks(u, r)
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("open invoice %s: %w", inv.ID, err)
	}
	opened, err := tx.lockInvoiceRow(ctx, inv.ID)
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

// finishInvoice is the frame of Finish for finalizing and voiding.
func (s *Service) finishInvoice(ctx context.Context, callID string, r gateway.InvoiceResult, apply func(context.Context, *Tx, string) error) error {
	var refusal error
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		refusal = nil
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil || v == verdictKnown || v == verdictAgain {
			return err
		}
		if _, err := tx.Invoice.Update().Where(invoice.ID(c.Subject), invoice.PendingCallID(callID)).ClearPendingCallID().Save(ctx); err != nil {
			return fmt.Errorf("free invoice: %w", err)
		}
		if v == verdictFreed || r.Status == gateway.StatusDeclined {
			refusal = callRefusal("id", r.Outcome)
			return tx.forgetKey(ctx, callID)
		}
		return apply(ctx, tx, c.Subject)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// applyInvoice brings an invoice to what the gateway says of it, whoever
// changed it there. It may be called any number of times, in any order.
// errMismatch is returned, and nothing written, when the totals differ.
func (tx *Tx) applyInvoice(ctx context.Context, id string, r gateway.InvoiceResult) error {
	inv, err := tx.lockInvoiceRow(ctx, id)
	if err != nil {
		return err
	}
	if r.State != "draft" && r.State != "" && r.Total != inv.Total() {
		return fmt.Errorf("invoice %s comes to %s, the gateway's %s to %s: %w", id, inv.Total(), r.InvoiceID, r.Total, errMismatch)
	}
	if inv.ProviderID != nil {
		if err := tx.keepCustomer(ctx, *inv.ProviderID, inv.PayerID, r.CustomerID); err != nil {
			return err
		}
	}
	if inv.Status == invoice.StatusDRAFT && (r.State == "open" || r.State == paidAtGateway || r.State == "uncollectible") {
		if err := tx.openInvoice(ctx, inv, r); err != nil {
			return err
		}
		if inv, err = tx.lockInvoiceRow(ctx, id); err != nil {
			return err
		}
	}
	switch {
	case r.State == paidAtGateway:
		return tx.settleInvoice(ctx, inv, r)
	case r.State == "void" && inv.Status != invoice.StatusVOID:
		return tx.voidInvoice(ctx, inv)
	case r.State == "uncollectible" && inv.Status == invoice.StatusOPEN:
		return tx.keepInvoice(ctx, inv, invoice.StatusUNCOLLECTIBLE, r)
	default:
		return tx.keepInvoice(ctx, inv, inv.Status, r)
	}
}

// keepInvoice stores the gateway's links and sets the time of the next look.
func (tx *Tx) keepInvoice(ctx context.Context, inv *ent.Invoice, to invoice.Status, r gateway.InvoiceResult) error {
	u := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).SetStatus(to)
	setInvoiceLinks(u, r)
	switch to {
	case invoice.StatusDRAFT, invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE:
		u.SetNextCheckAt(tx.Now.Add(invoiceCheckIn(inv.Checks))).SetChecks(inv.Checks + 1)
	default:
		u.ClearNextCheckAt()
	}
	if to != inv.Status {
		u.SetUpdatedAt(tx.Now)
		tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	}
	return cas(u.Save(ctx))
}

// InvoiceVoid is a begun voiding; without a Call there is nothing to ask.
// Draft says that the gateway deletes its draft instead of voiding it.
type InvoiceVoid struct {
	InvoiceID string
	*Call
	GatewayInvoiceID string
	Draft            bool
}

// BeginInvoiceVoid takes an invoice back for ever, here at once when no
// gateway keeps it.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) BeginInvoiceVoid(ctx context.Context, id string) (*InvoiceVoid, error) {
	op, err := s.newOperation("invoiceVoid", nil, keyOptional, id)
	if err != nil {
		return nil, err
	}
	callID := s.newID(prefixCall)
	out := InvoiceVoid{InvoiceID: id}
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
		inv, err := tx.lockInvoiceRow(ctx, id)
		if err != nil {
			return err
		}
		found = ""
		if inv.Status == invoice.StatusVOID {
			return nil
		}
		if err := invoiceIs(inv, invoice.StatusDRAFT, invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE); err != nil {
			return err
		}
		if inv.GatewayInvoiceID == nil {
			if err := tx.voidInvoice(ctx, inv); err != nil {
				return err
			}
			return tx.remember(ctx, op, id, "", "")
		}
		processing, err := tx.Payment.Query().
			Where(payment.InvoiceID(id), payment.StatusEQ(payment.StatusPROCESSING)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("look for payments under way: %w", err)
		}
		if processing {
			return refuse(CodeInvalidState, "id", "a payment of the invoice is under way: wait for its outcome")
		}
		found, out.GatewayInvoiceID, out.Draft = callID, *inv.GatewayInvoiceID, inv.Status == invoice.StatusDRAFT
		kind := gatewaycall.OperationINVOICE_VOID
		if out.Draft {
			kind = gatewaycall.OperationINVOICE_DISCARD
		}
		if err := tx.openCall(ctx, callID, *inv.ProviderID, kind, id, out.GatewayInvoiceID); err != nil {
			return err
		}
		if err := tx.lockInvoice(ctx, inv, callID); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// FinishInvoiceVoid applies the outcome of a voiding. It may be called any
// number of times.
func (s *Service) FinishInvoiceVoid(ctx context.Context, callID string, r gateway.InvoiceResult) error {
	return s.finishInvoice(ctx, callID, r, func(ctx context.Context, tx *Tx, id string) error {
		inv, err := tx.lockInvoiceRow(ctx, id)
		if err != nil {
			return err
		}
		if r.State == paidAtGateway {
			return tx.applyInvoice(ctx, id, r) // the payer was quicker
		}
		if inv.Status == invoice.StatusVOID {
			return nil
		}
		return tx.voidInvoice(ctx, inv)
	})
}

// voidInvoice moves an invoice to VOID, takes back what finalizing it booked,
// and gives up the payments that wait for their payer.
func (tx *Tx) voidInvoice(ctx context.Context, inv *ent.Invoice) error {
	if inv.Status == invoice.StatusPAID {
		return fmt.Errorf("void invoice %s: it is paid: %w", inv.ID, errMismatch)
	}
	if inv.Status != invoice.StatusDRAFT {
		if err := tx.reverseInvoice(ctx, inv); err != nil {
			return err
		}
	}
	n, err := tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).
		SetStatus(invoice.StatusVOID).SetVoidedAt(tx.Now).SetAmountDueUnits(0).
		ClearPendingCallID().ClearNextCheckAt().ClearNextAttemptAt().ClearFinalizesAt().SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("void invoice %s: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	return tx.cancelWaiting(ctx, inv.ID, "")
}

// ApplyInvoice brings an invoice to what the gateway said when asked. It may
// be called any number of times.
func (s *Service) ApplyInvoice(ctx context.Context, id string, r gateway.InvoiceResult) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if r.Known() {
			return tx.applyInvoice(ctx, id, r)
		}
		inv, err := tx.lockInvoiceRow(ctx, id)
		if err != nil {
			return err
		}
		n, err := tx.Invoice.Update().Where(invoice.ID(id), invoice.StatusEQ(inv.Status)).
			SetNextCheckAt(tx.Now.Add(invoiceCheckIn(inv.Checks))).SetChecks(inv.Checks + 1).Save(ctx)
		return cas(n, err)
	})
}

// DueInvoice is an invoice whose gateway is asked how it stands.
type DueInvoice struct {
	InvoiceID        string
	GatewayInvoiceID string
	Kind             gateway.Kind
	Account          gateway.Account
}

// InvoiceToCheck returns what must be asked of the gateway to know how an
// invoice stands; nil when it is settled or only ours.
func (s *Service) InvoiceToCheck(ctx context.Context, id string) (*DueInvoice, error) {
	inv, err := s.read.Invoice.Query().Where(invoice.ID(id)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "id", "invoice", id)
	}
	if inv.GatewayInvoiceID == nil || inv.ProviderID == nil || inv.Status == invoice.StatusPAID || inv.Status == invoice.StatusVOID {
		return nil, nil
	}
	account, err := s.OpenAccount(ctx, *inv.ProviderID)
	if err != nil {
		return nil, err
	}
	return &DueInvoice{InvoiceID: id, GatewayInvoiceID: *inv.GatewayInvoiceID, Kind: account.Kind, Account: account}, nil
}

// DueInvoices lists invoices of the viewer's organization that nobody has
// told anything about for too long.
func (s *Service) DueInvoices(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Invoice.Query().
		Where(invoice.NextCheckAtLTE(s.now()), invoice.PendingCallIDIsNil()).
		Order(ent.Asc(invoice.FieldNextCheckAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due invoices: %w", err)
	}
	return ids, nil
}

// InvoicesToFinalize lists drafts of the viewer's organization whose time has
// come.
func (s *Service) InvoicesToFinalize(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Invoice.Query().
		Where(invoice.StatusEQ(invoice.StatusDRAFT), invoice.FinalizesAtLTE(s.now()), invoice.PendingCallIDIsNil()).
		Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list drafts to finalize: %w", err)
	}
	return ids, nil
}
