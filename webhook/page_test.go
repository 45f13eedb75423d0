package webhook

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"purser/billing"
	"purser/document"
	"purser/language"
	"purser/money"
)

// hostile is what somebody may be called, or write: it closes elements, turns
// the direction, breaks lines, and does not end.
const hostile = "</title></bdi><script>alert(1)</script>\" onload=\"x\u202e\u2066\r\nSet-Cookie: a=b\x00 אבג "

func amount(t testing.TB, text money.Decimal, currency string) money.Amount {
	t.Helper()
	a, err := money.ParseLine(text, currency)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// pagesOf are all pages in a language, about things with the given name.
func pagesOf(t testing.TB, in *language.Language, name string) map[string]view {
	t.Helper()
	shown := map[string]view{}
	for _, status := range []billing.PaymentStatus{billing.PaymentSucceeded, billing.PaymentFailed, billing.PaymentCanceled, billing.PaymentRequiresAction, "PROCESSING"} {
		for _, left := range []bool{false, true} {
			v := thanksViewOf(&billing.PublicPayment{
				Language: in, Status: status, Amount: amount(t, "1234.5", "USD"), OrderCode: "2026-1", Seller: name, Test: true,
				FailureMessage: in.Refusal("Your card was declined.", "expired_card"), ActionURL: "https://pay.example/?a=1&b=2", ReceiptURL: "https://pay.example/r",
			}, left)
			shown["thanks, "+string(status)+map[bool]string{true: ", left"}[left]] = &v
		}
	}
	words := in.Words
	for kind, change := range map[string]func(i *billing.PublicInvoice){
		"payable":   func(i *billing.PublicInvoice) { i.Payable, i.Unpaid = true, true },
		"elsewhere": func(i *billing.PublicInvoice) { i.Unpaid = true },
		"gateway's": func(i *billing.PublicInvoice) { i.GatewayURL, i.Unpaid = "https://pay.example/i", true },
		"paid": func(i *billing.PublicInvoice) {
			i.Mark, i.ReceiptURL = in.Mark("PAID"), "https://billing.example/documents/r.pdf"
		},
	} {
		i := &billing.PublicInvoice{
			Document: document.Document{
				Language: in, Kind: document.KindInvoice, Number: "2026-1", Test: true, Description: name + "\n" + name,
				Seller: document.Party{Name: name, Details: []string{name}}, Payer: document.Party{Name: name, Details: []string{name}},
				IssuedAt: time.Date(2026, time.March, 10, 0, 0, 0, 0, time.UTC), Facts: []document.Fact{{Name: words.Due, Value: in.Date(time.Date(2026, time.March, 24, 0, 0, 0, 0, time.UTC))}},
				Lines: []document.Line{{Description: name, Every: in.Every(3, "MONTH"), Quantity: 12345, UnitAmount: amount(t, "100", "VND"), Amount: amount(t, "1234500", "VND")}},
				Sums:  []document.Sum{{Name: words.Total, Amount: amount(t, "1234500", "VND")}}, Notes: []string{words.ReverseCharge},
			},
			Due: amount(t, "1234500", "VND"), PDFURL: "https://billing.example/documents/i.pdf",
		}
		change(i)
		shown["invoice, "+kind] = invoiceViewOf(i, words.NotNow, "visit")
	}
	for _, status := range []string{"OPEN", "ACCEPTED", "EXPIRED", "CANCELED"} {
		shown["quote, "+status] = quoteViewOf(&billing.PublicQuote{
			Document: document.Document{
				Language: in, Kind: document.KindQuote, Number: "2026-1", Test: true, Mark: map[bool]string{true: "", false: in.Mark(status)}[status == "OPEN"], Description: name,
				Seller: document.Party{Name: name, Details: []string{name}}, Payer: document.Party{Name: name, Details: []string{name}},
				IssuedAt: time.Date(2026, time.March, 10, 0, 0, 0, 0, time.UTC),
				Lines:    []document.Line{{Description: name, Every: in.Every(1, "MONTH"), Quantity: 2, UnitAmount: amount(t, "100", "VND"), Amount: amount(t, "200", "VND")}},
				Sums:     []document.Sum{{Name: words.Total, Amount: amount(t, "200", "VND")}},
			},
			Status: status, Acceptable: status == "OPEN", Recurring: true, PageURL: "https://billing.example/q", PDFURL: "https://billing.example/documents/q.pdf",
			InvoiceURL: map[bool]string{true: "https://billing.example/i"}[status == "ACCEPTED"],
		}, words.NotAcceptable)
	}
	shown["absent"] = &absentView{page: page{pageKind: absentPage, Language: in, Title: words.NotFound}, Text: words.NotFoundText}
	return shown
}

func shownBy(t testing.TB, v view) *httptest.ResponseRecorder {
	t.Helper()
	var log strings.Builder
	h := &Handler{Config: Config{Logger: slog.New(slog.NewTextHandler(&log, nil))}}
	w := httptest.NewRecorder()
	h.show(t.Context(), w, http.StatusOK, v)
	if log.Len() > 0 {
		t.Fatal(log.String())
	}
	return w
}

var (
	styles   = regexp.MustCompile(`(?s)<style>.*</style>`)
	elements = regexp.MustCompile(`<[^>]*>`)
	latin    = regexp.MustCompile(`[A-Za-z]{2,}`)
)

// TestPagesSpeakOneLanguage: nothing on a page is in another language than the
// page says that it is.
func TestPagesSpeakOneLanguage(t *testing.T) {
	t.Parallel()
	for _, in := range language.All() {
		for name, v := range pagesOf(t, in, "Ада") {
			body := shownBy(t, v).Body.String()
			if !strings.HasPrefix(body, `<!doctype html>`+"\n"+`<html lang="`+in.Tag+`" dir="`+in.Direction+`">`) {
				t.Errorf("%s, %s begins with %.80s", in.Tag, name, body)
			}
			text := elements.ReplaceAllString(styles.ReplaceAllString(body, ""), " ")
			for _, word := range latin.FindAllString(text, -1) {
				switch word {
				case "PDF", "USD", "VND", "reverse", "charge":
				default:
					if in.Tag == "uk" {
						t.Errorf("%s, %s says %q", in.Tag, name, word)
					}
				}
			}
			if strings.Contains(name, "invoice") {
				for _, want := range []string{in.Count(12345), in.Number("1234500"), in.Amount(amount(t, "1234500", "VND")), in.Date(time.Date(2026, time.March, 10, 0, 0, 0, 0, time.UTC))} {
					if !strings.Contains(text, want) {
						t.Errorf("%s, %s lacks %q", in.Tag, name, want)
					}
				}
			}
		}
	}
}

// TestPagesHoldHostileNames: what people write stays what they wrote, where
// they wrote it; and a page needs nothing but itself.
func TestPagesHoldHostileNames(t *testing.T) {
	t.Parallel()
	for name, v := range pagesOf(t, language.Of("en"), hostile+strings.Repeat("long", 500)) {
		w := shownBy(t, v)
		body := w.Body.String()
		for _, bad := range []string{"<script", `onload="`, "\u202e", "\u2066", "\x00", "\ufffd", "\r"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s has %q:\n%.2000s", name, bad, body)
			}
		}
		if strings.Count(body, "<bdi>") != strings.Count(body, "</bdi>") || strings.Count(body, "</title>") != 1 || strings.Count(body, "<main>") != 1 {
			t.Errorf("%s is not balanced", name)
		}
		head, referrer := w.Header(), "no-referrer"
		if strings.Contains(body, "<form") || strings.HasPrefix(name, "invoice") || strings.HasPrefix(name, "quote") {
			referrer = "same-origin"
		}
		if head.Get("Cache-Control") != "no-store" || head.Get("Referrer-Policy") != referrer || head.Get("X-Content-Type-Options") != "nosniff" ||
			head.Get("X-Robots-Tag") != "noindex" || head.Get("Content-Language") != "en" || head.Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %v", name, head)
		}
		policy := head.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: %s", name, policy)
		}
	}
}

// TestPagesOfNothing: what is not there is said in the browser's language, by
// the same page for whatever is looked for.
func TestPagesOfNothing(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: slog.New(slog.DiscardHandler)})
	for _, path := range []string{
		"/thanks/demo", "/invoices/demo/a/b", "/documents/demo/quotes/a.txt", "/return/", "/personal-data/demo",
		"/invoices/demo/%00", "/thanks/%ff/a", "/documents/demo/quotes/%00.pdf", "/webhooks/demo/%00", "/return/demo/a%00/success",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.Header.Set("Accept-Language", "uk-UA,uk;q=0.9,en;q=0.8")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound || w.Header().Get("Content-Language") != "uk" || !strings.Contains(w.Body.String(), language.Of("uk").Words.NotFound) {
			t.Errorf("%s: %d %v\n%s", path, w.Code, w.Header(), w.Body)
		}
	}
}
