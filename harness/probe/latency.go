package probe

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"snatlab/harness/result"
)

// SlowestLatency is the largest latency that is told apart, in µs.
const SlowestLatency = 10_000_000

// NewLatency makes the histogram of latencies, in µs with three digits.
func NewLatency() *hdrhistogram.Histogram { return hdrhistogram.New(1, SlowestLatency, 3) }

// Latency merges what several clients measured.
func Latency(reports ...*Report) result.Latency {
	all := NewLatency()
	for _, r := range reports {
		for _, v := range r.Latency {
			_ = all.RecordValues(min(v[0], SlowestLatency), v[1]) // within its range
		}
	}
	return result.Latency{
		P50: all.ValueAtQuantile(50), P95: all.ValueAtQuantile(95), P99: all.ValueAtQuantile(99), Max: all.Max(),
	}
}
