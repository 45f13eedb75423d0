package stripe

import (
	"context"
	"time"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// Stripe takes pages that close between half an hour and a day from now; the
// margins are for the way there.
const (
	pageMin = 31 * time.Minute
	pageMax = 24*time.Hour - time.Minute
)

// StartHostedPayment makes a page on which the payer pays. A page that is open
// is ActionNeeded with its address; asked again, the outcome is what became of
// it. The page's closing time is moved into the span that Stripe takes, counted
// from Call.StartedAt so that asking again says the same.
func (a *Adapter) StartHostedPayment(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.HostedPaymentRequest) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, c, "hosted_start")
	defer o.end(&res.Outcome)
	res.CustomerID = r.Customer.ID
	amount, err := toWire(r.Amount)
	if err != nil {
		res.Outcome = refusal(codeBadRequest, err.Error()).Outcome
		return res
	}
	customer, p := o.ensureCustomer(r.Customer)
	res.CustomerID = customer
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	const step = "page"
	find := func() (*sdk.CheckoutSession, *problem) {
		return newest[sdk.CheckoutSession](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.sessions.List(&sdk.CheckoutSessionListParams{ListParams: l, Customer: sdk.String(customer)}).Iter
		})
	}
	if o.refused == nil && o.stale() {
		return o.lateHosted(res, find)
	}
	s, p := create(o, step, find, func(p sdk.Params) (*sdk.CheckoutSession, error) {
		metadata := o.metadata(step)
		metadata[metaOrder] = r.OrderCode
		payment := &sdk.CheckoutSessionPaymentIntentDataParams{
			Description: optional(clip(r.Description, descriptionMax)),
			Metadata:    metadata,
		}
		if r.SaveCard {
			payment.SetupFutureUsage = sdk.String(string(sdk.PaymentIntentSetupFutureUsageOffSession))
		}
		name := r.Description
		if name == "" {
			name = "Payment"
		}
		params := &sdk.CheckoutSessionParams{
			Params:            p,
			Mode:              sdk.String(string(sdk.CheckoutSessionModePayment)),
			Customer:          sdk.String(customer),
			ClientReferenceID: optional(r.OrderCode),
			SuccessURL:        sdk.String(r.SuccessURL),
			CancelURL:         optional(r.CancelURL),
			LineItems: []*sdk.CheckoutSessionLineItemParams{{
				PriceData: &sdk.CheckoutSessionLineItemPriceDataParams{
					Currency:    wireCurrency(r.Amount.Currency),
					ProductData: &sdk.CheckoutSessionLineItemPriceDataProductDataParams{Name: sdk.String(clip(name, 250))},
					UnitAmount:  sdk.Int64(amount),
				},
				Quantity: sdk.Int64(1),
			}},
			PaymentIntentData: payment,
			Metadata:          metadata,
		}
		if !r.ExpiresAt.IsZero() {
			params.ExpiresAt = sdk.Int64(o.pageEnd(r.ExpiresAt).Unix())
		}
		return o.c.sessions.New(params)
	})
	if p != nil && p.undone {
		res.Outcome = o.never("the payment page was never made")
		return res
	}
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	if o.replayed {
		return o.hostedAgain(res, s.ID)
	}
	return o.hostedResult(res, s)
}

// pageEnd moves a closing time into the span that Stripe takes.
func (o *operation) pageEnd(at time.Time) time.Time {
	from := o.call.StartedAt
	if from.IsZero() {
		from = o.start
	}
	if first := from.Add(pageMin); at.Before(first) {
		return first
	}
	if last := from.Add(pageMax); at.After(last) {
		return last
	}
	return at
}

// lateHosted reports what became of a page made so long ago that its key may
// be forgotten.
func (o *operation) lateHosted(res gateway.PaymentResult, find finder[sdk.CheckoutSession]) gateway.PaymentResult {
	s, p := find()
	switch {
	case p != nil:
		res.Outcome = p.unsettled().Outcome
		return res
	case s != nil:
		return o.hostedAgain(res, s.ID)
	}
	res.Outcome = o.never("the payment page was never made")
	return res
}

func (o *operation) hostedAgain(res gateway.PaymentResult, id string) gateway.PaymentResult {
	s, p := o.getSession(id, "payment_intent.latest_charge")
	if p != nil {
		res.Outcome, res.ReferenceID = p.unsettled().Outcome, id
		return res
	}
	return o.hostedResult(res, s)
}

// FetchHostedPayment reads the page's state and the payment behind it.
func (a *Adapter) FetchHostedPayment(ctx context.Context, acc gateway.Account, referenceID string) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "hosted_fetch")
	defer o.end(&res.Outcome)
	res.ReferenceID = referenceID
	s, p := o.getSession(referenceID, "payment_intent.latest_charge")
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	return o.hostedResult(res, s)
}

func (o *operation) getSession(id string, expand ...string) (*sdk.CheckoutSession, *problem) {
	return read(o, func(p sdk.Params) (*sdk.CheckoutSession, error) {
		params := &sdk.CheckoutSessionParams{Params: p}
		for _, path := range expand {
			params.AddExpand(path)
		}
		return o.c.sessions.Get(id, params)
	})
}

// hostedResult reports a page. While it is open the payer may try again, so a
// declined card there is not the end: the failure stands beside ActionNeeded.
func (o *operation) hostedResult(res gateway.PaymentResult, s *sdk.CheckoutSession) gateway.PaymentResult {
	res.ReferenceID = s.ID
	if s.Customer != nil {
		res.CustomerID = s.Customer.ID
	}
	res.Payment = gateway.PaymentState{}
	if s.PaymentIntent != nil && s.PaymentIntent.Status != "" {
		state, err := paymentState(s.PaymentIntent)
		if err != nil {
			res.Outcome = unreadable(o.requestID, err).Outcome
			return res
		}
		res.Payment = state
	} else if s.PaymentIntent != nil {
		res.Payment.GatewayPaymentID = s.PaymentIntent.ID
	}
	switch {
	case res.Payment.Status == gateway.StatusSucceeded, res.Payment.Status == gateway.StatusProcessing:
	case s.Status == sdk.CheckoutSessionStatusOpen:
		res.Payment.Status = gateway.StatusActionNeeded
		res.Payment.Canceled = false
		res.NextAction = gateway.NextAction{RedirectURL: s.URL}
		if s.ExpiresAt != 0 {
			res.NextAction.ExpiresAt = time.Unix(s.ExpiresAt, 0).UTC()
		}
	case s.Status == sdk.CheckoutSessionStatusExpired:
		res.Payment.Status, res.Payment.Canceled = "", true
		res.Outcome = o.outcomeOf(res.Payment)
		res.Failure = &gateway.Failure{Code: codeExpired, Message: "The payment page was closed before a payment."}
		return res
	case res.Payment.Status == "" && !res.Payment.Canceled:
		// Complete without a payment that could be seen: it is on its way.
		res.Payment.Status = gateway.StatusProcessing
	}
	res.Outcome = o.outcomeOf(res.Payment)
	return res
}
