package stripesandbox

import "net/http"

func movementRoutes() []route {
	return []route{
		retrieve("/v1/balance_transactions", "balance_transaction"),
		index("/v1/balance_transactions", "balance_transaction", listField{param: "source", field: "source"}, listField{param: "type", field: "type"},
			listField{param: "currency", field: "currency"}),
		{method: http.MethodPost, path: "/v1/payouts", params: "amount currency description metadata", run: createPayout},
		retrieve("/v1/payouts", "payout"),
		index("/v1/payouts", "payout"),
	}
}

// What the sandbox keeps of a charge: 2.9 % and 30 minor units, as Stripe does
// in the United States.
const (
	feeThousandths = 29
	feeFixed       = 30
)

// move writes a line of the account's balance: money that came in, or that went
// out where it is negative. It returns the line's id.
func (t *tx) move(kind string, source object, amount, fee int64) string {
	id := t.newID("txn_")
	details := []object{}
	if fee != 0 {
		details = append(details, object{"amount": fee, "application": nil, "currency": source["currency"], "description": "Processing fees", "type": "stripe_fee"})
	}
	t.insert(object{
		"id": id, "object": "balance_transaction", "amount": amount, "available_on": t.now, "created": t.now, "currency": source["currency"],
		"description": nil, "exchange_rate": nil, "fee": fee, "fee_details": details, "net": amount - fee, "reporting_category": kind,
		"source": source.id(), "status": "available", "type": kind,
	})
	return id
}

// moveCharge writes what a charge that succeeded brings.
func (t *tx) moveCharge(charge object) {
	amount := charge.num("amount_captured")
	charge["balance_transaction"] = t.move("charge", charge, amount, (amount*feeThousandths+500)/1000+feeFixed)
}

// createPayout sends money to the bank account at once.
func createPayout(t *tx, in *params) (object, error) {
	in.need("amount", "currency")
	payout := object{
		"id": t.newID("po_"), "object": "payout", "amount": in.amount("amount", in.str("currency"), 1), "arrival_date": t.now, "automatic": false,
		"balance_transaction": nil, "created": t.now, "currency": in.str("currency"), "description": orNull(in.str("description")), "destination": nil,
		"failure_code": nil, "failure_message": nil, "livemode": false, "metadata": in.metadata(nil), "method": "standard", "source_type": "card",
		"statement_descriptor": nil, "status": "paid", "type": "bank_account",
	}
	if err := in.err(); err != nil {
		return nil, err
	}
	payout["balance_transaction"] = t.move("payout", payout, -payout.num("amount"), 0)
	t.insert(payout)
	t.emit("payout.paid", payout)
	return payout, nil
}
