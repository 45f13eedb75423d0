package document

import (
	"bytes"
	_ "embed" // the fonts
	"fmt"
	"strings"

	"github.com/go-pdf/fpdf"

	"purser/language"
)

//go:embed DejaVuSans.ttf
var regularFont []byte

//go:embed DejaVuSans-Bold.ttf
var boldFont []byte

// Measures in millimetres, sizes of letters in points.
const (
	margin    = 20.0
	bottom    = 22.0
	width     = 210 - 2*margin
	lineHigh  = 5.0
	gap       = 8.0
	sizeSmall = 8.0
	sizeText  = 9.5
	sizeLarge = 18.0
	family    = "text"
)

// columns are the widths of the table of lines: description, quantity, unit
// amount, amount.
var columns = [4]float64{width - 22 - 38 - 38, 22, 38, 38}

// page is a document being drawn.
type page struct {
	pdf *fpdf.Fpdf
	d   Document
	*language.Language
	style string // of the letters, now
}

func newPage(d Document) *page {
	pdf := fpdf.New("P", "mm", "A4", "")
	p := &page{pdf: pdf, d: d, Language: d.language()}
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(d.IssuedAt.UTC())
	pdf.SetModificationDate(d.IssuedAt.UTC())
	pdf.SetProducer("Purser", true)
	pdf.SetLang(p.Tag)
	pdf.SetTitle(plain(d.Title()), true)
	pdf.SetAuthor(plain(d.Seller.Name), true)
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(true, bottom)
	pdf.AliasNbPages("{pages}")
	// The library writes into a font as it cuts out the letters that are used:
	// each document needs a copy, or two at once would spoil each other's.
	pdf.AddUTF8FontFromBytes(family, "", bytes.Clone(regularFont))
	pdf.AddUTF8FontFromBytes(family, "B", bytes.Clone(boldFont))
	if d.hasEastern() {
		pdf.AddUTF8FontFromBytes(eastFamily, "", bytes.Clone(eastFont))
	}
	pdf.SetFooterFunc(p.foot)
	pdf.AddPage()
	return p
}

// plain leaves out of a text what turns or hides it, and what the font file
// has no place for: characters beyond the first 65,536 become a box.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff {
			return '\u25a1'
		}
		return r
	}, language.Plain(s))
}

func (p *page) font(style string, size float64) {
	p.style = style
	p.pdf.SetFont(family, style, size)
}

func (p *page) ink(level int) { p.pdf.SetTextColor(level, level, level) }

// text draws one line of text in a cell and stays in the line.
func (p *page) text(w float64, s, align string) {
	if s = plain(s); isEastern(s) {
		p.mixed(w, s, align)
		return
	}
	p.pdf.CellFormat(w, lineHigh, s, "", 0, align, false, 0, "")
}

// wrapped is the text in lines that fit into a width.
func (p *page) wrapped(s string, w float64) []string {
	if s = plain(s); isEastern(s) {
		return p.wrapMixed(s, w)
	}
	lines := p.pdf.SplitText(s, w)
	if len(lines) == 0 {
		return []string{""}
	}
	return lines
}

func (p *page) foot() {
	p.pdf.SetY(-15)
	p.font("", sizeSmall)
	p.ink(110)
	p.text(width/2, p.d.Seller.Name, "L")
	p.text(width/2, fmt.Sprintf("%s · %d / {pages}", p.d.Title(), p.pdf.PageNo()), "R")
	p.ink(0)
}

// head says what the document is.
func (p *page) head() {
	if p.d.Test {
		p.font("B", sizeText)
		p.pdf.SetTextColor(170, 60, 0)
		p.text(width, p.Words.TestDocument, "L")
		p.ink(0)
		p.pdf.Ln(lineHigh + 2)
	}
	p.font("B", sizeLarge)
	p.pdf.CellFormat(width*0.7, 10, plain(p.d.Title()), "", 0, "L", false, 0, "")
	p.pdf.CellFormat(width*0.3, 10, plain(p.d.Mark), "", 1, "R", false, 0, "")
	p.pdf.Ln(gap)
}

// parties says who sells to whom, with the facts beside.
func (p *page) parties() {
	const third = width / 3
	top, lowest := p.pdf.GetY(), p.pdf.GetY()
	block := func(column int, title string, draw func(x float64)) {
		x := margin + float64(column)*third
		p.pdf.SetXY(x, top)
		p.font("", sizeSmall)
		p.ink(110)
		p.text(third, title, "L")
		p.ink(0)
		p.pdf.SetXY(x, top+lineHigh)
		draw(x)
		lowest = max(lowest, p.pdf.GetY())
	}
	party := func(who Party) func(x float64) {
		return func(x float64) {
			for i, s := range append([]string{who.Name}, who.Details...) {
				p.font(map[bool]string{true: "B"}[i == 0], sizeText)
				for _, line := range p.wrapped(s, third-4) {
					p.pdf.SetX(x)
					p.text(third, line, "L")
					p.pdf.Ln(lineHigh)
				}
			}
		}
	}
	block(0, p.Words.From, party(p.d.Seller))
	block(1, p.Words.To, party(p.d.Payer))
	block(2, p.Words.Date, func(x float64) {
		p.font("", sizeText)
		p.text(third, p.Date(p.d.IssuedAt), "L")
		p.pdf.Ln(lineHigh + 1)
		for _, f := range p.d.Facts {
			p.pdf.SetX(x)
			p.font("", sizeSmall)
			p.ink(110)
			p.text(third, f.Name, "L")
			p.ink(0)
			p.pdf.Ln(lineHigh)
			p.font("", sizeText)
			for _, line := range p.wrapped(f.Value, third-2) {
				p.pdf.SetX(x)
				p.text(third, line, "L")
				p.pdf.Ln(lineHigh)
			}
			p.pdf.Ln(1)
		}
	})
	p.pdf.SetXY(margin, lowest+gap)
	if p.d.Description == "" {
		return
	}
	p.font("", sizeText)
	for _, line := range p.wrapped(p.d.Description, width) {
		p.text(width, line, "L")
		p.pdf.Ln(lineHigh)
	}
	p.pdf.Ln(gap / 2)
}

// lines draws the table; its head stands on every page.
func (p *page) lines() {
	p.tableHead()
	for _, l := range p.d.Lines {
		p.font("", sizeText)
		description := l.Description
		if l.Every != "" {
			description += " (" + l.Every + ")"
		}
		rows := p.wrapped(description, columns[0]-2)
		p.room(float64(min(len(rows), 3))*lineHigh + 2)
		for i, row := range rows {
			p.room(lineHigh)
			p.text(columns[0], row, "L")
			if i == 0 {
				p.text(columns[1], p.Count(l.Quantity), "R")
				p.text(columns[2], p.Number(l.UnitAmount.Decimal()), "R")
				p.text(columns[3], p.Number(l.Amount.Decimal()), "R")
			}
			p.pdf.Ln(lineHigh)
		}
		p.pdf.Ln(1)
		p.rule(225)
		p.pdf.Ln(1)
	}
}

func (p *page) tableHead() {
	p.font("B", sizeSmall)
	currency := ""
	if len(p.d.Lines) > 0 {
		currency = " " + p.d.Lines[0].Amount.Currency
	}
	for i, title := range []string{p.Words.Description, p.Words.Quantity, p.Words.UnitPrice + currency, p.Words.Amount + currency} {
		p.text(columns[i], title, map[bool]string{true: "L", false: "R"}[i == 0])
	}
	p.pdf.Ln(lineHigh + 1)
	p.rule(60)
	p.pdf.Ln(1.5)
}

// room begins a new page, with the table's head, when less is left.
func (p *page) room(high float64) {
	_, pageHigh := p.pdf.GetPageSize()
	if p.pdf.GetY()+high <= pageHigh-bottom {
		return
	}
	p.pdf.AddPage()
	p.tableHead()
	p.font("", sizeText)
}

func (p *page) rule(level int) {
	p.pdf.SetDrawColor(level, level, level)
	p.pdf.SetLineWidth(0.2)
	p.pdf.Line(margin, p.pdf.GetY(), margin+width, p.pdf.GetY())
}

// sums draws the amounts at the foot, all on one page.
func (p *page) sums() {
	_, pageHigh := p.pdf.GetPageSize()
	if p.pdf.GetY()+float64(len(p.d.Sums)+1)*(lineHigh+1) > pageHigh-bottom {
		p.pdf.AddPage()
	}
	p.pdf.Ln(2)
	for i, s := range p.d.Sums {
		style, size := "", sizeText
		if i == len(p.d.Sums)-1 {
			style, size = "B", sizeText+1.5
		}
		p.font(style, size)
		p.text(width-62, s.Name, "R")
		p.text(62, p.Amount(s.Amount), "R")
		p.pdf.Ln(lineHigh + 1)
	}
	p.pdf.Ln(gap / 2)
}

func (p *page) notes() {
	p.font("", sizeText)
	for _, note := range p.d.Notes {
		for _, line := range p.wrapped(note, width) {
			p.text(width, line, "L")
			p.pdf.Ln(lineHigh)
		}
	}
	if len(p.d.Notes) > 0 {
		p.pdf.Ln(gap / 2)
	}
}

// payment draws the link by which it can be paid.
func (p *page) payment() {
	if p.d.PaymentURL == "" {
		return
	}
	p.font("B", sizeText)
	p.text(width, p.Words.PayOnline, "L")
	p.pdf.Ln(lineHigh)
	p.font("", sizeSmall)
	p.pdf.SetTextColor(0, 70, 160)
	for _, line := range p.wrapped(p.d.PaymentURL, width) {
		p.pdf.CellFormat(width, lineHigh, line, "", 1, "L", false, 0, p.d.PaymentURL)
	}
	p.ink(0)
}
