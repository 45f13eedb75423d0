package stripe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
)

// answerBytesMax bounds every JSON answer: the SDK reads a body to its end.
const answerBytesMax = 8 << 20

// errAnswerTooLarge stands for an answer beyond answerBytesMax.
var errAnswerTooLarge = fmt.Errorf("the answer is larger than %d MiB", answerBytesMax>>20)

// exchange is what one request left on the wire. The SDK's errors do not say
// whether a request left at all, and lose status and headers of an answer
// they cannot read; both decide between "nothing happened" and "unknown".
type exchange struct {
	asked     atomic.Bool // a connection was asked for; also proves that the transport reports to traces
	connected atomic.Bool // a connection was there: from here on the request may have arrived
	refused   atomic.Bool // no connection can have been made
	status    atomic.Int64
	replayed  atomic.Bool
	requestID atomic.Pointer[string]
	after     atomic.Int64 // the pause in seconds that the answer asks for
}

// unsent reports whether the request surely never reached the gateway.
func (e *exchange) unsent() bool {
	return e.refused.Load() || (e.asked.Load() && !e.connected.Load())
}

func (e *exchange) id() string {
	if p := e.requestID.Load(); p != nil {
		return *p
	}
	return ""
}

type exchangeKey struct{}

// recorder is the transport below the SDK: it fills the exchange found in the
// request's context, bounds answers and refuses redirects, which would carry
// the secret key to another host.
type recorder struct {
	next http.RoundTripper
}

// RoundTrip sends the request once.
func (t recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	ex, _ := req.Context().Value(exchangeKey{}).(*exchange)
	if ex == nil {
		ex = new(exchange)
	}
	if err := req.Context().Err(); err != nil {
		if !ex.connected.Load() {
			ex.refused.Store(true)
		}
		return nil, err
	}
	trace := &httptrace.ClientTrace{
		GetConn: func(string) { ex.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { ex.connected.Store(true) },
	}
	res, err := t.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		if !ex.connected.Load() && beforeConnection(err) {
			ex.refused.Store(true)
		}
		return nil, err
	}
	ex.connected.Store(true)
	ex.status.Store(int64(res.StatusCode))
	ex.replayed.Store(res.Header.Get("Idempotent-Replayed") == "true")
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		ex.after.Store(int64(seconds))
	}
	id := res.Header.Get("Request-Id")
	ex.requestID.Store(&id)
	if res.StatusCode < 200 || (res.StatusCode >= 300 && res.StatusCode < 400) {
		_ = res.Body.Close() // nothing of it is used
		return nil, fmt.Errorf("unexpected status %d", res.StatusCode)
	}
	res.Body = &boundedBody{body: res.Body, left: answerBytesMax}
	return res, nil
}

// beforeConnection reports whether the error proves that no connection came
// about: the dial or the TLS handshake failed.
func beforeConnection(err error) bool {
	var op *net.OpError
	if errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) || errors.As(err, &certificate)
}

// boundedBody fails instead of reading on without end.
type boundedBody struct {
	body io.ReadCloser
	left int64
}

// Read reads at most what is left.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, errAnswerTooLarge
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n, errAnswerTooLarge
	}
	return n, err
}

// Close closes the body below.
func (b *boundedBody) Close() error { return b.body.Close() }

// withExchange returns a context that records one request, and its record.
func withExchange(ctx context.Context) (context.Context, *exchange) {
	ex := new(exchange)
	return context.WithValue(ctx, exchangeKey{}, ex), ex
}

// recording returns a copy of the client whose requests are recorded and
// whose redirects are refused.
func recording(c *http.Client) *http.Client {
	out := *c
	next := out.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	out.Transport = recorder{next: next}
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	out.Jar = nil
	return &out
}
