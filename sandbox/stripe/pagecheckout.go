package stripesandbox

import (
	"errors"
	"net/http"
	"net/url"

	"purser/sandbox"
)

func showSession(t *tx, s object, _ *http.Request) (answer, error) {
	return t.sessionPage(s, typedProblem{})
}

func (t *tx) sessionPage(s object, problem typedProblem) (answer, error) {
	message := func(text, link string) (answer, error) {
		return answer{page: sandbox.Page{Title: "Checkout", Template: "message", Data: map[string]any{"Text": text, "Kind": "", "Link": link}}}, nil
	}
	switch {
	case s.str("status") == "complete":
		return message("This checkout is complete.", successURL(s))
	case s.str("status") == "expired" || s.num("expires_at") <= t.now:
		return message("This checkout has expired. Nothing was charged.", s.str("cancel_url"))
	}
	intent, err := t.sessionStarted(s)
	if err != nil {
		return answer{}, err
	}
	if problem.text == "" {
		problem.text = intent.sub("last_payment_error").str("message") + intent.sub("last_setup_error").str("message")
	}
	data := map[string]any{"Problem": problem.text, "Field": problem.field, "Total": "", "Lines": nil, "Cancel": s.str("cancel_url")}
	title := "Save a card"
	if s.str("mode") == "payment" {
		currency := s.str("currency")
		title = "Checkout"
		data["Total"], data["Lines"] = display(s.num("amount_total"), currency), pageRows(s.items("line_items"), "amount_total", currency)
	}
	return answer{page: sandbox.Page{Title: title, Template: "checkout", Data: data, Leaves: true}}, nil
}

// sessionStarted returns the intent of a session; nil before there is one.
func (t *tx) sessionStarted(s object) (object, error) {
	if id := s.str("payment_intent"); id != "" {
		return t.find(id)
	}
	return t.find(s.str("setup_intent"))
}

// paySession takes the card form of a checkout page. A session that is
// complete already leads on without charging again.
func paySession(t *tx, s object, r *http.Request) (answer, error) {
	if s.str("status") == "complete" {
		return answer{redirect: successURL(s)}, nil
	}
	if s.str("status") != "open" || s.num("expires_at") <= t.now {
		return t.sessionPage(s, typedProblem{})
	}
	card, problem := typedCard(r, t.now)
	if problem.text != "" {
		a, err := t.sessionPage(s, problem)
		a.page.Status = http.StatusUnprocessableEntity
		return a, err
	}
	confirm := t.confirmPaymentIntent
	intent := t.sessionIntent
	if s.str("mode") == "setup" {
		if s.str("customer") == "" && s.str("customer_creation") == "always" {
			t.sessionCustomer(s, true)
			t.save(s)
		}
		confirm = t.confirmSetupIntent
		intent = func(s object) (object, error) {
			si, err := t.get("setup_intent", s.str("setup_intent"))
			if err == nil {
				si["customer"] = s["customer"]
			}
			return si, err
		}
	}
	o, err := intent(s)
	if err != nil {
		return answer{}, err
	}
	problem, err = t.tryCard(func() error {
		pm := t.newPaymentMethod(card.testCard, card.month, card.year)
		t.insert(pm)
		return confirm(o, confirmation{method: pm.id(), returnURL: successURL(s)})
	})
	if err != nil {
		return answer{}, err
	}
	if problem.text != "" {
		a, err := t.sessionPage(s, problem)
		a.page.Status = http.StatusPaymentRequired
		return a, err
	}
	if o.str("status") == "requires_action" {
		return answer{redirect: "../3ds/" + o.str("_page")}, nil
	}
	if err := t.completeHeld(s, o); err != nil {
		return answer{}, err
	}
	return answer{redirect: successURL(s)}, nil
}

// completeHeld completes a session whose payment is only authorized: it is
// captured by the merchant, after the payer has gone.
func (t *tx) completeHeld(s, intent object) error {
	if intent.str("status") != "requires_capture" {
		return nil
	}
	s, err := t.get("checkout.session", s.id())
	if err != nil {
		return err
	}
	return t.endSession(s)
}

func showAuthentication(t *tx, intent object, _ *http.Request) (answer, error) {
	if intent.str("status") != "requires_action" {
		next, err := t.afterAuthentication(intent)
		if err != nil {
			return answer{}, err
		}
		return authenticated(intent, next), nil
	}
	amount := ""
	if intent.kind() == "payment_intent" {
		amount = display(intent.num("amount"), intent.str("currency"))
	}
	return answer{page: sandbox.Page{Title: "3-D Secure", Template: "authenticate", Data: map[string]any{"Amount": amount}, Leaves: true}}, nil
}

// authenticated tells how the authentication ended, for when there is nowhere
// to send the payer, or the page is opened again.
func authenticated(intent object, next string) answer {
	text, kind := "The authentication failed. Nothing was charged.", "bad"
	switch intent.str("status") {
	case "succeeded", "requires_capture", "processing":
		text, kind = "The authentication is complete.", "good"
	case "canceled":
		text = "This payment was canceled."
	}
	return answer{page: sandbox.Page{Title: "3-D Secure", Template: "message", Data: map[string]any{"Text": text, "Kind": kind, "Link": next}}}
}

// authenticatePage takes the choice on the 3-D Secure page.
func authenticatePage(t *tx, intent object, r *http.Request) (answer, error) {
	done, chosen := false, false
	for _, values := range r.PostForm {
		for _, value := range values {
			done = done || value == "complete"
			chosen = chosen || value == "complete" || value == "fail"
		}
	}
	if !chosen {
		a, err := showAuthentication(t, intent, r)
		a.page.Status = http.StatusUnprocessableEntity
		return a, err
	}
	err := t.attempt(func() error {
		if intent.kind() == "setup_intent" {
			return t.authenticateSetup(intent, done)
		}
		return t.authenticatePayment(intent, done)
	})
	var refused *apiError
	if err != nil && !errors.As(err, &refused) {
		return answer{}, err
	}
	after, err := t.find(intent.id())
	if err != nil {
		return answer{}, err
	}
	if after.str("status") == "requires_capture" && after.str("_session") != "" {
		if err := t.completeHeld(object{"id": after.str("_session")}, after); err != nil {
			return answer{}, err
		}
	}
	next, err := t.afterAuthentication(after)
	if err != nil || next == "" {
		return authenticated(after, ""), err
	}
	return answer{redirect: next}, nil
}

// afterAuthentication is where the payer goes from the 3-D Secure page: back
// to the hosted page it came from, or to the merchant with the result.
func (t *tx) afterAuthentication(intent object) (string, error) {
	succeeded := intent.str("status") == "succeeded" || intent.str("status") == "requires_capture"
	if id := intent.str("_session"); id != "" {
		s, err := t.get("checkout.session", id)
		if err != nil {
			return "", err
		}
		if succeeded {
			return successURL(s), nil
		}
		return "../checkout/" + id, nil
	}
	back := intent.str("_return_url")
	if id := intent.str("invoice"); id != "" && back == "" {
		inv, err := t.get("invoice", id)
		return "../invoices/" + inv.str("_page"), err
	}
	if back == "" {
		return "", nil
	}
	status := "failed"
	if succeeded {
		status = "succeeded"
	}
	return withQuery(back, url.Values{
		intent.kind():                    {intent.id()},
		intent.kind() + "_client_secret": {intent.str("client_secret")},
		"redirect_status":                {status},
	})
}
