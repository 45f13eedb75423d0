package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"purser/ent"
	"purser/ent/gatewaycall"
	"purser/ent/gatewayevent"
	"purser/ent/hold"
	"purser/ent/invoice"
	"purser/ent/membership"
	"purser/ent/payer"
	"purser/ent/payersession"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/quote"
)

// What stands in the place of a person's data once it is erased. The address
// belongs to no mail server, and to one payer alone.
const (
	erasedName   = "Erased"
	erasedDomain = "@erased.invalid"
)

// erasePage is how many objects of a payer are gone through in one
// transaction.
const erasePage = 200

// ErasePayer replaces the personal data of a closed payer for good: name,
// addresses, the tax number, the caller's own data, what is known of its cards,
// the texts that were written for it alone, and the requests that were made to
// gateways on its behalf. Its e-mail address, its short name and its external
// id become free. It leaves its companies, or loses its members, and its
// sessions end.
//
// What must be kept stays: the ledger, which refers to the payer by its id; the
// numbers; and issued invoices with the recipient as it was, which the law has
// every seller keep unchanged. docs/personal-data.md lists all of it.
//
// It may be called again, also when it was interrupted: what is done is done,
// and the payer's own row comes last. Refusals: NOT_FOUND, INVALID_STATE.
func (s *Service) ErasePayer(ctx context.Context, id string) error {
	p, err := s.read.Payer.Query().Where(payer.ID(id)).Only(ctx)
	if err != nil {
		return orNotFound(err, "id", "payer", id)
	}
	if p.ErasedAt != nil {
		return nil
	}
	if p.Status != payer.StatusCLOSED {
		return refuse(CodeInvalidState, "id", "the payer is %s: close it first", p.Status)
	}
	for _, subjects := range s.objectsOf(id) {
		if err := s.eraseRequests(ctx, subjects); err != nil {
			return err
		}
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		p, err := tx.payer(ctx, id, "id")
		if err != nil || p.ErasedAt != nil {
			return err
		}
		if err := tx.eraseCards(ctx, id); err != nil {
			return err
		}
		if err := tx.eraseTexts(ctx, id); err != nil {
			return err
		}
		if _, err := tx.Membership.Delete().Where(membership.Or(membership.DeveloperID(id), membership.CompanyID(id))).Exec(ctx); err != nil {
			return fmt.Errorf("end memberships of %s: %w", id, err)
		}
		_, err = tx.PayerSession.Update().Where(payersession.PayerID(id), payersession.RevokedAtIsNil()).SetRevokedAt(tx.Now).Save(ctx)
		if err != nil {
			return fmt.Errorf("end sessions of %s: %w", id, err)
		}
		u := tx.Payer.Update().Where(payer.ID(id), payer.StatusEQ(payer.StatusCLOSED), payer.ErasedAtIsNil()).
			SetName(erasedName).ClearBillingEmail().ClearTaxID().ClearExternalID().ClearAddress().ClearLocale().
			SetMetadata(map[string]string{}).SetErasedAt(tx.Now)
		if p.Kind == payer.KindCOMPANY {
			u.SetSlug(id)
		} else {
			u.SetEmail(id + erasedDomain)
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("erase payer %s: %w", id, err)
		}
		return tx.audit(ctx, "payer.erase", id, nil)
	})
}

// pageOfIDs returns the ids that come after one, in their order.
type pageOfIDs func(ctx context.Context, after string, limit int) ([]string, error)

// objectsOf are the objects of a payer about which gateways are asked.
func (s *Service) objectsOf(payerID string) []pageOfIDs {
	return []pageOfIDs{
		func(ctx context.Context, after string, limit int) ([]string, error) {
			return s.read.Payment.Query().Where(payment.PayerID(payerID), payment.IDGT(after)).
				Order(ent.Asc(payment.FieldID)).Limit(limit).IDs(ctx)
		},
		func(ctx context.Context, after string, limit int) ([]string, error) {
			return s.read.Invoice.Query().Where(invoice.PayerID(payerID), invoice.IDGT(after)).
				Order(ent.Asc(invoice.FieldID)).Limit(limit).IDs(ctx)
		},
		func(ctx context.Context, after string, limit int) ([]string, error) {
			return s.read.Quote.Query().Where(quote.PayerID(payerID), quote.IDGT(after)).
				Order(ent.Asc(quote.FieldID)).Limit(limit).IDs(ctx)
		},
		func(ctx context.Context, after string, limit int) ([]string, error) {
			return s.read.PaymentMethod.Query().Where(paymentmethod.PayerID(payerID), paymentmethod.IDGT(after)).
				Order(ent.Asc(paymentmethod.FieldID)).Limit(limit).IDs(ctx)
		},
	}
}

// eraseRequests empties the requests of gateway calls about a payer's objects:
// they name the customer. What they asked for is kept, because payments are
// verified against it. A call that is open would be asked again with its
// request, so it must have ended.
func (s *Service) eraseRequests(ctx context.Context, subjects pageOfIDs) error {
	last := ""
	for {
		ids, err := subjects(ctx, last, erasePage)
		if err != nil {
			return fmt.Errorf("list what gateways were asked about: %w", err)
		}
		if len(ids) == 0 {
			return nil
		}
		last = ids[len(ids)-1]
		err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
			calls, err := tx.GatewayCall.Query().Where(gatewaycall.SubjectIn(ids...)).Order(ent.Asc(gatewaycall.FieldID)).All(ctx)
			if err != nil {
				return fmt.Errorf("read gateway calls: %w", err)
			}
			for _, c := range calls {
				if err := tx.eraseRequest(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

func (tx *Tx) eraseRequest(ctx context.Context, c *ent.GatewayCall) error {
	if c.State == gatewaycall.StateOPEN {
		return refuse(CodeInvalidState, "id", "a gateway has not answered a request for the payer yet: try again later")
	}
	left, err := withoutCustomer(c.Request)
	if err != nil {
		return fmt.Errorf("empty request of call %s: %w", c.ID, err)
	}
	if string(left) == string(c.Request) {
		return nil
	}
	n, err := tx.GatewayCall.Update().Where(gatewaycall.ID(c.ID), gatewaycall.StateEQ(c.State)).SetRequest(left).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("empty request of call %s: %w", c.ID, err)
	}
	return nil
}

// amountsOfRequests are the parts of a request that verification compares.
var amountsOfRequests = []string{"Amount", "Total"}

// withoutCustomer keeps of a request how much it asked for.
func withoutCustomer(request json.RawMessage) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(request, &all); err != nil {
		return request, nil //nolint:nilerr // a request that is a mere id names nobody
	}
	kept := map[string]json.RawMessage{}
	for _, name := range amountsOfRequests {
		if part, ok := all[name]; ok {
			kept[name] = part
		}
	}
	return json.Marshal(kept)
}

// eraseCards forgets what is known of a payer's cards. The gateway must have
// been told to forget them before: nobody could name them to it afterwards.
func (tx *Tx) eraseCards(ctx context.Context, payerID string) error {
	kept, err := tx.PaymentMethod.Query().
		Where(paymentmethod.PayerID(payerID), paymentmethod.StatusIn(paymentmethod.StatusACTIVE, paymentmethod.StatusPENDING)).Count(ctx)
	if err != nil {
		return fmt.Errorf("count cards of %s: %w", payerID, err)
	}
	if kept > 0 {
		return refuse(CodeInvalidState, "id", "the payer has %d saved cards, or cards that are being saved: detach them first, so that the gateway forgets them as well", kept)
	}
	_, err = tx.PaymentMethod.Update().Where(paymentmethod.PayerID(payerID)).
		SetBrand("").SetLast4("").SetExpMonth(0).SetExpYear(0).ClearExpiryNoticeAt().SetFailureMessage("").SetSchemeReference("").Save(ctx)
	if err != nil {
		return fmt.Errorf("forget cards of %s: %w", payerID, err)
	}
	// Events told of the cards that were saved with a payment.
	ids, err := tx.Payment.Query().Where(payment.PayerID(payerID), payment.SaveCard(true)).IDs(ctx)
	if err != nil {
		return fmt.Errorf("list payments of %s: %w", payerID, err)
	}
	const atOnce = 250
	for some := range slices.Chunk(ids, atOnce) {
		if _, err := tx.GatewayEvent.Update().Where(gatewayevent.SubjectIn(some...)).ClearSavedCard().Save(ctx); err != nil {
			return fmt.Errorf("forget cards of %s: %w", payerID, err)
		}
	}
	return nil
}

// eraseTexts clears what was written for a payer alone and is part of no issued
// invoice.
func (tx *Tx) eraseTexts(ctx context.Context, payerID string) error {
	_, err := tx.Quote.Update().Where(quote.PayerID(payerID), quote.StatusNEQ(quote.StatusACCEPTED)).ClearDescription().Save(ctx)
	if err == nil {
		_, err = tx.Invoice.Update().Where(invoice.PayerID(payerID), invoice.FinalizedAtIsNil()).ClearDescription().Save(ctx)
	}
	if err == nil {
		_, err = tx.Hold.Update().Where(hold.PayerID(payerID)).ClearDescription().Save(ctx)
	}
	if err != nil {
		return fmt.Errorf("clear texts of %s: %w", payerID, err)
	}
	return nil
}
