package billing

import (
	"context"
	"fmt"

	"purser/ent/balance"
	"purser/ent/gatewaycall"
	"purser/ent/gatewaycustomer"
	"purser/ent/gatewayevent"
	"purser/ent/invoice"
	"purser/ent/ledgerentry"
	"purser/ent/payment"
	"purser/ent/paymentmethod"
	"purser/ent/price"
	"purser/ent/product"
	"purser/ent/quote"
	"purser/ent/subscription"
)

// exists is the question whether any row fits.
type exists interface {
	Exist(context.Context) (bool, error)
}

// anyExists asks one question after the other until one is answered yes.
func anyExists(ctx context.Context, what string, questions ...exists) (bool, error) {
	for _, q := range questions {
		found, err := q.Exist(ctx)
		if err != nil {
			return false, fmt.Errorf("look whether %s is in use: %w", what, err)
		}
		if found {
			return true, nil
		}
	}
	return false, nil
}

// providerInUse reports whether any row refers to the provider.
func (tx *Tx) providerInUse(ctx context.Context, id string) (bool, error) {
	return anyExists(ctx, "provider "+id,
		tx.Payment.Query().Where(payment.ProviderID(id)),
		tx.PaymentMethod.Query().Where(paymentmethod.ProviderID(id)),
		tx.GatewayCustomer.Query().Where(gatewaycustomer.ProviderID(id)),
		tx.Invoice.Query().Where(invoice.ProviderID(id)),
		tx.Quote.Query().Where(quote.ProviderID(id)),
		tx.Subscription.Query().Where(subscription.ProviderID(id)),
		tx.Product.Query().Where(product.ProviderID(id)),
		tx.Balance.Query().Where(balance.AutoReloadProviderID(id)),
		tx.GatewayCall.Query().Where(gatewaycall.ProviderID(id)),
		tx.GatewayEvent.Query().Where(gatewayevent.ProviderID(id)),
		tx.LedgerEntry.Query().Where(ledgerentry.ProviderID(id)),
	)
}

// currencyInUse reports whether anything is counted in the currency.
func (tx *Tx) currencyInUse(ctx context.Context, code string) (bool, error) {
	return anyExists(ctx, "currency "+code,
		tx.Balance.Query().Where(balance.Currency(code)),
		tx.Price.Query().Where(price.Currency(code)),
		tx.Quote.Query().Where(quote.Currency(code)),
		tx.Invoice.Query().Where(invoice.Currency(code)),
		tx.Payment.Query().Where(payment.Currency(code)),
		tx.Subscription.Query().Where(subscription.Currency(code)),
	)
}
