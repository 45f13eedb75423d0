package mail

import (
	"embed"
	"strings"

	"purser/language"
)

// The wording that is shipped: templates/<language>/<system name>.text.liquid,
// the subject in its first line.
//
//go:embed templates/*/*.text.liquid
var shipped embed.FS

// System is the shipped template of a kind in exactly this language; false
// where there is none.
func System(k Kind, locale string) (Template, bool) {
	if !k.Known() || !language.Valid(locale) {
		return Template{}, false
	}
	b, err := shipped.ReadFile("templates/" + locale + "/" + k.SystemName() + ".text.liquid")
	if err != nil {
		return Template{}, false
	}
	subject, text, _ := strings.Cut(string(b), "\n")
	return Template{Subject: strings.TrimPrefix(subject, "Subject: "), Text: strings.TrimLeft(text, "\n"), ours: true}, true
}

// SystemFor is the shipped template of a kind for this language, or the best
// there is.
func SystemFor(k Kind, locale string) Template {
	for _, l := range language.Choices(locale) {
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
