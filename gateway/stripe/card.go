package stripe

import (
	"context"
	"fmt"
	"strings"

	sdk "github.com/stripe/stripe-go/v76"

	"purser/gateway"
)

// AttachCard saves the card behind a token of the browser (pm_… or tok_…) for
// charges without the payer. 3-D Secure is ActionNeeded with a page when there
// is a ReturnURL, else with the client secret.
func (a *Adapter) AttachCard(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.CardRequest) (res gateway.CardResult) {
	o := a.begin(ctx, acc, c, "card_attach")
	defer o.end(&res.Outcome)
	res.CustomerID = r.Customer.ID
	if !strings.HasPrefix(r.Token, "pm_") && !strings.HasPrefix(r.Token, "tok_") {
		// It may be a card number: it must neither leave nor be repeated.
		res.Outcome = refusal(codeBadRequest, "the token is not one of Stripe's: it begins with pm_ or tok_").Outcome
		return res
	}
	customer, p := o.ensureCustomer(r.Customer)
	res.CustomerID = customer
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	card, p := o.cardOfToken(r.Token)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	setup, p := o.createSetup(customer, func(params *sdk.SetupIntentParams) {
		params.Confirm = sdk.Bool(true)
		params.PaymentMethod = sdk.String(card)
		params.ReturnURL = optional(r.ReturnURL)
		params.AddExpand("payment_method")
	})
	if p != nil {
		res.Outcome = p.Outcome
		if p.err != nil && p.err.SetupIntent != nil {
			res.ReferenceID = p.err.SetupIntent.ID
			if res.Status == gateway.StatusActionNeeded {
				res.NextAction = gateway.NextAction{ClientSecret: p.err.SetupIntent.ClientSecret}
			}
		}
		return res
	}
	if o.replayed {
		id := setup.ID
		if setup, p = o.getSetup(id); p != nil {
			res.Outcome, res.ReferenceID = p.unsettled().Outcome, id
			return res
		}
	}
	res = o.setupResult(res, setup)
	if res.Status != gateway.StatusSucceeded || !r.MakeDefault {
		return res
	}
	o.acted = true
	if _, p := o.setDefault(customer, res.PaymentMethodID); p != nil {
		// The card is saved; asking again finishes it.
		res.Outcome = p.unsettled().Outcome
	}
	return res
}

// cardOfToken turns a token of the older kind into a card.
func (o *operation) cardOfToken(token string) (string, *problem) {
	if strings.HasPrefix(token, "pm_") {
		return token, nil
	}
	const step = "card"
	pm, p := write(o, step, func(p sdk.Params) (*sdk.PaymentMethod, error) {
		return o.c.cards.New(&sdk.PaymentMethodParams{
			Params:   p,
			Type:     sdk.String(string(sdk.PaymentMethodTypeCard)),
			Card:     &sdk.PaymentMethodCardParams{Token: sdk.String(token)},
			Metadata: o.metadata(step),
		})
	})
	if p != nil {
		return "", p
	}
	o.replayed = false // only its id matters
	o.acted = true     // the token is used up
	return pm.ID, nil
}

// createSetup makes a setup of the customer.
func (o *operation) createSetup(customer string, more func(*sdk.SetupIntentParams)) (*sdk.SetupIntent, *problem) {
	const step = "setup"
	return remake(o, step, func() (*sdk.SetupIntent, *problem) {
		return newest[sdk.SetupIntent](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.setups.List(&sdk.SetupIntentListParams{ListParams: l, Customer: sdk.String(customer)}).Iter
		})
	}, func(p sdk.Params) (*sdk.SetupIntent, error) {
		params := &sdk.SetupIntentParams{
			Params:             p,
			Customer:           sdk.String(customer),
			PaymentMethodTypes: sdk.StringSlice([]string{string(sdk.PaymentMethodTypeCard)}),
			Usage:              sdk.String(string(sdk.SetupIntentUsageOffSession)),
			Metadata:           o.metadata(step),
		}
		more(params)
		return o.c.setups.New(params)
	})
}

// SetupCard prepares saving a card: a page of Stripe's that returns to
// ReturnURL, or a client secret for a form of one's own.
func (a *Adapter) SetupCard(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.CardRequest) (res gateway.CardResult) {
	o := a.begin(ctx, acc, c, "card_setup")
	defer o.end(&res.Outcome)
	res.CustomerID = r.Customer.ID
	customer, p := o.ensureCustomer(r.Customer)
	res.CustomerID = customer
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	if r.ReturnURL != "" {
		return o.setupPage(res, customer, r)
	}
	setup, p := o.createSetup(customer, func(*sdk.SetupIntentParams) {})
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	if o.replayed {
		return o.setupAgain(res, setup.ID)
	}
	return o.setupResult(res, setup)
}

func (o *operation) setupPage(res gateway.CardResult, customer string, r gateway.CardRequest) gateway.CardResult {
	const step = "page"
	s, p := create(o, step, func() (*sdk.CheckoutSession, *problem) {
		return newest[sdk.CheckoutSession](o, step, func(l sdk.ListParams) *sdk.Iter {
			return o.c.sessions.List(&sdk.CheckoutSessionListParams{ListParams: l, Customer: sdk.String(customer)}).Iter
		})
	}, func(p sdk.Params) (*sdk.CheckoutSession, error) {
		metadata := o.metadata(step)
		return o.c.sessions.New(&sdk.CheckoutSessionParams{
			Params:             p,
			Mode:               sdk.String(string(sdk.CheckoutSessionModeSetup)),
			Customer:           sdk.String(customer),
			PaymentMethodTypes: sdk.StringSlice([]string{string(sdk.PaymentMethodTypeCard)}),
			SuccessURL:         sdk.String(r.ReturnURL),
			CancelURL:          optional(r.CancelURL),
			SetupIntentData:    &sdk.CheckoutSessionSetupIntentDataParams{Metadata: metadata},
			Metadata:           metadata,
		})
	})
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	if o.replayed {
		return o.setupAgain(res, s.ID)
	}
	return o.setupPageResult(res, s)
}

// FetchSetup reads a setup or its page again. Its outcome is the setup's
// state.
func (a *Adapter) FetchSetup(ctx context.Context, acc gateway.Account, reference string) (res gateway.CardResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "setup_fetch")
	defer o.end(&res.Outcome)
	res.ReferenceID = reference
	if strings.HasPrefix(reference, "cs_") {
		s, p := o.getSession(reference, "setup_intent.payment_method")
		if p != nil {
			res.Outcome = p.Outcome
			return res
		}
		return o.setupPageResult(res, s)
	}
	setup, p := o.getSetup(reference)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	return o.setupResult(res, setup)
}

// setupAgain reads a setup whose known state is old.
func (o *operation) setupAgain(res gateway.CardResult, id string) gateway.CardResult {
	res.ReferenceID = id
	var p *problem
	if strings.HasPrefix(id, "cs_") {
		var s *sdk.CheckoutSession
		if s, p = o.getSession(id, "setup_intent.payment_method"); p == nil {
			return o.setupPageResult(res, s)
		}
	} else {
		var setup *sdk.SetupIntent
		if setup, p = o.getSetup(id); p == nil {
			return o.setupResult(res, setup)
		}
	}
	res.Outcome = p.unsettled().Outcome
	return res
}

func (o *operation) getSetup(id string) (*sdk.SetupIntent, *problem) {
	return read(o, func(p sdk.Params) (*sdk.SetupIntent, error) {
		params := &sdk.SetupIntentParams{Params: p}
		params.AddExpand("payment_method")
		return o.c.setups.Get(id, params)
	})
}

// setupPageResult reports a page on which a card is saved.
func (o *operation) setupPageResult(res gateway.CardResult, s *sdk.CheckoutSession) gateway.CardResult {
	setup := s.SetupIntent
	if setup != nil && setup.Status != "" {
		res = o.setupResult(res, setup)
	}
	res.ReferenceID = s.ID
	if s.Customer != nil {
		res.CustomerID = s.Customer.ID
	}
	switch {
	case res.Status == gateway.StatusSucceeded || res.Status == gateway.StatusUnknown:
	case s.Status == sdk.CheckoutSessionStatusOpen:
		res.Outcome = gateway.Outcome{Status: gateway.StatusActionNeeded, RequestID: o.requestID}
		res.NextAction = gateway.NextAction{RedirectURL: s.URL}
	case s.Status == sdk.CheckoutSessionStatusExpired:
		res.Outcome = gateway.Outcome{
			Status: gateway.StatusDeclined, RequestID: o.requestID,
			Failure: &gateway.Failure{Code: codeExpired, Message: "The page was closed before a card was saved."},
		}
		res.NextAction = gateway.NextAction{}
	case res.Status == "":
		res.Outcome = gateway.Outcome{Status: gateway.StatusProcessing, RequestID: o.requestID}
	}
	return res
}

// setupResult reports a setup.
func (o *operation) setupResult(res gateway.CardResult, s *sdk.SetupIntent) gateway.CardResult {
	res.ReferenceID = s.ID
	if s.Customer != nil {
		res.CustomerID = s.Customer.ID
	}
	if s.PaymentMethod != nil {
		res.PaymentMethodID = s.PaymentMethod.ID
		if card := cardOf(s.PaymentMethod); card != nil {
			res.Card = *card
		}
	}
	res.Outcome = gateway.Outcome{RequestID: o.requestID}
	switch s.Status {
	case sdk.SetupIntentStatusSucceeded:
		res.Status = gateway.StatusSucceeded
	case sdk.SetupIntentStatusProcessing:
		res.Status = gateway.StatusProcessing
	case sdk.SetupIntentStatusCanceled:
		res.Status = gateway.StatusDeclined
		res.Failure = &gateway.Failure{Code: codeCanceled, Message: "Saving the card was canceled."}
	case sdk.SetupIntentStatusRequiresPaymentMethod:
		res.Status = gateway.StatusActionNeeded
		if e := s.LastSetupError; e != nil {
			res.Failure = failureOf(e)
			if !needsAction(e) {
				res.Status = gateway.StatusDeclined
			}
		}
	case sdk.SetupIntentStatusRequiresAction, sdk.SetupIntentStatusRequiresConfirmation:
		res.Status = gateway.StatusActionNeeded
	default:
		res.Outcome = unreadable(o.requestID, fmt.Errorf("setup %s is in the unknown state %q", s.ID, s.Status)).Outcome
	}
	if res.Status == gateway.StatusActionNeeded {
		res.NextAction = gateway.NextAction{ClientSecret: s.ClientSecret}
		if n := s.NextAction; n != nil && n.RedirectToURL != nil && n.RedirectToURL.URL != "" {
			res.NextAction = gateway.NextAction{RedirectURL: n.RedirectToURL.URL}
		}
	}
	return res
}

// SetDefaultCard makes it the card that invoices are charged to.
func (a *Adapter) SetDefaultCard(ctx context.Context, acc gateway.Account, c gateway.Call, customerID, cardID string) (res gateway.CardResult) {
	o := a.begin(ctx, acc, c, "card_default")
	defer o.end(&res.Outcome)
	res.CustomerID, res.PaymentMethodID = customerID, cardID
	o.customer = customerID
	customer, p := o.setDefault(customerID, cardID)
	if p != nil {
		res.Outcome = p.Outcome
		return res
	}
	res.Outcome = o.succeeded()
	if customer.InvoiceSettings != nil {
		if card := cardOf(customer.InvoiceSettings.DefaultPaymentMethod); card != nil {
			res.Card = *card
		}
	}
	return res
}

// setDefault returns the customer with the card expanded.
func (o *operation) setDefault(customerID, cardID string) (*sdk.Customer, *problem) {
	return change(o, "default", func(p sdk.Params) (*sdk.Customer, error) {
		params := &sdk.CustomerParams{
			Params:          p,
			InvoiceSettings: &sdk.CustomerInvoiceSettingsParams{DefaultPaymentMethod: sdk.String(cardID)},
		}
		params.AddExpand("invoice_settings.default_payment_method")
		return o.c.customers.Update(customerID, params)
	})
}

// DetachCard forgets the card. One that belongs to nobody is a success.
func (a *Adapter) DetachCard(ctx context.Context, acc gateway.Account, c gateway.Call, _, cardID string) (res gateway.CardResult) {
	o := a.begin(ctx, acc, c, "card_detach")
	defer o.end(&res.Outcome)
	res.PaymentMethodID = cardID
	_, p := change(o, "detach", func(p sdk.Params) (*sdk.PaymentMethod, error) {
		return o.c.cards.Detach(cardID, &sdk.PaymentMethodDetachParams{Params: p})
	})
	if p != nil && p.worthLooking() {
		pm, rp := read(o, func(p sdk.Params) (*sdk.PaymentMethod, error) {
			return o.c.cards.Get(cardID, &sdk.PaymentMethodParams{Params: p})
		})
		switch {
		case rp == nil && pm.Customer == nil, rp != nil && rp.absent:
			p = nil
		case rp != nil:
			p = p.afterLooking(rp)
		}
	}
	if p != nil && !p.absent {
		res.Outcome = p.Outcome
		return res
	}
	res.Outcome = o.succeeded()
	return res
}

// FetchCard reads a saved card.
func (a *Adapter) FetchCard(ctx context.Context, acc gateway.Account, cardID string) (res gateway.CardResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "card_fetch")
	defer o.end(&res.Outcome)
	res.PaymentMethodID = cardID
	pm, p := read(o, func(p sdk.Params) (*sdk.PaymentMethod, error) {
		return o.c.cards.Get(cardID, &sdk.PaymentMethodParams{Params: p})
	})
	if p != nil && !p.absent {
		res.Outcome = p.Outcome
		return res
	}
	res.Outcome = o.succeeded()
	if p == nil && pm.Customer != nil {
		res.CustomerID = pm.Customer.ID
	}
	if p == nil {
		if card := cardOf(pm); card != nil {
			res.Card = *card
		}
	}
	return res
}
