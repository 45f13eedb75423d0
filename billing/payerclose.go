package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/balance"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payer"
	"purser/ent/payment"
	"purser/ent/quote"
	"purser/ent/subscription"
	"purser/money"
)

// RestBalance says what becomes of the balances of a payer that is closed.
type RestBalance string

// REFUSE does not close a payer while one of them is not zero; PAY_OUT books
// that what is left was paid back outside of this program; WRITE_OFF gives up
// what is left or owed. Nothing said means REFUSE.
const (
	RestBalanceRefuse   RestBalance = "REFUSE"
	RestBalancePayOut   RestBalance = "PAY_OUT"
	RestBalanceWriteOff RestBalance = "WRITE_OFF"
)

// CloseDeveloper ends business with a developer. Closing again changes
// nothing. Refusals: NOT_FOUND, INVALID_STATE.
func (s *Service) CloseDeveloper(ctx context.Context, id string, rest RestBalance) error {
	return s.closePayer(ctx, payer.KindDEVELOPER, "developer", id, rest)
}

// CloseCompany ends business with a company. Closing again changes nothing.
// Refusals: NOT_FOUND, INVALID_STATE.
func (s *Service) CloseCompany(ctx context.Context, id string, rest RestBalance) error {
	return s.closePayer(ctx, payer.KindCOMPANY, "company", id, rest)
}

func (s *Service) closePayer(ctx context.Context, kind payer.Kind, what, id string, rest RestBalance) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.payerOf(ctx, kind, what, id, "id")
		if err != nil {
			return err
		}
		if p.Status == payer.StatusCLOSED {
			return nil
		}
		// The payer leaves the states that may be sold to first. Who has read it
		// before and makes something for it fails on its state (keepStatus),
		// who moves a balance on the balance's version, or reads the payer once
		// it has the balance.
		if err := cas(tx.Payer.Update().Where(payer.ID(id), payer.StatusEQ(p.Status)).SetStatus(payer.StatusCLOSED).Save(ctx)); err != nil {
			return fmt.Errorf("close payer %s: %w", id, err)
		}
		if err := tx.refuseUnsettled(ctx, p, what, rest); err != nil {
			return err
		}
		return tx.audit(ctx, what+".close", id, map[string]string{"restBalance": string(rest)})
	})
}

// refuseUnsettled refuses a payer who still has something, owes something, or
// may come to owe something.
func (tx *Tx) refuseUnsettled(ctx context.Context, p *ent.Payer, what string, rest RestBalance) error {
	balances, err := tx.Balance.Query().Where(balance.PayerID(p.ID)).Order(ent.Asc(balance.FieldID)).
		Unique(false).Modify(tx.forUpdate).All(ctx)
	if err != nil {
		return fmt.Errorf("read balances of %s: %w", p.ID, err)
	}
	for _, b := range balances {
		if err := tx.settleRest(ctx, b, what, rest); err != nil {
			return err
		}
	}
	open, err := tx.Invoice.Query().
		Where(invoice.PayerID(p.ID), invoice.StatusIn(invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count open invoices of %s: %w", p.ID, err)
	}
	if open > 0 {
		return refuse(CodeInvalidState, "id", "the %s has %d unpaid invoices: they must be paid or voided first", what, open)
	}
	drafts, err := tx.Invoice.Query().Where(invoice.PayerID(p.ID), invoice.StatusEQ(invoice.StatusDRAFT)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count drafts of %s: %w", p.ID, err)
	}
	if drafts > 0 {
		return refuse(CodeInvalidState, "id", "the %s has %d invoices in draft: finalize or void them first", what, drafts)
	}
	running, err := tx.Subscription.Query().Where(subscription.PayerID(p.ID), subscription.StatusNEQ(subscription.StatusCANCELED)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count subscriptions of %s: %w", p.ID, err)
	}
	if running > 0 {
		return refuse(CodeInvalidState, "id", "the %s has %d subscriptions: cancel them first", what, running)
	}
	offers, err := tx.Quote.Query().Where(quote.PayerID(p.ID), quote.StatusEQ(quote.StatusOPEN)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count open quotes of %s: %w", p.ID, err)
	}
	if offers > 0 {
		return refuse(CodeInvalidState, "id", "the %s has %d open quotes: cancel them first", what, offers)
	}
	moving, err := tx.Payment.Query().
		Where(payment.PayerID(p.ID), payment.StatusIn(payment.StatusREQUIRES_ACTION, payment.StatusPROCESSING)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count unfinished payments of %s: %w", p.ID, err)
	}
	if moving > 0 {
		return refuse(CodeInvalidState, "id", "the %s has %d unfinished payments: wait until they are settled", what, moving)
	}
	return nil
}

// settleRest brings a balance to zero in the way that was asked for, and keeps
// it there until the transaction ends.
func (tx *Tx) settleRest(ctx context.Context, b *ent.Balance, what string, rest RestBalance) error {
	remaining := b.Remaining()
	if b.HeldUnits != 0 {
		return refuse(CodeInvalidState, "id", "the %s has a balance of %s, of which %s is held: capture or release its holds first", what, remaining, b.Held())
	}
	if remaining.IsZero() {
		if err := cas(tx.Balance.Update().Where(balance.ID(b.ID), balance.Version(b.Version)).SetVersion(b.Version + 1).Save(ctx)); err != nil {
			return fmt.Errorf("keep balance %s at zero: %w", b.ID, err)
		}
		return nil
	}
	owed := money.Amount{Units: -remaining.Units, Currency: b.Currency}
	paidOut := posting{kind: ledgerentry.KindREFUND, debit: b.Account(), credit: accountBank, amount: money.Amount{Currency: b.Currency}}
	givenUp := posting{kind: ledgerentry.KindWRITE_OFF, debit: b.Account(), credit: accountWriteOff, amount: remaining}
	switch rest {
	case RestBalancePayOut:
		switch {
		case remaining.Sign() < 0:
			return refuse(CodeInvalidState, "restBalance", "the %s owes %s: have it paid, invoice it, or write it off", what, owed)
		case !money.IsISO(b.Currency):
			return refuse(CodeInvalidState, "restBalance", "%s exists only here and cannot be paid back: write it off", b.Currency)
		}
		// Nobody pays a part of a minor unit.
		givenUp.amount.Units = remaining.Units % money.UnitsPerMinor
		paidOut.amount.Units = remaining.Units - givenUp.amount.Units
	case RestBalanceWriteOff:
		if remaining.Sign() < 0 {
			givenUp.debit, givenUp.credit, givenUp.amount = accountWriteOff, b.Account(), owed
		}
	default:
		return refuse(CodeInvalidState, "id", "the %s has a balance of %s: bring it to zero first, or say with restBalance what becomes of it", what, remaining)
	}
	for _, p := range []posting{paidOut, givenUp} {
		if p.amount.IsZero() {
			continue
		}
		p.balanceID = b.ID
		if _, err := tx.post(ctx, p); err != nil {
			return fmt.Errorf("settle the rest of balance %s: %w", b.ID, err)
		}
	}
	return nil
}
