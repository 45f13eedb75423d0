package demo

import (
	"context"
	"fmt"

	"purser/billing"
	"purser/ent"
	"purser/gateway"
)

// testCard is the token of a test card that is always charged.
const testCard = "pm_card_visa"

// quotes writes a draft for the company and an open quote for Ada.
func (s *seeder) quotes(ctx context.Context) error {
	_, err := s.Billing.CreateQuote(ctx, billing.QuoteDraft{
		PayerID: s.acme, Description: text("Weather for ACME's fleet"),
		Lines: []billing.LineDraft{{PriceID: s.prices[pricePro], Quantity: 3}},
		Key:   key("quote-draft"),
	})
	if err != nil {
		return err
	}
	id, err := s.Billing.CreateQuote(ctx, billing.QuoteDraft{
		PayerID: s.ada, Description: text("Archive with integration"),
		Lines: []billing.LineDraft{{PriceID: s.prices[priceArchive], Quantity: 1}, {PriceID: s.prices[priceIntegration], Quantity: 1}},
		Key:   key("quote-open"),
	})
	if err != nil {
		return err
	}
	return settle(ctx, func(ctx context.Context) error { return s.finalizeQuote(ctx, id) }, func(ctx context.Context) (bool, error) {
		q, err := find(ctx, s.Billing.Client().Quote.Query().All, func(q *ent.Quote) bool { return q.ID == id })
		return err == nil && q.Status != "DRAFT", err
	})
}

func (s *seeder) finalizeQuote(ctx context.Context, id string) error {
	begun, err := s.Billing.BeginQuoteFinalization(ctx, billing.QuoteFinalizeDraft{ID: id, Key: key("quote-finalize")})
	if err != nil || begun.Call == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := gateway.QuoteResult{Outcome: gateway.Unsupported(begun.Kind, "keep quotes")}
	if quotes, ok := gateway.Capability[gateway.Quotes](s.Gateways, begun.Kind); ok {
		result = quotes.FinalizeQuote(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return s.Billing.FinishQuoteFinalization(ctx, begun.ID, result)
}

// invoices writes one that is open and one that Linus has paid by card.
func (s *seeder) invoices(ctx context.Context) error {
	if _, err := s.openInvoice(ctx, "open", s.acme, "Onboarding for three teams"); err != nil {
		return err
	}
	id, err := s.openInvoice(ctx, "paid", s.linus, "Historical archive")
	if err != nil {
		return err
	}
	card, err := s.card(ctx)
	if err != nil {
		return err
	}
	return settle(ctx, func(ctx context.Context) error { return s.pay(ctx, id, card) }, s.invoiceIs(id, "PAID"))
}

// openInvoice writes an invoice and finalizes it.
func (s *seeder) openInvoice(ctx context.Context, step, payer, description string) (string, error) {
	id, err := s.Billing.CreateInvoice(ctx, billing.InvoiceDraft{
		PayerID: payer, Description: &description, Collection: "SEND",
		Lines: []billing.LineDraft{{PriceID: s.prices[priceArchive], Quantity: 1}},
		Key:   key("invoice-" + step),
	})
	if err != nil {
		return "", err
	}
	return id, settle(ctx, func(ctx context.Context) error { return s.finalizeInvoice(ctx, id, "invoice-finalize-"+step) },
		s.invoiceIs(id, "OPEN", "PAID"))
}

func (s *seeder) finalizeInvoice(ctx context.Context, id, step string) error {
	begun, err := s.Billing.BeginInvoiceFinalization(ctx, billing.InvoiceFinalizeDraft{ID: id, Key: key(step)})
	if err != nil || begun.Call == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := gateway.InvoiceResult{Outcome: gateway.Unsupported(begun.Kind, "keep invoices")}
	if invoices, ok := gateway.Capability[gateway.Invoices](s.Gateways, begun.Kind); ok {
		result = invoices.FinalizeInvoice(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return s.Billing.FinishInvoiceFinalization(ctx, begun.ID, result)
}

// card saves a test card of Linus's and returns its id.
func (s *seeder) card(ctx context.Context) (string, error) {
	var id string
	err := settle(ctx, func(ctx context.Context) error {
		begun, err := s.Billing.BeginCardAttach(ctx, billing.CardDraft{
			PayerID: s.linus, GatewayToken: testCard, MakeDefault: true, Key: key("card-linus"),
		})
		if err != nil {
			return err
		}
		id = begun.PaymentMethodID
		if begun.Call == nil {
			return nil
		}
		ctx, cancel := billing.Detached(ctx, callTimeout)
		defer cancel()
		result := gateway.CardResult{Outcome: gateway.Unsupported(begun.Kind, "save cards")}
		if cards, ok := gateway.Capability[gateway.Cards](s.Gateways, begun.Kind); ok {
			result = cards.AttachCard(ctx, begun.Account, begun.Call.Call, begun.Request)
		}
		return s.Billing.FinishCard(ctx, begun.ID, result)
	}, func(ctx context.Context) (bool, error) {
		if id == "" {
			return false, nil
		}
		m, err := find(ctx, s.Billing.Client().PaymentMethod.Query().All, func(m *ent.PaymentMethod) bool { return m.ID == id })
		return err == nil && m.Status == "ACTIVE", err
	})
	return id, err
}

func (s *seeder) pay(ctx context.Context, id, card string) error {
	begun, err := s.Billing.BeginInvoicePayment(ctx, billing.InvoicePayDraft{InvoiceID: id, PaymentMethodID: card, Key: key("invoice-pay")})
	if err != nil || begun.Call == nil {
		return err
	}
	ctx, cancel := billing.Detached(ctx, callTimeout)
	defer cancel()
	result := gateway.InvoiceResult{Outcome: gateway.Unsupported(begun.Kind, "keep invoices")}
	if invoices, ok := gateway.Capability[gateway.Invoices](s.Gateways, begun.Kind); ok {
		result = invoices.PayInvoice(ctx, begun.Account, begun.Call.Call, begun.Request)
	}
	return s.Billing.FinishInvoicePayment(ctx, begun.ID, result)
}

// invoiceIs returns a function that says whether the invoice has one of the
// statuses.
func (s *seeder) invoiceIs(id string, statuses ...string) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		i, err := find(ctx, s.Billing.Client().Invoice.Query().All, func(i *ent.Invoice) bool { return i.ID == id })
		if err != nil {
			return false, err
		}
		for _, wanted := range statuses {
			if string(i.Status) == wanted {
				return true, nil
			}
		}
		return false, nil
	}
}

// find reads the demo's few objects of a kind and returns the one that fits.
func find[T any](ctx context.Context, all func(context.Context) ([]*T, error), fits func(*T) bool) (*T, error) {
	list, err := all(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what was made: %w", err)
	}
	for _, o := range list {
		if fits(o) {
			return o, nil
		}
	}
	return nil, fmt.Errorf("what was made is not there: %T", new(T))
}
