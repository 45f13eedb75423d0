package worldpaysandbox

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"purser/sandbox"
)

// posting is one line of a journal entry: an account, and whether the amount
// is credited or debited.
type posting struct{ account, indicator string }

// postings are the accounts that an event moves. Events without any move none.
var postings = map[string][]posting{
	sentForAuthorisation: {{"IN_PROCESS_SENT_FOR_AUTH", "credit"}},
	authorised:           {{"IN_PROCESS_AUTHORISED", "credit"}},
	cancelled:            {{"IN_PROCESS_AUTHORISED", "debit"}},
	expired:              {{"IN_PROCESS_AUTHORISED", "debit"}},
	captured:             {{"IN_PROCESS_AUTHORISED", "debit"}, {"IN_PROCESS_CAPTURED", "credit"}},
	captureFailed:        {{"IN_PROCESS_CAPTURED", "debit"}, {"IN_PROCESS_AUTHORISED", "credit"}},
	settled:              {{"IN_PROCESS_CAPTURED", "debit"}, {"SETTLED_BIBIT_NET", "credit"}},
	settledByMerchant:    {{"IN_PROCESS_CAPTURED", "debit"}, {"SETTLED_BIBIT_NET", "credit"}},
	sentForRefund:        {{"IN_PROCESS_CAPTURED", "debit"}},
	refunded:             {{"IN_PROCESS_CAPTURED", "credit"}, {"SETTLED_BIBIT_NET", "debit"}},
	refundedByMerchant:   {{"IN_PROCESS_CAPTURED", "credit"}, {"SETTLED_BIBIT_NET", "debit"}},
	refundFailed:         {{"IN_PROCESS_CAPTURED", "credit"}},
	chargedBack:          {{"SETTLED_BIBIT_NET", "debit"}},
	chargebackReversed:   {{"SETTLED_BIBIT_NET", "credit"}},
}

// tokenEvents are the events whose notifications carry the token.
var tokenEvents = []string{authorised, refused, cancelled}

// notify queues the notification of an event, if the merchant wants it.
func (t *tx) notify(o *Order, entry Entry) {
	if !t.merchant.wants(entry.Type) {
		return
	}
	journal := el("journal", el("bookingDate", dateEl(entry.At, false))).with("journalType", entry.Type).with("sent", "n")
	for _, p := range postings[entry.Type] {
		tx := el("accountTx", o.Amount.amountEl(entry.Amount, p.indicator)).with("accountType", p.account).with("batchId", "1")
		journal.children = append(journal.children, tx)
	}
	if entry.Reference != "" {
		journal.children = append(journal.children, el("journalReference").with("type", "capture").with("reference", entry.Reference))
	}
	var token *element
	if o.Payment.Token != "" && slices.Contains(tokenEvents, entry.Type) {
		token = t.tokenEl(o)
	}
	event := el("orderStatusEvent", paymentEl(o), token, journal).with("orderCode", o.Code)
	t.emitted = append(t.emitted, emission{order: o.Code, event: entry.Type, body: render(t.merchant.Code, el("notify", event))})
}

// paymentEl is how a payment is written in replies and notifications alike.
func paymentEl(o *Order) *element {
	p := o.Payment
	e := el("payment", textEl("paymentMethod", p.Method), o.Amount.amountEl(o.Amount.Value, "credit"), textEl("lastEvent", p.LastEvent))
	add := func(c *element) { e.children = append(e.children, c) }
	if p.Reference != "" {
		add(textEl("reference", p.Reference))
	}
	if p.AuthorisationID != "" {
		add(el("AuthorisationId").with("id", p.AuthorisationID))
	}
	if p.ReturnCode != "" {
		add(el("ISO8583ReturnCode").with("code", p.ReturnCode).with("description", describeReturnCode(p.ReturnCode)))
	}
	if p.Secure != "" {
		add(el("ThreeDSecureResult").with("description", p.Secure))
	}
	switch {
	case p.Captured > 0:
		add(el("balance", o.Amount.amountEl(p.Captured, "credit")).with("accountType", "IN_PROCESS_CAPTURED"))
	case p.Authorised > 0:
		add(el("balance", o.Amount.amountEl(p.Authorised, "credit")).with("accountType", "IN_PROCESS_AUTHORISED"))
	}
	if p.Card != "" {
		add(textEl("cardNumber", cardByKey(p.Card).obfuscated))
	}
	if p.SchemeID != "" {
		add(el("schemeResponse", textEl("transactionIdentifier", p.SchemeID)))
	}
	return e
}

// The cardholder and the expiry of every stored card: what was typed is not
// kept.
const (
	cardHolder  = "TEST CARDHOLDER"
	expiryMonth = "12"
	expiryYear  = "2049"
)

// tokenEl is how an order's token is written; nil when it is gone.
func (t *tx) tokenEl(o *Order) *element {
	token, err := t.token(o.Payment.Token)
	if err != nil || token == nil {
		t.failed(err)
		return nil
	}
	card := cardByKey(token.Card)
	e := el("token")
	if token.Shopper != "" {
		e.children = append(e.children, textEl("authenticatedShopperID", token.Shopper))
	}
	if o.Save != nil && o.Save.Reference != "" {
		e.children = append(e.children, textEl("tokenEventReference", o.Save.Reference))
	}
	details := el("tokenDetails",
		textEl("paymentTokenID", token.ID), el("paymentTokenExpiry", dateEl(token.Until, false)), textEl("tokenReason", token.Reason),
	).with("tokenEvent", o.Payment.TokenEvent)
	instrument := el("paymentInstrument", el("cardDetails",
		el("expiryDate", el("date").with("month", expiryMonth).with("year", expiryYear)),
		textEl("cardHolderName", cardHolder),
		el("derived", textEl("cardBrand", card.brand), textEl("cardSubBrand", card.subBrand), textEl("issuerCountryCode", "N/A"), textEl("obfuscatedPAN", card.obfuscated)),
	))
	e.children = append(e.children, details, instrument)
	return e
}

// acknowledged says whether a merchant has taken a notification.
func acknowledged(status int, body []byte) bool {
	return status == http.StatusOK && string(bytes.TrimSpace(body)) == "[OK]"
}

// prepareDelivery builds one attempt to deliver a notification, to where the
// merchant wants it now.
func (s *Server) prepareDelivery(ctx context.Context, d sandbox.Delivery) (*http.Request, error) {
	m, err := s.merchantWhere(ctx, "code", d.Account)
	if err != nil || m == nil || m.NotificationURL == "" {
		return nil, err
	}
	var body string
	err = s.db.QueryRowContext(ctx, `SELECT body FROM notifications WHERE merchant = ? AND id = ?`, d.Account, d.Reference).Scan(&body)
	if err != nil {
		return nil, fmt.Errorf("read notification %s: %w", d.Reference, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.NotificationURL, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, fmt.Errorf("address notification %s: %w", d.Reference, err)
	}
	request.Header.Set("Content-Type", "text/xml; charset=utf-8")
	request.Header.Set("User-Agent", "Worldpay (sandbox)")
	return request, nil
}

// ResendNotification delivers a notification of a merchant once more, by the
// reference that Deliveries shows. It fails when there is no such notification.
func (s *Server) ResendNotification(ctx context.Context, merchant, reference string) error {
	id, err := strconv.ParseInt(reference, 10, 64)
	if err != nil {
		return errUnknownNotification
	}
	err = s.db.InTx(ctx, func(tx *sql.Tx) error {
		var kind string
		err := tx.QueryRowContext(ctx, `SELECT type FROM notifications WHERE merchant = ? AND id = ?`, merchant, id).Scan(&kind)
		if errors.Is(err, sql.ErrNoRows) {
			return errUnknownNotification
		}
		if err != nil {
			return fmt.Errorf("read notification %d: %w", id, err)
		}
		return s.queue.Enqueue(ctx, tx, merchant, merchant, reference, kind)
	})
	if err == nil {
		s.queue.Wake()
	}
	return err
}

var errUnknownNotification = errors.New("there is no such notification")
