package stripesandbox

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"purser/sandbox"
)

//go:embed pages.html
var pagesHTML string

func newPages() (*sandbox.Pages, error) {
	return sandbox.NewPages(pagesHTML, nil)
}

// pageRoutes adds the pages that people see. Who has the address of a page may
// see it: its token is as hard to guess as a key.
func (s *Server) pageRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", s.page("", func(*tx, object, *http.Request) (answer, error) {
		return answer{page: sandbox.Page{Title: "Payment sandbox", Template: "home", Data: map[string]any{"URL": s.link(""), "Version": APIVersion}}}, nil
	}))
	for _, p := range []struct {
		path, kind string
		get, post  pageOperation
	}{
		{"/pages/invoices/{token}", "invoice", showInvoice, payInvoicePage},
		{"/pages/invoices/{token}/pdf", "invoice", invoicePDF, nil},
		{"/pages/checkout/{token}", "checkout.session", showSession, paySession},
		{"/pages/3ds/{token}", "payment_intent", showAuthentication, authenticatePage},
		{"/pages/receipts/{token}", "charge", showReceipt, nil},
		{"/pages/receipts/{token}/pdf", "charge", receiptPDF, nil},
		{"/pages/portal/{token}", "billing_portal.session", showPortal, nil},
	} {
		if p.get != nil {
			mux.HandleFunc("GET "+p.path, s.page(p.kind, p.get))
		}
		if p.post != nil {
			mux.HandleFunc("POST "+p.path, s.page(p.kind, p.post))
		}
	}
}

// answer is what a page request leads to: a redirect, a PDF or a page.
type answer struct {
	redirect string // absolute, or relative to the page
	pdf      []byte
	name     string // of the PDF
	page     sandbox.Page
}

// pageOperation serves a page of an object inside a transaction. What it
// changed is kept also when a card was refused.
type pageOperation func(t *tx, o object, r *http.Request) (answer, error)

const formMax = 16 << 10

func (s *Server) page(kind string, serve pageOperation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, formMax)
		if err := r.ParseForm(); err != nil {
			s.showMessage(w, http.StatusBadRequest, "This form cannot be read", "Please go back and try again.")
			return
		}
		var a answer
		err := s.onPage(context.WithoutCancel(r.Context()), kind, r.PathValue("token"), func(t *tx, o object) error {
			var err error
			a, err = serve(t, o, r)
			return err
		})
		switch {
		case errors.Is(err, errNoPage):
			s.showMessage(w, http.StatusNotFound, "Page not found", "There is no such page, or it is no longer available.")
		case err != nil:
			// The error names ids, never what was typed.
			s.config.Logger.Error("serving a hosted page", "kind", kind, "error", err)
			s.showMessage(w, http.StatusInternalServerError, "Something went wrong", "Please try again.")
		case a.redirect != "":
			w.Header().Set("Location", a.redirect)
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusSeeOther)
		case a.pdf != nil:
			w.Header().Set("Content-Type", "application/pdf")
			w.Header().Set("Content-Disposition", `inline; filename="`+a.name+`.pdf"`)
			w.Header().Set("Cache-Control", "no-store")
			if _, err := w.Write(a.pdf); err != nil {
				s.config.Logger.Info("a reader left before the end of a PDF")
			}
		default:
			s.show(w, a.page)
		}
	}
}

func (s *Server) show(w http.ResponseWriter, page sandbox.Page) {
	if err := s.pages.Write(w, page); err != nil {
		s.config.Logger.Error("showing a hosted page", "template", page.Template, "error", err)
	}
}

func (s *Server) showMessage(w http.ResponseWriter, status int, title, text string) {
	s.show(w, sandbox.Page{Title: title, Template: "message", Status: status, Data: map[string]any{"Text": text, "Kind": "", "Link": ""}})
}

var errNoPage = errors.New("no such page")

// onPage runs f with the object a page token stands for, as an operation of
// its account. Both kinds of intents share the 3-D Secure page.
func (s *Server) onPage(ctx context.Context, kind, token string, f func(t *tx, o object) error) error {
	if kind == "" {
		return f(nil, nil)
	}
	var account, id string
	err := s.db.QueryRowContext(ctx, `SELECT account, id FROM objects WHERE page_token = ?
		AND (kind = ?2 OR (?2 = 'payment_intent' AND kind = 'setup_intent'))`, token, kind).Scan(&account, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoPage
	}
	if err != nil {
		return fmt.Errorf("find a page: %w", err)
	}
	return s.inTx(ctx, account, requestInfo{}, func(t *tx) error {
		o, err := t.find(id)
		if err != nil {
			return err
		}
		if o == nil {
			return errNoPage
		}
		return f(t, o)
	})
}

// typedProblem is what is wrong with a card form: the sentence to show, and
// the field that it is about; no field where the card was refused.
type typedProblem struct{ text, field string }

// enteredCard is what is kept of a card form.
type enteredCard struct {
	testCard
	month, year int64
}

// typedCard reads the card form. Which test card it was and when it ends is all
// that leaves this function; the name is not even read.
func typedCard(r *http.Request, now int64) (enteredCard, typedProblem) {
	card, known := cardByNumber(r.PostFormValue("number"))
	month, year, future := futureExpiry(r.PostFormValue("expiry"), now)
	entered := enteredCard{card, month, year}
	switch {
	case !known:
		return entered, typedProblem{"This page accepts test cards only, such as 4242 4242 4242 4242. Please do not type a real card number.", "number"}
	case card.invalid != nil:
		return entered, typedProblem{card.invalid.message, "number"}
	case !future:
		return entered, typedProblem{"Please give an expiry in the future as MM/YY, such as 12/34.", "expiry"}
	}
	cvc := r.PostFormValue("cvc")
	if len(cvc) < 3 || len(cvc) > 4 || strings.Trim(cvc, "0123456789") != "" {
		return entered, typedProblem{"Please give a security code of 3 or 4 digits, such as 123.", "cvc"}
	}
	return entered, typedProblem{}
}

// futureExpiry reads MM/YY, MM/YYYY, with or without a separator; false for
// what is no month or is over.
func futureExpiry(text string, now int64) (month, year int64, future bool) {
	digits := strings.NewReplacer("/", "", " ", "", "-", "").Replace(text)
	if (len(digits) != 4 && len(digits) != 6) || strings.Trim(digits, "0123456789") != "" {
		return 0, 0, false
	}
	number := func(s string) (n int64) {
		for _, c := range s {
			n = n*10 + int64(c-'0')
		}
		return n
	}
	month, year = number(digits[:2]), number(digits[2:])
	if len(digits) == 4 {
		year += 2000
	}
	return month, year, month >= 1 && month <= 12 && !expired(month, year, now)
}

// tryCard runs a step that may be refused by the card and returns the text to
// show in that case; its changes are kept as far as the refusal keeps them.
func (t *tx) tryCard(step func() error) (problem typedProblem, err error) {
	err = t.attempt(step)
	var refused *apiError
	if errors.As(err, &refused) {
		return typedProblem{text: refused.body.str("message")}, nil
	}
	return problem, err
}

// line is a row of a table on a page.
type line struct {
	Text, Amount, Link string
}

func pageRows(items []object, amountField, currency string) []line {
	var out []line
	for _, item := range items {
		text := item.str("description")
		if n := item.num("quantity"); n != 1 {
			text = fmt.Sprintf("%d × %s", n, text)
		}
		out = append(out, line{Text: text, Amount: display(item.num(amountField), currency)})
	}
	return out
}

// day writes a date for people.
func day(unix int64) string {
	return time.Unix(unix, 0).UTC().Format("2 January 2006")
}

// withQuery adds parameters to an address.
func withQuery(address string, add url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("read a return address: %w", err)
	}
	query := u.Query()
	for name, values := range add {
		query[name] = values
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}
