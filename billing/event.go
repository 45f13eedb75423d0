package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"purser/ent"
	"purser/ent/gatewayevent"
	"purser/ent/invoice"
	"purser/ent/organization"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
	"purser/gateway"
)

// How often an event whose object is not known yet is looked at again, and
// when it is given up.
const (
	eventTriesMax = 12
	// unconfirmedTriesMax is how often the gateway is asked, within some
	// minutes, for what it denies. What was made up must not wait until it
	// happens to look true.
	unconfirmedTriesMax = 4
	eventLease          = 45 * time.Second
)

// StoreEvent keeps a verified notification, once per provider and event id,
// before it is answered. It returns the id of the stored event, and "" when it
// was stored and settled before, or is of an object that another provider has
// made at the same account: such a one is nothing to wait for.
func (s *Service) StoreEvent(ctx context.Context, providerID string, e gateway.Event) (string, error) {
	id, stored := s.newID(prefixEvent), ""
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		row, err := tx.GatewayEvent.Query().
			Where(gatewayevent.ProviderID(providerID), gatewayevent.GatewayEventID(e.ID)).Only(ctx)
		switch {
		case err == nil:
			stored = row.ID
			if row.Status != gatewayevent.StatusRECEIVED && row.Status != gatewayevent.StatusWAITING {
				stored = ""
			}
			return nil
		case !ent.IsNotFound(err):
			return err
		}
		saved, err := savedCardOf(e)
		if err != nil {
			return err
		}
		told, err := toldOf(e)
		if err != nil {
			return err
		}
		c := tx.GatewayEvent.Create().
			SetID(id).SetProviderID(providerID).SetGatewayEventID(e.ID).SetType(cut(e.Type, 100)).
			SetObjectKind(string(e.Object.Kind)).SetObjectID(e.Object.ID).
			SetCallID(e.Object.CallID).SetSubject(e.Object.Subject).SetObjectPayment(e.Object.PaymentID).
			SetSavedCard(saved).SetTold(told).SetReceivedAt(tx.Now)
		if owner := e.Object.ProviderID; owner != "" && owner != providerID {
			stored = ""
			return c.SetStatus(gatewayevent.StatusIGNORED).Exec(ctx)
		}
		stored = id
		return c.SetNextAttemptAt(tx.Now).Exec(ctx)
	})
	if err != nil {
		return "", fmt.Errorf("store event %s: %w", e.ID, err)
	}
	return stored, nil
}

// EventToApply is a stored event with what must be read again of the gateway:
// the event itself is only a hint.
type EventToApply struct {
	EventID string
	Subject string // our object, "" when the event is of nothing that we know
	// Later is set where our object may still come to be known: of a payment
	// whose outcome the gateway has not told yet.
	Later  bool
	Object gateway.Object
	Saved  *gateway.SavedCard // a card of which the gateway tells nowhere else
	Told   *gateway.Told      // what it says of money that went back, to be confirmed
	// Settled is set of a payment that had succeeded before anybody asks how it
	// stands now.
	Settled bool
	Kind    gateway.Kind
	Account gateway.Account
}

// ClaimEvent takes an event for applying; nil when it is settled or somebody
// else has it.
func (s *Service) ClaimEvent(ctx context.Context, id string) (*EventToApply, error) {
	var row *ent.GatewayEvent
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		e, err := tx.GatewayEvent.Query().Where(gatewayevent.ID(id)).Only(ctx)
		if err != nil {
			return err
		}
		row = nil
		n, err := tx.GatewayEvent.Update().
			Where(gatewayevent.ID(id), gatewayevent.Attempts(e.Attempts),
				gatewayevent.StatusIn(gatewayevent.StatusRECEIVED, gatewayevent.StatusWAITING),
				gatewayevent.NextAttemptAtLTE(tx.Now)).
			SetAttempts(e.Attempts + 1).SetNextAttemptAt(tx.Now.Add(eventLease)).Save(ctx)
		if n == 1 {
			row = e
		}
		return err
	})
	if err != nil || row == nil {
		return nil, err
	}
	account, err := s.OpenAccount(ctx, row.ProviderID)
	if err != nil {
		return nil, err
	}
	out := &EventToApply{
		EventID: row.ID, Kind: account.Kind, Account: account,
		Object: gateway.Object{
			Kind: gateway.ObjectKind(row.ObjectKind), ID: row.ObjectID, CallID: row.CallID, Subject: row.Subject, PaymentID: row.ObjectPayment,
		},
	}
	if out.Later, err = s.mayBeOurs(ctx, row); err != nil {
		return nil, err
	}
	if len(row.SavedCard) > 0 {
		if err := json.Unmarshal(row.SavedCard, &out.Saved); err != nil {
			return nil, fmt.Errorf("read the card of event %s: %w", row.ID, err)
		}
	}
	if out.Subject, err = s.subjectOf(ctx, row); err != nil || out.Subject == "" {
		return out, err
	}
	if err := s.fillTold(ctx, row, out); err != nil || out.Object.Kind != gateway.ObjectSetup {
		return out, err
	}
	// A card refused on a page that is still open is not the setup's end: the
	// page knows, where there is one.
	m, err := s.read.PaymentMethod.Query().Where(paymentmethod.ID(out.Subject)).Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read card %s: %w", out.Subject, err)
	}
	if m.SetupReference != nil {
		out.Object.ID = *m.SetupReference
	}
	return out, nil
}

// subjectOf finds our object that an event's object belongs to: by the
// gateway's id that we stored, else by the metadata that we put on it. The
// latter only names a row; whether it fits is checked when it is applied.
func (s *Service) subjectOf(ctx context.Context, e *ent.GatewayEvent) (string, error) {
	first := func(ids []string, err error) (string, error) {
		if err != nil {
			return "", fmt.Errorf("find the object of event %s: %w", e.ID, err)
		}
		if len(ids) == 0 {
			return "", nil
		}
		return ids[0], nil
	}
	named := func(prefix string) string {
		if strings.HasPrefix(e.Subject, prefix+"_") {
			return e.Subject
		}
		return ""
	}
	switch gateway.ObjectKind(e.ObjectKind) {
	case gateway.ObjectQuote:
		// A draft has no provider yet: its finalization is under way, or came
		// to nothing.
		return first(s.read.Quote.Query().Where(quote.Or(
			quote.And(quote.ProviderID(e.ProviderID), quote.Or(quote.GatewayQuoteID(e.ObjectID), quote.ID(named(prefixQuote)))),
			quote.And(quote.ProviderIDIsNil(), quote.ID(named(prefixQuote))),
		)).IDs(ctx))
	case gateway.ObjectInvoice:
		return first(s.read.Invoice.Query().Where(invoice.ProviderID(e.ProviderID),
			invoice.Or(invoice.GatewayInvoiceID(e.ObjectID), invoice.ID(named(prefixInvoice)))).IDs(ctx))
	case gateway.ObjectPayment:
		id, err := first(s.read.Payment.Query().Where(payment.ProviderID(e.ProviderID),
			payment.Or(payment.GatewayPaymentID(e.ObjectID), payment.ID(named(prefixPayment)))).IDs(ctx))
		if err != nil || id != "" {
			return id, err
		}
		return s.paymentOfOrder(ctx, e.ProviderID, e.ObjectID)
	case gateway.ObjectHosted:
		return first(s.read.Payment.Query().Where(payment.ProviderID(e.ProviderID), payment.InvoiceIDIsNil(),
			payment.Or(payment.ReferenceID(e.ObjectID), payment.ID(named(prefixPayment)))).IDs(ctx))
	case gateway.ObjectRefund, gateway.ObjectRefunds, gateway.ObjectDispute: // all of a payment
		return first(s.read.Payment.Query().Where(payment.ProviderID(e.ProviderID), payment.GatewayPaymentID(e.ObjectPayment)).IDs(ctx))
	case gateway.ObjectSetup:
		return first(s.read.PaymentMethod.Query().Where(paymentmethod.ProviderID(e.ProviderID),
			paymentmethod.Or(paymentmethod.SetupReference(e.ObjectID), paymentmethod.ID(named(prefixPaymentMethod)))).IDs(ctx))
	case gateway.ObjectCard:
		return first(s.read.PaymentMethod.Query().Where(paymentmethod.ProviderID(e.ProviderID), paymentmethod.GatewayID(e.ObjectID)).IDs(ctx))
	case gateway.ObjectCustomer:
		return s.payerOfCustomer(ctx, e.ProviderID, e.ObjectID, e.Subject)
	default:
		return "", nil
	}
}

// FinishEvent writes what became of an event. cause is nil when it was
// applied; ErrForeign when its object is none of ours.
func (s *Service) FinishEvent(ctx context.Context, id string, cause error) error {
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		e, err := tx.GatewayEvent.Query().Where(gatewayevent.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
		if err != nil {
			return err
		}
		u := tx.GatewayEvent.Update().
			Where(gatewayevent.ID(id), gatewayevent.StatusIn(gatewayevent.StatusRECEIVED, gatewayevent.StatusWAITING))
		switch {
		case cause == nil:
			u.SetStatus(gatewayevent.StatusAPPLIED).SetAppliedAt(tx.Now).ClearNextAttemptAt().ClearError()
		case errors.Is(cause, ErrForeign):
			u.SetStatus(gatewayevent.StatusIGNORED).ClearNextAttemptAt()
		case errors.Is(cause, errMismatch):
			u.SetStatus(gatewayevent.StatusMISMATCHED).SetError(cut(cause.Error(), 500)).ClearNextAttemptAt()
			s.log.ErrorContext(ctx, "gateway event does not fit", "event_id", id, "error", cause)
		case e.Attempts >= eventTriesMax, e.Attempts >= unconfirmedTriesMax && errors.Is(cause, ErrUnconfirmed):
			u.SetStatus(gatewayevent.StatusFAILED).SetError(cut(cause.Error(), 500)).ClearNextAttemptAt()
			s.log.ErrorContext(ctx, "gateway event given up", "event_id", id, "error", cause)
		case errors.Is(cause, errWaiting):
			known, err := tx.Payment.Query().Where(payment.ProviderID(e.ProviderID), payment.GatewayPaymentID(e.ObjectPayment),
				payment.StatusEQ(payment.StatusSUCCEEDED)).Exist(ctx)
			if err != nil {
				return err
			}
			next := tx.Now.Add(checkIn(e.Attempts - 1))
			if known { // since it was looked at
				next = tx.Now
			}
			u.SetStatus(gatewayevent.StatusWAITING).SetNextAttemptAt(next)
		default:
			u.SetError(cut(cause.Error(), 500)).SetNextAttemptAt(tx.Now.Add(checkIn(e.Attempts - 1)))
		}
		_, err = u.Save(ctx)
		return err
	})
}

// DueEvents lists events that wait to be applied.
func (s *Service) DueEvents(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.GatewayEvent.Query().
		Where(eventDue(s.now(ctx))).
		Order(ent.Asc(gatewayevent.FieldNextAttemptAt)).Limit(limit).IDs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list due events: %w", err)
	}
	return ids, nil
}

// wakeEvents has the events applied soon that wait for what a call about the
// subject has made.
func (tx *Tx) wakeEvents(ctx context.Context, subject string) error {
	_, err := tx.GatewayEvent.Update().
		Where(gatewayevent.StatusEQ(gatewayevent.StatusWAITING), gatewayevent.Subject(subject), gatewayevent.NextAttemptAtGT(tx.Now)).
		SetNextAttemptAt(tx.Now).Save(ctx)
	if err != nil {
		return fmt.Errorf("wake the events of %s: %w", subject, err)
	}
	return nil
}

// wakeEventsOf is wakeEvents for what is told of a gateway's payment that has
// only now become known. An event that is found waiting at this moment is
// written as well: whoever comes second, here or in FinishEvent, sees the other.
func (tx *Tx) wakeEventsOf(ctx context.Context, providerID, gatewayPaymentID string) error {
	_, err := tx.GatewayEvent.Update().
		Where(gatewayevent.StatusIn(gatewayevent.StatusRECEIVED, gatewayevent.StatusWAITING), gatewayevent.ProviderID(providerID),
			gatewayevent.ObjectPayment(gatewayPaymentID), gatewayevent.NextAttemptAtGT(tx.Now)).
		SetNextAttemptAt(tx.Now).Save(ctx)
	return wrapped(err, "wake the events of payment "+gatewayPaymentID)
}

// mayBeOurs reports whether a refund or a dispute may be of a payment of which
// the gateway has not told its name yet: the two tell nothing else of whose
// they are.
func (s *Service) mayBeOurs(ctx context.Context, e *ent.GatewayEvent) (bool, error) {
	kind := gateway.ObjectKind(e.ObjectKind)
	if kind != gateway.ObjectRefund && kind != gateway.ObjectRefunds && kind != gateway.ObjectDispute {
		return false, nil
	}
	waits, err := s.read.Payment.Query().Where(payment.ProviderID(e.ProviderID),
		payment.StatusIn(payment.StatusPROCESSING, payment.StatusREQUIRES_ACTION)).Exist(ctx)
	return waits, wrapped(err, "look for payments that wait")
}

// ErrForeign says that an event's object is none of ours.
var ErrForeign = errors.New("the object is none of ours")

// ErrUnconfirmed says that the gateway, asked for what an event tells, denies
// it.
var ErrUnconfirmed = errors.New("the gateway does not confirm what was told")

// IsWaiting reports whether an event could not be applied yet and is looked at
// again, which is no trouble before it is given up.
func IsWaiting(err error) bool {
	return errors.Is(err, errWaiting) || errors.Is(err, errEarly) || errors.Is(err, ErrUnconfirmed)
}

// errEarly says that an event is about the end of what was not told yet. Other
// than with errWaiting, its payment is known, and nothing wakes it.
var errEarly = errors.New("what it ends was not told yet")

// errWaiting says that an event's object should be ours but is not there yet.
var errWaiting = errors.New("the object is not known yet")

// Unclaimed is what an event without a subject means: an object that carries
// our metadata, of a kind that is applied, will appear; any other is foreign.
func (e *EventToApply) Unclaimed() error {
	if e.Subject != "" {
		return nil
	}
	switch e.Object.Kind {
	case gateway.ObjectRefund, gateway.ObjectRefunds, gateway.ObjectDispute:
		if e.Later || e.Object.Subject != "" {
			return errWaiting
		}
	case gateway.ObjectQuote, gateway.ObjectInvoice, gateway.ObjectPayment, gateway.ObjectHosted, gateway.ObjectSetup:
		if e.Object.Subject != "" {
			return errWaiting
		}
	case gateway.ObjectCard, gateway.ObjectCustomer, gateway.ObjectOther:
	}
	// Products, customers that live and charges carry our metadata as well; waiting for
	// them would end in an alarm about nothing.
	return ErrForeign
}

// WebhookTarget is what an event is checked against before it is stored.
type WebhookTarget struct {
	ProviderID string
	// GlobalProviderID is set instead for an account of the operator's; whose
	// an event there is, EventOwner says.
	GlobalProviderID string
	Kind             gateway.Kind
	Live             bool     // whether the provider's events must be of real money
	Secrets          []string // the signing secrets, the current one first
}

// WebhookTarget finds the provider that a webhook's address names, inside the
// viewer's organization.
//
// Codes: NOT_FOUND.
func (s *Service) WebhookTarget(ctx context.Context, token string) (*WebhookTarget, error) {
	p, err := s.ProviderByWebhookToken(ctx, token)
	if err != nil {
		return nil, err
	}
	o, err := s.read.Organization.Query().Only(ctx)
	if err != nil {
		return nil, fmt.Errorf("read organization: %w", err)
	}
	secrets, err := s.WebhookSecrets(ctx, p)
	if err != nil {
		return nil, err
	}
	return &WebhookTarget{
		ProviderID: p.ID, Kind: gateway.Kind(p.Kind), Live: o.Environment == organization.EnvironmentLIVE, Secrets: secrets,
	}, nil
}
