package document

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
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
			{Description: "Seat", Quantity: 2, UnitAmount: usd(t, "10"), Amount: usd(t, "20"), Every: "every month"},
		},
		Sums:       []Sum{{"Subtotal", usd(t, "21.0025")}, {"Tax", usd(t, "3.99")}, {"Total", usd(t, "24.99")}},
		PaymentURL: "https://pay.example/in_1",
	}
}

var (
	streams = regexp.MustCompile(`(?s)/Filter /FlateDecode[^>]*>>\s*stream\n(.*?)\nendstream`)
	shown   = regexp.MustCompile(`(?s)Td \((.*?)\)Tj ET`)
)

// drawn reads the texts of a PDF in the order in which they are drawn.
func drawn(t testing.TB, file []byte) []string {
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
	text := strings.Join(drawn(t, file), "\n")
	for _, want := range []string{
		"Invoice 2026-03-00000001", "VOID", "TEST", "Đại lý Hà Nội", "1 Main Street", "10115 Berlin", "Ада Лавлейс", "ada@example.com",
		"10 March 2026", "Due\n2026-03-24", "Dịch vụ tháng ba – (March) \\ services",
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
	all := drawn(t, file)
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
			if got := strings.Join(drawn(t, file), "\n"); !strings.Contains(got, "Total\n24.99 USD") {
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

// TestNamesOfEverywhere: each letter is drawn from a font that has it, and a
// long line ends where its script lets it.
func TestNamesOfEverywhere(t *testing.T) {
	t.Parallel()
	d := example(t)
	d.Seller.Name = "株式会社 Sông Hồng 東京支店"
	d.Payer = Party{Name: "김민준", Details: []string{"北京市朝阳区建国路88号现代城5号楼1801室接口计费部门收", "Đường Nguyễn Huệ, TP. Hồ Chí Minh"}}
	d.Lines[0].Description = "カレンダー API " + strings.Repeat("呼び出し", 30)
	file, err := PDF(d)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(drawn(t, file), "")
	for _, want := range []string{"株式会社 ", "Sông Hồng ", "東京支店", "김민준", "北京市朝阳区", "Đường Nguyễn Huệ, TP. Hồ", "カレンダー API 呼び出し"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in %s", want, text)
		}
	}
	if n := strings.Count(text, "呼び出し"); n < 24 { // some are cut at the end of a line
		t.Errorf("%d of 30 words are drawn whole", n)
	}
	if len(file) > 300_000 {
		t.Errorf("the file has %d bytes: its fonts are not cut down to its letters", len(file))
	}
	again, err := PDF(d)
	if err != nil || !bytes.Equal(file, again) {
		t.Errorf("drawn again it is another file, %v", err)
	}
}

// TestFontsHaveTheLetters: what is drawn from a font is no box.
func TestFontsHaveTheLetters(t *testing.T) {
	t.Parallel()
	regular, bold, east := letters(t, regularFont), letters(t, boldFont), letters(t, eastFont)
	for _, text := range []string{
		"Nguyễn Thị Ánh Đặng Ưu Ỵ ỹ", "Zoë Ærø Łódź Straße", "Ада Щукин Ґедзь", "株式会社カレンダー東京ひらがな", "北京市朝阳区建国路，龍門", "김민준 서울특별시 쀍", "（株）：１２３。、「」",
	} {
		for _, r := range plain(text) {
			switch {
			case eastern(r) && !east[r]:
				t.Errorf("%q of %s is in no font", r, text)
			case !eastern(r) && (!regular[r] || !bold[r]):
				t.Errorf("%q of %s is not in both fonts", r, text)
			}
		}
	}
}

// letters are those that a font file has a picture of, by its table of
// characters.
func letters(t testing.TB, font []byte) map[rune]bool {
	t.Helper()
	u16 := func(at int) int { return int(binary.BigEndian.Uint16(font[at:])) }
	u32 := func(at int) int { return int(binary.BigEndian.Uint32(font[at:])) }
	table := 0
	for n := range u16(4) {
		if at := 12 + 16*n; string(font[at:at+4]) == "cmap" {
			table = u32(at + 8)
		}
	}
	out := map[rune]bool{}
	for n := range u16(table + 2) {
		at := table + u32(table+4+8*n+4)
		if u16(at) != 4 { // the form for the first 65,536 characters
			continue
		}
		segments := u16(at+6) / 2
		ends, starts := at+14, at+16+2*segments
		deltas, ranges := starts+2*segments, starts+4*segments
		for s := range segments {
			for c := u16(starts + 2*s); c <= u16(ends+2*s) && c != 0xffff; c++ {
				glyph := c
				if offset := u16(ranges + 2*s); offset != 0 {
					glyph = u16(ranges + 2*s + offset + 2*(c-u16(starts+2*s)))
				}
				if (glyph+u16(deltas+2*s))&0xffff != 0 {
					out[rune(c)] = true
				}
			}
		}
	}
	if len(out) < 1000 {
		t.Fatalf("the font has %d letters", len(out))
	}
	return out
}
