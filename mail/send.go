package mail

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Config is what a Sender needs.
type Config struct {
	// Folder is where mails are kept as files where there is no server, or
	// where a mail is Local.
	Folder string
	// Server is the mail server: smtp://user:password@host:port, with STARTTLS
	// unless it is on this machine, or smtps:// with TLS from the start. nil
	// has every mail kept in the folder.
	Server *url.URL
	// From is the address that mails come from whose organization has none.
	From string
	// TLS changes how the server is connected to. Default: the system's roots.
	TLS *tls.Config
}

// Sender sends mails. It is safe for concurrent use.
type Sender struct{ Config }

// NewSender returns a sender. Nothing is connected before a mail is sent.
func NewSender(c Config) *Sender { return &Sender{c} }

// sendTimeout is how long the server may take for a mail.
const sendTimeout = 20 * time.Second

// Failure is why a mail was not sent, in words that hold no address, no
// password and nothing that the server wrote.
type Failure struct {
	// Final says that another try would end the same.
	Final   bool
	Message string
	// err is never shown: servers repeat addresses.
	err error
}

func (f *Failure) Error() string { return f.Message }

// Unwrap returns the whole of it.
func (f *Failure) Unwrap() error { return f.err }

// Send hands a mail to the server, or keeps it in the folder. The error is a
// *Failure. A mail that was sent before is sent again under the same id; in
// the folder it takes the place of the first.
func (s *Sender) Send(ctx context.Context, m Message) error {
	local := s.Server == nil || m.Local
	message, err := s.compose(m, local)
	if err != nil {
		return &Failure{Final: true, Message: "the mail cannot be written: " + err.Error(), err: err}
	}
	if local {
		if err := s.keep(m, message); err != nil {
			return &Failure{Message: "the mail could not be kept in the folder", err: err}
		}
		return nil
	}
	client, err := s.client()
	if err != nil {
		return &Failure{Message: "the mail server's address cannot be used", err: err}
	}
	err = client.DialAndSendWithContext(ctx, message)
	if err == nil || message.IsDelivered() {
		return nil // what goes wrong after the server has taken it is no failure
	}
	return failure(err)
}

// failure tells a refusal from a server that could not be reached.
func failure(err error) *Failure {
	f := &Failure{Message: "the mail server could not be reached", err: err}
	var refused *gomail.SendError
	if errors.As(err, &refused) {
		f.Final = refused.ErrorCode() >= 500 && !refused.IsTemp()
		f.Message = "the mail server did not take the mail: " + refused.Reason.String()
		if code := refused.ErrorCode(); code > 0 {
			f.Message += " (" + strconv.Itoa(code) + ")"
		}
	}
	return f
}

// compose writes the message. One recipient gets it; every address is parsed,
// which refuses lists, line breaks and everything else that is not one address.
func (s *Sender) compose(m Message, readable bool) (*gomail.Msg, error) {
	encoding := gomail.EncodingQP
	if readable {
		encoding = gomail.NoEncoding
	}
	out := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(encoding), gomail.WithBoundary(m.ID))
	from := m.FromAddress
	if from == "" {
		from = s.From
	}
	sender, err := address(from)
	if err != nil {
		return nil, fmt.Errorf("the sender's address cannot be used")
	}
	to, err := address(m.To)
	if err != nil {
		return nil, fmt.Errorf("the recipient's address cannot be used")
	}
	sender.Name = clean(m.FromName)
	out.FromMailAddress(sender)
	// What cannot be delivered comes back to the operator, whose domain the
	// server sends for.
	envelope, err := address(s.From)
	if err != nil {
		return nil, fmt.Errorf("the installation's address cannot be used")
	}
	out.EnvelopeFromMailAddress(envelope)
	if envelope.Address != sender.Address {
		out.SetGenHeader("Sender", envelope.String())
	}
	_, domain, _ := strings.Cut(envelope.Address, "@") // not the sender's, which may change between two tries
	out.ToMailAddress(to)
	if m.ReplyTo != "" {
		reply, err := address(m.ReplyTo)
		if err != nil {
			return nil, fmt.Errorf("the address for replies cannot be used")
		}
		out.ReplyToMailAddress(reply)
	}
	out.Subject(clean(m.Subject))
	out.SetMessageIDWithValue(m.ID + "@" + domain)
	out.SetDateWithValue(m.At)
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetBodyString(gomail.TypeTextPlain, m.Text)
	out.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return out, nil
}

// address reads one address without a name.
func address(s string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(s)
	if err != nil {
		return nil, err
	}
	if a.Address != s || a.Name != "" {
		return nil, errors.New("it is more than an address")
	}
	return a, nil
}

// keep writes the mail to a file, whole or not at all.
func (s *Sender) keep(m Message, message *gomail.Msg) error {
	folder := filepath.Join(s.Folder, filepath.Base(m.Folder))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	name := filepath.Join(folder, FileName(m))
	f, err := os.CreateTemp(folder, ".mail-*")
	if err != nil {
		return err
	}
	_, err = message.WriteTo(f)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// FileName is what a mail's file is called: files sort by when they were
// written, and say what they are.
func FileName(m Message) string {
	return m.At.UTC().Format("20060102T150405Z") + "-" + strings.ToLower(string(m.Kind)) + "-" + m.ID + ".eml"
}

func (s *Sender) client() (*gomail.Client, error) {
	port := 587
	options := []gomail.Option{gomail.WithTimeout(sendTimeout), gomail.WithTLSPolicy(gomail.TLSMandatory)}
	if s.TLS != nil {
		options = append(options, gomail.WithTLSConfig(s.TLS))
	}
	switch {
	case s.Server.Scheme == "smtps":
		port = 465
		options = append(options, gomail.WithSSL())
	case isLoopback(s.Server.Hostname()):
		options = append(options, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	if p := s.Server.Port(); p != "" {
		var err error
		if port, err = strconv.Atoi(p); err != nil {
			return nil, err
		}
	}
	options = append(options, gomail.WithPort(port))
	if user := s.Server.User; user != nil {
		password, _ := user.Password()
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(user.Username()), gomail.WithPassword(password))
	}
	return gomail.NewClient(s.Server.Hostname(), options...)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
