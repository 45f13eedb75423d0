package ent

import (
	"purser/ent/balance"
	"purser/ent/paymentmethod"
)

// Field collection reads only the columns that the document shows. What the
// program itself needs of the rows beside them is added here; where no column
// was chosen, all are read anyway.

// WithPayerID makes sure that the payer's id is read.
func (_q *BalanceQuery) WithPayerID() *BalanceQuery {
	if len(_q.ctx.Fields) > 0 {
		_q.ctx.AppendFieldOnce(balance.FieldPayerID)
	}
	return _q
}

// WithPayerID makes sure that the payer's id is read.
func (_q *PaymentMethodQuery) WithPayerID() *PaymentMethodQuery {
	if len(_q.ctx.Fields) > 0 {
		_q.ctx.AppendFieldOnce(paymentmethod.FieldPayerID)
	}
	return _q
}
