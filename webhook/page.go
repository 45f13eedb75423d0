package webhook

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"

	"purser/auth"
	"purser/language"
)

// The pages: page.html is around each of them, document.html is the middle of
// those that show a document, and page.css is the style of all. No page needs
// a script, or anything from elsewhere.
//
//go:embed *.html
var pageFiles embed.FS

//go:embed page.css
var pageStyle string

// page is what every page shows. A page's own view embeds it.
type page struct {
	*pageKind
	// Language is the reader's; language.For chooses it.
	Language *language.Language
	Title    string
	// Seller stands above the heading; empty for none.
	Seller string
	Test   bool
}

// pageKind is what all pages of one sort have in common.
type pageKind struct {
	name     string
	Style    template.CSS
	template *template.Template
	// forms is where its forms lead.
	forms string
}

// noForms is for pages that have no forms.
const noForms = "'none'"

// newPageKind reads the template of a page.
func newPageKind(name, forms string) *pageKind {
	functions := template.FuncMap{"plain": language.Plain, "name": isolated}
	return &pageKind{
		name:     name,
		Style:    template.CSS(pageStyle), // embedded in this program
		template: template.Must(template.New("page.html").Funcs(functions).ParseFS(pageFiles, "page.html", "document.html", name+".html")),
		forms:    forms,
	}
}

// policy admits the one style sheet, forms where there are any, and nothing
// else. In tests the gateway may be on this machine.
func (p *page) policy() string {
	hash := sha256.Sum256([]byte(pageStyle))
	forms := p.forms
	if p.Test && forms != noForms {
		forms += " http:"
	}
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action " + forms + "; frame-ancestors 'none'"
}

// isolated shows what somebody else has written: it turns the direction of
// nothing beside it.
func isolated(text string) template.HTML {
	return template.HTML("<bdi>" + template.HTMLEscapeString(language.Plain(text)) + "</bdi>")
}

// view is a page with whatever it shows beside.
type view interface{ common() *page }

func (p *page) common() *page { return p }

// show answers with a page.
func (h *Handler) show(ctx context.Context, w http.ResponseWriter, status int, v view) {
	p := v.common()
	head := w.Header()
	head.Set("Content-Type", "text/html; charset=utf-8")
	head.Set("Content-Language", p.Language.Tag)
	head.Set("Content-Security-Policy", p.policy())
	private(head)
	if p.forms != noForms {
		// Other sites learn no address. Ours does, or browsers would not say
		// where a form was sent from.
		head.Set("Referrer-Policy", "same-origin")
	}
	w.WriteHeader(status)
	if err := p.template.Execute(w, v); err != nil {
		h.Logger.WarnContext(ctx, "page not shown", "page", p.name, "error", err)
	}
}

// private keeps an answer, whose address is a secret, between us and whoever
// asked for it.
func private(head http.Header) {
	head.Set("Cache-Control", "no-store")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("X-Robots-Tag", "noindex")
}

// absentPage says that there is nothing to show.
var absentPage = newPageKind("absent", noForms)

type absentView struct {
	page
	Text string
}

// missing answers for an object that was not found, or that could not be
// looked for: the two are not the same to who has just paid.
func (h *Handler) missing(ctx context.Context, w http.ResponseWriter, what string, err error) {
	in := language.For(ctx, "")
	v := absentView{page: page{pageKind: absentPage, Language: in, Title: in.Words.NotFound}, Text: in.Words.NotFoundText}
	if isNotFound(err) {
		h.show(ctx, w, http.StatusNotFound, &v)
		return
	}
	h.Logger.ErrorContext(ctx, "object not read", "object", what, "error", err)
	v.Title, v.Text = in.Words.Unreadable, in.Words.UnreadableText
	h.show(ctx, w, http.StatusServiceUnavailable, &v)
}

// nothing answers for an address that leads nowhere.
func (h *Handler) nothing(w http.ResponseWriter, r *http.Request) {
	h.missing(r.Context(), w, "page", auth.ErrNotFound)
}
