package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/schema"
	"purser/gateway"
	"purser/money"
)

// hostedPageLife is how long a hosted payment page stays open.
const hostedPageLife = 12 * time.Hour

// HostedPaymentDraft asks for a top-up on the gateway's own page.
type HostedPaymentDraft struct {
	PayerID    string
	Amount     money.Amount
	ProviderID string // empty: the organization's default
	ReturnURLs schema.ReturnURLs
	SaveCard   bool
	Key        *string `json:"-"`
}

// HostedPayment is a begun top-up; without a Call there is nothing to ask.
type HostedPayment struct {
	PaymentID string
	*Call
	Request gateway.HostedPaymentRequest
}

// BeginHostedPayment stores a top-up that the payer will make on the
// gateway's page. Called again with the same key it returns the same payment.
//
// Codes: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE, CURRENCY_MISMATCH,
// BELOW_MINIMUM, PROVIDER_UNSUPPORTED, IDEMPOTENCY_KEY_REUSED.
func (s *Service) BeginHostedPayment(ctx context.Context, d HostedPaymentDraft) (*HostedPayment, error) {
	op, err := s.newOperation("paymentStart", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	id, callID := s.newID(prefixPayment), s.newID(prefixCall)
	var out HostedPayment
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.PaymentID, found = earlier.Subject, earlier.CallID
			return nil
		}
		start, err := tx.topUp(ctx, id, d.PayerID, d.Amount, d.ProviderID, "providerId")
		if err != nil {
			return err
		}
		if err := tx.checkReturnURLs(ctx, d.ReturnURLs); err != nil {
			return err
		}
		start.callID = callID
		start.draft.SaveCard = d.SaveCard
		start.draft.ReturnUrls = &d.ReturnURLs
		p, err := tx.createPayment(ctx, start)
		if err != nil {
			return err
		}
		customer, err := tx.customer(ctx, start.payer, start.provider.ID)
		if err != nil {
			return err
		}
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		out.PaymentID, found = p.ID, callID
		out.Request = tx.pageRequest(o, p, customer, "Top-up "+d.Amount.String())
		if err := tx.openCall(ctx, callID, start.provider.ID, gatewaycall.OperationHOSTED_PAYMENT, p.ID, out.Request); err != nil {
			return err
		}
		return tx.remember(ctx, op, p.ID, orEmpty(p.BalanceID), callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// pageRequest asks for a page of the gateway's for a payment as it is stored.
func (tx *Tx) pageRequest(o *ent.Organization, p *ent.Payment, customer gateway.Customer, description string) gateway.HostedPaymentRequest {
	back := tx.s.publicLink("return", o.Slug, p.PublicToken) + "/"
	return gateway.HostedPaymentRequest{
		Customer: customer, Amount: p.Amount(), OrderCode: p.OrderCode, SaveCard: p.SaveCard,
		Description: description,
		SuccessURL:  back + gateway.ReturnSuccess, CancelURL: back + gateway.ReturnCancel,
		PendingURL: back + gateway.ReturnPending, FailureURL: back + gateway.ReturnFailure, ErrorURL: back + gateway.ReturnError,
		ExpiresAt: tx.Now.Add(hostedPageLife).Truncate(time.Second),
	}
}

// ChargeDraft asks for a top-up from a saved card.
type ChargeDraft struct {
	PayerID         string
	Amount          money.Amount
	PaymentMethodID string // empty: the payer's default card
	ReturnURL       string
	Key             *string `json:"-"`
}

// Charge is a begun charge of a saved card; without a Call there is nothing
// to ask.
type Charge struct {
	PaymentID string
	*Call
	Request gateway.ChargeRequest
}

// BeginCharge stores a top-up from a saved card. Called again with the same
// key it returns the same payment.
//
// Codes: as BeginHostedPayment, and PAYMENT_METHOD_REQUIRED.
func (s *Service) BeginCharge(ctx context.Context, d ChargeDraft) (*Charge, error) {
	op, err := s.newOperation("balanceTopUp", d.Key, keyRequired, d)
	if err != nil {
		return nil, err
	}
	id, callID := s.newID(prefixPayment), s.newID(prefixCall)
	var out Charge
	var found string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out.PaymentID, found = earlier.Subject, earlier.CallID
			return nil
		}
		payer, err := tx.activePayer(ctx, d.PayerID, "payerId")
		if err != nil {
			return err
		}
		card, err := tx.chargeableCard(ctx, payer.ID, d.PaymentMethodID, "paymentMethodId")
		if err != nil {
			return err
		}
		start, err := tx.topUp(ctx, id, d.PayerID, d.Amount, card.ProviderID, "paymentMethodId")
		if err != nil {
			return err
		}
		if err := tx.checkReturnURL(ctx, d.ReturnURL); err != nil {
			return err
		}
		start.callID, start.card = callID, card
		start.draft.ReturnUrls = sameURL(d.ReturnURL)
		p, err := tx.createPayment(ctx, start)
		if err != nil {
			return err
		}
		o, err := tx.organization(ctx)
		if err != nil {
			return err
		}
		out.PaymentID, found = p.ID, callID
		out.Request = gateway.ChargeRequest{
			CustomerID: orEmpty(card.GatewayCustomerID), PaymentMethodID: orEmpty(card.GatewayID), SchemeReference: card.SchemeReference,
			Amount: d.Amount, OrderCode: p.OrderCode, Description: "Top-up " + d.Amount.String(),
			ReturnURL: s.publicLink("return", o.Slug, p.PublicToken, "success"),
		}
		if err := tx.openCall(ctx, callID, start.provider.ID, gatewaycall.OperationCHARGE, p.ID, out.Request); err != nil {
			return err
		}
		return tx.remember(ctx, op, p.ID, orEmpty(p.BalanceID), callID)
	})
	if err != nil {
		return nil, err
	}
	out.Call, err = s.begun(ctx, found, callID)
	return &out, err
}

// topUp checks what both ways of topping up have in common.
func (tx *Tx) topUp(ctx context.Context, id, payerID string, amount money.Amount, providerID, providerField string) (paymentStart, error) {
	start := paymentStart{id: id, purpose: payment.PurposeTOP_UP, status: payment.StatusPROCESSING}
	var err error
	if start.payer, err = tx.payerToSell(ctx, payerID, "payerId"); err != nil {
		return start, err
	}
	c, err := tx.usableCurrency(ctx, amount.Currency, "amount.currency")
	if err != nil {
		return start, err
	}
	if start.provider, err = tx.usableProvider(ctx, providerID, providerField); err != nil {
		return start, err
	}
	if c.Virtual {
		return start, refuse(CodeProviderUnsupported, "amount.currency", "%s exists only here and cannot be bought at a gateway", c.Code)
	}
	if err := chargeable(amount, start.provider.Kind, "amount.amount"); err != nil {
		return start, err
	}
	if m := c.MinimumTopUp(); m != nil && amount.Units < m.Units {
		return start, refuse(CodeBelowMinimum, "amount.amount", "the smallest top-up is %s", m)
	}
	if least, known := gatewayMinimum(amount.Currency, start.provider.Kind); known && amount.Units < least.Units {
		return start, refuse(CodeBelowMinimum, "amount.amount", "the gateway takes no less than %s", least)
	}
	if start.balance, err = tx.ensureBalance(ctx, start.payer, amount.Currency, "amount.currency"); err != nil {
		return start, err
	}
	start.draft.Currency, start.draft.AmountUnits = amount.Currency, amount.Units
	return start, nil
}

// chargeableCard reads a saved card of the payer, or its default one.
func (tx *Tx) chargeableCard(ctx context.Context, payerID, id, field string) (*ent.PaymentMethod, error) {
	q := tx.PaymentMethod.Query().Where(paymentmethod.PayerID(payerID))
	if id == "" {
		card, err := q.Where(paymentmethod.IsDefault(true), paymentmethod.StatusEQ(paymentmethod.StatusACTIVE)).
			Order(ent.Desc(paymentmethod.FieldUpdatedAt, paymentmethod.FieldID)).First(ctx)
		if ent.IsNotFound(err) {
			return nil, refuse(CodePaymentMethodRequired, field, "the payer has no default card: save one with paymentMethodAttach or paymentMethodSetup")
		}
		return card, err
	}
	card, err := q.Where(paymentmethod.ID(id)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, field, "payment method", id)
	}
	if card.Status != paymentmethod.StatusACTIVE || card.GatewayID == nil {
		return nil, refuse(CodeInvalidState, field, "the card is %s", card.Status)
	}
	return card, nil
}

// FinishPayment applies the outcome of a hosted payment or a charge. It may be
// called any number of times; the returned refusal says that the gateway took
// nothing.
func (s *Service) FinishPayment(ctx context.Context, callID string, r gateway.PaymentResult) error {
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
		if v == verdictFreed {
			refusal = callRefusal("", r.Outcome)
			if err := tx.forgetKey(ctx, callID); err != nil {
				return err
			}
		}
		r := r
		if v == verdictAgain {
			r.Status = gateway.StatusUnknown // whatever this try says, an earlier one may have arrived
		}
		if err := tx.finishAttempt(ctx, callID, paymentStatus(r), r.Outcome); err != nil {
			return err
		}
		return tx.applyPayment(ctx, c.Subject, r)
	})
	if err != nil {
		return s.finishFailed(ctx, callID, err)
	}
	return refusal
}

// DuePayment is a payment that waits for its payer or its gateway.
type DuePayment struct {
	PaymentID        string
	ReferenceID      string
	GatewayPaymentID string
	// InvoiceID and GatewayInvoiceID are set when the payment is an invoice's:
	// the invoice is asked instead.
	InvoiceID        string
	GatewayInvoiceID string
	Account          gateway.Account
}

// PaymentToCheck returns what must be asked of the gateway to know how a
// payment stands; nil when it is settled or waits for a call of its own.
func (s *Service) PaymentToCheck(ctx context.Context, id string) (*DuePayment, error) {
	p, err := s.read.Payment.Query().Where(payment.ID(id)).Only(ctx)
	if err != nil {
		return nil, orNotFound(err, "id", "payment", id)
	}
	due := &DuePayment{PaymentID: p.ID, ReferenceID: orEmpty(p.ReferenceID), GatewayPaymentID: orEmpty(p.GatewayPaymentID)}
	if p.Status == payment.StatusSUCCEEDED {
		return nil, nil
	}
	if p.InvoiceID != nil {
		kept, err := s.read.Invoice.Query().Where(invoice.ID(*p.InvoiceID), invoice.GatewayInvoiceIDNotNil()).Exist(ctx)
		if err != nil {
			return nil, fmt.Errorf("read invoice of payment %s: %w", id, err)
		}
		if kept {
			inv, err := s.InvoiceToCheck(ctx, *p.InvoiceID)
			if err != nil || inv == nil {
				return nil, err
			}
			due.InvoiceID, due.GatewayInvoiceID, due.Account = inv.InvoiceID, inv.GatewayInvoiceID, inv.Account
			return due, nil
		}
	}
	if due.ReferenceID == "" && due.GatewayPaymentID == "" {
		return nil, nil
	}
	if due.Account, err = s.OpenAccount(ctx, p.ProviderID); err != nil {
		return nil, err
	}
	return due, nil
}

// DuePayments lists payments of the viewer's organization that nobody has
// told anything about for too long, the longest waiting first.
func (s *Service) DuePayments(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.Payment.Query().Where(paymentDue(s.now(ctx))).
		Order(ent.Asc(payment.FieldNextCheckAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due payments: %w", err)
	}
	return ids, nil
}

// ClaimPayment takes a payment that is due and returns what must be asked of
// its gateway; nil when it is not due any more. The time of the next look is
// set before this one, so that nobody else looks meanwhile, and one that
// comes to nothing lets others have their turn.
func (s *Service) ClaimPayment(ctx context.Context, id string) (*DuePayment, error) {
	claimed := false
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		claimed = false
		p, err := tx.Payment.Query().Where(payment.ID(id), paymentDue(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read payment %s: %w", id, err)
		}
		n, err := tx.Payment.Update().Where(payment.ID(id), paymentDue(tx.Now)).
			SetNextCheckAt(tx.Now.Add(checkIn(p.Checks + 1))).AddChecks(1).Save(ctx)
		claimed = n == 1
		return err
	})
	if err != nil || !claimed {
		return nil, err
	}
	return s.PaymentToCheck(ctx, id)
}

// ApplyPayment brings a payment to what the gateway said when asked. It may be
// called any number of times. The error says when the gateway's payment is not
// the one that was stored; a gateway that said nothing changes nothing.
func (s *Service) ApplyPayment(ctx context.Context, id string, r gateway.PaymentResult) error {
	if !r.Known() {
		return nil
	}
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		return tx.applyPayment(ctx, id, r)
	})
}
