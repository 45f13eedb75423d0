package stripe

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"purser/gateway"
)

func TestRegisterEndpoint(t *testing.T) {
	t.Parallel()
	const route = "POST /v1/webhook_endpoints"
	endpoint := `{"id":"we_1","object":"webhook_endpoint","metadata":{"purser_call":"call_1","purser_step":"endpoint"}}`
	f := newFake(t).on(route, answer{body: `{"id":"we_1","secret":"whsec_1"}`})
	a, log := f.adapter()
	res := a.RegisterEndpoint(t.Context(), testAccount(), testCall(), "https://shop.example/hook")
	if res.Status != gateway.StatusSucceeded || res.EndpointID != "we_1" || res.Secret != "whsec_1" || strings.Contains(log.String(), "whsec_1") {
		t.Errorf("register = %+v, log %s", res, log)
	}
	form := f.last(route).form
	if form.Get("api_version") != "2023-10-16" || form.Get("url") != "https://shop.example/hook" || form.Get("metadata[purser_call]") != "call_1" {
		t.Errorf("request = %v", form)
	}
	var events []string
	for i := range endpointEvents() {
		events = append(events, form.Get(fmt.Sprintf("enabled_events[%d]", i)))
	}
	if !slices.Contains(events, "invoice.paid") || slices.Contains(events, "charge.succeeded") || slices.Contains(events, "") {
		t.Errorf("events = %v", events)
	}

	// The secret was lost with the answer: the endpoint is removed.
	f = newFake(t).on(route, answer{status: 500, body: "x"}).on("GET /v1/webhook_endpoints", list(endpoint)).
		on("DELETE /v1/webhook_endpoints/we_1", answer{body: `{"id":"we_1","deleted":true}`})
	a, _ = f.adapter()
	if res := a.RegisterEndpoint(t.Context(), testAccount(), testCall(), "https://shop.example/hook"); res.Status != gateway.StatusUnavailable || res.Secret != "" {
		t.Errorf("lost secret = %+v", res)
	}
}
