package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"purser/gateway"
	"purser/metrics"
	"purser/testdb"
)

// read returns what somebody who reads the numbers gets.
func read(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("the numbers answer %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	m := metrics.New()
	var failure error
	m.Observe(metrics.Config{
		Due: func() int64 { return 3 }, Version: "v1.2.3", Read: db.Read, Write: db.Write,
		UsageWaiting: func() int { return 5 },
		OpenCalls:    func(context.Context) (int, error) { return 7, failure },
		ReviewCalls:  func(context.Context) (int, error) { return 2, nil },

		MismatchedEvents: func(context.Context) (int, error) { return 5, nil },
	})
	m.Operation(ast.Mutation, "PayInvoice", "", 20*time.Millisecond)
	m.Operation(ast.Mutation, "PayInvoice", "FORBIDDEN", time.Millisecond)
	m.Operation("", "", "UNAUTHENTICATED", 0)
	m.Stream(1)
	m.Stream(1)
	m.Stream(-1)
	m.GatewayOperation("invoice_pay", gateway.StatusUnknown, time.Second)

	tx, err := db.Write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, m)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`purser_graphql_operations_total{code="",kind="mutation",name="PayInvoice"} 1`,
		`purser_graphql_operations_total{code="FORBIDDEN",kind="mutation",name="PayInvoice"} 1`,
		`purser_graphql_operations_total{code="UNAUTHENTICATED",kind="",name=""} 1`,
		`purser_graphql_operation_seconds_count{kind="mutation"} 2`,
		`purser_graphql_streams 1`,
		`purser_gateway_operations_total{operation="invoice_pay",outcome="UNKNOWN"} 1`,
		`purser_gateway_operation_seconds_count{operation="invoice_pay"} 1`,
		`purser_gateway_calls_open 7`,
		`purser_gateway_calls_review 2`,
		`purser_gateway_events_mismatched 5`,
		`purser_due_work 3`,
		`purser_ledger_queue_length 5`,
		`purser_ledger_queue_running 1`,
		`purser_ledger_queue_waited_total 0`,
		`purser_info{version="v1.2.3"} 1`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("there is no %s in\n%s", line, text)
		}
	}

	failure = errors.New("no database")
	if text := read(t, m); strings.Contains(text, "purser_gateway_calls_open ") || !strings.Contains(text, "purser_due_work 3") {
		t.Errorf("a number that cannot be counted is shown, or others are not:\n%s", text)
	}
}

// Callers choose the names of operations: they must not fill the memory.
func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	m := metrics.New()
	for i := range 1000 {
		m.Operation(ast.Query, fmt.Sprintf("Q%d", i), "", time.Millisecond)
	}
	m.Operation(ast.Query, strings.Repeat("x", 5000), "", time.Millisecond)
	text := read(t, m)
	if n := strings.Count(text, "purser_graphql_operations_total{"); n > 201 {
		t.Errorf("%d names are told apart", n)
	}
	if !strings.Contains(text, `name="(other)"} 801`) {
		t.Error("what is not told apart is not counted")
	}
}
