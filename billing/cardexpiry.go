package billing

import (
	"context"
	"fmt"
	"time"

	"purser/ent"
	"purser/ent/paymentmethod"
	"purser/gateway"
)

// expiryNoticeDays is how many days before the end of its last month the payer
// of a saved card is told.
const expiryNoticeDays = 10

// expiryNotice is when the payer is told that a card ends; nil for one that has
// ended, or of which the gateway does not tell.
func expiryNotice(year, month int, now time.Time) *time.Time {
	end := time.Date(year, time.Month(month)+1, 1, 0, 0, 0, 0, time.UTC)
	if year == 0 || month == 0 || !end.After(now) {
		return nil
	}
	at := end.AddDate(0, 0, -expiryNoticeDays)
	if at.Before(now) {
		at = now
	}
	return &at
}

// CardsThatExpire lists saved cards of the viewer's organization whose payers
// are to be told that they end.
func (s *Service) CardsThatExpire(ctx context.Context, limit int) ([]string, error) {
	ids, err := s.read.PaymentMethod.Query().Where(cardExpires(s.now(ctx))).
		Order(ent.Asc(paymentmethod.FieldExpiryNoticeAt)).Limit(limit).IDs(ctx)
	return ids, wrapped(err, "list cards that expire")
}

// TellCardExpires tells a payer that a saved card ends, once.
func (s *Service) TellCardExpires(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		m, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(id), cardExpires(tx.Now)).Only(ctx)
		if ent.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read card %s: %w", id, err)
		}
		n, err := tx.PaymentMethod.Update().Where(paymentmethod.ID(id), cardExpires(tx.Now)).ClearExpiryNoticeAt().Save(ctx)
		if err := cas(n, err); err != nil {
			return fmt.Errorf("tell that card %s expires: %w", id, err)
		}
		if m.Status != paymentmethod.StatusACTIVE {
			return nil
		}
		return tx.tellCardExpires(ctx, m)
	})
}

// ApplyCardUpdate brings a saved card to what the gateway says of it: banks
// replace cards and tell the gateways, and at the gateway's own pages a card
// may be taken from its payer. It may be called any number of times.
func (s *Service) ApplyCardUpdate(ctx context.Context, id string, r gateway.CardResult) error {
	if r.Status != gateway.StatusSucceeded {
		return nil
	}
	return s.finishTx(ctx, func(ctx context.Context, tx *Tx) error {
		m, err := tx.PaymentMethod.Query().Where(paymentmethod.ID(id)).Unique(false).Modify(tx.forUpdate).Only(ctx)
		if err != nil {
			return fmt.Errorf("read card %s: %w", id, err)
		}
		if m.Status != paymentmethod.StatusACTIVE || r.PaymentMethodID != orEmpty(m.GatewayID) {
			return nil
		}
		u := tx.PaymentMethod.Update().Where(paymentmethod.ID(id), paymentmethod.StatusEQ(m.Status)).SetUpdatedAt(tx.Now)
		if r.CustomerID == "" {
			return cas(u.SetStatus(paymentmethod.StatusDETACHED).SetIsDefault(false).ClearExpiryNoticeAt().Save(ctx))
		}
		known := gateway.Card{Brand: m.Brand, Last4: m.Last4, ExpMonth: m.ExpMonth, ExpYear: m.ExpYear}
		if r.CustomerID != orEmpty(m.GatewayCustomerID) || r.Card == known {
			return nil
		}
		u.SetBrand(r.Card.Brand).SetLast4(r.Card.Last4).SetExpMonth(r.Card.ExpMonth).SetExpYear(r.Card.ExpYear)
		setOrClear(expiryNotice(r.Card.ExpYear, r.Card.ExpMonth, tx.Now), u.SetExpiryNoticeAt, u.ClearExpiryNoticeAt)
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("update card %s: %w", id, err)
		}
		if !m.IsDefault {
			return nil
		}
		// The bank's new card may do what the one before could not.
		if err := tx.retryCharges(ctx, m.PayerID, m.ID); err != nil {
			return err
		}
		return tx.retryReloads(ctx, m.PayerID, m.ID)
	})
}
