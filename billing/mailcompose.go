package billing

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/email"
	"purser/ent/emailtemplate"
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
	"purser/mail"
	"purser/money"
)

// mailNotSent says that nothing is sent, and why.
type mailNotSent struct {
	status email.Status
	reason string
}

func (m *mailNotSent) Error() string { return m.reason }

// mailSubject is what a mail is about, as it is now.
type mailSubject struct {
	organization *ent.Organization
	zone         *time.Location
	payer        *ent.Payer
	kind         mail.Kind
	facts        mailFacts
	values       mail.Values
}

// composeMail writes a mail, to whoever its payer's mails go to now. The error
// is a *mailNotSent where it is not to be sent.
func (s *Service) composeMail(ctx context.Context, e *ent.Email) (*mail.Message, error) {
	m, err := s.mailSubject(ctx, e)
	if err != nil {
		return nil, err
	}
	to := orEmpty(m.payer.BillingEmail)
	if to == "" {
		to = orEmpty(m.payer.Email)
	}
	switch {
	case m.payer.ErasedAt != nil:
		return nil, &mailNotSent{email.StatusCANCELED, "the payer's data was erased"}
	case to == "":
		return nil, &mailNotSent{email.StatusFAILED, "the payer has no e-mail address: set its billingEmail"}
	}
	for _, read := range []func(context.Context, *mailSubject) error{s.mailInvoice, s.mailQuote, s.mailSubscription, s.mailBalance, s.mailCard, s.mailPayment} {
		if err := read(ctx, m); err != nil {
			return nil, err
		}
	}
	text, err := s.renderMail(ctx, m)
	if err != nil {
		return nil, err
	}
	o := m.organization
	reply := orEmpty(o.FinanceSupportEmail)
	if reply == "" {
		reply = orEmpty(o.SupportEmail)
	}
	return &mail.Message{
		ID: e.ID, At: e.CreatedAt, Folder: o.Slug, Kind: m.kind,
		// No money is in it, and nobody is written to: the sandbox's mails stay here.
		Local:    o.Environment == organization.EnvironmentSANDBOX,
		FromName: o.Name, FromAddress: orEmpty(o.SenderEmail), ReplyTo: reply, To: to,
		Rendered: text,
	}, nil
}

// mailSubject reads what every mail says.
func (s *Service) mailSubject(ctx context.Context, e *ent.Email) (*mailSubject, error) {
	m := &mailSubject{kind: mail.Kind(e.Kind)}
	if err := json.Unmarshal(e.Facts, &m.facts); err != nil {
		return nil, fmt.Errorf("read the facts of mail %s: %w", e.ID, err)
	}
	var err error
	if m.organization, err = s.read.Organization.Query().Where(organization.ID(e.OrganizationID)).Only(ctx); err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	if m.zone, err = time.LoadLocation(m.organization.TimeZone); err != nil {
		return nil, fmt.Errorf("time zone %q: %w", m.organization.TimeZone, err)
	}
	if m.payer, err = s.read.Payer.Query().Where(payer.ID(e.PayerID)).Only(ctx); err != nil {
		return nil, fmt.Errorf("read payer %s: %w", e.PayerID, err)
	}
	f := m.facts
	account := mail.Values{"id": m.payer.ID, "name": m.payer.Name, "billing_address": addressLine(m.payer.Address), "vat_code": orEmpty(m.payer.TaxID)}
	m.values = mail.Values{
		"account": account, "buyer_account": account, "provider": providerValues(m.organization),
		"reason": f.Reason, "payment_url": f.PayURL, "next_attempt_on": m.date(f.NextAt), "cost": costOf(f.Cost),
	}
	return m, nil
}

// providerValues are the seller's; questions about bills go where all
// questions go unless something else is said.
func providerValues(o *ent.Organization) mail.Values {
	finance := orEmpty(o.FinanceSupportEmail)
	if finance == "" {
		finance = orEmpty(o.SupportEmail)
	}
	v := mail.Values{
		"name": o.Name, "support_email": orEmpty(o.SupportEmail), "finance_support_email": finance,
		"country": orEmpty(o.Country), "timezone": o.TimeZone,
	}
	for i := range o.Addresses {
		if o.Addresses[i].IsPrimary {
			v["full_address"] = addressLine(&o.Addresses[i])
		}
	}
	return v
}

func addressLine(a *schema.Address) string {
	if a == nil {
		return ""
	}
	var parts []string
	for _, p := range []string{a.Line1, a.Line2, strings.TrimSpace(a.PostalCode + " " + a.City), a.Region, a.Country} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// costOf is an amount as mails write it: the unit, then the number.
func costOf(a *money.Amount) string {
	if a == nil {
		return ""
	}
	return a.Currency + " " + string(a.Decimal())
}

// date is a day in the organization's time zone.
func (m *mailSubject) date(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.In(m.zone).Format(time.DateOnly)
}

// mailInvoice adds the invoice that a mail is about. What asks for money is
// not sent once nothing is asked for any more.
func (s *Service) mailInvoice(ctx context.Context, m *mailSubject) error {
	if m.facts.InvoiceID == "" {
		return nil
	}
	i, err := s.read.Invoice.Query().Where(invoice.ID(m.facts.InvoiceID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read invoice %s: %w", m.facts.InvoiceID, err)
	}
	if !unpaidStatus(i.Status) && m.kind != mail.InvoicePaid && m.kind != mail.InvoiceSent {
		return &mailNotSent{email.StatusCANCELED, "the invoice is " + string(i.Status)}
	}
	if m.kind == mail.ChargeFailed {
		if m.facts.NextAt == nil {
			m.values["next_attempt_on"] = m.date(i.NextAttemptAt)
		}
		if i.Dunning == invoice.DunningEXHAUSTED {
			m.kind = mail.ChargeFailedFinal
		}
	}
	rows, err := s.read.InvoiceLine.Query().Where(invoiceline.InvoiceID(i.ID)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
	if err != nil {
		return fmt.Errorf("read positions of invoice %s: %w", i.ID, err)
	}
	lines := make([]mail.Values, len(rows))
	for n, l := range rows {
		lines[n] = lineValues(l.Description, l.Quantity, l.Amount())
	}
	total, subtotal, tax := i.Total(), i.Subtotal(), i.Tax()
	tries, err := s.mailTries(ctx, m, i)
	if err != nil {
		return err
	}
	taxID := orEmpty(m.payer.TaxID)
	if i.Recipient != nil {
		taxID = i.Recipient.TaxID
	}
	begin, end := m.periodOf(i)
	pdf := ""
	if i.FinalizedAt != nil {
		pdf = s.InvoiceDocumentURL(m.organization.Slug, i)
	}
	m.values["invoice"] = mail.Values{
		"id": i.ID, "friendly_id": orEmpty(i.Number), "state": strings.ToLower(string(i.Status)), "currency": i.Currency,
		"cost": costOf(&total), "cost_without_vat": costOf(&subtotal), "vat_amount": costOf(&tax),
		"issued_on": m.date(i.FinalizedAt), "due_on": m.date(i.DueAt), "paid_on": m.date(i.PaidAt),
		"url": orEmpty(i.HostedURL), "pdf_url": pdf, "line_items": lines,
		"name": cmp.Or(orEmpty(i.Description), orEmpty(i.Number)), "vat_rate": ratesOf(i.Taxes), "vat_code": taxID,
		"pay_now?": truth(unpaidStatus(i.Status) && i.HostedURL != nil), "period_begin": begin, "period_end": end,
		"payment_transactions": tries,
	}
	m.values["currency"], m.values["invoice_url"], m.values["receipt_url"] = i.Currency, pdf, orEmpty(i.ReceiptURL)
	if m.facts.PayURL == "" {
		m.values["payment_url"] = orEmpty(i.HostedURL)
	}
	if m.facts.Cost == nil {
		m.values["cost"] = costOf(&total)
	}
	return nil
}

// mailTries lists the payments of an invoice that have come to an end, oldest
// first, and names the card of the one that the mail is about, or else the one
// that is charged.
func (s *Service) mailTries(ctx context.Context, m *mailSubject, i *ent.Invoice) ([]mail.Values, error) {
	rows, err := s.read.Payment.Query().
		Where(payment.InvoiceID(i.ID), payment.Or(payment.StatusIn(payment.StatusSUCCEEDED, payment.StatusFAILED), payment.ID(m.facts.PaymentID))).
		Order(ent.Desc(payment.FieldID)).Limit(mailTriesMax).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read payments of invoice %s: %w", i.ID, err)
	}
	card, err := cardOfInvoice(ctx, s.read, i)
	if err != nil {
		return nil, err
	}
	var tries []mail.Values
	for _, p := range slices.Backward(rows) {
		if p.ID == m.facts.PaymentID && p.PaymentMethodID != nil {
			if card, err = s.read.PaymentMethod.Query().Where(paymentmethod.ID(*p.PaymentMethodID)).Only(ctx); err != nil {
				return nil, fmt.Errorf("read card %s: %w", *p.PaymentMethodID, err)
			}
		}
		if p.Status != payment.StatusSUCCEEDED && p.Status != payment.StatusFAILED {
			continue
		}
		tries = append(tries, mail.Values{
			"created_at": m.date(&p.CreatedAt), "success?": truth(p.Status == payment.StatusSUCCEEDED), "message": p.FailureMessage,
			"amount": string(p.Amount().Decimal()), "currency": p.Currency, "reference": cmp.Or(orEmpty(p.GatewayPaymentID), p.OrderCode),
		})
	}
	if card != nil && card.Last4 != "" {
		m.card(card)
	}
	return tries, nil
}

// mailTriesMax bounds the payments that a mail can list.
const mailTriesMax = 20

// periodOf is the first and the last day that an invoice is for, where it is
// for a time.
func (m *mailSubject) periodOf(i *ent.Invoice) (begin, end string) {
	if i.PeriodStart != nil && i.PeriodEnd != nil {
		last := i.PeriodEnd.Add(-time.Microsecond) // the next one begins then
		return m.date(i.PeriodStart), m.date(&last)
	}
	month, err := time.Parse("2006-01", orEmpty(i.UsageMonth))
	if err != nil {
		return "", ""
	}
	return month.Format(time.DateOnly), month.AddDate(0, 1, -1).Format(time.DateOnly)
}

// ratesOf are the tax rates of an invoice, in percent.
func ratesOf(shares []schema.TaxShare) string {
	var rates []string
	for _, t := range shares {
		rates = append(rates, string(t.RatePpm.Decimal()))
	}
	return strings.Join(rates, ", ")
}

// truth is something that templates ask for: what is empty is false.
func truth(b bool) string {
	if b {
		return "true"
	}
	return ""
}

func lineValues(description string, quantity int, amount money.Amount) mail.Values {
	return mail.Values{"name": description, "description": description, "quantity": strconv.Itoa(quantity), "cost": costOf(&amount)}
}

// mailQuote adds the quote that a mail is about.
func (s *Service) mailQuote(ctx context.Context, m *mailSubject) error {
	if m.facts.QuoteID == "" {
		return nil
	}
	q, err := s.read.Quote.Query().Where(quote.ID(m.facts.QuoteID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read quote %s: %w", m.facts.QuoteID, err)
	}
	if q.Status != quote.StatusOPEN {
		return &mailNotSent{email.StatusCANCELED, "the quote is " + string(q.Status)}
	}
	rows, err := s.read.QuoteLine.Query().Where(quoteline.QuoteID(q.ID)).Order(ent.Asc(quoteline.FieldPosition)).All(ctx)
	if err != nil {
		return fmt.Errorf("read positions of quote %s: %w", q.ID, err)
	}
	lines := make([]mail.Values, len(rows))
	for n, l := range rows {
		lines[n] = lineValues(l.Description, l.Quantity, l.Amount())
	}
	pdf := s.QuoteDocumentURL(m.organization.Slug, q)
	url := orEmpty(s.QuotePage(m.organization.Slug, q))
	v := mail.Values{
		"id": q.ID, "friendly_id": orEmpty(q.Number), "cost": costOf(q.Total()), "expires_on": m.date(q.ExpiresAt),
		"url": url, "pdf_url": pdf, "line_items": lines,
	}
	if total := q.Total(); total != nil {
		v["currency"] = total.Currency
	}
	m.values["quote"], m.values["quote_url"] = v, url
	if m.facts.Cost == nil {
		m.values["cost"] = costOf(q.Total())
	}
	return nil
}

// mailBalance adds the balance that a mail is about: as it was when it became
// low, else as it is.
func (s *Service) mailBalance(ctx context.Context, m *mailSubject) error {
	if m.facts.BalanceID == "" {
		return nil
	}
	b, err := s.read.Balance.Query().Where(balance.ID(m.facts.BalanceID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read balance %s: %w", m.facts.BalanceID, err)
	}
	left := m.facts.Left
	if left == nil {
		remaining := b.Remaining()
		left = &remaining
	}
	m.values["balance"] = mail.Values{"currency": b.Currency, "remaining": costOf(left), "level": costOf(m.facts.Level)}
	return nil
}

// mailCard adds the card that a mail is about.
func (s *Service) mailCard(ctx context.Context, m *mailSubject) error {
	if m.facts.CardID == "" {
		return nil
	}
	c, err := s.read.PaymentMethod.Query().Where(paymentmethod.ID(m.facts.CardID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read card %s: %w", m.facts.CardID, err)
	}
	if c.Status != paymentmethod.StatusACTIVE {
		return &mailNotSent{email.StatusCANCELED, "the card is " + string(c.Status)}
	}
	m.card(c)
	return nil
}

// card names the card that a mail is about.
func (m *mailSubject) card(c *ent.PaymentMethod) {
	account, _ := m.values["account"].(mail.Values) // buyer_account is the same
	account["credit_card_display_number"] = strings.TrimSpace(c.Brand + " •••• " + c.Last4)
	account["credit_card_stored?"] = truth(true)
	account["credit_card_expiration_date"] = fmt.Sprintf("%04d-%02d", c.ExpYear, c.ExpMonth)
}

// mailPayment holds back what asks for a payment that needs nobody any more.
func (s *Service) mailPayment(ctx context.Context, m *mailSubject) error {
	if m.facts.PaymentID == "" || m.kind != mail.PaymentActionRequired && m.kind != mail.AutoReloadAction {
		return nil
	}
	p, err := s.read.Payment.Query().Where(payment.ID(m.facts.PaymentID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read payment %s: %w", m.facts.PaymentID, err)
	}
	if p.Status != payment.StatusREQUIRES_ACTION {
		return &mailNotSent{email.StatusCANCELED, "the payment is " + string(p.Status)}
	}
	return nil
}

// renderMail puts a mail into words: the organization's own in the payer's
// language, else the system's in it, else both in the next best language. An
// override that can no longer be rendered gives way to the system's wording: a
// mail in other words is better than none.
func (s *Service) renderMail(ctx context.Context, m *mailSubject) (mail.Rendered, error) {
	locales := language.Choices(orEmpty(m.payer.Locale))
	rows, err := s.read.EmailTemplate.Query().
		Where(emailtemplate.Kind(string(m.kind)), emailtemplate.LocaleIn(locales...)).All(ctx)
	if err != nil {
		return mail.Rendered{}, fmt.Errorf("read templates: %w", err)
	}
	for _, locale := range locales {
		for _, row := range rows {
			if row.Locale != locale {
				continue
			}
			out, err := templateOf(row).Render(m.kind, m.values)
			if err == nil {
				return out, nil
			}
			s.log.WarnContext(ctx, "template cannot be rendered", "template_id", row.ID, "kind", m.kind, "locale", locale, "error", err)
		}
		if system, ok := mail.System(m.kind, locale); ok {
			return system.Render(m.kind, m.values)
		}
	}
	return mail.Rendered{}, fmt.Errorf("there is no template for %s", m.kind)
}

func templateOf(row *ent.EmailTemplate) mail.Template {
	return mail.Template{Subject: row.Subject, Text: row.Body, HTML: row.HTML}
}
