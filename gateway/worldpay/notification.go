package worldpay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"purser/gateway"
)

// Acknowledgement is what Worldpay wants to hear. Without it the same
// notification comes again for a week, with the later ones waiting behind it.
func (a *Adapter) Acknowledgement() string { return "[OK]" }

// ParseNotification reads an order notification. It has no id of its own, so it
// is known by all that it says: one that somebody has made up must not pass for
// the real one, which would not be looked at then. Nothing in it is believed but
// that it is worth asking how the order stands; a card that was saved with the
// payment is told nowhere else.
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
		return e, errors.New("it is not about an order")
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
		return e, errors.New("it names no order, no payment or no event")
	}
	e.Type = clip(journal.attrs["journalType"], 40)
	if e.Type == "" {
		return e, errors.New("its event has no name")
	}
	e.Object = gateway.Object{Kind: gateway.ObjectPayment, ID: code}
	if _, err := amountIn(payment); err != nil {
		return e, err
	}
	sum := sha256.Sum256(raw)
	e.ID = code + ":" + e.Type + ":" + hex.EncodeToString(sum[:16])
	e.Saved, err = savedCard(event, payment)
	return e, err
}
