package document

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"purser/money"
)

func usd(t testing.TB, text string) money.Amount {
	t.Helper()
	a, err := money.Parse(money.Decimal(text), "USD")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func example(t testing.TB) Document {
	t.Helper()
	return Document{
		Kind: KindInvoice, Number: "2026-03-00000001", Mark: "VOID", Test: true,
		Seller:      Party{Name: "Đại lý Hà Nội", Details: []string{"1 Main Street", "10115 Berlin", "DE"}},
		Payer:       Party{Name: "Ада Лавлейс", Details: []string{"ada@example.com"}},
		IssuedAt:    time.Date(2026, time.March, 10, 23, 30, 0, 0, time.FixedZone("", 3600)),
		Facts:       []Fact{{"Due", "2026-03-24"}},
		Description: "Dịch vụ tháng ba – (March) \\ services",
		Lines: []Line{
			{Description: "API calls", Quantity: 401, UnitAmount: usd(t, "0.0025"), Amount: usd(t, "1.0025")},
			{Description: "Seat", Quantity: 2, UnitAmount: usd(t, "10"), Amount: usd(t, "20"), Every: "month"},
		},
		Sums:       []Sum{{"Subtotal", usd(t, "21.0025")}, {"Tax", usd(t, "3.99")}, {"Total", usd(t, "24.99")}},
		PaymentURL: "https://pay.example/in_1",
	}
}

var (
	streams = regexp.MustCompile(`(?s)/Filter /FlateDecode[^>]*>>\s*stream\n(.*?)\nendstream`)
	shown   = regexp.MustCompile(`(?s)Td \((.*?)\)Tj ET`)
)

// words reads the texts of a PDF in the order in which they are drawn.
func words(t testing.TB, file []byte) []string {
	t.Helper()
	var all []string
	for _, m := range streams.FindAllSubmatch(file, -1) {
		r, err := zlib.NewReader(bytes.NewReader(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shown.FindAllSubmatch(content, -1) {
			all = append(all, decoded(s[1]))
		}
	}
	return all
}

// decoded reads a PDF string of UTF-16.
func decoded(s []byte) string {
	s = []byte(strings.NewReplacer(`\\`, `\`, `\(`, `(`, `\)`, `)`, `\r`, "\r").Replace(string(s)))
	units := make([]uint16, 0, len(s)/2)
	for i := 0; i+1 < len(s); i += 2 {
		units = append(units, uint16(s[i])<<8|uint16(s[i+1]))
	}
	return string(utf16.Decode(units))
}

func TestDocumentShowsWhatItSays(t *testing.T) {
	t.Parallel()
	file, err := PDF(example(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(file, []byte("%PDF-")) || !bytes.Contains(file, []byte("%%EOF")) {
		t.Fatal("the file is no PDF")
	}
	text := strings.Join(words(t, file), "\n")
	for _, want := range []string{
		"Invoice 2026-03-00000001", "VOID", "TEST", "Đại lý Hà Nội", "1 Main Street", "10115 Berlin", "Ада Лавлейс", "ada@example.com",
		"2026-03-10", "Due\n2026-03-24", "Dịch vụ tháng ba – (March) \\ services",
		"API calls\n401\n0.0025\n1.0025", "Seat (every month)\n2\n10.00\n20.00",
		"Subtotal\n21.0025 USD", "Tax\n3.99 USD", "Total\n24.99 USD", "Pay online\nhttps://pay.example/in_1", "1 / 1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if !bytes.Contains(file, []byte("/URI (https://pay.example/in_1)")) {
		t.Error("the address of the payment is no link")
	}
}

func TestDocumentIsAlwaysTheSameFile(t *testing.T) {
	t.Parallel()
	first, err := PDF(example(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := PDF(example(t))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first, again) {
			t.Fatal("the same document is another file")
		}
	}
}

func TestLongDocumentHasPages(t *testing.T) {
	t.Parallel()
	d := example(t)
	d.Lines = nil
	for n := range 250 {
		d.Lines = append(d.Lines, Line{
			Description: fmt.Sprintf("Position %d %s", n, strings.Repeat("with a long text ", n%9)),
			Quantity:    1, UnitAmount: usd(t, "1"), Amount: usd(t, "1"),
		})
	}
	file, err := PDF(d)
	if err != nil {
		t.Fatal(err)
	}
	all := words(t, file)
	text := strings.Join(all, "\n")
	heads, last := 0, ""
	for _, w := range all {
		if w == "Description" {
			heads++
		}
		if _, page, ok := strings.Cut(w, " · "); ok {
			last = page
		}
	}
	// The sums may be left over for a page of their own.
	if heads < 5 || last != fmt.Sprintf("%d / %[1]d", heads) && last != fmt.Sprintf("%d / %[1]d", heads+1) {
		t.Errorf("%d heads of the table, the last foot says %q", heads, last)
	}
	for n := range 250 {
		if !strings.Contains(text, fmt.Sprintf("Position %d", n)) {
			t.Errorf("position %d is missing", n)
		}
	}
}

// Whatever people write, it is drawn: a document must never be missing.
func TestOddTexts(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"emoji": "Party 🎉🎉 plan", "chinese": "发票 請求書 청구서", "right to left": "فاتورة חשבונית", "combining": "Z̷̢a̸l̵g̶o̷",
		"control": "a\x00b\x1bc\u200bd\ufeff", "one long word": strings.Repeat("w", 3000), "invalid": "a\xffb", "empty": "",
		"newlines": "a\n\n\nb\n", "blanks": "   ", "parentheses": `)) Tj (( \\ )`, "surrogates": "\U0010ffff\uffff\ue000",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := example(t)
			d.Description, d.Payer.Name, d.Payer.Details, d.Lines[0].Description, d.Facts[0].Value = text, text, []string{text}, text, text
			file, err := PDF(d)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(words(t, file), "\n"); !strings.Contains(got, "Total\n24.99 USD") {
				t.Errorf("the total is missing in\n%s", got)
			}
		})
	}
}

func TestEmptyDocument(t *testing.T) {
	t.Parallel()
	if _, err := PDF(Document{}); err != nil {
		t.Error(err)
	}
}
