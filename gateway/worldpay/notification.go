package worldpay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"purser/gateway"
	"purser/money"
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
	whole, err := amountIn(payment)
	if err != nil {
		return e, err
	}
	sum := sha256.Sum256(raw)
	e.ID = code + ":" + e.Type + ":" + hex.EncodeToString(sum[:16])
	if refundStates[e.Type] != "" || disputeStates[e.Type] != "" {
		return e, moneyBack(&e, code, journal, whole)
	}
	e.Saved, err = savedCard(event, payment)
	return e, err
}

// movedAccounts are those that show how much went back, the best first: what is
// settled may be less by a fee.
var movedAccounts = []string{"IN_PROCESS_CAPTURED", "IN_PROCESS_REFUND_PENDING", "REFUND_PENDING", "CAPTURED", "SETTLED_BIBIT_NET"}

// moneyBack reads a notification about a refund or a dispute of an order: the
// amount stands with the account that it moves, and where none is moved it is
// the whole payment's.
func moneyBack(e *gateway.Event, code string, journal *node, whole money.Amount) error {
	told := gateway.Told{Type: e.Type, Amount: whole}
	for _, n := range journal.all("journalReference") {
		if n.attrs["reference"] != "" && n.attrs["type"] == "capture" {
			told.Reference = clip(n.attrs["reference"], 64)
		}
	}
	best := len(movedAccounts)
	for _, n := range journal.all("accountTx") {
		at := slices.Index(movedAccounts, n.attrs["accountType"])
		if at < 0 || at >= best {
			continue
		}
		amount, err := n.find("amount")
		if err != nil || amount == nil {
			return errors.Join(err, errors.New("an account has no amount"))
		}
		moved, err := movedIn(amount)
		if err != nil {
			return err
		}
		if moved.Currency == whole.Currency { // some are kept in the currency of settlement
			told.Amount, best = moved, at
		}
	}
	date, err := journal.find("bookingDate", "date")
	if err != nil {
		return err
	}
	if date != nil {
		day, err := time.Parse("2006-1-2", date.attrs["year"]+"-"+date.attrs["month"]+"-"+date.attrs["dayOfMonth"])
		if err != nil {
			return errors.New("its booking date is none")
		}
		told.Date = day.Format(time.DateOnly)
	}
	e.Told = &told
	e.Object.PaymentID = code
	name := disputeName(code, told)
	e.Object.Kind = gateway.ObjectDispute
	if refundStates[e.Type] != "" {
		e.Object.Kind, name = gateway.ObjectRefund, refundName(told)
	}
	if name != "" {
		e.Object.ID = name
	}
	return nil
}
