package worldpaysandbox

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// element is a node of a document of the service: a name of its DTD, and
// either text or further elements.
type element struct {
	name       string
	attributes []attribute
	children   []*element
	text       string
	cdata      bool // text is written as a CDATA section
}

type attribute struct{ name, value string }

// el makes an element with children; those that are nil are left out.
func el(name string, children ...*element) *element {
	e := &element{name: name}
	for _, c := range children {
		if c != nil {
			e.children = append(e.children, c)
		}
	}
	return e
}

// textEl makes an element that holds text.
func textEl(name, text string) *element { return &element{name: name, text: text} }

// with adds an attribute and returns the element.
func (e *element) with(name, value string) *element {
	e.attributes = append(e.attributes, attribute{name, value})
	return e
}

// attr returns an attribute's value, "" where there is none.
func (e *element) attr(name string) string {
	if e == nil {
		return ""
	}
	for _, a := range e.attributes {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// child returns the element at the end of a path of names, nil where there is
// none. It may be called on nil.
func (e *element) child(path ...string) *element {
	for _, name := range path {
		if e == nil {
			return nil
		}
		var found *element
		for _, c := range e.children {
			if c.name == name {
				found = c
				break
			}
		}
		e = found
	}
	return e
}

// first returns the first child, nil where there is none. It may be called on
// nil.
func (e *element) first() *element {
	if e == nil || len(e.children) == 0 {
		return nil
	}
	return e.children[0]
}

// content returns the text at the end of a path without the space around it.
func (e *element) content(path ...string) string {
	if found := e.child(path...); found != nil {
		return strings.TrimSpace(found.text)
	}
	return ""
}

// root is the element that every document of the service has around it.
const root = "paymentService"

const (
	doctype   = `paymentService PUBLIC "-//WorldPay//DTD WorldPay PaymentService v1//EN" "http://dtd.worldpay.com/paymentService_v1.dtd"`
	depthMax  = 32
	versionOf = "1.4"
)

// parse reads a document. A parser that validates against the DTD refuses
// what has no DOCTYPE, so this one does, too; an internal subset, a second
// root, an attribute given twice and names with a namespace are refused.
func parse(raw []byte) (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = latin1
	var open []*element
	var document *element
	declared := false
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("it is not well-formed: %w", err)
		}
		switch token := token.(type) {
		case xml.Directive:
			if declared || document != nil || !strings.HasPrefix(string(token), "DOCTYPE "+root) || strings.Contains(string(token), "[") {
				return nil, errors.New("its DOCTYPE is not that of paymentService")
			}
			declared = true
		case xml.StartElement:
			e, err := started(token)
			switch {
			case err != nil:
				return nil, err
			case len(open) >= depthMax:
				return nil, errors.New("its elements are nested too deeply")
			case len(open) > 0:
				open[len(open)-1].children = append(open[len(open)-1].children, e)
			case document != nil:
				return nil, errors.New("it has a second root")
			default:
				document = e
			}
			open = append(open, e)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1].name != token.Name.Local || token.Name.Space != "" {
				return nil, fmt.Errorf("the element %s ends where it was not open", token.Name.Local)
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			} else if strings.TrimSpace(string(token)) != "" {
				return nil, errors.New("it has text outside of its root")
			}
		}
	}
	switch {
	case document == nil || len(open) > 0:
		return nil, errors.New("it ends too early")
	case !declared:
		return nil, errors.New("it has no DOCTYPE")
	}
	return document, nil
}

func started(token xml.StartElement) (*element, error) {
	if token.Name.Space != "" {
		return nil, fmt.Errorf("the element %s:%s has a namespace", token.Name.Space, token.Name.Local)
	}
	e := el(token.Name.Local)
	for _, a := range token.Attr {
		if a.Name.Space != "" {
			return nil, fmt.Errorf("the attribute %s:%s has a namespace", a.Name.Space, a.Name.Local)
		}
		for _, former := range e.attributes {
			if former.name == a.Name.Local {
				return nil, fmt.Errorf("the attribute %s of %s is given twice", a.Name.Local, e.name)
			}
		}
		e.with(a.Name.Local, a.Value)
	}
	return e, nil
}

// latin1 lets a document be in ISO-8859-1, whose bytes are the first code
// points of Unicode.
func latin1(charset string, in io.Reader) (io.Reader, error) {
	if !strings.EqualFold(charset, "ISO-8859-1") {
		return nil, fmt.Errorf("the encoding %q is not supported", charset)
	}
	raw, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	for _, b := range raw {
		out.WriteRune(rune(b))
	}
	return strings.NewReader(out.String()), nil
}

// render writes a document of the service around what it says.
func render(merchant string, said *element) []byte {
	document := el(root, said).with("version", versionOf)
	if merchant != "" {
		document.with("merchantCode", merchant)
	}
	var out bytes.Buffer
	out.WriteString(xml.Header + "<!DOCTYPE " + doctype + ">\n")
	document.write(&out)
	out.WriteString("\n")
	return out.Bytes()
}

func (e *element) write(out *bytes.Buffer) {
	out.WriteString("<" + e.name)
	for _, a := range e.attributes {
		out.WriteString(" " + a.name + `="`)
		escape(out, a.value)
		out.WriteString(`"`)
	}
	if e.text == "" && len(e.children) == 0 {
		out.WriteString("/>")
		return
	}
	out.WriteString(">")
	switch {
	case e.cdata:
		out.WriteString("<![CDATA[" + strings.ReplaceAll(e.text, "]]>", "]]]]><![CDATA[>") + "]]>")
	default:
		escape(out, e.text)
	}
	for _, c := range e.children {
		c.write(out)
	}
	out.WriteString("</" + e.name + ">")
}

func escape(out *bytes.Buffer, text string) {
	// A buffer takes every byte; what XML cannot hold is replaced.
	_ = xml.EscapeText(out, []byte(text))
}

// dateEl writes a day, and the time of day where it is asked for.
func dateEl(at moment, clock bool) *element {
	t := at.utc()
	e := el("date").with("dayOfMonth", strconv.Itoa(t.Day())).with("month", strconv.Itoa(int(t.Month()))).with("year", strconv.Itoa(t.Year()))
	if clock {
		e.with("hour", strconv.Itoa(t.Hour())).with("minute", strconv.Itoa(t.Minute())).with("second", strconv.Itoa(t.Second()))
	}
	return e
}
