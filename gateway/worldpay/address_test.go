package worldpay

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"purser/gateway"
)

// TestEndpoint: an account goes to the address that was given for it where that
// is Worldpay's own of the environment or allowed by the operator, and nowhere
// else, also when it was allowed before.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	var asked []string
	allowed := "https://second.example"
	a := New(Config{
		CheckEndpoint: func(endpoint, own string) error {
			if strings.HasPrefix(endpoint, own+"/") || allowed != "" && strings.HasPrefix(endpoint, allowed) {
				return nil
			}
			return errors.New("not allowed")
		},
		HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.String())
			return nil, fmt.Errorf("no network in this test")
		})},
	})
	acc := testAccount()
	for _, c := range []struct {
		env      gateway.Environment
		endpoint string
		want     string // empty: refused
	}{
		{gateway.EnvironmentTest, testHost + servicePath, testHost + servicePath},
		{gateway.EnvironmentTest, "https://second.example", "https://second.example" + servicePath},
		{gateway.EnvironmentLive, "https://second.example:8443/xml", "https://second.example:8443/xml"},
		{gateway.EnvironmentLive, liveHost + "/", liveHost + servicePath},
		{gateway.EnvironmentTest, liveHost + servicePath, ""},
		{gateway.EnvironmentLive, "https://SECURE-test.worldpay.com:443/x", ""},
		{gateway.EnvironmentTest, "https://169.254.169.254/latest", ""},
		{gateway.EnvironmentTest, "https://evil.example/", ""},
		{gateway.EnvironmentTest, "://", ""},
		{gateway.EnvironmentSandbox, testHost + servicePath, ""},
	} {
		asked = nil
		acc.Environment, acc.Endpoint = c.env, c.endpoint
		err := a.CheckAccount(acc)
		res := a.TestAccount(t.Context(), acc)
		switch got := strings.Join(asked, " "); {
		case got != c.want || (err == nil) != (c.want != ""):
			t.Errorf("%s %s: asked %q, want %q, %v", c.env, c.endpoint, got, c.want, err)
		case c.want == "" && (res.Status != gateway.StatusRejected || res.Failure.Code != codeNoAddress):
			t.Errorf("%s %s: %+v", c.env, c.endpoint, res)
		}
	}
	// The operator has taken it off the list.
	allowed, asked = "", nil
	acc.Environment, acc.Endpoint = gateway.EnvironmentTest, "https://second.example"
	if res := a.TestAccount(t.Context(), acc); res.Status != gateway.StatusRejected || len(asked) != 0 {
		t.Errorf("%+v, asked %v", res, asked)
	}
	if err := New(Config{}).CheckAccount(acc); err == nil {
		t.Error("an address can be chosen though nobody checks it")
	}
}
