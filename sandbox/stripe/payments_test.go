package stripesandbox_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
)

// TestCards charges every test card on and off session, by its token and typed
// into the hosted page.
func TestCards(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const ok, action = "succeeded", "requires_action"
	for _, c := range []struct {
		number, token string
		attach        string // code when saved, "" when it is
		onSession     string // status or code/decline code
		offSession    string
		afterAuth     string // status after completing 3-D Secure, if it is asked for
	}{
		{"4242424242424242", "pm_card_visa", "", ok, ok, ""},
		{"4000056655665556", "pm_card_visa_debit", "", ok, ok, ""},
		{"5555555555554444", "pm_card_mastercard", "", ok, ok, ""},
		{"378282246310005", "pm_card_amex", "", ok, ok, ""},
		{"6011111111111117", "pm_card_discover", "", ok, ok, ""},
		{"4000000000000002", "pm_card_visa_chargeDeclined", "card_declined", "card_declined/generic_decline", "card_declined/generic_decline", ""},
		{"4000000000000002", "pm_card_chargeDeclined", "card_declined", "card_declined/generic_decline", "card_declined/generic_decline", ""},
		{"4000000000009995", "pm_card_visa_chargeDeclinedInsufficientFunds", "", "card_declined/insufficient_funds", "card_declined/insufficient_funds", ""},
		{"4000000000009987", "pm_card_visa_chargeDeclinedLostCard", "card_declined", "card_declined/lost_card", "card_declined/lost_card", ""},
		{"4000000000009979", "pm_card_visa_chargeDeclinedStolenCard", "card_declined", "card_declined/stolen_card", "card_declined/stolen_card", ""},
		{"4000000000000069", "pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card/expired_card", "expired_card/expired_card", ""},
		{"4000000000000127", "pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc/incorrect_cvc", "incorrect_cvc/incorrect_cvc", ""},
		{"4000000000000119", "pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error/processing_error", "processing_error/processing_error", ""},
		{"4000000000000341", "pm_card_chargeCustomerFail", "", "card_declined/generic_decline", "card_declined/generic_decline", ""},
		{"4100000000000019", "pm_card_radarBlock", "", "card_declined/fraudulent", "card_declined/fraudulent", ""},
		{"4000002500003155", "pm_card_authenticationRequiredOnSetup", "", action, "authentication_required/authentication_required", ok},
		{"4000002760003184", "pm_card_authenticationRequired", "", action, "authentication_required/authentication_required", ok},
		{"4000003800000446", "pm_card_authenticationRequiredSetupForOffSession", "", action, ok, ok},
		{"4000008260003178", "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds", "", action, "authentication_required/authentication_required", "requires_payment_method"},
		{"4000000000003220", "pm_card_threeDSecure2Required", "", action, "authentication_required/authentication_required", ok},
		{"4000000000003055", "pm_card_threeDSecureOptional", "", ok, ok, ""},
		{"4000008400001629", "pm_card_threeDSecureRequiredChargeDeclined", "", action, "authentication_required/authentication_required", "requires_payment_method"},
		{"4000008400001280", "pm_card_threeDSecureRequiredProcessingError", "", action, "authentication_required/authentication_required", "requires_payment_method"},
		{"4000000000003063", "pm_card_threeDSecure2OffSessionDeclined", "", action, "card_declined/generic_decline", ok},
		{"4000000000000259", "pm_card_createDispute", "", ok, ok, ""},
		{"4000000000002685", "pm_card_createDisputeProductNotReceived", "", ok, ok, ""},
		{"4000000000001976", "pm_card_createDisputeInquiry", "", ok, ok, ""},
		{"4000000000007726", "pm_card_pendingRefund", "", ok, ok, ""},
		{"4000000000005126", "pm_card_refundFail", "", ok, ok, ""},
	} {
		t.Run(c.number+" "+c.token, func(t *testing.T) {
			customer := must(b.Customers.New(&stripe.CustomerParams{}))(t)
			_, err := b.PaymentMethods.Attach(c.token, &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer.ID)})
			if c.attach == "" && err != nil {
				t.Errorf("attach: %v", err)
			}
			if c.attach != "" {
				equal(t, "code at attach", string(refused(t, err, 402).Code), c.attach)
			}
			for _, session := range []struct {
				off  bool
				want string
			}{{false, c.onSession}, {true, c.offSession}} {
				pi, err := b.intent(c.token, customer.ID, func(p *stripe.PaymentIntentParams) {
					p.ReturnURL = stripe.String("https://shop.example/back?x=1")
					p.OffSession = stripe.Bool(session.off)
				})
				what := fmt.Sprintf("outcome with off_session=%t", session.off)
				if strings.Contains(session.want, "/") {
					e := refused(t, err, 402)
					equal(t, what, string(e.Code)+"/"+string(e.DeclineCode), session.want)
					equal(t, "intent in the error", e.PaymentIntent.Status, stripe.PaymentIntentStatusRequiresPaymentMethod)
					equal(t, "card in the intent's error", e.PaymentIntent.LastPaymentError.PaymentMethod.Card.Last4, c.number[len(c.number)-4:])
					equal(t, "card of the error", e.PaymentMethod.Card.Last4, c.number[len(c.number)-4:])
					equal(t, "charge of the error", must(b.Charges.Get(e.ChargeID, nil))(t).Paid, false)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				equal(t, what, string(pi.Status), session.want)
				if pi.Status == stripe.PaymentIntentStatusSucceeded {
					equal(t, "amount received", pi.AmountReceived, 2000)
					continue
				}
				equal(t, "return address", pi.NextAction.RedirectToURL.ReturnURL, "https://shop.example/back?x=1")
				done := browseOnce(t, pi.NextAction.RedirectToURL.URL, url.Values{"complete": {"complete"}})
				equal(t, "status of the form", done.status, 303)
				after := must(b.PaymentIntents.Get(pi.ID, nil))(t)
				equal(t, "status after 3-D Secure", string(after.Status), c.afterAuth)
				back := must(url.Parse(done.header.Get("Location")))(t)
				equal(t, "way back", back.Host+back.Path, "shop.example/back")
				equal(t, "own parameter", back.Query().Get("x"), "1")
				equal(t, "intent on the way back", back.Query().Get("payment_intent"), pi.ID)
				want := "failed"
				if c.afterAuth == ok {
					want = "succeeded"
				}
				equal(t, "result on the way back", back.Query().Get("redirect_status"), want)
			}

			// Typed into the hosted page the payer is there.
			inv := b.invoice(customer.ID)
			shown := browseOnce(t, inv.HostedInvoiceURL, card(c.number))
			wantStatus := map[bool]int{true: 303, false: 402}[c.onSession == ok || c.onSession == action]
			equal(t, "status of the hosted page", shown.status, wantStatus)
			paid := must(b.Invoices.Get(inv.ID, nil))(t).Paid
			equal(t, "invoice paid on the hosted page", paid, c.onSession == ok)
		})
	}
	_, err := b.PaymentMethods.New(&stripe.PaymentMethodParams{Type: stripe.String("card"), Card: &stripe.PaymentMethodCardParams{
		Number: stripe.String("4242424242424241"), ExpMonth: stripe.Int64(12), ExpYear: stripe.Int64(2044), CVC: stripe.String("123"),
	}})
	equal(t, "code of a wrong number", refused(t, err, 402).Code, stripe.ErrorCodeIncorrectNumber)
	_, err = b.PaymentMethods.New(&stripe.PaymentMethodParams{Type: stripe.String("card"), Card: &stripe.PaymentMethodCardParams{
		Number: stripe.String("5105105105105100"), ExpMonth: stripe.Int64(12), ExpYear: stripe.Int64(2044),
	}})
	if e := refused(t, err, 402); strings.Contains(e.Msg, "5105105105105100") {
		t.Errorf("the refusal repeats the number: %s", e.Msg)
	}
	_, err = b.PaymentMethods.New(&stripe.PaymentMethodParams{Type: stripe.String("card"), Card: &stripe.PaymentMethodCardParams{
		Number: stripe.String("4242424242424242"), ExpMonth: stripe.Int64(1), ExpYear: stripe.Int64(2020),
	}})
	equal(t, "code of a past expiry", refused(t, err, 402).Code, stripe.ErrorCodeExpiredCard)
}

func TestCardIsDeclinedOnceItHasExpired(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	end := time.Now().UTC().Add(day)
	pm := must(b.PaymentMethods.New(&stripe.PaymentMethodParams{Type: stripe.String("card"), Card: &stripe.PaymentMethodCardParams{
		Number: stripe.String("4242424242424242"), ExpMonth: stripe.Int64(int64(end.Month())), ExpYear: stripe.Int64(int64(end.Year())),
	}}))(t)
	must(b.PaymentMethods.Attach(pm.ID, &stripe.PaymentMethodAttachParams{Customer: stripe.String(customer.ID)}))(t)
	must(b.intent(pm.ID, customer.ID, nil))(t)
	b.advance(40 * day)
	_, err := b.intent(pm.ID, customer.ID, nil)
	equal(t, "code of an expired card", refused(t, err, 402).Code, stripe.ErrorCodeExpiredCard)
	must(b.PaymentMethods.Update(pm.ID, &stripe.PaymentMethodParams{Card: &stripe.PaymentMethodCardParams{ExpYear: stripe.Int64(2044)}}))(t)
	must(b.intent(pm.ID, customer.ID, nil))(t)
}

func TestCardSetUpOnceNeedsNoAuthenticationLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	si := must(b.SetupIntents.New(&stripe.SetupIntentParams{
		Customer: stripe.String(customer.ID), PaymentMethod: stripe.String("pm_card_authenticationRequiredOnSetup"),
		Confirm: stripe.Bool(true), ReturnURL: stripe.String("https://shop.example/back"),
	}))(t)
	equal(t, "setup status", si.Status, stripe.SetupIntentStatusRequiresAction)
	done := browseOnce(t, si.NextAction.RedirectToURL.URL, url.Values{"complete": {"complete"}})
	if !strings.Contains(done.header.Get("Location"), "setup_intent="+si.ID) {
		t.Errorf("the way back is %s", done.header.Get("Location"))
	}
	si = must(b.SetupIntents.Get(si.ID, nil))(t)
	equal(t, "setup status", si.Status, stripe.SetupIntentStatusSucceeded)
	pm := must(b.PaymentMethods.Get(si.PaymentMethod.ID, nil))(t)
	equal(t, "owner of the card", pm.Customer.ID, customer.ID)
	pi := must(b.intent(pm.ID, customer.ID, func(p *stripe.PaymentIntentParams) { p.OffSession = stripe.Bool(true) }))(t)
	equal(t, "off-session status", pi.Status, stripe.PaymentIntentStatusSucceeded)

	listed := b.PaymentMethods.List(&stripe.PaymentMethodListParams{Customer: stripe.String(customer.ID), Type: stripe.String("card")})
	equal(t, "listed", listed.Next() && listed.PaymentMethod().ID == pm.ID, true)
	must(b.PaymentMethods.Detach(pm.ID, &stripe.PaymentMethodDetachParams{}))(t)
	equal(t, "listed after detaching", b.PaymentMethods.List(&stripe.PaymentMethodListParams{Customer: stripe.String(customer.ID)}).Next(), false)
}

func TestSetupIntentRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	si, err := b.SetupIntents.New(&stripe.SetupIntentParams{PaymentMethod: stripe.String("pm_card_chargeDeclined"), Confirm: stripe.Bool(true)})
	e := refused(t, err, 402)
	equal(t, "status in the error", e.SetupIntent.Status, stripe.SetupIntentStatusRequiresPaymentMethod)
	_ = si
	si = must(b.SetupIntents.New(&stripe.SetupIntentParams{}))(t)
	_, err = b.SetupIntents.Confirm(si.ID, &stripe.SetupIntentConfirmParams{})
	refused(t, err, 400)
	si = must(b.SetupIntents.Confirm(si.ID, &stripe.SetupIntentConfirmParams{PaymentMethod: stripe.String("pm_card_authenticationRequired")}))(t)
	equal(t, "action without a way back", si.NextAction.Type, stripe.SetupIntentNextActionTypeUseStripeSDK)
	page := string(must(jsonField(si.LastResponse.RawJSON, "next_action", "use_stripe_sdk", "stripe_js"))(t))
	browse(t, page, url.Values{"fail": {"fail"}}).contains(t, "The authentication failed")
	si = must(b.SetupIntents.Get(si.ID, nil))(t)
	equal(t, "code after a failed authentication", si.LastSetupError.Code, stripe.ErrorCodeSetupIntentAuthenticationFailure)
	si = must(b.SetupIntents.Cancel(si.ID, &stripe.SetupIntentCancelParams{CancellationReason: stripe.String("abandoned")}))(t)
	equal(t, "status", si.Status, stripe.SetupIntentStatusCanceled)
	_, err = b.SetupIntents.Confirm(si.ID, &stripe.SetupIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")})
	equal(t, "code", refused(t, err, 400).Code, stripe.ErrorCodeSetupIntentUnexpectedState)
}

func TestPaymentIntentStates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	customer := b.customer("")
	pi := must(b.PaymentIntents.New(&stripe.PaymentIntentParams{
		Amount: stripe.Int64(500), Currency: stripe.String("jpy"), Customer: stripe.String(customer.ID),
		SetupFutureUsage: stripe.String("off_session"),
	}))(t)
	equal(t, "status", pi.Status, stripe.PaymentIntentStatusRequiresPaymentMethod)
	if !strings.HasPrefix(pi.ClientSecret, pi.ID+"_secret_") {
		t.Errorf("the client secret is %s", pi.ClientSecret)
	}
	pi = must(b.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{Amount: stripe.Int64(600)}))(t)
	equal(t, "amount", pi.Amount, 600)
	pi = must(b.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")}))(t)
	equal(t, "status", pi.Status, stripe.PaymentIntentStatusSucceeded)
	equal(t, "owner of the saved card", must(b.PaymentMethods.Get(pi.PaymentMethod.ID, nil))(t).Customer.ID, customer.ID)
	_, err := b.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")})
	e := refused(t, err, 400)
	equal(t, "code", e.Code, stripe.ErrorCodePaymentIntentUnexpectedState)
	equal(t, "intent in the error", e.PaymentIntent.ID, pi.ID)
	_, err = b.PaymentIntents.Cancel(pi.ID, &stripe.PaymentIntentCancelParams{})
	refused(t, err, 400)
	_, err = b.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{Amount: stripe.Int64(1)})
	refused(t, err, 400)
	pi = must(b.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{Metadata: map[string]string{"a": "b"}}))(t)
	equal(t, "metadata", pi.Metadata["a"], "b")

	held := must(b.intent("pm_card_visa", "", func(p *stripe.PaymentIntentParams) { p.CaptureMethod = stripe.String("manual") }))(t)
	equal(t, "status", held.Status, stripe.PaymentIntentStatusRequiresCapture)
	equal(t, "capturable", held.AmountCapturable, 2000)
	held = must(b.PaymentIntents.Capture(held.ID, &stripe.PaymentIntentCaptureParams{AmountToCapture: stripe.Int64(1500)}))(t)
	equal(t, "status", held.Status, stripe.PaymentIntentStatusSucceeded)
	equal(t, "received", held.AmountReceived, 1500)
	released := must(b.intent("pm_card_visa", "", func(p *stripe.PaymentIntentParams) { p.CaptureMethod = stripe.String("manual") }))(t)
	released = must(b.PaymentIntents.Cancel(released.ID, &stripe.PaymentIntentCancelParams{CancellationReason: stripe.String("requested_by_customer")}))(t)
	equal(t, "status", released.Status, stripe.PaymentIntentStatusCanceled)

	_, err = b.intent("pm_card_authenticationRequired", "", func(p *stripe.PaymentIntentParams) { p.ErrorOnRequiresAction = stripe.Bool(true) })
	equal(t, "code", refused(t, err, 402).Code, stripe.ErrorCodeAuthenticationRequired)
	other := b.customer("pm_card_visa")
	_, err = b.intent(other.InvoiceSettings.DefaultPaymentMethod.ID, customer.ID, nil)
	refused(t, err, 400)
}

func TestFailedAuthentication(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pi := must(b.intent("pm_card_authenticationRequired", "", func(p *stripe.PaymentIntentParams) { p.ReturnURL = stripe.String("https://shop.example/") }))(t)
	nothing := browse(t, pi.NextAction.RedirectToURL.URL, url.Values{"other": {"x"}})
	equal(t, "status of a form without a choice", nothing.status, 422)
	done := browseOnce(t, pi.NextAction.RedirectToURL.URL, url.Values{"fail": {"fail"}})
	if !strings.Contains(done.header.Get("Location"), "redirect_status=failed") {
		t.Errorf("the way back is %s", done.header.Get("Location"))
	}
	pi = must(b.PaymentIntents.Get(pi.ID, nil))(t)
	equal(t, "status", pi.Status, stripe.PaymentIntentStatusRequiresPaymentMethod)
	equal(t, "code", pi.LastPaymentError.Code, stripe.ErrorCodePaymentIntentAuthenticationFailure)
	equal(t, "charges", len(must(b.server.Inspect(t.Context(), testKey))(t).Charges), 0)
	pi = must(b.PaymentIntents.Confirm(pi.ID, &stripe.PaymentIntentConfirmParams{PaymentMethod: stripe.String("pm_card_visa")}))(t)
	equal(t, "status with another card", pi.Status, stripe.PaymentIntentStatusSucceeded)
}

func TestRefunds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("charge.refunded", "refund.created", "charge.refund.updated", "refund.updated")
	pi := must(b.intent("pm_card_visa", "", nil))(t)
	re := must(b.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(pi.ID), Amount: stripe.Int64(500), Reason: stripe.String("requested_by_customer")}))(t)
	equal(t, "status", re.Status, stripe.RefundStatusSucceeded)
	equal(t, "charge", re.Charge.ID, pi.LatestCharge.ID)
	charge := must(b.Charges.Get(pi.LatestCharge.ID, nil))(t)
	equal(t, "refunded amount", charge.AmountRefunded, 500)
	equal(t, "refunded wholly", charge.Refunded, false)
	_, err := b.Refunds.New(&stripe.RefundParams{Charge: stripe.String(charge.ID), Amount: stripe.Int64(1501)})
	refused(t, err, 400)
	must(b.Refunds.New(&stripe.RefundParams{Charge: stripe.String(charge.ID)}))(t)
	get := &stripe.ChargeParams{}
	get.AddExpand("refunds")
	charge = must(b.Charges.Get(charge.ID, get))(t)
	equal(t, "refunded amount", charge.AmountRefunded, 2000)
	equal(t, "refunded wholly", charge.Refunded, true)
	equal(t, "refunds", len(charge.Refunds.Data), 2)
	_, err = b.Refunds.New(&stripe.RefundParams{Charge: stripe.String(charge.ID)})
	equal(t, "code", refused(t, err, 400).Code, stripe.ErrorCodeChargeAlreadyRefunded)
	browse(t, charge.ReceiptURL, nil).contains(t, "Refunded", "20.00 USD")
	hook.wait(t, 4)

	late := must(b.intent("pm_card_pendingRefund", "", nil))(t)
	re = must(b.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(late.ID)}))(t)
	equal(t, "status", re.Status, stripe.RefundStatusPending)
	failing := must(b.intent("pm_card_refundFail", "", nil))(t)
	bad := must(b.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(failing.ID)}))(t)
	equal(t, "status", bad.Status, stripe.RefundStatusSucceeded)
	if err := b.server.AdvanceClock(t.Context(), testKey, time.Minute); err != nil {
		t.Fatal(err)
	}
	equal(t, "status later", must(b.Refunds.Get(re.ID, nil))(t).Status, stripe.RefundStatusSucceeded)
	bad = must(b.Refunds.Get(bad.ID, nil))(t)
	equal(t, "status later", bad.Status, stripe.RefundStatusFailed)
	equal(t, "failure", bad.FailureReason, stripe.RefundFailureReasonExpiredOrCanceledCard)
	equal(t, "refunded amount after the failure", must(b.Charges.Get(failing.LatestCharge.ID, nil))(t).AmountRefunded, 0)
	hook.wait(t, 12)
}

func TestDisputes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("charge.dispute.created", "charge.dispute.funds_withdrawn", "charge.dispute.closed", "charge.dispute.funds_reinstated")
	pi := must(b.intent("pm_card_createDispute", "", nil))(t)
	it := b.Disputes.List(&stripe.DisputeListParams{PaymentIntent: stripe.String(pi.ID)})
	if !it.Next() {
		t.Fatal("there is no dispute")
	}
	d := it.Dispute()
	equal(t, "status", d.Status, stripe.DisputeStatusNeedsResponse)
	equal(t, "amount", d.Amount, 2000)
	if d.EvidenceDetails.DueBy <= time.Now().Unix() {
		t.Error("the evidence was due before the dispute")
	}
	_, err := b.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(pi.ID)})
	equal(t, "code", refused(t, err, 400).Code, stripe.ErrorCode("refund_disputed_payment"))
	d = must(b.Disputes.Update(d.ID, &stripe.DisputeParams{Evidence: &stripe.DisputeEvidenceParams{UncategorizedText: stripe.String("winning_evidence")}}))(t)
	equal(t, "status", d.Status, stripe.DisputeStatusWon)
	equal(t, "disputed", must(b.Charges.Get(pi.LatestCharge.ID, nil))(t).Disputed, false)
	hook.wait(t, 4)

	lost := must(b.intent("pm_card_createDisputeProductNotReceived", "", nil))(t)
	it = b.Disputes.List(&stripe.DisputeListParams{PaymentIntent: stripe.String(lost.ID)})
	it.Next()
	equal(t, "reason", it.Dispute().Reason, stripe.DisputeReasonProductNotReceived)
	equal(t, "status", must(b.Disputes.Close(it.Dispute().ID, nil))(t).Status, stripe.DisputeStatusLost)
	_, err = b.Disputes.Close(it.Dispute().ID, nil)
	refused(t, err, 400)

	inquiry := must(b.intent("pm_card_createDisputeInquiry", "", nil))(t)
	it = b.Disputes.List(&stripe.DisputeListParams{PaymentIntent: stripe.String(inquiry.ID)})
	it.Next()
	equal(t, "status", it.Dispute().Status, stripe.DisputeStatusWarningNeedsResponse)
	must(b.Refunds.New(&stripe.RefundParams{PaymentIntent: stripe.String(inquiry.ID)}))(t)
}

// TestDeletedCustomer: a deleted customer is shown as such for good, takes its
// cards with it, and is no good for anything.
func TestDeletedCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("customer.deleted", "payment_method.detached")
	c := b.customer("pm_card_visa")
	method := c.InvoiceSettings.DefaultPaymentMethod.ID
	deleted := must(b.Customers.Del(c.ID, nil))(t)
	equal(t, "answer", fmt.Sprint(deleted.ID, deleted.Object, deleted.Deleted), fmt.Sprint(c.ID, "customer", true))
	equal(t, "deleted, read again", must(b.Customers.Get(c.ID, nil))(t).Deleted, true)
	equal(t, "customers listed", len(b.Customers.List(&stripe.CustomerListParams{}).CustomerList().Data), 0)
	equal(t, "its card is nobody's", must(b.PaymentMethods.Get(method, nil))(t).Customer == nil, true)
	for _, e := range hook.distinct(t, 2) {
		if e.event.Type == "customer.deleted" {
			equal(t, "who is told of", e.event.GetObjectValue("id")+e.event.GetObjectValue("name"), c.ID+"Ada")
		}
	}
	_, err := b.intent("pm_card_visa", c.ID, nil)
	e := refused(t, err, 400)
	equal(t, "refusal", fmt.Sprint(e.Code, " ", e.Param, " ", e.Msg), "resource_missing customer No such customer: '"+c.ID+"'")
	_, err = b.Customers.Update(c.ID, &stripe.CustomerParams{Name: stripe.String("Grace")})
	equal(t, "of a change", refused(t, err, 404).Msg, "No such customer: '"+c.ID+"'")
	_, err = b.Customers.Del(c.ID, nil)
	refused(t, err, 404)
}
