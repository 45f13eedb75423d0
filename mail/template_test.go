package mail

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"purser/language"
)

// languages are the languages that are shipped.
func languages(t testing.TB) []string {
	t.Helper()
	folders, err := fs.ReadDir(shipped, "templates")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range folders {
		out = append(out, f.Name())
	}
	return out
}

// Every mail is there in every language, says what it has to, and uses nothing
// that it does not have.
func TestSystemTemplates(t *testing.T) {
	t.Parallel()
	if got := languages(t); len(got) != len(language.All()) {
		t.Fatalf("mails are in %v, pages and documents in %d languages", got, len(language.All()))
	}
	for _, l := range language.All() {
		if SystemFor(BalanceLow, l.Tag+"-XX") != SystemFor(BalanceLow, l.Tag) || l.Tag != language.Default && SystemFor(BalanceLow, l.Tag) == SystemFor(BalanceLow, "") {
			t.Errorf("there are no mails in %s", l.Tag)
		}
	}
	for _, locale := range languages(t) {
		files, err := fs.Glob(shipped, "templates/"+locale+"/*")
		if err != nil || len(files) != len(Kinds()) {
			t.Errorf("%s: %d files for %d kinds, %v", locale, len(files), len(Kinds()), err)
		}
		for _, k := range Kinds() {
			template, ok := System(k, locale)
			if !ok {
				t.Errorf("%s: there is no %s", locale, path.Base(k.SystemName()))
				continue
			}
			got, err := template.Preview(k)
			if err != nil {
				t.Errorf("%s %s: %v", locale, k, err)
				continue
			}
			for _, want := range []string{"Ada Lovelace", "Demo Weather API", "billing@weather.example"} {
				if !strings.Contains(got.Text, want) || !strings.Contains(got.HTML, want) {
					t.Errorf("%s %s does not say %q:\n%s\n%s", locale, k, want, got.Text, got.HTML)
				}
			}
			if url, has := k.Sample()["payment_url"].(string); has && strings.Contains(template.Text, "payment_url") && !strings.Contains(got.HTML, `<a href="`+url+`">`) {
				t.Errorf("%s %s has no link:\n%s", locale, k, got.HTML)
			}
			if strings.ContainsAny(got.Subject, "\r\n") || got.Subject == "" || strings.Contains(got.Text, "\n\n\n") {
				t.Errorf("%s %s: subject %q, text\n%s", locale, k, got.Subject, got.Text)
			}
			if strings.Count(got.HTML, "<p>") != strings.Count(got.HTML, "</p>") || strings.Count(got.HTML, "<ul>") != strings.Count(got.HTML, "</ul>") {
				t.Errorf("%s %s: the HTML is not balanced:\n%s", locale, k, got.HTML)
			}
		}
	}
}

// The mail of a failed charge, as the source describes it.
func TestChargeFailedMail(t *testing.T) {
	t.Parallel()
	v := ChargeFailed.Sample()
	v["account"] = Values{"name": "<script>Ada</script> & Co"}
	v["reason"], v["next_attempt_on"] = "", ""
	got, err := SystemFor(ChargeFailed, "fr-CA").Render(ChargeFailed, v)
	if err != nil {
		t.Fatal(err)
	}
	const want = `Dear <script>Ada</script> & Co,

We could not charge USD 30.00 for invoice 2026-03-00000001 to your card.

Common reasons are:

- your bank has a new authentication policy and wants you to confirm the payment
- the card has expired
- there are insufficient funds

You can pay, confirm the payment or use another card here:

https://pay.example/invoice/sample

Questions? Write to billing@weather.example.

Demo Weather API
`
	if got.Text != want {
		t.Errorf("text:\n%s", got.Text)
	}
	if strings.Contains(got.HTML, "<script>") || !strings.Contains(got.HTML, "&lt;script&gt;Ada&lt;/script&gt; &amp; Co") {
		t.Errorf("HTML:\n%s", got.HTML)
	}
}

// What is wrong is named, with its line.
func TestTemplateProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ source, says string }{
		{"one\n\n{{ account.nmae }}", `line 3: there is no variable "account.nmae" in this mail`},
		{"{% if false %}\n{{ secret }}{% endif %}", `line 2: there is no variable "secret"`},
		{"{{ account.name.first }}", `line 1: there is no variable "account.name.first"`},
		{"{{ account }}", `account is no text`},
		{"{{ invoice.pay_later? }}", `there is no variable "invoice.pay_later?"`},
		{"{{ cost? }}", `'?' has no meaning here`},
		{"{{ account.name | shout }}", `there is no filter "shout"`},
		{"{{ account.name | " + filterOut + " }}", `there is no filter`},
		{"{{ account.name | append }}", `the filter append takes 1 values`},
		{"\n{% include 'go.mod' %}", `line 2: there is no tag "include"`},
		{"{% render 'x' %}", `no tag "render"`},
		{"{% layout 'x' %}", `no tag "layout"`},
		{"{% raw %}{{ x }}{% endraw %}", `no tag "raw"`},
		{"{% capture x %}{% endcapture %}", `no tag "capture"`},
		{"{% for i in (1..1000000000) %}{% endfor %}", `has no meaning here`},
		{"{% for i in account.name %}{% endfor %}", `account.name is not a list`},
		{"{% for l in invoice.line_items %}{{ l.price }}{% endfor %}", `"l.price"`},
		{"{% for l in invoice.line_items %}{% endfor %}{{ l.cost }}", `"l.cost"`},
		{"{% if account.name %}", `is not ended by {% endif %}`},
		{"{% endif %}", `ends nothing`},
		{"{% if cost %}{% endfor %}", `ends nothing`},
		{"{% else %}", `no place`},
		{"{% if cost %}{% else %}{% else %}{% endif %}", `no place`},
		{"{{ account.name", `{{ is not closed by }} on its line`},
		{"{{ account.name\n}}", `is not closed`},
		{"{{ }}", `nothing between`},
		{"{{ account['name'] }}", `'[' has no meaning`},
		{"{{ 'x }}", `is not closed`},
		{"{{ account.name and cost }}", `"and" has no meaning here`},
		{"{{ 99999999999 }}", `is not a number`},
		{"{% assign account = cost %}", `an assignment is written`},
		{"{% assign x %}", `an assignment is written`},
		{"{% if cost == %}{% endif %}", `a value is missing`},
		{"\xff", `not valid UTF-8`},
		{strings.Repeat("x", sourceMax+1), `at most 16384`},
		{strings.Repeat("{% if cost %}", depthMax+1), `within each other`},
		{" \n", `empty`},
		{"{% if cost %}{% comment %}{% comment %}{% endcomment %}{% endcomment %}{% endif %}", ``},
	} {
		err := Template{Subject: "s", Text: c.source}.Check(ChargeFailed)
		var p *Problem
		if !errors.As(err, &p) || !strings.Contains(p.Error(), c.says) || p.Part != partText {
			t.Errorf("%.60q: %v (%+v), want %q", c.source, err, p, c.says)
		}
	}
	for _, c := range []struct {
		template Template
		part     string
	}{
		{Template{Subject: "a\nb", Text: "x"}, partSubject},
		{Template{Subject: "{{ x }}", Text: "x"}, partSubject},
		{Template{Subject: "s", Text: "x", HTML: "{{ x }}"}, partHTML},
	} {
		var p *Problem
		if err := c.template.Check(ChargeFailed); !errors.As(err, &p) || p.Part != c.part {
			t.Errorf("%+v: %v", c.template, err)
		}
	}
}

// What the language has.
func TestTemplateLanguage(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"{{account.name}}|{{ cost }}":                                                                                                         "Ada Lovelace|USD 30.00",
		"{{ cost | downcase | append: '!' | prepend: \"=\" }}":                                                                                "=usd 30.00!",
		"{{ reason | default: 'none' }} {{ account.name | truncate: 4 | upcase }}":                                                            "Your card was declined. ADA…",
		"{% if cost == 'USD 30.00' and account.name != \"x\" %}a{% elsif cost %}b{% else %}c{% endif %}":                                      "a",
		"{% if cost contains 'EUR' %}a{% elsif cost contains 'USD' %}b{% else %}c{% endif %}":                                                 "b",
		"{% if nil %}a{% elsif false %}b{% else %}c{% endif %}":                                                                               "c",
		"{% unless nil %}a{% else %}b{% endunless %}{% unless cost %}c{% else %}d{% endunless %}":                                             "ad",
		"{% for l in invoice.line_items %}{{ forloop.index }}:{{ l.name }}{% unless forloop.last %}, {% endunless %}{% else %}-{% endfor %}":  "1:Forecasts, 2:Support",
		"{% assign who = account.name | upcase %}{% for l in invoice.line_items %}{% assign last = l %}{% endfor %}{{ who }} {{ last.cost }}": "ADA LOVELACE USD 5.00",
		"a {{- cost -}} b": "aUSD 30.00b",
		"{% comment %}not {{ cost }} shown{% endcomment %}x": "x",
		"{% if 2 < 10 %}less{% endif %}":                     "less",
		"100 % }} {":                                         "100 % }} {",
		"{% if invoice.pay_now? and account.credit_card_stored? %}{% for t in invoice.payment_transactions %}{{ t.success? }} {{ t.reference }}{% endfor %}{% endif %}": "true pi_sample",
	} {
		got, err := Template{Subject: "s", Text: source, HTML: "h"}.Preview(ChargeFailed)
		if err != nil || strings.TrimSpace(got.Text) != want {
			t.Errorf("%s\n%q, %v; want %q", source, got.Text, err, want)
		}
	}
}

// A template ends within its bounds, whatever it says.
func TestTemplateBounds(t *testing.T) {
	t.Parallel()
	v := ChargeFailed.Sample()
	items := make([]Values, listMax)
	for i := range items {
		items[i] = sampleLines()[0]
	}
	v["invoice"].(Values)["line_items"] = items
	loops := func(n int, body string) string {
		return strings.Repeat("{% for l in invoice.line_items %}", n) + body + strings.Repeat("{% endfor %}", n)
	}
	for name, source := range map[string]string{
		"loops in loops":      loops(depthMax, ""),
		"a loop that says no": loops(3, "{% if false %}x{% endif %}"),
		"a text that doubles": "{% assign s = 'xxxxxxxxxxxxxxxx' %}" + loops(1, "{% assign s = s | append: s %}"),
		"a text without end":  loops(2, strings.Repeat("x", 1000)),
		"many values":         loops(1, strings.Repeat("{{ cost }}", 1500)),
		"long lines":          strings.Repeat("{{ {%x%}", 1800),
	} {
		begin := time.Now()
		_, err := Template{Subject: "s", Text: source}.render(ChargeFailed, v, timeMax)
		var p *Problem
		if !errors.As(err, &p) {
			t.Errorf("%s: %v", name, err)
		}
		// Far above the bound: a busy machine is no endless loop.
		if took := time.Since(begin); took > timeSending {
			t.Errorf("%s took %s: %v", name, took, err)
		}
	}
}

// Time bounds a template too, however few its steps are.
func TestTemplateTakesTooLong(t *testing.T) {
	t.Parallel()
	_, err := Template{Subject: "s", Text: "{{ cost }}"}.render(ChargeFailed, ChargeFailed.Sample(), -time.Second)
	var p *Problem
	if !errors.As(err, &p) || p.Message != errTime.Error() {
		t.Errorf("%v, want %v", err, errTime)
	}
}

// soup draws a template out of all that means something to anybody.
func soup() *rapid.Generator[string] {
	words := []string{
		"{{", "}}", "{%", "%}", "{{-", "-%}", " ", "\n", "\r\n", "|", ":", ",", ".", "..", "(", ")", "[", "]", "'", "\"", "==", "<", "=", "%", "{", "}", "-",
		"if", "endif", "else", "elsif", "unless", "endunless", "for", "endfor", "in", "assign", "comment", "endcomment", "raw", "include", "render", "capture", "case", "cycle", "tablerow", "x", "and", "or", "contains",
		"account.name", "invoice.line_items", "cost", "forloop.index", "forloop", "x.name", "true", "nil", "empty", "1", "999999999", "-1", "append", "truncate", "default", "slice: 9, 9", "split: ''", "date: '%s'",
		"'go.mod'", "secret", "\u202e", "\x00", "\xff", "<b>", "&", "é",
		"{% for x in invoice.line_items %}", "{% endfor %}", "{% if cost %}", "{% endif %}", "{{ x.name | append: cost }}", "{{ account.name }}",
	}
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 80).Draw(t, "words"), rapid.SampledFrom([]string{"", " "}).Draw(t, "between"))
	})
}

// hostile are values that somebody has chosen with care.
func hostile() Values {
	v := ChargeFailed.Sample()
	v["account"] = Values{"name": "<script>alert(1)</script>\r\nBcc: eve@example.com\u202e{{ cost }}{% include 'go.mod' %}", "billing_address": "\x00\x1b[2J\u2066"}
	v["cost"] = `"><img src=x onerror=alert(1)>'`
	return v
}

// holdRendered fails unless what a template has become keeps to its bounds.
func holdRendered(t interface{ Errorf(string, ...any) }, source string, v Values) {
	begin := time.Now()
	got, err := Template{Subject: "s", Text: source, HTML: source}.render(ChargeFailed, v, timeMax)
	if took := time.Since(begin); took > timeSending {
		t.Errorf("%q took %s", source, took)
	}
	var p *Problem
	if err != nil && !errors.As(err, &p) {
		t.Errorf("%q: %T %v", source, err, err)
	}
	if strings.Contains(err2text(err), "goroutine") {
		t.Errorf("%q: %v", source, err)
	}
	if len(got.Text) > outputMax || len(got.HTML) > outputMax {
		t.Errorf("%q: %d and %d bytes", source, len(got.Text), len(got.HTML))
	}
	// What was put in, and not written by the template, is harmless.
	if strings.Contains(got.HTML, "<script>") && !strings.Contains(source, "<script>") || strings.Contains(got.HTML, "<img") && !strings.Contains(source, "<img") {
		t.Errorf("%q: %s", source, got.HTML)
	}
	if strings.Contains(got.Text, "\nBcc:") || strings.Contains(got.Text, "module purser") || strings.Contains(got.Text, "\u202e") && !strings.Contains(source, "\u202e") {
		t.Errorf("%q: %s", source, got.Text)
	}
}

func err2text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHostileTemplates(t *testing.T) {
	t.Parallel()
	v := hostile()
	rendered := 0
	rapid.Check(t, func(rt *rapid.T) {
		source := soup().Draw(rt, "source")
		holdRendered(rt, source, v)
		if (Template{Subject: "s", Text: source}).Check(ChargeFailed) == nil {
			rendered++
		}
	})
	if rendered == 0 {
		t.Error("none of the templates was rendered")
	}
	for _, source := range []string{"{{ account.name }} {{ account.billing_address }}", "{{ cost }}", "{% for l in invoice.line_items %}{{ account.name | append: cost | escape }}{% endfor %}"} {
		holdRendered(t, source, v)
	}
}

func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{{ account.name }}", "{% for l in invoice.line_items %}{{ l.cost }}{% else %}x{% endfor %}", "{% if cost == 'x' %}{% elsif cost %}{% endif %}", "{% assign x = 'a' | append: cost %}{{ x }}", "{{ account.name | slice: 9, 9 }}", "{% include 'go.mod' %}"} {
		f.Add(seed)
	}
	v := hostile()
	f.Fuzz(func(t *testing.T, source string) { holdRendered(t, source, v) })
}
