package stripesandbox

import (
	"net/http"
	"net/url"
	"slices"
)

func eventRoutes() []route {
	return []route{
		retrieve("/v1/events", "event"),
		{method: http.MethodGet, path: "/v1/events", params: listParams + " type types delivery_success", run: listEvents},
	}
}

func listEvents(t *tx, in *params) (object, error) {
	l := readPage(in)
	l.kind = "event"
	if in.filled("types") || in.filled("delivery_success") {
		in.refuse(notEmulated("types", "Filtering events by several types or by delivery"))
	}
	if kind := in.str("type"); kind != "" {
		if prefix, all := cutSuffixStar(kind); all {
			l.filters = append(l.filters, filter{"type", ">=", prefix}, filter{"type", "<", prefix + "\x7f"})
		} else {
			l.filters = append(l.filters, filter{"type", "=", kind})
		}
	}
	return t.page(in, "/v1/events", l)
}

func cutSuffixStar(kind string) (string, bool) {
	if n := len(kind); n > 0 && kind[n-1] == '*' {
		return kind[:n-1], true
	}
	return kind, false
}

// emit stores an event with a snapshot of the object as it is now.
func (t *tx) emit(kind string, o object) {
	t.emitChange(kind, o, nil)
}

// emitChange is emit with the former values of what changed.
func (t *tx) emitChange(kind string, o, previous object) {
	snapshot, err := present(o).clone()
	if err != nil {
		t.failed(err)
		return
	}
	data := object{"object": snapshot}
	if previous != nil {
		data["previous_attributes"] = previous
	}
	event := object{
		"id": t.newID("evt_"), "object": "event", "api_version": APIVersion, "created": t.now, "data": data, "livemode": false,
		"pending_webhooks": 0, "request": object{"id": orNull(t.request.id), "idempotency_key": orNull(t.request.key)}, "type": kind,
	}
	t.insert(event)
	t.emitted = append(t.emitted, emission{id: event.id(), kind: kind})
}

// enqueue hands an event to the delivery queue, once for each endpoint of the
// account that wants it.
func (t *tx) enqueue(e emission) error {
	endpoints, _, err := t.list(listing{kind: "webhook_endpoint"})
	if err != nil {
		return err
	}
	pending := 0
	slices.Reverse(endpoints) // oldest first
	for _, endpoint := range endpoints {
		if !wants(endpoint, e.kind) {
			continue
		}
		if err := t.srv.queue.Enqueue(t.ctx, t.sql, t.account, endpoint.id(), e.id, e.kind); err != nil {
			return err
		}
		pending++
	}
	if pending == 0 {
		return nil
	}
	event, err := t.get("event", e.id)
	if err != nil {
		return err
	}
	event["pending_webhooks"] = pending
	t.save(event)
	return nil
}

// wants says whether an endpoint is to be told about a kind of event.
func wants(endpoint object, kind string) bool {
	if endpoint.str("status") != "enabled" {
		return false
	}
	enabled, _ := endpoint["enabled_events"].([]any)
	return slices.ContainsFunc(enabled, func(e any) bool { return e == "*" || e == kind })
}

func webhookEndpointRoutes() []route {
	return []route{
		{method: http.MethodPost, path: "/v1/webhook_endpoints", params: "api_version connect description enabled_events metadata url", run: createWebhookEndpoint},
		{method: http.MethodPost, path: "/v1/webhook_endpoints/{id}", params: "description disabled enabled_events metadata url", run: updateWebhookEndpoint},
		{method: http.MethodDelete, path: "/v1/webhook_endpoints/{id}", run: deleteWebhookEndpoint},
		retrieve("/v1/webhook_endpoints", "webhook_endpoint"),
		index("/v1/webhook_endpoints", "webhook_endpoint"),
	}
}

const webhookEndpointsMax = 16

func createWebhookEndpoint(t *tx, in *params) (object, error) {
	in.need("url", "enabled_events")
	version := in.str("api_version")
	if version != "" && version != APIVersion {
		in.refuse(notEmulated("api_version", "API version "+version))
	}
	if in.flag("connect", false) {
		in.refuse(notEmulated("connect", "Connect"))
	}
	endpoint := object{
		"id": t.newID("we_"), "object": "webhook_endpoint", "api_version": orNull(version), "application": nil, "created": t.now,
		"description": nil, "enabled_events": []any{}, "livemode": false, "metadata": object{}, "status": "enabled", "url": nil,
		"_secret": t.newID("whsec_"),
	}
	if err := t.fillWebhookEndpoint(endpoint, in); err != nil {
		return nil, err
	}
	existing, _, err := t.list(listing{kind: "webhook_endpoint"})
	if err != nil {
		return nil, err
	}
	if len(existing) >= webhookEndpointsMax {
		return nil, conflict("", "You have reached the maximum of %d webhook endpoints in test mode.", webhookEndpointsMax)
	}
	t.insert(endpoint)
	// The secret is shown here and never again.
	shown, err := endpoint.clone()
	if err != nil {
		return nil, err
	}
	shown["secret"] = endpoint.str("_secret")
	return shown, nil
}

func (t *tx) fillWebhookEndpoint(endpoint object, in *params) error {
	if in.has("url") {
		endpoint["url"] = in.url("url")
		if target, err := url.Parse(in.str("url")); err == nil {
			if err := t.srv.config.Target(target); err != nil {
				in.refuse(invalid("url_invalid", "url", "Invalid URL: %s", err.Error()))
			}
		}
	}
	if in.has("description") {
		endpoint["description"] = orNull(in.str("description"))
	}
	if in.has("enabled_events") {
		events := []any{}
		for _, kind := range in.texts("enabled_events") {
			events = append(events, kind)
		}
		if len(events) == 0 {
			in.refuse(invalid("parameter_missing", "enabled_events", "You must specify at least one event to listen for."))
		}
		endpoint["enabled_events"] = events
	}
	if in.filled("disabled") {
		endpoint["status"] = "enabled"
		if in.flag("disabled", false) {
			endpoint["status"] = "disabled"
		}
	}
	endpoint["metadata"] = in.metadata(endpoint.sub("metadata"))
	return in.err()
}

func updateWebhookEndpoint(t *tx, in *params) (object, error) {
	endpoint, err := t.get("webhook_endpoint", in.path("id"))
	if err != nil {
		return nil, err
	}
	if err := t.fillWebhookEndpoint(endpoint, in); err != nil {
		return nil, err
	}
	t.save(endpoint)
	return endpoint, nil
}

func deleteWebhookEndpoint(t *tx, in *params) (object, error) {
	endpoint, err := t.get("webhook_endpoint", in.path("id"))
	if err != nil {
		return nil, err
	}
	t.remove(endpoint)
	return object{"id": endpoint.id(), "object": "webhook_endpoint", "deleted": true}, nil
}
