package main

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// signHeader is "sign SECRET" or "sign SECRET 10m ago": the value of a header
// that signs the body as the gateway does.
var signHeader = regexp.MustCompile(`^sign (\S*)(?: (\w+) (ago|ahead))?$`)

// rawRequest sends a request as it is written, head, empty line and body, and
// compares status, headers and parts of the answer.
func (s *stage) rawRequest(st *step) error {
	filled, err := s.fill(st.text)
	if err != nil {
		return err
	}
	head, body, _ := strings.Cut(filled, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	first, rest, _ := strings.Cut(head, "\n")
	method, path, ok := strings.Cut(first, " ")
	if !ok {
		return fmt.Errorf("a request begins with method and path, not with %q", first)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+strings.TrimPrefix(path, s.url), strings.NewReader(body))
	if err != nil {
		return err
	}
	for _, line := range lines(rest) {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("%q is no header", line)
		}
		value = strings.TrimSpace(value)
		if m := signHeader.FindStringSubmatch(value); m != nil {
			at := s.clock.Now()
			if m[2] != "" {
				d, err := days(m[2])
				if err != nil {
					return err
				}
				if m[3] == "ago" {
					d = -d
				}
				at = at.Add(d)
			}
			value = signed(at, body, m[1])
		}
		r.Header.Set(name, value)
	}
	answer, err := s.client.Do(r)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	if leak := innerText(raw); leak != "" {
		return fmt.Errorf("the answer shows %q, which is nobody's business: %s", leak, raw)
	}
	return s.compareHTTP(st.want, answer, string(raw))
}

// signed is the header by which the gateway proves that a body is its own.
func signed(at time.Time, body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", at.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// compareHTTP checks an answer: the status, then headers up to an empty line,
// then one part of the body a line; a line that begins with "not " is a part
// that must not be there.
func (s *stage) compareHTTP(want string, answer *http.Response, body string) error {
	want, err := s.fill(want)
	if err != nil {
		return err
	}
	head, parts, _ := strings.Cut(want, "\n\n")
	r := bufio.NewScanner(strings.NewReader(head))
	r.Scan()
	if status := strings.TrimSpace(r.Text()); status != fmt.Sprint(answer.StatusCode) {
		return fmt.Errorf("the answer has status %d, not %s: %.1000s", answer.StatusCode, status, body)
	}
	for r.Scan() {
		name, value, _ := strings.Cut(r.Text(), ":")
		if got := answer.Header.Get(name); got != strings.TrimSpace(value) {
			return fmt.Errorf("the header %s is %q, not %q", name, got, strings.TrimSpace(value))
		}
	}
	for _, part := range lines(parts) {
		absent, not := strings.CutPrefix(part, "not ")
		switch {
		case not && strings.Contains(body, absent):
			return fmt.Errorf("the answer must not have %q: %.1000s", absent, body)
		case !not && !strings.Contains(body, part):
			return fmt.Errorf("the answer does not have %q: %.1000s", part, body)
		}
	}
	return nil
}
