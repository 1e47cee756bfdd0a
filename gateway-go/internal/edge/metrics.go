package edge

import "github.com/prometheus/client_golang/prometheus"

// collector reads the counts of the routes that there are; targets, whose addresses change with every instance, are
// for ListRoutes alone.
type collector struct {
	table *table
	limit int
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("bimetal_edge_"+name, help, labels, nil)
}

var (
	openConnections = describe("connections", "Connections that stand.", "route")
	connectionLimit = describe("connections_limit", "How many connections may stand at once.")
	connections     = describe("connections_total", "Connections that were accepted.", "route")
	passed          = describe("connections_passed_total", "Connections that a target has taken over: they no longer stand here.", "route")
	refused         = describe("connections_refused_total",
		"Connections that were reset: too many stood already, or no target could be reached.", "route", "cause")
	connectFailures = describe("connect_failures_total", "Attempts to connect to a target that failed.", "route")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{openConnections, connectionLimit, connections, passed, refused, connectFailures} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	send(connectionLimit, prometheus.GaugeValue, float64(c.limit))
	for _, d := range c.table.list() {
		r := d.route.Load()
		send(openConnections, prometheus.GaugeValue, float64(r.open.Load()), r.name)
		send(connections, prometheus.CounterValue, float64(r.accepted.Load()), r.name)
		send(passed, prometheus.CounterValue, float64(r.passed.Load()), r.name)
		send(refused, prometheus.CounterValue, float64(r.limited.Load()), r.name, "limit")
		send(refused, prometheus.CounterValue, float64(r.lost.Load()), r.name, "unreachable")
		send(connectFailures, prometheus.CounterValue, float64(r.failed.Load()), r.name)
	}
}
