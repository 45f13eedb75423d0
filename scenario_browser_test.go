package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// browser is a person with a browser that runs no scripts: it opens pages,
// fills forms and presses buttons. It follows redirects within the server and
// stops at the door of any other host.
type browser struct {
	client *http.Client
	// home is the server's address; nothing else is ever fetched.
	home string
	// reads is the language that it asks for.
	reads string

	at     *url.URL
	status int
	body   string
	page   page
	filled map[string]string
}

// page is what a person can see and use of an HTML document.
type page struct {
	text  string
	forms []form
	links map[string]string // by id and by text
}

type form struct {
	method, action string
	fields         map[string]string
	buttons        []button
}

type button struct{ id, name, value, text string }

func newBrowser(home string, transport http.RoundTripper) (*browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &browser{
		home: home,
		client: &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}, nil
}

// do carries out one line of a script.
func (b *browser) do(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "reads":
		b.reads = rest
		return nil
	case "open":
		return b.visit(http.MethodGet, rest, nil)
	case "fill":
		name, value, _ := strings.Cut(rest, " ")
		for _, f := range b.page.forms {
			if _, there := f.fields[name]; there {
				b.filled[name] = strings.TrimSpace(value)
				return nil
			}
		}
		return fmt.Errorf("the page has no field %q; it says: %s", name, b.page.text)
	case "press":
		return b.press(rest)
	case "follow":
		target, ok := b.page.links[rest]
		if !ok {
			return fmt.Errorf("the page has no link %q; it says: %s", rest, b.page.text)
		}
		return b.visit(http.MethodGet, target, nil)
	case "expect":
		return b.expect(rest)
	}
	return fmt.Errorf("a browser cannot %q", verb)
}

// press sends the form that has the button, named by its id, name or text.
func (b *browser) press(name string) error {
	for _, f := range b.page.forms {
		for _, pressed := range f.buttons {
			if name != pressed.id && name != pressed.name && name != pressed.text {
				continue
			}
			values := url.Values{}
			for k, v := range f.fields {
				values.Set(k, v)
			}
			for k, v := range b.filled {
				values.Set(k, v)
			}
			if pressed.name != "" {
				values.Set(pressed.name, pressed.value)
			}
			if strings.EqualFold(f.method, http.MethodPost) {
				return b.visit(http.MethodPost, f.action, values)
			}
			return b.visit(http.MethodGet, f.action+"?"+values.Encode(), nil)
		}
	}
	return fmt.Errorf("the page has no button %q; it says: %s", name, b.page.text)
}

func (b *browser) expect(what string) error {
	kind, rest, _ := strings.Cut(what, " ")
	rest = strings.TrimSpace(rest)
	switch kind {
	case "text":
		if !strings.Contains(b.page.text, rest) {
			return fmt.Errorf("the page does not say %q but: %s", rest, b.page.text)
		}
	case "no":
		if text := strings.TrimSpace(strings.TrimPrefix(rest, "text")); strings.Contains(b.page.text, text) {
			return fmt.Errorf("the page says %q: %s", text, b.page.text)
		}
	case "status":
		if rest != fmt.Sprint(b.status) {
			return fmt.Errorf("the page came with status %d, not %s: %s", b.status, rest, b.page.text)
		}
	case "address":
		if !strings.HasPrefix(b.at.String(), rest) {
			return fmt.Errorf("the browser is at %s, not at %s", b.at, rest)
		}
	case "pdf":
		if !strings.HasPrefix(b.body, "%PDF-") || !strings.Contains(b.body, "%%EOF") {
			return fmt.Errorf("%s is not a PDF document: %.80q", b.at, b.body)
		}
	default:
		return fmt.Errorf("a browser cannot expect %q", kind)
	}
	return nil
}

// redirectsMax is how many redirects a browser follows before it gives up.
const redirectsMax = 10

// visit goes to an address, and on to where it redirects.
func (b *browser) visit(method, address string, values url.Values) error {
	for range redirectsMax {
		target, err := url.Parse(address)
		if err != nil {
			return fmt.Errorf("open %q: %w", address, err)
		}
		if b.at != nil {
			target = b.at.ResolveReference(target)
		}
		b.at, b.body, b.page, b.filled = target, "", page{}, map[string]string{}
		if !strings.HasPrefix(target.String(), b.home+"/") {
			b.status = 0
			return nil // another host's page: the story ends at its door
		}
		var body io.Reader
		if values != nil {
			body = strings.NewReader(values.Encode())
		}
		r, err := http.NewRequest(method, target.String(), body)
		if err != nil {
			return fmt.Errorf("open %s: %w", target, err)
		}
		if values != nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if b.reads != "" {
			r.Header.Set("Accept-Language", b.reads)
		}
		answer, err := b.client.Do(r)
		if err != nil {
			return fmt.Errorf("open %s: %w", target, err)
		}
		raw, err := io.ReadAll(answer.Body)
		if err = errors.Join(err, answer.Body.Close()); err != nil {
			return fmt.Errorf("read %s: %w", target, err)
		}
		if next := answer.Header.Get("Location"); next != "" && answer.StatusCode/100 == 3 {
			method, address, values = http.MethodGet, next, nil
			continue
		}
		b.status, b.body = answer.StatusCode, string(raw)
		if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
			if b.page, err = readPage(b.body); err != nil {
				return fmt.Errorf("read %s: %w", target, err)
			}
		} else {
			b.page.text = b.body
		}
		return nil
	}
	return fmt.Errorf("more than %d redirects, the last to %s", redirectsMax, b.at)
}

// readPage reads the parts of a page that a person can use. Our pages and the
// sandbox's are tidy enough for the lenient mode of the XML decoder.
func readPage(document string) (page, error) {
	p := page{links: map[string]string{}}
	d := xml.NewDecoder(strings.NewReader(document))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var words []string
	var skipped, inForm int
	var link, linkID string
	var linkText, buttonText []string
	var pressed *button
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			p.text = strings.Join(words, " ")
			return p, nil
		}
		if err != nil {
			return p, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			attr := func(name string) string {
				for _, a := range t.Attr {
					if a.Name.Local == name {
						return a.Value
					}
				}
				return ""
			}
			switch t.Name.Local {
			case "style", "script", "head":
				skipped++
			case "form":
				inForm++
				p.forms = append(p.forms, form{method: attr("method"), action: attr("action"), fields: map[string]string{}})
			case "input":
				if n := len(p.forms); n > 0 && inForm > 0 && attr("name") != "" {
					p.forms[n-1].fields[attr("name")] = attr("value")
				}
			case "button":
				pressed, buttonText = &button{id: attr("id"), name: attr("name"), value: attr("value")}, nil
			case "a":
				link, linkID, linkText = attr("href"), attr("id"), nil
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "style", "script", "head":
				skipped--
			case "form":
				inForm--
			case "button":
				if n := len(p.forms); n > 0 && inForm > 0 && pressed != nil {
					pressed.text = strings.Join(buttonText, " ")
					p.forms[n-1].buttons = append(p.forms[n-1].buttons, *pressed)
				}
				pressed = nil
			case "a":
				p.links[strings.Join(linkText, " ")] = link
				if linkID != "" {
					p.links[linkID] = link
				}
				link = ""
			}
		case xml.CharData:
			if skipped > 0 {
				continue
			}
			found := strings.Fields(string(t))
			words = append(words, found...)
			if link != "" {
				linkText = append(linkText, found...)
			}
			if pressed != nil {
				buttonText = append(buttonText, found...)
			}
		}
	}
}
