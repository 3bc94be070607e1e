package probe

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"snatlab/harness/result"
)

// SlowestLatency is the largest latency that is recorded, in µs. Longer ones are
// recorded as this one.
const SlowestLatency = 10_000_000

// NewLatencyHistogram returns an empty histogram of latencies in µs, with three digits.
func NewLatencyHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, SlowestLatency, 3) }

// MergeLatencies returns the latencies of several clients as one distribution.
func MergeLatencies(outcomes ...*Outcome) result.Latency {
	all := NewLatencyHistogram()
	for _, o := range outcomes {
		for _, v := range o.Latency {
			_ = all.RecordValues(min(v[0], SlowestLatency), v[1]) // within its range
		}
	}
	return result.Latency{
		P50: all.ValueAtQuantile(50), P95: all.ValueAtQuantile(95), P99: all.ValueAtQuantile(99), Max: all.Max(),
	}
}

// Histogram returns the latencies of a client, to be merged with those of others.
func (o *Outcome) Histogram() (h result.Histogram) {
	for _, v := range o.Latency {
		h = append(h, result.Bucket{Micros: min(v[0], SlowestLatency), Requests: v[1]})
	}
	return h
}
