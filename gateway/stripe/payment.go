package stripe

import (
	"context"
	"fmt"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// ChargeCard charges a saved card once per call. 3-D Secure with the payer
// present is ActionNeeded with a page, or with the client secret when there
// is no ReturnURL; without the payer it is ActionNeeded with the client
// secret, on which the same payment can be finished.
//
// A call whose key Stripe may have forgotten charges nothing: the payment is
// looked for by our metadata, and Unavailable when there surely is none. So it
// is when Stripe has stored a server error for the key.
func (a *Adapter) ChargeCard(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.ChargeRequest) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, c, "card_charge")
	defer o.end(&res.Outcome)
	res.CustomerID = r.CustomerID
	amount, err := toWire(r.Amount)
	if err != nil {
		res.Outcome = refusal(codeBadRequest, err.Error()).Outcome
		return res
	}
	if r.CustomerID == "" || r.PaymentMethodID == "" {
		res.Outcome = refusal(codeBadRequest, "a charge needs a customer and a saved card").Outcome
		return res
	}
	o.customer = r.CustomerID
	const step = "charge"
	find := func() (*sdk.PaymentIntent, *problem) {
		return newest[sdk.PaymentIntent](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.payments.List(&sdk.PaymentIntentListParams{ListParams: l, Customer: sdk.String(r.CustomerID)}).Iter
		})
	}
	if o.refused == nil && o.stale() {
		return o.latePayment(res, find)
	}
	pi, p := create(o, step, find, func(p sdk.Params) (*sdk.PaymentIntent, error) {
		metadata := o.metadata(step)
		metadata[metaOrder] = r.OrderCode
		params := &sdk.PaymentIntentParams{
			Params:             p,
			Amount:             sdk.Int64(amount),
			Currency:           wireCurrency(r.Amount.Currency),
			Customer:           sdk.String(r.CustomerID),
			PaymentMethod:      sdk.String(r.PaymentMethodID),
			PaymentMethodTypes: sdk.StringSlice([]string{string(sdk.PaymentMethodTypeCard)}),
			Confirm:            sdk.Bool(true),
			OffSession:         sdk.Bool(r.OffSession),
			ReturnURL:          optional(r.ReturnURL),
			Description:        optional(clip(r.Description, descriptionMax)),
			Metadata:           metadata,
		}
		params.AddExpand("latest_charge")
		return o.c.payments.New(params)
	})
	if p != nil && p.undone {
		res.Outcome = o.never("the payment was never made")
		return res
	}
	if p != nil {
		return o.paymentRefused(res, p)
	}
	if o.replayed {
		return o.paymentAgain(res, pi.ID)
	}
	return o.paymentResult(res, pi)
}

// latePayment reports what became of a charge made so long ago that its key
// may be forgotten.
func (o *operation) latePayment(res gateway.PaymentResult, find finder[sdk.PaymentIntent]) gateway.PaymentResult {
	pi, p := find()
	switch {
	case p != nil:
		res.Outcome = p.unsettled().Outcome
		return res
	case pi != nil:
		return o.paymentAgain(res, pi.ID)
	}
	res.Outcome = o.never("the payment was never made")
	return res
}

// paymentAgain reads a payment whose known state is old. It was made, so a
// failure to read it leaves the operation unknown.
func (o *operation) paymentAgain(res gateway.PaymentResult, id string) gateway.PaymentResult {
	pi, p := o.getPayment(id)
	if p != nil {
		res.Outcome = p.unsettled().Outcome
		res.Payment.GatewayPaymentID = id
		return res
	}
	return o.paymentResult(res, pi)
}

// paymentRefused reports a charge that ended with an error, and the payment
// that Stripe keeps of it.
func (o *operation) paymentRefused(res gateway.PaymentResult, p *problem) gateway.PaymentResult {
	if p.err == nil || p.err.PaymentIntent == nil || p.err.PaymentIntent.ID == "" {
		res.Outcome = p.Outcome
		return res
	}
	pi := p.err.PaymentIntent
	if o.replayed {
		// A payment once refused may have been authenticated and paid since.
		return o.paymentAgain(res, pi.ID)
	}
	res.Outcome = p.Outcome
	state, err := paymentState(pi)
	if err != nil {
		state = gateway.PaymentState{GatewayPaymentID: pi.ID}
	}
	if p.Status == gateway.StatusActionNeeded {
		res.NextAction = gateway.NextAction{ClientSecret: pi.ClientSecret}
	}
	if p.Status == gateway.StatusActionNeeded || p.Status == gateway.StatusDeclined {
		state.Status, state.Failure = p.Status, p.Failure
	}
	res.Payment = state
	return res
}

// FetchPayment reads a payment. Its outcome is the payment's state; one that
// Stripe does not know is Rejected.
func (a *Adapter) FetchPayment(ctx context.Context, acc gateway.Account, gatewayPaymentID string) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "payment_fetch")
	defer o.end(&res.Outcome)
	pi, p := o.getPayment(gatewayPaymentID)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	return o.paymentResult(res, pi)
}

func (o *operation) getPayment(id string) (*sdk.PaymentIntent, *problem) {
	return read(o, func(p sdk.Params) (*sdk.PaymentIntent, error) {
		params := &sdk.PaymentIntentParams{Params: p}
		params.AddExpand("latest_charge")
		return o.c.payments.Get(id, params)
	})
}

// paymentResult reports a payment as it stands.
func (o *operation) paymentResult(res gateway.PaymentResult, pi *sdk.PaymentIntent) gateway.PaymentResult {
	state, err := paymentState(pi)
	if err != nil {
		res.Outcome = unreadable(o.requestID, err).Outcome
		res.Payment = gateway.PaymentState{GatewayPaymentID: pi.ID}
		return res
	}
	res.Payment = state
	res.Outcome = o.outcomeOf(state)
	if pi.Customer != nil {
		res.CustomerID = pi.Customer.ID
	}
	if state.Status == gateway.StatusActionNeeded {
		res.NextAction = nextAction(pi)
	}
	return res
}

// outcomeOf is a payment's state as an outcome. A payment given up is
// Declined: no money will come.
func (o *operation) outcomeOf(state gateway.PaymentState) gateway.Outcome {
	out := gateway.Outcome{Status: state.Status, Failure: state.Failure, RequestID: o.requestID}
	if state.Canceled {
		out.Status = gateway.StatusDeclined
		if out.Failure == nil {
			out.Failure = &gateway.Failure{Code: codeCanceled, Message: "The payment was canceled."}
		}
	}
	return out
}

// nextAction is what the payer of a waiting payment does.
func nextAction(pi *sdk.PaymentIntent) gateway.NextAction {
	if page := redirectOf(pi); page != "" {
		return gateway.NextAction{RedirectURL: page}
	}
	return gateway.NextAction{ClientSecret: pi.ClientSecret}
}

// redirectOf is the page of 3-D Secure that leads back to us, or "".
func redirectOf(pi *sdk.PaymentIntent) string {
	if pi.NextAction == nil || pi.NextAction.RedirectToURL == nil {
		return ""
	}
	return pi.NextAction.RedirectToURL.URL
}

// neverTried reports whether a payment waits for its first attempt.
func neverTried(pi *sdk.PaymentIntent) bool {
	waits := pi.Status == sdk.PaymentIntentStatusRequiresPaymentMethod || pi.Status == sdk.PaymentIntentStatusRequiresConfirmation
	return waits && pi.LastPaymentError == nil
}

// paymentState translates a payment. An error stands for an amount or a state
// that is not understood: such a payment is neither paid nor failed.
func paymentState(pi *sdk.PaymentIntent) (gateway.PaymentState, error) {
	state := gateway.PaymentState{GatewayPaymentID: pi.ID}
	n := pi.Amount
	switch pi.Status {
	case sdk.PaymentIntentStatusSucceeded:
		state.Status = gateway.StatusSucceeded
		n = pi.AmountReceived
	case sdk.PaymentIntentStatusProcessing, sdk.PaymentIntentStatusRequiresCapture:
		state.Status = gateway.StatusProcessing
	case sdk.PaymentIntentStatusRequiresAction, sdk.PaymentIntentStatusRequiresConfirmation:
		state.Status = gateway.StatusActionNeeded
	case sdk.PaymentIntentStatusRequiresPaymentMethod:
		state.Status = gateway.StatusActionNeeded
		if e := pi.LastPaymentError; e != nil {
			state.Failure = failureOf(e)
			if !needsAction(e) {
				state.Status = gateway.StatusDeclined
			}
		}
	case sdk.PaymentIntentStatusCanceled:
		state.Canceled = true
	default:
		return state, fmt.Errorf("payment %s is in the unknown state %q", pi.ID, pi.Status)
	}
	var err error
	if state.Amount, err = fromWire(n, pi.Currency); err != nil {
		return state, err
	}
	if pi.PaymentMethod != nil {
		state.PaymentMethodID = pi.PaymentMethod.ID
	}
	if e := pi.LastPaymentError; e != nil && state.PaymentMethodID == "" && e.PaymentMethod != nil {
		state.PaymentMethodID = e.PaymentMethod.ID
		state.Card = cardOf(e.PaymentMethod)
	}
	if ch := pi.LatestCharge; ch != nil {
		state.ReceiptURL = ch.ReceiptURL
		if d := ch.PaymentMethodDetails; d != nil && d.Card != nil {
			state.Card = &gateway.Card{
				Brand:    string(d.Card.Brand),
				Last4:    d.Card.Last4,
				ExpMonth: int(d.Card.ExpMonth),
				ExpYear:  int(d.Card.ExpYear),
			}
		}
	}
	return state, nil
}

// cardOf is what may be known of a saved card, nil when it is no card.
func cardOf(pm *sdk.PaymentMethod) *gateway.Card {
	if pm == nil || pm.Card == nil {
		return nil
	}
	return &gateway.Card{
		Brand:    string(pm.Card.Brand),
		Last4:    pm.Card.Last4,
		ExpMonth: int(pm.Card.ExpMonth),
		ExpYear:  int(pm.Card.ExpYear),
	}
}
