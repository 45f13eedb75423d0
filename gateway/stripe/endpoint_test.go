package stripe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"purser/gateway"
)

const (
	endpointsRoute = "POST /v1/webhook_endpoints"
	hook           = "https://shop.example/hook"
)

// endpointAt is an endpoint of an account as Stripe lists it: complete, or with
// one event alone; made by a call, or by nobody we know.
func endpointAt(id, url, status, call string, events ...string) string {
	if len(events) == 0 {
		events = endpointEvents()
	}
	metadata := "{}"
	if call != "" {
		metadata = fmt.Sprintf(`{"purser_call":%q,"purser_step":"endpoint"}`, call)
	}
	return fmt.Sprintf(`{"id":%q,"object":"webhook_endpoint","url":%q,"status":%q,"enabled_events":["%s"],"metadata":%s}`,
		id, url, status, strings.Join(events, `","`), metadata)
}

func TestRegisterEndpoint(t *testing.T) {
	t.Parallel()
	f := newFake(t).on("GET /v1/webhook_endpoints", list(endpointAt("we_9", "https://shop.example/other", "enabled", ""))).
		on(endpointsRoute, answer{body: `{"id":"we_1","secret":"whsec_1"}`})
	a, log := f.adapter()
	res := a.RegisterEndpoint(t.Context(), testAccount(), testCall(), gateway.EndpointRequest{URL: hook})
	if res.Status != gateway.StatusSucceeded || res.EndpointID != "we_1" || res.Secret != "whsec_1" || strings.Contains(log.String(), "whsec_1") {
		t.Errorf("register = %+v, log %s", res, log)
	}
	form := f.last(endpointsRoute).form
	if form.Get("api_version") != "2023-10-16" || form.Get("url") != hook || form.Get("metadata[purser_call]") != "call_1" {
		t.Errorf("request = %v", form)
	}
	var events []string
	for i := range endpointEvents() {
		events = append(events, form.Get(fmt.Sprintf("enabled_events[%d]", i)))
	}
	if !slices.Contains(events, "invoice.paid") || slices.Contains(events, "charge.succeeded") || slices.Contains(events, "") {
		t.Errorf("events = %v", events)
	}
}

// TestOneRegistration: whatever the account has already, and whatever becomes
// of an answer, an address is registered once, with a secret that is known.
func TestOneRegistration(t *testing.T) {
	t.Parallel()
	const (
		list1  = "GET /v1/webhook_endpoints"
		drop   = "DELETE /v1/webhook_endpoints/"
		change = "POST /v1/webhook_endpoints/"
	)
	made := answer{body: `{"id":"we_3","secret":"whsec_3"}`}
	known := gateway.EndpointRequest{URL: hook, EndpointID: "we_1", SecretStored: true}
	entered := gateway.EndpointRequest{URL: hook, SecretStored: true}
	fresh := gateway.EndpointRequest{URL: hook}
	old := testCall()
	old.StartedAt = time.Now().Add(-48 * time.Hour)
	first, second := endpointAt("we_1", hook, "enabled", ""), endpointAt("we_2", hook, "enabled", "")
	ours := endpointAt("we_3", hook, "enabled", "call_1")
	for name, c := range map[string]struct {
		request gateway.EndpointRequest
		call    gateway.Call
		lists   []answer // of the account's endpoints, the last of them again and again
		answers []answer // to what makes an endpoint
		want    string   // what is asked beside the lists
		id      string
		secret  string
		status  gateway.Status
	}{
		"it stands": {
			request: known, lists: []answer{list(first)},
			id: "we_1", status: gateway.StatusSucceeded,
		},
		"it stands, and a person has entered its secret": {
			request: entered, lists: []answer{list(first)},
			id: "we_1", status: gateway.StatusSucceeded,
		},
		"it was switched off": {
			request: known, lists: []answer{list(endpointAt("we_1", hook, "disabled", ""))},
			want: change + "we_1", id: "we_1", status: gateway.StatusSucceeded,
		},
		"it is told of little": {
			request: known, lists: []answer{list(endpointAt("we_1", hook, "enabled", "", "invoice.paid"))},
			want: change + "we_1", id: "we_1", status: gateway.StatusSucceeded,
		},
		"it is told of everything": {
			request: known, lists: []answer{list(endpointAt("we_1", hook, "enabled", "", "*"))},
			id: "we_1", status: gateway.StatusSucceeded,
		},
		"there is another one beside it": {
			request: known, lists: []answer{list(first, second)},
			want: drop + "we_2", id: "we_1", status: gateway.StatusSucceeded,
		},
		"of two nobody knows whose secret it is": {
			request: entered, lists: []answer{list(first, second)}, answers: []answer{made},
			want: drop + "we_1 " + drop + "we_2 " + endpointsRoute, id: "we_3", secret: "whsec_3", status: gateway.StatusSucceeded,
		},
		"it is gone": {
			request: known, lists: []answer{list()}, answers: []answer{made},
			want: endpointsRoute, id: "we_3", secret: "whsec_3", status: gateway.StatusSucceeded,
		},
		"nobody knows its secret": {
			request: fresh, lists: []answer{list(first)}, answers: []answer{made},
			want: drop + "we_1 " + endpointsRoute, id: "we_3", secret: "whsec_3", status: gateway.StatusSucceeded,
		},
		"the answer is lost, and nothing shows what has become of it": {
			request: fresh, lists: []answer{list()}, answers: []answer{{status: 500, body: "x"}},
			want: endpointsRoute, status: gateway.StatusUnknown,
		},
		"asked again, the answer comes from the store": {
			request: fresh, lists: []answer{list(ours)}, answers: []answer{{body: made.body, replayed: true}},
			want: endpointsRoute, id: "we_3", secret: "whsec_3", status: gateway.StatusSucceeded,
		},
		"from the store comes one that is gone": {
			request: fresh, lists: []answer{list()}, answers: []answer{{body: `{"id":"we_2","secret":"whsec_2"}`, replayed: true}, made},
			want: endpointsRoute + " " + endpointsRoute, id: "we_3", secret: "whsec_3", status: gateway.StatusSucceeded,
		},
		"the secret is lost with the answer": {
			request: fresh, lists: []answer{list(), list(ours)}, answers: []answer{{status: 500, body: "x"}, {body: `{"id":"we_4","secret":"whsec_4"}`}},
			want: endpointsRoute + " " + drop + "we_3 " + endpointsRoute, id: "we_4", secret: "whsec_4", status: gateway.StatusSucceeded,
		},
		"the key is forgotten": {
			request: fresh, call: old, lists: []answer{list(ours)}, answers: []answer{{body: `{"id":"we_4","secret":"whsec_4"}`}},
			want: drop + "we_3 " + endpointsRoute, id: "we_4", secret: "whsec_4", status: gateway.StatusSucceeded,
		},
		"the key may not": {
			request: fresh, lists: []answer{{status: 403, body: `{"error":{"type":"invalid_request_error","message":"no"}}`}},
			status: gateway.StatusRejected,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t).on(list1, c.lists...).on(endpointsRoute, c.answers...)
			for _, id := range []string{"we_1", "we_2", "we_3"} {
				f.on(drop+id, answer{body: `{"id":"` + id + `","deleted":true}`}).on(change+id, answer{body: `{"id":"` + id + `"}`})
			}
			a, _ := f.adapter()
			if c.call.ID == "" {
				c.call = testCall()
			}
			res := a.RegisterEndpoint(t.Context(), testAccount(), c.call, c.request)
			asked := slices.DeleteFunc(f.requests(), func(r string) bool { return r == list1 })
			if got := strings.Join(asked, " "); got != c.want {
				t.Errorf("asked %s, want %s", got, c.want)
			}
			if res.Status != c.status || res.EndpointID != c.id || res.Secret != c.secret {
				t.Errorf("got %+v", res)
			}
		})
	}
}
