package testdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/lib/pq"
)

// Proxy stands between a client and PostgreSQL and loses what the server
// answers, message by message. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	url      string
	network  string // of the server
	address  string
	running  sync.WaitGroup

	mu       sync.Mutex
	match    func(Message) bool
	messages int
	replies  int
	cuts     int
	open     map[*proxied]struct{}
	closed   bool
}

// Message is one message of the server to the client, sent after the session
// was set up.
type Message struct {
	// Kind is the protocol's letter: '1' ParseComplete, '2' BindComplete, 'C'
	// CommandComplete, 'D' DataRow, 'E' ErrorResponse, 'Z' ReadyForQuery, ….
	Kind byte

	// Body is what follows the length. Of CommandComplete it is the command's
	// tag and a zero byte, such as "COMMIT\x00".
	Body []byte

	// Number counts the messages of all connections since the last CutWhen,
	// from 1.
	Number int

	// Reply is not zero where a reply begins, which is all that answers one
	// request, up to ReadyForQuery. It counts them as Number counts messages.
	Reply int
}

// NewProxy starts a proxy in front of the PostgreSQL database named by url. It
// ends with the test.
func NewProxy(t testing.TB, url string) *Proxy {
	t.Helper()
	p := &Proxy{open: make(map[*proxied]struct{})}
	var err error
	if p.network, p.address, err = dialTarget(url); err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	if p.url, err = viaTCP(url, p.listener.Addr().String()); err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		if err := p.listener.Close(); err != nil {
			t.Errorf("stop proxy: %v", err)
		}
		p.CutAll()
		p.running.Wait()
	})
	return p
}

// URL returns the URL of the database through the proxy.
func (p *Proxy) URL() string { return p.url }

// CutWhen makes the proxy swallow the first message from now on for which match
// is true, and cut the connection that carried it; nil lets everything pass.
// The counts begin anew.
func (p *Proxy) CutWhen(match func(Message) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.match, p.messages, p.replies, p.cuts = match, 0, 0, 0
}

// CutMessage makes the proxy swallow the n-th message from now on, n counting
// from 1, and cut the connection that carried it: what came before it in the
// same reply arrives.
func (p *Proxy) CutMessage(n int) {
	p.CutWhen(func(m Message) bool { return m.Number == n })
}

// CutReply makes the proxy swallow the n-th reply from now on, n counting from
// 1, and cut the connection that carried it: the server has done what it was
// asked, and nothing of that arrives.
func (p *Proxy) CutReply(n int) {
	p.CutWhen(func(m Message) bool { return m.Reply == n })
}

// CutAll cuts every connection at once, as a failing network would.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for connection := range p.open {
		connection.cut()
	}
}

// Messages returns how many messages passed or were swallowed since the last
// CutWhen.
func (p *Proxy) Messages() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages
}

// Cuts returns how many connections were cut since the last CutWhen.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

// Connections returns how many connections are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// swallows counts a message, which may be the first one of a reply, and
// reports whether it is to be lost.
func (p *Proxy) swallows(kind byte, body []byte, first bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages++
	m := Message{Kind: kind, Body: body, Number: p.messages}
	if first {
		p.replies++
		m.Reply = p.replies
	}
	if p.match == nil || !p.match(m) {
		return false
	}
	p.match = nil
	p.cuts++
	return true
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // the test is over
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial(p.network, p.address)
	if err != nil {
		_ = client.Close() // to the client the server is down, which it is
		return
	}
	connection := &proxied{client: client, server: server}
	defer connection.cut()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.open[connection] = struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.open, connection)
		p.mu.Unlock()
	}()
	var requests sync.WaitGroup
	requests.Go(func() {
		defer connection.cut()
		if err := forwardStartup(connection); err == nil {
			_, _ = io.Copy(server, client) // ends when either side is closed
		}
	})
	p.answer(connection)
	connection.cut()
	requests.Wait()
}

// proxied is one client's connection and its counterpart.
type proxied struct{ client, server net.Conn }

func (c *proxied) cut() {
	_ = c.client.Close()
	_ = c.server.Close()
}

// answer passes the server's messages on until one is swallowed or the
// connection ends.
func (p *Proxy) answer(c *proxied) {
	ready, first := false, false
	for {
		head := make([]byte, 5)
		if _, err := io.ReadFull(c.server, head); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(c.server, body); err != nil {
			return
		}
		if ready && p.swallows(head[0], body, first) {
			return
		}
		first = head[0] == 'Z' // the next one is
		ready = ready || first
		if _, err := c.client.Write(append(head, body...)); err != nil {
			return
		}
	}
}

// sslRequest is the code of a client's question whether to speak TLS.
const sslRequest = 80877103

// forwardStartup passes the client's first message on, which unlike the others
// has no kind, after declining TLS where the client asks for it: the server's
// answer to that would be a bare letter instead of a message.
func forwardStartup(c *proxied) error {
	for {
		head := make([]byte, 8)
		if _, err := io.ReadFull(c.client, head); err != nil {
			return err
		}
		if binary.BigEndian.Uint32(head[4:]) != sslRequest {
			_, err := c.server.Write(head)
			return err
		}
		if _, err := c.client.Write([]byte{'N'}); err != nil {
			return err
		}
	}
}

// dialTarget returns where the server of a URL listens.
func dialTarget(rawURL string) (network, address string, err error) {
	config, err := pq.NewConfig(rawURL)
	if err != nil {
		return "", "", err
	}
	port := strconv.Itoa(int(config.Port))
	if strings.HasPrefix(config.Host, "/") {
		return "unix", filepath.Join(config.Host, ".s.PGSQL."+port), nil
	}
	return "tcp", net.JoinHostPort(config.Host, port), nil
}

// viaTCP returns the URL of the same database at another address, without TLS,
// which the proxy does not speak.
func viaTCP(rawURL, address string) (string, error) {
	parsed, err := url.Parse(rawURL)
	if err != nil {
		return "", errors.New("the URL of the test server is malformed")
	}
	query := parsed.Query()
	for _, name := range []string{"host", "hostaddr", "port"} {
		query.Del(name)
	}
	switch mode := query.Get("sslmode"); mode {
	case "", "disable", "allow", "prefer":
		query.Set("sslmode", "disable")
	default:
		return "", fmt.Errorf("a server with sslmode=%s cannot be tested through the proxy", mode)
	}
	parsed.Host, parsed.RawQuery = address, query.Encode()
	return parsed.String(), nil
}
