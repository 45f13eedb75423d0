package worldpay

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
)

// careful returns a copy of the client that follows no redirect, which would
// carry the password to another host, and keeps no cookie: a sticky one would
// bind an account's requests to one of Worldpay's machines.
func careful(c *http.Client) *http.Client {
	out := *c
	out.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	out.Jar = nil
	return &out
}

// ask sends one message and returns the reply to it.
func (o *operation) ask(body *element) (*node, *problem) {
	if o.refused != nil {
		return nil, o.refused
	}
	if err := o.ctx.Err(); err != nil {
		return nil, unavailable(codeTimeout, "there was no time left to ask the payment gateway")
	}
	var connected atomic.Bool // from here on the request may have arrived
	ctx := httptrace.WithClientTrace(o.ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	})
	message := document(o.account.MerchantCode, body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.address, bytes.NewReader(message))
	if err != nil {
		return nil, lockedOut(codeNoAddress, "the gateway's address cannot be used")
	}
	user, password, _ := strings.Cut(o.account.SecretKey, ":")
	req.SetBasicAuth(user, password)
	req.Header.Set("Content-Type", "text/xml; charset=UTF-8")
	req.Header.Set("Accept", "text/xml, application/xml")
	res, err := o.a.http.Do(req)
	if err != nil {
		return nil, unanswered(err, !connected.Load() && beforeConnection(err))
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, messageBytesMax+1))
	if p := refusedByStatus(res.StatusCode); p != nil {
		return nil, p
	}
	if err != nil {
		return nil, unanswered(err, false)
	}
	return o.reply(raw)
}

// reply takes the reply out of a message, which must be to this merchant. An
// error has its place here or within the order; one here may be that there is
// no such merchant.
func (o *operation) reply(raw []byte) (*node, *problem) {
	merchant, reply, err := message(raw, "reply")
	if err != nil {
		return nil, unreadable(err)
	}
	e, err := reply.find("error")
	switch {
	case err != nil:
		return nil, unreadable(err)
	case e != nil:
		return nil, refusedByCode(e)
	case merchant != o.account.MerchantCode:
		return nil, unreadable(errors.New("the answer is for another merchant"))
	}
	return reply, nil
}

// order takes the status of an order out of a reply.
func order(reply *node, code string) (*node, *problem) {
	status, err := reply.find("orderStatus")
	if err != nil {
		return nil, unreadable(err)
	}
	if status == nil || status.attrs["orderCode"] != code {
		return nil, unreadable(fmt.Errorf("the answer is about another order than %s", code))
	}
	e, err := status.find("error")
	if err != nil {
		return nil, unreadable(err)
	}
	if e != nil {
		return nil, refusedByCode(e)
	}
	return status, nil
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
