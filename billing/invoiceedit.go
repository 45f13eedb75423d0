package billing

import (
	"context"
	"fmt"

	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/invoiceline"
	"purser/ent/payer"
	"purser/mail"
	"purser/money"
)

// Drafts are edited here, position by position or as a whole. What was agreed
// or counted elsewhere is not: a quote that was accepted, a draft that the
// gateway has, the usage of a month.

// editable reports whether a draft's content is its own. The first one of a
// subscription that was sold by a quote waits for an hour to be edited.
func editable(i *ent.Invoice) bool {
	return i.GatewayInvoiceID == nil && i.DebtUnits == nil && !ofQuoteAlone(i)
}

// ofQuoteAlone reports whether an invoice is all that a quote was accepted to.
func ofQuoteAlone(i *ent.Invoice) bool { return i.QuoteID != nil && i.SubscriptionID == nil }

// draftToEdit reads a draft for an edit.
func (tx *Tx) draftToEdit(ctx context.Context, id string) (*ent.Invoice, error) {
	if _, err := tx.organization(ctx); err != nil {
		return nil, err
	}
	inv, err := tx.lockInvoice(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := tx.invoiceIs(ctx, inv, invoice.StatusDRAFT); err != nil {
		return nil, err
	}
	switch {
	case inv.DebtUnits != nil:
		return nil, refuse(CodeInvalidState, "id", "the invoice is of usage that was booked: correct the balance with balanceCredit, balanceAdjust or usageReverse, void the draft, and usageInvoice writes a new one")
	case ofQuoteAlone(inv):
		return nil, refuse(CodeInvalidState, "id", "the invoice is what was accepted with a quote: void it, and write another one")
	case !editable(inv):
		return nil, refuse(CodeInvalidState, "id", "the gateway has this draft: void it, and write another one")
	}
	return inv, nil
}

// InvoiceChange changes a draft. What is nil stays.
type InvoiceChange struct {
	ID          string
	Lines       []LineDraft // replaces all
	ProviderID  *string
	Description *string // an empty text clears
	Collection  *invoice.Collection
}

// UpdateInvoice changes a draft, which does not finalize itself any more.
//
// Codes: NOT_FOUND, INVALID_STATE, INVALID, REQUIRED, CURRENCY_MISMATCH,
// LIMIT_EXCEEDED.
func (s *Service) UpdateInvoice(ctx context.Context, c InvoiceChange) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		inv, err := tx.draftToEdit(ctx, c.ID)
		if err != nil {
			return err
		}
		u := tx.editDraft(inv)
		if c.Description != nil {
			description, err := optionalNote(c.Description, "description", "the description")
			if err != nil {
				return err
			}
			setOrClear(description, u.SetDescription, u.ClearDescription)
		}
		if c.ProviderID != nil {
			p, err := tx.usableProvider(ctx, *c.ProviderID, "providerId")
			if err != nil {
				return err
			}
			u.SetProviderID(p.ID)
		}
		if c.Collection != nil {
			p, err := tx.payer(ctx, inv.PayerID, "id")
			if err != nil {
				return err
			}
			if *c.Collection == invoice.CollectionBALANCE && p.BillingMode != payer.BillingModePREPAID {
				return refuse(CodeInvalid, "collection", "the payer is POSTPAID: only the invoices of prepaid payers are paid from a balance")
			}
			u.SetCollection(*c.Collection)
		}
		if c.Lines != nil {
			lines, err := tx.invoiceLines(ctx, c.Lines, "lineItems")
			if err != nil {
				return err
			}
			if err := inCurrencyOf(inv, lines[0].amount, "lineItems.0"); err != nil {
				return err
			}
			if _, err := tx.InvoiceLine.Delete().Where(invoiceline.InvoiceID(inv.ID)).Exec(ctx); err != nil {
				return fmt.Errorf("remove positions: %w", err)
			}
			if err := tx.writeInvoiceLines(ctx, inv.ID, lines); err != nil {
				return err
			}
		}
		return tx.saveEdit(ctx, inv, u)
	})
}

// editDraft begins an edit.
func (tx *Tx) editDraft(inv *ent.Invoice) *ent.InvoiceUpdate {
	return tx.Invoice.Update().
		Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusDRAFT), invoice.PendingCallIDIsNil()).
		ClearFinalizesAt().SetUpdatedAt(tx.Now)
}

// saveEdit writes an edit with the sums of the positions that there are now.
func (tx *Tx) saveEdit(ctx context.Context, inv *ent.Invoice, u *ent.InvoiceUpdate) error {
	p, err := tx.payer(ctx, inv.PayerID, "id")
	if err != nil {
		return err
	}
	t, err := tx.taxOfInvoice(ctx, inv, p)
	if err != nil {
		return err
	}
	setSums(u, t.invoiceSums)
	if err := cas(u.Save(ctx)); err != nil {
		return fmt.Errorf("edit invoice %s: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	return nil
}

// inCurrencyOf refuses a position in another currency than the invoice's.
func inCurrencyOf(inv *ent.Invoice, a money.Amount, field string) error {
	if a.Currency != inv.Currency {
		return refuse(CodeCurrencyMismatch, field, "this position is in %s, the invoice in %s", a.Currency, inv.Currency)
	}
	return nil
}

// InvoiceLineDraft is a position to be added to a draft.
type InvoiceLineDraft struct {
	InvoiceID string
	Line      LineDraft
	Key       *string `json:"-"`
}

// AddInvoiceLine adds a position to a draft, after the others. Called again
// with the same key it adds nothing.
//
// Codes: as UpdateInvoice, and IDEMPOTENCY_KEY_REUSED.
func (s *Service) AddInvoiceLine(ctx context.Context, d InvoiceLineDraft) error {
	op, err := s.newOperation("invoiceLineAdd", d.Key, keyOptional, d)
	if err != nil {
		return err
	}
	id := s.newID(prefixInvoiceLine)
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		earlier, err := tx.replay(ctx, op)
		if earlier != nil || err != nil {
			return err
		}
		inv, err := tx.draftToEdit(ctx, d.InvoiceID)
		if err != nil {
			return err
		}
		l, err := tx.invoiceLine(ctx, inv, d.Line)
		if err != nil {
			return err
		}
		places, err := tx.InvoiceLine.Query().Where(invoiceline.InvoiceID(inv.ID)).Order(ent.Asc(invoiceline.FieldPosition)).All(ctx)
		if err != nil {
			return fmt.Errorf("read positions: %w", err)
		}
		if len(places) >= linesMax {
			return refuse(CodeLimitExceeded, "invoiceId", "there are %d positions, and no more are allowed", len(places))
		}
		next := 0
		if len(places) > 0 {
			next = places[len(places)-1].Position + 1
		}
		if err := tx.writeInvoiceLine(ctx, id, inv.ID, next, l); err != nil {
			return err
		}
		if err := tx.saveEdit(ctx, inv, tx.editDraft(inv)); err != nil {
			return err
		}
		return tx.remember(ctx, op, id, inv.ID, "")
	})
}

// UpdateInvoiceLine replaces a position of a draft, which keeps its id and its
// place, and returns the invoice's id. Codes: as UpdateInvoice.
func (s *Service) UpdateInvoiceLine(ctx context.Context, id string, d LineDraft) (string, error) {
	return s.editLine(ctx, id, func(ctx context.Context, tx *Tx, inv *ent.Invoice, old *ent.InvoiceLine) error {
		l, err := tx.invoiceLine(ctx, inv, d)
		if err != nil {
			return err
		}
		return tx.writeInvoiceLine(ctx, id, inv.ID, old.Position, l)
	})
}

// RemoveInvoiceLine takes a position out of a draft, and returns the invoice's
// id. The last one stays. Codes: as UpdateInvoice.
func (s *Service) RemoveInvoiceLine(ctx context.Context, id string) (string, error) {
	return s.editLine(ctx, id, func(ctx context.Context, tx *Tx, inv *ent.Invoice, _ *ent.InvoiceLine) error {
		left, err := tx.InvoiceLine.Query().Where(invoiceline.InvoiceID(inv.ID)).Exist(ctx)
		if err != nil {
			return fmt.Errorf("look for positions: %w", err)
		}
		if !left {
			return refuse(CodeInvalidState, "id", "it is the last position: void the draft instead")
		}
		return nil
	})
}

// editLine removes a position and has something put in its place.
func (s *Service) editLine(ctx context.Context, id string, edit func(context.Context, *Tx, *ent.Invoice, *ent.InvoiceLine) error) (string, error) {
	var invoiceID string
	err := s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		old, err := tx.InvoiceLine.Query().Where(invoiceline.ID(id)).Only(ctx)
		if err != nil {
			return orNotFound(err, "id", "position", id)
		}
		inv, err := tx.draftToEdit(ctx, old.InvoiceID)
		if err != nil {
			return err
		}
		invoiceID = inv.ID
		if err := cas(tx.InvoiceLine.Delete().Where(invoiceline.ID(id)).Exec(ctx)); err != nil {
			return fmt.Errorf("remove position %s: %w", id, err)
		}
		if err := edit(ctx, tx, inv, old); err != nil {
			return err
		}
		return tx.saveEdit(ctx, inv, tx.editDraft(inv))
	})
	return invoiceID, err
}

// invoiceLine fills one position of an invoice in.
func (tx *Tx) invoiceLine(ctx context.Context, inv *ent.Invoice, d LineDraft) (line, error) {
	d.ofInvoice = true
	l, err := tx.line(ctx, d, "lineItem")
	switch {
	case err != nil:
		return l, err
	case l.interval != nil:
		return l, refuse(CodeInvalid, "lineItem.priceId", "the price of %q is paid again and again: an invoice takes one-off prices", l.description)
	}
	return l, inCurrencyOf(inv, l.amount, "lineItem")
}

// SendInvoice has an unpaid invoice sent to its payer. Called again it is sent
// again.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) SendInvoice(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		inv, err := tx.lockInvoice(ctx, id)
		if err != nil {
			return err
		}
		if err := tx.invoiceIs(ctx, inv, invoice.StatusOPEN, invoice.StatusUNCOLLECTIBLE); err != nil {
			return err
		}
		if inv.Recipient == nil || inv.Recipient.Email == "" {
			return refuse(CodeInvalidState, "id", "the payer had no e-mail address when the invoice was issued: give it the link hostedUrl or pdfUrl")
		}
		if err := tx.sendInvoice(ctx, inv); err != nil {
			return err
		}
		return tx.audit(ctx, "invoice.send", inv.ID, nil)
	})
}

// sendInvoice has an issued invoice mailed to its payer.
func (tx *Tx) sendInvoice(ctx context.Context, inv *ent.Invoice) error {
	n, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(inv.Status)).SetSentAt(tx.Now).SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("send invoice %s: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	return tx.queueMail(ctx, mail.InvoiceSent, inv.PayerID, mailFacts{InvoiceID: inv.ID})
}

// MarkInvoiceUncollectible gives an open invoice up as a bad debt. A gateway
// that keeps it is not told: the payer can still pay it there. Called again it
// changes nothing.
//
// Codes: NOT_FOUND, INVALID_STATE.
func (s *Service) MarkInvoiceUncollectible(ctx context.Context, id string) error {
	return s.inTx(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.organization(ctx); err != nil {
			return err
		}
		inv, err := tx.lockInvoice(ctx, id)
		if err != nil || inv.Status == invoice.StatusUNCOLLECTIBLE {
			return err
		}
		if err := tx.invoiceIs(ctx, inv, invoice.StatusOPEN); err != nil {
			return err
		}
		if err := tx.giveUp(ctx, inv); err != nil {
			return err
		}
		return tx.audit(ctx, "invoice.markUncollectible", inv.ID, nil)
	})
}

// giveUp moves an open invoice to UNCOLLECTIBLE and books that what is due on
// it is not expected any more.
func (tx *Tx) giveUp(ctx context.Context, inv *ent.Invoice) error {
	if err := tx.writeOff(ctx, inv); err != nil {
		return err
	}
	n, err := tx.Invoice.Update().Where(invoice.ID(inv.ID), invoice.StatusEQ(invoice.StatusOPEN)).
		SetStatus(invoice.StatusUNCOLLECTIBLE).ClearNextAttemptAt().SetUpdatedAt(tx.Now).Save(ctx)
	if err := cas(n, err); err != nil {
		return fmt.Errorf("give up invoice %s: %w", inv.ID, err)
	}
	tx.changed(ctx, ChangeInvoice, inv.ID, inv.PayerID)
	return nil
}
