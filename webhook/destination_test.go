package webhook

import (
	"net/url"
	"testing"

	"purser/billing"
	"purser/ent/payment"
	"purser/ent/schema"
)

// Where the browser is sent is decided by what became of the payment; the
// outcome in the address, which anybody may write, decides nothing but between
// waiting and having left.
func TestNobodyBelievesTheReturnAddress(t *testing.T) {
	t.Parallel()
	all := schema.ReturnURLs{
		Success: "https://shop.example/success", Pending: "https://shop.example/pending",
		Failure: "https://shop.example/failure", Cancel: "https://shop.example/cancel",
	}
	for _, c := range []struct {
		status     payment.Status
		want, left string
	}{
		{payment.StatusSUCCEEDED, "/success", "/success"},
		{payment.StatusFAILED, "/failure", "/failure"},
		{payment.StatusCANCELED, "/cancel", "/cancel"},
		{payment.StatusREQUIRES_ACTION, "/pending", "/cancel"},
		{payment.StatusPROCESSING, "/pending", "/cancel"},
	} {
		for _, outcome := range []string{"success", "failure", "pending", "cancel", "paid", ""} {
			want := c.want
			if outcome == outcomeCancel {
				want = c.left
			}
			p := &billing.PublicPayment{PaymentID: "pmt_1", OrderCode: "PO1", Status: c.status, ReturnURLs: all}
			got, err := url.Parse((&Handler{}).destination(t.Context(), p, outcome))
			if err != nil || got.Host != "shop.example" || got.Path != want || got.Query().Get("paymentId") != "pmt_1" || got.Query().Get("orderCode") != "PO1" {
				t.Errorf("%s, address of %q: sent to %s, want %s, %v", c.status, outcome, got, want, err)
			}
		}
	}
}
