package stripesandbox

import "net/http"

func chargeRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/charges/{id}", params: "customer description metadata receipt_email", run: updateCharge},
		search("/v1/charges", "charge"),
		retrieve("/v1/charges", "charge"),
		index("/v1/charges", "charge", listField{param: "customer", field: "customer"}, listField{param: "payment_intent", field: "payment_intent"}, listField{param: "transfer_group", field: "transfer_group"}),
	}
}

// newCharge makes the charge of an intent, as if it succeeded.
func (t *tx) newCharge(pi, pm object, card testCard) object {
	id, page := t.newID("ch_"), t.newID("")
	return object{
		"id": id, "object": "charge", "amount": pi["amount"], "amount_captured": pi["amount"], "amount_refunded": 0, "application": nil,
		"application_fee": nil, "application_fee_amount": nil, "balance_transaction": nil, "billing_details": pm["billing_details"],
		"calculated_statement_descriptor": nil, "captured": true, "created": t.now, "currency": pi["currency"], "customer": pi["customer"],
		"description": pi["description"], "dispute": nil, "disputed": false, "failure_balance_transaction": nil, "failure_code": nil,
		"failure_message": nil, "fraud_details": object{}, "invoice": pi["invoice"], "livemode": false, "metadata": pi["metadata"],
		"on_behalf_of": nil,
		"outcome":      object{"network_status": "approved_by_network", "reason": nil, "risk_level": "normal", "seller_message": "Payment complete.", "type": "authorized"},
		"paid":         true, "payment_intent": pi.id(), "payment_method": pm.id(),
		"payment_method_details": object{"type": "card", "card": object{
			"amount_authorized": pi["amount"], "brand": card.brandName(), "checks": object{"address_line1_check": nil, "address_postal_code_check": nil, "cvc_check": "pass"},
			"country": "US", "exp_month": pm.sub("card")["exp_month"], "exp_year": pm.sub("card")["exp_year"], "fingerprint": pm.sub("card")["fingerprint"],
			"funding": card.fundingName(), "installments": nil, "last4": card.last4(), "mandate": nil, "network": card.brandName(), "three_d_secure": nil, "wallet": nil,
		}},
		"radar_options": object{}, "receipt_email": pi["receipt_email"], "receipt_number": nil, "receipt_url": t.srv.link("/pages/receipts/" + page),
		"refunded": false, "refunds": listOf("/v1/charges/"+id+"/refunds", nil), "review": nil, "shipping": pi["shipping"], "source": nil, "source_transfer": nil,
		"statement_descriptor": pi["statement_descriptor"], "statement_descriptor_suffix": pi["statement_descriptor_suffix"],
		"status": "succeeded", "transfer_data": nil, "transfer_group": pi["transfer_group"], "_page": page, "_card": card.key,
	}
}

func updateCharge(t *tx, in *params) (object, error) {
	charge, err := t.get("charge", in.path("id"))
	if err != nil {
		return nil, err
	}
	if in.filled("customer") {
		in.refuse(notEmulated("customer", "Changing the customer of a charge"))
	}
	err = t.change(charge, "charge.updated", func() {
		for _, name := range []string{"description", "receipt_email"} {
			if in.has(name) {
				charge[name] = orNull(in.str(name))
			}
		}
		charge["metadata"] = in.metadata(charge.sub("metadata"))
	})
	if err != nil {
		return nil, err
	}
	return charge, in.err()
}

func refundRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/refunds", params: "amount charge metadata payment_intent reason", run: createRefund},
		{method: http.MethodPost, path: "/v1/refunds/{id}", params: "metadata", run: updateRefund},
		retrieve("/v1/refunds", "refund"),
		index("/v1/refunds", "refund", listField{param: "charge", field: "charge"}, listField{param: "payment_intent", field: "payment_intent"}),
	}
}

// refundSettleSeconds is how long a pending refund takes.
const refundSettleSeconds = 5

func createRefund(t *tx, in *params) (object, error) {
	charge, err := t.chargeToRefund(in)
	if err != nil {
		return nil, err
	}
	left := charge.num("amount_captured") - charge.num("_refunded")
	amount := left
	if in.filled("amount") {
		amount = in.amount("amount", charge.str("currency"), 1)
	}
	reason := in.oneOf("reason", "", "duplicate", "fraudulent", "requested_by_customer")
	metadata := in.metadata(nil)
	if err := in.err(); err != nil {
		return nil, err
	}
	switch {
	case charge.str("status") != "succeeded" || !charge.flag("captured"):
		return nil, conflict("charge_not_refundable", "This charge has not been captured or did not succeed and cannot be refunded.")
	case charge.flag("disputed"):
		return nil, conflict("refund_disputed_payment", "Charge %s has been charged back; cannot issue a refund.", charge.id())
	case left == 0:
		return nil, conflict("charge_already_refunded", "Charge %s has already been refunded.", charge.id())
	case amount > left:
		e := conflict("", "Refund amount (%s) is greater than unrefunded amount on charge (%s)", display(amount, charge.str("currency")), display(left, charge.str("currency")))
		e.body["param"] = "amount"
		return nil, e
	}
	refund := object{
		"id": t.newID("re_"), "object": "refund", "amount": amount, "balance_transaction": nil, "charge": charge.id(), "created": t.now,
		"currency":            charge["currency"],
		"destination_details": object{"card": object{"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}, "type": "card"},
		"metadata":            metadata, "payment_intent": charge["payment_intent"], "reason": orNull(reason), "receipt_number": nil,
		"source_transfer_reversal": nil, "status": "succeeded", "transfer_reversal": nil, "livemode": false,
	}
	card, _ := cardByKey(charge.str("_card"))
	switch card.refundLate {
	case "succeeded":
		refund["status"] = "pending"
		fallthrough
	case "failed":
		refund["_settles_at"], refund["_settles_as"] = t.now+refundSettleSeconds, card.refundLate
	}
	refund["balance_transaction"] = t.move("refund", refund, -amount, 0)
	t.insert(refund)
	if err := t.applyRefunds(charge); err != nil {
		return nil, err
	}
	t.emit("charge.refunded", charge)
	t.emit("refund.created", refund)
	return refund, nil
}

func (t *tx) chargeToRefund(in *params) (object, error) {
	if in.filled("charge") {
		charge, err := t.named("charge", in.str("charge"), "charge")
		return charge, err
	}
	if !in.filled("payment_intent") {
		return nil, invalid("parameter_missing", "charge", "One of the following params should be provided for this request: payment_intent or charge.")
	}
	pi, err := t.named("payment_intent", in.str("payment_intent"), "payment_intent")
	if err != nil {
		return nil, err
	}
	if pi.str("latest_charge") == "" {
		return nil, conflict("", "This PaymentIntent (%s) does not have a successful charge to refund.", pi.id())
	}
	return t.get("charge", pi.str("latest_charge"))
}

// applyRefunds recounts what of a charge went back; failed refunds do not count.
func (t *tx) applyRefunds(charge object) error {
	refunds, _, err := t.list(listing{kind: "refund", filters: []filter{{"charge", "=", charge.id()}}})
	if err != nil {
		return err
	}
	var back int64
	for _, r := range refunds {
		if s := r.str("status"); s == "succeeded" || s == "pending" {
			back += r.num("amount")
		}
	}
	charge["_refunded"] = back
	charge["amount_refunded"] = charge.num("amount") - charge.num("amount_captured") + back
	charge["refunded"] = back == charge.num("amount_captured") && back > 0
	charge["refunds"] = listOf("/v1/charges/"+charge.id()+"/refunds", refunds)
	t.save(charge)
	return nil
}

// settleRefund ends a refund that takes its time.
func (t *tx) settleRefund(refund object) error {
	charge, err := t.get("charge", refund.str("charge"))
	if err != nil {
		return err
	}
	before, err := refund.clone()
	if err != nil {
		return err
	}
	refund["status"] = refund.str("_settles_as")
	delete(refund, "_settles_at")
	if refund.str("status") == "failed" {
		refund["failure_reason"] = "expired_or_canceled_card"
		refund["failure_balance_transaction"] = t.move("refund_failure", refund, refund.num("amount"), 0)
	}
	t.save(refund)
	if err := t.applyRefunds(charge); err != nil {
		return err
	}
	difference := changes(before, refund)
	t.emitChange("charge.refund.updated", refund, difference)
	t.emitChange("refund.updated", refund, difference)
	return nil
}

func updateRefund(t *tx, in *params) (object, error) {
	refund, err := t.get("refund", in.path("id"))
	if err != nil {
		return nil, err
	}
	err = t.change(refund, "refund.updated", func() { refund["metadata"] = in.metadata(refund.sub("metadata")) })
	if err != nil {
		return nil, err
	}
	return refund, in.err()
}

func disputeRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/disputes/{id}", params: "evidence metadata submit", run: updateDispute},
		{method: http.MethodPost, path: "/v1/disputes/{id}/close", run: closeDisputeRoute},
		retrieve("/v1/disputes", "dispute"),
		index("/v1/disputes", "dispute", listField{param: "charge", field: "charge"}, listField{param: "payment_intent", field: "payment_intent"}),
	}
}

const disputeAnswerSeconds = 7 * 24 * 3600

// openDispute disputes the whole of a charge.
func (t *tx) openDispute(charge object, card testCard) {
	dispute := object{
		"id": t.newID("dp_"), "object": "dispute", "amount": charge["amount"], "balance_transactions": []any{}, "charge": charge.id(),
		"created": t.now, "currency": charge["currency"], "evidence": object{"uncategorized_text": nil},
		"evidence_details":     object{"due_by": t.now + disputeAnswerSeconds, "has_evidence": false, "past_due": false, "submission_count": 0},
		"is_charge_refundable": card.inquiry, "livemode": false, "metadata": object{}, "payment_intent": charge["payment_intent"],
		"payment_method_details": object{"type": "card", "card": object{"brand": card.brandName(), "network_reason_code": "10.4"}},
		"reason":                 card.dispute, "status": "needs_response",
	}
	if card.inquiry {
		dispute["status"] = "warning_needs_response"
	} else {
		charge["disputed"] = true
	}
	charge["dispute"] = dispute.id()
	t.insert(dispute)
	if !card.inquiry {
		t.move("adjustment", dispute, -dispute.num("amount"), 0)
	}
	t.save(charge)
	t.emit("charge.dispute.created", dispute)
	if !card.inquiry {
		t.emit("charge.dispute.funds_withdrawn", dispute)
	}
}

func disputeClosed(d object) bool {
	switch d.str("status") {
	case "won", "lost", "warning_closed":
		return true
	}
	return false
}

// updateDispute takes evidence. The texts winning_evidence and losing_evidence
// decide the dispute at once, as they do in Stripe's test mode.
func updateDispute(t *tx, in *params) (object, error) {
	d, err := t.get("dispute", in.path("id"))
	if err != nil {
		return nil, err
	}
	text := in.part("evidence").str("uncategorized_text")
	submit := in.flag("submit", true)
	d["metadata"] = in.metadata(d.sub("metadata"))
	if err := in.err(); err != nil {
		return nil, err
	}
	if in.filled("evidence") {
		if disputeClosed(d) {
			return nil, conflict("", "This dispute is already closed.")
		}
		if text != "" {
			d.sub("evidence")["uncategorized_text"] = text
		}
		details := d.sub("evidence_details")
		details["has_evidence"] = true
		if submit {
			details["submission_count"] = details.num("submission_count") + 1
			switch {
			case text == "winning_evidence":
				return d, t.closeDispute(d, "won")
			case text == "losing_evidence":
				return d, t.closeDispute(d, "lost")
			case d.str("status") == "warning_needs_response":
				d["status"] = "warning_under_review"
			default:
				d["status"] = "under_review"
			}
		}
	}
	t.save(d)
	t.emit("charge.dispute.updated", d)
	return d, nil
}

func closeDisputeRoute(t *tx, in *params) (object, error) {
	d, err := t.get("dispute", in.path("id"))
	if err != nil {
		return nil, err
	}
	if disputeClosed(d) {
		return nil, conflict("", "This dispute is already closed.")
	}
	return d, t.closeDispute(d, "lost")
}

// closeDispute ends a dispute as won or lost; won brings the money back.
func (t *tx) closeDispute(d object, as string) error {
	inquiry := d.str("status") == "warning_needs_response" || d.str("status") == "warning_under_review"
	d["status"] = as
	if inquiry {
		d["status"] = "warning_closed"
	}
	t.save(d)
	charge, err := t.get("charge", d.str("charge"))
	if err != nil {
		return err
	}
	if !inquiry && as == "won" {
		charge["disputed"] = false
		t.save(charge)
		t.move("adjustment", d, d.num("amount"), 0)
	}
	t.emit("charge.dispute.closed", d)
	if !inquiry && as == "won" {
		t.emit("charge.dispute.funds_reinstated", d)
	}
	return nil
}
