package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"purser/crash"
)

// await polls until the condition holds, for as long as a slow machine may
// need.
func await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(startMax); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s", what, startMax)
		}
	}
}

// Keys of a merchant account at the sandbox that belongs to a test.
const (
	testSecretKey      = "sk_test_0123456789abcdefghijklmn"
	testPublishableKey = "pk_test_0123456789abcdefghijklmn"
)

// sandboxFault makes a request of the test's account go wrong.
func (s *testServer) sandboxFault(fault string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.URL+pathSandbox+"/_sandbox/faults/requests", bytes.NewReader([]byte(fault)))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testSecretKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		s.t.Fatalf("the sandbox refuses the fault %s: %s", fault, response.Status)
	}
}

// TestStopFinishesWhatRuns stops the server while the gateway has been asked
// and has not answered.
func TestStopFinishesWhatRuns(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	var made struct {
		ProviderCreate struct{ Provider struct{ ID string } }
		Payer          struct{ ID string }
	}
	s.Query(`mutation($secret: String!, $public: String!) {
		providerCreate(input: {name: "Slow", credentials: {stripe: {secretKey: $secret, publishableKey: $public}}}) { provider { id } }
	}`, map[string]any{"secret": testSecretKey, "public": testPublishableKey}, &made)
	s.Query(`{ payer(by: {developerEmail: "ada@example.com"}) { id } }`, nil, &made)
	s.sandboxFault(`{"method":"POST","path":"/v1/setup_intents","action":"delay","delay_milliseconds":1500}`)

	answered := make(chan error, 1)
	var attached *graphQLAnswer
	go func() {
		var err error
		attached, err = s.Do(t.Context(), `mutation($payer: ID!, $provider: ID!) {
			paymentMethodAttach(input: {payerId: $payer, providerId: $provider, gatewayToken: "pm_card_visa", idempotencyKey: "slow"}) {
				paymentMethod { status } userErrors { code message }
			}
		}`, map[string]any{"payer": made.Payer.ID, "provider": made.ProviderCreate.Provider.ID})
		answered <- err
	}()
	await(t, "the gateway is asked", func() bool {
		_, text := s.get("/metrics")
		return strings.Contains(text, "\npurser_gateway_calls_open 1\n")
	})
	s.Stop()
	if err := <-answered; err != nil {
		t.Fatalf("the running mutation was not answered: %v", err)
	}
	if want := `{"paymentMethodAttach":{"paymentMethod":{"status":"ACTIVE"},"userErrors":[]}}`; string(attached.Data) != want {
		t.Errorf("the running mutation was answered %s %+v", attached.Data, attached.Errors)
	}
}

// TestStopEndsStreams holds that readers do not keep a server from stopping.
func TestStopEndsStreams(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+pathGraphQL, strings.NewReader(`{"query":"subscription { balanceChanged { id } }"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	r.Header.Set("Authorization", "Bearer "+s.Token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	began := time.Now()
	s.Stop()
	if took := time.Since(began); took >= stopTimeout {
		t.Errorf("the stop took %s", took)
	}
}

// TestTheDemoSurvivesKills kills the first start at moments that hurt; the
// next one finishes the demo, and nothing is there twice.
func TestTheDemoSurvivesKills(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{
		crash.BeginCommitted + ":1", crash.BeginCommitted + ":3", crash.BeginCommitted + ":4",
		crash.FinishStarted + ":1", crash.FinishStarted + ":2", crash.FinishStarted + ":4",
		crash.Committing + ":1", crash.Committing + ":9", crash.Committed + ":2", crash.Committed + ":14",
		crash.EventStored + ":1", crash.EventApplied + ":2",
	} {
		t.Run(moment, func(t *testing.T) {
			t.Parallel()
			killed := launchServer(t, serverOptions{Process: true, Crash: moment})
			if err := killed.Wait(); err == nil || killed.cmd.ProcessState.ExitCode() != crash.ExitCode {
				t.Fatalf("the server did not crash at %s: %v\n%s", moment, err, killed.Output())
			}
			// A minute later what the killed process held is anybody's.
			s := startServer(t, serverOptions{Process: true, Data: killed.Data, Ahead: time.Minute})
			var data struct {
				Developers, Companies, Products, Quotes, Invoices, Payments struct{ TotalCount int }
				Paid, Open, OpenQuotes                                      struct{ TotalCount int }
				Payer                                                       struct {
					Balances []struct {
						Remaining struct{ Amount, Currency string }
					}
				}
			}
			s.Query(`{ developers { totalCount } companies { totalCount } products { totalCount } payments { totalCount }
				quotes { totalCount } openQuotes: quotes(where: {status: OPEN}) { totalCount }
				invoices { totalCount } open: invoices(where: {status: OPEN}) { totalCount } paid: invoices(where: {status: PAID}) { totalCount }
				payer(by: {developerEmail: "ada@example.com"}) { balances { remaining { amount currency } } } }`, nil, &data)
			got := fmt.Sprintf("%d %d %d %d, quotes %d %d, invoices %d %d %d",
				data.Developers.TotalCount, data.Companies.TotalCount, data.Products.TotalCount, data.Payments.TotalCount,
				data.Quotes.TotalCount, data.OpenQuotes.TotalCount, data.Invoices.TotalCount, data.Open.TotalCount, data.Paid.TotalCount)
			if want := "2 1 4 1, quotes 3 1, invoices 3 1 1"; got != want {
				t.Errorf("after a crash at %s there are %s, want %s", moment, got, want)
			}
			for _, b := range data.Payer.Balances {
				if want := map[string]string{"USD": "301.50", "PTS": "880", "EUR": "14.99"}[b.Remaining.Currency]; b.Remaining.Amount != want {
					t.Errorf("after a crash at %s Ada has %+v", moment, b.Remaining)
				}
			}
			s.Stop()
			if stdout, _, err := program(t, []string{"PURSER_DATA=" + s.Data}, "verify"); err != nil {
				t.Errorf("after a crash at %s: %v\n%s", moment, err, stdout)
			}
		})
	}
}

// events counts the gateway's events that the server has taken.
func (s *testServer) events() int {
	s.t.Helper()
	var data struct {
		GatewayEvents struct{ TotalCount int }
	}
	s.Query(`{ gatewayEvents { totalCount } }`, nil, &data)
	return data.GatewayEvents.TotalCount
}

// sell makes something happen at the gateway, of which it sends events.
func (s *testServer) sell(key string) {
	s.t.Helper()
	var payer struct {
		Payer struct{ ID string }
	}
	s.Query(`{ payer(by: {developerEmail: "ada@example.com"}) { id } }`, nil, &payer)
	var quote struct {
		QuoteCreate struct{ Quote struct{ ID string } }
	}
	s.Query(`mutation($payer: ID!, $key: String!) { quoteCreate(input: {payerId: $payer, idempotencyKey: $key,
		lineItems: [{description: "Work", unitAmount: {amount: "10.00", currency: "USD"}, quantity: 1}]}) { quote { id } } }`,
		map[string]any{"payer": payer.Payer.ID, "key": key}, &quote)
	var finalized struct {
		QuoteFinalize struct {
			UserErrors []struct{ Message string }
		}
	}
	s.Query(`mutation($id: ID!) { quoteFinalize(input: {id: $id}) { userErrors { message } } }`, map[string]any{"id": quote.QuoteCreate.Quote.ID}, &finalized)
	if len(finalized.QuoteFinalize.UserErrors) > 0 {
		s.t.Fatalf("the quote is not finalized: %+v", finalized.QuoteFinalize.UserErrors)
	}
}

// TestEventsFollowTheServer holds that the sandbox finds a server that has
// moved to another port.
func TestEventsFollowTheServer(t *testing.T) {
	t.Parallel()
	first := startServer(t, serverOptions{})
	first.Stop()
	// Held, so that the system does not give the second one the same port.
	holding, err := net.Listen("tcp", strings.TrimPrefix(first.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer holding.Close()
	second := startServer(t, serverOptions{Data: first.Data})
	if second.URL == first.URL {
		t.Fatalf("both listen at %s: the second has not moved", first.URL)
	}
	before := second.events()
	second.sell("moved")
	await(t, "an event arrives at the new address", func() bool { return second.events() > before })
	if strings.Contains(second.Output(), "was lost") {
		t.Errorf("the restart misses the sandbox's file:\n%s", second.Output())
	}
}

// TestALostSandboxIsTold removes the sandbox's file while the database
// remains.
func TestALostSandboxIsTold(t *testing.T) {
	t.Parallel()
	s := startServer(t, serverOptions{})
	s.Stop()
	files, err := filepath.Glob(filepath.Join(s.Data, sandboxFile+"*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	again := startServer(t, serverOptions{Data: s.Data})
	if !strings.Contains(again.Output(), "sandbox.db was lost while the database remained") {
		t.Errorf("a lost sandbox is not told:\n%s", again.Output())
	}
	// Who is new to the gateway can be sold to, and events arrive again.
	var made struct {
		DeveloperCreate struct{ Developer struct{ ID string } }
		QuoteCreate     struct{ Quote struct{ ID string } }
		QuoteFinalize   struct {
			Quote struct{ Status string }
		}
	}
	again.Query(`mutation { developerCreate(input: {email: "grace@example.com", name: "Grace"}) { developer { id } } }`, nil, &made)
	again.Query(`mutation($payer: ID!) { quoteCreate(input: {payerId: $payer, idempotencyKey: "new",
		lineItems: [{description: "Work", unitAmount: {amount: "10.00", currency: "USD"}, quantity: 1}]}) { quote { id } } }`,
		map[string]any{"payer": made.DeveloperCreate.Developer.ID}, &made)
	before := again.events()
	again.Query(`mutation($id: ID!) { quoteFinalize(input: {id: $id}) { quote { status } } }`, map[string]any{"id": made.QuoteCreate.Quote.ID}, &made)
	if made.QuoteFinalize.Quote.Status != "OPEN" {
		t.Errorf("a quote of a new payer is %s", made.QuoteFinalize.Quote.Status)
	}
	await(t, "an event arrives", func() bool { return again.events() > before })
}
