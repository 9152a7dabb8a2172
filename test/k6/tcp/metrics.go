package tcp

import (
	"time"

	"go.k6.io/k6/v2/metrics"
)

type metricSet struct {
	sockets, reads, writes, errors, timeouts, partialWrites *metrics.Metric
	connecting, resolving, duration                         *metrics.Metric
}

func register(registry *metrics.Registry) *metricSet {
	counter := func(name string) *metrics.Metric { return registry.MustNewMetric(name, metrics.Counter) }
	trend := func(name string) *metrics.Metric { return registry.MustNewMetric(name, metrics.Trend, metrics.Time) }
	return &metricSet{
		sockets: counter("tcp_sockets"), reads: counter("tcp_reads"), writes: counter("tcp_writes"),
		errors: counter("tcp_errors"), timeouts: counter("tcp_timeouts"), partialWrites: counter("tcp_partial_writes"),
		connecting: trend("tcp_socket_connecting"), resolving: trend("tcp_socket_resolving"),
		duration: trend("tcp_socket_duration"),
	}
}

// count adds 1, with the socket's tags and those of one call over them.
func (s *socket) count(metric *metrics.Metric, tags map[string]string) {
	s.sample(metric, 1, tags)
}

// took adds a time as whole milliseconds, as the module does: 0 for most of what happens on loopback.
func (s *socket) took(metric *metrics.Metric, since time.Time) {
	s.sample(metric, float64(time.Since(since).Milliseconds()), nil)
}

func (s *socket) sample(metric *metrics.Metric, value float64, tags map[string]string) {
	state := s.vu.State()
	set := state.Tags.GetCurrentValues().Tags.With("proto", "TCP").WithTagsFromMap(s.tags).WithTagsFromMap(tags)
	metrics.PushIfNotDone(s.vu.Context(), state.Samples, metrics.Sample{
		TimeSeries: metrics.TimeSeries{Metric: metric, Tags: set},
		Time:       time.Now(),
		Value:      value,
	})
}
