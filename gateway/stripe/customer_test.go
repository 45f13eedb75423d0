package stripe

import (
	"slices"
	"strings"
	"testing"

	"purser/gateway"
)

// TestOneCustomer: whatever Stripe says to the request for a payer's customer,
// there is one, and everybody gets it.
func TestOneCustomer(t *testing.T) {
	t.Parallel()
	const (
		create = "POST /v1/customers"
		key    = "purser:org_1:prv_1:customer:dev_1"
	)
	made := answer{body: `{"id":"cus_1","object":"customer"}`}
	old, gone := made, answer{body: `{"id":"cus_1","object":"customer","deleted":true}`}
	old.replayed = true
	second := answer{body: `{"id":"cus_2","object":"customer"}`}
	inUse := answer{status: 409, body: stripeError("idempotency_error", "idempotency_key_in_use", "In use.", "")}
	renamed := answer{status: 400, body: stripeError("idempotency_error", "", "Other parameters.", "")}
	broken := answer{status: 500, replayed: true, body: stripeError("api_error", "", "Oops.", "")}
	found := list(`{"id":"cus_9","created":1,"metadata":{"purser_payer":"dev_2","purser_provider":"prv_1"}}`,
		`{"id":"cus_1","metadata":{"purser_payer":"dev_1","purser_provider":"prv_1"}}`)
	found.body = strings.Replace(found.body, `"created":1,`, "", 1)
	for _, tt := range []struct {
		name string
		set  func(*fake)
		want string
		keys []string // of the requests to create it; a * stands for any end
	}{
		{"made", func(f *fake) { f.on(create, made) }, "cus_1", []string{key}},
		{"made before", func(f *fake) { f.on(create, old).on("GET /v1/customers/cus_1", made) }, "cus_1", []string{key}},
		{"made before and deleted", func(f *fake) {
			f.on(create, old, second).on("GET /v1/customers/cus_1", gone)
		}, "cus_2", []string{key, key + ":cus_1"}},
		{"being made", func(f *fake) {
			f.on(create, inUse, old).on("GET /v1/customers/cus_1", made)
		}, "cus_1", []string{key, key}},
		{"made under another name", func(f *fake) {
			f.on(create, renamed).on("GET /v1/customers", found).on("GET /v1/customers/cus_1", made)
		}, "cus_1", []string{key}},
		{"not made under another name", func(f *fake) {
			f.on(create, renamed, second).on("GET /v1/customers", list())
		}, "cus_2", []string{key, key + ":*"}},
		{"a stored error, made", func(f *fake) {
			f.on(create, broken).on("GET /v1/customers", found).on("GET /v1/customers/cus_1", made)
		}, "cus_1", []string{key}},
		{"a stored error, not made", func(f *fake) {
			f.on(create, broken, second).on("GET /v1/customers", list())
		}, "cus_2", []string{key, key + ":*"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			tt.set(f)
			a, _ := f.adapter()
			o := a.begin(t.Context(), testAccount(), testCall(), "test")
			id, p := o.ensureCustomer(gateway.Customer{PayerID: "dev_1", Name: "Ada"})
			if p != nil || id != tt.want {
				t.Fatalf("customer %q, %+v, want %s", id, p, tt.want)
			}
			if o.replayed {
				t.Error("what follows is taken for old")
			}
			var keys []string
			for _, r := range f.seen {
				if r.method+" "+r.path == create {
					keys = append(keys, r.key)
				}
			}
			if !slices.EqualFunc(keys, tt.keys, func(got, want string) bool {
				start, any := strings.CutSuffix(want, "*")
				return got == want || any && strings.HasPrefix(got, start)
			}) {
				t.Errorf("keys = %q, want %q", keys, tt.keys)
			}
		})
	}
}
