package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	pursermail "purser/mail"
)

// mailbox is the folder that the server puts its mails into, as a person reads
// it.
type mailbox struct {
	folder string
	// read are the files that the story has read already.
	read map[string]bool
	// shown is the mail that was read last.
	shown *shownMail
}

// shownMail is a mail as its reader sees it.
type shownMail struct {
	mail.Header
	subject, text, html string
}

func (m *mailbox) sender() *pursermail.Sender {
	return pursermail.NewSender(pursermail.Config{Folder: m.folder, From: "no-reply@purser.example"})
}

// do carries out one line of a script.
func (m *mailbox) do(line string, known map[string]string) error {
	if line == "no more" {
		return m.noMore()
	}
	if rest, ok := strings.CutPrefix(line, "open mail to "); ok {
		return m.open(rest)
	}
	if m.shown == nil {
		return fmt.Errorf("no mail is open: begin with \"open mail to …\"")
	}
	words := strings.SplitN(line, " ", 3)
	if len(words) < 3 {
		return fmt.Errorf("a mail cannot %q", line)
	}
	if words[0] == "link" {
		return m.link(words[1], words[2], known)
	}
	rest, asks := strings.CutPrefix(line, "expect ")
	rest, unwanted := strings.CutPrefix(rest, "no ")
	what, text, _ := strings.Cut(rest, " ")
	in := map[string]string{"subject": m.shown.subject, "text": strings.Join(strings.Fields(m.shown.text), " "), "html": m.shown.html}
	place, ok := in[what]
	if name, is := strings.CutPrefix(what, "header:"); is {
		place, ok = m.shown.Get(name), true
	}
	if !ok || !asks {
		return fmt.Errorf("a mail cannot %q", line)
	}
	if strings.Contains(place, text) == unwanted {
		return fmt.Errorf("the %s of the mail is:\n%s", what, place)
	}
	return nil
}

// open waits for a mail to an address that was not read yet, with a subject
// where one is given: "ada@example.com: Problem with payment".
func (m *mailbox) open(which string) error {
	to, subject, _ := strings.Cut(which, ": ")
	var seen []string
	for end := time.Now().Add(untilMax); ; time.Sleep(untilPause) {
		files, err := m.unread()
		if err != nil {
			return err
		}
		seen = nil
		for _, file := range files {
			got, err := readMail(file)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if got.Get("To") == "<"+to+">" && strings.Contains(got.subject, subject) {
				m.shown = got
				if m.read == nil {
					m.read = map[string]bool{}
				}
				m.read[file] = true
				return nil
			}
			seen = append(seen, got.Get("To")+": "+got.subject)
		}
		if time.Now().After(end) {
			return fmt.Errorf("there is no such mail; not read are %q", seen)
		}
	}
}

// noMore fails where there is a mail that the story has not read.
func (m *mailbox) noMore() error {
	files, err := m.unread()
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("mails that nobody read: %v", files)
	}
	return err
}

func (m *mailbox) unread() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(m.folder, "*", "*.eml"))
	var out []string
	for _, f := range files {
		if !m.read[f] {
			out = append(out, f)
		}
	}
	return out, err
}

// link learns the first address in the text that begins like this.
func (m *mailbox) link(name, prefix string, known map[string]string) error {
	found := regexp.MustCompile(regexp.QuoteMeta(prefix) + `\S*`).FindString(m.shown.text)
	if found == "" {
		return fmt.Errorf("there is no address that begins with %s in:\n%s", prefix, m.shown.text)
	}
	known[name] = found
	return nil
}

func readMail(file string) (*shownMail, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	out := &shownMail{Header: message.Header}
	if out.subject, err = new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject")); err != nil {
		return nil, err
	}
	_, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	for parts := multipart.NewReader(message.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			out.html = string(body)
		} else {
			out.text = string(body)
		}
	}
}
