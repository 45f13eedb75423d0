package gateway

import (
	"context"
	"fmt"
)

// Directory finds the adapter of a gateway.
type Directory map[Kind]Adapter

// NewDirectory returns a directory of the adapters.
func NewDirectory(adapters ...Adapter) Directory {
	d := Directory{}
	for _, a := range adapters {
		d[a.Kind()] = a
	}
	return d
}

// Capability returns the adapter of a gateway as one of the capability
// interfaces, for example Capability[Charges](d, KindStripe); false when the
// gateway cannot do that.
func Capability[C any](d Directory, k Kind) (C, bool) {
	c, ok := d[k].(C)
	return c, ok
}

// Unsupported is the outcome of asking a gateway for what it cannot do.
func Unsupported(k Kind, what string) Outcome {
	return Outcome{Status: StatusRejected, Failure: &Failure{
		Code: CodeUnsupported, Message: fmt.Sprintf("%s cannot %s", k, what),
	}}
}

// FetchPayment asks how a payment stands: by its hosted page when it has one,
// else by the gateway's id.
func (d Directory) FetchPayment(ctx context.Context, a Account, referenceID, gatewayPaymentID string) PaymentResult {
	if referenceID != "" {
		if pages, ok := Capability[HostedPayments](d, a.Kind); ok {
			return pages.FetchHostedPayment(ctx, a, referenceID)
		}
	}
	if charges, ok := Capability[Charges](d, a.Kind); ok && gatewayPaymentID != "" {
		return charges.FetchPayment(ctx, a, gatewayPaymentID)
	}
	return PaymentResult{Outcome: Unsupported(a.Kind, "tell how a payment stands")}
}

// FetchInvoice asks how an invoice stands.
func (d Directory) FetchInvoice(ctx context.Context, a Account, invoiceID string) InvoiceResult {
	if invoices, ok := Capability[Invoices](d, a.Kind); ok {
		return invoices.FetchInvoice(ctx, a, invoiceID)
	}
	return InvoiceResult{Outcome: Unsupported(a.Kind, "keep invoices")}
}

// FetchSetup asks how the saving of a card stands.
func (d Directory) FetchSetup(ctx context.Context, a Account, reference string) CardResult {
	if cards, ok := Capability[Cards](d, a.Kind); ok {
		return cards.FetchSetup(ctx, a, reference)
	}
	return CardResult{Outcome: Unsupported(a.Kind, "save cards")}
}

// FetchCard asks how a saved card stands.
func (d Directory) FetchCard(ctx context.Context, a Account, cardID string) CardResult {
	if cards, ok := Capability[CardReads](d, a.Kind); ok {
		return cards.FetchCard(ctx, a, cardID)
	}
	return CardResult{Outcome: Unsupported(a.Kind, "tell how a card stands")}
}

// FetchCustomer asks whether a customer was deleted.
func (d Directory) FetchCustomer(ctx context.Context, a Account, customerID string) CustomerResult {
	if customers, ok := Capability[CustomerReads](d, a.Kind); ok {
		return customers.FetchCustomer(ctx, a, customerID)
	}
	return CustomerResult{Outcome: Unsupported(a.Kind, "tell of customers")}
}

// FetchRefund asks how a refund stands.
func (d Directory) FetchRefund(ctx context.Context, a Account, r RefundRequest, refundID string) RefundResult {
	if refunds, ok := Capability[Refunds](d, a.Kind); ok {
		return refunds.FetchRefund(ctx, a, r, refundID)
	}
	return RefundResult{Outcome: Unsupported(a.Kind, "give money back")}
}

// ConfirmRefund asks whether a refund that was told of is as it was told.
func (d Directory) ConfirmRefund(ctx context.Context, a Account, gatewayPaymentID string, told Told) RefundResult {
	if confirmations, ok := Capability[Confirmations](d, a.Kind); ok {
		return confirmations.ConfirmRefund(ctx, a, gatewayPaymentID, told)
	}
	return RefundResult{Outcome: Unsupported(a.Kind, "confirm a refund")}
}

// ConfirmDispute asks whether a dispute that was told of is as it was told.
func (d Directory) ConfirmDispute(ctx context.Context, a Account, gatewayPaymentID string, told Told) DisputeResult {
	if confirmations, ok := Capability[Confirmations](d, a.Kind); ok {
		return confirmations.ConfirmDispute(ctx, a, gatewayPaymentID, told)
	}
	return DisputeResult{Outcome: Unsupported(a.Kind, "confirm a dispute")}
}

// FetchRefunds asks what went back of a payment.
func (d Directory) FetchRefunds(ctx context.Context, a Account, gatewayPaymentID string) RefundsResult {
	if lists, ok := Capability[RefundLists](d, a.Kind); ok {
		return lists.FetchRefunds(ctx, a, gatewayPaymentID)
	}
	return RefundsResult{Outcome: Unsupported(a.Kind, "list refunds")}
}

// FetchDispute asks how a dispute stands.
func (d Directory) FetchDispute(ctx context.Context, a Account, disputeID string) DisputeResult {
	if disputes, ok := Capability[Disputes](d, a.Kind); ok {
		return disputes.FetchDispute(ctx, a, disputeID)
	}
	return DisputeResult{Outcome: Unsupported(a.Kind, "tell of disputes")}
}

// FetchQuote asks how a quote stands.
func (d Directory) FetchQuote(ctx context.Context, a Account, quoteID string) QuoteResult {
	if quotes, ok := Capability[Quotes](d, a.Kind); ok {
		return quotes.FetchQuote(ctx, a, quoteID)
	}
	return QuoteResult{Outcome: Unsupported(a.Kind, "keep quotes")}
}
