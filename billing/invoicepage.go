package billing

import (
	"context"
	"fmt"
	"time"

	"purser/document"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/provider"
	"purser/gateway"
	"purser/money"
)

// The page on which a payer sees an invoice and pays it. A gateway that keeps
// the invoice has one; where none does, it is ours.

// InvoicePage is where an unpaid invoice is shown and can be paid, by an
// unguessable link; nil for any other.
func (s *Service) InvoicePage(slug string, i *ent.Invoice) *string {
	if !unpaidStatus(i.Status) {
		return nil
	}
	if i.HostedURL != nil {
		return i.HostedURL
	}
	link := s.publicLink("invoices", slug, i.PublicToken)
	return &link
}

// pageOf is InvoicePage of an invoice of the viewer's organization.
func (s *Service) pageOf(ctx context.Context, i *ent.Invoice) (string, error) {
	o, err := s.read.Organization.Query().Where(organization.ID(i.OrganizationID)).Only(ctx)
	if err != nil {
		return "", fmt.Errorf("read organization %s: %w", i.OrganizationID, err)
	}
	return orEmpty(s.InvoicePage(o.Slug, i)), nil
}

// PublicInvoice is an issued invoice as whoever has its link may see it: all
// that its document says, and how it can be paid.
type PublicInvoice struct {
	document.Document
	InvoiceID string
	Status    string
	Due       money.Amount
	Unpaid    bool
	// GatewayURL is the gateway's page; Payable says that a page for the
	// payment can be asked for. Neither where the seller is paid directly.
	GatewayURL string
	Payable    bool
	PDFURL     string
	ReceiptURL string
}

// PublicInvoice reads the issued invoice that an unguessable link of the
// viewer's organization names. The code is NOT_FOUND also for a draft.
func (s *Service) PublicInvoice(ctx context.Context, slug, token string) (*PublicInvoice, error) {
	i, err := s.read.Invoice.Query().Where(invoice.PublicToken(token), invoice.FinalizedAtNotNil()).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "token", "invoice", "")
	}
	d, err := s.invoiceDocument(ctx, token)
	if err != nil {
		return nil, err
	}
	out := &PublicInvoice{
		Document: d, InvoiceID: i.ID, Status: string(i.Status), Due: i.AmountDue(), Unpaid: unpaidStatus(i.Status),
		PDFURL: s.InvoiceDocumentURL(slug, i), ReceiptURL: orEmpty(s.ReceiptURL(slug, i)),
	}
	switch {
	case !out.Unpaid:
	case i.HostedURL != nil:
		out.GatewayURL = *i.HostedURL
	case i.ProviderID != nil && i.Collection != invoice.CollectionBALANCE && money.IsISO(i.Currency):
		p, err := s.read.Provider.Query().Where(provider.ID(*i.ProviderID)).Only(ctx)
		if err != nil {
			return nil, fmt.Errorf("read provider of invoice %s: %w", i.ID, err)
		}
		out.Payable = p.Status == provider.StatusACTIVE && chargeable(i.AmountDue(), p.Kind, "id") == nil && !tooSmall(i.AmountDue(), p.Kind)
	}
	return out, nil
}

// pageFresh is how long the page of a payment is offered again before another
// one is made: gateways do not tell how long theirs stay open.
const pageFresh = 10 * time.Minute

// beginInvoicePage makes, or finds, the payment of an invoice that is only ours
// on a page of the gateway's, and returns the call by which the page is asked
// for.
func (tx *Tx) beginInvoicePage(ctx context.Context, inv *ent.Invoice, id, returnURL, callID string) (paymentID string, page *gateway.HostedPaymentRequest, call string, err error) {
	if inv.ProviderID == nil || !money.IsISO(inv.Currency) {
		return "", nil, "", refuse(CodeProviderUnsupported, "id", "the invoice has no provider that could take a payment: note a payment made elsewhere with outOfBand")
	}
	waiting, err := tx.Payment.Query().
		Where(payment.InvoiceID(inv.ID), payment.StatusEQ(payment.StatusREQUIRES_ACTION), payment.AmountUnits(inv.AmountDueUnits),
			payment.CreatedAtGT(tx.Now.Add(-pageFresh)), payment.ActionURLNEQ("")).
		Order(ent.Desc(payment.FieldID)).First(ctx)
	if err == nil {
		return waiting.ID, nil, "", nil
	}
	if !ent.IsNotFound(err) {
		return "", nil, "", fmt.Errorf("look for a waiting payment: %w", err)
	}
	start, err := tx.invoicePaymentStart(ctx, inv, id, returnURL)
	if err != nil {
		return "", nil, "", err
	}
	start.callID = callID
	p, err := tx.createPayment(ctx, start)
	if err != nil {
		return "", nil, "", err
	}
	customer, err := tx.customer(ctx, start.payer, start.provider.ID)
	if err != nil {
		return "", nil, "", err
	}
	o, err := tx.organization(ctx)
	if err != nil {
		return "", nil, "", err
	}
	request := tx.pageRequest(o, p, customer, "Invoice "+orEmpty(inv.Number))
	return p.ID, &request, callID, tx.openCall(ctx, callID, start.provider.ID, gatewaycall.OperationHOSTED_PAYMENT, p.ID, request)
}

// BeginPageVisit begins the payment that a visitor of our own page asks for;
// visit names the visit, so that a button pressed twice pays once.
//
// Codes: as BeginInvoicePayment.
func (s *Service) BeginPageVisit(ctx context.Context, invoiceID, visit string) (*InvoicePayment, error) {
	key := "page:" + invoiceID + ":" + visit
	return s.BeginInvoicePayment(ctx, InvoicePayDraft{InvoiceID: invoiceID, Key: &key})
}

// NewVisit names a visit of our own page.
func (s *Service) NewVisit() string { return s.newSecret(12) }

// PageOfPayment is the address of the page on which a payment is made, or ""
// where there is none: yet, or any more where over says so.
func (s *Service) PageOfPayment(ctx context.Context, id string) (address string, over bool, err error) {
	p, err := s.read.Payment.Query().Where(payment.ID(id)).Only(ctx)
	if err != nil {
		return "", false, fmt.Errorf("read payment %s: %w", id, err)
	}
	if isEnd(p.Status) || p.ActionExpiresAt != nil && !s.now(ctx).Before(*p.ActionExpiresAt) {
		return "", true, nil
	}
	return p.ActionURL, false, nil
}
