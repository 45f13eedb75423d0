package ent

import (
	"purser/ent/balance"
	"purser/ent/invoice"
	"purser/ent/payment"
	"purser/ent/quote"
	"purser/ent/subscription"
)

// Live streams say with each object when it changed last, whatever the
// document shows of it (see collect.go).

// WithUpdatedAt makes sure that the time of the last change is read.
func (_q *BalanceQuery) WithUpdatedAt() *BalanceQuery {
	if len(_q.ctx.Fields) > 0 {
		_q.ctx.AppendFieldOnce(balance.FieldUpdatedAt)
	}
	return _q
}

// WithUpdatedAt makes sure that the time of the last change is read.
func (_q *InvoiceQuery) WithUpdatedAt() *InvoiceQuery {
	if len(_q.ctx.Fields) > 0 {
		_q.ctx.AppendFieldOnce(invoice.FieldUpdatedAt)
	}
	return _q
}

// WithUpdatedAt makes sure that the time of the last change is read.
func (_q *PaymentQuery) WithUpdatedAt() *PaymentQuery {
	if len(_q.ctx.Fields) > 0 {
		_q.ctx.AppendFieldOnce(payment.FieldUpdatedAt)
	}
	return _q
}

// WithUpdatedAt makes sure that the time of the last change is read.
func (_q *QuoteQuery) WithUpdatedAt() *QuoteQuery {
	if len(_q.ctx.Fields) > 0 {
		_q.ctx.AppendFieldOnce(quote.FieldUpdatedAt)
	}
	return _q
}

// WithUpdatedAt makes sure that the time of the last change is read.
func (_q *SubscriptionQuery) WithUpdatedAt() *SubscriptionQuery {
	if len(_q.ctx.Fields) > 0 {
		_q.ctx.AppendFieldOnce(subscription.FieldUpdatedAt)
	}
	return _q
}
