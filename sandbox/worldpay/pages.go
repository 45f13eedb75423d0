package worldpaysandbox

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"purser/sandbox"
)

//go:embed pages.html
var pagesHTML string

// The hosted pages. Who has the ticket in the address may see them: it is as
// hard to guess as a key, and the page cannot be found by the order alone.
const (
	pagePath   = "/pages/hpp"
	securePath = "/pages/3ds"
	formMax    = 16 << 10
)

func (s *Server) pageRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		s.show(w, sandbox.Page{Title: "Payment sandbox", Template: "home", Data: map[string]any{"URL": s.link(ServicePath)}})
	})
	mux.HandleFunc("GET "+pagePath, s.page(showOrder))
	mux.HandleFunc("POST "+pagePath, s.page(payOrder))
	mux.HandleFunc("GET "+securePath, s.page(showChallenge))
	mux.HandleFunc("POST "+securePath, s.page(endChallenge))
}

// visit is a request for a page of an order.
type visit struct {
	*tx
	order     *Order
	addresses map[string]string // to return to
	request   *http.Request
}

// view is what a page request leads to: a redirect or a page.
type view struct {
	redirect string // absolute, or relative to the page
	page     sandbox.Page
}

var errNoPage = errors.New("no such page")

func (s *Server) page(serve func(v *visit) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formMax)
		if err := r.ParseForm(); err != nil {
			s.message(w, http.StatusBadRequest, "This form cannot be read", "Please go back and try again.")
			return
		}
		addresses, bad := returns(r)
		if bad != "" {
			s.message(w, http.StatusBadRequest, "This page cannot be shown", "The "+bad+" must be an address of the web with at most "+strconv.Itoa(returnURLMax)+" characters.")
			return
		}
		var a view
		err := s.onPage(context.WithoutCancel(r.Context()), r, func(v *visit) error {
			v.addresses = addresses
			var err error
			a, err = serve(v)
			return err
		})
		switch {
		case errors.Is(err, errNoPage):
			s.message(w, http.StatusNotFound, "Page not found", "There is no such page, or its time is up. Nothing was charged on it.")
		case err != nil:
			// The error names orders, never what was typed.
			s.config.Logger.Error("serving a hosted page", "error", err)
			s.message(w, http.StatusInternalServerError, "Something went wrong", "Please try again.")
		case a.redirect != "":
			w.Header().Set("Location", a.redirect)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusSeeOther)
		default:
			s.show(w, a.page)
		}
	}
}

// onPage runs f with the order of the ticket in the address, as an operation
// of its merchant. An order that was paid stays visible when the ticket's time
// is up: its shopper is on the way back.
func (s *Server) onPage(ctx context.Context, r *http.Request, f func(v *visit) error) error {
	query := r.URL.Query()
	var merchant, code string
	var until int64
	err := s.db.QueryRowContext(ctx, `SELECT merchant, code, ticket_until FROM orders WHERE ticket = ?`, query.Get("Ticket")).Scan(&merchant, &code, &until)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoPage
	}
	if err != nil {
		return fmt.Errorf("find a page: %w", err)
	}
	return s.inTx(ctx, merchant, func(t *tx) error {
		o, err := t.order(code)
		if err != nil {
			return err
		}
		if query.Get("OrderKey") != merchant+"^"+code || o.Payment == nil && t.now >= moment(until) {
			return errNoPage
		}
		return f(&visit{tx: t, order: o, request: r})
	})
}

// problem is what is wrong with a form: the sentence to show, and the field
// that it is about.
type problem struct{ text, field string }

func showOrder(v *visit) (view, error) { return v.form(problem{}), nil }

// form is the page with the card form; once the order is paid, the way back.
func (v *visit) form(p problem) view {
	if v.order.Payment != nil {
		return v.finished()
	}
	data := map[string]any{
		"Amount": v.order.Amount.String(), "Description": v.order.Description, "Order": v.order.Code, "Problem": p.text, "Field": p.field,
		"Example": grouped(testCards[0].number), "Cards": v.accepted(), "Cancel": v.addresses[toCancel] != "",
	}
	return view{page: sandbox.Page{Title: "Payment", Template: "pay", Data: data, Leaves: true}}
}

// accepted are the test cards that the order can be paid with.
func (v *visit) accepted() []map[string]string {
	var all []map[string]string
	for _, card := range testCards {
		if slices.Contains(v.order.Methods, card.method) {
			all = append(all, map[string]string{"Number": grouped(card.number), "Name": card.name})
		}
	}
	return all
}

func grouped(number string) string {
	var parts []string
	for len(number) > 4 {
		parts, number = append(parts, number[:4]), number[4:]
	}
	return strings.Join(append(parts, number), " ")
}

// finished tells how the payment stands, with the way back to the merchant.
func (v *visit) finished() view {
	text, kind := "The payment is authorised. Thank you.", "good"
	switch p := v.order.Payment; {
	case p.Outcome.refused():
		text, kind = "The payment was refused. Nothing was charged.", "bad"
	case p.Outcome == outcomeError:
		text, kind = "The payment could not be processed.", "bad"
	case p.Outcome == outcomePending:
		text = "The payment has been sent for authorisation."
	}
	return view{page: sandbox.Page{Title: "Payment", Template: "message", Data: map[string]any{"Text": text, "Kind": kind, "Link": v.merchant.wayBack(v.order, v.addresses)}}}
}

// leave sends the shopper back to the merchant, or shows how the payment
// stands where the merchant has named no address.
func (v *visit) leave() view {
	if back := v.merchant.wayBack(v.order, v.addresses); back != "" {
		return view{redirect: back}
	}
	return v.finished()
}

// payOrder takes the card form. An order that is paid already leads on without
// charging again.
func payOrder(v *visit) (view, error) {
	if v.order.Payment != nil {
		return v.leave(), nil
	}
	if v.request.PostFormValue("cancel") != "" {
		if out := v.merchant.wayOut(v.order, v.addresses); out != "" {
			return view{redirect: out}, nil
		}
		return view{page: sandbox.Page{Title: "Payment", Template: "message", Data: map[string]any{"Text": "You have cancelled. Nothing was charged.", "Kind": "", "Link": ""}}}, nil
	}
	a, p := v.typedCard()
	if p.text != "" {
		f := v.form(p)
		f.page.Status = http.StatusUnprocessableEntity
		return f, nil
	}
	if a.outcome == outcomeChallenge {
		v.order.Challenge = &Challenge{Card: a.card.key, Outcome: a.later}
		v.save(v.order)
		return view{redirect: "3ds?" + v.request.URL.RawQuery}, nil
	}
	return v.end(a)
}

// end pays and sends the shopper back.
func (v *visit) end(a attempt) (view, error) {
	if err := v.pay(v.order, a); err != nil {
		return view{}, err
	}
	v.save(v.order)
	return v.leave(), nil
}

// typedCard reads the card form. Which test card it was, and the outcome that
// the name stands for, is all that leaves this function.
func (v *visit) typedCard() (attempt, problem) {
	form := v.request.PostFormValue
	card, known := cardByNumber(form("number"))
	switch {
	case !known:
		return attempt{}, problem{"This page accepts test cards only, such as " + grouped(testCards[0].number) + ". Please do not type a real card number.", "number"}
	case !slices.Contains(v.order.Methods, card.method):
		return attempt{}, problem{"This merchant does not accept " + card.name + " here.", "number"}
	case !futureExpiry(form("expiry"), v.now):
		return attempt{}, problem{"Please give an expiry in the future as MM/YY, such as 12/34.", "expiry"}
	}
	if cvc := form("cvc"); len(cvc) < 3 || len(cvc) > 4 || strings.Trim(cvc, "0123456789") != "" {
		return attempt{}, problem{"Please give a security code of 3 or 4 digits, such as 123.", "cvc"}
	}
	now, later := outcomeByName(form("name"))
	return attempt{card: card, outcome: now, later: later}, problem{}
}

// futureExpiry reads MM/YY, MM/YYYY, with or without a separator.
func futureExpiry(text string, now moment) bool {
	digits := strings.NewReplacer("/", "", " ", "", "-", "").Replace(text)
	if (len(digits) != 4 && len(digits) != 6) || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	if len(digits) == 4 {
		digits = digits[:2] + "20" + digits[2:]
	}
	month, err := strconv.Atoi(digits[:2])
	year, yearErr := strconv.Atoi(digits[2:])
	return err == nil && yearErr == nil && futureMonth(month, year, now)
}

func showChallenge(v *visit) (view, error) {
	switch {
	case v.order.Payment != nil:
		return v.finished(), nil
	case v.order.Challenge == nil:
		return view{redirect: "hpp?" + v.request.URL.RawQuery}, nil
	}
	return view{page: sandbox.Page{Title: "3-D Secure", Template: "authenticate", Data: map[string]any{"Amount": v.order.Amount.String()}, Leaves: true}}, nil
}

// How 3-D Secure has ended.
const (
	secureDone   = "Cardholder authenticated"
	secureFailed = "Failed"
)

// endChallenge takes the choice on the 3-D Secure page.
func endChallenge(v *visit) (view, error) {
	if v.order.Payment != nil {
		return v.leave(), nil
	}
	complete, fail := v.request.PostFormValue("complete") != "", v.request.PostFormValue("fail") != ""
	if v.order.Challenge == nil || complete == fail {
		a, err := showChallenge(v)
		if a.redirect == "" {
			a.page.Status = http.StatusUnprocessableEntity
		}
		return a, err
	}
	a := attempt{card: cardByKey(v.order.Challenge.Card), outcome: outcomeRefused, later: v.order.Challenge.Outcome, secure: secureFailed}
	if complete {
		a.outcome, a.secure = outcomeAuthorised, secureDone
	}
	return v.end(a)
}

func (s *Server) show(w http.ResponseWriter, page sandbox.Page) {
	if err := s.pages.Write(w, page); err != nil {
		s.config.Logger.Error("showing a hosted page", "template", page.Template, "error", err)
	}
}

func (s *Server) message(w http.ResponseWriter, status int, title, text string) {
	s.show(w, sandbox.Page{Title: title, Template: "message", Status: status, Data: map[string]any{"Text": text, "Kind": "", "Link": ""}})
}
