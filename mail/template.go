package mail

import (
	"html"
	"regexp"
	"strings"
)

// Template is the wording of a mail, in Liquid. Where HTML is empty it is made
// of the text.
type Template struct {
	Subject string
	Text    string
	HTML    string

	// ours says that the wording is shipped: its time is not bounded, since
	// there is nothing to put in its place, and a machine that is busy can make
	// any template slow.
	ours bool
}

// Parts of a template, as inputs name them.
const (
	partSubject = "subject"
	partText    = "body"
	partHTML    = "htmlBody"
)

// Render fills a template in. The error is a *Problem: what the language or
// the mail does not have, or a bound that is exceeded.
func (t Template) Render(k Kind, values Values) (Rendered, error) {
	var out Rendered
	offered, bindings := k.Sample(), values.bindings()
	for _, part := range []struct {
		name   string
		source string
		into   *string
	}{
		{partSubject, t.Subject, &out.Subject},
		{partText, t.Text, &out.Text},
		{partHTML, t.HTML, &out.HTML},
	} {
		text, bad := renderPart(part.name, part.source, t, offered, bindings)
		if bad != nil {
			bad.Part = part.name
			return Rendered{}, bad
		}
		*part.into = text
	}
	return out, nil
}

// Check renders a template with sample data, and says what is wrong with it.
func (t Template) Check(k Kind) error {
	_, err := t.Render(k, k.Sample())
	return err
}

// manyLines are more empty lines than one, left by what was not put out.
var manyLines = regexp.MustCompile(`\n{3,}`)

func renderPart(name, source string, t Template, offered Values, bindings map[string]any) (string, *Problem) {
	limit := sourceMax
	if name == partSubject {
		if limit = subjectMax; strings.ContainsAny(source, "\r\n") {
			return "", problem(0, "the subject is one line")
		}
	}
	if len(source) > limit {
		return "", problem(0, "the template has %d bytes, at most %d are allowed", len(source), limit)
	}
	if strings.TrimSpace(source) == "" && name != partHTML {
		return "", problem(0, "the template is empty")
	}
	if source == "" {
		var bad *Problem
		if source, bad = htmlOf(t.Text); bad != nil {
			return "", bad
		}
	}
	pieces, bad := scan(strings.ReplaceAll(source, "\r\n", "\n"))
	if bad == nil {
		bad = check(pieces, offered)
	}
	if bad != nil {
		return "", bad
	}
	text, bad := renderSource(pieces, bindings, name == partHTML, t.ours)
	if bad != nil {
		return "", bad
	}
	switch name {
	case partSubject:
		text = clean(text)
	case partText:
		text = strings.TrimSpace(manyLines.ReplaceAllString(text, "\n\n")) + "\n"
	}
	return text, nil
}

// Layout of the HTML that is made of a text.
const (
	htmlHead = "<!doctype html>\n<html>\n<head><meta charset=\"utf-8\"></head>\n<body style=\"font-family: sans-serif; line-height: 1.5; max-width: 40em\">\n"
	htmlFoot = "</body>\n</html>\n"
)

// htmlOf makes a template for HTML of one for text: paragraphs of what empty
// lines part, lists of lines that begin with a hyphen, links of addresses.
func htmlOf(text string) (string, *Problem) {
	var out strings.Builder
	out.WriteString(htmlHead)
	open := ""
	enter := func(element string) {
		if open != element {
			if open != "" {
				out.WriteString("</" + open + ">\n")
			}
			if element != "" {
				out.WriteString("<" + element + ">")
			}
		} else if element == "p" {
			out.WriteString("<br>")
		}
		open = element
	}
	for line := range strings.Lines(strings.ReplaceAll(text, "\r\n", "\n")) {
		line = strings.TrimSpace(line)
		pieces, bad := scan(line)
		if bad != nil {
			// The text itself is refused for it, with the right line.
			return "", problem(0, "the HTML cannot be made of the text: %s", bad.Message)
		}
		item, isItem := strings.CutPrefix(line, "- ")
		switch {
		case line == "":
			enter("")
		case len(pieces) == 1 && pieces[0].kind == pieceTag:
			enter("")
			out.WriteString(line + "\n")
		case isItem:
			enter("ul")
			pieces, _ = scan(item)
			out.WriteString("<li>" + htmlLine(pieces) + "</li>")
		default:
			enter("p")
			out.WriteString(htmlLine(pieces))
		}
	}
	enter("")
	out.WriteString(htmlFoot)
	return out.String(), nil
}

// htmlLine escapes the text between objects and tags, and makes links of the
// objects that are addresses.
func htmlLine(pieces []piece) string {
	var out, object strings.Builder
	for _, p := range pieces {
		object.Reset()
		switch p.kind {
		case pieceText:
			out.WriteString(html.EscapeString(p.text))
		case pieceTag:
			out.WriteString("{% " + p.text + " %}")
		case pieceObject:
			object.WriteString("{{ " + p.text + " }}")
			if strings.HasSuffix(p.text, "url") {
				out.WriteString(`<a href="` + object.String() + `">` + object.String() + "</a>")
			} else {
				out.WriteString(object.String())
			}
		}
	}
	return out.String()
}
