// Package outbound makes the connections that leave for gateways and for
// organizations' own systems. Whoever can have such an address named must not
// be able to reach what stands beside this server: its own ports, the private
// network, the cloud's metadata.
//
// A name is resolved once; each address that it leads to is checked when it is
// dialled, not before, so that no second look-up can lead elsewhere. Only https
// is spoken, redirects are not followed, and no proxy is asked. The exceptions
// are addresses that the operator has set, such as the sandbox's.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
)

// Bounds of one exchange with a gateway.
const (
	exchangeTimeout = 20 * time.Second
	dialTimeout     = 10 * time.Second
	headMax         = 64 << 10
)

// portHTTPS is the only port that is dialled unless the operator lists others.
const portHTTPS = 443

// Options says what the operator has set.
type Options struct {
	// Local are addresses, http://… or https://…, that are dialled wherever
	// they lead: the sandbox's.
	Local []string
	// Listed are addresses, https://…, whose ports may be dialled as well.
	// Where they lead is checked all the same.
	Listed []string
}

// Client returns what requests to gateways are made with. The error says which
// of the addresses cannot be read.
func Client(o Options) (*http.Client, error) {
	local := make([]string, 0, len(o.Local))
	for _, address := range o.Local {
		at, err := hostPort(address)
		if err != nil {
			return nil, err
		}
		local = append(local, at)
	}
	ports := []uint16{portHTTPS}
	for _, address := range o.Listed {
		at, err := hostPort(address)
		if err != nil {
			return nil, err
		}
		_, port, err := net.SplitHostPort(at)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", address, err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("read %q: %w", address, err)
		}
		if !slices.Contains(ports, uint16(n)) {
			ports = append(ports, uint16(n))
		}
	}
	free := &net.Dialer{Timeout: dialTimeout}
	checked := &net.Dialer{Timeout: dialTimeout, Control: ssrf.New(ssrf.WithPorts(ports...)).Safe}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if slices.Contains(local, address) {
			return free.DialContext(ctx, network, address)
		}
		return checked.DialContext(ctx, network, address)
	}
	return &http.Client{
		Timeout:       exchangeTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            dial,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    32,
			IdleConnTimeout:        90 * time.Second,
			TLSHandshakeTimeout:    dialTimeout,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: headMax,
		},
	}, nil
}

// hostPort is where an address is dialled.
func hostPort(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("%q is not an address such as https://gateway.example", address)
	}
	port := u.Port()
	if port == "" {
		port = strconv.Itoa(portHTTPS)
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port), nil
}

// errEndpoint is the one answer for an address that nobody has allowed: it must
// not tell what else is there.
var errEndpoint = errors.New("the address is neither the gateway's own nor on the operator's list (PURSER_GATEWAY_ADDRESSES)")

// CheckEndpoint refuses an address that a provider names as its gateway's: it
// must be https, without user, query and fragment, and its host and port must
// be those of one of the allowed addresses, the gateway's own ones and those of
// the operator's list. Which path it has is the gateway's matter.
func CheckEndpoint(endpoint string, allowed []string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" || u.User != nil ||
		u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.ContainsFunc(endpoint, odd) {
		return errors.New("the address must begin with https:// and have a host and a path, and nothing else")
	}
	at, err := hostPort(endpoint)
	if err != nil {
		return errEndpoint
	}
	for _, address := range allowed {
		if known, err := hostPort(address); err == nil && known == at && strings.HasPrefix(address, "https://") {
			return nil
		}
	}
	return errEndpoint
}

// odd are characters that one reader of an address takes for a path's and
// another for a host's.
func odd(r rune) bool { return r <= ' ' || r == '\\' || r > '~' }
