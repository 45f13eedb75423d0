package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/provider"
	"purser/money"
)

// Automatic reload (spec.md decision 7): a movement that leaves less of a
// balance than its threshold makes a reload due; jobs then charge a saved card
// as a top-up does. At most one payment is in flight for a balance, which its
// row names, so that an outcome nobody knows yet keeps the next one waiting.

// AutoReloadDraft switches the automatic reload of a balance on, changes it, or
// switches it off. What is nil stays as it was.
type AutoReloadDraft struct {
	PayerID  string
	Currency string
	Enabled  bool
	// Threshold is what remaining must fall below; Amount is what is added
	// then, or a multiple of it.
	Threshold, Amount *money.Amount
	ProviderID        *string // at first: the card's, else the organization's default
	PaymentMethodID   *string // at first: the payer's default card
	// The caps bound what is charged in a day and in a month.
	DailyCap, MonthlyCap *money.Amount
}

// SetAutoReload switches automatic reload on or off for the payer's balance,
// which is made when there is none yet, and returns its id. Switching it on
// again, or giving it another card, ends a suspension. Switching it off leaves
// everything else as it was; a charge that is in flight is still credited.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// BELOW_MINIMUM, PROVIDER_UNSUPPORTED, PAYMENT_METHOD_REQUIRED.
func (s *Service) SetAutoReload(ctx context.Context, d AutoReloadDraft) (string, error) {
	for _, a := range []struct {
		amount *money.Amount
		field  string
	}{{d.Threshold, "threshold"}, {d.Amount, "amount"}, {d.DailyCap, "dailyCap"}, {d.MonthlyCap, "monthlyCap"}} {
		if a.amount != nil && a.amount.Currency != d.Currency {
			return "", refuse(CodeCurrencyMismatch, a.field+".currency", "the amount is in %s, the balance in %s", a.amount.Currency, d.Currency)
		}
	}
	var id string
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) (err error) {
		if !d.Enabled {
			id, err = tx.endAutoReload(ctx, d)
			return err
		}
		id, err = tx.setAutoReload(ctx, d)
		return err
	})
	return id, err
}

// endAutoReload switches automatic reload off. It asks for nothing that could
// stand in the way.
func (tx *Tx) endAutoReload(ctx context.Context, d AutoReloadDraft) (string, error) {
	p, err := tx.payer(ctx, d.PayerID, "payerId")
	if err != nil {
		return "", err
	}
	b, err := tx.balanceOf(ctx, p.ID, d.Currency)
	if err != nil {
		return "", err
	}
	if b == nil {
		return "", refuse(CodeNotFound, "currency", "the payer has no balance in %.12q", d.Currency)
	}
	if b, err = tx.lockBalance(ctx, b.ID); err != nil {
		return "", err
	}
	after := *b
	after.AutoReloadEnabled, after.AutoReloadSuspendedReason, after.AutoReloadFailures, after.AutoReloadDueAt = false, "", 0, nil
	if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
		return "", err
	}
	return b.ID, tx.audit(ctx, "autoReload.end", b.ID, nil)
}

func (tx *Tx) setAutoReload(ctx context.Context, d AutoReloadDraft) (string, error) {
	p, err := tx.payerToSell(ctx, d.PayerID, "payerId")
	if err != nil {
		return "", err
	}
	if p.BillingMode != payer.BillingModePREPAID {
		return "", refuse(CodeInvalidState, "payerId", "the payer is %s: only the balances of prepaid payers are reloaded automatically", p.BillingMode)
	}
	c, err := tx.usableCurrency(ctx, d.Currency, "currency")
	if err != nil {
		return "", err
	}
	if c.Virtual {
		return "", refuse(CodeProviderUnsupported, "currency", "%s exists only here and cannot be bought at a gateway", c.Code)
	}
	b, err := tx.ensureBalance(ctx, p, d.Currency, "currency")
	if err != nil {
		return "", err
	}
	if b, err = tx.lockBalance(ctx, b.ID); err != nil {
		return "", err
	}
	after := *b
	if err := tx.fillAutoReload(ctx, &after, d); err != nil {
		return "", err
	}
	account, err := tx.usableProvider(ctx, *after.AutoReloadProviderID, "providerId")
	if err != nil {
		return "", err
	}
	if err := checkReloadAmounts(&after, c, account.Kind); err != nil {
		return "", err
	}
	if card, err := tx.reloadCard(ctx, &after); err != nil {
		return "", err
	} else if card == nil {
		return "", refuse(CodePaymentMethodRequired, "paymentMethodId", "the payer has no saved card at %s that could be charged: save one with paymentMethodAttach, paymentMethodSetup or a payment that saves it", account.Name)
	}
	after.AutoReloadEnabled = true
	if err := tx.reloadNow(ctx, &after); err != nil {
		return "", err
	}
	if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
		return "", err
	}
	return b.ID, tx.audit(ctx, "autoReload.set", b.ID, map[string]string{
		"threshold": after.AutoReload().Threshold.String(), "amount": after.AutoReload().Amount.String(),
	})
}

// fillAutoReload puts what is asked for into the row, and what is not from the
// row's own past or from what goes without saying.
func (tx *Tx) fillAutoReload(ctx context.Context, b *ent.Balance, d AutoReloadDraft) error {
	for _, a := range []struct {
		given  *money.Amount
		stored **money.Units
		field  string
	}{
		{d.Threshold, &b.AutoReloadThresholdUnits, "threshold"},
		{d.Amount, &b.AutoReloadAmountUnits, "amount"},
		{d.DailyCap, &b.AutoReloadDailyCapUnits, ""},
		{d.MonthlyCap, &b.AutoReloadMonthlyCapUnits, ""},
	} {
		if a.given != nil {
			*a.stored = &a.given.Units
		}
		if *a.stored == nil && a.field != "" {
			return refuse(CodeRequired, a.field, "say below which amount to reload, and how much to add")
		}
	}
	before := orEmpty(b.AutoReloadProviderID)
	if d.PaymentMethodID != nil {
		b.AutoReloadPaymentMethodID = nonEmpty(*d.PaymentMethodID)
	}
	switch {
	case orEmpty(d.ProviderID) != "":
		b.AutoReloadProviderID = d.ProviderID
	case orEmpty(d.PaymentMethodID) != "":
		card, err := tx.chargeableCard(ctx, b.PayerID, *d.PaymentMethodID, "paymentMethodId")
		if err != nil {
			return err
		}
		b.AutoReloadProviderID = &card.ProviderID
	case b.AutoReloadProviderID == nil:
		account, err := tx.usableProvider(ctx, "", "providerId")
		if err != nil {
			return err
		}
		b.AutoReloadProviderID = &account.ID
	}
	if d.PaymentMethodID == nil && before != *b.AutoReloadProviderID {
		b.AutoReloadPaymentMethodID = nil // a card is good at its own account only
	}
	if b.AutoReloadPaymentMethodID == nil {
		return nil
	}
	card, err := tx.chargeableCard(ctx, b.PayerID, *b.AutoReloadPaymentMethodID, "paymentMethodId")
	if err != nil {
		return err
	}
	if card.ProviderID != *b.AutoReloadProviderID {
		return refuse(CodeInvalid, "paymentMethodId", "the card %s is saved at another provider than %s", card.ID, *b.AutoReloadProviderID)
	}
	return nil
}

// checkReloadAmounts holds the amounts of a reload to the rules of a top-up and
// to each other.
func checkReloadAmounts(b *ent.Balance, c *ent.Currency, kind provider.Kind) error {
	r := b.AutoReload()
	if err := chargeable(r.Amount, kind, "amount.amount"); err != nil {
		return err
	}
	switch least, known := gatewayMinimum(r.Amount.Currency, kind); {
	case r.Threshold.Sign() < 0:
		return refuse(CodeInvalid, "threshold.amount", "the threshold must not be negative")
	case r.Amount.Units <= r.Threshold.Units:
		return refuse(CodeInvalid, "amount.amount", "what is added must be more than the threshold of %s", r.Threshold)
	case c.MinimumTopUpUnits != nil && r.Amount.Units < *c.MinimumTopUpUnits:
		return refuse(CodeBelowMinimum, "amount.amount", "the smallest top-up is %s", c.MinimumTopUp())
	case known && r.Amount.Units < least.Units:
		return refuse(CodeBelowMinimum, "amount.amount", "the gateway takes no less than %s", least)
	case r.DailyCap.Units < r.Amount.Units:
		return refuse(CodeInvalid, "dailyCap.amount", "a day's cap of %s leaves no room for a reload of %s", r.DailyCap, r.Amount)
	case r.MonthlyCap.Units < r.DailyCap.Units:
		return refuse(CodeInvalid, "monthlyCap.amount", "a month's cap of %s is less than a day's of %s", r.MonthlyCap, r.DailyCap)
	}
	return nil
}

// reloadCard is the card that a reload of the balance charges: the one that was
// chosen, else the payer's default card where it is saved at the provider; nil
// where there is none.
func (tx *Tx) reloadCard(ctx context.Context, b *ent.Balance) (*ent.PaymentMethod, error) {
	q := tx.PaymentMethod.Query().Where(paymentmethod.PayerID(b.PayerID), paymentmethod.ProviderID(orEmpty(b.AutoReloadProviderID)),
		paymentmethod.StatusEQ(paymentmethod.StatusACTIVE), paymentmethod.GatewayIDNotNil())
	if id := orEmpty(b.AutoReloadPaymentMethodID); id != "" {
		q.Where(paymentmethod.ID(id))
	} else {
		q.Where(paymentmethod.IsDefault(true))
	}
	card, err := q.Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read card for balance %s: %w", b.ID, err)
	}
	return card, nil
}

// reloadDue says when a reload is due of a balance as it is after a change, by
// an entry of the kind where one was booked. The time is another one only when
// the balance crosses its threshold: the column is indexed, and usage that
// changes no index stays in its page.
//
// Money that goes back to the payer, or is taken back by the bank, is no reason
// to charge the card: the next use is.
func reloadDue(b *ent.Balance, kind ledgerentry.Kind, now time.Time) *time.Time {
	switch {
	case !b.AutoReloadEnabled || b.AutoReloadThresholdUnits == nil || b.AutoReloadSuspendedReason != "" ||
		b.AutoReloadPaymentID != nil || b.BillingMode != balance.BillingModePREPAID:
		return b.AutoReloadDueAt
	case b.Remaining().Units >= *b.AutoReloadThresholdUnits:
		return nil
	case b.AutoReloadDueAt != nil:
		return b.AutoReloadDueAt
	}
	switch kind {
	case ledgerentry.KindREFUND, ledgerentry.KindDISPUTE, ledgerentry.KindREVERSAL:
		return nil
	default:
		return &now
	}
}

// reloadNow ends what kept the reload of a balance from being tried, and makes
// it due at once where the balance is below its threshold. One that waits for
// its payer is given up for it.
func (tx *Tx) reloadNow(ctx context.Context, b *ent.Balance) error {
	b.AutoReloadSuspendedReason, b.AutoReloadFailures, b.AutoReloadDueAt = "", 0, nil
	if b.AutoReloadPaymentID == nil {
		b.AutoReloadDueAt = reloadDue(b, "", tx.Now)
		return nil
	}
	waits, err := tx.Payment.Query().
		Where(payment.ID(*b.AutoReloadPaymentID), payment.StatusEQ(payment.StatusREQUIRES_ACTION)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("read payment %s: %w", *b.AutoReloadPaymentID, err)
	}
	if waits {
		b.AutoReloadDueAt = &tx.Now
	}
	return nil
}

// writeReload writes what a change of a balance has made different in its
// automatic reload, but for when it is due, which is among movedColumns.
func writeReload(u *ent.BalanceUpdate, before, after *ent.Balance) {
	if after.AutoReloadEnabled != before.AutoReloadEnabled {
		u.SetAutoReloadEnabled(after.AutoReloadEnabled)
	}
	if after.AutoReloadSuspendedReason != before.AutoReloadSuspendedReason {
		u.SetAutoReloadSuspendedReason(after.AutoReloadSuspendedReason)
	}
	if after.AutoReloadFailures != before.AutoReloadFailures {
		u.SetAutoReloadFailures(after.AutoReloadFailures)
	}
	setChanged(before.AutoReloadThresholdUnits, after.AutoReloadThresholdUnits, u.SetAutoReloadThresholdUnits, u.ClearAutoReloadThresholdUnits)
	setChanged(before.AutoReloadAmountUnits, after.AutoReloadAmountUnits, u.SetAutoReloadAmountUnits, u.ClearAutoReloadAmountUnits)
	setChanged(before.AutoReloadDailyCapUnits, after.AutoReloadDailyCapUnits, u.SetAutoReloadDailyCapUnits, u.ClearAutoReloadDailyCapUnits)
	setChanged(before.AutoReloadMonthlyCapUnits, after.AutoReloadMonthlyCapUnits, u.SetAutoReloadMonthlyCapUnits, u.ClearAutoReloadMonthlyCapUnits)
	setChanged(before.AutoReloadProviderID, after.AutoReloadProviderID, u.SetAutoReloadProviderID, u.ClearAutoReloadProviderID)
	setChanged(before.AutoReloadPaymentMethodID, after.AutoReloadPaymentMethodID, u.SetAutoReloadPaymentMethodID, u.ClearAutoReloadPaymentMethodID)
	setChanged(before.AutoReloadPaymentID, after.AutoReloadPaymentID, u.SetAutoReloadPaymentID, u.ClearAutoReloadPaymentID)
}

// A new card may do what the one before could not: reloads of the payer that
// wait or are suspended for want of a good card are tried at once.
func (tx *Tx) retryReloads(ctx context.Context, payerID, cardID string) error {
	card, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(cardID)).Only(ctx)
	if err != nil {
		return fmt.Errorf("read card %s: %w", cardID, err)
	}
	waiting, err := tx.Balance.Query().Where(balance.PayerID(payerID), balance.AutoReloadEnabled(true),
		balance.AutoReloadProviderID(card.ProviderID), balance.AutoReloadPaymentMethodIDIsNil(),
		balance.Or(balance.AutoReloadFailuresGT(0), balance.AutoReloadSuspendedReasonIn(SuspendedNoCard, SuspendedDeclined, SuspendedAuthentication))).
		Order(ent.Asc(balance.FieldID)).IDs(ctx)
	if err != nil {
		return fmt.Errorf("list reloads of payer %s: %w", payerID, err)
	}
	for _, id := range waiting {
		b, err := tx.lockBalance(ctx, id)
		if err != nil {
			return err
		}
		after := *b
		if err := tx.reloadNow(ctx, &after); err != nil {
			return err
		}
		if err := tx.writeBalance(ctx, b, &after, ""); err != nil {
			return err
		}
	}
	return nil
}
