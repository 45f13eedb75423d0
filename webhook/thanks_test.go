package webhook

import (
	"testing"

	"purser/billing"
	"purser/ent/payment"
	"purser/language"
)

func TestTheThankYouPageTellsHowThePaymentStands(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		payment billing.PublicPayment
		left    bool
		heading string
	}{
		{"paid", billing.PublicPayment{Status: payment.StatusSUCCEEDED}, false, "Thank you"},
		{"paid in another window", billing.PublicPayment{Status: payment.StatusSUCCEEDED}, true, "Thank you"},
		{"declined", billing.PublicPayment{Status: payment.StatusFAILED}, false, "The payment did not go through"},
		{"given up", billing.PublicPayment{Status: payment.StatusCANCELED}, true, "The payment was canceled"},
		{"left", billing.PublicPayment{Status: payment.StatusREQUIRES_ACTION, ActionURL: "https://pay.example"}, true, "You left without paying"},
		{"not told yet", billing.PublicPayment{Status: payment.StatusREQUIRES_ACTION, ActionURL: "https://pay.example"}, false, "The payment is not complete"},
		{"at the bank", billing.PublicPayment{Status: payment.StatusPROCESSING}, false, "We are waiting for your bank"},
		{"left while at the bank", billing.PublicPayment{Status: payment.StatusPROCESSING}, true, "We are waiting for your bank"},
	} {
		c.payment.Language = language.Of("en")
		view := thanksViewOf(&c.payment, c.left)
		if view.Title != c.heading {
			t.Errorf("%s: %q, want %q", c.name, view.Title, c.heading)
		}
		if view.PayURL != c.payment.ActionURL {
			t.Errorf("%s: leads to %q", c.name, view.PayURL)
		}
	}
}
