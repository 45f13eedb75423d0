package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/ent/quoteline"
	"purser/ent/schema"
	"purser/ent/subscription"
	"purser/money"
)

// Subscriptions are ours for every provider (spec.md decision 9): each period
// gets an invoice of its own, in advance, and a gateway sees that invoice only.
// What is due of one stands in due_at, and RenewSubscription does it.

const (
	// draftLife is how long the first invoice of a subscription that was sold by
	// a quote can be edited before it finalizes itself.
	draftLife = time.Hour
	// draftMargin is when a draft finalizes itself that whoever has asked for it
	// finalizes at once, should that be interrupted.
	draftMargin = time.Minute
	// firstPaymentLife is how long the first invoice of any other may stay
	// unpaid.
	firstPaymentLife = 23 * time.Hour
	// firstPaymentAgain is when it is tried again to take such an invoice back,
	// for a day.
	firstPaymentAgain = 10 * time.Minute
	// dueLater is when something is looked at again that stands in its own way.
	dueLater     = 24 * time.Hour
	trialDaysMax = 730
	// startsMax is how far ahead a subscription may begin.
	startsMax = 3 * 366 * 24 * time.Hour
)

// SubscriptionDraft is a subscription to be begun.
type SubscriptionDraft struct {
	PayerID         string
	ProviderID      string
	PaymentMethodID string
	Items           []LineDraft
	Collection      subscription.Collection
	TrialDays       int
	StartsAt        *time.Time
	Key             *string `json:"-"`
}

// CreateSubscription stores a subscription, and where it begins at once with a
// period that is paid for, the draft of its first invoice, which the caller
// finalizes and charges. It returns the ids of both; called again with the same
// key the same ones.
//
// Codes: INVALID, REQUIRED, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// LIMIT_EXCEEDED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateSubscription(ctx context.Context, d SubscriptionDraft) (id, invoiceID string, err error) {
	d.StartsAt = storedTime(d.StartsAt)
	op, err := s.newOperation("subscriptionCreate", d.Key, keyRequired, d)
	if err != nil {
		return "", "", err
	}
	if d.TrialDays < 0 || d.TrialDays > trialDaysMax {
		return "", "", refuse(CodeInvalid, "trialDays", "a trial lasts 0 to %d days", trialDaysMax)
	}
	newID, newInvoice := s.newID(prefixSubscription), s.newID(prefixInvoice)
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			id, invoiceID = earlier.Subject, earlier.SecondSubject
			return nil
		}
		id, invoiceID = newID, newInvoice
		start, err := tx.subscriptionOf(ctx, d)
		if err != nil {
			return err
		}
		start.id = id
		sub, err := tx.startSubscription(ctx, start)
		if err != nil {
			return err
		}
		if sub.Status != subscription.StatusINCOMPLETE {
			invoiceID = ""
		} else if err := tx.bill(ctx, sub, 0, tx.draftAskedFor(invoiceID)); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, invoiceID, "")
	})
	return id, invoiceID, err
}

// subscriptionStart is what every subscription is made of.
type subscriptionStart struct {
	id         string
	payerID    string
	providerID *string
	cardID     *string
	quoteID    *string
	collection subscription.Collection
	lines      []line // those paid again
	recurrence recurrence
	startsAt   time.Time
	trialEnds  *time.Time
}

// subscriptionOf checks a draft and fills it in from catalog and settings.
func (tx *Tx) subscriptionOf(ctx context.Context, d SubscriptionDraft) (subscriptionStart, error) {
	start := subscriptionStart{payerID: d.PayerID, collection: d.Collection, startsAt: tx.Now}
	o, err := tx.organization(ctx)
	if err != nil {
		return start, err
	}
	p, err := tx.payerToSell(ctx, d.PayerID, "payerId")
	if err != nil {
		return start, err
	}
	if d.Collection == subscription.CollectionBALANCE && p.BillingMode != payer.BillingModePREPAID {
		return start, refuse(CodeInvalid, "collection", "the payer is POSTPAID: only the invoices of prepaid payers are paid from a balance")
	}
	if start.lines, err = tx.itemLines(ctx, d.Items); err != nil {
		return start, err
	}
	every, err := recurrenceOfLines(start.lines, "items")
	if err != nil {
		return start, err
	}
	start.recurrence = *every
	if start.recurrence.zone, err = zoneOf(o.TimeZone); err != nil {
		return start, err
	}
	provider, err := tx.providerFor(ctx, d.ProviderID, commonProvider(start.lines))
	if err != nil {
		return start, err
	}
	if provider != nil {
		start.providerID = &provider.ID
	}
	if d.PaymentMethodID != "" {
		if d.Collection != subscription.CollectionAUTOMATIC {
			return start, refuse(CodeInvalid, "paymentMethodId", "a card is charged with collection AUTOMATIC only")
		}
		card, err := tx.chargeableCard(ctx, p.ID, d.PaymentMethodID, "paymentMethodId")
		if err != nil {
			return start, err
		}
		if card.ProviderID != orEmpty(start.providerID) {
			return start, refuse(CodeInvalid, "paymentMethodId", "the card is saved at another provider than the subscription's")
		}
		start.cardID = &card.ID
	}
	if d.StartsAt != nil && d.StartsAt.After(tx.Now) {
		if d.StartsAt.After(tx.Now.Add(startsMax)) {
			return start, refuse(CodeInvalid, "startsAt", "a subscription begins within three years")
		}
		start.startsAt = *d.StartsAt
	}
	if d.TrialDays > 0 {
		start.recurrence.anchor = start.startsAt
		ends := start.recurrence.afterDays(d.TrialDays)
		start.trialEnds = &ends
	}
	return start, nil
}

// itemLines fills in the positions of a subscription, all of which are paid
// again.
func (tx *Tx) itemLines(ctx context.Context, items []LineDraft) ([]line, error) {
	if len(items) == 0 {
		return nil, refuse(CodeRequired, "items", "a subscription needs at least one position")
	}
	lines, _, err := tx.lines(ctx, items, "items")
	if err != nil {
		return nil, err
	}
	for i, l := range lines {
		if l.interval == nil {
			return nil, refuse(CodeInvalid, fmt.Sprintf("items.%d.priceId", i), "the price of %q is paid once: a subscription takes prices that are paid again", l.description)
		}
	}
	return lines, nil
}

// startSubscription stores a subscription in the state that it begins in: with
// a later start SCHEDULED, with a trial TRIALING, else INCOMPLETE, and then its
// first period is to be billed.
func (tx *Tx) startSubscription(ctx context.Context, d subscriptionStart) (*ent.Subscription, error) {
	d.recurrence.anchor = d.startsAt
	if d.trialEnds != nil {
		d.recurrence.anchor = *d.trialEnds
	}
	status, end := subscription.StatusINCOMPLETE, d.recurrence.begin(1)
	if d.trialEnds != nil {
		status, end = subscription.StatusTRIALING, *d.trialEnds
	}
	due := end
	switch {
	case d.startsAt.After(tx.Now):
		status, due = subscription.StatusSCHEDULED, d.startsAt
	case status == subscription.StatusINCOMPLETE:
		due = tx.Now.Add(firstPaymentLife)
	}
	amount, err := sumOfLines(d.lines)
	if err != nil {
		return nil, err
	}
	var notice *time.Time // of the first charge; bill sets that of any other
	switch {
	case d.trialEnds != nil:
		notice, err = tx.noticeOf(ctx, d.collection, d.recurrence.zone, d.startsAt, *d.trialEnds)
	case status == subscription.StatusSCHEDULED:
		notice, err = tx.noticeOf(ctx, d.collection, d.recurrence.zone, tx.Now, d.startsAt)
	}
	if err != nil {
		return nil, err
	}
	sub, err := tx.Subscription.Create().
		SetID(d.id).SetPayerID(d.payerID).SetNillableProviderID(d.providerID).SetNillablePaymentMethodID(d.cardID).SetNillableQuoteID(d.quoteID).
		SetCurrency(amount.Currency).SetAmountUnits(amount.Units).SetStatus(status).SetCollection(d.collection).
		SetRecurrenceInterval(subscription.RecurrenceInterval(d.recurrence.interval)).SetRecurrenceCount(d.recurrence.count).
		SetTimeZone(d.recurrence.zone.String()).SetAnchorAt(d.recurrence.anchor).
		SetStartsAt(d.startsAt).SetCurrentPeriodStart(d.startsAt).SetCurrentPeriodEnd(end).
		SetNillableTrialEndsAt(d.trialEnds).SetDueAt(due).SetNillableNoticeAt(notice).SetPendingLines([]schema.PendingLine{}).
		SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("store subscription: %w", err)
	}
	tx.subscriptionChanged(sub)
	return sub, tx.writeItems(ctx, sub.ID, d.lines)
}

func (tx *Tx) subscriptionChanged(sub *ent.Subscription) {
	tx.pending = append(tx.pending, Change{
		Kind: ChangeSubscription, OrganizationID: sub.OrganizationID, ID: sub.ID, PayerID: sub.PayerID, At: tx.Now,
	})
}

func sumOfLines(lines []line) (money.Amount, error) {
	sum := money.Amount{Currency: lines[0].amount.Currency}
	for _, l := range lines {
		var err error
		if sum, err = sum.Add(l.amount); err != nil {
			return sum, refusedAmount(err, "items")
		}
	}
	return sum, nil
}

// writeItems writes a subscription's positions.
func (tx *Tx) writeItems(ctx context.Context, id string, lines []line) error {
	rows := make([]*ent.SubscriptionItemCreate, len(lines))
	for i, l := range lines {
		rows[i] = tx.SubscriptionItem.Create().
			SetID(tx.s.newID(prefixSubscriptionItem)).SetSubscriptionID(id).SetPosition(i).
			SetDescription(l.description).SetNillablePriceID(l.priceID).SetQuantity(l.quantity).
			SetCurrency(l.amount.Currency).SetUnitAmountUnits(l.unitAmount.Units).SetAmountUnits(l.amount.Units)
	}
	if err := tx.SubscriptionItem.CreateBulk(rows...).Exec(ctx); err != nil {
		return fmt.Errorf("write items: %w", err)
	}
	return nil
}

// quoteLines reads a quote's positions.
func (tx *Tx) quoteLines(ctx context.Context, quoteID string) ([]line, error) {
	rows, err := tx.QuoteLine.Query().Where(quoteline.QuoteID(quoteID)).Order(ent.Asc(quoteline.FieldPosition)).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read positions: %w", err)
	}
	return linesOfQuote(rows), nil
}

// subscriptionOfQuote makes the subscription that accepting a quote with
// recurring positions leaves behind: it runs from its start, and its first
// invoice, with the positions that are paid once as well, waits as a draft.
func (tx *Tx) subscriptionOfQuote(ctx context.Context, q *ent.Quote, lines []line, id, invoiceID string) error {
	o, err := tx.organization(ctx)
	if err != nil {
		return err
	}
	every, err := recurrenceOfLines(lines, "lineItems")
	if err != nil {
		return err
	}
	start := subscriptionStart{
		id: id, payerID: *q.PayerID, providerID: q.ProviderID, quoteID: &q.ID,
		collection: subscription.CollectionAUTOMATIC, recurrence: *every, startsAt: tx.Now,
	}
	for _, l := range lines {
		if l.interval != nil {
			start.lines = append(start.lines, l)
		}
	}
	if start.recurrence.zone, err = zoneOf(o.TimeZone); err != nil {
		return err
	}
	if q.StartsAt != nil && q.StartsAt.After(tx.Now) {
		start.startsAt = *q.StartsAt
	}
	sub, err := tx.startSubscription(ctx, start)
	if err != nil || sub.Status == subscription.StatusSCHEDULED {
		return err
	}
	return tx.bill(ctx, sub, 0, tx.draftOfSale(invoiceID))
}

// draftOfSale is how the first period of a subscription is billed that was
// sold by a quote.
func (tx *Tx) draftOfSale(invoiceID string) periodBill {
	finalizesAt := tx.Now.Add(draftLife)
	return periodBill{invoiceID: invoiceID, finalizesAt: &finalizesAt}
}

// draftAskedFor is how a period, or a change, is billed for which somebody
// waits.
func (tx *Tx) draftAskedFor(invoiceID string) periodBill {
	finalizesAt := tx.Now.Add(draftMargin)
	return periodBill{invoiceID: invoiceID, finalizesAt: &finalizesAt}
}

// lockSubscription reads a subscription for a change. Whoever writes it
// compares the version.
func (tx *Tx) lockSubscription(ctx context.Context, id string) (*ent.Subscription, error) {
	sub, err := tx.Subscription.Query().Where(subscription.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	return sub, orNotFound(err, "id", "subscription", id)
}

// changeSubscription begins the only kind of update of a subscription, of which
// those are told who follow it.
func (tx *Tx) changeSubscription(sub *ent.Subscription) *ent.SubscriptionUpdate {
	tx.subscriptionChanged(sub)
	return tx.Subscription.Update().Where(subscription.ID(sub.ID), subscription.Version(sub.Version)).
		SetVersion(sub.Version + 1).SetUpdatedAt(tx.Now)
}

// saveSubscription ends it.
func saveSubscription(ctx context.Context, sub *ent.Subscription, u *ent.SubscriptionUpdate) error {
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("change subscription %s: %w", sub.ID, err)
	}
	return nil
}

// SubscriptionCard is the card that the first invoice of a subscription is
// charged to at once; "" where there is none, or nothing is to be charged.
func (s *Service) SubscriptionCard(ctx context.Context, invoiceID string) (string, error) {
	inv, err := s.read.Invoice.Query().Where(invoice.ID(invoiceID)).Only(ctx)
	if err != nil {
		return "", orNotFound(err, "id", "invoice", invoiceID)
	}
	if ok, err := chargedByItself(ctx, s.read, inv); err != nil || !ok || inv.Status != invoice.StatusOPEN {
		return "", err
	}
	o, err := s.read.Organization.Query().Only(ctx)
	if err != nil || !o.ChargingEnabled {
		return "", wrapped(err, "read organization")
	}
	p, err := s.read.Payer.Query().Where(payer.ID(inv.PayerID)).Only(ctx)
	if err != nil || !p.ChargingEnabled {
		return "", wrapped(err, "read payer "+inv.PayerID)
	}
	card, err := cardOfInvoice(ctx, s.read, inv)
	if err != nil || card == nil {
		return "", err
	}
	return card.ID, nil
}

// cardOfInvoice is the card that an invoice is charged to: its subscription's,
// else the payer's default, as far as it is saved at the invoice's provider;
// nil where there is none.
func cardOfInvoice(ctx context.Context, c *ent.Client, inv *ent.Invoice) (*ent.PaymentMethod, error) {
	cards := c.PaymentMethod.Query().Where(paymentmethod.PayerID(inv.PayerID), paymentmethod.ProviderID(orEmpty(inv.ProviderID)),
		paymentmethod.StatusEQ(paymentmethod.StatusACTIVE), paymentmethod.GatewayIDNotNil())
	if inv.SubscriptionID != nil {
		sub, err := c.Subscription.Query().Where(subscription.ID(*inv.SubscriptionID)).Only(ctx)
		if err != nil {
			return nil, fmt.Errorf("read subscription %s: %w", *inv.SubscriptionID, err)
		}
		card, err := cards.Clone().Where(paymentmethod.ID(orEmpty(sub.PaymentMethodID))).Only(ctx)
		if err == nil || !ent.IsNotFound(err) {
			return card, wrapped(err, "read the card of subscription "+sub.ID)
		}
	}
	card, err := cards.Where(paymentmethod.IsDefault(true)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return card, wrapped(err, "read the payer's default card")
}

// FirstInvoiceShortage is what the balance of its payer lacks for the invoice
// of a subscription, as a refusal; nil where it lacks nothing, or the invoice
// is not paid from a balance.
func (s *Service) FirstInvoiceShortage(ctx context.Context, invoiceID string) error {
	inv, err := s.read.Invoice.Query().Where(invoice.ID(invoiceID)).Only(ctx)
	if err != nil {
		return orNotFound(err, "id", "invoice", invoiceID)
	}
	if inv.Status != invoice.StatusOPEN || inv.Collection != invoice.CollectionBALANCE {
		return nil
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		b, err := tx.settledBalance(ctx, inv.PayerID, inv.Currency)
		if err != nil {
			return err
		}
		if short := shortOf(b, inv.AmountDue()); short != nil {
			return short.refusal("collection")
		}
		return nil
	})
}
