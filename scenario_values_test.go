package main

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// values are the names that a story has given to what it met: ids, addresses,
// tokens.
type values struct {
	known map[string]string
	// now is the story's clock.
	now func() time.Time
	// lazy makes what a name stands for when it is first needed, and says
	// whether it can.
	lazy func(name string) (bool, error)
}

var (
	// placeholder is {{name}}, or {{now}}, {{now+31d}}, {{now-1h}}.
	placeholder = regexp.MustCompile(`\{\{([^{}]+)\}\}`)
	momentName  = regexp.MustCompile(`^now(?:([+-])(\w+))?$`)
	// repetition is {{repeat 300 <<x>>}}: a text too long to write down.
	repetition = regexp.MustCompile(`\{\{repeat (\d+) <<(.*?)>>\}\}`)
)

// fill puts what is known in the place of its name.
func (v *values) fill(text string) (string, error) {
	var unknown []string
	var failed error
	text = repetition.ReplaceAllStringFunc(text, func(found string) string {
		m := repetition.FindStringSubmatch(found)
		n, err := strconv.Atoi(m[1])
		failed = errors.Join(failed, err)
		return strings.Repeat(m[2], n)
	})
	filled := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		name := strings.TrimSpace(found[2 : len(found)-2])
		if m := momentName.FindStringSubmatch(name); m != nil {
			at := v.now()
			if m[1] != "" {
				d, err := days(m[2])
				if err != nil {
					unknown = append(unknown, name)
				}
				if m[1] == "-" {
					d = -d
				}
				at = at.Add(d)
			}
			return at.UTC().Format(time.RFC3339)
		}
		value, ok := v.known[name]
		if !ok && v.lazy != nil {
			var err error
			if ok, err = v.lazy(name); err != nil {
				failed = errors.Join(failed, fmt.Errorf("make %s: %w", name, err))
			}
			value = v.known[name]
		}
		if !ok {
			unknown = append(unknown, name)
		}
		return value
	})
	if failed != nil {
		return "", failed
	}
	if len(unknown) > 0 {
		return "", fmt.Errorf("nothing is known under %s; known are %s",
			strings.Join(unknown, ", "), strings.Join(slices.Sorted(maps.Keys(v.known)), ", "))
	}
	return filled, nil
}

// difference is one place where an answer is not as wanted.
type difference struct{ path, want, got string }

// Matchers of an expected text.
var (
	capture  = regexp.MustCompile(`^\$([A-Za-z][A-Za-z0-9]*)(?: (<[a-z]+>))?$`)
	idKind   = regexp.MustCompile(`^<([a-z]{3})>$`)
	anyTime  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$`)
	anyURL   = regexp.MustCompile(`^https?://[^\s/]+(/\S*)?$`)
	idSuffix = regexp.MustCompile(`^[0-9a-f]{32}$|^[0-9a-z]{16,40}$`)
)

// match compares an answer with what is wanted and gives names to what the
// expectation asks to remember. path says where in the answer it is.
func (v *values) match(path string, want, got any) []difference {
	switch want := want.(type) {
	case *object:
		g, ok := got.(*object)
		if !ok {
			return []difference{{path, "an object", show(got)}}
		}
		var out []difference
		for _, k := range want.keys {
			if _, there := g.values[k]; !there {
				out = append(out, difference{join(path, k), show(want.values[k]), "nothing"})
				continue
			}
			out = append(out, v.match(join(path, k), want.values[k], g.values[k])...)
		}
		for _, k := range g.keys {
			if _, there := want.values[k]; !there {
				out = append(out, difference{join(path, k), "nothing", show(g.values[k])})
			}
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok {
			return []difference{{path, "a list", show(got)}}
		}
		if len(want) != len(g) {
			return []difference{{path, fmt.Sprintf("%d elements: %s", len(want), show(want)), fmt.Sprintf("%d elements: %s", len(g), show(g))}}
		}
		var out []difference
		for i := range want {
			out = append(out, v.match(fmt.Sprintf("%s.%d", path, i), want[i], g[i])...)
		}
		return out
	case string:
		return v.matchText(path, want, got)
	default:
		if want != got {
			return []difference{{path, show(want), show(got)}}
		}
		return nil
	}
}

func (v *values) matchText(path, want string, got any) []difference {
	differs := []difference{{path, show(want), show(got)}}
	if want == "*" {
		if got == nil {
			return differs
		}
		return nil
	}
	text, ok := got.(string)
	if !ok {
		return differs
	}
	if m := capture.FindStringSubmatch(want); m != nil {
		if text == "" || m[2] != "" && len(v.matchText(path, m[2], got)) > 0 {
			return differs
		}
		if earlier, known := v.known[m[1]]; known && earlier != text {
			return []difference{{path, fmt.Sprintf("%q, which is $%s", earlier, m[1]), show(got)}}
		}
		v.known[m[1]] = text
		return nil
	}
	switch m := idKind.FindStringSubmatch(want); {
	case want == "<time>":
		ok = anyTime.MatchString(text)
	case want == "<url>":
		ok = anyURL.MatchString(text)
	case m != nil:
		prefix, rest, _ := strings.Cut(text, "_")
		ok = prefix == m[1] && idSuffix.MatchString(rest)
	default:
		filled, err := v.fill(want)
		if err != nil {
			return []difference{{path, err.Error(), show(got)}}
		}
		ok = filled == text
	}
	if ok {
		return nil
	}
	return differs
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// expect writes the expectation that an answer fulfils: what differs from run
// to run becomes a matcher, and what the earlier expectation said of a place
// stays where it still fits.
func (v *values) expect(earlier, got any) any {
	switch got := got.(type) {
	case *object:
		before, _ := earlier.(*object)
		out := newObject()
		for _, k := range got.keys {
			var e any
			if before != nil {
				e = before.values[k]
			}
			out.set(k, v.expect(e, got.values[k]))
		}
		return out
	case []any:
		before, _ := earlier.([]any)
		out := make([]any, len(got))
		for i := range got {
			var e any
			if i < len(before) {
				e = before[i]
			}
			out[i] = v.expect(e, got[i])
		}
		return out
	case string:
		if e, ok := earlier.(string); ok && len(v.matchText("", e, got)) == 0 {
			return e
		}
		return v.general(got)
	default:
		if earlier == "*" && got != nil {
			return "*"
		}
		return got
	}
}

// Texts that no two runs have in common.
var (
	anyID     = regexp.MustCompile(`^(org|cur|dev|com|mem|prv|tok|prd|prc|bal|ent|hld|quo|inv|pmt|att|pmd|rfd|dsp|evt|eml)_[0-9a-f]{32}$`)
	orderText = regexp.MustCompile(`^[A-Z2-7]{26}$`)
	secretful = regexp.MustCompile(`^(pur_|cs_test_|pi_|seti_|whsec_|evt_)\w+$|^[A-Za-z0-9_-]{40,}$`)
)

func (v *values) general(text string) string {
	for _, name := range slices.Sorted(maps.Keys(v.known)) {
		if known := v.known[name]; len(known) > 12 && known == text {
			return "{{" + name + "}}"
		}
	}
	if anyURL.MatchString(text) && strings.HasPrefix(text, "http://127.0.0.1:") {
		return "<url>"
	}
	for _, name := range slices.Sorted(maps.Keys(v.known)) {
		if known := v.known[name]; len(known) > 12 && strings.Contains(text, known) {
			text = strings.ReplaceAll(text, known, "{{"+name+"}}")
		}
	}
	switch {
	case strings.HasPrefix(text, "{{"):
		return text
	case anyTime.MatchString(text):
		return "<time>"
	case anyID.MatchString(text):
		return "<" + text[:3] + ">"
	case orderText.MatchString(text), secretful.MatchString(text):
		return "*"
	}
	return text
}
