package cluster

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	moves   *prometheus.CounterVec
	repeats *prometheus.CounterVec
	crowded prometheus.Counter
}

// upCollector says of each node of the present topology whether there is a session with it.
type upCollector struct {
	cluster *Cluster
	desc    *prometheus.Desc
}

func newMetrics(registry prometheus.Registerer, c *Cluster) *metrics {
	const namespace = "bimetal_gateway"
	m := &metrics{
		moves: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "node_moves_total", Help: "New addresses of a node.",
		}, []string{"node"}),
		repeats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "repeats_total", Help: "Operations that were sent once more, by what became of them before.",
		}, []string{"cause"}),
		crowded: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "repeats_refused_total", Help: "Operations that failed because too many waited to be repeated.",
		}),
	}
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "repeats_waiting", Help: "Operations that wait to be repeated.",
	}, func() float64 { return float64(len(c.waiting)) })
	up := prometheus.NewDesc(namespace+"_node_up", "1 while the node has a session, else 0.", []string{"node"}, nil)
	registry.MustRegister(m.moves, m.repeats, m.crowded, waiting, upCollector{c, up})
	return m
}

func (m *metrics) forget(node string) { m.moves.DeleteLabelValues(node) }

// Describe implements prometheus.Collector.
func (u upCollector) Describe(to chan<- *prometheus.Desc) { to <- u.desc }

// Collect implements prometheus.Collector.
func (u upCollector) Collect(to chan<- prometheus.Metric) {
	nodes, _ := u.cluster.Nodes()
	for _, n := range nodes {
		up := 0.0
		if n.Up() {
			up = 1
		}
		to <- prometheus.MustNewConstMetric(u.desc, prometheus.GaugeValue, up, n.Name())
	}
}
