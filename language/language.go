// Package language owns the languages that payers read: which there are, how
// the best one for somebody is chosen, the words of pages and documents, and
// how dates, amounts and numbers are written.
//
// A language is one file: its words, all of them, beside its rules. What mails
// say are templates, which organizations may override, and stands in package
// mail; the choice of a language is the same. Nothing here knows what is shown
// to whom.
package language

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"purser/money"
)

// Default is the language of whoever has named none, or one that there are no
// words in.
const Default = "en"

// tagPattern is a language, with a script or region where one is needed.
var tagPattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$`)

// Valid reports whether a language is written as it should be: uk, pt-BR,
// zh-Hant.
func Valid(tag string) bool { return tagPattern.MatchString(tag) }

// Choices are the languages in which words are looked for that are to be in
// the given one, the best first: what they are in at last is English.
func Choices(tag string) []string {
	var out []string
	for tag != "" {
		out = append(out, tag)
		i := strings.LastIndexByte(tag, '-')
		tag = tag[:max(i, 0)]
	}
	if len(out) == 0 || out[len(out)-1] != Default {
		out = append(out, Default)
	}
	return out
}

// Language is one that pages and documents are written in. It is never
// changed.
type Language struct {
	// Tag names it, as in <html lang>.
	Tag string
	// Direction is the one of its script, as in <html dir>.
	Direction string
	Words     Words

	date    func(time.Time) string
	every   func(n int, unit string) string
	decimal string // between whole and fraction
	group   string // between thousands
}

// all are the languages that there are words in.
var all = []*Language{english, ukrainian}

// All lists the languages that there are words in.
func All() []*Language { return slices.Clone(all) }

// Of is the best language for whoever reads the one named.
func Of(tag string) *Language {
	if l := named(tag); l != nil {
		return l
	}
	return english
}

// Date writes a day, in the time's own zone.
func (l *Language) Date(t time.Time) string { return l.date(t) }

// Every says how often, as "every month": unit is DAY, WEEK, MONTH or YEAR.
func (l *Language) Every(n int, unit string) string { return l.every(n, unit) }

// Amount writes an amount with its currency's code, which every language puts
// in the same place and nobody takes for another's sign.
func (l *Language) Amount(a money.Amount) string { return l.Number(a.Decimal()) + " " + a.Currency }

// Count writes a whole number.
func (l *Language) Count(n int) string { return l.Number(money.Decimal(strconv.Itoa(n))) }

// Number writes a number, exactly: thousands are parted, and nothing is
// rounded.
func (l *Language) Number(d money.Decimal) string {
	digits, negative := strings.CutPrefix(string(d), "-")
	whole, fraction, broken := strings.Cut(digits, ".")
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(l.group)
		}
		b.WriteByte(whole[i])
	}
	if broken {
		b.WriteString(l.decimal + fraction)
	}
	return b.String()
}

// Mark is a status as it stands on a document, such as PAID.
func (l *Language) Mark(status string) string {
	if text := l.Words.Marks[status]; text != "" {
		return text
	}
	return status
}

// Refusal says why a payment failed: in English in the gateway's own words, in
// any other language by the first of its codes that there are words for.
func (l *Language) Refusal(message string, codes ...string) string {
	if l.Tag == Default {
		return message
	}
	for _, code := range codes {
		if text := l.Words.Refusals[code]; text != "" {
			return text
		}
	}
	return l.Words.Refused
}

// Plain takes out of a text what no name needs and pages and documents are
// forged with: control characters, and the marks that turn the direction of
// what follows them or show nothing. Ends of lines stay.
func Plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029', r == '\u200b', r == '\ufeff':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
}

type reader struct{}

// Accepting tells of a browser, by its Accept-Language header, for whoever is
// shown something and has named no language.
func Accepting(ctx context.Context, header string) context.Context {
	return context.WithValue(ctx, reader{}, accepted(header))
}

// For is the best language for somebody: the one they have named, else the one
// that their browser asks for, else English.
func For(ctx context.Context, tag string) *Language {
	if l, ok := ctx.Value(reader{}).(*Language); ok && tag == "" {
		return l
	}
	return Of(tag)
}
