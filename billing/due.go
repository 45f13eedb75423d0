package billing

import (
	"context"
	"fmt"
	"slices"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"purser/auth"
	"purser/ent/balance"
	"purser/ent/dispute"
	"purser/ent/email"
	"purser/ent/gatewaycall"
	"purser/ent/gatewayevent"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/ledgerseal"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/predicate"
	"purser/ent/quote"
	"purser/ent/refund"
	"purser/ent/subscription"
)

// quoteIsOpen finds open quotes by a word that stands in the statement, as it
// stands in the index of those that expire.
func quoteIsOpen(s *entsql.Selector) { s.Where(entsql.ExprP("status = 'OPEN'")) }

// What is due is the state of the objects themselves. Each kind of work has
// one condition, by which the organizations are found that have any, the
// pieces are listed, and each piece is claimed. A claim moves the piece's next
// time on before it is worked at: two servers never work at the same piece,
// and one that always fails stands in nobody's way.

func callDue(now time.Time) predicate.GatewayCall {
	return gatewaycall.And(gatewaycall.StateEQ(gatewaycall.StateOPEN), gatewaycall.NextCheckAtLTE(now))
}

func eventDue(now time.Time) predicate.GatewayEvent {
	return gatewayevent.And(gatewayevent.StatusIn(gatewayevent.StatusRECEIVED, gatewayevent.StatusWAITING), gatewayevent.NextAttemptAtLTE(now))
}

// The payments of an invoice that a gateway keeps are settled with it, and have
// no such time.
func paymentDue(now time.Time) predicate.Payment {
	return payment.And(payment.NextCheckAtLTE(now),
		payment.StatusIn(payment.StatusREQUIRES_ACTION, payment.StatusPROCESSING))
}

func cardDue(now time.Time) predicate.PaymentMethod {
	return paymentmethod.And(paymentmethod.NextCheckAtLTE(now), paymentmethod.StatusEQ(paymentmethod.StatusPENDING),
		paymentmethod.SetupReferenceNotNil())
}

// An invoice that a call is changing is looked at as well: the call may be
// one that a person has to look at.
func invoiceDue(now time.Time) predicate.Invoice {
	return invoice.And(invoice.NextCheckAtLTE(now),
		invoice.StatusIn(invoice.StatusDRAFT, invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE))
}

func chargeDue(now time.Time) predicate.Invoice {
	return invoice.And(invoice.NextAttemptAtLTE(now), invoice.PendingCallIDIsNil())
}

// charging keeps the invoices of organizations that have cards charged by
// themselves: no invoice of another one is due, however old it is.
func charging(s *entsql.Selector) {
	d := entsql.Dialect(s.Dialect())
	o := d.Table(organization.Table)
	s.Where(entsql.Exists(d.Select(o.C(organization.FieldID)).From(o).Where(entsql.And(
		entsql.ColumnsEQ(o.C(organization.FieldID), s.C(invoice.FieldOrganizationID)),
		entsql.EQ(o.C(organization.FieldChargingEnabled), true), entsql.EQ(o.C(organization.FieldStatus), organization.StatusACTIVE),
	))))
}

func cardExpires(now time.Time) predicate.PaymentMethod {
	return paymentmethod.ExpiryNoticeAtLTE(now)
}

func reloadIsDue(now time.Time) predicate.Balance {
	return balance.AutoReloadDueAtLTE(now)
}

func usageIsDue(now time.Time) predicate.Balance {
	return balance.UsageInvoiceAtLTE(now.Add(-usageRests))
}

func finalizationDue(now time.Time) predicate.Invoice {
	return invoice.And(invoice.FinalizesAtLTE(now), invoice.StatusEQ(invoice.StatusDRAFT), invoice.PendingCallIDIsNil())
}

func refundDue(now time.Time) predicate.Refund {
	return refund.And(refund.NextCheckAtLTE(now), refund.StatusEQ(refund.StatusPROCESSING))
}

func disputeDue(now time.Time) predicate.Dispute {
	return dispute.NextCheckAtLTE(now)
}

func quoteDue(now time.Time) predicate.Quote {
	return quote.And(quoteIsOpen, quote.ExpiresAtLTE(now), quote.PendingCallIDIsNil())
}

// holdIsOpenRow: the word stands in the statement as it does for quoteIsOpen.
func holdIsOpenRow(s *entsql.Selector) { s.Where(entsql.ExprP("status = 'OPEN'")) }

func holdDue(now time.Time) predicate.Hold {
	return hold.And(holdIsOpenRow, hold.ExpiresAtLTE(now))
}

// renewalIsUpcoming leaves out what is to end: should it go on after all, it is
// told of at once.
func renewalIsUpcoming(now time.Time) predicate.Subscription {
	return subscription.And(subscription.NoticeAtLTE(now), subscription.CancelAtPeriodEnd(false))
}

func subscriptionDue(now time.Time) predicate.Subscription {
	return subscription.DueAtLTE(now)
}

// OrganizationsWithDueWork lists the organizations in which something is due.
// It is one of the few statements that span organizations; the work itself is
// taken organization by organization.
func (s *Service) OrganizationsWithDueWork(ctx context.Context) ([]string, error) {
	set, found, err := s.readClocks(ctx)
	if err != nil {
		return nil, err
	}
	for _, scan := range s.dueScans(ctx, s.machine()) {
		var ids []string
		if err := scan.scan(&ids); err != nil {
			return nil, fmt.Errorf("scan for due %s: %w", scan.what, err)
		}
		found = append(found, ids...)
	}
	set = slices.DeleteFunc(set, func(id string) bool { return slices.Contains(found, id) })
	for _, id := range s.clocks.turn(set) {
		due, err := s.dueInside(auth.Internal(ctx, "jobs", id))
		if err != nil {
			return nil, err
		}
		if due {
			found = append(found, id)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// dueInside reports whether anything is due by the clock of the viewer's
// organization, which is ahead.
func (s *Service) dueInside(ctx context.Context) (bool, error) {
	for _, scan := range s.dueScans(ctx, s.now(ctx)) {
		var ids []string
		if err := scan.scan(&ids); err != nil {
			return false, fmt.Errorf("scan for due %s: %w", scan.what, err)
		}
		if len(ids) > 0 {
			return true, nil
		}
	}
	return false, nil
}

// dueScan looks for the organizations in which something of one kind is due.
type dueScan struct {
	what string
	scan func(v *[]string) error
}

// everyone names the organizations in a look for due work. Each is then sought by
// what is due in it, where there are fewer of them than rows that wait for their
// time: of running subscriptions, saved cards and open invoices all do.
func everyone(s *entsql.Selector) {
	o := entsql.Dialect(s.Dialect()).Table(organization.Table)
	s.Where(entsql.In(s.C(organizationID), entsql.Dialect(s.Dialect()).Select(o.C(organization.FieldID)).From(o)))
}

// organizationID is the column by which all tables begin.
const organizationID = invoice.FieldOrganizationID

func (s *Service) dueScans(ctx context.Context, now time.Time) []dueScan {
	return []dueScan{
		{"calls", func(v *[]string) error {
			return s.read.GatewayCall.Query().Where(callDue(now), everyone).
				Unique(true).Select(gatewaycall.FieldOrganizationID).Scan(ctx, v)
		}},
		{"events", func(v *[]string) error {
			return s.read.GatewayEvent.Query().Where(eventDue(now), everyone).
				Unique(true).Select(gatewayevent.FieldOrganizationID).Scan(ctx, v)
		}},
		{"payments", func(v *[]string) error {
			return s.read.Payment.Query().Where(paymentDue(now), everyone).
				Unique(true).Select(payment.FieldOrganizationID).Scan(ctx, v)
		}},
		{"cards", func(v *[]string) error {
			return s.read.PaymentMethod.Query().Where(cardDue(now), everyone).
				Unique(true).Select(paymentmethod.FieldOrganizationID).Scan(ctx, v)
		}},
		{"invoices", func(v *[]string) error {
			return s.read.Invoice.Query().Where(invoiceDue(now), everyone).
				Unique(true).Select(invoice.FieldOrganizationID).Scan(ctx, v)
		}},
		{"finalizations", func(v *[]string) error {
			return s.read.Invoice.Query().Where(finalizationDue(now), everyone).
				Unique(true).Select(invoice.FieldOrganizationID).Scan(ctx, v)
		}},
		{"usage invoices", func(v *[]string) error {
			return s.read.Balance.Query().Where(usageIsDue(now), everyone).
				Unique(true).Select(balance.FieldOrganizationID).Scan(ctx, v)
		}},
		{"quotes", func(v *[]string) error {
			return s.read.Quote.Query().Where(quoteDue(now), everyone).
				Unique(true).Select(quote.FieldOrganizationID).Scan(ctx, v)
		}},
		{"holds", func(v *[]string) error {
			return s.read.Hold.Query().Where(holdDue(now), everyone).
				Unique(true).Select(hold.FieldOrganizationID).Scan(ctx, v)
		}},
		{"refunds", func(v *[]string) error {
			return s.read.Refund.Query().Where(refundDue(now), everyone).
				Unique(true).Select(refund.FieldOrganizationID).Scan(ctx, v)
		}},
		{"disputes", func(v *[]string) error {
			return s.read.Dispute.Query().Where(disputeDue(now), everyone).
				Unique(true).Select(dispute.FieldOrganizationID).Scan(ctx, v)
		}},
		{"charges", func(v *[]string) error {
			return s.read.Invoice.Query().Where(chargeDue(now), charging, everyone).
				Unique(true).Select(invoice.FieldOrganizationID).Scan(ctx, v)
		}},
		{"expiring cards", func(v *[]string) error {
			return s.read.PaymentMethod.Query().Where(cardExpires(now), everyone).
				Unique(true).Select(paymentmethod.FieldOrganizationID).Scan(ctx, v)
		}},
		{"reloads", func(v *[]string) error {
			return s.read.Balance.Query().Where(reloadIsDue(now), everyone).
				Unique(true).Select(balance.FieldOrganizationID).Scan(ctx, v)
		}},
		{"mails", func(v *[]string) error {
			return s.read.Email.Query().Where(mailDue(now), everyone).
				Unique(true).Select(email.FieldOrganizationID).Scan(ctx, v)
		}},
		{"subscriptions", func(v *[]string) error {
			return s.read.Subscription.Query().Where(subscriptionDue(now), everyone).
				Unique(true).Select(subscription.FieldOrganizationID).Scan(ctx, v)
		}},
		{"upcoming renewals", func(v *[]string) error {
			return s.read.Subscription.Query().Where(renewalIsUpcoming(now), everyone).
				Unique(true).Select(subscription.FieldOrganizationID).Scan(ctx, v)
		}},
	}
}

// sealScanReach is how much longer ago than the last scan an entry may have
// been made that only now is there to be sealed: by a slow transaction, on a
// server whose clock is behind.
const sealScanReach = 10 * time.Minute

// OrganizationsToSeal lists the organizations that have entries to be sealed,
// made since the time, by the machine's own clock as ids are, at which it was
// called last. With no such time it lists all, since it cannot be known what
// was left when the last server ended. It is one of the few statements that
// span organizations.
func (s *Service) OrganizationsToSeal(ctx context.Context, since time.Time) ([]string, error) {
	if since.IsZero() {
		ids, err := s.read.Organization.Query().IDs(ctx)
		if err != nil {
			return nil, fmt.Errorf("list organizations: %w", err)
		}
		return ids, nil
	}
	var ids []string
	err := s.read.LedgerEntry.Query().
		Where(ledgerentry.BalanceIDIsNil(), ledgerentry.IDGT(idAt(prefixEntry, since.Add(-sealScanReach))),
			ledgerentry.Or(ledgerentry.BookedAtLTE(s.machine().Add(-sealAfter)), bookedAhead), unsealedAnywhere).
		Unique(true).Select(ledgerentry.FieldOrganizationID).Scan(ctx, &ids)
	if err != nil {
		return nil, fmt.Errorf("scan for entries to seal: %w", err)
	}
	return ids, nil
}

// bookedAhead keeps the entries of organizations whose clocks are ahead: they
// may have rested there although they are not made yet by the machine's.
func bookedAhead(s *entsql.Selector) {
	d := entsql.Dialect(s.Dialect())
	all := d.Table(organization.Table)
	s.Where(entsql.In(s.C(ledgerentry.FieldOrganizationID), d.Select(all.C(organization.FieldID)).From(all).Where(entsql.ExprP("clock_ahead <> 0"))))
}

// unsealedAnywhere keeps the entries of all organizations that no seal names.
// Naming the organizations lets the database seek each one's newest entries
// instead of reading everybody's.
func unsealedAnywhere(s *entsql.Selector) {
	d := entsql.Dialect(s.Dialect())
	all := d.Table(organization.Table)
	seals := d.Table(ledgerseal.Table)
	s.Where(entsql.In(s.C(ledgerentry.FieldOrganizationID), d.Select(all.C(organization.FieldID)).From(all)))
	s.Where(entsql.NotExists(d.Select(seals.C(ledgerseal.FieldID)).From(seals).Where(entsql.And(
		entsql.ColumnsEQ(seals.C(ledgerseal.FieldOrganizationID), s.C(ledgerentry.FieldOrganizationID)),
		entsql.ColumnsEQ(seals.C(ledgerseal.FieldEntryID), s.C(ledgerentry.FieldID)),
	))))
}
