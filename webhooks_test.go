package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// TestWebhooksAreSent: the whole server tells an address that the operator
// allows, signed as docs/webhooks.md has it; it follows no redirect, and does
// not dial what stands beside it, though an organization names it.
func TestWebhooksAreSent(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []*http.Request
	var bodies []string
	var receiver *httptest.Server
	receiver = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got, bodies = append(got, r), append(bodies, string(body))
		if r.URL.Path == "/away" {
			http.Redirect(w, r, receiver.URL+"/secret", http.StatusTemporaryRedirect)
		}
	}))
	defer receiver.Close()
	s := startServer(t, serverOptions{Env: []string{"PURSER_WEBHOOK_ADDRESSES=" + receiver.URL}})
	api := &apiClient{http: http.DefaultClient, endpoint: s.URL + pathGraphQL, token: s.Token}
	secrets := map[string]string{}
	for _, address := range []string{receiver.URL + "/good", receiver.URL + "/away", "https://localhost/beside", "https://169.254.169.254/latest"} {
		var made struct {
			WebhookEndpointCreate struct {
				Secret     string
				UserErrors []refusal
			}
		}
		must(t, api.post(t.Context(), `mutation($url: URL!) { webhookEndpointCreate(input: {url: $url, eventTypes: [QUOTE_CHANGED]}) { secret userErrors { code message } } }`,
			map[string]any{"url": address}, &made))
		if made.WebhookEndpointCreate.Secret == "" {
			t.Fatalf("%s: %v", address, made.WebhookEndpointCreate.UserErrors)
		}
		secrets[address] = made.WebhookEndpointCreate.Secret
	}
	must(t, api.post(t.Context(), `mutation { quoteCreate(input: {}) { userErrors { code message } } }`, nil, new(any)))

	type delivery struct {
		Status     string
		HTTPStatus int
		Error      string
	}
	ended := map[string]delivery{}
	await(t, "the first deliveries", func() bool {
		var state struct {
			WebhookEndpoints []struct {
				URL        string
				Deliveries struct {
					Edges []struct{ Node delivery }
				}
			}
		}
		err := api.post(t.Context(), `{ webhookEndpoints { url deliveries(last: 1) { edges { node { status httpStatus error } } } } }`, nil, &state)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range state.WebhookEndpoints {
			if len(e.Deliveries.Edges) == 1 && e.Deliveries.Edges[0].Node.Status != "PENDING" {
				ended[e.URL] = e.Deliveries.Edges[0].Node
			}
		}
		return len(ended) == len(secrets)
	})
	if d := ended[receiver.URL+"/good"]; d.Status != "DELIVERED" || d.HTTPStatus != http.StatusOK {
		t.Errorf("good: %+v", d)
	}
	if d := ended[receiver.URL+"/away"]; d.Status != "FAILED" || d.HTTPStatus != http.StatusTemporaryRedirect || !strings.Contains(d.Error, "not followed") {
		t.Errorf("away: %+v", d)
	}
	// What is beside this server and what is nowhere are told apart by nobody.
	beside, nowhere := ended["https://localhost/beside"], ended["https://169.254.169.254/latest"]
	if beside.Status != "FAILED" || beside.HTTPStatus != 0 || beside != nowhere || strings.Contains(beside.Error, "localhost") {
		t.Errorf("beside: %+v, nowhere: %+v", beside, nowhere)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, r := range got {
		if r.URL.Path == "/secret" {
			t.Error("a redirect was followed")
		}
		if err := verifyWebhook(r.Header, bodies[i], secrets[receiver.URL+r.URL.Path]); err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
	}
}

// verifyWebhook is the recipe of docs/webhooks.md.
func verifyWebhook(h http.Header, body, secret string) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("Webhook-Id") + "." + h.Get("Webhook-Timestamp") + "." + body))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for signature := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return nil
		}
	}
	return errors.New("no signature fits")
}
