package billing

import (
	"context"

	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/price"
	"purser/money"
)

// Reload is money for a balance that was paid elsewhere, or points that were
// given.
type Reload struct {
	PayerID   string
	Amount    money.Amount // whole minor units; a virtual currency's in full precision
	Reference *string      // what the payment is called where it was made
	// What the payment is called by the provider, in one's own books, and at
	// the gateway behind the provider.
	ProviderTxID       *string `json:",omitempty"`
	TxReference        *string `json:",omitempty"`
	GatewayTxReference *string `json:",omitempty"`
	// PriceID is what it is to pay for, in whose currency it must be.
	PriceID string  `json:",omitempty"`
	Key     *string `json:"-"`
}

// referenceMax bounds the reference of a reload.
const referenceMax = 200

// ReloadBalance adds to a payer's balance by hand: one entry from the bank to
// the balance, with no gateway involved. The balance is made when there is
// none yet. A suspended payer may be reloaded, a closed one not. Called again
// with the same key and input it returns the same entry.
//
// Codes: REQUIRED (key), INVALID, NOT_FOUND, INVALID_STATE,
// CURRENCY_MISMATCH, BELOW_MINIMUM, IDEMPOTENCY_KEY_REUSED, LIMIT_EXCEEDED.
func (s *Service) ReloadBalance(ctx context.Context, r Reload) (Booking, error) {
	if r.Amount.Sign() <= 0 {
		return Booking{}, refuse(CodeInvalid, "amount.amount", "the amount must be more than zero")
	}
	var err error
	if r.Reference, err = optionalLabel(r.Reference, "reference", "the reference", referenceMax); err != nil {
		return Booking{}, err
	}
	for _, r := range r.references() {
		if *r.value, err = optionalLabel(*r.value, r.field, "the reference", referenceMax); err != nil {
			return Booking{}, err
		}
	}
	op, err := s.newOperation("balanceReload", r.Key, keyRequired, r)
	if err != nil {
		return Booking{}, err
	}
	var out Booking
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if earlier != nil {
			out = Booking{EntryID: earlier.Subject, BalanceID: earlier.SecondSubject}
			return nil
		}
		if out, err = tx.reload(ctx, r); err != nil {
			return err
		}
		return tx.remember(ctx, op, out.EntryID, out.BalanceID, "")
	})
	if err != nil {
		return Booking{}, err
	}
	return out, nil
}

// reference is one of the names of a reload's payment.
type reference struct {
	field string
	value **string
}

func (r *Reload) references() []reference {
	return []reference{{"providerTxId", &r.ProviderTxID}, {"txReference", &r.TxReference}, {"gatewayTxReference", &r.GatewayTxReference}}
}

// metadata is what the entry of a reload keeps of it beside its reference, or
// nil.
func (r *Reload) metadata() map[string]string {
	priced := nonEmpty(r.PriceID)
	var out map[string]string
	for _, f := range append(r.references(), reference{"priceId", &priced}) {
		if *f.value == nil {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[f.field] = **f.value
	}
	return out
}

// paysFor refuses money for a price in another currency.
func (tx *Tx) paysFor(ctx context.Context, priceID string, amount money.Amount) error {
	if priceID == "" {
		return nil
	}
	p, err := tx.Price.Query().Where(price.ID(priceID)).Only(ctx)
	if err != nil {
		return orNotFound(err, "priceId", "price", priceID)
	}
	if p.Currency != amount.Currency {
		return refuse(CodeCurrencyMismatch, "amount.currency", "the price is in %s, the amount in %s: reload in the currency of what is bought", p.Currency, amount.Currency)
	}
	return nil
}

func (tx *Tx) reload(ctx context.Context, r Reload) (Booking, error) {
	if _, err := tx.organization(ctx); err != nil {
		return Booking{}, err
	}
	p, err := tx.payer(ctx, r.PayerID, "payerId")
	if err != nil {
		return Booking{}, err
	}
	if p.Status == payer.StatusCLOSED {
		return Booking{}, refuse(CodeInvalidState, "payerId", "the payer is %s", p.Status)
	}
	if err := tx.keepStatus(ctx, p); err != nil {
		return Booking{}, err
	}
	c, err := tx.usableCurrency(ctx, r.Amount.Currency, "amount.currency")
	if err != nil {
		return Booking{}, err
	}
	if !c.Virtual {
		if _, err := r.Amount.Minor(); err != nil {
			return Booking{}, refusedAmount(err, "amount.amount")
		}
	}
	if least := c.MinimumTopUp(); least != nil && r.Amount.Units < least.Units {
		return Booking{}, refuse(CodeBelowMinimum, "amount.amount", "the smallest top-up is %s", least)
	}
	if err := tx.paysFor(ctx, r.PriceID, r.Amount); err != nil {
		return Booking{}, err
	}
	b, err := tx.ensureBalance(ctx, p, r.Amount.Currency, "amount.currency")
	if err != nil {
		return Booking{}, err
	}
	e, err := tx.post(ctx, posting{
		kind:  ledgerentry.KindRELOAD,
		debit: accountBank, credit: b.Account(), balanceID: b.ID,
		amount:      r.Amount,
		description: r.Reference,
		metadata:    r.metadata(),
	})
	if err != nil {
		return Booking{}, err
	}
	if err := tx.payWaiting(ctx, b.ID); err != nil {
		return Booking{}, err
	}
	return Booking{EntryID: e.ID, BalanceID: b.ID}, nil
}
