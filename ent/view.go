package ent

import (
	"time"

	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/price"
	"purser/ent/schema"
	"purser/money"
)

// The small objects that the public schema shows as parts of a row.

// Recurrence says how often a price is paid.
type Recurrence struct {
	Interval      price.RecurrenceInterval
	IntervalCount int
}

// Recurrence is how often the price is paid, or nil when once.
func (p *Price) Recurrence() *Recurrence {
	if p.RecurrenceInterval == nil {
		return nil
	}
	return &Recurrence{Interval: *p.RecurrenceInterval, IntervalCount: p.RecurrenceCount}
}

// Recurrence is how often the line is paid, or nil when once.
func (l *QuoteLine) Recurrence() *Recurrence {
	if l.RecurrenceInterval == nil {
		return nil
	}
	return &Recurrence{Interval: price.RecurrenceInterval(*l.RecurrenceInterval), IntervalCount: l.RecurrenceCount}
}

// Recurrence is how often the subscription is paid.
func (s *Subscription) Recurrence() *Recurrence {
	return &Recurrence{Interval: price.RecurrenceInterval(s.RecurrenceInterval), IntervalCount: s.RecurrenceCount}
}

// ShownCollection is how its invoices are to be paid, in their words.
func (s *Subscription) ShownCollection() invoice.Collection { return invoice.Collection(s.Collection) }

// Failure says why a payment or one try at it failed.
type Failure struct {
	Code        string
	DeclineCode *string
	Message     string
}

func failure(code, declineCode, message string) *Failure {
	if code == "" {
		return nil
	}
	f := &Failure{Code: code, Message: message}
	if declineCode != "" {
		f.DeclineCode = &declineCode
	}
	return f
}

// Failure is why the payment failed, or nil.
func (p *Payment) Failure() *Failure {
	if p.Status != "FAILED" {
		return nil
	}
	return failure(p.FailureCode, p.FailureDeclineCode, p.FailureMessage)
}

// Failure is why the try failed, or nil.
func (a *PaymentAttempt) Failure() *Failure {
	return failure(a.FailureCode, a.FailureDeclineCode, a.FailureMessage)
}

// Card is what may be known about a saved card.
type Card struct {
	Brand    string
	Last4    string
	ExpMonth int
	ExpYear  int
}

// Card is the saved card, or nil until the gateway has it.
func (m *PaymentMethod) Card() *Card {
	if m.Last4 == "" {
		return nil
	}
	return &Card{Brand: m.Brand, Last4: m.Last4, ExpMonth: m.ExpMonth, ExpYear: m.ExpYear}
}

// Failure is why the card could not be saved, or nil.
func (m *PaymentMethod) Failure() *string {
	if m.Status != "FAILED" || m.FailureMessage == "" {
		return nil
	}
	return &m.FailureMessage
}

// ShownStatus is the try's status in the words of a payment's.
func (a *PaymentAttempt) ShownStatus() payment.Status { return payment.Status(a.Status) }

// ShownMetadata is the caller's own data, never nil.
func (e *LedgerEntry) ShownMetadata() map[string]string {
	if e.Metadata == nil {
		return map[string]string{}
	}
	return e.Metadata
}

// LowBalanceNotice is from which level on a balance is called low.
type LowBalanceNotice struct {
	Level     *money.Amount
	Percent   *int
	NoticedAt *time.Time
}

// LowBalanceNotice is the notice agreed for the balance, or nil.
func (b *Balance) LowBalanceNotice() *LowBalanceNotice {
	if b.LowBalanceLevelUnits == nil && b.LowBalancePercent == nil {
		return nil
	}
	return &LowBalanceNotice{
		Level: optionalAmount(b.LowBalanceLevelUnits, b.Currency), Percent: b.LowBalancePercent, NoticedAt: b.LowBalanceNoticedAt,
	}
}

// AutoReload is how a balance is reloaded from a saved card.
type AutoReload struct {
	Enabled              bool
	Threshold            money.Amount
	Amount               money.Amount
	DailyCap, MonthlyCap money.Amount
	ProviderID           string
	PaymentMethodID      *string
	SuspendedReason      *string
	NextAttemptAt        *time.Time
}

// What is charged in a day and in a month at most, in reloads, where nothing
// else was agreed: never without a bound.
const (
	reloadsPerDay   = 10
	reloadsPerMonth = 50
)

// AutoReload is the balance's set-up, or nil where it never had one.
func (b *Balance) AutoReload() *AutoReload {
	if b.AutoReloadThresholdUnits == nil || b.AutoReloadAmountUnits == nil || b.AutoReloadProviderID == nil {
		return nil
	}
	monthly := capOf(b.AutoReloadMonthlyCapUnits, *b.AutoReloadAmountUnits, reloadsPerMonth)
	daily := capOf(b.AutoReloadDailyCapUnits, *b.AutoReloadAmountUnits, reloadsPerDay)
	if b.AutoReloadDailyCapUnits == nil {
		daily = min(daily, monthly)
	}
	r := &AutoReload{
		Enabled:   b.AutoReloadEnabled,
		Threshold: amount(*b.AutoReloadThresholdUnits, b.Currency), Amount: amount(*b.AutoReloadAmountUnits, b.Currency),
		DailyCap: amount(daily, b.Currency), MonthlyCap: amount(monthly, b.Currency),
		ProviderID: *b.AutoReloadProviderID, PaymentMethodID: b.AutoReloadPaymentMethodID,
		NextAttemptAt: b.AutoReloadDueAt,
	}
	if b.AutoReloadSuspendedReason != "" {
		r.SuspendedReason = &b.AutoReloadSuspendedReason
	}
	return r
}

// capOf is the cap that was agreed, or so many reloads.
func capOf(agreed *money.Units, one money.Units, times money.Units) money.Units {
	if agreed != nil {
		return *agreed
	}
	if one > money.MaxUnits/times {
		return money.MaxUnits
	}
	return one * times
}

// Installation is the installation id of the account's payment pages, or nil.
func (p *Provider) Installation() *string { return given(p.AuthType) }

// GivenEndpoint is the address that was given for the account's gateway, or
// nil.
func (p *Provider) GivenEndpoint() *string { return given(p.Endpoint) }

// Installation is the installation id of the account's payment pages, or nil.
func (g *GlobalProvider) Installation() *string { return given(g.AuthType) }

// GivenEndpoint is the address that was given for the account's gateway, or
// nil.
func (g *GlobalProvider) GivenEndpoint() *string { return given(g.Endpoint) }

// AnsweredStatus is the status that the endpoint answered with, or nil.
func (d *WebhookDelivery) AnsweredStatus() *int {
	if d.HTTPStatus == 0 {
		return nil
	}
	return &d.HTTPStatus
}

// Reason is why the delivery failed, or nil.
func (d *WebhookDelivery) Reason() *string { return given(d.Error) }

// given is a text, or nil where it is empty.
func given(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// InvoiceTax is the tax of an invoice at one rate.
type InvoiceTax struct {
	Rate    money.Decimal
	Taxable money.Amount
	Amount  money.Amount
}

// ShownTaxes are the invoice's taxes by rate.
func (i *Invoice) ShownTaxes() []*InvoiceTax { return shownTaxes(i.Taxes, i.Currency) }

// ShownTaxes are the taxes that the note takes back, by rate.
func (n *CreditNote) ShownTaxes() []*InvoiceTax { return shownTaxes(n.Taxes, n.Currency) }

func shownTaxes(shares []schema.TaxShare, currency string) []*InvoiceTax {
	out := make([]*InvoiceTax, len(shares))
	for n, t := range shares {
		out[n] = &InvoiceTax{Rate: t.RatePpm.Decimal(), Taxable: amount(t.TaxableUnits, currency), Amount: amount(t.TaxUnits, currency)}
	}
	return out
}

// CreditNoteLine is what a credit note takes back of one line.
type CreditNoteLine struct {
	LineItemID  string
	Description string
	Quantity    *int
	Amount      money.Amount
}

// ShownLines are the lines that the note takes back.
func (n *CreditNote) ShownLines() []*CreditNoteLine {
	out := make([]*CreditNoteLine, len(n.Lines))
	for i, l := range n.Lines {
		out[i] = &CreditNoteLine{LineItemID: l.LineID, Description: l.Description, Quantity: l.Quantity, Amount: amount(l.AmountUnits, n.Currency)}
	}
	return out
}

// ShownTaxRate is the line's own tax in percent, or nil.
func (l *InvoiceLine) ShownTaxRate() *money.Decimal {
	if l.TaxRatePpm == nil {
		return nil
	}
	rate := l.TaxRatePpm.Decimal()
	return &rate
}

// Debt is what the invoice moves off the payer's balance, or nil.
func (i *Invoice) Debt() *money.Amount { return optionalAmount(i.DebtUnits, i.Currency) }
