package outbound_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"code.dny.dev/ssrf"

	"purser/outbound"
)

func client(t *testing.T, o outbound.Options) *http.Client {
	t.Helper()
	c, err := outbound.Client(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func get(t *testing.T, c *http.Client, address string) (int, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.Do(r)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text), nil
}

// TestInside holds that nothing beside this server is dialled, however its
// address is written, and that it is the dialling that is refused: a name that
// leads there by its second look-up would be, too.
func TestInside(t *testing.T) {
	t.Parallel()
	c := client(t, outbound.Options{Listed: []string{"https://127.0.0.1:8443"}})
	for _, host := range []string{
		"127.0.0.1", "127.0.0.1:8443", "127.1.2.3", "localhost", "[::1]", "0.0.0.0", "[::]", "[::ffff:127.0.0.1]",
		"10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "100.64.0.1", "192.0.0.192",
		"198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[fe80::1]", "[fd00:ec2::254]", "[fc00::1]",
		"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[2001:db8::1]", "[ff02::1]",
	} {
		_, _, err := get(t, c, "https://"+host+"/")
		var op *net.OpError
		if !errors.Is(err, ssrf.ErrProhibitedIP) || !errors.As(err, &op) || op.Op != "dial" {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"93.184.216.34:22", "93.184.216.34:8080"} {
		if _, _, err := get(t, c, "https://"+host+"/"); !errors.Is(err, ssrf.ErrProhibitedPort) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestLocal reaches what the operator has set, and follows it nowhere.
func TestLocal(t *testing.T) {
	t.Parallel()
	var secret *httptest.Server
	sandbox := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, secret.URL, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "sandbox")
	}))
	defer sandbox.Close()
	secret = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") }))
	defer secret.Close()
	c := client(t, outbound.Options{Local: []string{sandbox.URL}})
	if status, text, err := get(t, c, sandbox.URL); err != nil || status != http.StatusOK || text != "sandbox" {
		t.Errorf("%d %q, %v", status, text, err)
	}
	if status, text, err := get(t, c, sandbox.URL+"/away"); err != nil || status != http.StatusFound || strings.Contains(text, "secret") {
		t.Errorf("%d %q, %v", status, text, err)
	}
	if _, _, err := get(t, c, secret.URL); err == nil {
		t.Error("another port of this machine is reached")
	}
	if _, err := outbound.Client(outbound.Options{Local: []string{"nowhere"}}); err == nil {
		t.Error("an address that cannot be read is taken")
	}
}

func TestCheckEndpoint(t *testing.T) {
	t.Parallel()
	allowed := []string{"https://secure.gateway.example", "https://proxy.example:8443", "http://plain.example"}
	for endpoint, good := range map[string]bool{
		"https://secure.gateway.example/jsp/service.jsp": true,
		"https://SECURE.gateway.example:443/":            true,
		"https://proxy.example:8443/x":                   true,
		"https://proxy.example/x":                        false,
		"http://secure.gateway.example/":                 false,
		"http://plain.example/":                          false,
		"https://plain.example/":                         false,
		"https://plain.example:80/":                      false,
		"https://secure.gateway.example.evil.example/":   false,
		"https://secure.gateway.example@evil.example/":   false,
		"https://evil.example/secure.gateway.example":    false,
		"https://secure.gateway.example\\@evil.example/": false,
		"https://secure.gateway.example?x=1":             false,
		"https://secure.gateway.example#x":               false,
		"//secure.gateway.example/":                      false,
		"https:/secure.gateway.example/":                 false,
		"https:secure.gateway.example/":                  false,
		"https://169.254.169.254/latest/meta-data":       false,
		"https://secure.gateway.ex\u00e4mple/":           false,
		"":                                               false,
	} {
		if err := outbound.CheckEndpoint(endpoint, allowed); (err == nil) != good {
			t.Errorf("%q: %v", endpoint, err)
		}
	}
}
