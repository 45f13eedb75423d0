package worldpay

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What a message of Worldpay's may be at most. Its real ones have some dozens
// of elements.
const (
	messageBytesMax = 256 << 10
	elementsMax     = 2000
	attributesMax   = 32
	depthMax        = 24
)

// node is an element of a message as it was read.
type node struct {
	name     string
	attrs    map[string]string
	text     string
	children []*node
}

// read reads a message. It takes less than encoding/xml would: nothing in it
// may be said twice or hidden, because the last word of two would count. It
// refuses attributes given twice, names with a prefix, a document type with a
// part of its own, entities, text beside elements or cut by comments, a second
// root, and anything after the root. The root must be a paymentService.
func read(raw []byte) (*node, error) {
	if len(raw) > messageBytesMax {
		return nil, fmt.Errorf("the message is larger than %d KiB", messageBytesMax>>10)
	}
	r := &reader{decoder: xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))}
	r.decoder.CharsetReader = charset
	for {
		token, err := r.decoder.RawToken()
		if errors.Is(err, io.EOF) {
			return r.end()
		}
		if err != nil {
			return nil, fmt.Errorf("the message is not well-formed: %w", err)
		}
		if err := r.take(token); err != nil {
			return nil, err
		}
		r.begun = true
	}
}

// reader builds the tree. Names are not bound to namespaces by RawToken, so
// that none can pass for another.
type reader struct {
	decoder   *xml.Decoder
	begun     bool // something was read
	doctype   bool
	root      *node
	open      []*node
	commented []bool // beside open: whether a comment stands in it
	elements  int
}

func (r *reader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return r.start(t)
	case xml.EndElement:
		return r.close(t)
	case xml.CharData:
		return r.write(t)
	case xml.Comment:
		if len(r.open) == 0 {
			return nil
		}
		last := len(r.open) - 1
		r.commented[last] = true
		return r.unmixed(last)
	case xml.ProcInst:
		if t.Target != "xml" || r.begun {
			return errors.New("there is a processing instruction")
		}
		return nil
	case xml.Directive:
		if r.doctype || r.root != nil || !isDoctype(t) {
			return errors.New("the document type is not Worldpay's")
		}
		r.doctype = true
		return nil
	default:
		return fmt.Errorf("unexpected %T", token)
	}
}

// isDoctype takes a reference to an external document type and nothing else:
// an internal one could define entities and attributes.
func isDoctype(d xml.Directive) bool {
	words := strings.Fields(string(d))
	return len(words) >= 3 && words[0] == "DOCTYPE" && words[1] == rootName &&
		(words[2] == "PUBLIC" || words[2] == "SYSTEM") && !bytes.ContainsAny(d, "[]<>")
}

const rootName = "paymentService"

func (r *reader) start(t xml.StartElement) error {
	r.elements++
	switch {
	case r.root != nil && len(r.open) == 0:
		return errors.New("there is a second root element")
	case r.elements > elementsMax:
		return fmt.Errorf("there are more than %d elements", elementsMax)
	case len(r.open) == depthMax:
		return fmt.Errorf("elements are nested deeper than %d", depthMax)
	case len(t.Attr) > attributesMax:
		return fmt.Errorf("an element has more than %d attributes", attributesMax)
	case r.root == nil && t.Name.Local != rootName, t.Name.Space != "" || strings.Contains(t.Name.Local, ":"):
		return errors.New("an element is of another vocabulary")
	}
	n := &node{name: t.Name.Local, attrs: make(map[string]string, len(t.Attr))}
	for _, a := range t.Attr {
		if a.Name.Space != "" || a.Name.Local == "xmlns" || strings.Contains(a.Name.Local, ":") {
			return errors.New("an attribute is of another vocabulary")
		}
		if _, twice := n.attrs[a.Name.Local]; twice {
			return errors.New("an attribute is given twice")
		}
		n.attrs[a.Name.Local] = a.Value
	}
	if len(r.open) > 0 {
		parent := r.open[len(r.open)-1]
		parent.children = append(parent.children, n)
	} else {
		r.root = n
	}
	r.open, r.commented = append(r.open, n), append(r.commented, false)
	return nil
}

// write adds a text to the element that is open.
func (r *reader) write(text []byte) error {
	last := len(r.open) - 1
	if last >= 0 {
		r.open[last].text += string(text)
		return r.unmixed(last)
	}
	if len(bytes.TrimSpace(text)) > 0 {
		return errors.New("there is text outside of the root element")
	}
	return nil
}

// unmixed refuses a text that a comment cuts in two, or that stands beside
// elements: what is joined would not be what was written.
func (r *reader) unmixed(at int) error {
	n := r.open[at]
	if (r.commented[at] || len(n.children) > 0) && strings.TrimSpace(n.text) != "" {
		return errors.New("text stands beside elements or comments")
	}
	return nil
}

func (r *reader) close(t xml.EndElement) error {
	last := len(r.open) - 1
	if last < 0 || t.Name.Space != "" || r.open[last].name != t.Name.Local {
		return errors.New("an element ends that did not begin")
	}
	if err := r.unmixed(last); err != nil {
		return err
	}
	r.open[last].text = strings.TrimSpace(r.open[last].text)
	r.open, r.commented = r.open[:last], r.commented[:last]
	return nil
}

func (r *reader) end() (*node, error) {
	if r.root == nil || len(r.open) > 0 {
		return nil, errors.New("the message is cut off")
	}
	return r.root, nil
}

// charset reads what Worldpay may send beside UTF-8, which encoding/xml reads
// by itself.
func charset(name string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(name) {
	case "utf-8", "us-ascii":
		return in, nil
	case "iso-8859-1", "latin1":
		raw, err := io.ReadAll(in)
		if err != nil {
			return nil, err
		}
		text := make([]rune, len(raw))
		for i, b := range raw {
			text[i] = rune(b)
		}
		return strings.NewReader(string(text)), nil
	}
	return nil, fmt.Errorf("the encoding %q is not read here", clip(name, 20))
}

// find follows a path of names. It returns nil where there is no such element,
// and an error where one of them is there more than once: which one counted
// would be a guess.
func (n *node) find(path ...string) (*node, error) {
	for _, name := range path {
		var found *node
		for _, c := range n.children {
			if c.name != name {
				continue
			}
			if found != nil {
				return nil, fmt.Errorf("%s has more than one %s", n.name, name)
			}
			found = c
		}
		if found == nil {
			return nil, nil
		}
		n = found
	}
	return n, nil
}

// all returns the children of a name.
func (n *node) all(name string) []*node {
	var out []*node
	for _, c := range n.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// textAt is the text at a path, empty where there is none.
func (n *node) textAt(path ...string) (string, error) {
	found, err := n.find(path...)
	if found == nil || err != nil {
		return "", err
	}
	return found.text, nil
}

// message reads a message and returns the one thing that it holds: the reply
// or the notification to a merchant.
func message(raw []byte, kind string) (merchantCode string, body *node, err error) {
	root, err := read(raw)
	if err != nil {
		return "", nil, err
	}
	if len(root.children) != 1 || root.children[0].name != kind {
		return "", nil, fmt.Errorf("the message holds no %s", kind)
	}
	return root.attrs["merchantCode"], root.children[0], nil
}
