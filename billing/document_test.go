package billing

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"purser/document"
	"purser/ent"
	"purser/ent/invoice"
	"purser/ent/price"
	"purser/ent/quote"
	"purser/ent/schema"
	"purser/language"
	"purser/money"
)

// said is what a document says, without its amounts' layout.
func said(d document.Document) string {
	var b strings.Builder
	line := func(parts ...string) { b.WriteString(strings.Join(parts, " | ") + "\n") }
	line(string(d.Kind), d.Number, d.Mark, d.IssuedAt.Format(time.DateTime))
	line(append([]string{d.Seller.Name}, d.Seller.Details...)...)
	line(append([]string{d.Payer.Name}, d.Payer.Details...)...)
	for _, f := range d.Facts {
		line(f.Name, f.Value)
	}
	for _, l := range d.Lines {
		line(l.Description, l.UnitAmount.String(), l.Amount.String(), l.Every)
	}
	for _, s := range d.Sums {
		line(s.Name, s.Amount.String())
	}
	line(d.PaymentURL)
	return b.String()
}

func TestDocumentsSayWhatWasSold(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		s.setOrganization(t, func(u *ent.OrganizationUpdate) {
			u.SetName("Demo Ltd").SetTimeZone("Asia/Tokyo").SetSupportEmail("help@demo.example").SetAddresses([]schema.Address{
				{Line1: "Warehouse 9", City: "Nowhere"}, {Line1: "1 Main Street", PostalCode: "10115", City: "Berlin", Country: "DE", IsPrimary: true},
			})
		})
		s.setPayer(t, func(u *ent.PayerUpdate) {
			u.SetName("Ada").SetEmail("ada@example.com").SetTaxID("DE123").SetAddress(&schema.Address{Line1: "2 Side Street", City: "Wien", Country: "AT"})
		})
		s.clock.Set(time.Date(2026, time.March, 31, 20, 0, 0, 0, time.UTC)) // April in Tokyo
		monthly := s.price(t, ProductDraft{Name: "Seat"}, usd(t, "9"), price.RecurrenceIntervalMONTH)
		const seller, buyer = "Demo Ltd | 1 Main Street | 10115 Berlin | DE | help@demo.example\n", "Ada | 2 Side Street | Wien | AT | ada@example.com | Tax number DE123\n"

		drawn := func(kind, token string) document.Document {
			t.Helper()
			var d document.Document
			var err error
			if kind == quoteDocuments {
				d, err = s.quoteDocument(s.ctx, token)
			} else {
				d, err = s.invoiceDocument(s.ctx, token)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !d.Test {
				t.Error("a document of the sandbox must say that it is none")
			}
			return d
		}
		want := func(d document.Document, lines string) {
			t.Helper()
			if got := said(d); got != lines {
				t.Errorf("the document says\n%swant\n%s", got, lines)
			}
		}

		quoteID := s.openQuoteOf(t, item(t, "Setup", "10", "USD", 2))
		token := s.quoted(t, quoteID).PublicToken
		want(drawn(quoteDocuments, token), "Quote | Q-2026-0000001 |  | 2026-04-01 05:00:00\n"+seller+buyer+
			"Valid until | 1 May 2026\nSetup | 10.00 USD | 20.00 USD | \nTotal | 20.00 USD\n\n")

		invoiceID := s.accepted(t, quoteID)
		s.finalized(t, invoiceID)
		inv := s.invoiced(t, invoiceID)
		want(drawn(invoiceDocuments, inv.PublicToken), "Invoice | 2026-04-00000001 |  | 2026-04-01 05:00:00\n"+seller+buyer+
			"Due | 1 April 2026\nSetup | 10.00 USD | 20.00 USD | \nTotal | 20.00 USD\nAmount due | 20.00 USD\n"+orEmpty(inv.HostedURL)+"\n")
		if d := drawn(quoteDocuments, token); d.Mark != "ACCEPTED" {
			t.Errorf("mark %q", d.Mark)
		}
		if err := s.ApplyInvoice(s.ctx, invoiceID, s.invoiceAt(t, invoiceID, "paid")); err != nil {
			t.Fatal(err)
		}
		want(drawn(invoiceDocuments, inv.PublicToken), "Invoice | 2026-04-00000001 | PAID | 2026-04-01 05:00:00\n"+seller+buyer+
			"Due | 1 April 2026\nPaid | 1 April 2026\nSetup | 10.00 USD | 20.00 USD | \nTotal | 20.00 USD\n\n")

		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetTaxRatePpm(money.Rate(200_000)) })
		taxed := s.openQuoteOf(t, LineDraft{PriceID: monthly, Quantity: 3})
		want(drawn(quoteDocuments, s.quoted(t, taxed).PublicToken), "Quote | Q-2026-0000002 |  | 2026-04-01 05:00:00\n"+seller+buyer+
			"Valid until | 1 May 2026\nSeat | 9.00 USD | 27.00 USD | every month\nSubtotal | 27.00 USD\nTax (20 %) | 5.40 USD\nTotal including tax | 32.40 USD\n\n")
		s.clock.Advance(quoteLife)
		if d := drawn(quoteDocuments, s.quoted(t, taxed).PublicToken); d.Mark != "EXPIRED" {
			t.Errorf("mark %q", d.Mark)
		}
		fractions := s.openInvoiceOf(t, item(t, "Calls", "0.0025", "USD", 401))
		if d := said(drawn(invoiceDocuments, s.invoiced(t, fractions).PublicToken)); !strings.Contains(d, "Subtotal | 1.0025 USD\nTax (20 % of 1.0025) | 0.20 USD\nTotal | 1.20 USD\nAmount due | 1.20 USD\n") {
			t.Errorf("the document says\n%s", d)
		}

		s.setPayer(t, func(u *ent.PayerUpdate) { u.SetLocale("uk-UA") })
		if got := said(drawn(quoteDocuments, s.quoted(t, taxed).PublicToken)); !strings.HasSuffix(got, "Податковий номер DE123\n"+
			"Дійсна до | 1 травня 2026\u00a0р.\nSeat | 9.00 USD | 27.00 USD | щомісяця\nПроміжний підсумок | 27.00 USD\nПодаток (20 %) | 5.40 USD\nРазом із податком | 32.40 USD\n\n") {
			t.Errorf("the quote says\n%s", got)
		}
		// Its payer was written down when it was issued; the words around are the reader's.
		if got := said(drawn(invoiceDocuments, inv.PublicToken)); !strings.Contains(got, "| СПЛАЧЕНО |") || !strings.Contains(got, "Податковий номер DE123\nСплатити до | 1 квітня 2026\u00a0р.\n") {
			t.Errorf("the invoice says\n%s", got)
		}
		if d, err := s.receiptDocument(s.ctx, inv.PublicToken); err != nil || !strings.Contains(said(d), "Рахунок | 2026-04-00000001 від 1 квітня 2026\u00a0р.\n") || !strings.Contains(said(d), "\nСплачено | 20.00 USD\n") {
			t.Errorf("the receipt says\n%s%v", said(d), err)
		}
		// Whoever has named no language is shown the browser's on a page, and English in a file.
		s.setPayer(t, func(u *ent.PayerUpdate) { u.ClearLocale() })
		browser := language.Accepting(s.ctx, "uk")
		if page, err := s.PublicInvoice(browser, "demo", inv.PublicToken); err != nil || page.Language.Tag != "uk" || page.Facts[0].Name != "Сплатити до" {
			t.Errorf("the page says %+v, %v", page, err)
		}
		_, file, err := s.Document(browser, invoiceDocuments, inv.PublicToken)
		if _, plain, again := s.Document(s.ctx, invoiceDocuments, inv.PublicToken); err != nil || again != nil || !bytes.Equal(file, plain) {
			t.Errorf("the file is another for another browser, %v, %v", err, again)
		}
	})
}

// TestEveryStatusHasAMark: what may stand beside the number of a document is
// said in every language.
func TestEveryStatusHasAMark(t *testing.T) {
	t.Parallel()
	for _, in := range language.All() {
		for _, status := range []string{
			string(invoice.StatusPAID), string(invoice.StatusVOID),
			string(quote.StatusACCEPTED), string(quote.StatusCANCELED), string(quote.StatusEXPIRED),
		} {
			if in.Words.Marks[status] == "" {
				t.Errorf("%s: no words for %s", in.Tag, status)
			}
		}
	}
}

func TestDocumentsAreFoundByTheirLinkOnly(t *testing.T) {
	eachSale(t, func(t *testing.T, s *sale) {
		open := s.quoted(t, s.openQuoteOf(t, item(t, "A", "1", "USD", 1)))
		inv := s.invoiced(t, s.openInvoiceOf(t, item(t, "A", "1", "USD", 1)))
		draft := s.quoted(t, s.quoteOf(t, item(t, "A", "1", "USD", 1)))
		unissued := s.invoiced(t, s.invoiceOf(t, item(t, "A", "1", "USD", 1)))
		for _, c := range []struct{ kind, token, name, url string }{
			{quoteDocuments, open.PublicToken, "quote-Q-2026-0000001.pdf", s.QuoteDocumentURL("demo", open)},
			{invoiceDocuments, inv.PublicToken, "invoice-2026-03-00000001.pdf", s.InvoiceDocumentURL("demo", inv)},
		} {
			name, file, err := s.Document(s.ctx, c.kind, c.token)
			if err != nil || name != c.name || !bytes.HasPrefix(file, []byte("%PDF-")) {
				t.Errorf("%s: %q, %d bytes, %v", c.kind, name, len(file), err)
			}
			if want := "http://purser.test/documents/demo/" + c.kind + "/" + c.token + ".pdf"; c.url != want {
				t.Errorf("address %s, want %s", c.url, want)
			}
			_, again, err := s.Document(s.ctx, c.kind, c.token)
			if err != nil || !bytes.Equal(file, again) {
				t.Errorf("%s: the same document is another file, %v", c.kind, err)
			}
		}
		_, foreign := s.newOrganization(t, "other", "UTC")
		for name, c := range map[string]struct{ kind, token string }{
			"a draft": {quoteDocuments, draft.PublicToken}, "a draft invoice": {invoiceDocuments, unissued.PublicToken},
			"another kind": {"receipts", open.PublicToken}, "the other kind": {invoiceDocuments, open.PublicToken},
			"an id": {quoteDocuments, open.ID}, "nothing": {quoteDocuments, ""},
		} {
			if _, _, err := s.Document(s.ctx, c.kind, c.token); err == nil || wantCodeIn(t, err, CodeNotFound) == nil {
				t.Errorf("%s is shown: %v", name, err)
			}
		}
		// Whoever was sent the document of a quote cannot accept it by that.
		if _, err := s.PublicQuote(s.ctx, "demo", open.PublicToken); wantCodeIn(t, err, CodeNotFound) == nil {
			t.Error("the link of the document leads to the page as well")
		}
		if page, err := s.PublicQuote(s.ctx, "demo", orEmpty(open.AcceptToken)); err != nil || page.QuoteID != open.ID {
			t.Errorf("the page of the quote is %+v, %v", page, err)
		}
		if _, err := s.PublicQuote(foreign, "other", orEmpty(open.AcceptToken)); wantCodeIn(t, err, CodeNotFound) == nil {
			t.Error("another organization shows the page")
		}
		if _, _, err := s.Document(foreign, quoteDocuments, open.PublicToken); wantCodeIn(t, err, CodeNotFound) == nil {
			t.Error("another organization shows it")
		}
	})
}
