package document

import (
	_ "embed" // the font
	"slices"
	"strings"
	"unicode"
)

// The letters of Chinese, Japanese and Korean come from a second font, which
// has no others that a document needs and is read only where one of them
// stands in it: it is four times as large.

//go:embed DroidSansFallback.ttf
var eastFont []byte

const eastFamily = "east"

// eastern reports whether a letter is drawn from the second font.
func eastern(r rune) bool {
	switch {
	case r >= 0x1100 && r <= 0x11ff, // Hangul, letter by letter
		r >= 0x2e80 && r <= 0x9fff,                             // radicals, punctuation, kana, Han
		r >= 0xa960 && r <= 0xa97f, r >= 0xac00 && r <= 0xd7ff, // Hangul
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe4f, r >= 0xff00 && r <= 0xffef: // forms
		return true
	}
	return false
}

// isEastern reports whether a text has such letters.
func isEastern(s string) bool { return strings.ContainsFunc(s, eastern) }

// hasEastern reports whether a document has them anywhere.
func (d Document) hasEastern() bool {
	texts := slices.Concat([]string{d.Number, d.Mark, d.Description, d.Seller.Name, d.Payer.Name}, d.Seller.Details, d.Payer.Details, d.Notes)
	for _, f := range d.Facts {
		texts = append(texts, f.Name, f.Value)
	}
	for _, l := range d.Lines {
		texts = append(texts, l.Description)
	}
	for _, s := range d.Sums {
		texts = append(texts, s.Name)
	}
	return slices.ContainsFunc(texts, func(s string) bool { return isEastern(plain(s)) })
}

// run is a piece of a line that one font draws.
type run struct {
	text string
	east bool
}

// runs cuts a line where the font changes. A space stays with what is before
// it.
func runs(s string) []run {
	var out []run
	for _, r := range s {
		east := eastern(r)
		last := len(out) - 1
		if last >= 0 && (out[last].east == east || r == ' ' && out[last].east) {
			out[last].text += string(r)
			continue
		}
		out = append(out, run{string(r), east})
	}
	return out
}

// in uses the font of a run while f draws or measures.
func (p *page) in(r run, f func()) {
	if !r.east {
		f()
		return
	}
	size, _ := p.pdf.GetFontSize()
	style := p.style
	p.pdf.SetFont(eastFamily, "", size)
	f()
	p.font(style, size)
}

// widthOf measures a line.
func (p *page) widthOf(s string) float64 {
	var sum float64
	for _, r := range runs(s) {
		p.in(r, func() { sum += p.pdf.GetStringWidth(r.text) })
	}
	return sum
}

// mixed draws a line in which the font changes as text does: in a cell, and
// stays in the line.
func (p *page) mixed(w float64, s, align string) {
	x, y := p.pdf.GetXY()
	gap := p.pdf.GetCellMargin()
	at := x + gap
	if align == "R" {
		at = x + w - gap - p.widthOf(s)
	}
	for _, r := range runs(s) {
		p.in(r, func() {
			wide := p.pdf.GetStringWidth(r.text)
			p.pdf.SetXY(at-gap, y)
			p.pdf.CellFormat(wide+2*gap, lineHigh, r.text, "", 0, "L", false, 0, "")
			at += wide
		})
	}
	p.pdf.SetXY(x+w, y)
}

// wrapMixed is a text in lines that fit into a width, where the font changes:
// an eastern line may end after every letter, any other between words.
func (p *page) wrapMixed(s string, w float64) []string {
	w -= 2 * p.pdf.GetCellMargin()
	var lines []string
	for paragraph := range strings.SplitSeq(s, "\n") {
		line := ""
		for _, word := range words(paragraph) {
			switch {
			case line != "" && p.widthOf(line+word) > w:
				lines = append(lines, strings.TrimRight(line, " "))
				line = strings.TrimLeft(word, " ")
			default:
				line += word
			}
			for p.widthOf(line) > w {
				head, tail := p.cutTo(line, w)
				if tail == "" {
					break
				}
				lines, line = append(lines, head), tail
			}
		}
		lines = append(lines, line)
	}
	return lines
}

// words cuts a text where a line may end.
func words(s string) []string {
	var out []string
	fresh := true
	for _, r := range s {
		if fresh || eastern(r) {
			out = append(out, string(r))
		} else {
			out[len(out)-1] += string(r)
		}
		fresh = eastern(r) || unicode.IsSpace(r)
	}
	return out
}

// cutTo cuts a line that has no place to end so that its head fits.
func (p *page) cutTo(s string, w float64) (head, tail string) {
	letters := []rune(s)
	n := len(letters) - 1
	for n > 1 && p.widthOf(string(letters[:n])) > w {
		n--
	}
	if n < 1 {
		return s, ""
	}
	return string(letters[:n]), string(letters[n:])
}
