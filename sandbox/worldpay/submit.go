package worldpaysandbox

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const orderCodeMax = 64

var (
	shopperIDForm      = regexp.MustCompile(`^[^\s_][^\s]{0,63}$`)
	eventReferenceForm = regexp.MustCompile(`^[A-Za-z0-9_]{0,64}$`)
)

const (
	tokenReasonMax = 255
	tokenYears     = 4
)

// submit takes an order.
func (t *tx) submit(order *element) (*element, error) {
	if order.name != "order" {
		return nil, notEmulated(order)
	}
	code := order.attr("orderCode")
	if code == "" || utf8.RuneCountInString(code) > orderCodeMax || strings.ContainsAny(code, " \t\r\n\"'<>|") {
		return nil, refuse(codeInvalid, "Invalid order code: it has 1 to %d characters, none of them a space, a quote, <, > or |.", orderCodeMax)
	}
	said, err := t.newOrder(code, order)
	return said, about(code, err)
}

// about puts a refusal into the status of the order that it is about.
func about(code string, err error) error {
	var refused *serviceError
	if errors.As(err, &refused) {
		return &serviceError{code: refused.code, text: refused.text, order: code}
	}
	return err
}

func notEmulated(e *element) error {
	return refuse(codeInvalid, "%s exists at the service, but this sandbox does not emulate it.", e.name)
}

func (t *tx) newOrder(code string, order *element) (*element, error) {
	former, err := t.order(code)
	if err != nil {
		return nil, err
	}
	if former != nil {
		return nil, refuse(codeInvalid, "Duplicate Order")
	}
	if order.child("payAsOrder") != nil || order.child("info3DSecure") != nil {
		return nil, notEmulated(order.first())
	}
	o := &Order{
		Code: code, Description: order.content("description"), CaptureDelay: order.attr("captureDelay"), CreatedAt: t.now, Journal: []Entry{},
		Shopper: order.content("shopper", "authenticatedShopperID"),
	}
	if o.CaptureDelay == "" {
		o.CaptureDelay = captureDefault
	}
	if o.CaptureDelay != captureDefault && !captureDelayForm.MatchString(o.CaptureDelay) {
		return nil, refuse(codeInvalid, "Invalid captureDelay")
	}
	if o.Amount, err = readAmount(order.child("amount")); err != nil {
		return nil, err
	}
	if o.Shopper != "" && !shopperIDForm.MatchString(o.Shopper) {
		return nil, refuse(codeInvalid, "Invalid authenticatedShopperID: it has 1 to 64 characters, no blanks, and does not begin with an underscore.")
	}
	if o.Save, err = t.readSave(o.Shopper, order.child("createToken")); err != nil {
		return nil, err
	}
	if mask := order.child("paymentMethodMask"); mask != nil {
		return t.hostedOrder(o, order, mask)
	}
	return t.directOrder(o, order.child("paymentDetails"))
}

// readSave reads what an order says about the token it wants.
func (t *tx) readSave(shopper string, create *element) (*Save, error) {
	if create == nil {
		return nil, nil
	}
	save := &Save{
		Scope: create.attr("tokenScope"), Reference: create.content("tokenEventReference"), Reason: create.content("tokenReason"),
		Until: moment(t.now.utc().AddDate(tokenYears, 0, 0).Unix()),
	}
	if save.Scope == "" {
		save.Scope = "shopper"
	}
	switch {
	case create.attr("tokenOptIn") == "ask":
		return nil, refuse(codeInvalid, "tokenOptIn ask exists at the service, but this sandbox does not emulate it.")
	case save.Scope == "shopper" && shopper == "":
		return nil, refuse(codeInvalid, "A token of a shopper needs the authenticatedShopperID.")
	case save.Scope == "merchant" && shopper != "":
		return nil, refuse(codeInvalid, "A token of the merchant has no authenticatedShopperID.")
	case !eventReferenceForm.MatchString(save.Reference):
		return nil, refuse(codeInvalid, "Invalid tokenEventReference: it has up to 64 letters, digits and underscores.")
	case utf8.RuneCountInString(save.Reason) > tokenReasonMax:
		return nil, refuse(codeInvalid, "Invalid tokenReason: it has up to %d characters.", tokenReasonMax)
	}
	if date := create.child("paymentTokenExpiry", "date"); date != nil {
		until, err := time.Parse("2006-1-2", date.attr("year")+"-"+date.attr("month")+"-"+date.attr("dayOfMonth"))
		if err != nil || moment(until.Unix()) <= t.now || moment(until.Unix()) > save.Until {
			return nil, refuse(codeInvalid, "Invalid paymentTokenExpiry: it is at most %d years ahead.", tokenYears)
		}
		save.Until = moment(until.Unix())
	}
	return save, nil
}

const ticketLength = 40

// hostedOrder answers with the address of the hosted page.
func (t *tx) hostedOrder(o *Order, order, mask *element) (*element, error) {
	installation := order.attr("installationId")
	switch {
	case installation == "":
		return nil, refuse(codeInvalid, "Order for the hosted payment pages without an installationId.")
	case t.merchant.InstallationID != "" && installation != t.merchant.InstallationID:
		return nil, refuse(codeInvalid, "Invalid installationId")
	}
	stored := mask.child("storedCredentials")
	if stored.attr("usage") == "USED" {
		return nil, refuse(codeInvalid, "A stored card is used by a direct order with its token.")
	}
	o.Hosted, o.StoredFirst, o.Methods, o.ReferenceID = true, stored.attr("usage") == "FIRST", methods(mask), t.digits(10)
	if len(o.Methods) == 0 {
		return nil, refuse(codeInvalid, "None of the payment methods is available.")
	}
	ticket := t.random(ticketLength)
	t.insert(o, ticket)
	reference := textEl("reference", t.srv.link(pagePath)+"?OrderKey="+escaped(t.merchant.Code+"^"+o.Code)+"&Ticket="+ticket).with("id", o.ReferenceID)
	return el("orderStatus", reference).with("orderCode", o.Code), nil
}

// methods are the payment methods of the test cards that a mask lets through.
func methods(mask *element) []string {
	var all []string
	for _, card := range testCards {
		in := func(name string) bool {
			return slices.ContainsFunc(mask.children, func(e *element) bool {
				code := e.attr("code")
				return e.name == name && (code == card.method || name == "include" && slices.Contains([]string{"ALL", "ONLINE", "CARD-SSL"}, code))
			})
		}
		if in("include") && !in("exclude") {
			all = append(all, card.method)
		}
	}
	return all
}

// directOrder pays at once, with a token or a test card.
func (t *tx) directOrder(o *Order, details *element) (*element, error) {
	if t.merchant.OmitDirect {
		return nil, refuse(codeSecurity, "Security violation")
	}
	if action := details.attr("action"); action != "" && action != "AUTHORISE" {
		return nil, refuse(codeInvalid, "The action %s exists at the service, but this sandbox does not emulate it.", action)
	}
	stored := details.child("storedCredentials")
	o.StoredFirst, o.Reason = stored.attr("usage") == "FIRST", stored.attr("merchantInitiatedReason")
	var a attempt
	var err error
	if token := details.child("TOKEN-SSL"); token != nil {
		a, err = t.tokenAttempt(o, token, stored)
	} else {
		a, err = cardAttempt(details.first(), t.now)
	}
	if err != nil {
		return nil, err
	}
	if err := t.pay(o, a); err != nil {
		return nil, err
	}
	t.insert(o, "")
	var token *element
	if o.Payment.Token != "" {
		token = t.tokenEl(o)
	}
	return el("orderStatus", paymentEl(o), token).with("orderCode", o.Code), nil
}

// tokenAttempt finds the token that an order pays with.
func (t *tx) tokenAttempt(o *Order, details, stored *element) (attempt, error) {
	token, err := t.token(details.content("paymentTokenID"))
	scope := details.attr("tokenScope")
	if scope == "" {
		scope = "shopper"
	}
	switch {
	case err != nil:
		return attempt{}, err
	case token == nil || token.Deleted || token.Scope != scope || token.Shopper != o.Shopper:
		return attempt{}, refuse(codeDetails, "Token does not exist")
	case token.Until <= t.now:
		return attempt{}, refuse(codeDetails, "Token has expired")
	case o.Save != nil:
		return attempt{}, refuse(codeInvalid, "An order that pays with a token makes none.")
	}
	if id := stored.content("schemeTransactionIdentifier"); id != "" && id != token.SchemeID {
		return attempt{}, refuse(codeDetails, "Invalid schemeTransactionIdentifier")
	}
	if stored != nil && stored.attr("usage") == "USED" && stored.attr("merchantInitiatedReason") == "" {
		return attempt{}, refuse(codeDetails, "A stored card that is used without its holder needs a merchantInitiatedReason.")
	}
	return attempt{card: cardByKey(token.Card), outcome: token.Outcome, token: token}, nil
}

// cardAttempt reads the card of a direct order. Which test card it was, and
// the outcome that its holder's name stands for, is all that leaves here.
func cardAttempt(details *element, now moment) (attempt, error) {
	card, known := cardByNumber(details.content("cardNumber"))
	date := details.child("expiryDate", "date")
	month, err := strconv.Atoi(date.attr("month"))
	year, yearErr := strconv.Atoi(date.attr("year"))
	outcome, later := outcomeByName(details.content("cardHolderName"))
	switch {
	case !known:
		return attempt{}, refuse(codeDetails, "Invalid payment details : Card number : the sandbox takes test cards only")
	case details.name != "CARD-SSL" && details.name != card.method:
		return attempt{}, refuse(codeDetails, "Invalid payment details : Card number does not fit the payment method")
	case err != nil || yearErr != nil || !futureMonth(month, year, now):
		return attempt{}, refuse(codeDetails, "Invalid payment details : Expiry date")
	case outcome == outcomeChallenge:
		return attempt{}, refuse(codeInvalid, "3-D Secure of direct orders exists at the service, but this sandbox does not emulate it.")
	}
	return attempt{card: card, outcome: outcome, later: later}, nil
}

// futureMonth reports whether a card that is good until the end of the month
// is good now.
func futureMonth(month, year int, now moment) bool {
	return month >= 1 && month <= 12 && year >= 1000 && now.utc().Before(time.Date(year, time.Month(month)+1, 1, 0, 0, 0, 0, time.UTC))
}
