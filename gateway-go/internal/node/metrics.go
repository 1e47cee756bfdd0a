package node

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those of all nodes of a gateway, each with the label "node".
type Metrics struct {
	connects   *prometheus.CounterVec
	failures   *prometheus.CounterVec
	batchSize  *prometheus.HistogramVec
	queue      *prometheus.GaugeVec
	rejected   *prometheus.CounterVec
	abandoned  *prometheus.CounterVec
	operations *prometheus.CounterVec
}

// NewMetrics registers them.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "bimetal_gateway", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "bimetal_gateway", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		connects: counter("node_connects_total", "Sessions that were begun.", "node"),
		failures: counter("node_failures_total", "Sessions that ended and attempts that failed.", "node"),
		batchSize: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "bimetal_gateway", Name: "pipeline_batch_operations", Help: "Operations in one message to a node.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000},
		}, []string{"node", "lane"}),
		queue:      gauge("pipeline_queue_operations", "Operations that wait to be written to a node.", "node", "lane"),
		rejected:   counter("pipeline_rejected_total", "Operations refused because the queue was full.", "node", "lane"),
		abandoned:  counter("pipeline_abandoned_total", "Operations whose caller gave up before the answer.", "node", "lane"),
		operations: counter("pipeline_operations_total", "Operations written to a node.", "node", "lane"),
	}
	registry.MustRegister(m.connects, m.failures, m.batchSize, m.queue, m.rejected, m.abandoned, m.operations)
	return m
}

// laneMetrics are the metrics of one lane, looked up once.
type laneMetrics struct {
	batchSize  prometheus.Observer
	queue      prometheus.Gauge
	rejected   prometheus.Counter
	abandoned  prometheus.Counter
	operations prometheus.Counter
}

func (m *Metrics) lane(node, lane string) laneMetrics {
	return laneMetrics{
		batchSize:  m.batchSize.WithLabelValues(node, lane),
		queue:      m.queue.WithLabelValues(node, lane),
		rejected:   m.rejected.WithLabelValues(node, lane),
		abandoned:  m.abandoned.WithLabelValues(node, lane),
		operations: m.operations.WithLabelValues(node, lane),
	}
}

// forget drops the series of a node that left the topology.
func (m *Metrics) forget(node string) {
	label := prometheus.Labels{"node": node}
	for _, vec := range []interface {
		DeletePartialMatch(prometheus.Labels) int
	}{m.connects, m.failures, m.batchSize, m.queue, m.rejected, m.abandoned, m.operations} {
		vec.DeletePartialMatch(label)
	}
}
