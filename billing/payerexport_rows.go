package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/auditevent"
	"purser/ent/balance"
	"purser/ent/email"
	"purser/ent/gatewaycustomer"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/membership"
	"purser/ent/payersession"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/money"
)

// fields is an object of an export. What is empty is left out.
type fields map[string]any

// MarshalJSON leaves out what is empty.
func (f fields) MarshalJSON() ([]byte, error) {
	out := make(map[string]any, len(f))
	for name, v := range f {
		switch v := v.(type) {
		case nil:
			continue
		case string:
			if v == "" {
				continue
			}
		case *string:
			if v == nil || *v == "" {
				continue
			}
		case *time.Time:
			if v == nil {
				continue
			}
		case *schema.Address:
			if v == nil {
				continue
			}
		case *schema.Recipient:
			if v == nil {
				continue
			}
		case []fields:
			if len(v) == 0 {
				continue
			}
		case *money.Amount:
			if v == nil {
				continue
			}
			out[name] = v.Decimal()
			continue
		case money.Amount:
			out[name] = v.Decimal()
			continue
		}
		out[name] = v
	}
	return json.Marshal(out)
}

func exportedPayer(p *ent.Payer) fields {
	f := fields{
		"id": p.ID, "kind": p.Kind, "name": p.Name, "email": p.Email, "slug": p.Slug, "billingEmail": p.BillingEmail,
		"externalId": p.ExternalID, "taxId": p.TaxID, "address": p.Address, "locale": p.Locale, "metadata": p.Metadata,
		"billingMode": p.BillingMode, "reverseCharge": p.ReverseCharge, "status": p.Status, "createdAt": p.CreatedAt, "erasedAt": p.ErasedAt,
	}
	if p.TaxRatePpm != nil {
		f["taxRate"] = p.TaxRatePpm.Decimal()
	}
	return f
}

// exported makes objects of rows and names the last one.
func exported[T any](rows []T, err error, what string, id func(T) string, object func(T) fields) ([]any, string, error) {
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", what, err)
	}
	out, last := make([]any, len(rows)), ""
	for i, row := range rows {
		out[i], last = object(row), id(row)
	}
	return out, last, nil
}

func (x *PayerExport) memberships(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.Membership.Query().
		Where(membership.Or(membership.DeveloperID(x.PayerID), membership.CompanyID(x.PayerID)), membership.IDGT(after)).
		Order(ent.Asc(membership.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "memberships", func(m *ent.Membership) string { return m.ID }, func(m *ent.Membership) fields {
		return fields{"id": m.ID, "companyId": m.CompanyID, "developerId": m.DeveloperID, "role": m.Role, "createdAt": m.CreatedAt}
	})
}

// customers are what gateways call the payer: what they keep of it must be
// asked for, or erased, there.
func (x *PayerExport) customers(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.GatewayCustomer.Query().
		Where(gatewaycustomer.PayerID(x.PayerID), gatewaycustomer.IDGT(after)).
		Order(ent.Asc(gatewaycustomer.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "gateway customers", func(c *ent.GatewayCustomer) string { return c.ID }, func(c *ent.GatewayCustomer) fields {
		return fields{"providerId": c.ProviderID, "gatewayCustomerId": c.GatewayCustomerID, "createdAt": c.CreatedAt, "deletedAt": c.DeletedAt}
	})
}

func (x *PayerExport) cards(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.PaymentMethod.Query().
		Where(paymentmethod.PayerID(x.PayerID), paymentmethod.IDGT(after)).
		Order(ent.Asc(paymentmethod.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "cards", func(m *ent.PaymentMethod) string { return m.ID }, func(m *ent.PaymentMethod) fields {
		return fields{
			"id": m.ID, "providerId": m.ProviderID, "status": m.Status, "isDefault": m.IsDefault, "brand": m.Brand, "last4": m.Last4,
			"expMonth": m.ExpMonth, "expYear": m.ExpYear, "gatewayId": m.GatewayID, "gatewayCustomerId": m.GatewayCustomerID,
			"failureMessage": m.FailureMessage, "createdAt": m.CreatedAt,
		}
	})
}

// mails are those that were sent, and those that are going to be.
func (x *PayerExport) mails(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.Email.Query().Where(email.PayerID(x.PayerID), email.IDGT(after)).
		Order(ent.Asc(email.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "mails", func(e *ent.Email) string { return e.ID }, func(e *ent.Email) fields {
		return fields{"id": e.ID, "kind": e.Kind, "status": e.Status, "facts": e.Facts, "sentAt": e.SentAt, "failure": e.Failure, "createdAt": e.CreatedAt}
	})
}

func (x *PayerExport) quotes(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.Quote.Query().Where(quote.PayerID(x.PayerID), quote.IDGT(after)).WithLines().
		Order(ent.Asc(quote.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "quotes", func(q *ent.Quote) string { return q.ID }, func(q *ent.Quote) fields {
		lines := make([]fields, len(q.Edges.Lines))
		for i, l := range q.Edges.Lines {
			lines[i] = fields{"description": l.Description, "quantity": l.Quantity, "unitAmount": l.UnitAmount(), "amount": l.Amount()}
		}
		return fields{
			"id": q.ID, "number": q.Number, "status": q.Status, "providerId": q.ProviderID, "currency": q.Currency, "total": q.Total(),
			"description": q.Description, "lineItems": lines, "invoiceId": q.InvoiceID, "expiresAt": q.ExpiresAt,
			"finalizedAt": q.FinalizedAt, "acceptedAt": q.AcceptedAt, "createdAt": q.CreatedAt,
		}
	})
}

func (x *PayerExport) invoices(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.Invoice.Query().Where(invoice.PayerID(x.PayerID), invoice.IDGT(after)).WithLines().WithCreditNotes().
		Order(ent.Asc(invoice.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "invoices", func(i *ent.Invoice) string { return i.ID }, func(i *ent.Invoice) fields {
		lines := make([]fields, len(i.Edges.Lines))
		for n, l := range i.Edges.Lines {
			lines[n] = fields{"description": l.Description, "quantity": l.Quantity, "unitAmount": l.UnitAmount(), "amount": l.Amount()}
		}
		taxes := make([]fields, len(i.Taxes))
		for n, t := range i.ShownTaxes() {
			taxes[n] = fields{"rate": t.Rate, "taxable": t.Taxable, "amount": t.Amount}
		}
		notes := make([]fields, len(i.Edges.CreditNotes))
		for n, c := range i.Edges.CreditNotes {
			notes[n] = fields{"id": c.ID, "number": c.Number, "tax": c.Tax(), "total": c.Total(), "reason": c.Reason, "settlement": c.Settlement, "createdAt": c.CreatedAt}
		}
		return fields{
			"id": i.ID, "number": i.Number, "status": i.Status, "collection": i.Collection, "providerId": i.ProviderID, "currency": i.Currency,
			"recipient": i.Recipient, "seller": i.Seller, "description": i.Description, "lineItems": lines,
			"taxes": taxes, "reverseCharge": i.ReverseCharge, "usageMonth": i.UsageMonth, "sentAt": i.SentAt,
			"subtotal": i.Subtotal(), "tax": i.Tax(), "total": i.Total(), "amountDue": i.AmountDue(), "amountPaid": i.AmountPaid(), "creditNotes": notes,
			"dueAt": i.DueAt, "finalizedAt": i.FinalizedAt, "paidAt": i.PaidAt, "voidedAt": i.VoidedAt, "createdAt": i.CreatedAt,
			"hostedUrl": i.HostedURL, "receiptUrl": i.ReceiptURL, "quoteId": i.QuoteID, "subscriptionId": i.SubscriptionID,
			"periodStart": i.PeriodStart, "periodEnd": i.PeriodEnd,
		}
	})
}

func (x *PayerExport) subscriptions(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.Subscription.Query().Where(subscription.PayerID(x.PayerID), subscription.IDGT(after)).WithItems().
		Order(ent.Asc(subscription.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "subscriptions", func(s *ent.Subscription) string { return s.ID }, func(s *ent.Subscription) fields {
		items := make([]fields, len(s.Edges.Items))
		for n, i := range s.Edges.Items {
			items[n] = fields{"description": i.Description, "quantity": i.Quantity, "unitAmount": i.UnitAmount(), "amount": i.Amount()}
		}
		return fields{
			"id": s.ID, "status": s.Status, "collection": s.Collection, "providerId": s.ProviderID, "paymentMethodId": s.PaymentMethodID,
			"quoteId": s.QuoteID, "currency": s.Currency, "amount": s.Amount(), "items": items,
			"recurrenceInterval": s.RecurrenceInterval, "recurrenceCount": s.RecurrenceCount, "timeZone": s.TimeZone,
			"startsAt": s.StartsAt, "trialEndsAt": s.TrialEndsAt, "currentPeriodStart": s.CurrentPeriodStart, "currentPeriodEnd": s.CurrentPeriodEnd,
			"cancelAtPeriodEnd": s.CancelAtPeriodEnd, "canceledAt": s.CanceledAt, "createdAt": s.CreatedAt,
		}
	})
}

func (x *PayerExport) payments(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.Payment.Query().Where(payment.PayerID(x.PayerID), payment.IDGT(after)).
		WithAttempts().WithRefunds().WithDisputes().
		Order(ent.Asc(payment.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "payments", func(p *ent.Payment) string { return p.ID }, func(p *ent.Payment) fields {
		var attempts, refunds, disputes []fields
		for _, a := range p.Edges.Attempts {
			attempts = append(attempts, fields{"number": a.Number, "status": a.Status, "failureCode": a.FailureCode, "failureMessage": a.FailureMessage, "createdAt": a.CreatedAt, "finishedAt": a.FinishedAt})
		}
		for _, r := range p.Edges.Refunds {
			refunds = append(refunds, fields{"id": r.ID, "status": r.Status, "amount": r.Amount(), "reason": r.Reason, "createdAt": r.CreatedAt})
		}
		for _, d := range p.Edges.Disputes {
			disputes = append(disputes, fields{"id": d.ID, "status": d.Status, "amount": d.Amount(), "reason": d.Reason, "createdAt": d.CreatedAt})
		}
		return fields{
			"id": p.ID, "status": p.Status, "purpose": p.Purpose, "currency": p.Currency, "amount": p.Amount(), "refunded": p.Refunded(),
			"providerId": p.ProviderID, "invoiceId": p.InvoiceID, "balanceId": p.BalanceID, "paymentMethodId": p.PaymentMethodID,
			"orderCode": p.OrderCode, "referenceId": p.ReferenceID, "gatewayPaymentId": p.GatewayPaymentID, "receiptUrl": p.ReceiptURL,
			"failureCode": p.FailureCode, "failureMessage": p.FailureMessage, "createdAt": p.CreatedAt, "settledAt": p.SettledAt, "refusedAt": p.RefusedAt,
			"attempts": attempts, "refunds": refunds, "disputes": disputes,
		}
	})
}

func (x *PayerExport) holds(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.Hold.Query().Where(hold.PayerID(x.PayerID), hold.IDGT(after)).
		Order(ent.Asc(hold.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "holds", func(h *ent.Hold) string { return h.ID }, func(h *ent.Hold) fields {
		return fields{
			"id": h.ID, "balanceId": h.BalanceID, "status": h.Status, "currency": h.Currency,
			"amount":   money.Amount{Units: h.AmountUnits, Currency: h.Currency},
			"captured": money.Amount{Units: h.CapturedUnits, Currency: h.Currency}, "description": h.Description,
			"expiresAt": h.ExpiresAt, "createdAt": h.CreatedAt,
		}
	})
}

func (x *PayerExport) sessions(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.PayerSession.Query().Where(payersession.PayerID(x.PayerID), payersession.IDGT(after)).
		Order(ent.Asc(payersession.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "sessions", func(p *ent.PayerSession) string { return p.ID }, func(p *ent.PayerSession) fields {
		return fields{"id": p.ID, "createdBy": p.CreatedBy, "createdAt": p.CreatedAt, "expiresAt": p.ExpiresAt, "revokedAt": p.RevokedAt}
	})
}

func (x *PayerExport) audits(ctx context.Context, after string) ([]any, string, error) {
	rows, err := x.s.read.AuditEvent.Query().Where(auditevent.Subject(x.PayerID), auditevent.IDGT(after)).
		Order(ent.Asc(auditevent.FieldID)).Limit(exportPage).All(ctx)
	return exported(rows, err, "audit events", func(a *ent.AuditEvent) string { return a.ID }, func(a *ent.AuditEvent) fields {
		return fields{"actor": a.Actor, "action": a.Action, "details": a.Details, "createdAt": a.CreatedAt}
	})
}

// balances writes the payer's balances, of which it has a handful, each with
// the entries that it is the sum of.
func (x *PayerExport) balances(ctx context.Context, d *exportWriter) {
	all, err := x.s.read.Balance.Query().Where(balance.PayerID(x.PayerID)).Order(ent.Asc(balance.FieldCurrency)).All(ctx)
	if err != nil {
		d.err = fmt.Errorf("read balances: %w", err)
		return
	}
	for i, b := range all {
		if i > 0 {
			d.text(",")
		}
		d.text(`{"balance":`)
		d.value(fields{
			"id": b.ID, "currency": b.Currency, "billingMode": b.BillingMode, "period": b.Period, "amount": b.Amount(), "usage": b.Usage(),
			"remaining": b.Remaining(), "held": b.Held(), "unpaid": b.Unpaid(), "available": b.Available(), "creditLimit": b.CreditLimit(),
			"createdAt": b.CreatedAt, "updatedAt": b.UpdatedAt,
		})
		d.text(`,"entries":`)
		d.list(ctx, x.entriesOf(b))
		d.text("}")
	}
}

// entriesOf pages through the entries of a balance up to those that it was
// read with.
func (x *PayerExport) entriesOf(b *ent.Balance) exportedPage {
	seq := int64(0)
	return func(ctx context.Context, _ string) ([]any, string, error) {
		rows, err := x.s.read.LedgerEntry.Query().
			Where(ledgerentry.BalanceID(b.ID), ledgerentry.SeqGT(seq), ledgerentry.SeqLTE(b.LastSeq)).
			Order(ent.Asc(ledgerentry.FieldSeq)).Limit(exportPage).All(ctx)
		if len(rows) > 0 {
			seq = *rows[len(rows)-1].Seq
		}
		return exported(rows, err, "entries", func(e *ent.LedgerEntry) string { return e.ID }, func(e *ent.LedgerEntry) fields {
			return fields{
				"id": e.ID, "seq": e.Seq, "kind": e.Kind, "amount": e.Amount(), "debitAccount": e.DebitAccount, "creditAccount": e.CreditAccount,
				"description": e.Description, "metadata": e.Metadata, "paymentId": e.PaymentID, "invoiceId": e.InvoiceID, "holdId": e.HoldID,
				"refundId": e.RefundID, "disputeId": e.DisputeID, "creditNoteId": e.CreditNoteID, "reversesId": e.ReversesID,
				"actor": e.Actor, "effectiveAt": e.EffectiveAt, "bookedAt": e.BookedAt,
			}
		})
	}
}
