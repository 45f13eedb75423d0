package worldpay

import (
	"strings"
	"unicode/utf8"
)

// element is one element of a request. Its children stand in the order in
// which Worldpay's document type wants them: another order is refused.
type element struct {
	name     string
	attrs    []attr
	text     string
	children []*element
}

// attr is one attribute, in the order in which it is written.
type attr struct{ name, value string }

// el makes an element with its children; those that are nil are left out.
func el(name string, children ...*element) *element {
	e := &element{name: name}
	for _, c := range children {
		if c != nil {
			e.children = append(e.children, c)
		}
	}
	return e
}

// leaf makes an element with a text.
func leaf(name, text string) *element { return &element{name: name, text: text} }

// optional is a leaf, or nil where there is no text.
func optional(name, text string) *element {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	return leaf(name, text)
}

// with adds an attribute.
func (e *element) with(name, value string) *element {
	e.attrs = append(e.attrs, attr{name, value})
	return e
}

// The head of every message: Worldpay goes by the public identifier, and
// nobody fetches the address.
const (
	declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	doctype     = `<!DOCTYPE paymentService PUBLIC "-//WorldPay//DTD WorldPay PaymentService v1//EN" "http://dtd.worldpay.com/paymentService_v1.dtd">` + "\n"
	version     = "1.4"
)

// document writes a message to the merchant's account.
func document(merchantCode string, body *element) []byte {
	var b strings.Builder
	b.WriteString(declaration)
	b.WriteString(doctype)
	el("paymentService", body).with("version", version).with("merchantCode", merchantCode).write(&b)
	b.WriteByte('\n')
	return []byte(b.String())
}

func (e *element) write(b *strings.Builder) {
	b.WriteByte('<')
	b.WriteString(e.name)
	for _, a := range e.attrs {
		b.WriteByte(' ')
		b.WriteString(a.name)
		b.WriteString(`="`)
		escape(b, a.value)
		b.WriteByte('"')
	}
	if e.text == "" && len(e.children) == 0 {
		b.WriteString("/>")
		return
	}
	b.WriteByte('>')
	escape(b, e.text)
	for _, c := range e.children {
		c.write(b)
	}
	b.WriteString("</")
	b.WriteString(e.name)
	b.WriteByte('>')
}

// escape writes a text so that it is read as it is. What no XML document may
// hold becomes a blank: a control character in somebody's name must not keep
// them from paying.
func escape(b *strings.Builder, s string) {
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&#34;")
		case r == '\'':
			b.WriteString("&#39;")
		case r == utf8.RuneError, r < ' ', r >= 0x7f && r < 0xa0, r == 0xfffe, r == 0xffff:
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
}

// clip cuts a text after n characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
