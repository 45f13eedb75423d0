package webhook

import (
	"net/http"

	"purser/billing"
)

var thanksPage = newPageKind("thanks", noForms)

// thanksView is what the page shows.
type thanksView struct {
	page
	Texts                                 []string
	Amount, OrderCode, ReceiptURL, PayURL string
	// Problem is told to whoever tries the page out, in English.
	Problem string
}

// thanks is the built-in page after a payment: one that is told by the
// payment's state, and by who left without paying.
func (h *Handler) thanks(w http.ResponseWriter, r *http.Request) {
	ctx, p, err := h.payment(r.Context(), r.PathValue("organization"), r.PathValue("payment"))
	if err != nil {
		h.missing(ctx, w, "payment", err)
		return
	}
	v := thanksViewOf(p, r.URL.Query().Get("left") == outcomeCancel)
	h.show(ctx, w, http.StatusOK, &v)
}

func thanksViewOf(p *billing.PublicPayment, left bool) thanksView {
	v := thanksView{
		page:   page{pageKind: thanksPage, Language: p.Language, Seller: p.Seller, Test: p.Test},
		Amount: p.Language.Amount(p.Amount), OrderCode: p.OrderCode, ReceiptURL: p.ReceiptURL, PayURL: p.ActionURL,
		Problem: p.ReturnProblem,
	}
	words := p.Language.Words
	say := func(title string, texts ...string) { v.Title, v.Texts = title, texts }
	switch {
	case p.Status == billing.PaymentSucceeded:
		say(words.Thanks, words.ThanksText)
	case p.Status == billing.PaymentFailed && p.FailureMessage != "":
		say(words.Failed, words.NotCharged, p.FailureMessage)
	case p.Status == billing.PaymentFailed:
		say(words.Failed, words.NotCharged)
	case p.Status == billing.PaymentCanceled:
		say(words.Canceled, words.NotCharged)
	case p.Status == billing.PaymentRequiresAction && left:
		say(words.Left, words.LeftText)
	case p.Status == billing.PaymentRequiresAction && p.ActionURL != "":
		say(words.Unfinished, words.UnfinishedText)
	default:
		say(words.Waiting, words.WaitingText)
	}
	return v
}
