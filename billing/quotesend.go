package billing

import (
	"context"

	"purser/ent"
	"purser/mail"
)

// SendQuote has an open quote mailed to its payer. Called again it is sent
// again.
//
// Codes: NOT_FOUND, INVALID_STATE, EXPIRED.
func (s *Service) SendQuote(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		q, err := tx.acceptableQuote(ctx, id)
		if err != nil {
			return err
		}
		sent, err := tx.sendQuote(ctx, q)
		if err != nil {
			return err
		}
		if !sent {
			return refuse(CodeInvalidState, "id", "the payer has no e-mail address: set its billingEmail, or give it the link acceptUrl")
		}
		return tx.audit(ctx, "quote.send", id, nil)
	})
}

// sendQuote has an open quote mailed to its payer; false where there is no
// address to send it to.
func (tx *Tx) sendQuote(ctx context.Context, q *ent.Quote) (bool, error) {
	p, err := tx.payer(ctx, orEmpty(q.PayerID), "id")
	if err != nil {
		return false, err
	}
	if recipientOf(p).Email == "" {
		return false, nil
	}
	return true, tx.queueMail(ctx, mail.QuoteSent, p.ID, mailFacts{QuoteID: q.ID})
}
