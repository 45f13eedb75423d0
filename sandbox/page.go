package sandbox

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed page.css
var pageCSS string

//go:embed page.html
var pageHTML string

// Pages renders a stand-in's hosted pages inside one shell: plain HTML without
// any script, one inline style named by its hash in the Content-Security-Policy.
type Pages struct {
	templates *template.Template
	styleHash string
}

// Page is what the shell shows around a template.
type Page struct {
	// Title is the heading and the document's title.
	Title string
	// Template names the content's template; it sees Data.
	Template string
	Data     any
	// Status is the HTTP status. Defaults to 200.
	Status int
	// Leaves says that a form on this page may lead to a merchant's address.
	// Browsers apply form-action to every redirect after a form is sent, also
	// to those the merchant's own server makes later, which nobody here can
	// name; so such a page allows http and https in general.
	Leaves bool
}

// NewPages parses the stand-in's templates, one or more {{define}} blocks. The
// functions are added to those of the shell.
func NewPages(templates string, functions template.FuncMap) (*Pages, error) {
	t, err := template.New("page").Funcs(functions).Parse(pageHTML)
	if err != nil {
		return nil, fmt.Errorf("parse the page shell: %w", err)
	}
	if t, err = t.Parse(templates); err != nil {
		return nil, fmt.Errorf("parse the hosted pages: %w", err)
	}
	hash := sha256.Sum256([]byte(pageCSS))
	return &Pages{templates: t, styleHash: base64.StdEncoding.EncodeToString(hash[:])}, nil
}

// Write renders a page. It fails, with nothing sent, when the template does.
func (p *Pages) Write(w http.ResponseWriter, page Page) error {
	var content bytes.Buffer
	if err := p.templates.ExecuteTemplate(&content, page.Template, page.Data); err != nil {
		return fmt.Errorf("render the page %s: %w", page.Template, err)
	}
	var whole bytes.Buffer
	err := p.templates.ExecuteTemplate(&whole, "page", map[string]any{
		"Title":  page.Title,
		"Failed": page.Status >= http.StatusBadRequest,
		// Both come from this program: the embedded style sheet, and what the
		// template engine has escaped above.
		"Style":   template.CSS(pageCSS),
		"Content": template.HTML(content.String()),
	})
	if err != nil {
		return fmt.Errorf("render the page shell: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	policy := "default-src 'none'; style-src 'sha256-" + p.styleHash + "'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
	if page.Leaves {
		policy += " http: https:"
	}
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	if page.Status == 0 {
		page.Status = http.StatusOK
	}
	w.WriteHeader(page.Status)
	_, err = whole.WriteTo(w)
	if err != nil {
		return fmt.Errorf("send the page %s: %w", page.Template, err)
	}
	return nil
}
