package billing

import (
	"context"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycustomer"
	"purser/ent/idempotencyrecord"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentattempt"
	"purser/gateway"
)

// paymentStart is what every payment is made of.
type paymentStart struct {
	id        string
	purpose   payment.Purpose
	payer     *ent.Payer
	provider  *ent.Provider
	balance   *ent.Balance // for top-ups
	invoice   *ent.Invoice // for invoices
	card      *ent.PaymentMethod
	draft     ent.Payment // amount, return URLs, saveCard
	callID    string      // empty when no gateway call belongs to it
	status    payment.Status
	actionURL string
}

// createPayment stores a payment before anything is asked of the gateway, and
// with a call its first attempt.
func (tx *Tx) createPayment(ctx context.Context, p paymentStart) (*ent.Payment, error) {
	c := tx.Payment.Create().
		SetID(p.id).SetPurpose(p.purpose).SetStatus(p.status).
		SetCurrency(p.draft.Currency).SetAmountUnits(p.draft.AmountUnits).
		SetProviderID(p.provider.ID).
		SetOrderCode(orderCode(p.id)).SetSaveCard(p.draft.SaveCard || savesCard(p.invoice)).SetRecurring(p.draft.Recurring).
		SetActionURL(p.actionURL).SetPublicToken(tx.s.newSecret(24)).
		SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
	payerID := ""
	if p.payer != nil { // a test is for nobody
		payerID = p.payer.ID
		c.SetPayerID(payerID)
	}
	if p.draft.ReturnUrls != nil {
		c.SetReturnUrls(p.draft.ReturnUrls)
	}
	if p.balance != nil {
		c.SetBalanceID(p.balance.ID)
	}
	if p.invoice != nil {
		c.SetInvoiceID(p.invoice.ID)
	}
	if p.card != nil {
		c.SetPaymentMethodID(p.card.ID)
	}
	row, err := c.Save(ctx)
	if err != nil {
		return nil, fmt.Errorf("store payment: %w", err)
	}
	if p.callID != "" {
		if err := tx.createAttempt(ctx, row.ID, p.callID); err != nil {
			return nil, err
		}
	}
	if err := tx.keepOwner(ctx, p.provider, row.OrderCode); err != nil {
		return nil, err
	}
	if p.callID != "" { // a gateway may know it by the code of its try
		if err := tx.keepOwner(ctx, p.provider, orderCode(p.callID)); err != nil {
			return nil, err
		}
	}
	tx.changed(ctx, ChangePayment, row.ID, payerID)
	return row, nil
}

// savesCard: what a subscription is paid with first is charged again for each
// further period.
func savesCard(inv *ent.Invoice) bool {
	return inv != nil && inv.SubscriptionID != nil && inv.Collection == invoice.CollectionAUTOMATIC
}

func (tx *Tx) createAttempt(ctx context.Context, paymentID, callID string) error {
	n, err := tx.PaymentAttempt.Query().Where(paymentattempt.PaymentID(paymentID)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count attempts: %w", err)
	}
	err = tx.PaymentAttempt.Create().
		SetID(tx.s.newID(prefixAttempt)).SetPaymentID(paymentID).SetNumber(n + 1).
		SetCallID(callID).SetCreatedAt(tx.Now).Exec(ctx)
	if err != nil {
		return fmt.Errorf("store attempt: %w", err)
	}
	return nil
}

// finishAttempt writes what the gateway has answered to the try of a call. One
// that an event has ended before its answer came stays as it is.
func (tx *Tx) finishAttempt(ctx context.Context, callID string, status payment.Status, o gateway.Outcome) error {
	a, err := tx.PaymentAttempt.Query().Where(paymentattempt.CallID(callID)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read attempt of call %s: %w", callID, err)
	}
	u := tx.PaymentAttempt.Update().Where(paymentattempt.ID(a.ID)).SetGatewayRequestID(o.RequestID)
	if a.FinishedAt == nil {
		tx.setAttempt(u, status, o)
	}
	if _, err := u.Save(ctx); err != nil {
		return fmt.Errorf("finish attempt: %w", err)
	}
	return nil
}

// endAttempts brings the tries of a payment to its end that still waited for
// the payer or for the gateway.
func (tx *Tx) endAttempts(ctx context.Context, paymentID string, status payment.Status, o gateway.Outcome) error {
	u := tx.PaymentAttempt.Update().Where(paymentattempt.PaymentID(paymentID), paymentattempt.FinishedAtIsNil())
	tx.setAttempt(u, status, o)
	if _, err := u.Save(ctx); err != nil {
		return fmt.Errorf("end attempts of payment %s: %w", paymentID, err)
	}
	return nil
}

func (tx *Tx) setAttempt(u *ent.PaymentAttemptUpdate, status payment.Status, o gateway.Outcome) {
	u.SetStatus(paymentattempt.Status(status))
	if isEnd(status) {
		u.SetFinishedAt(tx.Now)
	}
	if o.Failure != nil {
		u.SetFailureCode(cut(o.Failure.Code, 100)).SetFailureDeclineCode(cut(o.Failure.DeclineCode, 100)).
			SetFailureMessage(cut(o.Failure.Message, 500))
	}
}

// isEnd says whether a payment in the state waits for nothing more.
func isEnd(s payment.Status) bool {
	return s == payment.StatusSUCCEEDED || s == payment.StatusFAILED || s == payment.StatusCANCELED
}

// paymentOfCall is the payment whose try a call is, or "".
func (tx *Tx) paymentOfCall(ctx context.Context, callID string) (string, error) {
	a, err := tx.PaymentAttempt.Query().Where(paymentattempt.CallID(callID)).Only(ctx)
	if ent.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read attempt of call %s: %w", callID, err)
	}
	return a.PaymentID, nil
}

// paymentStatus is an outcome in the words of a payment. An unknown outcome is
// PROCESSING: it is never called failed.
func paymentStatus(r gateway.PaymentResult) payment.Status {
	switch r.Status {
	case gateway.StatusSucceeded:
		return payment.StatusSUCCEEDED
	case gateway.StatusActionNeeded:
		return payment.StatusREQUIRES_ACTION
	case gateway.StatusDeclined:
		if r.Payment.Canceled {
			return payment.StatusCANCELED
		}
		return payment.StatusFAILED
	case gateway.StatusRejected, gateway.StatusUnavailable:
		return payment.StatusFAILED
	default:
		return payment.StatusPROCESSING
	}
}

// mayBecome is the payment's state machine. SUCCEEDED stays; FAILED and
// CANCELED give way to a later authoritative SUCCEEDED only.
func mayBecome(from, to payment.Status) bool {
	switch from {
	case payment.StatusSUCCEEDED:
		return false
	case payment.StatusFAILED, payment.StatusCANCELED:
		return to == payment.StatusSUCCEEDED
	default:
		return true
	}
}

// isNews says whether a result tells anything about a payment that was not
// known before.
func isNews(p *ent.Payment, alone bool, to payment.Status, r gateway.PaymentResult) bool {
	unread := r.Status == gateway.StatusUnknown && p.Status == payment.StatusREQUIRES_ACTION
	// A gateway that tells its page's address once says no more than that nobody
	// has paid.
	unread = unread || alone && r.Known() && r.Silent()
	return !unread && (to != p.Status ||
		r.ReferenceID != "" && r.ReferenceID != orEmpty(p.ReferenceID) ||
		r.Payment.GatewayPaymentID != "" && r.Payment.GatewayPaymentID != orEmpty(p.GatewayPaymentID) ||
		to == payment.StatusREQUIRES_ACTION && r.NextAction.RedirectURL != p.ActionURL)
}

// pageForgotten is after how long a page counts as left for good on which the
// gateway knows of no payment, where it does not tell itself how long the page
// stays open. A payment that is reported later counts all the same.
const pageForgotten = 7 * 24 * time.Hour

func abandoned(p *ent.Payment, alone bool, r gateway.PaymentResult, now time.Time) bool {
	return alone && p.Status == payment.StatusREQUIRES_ACTION && r.Known() && r.Silent() && now.After(p.CreatedAt.Add(pageForgotten))
}

// applyPayment brings a payment to what the gateway says of it. It may be
// called any number of times, by anybody, in any order: the credit is booked
// once. errMismatch is returned, and nothing written, when the gateway
// confirms another amount or currency than was stored.
func (tx *Tx) applyPayment(ctx context.Context, id string, r gateway.PaymentResult) error {
	p, err := tx.Payment.Query().Where(payment.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return fmt.Errorf("read payment %s: %w", id, err)
	}
	to := paymentStatus(r)
	if !mayBecome(p.Status, to) {
		return nil
	}
	alone, err := tx.standsAlone(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case abandoned(p, alone, r, tx.Now):
		to = payment.StatusCANCELED
	case !isNews(p, alone, to, r):
		return nil // no reason to tell anybody
	}
	u := tx.Payment.Update().Where(payment.ID(id), payment.StatusEQ(p.Status)).SetStatus(to).SetUpdatedAt(tx.Now)
	if r.ReferenceID != "" {
		u.SetReferenceID(r.ReferenceID)
	}
	if r.Payment.GatewayPaymentID != "" && alone {
		// An invoice keeps one payment at the gateway over all our tries; it
		// is ours only once it has succeeded.
		u.SetGatewayPaymentID(r.Payment.GatewayPaymentID)
	}
	if err := tx.setAction(ctx, u, p, to, r.NextAction); err != nil {
		return err
	}
	switch to {
	case payment.StatusSUCCEEDED:
		if r.Payment.GatewayPaymentID == "" || r.Payment.Amount != p.Amount() {
			return fmt.Errorf("payment %s is %s, the gateway confirms %s under %q: %w", p.ID, p.Amount(), r.Payment.Amount, r.Payment.GatewayPaymentID, errMismatch)
		}
		u.SetGatewayPaymentID(r.Payment.GatewayPaymentID).SetSettledAt(tx.Now).
			SetFailureCode("").SetFailureDeclineCode("").SetFailureMessage("").
			ClearNextCheckAt()
		if r.Payment.ReceiptURL != "" {
			u.SetReceiptURL(r.Payment.ReceiptURL)
		}
	case payment.StatusFAILED:
		f := r.Failure
		if f == nil {
			f = &gateway.Failure{Code: "failed", Message: "the payment failed"}
		}
		u.SetFailureCode(cut(f.Code, 100)).SetFailureDeclineCode(cut(f.DeclineCode, 100)).
			SetFailureMessage(cut(f.Message, 500)).ClearNextCheckAt()
	case payment.StatusCANCELED:
		u.ClearNextCheckAt()
	default:
		// One that the gateway has no name for is its call's to settle; an
		// invoice's payment is settled with its invoice.
		named := r.ReferenceID != "" || p.ReferenceID != nil || r.Payment.GatewayPaymentID != "" || p.GatewayPaymentID != nil
		if named && alone {
			u.SetNextCheckAt(tx.Now.Add(checkIn(p.Checks)))
		} else {
			u.ClearNextCheckAt()
		}
	}
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("move payment %s to %s: %w", id, to, err)
	}
	tx.changed(ctx, ChangePayment, id, orEmpty(p.PayerID))
	if isEnd(to) {
		if err := tx.endAttempts(ctx, id, to, r.Outcome); err != nil {
			return err
		}
	}
	if err := tx.keepCustomer(ctx, p.ProviderID, orEmpty(p.PayerID), r.CustomerID); err != nil {
		return err
	}
	if p.Purpose == payment.PurposeAUTO_RELOAD && to != payment.StatusPROCESSING {
		if err := tx.settleReload(ctx, p, to, r); err != nil {
			return fmt.Errorf("settle reload %s: %w", id, err)
		}
	}
	if err := tx.settleCharge(ctx, p, to, r); err != nil {
		return fmt.Errorf("settle charge %s: %w", id, err)
	}
	if err := tx.tellInvoiceTry(ctx, p, to, r); err != nil {
		return err
	}
	if err := tx.keepOwnerAt(ctx, p.ProviderID, r.Payment.GatewayPaymentID); err != nil {
		return err
	}
	if to != payment.StatusSUCCEEDED {
		return nil
	}
	if err := tx.wakeEventsOf(ctx, p.ProviderID, r.Payment.GatewayPaymentID); err != nil {
		return err
	}
	return tx.creditPayment(ctx, p, r)
}

// creditPayment books what a payment was for.
func (tx *Tx) creditPayment(ctx context.Context, p *ent.Payment, r gateway.PaymentResult) error {
	if p.SaveCard && r.Payment.PaymentMethodID != "" {
		if err := tx.keepCard(ctx, p, r); err != nil {
			return err
		}
	}
	switch p.Purpose {
	case payment.PurposeTOP_UP, payment.PurposeAUTO_RELOAD:
		_, err := tx.creditTopUp(ctx, p, r.Payment.GatewayPaymentID)
		return err
	case payment.PurposeINVOICE:
		return tx.settleDirect(ctx, p, r) // a gateway's invoice is settled by applyInvoice
	default:
		return nil // a test credits nobody
	}
}

// standsAlone says whether a gateway is asked for the payment itself, and not
// for an invoice that it keeps.
func (tx *Tx) standsAlone(ctx context.Context, p *ent.Payment) (bool, error) {
	if p.InvoiceID == nil {
		return true, nil
	}
	kept, err := tx.Invoice.Query().Where(invoice.ID(*p.InvoiceID), invoice.GatewayInvoiceIDNotNil()).Exist(ctx)
	return !kept, wrapped(err, "read invoice of payment "+p.ID)
}

// setAction stores what the payer must do, sealed where it is a secret, and
// forgets it when there is nothing to do any more.
func (tx *Tx) setAction(_ context.Context, u *ent.PaymentUpdate, p *ent.Payment, to payment.Status, a gateway.NextAction) error {
	switch {
	case to != payment.StatusREQUIRES_ACTION:
		u.SetActionURL("").ClearActionSecretSealed().ClearActionExpiresAt()
		return nil
	case a.RedirectURL != "":
		u.SetActionURL(a.RedirectURL).ClearActionSecretSealed()
	case a.ClientSecret != "":
		sealed, err := tx.s.sealer.Seal(auth.Secret(a.ClientSecret), actionPlace(p))
		if err != nil {
			return fmt.Errorf("seal client secret: %w", err)
		}
		u.SetActionURL("").SetActionSecretSealed(sealed)
	}
	if !a.ExpiresAt.IsZero() {
		u.SetActionExpiresAt(a.ExpiresAt.UTC())
	}
	return nil
}

func actionPlace(p *ent.Payment) auth.Place {
	return auth.Place{OrganizationID: p.OrganizationID, EntityID: p.ID, Column: columnActionSecret}
}

// ClientSecret opens the secret by which the payer's browser finishes a
// payment, or returns "" when there is none.
func (s *Service) ClientSecret(p *ent.Payment) (string, error) {
	if p.ActionSecretSealed == nil {
		return "", nil
	}
	secret, err := s.sealer.Open(p.ActionSecretSealed, actionPlace(p))
	if err != nil {
		return "", fmt.Errorf("open client secret of %s: %w", p.ID, err)
	}
	return string(secret), nil
}

// checkIn is when something that waits is looked at again although no event
// came, after so many looks: 30 s, 1 m, 5 m, 15 m, then hourly for a day, then
// daily.
func checkIn(checks int) time.Duration {
	schedule := []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute}
	switch {
	case checks < len(schedule):
		return schedule[checks]
	case checks < len(schedule)+24:
		return time.Hour
	default:
		return 24 * time.Hour
	}
}

// customer is the payer as the provider's gateway knows it; without an id
// where it does not know the payer yet.
func (tx *Tx) customer(ctx context.Context, p *ent.Payer, providerID string) (gateway.Customer, error) {
	c := gateway.Customer{PayerID: p.ID, Name: p.Name, Email: orEmpty(p.Email)}
	if e := orEmpty(p.BillingEmail); e != "" {
		c.Email = e
	}
	if a := p.Address; a != nil {
		c.Address = gateway.Address{Line1: a.Line1, Line2: a.Line2, City: a.City, State: a.Region, PostalCode: a.PostalCode, Country: a.Country}
	}
	row, err := tx.GatewayCustomer.Query().
		Where(gatewaycustomer.ProviderID(providerID), gatewaycustomer.PayerID(p.ID), gatewaycustomer.DeletedAtIsNil()).Only(ctx)
	switch {
	case err == nil:
		c.ID = row.GatewayCustomerID
	case !ent.IsNotFound(err):
		return c, fmt.Errorf("read gateway customer: %w", err)
	}
	return c, nil
}

// forgetKey lets the client try again with the same key after a call that
// moved nothing: refusals are not stored.
func (tx *Tx) forgetKey(ctx context.Context, callID string) error {
	_, err := tx.IdempotencyRecord.Delete().Where(idempotencyrecord.CallID(callID)).Exec(ctx)
	if err != nil {
		return fmt.Errorf("forget key of call %s: %w", callID, err)
	}
	return nil
}
