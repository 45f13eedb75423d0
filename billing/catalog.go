package billing

import (
	"context"
	"fmt"

	"purser/ent/price"
	"purser/ent/product"
	"purser/money"
)

// ProductDraft is a new product.
type ProductDraft struct {
	Name        string
	Description *string
	ProviderID  *string // the merchant account its sales go to
}

// ProductChange changes a product. What is nil stays; an empty text clears.
type ProductChange struct {
	ID          string
	Name        *string
	Description *string
	ProviderID  *string
	Active      *bool
}

// PriceDraft is a new price of a product.
type PriceDraft struct {
	ProductID  string
	UnitAmount money.Amount
	Recurrence *Recurrence // nil: paid once
	Nickname   *string
}

// Recurrence says how often something is paid: every Count Intervals.
type Recurrence struct {
	Interval price.RecurrenceInterval
	Count    int
}

// recurrenceMax bounds a recurrence to what gateways take: three years.
func recurrenceMax(i price.RecurrenceInterval) int {
	switch i {
	case price.RecurrenceIntervalDAY:
		return 3 * 365
	case price.RecurrenceIntervalWEEK:
		return 3 * 52
	case price.RecurrenceIntervalMONTH:
		return 3 * 12
	default:
		return 3
	}
}

// CreateProduct adds a product and returns its id. The key is optional.
// Refusals: REQUIRED, INVALID, NOT_FOUND, INVALID_STATE,
// IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreateProduct(ctx context.Context, d ProductDraft, key *string) (string, error) {
	op, err := s.newOperation("productCreate", key, keyOptional, d)
	if err != nil {
		return "", err
	}
	name, err := label(d.Name, "name", "the name", nameMax)
	if err != nil {
		return "", err
	}
	description, err := optionalNote(d.Description, "description", "the description")
	if err != nil {
		return "", err
	}
	fresh := s.newID(prefixProduct)
	var id string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		id = fresh
		r, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if r != nil {
			id = r.Subject
			return nil
		}
		if p := orEmpty(d.ProviderID); p != "" {
			if _, err := tx.usableProvider(ctx, p, "providerId"); err != nil {
				return err
			}
		}
		err = tx.Product.Create().
			SetID(fresh).SetName(name).SetNillableDescription(description).
			SetNillableProviderID(nonEmpty(orEmpty(d.ProviderID))).
			SetCreatedAt(tx.Now).Exec(ctx)
		if err != nil {
			return fmt.Errorf("store product: %w", err)
		}
		return tx.remember(ctx, op, fresh, "", "")
	})
	return id, err
}

// UpdateProduct changes a product. Refusals: NOT_FOUND, REQUIRED, INVALID,
// INVALID_STATE.
func (s *Service) UpdateProduct(ctx context.Context, c ProductChange) error {
	var name string
	if c.Name != nil {
		var err error
		if name, err = label(*c.Name, "name", "the name", nameMax); err != nil {
			return err
		}
	}
	description, err := optionalNote(c.Description, "description", "the description")
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		found, err := tx.Product.Query().Where(product.ID(c.ID)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("read product %s: %w", c.ID, err)
		}
		if !found {
			return notFound("id", "product", c.ID)
		}
		u := tx.Product.Update().Where(product.ID(c.ID)).SetNillableActive(c.Active)
		if c.Name != nil {
			u.SetName(name)
		}
		if c.Description != nil {
			setOrClear(description, u.SetDescription, u.ClearDescription)
		}
		if c.ProviderID != nil {
			if *c.ProviderID != "" {
				if _, err := tx.usableProvider(ctx, *c.ProviderID, "providerId"); err != nil {
					return err
				}
			}
			setOrClear(nonEmpty(*c.ProviderID), u.SetProviderID, u.ClearProviderID)
		}
		if len(u.Mutation().Fields())+len(u.Mutation().ClearedFields()) == 0 {
			return nil
		}
		if err := cas(u.Save(ctx)); err != nil {
			return fmt.Errorf("change product %s: %w", c.ID, err)
		}
		return nil
	})
}

// CreatePrice adds a price to a product and returns its id. The key is
// optional. Refusals: NOT_FOUND, INVALID, CURRENCY_MISMATCH, INVALID_STATE,
// IDEMPOTENCY_KEY_REUSED.
func (s *Service) CreatePrice(ctx context.Context, d PriceDraft, key *string) (string, error) {
	op, err := s.newOperation("priceCreate", key, keyOptional, d)
	if err != nil {
		return "", err
	}
	if d.UnitAmount.Sign() < 0 {
		return "", refuse(CodeInvalid, "unitAmount", "a price must not be negative")
	}
	nickname, err := optionalLabel(d.Nickname, "nickname", "the nickname", nameMax)
	if err != nil {
		return "", err
	}
	if r := d.Recurrence; r != nil && (r.Count < 1 || r.Count > recurrenceMax(r.Interval)) {
		return "", refuse(CodeInvalid, "recurrence.intervalCount", "with the interval %s the count is 1 to %d", r.Interval, recurrenceMax(r.Interval))
	}
	fresh := s.newID(prefixPrice)
	var id string
	err = s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		id = fresh
		r, err := tx.replay(ctx, op)
		if err != nil {
			return err
		}
		if r != nil {
			id = r.Subject
			return nil
		}
		p, err := tx.Product.Query().Where(product.ID(d.ProductID)).Only(ctx)
		if err != nil {
			return orNotFound(err, "productId", "product", d.ProductID)
		}
		if !p.Active {
			return refuse(CodeInvalidState, "productId", "the product %s is not active", p.Name)
		}
		if _, err := tx.usableCurrency(ctx, d.UnitAmount.Currency, "unitAmount.currency"); err != nil {
			return err
		}
		c := tx.Price.Create().
			SetID(fresh).SetProductID(p.ID).
			SetCurrency(d.UnitAmount.Currency).SetUnitAmountUnits(d.UnitAmount.Units).
			SetNillableNickname(nickname).
			SetCreatedAt(tx.Now)
		if d.Recurrence != nil {
			c.SetRecurrenceInterval(d.Recurrence.Interval).SetRecurrenceCount(d.Recurrence.Count)
		}
		if err := c.Exec(ctx); err != nil {
			return fmt.Errorf("store price: %w", err)
		}
		return tx.remember(ctx, op, fresh, "", "")
	})
	return id, err
}

// ArchivePrice takes a price off sale. Archiving again changes nothing.
// Refusals: NOT_FOUND.
func (s *Service) ArchivePrice(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		n, err := tx.Price.Update().Where(price.ID(id)).SetActive(false).Save(ctx)
		if err != nil {
			return fmt.Errorf("archive price %s: %w", id, err)
		}
		if n == 0 {
			return notFound("id", "price", id)
		}
		return nil
	})
}
