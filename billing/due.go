package billing

import (
	"context"
	"fmt"
	"slices"

	entsql "entgo.io/ent/dialect/sql"

	"purser/ent/gatewaycall"
	"purser/ent/gatewayevent"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
)

// quoteIsOpen finds open quotes by a word that stands in the statement, as it
// stands in the index of those that expire.
func quoteIsOpen(s *entsql.Selector) { s.Where(entsql.ExprP("status = 'OPEN'")) }

// OrganizationsWithDueWork lists the organizations in which something is due.
// It is one of the few statements that span organizations; the work itself is
// taken organization by organization.
func (s *Service) OrganizationsWithDueWork(ctx context.Context) ([]string, error) {
	now := s.now()
	scans := []struct {
		what string
		scan func(v *[]string) error
	}{
		{"calls", func(v *[]string) error {
			return s.read.GatewayCall.Query().
				Where(gatewaycall.StateEQ(gatewaycall.StateOPEN), gatewaycall.NextCheckAtLTE(now)).
				Unique(true).Select(gatewaycall.FieldOrganizationID).Scan(ctx, v)
		}},
		{"events", func(v *[]string) error {
			return s.read.GatewayEvent.Query().
				Where(gatewayevent.StatusIn(gatewayevent.StatusRECEIVED, gatewayevent.StatusWAITING), gatewayevent.NextAttemptAtLTE(now)).
				Unique(true).Select(gatewayevent.FieldOrganizationID).Scan(ctx, v)
		}},
		{"payments", func(v *[]string) error {
			return s.read.Payment.Query().
				Where(payment.NextCheckAtLTE(now), payment.InvoiceIDIsNil(),
					payment.StatusIn(payment.StatusREQUIRES_ACTION, payment.StatusPROCESSING)).
				Unique(true).Select(payment.FieldOrganizationID).Scan(ctx, v)
		}},
		{"cards", func(v *[]string) error {
			return s.read.PaymentMethod.Query().
				Where(paymentmethod.NextCheckAtLTE(now), paymentmethod.StatusEQ(paymentmethod.StatusPENDING), paymentmethod.SetupReferenceNotNil()).
				Unique(true).Select(paymentmethod.FieldOrganizationID).Scan(ctx, v)
		}},
		{"invoices", func(v *[]string) error {
			return s.read.Invoice.Query().
				Where(invoice.NextCheckAtLTE(now), invoice.PendingCallIDIsNil()).
				Unique(true).Select(invoice.FieldOrganizationID).Scan(ctx, v)
		}},
		// Two statements, for an OR of two columns is looked for in the whole
		// table.
		{"drafts", func(v *[]string) error {
			return s.read.Invoice.Query().
				Where(invoice.FinalizesAtLTE(now), invoice.StatusEQ(invoice.StatusDRAFT), invoice.PendingCallIDIsNil()).
				Unique(true).Select(invoice.FieldOrganizationID).Scan(ctx, v)
		}},
		{"quotes", func(v *[]string) error {
			return s.read.Quote.Query().
				Where(quoteIsOpen, quote.ExpiresAtLTE(now), quote.PendingCallIDIsNil()).
				Unique(true).Select(quote.FieldOrganizationID).Scan(ctx, v)
		}},
	}
	var found []string
	for _, scan := range scans {
		var ids []string
		if err := scan.scan(&ids); err != nil {
			return nil, fmt.Errorf("scan for due %s: %w", scan.what, err)
		}
		found = append(found, ids...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}
