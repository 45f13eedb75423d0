package mail

import (
	"embed"
	"regexp"
	"strings"
)

// The wording that is shipped: templates/<language>/<system name>.text.liquid,
// the subject in its first line.
//
//go:embed templates/*/*.text.liquid
var shipped embed.FS

// DefaultLocale is the language of mails to whoever has named none, or one
// that nobody has written templates in.
const DefaultLocale = "en"

// localePattern is a language, with a script or region where one is needed.
var localePattern = regexp.MustCompile(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$`)

// ValidLocale reports whether a language is written as it should be: uk,
// pt-BR, zh-Hant.
func ValidLocale(locale string) bool { return localePattern.MatchString(locale) }

// Locales are the languages in which a mail is looked for that is to be in the
// given one, the best first: what it is written in at last is English.
func Locales(locale string) []string {
	var out []string
	for locale != "" {
		out = append(out, locale)
		i := strings.LastIndexByte(locale, '-')
		locale = locale[:max(i, 0)]
	}
	if len(out) == 0 || out[len(out)-1] != DefaultLocale {
		out = append(out, DefaultLocale)
	}
	return out
}

// System is the shipped template of a kind in exactly this language; false
// where there is none.
func System(k Kind, locale string) (Template, bool) {
	if !k.Known() || !ValidLocale(locale) {
		return Template{}, false
	}
	b, err := shipped.ReadFile("templates/" + locale + "/" + k.SystemName() + ".text.liquid")
	if err != nil {
		return Template{}, false
	}
	subject, text, _ := strings.Cut(string(b), "\n")
	return Template{Subject: strings.TrimPrefix(subject, "Subject: "), Text: strings.TrimLeft(text, "\n")}, true
}

// SystemFor is the shipped template of a kind for this language, or the best
// there is.
func SystemFor(k Kind, locale string) Template {
	for _, l := range Locales(locale) {
		if t, ok := System(k, l); ok {
			return t
		}
	}
	return Template{}
}

// HTMLSource is the template's HTML as it is rendered: its own, or the one
// that is made of its text.
func (t Template) HTMLSource() string {
	if t.HTML != "" {
		return t.HTML
	}
	source, bad := htmlOf(t.Text)
	if bad != nil {
		return ""
	}
	return source
}
