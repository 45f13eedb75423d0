package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

func TestRequestsThatAreMalformed(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	for _, c := range []struct {
		name, method, path, body, contentType string
		status                                int
		message                               string
	}{
		{"no JSON", "POST", "", "{", "application/json", 400, "the body is not JSON"},
		{"an array", "POST", "", `[{"query":"{ hello }"}]`, "application/json", 400, "the body must be a JSON object"},
		{"two objects", "POST", "", `{"query":"{ hello }"}{}`, "application/json", 400, "the body has data after its end"},
		{"a key twice", "POST", "", `{"query":"{ hello }","query":"{ __typename }"}`, "application/json", 400, `the body has the key "query" twice`},
		{"a variable twice", "POST", "", `{"query":"{ hello }","variables":{"a":{"b":1,"b":2}}}`, "application/json", 400, `the body has the key "b" twice`},
		{"a key in capitals", "POST", "", `{"QUERY":"{ hello }"}`, "application/json", 400, "query must be given"},
		{"not UTF-8", "POST", "", "{\"query\":\"{ hello }\xff\"}", "application/json", 400, "the body is not UTF-8"},
		{"nested too deep", "POST", "", `{"query":"{ hello }","variables":{"a":` + strings.Repeat("[", 3000) + strings.Repeat("]", 3000) + `}}`, "application/json", 400, "nested more than 128 levels"},
		{"a list as long as allowed", "POST", "", `{"query":1,"variables":{"a":[` + strings.Repeat("0,", 999) + `0]}}`, "application/json", 400, "query must be a string"},
		{"too long a list", "POST", "", `{"query":"{ hello }","variables":{"a":[` + strings.Repeat("0,", 1000) + `0]}}`, "application/json", 400, "the body has a list of more than 1000 items, which is the limit"},
		{"too long a list that nobody reads", "POST", "", `{"query":"{ hello }","x":[` + strings.Repeat("0,", 1000) + `0]}`, "application/json", 400, "more than 1000 items"},
		{"too many values", "POST", "", `{"query":"{ hello }","variables":{` + repeat(21, func(i int) string {
			return fmt.Sprintf(`"a%d":[%s0],`, i, strings.Repeat("0,", 999))
		}) + `"b":0}}`, "application/json", 400, "the body has more than 20000 values, which is the limit"},
		{"too long a list in the address", "GET", get("{ hello }", "variables", `{"a":[`+strings.Repeat("0,", 1000)+`0]}`), "", "", 400, "the parameter variables has a list of more than 1000 items"},
		{"not closed", "POST", "", `{"query":` + strings.Repeat("[", 100), "application/json", 400, "the body is not JSON"},
		{"variables that are a list", "POST", "", `{"query":"{ hello }","variables":[]}`, "application/json", 400, "variables must be an object or null"},
		{"a query that is a number", "POST", "", `{"query":1}`, "application/json", 400, "query must be a string"},
		{"an operation name that is a number", "POST", "", `{"query":"{ hello }","operationName":1}`, "application/json", 400, "operationName must be a string or null"},
		{"extensions that are text", "POST", "", `{"query":"{ hello }","extensions":"x"}`, "application/json", 400, "extensions must be an object or null"},
		{"multipart", "POST", "", "--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415, "application/json"},
		{"urlencoded", "POST", "", get("{ hello }")[1:], "application/x-www-form-urlencoded", 415, "application/json"},
		{"plain text", "POST", "", `{"query":"{ hello }"}`, "text/plain", 415, "application/json"},
		{"GraphQL as it is", "POST", "", `{ hello }`, "application/graphql", 415, "application/json"},
		{"Latin-1", "POST", "", `{"query":"{ hello }"}`, "application/json; charset=iso-8859-1", 415, "UTF-8"},
		{"too large", "POST", "", `{"query":"{ hello }","x":"` + strings.Repeat("x", 1<<20) + `"}`, "application/json", 413, "the limit is 1048576"},
		{"a parameter twice", "GET", get("{ hello }", "query", "{ __typename }"), "", "", 400, "the parameter query is given 2 times"},
		{"variables that are no JSON", "GET", get("{ hello }", "variables", "{"), "", "", 400, "the parameter variables is not JSON"},
		{"variables with a key twice", "GET", get("{ hello }", "variables", `{"a":1,"a":2}`), "", "", 400, "twice"},
		{"a broken escape", "GET", "?query=%zz", "", "", 400, "malformed"},
		{"another method", "PUT", "", "", "", 405, "the method PUT is not accepted"},
	} {
		headers := []string{"Content-Type", c.contentType}
		resp := b.send(c.method, c.path, c.body, headers...)
		if resp.status != c.status || resp.code() != CodeBadUserInput || !strings.Contains(resp.message(), c.message) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, resp.status, cut(resp.raw, 300), c.status, c.message)
		}
		if strings.Contains(resp.raw, `"data"`) || len(resp.raw) > 1024 {
			t.Errorf("%s: the answer holds data or an echo: %s", c.name, cut(resp.raw, 300))
		}
	}
	if resp := b.send("POST", "", `{"query":"{ hello }","unknown":[1]}`); resp.Data["hello"] != "world" {
		t.Errorf("an unknown key is to be ignored: %s", resp.raw)
	}
}

func TestCompressedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil, nil)
	resp := b.send("POST", "", "x", "Content-Encoding", "gzip")
	if resp.status != http.StatusUnsupportedMediaType {
		t.Errorf("%d %s", resp.status, resp.raw)
	}
}

// TestBodiesCostLittle: what a body of the largest size may allocate while it
// is read, whatever it holds. Not parallel: it reads what the process has
// allocated.
func TestBodiesCostLittle(t *testing.T) {
	const allowed = 16 << 20
	limits := DefaultLimits()
	list := func(item string) string {
		// As many lists of the longest kind as fit.
		one := "[" + strings.Repeat(item+",", 999) + item + "],"
		return `{"variables":{"a":[` + strings.Repeat(one, int(limits.BodyBytes)/len(one)) + `0]}}`
	}
	fields := &strings.Builder{}
	for i := 0; fields.Len() < int(limits.BodyBytes)-32; i++ {
		fmt.Fprintf(fields, `"%x":{},`, i)
	}
	for name, body := range map[string]string{
		"numbers":      list("0"),
		"long lists":   `{"a":[` + strings.Repeat("0,", int(limits.BodyBytes)/2-8) + `0]}`,
		"empty lists":  list("[]"),
		"small lists":  list("[0]"),
		"objects":      list(`{"a":0}`),
		"wide objects": list(`{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0,"i":0}`),
		"one object":   "{" + fields.String() + `"a":0}`,
		"one text":     `{"a":"` + strings.Repeat("x", int(limits.BodyBytes)-8) + `"}`,
	} {
		if n := int64(len(body)); n > limits.BodyBytes {
			t.Fatalf("%s: %d bytes are more than a body may have", name, n)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, bad := decodeObject([]byte(body), "the body", limits)
		runtime.ReadMemStats(&after)
		if (bad == nil) != (name == "one text") {
			t.Errorf("%s: %v", name, bad)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > allowed {
			t.Errorf("%s: %d KiB allocated, %d are allowed", name, n>>10, allowed>>10)
		} else {
			t.Logf("%s: %d KiB allocated", name, n>>10)
		}
	}
}

// FuzzBody sends anything as a body: the reader and the standard library agree
// on what is an object, apart from what the reader refuses on purpose.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"query":"{ hello }"}`, `{"query":"{ hello }","variables":{"a":[1,{"b":null}]}}`, `{"a":1,"a":2}`, `[]`, `{}{}`, "", "{", "nul",
		`{"a":1e400}`, `{"` + "\xff" + `":1}`, `{"\u0000":"\ud800"}`, strings.Repeat(`{"a":`, 200),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		object, bad := decodeObject(body, "the body", DefaultLimits())
		if bad != nil {
			if bad.Code == "" || bad.Message == "" || bad.status != http.StatusBadRequest {
				t.Fatalf("an error without code, text or status: %#v", bad)
			}
			return
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var want map[string]any
		if err := dec.Decode(&want); err != nil {
			t.Fatalf("accepted what the standard library refuses: %v", err)
		}
		a, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Fatalf("read %s, want %s", a, b)
		}
	})
}
