package worldpay

import (
	"context"
	"errors"
	"net/url"

	"purser/gateway"
)

// Bounds of what an order carries.
const (
	descriptionMax = 50
	contentMax     = 1000
	urlMax         = 1024
)

// StartHostedPayment makes an order on whose page the payer pays. The page is
// ActionNeeded with its address, to which the addresses to come back to are
// added. Worldpay tells the address once: where it is lost, and nobody can have
// paid on a page that nobody knows, the call ends as one that did nothing.
func (a *Adapter) StartHostedPayment(ctx context.Context, acc gateway.Account, c gateway.Call, r gateway.HostedPaymentRequest) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, c, "hosted_start")
	defer o.end(&res.Outcome)
	code := orderCode(c.ID)
	res.ReferenceID, res.CustomerID = code, shopperID(r.Customer)
	message, p := o.hostedOrder(code, r)
	if p == nil && o.late() {
		return o.tooLate(res, code)
	}
	var reply *node
	if p == nil {
		reply, p = o.ask(el("submit", message))
	}
	var status *node
	if p == nil {
		status, p = order(reply, code)
	}
	if p != nil {
		return o.afterRefusal(res, p, code, codePageLost, "the payment page was made, but its address never arrived: start another payment")
	}
	page, err := pageOf(status, r)
	if err != nil {
		res.Outcome = unreadable(err).Outcome
		return res
	}
	res.Status = gateway.StatusActionNeeded
	res.Payment.Status = gateway.StatusActionNeeded
	res.NextAction.RedirectURL = page
	return res
}

// hostedOrder writes the order.
func (o *operation) hostedOrder(code string, r gateway.HostedPaymentRequest) (*element, *problem) {
	if o.refused != nil {
		return nil, o.refused
	}
	if o.call.ID == "" {
		return nil, refusal(codeBadRequest, "the call has no id")
	}
	if o.account.InstallationID == "" {
		return nil, refusal(codeBadRequest, "the provider has no installation id, without which Worldpay shows no page")
	}
	amount, err := amountElement(r.Amount)
	if err != nil {
		return nil, refusal(codeBadRequest, err.Error())
	}
	if err := checkAddresses(r); err != nil {
		return nil, refusal(codeBadRequest, err.Error())
	}
	include := el("include").with("code", "ALL")
	mask := el("paymentMethodMask", include)
	var token *element
	if r.SaveCard {
		mask = el("paymentMethodMask", el("storedCredentials").with("usage", "FIRST"), include)
		token = el("createToken", leaf("tokenEventReference", code), leaf("tokenReason", "Later payments")).with("tokenScope", tokenScope)
	}
	message := el("order",
		leaf("description", clip(named(r.Description), descriptionMax)),
		amount,
		leaf("orderContent", clip(named(r.Description), contentMax)),
		mask,
		el("shopper", optional("shopperEmailAddress", r.Customer.Email), leaf("authenticatedShopperID", shopperID(r.Customer))),
		billingAddress(r.Customer.Address),
		token,
	)
	return message.with("orderCode", code).with("installationId", o.account.InstallationID).with("captureDelay", "0"), nil
}

// named is a description, which no order may lack.
func named(description string) string {
	if description == "" {
		return "Payment"
	}
	return description
}

// billingAddress writes an address, which Worldpay takes with a country only.
func billingAddress(a gateway.Address) *element {
	if a.Country == "" {
		return nil
	}
	return el("billingAddress", el("address",
		optional("address1", a.Line1), optional("address2", a.Line2),
		leaf("postalCode", a.PostalCode), optional("city", a.City), optional("state", a.State),
		leaf("countryCode", a.Country),
	))
}

// returnAddresses are the addresses to come back to, by the names that
// Worldpay has for them. What is not given leads where the payment is asked
// for, whatever became of it.
func returnAddresses(r gateway.HostedPaymentRequest) [][2]string {
	or := func(address string) string {
		if address == "" {
			return r.SuccessURL
		}
		return address
	}
	return [][2]string{
		{"successURL", r.SuccessURL},
		{"pendingURL", or(r.PendingURL)},
		{"failureURL", or(r.FailureURL)},
		{"cancelURL", or(r.CancelURL)},
		{"errorURL", or(r.ErrorURL)},
	}
}

func checkAddresses(r gateway.HostedPaymentRequest) error {
	if r.SuccessURL == "" {
		return errors.New("there is no address to come back to")
	}
	for _, a := range returnAddresses(r) {
		if len(a[1]) > urlMax {
			return errors.New("an address to come back to is longer than 1024 characters")
		}
	}
	return nil
}

// pageOf takes the page's address out of an order's status and adds the
// addresses to come back to; what stands in it stays as it is.
func pageOf(status *node, r gateway.HostedPaymentRequest) (string, error) {
	text, err := status.textAt("reference")
	if err != nil {
		return "", err
	}
	page, err := url.Parse(text)
	if err != nil || page.Host == "" || page.User != nil || (page.Scheme != "https" && page.Scheme != "http") {
		return "", errors.New("it holds no address of a payment page")
	}
	query := page.RawQuery
	for _, a := range returnAddresses(r) {
		if query != "" {
			query += "&"
		}
		query += a[0] + "=" + url.QueryEscape(a[1])
	}
	page.RawQuery = query
	return page.String(), nil
}

// afterRefusal finds out what an order that was refused stands for. An order
// code that was used before may be an earlier try of the same call, which may
// have been paid; while "no payment" proves nothing, its end is not known.
func (o *operation) afterRefusal(res gateway.PaymentResult, p *problem, code, lost, message string) gateway.PaymentResult {
	if p.number != numberInvalid {
		res.Outcome = p.Outcome
		return res
	}
	status, look := o.inquire(code)
	switch {
	case look == nil:
		return settled(res, status, code)
	case !look.absent():
		res.Outcome = unknown(look.Failure.Code, look.Failure.Message).Outcome
	case p.duplicate && o.provesAbsence():
		res.Outcome = never(lost, message)
	case p.duplicate || !o.first() && !o.provesAbsence():
		res.Outcome = unknown(codeNoPayment, "Worldpay has the order, but no payment for it yet").Outcome
	default:
		// It refuses the order itself, whoever sends it.
		res.Outcome = p.Outcome
	}
	return res
}

// never is the outcome of a call of which surely nothing came or ever will.
func never(code, message string) gateway.Outcome {
	return gateway.Outcome{
		Status: gateway.StatusUnavailable, Never: true, Failure: &gateway.Failure{Code: code, Message: message},
	}
}

// tooLate reports what became of an order that is too old to be sent.
func (o *operation) tooLate(res gateway.PaymentResult, code string) gateway.PaymentResult {
	status, p := o.inquire(code)
	switch {
	case p == nil:
		return settled(res, status, code)
	case p.absent():
		res.Outcome = never(codeExpired, "the payment was never made")
	default:
		res.Outcome = unknown(p.Failure.Code, p.Failure.Message).Outcome
	}
	return res
}

// FetchHostedPayment reads the payment behind a page. Nobody has paid yet, as
// far as Worldpay knows, is ActionNeeded: how long a page stays open is not
// told, and its address only once.
func (a *Adapter) FetchHostedPayment(ctx context.Context, acc gateway.Account, referenceID string) (res gateway.PaymentResult) {
	o := a.begin(ctx, acc, gateway.Call{}, "hosted_fetch")
	defer o.end(&res.Outcome)
	res.ReferenceID = referenceID
	status, p := o.inquire(referenceID)
	switch {
	case p == nil:
		return settled(res, status, referenceID)
	case p.absent():
		res.Status = gateway.StatusActionNeeded
		res.Payment.Status = gateway.StatusActionNeeded
		res.Failure = p.Failure
	default:
		res.Outcome = p.Outcome
	}
	return res
}
