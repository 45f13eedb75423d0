package main

import (
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	worldpaysandbox "purser/sandbox/worldpay"
)

const worldpayOrder = `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE paymentService PUBLIC "-//WorldPay//DTD WorldPay PaymentService v1//EN" "http://dtd.worldpay.com/paymentService_v1.dtd">
<paymentService version="1.4" merchantCode="PURSERTEST"><submit><order orderCode="FIRST" installationId="1234567"><description>Top-up</description>
<amount value="1000" currencyCode="USD" exponent="2"/><paymentMethodMask><include code="ALL"/></paymentMethodMask></order></submit></paymentService>`

// askWorldpay sends an order to the demo merchant's service at an address, and
// returns the hosted page's.
func askWorldpay(t *testing.T, address string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+worldpaysandbox.ServicePath, strings.NewReader(worldpayOrder))
	must(t, err)
	m := worldpaysandbox.DemoMerchant()
	r.SetBasicAuth(m.Username, m.Password)
	response, err := http.DefaultClient.Do(r)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	found := regexp.MustCompile(`<reference id="\d+">(\S+)</reference>`).FindSubmatch(body)
	if found == nil {
		t.Fatalf("the service answers %d %s", response.StatusCode, body)
	}
	return strings.ReplaceAll(string(found[1]), "&amp;", "&")
}

func worldpayStatus(t *testing.T, s *testServer, method, path string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+pathWorldpay+path, http.NoBody)
	must(t, err)
	m := worldpaysandbox.DemoMerchant()
	r.SetBasicAuth(m.Username, m.Password)
	response, err := http.DefaultTransport.RoundTrip(r)
	must(t, err)
	must(t, response.Body.Close())
	return response.StatusCode
}

// TestServerHasAWorldpaySandbox orders, finds the page, and finds the order
// again after a restart.
func TestServerHasAWorldpaySandbox(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	page := askWorldpay(t, s.URL+pathWorldpay)
	path, ours := strings.CutPrefix(page, s.URL)
	if !ours || !strings.HasPrefix(path, pathWorldpay+"/pages/hpp?") {
		t.Fatalf("the page is at %s", page)
	}
	if status, body := s.get(path); status != http.StatusOK || !strings.Contains(body, "10.00 USD") {
		t.Errorf("the page answers %d %s", status, body)
	}
	s.Stop()
	again := startServer(t, serverOptions{Data: s.Data})
	if status, body := again.get(path); status != http.StatusOK || !strings.Contains(body, "10.00 USD") {
		t.Errorf("after a restart the page answers %d %s", status, body)
	}
}
