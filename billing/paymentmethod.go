package billing

import (
	"context"
	"fmt"
	"time"

	"purser/auth"
	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/payer"
	"purser/ent/paymentmethod"
	"purser/gateway"
)

// CardDraft saves a card: by a token made in the browser or the app
// (GatewayToken), or by a setup that the payer finishes (no token).
type CardDraft struct {
	PayerID      string
	ProviderID   string // empty: the organization's default
	GatewayToken string
	ReturnURL    string
	MakeDefault  bool
	Key          *string `json:"-"`
}

// CardSetup is a begun saving of a card; without a Call there is nothing to
// ask.
type CardSetup struct {
	PaymentMethodID string
	*Call
	Request gateway.CardRequest
}

// unsavedCardsMax bounds how many cards of one payer may be tried within an
// hour without being saved, against trying out stolen numbers.
const unsavedCardsMax = 10

// BeginCardAttach stores the saving of a card by its token.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE, LIMIT_EXCEEDED,
// IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginCardAttach(ctx context.Context, d CardDraft) (*CardSetup, error) {
	if d.GatewayToken == "" {
		return nil, refuse(CodeRequired, "gatewayToken", "give the token that the gateway's browser library made of the card")
	}
	if hasCardNumber(d.GatewayToken) {
		return nil, refuse(CodeInvalid, "gatewayToken", "this looks like a card number: card numbers never come here, only tokens such as pm_…")
	}
	return s.beginCard(ctx, "paymentMethodAttach", gatewaycall.OperationCARD_ATTACH, d)
}

// BeginCardSetup stores the saving of a card that the payer will enter on a
// hosted page (ReturnURL given) or in the gateway's own form.
//
// Codes: as BeginCardAttach.
func (s *Service) BeginCardSetup(ctx context.Context, d CardDraft) (*CardSetup, error) {
	return s.beginCard(ctx, "paymentMethodSetup", gatewaycall.OperationCARD_SETUP, d)
}

func (s *Service) beginCard(ctx context.Context, name string, kind gatewaycall.Operation, d CardDraft) (*CardSetup, error) {
	op, err := s.newOperation(name, d.Key, keyOptional, d)
	if err != nil {
		return nil, err
	}
	id, callID := s.newID(prefixPaymentMethod), s.newID(prefixCall)
	var out CardSetup
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.PaymentMethodID, found = earlier.Subject, earlier.CallID
			return nil
		}
		payer, err := tx.activePayer(ctx, d.PayerID, "payerId")
		if err != nil {
			return err
		}
		if err := tx.limitCards(ctx, payer.ID); err != nil {
			return err
		}
		provider, err := tx.usableProvider(ctx, d.ProviderID, "providerId")
		if err != nil {
			return err
		}
		if err := tx.checkReturnURL(ctx, d.ReturnURL); err != nil {
			return err
		}
		customer, err := tx.customer(ctx, payer, provider.ID)
		if err != nil {
			return err
		}
		err = tx.PaymentMethod.Create().
			SetID(id).SetPayerID(payer.ID).SetProviderID(provider.ID).SetMakeDefault(d.MakeDefault).
			SetConsentedAt(tx.Now).SetConsentedBy(auth.FromContext(ctx).Actor()).
			SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("store card: %w", err)
		}
		out.PaymentMethodID, found = id, callID
		out.Request = gateway.CardRequest{
			Customer: customer, Token: d.GatewayToken, MakeDefault: d.MakeDefault,
			ReturnURL: d.ReturnURL, CancelURL: d.ReturnURL,
		}
		if err := tx.openCall(ctx, callID, provider.ID, kind, id, out.Request); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// limitCards refuses to save one more card for a payer for whom it has failed
// too often, or may be failing at this moment.
func (tx *Tx) limitCards(ctx context.Context, payerID string) error {
	// Many at once would all find that none has failed yet.
	if _, err := tx.Payer.Query().Where(payer.ID(payerID)).Unique(false).Modify(tx.forUpdate).Only(ctx); err != nil {
		return fmt.Errorf("read payer %s: %w", payerID, err)
	}
	unsaved, err := tx.PaymentMethod.Query().
		Where(paymentmethod.PayerID(payerID), paymentmethod.CreatedAtGT(tx.Now.Add(-time.Hour)), paymentmethod.Or(
			paymentmethod.StatusEQ(paymentmethod.StatusFAILED),
			paymentmethod.And(paymentmethod.StatusEQ(paymentmethod.StatusPENDING), paymentmethod.SetupReferenceIsNil()),
		)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count cards that were not saved: %w", err)
	}
	if unsaved >= unsavedCardsMax {
		return refuse(CodeLimitExceeded, "payerId", "%d cards of the payer were tried within an hour and not saved: try again later", unsaved)
	}
	return nil
}

// FinishCard applies the outcome of saving a card. It may be called any
// number of times; the returned refusal says that nothing was saved.
func (s *Service) FinishCard(ctx context.Context, callID string, r gateway.CardResult) error {
	var refusal error
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, r.Outcome)
		if err != nil {
			return err
		}
		if refusal = nil; v == verdictKnown {
			refusal = refusalOf("", c)
			return nil
		}
		if v == verdictFreed || r.Status == gateway.StatusDeclined {
			refusal = callRefusal("", r.Outcome)
			if err := tx.forgetKey(ctx, callID); err != nil {
				return err
			}
		}
		r := r
		if v == verdictAgain {
			r.Status = gateway.StatusUnknown // whatever this try says, an earlier one may have arrived
		}
		return tx.applyCard(ctx, c.Subject, r)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// ApplyCard brings the saving of a card to what the gateway said when asked.
// It may be called any number of times; a gateway that said nothing changes
// nothing.
func (s *Service) ApplyCard(ctx context.Context, id string, r gateway.CardResult) error {
	if !r.Known() {
		return nil
	}
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.applyCard(ctx, id, r)
	})
}

func (tx *Tx) applyCard(ctx context.Context, id string, r gateway.CardResult) error {
	m, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
	if err != nil {
		return fmt.Errorf("read card %s: %w", id, err)
	}
	if m.Status == paymentmethod.StatusACTIVE || m.Status == paymentmethod.StatusDETACHED {
		return nil
	}
	if err := tx.keepCustomer(ctx, m.ProviderID, m.PayerID, r.CustomerID); err != nil {
		return err
	}
	u := tx.PaymentMethod.Update().Where(paymentmethod.ID(id), paymentmethod.StatusEQ(m.Status)).SetUpdatedAt(tx.Now)
	if r.ReferenceID != "" {
		u.SetSetupReference(r.ReferenceID)
	}
	switch r.Status {
	case gateway.StatusSucceeded:
		if twin, err := tx.savedCard(ctx, m.ProviderID, r.PaymentMethodID); err != nil {
			return err
		} else if twin != nil {
			// An event may have told about it before the reply did, or the
			// same token was given twice: one card, one row.
			message := "the card is already saved"
			if twin.PayerID == m.PayerID {
				message += " as " + twin.ID
			}
			return cas(u.SetStatus(paymentmethod.StatusFAILED).SetFailureMessage(message).ClearNextCheckAt().Save(ctx))
		}
		status, err := tx.savedAs(ctx, m.ProviderID, r.CustomerID)
		if err != nil {
			return err
		}
		u.SetStatus(status).SetGatewayID(r.PaymentMethodID).SetGatewayCustomerID(r.CustomerID).
			SetBrand(r.Card.Brand).SetLast4(r.Card.Last4).SetExpMonth(r.Card.ExpMonth).SetExpYear(r.Card.ExpYear).
			SetActionURL("").ClearActionSecretSealed().ClearNextCheckAt()
		if status == paymentmethod.StatusACTIVE {
			u.SetNillableExpiryNoticeAt(expiryNotice(r.Card.ExpYear, r.Card.ExpMonth, tx.Now))
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("save card %s: %w", id, err)
		}
		if status != paymentmethod.StatusACTIVE {
			return nil
		}
		return tx.defaultCard(ctx, m.PayerID, id, m.MakeDefault)
	case gateway.StatusActionNeeded:
		// A page that is open is not over, whatever was heard before of a card
		// refused on it.
		u.SetStatus(paymentmethod.StatusPENDING)
		if err := tx.setCardAction(u, m, r.NextAction); err != nil {
			return err
		}
		u.SetNextCheckAt(tx.Now.Add(checkIn(m.Checks)))
	case gateway.StatusDeclined, gateway.StatusRejected, gateway.StatusUnavailable:
		message := "the gateway refused the card"
		if r.Failure != nil {
			message = r.Failure.Message
		}
		u.SetStatus(paymentmethod.StatusFAILED).SetFailureMessage(cut(message, 500)).
			SetActionURL("").ClearActionSecretSealed().ClearNextCheckAt()
	default:
		u.SetNextCheckAt(tx.Now.Add(checkIn(m.Checks)))
	}
	return cas(u.Save(ctx))
}

func (tx *Tx) setCardAction(u *ent.PaymentMethodUpdate, m *ent.PaymentMethod, a gateway.NextAction) error {
	if a.RedirectURL != "" {
		u.SetActionURL(a.RedirectURL)
		return nil
	}
	sealed, err := tx.s.sealer.Seal(auth.Secret(a.ClientSecret), cardPlace(m))
	if err != nil {
		return fmt.Errorf("seal client secret: %w", err)
	}
	u.SetActionSecretSealed(sealed)
	return nil
}

func cardPlace(m *ent.PaymentMethod) auth.Place {
	return auth.Place{OrganizationID: m.OrganizationID, EntityID: m.ID, Column: columnActionSecret}
}

// CardClientSecret opens the secret by which the payer's browser finishes
// saving a card, or returns "" when there is none.
func (s *Service) CardClientSecret(m *ent.PaymentMethod) (string, error) {
	if m.ActionSecretSealed == nil {
		return "", nil
	}
	secret, err := s.sealer.Open(m.ActionSecretSealed, cardPlace(m))
	if err != nil {
		return "", fmt.Errorf("open client secret of %s: %w", m.ID, err)
	}
	return string(secret), nil
}

// savedCard finds a card by the gateway's name for it, or nil.
func (tx *Tx) savedCard(ctx context.Context, providerID, gatewayID string) (*ent.PaymentMethod, error) {
	m, err := tx.PaymentMethod.Query().
		Where(paymentmethod.ProviderID(providerID), paymentmethod.GatewayID(gatewayID)).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	return m, err
}

// keepCard saves the card that a hosted payment was made with; a page may take
// other means, by which nothing can be charged later.
func (tx *Tx) keepCard(ctx context.Context, p *ent.Payment, r gateway.PaymentResult) error {
	card := r.Payment.Card
	if card == nil {
		return nil
	}
	known, err := tx.savedCard(ctx, p.ProviderID, r.Payment.PaymentMethodID)
	if err != nil || known != nil {
		return err
	}
	status, err := tx.savedAs(ctx, p.ProviderID, r.CustomerID)
	if err != nil || status != paymentmethod.StatusACTIVE {
		return err // nothing can be charged to it
	}
	id := tx.s.newID(prefixPaymentMethod)
	c := tx.PaymentMethod.Create().
		SetID(id).SetPayerID(orEmpty(p.PayerID)).SetProviderID(p.ProviderID).
		SetStatus(status).
		SetGatewayID(r.Payment.PaymentMethodID).SetGatewayCustomerID(r.CustomerID).
		SetBrand(card.Brand).SetLast4(card.Last4).SetExpMonth(card.ExpMonth).SetExpYear(card.ExpYear).
		SetSchemeReference(r.Payment.SchemeReference).
		SetConsentedAt(p.CreatedAt).SetConsentedBy(p.ID). // by paying on a page that saves it
		SetNillableExpiryNoticeAt(expiryNotice(card.ExpYear, card.ExpMonth, tx.Now)).
		SetCreatedAt(tx.Now).SetUpdatedAt(tx.Now)
	if err := c.Exec(ctx); err != nil {
		return fmt.Errorf("keep card: %w", err)
	}
	return tx.defaultCard(ctx, orEmpty(p.PayerID), id, false)
}

// defaultCard makes a card the payer's default when asked to, or when the
// payer has none.
func (tx *Tx) defaultCard(ctx context.Context, payerID, id string, wanted bool) error {
	// Two cards saved at once would both find that there is no default yet.
	if _, err := tx.Payer.Query().Where(payer.ID(payerID)).Unique(false).Modify(tx.forUpdate).Only(ctx); err != nil {
		return fmt.Errorf("read payer %s: %w", payerID, err)
	}
	others, err := tx.PaymentMethod.Query().
		Where(paymentmethod.PayerID(payerID), paymentmethod.IsDefault(true), paymentmethod.IDNEQ(id)).Exist(ctx)
	if err != nil {
		return fmt.Errorf("look for a default card: %w", err)
	}
	if others && !wanted {
		return nil
	}
	if others {
		if _, err := tx.PaymentMethod.Update().
			Where(paymentmethod.PayerID(payerID), paymentmethod.IsDefault(true)).
			SetIsDefault(false).SetUpdatedAt(tx.Now).Save(ctx); err != nil {
			return fmt.Errorf("clear the default card: %w", err)
		}
	}
	n, err := tx.PaymentMethod.Update().
		Where(paymentmethod.ID(id), paymentmethod.StatusEQ(paymentmethod.StatusACTIVE)).
		SetIsDefault(true).SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return err
	}
	if err := tx.retryCharges(ctx, payerID, id); err != nil {
		return err
	}
	return tx.retryReloads(ctx, payerID, id)
}

// CardChange is a begun change of a saved card; without a Call there is
// nothing to ask.
type CardChange struct {
	PaymentMethodID   string
	GatewayID         string
	GatewayCustomerID string
	*Call
}

// BeginCardDefault makes a card the payer's default here at once; the gateway
// is told as well.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) BeginCardDefault(ctx context.Context, id string) (*CardChange, error) {
	return s.beginCardChange(ctx, "paymentMethodSetDefault", id, gatewaycall.OperationCARD_DEFAULT,
		func(ctx context.Context, tx *Tx, m *ent.PaymentMethod) error {
			return tx.defaultCard(ctx, m.PayerID, m.ID, true)
		})
}

// BeginCardDetach forgets a card here at once; the gateway is told as well,
// again and again until it has heard.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) BeginCardDetach(ctx context.Context, id string) (*CardChange, error) {
	return s.beginCardChange(ctx, "paymentMethodDetach", id, gatewaycall.OperationCARD_DETACH,
		func(ctx context.Context, tx *Tx, m *ent.PaymentMethod) error {
			n, err := tx.PaymentMethod.Update().
				Where(paymentmethod.ID(m.ID), paymentmethod.StatusEQ(paymentmethod.StatusACTIVE)).
				SetStatus(paymentmethod.StatusDETACHED).SetIsDefault(false).SetUpdatedAt(tx.Now).Save(ctx)
			return cas(n, err)
		})
}

func (s *Service) beginCardChange(ctx context.Context, name, id string, kind gatewaycall.Operation,
	change func(context.Context, *Tx, *ent.PaymentMethod) error,
) (*CardChange, error) {
	op, err := s.newOperation(name, nil, keyOptional, id)
	if err != nil {
		return nil, err
	}
	callID := s.newID(prefixCall)
	out := CardChange{PaymentMethodID: id}
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if earlier, err := tx.replay(ctx, op); err != nil || earlier != nil {
			return err
		}
		m, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "payment method", id)
		}
		if m.Status != paymentmethod.StatusACTIVE {
			return refuse(CodeInvalidState, "id", "the card is %s", m.Status)
		}
		out.GatewayID, out.GatewayCustomerID = orEmpty(m.GatewayID), orEmpty(m.GatewayCustomerID)
		if err := change(ctx, tx, m); err != nil {
			return err
		}
		request := gateway.CardRequest{Customer: gateway.Customer{ID: out.GatewayCustomerID}, Token: out.GatewayID}
		if err := tx.openCall(ctx, callID, m.ProviderID, kind, id, request); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, "", callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, callID, callID)
	return &out, err
}

// FinishCardChange notes that the gateway has heard of a change of a card. It
// may be called any number of times. A gateway that cannot be reached, or does
// not take our keys now, is told later; the refusal says that it does not want
// to hear of it, or not with these keys: the card counts as changed here and is
// as it was there.
func (s *Service) FinishCardChange(ctx context.Context, callID string, r gateway.CardResult) error {
	o := r.Outcome
	if o.Status == gateway.StatusUnavailable || o.Failure != nil && o.Failure.Credentials {
		o.Status = gateway.StatusUnknown // tell it again
	}
	var refusal error
	err := s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		c, v, err := tx.settleCall(ctx, callID, o)
		switch {
		case err != nil:
			return err
		case v == verdictKnown:
			refusal = refusalOf("id", c)
		case v == verdictFreed, o.Status == gateway.StatusDeclined, r.Failure != nil && r.Failure.Credentials:
			refusal = callRefusal("id", r.Outcome)
		default:
			refusal = nil
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finish call %s: %w", callID, err)
	}
	return refusal
}

// DueCard is a card whose saving waits for its payer.
type DueCard struct {
	PaymentMethodID string
	Reference       string
	Account         gateway.Account
}

// DueCards lists cards of the viewer's organization whose saving nobody has
// told anything about for too long, the longest waiting first.
func (s *Service) DueCards(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.PaymentMethod.Query().Where(cardDue(s.now(ctx))).
		Order(ent.Asc(paymentmethod.FieldNextCheckAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due cards: %w", err)
	}
	return ids, nil
}

// ClaimCard is ClaimPayment for a card.
func (s *Service) ClaimCard(ctx context.Context, id string) (*DueCard, error) {
	var m *ent.PaymentMethod
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		m = nil
		row, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(id), cardDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read card %s: %w", id, err)
		}
		n, err := tx.PaymentMethod.Update().Where(paymentmethod.ID(id), cardDue(tx.Now)).
			SetNextCheckAt(tx.Now.Add(checkIn(row.Checks + 1))).AddChecks(1).Save(ctx)
		if n == 1 {
			m = row
		}
		return err
	})
	if err != nil || m == nil {
		return nil, err
	}
	account, err := s.OpenAccount(ctx, m.ProviderID)
	if err != nil {
		return nil, err
	}
	return &DueCard{PaymentMethodID: m.ID, Reference: orEmpty(m.SetupReference), Account: account}, nil
}

// PublishableKey is the key that the gateway's browser library needs.
func (s *Service) PublishableKey(ctx context.Context, providerID string) (string, error) {
	a, err := s.OpenAccount(ctx, providerID)
	return a.PublishableKey, err
}
