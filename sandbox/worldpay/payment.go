package worldpaysandbox

import "slices"

// journalTypes are the events of orders.
var journalTypes = []string{
	sentForAuthorisation, authorised, refused, refusedByBank, cancelled, captured, captureFailed, settled, settledByMerchant,
	sentForRefund, refunded, refundedByMerchant, refundFailed, refundWebformIssued, expired, failedWithError,
	shopperRedirected, shopperCancelled, chargedBack, chargebackReversed, informationRequested,
}

const (
	sentForAuthorisation = "SENT_FOR_AUTHORISATION"
	authorised           = "AUTHORISED"
	refused              = "REFUSED"
	refusedByBank        = "REFUSED_BY_BANK"
	cancelled            = "CANCELLED"
	captured             = "CAPTURED"
	captureFailed        = "CAPTURE_FAILED"
	settled              = "SETTLED"
	settledByMerchant    = "SETTLED_BY_MERCHANT"
	sentForRefund        = "SENT_FOR_REFUND"
	refunded             = "REFUNDED"
	refundedByMerchant   = "REFUNDED_BY_MERCHANT"
	refundFailed         = "REFUND_FAILED"
	refundWebformIssued  = "REFUND_WEBFORM_ISSUED"
	expired              = "EXPIRED"
	failedWithError      = "ERROR"
	shopperRedirected    = "SHOPPER_REDIRECTED"
	shopperCancelled     = "SHOPPER_CANCELLED"
	chargedBack          = "CHARGED_BACK"
	chargebackReversed   = "CHARGEBACK_REVERSED"
	informationRequested = "INFORMATION_REQUESTED"
)

// attempt is what is known when a payment is tried.
type attempt struct {
	card    testCard
	outcome outcome // of this payment
	later   outcome // of charges of the token that is made
	token   *Token  // that is charged, nil for a card
	secure  string  // how 3-D Secure ended, empty without it
}

// pay tries to pay an order: the payment is sent for authorisation, and the
// outcome comes at once unless it is pending. The order is not saved yet.
func (t *tx) pay(o *Order, a attempt) error {
	o.Challenge = nil
	o.Payment = &Payment{Card: a.card.key, Method: a.card.notified, Secure: a.secure, Outcome: a.outcome, Refunds: []Refund{}}
	p := o.Payment
	switch {
	case a.token != nil:
		p.Token, p.TokenEvent, p.SchemeID = a.token.ID, "USE", a.token.SchemeID
	case o.StoredFirst:
		p.SchemeID = t.digits(33)
	}
	t.event(o, sentForAuthorisation, o.Amount.Value, "")
	if o.Save != nil && a.token == nil {
		if err := t.makeToken(o, a); err != nil {
			return err
		}
	}
	if a.outcome == outcomePending {
		return nil
	}
	t.decide(o, a.outcome)
	return nil
}

// decide ends the authorisation of a payment.
func (t *tx) decide(o *Order, by outcome) {
	switch {
	case by.refused():
		o.Payment.ReturnCode = by.returnCode()
		t.event(o, refused, o.Amount.Value, "")
	case by == outcomeError:
		t.event(o, failedWithError, o.Amount.Value, "")
	default:
		o.Payment.Authorised = o.Amount.Value
		o.Payment.AuthorisationID = t.digits(6)
		t.event(o, authorised, o.Amount.Value, "")
		if days, ok := t.merchant.captureAfter(o); ok {
			t.later(o, Due{At: t.now + moment(days*24*3600), Event: captured, Amount: o.Amount.Value})
		}
	}
}

// makeToken makes the token that an order asks for, or finds the one that the
// shopper has for the card.
func (t *tx) makeToken(o *Order, a attempt) error {
	token, err := t.shopperToken(o.Save.Scope, o.Shopper, a.card.key)
	if err != nil {
		return err
	}
	o.Payment.TokenEvent = "MATCH"
	if token == nil {
		o.Payment.TokenEvent = "NEW"
		token = &Token{ID: "99" + t.digits(17), Card: a.card.key, Scope: o.Save.Scope, Shopper: o.Shopper, Reason: o.Save.Reason, Until: o.Save.Until}
	}
	token.Outcome = a.later
	if o.Payment.SchemeID != "" {
		token.SchemeID = o.Payment.SchemeID
	}
	o.Payment.Token = token.ID
	t.keep(token)
	return nil
}

// later lets something happen to an order after the merchant's lag, or at once
// when it has none and the time has come.
func (t *tx) later(o *Order, d Due) {
	d.At += moment(t.merchant.LagSeconds)
	if d.At <= t.now {
		t.happen(o, d)
		return
	}
	o.Due = append(o.Due, d)
}

// happen lets something happen that was due. What has been overtaken by other
// events does not happen any more.
func (t *tx) happen(o *Order, d Due) {
	switch p := o.Payment; d.Event {
	case captured:
		if p.LastEvent == authorised {
			p.Captured = d.Amount
			t.event(o, captured, d.Amount, d.Reference)
		}
	case refunded:
		at := slices.IndexFunc(p.Refunds, func(r Refund) bool {
			return r.State == sentForRefund && r.Reference == d.Reference && r.Amount == d.Amount
		})
		if at >= 0 {
			p.Refunds[at].State = refunded
			t.event(o, refunded, d.Amount, d.Reference)
		}
	}
}

// sendRefund begins a refund.
func (t *tx) sendRefund(o *Order, amount int64, reference string) {
	o.Payment.Refunded += amount
	o.Payment.Refunds = append(o.Payment.Refunds, Refund{Reference: reference, Amount: amount, State: sentForRefund})
	t.event(o, sentForRefund, amount, reference)
	t.later(o, Due{At: t.now, Event: refunded, Amount: amount, Reference: reference})
}

// event notes in the journal what has happened to an order's payment, and
// notifies the merchant.
func (t *tx) event(o *Order, kind string, amount int64, reference string) {
	o.Payment.LastEvent, o.Payment.LastEventAt = kind, t.now
	o.Payment.Reference = reference
	entry := Entry{Type: kind, Amount: amount, Reference: reference, At: t.now}
	o.Journal = append(o.Journal, entry)
	t.notify(o, entry)
}
