// Package metrics counts what the program does and shows it in the text form
// that Prometheus reads. It decides nothing, and what it keeps is bounded
// whatever callers send.
package metrics

import (
	"context"
	"database/sql"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/vektah/gqlparser/v2/ast"

	"purser/gateway"
)

const namespace = "purser"

// Bounds of what callers choose, and of the time that counting may take.
const (
	// namesMax is how many names of operations are told apart; all later ones
	// are counted as nameOther.
	namesMax  = 200
	nameOther = "(other)"
	// nameLengthMax is how much of a name is kept.
	nameLengthMax = 64
	countTimeout  = 2 * time.Second
)

// Config is where the numbers come from that are asked for when somebody
// reads them. All fields are required.
type Config struct {
	// Due is how much due work was found last.
	Due func() int64
	// OpenCalls counts the gateway calls whose outcome is not known yet.
	OpenCalls func(ctx context.Context) (int, error)
	// ReviewCalls counts the gateway calls that a person has to look at.
	ReviewCalls func(ctx context.Context) (int, error)
	// MismatchedEvents counts the gateway events that contradict what is known
	// here.
	MismatchedEvents func(ctx context.Context) (int, error)
	// UsageWaiting is how many events of usage have no answer yet.
	UsageWaiting func() int
	// Read and Write are the pools of the database.
	Read, Write *sql.DB
	// Version is the program's version.
	Version string
}

// Metrics counts. All methods may be used by many goroutines.
type Metrics struct {
	registry *prometheus.Registry

	operations        *prometheus.CounterVec
	operationSeconds  *prometheus.HistogramVec
	streams           prometheus.Gauge
	gatewayOperations *prometheus.CounterVec
	gatewaySeconds    *prometheus.HistogramVec

	mu    sync.Mutex
	names map[string]bool
}

// New returns metrics that have counted nothing. They show nothing of a
// source before Observe names it.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		names:    map[string]bool{},
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "graphql_operations_total",
			Help: "GraphQL operations by kind, name and the code of their first error, empty for success.",
		}, []string{"kind", "name", "code"}),
		operationSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "graphql_operation_seconds",
			Help:    "Duration of queries and mutations.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25},
		}, []string{"kind"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "graphql_streams",
			Help: "WebSockets and event streams that are open.",
		}),
		gatewayOperations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "gateway_operations_total",
			Help: "Operations at payment gateways by kind of operation and outcome.",
		}, []string{"operation", "outcome"}),
		gatewaySeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "gateway_operation_seconds",
			Help:    "Duration of operations at payment gateways.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"operation"}),
	}
	m.registry.MustRegister(m.operations, m.operationSeconds, m.streams, m.gatewayOperations, m.gatewaySeconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Observe adds the numbers that are asked for when somebody reads them. It is
// called once.
func (m *Metrics) Observe(c Config) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "info", Help: "The program's version.",
		ConstLabels: prometheus.Labels{"version": c.Version},
	})
	info.Set(1)
	m.registry.MustRegister(
		info,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "due_work",
			Help: "Pieces of due work that the last look found.",
		}, func() float64 { return float64(c.Due()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "ledger_queue_length",
			Help: "Events of usage that wait for the COMMIT of their batch.",
		}, func() float64 { return float64(c.UsageWaiting()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "ledger_queue_running",
			Help: "Transactions that hold a connection for writing.",
		}, func() float64 { return float64(c.Write.Stats().InUse) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "ledger_queue_waited_total",
			Help: "Transactions that had to wait for a connection for writing.",
		}, func() float64 { return float64(c.Write.Stats().WaitCount) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: "ledger_queue_wait_seconds_total",
			Help: "Time that transactions have waited for a connection for writing.",
		}, func() float64 { return c.Write.Stats().WaitDuration.Seconds() }),
		collectors.NewDBStatsCollector(c.Read, "read"),
		&counted{
			desc: prometheus.NewDesc(namespace+"_gateway_calls_open",
				"Gateway calls whose outcome is not known yet.", nil, nil),
			count: c.OpenCalls,
		},
		&counted{
			desc: prometheus.NewDesc(namespace+"_gateway_calls_review",
				"Gateway calls that nobody asks for any more: a person has to look at each.", nil, nil),
			count: c.ReviewCalls,
		},
		&counted{
			desc: prometheus.NewDesc(namespace+"_gateway_events_mismatched",
				"Gateway events that contradict what is known here: a person has to look at each.", nil, nil),
			count: c.MismatchedEvents,
		},
	)
}

// Handler serves the numbers.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Operation counts a GraphQL operation. Kind and name are empty where a
// request was refused before they were known.
func (m *Metrics) Operation(kind ast.Operation, name, code string, d time.Duration) {
	m.operations.WithLabelValues(string(kind), m.bounded(name), code).Inc()
	if kind == ast.Query || kind == ast.Mutation {
		m.operationSeconds.WithLabelValues(string(kind)).Observe(d.Seconds())
	}
}

// Stream counts an open stream more or less.
func (m *Metrics) Stream(delta int) { m.streams.Add(float64(delta)) }

// GatewayOperation counts an operation at a gateway.
func (m *Metrics) GatewayOperation(operation string, status gateway.Status, d time.Duration) {
	m.gatewayOperations.WithLabelValues(operation, string(status)).Inc()
	m.gatewaySeconds.WithLabelValues(operation).Observe(d.Seconds())
}

// bounded returns the name under which an operation is counted. GraphQL names
// are ASCII, so that they may be cut anywhere.
func (m *Metrics) bounded(name string) string {
	name = name[:min(len(name), nameLengthMax)]
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.names[name]:
		return name
	case len(m.names) >= namesMax:
		return nameOther
	}
	m.names[name] = true
	return name
}

// counted is a number that is counted in the database when somebody reads it.
// Where that fails there is no number, which says more than a wrong one.
type counted struct {
	desc  *prometheus.Desc
	count func(ctx context.Context) (int, error)
}

func (c *counted) Describe(to chan<- *prometheus.Desc) { to <- c.desc }

func (c *counted) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	if n, err := c.count(ctx); err == nil {
		to <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(n))
	}
}
