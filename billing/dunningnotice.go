package billing

import (
	"context"
	"time"

	"purser/ent"
	"purser/gateway"
	"purser/mail"
)

// What a payer, and the organization, are told of the charging of invoices and
// of saved cards: one function for each thing there is to tell. Mails about a
// try are written where all tries come by, also those that a person has begun
// (tellInvoiceTry).

// The kinds of these notices.
const (
	noticeUpcomingCharge = "invoice.upcoming_charge"
	noticeChargeFailed   = "invoice.charge_failed"
	noticeChargeGivenUp  = "invoice.charge_given_up"
	noticeAuthentication = "invoice.authentication_required"
	noticeInvoicePaid    = "invoice.paid"
	noticeCardExpires    = "payment_method.expires"
)

// invoiceNotice is what is told of an invoice.
type invoiceNotice struct {
	InvoiceID string `json:"invoiceId"`
	PayerID   string `json:"payerId"`
	Amount    sum    `json:"amount"`
	PaymentID string `json:"paymentId,omitempty"`
	// Reason is the failure's code, Message its sentence for a person.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// Attempts are the tries so far; NextAttemptAt is when the next one follows.
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"nextAttemptAt,omitempty"`
	// PayURL is where the payer can pay, or let a payment through at the bank.
	PayURL string `json:"payUrl,omitempty"`
}

func invoiceNoticeOf(inv *ent.Invoice, p *ent.Payment, f *gateway.Failure) invoiceNotice {
	n := invoiceNotice{
		InvoiceID: inv.ID, PayerID: inv.PayerID, Amount: sumOf(inv.Total()), Attempts: inv.Attempts, NextAttemptAt: inv.NextAttemptAt,
		PayURL: orEmpty(inv.HostedURL),
	}
	if p != nil {
		n.PaymentID = p.ID
		if p.ActionURL != "" {
			n.PayURL = p.ActionURL
		}
	}
	if f != nil {
		n.Reason, n.Message = f.Code, f.Message
	}
	return n
}

// tellUpcoming tells that the card will be charged.
func (tx *Tx) tellUpcoming(ctx context.Context, inv *ent.Invoice, at time.Time) error {
	n := invoiceNoticeOf(inv, nil, nil)
	n.NextAttemptAt = &at
	if err := tx.notice(ctx, noticeUpcomingCharge, inv.ID, n); err != nil {
		return err
	}
	return tx.queueMail(ctx, mail.UpcomingCharge, inv.PayerID, mailFacts{InvoiceID: inv.ID, NextAt: &at})
}

// tellChargeFailed tells that a try has failed after which another one follows.
func (tx *Tx) tellChargeFailed(ctx context.Context, inv *ent.Invoice, p *ent.Payment, f *gateway.Failure) error {
	return tx.notice(ctx, noticeChargeFailed, inv.ID, invoiceNoticeOf(inv, p, f))
}

// tellChargeGivenUp tells that the last try has failed.
func (tx *Tx) tellChargeGivenUp(ctx context.Context, inv *ent.Invoice, p *ent.Payment, f *gateway.Failure) error {
	return tx.notice(ctx, noticeChargeGivenUp, inv.ID, invoiceNoticeOf(inv, p, f))
}

// tellAuthentication tells that the bank wants to see the payer.
func (tx *Tx) tellAuthentication(ctx context.Context, inv *ent.Invoice, p *ent.Payment) error {
	return tx.notice(ctx, noticeAuthentication, inv.ID, invoiceNoticeOf(inv, p, nil))
}

// tellInvoicePaid tells that an invoice is paid.
func (tx *Tx) tellInvoicePaid(ctx context.Context, inv *ent.Invoice) error {
	n := invoiceNoticeOf(inv, nil, nil)
	n.PayURL, n.NextAttemptAt = "", nil
	if err := tx.notice(ctx, noticeInvoicePaid, inv.ID, n); err != nil {
		return err
	}
	return tx.queueMail(ctx, mail.InvoicePaid, inv.PayerID, mailFacts{InvoiceID: inv.ID})
}

// cardNotice is what is told of a saved card. Its digits are a person's.
type cardNotice struct {
	PaymentMethodID string `json:"paymentMethodId"`
	PayerID         string `json:"payerId"`
	ExpMonth        int    `json:"expMonth"`
	ExpYear         int    `json:"expYear"`
}

// tellCardExpires tells that a saved card will soon be past its last month.
func (tx *Tx) tellCardExpires(ctx context.Context, m *ent.PaymentMethod) error {
	err := tx.notice(ctx, noticeCardExpires, m.ID, cardNotice{
		PaymentMethodID: m.ID, PayerID: m.PayerID, ExpMonth: m.ExpMonth, ExpYear: m.ExpYear,
	})
	if err != nil {
		return err
	}
	return tx.queueMail(ctx, mail.CardExpiring, m.PayerID, mailFacts{CardID: m.ID})
}
