package worldpay

import (
	"context"
	"strconv"
	"strings"

	"purser/gateway"
)

// shopperID is the payer's name at Worldpay, to which saved cards belong: at
// most 64 characters, no blanks, and no underscore in front.
func shopperID(c gateway.Customer) string {
	if c.ID != "" {
		return c.ID
	}
	return c.PayerID
}

// DetachCard deletes the token of a card. One that is not there is a success.
func (a *Adapter) DetachCard(ctx context.Context, acc gateway.Account, c gateway.Call, customerID, cardID string) (res gateway.CardResult) {
	o := a.begin(ctx, acc, c, "card_detach")
	defer o.end(&res.Outcome)
	res.CustomerID, res.PaymentMethodID = customerID, cardID
	if customerID == "" || cardID == "" {
		res.Outcome = refusal(codeBadRequest, "a saved card has a shopper and a token").Outcome
		return res
	}
	reply, p := o.ask(el("modify", el("paymentTokenDelete",
		leaf("paymentTokenID", cardID), leaf("authenticatedShopperID", customerID),
	).with("tokenScope", tokenScope)))
	switch {
	case p == nil:
		if done, err := reply.find("ok", "deleteTokenReceived"); err != nil || done == nil {
			res.Outcome = unknown(codeUnreadable, "the payment gateway's answer cannot be read: it does not say that the card is deleted").Outcome
			return res
		}
	case p.number == numberInvalid: // there is no such token
	default:
		res.Outcome = p.Outcome
		return res
	}
	res.Status = gateway.StatusSucceeded
	return res
}

// tokenScope binds a token to its payer: no other one of the merchant's can be
// charged by it.
const tokenScope = "shopper"

// savedCard reads the token that stands beside a payment, nil where none was
// made. payment may be nil; it tells the scheme's id of the payment.
func savedCard(n, payment *node) (*gateway.SavedCard, error) {
	token, err := n.find("token")
	if token == nil || err != nil {
		return nil, err
	}
	saved := new(gateway.SavedCard)
	if saved.CustomerID, err = token.textAt("authenticatedShopperID"); err != nil {
		return nil, err
	}
	if saved.PaymentMethodID, err = token.textAt("tokenDetails", "paymentTokenID"); err != nil {
		return nil, err
	}
	if saved.CustomerID == "" || saved.PaymentMethodID == "" {
		return nil, nil // a token that could not be made is an error in its place
	}
	details, err := token.find("paymentInstrument", "cardDetails")
	if err != nil {
		return nil, err
	}
	if details != nil {
		if saved.Card, err = cardOf(details); err != nil {
			return nil, err
		}
	}
	if payment == nil {
		return saved, nil
	}
	saved.SchemeReference, err = payment.textAt("schemeResponse", "transactionIdentifier")
	return saved, err
}

// cardOf reads what may be known of a card.
func cardOf(details *node) (gateway.Card, error) {
	var c gateway.Card
	brand, err := details.textAt("derived", "cardBrand")
	if err != nil {
		return c, err
	}
	c.Brand = brandOf(brand)
	masked, err := details.textAt("derived", "obfuscatedPAN")
	if err != nil {
		return c, err
	}
	c.Last4 = last4(masked)
	c.ExpMonth, c.ExpYear, err = expiryOf(details)
	return c, err
}

// expiryOf reads the last month of a card, zeros where it is not told.
func expiryOf(details *node) (month, year int, err error) {
	date, err := details.find("expiryDate", "date")
	if date == nil || err != nil {
		return 0, 0, err
	}
	month, err1 := strconv.Atoi(date.attrs["month"])
	year, err2 := strconv.Atoi(date.attrs["year"])
	if err1 != nil || err2 != nil || month < 1 || month > 12 || year < 2000 || year >= 2100 {
		return 0, 0, nil
	}
	return month, year, nil
}

// cardIn reads the card that a payment was made with, nil where it was none.
func cardIn(payment *node) (*gateway.Card, error) {
	masked, err := payment.textAt("cardNumber")
	if err != nil {
		return nil, err
	}
	method, err := payment.textAt("paymentMethod")
	if err != nil {
		return nil, err
	}
	digits := last4(masked)
	if digits == "" {
		return nil, nil
	}
	c := &gateway.Card{Last4: digits, Brand: brandOf(strings.TrimSuffix(method, "-SSL"))}
	details, err := payment.find("cardDetails")
	if details == nil || err != nil {
		return c, err
	}
	c.ExpMonth, c.ExpYear, err = expiryOf(details)
	return c, err
}

// last4 is the end of a masked card number; empty where it is not masked, so
// that no whole number is ever kept.
func last4(masked string) string {
	if len(masked) < 8 || !strings.Contains(masked, "*") {
		return ""
	}
	end := masked[len(masked)-4:]
	for _, r := range end {
		if r < '0' || r > '9' {
			return ""
		}
	}
	return end
}

// brandOf is a card's brand as it is called everywhere: VISA_CREDIT is visa.
func brandOf(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(clip(name, 40)), "_")
	switch name {
	case "ecmc":
		return "mastercard"
	case "diners":
		return "diners_club"
	}
	return name
}
