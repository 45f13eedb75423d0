package stripesandbox_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"purser/sandbox"
)

// products makes n products, each of which is one event.
func (b *bundle) products(n int) []string {
	b.t.Helper()
	var names []string
	for i := range n {
		name := fmt.Sprintf("p%d", i)
		must(b.Products.New(&stripe.ProductParams{Name: stripe.String(name)}))(b.t)
		names = append(names, name)
	}
	return names
}

func names(list []received) []string {
	var out []string
	for _, r := range list {
		out = append(out, r.event.GetObjectValue("name"))
	}
	return out
}

func TestDeliveryFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fault string
		made        int
		want        string // names in the order of arrival
	}{
		{"none", ``, 3, "p0 p1 p2"},
		{"drop one", `{"action":"drop"}`, 3, "p1 p2"},
		{"drop the second", `{"action":"drop","skip":1}`, 3, "p0 p2"},
		{"duplicate", `{"action":"duplicate","count":2}`, 3, "p0 p0 p1 p1 p2"},
		{"reorder", `{"action":"reorder","count":3,"kind":"product."}`, 3, "p2 p1 p0"},
		{"reorder that stays short of its group", `{"action":"reorder","count":5,"delay_milliseconds":1500}`, 2, "p1 p0"},
		{"another kind", `{"action":"drop","kind":"invoice."}`, 2, "p0 p1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			hook := b.listen("product.created")
			if c.fault != "" {
				equal(t, "status of the switch", b.control("POST", "faults/deliveries", c.fault, nil), 200)
			}
			b.products(c.made)
			want := strings.Fields(c.want)
			got := names(hook.wait(t, len(want)))
			if !slices.Equal(got, want) {
				t.Errorf("arrived %v, want %v", got, want)
			}
			var list struct{ Deliveries []sandbox.Delivery }
			b.control("GET", "deliveries", "", &list)
			dropped := 0
			for _, d := range list.Deliveries {
				if d.State == "DROPPED" {
					dropped++
				}
			}
			equal(t, "deliveries recorded", len(list.Deliveries), len(want)+dropped)
		})
	}
}

func TestDelayedDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("product.created")
	b.control("POST", "faults/deliveries", `{"action":"delay","delay_milliseconds":250}`, nil)
	b.products(2)
	if got := names(hook.wait(t, 2)); !slices.Equal(got, []string{"p1", "p0"}) {
		t.Errorf("arrived %v, want the delayed one last", got)
	}
}

func TestRemovingAReorderReleasesWhatItHolds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("product.created")
	b.control("POST", "faults/deliveries", `{"action":"reorder","count":10,"delay_milliseconds":600000}`, nil)
	b.products(2)
	b.control("DELETE", "faults", "", nil)
	if got := names(hook.wait(t, 2)); !slices.Equal(got, []string{"p1", "p0"}) {
		t.Errorf("arrived %v", got)
	}
}

func TestDeliveryIsRetriedAndSignedAnew(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("product.created")
	hook.mu.Lock()
	hook.refuse = 3
	hook.mu.Unlock()
	b.products(1)
	got := hook.wait(t, 1)
	equal(t, "event type", string(got[0].event.Type), "product.created")
	equal(t, "version", got[0].event.APIVersion, stripe.APIVersion)
	equal(t, "live", got[0].event.Livemode, false)
	if got[0].event.Request == nil || !strings.HasPrefix(got[0].event.Request.ID, "req_") || got[0].event.Request.IdempotencyKey == "" {
		t.Errorf("the event's request is %+v", got[0].event.Request)
	}
	// The receiver has its event before the sandbox has recorded that.
	eventually(t, "the delivery is recorded", func() bool {
		list := must(b.server.Deliveries(t.Context(), testKey, 10))(t)
		return list[0].State == "DELIVERED" && list[0].Attempts == 4
	})
	event := must(b.Events.Get(got[0].event.ID, nil))(t)
	equal(t, "endpoints still to be told", event.PendingWebhooks, 0)
}

func TestDeliveryGoesOnAfterARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("product.created")
	hook.mu.Lock()
	hook.refuse = 1_000_000
	hook.mu.Unlock()
	b.products(1)
	b.stop()
	hook.mu.Lock()
	hook.refuse = 0
	hook.mu.Unlock()
	b.start()
	hook.distinct(t, 1)
}

func TestEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.listen("product.created")
	second := b.listen("product.updated", "*")
	b.products(1)
	first.wait(t, 1)
	second.wait(t, 1)
	var endpoints []*stripe.WebhookEndpoint
	for it := b.WebhookEndpoints.List(&stripe.WebhookEndpointListParams{}); it.Next(); {
		endpoints = append(endpoints, it.WebhookEndpoint())
		equal(t, "secret in a list", it.WebhookEndpoint().Secret, "")
	}
	equal(t, "endpoints", len(endpoints), 2)
	must(b.WebhookEndpoints.Update(endpoints[0].ID, &stripe.WebhookEndpointParams{Disabled: stripe.Bool(true)}))(t)
	equal(t, "status", must(b.WebhookEndpoints.Get(endpoints[0].ID, nil))(t).Status, "disabled")
	b.products(1)
	first.wait(t, 2)
	equal(t, "deleted", must(b.WebhookEndpoints.Del(endpoints[1].ID, nil))(t).Deleted, true)
	b.products(1)
	if n := len(must(b.server.Deliveries(t.Context(), testKey, 100))(t)); n != 3 {
		t.Errorf("there are %d deliveries, want 3: nobody listens any more", n)
	}
	for _, kind := range []string{"product.*", "invoice.payed"} {
		_, err := b.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: stripe.String("https://example.com"), EnabledEvents: []*string{stripe.String(kind)}})
		refused(t, err, 400)
	}
	_, err := b.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: stripe.String("ftp://example.com"), EnabledEvents: []*string{stripe.String("*")}})
	refused(t, err, 400)
	_, err = b.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: stripe.String("https://example.com"), APIVersion: stripe.String("2099-01-01"), EnabledEvents: []*string{stripe.String("*")}})
	refused(t, err, 400)
}

func TestRolledSecretSignsTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("product.created")
	former := hook.secret
	it := b.WebhookEndpoints.List(&stripe.WebhookEndpointListParams{})
	it.Next()
	var rolled struct{ Secret string }
	equal(t, "status", b.control("POST", "webhook_endpoints/"+it.WebhookEndpoint().ID+"/roll", `{"overlap_seconds":3600}`, &rolled), 200)
	b.products(1)
	got := hook.wait(t, 1)[0] // verified with the former secret on arrival
	equal(t, "signatures", strings.Count(got.header, ",v1="), 2)
	if _, err := webhook.ConstructEvent(got.raw, got.header, rolled.Secret); err != nil {
		t.Errorf("the new secret does not verify: %v", err)
	}
	if _, err := webhook.ConstructEvent(bytes.Replace(got.raw, []byte("p0"), []byte("p1"), 1), got.header, former); err == nil {
		t.Error("a changed body verifies")
	}
	secret := must(b.server.RollWebhookSecret(t.Context(), testKey, it.WebhookEndpoint().ID, 0))(t)
	hook.mu.Lock()
	hook.secret = secret
	hook.mu.Unlock()
	b.products(1)
	equal(t, "signatures without overlap", strings.Count(hook.wait(t, 2)[1].header, ",v1="), 1)
}

func TestEventIsSentAgainOnRequest(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("product.created")
	b.products(1)
	first := hook.wait(t, 1)[0]
	equal(t, "status", b.control("POST", "events/"+first.event.ID+"/resend", "", nil), 200)
	equal(t, "event", hook.wait(t, 2)[1].event.ID, first.event.ID)
	if err := b.server.ResendEvent(t.Context(), testKey, first.event.ID); err != nil {
		t.Fatal(err)
	}
	hook.wait(t, 3)
	equal(t, "status of an unknown event", b.control("POST", "events/evt_nobody/resend", "", nil), http.StatusNotFound)

	list := &stripe.EventListParams{Type: stripe.String("product.*")}
	equal(t, "events listed", len(b.Events.List(list).EventList().Data), 1)
	list.Type = stripe.String("product.deleted")
	equal(t, "events of another kind", len(b.Events.List(list).EventList().Data), 0)
}

func TestUpdatedEventsCarryFormerValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	hook := b.listen("customer.updated")
	c := b.customer("")
	must(b.Customers.Update(c.ID, &stripe.CustomerParams{Name: stripe.String("Grace")}))(t)
	e := hook.wait(t, 1)[0].event
	equal(t, "former name", fmt.Sprint(e.Data.PreviousAttributes), "map[name:Ada]")
	equal(t, "name", e.GetObjectValue("name"), "Grace")
}

func TestRefusedOperationLeavesNoEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.listen("*")
	// The product of price_data is made before the second line is refused.
	_, err := b.Quotes.New(&stripe.QuoteParams{LineItems: []*stripe.QuoteLineItemParams{
		{PriceData: &stripe.QuoteLineItemPriceDataParams{Currency: stripe.String("eur"), Product: stripe.String(must(b.Products.New(&stripe.ProductParams{Name: stripe.String("x")}))(t).ID), UnitAmount: stripe.Int64(5)}},
		{Price: stripe.String("price_nobody")},
	}})
	refused(t, err, 400)
	equal(t, "prices", len(b.Prices.List(&stripe.PriceListParams{}).PriceList().Data), 0)
	events := b.Events.List(&stripe.EventListParams{}).EventList().Data
	equal(t, "events", len(events), 1)
	equal(t, "deliveries", len(must(b.server.Deliveries(t.Context(), testKey, 100))(t)), 1)
}
