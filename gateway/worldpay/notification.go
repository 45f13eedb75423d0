package worldpay

import (
	"fmt"
	"strings"

	"purser/gateway"
)

// Acknowledgement is what Worldpay wants to hear. Without it the same
// notification comes again for a week, with the later ones waiting behind it.
func (a *Adapter) Acknowledgement() string { return "[OK]" }

// ParseNotification reads an order notification. It has no id of its own, so it
// is known by what it tells: order, event, day and references. Nothing in it is
// believed but that it is worth asking how the order stands; a card that was
// saved with the payment is told nowhere else.
func (a *Adapter) ParseNotification(raw []byte) (gateway.Event, error) {
	e, err := parseNotification(raw)
	if err != nil {
		return gateway.Event{}, fmt.Errorf("%w: %w", gateway.ErrMalformed, err)
	}
	return e, nil
}

func parseNotification(raw []byte) (gateway.Event, error) {
	var e gateway.Event
	_, notify, err := message(raw, "notify")
	if err != nil {
		return e, err
	}
	event, err := notify.find("orderStatusEvent")
	if err != nil {
		return e, err
	}
	if event == nil {
		return e, fmt.Errorf("it is not about an order")
	}
	journal, err := event.find("journal")
	if err != nil {
		return e, err
	}
	payment, err := event.find("payment")
	if err != nil {
		return e, err
	}
	code := event.attrs["orderCode"]
	if journal == nil || payment == nil || code == "" || len(code) > 64 {
		return e, fmt.Errorf("it names no order, no payment or no event")
	}
	e.Type = clip(journal.attrs["journalType"], 40)
	if e.Type == "" {
		return e, fmt.Errorf("its event has no name")
	}
	e.Object = gateway.Object{Kind: gateway.ObjectPayment, ID: code}
	if e.ID, err = nameOf(code, e.Type, journal, payment); err != nil {
		return e, err
	}
	e.Saved, err = savedCard(event, payment)
	return e, err
}

// nameOf is what tells one event of an order from another.
func nameOf(code, kind string, journal, payment *node) (string, error) {
	amount, err := amountIn(payment)
	if err != nil {
		return "", err
	}
	for _, tx := range journal.all("accountTx") {
		// What was booked, where it is a part of the payment.
		booked, err := tx.find("amount")
		if err != nil {
			return "", err
		}
		if booked == nil {
			continue
		}
		copied := *booked
		copied.attrs = map[string]string{
			"value": booked.attrs["value"], "currencyCode": booked.attrs["currencyCode"], "exponent": booked.attrs["exponent"],
		}
		if amount, err = amountOf(&copied); err != nil {
			return "", err
		}
		break
	}
	day := ""
	if date, err := journal.find("bookingDate", "date"); err != nil {
		return "", err
	} else if date != nil {
		day = date.attrs["year"] + "-" + date.attrs["month"] + "-" + date.attrs["dayOfMonth"]
	}
	parts := []string{code, kind, day, amount.String()}
	for _, ref := range journal.all("journalReference") {
		parts = append(parts, ref.attrs["type"]+"="+ref.attrs["reference"])
	}
	name := strings.Join(parts, ":")
	if len(name) > nameMax {
		return "", fmt.Errorf("it names too much")
	}
	return name, nil
}

// nameMax bounds an event's name.
const nameMax = 500
