package main

import (
	"strings"
	"testing"
	"time"
)

// The tests of the runner itself: a story that could not fail would prove
// nothing.

func TestScenarioMatch(t *testing.T) {
	t.Parallel()
	const got = `{"data": {"quote": {"id": "quo_0123456789abcdef0123456789abcdef", "at": "2026-03-10T12:00:00Z", "n": 3, "none": null, "list": ["a", "b"], "url": "http://127.0.0.1/x"}}}`
	for _, c := range []struct{ name, old, new, path string }{
		{"the same", "", "", ""},
		{"any value", `"n": 3`, `"n": "*"`, ""},
		{"any value is not null", `"none": null`, `"none": "*"`, "data.quote.none"},
		{"another number", `"n": 3`, `"n": 4`, "data.quote.n"},
		{"a number is no text", `"n": 3`, `"n": "3"`, "data.quote.n"},
		{"a key too many", `"n": 3`, `"n": 3, "m": 1`, "data.quote.m"},
		{"a key too few", `"n": 3, `, ``, "data.quote.n"},
		{"an id", `"quo_0123456789abcdef0123456789abcdef"`, `"<quo>"`, ""},
		{"an id of another kind", `"quo_0123456789abcdef0123456789abcdef"`, `"<inv>"`, "data.quote.id"},
		{"a time", `"2026-03-10T12:00:00Z"`, `"<time>"`, ""},
		{"not a time", `"http://127.0.0.1/x"`, `"<time>"`, "data.quote.url"},
		{"an address", `"http://127.0.0.1/x"`, `"<url>"`, ""},
		{"not an address", `"2026-03-10T12:00:00Z"`, `"<url>"`, "data.quote.at"},
		{"a capture", `"quo_0123456789abcdef0123456789abcdef"`, `"$quote <quo>"`, ""},
		{"a capture of the wrong kind", `"quo_0123456789abcdef0123456789abcdef"`, `"$quote <inv>"`, "data.quote.id"},
		{"a name that was given to something else", `"quo_0123456789abcdef0123456789abcdef"`, `"$other"`, "data.quote.id"},
		{"a name that nobody knows", `"http://127.0.0.1/x"`, `"{{nobody}}"`, "data.quote.url"},
		{"a known value", `"http://127.0.0.1/x"`, `"{{home}}/x"`, ""},
		{"a shorter list", `["a", "b"]`, `["a"]`, "data.quote.list"},
		{"another order", `["a", "b"]`, `["b", "a"]`, "data.quote.list.0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := &values{known: map[string]string{"home": "http://127.0.0.1", "other": "something else"}, now: time.Now}
			want, err := decodeJSON([]byte(strings.Replace(got, c.old, c.new, 1)))
			must(t, err)
			answer, err := decodeJSON([]byte(got))
			must(t, err)
			differences := v.match("", want, answer)
			switch {
			case c.path == "" && len(differences) > 0:
				t.Errorf("differs: %v", differences)
			case c.path != "" && (len(differences) == 0 || differences[0].path != c.path):
				t.Errorf("differences %v, want one at %s", differences, c.path)
			}
			// What is written for an answer is an expectation that it fulfils.
			if left := v.match("", v.expect(want, answer), answer); len(left) > 0 {
				t.Errorf("the written expectation differs: %v", left)
			}
		})
	}
}

func TestScenarioParseRefuses(t *testing.T) {
	t.Parallel()
	const good = "A story.\n-- 01 ask.graphql --\n{ a }\n-- 01 ask.want.json --\n{}\n"
	if _, err := parseScenario("good", "good.txtar", []byte(good), false); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, text, says string }{
		{"no prose", strings.TrimPrefix(good, "A story.\n"), "what the story is"},
		{"no steps", "A story.\n", "nothing happens"},
		{"no answer", "A story.\n-- 01 ask.graphql --\n{ a }\n", "what answer it wants"},
		{"an answer to nothing", "A story.\n-- 01 ask.want.json --\n{}\n", "does not follow"},
		{"an unknown kind", good + "-- 02 dance.polka --\n", "no step's file"},
		{"out of order", good + "-- 01 above.clock --\nadvance 1d\n", "does not come after"},
		{"an answer of the wrong kind", "A story.\n-- 01 ask.http --\nGET /\n-- 01 ask.want.json --\n{}\n", "does not fit"},
	} {
		_, err := parseScenario(c.name, c.name, []byte(c.text), false)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one that says %q", c.name, err, c.says)
		}
	}
}

func TestScenarioFill(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	v := &values{known: map[string]string{"a": "1"}, now: func() time.Time { return at }}
	got, err := v.fill(`{{a}} {{now}} {{now+2d}} {{now-1h}} {{repeat 3 <<{x}>>}}`)
	if want := "1 2026-03-10T12:00:00Z 2026-03-12T12:00:00Z 2026-03-10T11:00:00Z {x}{x}{x}"; err != nil || got != want {
		t.Errorf("filled %q (%v), want %q", got, err, want)
	}
	if _, err := v.fill("{{nobody}}"); err == nil {
		t.Error("an unknown name was filled")
	}
}

func TestScenarioBrowserReadsPages(t *testing.T) {
	t.Parallel()
	p, err := readPage(`<!doctype html><html><head><title>Not seen</title><style>a > b {}</style></head><body>
<p>Pay <b>5.00</b><br> now</p><form method="post" action="/pay"><input name="number" value="42"><button id="go" name="do" value="it">Pay it</button></form>
<a id="back" href="/back">Go back</a></body></html>`)
	must(t, err)
	if want := "Pay 5.00 now Pay it Go back"; p.text != want {
		t.Errorf("text %q, want %q", p.text, want)
	}
	if len(p.forms) != 1 || p.forms[0].action != "/pay" || p.forms[0].fields["number"] != "42" {
		t.Fatalf("forms %+v", p.forms)
	}
	if b := p.forms[0].buttons; len(b) != 1 || b[0] != (button{id: "go", name: "do", value: "it", text: "Pay it"}) {
		t.Errorf("buttons %+v", b)
	}
	if p.links["back"] != "/back" || p.links["Go back"] != "/back" {
		t.Errorf("links %v", p.links)
	}
}
