package mail

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func message() Message {
	return Message{
		ID: "eml_1", At: time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC), Folder: "demo", Kind: ChargeFailed,
		FromName: "Demo Weather API", FromAddress: "billing@weather.example", ReplyTo: "finance@weather.example", To: "ada@example.com",
		Rendered: Rendered{Subject: "Problem with payment – Проблема", Text: "Dear Ada,\n\nпривіт\n", HTML: "<p>Dear Ada</p>"},
	}
}

// opened is a mail as its reader sees it.
type opened struct {
	netmail.Header
	parts map[string]string
}

func open(t testing.TB, raw []byte) opened {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	out := opened{m.Header, map[string]string{}}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = p
		if p.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(p)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		out.parts[kind] = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
}

func TestSendIntoFolder(t *testing.T) {
	t.Parallel()
	s := NewSender(Config{Folder: t.TempDir(), From: "no-reply@purser.example"})
	for range 2 { // again is the same file
		if err := s.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(s.Folder, "demo", "*"))
	if err != nil || len(files) != 1 || filepath.Base(files[0]) != "20260310T120000Z-charge_failed-eml_1.eml" {
		t.Fatalf("files %v, %v", files, err)
	}
	raw, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	m := open(t, raw)
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Get("Subject"))
	if err != nil || subject != message().Subject {
		t.Errorf("subject %q, %v", subject, err)
	}
	for header, want := range map[string]string{
		"From": `"Demo Weather API" <billing@weather.example>`, "To": "<ada@example.com>", "Reply-To": "<finance@weather.example>",
		"Sender": "<no-reply@purser.example>", "Message-Id": "<eml_1@purser.example>", "Date": "Tue, 10 Mar 2026 12:00:00 +0000", "Auto-Submitted": "auto-generated",
	} {
		if got := m.Get(header); got != want {
			t.Errorf("%s: %s", header, got)
		}
	}
	if m.parts["text/plain"] != message().Text || m.parts["text/html"] != message().HTML {
		t.Errorf("parts %q", m.parts)
	}
	if !bytes.Contains(raw, []byte("привіт")) {
		t.Error("the file is not readable as it is")
	}
}

// Nothing that somebody is called adds a header or a recipient.
func TestHeaderInjection(t *testing.T) {
	t.Parallel()
	s := NewSender(Config{Folder: t.TempDir(), From: "no-reply@purser.example"})
	m := message()
	m.FromName = "Evil\r\nBcc: eve@example.com\r\n\r\nbody\u202e\" <eve@example.com>, \""
	m.Subject = "Hello\r\nBcc: eve@example.com\u2028X: y\x00"
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(s.Folder, "demo", FileName(m)))
	if err != nil {
		t.Fatal(err)
	}
	got := open(t, raw)
	if len(got.Header["Bcc"]) > 0 || len(got.Header["X"]) > 0 || got.parts["text/plain"] != m.Text {
		t.Errorf("%s", raw)
	}
	from, err := got.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Address != m.FromAddress || strings.ContainsRune(from[0].Name, '\u202e') {
		t.Errorf("from %v, %v", from, err)
	}
	for _, bad := range []string{"", "a@example.com, b@example.com", "a@example.com\r\nBcc: b@example.com", "Ada <a@example.com>", "a@example.com\x00", " a@example.com", "a@example.com (x)"} {
		for name, set := range map[string]func(*Message){
			"to":    func(m *Message) { m.To = bad },
			"from":  func(m *Message) { m.FromAddress = bad + " " },
			"reply": func(m *Message) { m.ReplyTo = bad + " " },
		} {
			m := message()
			set(&m)
			var f *Failure
			if err := s.Send(t.Context(), m); !errors.As(err, &f) || !f.Final || strings.Contains(f.Message, "example.com") {
				t.Errorf("%s %q: %v", name, bad, err)
			}
		}
	}
}

// mailServer is a mail server on this machine that answers RCPT as told.
type mailServer struct {
	url      *url.URL
	rcpt     string
	envelope chan string // MAIL and RCPT of each mail that was taken
	data     chan []byte
}

func newMailServer(t *testing.T, rcpt string) *mailServer {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &mailServer{rcpt: rcpt, envelope: make(chan string, 10), data: make(chan []byte, 10), url: &url.URL{Scheme: "smtp", Host: l.Addr().String()}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *mailServer) serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	say := func(line string) { fmt.Fprintf(c, "%s\r\n", line) }
	say("220 test")
	var envelope []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			say("250-test\r\n250 8BITMIME")
		case "MAIL":
			envelope = append(envelope, line)
			say("250 ok")
		case "RCPT":
			envelope = append(envelope, line)
			say(s.rcpt)
		case "DATA":
			say("354 go on")
			var data bytes.Buffer
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				data.WriteString(strings.TrimPrefix(l, "."))
			}
			s.envelope <- strings.Join(envelope, "; ")
			s.data <- data.Bytes()
			say("250 taken")
			return // what the server says after it has taken a mail does not count
		default:
			say("250 ok")
		}
	}
}

func TestSendBySMTP(t *testing.T) {
	t.Parallel()
	server := newMailServer(t, "250 ok")
	s := NewSender(Config{Folder: t.TempDir(), Server: server.url, From: "no-reply@purser.example"})
	if err := s.Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	if got := <-server.envelope; !strings.Contains(got, "MAIL FROM:<no-reply@purser.example>") || strings.Count(got, "RCPT TO:<ada@example.com>") != 1 {
		t.Errorf("envelope %s", got)
	}
	m := open(t, <-server.data)
	if m.Get("Message-Id") != "<eml_1@purser.example>" || m.parts["text/plain"] != message().Text {
		t.Errorf("%v %q", m.Header, m.parts)
	}
	local := message()
	local.Local = true
	if err := s.Send(t.Context(), local); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.Folder, "demo", FileName(local))); err != nil || len(server.data) > 0 {
		t.Errorf("a local mail: %v, sent %d", err, len(server.data))
	}
}

func TestSendFailures(t *testing.T) {
	t.Parallel()
	gone := newMailServer(t, "")
	gone.url.Host = "127.0.0.1:1"
	for answer, final := range map[string]bool{"550 5.1.1 ada@example.com is unknown, secret": true, "451 try later, ada@example.com": false, "": false} {
		server := gone
		if answer != "" {
			server = newMailServer(t, answer)
		}
		server.url.User = nil
		err := NewSender(Config{Server: server.url, From: "no-reply@purser.example"}).Send(t.Context(), message())
		var f *Failure
		if !errors.As(err, &f) || f.Final != final {
			t.Errorf("%q: %v", answer, err)
			continue
		}
		for _, never := range []string{"ada@", "secret", "127.0.0.1"} {
			if strings.Contains(f.Error(), never) {
				t.Errorf("%q: %v tells %s", answer, f, never)
			}
		}
	}
}
