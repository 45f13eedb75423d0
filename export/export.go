// Package export is the front door for spreadsheets: a payer's entries and
// monthly statements as CSV, with the credentials and the rights of the
// GraphQL API. It reads, page by page, and writes nothing.
//
// A file is streamed. Where reading fails in the middle, the connection is cut,
// so that half of a file is never taken for the whole.
package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"purser/auth"
	"purser/billing"
	"purser/ent"
)

// Config is what the front door needs.
type Config struct {
	Billing *billing.Service
	Logger  *slog.Logger
}

// pageTimeout is how long a page may take to be read and to be taken in by
// whoever asked: slow readers must not hold what they are sent forever.
const pageTimeout = 30 * time.Second

type handler struct{ Config }

// New returns the handler of GET /export/payers/{payer}/entries.csv and
// GET /export/payers/{payer}/statements.csv. It finds the viewer in the
// context.
func New(c Config) http.Handler {
	h := &handler{c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /export/payers/{payer}/entries.csv", h.entries)
	mux.HandleFunc("GET /export/payers/{payer}/statements.csv", h.statements)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "there is no such file: GET /export/payers/…/entries.csv or statements.csv")
	})
	return mux
}

// entriesHeader names the columns of entries.csv. New ones are added at the
// end.
var entriesHeader = []string{
	"number", "id", "booked_at", "effective_at", "kind", "amount", "currency", "remaining_after", "description",
	"debit_account", "credit_account", "payment_id", "invoice_id", "actor", "metadata",
}

// entries writes the entries of a payer's balance, oldest first:
// ?currency=USD, and from and to in the form of RFC 3339, to exclusive.
func (h *handler) entries(w http.ResponseWriter, r *http.Request) {
	if !mayRead(w, r) {
		return
	}
	q, err := parameters(r, "currency", "from", "to")
	rng := billing.EntryRange{PayerID: r.PathValue("payer"), Currency: q.Get("currency")}
	if err == nil && rng.Currency == "" {
		err = errors.New("say which balance: ?currency=USD")
	}
	if err == nil {
		rng.From, err = timeOf(q, "from")
	}
	if err == nil {
		rng.To, err = timeOf(q, "to")
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	found, err := h.Billing.Entries(r.Context(), rng)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	t := newTable(w, fmt.Sprintf("entries-%s-%s.csv", rng.PayerID, rng.Currency), entriesHeader)
	for {
		t.keepOpen(pageTimeout)
		page, err := found.Next(r.Context())
		if err != nil {
			h.abort(r, err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			t.row(entryCells(e)...)
		}
		if t.flush() != nil {
			return // whoever asked has left
		}
	}
	_ = t.flush() // as above
}

func entryCells(e *ent.LedgerEntry) []string {
	var number, remaining, metadata string
	if e.Seq != nil {
		number = strconv.FormatInt(*e.Seq, 10)
	}
	if after := e.RemainingAfter(); after != nil {
		remaining = string(after.Decimal())
	}
	if len(e.Metadata) > 0 {
		b, _ := json.Marshal(e.Metadata) // texts always can be
		metadata = string(b)
	}
	return []string{
		number, e.ID, moment(e.BookedAt), moment(e.EffectiveAt), string(e.Kind),
		string(e.Amount().Decimal()), e.Currency, remaining, text(orEmpty(e.Description)),
		text(e.DebitAccount), text(e.CreditAccount), orEmpty(e.PaymentID), orEmpty(e.InvoiceID), text(e.Actor), text(metadata),
	}
}

// statementsHeader names the columns of statements.csv. New ones are added at
// the end.
var statementsHeader = []string{
	"year", "month", "currency", "previous_balance", "top_ups", "credits", "usage", "tax",
	"current_usage", "current_total_balance", "current_balance", "approx_tax_rate",
}

// statements writes the monthly statements of a year, of all balances or of
// one: ?year=2026&currency=USD.
func (h *handler) statements(w http.ResponseWriter, r *http.Request) {
	if !mayRead(w, r) {
		return
	}
	q, err := parameters(r, "currency", "year")
	var year int
	if err == nil {
		if year, err = strconv.Atoi(q.Get("year")); err != nil {
			err = errors.New("say which year: ?year=2026")
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	payerID := r.PathValue("payer")
	all, err := h.Billing.StatementsOfYear(r.Context(), payerID, q.Get("currency"), year)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	t := newTable(w, fmt.Sprintf("statements-%s-%d.csv", payerID, year), statementsHeader)
	for _, s := range all {
		t.row(
			strconv.Itoa(s.Month.Year), strconv.Itoa(int(s.Month.Month)), s.Previous.Currency,
			string(s.Previous.Decimal()), string(s.TopUps.Decimal()), string(s.Credits.Decimal()), string(s.Usage.Decimal()), string(s.Tax.Decimal()),
			string(s.Usage.Decimal()), string(s.Total.Decimal()), string(s.Balance.Decimal()), string(s.TaxRate.Decimal()),
		)
	}
	_ = t.flush() // whoever asked may have left
}

// mayRead answers 403 to credentials that show no payers at all. Which payers
// a caller sees is decided where they are read.
func mayRead(w http.ResponseWriter, r *http.Request) bool {
	if auth.CanRead(auth.FromContext(r.Context()), auth.AreaPayer) {
		return true
	}
	refuse(w, http.StatusForbidden, "these credentials do not reach payers: a token with the scope BILLING, or a payer's session, does")
	return false
}

// parameters reads the address's parameters: none but the known ones, and each
// once, so that a misspelt one is not passed over.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return url.Values{}, errors.New("the address cannot be read")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return url.Values{}, fmt.Errorf("there is no parameter %.32q; there are %s", name, strings.Join(known, ", "))
		}
		if len(values) > 1 {
			return url.Values{}, fmt.Errorf("%s is given %d times", name, len(values))
		}
	}
	return q, nil
}

func timeOf(q url.Values, name string) (*time.Time, error) {
	if !q.Has(name) {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339Nano, q.Get(name))
	if err != nil {
		return nil, fmt.Errorf("%s must be written as in 2026-03-01T00:00:00Z", name)
	}
	return &at, nil
}

func moment(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// fail answers a refusal, and 500 to anything else.
func (h *handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *billing.Error
	switch {
	case errors.As(err, &refusal) && refusal.Code == billing.CodeNotFound:
		refuse(w, http.StatusNotFound, refusal.Message)
	case errors.As(err, &refusal):
		refuse(w, http.StatusBadRequest, refusal.Message)
	case billing.IsUnavailable(err):
		refuse(w, http.StatusServiceUnavailable, "the file cannot be made now; try again")
	default:
		if r.Context().Err() == nil {
			h.Logger.ErrorContext(r.Context(), "file not made", "error", err)
		}
		refuse(w, http.StatusInternalServerError, "the file could not be made")
	}
}

// abort cuts the connection of a file that cannot be finished.
func (h *handler) abort(r *http.Request, err error) {
	if r.Context().Err() == nil {
		h.Logger.ErrorContext(r.Context(), "file not finished", "error", err)
	}
	panic(http.ErrAbortHandler)
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, message, status)
}
