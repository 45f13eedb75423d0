package billing

import (
	"context"
	"fmt"
	"strings"
	"time"

	"purser/document"
	"purser/ent"
	"purser/ent/creditnote"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/organization"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/ent/quoteline"
	"purser/ent/schema"
	"purser/language"
)

// The parts of a document's address that say what it is.
const (
	quoteDocuments   = "quotes"
	invoiceDocuments = "invoices"
	receiptDocuments = "receipts"
	noteDocuments    = "credit-notes"
)

// QuoteDocumentURL is where the document of a finalized quote is, by an
// unguessable link.
func (s *Service) QuoteDocumentURL(slug string, q *ent.Quote) string {
	return s.publicLink("documents", slug, quoteDocuments, q.PublicToken+".pdf")
}

// InvoiceDocumentURL is where the document of a finalized invoice is, by an
// unguessable link.
func (s *Service) InvoiceDocumentURL(slug string, i *ent.Invoice) string {
	return s.publicLink("documents", slug, invoiceDocuments, i.PublicToken+".pdf")
}

// ReceiptURL is where the receipt of an invoice is on which something was paid,
// by an unguessable link; nil for any other.
func (s *Service) ReceiptURL(slug string, i *ent.Invoice) *string {
	if i.PaidAt == nil || i.AmountPaidUnits == 0 {
		return nil
	}
	link := s.publicLink("documents", slug, receiptDocuments, i.PublicToken+".pdf")
	return &link
}

// CreditNoteDocumentURL is where the document of a credit note is, by an
// unguessable link.
func (s *Service) CreditNoteDocumentURL(slug string, n *ent.CreditNote) string {
	return s.publicLink("documents", slug, noteDocuments, n.PublicToken+".pdf")
}

// Document draws the quote, invoice, receipt or credit note of the viewer's organization that the
// last two parts of its address name, and returns the file with a name for it.
// Whoever has the link may see it. The code is NOT_FOUND also for what was not
// finalized.
//
// It is in the payer's language, or English: the same file for everybody,
// whatever their browsers ask for.
func (s *Service) Document(ctx context.Context, kind, token string) (name string, file []byte, err error) {
	ctx = language.Accepting(ctx, "")
	var d document.Document
	switch kind {
	case quoteDocuments:
		d, err = s.quoteDocument(ctx, token)
	case invoiceDocuments:
		d, err = s.invoiceDocument(ctx, token)
	case receiptDocuments:
		d, err = s.receiptDocument(ctx, token)
	case noteDocuments:
		d, err = s.noteDocument(ctx, token)
	default:
		err = notFound("kind", "document", kind)
	}
	if err != nil {
		return "", nil, err
	}
	if file, err = document.PDF(d); err != nil {
		return "", nil, err
	}
	return strings.ReplaceAll(strings.ToLower(string(d.Kind)), " ", "-") + "-" + d.Number + ".pdf", file, nil
}

func (s *Service) quoteDocument(ctx context.Context, token string) (document.Document, error) {
	q, err := s.read.Quote.Query().Where(quote.PublicToken(token), quote.FinalizedAtNotNil()).Only(ctx)
	if err != nil {
		return document.Document{}, orNotFound(err, "token", "document", "")
	}
	return s.documentOfQuote(ctx, q)
}

// documentOfQuote is the document of a finalized quote.
func (s *Service) documentOfQuote(ctx context.Context, q *ent.Quote) (document.Document, error) {
	d, p, zone, err := s.newDocument(ctx, document.KindQuote, orEmpty(q.PayerID), *q.FinalizedAt)
	if err != nil {
		return d, err
	}
	words := d.Language.Words
	d.Number, d.Description = orEmpty(q.Number), orEmpty(q.Description)
	switch {
	case expiredQuote(q, s.now(ctx)):
		d.Mark = d.Language.Mark(string(quote.StatusEXPIRED))
	case q.Status != quote.StatusOPEN:
		d.Mark = d.Language.Mark(string(q.Status))
	}
	if q.ExpiresAt != nil {
		d.Facts = append(d.Facts, document.Fact{Name: words.ValidUntil, Value: d.Language.Date(q.ExpiresAt.In(zone))})
	}
	if q.StartsAt != nil {
		d.Facts = append(d.Facts, document.Fact{Name: words.Begins, Value: d.Language.Date(q.StartsAt.In(zone))})
	}
	rows, err := s.read.QuoteLine.Query().Where(quoteline.QuoteID(q.ID)).Order(ent.Asc(quoteline.FieldPosition)).All(ctx)
	if err != nil {
		return d, fmt.Errorf("read positions of quote %s: %w", q.ID, err)
	}
	for _, l := range rows {
		d.Lines = append(d.Lines, document.Line{
			Description: l.Description, Quantity: l.Quantity, UnitAmount: l.UnitAmount(), Amount: l.Amount(), Every: every(l, d.Language),
		})
	}
	// What a gateway mirrors carries no tax; any other gets it when accepted.
	if q.GatewayQuoteID != nil || p.ReverseCharge || p.TaxRatePpm == nil || *p.TaxRatePpm == 0 {
		d.Sums = []document.Sum{{Name: words.Total, Amount: *q.Total()}}
		return d, nil
	}
	sums, err := sumUp(*q.Total(), p.TaxRatePpm)
	if err != nil {
		return d, fmt.Errorf("add tax to quote %s: %w", q.ID, err)
	}
	d.Sums = []document.Sum{
		{Name: words.Subtotal, Amount: sums.subtotal},
		{Name: fmt.Sprintf(words.TaxAt, d.Language.Number(p.TaxRatePpm.Decimal())), Amount: sums.tax},
		{Name: words.TotalWithTax, Amount: sums.total},
	}
	return d, nil
}

// every says how often a position is paid, or "" for once.
func every(l *ent.QuoteLine, in *language.Language) string {
	if l.RecurrenceInterval == nil {
		return ""
	}
	return in.Every(l.RecurrenceCount, string(*l.RecurrenceInterval))
}

func (s *Service) invoiceDocument(ctx context.Context, token string) (document.Document, error) {
	i, err := s.read.Invoice.Query().Where(invoice.PublicToken(token), invoice.FinalizedAtNotNil()).Only(ctx)
	if err != nil {
		return document.Document{}, orNotFound(err, "token", "document", "")
	}
	d, zone, err := s.documentOf(ctx, document.KindInvoice, i, *i.FinalizedAt)
	if err != nil {
		return d, err
	}
	words := d.Language.Words
	if i.DueAt != nil {
		d.Facts = append(d.Facts, document.Fact{Name: words.Due, Value: d.Language.Date(i.DueAt.In(zone))})
	}
	if i.PaidAt != nil {
		d.Facts = append(d.Facts, document.Fact{Name: words.Paid, Value: d.Language.Date(i.PaidAt.In(zone))})
	}
	switch i.Status {
	case invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE:
		if d.PaymentURL, err = s.pageOf(ctx, i); err != nil {
			return d, err
		}
		d.Sums = append(d.Sums, document.Sum{Name: words.AmountDue, Amount: i.AmountDue()})
	default:
		d.Mark = d.Language.Mark(string(i.Status))
	}
	return d, nil
}

// receiptDocument is the proof that an invoice was paid.
func (s *Service) receiptDocument(ctx context.Context, token string) (document.Document, error) {
	i, err := s.read.Invoice.Query().Where(invoice.PublicToken(token), invoice.PaidAtNotNil(), invoice.AmountPaidUnitsGT(0)).Only(ctx)
	if err != nil {
		return document.Document{}, orNotFound(err, "token", "document", "")
	}
	d, zone, err := s.documentOf(ctx, document.KindReceipt, i, *i.PaidAt)
	if err != nil {
		return d, err
	}
	by, err := s.paidBy(ctx, i, d.Language)
	if err != nil {
		return d, err
	}
	words := d.Language.Words
	d.Facts = append(d.Facts,
		document.Fact{Name: words.Invoice, Value: fmt.Sprintf(words.DatedOn, orEmpty(i.Number), d.Language.Date(i.FinalizedAt.In(zone)))},
		document.Fact{Name: words.Paid, Value: d.Language.Date(i.PaidAt.In(zone))},
		document.Fact{Name: words.PaidWith, Value: by})
	d.Sums = append(d.Sums, document.Sum{Name: words.AmountPaid, Amount: i.AmountPaid()})
	return d, nil
}

// paidBy says with what an invoice was paid.
func (s *Service) paidBy(ctx context.Context, i *ent.Invoice, in *language.Language) (string, error) {
	e, err := lastPaid(ctx, s.read, i.ID)
	switch {
	case err != nil:
		return "", err
	case e != nil && e.BalanceID != nil:
		return in.Words.WithBalance, nil
	case e == nil || e.PaymentID == nil:
		return in.Words.WithSeller, nil
	}
	p, err := s.read.Payment.Query().Where(payment.ID(*e.PaymentID)).Only(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("read payment of invoice %s: %w", i.ID, err)
	case p.PaymentMethodID == nil:
		return fmt.Sprintf(in.Words.WithOrder, p.OrderCode), nil
	}
	card, err := s.read.PaymentMethod.Query().Where(paymentmethod.ID(*p.PaymentMethodID)).Only(ctx)
	if err != nil {
		return "", fmt.Errorf("read card of payment %s: %w", p.ID, err)
	}
	return strings.TrimSpace(card.Brand + " •••• " + card.Last4), nil
}

// documentOf begins the document of an issued invoice: its two sides as they
// stood then, its positions and its sums.
func (s *Service) documentOf(ctx context.Context, kind document.Kind, i *ent.Invoice, at time.Time) (document.Document, *time.Location, error) {
	d, _, zone, err := s.newDocument(ctx, kind, i.PayerID, at)
	if err != nil {
		return d, nil, err
	}
	sidesOf(&d, i)
	words := d.Language.Words
	d.Number, d.Description = orEmpty(i.Number), orEmpty(i.Description)
	rows, err := s.read.InvoiceLine.Query().Where(invoiceline.InvoiceID(i.ID)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
	if err != nil {
		return d, nil, fmt.Errorf("read positions of invoice %s: %w", i.ID, err)
	}
	for _, l := range rows {
		d.Lines = append(d.Lines, document.Line{Description: l.Description, Quantity: l.Quantity, UnitAmount: l.UnitAmount(), Amount: l.Amount()})
	}
	if i.TaxUnits != 0 || i.SubtotalUnits != i.TotalUnits {
		d.Sums = append(d.Sums, document.Sum{Name: words.Subtotal, Amount: i.Subtotal()})
	}
	for _, t := range i.ShownTaxes() {
		d.Sums = append(d.Sums, taxSum(d.Language, t))
	}
	if i.TaxUnits != 0 && len(i.Taxes) == 0 {
		d.Sums = append(d.Sums, document.Sum{Name: words.Tax, Amount: i.Tax()})
	}
	d.Sums = append(d.Sums, document.Sum{Name: words.Total, Amount: i.Total()})
	if i.CreditedUnits != 0 {
		d.Sums = append(d.Sums, document.Sum{Name: words.Credited, Amount: i.Credited()})
	}
	if i.ReverseCharge {
		d.Notes = append(d.Notes, words.ReverseCharge)
	}
	if i.DebtUnits != nil && i.TaxUnits != 0 {
		d.Notes = append(d.Notes, words.PositionsWithTax)
	}
	return d, zone, nil
}

func (s *Service) noteDocument(ctx context.Context, token string) (document.Document, error) {
	n, err := s.read.CreditNote.Query().Where(creditnote.PublicToken(token)).Only(ctx)
	if err != nil {
		return document.Document{}, orNotFound(err, "token", "document", "")
	}
	i, err := s.read.Invoice.Query().Where(invoice.ID(n.InvoiceID)).Only(ctx)
	if err != nil {
		return document.Document{}, fmt.Errorf("read invoice %s: %w", n.InvoiceID, err)
	}
	d, _, zone, err := s.newDocument(ctx, document.KindCreditNote, i.PayerID, n.CreatedAt)
	if err != nil {
		return d, err
	}
	sidesOf(&d, i)
	words := d.Language.Words
	d.Number = n.Number
	d.Facts = []document.Fact{
		{Name: words.Invoice, Value: orEmpty(i.Number)},
		{Name: words.Issued, Value: d.Language.Date(i.FinalizedAt.In(zone))},
	}
	d.Description = n.Reason
	rows, err := s.read.InvoiceLine.Query().Where(invoiceline.InvoiceID(i.ID)).All(ctx)
	if err != nil {
		return d, fmt.Errorf("read positions of invoice %s: %w", i.ID, err)
	}
	for _, l := range n.ShownLines() {
		line := document.Line{Description: l.Description, Quantity: 1, UnitAmount: l.Amount, Amount: l.Amount}
		for _, of := range rows {
			if of.ID == l.LineItemID && l.Quantity != nil {
				line.Quantity, line.UnitAmount = *l.Quantity, of.UnitAmount()
			}
		}
		d.Lines = append(d.Lines, line)
	}
	if n.TaxUnits != 0 || n.SubtotalUnits != n.TotalUnits {
		d.Sums = append(d.Sums, document.Sum{Name: words.Subtotal, Amount: n.Subtotal()})
	}
	for _, t := range n.ShownTaxes() {
		d.Sums = append(d.Sums, taxSum(d.Language, t))
	}
	d.Sums = append(d.Sums, document.Sum{Name: words.TotalCredited, Amount: n.Total()})
	if i.DebtUnits != nil && n.TaxUnits != 0 {
		d.Notes = append(d.Notes, words.PositionsWithTax)
	}
	return d, nil
}

// sidesOf names the two sides as they were when an invoice was issued, also on
// what belongs to it.
func sidesOf(d *document.Document, i *ent.Invoice) {
	if i.Recipient != nil {
		d.Payer = partyOf(i.Recipient, d.Language)
	}
	if i.Seller != nil {
		d.Seller = partyOf((*schema.Recipient)(i.Seller), d.Language)
	}
}

// taxSum is the tax at one rate, and on what it is.
func taxSum(in *language.Language, t *ent.InvoiceTax) document.Sum {
	return document.Sum{Name: fmt.Sprintf(in.Words.TaxOf, in.Number(t.Rate), in.Number(t.Taxable.Decimal())), Amount: t.Amount}
}

// newDocument begins a document with its date, by the seller's calendar, and
// its two sides, in the payer's language.
func (s *Service) newDocument(ctx context.Context, kind document.Kind, payerID string, issuedAt time.Time) (document.Document, *ent.Payer, *time.Location, error) {
	var d document.Document
	p, err := s.read.Payer.Query().Where(payer.ID(payerID)).Only(ctx)
	if err != nil {
		return d, nil, nil, fmt.Errorf("read payer %s: %w", payerID, err)
	}
	o, err := s.read.Organization.Query().Where(organization.ID(p.OrganizationID)).Only(ctx)
	if err != nil {
		return d, nil, nil, fmt.Errorf("read organization %s: %w", p.OrganizationID, err)
	}
	zone, err := time.LoadLocation(o.TimeZone)
	if err != nil {
		return d, nil, nil, fmt.Errorf("time zone %q: %w", o.TimeZone, err)
	}
	in := language.For(ctx, orEmpty(p.Locale))
	d = document.Document{
		Language: in, Kind: kind, Test: testOf(o), IssuedAt: issuedAt.In(zone),
		Seller: partyOf((*schema.Recipient)(sellerOf(o)), in),
		Payer:  partyOf(recipientOf(p), in),
	}
	return d, p, zone, nil
}

// recipientOf is the payer as it stands on an invoice from its issue on.
func recipientOf(p *ent.Payer) *schema.Recipient {
	r := &schema.Recipient{Name: p.Name, Email: orEmpty(p.BillingEmail), Address: p.Address, TaxID: orEmpty(p.TaxID)}
	if r.Email == "" {
		r.Email = orEmpty(p.Email)
	}
	return r
}

// partyOf is a recipient as a document shows it.
func partyOf(r *schema.Recipient, in *language.Language) document.Party {
	party := document.Party{Name: r.Name, Details: postal(r.Address)}
	if r.Email != "" {
		party.Details = append(party.Details, r.Email)
	}
	if r.TaxID != "" {
		party.Details = append(party.Details, in.Words.TaxNumber+" "+r.TaxID)
	}
	return party
}

// primaryAddress is the one used on documents, or nil.
func primaryAddress(all []schema.Address) *schema.Address {
	for i := range all {
		if all[i].IsPrimary {
			return &all[i]
		}
	}
	if len(all) > 0 {
		return &all[0]
	}
	return nil
}

// postal is an address in lines.
func postal(a *schema.Address) []string {
	if a == nil {
		return nil
	}
	var lines []string
	for _, line := range []string{
		a.Line1, a.Line2, strings.TrimSpace(a.PostalCode + " " + a.City), strings.TrimSpace(a.Region + " " + a.Country),
	} {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
