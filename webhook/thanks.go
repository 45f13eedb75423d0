package webhook

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"purser/billing"
)

//go:embed thanks.html
var thanksHTML string

//go:embed thanks.css
var thanksCSS string

var thanksTemplate = template.Must(template.New("thanks").Parse(thanksHTML))

// thanksPolicy admits the page's one style sheet and nothing else.
var thanksPolicy = func() string {
	hash := sha256.Sum256([]byte(thanksCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// thanksView is what the page shows.
type thanksView struct {
	Heading, Text, Seller, Amount, OrderCode, ReceiptURL, PayURL string
	Test                                                         bool
	// Problem is told to whoever tries the page out.
	Problem string
	Style   template.CSS
}

// thanks is the built-in page after a payment: one that is told by the
// payment's state, and by who left without paying.
func (h *Handler) thanks(w http.ResponseWriter, r *http.Request) {
	ctx, p, err := h.payment(r.Context(), r.PathValue("organization"), r.PathValue("payment"))
	if err != nil {
		h.missing(ctx, w, "payment", err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Robots-Tag", "noindex")
	w.Header().Set("Content-Security-Policy", thanksPolicy)
	if err := thanksTemplate.Execute(w, thanksViewOf(p, r.URL.Query().Get("left") == outcomeCancel)); err != nil {
		h.Logger.WarnContext(ctx, "thank-you page", "error", err)
	}
}

func thanksViewOf(p *billing.PublicPayment, left bool) thanksView {
	view := thanksView{
		Seller: p.Seller, Amount: p.Amount.String(), OrderCode: p.OrderCode, ReceiptURL: p.ReceiptURL, PayURL: p.ActionURL,
		Test: p.Test, Problem: p.ReturnProblem,
		Style: template.CSS(thanksCSS), // embedded in this program
	}
	switch {
	case p.Status == billing.PaymentSucceeded:
		view.Heading, view.Text = "Thank you", "Your payment has arrived."
	case p.Status == billing.PaymentFailed:
		view.Heading, view.Text = "The payment did not go through", "Nothing was charged. "+p.FailureMessage
	case p.Status == billing.PaymentCanceled:
		view.Heading, view.Text = "The payment was canceled", "Nothing was charged."
	case p.Status == billing.PaymentRequiresAction && left:
		view.Heading, view.Text = "You left without paying", "Nothing was charged."
	case p.Status == billing.PaymentRequiresAction && p.ActionURL != "":
		view.Heading, view.Text = "The payment is not complete", "We have not heard of your payment yet. If you have paid, you can close this page; it will be settled by itself."
	default:
		view.Heading, view.Text = "We are waiting for your bank", "The payment is not confirmed yet. You can close this page; it will be settled by itself."
	}
	return view
}
