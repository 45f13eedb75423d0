package worldpaysandbox_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	worldpaysandbox "purser/sandbox/worldpay"
)

// TestOwnMerchants: who comes first has a merchant, nobody else has its login,
// and none is there before.
func TestOwnMerchants(t *testing.T) {
	t.Parallel()
	server, err := worldpaysandbox.Open(t.Context(), worldpaysandbox.Config{Merchants: []worldpaysandbox.Merchant{}, OwnMerchants: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	ask := func(code, password, document string) string {
		r := httptest.NewRequest(http.MethodPost, worldpaysandbox.ServicePath, strings.NewReader(strings.ReplaceAll(document, "PURSERTEST", code)))
		r.SetBasicAuth(code, password)
		w := httptest.NewRecorder()
		server.Handler().ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			return w.Body.String()
		}
		return http.StatusText(w.Code)
	}
	order, inquiry := sample(t, "1_order_hpp.xml"), sample(t, "6_inquiry.xml")
	for _, code := range []string{"MINE", "THEIRS"} {
		if said := ask(code, "password of "+code, order); !strings.Contains(said, "<reference id=") {
			t.Errorf("the order of %s: %s", code, said)
		}
	}
	if said := ask("MINE", "another", inquiry); said != "Unauthorized" {
		t.Errorf("with another password: %s", said)
	}
	for _, c := range [][2]string{{"mine", "password"}, {"NOBODY", ""}} {
		if said := ask(c[0], c[1], inquiry); said != "Unauthorized" {
			t.Errorf("%v: %s", c, said)
		}
	}
	if state, err := server.Inspect(t.Context(), "MINE"); err != nil || len(state.Orders) != 1 {
		t.Errorf("the orders of the first: %+v, %v", state, err)
	}
}
