// Package document draws quotes, invoices, receipts and credit notes as PDF.
//
// It is a pure function from what a document says to its bytes: the same
// document is the same file, whenever and wherever it is drawn. It knows no
// database, no rules and no gateway. Amounts are shown as they are, nothing is
// added up here.
//
// The letters are DejaVu Sans's (Latin with all of Vietnamese, Cyrillic,
// Greek and more), and for Chinese, Japanese and Korean Droid Sans Fallback's;
// what neither has a letter for is shown as a box.
package document

import (
	"bytes"
	"fmt"
	"time"

	"purser/language"
	"purser/money"
)

// Kind says what a document is.
type Kind string

// What can be drawn.
const (
	KindQuote      Kind = "Quote"
	KindInvoice    Kind = "Invoice"
	KindReceipt    Kind = "Receipt"
	KindCreditNote Kind = "Credit note"
)

// Document is what a document says.
type Document struct {
	// Language is what it is written in, nil for English; the texts below are
	// in it already.
	Language *language.Language
	Kind     Kind
	Number   string
	// Mark is shown beside the number, such as PAID or VOID; empty for none.
	Mark string
	// Test says in large letters that no money is meant.
	Test   bool
	Seller Party
	Payer  Party
	// IssuedAt is the document's date, in the seller's time zone; the file's
	// own date as well.
	IssuedAt time.Time
	// Facts are shown beside the parties, such as a due date.
	Facts       []Fact
	Description string
	Lines       []Line
	// Sums are shown under the lines; the last one stands out.
	Sums []Sum
	// Notes are sentences under the sums.
	Notes []string
	// PaymentURL is where it can be paid; empty for nowhere.
	PaymentURL string
}

// Party is a seller or a payer.
type Party struct {
	Name string
	// Details are lines below the name: an address, a tax number.
	Details []string
}

// Fact is a name with its value.
type Fact struct{ Name, Value string }

// Line is one position.
type Line struct {
	Description string
	Quantity    int
	UnitAmount  money.Amount
	Amount      money.Amount
	// Every says how often it is paid, such as "every month"; empty for once.
	Every string
}

// Sum is an amount at the foot.
type Sum struct {
	Name   string
	Amount money.Amount
}

// Title is what the document is, with its number.
func (d Document) Title() string {
	words := d.language().Words
	what := map[Kind]string{
		KindQuote: words.Quote, KindInvoice: words.Invoice, KindReceipt: words.Receipt, KindCreditNote: words.CreditNote,
	}[d.Kind]
	return what + " " + d.Number
}

func (d Document) language() *language.Language {
	if d.Language == nil {
		return language.Of(language.Default)
	}
	return d.Language
}

// PDF draws the document. An error means that it cannot be drawn at all.
func PDF(d Document) (file []byte, err error) {
	// The PDF library panics where it meets what its author did not think of.
	defer func() {
		if r := recover(); r != nil {
			file, err = nil, fmt.Errorf("draw %s %s: %v", d.Kind, d.Number, r)
		}
	}()
	p := newPage(d)
	p.head()
	p.parties()
	p.lines()
	p.sums()
	p.notes()
	p.payment()
	var b bytes.Buffer
	if err := p.pdf.Output(&b); err != nil {
		return nil, fmt.Errorf("draw %s %s: %w", d.Kind, d.Number, err)
	}
	return b.Bytes(), nil
}
